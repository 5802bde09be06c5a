"""Formulas on grids, evaluated slab by slab: what they need besides results is as large as a slab.

A slab is some rows of a field along an axis of its grid, some of its batches, or both. A
formula is written once, as for whole arrays. Where arrays can't be written to (traced, lazy or
differentiated ones), the one slab is the whole field.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import array_api_compat
import numpy as np
from numpy import multiply

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    NumpyArray,
    assign,
    check_out,
    deliver,
    dtype_name,
    is_differentiated,
    is_unmasked_subclass,
    memory,
    namespace_of,
    overlap_any,
    result_dtype,
    row_of,
    stack_results,
    working_dtype,
    wrap_like,
)
from gpugrad._arrays.memory import stand_in
from gpugrad._engines import evaluate
from gpugrad._engines.ready import ReadyCall, make_ready
from gpugrad._grids import is_masked, refuse_times
from gpugrad._operators.components import check_has_length
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import AxisPlan, Piece, Term, cut_plans, rows_of

ON_HOST, ON_DEVICE = 1 << 17, 1 << 22
"""Samples of a slab: few enough for a processor's cache, many enough to keep a GPU busy."""

LEAST_SLABS = 16
"""Slabs of a large field: a formula makes some ten arrays, which together must not be large."""

_WORKING = frozenset(np.dtype(name) for name in ("f4", "f8", "c8", "c16"))

_WIDE = frozenset((np.dtype("f8"), np.dtype("c16")))
"""Dtypes that no factor widens."""

Cut = Callable[[Array], Array]


class MainAxis(NamedTuple):
    """The axis of a field that is cut into slabs, with its length and its derivatives.

    `before` and `after` are the rows that continue the field beyond its ends, in order, turned
    half-way round the axis `across`: so a meridian goes on over a pole. The plans are for all rows,
    these included.
    """

    axis: int
    length: int
    plans: Mapping[Any, AxisPlan]
    before: Sequence[int] = ()
    after: Sequence[int] = ()
    across: int = 0

    def cut(self, bounds: Sequence[int]) -> list[Piece]:
        """Return what the rows between consecutive bounds need."""
        first, stop = len(self.before), len(self.before) + self.length
        whole = [*dict.fromkeys((0, *(first + i for i in bounds), stop + len(self.after)))]
        begin = whole.index(first + bounds[0])
        return cut_plans([*self.plans.values()], whole)[begin : begin + len(bounds) - 1]

    def pieces(self, bounds: Sequence[int]) -> list[Piece]:
        """Return what `cut` does; the first plan remembers it."""
        plans = [*self.plans.values()]
        known = plans[0].memo.get("slabs")
        if known is None or known[0] != bounds or not _are_same(known[1], plans):
            known = bounds, plans, self.cut(bounds)
            plans[0].memo["slabs"] = known
        remembered: list[Piece] = known[2]
        return remembered


def _are_same(plans: Sequence[AxisPlan], others: Sequence[AxisPlan]) -> bool:
    return len(plans) == len(others) and all(map(operator.is_, plans, others))


