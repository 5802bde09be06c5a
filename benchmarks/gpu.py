"""How fast gradients on a GPU are, beside other libraries' and beside copying memory."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Spread, Target
from gpugrad._devices import find_gpu

BATCH_SECONDS = 0.02
COPY_BYTES = 1 << 31


class Case(NamedTuple):
    """A field on the GPU and what to compute of it."""

    shape: tuple[int, ...]
    dtype: str
    uneven: bool = False
    operator: str = "gradient"

    @property
    def bytes(self) -> int:
        """Bytes of the field."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def passes(self) -> int:
        """How often a field's bytes cross the memory's bus at least: read once, results once."""
        return 1 + (len(self.shape) if self.operator == "gradient" else 1)

    def __str__(self) -> str:
        """Return a name for tables."""
        name = f"{self.operator} {'x'.join(map(str, self.shape))} {self.dtype}"
        return name + (" uneven" if self.uneven else "")


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield all cases, from 1 MB to 8 GB, in one to four dimensions."""
    shapes: list[tuple[int, ...]] = [(1 << 18,), (64, 64), (32, 32, 32)]
    if not quick:
        shapes += [(1 << 28,), (16384, 16384), (512, 512, 512), (511, 511, 511)]
        shapes += [(1024, 1024, 1024), (64, 128, 128, 128)]
    for shape in shapes:
        for dtype in ("float32", "float64"):
            yield Case(shape, dtype)
    cube = (64,) * 3 if quick else (512,) * 3
    for dtype in ("float32", "float64"):
        yield Case(cube, dtype, uneven=True)
        yield Case(cube, dtype, operator="laplacian")


class HostCase(NamedTuple):
    """A field in host memory, which passes through the GPU slab by slab."""

    shape: tuple[int, ...]
    dtype: str
    operator: str

    def __str__(self) -> str:
        """Return a name for tables."""
        return f"{self.operator} {'x'.join(map(str, self.shape))} {self.dtype}, host memory"


def list_host_cases(quick: bool) -> Iterator[HostCase]:
    """Yield fields in host memory: results as many as axes, or one."""
    for dtype in ("float32", "float64"):
        for operator in ("gradient", "laplacian"):
            yield HostCase((32, 32, 32) if quick else (512,) * 3, dtype, operator)


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    gpu = find_gpu()
    if not gpu.usable:
        print(f"There is no usable GPU: {gpu.problem}. To mend it: {gpu.cure}.")
        return int(arguments.strict)
    import cupy

    bandwidth = measure_copy(cupy, COPY_BYTES >> (6 if arguments.quick else 0))
    print(f"{gpu.devices[0]}: copies {bandwidth / 1e9:.0f} GB/s, reading and writing together\n")
    rounds = 3 if arguments.quick else 9
    free = cupy.cuda.Device().mem_info[0]
    results = [
        measure_case(case, cupy, bandwidth, rounds)
        for case in list_cases(arguments.quick)
        if 3 * case.bytes * case.passes < free
    ]
    from_host = [measure_host_case(case) for case in list_host_cases(arguments.quick)]
    names = [*dict.fromkeys(name for r in results for name in r["seconds"])]
    print(
        measure.format_table(
            ("case", "% of copying", *(f"{name} ms" for name in names)),
            ([r["case"], f"{100 * r['of_copy']:.0f}", *(in_ms(r, n) for n in names)]
             for r in results),
        )
    )  # fmt: skip
    ways = list(from_host[0]["seconds"])
    print(
        "\n"
        + measure.format_table(
            ("case", *(f"{way} ms" for way in ways)),
            ([r["case"], *(in_ms(r, way) for way in ways)] for r in from_host),
        )
    )
    content = {"gpu": gpu.devices[0], "copy_bytes_per_second": bandwidth, "cases": results}
    content["from_host"] = from_host
    return measure.finish("gpu", arguments, [*list_targets(results)], content)


def in_ms(result: dict[str, Any], name: str) -> str:
    spread = result["seconds"].get(name)
    return "" if spread is None else f"{1e3 * spread['median']:.3f}"


def measure_copy(cupy: Any, size: int) -> float:
    """Return the bytes that a copy on the device reads and writes in a second."""
    source, target = cupy.zeros(size, "u1"), cupy.empty(size, "u1")
    timer = batch(lambda: cupy.copyto(target, source), cupy.cuda.Device().synchronize)
    return 2 * size / min(timer() for _ in range(5))


def measure_case(case: Case, cupy: Any, bandwidth: float, rounds: int) -> dict[str, Any]:
    """Time all ways side by side, and relate ours to copying as many bytes."""
    synchronize = cupy.cuda.Device().synchronize
    calls = dict(list_calls(case, cupy))
    timers = {name: batch(call, synchronize) for name, call in calls.items()}
    seconds = measure.interleave(timers, rounds)
    cupy.get_default_memory_pool().free_all_blocks()
    result: dict[str, Any] = {"case": str(case), **case._asdict()}
    result |= {"bytes": case.bytes, "passes": case.passes, "seconds": measure.summarize(seconds)}
    result["of_copy"] = case.bytes * case.passes / bandwidth / np.median(seconds["out"])
    if "cupy" in seconds:
        result["over_cupy"] = measure.ratios(seconds["cupy"], seconds["gpugrad"])._asdict()
        result["graph_over_cupy"] = measure.ratios(seconds["cupy"], seconds["graph"])._asdict()
    return result


def measure_host_case(case: HostCase) -> dict[str, Any]:
    """Time the way through the GPU beside the processor's own, into given arrays."""
    timers = {way: measure.timed(call) for way, call in list_host_calls(case).items()}
    seconds = measure.interleave(timers, 3, warm_up=1)
    return {"case": str(case), **case._asdict(), "seconds": measure.summarize(seconds)}


