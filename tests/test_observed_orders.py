"""The order of the error of every scheme with every boundary: fitted over four resolutions.

The largest error over the whole axis, rows at the ends included, on fields which the boundaries
fit. Numbers have so many digits that rounding never shows; floats are compared with these plans
elsewhere.
"""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
import pytest
from orders import has_exact_weights, make_plan, observe_evenly, observe_precisely

from internals import TABLE, Side

gmpy2 = pytest.importorskip("gmpy2", reason="gmpy2 has the numbers of many digits")

ORDERS, ACCURACIES = range(1, 9), range(2, 13, 2)
OUTSIDE = 0.75
"""The field beyond an end that is given."""


def wave(sign):
    """Return cos(2 pi x) or sin(2 pi x), as numbers of gmpy2, and its derivatives."""
    shift = 0 if sign == 1 else -1

    def field(x, order=0):
        k = 2 * gmpy2.const_pi()
        return k**order * gmpy2.cos(k * x + (order + shift) * k / 4)

    return field


def exponential(x, order=0):
    """Return a field with a slope of 1 at 0, and no derivative that vanishes."""
    return gmpy2.exp(x)


def bump(x, order=0):
    """Return a smooth hill on a plain, which is as flat as can be at 0 and 1, and ends there."""
    if not 0 < x < 1:  # as a face beyond an end may be
        return gmpy2.mpfr(0 if order else OUTSIDE)
    if order == 0:
        return OUTSIDE + (4 * x * (1 - x)) ** 24
    terms = (
        math.comb(24, k) * (-1) ** k * math.perm(24 + k, order) * x ** (24 + k - order)
        for k in range(25)
    )
    return 4**24 * sum(terms)


# The field, where the first sample is (in cells), how many there are more than cells, and what
# the boundary is called.
EVEN = {
    "one-sided": (exponential, 0, 1, "one-sided"),
    "normal": (exponential, 0, 1, ({"normal": -1.0}, "one-sided")),
    "periodic": (wave(-1), 0, 0, "periodic"),
    "reflect": (wave(1), 0, 1, "reflect"),
    "odd-reflect": (wave(-1), 0, 1, "odd-reflect"),
    "symmetric": (wave(1), 0.5, 0, "symmetric"),
    "odd-symmetric": (wave(-1), 0.5, 0, "odd-symmetric"),
    "edge": (bump, 0, 1, "edge"),
    "constant": (bump, 0, 1, OUTSIDE),
}


def test_there_is_a_field_for_every_boundary():
    assert EVEN.keys() == UNEVEN.keys() == TABLE.keys()


def observe(name, *, order, accuracy, **keywords):
    """Observe the order on even samples, with the weights that floats have if none is rounded."""
    field, shift, last, boundary = EVEN[name]
    keywords |= {"order": order, "accuracy": accuracy, "edge_accuracy": accuracy}
    sizes = (256, 512, 1024, 2048) if accuracy == 12 else (128, 256, 512, 1024)
    ends = boundary if name == "normal" else "one-sided"  # to which polynomials are known
    if not has_exact_weights(make_plan(64, 1.0, boundary=ends, **keywords), 64, order):
        grid, fit = UNEVEN[name]
        return observe_precisely(partial(grid, bend=keep), fit, sizes=sizes, **keywords)
    return observe_evenly(
        field, lambda x: field(x, order), shift=shift, last=last,
        sizes=sizes, boundary=boundary, **keywords,
    )  # fmt: skip


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", TABLE)
def test_on_even_samples(name, order, accuracy):
    assert observe(name, order=order, accuracy=accuracy) == pytest.approx(accuracy, abs=0.2)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("edge_accuracy", range(1, 7))
@pytest.mark.parametrize("order", ORDERS)
def test_at_ends_of_another_accuracy_than_inside(order, edge_accuracy):
    observed = observe_evenly(
        exponential, exponential, order=order, accuracy=6, edge_accuracy=edge_accuracy,
    )  # fmt: skip
    assert observed == pytest.approx(edge_accuracy, abs=0.2)


@pytest.mark.exhaustive
@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("accuracy", [2, 4, 8, 12])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", TABLE)
def test_on_the_faces_of_even_samples(name, order, accuracy):
    side = ["left", "right"][order % 2]
    observed = observe(name, order=order, accuracy=accuracy, stagger=side)
    assert observed == pytest.approx(accuracy, abs=0.2)


def bend(s):
    """Return a place on an uneven axis from 0 to 1: odd about both ends, so mirrors fit it."""
    return s + gmpy2.sin(2 * gmpy2.const_pi() * s) / 20


def keep(s):
    """Return a place on an even axis."""
    return s


@cache
def from_end_to_end(n, bend=bend):
    return np.array([bend(gmpy2.mpfr(i) / n) for i in range(n + 1)], object), None


@cache
def from_cell_to_cell(n, bend=bend):
    return np.array([bend((i + gmpy2.mpfr(0.5)) / n) for i in range(n)], object), None


def once_round(n, bend=bend):
    x, _ = from_end_to_end(n, bend)
    return x[:-1], gmpy2.mpfr(1)


def exponential_on(names):
    def field(x):
        values = {"one-sided": (None, None), "normal": (-gmpy2.exp(x[0]), gmpy2.exp(x[-1]))}
        sides = tuple(Side(names, value) for value in values[names])
        return lambda at, order: gmpy2.exp(at), sides

    return field


def wave_on(name):
    def field(x):
        low, high = x[0], x[-1]
        if name.endswith("symmetric"):
            low, high = low - (x[1] - x[0]) / 2, high + (x[-1] - x[-2]) / 2
        k = 2 * gmpy2.const_pi() if name == "periodic" else gmpy2.const_pi() / (high - low)
        shift = 0 if name in ("reflect", "symmetric") else -1

        def at(place, order):
            return k**order * gmpy2.cos(k * (place - low) + (order + shift) * gmpy2.const_pi() / 2)

        return at, (Side(name),) * 2

    return field


def bump_on(name):
    side = Side(name, OUTSIDE if name == "constant" else None)
    return lambda x: (bump, (side, side))


UNEVEN = {
    "one-sided": (from_end_to_end, exponential_on("one-sided")),
    "normal": (from_end_to_end, exponential_on("normal")),
    "periodic": (once_round, wave_on("periodic")),
    "reflect": (from_end_to_end, wave_on("reflect")),
    "odd-reflect": (from_end_to_end, wave_on("odd-reflect")),
    "symmetric": (from_cell_to_cell, wave_on("symmetric")),
    "odd-symmetric": (from_cell_to_cell, wave_on("odd-symmetric")),
    "edge": (from_end_to_end, bump_on("edge")),
    "constant": (from_end_to_end, bump_on("constant")),
}


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", TABLE)
def test_on_uneven_samples(name, order, accuracy):
    observed = observe_precisely(
        *UNEVEN[name], order=order, accuracy=accuracy, edge_accuracy=accuracy
    )
    assert observed == pytest.approx(accuracy, abs=0.2)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("accuracy", [2, 4, 8])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", TABLE)
def test_on_the_faces_of_uneven_samples(name, order, accuracy):
    observed = observe_precisely(
        *UNEVEN[name], order=order, accuracy=accuracy, edge_accuracy=accuracy,
        stagger=["left", "right"][order % 2],
    )  # fmt: skip
    assert observed == pytest.approx(accuracy, abs=0.2)
