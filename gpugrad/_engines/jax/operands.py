"""Plans without their numbers: what is compiled once serves every spacing.

Weights, divisors and constants become operands of a program, but for the integers 1 and -1, which
add and subtract. What varies along an axis that is cut is cut likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, namespace_of
from gpugrad._engines.jax.shards import Cut, Cuts
from gpugrad._engines.slices import vanishes_of_constants
from gpugrad._stencils import AxisPlan, Formula

Spec = tuple[Any, ...]
"""The names of axes of a mesh, or None, for each axis of an array."""


class Slot(NamedTuple):
    """What stands for an array; one of the host is rounded to the precision of products."""

    number: int
    on_host: bool


class NumberSlot(NamedTuple):
    """What stands for a number: its place among those that travel together, in one array.

    It is rounded to the precision of products. In place of a divisor its reciprocal travels: XLA
    divides by no number, but multiplies by its reciprocal, which it would work out in each call.
    """

    place: int


_EXACT = frozenset((0.0, 0.5, 1.0, 2.0, -0.5, -1.0, -2.0))
"""Numbers that stay in formulas: those of whole steps, most of them, which XLA then leaves out."""


class Reciprocal(NamedTuple):
    """A divisor whose reciprocal is known: to divide by it is to multiply."""

    value: Any

    def __rtruediv__(self, x: Array) -> Array:
        """Divide."""
        return x * self.value


class FormulaOutline(NamedTuple):
    """A formula with slots for its operands, and whether it gives zero for constants."""

    formula: Formula
    vanishes: bool


class RankedOutline(NamedTuple):
    """A plan with slots, one of those among which a row under a mask chooses."""

    lower: tuple[FormulaOutline, ...]
    interior: FormulaOutline
    upper: tuple[FormulaOutline, ...]

    @property
    def ends(self) -> tuple[FormulaOutline, ...]:
        """The rows at both ends."""
        return (*self.lower, *self.upper)


class PlanOutline(NamedTuple):
    """A plan and its alternatives with slots: all that programs depend on."""

    axis: int
    dtype: np.dtype[Any] | None
    ranked: tuple[RankedOutline, ...]
    numbers: int
    """How many there are."""
    operands: int
    """How many arrays there are besides."""


_CONSTANT, _WEIGHT, _DIVISOR = range(3)
"""What a number is: the same for all spacings, divided by their power, or multiplied by it."""


class Operands:
    """The operands of a call: numbers, and arrays, and how each of these is spread over devices.

    Where they are `for_spacings`, plans have spacings of 1, and numbers are slots wherever another
    spacing changes them.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        spec: Spec,
        cuts: Cuts,
        precision: np.dtype[Any],
        for_spacings: bool = False,
    ) -> None:
        self._real, self._for_spacings = precision.type, for_spacings
        self._numbers: dict[tuple[float, int], int] = {}
        self.values: list[Any] = []
        self.specs: list[Spec] = []
        self._shape, self._spec, self._cuts = shape, spec, cuts

    def outline(self, plan: AxisPlan) -> PlanOutline:
        """Return a plan with slots for its operands, which are taken over."""
        n, cut = self._shape[plan.axis], self._cuts[plan.axis]
        ranked = []
        for rows in plan.ranked:
            first, last = len(rows.lower), n - len(rows.upper)
            # Each block has rows of the interior, be they used or not: where none is, any will do.
            interior = rows.interior if first < last or cut is None else Formula((), ())
            pad = None if cut is None else (first, n)
            ranked.append(
                RankedOutline(
                    tuple([self._take(near(row, n, cut), plan.axis) for row in rows.lower]),
                    self._take(interior, plan.axis, pad),
                    tuple([self._take(near(row, n, cut), plan.axis) for row in rows.upper]),
                )
            )
        counts = len(self._numbers), len(self.values)
        return PlanOutline(plan.axis, plan.dtype, tuple(ranked), *counts)

    def _take(
        self, formula: Formula, axis: int, pad: tuple[int, int] | None = None
    ) -> FormulaOutline:
        of_weights = _CONSTANT
        if formula.divisor is None and formula.weights and type(formula.weights[0]) is not int:
            of_weights = _WEIGHT
        weights = [self._slot(w, axis, pad, of_weights) for w in formula.weights]
        divisor = self._slot(formula.divisor, axis, pad, _DIVISOR)
        constant = self._slot(formula.constant, axis, pad, _CONSTANT)
        if type(divisor) is float:
            divisor = Reciprocal(1 / divisor)
        elif type(divisor) is NumberSlot:
            divisor = Reciprocal(divisor)
        vanishes = vanishes_of_constants(formula) if formula.offsets else True
        return FormulaOutline(Formula(formula.offsets, tuple(weights), divisor, constant), vanishes)

    def work_out(self, power: float = 1.0) -> list[float]:
        """Return the numbers for a spacing, given as ``h**order``."""
        numbers, real = [], self._real
        for number, kind in self._numbers:
            if kind == _DIVISOR:
                # Of the divisor as it would be rounded, as NumPy divides by that.
                numbers.append(float(real(1) / real(number * power)))
            else:
                numbers.append(number / power if kind == _WEIGHT else number)
        return numbers

    def _slot(self, w: Any, axis: int, pad: tuple[int, int] | None, kind: int) -> Any:
        changes = self._for_spacings and kind != _CONSTANT
        if w is None or (type(w) is int and not changes):
            return w
        if isinstance(w, (int, float, np.floating)):
            if w in _EXACT and not changes:
                return float(w)
            number = float(w), kind
            return NumberSlot(self._numbers.setdefault(number, len(self._numbers)))
        on_host = isinstance(w, np.ndarray)
        if on_host and w.dtype == np.longdouble:
            w = np.asarray(w, np.float64)
        spec: Spec = ()
        if getattr(w, "ndim", 0):
            along = 0 if w.ndim == 1 else axis
            if pad is not None and (w.ndim == 1 or w.shape[along] > 1):
                w = _pad(w, along, *pad)
            axes = (axis,) if w.ndim == 1 else range(w.ndim)
            spec = tuple([
                self._spec[i] if length > 1 and length == self._shape[i] else None
                for i, length in zip(axes, w.shape, strict=True)
            ])  # fmt: skip
        self.values.append(w)
        self.specs.append(spec)
        return Slot(len(self.values) - 1, on_host)


