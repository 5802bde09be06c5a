"""Files with latitudes and longitudes: derivatives on the sphere, in blocks; what is refused."""

import warnings

import numpy as np
import pytest
from test_files import SMALL, failure, grad

import gpugrad
from internals import FileRequest, run, sphere_rows

xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
pytest.importorskip("h5netcdf")

EARTH = 6_371_000.0
LATITUDE, LONGITUDE = np.linspace(-90, 90, 19), np.arange(0, 360, 15.0)
NORTHWARD, EASTWARD = {"standard_name": "northward_wind"}, {"standard_name": "eastward_wind"}


def degrees(latitude=LATITUDE, longitude=LONGITUDE):
    return {
        "lat": ("lat", latitude, {"units": "degrees_north"}),
        "lon": ("lon", longitude, {"units": "degrees_east"}),
    }


def write(path, variables, coords, dims=("lat", "lon"), **attributes):
    """Write variables of the same axes: arrays, or pairs of an array and its attributes."""
    data = xarray.Dataset(
        {
            name: (dims, *(x if isinstance(x, tuple) else (x,)))
            for name, x in variables.items()
        },
        coords,
        attributes,
    )  # fmt: skip
    data.to_netcdf(path, engine="h5netcdf")
    return path


def differentiate(path, out, names=(), memory=SMALL, **request):
    return run.differentiate(path, out, names, FileRequest(**request), memory, overwrite=True)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Leave what libraries take out of the account, and make slabs small."""
    monkeypatch.setattr(run, "LIBRARY_BYTES", dict.fromkeys(run.LIBRARY_BYTES, 0))
    monkeypatch.setattr(run, "SLAB_BYTES", 0)
    monkeypatch.setattr(run, "COPIES", 0)
    monkeypatch.setattr("gpugrad._files.datasets.CACHE_BYTES", 0)
    monkeypatch.setattr(sphere_rows, "ON_HOST", 250)


def load(path):
    with xarray.open_dataset(path) as data:
        return data.load()


@pytest.mark.sampled
@pytest.mark.parametrize("latitude", [LATITUDE, LATITUDE[::-1] * 0.95, np.linspace(20, 50, 19)])
@pytest.mark.parametrize(
    "operator", ["gradient", "gradient_norm", "laplacian", "divergence", "curl"]
)
def test_blocks_have_the_bits_of_a_sphere_in_memory(tmp_path, rng, operator, latitude):
    f = rng.normal(size=(3, 19, 24))
    path = write(
        tmp_path / "f.nc", {"u": (f, EASTWARD), "v": (-f[::-1], NORTHWARD)},
        degrees(latitude), ("time", "lat", "lon"),
    )  # fmt: skip
    is_vector = operator in ("divergence", "curl")
    names = ("v", "u") if is_vector else ("u",)  # in any order: their names tell them apart
    done = differentiate(path, tmp_path / "g.npy", names, operator=operator, accuracy=4,
                         memory=run.OWN_BYTES + 14_000)  # fmt: skip
    assert done.blocks > 3
    sphere = gpugrad.Sphere(latitude, LONGITUDE, accuracy=4)
    expected = getattr(sphere, operator)(**({"u": f, "v": -f[::-1]} if is_vector else {"f": f}))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.asarray(expected))


@pytest.mark.parametrize("operator", ["gradient", "laplacian", "curl"])
def test_blocks_with_holes_are_those_of_a_sphere_in_memory(tmp_path, rng, operator):
    f = np.where(rng.random((2, 19, 24)) < 0.05, np.nan, rng.normal(size=(2, 19, 24)))
    path = write(tmp_path / "f.nc", {"u": f, "v": f + 1}, degrees(), ("time", "lat", "lon"))
    names = ("u", "v") if operator == "curl" else ("u",)
    differentiate(path, tmp_path / "g.npy", names, operator=operator, skipna=True,
                  memory=run.OWN_BYTES + 14_000)  # fmt: skip
    fields = {"u": f, "v": f + 1} if operator == "curl" else {"f": f}
    expected = np.asarray(
        getattr(gpugrad.Sphere(LATITUDE, LONGITUDE), operator)(skipna=True, **fields)
    )
    expected = np.where(np.isnan(f), np.nan, expected)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_the_slope_of_a_map_in_degrees_is_that_of_the_ground(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    step, rows, columns = 1 / 1200, 60, 80
    place = rasterio.Affine(step, 0, 7.0, 0, -step, 46.0)
    y, x = 46.0 - step * (np.arange(rows) + 0.5), 7.0 + step * (np.arange(columns) + 0.5)
    z = 3000 * np.sin(40 * np.radians(x)) + 4000 * np.cos(30 * np.radians(y))[:, None]
    with rasterio.open(
        tmp_path / "f.tif", "w", driver="GTiff", height=rows, width=columns, count=1,
        dtype="float64", transform=place, crs="EPSG:4326",
    ) as image:  # fmt: skip
        image.write(z, 1)
        image.set_band_unit(1, "m")
    differentiate(tmp_path / "f.tif", tmp_path / "g.tif", operator="gradient_norm")
    with rasterio.open(tmp_path / "g.tif") as image:
        slope = image.read(1)
        assert (image.transform, image.crs.to_epsg()) == (place, 4326)
        assert float(image.tags(1)["earth_radius"]) == EARTH
        assert "sphere of radius 6371000 m" in image.tags(1)["gpugrad_notes"]
        assert image.units == ("1",)
    east = 3000 * 40 * np.cos(40 * np.radians(x)) / np.cos(np.radians(y))[:, None]
    north = -4000 * 30 * np.sin(30 * np.radians(y))[:, None]
    np.testing.assert_allclose(slope, np.hypot(east, north) / EARTH, rtol=2e-4)
    # GDAL's slope: the weights of Horn, with the lengths of a degree in its middle row.
    metres = np.radians(step) * EARTH
    a, b, c, d, f, g, h, i = (
        z[1 + j : rows - 1 + j, 1 + k : columns - 1 + k]
        for j, k in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
    )
    across = metres * np.cos(np.radians(y))[1:-1, None]
    horn = np.hypot(
        ((a + 2 * d + g) - (c + 2 * f + i)) / (8 * across),
        ((g + 2 * h + i) - (a + 2 * b + c)) / (8 * metres),
    )
    np.testing.assert_allclose(slope[1:-1, 1:-1], horn, rtol=1e-4)


def test_missing_pixels_have_no_slope_of_their_own_whatever_the_rounding(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    rng = np.random.default_rng(0)
    f = rng.normal(size=(1, 40, 50)).astype("f4")
    holes = [(3, 4), (11, 30), (20, 7), (33, 41)]
    for hole in holes:
        f[0][hole] = -9999
    counts = {}
    # Longitudes that go round are even, latitudes are not, by rounding.
    for crs, step in (("EPSG:4326", 7.2), ("EPSG:32633", 1 / 3)):
        with rasterio.open(
            tmp_path / "f.tif", "w", driver="GTiff", height=40, width=50, count=1, nodata=-9999,
            dtype="float32", transform=rasterio.Affine(step, 0, 7.1, 0, -step / 9, 46.3), crs=crs,
        ) as image:  # fmt: skip
            image.write(f)
        differentiate(tmp_path / "f.tif", tmp_path / "g.npy", memory=2e9)
        missing = np.isnan(np.load(tmp_path / "g.npy"))
        counts[crs] = {tuple(missing[:, j, k]) for j, k in holes}, missing.sum()
    # On even axes a formula does not read its own pixel; on the sphere it counts as read.
    assert counts == {
        "EPSG:4326": ({(True, True)}, 6 * len(holes)),
        "EPSG:32633": ({(False, False)}, 4 * len(holes)),
    }


def test_degrees_themselves_are_for_those_who_ask(tmp_path, rng, capsys):
    f = rng.normal(size=(19, 24))
    path = write(tmp_path / "f.nc", {"T": (f, {"units": "K"})}, degrees())
    assert grad(path, tmp_path / "g.nc", "--no-sphere") == 0
    results = load(tmp_path / "g.nc")
    np.testing.assert_array_equal(results.dT_dlat, np.gradient(f, LATITUDE, axis=0))
    assert results.dT_dlat.attrs["units"] == "K degrees_north-1"
    assert "earth_radius" not in results.dT_dlat.attrs
    assert "per degree" in results.dT_dlat.attrs["gpugrad_notes"]
    assert grad(path, tmp_path / "h.nc", "--axis", "lat") == 0
    np.testing.assert_array_equal(load(tmp_path / "h.nc").dT_dlat, results.dT_dlat)
    assert grad(path, tmp_path / "n.nc", "--operator", "gradient_norm", "--no-sphere") == 0
    expected = gpugrad.gradient_norm(f, LATITUDE, LONGITUDE)
    np.testing.assert_array_equal(load(tmp_path / "n.nc").gradient_norm_T, expected)


@pytest.mark.parametrize(
    ("mapping", "options", "radius"),
    [
        ({}, (), EARTH),
        ({"earth_radius": 6371229.0}, (), 6371229.0),
        ({"semi_major_axis": 6378137.0, "inverse_flattening": 298.257223563}, (), EARTH),
        ({"semi_major_axis": 3396190.0, "inverse_flattening": 169.8944}, (), 3389526.67),
        ({"crs_wkt": 'GEOGCS["Moon",DATUM["M",SPHEROID["Moon",1737400,0]]]'}, (), 1737400.0),
        ({"earth_radius": 6371229.0}, ("--radius", "1e6"), 1e6),
    ],
)
def test_the_radius_is_that_of_the_file_or_the_earths(tmp_path, rng, mapping, options, radius):
    f = rng.normal(size=(19, 24))
    coords = degrees() | {"crs": ((), 0, {"grid_mapping_name": "latitude_longitude"} | mapping)}
    path = write(tmp_path / "f.nc", {"T": (f, {"grid_mapping": "crs", "units": "K"})}, coords)
    assert grad(path, tmp_path / "g.nc", "--operator", "laplacian", *options) == 0
    result = load(tmp_path / "g.nc").laplacian_T
    assert result.attrs["earth_radius"] == pytest.approx(radius, rel=1e-8)
    assert result.attrs["units"] == "K m-2"
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE, radius=result.attrs["earth_radius"])
    np.testing.assert_array_equal(result, expected.laplacian(f))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (("lat", {"standard_name": "latitude", "units": "degrees"}), ("lon", {"units": "degrees"})),
        (("y", {"units": "degree_north"}), ("x", {"units": "degreesE"})),
        (("y", {"standard_name": "latitude"}), ("x", {"standard_name": "longitude"})),
        (("latitude", {}), ("longitude", {})),
        (("phi", {"standard_name": "latitude", "units": "radians"}),
         ("lam", {"standard_name": "longitude", "units": "rad"})),
    ],
)  # fmt: skip
def test_latitude_and_longitude_are_found_by_what_the_file_says(tmp_path, rng, latitude, longitude):
    f = rng.normal(size=(24, 19))
    (lat, lat_says), (lon, lon_says) = latitude, longitude
    scale = np.pi / 180 if lat == "phi" else 1
    coords = {lat: (lat, LATITUDE * scale, lat_says), lon: (lon, LONGITUDE * scale, lon_says)}
    path = write(tmp_path / "f.nc", {"T": f}, coords, (lon, lat))
    differentiate(path, tmp_path / "g.nc")
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE, axis=(1, 0)).gradient(f)
    results = load(tmp_path / "g.nc")
    np.testing.assert_allclose(results.dT_dnorth, expected.north, rtol=1e-9)
    np.testing.assert_allclose(results.dT_deast, expected.east, rtol=1e-9)


@pytest.mark.parametrize(
    "attributes",
    [{"units": "m"}, {"units": "degrees_C"}, {"units": "km", "standard_name": "latitude"}],
)
def test_a_name_alone_makes_no_latitude_of_lengths(tmp_path, rng, attributes):
    f = rng.normal(size=(19, 24))
    coords = {"lat": ("lat", LATITUDE, attributes), "lon": ("lon", LONGITUDE, {"units": "m"})}
    path = write(tmp_path / "f.nc", {"T": f}, coords)
    differentiate(path, tmp_path / "g.npy")
    expected = gpugrad.gradient(f, LATITUDE, LONGITUDE, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_a_rotated_pole_is_a_sphere_with_a_north_of_its_own(tmp_path, rng, capsys):
    latitude, longitude = np.linspace(-10, 10, 12), np.linspace(-5, 15, 14)
    f = rng.normal(size=(12, 14))
    names = ("grid_latitude", "grid_longitude")
    coords = {
        name: (name, x, {"standard_name": name, "units": "degrees"})
        for name, x in zip(names, (latitude, longitude), strict=True)
    }
    path = write(tmp_path / "f.nc", {"u": (f, {"standard_name": "x_wind"}), "v": f}, coords, names)
    differentiate(path, tmp_path / "g.nc", ("u",))
    expected = gpugrad.Sphere(latitude, longitude).gradient(f)
    results = load(tmp_path / "g.nc")
    np.testing.assert_array_equal(results.du_dgrid_east, expected.east)
    assert "rotated pole" in results.du_dgrid_east.attrs["gpugrad_notes"]
    assert grad(path, tmp_path / "c.nc", "--var", "u", "v", "--operator", "curl") == 0
    expected = gpugrad.Sphere(latitude, longitude).curl(u=f, v=f)
    np.testing.assert_array_equal(load(tmp_path / "c.nc").curl, expected)
    path = write(tmp_path / "w.nc", {"u": (f, EASTWARD), "v": f}, coords, names)
    assert "must point to the grid_east" in failure(
        capsys, path, tmp_path / "w.npy", "--var", "u", "v", "--operator", "curl"
    )


@pytest.fixture
def curved():
    """Return latitudes and longitudes of a grid that is turned by 30 degrees."""
    y, x = np.meshgrid(np.linspace(-8, 8, 15), np.linspace(-6, 6, 12), indexing="ij")
    return 45 + 0.87 * y - 0.5 * x, 10 + (0.5 * y + 0.87 * x) / np.cos(np.radians(45))


@pytest.mark.parametrize("are_named", [True, False])
@pytest.mark.parametrize("operator", ["gradient", "gradient_norm", "laplacian"])
def test_curved_grids_lie_on_the_sphere(tmp_path, rng, curved, operator, are_named):
    f = rng.normal(size=(3, 15, 12))
    data = xarray.Dataset(
        {
            "T": (("t", "y", "x"), f),
            "nav_lat": (("y", "x"), curved[0], {"units": "degrees_north"}),
            "nav_lon": (("y", "x"), curved[1], {"units": "degrees_east"}),
        }
    )
    if are_named:
        data = data.set_coords(["nav_lat", "nav_lon"]).assign_coords(x=np.arange(12))
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    done = differentiate(tmp_path / "f.nc", tmp_path / "g.npy", operator=operator,
                         memory=run.OWN_BYTES + 60_000)  # fmt: skip
    assert done.blocks > 1
    expected = getattr(gpugrad.Sphere(*curved), operator)(f)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.asarray(expected))


def test_a_curved_grid_that_is_none_is_told_of(tmp_path, rng, curved, capsys):
    latitude, longitude = (x.copy() for x in curved)
    longitude[3, 4] = np.nan
    dims = ("y", "x")
    path = write(
        tmp_path / "f.nc", {"T": rng.normal(size=(15, 12))},
        {"lat": (dims, latitude), "lon": (dims, longitude)}, dims,
    )  # fmt: skip
    message = failure(capsys, path, tmp_path / "g.npy")
    assert "lon of T in" in message
    assert "must be finite" in message
    assert "--no-sphere takes them for coordinates like others" in message


def test_lengths_of_a_projection_go_before_latitudes_of_its_samples(tmp_path, rng, curved):
    f = rng.normal(size=(15, 12))
    dims = ("y", "x")
    coords = {
        "y": ("y", np.arange(15) * 500.0, {"units": "m"}),
        "x": ("x", np.arange(12) * 400.0, {"units": "m"}),
        "lat": (dims, curved[0], {"units": "degrees_north"}),
        "lon": (dims, curved[1], {"units": "degrees_east"}),
    }
    path = write(tmp_path / "f.nc", {"T": f}, coords, dims)
    differentiate(path, tmp_path / "g.npy", operator="laplacian")
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), gpugrad.laplacian(f, 500.0, 400.0))


# Winds


def test_winds_are_told_apart_by_names_and_axes(tmp_path, rng, capsys):
    u, v = rng.normal(size=(2, 19, 24))
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).curl(u=u, v=v)

    def curl(names, *options, says=({}, {})):
        fields = dict(zip(names, ((u, says[0]), (v, says[1])), strict=True))
        path = write(tmp_path / "f.nc", fields, degrees())
        return path, ("--var", *names, "--operator", "curl", *options)

    for names, options, says in (
        (("u", "v"), (), ({}, {})),
        (("u10", "v10"), (), ({}, {})),
        (("a", "b"), ("--axis", "lon", "lat"), ({}, {})),
        (("a", "b"), (), (EASTWARD, NORTHWARD)),
        (("v", "u"), (), (EASTWARD, NORTHWARD)),
    ):
        path, arguments = curl(names, *options, says=says)
        assert grad(path, tmp_path / "g.npy", "--overwrite", *arguments) == 0
        np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)
    for names, options, says, words in (
        (("a", "b"), (), ({}, {}), "which of a, b points to the east is unknown"),
        (("a", "b"), ("--axis", "lat", "lon"), (EASTWARD, {}), "a in"),
        (("u", "v"), (), (NORTHWARD, NORTHWARD), "must point to the east"),
    ):
        path, arguments = curl(names, *options, says=says)
        assert words in failure(capsys, path, tmp_path / "w.npy", *arguments)


def test_the_order_of_axes_is_that_of_the_results(tmp_path, rng):
    f = rng.normal(size=(19, 24))
    path = write(tmp_path / "f.nc", {"T": f}, degrees())
    done = differentiate(path, tmp_path / "g.npy", axes=("lon", "lat"))
    assert done.names == ("dT_deast", "dT_dnorth")
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(f)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), [expected.east, expected.north])


def test_winds_along_a_curved_grid_are_refused(tmp_path, rng, curved, capsys):
    dims = ("y", "x")
    coords = {
        "lat": (dims, curved[0], {"units": "degrees_north"}),
        "lon": (dims, curved[1], {"units": "degrees_east"}),
    }
    fields = {"u": (rng.normal(size=(15, 12)), {"standard_name": "x_wind"})}
    path = write(tmp_path / "f.nc", fields | {"v": fields["u"][0]}, coords, dims)
    options = ("--var", "u", "v", "--operator", "curl")
    message = failure(capsys, path, tmp_path / "g.npy", *options, "--axis", "lon", "lat")
    assert "standard_name is x_wind. Turn the components first" in message
    path = write(tmp_path / "f.nc", {"u": fields["u"][0], "v": fields["u"][0]}, coords, dims)
    assert "points to the east is unknown" in failure(capsys, path, tmp_path / "g.npy", *options)
    assert grad(path, tmp_path / "g.npy", *options, "--axis", "lon", "lat") == 0


# What the sphere has not


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--operator", "laplacian", "--boundary", "reflect"], "--boundary does not go with"),
        (["--operator", "laplacian", "--boundary", "periodic"], "--boundary does not go with"),
        (["--operator", "laplacian", "--period", "180"], "--period does not go with the sphere"),
        (["--operator", "laplacian", "--time-unit", "D"], "--time-unit does not go with"),
        (["--operator", "gradient_norm", "--axis", "time", "lat", "lon"], "must go along lat lon"),
        (["--operator", "gradient_norm", "--axis", "time", "lat"], "would add derivatives per deg"),
        (["--operator", "vector_laplacian"], "Take another operator, or pass --no-sphere"),
        (["--radius", "5", "--no-sphere"], "--radius goes with latitudes"),
        (["--radius", "5", "--spacing", "1"], "--radius goes with latitudes"),
        (["--operator", "curl"], "two components, to the east and to the north; got T"),
    ],
)
def test_what_a_sphere_has_not_is_refused_with_the_cure(tmp_path, rng, capsys, options, words):
    coords = degrees() | {"time": np.arange(3.0)}
    path = write(tmp_path / "f.nc", {"T": rng.normal(size=(3, 19, 24))}, coords,
                 ("time", "lat", "lon"))  # fmt: skip
    assert words in failure(capsys, path, tmp_path / "g.npy", "--var", "T", *options)


def test_longitudes_that_go_round_may_be_called_periodic(tmp_path, rng, capsys):
    f = rng.normal(size=(19, 24))
    path = write(tmp_path / "f.nc", {"T": f}, degrees())
    options = ("--operator", "laplacian", "--axis", "lon", "lat", "--boundary")
    arguments = (*options, "periodic", "one-sided", "--period", "360")
    assert grad(path, tmp_path / "g.npy", *arguments) == 0
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).laplacian(f)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)
    why = failure(capsys, path, tmp_path / "h.npy", *options, "one-sided", "periodic")
    assert "--boundary does not go with the sphere" in why
    path = write(tmp_path / "f.nc", {"T": f}, degrees(longitude=LONGITUDE / 6))
    why = failure(capsys, path, tmp_path / "h.npy", *options, "periodic", "one-sided")
    assert "--boundary does not go with the sphere" in why


def test_other_axes_are_left_out_and_named(tmp_path, rng, capsys):
    f = rng.normal(size=(3, 19, 24))
    coords = degrees() | {"time": np.arange(3.0)}
    path = write(tmp_path / "f.nc", {"T": f}, coords, ("time", "lat", "lon"))
    assert grad(path, tmp_path / "a.npy", "--operator", "gradient_norm") == 0
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient_norm(f)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    run.differentiate(path, tmp_path / "b.nc", ("T",), FileRequest())
    notes = load(tmp_path / "b.nc").dT_dnorth.attrs["gpugrad_notes"]
    assert "for each place along time" in notes
    assert "--" not in notes  # advice is for the screen
    assert grad(path, tmp_path / "c.npy", "--axis", "time", "lat", "lon") == 0
    expected = gpugrad.gradient(f, np.arange(3.0), LATITUDE, LONGITUDE, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), expected)


@pytest.mark.parametrize("operator", ["gradient_norm", "laplacian"])
@pytest.mark.parametrize("other", ["s", "dates"])
def test_derivatives_of_different_units_are_not_added(tmp_path, rng, capsys, operator, other):
    time = ("t", np.arange(5.0), {"units": "s"})
    if other == "dates":
        time = ("t", np.datetime64("2020-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D"))
    coords = {"t": time, "x": ("x", np.arange(6.0), {"units": "m"})}
    f = rng.normal(size=(5, 6))
    path = write(tmp_path / "f.nc", {"T": f}, coords, ("t", "x"))
    message = failure(capsys, path, tmp_path / "g.npy", "--operator", operator)
    assert f"of different units: t ({other}), x (m). Name those along which" in message
    assert grad(path, tmp_path / "g.npy", "--operator", operator, "--axis", "x") == 0
    expected = getattr(gpugrad, operator)(f, axis=1)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


@pytest.mark.parametrize("operator", ["divergence", "curl", "gradient_norm", "laplacian"])
def test_axes_of_different_units_are_not_added_where_they_are_named(
    tmp_path, rng, capsys, operator
):
    coords = {"y": ("y", np.arange(5.0), {"units": "m"})}
    coords |= {"x": ("x", np.arange(6.0), {"units": "km"})}
    fields = {name: (rng.normal(size=(5, 6)), {"units": "m s-1"}) for name in ("u", "v")}
    path = write(tmp_path / "f.nc", fields, coords, ("y", "x"))
    names = ["u", "v"] if operator in ("divergence", "curl") else ["u"]
    options = ["--var", *names, "--operator", operator, "--axis", "x", "y"]
    message = failure(capsys, path, tmp_path / "g.npy", *options)
    assert "along axes of different units: x (km), y (m)" in message
    assert "--spacing in" in message
    assert grad(path, tmp_path / "g.npy", *options, "--spacing", "1000", "1") == 0


@pytest.mark.parametrize("operator", ["divergence", "curl"])
def test_winds_in_different_units_are_not_added(tmp_path, rng, capsys, operator):
    pytest.importorskip("pint")
    f = rng.normal(size=(19, 24))
    options = ["--var", "u", "v", "--operator", operator]
    for units in ("km/h", "m/s"):
        fields = {"u": (f, {"units": "m s-1"}), "v": (f, {"units": units})}
        path = write(tmp_path / "f.nc", fields, degrees())
        if units == "m/s":
            assert grad(path, tmp_path / "g.npy", *options) == 0
            continue
        message = failure(capsys, path, tmp_path / "g.npy", *options)
        assert "components in different units: u (m s-1), v (km/h)" in message


def test_degrees_are_added_to_lengths_for_those_who_ask(tmp_path, rng, capsys):
    f = rng.normal(size=(5, 19, 24))
    coords = degrees() | {"z": ("z", np.arange(5.0), {"units": "m"})}
    path = write(tmp_path / "f.nc", {"T": f}, coords, ("z", "lat", "lon"))
    options = ["--operator", "laplacian", "--axis", "z", "lat"]
    assert "--no-sphere" in failure(capsys, path, tmp_path / "g.npy", *options)
    assert grad(path, tmp_path / "g.npy", *options, "--no-sphere") == 0
    expected = gpugrad.laplacian(f, np.arange(5.0), LATITUDE, axis=(0, 1))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_components_whose_units_go_with_their_axes_are_added(tmp_path, rng):
    pytest.importorskip("pint")
    coords = {"p": ("p", np.arange(5.0), {"units": "Pa"})}
    coords |= {"x": ("x", np.arange(6.0), {"units": "metres"})}
    data = xarray.Dataset(
        {
            "u": (("p", "x"), rng.normal(size=(5, 6)), {"units": "m s-1"}),
            "w": (("p", "x"), rng.normal(size=(5, 6)), {"units": "Pa s-1"}),
        },
        coords,
    )
    data.to_netcdf(tmp_path / "f.nc")
    done = differentiate(
        tmp_path / "f.nc", tmp_path / "g.nc", ("u", "w"), operator="divergence", axes=("x", "p")
    )
    assert done.notes == ()
    assert load(tmp_path / "g.nc").divergence.attrs["units"] == "s-1"


def test_winds_along_a_rotated_grid_may_be_called_so(tmp_path, rng):
    coords = {
        "rlat": ("rlat", np.arange(-4.0, 5), {"standard_name": "grid_latitude"}),
        "rlon": ("rlon", np.arange(-5.0, 6), {"standard_name": "grid_longitude"}),
    }
    u, v = rng.normal(size=(2, 9, 11))
    data = xarray.Dataset(
        {
            "a": (("rlat", "rlon"), v, {"standard_name": "grid_northward_wind"}),
            "b": (("rlat", "rlon"), u, {"standard_name": "grid_eastward_wind"}),
        },
        coords,
    )
    data.to_netcdf(tmp_path / "f.nc")
    differentiate(tmp_path / "f.nc", tmp_path / "g.npy", ("a", "b"), operator="curl")
    sphere = gpugrad.Sphere(np.arange(-4.0, 5), np.arange(-5.0, 6))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), sphere.curl(u=u, v=v))


# Seams that are stored twice


def test_a_meridian_stored_twice_under_one_number_counts_once(tmp_path, rng):
    f = rng.normal(size=(19, 24))
    doubled = np.concatenate([f, f[:, :1]], axis=1)
    longitude = np.append(LONGITUDE, LONGITUDE[0])
    path = write(tmp_path / "f.nc", {"T": doubled}, degrees(longitude=longitude))
    done = differentiate(path, tmp_path / "g.npy", operator="laplacian")
    assert any("one place, stored twice" in note for note in done.notes)
    result, expected = np.load(tmp_path / "g.npy"), gpugrad.Sphere(LATITUDE, LONGITUDE)
    np.testing.assert_array_equal(result[:, :-1], expected.laplacian(f))
    np.testing.assert_array_equal(result[:, -1], result[:, 0])


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".npy"])
@pytest.mark.parametrize("operator", ["gradient", "laplacian"])
def test_a_meridian_stored_twice_counts_once(tmp_path, rng, operator, suffix, capsys):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    f = rng.normal(size=(2, 19, 24))
    doubled = np.concatenate([f, f[..., :1]], axis=-1)
    path = write(tmp_path / "f.nc", {"T": doubled}, degrees(longitude=np.linspace(0, 360, 25)),
                 ("time", "lat", "lon"))  # fmt: skip
    out = tmp_path / f"g{suffix}"
    done = differentiate(path, out, operator=operator, memory=run.OWN_BYTES + 14_000)
    assert done.blocks > 1
    assert any("(0 and 360) are one place, stored twice" in note for note in done.notes)
    expected = np.asarray(getattr(gpugrad.Sphere(LATITUDE, LONGITUDE), operator)(f))
    expected = np.concatenate([expected, expected[..., :1]], axis=-1)
    expected = expected if operator == "gradient" else expected[None]
    if suffix == ".npy":
        result = np.load(out).reshape(expected.shape)
    else:
        results = xarray.open_dataset(out)
        result = [results[name].values for name in done.names]
        np.testing.assert_array_equal(results.lon, np.linspace(0, 360, 25))
        assert "stored twice" in results[done.names[0]].attrs["gpugrad_notes"]
        results.close()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("options", [(), ("--period", "360")])
def test_a_seam_stored_twice_counts_once_along_degrees(tmp_path, rng, options, capsys):
    f = rng.normal(size=(19, 24))
    doubled = np.concatenate([f, f[:, :1]], axis=-1)
    path = write(tmp_path / "f.nc", {"T": doubled}, degrees(longitude=np.linspace(0, 360, 25)))
    arguments = ("--axis", "lon", "--boundary", "periodic", *options)
    assert grad(path, tmp_path / "g.npy", *arguments) == 0
    expected = gpugrad.gradient(f, LONGITUDE, axis=1, boundary="periodic", period=360.0)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy")[:, :-1], expected)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy")[:, -1], expected[:, 0])
    assert "leave the last ones out" in failure(
        capsys, path, tmp_path / "h.npy", *arguments, "--stagger", "left"
    ).lower()  # fmt: skip


def test_seams_stored_twice_along_two_axes_count_once(tmp_path, rng):
    f = rng.normal(size=(8, 8))
    np.save(tmp_path / "f.npy", np.pad(f, (0, 1), mode="wrap"))
    request = {"boundary": "periodic", "spacing": (0.5,)}
    told = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", **request)
    assert sum("repeat the first" in note for note in told.notes) == 2
    done = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", period=4.0, **request)
    assert sum("stored twice: derivatives" in note for note in done.notes) == 2
    expected = gpugrad.gradient(f, 0.5, boundary="periodic", period=4.0, stack=True)
    expected = np.pad(expected, ((0, 0), (0, 1), (0, 1)), mode="wrap")
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_a_period_that_may_be_stored_twice_is_told_of(tmp_path):
    x = np.linspace(0, 2 * np.pi, 101)
    for f, is_told in ((np.sin(x), True), (np.sin(x[:-1]), False), (np.ones(9), False)):
        np.save(tmp_path / "f.npy", f)
        done = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", boundary="periodic")
        assert any("pass --period" in note for note in done.notes) == is_told


def test_a_run_on_a_sphere_goes_on_where_it_was_broken_off(tmp_path, rng, monkeypatch):
    from internals import job

    f = rng.normal(size=(19, 24))
    path = write(tmp_path / "f.nc", {"T": f}, degrees())
    original = job.Job._write

    def stop(self, block, results):
        if block.number == 2:
            raise KeyboardInterrupt
        original(self, block, results)

    with monkeypatch.context() as patch:
        patch.setattr(job.Job, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            differentiate(path, tmp_path / "g.npy", memory=run.OWN_BYTES + 8_000)
    done = run.differentiate(path, tmp_path / "g.npy", (), FileRequest(), run.OWN_BYTES + 8_000,
                             resume=True)  # fmt: skip
    assert done.blocks_before == 2
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(f, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_too_little_memory_for_a_row_of_the_sphere_is_told(tmp_path, rng, capsys):
    path = write(tmp_path / "f.nc", {"T": rng.normal(size=(19, 24))}, degrees())
    message = failure(capsys, path, tmp_path / "g.npy", "--memory", str(run.OWN_BYTES + 500))
    assert "--memory must be at least" in message
    assert "in chunks of (1, 24)" in message  # whole rows, though not whole chunks


# In Python


@pytest.mark.parametrize(
    ("operator", "call"),
    [
        ("gradient_norm", r"Sphere\(\).gradient_norm\(f\)` is per metre"),
        ("laplacian", r"Sphere\(\).laplacian\(f\)` is per metre"),
        ("curl", r"Sphere\(\).curl\(u=u, v=v\)` is per metre"),
        ("divergence", r"Sphere\(\).divergence\(u=u, v=v\)` is per metre"),
        ("vector_laplacian", r"`gpugrad.Sphere\(\)` has derivatives per metre"),
    ],
)
def test_sums_of_derivatives_per_degree_are_warned_of(rng, operator, call):
    import gpugrad.xarray

    f = xarray.DataArray(rng.normal(size=(19, 24)), degrees(), ("lat", "lon"), name="u")
    is_field = operator in ("gradient_norm", "laplacian")
    argument = f if is_field else (f, f)
    with pytest.warns(gpugrad.GpugradWarning, match=f"along lat, lon.*{call}") as caught:
        getattr(gpugrad, operator)(argument)
    assert caught[0].filename == __file__
    data = xarray.Dataset({"u": f, "v": f})
    accessor = f.gpugrad if is_field else data.gpugrad
    names = () if is_field else ("u", "v")
    options = {} if is_field else {"axis": ("lon", "lat")}
    with pytest.warns(gpugrad.GpugradWarning, match="adds derivatives per degree"):
        getattr(accessor, operator)(*names, **options)


def test_what_adds_no_derivatives_per_degree_is_not_warned_of(rng):
    f = xarray.DataArray(rng.normal(size=(5, 19, 24)), degrees(), ("t", "lat", "lon"), name="u")
    flat = f.assign_coords(lat=LATITUDE, lon=LONGITUDE)  # no attributes: who knows
    with warnings.catch_warnings():
        warnings.simplefilter("error", gpugrad.GpugradWarning)
        gpugrad.gradient(f)
        gpugrad.hessian(f, axis=("lat", "lon"))
        gpugrad.laplacian(f, axis="lat")
        gpugrad.laplacian(f, 1.0)
        gpugrad.laplacian(flat)
        gpugrad.Sphere().laplacian(f)
    with pytest.raises(ValueError, match="`u` must point to the east"):
        gpugrad.Sphere().curl(u=f.assign_attrs(NORTHWARD), v=f.assign_attrs(EASTWARD))
    with pytest.raises(TypeError, match="by keyword"):
        gpugrad.Sphere().curl((f.assign_attrs(EASTWARD), f))
