"""Calls that are ready: of outputs whose shape, dtype and formulas are known, field by field.

The engine without a compiler serves until a compiled program pays, as in all calls (see
`compiled.offers`). Then a call is one foreign call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from gpugrad._arrays import NumpyArray
from gpugrad._arrays.memory import stand_in
from gpugrad._stencils import Outputs, change_terms

if TYPE_CHECKING:
    from gpugrad._engines.compiled.offers import Offer
    from gpugrad._engines.compiled.program_call import ProgramCall

MOST_BYTES = 1 << 21
"""Bytes of a field up to which one thread makes all of it, in one foreign call."""

_OFTEN = 64
"""Calls after which what they have cost is counted. One of them is timed, and counts for all."""

_NEVER = 1 << 62

Evaluate = Callable[[Sequence[NumpyArray], Sequence[NumpyArray] | None], Sequence[NumpyArray]]
"""What returns the results of fields, written to arrays if some are given."""


class ReadyCall:
    """Outputs of fields of one shape and dtype, evaluated by what is fastest so far.

    Parameters
    ----------
    evaluate : callable
        The way without a compiler: ``evaluate(fields, out)``.
    evaluate_single : callable or None
        The same for one derivative of one field: ``evaluate_single(f)``.
    plan : callable
        Returns the outputs, whose terms have numbers for fields.
    f : array
        What stands for the fields.
    is_counted : bool
        Whether what the way without a compiler costs is counted there.
    """

    __slots__ = ("_calls_left", "_evaluate", "_evaluate_single", "_f", "_is_counted",
                 "_launch", "_offer", "_plan")  # fmt: skip

    def __init__(
        self,
        evaluate: Evaluate,
        evaluate_single: Callable[[NumpyArray], NumpyArray] | None,
        plan: Callable[[], Outputs],
        f: NumpyArray,
        is_counted: bool,
    ) -> None:
        self._is_counted = is_counted
        self._evaluate, self._evaluate_single, self._plan = evaluate, evaluate_single, plan
        self._f = f
        self._launch: ProgramCall | None = None
        self._offer: Offer | None = None
        self._calls_left = _OFTEN

    def __call__(
        self, fields: Sequence[NumpyArray], out: Sequence[NumpyArray] | None = None
    ) -> Sequence[NumpyArray]:
        """Return the outputs; arrays in `out` have their dtypes, and overlap with no field."""
        if self._launch is not None:
            launched = self._launch(fields, out)
            if launched is not None:
                return launched
        self._calls_left -= 1
        if self._calls_left > 0:
            return self._evaluate(fields, out)
        begin = perf_counter()
        results = self._evaluate(fields, out)
        self._count(perf_counter() - begin)
        return results

    def call_single(self, f: NumpyArray) -> NumpyArray:
        """Return the one derivative of one field, where there is but one."""
        result = None if self._launch is None else self._launch.evaluate_single(f)
        if result is not None:
            return result
        self._calls_left -= 1
        if self._calls_left > 0 and self._evaluate_single is not None:
            return self._evaluate_single(f)
        return self((f,))[0]

    def _count(self, seconds: float) -> None:
        """Count what calls have cost, and take the compiled program once there is one."""
        self._calls_left = _NEVER
        if self._launch is not None or self._f.nbytes > MOST_BYTES:
            return
        from gpugrad._engines.compiled import engine, kernels, offers

        numbered = self._plan()
        fields = [stand_in(self._f) for _ in range(1 + max(t.field for ts in numbered for t in ts))]
        outputs = change_terms(numbered, lambda term: term._replace(field=fields[term.field]))
        if kernels.foresee() or engine.unsupported(outputs):
            return
        self._calls_left = _OFTEN
        out = offers.stand_ins(outputs)
        if self._offer is None:
            self._offer = offers.find_offer(outputs, out)
        if not self._is_counted:
            self._offer.count(_OFTEN * seconds)
        program = self._offer.take(outputs, out)
        if program is None:
            return
        from gpugrad._engines.compiled.program_call import ProgramCall, is_small

        if is_small(program):
            order = dict.fromkeys(term.field for terms in numbered for term in terms)
            self._launch = ProgramCall(program, outputs, [*order])
        else:
            self._calls_left = _NEVER
