"""What only a GPU can show: bits, streams, graphs, memory. `pytest --require-gpu` wants one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import kernel_cases
import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits, import_cupy

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cupy():
    return import_cupy()


@pytest.fixture
def torch(cupy):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    return torch


def keep_layout(cupy, f):
    """Return an array on the GPU with the values, strides and alignment of a NumPy array."""
    base = f
    while isinstance(base.base, np.ndarray):
        base = base.base
    start = f.__array_interface__["data"][0] - np.lib.array_utils.byte_bounds(base)[0]
    on_gpu = cupy.asarray(base.ravel("K").view("u1"))
    return cupy.ndarray(f.shape, f.dtype, on_gpu.data + start, f.strides)


def make_busy(cupy, stream):
    """Give a stream work that lasts some tenths of a second; return an event behind it."""
    source = """
    extern "C" __global__ void wait(long long cycles) {
        const long long start = clock64();
        while (clock64() - start < cycles) {}
    }"""
    with stream:
        cupy.RawKernel(source, "wait")((1,), (1,), (np.int64(10**9),))
        return stream.record()


def test_every_case_has_the_reference_engines_bits(cupy):
    for case in kernel_cases.cases():
        results = kernel_cases.run(case, lambda f: keep_layout(cupy, f))
        kernel_cases.assert_like_slices(case, results, cupy.asnumpy)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(1 << 20,), (1000, 1001), (100, 110, 120), (20, 30, 40, 50)])
def test_larger_fields_have_numpys_bits(cupy, rng, shape, dtype):
    f = rng.normal(size=shape).astype(dtype)
    x = [np.cumsum(rng.uniform(0.1, 1, n)) for n in shape]
    for spacing in ([0.3], x):
        expected = np.gradient(f, *spacing, edge_order=2)
        results = gpugrad.gradient(cupy.asarray(f), *spacing, edge_order=2)
        pairs = [(results, expected)] if len(shape) == 1 else zip(results, expected, strict=True)
        for got, wanted in pairs:
            assert_same_bits(cupy.asnumpy(got), wanted)


def test_fields_of_more_than_2_to_the_31_samples(cupy):
    n = 2**31 + 1000
    if cupy.cuda.Device().mem_info[0] < 6 * n:
        pytest.skip("too little memory on the GPU")
    g = cupy.zeros(n, "f2")
    g[-3:] = cupy.asarray([1, 3, 7], "f2")
    slope = gpugrad.gradient(g)
    assert cupy.asnumpy(slope[-3:]).tolist() == [1.5, 3.0, 4.0]
    assert cupy.asnumpy(slope[:3]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("coordinates", [False, True])
def test_a_call_does_not_wait_for_the_device(cupy, coordinates):
    f = cupy.ones((64, 64, 64))
    spacing = [np.arange(64.0) ** 2] * 3 if coordinates else [0.3]
    gpugrad.gradient(f, *spacing)  # compiles, and uploads weights
    stream = cupy.cuda.Stream(non_blocking=True)
    done = make_busy(cupy, stream)
    with stream:
        gpugrad.gradient(f, *spacing)
    assert not done.done
    stream.synchronize()


def test_a_call_can_be_captured_into_a_graph(cupy, rng):
    f = cupy.asarray(rng.normal(size=(40, 50)))
    out = cupy.empty_like(f), cupy.empty_like(f)
    cupy.cuda.Device().synchronize()  # another stream would not wait for what is on its way
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        gpugrad.gradient(f, 0.3, out=out)
        stream.begin_capture()
        gpugrad.gradient(f, 0.3, out=out)
        graph = stream.end_capture()
        f *= 2
        graph.launch(stream)
    stream.synchronize()
    for got, wanted in zip(out, np.gradient(cupy.asnumpy(f), 0.3), strict=True):
        assert_same_bits(cupy.asnumpy(got), wanted)


def fill_free_memory(cupy):
    """Write over memory that has been given back."""
    with cupy.cuda.using_allocator(None):
        kept = [cupy.full(1 << size, np.nan) for size in range(4, 22)]
    cupy.cuda.Device().synchronize()
    del kept


def forget_weights():
    from internals import cuda_engine

    for store in (cuda_engine.launches, cuda_engine.uploaded):
        store.clear()


def test_a_graph_keeps_its_weights(cupy, rng):
    f, x = cupy.asarray(rng.normal(size=(40, 50))), np.cumsum(rng.uniform(0.1, 1, 50))
    out = cupy.empty_like(f)
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        gpugrad.gradient(f, x, axis=1, out=out)
        stream.begin_capture()
        gpugrad.gradient(f, x, axis=1, out=out)
        graph = stream.end_capture()
    stream.synchronize()
    forget_weights()
    fill_free_memory(cupy)
    out.fill(0)
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    stream.synchronize()
    assert_same_bits(cupy.asnumpy(out), np.gradient(cupy.asnumpy(f), x, axis=1))


def test_a_graph_of_tensors_keeps_its_weights(torch, cupy, rng):
    f, x = rng.normal(size=(40, 50)), np.cumsum(rng.uniform(0.1, 1, 50))
    tensor = torch.asarray(f, device="cuda")
    out = torch.empty_like(tensor)
    gpugrad.gradient(tensor, x, axis=1, out=out)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gpugrad.gradient(tensor, x, axis=1, out=out)
    forget_weights()
    fill_free_memory(cupy)
    out.zero_()
    graph.replay()
    torch.cuda.synchronize()
    assert_same_bits(out.cpu().numpy(), np.gradient(f, x, axis=1))


def test_kernels_are_compiled_once_for_all_processes(cupy, tmp_path):
    code = (
        "import cupy, gpugrad; from cupy.cuda import compiler; asked = []; "
        "compile = compiler._NVRTCProgram.compile; "
        "compiler._NVRTCProgram.compile = lambda self, *a, **k: asked.append(self.src) or "
        "compile(self, *a, **k); "
        "gpugrad.gradient(cupy.ones((8, 8)), 0.3); print(sum('evaluate<' in s for s in asked))"
    )
    environment = {
        **os.environ,
        "CUPY_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    told = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                       text=True, check=True).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert told == ["1", "0"]


def test_streams_run_side_by_side(cupy, rng):
    f = cupy.asarray(rng.normal(size=(64, 64)))
    expected = np.gradient(cupy.asnumpy(f))
    gpugrad.gradient(f)
    cupy.cuda.Device().synchronize()
    busy, free = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
    for stream in (busy, free):
        with stream:
            gpugrad.gradient(f)  # its first memory, for which streams may wait for each other
    cupy.cuda.Device().synchronize()
    done = make_busy(cupy, busy)
    with busy:
        late = gpugrad.gradient(f)
    with free:
        early = gpugrad.gradient(f)
    free.synchronize()
    assert not done.done
    busy.synchronize()
    for results in (early, late):
        for got, wanted in zip(results, expected, strict=True):
            assert_same_bits(cupy.asnumpy(got), wanted)


def test_the_weights_of_coordinates_serve_every_stream(cupy, rng):
    f, x = cupy.asarray(rng.normal(size=(64, 64))), np.cumsum(rng.uniform(0.1, 1, 64))
    cupy.cuda.Device().synchronize()
    for _ in range(3):
        with cupy.cuda.Stream(non_blocking=True) as stream:
            result = gpugrad.gradient(f, x, axis=0)
            stream.synchronize()
        assert_same_bits(cupy.asnumpy(result), np.gradient(cupy.asnumpy(f), x, axis=0))


def test_coordinates_on_the_device_are_taken_as_they_are(cupy, rng):
    f, x = rng.normal(size=(40, 50)), np.cumsum(rng.uniform(0.1, 1, 40))
    result = gpugrad.gradient(cupy.asarray(f), cupy.asarray(x), axis=0)
    np.testing.assert_allclose(cupy.asnumpy(result), np.gradient(f, x, axis=0), rtol=1e-12)


def test_missing_memory_is_named(cupy):
    f = cupy.ones(1 << 20)
    pool = cupy.cuda.MemoryPool()
    pool.set_limit(size=1 << 20)
    message = "need 8,388,608 bytes"
    with cupy.cuda.using_allocator(pool.malloc), pytest.raises(MemoryError, match=message):
        gpugrad.gradient(f)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "int16"])
def test_tensors_have_the_same_bits(torch, rng, dtype):
    f = torch.asarray(rng.normal(size=(40, 50)) * 99).to(getattr(torch, dtype))
    for got, wanted in zip(gpugrad.gradient(f.cuda(), 0.3), gpugrad.gradient(f, 0.3), strict=True):
        assert got.device.type == "cuda"
        assert_same_bits(got.cpu().numpy(), wanted.numpy())


def test_tensors_keep_to_their_stream(torch, cupy):
    from internals import cuda_engine

    f = torch.ones(64, 64, device="cuda")
    gpugrad.gradient(f, axis=1)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        make_busy(cupy, cuda_engine.cuda.follow(stream.cuda_stream))
        f = f * torch.arange(64.0, device="cuda")
        slope = gpugrad.gradient(f, axis=1)
        total = slope.sum()
    stream.synchronize()
    assert total.item() == 64 * 64


def test_gradients_of_tensors_flow_back(torch, rng):
    f = torch.asarray(rng.normal(size=(12, 10)), device="cuda").requires_grad_()
    assert torch.autograd.gradcheck(lambda g: gpugrad.gradient(g, 0.3, edge_order=2), f)


def test_many_ways_back_go_at_once(torch, rng):
    f = torch.asarray(rng.normal(size=(6, 5)), device="cuda")
    jacobian = torch.autograd.functional.jacobian

    def differentiate(g):
        return gpugrad.gradient(g, 0.3, axis=0)

    torch.testing.assert_close(
        jacobian(differentiate, f, vectorize=True), jacobian(differentiate, f)
    )
    f.requires_grad_()
    assert torch.autograd.gradcheck(differentiate, f, check_batched_grad=True)


def test_out_that_only_says_it_is_conjugated_is_written(torch, rng):
    f = rng.normal(size=(6, 5)) + 1j * rng.normal(size=(6, 5))
    tensor = torch.asarray(f, device="cuda")
    for see in (torch.conj, torch._neg_view):
        out = see(torch.zeros_like(tensor))
        gpugrad.gradient(tensor, 0.3, axis=0, out=out)
        got = out.resolve_conj().resolve_neg().cpu().numpy()
        assert_same_bits(got, np.gradient(f, 0.3, axis=0))


SANITIZED = """
import cupy, kernel_cases, test_gpu
cupy.cuda.set_allocator(None)  # a pool's pieces have neighbours, where an overrun would stay unseen
some = [*kernel_cases.cases()][::23]
for case in some:
    results = kernel_cases.run(case, lambda f: test_gpu.keep_layout(cupy, f))
    kernel_cases.assert_like_slices(case, results, cupy.asnumpy)
