"""Estimates of errors: how many errors they bound, beside masked samples too, slab by slab."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import slabs

X = np.linspace(0, 6, 41)
F = np.sin(X)
F.flags.writeable = False


@pytest.mark.parametrize("hidden", [-9999.0, np.nan, 1e300])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("even", [False, True])
def test_masks_are_kept_and_hidden_data_never_leak(hidden, hard, even):
    masked = np.ma.array(F.copy(), mask=np.arange(41) == 20, hard_mask=hard)
    masked.data[20] = hidden
    spacing = X[1] if even else X
    estimate = gpugrad.error_estimate(masked, spacing)
    assert [*np.flatnonzero(np.ma.getmaskarray(estimate))] == [18, 19, 20, 21, 22]
    whole = gpugrad.error_estimate(np.sin(X), spacing)
    others = np.r_[0:17, 24:41]
    np.testing.assert_allclose(estimate.data[others], whole[others], rtol=1e-12)
    # Beside the mask, of two neighbours one is not known.
    assert (estimate[[17, 23]] <= whole[[17, 23]]).all()
    assert masked.mask.sum() == 1


def test_nan_spreads_to_what_reads_it_and_to_its_neighbours():
    f = np.where(np.arange(41) == 20, np.nan, F)
    assert [*np.flatnonzero(np.isnan(gpugrad.error_estimate(f, X)))] == [*range(17, 24)]


@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("kind", ["where", "skipna", "masked"])
def test_beside_masked_samples_errors_are_bounded_or_nan(kind, accuracy):
    x = np.linspace(0, 6, 121)
    f, valid = np.sin(x), ~np.isin(np.arange(121), [30, 33, 70, 71, 80, 100])
    estimate = {
        "where": lambda **o: gpugrad.error_estimate(f, x, where=valid, **o),
        "skipna": lambda **o: gpugrad.error_estimate(
            np.where(valid, f, np.nan), x, skipna=True, **o
        ),
        "masked": lambda **o: gpugrad.error_estimate(
            np.ma.array(f, mask=~valid), x, skipna=True, **o
        ).filled(np.nan),
    }[kind](accuracy=accuracy)
    derivative = gpugrad.derivative(f, x, accuracy=accuracy, where=valid)
    # Two samples together have a derivative, but none that is better.
    assert [*np.flatnonzero(np.isnan(estimate))] == [30, 31, 32, 33, 70, 71, 80, 100]
    known = ~np.isnan(estimate)
    error = np.abs(derivative - np.cos(x))[known]
    assert (error <= estimate[known]).mean() > 0.98
    assert (estimate[known] < 12 * error.max()).all()


def test_masks_of_estimates_are_refused_where_derivatives_refuse_them():
    with pytest.raises(TypeError, match="`where` must be a boolean array"):
        gpugrad.error_estimate(F, X, where=np.arange(41))
    with pytest.raises(TypeError, match="`skipna` must be True or False"):
        gpugrad.error_estimate(F, X, skipna="yes")


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i2", "c8"])
@pytest.mark.parametrize("shape", [(40, 90), (9000,), (6, 900), (12, 10, 30)])
@pytest.mark.parametrize("boundary", ["one-sided", "periodic"])
def test_slabs_have_the_bits_of_whole_fields(shape, dtype, boundary, rng, monkeypatch):
    f = (100 * rng.normal(size=shape)).astype(dtype)
    for axis in range(len(shape)):
        whole = gpugrad.error_estimate(f, 0.1, axis=axis, boundary=boundary)
        monkeypatch.setattr(slabs, "ON_HOST", 256)
        assert_same_bits(gpugrad.error_estimate(f, 0.1, axis=axis, boundary=boundary), whole)
        monkeypatch.undo()


def test_slabs_of_lines_that_differ_and_of_masks_have_the_bits_of_whole_fields(rng, monkeypatch):
    x = np.cumsum(rng.uniform(1, 2, (30, 80)), axis=1)
    f, valid = np.sin(x / 5), rng.random((30, 80)) > 0.05
    calls = [
        lambda: gpugrad.error_estimate(f, x),
        lambda: gpugrad.error_estimate(f, x[0], where=valid),
        lambda: gpugrad.error_estimate(f, x[:, :1] + np.arange(80.0), where=valid),
        lambda: gpugrad.error_estimate(np.ma.array(f, mask=~valid), axis=0),
    ]
    whole = [call() for call in calls]
    monkeypatch.setattr(slabs, "ON_HOST", 256)
    for call, expected in zip(calls, whole, strict=True):
        result = call()
        np.testing.assert_array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(expected))
        np.testing.assert_array_equal(np.ma.filled(result, 0), np.ma.filled(expected, 0))


def test_an_estimate_goes_round_with_its_axis():
    x = np.arange(40) * (2 * np.pi / 40)
    estimate = gpugrad.error_estimate(np.sin(x + 0.3), x[1], boundary="periodic")
    turned = gpugrad.error_estimate(np.roll(np.sin(x + 0.3), 7), x[1], boundary="periodic")
    np.testing.assert_allclose(np.roll(estimate, 7), turned, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
def test_rounding_is_a_part_of_the_error(dtype):
    x = np.linspace(0, 1, 2001)
    f = np.sin(3 * x).astype(dtype)
    error = np.abs(gpugrad.derivative(f, x[1]).astype("f8") - 3 * np.cos(3 * x))
    assert (error <= gpugrad.error_estimate(f, x[1]).astype("f8")).mean() > 0.95
    assert (gpugrad.error_estimate(np.arange(9)) == 0).all()  # integers are exact


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_half_precision_is_single_precision_to_the_last_step(library):
    f = np.array([3e4, -3e4] * 6 + [0.0] * 9, "f2")  # differences overflow
    if library == "torch":
        f = pytest.importorskip("torch").asarray(f)
    elif library == "jax":
        f = pytest.importorskip("jax.numpy").asarray(f)
    half = gpugrad.asnumpy(gpugrad.error_estimate(f, 100.0))
    single = gpugrad.error_estimate(gpugrad.asnumpy(f).astype("f4"), 100.0)
    assert half.dtype == np.float16
    # The rounding unit is that of the field.
    np.testing.assert_allclose(half, single, rtol=0.02, atol=0.1)
