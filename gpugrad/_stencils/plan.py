"""A derivative along an axis as data: which samples, which weights, which divisor, row by row.

An engine reads plans and knows nothing of boundaries, spacings or NumPy's habits; whatever
distinguishes one derivative from another is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array


class Formula(NamedTuple):
    """``(sum_k weights[k] * f[i + offsets[k]] + constant) / divisor``, summed from left to right.

    A weight, and the divisor, is a number, a 1-D array with one entry per row, or an array with
    the field's axes, of length 1 where it does not vary. A divisor of None means 1. The integer
    weights 1 and -1 (the only integers) add and subtract, without a multiplication. The constant,
    a number or None, is what a boundary adds that does not depend on the field; it is rounded to
    the precision of the sum.
    """

    offsets: tuple[int, ...]
    weights: tuple[Any, ...]
    divisor: Any = None
    constant: Any = None

    @property
    def is_sum(self) -> bool:
        """Whether samples are only added and subtracted, which needs no weights' precision."""
        return all(type(w) is int for w in self.weights)

    @property
    def needs(self) -> tuple[int, ...]:
        """Where samples must be valid for the formula to be used: where it reads, and the row."""
        return tuple(dict.fromkeys((*self.offsets, 0)))

    @property
    def operands(self) -> tuple[Any, ...]:
        """The weights, the divisor and the constant: whatever may differ from row to row."""
        return (*self.weights, self.divisor, self.constant)

    def cut(self, box: Sequence[slice], axis: int) -> Formula:
        """Return the formula with the weights of a box alone; `box` is as in `cut_weight`."""
        if not any(getattr(w, "ndim", 0) for w in self.operands):
            return self
        *weights, divisor, constant = [cut_weight(w, box, axis) for w in self.operands]
        return Formula(self.offsets, tuple(weights), divisor, constant)


NO_FORMULA = Formula((), ())
"""What a row of an alternative plan has where there is none: it is left to others."""


class Region(NamedTuple):
    """Consecutive rows of one axis that share a formula."""

    formula: Formula
    start: int
    stop: int


_MADE_BY = "made by"


