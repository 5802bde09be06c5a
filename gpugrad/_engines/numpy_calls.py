"""Calls of the NumPy engine that are ready: of small fields, which feel every microsecond.

Such a call is a list of steps in which all is decided but the numbers: where to read, where to
write, how to combine. Another spacing changes numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy import add, divide, multiply, subtract

from gpugrad._arrays import NumpyArray
from gpugrad._engines import numpy_blocks
from gpugrad._engines.numpy_blocks import add_up_in_place
from gpugrad._engines.numpy_steps import exact_reciprocal, find_precision, find_result, place_all
from gpugrad._stencils import Formula, Norm, Outputs, Term, add_up, change_terms, is_single

_AS_THEY_ARE = frozenset(np.dtype(name) for name in ("f4", "f8", "c8", "c16"))

_DIFFERENCE, _SUM, _ROW_DIFFERENCE, _ROW_SUM, _PRODUCT, _THREE_PRODUCTS = range(6)
"""Kinds of steps: the difference of two samples, or a weighted sum; of many rows, or of one.

A product is a difference of many rows whose divisor has an exact reciprocal. Three products are a
weighted sum of many rows that most coordinates have.
"""

_Step = tuple[int, Any, tuple[Any, ...], tuple[Any, ...], Any, Any]
"""The kind, where to write, what to read, the weights, the divisor, the constant."""


class _FormulaOfStep(NamedTuple):
    """Which formula of a plan a step has, counted along the axis; what lays out its weights."""

    number: int
    offsets: tuple[int, ...]
    lay: Callable[[NumpyArray], Any]


class _SmallTerm(NamedTuple):
    """A term of a sum: its sign, the number of its field, its steps, and where these are from."""

    sign: int
    field: int
    steps: list[_Step]
    sources: list[_FormulaOfStep]


class SmallCall:
    """Outputs of small fields of one shape and dtype, ready for any spacing.

    Parameters
    ----------
    outputs : sequence of terms
        The fields of terms are numbers: their places among the fields of a call.
    f : array
        A field of this shape and dtype.
    """

    def __init__(self, outputs: Outputs, f: NumpyArray) -> None:
        self.converted = None if f.dtype in _AS_THEY_ARE else find_precision(f.dtype, None).working
        like = f if self.converted is None else np.empty(f.shape, self.converted)
        whole = change_terms(outputs, lambda term: term._replace(field=f))
        self.outputs = [
            (
                find_result(terms),
                type(terms) is Norm,
                is_single(terms),
                [_find_small_term(term, like) for term in numbered],
            )
            for numbered, terms in zip(outputs, whole, strict=True)
        ]

    def count_from_ends(self, shape: tuple[int, ...]) -> SmallCall:
        """Return this call of fields of a shape for others, as long as ends do not meet."""
        call = copy(self)
        call.outputs = [
            (dtype, is_norm, is_bare, [
                term._replace(steps=[_count_from_ends(step, shape) for step in term.steps])
                for term in terms
            ])
            for dtype, is_norm, is_bare, terms in self.outputs
        ]  # fmt: skip
        return call

    def bind(self, powers: Sequence[float] | None) -> BoundCall:
        """Return the call for spacings, given as ``h**order`` for each term; None: as planned."""
        bound = []
        left = iter(powers or ())
        for dtype, is_norm, is_bare, derivatives in self.outputs:
            terms = []
            for sign, field, steps, _ in derivatives:
                if powers is not None:
                    power = next(left)
                    steps = [_stretch(step, power) for step in steps]
                terms.append((sign, field, steps))
            bound.append((dtype, is_norm, is_bare, terms))
        return BoundCall(bound, self.converted)

    def bind_formulas(self, formulas: Sequence[Sequence[Formula]]) -> BoundCall | None:
        """Return the call for other formulas of each term, from row to row; None: steps differ."""
        bound, left = [], iter(formulas)
        for dtype, is_norm, is_bare, derivatives in self.outputs:
            terms = []
            for sign, field, steps, sources in derivatives:
                of_term = next(left)
                if len(of_term) != len(steps):
                    return None
                replaced = []
                for (kind, to, samples, _, known, _), source in zip(steps, sources, strict=True):
                    number, expected, lay = source
                    offsets, weights, divisor, constant = of_term[number]
                    if offsets != expected or (divisor is None) != (known is None):
                        return None
                    if type(weights[-1]) is np.ndarray:
                        weights = tuple([lay(w) for w in weights])
                        divisor = divisor if divisor is None else lay(divisor)
                    replaced.append((kind, to, samples, weights, divisor, constant))
                terms.append((sign, field, replaced))
            bound.append((dtype, is_norm, is_bare, terms))
        return BoundCall(bound, self.converted)


def is_small(outputs: Outputs) -> bool:
    """Tell whether outputs are for a `SmallCall`: plain fields, whose values are all valid."""
    f = outputs[0][0].field
    return (
        0 < f.size < numpy_blocks.FLAT_SIZE
        and f.nbytes <= numpy_blocks.WHOLE_BYTES
        and (f.dtype in _AS_THEY_ARE or f.dtype.kind in "iu")
        and numpy_blocks.unsupported(outputs) is None
        and all(term.where is None and not term.seams for terms in outputs for term in terms)
        and all(_keeps_precision(term) for terms in outputs for term in terms)
    )


def _keeps_precision(term: Term) -> bool:
    """Tell whether products and quotients have the precision of the differences, in all rows."""
    precision = find_precision(term.field.dtype, term.plan.dtype)
    plan = term.plan
    has_all_rows = all(f.offsets for f in (*plan.lower, plan.interior, *plan.upper))
    return precision.arithmetic == precision.working and has_all_rows


def _find_small_term(term: Term, f: NumpyArray) -> _SmallTerm:
    sign, field, plan, *_ = term
    precision = find_precision(f.dtype, plan.dtype)
    # As `place_all` has them.
    regions = sorted(
        enumerate(plan.regions(f.shape[plan.axis])), key=lambda pair: pair[1].start - pair[1].stop
    )
    shape = (1,) * plan.axis + (-1,) + (1,) * (f.ndim - plan.axis - 1)
    steps, sources = [], []
    for placed, (number, (formula, *_)) in zip(
        place_all(f, plan, precision, None), regions, strict=True
    ):
        target, samples, step, is_row = placed
        kind = 2 * is_row + (not step.is_difference)
        if kind == _SUM and step.is_three_products and step.divisor is None:
            kind = _THREE_PRODUCTS
        # Numbers as they were planned: what is made of them is rounded once.
        is_raw = formula.divisor is None and _are_numbers(*formula.weights)
        weights = formula.weights if is_raw else step.weights
        divisor = formula.divisor if _are_numbers(formula.divisor) else step.divisor
        read = tuple(map(_shorten, samples))
        steps.append((kind, _shorten(target), read, weights, divisor, step.constant))
        lay = partial(_lay, shape if not is_row else None, precision.weights)
        sources.append(_FormulaOfStep(number, formula.offsets, lay))
    return _SmallTerm(sign, field, steps, sources)


def _lay(shape: tuple[int, ...] | None, dtype: np.dtype[Any], w: NumpyArray) -> Any:
    """Return weights with a number for each row along their axis of the field; of one, a number."""
    if w.dtype is not dtype:
        w = w.astype(dtype)
    return w[0] if shape is None else w if len(shape) == 1 else w.reshape(shape)


def _are_numbers(*operands: Any) -> bool:
    return all(type(w) in (int, float) for w in operands)


def _shorten(index: tuple[Any, ...]) -> Any:
    """Return an index without what does not choose at its end: NumPy reads it sooner."""
    while len(index) > 1 and index[-1] == slice(None):
        index = index[:-1]
    return index[0] if len(index) == 1 else index


def _count_from_ends(step: _Step, shape: tuple[int, ...]) -> _Step:
    """Return a step that counts from the nearer end of each axis."""
    kind, target, samples, weights, divisor, constant = step
    target, *read = [_turn(index, shape) for index in (target, *samples)]
    return kind, target, tuple(read), weights, divisor, constant


def _turn(index: Any, shape: tuple[int, ...]) -> Any:
    if type(index) is not tuple:
        return _turn_along(index, shape[0])
    return tuple([_turn_along(i, n) for i, n in zip(index, shape, strict=False)])


def _turn_along(i: Any, n: int) -> Any:
    if type(i) is slice:
        return i if i.stop is None else slice(i.start, i.stop - n or None)
    return i if i < n // 2 else i - n


def _settle(step: _Step, ndim: int, working: np.dtype[Any]) -> _Step:
    """Return a step that is faster, and takes longer to make, with the same bits."""
    kind, target, samples, weights, divisor, constant = step
    dtype, is_row = find_precision(working, None).weights, kind in (_ROW_DIFFERENCE, _ROW_SUM)
    make: Any = dtype.type if is_row and ndim == 1 else partial(np.array, dtype=dtype)
    weights = tuple([make(w) if type(w) is float else w for w in weights])
    if type(divisor) is float:
        # Complex numbers are divided in another way, and large products overflow under their name.
        reciprocal = exact_reciprocal(divisor, dtype) if working.kind == "f" else None
        if is_row and divisor == 1.0 and reciprocal is not None:
            return kind, target, samples, weights, None, constant
        if kind == _DIFFERENCE and reciprocal is not None and abs(reciprocal) <= 1:
            return _PRODUCT, target, samples, weights, make(reciprocal), constant
        divisor = make(divisor)
    return kind, target, samples, weights, divisor, constant


def _stretch(step: _Step, power: float) -> _Step:
    """Return a step for another spacing.

    Python's numbers have the precision of the array that they meet. NumPy's ends of second order
    are not divided: their weights are.
    """
    kind, target, samples, weights, divisor, constant = step
    if divisor is None:
        if type(weights[0]) is int:  # it is zero whatever the spacing, as at the edge of a mirror
            return step
        return kind, target, samples, tuple([w / power for w in weights]), None, None
    return kind, target, samples, weights, divisor * power, constant


class BoundCall:
    """Outputs of small fields, ready to be evaluated."""

    __slots__ = ("_converted", "_outputs")

    def __init__(self, outputs: list[Any], converted: np.dtype[Any] | None) -> None:
        self._outputs, self._converted = outputs, converted

    @property
    def evaluate_single(self) -> Callable[[NumpyArray], NumpyArray] | None:
        """For one derivative of one field, what makes it from the field: most calls."""
        (_, _, is_bare, terms), *others = self._outputs
        is_single = is_bare and not others and self._converted is None
        return partial(_evaluate_single, terms[0][2]) if is_single else None

    def settle(self, f: NumpyArray) -> BoundCall:
        """Return a call that is faster, for fields like `f`: it pays from the second time on."""
        dtype = f.dtype if self._converted is None else self._converted
        outputs = [
            (result, is_norm, is_bare, [
                (sign, i, [_settle(step, f.ndim, dtype) for step in steps])
                for sign, i, steps in terms
            ])
            for result, is_norm, is_bare, terms in self._outputs
        ]  # fmt: skip
        return BoundCall(outputs, self._converted)

    def __call__(
        self, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None = None
    ) -> list[NumpyArray]:
        """Return the outputs; arrays in `out` have their dtypes, and overlap with no field."""
        if self._converted is not None:
            fields = [f.astype(self._converted) for f in fields]
        results = []
        for k, (dtype, is_norm, is_bare, terms) in enumerate(self._outputs):
            target = np.empty_like(fields[0], dtype) if out is None else out[k]
            if is_bare:
                _, i, steps = terms[0]
                _differentiate(fields[i], steps, target)
            elif is_norm:
                _write_norm(fields, terms, target)
            else:
                _add_up_terms(fields, terms, target)
            results.append(target)
        return results


def _evaluate_single(steps: Sequence[Any], f: NumpyArray) -> NumpyArray:
    target = np.empty_like(f)
    _differentiate(f, steps, target)
    return target


def _differentiate(f: NumpyArray, steps: Sequence[Any], target: NumpyArray) -> None:
    """Write a derivative, step by step."""
    for kind, to, samples, weights, divisor, constant in steps:
        if kind == _ROW_DIFFERENCE:
            i, j = samples
            total = f[i] - f[j]
            target[to] = total if divisor is None else total / divisor
        elif kind in (_DIFFERENCE, _PRODUCT):
            piece = target[to]
            i, j = samples
            subtract(f[i], f[j], piece)
            (divide if kind == _DIFFERENCE else multiply)(piece, divisor, piece)
        elif kind == _THREE_PRODUCTS:
            piece = target[to]
            (i, j, k), (a, b, c) = samples, weights
            multiply(a, f[i], piece)
            product = multiply(b, f[j])
            add(piece, product, piece)
            multiply(c, f[k], product)
            add(piece, product, piece)
        elif kind == _SUM:
            piece = target[to]
            add_up_in_place([f[i] for i in samples], weights, divisor, constant, piece.dtype, piece)
        else:
            total = add_up([f[i] for i in samples], weights)
            if constant is not None:
                total = total + constant
            target[to] = total if divisor is None else total / divisor


def _add_up_terms(fields: Sequence[NumpyArray], terms: Sequence[Any], target: NumpyArray) -> None:
    """Write a sum of derivatives, each of which is rounded."""
    derivative = np.empty_like(target)
    for k, (sign, i, steps) in enumerate(terms):
        _differentiate(fields[i], steps, derivative if k else target)
        if k:
            (np.add if sign == 1 else np.subtract)(target, derivative, target)
        elif sign == -1:
            np.negative(target, target)


def _write_norm(fields: Sequence[NumpyArray], terms: Sequence[Any], target: NumpyArray) -> None:
    """Write the root of the sum of the squared magnitudes of derivatives."""
    derivative = np.empty_like(target, fields[0].dtype)
    for k, (_, i, steps) in enumerate(terms):
        _differentiate(fields[i], steps, derivative)
        square = np.multiply(derivative.real, derivative.real)
        if derivative.dtype.kind == "c":
            np.add(square, np.multiply(derivative.imag, derivative.imag), square)
        np.add(target, square, target) if k else np.copyto(target, square)
    np.sqrt(target, target)
