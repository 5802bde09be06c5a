"""How noisy samples are, and how far apart they had better be."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    NumpyArray,
    as_field,
    asnumpy,
    dtype_name,
    from_host,
    host_values,
    is_library_array,
    is_unmasked_subclass,
    namespace_of,
    widest_float,
)
from gpugrad._grids import (
    Axis,
    Options,
    Spacing,
    are_dates,
    parse_axes,
    parse_one_axis,
    parse_scheme,
    parse_spacings,
)
from gpugrad._labels import accepts_labels
from gpugrad._operators.one_axis import check_one_spacing, find_even_step
from gpugrad._stencils import rows_of
from gpugrad._stencils.textbook import stencil

_ORDERS = 12
"""Differences taken at most."""

_ALIKE = 4.0
"""Estimates from three orders in a row agree if none is more than so many times another."""

_TOGETHER = 1 << 17
"""Samples on the host that are looked at together: few enough for a processor's cache."""

_ABOVE = 4.0
"""Differences with so many times the variance of noise alone show the curve."""


@accepts_labels
def noise_level(f: Any, *, axis: Axis = -1) -> Any:
    r"""Estimate the standard deviation of the noise in samples of a smooth curve.

    Nothing needs to be known about the curve. Derivatives amplify noise, so the estimate helps to
    decide whether to smooth the samples, and how far apart samples should be.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of real numbers at even distances, at least 7 along the axis: an array of any
        library, a DataArray of xarray or a quantity. Differences that contain masked samples are
        left out.
    axis : int, optional
        The axis along which the curves run, by default the last one. For a DataArray, also the name
        of a dimension.

    Returns
    -------
    float or array
        The standard deviation of the noise of each curve, in the unit of `f`; a float if there is
        one curve. It is NaN if the curve contains NaN, or if it is too rough or too coarsely
        sampled to be distinguished from noise.

    Raises
    ------
    TypeError
        If the samples are not real numbers.
    ValueError
        If there are fewer than 7 samples along the axis.

    See Also
    --------
    recommended_spacing : The distance between samples that suits the noise.
    smooth_derivative : The derivative of noisy samples.

    Notes
    -----
    The noise must be independent from sample to sample. For noise of standard deviation
    :math:`\sigma`, the :math:`k`-th differences have the variance :math:`\binom{2k}{k} \sigma^2`,
    while the differences of a smooth curve decrease as :math:`h^k`. The method looks for the first
    three successive orders whose differences have both signs and whose estimates agree within a
    factor of 4. It returns the last of the three estimates, which contains least of the curve. To
    avoid overflow and underflow of squares, each curve is first divided by a power of two, and half
    precision is converted to single precision. The host waits for a device, and a lazy array is
    computed.

    References
    ----------
    J. J. Moré and S. M. Wild, "Estimating computational noise", *SIAM Journal on Scientific
    Computing* 33 (2011), 1292-1314.

    Examples
    --------
    A sine with noise of standard deviation 0.01:

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
        raise ValueError(
            f"`f` must have 7 samples or more along axis {axis}; got {length}. Pass a longer curve."
        )
    # The result is on the host in any case, and JAX would compile each of the differences.
    values = host_values(f) if is_library_array(f) else None
    values = f if values is None else values
    rows = namespace_of(values).moveaxis(values, axis, -1)
    if array_api_compat.is_dask_array(f):  # one task for some curves, each of them whole
        rows = rows.rechunk({i: -1 if i == f.ndim - 1 else "auto" for i in range(f.ndim)})
        nothing = np.empty((0,) * (f.ndim - 1))
        level = rows.map_blocks(_find_levels, drop_axis=f.ndim - 1, meta=nothing).compute()
    else:
        level = _find_levels_in_blocks(rows)
    return float(level) if level.ndim == 0 else from_host(level, f)


def _find_levels_in_blocks(rows: Array) -> NumpyArray:
    """Return the noise of curves along the last axis, some of them at a time."""
    on_host = isinstance(rows, np.ndarray)
    count = math.ceil(math.prod(rows.shape) / _TOGETHER) if on_host else 1
    along = max(range(rows.ndim - 1), key=lambda i: rows.shape[i], default=None)
    if along is None or count < 2:
        return _find_levels(rows)
    bounds = [rows.shape[along] * i // count for i in range(count + 1)]
    blocks = [
        _find_levels(rows[rows_of(rows.ndim, along, start, stop)])
        for start, stop in pairwise(dict.fromkeys(bounds))
    ]
    return np.concatenate(blocks, axis=along)


def _find_levels(rows: Array) -> NumpyArray:
    """Return the noise of curves along the last axis."""
    rows, scale = _scale_curves(rows)
    xp = namespace_of(rows)
    estimates, mixed = [], []
    for k in range(1, min(_ORDERS, rows.shape[-1] - 3) + 1):
        rows = rows[..., 1:] - rows[..., :-1]
        power = np.ma.filled(asnumpy(xp.mean(rows * rows, axis=-1)), np.nan)
        estimates.append(power / math.comb(2 * k, k))
        signs = (xp.min(rows, axis=-1) < 0) & (xp.max(rows, axis=-1) > 0)
        mixed.append(np.ma.filled(asnumpy(signs), False))
    sigma = np.sqrt(np.array(estimates, np.float64))
    level = np.full(sigma.shape[1:], np.nan)
    # From the last order to the first: the first three that agree overwrite what later ones gave.
    for k in range(len(sigma) - 3, -1, -1):
        in_a_row = sigma[k : k + 3]
        alike = (in_a_row.max(axis=0) <= _ALIKE * in_a_row.min(axis=0)) & mixed[k]
        level = np.where(alike, sigma[k + 2], level)
    result: NumpyArray = np.ldexp(level, scale)
    return result


def _scale_curves(rows: Array) -> tuple[Array, NumpyArray]:
    """Return curves of numbers up to about 1, and the powers of two that they were divided by.

    So squares of differences neither overflow nor vanish, and all digits stay as they are. Integers
    are counted from the first sample: the widest float may not have all of their digits.
    """
    xp = namespace_of(rows)
    # Half precision first: NumPy knows no bfloat16.
    if dtype_name(rows.dtype) in HALF_PRECISION:
        rows = xp.astype(rows, xp.float32)
    elif xp.isdtype(rows.dtype, "integral"):
        rows = _count_from_first(rows)
    top = np.ma.filled(asnumpy(xp.max(xp.abs(rows), axis=-1)).astype(np.float64), 0.0)
    power = np.where(np.isfinite(top), np.frexp(top)[1], 0)
    # In two steps: the reciprocal of the smallest number would be infinite.
    for part in (power // 2, power - power // 2):
        factor = from_host(np.ldexp(1.0, -part)[..., np.newaxis], rows)
        rows = rows * xp.astype(factor, rows.dtype)
    return rows, power


def _count_from_first(rows: Array) -> Array:
    """Return integers as floats: where these lack digits, from the first integer on."""
    xp = namespace_of(rows)
    wide = widest_float(xp, rows)
    low, high = int(xp.min(rows)), int(xp.max(rows))
    # Beyond these limits floats have no room for all digits, or differences none for their sign.
    if max(-low, high) * float(xp.finfo(wide).eps) <= 1 or high - low >= 1 << 31:
        return xp.astype(rows, wide)
    first = rows[..., :1]
    is_above = rows > first
    above = xp.where(is_above, rows - first, xp.zeros_like(rows))
    below = xp.where(is_above, xp.zeros_like(rows), first - rows)
    return xp.astype(above, wide) - xp.astype(below, wide)


class RecommendedSpacing(NamedTuple):
    """A recommended distance between samples, with the error to be expected at this distance.

    It is returned by `recommended_spacing`.

    Parameters
    ----------
    spacing : float
        The recommended distance between samples, in the unit of the coordinates.
    error : float
        The approximate error of the derivative at this distance, in the unit of the derivative.
    noise : float
        The standard deviation of the noise that was used, in the unit of the samples.
    magnitude : float
        The magnitude of the derivative of order ``order + accuracy`` that was used, in its unit.
    stride : int or None
        The recommended distance in steps of the given samples: 1 for every sample, 2 for every
        second sample and so on. None if no samples were given.

    See Also
    --------
    recommended_spacing : Computes the recommendation.

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
    r"""Recommend a distance between samples that balances noise and truncation errors.

    If samples are closer, noise dominates the error of a derivative; if they are farther apart, the
    truncation error does.

    Parameters
    ----------
    f : 1-D array, optional
        Samples of the curve at even distances, from which `noise` and `magnitude` are estimated if
        they are not given. The samples must be real and finite, of any library, a DataArray of
        xarray or a quantity. Differences that contain masked samples are left out.
    *spacing : number or 1-D array, optional
        The distance between these samples, by default 1, or their coordinates, which must be even.
        The spacing may also be given by keyword, as ``spacing=``.
    noise : number, optional
        The standard deviation of the noise of the samples, in their unit. By default
        `noise_level` of `f`. For computed values, about 1e-16 times their magnitude.
    magnitude : number, optional
        The magnitude of the derivative of order ``order + accuracy``, which determines the
        truncation error. By default the root mean square of this derivative of `f`, from
        differences that noise does not affect.
    order : int, optional
        The order of the derivative that will be computed, from 1 to 8. By default 1.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The order of accuracy of the derivative that will be computed. By default 2.

    Returns
    -------
    RecommendedSpacing
        The recommended ``spacing``, the expected ``error``, and the ``noise``, ``magnitude`` and
        ``stride``. They are numbers, with units if `f` is a quantity.

    Raises
    ------
    TypeError
        If `noise` or `magnitude` is missing and there is no `f` to estimate it from; if `f` does
        not contain real numbers; if the spacing is a time or a date.
    ValueError
        If `f` is not 1-D or not finite; if coordinates are uneven; if a number is not positive; if
        noise and magnitude cannot be estimated from `f`.

    See Also
    --------
    noise_level : The standard deviation of the noise.
    error_estimate : The error of a derivative.

    Notes
    -----
    With the exact weights :math:`w` of the central formula and the coefficient :math:`c` of its
    leading error (see `stencil`), the noise :math:`\sigma` and the magnitude :math:`M`, the error
    of the derivative of order :math:`m` and accuracy :math:`p` is

    .. math::

        E(h)^2 = \left(c\, M h^p\right)^2 + \left(\sigma \lVert w \rVert h^{-m}\right)^2

    It is smallest where :math:`h^{2(m + p)} = m\, \sigma^2 \lVert w \rVert^2 / (p\, c^2 M^2)`.

    Examples
    --------
    The best step for a function of magnitude 1 that is computed in double precision:

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
    norm = math.sqrt(sum(float(w) ** 2 for w in formula.weights))
    with np.errstate(all="ignore"):  # what is too large or too small is refused below
        spread = np.float64(norm) * level
        c = np.float64(abs(float(formula.error.coefficient))) * size
        best = (math.sqrt(order / accuracy) * spread / c) ** (1 / (order + accuracy))
        error = float(np.hypot(c * best**accuracy, spread / best**order))
    if not (0 < best < math.inf and 0 < error < math.inf):
        raise ValueError(
            "`noise` and `magnitude` must be of a size that leaves room for the spacing and the "
            f"error between 1e-308 and 1e308; got {level} and {size}. Choose other units."
        )
    stride = None if f is None else max(1, round(float(best) / step))
    return RecommendedSpacing(float(best), error, level, size, stride)


def _as_one_curve(f: Any) -> Array:
    f, _ = _as_real(f, 0)
    if f.ndim != 1:
        raise ValueError(
            f"`f` must be one curve, 1-D; got shape {tuple(f.shape)}. Pass one, as in `f[0]`."
        )
    if not np.isfinite(np.ma.filled(asnumpy(f), 0)).all():  # what is masked may be anything
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
    # Of samples up to about 1, whose squares neither overflow nor vanish.
    f, scale = _scale_curves(f)
    noise = math.ldexp(noise, -int(scale))
    # The variance that noise alone gives to differences of this order.
    floor = math.comb(2 * order, order) * noise**2
    for stride in range(1, (f.size - 1) // order + 1):
        differences = f
        for _ in range(order):
            differences = differences[stride:] - differences[:-stride]
        power = float(np.mean(differences**2))
        if power > _ABOVE * floor:
            with np.errstate(all="ignore"):
                size = math.sqrt(power - floor) / (stride * np.float64(spacing)) ** order
                return float(np.ldexp(size, scale))
    raise ValueError(
        f"`magnitude` must be given: noise hides the derivative of order {order} of `f` at any "
        "distance of its samples. Lower `order` or `accuracy`, or give longer samples."
    )


def _as_real(f: Any, axis: Axis) -> tuple[Array, int]:
    f = as_field(f)
    if is_unmasked_subclass(f):
        f = np.asarray(f)
    xp = namespace_of(f)
    if dtype_name(f.dtype) == "object":
        f = f.astype(np.float64)
    elif dtype_name(f.dtype) not in HALF_PRECISION and not xp.isdtype(
        f.dtype, ("real floating", "integral")
    ):
        raise TypeError(
            f"`f` must hold real numbers; got dtype {f.dtype}. Pass numbers, such as `f.real`, "
            "or `f / numpy.timedelta64(1, 's')` of times."
        )
    return f, parse_axes(parse_one_axis(axis), f.ndim)[0]


def _parse_positive(number: Any, name: str) -> float:
    try:
        value = float(number)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must be a number; got {number!r}.") from error
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{name}` must be positive and finite; got {number}.")
    return value
