"""Operators and higher accuracies, beside NumPy, findiff and the floor of each one's own passes.

An operator's floor reads each field once and writes each result once: one read and three writes
for a gradient, one and one for a Laplacian or a norm, three and one for a divergence, three and
three for a curl.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from math import factorial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import contenders, measure
from benchmarks.floor import is_available, make_sums
from benchmarks.measure import Spread, Target
from gpugrad import _threads

LENGTH = 256
SECONDS = 3.0
"""What the rounds of ours and of the floor may take, those of the others once more."""

SPEED_UP = 8.0
"""At least so many times the faster of the others."""

FLOORS = {
    "divergence": 1.4,
    "curl": 1.4,
    "gradient_norm": 1.7,
    "laplacian, accuracy 2": 1.7,
}
"""At most so many times the floor."""

Call = Callable[[], Any]


class Case(NamedTuple):
    """An operator on fields, its results, and others that compute the same.

    `spoiled` is how many samples at each end findiff has other formulas for; `sources` are the
    fields that the floor adds up for each result; `same_bits` says that NumPy's steps are ours.
    """

    name: str
    ours: Callable[..., Any]
    numpy: Call
    findiff: Callable[[Any], Call]
    spoiled: int
    sources: Sequence[Sequence[Any]]
    same_bits: bool = False


def main() -> int:
    """Time every operator, print a table and write the JSON."""
    parser = measure.make_parser(__doc__)
    parser.add_argument(
        "--only", metavar="WORDS", help="run what has these words in its title; write no file"
    )
    arguments = parser.parse_args()
    length = 24 if arguments.quick else LENGTH
    results = []
    for dtype in ("float64", "float32"):
        for case in list_cases(length, dtype):
            title = f"{case.name}, {dtype}"
            if not arguments.only or arguments.only in title:
                results.append({"title": title, **measure_case(case, arguments.quick)})
                print_case(results[-1])
    everything = {"versions": contenders.list_versions(), "cases": results}
    return measure.finish("operators", arguments, [*list_targets(results)], everything)


def list_cases(length: int, dtype: str) -> Iterator[Case]:
    """Yield the operators on fields of noise, with unit spacing."""
    v = np.random.default_rng(7).standard_normal((3,) + (length,) * 3, np.dtype(dtype))
    f = v[0]
    steps = [1.0] * 3
    for p in (4, 6, 8):
        yield Case(
            f"gradient, accuracy {p}",
            lambda out, p=p: gpugrad.gradient(f, accuracy=p, out=out),
            lambda p=p: [differentiate(f, axis, 1, p) for axis in range(3)],
            lambda findiff, p=p: lambda: findiff.Gradient(h=steps, acc=p)(f),
            p // 2,
            [[f]] * 3,
        )
    for p in (2, 4):
        yield Case(
            f"laplacian, accuracy {p}",
            lambda out, p=p: gpugrad.laplacian(f, accuracy=p, out=out[0]),
            lambda p=p: sum(differentiate(f, axis, 2, p) for axis in range(3)),
            lambda findiff, p=p: lambda: findiff.Laplacian(h=steps, acc=p)(f),
            p // 2,
            [[f]],
        )
    yield Case(
        "divergence",
        lambda out: gpugrad.divergence(v, out=out[0]),
        lambda: sum(np.gradient(v[axis], axis=axis) for axis in range(3)),
        lambda findiff: lambda: findiff.Divergence(h=steps, acc=2)(v),
        1,
        [[*v]],
        same_bits=True,
    )
    yield Case(
        "curl",
        lambda out: gpugrad.curl(v, out=out),
        lambda: curl(v),
        lambda findiff: lambda: findiff.Curl(h=steps, acc=2)(v),
        1,
        [[one] for one in v],
        same_bits=True,
    )
    yield Case(
        "gradient_norm",
        lambda out: gpugrad.gradient_norm(f, out=out[0]),
        lambda: np.sqrt(sum(slope * slope for slope in np.gradient(f))),
        lambda findiff: lambda: np.sqrt((findiff.Gradient(h=steps, acc=2)(f) ** 2).sum(axis=0)),
        1,
        [[f]],
        same_bits=True,
    )


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
    inside = (
        w * f[radius + k : n - radius + k]
        for k, w in zip(taps.tolist(), find_weights(taps, order), strict=True)
        if w
    )
    result[radius : n - radius] = sum(inside)
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


def measure_case(case: Case, quick: bool) -> dict[str, Any]:
    """Check the results, then time ours with the floor, and after that with the others."""
    results = as_list(case.numpy())
    out = tuple(np.zeros_like(one) for one in results)
    case.ours(out)
    assert_close("gpugrad", out, results, 0, 0.0 if case.same_bits else None)
    ours = {"gpugrad": lambda: case.ours(out)}
    others: dict[str, Call] = {"numpy": case.numpy}
    skipped = {}
    try:
        import findiff
    except ImportError:
        skipped["findiff"] = "findiff is not installed"
    else:
        others["findiff"] = case.findiff(findiff)
        assert_close("findiff", as_list(others["findiff"]()), results, case.spoiled)
    del results
    with_floor = {**ours}
    if is_available():
        target = tuple(np.zeros_like(one) for one in out)
        with_floor["floor"] = make_sums(case.sources, target)
    else:
        skipped["floor"] = "llvmlite is not installed"
    near = time_calls(with_floor, quick)
    far = time_calls({**ours, **others}, quick)
    return {
        "shape": "x".join(map(str, out[0].shape)),
        "threads": _threads.count(),
        "skipped": skipped,
        "seconds": measure.summarize(far | near),
        "rounds": {"floor": len(near["gpugrad"]), "others": len(far["gpugrad"])},
        "over_floor": measure.ratios(near["gpugrad"], near["floor"])._asdict()
        if "floor" in near
        else None,
        "speed_up": {n: measure.ratios(far[n], far["gpugrad"])._asdict() for n in others},
    }


def as_list(results: Any) -> list[Any]:
    """Return arrays in a list, whether one was given or several."""
    if isinstance(results, np.ndarray) and results.ndim == 3:
        return [results]
    return [*results]


def assert_close(
    name: str,
    results: Sequence[Any],
    expected: Sequence[Any],
    spoiled: int,
    tolerance: float | None = None,
) -> None:
    """Raise unless results agree but for rounding, and for some samples at each end."""
    for a, b in zip(results, expected, strict=True):
        inside = (slice(spoiled, -spoiled or None),) * b.ndim
        if tolerance is None:
            tolerance = 1e-3 if b.dtype == np.float32 else 1e-9
        if not np.allclose(a[inside], b[inside], tolerance, tolerance):
            raise AssertionError(f"the results of {name} differ from NumPy's")


def time_calls(calls: dict[str, Call], quick: bool) -> dict[str, list[float]]:
    """Time calls in turn, in as many rounds as there is time for."""
    timers = {name: measure.timed(call) for name, call in calls.items()}
    start = perf_counter()
    measure.interleave(timers, 1, warm_up=0)
    rounds = 2 if quick else round(min(max(SECONDS / (perf_counter() - start), 5), 41))
    return measure.interleave(timers, rounds, warm_up=0)


def list_targets(results: Sequence[dict[str, Any]]) -> Iterator[Target]:
    """Yield what is promised for what was measured."""
    for result in results:
        title = result["title"]
        name = title.rpartition(", ")[0]
        if name in FLOORS and result["over_floor"]:
            measured = result["over_floor"]["median"]
            yield Target(title, measured, "at most", FLOORS[name], " times the floor")
        other, spread = min(result["speed_up"].items(), key=lambda pair: pair[1]["median"])
        yield Target(title, spread["median"], "at least", SPEED_UP, f" times {other}'s speed")


def print_case(result: dict[str, Any]) -> None:
    """Print a line for each case, as soon as it is measured."""
    figures = [f"{result['seconds']['gpugrad']['median'] * 1e3:6.1f} ms"]
    if result["over_floor"]:
        figures.append(f"{Spread(**result['over_floor']):.2f} floors")
    figures += [f"{Spread(**one):.1f} x {name}" for name, one in result["speed_up"].items()]
    print(f"{result['title']:<32}{', '.join(figures)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
