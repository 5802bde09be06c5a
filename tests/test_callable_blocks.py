"""Derivatives of functions at many points: how functions are called, and that blocks don't show."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from gpugrad import GpugradWarning
from internals import complex_step

METHODS = ["auto", "complex", "central", "extrapolation"]

MANY = 5000
"""Points that are differentiated variable by variable."""


def trough(x, y):
    return np.sin(x) * np.exp(-y * y)


def trough_gradient(x, y):
    return np.cos(x) * np.exp(-y * y), -2 * y * trough(x, y)


@pytest.mark.parametrize("method", ["central", "extrapolation"])
def test_what_stays_is_not_computed_again_for_each_step(rng, method):
    x, y = rng.uniform(-2, 2, (2, MANY))
    shapes = set()

    def watched(a, b):
        shapes.add((a.shape, b.shape))
        return trough(a, b)

    found = gpugrad.gradient_of(watched, method=method)(x, y)
    for part, exact in zip(found, trough_gradient(x, y), strict=True):
        np.testing.assert_allclose(part, exact, atol=1e-9)
    large = {(a, b) for a, b in shapes if a != b and max(*a, *b) > 3}
    assert large
    assert all(1 in (a[0], b[0]) for a, b in large)


def only_full(x, y):
    if np.shape(x) != np.shape(y):
        raise RuntimeError("shapes differ")
    return trough(x, y)


def only_few_open(x, y):
    if np.shape(x) != np.shape(y) and max(x.size, y.size) > 100:
        raise IndexError("shapes differ")
    return trough(x, y)


def other_where_open(x, y):
    return trough(x, y) if np.shape(x) == np.shape(y) else trough(x, y) + x


def lines_of_open(x, y):
    return trough(x, y) if np.shape(x) == np.shape(y) else np.zeros(3)


@pytest.mark.parametrize("method", ["central", "extrapolation"])
@pytest.mark.parametrize("func", [only_full, only_few_open, other_where_open, lines_of_open])
def test_functions_of_equal_shapes_alone_get_them(rng, func, method):
    x, y = rng.uniform(-2, 2, (2, MANY))
    found = gpugrad.gradient_of(func, method=method)(x, y)
    wanted = gpugrad.gradient_of(trough, method=method)(x, y)
    for part, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", ["central", "extrapolation", "complex"])
def test_components_may_depend_on_some_variables_alone(rng, method):
    x, y = rng.uniform(0.5, 2, (2, MANY))
    jacobian = gpugrad.jacobian_of(lambda a, b: (a * a, np.sin(b), 3.0, a * b), method=method)
    exact = ((2 * x, 0 * x), (0 * x, np.cos(y)), (0 * x, 0 * x), (y, x))
    for row, wanted in zip(jacobian(x, y), exact, strict=True):
        for part, value in zip(row, wanted, strict=True):
            np.testing.assert_allclose(part, value, rtol=1e-11, atol=1e-11)


def test_sums_over_points_are_refused_where_coordinates_stay(rng):
    x, y = rng.uniform(0.5, 2, (2, MANY))
    with pytest.raises(ValueError, match="one value for each point"):
        gpugrad.gradient_of(lambda a, b: np.sum(a * b), method="central")(x, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["central", "extrapolation", "complex"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 1e-30, -1e12])
def test_points_do_not_depend_on_those_beside_them(rng, method, dtype, bad):
    x, y = rng.uniform(0.5, 1.9, (2, 40)).astype(dtype)
    grad = gpugrad.gradient_of(lambda a, b: a * a + 1 / (1 + b * b), method=method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpugradWarning)
        alone = grad(x, y)
        beside = grad(np.append(x, dtype(bad)), np.append(y, dtype(bad)))
    for part, other in zip(alone, beside, strict=True):
        assert_same_bits(part, other[:-1])


@pytest.mark.parametrize(("dtype", "powers"), [(np.float64, 140), (np.float32, 15)])
def test_complex_steps_fit_points_of_any_size(dtype, powers):
    x = (10.0 ** np.arange(-powers, powers + 1, 5)).astype(dtype)
    x = np.concatenate([x, -x])
    exact = (-1 / x.astype(np.longdouble) ** 2).astype(dtype)
    found = gpugrad.derivative_of(lambda t: 1 / t, method="complex")(x)
    np.testing.assert_allclose(found, exact, rtol=4 * np.finfo(dtype).eps)


def test_long_doubles_are_differentiated_by_complex_steps():
    x = np.linspace(0.5, 2, 5, dtype=np.longdouble)
    found = gpugrad.derivative_of(np.exp, method="complex")(x)
    assert found.dtype == np.longdouble
    np.testing.assert_allclose(found, np.exp(x), rtol=1e-15)


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(complex_step, "_BLOCK", 64)


def test_complex_blocks_do_not_show(rng, monkeypatch):
    x, y = rng.uniform(-2, 2, (2, 1000))
    gradient = gpugrad.gradient_of(trough, method="complex")
    whole = gradient(x, y)
    monkeypatch.setattr(complex_step, "_BLOCK", 64)
    for part, other in zip(whole, gradient(x, y), strict=True):
        assert_same_bits(part, other)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("place", [0, 63, 64, 500, 999])
def test_poles_are_found_in_every_block(rng, place):
    x, y = rng.uniform(0.5, 2, (2, 1000))
    y[place] = 0
    with pytest.warns(GpugradWarning, match=rf"NaN at 1 of 1000 points, .* at \({x[place]:g}, 0\)"):
        dx, dy = gpugrad.gradient_of(lambda a, b: a * a + np.sqrt(b), method="complex")(x, y)
    np.testing.assert_allclose(dx, 2 * x)
    assert np.flatnonzero(np.isnan(dy)).tolist() == [place]
    rest = np.arange(1000) != place
    np.testing.assert_allclose(dy[rest], 0.5 / np.sqrt(y[rest]))


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("place", [0, 63, 64, 500, 999])
def test_missing_values_are_found_in_every_block(rng, place):
    x = rng.uniform(0.5, 2, 1000)
    x[place] = -1.5
    with pytest.warns(GpugradWarning, match=r"NaN at 1 of 1000 points, the first at \(-1\.5\)"):
        slope = gpugrad.derivative_of(np.log, method="complex")(x)
    assert np.flatnonzero(np.isnan(slope)).tolist() == [place]


@pytest.mark.usefixtures("short_blocks")
def test_slopes_that_are_steep_everywhere_are_no_poles(rng):
    x = rng.uniform(-0.1, 0.1, 1000)
    slope = gpugrad.derivative_of(lambda t: np.exp(2000 * t), method="complex")(x)
    np.testing.assert_allclose(slope, 2000 * np.exp(2000 * x), rtol=1e-12)


@pytest.mark.usefixtures("short_blocks")
def test_functions_that_are_not_analytic_in_a_late_block_are_refused(rng):
    x = rng.uniform(0.5, 2, 1000)

    def evasive(t):
        late = np.asarray(t._values.real if hasattr(t, "_values") else t) > 1.9
        return t * t + 1e-3 * late * hasattr(t, "_values")

    x[:64] = 1.0
    x[700] = 1.95
    with pytest.raises(TypeError, match="complex values that are others than its real ones"):
        gpugrad.derivative_of(evasive, method="complex")(x)


class Size:
    """What multiplies an array's absolute values."""

    __array_ufunc__ = None

    def __mul__(self, other):
        return abs(other)

    __rmul__ = __mul__


