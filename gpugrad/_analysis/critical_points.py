"""Critical points of sampled fields: minima, maxima and saddles, between the samples."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._analysis.descriptions import describe
from gpugrad._analysis.extrema import (
    as_numbers,
    as_wide,
    gather,
    locate_samples,
    make_comparable,
    to_library,
)
from gpugrad._analysis.level_regions import find_level_regions
from gpugrad._analysis.newton import Surfaces, find_zeros
from gpugrad._analysis.point_collection import PointCollection
from gpugrad._arrays import Array, NumpyArray, asnumpy, is_library_array, namespace_of, result_dtype
from gpugrad._grids import (
    Boundary,
    Period,
    Spacing,
    are_dates,
    parse_boundaries,
    parse_periods,
    parse_spacings,
    warn_of_repeats,
)
from gpugrad._labels import accepts_labels
from gpugrad._stencils import rows_of

_TWINS = 1e-3
"""Points nearer than this, in steps of the grid, are the same one, reached from two samples."""

_DOUBT = 0.1
"""Bends this small, in comparison with what a quadratic leaves out, do not tell a kind."""


class CriticalPoint(NamedTuple):
    """A point at which the gradient of a field is zero: one entry of `CriticalPoints`.

    A loop over `CriticalPoints` gives such points one by one.

    Parameters
    ----------
    position : array of shape (n,)
        The n coordinates of the point, which may lie between samples.
    value : number
        The value of the field at the point.
    kind : str
        "minimum", "maximum", "saddle" or "degenerate".
    index : array of int of shape (n,)
        The indices of the nearest sample.
    eigenvalues : array of shape (n,)
        The eigenvalues of the Hessian, in ascending order.

    See Also
    --------
    CriticalPoints : The collection.

    Examples
    --------
    >>> import gpugrad
    >>> point = gpugrad.critical_points([[2.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]])[0]
    >>> print(point.kind, point.position, point.eigenvalues)
    minimum [1. 1.] [2. 2.]
    """

    position: Any
    value: Any
    kind: str
    index: Any
    eigenvalues: Any


@describe
@dataclass(frozen=True, eq=False, repr=False)
class CriticalPoints(PointCollection[CriticalPoint]):
    """The points at which the gradient of a field is zero: arrays with one entry for each point.

    It is returned by `critical_points`.

    {collection: help() shows this}

    Parameters
    ----------
    position : array of shape (points, n)
        The n coordinates of each point, in their unit. A point may lie between samples.
    value : array of shape (points,)
        The value of the field at each point, in the unit of `f`.
    kind : numpy.ndarray of str of shape (points,)
        "minimum", "maximum", "saddle" or "degenerate".
    index : array of int of shape (points, n)
        The indices of the nearest sample.
    eigenvalues : array of shape (points, n)
        The eigenvalues of the Hessian, in ascending order, in the unit of `f` per squared unit of
        the coordinates.

    See Also
    --------
    critical_points : Finds critical points.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.critical_points([[2.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]])
    1 critical point:
    position_0  position_1  value     kind  index_0  index_1  eigenvalues_0  eigenvalues_1
             1           1      0  minimum        1        1              2              2
    """

    position: Array
    value: Array
    kind: NumpyArray
    index: Array
    eigenvalues: Array

    _title = ("critical point", "critical points")
    _record = CriticalPoint
    _kinds = ("minimum", "maximum", "saddle", "degenerate")


@accepts_labels
def critical_points(
    f: Any, *spacing: Spacing, boundary: Boundary = "one-sided", period: Period | None = None
) -> CriticalPoints:
    r"""Find the minima, maxima and saddles of a sampled field, located between the samples.

    Critical points are the points at which the gradient of the field is zero. They are the summits,
    hollows and passes of a landscape, for example.

    Parameters
    ----------
    f : array of shape (n_0, n_1) or (n_0, n_1, n_2)
        Samples of a field in two or three dimensions: real numbers in an array of any library
        except Dask. No point is found next to a NaN or a masked sample.
    *spacing : number or 1-D array, optional
        By default 1 along every axis. A single number is the distance between samples along every
        axis. Otherwise give one entry for each axis: a distance, or the coordinates of the samples,
        which must increase or decrease and need not be even. Dates are not accepted. The spacing
        may also be given by keyword, as ``spacing=``.
    boundary : {"one-sided", "periodic"} or dict, optional
        Whether the axes are periodic, by default "one-sided". If the axes differ, a dict, as in
        ``{0: "periodic"}``; for a DataArray its keys may be names of dimensions.
    period : number or dict, optional
        The period of the periodic axes, in the unit of their coordinates; a dict if they differ. By
        default the extent of the coordinates and one more step.

    Returns
    -------
    CriticalPoints
        A collection of points with the attributes ``position``, ``value``, ``kind``, ``index`` and
        ``eigenvalues``, ordered by the nearest sample. Its arrays belong to the library and the
        device of `f`, except ``kind``, which is a NumPy array.

    Raises
    ------
    TypeError
        If `f` is not an array of real numbers, or is lazy or traced: the number of points depends
        on the values.
    ValueError
        If `f` does not have two or three axes, or has fewer than three samples along an axis; if
        coordinates do not match their axis.

    See Also
    --------
    turning_points : Maxima and minima of curves.

    Notes
    -----
    Between the samples, the field is continued by parabolas that blend into each other: the
    gradient :math:`g` at a sample is taken from central differences, and the Hessian :math:`H` from
    the :math:`3^n` samples around. From there, Newton's steps

    .. math:: \delta = -H^{-1} g

    lead to the point where the gradient of the continued field is zero. On smooth fields the error
    of the position is :math:`O(h^2)`, and the error of the value is no larger.

    The kind follows from the signs of the eigenvalues of the Hessian. The sign of an eigenvalue is
    regarded as unknown if the change of the field that it causes over one step is smaller than a
    tenth of what the quadratic around the sample leaves out, or no larger than rounding. Then the
    point is "degenerate", and there may be more such points nearby, for example along a valley with
    a level floor that is oblique to the axes. A point that splits under the smallest change of the
    field, as a monkey saddle splits into two saddles, may be found split. A field that is constant,
    or constant along an axis, has no isolated critical point, and none is found.

    A level region consists of neighbouring samples of equal value, with at least three of them in a
    row along an axis. If all samples around a level region are lower, it is one "maximum", and if
    they are higher, one "minimum"; the point lies in the middle of the region and its eigenvalues
    are zero. Any other level region has one "degenerate" point or none, in addition to saddles
    where level lines cross. Level regions that reach an edge of the grid or a missing value have no
    point.

    Points are found up to the middle of the outermost steps of the grid. Extrema on an edge of the
    grid, where the gradient is not zero, are not among them. Two points that are closer than about
    two steps may not be separated. Noisy fields have many critical points; smooth such fields
    first.

    The samples are compared on the device of the array. The host waits for the device and receives
    :math:`3^n` samples for each candidate.

    Examples
    --------
    The field :math:`x^3 - 3 x + y^2` has a saddle and a minimum:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.linspace(-2, 2, 41), np.linspace(-2, 2, 51)
    >>> f = x[:, None] ** 3 - 3 * x[:, None] + y[None, :] ** 2
    >>> points = gpugrad.critical_points(f, x, y)
    >>> points.kind
    array(['saddle', 'minimum'], dtype='<U10')
    >>> points.position.round(2) + 0.0
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> points.value.round(2)
    array([ 2., -2.])
    """
    f = as_numbers(f)
    if isinstance(f, np.ndarray) and f.dtype.itemsize > 8:
        f = f.astype(np.float64)  # NumPy's linear algebra has no longer ones
    shape, n = tuple(f.shape), f.ndim
    if n not in (2, 3) or min(shape) < 3:
        raise ValueError(
            "`f` must have two or three axes of at least 3 samples; got shape "
            f"{shape}. For curves there is `turning_points`."
        )
    axes = _read_axes(f, spacing, boundary, period)
    xp = namespace_of(f)
    wide = make_comparable(f)
    for k, axis in enumerate(axes):
        if axis.period is not None:
            first, last = wide[rows_of(n, k, 0, 2)], wide[rows_of(n, k, -2, None)]
            wide = xp.concat([last, wide, first], axis=k)
    rows = _find_candidates(xp, wide)
    for k, axis in enumerate(axes):
        inside = (rows[:, k] >= axis.shift) & (rows[:, k] < axis.shift + shape[k])
        rows = rows[inside]
    pieces = Surfaces(
        _gather_windows(wide, rows),
        np.stack([axis.around(r) for axis, r in zip(axes, rows.T, strict=True)], axis=1),
    )
    # Several samples may lead to one zero, and Newton's steps may end beside the sample they began
    # at: what counts is where they ended, in steps of the grid, so that all axes compare alike.
    which, step = find_zeros(pieces)
    rows, pieces = rows[which], pieces.select(which)
    places_in_steps = rows + pieces.count_steps(step)
    lengths = [np.inf if a.period is None else n for a, n in zip(axes, shape, strict=True)]
    chosen = _drop_twins(places_in_steps, lengths)
    index = np.rint(places_in_steps[chosen]).astype(int) - [axis.shift for axis in axes]
    index %= np.array(shape)
    rows, pieces, step = rows[chosen], pieces.select(chosen), step[chosen]
    value, _, hessian = pieces.expand(step)
    places = [axis.place(r, d) for axis, r, d in zip(axes, rows.T, step.T, strict=True)]
    points = _PointEntries(
        np.stack(places, axis=-1),
        value,
        _name_kinds(hessian, pieces),
        index,
        np.linalg.eigvalsh(hessian),
    )
    points = _merge_level_regions(wide, points, axes)
    points = points.select(np.lexsort(points.index.T[::-1]))
    return CriticalPoints(
        position=to_library(points.position, f),
        value=to_library(points.value, f, result_dtype(xp, f)),
        kind=points.kind,
        index=to_library(points.index, f),
        eigenvalues=to_library(points.eigenvalues, f),
    )


class _PointEntries(NamedTuple):
    """The entries of `CriticalPoints`, on the host."""

    position: NumpyArray
    value: NumpyArray
    kind: NumpyArray
    index: Any
    eigenvalues: NumpyArray

    def select(self, chosen: NumpyArray) -> _PointEntries:
        return _PointEntries(*(entries[chosen] for entries in self))


def _merge_level_regions(
    wide: Array, points: _PointEntries, axes: Sequence[_Axis]
) -> _PointEntries:
    """Return points with those in a level region replaced by the one that it has, if any."""
    shifts = [axis.shift for axis in axes]
    if not _have_equal_neighbours(wide, points.index + shifts):
        return points
    inside = tuple(slice(k, n - k) for k, n in zip(shifts, wide.shape, strict=True))
    regions = find_level_regions(as_wide(asnumpy(wide[inside])), [k > 0 for k in shifts])
    if regions is None:
        return points
    at, count = tuple(points.index.T), regions.value.size
    number, kind = regions.number[at], regions.kind
    is_extremum = np.isin(kind, ["maximum", "minimum"])
    # Between what is higher and what is lower, a point stays where lines of the region cross. Else
    # the region has one where there was one before.
    stays = (number < 0) | (regions.is_crossing[at] & ~is_extremum[number])
    before, after = (
        np.bincount(number[chosen], minlength=count) > 0
        for chosen in (number >= 0, stays & (number >= 0))
    )
    has_point = is_extremum | ((kind == "degenerate") & regions.is_around_middle & before & ~after)
    places = np.where(regions.is_around_middle[:, None], regions.middle, regions.nearest)
    merged = _PointEntries(
        np.stack([axis.interpolate(x) for axis, x in zip(axes, places.T, strict=True)], axis=-1),
        regions.value,
        kind,
        regions.nearest,
        np.zeros(places.shape),
    ).select(has_point)
    others = points.select(stays)
    return _PointEntries(*map(np.concatenate, zip(others, merged, strict=True)))


def _have_equal_neighbours(wide: Array, index: NumpyArray) -> bool:
    """Tell whether one of some samples is as high as one of its 3^n neighbours."""
    if not index.size:
        return False
    n = wide.ndim
    windows = _gather_windows(wide, index)[(slice(None), *[slice(1, 4)] * n)]
    equal = (windows == windows[(slice(None), *[slice(1, 2)] * n)]).reshape(len(index), -1)
    return bool((equal.sum(axis=-1) > 1).any())


class _Axis(NamedTuple):
    """The coordinates of the samples along an axis; if it goes round, of two more at each end."""

    x: NumpyArray
    period: float | None

    @property
    def shift(self) -> int:
        return 0 if self.period is None else 2

    def around(self, row: NumpyArray) -> NumpyArray:
        """Return where five samples lie as seen from their middle, NaN beyond an edge."""
        x = np.pad(self.x, 2, constant_values=np.nan)
        return np.asarray(x[row[:, None] + np.arange(5)] - self.x[row][:, None])

    def place(self, row: NumpyArray, step: NumpyArray) -> NumpyArray:
        """Return coordinates; on a periodic axis within one period of the first sample."""
        place: NumpyArray = self.x[row] + step
        if self.period is None:
            return place
        return self._wrap(place)

    def interpolate(self, sample: NumpyArray) -> NumpyArray:
        """Return the coordinates of places that are counted in samples."""
        x = self.x if self.period is None else self.x[2:]
        place: NumpyArray = np.interp(sample, np.arange(x.size), x)
        return place if self.period is None else self._wrap(place)

    def _wrap(self, place: NumpyArray) -> NumpyArray:
        origin, period = float(self.x[2]), float(self.period or 1)
        return origin + (place - origin) / period % 1 * period


def _read_axes(f: Array, spacing: tuple[Any, ...], boundary: Any, period: Any) -> list[_Axis]:
    n = f.ndim
    sides = parse_boundaries(boundary, range(n), n)
    if any(side.name not in ("one-sided", "periodic") for pair in sides for side in pair):
        raise ValueError(f'`boundary` must be "one-sided" or "periodic"; got {boundary!r}.')
    if len(spacing) not in (0, n):
        parse_spacings(spacing, tuple(range(n)), f)  # raises, unless it is one number for all
    coordinates = spacing * n if len(spacing) == 1 else spacing or (None,) * n
    axes = []
    periods = parse_periods(period, sides, range(n), n)
    warn_of_repeats(f, range(n), sides, periods)
    for k, (x, (lower, _), span) in enumerate(zip(coordinates, sides, periods, strict=True)):
        if not is_library_array(x) and are_dates(x):
            raise TypeError(
                f"coordinates of axis {k} must be numbers, as distances in a field are; got dates. "
                "Pass the time since one of them."
            )
        places = locate_samples(x, f, k).x
        if lower.name != "periodic":
            axes.append(_Axis(places, None))
            continue
        extent = places[-1] - places[0]
        mean_step = (places[1] - places[0] + places[-1] - places[-2]) / 2
        closing = mean_step if span is None else np.sign(extent) * span - extent
        if not closing * extent > 0:
            raise ValueError(
                f"`period` of axis {k} must be greater than the distance from the first sample to "
                f"the last, {abs(extent)}; got {span}."
            )
        span = extent + closing
        wrapped = [*(places[-2:] - span), *places, *(places[:2] + span)]
        axes.append(_Axis(np.array(wrapped), float(span)))
    return axes


def _find_candidates(xp: ModuleType, f: Array) -> NumpyArray:
    """Return the samples around which differences along each axis have both signs.

    Only these samples matter for a quadratic whose critical point is nearer than one step: the
    middles between the 3^n samples surround it, and the differences vanish on a plane between.
    """
    mask = None
    for axis in range(f.ndim):
        a, b = f[rows_of(f.ndim, axis, 0, -1)], f[rows_of(f.ndim, axis, 1, None)]
        for step in (b >= a, b <= a, b != a):
            is_near = _spread_steps(step, axis)
            mask = is_near if mask is None else mask & is_near
    return np.stack([asnumpy(i) for i in xp.nonzero(mask)], axis=-1) + 1


def _spread_steps(step: Array, axis: int) -> Array:
    """Tell for each sample but the outermost whether a step of its 3^n samples is of the kind."""
    for k in range(step.ndim):
        count = 2 if k == axis else 3
        width = step.shape[k] - count + 1
        shifted = (step[rows_of(step.ndim, k, i, i + width)] for i in range(count))
        step = reduce(operator.or_, shifted)
    return step


def _gather_windows(f: Array, rows: NumpyArray) -> NumpyArray:
    """Return the 5^n samples around each row's sample, on the host, 0 beyond an edge."""
    n, shape = f.ndim, tuple(f.shape)
    places = rows.T.reshape(n, -1, *[1] * n) + np.indices((5,) * n)[:, None] - 2
    lengths = np.reshape(shape, (n, *[1] * (n + 1)))
    inside = ((places >= 0) & (places < lengths)).all(axis=0)
    flat = np.ravel_multi_index(tuple(places), shape, mode="clip")
    return np.where(inside, as_wide(gather(f, flat.reshape(-1))).reshape(flat.shape), 0.0)


