"""CuPy arrays on a machine without a GPU: real `cupy.ndarray` objects over host memory.

No kernel of CuPy can run on them. What stands before the arithmetic (recognising them, their
devices and dtypes, every check of arguments) needs none; `test_cuda_kernel.py` tests the rest.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

import gpugrad
from internals import Term, _arrays, dispatch, find_gpu, first_derivative

pytest.importorskip("cupy")
import cupy

from internals import cuda_engine

if find_gpu().usable:
    pytest.skip("there is a GPU, which tests more", allow_module_level=True)


@pytest.fixture(autouse=True)
def host_memory():
    """Let CuPy take its memory from the host."""

    def allocate(size):
        buffer = (ctypes.c_char * max(size, 1))()
        memory = cupy.cuda.UnownedMemory(ctypes.addressof(buffer), max(size, 1), buffer, 0)
        return cupy.cuda.MemoryPointer(memory, 0)

    with cupy.cuda.using_allocator(allocate):
        yield


def test_they_are_recognised_and_never_read():
    f = cupy.empty((4, 5), "f4")
    assert _arrays.as_field(f) is f
    assert _arrays.library_of(f) == "CuPy"
    assert _arrays.namespace_of(f).__name__ == "array_api_compat.cupy"
    assert _arrays.host_values(f) is None
    assert _arrays.device_of(f) == cupy.cuda.Device(0)


@pytest.mark.parametrize(
    ("given", "working", "result"),
    [("i2", "f8", "f8"), ("f2", "f4", "f2"), ("f4", "f4", "f4"), ("c8", "c8", "c8")],
)
def test_their_precision_is_that_of_host_arrays(given, working, result):
    f = cupy.empty(3, given)
    xp = _arrays.namespace_of(f)
    assert _arrays.working_dtype(xp, f) == np.dtype(working)
    assert _arrays.result_dtype(xp, f) == np.dtype(result)


def test_auto_evaluates_them_by_one_kernel():
    f = cupy.empty((4, 5))
    outputs = [[Term(1, f, first_derivative(0, 0.5, 1))]]
    assert dispatch._choose(outputs, None).evaluate is cuda_engine.evaluate


@pytest.mark.parametrize(("given", "result"), [("f4", "f4"), ("i2", "f8")])
def test_lazy_arrays_of_them_stay_theirs(given, result):
    da = pytest.importorskip("dask.array")
    meta = cupy.empty((0, 0), given)
    f = da.zeros((6, 5), chunks=2).map_blocks(cupy.asarray, dtype=given, meta=meta)
    for g in (*gpugrad.gradient(f), gpugrad.gradient(f, axis=0)):
        assert type(g._meta) is cupy.ndarray
        assert g.dtype == g._meta.dtype == result


def test_the_numpy_backend_does_not_bring_them_home_in_silence():
    with pytest.raises(gpugrad.BackendError, match=r"CuPy array is on a device.*asnumpy"):
        gpugrad.gradient(cupy.empty(4), backend="numpy")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: gpugrad.gradient(f.view("?")), TypeError, "got dtype bool"),
        (lambda f: gpugrad.gradient(f, edge_order=0), ValueError, "`edge_order` must be 1"),
        (lambda f: gpugrad.gradient(f[:, :1]), ValueError, "axis 1 .* at least 2 samples"),
        (lambda f: gpugrad.gradient(f, 0.0), ValueError, "not zero"),
        (lambda f: gpugrad.gradient(f, [0.0, 1, 1, 2], 1), ValueError, "duplicate coordinates"),
        (lambda f: gpugrad.gradient(f, cupy.empty(4, "c8"), 1), TypeError, "must be real numbers"),
        (lambda f: gpugrad.gradient(f, cupy.empty(3), 1), ValueError, "length 4 .* got 3"),
        (lambda f: gpugrad.gradient(np.ones(4), cupy.empty(4)), TypeError, "got CuPy for a field"),
        (lambda f: gpugrad.gradient(f, out=np.ones((2, 4, 5)), stack=True), TypeError, "got NumPy"),
        (lambda f: gpugrad.gradient(f, out=cupy.empty((1, 4, 5)), stack=True), ValueError, "shape"),
        (lambda f: gpugrad.gradient(f, axis=0, out=cupy.empty((4, 5), int)), TypeError, "same_kin"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(call, error, message):
    with pytest.raises(error, match=message):
        call(cupy.empty((4, 5)))


def test_the_missing_driver_is_named():
    gpu = find_gpu()
    assert "driver" in gpu.problem
    with pytest.raises(gpugrad.BackendError, match=r"CuPy cannot be used: .*driver"):
        gpugrad.namespace("cupy")
    assert gpugrad.namespace("auto").__name__ in ("numpy", "array_api_compat.numpy")
