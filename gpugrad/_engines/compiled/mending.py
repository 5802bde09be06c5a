"""Results beside masked samples, picked by place, each by the first formula that is open to it.

Formulas are data here: one function serves all ranks, accuracies and spacings of a dtype. It takes
one result after the other, for the few that read a hole; all others are made in vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.masked_rows import FlatArray, RankedRows, evaluate_places, nan_of
from gpugrad._engines.numpy_steps import Precision
from gpugrad._stencils import Formula, Term

MOST_REACH = 62
"""Samples that may be within reach of a row: one bit for each in a word that has a sign."""

Table = tuple[NumpyArray, NumpyArray, NumpyArray, list[NumpyArray]]
"""A row for each formula, one for each of their samples, where these are, and their numbers."""


def evaluate_compiled(
    term: Term,
    precision: Precision,
    dtype: np.dtype[Any],
    rows: RankedRows,
    places: Sequence[NumpyArray],
    field: FlatArray,
    where: FlatArray,
) -> NumpyArray:
    """Return what `masked_rows.evaluate_places` does, by machine code for real numbers."""
    f, plan = term.field, term.plan
    is_one_precision = precision.working == precision.arithmetic == precision.result == dtype
    if (
        dtype.kind == "c"
        or not is_one_precision
        or f.dtype.newbyteorder("=") != f.dtype
        or len(rows.reach) > MOST_REACH
        or plan.varies_across
        or field.row.strides != (f.itemsize,)
    ):
        return evaluate_places(term, precision, dtype, rows, places, field, where)
    from gpugrad._engines.compiled.mender import compile_mender

    key = "mending", dtype.char, f.shape[plan.axis], rows.start
    table: Table | None = plan.memo.get(key)
    if table is None:
        table = plan.memo[key] = _make_table(rows, precision)
    formulas, samples, reach, _ = table
    points, numbers = field.find(places), places[plan.axis]
    is_laid_alike = field[1:] == where[1:]
    flags = points if is_laid_alike else where.find(places)
    results = np.full(len(points), nan_of(dtype), dtype)
    arrays = (field.row, where.row, points, flags, numbers, results, reach, formulas, samples)
    words = [array.__array_interface__["data"][0] for array in arrays]
    words += [field.strides[plan.axis], where.strides[plan.axis], len(reach), len(formulas)]
    layout = np.array(words)
    run = compile_mender(f.dtype.str[1:], dtype.str[1:])
    run(layout.__array_interface__["data"][0], 0, len(points))
    return results


def _make_table(rows: RankedRows, precision: Precision) -> Table:
    """Return the formulas of rows in words: addresses, and the bytes from one row to the next."""
    numbers: list[NumpyArray] = []

    def point(w: Any, first: int) -> tuple[int, int]:
        """Return where a number is for row 0, and how far away for the next one."""
        values = np.atleast_1d(np.ascontiguousarray(w, precision.weights))
        numbers.append(values)
        step = values.itemsize if values.size > 1 else 0
        return values.__array_interface__["data"][0] - first * step, step

    formulas: list[tuple[int, ...]] = []
    samples: list[tuple[int, ...]] = []
    for (formula, first), (need,) in zip(rows.ranked, rows.needs, strict=True):
        weights, divisor, constant = _spell_out(formula)
        formulas.append((
            need, len(samples), len(weights), *point(divisor, first), *point(constant, first),
        ))  # fmt: skip
        for k, w in zip(formula.offsets, weights, strict=True):
            samples.append((k, *point(w, first)))
    return np.array(formulas), np.array(samples), np.array(rows.reach), numbers


def _spell_out(formula: Formula) -> tuple[Sequence[Any], Any, Any]:
    """Return weights, a divisor and a constant, with numbers that change no bit where none are."""
    divisor = 1.0 if formula.divisor is None else formula.divisor
    constant = -0.0 if formula.constant is None else formula.constant
    return formula.weights, divisor, constant
