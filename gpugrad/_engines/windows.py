"""A plan moved to a window of its axis: which samples some rows need, and their plan on them.

This is for fields that are brought piece by piece to where they are computed. A window is what the
rows from `start` to `stop` of a long axis need to be computed alone: these rows, their neighbours
and, where a boundary reads the other end (a periodic one does), some samples from there. Put one
after the other they are a short axis, and on that the rows have a plan with the same weights.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from gpugrad._engines.chunk_rows import clip, each_row, is_by_row, operands, shift
from gpugrad._plan import AxisPlan, Formula, Region


class Span(NamedTuple):
    """Consecutive samples of an axis."""

    start: int
    stop: int


def ways_of(plan: AxisPlan) -> tuple[AxisPlan, ...]:
    """Return all plans among which a row chooses: the plan itself, and those beside holes."""
    return plan, *plan.alternatives


def count_ends(plan: AxisPlan) -> tuple[int, int]:
    """Return how many rows at the lower and at the upper end have formulas of their own."""
    ways = ways_of(plan)
    return max(len(one.lower) for one in ways), max(len(one.upper) for one in ways)


def find_reach(plans: Iterable[AxisPlan]) -> int:
    """Return how far formulas between the ends read, those beside holes included."""
    ways = [one for plan in plans for one in ways_of(plan)]
    return max((abs(k) for one in ways for k in one.interior.offsets), default=0)


def find_samples(plans: Iterable[AxisPlan], n: int, start: int, stop: int) -> list[Span]:
    """Return the samples that rows `start` to `stop` need of an axis of `n`, in order.

    The rows themselves are among them; `plans` are derivatives along this axis.
    """
    spans = [Span(start, stop)]
    for plan in plans:
        for one in ways_of(plan):
            for formula, low, high in clip(one.regions(n), start, stop, plan.axis):
                spans += [Span(low + k, high + k) for k in formula.offsets]
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return joined


def find_row(spans: Sequence[Span], row: int) -> int:
    """Return where a sample of the whole axis lies among those of a window."""
    lengths = [0, *accumulate(span.stop - span.start for span in spans)]
    i = bisect_right([span.start for span in spans], row) - 1
    return lengths[i] + row - spans[i].start


def move_plan(plan: AxisPlan, n: int, start: int, stop: int, spans: Sequence[Span]) -> AxisPlan:
    """Return a plan for the samples of a window that gives rows `start` to `stop` their values.

    The other rows repeat what the nearest of these does, so that nothing overflows there that
    would not overflow anyway; their values have no meaning.
    """
    moved = [_move(one, n, start, stop, spans) for one in ways_of(plan)]
    return moved[0]._replace(alternatives=tuple(moved[1:]))


def _move(plan: AxisPlan, n: int, start: int, stop: int, spans: Sequence[Span]) -> AxisPlan:
    axis = plan.axis

    def move(formula: Formula, row: int) -> Formula:
        here = find_row(spans, row)
        return formula._replace(
            offsets=tuple([find_row(spans, row + k) - here for k in formula.offsets])
        )

    first = find_row(spans, start)
    moved = [
        Region(move(formula, low), low - start + first, high - start + first)
        for formula, low, high in clip(plan.regions(n), start, stop, axis)
    ]
    last = moved[-1].stop
    (lower,), (upper,) = clip(moved, first, first + 1, axis), clip(moved, last - 1, last, axis)
    length = sum(span.stop - span.start for span in spans)
    rows = [
        *(Region(shift(lower.formula, first - i), i, i + 1) for i in range(first)),
        *moved,
        *(Region(shift(upper.formula, last - 1 - i), i, i + 1) for i in range(last, length)),
    ]
    middle = max(range(len(rows)), key=lambda i: rows[i].stop - rows[i].start)
    return plan._replace(
        lower=tuple(each_row(rows[:middle], axis)),
        interior=rows[middle].formula,
        upper=tuple(each_row(rows[middle + 1 :], axis)),
        memo={},
    )


def is_uniform(plan: AxisPlan) -> bool:
    """Tell whether all rows inside have the same numbers, wherever they lie."""
    weights = [w for one in ways_of(plan) for w in operands(one.interior)]
    return not any(is_by_row(w, plan.axis) for w in weights)
