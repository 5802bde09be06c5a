"""When to compile: what another engine has cost so far, against what compiling costs.

Who might need a pair of skis for a day, or for years, and cannot know, rents until the rents add up
to the price, and then buys: whatever comes, the skis cost no more than twice the least. So a
program is made once other engines have taken as long for what it does as it takes to make. A call
that is expected to take longer by itself has it made at once; for others it is made on a thread
that no call waits for, unless calls are to take one thread.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory
from gpugrad._arrays import threads as _threads
from gpugrad._engines.compiled import kernels
from gpugrad._engines.compiled.factors import Factors
from gpugrad._engines.compiled.masked_sums import evaluate_sums, forget_masks, is_masked_sum
from gpugrad._engines.compiled.program import Draft, Program, bound_size, draft_program
from gpugrad._engines.numpy_steps import find_result
from gpugrad._engines.store import Store
from gpugrad._stencils import Outputs, describe_outputs, distinct_arrays

PATIENCE = 1.0
"""How much of what a program costs may have been spent without it before it is made."""

START_SECONDS = 0.15
"""What it takes to load the compiler; all programs together wait for that."""

LAYOUT_SECONDS = 15e-6
"""What it takes to lay out an operand of a program."""

TAP_SECONDS = 1.2e-9
"""What the engine without a compiler takes for each sample that a result is made of."""

MOST_BYTES = 1 << 25
"""Bytes of all programs. What is larger by itself is not made, unless it is asked for by name."""

OFFER_BYTES = 1 << 10
"""About what an offer takes without a program."""

programs: Store[Offer] = Store(most=4096, most_bytes=MOST_BYTES)
"""Programs, made or not, by the structure of their formulas and the layout of their arrays.

