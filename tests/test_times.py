"""Fields of dates and of spans of time: rates in their unit, or an error that says what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gpugrad

DAYS = np.array([0, 2, 4, 8, 14, 16, 20, 30], "m8[D]")
FIELDS = {"spans": DAYS, "dates": np.datetime64("2024-01-01") + DAYS}


@pytest.mark.parametrize("f", FIELDS.values(), ids=FIELDS)
def test_whole_rates_are_numpys(f):
    got = gpugrad.gradient(f)
    np.testing.assert_array_equal(got, np.gradient(f))
    assert got.dtype == "m8[D]"
    np.testing.assert_array_equal(gpugrad.derivative(f), np.gradient(f))


@pytest.mark.parametrize("f", FIELDS.values(), ids=FIELDS)
def test_a_ratio_of_times_is_refused(f):
    hours = np.arange(8) * np.timedelta64(3600, "s")
    dates = np.datetime64("2020-01-01T00") + hours
    for call in (
        lambda: gpugrad.gradient(f, dates, time_unit="D"),
        lambda: gpugrad.gradient(f, hours, time_unit="h"),
        lambda: gpugrad.gradient(f, hours),
        lambda: gpugrad.gradient(f, np.timedelta64(1, "h"), time_unit="h"),
        lambda: gpugrad.derivative(f, dates, time_unit="D", skipna=True),
        lambda: gpugrad.gradient(f, dates, time_unit="D", accuracy=4),
    ):
        with pytest.raises(TypeError, match=r"a ratio of times is a number.*timedelta64\(1, 's'\)"):
            call()
    numbers = (f - f[0]) / np.timedelta64(1, "s")
    ratio = gpugrad.gradient(numbers, dates, time_unit="s")
    np.testing.assert_allclose(ratio, np.gradient(DAYS.astype(float)) * 24)


def test_labels_too():
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(DAYS.astype("m8[ns]"), {"t": FIELDS["dates"].astype("M8[ns]")}, ("t",))
    with pytest.raises(TypeError, match="a ratio of times is a number"):
        gpugrad.gradient(f)


@pytest.mark.parametrize("f", FIELDS.values(), ids=FIELDS)
def test_schemes_whose_weights_are_fractions_are_refused(f):
    x = np.arange(8.0) ** 2
    grid = gpugrad.CurvilinearGrid(x)
    plane = np.stack([f, f[::-1], f])
    sphere = gpugrad.Sphere(np.array([0.0, 1.0, 2.0]), np.arange(8.0))
    for call in (
        lambda: gpugrad.derivative(f, x, accuracy=4),
        lambda: gpugrad.derivative(f, x, order=2),
        lambda: gpugrad.laplacian(f),
        lambda: gpugrad.hessian(f),
        lambda: gpugrad.divergence([f]),
        lambda: gpugrad.jacobian([f]),
        lambda: gpugrad.curl((plane, plane)),
        lambda: gpugrad.gradient_norm(f),
        lambda: grid.gradient(f),
        lambda: grid.laplacian(f),
        lambda: sphere.gradient(plane),
        lambda: sphere.divergence(u=plane, v=plane),
        lambda: gpugrad.smooth_derivative(f),
        lambda: gpugrad.noise_level(f),
        lambda: gpugrad.turning_points(f),
    ):
        with pytest.raises(TypeError, match=r"`f` must (hold|be).*numbers"):
            call()


def test_whole_weights_are_right():
    np.testing.assert_array_equal(gpugrad.derivative(DAYS, order=2)[1:-1].astype(int),
                                  np.diff(DAYS.astype(int), 2))  # fmt: skip


class TestFractions:
    """Derivatives in whole units lose fractions, as NumPy's: a warning says so."""

    @pytest.mark.parametrize("f", FIELDS.values(), ids=FIELDS)
    @pytest.mark.parametrize(
        "call",
        [
            lambda f: gpugrad.gradient(f, 3600.0),
            lambda f: gpugrad.gradient(f, 3.0, stack=True),
            lambda f: gpugrad.gradient(f, 3.0, out=np.empty(8, "m8[D]")),
            lambda f: gpugrad.derivative(f, 3.0, boundary="reflect"),
            lambda f: gpugrad.gradient(f, np.arange(8.0) ** 2),
        ],
    )
    def test_are_warned_of(self, f, call):
        with pytest.warns(gpugrad.GpugradWarning, match=r"steps of 1 D, and derivatives lose"):
            got = call(f)
        assert got.dtype == "m8[D]"

    def test_are_numpys_all_the_same(self):
        with pytest.warns(gpugrad.GpugradWarning, match="fractions"):
            got = gpugrad.gradient(DAYS, 3.0, edge_order=2)
        np.testing.assert_array_equal(got, np.gradient(DAYS, 3.0, edge_order=2))

    def test_a_finer_unit_has_room(self):
        got = gpugrad.gradient(FIELDS["dates"].astype("M8[s]"), 3600.0)
        assert got[0] == np.timedelta64(48, "s")

    def test_missing_dates_lose_none(self):
        missing = DAYS.copy()
        missing[3] = "NaT"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            got = gpugrad.gradient(missing)
        np.testing.assert_array_equal(got, np.gradient(missing))
        assert np.isnat(got).any()


def test_masked_times_are_refused():
    f = np.ma.array(DAYS[:5], mask=np.arange(5) == 2)
    with pytest.raises(TypeError, match=r"where it is masked.*timedelta64\('NaT'\).*skipna"):
        gpugrad.gradient(f)
    got = gpugrad.gradient(f.filled(np.timedelta64("NaT", "s")), skipna=True)
    assert np.isnat(got).tolist() == [False, False, True, False, False]
