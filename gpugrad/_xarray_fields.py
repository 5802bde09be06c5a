"""Fields of xarray: axes by name, coordinates as spacings; labels for the results."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpugrad._labels import library_of_labels
from gpugrad._naming import Label, Labels

NEW_DIMS = ("component", "along")
"""What the axes are called that `stack` adds."""

_NOT_OF_DERIVATIVES = (
    "standard_name", "long_name", "units", "valid_min", "valid_max", "valid_range",
    "actual_range", "cell_methods", "ancillary_variables",
)  # fmt: skip
"""Attributes that say of a field what is not so of its derivatives."""


def call(
    operator: Callable[..., Any], f: Any, spacing: Sequence[Any], options: dict[str, Any]
) -> Any:
    """Call an operator on what DataArrays hold, and give its results their labels.

    Raises
    ------
    TypeError
        If `f` is a Dataset, or `out` is given.
    ValueError
        If an axis or a coordinate is unknown, or components have other dimensions or coordinates.
    """
    several = isinstance(f, (tuple, list))
    fields = _align(f) if several else [_check_array(f)]
    first = fields[0]
    if options.get("out") is not None:
        raise TypeError("`out` does not go with a DataArray: pass its `.data` in its place.")
    named = options.pop("axis", None)
    if named is None and operator.__name__ == "derivative":
        named = first.dims[-1]
    grid = options.get("curvilinear")
    if grid is not None:
        grid = [_grid_coordinate(first, one) for one in grid]
        named = tuple(grid[0].dims) if named is None else named
    dims = _find_dims(first, named)
    if grid is None:
        steps = _find_spacings(first, dims, spacing)
    else:
        steps = [*spacing]  # which the operator refuses, beside a grid
        options["curvilinear"] = tuple(_along_axes(one, dims) for one in grid)
    if options.get("time_unit") is None and any(_are_dates(step) for step in steps):
        options["time_unit"] = "s"
    is_one = isinstance(named, (str, int)) or operator.__name__ == "derivative"
    axes = [first.get_axis_num(dim) for dim in dims]
    values = [one.data for one in fields]
    _place_mask(first, options)
    if library_of_labels(values[0]) == "pint":
        steps = _attach_units(first, dims, steps, spacing, values[0])
    results = operator(
        values if several else values[0], *steps, axis=axes[0] if is_one else tuple(axes), **options
    )
    if grid is None:
        below = [str(dim) for dim in dims]
        units = [_units_along(first, dim, spacing, options) for dim in dims]
    else:
        below = [str(one.name or f"x{i}") for i, one in enumerate(grid)]
        units = [one.attrs.get("units") for one in grid]
    labels = Labels(
        [str(one.name or "") for one in fields],
        [one.attrs.get("units") for one in fields],
        below,
        units,
        operators.index(options.get("order", 1)),
    ).of(operator.__name__)
    return _label(first, results, labels, below)


def _check_array(f: Any) -> Any:
    if type(f).__name__ == "Dataset":
        raise TypeError(
            f"`f` must be one variable of a Dataset; got all of them: {', '.join(map(str, f))}. "
            'Pick one, as in `ds["T"]`.'
        )
    if not f.dims:
        raise ValueError("`f` must have at least one dimension; got a DataArray of one number.")
    return getattr(f, "variable", f) if not hasattr(f, "coords") else f


def _align(v: Sequence[Any]) -> list[Any]:
    """Return components with the dimensions of the first in its order, if coordinates agree."""
    import xarray

    for one in v:
        if not isinstance(one, xarray.DataArray):
            raise TypeError(
                f"components of `v` must be all of one library; got a {type(v[0]).__name__} and a "
                f"{type(one).__name__}."
            )
        if set(one.dims) != set(v[0].dims):
            raise ValueError(
                f"components of `v` must have the same dimensions; got {v[0].dims} and {one.dims}. "
                "Interpolate them to the same points first."
            )
    fields = [one.transpose(*v[0].dims) for one in v]
    try:
        return [*xarray.align(*fields, join="exact", copy=False)]
    except ValueError as error:
        raise ValueError(
            "components of `v` must have the same coordinates. Interpolate them to the same points "
            f"first. ({' '.join(str(error).split())})"
        ) from error


def _find_dims(f: Any, named: Any) -> list[Any]:
    if named is None:
        return [*f.dims]
    named = [named] if isinstance(named, (str, int)) else [*named]
    dims = []
    for one in named:
        if isinstance(one, str) or not isinstance(one, (int, np.integer)):
            if one not in f.dims:
                known = ", ".join(map(str, f.dims))
                raise ValueError(f"`axis` must name dimensions of `f`: {known}; got {one!r}.")
            dims.append(one)
        else:
            if not -f.ndim <= one < f.ndim:
                raise np.exceptions.AxisError(int(one), f.ndim)
            dims.append(f.dims[one])
    return dims


def _find_spacings(f: Any, dims: Sequence[Any], spacing: Sequence[Any]) -> list[Any]:
    """Return spacings as given, names replaced by coordinates; by default those of the axes."""
    if not spacing:
        return [_values_of(f, dim) if dim in f.coords else 1.0 for dim in dims]
    return [_given(f, one) for one in spacing]


def _grid_coordinate(f: Any, one: Any) -> Any:
    """Return a coordinate of a curved grid, given by name or as a DataArray."""
    if isinstance(one, str):
        if one not in f.coords:
            known = ", ".join(map(str, f.coords)) or "none"
            raise ValueError(f"`curvilinear` must name coordinates of `f`: {known}; got {one!r}.")
        return f.coords[one]
    if not hasattr(one, "dims"):
        raise TypeError(
            "`curvilinear` must hold names of coordinates or DataArrays for a DataArray; got "
            f"{type(one).__name__}. Pass `f.data` to use plain arrays."
        )
    return one


def _along_axes(coordinate: Any, dims: Sequence[Any]) -> Any:
    """Return a coordinate's values with the axes that are space, in their order."""
    if set(coordinate.dims) != set(dims):
        raise ValueError(
            f"coordinate {coordinate.name!r} of a curved grid must have the dimensions to "
            f"differentiate along, {tuple(dims)}; got {coordinate.dims}. Name them with `axis`."
        )
    return coordinate.transpose(*dims).data


