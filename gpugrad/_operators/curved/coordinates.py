"""What is said of coordinates of grids, and whether fields beside them have labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import PLAIN, library_of_labels


def describe_samples(shape: Sequence[int]) -> str:
    """Return the shape of a grid in words."""
    return f"{' x '.join(map(str, shape))} samples"


def is_labelled(*arguments: Any) -> bool:
    """Tell whether an argument of a call has labels or units."""
    return any(type(x) not in PLAIN and library_of_labels(x) for x in arguments)
