"""Coordinates of grids with labels or units: plain arrays, and the units that they had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import library_of_labels
from gpugrad._labels.pint_fields import convert

_RADIANS = ("rad", "radian", "radians")


def read_angle(x: Any, name: str, in_degrees: bool) -> tuple[Any, bool]:
    """Return latitudes or longitudes without labels and units, and whether they are in degrees."""
    x, units = take_values(x)
    if library_of_labels(x) == "pint":
        return convert(x, x._REGISTRY.Unit("degree"), f"`{name}`").magnitude, True
    return x, in_degrees and str(units).lower() not in _RADIANS


def strip_lengths(coordinates: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return coordinates without labels, and a length of one unit of pint for each, if they have.

    Raises
    ------
    ValueError
        If some have units of pint and others don't.
    """
    values = [take_values(x)[0] for x in coordinates]
    have_units = [library_of_labels(x) == "pint" for x in values]
    if not any(have_units):
        return values, []
    if not all(have_units):
        raise ValueError(
            "coordinates must all have units of pint, or none; got "
            f"{sum(have_units)} with units and {len(values) - sum(have_units)} without."
        )
    units = values[0].units
    values = [x.to(units) if x.is_compatible_with(units) else x for x in values]
    return [x.magnitude for x in values], [x._REGISTRY.Quantity(1.0, x.units) for x in values]


def take_values(x: Any) -> tuple[Any, Any]:
    """Return the values of a coordinate, and its units as text where they are known.

    Coordinates that are lazy are computed: what the formulas are depends on them.
    """
    if isinstance(x, (tuple, list)) or library_of_labels(x) != "xarray":
        return x, None
    data = x.data.compute() if hasattr(x.data, "compute") else x.data
    return data, x.attrs.get("units")
