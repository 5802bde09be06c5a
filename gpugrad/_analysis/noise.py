"""How noisy samples are, how far apart they had better be, and how wrong a derivative is."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    Backend,
    NumpyArray,
    as_field,
    asnumpy,
    from_host,
    is_library_array,
    namespace_of,
)
from gpugrad._grids import (
    ONE_SIDED,
    Axis,
    Boundary,
    EdgeOrder,
    Options,
    Period,
    Spacing,
    are_dates,
    parse_axes,
    parse_one_axis,
    parse_scheme,
    parse_spacings,
)
from gpugrad._labels import accepts_labels
from gpugrad._operators import derivative
from gpugrad._operators.descriptions import ONE_AXIS, describe
from gpugrad._operators.one_axis import check_one_spacing, find_even_step
from gpugrad._stencils import rows_of
from gpugrad._stencils.textbook import stencil

_ORDERS = 12
"""Differences taken at most."""

_ALIKE = 4.0
"""Estimates from three orders in a row agree if none is more than so many times another."""

_ABOVE = 4.0
"""Differences with so many times the variance of noise alone show the curve."""


@accepts_labels
def noise_level(f: Any, *, axis: Axis = -1) -> Any:
    r"""Estimate how noisy samples of a smooth curve are, without knowing the curve.

    Derivatives make noise larger, so this number tells whether to smooth, and how far apart samples
    should be.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of real numbers at even distances, 7 or more along the axis: an array of any
        library, a DataArray of xarray or a quantity.
    axis : int, optional
        The axis of the curves, by default the last; the name of a dimension for a DataArray.

    Returns
    -------
    float or array
        The standard deviation of the noise, in the unit of `f`, for each curve; NaN where the
        curve is too rough, or too coarsely sampled, to be told from noise. A float for one curve.

    Raises
    ------
    TypeError
        If samples are not real numbers.
    ValueError
        If there are fewer than 7.

    See Also
    --------
    recommended_spacing : The distance of samples that suits the noise.
    smooth_derivative : The derivative of noisy samples.

    Notes
    -----
    Of independent noise with the standard deviation :math:`\sigma`, the :math:`k`-th differences
    have the variance :math:`\binom{2k}{k} \sigma^2`, while differences of a smooth curve
    vanish as :math:`h^k`. Of the first three orders in a row that have differences of both signs,
    and estimates that agree within a factor of 4, the last estimate is returned, as it has the
    least of the curve in it. The host waits for a device; a lazy array is computed. Noise must be
    independent from sample to sample.

    References
    ----------
    J. J. Moré and S. M. Wild, "Estimating computational noise", *SIAM Journal on Scientific
    Computing* 33 (2011), 1292-1314.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 3, 500)
    >>> noise = 0.01 * np.random.default_rng(1).normal(size=x.size)
    >>> round(gpugrad.noise_level(np.sin(x) + noise), 3)
    0.01
    """
    f, axis = _as_real(f, axis)
    length = f.shape[axis]
    if length < 7:
        raise ValueError(f"`f` must have 7 samples or more along axis {axis}; got {length}.")
    xp = namespace_of(f)
    rows = xp.moveaxis(f, axis, -1)
    if array_api_compat.is_dask_array(f):  # one task for some curves, each of them whole
        rows = rows.rechunk({i: -1 if i == f.ndim - 1 else "auto" for i in range(f.ndim)})
        nothing = np.empty((0,) * (f.ndim - 1))
        level = rows.map_blocks(_find_levels, drop_axis=f.ndim - 1, meta=nothing).compute()
    else:
        level = _find_levels(rows)
    return float(level) if level.ndim == 0 else from_host(level, f)


def _find_levels(rows: Array) -> NumpyArray:
    """Return the noise of curves along the last axis."""
    xp = namespace_of(rows)
    estimates, mixed = [], []
    for k in range(1, min(_ORDERS, rows.shape[-1] - 3) + 1):
        rows = rows[..., 1:] - rows[..., :-1]
        estimates.append(asnumpy(xp.mean(rows * rows, axis=-1)) / math.comb(2 * k, k))
        signs = (xp.min(rows, axis=-1) < 0) & (xp.max(rows, axis=-1) > 0)
        mixed.append(asnumpy(signs))
    sigma = np.sqrt(np.array(estimates, np.float64))
    level = np.full(sigma.shape[1:], np.nan)
    # From the last order to the first: the first three that agree overwrite what later ones gave.
    for k in range(len(sigma) - 3, -1, -1):
        in_a_row = sigma[k : k + 3]
        alike = (in_a_row.max(axis=0) <= _ALIKE * in_a_row.min(axis=0)) & mixed[k]
        level = np.where(alike, sigma[k + 2], level)
    return level


class RecommendedSpacing(NamedTuple):
    """How far apart samples had better be, and what is to be expected then.

    What `recommended_spacing` returns.

    Parameters
    ----------
    spacing : float
        The distance between samples.
    error : float
        The error of the derivative at that distance, about.
    noise : float
        The standard deviation of the noise from which it follows.
    magnitude : float
        The size of the higher derivative from which it follows.
    stride : int or None
        Which samples of those given to take, every first, second, ..., if there were any.

    See Also
    --------
    recommended_spacing : Computes it.

    Examples
    --------
    >>> import gpugrad
    >>> best = gpugrad.recommended_spacing(noise=1e-16, magnitude=1.0)
    >>> print(best.stride, f"{best.spacing:.0e}")
    None 7e-06
    """

    spacing: float
    error: float
    noise: float
    magnitude: float
    stride: int | None


@accepts_labels
def recommended_spacing(
    f: Any = None,
    *spacing: Spacing,
    noise: Any = None,
    magnitude: Any = None,
    order: int = 1,
    accuracy: int = 2,
) -> RecommendedSpacing:
    r"""Recommend the distance between samples at which noise and truncation are in balance.

    Samples that are closer make a derivative noisy, samples that are farther apart make it coarse.

    Parameters
    ----------
    f : 1-D array, optional
        Samples of the curve at even distances, to estimate from what is not given: real and finite,
        of any library, a DataArray of xarray or a quantity.
    *spacing : number or 1-D array, optional
        The distance between these samples, by default 1, or their coordinates, which must be even.
        It may be given by keyword, as ``spacing=``.
    noise : number, optional
        The standard deviation of the noise in samples, in their unit. By default
        `noise_level` of `f`. For values that are computed, about 1e-16 times their size.
    magnitude : number, optional
        The size of the derivative of order ``order + accuracy``, on which the truncation depends.
        By default the root mean square of that of `f`, from differences that noise leaves alone.
    order : int, optional
        The order of the derivative that samples are for, 1 to 8.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The power of the spacing with which the error of the derivative vanishes.

    Returns
    -------
    RecommendedSpacing
        ``spacing``, the expected ``error``, ``noise``, ``magnitude`` and ``stride``; numbers, with
        units if `f` is a quantity.

    Raises
    ------
    TypeError
        If something is neither given nor to be had from `f`; if `f` has no real numbers; if the
        spacing is a time or a date.
    ValueError
        If `f` is not 1-D or not finite; if coordinates are uneven; if a number is not positive; if
        noise and magnitude cannot be told from `f`.

    See Also
    --------
    noise_level : How noisy samples are.
    error_estimate : How wrong a derivative is.

    Notes
    -----
    With the exact weights :math:`w` of the central formula and the coefficient :math:`c` of its
    leading error, as `stencil` has them, the error of order :math:`m` and accuracy :math:`p` is

    .. math::

        E(h)^2 = \left(c\, M h^p\right)^2 + \left(\sigma \lVert w \rVert h^{-m}\right)^2

    which is least where :math:`h^{2(m + p)} = m\, \sigma^2 \lVert w \rVert^2 / (p\, c^2 M^2)`.

    Examples
    --------
    >>> import gpugrad
    >>> best = gpugrad.recommended_spacing(noise=1e-16, magnitude=1.0)
    >>> print(f"{best.spacing:.0e}, error {best.error:.0e}")
    7e-06, error 1e-11
    """
    scheme = parse_scheme(Options(order, accuracy))
    order, accuracy = scheme.order, scheme.accuracy
    if f is None and (noise is None or magnitude is None):
        raise TypeError("`noise` and `magnitude` must be given where there are no samples `f`.")
    if f is not None:
        f = _as_one_curve(f)
        step = _find_distance(f, spacing)
    level = noise_level(f) if noise is None else _parse_positive(noise, "noise")
    if not level > 0:
        raise ValueError(
            f"`noise` must be given: estimated from `f` it is {level}. The samples have none, or "
            "lie too far apart to tell it from the curve."
        )
    if magnitude is None:
        magnitude = _estimate_magnitude(
            asnumpy(f).astype(np.float64), step, level, order + accuracy
        )
    size = _parse_positive(magnitude, "magnitude")
    formula = stencil(order, accuracy)
    spread = math.sqrt(sum(float(w) ** 2 for w in formula.weights)) * level
    c = abs(float(formula.error.coefficient)) * size
    best = (math.sqrt(order / accuracy) * spread / c) ** (1 / (order + accuracy))
    error = math.hypot(c * best**accuracy, spread / best**order)
    stride = None if f is None else max(1, round(best / step))
    return RecommendedSpacing(best, error, level, size, stride)


def _as_one_curve(f: Any) -> Array:
    f, _ = _as_real(f, 0)
    if f.ndim != 1:
        raise ValueError(f"`f` must be one curve, 1-D; got shape {tuple(f.shape)}.")
    if not np.isfinite(asnumpy(f)).all():
        raise ValueError(
            "`f` must be finite; got NaN or infinity. Take a piece of the curve without them, as "
            "samples must stay even."
        )
    return f


def _find_distance(f: Array, spacing: tuple[Any, ...]) -> float:
    """Return the distance between the samples of a curve."""
    check_one_spacing(spacing)
    for x in spacing:
        if not is_library_array(x) and are_dates(x):
            raise TypeError(
                "`spacing` must be a number, or numbers; got times or dates. Divide times by a "
                "unit first, as in `(t - t[0]) / numpy.timedelta64(1, 's')`."
            )
    (step,) = parse_spacings(spacing, (0,), f)
    distance = find_even_step(step, *spacing)
    if distance is None:
        raise ValueError(
            "`spacing` must be even: noise is told from differences at even distances; got uneven "
            "coordinates. Interpolate, or give `noise` and `magnitude` without `f`."
        )
    if np.ndim(spacing[0] if spacing else 1.0):
        return abs(distance)
    return _parse_positive(distance, "spacing")


def _estimate_magnitude(f: NumpyArray, spacing: float, noise: float, order: int) -> float:
    """Return the size of a derivative, from the nearest samples that tell it from noise."""
    # The variance that noise alone gives to differences of this order.
    floor = math.comb(2 * order, order) * noise**2
    for stride in range(1, (f.size - 1) // order + 1):
        differences = f
        for _ in range(order):
            differences = differences[stride:] - differences[:-stride]
        power = float(np.mean(differences**2))
        if power > _ABOVE * floor:
            return math.sqrt(power - floor) / (stride * spacing) ** order
    raise ValueError(
        f"`magnitude` must be given: noise hides the derivative of order {order} of `f` at any "
        "distance of its samples. Lower `order` or `accuracy`, or give longer samples."
    )


@accepts_labels
@describe(
    f="""
