"""Exact formulas against SymPy's, their errors against Taylor's, and how they print."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import gpugrad
from internals import any_weights, middle_of_many, middle_of_three

ORDERS = range(1, 9)


def sympys_weights(offsets, order):
    sympy = pytest.importorskip("sympy")
    nodes = [sympy.Rational(Fraction(k).numerator, Fraction(k).denominator) for k in offsets]
    weights = sympy.finite_diff_weights(order, nodes, 0)[order][-1]
    return tuple(Fraction(int(w.p), int(w.q)) for w in weights)


@pytest.mark.parametrize("accuracy", [2, 4, 6, 8, 10, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_central_weights_are_sympys(order, accuracy):
    s = gpugrad.stencil(order, accuracy)
    reach = (order - 1) // 2 + accuracy // 2  # as docs/how-to/schemes.md says
    assert s.offsets == tuple(k for k in range(-reach, reach + 1) if k or order % 2 == 0)
    whole = dict(zip(s.offsets, s.weights, strict=True)) | ({0: 0} if order % 2 else {})
    offsets = range(-reach, reach + 1)
    assert tuple(Fraction(whole[k]) for k in offsets) == sympys_weights(offsets, order)
    assert s.accuracy == accuracy


@pytest.mark.parametrize("kind", ["forward", "backward"])
@pytest.mark.parametrize("accuracy", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_one_sided_weights_are_sympys(order, accuracy, kind):
    s = gpugrad.stencil(order, accuracy, kind)
    assert len(s.offsets) == order + accuracy
    assert min(s.offsets) == 0 if kind == "forward" else max(s.offsets) == 0
    assert s.weights == sympys_weights(s.offsets, order)
    assert s.accuracy == accuracy


@pytest.mark.parametrize(
    "offsets", [(-3, 1, 2), (0, 1, 4, 9), (Fraction(-1, 3), 0, 2, 5), (-1.5, -0.5, 0.5, 1.5)]
)
@pytest.mark.parametrize("order", [1, 2])
def test_weights_at_any_offsets_are_sympys(offsets, order):
    s = gpugrad.stencil(offsets=offsets, order=order)
    assert s.offsets == offsets
    assert s.weights == sympys_weights(offsets, order)


@pytest.mark.parametrize("kind", ["central", "forward", "backward"])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
@pytest.mark.parametrize("order", ORDERS)
def test_the_error_is_what_is_left_of_the_taylor_series(order, accuracy, kind):
    s = gpugrad.stencil(order, accuracy, kind)

    def apply(power):
        return sum(w * k**power for k, w in zip(s.offsets, s.weights, strict=True))

    assert apply(order) == math.factorial(order)
    c, power, derivative = s.error
    assert derivative == order + power
    assert all(apply(d) == 0 for d in range(derivative) if d != order)
    assert apply(derivative) == c * math.factorial(derivative) != 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "(-f(x - h) + f(x + h)) / (2 h) = f'(x) + h^2/6 f'''(x) + ..."),
        ({"order": 2}, "(f(x - h) - 2 f(x) + f(x + h)) / h^2 = f''(x) + h^2/12 f^(4)(x) + ..."),
        ({"accuracy": 1, "kind": "forward"},
         "(-f(x) + f(x + h)) / h = f'(x) + h/2 f''(x) + ..."),
        ({"accuracy": 2, "kind": "backward"},
         "(f(x - 2h) - 4 f(x - h) + 3 f(x)) / (2 h) = f'(x) - h^2/3 f'''(x) + ..."),
        ({"order": 2, "accuracy": 2, "kind": "forward"},
         "(2 f(x) - 5 f(x + h) + 4 f(x + 2h) - f(x + 3h)) / h^2 = f''(x) - 11 h^2/12 f^(4)(x) + ..."
         ),
        ({"offsets": [-1.5, 0.5]},
         "(-f(x - 3h/2) + f(x + h/2)) / (2 h) = f'(x) - h/2 f''(x) + ..."),
    ],
)  # fmt: skip
def test_it_prints_as_in_a_textbook(arguments, text):
    assert str(gpugrad.stencil(**arguments)) == text


def test_stencils_are_values():
    assert gpugrad.stencil() == gpugrad.stencil(offsets=(-1, 1))
    assert hash(gpugrad.stencil()) == hash(gpugrad.stencil())
    assert gpugrad.stencil(np.int64(2), np.int32(4)) == gpugrad.stencil(2, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"order": 0}, ValueError, "`order` must be 1 or more; got 0"),
        ({"order": 1.0}, TypeError, "`order` must be an integer"),
        ({"accuracy": True}, TypeError, "`accuracy` must be an integer"),
        ({"accuracy": 3}, ValueError, "must be even.* got 3. Ask for 4"),
        ({"kind": "sideways"}, ValueError, "central, forward, backward, staggered; got"),
        ({"offsets": [0, 1], "accuracy": 4}, TypeError, "without `accuracy` and `kind`"),
        ({"offsets": [0, 1], "order": 2}, ValueError, "more than 2 .* got 2"),
        ({"offsets": [0, 1, 1.0]}, ValueError, "must be distinct"),
        ({"offsets": [0, float("nan")]}, TypeError, "finite floats; got nan"),
        ({"offsets": [0, float("inf")]}, TypeError, "finite floats; got inf"),
        ({"offsets": [0, "1"]}, TypeError, "got '1'"),
        ({"offsets": [0, True]}, TypeError, "got True"),
    ],
)
def test_wrong_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        gpugrad.stencil(**arguments)


def test_weights_of_many_rows_are_those_of_each(rng):
    x = np.cumsum(rng.uniform(0.1, 1, 40000))  # more rows than a block
    for reach, order in ((1, 1), (2, 1), (3, 4)):
        weights = middle_of_many(np.diff(x), reach, reach, order)
        for i in (0, 1, 17000, len(weights[0]) - 1):
            around = x[i : i + 2 * reach + 1]
            alone = any_weights([*(around - around[reach])], order)
            np.testing.assert_allclose([w[i] for w in weights], alone, rtol=1e-9)


def test_the_recurrence_is_the_closed_form_on_three_samples(rng):
    gaps = rng.uniform(0.1, 1, 50)
    for one, other in zip(
        middle_of_many(gaps, 1, 1, 1), middle_of_three(gaps[:-1], gaps[1:]), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
@pytest.mark.parametrize("order", [1, 4])
def test_floating_point_weights_are_stable_on_many_samples(rng, scale, order):
    offsets = [Fraction(int(k), 64) for k in np.cumsum(rng.integers(20, 60, 21))]
    offsets = [k - offsets[10] for k in offsets]
    exact = np.array([float(w) for w in any_weights(offsets, order)])
    floats = np.array(any_weights([float(k) * scale for k in offsets], order)) * scale**order
    np.testing.assert_allclose(floats, exact, rtol=1e-11, atol=1e-13 * np.abs(exact).max())
