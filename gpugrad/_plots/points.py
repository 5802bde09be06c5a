"""Points that are marked in a picture: where a curve turns or bends, where a field is level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._analysis.critical_points import critical_points
from gpugrad._analysis.inflection_points import inflection_points
from gpugrad._analysis.turning_points import turning_points
from gpugrad._arrays import NumpyArray
from gpugrad._labels import has_units
from gpugrad._labels.units import convert, find_library, take
from gpugrad._plots.field import PlotField, as_drawn

MOST = 40
"""More points than these are not marked, unless they are asked for."""

LARGEST = 4_000_000
"""Fields with more samples are not searched for points, unless these are asked for."""

KINDS = {True: ("turning", "inflection"), False: ("critical",)}
"""The points that curves have, and those that fields have."""

MARKERS = {
    "maximum": ("^", "#e69f00"), "minimum": ("v", "#56b4e9"), "saddle": ("X", "white"),
    "degenerate": ("D", "white"), "inflection": ("d", "white"),
}  # fmt: skip
"""The shape and colour of each kind; the shapes differ, so that no kind is told by colour alone."""


class Marks(NamedTuple):
    """Points of one kind: where they are in the picture, and the field there."""

    kind: str
    x: NumpyArray
    y: NumpyArray
    values: NumpyArray

    def draw(self, axes: Any, y: NumpyArray) -> None:
        """Mark the points in a panel, where their heights are `y`."""
        marker, color = MARKERS[self.kind]
        axes.plot(
            self.x, y, linestyle="none", marker=marker, markersize=7, markerfacecolor=color,
            markeredgecolor="black", markeredgewidth=0.9, label=self.kind, zorder=5,
        )  # fmt: skip


class PlotPoints(NamedTuple):
    """All points that are marked, and what is said of those that are not."""

    marks: Sequence[Marks] = ()
    note: str = ""


def parse_points(points: Any, field: PlotField, prominence: Any) -> PlotPoints:
    """Return the points of a field that are asked for; by default those that are few."""
    usual = KINDS[field.is_curve]
    if prominence is not None and not field.is_curve:
        raise ValueError("`prominence` goes with curves; got it for a field of two axes.")
    if points is None:
        if prominence is not None:
            return PlotPoints(_find_turns(field, prominence))
        return _find_usual(field)
    named = [points] if isinstance(points, str) else [*points]
    for name in named:
        if name not in usual:
            listed = " or ".join(f'"{kind}"' for kind in usual)
            raise ValueError(
                f"`points` must be {listed}, several of these in a tuple, or `()` for none; got "
                f"{name!r}."
            )
    marks = [mark for name in usual if name in named for mark in _FINDERS[name](field, prominence)]
    return PlotPoints(marks)


def _find_usual(field: PlotField) -> PlotPoints:
    """Return turning or critical points, if there are few of them, or a note that there are not."""
    if field.values.size > LARGEST:
        return PlotPoints()
    if not (field.is_curved or all(axis.is_monotonic for axis in field.axes)):
        return PlotPoints()
    if field.is_curve:
        marks = _find_turns(field, None)
        count = sum(mark.x.size for mark in marks)
        note = f"{count} turning points: mark some with prominence="
    elif min(field.values.shape) < 3:
        return PlotPoints()
    else:
        count = _count_candidates(field.finite)
        marks = [] if count > 10 * MOST else _find_critical(field, None)
        count = max(count if count > 10 * MOST else 0, sum(mark.x.size for mark in marks))
        note = "too many critical points to mark"
    return PlotPoints((), note) if count > MOST else PlotPoints(marks)


def _count_candidates(f: NumpyArray) -> int:
    """Return how many samples are extrema along both axes: a quick look at how rough a field is."""
    f = np.ma.filled(f.astype(np.float64), np.nan) if isinstance(f, np.ma.MaskedArray) else f
    return int(np.count_nonzero(_find_turning_rows(f)[:, 1:-1] & _find_turning_rows(f.T).T[1:-1]))


def _find_turning_rows(f: NumpyArray) -> NumpyArray:
    """Tell which samples, but those of the first and the last row, are extrema along axis 0."""
    rises, falls = f[1:] > f[:-1], f[1:] < f[:-1]
    return np.asarray((rises[:-1] & falls[1:]) | (falls[:-1] & rises[1:]))


def _find_turns(field: PlotField, prominence: Any) -> list[Marks]:
    (x,) = field.axes
    found = turning_points(field.finite, x.values, prominence=_strip_prominence(prominence, field))
    return _list_marks(found.kind, found.position, found.value, found.value)


def _find_inflections(field: PlotField, _: Any) -> list[Marks]:
    (x,) = field.axes
    found = inflection_points(field.finite, x.values)
    kinds = np.full(len(found), "inflection")
    return _list_marks(kinds, found.position, found.value, found.value)


def _strip_prominence(prominence: Any, field: PlotField) -> Any:
    """Return how far points must stand out, in the unit of the field."""
    if not has_units(prominence):
        return prominence
    library = find_library([prominence])
    amount = take(library, prominence)
    unit = library.parse(str(field.units or ""), amount.unit)
    return float(convert(library, amount, unit, "`prominence` and the field"))


def _find_critical(field: PlotField, _: Any) -> list[Marks]:
    rows, columns = field.axes
    values, spacing, periods = field.finite, [rows.values, columns.values], {**field.periods}
    if field.is_map and not field.is_curved:
        first, *_, last = columns.values
        step = abs(columns.values[1] - first)
        if abs(last - first) + 1.01 * step >= 360:
            periods = {1: 360.0}
        if abs(abs(last - first) - 360) < 0.01 * step:  # the first meridian once more
            values, spacing = values[:, :-1], [rows.values, columns.values[:-1]]
    options: dict[str, Any] = {"boundary": dict.fromkeys(periods, "periodic")} if periods else {}
    known = {axis: period for axis, period in periods.items() if period is not None}
    options |= {"period": known} if known else {}
    # On a curved grid counted in samples: a point stays what it is in other coordinates.
    found = critical_points(values, *([] if field.is_curved else spacing), **options)
    y, x = found.position[:, 0], found.position[:, 1]
    if field.is_curved:
        y, x = (_interpolate(axis.values, found.position, [*periods]) for axis in field.axes)
    return _list_marks(found.kind, x, y, found.value)


def _interpolate(values: NumpyArray, places: NumpyArray, periodic: Sequence[int]) -> NumpyArray:
    """Return values of two axes at places that are counted in samples, linearly between them."""
    for axis in periodic:
        values = np.concatenate([values, values.take([0], axis)], axis=axis)
    lower = np.minimum(places.astype(int), np.subtract(values.shape, 2))
    i, j = lower.T
    u, v = (places - lower).T
    near = values[i, j] * (1 - v) + values[i, j + 1] * v
    far = values[i + 1, j] * (1 - v) + values[i + 1, j + 1] * v
    return np.asarray(near * (1 - u) + far * u)


def _list_marks(kind: NumpyArray, x: Any, y: Any, values: Any) -> list[Marks]:
    """Return points by their kinds, in the order of the table of markers."""
    x, y, values = (as_drawn(np.asarray(array)) for array in (x, y, values))
    chosen = ((name, kind == name) for name in MARKERS)
    return [Marks(name, x[these], y[these], values[these]) for name, these in chosen if these.any()]


_FINDERS: Mapping[str, Any] = {
    "turning": _find_turns, "inflection": _find_inflections, "critical": _find_critical,
}  # fmt: skip
