"""Arrays of two devices: told by both names, wherever they meet, and never moved."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import two_devices

import gpugrad
from conftest import assert_same_bits


def on_host(values):
    return pytest.importorskip("torch").from_numpy(np.array(values))


def on_meta(values):
    return on_host(values).to("meta")


TABLES = (
    two_devices.name_calls,
    two_devices.name_calls_to_write,
    two_devices.name_calls_with_coordinates,
)
CALLS = [(table, name) for table in TABLES for name in table(np.asarray, np.asarray)]


@pytest.mark.exhaustive(name="a grid elsewhere")  # it loads much of PyTorch
@pytest.mark.parametrize(("table", "name"), CALLS, ids=[name for _, name in CALLS])
def test_tensors_of_two_devices_are_told_by_both(table, name):
    if name == "out of a filter":
        pytest.importorskip("scipy")
    with pytest.raises(ValueError, match="device") as raised:
        table(on_host, on_meta)[name]()
    assert "cpu" in str(raised.value)
    assert "meta" in str(raised.value)


def test_points_of_formulas_on_two_devices_are_told_by_both():
    pytest.importorskip("sympy")
    slope = gpugrad.symbolic.gradient("u*v")
    with pytest.raises(ValueError, match="points must be on one device; got cpu and meta"):
        slope(on_host([1.0, 2.0]), on_meta([1.0, 2.0]))


def test_searches_need_values():
    with pytest.raises(TypeError, match='`x` must have values; got a tensor on the device "meta"'):
        gpugrad.asnumpy(on_meta([1.0]))
    for search in (gpugrad.turning_points, gpugrad.inflection_points):
        with pytest.raises(TypeError, match=r'`f` must have values; got .* device "meta"'):
            search(on_meta([1.0, 2.0, 1.0]))


@pytest.mark.exhaustive
def test_coordinates_of_a_grid_on_host_and_device_are_joined_there():
    x, y = np.meshgrid(np.arange(6.0), np.arange(7.0) ** 2, indexing="ij")
    grid = gpugrad.CurvilinearGrid(x, on_meta(y))
    assert {d.device.type for d in grid.gradient(on_meta(x * y))} == {"meta"}


@pytest.mark.exhaustive
def test_arrays_of_jax_on_two_devices_are_told_by_both():
    pytest.importorskip("jax")
    code = """
import jax, numpy as np, gpugrad, two_devices
jax.config.update("jax_enable_x64", True)
one, two = jax.devices()[1:3]
calls = two_devices.name_calls(lambda x: jax.device_put(x, one), lambda x: jax.device_put(x, two))
for name, call in calls.items():
    try:
        call()
    except ValueError as error:
        assert "device" in str(error) and "jitted" not in str(error), (name, error)
        assert str(one) in str(error) and str(two) in str(error), (name, error)
    else:
        raise AssertionError(name)
# Where their user has not said where arrays lie, JAX moves them.
calls = two_devices.name_calls(lambda x: jax.device_put(x, one), jax.numpy.asarray)
for name in ("mask", "divergence"):
    calls[name]()
f = jax.device_put(np.arange(6.0) ** 2, one)
slope = gpugrad.gradient(f, jax.device_put(np.arange(6.0), two))  # read on the host
assert slope.devices() == {one}
"""
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.path.dirname(here), os.environ.get("PYTHONPATH", "")])
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        env={**os.environ, **flags, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def single():
    """Return what makes arrays on a device that has no float64."""
    xp = pytest.importorskip("array_api_strict")
    device = xp.Device("no_float64")
    with pytest.raises(Exception, match="float64"):
        xp.zeros(2, dtype=xp.float64, device=device)
    return lambda values: xp.asarray(np.array(values), device=device)


WITHOUT_FLOAT64 = {
    "gradient": lambda f, x: gpugrad.gradient(f),
    "number of NumPy": lambda f, x: gpugrad.gradient(f, np.float64(0.3)),
    "coordinates on the host": lambda f, x: gpugrad.gradient(f, np.arange(8.0) ** 2),
    "coordinates on the device": lambda f, x: gpugrad.gradient(f, x),
    "accuracy": lambda f, x: gpugrad.gradient(f, np.arange(8.0) ** 2, accuracy=4),
    "second derivative": lambda f, x: gpugrad.derivative(f, 0.3, order=2, boundary="periodic"),
    "norm": lambda f, x: gpugrad.gradient_norm(f),
    "estimate": lambda f, x: gpugrad.error_estimate(f),
    "grid": lambda f, x: gpugrad.CurvilinearGrid(np.arange(8.0) ** 2).gradient(f),
}


@pytest.mark.parametrize("name", WITHOUT_FLOAT64)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_a_device_without_float64_has_float32(single, name, dtype):
    values = np.arange(8) ** 3 % 17
    f, x = single(values.astype(dtype)), single((np.arange(8.0) ** 2).astype("f4"))
    result = WITHOUT_FLOAT64[name](f, x)
    assert result.device == f.device
    home = np.from_dlpack(result.to_device(type(f.device)("CPU_DEVICE")))
    assert home.dtype == np.float32
    wanted = WITHOUT_FLOAT64[name](values.astype("f4"), (np.arange(8.0) ** 2).astype("f4"))
    if name in ("gradient", "norm", "second derivative"):
        assert_same_bits(home, wanted)
    else:  # where NumPy has double precision in between, as of spacings in float64
        np.testing.assert_allclose(home, wanted, rtol=4e-6, atol=2e-6)
