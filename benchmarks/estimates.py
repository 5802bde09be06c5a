"""How many errors of derivatives `error_estimate` bounds on well-sampled fields, ends included.

A field counts as well sampled where no error is more than a hundredth of the greatest derivative.
Samples and derivatives are computed in extended precision, and samples then rounded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import gpugrad
from benchmarks.table import Case, Heats, Promise, Row

FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "sine": (
        lambda x: np.sin(3 * x + 1),
        lambda x: 3 * np.cos(3 * x + 1),
        lambda x: -9 * np.sin(3 * x + 1),
    ),
    "bell": (
        lambda x: np.exp(-(x**2)),
        lambda x: -2 * x * np.exp(-(x**2)),
        lambda x: (4 * x**2 - 2) * np.exp(-(x**2)),
    ),
    "witch": (
        lambda x: 1 / (1 + x**2),
        lambda x: -2 * x / (1 + x**2) ** 2,
        lambda x: (6 * x**2 - 2) / (1 + x**2) ** 3,
    ),
    "growth": (np.exp, np.exp, np.exp),
    "chirp": (
        lambda x: np.sin(x**2),
        lambda x: 2 * x * np.cos(x**2),
        lambda x: 2 * np.cos(x**2) - 4 * x**2 * np.sin(x**2),
    ),
    "logistic": (
        lambda x: np.tanh(x),
        lambda x: 1 - np.tanh(x) ** 2,
        lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2),
    ),
    "waves": (
        lambda x: np.sin(x) + np.cos(2 * x) / 2 + np.sin(5 * x) / 10,
        lambda x: np.cos(x) - np.sin(2 * x) + np.cos(5 * x) / 2,
        lambda x: -np.sin(x) - 2 * np.cos(2 * x) - 2.5 * np.sin(5 * x),
    ),
    "cubic": (lambda x: x**3 - x, lambda x: 3 * x**2 - 1, lambda x: 6 * x),
    "logarithm": (lambda x: np.log(x + 4), lambda x: 1 / (x + 4), lambda x: -1 / (x + 4) ** 2),
}

LENGTHS = (41, 81, 161, 401, 1601)


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield a row for each dtype, accuracy, kind of ends, spacing, and number of dimensions."""
    lengths = LENGTHS[:2] if quick else LENGTHS
    dtypes = ("float64",) if quick else ("float64", "float32", "float16")
    for dtype, accuracy, even, ends, ndim in itertools.product(
        dtypes, (2, 4, 6, 8), (True, False), ("default", "as inside"), (1, 2)
    ):
        if accuracy > 2 and ends == "as inside":
            continue  # they are so by default
        title = (
            f"{dtype}, accuracy {accuracy}, {'even' if even else 'uneven'}, ends {ends}, {ndim}-D"
        )
        promises = [Promise(name, "bounded", 0.95) for name in ("all", "ends")]
        race = partial(find_shares, dtype, accuracy, even, ends, ndim, lengths)
        yield Case(title, race, promises)


def find_shares(
    dtype: str, accuracy: int, even: bool, ends: str, ndim: int, lengths: Any, row: Row
) -> Heats:
    """Find the share of errors within estimates, and the median of estimates over errors."""
    bounded: dict[str, list[Any]] = {"all": [], "ends": []}
    over: dict[str, list[Any]] = {"all": [], "ends": []}
    edge = {} if ends == "default" else {"edge_accuracy": accuracy}
    for functions, length, order in itertools.product(FUNCTIONS.values(), lengths, (1, 2)):
        x = 6 * np.arange(length, dtype=np.longdouble) / (length - 1) - 3
        if not even:
            x = (x + 0.06 * np.sin(5 * x)).astype(np.float64).astype(np.longdouble)
        f, exact = functions[0](x), functions[order](x)
        if ndim == 2:
            factors = np.array([[1.0], [-0.3], [7.0]])
            f, exact = factors * f, factors * exact
        f = f.astype(dtype)
        spacing: Any = float(6 / (length - 1)) if even else x.astype(np.float64)
        options: Any = {"order": order, "accuracy": accuracy, **edge}
        slope = gpugrad.derivative(f, spacing, **options).astype(np.longdouble)
        error = np.abs(slope - exact)
        if error.max() > 0.01 * np.abs(exact).max():
            continue
        estimate = gpugrad.error_estimate(f, spacing, **options)
        # As many rows at each end as have formulas of their own, or neighbours that have.
        reach = accuracy // 2 + 1
        at_ends = np.r_[0:reach, length - reach : length]
        for name, rows in (("all", slice(None)), ("ends", at_ends)):
            bounded[name].append((error <= estimate)[..., rows].ravel())
            positive = error[..., rows] > 0
            over[name].append((estimate[..., rows][positive] / error[..., rows][positive]).ravel())
    row["bounded"] = {name: float(np.concatenate(b).mean()) for name, b in bounded.items() if b}
    row["estimate_over_error"] = {
        name: float(np.median(np.concatenate(o))) for name, o in over.items() if o
    }
    return ()
