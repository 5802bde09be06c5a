"""What the CF conventions say of a variable that xarray leaves to its users."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from gpugrad._files.source import Values

_DEFAULT_FILLS = {
    "f4": 9.969209968386869e36, "f8": 9.969209968386869e36, "i2": -32767, "i4": -2147483647,
}  # fmt: skip
"""What NetCDF writes into numbers that nobody has written, by dtype.

Left out are bytes, unsigned numbers, whose default may be a value, and 64-bit integers, which
NaN can't be among without rounding the others.
"""


def open_decoded(open_file: Callable[..., Any]) -> tuple[Any, dict[str, str]]:
    """Open a dataset, with dates decoded where they can be.

    Parameters
    ----------
    open_file : callable
        Opens the dataset, with options of `xarray.open_dataset`.

    Returns
    -------
    dataset : xarray.Dataset
    undecoded : dict of str to str
        For each variable whose dates can't be decoded, why.
    """
    # Numbers of days or hours are numbers: versions of xarray differ in what they take them for.
    plain: dict[str, Any] = {"decode_timedelta": False}
    try:
        return open_file(**plain), {}
    except (ValueError, OverflowError, ImportError, TypeError, ArithmeticError) as error:
        try:
            data = open_file(decode_times=False, **plain)
        except Exception:  # noqa: BLE001 - then it was not the dates
            raise error from None
    undecoded = {}
    for name, variable in data.variables.items():
        if " since " not in str(variable.attrs.get("units", "")):
            continue
        try:
            data[name] = _decode_dates(name, variable)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it stays numbers
            undecoded[str(name)] = _say_why(variable, error)
    return data, undecoded


def _decode_dates(name: Any, variable: Any) -> Any:
    from xarray.conventions import decode_cf_variable

    return decode_cf_variable(name, variable, mask_and_scale=False, decode_timedelta=False)


def _say_why(variable: Any, error: Exception) -> str:
    """Return in a few words why dates can't be decoded."""
    units = str(variable.attrs["units"])
    calendar = str(variable.attrs.get("calendar", "standard"))
    words = f"{units}, calendar {calendar}"
    with suppress(ImportError):
        import cftime  # noqa: F401

        return f"{words}, which can't be read as dates"
    if calendar in ("standard", "gregorian", "proleptic_gregorian") and "cftime" not in str(error):
        return f"{words}, which can't be read as dates"
    return f'{words}, which needs cftime: pip install "gpugrad[files]"'


def tell_of_undecoded(undecoded: Mapping[str, str], dims: tuple[str, ...]) -> list[str]:
    """Return notes on axes whose dates are numbers."""
    return [
        f"{name} is in {why}; its numbers are taken as they are, and rates along it are per "
        f"{unit_of_dates(why)}."
        for name, why in undecoded.items()
        if name in dims
    ]


def unit_of_dates(units: str) -> str:
    """Return the unit of numbers that count from a date: "month" of "months since 2000-01-01"."""
    word = units.strip().split(" ")[0].lower()
    return re.sub(r"(?<=[a-z]{2})s$", "", word)


class ValidValues:
    """Which values of a variable are valid, and NaN in the place of others.

    That is told by `valid_min`, `valid_max` and `valid_range`; and what NetCDF writes where nobody
    has written is not valid unless another value is said to be missing. `kind` is the format.
    """

    def __init__(self, variable: Any, kind: str) -> None:
        attributes, encoding = variable.attrs, variable.encoding
        low, high = attributes.get("valid_min"), attributes.get("valid_max")
        if np.size(attributes.get("valid_range")) == 2:
            low, high = attributes["valid_range"]
        self.low, self.high = (_as_unpacked(limit, encoding) for limit in (low, high))
        self.dtype = np.dtype(variable.dtype)
        is_told = any(name in encoding for name in ("_FillValue", "missing_value"))
        self._default: Any = None
        self._near = 0.0
        if not is_told:
            self._default, self._near = _find_default(variable, kind)
        self.is_limited = not (np.isnan(self.low) and np.isnan(self.high))
        if self.dtype.kind not in "iuf":
            self.is_limited = False
        if self.is_limited:
            self.dtype = np.result_type(self.dtype, np.float32)
        elif self._default is not None and self.dtype.kind == "i":
            self.dtype = np.dtype(np.float64)  # that of results of whole numbers

    def apply(self, values: Values) -> Values:
        """Return values, NaN where they are not valid."""
        values = values.astype(self.dtype, copy=False)
        if self._default is not None:
            unwritten = values >= self._default - self._near
            unwritten &= values <= self._default + self._near
            if unwritten.any():
                values = np.where(unwritten, np.nan, values).astype(values.dtype)
        if not self.is_limited:
            return values
        values = values.copy()
        with np.errstate(invalid="ignore"):
            values[(values < self.low) | (values > self.high)] = np.nan
        return values

    def describe(self, name: str) -> list[str]:
        """Return a note where a variable has limits."""
        if not self.is_limited:
            return []
        limits = (
            f"below {self.low:.8g}" * (not np.isnan(self.low)),
            f"above {self.high:.8g}" * (not np.isnan(self.high)),
        )
        return [
            (
                f"values of {name} {' or '.join(filter(None, limits))} are not valid, as the file "
                "says, and count as missing."
            )
        ]


def _find_default(variable: Any, kind: str) -> tuple[Any, float]:
    """Return what a variable has where nobody has written, and how near a value is that."""
    encoding, dtype = variable.encoding, np.dtype(variable.dtype)
    stored = np.dtype(encoding.get("dtype", dtype))
    if dtype.kind == "f" and stored.kind == "f":
        return dtype.type(_DEFAULT_FILLS["f4"]), 0.0
    code = f"{stored.kind}{stored.itemsize}"
    if kind != "netcdf" or code not in _DEFAULT_FILLS or "_Unsigned" in encoding:
        return None, 0.0
    if dtype.kind == "i":
        return _DEFAULT_FILLS[code], 0.0
    if dtype.kind != "f":
        return None, 0.0
    step = float(encoding.get("scale_factor", 1))
    value = _DEFAULT_FILLS[code] * step + float(encoding.get("add_offset", 0))
    return dtype.type(value), abs(step) / 4


def _as_unpacked(limit: Any, encoding: Mapping[str, Any]) -> float:
    """Return a limit in the unit of the data; one of the type of packed data is packed as these."""
    try:
        value = np.asarray(limit)
        number = float(value)
    except (TypeError, ValueError):
        return np.nan
    packed = np.dtype(encoding.get("dtype", float))
    is_packed = "scale_factor" in encoding or "add_offset" in encoding
    if str(encoding.get("_Unsigned", "false")).lower() == "true" and value.dtype.kind == "i":
        number = float(value.astype(f"u{value.dtype.itemsize}"))
    if is_packed and packed.kind in "iu" and value.dtype.kind in "iu":
        number = number * float(encoding.get("scale_factor", 1)) + float(
            encoding.get("add_offset", 0)
        )
    return number
