"""Staggered differences: results on the faces between samples, and back at the samples."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import Options, plan_axes

SIDES = ["left", "right"]
BOUNDARIES = ["one-sided", "periodic", "reflect", "odd-symmetric", "edge", (2.5, {"normal": 1.0})]


def faces(x, stagger):
    """Return where results belong: midway, beyond an end as far out as the neighbour is."""
    middle = (x[1:] + x[:-1]) / 2
    if stagger == "left":
        return np.concatenate([[x[0] - (x[1] - x[0]) / 2], middle])
    return np.concatenate([middle, [x[-1] + (x[-1] - x[-2]) / 2]])


def uneven(rng, n):
    return np.cumsum(rng.uniform(0.5, 1.5, n))


def test_the_simplest_formula_is_the_difference_of_two_neighbours(rng):
    f, h = rng.normal(size=9), 0.7
    left = gpugrad.derivative(f, h, stagger="left")
    right = gpugrad.derivative(f, h, stagger="right")
    assert_same_bits(left[1:], np.diff(f) / h)
    assert_same_bits(right[:-1], np.diff(f) / h)
    assert left[0] == left[1]
    assert right[-1] == right[-2]


def test_periodic_axes_wrap_around(rng):
    f = rng.normal(size=9)
    left = gpugrad.derivative(f, stagger="left", boundary="periodic")
    assert_same_bits(left, f - np.roll(f, 1))
    right = gpugrad.derivative(f, stagger="right", boundary="periodic")
    assert_same_bits(right, np.roll(f, -1) - f)


@pytest.mark.parametrize("stagger", SIDES)
@pytest.mark.parametrize("order", range(1, 9))
@pytest.mark.parametrize("accuracy", [2, 4, 8, 12])
def test_weights_inside_are_those_of_sympy(order, accuracy, stagger):
    sympy = pytest.importorskip("sympy")
    f, half = np.zeros(60), 0.5 if stagger == "right" else -0.5
    (plan,) = plan_axes(f, (), 0, None, Options(order, accuracy, stagger=stagger))
    offsets = sorted(plan.interior.offsets)
    points = [sympy.Rational(Fraction(k - half)) for k in offsets]
    exact = sympy.finite_diff_weights(order, points, 0)[order][-1]
    weights = dict(zip(plan.interior.offsets, plan.interior.weights, strict=True))
    for k, w in zip(offsets, exact, strict=True):
        assert weights[k] / plan.interior.divisor == pytest.approx(float(w), rel=1e-14)


@pytest.mark.parametrize("stagger", SIDES)
@pytest.mark.parametrize(("order", "accuracy"), [(1, 2), (1, 4), (1, 6), (2, 2), (2, 4), (3, 4)])
@pytest.mark.parametrize("is_even", [True, False])
def test_polynomials_are_exact_in_all_rows(order, accuracy, stagger, is_even, rng):
    x = np.arange(16) * 0.5 - 3 if is_even else uneven(rng, 16) - 8
    # Of an odd order, as many samples as on even axes, where one more power cancels by symmetry.
    degree = order + accuracy - (1 if is_even or order % 2 == 0 else 2)
    p = np.polynomial.Polynomial(rng.normal(size=degree + 1))
    result = gpugrad.derivative(
        p(x), x, order=order, accuracy=accuracy, edge_accuracy=accuracy, stagger=stagger
    )
    expected = p.deriv(order)(faces(x, stagger))
    assert np.abs(result - expected).max() < 1e-7 * np.abs(p(x)).max()


@pytest.mark.parametrize("stagger", SIDES)
@pytest.mark.parametrize(("order", "accuracy"), [(1, 2), (1, 4), (2, 4), (3, 2)])
def test_a_given_slope_is_part_of_the_polynomial(order, accuracy, stagger, rng):
    x = uneven(rng, 16) - 8
    p = np.polynomial.Polynomial(rng.normal(size=order + accuracy - order % 2))
    ends = ({"normal": -p.deriv()(x[0])}, {"normal": p.deriv()(x[-1])})
    result = gpugrad.derivative(
        p(x), x, order=order, accuracy=accuracy, boundary=ends, stagger=stagger
    )
    expected = p.deriv(order)(faces(x, stagger))
    assert np.abs(result - expected).max() < 1e-7 * np.abs(p(x)).max()


def test_on_uneven_samples_the_way_back_takes_the_faces_as_coordinates(rng):
    x = uneven(rng, 12)
    at = faces(x, "left")
    slope = gpugrad.derivative(x**2, x, stagger="left", edge_accuracy=2)
    assert np.abs(slope - 2 * at).max() < 1e-10
    curvature = gpugrad.derivative(slope, at, stagger="right")
    assert np.abs(curvature - 2).max() < 1e-10


def test_each_axis_may_have_its_own(rng):
    f = rng.normal(size=(8, 9, 7))
    staggers = {0: "left", -1: "right"}
    results = gpugrad.gradient(f, stagger=staggers)
    for axis, (result, stagger) in enumerate(zip(results, ("left", None, "right"), strict=True)):
        assert_same_bits(result, gpugrad.derivative(f, axis=axis, stagger=stagger))
    (whole,) = gpugrad.jacobian(f[None], stagger=staggers)
    for a, b in zip(whole, results, strict=True):
        assert_same_bits(a, b)
    assert_same_bits(results[1], np.gradient(f, axis=1))


@pytest.mark.sampled
@pytest.mark.parametrize("stagger", SIDES)
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("is_even", [True, False])
def test_engines_agree_in_every_bit(accuracy, boundary, stagger, is_even, rng):
    f = rng.normal(size=(11, 9, 13))
    h = (0.3, 0.7, 1.1) if is_even else tuple(uneven(rng, n) for n in f.shape)
    options = {"accuracy": accuracy, "boundary": boundary, "stagger": stagger}
    expected = gpugrad.gradient(f, *h, backend="slices", **options)
    backends = ["numpy"]
    if find_spec("llvmlite"):
        backends.append("compiled")
    for backend in backends:
        for a, b in zip(gpugrad.gradient(f, *h, backend=backend, **options), expected, strict=True):
            assert_same_bits(a, b)


@pytest.mark.sampled
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
def test_all_libraries_agree(xp, boundary, rng):
    f = rng.normal(size=(9, 8))
    for stagger in SIDES:
        options = {"accuracy": 4, "boundary": boundary, "stagger": stagger}
        expected = gpugrad.gradient(f, 0.5, uneven(np.random.default_rng(1), 8), **options)
        results = gpugrad.gradient(
            xp.asarray(f), 0.5, uneven(np.random.default_rng(1), 8), **options
        )
        for a, b in zip(as_tuple(results), expected, strict=True):
            if xp.exact:
                assert_same_bits(a, b)
            else:
                assert np.abs(gpugrad.asnumpy(a) - b).max() < 1e-12


def test_lines_may_have_coordinates_of_their_own(rng):
    x = np.stack([uneven(rng, 12), 3 * uneven(rng, 12)])
    f = np.sin(x)
    options = {"stagger": "left", "accuracy": 4}
    result = gpugrad.gradient(f, x, axis=1, **options)
    for i in range(2):
        expected = gpugrad.derivative(f[i], x[i], **options)
        assert np.abs(result[i] - expected).max() < 1e-13


def test_counting_backwards_swaps_left_and_right(rng):
    f, x = rng.normal(size=12), uneven(rng, 12)
    for boundary in BOUNDARIES:
        mirrored = boundary[::-1] if isinstance(boundary, tuple) else boundary
        for h, back in ((0.3, -0.3), (x, x[::-1])):
            a = gpugrad.derivative(f, h, accuracy=4, stagger="left", boundary=boundary)
            b = gpugrad.derivative(f[::-1], back, accuracy=4, stagger="right", boundary=mirrored)
            assert np.abs(a - b[::-1]).max() < 1e-12 * np.abs(a).max()


def test_staggered_stencils_have_fractions_for_offsets():
    formula = gpugrad.stencil(kind="staggered", accuracy=4)
    assert formula.offsets == tuple(Fraction(k, 2) for k in (-3, -1, 1, 3))
    assert formula.weights == tuple(Fraction(k, 24) for k in (1, -27, 27, -1))
    assert formula.error == (Fraction(-3, 640), 4, 5)
    for order in range(1, 9):
        assert gpugrad.stencil(order, 6, "staggered").accuracy == 6


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("center", ValueError, '"left"'),
        (["left"], TypeError, r"a dict where axes differ, .* got .'left'."),
        (1, TypeError, '"left"'),
    ],
)
def test_other_staggers_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        gpugrad.gradient(np.zeros((4, 5)), stagger=given)
