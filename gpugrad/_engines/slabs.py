"""Slabs of a field: which rows go together, what they read, how they lie in a buffer.

This is for fields that pass piece by piece through memory smaller than they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._engines.numpy_steps import NumpyArray
from gpugrad._engines.windows import (
    Span,
    count_ends,
    find_reach,
    find_row,
    find_samples,
    is_uniform,
    move_plan,
)
from gpugrad._plan import AxisPlan, Term, distinct_fields, rows_of

SLAB_BYTES = 1 << 26
"""Bytes of a field in a slab: enough that starting copies and kernels takes next to no time."""

LEAST_SLAB_BYTES = 1 << 22
"""Bytes of a field in a slab if the field is small: several slabs overlap, one does not."""

_REMEMBERED = 64


class Slab(NamedTuple):
    """Rows `start` to `stop` of the streamed axis; `samples` is all that they read."""

    start: int
    stop: int
    samples: list[Span]

    @property
    def length(self) -> int:
        """How many rows there are, with the neighbours."""
        return sum(stop - start for start, stop in self.samples)

    @property
    def first(self) -> int:
        """Where the rows begin among the samples."""
        return find_row(self.samples, self.start)


class Layout(NamedTuple):
    """How slabs lie in buffers: axes from the slowest, which is streamed, to the fastest."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def back(self) -> list[int]:
        """The order of a buffer's axes that is the order of the field's."""
        return sorted(range(len(self.axes)), key=self.axes.__getitem__)

    @property
    def row(self) -> int:
        """How many samples a row of the streamed axis has."""
        return math.prod(self.shape) // self.shape[self.axes[0]]

    def rows(self, start: int, stop: int) -> tuple[slice, ...]:
        """Return the index of some rows of the streamed axis."""
        return rows_of(len(self.shape), self.axes[0], start, stop)

    def on_host(self, buffer: NumpyArray, rows: int, dtype: np.dtype[Any]) -> NumpyArray:
        """Return rows at the beginning of a buffer as an array with the axes of the field."""
        return np.ndarray(self.arrange(rows), dtype, buffer).transpose(self.back)

    def is_contiguous(self, array: NumpyArray) -> bool:
        """Tell whether rows of an array lie in memory as they lie in a buffer."""
        return bool(array.transpose(self.axes).flags.c_contiguous)

    def arrange(self, rows: int) -> tuple[int, ...]:
        """Return the shape of so many rows in a buffer."""
        return (rows, *(self.shape[axis] for axis in self.axes[1:]))


def cut(
    outputs: Sequence[Sequence[Term]], itemsize: int, places: int, budget: int
) -> tuple[Layout, list[Slab]]:
    """Return the slabs of fields, and how they lie in buffers.

    `itemsize` is the bytes that a sample and all its results take, `budget` the bytes that so
    many places for slabs may take. The slowest axis is streamed, if enough rows of it fit in that
    only few are read twice.
    """
    f = distinct_fields(outputs)[0]
    slowest_first = sorted(
        range(f.ndim), key=lambda axis: (f.shape[axis] == 1, -abs(f.strides[axis]))
    )
    found: list[tuple[int, Layout, list[Slab]]] = []
    needed: list[int] = []
    for axis in slowest_first:
        n = f.shape[axis]
        layout = Layout(f.shape, (axis, *(other for other in slowest_first if other != axis)))
        plans = list(
            {id(t.plan): t.plan for terms in outputs for t in terms if t.plan.axis == axis}.values()
        )
        row = layout.row * itemsize * places
        slabs = _cut_axis(plans, n, budget // row, layout.row * f.itemsize)
        read = sum(slab.length for slab in slabs) * layout.row
        if slabs and read <= 1.25 * f.size:
            return layout, slabs
        if slabs:
            found.append((read, layout, slabs))
        needed.append(row * _find_least(plans, n))
    if found:
        return min(found)[1:]
    raise MemoryError(
        f"streaming needs {min(needed):,} bytes on the GPU at least, and has {budget:,}. Free "
        "memory there, or raise the environment variable GPUGRAD_STREAM_BYTES if that sets the "
        "limit."
    )


def _find_least(plans: Sequence[AxisPlan], n: int) -> int:
    """Return the most rows that a single one reads, itself included."""
    lower, upper = map(max, zip((0, 0), *map(count_ends, plans), strict=True))
    rows = {*range(min(lower + 1, n)), *range(max(0, n - upper - 1), n)}
    return max(Slab(i, i + 1, find_samples(plans, n, i, i + 1)).length for i in rows)


def _cut_axis(plans: Sequence[AxisPlan], n: int, most: int, row: int) -> list[Slab]:
    """Return slabs of at most as many rows, neighbours included; none if that is too few."""
    reach = find_reach(plans)
    wanted = min(SLAB_BYTES, max(LEAST_SLAB_BYTES, row * n // 8)) // row
    rows = min(n, max(1, wanted, 8 * reach), most)
    while rows > 0:
        slabs = _cut_evenly(plans, n, rows)
        excess = max(slab.length for slab in slabs) - most
        if excess <= 0:
            return slabs
        rows -= excess
    return []


def _cut_evenly(plans: Sequence[AxisPlan], n: int, rows: int) -> list[Slab]:
    starts = range(0, n, rows)
    return [
        Slab(start, min(start + rows, n), find_samples(plans, n, start, min(start + rows, n)))
        for start in starts
    ]


def move_to_slab(plan: AxisPlan, n: int, slab: Slab) -> AxisPlan:
    """Return the plan of the streamed axis for a slab: the same for slabs that are alike.

    The engine remembers by plan what is to be launched.
    """
    key: Any = "slab", n, slab.start, slab.stop, slab.first, slab.length
    lower, upper = count_ends(plan)
    if lower <= slab.start and slab.stop <= n - upper:
        key = "slab", slab.stop - slab.start, slab.first, slab.length
    moved: AxisPlan | None = plan.memo.get(key)
    if moved is None:
        moved = move_plan(plan, n, slab.start, slab.stop, slab.samples)
        if is_uniform(plan) and len(plan.memo) < _REMEMBERED:
            plan.memo[key] = moved
    return moved
