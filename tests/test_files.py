"""Fields in files: every format, in blocks, with the bits of the same call in memory."""

import errno
import json
import math
import shutil
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import random_cases

import gpugrad
from conftest import assert_same_bits
from internals import (
    FileError,
    FileRequest,
    Layout,
    RawArray,
    blocks,
    cli_main,
    job,
    open_sources,
    run,
    source,
    targets,
)

SMALL = run.OWN_BYTES + 20_000
"""An allowance of memory that leaves little for a block."""


@pytest.fixture(scope="module", autouse=True)
def libraries_take_nothing():
    """Leave what libraries of formats take out of the account, so that blocks are small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "LIBRARY_BYTES", dict.fromkeys(run.LIBRARY_BYTES, 0))
        patch.setattr(run, "COPIES", 0)
        patch.setattr("gpugrad._files.datasets.CACHE_BYTES", 0)
        yield


@pytest.fixture
def field():
    return np.random.default_rng(5).normal(size=(23, 14, 11))


def grad(path, out, *options):
    """Run the command quietly; return its exit status."""
    return cli_main.main(["grad", str(path), str(out), "--quiet", *options])


def differentiate(path, out, memory=SMALL, names=(), overwrite=False, resume=False, **request):
    return run.differentiate(path, out, names, FileRequest(**request), memory, overwrite, resume)


def open_dataset(path):
    return pytest.importorskip("xarray").open_dataset(path)


# Formats


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "<c8"])
def test_npy_in_blocks_has_the_bits_of_memory(tmp_path, field, dtype, order):
    f = np.asarray(field * 100, dtype=dtype, order=order)
    np.save(tmp_path / "f.npy", f)
    done = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", spacing=(0.5, 2.0, 3.0))
    assert done.blocks > 3
    expected = gpugrad.gradient(f.astype(f.dtype.newbyteorder("=")), 0.5, 2.0, 3.0, stack=True)
    result = np.load(tmp_path / "g.npy")
    assert result.dtype == expected.dtype
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_is_read(tmp_path, field, compressed):
    (np.savez_compressed if compressed else np.savez)(tmp_path / "f.npz", u=field, v=-field)
    memory = SMALL + compressed * field.nbytes  # what is compressed as a whole stays in memory
    done = differentiate(
        tmp_path / "f.npz", tmp_path / "g.npy", memory, names=("v",), axes=("0", "-1")
    )
    assert done.names == ("dv_daxis0", "dv_daxis2")
    result = np.load(tmp_path / "g.npy")
    np.testing.assert_array_equal(result[1], gpugrad.gradient(-field, axis=-1))


@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_npz_is_not_written(capsys, tmp_path, field, options):
    np.savez(tmp_path / "f.npz", u=field)
    np.savez(tmp_path / "g.npz", g=field)
    before = (tmp_path / "g.npz").read_bytes()
    why = failure(capsys, tmp_path / "f.npz", tmp_path / "g.npz", *options)
    assert "must end in one of .npy, .zarr, .nc, .nc4, .cdf, .h5, .tif, .tiff; got" in why
    assert "A .npz file is read, but not written: write .npy, which has several results" in why
    assert (tmp_path / "g.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npz", "g.npz"]


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_dataset_keeps_names_coordinates_and_units(tmp_path, suffix):
    xarray = pytest.importorskip("xarray", reason="xarray reads these formats")
    pytest.importorskip("zarr" if suffix == ".zarr" else "h5netcdf")
    latitude, longitude = np.linspace(-60, 60, 13), np.arange(0, 360, 20.0)
    times = np.datetime64("2020-01-01T00:00") + np.arange(5) * np.timedelta64(6, "h")
    f = np.random.default_rng(0).normal(size=(5, 13, 18)).astype("f4")
    data = xarray.Dataset(
        {"T": (("time", "lat", "lon"), f, {"units": "K"})},
        {
            "time": times,
            "lat": ("lat", latitude, {"units": "degrees_north"}),
            "lon": ("lon", longitude, {"units": "degrees_east"}),
        },
    )
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".zarr":
        data.chunk(time=2, lat=5, lon=7).to_zarr(source, zarr_format=2)
    else:
        data.to_netcdf(source, engine="h5netcdf")
    differentiate(source, out, axes=("lon", "time"), time_unit="h")
    with open_dataset(out) as result:
        assert result.dT_dlon.dims == ("time", "lat", "lon")
        assert result.dT_dlon.attrs["units"] == "K degrees_east-1"
        assert result.dT_dtime.attrs["units"] == "K h-1"
        np.testing.assert_array_equal(result.time, times)
        np.testing.assert_array_equal(result.lat, latitude)
        np.testing.assert_array_equal(result.dT_dlon, gpugrad.gradient(f, longitude, axis=2))
        expected = gpugrad.gradient(f, times, axis=0, time_unit="h")
        np.testing.assert_array_equal(result.dT_dtime, expected)


def test_packed_values_are_decoded(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    f = np.array([1.0, 2.5, np.nan, 4.0, 7.0])
    encoding = {"f": {"dtype": "i2", "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -99}}
    xarray.Dataset({"f": ("x", f)}).to_netcdf(
        tmp_path / "f.nc", engine="h5netcdf", encoding=encoding
    )
    differentiate(tmp_path / "f.nc", tmp_path / "g.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), gpugrad.gradient(f))


def test_bare_zarr_arrays_are_read(tmp_path, field):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(tmp_path / "f.zarr", shape=field.shape, dtype="f8", chunks=(5, 4, 11))
    array[...] = field
    done = differentiate(tmp_path / "f.zarr", tmp_path / "g.npy", memory=run.OWN_BYTES + 60_000)
    assert done.blocks > 1
    expected = gpugrad.gradient(field, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_geotiff_has_coordinates_and_holes(tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    f = np.random.default_rng(1).integers(0, 100, (12, 9)).astype("i2")
    f[3, 4] = -1
    place = rasterio.Affine(30.0, 0, 500.0, 0, -20.0, 900.0)
    profile = {"driver": "GTiff", "height": 12, "width": 9, "count": 1, "dtype": "int16",
               "nodata": -1, "transform": place}  # fmt: skip
    with rasterio.open(tmp_path / "f.tif", "w", **profile) as image:
        image.write(f, 1)
    differentiate(tmp_path / "f.tif", tmp_path / "g.tif")
    values = np.where(f == -1, np.nan, f).astype("f4")
    y, x = 890.0 - 20.0 * np.arange(12), 515.0 + 30.0 * np.arange(9)
    with rasterio.open(tmp_path / "g.tif") as image:
        assert image.descriptions == ("dband1_dy", "dband1_dx")
        assert image.transform == place
        np.testing.assert_array_equal(image.read(), gpugrad.gradient(values, y, x, stack=True))


# Operators and blocks


def draw_block(data, shape):
    """Draw the shape of blocks: any, but seldom so small that there are hundreds."""
    block = [data.draw(st.integers(1, n)) for n in shape]
    most = data.draw(st.sampled_from([20, 20, 20, 1000]))
    while math.prod(-(-n // size) for n, size in zip(shape, block, strict=True)) > most:
        thinnest = min(range(3), key=lambda i: block[i] / shape[i])
        block[thinnest] = min(2 * block[thinnest], shape[thinnest])
    return tuple(block)


@pytest.mark.parametrize(
    "boundary", ["one-sided", "periodic", {0: "reflect", 1: ("edge", 1.5), 2: "periodic"}]
)
@random_cases(12)
@given(data=st.data())
def test_any_blocks_have_the_bits_of_memory(tmp_path_factory, boundary, data):
    folder = tmp_path_factory.mktemp("blocks")
    shape = [data.draw(st.integers(8, 16)) for _ in range(3)]
    f = np.random.default_rng(sum(shape)).normal(size=(3, *shape))
    block = draw_block(data, shape)
    operators = ["curl", "divergence", "jacobian", "hessian"]
    if not isinstance(boundary, str):
        operators.remove("hessian")  # a value at the end says nothing of mixed derivatives
    operator = data.draw(st.sampled_from(operators))
    f = f[0] if operator == "hessian" else f
    np.save(folder / "v.npy", f)
    accuracy = data.draw(st.sampled_from([2, 4]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "choose_shape", lambda *_: block)
        differentiate(
            folder / "v.npy", folder / "g.npy", operator=operator, boundary=boundary,
            accuracy=accuracy,
        )  # fmt: skip
    expected = getattr(gpugrad, operator)(f, accuracy=accuracy, boundary=boundary)
    expected = np.asarray(expected).reshape(np.load(folder / "g.npy").shape)
    assert np.load(folder / "g.npy").tobytes() == expected.tobytes()


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("boundary", ["one-sided", "periodic", ("reflect", "one-sided")])
@pytest.mark.parametrize(
    "operator", ["gradient", "laplacian", "derivative", "curl", "gradient_norm", "hessian"]
)
@random_cases(5)
@given(data=st.data())
def test_missing_values_are_holes_in_any_blocks(tmp_path_factory, operator, boundary, data):
    folder = tmp_path_factory.mktemp("holes")
    shape = [data.draw(st.integers(8, 14)) for _ in range(3)]
    shape = (3, *shape) if operator == "curl" else shape
    rng = np.random.default_rng(sum(shape))
    f = np.where(rng.random(shape) > 0.2, rng.normal(size=shape), np.nan)
    np.save(folder / "f.npy", f)
    block = draw_block(data, shape[-3:])
    options = {"accuracy": data.draw(st.sampled_from([2, 4])), "boundary": boundary}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "choose_shape", lambda *_: block)
        differentiate(folder / "f.npy", folder / "g.npy", operator=operator, skipna=True, **options)
    one = {"axis": (0, 1, 2), "stack": True} if operator in ("gradient", "curl") else {}
    if operator == "derivative":
        one = {"axis": 0}
        result = np.load(folder / "g.npy")[0]
    else:
        result = np.load(folder / "g.npy")
    expected = getattr(gpugrad, operator)(f, skipna=True, **options, **one)
    np.testing.assert_array_equal(result, np.reshape(expected, result.shape))
    assert np.isfinite(expected).mean() > 0.3


def test_second_derivatives_have_names_and_units(tmp_path, field, capsys):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    f = xarray.DataArray(
        field[0], dims=("y", "x"), name="T", attrs={"units": "K"},
        coords={"y": ("y", np.arange(field.shape[1]) * 2.0, {"units": "m"}),
                "x": ("x", np.arange(field.shape[2]) * 0.5, {"units": "s"})},
    )  # fmt: skip
    f.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    assert grad(tmp_path / "f.nc", tmp_path / "h.nc", "--operator", "hessian") == 0
    expected = gpugrad.hessian(field[0], 2.0, 0.5)
    with open_dataset(tmp_path / "h.nc") as results:
        units = {name: results[name].attrs["units"] for name in results.data_vars}
        for i, j in np.ndindex(2, 2):
            np.testing.assert_array_equal(results[f"d2T_d{'yx'[i]}_d{'yx'[j]}"], expected[i][j])
    assert units == {
        "d2T_dy_dy": "K m-2", "d2T_dy_dx": "K m-1 s-1", "d2T_dx_dy": "K s-1 m-1",
        "d2T_dx_dx": "K s-2",
    }  # fmt: skip
    for wrong, words in (
        (("--boundary", "1.5"), "mixed derivatives. Take --operator derivative --order 2 along"),
        (("--var", "T", "T"), "a Hessian takes one variable; got T, T. Name one: --var."),
        (("--stagger", "left"), "--stagger does not go with --operator hessian"),
        (("--edge-order", "2"), "--edge-order goes with first derivatives"),
        (("--order", "2"), "--order goes with --operator derivative"),
    ):
        assert words in failure(
            capsys, tmp_path / "f.nc", tmp_path / "w.nc", "--operator", "hessian", *wrong
        )


@pytest.mark.parametrize("operator", ["hessian", "laplacian", "gradient"])
def test_one_axis_is_enough(tmp_path, operator):
    f = np.random.default_rng(4).normal(size=50)
    np.save(tmp_path / "f.npy", f)
    differentiate(tmp_path / "f.npy", tmp_path / "g.npy", operator=operator)
    expected = getattr(gpugrad, operator)(f)
    assert np.load(tmp_path / "g.npy").tobytes() == np.asarray(expected).tobytes()


def test_what_a_netcdf_file_lacks_is_a_hole(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    f = np.random.default_rng(3).integers(0, 99, (40, 30)).astype("f4")
    f[3:9, 4:7] = f[20, 20] = np.nan
    encoding = {"f": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -99, "chunksizes": (10, 9)}}
    xarray.Dataset({"f": (("y", "x"), f)}).to_netcdf(
        tmp_path / "f.nc", engine="h5netcdf", encoding=encoding
    )
    options = ("--skipna", "--memory", str(run.OWN_BYTES + 20_000))
    assert grad(tmp_path / "f.nc", tmp_path / "g.npy", *options) == 0
    expected = gpugrad.gradient(f, skipna=True, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)
    assert (np.isnan(expected) == np.isnan(f)).all()


def test_masks_and_far_neighbours_count_as_memory(tmp_path, field):
    np.save(tmp_path / "f.npy", field)
    most = run.OWN_BYTES + 120_000
    plain = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", most, accuracy=4)
    careful = differentiate(tmp_path / "f.npy", tmp_path / "h.npy", most, accuracy=4, skipna=True)
    assert careful.blocks > plain.blocks
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), np.load(tmp_path / "g.npy"))


@pytest.mark.parametrize("dtype", ["f4", "c16", "i2"])
def test_lengths_of_gradients_are_real(tmp_path, field, dtype):
    f = (field * 100).astype(dtype)
    np.save(tmp_path / "f.npy", f)
    differentiate(tmp_path / "f.npy", tmp_path / "g.npy", operator="gradient_norm", spacing=(2.0,))
    expected = gpugrad.gradient_norm(f, 2.0)
    result = np.load(tmp_path / "g.npy")
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    np.save(tmp_path / "t.npy", np.arange(9).astype("M8[s]"))
    with pytest.raises(FileError, match="no length"):
        differentiate(tmp_path / "t.npy", tmp_path / "h.npy", operator="gradient_norm")


def test_results_may_lie_on_faces(tmp_path, field, capsys):
    np.save(tmp_path / "f.npy", field)
    options = ("--memory", f"{SMALL}", "--stagger", "left", "none", "right")
    assert grad(tmp_path / "f.npy", tmp_path / "g.npy", *options) == 0
    expected = gpugrad.gradient(field, stagger={0: "left", 2: "right"}, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)
    assert "--stagger does not go with" in failure(
        capsys, tmp_path / "f.npy", tmp_path / "l.npy", "--operator", "laplacian",
        "--stagger", "left",
    )  # fmt: skip


def test_laplacian_and_higher_derivatives(tmp_path, field):
    np.save(tmp_path / "f.npy", field)
    x = np.cumsum(np.random.default_rng(2).uniform(1, 2, 23))
    np.save(tmp_path / "x.npy", x)
    assert grad(tmp_path / "f.npy", tmp_path / "l.npy", "--operator", "laplacian") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "l.npy"), gpugrad.laplacian(field))
    options = ("--operator", "derivative", "--order", "3", "--axis", "0", "--accuracy", "4",
               "--coords", str(tmp_path / "x.npy"))  # fmt: skip
    assert grad(tmp_path / "f.npy", tmp_path / "d.npy", *options) == 0
    expected = gpugrad.derivative(field, x, axis=0, order=3, accuracy=4)
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy"), expected)


def test_blocks_take_no_more_than_is_allowed():
    shape = blocks.choose_shape((1000, 500, 400), (1, 1, 1), (0, 1, 2), (1, 1, 1), 8, 8e6)
    assert shape == (3, 500, 400)  # 5 x 500 x 400 samples of 8 bytes are read for it
    assert blocks.choose_shape((10, 10), (1, 1), (0, 1), (1, 1), 8, 1e6) == (10, 10)
    assert blocks.choose_shape((10, 1000), (1, 1), (1, 0), (1, 1), 8, 8000) == (10, 98)
    with pytest.raises(MemoryError):
        blocks.choose_shape((1000, 1000), (100, 100), (0, 1), (1, 1), 8, 1000)


# Going on after an interruption


class Stop(Exception):
    """What a test raises in the middle of a run."""


def stop_after_three_blocks(monkeypatch, folder):
    """Begin to differentiate a file, and stop there."""

    def stop_later(self, block, results):
        if block.number == 3:
            raise Stop
        write(self, block, results)

    write = job.Job._write
    with monkeypatch.context() as patch:
        patch.setattr(job.Job, "_write", stop_later)
        with pytest.raises(Stop):
            differentiate(folder / "f.npy", folder / "g.npy")


@pytest.fixture
def interrupted(tmp_path, field, monkeypatch):
    """Stop a run after its third block."""
    np.save(tmp_path / "f.npy", field)
    stop_after_three_blocks(monkeypatch, tmp_path)
    return tmp_path


def test_an_interrupted_run_leaves_no_output_that_looks_finished(interrupted):
    assert not (interrupted / "g.npy").exists()
    with pytest.raises(FileError, match="--resume to go on"):
        differentiate(interrupted / "f.npy", interrupted / "g.npy")


def test_resume_goes_on_from_the_last_block(interrupted, field):
    done = differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    assert done.blocks_before == 3
    expected = gpugrad.gradient(field, stack=True)
    np.testing.assert_array_equal(np.load(interrupted / "g.npy"), expected)
    assert not (interrupted / "g.npy.partial").exists()


def test_resume_writes_damaged_blocks_again(interrupted, field):
    with open(interrupted / "g.npy.partial" / "data.npy", "r+b") as file:
        file.seek(200)
        file.write(b"damaged!")
    done = differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    assert done.blocks_before == 2
    expected = gpugrad.gradient(field, stack=True)
    np.testing.assert_array_equal(np.load(interrupted / "g.npy"), expected)


def test_resume_needs_the_same_work(interrupted, field):
    with pytest.raises(FileError, match="begun with --accuracy 2; got 4"):
        differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True, accuracy=4)
    np.save(interrupted / "f.npy", 2 * field)
    with pytest.raises(FileError, match="the state of the input: "):
        differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    differentiate(interrupted / "f.npy", interrupted / "g.npy", overwrite=True)
    expected = gpugrad.gradient(2 * field, stack=True)
    np.testing.assert_array_equal(np.load(interrupted / "g.npy"), expected)


def test_a_torn_line_of_the_journal_does_not_count(interrupted):
    journal = interrupted / "g.npy.partial" / "journal"
    journal.write_bytes(journal.read_bytes()[:-5])
    done = differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    assert done.blocks_before == 2


def test_resume_after_the_move_finds_all_done(interrupted, monkeypatch):
    def stop(*_):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(run.shutil, "rmtree", stop)
        with pytest.raises(Stop):
            differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    assert (interrupted / "g.npy").exists()
    done = differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True)
    assert done.blocks_before == done.blocks
    assert not (interrupted / "g.npy.partial").exists()


@pytest.mark.parametrize("name", ["g.npy", "g.zarr", "g.nc"])
def test_resume_begins_again_where_results_are_gone(tmp_path, field, monkeypatch, name):
    """It was stopped between the move and the end, and the result has been removed since."""
    pytest.importorskip({".zarr": "zarr", ".nc": "h5netcdf"}.get(Path(name).suffix, "numpy"))
    np.save(tmp_path / "f.npy", field)
    out, folder = tmp_path / name, tmp_path / f"{name}.partial"

    rmtree = shutil.rmtree

    def stop(path, *rest, **options):
        if Path(path) == folder:
            raise Stop
        rmtree(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(run.shutil, "rmtree", stop)
        with pytest.raises(Stop):
            differentiate(tmp_path / "f.npy", out, axes=("0",))
    for path in (out, *(path for path in folder.iterdir() if path.name != "journal")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = differentiate(tmp_path / "f.npy", out, axes=("0",), resume=True)
    assert done.blocks_before == 0
    assert not folder.exists()
    if name == "g.npy":
        result = np.load(out)
    else:
        open_it = pytest.importorskip("xarray").open_dataset
        with open_it(out, engine="zarr" if name == "g.zarr" else "h5netcdf") as data:
            (result,) = (variable.values for variable in data.data_vars.values())
    np.testing.assert_array_equal(result, gpugrad.gradient(field, axis=0))


def test_going_on_replaces_a_result_only_if_told(interrupted, field, capsys):
    (interrupted / "g.npy").write_bytes(b"an older one")
    arguments = interrupted / "f.npy", interrupted / "g.npy", "--resume"
    assert "Pass --overwrite --resume" in failure(capsys, *arguments, "--memory", f"{SMALL}")
    assert (interrupted / "g.npy").read_bytes() == b"an older one"
    assert grad(*arguments, "--overwrite", "--memory", f"{SMALL}") == 0
    expected = gpugrad.gradient(field, stack=True)
    np.testing.assert_array_equal(np.load(interrupted / "g.npy"), expected)


def test_two_runs_cannot_write_the_same(interrupted):
    from internals import Journal

    pytest.importorskip("fcntl", reason="there are no such locks on this system")
    first = Journal(interrupted / "g.npy.partial" / "journal", {})
    try:
        for choice in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(FileError, match="another process is writing"):
                differentiate(interrupted / "f.npy", interrupted / "g.npy", **choice)
    finally:
        first.close()


def test_a_full_disk_loses_nothing(tmp_path, field, monkeypatch, capsys):
    np.save(tmp_path / "f.npy", field)

    def write(self, window, values):
        if window[1].start >= 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_as_ever(self, window, values)

    write_as_ever = RawArray.write
    options = ("--memory", f"{SMALL}")
    with monkeypatch.context() as patch:
        patch.setattr(RawArray, "write", write)
        assert grad(tmp_path / "f.npy", tmp_path / "g.npy", *options) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert not (tmp_path / "g.npy").exists()
    assert grad(tmp_path / "f.npy", tmp_path / "g.npy", "--resume", *options) == 0
    expected = gpugrad.gradient(field, stack=True)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_a_field_that_changes_meanwhile_is_not_finished(tmp_path, field, monkeypatch):
    np.save(tmp_path / "f.npy", field)

    def write_and_change(self, block, results):
        write(self, block, results)
        if block.number == 2:
            with open(tmp_path / "f.npy", "r+b") as file:
                file.truncate(file.seek(0, 2) + 1)

    write = job.Job._write
    with monkeypatch.context() as patch:
        patch.setattr(job.Job, "_write", write_and_change)
        with pytest.raises(FileError, match="was changed while it was read"):
            differentiate(tmp_path / "f.npy", tmp_path / "g.npy")
    assert not (tmp_path / "g.npy").exists()
    with pytest.raises(FileError, match="begun with the state of the input"):
        differentiate(tmp_path / "f.npy", tmp_path / "g.npy", resume=True)


def test_coordinates_that_change_meanwhile_are_noticed(interrupted):
    for name, step in (("x.npy", 1.0), ("y.npy", 1.0), ("z.npy", 2.0)):
        size = {"x.npy": 23, "y.npy": 14, "z.npy": 11}[name]
        np.save(interrupted / name, np.arange(size) * step)
    coords = tuple(str(interrupted / name) for name in ("x.npy", "y.npy", "z.npy"))
    with pytest.raises(FileError, match="begun with --coords none; got "):
        differentiate(interrupted / "f.npy", interrupted / "g.npy", resume=True, coords=coords)


def test_a_folder_that_is_removed_meanwhile_is_told_of(tmp_path, field, monkeypatch):
    np.save(tmp_path / "f.npy", field)

    def write_and_remove(self, block, results):
        write(self, block, results)
        if block.number == 2:
            run.shutil.rmtree(tmp_path / "g.npy.partial")

    write = job.Job._write
    with monkeypatch.context() as patch:
        patch.setattr(job.Job, "_write", write_and_remove)
        with pytest.raises(FileError, match="was removed by someone"):
            differentiate(tmp_path / "f.npy", tmp_path / "g.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]


def test_resuming_what_is_finished_says_so(tmp_path, field):
    np.save(tmp_path / "f.npy", field)
    differentiate(tmp_path / "f.npy", tmp_path / "g.npy")
    before = (tmp_path / "g.npy").stat()
    with pytest.raises(FileError, match="exists, and nothing unfinished is beside it"):
        differentiate(tmp_path / "f.npy", tmp_path / "g.npy", resume=True)
    assert (tmp_path / "g.npy").stat().st_mtime_ns == before.st_mtime_ns


def test_missing_samples_of_earlier_runs_count_too(tmp_path, field, monkeypatch):
    field[::2, 3, 4] = np.nan
    np.save(tmp_path / "f.npy", field)
    whole = differentiate(tmp_path / "f.npy", tmp_path / "whole.npy")

    stop_after_three_blocks(monkeypatch, tmp_path)
    done = differentiate(tmp_path / "f.npy", tmp_path / "g.npy", resume=True)
    assert (done.missing, done.missing_results) == (whole.missing, whole.missing_results)
    assert done.missing == np.isnan(field).sum()
    assert done.missing_results == np.isnan(np.load(tmp_path / "g.npy")).sum()


def test_sums_with_many_ways_round_holes_equal_those_in_memory(tmp_path, field):
    field[3, 3, 3] = np.nan
    np.save(tmp_path / "f.npy", field)
    options = {"operator": "laplacian", "accuracy": 6, "skipna": True}
    differentiate(tmp_path / "f.npy", tmp_path / "g.npy", 2e9, **options)
    expected = gpugrad.laplacian(field, accuracy=6, skipna=True, backend="numpy")
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


# Errors


def failure(capsys, *arguments):
    """Run the command, which must fail with one line; return it."""
    assert cli_main.main(["grad", *map(str, arguments)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("gpugrad: error: ")
    assert printed.count("\n") == 1
    return printed


def test_errors_are_one_line_each(tmp_path, field, capsys):
    np.save(tmp_path / "f.npy", field)
    np.savez(tmp_path / "v.npz", u=field, w=field)
    (tmp_path / "short.npy").write_bytes((tmp_path / "f.npy").read_bytes()[:-50])
    (tmp_path / "junk.npy").write_bytes(b"this is not an array")
    (tmp_path / "junk.npz").write_bytes(b"nor is this")
    (tmp_path / "there.npy").touch()
    np.save(tmp_path / "objects.npy", np.array([None, 1]), allow_pickle=True)
    f, out = tmp_path / "f.npy", tmp_path / "out.npy"

    def fails(*arguments):
        return failure(capsys, *arguments)

    assert "does not exist" in fails(tmp_path / "none.npy", out)
    assert "truncated: " in fails(tmp_path / "short.npy", out)
    assert "not a .npy file" in fails(tmp_path / "junk.npy", out)
    assert "no .npz file" in fails(tmp_path / "junk.npz", out)
    assert "Python objects" in fails(tmp_path / "objects.npy", out)
    assert "it has: u, w" in fails(tmp_path / "v.npz", out, "--var", "q")
    assert "--var must name" in fails(tmp_path / "v.npz", out)
    assert "leave --var out" in fails(f, out, "--var", "q")
    assert "exists. Pass --overwrite" in fails(f, tmp_path / "there.npy")
    assert "must end in one of .npy, .zarr" in fails(f, tmp_path / "out.xyz")
    assert "does not exist" in fails(f, tmp_path / "no" / "out.npy")
    assert "axis0, axis1, axis2" in fails(f, out, "--axis", "depth")
    assert "one for each of 3 axes" in fails(f, out, "--spacing", "1", "2")
    assert "coordinates" in fails(f, out, "--coords", "lat", "lon", "z")
    assert "can't go together" in fails(f, out, "--coords", "x.npy", "--spacing", "1")
    assert "--memory must be at least" in fails(f, out, "--memory", "1MB")
    assert "got 23 components" in fails(f, out, "--operator", "divergence", "--axis", "0")
    assert "a GeoTIFF holds two axes" in fails(f, tmp_path / "out.tif")
    assert sorted(p.name for p in tmp_path.glob("out*")) == []


def test_a_wrong_size_is_an_error_of_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli_main.main(["grad", "a.npy", "b.npy", "--memory", "much"])
    assert stopped.value.code == 2
    assert "500MB or 2GB" in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from(tmp_path):
    with pytest.raises(FileError):
        cli_main.main(["grad", str(tmp_path / "no.npy"), "b.npy", "--debug"])


def test_a_damaged_chunk_is_named(tmp_path, field, capsys):
    zarr = pytest.importorskip("zarr")
    from zarr.codecs import Crc32cCodec

    group = zarr.open_group(tmp_path / "f.zarr", mode="w")
    array = group.create_array(
        "f", shape=field.shape, dtype="f8", chunks=(10, 7, 11), compressors=[Crc32cCodec()]
    )
    array[...] = field
    chunk = tmp_path / "f.zarr" / "f" / "c" / "1" / "0" / "0"
    content = bytearray(chunk.read_bytes())
    content[40] ^= 1
    chunk.write_bytes(content)
    printed = failure(capsys, tmp_path / "f.zarr", tmp_path / "g.npy")
    assert "chunk (1, 0, 0) of f" in printed
    assert not (tmp_path / "g.npy").exists()


def test_what_is_written_to_zarr_has_checksums(tmp_path, field):
    pytest.importorskip("zarr")
    np.save(tmp_path / "f.npy", field)
    differentiate(tmp_path / "f.npy", tmp_path / "g.zarr")
    metadata = json.loads((tmp_path / "g.zarr" / "df_daxis0" / "zarr.json").read_text())
    assert "crc32c" in [codec["name"] for codec in metadata["codecs"]]


def test_too_little_space_is_seen_before_the_start(tmp_path, field, monkeypatch):
    np.save(tmp_path / "f.npy", field)
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(FileError, match="must be free"):
        differentiate(tmp_path / "f.npy", tmp_path / "g.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]


def test_members_are_found_behind_long_names(tmp_path, field):
    with (
        zipfile.ZipFile(tmp_path / "f.npz", "w") as archive,
        archive.open("a" * 90 + ".npy", "w") as member,
    ):
        np.lib.format.write_array(member, field)
    into = np.empty((2, 3, 4))
    with ExitStack() as files:
        (member,) = open_sources(tmp_path / "f.npz", (), 1e9, files)
        member.read((slice(5, 7), slice(2, 5), slice(0, 4)), into)
    np.testing.assert_array_equal(into, field[5:7, 2:5, :4])


def test_the_formats_that_are_known_are_written(tmp_path):
    formats = {"npy", "npz", "zarr", "netcdf", "geotiff", "image"}
    assert set(source.SUFFIXES.values()) == formats
    layout = Layout(("a",), (2, 3), np.dtype("c16"), (("y", "x"),), (1, 3), {}, ({},))
    with pytest.raises(FileError, match="complex"):
        targets.open_target("netcdf", tmp_path, layout, False, ExitStack())


# What formats say of their fields


@pytest.fixture
def geotiff(tmp_path):
    """Return a function that writes bands and says where."""
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")

    def write(values, transform, crs="EPSG:32633", **profile):
        values = np.asarray(values)
        count, height, width = values.shape
        path = tmp_path / "f.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count,
            dtype=values.dtype.name, transform=rasterio.Affine(*transform), crs=crs, **profile,
        ) as image:  # fmt: skip
            image.write(values)
        return path

    return write


UP, DOWN = (30.0, 0, 5e5, 0, -20.0, 5e6), (30.0, 0, 5e5, 0, 20.0, 4e6)


@pytest.mark.parametrize("transform", [UP, DOWN])
def test_geotiff_keeps_its_place_and_the_units_of_its_map(tmp_path, geotiff, transform):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    f = np.random.default_rng(2).normal(size=(2, 12, 9)).astype("f4")
    path = geotiff(f, transform)
    with rasterio.open(path, "r+") as image:
        image.set_band_unit(2, "K")
    done = differentiate(path, tmp_path / "g.tif", names=("2",))
    dy = np.gradient(f[1], transform[4], axis=0)
    with rasterio.open(path) as given, rasterio.open(done.out) as image:
        assert (image.transform, image.crs) == (given.transform, given.crs)
        assert image.units == ("K m-1", "K m-1")
        np.testing.assert_allclose(image.read(1), dy, rtol=1e-5, atol=1e-7)


def test_scales_and_offsets_of_geotiff_are_applied(tmp_path, geotiff):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    f = np.random.default_rng(3).integers(0, 100, (1, 12, 9)).astype("i2")
    path = geotiff(f, UP)
    with rasterio.open(path, "r+") as image:
        image.scales, image.offsets = (0.5,), (-3.0,)
    differentiate(path, tmp_path / "g.npy", spacing=(1.0,))
    expected = np.gradient(f[0] * np.float32(0.5) - 3)
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_holes_of_geotiff_stay_their_own_with_skipna(tmp_path, geotiff):
    f = np.random.default_rng(4).normal(size=(1, 12, 9)).astype("f4")
    f[0, 5, 4] = -9999
    path = geotiff(f, UP, nodata=-9999)
    differentiate(path, tmp_path / "a.npy")
    differentiate(path, tmp_path / "b.npy", skipna=True)
    spread, holes = (np.isnan(np.load(tmp_path / name)).sum(axis=(1, 2)) for name in
                     ("a.npy", "b.npy"))  # fmt: skip
    assert [*spread] == [2, 2]  # the neighbours along the axis; the middle is not read
    assert [*holes] == [1, 1]


def test_a_rotated_image_needs_a_spacing(tmp_path, geotiff, capsys):
    rasterio = pytest.importorskip("rasterio", reason="rasterio reads GeoTIFF")
    f = np.random.default_rng(5).normal(size=(1, 12, 9))
    cos, sin = 0.8, 0.6
    path = geotiff(f, (30 * cos, 20 * sin, 5e5, 30 * sin, -20 * cos, 5e6))
    message = failure(capsys, path, tmp_path / "g.tif")
    assert "is rotated: its rows and columns, 20 and 30 apart" in message
    differentiate(path, tmp_path / "g.tif", spacing=(20.0, 30.0))
    with rasterio.open(path) as given, rasterio.open(tmp_path / "g.tif") as image:
        assert image.transform == given.transform
        np.testing.assert_array_equal(image.read(), np.gradient(f[0], 20.0, 30.0))


def test_variables_in_groups_are_named_with_them(tmp_path, capsys):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    f = np.random.default_rng(6).normal(size=7)
    path = tmp_path / "f.nc"
    xarray.Dataset({"T": ("x", f)}).to_netcdf(path, group="model/run", engine="h5netcdf")
    differentiate(path, tmp_path / "g.npy", names=("model/run/T",))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), np.gradient(f))
    out = tmp_path / "h.npy"
    for names in ([], ["--var", "T"]):
        assert "with its group; it has: model/run/T." in failure(capsys, path, out, *names)
    assert "the group model/no of" in failure(capsys, path, out, "--var", "model/no/T")
    assert "must be of one group" in failure(capsys, path, out, "--var", "model/run/T", "Q")


@pytest.mark.parametrize(("unit", "seconds", "units"), [(None, 1, "s-1"), ("m", 60, "min-1")])
@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_rates_between_dates_are_per_second_unless_told(tmp_path, calendar, unit, seconds, units):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    if calendar != "standard":
        pytest.importorskip("cftime", reason="other calendars are cftime's")
    f = np.array([1.0, 4.0, 9.0, 25.0])
    time = ("time", [0, 1, 2, 4], {"units": "hours since 2001-02-28", "calendar": calendar})
    data = xarray.Dataset({"T": ("time", f, {"units": "K"})}, {"time": time})
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    differentiate(tmp_path / "f.nc", tmp_path / "g.nc", time_unit=unit)
    with xarray.open_dataset(tmp_path / "g.nc") as result:
        expected = np.gradient(f, np.array([0, 1, 2, 4]) * 3600.0) * seconds
        np.testing.assert_allclose(result.dT_dtime, expected)
        assert result.dT_dtime.attrs["units"] == f"K {units}"
        with xarray.open_dataset(tmp_path / "f.nc") as given:
            assert result.indexes["time"].equals(given.indexes["time"])


def test_text_along_an_axis_is_no_spacing(tmp_path, capsys):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    data = xarray.Dataset({"T": (("place", "x"), np.ones((3, 4)))}, {"place": ["a", "b", "c"]})
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    message = failure(capsys, tmp_path / "f.nc", tmp_path / "g.npy")
    assert "spacing of axis place of T in" in message
    assert "leave it out with --axis" in message
    differentiate(tmp_path / "f.nc", tmp_path / "g.npy", axes=("x",))
    assert not np.load(tmp_path / "g.npy").any()


def test_what_has_no_differences_is_refused(tmp_path, capsys):
    out = tmp_path / "out.npy"
    for values, message in (
        (np.array(["a", "b"]), "must hold numbers; it holds <U1"),
        (np.array([True, False]), "must hold numbers; it holds bool. Convert it first"),
        (np.float64(3), "must have an axis; it holds a single number"),
    ):
        np.save(tmp_path / "f.npy", values)
        assert message in failure(capsys, tmp_path / "f.npy", out)


def test_orders_are_for_derivatives(tmp_path, field, capsys):
    np.save(tmp_path / "f.npy", field)
    arguments = tmp_path / "f.npy", tmp_path / "out.npy", "--order", "2"
    assert "--order goes with --operator derivative" in failure(capsys, *arguments)


def test_a_slope_may_be_given_at_an_end(tmp_path):
    f = np.random.default_rng(7).normal(size=9)
    np.save(tmp_path / "f.npy", f)
    arguments = ["grad", str(tmp_path / "f.npy"), str(tmp_path / "g.npy"), "--quiet"]
    assert cli_main.main([*arguments, "--boundary", "normal=0.5:edge"]) == 0
    expected = gpugrad.gradient(f, boundary=({"normal": 0.5}, "edge"))
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)


def test_damaged_metadata_of_zarr_are_named(tmp_path, field, capsys):
    zarr = pytest.importorskip("zarr")
    pytest.importorskip("xarray", reason="xarray reads Zarr")
    group = zarr.create_group(tmp_path / "f.zarr")
    group.create_array("T", data=field)
    (tmp_path / "f.zarr" / "T" / "zarr.json").write_text("{")
    assert f"{tmp_path / 'f.zarr'} is damaged: " in failure(
        capsys, tmp_path / "f.zarr", tmp_path / "g.npy"
    )


def test_errors_of_usage_are_one_line(tmp_path, capsys):
    for wrong in (["--spacing", "x"], ["--operator", "rot"], ["--memory", "much"]):
        with pytest.raises(SystemExit, match="2"):
            cli_main.main(["grad", "a.npy", "b.npy", *wrong])
        assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_member_of_an_archive_is_named(capsys, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, u=np.ones((20, 15)), v=np.ones((20, 15)))
    damaged = bytearray(path.read_bytes())
    damaged[700] ^= 255
    path.write_bytes(damaged)
    assert "u in" in failure(capsys, path, tmp_path / "out.npy", "--var", "u")
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_error_of_the_system_is_not_taken_for_damage(capsys, tmp_path, monkeypatch, save):
    save(tmp_path / "a.npz", u=np.ones((20, 15)))

    def read(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("zipfile.ZipExtFile.read", read)
    said = failure(capsys, tmp_path / "a.npz", tmp_path / "out.npy")
    assert "Input/output error" in said
    assert "damaged" not in said


def test_what_is_no_file_is_no_input_and_no_output(capsys, tmp_path):
    field = tmp_path / "f.npy"
    np.save(field, np.ones((9, 9)))
    (tmp_path / "folder.npy").mkdir()
    assert "must be a file; it is a folder" in failure(
        capsys, tmp_path / "folder.npy", tmp_path / "x.npy"
    )
    (tmp_path / "file.zarr").write_text("keep")
    why = failure(capsys, field, tmp_path / "file.zarr", "--overwrite")
    assert "is a file, but no Zarr store" in why
    assert (tmp_path / "file.zarr").read_text() == "keep"
    assert "too long" in failure(capsys, field, tmp_path / ("n" * 250 + ".npy"))
    loop = tmp_path / "loop.npy"
    loop.symlink_to(loop)
    assert "loop" in failure(capsys, field, loop)
    header = field.read_bytes()
    place = header.index(b"}")
    field.write_bytes(header[:place] + b" " + header[place + 1 :])
    assert "is not a .npy file that can be read" in failure(capsys, field, tmp_path / "x.npy")


def test_a_sum_along_axes_is_that_of_one_variable(capsys, tmp_path):
    np.savez(tmp_path / "a.npz", u=np.ones((9, 9)), v=np.ones((9, 9)))
    for operator in ("laplacian", "gradient_norm"):
        options = ("--var", "u", "v", "--operator", operator)
        assert "one variable; got u, v" in failure(
            capsys, tmp_path / "a.npz", tmp_path / "x.npy", *options
        )


def test_negative_numbers_are_no_options(tmp_path, rng):
    f = rng.normal(size=(9, 8))
    np.save(tmp_path / "f.npy", f)
    out = tmp_path / "out.npy"
    for boundary, wanted in (("-1e3", -1e3), ("-0.5:reflect", (-0.5, "reflect"))):
        options = ("--boundary", boundary, "--spacing", "-1", "-2e-3", "--overwrite")
        assert grad(tmp_path / "f.npy", out, *options) == 0
        expected = gpugrad.gradient(f, -1, -2e-3, boundary=wanted, stack=True)
        assert_same_bits(np.load(out), expected)


@pytest.mark.parametrize("version", [2, 3])
def test_arrays_without_names_of_axes_may_lie_in_groups_of_zarr(capsys, tmp_path, rng, version):
    zarr = pytest.importorskip("zarr")
    f = rng.normal(size=(20, 15))
    group = zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=version)
    group.create_group("sub/deep").create_array("T", data=f, chunks=(5, 5))
    out = tmp_path / "out.npy"
    assert grad(tmp_path / "g.zarr", out, "--var", "sub/deep/T") == 0
    assert_same_bits(np.load(out), gpugrad.gradient(f, stack=True))
    why = failure(capsys, tmp_path / "g.zarr", tmp_path / "x.npy", "--var", "sub/deep/Q")
    assert "no variable Q; it has: T" in why


def test_a_file_in_fortran_order_is_not_written_in_crumbs(tmp_path, rng, monkeypatch):
    f = np.asfortranarray(rng.normal(size=(40, 30, 12)).astype("f4"))
    np.save(tmp_path / "f.npy", f)
    pieces = []
    write = RawArray.write

    def counted(self, window, values):
        pieces.append(values.size / max(1, len([*self._find_runs(window)])))
        return write(self, window, values)

    monkeypatch.setattr(RawArray, "write", counted)
    done = differentiate(tmp_path / "f.npy", tmp_path / "out.npy")
    assert done.blocks > 10
    assert min(pieces) >= 12  # whole rows; 1 where blocks are flat in the file that is read
    assert_same_bits(np.load(tmp_path / "out.npy"), gpugrad.gradient(f, stack=True))
