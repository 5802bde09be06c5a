"""From the arguments of a reusable plan to the program of its operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays.arrays import (
    Array,
    as_field,
    device_of,
    dtype_name,
    is_library_array,
    library_of,
    namespace_of,
)
from gpugrad._components import check_axes
from gpugrad._grids.axes import parse_one_axis, plan_axes, plan_gradient
from gpugrad._grids.options import Options
from gpugrad._program import Outputs, Program, number_term, single_stage
from gpugrad._stencils.operators import (
    MakeTerm,
    arrange_hessian,
    curl_terms,
    divergence_terms,
    each_derivative,
    hessian_terms,
    laplacian_terms,
)
from gpugrad._stencils.plan import AxisPlan, Norm, Term
from gpugrad._stencils.validity import find_results

TAKES = {
    "gradient": {"edge_order", "stagger", "stack"},
    "derivative": {"order", "stagger"},
    "divergence": {"stagger"},
    "curl": {"stagger", "stack"},
    "laplacian": set(),
    "jacobian": {"stagger", "components", "stack"},
    "hessian": {"stack"},
    "gradient_norm": set(),
}
"""The operators, and which options each takes beside those that all take."""


class Recipe(NamedTuple):
    """A program, and how its fields come and results go: (), (n,) or (m, n) arrays."""

    program: Program
    takes: tuple[int, ...]
    gives: tuple[int, ...]


def make_template(shape: Any, dtype: Any, like: Any) -> Array:
    """Return an array of the kind that is planned for, which holds a single number."""
    try:
        shape = (int(shape),) if np.ndim(shape) == 0 else tuple(map(int, shape))
    except (TypeError, ValueError) as error:
        raise TypeError(f"`shape` must be an integer or a tuple of them; got {shape!r}.") from error
    if like is None or like is np or library_of(like) == "NumPy":
        return as_field(np.broadcast_to(np.zeros((), np.dtype(dtype)), shape))
    if isinstance(like, ModuleType):
        like = like.zeros(1)
    elif not is_library_array(like):
        raise TypeError(
            f"`like` must be an array or the namespace of a library; got {type(like).__name__}."
        )
    xp, device = namespace_of(like), device_of(like)
    try:
        name = dtype_name(np.dtype(dtype))
    except TypeError:
        name = dtype if isinstance(dtype, str) else dtype_name(dtype)
    placed = {} if device is None else {"device": device}
    one = xp.zeros((1,) * len(shape), dtype=getattr(xp, name), **placed)
    return as_field(xp.broadcast_to(one, shape))


def make_recipe(
    operator: str,
    f: Array,
    spacing: tuple[Any, ...],
    axis: Any,
    time_unit: str | None,
    options: Options,
    given: Mapping[str, Any],
    where: Array | None = None,
) -> Recipe:
    """Return the recipe of an operator for fields like `f`; `given` are options not all take.

    `where` is a mask of the shape of `f`, false in holes.
    """
    term = partial(number_term, where=where)
    if operator not in TAKES:
        raise ValueError(f"`operator` must be one of {', '.join(TAKES)}; got {operator!r}.")
    for name, value in given.items():
        if value is not None and name not in TAKES[operator]:
            raise TypeError(f"`{name}` does not go with a plan of {operator}. Leave it out.")
    if operator == "gradient":
        edge_order = 1 if given["edge_order"] is None else given["edge_order"]
        plans = plan_gradient(f, spacing, axis, edge_order, time_unit, options)
        return _make_each(plans, operator, given, term)
    if operator == "derivative":
        if len(spacing) > 1:
            raise TypeError(f"a derivative takes one spacing; got {len(spacing)}.")
        axis = parse_one_axis(-1 if axis is None else axis)
        plans = plan_axes(f, spacing or (1.0,), axis, time_unit, options)
        return _make_each(plans, operator, given, term)
    if operator in ("laplacian", "hessian"):
        options = options._replace(order=2)
    plans = plan_axes(f, spacing, axis, time_unit, options)
    check_axes(plans, operator)
    n = len(plans)
    if operator == "laplacian":
        return Recipe(single_stage(1, laplacian_terms(plans, term)), (), ())
    if operator == "gradient_norm":
        return Recipe(single_stage(1, [Norm(map(term, plans))]), (), ())
    if operator == "divergence":
        return Recipe(single_stage(n, divergence_terms(plans, term)), (n,), ())
    if operator == "curl":
        program = single_stage(n, curl_terms(plans, term))
        if n == 2 and given["stack"]:
            raise ValueError("`stack` needs three axes: on two, the curl has one component.")
        return Recipe(program, (n,), () if n == 2 else (3,))
    if operator == "jacobian":
        m = n if given["components"] is None else given["components"]
        return Recipe(single_stage(m, each_derivative(plans, term, m)), (m,), (m, n))
    first = plan_axes(f, spacing, axis, time_unit, options._replace(order=1))
    check_axes(first, "Hessian")
    return Recipe(_make_hessian(first, plans, term), (), (n, n))


def _make_each(
    plans: list[AxisPlan], operator: str, given: Mapping[str, Any], term: MakeTerm
) -> Recipe:
    check_axes(plans, operator)
    n = len(plans)
    program = single_stage(1, each_derivative(plans, term))
    return Recipe(program, (), (n,) if n > 1 or given["stack"] else ())


def _make_hessian(first: list[AxisPlan], second: list[AxisPlan], term: MakeTerm) -> Program:
    stage = hessian_terms(first, second, term)
    valid = [find_results(terms) for terms in stage]  # a slope that is missing is a hole
    mixed: list[tuple[Term, ...]] = []

    def differentiate(slope: int, plans: Sequence[AxisPlan]) -> Sequence[int]:
        start = 1 + len(stage) + len(mixed)
        mixed.extend((number_term(plan, slope, where=valid[slope - 1]),) for plan in plans)
        return range(start, start + len(plans))

    rows = arrange_hessian(range(1, 1 + len(stage)), first, differentiate)
    stages: list[Outputs] = [tuple(map(tuple, stage))]
    if mixed:
        stages.append(tuple(mixed))
    return Program(1, tuple(stages), tuple(number for row in rows for number in row))
