"""The complex step: exact first derivatives of analytic functions, and the proof that they are.

Points travel through the function in `Tracked`, which lets elementary analytic operations of
NumPy pass and refuses all others by name, so that no absolute value or comparison goes unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import Array

# fmt: off
_UFUNCS = frozenset([
    "add", "subtract", "multiply", "divide", "true_divide", "negative", "positive",
    "power", "float_power", "square", "sqrt", "reciprocal", "exp", "exp2", "expm1",
    "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan",
    "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "matmul", "vecmat",
    "matvec",
])
_FUNCTIONS = frozenset([
    "sum", "prod", "mean", "cumsum", "stack", "concatenate", "dot", "inner", "outer",
    "tensordot", "einsum", "moveaxis", "swapaxes", "transpose", "reshape", "ravel",
    "expand_dims", "squeeze", "broadcast_to", "zeros_like", "ones_like", "full_like",
    "roll", "flip", "diff", "trace", "shape", "ndim", "size",
])
# fmt: on


class NotAnalytic(TypeError):
    """The complex step is not possible: which operation stands in the way."""


class Tracked(np.lib.mixins.NDArrayOperatorsMixin):
    """A complex array that refuses whatever is not known to be analytic."""

    __slots__ = ("_values",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a ufunc if it is analytic."""
        if ufunc.__name__ not in _UFUNCS or method not in ("__call__", "reduce", "accumulate"):
            raise _refusal(ufunc.__name__)
        if "out" in options or options.get("where", True) is not True:
            raise _refusal(f"{ufunc.__name__} with out= or where=")
        return _wrap(getattr(ufunc, method)(*_unwrap(inputs), **options))

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        """Apply a function of NumPy if it is linear or a product of elements."""
        if func.__name__ not in _FUNCTIONS:
            raise _refusal(func.__name__)
        return _wrap(func(*_unwrap(args), **_unwrap(options)))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """Refuse: what follows would go unseen."""
        raise _refusal("a conversion to an array")

    def __getitem__(self, key: Any) -> Tracked:
        """Return a part."""
        return Tracked(self._values[key])

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self._values)

    def __bool__(self) -> bool:
        """Refuse: a branch would depend on the values."""
        raise _refusal("a branch on a value")

    def __float__(self) -> float:
        """Refuse: half of the number would be lost."""
        raise _refusal("a conversion to a single number")

    __int__ = __complex__ = __index__ = __float__

    def __getattr__(self, name: str) -> Any:
        """Return what is the same for real arrays, and a method that is analytic."""
        if name in ("shape", "ndim", "size"):
            return getattr(self._values, name)
        if name == "T":
            return Tracked(self._values.T)
        if name in (
            "sum",
            "prod",
            "mean",
            "cumsum",
            "reshape",
            "ravel",
            "transpose",
            "dot",
            "copy",
        ):
            method = getattr(self._values, name)
            return lambda *args, **options: _wrap(method(*_unwrap(args), **_unwrap(options)))
        if name.startswith("__"):
            raise AttributeError(name)
        raise _refusal(f".{name}")


def _unwrap(thing: Any) -> Any:
    if isinstance(thing, Tracked):
        return thing._values
    if isinstance(thing, (tuple, list)):
        return type(thing)(map(_unwrap, thing))
    if isinstance(thing, dict):
        return {key: _unwrap(value) for key, value in thing.items()}
    return thing


def _wrap(result: Any) -> Any:
    return Tracked(result) if getattr(result, "dtype", np.dtype(bool)).kind == "c" else result


def _refusal(what: str) -> NotAnalytic:
    return NotAnalytic(
        f'the method "complex" needs a function made of analytic operations; `func` uses {what}, '
        'which is not known to be one. Use the method "extrapolation", or "auto".'
    )


class ComplexStep:
    """First derivatives of a `Function` by complex steps along the axes.

    Called with coordinates, it returns for each component the derivatives by each variable, one
    after the other: a function again, which can be differentiated numerically once more.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.scratch = function.scratch

    def __call__(self, coords: list[Array]) -> list[Array]:
        """Return the derivatives; NaN where values of the function are none or no real ones."""
        values, slopes, agrees = self.parts(coords)
        return [
            np.where(fits & np.isfinite(f0), part, np.nan)
            for f0, parts, fits in zip(values, slopes, agrees, strict=True)
            for part in parts
        ]

    def parts(self, coords: Sequence[Array]) -> tuple[list[Array], list[list[Array]], list[Array]]:
        """Return values, derivatives, and whether the complex function continues the real one."""
        real = self.function(list(coords))
        if self.function.is_looped:
            raise _refusal("single numbers only")
        if any(f0.dtype.kind == "c" for f0 in real):
            raise _refusal("complex numbers")
        tiny = 2.0 ** (-100 if coords[0].dtype.itemsize == 8 else -40)
        tolerance = 1e3 * np.finfo(coords[0].dtype).eps
        slopes: list[list[Array]] = [[] for _ in real]
        agrees = [np.ones(f0.shape, bool) for f0 in real]
        for i, x in enumerate(coords):
            step = tiny * np.where(x == 0, 1, abs(x)).astype(x.dtype)
            moved = [*coords[:i], Tracked(x + 1j * step), *coords[i + 1 :]]
            with np.errstate(all="ignore"):
                for m, result in enumerate(self._components(moved, len(real))):
                    agrees[m] &= abs(np.real(result) - real[m]) <= tolerance * (1 + abs(real[m]))
                    slope = np.imag(result) / step
                    slopes[m].append(np.broadcast_to(slope, real[m].shape))
        return real, slopes, agrees

    def _components(self, moved: list[Any], count: int) -> list[Array]:
        function = self.function
        try:
            result = function.func(np.stack(moved)) if function.vector else function.func(*moved)
            if not function.many:
                parts = [result]
            elif isinstance(result, (tuple, list)):
                parts = list(result)
            else:
                parts = [result[i] for i in range(count)]
        except NotAnalytic:
            raise
        except (TypeError, ValueError) as error:
            raise NotAnalytic(
                f'the method "complex" must be able to call `func` with complex arrays; got '
                f'{type(error).__name__}: {error}. Use the method "extrapolation", or "auto".'
            ) from error
        return [np.asarray(_unwrap(part)) for part in parts]

    def refuse_other_branches(self, values: list[Array], agrees: list[Array]) -> None:
        """Raise NotAnalytic where the complex function is another one than the real one."""
        for f0, fits in zip(values, agrees, strict=True):
            if (np.isfinite(f0) & ~fits).any():
                raise _refusal("a function whose complex values are others than its real ones")
