"""Latitudes and longitudes: spherical harmonics, whose derivatives are known, at the poles too."""

from __future__ import annotations

import inspect
import math
import pickle
import tracemalloc

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import slabs, sphere_fields


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


OPERATORS = {
    "gradient": lambda sphere, u, v, **options: sphere.gradient(v, **options),
    "gradient_norm": lambda sphere, u, v, **options: sphere.gradient_norm(v, **options),
    "laplacian": lambda sphere, u, v, **options: sphere.laplacian(v, **options),
    "divergence": lambda sphere, u, v, **options: sphere.divergence(u=u, v=v, **options),
    "curl": lambda sphere, u, v, **options: sphere.curl(u=u, v=v, **options),
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


@pytest.mark.sampled
@pytest.mark.parametrize("poles", [True, False])
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("name", HARMONICS)
def test_operators_have_their_order_up_to_the_poles(name, accuracy, poles):
    sizes, errors = (16, 24, 36, 54), []
    for n in sizes:
        latitude, longitude = make_grid(n, poles)
        f, north, east, laplacian = harmonic(name, latitude, longitude)
        grid = {"radius": 1.0, "accuracy": accuracy}
        sphere = gpugrad.Sphere(latitude, longitude, **grid)
        got = sphere.gradient(f)
        divergence = sphere.divergence(u=east, v=north)
        turned = sphere.curl(u=-north, v=east)
        curl = sphere.curl(u=east, v=north)
        norm = sphere.gradient_norm(f) ** 2
        pairs = [
            (got.north, north), (got.east, east), (divergence, laplacian), (turned, laplacian),
            (curl, 0 * f), (norm, north**2 + east**2), (sphere.laplacian(f), laplacian),
        ]  # fmt: skip
        errors.append([np.abs(a - b).max() for a, b in pairs])
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
        north, east = gpugrad.Sphere(latitude, longitude, radius=1.0, accuracy=6).gradient(y)
        assert np.abs(north + dy[..., 0]).max() < 1e-6
        inside = slice(1, -1)
        expected = dy[..., 1][inside] / np.sin(theta[inside])
        assert np.abs(east[inside] - expected).max() < 1e-6


def test_at_a_pole_the_gradient_is_one_vector():
    latitude, longitude = make_grid(30)
    f, *_ = harmonic("Y31", latitude, longitude)
    g = np.stack(gpugrad.Sphere(latitude, longitude, radius=1.0, accuracy=8).gradient(f))
    for row in (0, -1):
        _, north, east = position(0 * longitude + latitude[row], longitude)
        vectors = north * g[0, row] + east * g[1, row]
        assert np.abs(vectors - vectors[:, :1]).max() < 1e-14
        np.testing.assert_allclose(vectors[:, 0], [4, 0, 0], atol=1e-5)


@pytest.mark.parametrize("poles", [True, False])
def test_the_unit_and_the_direction_of_latitude_change_nothing_else(poles):
    latitude, longitude = make_grid(24, poles)
    f, *_ = harmonic("Y32", latitude, longitude)
    angles = np.radians(latitude), np.radians(longitude)

    def differentiate(sphere, field):
        return [*sphere.gradient(field), sphere.laplacian(field)]

    expected = differentiate(gpugrad.Sphere(latitude, longitude), f)
    turned = differentiate(gpugrad.Sphere(latitude[::-1], longitude), f[::-1])
    radians = differentiate(gpugrad.Sphere(*angles, degrees=False), f)
    westward = differentiate(gpugrad.Sphere(latitude, longitude[::-1]), f[:, ::-1])
    wrapped = differentiate(gpugrad.Sphere(latitude, (longitude + 180) % 360 - 180), f)
    for i, one in enumerate(expected):
        tiny = (1e-13 if i < 2 else 1e-11) * np.abs(one).max()
        for other in (turned[i][::-1], radians[i], westward[i][:, ::-1], wrapped[i]):
            np.testing.assert_allclose(other, one, atol=tiny)


def test_the_default_radius_is_the_earths_in_metres():
    latitude, longitude = np.array([10.0, 11.0, 12.0]), np.array([5.0, 6.0, 7.0, 8.0])
    f = latitude[:, None] + 2 * longitude
    north, east = gpugrad.Sphere(latitude, longitude).gradient(f)
    degree = math.radians(6_371_000)
    np.testing.assert_allclose(north, 1 / degree)
    np.testing.assert_allclose(
        east, 2 / degree / np.cos(np.radians(latitude))[:, None] * np.ones(4)
    )


def test_a_region_is_not_closed_and_has_its_order_at_its_edges():
    sizes, errors = (20, 30, 45, 68), []
    for n in sizes:
        latitude, longitude = np.linspace(20, 70, n), np.linspace(-30, 40, n)
        f, north, east, laplacian = harmonic("Y31", latitude, longitude)
        sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
        got, expected = [*sphere.gradient(f), sphere.laplacian(f)], (north, east, laplacian)
        errors.append(max(np.abs(a - b).max() for a, b in zip(got, expected, strict=True)))
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
        got = gpugrad.Sphere(lat, lon, radius=1.0).gradient(f)
        assert max(np.abs(got[0] - north).max(), np.abs(got[1] - east).max()) < limit


def test_without_all_meridians_the_eastward_component_at_a_pole_is_unknown():
    latitude, longitude = np.linspace(60, 90, 16), np.linspace(0, 90, 31)
    f, north, east, _ = harmonic("Y21", latitude, longitude)
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    got = sphere.gradient(f)
    assert np.isnan(got[1][-1]).all()
    assert np.isnan(sphere.laplacian(f)[-1]).all()
    np.testing.assert_allclose(got[1][:-1], east[:-1], atol=2e-3)
    np.testing.assert_allclose(got[0], north, atol=2e-3)


@pytest.mark.sampled
@pytest.mark.nightly(xp="jax")
@pytest.mark.parametrize("dtype", ["f4", "c16", "i8"])
def test_every_library_has_the_same_results(xp, rng, dtype):
    latitude, longitude = make_grid(6)
    f = (10 * rng.normal(size=(2, 7, 12))).astype(dtype)
    f[:, [0, -1]] = f[:, [0, -1], :1]
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    for call in OPERATORS.values():
        expected = np.asarray(call(sphere, f, f[::-1]))
        got = call(sphere, xp.asarray(f), xp.asarray(f[::-1]))
        parts = got if isinstance(got, tuple) else (got,)
        assert all(type(part) is type(xp.asarray(f)) for part in parts)
        got = np.stack([gpugrad.asnumpy(part) for part in parts]).reshape(expected.shape)
        assert got.dtype == expected.dtype
        tiny = (1e-12 if got.dtype.itemsize > 4 else 1e-4) * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, atol=tiny)


