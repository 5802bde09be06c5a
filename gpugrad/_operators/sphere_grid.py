"""Grids of latitude and longitude: how they close, and derivatives along them and over poles."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, NumpyArray, host_values, is_library_array, namespace_of
from gpugrad._grids import Options, parse_axes
from gpugrad._operators.components import match_library
from gpugrad._operators.curvilinear import differentiate_grid, invert
from gpugrad._operators.gradient import derivative, gradient
from gpugrad._stencils import rows_of

_NEAR = 1e-6
"""The part of a step, or of a radian, that rounding to float32 may make."""


class SphereGrid(NamedTuple):
    """Where samples lie, in radians, with the axes of the field; and how the axes close.

    `is_even` says that meridians go round evenly, so that they tell of all directions at a pole.
    """

    latitude: NumpyArray
    longitude: NumpyArray
    axes: tuple[int, int]
    is_curved: bool
    periodic: bool
    is_even: bool

    def gradient(
        self, f: Array, radius: float, accuracies: tuple[Any, Any], backend: Any
    ) -> list[Array]:
        """Return the derivatives to the north and to the east, per unit of the radius."""
        accuracy, edge = accuracies
        edge = accuracy if edge is None else edge
        if self.is_curved:
            return self._gradient_on_curved(f, radius, accuracy, edge, backend)
        keywords = {"accuracy": accuracy, "edge_accuracy": edge, "backend": backend}
        north = self._along_meridians(f, keywords)
        east = self._along_parallels(f, keywords)
        cosine = np.cos(self.latitude)
        at_pole = abs(abs(self.latitude) - math.pi / 2) < _NEAR
        with np.errstate(divide="ignore"):
            factor = np.where(at_pole, np.nan, 1 / (radius * cosine))
        north = north * (1 / radius)
        east = east * match_library(factor, f)
        if self.is_even and at_pole.any():
            north, east = self._mend_poles(north, east, at_pole)
        return [north, east]

    def _along_parallels(self, f: Array, keywords: dict[str, Any]) -> Array:
        axis = self.axes[1]
        longitude = self.longitude.reshape(-1)
        if self.is_even:
            step = math.copysign(2 * math.pi / longitude.size, longitude[1] - longitude[0])
            return derivative(f, step, axis=axis, boundary="periodic", **keywords)
        if not self.periodic:
            return derivative(f, longitude, axis=axis, **keywords)
        period = 2 * math.pi
        return derivative(f, longitude, axis=axis, boundary="periodic", period=period, **keywords)

    def _along_meridians(self, f: Array, keywords: dict[str, Any]) -> Array:
        """Return the derivative with respect to latitude, continued over poles in reach."""
        axis, across = self.axes
        n = f.shape[axis]
        phi = self.latitude.reshape(-1)
        before, after = (self._rows_beyond(end, keywords["accuracy"]) for end in (0, -1))
        if not (before or after):
            return derivative(f, phi, axis=axis, **keywords)

        def beyond(rows: Sequence[int]) -> list[Array]:
            # Over a pole a meridian goes on as the opposite one, half the longitudes away.
            roll = partial(namespace_of(f).roll, shift=f.shape[across] // 2, axis=across)
            return [roll(f[rows_of(f.ndim, axis, i, i + 1)]) for i in rows]

        extended_field = _concatenate([*beyond(before), f, *beyond(after)], axis)
        # Beyond a pole the latitude counts on, so that it rises or falls throughout.
        phi_beyond = [math.copysign(math.pi, phi[i]) - phi[i] for i in (*before, *after)]
        extended_phi = [*phi_beyond[: len(before)], *phi, *phi_beyond[len(before) :]]
        slope = derivative(extended_field, extended_phi, axis=axis, **keywords)
        return slope[rows_of(f.ndim, axis, len(before), len(before) + n)]

    def _rows_beyond(self, end: int, accuracy: int) -> list[int]:
        """Return the rows that come next beyond an end, on the other side of a pole, in order."""
        phi = self.latitude.reshape(-1)
        n, reach = phi.size, accuracy // 2
        if not self.is_even or self.longitude.size % 2 or n < reach + 1:
            return []
        toward = phi[0] - phi[1] if end == 0 else phi[-1] - phi[-2]
        distance = math.pi / 2 - abs(phi[end])
        if distance > abs(toward) * (1 + _NEAR) or toward * phi[end] <= 0:
            return []  # a region that ends before the pole
        first = 1 if distance < _NEAR else 0
        rows = range(first, first + reach)
        return [*reversed(rows)] if end == 0 else [n - 1 - i for i in rows]

    def _mend_poles(self, north: Array, east: Array, at_pole: NumpyArray) -> tuple[Array, Array]:
        """Replace the rows at poles by the components of the one vector that the gradient is."""
        axis, across = self.axes
        xp = namespace_of(north)
        cos, sin = (match_library(g(self.longitude), north) for g in (np.cos, np.sin))
        poles = [int(i) for i in np.flatnonzero(at_pole)]
        # Rows at poles are cut out of the rows between them.
        bounds = sorted({0, north.shape[axis], *poles, *(i + 1 for i in poles)})
        pieces = []
        for start, stop in pairwise(bounds):
            sections = [x[rows_of(x.ndim, axis, start, stop)] for x in (north, east)]
            if start in poles:
                # Northwards is inwards at one pole and outwards at the other.
                sign = -math.copysign(1.0, self.latitude.reshape(-1)[start])
                # Each meridian tells one component of the same vector. The mean of the squared
                # cosine over all directions is 1/2, hence the factor 2.
                g_n = sections[0] * (2 * sign / self.longitude.size)
                g_x = xp.sum(g_n * cos, axis=across, keepdims=True)
                g_y = xp.sum(g_n * sin, axis=across, keepdims=True)
                sections = [(g_x * cos + g_y * sin) * sign, g_y * cos - g_x * sin]
            pieces.append(sections)
        north, east = (_concatenate(sections, axis) for sections in zip(*pieces, strict=True))
        return north, east

    def _gradient_on_curved(
        self, f: Array, radius: float, accuracy: Any, edge: Any, backend: Any
    ) -> list[Array]:
        """Return the gradient on latitudes and longitudes that are fields themselves."""
        phi, lam = self.latitude, self.longitude
        # Latitude and longitude are singular at poles, Cartesian positions are not.
        position = [np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)]
        boundary: Any = {self.axes[1]: "periodic"} if self.periodic else "one-sided"
        options = Options(1, accuracy, edge, boundary, None)
        no_jumps = [(0.0,) * 3] * 2
        derivatives = differentiate_grid(position, f.shape, self.axes, options, no_jumps)
        tangents = [
            [radius * sum(map(operator.mul, row, unit)) for unit in self.unit_vectors()]
            for row in derivatives
        ]
        names = ["latitude in degrees", "longitude in degrees"]
        inverse = invert(tangents, [np.degrees(phi), np.degrees(lam)], names)
        slopes = gradient(
            f, axis=self.axes, accuracy=accuracy, edge_accuracy=edge, boundary=boundary,
            backend=backend,
        )  # fmt: skip
        rows = [[match_library(w, f) for w in row] for row in inverse]
        return [row[0] * slopes[0] + row[1] * slopes[1] for row in rows]

    def unit_vectors(self) -> tuple[list[NumpyArray], list[NumpyArray]]:
        """Return the Cartesian components of the unit vectors to the north and to the east."""
        phi, lam = self.latitude, self.longitude
        return (
            [-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)],
            [-np.sin(lam), np.cos(lam), np.zeros_like(lam)],
        )


def _concatenate(arrays: Sequence[Array], axis: int) -> Array:
    is_masked = isinstance(arrays[0], np.ma.MaskedArray)  # whose masks `numpy.concat` would lose
    concat = np.ma.concatenate if is_masked else namespace_of(arrays[0]).concat
    return concat(arrays, axis=axis)


def make_sphere_grid(
    f: Array, latitude: Any, longitude: Any, degrees: bool, axis: Any, periodic: bool | None
) -> SphereGrid:
    """Check latitudes and longitudes, and find how they close."""
    axes = parse_axes(axis, f.ndim)
    if len(axes) != 2:
        raise ValueError(f"`axis` must name two axes, of latitude and longitude; got {axis!r}.")
    phi = _parse_coordinate(latitude, "latitude", degrees)
    lam = _parse_coordinate(longitude, "longitude", degrees)
    if (abs(phi) > math.pi / 2 + _NEAR).any():
        limit = "90 degrees" if degrees else "pi / 2"
        raise ValueError(
            f"`latitude` must be between -{limit} and {limit}; got {abs(phi).max():.6g} in radians."
            " Set `degrees` to what they are in, and pass latitudes before longitudes."
        )
    is_curved = phi.ndim == 2
    shapes = (f.shape[axes[0]],), (f.shape[axes[1]],)
    wanted = (shapes[0] + shapes[1],) * 2 if is_curved or lam.ndim == 2 else shapes
    for x, shape, name in zip((phi, lam), wanted, ("latitude", "longitude"), strict=True):
        if x.shape != shape:
            raise ValueError(
                f"`{name}` must have shape {shape} to match axes {axes} of `f`, of shape "
                f"{tuple(f.shape)}; got {x.shape}. Name the axes with `axis`, latitude first."
            )
    if is_curved:
        latitude_first = axes[0] < axes[1]
        shape = tuple(n if i in axes else 1 for i, n in enumerate(f.shape))
        phi, lam = ((x if latitude_first else x.T).reshape(shape) for x in (phi, lam))
        return SphereGrid(phi, lam, (axes[0], axes[1]), True, bool(periodic), False)
    steps = np.diff(phi)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("`latitude` must rise, or fall, from sample to sample. Sort them.")
    lam = np.unwrap(lam)
    goes_round, is_even = _find_closing(lam, periodic)
    phi = phi.reshape((-1,) + (1,) * (f.ndim - axes[0] - 1))
    lam = lam.reshape((-1,) + (1,) * (f.ndim - axes[1] - 1))
    return SphereGrid(phi, lam, (axes[0], axes[1]), False, goes_round, is_even)


def _find_closing(lam: NumpyArray, periodic: bool | None) -> tuple[bool, bool]:
    """Return whether longitudes go round, and whether evenly."""
    steps = np.abs(np.diff(lam))
    if lam.size < 3:
        return False, False
    closing = 2 * math.pi - abs(lam[-1] - lam[0])
    repeats = abs(closing) < _NEAR * steps.max()
    if periodic is not False and (repeats or closing < 0):
        raise ValueError(
            "`longitude` must go round once; got "
            + ("the first meridian again as the last. Leave it out, with its samples" if repeats
               else "more than a full circle")
            + ", or say `periodic=False`."
        )  # fmt: skip
    if periodic is None:
        periodic = bool(0.5 * steps.min() < closing < 1.5 * steps.max())
    mean = 2 * math.pi / lam.size
    is_even = periodic and bool((abs(np.append(steps, closing) - mean) < 1e-4 * mean).all())
    return bool(periodic), is_even


def _parse_coordinate(x: Any, name: str, degrees: bool) -> NumpyArray:
    if x is None:
        raise TypeError(
            f"`{name}` must be given: where the samples lie. Only a DataArray of xarray brings it "
            "along, as a coordinate."
        )
    values = host_values(x) if is_library_array(x) else np.asarray(x)
    if values is None:
        raise TypeError(
            f"`{name}` must have its values on the host; got an array on a device, lazy or traced. "
            "Bring it home with `gpugrad.asnumpy`."
        )
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        raise TypeError(
            f"`{name}` must be a 1-D or 2-D array of real numbers; got {values.ndim} axes of "
            f"{values.dtype}."
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite. Fill in what is missing, or leave samples out.")
    return np.radians(values) if degrees else values
