"""Derivatives of functions: what users call, and the function objects they get."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import reduce, wraps
from numbers import Real
from typing import Any, NamedTuple, ParamSpec

import numpy as np

from gpugrad._arrays import Array
from gpugrad._functions.descriptions import FIRST, SCALAR, SECOND, describe
from gpugrad._functions.methods import METHODS, Method, Request, differentiate
from gpugrad._functions.points import Points, parse_points_axis
from gpugrad._functions.user_function import UserFunction, check_callable
from gpugrad._grids import Options, parse_scheme
from gpugrad._keywords import refuse_unknown
from gpugrad._stencils import OPERATORS, Operator

_ACCURACY = 8


class DerivativeEstimate(NamedTuple):
    """A derivative and an estimated bound of its error, each as it would come alone.

    What derivatives of functions return with ``return_error=True``.

    Parameters
    ----------
    value : number, array, or tuple of them
        The derivative.
    error : number, array, or tuple of them
        The estimated bound of its error, in the same form and unit; infinite where nothing can be
        said.

    See Also
    --------
    gradient_of : Makes functions that return it with ``return_error=True``.

    Examples
    --------
    >>> import gpugrad
    >>> value, error = gpugrad.derivative_of(lambda x: x**3, return_error=True)(2.0)
    >>> bool(abs(value - 12) <= error < 1e-12)
    True
    """

    value: Any
    error: Any


class FunctionDerivative:
    """A derivative of a function: a function itself, made by `gradient_of` and its relatives.

    It is called with points, as often as needed, and may be passed on wherever a function is
    wanted: to a solver, a plot, or to `tabulate`.

    Parameters
    ----------
    func : callable
        The function to differentiate.
    kind : {"gradient", "jacobian", "hessian", "derivative"}
        Which derivatives are computed.
    order : int
        Their order.
    options : dict
        The arguments of the function that makes it, such as `gradient_of`.
    row : object, optional
        How the derivatives add up, as for a divergence.

    Attributes
    ----------
    method : str
        How derivatives are computed. With "auto", once it has been called, how the last call did.

    See Also
    --------
    gradient_of : Makes one.
    derivative_of : Makes one for a function of one variable.

    Examples
    --------
    >>> import gpugrad
    >>> slope = gpugrad.gradient_of(lambda x, y: x**2 * y)
    >>> slope(3.0, 2.0)
    (np.float64(12.0), np.float64(9.0))
    >>> slope.method
    'complex'
    """

    def __init__(
        self, func: Any, kind: str, order: int, options: dict[str, Any], row: Operator | None = None
    ) -> None:
        check_callable(func)
        self._row = row  # what adds the derivatives up, if anything does
        method, accuracy, step = options["method"], options["accuracy"], options["step"]
        if method not in METHODS:
            raise ValueError(f"`method` must be one of {', '.join(METHODS)}; got {method!r}.")
        if (accuracy is not None or step is not None) and method != "central":
            raise ValueError(
                f'`accuracy` and `step` go with method="central"; got method={method!r}, which '
                "chooses its steps itself."
            )
        scheme = parse_scheme(Options(order, _ACCURACY if accuracy is None else accuracy))
        self._request = Request(
            kind,
            scheme.order,
            scheme.accuracy,
            _parse_step(step),
            options["return_error"],
            is_diagonal=kind == "hessian" and row is not None,
        )
        self._func, self._asked_method = func, method
        self._is_analytic = False
        self._vector, self._stack = options.get("vector", False), options.get("stack", False)
        self._axis = parse_points_axis(options.get("points_axis"), self._vector)
        self.method: str = method

    def __repr__(self) -> str:
        """Say of what it is the derivative."""
        name = getattr(self._func, "__name__", type(self._func).__name__)
        kind = self._request.kind if self._row is None else self._row.name
        return f"<{kind} of {name}, method {self.method!r}>"

    def __call__(self, *coordinates: Any) -> Any:
        """Return the derivative at points: at numbers, at arrays, or at one array of vectors.

        Parameters
        ----------
        *coordinates : number or array
            One for each coordinate, which broadcast together; with `vector` or `points_axis` one
            array that holds all of them.

        Returns
        -------
        number, array, tuple of them, or DerivativeEstimate
            The derivatives at the points, in the form in which the points came; with
            `return_error` the bounds of their errors, too.

        See Also
        --------
        gradient_of : Says what may be given, and what is returned.

        Examples
        --------
        >>> import gpugrad
        >>> slope = gpugrad.derivative_of(lambda x: x**2)
        >>> slope([1.0, 2.0])
        array([2., 4.])
        """
        points = Points(coordinates, self._axis)
        n, kind, row = len(points.flat), self._request.kind, self._row
        if kind == "derivative" and n != 1:
            raise TypeError(
                f"`derivative_of` needs one coordinate; got {n}. For functions of "
                "several there are `gradient_of` and `hessian_of`."
            )
        if row is not None and row.axes[1] is not None and not row.axes[0] <= n <= row.axes[1]:
            raise ValueError(f"a {row.title} needs two or three coordinates; got {n}.")
        function = UserFunction(self._func, self._vector, kind == "jacobian")
        function.is_analytic = self._is_analytic
        function.check_count(n)
        if points.size:
            values, errors, self.method = differentiate(
                function, points, self._request, self._asked_method
            )
            self._is_analytic = function.is_analytic
        else:
            values = errors = self._make_empty(function, points)
        with_error = self._request.with_error
        if row is not None:
            values = _add_up(row, values, n)
            errors = _add_up(row, errors, n, all_plus=True) if with_error else []
        if points.size and points.on_host and not function.has_slopes:
            _warn_of_nans(values, points)
        results = self._pack_results(values, points)
        return (
            DerivativeEstimate(results, self._pack_results(errors, points))
            if with_error
            else results
        )

    def _make_empty(self, function: UserFunction, points: Points) -> list[Array]:
        """Return the derivatives at no points: as many empty arrays as there are derivatives."""
        n, request = len(points.flat), self._request
        count = n
        if request.kind == "hessian" and not request.is_diagonal:
            count = n * n
        elif request.kind == "jacobian":  # sums have as many components as coordinates
            count = n * (n if self._row is not None else len(function(points.flat)))
        return [points.restore_shape(points.xp.empty_like(points.flat[0])) for _ in range(count)]

    def _pack_results(self, derivatives: list[Array], points: Points) -> Any:
        if self._row is None and self._request.kind in ("jacobian", "hessian"):
            return points.pack(derivatives, self._stack, width=len(points.flat))
        # What adds up to one number for each point is never wrapped, whatever `stack` says.
        is_bare = self._row is not None or (points.axis is None and not self._stack)
        if len(derivatives) == 1 and is_bare:
            return derivatives[0]
        return points.pack(derivatives, self._stack)


def _add_up(row: Operator, derivatives: list[Array], n: int, all_plus: bool = False) -> list[Array]:
    """Return the sums of an operator of the table, from all derivatives that it may add.

    `derivatives` has, for each component, the derivatives by all coordinates. Bounds of errors add
    up, whatever the signs.
    """
    components = len(derivatives) // n
    if row.takes == "vector" and components != n:
        raise ValueError(
            f"a {row.title} needs one component for each coordinate; got {components} components "
            f"for {n} coordinates."
        )

    def term(axis: int, i: int = 0, sign: int = 1) -> Array:
        derivative = derivatives[i * n + axis]
        return derivative if sign > 0 or all_plus else -derivative

    outputs = row.make_outputs(lambda order: range(n), term, components)
    return [sum(terms[1:], start=terms[0]) for terms in outputs]


def _parse_step(step: Any) -> Any:
    if step is None:
        return None
    steps = list(step) if isinstance(step, (tuple, list)) else [step]
    for h in steps:
        if isinstance(h, (bool, np.bool_)) or not isinstance(h, Real):
            raise TypeError(f"`step` must be a number, or one for each coordinate; got {step!r}.")
        if not 0 < float(h) < math.inf:
            raise ValueError(f"`step` must be positive and finite; got {h!r}.")
    return steps if isinstance(step, (tuple, list)) else step


def _warn_of_nans(values: list[Array], points: Points) -> None:
    if not any(np.isnan(np.min(value)) for value in values):  # one pass without a temporary
        return
    is_nan = reduce(np.logical_or, map(np.isnan, values))
    first = int(np.argmax(is_nan))
    where = ", ".join(f"{float(c[first]):g}" for c in points.flat)
    warnings.warn(
        f"the derivative is NaN at {int(is_nan.sum())} of {points.size} points, the first at "
        f"({where}): `func` has no finite value there, or its values on neither side tell a slope.",
        RuntimeWarning,
        stacklevel=3,
    )


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
    {parameters}

    Returns
    -------
    {result}

    {errors}

    See Also
    --------
    derivative_of : A derivative of any order, of a function of one variable.
    symbolic.gradient : The exact gradient of a formula.
    gradient : The gradient of a table of samples.

    Notes
    -----
    - "autodiff": automatic differentiation by PyTorch or JAX, for functions written
      with them or with operators.
    - "complex": :math:`f'(x) = \operatorname{Im} f(x + \mathrm{i} h) / h` with
      :math:`h = 2^{-100}` (in proportion to points that are very large or small), where nothing
      is subtracted and no digit lost. Only for NumPy points and functions of NumPy's analytic
      operations: points track what is done to them, and absolute values, comparisons, conversions
      and the like are refused by name. Values must agree with the real function, and
      at three points of the first call slopes must agree with real differences.
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
    {parameters}

    Returns
    -------
    FunctionDerivative
        A function of points of any shape, numbers or arrays of NumPy, CuPy, PyTorch, JAX or another
        array-API library, that returns an array of that shape, library, device and dtype; integers
        become float64. In the unit of `func` per unit of its argument to the power `order`.

    {errors}

    See Also
    --------
    gradient_of : The gradient of a function of several variables.
    derivative : A derivative of a table of samples.

    Notes
    -----
    {methods}

    "autodiff" is exact for all orders. Other methods lose digits with each: about 13 digits are
    right for order 1 by extrapolation, 11 for order 2, 8 for order 4.

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
    {parameters}

    Returns
    -------
    {result}

    {errors}

    See Also
    --------
    gradient_of : The gradient of a function with one value.
    divergence_of : The sum of the diagonal.
    jacobian : The Jacobian of a table of samples.

    Notes
    -----
    .. math:: J_{ij} = \frac{\partial f_i}{\partial x_j}

    {methods}

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
    {parameters}

    Returns
    -------
    {result}

    {errors}

    See Also
    --------
    laplacian_of : The sum of the diagonal.
    hessian : The second derivatives of a table of samples.

    Notes
    -----
    .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \, \partial x_j}

    {methods}

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
    {parameters}

    Returns
    -------
    {result}

    {errors}

    See Also
    --------
    curl_of : The curl of a vector-valued function.
    divergence : The divergence of a table of samples.

    Notes
    -----
    .. math:: \operatorname{div} f = \sum_{i=1}^{n} \frac{\partial f_i}{\partial x_i}

    The bound of the error is the sum of the bounds of the terms.

    {methods}

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
    {parameters}

    Returns
    -------
    {result}

    {errors}

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

    {methods}

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
    {parameters}

    Returns
    -------
    {result}

    {errors}

    See Also
    --------
    hessian_of : All second derivatives.
    laplacian : The Laplacian of a table of samples.

    Notes
    -----
    .. math:: \Delta f = \sum_{i=1}^{n} \frac{\partial^2 f}{\partial x_i^2}

    Second derivatives along the axes alone are computed, as `hessian_of` has them on its diagonal.
    The bound of the error is the sum of the bounds of the terms.

    {methods}

    Examples
    --------
    >>> import gpugrad
    >>> bump = gpugrad.laplacian_of(lambda x, y: x**2 * y)
    >>> float(bump(1.0, 5.0).round(9))
    10.0
    """
    return FunctionDerivative(func, "hessian", 2, locals(), OPERATORS["laplacian"])