f : array of shape (n_0, ..., n_k)
    Samples of a field: an array of any library, a DataArray of xarray, a quantity, or a
    nested sequence.
""",
    axis=ONE_AXIS,
    accuracy="""
accuracy : {2, 4, 6, 8, 10}, optional
    The power of the spacing with which the error inside vanishes.
""",
    value_errors="; if the axis is too short for the next higher accuracy",
)
def error_estimate(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    order: int = 1,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    backend: Backend | None = None,
) -> Array:
    r"""Estimate how wrong a derivative is at each sample, by comparing two accuracies.

    The options are those of the derivative whose error is asked for.

    Parameters
    ----------
    {parameters}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The estimate, not negative, in the unit of the derivative, with the library and the device
        of `f`.

    {errors}

    See Also
    --------
    derivative : The derivative whose error this is.
    recommended_spacing : The distance of samples at which the error is least.

    Notes
    -----
    Of derivatives :math:`D_p` and :math:`D_{p+2}` with two accuracies, the second one is so much
    better on a well-sampled field that their difference is the error of the first,

    .. math:: |D_p f - f^{(m)}| = |D_p f - D_{p+2} f| + O(h^{p+2})

    The estimate is the greatest among the sample and its two neighbours, as the error passes
    through zero between places where it has opposite signs. It bounds the error at nearly all
    samples of a smooth field; it knows nothing of what happens between samples, and of noise it
    only sees how differently the two accuracies take it.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 3, 31)
    >>> estimate = gpugrad.error_estimate(np.sin(x), x)
    >>> error = abs(gpugrad.derivative(np.sin(x), x) - np.cos(x))
    >>> float(estimate[2:-2].max().round(4)), float(error[2:-2].max().round(4))
    (0.0017, 0.0016)
    """
    f = as_field(f)
    check_one_spacing(spacing)
    (at,) = parse_axes(parse_one_axis(axis), f.ndim)
    options: dict[str, Any] = {"order": order, "boundary": boundary, "period": period}
    options |= {"axis": at, "time_unit": time_unit, "backend": backend}
    ends: dict[str, Any] = {"edge_accuracy": edge_accuracy, "edge_order": edge_order}
    # The better derivative has its own accuracy at the ends, too: else both would be wrong alike.
    low = derivative(f, *spacing, accuracy=accuracy, **ends, **options)
    high = derivative(f, *spacing, accuracy=accuracy + 2, **options)
    xp = namespace_of(low)
    size = xp.abs(low - high)
    rows = partial(rows_of, size.ndim, at)
    after = xp.concat([size[rows(1, None)], size[rows(-1, None)]], axis=at)
    before = xp.concat([size[rows(0, 1)], size[rows(0, -1)]], axis=at)
    return xp.maximum(size, xp.maximum(before, after))


def _as_real(f: Any, axis: Axis) -> tuple[Array, int]:
    f = as_field(f)
    xp = namespace_of(f)
    if not xp.isdtype(f.dtype, "real floating"):
        if not xp.isdtype(f.dtype, "integral"):
            raise TypeError(f"`f` must hold real numbers; got dtype {f.dtype}.")
        f = xp.astype(f, xp.float64)
    return f, parse_axes(parse_one_axis(axis), f.ndim)[0]


def _parse_positive(number: Any, name: str) -> float:
    try:
        value = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must be a number; got {number!r}.") from error
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{name}` must be positive and finite; got {number}.")
    return value
