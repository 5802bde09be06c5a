"""Derivatives of noisy samples: `smooth_derivative`, by a filter and by a spline."""

from __future__ import annotations

import sys
from importlib import import_module

import numpy as np
import pytest

import gpugrad
from internals import cross_validation

signal = pytest.importorskip("scipy.signal")
interpolate = pytest.importorskip("scipy.interpolate")

FILTER = {"window_length": 11, "polyorder": 3}
SPLINE = {}


@pytest.mark.parametrize("order", [1, 2])
def test_a_filter_is_scipys_on_every_library(xp, rng, order):
    f = rng.normal(size=(6, 30))
    expected = signal.savgol_filter(f, 11, 3, deriv=order, delta=0.5)
    result = gpugrad.smooth_derivative(xp.asarray(f), 0.5, order=order, **FILTER)
    assert type(result) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, rtol=1e-10, atol=1e-12)


def test_a_spline_is_scipys_on_every_library(xp, rng):
    if xp.name == "cupy":
        pytest.skip("splines are for the host; another test sees to that")
    x = np.sort(rng.uniform(0, 5, 30))
    f = np.stack([np.sin(x), np.cos(x)]) + 0.01 * rng.normal(size=(2, 30))
    expected = [interpolate.make_smoothing_spline(x, row)(x, nu=1) for row in f]
    result = gpugrad.smooth_derivative(xp.asarray(f), x)
    assert type(result) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, rtol=1e-5, atol=1e-5)


def test_a_spline_takes_a_penalty_and_coordinates_that_go_down(rng):
    x = np.sort(rng.uniform(0, 5, 30))
    f = np.sin(x) + 0.01 * rng.normal(size=30)
    expected = interpolate.make_smoothing_spline(x, f, lam=0.1)(x, nu=2)
    up = gpugrad.smooth_derivative(f, x, order=2, lam=0.1)
    down = gpugrad.smooth_derivative(f[::-1], x[::-1], order=2, lam=0.1)
    np.testing.assert_allclose(up, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(down[::-1], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("smooth", [SPLINE, {"window_length": 101, "polyorder": 3}])
def test_smoothing_is_better_than_differences_of_noise(smooth, rng):
    x = np.linspace(0, 6, 1000)
    f = np.sin(x) + 0.01 * rng.normal(size=x.size)
    error = np.abs(gpugrad.smooth_derivative(f, x, **smooth) - np.cos(x))
    plain = np.abs(gpugrad.derivative(f, x) - np.cos(x))
    assert np.sqrt((error**2).mean()) < np.sqrt((plain**2).mean()) / 20


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "edge"])
def test_boundaries_are_those_of_the_differences(boundary, rng):
    f = rng.normal(size=40)
    smooth = gpugrad.smooth_derivative(f, window_length=3, polyorder=1, boundary=boundary)
    np.testing.assert_allclose(smooth, gpugrad.derivative(f, boundary=boundary), atol=1e-12)


@pytest.mark.parametrize("smooth", [SPLINE, FILTER])
def test_axis_dtype_and_out_are_as_without(smooth, rng):
    f = rng.normal(size=(20, 3))
    along = gpugrad.smooth_derivative(f, axis=0, **smooth)
    np.testing.assert_allclose(along, gpugrad.smooth_derivative(f.T.copy(), **smooth).T, rtol=1e-9)
    single = gpugrad.smooth_derivative(f.astype("f4"), axis=0, **smooth)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, along, atol=1e-3)
    assert gpugrad.smooth_derivative(np.arange(20), **smooth).dtype == np.float64
    both = gpugrad.smooth_derivative(f + 1j * f, axis=0, **smooth)
    np.testing.assert_allclose(both, along + 1j * along, rtol=1e-6, atol=1e-9)
    out = np.empty_like(f)
    assert gpugrad.smooth_derivative(f, axis=0, **smooth, out=out) is out
    assert (out == along).all()


