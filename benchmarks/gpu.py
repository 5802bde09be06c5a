"""How fast gradients on a GPU are, beside other libraries' and beside copying memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.measure import Timer
from benchmarks.table import Case, Heats, Promise, Row
from gpugrad._devices import find_gpu

BATCH_SECONDS = 0.02

LARGE, SMALL = (512,) * 3, ((64, 64), (32, 32, 32))
"""The shapes for which something is promised."""


class Field(NamedTuple):
    """A field on the GPU, and what to compute of it."""

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


def find_problem() -> str | None:
    """Return why there is no GPU to be measured, and what would mend it."""
    gpu = find_gpu()
    return None if gpu.usable else f"There is no usable GPU: {gpu.problem}. To mend it: {gpu.cure}."


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield what fits into the GPU's memory."""
    import cupy

    free, gpu = cupy.cuda.Device().mem_info[0], find_gpu().devices[0]
    for field in list_fields(quick):
        if 3 * field.bytes * field.passes < free:
            yield make_case(field, gpu, cupy)


def make_case(field: Field, gpu: str, cupy: Any) -> Case:
    """Return the row of a field."""
    size = "x".join(map(str, field.shape))
    title = f"{field.operator} {size} {field.dtype}{' uneven' * field.uneven}"
    facts = {"gpu": gpu, **field._asdict(), "bytes": field.bytes, "passes": field.passes}
    return Case(title, partial(race_field, field, cupy), list_promises(field), facts)


def list_fields(quick: bool) -> Iterator[Field]:
    """Yield fields from 1 MB to 8 GB, in one to four dimensions."""
    small = [(1 << 18,), *SMALL]
    large = [(1 << 28,), (16384,) * 2, LARGE, (511,) * 3, (1024,) * 3, (64, 128, 128, 128)]
    cube = (64,) * 3 if quick else LARGE
    for dtype in ("float32", "float64"):
        for shape in small if quick else small + large:
            yield Field(shape, dtype)
        yield Field(cube, dtype, uneven=True)
        yield Field(cube, dtype, operator="laplacian")


def list_promises(field: Field) -> list[Promise]:
    """Return what is promised of large fields in three dimensions, and of small ones."""
    if field.shape == LARGE:
        speed_up = Promise("gpugrad", "speed_up_cupy", 8.0 if field.uneven else 5.0)
        return [Promise("gpugrad, out=", "of_copy", 0.85), speed_up]
    if field.shape in SMALL:
        graph = Promise("gpugrad, in a graph", "speed_up_cupy", 5.0)
        return [Promise("gpugrad", "speed_up_cupy", 1.0), graph]
    return []


def race_field(field: Field, cupy: Any, row: Row) -> Heats:
    """Time every way that is installed, and copying as many bytes."""
    synchronize = cupy.cuda.Device().synchronize
    calls = dict(list_calls(field, cupy))
    timers = {name: batch(call, synchronize) for name, call in calls.items()}
    copy = timers["copying"]
    # A copy of the field reads it once and writes it once.
    timers["copying"] = lambda: copy() * field.passes / 2
    yield timers
    cupy.get_default_memory_pool().free_all_blocks()


def batch(call: Callable[[], Any], synchronize: Callable[[], Any]) -> Timer:
    """Return a timer of as many calls as fill a moment, from an idle device to an idle device."""

    def run(number: int) -> float:
        synchronize()
        start = perf_counter()
        for _ in range(number):
            call()
        synchronize()
        return (perf_counter() - start) / number

    run(1)
    number = max(1, min(1000, int(BATCH_SECONDS / run(1))))
    return partial(run, number)


def list_calls(field: Field, cupy: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every way to compute a case that is installed, by name."""
    rng = np.random.default_rng(4)
    f = cupy.random.default_rng(3).standard_normal(field.shape, dtype=field.dtype)
    x = [rng.uniform(0.5, 1.5, n).cumsum().astype(field.dtype) for n in field.shape]
    spacing = x if field.uneven else [0.3]
    ours = getattr(gpugrad, field.operator)
    results = tuple(cupy.empty_like(f) for _ in range(field.passes - 1))
    out: Any = results if len(results) > 1 else results[0]
    yield "copying", lambda: cupy.copyto(results[0], f)
    yield "gpugrad", lambda: ours(f, *spacing)
    yield "gpugrad, out=", lambda: ours(f, *spacing, out=out)

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        ours(f, *spacing, out=out)
        stream.begin_capture()
        ours(f, *spacing, out=out)
        graph = stream.end_capture()
    yield "gpugrad, in a graph", lambda: graph.launch(stream)

    if field.operator != "gradient":
        return
    on_gpu = [cupy.asarray(s) for s in x] if field.uneven else [0.3]
    yield "cupy", lambda: cupy.gradient(f, *on_gpu)
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            tensor = torch.from_dlpack(f)
            steps = tuple(map(torch.from_dlpack, on_gpu)) if field.uneven else 0.3
            compiled = torch.compile(lambda t: torch.gradient(t, spacing=steps))
            yield "gpugrad on torch", lambda: ours(tensor, *spacing)
            yield "torch", lambda: torch.gradient(tensor, spacing=steps)
            if len(field.shape) == 3:  # it takes seconds to compile for each shape
                yield "torch.compile", lambda: compiled(tensor)
    if find_spec("jax") and not field.uneven:
        # Otherwise JAX takes three quarters of the memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        if jax.default_backend() == "gpu":
            jax.config.update("jax_enable_x64", True)
            array = jax.dlpack.from_dlpack(f)
            for name, gradient in (("gpugrad on jax.jit", ours), ("jax.jit", jax.numpy.gradient)):
                jitted = jax.jit(lambda a, gradient=gradient: gradient(a, 0.3))
                yield name, lambda jitted=jitted: jax.block_until_ready(jitted(array))
