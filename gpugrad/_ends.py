"""Derivatives at the ends of a function's domain: from one side, where the other has no values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from gpugrad._arrays.arrays import Array
from gpugrad._steps import Samples


class Found(NamedTuple):
    """For each component an array with the axes (line, point).

    `poor` tells where a single side may do better; None where that is not to be looked at.
    """

    values: list[Array]
    errors: list[Array] | None
    poor: list[Array] | None


Along = Callable[[Samples, list[Array], bool], Found]
"""Samples, steps and whether errors are wanted to derivatives along the lines."""


def differentiate_along(
    along: Along,
    samples: Samples,
    steps: list[Array],
    with_error: bool,
) -> tuple[list[Array], list[Array] | None]:
    """Return derivatives from samples on both sides, or on one where that is better.

    The side of the smaller error is taken. Where that is infinite the derivative stays as it is.
    """
    both = along(samples, steps, with_error)
    poor = _find_poor(both, samples)
    if poor is None:
        return both.values, both.errors
    coords = [x[poor] for x in samples.coords]
    near = [h if h.shape[0] == 1 else h[poor] for h in steps]
    one_sided = [
        along(Samples(samples.evaluate, coords, samples.lines, (side,)), near, True)
        for side in (1, -1)
    ]
    xp = samples.xp
    values, errors = [], []
    for i, value in enumerate(both.values):
        error = None if both.errors is None else both.errors[i]
        best = xp.where(xp.isfinite(value), 0.0, math.inf) if error is None else error
        for found in one_sided:
            off = _spread(xp, (found.errors or [])[i], poor)
            better = poor & (off < best)
            value = xp.where(better, _spread(xp, found.values[i], poor), value)
            best = xp.where(better, off, best)
        values.append(value)
        errors.append(best)
    return values, None if both.errors is None else errors


def _find_poor(found: Found, samples: Samples) -> Array | None:
    """Return at which points, with a value of the function, a derivative is poor; None if nowhere.

    A function that is defined nowhere near is not called again.
    """
    if found.poor is None:
        return None
    xp = samples.xp
    poor = xp.any(xp.stack(found.poor, axis=0), axis=(0, 1))
    if not bool(xp.any(poor)):
        return None
    has_value = xp.zeros_like(poor)
    for f0 in samples.evaluate([x[poor] for x in samples.coords]):
        has_value = has_value | _spread(xp, xp.isfinite(f0), poor)
    poor = poor & has_value
    return poor if bool(xp.any(poor)) else None


def _spread(xp: Any, part: Array, chosen: Array) -> Array:
    """Return an array for all points with that of the chosen ones in their places."""
    place = xp.cumulative_sum(xp.astype(chosen, xp.int64), axis=0) - 1
    return xp.take(part, xp.clip(place, 0, None), axis=-1)
