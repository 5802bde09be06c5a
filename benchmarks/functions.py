"""Derivatives of functions: what `gradient_of` costs beside its evaluations, and how it errs."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import gpugrad
from benchmarks.measure import ROOT, timed
from benchmarks.table import Case, Heats, Promise, Row

COST_POINTS = {
    "auto": 1_000_000,
    "central": 1_000_000,
    "complex": 1_000_000,
    "extrapolation": 100_000,  # to search the best step costs as much as such functions do
}
"""The methods whose cost is measured, and at how many points."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin(x)*exp(-y*y)*cos(z)": lambda x, y, z: np.sin(x) * np.exp(-y * y) * np.cos(z),
    "2*x**2 + 3*y**2 - 4*z": lambda x, y, z: 2 * x**2 + 3 * y**2 - 4 * z,
}

ERROR_METHODS = ("auto", "extrapolation", "central")

_rng = np.random.default_rng(3)


def list_costs(quick: bool) -> Iterator[Case]:
    """Yield each function with each method, without and with estimates of the error."""
    for function in FUNCTIONS:
        for method, points in COST_POINTS.items():
            for with_error in (False, True):
                title = f"{function}, {method}{', with errors' * with_error}"
                race = partial(race_function, function, method, with_error)
                promised = not with_error and method != "extrapolation"
                promises = [Promise("gpugrad", "over_evaluations", 1.3)] * promised
                count = 2000 if quick else points
                yield Case(title, partial(race, count), promises, {"points": count})


def race_function(function: str, method: str, with_error: bool, count: int, row: Row) -> Heats:
    """Time the gradient and as many evaluations as it makes, each for all points at a time."""
    func, points = FUNCTIONS[function], _rng.uniform(-2.0, 2.0, (3, count))
    gradient = gpugrad.gradient_of(func, method=method, return_error=with_error)
    evaluations = record_evaluations(func, points, method=method, return_error=with_error)
    row["values_per_point"] = {"gpugrad": evaluations.total()}
    arrays = {kinds: [draw_numbers(kind, count) for kind in kinds] for kinds in evaluations}

    def evaluate() -> None:
        with np.errstate(all="ignore"):
            for kinds, number in evaluations.items():
                for _ in range(number):
                    func(*arrays[kinds])

    yield {"gpugrad": timed(lambda: gradient(*points)), "evaluations": timed(evaluate)}


def record_evaluations(func: Callable[..., Any], points: Any, **options: Any) -> Counter[Any]:
    """Return how often a gradient evaluates a function for all points, by dtypes of arguments."""
    values: Counter[Any] = Counter()

    def recorded(*coords: Any) -> Any:
        arrays = [c if isinstance(c, np.ndarray) else c._values for c in coords]
        values[tuple(a.dtype for a in arrays)] += max(a.size for a in arrays)
        return func(*coords)

    gradient = gpugrad.gradient_of(recorded, **options)
    gradient(*points)
    values.clear()  # what is only done in the first call
    gradient(*points)
    return Counter({dtypes: round(number / points[0].size) for dtypes, number in values.items()})


def draw_numbers(dtype: np.dtype[Any], count: int) -> Any:
    """Return numbers from -2 to 2, the complex ones with a tiny imaginary part."""
    numbers = _rng.uniform(-2.0, 2.0, count).astype(dtype)
    return numbers + 2.0**-100 * 1j if dtype.kind == "c" else numbers


def list_errors(quick: bool) -> Iterator[Case]:
    """Yield functions with known gradients, and last all of them together."""
    sys.path.insert(0, str(ROOT / "tests"))
    from function_table import TABLE

    table = TABLE[:3] if quick else TABLE
    rows: list[Row] = []
    for function in table:
        yield Case(function.formula, partial(find_errors, function, 20 if quick else 200, rows))
    promises = [Promise("auto", "error", 1e-10)]
    promises += [Promise(method, "bounded", 0.99) for method in ERROR_METHODS]
    yield Case(f"{len(table)} functions", partial(join_errors, rows), promises)


def find_errors(function: Any, count: int, rows: list[Row], row: Row) -> Heats:
    """Compare gradients at random points with SymPy's, of 40 digits.

    Found are the largest error, relative to the largest component of the gradient; the share of
    numbers whose error is within the estimate (an estimate of NaN counts as a miss); the share that
    has a finite estimate; the share that is NaN; and the median of estimates over true errors.
    """
    points = function.points(np.random.default_rng(1), count)
    orders = np.eye(len(points), dtype=int).tolist()
    exact = np.stack([function.exact(points, *order) for order in orders])
    for method in ERROR_METHODS:
        func = function.function()
        gradient = gpugrad.gradient_of(func, method=method, stack=True, return_error=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", gpugrad.GpugradWarning)
            value, estimate = gradient(*points)
        off, told = np.abs(value - exact), ~np.isnan(value)
        finite = told & np.isfinite(estimate)
        wrong = finite & (off > 0)
        relative = off / np.max(np.abs(exact), axis=0)
        figures = {
            "error": np.max(relative[finite], initial=0.0),
            "bounded": np.mean((off <= estimate)[told]) if told.any() else 1.0,
            "finite": np.mean(finite),
            "none": np.mean(~told),
        }
        if wrong.any():
            figures["estimate_over_error"] = np.median(estimate[wrong] / off[wrong])
        for key, figure in figures.items():
            row.setdefault(key, {})[method] = float(figure)
    rows.append(row)
    return ()


def join_errors(rows: list[Row], row: Row) -> Heats:
    """Take the largest of all errors, the means of all shares, the median of all medians."""
    means = {"error": max, "estimate_over_error": np.median}
    for key in ("error", "bounded", "finite", "none", "estimate_over_error"):
        row[key] = {
            method: float(means.get(key, np.mean)(found))
            for method in ERROR_METHODS
            if (found := [r[key][method] for r in rows if method in r.get(key, {})])
        }
    return ()


def list_bounds(quick: bool) -> Iterator[Case]:
    """Yield the table of five hundred functions, and SciPy's distributions."""
    sys.path.insert(0, str(ROOT / "tests"))
    import bounds_table

    rows = bounds_table.ROWS[::100] if quick else bounds_table.ROWS
    laws = bounds_table.distributions()[::60] if quick else bounds_table.distributions()
    promises = [Promise(method, "bounded", 0.99) for method in ERROR_METHODS]
    judges: dict[str, Callable[[str], Any]] = {
        f"{len(rows)} functions": lambda method: (
            bounds_table.judge_row(row, method) for row in rows
        ),
        f"{len(laws)} distributions": lambda method: (
            bounds_table.judge_distribution(name, shapes, method, 8) for name, shapes in laws
        ),
    }
    for title, judge in judges.items():
        yield Case(title, partial(find_bounds, judge), promises)


def find_bounds(judge: Callable[[str], Any], row: Row) -> Heats:
    """Find the shares of bounds that hold and that are finite, and what they are to the errors."""
    from bounds_table import summarize

    for method in ERROR_METHODS:
        figures = summarize(judge(method))
        figures["none"] = 1.0 - figures.pop("told")
        for key, figure in figures.items():
            row.setdefault(key, {})[method] = float(figure)
    return ()
