"""Exact derivatives put to the test, by values of the function a small step to either side.

Automatic differentiation does not see what leaves the library's graph, and complex numbers may go
another way through a function than real ones. Where the values leave a doubt, derivatives by
differences decide.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce

from gpugrad._arrays import Array, asnumpy, namespace_of
from gpugrad._functions.differences import Evaluate

_TOLERATED = 64.0
"""How far values may be off without a doubt, in multiples of what usual functions are."""
_CURVED = 4.0
"""How much second derivatives may add to that, in multiples of values over squared points."""
_SHARES = (1.0, 0.71, 0.83, 0.59, 0.91, 0.67, 0.79, 0.53)
"""The coordinates' shares of the step, so that errors along several do not cancel."""
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
    function, with three values for each point. A doubt where there is no reason for one costs time
    alone.
    """
    xp, n = namespace_of(coords[0]), len(coords)
    eps = float(xp.finfo(coords[0].dtype).eps)
    step = eps ** (1 / 3)
    moves = [
        step * share * xp.where(x == 0, xp.ones_like(x), abs(x))
        for x, share in zip(coords, _SHARES * (1 + n // len(_SHARES)), strict=False)
    ]
    rows = [xp.stack([x + h, x, x - h], axis=0) for x, h in zip(coords, moves, strict=True)]
    # Points are rounded: moves are others than asked for.
    steps = [row[:-1, ...] - row[1:, ...] for row in rows]
    doubtful = None
    for k, values in enumerate(evaluate(rows)):
        slopes = derivatives[k * n : k * n + n]
        changes = values[:-1, ...] - values[1:, ...]
        expected = [slope * h for slope, h in zip(slopes, steps, strict=True)]
        size = reduce(operator.add, map(abs, expected))[0, ...]
        height = abs(values[1, ...])
        rounding = _TOLERATED * eps * height
        off = changes - reduce(operator.add, expected)
        # To one side the error has the square of the step, from side to side its cube.
        limit = step * (_TOLERATED * size + _CURVED * step * height) + rounding
        closer = step * limit + rounding
        fits = abs(off) <= limit
        fits_both = abs(off[0, ...] + off[1, ...]) <= closer
        if bool(xp.all(fits)) and bool(xp.all(fits_both)):
            continue
        # At the end of a domain one side is enough; where there is no value, none is asked for.
        has_side = xp.isfinite(changes)
        denied = (has_side & ~fits)[0, ...] | (has_side & ~fits)[1, ...]
        denied = denied | (has_side[0, ...] & has_side[1, ...] & ~fits_both)
        has_slope = reduce(operator.and_, map(xp.isfinite, slopes))
        # Where a function changes wholly from one float to the next, no difference says anything.
        highest = xp.max(xp.where(xp.isfinite(values), abs(values), 0.0), axis=0)
        is_blind = size * (eps / step) > 0.1 * highest
        denied = (denied | ~has_slope) & xp.isfinite(height) & ~is_blind
        doubtful = denied if doubtful is None else doubtful | denied
    return doubtful


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
