"""Latitudes and longitudes: spherical harmonics, whose derivatives are known, at the poles too."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits


def make_grid(n, poles=True):
    """Return latitudes and longitudes in degrees, with or without samples at the poles."""
    latitude = np.linspace(-90, 90, n + 1) if poles else (np.arange(n) + 0.5) * (180 / n) - 90
    return latitude, np.arange(2 * n) * (180 / n)


def position(latitude, longitude):
    """Return points on the unit sphere, and the unit vectors to the north and to the east."""
    p, q = np.radians(latitude), np.radians(longitude)
    r = np.stack([np.cos(p) * np.cos(q), np.cos(p) * np.sin(q), np.sin(p)])
    north = np.stack([-np.sin(p) * np.cos(q), -np.sin(p) * np.sin(q), np.cos(p)])
    east = np.stack([-np.sin(q), np.cos(q), np.zeros_like(q)])
    return r, north, east


# Real spherical harmonics up to factors: homogeneous harmonic polynomials of x, y, z, their
# degree l, and their gradients in space. On the sphere the Laplacian is -l (l + 1) times each.
HARMONICS = {
    "Y10": (1, lambda x, y, z: (z, (0 * x, 0 * x, 0 * x + 1))),
    "Y11": (1, lambda x, y, z: (x, (0 * x + 1, 0 * x, 0 * x))),
    "Y21": (2, lambda x, y, z: (y * z, (0 * x, z, y))),
    "Y22": (2, lambda x, y, z: (x**2 - y**2, (2 * x, -2 * y, 0 * x))),
    "Y32": (3, lambda x, y, z: (x * y * z, (y * z, x * z, x * y))),
    "Y31": (
        3,
        lambda x, y, z: (
            x * (4 * z**2 - x**2 - y**2),
            (4 * z**2 - 3 * x**2 - y**2, -2 * x * y, 8 * x * z),
        ),
    ),
}


def harmonic(name, latitude, longitude):
    """Return a harmonic, its gradient to the north and to the east, and its Laplacian."""
    degree, function = HARMONICS[name]
    r, north, east = position(*np.meshgrid(latitude, longitude, indexing="ij"))
    f, in_space = function(*r)
    to_north, to_east = ((np.stack(in_space) * e).sum(0) for e in (north, east))
    return f, to_north, to_east, -degree * (degree + 1) * f


def observe_order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


@pytest.mark.parametrize("poles", [True, False])
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("name", HARMONICS)
def test_operators_have_their_order_up_to_the_poles(name, accuracy, poles):
    sizes, errors = (16, 24, 36, 54), []
    for n in sizes:
        latitude, longitude = make_grid(n, poles)
        f, north, east, laplacian = harmonic(name, latitude, longitude)
        grid = {"radius": 1.0, "accuracy": accuracy}
        got = gpugrad.spherical_gradient(f, latitude, longitude, **grid)
        v = np.stack([north, east])
        divergence = gpugrad.spherical_divergence(v, latitude, longitude, **grid)
        turned = gpugrad.spherical_curl((east, -north), latitude, longitude, **grid)
        curl = gpugrad.spherical_curl(v, latitude, longitude, **grid)
        pairs = [(got[0], north), (got[1], east), (divergence, laplacian), (turned, laplacian)]
        errors.append([np.abs(a - b).max() for a, b in [*pairs, (curl, 0 * f)]])
    for of_one in np.array(errors).T:
        if of_one.max() > 1e-12:
            assert observe_order(sizes, of_one) > accuracy - 0.25


def test_scipys_spherical_harmonics_are_differentiated_as_their_recurrence_says():
    special = pytest.importorskip("scipy.special")
    if not hasattr(special, "sph_harm_y"):
        pytest.skip("SciPy before 1.15 has no sph_harm_y")
    latitude, longitude = make_grid(90)
    theta, q = np.radians(90 - latitude)[:, None], np.radians(longitude)
    for degree, order in ((3, 1), (4, 2), (5, 0)):
        y, dy = special.sph_harm_y(degree, order, theta, q, diff_n=1)
        north, east = gpugrad.spherical_gradient(y, latitude, longitude, radius=1.0, accuracy=6)
        assert np.abs(north + dy[..., 0]).max() < 1e-6
        inside = slice(1, -1)
        expected = dy[..., 1][inside] / np.sin(theta[inside])
        assert np.abs(east[inside] - expected).max() < 1e-6


def test_at_a_pole_the_gradient_is_one_vector():
    latitude, longitude = make_grid(30)
    f, *_ = harmonic("Y31", latitude, longitude)
    g = np.stack(gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0, accuracy=8))
    for row in (0, -1):
        _, north, east = position(0 * longitude + latitude[row], longitude)
        vectors = north * g[0, row] + east * g[1, row]
        assert np.abs(vectors - vectors[:, :1]).max() < 1e-14
        np.testing.assert_allclose(vectors[:, 0], [4, 0, 0], atol=1e-5)


@pytest.mark.parametrize("poles", [True, False])
def test_the_unit_and_the_direction_of_latitude_change_nothing_else(poles):
    latitude, longitude = make_grid(24, poles)
    f, *_ = harmonic("Y32", latitude, longitude)
    expected = gpugrad.spherical_gradient(f, latitude, longitude)
    turned = gpugrad.spherical_gradient(f[::-1], latitude[::-1], longitude)
    radians = gpugrad.spherical_gradient(
        f, np.radians(latitude), np.radians(longitude), degrees=False
    )
    westward = gpugrad.spherical_gradient(f[:, ::-1], latitude, longitude[::-1])
    wrapped = gpugrad.spherical_gradient(f, latitude, (longitude + 180) % 360 - 180)
    for i, one in enumerate(expected):
        tiny = 1e-13 * np.abs(one).max()
        for other in (turned[i][::-1], radians[i], westward[i][:, ::-1], wrapped[i]):
            np.testing.assert_allclose(other, one, atol=tiny)


def test_the_default_radius_is_the_earths_in_metres():
    latitude, longitude = np.array([10.0, 11.0, 12.0]), np.array([5.0, 6.0, 7.0, 8.0])
    f = latitude[:, None] + 2 * longitude
    north, east = gpugrad.spherical_gradient(f, latitude, longitude)
    degree = math.radians(6_371_000)
    np.testing.assert_allclose(north, 1 / degree)
    np.testing.assert_allclose(
        east, 2 / degree / np.cos(np.radians(latitude))[:, None] * np.ones(4)
    )


def test_a_region_is_not_closed_and_has_its_order_at_its_edges():
    sizes, errors = (20, 30, 45, 68), []
    for n in sizes:
        latitude, longitude = np.linspace(20, 70, n), np.linspace(-30, 40, n)
        f, north, east, _ = harmonic("Y31", latitude, longitude)
        got = gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0)
        errors.append(max(np.abs(got[0] - north).max(), np.abs(got[1] - east).max()))
    assert observe_order(sizes, errors) > 1.75


def test_gaussian_latitudes_uneven_longitudes_and_caps_close_too():
    latitude = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(48)[0]))
    longitude = np.arange(96) * 3.75
    cap = latitude[latitude > 30]
    uneven = np.sort(longitude + np.degrees(0.2 * np.sin(np.radians(longitude))))
    odd = np.arange(95) * (360 / 95)
    for lat, lon, limit in (
        (latitude, longitude, 8e-3),
        (cap, longitude, 8e-3),
        (latitude, uneven, 8e-3),
        (latitude, odd, 8e-3),
    ):
        f, north, east, _ = harmonic("Y22", lat, lon)
        got = gpugrad.spherical_gradient(f, lat, lon, radius=1.0)
        assert max(np.abs(got[0] - north).max(), np.abs(got[1] - east).max()) < limit


def test_without_all_meridians_the_eastward_component_at_a_pole_is_unknown():
    latitude, longitude = np.linspace(60, 90, 16), np.linspace(0, 90, 31)
    f, north, east, _ = harmonic("Y21", latitude, longitude)
    got = gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0)
    assert np.isnan(got[1][-1]).all()
    np.testing.assert_allclose(got[1][:-1], east[:-1], atol=2e-3)
    np.testing.assert_allclose(got[0], north, atol=2e-3)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i8"])
def test_every_library_has_the_same_results(xp, rng, dtype):
    latitude, longitude = make_grid(6)
    f = (10 * rng.normal(size=(2, 7, 12))).astype(dtype)
    f[:, [0, -1]] = f[:, [0, -1], :1]
    v = np.stack([f, f[::-1]])
    for operator, field in (
        (gpugrad.spherical_gradient, f),
        (gpugrad.spherical_divergence, v),
        (gpugrad.spherical_curl, v),
    ):
        expected = np.asarray(operator(field, latitude, longitude, radius=1.0))
        got = operator(xp.asarray(field), latitude, longitude, radius=1.0)
        parts = got if isinstance(got, tuple) else (got,)
        assert all(type(part) is type(xp.asarray(field)) for part in parts)
        got = np.stack([gpugrad.asnumpy(part) for part in parts]).reshape(expected.shape)
        assert got.dtype == expected.dtype
        tiny = (1e-12 if got.dtype.itemsize > 4 else 1e-4) * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, atol=tiny)


def test_the_axes_may_lie_anywhere(rng):
    latitude, longitude = make_grid(8)
    f = rng.normal(size=(3, 9, 16))
    expected = gpugrad.spherical_gradient(f, latitude, longitude, stack=True)
    for axes in ((0, 1), (1, 0), (2, 0), (0, 2)):
        moved = np.moveaxis(f, (1, 2), axes)
        got = gpugrad.spherical_gradient(moved, latitude, longitude, axis=axes, stack=True)
        back = np.moveaxis(got, (axes[0] + 1, axes[1] + 1), (2, 3))
        np.testing.assert_allclose(back, expected, atol=1e-12 * np.abs(expected).max())
    out = np.empty_like(f), np.empty_like(f)
    got = gpugrad.spherical_gradient(f, latitude, longitude, out=out)
    assert got[0] is out[0]
    assert_same_bits(np.stack(out), expected)


@pytest.mark.parametrize("transposed", [False, True])
def test_two_dimensional_coordinates_are_those_of_a_curved_grid(transposed):
    sizes, errors = (20, 30, 45, 68), []
    for n in sizes:  # a square on a tilted sphere, over the pole
        a, b = np.meshgrid(np.linspace(-0.4, 0.3, n), np.linspace(-0.5, 0.6, n), indexing="ij")
        x, y = a + 0.1 * b**2, b - 0.2 * a * b
        z = np.sqrt(1 - x**2 - y**2)
        latitude, longitude = np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x))
        _, north, east = position(latitude, longitude)
        f, slope = x * z + y, np.stack([z, 0 * x + 1, x])
        axes = (1, 0) if transposed else (0, 1)
        grids = (latitude.T, longitude.T) if transposed else (latitude, longitude)
        got = gpugrad.spherical_gradient(f, *grids, radius=1.0, axis=axes)
        expected = [(slope * e).sum(0) for e in (north, east)]
        errors.append(max(np.abs(g - e).max() for g, e in zip(got, expected, strict=True)))
    assert observe_order(sizes, errors) > 1.75


def test_masks_stay_where_they_are():
    latitude, longitude = make_grid(12)
    f, *_ = harmonic("Y21", latitude, longitude)
    masked = np.ma.array(f, mask=False)
    masked[5, 7] = np.ma.masked
    north, east = gpugrad.spherical_gradient(masked, latitude, longitude, radius=1.0)
    expected = gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0)
    assert north.mask[4, 7]
    assert not north.mask[2].any()
    np.testing.assert_allclose(east[[0, -1]], expected[1][[0, -1]], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"latitude": np.linspace(-100, 80, 9)}, ValueError, "between -90 degrees and 90 degrees"),
        ({"latitude": np.arange(8.0)}, ValueError, r"`latitude` must have shape \(9,\)"),
        ({"latitude": [0, 1, 2, 1, 3, 4, 5, 6, 7]}, ValueError, "must rise, or fall"),
        (
            {"longitude": np.linspace(0, 360, 16)},
            ValueError,
            "the first meridian again as the last",
        ),
        ({"longitude": np.arange(16) * 30.0}, ValueError, "more than a full circle"),
        ({"longitude": [np.nan] * 16}, ValueError, "`longitude` must be finite"),
        ({"longitude": ["a"] * 16}, TypeError, "array of real numbers"),
        ({"longitude": np.zeros((9, 16))}, ValueError, r"`latitude` must have shape \(9, 16\)"),
        ({"radius": 0}, ValueError, "`radius` must be positive"),
        ({"radius": "1"}, TypeError, "`radius` must be a number"),
        ({"axis": 0}, ValueError, "must name two axes"),
    ],
)
def test_coordinates_that_make_no_sense_are_refused(change, error, message):
    latitude, longitude = make_grid(8)
    given = {"latitude": latitude, "longitude": longitude} | change
    with pytest.raises(error, match=message):
        gpugrad.spherical_gradient(np.zeros((9, 16)), **given)


def test_a_repeated_meridian_may_be_kept_on_purpose():
    latitude, longitude = np.linspace(-40, 40, 9), np.linspace(0, 360, 25)
    f = np.sin(np.radians(longitude)) * np.ones((9, 1))
    _, east = gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0, periodic=False)
    assert east.shape == f.shape


def test_a_vector_has_two_components():
    with pytest.raises(ValueError, match="two components, to the north and to the east; got 3"):
        gpugrad.spherical_curl(np.zeros((3, 9, 16)), *make_grid(8))
