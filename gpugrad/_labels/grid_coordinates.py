"""Coordinates of grids with labels or units: plain arrays, and the units that they had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import library_of_labels
from gpugrad._labels.units import (
    Amount,
    as_degrees,
    convert,
    find_library,
    has_units,
    take,
    take_coordinate,
)

_RADIANS = ("rad", "radian", "radians")


def read_angle(x: Any, name: str, in_degrees: bool) -> tuple[Any, bool]:
    """Return latitudes or longitudes without labels and units, and whether they are in degrees."""
    x, units = take_values(x)
    if has_units(x):
        library = find_library([x])
        return as_degrees(library, take_coordinate(library, x), f"`{name}`"), True
    return x, in_degrees and str(units).lower() not in _RADIANS


def read_radius(radius: Any) -> tuple[Any, Any]:
    """Return the unit of a radius, as a quantity or as text, and the radius in it."""
    radius, unit = take_values(radius)
    if has_units(radius):
        library = find_library([radius])
        radius, unit = take(library, radius)
        unit = library.make(1.0, unit, None)
    if getattr(radius, "ndim", 0):
        raise TypeError(f"`radius` must be one number; got {radius!r}.")
    return unit, float(radius)


def strip_lengths(coordinates: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return coordinates without labels, and a length of one unit for each, if they have units.

    Raises
    ------
    ValueError
        If some have units and others don't.
    """
    values = [take_values(x)[0] for x in coordinates]
    have_units = [has_units(x) for x in values]
    if not any(have_units):
        return values, []
    if not all(have_units):
        raise ValueError(
            "coordinates must all have units, or none; got "
            f"{sum(have_units)} with units and {len(values) - sum(have_units)} without."
        )
    library = find_library(values)
    amounts = [take_coordinate(library, x) for x in values]
    unit = amounts[0].unit
    amounts = [
        Amount(convert(library, amount, unit, "coordinates"), unit)
        if library.fits(amount.unit, unit)
        else amount
        for amount in amounts
    ]
    lengths = [library.make(1.0, library.subtract(amount.unit), None) for amount in amounts]
    return [amount.values for amount in amounts], lengths


def strip_period(period: Any, lengths: Sequence[Any]) -> Any:
    """Return a period of a curved grid as numbers, in the units of its coordinates."""
    if isinstance(period, dict):
        return {axis: strip_period(entry, lengths) for axis, entry in period.items()}
    if not isinstance(period, (tuple, list)) or not any(map(has_units, period)):
        return period
    if len(lengths) != len(period):
        raise ValueError(
            "`period` must have as many numbers as there are coordinates, with units where these "
            f"have some; got {period!r}."
        )
    library = find_library([*period, *lengths])
    jumps = []
    for x, length in zip(period, lengths, strict=True):
        amount = take(library, x)
        if amount is not None:
            amount = amount._replace(unit=library.subtract(amount.unit))
            unit = library.take(length).unit
            x = float(convert(library, amount, unit, "`period` and the coordinate"))
        jumps.append(x)
    return tuple(jumps)


def take_values(x: Any) -> tuple[Any, Any]:
    """Return the values of a coordinate, and its units as text where they are known.

    Coordinates that are lazy are computed: what the formulas are depends on them.
    """
    if isinstance(x, (tuple, list)) or library_of_labels(x) != "xarray":
        return x, None
    data = x.data
    is_lazy = hasattr(getattr(data, "magnitude", data), "compute")
    return data.compute() if is_lazy else data, x.attrs.get("units")
