"""What files say of numbers: packed, missing, dates, coordinates beside axes, plain images."""

import sys
import warnings

import numpy as np
import pytest
from test_files import failure, grad

import gpugrad
from internals import FileRequest, cli_main, run

xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
h5netcdf = pytest.importorskip("h5netcdf")


def write(path, variables, dims):
    """Write variables as they are told: dims, values and attributes, without any encoding."""
    with h5netcdf.File(path, "w") as file:
        file.dimensions = dims
        for name, (along, values, attributes) in variables.items():
            variable = file.create_variable(
                name, along if isinstance(along, tuple) else (along,), np.asarray(values).dtype,
                data=values, fillvalue=attributes.get("_FillValue"),
            )  # fmt: skip
            variable.attrs.update({k: v for k, v in attributes.items() if k != "_FillValue"})
    return path


def differentiate(path, out, names=(), **request):
    return run.differentiate(path, out, names, FileRequest(**request), 2e9, overwrite=True)


# Numbers


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "attributes", "missing"),
    [
        ("i2", {"scale_factor": 0.5, "add_offset": 3.0, "_FillValue": np.int16(7)}, [7]),
        ("i2", {"missing_value": np.int16(7)}, [7]),
        ("i2", {"valid_range": np.array([5, 40], "i2")}, [*range(5), *range(41, 50)]),
        ("i2", {"valid_min": np.int16(5), "scale_factor": 0.25}, range(5)),
        ("i2", {"valid_max": 10.0, "scale_factor": 0.25}, range(41, 50)),
        ("i4", {"valid_range": np.array([5, 40], "i4"), "_FillValue": np.int32(9)},
         [*range(5), 9, *range(41, 50)]),
        ("f4", {"valid_range": np.array([5, 40], "f4")}, [*range(5), *range(41, 50)]),
        ("f8", {"_FillValue": 7.0, "missing_value": 7.0}, [7]),
        ("i1", {"_Unsigned": "true", "scale_factor": 2.0, "valid_max": np.int8(-6)},
         range(251, 256)),
    ],
)  # fmt: skip
def test_numbers_are_what_the_file_says_they_mean(tmp_path, dtype, attributes, missing, order):
    stored = np.arange(50)
    if dtype == "i1":
        stored = np.arange(206, 256)
    values = stored.astype("u1").view("i1") if dtype == "i1" else stored.astype(order + dtype)
    path = write(tmp_path / "f.nc", {"T": ("x", values, attributes)}, {"x": 50})
    done = differentiate(path, tmp_path / "g.npy")
    scale, offset = attributes.get("scale_factor", 1), attributes.get("add_offset", 0)
    decoded = np.where(np.isin(stored, [*missing]), np.nan, stored * scale + offset)
    np.testing.assert_allclose(np.load(tmp_path / "g.npy"), np.gradient(decoded), rtol=1e-6)
    assert done.missing == len([*missing])
    has_limits = any(name.startswith("valid") for name in attributes)
    assert any("are not valid, as the file says" in note for note in done.notes) == has_limits


def test_what_nobody_has_written_is_missing(tmp_path):
    f = np.arange(20.0)
    f[[3, 11]] = 9.969209968386869e36
    path = write(tmp_path / "f.nc", {"T": ("x", f, {})}, {"x": 20})
    done = differentiate(path, tmp_path / "g.npy")
    assert done.missing == 2
    assert np.nanmax(abs(np.load(tmp_path / "g.npy"))) == 1


@pytest.mark.parametrize("dtype", ["i2", "i4"])
@pytest.mark.parametrize(
    "attributes", [{}, {"scale_factor": 0.1}, {"scale_factor": np.float32(0.1), "add_offset": 5.0}]
)
def test_whole_numbers_that_nobody_has_written_are_missing(tmp_path, dtype, attributes):
    f = np.arange(20).astype(dtype)
    f[[3, 11]] = -32767 if dtype == "i2" else -2147483647
    path = write(tmp_path / "f.nc", {"T": ("x", f, attributes)}, {"x": 20})
    done = differentiate(path, tmp_path / "g.npy")
    assert done.missing == 2
    result = np.load(tmp_path / "g.npy")
    np.testing.assert_allclose(
        result[~np.isnan(result)], attributes.get("scale_factor", 1), rtol=1e-5
    )
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result)), [2, 4, 10, 12])


@pytest.mark.parametrize("attributes", [{"_FillValue": np.int16(-1)}, {"_Unsigned": "true"}])
def test_whole_numbers_are_written_where_the_file_says_what_is_missing(tmp_path, attributes):
    f = np.array([1, 4, -32767, 16, 25], "i2")
    path = write(tmp_path / "f.nc", {"T": ("x", f, attributes)}, {"x": 5})
    assert differentiate(path, tmp_path / "g.npy").missing == 0


