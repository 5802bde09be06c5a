"""A large field cut into blocks that fit into memory, and what each needs to be computed."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from types import MappingProxyType
from typing import NamedTuple

from gpugrad._files.raw import Window
from gpugrad._stencils import AxisPlan, Piece, cut_plans, find_row

BLOCK_BYTES = 1 << 28
"""What is read for a block at most, however much memory there is: more is not faster."""

CHUNK_BYTES = 4 << 20
"""How large chunks are written where what is read has none."""

ROW_BYTES = 1 << 14
"""What is written in one piece at least, where files to read and to write differ in their order."""


class Block(NamedTuple):
    """One block of all results, and the samples it takes.

    `window` is the block's place in the whole, and `pieces` are its pieces of each axis. `moved`
    has the plans for what is read, by the `id` of the plan of the whole that each is a piece of;
    blocks that are alike share them, as engines remember by plan.
    """

    number: int
    window: Window
    pieces: tuple[Piece, ...]
    moved: Mapping[int, AxisPlan]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is read."""
        return tuple(sum(b - a for a, b in piece.spans) for piece in self.pieces)

    @property
    def inner(self) -> Window:
        """The block's place in what is read."""
        return tuple(slice(piece.start, piece.stop) for piece in self.pieces)


def choose_units(
    shape: Sequence[int],
    chunks: Sequence[int],
    slowest_first: Sequence[int],
    in_chunks: bool,
    itemsize: int,
    most: int,
) -> tuple[int, ...]:
    """Return what blocks must be multiples of: the chunks to read, in some formats to write.

    Where what is read has no chunks, chunks to write have `most` samples at most. Where one file
    is in Fortran order and the other is not, blocks that are flat in the one would be written a
    few bytes at a time into the other: they have some rows of it at least.
    """
    # A chunk is decompressed whole, so a block that has a piece of it would read it once per block.
    if any(n > 1 for n in chunks):
        return tuple(min(c, n) for c, n in zip(chunks, shape, strict=True))
    order = tuple(slowest_first) if in_chunks else tuple(range(len(shape)))
    units = [1] * len(shape)
    if not in_chunks and order == tuple(slowest_first):
        return tuple(units)
    size = min((CHUNK_BYTES if in_chunks else ROW_BYTES) // itemsize, most)
    for axis in reversed(order):  # whole rows as far as they go
        units[axis] = max(1, min(shape[axis], size))
        size //= units[axis]
    return tuple(units)


def choose_shape(
    shape: Sequence[int],
    units: Sequence[int],
    slowest_first: Sequence[int],
    reaches: Sequence[int],
    sample_bytes: float,
    budget: float,
) -> tuple[int, ...]:
    """Return the shape of blocks for which no more than `budget` bytes are needed at a time.

    Blocks are whole along the axes that are fastest in the file, as far as can be, and multiples
    of `units` (the chunks of a file) along the others. Each takes `reaches` samples beyond each of
    its two ends, and `sample_bytes` for each sample.

    Raises
    ------
    MemoryError
        If not even one unit fits; its argument is the number of bytes needed.
    """
    block = [min(u, n) for u, n in zip(units, shape, strict=True)]

    def cost() -> float:
        read = (
            min(b + 2 * r, n) if b < n else n for b, r, n in zip(block, reaches, shape, strict=True)
        )
        return sample_bytes * math.prod(read)

    if cost() > budget:
        raise MemoryError(math.ceil(cost()))
    # What is whole along the fastest axes is read in long runs, so these grow first. The cost
    # rises with a block, its halo included, so halving the range finds the most that fits.
    for axis in reversed(slowest_first):
        low, high = 1, -(-shape[axis] // units[axis])  # in units: the most that fits
        while low < high:
            middle = (low + high + 1) // 2
            block[axis] = min(middle * units[axis], shape[axis])
            low, high = (middle, high) if cost() <= budget else (low, middle - 1)
        block[axis] = min(low * units[axis], shape[axis])
    return tuple(block)


def cut_blocks(
    shape: Sequence[int],
    block: Sequence[int],
    slowest_first: Sequence[int],
    plans: Sequence[AxisPlan],
    cut: Mapping[int, Callable[[list[int]], list[Piece]]] = MappingProxyType({}),
) -> Iterator[Block]:
    """Yield the blocks, in the order in which they lie in the file.

    What blocks read along an axis is told by the plans, or by its function in `cut`.
    """
    cuts: list[list[tuple[slice, Piece, dict[int, AxisPlan]]]] = []
    for axis, (n, b) in enumerate(zip(shape, block, strict=True)):
        axis_plans = {id(plan): plan for plan in plans if plan.axis == axis}
        bounds = [*range(0, n, b), n]
        pieces = cut[axis](bounds) if axis in cut else cut_plans([*axis_plans.values()], bounds)
        cuts.append([
            (slice(*rows), piece, dict(zip(axis_plans, piece.plans, strict=True)))
            for rows, piece in zip(pairwise(bounds), pieces, strict=True)
        ])  # fmt: skip
    for number, chosen in enumerate(product(*(cuts[axis] for axis in slowest_first))):
        by_axis = [chosen[slowest_first.index(axis)] for axis in range(len(shape))]
        window, pieces, moved = zip(*by_axis, strict=True)
        yield Block(number, window, pieces, ChainMap(*moved))


def place_spans(block: Block) -> Iterator[tuple[Window, Window]]:
    """Yield what to read for a block: windows of the whole field, and their places in the block."""
    spans = [piece.spans for piece in block.pieces]
    for box in product(*spans):
        window = tuple(slice(a, b) for a, b in box)
        firsts = [find_row(axis_spans, a) for axis_spans, (a, _) in zip(spans, box, strict=True)]
        place = tuple(slice(i, i + b - a) for i, (a, b) in zip(firsts, box, strict=True))
        yield window, place
