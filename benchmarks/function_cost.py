"""What `gradient_of` costs, beside the evaluations of the function that it makes.

The evaluations are recorded once: how often the function is called, with arrays of which shape,
dtype and layout. Then they are made alone, in turn with the whole call: once as one writes them,
each for all points at a time, and once as recorded, for blocks of points that stay in the cache,
where functions that are cheap take but a part of the time.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Spread, Target

LIMIT = 1.3
METHODS = {
    "auto": 1_000_000,
    "central": 1_000_000,
    "complex": 1_000_000,
    "extrapolation": 100_000,
}
"""The methods, and at how many points they are measured."""
PROMISED = ("auto", "central", "complex")
"""To search the best step costs as much as such functions do."""

_rng = np.random.default_rng(3)


def wave(x: Any, y: Any, z: Any) -> Any:
    return np.sin(x) * np.exp(-y * y) * np.cos(z)


def polynomial(x: Any, y: Any, z: Any) -> Any:
    return 2 * x**2 + 3 * y**2 - 4 * z


FUNCTIONS = {"sin(x)*exp(-y*y)*cos(z)": wave, "2*x**2 + 3*y**2 - 4*z": polynomial}


class Layout(NamedTuple):
    """What an argument of the function was, but for its values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    results = [
        measure_case(name, method, 2000 if arguments.quick else points, with_error, arguments.quick)
        for name in FUNCTIONS
        for method, points in METHODS.items()
        for with_error in (False, True)
    ]
    print(
        measure.format_table(
            (
                "function",
                "method",
                "error",
                "points",
                "values",
                "ns a value",
                "x evaluations",
                "x the same in blocks",
            ),
            map(format_row, results),
        )
    )
    targets = [
        Target(
            f"{r['method']}, {r['function']}",
            r["cost_ratio"]["median"],
            "at most",
            LIMIT,
            " of the evaluations",
        )
        for r in results
        if not r["with_error"] and r["method"] in PROMISED
    ]
    return measure.finish("function_cost", arguments, targets, {"cases": results})


def measure_case(
    name: str, method: str, count: int, with_error: bool, is_quick: bool
) -> dict[str, Any]:
    """Time the gradient and the evaluations that it makes in turn."""
    func = FUNCTIONS[name]
    points = _rng.uniform(-2.0, 2.0, (3, count))
    calls: list[tuple[Layout, ...]] = []

    def recorded(*coords: Any) -> Any:
        calls.append(tuple(layout_of(c) for c in coords))
        return func(*coords)

    options: dict[str, Any] = {"method": method, "return_error": with_error}
    recorder = gpugrad.gradient_of(recorded, **options)
    recorder(*points)
    calls.clear()  # what is only done in the first call
    recorder(*points)
    whole = gpugrad.gradient_of(func, **options)
    seconds = measure.interleave(
        {
            "gradient": measure.timed(lambda: whole(*points)),
            "evaluations": measure.timed(make_evaluations(func, join_calls(calls, count))),
            "in blocks": measure.timed(make_evaluations(func, calls)),
        },
        rounds=2 if is_quick else 11,
        warm_up=1,
    )
    values = sum(max(int(np.prod(part.shape)) for part in call) for call in calls)
    return {
        "function": name,
        "method": method,
        "with_error": with_error,
        "points": count,
        "calls": len(calls),
        "values_per_point": values / count,
        "seconds": measure.summarize(seconds),
        "cost_ratio": measure.ratios(seconds["gradient"], seconds["evaluations"])._asdict(),
        "block_ratio": measure.ratios(seconds["gradient"], seconds["in blocks"])._asdict(),
    }


def join_calls(calls: list[tuple[Layout, ...]], count: int) -> list[tuple[Layout, ...]]:
    """Return calls for all points at a time that make as many evaluations of each kind."""
    values: Counter[tuple[np.dtype[Any], ...]] = Counter()
    for call in calls:
        values[tuple(part.dtype for part in call)] += max(math.prod(part.shape) for part in call)
    return [
        tuple(Layout((count,), dtype, (dtype.itemsize,)) for dtype in dtypes)
        for dtypes, number in values.items()
        for _ in range(round(number / count))
    ]


def layout_of(coordinate: Any) -> Layout:
    values = coordinate if isinstance(coordinate, np.ndarray) else coordinate._values
    return Layout(values.shape, values.dtype, values.strides)


def make_evaluations(
    func: Callable[..., Any], calls: list[tuple[Layout, ...]]
) -> Callable[[], None]:
    """Return a function that evaluates what was recorded, with plain arrays of any values."""
    arrays = {argument: fill(argument[1]) for call in calls for argument in enumerate(call)}
    arguments = [[arrays[argument] for argument in enumerate(call)] for call in calls]

    def evaluate() -> None:
        with np.errstate(all="ignore"):
            for coords in arguments:
                func(*coords)

    return evaluate


def fill(layout: Layout) -> np.ndarray[Any, Any]:
    """Return an array with values from -2 to 2 and a tiny imaginary part."""
    shape = tuple(
        1 if stride == 0 else n for n, stride in zip(layout.shape, layout.strides, strict=True)
    )
    values = _rng.uniform(-2.0, 2.0, shape).astype(layout.dtype)
    if layout.dtype.kind == "c":
        values.imag = 2.0**-100
    return np.broadcast_to(values, layout.shape)


def format_row(result: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""
    alone = Spread(**result["seconds"]["in blocks"]).median
    values = result["values_per_point"] * result["points"]
    return (
        result["function"],
        result["method"],
        "yes" if result["with_error"] else "no",
        str(result["points"]),
        f"{result['values_per_point']:.1f}",
        f"{alone / values * 1e9:.1f}",
        f"{Spread(**result['cost_ratio']):.2f}",
        f"{Spread(**result['block_ratio']):.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
