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
    stacked=", the components on a new leading axis, instead of a tuple",
    results="the same form: a tuple with an array for each coordinate (for a single coordinate the "
    "bare array), or one array of the shape of the array of points",
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

    For a function rather than a table of samples: no grid, and results as exact as the function
    allows.

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
    - "autodiff": automatic differentiation by PyTorch or JAX, for functions written
      with them or with operators. Slopes must agree with differences at each point.
    - "complex": :math:`f'(x) = \operatorname{Im} f(x + \mathrm{i} h) / h` with
      :math:`h = 2^{-100}` (in proportion to points that are very large or small), where nothing
      is subtracted and no digit lost. Only for NumPy points and functions of NumPy's analytic
      operations: points track what is done to them, and absolute values, comparisons, conversions
      and the like are refused by name. Values must agree with the real function, and slopes, at
      up to 4096 points of a call, with real differences.
    - "extrapolation": central differences at steps from the size of the point downwards, combined
      to eighth order; for each point the best step.
    - "central": central differences with one step and the weights of `stencil`, the cheapest.

    At the ends of its domain, where a function is NaN or raises an error on one side, numerical
    methods take samples on the other side, by formulas of the same accuracy.

    Errors are estimated from formulas of different accuracy or different steps, and the rounding of
    values; where the derivative is exact, from results at points some units in the last place away.

    References
    ----------
    W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions",
    *SIAM Review* 40 (1998), 110-112.

    Examples
    --------
    >>> import gpugrad
    >>> grad = gpugrad.gradient_of(lambda x, y, z: 2 * x**2 + 3 * y**2 - 4 * z)
    >>> [float(component) for component in grad(1.0, 2.0, 3.0)]
    [4.0, 12.0, -4.0]
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
    The function ``func(x)``, of an array or a number, which returns a value for each point. It is
    called with many points at once; functions of single numbers, such as `math.sin`, are called in
    a loop.
""",
    counted=SCALAR["counted"],
    value_errors=" If `order` is not from 1 to 8.",
    complex_step="""a step in the complex plane, exact but for rounding; higher orders are
  differences of first derivatives by "extrapolation". For NumPy points and functions of NumPy's
  analytic operations.""",
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

    It is how fast the function changes (order 1), how it bends (order 2), and so on, without a
    table of samples.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    FunctionDerivative
        A function of points of any shape, numbers or arrays of NumPy, CuPy, PyTorch, JAX or another
        array-API library, that returns an array of that shape, library, device and dtype; integers
        become float64. In the unit of `func` per unit of its argument to the power `order`.

    {errors: help() shows this}

    See Also
    --------
    gradient_of : The gradient of a function of several variables.
    derivative : A derivative of a table of samples.

    Notes
    -----
    {methods: help() shows this}

    "autodiff" is exact for all orders. Other methods lose digits with each: about 13 digits are
    right for order 1 by extrapolation, 11 for order 2, 10 for order 4, 6 for order 8.

    Examples
    --------
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
    stacked=" of shape (m, n, ...), for n coordinates",
    results="``result[i][j]``, the derivative of component i by coordinate j; or, where it is "
    "called with one array of points, an array with the axes of i and j in place of the axis of "
    "the components",
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

    It is the linear map that is nearest to the function about a point: the matrix that Newton's
    method solves with, and by which errors propagate.

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
    >>> import gpugrad
    >>> polar = gpugrad.jacobian_of(lambda x, y: (x + 2 * y, x * y), stack=True)
    >>> polar(1.0, 3.0)
    array([[1., 2.],
           [3., 1.]])
    """
    return FunctionDerivative(func, "jacobian", 1, locals())


@_takes_options
@describe(
    **SCALAR,
    **SECOND,
    stacked=" of shape (n, n, ...), for n coordinates",
    results="``result[i][j]``, the derivative by the coordinates i and j; or, where it is called "
    "with one array of points, an array with the axes of i and j in place of the axis of the "
    'components. It is symmetric to the bit but with "autodiff"',
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

    It is how a function bends in all directions: where the gradient is zero, its eigenvalues tell
    minima, maxima and saddles apart.

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

    "extrapolation" and "central" take second differences along the axes and along the diagonals
    between each two of them.

    Examples
    --------
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

    It is how much of a flow comes out of each place: sources are positive, sinks negative.

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
    >>> import gpugrad
    >>> spread = gpugrad.divergence_of(lambda x, y: (x**2, 3 * y))
    >>> float(spread(1.0, 5.0))
    5.0
    """
    return FunctionDerivative(func, "jacobian", 1, locals(), OPERATORS["divergence"])


@_takes_options
@describe(
    **FIRST,
    returned="two or three components, one for each coordinate: a tuple of arrays or numbers, or "
    "one array with the components on axis 0",
    counted="one component for each coordinate",
    value_errors=" If there are not two or three coordinates.",
    stacked=" of shape (3, ...), for three coordinates",
    results="the one component across the plane with two coordinates, a tuple of three with three; "
    "or, where it is called with one array of points, an array with its components on the same "
    "axis as the points",
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

    It is how a flow turns about each place: twice the angular velocity of a body that it carries
    along.

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

    and in two dimensions the last of them. The bound of the error is the sum of the bounds of the
    terms.

    {methods: help() shows this}

    Examples
    --------
    >>> import gpugrad
    >>> turn = gpugrad.curl_of(lambda x, y: (-y, x))  # a solid body turning once in 2 pi
    >>> float(turn(1.0, 5.0))
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

    It compares a function with its surroundings: positive where the function is below the mean of
    its neighbourhood, as in diffusion and in potentials.

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

    Second derivatives along the axes alone are computed, as `hessian_of` has them on its diagonal.
    The bound of the error is the sum of the bounds of the terms.

    {methods: help() shows this}

    Examples
    --------
    >>> import gpugrad
    >>> bump = gpugrad.laplacian_of(lambda x, y: x**2 * y)
    >>> float(bump(1.0, 5.0).round(9))
    10.0
    """
    return FunctionDerivative(func, "hessian", 2, locals(), OPERATORS["laplacian"])
