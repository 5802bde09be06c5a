"""Masked fields: which samples are valid, as users say it with `where` and `skipna`."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    convert_sequence,
    dtype_name,
    find_apart,
    is_library_array,
    library_of,
    namespace_of,
)
from gpugrad._grids.options import Options

_NO_NAN = ("int", "uint")


def choose_beside_masked(options: Options) -> Options:
    """Return options with the best accuracy that formulas beside masked samples may have."""
    best = options.accuracy if options.edge_accuracy is None else options.edge_accuracy
    return options._replace(beside_masked=best)


def copy_mask(where: Any, f: Array) -> Array | None:
    """Return a mask for fields like `f` that nobody else can change, None where there is none."""
    if where is None:
        return None
    if is_library_array(where):
        return as_mask(namespace_of(where).asarray(where, copy=True), f)
    # What is masked in `where` stays so.
    return as_mask(np.array(where, subok=True) if isinstance(where, np.ndarray) else where, f)


def is_masked(f: Array) -> bool:
    """Tell whether an array is a masked array of NumPy."""
    return (
        type(f) is not np.ndarray  # spares plain arrays the import of numpy.ma
        and isinstance(f, np.ndarray)
        and isinstance(f, np.ma.MaskedArray)
    )


def find_valid(f: Array) -> Array | None:
    """Return where a field is not NaN, or None where it has no NaN to begin with."""
    if dtype_name(f.dtype).startswith(_NO_NAN):
        return None
    if isinstance(f, np.ndarray) and f.dtype.kind == "O":
        raise TypeError(
            "`skipna` must go with a dtype that has a NaN; got objects. Pass "
            "`where`, or convert `f` to floats."
        )
    return ~namespace_of(f).isnan(f)


def as_mask(where: Any, f: Array) -> Array:
    """Return `where` as a boolean array of the shape, the library and the device of the field."""
    shape = tuple(f.shape)
    must = f"`where` must be a boolean array of the shape of `f`, {shape}, or one that broadcasts "
    must += "to it, true where samples are valid"
    is_dask = array_api_compat.is_dask_array(f)
    if not is_library_array(where):
        try:
            where = convert_sequence(where)
            where = np.ma.filled(where, False) if is_masked(where) else np.asarray(where)
        except ValueError:
            raise ValueError(f"{must}; got a sequence of unequal lengths.") from None
        if is_dask:
            import dask.array as da

            where = da.asarray(where)
    if dtype_name(where.dtype) != "bool":
        raise TypeError(f"{must}; got dtype {dtype_name(where.dtype)}. Compare with something.")
    if library_of(where) != library_of(f):
        raise TypeError(
            f"{must}, of the same library; got {library_of(where)} for a field of "
            f"{library_of(f)}. Convert one of them; nothing is moved between libraries silently."
        )
    apart = find_apart(where, f)
    if apart:
        raise ValueError(f"{must}, on its device, {apart[1]}; got {apart[0]}.")
    try:
        fits = np.broadcast_shapes(tuple(where.shape), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{must}; got shape {tuple(where.shape)}.")
    if tuple(where.shape) == shape:
        return where
    return namespace_of(f).broadcast_to(where, shape)
