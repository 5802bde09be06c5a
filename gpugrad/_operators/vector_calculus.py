"""Vector calculus on sampled fields: each operator is a list of signed terms, one per output.

What the operators share, arguments and rules, is said once, in `divergence`.
"""

from __future__ import annotations

from typing import Any

from gpugrad._arrays import Array
from gpugrad._grids import ONE_SIDED, Options
from gpugrad._labels import accepts_labels
from gpugrad._operators.apply import apply_operator


@accepts_labels
def divergence(
    v: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    stagger: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    curvilinear: Any = None,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Return the divergence of a sampled vector field, in one pass over its components.

    Parameters
    ----------
    v : sequence of arrays, or array of shape (n, n_0, ..., n_k)
        The components, one for each axis to differentiate along, in the order of these axes; in
        one array they lie on its first axis. All have one shape, dtype, library and device.
    *spacing : number or array, optional
        One for all axes or one for each, as for `gradient`: distances, or coordinates.
    axis : None, int or tuple of int, optional
        The axes of a component that are space, by default all; the others (time, ensembles,
        channels) are gone through one by one.
    accuracy, boundary, edge_accuracy, period, stagger, time_unit
        As for `derivative`; a list has one boundary, or one `stagger`, for each axis, all
        components alike.
    where, skipna : optional
        Which samples are valid, as for `gradient`: `where`, of the shape of a component, holds
        for all of them, while NaN is masked in its own component only. A sum is NaN where one of
        its terms is.
    curvilinear : tuple of arrays, optional
        In place of spacings, as for `gradient`. Components are those along the coordinates.
    out : array, optional
        Where to write, an array of the shape of a component. May overlap with them.
    backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
        Where the arithmetic runs, see `use_backend`.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The sum of the derivatives, in the unit of `v` per unit of the spacing, with the library,
        device and dtype of the components; integers become floats.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, or components differ in dtype or library.
    ValueError
        If there are not as many components as axes, if they differ in shape or device, or for
        what `derivative` raises it.

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
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger)
    return apply_operator(
        "divergence", v, spacing, axis, time_unit, options, where, skipna, out, False, backend,
        curvilinear,
    )  # fmt: skip


@accepts_labels
def curl(
    v: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    stagger: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    curvilinear: Any = None,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[Array, ...]:
    r"""Return the curl of a sampled vector field, in one pass over its components.

    Parameters
    ----------
    v : sequence of arrays, or array of shape (n, n_0, ..., n_k)
        Two or three components, one for each axis, as for `divergence`.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, stagger, time_unit, where, skipna,
    curvilinear, backend
        As for `divergence`; two or three axes, in the order of a right-handed system.
    out : array or tuple of arrays, optional
        Where to write: one array on two axes, three on three, or one with ``stack=True``.
    stack : bool, optional
        Whether to return the three components as one array, on a new leading axis.

    Returns
    -------
    array or tuple of arrays
        On two axes the one component across the plane, on three axes three of them, in the unit
        of `v` per unit of the spacing.

    Raises
    ------
    TypeError, ValueError
        As for `divergence`, and if there are not two or three axes.

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
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger)
    return apply_operator(
        "curl", v, spacing, axis, time_unit, options, where, skipna, out, stack, backend,
        curvilinear,
    )  # fmt: skip


@accepts_labels
def laplacian(
    f: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Return the Laplacian of a sampled field, in one pass over it.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a field, of any kind that `gradient` takes.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, time_unit, where, skipna,
    backend
        As for `divergence`.
    out : array, optional
        Where to write, an array of the shape of `f`. May overlap with it.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The sum of the second derivatives, in the unit of `f` per squared unit of the spacing.

    Raises
    ------
    TypeError, ValueError
        As for `derivative`.

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


@accepts_labels
def vector_laplacian(
    v: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[Array, ...]:
    r"""Return the Laplacian of each component of a sampled vector field, in one pass over them.

    Parameters
    ----------
    v : sequence of arrays, or array of shape (m, n_0, ..., n_k)
        The components along the axes of a Cartesian system, any number of them, otherwise as for
        `divergence`.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, time_unit, where, skipna,
    backend
        As for `divergence`.
    out : tuple of arrays, or array, optional
        Where to write: one array for each component, or one of shape (m, n_0, ..., n_k) with
        ``stack=True``. May overlap with the components.
    stack : bool, optional
        Whether to return one array, the components on a new leading axis.

    Returns
    -------
    tuple of arrays, or array
        One array for each component, in the unit of `v` per squared unit of the spacing.

    Raises
    ------
    TypeError, ValueError
        As for `divergence`.

    Notes
    -----
    .. math:: (\Delta v)_i = \sum_{j=1}^{n} \frac{\partial^2 v_i}{\partial x_j^2}

    It is what diffuses a velocity, and what is left of the gradient of the divergence when the curl
    of the curl is taken away. Each component has the bits of its `laplacian`.

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


@accepts_labels
def jacobian(
    v: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    stagger: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    curvilinear: Any = None,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[tuple[Array, ...], ...]:
    r"""Return the derivatives of all components of a sampled vector field along all axes.

    Parameters
    ----------
    v : sequence of arrays, or array of shape (m, n_0, ..., n_k)
        The components, any number of them, otherwise as for `divergence`.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, stagger, time_unit, where, skipna,
    curvilinear, backend
        As for `divergence`.
    out : tuple of tuples of arrays, or array, optional
        Where to write: arrays as they are returned, none of them twice; with ``stack=True`` one
        array.
    stack : bool, optional
        Whether to return one array of shape (m, n, n_0, ..., n_k), for n axes.

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the derivative of component i along the axis with number j of those
        named, in the unit of `v` per unit of the spacing.

    Raises
    ------
    TypeError, ValueError
        As for `divergence`.

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
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger)
    return apply_operator(
        "jacobian", v, spacing, axis, time_unit, options, where, skipna, out, stack, backend,
        curvilinear,
    )  # fmt: skip


@accepts_labels
def hessian(
    f: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[tuple[Array, ...], ...]:
    r"""Return all second derivatives of a sampled field.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a field, of any kind that `gradient` takes.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, time_unit, where, skipna,
    backend
        As for `divergence`; a boundary with a value or slope other than zero says nothing of
        mixed derivatives, and is refused.
    out : tuple of tuples of arrays, or array, optional
        Where to write: arrays as they are returned, none of them twice; with ``stack=True`` one
        array.
    stack : bool, optional
        Whether to return one array of shape (n, n, n_0, ..., n_k), for n axes.

    Returns
    -------
    tuple of tuples of arrays, or array
        ``result[i][j]`` is the derivative along the axes with numbers i and j of those named, in
        the unit of `f` per squared unit of the spacing. Mixed derivatives are symmetric:
        ``result[j][i]`` is the same array as ``result[i][j]``.

    Raises
    ------
    TypeError, ValueError
        As for `derivative`.

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
