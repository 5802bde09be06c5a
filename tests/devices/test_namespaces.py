"""Namespaces of dpnp and MLX: their devices, and the arrays that are made there.

What is needed besides the library is pytest and NumPy. dpnp shows its CPU device where the variable
OCL_ICD_FILENAMES names the `libintelocl.so` of its wheels.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import gpugrad
from gpugrad._arrays.gpus import find_gpu_of

sys.path.insert(0, str(Path(__file__).parents[1]))
import two_devices

from devices.creations import CREATIONS

SQUARES = np.arange(12.0).reshape(3, 4) ** 2


@pytest.fixture(scope="module")
def dpnp():
    library = pytest.importorskip("dpnp")
    if not pytest.importorskip("dpctl").get_devices():
        pytest.skip(f"{find_gpu_of('dpnp').problem}: {find_gpu_of('dpnp').cure}")
    return library


@pytest.fixture(scope="module")
def mx():
    return pytest.importorskip("mlx.core")


@pytest.fixture(scope="module")
def queue(dpnp):
    """Return another queue of dpnp's device than the one it takes by itself."""
    import dpctl

    return dpctl.SyclQueue(property="in_order")


@pytest.mark.parametrize("name", CREATIONS)
def test_new_arrays_of_dpnp_lie_on_the_queue_that_is_named(dpnp, queue, name):
    xp = gpugrad.namespace("dpnp", device=queue)
    made = CREATIONS[name](xp)
    assert made.sycl_queue == queue
    assert made.sycl_queue != dpnp.zeros(1).sycl_queue
    assert CREATIONS[name](xp, device="cpu").sycl_queue != queue
    other = dpnp.zeros(1).sycl_queue
    assert CREATIONS[name](xp, sycl_queue=other).sycl_queue == other


def test_dpnp_takes_a_device_by_its_filter(dpnp):
    assert gpugrad.namespace("dpnp") is dpnp
    for name in ("cpu", "opencl:cpu", dpnp.zeros(1).sycl_device, dpnp.zeros(1).device):
        xp = gpugrad.namespace("dpnp", device=name)
        f = xp.asarray(SQUARES)
        assert f.device == dpnp.zeros(1).device
        assert xp.__array_namespace_info__().default_device() == f.device
        down, right = gpugrad.gradient(f, 0.5)
        assert (down.device, right.device) == (f.device, f.device)
        for result, wanted in zip((down, right), np.gradient(SQUARES, 0.5), strict=True):
            assert result.asnumpy().tobytes() == wanted.tobytes()
    xp = gpugrad.namespace("dpnp", device="cpu")
    assert pickle.loads(pickle.dumps(xp)) is xp
    assert repr(xp) == "<namespace dpnp, new arrays on Device(opencl:cpu:0)>"


def test_arrays_of_dpnp_stay_where_they_are(dpnp, queue):
    xp = gpugrad.namespace("dpnp", device=queue)
    f = dpnp.zeros(3)
    assert xp.asarray(f).sycl_queue == f.sycl_queue
    assert xp.asarray(f, device=queue).sycl_queue == queue
    assert xp.zeros_like(f).sycl_queue == f.sycl_queue


def test_a_device_that_sycl_does_not_find_is_named(dpnp):
    with pytest.raises(
        gpugrad.BackendError, match="SYCL finds no such device; it finds opencl:cpu"
    ):
        gpugrad.namespace("dpnp", device="accelerator")
    with pytest.raises(ValueError, match=r'a filter of SYCL, as in "cpu" or "gpu", .*; got 3'):
        gpugrad.namespace("dpnp", device=3)
    if not find_gpu_of("dpnp").usable:
        with pytest.raises(gpugrad.BackendError, match=r"dpnp cannot use the device gpu.*driver"):
            gpugrad.namespace("dpnp", device="gpu")
        assert "SYCL finds no GPU, only opencl:cpu:0" in str(gpugrad.info(probe=True))


TABLES = (
    two_devices.name_calls,
    two_devices.name_calls_to_write,
    two_devices.name_calls_with_coordinates,
)
CALLS = [(table, name) for table in TABLES for name in table(np.asarray, np.asarray)]


@pytest.mark.parametrize(("table", "name"), CALLS, ids=[name for _, name in CALLS])
def test_arrays_of_two_queues_are_told_apart(dpnp, queue, table, name):
    if name == "out of a filter":
        pytest.importorskip("scipy")
    calls = table(dpnp.asarray, lambda values: dpnp.asarray(values, sycl_queue=queue))
    with pytest.raises(ValueError, match="device") as raised:
        calls[name]()
    assert "(opencl:cpu:0) by one SYCL queue" in str(raised.value)
    assert "(opencl:cpu:0) by another SYCL queue" in str(raised.value)


def test_one_grid_serves_fields_of_both_queues(dpnp, queue):
    x, y = np.meshgrid(np.arange(6.0) ** 2, np.arange(7.0), indexing="ij")
    grid = gpugrad.CurvilinearGrid(x, y)
    for to in ({}, {"sycl_queue": queue}, {}):
        slopes = grid.gradient(dpnp.asarray(x * y, **to))
        assert all(slope.sycl_queue == dpnp.zeros(1, **to).sycl_queue for slope in slopes)
        for slope, wanted in zip(slopes, grid.gradient(x * y), strict=True):
            np.testing.assert_allclose(slope.asnumpy(), wanted, rtol=1e-12, atol=1e-12)


def test_the_namespace_of_mlx_is_for_its_default_device(mx):
    xp = gpugrad.namespace("mlx")
    kind, other = ("cpu", "gpu") if mx.default_device() == mx.cpu else ("gpu", "cpu")
    for device in (kind, getattr(mx, kind), mx.default_device()):
        assert gpugrad.namespace("mlx", device=device) is xp
    with pytest.raises(gpugrad.BackendError, match=f"MLX cannot use the device {other}"):
        gpugrad.namespace("mlx", device=other)
    for wrong in ("cuda", 0):
        with pytest.raises(ValueError, match=r'"cpu", "gpu" or a device of mlx\.core for MLX'):
            gpugrad.namespace("mlx", device=wrong)
    assert gpugrad.asnumpy(xp.linspace(0, 1, 3)).tolist() == [0, 0.5, 1]


def test_a_device_of_mlx_that_is_not_the_default_is_told_how_to_be(mx, monkeypatch):
    gpu = type(find_gpu_of("mlx"))(devices=("a GPU",), kind="gpu")
    monkeypatch.setattr("gpugrad._arrays.gpus.find_gpu_of", lambda name: gpu)
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.cpu))
    with pytest.raises(gpugrad.BackendError, match=r"set_default_device\(mlx\.core\.gpu\)"):
        gpugrad.namespace("mlx", device="gpu")


def test_without_a_gpu_a_preference_for_these_ends_at_numpy():
    if find_gpu_of("mlx").usable or find_gpu_of("dpnp").usable:
        pytest.skip("there is a GPU")
    assert gpugrad.namespace(prefer=("mlx", "dpnp")) is gpugrad.namespace("numpy")
