"""Derivatives of functions: what users call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from gpugrad._functions.descriptions import FIRST, SCALAR, SECOND, describe
from gpugrad._functions.function_derivative import FunctionDerivative
from gpugrad._functions.methods import Method
from gpugrad._keywords import refuse_unknown
from gpugrad._stencils import OPERATORS

P = ParamSpec("P")


def _takes_options(maker: Callable[P, FunctionDerivative]) -> Callable[P, FunctionDerivative]:
    """Let a maker of derivatives answer arguments by position, and foreign keywords."""
    example = "order=2" if maker.__name__ == "derivative_of" else "accuracy=4"

    @wraps(maker)
    def call(*arguments: P.args, **options: P.kwargs) -> FunctionDerivative:
        if len(arguments) > 1:
            raise TypeError(
                f"`{maker.__name__}` takes the function by position and options by name, as in "
                f"`{example}`; got {arguments[1]!r:.60}, too. Points are for what it returns: "
                f"`{maker.__name__}(func)(x)`."
            )
        try:
            return maker(*arguments, **options)
        except TypeError:
            refuse_unknown(maker, arguments, options)
            raise

    return call


@_takes_options
@describe(
    **SCALAR,
    **FIRST,
    stacked=", with the components on a new leading axis, instead of a tuple",
    results="a tuple with one array for each coordinate (for one coordinate, a single array); or, "
    "if it is called with a single array of points, one array of the same shape",
)
def gradient_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    stack: bool = False,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the gradient of a function, as a function of points.

    Use it for a Python function, and `gradient` for a table of samples. No grid is needed, and the
    result is as exact as the function allows.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    derivative_of : A derivative of any order, of a function of one variable.
    symbolic.gradient : The exact gradient of a formula.
    gradient : The gradient of a table of samples.

    Notes
    -----
    The methods are:

    - "autodiff": automatic differentiation by PyTorch or JAX, for functions that are written with
      one of these libraries or with operators. The derivatives are compared with finite differences
      at each point.
    - "complex": :math:`f'(x) = \operatorname{Im} f(x + \mathrm{i} h) / h` with
      :math:`h = 2^{-100}` (scaled for points that are very large or small). Nothing is subtracted,
      so no digit is lost. The method is for NumPy points and functions that consist of analytic
      operations of NumPy. All operations on the points are tracked; absolute values, comparisons,
      conversions and other operations that are not analytic are refused, with their names. The
      values are compared with those of the real function, and at up to 4096 points of a call the
      derivatives are compared with finite differences.
    - "extrapolation": central differences with steps that decrease from the magnitude of the point,
      combined to eighth order. The best step is chosen for each point.
    - "central": central differences with a single step and the weights of `stencil`, the cheapest
      method.

    At the ends of its domain, where a function is NaN or raises an error on one side, the numerical
    methods use points on the other side, with formulas of the same accuracy.

    Errors are estimated from the differences between formulas of different accuracy or with
    different steps, and from the rounding of the values. Where the derivative is exact, they are
    estimated from results at points that are some units in the last place away.

    References
    ----------
    W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions",
    *SIAM Review* 40 (1998), 110-112.

    Examples
    --------
    The gradient of a function of three variables at one point:

    >>> import gpugrad
    >>> grad = gpugrad.gradient_of(lambda x, y, z: 2 * x**2 + 3 * y**2 - 4 * z)
    >>> [float(component) for component in grad(1.0, 2.0, 3.0)]
    [4.0, 12.0, -4.0]

    A derivative with a bound of its error, for a function of single numbers:

    >>> import math
    >>> slope = gpugrad.gradient_of(math.sin, return_error=True)
    >>> value, error = slope(1.0)
    >>> bool(abs(value - math.cos(1.0)) < error < 1e-12)
    True
    >>> slope.method
    'extrapolation'
    """
    return FunctionDerivative(func, "gradient", 1, locals())


