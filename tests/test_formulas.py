"""The formulas of all rows in exact arithmetic: against SymPy's weights, and on polynomials.

Plans are made of arithmetic operators alone. So on coordinates that are fractions their weights
are fractions, and what is exact has no error at all.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from orders import make_plan

import gpugrad
from internals import TABLE, Side

try:
    from gmpy2 import mpq as Exact  # a fraction, too, and ten times as fast as Python's
except ImportError:
    Exact = Fraction

ORDERS, ACCURACIES = range(1, 9), range(2, 13, 2)
SHIFTS = {None: Exact(0), "left": Exact(-1, 2), "right": Exact(1, 2)}
ENDS = [
    ("one-sided", "normal"),
    ("reflect", "odd-reflect"),
    ("symmetric", "odd-symmetric"),
    ("edge", "constant"),
    ("periodic", "periodic"),
]
PADDING = {
    "periodic": "wrap",
    "reflect": "reflect",
    "odd-reflect": "reflect",
    "symmetric": "symmetric",
    "odd-symmetric": "symmetric",
    "edge": "edge",
}


@cache
def sympys_weights(places, order):
    """Return the weights of samples at some places for a derivative at 0."""
    sympy = pytest.importorskip("sympy")
    exact = [sympy.Rational(place.numerator, place.denominator) for place in places]
    weights = sympy.finite_diff_weights(order, exact, 0)[order][-1]
    return [Exact(int(w.p), int(w.q)) for w in weights]


def some_fractions(rng, count, kind=Exact):
    """Return uneven coordinates, which floats hold exactly."""
    return [kind(int(k), 16) for k in np.cumsum(rng.integers(5, 20, count))]


def weigh(formula, row=0):
    """Return the weights of a row by offset, the divisor taken in, and those of zero left out."""
    divisor = formula.divisor[row] if np.ndim(formula.divisor) else formula.divisor
    total = {}
    for k, w in zip(formula.offsets, formula.weights, strict=True):
        w = Exact(w[row] if np.ndim(w) else w)
        total[k] = total.get(k, 0) + (w if divisor is None else w / Exact(divisor))
    return {k: w for k, w in total.items() if w}


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_weights_at_any_places_are_sympys(rng, order, accuracy):
    places = some_fractions(rng, order + accuracy, Fraction)
    for at in (places[0], places[-1], places[len(places) // 2], places[1] + Fraction(1, 3)):
        offsets = tuple(place - at for place in places)
        formula = gpugrad.stencil(order, offsets=offsets)
        assert list(formula.weights) == sympys_weights(offsets, order)


@pytest.mark.sampled(2, exhaustive=2)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("stagger", SHIFTS)
@pytest.mark.parametrize("ends", ENDS[1:], ids="-".join)
def test_beyond_an_end_the_weights_of_the_inside_go_to_stand_ins(ends, stagger, order, accuracy):
    n = 40
    sides = tuple(Side(name, 1.0 if name == "constant" else None) for name in ends)
    plan = make_plan(n, 1.0, order=order, accuracy=accuracy, sides=sides, stagger=stagger)
    inside = weigh(plan.interior)
    exact = sympys_weights(tuple(k - SHIFTS[stagger] for k in sorted(inside)), order)
    if stagger is None:
        exact = sympys_weights(tuple(range(min(inside), max(inside) + 1)), order)
        exact = [w for w in exact if w]
    is_exact = stagger is None or accuracy < 8
    for w, wanted in zip((inside[k] for k in sorted(inside)), exact, strict=True):
        assert w == wanted if is_exact else abs(w - wanted) < abs(wanted) * 2**-52
    width = 12
    for row in range(n):
        stand_ins, signs, outside = {}, {}, {}
        for name, is_upper in zip(ends, (False, True), strict=True):
            mode = PADDING.get(name, "edge")
            numbers = np.pad(np.arange(n), width, mode=mode)
            for k in inside:
                beyond = row + k >= n if is_upper else row + k < 0
                if beyond or 0 <= row + k < n:
                    stand_ins[k] = int(numbers[row + k + width])
                    signs[k] = -1 if beyond and name.startswith("odd") else 1
                    outside[k] = beyond and name == "constant"
        expected, constant = {}, 0
        for k, w in inside.items():
            if outside[k]:
                constant += w
            else:
                expected[stand_ins[k] - row] = expected.get(stand_ins[k] - row, 0) + signs[k] * w
        region = next(r for r in plan.regions(n) if r.start <= row < r.stop)
        got = weigh(region.formula)
        expected = {k: w for k, w in expected.items() if w}
        # A divisor that is no integer is rounded.
        rounded = not is_exact or (region.formula.divisor or 1) % 1
        tolerance = 2**-48 * max(map(abs, inside.values())) if rounded else 0
        for k in expected.keys() | got.keys():
            assert abs(got.get(k, 0) - expected.get(k, 0)) <= tolerance
        divisor = region.formula.divisor or 1
        found = Exact(region.formula.constant or 0) / Exact(divisor)
        assert abs(found - constant) <= tolerance


@pytest.mark.sampled(2, exhaustive=2)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("stagger", SHIFTS)
@pytest.mark.parametrize("name", ["one-sided", "normal"])
def test_polynomials_have_no_error_in_any_row(rng, name, stagger, order, accuracy):
    if (name, stagger, order, accuracy) == ("one-sided", None, 1, 2):
        pytest.skip("NumPy's own formulas have floats in them; others test them in floats")
    reach = (order + accuracy) // 2 + 1
    n = order + accuracy + 2 * reach
    x = some_fractions(rng, n)
    x = [at - x[n // 2] for at in x]
    side = Side(name, Exact(1) if name == "normal" else None)
    plan = make_plan(
        n, np.array(x, object), order=order, accuracy=accuracy, edge_accuracy=accuracy,
        sides=(side, side), stagger=stagger,
    )  # fmt: skip
    odd = (order % 2 == 0) if stagger is None else (order % 2 == 1)
    degree = order + accuracy - 1 - odd  # by symmetry, even samples gain a power
    rows = [(i, r.formula, i - r.start) for r in plan.regions(n) for i in range(r.start, r.stop)]
    for i, formula, k in rows:
        at = x[i]
        if stagger is not None:
            other = i + (1 if stagger == "right" else -1)
            gap = x[i] - x[other] if 0 <= other < n else x[2 * i - other] - x[i]
            at = x[i] - gap / 2
        weights = weigh(formula, k)
        for d in range(degree + 1):
            total = sum(w * x[i + j] ** d for j, w in weights.items())
            if formula.constant:
                end, outward = (x[0], -1) if i < n / 2 else (x[-1], 1)
                total += formula.constant * outward * d * end ** max(d - 1, 0)
            assert total == math.perm(d, order) * at ** max(d - order, 0)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ends", ENDS, ids="-".join)
def test_weights_in_floats_are_those_in_fractions(rng, ends, order, accuracy):
    n = order + accuracy + 3
    x = some_fractions(rng, n)
    values = {"normal": 0.5, "constant": 0.75}
    exact, floats = (
        make_plan(
            n, coordinates, order=order, accuracy=accuracy, edge_accuracy=accuracy,
            sides=tuple(Side(name, values.get(name)) for name in ends),
        )
        for coordinates in (np.array(x, object), np.array(x, float))
    )  # fmt: skip
    for one, other in zip(floats.regions(n), exact.regions(n), strict=True):
        for k in range(one.stop - one.start):
            got, wanted = weigh(one.formula, k), weigh(other.formula, k)
            largest = max(map(abs, wanted.values()), default=1)
            for j in got.keys() | wanted.keys():
                assert abs(float(got.get(j, 0) - wanted.get(j, 0))) < 1e-11 * largest
            a, b = (float(f.constant or 0) for f in (one.formula, other.formula))
            assert a == pytest.approx(b, rel=1e-11, abs=1e-11 * float(largest))


def test_every_boundary_is_among_them():
    assert {name for pair in ENDS for name in pair} == TABLE.keys()
