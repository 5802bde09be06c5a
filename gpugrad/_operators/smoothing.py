"""Derivatives of noisy samples: SciPy's Savitzky-Golay filter and smoothing splines.

On CuPy's arrays the filter is CuPy's. Nothing is moved between host and device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    NumpyArray,
    as_field,
    assign,
    check_out,
    dtype_name,
    from_host,
    host_values,
    library_of,
    namespace_of,
    result_dtype,
    wrap_like,
)
from gpugrad._grids import (
    ONE_SIDED,
    Axis,
    Side,
    Spacing,
    parse_axes,
    parse_boundaries,
    parse_one_axis,
    parse_spacings,
)
from gpugrad._labels import accepts_labels
from gpugrad._operators.cross_validation import find_penalty
from gpugrad._operators.one_axis import check_one_spacing, find_even_step
from gpugrad._stencils import Steps, rows_of

_MODES = {"one-sided": "interp", "periodic": "wrap", "reflect": "mirror", "edge": "nearest"}
"""Boundaries, by the names that SciPy's filter has for them."""

_TOGETHER = 1 << 17
"""Samples on the host that are smoothed together: few enough for a processor's cache."""


@accepts_labels
def smooth_derivative(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    order: int = 1,
    window_length: int | None = None,
    polyorder: int | None = None,
    lam: float | None = None,
    boundary: Side = ONE_SIDED,
    time_unit: str | None = None,
    out: Any = None,
) -> Array:
    r"""Return a derivative of noisy samples along an axis, by a filter or a smoothing spline.

    With `window_length` and `polyorder` it is SciPy's Savitzky-Golay filter, otherwise SciPy's
    cubic smoothing spline.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of one curve or of several: real or complex numbers without missing values, in an
        array of any library, a DataArray of xarray or a quantity. Of arrays on a device, only those
        of CuPy are accepted, with the filter. The spline needs at least five samples along the
        axis.
    *spacing : number or 1-D array, optional
        The distance between samples along the axis, by default 1, or their coordinates. Coordinates
        must increase or decrease, and for the filter they must be even; dates need a `time_unit`.
        The spacing may also be given by keyword, as ``spacing=``.
    axis : int, optional
        The axis to differentiate along, by default the last one. For a DataArray, also the name of
        a dimension.
    order : int, optional
        The order of the derivative: from 1 to `polyorder` with the filter, from 1 to 3 with the
        spline. By default 1.
    window_length : int, optional
        The number of samples in the window of the filter: odd, and at most the length of the axis.
    polyorder : int, optional
        The degree of the polynomial that the filter fits to a window, less than `window_length`.
    lam : float, optional
        The penalty on the curvature of the spline, 0 or more, in the unit of the coordinates to the
        third power, as in `scipy.interpolate.make_smoothing_spline`. By default it is determined by
        cross-validation, for each curve.
    boundary : {"one-sided", "periodic", "reflect", "edge"}, optional
        What the filter assumes about the samples beyond the ends. With "one-sided", the default,
        the polynomials of the outermost windows are used up to the ends. The spline accepts
        "one-sided" only.
    time_unit : str, optional
        The unit of time of the result, such as "s". It is required where the coordinates are dates.
    out : array, optional
        An array of the shape of `f`, to write the result into. It may overlap with `f` in memory.
        By default a new array is made.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The derivative, in the unit of `f` per unit of the spacing to the power `order`, with the
        library, the type and the precision of `f`. Integers become floats.

    Raises
    ------
    TypeError
        If `f` is masked, does not contain numbers, or is not in host memory; if an option has the
        wrong type.
    ValueError
        If `window_length`, `polyorder` and `lam` cannot be combined or are out of range; if
        coordinates are uneven for the filter, or both increase and decrease; if samples are NaN or
        infinite for the spline; if an axis is too short.
    ImportError
        If SciPy is not installed: ``pip install "gpugrad[science]"``.

    See Also
    --------
    derivative : The derivative of samples without noise.
    noise_level : The standard deviation of the noise.

    Notes
    -----
    The filter fits a polynomial to the samples of each window and takes the derivative of the
    polynomial in the middle of the window. A wide window removes more noise, but also features that
    are narrower than the window.

    The spline :math:`g` minimizes

    .. math:: \sum_i |f_i - g(x_i)|^2 + \lambda \int |g''(x)|^2\, dx

    By default, :math:`\lambda` minimizes the criterion of generalized cross-validation. The splines
    that are compared range from a straight line to those that leave a tenth of the degrees of
    freedom to the residuals. `scipy.interpolate.make_smoothing_spline` has the same criterion, but
    searches between 0 and the number of samples, so that its result depends on the unit of the
    coordinates. Where it finds the minimum, both agree to about five digits. Here, coordinates and
    samples are scaled before the computation, so that the result does not depend on units.

    References
    ----------
    A. Savitzky and M. J. E. Golay, "Smoothing and differentiation of data by simplified least
    squares procedures", *Analytical Chemistry* 36 (1964), 1627-1639.

    G. Wahba, *Spline Models for Observational Data*, SIAM, 1990.

    Examples
    --------
    The root mean square error of the derivative of a noisy sine: first without smoothing, then with
    the spline, then with the filter:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 6, 1000)
    >>> f = np.sin(x) + 0.01 * np.random.default_rng(0).normal(size=x.size)
    >>> def rms(error):
    ...     return float(np.sqrt(np.mean(error**2)).round(2))
    >>> rms(gpugrad.derivative(f, x) - np.cos(x))
    1.15
    >>> rms(gpugrad.smooth_derivative(f, x) - np.cos(x))
    0.01
    >>> rms(gpugrad.smooth_derivative(f, x, window_length=101, polyorder=3) - np.cos(x))
    0.01
    """
    f = as_field(f)
    if dtype_name(f.dtype) == "object":
        f = f.astype(np.float64)
    if isinstance(f, np.ma.MaskedArray) or dtype_name(f.dtype).startswith(("date", "time")):
        raise TypeError(
            "`f` must be plain numbers to be smoothed, with none missing; got "
            f"{'a masked array' if isinstance(f, np.ma.MaskedArray) else f.dtype}. "
            "Fill or drop the samples that are missing."
        )
    (axis,) = parse_axes(parse_one_axis(axis), f.ndim)
    check_one_spacing(spacing)
    (step,) = parse_spacings(spacing, (axis,), f, time_unit)
    if _takes_filter(window_length, polyorder, lam):
        delta = find_even_step(step, *spacing)
        work = _make_filter(f, axis, delta, order, window_length, polyorder, boundary)
    else:
        work = _make_spline(f, axis, step, order, lam, boundary)
    result = _smooth_lines(f, axis, work)
    if out is None:
        return result
    assign(check_out(out, f, 1, False), [result])
    return out