GRIDS_OF_VECTORS = {
    "poles": (np.linspace(90, -90, 13), np.arange(16) * 22.5),
    "one pole": (np.linspace(20, 90, 9), np.arange(14)[::-1] * 360 / 14),
    "between poles": (np.linspace(-85, 85, 18), np.arange(20) * 18.0),
    "Gauss": (np.degrees(np.arcsin(np.polynomial.legendre.leggauss(16)[0])), np.arange(24) * 15.0),
    "region": (np.linspace(10, 60, 13), np.linspace(5, 50, 12)),
    "uneven": (np.linspace(3, 80, 14) ** 1.5 / 9, np.linspace(0, 16, 15) ** 2),
    "uneven round": (np.linspace(-50, 50, 9), np.sort(np.linspace(0, 18, 17) ** 2)),
}


@pytest.mark.sampled
@pytest.mark.parametrize("where", GRIDS_OF_VECTORS)
@pytest.mark.parametrize("accuracy", [2, 4])
def test_components_are_differentiated_as_cartesian_ones_are(where, accuracy, rng, monkeypatch):
    """The formulas are the same but for rounding, over poles and round the sphere, too."""
    latitude, longitude = GRIDS_OF_VECTORS[where]
    monkeypatch.setattr(sphere_fields, "LARGE", 0)
    sphere, other = (
        gpugrad.Sphere(latitude, longitude, radius=2.0, accuracy=accuracy) for _ in range(2)
    )
    for dtype in ("f8", "f4", "c16", "i4"):
        for shape in ((), (3,)):
            u, v = (10 * rng.normal(size=(2, *shape, latitude.size, longitude.size))).astype(dtype)
            for name in ("divergence", "curl"):
                got = [getattr(sphere, name)(u=u, v=v) for _ in range(3)]
                with monkeypatch.context() as patch:
                    no = lambda *_: False  # noqa: E731
                    patch.setattr(sphere_fields.SphereFields, "_takes_components", no)
                    wanted = getattr(other, name)(u=u, v=v)
                tiny = (1e-6 if dtype == "f4" else 4e-15) * np.abs(wanted).max()
                for each in got:
                    assert each.dtype == wanted.dtype
                    np.testing.assert_allclose(each, wanted, rtol=0, atol=tiny)


def test_the_axes_may_lie_anywhere(rng):
    latitude, longitude = make_grid(8)
    f = rng.normal(size=(3, 9, 16))
    expected = gpugrad.Sphere(latitude, longitude).gradient(f, stack=True)
    for axes in ((0, 1), (1, 0), (2, 0), (0, 2)):
        moved = np.moveaxis(f, (1, 2), axes)
        got = gpugrad.Sphere(latitude, longitude, axis=axes).gradient(moved, stack=True)
        back = np.moveaxis(got, (axes[0] + 1, axes[1] + 1), (2, 3))
        np.testing.assert_allclose(back, expected, atol=1e-12 * np.abs(expected).max())
    out = np.empty_like(f), np.empty_like(f)
    got = gpugrad.Sphere(latitude, longitude).gradient(f, out=out)
    assert got.north is out[0]
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
        got = gpugrad.Sphere(*grids, radius=1.0, axis=axes).gradient(f)
        expected = [(slope * e).sum(0) for e in (north, east)]
        errors.append(max(np.abs(g - e).max() for g, e in zip(got, expected, strict=True)))
    assert observe_order(sizes, errors) > 1.75


