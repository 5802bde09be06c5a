"""CuPy arrays on a machine without a GPU: real `cupy.ndarray` objects over host memory.

No kernel of CuPy can run on them. What stands before the arithmetic (recognising them, their
devices and dtypes, every check of arguments) needs none; `test_cuda_kernel.py` tests the rest.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

import gpugrad
from internals import Term, _arrays, dispatch, find_gpu, first_derivative, linear_operator

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


class NoSolvers:
    """What of `cupyx.scipy.sparse.linalg` a plan asks for: importing it takes libraries of CUDA."""

    class LinearOperator:
        def __init__(self, shape, matvec, rmatvec, dtype):
            self.shape, self.matvec, self.rmatvec, self.dtype = shape, matvec, rmatvec, dtype


@pytest.fixture
def make_plan(monkeypatch):
    def empty(shape, dtype, device):
        return cupy.empty(shape, dtype)

    monkeypatch.setattr("array_api_compat.cupy.zeros", empty)  # zeros are made by a kernel
    return lambda: gpugrad.plan((4, 5), 0.5, dtype="f4", operator="divergence", like=cupy.empty(1))


def test_their_plans_are_linear_operators_of_cupy(monkeypatch, make_plan):
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", NoSolvers)
    monkeypatch.setattr(cuda_engine, "evaluate", lambda outputs, out=None: outputs_of(outputs))
    seen = []

    def outputs_of(outputs):
        fields = [term.field for terms in outputs for term in terms]
        seen.append([(type(f), f.shape, f.dtype.str) for f in fields])
        return tuple(cupy.empty((4, 5), "f4") for _ in outputs)

    monkeypatch.setattr(linear_operator, "namespace_of", lambda x: Joining)
    linear = make_plan().linear_operator()
    assert isinstance(linear, NoSolvers.LinearOperator)
    assert (linear.shape, linear.dtype) == ((20, 40), np.float32)
    assert linear.matvec(cupy.empty(40, "f4")).shape == (20,)
    assert linear.rmatvec(cupy.empty((20, 1), "f4")).shape == (40,)
    assert seen == [[(cupy.ndarray, (4, 5), "<f4")] * 2] * 2


class Joining:
    """Arrays are joined by a kernel, which cannot run here."""

    @staticmethod
    def concat(arrays):
        return cupy.empty(sum(array.size for array in arrays), "f4")


def test_what_their_solvers_lack_is_told(monkeypatch, make_plan):
    monkeypatch.setitem(sys.modules, "cupyx.scipy.sparse.linalg", None)
    with pytest.raises(ImportError, match=r"more of the CUDA toolkit .*cupy-cuda13x\[ctk\]"):
        make_plan().linear_operator()


def test_auto_is_explained_for_them():
    f = cupy.empty((4, 5))
    explanation = gpugrad.explain(f, operator="hessian")
    assert (explanation.backend, explanation.rejected, explanation.cure) == ("cupy", {}, None)
    assert explanation.details == "in one kernel on the array's GPU"
    x = np.cumsum(np.random.default_rng(0).uniform(1, 2, (4, 5)), axis=1)
    explanation = gpugrad.explain(f, x, operator="derivative")
    assert explanation.backend == "slices"
    assert {*explanation.rejected} == {"compiled", "numpy", "cupy"}
    named = gpugrad.explain(f, backend="numpy")
    assert named.backend is None
    assert "CuPy array is on a device" in named.rejected["numpy"]


def test_blocks_of_lazy_arrays_of_them_are_explained():
    da = pytest.importorskip("dask.array")
    meta = cupy.empty((0, 0))
    f = da.zeros((6, 5), chunks=2).map_blocks(cupy.asarray, dtype="f8", meta=meta)
    explanation = gpugrad.explain(f)
    assert explanation.backend == "cupy"
    assert explanation.details.startswith("lazily, each block of up to 2 x 2 samples in a task")


def test_their_own_gradient_is_patched(monkeypatch):
    seen = []

    def evaluate(outputs, out=None):
        seen.append([term.field.dtype.char for terms in outputs for term in terms])
        return tuple(terms[0].field for terms in outputs)

    monkeypatch.setattr(cuda_engine, "evaluate", evaluate)
    gradient, code, f = cupy.gradient, cupy.gradient.__code__, cupy.empty((4, 5), "f4")
    with gpugrad.patch_numpy():
        for function in (gradient, np.gradient):
            assert function(f, 0.5)[1] is f
            assert type(function(f)) is list
            assert function(f, 0.5, axis=-1, edge_order=2) is f
            assert function(f, axis=()) in ([], ())
        with pytest.raises(ValueError, match="not zero") as raised:
            cupy.gradient(f, 0.0)
        assert "`cupy.gradient`" in raised.value.__notes__[-1]
    assert seen == [["f", "f"], ["f", "f"], ["f"]] * 2
    half = cupy.empty(5, "f2")
    with gpugrad.patch_numpy():
        assert cupy.gradient(half) is half
    with gpugrad.patch_numpy(fallback=True):
        for arguments in ((f, 0.0), (half,)):
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
                cupy.gradient(*arguments)  # by CuPy, which asks for the GPU first
    assert cupy.gradient is gradient
    assert gradient.__code__ is code
