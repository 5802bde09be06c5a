"""From the arguments of `numpy.gradient` to axes and spacings; every error a user can make here."""

from __future__ import annotations

import math
from functools import lru_cache
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    NumpyArray,
    asnumpy,
    dtype_name,
    find_apart,
    host_values,
    is_library_array,
    library_of,
    loses_digits,
    namespace_of,
    refuse_sparse,
    subtract_integers,
    warn_caller,
    widest_float,
)
from gpugrad._grids.coordinates import are_dates, read_coordinates
from gpugrad._grids.steps import count_units, find_steps, find_steps_of_lines, lines_are_alike
from gpugrad._stencils import Steps, rows_of

_REMEMBERED_BYTES = 1 << 14
"""Up to this size coordinates are the key under which their steps are kept."""


def parse_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes to differentiate along as non-negative integers, in the order given."""
    if axis is None:
        return tuple(range(ndim))
    try:
        axes: tuple[int, ...] = normalize_axis_tuple(axis, ndim)
    except (np.exceptions.AxisError, OverflowError):
        numbers = f"from {-ndim} to {ndim - 1}" if ndim else "absent, as `f` has no axes"
        raise np.exceptions.AxisError(
            f"`axis` must be {numbers} for a field of {ndim} axes; got {axis!r}."
        ) from None
    except TypeError:
        raise TypeError(
            f"`axis` must be an integer, several of them, or None for all axes; got {axis!r}. "
            f"{mend_axis(axis)}"
        ) from None
    except ValueError:
        raise ValueError(f"`axis` must name each axis once; got {axis!r}.") from None
    return axes


def mend_axis(axis: Any) -> str:
    """Say what to do where `axis` is no integer."""
    if is_library_array(axis) and host_values(axis) is None:
        return (
            "What is traced has no value: say that axes are static, as in `jax.jit(gradient, "
            'static_argnames="axis")`.'
        )
    if isinstance(axis, (float, np.floating)) and axis.is_integer():
        return f"Pass `axis={int(axis)}`."
    return "Names of axes belong to DataArrays of xarray."


def check_lengths(shape: tuple[Any, ...], axes: tuple[int, ...], edge_order: int = 1) -> None:
    """Raise ValueError where an axis has too few samples for the ends, or an unknown number."""
    for length in shape:  # where Dask does not know a length, it is NaN
        if length != length or length is None:
            raise ValueError(
                f"`f` must have a known shape; got {tuple(shape)}, an array of unknown chunk "
                "sizes. Call its `compute_chunk_sizes()` first."
            )
    for axis in axes:
        if shape[axis] <= edge_order:
            ends = " with edge_order=2" if edge_order == 2 else ""
            raise ValueError(
                f"axis {axis} of `f` must have at least {edge_order + 1} samples{ends}; got length "
                f"{shape[axis]} (shape {tuple(shape)}). "
                "Pass a longer field, or leave this axis out with `axis=`."
            )


def parse_spacings(
    varargs: tuple[Any, ...], axes: tuple[int, ...], f: Array, time_unit: str | None = None
) -> list[Any]:
    """Return one spacing per axis: a number, or a 1-D array of the steps between samples.

    Parameters
    ----------
    varargs : tuple
        Nothing, one number for all axes, or a number or coordinates for each axis, as
        `numpy.gradient` takes them.
    axes : tuple of int
        The axes they belong to.
    f : array
        The field.
    time_unit : str, optional
        The unit in which spacings of dates are counted.

    Returns
    -------
    list
        A Python float where the caller gave a Python number, a NumPy scalar where NumPy has one,
        `Steps` for uneven coordinates on the host; an array of the field's library, unread,
        where values must not be read.
    """
    if time_unit is not None and not isinstance(time_unit, str):
        raise TypeError(f'`time_unit` must be text, such as "s"; got {time_unit!r}.')
    if not varargs:
        spacings: list[Any] = [1.0] * len(axes)
    elif len(varargs) == len(axes):
        spacings = [
            _parse_spacing(spacing, f, axis, time_unit)
            for spacing, axis in zip(varargs, axes, strict=True)
        ]
    else:
        spacing = None
        if len(varargs) == 1 and _are_coordinates_of_axes(varargs[0]):
            raise TypeError(
                f"spacings must be separate arguments; got one sequence of {len(varargs[0])} for "
                f"{len(axes)} axes. Pass `gradient(f, *spacings)`, or `spacing=spacings`."
            )
        if len(varargs) == 1:
            spacing = _read_spacing(varargs[0], "all axes", f, time_unit)
        if len(varargs) != 1 or getattr(spacing, "ndim", 0) != 0:
            raise TypeError(
                f"spacings must be none, one number for all axes, or one for each of the "
                f"{len(axes)} axes to differentiate along; got {len(varargs)}"
                f"{'' if spacing is None else ' array of coordinates'}. "
                "Give each axis its spacing, or choose axes with `axis=`."
            )
        spacings = [_parse_number(spacing, "all axes", time_unit)] * len(axes)
    if time_unit is not None and not any(map(_is_time, varargs)):
        raise ValueError(
            f"`time_unit` must go with dates; got {time_unit!r}, but no spacing is of dtype "
            "datetime64 or timedelta64. Leave it out, or pass dates as coordinates."
        )
    return spacings


def _are_coordinates_of_axes(spacing: Any) -> bool:
    """Tell whether a sequence holds the coordinates of several axes."""
    return isinstance(spacing, (tuple, list)) and any(
        isinstance(entry, (tuple, list)) or getattr(entry, "ndim", 0) for entry in spacing
    )


def _parse_spacing(spacing: Any, f: Array, axis: int, time_unit: str | None) -> Any:
    if type(spacing) is float and 0.0 < abs(spacing) < math.inf:  # which no NaN passes
        return spacing
    if not isinstance(spacing, (int, np.ndarray)) and _is_lazy_time(spacing):
        spacing = asnumpy(spacing)  # dates become numbers on the host
    where, length = f"axis {axis}", f.shape[axis]
    spacing = _read_spacing(spacing, where, f, time_unit)
    ndim = getattr(spacing, "ndim", 0)
    if ndim == 0:
        return _parse_number(spacing, where, time_unit)
    if ndim != 1:
        return _parse_lines(spacing, where, f, axis, time_unit)
    if spacing.shape[0] != length:
        cure = (
            "Pass the coordinates of the samples, not the steps between them."
            if spacing.shape[0] == length - 1
            else "Pass one coordinate for each sample along this axis."
        )
        raise ValueError(
            f"`spacing` for {where} must have length {length} to match the length of that axis "
            f"of `f`; got {spacing.shape[0]}. {cure}"
        )
    if not isinstance(spacing, np.ndarray):
        return _subtract_unread(spacing[1:], spacing[:-1], where)
    x = _as_differentiable(spacing, where, time_unit)
    # By value, as an array may change from call to call; a long one is read sooner than looked up.
    if x.nbytes <= _REMEMBERED_BYTES:
        steps = _remember_steps(x.tobytes(), x.dtype, where, time_unit)
    else:
        steps = find_steps(x, where, time_unit)
    _warn_if_not_monotonic(steps, where)
    return steps


def _parse_lines(coordinates: Any, where: str, f: Array, axis: int, time_unit: str | None) -> Any:
    """Return the steps between coordinates that have the field's axes, or some of the last ones."""
    shape, wanted = tuple(coordinates.shape), tuple(f.shape)
    padded = (1,) * (len(wanted) - len(shape)) + shape
    if (
        len(shape) > len(wanted)
        or padded[axis] != wanted[axis]
        or any(n not in (1, m) for n, m in zip(padded, wanted, strict=True))
    ):
        raise ValueError(
            f"`spacing` for {where} must be scalars or 1d coordinates, or an array that "
            f"broadcasts to the shape of `f`, {wanted}, with length {wanted[axis]} on {where}; got "
            f"shape {shape}. Its axes are matched with the last ones of `f`: insert axes of "
            "length 1 where others are meant, as `x[:, None]` does."
        )
    if not isinstance(coordinates, np.ndarray):
        unread = namespace_of(coordinates).reshape(coordinates, padded)
        after, before = (unread[rows_of(len(padded), axis, *s)] for s in ((1, None), (0, -1)))
        return _subtract_unread(after, before, where)
    x = _as_differentiable(coordinates, where, time_unit).reshape(padded)
    _check_varies(x, where, axis)
    if lines_are_alike(x, axis):
        line = x[tuple(slice(None) if i == axis else 0 for i in range(x.ndim))]
        return _parse_spacing(line, f, axis, time_unit)
    steps = find_steps_of_lines(x, axis, where, time_unit)
    _warn_if_not_monotonic(steps, where)
    return steps


