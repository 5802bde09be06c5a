"""What the parameters of derivatives of functions mean: once for all, filled into docstrings."""

from __future__ import annotations

from collections.abc import Callable

from gpugrad._docs import F, fill_docstring, join_parameters

_PARAMETERS = {
    "func": """
func : callable
    The function ``func(x, y, ...)``, of one array or number for each coordinate, which returns
    {returned}. It is called with many points at once, and with coordinates of shapes that
    broadcast together if it does the same with these; functions of single numbers, such as
    `math.sin`, are called in a loop. With `vector` it is ``func(p)``, of one array with the
    components on axis 0.
""",
    "order": """
order : int, optional
    The order of the derivative, 1 to 8.
""",
    "method": """
method : {"auto", "autodiff", "complex", "extrapolation", "central"}, optional
    How to differentiate, see the notes. "auto" takes the first of "autodiff", "complex" and
    "extrapolation" that works, and leaves its name in the attribute ``method``. Where differences
    contradict it, or have a smaller error for orders above 2, they take its place.
""",
    "accuracy": """
accuracy : {2, 4, 6, 8, 10, 12}, optional
    The power of the step with which the error of "central" vanishes, by default 8.
""",
    "step": """
step : number or sequence of numbers, optional
    The step of "central", in the unit of the coordinates, the same for all or one for each. By
    default it balances rounding and truncation for a function that changes over lengths of
    max(1, abs(x)).
""",
    "vector": """
vector : bool, optional
    Whether `func` takes all coordinates in one array.
""",
    "points_axis": """
points_axis : {0, -1}, optional
    Where the components are in the one array of points that the result is called with. By
    default it takes an array for each coordinate, with `vector` one with the components on axis
    0.
""",
    "stack": """
stack : bool, optional
    Return one array{stacked}.
""",
    "return_error": """
return_error : bool, optional
    Return ``(value, error)``, a `DerivativeEstimate`: also an estimated bound of the error of
    each number.
""",
}

_RESULT = """
FunctionDerivative
    A function of points: numbers or arrays of any shape that broadcast together, of NumPy, CuPy,
    PyTorch, JAX or another array-API library, or one array of all coordinates. It returns
    {results}. Library, device and dtype are taken from the points; integers become float64. No
    points give empty arrays. {unit}
"""

_ERRORS = """
Raises
------
TypeError
    If `func` is not callable or does not take the coordinates; if points are of two libraries,
    complex, lazy, masked or with units; if a method cannot differentiate this function, or
    differences contradict the one that was asked for (`NotAnalytic` for "complex").
ValueError
    If `func` does not return {counted}, sees other points than that one, or returns something else
    when called again; if an argument is unknown.{value_errors}

Warns
-----
GpugradWarning
    If points in memory have a derivative that is NaN, because `func` is NaN or raises an error
    there, because its values on neither side tell a slope, as at a root at 0, or because both sides
    tell different ones, as at a kink or a jump.
"""

_METHODS = """
- "autodiff": automatic differentiation by PyTorch or JAX, for functions written with them or
  with operators; exact.
- "complex": {complex_step}
- "extrapolation": central differences at many steps, combined; for each point the best step.
- "central": central differences with one step, the cheapest.

`gradient_of` tells more of each.
"""

FIRST = {
    "unit": "In the unit of `func` per unit of the coordinate.",
    "complex_step": """a step in the complex plane, exact but for rounding; for NumPy points and
  functions of NumPy's analytic operations.""",
}
"""Words for first derivatives."""

SECOND = {
    "unit": "In the unit of `func` per squared unit of the coordinates.",
    "complex_step": """a step in the complex plane for first derivatives, then their differences by
  "extrapolation"; for NumPy points and functions of NumPy's analytic operations.""",
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
