"""What the NumPy engine does for a block: which rows to read, which to write, in which dtypes.

A plan becomes steps, one for each of its regions, and a step is placed in a block as tuples of
slices. What does not change from call to call is kept with the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, result_dtype, working_dtype
from gpugrad._stencils import AxisPlan, Norm, Region, Term, cut_weight

Index = tuple[slice, ...]
_WHOLE = slice(None)

BFLOAT16 = np.dtype("V2")
"""The bits of PyTorch's bfloat16, which NumPy lacks."""


class Precision(NamedTuple):
    """The dtypes of a derivative: of its differences, its products, its result."""

    working: np.dtype[Any]
    arithmetic: np.dtype[Any]
    weights: np.dtype[Any]
    result: np.dtype[Any]

    def of_sum(self, is_sum: bool) -> np.dtype[Any]:
        """Return the real dtype of a sum of samples: bare ones (`is_sum`), or weighted ones."""
        return self.working.type().real.dtype if is_sum else self.weights


class Step(NamedTuple):
    """A formula on one stretch of rows of a field, its weights ready to multiply slices with."""

    start: int
    stop: int
    offsets: tuple[int, ...]
    weights: tuple[Any, ...]
    divisor: Any
    reciprocal: Any
    """What differences are multiplied by instead, with the bits of the quotient, or None."""
    constant: Any
    is_difference: bool
    """Whether it is ``(f[i + a] - f[i + b]) / divisor``, the form that most steps have."""
    is_three_products: bool
    """Whether it is ``a * f[i] + b * f[j] + c * f[k]``, the form of most others."""


class Placed(NamedTuple):
    """A step in a block: where to write in it, and what to read from the field.

    A row at an end is an integer index and has one axis less than the field.
    """

    target: Any
    samples: tuple[Any, ...]
    step: Step
    is_row: bool


def place_all(
    f: NumpyArray, plan: AxisPlan, precision: Precision, block: Index | None
) -> Iterable[Placed]:
    """Return the steps that fall into a block; what does not change is kept with the plan."""
    axis = plan.axis
    n = f.shape[axis]
    key = (n, f.ndim, f.dtype)
    known = plan.memo.get(key)
    if known is None:
        if len(plan.memo) >= 64:  # plans outlive calls, and fields of ever new lengths may come
            plan.forget_oldest()
        whole = (_WHOLE,) * axis + (slice(0, n),) + (_WHOLE,) * (f.ndim - axis - 1)
        # The ends come last: they overwrite what a step for all between may leave there.
        regions = sorted(plan.regions(n), key=lambda region: region.start - region.stop)
        steps = [_make_step(axis, f.ndim, region, precision) for region in regions]
        known = plan.memo[key] = [_place(step, axis, whole, is_whole=True) for step in steps]
    if block is None:
        return known
    rows = block[axis]
    return (
        _place(placed.step, axis, block)
        for placed in known
        if placed.step.start < rows.stop and rows.start < placed.step.stop
    )


def _make_step(axis: int, ndim: int, region: Region, precision: Precision) -> Step:
    (offsets, weights, divisor, constant), start, stop = region
    is_row = stop - start == 1

    def operand(w: Any, dtype: np.dtype[Any] = precision.weights) -> Any:
        if type(w) is int or w is None:
            return w
        if type(w) is float and is_row and ndim == 1:
            return dtype.type(w)  # beside a scalar ten times faster than a 0-d array
        w = np.asarray(w, dtype)
        if w.ndim == 0:
            return w
        if w.ndim > 1:
            return w.squeeze(axis) if is_row else w
        return w[0] if is_row else w.reshape((1,) * axis + (-1,) + (1,) * (ndim - axis - 1))

    operands = tuple([operand(w) for w in weights])
    is_sum, is_plain = region.formula.is_sum, constant is None
    return Step(
        start,
        stop,
        offsets,
        operands,
        operand(divisor),
        None if is_row or type(divisor) is not float else _find_reciprocal(divisor, precision),
        operand(constant, precision.of_sum(is_sum)),
        is_difference=is_plain and is_sum and weights == (1, -1) and divisor is not None,
        is_three_products=is_plain and len(operands) == 3 and int not in map(type, operands),
    )


def _place(step: Step, axis: int, block: Index, is_whole: bool = False) -> Placed:
    rows, before, after = block[axis], block[:axis], block[axis + 1 :]
    start, stop = step.start, step.stop
    low, high = max(start, rows.start), min(stop, rows.stop)
    is_row = stop - start == 1

    def move(shift: int) -> Any:
        return low + shift if is_row else slice(low + shift, high + shift)

    target = (_WHOLE,) * axis + (move(-rows.start),) + (_WHOLE,) * len(after)
    read = tuple([(*before, move(offset), *after) for offset in step.offsets])
    if not is_whole:  # new coordinates in each call feel this
        step = _cut_step(step, (*before, *after) if is_row else (*before, move(-start), *after))
    return Placed(target, read, step, is_row)


def _cut_step(step: Step, box: Index) -> Step:
    """Return the step with the weights of a box alone, which have as many axes as the box."""
    operands = (*step.weights, step.divisor, step.constant)
    if not any(getattr(w, "ndim", 0) for w in operands):
        return step
    *weights, divisor, constant = [cut_weight(w, box, 0) for w in operands]
    return step._replace(weights=tuple(weights), divisor=divisor, constant=constant)


@lru_cache(maxsize=256)
def find_precision(dtype: np.dtype[Any], spacing: np.dtype[Any] | None) -> Precision:
    """Return the dtypes for a field's dtype and for the one its spacing brings into promotion."""
    like = np.empty(0, np.float32 if dtype == BFLOAT16 else dtype)
    working = np.dtype(working_dtype(np, like))
    arithmetic = working if spacing is None else np.result_type(working, spacing)
    weights = np.empty(0, arithmetic).real.dtype
    result = dtype if dtype == BFLOAT16 else result_dtype(np, like)
    return Precision(working, arithmetic, weights, result)


def find_result(terms: Sequence[Term]) -> np.dtype[Any]:
    """Return the dtype of an output, which is real for a norm."""
    precision = find_precision(terms[0].field.dtype, None)
    if type(terms) is Norm and precision.result.kind == "c":
        return precision.weights
    return precision.result


@lru_cache(maxsize=256)
def _find_reciprocal(divisor: float, precision: Precision) -> Any:
    """Return the exact reciprocal of a number by which real differences are divided, or None.

    Complex numbers are divided in another way, and large products overflow under their own name.
    """
    if precision.working.kind != "f":
        return None
    reciprocal = exact_reciprocal(divisor, precision.weights)
    return None if reciprocal is None or abs(reciprocal) > 1 else np.asarray(reciprocal)


def exact_reciprocal(divisor: Any, dtype: np.dtype[Any]) -> Any:
    """Return the reciprocal of a number if it is exact, so that a product has a quotient's bits.

    That of a power of two is, unless it overflows. A multiplication takes a tenth of the time.
    None stands for no such reciprocal, or no number.
    """
    if divisor is None or np.ndim(divisor):
        return None
    value = dtype.type(divisor)
    with np.errstate(all="ignore"):
        reciprocal = 1 / value
    is_exact = np.isfinite(reciprocal) and abs(np.frexp(value)[0]) == 0.5
    return reciprocal if is_exact else None
