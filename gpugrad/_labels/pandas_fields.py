"""Columns of pandas: the index is where the samples lie, and results have the same index.

`numpy.gradient` ignores the index. With the default one, 0, 1, 2, ..., both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, library_of_labels
from gpugrad._grids import are_dates
from gpugrad._labels.typing import Call
from gpugrad._stencils import OPERATORS

_POINTS = ("turning_points", "inflection_points", "critical_points")
"""Functions whose results are points, without an index."""

_WITHOUT_PLACES = ("noise_level",)
"""Functions that take no spacing: samples are even."""


def call(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator on what Series hold, and give its results their index.

    Spacings, masks and options without labels are taken as they are; the Series among them must
    have the index of `f`.

    Raises
    ------
    TypeError
        If `f` is a DataFrame, or several Series for one field; if an index is not of numbers or
        dates; if `out` or `stack` is given.
    ValueError
        If Series have different indices.
    """
    fields = _take_columns(operator, f, options)
    first = fields[0]
    spacing = [_strip(x, first, "`spacing`") for x in spacing]
    options = {name: _strip(x, first, f"`{name}`") for name, x in options.items()}
    _refuse_units([*spacing, *options.values()])
    if operator.__name__ not in _WITHOUT_PLACES:
        spacing = spacing or [read_index(first.index)]
        if options.get("time_unit") is None and _needs_unit(operator, spacing[0]):
            options["time_unit"] = "s"
    values = [_read_values(field) for field in fields]
    result = operator(values if isinstance(f, (tuple, list)) else values[0], *spacing, **options)
    return result if operator.__name__ in _POINTS else _label(result, first)


def strip_pandas(value: Any) -> Any:
    """Return the values of a Series, or of each in a sequence; other values as they are."""
    if library_of_labels(value) != "pandas":
        return value
    if isinstance(value, (tuple, list)):
        return type(value)(map(strip_pandas, value))
    return _read_values(value) if value.ndim == 1 else value.to_numpy()


def _take_columns(operator: Call, f: Any, options: dict[str, Any]) -> list[Any]:
    """Return the Series of a field, or of a vector field."""
    if options.get("out") is not None:
        raise TypeError(
            "`out` must be left out where `f` is a Series; got an `out` without its index. Pass "
            "`f.to_numpy()` to write to an array."
        )
    if options.get("stack"):
        raise TypeError(
            "`stack` must be false where `f` is a Series, which has one axis; got True. Pass "
            "`f.to_numpy()`."
        )
    is_vector = isinstance(f, (tuple, list))
    row = OPERATORS.get(operator.__name__)
    if is_vector and (row is None or row.takes == "field"):
        raise TypeError(
            f"`f` must be one field; got {len(f)} of pandas. Pass them one by one, or as an array, "
            "as in `numpy.stack(f)`."
        )
    fields = [*f] if is_vector else [f]
    for field in fields:
        if library_of_labels(field) != "pandas":
            raise TypeError(
                "components of `v` must be all of one library; got a Series and a "
                f"{type(field).__name__}. Pass `.to_numpy()` of each."
            )
        refuse_frame(field, operator.__name__)
        _check_index(field, fields[0], "components of `v`")
    return fields


def refuse_frame(f: Any, operator: str) -> None:
    """Raise TypeError for a DataFrame, with what to call in place of the operator on all of it."""
    if f.ndim == 1:
        return
    names = ", ".join(map(str, f.columns[:3])) + (", ..." if len(f.columns) > 3 else "")
    raise TypeError(
        f"`f` must be one column of a DataFrame; got all of them: {names}. Pick one, as in "
        f"`f[{f.columns[0] if len(f.columns) else 'name'!r}]`; for each along the index call "
        f"`f.apply(gpugrad.{operator})`; to differentiate across the columns too, pass "
        "`f.to_numpy()`."
    )


def _check_index(x: Any, first: Any, what: str) -> None:
    if not x.index.equals(first.index):
        raise ValueError(
            f"{what} must have the index of `f`; got another one. Reindex first, as in "
            "`x.reindex(f.index)`; where it lies there already, pass its `.to_numpy()`."
        )


def _strip(value: Any, first: Any, what: str) -> Any:
    """Return an argument without labels, if it lies where the field does."""
    if library_of_labels(value) != "pandas":
        return value
    for x in value if isinstance(value, (tuple, list)) else [value]:
        if library_of_labels(x) == "pandas" and x.ndim == 1:
            _check_index(x, first, what)
    return strip_pandas(value)


def _refuse_units(values: Sequence[Any]) -> None:
    """Raise TypeError where units of a spacing would be lost: a Series has none."""
    for value in values:
        library = library_of_labels(value)
        if library is not None:
            raise TypeError(
                f"what stands beside a Series must be without labels and units; got one of "
                f"{library}. Pass its numbers, or make `f` one of {library} too."
            )


def read_index(index: Any) -> NumpyArray:
    """Return an index as coordinates."""
    if index.nlevels == 1 and index.dtype.kind in "iufmM":
        if getattr(index, "tz", None) is not None:
            index = index.tz_convert(None)  # in universal time, which has no gaps
        return np.asarray(index)
    name = type(index).__name__
    cures = {"PeriodIndex": "`f.to_timestamp()`", "IntervalIndex": "`f.set_axis(f.index.mid)`"}
    cure = cures.get(name, "the coordinates as `spacing`, or `f.reset_index(drop=True)`")
    raise TypeError(
        f"the index of `f` must hold numbers or dates, where the samples lie; got {name} of "
        f"{index.dtype}. Pass {cure}."
    )


def _needs_unit(operator: Call, spacing: Any) -> bool:
    """Tell whether rates are per a unit of time, which nobody has said."""
    return are_dates(spacing) and operator.__name__ not in (
        "turning_points", "critical_points", "recommended_spacing",
    )  # fmt: skip


def _read_values(column: Any) -> NumpyArray:
    """Return the values of a Series: NaN where some are missing, dates in universal time."""
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert(None)
    kind = column.dtype.kind
    if not _is_nullable(column.dtype):
        values: NumpyArray = np.asarray(column)
        return values
    if column.isna().any():
        dtype = column.dtype.numpy_dtype if kind == "f" else np.float64
        return np.asarray(column.to_numpy(dtype=dtype, na_value=np.nan))
    return np.asarray(column.to_numpy(dtype=column.dtype.numpy_dtype))


def _label(result: Any, f: Any) -> Any:
    """Return results as Series with the index and the name of `f`; numbers stay numbers."""
    if isinstance(result, tuple) and not hasattr(result, "_fields"):
        return tuple(_label(entry, f) for entry in result)
    if not isinstance(result, np.ndarray):
        return result
    series = f._constructor(result, index=f.index, name=f.name)
    if not _is_nullable(f.dtype):
        return series
    if type(f.dtype).__name__ == "ArrowDtype":
        return series.astype("double[pyarrow]" if result.itemsize == 8 else "float[pyarrow]")
    return series.astype(result.dtype.name.capitalize())  # Float64


def _is_nullable(dtype: Any) -> bool:
    """Tell whether numbers of a dtype may be NA: Float64, Int16, double[pyarrow], ..."""
    is_extension = hasattr(dtype, "numpy_dtype") and not isinstance(dtype, np.dtype)
    return is_extension and dtype.kind in "iuf"
