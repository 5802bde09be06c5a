"""Plans for masked fields: other formulas of the same derivative, in order of preference.

A row beside a masked sample takes samples of another window: as many as are valid, and of these as
many as possible on both sides. Each window is a whole plan, one of the alternatives to the plan of
the field without masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpugrad._stencils.boundaries import TABLE, Scheme, Side, Sides, Window
from gpugrad._stencils.numpy_scheme import first_derivative
from gpugrad._stencils.plan import NO_FORMULA, AxisPlan, Formula, Steps, plan_once, rows_of
from gpugrad._stencils.schemes import (
    Ends,
    check_weights,
    find_ends,
    make_formula,
    plan_derivative,
    scale,
)
from gpugrad._stencils.weights import (
    exact_weights,
    first_of_three,
    last_of_three,
    middle_of_many,
    move_origin,
)

Reach = tuple[int, int]
"""The first and the last offset of a window: from -2 to 1, say."""


def plan_beside_masked(
    axis: int,
    spacing: Any,
    length: int,
    scheme: Scheme,
    sides: Sides,
    period: float | None,
    best: int,
) -> AxisPlan:
    """Plan a derivative as `plan_derivative` does, with alternatives of accuracy `best` or less."""
    return plan_once(_make_plan, spacing, (axis, length, scheme, sides, period, best))


def _make_plan(spacing: Any, *key: Any) -> AxisPlan:
    axis, length, scheme, sides, period, best = key
    plan = plan_derivative(axis, spacing, length, scheme, sides, period)
    is_even = not isinstance(spacing, Steps) and not getattr(spacing, "ndim", 0)
    with np.errstate(all="ignore"):  # what it hides is refused below
        ends = find_ends(axis, spacing, length, period)
        alternatives = tuple([
            plan._replace(
                lower=_make_end_rows(ends, scheme, sides[0], 1, window),
                interior=_make_interior(axis, spacing, scheme, window),
                upper=_make_end_rows(ends, scheme, sides[1], -1, window),
                memo={},
            )
            for window in rank_windows(scheme, best, is_even)
            if window[1] - window[0] < length
        ])  # fmt: skip
    if isinstance(spacing, Steps) and spacing.is_not_monotonic:
        rows = [f for p in alternatives for f in (p.interior, *p.lower, *p.upper)]
        check_weights(axis, rows)
    return plan._replace(alternatives=alternatives, memo={})


def rank_windows(scheme: Scheme, best: int, is_even: bool) -> Iterator[Reach]:
    """Yield windows around a row: the more samples the earlier, of as many the more centred.

    Of two that are centred alike, the one that reaches further forward is earlier. On even
    samples the outermost weights may be zero: such samples are not part of a window. The result
    on a face needs the samples on both its sides.
    """
    shift = scheme.shift
    beside = min(0, shift), max(0, shift)
    seen = {(-scheme.window.outwards, scheme.window.inwards)}
    # More samples come first, as they are more accurate; then the more centred windows, whose
    # errors are smaller.
    for count in range(scheme.order + best, scheme.order, -1):
        lasts = range(beside[1], count + beside[0])
        windows = [(last - count + 1, last) for last in lasts]
        for first, last in sorted(windows, key=lambda w: (abs(w[0] + w[1] - shift), -w[1])):
            if is_even:
                # Without its outermost zeros a window may be one that came before.
                weights = exact_weights(_find_positions(first, last, shift), scheme.order)
                used = [k for k, w in enumerate(weights, start=first) if w]
                first, last = min(beside[0], *used), max(beside[1], *used)
            if (first, last) not in seen:
                seen.add((first, last))
                yield first, last


def _find_positions(first: int, last: int, shift: int) -> tuple[Any, ...]:
    """Return where the samples of a window lie, as seen from the place of the result."""
    return tuple(move_origin(range(first, last + 1), -first, shift))


def _make_interior(axis: int, spacing: Any, scheme: Scheme, window: Reach) -> Formula:
    """Return the formula of a window where it does not reach beyond an end."""
    first, last = window
    offsets = tuple(range(first, last + 1))
    is_even = not isinstance(spacing, Steps) and not getattr(spacing, "ndim", 0)
    if scheme.is_numpys and is_even:
        # The same bits as `numpy.gradient` has on the samples between two masked ones.
        plan = first_derivative(axis, spacing, last - first)
        return plan.lower[0] if first == 0 else plan.upper[0]
    if is_even:
        exact = exact_weights(_find_positions(first, last, scheme.shift), scheme.order)
        return scale(dict(zip(offsets, exact, strict=True)), scheme.order, spacing)
    steps = spacing.values if isinstance(spacing, Steps) else spacing
    if scheme.is_numpys and len(offsets) == 2:
        return Formula((last, first), (1, -1), steps)
    along = axis if steps.ndim > 1 else 0
    if scheme.is_numpys:
        weigh = first_of_three if first == 0 else last_of_three
        left, right = (steps[rows_of(steps.ndim, along, *s)] for s in ((0, -1), (1, None)))
        return Formula(offsets, weigh(left, right))
    weights = middle_of_many(steps, -first, last, scheme.order, along, scheme.shift)
    return Formula(offsets, tuple(weights))


def _make_end_rows(
    ends: Ends, scheme: Scheme, side: Side, sign: int, window: Reach
) -> tuple[Formula, ...]:
    """Return what rows do from where a window would reach beyond an end: nothing, in most cases.

    Where the boundary has stand-ins for what lies beyond, the window goes on there.
    """
    first, last = window
    end = ends.lower if sign == 1 else ends.upper
    seen = Window(-first, last) if sign == 1 else Window(last, -first)
    boundary, scheme = TABLE[side.name], scheme.seen_from(sign)
    if not boundary.reads_beyond:
        return (NO_FORMULA,) * seen.outwards
    rows = [
        make_formula(boundary.weigh(end, i, scheme, seen), i, scheme, side, sign, ends.unit)
        for i in range(seen.outwards)
    ]
    return tuple(rows[::sign])
