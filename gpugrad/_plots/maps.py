"""Longitudes that end where they begin, as at 0 and at 360 degrees."""

from __future__ import annotations

import numpy as np

from gpugrad._arrays import NumpyArray


def repeats_first_meridian(longitude: NumpyArray) -> bool:
    """Tell whether the last longitude is the first one once more, once round the sphere."""
    x = np.asarray(longitude, np.float64)
    if x.ndim != 1 or x.size < 4 or not np.isfinite(x).all():
        return False
    x = np.unwrap(x, period=360.0)
    return bool(abs(abs(x[-1] - x[0]) - 360.0) <= 1e-4 * abs(np.diff(x)).max())


def append_seam(values: NumpyArray, axis: int) -> NumpyArray:
    """Return an array with the first samples along an axis once more behind the last ones."""
    return np.concatenate([values, values.take([0], axis)], axis=axis)
