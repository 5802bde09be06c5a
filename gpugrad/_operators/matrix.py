"""Operators as sparse matrices of SciPy, boundaries and all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, asnumpy
from gpugrad._operators.stages import (
    Stages,
    as_matrices,
    bring_home,
    bring_masks_home,
    is_selection,
)
from gpugrad._stencils import AxisPlan, find_results, rows_of


def load_scipy() -> Any:
    """Return `scipy.sparse`, or say how to get it."""
    try:
        import scipy.sparse
    except ImportError as error:
        raise ImportError('a matrix needs SciPy: run `pip install "gpugrad[science]"`.') from error
    return scipy.sparse


def make_matrix(program: Stages, shape: tuple[int, ...], format: str) -> Any:
    """Return the matrix of a program: fields, and results, below each other, raveled."""
    sparse = load_scipy()
    size, program = math.prod(shape), bring_masks_home(program)
    # By number, as in the program, of each array its blocks by input; None is the identity.
    matrices: list[dict[int, Any]] = [{i: None} for i in range(program.inputs)]
    for stage in program.stages:
        new_matrices = []
        for terms in stage:
            row: dict[int, Any] = {}
            for sign, field, plan, rows, _ in as_matrices(terms):
                factor = sign * _make_differences(plan, shape, rows)
                for i, block in matrices[field].items():
                    product = factor if block is None else factor @ block
                    row[i] = row[i] + product if i in row else product
            new_matrices.append(row)
        matrices += new_matrices
    empty_block = sparse.csr_array((size, size))
    blocks = [
        [matrices[number].get(i, empty_block) for i in range(program.inputs)]
        for number in program.results
    ]
    matrix = sparse.block_array(blocks, format="csr")
    matrix.eliminate_zeros()
    return matrix.asformat(format)


def make_offset(program: Stages, shape: tuple[int, ...]) -> NumpyArray:
    """Return what a program adds that does not depend on its fields, raveled as its results."""
    offsets, program = [np.zeros(shape)] * program.inputs, bring_masks_home(program)
    for stage in program.stages:  # no later stage reads an output with constants
        for terms in stage:
            total = np.zeros(shape)
            for sign, _, plan, rows, _ in as_matrices(terms):
                constants = _make_constants(plan, shape)
                total += sign * (
                    constants if rows is None else np.where(asnumpy(rows), constants, 0.0)
                )
            results = None if is_selection(stage) else find_results(terms)
            offsets.append(total if results is None else np.where(asnumpy(results), total, np.nan))
    return np.concatenate([offsets[number].ravel() for number in program.results])


def _make_differences(plan: AxisPlan, shape: tuple[int, ...], mask: Any) -> Any:
    """Return the matrix of one plan, or of its rows where the mask is true."""
    sparse = load_scipy()
    size = math.prod(shape)
    numbers = np.arange(size).reshape(shape)
    entries = []
    mask = None if mask is None else asnumpy(mask).ravel()
    for row, column, value in _list_entries(plan, numbers):
        picked = slice(None) if mask is None else mask[row.ravel()]
        arrays = (row, column, np.broadcast_to(value, row.shape))
        entries.append([array.ravel()[picked] for array in arrays])
    rows, columns, values = map(np.concatenate, zip(*entries, strict=True))
    return sparse.coo_array((values, (rows, columns)), shape=(size, size)).tocsr()


def _list_entries(plan: AxisPlan, numbers: NumpyArray) -> Iterator[tuple[NumpyArray, ...]]:
    """Yield rows, columns and values of entries, in arrays that broadcast together."""
    plan, axis = bring_home(plan), plan.axis
    for formula, start, stop in plan.regions(numbers.shape[axis]):
        rows = np.arange(start, stop)
        for offset, weight in zip(formula.offsets, formula.weights, strict=True):
            value = _align_weight(weight, axis, numbers.ndim)
            if formula.divisor is not None:
                value = value / _align_weight(formula.divisor, axis, numbers.ndim)
            yield numbers.take(rows, axis), numbers.take(rows + offset, axis), value


def _make_constants(plan: AxisPlan, shape: tuple[int, ...]) -> NumpyArray:
    plan, total = bring_home(plan), np.zeros(shape)
    for formula, start, stop in plan.regions(shape[plan.axis]):
        if formula.constant is not None:
            divisor = 1.0 if formula.divisor is None else formula.divisor
            total[rows_of(len(shape), plan.axis, start, stop)] = formula.constant / divisor
    return total


def _align_weight(w: Any, axis: int, ndim: int) -> NumpyArray:
    """Return a weight as float64, with as many axes as the field if it has any."""
    values: NumpyArray = np.asarray(w, dtype=np.float64)
    return values.reshape((-1,) + (1,) * (ndim - axis - 1)) if values.ndim == 1 else values
