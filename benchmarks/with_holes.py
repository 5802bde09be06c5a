"""Gradients of a field with holes, beside the same written with NumPy and beside the floor.

The floor reads the field once and writes each result once; the mask adds its bytes to what is
read, and the floor is taken to be longer by their share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.floor import is_available, make_floor
from benchmarks.measure import Spread, Target

MOST_FLOORS = 2.0
LEAST_SPEED_UP = 8.0


def main() -> int:
    """Time every mask, print a table and write the JSON."""
    arguments = measure.parse_arguments(__doc__)
    length, rounds = (40, 2) if arguments.quick else (256, 11)
    f = np.random.default_rng(5).standard_normal((length,) * 3)
    results = [measure_mask(name, f, mask, rounds) for name, mask in draw_masks(length)]
    print(measure.format_table(("mask", "holes", "ms", "x numpy", "x floor"), map(row_of, results)))
    targets = [
        Target(f"{r['mask']}, speed-up", r["speed_up"]["median"], "at least", LEAST_SPEED_UP, " x")
        for r in results
    ]
    targets += [
        Target(f"{r['mask']}, cost", r["floors"]["median"], "at most", MOST_FLOORS, " floors")
        for r in results
        if r["floors"] and r["promised"]
    ]
    return measure.finish("with_holes", arguments, targets, {"cases": results})


def draw_masks(length: int) -> Iterator[tuple[str, Any]]:
    """Yield masks, true where samples are valid."""
    shape = (length,) * 3
    x = np.linspace(0, 12, length)
    height = np.sin(x)[:, np.newaxis] * np.cos(1.3 * x) + 0.3 * np.sin(2.2 * x[:, np.newaxis] + x)
    rng = np.random.default_rng(6)
    yield "none missing", np.ones(shape, bool)
    yield "land and sea", np.ascontiguousarray(np.broadcast_to(height > -0.3, shape))
    yield "1 % at random", rng.random(shape) > 0.01
    yield "10 % at random", rng.random(shape) > 0.1


def with_numpy(f: Any, where: Any) -> list[Any]:
    """Return what `gpugrad.gradient(f, where=where)` does, as one writes it with NumPy."""
    f = np.where(where, f, np.nan)
    results = []
    for axis in range(f.ndim):
        g = np.moveaxis(np.gradient(f, axis=axis), axis, 0)
        along = np.moveaxis(f, axis, 0)
        one = along[1:] - along[:-1]
        forward = -1.5 * along[:-2] + 2.0 * along[1:-1] - 0.5 * along[2:]
        backward = 0.5 * along[:-2] - 2.0 * along[1:-1] + 1.5 * along[2:]
        for rows, other in (
            (slice(None, -2), forward),
            (slice(2, None), backward),
            (slice(None, -1), one),
            (slice(1, None), one),
        ):
            part = g[rows]
            np.copyto(part, other, where=np.isnan(part))
        g[~np.moveaxis(where, axis, 0)] = np.nan
        results.append(np.moveaxis(g, 0, axis))
    return results


def measure_mask(name: str, f: Any, where: Any, rounds: int) -> dict[str, Any]:
    """Time both, and the floor, in turn."""
    out = tuple(np.empty_like(f) for _ in range(f.ndim))
    for ours, numpys in zip(gpugrad.gradient(f, where=where), with_numpy(f, where), strict=True):
        if not np.array_equal(ours, numpys, equal_nan=True):
            raise AssertionError(f"{name}: the results differ from NumPy's")
    calls: dict[str, Any] = {
        "gpugrad": lambda: gpugrad.gradient(f, where=where, out=out),
        "numpy": lambda: with_numpy(f, where),
    }
    if is_available():
        calls["floor"] = make_floor(f, out)
    timers = {key: measure.timed(call) for key, call in calls.items()}
    seconds = measure.interleave(timers, rounds, warm_up=1)
    floors = None
    if "floor" in seconds:
        longer = 1 + where.nbytes / (f.nbytes + sum(one.nbytes for one in out))
        floor = [longer * one for one in seconds["floor"]]
        floors = measure.ratios(seconds["gpugrad"], floor)._asdict()
    return {
        "mask": name,
        "shape": "x".join(map(str, f.shape)),
        "holes": float(1 - where.mean()),
        "promised": "random" not in name,
        "seconds": measure.summarize(seconds),
        "speed_up": measure.ratios(seconds["numpy"], seconds["gpugrad"])._asdict(),
        "floors": floors,
    }


def row_of(result: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""
    ours = Spread(**result["seconds"]["gpugrad"])
    floors = "no compiler" if result["floors"] is None else f"{Spread(**result['floors']):.2f}"
    return (
        result["mask"],
        f"{result['holes']:.0%}",
        f"{ours.median * 1e3:.1f}",
        f"{Spread(**result['speed_up']):.1f}",
        floors,
    )


if __name__ == "__main__":
    sys.exit(main())
