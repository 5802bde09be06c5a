"""An operator on a sphere for fields of which only some rows are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._grids import find_valid
from gpugrad._operators.curved.slabs import ON_HOST, Slab
from gpugrad._operators.curved.sphere import Sphere
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import Piece, Span, find_reach


class SphereRows:
    """An operator on a sphere, for fields of one shape and dtype that come some rows at a time.

    Results have the bits of the same call on whole fields.

    Parameters
    ----------
    sphere : Sphere
        Where the samples lie.
    name : str
        The operator: the name of a method of the sphere.
    shape, dtype
        Of the whole fields.
    skipna : bool
        Whether samples that are not a number are masked.
    backend : str, optional
        Where the arithmetic runs.
    """

    def __init__(
        self,
        sphere: Sphere,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        skipna: bool,
        backend: str | None,
    ) -> None:
        self.sphere, self.name, self._backend = sphere, name, backend
        # Only the shape and the dtype of the whole fields count, so one without memory will do.
        stand_in = np.broadcast_to(np.zeros((), dtype), tuple(shape))
        samples = MaskedFields([stand_in])
        samples.are_masked_anywhere = self._skipna = skipna
        self.axes = sphere._find_axes(stand_in)
        self._fields = sphere._bind(samples, self.axes, name)
        self.shape, self._main = tuple(shape), self._fields.main
        self._slabs: dict[int, list[tuple[int, int, Piece]]] = {}

    @property
    def axis(self) -> int:
        """The axis that is cut into rows; the other one of the grid must be whole."""
        return self._main.axis

    @property
    def reach(self) -> int:
        """How many rows beside its own a block reads at each side, at most about."""
        return find_reach(self._main.plans.values())

    def cut(self, bounds: Sequence[int]) -> list[Piece]:
        """Cut the rows into blocks; return which rows each block reads, without plans."""
        across = next(i for i in self.axes if i != self.axis)
        step = max(1, ON_HOST // max(self.shape[across], 1))
        rows = sorted({i for a, b in pairwise(bounds) for i in (*range(a, b, step), b)})
        pieces = self._main.cut(rows)
        slabs = [(*ends, piece) for ends, piece in zip(pairwise(rows), pieces, strict=True)]
        blocks = []
        for start, stop in pairwise(bounds):
            inside = [slab for slab in slabs if start <= slab[0] < stop]
            self._slabs[start] = inside
            read = [
                i for *_, piece in inside for span in piece.spans for i in self._find_ends(span)
            ]
            low, high = min(read), max(read) + 1
            blocks.append(Piece((), (Span(low, high),), start - low, stop - low))
        return blocks

    def _find_ends(self, span: Span) -> Iterator[int]:
        """Yield the rows at the ends of a span, of what lies beyond the poles all."""
        before, after, n = self._main.before, self._main.after, self._main.length
        low, high = span.start - len(before), span.stop - len(before)
        yield from before[span.start : span.stop]
        yield from after[max(low - n, 0) : max(high - n, 0)]
        inside = range(max(low, 0), min(high, n))
        if inside:
            yield from (inside[0], inside[-1])

    def evaluate(
        self, fields: Sequence[NumpyArray], first: int, start: int, out: Sequence[NumpyArray]
    ) -> None:
        """Write the results of a block, which begins with row `start`, into arrays of its shape.

        The fields have the rows that the block reads, from row `first` on; of vectors the component
        to the north comes first.
        """
        own = slice(start - first, start - first + out[0].shape[self.axis])
        valid = [find_valid(f) for f in fields]
        samples: Any = MaskedFields([_Rows(f, self.axis, first, self.shape) for f in fields])
        if self._skipna:
            samples.masks = [
                None if mask is None or mask.all() else _Rows(mask, self.axis, first, self.shape)
                for mask in valid
            ]
        formula = self.sphere._make_formula(self.name, self._fields, samples)
        for slab in self._cut_block(start, out[0]):
            rows = slice(slab.start - start, slab.stop - start)
            index = [slice(None)] * out[0].ndim
            index[slab.batch[0]] = slab.batch[1]
            index[self.axis] = rows
            for target, result in zip(out, formula(slab), strict=True):
                target[tuple(index)] = result
        for mask in valid:  # else rounding of coordinates would tell whether a formula reads it
            if mask is not None and not mask.all():
                inner = [slice(None)] * mask.ndim
                inner[self.axis] = own
                for target in out:
                    target[~mask[tuple(inner)]] = np.nan

    def _cut_block(self, start: int, out: NumpyArray) -> Iterator[Slab]:
        beside = range(min(self.axes))
        batch = max(beside, key=lambda i: out.shape[i], default=None)
        for low, high, piece in self._slabs[start]:
            if batch is None:
                yield Slab(self._main, low, high, piece, (self.axis, slice(None)), self._backend)
                continue
            n = out.shape[batch]
            each = out.size // max(n * out.shape[self.axis], 1) * (high - low)
            step = max(1, ON_HOST // max(each, 1))
            for begin in range(0, n, step):
                part = batch, slice(begin, min(begin + step, n))
                yield Slab(self._main, low, high, piece, part, self._backend)


class _Rows:
    """Some rows of an array, which are indexed as those of the whole."""

    def __init__(self, values: NumpyArray, axis: int, first: int, shape: Sequence[int]) -> None:
        self._values, self._axis, self._first = values, axis, first
        lengths = [*values.shape]
        lengths[axis] = shape[axis]
        self.shape, self.ndim, self.dtype = tuple(lengths), values.ndim, values.dtype

    def __getitem__(self, index: tuple[slice, ...]) -> NumpyArray:
        moved = [*index]
        rows = moved[self._axis]
        moved[self._axis] = slice(rows.start - self._first, rows.stop - self._first)
        values: NumpyArray = self._values[tuple(moved)]
        return values
