"""What all operators of the table do in a call: from arguments to plans, outputs and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import Array, as_field, assign, check_out, flatten_rows, stack_results
from gpugrad._grids import Options, plan_axes
from gpugrad._operators.components import as_components, check_plans
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import OPERATORS, AxisPlan, Operator, arrange_hessian, each_derivative


def apply_operator(
    name: str,
    f: Any,
    spacing: tuple[Any, ...],
    axis: Any,
    time_unit: str | None,
    options: Options,
    where: Any,
    skipna: bool,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Any:
    """Return the results of an operator of the table, in tuples or in one array."""
    row = OPERATORS[name]
    samples = MaskedFields(
        [as_field(f)] if row.takes == "field" else as_components(f), where, skipna
    )
    chosen = samples.choose(options)
    plans = [
        plan_axes(samples.fields[0], spacing, axis, time_unit, chosen._replace(order=order))
        for order in row.orders
    ]
    check_plans(row, plans[0], samples.fields)
    outputs = row.terms(*plans, samples.term, len(samples.fields))
    shape = row.shape_of_results(len(samples.fields), len(plans[0]))
    if len(shape) == 2:
        return _evaluate_rows(row, samples, outputs, plans[0], shape, out, stack, backend)
    if shape:
        return samples.evaluate(outputs, out, stack, backend)
    if stack:
        raise ValueError("`stack` needs three axes: on two, the curl has one component.")
    return samples.evaluate(outputs, out, False, backend)[0]


def _evaluate_rows(
    row: Operator,
    samples: MaskedFields,
    outputs: Sequence[Any],
    first: Sequence[AxisPlan],
    shape: tuple[int, int],
    out: Any,
    stack: bool,
    backend: str | None,
) -> Any:
    """Return rows of results; `first` are the plans of first derivatives."""
    f = samples.fields[0]
    targets = None if out is None else flatten_rows(out, (*shape, *f.shape), stack)
    if row.gives == "pairs":
        if targets is not None:
            check_out(targets, f, len(targets), False)
            samples.check_masked(targets)
        results = samples.evaluate(outputs, None, False, backend)

        def differentiate(slope: Array, plans: Sequence[AxisPlan]) -> Any:
            slopes = MaskedFields([slope], skipna=samples.are_masked_anywhere)
            return slopes.evaluate(each_derivative(plans, slopes.term), backend=backend)

        rows = arrange_hessian(results, first, differentiate)
        if targets is not None:
            assign(targets, [entry for entries in rows for entry in entries])
    else:
        results = samples.evaluate(outputs, targets, False, backend)
        rows = [results[i : i + shape[1]] for i in range(0, len(results), shape[1])]
    if out is not None:
        return out
    return stack_results([stack_results(row) for row in rows]) if stack else tuple(map(tuple, rows))
