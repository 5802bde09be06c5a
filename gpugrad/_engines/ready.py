"""Calls that are ready: of outputs whose shape, dtype and formulas are known, field by field.

The engine without a compiler serves until a compiled program pays, as in all calls (see
`compiled.offers`). Then a call is one foreign call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._arrays.memory import stand_in
from gpugrad._engines.dispatch import evaluate
from gpugrad._engines.numpy_calls import SmallCall, is_small
from gpugrad._stencils import Formula, Outputs, bind_fields, change_terms, distinct_masks

if TYPE_CHECKING:
    from gpugrad._engines.compiled.offers import Offer
    from gpugrad._engines.compiled.program_call import ProgramCall

MOST_BYTES = 1 << 21
"""Bytes of a field up to which one thread makes all of it, in one foreign call."""

MOST_BYTES_ON_THREADS = 1 << 24
"""Bytes of a field up to which a call feels what is done in it besides."""

_SOME = 8
"""Calls on larger fields after which a program is looked for."""

_OFTEN = 64
"""Calls after which what they have cost is counted. One of them is timed, and counts for all."""

_LOOK_SECONDS = 2e-3
"""What calls have to cost before a program is looked for, as that takes about as long."""

_NEVER = 1 << 62

Evaluate = Callable[[Sequence[NumpyArray], Sequence[NumpyArray] | None], Sequence[NumpyArray]]
"""What returns the results of fields, written to arrays if some are given."""

Factors = tuple[NumpyArray, ...]
"""The arrays of factors that a program takes."""


def make_ready(outputs: Outputs, f: NumpyArray) -> ReadyCall:
    """Return the call for outputs whose terms have numbers for fields, of the shape of `f`."""
    # Programs are for C order, however this field lies: calls look for that.
    f = np.broadcast_to(np.zeros((), f.dtype), f.shape)
    if is_small(change_terms(outputs, lambda term: term._replace(field=f))):
        call = SmallCall(outputs, f).bind(None).settle(f)
        return ReadyCall(call, call.evaluate_single, lambda: outputs, f, False)
    return ReadyCall(partial(evaluate_numbered, outputs), None, lambda: outputs, f, True)


def evaluate_numbered(
    outputs: Outputs, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None
) -> Sequence[NumpyArray]:
    """Evaluate outputs whose terms have numbers for fields, by the engine in force."""
    return evaluate(bind_fields(outputs, fields), None if out is None else [*out])


class ReadyCall:
    """Outputs of fields of one shape and dtype, evaluated by what is fastest so far.

    Parameters
    ----------
    evaluate : callable
        The way without a compiler: ``evaluate(fields, out)``.
    evaluate_single : callable or None
        The same for one derivative of one field: ``evaluate_single(f)``.
    plan : callable
        Returns the outputs, whose terms have numbers for fields, and no masks.
    f : array
        What stands for the fields.
    is_counted : bool
        Whether what the way without a compiler costs is counted there.
    """

    __slots__ = ("_calls_left", "_evaluate", "_evaluate_single", "_f", "_is_counted", "_offered",
                 "_plan", "_program", "_spent")  # fmt: skip

    def __init__(
        self,
        evaluate: Evaluate,
        evaluate_single: Callable[[NumpyArray], NumpyArray] | None,
        plan: Callable[[], Outputs],
        f: NumpyArray,
        is_counted: bool,
    ) -> None:
        self._evaluate, self._evaluate_single = evaluate, evaluate_single
        self._plan, self._f, self._is_counted = plan, f, is_counted
        self._program: ProgramCall | None = None
        self._offered: _Offered | None = None
        self._spent = 0.0
        if not 0 < f.nbytes <= MOST_BYTES_ON_THREADS:
            self._calls_left = _NEVER
        else:
            self._calls_left = _OFTEN if f.nbytes <= MOST_BYTES else _SOME

    def __call__(
        self, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None = None
    ) -> Sequence[NumpyArray]:
        """Return the outputs; arrays in `out` have their dtypes, and overlap with no field."""
        if self._program is not None:
            results = self._program(fields, out)
            return self._evaluate(fields, out) if results is None else results
        if self._calls_left > 1:
            self._calls_left -= 1
            return self._evaluate(fields, out)
        return self.count_call(self._evaluate, fields, out)

    def call_single(self, f: NumpyArray) -> NumpyArray:
        """Return the one derivative of one field, where there is but one."""
        if self._program is not None:
            result = self._program.evaluate_single(f)
            return self._evaluate((f,), None)[0] if result is None else result
        if self._calls_left > 1 and self._evaluate_single is not None:
            self._calls_left -= 1
            return self._evaluate_single(f)
        return self((f,))[0]

    def count_call(
        self,
        evaluate: Evaluate,
        fields: Sequence[NumpyArray],
        out: Sequence[NumpyArray] | None = None,
    ) -> Sequence[NumpyArray]:
        """Evaluate, and count what that costs."""
        self._calls_left -= 1
        if self._calls_left > 0:
            return evaluate(fields, out)
        begin = perf_counter()
        evaluated = evaluate(fields, out)
        self._count(perf_counter() - begin)
        return evaluated

    def _count(self, seconds: float) -> None:
        """Count what calls have cost, and take the compiled program once there is one."""
        self._spent += _OFTEN * seconds
        if self._spent < _LOOK_SECONDS:
            self._calls_left = _OFTEN
            return
        self._calls_left = _NEVER  # unless there is a reason to look again
        offered = self._offered = self._offered or _find_offer(self._plan(), self._f)
        if offered is None:
            return
        offer, numbered, outputs, out = offered
        if not self._is_counted:
            offer.count(self._spent)
        self._spent = 0.0
        program = offer.take(outputs, out)
        if program is None:
            self._calls_left = _OFTEN
            return
        from gpugrad._engines.compiled.program_call import ProgramCall, can_be_called

        self._offered = None
        if can_be_called(program, self._f):
            self._take(ProgramCall(program, numbered, outputs), outputs)

    def _take(self, program: ProgramCall, outputs: Outputs) -> None:
        """Take a program for these outputs, with stand-ins for fields, in all calls to come."""
        self._program = program


class ReadyForNumbers(ReadyCall):
    """The same for numbers that are new in each call, which a program takes as its factors.

    Parameters
    ----------
    plan : callable
        Returns the outputs for some of the numbers, as for a `ReadyCall`.
    units : sequence of sequences of Formula or None
        The formulas of each term for spacings of 1, if other spacings stretch them.
    f : array
        What stands for the fields.
    """

    __slots__ = ("_slots", "_units")

    def __init__(
        self, plan: Callable[[], Outputs], units: Sequence[Sequence[Formula]] | None, f: NumpyArray
    ) -> None:
        super().__init__(partial(evaluate_numbered, ()), None, plan, f, False)
        self._units = units

    def count_down(self) -> bool:
        """Count a call; tell whether it is one of the few that are timed."""
        self._calls_left -= 1
        return self._calls_left <= 0

    @property
    def is_compiled(self) -> bool:
        """Whether there is a program for numbers to come."""
        return self._program is not None

    def bind(self, numbers: Any, bind: Callable[[], Evaluate]) -> Evaluate | None:
        """Return the call of a program for other numbers (see `Slots.fill`), or None.

        `bind` makes the way without a compiler, for fields that the program does not take.
        """
        program = self._program
        factors = None if program is None else self._slots.fill(numbers)
        if program is None or factors is None:
            return None
        return partial(_run_or_bind, program, factors, bind)

    def _take(self, program: ProgramCall, outputs: Outputs) -> None:
        from gpugrad._engines.compiled.slots import Slots

        try:
            self._slots = Slots(outputs, self._units)
        except ValueError:  # special numbers
            self._calls_left = _OFTEN
        else:
            self._program = program


def _run_or_bind(
    program: ProgramCall,
    factors: Factors,
    bind: Callable[[], Evaluate],
    fields: Sequence[NumpyArray],
    out: Sequence[NumpyArray] | None = None,
) -> Sequence[NumpyArray]:
    results = program(fields, out, factors)
    return bind()(fields, out) if results is None else results


class _Offered(NamedTuple):
    """The offer of a program for numbered outputs; these with stand-ins, and for results others."""

    offer: Offer
    numbered: Outputs
    outputs: Outputs
    out: list[NumpyArray]


def _find_offer(numbered: Outputs, f: NumpyArray) -> _Offered | None:
    """Return the offer of a program, or None where nobody will compile it."""
    from gpugrad._engines.compiled import engine, kernels, offers

    count = 1 + max(term.field for terms in numbered for term in terms)
    fields = [stand_in(f) for _ in range(count)]
    outputs = bind_fields(numbered, fields)
    if kernels.foresee() or engine.unsupported(outputs) or distinct_masks(outputs):
        return None
    out = offers.stand_ins(outputs)
    return _Offered(offers.find_offer(outputs, out), numbered, outputs, out)
