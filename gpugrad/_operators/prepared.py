"""Calls of operators that come again: planned once, then found by what their arguments are like.

A call on NumPy's arrays is found by its kind: the operator, shape and dtype of the field, the types
of spacings, the options. What a kind stands for is a `PreparedCall`, with all decided but the
samples and the numbers of the spacings. All other calls take the long way, and so do wrong ones:
there they meet the checks, and the errors.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial, wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from gpugrad._arrays import NumpyArray, empty
from gpugrad._engines import is_auto_in_force, ready
from gpugrad._engines.numpy_calls import BoundCall, SmallCall, is_small
from gpugrad._engines.numpy_steps import find_result
from gpugrad._engines.programs import Programs, find_programs
from gpugrad._engines.store import Store
from gpugrad._grids import find_fine_steps
from gpugrad._labels import accepts_labels
from gpugrad._operators.components import find_shape, join_results
from gpugrad._operators.plan import plan_call
from gpugrad._operators.prepared_programs import PreparedProgram
from gpugrad._operators.spacings_in_turn import (
    LEAST,
    MOST,
    UNITS,
    are_stretched,
    find_orders,
    find_powers,
)
from gpugrad._operators.stages import number_term, plan_stages
from gpugrad._stencils import (
    OPERATORS,
    AxisPlan,
    Formula,
    Operator,
    Outputs,
    bind_fields,
    find_formulas_again,
    list_formulas,
)

P = ParamSpec("P")
R = TypeVar("R")

_SPACINGS = frozenset((*UNITS, np.float32, np.int64, np.int32, np.ndarray))

_NUMBERS = frozenset((float, int, np.float64))

_PLAIN = frozenset((int, str, type(None), float, bool))
"""Types of options that may be a part of a kind: equal ones of one type mean the same."""

_LONG_WAY = {"where": None, "skipna": False, "time_unit": None, "period": None, "backend": None}
"""Options that need a look in each call, unless they are what they are by default."""

_BYTES_OF_A_FORMULA = 1 << 10

_calls: Store[Any] = Store(most=1 << 12, most_bytes=1 << 25)
"""What is prepared, by kind."""


class _Bound(NamedTuple):
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
        self._bound = self._bind(spacing)
        formulas = sum(3 + len(plan.lower) + len(plan.upper) for plan in plans)
        weights = sum(8 * h.nbytes for h in spacing if type(h) is np.ndarray)
        self.nbytes = _BYTES_OF_A_FORMULA * formulas + weights

    def __call__(
        self, fields: Sequence[NumpyArray], spacing: tuple[Any, ...], out: Any = None
    ) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        bound = self._bound
        if self._has_coordinates:
            is_same = _are_equal(spacing, bound.spacing)
        else:
            is_same = bound.spacing == spacing
        if not is_same:
            try:
                bound = self._bound = self._bind(spacing)
            except (TypeError, ValueError, OverflowError):
                return NotImplemented
        elif not bound.is_settled:
            bound = self._bound = self._settle(bound)
        if out is not None and not self._takes_out(fields, out):
            return NotImplemented
        call, shape = bound.call, self._shape
        is_new = not is_same and not bound.is_settled
        if is_new and self._ready is not None and self._ready.is_call_counted():
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

    def _bind(self, spacing: tuple[Any, ...]) -> _Bound:
        """Return what there is for some spacings."""
        kept = _keep(spacing) if self._has_coordinates else spacing
        if self._small is None:
            return _Bound(kept, partial(ready.evaluate_numbered, self._plan(spacing)), False)
        small, plans = self._small
        bind: Callable[[], BoundCall]
        if self._is_stretched:
            numbers: Any = find_powers(self._orders, spacing)
            if self._ready is None or not self._ready.is_compiled:  # most small calls end here
                return _Bound(kept, small.bind(numbers), False)
            bind = partial(small.bind, numbers)
        else:
            steps = [*map(_find_steps, spacing)] if self._has_coordinates else [None]
            if None in steps:
                return _Bound(kept, self._bind_all(spacing), False)
            numbers = [
                find_formulas_again(plan, steps[k])
                for plan, (_, k) in zip(plans, self._orders, strict=True)
            ]
            bind = partial(self._bind_formulas, small, numbers, kept)
        call = None if self._ready is None else self._ready.bind(numbers, bind)
        return _Bound(kept, bind(), False) if call is None else _Bound(kept, call, True)

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

    def _settle(self, bound: _Bound) -> _Bound:
        """Return what is worth making for spacings that come again."""
        call, single = bound.call, None
        if isinstance(call, BoundCall):
            call = call.settle(self._template)
            single = call.evaluate_single
        if self._template.nbytes <= ready.MOST_BYTES:
            plan = partial(self._plan, bound.spacing)
            is_counted = self._small is None
            call = ready.ReadyCall(call, single, plan, self._template, is_counted)
            if not bound.spacing and not self._shape and not self._stack:
                self.evaluate_single = call.call_single
        return _Bound(bound.spacing, call, True)

    def _plan(self, spacing: tuple[Any, ...]) -> Outputs:
        """Return the outputs for fields by number; know how results lie, and the terms' orders."""
        row = self._row
        plans = _plan_axes(row, [self._template] * self._count, spacing, self._arguments)
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


