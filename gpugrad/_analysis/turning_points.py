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
    """A point at which a curve turns: one entry of `TurningPoints`.

    It is what a loop over the collection gives: the entries of one point.

    Parameters
    ----------
    position : number or date
        Where the point is, between the samples: a coordinate.
    value : number
        The curve there.
    kind : str
        "maximum", "minimum" or "plateau".
    index : int
        The highest or lowest sample; of a level run the middle one, the left of two.
    extent : number or time
        From the first to the last sample of a level run; 0 for an extremum at one sample.
    curve : int
        The number of the curve, counted in C order over all axes but `axis`.
    prominence : number or None
        How far the point stands out, if that was asked for.

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
    """Where curves turn: arrays with one entry for each point, curve by curve, sample by sample.

    `turning_points` returns it.

    {collection: help() shows this}

    Parameters
    ----------
    position : array of shape (points,)
        Where each point is, between the samples: a coordinate, in the unit of the coordinates.
    value : array of shape (points,)
        The curve there, in the unit of `f`.
    kind : numpy.ndarray of str of shape (points,)
        "maximum", "minimum" or "plateau".
    index : array of int of shape (points,)
        The highest or lowest sample; of a level run the middle one, the left of two.
    extent : array of shape (points,)
        From the first to the last sample of a level run, in the unit of the coordinates; 0 for an
        extremum at one sample.
    curve : array of int of shape (points,)
        The number of the curve, counted in C order over all axes but `axis`.
    prominence : array of shape (points,), or None
        How far each point stands out, in the unit of `value`, if that was asked for.

    See Also
    --------
    turning_points : Finds them.

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
        """The maxima alone.

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
        """The minima alone.

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
    r"""Find where sampled curves turn: maxima and minima, located between the samples.

    It finds the peaks and troughs of measured curves more exactly than to the nearest sample.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a curve, or of many: real numbers in an array of any library but Dask, a
        DataArray of xarray, a quantity, or a sequence. A NaN, or a masked sample, ends a
        curve; it goes on behind it.
    {spacing_and_axis: help() shows this}
    prominence : number, optional
        Leave out extrema that stand out by less, in the unit of `f`; level runs that are no extrema
        stay. That needs SciPy.
    ends : bool, optional
        Whether the ends of a curve, and samples beside a NaN, count as maxima or minima too. They
        have no prominence (NaN), and are kept whatever is asked of others.
    plateaus : bool, optional
        Whether level runs count between two rises or two falls, where a curve rests but does not
        turn.

    Returns
    -------
    TurningPoints
        A collection of points: ``position``, ``value``, ``kind``, ``index``, ``extent``, ``curve``
        and ``prominence``, 1-D arrays in the library and on the device of `f` (``kind`` and dates
        are NumPy's), with attributes ``maxima`` and ``minima``. Positions are in the unit of the
        coordinates, in double precision; dates are as fine as milliseconds, those in seconds or
        less a thousandth of it, down to microseconds (nanoseconds stay), and of the calendar of
        cftime where the coordinates are.

    Raises
    ------
    TypeError
        If `f` is no array of real numbers, or lazy, or traced by JAX: how many points there are
        depends on the values.
    ValueError
        If coordinates do not fit, repeat a value or go up and down; if `prominence` is negative.
    ImportError
        If `prominence` is asked for and SciPy is not there.

    See Also
    --------
    inflection_points : Where the curvature changes its sign.
    critical_points : Minima, maxima and saddles of fields in two and three dimensions.

    Notes
    -----
    A curve turns at sample :math:`i` if it rises before and falls after it, or the contrary. The
    samples are compared, not subtracted, so rounding neither hides nor makes one. The place is the
    vertex of the parabola through the three samples, which is where the line through the two
    slopes :math:`s_\pm` at the midpoints :math:`m_\pm` of the steps is zero:

    .. math::

        x^* = m_- + \frac{s_-}{s_- - s_+} (m_+ - m_-) + O(h^2), \qquad
        y^* = y_i + \tfrac12 (x^* - x_i)\, p'(x_i) + O(h^3)

    Several equal samples in a row, between a rise and a fall, are one extremum: at their middle,
    with their value. An extremum stands out by its prominence: the height of a maximum above
    the higher of the two lowest points that one has to pass on the way to higher ground, or to the
    end, on either side. Among those that stand out by a given prominence,
    maxima and minima still alternate, unless two are of equal height.

    On a GPU, one pass finds the extrema. The host waits for it, and gets three samples
    for each, and with `prominence` all of `f`. Nothing is differentiated through.

    References
    ----------
    `scipy.signal.peak_prominences`, whose definition of prominence this is.

    Examples
    --------
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
