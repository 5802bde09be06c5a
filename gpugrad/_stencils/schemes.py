"""Plans for derivatives of any order and accuracy, with any boundary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, namespace_of
from gpugrad._stencils.boundaries import (
    MAX_ACCURACY,
    MAX_ORDER,
    TABLE,
    End,
    RowFormula,
    Scheme,
    Side,
    Sides,
)
from gpugrad._stencils.numpy_scheme import as_number, first_derivative, is_known
from gpugrad._stencils.plan import AxisPlan, Formula, Steps, plan_once, rows_of
from gpugrad._stencils.weights import exact_weights, middle_of_many, move_origin

_NEAR = MAX_ORDER + MAX_ACCURACY
"""Steps at an end that any formula reads at most."""


def plan_derivative(
    axis: int, spacing: Any, length: int, scheme: Scheme, sides: Sides, period: float | None
) -> AxisPlan:
    """Plan a derivative along an axis of `length` samples.

    `spacing` is what `first_derivative` takes. What that can do, it does: so NumPy's scheme has
    NumPy's bits, inside also beside other boundaries.
    """
    return plan_once(_plan, spacing, (axis, length, scheme, sides, period))


def _plan(spacing: Any, *key: Any) -> AxisPlan:
    is_uneven = isinstance(spacing, Steps) or getattr(spacing, "ndim", 0) > 0
    return (_plan_unevenly if is_uneven else _plan_evenly)(spacing, *key)


def _plan_evenly(
    h: Any, axis: int, length: int, scheme: Scheme, sides: Sides, period: float | None
) -> AxisPlan:
    numpys = first_derivative(axis, h, 1)
    interior = numpys.interior if scheme.is_numpys else _make_interior(scheme, h)
    at = find_ends(axis, h, length, period)
    ends = [
        _ends_of_numpy(axis, h, scheme, side, sign)
        or _make_end_rows(end, scheme, side, sign, at.unit)
        for end, side, sign in zip(at[:2], sides, (1, -1), strict=True)
    ]
    return numpys._replace(lower=ends[0], interior=interior, upper=ends[1], memo={})


def _plan_unevenly(
    spacing: Any, axis: int, length: int, scheme: Scheme, sides: Sides, period: float | None
) -> AxisPlan:
    on_host = isinstance(spacing, Steps)
    steps = spacing.values if on_host else spacing
    if scheme.is_numpys:
        interior = first_derivative(axis, spacing, 1).interior
    with np.errstate(all="ignore"):  # what it hides is refused just below
        if not scheme.is_numpys:
            before, after = scheme.window
            along = axis if steps.ndim > 1 else 0
            weights = middle_of_many(steps, before, after, scheme.order, along, scheme.shift)
            interior = Formula(tuple(range(-before, after + 1)), tuple(weights))
        at = find_ends(axis, spacing, length, period)
        ends = [
            _ends_of_numpy(axis, spacing, scheme, side, sign)
            or _make_end_rows(end, scheme, side, sign, None)
            for end, side, sign in zip(at[:2], sides, (1, -1), strict=True)
        ]
    if on_host and spacing.is_not_monotonic:
        check_weights(axis, [interior, *ends[0], *ends[1]])
    dtype = steps.dtype if on_host else None
    return AxisPlan(axis, ends[0], interior, ends[1], dtype, on_host, {})


class Ends(NamedTuple):
    """Both ends of an axis, and the unit of positions there: the spacing, or None."""

    lower: End
    upper: End
    unit: Any


def find_ends(axis: int, spacing: Any, length: int, period: float | None) -> Ends:
    """Return the ends of an axis, from where formulas there see the samples."""
    on_host = isinstance(spacing, Steps)
    if not on_host and not getattr(spacing, "ndim", 0):
        return _find_even_ends(axis, spacing, length, period)
    steps, near = spacing.values if on_host else spacing, min(length - 1, _NEAR)
    # Only few steps are read: on a device each is an array of one row, and none is copied home.
    first = [_step_at(steps, axis, k, on_host) for k in range(near)]
    last = [-_step_at(steps, axis, length - 2 - k, on_host) for k in range(near)]
    closing = (
        (first[0] - last[0]) / 2 if period is None else _find_closing_step(axis, steps, period)
    )
    return Ends(
        End(length, first, [closing, *(-step for step in last)]),
        End(length, last, [-closing, *(-step for step in first)]),
        None,
    )


def _find_even_ends(axis: int, h: Any, length: int, period: float | None) -> Ends:
    closing = None if period is None else _find_even_closing_step(axis, h, length, period)
    if closing is None:
        lower, upper = (End(length, [sign] * _NEAR, [sign] * _NEAR) for sign in (1, -1))
        return Ends(lower, upper, h)
    # The step that closes the circle differs from the others: weights are no longer exact.
    steps = {sign: [sign * as_number(h)] * _NEAR for sign in (1, -1)}
    lower, upper = (End(length, steps[sign], [sign * closing, *steps[sign]]) for sign in (1, -1))
    return Ends(lower, upper, None)


def _ends_of_numpy(
    axis: int, spacing: Any, scheme: Scheme, side: Side, sign: int
) -> tuple[Formula, ...]:
    """Return the formulas at an end if they are NumPy's, else none."""
    edge = scheme.at(side).edge
    if side.name != "one-sided" or not scheme.is_numpys:
        return ()
    plan = first_derivative(axis, spacing, edge)
    return plan.lower if sign == 1 else plan.upper


def _make_end_rows(end: End, scheme: Scheme, side: Side, sign: int, h: Any) -> tuple[Formula, ...]:
    """Return the formulas of the rows at an end, in the order of the axis.

    `sign` is 1 at the lower end, where samples are counted upwards, and -1 at the upper one; `h`
    is the unit of positions if it is the spacing, else None.
    """
    boundary, scheme = TABLE[side.name], scheme.at(side).seen_from(sign)
    formulas = [
        make_formula(boundary.weigh(end, i, scheme), i, scheme, side, sign, h)
        for i in range(scheme.window.outwards)
    ]
    return tuple(formulas[::sign])


