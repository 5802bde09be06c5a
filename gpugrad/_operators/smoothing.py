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
from gpugrad._grids import parse_axes, parse_spacings
from gpugrad._stencils import Steps

_MODES = {"one-sided": "interp", "periodic": "wrap", "reflect": "mirror", "edge": "nearest"}
"""Boundaries, by the names that SciPy's filter has for them."""


def smooth_derivative(
    f: Any,
    spacing: Any,
    axis: Any,
    order: int,
    smooth: Any,
    boundary: Any,
    time_unit: str | None,
    out: Any,
    unfit_options: dict[str, Any],
) -> Array:
    """Differentiate noisy samples along an axis, as `derivative` with ``smooth=``.

    `unfit_options` are the options that do not go with it, by name, each with what is given and
    what is the default.
    """
    for name, (value, default) in unfit_options.items():
        if value is not default and (hasattr(value, "shape") or value != default):
            raise ValueError(
                f"`{name}` must be left out with `smooth`, which has a scheme of its own; got "
                f"{value!r}."
            )
    f = as_field(f)
    if isinstance(f, np.ma.MaskedArray) or dtype_name(f.dtype).startswith(("date", "time", "obj")):
        raise TypeError(
            "`f` must be plain numbers to be smoothed, with none missing; got "
            f"{'a masked array' if isinstance(f, np.ma.MaskedArray) else f.dtype}. "
            "Fill or drop the samples that are missing."
        )
    (axis,) = parse_axes(axis, f.ndim)
    (step,) = parse_spacings((spacing,), (axis,), f, time_unit)
    if smooth == "spline" or (isinstance(smooth, dict) and smooth.keys() == {"spline"}):
        if boundary != "one-sided":
            raise ValueError(
                f'`boundary` must be "one-sided" with a spline; got {boundary!r}. A filter, '
                '`smooth={"window": ..., "polynomial": ...}`, has others.'
            )
        penalty = None if smooth == "spline" else smooth["spline"]
        work = _make_spline(f, axis, step, order, penalty)
    elif isinstance(smooth, dict) and smooth.keys() == {"window", "polynomial"}:
        work = _make_filter(f, axis, step, order, smooth["window"], smooth["polynomial"], boundary)
    else:
        raise ValueError(
            '`smooth` must be "spline", {"spline": penalty} or {"window": samples, "polynomial": '
            f"degree}}; got {smooth!r}."
        )
    result = _smooth_lines(f, axis, work)
    if out is None:
        return result
    assign(check_out(out, f, 1, False), [result])
    return out


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
        return np.asarray(work(values).astype(dtype))
    return xp.astype(from_host(work(values), f), dtype)


def _make_filter(
    f: Array, axis: int, step: Any, order: int, window: Any, degree: Any, boundary: Any
) -> Callable[[Array], Array]:
    """Return Savitzky's and Golay's filter: the derivative of a polynomial fitted to a window."""
    delta = _as_even(step, axis)
    length = f.shape[axis]
    if not isinstance(window, int) or not isinstance(degree, int) or isinstance(window, bool):
        raise TypeError(
            f'"window" and "polynomial" must be integers; got {window!r} and {degree!r}.'
        )
    if not (1 <= window <= length and window % 2 and order <= degree < window):
        raise ValueError(
            f'"window" must be odd and at most the length of axis {axis}, {length}, and '
            f'"polynomial" from the order of the derivative, {order}, to less than the window; got '
            f"{window} and {degree}."
        )
    if not isinstance(boundary, str) or boundary not in _MODES:
        raise ValueError(
            f"`boundary` must be one of {', '.join(_MODES)} with `smooth`; got {boundary!r}."
        )
    signal = _load_scipy("signal", f)

    def work(values: Array) -> Array:
        if values.dtype.kind == "c":  # SciPy's takes real numbers
            return work(values.real) + 1j * work(values.imag)
        if values.dtype.kind in "iu" or values.dtype.itemsize == 2:
            values = values.astype(np.float64)
        return signal.savgol_filter(
            values, window, degree, deriv=order, delta=delta, axis=axis, mode=_MODES[boundary]
        )

    return work


def _as_even(step: Any, axis: int) -> float:
    """Return the distance between samples, which must be the same for all but rounding."""
    if isinstance(step, (float, np.generic)):
        return float(step)
    if isinstance(step, Steps) and step.values.ndim == 1:
        mean = float(step.values.mean())
        if np.abs(step.values - mean).max() <= 1e-6 * abs(mean):
            return mean
    raise ValueError(
        f"`spacing` of axis {axis} must be even for a filter; got uneven coordinates, or some "
        'that are not on the host. For uneven ones there is `smooth="spline"`.'
    )


def _make_spline(
    f: Array, axis: int, step: Any, order: int, penalty: Any
) -> Callable[[NumpyArray], NumpyArray]:
    """Return the cubic smoothing spline, each curve with its own penalty if none is given."""
    if not 1 <= order <= 3:
        raise ValueError(f"`order` must be from 1 to 3 with a spline, a cubic one; got {order}.")
    if array_api_compat.is_cupy_array(f):
        raise TypeError(
            "`f` must be on the host for a spline; got an array of CuPy. Pass `gpugrad.asnumpy(f)`,"
            ' or take the filter, `smooth={"window": ..., "polynomial": ...}`.'
        )
    length = f.shape[axis]
    if length < 5:
        raise ValueError(f"axis {axis} of `f` must have 5 samples for a spline; got {length}.")
    if penalty is not None and not (float(penalty) >= 0 and math.isfinite(float(penalty))):
        raise ValueError(f'"spline" must be a penalty, 0 or more and finite; got {penalty!r}.')
    if isinstance(step, Steps):
        if step.values.ndim > 1 or step.is_not_monotonic:
            raise ValueError(
                f"`spacing` of axis {axis} must go up throughout, or down, the same on all lines."
            )
        x = np.append(0.0, np.cumsum(step.values, dtype=np.float64))
    else:
        x = np.arange(length) * float(step)
    interpolate = _load_scipy("interpolate", f)
    # SciPy's spline takes coordinates that go up.
    forward = slice(None) if x[-1] > 0 else slice(None, None, -1)

    def differentiate(curve: NumpyArray) -> NumpyArray:
        if not np.isfinite(curve).all():
            raise ValueError(
                "`f` must be finite to be smoothed by a spline; got NaN or infinity. Drop these "
                "samples, with their coordinates."
            )
        spline = interpolate.make_smoothing_spline(x[forward], curve[forward], lam=penalty)
        return np.asarray(spline(x, nu=order))

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


def _load_scipy(module: str, f: Array) -> ModuleType:
    package = "cupyx.scipy" if array_api_compat.is_cupy_array(f) else "scipy"
    try:
        return import_module(f"{package}.{module}")
    except ImportError as error:
        raise ImportError(
            f'`smooth` needs SciPy ({error}). To mend it: pip install "gpugrad[science]"'
        ) from error
