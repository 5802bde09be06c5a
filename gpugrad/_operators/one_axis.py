"""Spacings along one axis: that there is one, and whether it is even."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugrad._arrays import host_values, is_library_array
from gpugrad._stencils import Steps

_EVEN = 1e-6
"""By how much of the mean step others may differ, if no rounding of coordinates explains more."""


def check_one_spacing(spacing: tuple[Any, ...]) -> None:
    """Raise TypeError where there are several spacings for one axis."""
    if len(spacing) > 1:
        raise TypeError(
            "`spacing` must be one distance between samples, or their coordinates; got "
            f"{len(spacing)} arguments. Others are given by name, as in `order=2` or `axis=0`."
        )


def find_even_step(step: Any, x: Any = None) -> float | None:
    """Return the distance between samples if it is the same for all but rounding, else None.

    `step` is what a spacing `x` has become.
    """
    if isinstance(step, (float, np.generic)):
        return float(step)
    if isinstance(step, Steps) and step.values.ndim == 1:
        mean = float(step.values.mean())
        deviation = float(np.abs(step.values - mean).max())
        if deviation <= max(_EVEN * abs(mean), _rounding_of(x)):
            return mean
    return None


def _rounding_of(x: Any) -> float:
    """Return by how much steps may be off as coordinates are rounded, each by half a last digit."""
    values = host_values(x) if is_library_array(x) else np.asarray(x)
    if values is None or values.dtype.kind != "f" or not values.size:
        return 0.0
    size = np.abs(values).max()
    if values.dtype.itemsize > 4 and (values == values.astype(np.float32)).all():
        size = np.float32(size)  # a list, or wide numbers, of what was rounded before
    return float(np.spacing(size))
