"""The exact derivative of a formula as users hold it: printed, and called with points."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    as_regular,
    dtype_name,
    is_library_array,
    library_of,
    namespace,
    namespace_of,
    place_of,
    refuse_labels,
    require_one_place,
    widest_float,
)
from gpugrad._functions.formulas.evaluate import Tape, evaluate, make_kernel

LIBRARIES = {"numpy": "NumPy", "cupy": "CuPy", "torch": "PyTorch", "jax": "JAX"}


@dataclass(frozen=True, eq=False)
class SymbolicFunction:
    r"""An exact derivative, which prints as a formula and is called with points.

    It can be read, inserted into a text as LaTeX, and evaluated on arrays of any library.

    Parameters
    ----------
    expressions : SymPy expression, or nested tuple of them
        The derivatives, in the form in which a call returns their values.
    symbols : tuple of SymPy symbols
        The variables, in the order in which a call takes points.
    operator : str
        The kind of derivative: "gradient", "jacobian" and so on.
    library : str, optional
        The library that evaluates the derivative, by default the library of the points.
    _tape : Tape, optional
        The operations that evaluate the formulas.

    Attributes
    ----------
    latex : str
        The formula in LaTeX, which notebooks show.

    See Also
    --------
    gpugrad.symbolic.gradient : Returns the gradient of a formula.
    gpugrad.FunctionDerivative : The derivative of a Python function.

    Examples
    --------
    >>> import gpugrad
    >>> g = gpugrad.symbolic.gradient("x**2 * y", "x", "y")
    >>> g.expressions
    (2*x*y, x**2)
    >>> g.latex
    '\\left( 2 x y, \\  x^{2}\\right)'
    """

    expressions: Any
    symbols: tuple[Any, ...]
    operator: str
    library: str | None = None
    _tape: Tape = field(default_factory=lambda: Tape(0), repr=False)

    @property
    def latex(self) -> str:
        """Return the formula in LaTeX.

        See Also
        --------
        gpugrad.symbolic.SymbolicFunction : The derivative.

        Examples
        --------
        >>> import gpugrad
        >>> gpugrad.symbolic.gradient("x**2").latex
        '2 x'
        """
        import sympy

        return str(sympy.latex(self.expressions))

    def __str__(self) -> str:
        names = ", ".join(symbol.name for symbol in self.symbols)
        return f"{self.operator}({names}) = {_write_tuples(self.expressions)}"

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def __call__(self, *points: Any) -> Any:
        """Evaluate at points: numbers or arrays, one for each symbol, which broadcast.

        Parameters
        ----------
        *points : number or array
            One for each symbol, in their order.

        Returns
        -------
        number, array, or nested tuple of them
            The values, laid out as the expressions: of the library, the device and the dtype of the
            points (integers become the widest float), and of their common shape, constants too.

        Raises
        ------
        TypeError
            If the number of points is wrong, they are of two libraries, or not real.
        ValueError
            If the library lacks a function of the formula.

        See Also
        --------
        gpugrad.symbolic.gradient : Makes such a function.

        Examples
        --------
        >>> import gpugrad
        >>> g = gpugrad.symbolic.gradient("x**2 * y")
        >>> g([1.0, 2.0], 3.0)
        (array([ 6., 12.]), array([1., 4.]))
        """
        if len(points) != len(self.symbols):
            names = ", ".join(symbol.name for symbol in self.symbols)
            raise TypeError(
                f"There must be one point, or array of points, for each of the symbols ({names}); "
                f"got {len(points)} for {len(self.symbols)}."
            )
        xp, library, arrays, dtype = _as_points(points, self.library)
        # In half precision, intermediate values may overflow although the results fit.
        is_half = dtype_name(dtype) in HALF_PRECISION
        inner = xp.float32 if is_half else dtype
        arrays = xp.broadcast_arrays(*[xp.astype(array, inner, copy=False) for array in arrays])
        # An output may be a point itself, or the same array twice: results must not share memory.
        used_ids = {id(array) for array in arrays}
        results = []
        for result in self._run_in_library(library, arrays):
            result = xp.asarray(result, copy=True) if id(result) in used_ids else result
            used_ids.add(id(result))
            result = xp.astype(result, dtype) if is_half else result
            is_number = library == "NumPy" and result.ndim == 0
            results.append(result[()] if is_number else result)
        return lay_out(self.expressions, iter(results))

    def _run_in_library(self, library: str, arrays: Sequence[Array]) -> list[Array]:
        if library == "CuPy" and self._kernel is not None:
            results = self._kernel(*arrays)
            return list(results) if isinstance(results, tuple) else [results]
        if library == "JAX":
            return list(self._jitted(*arrays))
        if library == "Dask":
            return _run_blocks(self._tape, arrays)
        return evaluate(self._tape, arrays)

    @cached_property
    def _kernel(self) -> Any:
        """CuPy's kernel, None where the formula cannot be one."""
        return make_kernel(self._tape)

    @cached_property
    def _jitted(self) -> Any:
        import jax

        return jax.jit(lambda *points: evaluate(self._tape, points))


