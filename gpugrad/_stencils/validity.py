"""Which rows of a masked field take which of a plan and its alternatives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

from gpugrad._arrays import Array, host_values, namespace_of
from gpugrad._stencils.plan import AxisPlan, Formula, Region, Term, rows_of


def choose_rows(plan: AxisPlan, where: Array | None) -> Iterator[tuple[AxisPlan, Array | None]]:
    """Yield a plan and its alternatives, each with the rows that take it; None are all rows.

    No row takes two of them. Alternatives that are known to be taken by none are left out.
    """
    if where is None:
        yield plan, None
        return
    xp, n, left = namespace_of(where), where.shape[plan.axis], where
    for number, ranked in enumerate(plan.ranked):
        # A row belongs to the first plan that reads valid samples only, so later ones get the rest.
        taken = left & find_usable(xp, where, ranked.regions(n), plan.axis)
        left = left & ~taken
        values = host_values(taken)
        if number == 0 or values is None or values.any():
            yield _alone(ranked), taken


def find_results(terms: Sequence[Term]) -> Array | None:
    """Return where an output has a result, or None where its terms have no masks."""
    results: Array | None = None
    for term in terms:
        if term.where is None:
            continue
        some = namespace_of(term.where).zeros_like(term.where)
        for _, taken in choose_rows(term.plan, term.where):
            some = some | taken
        results = some if results is None else results & some
    return results


def _alone(plan: AxisPlan) -> AxisPlan:
    """Return a plan without alternatives, in which rows without a formula are rows of zeros."""
    nothing = Formula((0,), (0.0,))

    alone = plan._replace(alternatives=())
    return alone.change_formulas(lambda formula: formula if formula.offsets else nothing)


def find_usable(xp: ModuleType, where: Array, regions: Iterable[Region], axis: int) -> Array:
    """Return where all samples are valid that the formula of a row needs."""
    return xp.concat([find_usable_rows(xp, where, region, axis) for region in regions], axis=axis)


def find_usable_rows(xp: ModuleType, where: Array, region: Region, axis: int) -> Array:
    """Return in which rows of a region all samples are valid that its formula needs."""
    formula, start, stop = region
    valid = where[rows_of(where.ndim, axis, start, stop)]
    for k in formula.offsets:
        valid = valid & where[rows_of(where.ndim, axis, start + k, stop + k)]
    return valid if formula.offsets else xp.zeros_like(valid)
