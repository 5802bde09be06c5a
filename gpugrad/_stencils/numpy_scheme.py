"""The first derivative as `numpy.gradient` has it: formulas, and the order of operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gpugrad._arrays import Array, NumpyArray
from gpugrad._stencils.plan import (
    AxisPlan,
    Formula,
    Steps,
    find_maker,
    list_formulas,
    plan_once,
    rows_of,
)
from gpugrad._stencils.weights import (
    BLOCK,
    first_of_three,
    last_of_three,
    middle_in_blocks,
    middle_of_three,
)


def first_derivative(axis: int, spacing: Any, edge_order: int) -> AxisPlan:
    """Plan the first derivative along `axis`, as `numpy.gradient` does it.

    `spacing` is a number, the steps between samples or, where values must not be read, a 0-d or
    1-D array of either. The error is O(h^2) inside and, at the two ends, O(h) with `edge_order`
    1, O(h^2) with 2.
    """
    return plan_once(_plan, spacing, (axis, edge_order))


def _plan(spacing: Any, axis: int, edge_order: int) -> AxisPlan:
    steps = spacing.values if isinstance(spacing, Steps) else spacing
    return (_plan_unevenly if getattr(steps, "ndim", 0) else _plan_evenly)(steps, axis, edge_order)


def _plan_evenly(h: Any, axis: int, edge_order: int) -> AxisPlan:
    # A NumPy scalar is promoted with the field, a Python number adapts to it; the weights are
    # worked out in the scalar's own precision, then carried as numbers with that dtype beside.
    if edge_order == 1:
        divisor = as_number(h)
        lower = Formula((1, 0), (1, -1), divisor)
        upper = Formula((0, -1), (1, -1), divisor)
    else:
        lower = _weighted((0, 1, 2), (-1.5 / h, 2.0 / h, -0.5 / h))
        upper = _weighted((-2, -1, 0), (0.5 / h, -2.0 / h, 1.5 / h))
    interior = Formula((1, -1), (1, -1), as_number(2.0 * h))
    dtype = h.dtype if isinstance(h, np.generic) else None
    on_host = isinstance(h, (float, np.generic))
    return AxisPlan(axis, (lower,), interior, (upper,), dtype, on_host, {})


def _plan_unevenly(steps: Array, axis: int, edge_order: int) -> AxisPlan:
    on_host = isinstance(steps, np.ndarray)
    if on_host and steps.ndim == 1:
        lower, interior, upper = _find_formulas_of_line(steps, edge_order)
    else:
        lower, interior, upper = _find_formulas(steps, axis if steps.ndim > 1 else 0, edge_order)
    return AxisPlan(
        axis, (lower,), interior, (upper,), steps.dtype if on_host else None, on_host, {}
    )


def find_formulas_again(plan: AxisPlan, spacing: Any) -> tuple[Formula, ...]:
    """Return the formulas, from row to row, that a plan has for another spacing.

    `plan` is for a spacing of the same type, and of as many samples.
    """
    make, key = find_maker(plan)
    if make is _plan and type(spacing) is Steps and spacing.values.ndim == 1:
        return _find_formulas_of_line(spacing.values, key[1])  # a plan takes longer than numbers
    return list_formulas(plan_once(make, spacing, key))


def _find_formulas_of_line(steps: NumpyArray, edge_order: int) -> tuple[Formula, Formula, Formula]:
    """Return the formulas of the first row, of those between, and of the last, on the host."""
    if edge_order == 1:
        lower = Formula((1, 0), (1, -1), steps.item(0))
        upper = Formula((0, -1), (1, -1), steps.item(-1))
    else:
        lower = _weighted((0, 1, 2), first_of_three(steps[0], steps[1 % steps.size]))
        upper = _weighted((-2, -1, 0), last_of_three(steps[-2 % steps.size], steps[-1]))
    if steps.size > 4 * BLOCK:
        middle = middle_in_blocks(steps)
    else:
        middle = middle_of_three(steps[:-1], steps[1:])
    return lower, Formula((-1, 0, 1), middle), upper


def _find_formulas(steps: Array, along: int, edge_order: int) -> tuple[Formula, Formula, Formula]:
    """Return the same of any library, and where lines differ."""
    size = steps.shape[along]

    def end(i: int) -> Any:
        # A library may have no scalars, and a lazy array no values: keep arrays of one row.
        return steps[rows_of(steps.ndim, along, i % size, i % size + 1)]

    if edge_order == 1:
        lower = Formula((1, 0), (1, -1), as_number(end(0)))
        upper = Formula((0, -1), (1, -1), as_number(end(-1)))
    else:
        lower = _weighted((0, 1, 2), first_of_three(end(0), end(1)))
        upper = _weighted((-2, -1, 0), last_of_three(end(-2), end(-1)))
    if isinstance(steps, np.ndarray) and steps.size > 4 * BLOCK:
        middle = middle_in_blocks(steps, along)
    else:
        left, right = (steps[rows_of(steps.ndim, along, *s)] for s in ((0, -1), (1, None)))
        middle = middle_of_three(left, right)
    return lower, Formula((-1, 0, 1), middle), upper


def _weighted(offsets: tuple[int, ...], weights: Iterable[Any]) -> Formula:
    return Formula(offsets, tuple(map(as_number, weights)))


def is_known(w: Any) -> bool:
    """Tell whether a weight is a number, and not an array that may have no values yet."""
    return isinstance(w, (int, float, np.generic))


def as_number(w: Any) -> Any:
    """Return a number as a Python number, unless that would lose digits, and an array as it is."""
    return float(w) if is_known(w) and not isinstance(w, np.longdouble) else w
