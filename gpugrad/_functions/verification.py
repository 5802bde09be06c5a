"""Exact derivatives put to the test, by values of the function a small step to either side.

Automatic differentiation does not see what leaves the library's graph, and complex numbers may go
another way through a function than real ones. Where the values leave a doubt, derivatives by
differences decide.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple

from gpugrad._arrays import Array, asnumpy, namespace_of
from gpugrad._functions.differences import Evaluate, spread_chosen

_TOLERATED = 64.0
"""How far values may be off without a doubt, in multiples of what usual functions are."""
_CURVED = 4.0
"""How much second derivatives may add to that, in multiples of values over squared points."""
_SHARES = (1.0, 0.71, 0.83, 0.59, 0.91, 0.67, 0.79, 0.53)
"""The coordinates' shares of the step, so that errors along several do not cancel."""
_CLOSER, _SHRINKING = 0.25, 0.11
"""A step closer by, and to what share a smooth function's curvature shrinks there: to 1/16."""
_CONTRADICTED = 8.0
_RELATIVE = 1e-6


def has_values(x: Array) -> bool:
    """Tell whether the values of points can be read: a trace has none."""
    try:
        asnumpy(x[:1])
    except Exception:  # noqa: BLE001 - each library has errors of its own
        return False
    return True


def find_doubtful(
    evaluate: Evaluate, derivatives: Sequence[Array], coords: list[Array]
) -> Array | None:
    """Tell at which points values on both sides do not fit first derivatives; None if nowhere.

    `derivatives` has, for each component, the derivatives by all coordinates. One call of the
    function, with three values for each point, and two more for points where values and slopes are
    so small that the curvature is all there is. A doubt where there is no reason for one costs
    time alone.
    """
    xp = namespace_of(coords[0])
    denied = [_find_denied(side) for side in _look_aside(evaluate, derivatives, coords, 1.0)]
    denied = [component for component in denied if component is not None]
    doubtful: Array | None = reduce(operator.or_, denied) if denied else None
    if doubtful is None or not bool(xp.any(doubtful)):
        return doubtful
    there = [x[doubtful] for x in coords]
    slopes = [xp.broadcast_to(slope, coords[0].shape)[doubtful] for slope in derivatives]
    looks = (_look_aside(evaluate, slopes, there, factor) for factor in (1.0, _CLOSER))
    is_curved = reduce(operator.and_, [_shrinks(*pair) for pair in zip(*looks, strict=True)])
    return doubtful & ~spread_chosen(xp, is_curved, doubtful)


class _Sides(NamedTuple):
    """A component at points a step to either side: what slopes expect, and what is the case.

    The first axis of `off`, what changes are beside what slopes expect, is for the two sides; that
    of `values` for three values in a row.
    """

    values: Array
    off: Array
    size: Array
    slopes: list[Array]
    step: float
    eps: float

    @property
    def rounding(self) -> Array:
        return _TOLERATED * self.eps * abs(self.values[1, ...])


def _look_aside(
    evaluate: Evaluate, derivatives: Sequence[Array], coords: list[Array], factor: float
) -> Iterator[_Sides]:
    """Yield the components at points a step to either side."""
    xp, n = namespace_of(coords[0]), len(coords)
    eps = float(xp.finfo(coords[0].dtype).eps)
    step = factor * eps ** (1 / 3)
    moves = [
        step * share * xp.where(x == 0, xp.ones_like(x), abs(x))
        for x, share in zip(coords, _SHARES * (1 + n // len(_SHARES)), strict=False)
    ]
    rows = [xp.stack([x + h, x, x - h], axis=0) for x, h in zip(coords, moves, strict=True)]
    # Points are rounded: moves are others than asked for.
    steps = [row[:-1, ...] - row[1:, ...] for row in rows]
    for k, values in enumerate(evaluate(rows)):
        slopes = [*derivatives[k * n : k * n + n]]
        expected = [slope * h for slope, h in zip(slopes, steps, strict=True)]
        off = values[:-1, ...] - values[1:, ...] - reduce(operator.add, expected)
        size = reduce(operator.add, map(abs, expected))[0, ...]
        yield _Sides(values, off, size, slopes, step, eps)


def _find_denied(sides: _Sides) -> Array | None:
    """Tell where values deny slopes of usual functions; None if nowhere."""
    values, off, size, slopes, step, eps = sides
    xp, height = namespace_of(values), abs(values[1, ...])
    # To one side the error has the square of the step, from side to side its cube.
    limit = step * (_TOLERATED * size + _CURVED * step * height) + sides.rounding
    closer = step * limit + sides.rounding
    fits = abs(off) <= limit
    fits_both = abs(off[0, ...] + off[1, ...]) <= closer
    if bool(xp.all(fits)) and bool(xp.all(fits_both)):
        return None
    # At the end of a domain one side is enough; where there is no value, none is asked for.
    has_side = xp.isfinite(values[:-1, ...] - values[1:, ...])
    denied = (has_side & ~fits)[0, ...] | (has_side & ~fits)[1, ...]
    denied = denied | (has_side[0, ...] & has_side[1, ...] & ~fits_both)
    has_slope = reduce(operator.and_, map(xp.isfinite, slopes))
    # Where a function changes wholly from one float to the next, no difference says anything.
    highest = xp.max(xp.where(xp.isfinite(values), abs(values), 0.0), axis=0)
    is_blind = size * (eps / step) > 0.1 * highest
    return (denied | ~has_slope) & xp.isfinite(height) & ~is_blind


def _shrinks(wide: _Sides, narrow: _Sides) -> Array:
    """Tell where values closer by fit slopes as only those of a smooth function do.

    What is left over then has the square of the step; at a kink, and beside a wrong slope, it has
    the step itself.
    """
    denied = _find_denied(wide)
    if denied is None:
        return namespace_of(wide.size).ones_like(wide.size, dtype=bool)
    rest = [(off[0, ...], off[1, ...], off[0, ...] + off[1, ...]) for off in (wide.off, narrow.off)]
    shrinks = [abs(near) <= _SHRINKING * abs(far) + narrow.rounding
               for far, near in zip(*rest, strict=True)]  # fmt: skip
    return ~denied | reduce(operator.and_, shrinks)


def find_contradicted(
    slopes: Sequence[Array], values: Sequence[Array], errors: Sequence[Array]
) -> list[Array]:
    """Tell for each slope where differences, within their errors, say that it is another."""
    xp = namespace_of(slopes[0])
    results = []
    for slope, value, error in zip(slopes, values, errors, strict=True):
        fits = abs(value - slope) <= _CONTRADICTED * error + _RELATIVE * abs(slope)
        results.append(~fits & xp.isfinite(value))
    return results