def _run_blocks(tape: Tape, arrays: Sequence[Array]) -> list[Array]:
    """Evaluate all outputs in one task for each block of Dask arrays."""
    import dask.array as da

    first, count = arrays[0], len(tape.outputs)

    def run(*blocks: Array) -> Array:
        return namespace_of(blocks[0]).stack(evaluate(tape, blocks))

    stacked = da.map_blocks(
        run,
        *[array.rechunk(first.chunks) for array in arrays],
        dtype=first.dtype,
        new_axis=[0],
        chunks=((count,), *first.chunks),
        meta=np.empty((0,) * (first.ndim + 1), first.dtype),
    )
    return [stacked[k] for k in range(count)]


def lay_out(pattern: Any, values: Any) -> Any:
    """Return values, taken one by one, in the nested tuples of a pattern."""
    if isinstance(pattern, tuple):
        return tuple(lay_out(inner, values) for inner in pattern)
    return next(values)


def _write_tuples(nested: Any) -> str:
    if isinstance(nested, tuple):
        return f"({', '.join(map(_write_tuples, nested))})"
    return str(nested)


def _as_points(points: Sequence[Any], asked: str | None) -> tuple[Any, str, list[Array], Any]:
    """Return namespace, library, arrays of one library, and the dtype of the results."""
    for point in points:
        refuse_labels(point, "points")
    arrays = [p for p in points if isinstance(p, np.ndarray) or is_library_array(p)]
    libraries = sorted({library_of(a) for a in arrays})
    if asked:  # NumPy arrays are moved to it
        libraries = sorted({LIBRARIES[asked], *(set(libraries) - {"NumPy"})})
    if len(libraries) > 1:
        raise TypeError(
            f"All points must be of one library; got {' and '.join(libraries)}. Convert some."
        )
    require_one_place(arrays, "points")
    library = libraries[0] if libraries else "NumPy"
    like = next((a for a in (*arrays, np.empty(0)) if library_of(a) == library), None)
    # Without one, there are numbers and NumPy arrays alone, to be moved to it.
    xp = namespace(str(asked)) if like is None else namespace_of(like)
    host = [p if is_library_array(p) else as_regular(p, "points") for p in points]
    for name in (dtype_name(p.dtype) for p in host):
        if not name.startswith(("int", "uint", "float", "bfloat")):
            raise TypeError(
                f"Points must be real numbers; got dtype {name}. Convert them, as in "
                "`numpy.asarray(x, dtype=float)`."
            )
    dtype = _find_dtype(xp, points, host)
    return xp, library, [_move_point(xp, p, dtype, like) for p in host], dtype


def _move_point(xp: Any, p: Array, dtype: Any, like: Array | None) -> Array:
    if is_library_array(p):
        return xp.astype(p, dtype, copy=False)
    if xp.__name__.endswith("numpy") and "jax" not in xp.__name__:
        return np.asarray(p, dtype)
    place = {} if like is None else place_of(like)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of arrays that cannot be written to
        return xp.astype(xp.asarray(np.array(p), **place), dtype)


def _find_dtype(xp: Any, points: Sequence[Any], host: Sequence[Array]) -> Any:
    """Return the common floating dtype; Python's numbers adapt, integers become the widest."""
    floats, has_integers = [], False
    for p, array in zip(points, host, strict=True):
        if isinstance(p, (int, float)) and not isinstance(p, np.generic):
            continue
        name = dtype_name(array.dtype)
        if name.startswith(("float", "bfloat")):
            has_dtype = hasattr(xp, name) and not is_library_array(array)
            floats.append(getattr(xp, name) if has_dtype else array.dtype)
        else:
            has_integers = True
    if floats and not has_integers:
        return xp.result_type(*floats)
    like = next((a for a in host if is_library_array(a)), xp.zeros(1))
    return xp.result_type(*floats, widest_float(xp, like))
