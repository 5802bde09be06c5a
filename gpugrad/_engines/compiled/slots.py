"""Where new numbers go in the factors of a program that is there already.

A program reads equal numbers from one place, and multiplies by exact reciprocals of divisors. So
other numbers take the places of those that it came with if they are as equal to each other, and if
those were not divisors of this kind.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.compiled.factors import Factor, Factors, list_factors
from gpugrad._engines.numpy_steps import find_precision
from gpugrad._stencils import Formula, Outputs, list_formulas

Formulas = Sequence[Sequence[Formula]]
"""The formulas of each term, from row to row."""

_DIVISOR = -1


class _NumberAt(NamedTuple):
    """Where a number is, or one for each row: in which formula of a term, as which weight."""

    term: int
    formula: int
    operand: int


class Slots:
    """Where the numbers of formulas go in the arrays of factors.

    Parameters
    ----------
    outputs : sequence of terms
        What a program evaluates; no term has seams or alternatives.
    units : sequence of sequences of Formula, optional
        The formulas for spacings of 1, where other spacings stretch them.

    Raises
    ------
    ValueError
        If these numbers are special, so that most others are for another program.
    """

    def __init__(self, outputs: Outputs, units: Formulas | None = None) -> None:
        factors = Factors(outputs)
        if not factors.arrays:
            raise ValueError("there are no numbers.")
        self._dtype = factors.arrays[0].dtype
        self._are_stretched = units is not None
        self._structure = [
            [*map(_describe, list_formulas(term.plan))] for terms in outputs for term in terms
        ]
        places: list[dict[int, list[_NumberAt]]] = [{} for _ in factors.arrays]
        for slot, factor, key, offset in _list_slots(outputs, factors, self._are_stretched):
            if factor.values is None or factor.values.dtype != self._dtype:
                raise ValueError("numbers have several dtypes.")
            places[factors.number[key]].setdefault(offset, []).append(slot)
        # An array as it is, where a number for each row comes from, or which of the numbers it has.
        self._arrays: list[NumpyArray | _NumberAt | slice] = []
        self._slots: list[_NumberAt] = []
        repeated: list[tuple[int, _NumberAt]] = []
        for array, of_array in zip(factors.arrays, places, strict=True):
            slots = [slot for offset in sorted(of_array) for slot in of_array[offset]]
            if array.size > len(of_array):
                self._arrays.append(slots[0])
            elif units and not any(_is_stretched(slot, units) for slot in slots):
                self._arrays.append(array)
            elif not array.all():
                raise ValueError("a number is zero, of which there are two that are equal.")
            else:
                self._arrays.append(slice(len(self._slots), len(self._slots) + len(of_array)))
                for offset in sorted(of_array):
                    slot, *others = of_array[offset]
                    repeated += [(len(self._slots), other) for other in others]
                    self._slots.append(slot)
        if units:  # some numbers are equal for any spacing
            repeated = [
                (i, other)
                for i, other in repeated
                if _find_unit(self._slots[i], units) != _find_unit(other, units)
            ]
        self._count, self._repeated = len(self._slots), [i for i, _ in repeated]
        self._slots += [slot for _, slot in repeated]
        self._units = [_find_unit(slot, units) for slot in self._slots] if units else []

    def fill(self, numbers: Any) -> tuple[NumpyArray, ...] | None:
        """Return the arrays for other numbers; None if they are for another program.

        The numbers are spacings, given as ``h**order`` for each term; or formulas, if there are no
        units.
        """
        if self._are_stretched:
            return self._lay([
                value * numbers[i] if is_divisor else value / numbers[i] if is_divided else value
                for value, i, is_divisor, is_divided in self._units
            ])  # fmt: skip
        for expected, formulas in zip(self._structure, numbers, strict=True):
            if len(expected) != len(formulas) or not all(map(_has_structure, formulas, expected)):
                return None
        return self._lay([_find_number(slot, numbers) for slot in self._slots], numbers)

    def _lay(self, values: list[float], formulas: Formulas = ()) -> tuple[NumpyArray, ...] | None:
        numbers = np.array(values, self._dtype)
        if self._repeated:
            values = values if self._dtype.char == "d" else numbers.tolist()
            if values[self._count :] != [values[i] for i in self._repeated]:
                return None
        return tuple([
            numbers[part] if isinstance(part, slice)
            else part if isinstance(part, np.ndarray)
            else _lay_rows(_find_number(part, formulas), self._dtype)
            for part in self._arrays
        ])  # fmt: skip


def _lay_rows(values: NumpyArray, dtype: np.dtype[Any]) -> NumpyArray:
    if values.dtype is dtype and values.flags.c_contiguous:  # a third of the time
        return values
    return np.ascontiguousarray(values, dtype)


def _list_slots(
    outputs: Outputs, factors: Factors, are_stretched: bool
) -> Iterator[tuple[_NumberAt, Factor, Hashable, int]]:
    """Yield all numbers of formulas: where they are, what they are, and where that lies."""
    for i, term in enumerate(term for terms in outputs for term in terms):
        plan, dtype = term.plan, term.field.dtype
        table = factors.tables[id(plan)]
        precision = find_precision(dtype.newbyteorder("="), plan.dtype)
        for k, formula in enumerate(list_formulas(plan)):
            if formula.constant is not None:
                raise ValueError("constants are a matter of boundaries.")
            *weights, _, divisor = list_factors(formula, precision)
            is_mixed = int in map(type, formula.weights) and not formula.is_sum
            if is_mixed and (not are_stretched or formula.divisor is None):
                raise ValueError("weights are numbers that stay and numbers that do not.")
            for j, (w, factor) in enumerate(zip(formula.weights, weights, strict=True)):
                if getattr(w, "size", 2) == 1:
                    raise ValueError("numbers for each row are a single one.")
                if factor.values is not None:
                    yield _NumberAt(i, k, j), factor, *table.places[factor.key]
            if formula.divisor is not None:
                if divisor.kind != "factor":
                    raise ValueError("a divisor is 1, or has an exact reciprocal.")
                yield _NumberAt(i, k, _DIVISOR), divisor, *table.places[divisor.key]


def _describe(formula: Formula) -> tuple[Any, ...]:
    """Return what a formula is but for its numbers, and what its bare samples are taken with."""
    offsets, weights, divisor, _ = formula
    return offsets, tuple(map(type, weights)), type(divisor), weights if formula.is_sum else None


def _has_structure(formula: Formula, structure: tuple[Any, ...]) -> bool:
    """Tell whether a formula is so described; new coordinates in each call feel this."""
    offsets, weights, divisor, constant = formula
    expected, types, type_of_divisor, bare = structure
    return (
        offsets == expected
        and tuple(map(type, weights)) == types
        and type(divisor) is type_of_divisor
        and (bare is None or weights == bare)
        and constant is None
    )


def _find_number(slot: _NumberAt, formulas: Formulas) -> Any:
    term, k, operand = slot
    formula = formulas[term][k]
    return formula[2] if operand == _DIVISOR else formula[1][operand]


def _is_stretched(slot: _NumberAt, units: Formulas) -> bool:
    """Tell whether a number depends on the spacing: a divisor, or a weight that is divided."""
    _, weights, divisor, _ = units[slot.term][slot.formula]
    return slot.operand == _DIVISOR or (divisor is None and type(weights[0]) is not int)


def _find_unit(slot: _NumberAt, units: Formulas) -> tuple[float, int, bool, bool]:
    """Return a number for a spacing of 1, its term, and whether it is a divisor, or divided."""
    is_divisor = slot.operand == _DIVISOR
    is_divided = _is_stretched(slot, units) and not is_divisor
    return float(_find_number(slot, units)), slot.term, is_divisor, is_divided