def _given(f: Any, one: Any) -> Any:
    if isinstance(one, str):
        if one not in f.coords:
            known = ", ".join(map(str, f.coords)) or "none"
            raise ValueError(f"`spacing` must name coordinates of `f`: {known}; got {one!r}.")
        return _values_of(f, one)
    return one.data if hasattr(one, "dims") else one


def _values_of(f: Any, name: Any) -> Any:
    """Return a coordinate's values: along its own axis, or as an array with the axes of `f`."""
    coordinate = f.coords[name]
    if coordinate.ndim > 1:
        missing = [dim for dim in f.dims if dim not in coordinate.dims]
        return coordinate.expand_dims(missing).transpose(*f.dims).data
    if coordinate.dtype == object and hasattr(coordinate.values.flat[0], "calendar"):
        start = coordinate.values[0]  # dates of another calendar than NumPy's
        seconds = [(date - start).total_seconds() for date in coordinate.values]
        return (np.array(seconds) * 1e9).astype("timedelta64[ns]")
    if coordinate.dtype.kind not in "iufmM":
        raise TypeError(
            f"coordinate {name!r} must hold numbers or dates to be a spacing; got "
            f"{coordinate.dtype}. Pass a spacing, such as 1.0."
        )
    return coordinate.data if coordinate.ndim == 1 else coordinate.values


def _are_dates(step: Any) -> bool:
    return getattr(getattr(step, "dtype", None), "kind", "") in "mM" and hasattr(step, "dtype")


def _units_along(f: Any, dim: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return the units of what stands below a derivative along a dimension."""
    if spacing:
        named = [one for one in spacing if isinstance(one, str)]
        if len(named) != len(spacing) or len(named) != 1:
            return None
        return f.coords[named[0]].attrs.get("units")
    if dim not in f.coords:
        return None
    coordinate = f.coords[dim]
    if coordinate.dtype.kind in "mMO":
        return options.get("time_unit")
    return coordinate.attrs.get("units")


def _attach_units(
    f: Any, dims: Sequence[Any], steps: list[Any], spacing: Sequence[Any], quantity: Any
) -> list[Any]:
    """Give coordinates the units in their attributes, for a field that has pint's."""
    if spacing:
        return steps
    make = quantity._REGISTRY.Quantity
    units = [f.coords[dim].attrs.get("units") if dim in f.coords else None for dim in dims]
    return [step if u is None else make(step, u) for step, u in zip(steps, units, strict=True)]


def _place_mask(f: Any, options: dict[str, Any]) -> None:
    where = options.get("where")
    if where is not None and hasattr(where, "dims"):
        options["where"] = where.broadcast_like(f).transpose(*f.dims).data


def _label(f: Any, results: Any, labels: list[Label], dims: list[str]) -> Any:
    """Return the results as DataArrays, in tuples as they came."""
    waiting = iter(labels)

    def walk(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(walk(one) for one in result)
        new = NEW_DIMS[: result.ndim - f.ndim]
        if new:
            return _stacked(f, result, labels, new, dims)
        name, attributes = next(waiting)
        kept = {key: value for key, value in f.attrs.items() if key not in _NOT_OF_DERIVATIVES}
        made = f.copy(data=result, deep=False)
        if library_of_labels(result) == "pint":
            attributes.pop("units", None)
        made.name, made.attrs = name, kept | attributes
        return made

    return walk(results)


def _stacked(
    f: Any, result: Any, labels: list[Label], new: tuple[str, ...], dims: list[str]
) -> Any:
    import xarray

    kept = {key: value for key, value in f.attrs.items() if key not in _NOT_OF_DERIVATIVES}
    units = {label.attributes.get("units") for label in labels}
    if len(units) == 1 and None not in units:
        kept["units"] = units.pop()
    coordinates = {**f.coords}
    if result.shape[len(new) - 1] == len(dims):
        coordinates[new[-1]] = dims
    return xarray.DataArray(result, dims=(*new, *f.dims), coords=coordinates, attrs=kept)
