"""The transpose of a plan, again as a plan: the way back of automatic differentiation.

A plan is a matrix with a formula in each row. Its transpose has in row j what the formulas of all
rows have for sample j. Between the ends these are the weights of the interior formula, mirrored;
near the ends, and where a formula wraps around, they are gathered one by one. Constants are not
part of the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpugrad._stencils.plan import AxisPlan, Formula, cut_weight, rows_of


def transpose_plan(plan: AxisPlan, n: int) -> AxisPlan:
    """Return the transpose of a plan for an axis of `n` samples."""
    key = ("transpose", n)
    if key not in plan.memo:
        plan.memo[key] = _transpose_formulas(plan, n)
    transposed: AxisPlan = plan.memo[key]
    return transposed


def _transpose_formulas(plan: AxisPlan, n: int) -> AxisPlan:
    first, last = len(plan.lower), n - len(plan.upper)
    ends = [*enumerate(plan.lower), *enumerate(plan.upper, start=last)]
    touched = [i + offset for i, formula in ends for offset in formula.offsets]
    offsets = plan.interior.offsets if first < last else (0,)
    # Columns from `lower` to `n - upper` have entries in rows between the ends alone, one for each
    # sample of the interior formula. All other columns are gathered entry by entry.
    lower = max(first + max(offsets), *(j + 1 for j in touched if j < n / 2), 0)
    upper = max(n - last - min(offsets), *(n - j for j in touched if j >= n / 2), 0)
    if lower + upper >= n or first >= last:
        lower, upper = n, 0
    gathered: dict[int, list[tuple[int, Any]]] = {}
    for i, j, w in _list_outer_entries(plan, n, lower, n - upper):
        gathered.setdefault(j, []).append((i, w))

    def make_column(j: int) -> Formula:
        column = gathered.get(j, [(j, 0.0)])
        return Formula(tuple(i - j for i, _ in column), tuple(w for _, w in column))

    interior = (
        make_column(0)
        if lower == n
        else _mirror_formula(plan.interior, first, last, lower, n - upper, plan.axis)
    )
    return plan._replace(
        lower=tuple(map(make_column, range(lower))),
        interior=interior,
        upper=tuple(map(make_column, range(n - upper, n))),
        memo={},
    )


def _list_outer_entries(
    plan: AxisPlan, n: int, start: int, stop: int
) -> Iterator[tuple[int, int, Any]]:
    """Yield row, column and value of the entries in columns outside of `start` to `stop`."""
    for formula, first, last in plan.regions(n):
        reach = max(map(abs, formula.offsets))
        near = range(first, min(last, start + reach))
        far = range(max(near.stop, first, stop - reach), last)
        for i in (*near, *far):
            for offset, w in zip(formula.offsets, formula.weights, strict=True):
                if not start <= i + offset < stop:
                    value = _pick_row(w, i - first, plan.axis)
                    if formula.divisor is not None:
                        value = value / _pick_row(formula.divisor, i - first, plan.axis)
                    yield i, i + offset, value


def _pick_row(w: Any, row: int, axis: int) -> Any:
    """Return a weight or divisor for one row: a number, or an array where lines differ."""
    w = cut_weight(w, rows_of(axis + 1, axis, row, row + 1), axis)
    ndim = getattr(w, "ndim", 0)
    return w if ndim > 1 else float(w[0] if ndim else w)


def _mirror_formula(
    formula: Formula, first: int, last: int, start: int, stop: int, axis: int
) -> Formula:
    """Return the formula of columns `start` to `stop`, from the one of rows `first` to `last`."""

    def move_entries(w: Any, offset: int) -> Any:
        """Return the entries that belong to the rows which have a sample at these columns."""
        rows = rows_of(axis + 1, axis, start - offset - first, stop - offset - first)
        return cut_weight(w, rows, axis)

    offsets, weights, divisor, _ = formula
    mirrored = tuple(-offset for offset in offsets)
    if getattr(divisor, "ndim", 0) == 0:
        moved = tuple(move_entries(w, k) for w, k in zip(weights, offsets, strict=True))
        return Formula(mirrored, moved, divisor)
    return Formula(
        mirrored,
        tuple(
            np.asarray(move_entries(w, k) / move_entries(divisor, k))
            for w, k in zip(weights, offsets, strict=True)
        ),
    )
