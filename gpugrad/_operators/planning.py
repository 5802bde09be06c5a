"""From the arguments of a call to the plans of an operator of the table, and to its program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpugrad._arrays import Array
from gpugrad._grids import Options, parse_one_axis, plan_axes, plan_gradient
from gpugrad._operators.components import check_plans, find_shape
from gpugrad._operators.stages import Stages, plan_stages
from gpugrad._stencils import OPERATORS, AxisPlan, Operator


def find_operator(name: str) -> Operator:
    """Return the row of an operator in the table, or raise ValueError."""
    row = OPERATORS.get(name) if isinstance(name, str) else None
    if row is None:
        raise ValueError(f"`operator` must be one of {', '.join(OPERATORS)}; got {name!r}.")
    return row


def make_program(
    operator: str,
    f: Array,
    spacing: tuple[Any, ...],
    axis: Any,
    time_unit: str | None,
    options: Options,
    keywords: Mapping[str, Any],
    where: Array | None = None,
) -> tuple[Stages, tuple[int, ...], tuple[int, ...]]:
    """Return the program of an operator for fields like `f`, and how its fields and results lie.

    Fields, and results, are one array: (), a tuple: (n,), or a tuple of tuples: (m, n). `keywords`
    are options that not all operators take. `where` is a mask of the shape of `f`, false where
    samples are masked.
    """
    row = find_operator(operator)
    for name, value in keywords.items():
        if value is not None and name not in row.options:
            raise TypeError(f"`{name}` does not go with a plan of {operator}. Leave it out.")
    plans = plan_operator(row, f, spacing, axis, time_unit, options)
    axes = len(plans[0])
    components = 1 if row.takes == "field" else axes
    if keywords["components"] is not None:
        components = keywords["components"]
    check_plans(row, plans[0], [f] * components)
    shape = find_shape(row, components, axes, bool(keywords["stack"]))
    takes = () if row.takes == "field" else (components,)
    return plan_stages(row, plans, components, where), takes, shape


def plan_operator(
    row: Operator,
    f: Array,
    spacing: tuple[Any, ...],
    axis: Any,
    time_unit: str | None,
    options: Options,
) -> list[list[AxisPlan]]:
    """Return a plan for each axis, and these for each order of the operator."""
    if row.name == "gradient":
        return [plan_gradient(f, spacing, axis, time_unit, options)]
    if not row.orders:
        if len(spacing) > 1:
            raise TypeError(f"a {row.title} takes one spacing; got {len(spacing)}.")
        axis = parse_one_axis(-1 if axis is None else axis)
    return [
        plan_axes(f, spacing, axis, time_unit, options._replace(order=order))
        for order in row.orders or (options.order,)
    ]


def plan_call(
    row: Operator, fields: Sequence[Array], spacing: tuple[Any, ...], arguments: Mapping[str, Any]
) -> list[list[AxisPlan]]:
    """Return the plans of a call, checked, by all of its other arguments by name."""
    options = Options(**{k: v for k, v in arguments.items() if k in Options._fields})
    plans = plan_operator(row, fields[0], spacing, arguments.get("axis"), None, options)
    check_plans(row, plans[0], fields)
    return plans
