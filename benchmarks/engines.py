"""New arrays of all sizes by every engine, which shows where "auto" should change over."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

import gpugrad
from benchmarks.floor import has_compiler
from benchmarks.measure import batched
from benchmarks.table import Case, Heats, Promise, Row

BACKENDS = (
    ("auto", "slices", "numpy", "compiled") if has_compiler() else ("auto", "slices", "numpy")
)

SIZES = tuple(round(10 ** (i / 2)) for i in range(4, 15))
"""Samples of the fields: from a hundred to ten million."""


def list_cases(quick: bool) -> Iterator[Case]:
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
