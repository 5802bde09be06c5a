"""Coordinates as users give them: numbers, dates and masks of any library become NumPy arrays.

Units and names have been taken off before; what still has a unit here would lose it, and is
refused.
"""

from __future__ import annotations

import datetime
import sys
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, dtype_name, host_values, is_library_array, library_of_labels

EPOCH = np.datetime64(0, "us")
"""Where the dates of other calendars than NumPy's are counted from."""


def read_coordinates(x: Any, what: str) -> NumpyArray:
    """Return coordinates, or one number, as a NumPy array of numbers, or of NumPy's dates.

    Dates of other calendars than NumPy's become dates as far apart, whose names mean nothing.

    Raises
    ------
    TypeError
        If they carry a unit; if dates are of several kinds.
    ValueError
        If some are masked, or sequences are of unequal lengths.
    """
    if type(x) is np.ndarray and x.dtype.kind != "O":
        return x
    if library_of_labels(x) not in (None, "xarray", "pandas") or _has_other_units(x):
        raise TypeError(
            f"{what} must be plain numbers; got {type(x).__name__}, which carries a unit. Pass "
            "its magnitude, and attach the unit to the result."
        )
    values = _as_array(x, what)
    if values.dtype.kind == "O" and values.size and library_of_labels(values.flat[0]):
        raise TypeError(
            f"{what} must be one quantity, or a sequence of them; got an array of objects such as "
            f"{values.flat[0]!r}. Pass `list(x)`."
        )
    kind = _kind_of_entries(values)
    if kind is None:
        return values
    try:
        return _CONVERT[kind](values)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"{what} must be all numbers, all dates of one calendar, or all spans of time; got "
            f"{str(error).rstrip('.')}."
        ) from error


def _has_other_units(x: Any) -> bool:
    """Tell whether a library that we don't know says of `x` which unit it has."""
    is_array = isinstance(x, np.ndarray)
    return hasattr(type(x), "units") or (is_array and getattr(x, "unit", None) is not None)


def _as_array(x: Any, what: str) -> NumpyArray:
    """Return an array without a mask; refuse one that masks something."""
    count = _count_masked(x)
    if count:
        raise ValueError(
            f"{what} must have no masked values; got {count} of them. Fill them, or drop these "
            "samples."
        )
    x = getattr(x, "unmasked", x)
    if type(x).__module__.partition(".")[0] == "astropy" and not isinstance(x, np.ndarray):
        raise TypeError(
            f"{what} must be numbers, dates or quantities; got astropy's {type(x).__name__}. Pass "
            "a quantity, of times `(t - t[0]).to('s')`."
        )
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{what} must be a regular array, or a flat sequence of numbers or dates; got {error}"
        ) from error


def _count_masked(x: Any) -> int:
    """Return how many values of an array, or of a sequence, are masked."""
    if isinstance(x, np.ndarray):
        mask = getattr(x, "mask", None)
        return 0 if mask is None else int(np.sum(mask))
    # Who has no masked array has not loaded `numpy.ma`.
    if isinstance(x, (list, tuple)) and "numpy.ma" in sys.modules:
        return sum(map(_count_masked, x))
    return 0


def are_dates(x: Any) -> bool:
    """Tell whether these are dates, or spans of time, of NumPy or of another library."""
    kind = getattr(getattr(x, "dtype", None), "kind", "")
    if kind in ("m", "M"):
        return True
    if type(x) is np.ndarray and kind != "O":
        return False
    if isinstance(x, (tuple, list)):
        return bool(x) and _kind_of(x[0]) is not None
    if _kind_of(x) is not None:
        return True
    # Objects, dates of pandas with a time zone, columns of polars, whose dtype is not NumPy's.
    if is_library_array(x) or isinstance(x, (float, int, str)) or not hasattr(x, "dtype"):
        return False
    if kind not in ("O", "M", ""):
        return False
    values = np.asarray(x)
    return values.dtype.kind in ("m", "M") or _kind_of_entries(values) is not None


