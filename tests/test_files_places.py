"""Where the results of files lie, and what formats say of them besides their values."""

import json

import numpy as np
import pytest
from test_files import failure

import gpugrad
from internals import cli_main, job

xarray = pytest.importorskip("xarray", reason="xarray reads these formats")
pytest.importorskip("h5netcdf")
pytest.importorskip("zarr")


def grad(*arguments):
    assert cli_main.main(["grad", *map(str, arguments)]) == 0


@pytest.fixture
def climate(tmp_path):
    """Write a field with all kinds of coordinates; return it and its path."""
    rng = np.random.default_rng(0)
    shape = (4, 7, 6)
    data = xarray.Dataset(
        {
            "T": (
                ("time", "lat", "lon"),
                rng.normal(size=shape).astype("f4"),
                {
                    "units": "K", "standard_name": "air_temperature", "grid_mapping": "crs",
                    "source": "model",
                },
            ),
            "lat_bnds": (("lat", "nv"), rng.normal(size=(7, 2))),
            "crs": ((), 0, {"grid_mapping_name": "latitude_longitude"}),
        },
        {
            "time": np.datetime64("2020-01-01") + np.arange(4) * np.timedelta64(6, "h"),
            "lat": (
                "lat", np.linspace(60, -60, 7), {"units": "degrees_north", "bounds": "lat_bnds"},
            ),
            "lon": ("lon", np.array([0.0, 10, 21, 31, 42, 53]), {"units": "degrees_east"}),
            "area": (("lat", "lon"), rng.random((7, 6)), {"units": "m2"}),
            "season": ("time", ["winter", "winter", "spring", "spring"]),
            "height": ((), 2.0, {"units": "m"}),
        },
    )  # fmt: skip
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    return data, tmp_path / "f.nc"


def assert_lies_as(result, expected):
    """Compare a result of a file with that of the same call on xarray's field."""
    np.testing.assert_array_equal(result.values, expected.values)
    for dim in expected.dims:
        name = next(own for own in result.dims if own.partition("_")[0] == dim)
        np.testing.assert_array_equal(result[name].values, expected[dim].values)
        assert result[name].attrs.get("units") == expected[dim].attrs.get("units")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_results_between_samples_have_coordinates_there(tmp_path, climate, suffix, side):
    data, path = climate
    out = tmp_path / f"g{suffix}"
    grad(path, out, "--var", "T", "--axis", "lat", "lon", "--stagger", side, "none")
    expected = gpugrad.gradient(data["T"], axis=("lat", "lon"), stagger={"lat": side})
    with xarray.open_dataset(out) as result:
        assert result.dT_dlat.dims == ("time", f"lat_{side}", "lon")
        assert result.dT_dlon.dims == ("time", "lat", "lon")
        assert_lies_as(result.dT_dlat, expected[0])
        assert_lies_as(result.dT_dlon, expected[1])
        assert "area" in result.dT_dlon.coords
        assert "area" not in result.dT_dlat.coords


def test_an_axis_along_which_all_lie_at_one_place_keeps_its_name(tmp_path, climate):
    data, path = climate
    grad(path, tmp_path / "g.nc", "--var", "T", "--axis", "lon", "--stagger", "left",
         "--boundary", "periodic", "--period", 360)  # fmt: skip
    expected = gpugrad.gradient(
        data["T"], axis="lon", stagger="left", boundary="periodic", period=360.0
    )
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        assert result.dT_dlon.dims == ("time", "lat", "lon")
        assert_lies_as(result.dT_dlon, expected)


def test_dates_between_dates_are_written(tmp_path, climate):
    data, path = climate
    grad(path, tmp_path / "g.nc", "--var", "T", "--axis", "time", "--stagger", "right")
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        assert_lies_as(result.dT_dtime, gpugrad.gradient(data["T"], axis="time", stagger="right"))


@pytest.mark.filterwarnings("ignore:.*adds derivatives per degree")
def test_fluxes_on_faces_are_summed_at_the_centres(tmp_path, climate, capsys):
    data, path = climate
    plane = ("--no-sphere", "--axis", "lat", "lon", "--stagger")
    grad(path, tmp_path / "flux.nc", "--var", "T", *plane, "left")
    grad(tmp_path / "flux.nc", tmp_path / "g.nc", "--var", "dT_dlat", "dT_dlon", "--operator",
         "divergence", *plane, "right")  # fmt: skip
    flux = gpugrad.gradient(data["T"], axis=("lat", "lon"), stagger="left")
    expected = gpugrad.divergence(flux, axis=("lat", "lon"), stagger="right")
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        assert result.divergence.dims == ("time", "lat", "lon")
        assert_lies_as(result.divergence, expected)
    capsys.readouterr()
    assert "must meet at one place" in failure(
        capsys, tmp_path / "flux.nc", tmp_path / "h.nc", "--var", "dT_dlat", "dT_dlon",
        "--operator", "divergence", *plane, "left",
    )  # fmt: skip


