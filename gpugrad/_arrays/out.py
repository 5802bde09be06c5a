"""Where results go: the checks of ``out=``, and one array instead of several for ``stack=True``."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays.arrays import assign, refuse_labels, result_dtype, wrap_like
from gpugrad._arrays.libraries import (
    dtype_name,
    host_values,
    is_differentiated,
    is_library_array,
    library_of,
    namespace_of,
    row_of,
)
from gpugrad._arrays.placement import find_apart
from gpugrad._arrays.typing import Array, NumpyArray

# To be sure may take exponential time. Beyond this effort arrays count as overlapping, at the cost
# of a copy.
_OVERLAP_EFFORT = 10_000


def check_out(out: Any, f: Array, count: int, stack: bool, is_norm: bool = False) -> list[Array]:
    """Return one array to write to for each of `count` results, or raise.

    With `is_norm` results are real.

    Raises
    ------
    TypeError
        If `out` is of another library, of a dtype the result cannot be cast to ("same_kind"),
        or can't be written to at all (JAX, Dask, automatic differentiation).
    ValueError
        If the number of arrays, a shape or a device is wrong, or memory is read-only or shared
        between two of them.
    """
    shape = tuple(f.shape)
    if stack:
        _check_one(out, f, (count, *shape), "out", is_norm)
        return [out[i, ...] for i in range(count)]
    if count == 1 and not (isinstance(out, (tuple, list)) and len(out) == 1):
        _check_one(out, f, shape, "out", is_norm)
        return [out]
    if not isinstance(out, (tuple, list)):
        raise TypeError(
            f"`out` must be a tuple of {count} arrays, one per axis; got one "
            f"{type(out).__name__}. With `stack=True` it is one array of shape {(count, *shape)}."
        )
    if len(out) != count:
        raise ValueError(f"`out` must hold {count} arrays, one per axis; got {len(out)}.")
    for i, target in enumerate(out):
        _check_one(target, f, shape, f"out[{i}]", is_norm)
        for j in range(i):
            if target is out[j] or _overlap(target, out[j]):
                raise ValueError(
                    f"arrays in `out` must not share memory; got out[{j}] and out[{i}] over the "
                    "same elements. Give each derivative its own."
                )
    return list(out)


def _check_one(target: Any, f: Array, shape: tuple[int, ...], name: str, is_norm: bool) -> None:
    if type(target) is not np.ndarray:
        refuse_labels(target, f"`{name}`")
    if not isinstance(target, np.ndarray) and not is_library_array(target):
        raise TypeError(f"`{name}` must be an array; got {type(target).__name__}.")
    if library_of(target) != library_of(f):
        raise TypeError(
            f"`{name}` must be of the library of `f`, {library_of(f)}; got {library_of(target)}. "
            "Convert one of them; nothing is moved between libraries silently."
        )
    if not row_of(target).is_writable:
        raise TypeError(
            f"`{name}` must be an array that can be written to; {library_of(f)} arrays can't. "
            "Leave `out` out and use the result."
        )
    if array_api_compat.is_torch_array(f) and (is_differentiated(target) or is_differentiated(f)):
        raise TypeError(
            f"`{name}` must not take part in automatic differentiation, nor `f` beside it. "
            "Leave `out` out, or pass `f.detach()`."
        )
    apart = find_apart(target, f)
    if apart:
        raise ValueError(f"`{name}` must be on the device of `f`, {apart[1]}; got {apart[0]}.")
    if tuple(target.shape) != shape:
        raise ValueError(
            f"`{name}` must have shape {shape}; got {tuple(target.shape)}. "
            "Derivatives have the shape of `f`."
        )
    if isinstance(target, np.ndarray):
        _check_writeable(target, name)
    if (
        type(f) is not np.ndarray  # spares plain arrays the import of numpy.ma
        and isinstance(f, np.ma.MaskedArray)
        and not isinstance(target, np.ma.MaskedArray)
    ):
        raise TypeError(
            f"`{name}` must be a masked array to go with a masked `f`; got "
            f"{type(target).__name__}. Pass `numpy.ma.empty(...)`, or fill `f` first."
        )
    result = result_dtype(np if isinstance(f, np.ndarray) else namespace_of(f), f, is_norm)
    if not _same_kind(result, target.dtype):
        raise TypeError(
            f"`{name}` must have a dtype that {dtype_name(result)} can be cast to, casting "
            f"'same_kind'; got {dtype_name(target.dtype)}."
        )


def _check_writeable(target: np.ndarray[Any, Any], name: str) -> None:
    if not target.flags.writeable:
        raise ValueError(f"`{name}` must be writeable; got a read-only array. Pass a copy of it.")
    if any(n > 1 and stride == 0 for n, stride in zip(target.shape, target.strides, strict=True)):
        raise ValueError(
            f"`{name}` must have a place for each element; got strides {target.strides}, which "
            "put several in the same. Pass a copy of it."
        )
    if type(target) is not np.ndarray and getattr(target, "hardmask", False):
        raise ValueError(
            f"`{name}` must be free to take a new mask; got a hard mask. Call its `soften_mask()`."
        )


def _same_kind(result: Any, target: Any) -> bool:
    if isinstance(result, np.dtype) and isinstance(target, np.dtype):
        return np.can_cast(result, target, "same_kind")
    allowed = (
        ("complex",) if dtype_name(result).startswith("complex") else ("complex", "float", "bfloat")
    )
    return dtype_name(target).startswith(allowed)


def overlap_any(targets: Sequence[Array], arrays: Sequence[Array]) -> bool:
    """Tell whether writing to a target may change an array that is still to be read."""
    return any(_overlap(target, array) for target in targets for array in arrays)


def _overlap(a: Array, b: Array) -> bool:
    a, b = _memory_of(a), _memory_of(b)
    if a is None or b is None:
        return False  # a library that can be written to, yet does not say where
    try:
        return np.shares_memory(a, b, max_work=_OVERLAP_EFFORT)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _describe_memory(pointer: int, shape: Any, strides: Any, itemsize: int) -> NumpyArray:
    """Return an array for NumPy that lies where another library's does; nobody reads it."""
    interface = {"shape": tuple(shape), "strides": tuple(strides), "typestr": f"|V{itemsize}",
                 "data": (pointer, False), "version": 3}  # fmt: skip
    return np.asarray(SimpleNamespace(__array_interface__=interface))