import gpugrad, numpy as np
f = np.random.default_rng(1).normal(size=(40, 50, 60))
got = gpugrad.gradient(cupy.asarray(f), stack=True, backend="cupy")
assert cupy.asnumpy(got).tobytes() == np.stack(np.gradient(f)).tobytes()
"""


@pytest.mark.parametrize("tool", ["memcheck", "initcheck"])  # threads share nothing: no races
def test_nvidias_sanitizer_finds_nothing(cupy, tool):
    if shutil.which("compute-sanitizer") is None:
        pytest.skip("compute-sanitizer is not installed")
    done = subprocess.run(
        ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-c",
         SANITIZED],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def test_arrays_that_have_come_by_dlpack_are_taken(cupy, torch, rng):
    f = rng.normal(size=(40, 50))
    tensor = torch.asarray(f, device="cuda")
    array = cupy.from_dlpack(tensor)
    for got, wanted in zip(gpugrad.gradient(array, 0.3), np.gradient(f, 0.3), strict=True):
        assert_same_bits(cupy.asnumpy(got), wanted)
        again = torch.from_dlpack(got)
        assert again.data_ptr() == got.data.ptr
        assert_same_bits(again.cpu().numpy(), wanted)
    out = torch.zeros_like(tensor)
    gpugrad.gradient(array, 0.3, axis=0, out=cupy.from_dlpack(out))
    torch.cuda.synchronize()
    assert_same_bits(out.cpu().numpy(), np.gradient(f, 0.3, axis=0))


def test_calls_that_come_again_are_the_same_on_every_stream(cupy, rng):
    fields = [cupy.asarray(rng.normal(size=(64, 48))) for _ in range(8)]
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(4)]
    cupy.cuda.Device().synchronize()
    results = []
    for i, f in enumerate(fields):
        with streams[i % 4]:
            results.append(gpugrad.gradient(f, 0.3, stack=True))
    cupy.cuda.Device().synchronize()
    for f, got in zip(fields, results, strict=True):
        assert_same_bits(cupy.asnumpy(got), np.stack(np.gradient(cupy.asnumpy(f), 0.3)))


class TestJax:
    """JAX's arrays, whose kernels XLA makes."""

    @pytest.fixture
    def jax(self, cupy):
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        if jax.default_backend() != "gpu":
            pytest.skip("JAX sees no GPU")
        jax.config.update("jax_enable_x64", True)
        return jax

    def test_arrays_stay_on_the_gpu_with_and_without_a_trace(self, jax, rng):
        f = jax.numpy.asarray(rng.normal(size=(40, 50)))
        expected = np.gradient(np.asarray(f))
        for results in (gpugrad.gradient(f), jax.jit(gpugrad.gradient)(f)):
            for got, wanted in zip(results, expected, strict=True):
                assert isinstance(got, jax.Array)
                assert got.devices() == f.devices()
                np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-12, atol=1e-12)
        steep = jax.grad(lambda g: (gpugrad.gradient(g, axis=0) ** 2).sum())(f)
        assert steep.shape == f.shape

    def test_by_name_they_are_refused_with_what_to_do(self, jax, cupy, rng):
        f = jax.numpy.asarray(rng.normal(size=(40, 50)))
        with pytest.raises(gpugrad.BackendError, match=r"JAX array.*`cupy\.asarray\(f\)`"):
            gpugrad.gradient(f, backend="cupy")
        results = gpugrad.gradient(cupy.asarray(f), backend="cupy")
        for got, wanted in zip(results, np.gradient(np.asarray(f)), strict=True):
            assert_same_bits(cupy.asnumpy(got), wanted)