def test_files_hold_the_coordinates_between_samples(tmp_path, climate):
    _, path = climate
    grad(path, tmp_path / "g.nc", "--var", "T", "--axis", "lat", "lon", "--stagger", "left")
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        np.testing.assert_array_equal(result["lat_left"], np.linspace(70, -50, 7))
        np.testing.assert_array_equal(result["lat"], np.linspace(60, -60, 7))


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_coordinates_that_are_no_spacings_are_carried_on(tmp_path, climate, suffix):
    data, path = climate
    grad(path, tmp_path / f"g{suffix}", "--axis", "lat")  # T alone: the rest belongs to it
    with xarray.open_dataset(tmp_path / f"g{suffix}", decode_coords="all") as result:
        assert {*result.data_vars} == {"dT_dlat"}
        for name in ("area", "season", "height"):
            xarray.testing.assert_equal(result[name].variable, data[name].variable)
        assert result.crs.attrs["grid_mapping_name"] == "latitude_longitude"
        assert result.area.attrs["units"] == "m2"
        assert "bounds" not in result.lat.attrs | result.lat.encoding
        assert result.dT_dlat.attrs["source"] == "model"
        assert "standard_name" not in result.dT_dlat.attrs
        assert result.attrs["Conventions"] == "CF-1.8"
        assert "gradient of T in" in result.attrs["history"]


def test_samples_along_a_curved_grid_are_told_of(tmp_path, capsys):
    y, x = np.meshgrid(np.arange(5.0), np.arange(6.0), indexing="ij")
    data = xarray.Dataset(
        {"sst": (("y", "x"), x + y)}, {"lat": (("y", "x"), y + x / 9), "lon": (("y", "x"), x - y)}
    )
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    grad(tmp_path / "f.nc", tmp_path / "g.nc", "--no-sphere")
    printed = capsys.readouterr().err
    assert "y, x of sst in" in printed
    assert "own (lat, lon lie along them): derivatives are per sample" in printed
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        xarray.testing.assert_equal(result.dsst_dx.lat.variable, data.lat.variable)
    grad(tmp_path / "f.nc", tmp_path / "h.nc", "--spacing", 2)
    assert capsys.readouterr().err == ""


def test_centuries_of_other_calendars_are_understood(tmp_path):
    pytest.importorskip("cftime", reason="other calendars are cftime's")
    time = (
        "time",
        np.arange(5) * 36500.0,
        {"units": "days since 1000-01-01", "calendar": "noleap"},
    )
    f = np.array([1.0, 4, 9, 16, 30])
    xarray.Dataset({"T": ("time", f)}, {"time": time}).to_netcdf(
        tmp_path / "f.nc", engine="h5netcdf"
    )
    grad(tmp_path / "f.nc", tmp_path / "g.nc", "--time-unit", "D")
    expected = np.gradient(f, 36500.0)
    with xarray.open_dataset(tmp_path / "f.nc") as given:
        np.testing.assert_allclose(gpugrad.gradient(given.T, time_unit="D"), expected)
        with xarray.open_dataset(tmp_path / "g.nc") as result:
            np.testing.assert_allclose(result.dT_dtime, expected)
            assert result.indexes["time"].equals(given.indexes["time"])


def test_a_coordinate_may_be_differentiated_and_be_a_spacing(tmp_path, climate):
    data, path = climate
    data = data.assign_coords(days=("time", [0.0, 1, 2, 4]))
    data.to_netcdf(path, engine="h5netcdf")
    grad(path, tmp_path / "g.npy", "--var", "area", "--axis", "lon", "--spacing", 2)
    np.testing.assert_array_equal(
        np.load(tmp_path / "g.npy"), np.gradient(data.area.values, 2.0, axis=1)
    )
    grad(path, tmp_path / "h.npy", "--var", "T", "--axis", "time", "--coords", "days")
    expected = gpugrad.gradient(data["T"].values, data.days.values, axis=0)
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), expected)


# GeoTIFF


