"""Fields with holes: which samples are valid, as users say it with `where` and `skipna`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays.arrays import (
    Array,
    device_of,
    dtype_name,
    is_library_array,
    library_of,
    namespace_of,
)
from gpugrad._backend import evaluate
from gpugrad._options import Options
from gpugrad._stencils.plan import AxisPlan, Term

_NO_NAN = ("int", "uint")


class Samples:
    """The fields of a call, without masks of their own, and which samples of each are valid."""

    def __init__(self, fields: Sequence[Array], where: Any = None, skipna: Any = False) -> None:
        if not isinstance(skipna, (bool, np.bool_)):
            raise TypeError(f"`skipna` must be True or False; got {skipna!r}.")
        self.fields = [*fields]
        self.masks: list[Array | None] = [None] * len(self.fields)
        self.have_holes = where is not None or bool(skipna)
        self.are_masked = self.have_holes and _is_masked(fields[0])
        if self.have_holes:
            given = None if where is None else as_mask(where, fields[0])
            found = [_find_holes(f, given, bool(skipna)) for f in fields]
            self.fields, self.masks = [f for f, _ in found], [mask for _, mask in found]

    def choose(self, options: Options) -> Options:
        """Return options with the best accuracy that formulas beside holes may have."""
        return choose_beside_holes(options) if self.have_holes else options

    def term(self, plan: AxisPlan, i: int = 0, sign: int = 1) -> Term:
        """Return the term of the field with number `i`."""
        return Term(sign, self.fields[i], plan, self.masks[i])

    def evaluate(
        self,
        outputs: Sequence[Sequence[Term]],
        out: Any = None,
        stack: bool = False,
        backend: str | None = None,
    ) -> Any:
        """Evaluate outputs; of masked arrays, results are masked where there is no derivative."""
        if not self.are_masked:
            return evaluate(outputs, out, stack, backend)
        targets = out if isinstance(out, (tuple, list)) else [] if out is None else [out]
        if not all(map(_is_masked, targets)):
            raise TypeError(
                "`out` must be a masked array to go with a masked `f`. Pass "
                "`numpy.ma.empty(...)`, or fill `f` first."
            )
        results = evaluate(outputs, out, stack, backend)
        return _mask(results) if stack else tuple([_mask(result) for result in results])


def choose_beside_holes(options: Options) -> Options:
    """Return options with the best accuracy that formulas beside holes may have."""
    given = options.edge_accuracy
    return options._replace(beside_holes=options.accuracy if given is None else given)


def copy_mask(where: Any, f: Array) -> Array | None:
    """Return a mask for fields like `f` that nobody else can change, None where there is none."""
    if where is None:
        return None
    if is_library_array(where):
        where = namespace_of(where).asarray(where, copy=True)
    else:
        where = np.array(where)
    return as_mask(where, f)


def _find_holes(f: Array, mask: Array | None, skipna: bool) -> tuple[Array, Array | None]:
    """Return a field without a mask of its own, and where it is valid."""
    if _is_masked(f):
        mask = _both(mask, ~np.ma.getmaskarray(f))
        f = np.asarray(f)
    elif isinstance(f, np.ndarray) and type(f) is not np.ndarray:
        raise TypeError(
            "`where` and `skipna` take plain arrays and masked arrays; got a field of type "
            f"{type(f).__name__}. Pass `numpy.asarray(f)`."
        )
    elif _is_masked(getattr(f, "_meta", None)):
        raise TypeError(
            "`where` and `skipna` take Dask arrays of plain blocks; got one of masked blocks. Pass "
            "`dask.array.ma.filled(f, numpy.nan)` and `skipna=True`."
        )
    return f, _both(mask, find_valid(f)) if skipna else mask


def _is_masked(f: Array) -> bool:
    return (
        type(f) is not np.ndarray  # spares plain arrays the import of numpy.ma
        and isinstance(f, np.ndarray)
        and isinstance(f, np.ma.MaskedArray)
    )


def _mask(result: Array) -> Array:
    """Return a result as a masked array; one that was written to is masked in place."""
    if not _is_masked(result):
        return np.ma.array(result, mask=np.isnan(result), copy=False)
    result[np.isnan(np.asarray(result))] = np.ma.masked
    return result


def _both(a: Array | None, b: Array | None) -> Array | None:
    if a is None or b is None:
        return b if a is None else a
    return a & b


def find_valid(f: Array) -> Array | None:
    """Return where a field is not NaN, or None where it has no NaN to begin with."""
    if dtype_name(f.dtype).startswith(_NO_NAN):
        return None
    if isinstance(f, np.ndarray) and f.dtype.kind == "O":
        raise TypeError(
            "`skipna` must go with numbers of which it is known what NaN is; got objects. Pass "
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
        where = np.ma.filled(where, False) if _is_masked(where) else np.asarray(where)
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
    if device_of(where) != device_of(f):
        raise ValueError(f"{must}, on its device, {device_of(f)}; got {device_of(where)}.")
    try:
        fits = np.broadcast_shapes(tuple(where.shape), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{must}; got shape {tuple(where.shape)}.")
    if tuple(where.shape) == shape:
        return where
    xp = np if isinstance(f, np.ndarray) else namespace_of(f)
    return xp.broadcast_to(where, shape)
