"""What stands in for the gradients of NumPy, CuPy and Dask: their arguments, their containers.

Each function takes the one that is replaced, and returns what is called in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Integral
from types import FrameType
from typing import Any

import numpy as np

from gpugrad._arrays import without_warnings
from gpugrad._operators.gradient import gradient

Call = Callable[..., Any]

falls_back = False
"""Whether the replaced function takes what gpugrad refuses, and what it answers otherwise."""

HINT = (
    "This call was made to `{}`, which gpugrad has patched. With "
    "`gpugrad.patch_numpy(fallback=True)`, the library's own gradient takes what gpugrad refuses."
)

_ORDINARY = frozenset("bhilqBHILQfdgFDG")
"""Characters of dtypes whose gradients have NumPy's bits, whatever the spacing."""

_PLAIN = frozenset((np.ndarray, float, int))
_NUMBERS = frozenset((float, int, np.float64, np.float32))


def compute(
    original: Call,
    f: Any,
    spacings: Any,
    axis: Any,
    edge_order: Any,
    name: str,
    takes_refused: bool | None = None,
) -> Any:
    """Return our gradient; where it is refused, the error with a hint, or the original's result.

    `takes_refused` tells which of both; by default, the patch that holds does.
    """
    if takes_refused is None:
        takes_refused = falls_back
    options = {} if axis is None else {"axis": axis}
    if edge_order is not None and (type(edge_order) is not int or edge_order != 1):
        options["edge_order"] = edge_order
    try:
        # We warn of coordinates alone: numbers need no time for silence.
        if not takes_refused or _NUMBERS.issuperset(map(type, spacings)):
            return gradient(f, *spacings, **options)
        with without_warnings():
            return gradient(f, *spacings, **options)
    except (TypeError, ValueError, OverflowError) as error:
        if not takes_refused:
            error.add_note(HINT.format(name))
            raise
    return original(f, *spacings, axis=axis, edge_order=edge_order)


def stand_in_for_numpy(original: Call) -> Call:
    """Return what is called for `numpy.gradient`."""

    def call(f: Any, spacings: tuple[Any, ...], axis: Any, edge_order: Any) -> Any:
        caller = sys._getframe(1).f_back
        if caller and caller.f_code.co_name == "_gradient_kernel" and _is_dasks(caller):
            return original(f, *spacings, axis=axis, edge_order=edge_order)
        if type(f) is not np.ndarray or not _PLAIN.issuperset(map(type, spacings)):
            samples, spacings = np.asanyarray(f), tuple(map(_as_spacing, spacings))
            if any(map(_decides_itself, (samples, *spacings))):
                return original(f, *spacings, axis=axis, edge_order=edge_order)
            if samples.ndim or isinstance(f, np.ndarray):
                f = samples  # else the error is about what was passed
        if edge_order is None or (falls_back and not _has_numpys_bits(f, spacings)):
            return original(f, *spacings, axis=axis, edge_order=edge_order)
        return compute(original, f, spacings, axis, edge_order, "numpy.gradient")

    return call


def _is_dasks(caller: FrameType) -> bool:
    """Tell whether a block calls, of a graph that Dask has built: it stays what it was then."""
    return caller.f_globals.get("__name__") == "dask.array.routines"


def _as_spacing(h: Any) -> Any:
    """Return numbers as they are, and all else as the array that NumPy makes of it."""
    return h if isinstance(h, (float, int, complex, np.generic)) else np.asanyarray(h)


def _decides_itself(x: Any) -> bool:
    """Tell whether an array is of a subclass that says what functions of NumPy do with it."""
    cls = type(x)
    return (
        cls is not np.ndarray
        and isinstance(x, np.ndarray)
        and cls.__array_function__ is not np.ndarray.__array_function__
    )


def _has_numpys_bits(f: Any, spacings: tuple[Any, ...]) -> bool:
    """Tell whether our results are NumPy's for sure: of plain and masked arrays of usual dtypes."""
    if type(f) is not np.ndarray and type(f) is not np.ma.MaskedArray:
        return False
    return f.dtype.char in _ORDINARY and all(
        type(h) in _NUMBERS or (type(h) is np.ndarray and h.dtype.char in _ORDINARY)
        for h in spacings
    )


def stand_in_for_cupy(original: Call) -> Call:
    """Return what is called for `cupy.gradient`: it makes arrays of CuPy, and lists of results."""

    def call(f: Any, spacings: tuple[Any, ...], axis: Any, edge_order: Any) -> Any:
        cupy: Any = sys.modules["cupy"]
        f = f if isinstance(f, cupy.ndarray) else cupy.asanyarray(f)
        if edge_order is None or (falls_back and f.dtype.char not in _ORDINARY):
            return original(f, *spacings, axis=axis, edge_order=edge_order)
        result = compute(original, f, spacings, axis, edge_order, "cupy.gradient")
        return [*result] if type(result) is tuple else result

    return call


def stand_in_for_dask(original: Call) -> Call:
    """Return what is called for `dask.array.gradient`: one array for an axis that is a number."""

    def call(f: Any, spacings: tuple[Any, ...], axis: Any, keywords: dict[str, Any]) -> Any:
        da: Any = sys.modules["dask.array"]
        f = da.asarray(f)
        edge_order = keywords.get("edge_order", 1)
        is_known = edge_order is not None and keywords.keys() <= {"edge_order"}
        is_lazy = any(isinstance(h, da.Array) for h in spacings)  # Dask has no such coordinates
        if not is_known or is_lazy or f.dtype.kind not in "biufc" or _decides_itself(f._meta):
            return original(f, *spacings, axis=axis, **keywords)
        if f.dtype.kind == "b" or (f.dtype.kind == "f" and f.dtype.itemsize < 4):
            f = f.astype(float)  # as Dask does it
        result = compute(original, f, spacings, axis, edge_order, "dask.array.gradient")
        if isinstance(axis, Integral):
            return result
        return [*result] if type(result) is tuple else [result]

    return call