def test_arrays_in_host_memory_are_refused_and_the_way_that_is_named_works(cupy, rng):
    f = rng.normal(size=(40, 50))
    for given in (f, f.tolist(), np.asfortranarray(f)):
        with pytest.raises(gpugrad.BackendError, match=r"a GPU.*Pass `cupy\.asarray\(f\)`"):
            gpugrad.gradient(given, 0.3, backend="cupy")
        got = gpugrad.gradient(cupy.asarray(given), 0.3, stack=True, backend="cupy")
        assert_same_bits(cupy.asnumpy(got), np.stack(np.gradient(f, 0.3)))


def test_tensors_in_host_memory_are_refused_and_the_ways_that_are_named_work(cupy, torch, rng):
    f = torch.asarray(rng.normal(size=(40, 50)))
    with pytest.raises(gpugrad.BackendError, match=r"`f\.cuda\(\)` or `cupy\.asarray\(f\)`"):
        gpugrad.gradient(f, backend="cupy")
    expected = np.stack(np.gradient(f.numpy()))
    got = gpugrad.gradient(f.cuda(), stack=True, backend="cupy")
    assert_same_bits(got.cpu().numpy(), expected)
    got = gpugrad.gradient(cupy.asarray(f), stack=True, backend="cupy")
    assert_same_bits(cupy.asnumpy(got), expected)


def test_blocks_of_lazy_arrays_are_differentiated_on_the_gpu(cupy, rng):
    da = pytest.importorskip("dask.array", reason="Dask is not installed")
    f = rng.normal(size=(40, 50))
    lazy = da.from_array(f, chunks=(10, 50))
    with pytest.raises(gpugrad.BackendError, match=r"`f\.map_blocks\(cupy\.asarray\)`"):
        gpugrad.gradient(lazy, 0.3, backend="cupy")
    results = gpugrad.gradient(lazy.map_blocks(cupy.asarray), 0.3, backend="cupy")
    for got, wanted in zip(results, np.gradient(f, 0.3), strict=True):
        assert_same_bits(cupy.asnumpy(got.compute()), wanted)
