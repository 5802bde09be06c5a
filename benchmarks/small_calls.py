"""What a call of `gpugrad.gradient` costs on tiny arrays, against `numpy.gradient`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Spread, Target

SHAPES = ((10,), (100,), (1000,), (5, 2), (10, 10), (25, 40))
LIMIT = 1.0

_rng = np.random.default_rng(2)


class Case(NamedTuple):
    """A way to call, as a statement with the names `gradient`, `f`, `xs` and `fresh`."""

    name: str
    statement: str
    samples_needed: int = 2
    ordinary: bool = True


CASES = (
    Case("no spacing", "gradient(f)"),
    Case("one float", "gradient(f, 0.5)"),
    Case("edge_order=2", "gradient(f, edge_order=2)", samples_needed=3),
    Case("coordinates, seen before", "gradient(f, *xs)"),
    Case("coordinates, always new", "gradient(f, *next(fresh))", ordinary=False),
)


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    rounds, number = (5, 70) if arguments.quick else (401, 200)
    results = [
        measure_case(case, shape, rounds, number)
        for shape in SHAPES
        for case in CASES
        if min(shape) >= case.samples_needed
    ]
    print(
        measure.format_table(
            ("call", "shape", "gpugrad us", "numpy us", "gpugrad / numpy"),
            map(format_row, results),
        )
    )
    targets = [
        Target(
            f"{r['case']}, {r['shape']}", r["cost_ratio"]["median"], "at most", LIMIT, " of numpy's"
        )
        for r in results
        if r["ordinary"]
    ]
    return measure.finish("small_calls", arguments, targets, {"cases": results})


def measure_case(case: Case, shape: tuple[int, ...], rounds: int, number: int) -> dict[str, Any]:
    """Time batches of both in turn; the ratio is taken between neighbouring batches."""
    f = _rng.standard_normal(shape)
    xs = next(draw_coordinates(shape, 1))

    def make_coordinates(names: dict[str, Any]) -> None:
        names["fresh"] = draw_coordinates(shape, number)

    functions = {"gpugrad": gpugrad.gradient, "numpy": np.gradient}
    names = {
        name: {"gradient": gradient, "f": f, "xs": xs, "fresh": iter([xs])}
        for name, gradient in functions.items()
    }
    assert_same_bits(case, *(eval(case.statement, names[name]) for name in functions))
    prepare = make_coordinates if "fresh" in case.statement else None
    seconds = measure.interleave(
        {name: measure.batched(case.statement, names[name], number, prepare) for name in functions},
        rounds,
        warm_up=2,
    )
    return {
        "case": case.name,
        "shape": "x".join(map(str, shape)),
        "ordinary": case.ordinary,
        "seconds": measure.summarize(seconds),
        "cost_ratio": measure.ratios(seconds["gpugrad"], seconds["numpy"])._asdict(),
    }


def draw_coordinates(shape: tuple[int, ...], number: int) -> Iterator[tuple[Any, ...]]:
    """Draw uneven coordinates for every axis, `number` times, values never seen before."""
    axes = [_rng.uniform(0.5, 1.5, (number, n)).cumsum(axis=1) for n in shape]
    return iter([*zip(*axes, strict=True)])


def assert_same_bits(case: Case, ours: Any, numpys: Any) -> None:
    """Raise unless both results are the same in type, dtype and every bit."""
    if type(ours) is not type(numpys):
        raise AssertionError(f"{case.name}: {type(ours).__name__}, not {type(numpys).__name__}")
    for a, b in zip(np.atleast_1d(ours), np.atleast_1d(numpys), strict=True):
        if a.dtype != b.dtype or not np.array_equal(a, b):
            raise AssertionError(f"{case.name}: the results differ from NumPy's")


def format_row(result: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""
    ours, numpys = (Spread(**result["seconds"][name]) for name in ("gpugrad", "numpy"))
    ratio = Spread(**result["cost_ratio"])
    return (
        result["case"],
        result["shape"],
        f"{ours.median * 1e6:.2f}",
        f"{numpys.median * 1e6:.2f}",
        f"{ratio:.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
