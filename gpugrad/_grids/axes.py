"""From the arguments of a call to plans: one for each axis to differentiate along."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from gpugrad._arrays import Array, warn_caller
from gpugrad._grids.options import (
    ONE_SIDED,
    Options,
    check_length,
    check_value,
    parse_boundaries,
    parse_edge_order,
    parse_periods,
    parse_scheme,
    parse_staggers,
)
from gpugrad._grids.spacing import check_lengths, count_times, mend_axis, parse_axes, parse_spacings
from gpugrad._grids.times import check_times
from gpugrad._stencils import (
    AxisPlan,
    Sides,
    first_derivative,
    plan_beside_masked,
    plan_derivative,
    repeats_its_first,
)

_PLAIN = {int, str, type(None)}
"""The types of options that may be a key: others may have no hash, and True equals 1."""


def parse_one_axis(axis: Any) -> int:
    """Return an axis that must be a single integer."""
    try:
        return operator.index(axis)
    except TypeError as error:
        raise TypeError(
            f"`axis` must be one integer; got {axis!r}. For several axes there is `gradient`. "
            f"{mend_axis(axis)}"
        ) from error


def plan_gradient(
    f: Array, varargs: tuple[Any, ...], axis: Any, time_unit: str | None, options: Options
) -> list[AxisPlan]:
    """Plan a gradient: NumPy's, unless the options ask for more."""
    if not options.are_numpys:
        return plan_axes(f, varargs, axis, time_unit, options)
    edge_order = 1 if options.edge_order is None else options.edge_order
    return plan_as_numpy(f, varargs, axis, edge_order, time_unit)


def _has_plain_plans(f: Array) -> bool:
    """Tell whether plans depend on no more of an array than of one of NumPy's."""
    module = type(f).__module__
    return module == "cupy" or (module.startswith("numpy.ma") and f.dtype.kind in "fciu")


def _is_plain(f: Array, varargs: tuple[Any, ...], axis: Any, edge_order: Any) -> bool:
    """Tell whether a call has arguments that may be the key under which its plans are kept."""
    return (
        (type(f) is np.ndarray or _has_plain_plans(f))
        and type(edge_order) is int
        and (axis is None or type(axis) is int)
        and (not varargs or all(type(h) is float for h in varargs))
    )


def plan_as_numpy(
    f: Array, varargs: tuple[Any, ...], axis: Any, edge_order: Any, time_unit: str | None
) -> list[AxisPlan]:
    """Plan NumPy's gradient."""
    if time_unit is None and _is_plain(f, varargs, axis, edge_order):
        return _plan_evenly(f.shape, axis, edge_order, *varargs)
    return _plan_first_derivatives(f, varargs, axis, edge_order, time_unit)


def _plan_first_derivatives(
    f: Array, varargs: tuple[Any, ...], axis: Any, edge_order: Any, time_unit: str | None
) -> list[AxisPlan]:
    axes = parse_axes(axis, f.ndim)
    edge_order = parse_edge_order(edge_order)
    check_lengths(f.shape, axes, edge_order)
    spacings = parse_spacings(varargs, axes, f, time_unit)
    check_times(f, varargs)
    return [first_derivative(i, h, edge_order) for i, h in zip(axes, spacings, strict=True)]


@lru_cache(maxsize=512, typed=True)
def _plan_evenly(shape: tuple[int, ...], axis: Any, edge_order: Any, *h: float) -> list[AxisPlan]:
    """Plan NumPy's gradient once for each shape, with numbers for spacings or none.

    `plan_once` keeps plans of single axes, which spares making them. What is kept here spares
    parsing arguments too, which takes longer than the arithmetic on ten numbers.
    """
    # An array of this shape stands in for the field; it holds a single number.
    return _plan_first_derivatives(np.broadcast_to(0.0, shape), h, axis, edge_order, None)


def plan_axes(
    f: Array, varargs: tuple[Any, ...], axis: Any, time_unit: str | None, options: Options
) -> list[AxisPlan]:
    """Plan the derivative along each axis that is asked for, as `options` say."""
    is_plain = time_unit is None and _is_plain(f, varargs, axis, 1)
    if is_plain and _PLAIN.issuperset(map(type, options)):
        plans = _plan_axes_evenly(f.shape, f.dtype, axis, options, *varargs)
    else:
        plans = _plan_axes(f, varargs, axis, time_unit, options)
    if options.boundary is not ONE_SIDED and options.beside_masked is None:
        axes = [plan.axis for plan in plans]
        sides = parse_boundaries(options.boundary, axes, f.ndim)
        period = count_times(options.period, "`period`", time_unit)
        warn_of_repeats(f, axes, sides, parse_periods(period, sides, axes, f.ndim))
    return plans


def warn_of_repeats(
    f: Array, axes: Sequence[int], sides: Sequence[Sides], periods: Sequence[float | None]
) -> None:
    """Warn of last samples that repeat the first ones, on periodic axes without a given period."""
    for axis, (side, _), period in zip(axes, sides, periods, strict=True):
        if side.name == "periodic" and period is None and repeats_its_first(f, axis):
            warn_caller(
                f"axis {axis} of `f` is periodic, but the last sample repeats the first. Leave it "
                "out, or say the `period` if the field is so by chance: the first sample follows "
                "the last."
            )


def _plan_axes(
    f: Array, varargs: tuple[Any, ...], axis: Any, time_unit: str | None, options: Options
) -> list[AxisPlan]:
    axes = parse_axes(axis, f.ndim)
    scheme = parse_scheme(options)
    sides = parse_boundaries(options.boundary, axes, f.ndim)
    period = count_times(options.period, "`period`", time_unit)
    periods = parse_periods(period, sides, axes, f.ndim)
    schemes = [scheme._replace(shift=n) for n in parse_staggers(options.stagger, axes, f.ndim)]
    check_lengths(f.shape, axes)
    for i, pair, scheme in zip(axes, sides, schemes, strict=True):
        check_length(i, f.shape[i], scheme, pair)
        check_value(f, pair)
    best = options.beside_masked
    make_plan = plan_derivative if best is None else partial(plan_beside_masked, best=best)
    plans = [
        make_plan(i, h, f.shape[i], scheme, pair, period)
        for i, h, scheme, pair, period in zip(
            axes, parse_spacings(varargs, axes, f, time_unit), schemes, sides, periods, strict=True
        )
    ]
    check_times(f, varargs, plans, options)
    return plans


@lru_cache(maxsize=512, typed=True)
def _plan_axes_evenly(
    shape: tuple[int, ...], dtype: np.dtype[Any], axis: Any, options: Options, *h: float
) -> list[AxisPlan]:
    """Plan any scheme once for each shape, as `_plan_evenly`.

    Boundary values must fit the dtype of a field, so it is a part of the key, and so are options.
    `_plan_evenly` does without: to hash both would cost NumPy's calls a few percent.
    """
    return _plan_axes(np.broadcast_to(np.zeros((), dtype), shape), h, axis, None, options)
