"""Masked arrays: their values by an engine for plain arrays, and their masks beside these.

A result is masked where a formula reads a masked sample. `numpy.ma` masks, too, what a division
makes of numbers that are not finite, or nearly not. One look at the samples tells that there can be
none, as of nearly all fields; else derivatives are made one by one, and looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, NumpyArray, assign, threads
from gpugrad._engines import numpy_subclasses
from gpugrad._engines.numpy_steps import Index
from gpugrad._engines.slices import evaluate_terms
from gpugrad._stencils import (
    AxisPlan,
    Formula,
    Norm,
    Outputs,
    Term,
    change_terms,
    distinct_fields,
    replace_fields,
    rows_of,
)

EvaluatePlain = Callable[[Outputs], Sequence[NumpyArray]]

HUGE = 2.0**1020
"""What `numpy.ma` takes for a division by nothing is four times that, or more."""

SINGLE = "efF"
"""The type codes of samples that are subtracted in single precision."""

_TOGETHER = 1 << 17
"""Samples that are looked at together: few enough for a processor's cache."""


class _MaskedRows(NamedTuple):
    """Rows of a field that share a formula: where they lie, what they read, and how it divides."""

    place: Index
    reads: list[Index]
    divides: bool
    """Whether `numpy.ma` looks at what the division makes."""
    divides_by_negative: bool
    """Whether it divides by a negative number."""


class _Facts(NamedTuple):
    """What is to be known of a plan for a field of some shape."""

    regions: list[_MaskedRows]
    divides: bool
    divides_by_negative: bool
    bounds: list[tuple[float, float, float]]
    """Of each formula how large weights are together, and a constant, and how small a divisor."""


def look_beneath(outputs: Outputs) -> Outputs | str:
    """Return outputs of plain arrays that have the values of masked ones, or why there are none."""
    plain = {}
    for f in distinct_fields(outputs):
        if type(f) is not np.ma.MaskedArray or not issubclass(np.memmap, f.baseclass):
            beneath = getattr(f, "baseclass", type(f)).__name__
            return f"it takes masked arrays of plain arrays, and `f` is of a {beneath}"
        plain[id(f)] = np.asarray(f)
    outputs = replace_fields(outputs, plain)
    f = outputs[0][0].field
    if f.dtype.kind == "c" and any(type(terms) is Norm for terms in outputs):
        return "it takes masked arrays of real numbers for a norm"
    if f.dtype.char in SINGLE:
        if f.ndim == 1 and any(term.plan.dtype is None for terms in outputs for term in terms):
            return (
                "it takes masked lines in single precision with spacings of NumPy, and one is a "
                "Python number"
            )
        outputs = change_terms(outputs, _strengthen)
    return outputs


def _strengthen(term: Term) -> Term:
    """Return a term in single precision whose numbers are in double precision, as in `numpy.ma`."""
    plan = term.plan
    if plan.dtype is not None:
        return term
    strong = plan.memo.get("in double precision")
    if strong is None:
        strong = plan._replace(dtype=np.dtype(np.float64), memo={})
        plan.memo["in double precision"] = strong
    return term._replace(plan=strong)


def evaluate(
    outputs: Outputs,
    out: Sequence[NumpyArray] | None = None,
    *,
    beneath: Outputs,
    evaluate_plain: EvaluatePlain,
) -> tuple[NumpyArray, ...]:
    """Evaluate each output; `out` is written only after every field has been read.

    `beneath` is what `look_beneath` has returned, for an engine that can `evaluate_plain` it.
    """
    results = evaluate_together(outputs, beneath, evaluate_plain)
    if results is None:
        return _evaluate_one_by_one(outputs, out, evaluate_plain)
    if out is None:
        return results
    assign(out, results)
    return tuple(out)