def test_masks_stay_where_they_are():
    latitude, longitude = make_grid(12)
    f, *_ = harmonic("Y21", latitude, longitude)
    masked = np.ma.array(f, mask=False)
    masked[5, 7] = np.ma.masked
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    north, east = sphere.gradient(masked)
    expected = sphere.gradient(f)
    assert north.mask[4, 7]
    assert not north.mask[2].any()
    np.testing.assert_allclose(east[[0, -1]], expected[1][[0, -1]], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"latitude": np.linspace(-100, 80, 9)},
            ValueError,
            "between -90 and 90 degrees; got values from -100 to 80",
        ),
        ({"latitude": np.arange(8.0)}, ValueError, r"`latitude` must have shape \(9,\)"),
        ({"latitude": [0, 1, 2, 1, 3, 4, 5, 6, 7]}, ValueError, "must rise, or fall"),
        (
            {"longitude": np.linspace(0, 360, 16)},
            ValueError,
            "the first meridian again as the last",
        ),
        ({"longitude": np.arange(16) * 30.0}, ValueError, "more than a full circle"),
        ({"longitude": [np.nan] * 16}, ValueError, "`longitude` must be finite"),
        ({"longitude": ["a"] * 16}, TypeError, "must hold real numbers"),
        ({"longitude": np.zeros((9, 16))}, ValueError, "both be 1-D, or 2-D of one shape"),
        ({"radius": 0}, ValueError, "`radius` must be positive"),
        ({"radius": "1"}, TypeError, "`radius` must be a number"),
        ({"axis": 0}, ValueError, "must name two axes"),
    ],
)
def test_coordinates_that_make_no_sense_are_refused(change, error, message):
    latitude, longitude = make_grid(8)
    given = {"latitude": latitude, "longitude": longitude} | change
    with pytest.raises(error, match=message):
        gpugrad.Sphere(**given).gradient(np.zeros((9, 16)))


def test_a_repeated_meridian_may_be_kept_on_purpose():
    latitude, longitude = np.linspace(-40, 40, 9), np.linspace(0, 360, 25)
    f = np.sin(np.radians(longitude)) * np.ones((9, 1))
    _, east = gpugrad.Sphere(latitude, longitude, radius=1.0, periodic=False).gradient(f)
    assert east.shape == f.shape


def test_components_are_given_by_keyword():
    u, v = np.zeros((2, 9, 16))
    sphere = gpugrad.Sphere(*make_grid(8))
    for operator in (sphere.divergence, sphere.curl):
        for components, keywords in (
            ((u, v), {}),
            (((v, u),), {}),
            ((), {"u": u}),
            ((u,), {"v": v}),
            ((u,), {"u": u, "v": v}),
        ):
            with pytest.raises(
                TypeError, match=r"by keyword, `u` to the east and `v` to the north"
            ):
                operator(*components, **keywords)


def test_dates_have_no_length(rng):
    dates = np.arange(13 * 24).reshape(13, 24).astype("M8[s]")
    with pytest.raises(TypeError, match=r"must hold numbers to have a gradient with a length"):
        gpugrad.Sphere(*make_grid(12)).gradient_norm(dates)


@pytest.mark.parametrize("name", ["divergence", "curl"])
def test_signatures_show_components_by_keyword_alone(name):
    _, *parameters = inspect.signature(getattr(gpugrad.Sphere, name)).parameters.values()
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    required = [x.name for x in parameters if x.default is inspect.Parameter.empty]
    assert required == ["u", "v"]
    operator, u = getattr(gpugrad.Sphere(*make_grid(8)), name), np.zeros((9, 16))
    with pytest.raises(TypeError, match=r"by keyword, `u` to the east"):
        operator(u=u, v=None)
    with pytest.raises(TypeError, match=rf"`{name}` takes no `mask`\. Pass `where`"):
        operator(u=u, v=u, mask=True)
    with pytest.raises(TypeError, match="It takes u, v, out, where, skipna, backend"):
        operator(u=u, v=u, unheard=True)


# The Laplacian