def make_formula(row: RowFormula, i: int, scheme: Scheme, side: Side, sign: int, h: Any) -> Formula:
    """Return the formula of row `i` from an end; other arguments are as for `_make_end_rows`."""
    weights = {sign * (number - i): w for number, w in row.weights.items()}
    value = side.value or 0.0
    if h is None:
        return _join_weights(weights, row.of_value * value)
    unit = abs(as_number(h)) if TABLE[side.name].per_length else 1.0
    return scale(weights, scheme.order, h, row.of_value, value * unit)


def _make_interior(scheme: Scheme, h: Any) -> Formula:
    before, after = scheme.window
    offsets = range(-before, after + 1)
    weights = exact_weights(tuple(move_origin(offsets, before, scheme.shift)), scheme.order)
    return scale(dict(zip(offsets, weights, strict=True)), scheme.order, h)


def scale(
    weights: dict[int, Any], order: int, h: Any, of_value: Any = 0, value: Any = 0.0
) -> Formula:
    """Return a formula with integer numerators and one division, by which it is most accurate.

    Samples come in the order of their weights, so that what is small is added first, and the two
    samples of a symmetric pair one after the other: of a constant field, nothing is left of a pair.
    """
    used = {k: w for k, w in weights.items() if w}
    power = as_number(h) ** order
    if not used:
        return _make_empty(float(of_value) * value / power)
    # Weights over their least common denominator, and these over their greatest common divisor: the
    # smallest integers there are, which floats hold exactly.
    below = math.lcm(of_value.denominator, *(w.denominator for w in used.values()))
    common = math.gcd(*(int(w * below) for w in used.values()))
    offsets = sorted(used, key=lambda k: (abs(used[k]), used[k] < 0, k))
    numerators = [int(used[k] * below) // common for k in offsets]
    divisor = below / common * power
    if is_known(divisor) and not 0 < abs(divisor) < math.inf:
        raise ValueError(
            f"`spacing` must have a power {order} within the range of floats; got {h}. "
            "Use another unit of length."
        )
    return Formula(
        tuple(offsets),
        tuple([k if abs(k) == 1 else float(k) for k in numerators]),
        divisor,
        _drop_zero(float(of_value * below / common) * value),
    )


def _join_weights(weights: dict[int, Any], constant: Any) -> Formula:
    """Return a formula with weights as they are, but without those that are known to be zero."""
    offsets = [k for k in sorted(weights) if not (is_known(weights[k]) and weights[k] == 0)]
    if not offsets:
        return _make_empty(constant)
    numbers = tuple([as_number(weights[k]) for k in offsets])
    return Formula(tuple(offsets), numbers, None, _drop_zero(constant))


def _make_empty(constant: Any) -> Formula:
    """Return a formula for what depends on no sample; of its own it takes the NaN, and the mask."""
    return Formula((0, 0), (1, -1), None, _drop_zero(constant))


def _drop_zero(constant: Any) -> Any:
    return None if is_known(constant) and constant == 0 else as_number(constant)


def _step_at(steps: Array, axis: int, k: int, on_host: bool) -> Any:
    """Return a step as a scalar of NumPy, double or longer, or else as an array of one row."""
    step = steps[rows_of(steps.ndim, axis if steps.ndim > 1 else 0, k, k + 1)]
    if not on_host:
        return step
    step = step.astype(np.result_type(steps, np.float64))
    return step[0] if steps.ndim == 1 else step


def _find_even_closing_step(axis: int, h: Any, length: int, period: float) -> Any:
    """Return the step between the last sample and the first, None if it is like all others."""
    h = as_number(h)
    if not is_known(h):
        return h / abs(h) * period - (length - 1) * h
    if abs(period - length * abs(h)) <= 1e-6 * abs(h):  # the rounding of a float32, say
        return None
    return _check_closing_step(axis, h * (length - 1), h, period)


def _find_closing_step(axis: int, steps: Array, period: float) -> Any:
    if isinstance(steps, np.ndarray):
        lines_differ = steps.ndim > 1
        along = axis if lines_differ else None
        extent = steps.sum(along, dtype=np.result_type(steps, np.float64), keepdims=lines_differ)
        if not lines_differ:
            return _check_closing_step(axis, extent, extent / steps.size, period)
        if extent.size:
            longest = extent.flat[abs(extent).argmax()]
            _check_closing_step(axis, longest, longest / steps.shape[axis], period)
    else:
        xp = namespace_of(steps)
        extent = xp.sum(steps, axis=axis if steps.ndim > 1 else 0, keepdims=True)
    return extent / abs(extent) * period - extent


def _check_closing_step(axis: int, extent: Any, step: Any, period: float) -> Any:
    closing = period - abs(extent)
    if closing < 1e-6 * abs(step):
        repeats = closing > -1e-6 * abs(step)
        raise ValueError(
            f"`period` of axis {axis} must be greater than the distance from the first sample to "
            f"the last, {abs(extent)}; got {period}"
            + (": the last sample repeats the first. Leave it out." if repeats else ".")
        )
    return closing if extent > 0 else -closing


def check_weights(axis: int, formulas: Iterable[Formula]) -> None:
    """Raise ValueError where coordinates that turn back make a weight infinite."""
    if not all(np.isfinite(w).all() for formula in formulas for w in formula.weights):
        raise ValueError(
            f"`spacing` for axis {axis} must not return to the same place among the samples of a "
            "formula. Sort the samples by coordinate, or lower `accuracy`."
        )