class Slab(NamedTuple):
    """Some rows of a field along the main axis, and what formulas need for them.

    `start` and `stop` count rows of the field, the piece counts those before it too. `batch` is
    an axis beside the grid, and the part of it. A slab that comes again is of NumPy's fields
    without masks: in `ready` are its calls that are ready for derivatives, with their plans. It may
    be all of these fields (`is_whole`).
    """

    main: MainAxis
    start: int
    stop: int
    piece: Piece
    batch: tuple[int, slice]
    backend: str | None
    ready: dict[Any, tuple[AxisPlan, ReadyCall]] | None = None
    is_whole: bool = False

    def cut(self, x: Array) -> Array:
        """Return the slab's own part of an array with the axes of the field, or with length 1."""
        return x if self.is_whole else x[self.index_of(x)]

    def index_of(self, x: Array, start: int | None = None, stop: int | None = None) -> Any:
        """Return the index of the slab's own part, or of other rows, of such an array."""
        rows = slice(self.start, self.stop) if start is None else slice(start, stop)
        index = [slice(None)] * x.ndim
        for axis, section in (self.batch, (self.main.axis, rows)):
            if x.shape[axis] != 1:
                index[axis] = section
        return tuple(index)

    def join(self, make: Callable[[Cut], Array], is_turned: bool = False) -> Array:
        """Return all samples that formulas read; ``make(cut)`` makes them of what `cut` cuts.

        Beyond a pole, what is turned with the meridian has the other sign: components of vectors.
        """
        axis, n, _, before, after, across = self.main
        if self.is_whole and not (before or after):
            return make(lambda x: x)
        sections = []

        def add(start: int, stop: int) -> None:
            sections.append(make(lambda x: x[self.index_of(x, start, stop)]))

        def add_turned(rows: Sequence[int]) -> None:
            for row in rows:
                add(row, row + 1)
                half = sections[-1].shape[across] // 2
                row_beyond = namespace_of(sections[-1]).roll(sections[-1], shift=half, axis=across)
                sections[-1] = -row_beyond if is_turned else row_beyond

        for low, high in self.piece.spans:
            first, stop = low - len(before), high - len(before)
            add_turned(before[low:high])
            if max(first, 0) < min(stop, n):
                add(max(first, 0), min(stop, n))
            add_turned(after[max(first - n, 0) : max(stop - n, 0)])
        return concatenate(sections, axis)

    def join_field(self, samples: MaskedFields, i: int = 0) -> tuple[Array, Array | None]:
        """Return all samples that formulas read of a field, and which of them are valid."""
        f, mask = samples.fields[i], samples.masks[i]
        where = None if mask is None else self.join(lambda cut: cut(mask))
        return self.join(lambda cut: as_working(cut(f))), where

    def own(self, joined: Array) -> Array:
        """Return the slab's own rows of what is as long as its joined samples."""
        if self.piece.start == 0 and self.piece.stop == joined.shape[self.main.axis]:
            return joined
        rows = rows_of(joined.ndim, self.main.axis, self.piece.start, self.piece.stop)
        return joined[rows]

    def along_main(self, samples: Array, name: Any, where: Array | None = None) -> Array:
        """Return a derivative of joined samples along the main axis, by the name of its plan."""
        plan = self.piece.plans[[*self.main.plans].index(name)]
        return self.own(self.differentiate(samples, plan, where))

    def differentiate(self, samples: Array, plan: AxisPlan, where: Array | None = None) -> Array:
        """Return a derivative along an axis that is not cut."""
        if self.ready is None:
            return evaluate([(Term(1, samples, plan, where),)], backend=self.backend)[0]
        # The plan is kept beside its call, so no other plan gets its `id`.
        key = id(plan), samples.shape, samples.dtype
        known = self.ready.get(key)
        if known is None:
            call = make_ready([(Term(1, 0, plan),)], samples)
            known = self.ready[key] = plan, call
        return known[1].call_single(samples)


def as_working(x: Array) -> Array:
    """Return samples in the dtype in which they are subtracted and multiplied."""
    if isinstance(x, np.ndarray) and x.dtype in _WORKING:
        return x
    name = dtype_name(x.dtype)
    if name in HALF_PRECISION or name.startswith(("int", "uint")):
        xp = np if isinstance(x, np.ndarray) else namespace_of(x)
        return x.astype(working_dtype(xp, x)) if xp is np else xp.astype(x, working_dtype(xp, x))
    return x


def scale(x: Array, factor: Any) -> Array:
    """Return an array times a factor, of which nobody else has the array: in place if that fits."""
    if type(x) is np.ndarray and x.dtype in _WIDE:
        return multiply(x, factor, x)
    return x * factor


def stand_for(f: Array) -> Array:
    """Return what has the shape and the library of a field, and not the memory of NumPy's."""
    return stand_in(f) if type(f) is np.ndarray else f


def concatenate(arrays: Sequence[Array], axis: int) -> Array:
    """Return arrays one after the other, with their masks."""
    if len(arrays) == 1:
        return arrays[0]
    # `numpy.concat` would lose masks.
    concat = np.ma.concatenate if is_masked(arrays[0]) else namespace_of(arrays[0]).concat
    return concat(arrays, axis=axis)


def evaluate_in_slabs(
    formula: Callable[[Slab], Sequence[Array]],
    samples: MaskedFields,
    main: MainAxis,
    grid_axes: Sequence[int],
    count: int,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
    is_norm: bool = False,
) -> Any:
    """Return the `count` results of a formula, in a tuple, in one array, or in `out`."""
    f = samples.fields[0]
    if is_norm:
        check_has_length(f)
    refuse_times(f, "on a grid, whose weights are fractions")
    targets = None if out is None else check_out(out, f, count, stack, is_norm)
    samples.check_masked(targets or ())
    if is_unmasked_subclass(f):  # formulas see plain arrays, results are of the class again
        samples.fields = [*map(np.asarray, samples.fields)]
    slabs = [*cut_into_slabs(samples.fields, main, grid_axes, backend)]
    if len(slabs) > 1 and targets is not None and _may_be_filled(targets, samples):
        results: Any = targets
        fill_slabs(results, slabs, formula)
    elif len(slabs) > 1:
        results = allocate(samples.fields[0], count, is_norm, stack and out is None)
        fill_slabs(results, slabs, formula)
    else:
        restore = row_of(f).restore_blocks
        results = formula(slabs[0])
        if restore is not None:  # rows that lie beyond poles, and at poles, have been joined
            results = [restore(result, samples.fields[0]) for result in results]
        results = deliver(results, samples.fields[0], None, stack and out is None, is_norm)
        if type(samples.fields[0]) is np.ndarray and isinstance(results, tuple):
            results = tuple([lay_as(samples.fields[0], result) for result in results])
    results = samples.mask(results, targets is None)
    if targets is None:
        is_one = stack or not isinstance(results, tuple)
        return wrap_like(f, results) if is_one else tuple([wrap_like(f, df) for df in results])
    if stack and is_masked(out):
        out[...] = stack_results(results)  # a slice of a masked array may keep its own mask
    elif results is not targets:
        assign(targets, results)
    return out if stack else tuple(targets)


