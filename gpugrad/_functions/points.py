"""The points at which a function is differentiated: where they live, and how results go back."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    dtype_name,
    empty,
    from_host,
    is_library_array,
    library_of,
    namespace_of,
    place_of,
    refuse_labels,
    refuse_sparse,
    require_one_place,
    row_of,
    widest_float,
)
from gpugrad._grids import read_coordinates

_BLOCK = {"NumPy": 1 << 17, "CuPy": 1 << 22}
"""Values of a coordinate that are at work at once: NumPy's temporaries, of 1 or 2 MB, stay cached.

Fewer would cost more calls, each of which costs as much as some thousand values.
"""


# Which bits to keep for a power of two: a logarithm would cost as much as many a function.
_EXPONENT = {
    8: (np.int64, np.int64(0x7FF0 << 48), math.sqrt(np.finfo(np.float64).max)),
    4: (np.int32, np.int32(0x7F80 << 16), math.sqrt(np.finfo(np.float32).max)),
}


class Points:
    """Points, one flat array for each coordinate, in the precision to compute in.

    Attributes
    ----------
    flat : list of arrays
        The coordinates, 1-D and equally long.
    axis : int or None
        Where the components lie in the one array the points came as; None if there was an array
        for each coordinate.
    """

    def __init__(self, coords: tuple[Any, ...], axis: int | None) -> None:
        if axis is not None:
            if len(coords) != 1:
                raise TypeError(
                    f"points must be one array with the components on axis {axis}; got "
                    f"{len(coords)} arguments. Leave out `points_axis` to pass one array for each "
                    "coordinate."
                )
            whole = _as_arrays(coords)[0]
            if whole.ndim == 0:
                raise ValueError("points must be an array with a component axis; got one number.")
            moved = namespace_of(whole).moveaxis(whole, axis, 0)
            coords = tuple(moved[i, ...] for i in range(moved.shape[0]))
        if not coords:
            raise TypeError("points must be given: one number or array for each coordinate.")
        arrays = _as_arrays(coords)
        self.axis = axis
        self.xp: ModuleType = namespace_of(arrays[0])
        self.result_dtype = dtype = self._common_dtype(arrays)
        self.is_half = dtype_name(dtype) in HALF_PRECISION
        if self.is_half:
            dtype = self.xp.float32
        broadcast = self.xp.broadcast_arrays(
            *(self.xp.astype(x, dtype, copy=False) for x in arrays)
        )
        self.shape: tuple[int, ...] = tuple(broadcast[0].shape)
        self.flat: list[Array] = [
            protect_from_writing(self.xp.reshape(x, (-1,))) for x in broadcast
        ]
        self.size = math.prod(self.shape)

    def _common_dtype(self, arrays: Sequence[Array]) -> Any:
        floats = []
        for x in arrays:
            kind = dtype_name(x.dtype)
            if not kind.startswith(("int", "uint", "float", "bfloat")):
                raise TypeError(
                    f"points must be real numbers; got dtype {kind}. A function of a complex "
                    "variable is a function of its real and its imaginary part."
                )
            if "float" in kind:
                floats.append(x.dtype)
        return self.xp.result_type(*floats) if floats else widest_float(self.xp, arrays[0])

    @property
    def on_host(self) -> bool:
        """Whether the points are NumPy's."""
        return isinstance(self.flat[0], np.ndarray)

    def blocks(self, rows: int) -> Iterator[slice]:
        """Cut the points so that `rows` values for each fit into the memory for a block.

        Without rows there is one block.
        """
        limit = _BLOCK.get(library_of(self.flat[0]), 1 << 20)
        length = max(1, limit // rows) if rows else self.size
        for start in range(0, self.size, length):
            yield slice(start, min(start + length, self.size))

    def restore_shape(self, flat: Array) -> Array:
        """Return a flat result in the shape and the dtype of the points."""
        xp = self.xp
        if self.is_half:
            flat = xp.astype(flat, self.result_dtype)
        result = xp.reshape(flat, self.shape)
        return result[()] if self.on_host else result

    def widen_bounds(self, bounds: list[Array], derivatives: list[Array]) -> list[Array]:
        """Return bounds that also hold for derivatives in half precision, as users get them."""
        if not self.is_half:
            return bounds
        xp = self.xp
        precision = xp.finfo(self.result_dtype)
        relative, least = 4 * float(precision.eps), float(precision.smallest_normal)
        widened = []
        for bound, derivative in zip(bounds, derivatives, strict=True):
            rounded = xp.astype(xp.astype(derivative, self.result_dtype), derivative.dtype)
            total = (bound + abs(derivative - rounded)) * (1 + relative) + least
            widened.append(xp.where(xp.isnan(total), math.inf, total))
        return widened

    def add_rounding(self, bound: Array, term: Array) -> Array:
        """Return the bound of a term's error that holds for a sum with it in half precision."""
        if not self.is_half:
            return bound
        return bound + 4 * float(self.xp.finfo(self.result_dtype).eps) * (abs(term) + bound)

    def pack(self, components: list[Array], stack: bool, width: int | None = None) -> Any:
        """Return components in the form in which the points came.

        With a width they are a matrix, row by row; else they are one row.
        """
        if self.axis is None and not stack:
            if width is None:
                return tuple(components)
            starts = range(0, len(components), width)
            return tuple(tuple(components[start : start + width]) for start in starts)
        xp = self.xp
        whole = xp.stack([xp.asarray(component) for component in components], axis=0)
        depth = 1
        if width is not None:
            depth, whole = 2, xp.reshape(whole, (len(components) // width, width, *self.shape))
        if self.axis is None:
            return whole
        axis = self.axis if self.axis >= 0 else len(self.shape)
        return xp.moveaxis(whole, tuple(range(depth)), tuple(range(axis, axis + depth)))


class Blocks:
    """Results that come block by block: NumPy's go where they belong at once, others wait."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self._pending: list[list[Array]] = []
        self._whole: list[Array] = []

    def add(self, block: slice, results: list[Array]) -> None:
        """Take in the flat results of a block of points."""
        points = self.points
        if not points.on_host or block.stop - block.start == points.size:
            self._pending.append(results)
            return
        self._whole = self._whole or [empty((points.size,), result.dtype) for result in results]
        for whole, result in zip(self._whole, results, strict=True):
            whole[block] = result

    def arrays(self) -> list[Array]:
        """Return whole results, in the shape of the points."""
        whole = self._whole or [
            pieces[0] if len(pieces) == 1 else self.points.xp.concat(list(pieces))
            for pieces in zip(*self._pending, strict=True)
        ]
        return [self.points.restore_shape(flat) for flat in whole]


def protect_from_writing(flat: Array) -> Array:
    """Return an array that a function cannot write to: it may be the user's own."""
    if isinstance(flat, np.ndarray):
        flat = flat.view()
        flat.flags.writeable = False
    return flat


def parse_points_axis(axis: Any, vector: bool) -> int | None:
    """Return where components lie, None for coordinates one by one."""
    if axis is None:
        return 0 if vector else None
    try:
        number = operator.index(axis)
    except TypeError:
        number = 1
    if isinstance(axis, bool) or number not in (0, -1):
        raise ValueError(f"`points_axis` must be 0 (first), -1 (last) or None; got {axis!r}.")
    return number


def _refuse_what_is_lost(x: Any) -> None:
    """Raise an error for arrays whose masks `func` would not see, and for sparse ones."""
    refuse_sparse(x, "points", is_sliced=False)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(
            f"points must have no masked values; got {np.ma.getmaskarray(x).sum()} of them. Pass "
            "`x.compressed()`, or `x.filled(nan)` for NaN in their places."
        )


def _as_arrays(arguments: Sequence[Any]) -> list[Array]:
    """Return arrays of one library; what has none yet goes where the others are."""
    for x in arguments:
        refuse_labels(x, "points")
        _refuse_what_is_lost(x)
    owners = [x for x in arguments if is_library_array(x)]
    libraries = {library_of(x) for x in owners} | {
        "NumPy" for x in arguments if isinstance(x, np.ndarray) and x.ndim
    }
    if len(libraries) > 1:
        raise TypeError(
            f"points must be arrays of one library; got {' and '.join(sorted(libraries))}. "
            "Convert them first."
        )
    require_one_place(owners, "points")
    if owners and row_of(owners[0]).is_lazy:
        raise TypeError(
            f"points must have values; got a {library_of(owners[0])} array, which is lazy. Use "
            "`map_blocks` with the derivative, or compute the points first."
        )
    arrays = []
    for x in arguments:
        if is_library_array(x):
            arrays.append(x)
            continue
        host = read_coordinates(x, "points")
        if host.dtype.kind not in "iuf":
            raise TypeError(
                f"points must be real numbers; got {type(x).__name__} ({host.dtype}). Convert "
                "them, as in `numpy.asarray(x, dtype=float)`."
            )
        if owners:
            # A bare number adapts to the arrays beside it.
            host = host.astype(dtype_name(owners[0].dtype)) if host.ndim == 0 else host
            host = from_host(host, owners[0])
        arrays.append(host)
    return arrays


def scales_of(coords: Sequence[Array]) -> list[Array]:
    """Return powers of two above each coordinate, 2 where it is less than 1 or not finite.

    Points and steps that are powers of two add up without rounding. NumPy's points that have the
    same share one, in an array of length 1.
    """
    return [_host_scale(x) if _is_host_float(x) else _scale_of(namespace_of(x), x) for x in coords]


def _is_host_float(x: Array) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.itemsize in _EXPONENT


def _host_scale(x: Array) -> Array:
    size = np.abs(x)
    least, most = extremes = np.array([size.min(), size.max()], x.dtype)
    if not most - least < math.inf:  # there is a NaN or an infinity
        return _powers_above(x)
    first, last = _powers_above(extremes)
    return np.full(1, first) if first == last else _powers_above(x)


def _powers_above(x: Array) -> Array:
    integers, exponent, most = _EXPONENT[x.dtype.itemsize]
    power = (x.view(integers) & exponent).view(x.dtype)
    power *= 2
    return np.clip(power, 2, most, out=power)


def _scale_of(xp: ModuleType, x: Array) -> Array:
    size = xp.clip(xp.where(xp.isfinite(x), xp.abs(x), 1.0), 1.0, None)
    return xp.asarray(2.0, dtype=x.dtype, **place_of(x)) ** (xp.floor(xp.log2(size)) + 1.0)