def _check_varies(x: NumpyArray, where: str, axis: int) -> None:
    """Raise ValueError where coordinates vary along another axis than theirs, and not along it."""
    varying = [
        i for i, n in enumerate(x.shape) if n > 1 and (x.take([0], i) != x.take([n - 1], i)).any()
    ]
    if len(varying) != 1 or varying[0] == axis or not lines_are_alike(x, varying[0]):
        return
    raise ValueError(
        f"`spacing` for {where} must vary along {where}; got an array of shape {x.shape} that "
        f"varies along axis {varying[0]} alone. With `numpy.meshgrid(x, y)`, whose X varies along "
        'the last axis, pass Y before X, or make the arrays with `indexing="ij"`.'
    )


def _warn_if_not_monotonic(spacing: Any, where: str) -> None:
    if type(spacing) is Steps and spacing.is_not_monotonic:
        warn_caller(
            f"`spacing` for {where} is not monotonic: it goes both up and down. The samples are "
            "differentiated in the order given; sort them by coordinate if that is not meant."
        )


@lru_cache(maxsize=64)
def _remember_steps(data: bytes, dtype: np.dtype[Any], where: str, time_unit: str | None) -> Any:
    """Find steps once for coordinates that come again with every time step of a simulation."""
    return find_steps(np.frombuffer(data, dtype), where, time_unit)


