"""Grids of latitude and longitude: how they close, and where they have poles."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, library_of_labels
from gpugrad._grids import read_numbers

NEAR = 1e-6
"""The part of a step, or of a radian, that rounding to float32 may make."""


class SphereGrid(NamedTuple):
    """Where samples lie, in radians, and how the axes close.

    Latitude and longitude are 2-D both, with length 1 where they don't vary. `is_even` says
    that meridians go round evenly, so that they tell of all directions at a pole.
    """

    latitude: NumpyArray
    longitude: NumpyArray
    is_curved: bool
    periodic: bool
    is_even: bool

    @property
    def shape(self) -> tuple[int, int]:
        """How many samples the axes of latitude and longitude have."""
        return self.latitude.shape[0], self.longitude.shape[1]

    @property
    def at_pole(self) -> NumpyArray:
        """Which latitudes are poles, in one dimension."""
        at_pole: NumpyArray = abs(abs(self.latitude[:, 0]) - math.pi / 2) < NEAR
        return at_pole

    def unit_vectors(self) -> list[NumpyArray]:
        """Return Cartesian components of unit vectors: of that to the north, of that to the east.

        All have two axes, with length 1 where they don't vary.
        """
        phi, lam = self.latitude, self.longitude
        return [
            -np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi),
            -np.sin(lam), np.cos(lam), np.zeros_like(lam),
        ]  # fmt: skip

    def rows_beyond(self, end: int, reach: int) -> list[int]:
        """Return the rows that come next beyond an end, on the other side of a pole, in order."""
        phi = self.latitude[:, 0]
        n = phi.size
        if not self.is_even or self.longitude.size % 2 or n < reach + 1:
            return []
        toward = phi[0] - phi[1] if end == 0 else phi[-1] - phi[-2]
        distance = math.pi / 2 - abs(phi[end])
        if distance > abs(toward) * (1 + NEAR) or toward * phi[end] <= 0:
            return []  # a region that ends before the pole
        first = 1 if distance < NEAR else 0
        rows = range(first, first + reach)
        return [*reversed(rows)] if end == 0 else [n - 1 - i for i in rows]


def read_angles(x: Any, name: str, degrees: bool) -> NumpyArray:
    """Return latitudes or longitudes in radians.

    Raises
    ------
    TypeError
        If they are no real numbers, or their values are not on the host.
    ValueError
        If some are masked or not finite.
    """
    if x is None or isinstance(x, str):
        raise TypeError(
            f"`{name}` must be given: where the samples lie. Only a DataArray of xarray brings it "
            f"along, as a coordinate{f' of the name {x!r}' if x else ''}."
        )
    if library_of_labels(x):
        from gpugrad._labels.grid_coordinates import read_angle

        x, degrees = read_angle(x, name, degrees)
    values = read_numbers(x, f"`{name}`")
    if not isinstance(values, np.ndarray):
        raise TypeError(
            f"`{name}` must have its values on the host; got an array on a device, lazy or traced. "
            "Bring it home with `gpugrad.asnumpy`."
        )
    if values.ndim not in (1, 2):
        raise TypeError(
            f"`{name}` must be a 1-D or 2-D array of real numbers; got {values.ndim} axes of "
            f"{values.dtype}."
        )
    values = np.asarray(values).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite. Fill in what is missing, or leave samples out.")
    return np.radians(values) if degrees else values


def make_sphere_grid(phi: NumpyArray, lam: NumpyArray, periodic: bool | None) -> SphereGrid:
    """Check latitudes and longitudes, in radians, and find how they close."""
    _check_range(phi, lam)
    if phi.ndim != lam.ndim or (phi.ndim == 2 and phi.shape != lam.shape):
        raise ValueError(
            "`latitude` and `longitude` must both be 1-D, or 2-D of one shape; got shapes "
            f"{phi.shape} and {lam.shape}."
        )
    if phi.ndim == 2:
        return SphereGrid(phi, lam, True, bool(periodic), False)
    steps = np.diff(phi)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError("`latitude` must rise, or fall, from sample to sample. Sort them.")
    lam = np.unwrap(lam)
    goes_round, is_even = _find_closing(lam, periodic)
    return SphereGrid(phi[:, None], lam[None], False, goes_round, is_even)


def _check_range(phi: NumpyArray, lam: NumpyArray) -> None:
    if not (abs(phi) > math.pi / 2 + NEAR).any():
        return
    low, high = np.degrees([phi.min(), phi.max()])
    are_swapped = not (abs(lam) > math.pi / 2 + NEAR).any()
    cure = (
        "Latitude and longitude look swapped: pass the latitudes first."
        if are_swapped
        else "Pass latitudes before longitudes, and say with `degrees` what they are in."
    )
    raise ValueError(
        f"`latitude` must be between -90 and 90 degrees; got values from {low:.6g} to {high:.6g} "
        f"degrees. {cure}"
    )


def _find_closing(lam: NumpyArray, periodic: bool | None) -> tuple[bool, bool]:
    """Return whether longitudes go round, and whether evenly."""
    steps = np.abs(np.diff(lam))
    if lam.size < 3:
        return False, False
    closing = 2 * math.pi - abs(lam[-1] - lam[0])
    # A full circle is no more exact than its angles, which may be those of a float32.
    repeats = abs(closing) < max(NEAR * steps.max(), min(2 * math.pi * NEAR, 0.01 * steps.min()))
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