def find_calendar_start(x: Any) -> Any:
    """Return the first of dates that are of another calendar than NumPy's, else None."""
    if is_library_array(x) or getattr(getattr(x, "dtype", None), "kind", "O") != "O":
        return None
    values = np.asarray(x)
    return values.flat[0] if _kind_of_entries(values) == "calendar" else None


def _kind_of_entries(values: NumpyArray) -> str | None:
    if values.dtype.kind != "O" or not values.size:
        return None
    return next((kind for entry in values.flat if (kind := _kind_of(entry))), None)


def _kind_of(entry: Any) -> str | None:
    if isinstance(entry, (datetime.timedelta, np.timedelta64)):
        return "span"
    if isinstance(entry, (datetime.date, np.datetime64)) or _is_period(entry):
        return "date"
    return "calendar" if type(entry).__module__.partition(".")[0] == "cftime" else None


def _is_period(entry: Any) -> bool:
    """Tell whether this is a Period of pandas, which begins at a date."""
    return type(entry).__name__ == "Period" and hasattr(entry, "start_time")


def _convert_spans(values: NumpyArray) -> NumpyArray:
    spans = [
        span.to_timedelta64() if hasattr(span, "to_timedelta64") else span for span in values.flat
    ]
    if all(type(span) is datetime.timedelta for span in spans):
        return values.astype("timedelta64[us]")
    return np.array([np.timedelta64(span) for span in spans]).reshape(values.shape)


def _convert_dates(values: NumpyArray) -> NumpyArray:
    """Return dates as NumPy's; those with a time zone in universal time."""
    dates = [date.start_time if _is_period(date) else date for date in values.flat]
    # A date that is missing, NaT, is not equal to itself.
    have_zones = {getattr(date, "tzinfo", None) is not None for date in dates if date == date}
    if len(have_zones) > 1:
        raise TypeError("some with a time zone and some without")
    if True in have_zones:
        dates = [date.astimezone(datetime.UTC) if date == date else date for date in dates]
    converted = [
        date.to_datetime64()
        if hasattr(date, "to_datetime64")
        else np.datetime64(date.replace(tzinfo=None) if hasattr(date, "tzinfo") else date, "us")
        for date in dates
    ]
    return np.array(converted).reshape(values.shape)


def _convert_calendar(values: NumpyArray) -> NumpyArray:
    spans = np.array([date - values.flat[0] for date in values.flat], "timedelta64[us]")
    return (EPOCH + spans).reshape(values.shape)


_CONVERT = {"span": _convert_spans, "date": _convert_dates, "calendar": _convert_calendar}


def read_numbers(x: Any, what: str) -> Any:
    """Return coordinates as an array of real numbers, on the host where their values are there.

    Raises
    ------
    TypeError
        If they are no real numbers.
    ValueError
        If some are masked.
    """
    if is_library_array(x):
        values = host_values(x)
        x = x if values is None else values
    else:
        x = read_coordinates(x, what)
    name = dtype_name(x.dtype)
    if isinstance(x, np.ndarray) and x.dtype.kind == "c" and not x.imag.any():
        return x.real  # as some libraries make real numbers
    if name == "object":
        try:
            return x.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{what} must hold real numbers; got objects such as {x.flat[0]!r} ({error}). "
                "Convert them, as in `numpy.asarray(x, dtype=float)`."
            ) from error
    if name.startswith(("date", "timedelta")):
        raise TypeError(
            f"{what} must hold real numbers; got {name}. Divide times by a unit first, as in "
            "`(t - t[0]) / numpy.timedelta64(1, 's')`."
        )
    if not name.startswith(("float", "longdouble", "bfloat", "int", "uint")):
        raise TypeError(
            f"{what} must hold real numbers; got dtype {name}. Convert them, as in "
            "`numpy.asarray(x, dtype=float)`."
        )
    return x
