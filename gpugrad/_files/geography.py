"""Where on the Earth, or on another body, a field in a file lies: its latitudes and longitudes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._files.errors import FileError
from gpugrad._files.source import Source, Values
from gpugrad._labels import geographic_kind
from gpugrad._operators import EARTH

_KINDS = ("latitude", "longitude")


class Geography(NamedTuple):
    """The latitudes and longitudes of a field, in degrees.

    Attributes
    ----------
    names : tuple of str
        What the coordinates of latitude and of longitude are called.
    axes : tuple of int
        The axes of the field along which they lie; of 2-D ones in the field's order.
    values : tuple of array
        Both 1-D, or both 2-D along `axes`.
    directions : tuple of str
        What the directions are called: along a rotated pole it is not the true north.
    radius : float
        Of the sphere, in metres.
    body : str
        Whose radius it is, in words.
    """

    names: tuple[str, str]
    axes: tuple[int, int]
    values: tuple[Values, Values]
    directions: tuple[str, str]
    radius: float
    body: str

    @property
    def is_curved(self) -> bool:
        return self.values[0].ndim > 1


def find_geography(f: Source) -> Geography | None:
    """Return the latitudes and longitudes of a field, or None where its file does not tell them."""
    radius, body = find_radius(f.mapping)
    kinds = {
        dim: geographic_kind(dim, _attributes_of(dim, f))
        for dim in f.dims
        if dim in f.coordinates and f.coordinates[dim].dtype.kind in "iuf"
    }
    for rotated in ("", "grid_"):
        pair = [[dim for dim, k in kinds.items() if k == rotated + kind] for kind in _KINDS]
        if all(len(dims) == 1 for dims in pair):
            names = pair[0][0], pair[1][0]
            latitude, longitude = (
                _in_degrees(f.coordinates[dim], _attributes_of(dim, f)) for dim in names
            )
            return Geography(
                names, (f.dims.index(names[0]), f.dims.index(names[1])), (latitude, longitude),
                (f"{rotated}north", f"{rotated}east"), radius, body,
            )  # fmt: skip
    return _find_curved(f, radius, body)


_ROTATED = {"latitude_longitude": "", "rotated_latitude_longitude": "grid_"}


def _attributes_of(dim: str, f: Source) -> Mapping[str, Any]:
    """Return what a file says of the coordinates of an axis, by its grid mapping if need be."""
    attributes = f.coordinate_attributes.get(dim, {})
    rotated = _ROTATED.get(str(f.mapping.get("grid_mapping_name")))
    letter = str(attributes.get("axis") or dim).upper()
    if rotated is None or letter not in ("X", "Y") or "standard_name" in attributes:
        return attributes
    return {**attributes, "standard_name": rotated + _KINDS[letter == "X"]}


def _find_curved(f: Source, radius: float, body: str) -> Geography | None:
    """Return latitudes and longitudes of all samples, where the axes have no lengths of their own.

    Samples of a projection have coordinates in metres, say, which go before these.
    """
    pair = []
    for kind in _KINDS:
        names = [
            name
            for name, x in f.beside.items()
            if len(x.dims) == 2 and {*x.dims} <= {*f.dims}
            and geographic_kind(name, x.attrs) == kind
        ]  # fmt: skip
        if len(names) != 1:
            return None
        pair.append(names[0])
    coordinates = [f.beside[name] for name in pair]
    dims = [dim for dim in f.dims if dim in coordinates[0].dims]
    if {*coordinates[1].dims} != {*dims} or any(_has_lengths(dim, f) for dim in dims):
        return None
    values = [
        _in_degrees(x.values if [*x.dims] == dims else x.values.T, x.attrs) for x in coordinates
    ]
    axes = f.dims.index(dims[0]), f.dims.index(dims[1])
    return Geography(
        (pair[0], pair[1]), axes, (values[0], values[1]), ("north", "east"), radius, body
    )


def _has_lengths(dim: str, f: Source) -> bool:
    """Tell whether the coordinates of an axis are more than numbers of its samples."""
    units = str(f.coordinate_attributes.get(dim, {}).get("units", "1")).strip()
    return dim in f.coordinates and units not in ("1", "", "count", "level")


def _in_degrees(values: Values, attributes: Mapping[str, Any]) -> Values:
    values = np.asarray(values, np.float64)
    is_radian = str(attributes.get("units", "")).strip().lower().startswith("rad")
    return np.degrees(values) if is_radian else values


_ELLIPSOID = re.compile(
    r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([-+.\deE]+),\s*([-+.\deE]+)', re.IGNORECASE
)


def find_radius(mapping: Mapping[str, Any]) -> tuple[float, str]:
    """Return the radius of the body that a grid mapping describes, and whose it is, in words.

    An ellipsoid that is the Earth's, as nearly all are, has the Earth's mean radius.
    """
    try:
        a, b = _read_axes(mapping)
    except (TypeError, ValueError) as error:
        raise FileError(f"the radius in the grid mapping can't be read: {error}.") from error
    if not (math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0):
        return EARTH, "the Earth's mean radius"
    mean = (2 * a + b) / 3
    if a != b and abs(mean / EARTH - 1) < 2e-3:
        return EARTH, "the Earth's mean radius"
    return mean, "the radius in the file" if a == b else "the mean radius of the file's ellipsoid"


def _read_axes(mapping: Mapping[str, Any]) -> tuple[float, float]:
    """Return the half axes of an ellipsoid, NaN where they are unknown."""
    if "earth_radius" in mapping:
        return (float(mapping["earth_radius"]),) * 2
    if "semi_major_axis" in mapping:
        a = float(mapping["semi_major_axis"])
        flattening = float(mapping.get("inverse_flattening", 0.0))
        b = float(mapping.get("semi_minor_axis", a - (a / flattening if flattening else 0.0)))
        return a, b
    match = _ELLIPSOID.search(str(mapping.get("crs_wkt") or mapping.get("spatial_ref") or ""))
    if match is None:
        return math.nan, math.nan
    a, flattening = float(match[1]), float(match[2])
    return a, a - (a / flattening if flattening else 0.0)


def goes_round(place: Geography) -> bool:
    """Tell whether longitudes go once round, with the first meridian stored twice or not."""
    longitude = place.values[1]
    steps = np.abs(np.diff(np.unwrap(longitude, period=360.0)))
    left = 360.0 - steps.sum()
    return bool(longitude.size > 2 and -1e-3 * steps.max() <= left < 1.5 * steps.max())


_POINTS_ELSEWHERE = re.compile(r"(^|_)[xy]_(wind|velocity|component)|^grid_|_x_|_y_")
"""Standard names of components along the lines of a grid."""


def order_winds(
    fields: Sequence[Source], positions: Sequence[int] | None, place: Geography
) -> tuple[int, int]:
    """Return the numbers of the components to the north and to the east.

    `positions` are the axes that the user has named for the components, in their order.

    Raises
    ------
    FileError
        If it is unknown which is which, or what the file says contradicts it.
    """
    labels = ", ".join(f.name for f in fields)
    if len(fields) != 2:
        raise FileError(
            f"on the sphere a vector has two components, to the east and to the north; got {labels}"
            ". Name two: --var u v."
        )
    east = " ".join((place.names[1], place.names[0]))
    standard = [str(f.attributes.get("standard_name", "")) for f in fields]
    told = [_direction_of(name, place) for name in standard]
    if positions is not None:
        latitude = positions.index(place.axes[0])
    elif told.count("north") == 1 or told.count("east") == 1:
        latitude = told.index("north") if "north" in told else 1 - told.index("east")
    else:
        first = [f.name[:1].lower() for f in fields]
        if place.is_curved or {*first} != {"u", "v"}:
            raise FileError(
                f"which of {labels} points to the east is unknown. Name the axes along which they "
                f"point, in their order: --axis {east} if the first does."
            )
        latitude = first.index("v")
    for number, direction in enumerate(told):
        wanted = "north" if number == latitude else "east"
        if direction == "elsewhere":
            raise FileError(
                f"{fields[number].label} must point to the {place.directions[wanted == 'east']}; "
                f"its standard_name is {standard[number]}. Turn the components first."
            )
        if direction not in ("", wanted):
            raise FileError(
                f"{fields[number].label} must point to the {wanted}; its standard_name is "
                f"{standard[number]}. Swap --var, or name the axes: --axis {east} where the first "
                "component points to the east."
            )
    return latitude, 1 - latitude


def _direction_of(standard: str, place: Geography) -> str:
    """Return where a component points by its standard name: "" where that does not tell."""
    along_grid = bool(_POINTS_ELSEWHERE.search(standard))
    is_true = "northward" in standard or "eastward" in standard
    if standard.startswith("grid_") and is_true:  # as some call them along a rotated pole
        is_true, along_grid = False, True
    if (along_grid and place.is_curved) or (is_true and place.directions[0] != "north"):
        return "elsewhere"
    if is_true:
        return "north" if "northward" in standard else "east"
    if along_grid:
        return "north" if re.search(r"(^|_)y_|northward", standard) else "east"
    return ""
