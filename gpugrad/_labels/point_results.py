"""Points of curves and fields with labels or units: where each lies, in the words of the field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from numbers import Integral
from typing import Any

import numpy as np

from gpugrad._arrays import library_of_labels
from gpugrad._labels.cf_units import per
from gpugrad._labels.quantity_fields import Fields, as_step, take_fields
from gpugrad._labels.typing import Call
from gpugrad._labels.units import Amount, convert, find_library, has_units, take
from gpugrad._labels.xarray_coordinates import coordinates_beside, find_spacings, strip_labels
from gpugrad._labels.xarray_fields import check_array, find_dims, number_dimensions

POINT = "point"
"""The dimension along which points are counted."""


def call_on_curves(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `turning_points` or `inflection_points` on curves with labels or units."""
    y, *spacing = _take_arguments(arguments, options)
    if library_of_labels(y) != "xarray":
        spacing = [*map(strip_labels, spacing)]
        if not any(map(has_units, (y, *spacing, *options.values()))):
            return _call_plain(operator, y, spacing, options)
        return _on_quantities(operator, y, spacing, options)
    (dim,) = find_dims(check_array(y), (options.pop("axis", -1),))
    steps = find_spacings([y], [dim], spacing)
    step = steps[0]
    has_places = bool(spacing) or dim in y.coords
    if operator.__name__ == "inflection_points" and step.are_dates:
        options["time_unit"] = options.get("time_unit") or "s"
    places = [step.beside(y.data) for step in steps] if has_places else []
    points = operator(y.data, *places, axis=y.get_axis_num(dim), **options)
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

    def label(name: str, values: Any) -> Any:
        # A position along a dimension has its name.
        title = str(dim) if name == "position" else None
        return _as_points(values, coords, units.get(name), title=title)

    return _relabel_points(points, label)