def _read_spacing(spacing: Any, where: str, f: Array, time_unit: str | None) -> Any:
    """Return a spacing as a NumPy array where its values are at hand, else as it is."""
    if type(spacing) is np.ndarray and spacing.dtype.kind != "O":
        return spacing
    if isinstance(spacing, (float, int)) and not isinstance(spacing, (np.generic, bool)):
        return spacing
    if is_library_array(spacing):
        return _read_library_array(spacing, where, f)
    values = read_coordinates(spacing, f"`spacing` for {where}")
    if time_unit is None and values.dtype.kind == "m" and _are_pythons(spacing):
        _refuse_dates(where, "spans of time")  # in which unit NumPy counts them, nobody has said
    return values


def _are_pythons(spans: Any) -> bool:
    """Tell spans of time of Python from NumPy's, which have a unit."""
    return getattr(getattr(spans, "dtype", None), "kind", "O") == "O" and not (
        isinstance(spans, (tuple, list)) and isinstance(spans[0], np.timedelta64)
    )


def _refuse_dates(where: str, kind: Any) -> NoReturn:
    raise TypeError(
        f"`spacing` for {where} must be numbers, or dates with a `time_unit`; got {kind}. Say "
        'which unit the rate is per, as in `time_unit="s"`.'
    )


def _read_library_array(spacing: Array, where: str, f: Array) -> Array:
    if library_of(spacing) != library_of(f):
        raise TypeError(
            f"`spacing` for {where} must be numbers, a sequence, a NumPy array or an array of the "
            f"field's library; got {library_of(spacing)} for a field of {library_of(f)}. "
            "Convert it, for example with `gpugrad.asnumpy`."
        )
    values = host_values(spacing)
    if values is not None:
        return values
    if spacing.ndim:
        refuse_sparse(spacing, f"`spacing` for {where}", is_sliced=False)
    if isinstance(getattr(spacing, "_meta", None), np.ma.MaskedArray):
        raise ValueError(
            f"`spacing` for {where} must have no masked values; got a Dask array of masked blocks. "
            "Compute it first, where nothing is masked."
        )
    apart = find_apart(spacing, f)
    if apart:
        raise ValueError(
            f"`spacing` for {where} must be on the field's device, {apart[1]}, or on the host; "
            f"got {apart[0]}. Move it there first."
        )
    return spacing


def _parse_number(distance: Any, where: str, time_unit: str | None) -> Any:
    """Return a distance between samples as a float, a NumPy scalar or an unread 0-d array."""
    if isinstance(distance, np.ndarray) and distance.dtype.kind == "O":
        distance = distance[()]  # a number of Python, or what is none
    if isinstance(distance, np.ndarray):
        distance = _as_differentiable(distance, where, time_unit)
        if distance.dtype.kind == "m" and time_unit is not None:
            distance = count_units(distance, time_unit)
        distance = distance[()]
    elif type(distance) is not bool and isinstance(distance, (int, float, Real)):
        try:
            distance = float(distance)
        except OverflowError:  # an integer beyond all floats
            distance = math.inf
    elif is_library_array(distance):
        return _prepare_unread(distance, where)
    else:
        raise TypeError(
            f"`spacing` for {where} must be a real number or 1-D coordinates; got {distance!r}, "
            f"a {type(distance).__name__}. Pass one of these, or an array of NumPy."
        )
    if not isinstance(distance, (float, np.floating)):
        raise TypeError(
            f"`spacing` for {where} must be a length, not a date; got {distance}. "
            "Pass a timedelta64, or the dates of all samples."
        )
    if distance == 0 or not np.isfinite(distance):
        raise ValueError(
            f"`spacing` for {where} must be finite and not zero; got {distance}. "
            "It is the distance between neighbouring samples."
        )
    return distance


