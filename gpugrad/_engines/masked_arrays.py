"""Masked arrays: their values by an engine for plain arrays, and their masks beside these.

A result is masked where a formula reads a masked sample. `numpy.ma` masks, too, what a division
makes of numbers that are not finite, or nearly not. One look at the samples tells that there can be
none, as of nearly all fields; else derivatives are made one by one, and looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from gpugrad._arrays import Array, NumpyArray, assign, threads
from gpugrad._engines import numpy_subclasses
from gpugrad._engines.numpy_steps import find_precision
from gpugrad._engines.slices import evaluate_terms
from gpugrad._stencils import (
    AxisPlan,
    Norm,
    Outputs,
    Term,
    change_terms,
    convert_fields,
    distinct_fields,
    rows_of,
)

EvaluatePlain = Callable[[Outputs], Sequence[NumpyArray]]

HUGE = 2.0**1020
"""What `numpy.ma` takes for a division by nothing is four times that, or more."""

_TOGETHER = 1 << 17
"""Samples that are looked at together: few enough for a processor's cache."""


def look_beneath(outputs: Outputs) -> Outputs | str:
    """Return outputs of plain arrays that have the values of masked ones, or why there are none."""
    for f in distinct_fields(outputs):
        if type(f) is not np.ma.MaskedArray or not issubclass(np.memmap, f.baseclass):
            return f"it takes plain and masked arrays, and `f` is a {type(f).__name__}"
    for terms in outputs:
        if type(terms) is Norm and terms[0].field.dtype.kind == "c":
            return "it takes masked arrays of real numbers for a norm"
        for term in terms:
            if _is_weak(term) and (term.field.ndim == 1 or _mixes_bare_samples(term.plan)):
                return "it takes masked lines in single precision with spacings of NumPy"
    return convert_fields(change_terms(outputs, _strengthen), np.asarray)


def _is_weak(term: Term) -> bool:
    """Tell whether the numbers of a plan would adapt to single precision: not in `numpy.ma`."""
    return term.plan.dtype is None and find_precision(term.field.dtype, None).weights == "f4"


def _mixes_bare_samples(plan: AxisPlan) -> bool:
    formulas = (*plan.lower, plan.interior, *plan.upper)
    return any({*map(type, f.weights[:2])} == {int} and not f.is_sum for f in formulas)


def _strengthen(term: Term) -> Term:
    """Return a term whose numbers have the precision that they have in `numpy.ma`."""
    if not _is_weak(term):
        return term
    memo = term.plan.memo
    plan = memo.get("in double precision")
    if plan is None:
        plan = term.plan._replace(dtype=np.dtype(np.float64), memo={})
        memo["in double precision"] = plan
    return term._replace(plan=plan)


def evaluate(
    outputs: Outputs, out: Sequence[NumpyArray] | None = None, *, evaluate_plain: EvaluatePlain
) -> tuple[NumpyArray, ...]:
    """Evaluate each output; `out` is written only after every field has been read."""
    plain = look_beneath(outputs)
    assert not isinstance(plain, str)
    sizes = {id(f): _find_size(f) for f in distinct_fields(outputs)}
    # What lies beneath masks must not warn of what `numpy.ma` is silent about.
    with np.errstate(divide="ignore", invalid="ignore"):
        if not all(_is_tame(term, sizes[id(term.field)]) for terms in outputs for term in terms):
            differentiate = partial(_differentiate_term, evaluate_plain)
            return evaluate_terms(differentiate, outputs, out)
        values = evaluate_plain(plain)
    results = tuple(map(_mask, outputs, values))
    if out is None:
        return results
    assign(out, results)
    return tuple(out)


def _differentiate_term(
    evaluate_plain: EvaluatePlain, xp: ModuleType, term: Term, dtype: Any
) -> Array:
    """Return the derivative of a term, masked where divisions leave the finite numbers."""
    term = term._replace(sign=1)
    plain = look_beneath([[term]])
    (values,) = evaluate_plain(plain)
    result = _mask([term], values)
    mask = np.ma.getmask(result)
    lost = ~(np.abs(values) < HUGE)
    if mask is not np.ma.nomask:
        lost &= ~mask
    if lost.any():
        # Numbers that are rounded once more after the division do not tell what it has made.
        is_told = find_precision(term.field.dtype, None).result == np.float64
        if values.dtype != dtype or not is_told or np.isfinite(values[lost]).any():
            return numpy_subclasses.differentiate_term(xp, term, dtype)
        for divides, rows, _ in _list_regions(term):
            if divides:
                mask[rows] |= lost[rows]
    return result.astype(dtype, copy=False)


