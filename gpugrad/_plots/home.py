"""Values on their way home: from arrays of any library, with labels or units, to plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, asnumpy, dtype_name, library_of_labels
from gpugrad._labels import has_units
from gpugrad._labels.pandas_fields import strip_pandas
from gpugrad._labels.units import find_library, take
from gpugrad._labels.xarray_fields import place_mask


class Stripped(NamedTuple):
    """An array without labels and units, and its units as text."""

    values: Any
    units: str | None


def strip(x: Any) -> Stripped:
    """Take labels and units off an array, which stays where it is."""
    library = library_of_labels(x)
    if library == "xarray":
        values, units = strip(x.data)
        return Stripped(values, units or x.attrs.get("units"))
    if library == "pandas":
        return Stripped(strip_pandas(x), None)
    if has_units(x):
        row = find_library([x])
        amount = take(row, x)
        return Stripped(amount.values, row.write(amount.unit))
    return Stripped(x, None)


def bring_home(arrays: Sequence[Any]) -> list[NumpyArray]:
    """Return arrays as NumPy's; lazy ones of Dask are computed together, so that all is read once.

    Raises
    ------
    TypeError
        If an array has no values, as in a trace of JAX.
    """
    arrays = [*arrays]
    lazy = [i for i, x in enumerate(arrays) if hasattr(x, "dask")]
    if lazy:
        import dask

        for i, values in zip(lazy, dask.compute(*[arrays[i] for i in lazy]), strict=True):
            arrays[i] = values
    return [as_real(asnumpy(x)) for x in arrays]


def as_real(values: NumpyArray) -> NumpyArray:
    """Return numbers with those that are objects, such as fractions, as floats."""
    return values.astype(np.float64) if values.dtype.kind == "O" else values


_CURES = {
    "bool": "Plot `f.astype(float)`, if false and true are 0 and 1.",
    "complex": "Plot its real part, its imaginary part, or `abs(f)`.",
    "datetime": "Plot the time since the first, as in `(f - f[0]) / numpy.timedelta64(1, 's')`.",
    "timedelta": "Divide by a unit of time, as in `f / numpy.timedelta64(1, 's')`.",
}


def check_drawable(f: Any) -> None:
    """Raise an error where a field has no picture.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    ValueError
        If it has other than one or two axes.
    """
    dtype = dtype_name(f.dtype)
    for kind, cure in _CURES.items():
        if dtype.startswith(kind):
            raise TypeError(f"`f` must hold real numbers to be drawn; got {dtype}. {cure}")
    shape = tuple(f.shape)
    if len(shape) not in (1, 2):
        named = hasattr(f, "dims") and shape
        cut = f"isel({f.dims[0]}=0)" if named else "[0]"
        example = f"f.{cut}" if named else f"f{cut}"
        raise ValueError(
            f"`f` must have one axis or two to be drawn; got shape {shape}. "
            + (f"Take a slice first, as in `{example}`." if shape else "A number has no gradient.")
        )


def describe_values(f: Any) -> tuple[str, str, str | None]:
    """Return the name of a field, what is written beside its values, and its units."""
    name = str(getattr(f, "name", None) or "f") if library_of_labels(f) in _NAMED else "f"
    attributes = getattr(f, "attrs", {}) if library_of_labels(f) == "xarray" else {}
    return name, str(attributes.get("long_name") or name), strip(f).units


_NAMED = ("xarray", "pandas")


def name_dims(f: Any) -> tuple[tuple[object, ...], ...]:
    """Return what users may call each axis: its numbers, and the name of a dimension."""
    n = len(f.shape)
    dims = f.dims if library_of_labels(f) == "xarray" else [None] * n
    return tuple((k, k - n) if dim is None else (k, k - n, dim) for k, dim in enumerate(dims))


def mask_values(f: Any, values: NumpyArray, where: Any) -> NumpyArray:
    """Return samples, masked where a mask of valid ones says that they are not."""
    if where is None:
        return values
    if library_of_labels(f) == "xarray":
        options = {"where": where}
        place_mask(f, options)
        where = options["where"]
    valid = np.broadcast_to(bring_home([strip(where).values])[0], values.shape)
    return np.ma.array(values, mask=np.ma.getmaskarray(values) | ~valid.astype(bool))


def find_periods(f: Any, boundary: Any, period: Any) -> dict[int, float | None]:
    """Return the axes that go round, with their periods where these are numbers."""
    periods: dict[int, float | None] = {}
    for axis, names in enumerate(name_dims(f)):
        side, span = (_pick_entry(option, names) for option in (boundary, period))
        if side in ("periodic", "wrap") and (span is None or isinstance(span, (int, float))):
            periods[axis] = span
    return periods


def _pick_entry(option: Any, names: Sequence[object]) -> Any:
    """Return what an option says of an axis that has several names; texts and numbers only."""
    if isinstance(option, dict):
        option = next((option[name] for name in names if name in option), None)
    return option if isinstance(option, (str, int, float, type(None))) else ""
