"""Plans cut into pieces: what some rows of an axis need, to be computed apart from the others.

There are two ways, as rows can come by the samples of others in two ways:

- `cut_plan` tells which samples to join, and returns plans for what is joined. Any engine can
  evaluate that, beside masked samples and on unlike lines too. So fields in files are computed,
  blocks of Dask that have either, and the slabs of sums of masked fields.
- `cut_at_seams` joins nothing. A chunk is evaluated where it lies, as if it were alone, and the
  few rows that read samples of others are listed with where these lie. Blocks of Dask are
  computed so: to join them with their halo would copy the whole field once more.

Nothing here knows of arrays, so a wrapped-around sample is as good as the next one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

from gpugrad._stencils.plan import AxisPlan, Formula, Region, rows_of


class Span(NamedTuple):
    """Consecutive samples of an axis."""

    start: int
    stop: int


class Piece(NamedTuple):
    """Some rows of an axis, and derivatives for them alone.

    `spans` are the samples to join, in order; `start` and `stop` tell where the rows lie among
    these. The plans are for all that is joined.
    """

    plans: tuple[AxisPlan, ...]
    spans: tuple[Span, ...]
    start: int
    stop: int


def cut_plan(plan: AxisPlan, bounds: Sequence[int]) -> list[Piece]:
    """Return the pieces of one plan between consecutive bounds, which it remembers.

    Engines remember by plan: what comes again should be cut into the same pieces.
    """
    known = plan.memo.get("pieces")
    if known is None or known[0] != bounds:
        known = plan.memo["pieces"] = bounds, cut_plans([plan], bounds)
    pieces: list[Piece] = known[1]
    return pieces


def cut_plans(plans: Sequence[AxisPlan], bounds: Sequence[int]) -> list[Piece]:
    """Return the pieces of an axis between consecutive bounds, for all derivatives along it.

    Inner pieces that are alike share plans, and with them what engines remember.
    """
    n = bounds[-1]
    known: dict[Any, AxisPlan] = {}
    pieces = []
    for start, stop in pairwise(bounds):
        spans = find_samples(plans, n, start, stop)
        beside = tuple([(a - start, b - start) for a, b in spans])
        moved = []
        for i, plan in enumerate(plans):
            key: Any = i, start, stop
            if _is_inner(plan, n, start, stop):
                key = i, stop - start, beside
            if key not in known:
                known[key] = move_plan(plan, n, start, stop, spans)
            moved.append(known[key])
        first = find_row(spans, start)
        pieces.append(Piece(tuple(moved), spans, first, first + stop - start))
    return pieces


def find_samples(plans: Iterable[AxisPlan], n: int, start: int, stop: int) -> tuple[Span, ...]:
    """Return the samples that rows `start` to `stop` need of an axis of `n`, in order.

    The rows themselves are among them; `plans` are derivatives along this axis.
    """
    spans = [Span(start, stop)]
    for plan in plans:
        for ranked in plan.ranked:
            for formula, low, high in clip_regions(ranked.regions(n), start, stop, plan.axis):
                spans += [Span(low + k, high + k) for k in formula.offsets]
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].stop:
            joined[-1] = Span(joined[-1].start, max(joined[-1].stop, span.stop))
        else:
            joined.append(span)
    return tuple(joined)


def find_row(spans: Sequence[Span], row: int) -> int:
    """Return where a sample of the whole axis lies in spans that are joined."""
    lengths = [0, *accumulate(span.stop - span.start for span in spans)]
    i = bisect_right([span.start for span in spans], row) - 1
    return lengths[i] + row - spans[i].start


def find_reach(plans: Iterable[AxisPlan]) -> int:
    """Return how far formulas between the ends read, those beside masked samples included."""
    interiors = [ranked.interior for plan in plans for ranked in plan.ranked]
    return max((abs(k) for formula in interiors for k in formula.offsets), default=0)


def move_plan(plan: AxisPlan, n: int, start: int, stop: int, spans: Sequence[Span]) -> AxisPlan:
    """Return a plan for joined samples that gives rows `start` to `stop` their values."""
    if start == stop or (*spans,) == ((0, n),):
        return plan
    axis, first = plan.axis, find_row(spans, start)
    length = sum(span.stop - span.start for span in spans)

    def move(region: Region) -> Region:
        formula, low, high = region
        here = find_row(spans, low)
        offsets = tuple([find_row(spans, low + k) - here for k in formula.offsets])
        return Region(formula._replace(offsets=offsets), low - start + first, high - start + first)

    moved, *alternatives = [
        _lay_regions(
            ranked, [*map(move, clip_regions(ranked.regions(n), start, stop, axis))], 0, length
        )
        for ranked in plan.ranked
    ]
    return moved._replace(alternatives=tuple(alternatives))


def _lay_regions(plan: AxisPlan, regions: Sequence[Region], start: int, stop: int) -> AxisPlan:
    """Return a plan for samples `start` to `stop` that has these regions, without alternatives.

    Rows before and behind them repeat what the nearest of theirs does, so that nothing overflows
    there that would not overflow anyway; the values of such rows have no meaning.
    """
    axis, first, last = plan.axis, regions[0].start, regions[-1].stop
    (lower,) = clip_regions(regions, first, first + 1, axis)
    (upper,) = clip_regions(regions, last - 1, last, axis)
    rows = [
        *(Region(_shift(lower.formula, first - i), i, i + 1) for i in range(start, first)),
        *regions,
        *(Region(_shift(upper.formula, last - 1 - i), i, i + 1) for i in range(last, stop)),
    ]
    middle = max(range(len(rows)), key=lambda i: rows[i].stop - rows[i].start)
    return plan._replace(
        lower=tuple(_list_rows(rows[:middle], axis)),
        interior=rows[middle].formula,
        upper=tuple(_list_rows(rows[middle + 1 :], axis)),
        memo={},
        alternatives=(),
    )


def clip_regions(regions: Iterable[Region], start: int, stop: int, axis: int) -> Iterator[Region]:
    """Yield the parts of regions along `axis` that lie between two rows."""
    for formula, first, last in regions:
        low, high = max(first, start), min(last, stop)
        if low < high:
            box = rows_of(axis + 1, axis, low - first, high - first)
            yield Region(formula.cut(box, axis), low, high)


def _list_rows(regions: Iterable[Region], axis: int) -> Iterator[Formula]:
    """Yield a formula for each row, with weights of that row alone."""
    for formula, start, stop in regions:
        for i in range(stop - start):
            yield formula.cut(rows_of(axis + 1, axis, i, i + 1), axis)


def _shift(formula: Formula, rows: int) -> Formula:
    """Return a formula that reads the same samples from another row, `rows` before its own."""
    return formula._replace(offsets=tuple([k + rows for k in formula.offsets]))


def _is_inner(plan: AxisPlan, n: int, start: int, stop: int) -> bool:
    """Tell whether rows lie between the ends, of an axis where all rows there are alike."""

    def is_by_row(w: Any) -> bool:
        ndim = getattr(w, "ndim", 0)
        return ndim > 0 and w.shape[plan.axis if ndim > 1 else 0] != 1

    return all(
        len(ranked.lower) <= start
        and stop <= n - len(ranked.upper)
        and not any(map(is_by_row, ranked.interior.operands))
        for ranked in plan.ranked
    )


class Stretch(NamedTuple):
    """Consecutive rows of one chunk, counted from its first."""

    chunk: int
    start: int
    stop: int


class Patch(NamedTuple):
    """Rows of a chunk that share a formula, some of whose samples lie in other chunks.

    `plan` has the formula between its ends, and no ends. `samples` has a stretch for each offset.
    """

    start: int
    stop: int
    plan: AxisPlan
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


def cut_at_seams(plan: AxisPlan, bounds: Sequence[int]) -> list[ChunkPlan]:
    """Return what there is to do for each chunk of an axis; the plan remembers it, as `cut_plan`.

    Weights that are arrays are cut to the rows they belong to, as views.
    """
    if len(bounds) == 2:
        return [ChunkPlan(plan, 0, bounds[-1], ())]
    recalled = plan.memo.get("seams")
    if recalled is None or recalled[0] != bounds:
        regions = list(plan.regions(bounds[-1]))
        # Inner chunks share one plan, and patches with one formula, as engines remember by plan.
        known: dict[int, AxisPlan] = {}
        by_formula: dict[int, AxisPlan] = {}  # each plan keeps its formula, so no other has its id
        chunks = [
            _cut_chunk(plan, regions, bounds, i, known, by_formula) for i in range(len(bounds) - 1)
        ]
        recalled = plan.memo["seams"] = bounds, chunks
    chunk_plans: list[ChunkPlan] = recalled[1]
    return chunk_plans


def _cut_chunk(
    plan: AxisPlan,
    regions: Sequence[Region],
    bounds: Sequence[int],
    chunk: int,
    known: dict[int, AxisPlan],
    by_formula: dict[int, AxisPlan],
) -> ChunkPlan:
    axis, (start, stop) = plan.axis, bounds[chunk : chunk + 2]
    first, last = _find_core(regions, start, stop)
    core = plan._replace(lower=(), upper=(), alternatives=(), memo={})
    # A core that does less than half of the chunk is not worth a pass of its own: patches do all.
    if 2 * (last - first) < stop - start:
        first = last = start
    elif first < last:
        is_inner = _is_inner(plan, bounds[-1], start, stop)
        shared = known.get(stop - start) if is_inner else None
        inside = [*clip_regions(regions, first, last, axis)]
        core = shared or _lay_regions(plan, inside, start, stop)
        if is_inner:
            known[stop - start] = core
    before = clip_regions(regions, start, first, axis)
    others = chain(before, clip_regions(regions, last, stop, axis))
    patches = []
    for region in others:
        for first_row, last_row, formula, samples in _cut_region(region, axis, bounds):
            bare = by_formula.setdefault(
                id(formula), AxisPlan(axis, (), formula, (), plan.dtype, plan.on_host, {})
            )
            patches.append(Patch(first_row - start, last_row - start, bare, samples))
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


def _cut_region(
    region: Region, axis: int, bounds: Sequence[int]
) -> Iterator[tuple[int, int, Formula, tuple[Stretch, ...]]]:
    """Cut rows wherever one of their samples comes to lie in the next chunk.

    Yields the first row and the last, their formula, and a stretch for each of its offsets.
    """
    offsets = region.formula.offsets
    cuts = {region.start, region.stop}
    for k in offsets:
        low, high = bisect_right(bounds, region.start + k), bisect_left(bounds, region.stop + k)
        cuts.update(bound - k for bound in bounds[low:high])
    for start, stop in pairwise(sorted(cuts)):
        ((formula, _, _),) = clip_regions([region], start, stop, axis)
        samples = find_stretches([Span(start + k, stop + k) for k in offsets], bounds)
        yield start, stop, formula, tuple(samples)


def find_stretches(spans: Sequence[Span], bounds: Sequence[int]) -> Iterator[Stretch]:
    """Yield where samples of an axis lie, chunk by chunk."""
    for start, stop in spans:
        low = start
        while low < stop:
            chunk = bisect_right(bounds, low) - 1
            high = min(stop, bounds[chunk + 1])
            yield Stretch(chunk, low - bounds[chunk], high - bounds[chunk])
            low = high