def _name_kinds(hessian: NumpyArray, pieces: Surfaces) -> NumpyArray:
    spacing = pieces.spacing
    bend = np.linalg.eigvalsh(hessian * spacing[:, :, None] * spacing[:, None, :])
    unsure = np.abs(bend).min(axis=-1, initial=np.inf) / 2 <= _DOUBT * _measure_misfit(pieces)
    is_kind = [unsure, (bend > 0).all(axis=-1), (bend < 0).all(axis=-1)]
    return np.select(is_kind, ["degenerate", "minimum", "maximum"], "saddle")


def _measure_misfit(pieces: Surfaces) -> NumpyArray:
    """Return by how much the quadratic around a sample misses its neighbours, or rounding."""
    n = pieces.nodes.shape[1]
    middle, slope, bend = pieces.expand(np.zeros(pieces.nodes.shape[:2]))
    worst: NumpyArray = (
        8 * np.finfo(float).eps * np.abs(pieces.values).max(axis=tuple(range(1, n + 1)))
    )
    for corner in product((1, 2, 3), repeat=n):
        at = np.stack([pieces.nodes[:, k, side] for k, side in enumerate(corner)], axis=-1)
        fit = middle + (slope * at).sum(axis=-1) + np.einsum("mij,mi,mj->m", bend, at, at) / 2
        index: Any = (slice(None), *corner)
        worst = np.maximum(worst, np.abs(fit - pieces.values[index]))
    return worst


