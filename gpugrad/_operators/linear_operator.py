"""Plans as linear operators of SciPy and of CuPy, for their iterative solvers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from gpugrad._arrays import Array, namespace_of
from gpugrad._operators.matrix import load_scipy


class LinearMap(NamedTuple):
    """A linear plan: what to call, and the numbers, shape, library and dtype of its fields."""

    apply: Callable[[Any], Any]
    takes: tuple[int, ...]
    shape: tuple[int, ...]
    library: str
    dtype: Any

    @property
    def size(self) -> int:
        """How many samples all fields have together."""
        return math.prod(self.takes) * math.prod(self.shape)


_MODULES = {"NumPy": "scipy.sparse.linalg", "CuPy": "cupyx.scipy.sparse.linalg"}
"""Where the solvers for fields of a library are."""


def make_linear_operator(forward: LinearMap, backward: LinearMap) -> Any:
    """Return a plan and its adjoint for vectors: fields raveled, one after the other."""
    factory = _load_factory(forward.library)
    return factory(
        (backward.size, forward.size),
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
    try:
        return import_module(module).LinearOperator
    except ImportError as error:
        raise ImportError(
            f"a linear operator of CuPy needs `{module}`, which cannot be imported: its solvers "
            "take more of the CUDA toolkit than a gradient does. Run `pip install "
            f'"cupy-cuda13x[ctk]"`, or the same for your version of CUDA. ({error})'
        ) from error


def _multiply(linear: LinearMap, vector: Array) -> Array:
    """Apply a linear plan to a vector; of a complex one, to both parts of it."""
    if vector.dtype.kind == "c" and linear.dtype.kind != "c":
        return _multiply(linear, vector.real) + 1j * _multiply(linear, vector.imag)
    values = vector.astype(linear.dtype, copy=False).reshape(*linear.takes, *linear.shape)
    fields = _as_taken(values, linear.takes)
    results = [result.reshape(-1) for result in _list_arrays(linear.apply(fields))]
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
