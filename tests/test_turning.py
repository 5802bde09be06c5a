"""Turning points and inflection points of curves."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orders import observe_order
from sampling import random_cases

import gpugrad
from internals import extrema


def uneven(n, rng):
    """Return coordinates on [0, 7] whose gaps differ by up to a factor of 3."""
    gaps = rng.uniform(1, 3, n - 1)
    return np.append(0, np.cumsum(gaps)) * (7 / gaps.sum())


def wave(x):
    return np.exp(-x / 5) * np.sin(2 * x) + x / 50


def slope(x, order=1):
    """Return a derivative of the wave, by complex steps of its analytic form."""
    c = -0.2 + 2j
    return np.imag(c**order * np.exp(c * x)) + (0.02 if order == 1 else 0)


def roots(order):
    """Return where a derivative of the wave is zero, to the last digit."""
    x = np.linspace(0, 7, 7001)
    places = []
    for i in np.flatnonzero(np.diff(np.sign(slope(x, order)))):
        at = x[i]
        for _ in range(50):
            at = at - slope(at, order) / slope(at, order + 1)
        places.append(at)
    return np.array(places)


def find_points(library, y, *args, **keywords):
    if library.name == "dask":
        pytest.skip("Dask arrays are refused; another test sees to that")
    return gpugrad.turning_points(library.asarray(y), *args, **keywords)


def test_maxima_and_minima_are_found_on_every_library(xp):
    x = np.linspace(0, 7, 200)
    points = find_points(xp, wave(x), x)
    assert type(points.position) is type(xp.asarray(x))
    assert type(points.value) is type(xp.asarray(x))
    np.testing.assert_allclose(gpugrad.asnumpy(points.position), roots(1), atol=2e-4)
    np.testing.assert_allclose(gpugrad.asnumpy(points.value), wave(roots(1)), atol=2e-5)
    assert [*points.kind] == ["maximum", "minimum"] * 2
    index = gpugrad.asnumpy(points.index)
    assert (abs(x[index] - roots(1)) <= 3.5 / 199 + 1e-4).all()
    assert (gpugrad.asnumpy(points.curve) == 0).all()
    assert points.prominence is None
    assert [*points.maxima.kind] == ["maximum"] * 2
    assert gpugrad.asnumpy(points.minima.position).shape == (2,)


@pytest.mark.exhaustive(xp="jax")
def test_inflection_points_are_found_on_every_library(xp):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused; another test sees to that")
    x = np.linspace(0, 7, 200)
    points = gpugrad.inflection_points(xp.asarray(wave(x)), x)
    assert type(points.slope) is type(xp.asarray(x))
    np.testing.assert_allclose(gpugrad.asnumpy(points.position), roots(2), atol=2e-4)
    np.testing.assert_allclose(gpugrad.asnumpy(points.value), wave(roots(2)), atol=4e-4)
    np.testing.assert_allclose(gpugrad.asnumpy(points.slope), slope(roots(2)), atol=4e-4)
    convex = slope(roots(2), 3) > 0
    assert [*points.kind] == ["convex" if up else "concave" for up in convex]


@pytest.mark.parametrize("spaced", ["evenly", "unevenly", "descending"])
def test_position_value_and_slope_are_of_second_order_or_better(spaced, rng):
    errors = {"position": [], "value": [], "bend": [], "height": [], "slope": []}
    for n in (100, 200, 400, 800, 1600):
        sums = np.zeros(5)
        for _ in range(20):  # where a turn lies between samples is a matter of luck
            x = (
                uneven(n, rng)
                if spaced == "unevenly"
                else np.linspace(0, 7, n) + rng.uniform(0, 1e-2)
            )
            x = x[::-1] if spaced == "descending" else x
            t, p = gpugrad.turning_points(wave(x), x), gpugrad.inflection_points(wave(x), x)
            true_t, true_p = roots(1), roots(2)
            if spaced == "descending":
                true_t, true_p = true_t[::-1], true_p[::-1]
            sums += [
                np.abs(t.position - true_t).max(),
                np.abs(t.value - wave(true_t)).max(),
                np.abs(p.position - true_p).max(),
                np.abs(p.value - wave(true_p)).max(),
                np.abs(p.slope - slope(true_p)).max(),
            ]
        for name, total in zip(errors, sums, strict=True):
            errors[name].append((n, total))
    assert observe_order(errors["position"]) > 1.9
    assert observe_order(errors["value"]) > 2.8
    assert observe_order(errors["bend"]) > 1.9
    assert observe_order(errors["height"]) > 1.9
    assert observe_order(errors["slope"]) > 1.9


def test_a_parabola_turns_at_its_vertex_and_a_cubic_bends_at_its_middle(rng):
    x = np.sort(rng.uniform(-3, 3, 30))
    points = gpugrad.turning_points(2 - (x - 0.3) ** 2, x)
    np.testing.assert_allclose(points.position, [0.3], rtol=1e-12)
    np.testing.assert_allclose(points.value, [2.0], rtol=1e-12)
    bends = gpugrad.inflection_points((x - 0.3) ** 3 + 2 * x, x)
    np.testing.assert_allclose(bends.position, [0.3], rtol=1e-11)
    np.testing.assert_allclose(bends.slope, [2.0], rtol=1e-11)
    np.testing.assert_allclose(bends.value, [0.6], rtol=1e-11)


def test_descending_coordinates_give_the_same_points_in_the_other_order():
    x = np.linspace(0, 7, 50)
    up, down = gpugrad.turning_points(wave(x), x), gpugrad.turning_points(wave(x[::-1]), x[::-1])
    np.testing.assert_allclose(up.position, down.position[::-1], rtol=1e-13)
    assert (up.kind == down.kind[::-1]).all()
    up = gpugrad.inflection_points(wave(x), x)
    down = gpugrad.inflection_points(wave(x[::-1]), x[::-1])
    np.testing.assert_allclose(up.slope, down.slope[::-1], rtol=1e-11)
    assert (up.kind == down.kind[::-1]).all()


def test_a_level_run_is_one_point_in_its_middle_with_its_extent():
    x = np.array([0.0, 1.0, 2.0, 3.0, 5.0, 6.0])
    points = gpugrad.turning_points([0, 1, 4, 4, 4, 2], x)
    assert [*points.kind] == ["maximum"]
    assert (points.position, points.value, points.index, points.extent) == (3.5, 4, 3, 3)


def test_a_shelf_is_no_turn_but_a_plateau_if_asked_for():
    y = [0, 1, 1, 2, 0, 0, 0, -1]
    assert [*gpugrad.turning_points(y).kind] == ["maximum"]
    points = gpugrad.turning_points(y, plateaus=True)
    assert [*points.kind] == ["plateau", "maximum", "plateau"]
    assert [*points.position[[0, 2]]] == [1.5, 5.0]
    assert [*points.extent] == [1, 0, 2]


def test_ends_are_points_only_if_asked_for():
    assert len(gpugrad.turning_points([0.0, 1.0, 2.0])) == 0
    points = gpugrad.turning_points([0.0, 1.0, 2.0, 2.0], ends=True)
    assert [*points.kind] == ["minimum", "maximum"]
    assert [*points.position] == [0.0, 2.5]
    assert len(gpugrad.turning_points([1.0, 1.0, 1.0], ends=True)) == 0


@pytest.mark.parametrize("masked", [False, True])
def test_a_missing_sample_breaks_the_curve(masked):
    y = np.array([0.0, 2.0, 1.0, np.nan, 0.0, 3.0, np.nan, 3.0, 0.0, 1.0])
    y = np.ma.masked_invalid(y) if masked else y
    points = gpugrad.turning_points(y)
    assert [*points.index] == [1, 8]
    around = gpugrad.turning_points(y, ends=True)
    assert [*around.index] == [0, 1, 2, 4, 5, 7, 8, 9]
    assert np.isfinite(around.value).all()
    assert [*gpugrad.inflection_points(y).index] == []


@pytest.mark.exhaustive(xp="jax")
def test_many_curves_say_whose_their_points_are(xp, rng):
    y = rng.normal(size=(3, 40, 2))
    points = find_points(xp, y, axis=1)
    curve, index = gpugrad.asnumpy(points.curve), gpugrad.asnumpy(points.index)
    value = gpugrad.asnumpy(points.value)
    for k in range(6):
        i, j = np.unravel_index(k, (3, 2))
        alone = gpugrad.turning_points(y[i, :, j])
        assert (index[curve == k] == alone.index).all()
        assert (value[curve == k] == alone.value).all()
        assert (points.kind[curve == k] == alone.kind).all()


def test_dates_come_back_as_dates():
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"], "M8[D]")
    points = gpugrad.turning_points([0.0, 2.0, 1.5, 0.0], days)
    assert points.position == np.array(["2024-01-02T07:12:00.000"], "M8[ms]")
    assert points.extent.dtype == np.dtype("m8[ms]")
    bends = gpugrad.inflection_points([0.0, 2.0, 1.5, 5.0], days, time_unit="D")
    hours = gpugrad.inflection_points([0.0, 2.0, 1.5, 5.0], days, time_unit="h")
    assert bends.position.dtype == np.dtype("M8[ms]")
    np.testing.assert_allclose(bends.slope, 24 * hours.slope, rtol=1e-14)
    same = gpugrad.inflection_points([0.0, 2.0, 1.5, 5.0], [0, 1, 2, 4])
    np.testing.assert_allclose(bends.slope, same.slope, rtol=1e-12)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_dates_of_any_unit_keep_the_fraction(unit):
    when = np.datetime64("2024-01-01", unit) + 1000 * np.arange(5)
    points = gpugrad.turning_points([0.0, 1.0, 3.0, 2.0, 0.0], when)
    share = (points.position[0] - when[0]) / (when[-1] - when[0])
    # The parabola through 1, 3, 2 turns 1/6 of a gap behind its middle.
    assert share == pytest.approx((2 + 1 / 6) / 4, abs=1e-3)


@pytest.mark.parametrize("dtype", ["i1", "u1", "u8", "i8", "f2", "f4", "f8", "g"])
def test_samples_are_compared_in_their_own_dtype(dtype):
    points = gpugrad.turning_points(np.array([0, 100, 90, 95, 3], dtype))
    assert [*points.index] == [1, 2, 3]
    assert points.value.dtype == (np.dtype(dtype) if dtype in "f2 f4 f8 g" else np.float64)


def test_integers_that_no_float_tells_apart_still_turn():
    points = gpugrad.turning_points(np.array([2**62, 2**62 + 1, 2**62]))
    assert [*points.index] == [1]


def test_infinite_samples_turn_where_they_are():
    points = gpugrad.turning_points([0.0, np.inf, 0.0])
    assert (points.position, points.value) == (1.0, np.inf)


def test_a_straight_line_has_no_inflections():
    for x in (np.linspace(1e6, 1e6 + 1, 500), np.linspace(-1, 1, 500)):
        assert len(gpugrad.inflection_points(3 * x + 1, x)) == 0


def test_a_straight_piece_between_two_bends_is_one_inflection():
    x = np.arange(9.0)
    y = np.array([2.0, 0.5, 0.0, 1.0, 2.0, 3.0, 4.0, 4.5, 4.0])
    points = gpugrad.inflection_points(y, x)
    assert [*points.kind] == ["concave"]
    assert (points.position, points.value, points.slope, points.extent) == (4.0, 2.0, 1.0, 2.0)


def test_empty_and_short_curves_have_no_points():
    for shape in ((0,), (1,), (2,), (0, 5), (3, 0)):
        assert len(gpugrad.turning_points(np.zeros(shape), ends=True)) == 0
        if shape[-1] > 1:
            assert len(gpugrad.inflection_points(np.zeros(shape))) == 0


@random_cases(100)
@given(
    st.lists(st.integers(-4, 4), min_size=3, max_size=40) | st.permutations(range(12)),
    st.integers(0, 8),
)
def test_prominent_points_are_those_of_scipy_and_take_turns(y, least):
    signal = pytest.importorskip("scipy.signal")
    points = gpugrad.turning_points(y, prominence=least)
    for sign, found in ((1, points.maxima), (-1, points.minima)):
        peaks, properties = signal.find_peaks(sign * np.array(y, float), prominence=least)
        assert [*found.index] == [*peaks]
        assert [*found.prominence] == [*properties["prominences"]]
    if len({*y}) == len(y):  # of two equal maxima, neither ends where the other begins
        assert (points.kind[1:] != points.kind[:-1]).all()


def test_prominence_finds_the_turns_beneath_the_noise(rng):
    pytest.importorskip("scipy")
    x = np.linspace(0, 7, 2000)
    noisy = wave(x) + rng.normal(size=x.size) * 0.01
    assert len(gpugrad.turning_points(noisy, x)) > 500
    points = gpugrad.turning_points(noisy, x, prominence=0.1)
    assert [*points.kind] == ["maximum", "minimum"] * 2
    np.testing.assert_allclose(points.position, roots(1), atol=0.1)


def test_a_missing_sample_ends_what_prominence_looks_at():
    pytest.importorskip("scipy")
    y = np.array([0.0, 5.0, 4.0, np.nan, 1.0, 3.0, 2.0])
    points = gpugrad.turning_points(y, prominence=0)
    assert [*points.prominence] == [1.0, 1.0]
    whole = gpugrad.turning_points(y, prominence=2, ends=True)
    assert np.isnan(whole.prominence).all()
    assert len(whole) == 4


def test_the_prominence_of_an_inflection_is_that_of_the_slope(rng):
    pytest.importorskip("scipy")
    x = np.linspace(0, 7, 400)
    y = wave(x) + 1e-5 * rng.normal(size=x.size)
    points = gpugrad.inflection_points(y, x, prominence=0.5)
    np.testing.assert_allclose(points.position, roots(2), atol=0.2)
    assert (points.prominence >= 0.5).all()


def test_scipy_is_needed_for_prominence_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    assert len(gpugrad.turning_points([0, 1, 0])) == 1
    with pytest.raises(ImportError, match=r'pip install "gpugrad\[science\]"'):
        gpugrad.turning_points([0, 1, 0], prominence=0.5)


def test_what_has_no_values_yet_is_refused():
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"Pass `f.compute\(\)`"):
        gpugrad.turning_points(da.zeros(5))
    jax = pytest.importorskip("jax")
    with pytest.raises(TypeError, match="outside of `jit`"):
        jax.jit(lambda y: gpugrad.turning_points(y).position)(jax.numpy.zeros(5))


def test_the_spacing_is_a_number_coordinates_or_a_keyword():
    y = wave(np.linspace(0, 7, 200))
    for find in (gpugrad.turning_points, gpugrad.inflection_points):
        plain, half = find(y), find(y, 0.5)
        np.testing.assert_allclose(half.position, 0.5 * plain.position)
        np.testing.assert_array_equal(half.position, find(y, spacing=0.5).position)
        np.testing.assert_array_equal(
            half.position, find(f=y, spacing=0.5 * np.arange(200)).position
        )
        down = find(y, -0.5)
        np.testing.assert_allclose(down.position, -half.position)
        with pytest.raises(TypeError, match=r"`spacing` must be one distance.*got 2 arguments"):
            find(y, 0.5, -1)
        with pytest.raises(TypeError, match=r"Pass `axis`"):
            find(y, dim=0)


def test_a_time_between_samples_gives_times():
    points = gpugrad.turning_points([0.0, 2.0, 1.5, 0.0], np.timedelta64(1, "D"))
    same = gpugrad.turning_points([0.0, 2.0, 1.5, 0.0], np.arange(4) * np.timedelta64(1, "D"))
    assert points.position == same.position == np.timedelta64(112320, "s")
    bends = gpugrad.inflection_points([0.0, 2.0, 1.5, 5.0], np.timedelta64(24, "h"), time_unit="D")
    expected = gpugrad.inflection_points([0.0, 2.0, 1.5, 5.0])
    np.testing.assert_allclose(bends.slope, expected.slope, rtol=1e-12)


def test_errors_say_what_must_hold():
    with pytest.raises(TypeError, match=r"must be real numbers.*got dtype complex128"):
        gpugrad.turning_points([1j, 2j])
    with pytest.raises(ValueError, match=r"must go up throughout, or down; got 3 and 2"):
        gpugrad.turning_points([1, 2, 3, 4], [1, 3, 2, 5])
    with pytest.raises(ValueError, match="duplicate"):
        gpugrad.turning_points([1, 2, 3], [1, 1, 2])
    with pytest.raises(ValueError, match="0 or more"):
        gpugrad.turning_points([1, 2, 3], prominence=-1)
    with pytest.raises(TypeError, match="must be a number"):
        gpugrad.turning_points([1, 2, 3], prominence="high")
    with pytest.raises(TypeError, match="time_unit"):
        gpugrad.inflection_points([1, 2, 3], np.arange(3).astype("M8[s]"))
    with pytest.raises(ValueError, match="time_unit"):
        gpugrad.inflection_points([1, 2, 3], time_unit="s")


def assert_same_points(points, expected):
    for name in ("position", "value", "kind", "index", "extent", "curve", "prominence"):
        got, wanted = getattr(points, name), getattr(expected, name)
        if wanted is not None:
            np.testing.assert_array_equal(got, np.asarray(wanted, got.dtype), err_msg=name)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "f2", "0 and 1"])
def test_narrow_dtypes_have_the_points_of_wide_ones(dtype, rng):
    size = 1 if dtype == "0 and 1" else 100
    dtype = "u1" if dtype == "0 and 1" else dtype
    f = np.round(np.cumsum(rng.normal(size=(5, 300)), axis=1) * 8).clip(-size, size)
    f = (f + (size if dtype[0] == "u" else 0)).astype(dtype)
    for options in ({}, {"ends": True, "plateaus": True}):
        points = gpugrad.turning_points(f, **options)
        assert_same_points(points, gpugrad.turning_points(f.astype("f8"), **options))
    slopes = gpugrad.inflection_points(f)
    assert len(slopes) == len(gpugrad.inflection_points(f.astype("f4" if dtype == "f2" else "f8")))


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("options", [{}, {"ends": True, "plateaus": True}])
def test_points_do_not_depend_on_how_many_samples_are_compared_at_a_time(
    size, options, rng, monkeypatch
):
    # Level runs that are longer than a block, at an end too, and NaN beside them.
    f = np.repeat(rng.integers(0, 3, (6, 60)), rng.integers(1, 9, 60), axis=1).astype("f8")
    f[2, 30:40] = np.nan
    f[3] = 1.0
    x = np.arange(f.shape[1]) * 1.0
    whole = gpugrad.turning_points(f, x, **options)
    bends = gpugrad.inflection_points(f, x)
    one = gpugrad.turning_points(f[0], x, **options)
    monkeypatch.setattr(extrema, "ON_HOST", size)
    assert_same_points(gpugrad.turning_points(f, x, **options), whole)
    assert_same_points(gpugrad.inflection_points(f, x), bends)
    assert_same_points(gpugrad.turning_points(f[0], x, **options), one)
