"""Axes that go round and have the samples at their seam twice, as at 0 and at 360 degrees.

The second time is left out where derivatives are taken, and put on again in the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.geography import Geography
from gpugrad._files.raw import Window
from gpugrad._files.source import Source, Values
from gpugrad._files.targets import Target

NEAR = 1e-6
"""The part of a step that rounding of coordinates may make, or of a difference of samples."""

LOOK_AT = 1 << 16
"""How many samples of a row are compared at most, to see whether it repeats another."""


@dataclass(frozen=True)
class DoubledAxis:
    """An axis whose last samples are its first once more, and how many it has."""

    axis: int
    length: int

    def trim(self, f: Source) -> Source:
        """Return a field without the samples that repeat the first."""
        dim, n = f.dims[self.axis], self.length - 1
        shape = tuple(n if i == self.axis else m for i, m in enumerate(f.shape))
        coordinates = {k: x[:n] if k == dim else x for k, x in f.coordinates.items()}
        return replace(f, shape=shape, coordinates=coordinates)

    def trim_window(self, window: Window) -> Window | None:
        """Return where the samples that are repeated lie in a window, if it has them."""
        if window[self.axis].start != 0:
            return None
        last = slice(self.length - 1, self.length)
        return tuple(last if i == self.axis else rows for i, rows in enumerate(window))


class DoublingTarget:
    """A target to which the samples at a seam are written twice."""

    def __init__(self, target: Target, seam: DoubledAxis) -> None:
        self._target, self._seam = target, seam

    def write(self, number: int, window: Window, values: Values) -> None:
        """Write a window of a result, and once more what lies at the seam."""
        self._target.write(number, window, values)
        repeated = self._seam.trim_window(window)
        if repeated is not None:
            index = [slice(None)] * values.ndim
            index[self._seam.axis] = slice(0, 1)
            self._target.write(number, repeated, np.ascontiguousarray(values[tuple(index)]))

    def read(self, number: int, window: Window, into: Values) -> None:
        """Read a window of a result back."""
        self._target.read(number, window, into)

    def finish(self) -> Path:
        """Make sure that all is on the disk; return the file or folder to be moved."""
        return self._target.finish()


def find_global_seam(f: Source, place: Geography) -> DoubledAxis | None:
    """Return the seam of longitudes that end where they begin."""
    if place.is_curved:
        return None
    longitude = np.asarray(place.values[1], np.float64)
    if np.isfinite(longitude).all():  # they may leap back on the way, or at the end
        longitude = np.unwrap(longitude, period=360.0)
    return _find_seam(place.axes[1], f, longitude, 360.0)


def find_periodic_seam(f: Source, axis: int, x: Any, period: float | None) -> DoubledAxis | None:
    """Return the seam of a periodic axis whose last coordinate is a period behind its first."""
    n = f.shape[axis]
    if period is None or n < 3:
        return None
    values = np.asarray(x)
    if values.ndim == 0:
        values = np.arange(n) * float(values)
    return _find_seam(axis, f, values, period) if values.dtype.kind in "iuf" else None


def _find_seam(axis: int, f: Source, x: Values, period: float) -> DoubledAxis | None:
    x = np.asarray(x, np.float64)
    if x.size < 4 or not np.isfinite(x).all():
        return None
    extent, step = abs(x[-1] - x[0]), abs(np.diff(x)).max()
    return DoubledAxis(axis, f.shape[axis]) if abs(extent - period) <= 1e-4 * step else None


def repeats_first(f: Source, axis: int) -> bool:
    """Tell whether the last samples along an axis look like the first, by some of them."""
    n = f.shape[axis]
    if n < 4 or f.dtype.kind not in "iuf":
        return False
    first, second, last = (_read_some(f, axis, i) for i in (0, 1, n - 1))
    step = np.nanmax(abs(second - first), initial=0.0)
    away = np.nanmax(abs(last - first), initial=0.0)
    return bool(step > 0 and away <= NEAR * step)


def _read_some(f: Source, axis: int, i: int) -> Values:
    """Return some of the samples at one place of an axis."""
    window, left = [], LOOK_AT
    for k in reversed(range(len(f.shape))):
        size = 1 if k == axis else max(1, min(f.shape[k], left))
        left //= size
        start = i if k == axis else (f.shape[k] - size) // 2
        window.append(slice(start, start + size))
    rows = tuple(window[::-1])
    values = np.empty([s.stop - s.start for s in rows], f.dtype)
    f.read(rows, values)
    return values.astype(np.float64)


def describe_seam(f: Source, seam: DoubledAxis, x: Sequence[float] | Values | None) -> str:
    """Return what is done with samples that are stored twice."""
    ends = f" ({x[0]:g} and {x[-1]:g})" if x is not None and len(x) else ""
    first, last = (_read_some(f, seam.axis, i) for i in (0, seam.length - 1))
    differ = "" if np.array_equal(first, last, equal_nan=True) else " They differ: the first count."
    return (
        f"the first and the last samples of {f.label} along {f.dims[seam.axis]}{ends} are one "
        f"place, stored twice: derivatives take it once, and results have it twice again.{differ}"
    )
