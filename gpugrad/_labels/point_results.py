"""Points of curves and fields with labels or units: where each lies, in the words of the field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from gpugrad._arrays import library_of_labels
from gpugrad._labels.pint_fields import convert, difference, registry_of
from gpugrad._labels.typing import Call
from gpugrad._labels.units import per
from gpugrad._labels.xarray_coordinates import coordinates_beside, find_spacings, strip_labels
from gpugrad._labels.xarray_fields import check_array, find_dims, number_dimensions

POINT = "point"
"""The dimension along which points are counted."""


def call_on_curves(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `turning_points` or `inflection_points` on curves of xarray or pint."""
    names = ("y", "x", "axis")
    named = dict(zip(names, arguments, strict=False)) | {
        name: options.pop(name) for name in names if name in options
    }
    x: Any = named.get("x")
    y, axis = named["y"], named.get("axis", -1)
    if library_of_labels(y) != "xarray":
        x = strip_labels(x)
        if all(library_of_labels(value) is None for value in (y, x, options.get("prominence"))):
            return operator(y, x, axis, **options)
        return _on_quantities(operator, y, x, axis, options)
    (dim,) = find_dims(check_array(y), (axis,))
    (step,) = find_spacings([y], [dim], [] if x is None else [x])
    has_places = x is not None or dim in y.coords
    if operator.__name__ == "inflection_points" and step.are_dates:
        options["time_unit"] = options.get("time_unit") or "s"
    place = step.beside(y.data) if has_places else None
    points = operator(y.data, place, y.get_axis_num(dim), **options)
    other_dims = [name for name in y.dims if name != dim]
    rows = np.unravel_index(np.asarray(points.curve), [y.sizes[name] for name in other_dims] or [1])
    coords = _coordinates_at(y, dict(zip(other_dims, rows, strict=False)), drop=[dim])
    step_units = step.units_in(options | {"time_unit": options.get("time_unit") or "s"})
    units = {
        "position": None if step.are_dates else step.units,
        "extent": None if step.are_dates else step.units,
        "value": y.attrs.get("units"),
        "prominence": y.attrs.get("units"),
        "slope": per(y.attrs.get("units"), step_units),
    }
    if operator.__name__ == "inflection_points":  # what stands out there is a slope
        units["prominence"] = units["slope"]
    return _relabel_points(points, lambda name, values: _as_points(values, coords, units.get(name)))


