"""A plan cut along the chunks of an axis: what a chunk can do alone, and what it needs of others.

Most rows of a chunk read samples of that chunk only: its *core*, which any engine evaluates as if
there were nothing else. The rows left over are *patches*, and say chunk by chunk where their
samples lie. Nothing here knows of arrays, so a wrapped-around sample is as good as the next one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

from gpugrad._stencils.plan import AxisPlan, Formula, Region, rows_of


class Stretch(NamedTuple):
    """Consecutive rows of one chunk."""

    chunk: int
    start: int
    stop: int


class Patch(NamedTuple):
    """Rows of a chunk that share a formula, some of whose samples lie in other chunks.

    `samples` has a stretch for each offset of the formula.
    """

    start: int
    stop: int
    formula: Formula
    samples: tuple[Stretch, ...]


class ChunkPlan(NamedTuple):
    """The derivative of one chunk: a plan for rows `start` to `stop`, patches for all others.

    Evaluated on the whole chunk, `core` gives the other rows some value too. Where it would have
    next to nothing to do, all rows are patches.
    """

    core: AxisPlan
    start: int
    stop: int
    patches: tuple[Patch, ...]


def cut_plan(plan: AxisPlan, chunks: Sequence[int]) -> list[ChunkPlan]:
    """Return what there is to do for each chunk of an axis.

    Weights that are arrays are cut to the rows they belong to, as views.
    """
    if len(chunks) == 1:
        return [ChunkPlan(plan, 0, chunks[0], ())]
    bounds = [0, *accumulate(chunks)]
    regions = list(plan.regions(bounds[-1]))
    known: dict[int, AxisPlan] = {}  # engines remember by plan: let all inner chunks share one
    return [_plan_chunk(plan, regions, bounds, i, known) for i in range(len(chunks))]


def _plan_chunk(
    plan: AxisPlan,
    regions: Sequence[Region],
    bounds: Sequence[int],
    chunk: int,
    known: dict[int, AxisPlan],
) -> ChunkPlan:
    start, stop = bounds[chunk : chunk + 2]
    first, last = _find_core(regions, start, stop)
    core = plan._replace(lower=(), upper=(), alternatives=(), memo={})
    if 2 * (last - first) < stop - start:
        first = last = start
    elif first < last:
        is_alike = len(plan.lower) <= start and stop <= bounds[-1] - len(plan.upper)
        is_alike = is_alike and not any(map(is_by_row, operands(plan.interior)))
        found = known.get(stop - start) if is_alike else None
        core = found or _plan_core(plan, regions, (start, first, last, stop))
        if is_alike:
            known[stop - start] = core
    others = chain(clip(regions, start, first), clip(regions, last, stop))
    patches = [patch for region in others for patch in _cut_patches(region, bounds, start)]
    return ChunkPlan(core, first - start, last - start, tuple(patches))


def _find_core(regions: Iterable[Region], start: int, stop: int) -> tuple[int, int]:
    """Return the longest run of rows that read nothing but rows `start` to `stop`."""
    runs = [(start, start)]
    for (offsets, *_), first, last in regions:
        low = max(first, start, start - min(offsets))
        high = min(last, stop, stop - max(offsets))
        if low < high:
            if runs[-1][1] == low:
                low = runs.pop()[0]
            runs.append((low, high))
    return max(runs, key=lambda run: run[1] - run[0])


def _plan_core(
    plan: AxisPlan, regions: Sequence[Region], bounds: tuple[int, int, int, int]
) -> AxisPlan:
    """Return a plan for a chunk as if it were alone.

    Rows that read elsewhere repeat what the nearest other row does, so that nothing overflows
    there that would not overflow anyway.
    """
    start, first, last, stop = bounds
    rows = list(clip(regions, first, last))
    (lower,), (upper,) = clip(rows, first, first + 1), clip(rows, last - 1, last)
    rows = [
        *(Region(shift(lower.formula, first - i), i, i + 1) for i in range(start, first)),
        *rows,
        *(Region(shift(upper.formula, last - 1 - i), i, i + 1) for i in range(last, stop)),
    ]
    middle = max(range(len(rows)), key=lambda i: rows[i].stop - rows[i].start)
    return plan._replace(
        lower=tuple(each_row(rows[:middle])),
        interior=rows[middle].formula,
        upper=tuple(each_row(rows[middle + 1 :])),
        memo={},
    )


def _cut_patches(region: Region, bounds: Sequence[int], origin: int) -> Iterator[Patch]:
    """Cut rows wherever one of their samples comes to lie in the next chunk."""

    def locate(start: int, stop: int) -> Stretch:
        chunk = bisect_right(bounds, start) - 1
        return Stretch(chunk, start - bounds[chunk], stop - bounds[chunk])

    offsets = region.formula.offsets
    cuts = {region.start, region.stop}
    for k in offsets:
        low, high = bisect_right(bounds, region.start + k), bisect_left(bounds, region.stop + k)
        cuts.update(bound - k for bound in bounds[low:high])
    for start, stop in pairwise(sorted(cuts)):
        ((formula, _, _),) = clip([region], start, stop)
        samples = tuple([locate(start + k, stop + k) for k in offsets])
        yield Patch(start - origin, stop - origin, formula, samples)


def clip(regions: Iterable[Region], start: int, stop: int, axis: int = 0) -> Iterator[Region]:
    """Yield the parts of regions that lie between two rows.

    `axis` is where weights with the axes of the field have their rows.
    """
    for formula, first, last in regions:
        low, high = max(first, start), min(last, stop)
        if low < high:
            yield Region(_cut_weights(formula, low - first, high - first, axis), low, high)


def each_row(regions: Iterable[Region], axis: int = 0) -> Iterator[Formula]:
    """Yield a formula for each row, with weights of that row alone."""
    for formula, start, stop in regions:
        for i in range(stop - start):
            yield _cut_weights(formula, i, i + 1, axis)


def _cut_weights(formula: Formula, start: int, stop: int, axis: int = 0) -> Formula:
    """Return the formula with those rows of its weights alone, as arrays still."""
    if not any(is_by_row(w, axis) for w in operands(formula)):
        return formula

    def cut(w: Any) -> Any:
        return w[rows_of(w.ndim, _along(w, axis), start, stop)] if is_by_row(w, axis) else w

    *weights, divisor = map(cut, operands(formula))
    return formula._replace(weights=tuple(weights), divisor=divisor)


def operands(formula: Formula) -> tuple[Any, ...]:
    """Return the weights of a formula and its divisor: whatever may differ from row to row."""
    return (*formula.weights, formula.divisor)


def is_by_row(w: Any, axis: int = 0) -> bool:
    """Tell whether a weight has an entry for each row, along `axis` if it has the field's axes."""
    return getattr(w, "ndim", 0) > 0 and w.shape[_along(w, axis)] != 1


