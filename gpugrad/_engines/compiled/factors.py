"""Weights and divisors as kernels take them, apart from the structure of the formulas they are in.

A program depends on the structure alone: which samples a formula reads, which of its weights are 1
or -1, which weights are equal. The values are arrays beside the fields, so that one program serves
every spacing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.numpy_steps import Precision, exact_reciprocal, find_precision
from gpugrad._stencils import AxisPlan, Formula, Outputs


class Factor(NamedTuple):
    """Something that a sum is multiplied with, or divided by.

    `kind` is "" for nothing, "+" and "-" for a sample that is added or subtracted as it is (with
    `values` where a product with 1 or -1 would do), "factor" for a number or a number for each row,
    "inverse" for the exact reciprocal of a divisor.
    """

    kind: str
    key: Hashable = None
    values: NumpyArray | None = None


NOTHING = Factor("")


def list_factors(formula: Formula, precision: Precision) -> list[Factor]:
    """Return the weights of a formula, then its constant, then its divisor."""
    _, weights, divisor, constant = formula
    # To multiply by 1 or -1 changes no bit of a real number.
    has_products = not formula.is_sum and precision.working.kind != "c"
    factors = []
    for w in weights:
        is_bare = type(w) is int
        factor = NOTHING if is_bare and not has_products else make_factor(w, precision.weights)
        factors.append(factor._replace(kind="+" if w == 1 else "-") if is_bare else factor)
    if constant is None:
        factors.append(NOTHING)
    else:  # what bare samples add up to has a precision of its own
        constant = precision.of_sum(formula.is_sum).type(constant)
        factors.append(make_factor(constant, precision.weights))
    is_real = precision.working.kind == "f"
    inverse = exact_reciprocal(divisor, precision.weights) if is_real else None
    if divisor is None or inverse == 1:
        factors.append(NOTHING)
    elif inverse is None:
        factors.append(make_factor(divisor, precision.weights))
    else:
        factors.append(make_factor(inverse, precision.weights)._replace(kind="inverse"))
    return factors


def make_factor(w: Any, dtype: np.dtype[Any]) -> Factor:
    """Return a number, or one for each row, in the dtype of the arithmetic."""
    values = np.atleast_1d(np.ascontiguousarray(w, dtype))
    return Factor("factor", (dtype, values.tobytes() if values.size == 1 else id(w)), values)


class FactorTable(NamedTuple):
    """The factors of some formulas, joined in a few arrays, and what else the formulas are.

    Attributes
    ----------
    structure : object
        The same object for all formulas that differ in the values of their factors alone. Which of
        these are equal belongs to the structure: they are one operand of a kernel.
    addresses : dict
        Where each array lies, by a key that equal arrays of other tables have too.
    places : dict
        For the key of each factor the key of its array, and its offset there in bytes.
    arrays : list of array
        The arrays, which must live as long as their addresses are used.
    """

    structure: object
    addresses: dict[object, int]
    places: dict[Hashable, tuple[object, int]]
    arrays: list[NumpyArray]


def make_table(
    formulas: Sequence[tuple[Formula, np.dtype[Any] | None]], dtype: np.dtype[Any]
) -> FactorTable:
    """Return the factors of formulas, each with the dtype of its spacing, for fields of a dtype.

    Fields along several axes often share the weights between the ends, and not the divisor. So the
    weights of the first formula, its divisor, the weights of all other formulas and their divisors
    are arrays of their own, as is a weight with a number for each row.
    """
    groups: dict[Hashable, list[tuple[Hashable, NumpyArray]]] = {}
    entries: list[Hashable] = []
    number: dict[Hashable, int] = {}
    for i, (formula, spacing_dtype) in enumerate(formulas):
        factors = list_factors(formula, find_precision(dtype, spacing_dtype))
        entries += formula.offsets
        for k, (kind, key, values) in enumerate(factors):
            if values is None:
                entries.append(kind)
                continue
            if key not in number:
                number[key] = len(number)
                is_divisor = k == len(factors) - 1
                group = number[key] if values.size > 1 else (i > 0, is_divisor, values.dtype)
                groups.setdefault(group, []).append((key, values))
            entries += kind, number[key], values.size, values.dtype
    addresses, places, arrays = {}, {}, []
    for joined in groups.values():
        array = joined[0][1]
        if len(joined) > 1:
            array = np.concatenate([values for _, values in joined])
        is_by_row = array.size > len(joined)
        array_key = object() if is_by_row else intern((array.dtype, array.tobytes()))
        addresses[array_key] = array.__array_interface__["data"][0]
        place = 0
        for key, values in joined:  # a formula of no rows may have arrays of no numbers
            places[key] = array_key, place
            place += values.nbytes
        arrays.append(array)
    return FactorTable(intern(tuple(entries)), addresses, places, arrays)


@lru_cache(maxsize=4096)
def intern(structure: Hashable) -> object:
    """Return an object that stands for all that is equal: to look it up costs next to nothing."""
    return object()


def find_table(plan: AxisPlan, dtype: np.dtype[Any]) -> FactorTable:
    """Return the factors of a plan and its alternatives, for fields of a dtype."""
    table: FactorTable | None = plan.memo.get(("factors", dtype.num))
    if table is None:
        formulas = [
            (formula, ranked.dtype)
            for ranked in plan.ranked
            for formula in (ranked.interior, *ranked.lower, *ranked.upper)
        ]
        table = make_table(formulas, dtype.newbyteorder("="))
        rows = tuple([(len(ranked.lower), len(ranked.upper)) for ranked in plan.ranked])
        table = table._replace(structure=intern((plan.axis, rows, table.structure)))
        plan.memo["factors", dtype.num] = table
    return table


class Factors:
    """The factors of the outputs of a call: their arrays, each once, in the order of terms.

    Attributes
    ----------
    description : tuple
        What outputs depend on but for their fields and the values of factors.
    number : dict
        The number of each array by its key.
    addresses : list of int
        Where the arrays lie, as long as this object lives.
    arrays : list of array
        The arrays themselves.
    tables : dict
        The factors of each plan by its `id`. Who goes on with these finds no others: of two threads
        each may make a table of its own, and a plan may forget one.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.number: dict[object, int] = {}
        self.addresses: list[int] = []
        self.arrays: list[NumpyArray] = []
        self.tables: dict[int, FactorTable] = {}
        description: list[object] = []
        for terms in outputs:
            for _, f, plan, _, seams in terms:
                for each in (plan, *[seam.plan for seam in seams]) if seams else (plan,):
                    table = self.tables[id(each)] = find_table(each, f.dtype)
                    description.append(table.structure)
                    for (key, address), array in zip(
                        table.addresses.items(), table.arrays, strict=True
                    ):
                        number = self.number.get(key)
                        if number is None:
                            number = self.number[key] = len(self.addresses)
                            self.addresses.append(address)
                            self.arrays.append(array)
                        description.append(number)
        self.description = tuple(description)
