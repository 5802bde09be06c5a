"""Exact derivatives of formulas: SymPy differentiates, any array library evaluates.

A formula is a text, which is parsed and never executed, or an expression of SymPy. Each function
returns a `SymbolicFunction`, which prints as a formula and can be called with points. SymPy is
needed: ``pip install "gpugrad[symbolic]"``. It is imported by the first call.

Examples
--------
>>> import gpugrad
>>> g = gpugrad.symbolic.gradient("x**2 * y", "x", "y")
>>> print(g)
gradient(x, y) = (2*x*y, x**2)
>>> g(3.0, 2.0)
(np.float64(12.0), np.float64(9.0))
"""

from gpugrad._functions.formulas.symbolic import (
    curl,
    derivative,
    divergence,
    gradient,
    hessian,
    jacobian,
    laplacian,
)
from gpugrad._functions.formulas.symbolic_function import SymbolicFunction

__all__ = [
    "SymbolicFunction", "curl", "derivative", "divergence", "gradient", "hessian", "jacobian",
    "laplacian",
]  # fmt: skip
