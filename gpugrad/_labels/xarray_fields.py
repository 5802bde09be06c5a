"""Fields of xarray: axes by name, coordinates as spacings; labels for the results."""

from __future__ import annotations

import operator as operators
from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import library_of_labels, refuse_datasets
from gpugrad._grids import is_side, parse_axes
from gpugrad._keywords import choose_by_axis, refuse_loose_components
from gpugrad._labels.cf_axes import warn_of_sums
from gpugrad._labels.names import Label, Labels, find_row, kept_attributes
from gpugrad._labels.staggered import StaggeredResults, adds_components
from gpugrad._labels.typing import Call
from gpugrad._labels.xarray_coordinates import check_aligned, find_spacings, in_words
from gpugrad._stencils import OPERATORS

NEW_DIMS = ("component", "along")
"""What the axes are called that `stack` adds."""

_BY_DIMENSION = ("boundary", "period", "stagger")
"""Options that may be given by dimension."""


def call(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator on what DataArrays hold, and give its results their labels.

    Raises
    ------
    TypeError
        If `f` is a Dataset, or `out` is given.
    ValueError
        If an axis or a coordinate is unknown, or components have other dimensions or coordinates.
    """
    if OPERATORS.get(operator.__name__) and OPERATORS[operator.__name__].takes != "field":
        refuse_loose_components(f, spacing)
    is_staggered = _is_staggered(options)
    apart = is_staggered and adds_components(operator.__name__)
    fields, is_vector = take_fields(operator.__name__, f, options, apart)
    first = fields[0]
    axis = options.pop("axis", None)
    is_along_one = find_row(operator.__name__).axes == (1, 1)
    if axis is None and is_along_one:
        axis = first.dims[-1]
    dims = find_dims(first, axis)
    is_single = isinstance(axis, (str, int)) or is_along_one or _names_one(first, axis)
    if not spacing:
        warn_of_sums(operator.__name__, fields, dims)
    number_dimensions(first, dims, options)
    faces = StaggeredResults(operator.__name__, fields, dims, options) if is_staggered else None
    steps = find_spacings(faces.owners if faces else [first] * len(dims), dims, spacing)
    axis_names = [str(dim) for dim in dims]
    if options.get("time_unit") is None and any(step.are_dates for step in steps):
        options["time_unit"] = "s"
    values = [field.data for field in fields]
    place_mask(first, options)
    axes = [first.dims.index(dim) for dim in dims]
    results = operator(
        values if is_vector else values[0],
        *[step.beside(values[0]) for step in steps],
        axis=axes[0] if is_single else tuple(axes),
        **options,
    )
    units = [step.units_in(options) for step in steps]
    units = units * len(dims) if len(units) == 1 else units
    order = operators.index(options.get("order", 1))
    labels = describe_fields(fields, axis_names, units, order).of(operator.__name__)
    return label_results(first, results, labels, axis_names, faces)


def _is_staggered(options: dict[str, Any]) -> bool:
    stagger = options.get("stagger")
    return any(stagger.values()) if isinstance(stagger, dict) else stagger is not None


def take_fields(
    operator: str, f: Any, options: dict[str, Any], apart: bool = False
) -> tuple[list[Any], bool]:
    """Return the components of a vector field, or a list of one field; tell which it is.

    `apart` says that components may lie at different places, as on a staggered grid.
    """
    f = _split_components(operator, f)
    is_vector = isinstance(f, (tuple, list))
    fields = _align_components(f, apart) if is_vector else [check_array(f)]
    if options.get("out") is not None:  # the coordinates of what is there would be unknown
        raise TypeError("`out` does not go with a DataArray: pass its `.data` in its place.")
    return fields, is_vector


def describe_fields(
    fields: Sequence[Any], dims: Sequence[str], dim_units: Sequence[Any], order: int = 1
) -> Labels:
    """Return what makes labels for the derivatives of DataArrays."""
    names = [str(field.name or "") for field in fields]
    return Labels(names, [field.attrs.get("units") for field in fields], dims, dim_units, order)


def _split_components(operator: str, f: Any) -> Any:
    """Return a vector field that is one array as a list of components, those of its first axis."""
    row = OPERATORS.get(operator)
    if row is None or row.takes == "field" or not hasattr(f, "coords"):
        return f
    if hasattr(f, "data_vars"):
        check_array(f)
    if f.ndim < 2:
        raise ValueError(
            "`v` must have its components along its first dimension, and others beside it; got "
            f"dimensions {in_words(f.dims) or 'none'}."
        )
    dim = f.dims[0]
    names = f.coords[dim].values if dim in f.coords else range(f.sizes[dim])
    return [f[i].drop_vars(dim, errors="ignore").rename(str(name)) for i, name in enumerate(names)]


def check_array(f: Any) -> Any:
    """Return a DataArray with dimensions; refuse the other types of xarray."""
    refuse_datasets(f, "`f`")
    if not hasattr(f, "coords"):
        raise TypeError(
            f"`f` must be a DataArray to be differentiated by names; got a {type(f).__name__}, "
            "which has no coordinates. Pass `xarray.DataArray(f)`, or its `.data`."
        )
    if not f.dims:
        raise ValueError("`f` must have at least one dimension; got a DataArray of one number.")
    return f


def _align_components(v: Sequence[Any], apart: bool) -> list[Any]:
    """Return components with the dimensions of the first in its order, if coordinates agree."""
    import xarray

    for component in v:
        if library_of_labels(component) == "xarray":
            check_array(component)
        if not isinstance(component, xarray.DataArray):
            raise TypeError(
                f"components of `v` must be all of one library; got a {type(v[0]).__name__} and a "
                f"{type(component).__name__}. Make all of them DataArrays, or pass their `.data`."
            )
        if set(component.dims) != set(v[0].dims):
            raise ValueError(
                f"components of `v` must have the same dimensions; got {v[0].dims} and "
                f"{component.dims}. Interpolate them to the same points first."
            )
    fields = [component.transpose(*v[0].dims) for component in v]
    if apart:
        return fields
    try:
        return [*xarray.align(*fields, join="exact", copy=False)]
    except ValueError as error:
        raise ValueError(
            "components of `v` must have the same coordinates. Interpolate them to the same points "
            f"first. ({' '.join(str(error).split())})"
        ) from error


def find_dims(f: Any, axis: Any) -> list[Any]:
    """Return the dimensions that `axis` names or numbers, by default all."""
    if axis is None:
        return [*f.dims]
    dims = []
    are_several = isinstance(axis, (tuple, list)) and not _names_one(f, axis)
    for dim in axis if are_several else [axis]:
        if not isinstance(dim, str) and dim not in f.dims:
            dim = f.dims[parse_axes(dim, f.ndim)[0]]
        if dim not in f.dims:
            raise ValueError(
                f"`axis` must name dimensions of `f`: {in_words(f.dims)}; got {dim!r}."
            )
        dims.append(dim)
    return dims


def _names_one(f: Any, axis: Any) -> bool:
    """Tell whether a tuple is the name of one dimension, which may be any value with a hash."""
    return isinstance(axis, tuple) and axis in f.dims


def number_dimensions(f: Any, dims: Sequence[Any], options: dict[str, Any]) -> None:
    """Give options by dimension, as ``{"lon": "periodic"}``, by the number of the axis instead."""
    for name in _BY_DIMENSION:
        chosen = options.get(name)
        if isinstance(chosen, dict) and (not is_side(chosen) or any(d in f.dims for d in chosen)):
            by_dim = choose_by_axis(chosen, dims, name, f.dims)
            options[name] = {f.dims.index(dim): entry for dim, entry in by_dim.items()}


def place_mask(f: Any, options: dict[str, Any]) -> None:
    """Give a mask of xarray the dimensions of a field, in its order."""
    where = options.get("where")
    if where is not None and hasattr(where, "dims"):
        check_aligned(f, where, "`where`")
        options["where"] = where.broadcast_like(f).transpose(*f.dims).data


def label_results(
    f: Any,
    results: Any,
    labels: list[Label],
    dims: list[str],
    faces: StaggeredResults | None = None,
) -> Any:
    """Return the results as DataArrays, in tuples as they came."""
    import xarray

    numbered_labels = iter(enumerate(labels))
    true_attributes = kept_attributes(f.attrs)

    def label(result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(map(label, result))
        new_dims = NEW_DIMS[: result.ndim - f.ndim]
        if new_dims:
            return label_stacked(result, new_dims)
        number, (name, attributes) = next(numbered_labels)
        if library_of_labels(result) == "pint":
            attributes.pop("units", None)
        attributes = true_attributes | attributes
        if faces is not None:
            coords = faces.coordinates(number)
            return xarray.DataArray(result, coords, f.dims, name=name, attrs=attributes)
        labelled = f.copy(deep=False, data=result)  # a fifth of the time of a new one
        labelled.name, labelled.attrs, labelled.encoding = name, attributes, {}
        return labelled

    def label_stacked(result: Any, new_dims: tuple[str, ...]) -> Any:
        units = {label.attributes.get("units") for label in labels}
        is_known = len(units) == 1 and None not in units and library_of_labels(result) != "pint"
        attributes = true_attributes | ({"units": units.pop()} if is_known else {})
        coords = {**(f.coords if faces is None else faces.common_coordinates())}
        if result.shape[len(new_dims) - 1] == len(dims):
            coords[new_dims[-1]] = dims
        return xarray.DataArray(result, coords, (*new_dims, *f.dims), attrs=attributes)

    return label(results)
