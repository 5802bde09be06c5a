"""The complex step: exact first derivatives of analytic functions, and the proof that they are.

Points travel through the function in `Tracked`, which lets elementary analytic operations of
NumPy pass and refuses all others by name, so that no absolute value or comparison goes unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad import _memory
from gpugrad._arrays import Array
from gpugrad._steps import Samples, central, step_for

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

    def __pow__(self, exponent: Any) -> Any:
        """Return a power: NumPy's arrays know squares and roots, which its ufunc takes for any."""
        return _wrap(self._values ** _unwrap(exponent))

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
    reason = next(
        (reason for reason, names in _REASONS.items() if what in names),
        "which is not known to be one",
    )
    return NotAnalytic(
        f'the method "complex" needs a function made of analytic operations; `func` uses {what}, '
        f'{reason}. Use the method "extrapolation", or "auto".'
    )


class ComplexStep:
    """First derivatives of a `Function` by complex steps along the axes.

    Called with coordinates, it returns for each component the derivatives by each variable, one
    after the other: a function again, which can be differentiated numerically once more.
    """

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, coords: list[Array]) -> list[Array]:
        """Return the derivatives; NaN where values of the function are none or no real ones."""
        return [
            np.where(fits, part, np.nan) for _, parts, fits in self._parts(coords) for part in parts
        ]

    def first(self, coords: list[Array]) -> list[Array]:
        """Return the derivatives, having seen that complex values continue the real ones.

        Raises
        ------
        NotAnalytic
            If the function uses what is not analytic, or has other values or slopes at complex
            numbers than at real ones.
        """
        found = self._parts(coords)
        for f0, _, fits in found:
            if (np.isfinite(f0) & ~fits).any():
                raise _refusal("complex values that are others than its real ones")
        slopes = [
            part if fits.all() else np.where(fits, part, np.nan)
            for _, parts, fits in found
            for part in parts
        ]
        if not self.function.is_analytic:
            self._compare_with_differences(coords, slopes)
            self.function.is_analytic = True
        return slopes

    def _parts(self, coords: Sequence[Array]) -> list[tuple[Array, list[Array], Array]]:
        """Return values, derivatives, and where the former are finite and those of real numbers."""
        real = self.function(list(coords))
        if self.function.is_looped:
            raise _refusal("single numbers only, or writes to its arguments")
        if any(f0.dtype.kind == "c" for f0 in real):
            raise _refusal("complex numbers")
        is_double = coords[0].dtype.itemsize == 8
        tiny = 2.0 ** (-100 if is_double else -40)
        tolerance = 1e3 * np.finfo(coords[0].dtype).eps
        found: list[tuple[Array, list[Array], Array]] = [(f0, [], np.isfinite(f0)) for f0 in real]
        sizes = [np.abs(f0) for f0 in real]
        for i in range(len(coords)):
            results, step = self._evaluate(coords, i, tiny, len(real))
            for m, (result, (f0, slopes, fits)) in enumerate(zip(results, found, strict=True)):
                off = np.abs(result.real - f0)
                if not np.max(off) <= tolerance:  # one number first: bounds for all cost more
                    fits &= off <= tolerance * (1 + sizes[m])
                slope = np.broadcast_to(result.imag / step, f0.shape)
                steep = np.abs(result.imag) > (64 * tiny) * sizes[m]
                if steep.any():
                    slope = self._without_poles(
                        coords, i, m, np.broadcast_to(steep, f0.shape), slope
                    )
                slopes.append(slope)
        return found

    def _evaluate(
        self, coords: Sequence[Array], i: int, tiny: float, count: int
    ) -> tuple[list[Array], Array]:
        """Return the components at points moved along a variable, and how far they were."""
        x = coords[i]
        step = np.abs(x)
        step[step == 0] = 1
        step *= tiny
        np.maximum(step, np.finfo(x.dtype).smallest_normal, out=step)
        moved = _memory.empty(x.shape, np.result_type(x.dtype, np.complex64))
        moved.real, moved.imag = x, step
        with np.errstate(all="ignore"):
            return self._components([*coords[:i], Tracked(moved), *coords[i + 1 :]], count), step

    def _without_poles(
        self, coords: Sequence[Array], i: int, m: int, chosen: Array, slope: Array
    ) -> Array:
        """Return slopes, NaN where they grow without bound the nearer one looks.

        As that of a root at 0: there is no derivative, but a quotient for each step.
        """
        there = [x[chosen] for x in coords]
        farther = 2.0 ** (-84 if coords[0].dtype.itemsize == 8 else -34)
        results, step = self._evaluate(there, i, farther, m + 1)
        calm = np.abs(slope[chosen]) <= 1.001 * np.abs(results[m].imag / step)
        if calm.all():
            return slope
        slope = slope.copy()
        slope[chosen] = np.where(calm, slope[chosen], np.nan)
        return slope

    def _compare_with_differences(self, coords: list[Array], slopes: list[Array]) -> None:
        """Raise NotAnalytic where the slopes are not those of the function of real numbers.

        As the equations of Cauchy and Riemann demand; at three points, to catch functions that
        take another way with complex numbers, unseen.
        """
        size, n = coords[0].size, len(coords)
        picked = sorted({0, size // 2, size - 1})
        there = [x[picked] for x in coords]
        steps = step_for(there, 1, 8, float(np.finfo(there[0].dtype).eps))
        samples = Samples(self.function, there, [{i: 1} for i in range(n)])
        values, errors = central(samples, 1, 8, steps, True)
        for m, (value, error) in enumerate(zip(values, errors or [], strict=True)):
            slope = np.stack([part[picked] for part in slopes[m * n : m * n + n]])
            differs = np.abs(value - slope) > 8 * error + 1e-6 * np.abs(slope)
            if differs.any():
                i, k = np.argwhere(differs)[0]
                place = ", ".join(f"{float(x[k]):g}" for x in there)
                raise NotAnalytic(
                    'the method "complex" needs a function that does the same with complex '
                    f"numbers as with real ones; at ({place}) the slope of `func` along coordinate "
                    f"{i} is {value[i, k]:.6g} by differences of real numbers, but "
                    f'{slope[i, k]:.6g} by a complex step. Use the method "extrapolation", or '
                    '"auto".'
                )

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
        return [np.asarray(_unwrap(part)) for part in parts[:count]]
