"""Plans as linear operators of SciPy and of CuPy, for their iterative solvers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpugrad._arrays import Array, namespace_of
from gpugrad._operators.matrix import load_scipy

if TYPE_CHECKING:
    from gpugrad._operators.plan import Plan


_MODULES = {"NumPy": "scipy.sparse.linalg", "CuPy": "cupyx.scipy.sparse.linalg"}
"""Where the solvers for fields of a library are."""


def make_linear_operator(plan: Plan) -> Any:
    """Return what a plan does to vectors, its fields and results raveled one after the other."""
    factory = _load_factory(plan.library)
    forward, backward = plan._linear_part(), plan.adjoint()
    size = math.prod(plan.shape)
    return factory(
        (size * math.prod(plan._gives), size * math.prod(plan._takes)),
        matvec=lambda x: _multiply(forward, x),
        rmatvec=lambda x: _multiply(backward, x),
        dtype=forward.dtype,
    )


def _load_factory(library: str) -> Any:
    module = _MODULES.get(library)
    if module is None:
        raise TypeError(
            "`linear_operator` must be asked of a plan of NumPy's or CuPy's fields, whose solvers "
            f"it is for; got one of {library}. Make the plan without `like`, and bring vectors "
            "home with `gpugrad.asnumpy`."
        )
    if library == "NumPy":
        load_scipy()
    return import_module(module).LinearOperator


def _multiply(plan: Plan, vector: Array) -> Array:
    """Apply a linear plan to a vector; of a complex one, to both parts of it."""
    if vector.dtype.kind == "c" and plan.dtype.kind != "c":
        return _multiply(plan, vector.real) + 1j * _multiply(plan, vector.imag)
    values = vector.astype(plan.dtype, copy=False).reshape(*plan._takes, *plan.shape)
    fields = _as_taken(values, plan._takes)
    results = [result.reshape(-1) for result in _list_arrays(plan(fields))]
    return results[0] if len(results) == 1 else namespace_of(vector).concat(results)


def _as_taken(values: Array, takes: tuple[int, ...]) -> Any:
    """Return fields as a plan takes them: an array, or sequences of arrays."""
    if not takes:
        return values
    return [_as_taken(values[i], takes[1:]) for i in range(takes[0])]


def _list_arrays(results: Any) -> Iterator[Array]:
    """Yield the arrays that lie in tuples."""
    if isinstance(results, tuple):
        for result in results:
            yield from _list_arrays(result)
    else:
        yield results
