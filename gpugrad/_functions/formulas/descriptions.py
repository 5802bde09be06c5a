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
    of the formula, sorted by name. A symbol that is not in the formula has the derivative zero.
""",
    "by": """
by : str or SymPy symbol, optional
    The variable to differentiate by; by default the only one.
""",
    "order": """
order : int, optional
    How often to differentiate, from 1 to 8.
""",
    "library": """
library : {"numpy", "cupy", "torch", "jax", "auto"}, optional
    The library that evaluates, by a name for `gpugrad.namespace`; numbers and NumPy arrays are
    moved to it. By default the library of the points.
""",
}

_ERRORS = """
Raises
------
TypeError
    If {no_formulas}, or if `backend` is given, which says `library` here.
ValueError
    If a text is no formula (with the position), if it holds symbols that are not listed, if a
    derivative has no value, as at a jump (``sign``, ``Heaviside``, ``floor``), or if a text has
    more than 200 symbols or takes longer than 1.5 seconds{value_errors}.
ImportError
    If SymPy is not installed: ``pip install "gpugrad[symbolic]"``.
"""

_ROUNDING = """
Results are rounded as the operations in the formula are; there is no truncation error. At a
kink, ``Abs`` has the slope 0, ``Max`` and ``Min`` the mean of both slopes, and ``Piecewise``
the slope of the piece whose condition holds; a jump between pieces is not seen.
"""

_GRAMMAR = (
    "Text is read by a grammar of its own and never executed; ``^`` is read as ``**``, and so are "
    "``x²``, ``½``, ``π`` and ``√x``; products need their ``*``."
)

TOO_LONG = ", or if the first derivatives of a text have more than 3000 operations"
"""What second derivatives raise ValueError for."""

_OF_ONE = {
    "places": "components and of the points",
    "no_formulas": "it is not an expression",
    "value_errors": "",
}
_OF_SEVERAL = _OF_ONE | {"no_formulas": "`exprs` is no sequence of expressions"}


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