def _as_differentiable(x: NumpyArray, where: str, time_unit: str | None) -> NumpyArray:
    """Return coordinates in the dtype in which their differences are taken."""
    kind = x.dtype.kind
    if kind == "f" and x.itemsize > 2:
        return x
    if kind == "c" and not x.imag.any():
        return _as_differentiable(x.real, where, time_unit)  # as some libraries make real numbers
    if dtype_name(x.dtype) in HALF_PRECISION:
        return x.astype(np.float32)
    if kind in "iu":
        return _count(x)  # differences of integers wrap around
    if kind == "m" and x.ndim and time_unit is None and not np.isnat(x).any():
        return _count(x.view(np.int64))  # in the unit they have, as in NumPy
    if kind in "mM":
        if time_unit is None:
            _refuse_dates(where, f"dtype {x.dtype}")
        if kind == "M" and np.datetime_data(x.dtype)[0] in "YM" and time_unit not in ("Y", "M"):
            return x.astype("M8[D]")  # months differ in length; their first days do not
        return x
    if kind == "O":
        try:
            return x.astype(np.float64)
        except (TypeError, ValueError) as error:
            if any(isinstance(entry, complex) for entry in x.flat):
                return _as_differentiable(x.astype(complex), where, time_unit)
            raise TypeError(
                f"`spacing` for {where} must be real numbers or NumPy dates; got objects such as "
                f"{x.flat[0]!r} ({error}). Dates become NumPy's with "
                '`numpy.asarray(x, "datetime64[us]")`.'
            ) from error
    raise TypeError(
        f"`spacing` for {where} must be real numbers; got dtype {x.dtype}. "
        "Pass the distance between samples, or where each lies on its axis."
    )


def _count(x: NumpyArray) -> NumpyArray:
    """Return integers as floats, or as they are if no float tells them apart."""
    exact = 1 << 53
    is_exact = x.ndim == 0 or x.itemsize < 8 or not x.size
    return x.astype(np.float64) if is_exact or -exact <= x.min() <= x.max() <= exact else x


def _prepare_unread(x: Array, where: str) -> Array:
    """Return a spacing whose values must not be read, in the dtype to calculate with."""
    name = dtype_name(x.dtype)
    if name.startswith("complex") or name == "bool":
        raise TypeError(
            f"`spacing` for {where} must be real numbers; got dtype {name}. Pass its real part, or "
            "numbers."
        )
    return widen(x)


def _subtract_unread(after: Array, before: Array, where: str) -> Array:
    """Return the steps between coordinates whose values must not be read."""
    xp = namespace_of(after)
    if loses_digits(xp, after):
        return subtract_integers(xp, after, before, widest_float(xp, after))
    return _prepare_unread(after, where) - _prepare_unread(before, where)


def widen(x: Array) -> Array:
    """Return numbers as floats that can be subtracted: integers wrap around, halves overflow."""
    xp, name = namespace_of(x), dtype_name(x.dtype)
    if name.startswith(("int", "uint")):
        return xp.astype(x, widest_float(xp, x))
    return xp.astype(x, xp.float32) if name in HALF_PRECISION else x


def count_times(number: Any, what: str, time_unit: str | None) -> Any:
    """Return a span of time as a number of `time_unit`; also each of a dict; others as they are."""
    if isinstance(number, dict):
        return {key: count_times(entry, what, time_unit) for key, entry in number.items()}
    if number is None or isinstance(number, (float, int, str)) or not are_dates(number):
        return number
    span = read_coordinates(number, what)
    if span.dtype.kind != "m" or span.ndim or time_unit is None:
        raise TypeError(
            f"{what} must be a number, or a span of time beside dates with a `time_unit`; got "
            f"{number!r}."
        )
    return float(count_units(span, time_unit))


def _is_lazy_time(spacing: Any) -> bool:
    return library_of(spacing) == "Dask" and spacing.dtype.kind in "mM"


def _is_time(spacing: Any) -> bool:
    return _is_lazy_time(spacing) if is_library_array(spacing) else are_dates(spacing)