They are not in `AxisPlan.memo`: a program is made of several plans, and serves others of their
structure.
"""

_NOTHING = np.empty(0, np.int64)
MANY = Program(_NOTHING, _NOTHING, _NOTHING, np.empty((0, 4), np.int64), [0])
"""Stands for the programs of sums of masked fields, which are evaluated one by one."""

_spent_by_all = 0.0


class Offer:
    """A program that there is, or that may be made if that pays. It holds no array of a call.

    Attributes
    ----------
    program : Program or None
        The program, once it can run.
    spent : float
        The seconds that other engines have taken for what it does.
    """

    __slots__ = ("_asked_by", "_drafts", "_is_declined", "_is_many", "_known", "_last", "_price",
                 "key", "program", "spent")  # fmt: skip

    def __init__(self, key: Hashable, outputs: Outputs) -> None:
        size = bound_size(outputs)
        self.key = key
        self.program: Program | None = None
        self.spent = 0.0
        self._last: float | None = None  # what the last call has taken
        self._price = LAYOUT_SECONDS * size.operands
        self._is_many = any(map(is_masked_sum, outputs))
        self._is_declined = size.nbytes > MOST_BYTES and not self._is_many
        self._drafts: list[Draft] | None = None
        self._known = -1  # how many kernels there were when the price was found
        self._asked_by = 0  # the process that has it made in the background

    def count(self, seconds: float) -> None:
        """Count what another engine has taken for what the program does."""
        global _spent_by_all
        self._last = seconds
        self.spent += seconds
        _spent_by_all += seconds

    def take(self, outputs: Outputs, out: Sequence[NumpyArray]) -> Program | None:
        """Return the program, if there is one by now, or it pays to make it in this very call."""
        if self.program is None and self._is_due(outputs, out):
            if self._pays_at_once(outputs):
                return self.make(outputs, out)
            if self._asked_by != os.getpid():
                self._ask()
        return self.program

    def is_ready(self, outputs: Outputs, out: Sequence[NumpyArray]) -> bool:
        """Tell whether `take` would return a program."""
        is_made = self.program is not None
        return is_made or (self._is_due(outputs, out) and self._pays_at_once(outputs))

    def make(self, outputs: Outputs, out: Sequence[NumpyArray]) -> Program:
        """Return the program, whatever it costs."""
        if self.program is None:
            self._finish(self.draft(outputs, out))
        assert self.program is not None
        return self.program

    def draft(self, outputs: Outputs, out: Sequence[NumpyArray]) -> list[Draft]:
        """Lay out the program, or all that it is made of, once."""
        drafts = self._drafts
        if drafts is None:
            drafts, nbytes = _draft(outputs, out), OFFER_BYTES
            if not self._is_many:
                nbytes += drafts[0].program.nbytes
            self._drafts = drafts
            programs.keep(self.key, self, nbytes)
        return drafts

    def _is_due(self, outputs: Outputs, out: Sequence[NumpyArray]) -> bool:
        """Tell whether it pays to make the program by now; find its price, once that pays."""
        if self._is_declined:
            return False
        patience, spent = PATIENCE, max(self.spent, self._expect(outputs))
        if spent < patience * self._price:
            return False
        if self._drafts is None or self._known != len(kernels.addresses):
            self._known = len(kernels.addresses)
            specs = {spec for draft in self.draft(outputs, out) for spec in draft.specs}
            missing = [spec for spec in specs if spec not in kernels.addresses]
            self._price = sum(map(kernels.expect_seconds, missing))
        if kernels.is_started():
            return spent >= patience * self._price
        # All programs together pay for the start.
        all_spent = max(_spent_by_all, spent - self._price)
        return spent >= patience * self._price and all_spent >= patience * START_SECONDS

    def _expect(self, outputs: Outputs) -> float:
        """Return how long another engine will take."""
        return expect_seconds(outputs) if self._last is None else self._last

    def _pays_at_once(self, outputs: Outputs) -> bool:
        """Tell whether a call should wait for the program, which pays by now."""
        start = 0.0 if kernels.is_started() else START_SECONDS
        price = self._price + start
        return self._expect(outputs) >= PATIENCE * price or _threads.count() == 1

    def _ask(self) -> None:
        """Have the program made on a thread that no call waits for."""
        assert self._drafts is not None
        specs = dict.fromkeys(spec for draft in self._drafts for spec in draft.specs)
        works: list[Any] = [self._try_start]
        works += [partial(self._try, kernels.compile_kernel, spec) for spec in specs]
        works += [partial(self._try, self._finish, self._drafts)]
        self._asked_by = os.getpid()
        if not _threads.run_later(works):
            self._asked_by = 0

    def _try_start(self) -> None:
        if kernels.start():
            self._is_declined = True

    def _try(self, work: Any, argument: Any) -> None:
        """Do a part of the work; if it fails, there will be no program but by `make`."""
        if self._is_declined:
            return
        try:
            work(argument)
        except BaseException:
            self._is_declined = True
            raise

    def _finish(self, drafts: list[Draft]) -> None:
        made = [draft.finish() for draft in drafts]
        if self.program is None:  # another thread may have made it
            self.program = MANY if self._is_many else made[0]
            self._drafts = []


def _draft(outputs: Outputs, out: Sequence[NumpyArray]) -> list[Draft]:
    """Lay out the program for outputs, or all programs where some are masked sums."""
    pairs = list(zip(outputs, out, strict=True))
    apart = [pair for pair in pairs if is_masked_sum(pair[0])]
    if not apart:
        return [draft_program(outputs, out, Factors(outputs))]
    drafts: list[Draft] = []

    def draft(outputs: Outputs, out: Sequence[NumpyArray] | None = None) -> Sequence[NumpyArray]:
        outputs = forget_masks(outputs)
        if out is None:
            out = [memory.empty_like(terms[0].field, find_result(terms)) for terms in outputs]
        drafts.extend(find_offer(outputs, out).draft(outputs, out))
        return out

    evaluate_sums([terms for terms, _ in apart], [target for _, target in apart], draft)
    rest = [pair for pair in pairs if not is_masked_sum(pair[0])]
    if rest:
        draft([terms for terms, _ in rest], [target for _, target in rest])
    return drafts


def expect_seconds(outputs: Outputs) -> float:
    """Return how long the engine without a compiler will take, about."""
    size: int = outputs[0][0].field.size
    taps = sum(
        len(ranked.interior.offsets)
        for terms in outputs
        for term in terms
        for ranked in term.plan.ranked
    )
    return TAP_SECONDS * size * taps


def find_offer(outputs: Outputs, out: Sequence[NumpyArray]) -> Offer:
    """Return the offer of a program that evaluates outputs into arrays laid out as `out` is."""
    key = _describe(outputs, out)
    offer = programs.find(key)
    if offer is None:
        offer = Offer(key, outputs)
        programs.keep(key, offer, OFFER_BYTES)
    return offer


def is_ready(outputs: Outputs) -> bool:
    """Tell whether a call would take a program, for results in new memory; count nothing."""
    outputs = forget_masks(outputs)
    out = stand_ins(outputs)
    key = _describe(outputs, out)
    return (programs.find(key) or Offer(key, outputs)).is_ready(outputs, out)


def is_made(outputs: Outputs) -> bool:
    """Tell whether there is a program already, for results in new memory."""
    offer = programs.find(_describe(outputs, stand_ins(outputs)))
    return offer is not None and offer.program is not None


def stand_ins(outputs: Outputs) -> list[NumpyArray]:
    """Return what stands for new results where only their layout counts."""
    return [memory.stand_in(outputs[0][0].field, find_result(terms)) for terms in outputs]


def _describe(outputs: Outputs, out: Sequence[NumpyArray]) -> Hashable:
    arrays = [*distinct_arrays(outputs), *out]
    return describe_outputs(outputs, arrays), Factors(outputs).description
