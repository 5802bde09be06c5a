"""Operators and higher accuracies, beside NumPy, findiff and the floor of each one's own passes.

An operator's floor reads each field once and writes each result once: one read and three writes
for a gradient, one and one for a Laplacian or a norm, three and one for a divergence, three and
three for a curl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import factorial
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.floor import race_floor
from benchmarks.measure import as_tuple, timed
from benchmarks.table import Case, Heats, Promise, Row

FLOORS = {"divergence": 1.4, "curl": 1.4, "gradient_norm": 1.7, "laplacian, accuracy 2": 1.7}
"""At most so many times the floor."""


class Operator(NamedTuple):
    """An operator on a vector field, or on its first component, and others that do the same."""

    name: str
    ours: Callable[[Any, Any], Any]  # takes the field and arrays for the results
    numpy: Callable[[Any], Any]
    findiff: Callable[[Any, Any], Any]  # takes the field and the module
    sources: Callable[[Any], Sequence[Any]]  # returns what the floor adds up for each result
    spoiled: int = 1  # how many samples at each end findiff has other formulas for
    same_bits: bool = False  # whether NumPy's steps are ours


def list_operators() -> Iterator[Operator]:
    """Yield all operators, on a grid with unit spacing."""
    steps = [1.0] * 3
    for p in (4, 6, 8):
        yield Operator(
            f"gradient, accuracy {p}",
            lambda v, out, p=p: gpugrad.gradient(v[0], accuracy=p, out=out),
            lambda v, p=p: [differentiate(v[0], axis, 1, p) for axis in range(3)],
            lambda v, findiff, p=p: [*findiff.Gradient(h=steps, acc=p)(v[0])],
            lambda v: [[v[0]]] * 3,
            p // 2,
        )
    for p in (2, 4):
        yield Operator(
            f"laplacian, accuracy {p}",
            lambda v, out, p=p: gpugrad.laplacian(v[0], accuracy=p, out=out[0]),
            lambda v, p=p: sum(differentiate(v[0], axis, 2, p) for axis in range(3)),
            lambda v, findiff, p=p: findiff.Laplacian(h=steps, acc=p)(v[0]),
            lambda v: [[v[0]]],
            p // 2,
        )
    yield Operator(
        "divergence",
        lambda v, out: gpugrad.divergence(v, out=out[0]),
        lambda v: sum(np.gradient(v[axis], axis=axis) for axis in range(3)),
        lambda v, findiff: findiff.Divergence(h=steps, acc=2)(v),
        lambda v: [[*v]],
        same_bits=True,
    )
    yield Operator(
        "curl",
        lambda v, out: gpugrad.curl(v, out=out),
        curl,
        lambda v, findiff: [*findiff.Curl(h=steps, acc=2)(v)],
        lambda v: [[component] for component in v],
        same_bits=True,
    )
    yield Operator(
        "gradient_norm",
        lambda v, out: gpugrad.gradient_norm(v[0], out=out[0]),
        lambda v: np.sqrt(sum(slope * slope for slope in np.gradient(v[0]))),
        lambda v, findiff: np.sqrt((findiff.Gradient(h=steps, acc=2)(v[0]) ** 2).sum(axis=0)),
        lambda v: [[v[0]]],
        same_bits=True,
    )


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield each operator in both dtypes."""
    length = 24 if quick else 256
    for dtype in ("float64", "float32"):
        for operator in list_operators():
            promises = [Promise("gpugrad", key, 8.0) for key in ("speed_up", "speed_up_findiff")]
            if operator.name in FLOORS:
                promises.append(Promise("gpugrad", "over_floor", FLOORS[operator.name]))
            race = partial(race_operator, operator, length, dtype)
            yield Case(f"{length}^3 {dtype}, {operator.name}", race, promises)


def race_operator(operator: Operator, length: int, dtype: str, row: Row) -> Heats:
    """Check the results, then time ours with the floor, and after that with the others."""
    v = np.random.default_rng(7).standard_normal((3,) + (length,) * 3, np.dtype(dtype))
    expected = as_tuple(operator.numpy(v))
    out = tuple(np.zeros_like(result) for result in expected)
    operator.ours(v, out)
    assert_close("gpugrad", out, expected, 0, 0.0 if operator.same_bits else None)
    ours = {"gpugrad": timed(lambda: operator.ours(v, out))}
    others = {"numpy": timed(lambda: operator.numpy(v))}
    try:
        import findiff
    except ImportError:
        row["skipped"]["findiff"] = "findiff is not installed"
    else:
        assert_close("findiff", operator.findiff(v, findiff), expected, operator.spoiled)
        others["findiff"] = timed(lambda: operator.findiff(v, findiff))
    del expected
    yield ours | race_floor(row, operator.sources(v), [np.zeros_like(result) for result in out])
    yield ours | others


def curl(v: Any) -> list[Any]:
    """Return the curl of a vector field, written with `numpy.gradient`."""
    pairs = ((1, 2), (2, 0), (0, 1))
    return [np.gradient(v[j], axis=i) - np.gradient(v[i], axis=j) for i, j in pairs]


def differentiate(f: Any, axis: int, order: int, accuracy: int) -> Any:
    """Return a derivative with unit spacing, written with slices of NumPy's.

    Central differences inside, one-sided ones of the same accuracy in the rows at the ends.
    """
    f = np.moveaxis(f, axis, 0)
    n, radius, reach = len(f), (order - 1) // 2 + accuracy // 2, order + accuracy
    result = np.empty_like(f)
    taps = np.arange(-radius, radius + 1)
    inside = zip(taps.tolist(), find_weights(taps, order), strict=True)
    result[radius : n - radius] = sum(w * f[radius + k : n - radius + k] for k, w in inside if w)
    for i in range(radius):
        weights = find_weights(np.arange(reach) - i, order)
        result[i] = sum(w * f[k] for k, w in enumerate(weights))
        sign = (-1) ** order
        result[n - 1 - i] = sum(sign * w * f[n - 1 - k] for k, w in enumerate(weights))
    return np.moveaxis(result, 0, axis)


def find_weights(offsets: Any, order: int) -> list[float]:
    """Return the weights by which samples at these offsets give a derivative."""
    powers = np.vander(offsets, increasing=True).T
    sought = np.zeros(len(offsets))
    sought[order] = factorial(order)
    weights: list[float] = np.linalg.solve(powers, sought).round(14).tolist()
    return weights


def assert_close(
    name: str, results: Any, expected: Any, spoiled: int, tolerance: float | None = None
) -> None:
    """Raise unless results agree but for rounding, and for some samples at each end."""
    for a, b in zip(as_tuple(results), expected, strict=True):
        inside = (slice(spoiled, -spoiled or None),) * b.ndim
        if tolerance is None:
            tolerance = 1e-3 if b.dtype == np.float32 else 1e-9
        if not np.allclose(a[inside], b[inside], tolerance, tolerance):
            raise AssertionError(f"the results of {name} differ from NumPy's")
