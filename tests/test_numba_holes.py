"""Compiled kernels beside holes: with few ways to choose from, and with many."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from gpugrad._engines import numba_cpu

pytest.importorskip("llvmlite")
from gpugrad._engines import llvm_kernels, llvm_recipes


@pytest.fixture
def branching(monkeypatch):
    """Take branching kernels at any accuracy, and compile for fields of any size."""
    llvm_kernels.compile_kernel.cache_clear()
    numba_cpu._programs.clear()
    monkeypatch.setattr(llvm_recipes, "MOST_TAPS", 0)
    monkeypatch.setattr(numba_cpu, "MANY_SAMPLES", 0)
    yield
    llvm_kernels.compile_kernel.cache_clear()
    numba_cpu._programs.clear()


def make_holes(rng, shape):
    """Return a mask of a block, some single samples, and nearly whole rows."""
    where = rng.random(shape) > 0.02
    where[tuple(slice(n // 3, n // 2) for n in shape)] = False
    where[..., -1, 3:-4] = False
    return where


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_branching_kernels_have_the_bits_of_slices(branching, rng, dtype, order):
    f = (rng.standard_normal((9, 7, 45)) * 50).astype(dtype, order=order)
    where = make_holes(rng, f.shape)
    got = gpugrad.gradient(f, 0.3, where=where, backend="numba")
    expected = gpugrad.gradient(f, 0.3, where=where, backend="slices")
    for a, b in zip(got, expected, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("boundary", ["one-sided", "periodic"])
def test_branching_kernels_take_uneven_samples_and_boundaries(branching, rng, boundary):
    f = rng.standard_normal((40, 50))
    where = make_holes(rng, f.shape)
    x = np.cumsum(rng.uniform(0.5, 1.5, 50))
    keywords = {"axis": 1, "where": where, "boundary": boundary, "period": None}
    if boundary == "periodic":
        keywords["period"] = float(x[-1] - x[0] + 1)
    assert_same_bits(
        gpugrad.derivative(f, x, backend="numba", **keywords),
        gpugrad.derivative(f, x, backend="slices", **keywords),
    )


@pytest.mark.parametrize("operator", ["laplacian", "gradient_norm"])
def test_branching_kernels_add_up_terms(branching, rng, operator):
    f = rng.standard_normal((12, 90))
    where = make_holes(rng, f.shape)
    evaluate = getattr(gpugrad, operator)
    assert_same_bits(
        evaluate(f, 0.3, where=where, backend="numba"),
        evaluate(f, 0.3, where=where, backend="slices"),
    )


def test_a_high_accuracy_is_compiled_where_the_field_is_large_enough(rng, monkeypatch):
    f = rng.standard_normal((20, 70))
    where = make_holes(rng, f.shape)
    with pytest.raises(Exception, match="take longer to compile than 1400 samples"):
        gpugrad.derivative(f, where=where, accuracy=6, backend="numba")
    expected = gpugrad.derivative(f, where=where, accuracy=6, backend="slices")
    assert_same_bits(gpugrad.derivative(f, where=where, accuracy=6), expected)
    monkeypatch.setattr(numba_cpu, "MANY_SAMPLES", 1)
    got = gpugrad.derivative(f, where=where, accuracy=6, backend="numba")
    assert_same_bits(got, expected)
