"""Vector calculus on sampled fields: each operator is a list of signed terms, one per output.

What the operators' parameters mean is said once, in `descriptions`.
"""

from __future__ import annotations

from typing import Any

from gpugrad._arrays import Array, Backend
from gpugrad._grids import ONE_SIDED, Axes, Boundary, EdgeOrder, Options, Period, Spacing, Stagger
from gpugrad._operators.apply import apply_operator
from gpugrad._operators.descriptions import CURL_AXIS, OUT, describe
from gpugrad._operators.prepared import prepares

COUNT = "; if components differ in shape or device; if there is not one component for each axis"
TWO_OR_THREE = "; if there are not two or three axes"
TWO_AXES = "the results on two new leading axes"
MIXED = (
    "; if a boundary is a value or slope other than zero, which says nothing of mixed derivatives"
)


@prepares
@describe(value_errors=COUNT)
def divergence(
    v: Any,
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
    backend: Backend | None = None,
) -> Array:
    r"""Return the divergence of a sampled vector field, in one pass over its components.

    The divergence is the net outflow per unit of volume: it is positive at sources and negative at
    sinks.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The sum of the derivatives, in the unit of `v` per unit of the spacing, with the library,
        device and dtype of the components. Integers become floats.

    {errors: help() shows this}

    See Also
    --------
    curl : The rotation of a vector field.
    gradient : The derivatives of a scalar field.
    Sphere.divergence, CurvilinearGrid.divergence : The divergence on spherical and on curved grids.

    Notes
    -----
    On axes :math:`x_1, \dots, x_n` the divergence is

    .. math:: \operatorname{div} v = \sum_{i=1}^{n} \frac{\partial v_i}{\partial x_i}

    Each derivative is rounded to the precision of the result, then the derivatives are added from
    left to right. So the result is the same, to the last digit, as the sum of single calls of
    `derivative`.

    Examples
    --------
    A flow whose component along x grows as the square of x:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(4.0), np.arange(3.0), indexing="ij")
    >>> gpugrad.divergence((x**2, 3 * y))
    array([[4., 4., 4.],
           [5., 5., 5.],
           [7., 7., 7.],
           [8., 8., 8.]])
    """
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger, edge_order)
    return apply_operator(
        "divergence", v, spacing, axis, time_unit, options, where, skipna, out, False, backend,
    )  # fmt: skip


@prepares
@describe(out=OUT["each"], axis=CURL_AXIS, value_errors=COUNT + TWO_OR_THREE)
def curl(
    v: Any,
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
    r"""Return the curl of a sampled vector field, in one pass over its components.

    The curl measures the rotation of the field: it is twice the angular velocity of a small body
    that is carried along by the flow.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array or tuple of arrays
        On two axes one array, the component perpendicular to their plane. On three axes a tuple of
        three arrays. The unit is the unit of `v` per unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    divergence : The sources of a vector field.
    Sphere.curl, CurvilinearGrid.curl : The curl on spherical and on curved grids.

    Notes
    -----
    The curl is :math:`\partial_1 v_2 - \partial_2 v_1` on two axes, and on three axes

    .. math::

        (\partial_2 v_3 - \partial_3 v_2,\;
         \partial_3 v_1 - \partial_1 v_3,\;
         \partial_1 v_2 - \partial_2 v_1).

    Differences along different axes commute. So the curl of a `gradient` with the same options is
    zero up to rounding, and so is the `divergence` of a curl.

    Examples
    --------
    A solid body that rotates with an angular velocity of 1 has a curl of 2 everywhere:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
    >>> gpugrad.curl((-y, x))
    array([[2., 2., 2.],
           [2., 2., 2.],
           [2., 2., 2.]])
    """
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger, edge_order)
    return apply_operator(
        "curl", v, spacing, axis, time_unit, options, where, skipna, out, stack, backend,
    )  # fmt: skip


