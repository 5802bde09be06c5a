"""Complex points on their way through a function, which see what is done to them.

`Tracked` lets elementary analytic operations of NumPy pass and refuses all others by name, so that
no absolute value or comparison goes unseen.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

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
_METHODS = frozenset([
    "sum", "prod", "mean", "cumsum", "reshape", "ravel", "transpose", "dot", "copy",
])
# fmt: on


_REASONS = {
    "whose result is a part of a complex number and has no complex derivative": [
        "absolute", "fabs", "conjugate", "conj", "real", "imag", "angle", ".real", ".imag",
        ".conj", ".conjugate", "isreal", "real_if_close",
    ],
    "but complex numbers are neither greater nor smaller than others": [
        "greater", "greater_equal", "less", "less_equal", "maximum", "minimum", "fmax", "fmin",
        "clip", "max", "min", "amax", "amin", "sort", "argsort", "argmax", "argmin", "median",
        "where", "select", "piecewise", "a branch on a value", ".clip", ".max", ".min",
    ],
    "which jumps": [
        "floor", "ceil", "trunc", "rint", "round", "around", "sign", "signbit", "copysign",
        "heaviside", "floor_divide", "remainder", "fmod", "modf", "divmod", "fix", ".round",
    ],
    "so that no complex arrays can go through it": [
        "single numbers only, or writes to its arguments",
    ],
    "whose imaginary parts are not to be told from the derivatives": ["complex numbers"],
    "which say nothing of its slopes": ["complex values that are others than its real ones"],
}  # fmt: skip


class NotAnalytic(TypeError):
    """The complex step is not possible. The message names the operation that prevents it.

    Derivatives of functions with ``method="complex"`` raise this error; with "auto" another method
    is used instead. It is a TypeError.

    See Also
    --------
    gradient_of : Describes the methods.

    Examples
    --------
    The absolute value is not an analytic function:

    >>> import gpugrad
    >>> try:
    ...     gpugrad.derivative_of(abs, method="complex")(2.0)
    ... except gpugrad.NotAnalytic:
    ...     print("no complex step")
    no complex step
    """

    __module__ = "gpugrad"


_Operators = np.lib.mixins.NDArrayOperatorsMixin


def _make_operators(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the methods of an operator with the array on its left and on its right.

    With numbers and arrays the array's own operators apply: they are faster than ufuncs, and they
    know squares and roots among the powers. Any other operand may have operators of its own.
    """
    apply = getattr(operator, name)
    left_of_others = getattr(_Operators, f"__{name}__")
    right_of_others = getattr(_Operators, f"__r{name}__")

    def left(self: Tracked, operand: Any) -> Any:
        if type(operand) is Tracked:
            return _wrap_result(apply(self._values, operand._values))
        if _is_plain(operand):
            return _wrap_result(apply(self._values, operand))
        return left_of_others(self, operand)

    def right(self: Tracked, operand: Any) -> Any:
        if _is_plain(operand):
            return _wrap_result(apply(operand, self._values))
        return right_of_others(self, operand)

    return left, right


def _is_plain(operand: Any) -> bool:
    return type(operand) is np.ndarray or isinstance(operand, (int, float, complex))


class Tracked(_Operators):
    """A complex array that refuses whatever is not known to be analytic."""

    __slots__ = ("_values",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Apply a ufunc if it is analytic."""
        # A method such as `at` writes to its argument: only some that return a new array pass.
        if ufunc.__name__ not in _UFUNCS or method not in ("__call__", "reduce", "accumulate"):
            raise refusal(ufunc.__name__)
        if "out" in options or options.get("where", True) is not True:
            raise refusal(f"{ufunc.__name__} with out= or where=")
        return _wrap_result(getattr(ufunc, method)(*unwrap(inputs), **options))

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        """Apply a function of NumPy if it is linear or a product of elements."""
        if func.__name__ not in _FUNCTIONS:
            raise refusal(func.__name__)
        return _wrap_result(func(*unwrap(args), **unwrap(options)))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """Refuse: operations on a plain array would go unseen."""
        raise refusal("a conversion to an array")

    __add__, __radd__ = _make_operators("add")
    __sub__, __rsub__ = _make_operators("sub")
    __mul__, __rmul__ = _make_operators("mul")
    __truediv__, __rtruediv__ = _make_operators("truediv")
    __pow__, __rpow__ = _make_operators("pow")

    def __getitem__(self, key: Any) -> Tracked:
        """Return some of the points."""
        return Tracked(self._values[key])

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return len(self._values)

    def __bool__(self) -> bool:
        """Refuse: a branch would depend on the values."""
        raise refusal("a branch on a value")

    def __float__(self) -> float:
        """Refuse: the imaginary part would be lost."""
        raise refusal("a conversion to a single number")

    __int__ = __complex__ = __index__ = __float__

    def __getattr__(self, name: str) -> Any:
        """Return what is the same for real arrays, and a method that is analytic."""
        if name in ("shape", "ndim", "size"):
            return getattr(self._values, name)
        if name == "T":
            return Tracked(self._values.T)
        if name in _METHODS:
            method = getattr(self._values, name)
            return lambda *args, **options: _wrap_result(method(*unwrap(args), **unwrap(options)))
        # NumPy and others look for protocols by name: to lack one is an answer, not a refusal.
        if name.startswith("__"):
            raise AttributeError(name)
        raise refusal(f".{name}")


def unwrap(thing: Any) -> Any:
    """Return arrays in place of tracked ones, also within containers."""
    if isinstance(thing, Tracked):
        return thing._values
    if isinstance(thing, (tuple, list)):
        return type(thing)(map(unwrap, thing))
    if isinstance(thing, dict):
        return {key: unwrap(value) for key, value in thing.items()}
    return thing


def _wrap_result(result: Any) -> Any:
    # Only complex results carry derivatives; others, such as shapes, need no watch.
    return Tracked(result) if getattr(result, "dtype", np.dtype(bool)).kind == "c" else result


def refusal(what: str) -> NotAnalytic:
    """Return the error that names what stands in the way, and why."""
    reason = next(
        (reason for reason, names in _REASONS.items() if what in names),
        "which is not known to be one",
    )
    return NotAnalytic(
        f'the method "complex" needs a function made of analytic operations; `func` uses {what}, '
        f'{reason}. Use the method "extrapolation", or "auto".'
    )
