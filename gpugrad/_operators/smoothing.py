"""Derivatives of noisy samples: SciPy's Savitzky-Golay filter and smoothing splines.

On CuPy's arrays the filter is CuPy's. Nothing is moved between host and device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
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
from gpugrad._stencils import Steps

_MODES = {"one-sided": "interp", "periodic": "wrap", "reflect": "mirror", "edge": "nearest"}
"""Boundaries, by the names that SciPy's filter has for them."""


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
    r"""Differentiate noisy samples along an axis, by a filter or a smoothing spline of SciPy.

    With `window_length` and `polyorder` it is the Savitzky-Golay filter, else the cubic smoothing
    spline.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of one curve, or of many: numbers, real or complex, none of them missing, of any
        library, a DataArray of xarray or a quantity; on a device CuPy's alone, with the
        filter. The spline needs five or more along the
        axis.
    *spacing : number or 1-D array, optional
        The distance between samples along the axis, by default 1, or their coordinates: going up or
        down, even for the filter; dates with a `time_unit`. It may be given by keyword, as
        ``spacing=``.
    axis : int, optional
        The axis to differentiate along, by default the last; the name of a dimension for a
        DataArray.
    order : int, optional
        The order of the derivative: with the filter from 1 to `polyorder`, with the spline from 1
        to 3.
    window_length : int, optional
        The number of samples of the filter's window, odd, at most the length of the axis.
    polyorder : int, optional
        The degree of the polynomial that the filter fits to a window, less than `window_length`.
    lam : float, optional
        The penalty on the bends of the spline, 0 or more, in the unit of the coordinates to the
        third power: as in `scipy.interpolate.make_smoothing_spline`. By default it is found by
        cross-validation, for each curve.
    boundary : {"one-sided", "periodic", "reflect", "edge"}, optional
        What lies beyond the ends, for the filter. With "one-sided" the polynomials of the outermost
        windows are used up to the ends. The spline takes "one-sided" alone.
    time_unit : str, optional
        The unit of time that rates are per, where coordinates are dates, such as "s".
    out : array, optional
        Where to write, an array of the shape of `f`. May overlap with it.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The derivative, in the unit of `f` per unit of the spacing to the power `order`, with the
        library, the type and the precision of `f`; integers become floats.

    Raises
    ------
    TypeError
        If `f` is masked, not of numbers, or not on the host; if an option is of the wrong kind.
    ValueError
        If `window_length`, `polyorder` and `lam` do not go together or are out of range; if
        coordinates are uneven for the filter, or go up and down; if samples are NaN or infinite
        for the spline; if an axis is too short.
    ImportError
        If SciPy is not installed: ``pip install "gpugrad[science]"``.

    See Also
    --------
    derivative : The derivative of samples without noise.
    noise_level : How noisy samples are.

    Notes
    -----
    The filter fits a polynomial to the samples of each window and takes its derivative in the
    middle. A wide window takes more noise away, and features narrower than itself with it.

    The spline :math:`g` is the one with the least

    .. math:: \sum_i |f_i - g(x_i)|^2 + \lambda \int |g''(x)|^2\, dx

    By default :math:`\lambda` is the one with the least criterion of generalized cross-validation
    among splines from a straight line to those that leave a tenth of the degrees of freedom to
    the residuals. `scipy.interpolate.make_smoothing_spline` has the same criterion but looks
    between 0 and the number of samples, so that its result depends on the unit of the coordinates;
    where it finds the minimum, both agree to about five digits. Coordinates and samples are scaled
    before the computation, so that results do not depend on units.

    References
    ----------
    A. Savitzky and M. J. E. Golay, "Smoothing and differentiation of data by simplified least
    squares procedures", *Analytical Chemistry* 36 (1964), 1627-1639.

    G. Wahba, *Spline Models for Observational Data*, SIAM, 1990.

    Examples
    --------
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
    if isinstance(f, np.ma.MaskedArray) or dtype_name(f.dtype).startswith(("date", "time", "obj")):
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
        result[...] = work(values)
        return result
    return xp.astype(from_host(work(values), f), dtype)


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
            f"{window}."
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
            f"axis {axis} of `f` must have 5 samples for a spline; got {f.shape[axis]}."
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
