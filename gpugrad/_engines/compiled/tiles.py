"""How a field is cut for kernels: into tiles, blocks, and boxes of the same formulas all over.

A tile has all of the slowest axis, and less of the others if they are too long; blocks are some of
its rows along the slowest axis. A box is what one kernel writes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gpugrad._arrays import NumpyArray
from gpugrad._stencils import Norm, Term

Stretch = tuple[int, int]

BLOCK_BYTES = 1 << 20
"""Bytes of a field in a block."""

TILE_BYTES = 1 << 17
"""Bytes of a field in one step of a block along the slowest axis: nine stay in the cache.

So many does a formula of eighth order read.
"""

SHORT_ROW = 16
"""Samples up to which stretches along the fastest axis are written column by column."""

MOST_ENDS = 16
"""Samples at the ends of a row up to which rows are written in one go, with their ends."""


class Box(NamedTuple):
    """A box of an output, from the first sample to beyond the last along each axis.

    Its rows, along the fastest axis, are longer by the samples of `lower` and `upper`, each of
    which has formulas of its own.
    """

    bounds: tuple[Stretch, ...]
    lower: range
    upper: range


def order_axes(f: NumpyArray) -> list[int]:
    """Return the axes of a field from the slowest in memory to the fastest."""
    return sorted(range(f.ndim), key=lambda axis: -abs(f.strides[axis]))


def cut_field(
    shape: Sequence[int], order: Sequence[int], itemsize: int
) -> tuple[Iterator[tuple[Stretch, ...]], int]:
    """Return the tiles of the field, and how many rows of a tile make a block.

    A tile has all of the slowest axis, and less of the others if they are too long.
    """
    slowest, *others = order
    lengths = [*shape]
    lengths[slowest] = 1
    # The outermost of the other axes is cut first, so that rows of memory stay as long as they can:
    # pieces fit into a tile, or the next axis would be cut for the little that is too much.
    for axis in others:
        most = max(1, TILE_BYTES * lengths[axis] // (math.prod(lengths) * itemsize))
        pieces = -(-lengths[axis] // most)
        lengths[axis] = -(-lengths[axis] // pieces)
    rows = max(1, BLOCK_BYTES // (math.prod(lengths) * itemsize))
    lengths[slowest] = shape[slowest]
    stretches = (
        [(i, min(i + length, n)) for i in range(0, n, length)]
        for n, length in zip(shape, lengths, strict=True)
    )
    return itertools.product(*stretches), rows


def find_block(
    shape: Sequence[int], order: Sequence[int], itemsize: int, number: int
) -> tuple[slice, ...]:
    """Return where in a field the block with a number lies: blocks are counted tile by tile."""
    tiles, rows = cut_field(shape, order, itemsize)
    n = shape[order[0]]
    tile, block = divmod(number, -(-n // rows))
    bounds = [*next(itertools.islice(tiles, tile, None))]
    bounds[order[0]] = (block * rows, min(n, (block + 1) * rows))
    return tuple([slice(*stretch) for stretch in bounds])


class Pass(NamedTuple):
    """What one kernel does in a box: write all of a sum, or add some terms to what lies there."""

    terms: Sequence[Term]
    box: Box
    is_begun: bool = False
    is_open: bool = False
    """Whether other terms have been written before, and whether more are to come."""

    @property
    def is_partial(self) -> bool:
        return self.is_begun or self.is_open


def cut_tile(
    terms: Sequence[Term], tile: tuple[Stretch, ...], shape: Sequence[int], fastest: int
) -> Iterator[Pass]:
    """Yield the passes over a tile, each over a box that has the same formulas all over.

    Where every axis has the formula between its ends, all terms are added up in one pass. Around
    this core lie shells, one after the other: the ends of the first axis, of the second axis
    within the core of the first, and so on. There the terms are added one after the other, each
    cut where its own formula changes. If all were added at once, each combination of formulas,
    exponentially many in the number of axes, would be a box, and most of them a kernel.
    """
    core = [*tile]
    for axis, stretch in enumerate(tile):
        pieces = _cut_stretch(terms, axis, stretch, shape[axis])
        if len(terms) == 1 or axis == fastest or len(pieces) == 1:
            continue
        inside = max(pieces, key=lambda piece: piece[1] - piece[0])
        for start, stop in ((stretch[0], inside[0]), (inside[1], stretch[1])):
            if start < stop:
                shell = (*core[:axis], (start, stop), *core[axis + 1 :])
                yield from _add_one_by_one(terms, shell, shape, fastest)
        core[axis] = inside
    for box in _cut_boxes(terms, tuple(core), shape, fastest):
        yield Pass(terms, box)


def _add_one_by_one(
    terms: Sequence[Term], shell: tuple[Stretch, ...], shape: Sequence[int], fastest: int
) -> Iterator[Pass]:
    for i, term in enumerate(terms):
        alone = Norm([term]) if isinstance(terms, Norm) else (term,)
        for box in _cut_boxes(alone, shell, shape, fastest):
            yield Pass(alone, box, i > 0, i < len(terms) - 1)


def _cut_boxes(
    terms: Sequence[Term], tile: tuple[Stretch, ...], shape: Sequence[int], fastest: int
) -> Iterator[Box]:
    """Yield the boxes of a tile that have the same formulas all over, but for ends of rows."""
    choices = [_cut_stretch(terms, i, stretch, shape[i]) for i, stretch in enumerate(tile)]
    start, stop = tile[fastest]
    rows, lower, upper = choices[fastest], range(0), range(0)
    # Most rows have one long stretch between two ends. A seam in their middle makes two, and a
    # short row none: then each stretch, or each sample, is a box, which is slower and rare.
    a, b = max(rows, key=lambda row: row[1] - row[0])
    inside, ends = b - a, stop - start - (b - a)
    if len(tile) > 1 and ends <= min(inside, MOST_ENDS) and inside > 1:
        rows, lower, upper = [(a, b)], range(start, a), range(b, stop)
    elif len(tile) > 1 and inside < SHORT_ROW:  # columns: each has one formula all along
        rows = [(i, i + 1) for i in range(start, stop)]
    for row in rows:
        choices[fastest] = [row]
        for bounds in itertools.product(*choices):
            yield Box(bounds, lower, upper)


def _cut_stretch(terms: Sequence[Term], axis: int, stretch: Stretch, n: int) -> list[Stretch]:
    """Cut a stretch of an axis wherever the formula of a term changes."""
    start, stop = stretch
    cuts = {start, stop}
    for term in terms:
        if term.plan.axis == axis:
            regions = [region for plan in term.plan.ranked for region in plan.regions(n)]
            for _, first, last in (*regions, *(seam.region for seam in term.seams)):
                cuts |= {min(max(row, start), stop) for row in (first, last)}
    return [*itertools.pairwise(sorted(cuts))]
