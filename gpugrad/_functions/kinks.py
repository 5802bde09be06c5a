r"""Points at which a function has no derivative: kinks and jumps, told apart from rapid changes.

On each side of a point, differences are taken at steps that shrink down to rounding. Where there is
a derivative of an order, they shrink as the step to the power of the order, and what they differ by
from side to side shrinks faster. At a kink that shrinks no faster, and at a jump or a root the
differences themselves shrink more slowly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gpugrad._arrays import Array, namespace_of, place_of
from gpugrad._functions.differences import Evaluate, Line, LineSamples, spread_chosen
from gpugrad._functions.points import scales_of

_RATIO = 4.0
"""By how much steps shrink each time."""
_LEVELS = 5
"""At how many steps in a row the differences must shrink in the same way."""
_VISIBLE = 64.0
"""How many times its rounding a difference must be, to be looked at."""
_SLACK = 0.2
"""How far the power of the step with which differences shrink may be off, or change at a step."""


def remove_kinks(
    samples: LineSamples,
    order: int,
    values: list[Array],
    errors: list[Array],
    doubtful: Sequence[Array],
) -> tuple[list[Array], list[Array]]:
    """Return derivatives that are NaN at kinks, and errors that are infinite there.

    Only `doubtful` derivatives, for each component by line and point, are looked at. Errors may be
    an empty list.
    """
    xp = samples.xp
    somewhere = xp.any(xp.stack([xp.any(d, axis=0) for d in doubtful], axis=0), axis=0)
    if not bool(xp.any(somewhere)):
        return values, errors
    points = xp.nonzero(somewhere)[0]  # not every library takes booleans as an index
    coords = [xp.take(x, points, axis=0) for x in samples.coords]
    found = find_kinks(samples.evaluate, coords, samples.lines, order)
    are_kinks = [
        spread_chosen(xp, kinks, somewhere) & doubt
        for kinks, doubt in zip(found, doubtful, strict=True)
    ]
    values = [xp.where(k, math.nan, value) for k, value in zip(are_kinks, values, strict=True)]
    if errors:
        errors = [xp.where(k, math.inf, error) for k, error in zip(are_kinks, errors, strict=True)]
    return values, errors


def find_kinks(
    evaluate: Evaluate, coords: Sequence[Array], lines: Sequence[Line], order: int
) -> list[Array]:
    """Tell for each component at which points a derivative does not exist; axes (line, point).

    Kinks of the function and, for orders above 1, of its slope are found. It takes one call of the
    function, with 54 points for each in float64 and 25 in float32.
    """
    xp = namespace_of(coords[0])
    samples = LineSamples(evaluate, [*coords], lines)
    depth = int(-math.log2(samples.eps) / math.log2(_RATIO)) + 1
    steps = [scale / 8 for scale in scales_of(coords)]
    distances = [_RATIO**-k for k in range(depth)]
    away = _steps_from_zero(samples, steps)[:, None, :] / xp.asarray(
        distances, dtype=coords[0].dtype, **place_of(coords[0])
    )[None, :, None]  # fmt: skip
    results = []
    for f0, sides in zip(evaluate([*coords]), samples.at(distances, steps), strict=True):
        after, before = (values - f0[None, None, :] for values in sides)
        rise = xp.maximum(abs(after), abs(before))
        # What cancels within the function, as in 1 - cos(x), is as large as values farther away.
        reach = xp.max(xp.where(xp.isfinite(rise), rise, 0.0), axis=1)[:, None, :]
        noise = samples.eps * (abs(f0)[None, None, :] + reach + away * rise)
        is_kink = _lack_derivative(after, before, 4 * noise, 1)
        if order > 1:
            # Second differences, of samples at the step and at the next larger one.
            right, left = (c[:, :-1, :] - _RATIO * c[:, 1:, :] for c in (after, before))
            larger = 4 * noise[:, :-1, :] + 4 * _RATIO * noise[:, 1:, :]
            is_kink = is_kink | _lack_derivative(right, left, larger, 2)
        results.append(is_kink)
    return results


def _steps_from_zero(samples: LineSamples, steps: list[Array]) -> Array:
    """Return how many first steps away from zero points are, along each line."""
    xp, rows = samples.xp, []
    for line in samples.lines:
        away = 0.0 * samples.coords[0]
        for i in line:
            away = xp.maximum(away, abs(samples.coords[i]) / steps[i])
        rows.append(away)
    return xp.stack(rows, axis=0)


def _lack_derivative(right: Array, left: Array, noise: Array, order: int) -> Array:
    """Tell where differences on both sides, each away from the point, are no derivative's."""
    gap = right + left if order % 2 else right - left
    result = _shrinks_slowly(gap, noise, order + _SLACK)
    for side in (right, left):
        result = result | _shrinks_slowly(side, noise, order - _SLACK)
    return result


def _shrinks_slowly(differences: Array, noise: Array, most: float) -> Array:
    """Tell where differences shrink as a power of the step of `most` or less, to the end.

    The end is the smallest step at which they can be seen for rounding. Where they vanish although
    they should still be seen, the kink is beside the point.
    """
    xp = namespace_of(differences)
    size, depth = abs(differences), differences.shape[1]
    is_visible = size > _VISIBLE * noise  # False for NaN
    tiny = xp.where(size > 0, size, 1.0)
    powers = xp.log2(tiny[:, :-1, :] / tiny[:, 1:, :]) / math.log2(_RATIO)
    is_slow = (powers <= most) & (powers > -_SLACK)
    is_slow = is_slow & is_visible[:, :-1, :] & is_visible[:, 1:, :]
    is_slow = is_slow & (differences[:, :-1, :] * differences[:, 1:, :] > 0)
    is_even = abs(powers[:, :-1, :] - powers[:, 1:, :]) <= _SLACK
    # How far each would be above the rounding at the next step, if it went on in the same way.
    expected = tiny[:, 1:, :] / _RATIO ** xp.clip(powers, 0.0, 2.0)
    result = ended = xp.zeros(size[:, 0, :].shape, dtype=xp.bool, **place_of(size))
    for last in range(depth - 1, _LEVELS - 2, -1):
        there = is_visible[:, last, :] & ~ended
        ended = ended | there
        for level in range(last - _LEVELS + 1, last):
            there = there & is_slow[:, level, :]
        for level in range(last - _LEVELS + 1, last - 1):
            there = there & is_even[:, level, :]
        if last + 1 < depth:
            there = there & ~(expected[:, last - 1, :] > 2 * _VISIBLE * noise[:, last + 1, :])
        result = result | there
    return result