def lay_as(f: NumpyArray, result: NumpyArray) -> NumpyArray:
    """Return a result in the memory order of a field."""
    if f.flags.c_contiguous and result.flags.c_contiguous:
        return result
    laid = np.empty_like(f, dtype=result.dtype)
    laid[...] = result
    return laid


def _may_be_filled(targets: Sequence[Array], samples: MaskedFields) -> bool:
    return not samples.are_masked_arrays and not overlap_any(targets, samples.arrays)


def fill_slabs(results: Sequence[Array], slabs: Sequence[Slab], formula: Any) -> None:
    """Write the results of a formula, slab by slab."""
    for slab in slabs:
        for target, result in zip(results, formula(slab), strict=True):
            # By index, as a view of a masked array may keep a mask of its own.
            if isinstance(target, np.ndarray):
                target[slab.index_of(target)] = result
            else:
                xp = namespace_of(target)
                target[slab.index_of(target)] = xp.astype(result, target.dtype, copy=False)


def allocate(f: Array, count: int, is_norm: bool, stack: bool) -> Any:
    """Return arrays for results, of the library of a field that may be written to."""
    xp = np if isinstance(f, np.ndarray) else namespace_of(f)
    dtype = result_dtype(xp, f, is_norm)
    if type(f) is np.ndarray:
        if stack:
            return memory.empty((count, *f.shape), dtype)
        return tuple([memory.empty_like(f, dtype) for _ in range(count)])
    if isinstance(f, np.ndarray):
        arrays = tuple([np.empty_like(f, dtype) for _ in range(count)])
        return stack_results(arrays) if stack else arrays
    arrays = tuple([xp.empty_like(f, dtype=dtype) for _ in range(count)])
    return stack_results(arrays) if stack else arrays


def cut_into_slabs(
    fields: Sequence[Array], main: MainAxis, grid_axes: Sequence[int], backend: str | None
) -> Iterator[Slab]:
    """Yield the slabs of fields."""
    f = fields[0]
    count = _count_slabs(fields)
    # Behind the grid, slabs would lie in pieces, and sums round a pole have other last bits.
    beside = range(min(grid_axes))
    batch = max(beside, key=lambda i: f.shape[i], default=main.axis)
    in_batch = min(count, f.shape[batch]) if beside else 1
    in_rows = min(math.ceil(count / max(in_batch, 1)), main.length)
    pieces = main.pieces(_find_bounds(main.length, in_rows))
    rows = [*pairwise(_find_bounds(main.length, in_rows))]
    for low, high in pairwise(_find_bounds(f.shape[batch], in_batch)) if beside else [(0, None)]:
        for (start, stop), piece in zip(rows, pieces, strict=True):
            yield Slab(main, start, stop, piece, (batch, slice(low, high)), backend)


def _find_bounds(length: int, count: int) -> list[int]:
    count = max(count, 1)
    return [length * i // count for i in range(count + 1)]


def _count_slabs(fields: Sequence[Array]) -> int:
    samples, size = int(math.prod(fields[0].shape)), _size_of_slabs(fields)
    count = math.ceil(samples / size)
    return max(count, LEAST_SLABS) if samples >= 4 * size else count


def _size_of_slabs(fields: Sequence[Array]) -> float:
    """Return how many samples a slab should have; infinity where there must be but one slab."""
    f = fields[0]
    if isinstance(f, np.ndarray):
        return ON_HOST if type(f) in (np.ndarray, np.ma.MaskedArray) else math.inf
    if array_api_compat.is_cupy_array(f):
        return ON_DEVICE
    if array_api_compat.is_torch_array(f) and not any(map(is_differentiated, fields)):
        return ON_HOST if f.device.type == "cpu" else ON_DEVICE
    return math.inf