@_takes_options
@describe(
    func="""
func : callable
    The function ``func(x)``. It takes an array or a number and returns a value for each point. It
    is called with many points at once. Functions of single numbers, such as `math.sin`, are called
    in a loop.
""",
    counted=SCALAR["counted"],
    value_errors="; if `order` is not from 1 to 8",
    complex_step="""a step in the complex plane, exact except for rounding; for higher orders the
  first derivatives are differentiated by "extrapolation". It is for NumPy points and functions
  that consist of analytic operations of NumPy.""",
)
def derivative_of(
    func: Callable[..., Any],
    *,
    order: int = 1,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return a derivative of a function of one variable, as a function of points.

    The first derivative is the rate of change of the function, the second derivative describes its
    curvature. No table of samples is needed.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    FunctionDerivative
        A function of points: numbers, or arrays of any shape, of NumPy, CuPy, PyTorch, JAX or
        another library that follows the array API. It returns an array with the shape, library,
        device and dtype of the points; integers become float64. The unit is the unit of `func` per
        unit of its argument to the power `order`.

    {errors: help() shows this}

    See Also
    --------
    gradient_of : The gradient of a function of several variables.
    derivative : A derivative of a table of samples.

    Notes
    -----
    {methods: help() shows this}

    "autodiff" is exact for all orders. The other methods lose digits with each order: with
    "extrapolation", about 13 digits are correct for order 1, 11 for order 2, 10 for order 4 and 6
    for order 8.

    Examples
    --------
    The second derivative of the exponential function:

    >>> import numpy as np
    >>> import gpugrad
    >>> curvature = gpugrad.derivative_of(np.exp, order=2)
    >>> bool(abs(curvature(1.0) - np.e) < 1e-11)
    True
    """
    return FunctionDerivative(func, "derivative", order, locals())


@_takes_options
@describe(
    **FIRST,
    returned="its m components: a tuple of arrays or numbers, or one array with the components on "
    "axis 0",
    counted="its components for each point",
    stacked=" of shape (m, n, ...) for n coordinates, instead of tuples",
    results="tuples of arrays, where ``result[i][j]`` is the derivative of component i with "
    "respect to coordinate j; or, if it is called with a single array of points, one array with "
    "the axes of i and j instead of the axis of the coordinates",
)
def jacobian_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    stack: bool = False,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the Jacobian of a vector-valued function, as a function of points.

    The Jacobian is the matrix of all first derivatives. It is used by Newton's method and for the
    propagation of errors, for example.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    gradient_of : The gradient of a function with one value.
    divergence_of : The sum of the diagonal.
    jacobian : The Jacobian of a table of samples.

    Notes
    -----
    .. math:: J_{ij} = \frac{\partial f_i}{\partial x_j}

    {methods: help() shows this}

    Examples
    --------
    The Jacobian of the mapping :math:`(x + 2 y, x y)` at one point:

    >>> import gpugrad
    >>> jacobian = gpugrad.jacobian_of(lambda x, y: (x + 2 * y, x * y), stack=True)
    >>> jacobian(1.0, 3.0)
    array([[1., 2.],
           [3., 1.]])
    """
    return FunctionDerivative(func, "jacobian", 1, locals())


@_takes_options
@describe(
    **SCALAR,
    **SECOND,
    stacked=" of shape (n, n, ...) for n coordinates, instead of tuples",
    results="tuples of arrays, where ``result[i][j]`` is the derivative with respect to the "
    "coordinates i and j; or, if it is called with a single array of points, one array with the "
    "axes of i and j instead of the axis of the coordinates. The result is exactly symmetric, "
    'except with "autodiff"',
)
def hessian_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    stack: bool = False,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the matrix of second derivatives of a function, as a function of points.

    The Hessian describes the curvature of a function in all directions. Where the gradient is zero,
    the signs of its eigenvalues distinguish minima, maxima and saddles.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    laplacian_of : The sum of the diagonal.
    hessian : The second derivatives of a table of samples.

    Notes
    -----
    .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \, \partial x_j}

    {methods: help() shows this}

    "extrapolation" and "central" use second differences along the axes and along the diagonals
    between each two axes.

    Examples
    --------
    The Hessian of :math:`x^2 + 3 x y` at one point:

    >>> import numpy as np
    >>> import gpugrad
    >>> hessian = gpugrad.hessian_of(lambda x, y: x**2 + 3 * x * y, stack=True)
    >>> np.round(hessian(1.0, 3.0), 9)
    array([[2., 3.],
           [3., 0.]])
    """
    return FunctionDerivative(func, "hessian", 2, locals())


@_takes_options
@describe(
    **FIRST,
    returned="a component for each coordinate: a tuple of arrays or numbers, or one array with the "
    "components on axis 0",
    counted="one component for each coordinate",
    results="one number for each point",
)
def divergence_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the divergence of a vector-valued function, as a function of points.

    The divergence is the net outflow per unit of volume: it is positive at sources and negative at
    sinks.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    curl_of : The curl of a vector-valued function.
    divergence : The divergence of a table of samples.

    Notes
    -----
    .. math:: \operatorname{div} f = \sum_{i=1}^{n} \frac{\partial f_i}{\partial x_i}

    The bound of the error is the sum of the bounds of the terms.

    {methods: help() shows this}

    Examples
    --------
    The divergence of the flow :math:`(x^2, 3 y)` at one point:

    >>> import gpugrad
    >>> divergence = gpugrad.divergence_of(lambda x, y: (x**2, 3 * y))
    >>> float(divergence(1.0, 5.0))
    5.0
    """
    return FunctionDerivative(func, "jacobian", 1, locals(), OPERATORS["divergence"])


