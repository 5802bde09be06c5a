"""NumPy's subclasses, masked arrays above all: the slicing scheme by assignment, as NumPy does it.

`numpy.concatenate` forgets subclasses, and with them a mask; an array made like the field and
assigned to row by row keeps what the subclass keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, assign, result_dtype, working_dtype
from gpugrad._engines.slices import combine
from gpugrad._stencils import AxisPlan, Norm, Term, add_up, is_single


def unsupported(outputs: Sequence[Sequence[Term]]) -> str | None:
    """Say why these outputs need another engine, or return None."""
    for terms in outputs:
        for f in (term.field for term in terms):
            if not isinstance(f, np.ndarray):
                return (
                    f"it takes NumPy's arrays and their subclasses, and `f` is a {type(f).__name__}"
                )
    return None


def evaluate(
    outputs: Sequence[Sequence[Term]], out: Sequence[NumpyArray] | None = None
) -> tuple[NumpyArray, ...]:
    """Evaluate each output; `out` is written only after every field has been read."""
    results = tuple(_evaluate_one(terms) for terms in outputs)
    if out is None:
        return results
    assign(out, results)
    return tuple(out)


def _evaluate_one(terms: Sequence[Term]) -> NumpyArray:
    f = terms[0].field
    if is_single(terms):
        return _differentiate(f, terms[0].plan, result_dtype(np, f))
    # Each term is rounded to the working precision, what they make once more to the result's.
    parts = [_differentiate(term.field, term.plan, working_dtype(np, f)) for term in terms]
    signs = None if isinstance(terms, Norm) else [term.sign for term in terms]
    combined: NumpyArray = combine(f, parts, signs)
    return combined


def _differentiate(f: NumpyArray, plan: AxisPlan, dtype: Any) -> NumpyArray:
    working = working_dtype(np, f)
    samples = f.view(working) if f.dtype.kind == "M" else f.astype(working, copy=False)
    result = np.empty_like(samples, dtype=dtype)

    def at(rows: int | slice) -> tuple[int | slice, ...]:
        whole = slice(None)
        return (whole,) * plan.axis + (rows,) + (whole,) * (f.ndim - plan.axis - 1)

    def operand(w: Any, is_row: bool) -> Any:
        # Masked arrays promote Python numbers as float64: what came as float32 must stay so.
        if isinstance(w, float) and plan.dtype is not None:
            return plan.dtype.type(w)
        if getattr(w, "ndim", 0) > 1:
            return w.squeeze(plan.axis) if is_row else w
        if getattr(w, "ndim", 0):
            return w.reshape((1,) * plan.axis + (-1,) + (1,) * (f.ndim - plan.axis - 1))
        return w

    for (offsets, weights, divisor, constant), start, stop in plan.regions(f.shape[plan.axis]):
        # A single row is indexed, not sliced: of a 1-D array it is a scalar, promoted as one.
        rows: list[int | slice] = [
            start + k if stop - start == 1 else slice(start + k, stop + k) for k in (0, *offsets)
        ]
        is_row = stop - start == 1
        read = [samples[at(r)] for r in rows[1:]]
        if plan.dtype is not None and len({*map(type, weights)}) > 1:
            # Bare samples beside products have the precision of these.
            read = [part.astype(np.result_type(part, plan.dtype)) for part in read]
        total = add_up(read, [operand(w, is_row) for w in weights])
        if constant is not None:
            # Rounded as the sum is; objects take the number as it stands.
            dtype = total.real.dtype
            if getattr(constant, "ndim", 0):
                constant = operand(constant, is_row).astype(dtype)
            total = total + (constant if dtype.kind == "O" else dtype.type(constant))
        result[at(rows[0])] = total if divisor is None else total / operand(divisor, is_row)
    return result
