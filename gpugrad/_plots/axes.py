"""The axes of a picture: numbers with a name and a unit, dates, latitudes and longitudes."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, asnumpy
from gpugrad._grids import are_dates, find_calendar_start, read_coordinates, read_numbers
from gpugrad._labels import has_units, unit_of_time
from gpugrad._labels.pandas_fields import strip_pandas
from gpugrad._labels.units import find_library, take_coordinate
from gpugrad._labels.xarray_coordinates import strip_labels

Kind = Literal["numbers", "dates", "latitude", "longitude"]

LONGEST_LINE = 24
"""Names longer than this have their units on a line of their own."""

DAY = np.timedelta64(1, "D")


class PlotAxis(NamedTuple):
    """An axis of a field as it is drawn: where its samples lie, and what is written beside it.

    Dates are counted in days, as Matplotlib counts them. `values` have two axes on a curved grid.
    `units` are those that slopes are per, None where they are unknown.
    """

    values: NumpyArray
    name: str
    label: str
    units: str | None = None
    kind: Kind = "numbers"

    @property
    def span(self) -> float:
        """How far the axis reaches."""
        return float(np.ptp(self.values)) if self.values.size else 0.0

    @property
    def is_monotonic(self) -> bool:
        """Whether the samples lie one after the other."""
        steps = np.diff(self.values)
        return self.values.ndim == 1 and bool((steps > 0).all() or (steps < 0).all())

    def show_ticks(self, drawn: Any) -> None:
        """Write dates, or degrees with their direction, beside an axis of Matplotlib."""
        from matplotlib import dates, ticker

        if self.kind == "dates":
            locator = dates.AutoDateLocator(minticks=3, maxticks=7)
            drawn.set_major_locator(locator)
            drawn.set_major_formatter(dates.ConciseDateFormatter(locator))
        elif self.kind != "numbers":
            steps = [1, 3, 4.5, 6, 9, 10] if self.span > 60 else [1, 2, 5, 10]
            drawn.set_major_locator(ticker.MaxNLocator(nbins=6, steps=steps))
            letters = "NS" if self.kind == "latitude" else "EW"
            drawn.set_major_formatter(lambda degrees, _: write_degrees(degrees, letters))


def write_degrees(degrees: float, letters: str) -> str:
    """Return an angle as maps have it.

    Examples
    --------
    >>> write_degrees(-33.5, "NS"), write_degrees(270.0, "EW"), write_degrees(0.0, "EW")
    ('33.5°S', '90°W', '0°')
    """
    degrees = round(float(degrees), 6)
    if letters == "EW":
        degrees = (degrees + 180) % 360 - 180
    side = "" if degrees in (0, -180) else letters[degrees < 0]
    return f"{abs(degrees):g}°{side}"


def add_units(name: str, units: str | None) -> str:
    """Return a label: a name with its units behind it, or below it where the name is long."""
    line_break = "\n" if len(name) > LONGEST_LINE else " "
    return f"{name}{line_break}({units})" if units not in (None, "", "1") else name


def name_degree(units: str | None) -> str | None:
    """Return one name for degrees to the north and to the east; `degree_Celsius` keeps its own."""
    return "degree" if re.fullmatch(r"degrees?(_?(north|east|N|E))?", str(units)) else units


def read_axis(
    x: Any, length: int, name: str, title: str = "", units: str | None = None, time_unit: str = "D"
) -> PlotAxis:
    """Return the axis along which samples have a spacing, or the coordinates, `x`.

    `units` are those of `x`, where it has none itself; None for `x` means that samples are counted.
    """
    title = title or name
    x = strip_pandas(strip_labels(x))
    if x is None:
        return PlotAxis(np.arange(float(length)), name, f"{title} (samples)")
    if are_dates(x):
        return _read_dates(x, length, name, title, time_unit)
    if has_units(x):
        library = find_library([x])
        amount = take_coordinate(library, x)
        x, units = amount.values, library.write(amount.unit)
    values: NumpyArray = np.asarray(asnumpy(read_numbers(x, "`spacing`")), np.float64)
    if values.ndim == 0:
        values = np.arange(length) * float(values)
    return PlotAxis(values, name, add_units(title, units), units)


def _read_dates(x: Any, length: int, name: str, title: str, time_unit: str) -> PlotAxis:
    """Return an axis of dates, or of spans of time; other calendars are counted in days."""
    per = unit_of_time(time_unit)
    if isinstance(x, np.ndarray) and x.ndim == 0:
        x = x[()]
    start = find_calendar_start(x)
    values = read_coordinates(x, "`spacing`")
    if start is not None:
        days = (values - values.flat[0]) / DAY
        return PlotAxis(days, name, f"{title} (days since {start}, {start.calendar})", per)
    if values.dtype.kind == "M":
        from matplotlib.dates import date2num

        return PlotAxis(np.asarray(date2num(values), np.float64), name, title, per, "dates")
    unit: Any = time_unit
    spans: NumpyArray = values / np.timedelta64(1, unit)
    if spans.ndim == 0:
        spans = np.arange(length) * float(spans)
    return PlotAxis(spans, name, add_units(title, per), per)


def choose_time_unit(x: Any) -> str | None:
    """Return the unit in which a rate along dates is well read, None where there are no dates.

    That is a day for days and more, otherwise an hour, a minute or a second.
    """
    x = strip_pandas(strip_labels(x))
    if not are_dates(x):
        return None
    values = read_coordinates(x, "`spacing`")
    extent = np.ptp(values) if values.ndim else values
    seconds = abs(extent / np.timedelta64(1, "s"))
    return next((unit for unit, least in _TIME_UNITS if float(seconds) >= 3 * least), "s")


_TIME_UNITS = (("D", 86400), ("h", 3600), ("m", 60))