@pytest.mark.parametrize("units", ["days", "hours"])
def test_lengths_of_time_stay_numbers(tmp_path, units):
    f = np.arange(9.0) ** 2
    path = write(
        tmp_path / "f.nc",
        {"age": ("lead", f, {"units": "days"}), "lead": ("lead", f * 2, {"units": units})},
        {"lead": 9},
    )
    assert grad(path, tmp_path / "g.nc", "--var", "age") == 0
    with xarray.open_dataset(tmp_path / "g.nc", decode_timedelta=False) as result:
        np.testing.assert_array_equal(result.dage_dlead, np.gradient(f, f * 2))
        assert result.dage_dlead.dtype == float
        assert result.dage_dlead.attrs["units"] in ("1", "d h-1", f"days {units}-1", "day h-1")


def test_packed_arrays_without_names_of_axes_are_refused(tmp_path, capsys):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(tmp_path / "f.zarr", shape=(9,), dtype="i2", chunks=(9,))
    array[...] = np.arange(9)
    array.attrs["scale_factor"] = 0.5
    message = failure(capsys, tmp_path / "f.zarr", tmp_path / "g.npy")
    assert "has scale_factor, but no names for its axes" in message


# Dates


@pytest.mark.parametrize(
    ("units", "calendar", "per"),
    [
        ("months since 2000-01-01", "standard", "month"),
        ("hour since 0000-01-01", "standard", "hour"),
        ("days since the beginning", "standard", "day"),
        ("fortnights since 2000-01-01", "noleap", "fortnight"),
        ("days since 2000-01-01", "a calendar of nobody", "day"),
    ],
)
def test_dates_that_can_not_be_read_are_numbers(tmp_path, capsys, units, calendar, per):
    f = np.random.default_rng(0).normal(size=(4, 5))
    path = write(
        tmp_path / "f.nc",
        {
            "T": (("time", "lat"), f, {"units": "K"}),
            "time": ("time", [0.0, 1.0, 3.0, 4.0], {"units": units, "calendar": calendar}),
            "other": ("time", [0.0, 1.0, 3.0, 4.0], {"units": "days since 2000-01-01"}),
            "lat": ("lat", np.arange(5.0), {"units": "degrees_north"}),
        },
        {"time": 4, "lat": 5},
    )
    along_latitude = grad(path, tmp_path / "y.npy", "--var", "T", "--axis", "lat")
    assert along_latitude == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.gradient(f, axis=1))
    capsys.readouterr()
    arguments = ["grad", str(path), str(tmp_path / "g.nc"), "--var", "T", "--axis", "time"]
    assert cli_main.main(arguments) == 0
    said = capsys.readouterr().err
    with xarray.open_dataset(tmp_path / "g.nc", decode_times=False) as result:
        np.testing.assert_array_equal(result.dT_dtime, np.gradient(f, [0, 1, 3, 4], axis=0))
        if result.time.attrs["units"] == units:
            assert f"rates along it are per {per}" in said
            assert f"rates along it are per {per}" in result.dT_dtime.attrs["gpugrad_notes"]
            assert result.dT_dtime.attrs["units"] in (f"K {per}-1", f"K {per[0]}-1")
        else:
            pytest.fail("the coordinate of dates has lost its unit")
    assert "rates" not in failure(capsys, path, tmp_path / "h.nc", "--var", "nothing")
    message = failure(
        capsys, path, tmp_path / "h.nc", "--var", "T", "--axis", "time", "--time-unit", "D"
    )
    assert "--time-unit" in message


def test_calendars_without_their_library_are_numbers(tmp_path, monkeypatch, capsys):
    f = np.arange(4.0) ** 2
    time = ("time", [0.0, 1.0, 3.0, 4.0], {"units": "days since 2000-01-01", "calendar": "noleap"})
    path = write(tmp_path / "f.nc", {"T": ("time", f, {}), "time": time}, {"time": 4})
    from xarray.coding import times

    monkeypatch.setattr(times, "cftime", None)
    monkeypatch.setitem(sys.modules, "cftime", None)
    assert cli_main.main(["grad", str(path), str(tmp_path / "g.npy")]) == 0
    assert 'noleap, which needs cftime: pip install "gpugrad[files]"' in capsys.readouterr().err
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f, [0, 1, 3, 4]))


def test_other_errors_of_opening_are_still_told(tmp_path, capsys):
    (tmp_path / "f.nc").write_bytes(b"no NetCDF, for sure")
    message = failure(capsys, tmp_path / "f.nc", tmp_path / "g.npy")
    assert "f.nc can't be read: " in message


# Axes


