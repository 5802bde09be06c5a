"""Levels of noise, spacings that suit them, and estimates of errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpugrad


@pytest.mark.sampled
@pytest.mark.parametrize("sigma", [1e-1, 1e-4, 1e-8])
def test_noise_is_told_from_the_curve(xp, rng, sigma):
    x = np.linspace(0, 10, 2000)
    f = np.stack([np.sin(x), x**3, np.exp(-x)]) + sigma * rng.normal(size=(3, 2000))
    level = gpugrad.asnumpy(gpugrad.noise_level(xp.asarray(f)))
    np.testing.assert_allclose(level, sigma, rtol=0.15)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lazy_samples_are_computed_once(rng, axis):
    da = pytest.importorskip("dask.array")
    count = []
    f = rng.normal(size=(20, 30, 40)).astype("f4")
    lazy = da.from_array(f, chunks=(7, 11, 13))
    counted = lazy.map_blocks(lambda block: count.append(1) or block, meta=f[:0, :0, :0])
    level = gpugrad.noise_level(counted, axis)
    assert isinstance(level, da.Array)
    assert len(count) == lazy.npartitions
    np.testing.assert_allclose(level.compute(), gpugrad.noise_level(f, axis), rtol=1e-5)
    assert isinstance(gpugrad.noise_level(lazy[0, 0]), float)


def test_one_curve_has_one_level_and_rough_ones_none():
    x = np.linspace(0, 10, 300)
    assert isinstance(gpugrad.noise_level(np.sin(x)), float)
    assert gpugrad.noise_level(1 + np.sin(x)) < 1e-14  # the noise of rounding
    assert math.isnan(gpugrad.noise_level(np.arange(50.0) ** 2))


@pytest.mark.parametrize(("order", "accuracy"), [(1, 2), (1, 4), (2, 2)])
def test_at_the_recommended_spacing_the_error_is_least_and_as_expected(order, accuracy, rng):
    sigma = 1e-4
    best = gpugrad.recommended_spacing(
        noise=sigma, magnitude=1 / math.sqrt(2), order=order, accuracy=accuracy
    )

    def error(h):
        x = rng.uniform(0, 10, 4000)
        reach = (order - 1) // 2 + accuracy // 2
        around = x[:, None] + h * np.arange(-reach, reach + 1)
        formula = gpugrad.stencil(order, accuracy)
        weights = dict(zip(formula.offsets, map(float, formula.weights), strict=True))
        w = np.array([weights.get(k, 0.0) for k in range(-reach, reach + 1)])
        samples = np.sin(around) + sigma * rng.normal(size=around.shape)
        exact = np.cos(x) if order == 1 else -np.sin(x)
        return np.sqrt(np.mean((samples @ w / h**order - exact) ** 2))

    assert error(best.spacing) == pytest.approx(best.error, rel=0.15)
    assert error(best.spacing) < min(error(best.spacing / 2), error(best.spacing * 2))


def test_spacing_is_recommended_from_samples_alone(rng):
    x = np.linspace(0, 10, 5000)
    f = np.sin(x) + 1e-3 * rng.normal(size=x.size)
    best = gpugrad.recommended_spacing(f, x[1])
    known = gpugrad.recommended_spacing(noise=1e-3, magnitude=1 / math.sqrt(2))
    assert best.spacing == pytest.approx(known.spacing, rel=0.3)
    assert best.stride == round(best.spacing / x[1])
    some = slice(None, None, best.stride)
    inside = slice(1, -1)
    with_stride = np.abs(gpugrad.derivative(f[some], x[some]) - np.cos(x[some]))[inside]
    without = np.abs(gpugrad.derivative(f, x) - np.cos(x))[inside]
    assert with_stride.mean() < without.mean() / 10


def test_what_cannot_be_recommended_says_why(rng):
    with pytest.raises(TypeError, match="`noise` and `magnitude` must be given"):
        gpugrad.recommended_spacing(noise=1.0)
    with pytest.raises(ValueError, match="noise hides the derivative"):
        gpugrad.recommended_spacing(rng.normal(size=100), noise=2.0)
    with pytest.raises(ValueError, match="`noise` must be given"):
        gpugrad.recommended_spacing(np.arange(50.0) ** 2)
    with pytest.raises(ValueError, match="one curve"):
        gpugrad.recommended_spacing(np.zeros((9, 9)))
    with pytest.raises(ValueError, match="`magnitude` must be positive"):
        gpugrad.recommended_spacing(noise=1.0, magnitude=0.0)
    with pytest.raises(ValueError, match="7 samples"):
        gpugrad.noise_level([1, 2, 3])
    with pytest.raises(TypeError, match="real numbers"):
        gpugrad.noise_level(np.zeros(9, complex))


FIELDS = {
    "sine": (lambda x: np.sin(3 * x + 1), lambda x: 3 * np.cos(3 * x + 1)),
    "bell": (lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2))),
    "witch": (lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2),
    "growth": (np.exp, np.exp),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("accuracy", [2, 4, 6])
@pytest.mark.parametrize("even", [True, False])
def test_the_estimate_bounds_the_error_nearly_everywhere(name, accuracy, even, rng):
    f, slope = FIELDS[name]
    x = np.linspace(-3, 3, 121)
    if not even:
        x = x + 0.02 * np.sin(5 * x)
    error = np.abs(gpugrad.derivative(f(x), x, accuracy=accuracy) - slope(x))
    estimate = gpugrad.error_estimate(f(x), x, accuracy=accuracy)
    assert (error <= 1.1 * estimate).mean() >= 0.95
    assert estimate.max() < 10 * error.max()


def test_estimates_are_of_the_library_of_the_field(xp):
    f = np.sin(np.linspace(0, 3, 40))
    expected = gpugrad.error_estimate(f, 0.1)
    result = gpugrad.error_estimate(xp.asarray(f), 0.1)
    assert type(result) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, atol=1e-13)


def test_a_spacing_is_recommended_from_samples_of_every_library(xp, rng):
    x = np.linspace(0, 10, 500)
    f = np.sin(x) + 1e-3 * rng.normal(size=x.size)
    expected = gpugrad.recommended_spacing(f, x[1])
    best = gpugrad.recommended_spacing(xp.asarray(f), x[1])
    assert best.stride == expected.stride
    assert best.spacing == pytest.approx(expected.spacing, rel=1e-9)
    assert best.error == pytest.approx(expected.error, rel=1e-9)