def _plan_axes(
    row: Operator,
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    arguments: Mapping[str, Any],
) -> list[list[AxisPlan]]:
    """Return a plan for each axis, and these for each order; raise where the long way is taken."""
    for h in spacing:
        if type(h) is np.ndarray and not _is_monotonic(h):
            raise ValueError("`spacing` must go up or down; else the long way warns, or raises.")
    return plan_call(row, fields, spacing, arguments)


class _BoundStages(NamedTuple):
    """What there is for some spacings: of each stage a call, what it takes and makes; results.

    Arrays are counted: the field, then what one stage after the other makes. In one array of all
    results, what a stage makes has its place there, or None; other places are copies of these.
    """

    spacing: tuple[Any, ...]
    calls: list[tuple[ready.ReadyCall, list[int], list[int | None]]]
    results: Sequence[int]
    copies: list[tuple[int, int]]


class PreparedPairs:
    """A Hessian of NumPy's fields of one shape and dtype: derivatives, then derivatives of these.

    Parameters and errors are those of a `PreparedCall`; all spacings are looked at by value.
    """

    evaluate_single = None

    def __init__(
        self,
        row: Operator,
        fields: Sequence[NumpyArray],
        spacing: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        (f,) = fields
        if f.dtype.kind not in "iu" and f.dtype.itemsize not in (4, 8, 16):
            raise TypeError("`f` in half precision, or an extended one, takes the long way.")
        self._row, self._arguments = row, arguments
        self._template = np.broadcast_to(np.zeros((), f.dtype), f.shape)
        self._bound = self._bind(spacing)
        axes = math.isqrt(len(self._bound.results))
        self._shape = find_shape(row, 1, axes, bool(arguments["stack"]))
        self.nbytes = 16 * _BYTES_OF_A_FORMULA * axes**2

    def __call__(
        self, fields: Sequence[NumpyArray], spacing: tuple[Any, ...], out: Any = None
    ) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        if out is not None:
            return NotImplemented
        bound = self._bound
        if not _are_equal(spacing, bound.spacing):
            try:
                bound = self._bound = self._bind(spacing)
            except (TypeError, ValueError, OverflowError):
                return NotImplemented
        arrays = [*fields]
        if self._arguments["stack"] and arrays[0].flags.c_contiguous:
            return self._stack(arrays, bound)
        for call, taken, _ in bound.calls:
            arrays += call([arrays[i] for i in taken])
        results = [arrays[i] for i in bound.results]
        return join_results(results, self._shape, bool(self._arguments["stack"]))

    def _stack(self, arrays: list[NumpyArray], bound: _BoundStages) -> NumpyArray:
        """Return the results in one array, which stages write to."""
        shape, dtype = arrays[0].shape, self._dtype
        stacked = empty((*self._shape, *shape), dtype)
        results = stacked.reshape(-1, *shape)
        for call, taken, places in bound.calls:
            out = [empty(shape, dtype) if k is None else results[k] for k in places]
            arrays += call([arrays[i] for i in taken], out)
        for k, first in bound.copies:
            results[k] = results[first]
        return stacked

    def _bind(self, spacing: tuple[Any, ...]) -> _BoundStages:
        """Return what there is for some spacings."""
        plans = _plan_axes(self._row, [self._template], spacing, self._arguments)
        program = plan_stages(self._row, plans, 1)
        like, calls, count = self._template, [], 1
        first = {i: k for k, i in reversed([*enumerate(program.results)])}
        for stage in program.stages:
            taken = [*dict.fromkeys(term.field for terms in stage for term in terms)]
            outputs = bind_fields(stage, {field: i for i, field in enumerate(taken)})
            places = [*map(first.get, range(count, count + len(stage)))]
            calls.append((ready.make_ready(outputs, like), taken, places))
            count += len(stage)
            dtype = find_result(bind_fields(outputs, [like] * len(taken))[0])
            like = np.broadcast_to(np.zeros((), dtype), like.shape)
        self._dtype = like.dtype
        copies = [(k, first[i]) for k, i in enumerate(program.results) if first[i] != k]
        return _BoundStages(_keep(spacing), calls, program.results, copies)


def _find_steps(h: Any) -> Any:
    """Return what plans are made of: steps, or a number; None for what has to be looked at."""
    if type(h) is np.ndarray:
        return find_fine_steps(h)
    if type(h) not in UNITS or not LEAST < abs(h) < MOST:
        return None
    return float(h) if type(h) is int else h


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


def _keep(spacing: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return spacings that nobody changes any more."""
    return tuple([h.copy() if type(h) is np.ndarray else h for h in spacing])


def _are_equal(spacing: tuple[Any, ...], kept: tuple[Any, ...]) -> bool:
    """Tell whether spacings, which may have changed in place, are those that were kept."""
    return len(spacing) == len(kept) and all(map(_is_equal, spacing, kept))


def _is_equal(h: Any, kept: Any) -> bool:
    if type(h) is not np.ndarray:
        return bool(h == kept)
    if h.shape != kept.shape or h.dtype != kept.dtype:
        return False
    return h.tobytes() == kept.tobytes() if h.size < 1 << 10 else bool((h == kept).all())


def _is_monotonic(x: NumpyArray) -> bool:
    if x.ndim != 1 or x.dtype.kind not in "fiu":
        return False
    return bool((x[1:] > x[:-1]).all() or (x[1:] < x[:-1]).all())


def prepares(function: Callable[P, R]) -> Callable[P, R]:
    """Let an operator of the table find calls that come again, and else take the long way.

    That way also takes labels and units (see `accepts_labels`).
    """
    take_long_way, row = accepts_labels(function), OPERATORS[function.__name__]
    takes_one, name, find = row.takes == "field", row.name, _calls.find

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        f: Any = arguments[0] if arguments else None
        is_plain = type(f) is np.ndarray
        if takes_one and len(arguments) == 1 and not options and is_auto_in_force():
            # Most calls end here, and are as short as they can be.
            if is_plain:
                kind: Any = name, 1, f.shape, f.dtype
            else:
                programs = find_programs(type(f))
                kind = programs and (name, 1, programs.describe_field(f))
            prepared = find(kind) if kind else None
            if prepared is not None and prepared.evaluate_single is not None:
                result: Any = prepared.evaluate_single(f)
                return result  # type: ignore[no-any-return]
        fields: Any = (f,) if takes_one and is_plain else _list_fields(f, takes_one)
        if fields and is_auto_in_force():
            result = _call_prepared(function, row, fields, arguments[1:], options)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
        return take_long_way(*arguments, **options)

    return call


def _call_prepared(
    function: Callable[..., Any],
    row: Operator,
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """Return what a call returns, or NotImplemented where it takes the long way."""
    f, out = fields[0], None
    programs = None if type(f) is np.ndarray else find_programs(type(f))
    if programs is None:
        kind: Any = row.name, len(fields), f.shape, f.dtype
    else:
        described = programs.describe_field(f)
        if described is None:
            return NotImplemented
        if len(fields) > 1 and any(programs.describe_field(g) != described for g in fields[1:]):
            return NotImplemented
        kind = row.name, len(fields), described
    if spacing:
        # Coordinates of another precision make another arithmetic.
        kind = *kind, *[type(h) if type(h) is not np.ndarray else h.dtype for h in spacing]
    if "out" in options:
        options = {**options}
        out = options.pop("out")
    if options:
        kind = *kind, *options.items(), *map(type, options.values())
    try:
        prepared = _calls.find(kind)
    except TypeError:  # an option has no hash
        return NotImplemented
    if prepared is None:
        prepared = _prepare(function, row, programs, kind, fields, spacing, options)
        if prepared is None:
            return NotImplemented
    if programs is None:
        return prepared(fields, spacing, out)
    return NotImplemented if out is not None else prepared(fields, spacing)


def _list_fields(f: Any, takes_one: bool) -> Sequence[NumpyArray] | None:
    """Return the fields of a call if they are plain arrays, all of one kind, or None."""
    if takes_one:
        return (f,) if find_programs(type(f)) else _read_numbers(f)
    if type(f) is np.ndarray:
        return tuple(f) if f.ndim > 1 else None
    if type(f) not in (tuple, list) or not f:
        return None
    first = f[0]
    if any(type(g) is not type(first) for g in f):
        return None
    if type(first) is not np.ndarray:
        return f if find_programs(type(first)) else None
    are_alike = all(g.dtype == first.dtype and g.shape == first.shape for g in f)
    return f if are_alike else None


def _read_numbers(f: Any) -> Sequence[NumpyArray] | None:
    """Return a list of Python's numbers, or of lists of them, as an array."""
    if type(f) not in (list, tuple) or not f:
        return None
    rows = f if type(f[0]) in (list, tuple) else (f,)
    kinds: set[type] = set()
    for row in rows:
        if type(row) not in (list, tuple):
            return None
        kinds.update(map(type, row))
    if not kinds or not kinds <= _NUMBERS:
        return None
    try:
        values = np.array(f, np.float64 if kinds == {float} else None)
    except ValueError:  # rows of unequal lengths
        return None
    return (values,) if values.dtype.kind in "fi" else None


@cache
def _find_defaults(function: Callable[..., Any]) -> Mapping[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _prepare(
    function: Callable[..., Any],
    row: Operator,
    programs: Programs | None,
    kind: Hashable,
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    options: Mapping[str, Any],
) -> Any:
    """Prepare a call, or return None where it takes the long way."""
    defaults = _find_defaults(function)
    if not defaults.keys() >= options.keys():
        return None
    if programs is None and not _SPACINGS.issuperset(map(type, spacing)):
        return None
    if not all(_is_plain(name, value) for name, value in options.items()):
        return None
    arguments, f = {**defaults, **options}, fields[0]
    if any(arguments.get(name, usual) is not usual for name, usual in _LONG_WAY.items()):
        return None
    if arguments["boundary"] in ("periodic", "wrap") or not f.ndim or 0 in f.shape:
        return None
    if programs is None and f.dtype.kind not in "fciu":
        return None
    if not row.orders and arguments["axis"] is None:
        return None
    if len(fields) > 1 and row.gives == "each" and arguments["stack"]:
        return None
    if row.gives == "pairs" and programs is not None:
        return None
    prepare: Any = PreparedPairs if row.gives == "pairs" else PreparedCall
    try:
        prepared: Any = (
            prepare(row, fields, spacing, arguments)
            if programs is None
            else PreparedProgram(programs, row, fields, spacing, arguments)
        )
    except (TypeError, ValueError, OverflowError):
        return None
    _calls.keep(kind, prepared, prepared.nbytes)
    return prepared


def _is_plain(name: str, value: Any) -> bool:
    """Tell whether an option may be a part of a kind; of sequences only integers for axes."""
    are_axes = name == "axis" and type(value) is tuple and all(type(i) is int for i in value)
    return type(value) in _PLAIN or are_axes
