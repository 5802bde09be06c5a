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

COUNT = "; if components differ in shape or device, or there are not as many components as axes"
TWO_AXES = "the results on two new leading axes"
MIXED = (
    "; if a boundary has a value or slope other than zero, which says nothing of mixed derivatives"
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

    It is how much of the field comes out of each place: sources are positive, sinks negative.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The sum of the derivatives, in the unit of `v` per unit of the spacing, with the library,
        device and dtype of the components; integers become floats.

    {errors: help() shows this}

    See Also
    --------
    curl : The rotation of a vector field.
    gradient : The derivatives of a scalar field.
    Sphere.divergence, CurvilinearGrid.divergence : On grids that are not straight.

    Notes
    -----
    On axes :math:`x_1, \dots, x_n`

    .. math:: \operatorname{div} v = \sum_{i=1}^{n} \frac{\partial v_i}{\partial x_i}

    added from left to right, each derivative rounded to the precision of the result first. So a
    sum of single calls of `derivative` has the same bits.

    Examples
    --------
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
@describe(out=OUT["each"], axis=CURL_AXIS, value_errors=COUNT + ", two or three")
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

    It is how the field turns about each place: twice the angular velocity of a body that it
    carries along.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array or tuple of arrays
        On two axes the one component across the plane, on three axes three of them, in the unit
        of `v` per unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    divergence : The sources of a vector field.
    Sphere.curl, CurvilinearGrid.curl : On grids that are not straight.

    Notes
    -----
    On two axes :math:`\partial_1 v_2 - \partial_2 v_1`, on three

    .. math::

        (\partial_2 v_3 - \partial_3 v_2,\;
         \partial_3 v_1 - \partial_1 v_3,\;
         \partial_1 v_2 - \partial_2 v_1).

    Derivatives along different axes commute, so the curl of a `gradient` with the same options
    is zero, and so is the `divergence` of a curl, up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(3.0), np.arange(3.0), indexing="ij")
    >>> gpugrad.curl((-y, x))  # a solid body turning once in 2 pi
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
    r"""Return the Laplacian of a sampled field, in one pass over it.

    It is how much lower a field is than its surroundings: what diffuses heat, and sharpens
    pictures.

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
    The compact formula: second differences along each axis,

    .. math:: \Delta f = \sum_{i=1}^{n} \frac{\partial^2 f}{\partial x_i^2} + O(h^p)

    with accuracy :math:`p`. It is not the divergence of the gradient, which reads samples twice
    as far away and is blind to a field that alternates from sample to sample.

    Examples
    --------
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
    r"""Return the Laplacian of each component of a sampled vector field, in one pass over them.

    It is what diffuses a velocity, and what is left of the gradient of the divergence when the
    curl of the curl is taken away.

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

    Each component has the bits of its `laplacian`.

    Examples
    --------
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

    It is how a map of space stretches and turns its surroundings, and of a flow the tensor of
    velocity gradients.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the derivative of component i along the axis with number j of those
        named, in the unit of `v` per unit of the spacing.

    {errors: help() shows this}

    See Also
    --------
    gradient : The derivatives of a scalar field.
    divergence, curl : Sums of entries of a Jacobian, in one pass.

    Notes
    -----
    .. math:: J_{ij} = \frac{\partial v_i}{\partial x_j}

    Examples
    --------
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

    It is how a field bends in all directions: its eigenvalues tell minima, maxima and saddles
    apart.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the derivative along the axes with numbers i and j of those named, in
        the unit of `f` per squared unit of the spacing. Mixed derivatives are symmetric:
        ``result[j][i]`` is the same array as ``result[i][j]``.

    {errors: help() shows this}

    See Also
    --------
    laplacian : The sum of the diagonal, in one pass.
    jacobian : The first derivatives of a vector field.
    critical_points : Where a field is stationary, by its Hessian.

    Notes
    -----
    .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \, \partial x_j}

    On the diagonal the compact second differences of `derivative`; beside it a first difference
    along one axis of a first difference along another.

    Examples
    --------
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
