"""Functions with exact gradients: one SymPy formula each, and where its points lie.

Used as an oracle by several test modules. `formula` is text for SymPy, `code` the same function
written with an array library `xp` (by default made from the formula); points are drawn from the
box `low` to `high`, the same for all variables or one for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

NAMES = ("x", "y", "z", "w")


@dataclass(frozen=True)
class Case:
    """A function of one to four variables."""

    formula: str
    low: Any = -2.0
    high: Any = 2.0
    special: bool = False  # needs SciPy's special functions to be evaluated
    smooth: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        import sympy

        used = {s.name for s in sympy.sympify(self.formula, locals=_symbols()).free_symbols}
        return tuple(name for name in NAMES if name in used)

    @property
    def expression(self) -> Any:
        return expression_of(self.formula)

    @property
    def symbols(self) -> tuple[Any, ...]:
        return tuple(_symbols()[name] for name in self.names)

    def function(self, modules: Any = None) -> Any:
        """Return the function, written with NumPy (and SciPy's special functions)."""
        import sympy

        if modules is not None:
            return sympy.lambdify(self.symbols, self.expression, modules=modules)
        return _written_with_numpy(self)

    def points(self, rng: np.random.Generator, count: int) -> list[np.ndarray]:
        n = len(self.names)
        low, high = np.broadcast_to(self.low, n), np.broadcast_to(self.high, n)
        return [rng.uniform(a, b, count) for a, b in zip(low, high, strict=True)]

    def exact(self, points: list[np.ndarray], *orders: int) -> np.ndarray:
        """Return a derivative at points, from 40 digits; `orders` for each variable."""
        rows = zip(*(p.ravel().tolist() for p in points), strict=True)
        return np.array(_exact_values(self.formula, orders, tuple(rows))).reshape(points[0].shape)


@lru_cache  # several tests ask for the same
def _written_with_numpy(case: Case) -> Any:
    import sympy

    modules = ["scipy", "numpy"] if case.special else ["numpy"]
    return sympy.lambdify(case.symbols, case.expression, modules=modules)


@cache
def _exact_values(
    formula: str, orders: tuple[int, ...], rows: tuple[tuple[float, ...], ...]
) -> list[float]:
    derivative = derivative_of(formula, orders)
    return [float(derivative(*map(_exactly, row))) for row in rows]


@lru_cache
def _symbols() -> dict[str, Any]:
    import sympy

    return {name: sympy.Symbol(name, real=True) for name in NAMES}


@lru_cache
def expression_of(formula: str) -> Any:
    import sympy

    return sympy.sympify(formula, locals=_symbols(), rational=True)


@lru_cache
def derivative_of(formula: str, orders: tuple[int, ...]) -> Any:
    """Return an exact derivative as a function of mpmath's numbers, 40 digits of them."""
    import mpmath
    import sympy

    expression = expression_of(formula)
    names = [n for n in NAMES if _symbols()[n] in expression.free_symbols]
    for name, order in zip(names, orders, strict=True):
        expression = expression.diff(_symbols()[name], order)
    evaluate = sympy.lambdify([_symbols()[n] for n in names], expression, modules="mpmath")

    def at(*point: Any) -> Any:
        with mpmath.workdps(40):
            return +mpmath.mpf(evaluate(*point))

    return at


def _exactly(number: Any) -> Any:
    import mpmath

    return mpmath.mpf(float(number))


TABLE = (
    # polynomials and rational functions
    Case("2*x**2 + 3*y**2 - 4*z", -100.0, 100.0),
    Case("x**3 - 2*x + 5"),
    Case("x**7 - 3*x**4 + x", -1.5, 1.5),
    Case("x*y*z*w"),
    Case("(1 - x)**2 + 100*(y - x**2)**2"),
    Case("1/(1 + 25*x**2)", -1.0, 1.0),
    Case("(x - y)/(x + y)", 0.5, 3.0),
    Case("x/(x**2 + y**2 + z**2)", 0.5, 2.0),
    Case("x**20 + y**20", -1.2, 1.2),
    # trigonometric and hyperbolic
    Case("sin(x)"),
    Case("cos(3*x)*sin(2*y)"),
    Case("tan(x)", -1.2, 1.2),
    Case("asin(x)", -0.9, 0.9),
    Case("acos(x)", -0.9, 0.9),
    Case("atan(x*y)"),
    Case("sinh(x)*cosh(y)"),
    Case("tanh(3*x)"),
    Case("asinh(x) + acosh(y)", (-2.0, 1.5), (2.0, 4.0)),
    Case("sin(x)*cos(y)*sin(z)*cos(w)"),
    Case("sin(x**2 + y**2)"),
    Case("cos(20*x)"),
    # exponentials, logarithms, powers
    Case("exp(x)"),
    Case("exp(-x**2 - y**2)"),
    Case("log(x)", 0.1, 10.0),
    Case("log(1 + x**2 + y**2)"),
    Case("sqrt(1 + x**2)"),
    Case("sqrt(x**2 + y**2 + z**2)", 0.3, 3.0),
    Case("x**y", 0.5, 3.0),
    Case("x**(5/2)", 0.2, 4.0),
    Case("exp(sin(x)*cos(y))"),
    Case("1/(1 + exp(-x))", -6.0, 6.0),
    Case("x*exp(-x*y)*log(z)", 0.3, 3.0),
    Case("exp(x - 2*y + z/2 - w)"),
    # special functions
    Case("erf(x)", special=True),
    Case("gamma(x)", 0.5, 5.0, special=True),
    Case("besselj(0, x)", 0.2, 20.0, special=True),
    Case("besselj(1, x)*cos(y)", 0.2, 10.0, special=True),
    Case("loggamma(x)", 0.3, 8.0, special=True),
    Case("besselk(0, x)*sin(y)", (0.3, -2.0), (5.0, 2.0), special=True),
    # compositions
    Case("sin(exp(x)) + cos(log(1 + x**2))", -1.5, 1.5),
    Case("log(cosh(x - y))"),
    Case("exp(-(x - 1)**2/2)*sin(5*y)/(1 + z**2)"),
    Case("sqrt(exp(x) + y**4 + atan(z)**2)"),
    # badly scaled
    Case("sin(1000000*x)", -1e-5, 1e-5),
    Case("exp(x/100000)", -1e5, 1e5),
    Case("x**2 + 10000000000*y**2", -1e-3, 1e-3),
    Case("exp(-(x/1e-6)**2)", -2e-6, 2e-6),
    Case("1e8 + sin(x)"),
    Case("sqrt(x)", 1e-12, 1e-11),
    Case("log(x*y)", (1e-8, 1e8), (1e-7, 1e9)),
    Case("x**3/1e30", 1e9, 2e10),
)
