"""A field of any library with its slopes, read for a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpugrad._arrays import as_field, library_of_labels, refuse_datasets
from gpugrad._labels import geographic_kind, has_units
from gpugrad._labels.pandas_fields import read_index, refuse_frame
from gpugrad._labels.units import find_library, take
from gpugrad._labels.xarray_coordinates import find_spacings
from gpugrad._operators.gradient import gradient
from gpugrad._plots.axes import PlotAxis, choose_time_unit, read_axis
from gpugrad._plots.field import PlotField, thin_axes
from gpugrad._plots.home import (
    bring_home,
    check_drawable,
    describe_values,
    find_periods,
    mask_values,
    name_dims,
    strip,
)
from gpugrad._plots.read_grid import read_on_grid, read_on_map

USUAL = {
    "edge_order": None, "accuracy": 2, "boundary": "one-sided", "edge_accuracy": None,
    "period": None, "time_unit": None, "where": None, "skipna": False, "backend": None,
}  # fmt: skip
"""The options of a gradient, and their defaults."""

OF_GRIDS = ("where", "skipna", "backend")
"""Those that go with a grid, too."""


def read_field(f: Any, spacing: Sequence[Any], options: Mapping[str, Any]) -> PlotField:
    """Return a field with its slopes as plain numbers.

    Raises
    ------
    TypeError, ValueError
        If it can't be drawn, or not be differentiated so.
    """
    if library_of_labels(f) == "pandas":
        refuse_frame(f, "plot")
    refuse_datasets(f, "`f`")
    f = _as_array(f)
    check_drawable(f)
    given = {name: x for name, x in options.items() if not _is_usual(name, x)}
    if len(spacing) == 1 and hasattr(spacing[0], "gradient_norm"):
        _refuse_options(given, type(spacing[0]).__name__)
        return read_on_grid(f, spacing[0], given)
    if not spacing and _has_map(f):
        _refuse_options(given, "map of latitude and longitude", ("accuracy", "edge_accuracy"))
        return read_on_map(f, given)
    return _read_on_axes(f, spacing, given)


def _is_usual(name: str, x: Any) -> bool:
    usual = USUAL[name]
    return x is usual or (type(x) is type(usual) and bool(x == usual))


def _as_array(f: Any) -> Any:
    """Return a sequence as an array; a sequence of quantities as a quantity."""
    if hasattr(f, "shape"):
        return f
    if not has_units(f):
        return as_field(f)
    library = find_library([f])
    amount = take(library, f)
    return library.make(amount.values, amount.unit, None)


def _has_map(f: Any) -> bool:
    """Tell whether the dimensions of a DataArray are latitude and longitude."""
    if library_of_labels(f) != "xarray" or len(f.dims) != 2:
        return False
    kinds = {geographic_kind(d, f.coords[d].attrs) if d in f.coords else None for d in f.dims}
    return kinds in ({"latitude", "longitude"}, {"grid_latitude", "grid_longitude"})


def _refuse_options(given: Mapping[str, Any], where: str, more: tuple[str, ...] = ()) -> None:
    """Raise TypeError where an option of straight axes is given for a grid."""
    for name in given:
        if name not in (*OF_GRIDS, *more):
            raise TypeError(
                f"`{name}` does not go with a {where}. Give it to the grid, if the grid takes it; "
                "or pass spacings, for slopes along straight axes."
            )


def _read_on_axes(f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> PlotField:
    described = _describe_axes(f, spacing)
    if "time_unit" not in options:
        chosen = (choose_time_unit(axis.x) for axis in described)
        unit = next((unit for unit in chosen if unit), None)
        options = options if unit is None else options | {"time_unit": unit}
    slopes = [strip(slope) for slope in _find_slopes(f, spacing, options)]
    values, *numbers = bring_home([strip(f).values, *[slope.values for slope in slopes]])
    time_unit = options.get("time_unit") or "D"
    axes = tuple(
        read_axis(axis.x, n, axis.name, axis.title, axis.units, time_unit)
        for axis, n in zip(described, values.shape, strict=True)
    )
    for axis in axes:
        _check_straight(axis)
    return PlotField(
        mask_values(f, values, options.get("where")), axes, tuple(numbers),
        tuple(slope.units for slope in slopes), *describe_values(f), dims=name_dims(f),
        periods=find_periods(f, options.get("boundary"), options.get("period")),
    )  # fmt: skip


class _Described(NamedTuple):
    """What the user has said of an axis: the coordinates, or the distance between samples."""

    x: Any
    name: str
    title: str = ""
    units: str | None = None


def _describe_axes(f: Any, spacing: Sequence[Any]) -> list[_Described]:
    library, n = library_of_labels(f), len(f.shape)
    if library == "pandas":
        index = read_index(f.index) if not spacing else spacing[0]
        return [_Described(index, str(f.index.name or "x"))]
    if library == "xarray":
        return _describe_dimensions(f, spacing)
    names = ["x"] if n == 1 else [f"axis {k}" for k in range(n)]
    steps = [*spacing] * n if len(spacing) == 1 else [*spacing] or [None] * n
    return [*map(_describe_coordinate, steps, names)]


def _describe_dimensions(f: Any, spacing: Sequence[Any]) -> list[_Described]:
    steps = find_spacings([f] * f.ndim, f.dims, spacing)
    described = []
    for dim, step in zip(f.dims, steps * f.ndim if len(steps) == 1 else steps, strict=False):
        attributes = f.coords[dim].attrs if dim in f.coords else {}
        are_counted = not spacing and dim not in f.coords
        title = str(attributes.get("long_name") or dim)
        described.append(
            _Described(None if are_counted else step.value, str(dim), title, step.units)
        )
    return described


def _describe_coordinate(x: Any, name: str) -> _Described:
    """Return what a coordinate of its own says of an axis; a plain one is called `name`."""
    if library_of_labels(x) not in ("xarray", "pandas") or isinstance(x, (tuple, list)):
        return _Described(x, name)
    attributes = getattr(x, "attrs", {})
    name = str(getattr(x, "name", None) or name)
    return _Described(x, name, str(attributes.get("long_name") or name), attributes.get("units"))


def _find_slopes(f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    """Return the derivative along each axis, at those samples that are drawn.

    Along one axis it needs no other samples than those of the rows that are drawn, so that the
    others of a large field are left alone; unless an option says something of all of them.
    """
    thin = thin_axes(f.shape)
    is_plain = not any(name == "where" or isinstance(x, dict) for name, x in options.items())
    if thin[0].step in (None, 1) and thin[-1].step in (None, 1):
        return _differentiate(f, spacing, options)
    if not is_plain:
        return [slope[thin] for slope in _differentiate(f, spacing, options)]
    slopes = []
    for k in range(2):
        rows = [slice(None), slice(None)]
        rows[1 - k] = thin[1 - k]
        step = spacing if len(spacing) < 2 else spacing[k : k + 1]
        slope = _differentiate(f[tuple(rows)], step, options | {"axis": k})[0]
        drawn = [slice(None), slice(None)]
        drawn[k] = thin[k]
        slopes.append(slope[tuple(drawn)])
    return slopes


def _differentiate(f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    slopes: Any = gradient(f, *spacing, **options)
    return [*slopes] if isinstance(slopes, tuple) else [slopes]


def _check_straight(axis: PlotAxis) -> None:
    """Raise ValueError where coordinates differ from line to line."""
    if axis.values.ndim != 1:
        raise ValueError(
            f"coordinates must be 1-D to be drawn; those of {axis.name} have shape "
            f"{axis.values.shape}. Of a curved grid, pass `gpugrad.CurvilinearGrid(x, y)` in the "
            "place of the spacing."
        )