def call_on_fields(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `critical_points` on a field of xarray or pint."""
    f, *coords = (options.pop("f"), *arguments) if "f" in options else arguments
    if library_of_labels(f) != "xarray":
        coords = [*map(strip_labels, coords)]
        if all(library_of_labels(coordinate) is None for coordinate in (f, *coords)):
            return operator(f, *coords, **options)
        return _critical_quantities(operator, f, coords, options)
    dims = [*check_array(f).dims]
    steps = find_spacings([f] * len(dims), dims, coords)
    number_dimensions(f, dims, options)
    points = operator(f.data, *[step.beside(f.data) for step in steps], **options)
    along = {}
    for k, (dim, step) in enumerate(zip(dims, steps * len(dims), strict=False)):
        attrs = {} if step.units is None else {"units": step.units}
        along[dim] = (POINT, points.position[:, k], attrs)
    axis_units = {step.units for step in steps}
    unit = axis_units.pop() if len(axis_units) == 1 else None
    field_units = f.attrs.get("units")
    units = {"position": unit, "value": field_units, "eigenvalues": per(field_units, unit, 2)}
    scalars = _coordinates_at(f, {}, drop=dims)

    def label(name: str, values: Any) -> Any:
        axes = {"axis": dims} if name in ("position", "index") else {}
        second_dim = {"position": "axis", "index": "axis", "eigenvalues": "bend"}.get(name)
        return _as_points(values, along | scalars | axes, units.get(name), second_dim)

    return _relabel_points(points, label)


def call_on_noise(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `noise_level` on samples of xarray or pint."""
    names = ("f", "axis")
    named = dict(zip(names, arguments, strict=False)) | options
    f, axis = named["f"], named.get("axis", -1)
    if library_of_labels(f) == "pint":
        return f._REGISTRY.Quantity(operator(f.magnitude, axis), difference(f))
    import xarray

    (dim,) = find_dims(check_array(f), (axis,))
    level = operator(f.data, f.get_axis_num(dim))
    other_dims = [name for name in f.dims if name != dim]
    attrs = {"long_name": f"noise of {f.name or 'f'}"}
    if "units" in f.attrs:
        attrs["units"] = f.attrs["units"]
    coords = coordinates_beside(f, [dim])
    return xarray.DataArray(level, coords, other_dims, name=f"noise_{f.name or 'f'}", attrs=attrs)


def _coordinates_at(f: Any, rows: dict[Any, Any], drop: Sequence[Any]) -> dict[Any, Any]:
    """Return the coordinates of a field at points, where other dimensions have these indices."""
    import xarray

    where = {dim: xarray.DataArray(index, dims=POINT) for dim, index in rows.items()}
    return {
        name: x.isel({dim: where[dim] for dim in x.dims}).drop_vars([*x.coords])
        for name, x in coordinates_beside(f, drop).items()
    }


def _as_points(
    values: Any, coords: dict[Any, Any], units: Any, second_dim: str | None = None
) -> Any:
    import xarray

    dims = (POINT,) if second_dim is None else (POINT, second_dim)
    attrs = {} if units is None or library_of_labels(values) == "pint" else {"units": units}
    return xarray.DataArray(values, coords, dims, attrs=attrs)


def _relabel_points(points: Any, label: Callable[[str, Any], Any]) -> Any:
    """Return points with each of their arrays, but for those that are not there, labelled."""
    arrays = {field.name: getattr(points, field.name) for field in fields(points)}
    return type(points)(
        **{name: None if a is None else label(name, a) for name, a in arrays.items()}
    )


def _on_quantities(operator: Call, y: Any, x: Any, axis: int, options: dict[str, Any]) -> Any:
    """Call an operator on the magnitudes of curves, and give its points their units."""
    prominence = options.get("prominence")
    registry = registry_of([y, x, prominence])
    y = registry.Quantity(y)
    units = {"value": y.units, "prominence": difference(y), "slope": difference(y)}
    places = x
    if library_of_labels(x) == "pint":
        places, step_units = x.magnitude, difference(x) if np.ndim(x.magnitude) else x.units
        units |= {"position": x.units, "extent": step_units, "slope": difference(y) / step_units}
    if operator.__name__ == "inflection_points":  # what stands out there is a slope
        units["prominence"] = units["slope"]
    if library_of_labels(prominence) == "pint":
        prominence = convert(prominence, units["prominence"], "`prominence` and `y`")
        options["prominence"] = float(prominence.magnitude)
    points = operator(y.magnitude, places, axis, **options)
    return _attach_units(points, registry, units)


def _critical_quantities(operator: Call, f: Any, coords: Any, options: dict[str, Any]) -> Any:
    registry = registry_of([f, *coords])
    f = registry.Quantity(f)
    steps = [registry.Quantity(coordinate) for coordinate in coords]
    steps = [convert(step, steps[0].units, "coordinates of all axes") for step in steps]
    points = operator(f.magnitude, *[step.magnitude for step in steps], **options)
    unit = steps[0].units if steps else registry.Unit("")
    units = {"position": unit, "value": f.units, "eigenvalues": difference(f) / unit**2}
    return _attach_units(points, registry, units)


def _attach_units(points: Any, registry: Any, units: dict[str, Any]) -> Any:
    return _relabel_points(
        points, lambda name, a: registry.Quantity(a, units[name]) if name in units else a
    )