def test_dates_have_a_unit_of_time(rng):
    f = rng.normal(size=20)
    days = np.datetime64("2024-01-01") + np.arange(20)
    hourly = gpugrad.smooth_derivative(f, days, time_unit="h", **FILTER)
    np.testing.assert_allclose(24 * hourly, gpugrad.smooth_derivative(f, **FILTER))


@pytest.mark.parametrize("smooth", [SPLINE, {"lam": 0.0}, {"lam": 3.0}, FILTER])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_results_do_not_depend_on_units(smooth, order, rng):
    x = np.cumsum(rng.uniform(1, 1 if "polyorder" in smooth else 2, 60))
    f = np.sin(x / 8) + 0.05 * rng.normal(size=60)
    expected = gpugrad.smooth_derivative(f, x, order=order, **smooth)
    for unit, size in [(1e-12, 1), (1e12, 1), (1, 1e-12), (1, 1e12), (1e-9, 1e9), (-1e6, -1e-6)]:
        options = smooth | ({"lam": smooth["lam"] * abs(unit) ** 3} if "lam" in smooth else {})
        result = gpugrad.smooth_derivative(size * f, unit * x, order=order, **options)
        tolerance = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(result / size * unit**order, expected, atol=tolerance)


@pytest.mark.parametrize(("n", "length", "noise"), [(30, 5, 0.01), (100, 6, 0.1), (200, 60, 0.01)])
def test_cross_validation_is_scipys_where_its_search_finds_the_least(n, length, noise, rng):
    x = np.linspace(0, length, n)
    f = np.sin(x) + noise * rng.normal(size=n)
    expected = interpolate.make_smoothing_spline(x, f)(x, nu=1)
    np.testing.assert_allclose(gpugrad.smooth_derivative(f, x), expected, atol=1e-2 * noise)


def test_cross_validation_takes_the_least_criterion(rng):
    """Compare with the definition: each sample left out counts as the influence matrix says."""
    n = 25
    x, f = np.cumsum(rng.uniform(0.5, 1.5, n)), rng.normal(size=n).cumsum()
    criterion = cross_validation.CrossValidation(x, f)
    for k in (0.1, 1.0, 40.0):
        columns = [interpolate.make_smoothing_spline(x, e, lam=k)(x) for e in np.eye(n)]
        influence = np.array(columns).T
        residual = f - influence @ f
        expected = n * residual @ residual / (n - np.trace(influence)) ** 2
        assert cross_validation.CrossValidation(x, f)(np.log(k)) == pytest.approx(
            expected, rel=1e-6
        )
    best = cross_validation.find_penalty(x, f)
    criterion = cross_validation.CrossValidation(x, f)
    assert criterion(-12.0) == np.inf  # all but through the samples
    grid = np.linspace(-12, 12, 200)
    assert criterion(np.log(best)) <= min(map(criterion, grid)) * (1 + 1e-9)


def test_cross_validation_does_not_fall_for_a_line_nor_for_the_noise():
    x = np.linspace(0, 15, 60)
    for seed in range(10):
        noise = 0.05 * np.random.default_rng(seed).normal(size=60)
        error = gpugrad.smooth_derivative(np.sin(4 * x) + noise, x) - 4 * np.cos(4 * x)
        assert np.sqrt(np.mean(error**2)) < 0.4  # SciPy's search ends at a straight line
    for seed in (43, 52, 69, 146):  # of few samples, where noise looks like a curve by chance
        random = np.random.default_rng(seed)
        places = np.sort(random.uniform(0, 15, 20))
        f = np.sin(places) + 0.05 * random.normal(size=20)
        error = gpugrad.smooth_derivative(f, places) - np.cos(places)
        assert np.sqrt(np.mean(error**2)) < 0.25


