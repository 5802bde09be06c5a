"""Derivatives of formulas."""

from __future__ import annotations

from typing import Any, assert_type

from gpugrad import symbolic

g = symbolic.gradient("x**2 * y", "x", "y", library="numpy")
assert_type(g, symbolic.SymbolicFunction)
assert_type(g(3.0, 2.0), Any)
assert_type(g.latex, str)
assert_type(g.expressions, Any)
assert_type(g.symbols, tuple[Any, ...])
assert_type(g.operator, str)
assert_type(g.library, str | None)
assert_type(symbolic.derivative("x**3", by="x", order=2), symbolic.SymbolicFunction)
assert_type(symbolic.divergence(("x", "y"), "x", "y"), symbolic.SymbolicFunction)
assert_type(symbolic.curl(("x", "y"), "x", "y"), symbolic.SymbolicFunction)
assert_type(symbolic.laplacian("x**2"), symbolic.SymbolicFunction)
assert_type(symbolic.jacobian(("x", "y")), symbolic.SymbolicFunction)
assert_type(symbolic.hessian("x**2 * y"), symbolic.SymbolicFunction)

# Wrong calls.
symbolic.gradient("x", "x", backend="numpy")  # type: ignore[call-arg]
symbolic.derivative("x**3", order="2")  # type: ignore[arg-type]
symbolic.vector_laplacian(("x", "y"))  # type: ignore[attr-defined]
g.simplify()  # type: ignore[attr-defined]
