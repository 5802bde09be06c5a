"""Calls on NumPy's arrays that come again: all is decided but the samples and the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, empty
from gpugrad._engines import ready
from gpugrad._engines.numpy_calls import BoundCall, SmallCall, is_small
from gpugrad._engines.numpy_steps import find_result
from gpugrad._operators.components import find_shape, join_results
from gpugrad._operators.spacings_in_turn import (
    UNITS,
    are_equal,
    are_stretched,
    find_orders,
    find_powers,
    keep_spacings,
    plan_monotonic,
    read_plain_spacing,
)
from gpugrad._operators.stages import number_term
from gpugrad._stencils import (
    AxisPlan,
    Formula,
    Operator,
    Outputs,
    bind_fields,
    find_formulas_again,
    list_formulas,
)

BYTES_OF_A_FORMULA = 1 << 10
"""Bytes that a formula takes with all that is ready for it, about."""


class Bound(NamedTuple):
    """What a prepared call has for some spacings; it is settled where these have come again."""

    spacing: tuple[Any, ...]
    call: Callable[..., Sequence[NumpyArray]]
    is_settled: bool


class PreparedCall:
    """An operator on NumPy's fields of one shape and dtype, with spacings of some types.

    Parameters
    ----------
    row : Operator
        The operator.
    fields : sequence of arrays
        The field, or the components, of a first call.
    spacing : tuple
        The spacings of that call.
    arguments : mapping
        The other arguments of that call, by name.

    Raises
    ------
    TypeError, ValueError
        If the call is wrong, or has to take the long way.
    """

    def __init__(
        self,
        row: Operator,
        fields: Sequence[NumpyArray],
        spacing: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        self._row, self._arguments, self._count = row, arguments, len(fields)
        self._stack = bool(arguments.get("stack"))
        # It stands for any field, and holds a single number.
        self._template = np.broadcast_to(np.zeros((), fields[0].dtype), fields[0].shape)
        self._has_coordinates = any(type(h) is np.ndarray for h in spacing)
        outputs = self._plan(tuple([UNITS.get(type(h), h) for h in spacing]))
        plans = [term.plan for output in outputs for term in output]
        self._is_stretched = are_stretched(spacing, plans)
        whole = bind_fields(outputs, [self._template] * self._count)
        self._small = (SmallCall(outputs, self._template), plans) if is_small(whole) else None
        self._dtype = find_result(whole[0])
        self.evaluate_single: Callable[[NumpyArray], NumpyArray] | None = None
        self._ready = self._make_ready(plans) if spacing and self._small else None
        self._bound, self._is_first = self._bind(spacing), True
        formulas = sum(3 + len(plan.lower) + len(plan.upper) for plan in plans)
        weights = sum(8 * h.nbytes for h in spacing if type(h) is np.ndarray)
        self.nbytes = BYTES_OF_A_FORMULA * formulas + weights

    def __call__(
        self, fields: Sequence[NumpyArray], spacing: tuple[Any, ...], out: Any = None
    ) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        bound = self._bound
        if self._has_coordinates:
            is_same = are_equal(spacing, bound.spacing)
        else:
            is_same = bound.spacing == spacing
        if not is_same:
            try:
                bound = self._bound = self._bind(spacing)
            except (TypeError, ValueError, OverflowError):
                return NotImplemented
        elif self._is_first:  # most lengths and spacings come once, and then nothing is worth more
            self._is_first = False
        elif not bound.is_settled:
            bound = self._bound = self._settle(bound)
        if out is not None and not self._takes_out(fields, out):
            return NotImplemented
        call, shape = bound.call, self._shape
        is_new = not is_same and not bound.is_settled
        if is_new and self._ready is not None and self._ready.count_down():
            call = partial(self._ready.count_call, call)
        if not shape:
            return call(fields, out if out is None else (out,))[0]
        if self._stack:
            if out is None:
                out = empty((*shape, *fields[0].shape), self._dtype)
            call(fields, out)
            return out
        results = tuple(call(fields, out))
        return results if len(shape) == 1 else join_results(results, shape, False)

    def _make_ready(self, plans: Sequence[AxisPlan]) -> ready.ReadyForNumbers | None:
        """Return what has a program for spacings that are new in each call, if they may be."""
        if not self._is_stretched and not self._has_coordinates:
            return None
        units = [[*list_formulas(plan)] for plan in plans] if self._is_stretched else None
        return ready.ReadyForNumbers(self._plan_anew, units, self._template)

    def _plan_anew(self) -> Outputs:
        return self._plan(self._bound.spacing)

    def _bind(self, spacing: tuple[Any, ...]) -> Bound:
        """Return what there is for some spacings."""
        kept = keep_spacings(spacing) if self._has_coordinates else spacing
        if self._small is None:
            return Bound(kept, partial(ready.evaluate_numbered, self._plan(spacing)), False)
        small, plans = self._small
        bind: Callable[[], BoundCall]
        if self._is_stretched:
            numbers: Any = find_powers(self._orders, spacing)
            if self._ready is None or not self._ready.is_compiled:  # most small calls end here
                return Bound(kept, small.bind(numbers), False)
            bind = partial(small.bind, numbers)
        else:
            steps = [*map(read_plain_spacing, spacing)] if self._has_coordinates else [None]
            if None in steps:
                return Bound(kept, self._bind_all(spacing), False)
            numbers = [
                find_formulas_again(plan, steps[k])
                for plan, (_, k) in zip(plans, self._orders, strict=True)
            ]
            bind = partial(self._bind_formulas, small, numbers, kept)
        call = None if self._ready is None else self._ready.bind(numbers, bind)
        return Bound(kept, bind(), False) if call is None else Bound(kept, call, True)

    def _bind_formulas(
        self, small: SmallCall, formulas: Sequence[Sequence[Formula]], spacing: tuple[Any, ...]
    ) -> BoundCall:
        """Return the call for the formulas of coordinates."""
        return small.bind_formulas(formulas) or self._bind_all(spacing)

    def _bind_all(self, spacing: tuple[Any, ...]) -> BoundCall:
        """Plan anew; coordinates to come are taken to be like these."""
        outputs = self._plan(spacing)
        small = SmallCall(outputs, self._template)
        self._small = small, [term.plan for output in outputs for term in output]
        return small.bind(None)

    def _settle(self, bound: Bound) -> Bound:
        """Return what is worth making for spacings that come again."""
        call, single = bound.call, None
        if isinstance(call, BoundCall):
            call = call.settle(self._template)
            single = call.evaluate_single
        if self._template.nbytes <= ready.MOST_BYTES_ON_THREADS:
            plan = partial(self._plan, bound.spacing)
            if self._small is None:
                call = ready.make_ready_for_large(plan(), self._template)
            else:
                call = ready.ReadyCall(call, single, plan, self._template)
            if not bound.spacing and not self._shape and not self._stack:
                self.evaluate_single = call.call_single
        return Bound(bound.spacing, call, True)

    def _plan(self, spacing: tuple[Any, ...]) -> Outputs:
        """Return the outputs for fields by number; know how results lie, and the terms' orders."""
        row = self._row
        plans = plan_monotonic(row, [self._template] * self._count, spacing, self._arguments)
        self._shape = find_shape(row, self._count, len(plans[0]), self._stack)
        outputs = row.terms(*plans, number_term, self._count)
        self._orders = find_orders(row, plans, outputs, spacing, self._arguments)
        return outputs

    def _takes_out(self, fields: Sequence[NumpyArray], out: Any) -> bool:
        """Tell whether results can be written straight to `out`, without a further look at it."""
        shape, dtype, count = fields[0].shape, self._dtype, self._shape
        if not count:
            return _is_target(out, shape, dtype, fields)
        if len(count) > 1:
            return False
        if self._stack:
            return _is_target(out, (*count, *shape), dtype, fields)
        if type(out) not in (tuple, list) or len(out) != count[0]:
            return False
        others = [*fields]
        for target in out:
            if not _is_target(target, shape, dtype, others):
                return False
            others.append(target)
        return True


def _is_target(
    target: Any, shape: tuple[int, ...], dtype: np.dtype[Any], others: Sequence[NumpyArray]
) -> bool:
    """Tell whether a result can be written to an array, which overlaps with no other."""
    if type(target) is not np.ndarray or target.shape != shape or target.dtype != dtype:
        return False
    flags = target.flags
    if not (flags.writeable and (flags.c_contiguous or flags.f_contiguous)):
        return False
    for other in others:
        if target is other:
            return False
        own_memory = target.base is None and other.base is None
        if not own_memory and np.may_share_memory(target, other):
            return False
    return True
