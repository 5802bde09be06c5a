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
from gpugrad._engines import numpy_blocks
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

_OFTEN = 64
"""Calls after which what they have cost is counted. One of them is timed, and counts for all.

This is for small fields; of others each call is counted.
"""

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
        return ReadyCall(call, call.evaluate_single, lambda: outputs, f)
    return make_ready_for_large(outputs, f)


def make_ready_for_large(outputs: Outputs, f: NumpyArray) -> ReadyCall:
    """Return the same for fields of `FLAT_SIZE` samples or more."""
    by_engine_in_force = partial(evaluate_numbered, outputs)
    numbers = [f] * (1 + max(term.field for terms in outputs for term in terms))
    if f.nbytes > MOST_BYTES_ON_THREADS or numpy_blocks.unsupported(bind_fields(outputs, numbers)):
        return ReadyCall(by_engine_in_force, None, lambda: outputs, f)
    by_numpy = partial(_evaluate_by_numpy, outputs)
    return ReadyCall(by_numpy, None, lambda: outputs, f, by_engine_in_force)


def evaluate_numbered(
    outputs: Outputs, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None
) -> Sequence[NumpyArray]:
    """Evaluate outputs whose terms have numbers for fields, by the engine in force."""
    return evaluate(bind_fields(outputs, fields), None if out is None else [*out])


def _evaluate_by_numpy(
    outputs: Outputs, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None
) -> Sequence[NumpyArray]:
    """Do the same by the engine that serves until a program pays."""
    return numpy_blocks.evaluate(bind_fields(outputs, fields), out)


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
    otherwise : callable, optional
        For fields that are not small: what evaluates those that a program does not take, as
        it may have programs for other memory orders.
    """

    __slots__ = ("_calls_left", "_evaluate", "_evaluate_single", "_f", "_offered", "_otherwise",
                 "_plan", "_program", "_spent")  # fmt: skip

    def __init__(
        self,
        evaluate: Evaluate,
        evaluate_single: Callable[[NumpyArray], NumpyArray] | None,
        plan: Callable[[], Outputs],
        f: NumpyArray,
        otherwise: Evaluate | None = None,
    ) -> None:
        self._evaluate, self._evaluate_single = evaluate, evaluate_single
        self._plan, self._f, self._otherwise = plan, f, otherwise
        self._program: ProgramCall | None = None
        self._offered: _Offered | None = None
        self._spent = 0.0
        often = _OFTEN if otherwise is None else 1
        self._calls_left = often if 0 < f.nbytes <= MOST_BYTES_ON_THREADS else _NEVER

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
        if self._otherwise is not None:
            self._calls_left = 1
            return self._ask_first(self._otherwise, fields, out)
        begin = perf_counter()
        evaluated = evaluate(fields, out)
        self._count(perf_counter() - begin)
        return evaluated

    def _ask_first(
        self, otherwise: Evaluate, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None
    ) -> Sequence[NumpyArray]:
        """Evaluate by a program if it pays by now; else count what another way costs."""
        if not all(f.flags.c_contiguous for f in fields):
            return otherwise(fields, out)
        offered = self._offered = self._offered or self._find_offer()
        if offered is None:
            self._calls_left = _NEVER
        elif self._accept(offered):
            self._evaluate, self._calls_left = otherwise, _NEVER
        else:
            begin = perf_counter()
            results = self._evaluate(fields, out)
            offered.offer.count(perf_counter() - begin)
            return results
        return self._evaluate(fields, out)

    def _count(self, seconds: float) -> None:
        """Count what calls have cost, and take the compiled program once there is one."""
        self._spent += _OFTEN * seconds
        if self._spent < _LOOK_SECONDS:
            self._calls_left = _OFTEN
            return
        self._calls_left = _NEVER  # unless there is a reason to look again
        offered = self._offered = self._offered or self._find_offer()
        if offered is None:
            return
        offered.offer.count(self._spent)
        self._spent = 0.0
        if not self._accept(offered):
            self._calls_left = _OFTEN

    def _accept(self, offered: _Offered) -> bool:
        """Take a program for all calls to come, if it pays by now; tell whether it does."""
        offer, numbered, outputs, out = offered
        program = offer.take(outputs, out)
        if program is None:
            return False
        from gpugrad._engines.compiled.program_call import ProgramCall, can_be_called

        self._offered = None
        if can_be_called(program, self._f):
            self._take(ProgramCall(program, numbered, outputs), outputs)
        return True

    def _take(self, program: ProgramCall, outputs: Outputs) -> None:
        """Take a program for these outputs, with stand-ins for fields, in all calls to come."""
        self._program = program

    def _find_offer(self) -> _Offered | None:
        """Return the offer of a program, or None where nobody will compile it."""
        from gpugrad._engines.compiled import offers

        numbered = self._plan()
        count = 1 + max(term.field for terms in numbered for term in terms)
        fields = [stand_in(self._f) for _ in range(count)]
        outputs = bind_fields(numbered, fields)
        if not self._takes(outputs):
            return None
        out = offers.stand_ins(outputs)
        return _Offered(offers.find_offer(outputs, out), numbered, outputs, out)

    def _takes(self, outputs: Outputs) -> bool:
        """Tell whether the compiler takes outputs."""
        from gpugrad._engines.compiled import engine, kernels

        is_unsupported = kernels.foresee() or engine.unsupported(outputs)
        return not is_unsupported and not distinct_masks(outputs)


class ReadyForHalves(ReadyCall):
    """The same for PyTorch's half precision, of whose bits fields are views.

    The way without a compiler takes single precision, which has a program sooner.
    """

    __slots__ = ()

    def _count(self, seconds: float) -> None:
        from gpugrad._engines.compiled import kernels

        if kernels.is_started():
            super()._count(seconds)
        else:
            self._calls_left = _OFTEN

    def _takes(self, outputs: Outputs) -> bool:
        from gpugrad._engines.compiled import engine

        return engine.takes_halves(outputs)


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
        super().__init__(partial(evaluate_numbered, ()), None, plan, f)
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