def _list_regions(term: Term) -> list[tuple[bool, Any, list[Any]]]:
    """Return for each region whether `numpy.ma` divides, its index, and what its formula reads."""
    f, plan, regions = term.field, term.plan, []
    for formula, start, stop in plan.regions(f.shape[plan.axis]):
        rows, *reads = (
            rows_of(f.ndim, plan.axis, start + k, stop + k) for k in (0, *formula.offsets)
        )
        is_scalar = f.ndim == 1 and stop - start == 1  # which is no masked array
        regions.append((formula.divisor is not None and not is_scalar, rows, reads))
    return regions


def _mask(terms: Sequence[Term], values: NumpyArray) -> NumpyArray:
    """Return values of an output as a masked array like its field, with a mask of its own."""
    f = terms[0].field
    regions = [(np.ma.getmask(term.field), _list_regions(term)) for term in terms]
    result = values.view(np.ma.MaskedArray)
    result.__array_finalize__(f)  # fill value, hardness and attributes; a copy of the mask
    mask = np.ma.getmask(result)
    if mask is np.ma.nomask:
        has_mask = any(mask is not np.ma.nomask for mask, _ in regions)
        divides = any(divides for _, each in regions for divides, *_ in each)
        if not (has_mask or divides or type(terms) is Norm):
            return result
        result.mask = False
        mask = np.ma.getmask(result)
    elif not f.hardmask:
        mask[...] = False
    for other, each in regions:
        if other is not np.ma.nomask:
            for _, rows, reads in each:
                target = mask[rows]
                for read in reads:
                    np.logical_or(target, other[read], out=target)
    return result


def _find_size(f: NumpyArray) -> float:
    """Return the largest magnitude of samples that are not masked; no number, or one beyond."""
    if f.dtype.kind in "iu":
        return max(-float(np.iinfo(f.dtype).min), float(np.iinfo(f.dtype).max))
    plain, mask, sizes = np.asarray(f), np.ma.getmask(f), []
    slowest = max(range(f.ndim), key=lambda axis: abs(f.strides[axis]))
    n = f.shape[slowest]
    rows = max(1, n * _TOGETHER // max(1, f.size))

    def look(starts: Sequence[int]) -> None:
        for start in starts:
            here = rows_of(f.ndim, slowest, start, start + rows)
            size = _largest(plain[here])
            # A look without the mask is faster, and finds nothing in most fields.
            if not size < HUGE and mask is not np.ma.nomask:
                size = _largest(plain[here][~mask[here]])
            sizes.append(size)

    threads.for_each_share(look, range(0, n, rows), threads.count())
    return float(np.max(sizes, initial=0.0))


def _largest(values: NumpyArray) -> float:
    """Return the largest magnitude of some numbers, or of their parts twice; NaN of a NaN."""
    if not values.size:
        return 0.0
    if values.dtype.kind == "c":
        return 2 * float(np.maximum(_largest(values.real), _largest(values.imag)))
    return float(np.maximum(values.max(), -values.min()))


def _is_tame(term: Term, size: float) -> bool:
    """Tell whether no division can give what is not finite, or nearly not."""
    working = find_precision(term.field.dtype, None).weights
    most = min(HUGE, float(np.finfo(working).max) / 4)
    bounds = term.plan.memo.get("bounds")
    if bounds is None:
        plan = term.plan
        bounds = [_find_bounds(formula) for formula in (*plan.lower, plan.interior, *plan.upper)]
        plan.memo["bounds"] = bounds
    sums = [(size * factor + constant, divisor) for factor, constant, divisor in bounds]
    return all(total <= most and total <= HUGE * divisor for total, divisor in sums)


def _find_bounds(formula: Any) -> tuple[float, float, float]:
    """Return how large weights are together, and a constant, and how small a divisor."""

    def largest(w: Any) -> float:
        return 0.0 if w is None else float(np.abs(w).max())

    divisor = 1.0 if formula.divisor is None else float(np.abs(formula.divisor).min())
    return sum(map(largest, formula.weights)), largest(formula.constant), divisor