@pytest.mark.parametrize("f", [np.full(20, 3.0), np.arange(20.0), np.arange(20.0) ** 2])
def test_smooth_samples_stay_what_they_are(f):
    result = gpugrad.smooth_derivative(f)
    inside = slice(6, -6)  # a natural spline is straight at its ends
    np.testing.assert_allclose(result[inside], np.gradient(f)[inside], rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("start", [0.0, 1e3, 1.7e9])
def test_even_coordinates_are_even_but_for_rounding(dtype, start, rng):
    if (dtype, start) == ("f4", 1.7e9):
        pytest.skip("float32 has no seconds of today")
    x = (start + 0.01 * np.arange(100)).astype(dtype)
    f = rng.normal(size=100)
    expected = gpugrad.smooth_derivative(f, 0.01, **FILTER)
    tolerance = 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(gpugrad.smooth_derivative(f, x, **FILTER), expected, atol=tolerance)
    x[50] += 0.005
    with pytest.raises(ValueError, match="must be even for a filter"):
        gpugrad.smooth_derivative(f, x, **FILTER)


@pytest.mark.parametrize("smooth", [SPLINE, FILTER])
def test_subclasses_stay_what_they_are(smooth, rng):
    class Marked(np.ndarray):
        pass

    f = rng.normal(size=30)
    result = gpugrad.smooth_derivative(f.view(Marked), 0.5, **smooth)
    assert type(result) is Marked
    np.testing.assert_array_equal(result, gpugrad.smooth_derivative(f, 0.5, **smooth))


def test_lazy_fields_stay_lazy(rng):
    da = pytest.importorskip("dask.array")
    f = rng.normal(size=(4, 40))
    lazy = gpugrad.smooth_derivative(da.from_array(f, chunks=(2, 10)), 0.5)
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy.compute(), gpugrad.smooth_derivative(f, 0.5))


def test_labels_and_units_are_those_of_a_derivative(rng):
    xarray = pytest.importorskip("xarray")
    pint = pytest.importorskip("pint")
    f = rng.normal(size=(3, 30))
    field = xarray.DataArray(
        f, {"x": ("x", 0.5 * np.arange(30), {"units": "m"})}, ("y", "x"), name="T",
        attrs={"units": "K"},
    )  # fmt: skip
    expected = gpugrad.smooth_derivative(f, 0.5)
    result = gpugrad.smooth_derivative(field, axis="x")
    np.testing.assert_allclose(result.data, expected)
    plain = gpugrad.derivative(field, axis="x")
    assert (result.name, result.attrs, result.dims) == (plain.name, plain.attrs, plain.dims)
    twice = gpugrad.smooth_derivative(field, axis="x", order=2, **FILTER)
    assert twice.attrs["units"] == "K m-2"
    import_module("gpugrad.xarray")
    xarray.testing.assert_identical(field.gpugrad.smooth_derivative("x"), result)
    units = pint.UnitRegistry()
    quantity = gpugrad.smooth_derivative(f * units.kelvin, 50 * units.cm, order=2)
    assert quantity.units == units.kelvin / units.cm**2
    np.testing.assert_allclose(quantity.to("kelvin / metre**2").magnitude, twice_of(f))


def twice_of(f):
    return gpugrad.smooth_derivative(f, 0.5, order=2)


