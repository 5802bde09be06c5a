"""Derivatives of noisy samples: `derivative(..., smooth=...)`."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import gpugrad

signal = pytest.importorskip("scipy.signal")
interpolate = pytest.importorskip("scipy.interpolate")

FILTER = {"window": 11, "polynomial": 3}


@pytest.mark.parametrize("order", [1, 2])
def test_a_filter_is_scipys_on_every_library(xp, rng, order):
    f = rng.normal(size=(6, 30))
    expected = signal.savgol_filter(f, 11, 3, deriv=order, delta=0.5)
    result = gpugrad.derivative(xp.asarray(f), 0.5, order=order, smooth=FILTER)
    assert type(result) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, rtol=1e-10, atol=1e-12)


def test_a_spline_is_scipys_on_every_library(xp, rng):
    if xp.name == "cupy":
        pytest.skip("splines are for the host; another test sees to that")
    x = np.sort(rng.uniform(0, 5, 30))
    f = np.stack([np.sin(x), np.cos(x)]) + 0.01 * rng.normal(size=(2, 30))
    expected = [interpolate.make_smoothing_spline(x, row)(x, nu=1) for row in f]
    result = gpugrad.derivative(xp.asarray(f), x, smooth="spline")
    assert type(result) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, rtol=1e-5, atol=1e-5)


def test_a_spline_takes_a_penalty_and_coordinates_that_go_down(rng):
    x = np.sort(rng.uniform(0, 5, 30))
    f = np.sin(x) + 0.01 * rng.normal(size=30)
    expected = interpolate.make_smoothing_spline(x, f, lam=0.1)(x, nu=2)
    up = gpugrad.derivative(f, x, order=2, smooth={"spline": 0.1})
    down = gpugrad.derivative(f[::-1], x[::-1], order=2, smooth={"spline": 0.1})
    np.testing.assert_allclose(up, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(down[::-1], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("smooth", ["spline", {"window": 101, "polynomial": 3}])
def test_smoothing_is_better_than_differences_of_noise(smooth, rng):
    x = np.linspace(0, 6, 1000)
    f = np.sin(x) + 0.01 * rng.normal(size=x.size)
    error = np.abs(gpugrad.derivative(f, x, smooth=smooth) - np.cos(x))
    plain = np.abs(gpugrad.derivative(f, x) - np.cos(x))
    assert np.sqrt((error**2).mean()) < np.sqrt((plain**2).mean()) / 20


@pytest.mark.parametrize("boundary", ["periodic", "reflect", "edge"])
def test_boundaries_are_those_of_the_differences(boundary, rng):
    f = rng.normal(size=40)
    smooth = gpugrad.derivative(f, smooth={"window": 3, "polynomial": 1}, boundary=boundary)
    np.testing.assert_allclose(smooth, gpugrad.derivative(f, boundary=boundary), atol=1e-12)


@pytest.mark.parametrize("smooth", ["spline", FILTER])
def test_axis_dtype_and_out_are_as_without(smooth, rng):
    f = rng.normal(size=(20, 3))
    along = gpugrad.derivative(f, axis=0, smooth=smooth)
    np.testing.assert_allclose(along, gpugrad.derivative(f.T.copy(), smooth=smooth).T, rtol=1e-9)
    single = gpugrad.derivative(f.astype("f4"), axis=0, smooth=smooth)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, along, atol=1e-3)
    assert gpugrad.derivative(np.arange(20), smooth=smooth).dtype == np.float64
    both = gpugrad.derivative(f + 1j * f, axis=0, smooth=smooth)
    np.testing.assert_allclose(both, along + 1j * along, rtol=1e-6, atol=1e-9)
    out = np.empty_like(f)
    assert gpugrad.derivative(f, axis=0, smooth=smooth, out=out) is out
    assert (out == along).all()


def test_dates_have_a_unit_of_time(rng):
    f = rng.normal(size=20)
    days = np.datetime64("2024-01-01") + np.arange(20)
    hourly = gpugrad.derivative(f, days, time_unit="h", smooth=FILTER)
    np.testing.assert_allclose(24 * hourly, gpugrad.derivative(f, smooth=FILTER))


def test_errors_say_what_must_hold(rng, monkeypatch):
    f, x = rng.normal(size=30), np.cumsum(rng.uniform(1, 2, 30))
    with pytest.raises(ValueError, match=r'must be even for a filter.*smooth="spline"'):
        gpugrad.derivative(f, x, smooth=FILTER)
    with pytest.raises(ValueError, match="must be odd"):
        gpugrad.derivative(f, smooth={"window": 10, "polynomial": 3})
    with pytest.raises(ValueError, match="from the order of the derivative"):
        gpugrad.derivative(f, order=4, smooth=FILTER)
    with pytest.raises(ValueError, match="`accuracy` must be left out"):
        gpugrad.derivative(f, accuracy=4, smooth=FILTER)
    with pytest.raises(ValueError, match="`smooth` must be"):
        gpugrad.derivative(f, smooth="savgol")
    with pytest.raises(ValueError, match="from 1 to 3 with a spline"):
        gpugrad.derivative(f, order=4, smooth="spline")
    with pytest.raises(ValueError, match="must be finite"):
        gpugrad.derivative(np.where(f > 1, np.nan, f), smooth="spline")
    with pytest.raises(ValueError, match="`boundary` must be"):
        gpugrad.derivative(f, boundary=1.0, smooth=FILTER)
    with pytest.raises(TypeError, match="a masked array"):
        gpugrad.derivative(np.ma.masked_greater(f, 1), smooth=FILTER)
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match=r'pip install "gpugrad\[science\]"'):
        gpugrad.derivative(f, smooth=FILTER)
