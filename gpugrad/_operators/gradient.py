"""The gradient, its length, and a derivative along one axis: what most users call."""

from __future__ import annotations

from typing import Any

from gpugrad._arrays import Array, Backend, as_field
from gpugrad._grids import (
    ONE_SIDED,
    Axes,
    Axis,
    Boundary,
    EdgeOrder,
    Options,
    Period,
    Spacing,
    Stagger,
    parse_one_axis,
    plan_axes,
    plan_gradient,
)
from gpugrad._operators.apply import apply_operator
from gpugrad._operators.components import check_has_length
from gpugrad._operators.descriptions import ONE_AXIS, OUT, describe
from gpugrad._operators.one_axis import check_one_spacing
from gpugrad._operators.prepared import prepares
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import each_derivative


@prepares
@describe(out=OUT["each"])
def gradient(
    f: Any,
    *spacing: Spacing,
    axis: Axes = None,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    stagger: Stagger = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    out: Any = None,
    stack: bool = False,
    backend: Backend | None = None,
) -> Array | tuple[Array, ...]:
    r"""Differentiate a sampled field along its axes, as `numpy.gradient`, on any array library.

    Second-order central differences inside, one-sided differences at the ends: the call, the
    dtypes, the return shape and the bits of `numpy.gradient`, on the array's own device.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array or tuple of arrays
        The derivative along each axis, in the unit of `f` per unit of the spacing: the bare
        array for one axis, a tuple for several, with the library, device, shape and dtype of `f`;
        integers become float64 (float32 where the device has no float64), dates timedelta64.

    {errors: help() shows this}

    See Also
    --------
    derivative : One derivative along an axis, of any order.
    gradient_norm : The length of the gradient, in one pass.
    Sphere, CurvilinearGrid : The gradient on grids that are not straight.
    gradient_of : The gradient of a function, not of samples.

    Notes
    -----
    With spacing :math:`h` the derivative inside and at the lower end is

    .. math::

        f'_i = \frac{f_{i+1} - f_{i-1}}{2h} + O(h^2), \qquad
        f'_0 = \frac{f_1 - f_0}{h} + O(h) \quad\text{or}\quad
        f'_0 = \frac{-3 f_0 + 4 f_1 - f_2}{2h} + O(h^2)

    for `edge_order` 1 or 2, mirrored at the upper end. Between uneven samples it is the slope of
    the parabola through three neighbours. Half-precision fields are computed in float32 and rounded
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
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger, edge_order)
    samples = MaskedFields([as_field(f)], where, skipna)
    options = samples.refine(options)
    plans = plan_gradient(samples.fields[0], spacing, axis, time_unit, options)
    if not plans:
        return _return_nothing(out, stack)
    results = samples.evaluate(each_derivative(plans, samples.term), out, stack, backend)
    return results if stack or len(plans) > 1 else results[0]


@prepares
@describe(axis=ONE_AXIS)
def derivative(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    order: int = 1,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    stagger: Stagger = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    out: Any = None,
    backend: Backend | None = None,
) -> Array:
    r"""Differentiate a sampled field along one axis: any order, any accuracy, any boundary.

    Central differences inside. At the ends, either one-sided differences or the same central
    ones, with what the boundary says about the field beyond.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The derivative, in the unit of `f` per unit of the spacing to the power `order`, with the
        library, device, shape and dtype of `f`; integers become float64 (float32 where the device
        has no float64), dates timedelta64.

    {errors: help() shows this}

    See Also
    --------
    gradient : The first derivatives along all axes.
    smooth_derivative : Derivatives of noisy samples.
    stencil : The weights of a scheme, and its error.
    error_estimate : How wrong the derivative of given samples is.

    Notes
    -----
    Inside, with the weights :math:`w_k` of `stencil`, on :math:`r` samples to both sides,

    .. math::

        f^{(m)}_i = \frac{1}{h^m} \sum_{k=-r}^{r} w_k f_{i+k} + O(h^p), \qquad
        r = \left\lfloor \frac{m - 1}{2} \right\rfloor + \frac{p}{2}

    for order :math:`m` and accuracy :math:`p`. One-sided formulas take :math:`m + q` samples for
    accuracy :math:`q`. On uneven samples the polynomial through the same samples is
    differentiated. There, a derivative of even order loses one power of its accuracy inside, unless
    the steps change smoothly; with `stagger`, one of odd order does. With `order` 1, `accuracy` 2
    and one-sided ends, results have the bits of `numpy.gradient`.

    With `stagger`, the formula is central about the face, on :math:`\lfloor (m + p) / 2 \rfloor`
    samples to both sides: with order 1 and accuracy 2, :math:`(f_i - f_{i-1}) / h` for "left".
    From samples to faces by "left" and back by "right", or the other way round, is the compact
    second difference. Coordinates say where the given samples lie: on the way back, the faces.

    A field that a boundary does not fit has larger errors near that end: at "edge" ends of a
    sloping field, for example, the first derivative is wrong by half.

    References
    ----------
    B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids",
    *Mathematics of Computation* 51 (1988), 699-706.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.arange(6.0)
    >>> gpugrad.derivative(x**3, order=2)
    array([ 0.,  6., 12., 18., 24., 30.])
    >>> gpugrad.derivative(x**4, accuracy=4)
    array([  0.,   4.,  32., 108., 256., 500.])
    >>> angle = np.arange(8) * (2 * np.pi / 8)
    >>> slope = gpugrad.derivative(np.sin(angle), angle, accuracy=6, boundary="periodic")
    >>> float(abs(slope - np.cos(angle)).max().round(4))
    0.0015
    >>> gpugrad.derivative(x**2, boundary=({"normal": 0.0}, "one-sided"))
    array([0., 2., 4., 6., 8., 9.])
    """
    check_one_spacing(spacing)
    samples = MaskedFields([as_field(f)], where, skipna)
    options = Options(order, accuracy, edge_accuracy, boundary, period, stagger, edge_order)
    axis = parse_one_axis(axis)
    plans = plan_axes(samples.fields[0], spacing, axis, time_unit, samples.refine(options))
    results = samples.evaluate(each_derivative(plans, samples.term), out, False, backend)
    return results[0]


def _return_nothing(out: Any, stack: bool) -> tuple[Array, ...]:
    """Return what there is for no axes: an empty tuple, as NumPy does."""
    if stack or out is not None:
        raise ValueError(
            "`axis` must name at least one axis to go with `stack` or `out`; got none of them."
        )
    return ()


@prepares
@describe(type_errors=", or if `f` holds dates, which have no squares")
def gradient_norm(
    f: Any,
    *spacing: Spacing,
    axis: Axes = None,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    out: Any = None,
    backend: Backend | None = None,
) -> Array:
    r"""Return the magnitude of the gradient of a sampled field, in one pass over it.

    It is how steep a field is, whatever the direction: the slope of terrain, the sharpness of an
    edge in a picture.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The length of the gradient, in the unit of `f` per unit of the spacing: real, not
        negative, with the library, device and precision of `f`; integers become floats.

    {errors: help() shows this}

    See Also
    --------
    gradient : The derivatives themselves.

    Notes
    -----
    .. math:: |\nabla f| = \sqrt{\sum_{i=1}^{n} \left|\frac{\partial f}{\partial x_i}\right|^2}

    `gradient` with the same options gives the derivatives. Each is rounded to the precision of the
    result and squared (a complex one as :math:`a^2 + b^2` of its parts), the
    squares are added from left to right, and the root is correctly rounded: the bits are those
    of these steps, array by array. No array of the size of `f` is made but the result. In half
    precision all of it is computed in float32 and rounded once.

    Nothing is rescaled, so squares overflow where a derivative is larger than about 1e19 in
    float32 and 1e154 in float64, and are lost below 1e-23 and 1e-162: choose units accordingly.

    Where the gradient is zero, automatic differentiation takes the slope of its length as zero.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    >>> gpugrad.gradient_norm(3 * x + 4 * y)
    array([[5., 5., 5., 5.],
           [5., 5., 5., 5.],
           [5., 5., 5., 5.]])
    """
    f = as_field(f)
    check_has_length(f)
    options = Options(1, accuracy, edge_accuracy, boundary, period, None, edge_order)
    return apply_operator(
        "gradient_norm", f, spacing, axis, time_unit, options, where, skipna, out, False, backend
    )