def test_errors_say_what_must_hold(rng, monkeypatch):
    f, x = rng.normal(size=30), np.cumsum(rng.uniform(1, 2, 30))
    smooth = gpugrad.smooth_derivative
    with pytest.raises(ValueError, match=r"must be even for a filter.*leave out `window_length`"):
        smooth(f, x, **FILTER)
    with pytest.raises(ValueError, match="`window_length` must be odd"):
        smooth(f, window_length=10, polyorder=3)
    with pytest.raises(ValueError, match="`window_length` must be odd and at most"):
        smooth(f, window_length=31, polyorder=3)
    with pytest.raises(ValueError, match="`polyorder` must be from the order of the derivative, 4"):
        smooth(f, order=4, **FILTER)
    with pytest.raises(ValueError, match="less than `window_length`, 3; got 3"):
        smooth(f, window_length=3, polyorder=3)
    with pytest.raises(ValueError, match="got `window_length` without `polyorder`"):
        smooth(f, window_length=5)
    with pytest.raises(ValueError, match="got `polyorder` without `window_length`"):
        smooth(f, polyorder=3)
    with pytest.raises(ValueError, match="`lam` must be left out with `window_length`"):
        smooth(f, lam=1.0, **FILTER)
    for number in (5.0, True, "5"):
        with pytest.raises(TypeError, match="`window_length` must be an integer"):
            smooth(f, window_length=number, polyorder=3)
    with pytest.raises(TypeError, match="`polyorder` must be an integer"):
        smooth(f, window_length=5, polyorder=2.0)
    for word, ours in (("deriv", "order"), ("delta", "spacing"), ("mode", "boundary")):
        with pytest.raises(TypeError, match=f"takes no `{word}`. Pass `{ours}`"):
            smooth(f, **{word: 1}, **FILTER)
    with pytest.raises(TypeError, match="takes no `smooth`"):
        smooth(f, smooth="spline")
    with pytest.raises(TypeError, match=r"takes no `window`. Did you mean `window_length`"):
        smooth(f, window=5)
    for call in (smooth, lambda f, order: smooth(f, order=order, **FILTER)):
        with pytest.raises(TypeError, match="`order` must be an integer"):
            call(f, order=1.0)
    with pytest.raises(ValueError, match="from 1 to 3 with a spline"):
        smooth(f, order=4)
    for lam in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="`lam` must be 0 or more and finite"):
            smooth(f, lam=lam)
    for lam in ("much", True, [1.0]):
        with pytest.raises(TypeError, match="`lam` must be a number"):
            smooth(f, lam=lam)
    with pytest.raises(ValueError, match="must be finite"):
        smooth(np.where(f > 1, np.nan, f))
    with pytest.raises(ValueError, match="`boundary` must be one of"):
        smooth(f, boundary=1.0, **FILTER)
    with pytest.raises(ValueError, match='`boundary` must be "one-sided" with a spline'):
        smooth(f, boundary="periodic")
    with pytest.raises(ValueError, match="must have 5 samples for a spline"):
        smooth(f[:4])
    with pytest.raises(ValueError, match="must go up throughout, or down"), warnings_ignored():
        smooth(f, np.where(x == x[5], 0.0, x))
    with pytest.raises(TypeError, match="`spacing` must be one distance"):
        smooth(f, 1.0, 2.0)
    with pytest.raises(TypeError, match="`axis` must be one integer"):
        smooth(np.ones((9, 9)), axis=(0, 1))
    with pytest.raises(TypeError, match="a masked array"):
        smooth(np.ma.masked_greater(f, 1))
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match=r'pip install "gpugrad\[science\]"'):
        smooth(f, **FILTER)


def warnings_ignored():
    return pytest.warns(UserWarning, match="not monotonic")


@pytest.mark.parametrize("start", [0.0, 1e3, 1.7e9])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("as_list", [False, True])
def test_rounding_of_coordinates_does_not_make_them_uneven(start, dtype, as_list, rng):
    step = max(0.1, 4 * float(np.spacing(np.array(start, dtype)))) if dtype != "f2" else 0.25
    if start and dtype == "f2":
        pytest.skip("half precision has no such coordinates")
    x = (start + step * np.arange(60)).astype(dtype)
    f = rng.normal(size=60)
    expected = gpugrad.smooth_derivative(f, step, **FILTER)
    result = gpugrad.smooth_derivative(f, [*map(float, x)] if as_list else x, **FILTER)
    tolerance = 1e-5 if dtype == "f8" else 0.1
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=1e-3 / step)


def test_coordinates_that_are_uneven_by_more_than_rounding_are_refused():
    x = np.arange(60.0) * 0.1
    x[30] += 1e-5
    with pytest.raises(ValueError, match="must be even for a filter"):
        gpugrad.smooth_derivative(np.sin(x), x, **FILTER)