GRIDS = {
    "with poles": make_grid,
    "without poles": lambda n: make_grid(n, poles=False),
    "from the north": lambda n: (make_grid(n)[0][::-1], make_grid(n)[1]),
    "Gaussian": lambda n: (
        np.degrees(np.arcsin(np.polynomial.legendre.leggauss(n)[0])), make_grid(n)[1],
    ),
    "a region": lambda n: (np.linspace(-20, 70, n), np.linspace(-30, 40, n)),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_spherical_harmonics_are_eigenfunctions_of_the_laplacian(degree, accuracy, grid):
    special = pytest.importorskip("scipy.special")
    if not hasattr(special, "sph_harm_y"):
        pytest.skip("SciPy before 1.15 has no sph_harm_y")
    sizes, errors = (16, 24, 36, 54), []
    for n in sizes:
        latitude, longitude = GRIDS[grid](n)
        theta, q = np.radians(90 - latitude)[:, None], np.radians(longitude)
        sphere = gpugrad.Sphere(latitude, longitude, radius=2.0, accuracy=accuracy)
        eigenvalue = -degree * (degree + 1) / 4
        errors.append([])
        for order in range(degree + 1):
            y = special.sph_harm_y(degree, order, theta, q)
            error = np.abs(sphere.laplacian(y) - eigenvalue * y)
            errors[-1] += [error.max(), error[[0, -1]].max()]
    for of_one in np.array(errors).T:
        if of_one.max() > 1e-9:
            assert observe_order(sizes, of_one) > accuracy - 0.5


def test_the_laplacian_sees_a_field_that_alternates():
    latitude, longitude = make_grid(16)
    stripes = np.ones((17, 1)) * (-1.0) ** np.arange(32)
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    step = np.pi / 16
    assert (np.abs(sphere.laplacian(stripes)[1:-1]) > 3.9 / step**2).all()
    rings = (-1.0) ** np.arange(17)[:, None] * np.ones(32)
    assert np.abs(sphere.laplacian(rings)[3:-3]).min() > 3.9 / step**2


def swath(n):
    """Return 2-D latitudes and longitudes in degrees: a bent square over the pole."""
    a, b = np.meshgrid(np.linspace(-0.4, 0.3, n), np.linspace(-0.5, 0.6, n), indexing="ij")
    x, y = a + 0.1 * b**2, b - 0.2 * a * b
    return np.degrees(np.arcsin(np.sqrt(1 - x**2 - y**2))), np.degrees(np.arctan2(y, x))


@pytest.mark.parametrize("name", HARMONICS)
def test_operators_have_their_order_on_curved_grids(name):
    sizes, errors = (20, 30, 45, 68), []
    for n in sizes:
        latitude, longitude = swath(n)
        degree, function = HARMONICS[name]
        r, to_north, to_east = position(latitude, longitude)
        f, in_space = function(*r)
        north, east = ((np.stack(in_space) * e).sum(0) for e in (to_north, to_east))
        laplacian = -degree * (degree + 1) * f
        sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
        pairs = [
            (sphere.laplacian(f), laplacian), (sphere.divergence(u=east, v=north), laplacian),
            (sphere.curl(u=-north, v=east), laplacian), (sphere.curl(u=east, v=north), 0 * f),
            (sphere.gradient_norm(f), np.hypot(north, east)),
        ]  # fmt: skip
        errors.append([np.abs(a - b).max() for a, b in pairs])
    for of_one in np.array(errors).T:
        assert observe_order(sizes, of_one) > 1.6


# Masks


@pytest.mark.parametrize("name", OPERATORS)
def test_a_masked_sample_masks_the_whole_row_of_a_pole_that_needs_it(name):
    latitude, longitude = make_grid(12)
    f, *_ = harmonic("Y21", latitude, longitude)
    f = f + 3.0
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    masked = np.ma.array(f, mask=np.zeros(f.shape, bool))
    masked[-2, 5] = np.ma.masked
    for got in (
        OPERATORS[name](sphere, masked, masked),
        OPERATORS[name](sphere, masked, masked, where=np.arange(24) != 3),
    ):
        for part in got if isinstance(got, tuple) else (got,):
            assert part.mask[-1].all()
            assert not part.mask[1:3, 8:20].any()
    nan = masked.filled(np.nan)
    for part in np.reshape(OPERATORS[name](sphere, nan, nan), (-1, *f.shape)):
        assert np.isnan(part[-1]).all()


@pytest.mark.parametrize("name", OPERATORS)
def test_masks_are_given_in_three_ways(name, rng):
    latitude, longitude = make_grid(12, poles=False)
    f = rng.normal(size=(12, 24))
    where = rng.uniform(size=f.shape) > 0.1
    sphere = gpugrad.Sphere(latitude, longitude)
    call = OPERATORS[name]
    nan = np.where(where, f, np.nan)
    expected = np.reshape(call(sphere, nan, nan, skipna=True), (-1, 12, 24))
    assert np.isfinite(expected).mean() > 0.8
    assert not np.isfinite(expected[:, ~where]).any()
    got = np.reshape(call(sphere, f, f, where=where), (-1, 12, 24))
    assert_same_bits(got, expected)
    masked = np.ma.array(f, mask=~where)
    result = call(sphere, masked, masked, skipna=True)
    parts = result if isinstance(result, tuple) else (result,)
    for part, wanted in zip(parts, expected, strict=True):
        assert isinstance(part, np.ma.MaskedArray)
        np.testing.assert_array_equal(np.ma.getmaskarray(part), np.isnan(wanted))
    out = np.ma.empty((2, 12, 24)) if name == "gradient" else np.ma.empty((12, 24))
    options = {"stack": True} if name == "gradient" else {}
    assert call(sphere, masked, masked, skipna=True, out=out, **options) is out
    np.testing.assert_array_equal(np.ma.getmaskarray(out).reshape(-1, 12, 24), np.isnan(expected))
    with pytest.raises(TypeError, match="must be a masked array"):
        call(sphere, masked, masked, skipna=True, out=np.empty(out.shape), **options)


def test_beside_a_masked_sample_formulas_become_one_sided():
    latitude, longitude = np.linspace(20, 60, 41), np.linspace(0, 40, 41)
    f, north, east, laplacian = harmonic("Y31", latitude, longitude)
    where = np.ones(f.shape, bool)
    where[15:18, 20] = where[30, 10:12] = False
    sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
    got = [*sphere.gradient(f, where=where), sphere.laplacian(f, where=where)]
    for part, wanted in zip(got, (north, east, laplacian), strict=True):
        assert np.abs(part - wanted)[where].max() < 5e-2
        assert np.isnan(part[~where]).all()


# What calls cost


@pytest.mark.sampled
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("grid", ["global", "swath"])
def test_calls_need_memory_for_results_and_two_fields_at_most(name, grid, rng, monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", "0")
    sphere = gpugrad.Sphere(*(make_grid(720) if grid == "global" else swath(1000)))
    f = rng.normal(size=(721, 1440) if grid == "global" else (1000, 1000))
    results = 2 if name == "gradient" else 1
    OPERATORS[name](sphere, f, f)  # the grid is worked out
    tracemalloc.start()
    OPERATORS[name](sphere, f, f)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (results + 2) * f.nbytes


@pytest.mark.sampled
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("shape", [(61, 120), (5, 31, 60), (31, 60, 10)])
def test_slabs_make_no_difference(name, shape, rng, monkeypatch):
    axis = (0, 1) if shape[-1] == 10 else (-2, -1)
    rows, columns = (shape[i] for i in axis)
    latitude, longitude = np.linspace(-90, 90, rows), np.arange(columns) * (360 / columns)
    u, v = rng.normal(size=(2, *shape))
    sphere = gpugrad.Sphere(latitude, longitude, axis=axis)
    expected = np.asarray(OPERATORS[name](sphere, u, v))
    for size in (1 << 7, 1 << 10, math.inf):
        monkeypatch.setattr(slabs, "ON_HOST", size)
        assert_same_bits(np.asarray(OPERATORS[name](sphere, u, v)), expected)


@pytest.mark.parametrize("name", OPERATORS)
def test_tensors_are_cut_into_slabs_too(name, rng, monkeypatch):
    torch = pytest.importorskip("torch")
    u, v = rng.normal(size=(2, 3, 25, 48)).astype(np.float32)
    where = rng.uniform(size=v.shape) > 0.02
    sphere, call = gpugrad.Sphere(*make_grid(24)), OPERATORS[name]
    for grid in (sphere, gpugrad.Sphere(*swath(25)[:2])):
        fields = [x[..., :25] if grid is not sphere else x for x in (u, v)]
        tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in fields]
        mask = torch.from_numpy(np.ascontiguousarray(where[..., : fields[0].shape[-1]]))
        for options in ({}, {"where": mask}):
            wanted = np.asarray(call(grid, *fields, **{k: m.numpy() for k, m in options.items()}))
            tiny = 1e-6 * np.nanmax(np.abs(wanted))  # the roots of tensors are not rounded rightly
            for size in (1 << 8, np.inf):
                monkeypatch.setattr(slabs, "ON_HOST", size)
                got = np.asarray(call(grid, *tensors, **options))
                np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=tiny)