def call_on_fields(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `critical_points` on a field with labels or units."""
    f, *spacing = _take_arguments(arguments, options)
    if library_of_labels(f) != "xarray":
        spacing = [*map(strip_labels, spacing)]
        if not any(map(has_units, (f, *spacing, *options.values()))):
            return _call_plain(operator, f, spacing, options)
        return _critical_quantities(operator, f, spacing, options)
    dims = [*check_array(f).dims]
    steps = find_spacings([f] * len(dims), dims, spacing)
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


def _call_plain(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator that has nothing left to take off."""
    return operator.__wrapped__(f, *spacing, **options)  # type: ignore[attr-defined]


def call_on_noise(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `noise_level` on samples with labels or units."""
    f, *others = _take_arguments(arguments, options)
    if library_of_labels(f) != "xarray":
        if not has_units(f):
            return _call_plain(operator, f, others, options)
        fields = take_fields(f, [], False)
        level = operator(fields.values, *others, **options)
        return fields.make(level, fields.difference)
    axis = options.pop("axis", -1)
    import xarray

    (dim,) = find_dims(check_array(f), (axis,))
    level = operator(f.data, *others, axis=f.get_axis_num(dim), **options)
    if has_units(level):  # xarray holds a number with a unit as an array without axes
        library = find_library([level])
        values, unit = take(library, level)
        level = library.make(np.asarray(values), unit, None)
    other_dims = [name for name in f.dims if name != dim]
    attrs = {"long_name": f"noise of {f.name or 'f'}"}
    if "units" in f.attrs:
        attrs["units"] = f.attrs["units"]
    coords = coordinates_beside(f, [dim])
    return xarray.DataArray(level, coords, other_dims, name=f"noise_{f.name or 'f'}", attrs=attrs)


def call_on_spacing(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call `recommended_spacing` on samples of xarray or pint."""
    f, *spacing = _take_arguments(arguments, options) or [None]
    if f is None:
        raise TypeError(
            "`noise` and `magnitude` must be without units where there are no samples `f`; got "
            "quantities. Pass their magnitudes, in units that go together."
        )
    if library_of_labels(f) == "xarray":
        f = check_array(f)
        if f.ndim == 1 and (spacing or f.dims[0] in f.coords):
            spacing = [step.beside(f.data) for step in find_spacings([f], f.dims, spacing)]
        f = f.data
    spacing = [*map(strip_labels, spacing)]
    if not any(map(has_units, (f, *spacing, *options.values()))):
        return _call_plain(operator, f, spacing, options)
    fields = take_fields(f, [*spacing, *options.values()], False)
    steps = [as_step(distance, fields, options) for distance in spacing]
    by = steps[0].by if steps else fields.library.without(fields.unit)
    powers = (options.get("order", 1), options.get("accuracy", 2))
    order, accuracy = (n if isinstance(n, Integral) else 1 for n in powers)
    units = {"noise": fields.difference, "magnitude": fields.difference / by ** (order + accuracy)}
    for name, unit in units.items():
        if options.get(name) is not None:
            options[name] = _strip(options[name], unit, fields, name)
    best = operator(fields.values, *[step.values for step in steps], **options)
    units |= {"spacing": by, "error": fields.difference / by**order}
    return best._replace(
        **{name: fields.make(getattr(best, name), unit) for name, unit in units.items()}
    )


def _strip(value: Any, unit: Any, fields: Fields, name: str) -> Any:
    """Return an option as a number in a unit, plain numbers as they are."""
    amount = take(fields.library, value)
    if amount is None:
        return value
    amount = Amount(amount.values, fields.library.subtract(amount.unit))
    return convert(fields.library, amount, unit, f"`{name}` and `f`")


def _take_arguments(arguments: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
    """Return the field, taken from the options if it is there, and the spacings."""
    return [options.pop("f"), *arguments] if "f" in options else [*arguments]


def _coordinates_at(f: Any, rows: dict[Any, Any], drop: Sequence[Any]) -> dict[Any, Any]:
    """Return the coordinates of a field at points, where other dimensions have these indices."""
    import xarray

    where = {dim: xarray.DataArray(index, dims=POINT) for dim, index in rows.items()}
    return {
        name: x.isel({dim: where[dim] for dim in x.dims}).drop_vars([*x.coords])
        for name, x in coordinates_beside(f, drop).items()
    }


def _as_points(
    values: Any,
    coords: dict[Any, Any],
    units: Any,
    second_dim: str | None = None,
    title: str | None = None,
) -> Any:
    import xarray

    dims = (POINT,) if second_dim is None else (POINT, second_dim)
    attrs = {} if units is None or has_units(values) else {"units": units}
    return xarray.DataArray(values, coords, dims, name=title, attrs=attrs)


def _relabel_points(points: Any, label: Callable[[str, Any], Any]) -> Any:
    """Return points with each of their arrays, but for those that are not there, labelled."""
    arrays = {field.name: getattr(points, field.name) for field in fields(points)}
    return type(points)(
        **{name: None if a is None else label(name, a) for name, a in arrays.items()}
    )


def _on_quantities(operator: Call, y: Any, spacing: list[Any], options: dict[str, Any]) -> Any:
    """Call an operator on the magnitudes of curves, and give its points their units."""
    fields = take_fields(y, [*spacing, *options.values()], False)
    difference = fields.difference
    units = {"value": fields.unit, "prominence": difference, "slope": difference}
    steps = [as_step(distance, fields, options) for distance in spacing]
    if spacing and (has_units(spacing[0]) or steps[0].unit is None):
        units["slope"] = difference / steps[0].by
    if spacing and has_units(spacing[0]):
        units |= {"position": steps[0].unit, "extent": steps[0].by}
    if operator.__name__ == "inflection_points":  # what stands out there is a slope
        units["prominence"] = units["slope"]
    if has_units(options.get("prominence")):
        options["prominence"] = _strip(
            options["prominence"], units["prominence"], fields, "prominence"
        )
    points = operator(fields.values, *[step.values for step in steps], **options)
    return _attach_units(points, fields, units)


def _critical_quantities(operator: Call, f: Any, spacing: Any, options: dict[str, Any]) -> Any:
    fields = take_fields(f, [*spacing, *options.values()], False)
    library = fields.library
    steps = [as_step(distance, fields, options) for distance in spacing]
    unit = by = library.without(fields.unit)
    if steps and steps[0].unit is not None:
        unit, by = steps[0].unit, steps[0].by
        what = "coordinates of all axes"
        steps = [
            step._replace(values=convert(library, Amount(step.values, step.unit), unit, what))
            for step in steps
        ]
    period = options.get("period")
    if isinstance(period, dict):
        options["period"] = {k: _strip(x, by, fields, "period") for k, x in period.items()}
    elif period is not None:
        options["period"] = _strip(period, by, fields, "period")
    points = operator(fields.values, *[step.values for step in steps], **options)
    units = {"position": unit, "value": fields.unit, "eigenvalues": fields.difference / by**2}
    return _attach_units(points, fields, units)


def _attach_units(points: Any, fields: Fields, units: dict[str, Any]) -> Any:
    """Give points their units: values are of the class of the field."""

    def attach(name: str, entries: Any) -> Any:
        if name not in units:
            return entries
        like = fields.like if name == "value" else None
        return fields.library.make(entries, units[name], like)

    return _relabel_points(points, attach)
