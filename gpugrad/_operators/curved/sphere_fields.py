"""The derivatives of fields on a sphere, slab by slab.

The grid is singular at the poles, the field is not. Where the longitudes go round, meridians are
continued over a pole by the meridian on the other side; and at a pole itself the gradient is one
vector, found from all meridians, whose components are given for each of them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpugrad._arrays import Array, NumpyArray, namespace_of
from gpugrad._grids import ONE_SIDED, Options, choose_beside_masked, is_masked, plan_axes
from gpugrad._operators.curved.curved_fields import CurvedFields, CurvedGrid
from gpugrad._operators.curved.kept_arrays import KeptArrays
from gpugrad._operators.curved.metric import GridAxis, Positions, warn_of_repeats
from gpugrad._operators.curved.slabs import (
    MainAxis,
    Slab,
    as_working,
    concatenate,
    scale,
    stand_for,
)
from gpugrad._operators.curved.sphere_grid import SphereGrid
from gpugrad._operators.curved.sphere_vectors import FUNCTIONS, combine_cartesian, weigh
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import MAX_ACCURACY, AxisPlan, Piece, rows_of

LARGE = 1 << 15
"""Samples of a field from which on rows at poles take but a part of the time."""


class SphereFields:
    """The fields of one call on a plain grid of latitudes and longitudes.

    `axes` are those of latitude and of longitude, `name` is the operator.
    """

    def __init__(
        self,
        grid: SphereGrid,
        kept: KeptArrays,
        samples: MaskedFields,
        axes: tuple[int, int],
        radius: float,
        accuracies: tuple[int, int],
        name: str,
    ) -> None:
        self._grid, self._kept, self._axes, self._radius = grid, kept, axes, radius
        self._f = stand_for(samples.fields[0])
        self._laid: dict[str, list[Array]] = {}
        self._rows: dict[int, tuple[Piece, dict[Any, Any]]] = {}
        self._poles = [*np.flatnonzero(grid.at_pole).tolist()] if grid.is_even else []
        is_second = name == "laplacian"
        accuracy, edge = accuracies
        if is_second:
            accuracy = _refine_near_poles(grid, accuracy)
        before, after = (grid.rows_beyond(end, accuracy // 2) for end in (0, -1))
        inside = grid.latitude[:, 0]
        # Beyond a pole the latitude counts on, so that it rises or falls throughout.
        beyond = [math.copysign(math.pi, inside[i]) - inside[i] for i in (*before, *after)]
        phi = np.array([*beyond[: len(before)], *inside, *beyond[len(before) :]])
        orders = {"first": 1, "second": 2} if is_second else {"first": 1}
        options = Options(1, accuracy, edge)
        if samples.are_masked_anywhere:
            options = choose_beside_masked(options)
        plans = {
            name: _plan(axes[0], len(phi), phi, options._replace(order=order))
            for name, order in orders.items()
        }
        self._along_parallels = self._plan_parallels(options._replace(order=1 + is_second))
        self._weighed: dict[str, AxisPlan] = {}
        if name in FUNCTIONS and self._takes_components(samples):
            along, longitude = self._along_parallels, self._longitude
            self._weighed = {k: weigh(along, longitude, g) for k, g in FUNCTIONS[name].items()}
            if name == "divergence":
                plans["cos"] = weigh(plans["first"], phi, np.cos)
        self.main = MainAxis(axes[0], grid.shape[0], plans, before, after, axes[1])

    @property
    def _longitude(self) -> NumpyArray:
        """The longitudes, on an even circle exactly so."""
        longitude: NumpyArray = self._grid.longitude[0]
        if not self._grid.is_even:
            return longitude
        return np.arange(longitude.size) * self._step

    @property
    def _step(self) -> float:
        """The step of longitudes on an even circle."""
        longitude = self._grid.longitude[0]
        return math.copysign(2 * math.pi / longitude.size, longitude[1] - longitude[0])

    def _takes_components(self, samples: MaskedFields) -> bool:
        """Tell whether components of vectors are differentiated as they are.

        A mask that is given is one for all components; and rows at poles, which are made of
        Cartesian components, take longer than small fields.
        """
        if samples.are_masked_anywhere:
            return False
        return not self._poles or math.prod(self._f.shape) >= LARGE

    def _plan_parallels(self, options: Options) -> AxisPlan:
        axis, longitude = self._axes[1], self._grid.longitude[0]
        n = longitude.size
        if not self._grid.periodic:
            return _plan(axis, n, longitude, options)
        options = options._replace(boundary="periodic")
        if self._grid.is_even:
            return _plan(axis, n, self._step, options)
        return _plan(axis, n, longitude, options._replace(period=2 * math.pi))

    def lay(self, x: Array) -> Array:
        """Return an array of latitudes and longitudes with the axes of the fields."""
        xp, shape = namespace_of(x), [1] * self._f.ndim
        for axis, n in zip(self._axes, x.shape, strict=True):
            shape[axis] = n
        if self._axes[0] > self._axes[1]:
            x = xp.permute_dims(x, (1, 0))
        return xp.reshape(x, tuple(shape))

    def kept(self, name: str, make: Callable[[], Sequence[NumpyArray]]) -> list[Array]:
        """Return kept arrays beside the fields."""
        laid = self._laid.get(name)
        if laid is None:
            laid = self._laid[name] = [self.lay(x) for x in self._kept.get(name, make, self._f)]
        return laid

    def gradient(self, slab: Slab, joined: Array, where: Array | None) -> list[Array]:
        """Return the derivatives to the north and to the east, per unit of the radius."""
        north = scale(slab.along_main(joined, "first", where), 1 / self._radius)
        (factor,) = self.kept("per radian", self._make_factor)
        east = scale(self._differentiate_along_parallels(slab, joined, where), slab.cut(factor))
        poles = self._poles_in(slab)
        return self._mend_poles(slab, north, east, poles) if poles else [north, east]

    def _make_factor(self) -> list[NumpyArray]:
        with np.errstate(divide="ignore"):
            per_radian = 1 / (self._radius * np.cos(self._grid.latitude))
        return [self._replace_at_poles(per_radian)]

    def _replace_at_poles(self, factor: NumpyArray) -> NumpyArray:
        """Return a factor that is NaN at poles; where rows there are replaced, it is zero."""
        # Automatic differentiation goes through what is replaced, with a slope of zero.
        return np.where(self._grid.at_pole[:, None], 0.0 if self._grid.is_even else np.nan, factor)

    def _differentiate_along_parallels(
        self, slab: Slab, joined: Array, where: Array | None
    ) -> Array:
        beside = None if where is None else slab.own(where)
        return slab.differentiate(slab.own(joined), self._along_parallels, beside)

    def laplacian(self, slab: Slab, joined: Array, where: Array | None) -> Array:
        """Return the Laplacian: second derivatives along meridians and parallels."""
        tangent, squared = self.kept("laplacian", self._make_laplacian_factors)
        second = slab.along_main(joined, "second", where)
        first = slab.along_main(joined, "first", where)
        around = self._differentiate_along_parallels(slab, joined, where)
        total = second - slab.cut(tangent) * first + slab.cut(squared) * around
        poles = self._poles_in(slab)
        if poles:
            # The mean of the second derivatives in all directions is half of the Laplacian.
            factor = 2 / self._grid.longitude.size

            def mend(rows: Callable[[Array], Array], _: int) -> list[Array]:
                row = self._sum_round(rows(second) * factor)
                return [row + 0 * rows(second)]  # as wide as the others

            (total,) = self._replace_rows(slab, [total], poles, mend)
        return total * (1 / self._radius**2)

    def combine_vector(
        self, name: str, slab: Slab, samples: MaskedFields, unit_vectors: Callable[[], Any]
    ) -> Array:
        """Return the divergence or the curl."""
        if not self._weighed:
            return combine_cartesian(name, slab, self, samples, unit_vectors)
        combine = self._find_divergence if name == "divergence" else self._find_curl
        total = combine(slab, *samples.fields)
        poles = self._poles_in(slab)
        if not poles:
            return total

        def mend(_: Any, i: int) -> list[Array]:
            row = self._cut_row(slab, slab.start + i)
            return [combine_cartesian(name, row, self, samples, unit_vectors)]

        return self._replace_rows(slab, [total], poles, mend)[0]

    def _find_divergence(self, slab: Slab, north: Array, east: Array) -> Array:
        sin, _, per_radian = self.kept("vectors", self._make_vector_factors)
        v = slab.join(lambda cut: as_working(cut(north)), is_turned=True)
        u = as_working(slab.cut(east))
        around = slab.differentiate(u, self._weighed["cos"])
        turned = scale(slab.differentiate(slab.own(v), self._weighed["sin"]), slab.cut(sin))
        around = scale(around - turned, slab.cut(per_radian))
        return around + scale(slab.along_main(v, "cos"), 1 / self._radius)

    def _find_curl(self, slab: Slab, north: Array, east: Array) -> Array:
        sin, squared, per_radian = self.kept("vectors", self._make_vector_factors)
        u = slab.join(lambda cut: as_working(cut(east)), is_turned=True)
        v = as_working(slab.cut(north))
        around = slab.differentiate(v, self._along_parallels)
        lost = scale(slab.differentiate(v, self._weighed["1 - cos"]), slab.cut(squared))
        turned = scale(slab.differentiate(slab.own(u), self._weighed["sin"]), slab.cut(sin))
        around = scale(around - lost + turned, slab.cut(per_radian))
        return around - scale(slab.along_main(u, "first"), 1 / self._radius)

    def _make_vector_factors(self) -> list[NumpyArray]:
        sin = np.sin(self._grid.latitude)
        return [sin, sin * sin, *self._make_factor()]

    def _cut_row(self, slab: Slab, row: int) -> Slab:
        """Return one row of a slab."""
        known = self._rows.get(row)
        if known is None:
            known = self._rows[row] = self.main.cut([row, row + 1])[0], {}
        piece, ready = known
        return slab._replace(
            start=row, stop=row + 1, piece=piece, is_whole=False,
            ready=None if slab.ready is None else ready,
        )  # fmt: skip

    def _make_laplacian_factors(self) -> list[NumpyArray]:
        phi = self._grid.latitude
        with np.errstate(divide="ignore"):
            return [*map(self._replace_at_poles, (np.tan(phi), 1 / np.cos(phi) ** 2))]

    def _poles_in(self, slab: Slab) -> list[int]:
        """Return the rows of a slab that are poles whose meridians tell of all directions."""
        return [i - slab.start for i in self._poles if slab.start <= i < slab.stop]

    def _mend_poles(
        self, slab: Slab, north: Array, east: Array, poles: Sequence[int]
    ) -> list[Array]:
        """Replace the rows at poles by the components of the one vector that the gradient is."""
        cos, sin = self.kept("directions", self._make_directions)
        phi = self._grid.latitude[:, 0]

        def mend(rows: Callable[[Array], Array], i: int) -> list[Array]:
            # Northwards is inwards at one pole and outwards at the other.
            sign = -math.copysign(1.0, phi[slab.start + i])
            # Each meridian tells one component of the same vector. The mean of the squared
            # cosine over all directions is 1/2, hence the factor 2.
            g_n = rows(north) * (2 * sign / self._grid.longitude.size)
            g_x, g_y = (self._sum_round(g_n * x) for x in (cos, sin))
            return [(g_x * cos + g_y * sin) * sign, g_y * cos - g_x * sin]

        return self._replace_rows(slab, [north, east], poles, mend)

    def _make_directions(self) -> list[NumpyArray]:
        return [np.cos(self._grid.longitude), np.sin(self._grid.longitude)]

    def _replace_rows(
        self, slab: Slab, arrays: Sequence[Array], poles: Sequence[int], mend: Callable[..., Any]
    ) -> list[Array]:
        """Replace rows at poles: ``mend(rows, i)`` makes row i, which `rows` cuts out of arrays."""
        axis = self._axes[0]
        # Rows at poles are cut out of the rows between them.
        bounds = sorted({0, slab.stop - slab.start, *poles, *(i + 1 for i in poles)})
        sections = []
        for start, stop in pairwise(bounds):

            def rows(x: Array, start: int = start, stop: int = stop) -> Array:
                return x[rows_of(x.ndim, axis, start, stop)]

            sections.append(mend(rows, start) if start in poles else [*map(rows, arrays)])
        return [concatenate(rows, axis) for rows in zip(*sections, strict=True)]

    def _sum_round(self, row: Array) -> Array:
        """Return the sum over all meridians, masked where one of them is."""
        axis = self._axes[1]
        total = namespace_of(row).sum(row, axis=axis, keepdims=True)
        if is_masked(getattr(row, "_meta", None)):  # of a lazy array, the kind of its blocks
            import dask.array as da

            mask = da.ma.getmaskarray(row).any(axis=axis, keepdims=True)
            return da.ma.masked_array(total, mask)
        if is_masked(row):
            mask = np.ma.getmaskarray(row).any(axis=axis, keepdims=True)
            return np.ma.array(total, mask=mask)
        return total


def _refine_near_poles(grid: SphereGrid, accuracy: int) -> int:
    """Return the accuracy of formulas whose errors are divided by the distance from a pole.

    Where rows come near to a pole, by a step, that costs one power of the step.
    """
    is_near = any(grid.rows_beyond(end, 1) for end in (0, -1))
    if not is_near or min(grid.shape) < accuracy + 4:
        return accuracy
    return min(accuracy + 2, MAX_ACCURACY)


def _plan(axis: int, length: int, spacing: Any, options: Options) -> AxisPlan:
    stand_in = np.broadcast_to(0.0, (1,) * axis + (length,))
    return plan_axes(stand_in, (spacing,), axis, None, options)[0]


class CurvedSphereFields(CurvedFields):
    """The fields of one call on 2-D latitudes and longitudes."""

    def gradient(self, slab: Slab, joined: Array, where: Array | None) -> list[Array]:
        """Return the derivatives to the north and to the east."""
        slopes = self.slopes(slab, joined, where)
        return [self.component(slab, slopes, i) for i in (0, 1)]

    def combine_vector(
        self, name: str, slab: Slab, samples: MaskedFields, unit_vectors: Callable[[], Any]
    ) -> Array:
        """Return the divergence or the curl."""
        return combine_cartesian(name, slab, self, samples, unit_vectors)


def make_curved_grid(grid: SphereGrid, radius: float, accuracies: tuple[int, int]) -> CurvedGrid:
    """Return the curved grid of 2-D latitudes and longitudes."""
    phi, lam = grid.latitude, grid.longitude
    # Latitude and longitude are singular at poles, Cartesian positions are not.
    values = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
    units = grid.unit_vectors()

    def project(differences: Sequence[NumpyArray]) -> list[NumpyArray]:
        return [
            radius * sum(map(operator.mul, differences, unit)) for unit in (units[:3], units[3:])
        ]

    named = {"latitude in degrees": np.degrees(phi), "longitude in degrees": np.degrees(lam)}
    accuracy, edge = accuracies
    boundaries = ONE_SIDED, "periodic" if grid.periodic else ONE_SIDED
    axes = [
        GridAxis(axis, n, Options(1, accuracy, edge, boundary), (0.0,) * 3)
        for axis, (n, boundary) in enumerate(zip(phi.shape, boundaries, strict=True))
    ]
    if grid.periodic:
        warn_of_repeats([np.broadcast_to(x, phi.shape) for x in values], axes[1])
    return CurvedGrid(Positions(values, project, named), axes)
