"""Plans of calls for spacings of 1, and what makes numbers for any spacing of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpugrad._stencils import AxisPlan, Operator, Outputs

UNITS = {float: 1.0, int: 1, np.float64: np.float64(1.0)}
"""Types of spacings whose numbers are worked out in each call, and what is planned for them."""

LEAST, MOST = 1e-30, 1e30
"""Spacings between which no number of a formula leaves the range of floats."""


def are_stretched(spacing: tuple[Any, ...], plans: Sequence[AxisPlan]) -> bool:
    """Tell whether another spacing does no more than divide all derivatives by a power of it."""
    return all(type(h) in UNITS for h in spacing) and not any(
        formula.constant is not None
        for plan in plans
        for formula in (*plan.lower, plan.interior, *plan.upper)
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