def list_host_calls(case: HostCase) -> dict[str, Callable[[], Any]]:
    """Return the ways to compute a case: on the processor, on the GPU, and from pinned memory."""
    import cupyx

    ours = getattr(gpugrad, case.operator)
    count = len(case.shape) if case.operator == "gradient" else 1
    f = np.random.default_rng(5).standard_normal(case.shape, dtype=case.dtype)
    g = cupyx.empty_pinned(case.shape, case.dtype)
    g[...] = f
    out: Any = tuple(np.zeros_like(f) for _ in range(count))
    pinned: Any = tuple(cupyx.zeros_pinned(case.shape, case.dtype) for _ in range(count))
    if count == 1:
        (out,), (pinned,) = out, pinned
    return {
        "processor": lambda: ours(f, 0.3, out=out),
        "through the GPU": lambda: ours(f, 0.3, out=out, backend="cupy"),
        "through the GPU, pinned": lambda: ours(g, 0.3, out=pinned, backend="cupy"),
    }


def batch(call: Callable[[], Any], synchronize: Callable[[], Any]) -> measure.Timer:
    """Return a timer of as many calls as fill a moment, from an idle device to an idle device."""
    call()
    synchronize()
    start = perf_counter()
    call()
    synchronize()
    number = max(1, min(1000, int(BATCH_SECONDS / (perf_counter() - start))))

    def run() -> float:
        synchronize()
        start = perf_counter()
        for _ in range(number):
            call()
        synchronize()
        return (perf_counter() - start) / number

    return run


def list_calls(case: Case, cupy: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every way to compute a case that is installed, by name."""
    rng = np.random.default_rng(4)
    f = cupy.random.default_rng(3).standard_normal(case.shape, dtype=case.dtype)
    x = [rng.uniform(0.5, 1.5, n).cumsum().astype(case.dtype) for n in case.shape]
    spacing = x if case.uneven else [0.3]
    ours = getattr(gpugrad, case.operator)
    count = case.passes - 1
    out: Any = tuple(cupy.empty_like(f) for _ in range(count))
    out = out if count > 1 else out[0]
    yield "gpugrad", lambda: ours(f, *spacing)
    yield "out", lambda: ours(f, *spacing, out=out)

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        ours(f, *spacing, out=out)
        stream.begin_capture()
        ours(f, *spacing, out=out)
        graph = stream.end_capture()
    yield "graph", lambda: graph.launch(stream)

    if case.operator != "gradient":
        return
    on_gpu = [cupy.asarray(s) for s in x] if case.uneven else [0.3]
    yield "cupy", lambda: cupy.gradient(f, *on_gpu)
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            tensor = torch.from_dlpack(f)
            steps = tuple(map(torch.from_dlpack, on_gpu)) if case.uneven else 0.3
            compiled = torch.compile(lambda t: torch.gradient(t, spacing=steps))
            yield "gpugrad on torch", lambda: ours(tensor, *spacing)
            yield "torch", lambda: torch.gradient(tensor, spacing=steps)
            if len(case.shape) == 3:  # it takes seconds to compile for each shape
                yield "torch.compile", lambda: compiled(tensor)
    if find_spec("jax") and not case.uneven:
        # Otherwise JAX takes three quarters of the memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        if jax.default_backend() == "gpu":
            jax.config.update("jax_enable_x64", True)
            array = jax.dlpack.from_dlpack(f)
            jitted = jax.jit(lambda a: jax.numpy.gradient(a, 0.3))
            yield "gpugrad on jax", lambda: jax.block_until_ready(ours(array, *spacing))
            yield "jax.jit", lambda: jax.block_until_ready(jitted(array))


def list_targets(results: list[dict[str, Any]]) -> Iterator[Target]:
    """Yield what is promised of large fields in three dimensions, and of small ones."""
    for r in results:
        if r["shape"] == (512,) * 3:
            yield Target(f"{r['case']}: part of copying", r["of_copy"], "at least", 0.85)
            if "over_cupy" in r:
                limit = 8.0 if r["uneven"] else 5.0
                speed_up = Spread(**r["over_cupy"]).median
                yield Target(f"{r['case']}: times cupy", speed_up, "at least", limit, "x")
        if r["shape"] in ((64, 64), (32, 32, 32)):
            speed_up = Spread(**r["over_cupy"]).median
            yield Target(f"{r['case']}: times cupy", speed_up, "at least", 1.0, "x")
            speed_up = Spread(**r["graph_over_cupy"]).median
            yield Target(f"{r['case']}: times cupy, in a graph", speed_up, "at least", 5.0, "x")


if __name__ == "__main__":
    sys.exit(main())
