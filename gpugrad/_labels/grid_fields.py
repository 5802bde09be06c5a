"""Fields with labels or units on curved grids and on the sphere.

Grids are handed in, with their operators on plain fields: ``_evaluate(name, fields, request)``; and
``_at(coordinates, ...)``, the same grid with other coordinates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import library_of_labels
from gpugrad._labels.cf_axes import find_geographic
from gpugrad._labels.grid_coordinates import take_values
from gpugrad._labels.quantity_fields import call_per_length
from gpugrad._labels.units import TABLE, find_library, has_units
from gpugrad._labels.xarray_coordinates import pick_coordinate, strip_labels
from gpugrad._labels.xarray_fields import (
    describe_fields,
    find_dims,
    label_results,
    number_dimensions,
    place_mask,
    take_fields,
)

_DIRECTIONS = ["north", "east"]

_LAST_TWO = (-2, -1)

_ALONG_GRID = re.compile(r"(^|_)[xy]_(wind|velocity|component)|^grid_|_x_|_y_")
"""Standard names of components along the lines of a grid."""


def call_on_sphere(sphere: Any, name: str, f: Any, request: Any) -> Any:
    """Return the results of an operator on a sphere for fields with labels or units.

    Latitudes and longitudes may be names, arrays or DataArrays.

    Raises
    ------
    TypeError
        If `f` is a Dataset, or `out` is given.
    ValueError
        If latitudes or longitudes can't be found, or do not lie along two dimensions of `f`; if
        standard names of winds say that they point another way.
    """
    if library_of_labels(f) != "xarray":
        request = request._replace(where=strip_labels(request.where))
        return _evaluate(sphere, name, strip_labels(f), request, [sphere._length])
    options = {"out": request.out, "where": request.where}
    fields, is_vector = take_fields(name, f, options)
    first = fields[0]
    latitude, longitude = (
        find_geographic(kind, first)
        if place is None
        else pick_coordinate(first, place, f"`{kind}`", "a coordinate")
        for kind, place in (("latitude", sphere.latitude), ("longitude", sphere.longitude))
    )
    is_curved = getattr(latitude, "ndim", 1) > 1
    if is_vector:
        _check_winds(fields[0], fields[1], is_curved)
    axis = None if sphere.axis == _LAST_TWO else sphere.axis
    dims = _find_grid_dims(first, axis, [latitude, longitude])
    if is_curved and hasattr(latitude, "dims"):
        latitude, longitude = (x.transpose(*dims) for x in (latitude, longitude))
    plain = sphere._at(latitude, longitude, tuple(first.get_axis_num(dim) for dim in dims))
    place_mask(first, options)
    values = [field.data for field in fields]
    unit = _write_length(sphere._length)
    lengths = [unit] if has_units(values[0]) else []
    request = request._replace(where=options["where"])
    results = _evaluate(plain, name, values if is_vector else values[0], request, lengths)
    labels = describe_fields(fields, _DIRECTIONS, [unit] * 2).of(name)
    return label_results(first, results, labels, _DIRECTIONS)


def call_on_curvilinear(grid: Any, name: str, f: Any, request: Any) -> Any:
    """Return the results of an operator on a curved grid for fields with labels or units.

    Raises
    ------
    TypeError
        If `f` is a Dataset, `out` is given, or coordinates have no dimensions.
    ValueError
        If coordinates are unknown, or have other dimensions than the grid.
    """
    if library_of_labels(f) != "xarray":
        request = request._replace(where=strip_labels(request.where))
        return _evaluate(grid, name, strip_labels(f), request, grid._lengths)
    options = {"out": request.out, "where": request.where}
    fields, is_vector = take_fields(name, f, options)
    first = fields[0]
    coordinates = [_pick_grid_coordinate(first, x) for x in grid.coordinates]
    dims = find_dims(first, coordinates[0].dims if grid.axis is None else grid.axis)
    dims = [dim for dim in first.dims if dim in dims]
    place_mask(first, options)
    by_axis = {"boundary": grid.boundary, "period": grid.period}
    number_dimensions(first, dims, by_axis)
    axis = tuple(first.get_axis_num(dim) for dim in dims)
    plain = grid._at([_along_axes(x, dims) for x in coordinates], axis=axis, **by_axis)
    values = [field.data for field in fields]
    units = [*map(_write_length, plain._lengths)] or [x.attrs.get("units") for x in coordinates]
    lengths: list[Any] = []
    if has_units(values[0]) and None not in units:
        row = TABLE[str(library_of_labels(values[0]))]
        own = row.take(values[0]).unit
        lengths = [row.make(1.0, row.parse(str(unit), own), None) for unit in units]
    request = request._replace(where=options["where"])
    results = _evaluate(plain, name, values if is_vector else values[0], request, lengths)
    names = [str(x.name or f"x{i}") for i, x in enumerate(coordinates)]
    labels = describe_fields(fields, names, units).of(name)
    return label_results(first, results, labels, names)


def _evaluate(grid: Any, name: str, f: Any, request: Any, lengths: Sequence[Any]) -> Any:
    """Evaluate an operator on fields without labels, which may have units."""
    if not any(map(has_units, (f, request.out, *lengths))):
        return grid._evaluate(name, f, request)

    def evaluate(values: Any, out: Any) -> Any:
        return grid._evaluate(name, values, request._replace(out=out))

    return call_per_length(evaluate, name, f, lengths, request.out, request.stack)


def _write_length(length: Any) -> str | None:
    """Return the unit of a length as text, None where it is not known."""
    if has_units(length):
        library = find_library([length])
        return library.write(library.take(length).unit)
    unit: str | None = length
    return unit


def _check_winds(v: Any, u: Any, is_curved: bool) -> None:
    """Raise ValueError where standard names of winds say that they point another way."""
    for key, field, wrong, points in (("u", u, "northward", "east"), ("v", v, "eastward", "north")):
        name = str(field.attrs.get("standard_name", ""))
        if wrong in name:
            raise ValueError(
                f"`{key}` must point to the {points}; got {field.name!r}, whose standard_name is "
                f"{name}. Swap the two: `u` is eastward and `v` is northward."
            )
        if is_curved and _ALONG_GRID.search(name):
            raise ValueError(
                f"`{key}` must point to the {points}; got {field.name!r}, whose standard_name is "
                f"{name}: a component along the lines of the grid, which is curved here. Turn the "
                "components to the east and to the north first."
            )


def _find_grid_dims(f: Any, axis: Any, grid: Sequence[Any]) -> list[Any]:
    """Return the dimensions of latitude and of longitude; on a curved grid in the field's order."""
    if axis is not None:
        return find_dims(f, axis)
    if not all(hasattr(coordinate, "dims") for coordinate in grid):
        return find_dims(f, _LAST_TWO)
    latitude, longitude = (coordinate.dims for coordinate in grid)
    if len(latitude) == len(longitude) == 1 and latitude != longitude:
        return [*latitude, *longitude]
    if len(latitude) == 2 and set(latitude) == set(longitude):
        return [dim for dim in f.dims if dim in latitude]
    raise ValueError(
        "latitude and longitude must lie along one dimension each, or both along the same two, of "
        f"a grid; got {latitude} and {longitude}. Tracks and meshes of triangles are no grids: "
        "interpolate them to one first."
    )


def _pick_grid_coordinate(f: Any, place: Any) -> Any:
    """Return a coordinate of a curved grid, given by name or as a DataArray."""
    coordinate = pick_coordinate(f, place, "coordinates of the grid")
    if not hasattr(coordinate, "dims"):
        raise TypeError(
            "coordinates of the grid must be names of coordinates or DataArrays for a DataArray; "
            f"got {type(coordinate).__name__}. Pass `f.data` to use plain arrays."
        )
    return coordinate


def _along_axes(coordinate: Any, dims: Sequence[Any]) -> Any:
    """Return a coordinate's values with the axes that are space, in their order."""
    if set(coordinate.dims) != set(dims):
        raise ValueError(
            f"coordinate {coordinate.name!r} of a curved grid must have the dimensions to "
            f"differentiate along, {tuple(dims)}; got {coordinate.dims}. Name them with `axis`."
        )
    return take_values(coordinate.transpose(*dims))[0]
