"""A user's function as the methods need it: arrays of points in, arrays of values out, checked."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gpugrad._arrays import (
    Array,
    NumpyArray,
    asnumpy,
    dtype_name,
    is_library_array,
    library_of,
    namespace_of,
    place_of,
)
from gpugrad._functions.points import protect_from_writing, scales_of

_MOVES = (2.0, 0.0, 1.0, 3.0)
"""Where points lie beside another one, to see whether it minds them, in sixteenths of its scale."""
_ALONE = (1, 2)
"""Which of these are tried alone: neither is where it would be among sorted or reversed ones."""


def check_callable(func: Any) -> None:
    """Raise TypeError unless there is a function."""
    if not callable(func):
        raise TypeError(
            f"`func` must be a function of the coordinates; got {type(func).__name__}. For "
            "samples of a function there is `gradient`."
        )


class UserFunction:
    """Calls `func` with arrays of points; with single points if it takes nothing else.

    `many` says that it has several components, as a vector field has. `is_looped` tells afterwards
    whether it had to be called point by point, `is_analytic`, whether its derivatives by complex
    steps agree with real differences, `has_slopes`, whether all of them are numbers.
    `is_pointwise` tells that a point's value was seen to depend on it alone, `replaced`, at how
    many points another method had to step in.
    """

    def __init__(self, func: Callable[..., Any], vector: bool, many: bool) -> None:
        self.func = func
        self.vector = vector
        self.many = many
        self.is_looped = False
        self.is_analytic = False
        self.has_slopes = False
        self.is_pointwise = False
        self.replaced = 0
        self._takes_open: bool | None = None
        self._width = 0

    def check_count(self, count: int) -> None:
        """Raise TypeError where the function's signature has no place for the coordinates."""
        try:
            signature = inspect.signature(self.func)
        except (TypeError, ValueError):  # one written in C
            return
        count = 1 if self.vector else count
        try:
            signature.bind(*range(count))
        except TypeError as error:
            cure = (
                "With `vector=True` it is called with one array, the components on axis 0."
                if self.vector
                else "Pass as many coordinates as it takes, or `vector=True` if it takes them all "
                "in one array."
            )
            raise TypeError(
                f"`func` must take {count} positional arguments; it has the signature {signature}. "
                f"{cure}"
            ) from error

    @np.errstate(all="ignore")
    def check_pointwise(self, coords: list[Array]) -> None:
        """Raise ValueError if a point's value depends on other points, or on the call.

        Tried at one point, alone and among others. Errors are left to the calls that matter.
        """
        if self.is_pointwise:
            return
        self.is_pointwise = True
        middle = slice(coords[0].shape[0] // 2, coords[0].shape[0] // 2 + 1)
        alone = [x[middle] for x in coords]
        xp = namespace_of(alone[0])
        # In an order that sorting, reversing and rolling change, and so do sums.
        moves = [
            h / 16 * xp.asarray(_MOVES, dtype=h.dtype, **place_of(h)) for h in scales_of(alone)
        ]
        together = [protect_from_writing(x + h) for x, h in zip(alone, moves, strict=True)]
        try:
            first = self._read_values(together)
            singles = [self._read_single([x[k : k + 1] for x in together]) for k in _ALONE]
            again = self._read_values(together)
        except Exception:  # noqa: BLE001 - of a user's function, in calls that nobody asked for
            self._check_single_number(alone)
            return
        for m, (among, repeated) in enumerate(zip(first, again, strict=True)):
            self._refuse_change(alone, among, repeated)
            size = np.max(np.abs(np.where(np.isfinite(among), among, 0.0)))
            for k, single in zip(_ALONE, singles, strict=True):
                value, limit = single[m], _repeatable(coords[0])
                if abs(among[k] - value) > limit * (abs(value) + 1e-3 * size):
                    raise ValueError(
                        "`func` must return for each point a value that depends on this point "
                        f"alone; at {_show_point([x[k : k + 1] for x in together])} it returned "
                        f"{value:.6g} for the point alone and {among[k]:.6g} among others. "
                        "Functions that add up, sort, shift or normalize over points are functions "
                        "of vectors: pass `vector=True`, with the components on axis 0."
                    )

    def _read_single(self, point: list[Array]) -> list[Any]:
        """Return the components at one point alone."""
        try:
            return [v[0] for v in self._read_values(point)]
        except (ValueError, IndexError):  # too few points for it; the same one twice may do
            xp = namespace_of(point[0])
            return [v[0] for v in self._read_values([xp.concat([x, x]) for x in point])]

    def _check_single_number(self, coords: list[Array]) -> None:
        """Raise ValueError if a function of single numbers returns another when called again."""
        if not isinstance(coords[0], np.ndarray):
            return
        try:
            first, again = (self._call_each(coords, None)[0] for _ in range(2))
        except Exception:  # noqa: BLE001 - as above
            return
        if first is not None and again is not None:
            self._refuse_change(coords, np.array(first), np.array(again))

    def _refuse_change(self, coords: list[Array], first: NumpyArray, again: NumpyArray) -> None:
        size = np.max(np.abs(np.where(np.isfinite(first), first, 0.0)), initial=0.0)
        wrong = np.abs(again - first) > _repeatable(coords[0]) * (np.abs(first) + 1e-3 * size)
        if wrong.any():
            raise ValueError(
                "`func` must return the same value each time it is called with a point; at "
                f"{_show_point(coords)} it returned {first[wrong][0]:.6g} and then "
                f"{again[wrong][0]:.6g}. A function with random numbers or with a memory has "
                "no derivative: fix the seed within the function, or average first."
            )

    def _read_values(self, coords: list[Array]) -> list[NumpyArray]:
        """Return the components at points in NumPy arrays."""
        shape = tuple(coords[0].shape)
        values = [asnumpy(v) for v in self._split_components(self.raw(coords), coords, shape)]
        return [v if v.dtype.kind == "c" else v.astype(float) for v in values]

    @np.errstate(all="ignore")
    def raw(self, coords: list[Any]) -> Any:
        """Call the function with coordinates as they are.

        NumPy warns of nothing: it may be a method that chose points outside of the domain.
        """
        if not self.vector:
            return self.func(*coords)
        return self.func(namespace_of(coords[0]).stack(coords, axis=0))

    @np.errstate(all="ignore")
    def __call__(self, coords: list[Array]) -> list[Array]:
        """Return the components at points, in the shape to which their coordinates broadcast.

        Outside of the domain, where the function is NaN or raises an error, there are NaNs.
        """
        shape = _common_shape(coords)
        if any(tuple(c.shape) != shape for c in coords):
            if self._takes_open is None:
                self._takes_open = self._does_the_same_open(coords)
            if self._takes_open:
                try:
                    return self._split_components(self.raw(coords), coords, shape)
                except Exception:  # noqa: BLE001 - whatever it is, with full shapes it may not be
                    self._takes_open = False
            coords = [namespace_of(c).broadcast_to(c, shape) for c in coords]
        if self.is_looped:
            return self._loop_over_points(coords)
        try:
            result = self.raw(coords)
        except IndexError as error:
            raise self._explain_index(error, coords) from error
        except (TypeError, ValueError, RuntimeError) as error:
            if not _may_mind_arrays(error, coords):
                raise
            return self._loop_over_points(coords, error)
        try:
            return self._split_components(result, coords, shape)
        except IndexError as error:
            raise self._explain_index(error, coords) from error
        except ValueError as error:
            if not self.vector:
                raise
            return self._loop_over_points(coords, error)

    def _explain_index(self, error: IndexError, coords: list[Array]) -> Exception:
        """Return what to tell of an index that is out of bounds: points may be taken for one."""
        if self.vector or len(coords) > 1:
            return error
        return TypeError(
            "`func` must take one array or number for each coordinate, here one; it raised "
            f"{describe_error(error)}. If it takes all coordinates in one array, as p[0], p[1], "
            "pass `vector=True`."
        )

    def _does_the_same_open(self, coords: list[Array]) -> bool:
        """Tell whether the function makes of coordinates that broadcast what it makes of full ones.

        So that it need not compute the same again where some stay and others move. Tried at three
        points; only with arrays on the host or a GPU whose values are there to be compared.
        """
        if self.vector or self.is_looped or library_of(coords[0]) not in ("NumPy", "CuPy"):
            return False
        xp = namespace_of(coords[0])
        last = max(c.shape[-1] for c in coords) - 1
        picked = xp.asarray([0, last // 2, last])
        sampled = [xp.take(c, picked, axis=-1) for c in coords]
        shape = _common_shape(sampled)
        full = [xp.broadcast_to(c, shape) for c in sampled]
        tolerance = 16 * float(xp.finfo(coords[0].dtype).eps)
        try:
            from_open = self._split_components(self.raw(sampled), sampled, shape)
            from_full = self._split_components(self.raw(full), full, shape)
            return all(
                bool(xp.all((abs(a - b) <= tolerance * abs(b)) | (a == b) | xp.isnan(a + b)))
                for a, b in zip(from_open, from_full, strict=True)
            )
        except Exception:  # noqa: BLE001 - errors of many kinds, which the full shapes may not raise
            return False

    def _split_components(
        self, result: Any, coords: list[Array], shape: tuple[int, ...]
    ) -> list[Array]:
        """Return a result's components as arrays of the points' library, shape and kind."""
        if not self.many:
            return [self._fit_component(result, coords, shape)]
        if not isinstance(result, (tuple, list)):
            result_shape: tuple[Any, ...] = tuple(getattr(result, "shape", ()))
            if not result_shape or result_shape[1:] != shape:
                raise ValueError(
                    "`func` must return its components as a tuple, or in one array with the "
                    f"components first, here (m, {', '.join(map(str, shape))}); got shape "
                    f"{result_shape}."
                )
            result = [result[i, ...] for i in range(result_shape[0])]
        return [
            self._fit_component(component, coords, shape, i) for i, component in enumerate(result)
        ]

    def _fit_component(
        self, value: Any, coords: list[Array], shape: tuple[int, ...], component: int | None = None
    ) -> Array:
        like = coords[0]
        xp = namespace_of(like)
        if is_library_array(value) or (isinstance(value, np.ndarray) and value.ndim):
            if library_of(value) != library_of(like):
                raise TypeError(
                    f"`func` must return arrays of the library of its points, {library_of(like)}; "
                    f"got {library_of(value)}. Write it with that library's functions, or with "
                    "operators alone."
                )
        else:
            value = xp.asarray(_read_one_number(value, shape), **place_of(like))
        if not dtype_name(value.dtype).startswith(("float", "complex")):
            value = xp.astype(value, like.dtype)
        value_shape = tuple(value.shape)
        if value_shape == shape:
            return value
        # It may depend on some of the coordinates alone, or on none.
        if value_shape in {tuple(c.shape) for c in coords} or (
            value.ndim == 0 and self._is_constant(value, coords, component)
        ):
            return xp.broadcast_to(value, shape)
        raise ValueError(
            f"`func` must return one value for each point, here shape {shape}; got "
            f"shape {value_shape}. Sum over components only, which are on axis 0 with "
            "`vector=True`; components of a vector field are for `jacobian_of`."
        )

    def _is_constant(self, value: Array, coords: list[Array], component: int | None) -> bool:
        """Tell a constant, which is the same anywhere, from a sum over all points."""
        xp = namespace_of(coords[0])
        flat = [xp.reshape(c, (-1,)) for c in xp.broadcast_arrays(*coords)]
        # A sum over fewer points is another number, a constant is not.
        for picked in (slice(0, 1), slice(-1, None), slice(None, None, 2)):
            result = self.raw([c[picked] for c in flat])
            result = result if component is None else result[component]
            if getattr(result, "shape", ()) != () or not bool(result == value):
                return False
        return True

    def _loop_over_points(self, coords: list[Array], cause: Exception | None = None) -> list[Array]:
        """Call the function point by point: for functions of single numbers, as `math.sin`."""
        like = coords[0]
        if not isinstance(like, np.ndarray):
            return self._loop_in_library(coords, cause)
        rows = self._call_each(coords, cause)
        widths = [len(row) for row in rows if row is not None]
        if not widths and cause is not None:
            raise cause
        self.is_looped = True
        self._width = self._width or max(widths, default=1)
        nothing = [np.nan] * self._width
        table = np.array([nothing if row is None else row for row in rows])
        table = table.astype(np.result_type(table, like) if table.dtype.kind == "c" else like.dtype)
        return [np.ascontiguousarray(column).reshape(like.shape) for column in table.T]

    def _loop_in_library(self, coords: list[Array], cause: Exception | None = None) -> list[Array]:
        """Call the function with arrays of no dimension, one for each point."""
        xp, like = namespace_of(coords[0]), coords[0]
        flat = [xp.reshape(c, (-1,)) for c in coords]
        rows = []
        try:
            for k in range(flat[0].shape[0]):
                result = self.raw([c[k] for c in flat])
                components = result if self.many else [result]
                rows.append([xp.asarray(c, dtype=like.dtype, **place_of(like)) for c in components])
        except Exception as error:
            if cause is None or isinstance(cause, RuntimeError):
                raise
            raise TypeError(
                f"`func` must take {library_of(like)} arrays of any shape, and raised "
                f"{describe_error(cause)}. Write it with that library's functions or with "
                "operators, or pass NumPy points, for which it may take single numbers."
            ) from error
        self.is_looped = True
        return [
            xp.reshape(xp.stack([xp.reshape(c, ()) for c in column], axis=0), like.shape)
            for column in zip(*rows, strict=True)
        ]

    def _call_each(self, coords: list[Array], cause: Exception | None) -> list[Any]:
        """Return the components at each point, None where the function raises an error."""
        rows: list[Any] = []
        for point in zip(*(c.ravel().tolist() for c in coords), strict=True):
            try:
                result = self.func(np.array(point)) if self.vector else self.func(*point)
            except (ValueError, ArithmeticError):
                rows.append(None)
            except TypeError as error:  # no single numbers either: the first error says more
                if cause is not None and not isinstance(cause, TypeError):
                    raise cause from error
                raise TypeError(
                    "`func` must take NumPy arrays or single numbers, as its points are; it raised "
                    f"{describe_error(cause or error)}. For a function of another library, pass "
                    "points of that library."
                ) from (cause or error)
            else:
                rows.append(self._read_components(result))
        return rows

    def _read_components(self, result: Any) -> list[Any]:
        host = _read_numbers(result)
        if host.ndim != (1 if self.many else 0):
            wanted = "components in one dimension" if self.many else "one number"
            raise ValueError(
                f"`func` must return {wanted} for a single point; got shape {host.shape}."
            )
        return [*host.ravel().tolist()]


def _repeatable(x: Array) -> float:
    """Return by what share of itself a value may be another one by rounding alone."""
    eps = float(namespace_of(x).finfo(x.dtype).eps)
    return math.exp(0.375 * math.log(eps))


def _show_point(coords: list[Array]) -> str:
    return f"({', '.join(f'{float(x[0]):g}' for x in coords)})"


def _common_shape(coords: list[Array]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(tuple(c.shape) for c in coords))


def _may_mind_arrays(error: Exception, coords: list[Array]) -> bool:
    """Tell whether an error may come from there being several points in one array."""
    if not isinstance(error, RuntimeError):
        return True
    # PyTorch's for a tensor that is no single number; not one for want of memory.
    return not isinstance(coords[0], np.ndarray) and "memory" not in str(error)


def describe_error(error: Exception) -> str:
    """Return the class and the text of an error, to be followed by a full stop."""
    return f"{type(error).__name__}: {error}".rstrip(".: ")


def _read_one_number(result: Any, shape: tuple[int, ...]) -> Any:
    numbers = _read_numbers(result)
    if numbers.size != 1:
        raise ValueError(
            f"`func` must return one value for each point, in an array, here of shape {shape}; got "
            f"a {type(result).__name__} of shape {numbers.shape}. Components of a vector field are "
            "for `jacobian_of`."
        )
    return numbers[()].item()


def _read_numbers(result: Any) -> NumpyArray:
    try:
        host = np.asarray(result)
    except ValueError as error:
        raise ValueError(
            f"`func` must return numbers; got a {type(result).__name__} of unlike rows."
        ) from error
    if host.dtype.kind not in "biufc":
        raise TypeError(f"`func` must return numbers; got {type(result).__name__}.")
    return host
