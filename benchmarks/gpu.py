"""How fast gradients on a GPU are, beside other libraries' and beside copying memory."""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.measure import Timer
from benchmarks.table import Case, Heats, Promise, Row
from gpugrad._arrays.devices import find_gpu

BATCH_SECONDS = 0.02

LARGE, SMALL = (512,) * 3, ((64, 64), (32, 32, 32))
"""The shapes for which something is promised."""


class Field(NamedTuple):
    """A field on the GPU, and what to compute of it."""

    shape: tuple[int, ...]
    dtype: str
    uneven: bool = False
    operator: str = "gradient"
    accuracy: int = 2

    @property
    def options(self) -> dict[str, int]:
        """What our operators are told beside the spacing: nothing where NumPy's formulas do."""
        return {} if self.accuracy == 2 else {"accuracy": self.accuracy}

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


def name_device() -> str:
    """Return the name of the GPU that is measured."""
    return find_gpu().devices[0]


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
    title += f" accuracy {field.accuracy}" * (field.accuracy > 2)
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
        yield Field(cube, dtype, operator="laplacian", uneven=True)
        yield Field(cube, dtype, accuracy=8)
        yield Field(cube, dtype, operator="laplacian", accuracy=8)


def list_promises(field: Field) -> list[Promise]:
    """Return what is promised of large fields in three dimensions, and of small ones."""
    if field.accuracy > 2:
        return [Promise("gpugrad, out=", "of_copy", 0.45)] if field.shape == LARGE else []
    if field.shape == LARGE:
        speed_up = Promise("gpugrad", "speed_up_cupy", 8.0 if field.uneven else 5.0)
        least = 0.85 if field.uneven or field.operator == "laplacian" else 0.9
        return [Promise("gpugrad, out=", "of_copy", least), speed_up]
    if field.shape in SMALL:
        graph = Promise("gpugrad, in a graph", "speed_up_cupy", 5.0)
        return [Promise("gpugrad", "speed_up_cupy", 1.0), graph]
    return []


def race_field(field: Field, cupy: Any, row: Row) -> Heats:
    """Time every way that is installed, and copying as many bytes, one library after the other.

    Each library keeps the memory that it has had, so that all at once would need it three times.
    """
    synchronize = cupy.cuda.Device().synchronize
    f = cupy.random.default_rng(3).standard_normal(field.shape, dtype=field.dtype)
    rng = np.random.default_rng(4)
    spacing: list[Any] = [0.3]
    if field.uneven:
        spacing = [rng.uniform(0.5, 1.5, n).cumsum().astype(field.dtype) for n in field.shape]
    for list_calls, free in ((list_cupy, free_nothing), (list_torch, free_torch),
                             (list_jax, free_nothing)):  # fmt: skip
        timers = dict(try_all(list_calls(field, cupy, f, spacing), synchronize, row["skipped"]))
        if timers:
            target = cupy.empty_like(f)
            timers["copying"] = time_copying(field, cupy, target, f)
            yield timers
            del target
        timers.clear()
        gc.collect()
        cupy.get_default_memory_pool().free_all_blocks()
        free()


def try_all(
    calls: Iterator[tuple[str, Callable[[], Any]]],
    synchronize: Callable[[], Any],
    skipped: dict[str, str],
) -> Iterator[tuple[str, Timer]]:
    """Yield timers of those ways that work; note in `skipped` why others do not."""
    name = "the first of a library"
    try:
        for name, call in calls:
            try:
                timer = batch(call, synchronize)
            except Exception as error:  # noqa: BLE001 - the memory is full, as a rule
                skipped[name] = f"{type(error).__name__}: {error}"[:200]
            else:
                yield name, timer
    except Exception as error:  # noqa: BLE001 - a library that cannot even be asked
        skipped[f"what comes after {name}"] = f"{type(error).__name__}: {error}"[:200]


def free_nothing() -> None:
    """Leave it to the library."""


def free_torch() -> None:
    """Give PyTorch's unused memory back to the GPU."""
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()


def time_copying(field: Field, cupy: Any, target: Any, f: Any) -> Timer:
    """Return a timer of copying as many bytes as a case reads and writes."""
    copy = batch(lambda: cupy.copyto(target, f), cupy.cuda.Device().synchronize)
    # A copy of the field reads it once and writes it once.
    return lambda: copy() * field.passes / 2


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


def list_cupy(
    field: Field, cupy: Any, f: Any, spacing: list[Any]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ways to compute a case on CuPy's arrays, by name."""
    ours = partial(getattr(gpugrad, field.operator), **field.options)
    results = tuple(cupy.empty_like(f) for _ in range(field.passes - 1))
    out: Any = results if len(results) > 1 else results[0]
    yield "gpugrad", lambda: ours(f, *spacing)
    yield "gpugrad, out=", lambda: ours(f, *spacing, out=out)

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        ours(f, *spacing, out=out)
        stream.begin_capture()
        ours(f, *spacing, out=out)
        graph = stream.end_capture()
    yield "gpugrad, in a graph", lambda: graph.launch(stream)
    if field.operator == "gradient" and field.accuracy == 2:
        on_gpu = [cupy.asarray(s) for s in spacing] if field.uneven else spacing
        yield "cupy", lambda: cupy.gradient(f, *on_gpu)


def list_torch(
    field: Field, cupy: Any, f: Any, spacing: list[Any]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ways to compute a gradient of PyTorch's tensors, by name."""
    if field.operator != "gradient" or field.accuracy > 2 or not find_spec("torch"):
        return
    import torch

    if not torch.cuda.is_available():
        return
    tensor = torch.from_dlpack(f)
    steps: Any = 0.3
    if field.uneven:
        steps = tuple(torch.from_dlpack(cupy.asarray(s)) for s in spacing)
    yield "gpugrad on torch", lambda: gpugrad.gradient(tensor, *spacing)
    yield "torch", lambda: torch.gradient(tensor, spacing=steps)
    if len(field.shape) == 3:  # it takes seconds to compile for each shape
        torch._dynamo.reset()  # after eight shapes it would compile no more, and not say so
        compiled = torch.compile(lambda t: torch.gradient(t, spacing=steps), dynamic=False)
        yield "torch.compile", lambda: compiled(tensor)


def list_jax(
    field: Field, cupy: Any, f: Any, spacing: list[Any]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the ways to compute a gradient of JAX's arrays, by name."""
    if field.operator != "gradient" or field.accuracy > 2 or field.uneven or not find_spec("jax"):
        return
    # Otherwise JAX takes three quarters of the memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    if jax.default_backend() != "gpu":
        return
    jax.config.update("jax_enable_x64", True)
    array = jax.dlpack.from_dlpack(f)
    h = spacing[0]
    for name, call in (("gpugrad on jax.jit", gpugrad.gradient), ("jax.jit", jax.numpy.gradient)):
        jitted = jax.jit(lambda a, call=call: call(a, h))
        yield name, lambda jitted=jitted: jax.block_until_ready(jitted(array))
