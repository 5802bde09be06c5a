"""A plan cut along the chunks of an axis where every row may need others: beside holes, say.

Which formula a row beside a hole takes is seen only when the samples are there, and so are the
samples it reads. So a chunk is evaluated together with all that its rows may read, as one short
axis, by any engine. The same serves weights that differ from line to line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from gpugrad._engines.chunk_rows import Stretch
from gpugrad._engines.windows import (
    Span,
    count_ends,
    find_row,
    find_samples,
    is_uniform,
    move_plan,
    ways_of,
)
from gpugrad._plan import AxisPlan, Formula


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
