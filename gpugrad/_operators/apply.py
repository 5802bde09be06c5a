"""What all operators of the table do in a call: from arguments to plans, outputs and results."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from gpugrad._arrays import Array, as_field, assign, check_out, flatten_rows
from gpugrad._grids import Options, refuse_times
from gpugrad._operators.components import (
    as_components,
    check_plans,
    find_shape,
    join_results,
    round_half,
    widen_half,
)
from gpugrad._operators.planning import plan_operator
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import (
    OPERATORS,
    AxisPlan,
    Operator,
    arrange_hessian,
    convert_fields,
    each_derivative,
)


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
    fields = [as_field(f)] if row.takes == "field" else as_components(f, spacing)
    refuse_times(fields[0], f"for a {row.title}")
    samples = MaskedFields(fields, where, skipna)
    options = samples.refine(options)
    plans = plan_operator(row, samples.fields[0], spacing, axis, time_unit, options)
    check_plans(row, plans[0], samples.fields)
    outputs = row.terms(*plans, samples.term, len(fields))
    shape = find_shape(row, len(fields), len(plans[0]), stack)
    if len(shape) == 2:
        return _evaluate_rows(row, samples, outputs, plans[0], shape, out, stack, backend)
    results = samples.evaluate(outputs, out, stack, backend)
    return results if shape else results[0]


def _evaluate_rows(
    row: Operator,
    samples: MaskedFields,
    outputs: Sequence[Any],
    first: Sequence[AxisPlan],
    shape: tuple[int, ...],
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
        outputs = convert_fields(outputs, widen_half)
        results = samples.evaluate(outputs, None, False, backend)

        def differentiate(slope: Array, plans: Sequence[AxisPlan]) -> Any:
            # A slope that is missing is NaN, whatever masked the samples that it lacks.
            slopes = MaskedFields([slope], skipna=samples.are_masked_anywhere)
            return slopes.evaluate(each_derivative(plans, slopes.term), backend=backend)

        results = [*chain(*arrange_hessian(results, first, differentiate))]
        results = [*round_half(results, f)]
        if targets is not None:
            assign(targets, results)
    else:
        results = samples.evaluate(outputs, targets, False, backend)
    return join_results(results, shape, stack) if out is None else out
