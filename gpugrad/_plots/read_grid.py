"""A field on a sphere, or on a curved grid, with its slopes, read for a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, asnumpy, library_of_labels
from gpugrad._grids import parse_axes
from gpugrad._labels import geographic_kind, has_units
from gpugrad._labels.cf_axes import find_geographic
from gpugrad._labels.grid_coordinates import read_angle, take_values
from gpugrad._labels.units import find_library, take
from gpugrad._labels.xarray_coordinates import pick_coordinate
from gpugrad._operators import Sphere
from gpugrad._plots.axes import Kind, PlotAxis, add_units
from gpugrad._plots.field import PlotField, thin_axes
from gpugrad._plots.home import (
    bring_home,
    describe_values,
    find_periods,
    mask_values,
    name_dims,
    strip,
)
from gpugrad._plots.maps import append_seam, repeats_first_meridian


def read_on_map(f: Any, options: Mapping[str, Any]) -> PlotField:
    """Return a DataArray whose dimensions are latitude and longitude, with slopes per metre."""
    options = dict(options)
    kinds = {geographic_kind(dim, f.coords[dim].attrs): dim for dim in f.dims}
    names = next(
        (kinds[f"{rotated}latitude"], kinds[f"{rotated}longitude"])
        for rotated in ("", "grid_")
        if f"{rotated}latitude" in kinds
    )
    schemes = {name: options.pop(name) for name in ("accuracy", "edge_accuracy") if name in options}
    sphere = Sphere(*map(str, names), **schemes)
    dim = names[1]
    if not repeats_first_meridian(_read_degrees(f.coords[dim], "longitude", True)):
        return _read_on_sphere(f, sphere, options)
    field = _read_on_sphere(f.isel({dim: slice(None, -1)}), sphere, options, is_thinned=False)
    latitude, longitude = field.axes
    longitude = longitude._replace(
        values=np.append(longitude.values, longitude.values[0] + np.sign(np.diff(
            longitude.values[:2])) * 360)
    )  # fmt: skip
    thin = thin_axes((latitude.values.size, longitude.values.size))
    return replace(
        field,
        axes=(latitude, longitude),
        values=append_seam(field.values, 1),
        slopes=tuple(append_seam(slope, 1)[thin] for slope in field.slopes),
    )


def read_on_grid(f: Any, grid: Any, options: Mapping[str, Any]) -> PlotField:
    """Return a field on a `Sphere` or a `CurvilinearGrid`, with slopes per length."""
    if len(f.shape) != 2:
        raise ValueError(
            f"`f` must have two axes to be drawn on a {type(grid).__name__}; got shape "
            f"{tuple(f.shape)}."
        )
    if isinstance(grid, Sphere):
        return _read_on_sphere(f, grid, options)
    return _read_on_curve_lines(f, grid, options)


def _read_on_sphere(
    f: Any, sphere: Sphere, options: Mapping[str, Any], is_thinned: bool = True
) -> PlotField:
    places = [
        _find_place(f, kind, place)
        for kind, place in (("latitude", sphere.latitude), ("longitude", sphere.longitude))
    ]
    slopes = [strip(slope) for slope in sphere.gradient(f, **options)]
    values, *numbers = bring_home([strip(f).values, *[slope.values for slope in slopes]])
    values, dims = mask_values(f, values, options.get("where")), name_dims(f)
    if _lies_along_last(f, sphere, places[0]):
        values, numbers, dims = values.T, [slope.T for slope in numbers], dims[::-1]
    if is_thinned:
        numbers = [slope[thin_axes(values.shape)] for slope in numbers]
    latitude = _read_angles(places[0], "latitude", sphere.degrees)
    longitude = _read_angles(places[1], "longitude", sphere.degrees)
    name, title, units = describe_values(f)
    return PlotField(
        values, (latitude, longitude), tuple(numbers), tuple(slope.units for slope in slopes),
        name, title, units, is_map=True, dims=dims,
    )  # fmt: skip


def _find_place(f: Any, kind: str, place: Any) -> Any:
    """Return latitudes or longitudes as the field or the sphere has them."""
    if library_of_labels(f) != "xarray":
        return place
    place = pick_coordinate(
        f, find_geographic(kind, f) if place is None else place, f"`{kind}`", "a coordinate"
    )
    return place.transpose(*f.dims) if getattr(place, "ndim", 1) == 2 else place


def _lies_along_last(f: Any, sphere: Sphere, latitude: Any) -> bool:
    """Tell whether latitudes, which are 1-D, lie along the last axis of a field."""
    if getattr(latitude, "ndim", 1) != 1:
        return False
    if library_of_labels(f) == "xarray" and hasattr(latitude, "dims"):
        return bool(f.dims[-1] == latitude.dims[0])
    return parse_axes(sphere.axis, 2)[0] == 1


def _read_angles(place: Any, kind: Kind, in_degrees: bool) -> PlotAxis:
    """Return the axis of latitudes or of longitudes, in degrees."""
    values = _read_degrees(place, kind, in_degrees)
    if kind == "longitude":  # which may leap on the way, from 360 to 0
        for axis in range(values.ndim):
            values = np.unwrap(values, axis=axis, period=360.0)
    name = str(getattr(place, "name", None) or kind)
    rotated = str(getattr(place, "attrs", {}).get("standard_name", "")).startswith("grid_")
    label = add_units(name, "degrees") if rotated else name
    return PlotAxis(values, name, label, "degree", "numbers" if rotated else kind)


def _read_degrees(x: Any, name: str, in_degrees: bool) -> NumpyArray:
    angles, are_degrees = read_angle(x, name, in_degrees)
    values = np.asarray(asnumpy(angles), np.float64)
    return values if are_degrees else np.degrees(values)


def _read_on_curve_lines(f: Any, grid: Any, options: Mapping[str, Any]) -> PlotField:
    if len(grid.coordinates) != 2:
        raise ValueError(
            f"the grid must have two coordinates to be drawn; got {len(grid.coordinates)}."
        )
    right, up = (_find_position(f, x, name) for x, name in zip(grid.coordinates, "xy", strict=True))
    along_x, along_y = (strip(slope) for slope in grid.gradient(f, **options))
    values, *slopes = bring_home([strip(f).values, along_y.values, along_x.values])
    thin = thin_axes(values.shape)
    return PlotField(
        mask_values(f, values, options.get("where")), (up, right),
        tuple(slope[thin] for slope in slopes), (along_y.units, along_x.units),
        *describe_values(f), dims=(("y", up.name), ("x", right.name)),
        periods={} if grid.period else find_periods(f, grid.boundary, None),
    )  # fmt: skip


def _find_position(f: Any, x: Any, name: str) -> PlotAxis:
    """Return a coordinate of a curved grid, at all samples of a field."""
    if library_of_labels(f) == "xarray":
        x = pick_coordinate(f, x, "coordinates of the grid")
        x = x.transpose(*f.dims) if hasattr(x, "dims") else x
    name = str(getattr(x, "name", None) or name)
    values, units = take_values(x)
    if has_units(values):
        library = find_library([values])
        values, unit = take(library, values)
        units = library.write(unit)
    values = np.asarray(asnumpy(values), np.float64)
    return PlotAxis(np.broadcast_to(values, f.shape), name, add_units(name, units), units)
