"""An operator without its fields: what it reads is numbered, and bound to arrays when called.

Numbers 0, 1, ... are the fields of a call. The outputs of the first stage come next, then the
outputs of the second stage, which may read what the first has made. Most operators have one stage;
the mixed derivatives of a Hessian, derivatives of derivatives, take two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from gpugrad._arrays import Array, asnumpy, namespace_of
from gpugrad._stencils import (
    IDENTITY,
    AxisPlan,
    Formula,
    Norm,
    Operator,
    Outputs,
    Term,
    arrange_hessian,
    bind_fields,
    change_terms,
    choose_rows,
    find_results,
    transpose_plan,
)


class Selection(NamedTuple):
    """An output that is a field where a mask is true, and zero elsewhere."""

    field: Any
    where: Array

    def apply(self, fields: Sequence[Array]) -> Array:
        """Return the field with this number, and zeros."""
        f = fields[self.field]
        xp = namespace_of(f)
        return xp.where(self.where, f, xp.zeros_like(f))


Stage = tuple[tuple[Term, ...], ...] | tuple[Selection, ...]
Evaluate = Callable[[Outputs], Sequence[Array]]


class Stages(NamedTuple):
    """Stages of outputs, the fields of whose terms are numbers; `results` are numbers, too."""

    inputs: int
    stages: tuple[Stage, ...]
    results: tuple[int, ...]

    def run(self, fields: Sequence[Array], evaluate: Evaluate) -> list[Array]:
        """Evaluate stage by stage, and return the results."""
        arrays = [*fields]
        for stage in self.stages:
            if is_selection(stage):
                arrays += [selection.apply(arrays) for selection in stage]
            else:
                arrays += evaluate(bind_fields(stage, arrays))
        return [arrays[number] for number in self.results]


def is_selection(stage: Stage) -> TypeGuard[tuple[Selection, ...]]:
    """Tell whether the outputs of a stage are parts of fields, not derivatives."""
    return isinstance(stage[0], Selection)


def number_term(plan: AxisPlan, i: int = 0, sign: int = 1) -> Term:
    """Make a term of the field with number `i`."""
    return Term(sign, i, plan)


def plan_stages(
    row: Operator, plans: Sequence[Sequence[AxisPlan]], components: int, where: Any = None
) -> Stages:
    """Return the stages of an operator of the table, given plans for each of its orders."""
    outputs = row.terms(*plans, number_term, components)
    first_stage = tuple(change_terms(outputs, lambda term: term._replace(where=where)))
    numbers = range(components, components + len(first_stage))
    if row.gives != "pairs":
        return Stages(components, (first_stage,), tuple(numbers))
    valid = [find_results(terms) for terms in first_stage]  # a slope that is missing is masked
    mixed: list[tuple[Term, ...]] = []

    def differentiate(slope: int, first: Sequence[AxisPlan]) -> Sequence[int]:
        start = numbers.stop + len(mixed)
        mixed.extend((Term(1, slope, plan, valid[slope - 1]),) for plan in first)
        return range(start, start + len(first))

    rows = arrange_hessian(numbers, plans[0], differentiate)
    stages = (first_stage, tuple(mixed)) if mixed else (first_stage,)
    return Stages(1, stages, tuple(number for row in rows for number in row))


def check_linear(program: Stages, what: str) -> None:
    """Raise TypeError where an operator is no matrix."""
    if any(isinstance(terms, Norm) for stage in program.stages for terms in stage):
        raise TypeError(
            f"a plan must be linear to have {what}; a length is not. Plan the gradient instead."
        )


def transpose_program(program: Stages, shape: tuple[int, ...]) -> Stages:
    """Return the program whose matrix is the transpose, for fields of a shape.

    Backwards through the stages, each output hands on what it is given to the fields it was made
    of, by its transposed plans. What later stages read of an earlier one is summed up first. With
    masks, each plan is given only the rows that take it.
    """
    # By number in the program, the arrays of the transposed program that are handed back to it. A
    # later stage hands back to an earlier one, so the stages are gone through from the last.
    sources_of = defaultdict(list)
    for k, number in enumerate(program.results):
        sources_of[number].append(k)
    stages: list[Any] = []
    last_terms: dict[int, list[Term]] = {i: [] for i in range(program.inputs)}
    count = len(program.results)
    end = program.inputs + sum(map(len, program.stages))
    for stage in reversed(program.stages):
        end -= len(stage)
        inner_terms: dict[int, list[Term]] = defaultdict(list)
        selections: list[Selection] = []
        for number, terms in enumerate(stage, start=end):
            for sign, field, plan, rows, _ in as_matrices(terms):
                transposed = transpose_plan(bring_home(plan), shape[plan.axis])
                target = last_terms if field < program.inputs else inner_terms
                sources = sources_of[number]
                if rows is not None:
                    start = count + len(selections)
                    selections += [Selection(k, rows) for k in sources]
                    sources = [*range(start, count + len(selections))]
                target[field] += [Term(sign, k, transposed) for k in sources]
        if selections:
            stages.append(tuple(selections))
            count += len(selections)
        if inner_terms:
            stages.append(tuple(map(_put_added_first, inner_terms.values())))
            for field in inner_terms:
                sources_of[field].append(count)
                count += 1
    stages.append(tuple(map(_put_added_first, last_terms.values())))
    return Stages(len(program.results), tuple(stages), tuple(range(count, count + len(last_terms))))


def as_matrices(terms: Any) -> Iterator[Term]:
    """Yield what an output is a sum of: each a plan without alternatives, for some of its rows."""
    if isinstance(terms, Selection):
        yield Term(1, terms.field, IDENTITY, terms.where)
        return
    results = find_results(terms)
    for sign, field, plan, where, _ in terms:
        for alternative, rows in choose_rows(plan, where):
            yield Term(sign, field, alternative, results if rows is None else rows & results)


def _put_added_first(terms: list[Term]) -> tuple[Term, ...]:
    # A sum that starts with an added term needs no pass that changes signs.
    return tuple(sorted(terms, key=lambda term: -term.sign))


def bring_masks_home(program: Stages) -> Stages:
    """Return a program with all its masks in host memory, each computed and copied once."""
    home: dict[int, Any] = {}

    def move(entry: Any) -> Any:
        where = entry.where
        if where is None:
            return entry
        if id(where) not in home:
            home[id(where)] = asnumpy(where)
        return entry._replace(where=home[id(where)])

    stages = [
        map(move, stage) if is_selection(stage) else change_terms(stage, move)
        for stage in program.stages
    ]
    return program._replace(stages=tuple(map(tuple, stages)))


def bring_home(plan: AxisPlan) -> AxisPlan:
    """Return a plan with all its weights in host memory; from a device, they are copied."""
    if plan.on_host:
        return plan

    def home(w: Any) -> Any:
        if isinstance(w, (int, float)) or w is None:
            return w
        values = asnumpy(w)
        return float(values) if values.ndim == 0 else np.asarray(values)

    def move(formula: Formula) -> Formula:
        offsets, weights, divisor, constant = formula
        return Formula(offsets, tuple(map(home, weights)), home(divisor), home(constant))

    return plan.change_formulas(move)._replace(on_host=True)