@pytest.mark.parametrize("func", [lambda x: x * Size(), lambda x: Size() * x])
def test_operators_of_others_are_watched_as_well(func):
    with pytest.raises(TypeError, match="func` uses absolute"):
        gpugrad.derivative_of(func, method="complex")(2.0)


@pytest.mark.parametrize("method", METHODS)
def test_values_that_are_not_finite_draw_one_warning(method):
    points = np.array([1.0, 1e200])
    with pytest.warns(GpugradWarning) as told:
        gpugrad.derivative_of(lambda x: x * x * x, method=method, return_error=True)(points)
    assert len(told) == 1
    assert "NaN at 1 of 2 points, the first at (1e+200)" in str(told[0].message)


@pytest.mark.parametrize("method", ["auto", "central", "extrapolation"])
@pytest.mark.parametrize("root", [np.sqrt, np.vectorize(np.sqrt)], ids=["arrays", "numbers"])
def test_samples_outside_of_the_domain_draw_no_warning(method, root):
    x, y = np.array([0.0, 1e-9, 1.0]), np.array([1.0, 2.0, 3.0])
    by_x, by_y = gpugrad.gradient_of(lambda a, b: a * a * root(a) * b, method=method)(x, y)
    far = 2e-3 if method == "central" else 1e-9  # its step does not know how near the end is
    np.testing.assert_allclose(by_x, 2.5 * x**1.5 * y, atol=far)
    np.testing.assert_allclose(by_y, x**2.5, atol=1e-12)