class AxisPlan(NamedTuple):
    """The derivative along one axis: a formula for each row at the ends, one for all between.

    `dtype` is the NumPy dtype that the spacing brings into NumPy's type promotion, or None for
    a Python number, which adapts to the field, and for weights in the field's own library;
    `on_host` says that no weight is such an array. In `memo` an engine keeps what it has derived
    from the plan and wants to find again.

    `alternatives` are other plans of the same derivative, for masked fields: a row takes the
    first of all these plans, this one to begin with, of which it reads valid samples only.
    """

    axis: int
    lower: tuple[Formula, ...]
    interior: Formula
    upper: tuple[Formula, ...]
    dtype: np.dtype[Any] | None
    on_host: bool
    memo: dict[Any, Any]
    alternatives: tuple[AxisPlan, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the plan without what engines have derived from it."""
        return AxisPlan, (*self._replace(memo={}),)

    @property
    def ranked(self) -> tuple[AxisPlan, ...]:
        """All plans among which a row chooses, in order of preference: this one, alternatives."""
        return self, *self.alternatives

    @property
    def varies_across(self) -> bool:
        """Whether weights differ from line to line: some engines take none that do."""
        weight, divisor = self.interior.weights[0], self.interior.divisor
        return getattr(weight, "ndim", 0) > 1 or getattr(divisor, "ndim", 0) > 1

    def is_end(self, start: int, stop: int, n: int) -> bool:
        """Tell whether a region of an axis of `n` samples is a row at an end.

        There NumPy indexes: a row of a 1-D array is a scalar. Inside it slices, a single row too.
        """
        return start < len(self.lower) or stop > n - len(self.upper)

    def change_formulas(self, change: Callable[[Formula], Formula]) -> AxisPlan:
        """Return the plan with each of its formulas changed, and likewise its alternatives."""
        return self._replace(
            lower=tuple(map(change, self.lower)),
            interior=change(self.interior),
            upper=tuple(map(change, self.upper)),
            memo={},
            alternatives=tuple([plan.change_formulas(change) for plan in self.alternatives]),
        )

    def forget_oldest(self) -> None:
        """Drop what an engine has kept for longest."""
        oldest = next(key for key in [*self.memo] if key != _MADE_BY)
        self.memo.pop(oldest, None)  # another thread may have dropped it, too

    def regions(self, n: int) -> Iterator[Region]:
        """Cut an axis of `n` samples into regions, in order; none is empty."""
        first, last = len(self.lower), n - len(self.upper)
        for i, formula in enumerate(self.lower):
            yield Region(formula, i, i + 1)
        if first < last:
            yield Region(self.interior, first, last)
        for i, formula in enumerate(self.upper, start=last):
            yield Region(formula, i, i + 1)


IDENTITY = AxisPlan(0, (), Formula((0,), (1,)), (), None, True, {})
"""The field as it is, for sums of what has been differentiated."""


class Steps:
    """The distances between uneven samples on the host, and the plans made of them.

    A 1-D array, or one with the field's axes where lines differ.
    """

    __slots__ = ("is_not_monotonic", "plans", "values")

    def __init__(self, values: np.ndarray[Any, Any], is_not_monotonic: bool) -> None:
        self.values = values
        self.is_not_monotonic = is_not_monotonic
        self.plans: dict[Any, AxisPlan] = {}


def plan_once(make: Callable[..., AxisPlan], spacing: Any, key: tuple[Any, ...]) -> AxisPlan:
    """Return ``make(spacing, *key)``, a plan that is made once for a spacing and a key.

    The one memory of plans, for all schemes. Engines keep with a plan what they derive from it, so
    it spares their work too. Plans for `Steps` live as long as these: their weights may be many.
    Spacings whose values are not read (on a device, lazy, traced) are not remembered.
    """
    # A plan of coordinates has weights for each row: it dies with its coordinates, where a bound by
    # number would keep a thousand of them.
    if type(spacing) is Steps:
        plan = spacing.plans.get((make, key))
        if plan is None:
            plan = spacing.plans[make, key] = _make(make, spacing, key)
        return plan
    if isinstance(spacing, (float, np.generic)):
        return _plan_for_number(make, spacing, key)
    return make(spacing, *key)


def _make(make: Callable[..., AxisPlan], spacing: Any, key: tuple[Any, ...]) -> AxisPlan:
    plan = make(spacing, *key)
    plan.memo[_MADE_BY] = make, key
    return plan


_plan_for_number = lru_cache(maxsize=1024, typed=True)(_make)


def find_maker(plan: AxisPlan) -> tuple[Callable[..., AxisPlan], tuple[Any, ...]]:
    """Return by what `plan_once` has made a plan: a function, and the key beside the spacing."""
    maker: tuple[Callable[..., AxisPlan], tuple[Any, ...]] = plan.memo[_MADE_BY]
    return maker


def list_formulas(plan: AxisPlan) -> tuple[Formula, ...]:
    """Return the formulas of a plan, from row to row."""
    return *plan.lower, plan.interior, *plan.upper


class Seam(NamedTuple):
    """Rows of a field, along the axis of a plan, that read samples of other arrays.

    Rows `start` to `stop` have the formula that `plan` has between its ends. `samples` has an array
    for each offset of the formula, whose first row is what the first of these rows reads, or None
    where that offset stays within the field.
    """

    plan: AxisPlan
    start: int
    stop: int
    samples: tuple[Array | None, ...]

    @property
    def region(self) -> Region:
        """The rows and their formula."""
        return Region(self.plan.interior, self.start, self.stop)


class Term(NamedTuple):
    """One field differentiated along one axis, added (+1) to an output or subtracted (-1).

    `where` is a boolean array of the shape of the field, false where it is masked, or None. What
    `seams` say of a row goes before what the plan says; few engines take terms that have any.
    """

    sign: int
    field: Array
    plan: AxisPlan
    where: Array | None = None
    seams: tuple[Seam, ...] = ()


def rows_of(ndim: int, axis: int, start: int | None, stop: int | None) -> tuple[slice, ...]:
    """Return the index of some rows along one axis."""
    whole = slice(None)
    return (whole,) * axis + (slice(start, stop),) + (whole,) * (ndim - axis - 1)


def cut_weight(w: Any, box: Sequence[slice], axis: int) -> Any:
    """Return what a weight (or a divisor, or a constant) has for a box of a field, as a view.

    `box` has a slice for each axis of the field, or for the first of them up to `axis`. A weight
    with one axis has a number for each row along `axis`. Where weights do not vary, they have a
    length of 1, and keep it.
    """
    ndim = getattr(w, "ndim", 0)
    if ndim == 0:
        return w
    own = zip(w.shape, box[axis : axis + 1] if ndim == 1 else box, strict=False)
    return w[tuple([slice(None) if n == 1 else rows for n, rows in own])]


Outputs = Sequence[Sequence[Term]]
"""What engines evaluate: each output is a sum of terms, or their `Norm`."""


class Norm(tuple[Term, ...]):
    """An output that is the root of the sum of its terms' squared magnitudes, not their sum.

    Signs mean nothing here. Each derivative is rounded to the working precision and squared, a
    complex one as ``re * re + im * im``; the squares are added from left to right, each step
    rounded. The result is real.
    """

    __slots__ = ()


def is_single(terms: Sequence[Term]) -> bool:
    """Tell whether an output is a derivative as it stands, which is rounded but once."""
    return len(terms) == 1 and terms[0].sign == 1 and type(terms) is not Norm


def change_terms(outputs: Any, change: Callable[[Term], Term]) -> list[tuple[Term, ...]]:
    """Return outputs with each term changed; a norm stays a norm."""
    return [(Norm if type(terms) is Norm else tuple)(map(change, terms)) for terms in outputs]


def bind_fields(outputs: Any, fields: Any) -> list[tuple[Term, ...]]:
    """Return outputs with fields in place of their numbers."""
    return change_terms(outputs, lambda term: term._replace(field=fields[term.field]))


def convert_fields(outputs: Outputs, convert: Callable[[Array], Array]) -> Outputs:
    """Return outputs over converted fields, each of them converted once."""
    return replace_fields(outputs, {id(f): convert(f) for f in distinct_fields(outputs)})


def replace_fields(outputs: Outputs, fields: Mapping[int, Array]) -> list[tuple[Term, ...]]:
    """Return outputs over other fields, each found by the `id` of the one it stands for.

    Masks are replaced likewise, where there is something to stand for them.
    """

    def replace(term: Term) -> Term:
        where = fields.get(id(term.where), term.where)
        return term._replace(field=fields[id(term.field)], where=where)

    return change_terms(outputs, replace)


def distinct_fields(outputs: Outputs) -> list[Array]:
    """Return the fields of all terms, each once."""
    return [*{id(term.field): term.field for terms in outputs for term in terms}.values()]


def distinct_masks(outputs: Outputs) -> list[Array]:
    """Return the masks of all terms, each once."""
    masks = (term.where for terms in outputs for term in terms)
    return [*{id(where): where for where in masks if where is not None}.values()]


def distinct_arrays(outputs: Outputs) -> list[Array]:
    """Return all arrays of a caller's that terms read: fields, masks, what lies beyond seams.

    Weights are not among them: whatever the coordinates, the package has computed them.
    """
    seams = (seam for terms in outputs for term in terms for seam in term.seams)
    beyond = {id(array): array for seam in seams for array in seam.samples if array is not None}
    return [*distinct_fields(outputs), *distinct_masks(outputs), *beyond.values()]


def describe_outputs(outputs: Outputs, arrays: Sequence[Array]) -> Hashable:
    """Return what a program for outputs depends on, but for plans and the addresses of arrays.

    `arrays` are all that it reads and writes, but for weights.
    """
    number = {id(array): i for i, array in enumerate(arrays)}
    return (
        tuple([(a.shape, a.strides, a.dtype) for a in arrays]),
        tuple([
            (isinstance(terms, Norm), *[
                (
                    sign,
                    number[id(f)],
                    number.get(id(where)),
                    *[
                        (start, stop, *[number.get(id(array)) for array in samples])
                        for _, start, stop, samples in seams
                    ],
                )
                for sign, f, _, where, seams in terms
            ])
            for terms in outputs
        ]),
    )  # fmt: skip


def add_up(samples: Sequence[Array], weights: Sequence[Any]) -> Array:
    """Return the sum of samples times weights, from left to right, with operators alone."""
    total = None
    for sample, weight in zip(samples, weights, strict=True):
        signed = type(weight) is int
        product = sample if signed else weight * sample
        if total is None:
            total = -product if signed and weight == -1 else product
        else:
            total = total - product if signed and weight == -1 else total + product
    return total