def test_coordinates_are_read_once(rng):
    latitude, longitude = make_grid(12)
    sphere = gpugrad.Sphere(latitude, longitude)
    u, v = rng.normal(size=(2, 13, 24))
    expected = [np.asarray(call(sphere, u, v)) for call in OPERATORS.values()]
    sphere = gpugrad.Sphere(latitude, longitude)
    latitude[:], longitude[:] = np.nan, np.nan  # nobody looks again
    for call, wanted in zip(OPERATORS.values(), expected, strict=True):
        assert_same_bits(np.asarray(call(sphere, u, v)), wanted)


def test_half_precision_is_computed_in_single():
    latitude, longitude = make_grid(24)
    f, north, east, laplacian = harmonic("Y21", latitude, longitude)
    f, scale = (3e4 * f).astype(np.float16), 3e4
    sphere = gpugrad.Sphere(latitude, longitude, radius=10.0, accuracy=4)
    got = [*sphere.gradient(f), sphere.laplacian(f), sphere.divergence(u=f, v=f)]
    assert {part.dtype.name for part in got} == {"float16"}
    for part, wanted in zip(got, (north / 10, east / 10, laplacian / 100), strict=False):
        assert np.abs(part - scale * wanted).max() < 0.02 * scale
    assert np.isfinite(got[-1]).all()
    rings = (6e4 * (-1.0) ** np.arange(25)[:, None] * np.ones(48)).astype(np.float16)
    sphere = gpugrad.Sphere(latitude, longitude, radius=100.0)
    got, wanted = sphere.laplacian(rings), sphere.laplacian(rings.astype(float))
    np.testing.assert_allclose(got, wanted, rtol=1e-3)


def test_a_grid_says_what_it_is_and_can_be_pickled(rng):
    sphere = gpugrad.Sphere(*make_grid(12), radius=1.0, accuracy=4, axis=(1, 0))
    words = "Sphere of 13 x 24 samples, latitudes -90 to 90, longitudes 0 to 345"
    assert repr(sphere) == f"{words} (radius=1.0, axis=(1, 0), accuracy=4)"
    assert repr(gpugrad.Sphere()) == "Sphere of the coordinates of each field"
    assert repr(gpugrad.Sphere("lat", "lon")) == "Sphere of coordinates lat and lon of each field"
    assert repr(gpugrad.Sphere(*swath(5))).startswith("Sphere of 5 x 5 samples, latitudes 4")
    f = rng.normal(size=(24, 13))
    again = pickle.loads(pickle.dumps(sphere))
    assert repr(again) == repr(sphere)
    assert_same_bits(again.laplacian(f), sphere.laplacian(f))


