"""The gradient, its length, and a derivative along one axis: what most users call."""

from __future__ import annotations

from typing import Any

from gpugrad._arrays import Array, as_field, dtype_name
from gpugrad._engines import evaluate
from gpugrad._grids import (
    ONE_SIDED,
    Options,
    parse_one_axis,
    plan_as_numpy,
    plan_axes,
    plan_gradient,
    refine_ends,
)
from gpugrad._labels import accepts_labels
from gpugrad._operators.apply import apply_operator
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import Term, each_derivative


@accepts_labels
def gradient(
    f: Any,
    *varargs: Any,
    axis: Any = None,
    edge_order: int = 1,
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
    r"""Differentiate a sampled field along its axes, as `numpy.gradient`, on any array library.

    Second-order central differences inside, one-sided differences at the ends: the call, the
    dtypes, the return shape and the bits of `numpy.gradient`, on the array's own device.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a scalar field: an array of NumPy, CuPy, PyTorch, JAX, Dask or any array-API
        library, or a nested sequence. Integers, real and complex floats; NumPy's dates, objects
        and masked arrays too.
    *varargs : number or array
        The spacing, in the unit of the coordinates. Nothing: 1 along every axis. One number: the
        distance between samples along every axis. Otherwise one per axis, each the distance
        between samples or the coordinates of the samples (length n_i, in any order in which
        neighbours differ, and so do the two neighbours of a sample). Coordinates may be sequences,
        NumPy arrays or arrays of the field's library. Where they differ from line to line, an
        array of the shape of `f`, or one that broadcasts to it: its axes are matched with the last
        ones of `f`.
    axis : None, int or tuple of int, optional
        The axes to differentiate along, all by default; negative ones count from the last.
    edge_order : {1, 2}, optional
        The order of accuracy at the two ends of an axis, from 2 or 3 samples. It is
        used with `accuracy` 2 alone, and not where `edge_accuracy` is given.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The power of the spacing with which the error inside vanishes, as for `derivative`.
    boundary : str, number, dict, tuple or list, optional
        What lies beyond the ends, as for `derivative`; a list has one for each axis.
    edge_accuracy : int, optional
        The power of the spacing with which the error at one-sided ends vanishes, by default
        `edge_order` with `accuracy` 2, otherwise `accuracy`.
    period : number or list, optional
        The period of the periodic axes, as for `derivative`; a list has one for each axis, None
        where it is to be inferred.
    stagger : {None, "left", "right"} or list, optional
        Where results are, as for `derivative`; a list has one for each axis.
    time_unit : str, optional
        The unit of time ("s", "h", "D", "ns", ...) that rates are per, where coordinates are
        ``datetime64`` or ``timedelta64``.
    where : array of bool, optional
        Where samples are valid: an array that broadcasts to the shape of `f`, of its library. Only
        these are read. Beside masked samples formulas become one-sided, of the best accuracy that
        the samples there allow, but not above `edge_accuracy` if that is given; where there are not
        enough of them, and at masked samples, the result is NaN.
    skipna : bool, optional
        Whether NaN is masked, too. With this or with `where`, the mask of a masked array counts as
        well, and the result is masked where it would be NaN.
    curvilinear : tuple of arrays, optional
        In place of spacings, on a curved grid: the coordinates of each sample, one array for each
        axis to differentiate along, of their shape or of that of `f`. Then the result has the
        derivative with respect to each coordinate, in this order, and `period` is for each axis
        a tuple by how much each coordinate grows once round it, None where they come back.
    out : array or tuple of arrays, optional
        Where to write: an array of the shape of `f` for one axis, a tuple with one per axis for
        several, or with `stack` one array of shape ``(number of axes, n_0, ..., n_k)``. May
        overlap with `f`.
    stack : bool, optional
        Return one array, the components on a new leading axis, instead of a tuple.
    backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
        Where the arithmetic runs, see `use_backend`; results have the type of `f` all the same.

    Returns
    -------
    array or tuple of arrays
        The derivative along each axis, in the unit of `f` per unit of the spacing: the bare
        array for one axis, a tuple for several, with the library, device, shape and dtype of `f`;
        integers become float64 (float32 where the device has no float64), dates timedelta64.

    Raises
    ------
    TypeError
        If `f`, a spacing or `out` is of the wrong kind: a function, text, booleans, complex
        coordinates, dates without a `time_unit`, an array of another library; or if the number
        of spacings does not match the axes.
    ValueError
        If an axis is too short (for NumPy's scheme, shorter than ``edge_order + 1``), does not
        exist or is named twice; if `accuracy`, `boundary` or `period` are unknown or out of range;
        if coordinates differ in length from their axis, repeat a neighbour's or are not finite;
        if a spacing is zero or not finite; if `out` has the wrong shape or device, or is read-only.
    BackendError
        If a backend asked for by name can't run this call.

    Warns
    -----
    UserWarning
        If coordinates go both up and down, or if the last sample of a periodic axis repeats the
        first.

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
    if (  # NumPy's own calls are the most common, and feel a microsecond
        where is None
        and skipna is False
        and curvilinear is None
        and (accuracy, edge_accuracy, period, stagger) == (2, None, None, None)
        and boundary is ONE_SIDED
    ):
        f = as_field(f)
        plans = plan_as_numpy(f, varargs, axis, edge_order, time_unit)
        if not plans:
            return _return_nothing(out, stack)
        results = evaluate([(Term(1, f, plan),) for plan in plans], out, stack, backend)
        return results if stack or len(plans) > 1 else results[0]
    options = Options(1, accuracy, edge_accuracy, boundary, period, stagger)
    if curvilinear is not None:
        options = refine_ends(options, edge_order)
        return apply_operator(
            "gradient", f, varargs, axis, time_unit, options, where, skipna, out, stack, backend,
            curvilinear,
        )  # fmt: skip
    samples = MaskedFields([as_field(f)], where, skipna)
    options = samples.refine(options)
    plans = plan_gradient(samples.fields[0], varargs, axis, edge_order, time_unit, options)
    if not plans:
        return _return_nothing(out, stack)
    results = samples.evaluate(each_derivative(plans, samples.term), out, stack, backend)
    return results if stack or len(plans) > 1 else results[0]


@accepts_labels
def derivative(
    f: Any,
    spacing: Any = 1.0,
    *,
    axis: int = -1,
    order: int = 1,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: float | None = None,
    stagger: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    smooth: Any = None,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Differentiate a sampled field along one axis: any order, any accuracy, any boundary.

    Central differences inside. At the ends, either one-sided differences or the same central
    ones, with what the boundary says about the field beyond.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a field, of any kind that `gradient` takes.
    spacing : number or array, optional
        The distance between samples along the axis, or their coordinates: one for each sample
        along it, or one for each sample of the field, as for `gradient`.
    axis : int, optional
        The axis to differentiate along, by default the last.
    order : int, optional
        The order of the derivative, 1 to 8.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The power of the spacing with which the error inside vanishes.
    boundary : str, number, dict or tuple, optional
        What lies beyond the ends; a pair ``(lower, upper)`` where they differ.

        - ``"one-sided"``: nothing is known, formulas read on one side only;
        - ``"periodic"``: the axis goes round;
        - ``"symmetric"``, ``"antisymmetric"``: the field mirrored about the edge sample, with the
          same or the opposite sign;
        - ``"half-symmetric"``, ``"half-antisymmetric"``: the same, mirrored about the point half a
          cell beyond the edge sample;
        - ``"nearest"``: the edge sample, again and again;
        - a number: that value, as from a Dirichlet condition;
        - ``{"normal": number}``: nothing, but at the edge sample the derivative along the outward
          normal is the number (a Neumann condition), in the unit of `f` per unit of the spacing.
    edge_accuracy : int, optional
        The power of the spacing with which the error vanishes at one-sided ends and at those with
        a given normal derivative. By default `accuracy`, but 1 for one-sided ends with `order` 1
        and `accuracy` 2, as in `numpy.gradient`.
    period : number, optional
        The period of a periodic axis, in the unit of the coordinates (of `time_unit` for dates).
        By default, on uneven samples, the step from the last sample to the first is the mean of
        the first and the last step; on even ones it is a step like any other.
    stagger : {None, "left", "right"}, optional
        Where results are: at the samples, or on the face half a cell before each of them ("left")
        or behind it ("right"). On uneven samples a face is midway between two of them; beyond an
        end, as far away as its neighbour, or midway to what the boundary puts there.
    time_unit : str, optional
        The unit of time that rates are per, where coordinates are dates.
    where, skipna : optional
        Which samples are valid, as for `gradient`.
    smooth : str or dict, optional
        Smooth noisy samples and differentiate what is left, with SciPy: ``{"window": 11,
        "polynomial": 3}``, a Savitzky-Golay filter of 11 even samples and polynomials of degree 3
        (on CuPy arrays CuPy's; ends "one-sided", "periodic", "symmetric" or "nearest");
        ``"spline"``, the cubic smoothing spline, also on uneven samples, its penalty by
        cross-validation; ``{"spline": penalty}`` with one of yours. It has a scheme of its
        own, and goes with no accuracy, period, stagger, mask or backend.
    out : array, optional
        Where to write, an array of the shape of `f`. May overlap with it.
    backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
        Where the arithmetic runs, see `use_backend`.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The derivative, in the unit of `f` per unit of the spacing to the power `order`. Library,
        device, shape and dtype are as for `gradient`.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind, as for `gradient`.
    ValueError
        If the axis is too short for the scheme (says which accuracy would fit), order, accuracy,
        boundary or period are unknown or out of range, or for what `gradient` raises it.
    BackendError
        If a backend asked for by name can't run this call.

    Warns
    -----
    UserWarning
        If coordinates go both up and down, or if the last sample of a periodic axis repeats the
        first.

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

    A field that a boundary does not fit has larger errors near that end: at "nearest" ends of a
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
    if smooth is not None:
        from gpugrad._operators.smoothing import smooth_derivative

        unfit_options = {
            "accuracy": (accuracy, 2),
            "edge_accuracy": (edge_accuracy, None),
            "period": (period, None),
            "stagger": (stagger, None),
            "where": (where, None),
            "skipna": (skipna, False),
            "backend": (backend, None),
        }
        return smooth_derivative(
            f, spacing, axis, order, smooth, boundary, time_unit, out, unfit_options
        )
    samples = MaskedFields([as_field(f)], where, skipna)
    options = samples.refine(Options(order, accuracy, edge_accuracy, boundary, period, stagger))
    plans = plan_axes(samples.fields[0], (spacing,), parse_one_axis(axis), time_unit, options)
    results = samples.evaluate(each_derivative(plans, samples.term), out, False, backend)
    return results[0]


def _return_nothing(out: Any, stack: bool) -> tuple[Array, ...]:
    """Return what there is for no axes: an empty tuple, as NumPy does."""
    if stack or out is not None:
        raise ValueError(
            "`axis` must name at least one axis to go with `stack` or `out`; got none of them."
        )
    return ()


@accepts_labels
def gradient_norm(
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
    r"""Return the magnitude of the gradient of a sampled field, in one pass over it.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a field, real or complex, of any kind that `gradient` takes but dates.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, time_unit, where, skipna,
    backend
        As for `divergence`.
    out : array, optional
        Where to write, an array of the shape of `f`. May overlap with it.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The length of the gradient, in the unit of `f` per unit of the spacing: real, not
        negative, with the library, device and precision of `f`; integers become floats.

    Raises
    ------
    TypeError, ValueError
        As for `derivative`; dates have no squares.

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
    if dtype_name(f.dtype).startswith(("datetime", "timedelta")):
        raise TypeError(
            f"`f` must hold numbers to have a gradient with a length; got dtype {f.dtype}. Divide "
            "by a unit of time first, as in `f / numpy.timedelta64(1, 's')`."
        )
    options = Options(1, accuracy, edge_accuracy, boundary, period)
    return apply_operator(
        "gradient_norm", f, spacing, axis, time_unit, options, where, skipna, out, False, backend
    )
