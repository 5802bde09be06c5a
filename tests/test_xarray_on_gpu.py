"""DataArrays of CuPy arrays, without a GPU: in host memory, with the kernel on the host."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import gpugrad
from internals import Gpu, _devices

pytest.importorskip("cupy", reason="CuPy is not installed")
pytest.importorskip("xarray", reason="xarray is not installed")
import cupy
import xarray as xr
from kernels_on_host import HostCuda, home, host_array, running_on_host

if shutil.which("g++") is None:
    pytest.skip("g++ is not installed", allow_module_level=True)


@pytest.fixture(autouse=True)
def cuda(monkeypatch, tmp_path_factory):
    """Let the kernel run on the host."""
    monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("host",)))
    folder = tmp_path_factory.getbasetemp() / "xarray-kernels"
    folder.mkdir(exist_ok=True)
    with running_on_host(HostCuda(folder, eager=True)) as cuda:
        yield cuda


@pytest.fixture
def field(rng):
    """Return a DataArray of NumPy's, with a coordinate that is not even."""
    y = ("y", np.arange(12.0), {"units": "m"})
    x = ("x", np.arange(16.0) ** 1.5, {"units": "m"})
    return xr.DataArray(
        rng.normal(280, 5, (12, 16)), {"y": y, "x": x}, name="T", attrs={"units": "K"}
    )


def move(f):
    return f.copy(data=host_array(f.values))


def assert_same(got, expected):
    assert type(got.data) is cupy.ndarray
    assert home(got.data).tobytes() == expected.values.tobytes()
    assert (got.name, got.dims, got.attrs) == (expected.name, expected.dims, expected.attrs)
    for name, coordinate in expected.coords.items():
        assert got.coords[name].identical(coordinate)


def test_one_launch_gives_all_derivatives_with_names_units_and_coordinates(field, cuda):
    results = gpugrad.gradient(move(field))
    assert cuda.launches == 1
    for got, expected in zip(results, gpugrad.gradient(field), strict=True):
        assert_same(got, expected)
    assert gpugrad.explain(move(field)).backend == "cupy"


def test_masks_lie_where_the_field_lies(field, rng, cuda):
    valid = field.copy(data=rng.random(field.shape) > 0.1)
    got = gpugrad.derivative(move(field), axis="x", where=move(valid))
    assert cuda.launches == 1
    assert_same(got, gpugrad.derivative(field, axis="x", where=valid))
    with pytest.raises(TypeError, match="got NumPy for a field of CuPy"):
        gpugrad.derivative(move(field), axis="x", where=valid)


def test_blocks_of_cupy_go_back_to_the_host(field, cuda):
    pytest.importorskip("dask", reason="Dask is not installed")
    lazy = field.chunk({"y": 6})
    blocks = lazy.copy(data=lazy.data.map_blocks(host_array, meta=cupy.empty((0, 0))))
    slope = gpugrad.derivative(blocks, axis="x")
    assert cuda.launches == 0
    back = slope.copy(data=slope.data.map_blocks(home, meta=np.empty((0, 0))))
    computed = back.compute(scheduler="synchronous")
    assert cuda.launches == 2
    assert computed.identical(gpugrad.derivative(field, axis="x"))
