"""Inflection points of sampled curves, between the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpugrad._analysis.descriptions import describe
from gpugrad._analysis.extrema import (
    Extrema,
    as_curves,
    as_single,
    as_wide,
    check_prominence,
    choose_prominent,
    encode_steps,
    find_extrema,
    gather,
    locate_samples,
    samples_around,
    take_spacing,
    to_library,
)
from gpugrad._analysis.point_collection import PointsOfCurves
from gpugrad._arrays import Array, NumpyArray, asnumpy, is_library_array, namespace_of, result_dtype
from gpugrad._grids import Axis, Spacing, are_dates, parse_spacings
from gpugrad._labels import accepts_labels


class InflectionPoint(NamedTuple):
    """A point at which the curvature of a curve changes its sign: one entry of `InflectionPoints`.

    A loop over `InflectionPoints` gives such points one by one.

    Parameters
    ----------
    position : number or date
        The coordinate of the point, which may lie between samples.
    value : number
        The value of the curve at the point.
    kind : str
        The curvature beyond the point: "convex" or "concave".
    index : int
        The sample before the middle of the piece of the curve in which the point was found.
    extent : number or time
        The length of a straight piece between two bends in opposite directions; otherwise 0.
    curve : int
        The number of the curve, counted in C order over all axes except `axis`.
    prominence : number or None
        The prominence of the slope at the point, if it was requested.
    slope : number
        The first derivative at the point.

    See Also
    --------
    InflectionPoints : The collection.

    Examples
    --------
    >>> import gpugrad
    >>> point = gpugrad.inflection_points([-8.0, -1.0, 0.0, 1.0, 8.0])[0]
    >>> print(point.kind, point.position, point.slope)
    convex 2.0 1.0
    """

    position: Any
    value: Any
    kind: str
    index: Any
    extent: Any
    curve: Any
    prominence: Any
    slope: Any


@describe
@dataclass(frozen=True, eq=False, repr=False)
class InflectionPoints(PointsOfCurves[InflectionPoint]):
    """The points at which the curvature of curves changes its sign: arrays with one entry for each.

    It is returned by `inflection_points`.

    {collection: help() shows this}

    Parameters
    ----------
    position : array of shape (points,)
        The coordinate of each point, in the unit of the coordinates. A point may lie between
        samples.
    value : array of shape (points,)
        The value of the curve at each point, in the unit of `f`.
    kind : numpy.ndarray of str of shape (points,)
        The curvature beyond each point, towards greater coordinates: "convex" (the curve bends
        upwards, and its slope has a minimum at the point) or "concave" (the curve bends downwards,
        and its slope has a maximum).
    index : array of int of shape (points,)
        The sample before the middle of the piece of the curve in which the point was found.
    extent : array of shape (points,)
        The length of a straight piece between two bends in opposite directions, in the unit of the
        coordinates, from the middle of its first three samples to the middle of its last three;
        otherwise 0.
    curve : array of int of shape (points,)
        The number of the curve, counted in C order over all axes except `axis`.
    prominence : array of shape (points,), or None
        The prominence of the slope at each point, in the unit of `slope`, if it was requested.
    slope : array of shape (points,)
        The first derivative at each point, in the unit of `f` per unit of the coordinates.

    See Also
    --------
    inflection_points : Finds inflection points.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.inflection_points([-8.0, -1.0, 0.0, 1.0, 8.0])
    1 inflection point:
    position  value    kind  index  extent  curve  slope
           2      0  convex      1       0      0      1
    """

    slope: Array

    _title = ("inflection point", "inflection points")
    _record = InflectionPoint
    _kinds = ("convex", "concave")


@accepts_labels
@describe
def inflection_points(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    prominence: float | None = None,
    time_unit: str | None = None,
) -> InflectionPoints:
    r"""Find the points where the curvature of sampled curves changes its sign, between the samples.

    At an inflection point the slope has a maximum or a minimum, for example in the middle of a
    transition, at the equivalence point of a titration, or at the fastest growth of a population.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of one curve or of several: real numbers in an array of any library except Dask, a
        DataArray of xarray, a quantity, or a sequence. No point is found next to a NaN or a masked
        sample.
    {spacing_and_axis: help() shows this}
    prominence : number, optional
        Return only points at which the slope has at least this prominence, in the unit of `f` per
        unit of the coordinates. This needs SciPy. By default all points are returned.
    time_unit : str, optional
        The unit of time of the slopes, such as "s". It is required where the coordinates are dates.

    Returns
    -------
    InflectionPoints
        A collection of points with the attributes ``position``, ``value``, ``slope``, ``kind``
        ("convex" or "concave", the curvature beyond the point), ``index``, ``extent``, ``curve``
        and ``prominence``. They are 1-D arrays of the library and on the device of `f`; ``kind``
        and dates are NumPy arrays. Positions are in the unit of the coordinates, in double
        precision. Positions that are dates have a resolution of milliseconds, of microseconds if
        the coordinates are in milliseconds or microseconds, or that of the coordinates if it is
        finer. They belong to the calendar of cftime if the coordinates do.

    Raises
    ------
    TypeError
        If `f` is not an array of real numbers, or is lazy or traced by JAX: the number of points
        depends on the values; if coordinates are dates and there is no `time_unit`.
    ValueError
        If coordinates do not match their axis, repeat a value, or both increase and decrease; if
        `prominence` is negative.
    ImportError
        If `prominence` is given and SciPy is not installed.

    See Also
    --------
    turning_points : Maxima and minima of curves.

    Notes
    -----
    Twice the second divided difference of three samples is, for any spacing, the second derivative
    at their centroid, up to :math:`O(h^2)`. Where two such differences in a row have opposite
    signs, the straight line through them is the second derivative of the cubic through the four
    samples. Its zero is the position of the point, with an error of :math:`O(h^2)`; value and slope
    are those of the cubic.

    A second difference that is no larger than the rounding of samples and coordinates counts as
    zero. A straight piece between two bends in opposite directions is one point, at its middle; a
    straight piece between two bends in the same direction is none. An inflection point is an
    extremum of the slope between samples, and its prominence is the prominence of this extremum, as
    in `turning_points`. Noisy curves have many inflection points; smooth such curves first.

    Examples
    --------
    The inflection point of :math:`x^3 - x` from unevenly spaced samples:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.array([-2.0, -1.2, -0.3, 0.4, 1.0, 2.0])
    >>> points = gpugrad.inflection_points(x**3 - x, x)
    >>> points.position.round(6) + 0.0, points.slope.round(6), points.kind
    (array([0.]), array([-1.]), array(['convex'], dtype='<U7'))
    """
    least = check_prominence(prominence)
    y, axis, rows = as_curves(f, axis)
    x = take_spacing(spacing, y, axis)
    places = locate_samples(x, y, axis)
    per = _units_per(x, y, axis, time_unit)

    def compare(curves: slice, first: int, stop: int) -> Array:
        # There is one slope less than there are samples.
        return _compare_slopes(rows[curves, first : stop + 1], places.x[first : stop + 1])[1]

    def row_of(curve: int) -> NumpyArray:
        slopes: NumpyArray = asnumpy(_compare_slopes(rows[curve : curve + 1, :], places.x)[0])[0]
        return slopes

    def keep(runs: Extrema) -> NumpyArray:
        return np.asarray((runs.is_maximum | runs.is_minimum) & ~runs.at_end)

    extrema = find_extrema(rows, rows.shape[1] - 1, compare, keep)
    extrema, prominences = choose_prominent(row_of, extrema, least, keep_nan=False, per=per)
    position, value, slope, extent = _locate_inflections(rows, places.x, extrema)
    dtype = result_dtype(namespace_of(y), y)
    return InflectionPoints(
        position=places.restore(position),
        value=to_library(value, y, dtype),
        kind=np.where(extrema.is_maximum, "concave", "convex"),
        index=to_library(extrema.middle, y),
        extent=places.restore_span(extent),
        curve=to_library(extrema.curve, y),
        prominence=None if prominences is None else to_library(prominences, y, dtype),
        slope=to_library(slope * per, y, dtype),
    )


def _compare_slopes(rows: Array, x: NumpyArray) -> tuple[Array, Array]:
    """Return slopes between samples, and steps from slope to slope, level within rounding."""
    xp = namespace_of(rows)
    rows = as_single(rows)
    if not xp.isdtype(rows.dtype, "real floating"):
        rows = xp.astype(rows, result_dtype(xp, rows))
    eps = float(xp.finfo(rows.dtype).eps)
    spacing = np.diff(x)[None, :]
    blur = np.abs(x[1:] / spacing) * float(np.finfo(x.dtype).eps)
    h, shift = (xp.astype(to_library(values, rows), rows.dtype) for values in (spacing, blur))
    slopes = (rows[:, 1:] - rows[:, :-1]) / h
    size = xp.abs(rows)
    doubt = 2 * eps * (size[:, 1:] + size[:, :-1]) / xp.abs(h) + 2 * shift * xp.abs(slopes)
    change, doubt = slopes[:, 1:] - slopes[:, :-1], doubt[:, 1:] + doubt[:, :-1]
    return slopes, encode_steps(xp, change > doubt, change < -doubt, xp.abs(change) <= doubt)


def _locate_inflections(
    rows: Array, x: NumpyArray, extrema: Extrema
) -> tuple[NumpyArray, NumpyArray, NumpyArray, NumpyArray]:
    """Return position, value, slope and extent, from the extrema of the slopes.

    Between two single slopes it is the zero of the second derivative of the cubic through four
    samples, in Newton's form: `s`, `c` and `d` are divided differences of order 1, 2 and 3.
    """
    first, last = extrema.first, extrema.last + 1  # samples of a straight piece or a step
    start = extrema.curve * rows.shape[1]
    a, b = as_wide(gather(rows, start + first)), as_wide(gather(rows, start + last))
    lower = (x[first] + x[first + 1] + x[np.minimum(first + 2, last)]) / 3
    upper = (x[last] + x[last - 1] + x[np.maximum(last - 2, first)]) / 3
    position, extent = (lower + upper) / 2, np.abs(upper - lower)
    slope = (b - a) / (x[last] - x[first])
    value = a + slope * (position - x[first])
    bends = extrema.first == extrema.last
    i = first[bends]
    y = samples_around(rows, extrema.select(bends), range(-1, 3))
    at = [x[i + k] for k in range(-1, 3)]
    s = [(y[k + 1] - y[k]) / (at[k + 1] - at[k]) for k in range(3)]
    c = [(s[k + 1] - s[k]) / (at[k + 2] - at[k]) for k in range(2)]
    d = (c[1] - c[0]) / (at[3] - at[0])
    where = (at[0] + at[1] + at[2]) / 3 + c[0] / (c[0] - c[1]) * (at[3] - at[0]) / 3
    p, q, r = (where - at[k] for k in range(3))
    position[bends], extent[bends] = where, 0
    value[bends] = y[0] + p * (s[0] + q * (c[0] + r * d))
    slope[bends] = s[0] + (p + q) * c[0] + (p * q + p * r + q * r) * d
    return position, value, slope, extent


def _units_per(x: Any, y: Array, axis: int, time_unit: str | None) -> float:
    """Return how many of the units that dates are counted in make one of `time_unit`."""
    dates = not is_library_array(x) and are_dates(x)
    if dates and time_unit is None:
        raise TypeError(
            "`spacing` must be numbers, or dates with a `time_unit`; got dates, or spans of time. "
            'Say which unit slopes are per, as in `time_unit="s"`.'
        )
    if dates != (time_unit is not None):
        parse_spacings((1.0 if x is None else x,), (axis,), y, time_unit)  # says what is wrong
    if not dates:
        return 1.0
    spans: NumpyArray = locate_samples(x, y, axis).restore_span(np.ones(1))
    return float((np.ones(1, f"m8[{time_unit}]") / spans)[0])