def evaluate_together(
    outputs: Outputs, beneath: Outputs, evaluate_plain: EvaluatePlain
) -> tuple[NumpyArray, ...] | None:
    """Return all results at once, or None where `numpy.ma` may mask or sign some otherwise."""
    sizes: dict[int, float] = {}
    # What lies beneath masks must not warn of what `numpy.ma` is silent about.
    with np.errstate(divide="ignore", invalid="ignore"):
        for terms, plain_terms in zip(outputs, beneath, strict=True):
            for term, (_, plain, plan, *_) in zip(terms, plain_terms, strict=True):
                size = sizes.get(id(plain))
                if size is None:
                    size = sizes[id(plain)] = _find_size(plain, np.ma.getmask(term.field))
                is_tame = _is_tame(plain, plan, size)
                if not is_tame or (term.sign == -1 and _may_change_zeros(plain, plan)):
                    return None
        plain_results = evaluate_plain(beneath)
        if any(map(_has_negative_zeros, plain_results)):
            return None
        return tuple(map(_mask, outputs, beneath, plain_results))


def _evaluate_one_by_one(
    outputs: Outputs, out: Sequence[NumpyArray] | None, evaluate_plain: EvaluatePlain
) -> tuple[NumpyArray, ...]:
    """Evaluate each derivative alone, and look at what its divisions have made."""
    with np.errstate(divide="ignore", invalid="ignore"):  # as in `evaluate_together`
        return evaluate_terms(partial(_differentiate_term, evaluate_plain), outputs, out)


def _may_change_zeros(f: NumpyArray, plan: AxisPlan) -> bool:
    """Tell whether some zeros of plain arrays may have another sign in `numpy.ma`.

    It adds nothing at all to what it has divided, zero times the dividend: `-0.0` stays only where
    this is `-0.0`, too.
    """
    facts = _find_facts(f, plan)
    return facts.divides_by_negative or (facts.divides and f.dtype.kind == "c")


def _has_negative_zeros(values: NumpyArray) -> bool:
    """Tell whether there are complex zeros whose signs only `numpy.ma` itself can tell."""
    if values.dtype.kind != "c":
        return False
    return any(bool(((part == 0) & np.signbit(part)).any()) for part in (values.real, values.imag))


def _differentiate_term(
    evaluate_plain: EvaluatePlain, xp: ModuleType, term: Term, dtype: Any
) -> Array:
    """Return the derivative of a term, masked where divisions leave the finite numbers."""
    term = term._replace(sign=1)
    beneath = look_beneath([[term]])
    (values,) = evaluate_plain(beneath)  # type: ignore[arg-type]
    result = _mask([term], beneath[0], values)  # type: ignore[arg-type]
    mask: Any = np.ma.getmask(result)
    lost = ~(np.abs(values) < (HUGE if values.dtype.char not in SINGLE else np.inf))
    if mask is not np.ma.nomask:
        lost &= ~mask
    is_lost = bool(lost.any())
    # Numbers that are rounded once more after the division do not tell what it has made.
    is_told = values.dtype.str[1:] == "f8" and not np.isfinite(values[lost]).any()
    if values.dtype != dtype or (is_lost and not is_told) or _has_negative_zeros(values):
        with np.errstate(all="ignore"):  # this pass has warned
            return numpy_subclasses.differentiate_term(xp, term, dtype)
    if is_lost:
        for place, _, divides, _ in _find_facts(values, term.plan).regions:
            if divides:
                mask[place] |= lost[place]
    return result


def _find_facts(f: NumpyArray, plan: AxisPlan) -> _Facts:
    """Return the facts of a plan for a field like `f`; they are kept with the plan."""
    n, key = f.shape[plan.axis], ("masked", f.shape[plan.axis], f.ndim)
    facts: _Facts | None = plan.memo.get(key)
    if facts is None:
        regions = []
        for formula, start, stop in plan.regions(n):
            place, *reads = [
                rows_of(f.ndim, plan.axis, start + k, stop + k) for k in (0, *formula.offsets)
            ]
            is_scalar = f.ndim == 1 and plan.is_end(start, stop, n)  # which is no masked array
            divides = formula.divisor is not None and not is_scalar
            is_negative = divides and bool((np.asarray(formula.divisor) < 0).any())
            regions.append(_MaskedRows(place, reads, divides, is_negative))
        bounds = [_find_bounds(formula) for formula, *_ in plan.regions(n)]
        divides, is_negative = (any(rows[i] for rows in regions) for i in (2, 3))
        facts = _Facts(regions, divides, is_negative, bounds)
        plan.memo[key] = facts
    return facts


