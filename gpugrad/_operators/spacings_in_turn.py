"""Spacings of calls that come again: kept, compared, planned; and what makes numbers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._grids import find_fine_steps
from gpugrad._operators.planning import plan_call
from gpugrad._stencils import AxisPlan, Operator, Outputs, list_formulas

UNITS = {float: 1.0, int: 1, np.float64: np.float64(1.0)}
"""Types of spacings whose numbers are worked out in each call, and what is planned for them."""

LEAST, MOST = 1e-30, 1e30
"""Spacings between which no number of a formula leaves the range of floats."""


def are_stretched(spacing: tuple[Any, ...], plans: Sequence[AxisPlan]) -> bool:
    """Tell whether another spacing does no more than divide all derivatives by a power of it."""
    return all(type(h) in UNITS for h in spacing) and not any(
        formula.constant is not None for plan in plans for formula in list_formulas(plan)
    )


def find_orders(
    row: Operator,
    plans: Sequence[Sequence[AxisPlan]],
    outputs: Outputs,
    spacing: tuple[Any, ...],
    arguments: Mapping[str, Any],
) -> list[tuple[int, int]]:
    """Return the order of each term, and the number of its spacing; plans are those of a call."""
    of_plan = {
        id(plan): (order, i if len(spacing) > 1 else 0)
        for order, each in zip(row.orders or (arguments["order"],), plans, strict=True)
        for i, plan in enumerate(each)
    }
    return [of_plan[id(term.plan)] for output in outputs for term in output]


def find_powers(orders: Sequence[tuple[int, int]], spacing: tuple[Any, ...]) -> list[float]:
    """Return ``h**order`` for each term; ValueError for a spacing that needs a look."""
    powers = []
    for order, k in orders:
        h = float(spacing[k]) if spacing else 1.0
        if not LEAST < abs(h) < MOST:
            raise ValueError(f"spacings must be from {LEAST} to {MOST}; got {h}.")
        powers.append(h**order)
    return powers


def plan_monotonic(
    row: Operator,
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    arguments: Mapping[str, Any],
) -> list[list[AxisPlan]]:
    """Return the plans of a call; raise ValueError for coordinates that take the long way."""
    for h in spacing:
        if type(h) is np.ndarray and not is_monotonic(h):
            raise ValueError("`spacing` must go up or down; else the long way warns, or raises.")
    return plan_call(row, fields, spacing, arguments)


def read_plain_spacing(h: Any) -> Any:
    """Return what plans are made of: steps, or a number; None for what has to be looked at."""
    if type(h) is np.ndarray:
        return find_fine_steps(h)
    if type(h) not in UNITS or not LEAST < abs(h) < MOST:
        return None
    return float(h) if type(h) is int else h


def keep_spacings(spacing: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return spacings that nobody changes any more."""
    return tuple([h.copy() if type(h) is np.ndarray else h for h in spacing])


def are_equal(spacing: tuple[Any, ...], kept: tuple[Any, ...]) -> bool:
    """Tell whether spacings, which may have changed in place, are those that were kept."""
    return len(spacing) == len(kept) and all(map(_is_equal, spacing, kept))


def _is_equal(h: Any, kept: Any) -> bool:
    if type(h) is not np.ndarray:
        return bool(h == kept)
    if h.shape != kept.shape or h.dtype != kept.dtype:
        return False
    return h.tobytes() == kept.tobytes() if h.size < 1 << 10 else bool((h == kept).all())


def is_monotonic(x: NumpyArray) -> bool:
    """Tell whether coordinates in one dimension only go up, or only down."""
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        return False
    return bool((x[1:] > x[:-1]).all() or (x[1:] < x[:-1]).all())
