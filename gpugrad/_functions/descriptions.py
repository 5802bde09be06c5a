"""What the parameters of derivatives of functions mean: once for all, filled into docstrings."""

from __future__ import annotations

from collections.abc import Callable

from gpugrad._docs import F, fill_docstring, join_parameters

_PARAMETERS = {
    "func": """
func : callable
    The function ``func(x, y, ...)``. It takes one array or number for each coordinate and returns
    {returned}. It is called with many points at once. If it gives the same values for coordinates
    whose shapes broadcast together, it is called with such coordinates. Functions of single
    numbers, such as `math.sin`, are called in a loop. With `vector`, the function is ``func(p)``
    and takes one array, with the coordinates along axis 0.
""",
    "order": """
order : int, optional
    The order of the derivative, from 1 to 8. By default 1.
""",
    "method": """
method : {"auto", "autodiff", "complex", "extrapolation", "central"}, optional
    How to differentiate; see the notes. "auto", the default, uses the first of "autodiff",
    "complex" and "extrapolation" that works; the attribute ``method`` of the result has its name.
    At points where finite differences contradict this method, or have a smaller error for orders
    above 2, the differences are used instead.
""",
    "accuracy": """
accuracy : {2, 4, 6, 8, 10, 12}, optional
    The order of accuracy of the method "central": its error is proportional to this power of the
    step. By default 8.
""",
    "step": """
step : number or sequence of numbers, optional
    The step of the method "central", in the unit of the coordinates: one number, or one for each
    coordinate. By default it balances rounding and truncation errors for a function that changes
    over lengths of about max(1, abs(x)).
""",
    "vector": """
vector : bool, optional
    Whether `func` takes all coordinates in one array. By default False.
""",
    "points_axis": """
points_axis : {0, -1}, optional
    If given, the result is called with a single array of points, with the coordinates along this
    axis. By default, the result is called with one array for each coordinate; with `vector`, with
    a single array with the coordinates along axis 0.
""",
    "stack": """
stack : bool, optional
    Whether to return one array{stacked}. By default False.
""",
    "return_error": """
return_error : bool, optional
    Whether to return a `DerivativeEstimate`, a pair ``(value, error)`` with an estimated bound for
    the error of each number. By default False.
""",
}

_RESULT = """
FunctionDerivative
    A function of points. It takes one number or array for each coordinate, of any shapes that
    broadcast together, or a single array with all coordinates. The arrays may be those of NumPy,
    CuPy, PyTorch, JAX or another library that follows the array API. The function returns
    {results}. Library, device and dtype are those of the points; integers become float64. Without
    points, the arrays are empty. {unit}
"""

_ERRORS = """
Raises
------
TypeError
    If `func` is not callable or does not accept the coordinates; if points belong to two
    libraries, are complex, lazy or masked, or have units; if the requested method can't
    differentiate this function, or finite differences contradict its result (`NotAnalytic` for
    "complex").
ValueError
    If `func` does not return {counted}; if its value at a point depends on other points or changes
    from call to call; if the value of an argument is unknown{value_errors}.

Warns
-----
GpugradWarning
    If the derivative is NaN at points whose values are in memory: because `func` is NaN or raises
    an error there, because no slope can be found on either side, as for a square root at 0, or
    because the slopes on both sides differ, as at a kink or a jump.
"""

_METHODS = """
- "autodiff": automatic differentiation by PyTorch or JAX, for functions that are written with
  one of these libraries or with operators. It is exact.
- "complex": {complex_step}
- "extrapolation": a combination of central differences with many steps; the best step is chosen
  for each point.
- "central": central differences with a single step, the cheapest method.

`gradient_of` describes the methods in detail.
"""

FIRST = {
    "unit": "The unit is the unit of `func` per unit of the coordinate.",
    "complex_step": """a step in the complex plane, exact except for rounding, for NumPy points and
  functions that consist of analytic operations of NumPy.""",
}
"""Words for first derivatives."""

SECOND = {
    "unit": "The unit is the unit of `func` per squared unit of the coordinates.",
    "complex_step": """a step in the complex plane for the first derivatives, which are then
  differentiated by "extrapolation"; for NumPy points and functions that consist of analytic
  operations of NumPy.""",
}
"""Words for second derivatives."""

SCALAR = {"returned": "a value for each point", "counted": "one value for each point"}
"""Words for functions with one value."""

_WORDS = {"value_errors": ""}


def describe(**changes: str) -> Callable[[F], F]:
    """Fill a docstring in: ``{parameters}``, ``{result}``, ``{errors}`` and ``{methods}``.

    `changes` are descriptions of parameters that mean something else for this function, or words
    in the descriptions.
    """

    def fill_in(function: F) -> F:
        marks = {
            "parameters": join_parameters(function, _PARAMETERS | changes),
            "result": _RESULT,
            "errors": _ERRORS,
            "methods": _METHODS,
        }
        return fill_docstring(function, marks, _WORDS | changes)

    return fill_in