def test_the_only_coordinate_along_an_axis_spaces_it(tmp_path, capsys):
    y, x = np.array([0.0, 1, 3, 7]), np.array([9.0, 7, 4, 2, 1])
    f = np.add.outer(y**2, x)
    data = xarray.Dataset(
        {"T": (("row", "column"), f)},
        {"depth": ("row", y, {"units": "m"}), "place": ("row", list("abcd")), "p": ("column", x)},
    )
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    assert grad(tmp_path / "f.nc", tmp_path / "g.npy") == 0
    done = differentiate(tmp_path / "f.nc", tmp_path / "g.nc")
    says = f"of T in {tmp_path / 'f.nc'}, says how far its samples are apart."
    assert done.notes == (
        f"depth, the only coordinate along row {says}",
        f"p, the only coordinate along column {says}",
    )
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f, y, x))
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        np.testing.assert_array_equal(result.depth, y)
    assert grad(tmp_path / "f.nc", tmp_path / "h.npy", "--spacing", "2") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), np.gradient(f, 2.0))


def test_latitudes_and_longitudes_beside_axes_lie_on_the_sphere(tmp_path):
    latitude, longitude = np.linspace(60, 20, 9), np.linspace(0, 60, 7)
    f = np.random.default_rng(0).normal(size=(9, 7))
    data = xarray.Dataset(
        {"T": (("y", "x"), f)},
        {"lat": ("y", latitude), "lon": ("x", longitude, {"units": "degrees_east"})},
    )
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    for axes in ((), ("y", "x"), ("lat", "lon")):
        differentiate(tmp_path / "f.nc", tmp_path / "g.npy", axes=axes)
        expected = gpugrad.Sphere(latitude, longitude).gradient(f, stack=True)
        np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


@pytest.mark.parametrize(
    "beside", [{}, {"a": [0.0, 1, 3, 7], "b": [1.0, 2, 3, 4]}, {"a": [0.0, 1, 3, 2]}]
)
def test_samples_are_counted_where_nothing_or_too_much_spaces_an_axis(tmp_path, capsys, beside):
    f = np.arange(4.0) ** 2
    coords = {name: ("row", values) for name, values in beside.items()}
    xarray.Dataset({"T": ("row", f)}, coords).to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    done = differentiate(tmp_path / "f.nc", tmp_path / "g.npy")
    (note,) = done.notes
    assert "row of T in" in note
    assert "derivatives are per sample. --spacing says" in note
    assert ("--coords names coordinates" in note) == bool(beside)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f))
    if len(beside) == 2:
        differentiate(tmp_path / "f.nc", tmp_path / "g.npy", coords=("a",))
        np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f, beside["a"]))


@pytest.mark.parametrize("suffix", [".nc", ".npy"])
@pytest.mark.parametrize("command", ["grad", "plot"])
def test_an_axis_without_samples_is_told_of(tmp_path, monkeypatch, capsys, suffix, command):
    monkeypatch.chdir(tmp_path)
    f = np.zeros((0, 5))
    np.save("f.npy", f)
    xarray.Dataset({"T": (("time", "x"), f)}).to_netcdf("f.nc", engine="h5netcdf")
    arguments = [f"f{suffix}", "g.npy"] if command == "grad" else [f"f{suffix}"]
    assert cli_main.main([command, *arguments]) == 1
    dim = "time" if suffix == ".nc" else "axis0"
    assert f"must hold samples; it has none along {dim}." in capsys.readouterr().err


def test_coordinates_may_lie_in_groups_above(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    x = np.array([0.0, 1, 3, 7])
    with netcdf.Dataset(tmp_path / "f.nc", "w") as file:
        file.createDimension("x", 4)
        file.createVariable("x", "f8", ("x",))[:] = x
        inner = file.createGroup("model/run")
        inner.createVariable("T", "f8", ("x",))[:] = x**2
    done = differentiate(tmp_path / "f.nc", tmp_path / "g.npy", ("model/run/T",))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(x**2, x))
    assert done.notes == ()


def test_missing_coordinates_are_told_of(tmp_path, capsys):
    x = ("x", [0.0, 1, -9, 3, 4], {"_FillValue": -9.0})
    path = write(tmp_path / "f.nc", {"T": ("x", np.ones(5), {}), "x": x}, {"x": 5})
    message = failure(capsys, path, tmp_path / "g.npy")
    assert "coordinates" in message
    assert "finite" in message


def test_an_axis_that_is_there_twice_is_refused(tmp_path, capsys):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "f.nc", "w") as file:
        file.createDimension("x", 4)
        file.createVariable("C", "f8", ("x", "x"))[:] = np.eye(4)
    message = failure(capsys, tmp_path / "f.nc", tmp_path / "g.npy")
    assert "has one axis twice: x, x" in message


