"""What the command is asked to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileRequest:
    """What to compute, in the words of the package's functions.

    `sphere` says whether latitudes and longitudes lie on a sphere, or are coordinates like others;
    `radius` is that of the sphere, in metres, by default what the file says, or the Earth's.
    """

    operator: str = "gradient"
    axes: tuple[str, ...] = ()
    spacing: tuple[float, ...] = ()
    coords: tuple[str, ...] = ()
    order: int = 1
    accuracy: int = 2
    edge_order: int | None = None
    edge_accuracy: int | None = None
    boundary: Any = "one-sided"
    period: Any = None
    stagger: Any = None
    skipna: bool = False
    time_unit: str | None = None
    backend: str | None = None
    sphere: bool = True
    radius: float | None = None
