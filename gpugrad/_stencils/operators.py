"""What each operator is: for each of its outputs the terms to add, given a plan for each axis.

An operator asks for terms by plan, number of the component and sign. So the same lists serve a
call, in which a component is an array, and a reusable plan, in which it is not there yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpugrad._stencils.plan import AxisPlan

MakeTerm = Callable[..., Any]
"""``term(plan, i=0, sign=1)``, the i-th component differentiated by a plan."""

Outputs = list[list[Any]]
Plans = Sequence[AxisPlan]


def each_derivative(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output for each component and axis: derivatives, gradients, Jacobians."""
    return [[term(plan, i)] for i in range(components) for plan in plans]


def divergence_terms(plans: Plans, term: MakeTerm) -> Outputs:
    """Return one output: each component along its own axis."""
    return [[term(plan, i) for i, plan in enumerate(plans)]]


def laplacian_terms(plans: Plans, term: MakeTerm) -> Outputs:
    """Return one output: the field along all axes."""
    return [[term(plan) for plan in plans]]


def curl_terms(plans: Plans, term: MakeTerm) -> Outputs:
    """Return one output on two axes, three on three."""

    def across(i: int, j: int) -> list[Any]:
        return [term(plans[i], j), term(plans[j], i, sign=-1)]

    return [across(0, 1)] if len(plans) == 2 else [across(1, 2), across(2, 0), across(0, 1)]


def hessian_terms(first: Plans, second: Plans, term: MakeTerm) -> Outputs:
    """Return the diagonal, then the slopes of which mixed derivatives are made."""
    return each_derivative([*second, *first[1:]], term)


def arrange_hessian(
    results: Sequence[Any], first: Plans, differentiate: Callable[[Any, Plans], Sequence[Any]]
) -> list[list[Any]]:
    """Return the rows of a Hessian from what `hessian_terms` gave.

    ``differentiate(slope, plans)`` returns a derivative of a slope for each plan.
    """
    n = len(first)
    rows = [[results[i] if i == j else None for j in range(n)] for i in range(n)]
    for j, slope in enumerate(results[n:], start=1):
        for i, entry in enumerate(differentiate(slope, first[:j])):
            rows[i][j] = rows[j][i] = entry
    return rows
