"""Integers of JAX, where floats have fewer digits: they are subtracted first, traced or not."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytestmark = pytest.mark.usefixtures("jax_without_64_bits")

ROWS, COLUMNS = 9, 8
OPERATORS = {
    "gradient": lambda f, x: gpugrad.gradient(f, x, axis=0),
    "edge order": lambda f, x: gpugrad.gradient(f, x, axis=0, edge_order=2),
    "accurate": lambda f, x: gpugrad.gradient(f, x, axis=0, accuracy=4),
    "second": lambda f, x: gpugrad.derivative(f, x, axis=0, order=2),
    "staggered": lambda f, x: gpugrad.derivative(f, x, axis=0, stagger="left"),
    "even": lambda f, x: gpugrad.gradient(f, 0.3),
    "norm": lambda f, x: gpugrad.gradient_norm(f, 0.3),
    "laplacian": lambda f, x: gpugrad.laplacian(f, 0.3, accuracy=4),
    "hessian": lambda f, x: gpugrad.hessian(f, 0.3),
    "divergence": lambda f, x: gpugrad.divergence((f, f[::-1]), 0.3),
    "periodic": lambda f, x: gpugrad.gradient(f, boundary="periodic", accuracy=4),
    "mirrored": lambda f, x: gpugrad.gradient(f, boundary="symmetric"),
    "value": lambda f, x: gpugrad.derivative(f, axis=0, boundary=5.0),
    "odd": lambda f, x: gpugrad.derivative(f, axis=0, boundary="odd-reflect"),
    "masked": lambda f, x: gpugrad.gradient(f, 0.3, where=f % 7 != 3),
    "lines": lambda f, x: gpugrad.gradient(f, x[:, None] + 0 * f, axis=0),
    "sphere": lambda f, x: gpugrad.Sphere(np.linspace(-60, 60, 9), np.arange(8) * 45.0).gradient(f),
}


def draw(rng, dtype, is_wide):
    """Return samples and coordinates: close together and far from zero, or over the whole range."""
    info = np.iinfo(dtype)
    low, high = (info.min, info.max) if is_wide else (info.max - 200, info.max)
    x = np.sort(rng.choice(np.arange(40), ROWS, replace=False))
    x = np.linspace(info.min, info.max, ROWS) if is_wide else info.max - 50 + x
    f = rng.integers(low, high, (ROWS, COLUMNS), endpoint=True)
    return f.astype(dtype), x.astype(dtype)


@pytest.mark.nightly
@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64"])
@pytest.mark.parametrize("is_wide", [False, True], ids=["close", "wide"])
def test_traced_eager_and_numpys_results_are_the_same(rng, name, dtype, is_wide):
    f, x = draw(rng, "int32" if dtype == "int64" else dtype, is_wide)  # without 64 bits
    operator = OPERATORS[name]
    expected = jax.tree_util.tree_leaves(operator(f.astype("int64"), x.astype("int64")))
    f, x = jnp.asarray(f.astype(dtype)), jnp.asarray(x.astype(dtype))
    for got in (operator(f, x), jax.jit(operator)(f, x)):
        for a, b in zip(jax.tree_util.tree_leaves(got), expected, strict=True):
            assert a.dtype == np.float32
            largest = np.nanmax(abs(b))
            assert (np.isnan(a) == np.isnan(b)).all()
            assert np.nanmax(abs(np.asarray(a, np.float64) - b)) <= 4e-6 * largest


def test_a_trace_sees_steps_of_one_far_from_zero():
    x, steps = jnp.asarray(10**9 + np.arange(5)), np.arange(5.0) ** 2
    f = jnp.asarray(10**9 + np.arange(5) ** 2)
    assert (np.asarray(jax.jit(gpugrad.gradient)(f, x)) == np.gradient(steps)).all()
    assert (np.asarray(gpugrad.gradient(f, x)) == np.gradient(steps)).all()


def test_vmap_and_scan_subtract_integers_first():
    f = jnp.asarray(10**9 + np.arange(5) ** 2)
    x = jnp.asarray(10**9 + np.arange(5))
    expected = np.gradient(np.arange(5.0) ** 2)
    rows = jax.vmap(gpugrad.gradient, in_axes=(0, None))(jnp.stack([f, f]), x)
    assert (np.asarray(rows) == expected).all()
    _, scanned = jax.lax.scan(lambda carry, g: (carry, gpugrad.gradient(g, x)), 0, jnp.stack([f]))
    assert (np.asarray(scanned) == expected).all()
