"""Levels of noise, spacings that suit them, and estimates of errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpugrad
from internals import noise


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
    level = gpugrad.noise_level(counted, axis=axis)
    assert isinstance(level, da.Array)
    assert len(count) == lazy.npartitions
    np.testing.assert_allclose(level.compute(), gpugrad.noise_level(f, axis=axis), rtol=1e-5)
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


@pytest.mark.exhaustive(xp="jax")
def test_a_spacing_is_recommended_from_samples_of_every_library(xp, rng):
    x = np.linspace(0, 10, 500)
    f = np.sin(x) + 1e-3 * rng.normal(size=x.size)
    expected = gpugrad.recommended_spacing(f, x[1])
    best = gpugrad.recommended_spacing(xp.asarray(f), x[1])
    assert best.stride == expected.stride
    assert best.spacing == pytest.approx(expected.spacing, rel=1e-9)
    assert best.error == pytest.approx(expected.error, rel=1e-9)


def noisy(rng, n=500):
    x = np.linspace(0, 10, n)
    return x, np.sin(x) + 1e-3 * rng.normal(size=n)


def test_coordinates_are_as_good_as_a_distance(rng):
    x, f = noisy(rng)
    expected = gpugrad.recommended_spacing(f, x[1])
    for spacing in (x, x[::-1], [*x], x + 1.7e9, x.astype("f4")):
        best = gpugrad.recommended_spacing(f, spacing)
        assert best.stride == expected.stride
        assert best.spacing == pytest.approx(expected.spacing, rel=1e-5)
    assert gpugrad.recommended_spacing(f, spacing=x[1]) == expected
    assert gpugrad.recommended_spacing(f=f, spacing=[*x]).stride == expected.stride


def test_recommended_distances_have_units(rng):
    pint = pytest.importorskip("pint")
    units = pint.UnitRegistry()
    x, f = noisy(rng)
    expected = gpugrad.recommended_spacing(f, x[1], order=2)
    for step in (x[1] * units.metre, x * units.metre):
        best = gpugrad.recommended_spacing(f * units.kelvin, step, order=2)
        assert best.spacing.units == units.metre
        assert best.spacing.magnitude == pytest.approx(expected.spacing)
        assert best.error.units == units.kelvin / units.metre**2
        assert best.noise.units == units.kelvin
        assert best.magnitude.units == units.kelvin / units.metre**4
        assert best.stride == expected.stride
    known = gpugrad.recommended_spacing(f * units.kelvin, x[1], noise=1.0 * units.millikelvin)
    assert known.noise.to("kelvin").magnitude == pytest.approx(1e-3)
    plain = gpugrad.recommended_spacing(f, x[1] * units.metre)
    assert plain.spacing.units == units.metre
    with pytest.raises(ValueError, match="`noise` and `f` must have units that can be added"):
        gpugrad.recommended_spacing(f * units.kelvin, x[1], noise=1.0 * units.metre)
    with pytest.raises(TypeError, match="without units where there are no samples"):
        gpugrad.recommended_spacing(noise=1.0 * units.kelvin, magnitude=1.0)


def test_distances_are_recommended_for_curves_with_names(rng):
    xarray = pytest.importorskip("xarray")
    import gpugrad.xarray

    x, f = noisy(rng)
    expected = gpugrad.recommended_spacing(f, x[1])
    curve = xarray.DataArray(f, {"x": x}, ("x",))
    for best in (gpugrad.recommended_spacing(curve), curve.gpugrad.recommended_spacing()):
        assert best.stride == expected.stride
        assert best.spacing == pytest.approx(expected.spacing)
    assert gpugrad.recommended_spacing(curve, 2 * x[1]).spacing == pytest.approx(
        gpugrad.recommended_spacing(f, 2 * x[1]).spacing
    )
    with pytest.raises(ValueError, match="one curve"):
        gpugrad.recommended_spacing(xarray.DataArray(np.zeros((9, 9))))


def test_distances_that_cannot_be_recommended_say_why(rng):
    x, f = noisy(rng)
    with pytest.raises(ValueError, match="`spacing` must be even"):
        gpugrad.recommended_spacing(f, x**2 + x)
    with pytest.raises(ValueError, match="`f` must be finite"):
        gpugrad.recommended_spacing(np.where(f > 0.9, np.nan, f), x[1])
    for step in (np.timedelta64(1, "s"), np.arange(500).astype("M8[s]")):
        with pytest.raises(TypeError, match=r"times or dates.*numpy.timedelta64"):
            gpugrad.recommended_spacing(f, step)
    for step in (0.0, np.nan):
        with pytest.raises(ValueError, match="finite and not zero"):
            gpugrad.recommended_spacing(f, step)
    with pytest.raises(ValueError, match="`spacing` must be positive"):
        gpugrad.recommended_spacing(f, -1.0)
    with pytest.raises(TypeError, match="`spacing` must be one distance"):
        gpugrad.recommended_spacing(f, 1.0, 2.0)


def test_options_of_estimates_are_given_by_name():
    f = np.sin(np.linspace(0, 3, 40))
    expected = gpugrad.error_estimate(f, 0.1)
    np.testing.assert_array_equal(gpugrad.error_estimate(f, spacing=0.1), expected)
    ends = gpugrad.error_estimate(f, 0.1, edge_order=2)
    np.testing.assert_array_equal(ends, gpugrad.error_estimate(f, 0.1, edge_accuracy=2))
    assert (ends[:2] != expected[:2]).all()
    around = gpugrad.error_estimate(f, 0.1, boundary={0: "wrap"}, period={0: 4.0})
    np.testing.assert_array_equal(
        around, gpugrad.error_estimate(f, 0.1, boundary="periodic", period=4.0)
    )
    with pytest.raises(TypeError, match="`spacing` must be one distance"):
        gpugrad.error_estimate(f, 0.1, -1)
    with pytest.raises(TypeError):
        gpugrad.noise_level(f, -1)
    with pytest.raises(TypeError, match="Pass `boundary`"):
        gpugrad.error_estimate(f, mode="wrap")


@pytest.mark.parametrize(
    ("dtype", "sizes"),
    [("f2", (-9, 14)), ("f4", (-110, 125)), ("f8", (-900, 1020)), ("g", (-1000, 1020))],
)
def test_squares_of_noise_neither_overflow_nor_vanish(dtype, sizes, rng):
    f = (np.sin(np.linspace(0, 9, 400)) + 0.05 * rng.normal(size=400)).astype(dtype)
    expected = gpugrad.noise_level(f.astype("f4") if dtype == "f2" else f)
    assert expected == pytest.approx(0.05, rel=0.15)
    for power in sizes:
        size = np.ldexp(np.ones((), dtype), power)
        level = gpugrad.noise_level(f * size)
        assert level == pytest.approx(float(size) * expected, rel=1e-2 if dtype == "f2" else 1e-12)
    curves = np.stack([f, f * size])  # each curve has a size of its own
    np.testing.assert_array_equal(gpugrad.noise_level(curves)[1], level)


@pytest.mark.sampled
@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_noise_of_half_precision_is_told_in_single_precision(library, dtype, rng):
    f = 3e4 * np.sin(np.linspace(0, 9, 400)) + 3e3 * rng.normal(size=400)
    if library == "torch":
        torch = pytest.importorskip("torch")
        half = torch.asarray(f).to(getattr(torch, dtype))
    else:
        half = pytest.importorskip("jax.numpy").asarray(f, dtype=dtype)
    expected = gpugrad.noise_level(gpugrad.asnumpy(half).astype("f4"))
    assert gpugrad.noise_level(half) == pytest.approx(expected, rel=1e-5)
    best = gpugrad.recommended_spacing(half, 0.1)
    known = gpugrad.recommended_spacing(gpugrad.asnumpy(half).astype("f4"), 0.1)
    assert best.spacing == pytest.approx(known.spacing, rel=1e-5)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u4", "i8", "u8"])
def test_noise_of_integers_has_all_their_digits(dtype, rng):
    signal = 50 * np.sin(np.linspace(0, 3, 900)) + 5 * rng.normal(size=900)
    small = np.round(signal).astype("i8")
    expected = gpugrad.noise_level(small.astype("f8"))
    info = np.iinfo(dtype)
    for origin in {0 if dtype[0] == "i" else 100, info.max - 100, info.min + 100}:
        f = np.array([origin + int(k) for k in small], dtype)
        assert gpugrad.noise_level(f) == pytest.approx(expected, rel=1e-12)
    ends = np.array([info.min, info.max] * 20, dtype)
    assert gpugrad.noise_level(ends) == gpugrad.noise_level(ends.astype("f8"))


def test_noise_of_masked_samples_is_told_by_the_others(rng):
    f = np.sin(np.linspace(0, 9, 2000)) + 1e-3 * rng.normal(size=2000)
    masked = np.ma.array(f.copy(), mask=rng.random(2000) < 0.02)
    masked.data[masked.mask] = np.nan
    assert gpugrad.noise_level(masked) == pytest.approx(1e-3, rel=0.15)
    best, whole = (gpugrad.recommended_spacing(x, 9 / 1999) for x in (masked, f))
    assert best.spacing == pytest.approx(whole.spacing, rel=0.15)
    mask = np.repeat([[True], [False]], 2000, axis=1)
    nothing = gpugrad.noise_level(np.ma.array(np.stack([f, f]), mask=mask))
    assert type(nothing) is np.ndarray
    assert math.isnan(nothing[0])
    assert nothing[1] == gpugrad.noise_level(f)
    assert math.isnan(gpugrad.noise_level(np.where(masked.mask, np.nan, f)))


@pytest.mark.exhaustive
def test_noise_of_some_curves_at_a_time_is_that_of_all(xp, rng, monkeypatch):
    f = xp.asarray(rng.normal(size=(6, 40, 50)))
    for axis in (1, 2):
        whole = gpugrad.asnumpy(gpugrad.noise_level(f, axis=axis))
        monkeypatch.setattr(noise, "_TOGETHER", 500)
        level = gpugrad.asnumpy(gpugrad.noise_level(f, axis=axis))
        # Others may add up the squares in another order.
        np.testing.assert_allclose(level, whole, rtol=0 if xp.name == "numpy" else 1e-14)
        monkeypatch.undo()


def test_sizes_that_leave_no_room_are_refused():
    for noise_of, magnitude in ((1e-300, 1e300), (1e300, 1e-300)):
        with pytest.raises(ValueError, match="Choose other units"):
            gpugrad.recommended_spacing(noise=noise_of, magnitude=magnitude, order=8)
