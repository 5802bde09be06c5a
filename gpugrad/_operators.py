"""The operators: what each derivative means, as terms of a plan."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gpugrad._arrays import Array, as_field
from gpugrad._backend import evaluate
from gpugrad._plan import AxisPlan, Term, first_derivative
from gpugrad._spacing import check_lengths, parse_axes, parse_edge_order, parse_spacings


def gradient(
    f: Any,
    *varargs: Any,
    axis: Any = None,
    edge_order: int = 1,
    time_unit: str | None = None,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[Array, ...]:
    r"""Differentiate a sampled field along its axes, as `numpy.gradient`, on any array library.

    Second-order central differences inside, one-sided differences at the ends: the call, the
    dtypes, the return shape and the bits of `numpy.gradient`, on the array's own device.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a scalar field: an array of NumPy, CuPy, PyTorch, JAX, Dask or any array-API
        library, or a nested sequence. Integers, real and complex floats; NumPy's dates, objects
        and masked arrays too.
    *varargs : number or 1-D array
        The spacing, in the unit of the coordinates. Nothing: 1 along every axis. One number: the
        distance between samples along every axis. Otherwise one per axis, each the distance
        between samples or the coordinates of the samples (length n_i, in any order that does
        not repeat a value). Coordinates may be sequences, NumPy arrays or arrays of the field's
        library.
    axis : None, int or tuple of int, optional
        The axes to differentiate along, all by default; negative ones count from the last.
    edge_order : {1, 2}, optional
        The order of accuracy at the two ends of an axis, from 2 or 3 samples.
    time_unit : str, optional
        The unit of time ("s", "h", "D", "ns", ...) that rates are per, where coordinates are
        ``datetime64`` or ``timedelta64``.
    out : array or tuple of arrays, optional
        Where to write: an array of the shape of `f` for one axis, a tuple with one per axis for
        several, or with `stack` one array of shape ``(number of axes, n_0, ..., n_k)``. May
        overlap with `f`.
    stack : bool, optional
        Return one array, the components on a new leading axis, instead of a tuple.
    backend : {"auto", "slices", "numpy"}, optional
        Where the arithmetic runs, see `use_backend`; results have the type of `f` all the same.

    Returns
    -------
    array or tuple of arrays
        The derivative along each axis, in the unit of `f` per unit of the spacing: the bare
        array for one axis, a tuple for several. Library, device, shape and dtype are those of
        `f`; integers become float64 (float32 where the device has no float64), dates timedelta64.

    Raises
    ------
    TypeError
        If `f`, a spacing or `out` is of the wrong kind: a function, text, booleans, complex
        coordinates, dates without a `time_unit`, an array of another library; or if the number
        of spacings does not match the axes.
    ValueError
        If an axis is shorter than ``edge_order + 1``, does not exist or is named twice; if
        coordinates differ in length from their axis, repeat a value or are not finite; if a
        spacing is zero or not finite; if `out` has the wrong shape or device, or is read-only.
    BackendError
        If a backend asked for by name can't run this call.

    Warns
    -----
    UserWarning
        If coordinates go both up and down.

    Notes
    -----
    With spacing :math:`h` the derivative inside and at the lower end is

    .. math::

        f'_i = \frac{f_{i+1} - f_{i-1}}{2h} + O(h^2), \qquad
        f'_0 = \frac{f_1 - f_0}{h} + O(h) \quad\text{or}\quad
        f'_0 = \frac{-3 f_0 + 4 f_1 - f_2}{2h} + O(h^2)

    for `edge_order` 1 or 2, mirrored at the upper end. Between uneven samples it is that of the
    parabola through three neighbours. Half-precision fields are computed in float32 and rounded
    once. Values on a device, lazy ones and traced ones are never read: their coordinates are
    taken as uneven, unchecked.

    References
    ----------
    A. Quarteroni, R. Sacco, F. Saleri, *Numerical Mathematics*, Springer 2007, section 10.10.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> f = np.array([0.0, 1.0, 4.0, 9.0, 16.0])
    >>> gpugrad.gradient(f)
    array([1., 2., 4., 6., 7.])
    >>> gpugrad.gradient(f, edge_order=2)
    array([0., 2., 4., 6., 8.])
    >>> x = np.array([0.0, 1.0, 2.0, 4.0, 8.0])
    >>> gpugrad.gradient(x**2, x, edge_order=2)
    array([ 0.,  2.,  4.,  8., 16.])
    >>> df_dx, df_dy = gpugrad.gradient(np.outer(x, x), x, x)
    """
    f = as_field(f)
    if time_unit is None and _is_plain(f, varargs, axis, edge_order):
        plans = _plan_evenly(f.shape, axis, edge_order, *varargs)
    else:
        plans = _plan_gradient(f, varargs, axis, edge_order, time_unit)
    outputs = [(Term(1, f, plan),) for plan in plans]
    if not outputs:
        return _nothing(out, stack)
    results = evaluate(outputs, out, stack, backend)
    return results if stack or len(outputs) > 1 else results[0]


def _nothing(out: Any, stack: bool) -> tuple[Array, ...]:
    """Return what there is for no axes: an empty tuple, as NumPy does."""
    if stack or out is not None:
        raise ValueError(
            "`axis` must name at least one axis to go with `stack` or `out`; got none of them."
        )
    return ()


def _is_plain(f: Array, varargs: tuple[Any, ...], axis: Any, edge_order: Any) -> bool:
    """Tell whether a call is one of those that may be planned once for all."""
    return (
        type(f) is np.ndarray
        and type(edge_order) is int
        and (axis is None or type(axis) is int)
        and (not varargs or all(type(h) is float for h in varargs))
    )


def _plan_gradient(
    f: Array, varargs: tuple[Any, ...], axis: Any, edge_order: Any, time_unit: str | None
) -> list[AxisPlan]:
    axes = parse_axes(axis, f.ndim)
    edge_order = parse_edge_order(edge_order)
    check_lengths(f.shape, axes, edge_order)
    spacings = parse_spacings(varargs, axes, f, time_unit)
    return [first_derivative(i, h, edge_order) for i, h in zip(axes, spacings, strict=True)]


@lru_cache(maxsize=512, typed=True)
def _plan_evenly(shape: tuple[int, ...], axis: Any, edge_order: Any, *h: float) -> list[AxisPlan]:
    """Plan once what comes again and again: a shape, with numbers for spacings or none."""
    return _plan_gradient(np.broadcast_to(0.0, shape), h, axis, edge_order, None)
