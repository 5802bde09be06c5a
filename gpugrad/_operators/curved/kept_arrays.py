"""What a grid works out once: kept on the host, and moved where a field needs it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    dtype_name,
    find_apart,
    from_host,
    is_library_array,
    is_tracer,
    library_of,
    namespace_of,
    place_of_values,
    widest_float,
)


class KeptArrays:
    """Arrays by name, each made once, and moved to a library and device once."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Sequence[Array]] = {}
        self._moved: dict[Hashable, Sequence[Array]] = {}

    def get(self, name: Hashable, make: Callable[[], Sequence[Array]], f: Array) -> Sequence[Array]:
        """Return the arrays of a name beside a field; ``make()`` makes them if nothing has yet."""
        if name not in self._made:
            self._made[name] = make()
        made = self._made[name]
        if not is_library_array(f) and not any(map(is_library_array, made)):
            return made
        key = name, library_of(f), place_of_values(f)
        if key not in self._moved:
            moved = [move_beside(x, f) for x in made]
            if any(map(_is_traced, moved)):
                return moved  # what belongs to a trace must not outlive it
            self._moved[key] = moved
        return self._moved[key]


def move_beside(x: Array, f: Array) -> Array:
    """Return values of the host beside an array, and values of its library as they are."""
    if not is_library_array(x):
        xp = namespace_of(f)
        dtype = np.dtype(dtype_name(widest_float(xp, f)))
        return from_host(x.astype(min(x.dtype, dtype), copy=False), like=f)
    must = "the coordinates of a grid must be NumPy arrays, or of the field's library and device"
    if library_of(x) != library_of(f):
        raise TypeError(f"{must}; got {library_of(x)} for a field of {library_of(f)}.")
    apart = find_apart(x, f)
    if apart:
        raise ValueError(f"{must}; got {apart[0]} for a field on {apart[1]}.")
    return x


def _is_traced(x: Any) -> bool:
    if array_api_compat.is_torch_array(x):
        return bool(sys.modules["torch"].compiler.is_compiling())
    return is_tracer(x)