def _takes_filter(window_length: Any, polyorder: Any, lam: Any) -> bool:
    """Tell whether a filter is asked for, and not a spline."""
    if (window_length is None) != (polyorder is None):
        missing, given = ("polyorder", "window_length")
        if window_length is None:
            missing, given = given, missing
        raise ValueError(
            f"`window_length` and `polyorder` must be given together, for a filter; got `{given}` "
            f"without `{missing}`. Leave both out for a spline."
        )
    if window_length is not None and lam is not None:
        raise ValueError(
            "`lam` must be left out with `window_length` and `polyorder`, as a spline is penalized "
            f"and a filter is not; got {lam!r}. Leave it out, or leave the other two out."
        )
    return window_length is not None


def _smooth_lines(f: Array, axis: int, work: Callable[[Array], Array]) -> Array:
    """Apply host code, or CuPy's to CuPy's arrays; on Dask's to blocks that have whole lines."""
    xp = namespace_of(f)
    dtype = result_dtype(xp, f)
    if array_api_compat.is_cupy_array(f):
        return work(f).astype(dtype)
    if array_api_compat.is_dask_array(f):
        # A spline, and a filter at its ends, reads a whole line.
        return f.rechunk({axis: -1}).map_blocks(
            lambda block: work(block).astype(dtype), dtype=dtype
        )
    values = host_values(f)
    if values is None:
        raise TypeError(
            "`f` must have values in host memory, or be CuPy's, to be smoothed; got an array of "
            f"{library_of(f)} that lies on a device, is being traced or differentiated. Pass "
            "`gpugrad.asnumpy(f)`, or an array of CuPy."
        )
    if isinstance(f, np.ndarray):
        result = np.empty_like(f, dtype=dtype)  # a subclass stays what it is
        for lines in _cut_into_lines(values.shape, axis):
            result[lines] = work(values[lines])
        return result
    return wrap_like(f, xp.astype(from_host(work(values), f), dtype))


