"""Turning points of sampled curves, between the samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
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
from gpugrad._arrays import Array, NumpyArray, asnumpy, namespace_of, result_dtype
from gpugrad._grids import Axis, Spacing
from gpugrad._labels import accepts_labels


class TurningPoint(NamedTuple):
    """A maximum, minimum or plateau of a curve: one entry of `TurningPoints`.

    A loop over `TurningPoints` gives such points one by one.

    Parameters
    ----------
    position : number or date
        The coordinate of the point, which may lie between samples.
    value : number
        The value of the curve at the point.
    kind : str
        "maximum", "minimum" or "plateau".
    index : int
        The highest or lowest sample. Of several equal samples in a row, the middle one (the left
        one of two).
    extent : number or time
        The distance from the first to the last of several equal samples in a row; 0 for an extremum
        at a single sample.
    curve : int
        The number of the curve, counted in C order over all axes except `axis`.
    prominence : number or None
        The prominence of the point, if it was requested.

    See Also
    --------
    TurningPoints : The collection.

    Examples
    --------
    >>> import gpugrad
    >>> point = gpugrad.turning_points([0.0, 1.0, 0.0])[0]
    >>> print(point.kind, point.position)
    maximum 1.0
    """

    position: Any
    value: Any
    kind: str
    index: Any
    extent: Any
    curve: Any
    prominence: Any


@describe
@dataclass(frozen=True, eq=False, repr=False)
class TurningPoints(PointsOfCurves[TurningPoint]):
    """The maxima and minima of curves: arrays with one entry for each point.

    It is returned by `turning_points`. The points are ordered by curve, then by sample.

    {collection: help() shows this}

    Parameters
    ----------
    position : array of shape (points,)
        The coordinate of each point, in the unit of the coordinates. A point may lie between
        samples.
    value : array of shape (points,)
        The value of the curve at each point, in the unit of `f`.
    kind : numpy.ndarray of str of shape (points,)
        "maximum", "minimum" or "plateau".
    index : array of int of shape (points,)
        The highest or lowest sample. Of several equal samples in a row, the middle one (the left
        one of two).
    extent : array of shape (points,)
        The distance from the first to the last of several equal samples in a row, in the unit of
        the coordinates; 0 for an extremum at a single sample.
    curve : array of int of shape (points,)
        The number of the curve, counted in C order over all axes except `axis`.
    prominence : array of shape (points,), or None
        The prominence of each point, in the unit of `value`, if it was requested.

    See Also
    --------
    turning_points : Finds maxima and minima.

    Examples
    --------
    >>> import gpugrad
    >>> points = gpugrad.turning_points([0.0, 2.0, 1.0, 5.0, 0.0])
    >>> points
    3 turning points:
    position    value     kind  index  extent  curve
     1.16667  2.04167  maximum      1       0      0
         1.7    0.775  minimum      2       0      0
     2.94444  5.01389  maximum      3       0      0
    >>> points.select(kind="minimum").position
    array([1.7])
    >>> [point.kind for point in points[1:]]
    ['minimum', 'maximum']
    """

    _title = ("turning point", "turning points")
    _record = TurningPoint
    _kinds = ("maximum", "minimum", "plateau")

    @property
    def maxima(self) -> TurningPoints:
        """Return the maxima only.

        See Also
        --------
        TurningPoints.select : Chooses by more than the kind.

        Examples
        --------
        >>> import gpugrad
        >>> gpugrad.turning_points([0.0, 2.0, 1.0, 5.0, 0.0]).maxima.index
        array([1, 3])
        """
        return self.select(kind="maximum")

    @property
    def minima(self) -> TurningPoints:
        """Return the minima only.

        See Also
        --------
        TurningPoints.select : Chooses by more than the kind.

        Examples
        --------
        >>> import gpugrad
        >>> gpugrad.turning_points([0.0, 2.0, 1.0, 5.0, 0.0]).minima.index
        array([2])
        """
        return self.select(kind="minimum")


@accepts_labels
@describe
def turning_points(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    prominence: float | None = None,
    ends: bool = False,
    plateaus: bool = False,
) -> TurningPoints:
    r"""Find the maxima and minima of sampled curves, located between the samples.

    The peaks and troughs of a measured curve are located more accurately than to the nearest
    sample.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of one curve or of several: real numbers in an array of any library except Dask, a
        DataArray of xarray, a quantity, or a sequence. A NaN or a masked sample interrupts its
        curve.
    {spacing_and_axis: help() shows this}
    prominence : number, optional
        Return only extrema of at least this prominence, in the unit of `f`. Plateaus are not
        affected. This needs SciPy. By default all extrema are returned.
    ends : bool, optional
        Whether the ends of a curve, and samples next to a NaN, count as maxima or minima, too. By
        default False. Ends have no prominence (NaN) and are returned whatever `prominence` is.
    plateaus : bool, optional
        Whether to return plateaus, too: equal samples in a row between two rises or between two
        falls, where the curve pauses without turning. By default False.

    Returns
    -------
    TurningPoints
        A collection of points with the attributes ``position``, ``value``, ``kind``, ``index``,
        ``extent``, ``curve`` and ``prominence``, and with its ``maxima`` and ``minima``. They are
        1-D arrays of the library and on the device of `f`; ``kind`` and dates are NumPy arrays.
        Positions are in the unit of the coordinates, in double precision. Positions that are dates
        have a resolution of milliseconds, of microseconds if the coordinates are in milliseconds or
        microseconds, or that of the coordinates if it is finer. They belong to the calendar of
        cftime if the coordinates do.

    Raises
    ------
    TypeError
        If `f` is not an array of real numbers, or is lazy or traced by JAX: the number of points
        depends on the values.
    ValueError
        If coordinates do not match their axis, repeat a value, or both increase and decrease; if
        `prominence` is negative.
    ImportError
        If `prominence` is given and SciPy is not installed.

    See Also
    --------
    inflection_points : The points where the curvature changes its sign.
    critical_points : Minima, maxima and saddles of fields in two and three dimensions.

    Notes
    -----
    A curve turns at sample :math:`i` if it rises before the sample and falls after it, or the other
    way round. The samples are compared and not subtracted, so rounding neither hides nor creates an
    extremum. The position is the vertex of the parabola through the three samples. It is also the
    zero of the straight line through the two slopes :math:`s_\pm` at the midpoints :math:`m_\pm` of
    the steps:

    .. math::

        x^* = m_- + \frac{s_-}{s_- - s_+} (m_+ - m_-) + O(h^2), \qquad
        y^* = y_i + \tfrac12 (x^* - x_i)\, p'(x_i) + O(h^3)

    Several equal samples in a row, between a rise and a fall, are one extremum: at their middle,
    with their value. The prominence of a maximum is its height above a reference level. On each
    side, take the lowest point on the way to higher ground, or to the end of the curve; the higher
    of these two points is the reference level. The prominence of a minimum is defined likewise.
    Among the extrema of at least a given prominence, maxima and minima still alternate, unless two
    of them are of equal height.

    On a GPU, one pass finds the extrema. The host waits for it and receives three samples for each
    extremum, and with `prominence` all of `f`. Automatic differentiation does not pass through this
    function.

    References
    ----------
    The prominence is defined as in `scipy.signal.peak_prominences`.

    Examples
    --------
    The maximum and the minimum of a sine, and the turning points of five integers:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 6, 25)
    >>> points = gpugrad.turning_points(np.sin(x), x)
    >>> points.kind
    array(['maximum', 'minimum'], dtype='<U7')
    >>> points.position.round(2), points.value.round(2)
    (array([1.57, 4.71]), array([ 1., -1.]))
    >>> gpugrad.turning_points([0, 3, 1, 2, 0]).position.round(2)
    array([1.1 , 2.17, 2.83])
    """
    least = check_prominence(prominence)
    y, axis, rows = as_curves(f, axis)
    places = locate_samples(take_spacing(spacing, y, axis), y, axis)

    def keep(runs: Extrema) -> NumpyArray:
        chosen = np.ones(runs.curve.size, bool) if plateaus else runs.is_maximum | runs.is_minimum
        return chosen if ends else chosen & ~runs.at_end

    extrema = find_extrema(rows, rows.shape[1], partial(_compare_samples, rows), keep)
    row_of = () if least is None else asnumpy(rows)
    extrema, prominences = choose_prominent(row_of.__getitem__, extrema, least, keep_nan=True)
    position, value = _locate_extrema(rows, places.x, extrema)
    are_extrema = [extrema.is_maximum, extrema.is_minimum]
    dtype = result_dtype(namespace_of(y), y)
    return TurningPoints(
        position=places.restore(position),
        value=to_library(value, y, dtype),
        kind=np.select(are_extrema, ["maximum", "minimum"], "plateau"),
        index=to_library(extrema.middle, y),
        extent=places.restore_span(np.abs(places.x[extrema.last] - places.x[extrema.first])),
        curve=to_library(extrema.curve, y),
        prominence=None if prominences is None else to_library(prominences, y, dtype),
    )


def _compare_samples(rows: Array, curves: slice, first: int, stop: int) -> Array:
    """Return the steps between samples of some curves."""
    samples = as_single(rows[curves, first:stop])
    a, b = samples[:, :-1], samples[:, 1:]
    # Samples are compared, not subtracted: nothing overflows, and nothing is rounded.
    return encode_steps(namespace_of(samples), b > a, b < a, a == b)


def _locate_extrema(rows: Array, x: NumpyArray, extrema: Extrema) -> tuple[NumpyArray, NumpyArray]:
    """Return position and value: a vertex, the middle of a level run, or an end."""
    position = (x[extrema.first] + x[extrema.last]) / 2
    value = as_wide(gather(rows, extrema.curve * rows.shape[1] + extrema.first))
    sharp = (extrema.first == extrema.last) & ~extrema.at_end
    i = extrema.first[sharp]
    left, middle, right = samples_around(rows, extrema.select(sharp), range(-1, 2))
    with np.errstate(all="ignore"):  # samples may be infinite, or their differences
        before, after = (middle - left) / (x[i] - x[i - 1]), (right - middle) / (x[i + 1] - x[i])
        width = (x[i + 1] - x[i - 1]) / 2
        step = (x[i - 1] - x[i]) / 2 + width * (before / (before - after))
        slope = before + (after - before) / width * (x[i] - x[i - 1]) / 2
        top = middle + step * slope / 2
    is_finite = np.isfinite(step) & np.isfinite(top)
    position[sharp] += np.where(is_finite, step, 0)
    value[sharp] = np.where(is_finite, top, middle)
    return position, value
