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
    r"""Return the gradient of a sampled field, as `numpy.gradient` does, for any array library.

    Uses second-order central differences in the interior and one-sided differences at the ends.
    The arguments, dtypes and shapes are those of `numpy.gradient`. For NumPy and Dask arrays, and
    for PyTorch tensors on the CPU, every digit of the result is the same, too, except in half
    precision. The arithmetic runs on the device of the array.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array or tuple of arrays
        The derivative along each axis, in the unit of `f` per unit of the spacing: one array for
        a single axis, otherwise a tuple with one array for each axis. The arrays have the
        library, device, shape and dtype of `f`. Integers become float64 (float32 on devices
        without float64), and dates become timedelta64.

    {errors: help() shows this}

    See Also
    --------
    derivative : The derivative along one axis, of any order.
    gradient_norm : The length of the gradient, in one pass.
    Sphere, CurvilinearGrid : The gradient on spherical and on curved grids.
    gradient_of : The gradient of a function instead of samples.

    Notes
    -----
    With even spacing :math:`h`, the derivative in the interior and at the lower end is

    .. math::

        f'_i = \frac{f_{i+1} - f_{i-1}}{2h} + O(h^2), \qquad
        f'_0 = \frac{f_1 - f_0}{h} + O(h) \quad\text{or}\quad
        f'_0 = \frac{-3 f_0 + 4 f_1 - f_2}{2h} + O(h^2)

    where the formula at the end is the one for `edge_order` 1 or 2. The upper end has the mirrored
    formulas. On uneven samples the derivative in the interior is the slope of the parabola through
    a sample and its two neighbours. Half-precision fields are computed in float32 and rounded once,
    at the end. Coordinates on a device, lazy coordinates and traced coordinates are not read before
    the computation: they are treated as uneven, and their values are not checked.

    References
    ----------
    A. Quarteroni, R. Sacco, F. Saleri, *Numerical Mathematics*, Springer 2007, section 10.10.

    Examples
    --------
    The slopes of evenly spaced samples; the second-order formula at the ends is exact for a
    parabola:

    >>> import numpy as np
    >>> import gpugrad
    >>> f = np.array([0.0, 1.0, 4.0, 9.0, 16.0])
    >>> gpugrad.gradient(f)
    array([1., 2., 4., 6., 7.])
    >>> gpugrad.gradient(f, edge_order=2)
    array([0., 2., 4., 6., 8.])

    Unevenly spaced samples, with their coordinates:

    >>> x = np.array([0.0, 1.0, 2.0, 4.0, 8.0])
    >>> gpugrad.gradient(x**2, x, edge_order=2)
    array([ 0.,  2.,  4.,  8., 16.])

    A field with two axes has two derivatives:

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
    r"""Return a derivative of a sampled field along one axis, of any order and accuracy.

    Uses central differences in the interior. At the ends it uses one-sided differences, or the same
    central differences together with what the boundary assumes about the field beyond the end.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The derivative, in the unit of `f` per unit of the spacing to the power `order`, with the
        library, device, shape and dtype of `f`. Integers become float64 (float32 on devices without
        float64), and dates become timedelta64.

    {errors: help() shows this}

    See Also
    --------
    gradient : The first derivatives along all axes.
    smooth_derivative : Derivatives of noisy samples.
    stencil : The weights of a scheme, and its error.
    error_estimate : An estimate of the error of the derivative, for given samples.

    Notes
    -----
    In the interior, with the weights :math:`w_k` of `stencil`, on :math:`r` samples on each side,

    .. math::

        f^{(m)}_i = \frac{1}{h^m} \sum_{k=-r}^{r} w_k f_{i+k} + O(h^p), \qquad
        r = \left\lfloor \frac{m - 1}{2} \right\rfloor + \frac{p}{2}

    for order :math:`m` and accuracy :math:`p`. One-sided formulas of accuracy :math:`q` use
    :math:`m + q` samples. On uneven samples, the polynomial through the same samples is
    differentiated. There, a derivative of even order loses one power of its accuracy in the
    interior, unless the steps change smoothly; with `stagger`, a derivative of odd order does. With
    `order` 1, `accuracy` 2 and one-sided ends, the results are those of `numpy.gradient`, to the
    last digit.

    With `stagger`, the formula is central about the cell face and uses
    :math:`\lfloor (m + p) / 2 \rfloor` samples on each side: with order 1 and accuracy 2 it is
    :math:`(f_i - f_{i-1}) / h` for "left". A "left" derivative followed by a "right" one, or the
    other way round, is the compact second difference. The coordinates are always those of the
    samples that are given; for the second of the two derivatives these are the cell faces.

    If the field does not fit the boundary, the errors near that end are larger. For example, at an
    "edge" end the first derivative of a sloping field is only half as large as it should be.

    References
    ----------
    B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids",
    *Mathematics of Computation* 51 (1988), 699-706.

    Examples
    --------
    The second derivative of a cubic, and a first derivative of fourth-order accuracy. Both are
    exact for these polynomials:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.arange(6.0)
    >>> gpugrad.derivative(x**3, order=2)
    array([ 0.,  6., 12., 18., 24., 30.])
    >>> gpugrad.derivative(x**4, accuracy=4)
    array([  0.,   4.,  32., 108., 256., 500.])

    A periodic field:

    >>> angle = np.arange(8) * (2 * np.pi / 8)
    >>> slope = gpugrad.derivative(np.sin(angle), angle, accuracy=6, boundary="periodic")
    >>> float(abs(slope - np.cos(angle)).max().round(4))
    0.0015

    A field whose slope is known to be zero at its lower end:

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
    r"""Return the length of the gradient of a sampled field, in one pass over the field.

    The length of the gradient is the steepness of the field in the direction of steepest ascent. It
    gives the slope of a terrain, for example, or the sharpness of an edge in an image.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The length of the gradient, in the unit of `f` per unit of the spacing. It is real and not
        negative, and has the library, device and precision of `f`. Integers become floats.

    {errors: help() shows this}

    See Also
    --------
    gradient : The derivatives themselves.

    Notes
    -----
    .. math:: |\nabla f| = \sqrt{\sum_{i=1}^{n} \left|\frac{\partial f}{\partial x_i}\right|^2}

    `gradient` with the same options returns the derivatives. Each derivative is rounded to the
    precision of the result and squared (a complex one as :math:`a^2 + b^2` of its parts). The
    squares are added from left to right, and the square root is correctly rounded. So the result is
    the same, to the last digit, as if these steps were done array by array, but the result is the
    only array of the size of `f` that is allocated. Half-precision fields are computed in float32
    and rounded once, at the end.

    Squares overflow where a derivative is larger than about 1e19 in float32 and 1e154 in float64,
    and vanish where it is smaller than about 1e-23 and 1e-162, because nothing is rescaled. Choose
    the units accordingly.

    Where the gradient is zero, automatic differentiation takes the derivative of its length as
    zero.

    Examples
    --------
    The slope of a plane, which rises by 3 per unit of x and by 4 per unit of y:

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