def _memory_of(x: Array) -> np.ndarray[Any, Any] | None:
    """Return an array that shares memory with others if `x` does; its values mean nothing."""
    if array_api_compat.is_torch_array(x) and x.device.type != "meta":
        size = x.element_size()
        return _describe_memory(x.data_ptr(), x.shape, [n * size for n in x.stride()], size)
    if array_api_compat.is_cupy_array(x):
        return _describe_memory(x.data.ptr, x.shape, x.strides, x.itemsize)
    return host_values(x)


def stack_results(results: Sequence[Array]) -> Array:
    """Return results as one array, on a new leading axis: of their class, in their byte order."""
    first = results[0]
    if isinstance(first, np.ndarray):
        if type(first) is not np.ndarray and isinstance(first, np.ma.MaskedArray):
            return resemble(np.ma.stack(results).astype(first.dtype, copy=False), first)
        stacked = np.stack([np.asarray(result) for result in results], dtype=first.dtype)
        return wrap_like(first, stacked)
    return namespace_of(first).stack(list(results), axis=0)


def resemble(result: Array, f: Array) -> Array:
    """Return a result that is masked as its field is: with its fill value, and a mask as hard."""
    if type(f) is np.ndarray or not isinstance(f, np.ndarray):
        return result  # spares plain arrays the import of numpy.ma
    if isinstance(f, np.ma.MaskedArray) and isinstance(result, np.ma.MaskedArray):
        is_default = f.fill_value == np.ma.default_fill_value(f.dtype)
        if not is_default and np.can_cast(f.dtype, result.dtype, "same_kind"):
            result.set_fill_value(f.fill_value)
        if f.hardmask:
            result.harden_mask()
    return result


def flatten_rows(out: Any, shape: tuple[int, ...], stack: bool) -> tuple[Array, ...]:
    """Return the arrays to write rows of results to, one after the other.

    `shape` is that of all results in one array.
    """
    rows, columns = shape[:2]
    if stack:
        if getattr(out, "shape", None) is None or tuple(out.shape) != shape:
            shape_or_type = getattr(out, "shape", type(out).__name__)
            raise ValueError(
                f"`out` must be an array of shape {shape} with `stack`; got {shape_or_type}."
            )
        return tuple(out[i, j, ...] for i in range(rows) for j in range(columns))
    if (
        not isinstance(out, (tuple, list))
        or len(out) != rows
        or any(not isinstance(row, (tuple, list)) or len(row) != columns for row in out)
    ):
        raise ValueError(
            f"`out` must be a tuple of {rows} tuples of {columns} arrays, or one array with "
            "`stack=True`."
        )
    return tuple(target for row in out for target in row)


def deliver(
    results: Sequence[Array], f: Array, out: Any, stack: bool, is_norm: bool = False
) -> tuple[Array, ...] | Array:
    """Return results of arithmetic as an engine does: of the right dtype, in `out`, stacked."""
    xp = np if isinstance(f, np.ndarray) else namespace_of(f)
    dtype = result_dtype(xp, f, is_norm)
    results = [
        r.astype(dtype, copy=False) if isinstance(r, np.ndarray) else xp.astype(r, dtype)
        for r in results
    ]
    if out is None:
        return stack_results(results) if stack else tuple(results)
    targets = check_out(out, f, len(results), stack, is_norm)
    assign(targets, results)
    return out if stack else tuple(targets)


def view_to_write(target: Array) -> np.ndarray[Any, Any] | None:
    """Return a plain NumPy array over the memory of `target`, or None if there is no such thing."""
    if isinstance(target, np.memmap):
        return target.view(np.ndarray)
    view = target if isinstance(target, np.ndarray) else host_values(target)
    return view if type(view) is np.ndarray and view.flags.writeable else None
