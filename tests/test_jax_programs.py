"""Calls on JAX's arrays with values: one program each, compiled once and found again."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import LIBRARIES, assert_same_bits
from internals import prepared, prepared_programs

jax = pytest.importorskip("jax")
jnp = jax.numpy


@pytest.fixture(autouse=True)
def engine():
    """Return the engine, with programs of this test alone, and 64 bits."""
    from internals import jax_engine

    LIBRARIES["jax"]()
    jax_engine._compile.cache_clear()
    yield jax_engine
    jax.config.update("jax_enable_x64", True)


def assert_close(got, wanted):
    """Compare to an ulp of the largest result, and a few of its own for what is rounded twice."""
    for a, b in zip(jax.tree_util.tree_leaves(got), jax.tree_util.tree_leaves(wanted), strict=True):
        atol = 4 * np.spacing(np.abs(b).max())
        np.testing.assert_allclose(np.asarray(a), b, rtol=0, atol=atol)


def test_another_spacing_is_no_other_program(engine, rng):
    values = rng.normal(size=(6, 5))
    f = jnp.asarray(values)
    for h in (0.3, 0.7, 1e-3):
        assert_close(gpugrad.gradient(f, h), np.gradient(values, h))
    for h in (np.float64(0.3), np.float64(5.0)):
        assert_close(gpugrad.laplacian(f, h), gpugrad.laplacian(values, h))
    for x in (np.cumsum(rng.uniform(1, 2, 6)), np.cumsum(rng.uniform(1, 2, 6))):
        assert_close(gpugrad.gradient(f, jnp.asarray(x), axis=0), np.gradient(values, x, axis=0))
    assert engine._compile.cache_info().misses == 3


def test_programs_are_few(engine):
    for n in range(10, 20):
        gpugrad.gradient(jnp.ones(n))
    assert engine._compile.cache_info().currsize == 10
    assert engine._compile.cache_info().maxsize <= 256


@pytest.mark.parametrize("name", ["curl", "divergence"])
def test_one_array_may_stand_for_two_components(rng, name):
    values = rng.normal(size=(6, 5))
    f, operator = jnp.asarray(values), getattr(gpugrad, name)
    for pair, right in (((f, f), (values, values)), ((f, 2 * f), (values, 2 * values))):
        for _ in range(2):
            assert_close(operator(pair, 0.3), operator(right, 0.3))


def test_options_and_spacings_find_their_own_call(rng):
    values = rng.normal(size=(9, 8))
    f = jnp.asarray(values)
    calls = [
        {"spacing": h, "axis": axis, "accuracy": accuracy, "edge_order": None}
        for h in ((), (0.3,), (1,), (True,), (np.float32(0.3),), (0.3, 2))
        for axis in (None, 0, (0, 1), (1, 0))
        for accuracy in (2, 4)
        if len(h) < 2 or axis != 0
    ]
    for _ in range(2):
        for call in calls:
            h = call["spacing"]
            options = {"axis": call["axis"], "accuracy": call["accuracy"]}
            try:
                right = gpugrad.gradient(values, *h, **options)
            except (TypeError, ValueError) as error:
                with pytest.raises(type(error)):
                    gpugrad.gradient(f, *h, **options)
            else:
                assert_close(gpugrad.gradient(f, *h, **options), right)


def test_precision_is_that_of_the_moment(rng):
    values = rng.normal(size=6).astype("f4")
    f, h = jnp.asarray(values), np.float64(1 / 3)
    for _ in range(2):
        assert gpugrad.gradient(f, h).dtype == np.float32
        assert_close(gpugrad.gradient(f, h), np.gradient(values, h))
        jax.config.update("jax_enable_x64", not jax.config.jax_enable_x64)
    assert jax.config.jax_enable_x64


def test_what_is_traced_stays_traced(engine, rng):
    f = jnp.asarray(rng.normal(size=(6, 5)))
    eager = gpugrad.gradient(f, 0.3)
    misses = engine._compile.cache_info().misses
    for got in (
        jax.jit(lambda f: gpugrad.gradient(f, 0.3))(f),
        jax.vmap(lambda f: gpugrad.gradient(f, 0.3), axis_size=1)(f[None]),
    ):
        for a, b in zip(got, eager, strict=True):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-13, atol=1e-13)
    assert engine._compile.cache_info().misses == misses
    # A field with values, and a spacing that is differentiated.
    slope = jax.grad(lambda h: gpugrad.gradient(f, h)[0].sum())(0.3)
    np.testing.assert_allclose(slope, -eager[0].sum() / 0.3, rtol=1e-10)


def test_weak_types_and_default_devices(rng):
    weak = jnp.asarray(2.0) * 1.5 + jnp.zeros(5, "float32")
    assert gpugrad.gradient(weak, 0.5).dtype == weak.dtype
    with jax.default_device(jax.devices("cpu")[0]):
        np.testing.assert_array_equal(gpugrad.gradient(weak, 0.5), np.zeros(5))


SPACINGS = [0.5, 0.3, -2.5, 1.0, 1e-12, 1e7, 0.25]
CALLS = {
    "plain": lambda f, h: gpugrad.gradient(f, h),
    "numpy's": lambda f, h: gpugrad.gradient(f, np.float64(h)),
    "integers": lambda f, h: gpugrad.gradient(f, round(h) or 3),
    "two": lambda f, h: gpugrad.gradient(f, h, 0.3, edge_order=2),
    "accurate": lambda f, h: gpugrad.laplacian(f, h, accuracy=4),
    "third": lambda f, h: gpugrad.derivative(f, h, order=3, axis=1),
    "mirror": lambda f, h: gpugrad.gradient(f, h, boundary="reflect", stack=True),
    "value": lambda f, h: gpugrad.gradient(f, h, boundary=2.5),
    "norm": lambda f, h: gpugrad.gradient_norm(f, h, h / 3),
    "curl": lambda f, h: gpugrad.curl((f, f + 1), h),
    "twice": lambda f, h: gpugrad.divergence((f, f), h),
    "jacobian": lambda f, h: gpugrad.jacobian([f, 2 * f], h),
}


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("has_64_bits", [True, False], ids=["64 bits", "32 bits"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("name", CALLS)
def test_new_spacings_have_the_results_of_first_ones(name, dtype, has_64_bits, rng):
    """Of calls with one spacing alone, for which all is planned."""
    jax.config.update("jax_enable_x64", has_64_bits)
    f, wanted = jnp.asarray((9 * rng.normal(size=(7, 6))).astype(dtype)), []
    for h in SPACINGS:
        prepared._calls.clear()
        wanted.append(np.array(CALLS[name](f, h)))
    prepared._calls.clear()
    for _ in range(2):
        for h, expected in zip(SPACINGS, wanted, strict=True):
            assert_same_bits(np.array(CALLS[name](f, h)), expected)


@pytest.mark.parametrize("name", ["plain", "accurate", "curl"])
def test_new_spacings_are_not_planned(name, rng, monkeypatch):
    f = jnp.asarray(rng.normal(size=(7, 6)))
    prepared._calls.clear()
    for h in (0.3, 0.7):
        CALLS[name](f, h)
    monkeypatch.setattr(prepared_programs, "plan_call", None)
    wanted = CALLS[name](np.asarray(f), 0.2)
    assert_close(CALLS[name](f, 0.2), wanted)


@pytest.mark.parametrize("h", [0.0, np.nan, np.inf, True])
def test_wrong_spacings_are_refused_after_right_ones(h, rng):
    f = jnp.asarray(rng.normal(size=7))
    for right in (0.3, 0.7, 0.2):
        gpugrad.gradient(f, right)
    with pytest.raises((TypeError, ValueError), match="spacing"):
        gpugrad.gradient(f, h)


def test_plans_may_have_no_row_between_the_ends():
    x, f = np.array([0.0, 1.0, 2.5, 3.0]), np.random.default_rng(0).normal(size=(4, 5))
    options = {"order": 3, "axis": 0, "boundary": "symmetric"}
    wanted = gpugrad.derivative(f, x, **options)
    for differentiate in (gpugrad.derivative, jax.jit(gpugrad.derivative, static_argnames=options)):
        got = differentiate(jax.numpy.asarray(f, "float32"), x, **options)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
