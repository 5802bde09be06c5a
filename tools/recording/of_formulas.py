"""Calls of `symbolic.gradient` and its relatives."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from operator import attrgetter
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, Later, given, product
from recording.fields import LIBRARIES, in_library, seeded

LOADS = ("sympy", "scipy.special", "jax", "torch", "array_api_strict", "dask.array")
"""The libraries that the calls need, loaded before the first of them."""

SCALARS = (
    "2*x**2 + 3*y**2 - 4*z", "x*y", "sin(x)*exp(-y^2)", "x^2^y", "-x^2", "abs(x)*x", "max(x, y^2)",
    "where(x < 0.5, x^2, sin(x)*y)",
    "Piecewise((x**3, x < 0.2), (x*y, x < 0.6 and y > 0.1), (y, True))",
    "sqrt(x^2 + y^2)", "atan2(y, x)", "log(x)/log(10)", "tan(x) + cosh(y)", "erf(x)*gamma(y + 1)",
    "besselj(2, x)", "1/(1 + exp(-x))", "x**-3 + x**2.5", "pi*x + E*y", "(x + y)^3/(x - 4*y)^2",
    "3", "x", "1e-3*x", "min(x, y, 0.3)", "floor(x)*0 + y", "sign(x)", "Heaviside(x)", "cbrt(x)",
    "sinc(x)", "sec(x) + csc(y)", "acot(x)*asec(y + 1)", "factorial(x)", "beta(x, 2.5)",
    "LambertW(x)",
    "airyai(x)", "polygamma(1, x)", "digamma(x)", "elliptic_k(x)", "sech(x) + coth(y)", "Ei(x)",
    "where(not x < 0.5, x, y)", "where(x < 0.2 or y > 0.9, x*y, y^2)", "log10(x) + exp(2)",
    "asin(x/2) + acos(y/2) + atan(x)", "not x", "x < y",
)  # fmt: skip

WRONG = (
    "2x + 1", "x +", "(x", "x)", "", "   ", "x = 2", "import os", "__import__('os')", "x.y", "x[0]",
    "f(x)", "sin()", "sin(x, y)", "lambda: x", "1e999*x", "9**9**9*x", "x; y", "x ** ", "'text'",
    "where(x, 1)", "where(x < 0, 1)", "Piecewise((x, 1))", "x $ y", "2..3", "1e", "x if y else z",
    "((((((((((((((((((((((((((((((((((((((((((x))))))))))))))))))))))))))))))))))))))))))",
    "x" * 2001, "é*x", "0x10", "x and y", "True", "x // y", "x % y", "x!", "1_000*x", "\n x \n",
    "_x", "sin", "e**x", "I*x", "slope(x)", "x/0", "0/0*x", "sqrt(-1)*x", "log(0)*x", "exp(800)*x",
    "gamma(1000)*x", "x^2^3^4", "x^y^x^y", "not x > 1", "where(not x < 1, x, y)", "besselj(x, x)",
    "where(x < 1 or y > 2, x, y)", "where(x == 1, x, y)", "where(1 < x < 2, x, y)", "atan2(x)",
    "max()", "max(x)", "factorial(-1)", "tan(pi/2)*x", "abs(abs(abs(abs(abs(abs(x))))))",
    "abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(abs(x)))))))))))))", "lambda", "x**0.5**2",
)  # fmt: skip


def evaluate_formula(
    operator: str, formula: Any, *symbols: Any, points: Any, **keywords: Any
) -> Any:
    """Return a derivative as text and LaTeX, its symbols, and its values."""
    function = attrgetter(operator)(gpugrad)(formula, *symbols, **keywords)
    values = function(*points[: len(function.symbols)])
    return {
        "text": str(function), "latex": function.latex, "operator": function.operator,
        "symbols": [str(symbol) for symbol in function.symbols], "values": values,
    }  # fmt: skip


def _points(form: str, dtype: str = "f8", library: str = "numpy") -> Any:
    def make() -> Any:
        random = seeded("points of formulas")
        if form == "numbers":
            return tuple(float(x) for x in random.uniform(0.2, 0.9, 3))
        if form == "broadcast":
            shapes: list[tuple[int, ...]] = [(3, 1), (1, 4), ()]
        else:
            shapes = [{"line": (9,), "none": (0,), "grid": (3, 4)}[form]] * 3
        values = [np.asarray(random.uniform(0.2, 0.9, shape)).astype(dtype) for shape in shapes]
        return tuple(in_library(value, library) for value in values)

    return Later(f"<points {form} {dtype} {library}>", make)


def _expression() -> Any:
    import sympy

    t, u = sympy.symbols("t u")
    return sympy.sin(t) ** 2 * u


def _imaginary() -> Any:
    import sympy

    return sympy.Symbol("x", imaginary=True) ** 2


def _unknown_function() -> Any:
    import sympy

    return sympy.Function("f")(sympy.Symbol("x"))


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    if not find_spec("sympy"):
        return
    forms: dict[str, Any] = {
        "line": {"points": _points("line")},
        "f4": {"points": _points("line", "f4")},
        "numbers": {"points": _points("numbers")},
        "broadcast": {"points": _points("broadcast")},
    }
    scalars = {text: (text,) for text in SCALARS}
    operators = {
        name: (name,) for name in ("symbolic.gradient", "symbolic.hessian", "symbolic.laplacian")
    }
    yield from product("formulas", evaluate_formula, operators, scalars, forms, one_in=3)
    vectors: dict[str, Any] = {
        "two": (["x*y", "x + y"],), "curl": (["-y", "x"],), "three": (["x*y*z", "sin(x)", "z^2"],),
        "one": (["x^2"],), "none": ([],), "a text": ("x*y",), "numbers": ([1, 2],),
        "a tuple": (("x^2", "x*y"),),
    }  # fmt: skip
    operators = {
        name: (name,) for name in ("symbolic.jacobian", "symbolic.divergence", "symbolic.curl")
    }
    yield from product("formulas of vectors", evaluate_formula, operators, vectors, forms, one_in=2)
    rows: dict[str, Any] = {
        "an order": given("symbolic.gradient", "x*y", "y", "x", "t"),
        "one symbol": given("symbolic.gradient", "x*y", "x", "y"),
        "an expression": given("symbolic.gradient", Later("<expression>", _expression)),
        "repeated": given("symbolic.gradient", "x*y", "x", "y", "x"),
        "a list of symbols": given("symbolic.gradient", "x*y", ["x", "y"]),
        "several in a text": given("symbolic.gradient", "x*y", "x, y"),
        "an imaginary symbol": given("symbolic.gradient", Later("<i*x>", _imaginary)),
        "an unknown function": given("symbolic.gradient", Later("<f(x)>", _unknown_function)),
        "components unlike symbols": given("symbolic.divergence", ["x*y"], "x", "y"),
        "one component": given("symbolic.laplacian", ["x*y"]),
        "missing": given("symbolic.gradient", "x*y", "x"),
        "no name": given("symbolic.gradient", "x*y", "x y"),
        "a number": given("symbolic.gradient", "x*y", 1),
        "no text": given("symbolic.gradient", 3.0),
        "None": given("symbolic.gradient", None),
        "a function": given("symbolic.gradient", np.sin),
        "library numpy": given("symbolic.gradient", "x*y", library="numpy"),
        "library jax": given("symbolic.gradient", "x*y", library="jax"),
        "library unknown": given("symbolic.gradient", "x*y", library="fortran"),
        "backend": given("symbolic.gradient", "x*y", backend="numpy"),
        "integers": given("symbolic.gradient", "x*y^2"),
    }
    yield from product("formulas", evaluate_formula, rows, {"": {"points": _points("line")}})
    few: dict[str, Any] = {
        "no points": {"points": ()},
        "integers": {"points": (np.arange(3), np.arange(3))},
        "i2": {"points": (np.arange(3, dtype="i2"), 2)},
        "c16": {"points": (np.arange(3) + 1j, 2.0)},
        "f2": {"points": _points("line", "f2")},
        "g": {"points": _points("line", "g")},
        "none": {"points": _points("none")},
        "text": {"points": ("a", "b")},
        "lists": {"points": ([0.1, 0.2], [0.3, 0.4])},
        "unlike shapes": {"points": (np.zeros(3), np.zeros(4))},
    }
    yield from product(
        "formulas at points", evaluate_formula, {"": ("symbolic.gradient", "sin(x)*y")}, few
    )
    for number, text in enumerate(WRONG):
        yield Call(
            f"formulas refused/{number} {text[:20]!r}", evaluate_formula,
            ("symbolic.gradient", text),
            {"points": _points("line")},
        )  # fmt: skip
    for library, is_there in LIBRARIES.items():
        if is_there:
            yield from product(
                "formulas of libraries", evaluate_formula,
                {text: ("symbolic.gradient", text) for text in SCALARS[:16:2]},
                {f"{dtype} {library}": {"points": _points("line", dtype, library)}
                 for dtype in ("f8", "f4")},
            )  # fmt: skip
