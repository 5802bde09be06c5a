"""Which dimension is x, y or z: by name, or by what the CF conventions say of its coordinate."""

from __future__ import annotations

from typing import Any

_POINTS = {"u": "X", "v": "Y", "w": "Z"}
_NAMES = {
    "X": ("x", "lon", "longitude", "xc", "easting"),
    "Y": ("y", "lat", "latitude", "yc", "northing"),
    "Z": ("z", "lev", "level", "depth", "height", "altitude"),
}
_STANDARD_NAMES = {
    "X": ("longitude", "projection_x_coordinate"),
    "Y": ("latitude", "projection_y_coordinate"),
    "Z": ("height", "altitude", "depth"),
}
_UNITS = {"X": "degrees_east", "Y": "degrees_north"}


def axis_of_component(key: str, f: Any) -> Any:
    """Return the dimension of a DataArray that a component u, v or w points along.

    A key that is a dimension stands for itself.

    Raises
    ------
    ValueError
        If there is not one such dimension.
    """
    if key in f.dims:
        return key
    letter = _POINTS[key]
    found = [dim for dim in f.dims if _is_axis(letter, dim, f)]
    if len(found) != 1:
        raise ValueError(
            f"component {key} must point along one dimension, which its coordinate's name or CF "
            f"attributes tell; found {found or 'none'} among {list(f.dims)}. Name the axes: "
            'axis=("x", "y").'
        )
    return found[0]


def _is_axis(letter: str, dim: Any, f: Any) -> bool:
    attributes = f.coords[dim].attrs if dim in f.coords else {}
    if "axis" in attributes:
        return bool(attributes["axis"] == letter)
    if attributes.get("standard_name") in _STANDARD_NAMES[letter]:
        return True
    if letter in _UNITS and attributes.get("units") == _UNITS[letter]:
        return True
    return str(dim).lower() in _NAMES[letter]
