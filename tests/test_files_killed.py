"""The command in a process of its own: killed at random, bounded in memory, on a terminal."""

import os
import random
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest

import gpugrad
from internals import COPIES, LIBRARY_BYTES, OWN_BYTES

LITTLE = f"{OWN_BYTES + 700_000}"
"""An allowance of memory that makes many small blocks."""


def start(*arguments, **options):
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gpugrad", "grad", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def count_blocks(journal):
    """Return how many blocks a journal has, after its first line."""
    try:
        return max(0, journal.read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(path, mode="r")
    return np.stack([group[f"df_daxis{i}"][...] for i in range(3)])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
@pytest.mark.parametrize(
    ("suffix", "times"),
    [
        (".npy", 3),
        pytest.param(".zarr", 2, marks=pytest.mark.exhaustive),
        pytest.param(".npy", 12, marks=pytest.mark.nightly),
        pytest.param(".zarr", 13, marks=pytest.mark.nightly),
    ],
)
def test_killed_runs_go_on_to_the_right_result(tmp_path, suffix, times):
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    f = np.random.default_rng(0).normal(size=(120, 64, 64)).astype("f4")
    expected = gpugrad.gradient(f, stack=True)
    little = LITTLE
    if suffix == ".zarr":
        little = f"{int(LITTLE) + LIBRARY_BYTES['zarr'] + COPIES * f.nbytes}"
    source, out = tmp_path / "f.npy", tmp_path / f"g{suffix}"
    np.save(source, f)
    dice = random.Random(times)
    kills = finished = 0
    found_before = []
    while kills < times:
        process = start(source, out, "--memory", little, "--resume")
        journal = tmp_path / f"g{suffix}.partial" / "journal"
        before = count_blocks(journal)
        while kills % 2 and process.poll() is None and count_blocks(journal) <= before:
            time.sleep(0.002)  # every other time, until it has written one
        time.sleep(dice.uniform(0, 0.1 if kills % 2 else 0.8))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert not errors
        assert process.returncode in (0, -signal.SIGKILL)
        in_time = process.returncode and (kills % 2 == 0 or count_blocks(journal))
        kills += bool(in_time)
        found_before.append(count_blocks(journal))
        if out.exists():  # whatever has its name is whole, killed just then or not
            np.testing.assert_array_equal(read(out), expected)
            finished += 1
            subprocess.run(["rm", "-r", out, out.with_name(out.name + ".partial")], check=False,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    process = start(source, out, "--memory", little, "--resume")
    assert process.wait(120) == 0, process.stderr.read()
    assert "in 40 blocks" in process.stdout.read(), "a run of few blocks is killed in few states"
    process.communicate()
    np.testing.assert_array_equal(read(out), expected)
    assert any(count > 0 for count in found_before), "no kill came after a first block"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def run_and_measure(*arguments):
    """Run the command in a process of its own; return the most memory that it held, in bytes."""
    code = (
        "import sys; from gpugrad._cli.main import main; status = main();"
        "print(*[s for s in open('/proc/self/status') if 'VmHWM' in s]); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "grad", *map(str, arguments), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout.split()[1]) * 1024


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux's /proc")
def test_memory_stays_within_what_is_given(tmp_path):
    f = np.lib.format.open_memmap(tmp_path / "f.npy", "w+", dtype="f4", shape=(160, 512, 512))
    f[...] = np.random.default_rng(0).normal(size=f.shape[1:])
    f[:] += np.arange(160, dtype="f4")[:, None, None]
    f.flush()
    expected = gpugrad.gradient(f, axis=0)
    peak = run_and_measure(tmp_path / "f.npy", tmp_path / "g.npy", "--memory", "250MB")
    assert peak < 250e6, f"{peak / 1e6:.0f} MB were taken"
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy", mmap_mode="r")[0], expected)


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from Linux's /proc")
@pytest.mark.nightly(megabytes=600)
@pytest.mark.nightly(store="zarr2")
@pytest.mark.nightly(store="packed.zarr")
@pytest.mark.nightly(store="packed.nc")
@pytest.mark.parametrize("megabytes", [400, 600])
@pytest.mark.parametrize("store", ["zarr2", "zarr3", "packed.zarr", "nc", "packed.nc"])
def test_memory_stays_within_what_is_given_where_a_block_has_several_chunks(
    tmp_path, store, megabytes
):
    """A library holds each chunk as it is in the file, decoded, and in the array it returns."""
    xarray = pytest.importorskip("xarray", reason="xarray reads these formats")
    suffix = "nc" if store.endswith("nc") else "zarr"
    pytest.importorskip({"nc": "netCDF4", "zarr": "zarr"}[suffix])
    rng = np.random.default_rng(0)
    latitude, longitude = np.linspace(-89.875, 89.875, 720), np.arange(1440) / 4 + 0.125
    sst = np.empty((84, 720, 1440), "f4")
    sst[...] = 27 * np.cos(np.radians(latitude))[:, None] + rng.normal(size=sst.shape[1:])
    sst += rng.normal(size=(84, 1, 1)).astype("f4")
    encoding = {"chunksizes" if suffix == "nc" else "chunks": (1, 720, 1440)}
    encoding |= {"zlib": True, "complevel": 1} if suffix == "nc" else {}
    if "packed" in store:
        encoding |= {"dtype": "i2", "scale_factor": 0.002, "add_offset": 10.0, "_FillValue": -32768}
    path, out = tmp_path / f"sst.{suffix}", tmp_path / "slope.npy"
    data = xarray.Dataset(
        {"sst": (("time", "lat", "lon"), sst, {"units": "degC"})},
        {"lat": ("lat", latitude, {"units": "degrees_north"}),
         "lon": ("lon", longitude, {"units": "degrees_east"})},
    )  # fmt: skip
    if suffix == "nc":
        data.to_netcdf(path, engine="netcdf4", encoding={"sst": encoding})
    else:
        version = 2 if store == "zarr2" else 3
        with warnings.catch_warnings(action="ignore"):  # of what versions of Zarr do not share
            data.to_zarr(path, zarr_format=version, encoding={"sst": encoding})
    options = ("--operator", "gradient_norm", "--axis", "lat", "lon", "--no-sphere")
    peak = run_and_measure(path, out, *options, "--memory", f"{megabytes}MB")
    assert peak < megabytes * 1e6, f"{peak / 1e6:.0f} MB were taken"
    with xarray.open_dataset(path) as read:
        f = read["sst"].values[41]
    expected = gpugrad.gradient_norm(f, latitude, longitude)
    np.testing.assert_array_equal(np.load(out, mmap_mode="r")[41], expected)


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's limits for granted")
def test_a_limit_of_the_system_is_kept(tmp_path):
    f = np.random.default_rng(0).normal(size=(64, 256, 256)).astype("f4")
    np.save(tmp_path / "f.npy", f)
    limit = 2 << 20  # kilobytes of addresses: the libraries alone take most of it
    command = [sys.executable, "-m", "gpugrad", "grad", "f.npy", "g.npy", "--memory", "250MB"]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'ulimit -v {limit}; exec "$@"', "sh", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    assert "3 results of 64 x 256 x 256 float32, 50.3 MB" in printed


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_command_says_how_to_go_on(tmp_path, name):
    f = np.zeros((400, 128, 128), dtype="f4")
    np.save(tmp_path / "f.npy", f)
    process = start(tmp_path / "f.npy", tmp_path / "g.npy", "--memory", LITTLE)
    journal = tmp_path / "g.npy.partial" / "journal"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > 2000):
        time.sleep(0.005)
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    if process.returncode:  # it may have come to its end just before
        assert errors.startswith("gpugrad: error: interrupted")
        assert "--resume goes on" in errors
        assert not (tmp_path / "g.npy").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="takes a limit of POSIX for granted")
def test_files_that_may_not_grow_are_told_of(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((64, 64, 64), dtype="f4"))
    command = [sys.executable, "-m", "gpugrad", "grad", "f.npy", "g.npy"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("gpugrad: error: a file grew larger than is allowed here")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]


def test_chunks_that_fail_beside_the_first_say_nothing(tmp_path):
    """Zarr leaves tasks that have failed to asyncio, which prints a traceback of each."""
    code = (
        "import logging, sys; from gpugrad._cli.main import main; status = main(sys.argv[1:]);"
        "logging.getLogger('asyncio').error('Future exception was never retrieved');"
        "sys.exit(status)"
    )
    np.save(tmp_path / "f.npy", np.arange(9.0))
    done = subprocess.run(
        [sys.executable, "-c", code, "grad", "f.npy", "g.npy"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="takes a limit of POSIX for granted")
@pytest.mark.parametrize("suffix", [".nc", ".tif"])
def test_a_result_that_can_not_be_put_together_is_told_of(tmp_path, suffix):
    """Each of the results has room, and the file of all of them has not."""
    pytest.importorskip({".nc": "h5netcdf", ".tif": "rasterio"}[suffix])
    f = np.random.default_rng(0).normal(size=(600, 700)).astype("f4")
    np.save(tmp_path / "f.npy", f)
    command = [sys.executable, "-m", "gpugrad", "grad", "f.npy", f"g{suffix}"]
    done = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -f {f.nbytes * 3 // 2 // 512}; exec "$@"', "sh", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("gpugrad: error: ")
    assert done.stderr.count("\n") == 1
    assert "--resume goes on" in done.stderr
    assert not (tmp_path / f"g{suffix}").exists()
    done = subprocess.run([*command, "--resume"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    if suffix == ".nc":
        with pytest.importorskip("h5py").File(tmp_path / "g.nc") as data:
            results = [data["df_daxis0"][...], data["df_daxis1"][...]]
    else:
        rasterio = pytest.importorskip("rasterio")
        with warnings.catch_warnings(action="ignore"), rasterio.open(tmp_path / "g.tif") as image:
            results = [image.read(1), image.read(2)]
    assert all(map(np.array_equal, results, gpugrad.gradient(f)))


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on this system")
def test_of_two_processes_one_writes_and_one_is_told(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((200, 128, 128), dtype="f4"))
    both = [start(tmp_path / "f.npy", tmp_path / "g.npy", "--memory", LITTLE) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    status = [process.returncode for process in both]
    assert 0 in status
    for code, printed in zip(status, errors, strict=True):
        assert code == 0 or "another process" in printed or "exists" in printed
    result = np.load(tmp_path / "g.npy")
    assert result.shape == (3, 200, 128, 128)
    assert not result.any()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.npy", "g.npy"]


@pytest.mark.exhaustive
def test_a_terminal_shows_a_bar(tmp_path):
    pty = pytest.importorskip("pty", reason="there are no such terminals on this system")
    termios = pytest.importorskip("termios")
    pytest.importorskip("tqdm")
    np.save(tmp_path / "f.npy", np.zeros((300, 128, 128), dtype="f4"))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [sys.executable, "-m", "gpugrad", "grad", "f.npy", "g.npy", "--memory", LITTLE],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.wait(60) == 0
    assert b"written" in shown
    assert b"B/s" in shown
