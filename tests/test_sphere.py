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


@pytest.mark.sampled
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
    north, east = gpugrad.spherical_gradient(air)
    expected = gpugrad.spherical_gradient(air.data, air.lat.data, air.x.data, axis=(2, 1))
    np.testing.assert_array_equal(north.data, expected[0])
    np.testing.assert_array_equal(east.data, expected[1])
    assert (north.name, east.name) == ("dT_dnorth", "dT_deast")
    assert east.dims == air.dims
    assert east.coords.equals(air.coords)
    assert (east.attrs["units"], east.attrs["source"]) == ("K m-1", "a model")
    assert "standard_name" not in east.attrs


def test_labelled_fields_keep_what_was_given_of_the_sphere(air):
    kwargs = {"accuracy": 4, "periodic": True}
    expected = gpugrad.spherical_gradient(
        air.data, air.lat.data, air.x.data, axis=(2, 1), radius=2.0, **kwargs
    )
    for given in (
        {"latitude": "lat", "longitude": "x"},
        {"latitude": air.lat, "longitude": air.x},
        {"latitude": air.lat.data, "longitude": air.x.data, "axis": ("lat", "x")},
        {"latitude": np.radians(air.lat.data), "longitude": np.radians(air.x.data),
         "axis": (2, 1), "degrees": False},
    ):  # fmt: skip
        north, east = gpugrad.spherical_gradient(air, radius=2.0, **given, **kwargs)
        np.testing.assert_allclose(north.data, expected[0], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(east.data, expected[1], rtol=1e-12, atol=1e-12)
        assert "units" not in north.attrs  # nobody said which unit the radius has


def test_labelled_winds_have_divergence_and_vorticity(air):
    import gpugrad.xarray

    u, v = air.copy(), (air**2).assign_attrs(air.attrs)
    u.attrs["units"] = v.attrs["units"] = "m s-1"
    winds = {"u": u, "v": v.rename("v")}
    data = air.to_dataset(name="T").assign(winds)
    for name in ("spherical_divergence", "spherical_curl"):
        function = getattr(gpugrad, name)
        expected = function((v.data, u.data), air.lat.data, air.x.data, axis=(2, 1))
        for result in (
            function((v, u)),
            getattr(data.gpugrad, name)(u="u", v="v"),
            getattr(data.gpugrad, name)("v", "u"),
        ):
            np.testing.assert_array_equal(result.data, expected)
            assert result.name == name.removeprefix("spherical_")
            assert result.attrs["units"] in ("s-1", "m s-1 m-1")
    with pytest.raises(TypeError, match=r"u=\.\.\., v=\.\.\. \(to the east, to the north\)"):
        data.gpugrad.spherical_curl("u", v="v")


def test_lazy_labelled_fields_stay_lazy(air):
    pytest.importorskip("dask")
    lazy = air.chunk(time=1, x=6)
    stacked = gpugrad.spherical_gradient(lazy, stack=True)
    assert stacked.chunks is not None
    assert [*stacked.component.values] == ["north", "east"]
    for one, expected in zip(stacked, gpugrad.spherical_gradient(air), strict=True):
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
    expected = gpugrad.spherical_gradient(f.data, lat, lon)
    for one, other in zip(gpugrad.spherical_gradient(f), expected, strict=True):
        np.testing.assert_allclose(one.data, other, atol=1e-16)
    for one, other in zip(gpugrad.spherical_gradient(f.T), expected, strict=True):
        np.testing.assert_allclose(one.transpose("y", "x").data, other, rtol=1e-9, atol=1e-16)


def test_where_the_grid_is_unknown_labelled_fields_say_so(air):
    with pytest.raises(ValueError, match=r"its latitude.*found none among time, x, month"):
        gpugrad.spherical_gradient(air.drop_vars("lat"))
    two = air.assign_coords(other=("lat", air.lat.data, {"units": "degree_north"}))
    assert gpugrad.spherical_gradient(two, latitude="lat")[0].shape == air.shape
    two.lat.attrs["units"] = "degrees_north"
    with pytest.raises(ValueError, match="found lat, other among"):
        gpugrad.spherical_gradient(two)
    with pytest.raises(ValueError, match=r"name a coordinate of `f`: .*; got 'phi'"):
        gpugrad.spherical_gradient(air, latitude="phi")
    with pytest.raises(
        ValueError, match=r"`latitude` must have the coordinates of `f`: .* got 5\."
    ):
        gpugrad.spherical_gradient(air, latitude=air.lat[:5])
    track = air.isel(x=0).assign_coords(lon=("lat", np.arange(7.0)))
    with pytest.raises(ValueError, match="are no grids"):
        gpugrad.spherical_gradient(track)
    with pytest.raises(TypeError, match=r"pass its `\.data`"):
        gpugrad.spherical_gradient(air, out=np.empty(1))
    with pytest.raises(TypeError, match="`latitude` must be given"):
        gpugrad.spherical_gradient(air.data)


def test_units_of_pint_are_those_of_field_and_radius():
    pint = pytest.importorskip("pint", reason="units are pint's")
    units = pint.UnitRegistry()
    f = units.Quantity(np.random.default_rng(6).normal(size=(5, 6)), "degC")
    lat, lon = np.linspace(-40, 40, 5), np.arange(6.0)
    north, east = gpugrad.spherical_gradient(f, lat, lon)
    assert north.units == units.Unit("delta_degC/m")
    radians = units.Quantity(np.radians(lat), "radian")
    radius = units.Quantity(6371.0, "km")
    other = gpugrad.spherical_gradient(f, radians, longitude=lon, radius=radius)[1]
    assert other.units == units.Unit("delta_degC/km")
    np.testing.assert_allclose(other.magnitude, 1000 * east.magnitude)
    plain = gpugrad.spherical_gradient(f.magnitude, lat, lon, radius=radius)
    assert plain[0].units == units.Unit("1/km")
    winds = [units.Quantity(f.magnitude, "m/s"), units.Quantity(f.magnitude, "km/s")]
    assert gpugrad.spherical_curl(winds, lat, lon).units == units.Unit("1/s")
    with pytest.raises(ValueError, match="components of `v`"):
        gpugrad.spherical_divergence((winds[0], f), lat, lon)


def test_a_radius_with_units_labels_a_field_of_xarray(air):
    pint = pytest.importorskip("pint", reason="units are pint's")
    radius = pint.UnitRegistry().Quantity(6371.0, "km")
    assert gpugrad.spherical_gradient(air, radius=radius)[0].attrs["units"] == "K km-1"


def test_cf_xarray_finds_coordinates_that_say_it_otherwise(air):
    pytest.importorskip("cf_xarray", reason="it knows more conventions")
    other = air.rename(lat="phi", x="lam")
    other.phi.attrs["long_name"] = "latitude"
    other.lam.attrs = {"_CoordinateAxisType": "Lon"}
    for one, same in zip(
        gpugrad.spherical_gradient(other), gpugrad.spherical_gradient(air), strict=True
    ):
        np.testing.assert_array_equal(one.data, same.data)
