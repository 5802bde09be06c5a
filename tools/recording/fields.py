"""Fields, masks and spacings to call the API with: seeded, of every dtype, layout and library."""

from __future__ import annotations

import zlib
from fractions import Fraction
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from recording.calls import Later

Shape = tuple[int, ...]

DTYPES = ("f2", "f4", "f8", "g", "c8", "c16", "G", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8",
          "?", ">f4", ">f8", ">c16", ">i4", "M8[s]", "M8[D]", ">M8[s]", "m8[h]", "m8[ns]",
          "O")  # fmt: skip

LAYOUTS = (
    "C",
    "F",
    "turned",
    "backwards",
    "strided",
    "inner",
    "read-only",
    "repeated",
    "unaligned",
)

LIBRARIES = {
    name: find_spec(module) is not None
    for name, module in {
        "strict": "array_api_strict",
        "dask": "dask",
        "jax": "jax",
        "torch": "torch",
    }.items()
}
"""Whether a library is installed. Calls with one that is not are left out."""


def seeded(*what: Any) -> np.random.Generator:
    """Return random numbers that depend on nothing but what they are for."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


@lru_cache(maxsize=64)
def _normal(shape: Shape, seed: int) -> np.ndarray[Any, Any]:
    values = seeded("normal", shape, seed).normal(size=shape)
    values.flags.writeable = False
    return values


def values_of(dtype: str, shape: Shape, seed: int = 0) -> np.ndarray[Any, Any]:
    """Return an array in C order that uses the range of its dtype, but not the last of it."""
    kind = np.dtype(dtype).kind
    random = _normal(shape, seed)
    if kind == "c":
        return np.asarray(random + 1j * _normal(shape, seed + 1000)).astype(dtype)
    if kind == "f":
        return random.astype(dtype)
    if kind == "b":
        return random > 0
    if kind == "u":
        return (np.abs(random) * 50).astype(dtype)
    if kind == "i":
        return (random * {1: 30, 2: 9e3, 4: 5e8, 8: 1e15}[np.dtype(dtype).itemsize]).astype(dtype)
    if kind in "mM":
        return np.round(random * 1e4).astype("i8").astype(dtype)
    objects = np.empty(shape, object)
    for place in np.ndindex(shape):
        objects[place] = Fraction(int(random[place] * 1000), 7)
    return objects


def laid_out(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """Return an array of the same values that lies in memory in another way."""
    shape, ndim = values.shape, values.ndim
    if layout == "C":
        return np.array(values, order="C")
    if layout == "F":
        return np.array(values, order="F")
    if layout == "turned":
        axes = (*range(1, ndim), 0)
        return np.ascontiguousarray(values.transpose(axes)).transpose(np.argsort(axes))
    if layout == "backwards":
        return np.ascontiguousarray(values[(slice(None, None, -1),) * ndim])[
            (slice(None, None, -1),) * ndim
        ]
    if layout in ("strided", "inner"):
        step = 2 if layout == "strided" else 1
        large = np.zeros(tuple(step * n + 3 for n in shape), values.dtype)
        view = large[tuple(slice(1, 1 + step * n, step) for n in shape)]
        view[...] = values
        return view
    if layout == "read-only":
        copy = np.array(values, order="C")
        copy.flags.writeable = False
        return copy
    if layout == "repeated":
        return np.broadcast_to(values[:1], shape)
    if layout == "unaligned":
        buffer = np.zeros(values.nbytes + 1, np.uint8)
        view = buffer[1:].view(values.dtype).reshape(shape)
        view[...] = values
        return view
    raise ValueError(layout)


def in_library(values: np.ndarray[Any, Any], library: str) -> Any:
    """Return values as an array of a library."""
    if library == "strict":
        import array_api_strict

        return array_api_strict.asarray(values.copy())
    if library == "dask":
        import dask.array

        return dask.array.from_array(
            values, chunks=tuple(max(1, (n + 1) // 2) for n in values.shape)
        )
    if library == "jax":
        import jax

        return jax.numpy.asarray(values)
    if library == "torch":
        import torch

        return torch.from_numpy(values.copy())
    return values


def _make(dtype: str, shape: Shape, layout: str, library: str, seed: int) -> Any:
    return in_library(laid_out(values_of(dtype, shape, seed), layout), library)


def field(
    dtype: str, shape: Shape, layout: str = "C", library: str = "numpy", seed: int = 0
) -> Later:
    """Return a field that is made when a call runs."""
    size = "x".join(map(str, shape))
    return Later(
        f"<{library} {dtype} {size} {layout} seed {seed}>",
        partial(_make, dtype, shape, layout, library, seed),
    )


def fields(
    dtypes: Any, shapes: Any, layouts: Any = ("C",), libraries: Any = ("numpy",)
) -> dict[str, Any]:
    """Make a column of fields, labelled by dtype, shape, layout and library."""
    column = {}
    for library in libraries:
        for dtype in dtypes:
            for shape in shapes:
                for layout in layouts:
                    label = [dtype, "x".join(map(str, shape)), layout if layout != "C" else ""]
                    label.append(library if library != "numpy" else "")
                    column[" ".join(filter(None, label))] = (field(dtype, shape, layout, library),)
    return column


def vector(
    dtype: str, shape: Shape, count: int, form: str = "tuple", layout: str = "C",
    library: str = "numpy",
) -> Later:  # fmt: skip
    """Return a vector field with some components, as a tuple, a list or one array."""

    def make() -> Any:
        if form == "array":
            return _make(dtype, (count, *shape), layout, library, 7)
        parts = [_make(dtype, shape, layout, library, 10 + i) for i in range(count)]
        return tuple(parts) if form == "tuple" else parts

    size = "x".join(map(str, shape))
    return Later(f"<{form} of {count} {library} {dtype} {size} {layout}>", make)


def uneven(n: int, dtype: str = "f8", seed: int = 0) -> np.ndarray[Any, Any]:
    """Return coordinates that ascend with gaps from 0.5 to 1.5."""
    return np.cumsum(seeded("uneven", n, seed).uniform(0.5, 1.5, n)).astype(dtype)


def coordinates(n: int, dtype: str = "f8", seed: int = 0) -> Later:
    """Return uneven coordinates that are made when a call runs."""
    return Later(f"<uneven {dtype} {n} seed {seed}>", partial(uneven, n, dtype, seed))


def of_lines(shape: Shape, axis: int, dtype: str = "f8") -> Later:
    """Return coordinates as large as the field, different on each line along an axis."""

    def make() -> Any:
        gaps = seeded("lines", shape, axis).uniform(0.5, 1.5, shape)
        return np.cumsum(gaps, axis=axis).astype(dtype)

    return Later(f"<coordinates {dtype} {shape} along axis {axis}>", make)


def mask(shape: Shape, share: float = 0.15, library: str = "numpy", seed: int = 0) -> Later:
    """Return which samples are valid: all but a share of them."""

    def make() -> Any:
        return in_library(seeded("mask", shape, seed).uniform(size=shape) > share, library)

    return Later(f"<mask {shape} without {share:.0%} {library}>", make)


def with_nan(
    dtype: str, shape: Shape, share: float = 0.15, library: str = "numpy", layout: str = "C"
) -> Later:
    """Return a field with a share of its samples missing."""

    def make() -> Any:
        values = values_of(dtype, shape)
        values[seeded("mask", shape, 0).uniform(size=shape) <= share] = np.nan
        return in_library(laid_out(values, layout), library)

    return Later(f"<{library} {dtype} {shape} with NaN {layout}>", make)


def masked(dtype: str, shape: Shape, share: float = 0.15) -> Later:
    """Return a masked array of NumPy."""

    def make() -> Any:
        hidden = seeded("mask", shape, 0).uniform(size=shape) <= share
        return np.ma.array(values_of(dtype, shape), mask=hidden)

    return Later(f"<masked {dtype} {shape}>", make)
