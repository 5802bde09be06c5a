"""Fields of xarray on a sphere: latitudes and longitudes found among their coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugrad._arrays import library_of_labels
from gpugrad._labels.cf_axes import find_geographic
from gpugrad._labels.typing import Call
from gpugrad._labels.xarray_coordinates import pick_coordinate
from gpugrad._labels.xarray_fields import describe_fields, find_dims, label_results, take_fields

_DIRECTIONS = ["north", "east"]
_RADIANS = ("rad", "radian", "radians")


def call(operator: Call, f: Any, options: dict[str, Any]) -> Any:
    """Call an operator on what DataArrays hold, and give its results their labels.

    Latitudes and longitudes may be names, arrays or DataArrays.

    Raises
    ------
    TypeError
        If `f` is a Dataset, or `out` is given.
    ValueError
        If latitudes or longitudes can't be found, or do not lie along two dimensions of `f`.
    """
    fields, is_vector = take_fields(operator.__name__, f, options)
    first = fields[0]
    grid = {
        kind: find_geographic(kind, first)
        if options.get(kind) is None
        else pick_coordinate(first, options[kind], f"`{kind}`", "a coordinate")
        for kind in ("latitude", "longitude")
    }
    dims = _find_grid_dims(first, options.pop("axis", None), grid)
    in_degrees = options.pop("degrees", None)
    for kind, coordinate in grid.items():
        options[kind] = _convert_to_degrees(coordinate, dims, in_degrees)
    radius = options.pop("radius", None)
    length_unit = "m" if radius is None else None  # the unit of a plain number is not known
    if library_of_labels(radius) == "pint":
        length_unit, radius = format(radius.units, "~"), float(radius.magnitude)
    values = [field.data for field in fields]
    if library_of_labels(values[0]) == "pint" and length_unit not in (None, "m"):
        radius = values[0]._REGISTRY.Quantity(radius, length_unit)
    if radius is not None:
        options["radius"] = radius
    axes = tuple(first.get_axis_num(dim) for dim in dims)
    results = operator(values if is_vector else values[0], axis=axes, **options)
    name = operator.__name__.removeprefix("spherical_")
    labels = describe_fields(fields, _DIRECTIONS, [length_unit] * 2).of(name)
    return label_results(first, results, labels, _DIRECTIONS)


def _find_grid_dims(f: Any, axis: Any, grid: dict[str, Any]) -> list[Any]:
    """Return the dimensions of latitude and of longitude; on a curved grid in the field's order."""
    if axis is not None:
        return find_dims(f, axis)
    if not all(hasattr(coordinate, "dims") for coordinate in grid.values()):
        return find_dims(f, (-2, -1))
    latitude, longitude = (coordinate.dims for coordinate in grid.values())
    if len(latitude) == len(longitude) == 1 and latitude != longitude:
        return [*latitude, *longitude]
    if len(latitude) == 2 and set(latitude) == set(longitude):
        return [dim for dim in f.dims if dim in latitude]
    raise ValueError(
        "latitude and longitude must lie along one dimension each, or both along the same two, of "
        f"a grid; got {latitude} and {longitude}. Tracks and meshes of triangles are no grids: "
        "interpolate them to one first."
    )


def _convert_to_degrees(coordinate: Any, dims: list[Any], in_degrees: bool | None) -> Any:
    """Return the values of a coordinate on the host, in degrees, along the dimensions in order.

    Coordinates that are lazy are computed: what the formulas are depends on them.
    """
    units = None
    if hasattr(coordinate, "dims"):
        units = coordinate.attrs.get("units")
        coordinate = (coordinate.transpose(*dims) if coordinate.ndim > 1 else coordinate).data
        coordinate = coordinate.compute() if hasattr(coordinate, "compute") else coordinate
    if library_of_labels(coordinate) == "pint":
        return coordinate.to("degree").magnitude
    are_radians = str(units).lower() in _RADIANS if in_degrees is None else not in_degrees
    return np.degrees(np.asarray(coordinate)) if are_radians else coordinate
