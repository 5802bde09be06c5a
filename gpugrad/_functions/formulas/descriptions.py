"""What the parameters of derivatives of formulas mean: once for all, filled into docstrings."""

from __future__ import annotations

from collections.abc import Callable

from gpugrad._docs import F, fill_docstring, join_parameters, list_parameters

_PARAMETERS = {
    "expr": """
expr : str or SymPy expression
    A formula of real variables, such as ``"2*x**2 + sin(y)"``. {grammar}
""",
    "exprs": """
exprs : sequence of str or SymPy expressions
    {components}: formulas of real variables, such as ``["x*y", "x + y"]``. {grammar}
""",
    "symbols": """
*symbols : str or SymPy symbols
    The variables, in the order of the {places}: ``"x", "y"`` or ``"x y"``. By default the symbols
    of the formula, sorted by name. The derivative with respect to a symbol that is not in the
    formula is zero.
""",
    "by": """
by : str or SymPy symbol, optional
    The variable with respect to which to differentiate. It may be left out if there is only one.
""",
    "order": """
order : int, optional
    The order of the derivative, from 1 to 8. By default 1.
""",
    "library": """
library : {"numpy", "cupy", "torch", "jax", "auto"}, optional
    The library that evaluates the derivative, as a name for `gpugrad.namespace`. Points that are
    numbers or NumPy arrays are converted to it. By default the library of the points.
""",
}

_ERRORS = """
Raises
------
TypeError
    If {no_formulas}, or if `backend` is given instead of `library`.
ValueError
    If a text is not a formula (the message says where), or contains symbols that are not listed;
    if a derivative has no value, as at a jump (``sign``, ``Heaviside``, ``floor``); if a text has
    more than 200 symbols or takes longer than 1.5 seconds{value_errors}.
ImportError
    If SymPy is not installed: ``pip install "gpugrad[symbolic]"``.
"""

_ROUNDING = """
There is no truncation error; the only error is the rounding of the operations in the formula. At a
kink, the derivative of ``Abs`` is 0, the derivative of ``Max`` and ``Min`` is the mean of both
slopes, and the derivative of ``Piecewise`` is that of the piece whose condition holds. A jump
between pieces is not detected.
"""

_GRAMMAR = (
    "Text is parsed and never executed as Python code. ``^`` means ``**``; ``x²``, ``½``, ``π`` "
    "and ``√x`` are understood, too. Products need a ``*``."
)

TOO_LONG = "; if the first derivatives of a text have more than 3000 operations"
"""What second derivatives raise ValueError for."""

_OF_ONE = {
    "places": "components and of the points",
    "no_formulas": "`expr` is not an expression",
    "value_errors": "",
}
_OF_SEVERAL = _OF_ONE | {"no_formulas": "`exprs` is not a sequence of expressions"}


def describe(**changes: str) -> Callable[[F], F]:
    """Fill a docstring in: ``{parameters}``, ``{errors}`` and ``{rounding}``.

    `changes` are descriptions of parameters that mean something else for this function, or words
    in the descriptions.
    """

    def fill_in(function: F) -> F:
        words = _OF_SEVERAL if list_parameters(function)[0] == "exprs" else _OF_ONE
        marks = {
            "parameters": join_parameters(function, _PARAMETERS | changes),
            "errors": _ERRORS,
            "rounding": _ROUNDING,
        }
        return fill_docstring(function, marks, words | changes | {"grammar": _GRAMMAR})

    return fill_in
