"""Derivatives beside masked samples, mended by machine code: see `masked_rows`.

Formulas are data here: one function serves all ranks, accuracies and spacings of a dtype. It goes
through the mask eight samples at a time. Where one of them reads a hole, its result is made anew,
by the first formula that is open to it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines import masked_rows
from gpugrad._engines.compiled.tiles import order_axes
from gpugrad._engines.masked_rows import RankedRows, group_rows
from gpugrad._engines.numpy_steps import Index, Precision
from gpugrad._stencils import Formula, Term

MOST_REACH = 62
"""Samples that may be within reach of a row: one bit for each in a word that has a sign."""


class _FormulaTable(NamedTuple):
    """The formulas of some rows as words, and where these lie.

    There is a row for each formula, one for each of their samples, and the offsets within reach.
    """

    start: int
    stop: int
    words: tuple[int, ...]
    kept: tuple[Any, ...]


def mend(term: Term, precision: Precision, piece: NumpyArray, place: Index) -> None:
    """Write what `masked_rows.mend` does, by machine code for real numbers."""
    _, f, plan, where, _ = term
    assert where is not None
    groups = group_rows(plan, f.shape[plan.axis])
    is_one_precision = precision.working == precision.arithmetic == precision.result == piece.dtype
    if (
        piece.dtype.kind == "c"
        or not is_one_precision
        or not f.dtype.isnative
        or any(len(rows.reach) > MOST_REACH for rows in groups)
        or plan.varies_across
    ):
        masked_rows.mend(term, precision, piece, place)
        return
    from gpugrad._engines.compiled.mender import compile_mender

    key = "mending", piece.dtype.char, f.shape[plan.axis]
    tables: list[_FormulaTable] | None = plan.memo.get(key)
    if tables is None:
        tables = plan.memo[key] = [_make_table(rows, precision) for rows in groups]
    inner = max(reversed(order_axes(f)), key=lambda axis: f.shape[axis] > 1)
    lines = _list_lines((f, where, piece), place, plan.axis, inner)
    parts = _list_parts(tables, place, plan.axis, inner, len(lines))
    # Eight flags are read as one word, whose first byte has to be its lowest.
    is_packed = where.strides[inner] == 1 and sys.byteorder == "little"
    layout = np.array([
        _find_address(parts), _find_address(lines),
        *[array.strides[inner] for array in (f, where, piece)], int(inner == plan.axis),
        *[array.strides[plan.axis] for array in (f, where)], int(is_packed),
    ])  # fmt: skip
    run = compile_mender(f.dtype.str[1:], piece.dtype.str[1:])
    run(_find_address(layout), 0, len(parts))


def _find_address(array: NumpyArray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _list_lines(
    arrays: tuple[NumpyArray, NumpyArray, NumpyArray], box: Index, axis: int, inner: int
) -> NumpyArray:
    """Return for each line along `inner` where it begins in the arrays, and its row along `axis`.

    The last array has the box alone. Lines of one row come one after the other.
    """
    f, where, piece = arrays
    steps = np.array([
        (*strides, int(i == axis))
        for i, strides in enumerate(zip(f.strides, where.strides, piece.strides, strict=True))
    ])  # fmt: skip
    starts = np.array([span.start for span in box])
    lines: NumpyArray = (starts @ steps)[np.newaxis]
    lines[0, 2] = 0
    lines[0, :3] += [_find_address(array) for array in arrays]
    for i in sorted(range(f.ndim), key=lambda i: i != axis):
        if i != inner:
            along = np.arange(box[i].stop - box[i].start)[:, np.newaxis] * steps[i]
            lines = (lines[:, np.newaxis] + along).reshape(-1, 4)
    return lines


def _list_parts(
    tables: Sequence[_FormulaTable], box: Index, axis: int, inner: int, count: int
) -> NumpyArray:
    """Return for the rows of a box with the same formulas which lines, which samples, and these."""
    low, high = box[axis].start, box[axis].stop
    parts = []
    for table in tables:
        start, stop = max(table.start, low) - low, min(table.stop, high) - low
        if start < stop:
            each = count // (high - low)
            whole = (start * each, stop * each, 0, box[inner].stop - box[inner].start)
            parts.append(((0, count, start, stop) if axis == inner else whole) + table.words)
    return np.array(parts)


def _make_table(rows: RankedRows, precision: Precision) -> _FormulaTable:
    """Return the formulas of rows in words: addresses, and the bytes from one row to the next."""
    numbers: list[NumpyArray] = []

    def point(w: Any, first: int) -> tuple[int, int]:
        """Return where a number is for row 0, and how far away for the next one."""
        values = np.atleast_1d(np.ascontiguousarray(w, precision.weights))
        numbers.append(values)
        step = values.itemsize if values.size > 1 else 0
        return _find_address(values) - first * step, step

    formulas: list[tuple[int, ...]] = []
    samples: list[tuple[int, ...]] = []
    for (formula, first), (need,) in zip(rows.ranked, rows.needs, strict=True):
        weights, divisor, constant = _spell_out(formula)
        formulas.append((
            need, len(samples), len(weights), *point(divisor, first), *point(constant, first),
        ))  # fmt: skip
        for k, w in zip(formula.offsets, weights, strict=True):
            samples.append((k, *point(w, first)))
    tables = np.array(rows.reach), np.array(formulas), np.array(samples)
    reach, ranked, read = map(_find_address, tables)
    words = reach, len(rows.reach), ranked, len(formulas), read
    return _FormulaTable(rows.start, rows.stop, words, (tables, numbers))


def _spell_out(formula: Formula) -> tuple[Sequence[Any], Any, Any]:
    """Return weights, a divisor and a constant, with numbers that change no bit where none are."""
    divisor = 1.0 if formula.divisor is None else formula.divisor
    constant = -0.0 if formula.constant is None else formula.constant
    return formula.weights, divisor, constant