@pytest.mark.nightly
def test_jax_traces_all_operators(rng):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    u, v = rng.normal(size=(2, 13, 24))
    for sphere in (gpugrad.Sphere(*make_grid(12)), gpugrad.Sphere(*swath(13), axis=(0, 1))):
        u, v = u[:, : sphere._grid.shape[1]], v[:, : sphere._grid.shape[1]]
        for call in OPERATORS.values():
            traced = jax.jit(lambda a, b, call=call, sphere=sphere: call(sphere, a, b))
            wanted = np.asarray(call(sphere, u, v))
            for _ in range(2):
                got = np.asarray(traced(u, v))
                np.testing.assert_allclose(got, wanted, atol=1e-12 * np.abs(wanted).max())
            eager = np.asarray(call(sphere, jax.numpy.asarray(u), jax.numpy.asarray(v)))
            np.testing.assert_allclose(eager, wanted, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("name", OPERATORS)
def test_torch_differentiates_through_poles(rng, name):
    torch = pytest.importorskip("torch")
    v = harmonic("Y31", *make_grid(12))[0] + 0.1 * rng.normal(size=(13, 24))
    v[3:7, 4:9] = 1.0  # the norm of its gradient is zero there
    sphere, call = gpugrad.Sphere(*make_grid(12), radius=1.0), OPERATORS[name]
    x = torch.from_numpy(v).requires_grad_()
    results = call(sphere, x, x)
    sum(part.sum() for part in (results if isinstance(results, tuple) else (results,))).backward()
    gradient = x.grad.numpy()
    assert np.isfinite(gradient).all()
    step = 1e-6 * rng.normal(size=v.shape)
    step[2:8, 3:10] = 0.0
    change = np.sum(call(sphere, v + step, v + step)) - np.sum(call(sphere, v - step, v - step))
    np.testing.assert_allclose((gradient * step).sum(), change / 2, rtol=1e-5)


def test_lazy_fields_stay_lazy(rng):
    da = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    u, v = rng.normal(size=(2, 3, 13, 24))
    sphere = gpugrad.Sphere(*make_grid(12))

    def never(*_, **__):
        raise AssertionError("computed")

    for call in OPERATORS.values():
        with dask.config.set(scheduler=never):
            lazy = call(sphere, *(da.from_array(x, chunks=(2, 7, 12)) for x in (u, v)))
        parts = lazy if isinstance(lazy, tuple) else (lazy,)
        got = np.stack([part.compute(scheduler="sync") for part in parts])
        wanted = np.asarray(call(sphere, u, v)).reshape(got.shape)
        np.testing.assert_allclose(got, wanted, atol=1e-12 * np.abs(wanted).max())


class Quantity(np.ndarray):
    """An array with a unit, as those of Astropy."""

    unit = "deg"


class Length(list):
    """A sequence with units, as those of unyt."""

    units = "deg"


@pytest.mark.parametrize("name", ["latitude", "longitude"])
def test_masks_and_units_of_coordinates_are_refused(name):
    grid = dict(zip(("latitude", "longitude"), make_grid(8), strict=True))
    masked = np.ma.array(grid[name], mask=False)
    masked[2] = np.ma.masked
    with pytest.raises(ValueError, match=f"`{name}` must have no masked values; got 1 of them"):
        gpugrad.Sphere(**grid | {name: masked})
    for units in (grid[name].view(Quantity), Length(grid[name])):
        with pytest.raises(
            TypeError, match=rf"`{name}` must be plain numbers; got .* its magnitude"
        ):
            gpugrad.Sphere(**grid | {name: units})


def test_swapped_coordinates_are_called_swapped():
    latitude, longitude = np.linspace(-60, 60, 9), np.arange(16) * 22.5
    message = r"got values from 0 to 337\.5 degrees\. Latitude and longitude look swapped"
    with pytest.raises(ValueError, match=message):
        gpugrad.Sphere(longitude, latitude)
    with pytest.raises(ValueError, match=message):
        gpugrad.Sphere(np.radians(longitude), np.radians(latitude), degrees=False)
    with pytest.raises(ValueError, match=r"must have shape \(16,\).*look swapped"):
        gpugrad.Sphere(latitude, longitude / 10).gradient(np.zeros((16, 9)))
    with pytest.raises(ValueError, match=r"must have shape \(9, 16\) to match axes \(0, 1\)"):
        gpugrad.Sphere(*swath(9)).gradient(np.zeros((9, 16)))


def test_unknown_options_are_answered_in_our_words():
    sphere = gpugrad.Sphere(*make_grid(8))
    with pytest.raises(TypeError, match=r"`gradient` takes no `mask`\. Pass `where`"):
        sphere.gradient(np.zeros((9, 16)), mask=True)
    with pytest.raises(ValueError, match="`accuracy` must be an even number"):
        gpugrad.Sphere(*make_grid(8), accuracy=3)


# Labels


@pytest.fixture
def air():
    xarray = pytest.importorskip("xarray")
    rng = np.random.default_rng(5)
    return xarray.DataArray(
        rng.normal(size=(2, 12, 7)),
        {
            "time": [0.0, 1.0],
            "x": ("x", np.arange(0.0, 360.0, 30.0), {"units": "degrees_east"}),
            "lat": ("lat", np.linspace(90, -90, 7)),
            "month": ("time", [3, 4]),
        },
        ("time", "x", "lat"),
        name="T",
        attrs={"units": "K", "source": "a model", "standard_name": "air_temperature"},
    )


def test_labelled_fields_bring_their_latitudes_and_longitudes(air):
    north, east = gpugrad.Sphere().gradient(air)
    expected = gpugrad.Sphere(air.lat.data, air.x.data, axis=(2, 1)).gradient(air.data)
    np.testing.assert_array_equal(north.data, expected[0])
    np.testing.assert_array_equal(east.data, expected[1])
    assert (north.name, east.name) == ("dT_dnorth", "dT_deast")
    assert east.dims == air.dims
    assert east.coords.equals(air.coords)
    assert (east.attrs["units"], east.attrs["source"]) == ("K m-1", "a model")
    assert "standard_name" not in east.attrs


def test_labelled_fields_keep_what_was_given_of_the_sphere(air):
    kwargs = {"accuracy": 4, "periodic": True}
    grid = {"radius": 2.0, "axis": (2, 1), **kwargs}
    expected = gpugrad.Sphere(air.lat.data, air.x.data, **grid).gradient(air.data)
    for given in (
        {"latitude": "lat", "longitude": "x"},
        {"latitude": air.lat, "longitude": air.x},
        {"latitude": air.lat.data, "longitude": air.x.data, "axis": ("lat", "x")},
        {"latitude": np.radians(air.lat.data), "longitude": np.radians(air.x.data),
         "axis": (2, 1), "degrees": False},
    ):  # fmt: skip
        north, east = gpugrad.Sphere(radius=2.0, **given, **kwargs).gradient(air)
        np.testing.assert_allclose(north.data, expected[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(east.data, expected[1], rtol=1e-12, atol=1e-12)
        assert "units" not in north.attrs  # nobody said which unit the radius has


def test_labelled_winds_have_divergence_and_vorticity(air):
    import gpugrad.xarray

    u, v = air.copy(), (air**2).assign_attrs(air.attrs)
    u.attrs["units"] = v.attrs["units"] = "m s-1"
    winds = {"u": u, "v": v.rename("v")}
    data = air.to_dataset(name="T").assign(winds)
    plain = gpugrad.Sphere(air.lat.data, air.x.data, axis=(2, 1))
    for name in ("divergence", "curl"):
        expected = getattr(plain, name)(u=u.data, v=v.data)
        for result in (
            getattr(gpugrad.Sphere(), name)(u=u, v=v),
            getattr(data.gpugrad.sphere(), name)(u="u", v="v"),
            getattr(data.gpugrad.sphere(), name)(),
        ):
            np.testing.assert_array_equal(result.data, expected)
            assert result.name == name
            assert result.attrs["units"] in ("s-1", "m s-1 m-1")
    with pytest.raises(TypeError, match="positional argument"):
        data.gpugrad.sphere().curl("u", "v")


def test_lazy_labelled_fields_stay_lazy(air):
    pytest.importorskip("dask")
    lazy = air.chunk(time=1, x=6)
    stacked = gpugrad.Sphere().gradient(lazy, stack=True)
    assert stacked.chunks is not None
    assert [*stacked.component.values] == ["north", "east"]
    for one, expected in zip(stacked, gpugrad.Sphere().gradient(air), strict=True):
        np.testing.assert_allclose(one.compute(), expected, rtol=1e-12, atol=1e-18)


def test_curved_grids_are_found_in_any_order_of_their_axes(air):
    xarray = pytest.importorskip("xarray")
    j, i = np.meshgrid(np.arange(6.0), np.arange(8.0), indexing="ij")
    lat, lon = 40 + j + 0.1 * i, 10 + i - 0.2 * j
    f = xarray.DataArray(
        np.sin(np.radians(lat)),
        {
            "latitude": (("x", "y"), lat.T, {"units": "degrees_north"}),
            "nav": (("y", "x"), np.radians(lon), {"standard_name": "longitude", "units": "rad"}),
        },
        ("y", "x"),
        name="f",
    )
    expected = gpugrad.Sphere(lat, lon).gradient(f.data)
    for one, other in zip(gpugrad.Sphere().gradient(f), expected, strict=True):
        np.testing.assert_allclose(one.data, other, atol=1e-16)
    for one, other in zip(gpugrad.Sphere().gradient(f.T), expected, strict=True):
        np.testing.assert_allclose(one.transpose("y", "x").data, other, rtol=1e-9, atol=1e-16)


def test_where_the_grid_is_unknown_labelled_fields_say_so(air):
    with pytest.raises(ValueError, match=r"its latitude.*found none among time, x, month"):
        gpugrad.Sphere().gradient(air.drop_vars("lat"))
    two = air.assign_coords(other=("lat", air.lat.data, {"units": "degree_north"}))
    assert gpugrad.Sphere("lat").gradient(two)[0].shape == air.shape
    two.lat.attrs["units"] = "degrees_north"
    with pytest.raises(ValueError, match="found lat, other among"):
        gpugrad.Sphere().gradient(two)
    with pytest.raises(ValueError, match=r"name a coordinate of `f`: .*; got 'phi'"):
        gpugrad.Sphere("phi").gradient(air)
    with pytest.raises(
        ValueError, match=r"`latitude` must have the coordinates of `f`: .* got 5\."
    ):
        gpugrad.Sphere(air.lat[:5]).gradient(air)
    track = air.isel(x=0).assign_coords(lon=("lat", np.arange(7.0)))
    with pytest.raises(ValueError, match="are no grids"):
        gpugrad.Sphere().gradient(track)
    with pytest.raises(TypeError, match=r"pass its `\.data`"):
        gpugrad.Sphere().gradient(air, out=np.empty(1))
    with pytest.raises(TypeError, match="`latitude` must be given"):
        gpugrad.Sphere().gradient(air.data)


def test_units_of_pint_are_those_of_field_and_radius():
    pint = pytest.importorskip("pint", reason="units are pint's")
    units = pint.UnitRegistry()
    f = units.Quantity(np.random.default_rng(6).normal(size=(5, 6)), "degC")
    lat, lon = np.linspace(-40, 40, 5), np.arange(6.0)
    north, east = gpugrad.Sphere(lat, lon).gradient(f)
    assert north.units == units.Unit("delta_degC/m")
    radians = units.Quantity(np.radians(lat), "radian")
    radius = units.Quantity(6371.0, "km")
    other = gpugrad.Sphere(radians, lon, radius=radius).gradient(f).east
    assert other.units == units.Unit("delta_degC/km")
    np.testing.assert_allclose(other.magnitude, 1000 * east.magnitude)
    plain = gpugrad.Sphere(lat, lon, radius=radius).gradient(f.magnitude)
    assert plain[0].units == units.Unit("1/km")
    winds = [units.Quantity(f.magnitude, "m/s"), units.Quantity(f.magnitude, "km/s")]
    sphere = gpugrad.Sphere(lat, lon)
    assert sphere.curl(u=winds[0], v=winds[1]).units == winds[1].units / units.Unit("m")
    assert sphere.laplacian(f).units == units.Unit("delta_degC/m**2")
    assert gpugrad.Sphere(lat, lon, radius=2.0).gradient_norm(f).units == units.Unit("delta_degC")
    with pytest.raises(ValueError, match="components of `v`"):
        sphere.divergence(u=f, v=winds[0])


def test_a_radius_with_units_labels_a_field_of_xarray(air):
    pint = pytest.importorskip("pint", reason="units are pint's")
    radius = pint.UnitRegistry().Quantity(6371.0, "km")
    assert gpugrad.Sphere(radius=radius).gradient(air).north.attrs["units"] == "K km-1"


def test_standard_names_of_winds_are_believed(air):
    named = {
        key: air.rename(key).assign_attrs(standard_name=f"{way}_wind")
        for key, way in (("a", "eastward"), ("b", "northward"))
    }
    sphere = gpugrad.Sphere()
    sphere.divergence(u=named["a"], v=named["b"])
    for name in ("divergence", "curl"):
        with pytest.raises(ValueError, match=r"`u` must point to the east; got 'b'.*Swap the two"):
            getattr(sphere, name)(u=named["b"], v=named["a"])
    water = air.assign_attrs(standard_name="eastward_sea_water_velocity")
    with pytest.raises(ValueError, match="`v` must point to the north; got 'T'"):
        sphere.curl(u=air, v=water)


def test_winds_along_the_lines_of_a_curved_grid_are_refused():
    xarray = pytest.importorskip("xarray")
    lat, lon = swath(6)
    coords = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    u = xarray.DataArray(np.zeros((6, 6)), coords, ("y", "x"), name="u")
    sphere = gpugrad.Sphere()
    assert sphere.curl(u=u, v=u).shape == (6, 6)
    for name in ("x_wind", "sea_water_x_velocity", "grid_eastward_wind"):
        along = u.assign_attrs(standard_name=name)
        with pytest.raises(
            ValueError, match=rf"`u` must point to the east.*{name}: a component al"
        ):
            sphere.curl(u=along, v=u)


def test_a_sphere_keeps_the_last_grid_of_labelled_fields(air):
    sphere = gpugrad.Sphere()
    sphere.gradient(air)
    kept = sphere._located[-1]
    sphere.laplacian(air * 2)
    assert sphere._located[-1] is kept
    half = air.isel(x=slice(6), lat=slice(1, 6))
    north, _ = sphere.gradient(half)
    assert sphere._located[-1] is not kept
    expected = gpugrad.Sphere(half.lat.data, half.x.data, axis=(2, 1)).gradient(half.data)
    np.testing.assert_array_equal(north.data, expected.north)


def test_the_accessor_has_the_operators_on_a_sphere(air):
    import gpugrad.xarray

    on_sphere = air.gpugrad.sphere(accuracy=4, radius=2.0)
    sphere = gpugrad.Sphere(accuracy=4, radius=2.0)
    assert on_sphere.gradient().north.identical(sphere.gradient(air).north)
    assert on_sphere.laplacian().identical(sphere.laplacian(air))
    assert on_sphere.gradient_norm(skipna=True).identical(sphere.gradient_norm(air, skipna=True))
    assert "'T'" not in repr(on_sphere)
    assert "T on a Sphere" in repr(on_sphere)
    assert on_sphere.laplacian().name == "laplacian_T"


def test_units_of_a_coordinate_say_what_it_is_in(air):
    radians = air.assign_coords(lat=("lat", np.radians(air.lat.data), {"units": "radians"}))
    for one, same in zip(
        gpugrad.Sphere().gradient(radians), gpugrad.Sphere().gradient(air), strict=True
    ):
        np.testing.assert_allclose(one.data, same.data, atol=1e-18)
    plain = gpugrad.Sphere(radians.lat, air.x, axis=(2, 1)).gradient(air.data)
    np.testing.assert_allclose(plain.east, gpugrad.Sphere().gradient(air).east.data, atol=1e-18)


def test_cf_xarray_finds_coordinates_that_say_it_otherwise(air):
    pytest.importorskip("cf_xarray", reason="it knows more conventions")
    other = air.rename(lat="phi", x="lam")
    other.phi.attrs["long_name"] = "latitude"
    other.lam.attrs = {"_CoordinateAxisType": "Lon"}
    for one, same in zip(
        gpugrad.Sphere().gradient(other), gpugrad.Sphere().gradient(air), strict=True
    ):
        np.testing.assert_array_equal(one.data, same.data)
