"""Compiled kernels beside holes: with few ways to choose from, and with many."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import Norm, Term, compiled_engine, first_derivative, numpy_blocks, slices

pytest.importorskip("llvmlite")
from internals import compiled_kernels, compiled_program, kernel_spec, masked_sums, offers


@pytest.fixture
def branching(monkeypatch):
    """Take branching kernels at any accuracy, and compile for fields of any size."""
    compiled_kernels.addresses.clear()
    offers.programs.clear()
    monkeypatch.setattr(kernel_spec, "MOST_TAPS", 0)
    yield
    compiled_kernels.addresses.clear()
    offers.programs.clear()


def make_holes(rng, shape):
    """Return a mask of a block, some single samples, and nearly whole rows."""
    where = rng.random(shape) > 0.02
    where[tuple(slice(n // 3, n // 2) for n in shape)] = False
    where[..., -1, 3:-4] = False
    return where


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_branching_kernels_have_the_bits_of_slices(branching, rng, dtype, order):
    f = (rng.standard_normal((9, 7, 45)) * 50).astype(dtype, order=order)
    where = make_holes(rng, f.shape)
    got = gpugrad.gradient(f, 0.3, where=where, backend="compiled")
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
        gpugrad.derivative(f, x, backend="compiled", **keywords),
        gpugrad.derivative(f, x, backend="slices", **keywords),
    )


@pytest.mark.parametrize("operator", ["laplacian", "gradient_norm"])
def test_branching_kernels_add_up_terms(branching, rng, operator):
    f = rng.standard_normal((12, 90))
    where = make_holes(rng, f.shape)
    evaluate = getattr(gpugrad, operator)
    assert_same_bits(
        evaluate(f, 0.3, where=where, backend="compiled"),
        evaluate(f, 0.3, where=where, backend="slices"),
    )


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", "c16", "records", "float32 steps"])
@pytest.mark.parametrize("order", ["C", "F", "backwards", "one line"])
@pytest.mark.parametrize("boundary", ["one-sided", "periodic", ("reflect", 0.75)])
@pytest.mark.parametrize("is_even", [True, False])
def test_results_beside_holes_are_mended(rng, dtype, order, boundary, is_even):
    shape = (17, 40)
    kind = dtype if dtype[-1].isdigit() else "f8"
    f = rng.standard_normal(shape) * 50
    f = f.astype("i8").astype(kind) if kind[0] == "u" else f.astype(kind)
    if dtype == "records":  # samples that lie no multiple of their size apart
        records = np.zeros(shape, [("a", "f4"), ("b", "f8")])
        records["b"] = f
        f = records["b"]
    if order != "C":
        f = {"F": np.asfortranarray(f), "backwards": f[::-1, ::-1]}.get(order, f)
    where = make_holes(rng, shape)
    if order == "one line":
        f, where = np.broadcast_to(f[3], shape), np.broadcast_to(where[3], shape)
    x = 0.3 if is_even else np.cumsum(rng.uniform(0.5, 1.5, 40))
    if dtype == "float32 steps":
        x = np.float32(x)  # weights of another precision than the samples
    options = {"axis": 1, "accuracy": 6, "where": where}
    if boundary != "periodic" or is_even:
        options["boundary"] = boundary
    expected = gpugrad.derivative(f, x, backend="slices", **options)
    for backend in ("numpy", "compiled"):
        assert_same_bits(gpugrad.derivative(f, x, backend=backend, **options), expected)


def test_results_are_mended_on_all_threads_and_in_all_blocks(rng, monkeypatch):
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 1 << 12)
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    f = rng.standard_normal((30, 20, 25))
    where = make_holes(rng, f.shape)
    expected = gpugrad.gradient(f, accuracy=6, where=where, backend="slices")
    for backend in ("numpy", "compiled"):
        with gpugrad.use_backend(backend, threads=4):
            got = gpugrad.gradient(f, accuracy=6, where=where)
        for a, b in zip(got, expected, strict=True):
            assert_same_bits(a, b)


SUMS = {
    "laplacian": lambda f, **options: gpugrad.laplacian(f, 0.3, **options),
    "gradient_norm": lambda f, **options: gpugrad.gradient_norm(f, 0.3, **options),
    "divergence": lambda f, **options: gpugrad.divergence([f] * f.ndim, 0.3, **options),
    "curl": lambda f, **options: gpugrad.curl([f, f + f, f][: f.ndim], 0.3, **options),
}


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.exhaustive(kind="fortran")
@pytest.mark.exhaustive(kind="backwards")
@pytest.mark.exhaustive(kind="periodic")
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("slab", [1, 7000])
@pytest.mark.parametrize("kind", ["f8", "f4", "c16", "i4", "fortran", "backwards", "periodic"])
def test_sums_beside_holes_have_the_bits_of_slices_in_any_slabs(rng, monkeypatch, name, slab, kind):
    monkeypatch.setattr(masked_sums, "SLAB_BYTES", slab)
    dtype = kind if kind[-1].isdigit() else "f8"
    shape = (14, 11, 20) if kind == "f8" else (14, 20)  # kernels of a third axis are alike
    f = (rng.standard_normal(shape) * 50).astype(dtype)
    if kind == "fortran":
        f = np.asfortranarray(f)
    if kind == "backwards":
        f = f[::-1, ::-1]
    options = {"where": make_holes(rng, f.shape)}
    if kind == "periodic":
        options["boundary"] = "periodic"
    expected = SUMS[name](f, **options, backend="slices")
    got = SUMS[name](f, **options, backend="compiled")
    for a, b in zip(as_tuple(got), as_tuple(expected), strict=True):
        assert_same_bits(a, b)


def test_sums_with_and_without_holes_in_one_call(rng):
    f, g = rng.standard_normal((2, 30, 40))
    g[5, 7] = np.nan
    outputs = gpugrad.curl([f, g], 0.3, skipna=True, backend="compiled")
    assert_same_bits(outputs, gpugrad.curl([f, g], 0.3, skipna=True, backend="slices"))
    x, y = first_derivative(0, 0.3, 1), first_derivative(1, 0.3, 1)
    valid = np.isfinite(g)
    mixed = [
        [Term(1, f, x), Term(1, f, y)],
        [Term(1, f, x), Term(-1, g, y, valid)],
        [Term(1, g, x, valid)],
        Norm([Term(1, g, x, valid), Term(1, f, y)]),
    ]
    for a, b in zip(compiled_engine.evaluate(mixed), slices.evaluate(mixed), strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("name", SUMS)
def test_sums_beside_holes_take_few_kernels(rng, monkeypatch, name):
    offers.programs.clear()
    recipes = set()
    monkeypatch.setattr(
        compiled_program, "compile_kernel",
        lambda recipe: recipes.add(recipe) or compiled_kernels.compile_kernel(recipe),
    )  # fmt: skip
    f = rng.standard_normal((40, 50, 60))
    SUMS[name](f, where=make_holes(rng, f.shape), backend="compiled")
    assert 0 < len(recipes) <= 13  # by fours for the ends of each axis; all together 25 to 121


@pytest.mark.sampled(2)
@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize("h", [5e-324, 1e-46, 1e39])
@pytest.mark.parametrize("is_masked", [False, True], ids=["whole", "masked"])
def test_spacings_that_underflow_divide_as_zero_does(rng, dtype, h, is_masked):
    # In single precision the divisor is zero: NumPy divides each part of a complex number by it.
    parts = [0, -0.0, 1, -1, 2.5, np.inf, -np.inf, np.nan]
    f = np.empty(2000, dtype)
    f.real = rng.choice(parts, f.shape)
    if f.dtype.kind == "c":
        f.imag = rng.choice(parts, f.shape)
    where = rng.random(f.shape) > 0.05 if is_masked else None
    with np.errstate(all="ignore"):
        expected = gpugrad.gradient(f, h, where=where, backend="slices")
        assert_same_bits(gpugrad.gradient(f, h, where=where, backend="compiled"), expected)