def _find_bounds(formula: Formula) -> tuple[float, float, float]:
    def largest(w: Any) -> float:
        return 0.0 if w is None else float(np.abs(w).max())

    divisor = 1.0 if formula.divisor is None else float(np.abs(formula.divisor).min())
    return sum(map(largest, formula.weights)), largest(formula.constant), divisor


def _is_tame(f: NumpyArray, plan: AxisPlan, size: float) -> bool:
    """Tell whether samples up to a size give no division that is not finite, or nearly not."""
    most = HUGE if f.dtype.char not in SINGLE else 2.0**120
    for factor, constant, divisor in _find_facts(f, plan).bounds:
        total = size * factor + constant
        if not (total <= most and total <= HUGE * divisor):
            return False
    return True


def _mask(terms: Sequence[Term], beneath: Sequence[Term], values: NumpyArray) -> NumpyArray:
    """Return values of an output as a masked array like its field, with a mask of its own."""
    f = terms[0].field
    fields = [term.field for term in terms]
    masks = [np.ma.getmask(field) for field in fields]
    facts = [_find_facts(values, term.plan) for term in terms]
    for each in facts:
        for rows in each.regions:
            if rows.divides_by_negative:
                values[rows.place] += 0.0  # see `_may_change_zeros`
    result = values.view(np.ma.MaskedArray)
    result.__array_finalize__(f)  # fill value, hardness and attributes; a copy of the mask
    mask: Any = np.ma.getmask(result)
    if mask is np.ma.nomask:
        has_mask = any(other is not np.ma.nomask for other in masks)
        if not (has_mask or any(each.divides for each in facts) or type(terms) is Norm):
            return result
        result.mask = False
        mask = np.ma.getmask(result)
    # What one term reads is written over the copy, unless that is hard.
    is_new = len(terms) == 1 and not f.hardmask
    if len(terms) > 1 and not f.hardmask:
        mask[...] = False
    for other, each, field in zip(masks, facts, fields, strict=True):
        if other is not np.ma.nomask:
            if field.hardmask and field is not f:  # a derivative is masked where its field is
                np.logical_or(mask, other, mask)
            for place, reads, *_ in each.regions:
                target = mask[place]
                first = other[reads[0]] if is_new else target
                for read in reads[1 if is_new and len(reads) > 1 else 0 :]:
                    np.logical_or(first, other[read], target)
                    first = target
    return result


def _find_size(f: NumpyArray, mask: Any) -> float:
    """Return the largest magnitude of samples that are not masked; no number, or one beyond."""
    if not f.size:
        return 0.0
    if f.dtype.kind in "iu":
        return max(-float(np.iinfo(f.dtype).min), float(np.iinfo(f.dtype).max))
    if f.size <= _TOGETHER:
        return _largest(f, mask)
    slowest = max(range(f.ndim), key=lambda axis: abs(f.strides[axis]))
    n, sizes = f.shape[slowest], list[float]()
    rows = max(1, n * _TOGETHER // f.size)

    def look(starts: Sequence[int]) -> None:
        for start in starts:
            here = rows_of(f.ndim, slowest, start, start + rows)
            sizes.append(_largest(f[here], mask if mask is np.ma.nomask else mask[here]))

    threads.for_each_share(look, range(0, n, rows), threads.count())
    return float(np.max(sizes))


def _largest(values: NumpyArray, mask: Any) -> float:
    """Return the largest magnitude of some numbers, or twice that of a part; NaN of a NaN."""
    parts = (values.real, values.imag) if values.dtype.kind == "c" else (values,)
    size = 0.0
    for part in parts:
        high = float(np.maximum.reduce(part, axis=None))
        low = float(np.minimum.reduce(part, axis=None))
        size = max(size, high, -low) if high < HUGE and low > -HUGE else np.inf
    # A look without the mask is faster, and finds nothing in most fields.
    if not size < HUGE and mask is not np.ma.nomask:
        return _largest(np.where(mask, values.dtype.type(0), values), np.ma.nomask)
    return len(parts) * size
