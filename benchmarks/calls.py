"""What a call costs beside its arithmetic: on tiny arrays, by engine, and in a fresh process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np

import gpugrad
from benchmarks.floor import has_compiler
from benchmarks.measure import assert_same_bits, batched, resident_peak, run_python
from benchmarks.table import Case, Heats, Promise, Row

SHAPES = ((10,), (100,), (1000,), (5, 2), (10, 10), (25, 40))

STATEMENTS = {
    "no spacing": "gradient(f)",
    "one float": "gradient(f, 0.5)",
    "edge_order=2": "gradient(f, edge_order=2)",
    "coordinates, seen before": "gradient(f, *xs)",
    "coordinates, always new": "gradient(f, *next(fresh))",  # for these nothing is promised
}

BACKENDS = (
    ("auto", "slices", "numpy", "compiled") if has_compiler() else ("auto", "slices", "numpy")
)

SIZES = tuple(round(10 ** (i / 2)) for i in range(4, 15))
"""Samples of the fields on which engines are compared: from a hundred to ten million."""

_FIRST_CALL = """
from time import perf_counter
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal((128,) * 3)
out = tuple(np.zeros_like(f) for _ in f.shape)
def call():
    start = perf_counter()
    gpugrad.gradient(f, out=out, backend="compiled")
    return perf_counter() - start
first = call()
print(first - sorted(call() for _ in range(5))[2])
"""

_PAGES = """
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal(({side},) * 3)
out = tuple(np.full_like(f, 0.0) for _ in f.shape)
def call(rows):
    gpugrad.gradient(f[:rows], out=tuple(result[:rows] for result in out), backend={backend!r})
call({rows})
"""


def list_small_calls(quick: bool) -> Iterator[Case]:
    """Yield ways to call, on a few numbers, beside NumPy."""
    for shape in SHAPES:
        for name, statement in STATEMENTS.items():
            if name == "edge_order=2" and min(shape) < 3:
                continue
            race = partial(race_statement, statement, shape, 10 if quick else 200)
            promises = () if "new" in name else (Promise("gpugrad", "over_numpy", 1.0),)
            yield Case(f"{'x'.join(map(str, shape))}, {name}", race, promises)


def race_statement(statement: str, shape: tuple[int, ...], number: int, row: Row) -> Heats:
    """Compare the bits, then time batches of a statement, the same for both libraries."""
    rng = np.random.default_rng(2)
    f = rng.standard_normal(shape)

    def draw_coordinates(number: int) -> Iterator[tuple[Any, ...]]:
        axes = [rng.uniform(0.5, 1.5, (number, n)).cumsum(axis=1) for n in shape]
        return iter([*zip(*axes, strict=True)])

    def renew(names: dict[str, Any]) -> None:
        names["fresh"] = draw_coordinates(number)

    xs = next(draw_coordinates(1))
    timers, results = {}, []
    for name, gradient in (("gpugrad", gpugrad.gradient), ("numpy", np.gradient)):
        names = {"gradient": gradient, "f": f, "xs": xs, "fresh": iter([xs])}
        results.append(eval(statement, names))
        timers[name] = batched(statement, names, number, renew if "fresh" in statement else None)
    ours, numpys = results
    if type(ours) is not type(numpys):
        raise AssertionError(f"{statement}: {type(ours).__name__}, not {type(numpys).__name__}")
    assert_same_bits(statement, ours, numpys)
    yield timers


def list_engines(quick: bool) -> Iterator[Case]:
    """Yield fields of all sizes, which show where "auto" should change over."""
    for dimension in (3, 1):
        for size in (100, 10_000, 200_000) if quick else SIZES:
            shape = (round(size ** (1 / dimension)),) * dimension
            title = f"{'x'.join(map(str, shape))}, by engine"
            promise = Promise("auto", "over_slices", 1.1)
            yield Case(title, partial(race_engines, shape, quick), (promise,))


def race_engines(shape: tuple[int, ...], quick: bool, row: Row) -> Heats:
    """Time calls by each engine, the compiler being there."""
    load_compiled_engine()
    timers = {}
    names = {"gradient": gpugrad.gradient, "f": np.random.default_rng(3).standard_normal(shape)}
    for backend in BACKENDS:
        statement = f"gradient(f, backend={backend!r})"
        once = min(batched(statement, names, 1)() for _ in range(3))
        number = 1 if quick else max(1, round(0.01 / once))  # a batch of a hundredth of a second
        timers[backend] = batched(statement, names, number)
    yield timers


@cache
def load_compiled_engine() -> None:
    """Work with "auto" until it has seen enough results to take the compiled engine."""
    f = np.zeros(1 << 20)
    out = np.zeros_like(f)
    for _ in range(40):
        gpugrad.gradient(f, out=out, backend="auto")


def list_beginnings(quick: bool) -> Iterator[Case]:
    """Yield what a process pays once: the import, the first compiled call, pages of memory."""
    cost = Promise("gpugrad", "over_dependencies", 1.15)
    yield Case("import in a fresh process", race_imports, (cost,))
    if has_compiler():
        limit = Promise("gpugrad", "seconds", 0.5)
        yield Case("first compiled call, beyond a later one", race_first_call, (limit,))
    side = 48 if quick else 256
    yield Case(f"pages that a call adds, {side}^3 into `out`", partial(find_pages, side))


def race_imports(row: Row) -> Heats:
    """Time imports in fresh processes."""
    modules = {"gpugrad": "gpugrad", "dependencies": "numpy, array_api_compat"}
    code = "from time import perf_counter as now; start = now(); import {}; print(now() - start)"
    yield {n: lambda m=m: float(run_python(code.format(m))) for n, m in modules.items()}


def race_first_call(row: Row) -> Heats:
    """Time first calls in fresh processes: the compiler's import and its work, no other import."""
    yield {"gpugrad": lambda: float(run_python(_FIRST_CALL))}


def find_pages(side: int, row: Row) -> Heats:
    """Find the memory that a fresh process takes in a call, thread stacks and all."""
    row["extra_megabytes"] = {}
    first = {"compiled": side, "numpy": 4} if has_compiler() else {"numpy": 4}
    for backend, rows in first.items():
        extra = resident_peak(_PAGES.format(side=side, backend=backend, rows=rows), f"call({side})")
        if extra is not None:
            row["extra_megabytes"][f"gpugrad {backend}"] = extra / 1e6
    return ()
