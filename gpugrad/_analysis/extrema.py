"""Extrema of sequences: where steps up, down and level change into each other.

The passes over whole curves are made by the array's own library. What they find is little, and
comes to the host, where the rest is done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    NumpyArray,
    as_field,
    asnumpy,
    dtype_name,
    from_host,
    is_library_array,
    is_tracer,
    is_unmasked_subclass,
    library_of,
    namespace_of,
    place_of,
    real_floats,
    refuse_sparse,
    row_of,
    working_dtype,
)
from gpugrad._grids import (
    are_dates,
    find_calendar_start,
    parse_axes,
    parse_one_axis,
    parse_spacings,
    read_coordinates,
    read_numbers,
)
from gpugrad._operators.one_axis import check_one_spacing

ON_HOST, ON_DEVICE = 1 << 17, 1 << 22
"""Samples that are compared at a time: few for a processor's cache, many to keep a GPU busy."""

_BREAK = 2
"""The step to a NaN, from one, or beyond an end."""

_FINER = {"s": "ms", "ms": "us", "us": "us", "ns": "ns", "ps": "ps", "fs": "fs", "as": "as"}


class Extrema(NamedTuple):
    """Runs of level samples (mostly of one sample) with other steps before than after.

    All on the host, one entry for each: the number of the curve; the first and the last sample of
    the run; the steps before and after it: 1 up, -1 down, 2 none.
    """

    curve: NumpyArray
    first: NumpyArray
    last: NumpyArray
    before: NumpyArray
    after: NumpyArray

    def select(self, chosen: NumpyArray) -> Extrema:
        """Return the chosen entries."""
        return Extrema(*(entries[chosen] for entries in self))

    @property
    def is_maximum(self) -> NumpyArray:
        """Whether it goes up before or down after, and not the contrary."""
        return self._is_extremum(1)

    @property
    def is_minimum(self) -> NumpyArray:
        """Whether it goes down before or up after, and not the contrary."""
        return self._is_extremum(-1)

    def _is_extremum(self, sign: int) -> NumpyArray:
        before, after = self.before == sign, self.after == -sign
        no_contrary = (before | (self.before == _BREAK)) & (after | (self.after == _BREAK))
        return np.asarray(no_contrary & (before | after))

    @property
    def at_end(self) -> NumpyArray:
        """Whether the curve ends or breaks there, so that one side is unknown."""
        return np.asarray((self.before == _BREAK) | (self.after == _BREAK))

    @property
    def middle(self) -> NumpyArray:
        """The sample in the middle of the run, the left one of two."""
        return np.asarray((self.first + self.last) // 2)


def as_curves(y: Any, axis: Any) -> tuple[Array, int, Array]:
    """Return an array of real numbers, its axis, and its curves as rows of a 2-D array."""
    y = as_numbers(y)
    xp = namespace_of(y)
    (axis,) = parse_axes(parse_one_axis(axis), y.ndim)
    rows = xp.moveaxis(y, axis, -1)
    return y, axis, make_comparable(xp.reshape(rows, (math.prod(rows.shape[:-1]), y.shape[axis])))


def as_numbers(y: Any) -> Array:
    """Return an array of real numbers that are known, NaN where they are masked.

    Raises
    ------
    TypeError
        If the values are unknown yet, or if they are not real numbers.
    """
    y = as_field(y)
    refuse_sparse(y, "`f`", is_sliced=False)
    if array_api_compat.is_torch_array(y) and y.device.type == "meta":
        raise TypeError('`f` must have values; got a tensor on the device "meta", which has none.')
    is_lazy = row_of(y).is_lazy
    if is_lazy or is_tracer(y):
        raise TypeError(
            "`f` must have values: how many points there are depends on them; got "
            f"{f'a {library_of(y)} array, not computed yet' if is_lazy else 'a JAX tracer'}. "
            "Pass `f.compute()`, or call this outside of `jit`."
        )
    name = dtype_name(y.dtype)
    if name.startswith(("complex", "date", "time")):
        raise TypeError(
            f"`f` must be real numbers, which are greater or smaller; got dtype {name}. "
            "Pass a real part or a magnitude; for dates, numbers since one of them."
        )
    if is_unmasked_subclass(y):
        y = np.asarray(y)  # points are plain arrays
    if isinstance(y, np.ma.MaskedArray):
        return np.ma.filled(y.astype(np.result_type(y.dtype, np.float64)), np.nan)
    return np.asarray(y, np.float64) if name == "object" else y


def make_comparable(y: Array) -> Array:
    """Return numbers in a dtype that the library compares and takes entries of."""
    # PyTorch does neither with its wide unsigned integers.
    if array_api_compat.is_torch_array(y) and dtype_name(y.dtype) in ("uint16", "uint32", "uint64"):
        xp = namespace_of(y)
        return xp.astype(y, working_dtype(xp, y))
    return y


def as_single(y: Array) -> Array:
    """Return half precision as single precision, which is faster, and other numbers as they are."""
    if dtype_name(y.dtype) in HALF_PRECISION:
        xp = namespace_of(y)
        return xp.astype(y, xp.float32)
    return y


def encode_steps(xp: ModuleType, up: Array, down: Array, level: Array) -> Array:
    """Return 1 where it goes up, -1 where down, 0 where level, 2 where nobody knows."""
    # Beside a NaN none of the three holds, and 2 remains.
    up, down, level = (xp.astype(step, xp.int8) for step in (up, down, level))
    return 2 - 2 * level - up - 3 * down


Compare = Callable[[slice, int, int], Array]
"""Takes some curves, and a first and a last entry; returns the steps between these, encoded."""


def find_extrema(
    rows: Array, count: int, compare: Compare, keep: Callable[[Extrema], NumpyArray]
) -> Extrema:
    """Return the runs where steps change and that `keep` chooses, in the order of curves.

    Curves have `count` entries, samples or what lies between them. Some are compared at a time, so
    that what is made of them needs little memory.
    """
    chosen, open_run = [], None
    for block in _cut_into_blocks(rows, count):
        changes = _find_changes(compare, block, count)
        if open_run is not None:
            changes = _Changes(*map(np.concatenate, zip(open_run, changes, strict=True)))
        open_run = None
        if changes.after.size and changes.after[-1] == 0:  # it ends in another block
            open_run = _Changes(*(entries[-1:] for entries in changes))
            changes = _Changes(*(entries[:-1] for entries in changes))
        runs = _join_runs(changes)
        chosen.append(runs.select(keep(runs)))
    return Extrema(*(np.concatenate(entries) for entries in zip(*chosen, strict=True)))


class _Changes(NamedTuple):
    """Where one step differs from the next: the curve, the entry, the steps before and after."""

    curve: NumpyArray
    entry: NumpyArray
    before: NumpyArray
    after: NumpyArray


def _join_runs(changes: _Changes) -> Extrema:
    """Return runs of level entries: where it becomes level one begins, the next change ends it."""
    curve, entry, before, after = changes
    begins, goes_on = after == 0, before != 0
    ends = np.where(begins, np.roll(np.arange(curve.size), -1), np.arange(curve.size))
    return Extrema(curve, entry, entry[ends], before, after[ends]).select(goes_on)


class _CurveBlock(NamedTuple):
    """Some curves, and some of their entries."""

    curves: slice
    start: int
    stop: int


def _cut_into_blocks(rows: Array, count: int) -> Iterator[_CurveBlock]:
    """Yield blocks in the order of curves and entries."""
    curves = rows.shape[0]
    on_host = isinstance(rows, np.ndarray) or (
        array_api_compat.is_torch_array(rows) and rows.device.type == "cpu"
    )
    size = ON_HOST if on_host else ON_DEVICE
    width = max(1, size // max(count, 1))
    pieces = max(1, count // size)
    bounds = [count * i // pieces for i in range(pieces + 1)]
    for first in range(0, max(curves, 1), width):
        for start, stop in pairwise(bounds):
            yield _CurveBlock(slice(first, min(first + width, curves)), start, stop)


def _find_changes(compare: Compare, block: _CurveBlock, count: int) -> _Changes:
    curves, start, stop = block
    steps = compare(curves, max(start - 1, 0), min(stop + 1, count))
    xp = namespace_of(steps)
    outside = xp.full((steps.shape[0], 1), _BREAK, dtype=steps.dtype, **place_of(steps))
    pieces = [outside] * (start == 0) + [steps] + [outside] * (stop == count)
    padded = xp.concat(pieces, axis=1)
    curve, entry = (asnumpy(i) for i in xp.nonzero(padded[:, 1:] != padded[:, :-1]))
    places = curve * padded.shape[1] + entry
    before, after = gather(padded, places), gather(padded, places + 1)
    return _Changes(curve + curves.start, entry + start, before, after)


def gather(rows: Array, places: NumpyArray) -> NumpyArray:
    """Return entries of an array, numbered in C order, on the host."""
    # By one index: the array API has no indexing by several arrays.
    xp = namespace_of(rows)
    flat = xp.reshape(rows, (-1,))
    if not places.size:
        return asnumpy(flat[:0])
    return asnumpy(xp.take(flat, from_host(places.astype(np.int64), rows), axis=0))


def samples_around(rows: Array, extrema: Extrema, reach: range) -> list[NumpyArray]:
    """Return, for each extremum, the samples at distances in a range from the first of its run."""
    start = extrema.curve * rows.shape[1] + extrema.first
    return [as_wide(gather(rows, start + k)) for k in reach]


def as_wide(values: NumpyArray) -> NumpyArray:
    """Return a copy of values in double precision, or longer if they are."""
    return values.astype(np.result_type(values, np.float64))


def take_spacing(spacing: tuple[Any, ...], y: Array, axis: int) -> Any:
    """Return the one spacing along an axis: nothing, a number, or coordinates.

    Raises
    ------
    TypeError
        If there are several.
    """
    check_one_spacing(spacing)
    x = spacing[0] if spacing else None
    if is_library_array(x) or not are_dates(x):
        return x
    times = read_coordinates(x, "`spacing`")
    if times.ndim == 0 and times.dtype.kind == "m":
        return np.arange(y.shape[axis]) * times  # what lies between samples is a time, too
    return x if find_calendar_start(x) else times


class Coordinates(NamedTuple):
    """Where samples lie, as numbers on the host, and the way back to what the user gave."""

    x: NumpyArray
    restore: Callable[[NumpyArray], Any]
    restore_span: Callable[[NumpyArray], Any]


def locate_samples(x: Any, y: Array, axis: int) -> Coordinates:
    """Return the coordinates of the samples of `y`: its numbers of samples if there are none.

    Raises
    ------
    ValueError
        If they go both up and down, or for what `gradient` raises it.
    """
    give_back = partial(to_library, y=y)
    count = np.arange(y.shape[axis], dtype=np.float64)
    if x is None:
        return Coordinates(count, give_back, give_back)
    if is_library_array(x):
        if library_of(x) != library_of(y):
            parse_spacings((x,), (axis,), y)
        x = asnumpy(x)
    coordinates = read_coordinates(x, "`spacing`")
    if coordinates.ndim and coordinates.dtype.kind not in "mM":
        coordinates = read_numbers(coordinates, "`spacing`")
    if coordinates.ndim > 1:
        raise ValueError(
            "`spacing` must be a number or 1-D, the same for all curves; got shape "
            f"{coordinates.shape}. "
            "Look at curves with coordinates of their own one by one."
        )
    if coordinates.ndim == 1 and coordinates.dtype.kind in "iufmM":
        _check_monotonic(coordinates)
    are_dates = coordinates.ndim == 1 and coordinates.dtype.kind in "mM"
    # A unit of time that is fine enough for places between samples, and coarse enough to last.
    unit = _FINER.get(np.datetime_data(coordinates.dtype)[0], "ms") if are_dates else None
    spacing = parse_spacings((coordinates,), (axis,), y, unit)[0]
    if coordinates.ndim == 0:
        return Coordinates(count * spacing, give_back, give_back)
    if unit is None:
        return Coordinates(as_wide(coordinates), give_back, give_back)
    origin = coordinates[0].astype(f"{coordinates.dtype.kind}8[{unit}]")

    def as_span(values: NumpyArray) -> NumpyArray:
        return np.rint(values).astype(f"m8[{unit}]")

    # From the first date on: nanoseconds since 1970 have more digits than a float.
    relative = (coordinates - coordinates[0]) / np.ones((), f"m8[{unit}]")
    start = find_calendar_start(x)
    if start is not None:
        return Coordinates(relative, lambda values: start + as_span(values).astype("O"), as_span)
    return Coordinates(relative, lambda values: origin + as_span(values), as_span)


def _check_monotonic(x: NumpyArray) -> None:
    up, down = x[1:] > x[:-1], x[1:] < x[:-1]
    if up.any() and down.any():
        i = int(np.flatnonzero(up != up[0])[0])
        raise ValueError(
            f"`spacing` must go up throughout, or down; got {x[i]} and {x[i + 1]} at positions {i} "
            f"and {i + 1}, and the contrary before. Sort the samples by their coordinates."
        )


def to_library(values: NumpyArray, y: Array, dtype: Any = None) -> Array:
    """Return values on the host as an array like `y`, in this dtype or the widest there is."""
    xp = namespace_of(y)
    if values.dtype.kind in "iu":
        return from_host(values, y)
    if dtype is None and not isinstance(y, np.ndarray) and "float64" not in real_floats(xp, y):
        values = values.astype(np.float32)
    result = from_host(values, y)
    return result if dtype is None else xp.astype(result, dtype)


def check_prominence(prominence: Any) -> float | None:
    """Return `prominence` as a number, or None."""
    if prominence is None:
        return None
    least = as_prominence(prominence)
    if not least >= 0:
        raise ValueError(f"`prominence` must be 0 or more, in the unit of `f`; got {prominence}.")
    return least


def as_prominence(number: Any) -> float:
    """Return how far points are to stand out, as a float."""
    is_other = isinstance(number, (bool, str, list, tuple)) or hasattr(number, "mask")
    if not is_other and not getattr(number, "ndim", 0):
        with suppress(TypeError, ValueError):
            return float(number)
    raise TypeError(f"`prominence` must be a number; got {number!r}.")


def choose_prominent(
    row_of: Callable[[int], NumpyArray],
    extrema: Extrema,
    least: float | None,
    keep_nan: bool,
    per: float = 1.0,
) -> tuple[Extrema, NumpyArray | None]:
    """Return the extrema that stand out by `least`, and by how much; all where it is None.

    ``row_of(number)`` are the entries of a curve, on the host.
    Prominences are multiplied by `per`, which changes their unit. `keep_nan` keeps extrema whose
    prominence is not known.
    """
    if least is None:
        return extrema, None
    prominences = _find_prominences(row_of, extrema) * per
    chosen = (prominences >= least) | (keep_nan & np.isnan(prominences))
    return extrema.select(chosen), prominences[chosen]


def _find_prominences(row_of: Callable[[int], NumpyArray], extrema: Extrema) -> NumpyArray:
    """Return how far each extremum stands out, NaN where a side is unknown or it is none."""
    try:
        from scipy.signal import peak_prominences
    except ImportError as error:
        raise ImportError(
            f'`prominence` needs SciPy ({error}). To mend it: pip install "gpugrad[science]"'
        ) from error
    prominences = np.full(extrema.curve.size, np.nan)
    for sign, kind in ((1, extrema.is_maximum), (-1, extrema.is_minimum)):
        peaks = np.flatnonzero(kind & ~extrema.at_end)
        curves, starts = np.unique(extrema.curve[peaks], return_index=True)
        for curve, peaks_of_curve in zip(curves, np.split(peaks, starts)[1:], strict=True):
            row = sign * row_of(curve).astype(np.float64)
            prominences[peaks_of_curve] = peak_prominences(row, extrema.middle[peaks_of_curve])[0]
    return prominences
