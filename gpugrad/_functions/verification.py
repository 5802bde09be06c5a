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
_WIDE = 1 / 8
"""Below which share of the step a function changes little, for the step to be too wide."""
_CLOSER, _SHRINKING = 0.25, 0.11
"""A step closer by, and to what share a smooth function's curvature shrinks there: to 1/16."""
_FAR = 1 / 8
"""From which step on a point is far from zero."""
_NOISY = 4096.0
"""How many times its rounding a value may be off."""
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
    function, with three values for each point; where these leave a doubt, two more calls. Values
    and slopes may be so small that the curvature is all there is; and a wave far from zero may
    change wholly over the step. A doubt where there is no reason for one costs time alone.
    """
    xp = namespace_of(coords[0])
    looks = _look_aside(evaluate, derivatives, coords, 1.0)
    denied = [_find_denied(sides) for sides in looks if not sides.fit]
    doubtful: Array | None = reduce(operator.or_, denied) if denied else None
    if doubtful is None or not bool(xp.any(doubtful)):
        return doubtful
    there = [x[doubtful] for x in coords]
    slopes = [xp.broadcast_to(slope, coords[0].shape)[doubtful] for slope in derivatives]
    wide = [*_look_aside(evaluate, slopes, there, 1.0)]
    shares = reduce(xp.minimum, map(_find_share, wide))
    changes_wholly = shares < _WIDE
    factor = xp.where(changes_wholly, shares, xp.full_like(shares, _CLOSER))
    narrow = _look_aside(evaluate, slopes, there, factor)
    fits = [
        xp.where(changes_wholly, ~_find_denied(near, True), _shrinks(far, near))
        for far, near in zip(wide, narrow, strict=True)
    ]
    return doubtful & ~spread_chosen(xp, reduce(operator.and_, fits), doubtful)


class _Sides(NamedTuple):
    """A component at points a step to either side: what slopes expect, and what is the case.

    The first axis of `off`, what changes are beside what slopes expect, is for the two sides; that
    of `values` for three values in a row. `step` is the relative step over which usual functions
    change by so much of their size.
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

    @property
    def misfits(self) -> tuple[Array, Array]:
        """Where slopes of usual functions do not fit: on each side, and from side to side."""
        height = abs(self.values[1, ...])
        # To one side the error has the square of the step, from side to side its cube.
        limit = self.step * (_TOLERATED * self.size + _CURVED * self.step * height) + self.rounding
        closer = self.step * limit + self.rounding
        return ~(abs(self.off) <= limit), ~(abs(self.off[0, ...] + self.off[1, ...]) <= closer)

    @property
    def fit(self) -> bool:
        """Whether slopes fit everywhere."""
        xp = namespace_of(self.values)
        return not any(bool(xp.any(misfit)) for misfit in self.misfits)

    @property
    def highest(self) -> Array:
        xp = namespace_of(self.values)
        return xp.max(xp.where(xp.isfinite(self.values), abs(self.values), 0.0), axis=0)


def _look_aside(
    evaluate: Evaluate, derivatives: Sequence[Array], coords: list[Array], factor: float | Array
) -> Iterator[_Sides]:
    """Yield the components at points a step to either side, or a multiple of it."""
    xp, n = namespace_of(coords[0]), len(coords)
    eps = float(xp.finfo(coords[0].dtype).eps)
    step = eps ** (1 / 3)
    moves = [
        step * factor * share * xp.where(x == 0, xp.ones_like(x), abs(x))
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


def _find_denied(sides: _Sides, is_near: bool = False) -> Array:
    """Tell where values deny slopes of usual functions. `is_near` says that no value is too far."""
    xp, values = namespace_of(sides.values), sides.values
    misfits, both_misfit = sides.misfits
    # At the end of a domain one side is enough; where there is no value, none is asked for.
    has_side = xp.isfinite(values[:-1, ...] - values[1:, ...])
    denied = (has_side & misfits)[0, ...] | (has_side & misfits)[1, ...]
    denied = denied | (has_side[0, ...] & has_side[1, ...] & both_misfit)
    has_slope = reduce(operator.and_, map(xp.isfinite, sides.slopes))
    denied = (denied | ~has_slope) & xp.isfinite(values[1, ...])
    if is_near:
        return denied
    # Where a function changes wholly from one float to the next, no difference says anything.
    limit = min(0.1, 16 * sides.step) * sides.highest
    return denied & ~(sides.size * (sides.eps / sides.step) > limit)


def _find_share(sides: _Sides) -> Array:
    """Return over which share of the step a function changes little by what slopes say."""
    xp, size = namespace_of(sides.values), sides.size
    is_known = xp.isfinite(size) & (size > 0)
    share = sides.step * sides.highest / xp.where(is_known, size, xp.ones_like(size))
    share = xp.where(is_known, share, xp.ones_like(size))
    return xp.clip(share, 4 * sides.eps / sides.step, 1.0)


def _shrinks(wide: _Sides, narrow: _Sides) -> Array:
    """Tell where values closer by fit slopes as only those of a smooth function do.

    What is left over then has the square of the step; at a kink, and beside a wrong slope, it has
    the step itself.
    """
    rest = [(off[0, ...], off[1, ...], off[0, ...] + off[1, ...]) for off in (wide.off, narrow.off)]
    shrinks = [abs(near) <= _SHRINKING * abs(far) + narrow.rounding
               for far, near in zip(*rest, strict=True)]  # fmt: skip
    return ~_find_denied(wide) | reduce(operator.and_, shrinks)


def find_aliased(
    evaluate: Evaluate, coords: list[Array], slopes: Sequence[Array] | None
) -> list[Array] | None:
    """Tell where differences were taken over steps too wide; None if nowhere.

    Far from zero, a function such as `sin` changes wholly over the steps that suit others, and its
    differences may agree with each other by chance. There slopes over steps down to some floats are
    compared with `slopes`, the derivatives of each component by each coordinate, or, without them,
    with those over the widest step.
    """
    xp, n = namespace_of(coords[0]), len(coords)
    eps = float(xp.finfo(coords[0].dtype).eps)
    wide = eps ** (1 / 3)
    far = xp.any(xp.stack([abs(x) * wide > _FAR for x in coords], axis=0), axis=0)
    if not has_values(coords[0]) or not bool(xp.any(far)):
        return None
    there = [x[far] for x in coords]
    widths = [wide / 16**k for k in range(12) if wide / 16**k >= 4 * eps]
    moves = [width * side for side in (1, -1) for width in widths]
    aliased = []
    for axis in range(n):
        x = there[axis]
        rows = [xp.stack([c] * len(moves), axis=0) for c in there]
        rows[axis] = xp.stack([x + move * x for move in moves], axis=0)
        steps = rows[axis][: len(widths), ...] - rows[axis][len(widths) :, ...]
        for k, values in enumerate(evaluate(rows)):
            above, below = values[: len(widths), ...], values[len(widths) :, ...]
            narrow = (above - below) / steps
            slope = narrow[0, ...] if slopes is None else slopes[k * n + axis][far]
            noise = _NOISY * eps * (abs(above) + abs(below)) / abs(steps)
            differs = abs(narrow - slope) > 1e-2 * (abs(narrow) + abs(slope)) + noise
            aliased.append((k * n + axis, far & spread_chosen(xp, xp.any(differs, axis=0), far)))
    return [mask for _, mask in sorted(aliased, key=operator.itemgetter(0))]


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