@prepares
@describe()
def laplacian(
    f: Any,
    *spacing: Spacing,
    axis: Axes = None,
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
    r"""Return the Laplacian of a sampled field, in one pass over the field.

    The Laplacian compares a field with its surroundings: it is positive where the field is below
    the mean of its neighbourhood. It appears in the equations of diffusion, heat conduction and
    waves.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The sum of the second derivatives, in the unit of `f` per squared unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    vector_laplacian : The Laplacian of each component of a vector field.
    hessian : All second derivatives.

    Notes
    -----
    The result is the sum of compact second differences along each axis,

    .. math:: \Delta f = \sum_{i=1}^{n} \frac{\partial^2 f}{\partial x_i^2} + O(h^p)

    with accuracy :math:`p`. It differs from the divergence of the gradient, which uses samples
    twice as far away and is zero for a field that alternates from sample to sample.

    Examples
    --------
    The Laplacian of :math:`x^2 - 3 y^2` is -4 everywhere:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
    >>> gpugrad.laplacian(x**2 - 3 * y**2)
    array([[-4., -4., -4., -4.],
           [-4., -4., -4., -4.],
           [-4., -4., -4., -4.],
           [-4., -4., -4., -4.]])
    """
    options = Options(2, accuracy, edge_accuracy, boundary, period)
    return apply_operator(
        "laplacian", f, spacing, axis, time_unit, options, where, skipna, out, False, backend
    )


@prepares
@describe(out=OUT["each"], components="any number of them")
def vector_laplacian(
    v: Any,
    *spacing: Spacing,
    axis: Axes = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    out: Any = None,
    stack: bool = False,
    backend: Backend | None = None,
) -> Array | tuple[Array, ...]:
    r"""Return the Laplacian of each component of a sampled vector field, in one pass.

    The vector Laplacian appears in the viscous term of a flow, for example. It is the gradient of
    the divergence minus the curl of the curl.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    tuple of arrays, or array
        One array for each component, in the unit of `v` per squared unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    laplacian : The Laplacian of a scalar field.

    Notes
    -----
    .. math:: (\Delta v)_i = \sum_{j=1}^{n} \frac{\partial^2 v_i}{\partial x_j^2}

    Each component is the same, to the last digit, as its `laplacian`.

    Examples
    --------
    The Laplacian of :math:`(x^2, x y)` at one sample:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
    >>> gpugrad.vector_laplacian((x**2, x * y), stack=True)[:, 1, 1]
    array([2., 0.])
    """
    options = Options(2, accuracy, edge_accuracy, boundary, period)
    return apply_operator(
        "vector_laplacian", v, spacing, axis, time_unit, options, where, skipna, out, stack, backend
    )


@prepares
@describe(out=OUT["table"], leading=TWO_AXES, components="any number of them")
def jacobian(
    v: Any,
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
) -> Array | tuple[tuple[Array, ...], ...]:
    r"""Return the derivatives of all components of a sampled vector field along all axes.

    The Jacobian of a flow is its velocity gradient tensor. The Jacobian of a mapping tells how the
    mapping stretches and rotates the neighbourhood of each sample.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the derivative of component i along the j-th of the axes to
        differentiate along, in the unit of `v` per unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    gradient : The derivatives of a scalar field.
    divergence, curl : Sums of entries of the Jacobian, in one pass.

    Notes
    -----
    .. math:: J_{ij} = \frac{\partial v_i}{\partial x_j}

    Examples
    --------
    The Jacobian of the mapping :math:`(x + 2 y, x y)` at one sample:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
    >>> gpugrad.jacobian((x + 2 * y, x * y), stack=True)[..., 1, 1]
    array([[1., 2.],
           [1., 1.]])
    """
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger, edge_order)
    return apply_operator(
        "jacobian", v, spacing, axis, time_unit, options, where, skipna, out, stack, backend,
    )  # fmt: skip


@prepares
@describe(out=OUT["table"], leading=TWO_AXES, value_errors=MIXED)
def hessian(
    f: Any,
    *spacing: Spacing,
    axis: Axes = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    out: Any = None,
    stack: bool = False,
    backend: Backend | None = None,
) -> Array | tuple[tuple[Array, ...], ...]:
    r"""Return all second derivatives of a sampled field.

    The Hessian describes the curvature of a field in all directions. Where the gradient is zero,
    the signs of its eigenvalues distinguish minima, maxima and saddles.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the second derivative along the i-th and the j-th of the axes to
        differentiate along, in the unit of `f` per squared unit of the spacing. The Hessian is
        symmetric: ``result[j][i]`` is the same array as ``result[i][j]``.

    {errors: help() shows this}

    See Also
    --------
    laplacian : The sum of the diagonal, in one pass.
    jacobian : The first derivatives of a vector field.
    critical_points : The points where the gradient is zero, classified by the Hessian.

    Notes
    -----
    .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \, \partial x_j}

    The diagonal has the compact second differences of `derivative`. The other entries are first
    differences along one axis of first differences along the other axis.

    Examples
    --------
    The Hessian of :math:`x^2 + 3 x y` at one sample:

    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
    >>> gpugrad.hessian(x**2 + 3 * x * y, stack=True)[..., 1, 1]
    array([[2., 3.],
           [3., 0.]])
    """
    options = Options(1, accuracy, edge_accuracy, boundary, period)
    return apply_operator(
        "hessian", f, spacing, axis, time_unit, options, where, skipna, out, stack, backend
    )