def _along(w: Any, axis: int) -> int:
    return axis if w.ndim > 1 else 0


def shift(formula: Formula, rows: int) -> Formula:
    """Return a formula that reads the same samples from another row, `rows` before its own."""
    return formula._replace(offsets=tuple([k + rows for k in formula.offsets]))


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


class ChunkWindow(NamedTuple):
    """The derivative of one chunk: a plan for its rows and others, joined in order.

    `start` and `stop` are where the chunk's own rows lie in what `samples` are joined to.
    """

    plan: AxisPlan
    start: int
    stop: int
    samples: tuple[Stretch, ...]


def cut_windows(plan: AxisPlan, chunks: Sequence[int]) -> list[ChunkWindow]:
    """Return what there is to do for each chunk of an axis. Inner chunks that are alike share."""
    bounds = [0, *accumulate(chunks)]
    n = bounds[-1]
    lower, upper = count_ends(plan)
    known: dict[Any, AxisPlan] = {}  # engines remember by plan
    windows = []
    for start, stop in pairwise(bounds):
        spans = find_samples([plan], n, start, stop)
        first = find_row(spans, start)
        samples = tuple(_find_stretches(spans, bounds))
        moved = plan
        if start < stop and spans != [(0, n)]:
            key: Any = start, stop
            if is_uniform(plan) and lower <= start and stop <= n - upper:
                key = first, stop - start, spans[-1].stop - stop
            moved = known.get(key) or move_plan(plan, n, start, stop, spans)
            known[key] = moved
        windows.append(ChunkWindow(moved, first, first + stop - start, samples))
    return windows


def _find_stretches(spans: Sequence[Span], bounds: Sequence[int]) -> Iterator[Stretch]:
    """Yield where samples of an axis lie, chunk by chunk."""
    for start, stop in spans:
        low = start
        while low < stop:
            chunk = bisect_right(bounds, low) - 1
            high = min(stop, bounds[chunk + 1])
            yield Stretch(chunk, low - bounds[chunk], high - bounds[chunk])
            low = high


def take_lines(plan: AxisPlan, block: Sequence[slice]) -> AxisPlan:
    """Return a plan for the lines of a block, of weights that differ from line to line."""

    def take(w: Any) -> Any:
        if getattr(w, "ndim", 0) < 2:
            return w
        across = [slice(None) if n == 1 else part for n, part in zip(w.shape, block, strict=True)]
        across[plan.axis] = slice(None)
        return w[tuple(across)]

    def cut(formula: Formula) -> Formula:
        return formula._replace(
            weights=tuple(map(take, formula.weights)),
            divisor=take(formula.divisor),
            constant=take(formula.constant),
        )

    first, *others = [
        one._replace(
            lower=tuple(map(cut, one.lower)),
            interior=cut(one.interior),
            upper=tuple(map(cut, one.upper)),
            memo={},
        )
        for one in ways_of(plan)
    ]
    return first._replace(alternatives=tuple(others))
