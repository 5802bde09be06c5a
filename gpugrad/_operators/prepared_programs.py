"""Calls on other arrays than NumPy's plain ones that come again: their engines have programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import HALF_PRECISION, Array, dtype_name, host_values, row_of, stack_results
from gpugrad._engines.programs import Programs
from gpugrad._operators.components import find_shape, join_results
from gpugrad._operators.planning import plan_call
from gpugrad._operators.spacings_in_turn import (
    UNITS,
    are_stretched,
    find_orders,
    find_powers,
    is_monotonic,
)
from gpugrad._operators.stages import number_term
from gpugrad._stencils import AxisPlan, Operator, Outputs, bind_fields, distinct_fields

_NUMBERS = frozenset((float, int, np.float64, np.float32))
_KINDS = "fciu"

_BYTES = 1 << 12
"""Bytes of a few plans, by estimate; programs are the library's."""


class _BoundProgram(NamedTuple):
    """What a prepared call has for some spacings, and which fields its program takes, in order."""

    spacing: tuple[Any, ...]
    run: Callable[..., tuple[Array, ...]]
    order: tuple[int, ...] | None


class _Planned(NamedTuple):
    """Plans of a call for each order; its outputs with numbers for fields, and with these."""

    plans: Sequence[Sequence[AxisPlan]]
    numbered: Outputs
    outputs: Outputs
    order: tuple[int, ...]  # of the fields, as outputs have them


class PreparedProgram:
    """An operator on fields of one kind, with spacings of some types.

    `programs` is the engine of these fields; other parameters, and errors, are as for a call on
    NumPy's fields (`prepared_calls.PreparedCall`).
    """

    def __init__(
        self,
        programs: Programs,
        row: Operator,
        fields: Sequence[Array],
        spacing: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        self._programs, self._row, self._arguments = programs, row, arguments
        self._stack = bool(arguments.get("stack"))
        dtype = fields[0].dtype
        if getattr(dtype, "kind", "f") not in _KINDS and dtype_name(dtype) not in HALF_PRECISION:
            raise TypeError("`f` must hold numbers; else the long way raises.")
        self._bind_powers: Callable[[Sequence[float]], Callable[..., Any]] | None = None
        self._is_planned_for_all = False
        self._bound = bound = self._bind(fields, spacing)
        self.evaluate_single: Callable[[Array], Array] | None = None
        if not spacing and not self._shape:
            self.evaluate_single = lambda f: bound.run(f)[0]

    def __call__(self, fields: Sequence[Array], spacing: tuple[Any, ...]) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        bound, shape = self._bound, self._shape
        # Most are the same objects, which is soon seen.
        if not all(map(is_, spacing, bound.spacing)) and not _are_same(spacing, bound.spacing):
            try:
                bound = self._bound = self._rebind(fields, spacing)
            except (TypeError, ValueError, OverflowError):
                return NotImplemented
        order = bound.order
        results = bound.run(*(fields if order is None else [fields[i] for i in order]))
        if not shape:
            return results[0]
        if len(shape) > 1:
            return join_results(results, shape, False)
        return stack_results(results) if self._stack else results

    def _rebind(self, fields: Sequence[Array], spacing: tuple[Any, ...]) -> _BoundProgram:
        """Return what there is for other spacings than those of the first call."""
        if not self._is_planned_for_all:
            self._plan_for_all(fields, spacing)
        if self._bind_powers is None:
            return self._bind(fields, spacing)
        run = self._bind_powers(find_powers(self._orders, spacing))
        return self._bound._replace(spacing=spacing, run=run)

    def _plan_for_all(self, fields: Sequence[Array], spacing: tuple[Any, ...]) -> None:
        """Have one program for all spacings to come, if they are numbers."""
        if all(type(h) in UNITS for h in spacing):
            planned = self._plan(fields, tuple([UNITS[type(h)] for h in spacing]))
            if are_stretched(spacing, [plan for each in planned.plans for plan in each]):
                self._orders = find_orders(
                    self._row, planned.plans, planned.numbered, spacing, self._arguments
                )
                self._bind_powers = self._programs.prepare_for_spacings(planned.outputs)
        self._is_planned_for_all = True

    def _bind(self, fields: Sequence[Array], spacing: tuple[Any, ...]) -> _BoundProgram:
        """Return what there is for some spacings."""
        for h in spacing:
            if type(h) not in _NUMBERS and not (type(h) is type(fields[0]) and _is_monotonic(h)):
                raise ValueError("`spacing` must be numbers, or arrays that go up or down.")
        planned = self._plan(fields, spacing)
        self._shape = find_shape(self._row, len(fields), len(planned.plans[0]), self._stack)
        run = self._programs.prepare(planned.outputs)
        if run is None:
            raise ValueError("fields must be of a kind that programs take.")
        kept = tuple(map(_keep, spacing))
        self.nbytes = _BYTES + 8 * sum(getattr(h, "nbytes", 0) for h in kept)
        order = planned.order
        return _BoundProgram(kept, run, None if order == tuple(range(len(fields))) else order)

    def _plan(self, fields: Sequence[Array], spacing: tuple[Any, ...]) -> _Planned:
        """Return the outputs for some spacings."""
        plans = plan_call(self._row, fields, spacing, self._arguments)
        numbered = self._row.terms(*plans, number_term, len(fields))
        order = tuple(dict.fromkeys(term.field for terms in numbered for term in terms))
        outputs = bind_fields(numbered, fields)
        if len(distinct_fields(outputs)) < len(order):
            raise ValueError("fields must be different arrays.")
        return _Planned(plans, numbered, outputs, order)


def _keep(h: Any) -> Any:
    """Return a spacing as it is, or the values of an array that may change in place."""
    if type(h) in _NUMBERS or not row_of(h).is_writable:
        return h
    values = host_values(h)
    return None if values is None else values.copy()


def _are_same(spacing: tuple[Any, ...], kept: tuple[Any, ...]) -> bool:
    """Tell whether spacings are those that were kept."""
    return all(map(_is_same, spacing, kept))


def _is_same(h: Any, kept: Any) -> bool:
    if type(h) in _NUMBERS:
        return type(h) is type(kept) and bool(h == kept)
    if type(kept) is not np.ndarray:
        return h is kept
    values = host_values(h)
    return (
        values is not None
        and (values.shape, values.dtype) == (kept.shape, kept.dtype)
        and bool((values == kept).all())
    )


def _is_monotonic(x: Array) -> bool:
    if isinstance(x, np.ndarray):  # a masked one, which needs a look at its mask
        return False
    values = host_values(x)
    return values is not None and is_monotonic(values)
