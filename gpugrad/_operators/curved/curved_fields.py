"""Derivatives in space on a curved grid, slab by slab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from gpugrad._arrays import Array, namespace_of
from gpugrad._grids import choose_beside_masked
from gpugrad._operators.curved.kept_arrays import KeptArrays
from gpugrad._operators.curved.metric import (
    GridAxis,
    Matrix,
    Positions,
    find_inverse,
    find_laplacian,
)
from gpugrad._operators.curved.slabs import MainAxis, Slab, stand_for
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import AxisPlan


class CurvedGrid:
    """A curved grid: where its samples lie, and what has been worked out of that.

    `axes` are the axes of the grid, among those of the positions.
    """

    def __init__(self, positions: Positions, axes: Sequence[GridAxis]) -> None:
        self.positions, self.axes = positions, axes
        self.kept = KeptArrays()
        # Errors of the grid are raised at once.
        self.kept.get("inverse", self.make_inverse, positions.values[0])

    def make_inverse(self) -> list[Array]:
        """Return the entries of the inverse, row by row."""
        return [entry for row in find_inverse(self.positions, self.axes) for entry in row]

    @property
    def accurate_axes(self) -> list[GridAxis]:
        """The axes with ends as accurate as the inside, which second derivatives have anyway."""
        return [_as_accurate(axis) for axis in self.axes]

    def make_laplacian(self) -> list[Array]:
        """Return the factors of second derivatives in a Laplacian, then those of first ones."""
        second, first = find_laplacian(self.positions, self.accurate_axes)
        return [*second.values(), *first]


def _as_accurate(axis: GridAxis) -> GridAxis:
    options = axis.options
    if options.edge_accuracy is not None:
        return axis
    return axis._replace(options=options._replace(edge_accuracy=options.accuracy))


class CurvedFields:
    """The fields of one call on a curved grid.

    `axes` are where the fields have the axes of the grid, in its order.
    """

    def __init__(
        self, grid: CurvedGrid, samples: MaskedFields, axes: Sequence[int], is_second: bool = False
    ) -> None:
        self._grid = grid
        self._f = stand_for(samples.fields[0])
        self._laid: dict[str, list[Array]] = {}
        refine = choose_beside_masked if samples.are_masked_anywhere else lambda options: options
        self._axes = [
            place._replace(axis=axis, options=refine(place.options))
            for place, axis in zip(
                grid.accurate_axes if is_second else grid.axes, axes, strict=True
            )
        ]
        self._first = [axis.plan(1) for axis in self._axes]
        self._second = [axis.plan(2) for axis in self._axes] if is_second else []
        lengths = [axis.length for axis in self._axes]
        self._cut_axis = j = lengths.index(max(lengths))
        plans = {"first": self._first[j]} | ({"second": self._second[j]} if is_second else {})
        self.main = MainAxis(self._axes[j].axis, lengths[j], plans)

    def lay(self, x: Array) -> Array:
        """Return an array of the grid with the axes of the fields."""
        axes = [axis.axis for axis in self._axes]
        if axes != sorted(axes):
            x = namespace_of(x).permute_dims(
                x, tuple(sorted(range(len(axes)), key=axes.__getitem__))
            )
        if x.ndim == self._f.ndim:
            return x
        lengths = dict(zip(sorted(axes), x.shape, strict=True))
        return namespace_of(x).reshape(x, tuple(lengths.get(i, 1) for i in range(self._f.ndim)))

    def kept(self, name: str, make: Callable[[], Sequence[Array]]) -> list[Array]:
        """Return kept arrays beside the fields."""
        laid = self._laid.get(name)
        if laid is None:
            laid = self._laid[name] = [*map(self.lay, self._grid.kept.get(name, make, self._f))]
        return laid

    @cached_property
    def inverse(self) -> Matrix:
        """The inverse beside the fields."""
        entries = self.kept("inverse", self._grid.make_inverse)
        n = len(self._axes)
        return [entries[i * n : (i + 1) * n] for i in range(n)]

    def slopes(self, slab: Slab, joined: Array, where: Array | None) -> list[Array]:
        """Return the derivatives per sample along the axes."""
        slopes = []
        for j, plan in enumerate(self._first):
            if j == self._cut_axis:
                slopes.append(slab.along_main(joined, "first", where))
            else:
                beside = None if where is None else slab.own(where)
                slopes.append(slab.differentiate(slab.own(joined), plan, beside))
        return slopes

    def component(self, slab: Slab, slopes: Sequence[Array], i: int) -> Array:
        """Return the derivative with respect to the i-th coordinate."""
        pairs = zip(self.inverse[i], slopes, strict=True)
        products = [slab.cut(w) * slope for w, slope in pairs]
        return sum(products[1:], start=products[0])

    def laplacian(self, slab: Slab, joined: Array, where: Array | None) -> Array:
        """Return the Laplacian of a field."""
        factors = iter(self.kept("laplacian", self._grid.make_laplacian))
        total: Any = 0
        n = len(self._axes)
        for j in range(n):
            for k in range(j, n):
                total = total + slab.cut(next(factors)) * self._bend(slab, joined, where, j, k)
        for slope in self.slopes(slab, joined, where):
            total = total + slab.cut(next(factors)) * slope
        return total

    def _bend(self, slab: Slab, joined: Array, where: Array | None, j: int, k: int) -> Array:
        """Return a second derivative per sample, a mixed one where the two axes differ."""
        differentiate: Callable[..., Array] = slab.differentiate
        own = None if where is None else slab.own(where)
        if j == k == self._cut_axis:
            return slab.along_main(joined, "second", where)
        if j == k:
            return differentiate(slab.own(joined), self._second[j], own)
        if self._cut_axis not in (j, k):
            slope = differentiate(slab.own(joined), self._first[k], own)
            return differentiate(slope, self._first[j], _find_known(slope, where))
        beside: AxisPlan = self._first[j if k == self._cut_axis else k]
        slope = differentiate(joined, beside, where)
        return slab.along_main(slope, "first", _find_known(slope, where))


def _find_known(slope: Array, where: Array | None) -> Array | None:
    """Return where a slope is known, if samples are masked: a slope that is missing is NaN."""
    return None if where is None else ~namespace_of(slope).isnan(slope)
