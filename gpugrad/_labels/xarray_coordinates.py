"""The coordinates of xarray as spacings, with their units; and whether two arrays lie alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gpugrad._arrays import library_of_labels, refuse_datasets
from gpugrad._grids import are_dates
from gpugrad._labels.cf_units import unit_of_time
from gpugrad._labels.units import TABLE, UnitLibrary, find_library, has_units, take, take_coordinate


class Spacing(NamedTuple):
    """A spacing, and the text of its units where it is known."""

    value: Any
    units: Any = None

    @property
    def are_dates(self) -> bool:
        """Whether these are dates, or spans of time."""
        return are_dates(self.value)

    @property
    def _library(self) -> UnitLibrary | None:
        return find_library([self.value]) if has_units(self.value) else None

    def beside(self, field: Any) -> Any:
        """Return the spacing for a field: as a quantity if it is one, else without a unit."""
        library = self._library
        if not has_units(field):
            return self.value if library is None else take_coordinate(library, self.value).values
        if library or self.units is None or self.are_dates:
            return self.value
        row = TABLE[str(library_of_labels(field))]
        unit = row.parse(str(self.units), row.take(field).unit)
        return row.make(self.value, unit, None)

    def units_in(self, options: dict[str, Any]) -> Any:
        """Return the units of what stands below a derivative."""
        if self.are_dates:
            return unit_of_time(options["time_unit"])
        library = self._library
        if library is None:
            return self.units
        return library.write(library.subtract(take(library, self.value).unit))


def strip_labels(value: Any) -> Any:
    """Return the data of an array of xarray, or of each in a sequence; other values as they are."""
    if library_of_labels(value) != "xarray":
        return value
    if isinstance(value, (tuple, list)):
        return type(value)(map(strip_labels, value))
    refuse_datasets(value, "what stands beside `f`")
    return value.data


def coordinates_beside(f: Any, dims: Iterable[Any]) -> dict[Any, Any]:
    """Return the coordinates of a field that lie along none of some dimensions."""
    dims = {*dims}
    return {name: x for name, x in f.coords.items() if dims.isdisjoint(x.dims)}


def pick_coordinate(f: Any, place: Any, what: str, named: str = "coordinates") -> Any:
    """Return a coordinate of `f` by its name, or another array, which must lie as `f` does."""
    if isinstance(place, str):
        if place not in f.coords:
            raise ValueError(
                f"{what} must name {named} of `f`: {in_words(f.coords) or 'none'}; got {place!r}."
            )
        return f.coords[place]
    if hasattr(place, "dims"):
        check_aligned(f, place, what)
    return place


def check_aligned(f: Any, array: Any, what: str) -> None:
    """Raise ValueError unless another DataArray lies at the points of `f`, or along its axes."""
    unknown = [dim for dim in array.dims if dim not in f.dims]
    if unknown:
        raise ValueError(
            f"{what} must have no other dimensions than `f`, which has {in_words(f.dims)}; got "
            f"{in_words(array.dims)}. Rename them, or select along {in_words(unknown)}."
        )
    for dim in array.dims:
        ours, theirs = f.indexes.get(dim), array.indexes.get(dim)
        if array.sizes[dim] != f.sizes[dim]:
            how = f"`f` has {f.sizes[dim]} samples along {dim!r}; got {array.sizes[dim]}"
        elif ours is None or theirs is None or ours.equals(theirs):
            continue
        else:
            i = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
            how = f"{dim!r} of `f` has {ours[i]} at position {i}; got {theirs[i]}"
        raise ValueError(
            f"{what} must have the coordinates of `f`: {how}. Interpolate or reindex it to the "
            "points of `f` first; where it lies there already, pass its `.data`."
        )


def find_spacings(
    fields: Sequence[Any], dims: Sequence[Any], spacing: Sequence[Any]
) -> list[Spacing]:
    """Return spacings as given, names replaced by coordinates; by default the axes' coordinates.

    `fields` are the fields whose coordinates count, one for each axis.
    """
    if not spacing:
        return [*map(_find_own_spacing, fields, dims)]
    if len(spacing) != len(dims):
        return [_parse_spacing(fields[0], None, distance) for distance in spacing]
    return [*map(_parse_spacing, fields, dims, spacing)]


def _find_own_spacing(f: Any, dim: Any) -> Spacing:
    """Return the coordinate of a dimension as spacing, if there is one."""
    if dim not in f.coords.variables:
        return Spacing(1.0)
    return _read_numbers(f, dim, dim) or _coordinate_spacing(f, f.coords[dim])


def _read_numbers(f: Any, name: Any, dim: Any) -> Spacing | None:
    """Return numbers along a dimension as spacing: a DataArray of them would take long to make."""
    variable = f.coords.variables.get(name)
    if variable is None or variable.dims != (dim,) or variable.dtype.kind not in "iuf":
        return None
    return Spacing(variable.data, variable.attrs.get("units"))


def _parse_spacing(f: Any, dim: Any, distance: Any) -> Spacing:
    numbers = _read_numbers(f, distance, dim) if isinstance(distance, str) else None
    if numbers is not None:
        return numbers
    distance = pick_coordinate(f, distance, "`spacing`")
    if not hasattr(distance, "dims"):
        return Spacing(distance)
    if distance.ndim == 1 and dim is not None and distance.dims != (dim,):
        raise ValueError(
            f"`spacing` must lie along {dim!r}, the axis to differentiate along; got coordinates "
            f"along {distance.dims[0]!r}. Name the axes with `axis` in the order of the spacings."
        )
    return _coordinate_spacing(f, distance)


def _coordinate_spacing(f: Any, coordinate: Any) -> Spacing:
    """Return a coordinate as spacing: along its own axis, or as an array with the axes of `f`."""
    units = coordinate.attrs.get("units")
    if coordinate.ndim > 1:
        missing = [dim for dim in f.dims if dim not in coordinate.dims]
        return Spacing(coordinate.expand_dims(missing).transpose(*f.dims).data, units)
    if coordinate.dtype.kind not in "iufmM" and not are_dates(coordinate):
        raise TypeError(
            f"coordinate {coordinate.name!r} must hold numbers or dates to be a spacing; got "
            f"{coordinate.dtype}. Pass a spacing, such as 1.0."
        )
    return Spacing(coordinate.data if coordinate.ndim == 1 else coordinate.values, units)


def in_words(names: Iterable[Any]) -> str:
    """Return names as a list for people."""
    return ", ".join(map(str, names))
