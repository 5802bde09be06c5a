"""NumPy's subclasses, dates and objects beneath masks: slicing by assignment, as NumPy does it.

`numpy.concatenate` forgets subclasses, and with them a mask; an array made like the field and
assigned to row by row keeps what the subclass keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, working_dtype
from gpugrad._engines.slices import evaluate_terms
from gpugrad._stencils import AxisPlan, Outputs, Region, Term, add_up, distinct_fields, rows_of

_TOGETHER = 1 << 17
"""Samples that are computed at a time: few enough for a processor's cache."""


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    for f in distinct_fields(outputs):
        if not isinstance(f, np.ndarray):
            return f"it takes NumPy's arrays and their subclasses, and `f` is a {type(f).__name__}"
    return None


def evaluate(outputs: Outputs, out: Sequence[NumpyArray] | None = None) -> tuple[NumpyArray, ...]:
    """Evaluate each output; `out` is written only after every field has been read."""
    return evaluate_terms(differentiate_term, outputs, out)


def differentiate_term(_: ModuleType, term: Term, dtype: Any) -> Any:
    """Return the derivative of a term, of the class of its field."""
    f, plan = term.field, term.plan
    working = working_dtype(np, f)
    samples = f.view(working) if f.dtype.kind == "M" else f.astype(working, copy=False)
    result = np.empty_like(samples, dtype=dtype)
    is_float, number, product = samples.dtype.kind in "fc", None, plan.dtype
    if plan.dtype is not None:
        number = (np.result_type(samples.real.dtype, plan.dtype) if is_float else plan.dtype).type
    elif is_float and f.ndim > 1 and isinstance(f, np.ma.MaskedArray):
        product = np.dtype(np.float64)  # which Python numbers bring to masked arrays

    # Rows at a time, as sums and quotients of all of them would be arrays beside the result.
    def at(rows: int | slice) -> Any:
        whole = slice(None)
        return (whole,) * plan.axis + (rows,) + (whole,) * (f.ndim - plan.axis - 1)

    def operand(w: Any, is_row: bool) -> Any:
        # Masked arrays promote Python numbers as float64: what came as float32 must stay so.
        if isinstance(w, float) and number is not None:
            return number(w)
        if getattr(w, "ndim", 0) > 1:
            return w.squeeze(plan.axis) if is_row else w
        if getattr(w, "ndim", 0):
            if is_row:  # an array of one would not stay a scalar, or add an axis
                return w[0]
            return w.reshape((1,) * plan.axis + (-1,) + (1,) * (f.ndim - plan.axis - 1))
        return w

    for (offsets, weights, divisor, constant), start, stop in _cut_regions(plan, f):
        # A row at an end is indexed, not sliced: of a 1-D array it is a scalar, promoted as one.
        # Division by it masks no NaN of a masked array.
        is_row = stop - start == 1 and plan.is_end(start, stop, f.shape[plan.axis])
        target, *rows = [
            at(start + k if is_row else slice(start + k, stop + k)) for k in (0, *offsets)
        ]
        read = [samples[index] for index in rows]
        if product is not None and len({*map(type, weights)}) > 1:
            # Bare samples beside products have the precision of these.
            read = [sample.astype(np.result_type(sample, product)) for sample in read]
        total = add_up(read, [operand(w, is_row) for w in weights])
        if constant is not None:
            # Rounded as the sum is; objects take the number as it stands.
            dtype = total.real.dtype
            if getattr(constant, "ndim", 0):
                constant = operand(constant, is_row).astype(dtype)
            total = total + (constant if dtype.kind == "O" else dtype.type(constant))
        result[target] = total if divisor is None else total / operand(divisor, is_row)
    return result


def _cut_regions(plan: AxisPlan, f: NumpyArray) -> Iterator[Region]:
    """Yield the regions of a plan, large ones in parts of few samples but more than one row."""
    n = f.shape[plan.axis]
    if f.size <= 2 * _TOGETHER or n < 4:
        yield from plan.regions(n)
        return
    rows = max(2, _TOGETHER * n // f.size)
    for formula, start, stop in plan.regions(n):
        bounds = [*range(start, stop - 1, rows), stop]
        for first, last in pairwise(bounds if stop - start > 1 else (start, stop)):
            box = rows_of(plan.axis + 1, plan.axis, first - start, last - start)
            yield Region(formula.cut(box, plan.axis), first, last)
