"""Every order with every accuracy and boundary: the same bits on all engines and libraries."""

from __future__ import annotations

import numpy as np
import pytest
from orders import rounding

import gpugrad
from conftest import assert_like_numpy, assert_same_bits, has_compiler
from internals import TABLE

ORDERS, ACCURACIES = range(1, 9), range(2, 13, 2)
STAGGERS = [None, "left", "right"]
BOUNDARIES = [
    "one-sided",
    "periodic",
    ("reflect", "odd-symmetric"),
    ("edge", {"normal": 0.4}),
    (0.75, "odd-reflect"),
    ("symmetric", {"normal": -0.1}),
]
LENGTH = 27


def test_every_boundary_is_among_them():
    named = {str(one) for pair in BOUNDARIES for one in (pair if type(pair) is tuple else [pair])}
    assert len(named) == len(TABLE) + 1  # the given slope comes twice


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_engines_agree_in_every_bit(rng, order, accuracy, backend):
    if backend == "compiled" and not has_compiler():
        pytest.skip("llvmlite is not installed")
    f = rng.normal(size=(3, LENGTH))
    x = np.cumsum(rng.uniform(0.5, 1.5, LENGTH))
    for number, boundary in enumerate(BOUNDARIES):
        options = {"order": order, "accuracy": accuracy, "boundary": boundary}
        stagger = STAGGERS[number % 3]
        for spacing in (0.3, x):
            for side in {None, stagger}:
                expected = gpugrad.derivative(f, spacing, backend="slices", stagger=side, **options)
                got = gpugrad.derivative(f, spacing, backend=backend, stagger=side, **options)
                assert_same_bits(got, expected)


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.exhaustive(xp="jax", accuracy=6)
@pytest.mark.exhaustive(xp="jax", accuracy=8)
@pytest.mark.exhaustive(xp="jax", accuracy=10)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_every_library_has_the_bits_of_numpy(xp, rng, order, accuracy):
    f = rng.normal(size=LENGTH)
    x = np.cumsum(rng.uniform(0.5, 1.5, LENGTH))
    number = order + accuracy // 2
    options = {
        "order": order,
        "accuracy": accuracy,
        "boundary": BOUNDARIES[number % len(BOUNDARIES)],
        "stagger": STAGGERS[number % 3 if order % 2 else 0],
    }
    for spacing in (0.3, x):
        expected = gpugrad.derivative(f, spacing, backend="slices", **options)
        got = gpugrad.derivative(xp.asarray(f), spacing, **options)
        largest = np.abs(f).max() * rounding(LENGTH, spacing, 1.0, **options)
        assert_like_numpy(xp, got, expected, largest)