def test_a_geotiff_moves_with_its_results(tmp_path, capsys):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    f = np.random.default_rng(1).normal(size=(12, 9)).astype("f4")
    place = rasterio.Affine(30.0, 0, 5e5, 0, -20.0, 5e6)
    with rasterio.open(
        tmp_path / "f.tif", "w", driver="GTiff", height=12, width=9, count=1, dtype="float32",
        transform=place, crs="EPSG:32633",
    ) as image:  # fmt: skip
        image.write(f, 1)
    for axis, side, moved in (("x", "left", (-0.5, 0)), ("y", "right", (0, 0.5))):
        out = tmp_path / f"{axis}.tif"
        grad(tmp_path / "f.tif", out, "--axis", axis, "--stagger", side)
        with rasterio.open(out) as image:
            corner = 5e5 + 30 * moved[0], 5e6 - 20 * moved[1]
            assert image.transform == rasterio.Affine(30, 0, corner[0], 0, -20, corner[1])
            assert image.crs.to_epsg() == 32633
    assert "own faces. Choose one with --axis" in failure(
        capsys, tmp_path / "f.tif", tmp_path / "g.tif", "--stagger", "left"
    )
    assert not (tmp_path / "g.tif.partial").exists()


def test_maps_of_other_formats_become_geotiff_where_they_are_even(tmp_path, climate, capsys):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    data, _ = climate
    plane = tmp_path / "plane.nc"
    data["T"][0].drop_vars("season").interp(lon=[0.0, 20, 40]).to_netcdf(plane, engine="h5netcdf")
    grad(plane, tmp_path / "g.tif", "--axis", "lat")
    with rasterio.open(tmp_path / "g.tif") as image:
        assert image.transform == rasterio.Affine(20, 0, -10, 0, -20, 70)
        assert image.crs.to_epsg() == 4326
    data["T"][0].drop_vars("season").to_netcdf(plane, engine="h5netcdf")
    capsys.readouterr()
    message = failure(capsys, plane, tmp_path / "h.tif")
    assert "evenly spaced coordinates; those along lon are not" in message


# What formats can't hold


def test_half_precision_is_written_as_single_where_there_is_none(tmp_path):
    f = np.random.default_rng(2).normal(size=(5, 6)).astype("f2")
    np.save(tmp_path / "f.npy", f)
    grad(tmp_path / "f.npy", tmp_path / "g.nc")
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        assert result.df_daxis0.dtype == np.float32
        np.testing.assert_array_equal(result.df_daxis0, gpugrad.gradient(f)[0])


@pytest.mark.parametrize(
    ("values", "suffix", "message"),
    [
        (np.arange(5).astype("M8[D]"), ".nc", "differences of dates"),
        (np.arange(5) * 1j, ".nc", "complex numbers"),
        pytest.param(
            np.arange(5).astype("g"), ".zarr", "long doubles",
            marks=pytest.mark.skipif(
                np.dtype("g") == np.dtype("d"), reason="long doubles are doubles on this system"
            ),
        ),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_refused_before_anything_is_written(
    tmp_path, capsys, values, suffix, message
):
    np.save(tmp_path / "f.npy", values)
    printed = failure(capsys, tmp_path / "f.npy", tmp_path / f"g{suffix}")
    assert message in printed
    assert "Write .npy" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]


def test_chunks_that_were_never_written_are_missing_not_zero(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros(5))
    grad(tmp_path / "f.npy", tmp_path / "g.zarr")
    metadata = json.loads((tmp_path / "g.zarr" / "df_daxis0" / "zarr.json").read_text())
    assert metadata["fill_value"] == "NaN"


# Missing samples


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_missing_samples_are_counted_and_told_of(tmp_path, capsys, dtype):
    f = np.ones((6, 10), dtype)
    f[2, 3] = np.nan
    np.save(tmp_path / "f.npy", f)
    grad(tmp_path / "f.npy", tmp_path / "g.npy")
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "1 of 60 samples (1.7 %) are missing, and so are 4 of 120 results (3.3 %)" in printed
    assert "With --skipna" in printed
    for quiet in ("--skipna", "--quiet"):
        grad(tmp_path / "f.npy", tmp_path / "h.npy", "--overwrite", quiet)
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("order", ["C", "F"])
def test_missing_values_are_counted_in_pieces(monkeypatch, piece, order):
    monkeypatch.setattr(job, "PIECE", piece)
    rng = np.random.default_rng(3)
    f = np.asarray(np.where(rng.random((5, 1, 8, 9)) < 0.3, np.nan, 1.0), order=order)
    window = f[1:4, :, 2:, ::2]
    assert job.count_missing(window) == np.isnan(window).sum() > 0
    assert job.count_missing(np.array(["NaT", "2020"], "M8[D]")) == 1
    assert job.count_missing(np.ones(3, int)) == 0


def test_whole_fields_are_silent(tmp_path, capsys):
    np.save(tmp_path / "f.npy", np.ones((6, 10)))
    grad(tmp_path / "f.npy", tmp_path / "g.npy")
    assert capsys.readouterr().err == ""