def _drop_twins(points: NumpyArray, periods: list[float]) -> NumpyArray:
    """Return the indices of points, ascending, that are not the same as one before."""
    spans = np.array(periods)
    goes_round = np.isfinite(spans)
    around = np.where(goes_round, spans, 0.0)
    first = points[:, 0] % spans[0] if goes_round[0] else points[:, 0]
    order = np.argsort(first, kind="stable")
    along = first[order]
    # The sorted axis has two ends, but a periodic one goes on there: its first points come once
    # more, a period later, so that twins across the ends are neighbours too.
    if goes_round[0]:
        behind = np.flatnonzero(along < _TWINS)
        order = np.concatenate([order, order[behind]])
        along = np.concatenate([along, along[behind] + spans[0]])
    is_twin = np.zeros(len(points), bool)
    for k in range(1, len(order)):  # each with the k-th after it, along the first axis
        close = np.flatnonzero(along[k:] - along[:-k] < _TWINS)
        if not len(close):
            break
        first_of_pair, second_of_pair = order[close], order[close + k]
        offset = points[first_of_pair] - points[second_of_pair]
        offset -= around * np.rint(offset / spans)
        same = (np.abs(offset) < _TWINS).all(axis=-1) & (first_of_pair != second_of_pair)
        is_twin[np.maximum(first_of_pair, second_of_pair)[same]] = True
    return np.flatnonzero(~is_twin)
