"""Coordinates of grids as users give them: plain numbers, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import PLAIN, NumpyArray, library_of_labels


def read_coordinate(x: Any, name: str) -> NumpyArray:
    """Return a coordinate as an array; refuse what has units, or masked values."""
    # Quantities of unyt have `units`. Astropy's are arrays of NumPy that have a `unit`.
    if hasattr(type(x), "units") or (isinstance(x, np.ndarray) and hasattr(type(x), "unit")):
        raise TypeError(
            f"{name} must be plain numbers; got {type(x).__name__}, which carries a unit. Pass "
            "its magnitude."
        )
    if isinstance(x, np.ndarray) and np.ma.is_masked(x):
        raise ValueError(
            f"{name} must have no masked values; got {np.ma.getmaskarray(x).sum()} of them. Fill "
            "them, or leave these samples out."
        )
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"{name} must be a regular array or a nested sequence of equal lengths; got {error}"
        ) from error


def describe_samples(shape: Sequence[int]) -> str:
    """Return the shape of a grid in words."""
    return f"{' x '.join(map(str, shape))} samples"


def is_labelled(*arguments: Any) -> bool:
    """Tell whether an argument of a call has labels of xarray or units of pint."""
    return any(type(x) not in PLAIN and library_of_labels(x) for x in arguments)
