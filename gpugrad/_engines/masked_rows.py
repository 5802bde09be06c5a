"""Derivatives beside masked samples: what every row has first, mended where that reads a hole.

A row takes the first of its ranked formulas that reads valid samples alone. Most rows take the
first of all. So this one is evaluated everywhere, as if nothing were masked, and the few results
that read a hole are picked and evaluated anew: those that take the same formula together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.numpy_steps import Index, Precision
from gpugrad._stencils import AxisPlan, Formula, Region, Term, add_up, rows_of

SHRINKS = 8
"""A list gets shorter once one in so many of its entries is done: to drop them costs, too."""

_WORD = 64


class RankedRows(NamedTuple):
    """Rows of an axis that have the same ranked formulas.

    Beside each formula is the first row that has it, which its weights begin with. `reach` are all
    offsets where samples matter; `needs` has for each formula the bits of those it needs, in words.
    """

    start: int
    stop: int
    ranked: tuple[tuple[Formula, int], ...]
    reach: tuple[int, ...]
    needs: tuple[tuple[int, ...], ...]


class _FlatArray(NamedTuple):
    """An array as one row of memory, and where its samples lie in there."""

    row: NumpyArray
    first: int
    strides: tuple[int, ...]

    def find(self, places: Sequence[NumpyArray]) -> NumpyArray:
        """Return where samples lie, of which there is one coordinate for each axis."""
        points = np.full(places[0].shape, self.first)
        for at, stride in zip(places, self.strides, strict=True):
            if stride:
                points += at * stride
        return points


def mend(term: Term, precision: Precision, piece: NumpyArray, place: Index | None) -> None:
    """Write what is beside masked samples to `piece`, and NaN where there is nothing.

    It has the derivative of the whole field, or of the box at `place`, as if nothing were masked.
    """
    _, f, plan, where, _ = term
    assert where is not None
    axis, box = plan.axis, place or tuple([slice(0, n) for n in f.shape])
    groups = group_rows(plan, f.shape[axis])
    if where[_find_reach(groups, box, axis)].all():
        return
    np.copyto(piece, _nan_of(piece.dtype), where=~where[box])
    flat = _flatten(f), _flatten(where)
    with np.errstate(all="ignore"):  # of formulas that read what is masked
        for rows in groups:
            start, stop = max(rows.start, box[axis].start), min(rows.stop, box[axis].stop)
            if start < stop:
                part = (*box[:axis], slice(start, stop), *box[axis + 1 :])
                here = rows_of(f.ndim, axis, start - box[axis].start, stop - box[axis].start)
                target, missing = piece[here], _find_missing(where, part, axis, rows)
                if missing[0].size:
                    places = [at + span.start for at, span in zip(missing, part, strict=True)]
                    mended = _evaluate_places(term, precision, piece.dtype, rows, places, *flat)
                    target[missing] = mended


def _nan_of(dtype: np.dtype[Any]) -> float | complex:
    """Return what a result is where no formula may be used."""
    return complex(np.nan, np.nan) if dtype.kind == "c" else np.nan


def _find_reach(groups: Sequence[RankedRows], box: Index, axis: int) -> Index:
    """Return the box that holds all that rows of a box read."""
    offsets = [k for rows in groups for k in (rows.reach[0], rows.reach[-1])]
    start, stop = box[axis].start + min(offsets), box[axis].stop + max(offsets)
    return (*box[:axis], slice(max(0, start), stop), *box[axis + 1 :])


def _find_missing(
    where: NumpyArray, box: Index, axis: int, rows: RankedRows
) -> tuple[NumpyArray, ...]:
    """Return where in a box samples are valid whose first formula reads a hole."""
    views = [where[_shift_rows(box, axis, k)] for k in rows.ranked[0][0].offsets if k]
    valid = where[box]
    is_open = views[0].copy() if views else np.ones(valid.shape, bool)
    for view in views[1:]:
        is_open &= view
    missing = valid > is_open
    # `nonzero` counts several axes up for every sample, and takes many times longer.
    return np.unravel_index(np.flatnonzero(missing), missing.shape)


def _shift_rows(box: Index, axis: int, offset: int) -> Index:
    rows = slice(box[axis].start + offset, box[axis].stop + offset)
    return (*box[:axis], rows, *box[axis + 1 :])


def _evaluate_places(
    term: Term,
    precision: Precision,
    dtype: np.dtype[Any],
    rows: RankedRows,
    places: Sequence[NumpyArray],
    flat: _FlatArray,
    where: _FlatArray,
) -> NumpyArray:
    """Return the results at some places, which have a coordinate for each axis of the field.

    The last two are the field and its mask.
    """
    axis = term.plan.axis
    points, words = flat.find(places), _list_valid(where, places, axis, rows.reach)
    results = np.full(len(points), _nan_of(dtype), dtype)
    left = np.arange(len(points))
    for (formula, first), needs in zip(rows.ranked[1:], rows.needs[1:], strict=True):
        is_open: Any = True
        for word, need in zip(words, needs, strict=True):
            bits = word.dtype.type(need)
            is_open = ((word & bits) == bits) & is_open
        found = np.flatnonzero(is_open)
        if not found.size:
            continue
        here = left[found]
        starts = points[here]
        samples = [flat.row[starts + k * flat.strides[axis]] for k in formula.offsets]
        weigh = _Weigher(axis, first, places, here)
        results[here] = _add_up(samples, formula, precision, weigh)
        if found.size == left.size:
            break
        for word in words:
            word[found] = 0  # these are done
        if SHRINKS * found.size > left.size:
            unfinished = np.flatnonzero(np.logical_or.reduce([word != 0 for word in words]))
            left, words = left[unfinished], [word[unfinished] for word in words]
    return results


class _Weigher(NamedTuple):
    """Picks from weights what some places have."""

    axis: int
    first: int
    places: Sequence[NumpyArray]
    here: NumpyArray

    def pick(self, w: Any, dtype: np.dtype[Any]) -> Any:
        if type(w) is int or w is None:
            return w
        w = np.asarray(w, dtype)
        if w.ndim == 0:
            return w
        axes = [self.axis] if w.ndim == 1 else range(w.ndim)
        return w[tuple([self._locate(axis, n) for axis, n in zip(axes, w.shape, strict=True)])]

    def _locate(self, axis: int, n: int) -> Any:
        if n == 1:
            return 0
        return self.places[axis][self.here] - (self.first if axis == self.axis else 0)


def _add_up(
    samples: Sequence[NumpyArray], formula: Formula, precision: Precision, weigh: _Weigher
) -> Any:
    """Return weighted sums of samples, rounded where all engines round."""
    weights = [weigh.pick(w, precision.weights) for w in formula.weights]
    is_mixed = precision.arithmetic != precision.working and len({*map(type, weights)}) > 1
    working = precision.arithmetic if is_mixed else precision.working
    total = add_up([sample.astype(working, copy=False) for sample in samples], weights)
    if formula.constant is not None:
        total = total + weigh.pick(formula.constant, precision.of_sum(formula.is_sum))
    divisor = weigh.pick(formula.divisor, precision.weights)
    return total if divisor is None else total / divisor


def _list_valid(
    where: _FlatArray, places: Sequence[NumpyArray], axis: int, reach: Sequence[int]
) -> list[NumpyArray]:
    """Return for each place which samples are valid that may be read, as bits of words."""
    points, words = where.find(places), []
    for i in range(0, len(reach), _WORD):
        offsets = reach[i : i + _WORD]
        dtype = np.min_scalar_type((1 << len(offsets)) - 1)
        word = np.zeros(len(points), dtype)
        for bit, k in enumerate(offsets):
            valid = where.row[points + k * where.strides[axis]]
            word |= np.left_shift(valid, bit, dtype=dtype, casting="unsafe")
        words.append(word)
    return words


def _flatten(array: NumpyArray) -> _FlatArray:
    """Return an array as one row of memory: its samples are picked fastest there."""
    unit = array.itemsize
    if any(stride % unit for stride in array.strides):  # a field of records
        unit = 1
    low = array[tuple([slice(None, None, -1 if stride < 0 else 1) for stride in array.strides])]
    strides = tuple([stride // unit for stride in array.strides])
    reach = [abs(stride) * (n - 1) for stride, n in zip(strides, array.shape, strict=True)]
    row = np.lib.stride_tricks.as_strided(low, (sum(reach) + 1,), (unit,), writeable=False)
    first = sum(r for r, stride in zip(reach, strides, strict=True) if stride < 0)
    return _FlatArray(row, first, strides)


def group_rows(plan: AxisPlan, n: int) -> list[RankedRows]:
    """Return the rows of an axis in groups of the same formulas; the plan remembers them."""
    key = "ranked rows", n
    groups: list[RankedRows] | None = plan.memo.get(key)
    if groups is None:
        regions = [[*ranked.regions(n)] for ranked in plan.ranked]
        cuts = sorted({row for each in regions for region in each for row in region[1:]})
        groups = plan.memo[key] = [
            _make_rows(start, stop, [*_find_formulas(regions, start)])
            for start, stop in pairwise(cuts)
        ]
    return groups


def _find_formulas(regions: Sequence[Sequence[Region]], row: int) -> Iterator[tuple[Formula, int]]:
    """Yield the ranked formulas of a row, and where each begins; not every plan has one."""
    for each in regions:
        formula, start, _ = next(region for region in each if row < region.stop)
        if formula.offsets:
            yield formula, start


def _make_rows(start: int, stop: int, ranked: Sequence[tuple[Formula, int]]) -> RankedRows:
    reach = sorted({k for formula, _ in ranked for k in formula.needs})
    needs = []
    for formula, _ in ranked:
        bits = sum(1 << reach.index(k) for k in formula.needs)
        words = range(0, len(reach), _WORD)
        needs.append(tuple([bits >> i & ((1 << _WORD) - 1) for i in words]))
    return RankedRows(start, stop, tuple(ranked), tuple(reach), tuple(needs))