def near(formula: Formula, n: int, cut: Cut | None) -> Formula:
    """Return a formula that reaches no further than half of an axis, where need be round it."""
    if cut is None:
        return formula
    offsets = [k if abs(k) <= n - abs(k) else k - n if k > 0 else k + n for k in formula.offsets]
    return formula._replace(offsets=tuple(offsets))


def _pad(w: Array, axis: int, first: int, n: int) -> Array:
    """Return weights of rows from `first` on with ones before and behind, `n` in all."""
    pads = [(0, 0)] * w.ndim
    pads[axis] = first, n - first - w.shape[axis]
    xp = np if isinstance(w, np.ndarray) else namespace_of(w)
    return xp.pad(w, pads, constant_values=1)


def fill_plan(outline: PlanOutline, fill: Callable[[Any], Any]) -> tuple[AxisPlan, list[Formula]]:
    """Return a plan whose operands are put in by `fill`, and which formulas vanish of constants."""
    vanishing: list[Formula] = []

    def fill_row(row: FormulaOutline) -> Formula:
        *weights, divisor, constant = map(fill, row.formula.operands)
        formula = Formula(row.formula.offsets, tuple(weights), divisor, constant)
        if row.vanishes:
            vanishing.append(formula)
        return formula

    def fill_rows(rows: RankedOutline) -> AxisPlan:
        lower, upper = (tuple(map(fill_row, ends)) for ends in (rows.lower, rows.upper))
        interior = fill_row(rows.interior)
        return AxisPlan(outline.axis, lower, interior, upper, outline.dtype, False, {})

    first, *others = map(fill_rows, outline.ranked)
    return first._replace(alternatives=tuple(others)), vanishing


def find_halo(outlines: Sequence[PlanOutline], axis: int, cut: Cut) -> tuple[int, int, bool]:
    """Return how many rows before and behind its own a block needs, and whether ends meet.

    Ends meet where the first block needs rows of the last one, or the last one rows of the first.
    """
    before = behind = 0
    meet = False
    n = cut.devices * cut.length
    for outline in outlines:
        for rows in outline.ranked if outline.axis == axis else ():
            inner = rows.interior.formula.offsets
            before, behind = max([before, *[-k for k in inner]]), max([behind, *inner])
            numbers = (*range(len(rows.lower)), *range(n - len(rows.upper), n))
            for i, row in zip(numbers, rows.ends, strict=True):
                for k in row.formula.offsets:
                    place = i % cut.length + k
                    before, behind = max(before, -place), max(behind, place - cut.length + 1)
                    meet = meet or not 0 <= i + k < n
    return before, behind, meet
