"""Exact derivatives put to the test, by values of the function a small step to either side.

Automatic differentiation does not see what leaves the library's graph, and complex numbers may go
another way through a function than real ones. Where the values leave a doubt, derivatives by
differences decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpugrad._arrays import Array, asnumpy, namespace_of
from gpugrad._functions.differences import Evaluate

_TOLERATED = 64.0
"""How far values may be off without a doubt, in multiples of what usual functions are."""
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


def find_doubtful(evaluate: Evaluate, derivatives: Sequence[Array], coords: list[Array]) -> Array:
    """Tell at which points values on both sides do not fit first derivatives.

    `derivatives` has, for each component, the derivatives by all coordinates. One call of the
    function, with three values for each point. A doubt where there is no reason for one costs time
    alone.
    """
    xp, n = namespace_of(coords[0]), len(coords)
    eps = float(xp.finfo(coords[0].dtype).eps)
    step = eps ** (1 / 3)
    rows = []
    for i, x in enumerate(coords):
        move = step * _SHARES[i % len(_SHARES)] * xp.where(x == 0, xp.ones_like(x), abs(x))
        rows.append(xp.stack([x + move, x, x - move], axis=0))
    doubtful = xp.isnan(coords[0]) & False
    for k, values in enumerate(evaluate(rows)):
        after, middle, before = (values[j, ...] for j in range(3))
        rise, fall, size = 0.0, 0.0, 0.0
        has_slope = xp.isfinite(middle)
        for slope, row in zip(derivatives[k * n : k * n + n], rows, strict=True):
            # Points are rounded: moves are others than asked for.
            ahead, back = slope * (row[0, ...] - row[1, ...]), slope * (row[1, ...] - row[2, ...])
            rise, fall, size = rise + ahead, fall + back, size + abs(ahead)
            has_slope = has_slope & xp.isfinite(slope)
        rounding = _TOLERATED * eps * (abs(after) + abs(middle) + abs(before))
        is_both = xp.isfinite(after) & xp.isfinite(before)
        # From side to side the error has the square of the step, to one side the step.
        far = abs(after - before - rise - fall) > _TOLERATED * step**2 * size + rounding
        right = abs(after - middle - rise) > _TOLERATED * step * size + rounding
        left = abs(middle - before - fall) > _TOLERATED * step * size + rounding
        right, left = right & xp.isfinite(after), left & xp.isfinite(before)
        denied = (far & is_both) | right | left | ~has_slope
        doubtful = doubtful | (denied & xp.isfinite(middle))
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