def test_variables_that_are_no_fields_do_not_hide_the_only_one(tmp_path, capsys):
    f = np.random.default_rng(0).normal(size=(3, 4))
    data = xarray.Dataset(
        {
            "T": (("y", "x"), f),
            "name": ("y", np.array(["ab", "c", "d"], "S2")),
            "is_land": (("y", "x"), f > 0),
            "lat": (("y", "x"), np.add.outer(np.arange(3.0), np.zeros(4)),
                    {"units": "degrees_north"}),
        }
    )  # fmt: skip
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    assert grad(tmp_path / "f.nc", tmp_path / "g.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f))
    assert "must hold numbers; it holds" in failure(
        capsys, tmp_path / "f.nc", tmp_path / "h.npy", "--var", "name"
    )
    assert "Convert it first" in failure(
        capsys, tmp_path / "f.nc", tmp_path / "h.npy", "--var", "is_land"
    )
    data.assign(Q=data.T).to_netcdf(tmp_path / "q.nc", engine="h5netcdf")
    assert "it has: " in failure(capsys, tmp_path / "q.nc", tmp_path / "h.npy")


# Images


@pytest.fixture
def image(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads images")

    def write(name, values, **profile):
        driver = {".png": "PNG", ".tif": "GTiff", ".jpg": "JPEG"}[name[-4:]]
        count, height, width = values.shape
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(
                tmp_path / name, "w", driver=driver, height=height, width=width, count=count,
                dtype=values.dtype.name, **profile,
            ) as file:  # fmt: skip
                file.write(values)
        return tmp_path / name

    return write


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["f.png", "f.tif"])
def test_images_without_a_place_need_a_spacing(tmp_path, image, capsys, name):
    f = np.random.default_rng(0).integers(0, 255, (3, 12, 9)).astype("u1")
    path = image(name, f)
    assert "it has: 1, 2, 3" in failure(capsys, path, tmp_path / "g.npy")
    message = failure(capsys, path, tmp_path / "g.npy", "--var", "2")
    assert "the image does not say where it lies, nor how large its pixels are" in message
    assert "Pass --spacing" in message
    for out in ("g.npy", "g.tif"):
        assert grad(path, tmp_path / out, "--var", "2", "--spacing", "0.5") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f[1].astype(float), 0.5))
    assert "A .png file is read, but not written" in failure(
        capsys, path, tmp_path / "h.png", "--var", "2", "--spacing", "1"
    )


def test_the_size_of_pixels_is_exact(tmp_path, image):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads images")
    f = np.random.default_rng(0).normal(size=(1, 40, 30))
    place = rasterio.Affine(0.1, 0, 4e5 / 7, 0, -1 / 3, 5e6 / 11)
    path = image("f.tif", f, transform=place, crs="EPSG:32633")
    differentiate(path, tmp_path / "g.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f[0], -1 / 3, 0.1))


def test_angles_other_than_degrees_are_told_of(tmp_path, image, capsys):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads images")
    place = rasterio.Affine(0.1, 0, 4, 0, -0.1, 50)
    path = image("f.tif", np.ones((1, 9, 8)), transform=place, crs="EPSG:4807")  # Paris, in grads
    assert "on a sphere in units of grad" in failure(capsys, path, tmp_path / "g.npy")


# History


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".tif"])
def test_the_history_names_all_inputs_the_date_and_what_was_before(tmp_path, suffix):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    if suffix == ".tif":
        pytest.importorskip("rasterio")
    coords = {
        "y": ("y", np.arange(6.0), {"units": "m"}),
        "x": ("x", np.arange(5.0), {"units": "m"}),
    }
    f = (("y", "x"), np.random.default_rng(0).normal(size=(6, 5)), {"units": "m s-1"})
    data = xarray.Dataset({"u": f, "v": f}, coords, {"history": "made by a model\nand cut"})
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    out = tmp_path / f"g{suffix}"
    assert (
        grad(tmp_path / "f.nc", out, "--var", "u", "v", "--operator", "curl", "--axis", "x", "y")
        == 0
    )
    if suffix == ".tif":
        import rasterio

        with rasterio.open(out) as image:
            history, units = image.tags()["history"], image.units[0]
    else:
        with xarray.open_dataset(out) as result:
            history, units = result.attrs["history"], result.curl.attrs["units"]
    first, *before = history.split("\n")
    assert before == ["made by a model", "and cut"]
    date, _, done = first.partition(" ")
    assert abs(np.datetime64(date.removesuffix("Z")) - np.datetime64("now")) < np.timedelta64(
        1, "D"
    )
    assert "curl of u and v in" in done
    assert "axes=('x', 'y')" in done
    assert units in ("s-1", "m s-1 m-1")