def _cut_into_lines(shape: tuple[int, ...], axis: int) -> Iterator[tuple[slice, ...]]:
    """Yield indices of some whole lines: SciPy's arrays in double precision then stay small."""
    others = [i for i in range(len(shape)) if i != axis]
    along = max(others, key=lambda i: shape[i], default=axis)
    count = min(-(-math.prod(shape) // _TOGETHER), shape[along]) if others else 1
    bounds = [shape[along] * i // max(count, 1) for i in range(max(count, 1) + 1)]
    for start, stop in pairwise(bounds):
        yield rows_of(len(shape), along, start, stop)


def _make_filter(
    f: Array, axis: int, delta: float | None, order: int, window: Any, degree: Any, boundary: Any
) -> Callable[[Array], Array]:
    """Return Savitzky's and Golay's filter: the derivative of a polynomial fitted to a window."""
    length = f.shape[axis]
    for name, number in (("window_length", window), ("polyorder", degree), ("order", order)):
        if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, np.integer)):
            raise TypeError(f"`{name}` must be an integer; got {number!r}.")
    if not (1 <= window <= length and window % 2):
        raise ValueError(
            f"`window_length` must be odd and at most the length of axis {axis}, {length}; got "
            f"{window}. Pass a shorter window, or a longer field."
        )
    if not 1 <= order <= degree < window:
        raise ValueError(
            f"`polyorder` must be from the order of the derivative, {order}, to less than "
            f"`window_length`, {window}; got {degree}."
        )
    if delta is None:
        raise ValueError(
            f"`spacing` of axis {axis} must be even for a filter; got uneven coordinates, or some "
            "that are not on the host. For uneven ones leave out `window_length` and `polyorder`: "
            "that is a spline."
        )
    mode = _find_mode(boundary, axis, f.ndim)
    signal = _load_scipy("signal", f)

    def work(values: Array) -> Array:
        if values.dtype.kind == "c":  # SciPy's takes real numbers
            return work(values.real) + 1j * work(values.imag)
        if values.dtype.kind in "iu" or values.dtype.itemsize == 2:
            values = values.astype(np.float64)
        result = signal.savgol_filter(values, window, degree, deriv=order, axis=axis, mode=mode)
        for _ in range(order):  # the filter loses weights that are divided by a large power
            result = result / delta
        return result

    return work


def _find_mode(boundary: Any, axis: int, ndim: int) -> str:
    """Return the name that SciPy's filter has for a boundary."""
    ((lower, upper),) = parse_boundaries(boundary, (axis,), ndim)
    if lower != upper or lower.name not in _MODES:
        raise ValueError(
            f"`boundary` must be one of {', '.join(_MODES)} with a filter, the same at both ends; "
            f"got {boundary!r}."
        )
    return _MODES[lower.name]


def _make_spline(
    f: Array, axis: int, step: Any, order: Any, lam: Any, boundary: Any
) -> Callable[[NumpyArray], NumpyArray]:
    """Return the cubic smoothing spline, each curve with its own penalty if none is given."""
    _check_spline(f, axis, order, boundary)
    penalty = _parse_penalty(lam)
    t, h = _scale_coordinates(step, f.shape[axis], axis)
    interpolate = _load_scipy("interpolate", f)

    def differentiate(curve: NumpyArray) -> NumpyArray:
        if not np.isfinite(curve).all():
            raise ValueError(
                "`f` must be finite to be smoothed by a spline; got NaN or infinity. Drop these "
                "samples, with their coordinates."
            )
        scale = float(np.abs(curve - curve[0]).max()) or 1.0
        u = (curve - curve[0]) / scale
        scaled = find_penalty(t, u) if penalty is None else penalty / abs(h) ** 3
        spline = interpolate.make_smoothing_spline(t, u, lam=scaled)
        return np.asarray(spline(t, nu=order) / h**order * scale)

    def work(values: NumpyArray) -> NumpyArray:
        lines = np.moveaxis(values, axis, -1)
        wide_dtype: Any = np.complex128 if values.dtype.kind == "c" else np.float64
        result = np.empty(lines.shape, wide_dtype)
        for line in np.ndindex(lines.shape[:-1]):
            curve = lines[line].astype(wide_dtype)
            result[line].real = differentiate(curve.real)
            if wide_dtype is np.complex128:
                result[line].imag = differentiate(curve.imag)
        return np.moveaxis(result, -1, axis)

    return work


def _check_spline(f: Array, axis: int, order: Any, boundary: Any) -> None:
    if boundary != ONE_SIDED:
        raise ValueError(
            f'`boundary` must be "one-sided" with a spline; got {boundary!r}. A filter, with '
            "`window_length` and `polyorder`, has others."
        )
    if isinstance(order, (bool, np.bool_)) or not isinstance(order, (int, np.integer)):
        raise TypeError(f"`order` must be an integer; got {order!r}.")
    if not 1 <= order <= 3:
        raise ValueError(f"`order` must be from 1 to 3 with a spline, a cubic one; got {order}.")
    if array_api_compat.is_cupy_array(f):
        raise TypeError(
            "`f` must be on the host for a spline; got an array of CuPy. Pass `gpugrad.asnumpy(f)`,"
            " or take the filter, with `window_length` and `polyorder`."
        )
    if f.shape[axis] < 5:
        raise ValueError(
            f"axis {axis} of `f` must have 5 samples for a spline; got {f.shape[axis]}. Pass a "
            "longer field."
        )


def _parse_penalty(lam: Any) -> float | None:
    if lam is None:
        return None
    if isinstance(lam, (bool, np.bool_, str)) or np.ndim(lam):
        raise TypeError(f"`lam` must be a number, the penalty on bends; got {lam!r}.")
    penalty = float(lam)
    if not (penalty >= 0 and math.isfinite(penalty)):
        raise ValueError(f"`lam` must be 0 or more and finite, a penalty on bends; got {lam!r}.")
    return penalty


def _scale_coordinates(step: Any, length: int, axis: int) -> tuple[NumpyArray, float]:
    """Return coordinates that go up, about 1 apart, and their unit, negative if x goes down."""
    if not isinstance(step, Steps):
        return np.arange(float(length)), float(step)
    if step.values.ndim > 1 or step.is_not_monotonic:
        raise ValueError(
            f"`spacing` of axis {axis} must go up throughout, or down, the same on all lines."
        )
    steps = step.values.astype(np.float64)
    h = float(steps.mean())
    return np.append(0.0, np.cumsum(steps / h)), h


def _load_scipy(module: str, f: Array) -> ModuleType:
    package = "cupyx.scipy" if array_api_compat.is_cupy_array(f) else "scipy"
    try:
        return import_module(f"{package}.{module}")
    except ImportError as error:
        raise ImportError(
            f'`smooth_derivative` needs SciPy ({error}). To mend it: pip install "gpugrad[science]"'
        ) from error