@_takes_options
@describe(
    **FIRST,
    returned="two or three components, one for each coordinate: a tuple of arrays or numbers, or "
    "one array with the components on axis 0",
    counted="one component for each coordinate",
    value_errors="; if there are not two or three coordinates",
    stacked=" of shape (3, ...) for three coordinates, instead of a tuple",
    results="one array for two coordinates, the component perpendicular to their plane, and a "
    "tuple of three arrays for three coordinates; or, if it is called with a single array of "
    "points, one array with its components along the axis of the coordinates",
)
def curl_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    stack: bool = False,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the curl of a vector-valued function of two or three variables.

    The result is a function of points. The curl measures the rotation of a flow: it is twice the
    angular velocity of a small body that is carried along.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    divergence_of : The divergence of a vector-valued function.
    curl : The curl of a table of samples.

    Notes
    -----
    In three dimensions the components are

    .. math::

        \left(\frac{\partial f_z}{\partial y} - \frac{\partial f_y}{\partial z},\;
        \frac{\partial f_x}{\partial z} - \frac{\partial f_z}{\partial x},\;
        \frac{\partial f_y}{\partial x} - \frac{\partial f_x}{\partial y}\right)

    In two dimensions the curl is the last of them. The bound of the error is the sum of the bounds
    of the terms.

    {methods: help() shows this}

    Examples
    --------
    A solid body that rotates with an angular velocity of 1 has a curl of 2:

    >>> import gpugrad
    >>> curl = gpugrad.curl_of(lambda x, y: (-y, x))
    >>> float(curl(1.0, 5.0))
    2.0
    """
    return FunctionDerivative(func, "jacobian", 1, locals(), OPERATORS["curl"])


@_takes_options
@describe(**SCALAR, **SECOND, results="one number for each point")
def laplacian_of(
    func: Callable[..., Any],
    *,
    method: Method = "auto",
    accuracy: int | None = None,
    step: Any = None,
    vector: bool = False,
    points_axis: int | None = None,
    return_error: bool = False,
) -> FunctionDerivative:
    r"""Return the Laplacian of a function, as a function of points.

    The Laplacian compares a function with its surroundings: it is positive where the function is
    below the mean of its neighbourhood. It appears in the equations of diffusion and of potentials.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    {result: help() shows this}

    {errors: help() shows this}

    See Also
    --------
    hessian_of : All second derivatives.
    laplacian : The Laplacian of a table of samples.

    Notes
    -----
    .. math:: \Delta f = \sum_{i=1}^{n} \frac{\partial^2 f}{\partial x_i^2}

    Only the second derivatives along the axes are computed, which are the diagonal of `hessian_of`.
    The bound of the error is the sum of the bounds of the terms.

    {methods: help() shows this}

    Examples
    --------
    The Laplacian of :math:`x^2 y` at one point:

    >>> import gpugrad
    >>> laplacian = gpugrad.laplacian_of(lambda x, y: x**2 * y)
    >>> float(laplacian(1.0, 5.0).round(9))
    10.0
    """
    return FunctionDerivative(func, "hessian", 2, locals(), OPERATORS["laplacian"])
