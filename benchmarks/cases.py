"""The fields on which gpugrad is set against other libraries, and the memory that they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MEDIUM = {3: (256,) * 3, 2: (4096,) * 2, 1: (1 << 24,)}
SIZES = {
    3: ((128,) * 3, MEDIUM[3], (384,) * 3, (600,) * 3),
    2: ((1448,) * 2, MEDIUM[2], (8192,) * 2),
    1: ((1 << 21,), MEDIUM[1], (1 << 26,)),
}
QUICK = {3: (48,) * 3, 2: (320,) * 2, 1: (1 << 17,)}


class Case(NamedTuple):
    """A field and a way to differentiate it.

    `others` says that every library takes part, not NumPy alone; `beside_plain` that the same call
    on a C-ordered float field with unit spacing is timed in the same rounds.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    axis: int | None = None
    uneven: bool = False
    edge_order: int = 1
    layout: str = "C"
    into_out: bool = True
    others: bool = False
    beside_plain: bool = False

    @property
    def title(self) -> str:
        """What tells this case from all others."""
        return f"{'x'.join(map(str, self.shape))} {self.dtype}, {self.name}"

    @property
    def plain(self) -> Case:
        """The plain case of the same shape, with floats of the results' dtype."""
        return Case("all axes", self.shape, self.result_dtype.name)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """The dtype of the results: integers are differentiated in float64."""
        dtype = np.dtype(self.dtype)
        return np.dtype(np.float64) if dtype.kind in "iu" else dtype

    @property
    def number(self) -> int:
        """How many results there are."""
        return len(self.shape) if self.axis is None else 1

    @property
    def field_bytes(self) -> int:
        """Bytes of the field."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def results_bytes(self) -> int:
        """Bytes of all results."""
        return self.number * math.prod(self.shape) * self.result_dtype.itemsize


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield the grid of sizes and dtypes, then variations of a medium field, then new arrays."""
    for dimension, shapes in SIZES.items():
        for shape in (QUICK[dimension],) if quick else shapes:
            for dtype in ("float64", "float32"):
                medium = shape in (MEDIUM[dimension], QUICK[3])
                yield Case("all axes", shape, dtype, others=medium)
    cube = (QUICK if quick else MEDIUM)[3]
    others = not quick
    for axis in range(3):
        yield Case(f"axis {axis}", cube, axis=axis, others=others and axis == 0)
    yield Case("edge_order=2", cube, edge_order=2, others=others, beside_plain=True)
    yield Case("uneven", cube, uneven=True, others=others, beside_plain=True)
    yield Case("uneven", cube, "float32", uneven=True, beside_plain=True)
    for layout in ("Fortran", "transposed", "every second", "reversed"):
        yield Case(layout, cube, layout=layout, beside_plain=True)
    for dtype in ("int16", "int64", "uint8"):
        yield Case("integers", cube, dtype, beside_plain=True)
    for shape in (cube,) if quick else SIZES[3][1:]:
        yield Case("new arrays", shape, into_out=False)


def make_field(case: Case) -> Any:
    """Return a field of noise, which hides no error and no denormal number."""
    shape = case.shape
    if case.layout == "transposed":
        return _make_noise(case, (*shape[1:], shape[0])).transpose(-1, *range(len(shape) - 1))
    if case.layout == "every second":
        return _make_noise(case, (*shape[:-1], 2 * shape[-1]))[..., ::2]
    f = _make_noise(case, shape)
    if case.layout == "reversed":
        return f[(slice(None, None, -1),) * len(shape)]
    return np.asfortranarray(f) if case.layout == "Fortran" else f


def _make_noise(case: Case, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(3)
    dtype = np.dtype(case.dtype)
    if dtype.kind in "iu":
        kinds = np.iinfo(dtype)
        return rng.integers(max(-1000, kinds.min), min(1000, kinds.max), shape, dtype)
    return rng.standard_normal(shape, dtype)


def make_coordinates(case: Case) -> tuple[Any, ...]:
    """Return uneven coordinates for every axis, or none."""
    rng = np.random.default_rng(4)
    if not case.uneven:
        return ()
    return tuple(rng.uniform(0.5, 1.5, n).cumsum().astype(case.result_dtype) for n in case.shape)


def available_memory() -> int | None:
    """Return the bytes that programs can still take, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    words = [line.split() for line in lines]
    return next((int(w[1]) * 1024 for w in words if w[0] == "MemAvailable:"), None)
