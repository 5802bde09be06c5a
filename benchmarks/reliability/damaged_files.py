"""Files that are damaged, and what the command says of them.

A file of each format is damaged in one place, and given to ``gpugrad grad``. Three answers are
right: one line that says what is wrong; the derivatives of the whole file, where the damage hit
nothing that is read; and the derivatives of what another reader finds in the damaged file, as
nobody can see that a number without a checksum was another one. Anything else is wrong: other
numbers, more than one line, a traceback, a process that dies or hangs.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.reliability.trial import Outcome, has_traceback
from gpugrad._files.source import SUFFIXES

SHAPE = (14, 12, 10)
CHUNKS = (5, 4, 10)
SECONDS = 60
MOST_BYTES = 12 << 30
"""What a damaged header may make a process ask for, before the system says no."""

Values = np.ndarray[Any, Any]
Reading = tuple[Values, dict[int, Values]]
"""A field, and the coordinates of the axes that have some."""


class Format(NamedTuple):
    """A format: how a whole file is written, and how another reader than ours reads it."""

    suffix: str
    write: Callable[[Path, Values], None]
    read: Callable[[Path], Reading]
    needs: tuple[str, ...] = ()
    variable: str = ""
    options: tuple[str, ...] = ()
    exact: bool = True


def make_field() -> Values:
    """Return a field whose chunks all differ."""
    return np.random.default_rng(5).normal(size=SHAPE).astype("f4")


def _read_npz(path: Path) -> Reading:
    with np.load(path) as archive:
        return archive["f"], {}


def _as_dataset(f: Values) -> Any:
    import xarray

    axes = {name: np.cumsum(np.arange(1.0, n + 1)) for name, n in zip("zyx", f.shape, strict=True)}
    return xarray.Dataset({"f": (("z", "y", "x"), f)}, axes)


def _write_netcdf4(**encoding: Any) -> Callable[[Path, Values], None]:
    def write(path: Path, f: Values) -> None:
        dtype = encoding.get("dtype")
        data = _as_dataset(f if dtype is None else np.round(f, 1))
        data.to_netcdf(path, engine="h5netcdf", encoding={"f": {"_FillValue": None} | encoding})

    return write


def _read_netcdf(path: Path) -> Reading:
    import netCDF4

    with netCDF4.Dataset(path) as data:
        variable = data["f"]
        f = np.ma.filled(variable[...], np.nan)
        coordinates = {}
        for axis, name in enumerate(variable.dimensions):
            if name in data.variables and data[name].dimensions == (name,):
                coordinates[axis] = np.ma.filled(data[name][...], np.nan)
        return f, coordinates


def _write_netcdf3(path: Path, f: Values) -> None:
    _as_dataset(f).to_netcdf(path, engine="scipy", format="NETCDF3_CLASSIC")


def _write_zarr(**options: Any) -> Callable[[Path, Values], None]:
    def write(path: Path, f: Values) -> None:
        import zarr

        array = zarr.create_array(path, shape=f.shape, dtype=f.dtype, chunks=CHUNKS, **options)
        array[...] = f

    return write


def _write_checked_zarr(path: Path, f: Values) -> None:
    import zarr.codecs

    _write_zarr(compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()])(path, f)


def _read_zarr(path: Path) -> Reading:
    import zarr

    return np.asarray(zarr.open_array(path, mode="r")[...]), {}


def _write_geotiff(**options: Any) -> Callable[[Path, Values], None]:
    def write(path: Path, f: Values) -> None:
        import rasterio

        band = f.reshape(f.shape[0] * 4, -1)
        place = rasterio.transform.from_origin(1000.0, 2000.0, 2.0, 3.0)
        with rasterio.open(
            path, "w", driver="GTiff", height=band.shape[0], width=band.shape[1], count=1,
            dtype=band.dtype, transform=place, crs="EPSG:32632", **options,
        ) as image:  # fmt: skip
            image.write(band, 1)

    return write


def _write_image(path: Path, f: Values) -> None:
    from PIL import Image

    band = f.reshape(f.shape[0] * 4, -1)
    Image.fromarray(((band - band.min()) * 30).astype("u1")).save(path)


def _read_geotiff(path: Path) -> Reading:
    import rasterio

    with rasterio.open(path) as image:
        band, t = image.read(1, masked=True), image.transform
        band = np.ma.filled(band.astype(np.result_type(band.dtype, np.float32)), np.nan)
        if t.is_identity:
            return band, {}
        rows, columns = (np.arange(n) + 0.5 for n in band.shape)
        return band, {0: t.f + t.e * rows, 1: t.c + t.a * columns}


def _read_image(path: Path) -> Reading:
    import rasterio

    with rasterio.open(path) as image:
        return image.read(1), {}


_PIXELS = ("--spacing", "1")
_CHECKED = {"chunksizes": CHUNKS, "zlib": True, "fletcher32": True}
_PACKED = {"dtype": "i2", "scale_factor": 0.1, "add_offset": 1.0, "_FillValue": -999}
_NETCDF = ("xarray", "h5netcdf", "netCDF4")

FORMATS = {
    "npy": Format(".npy", np.save, lambda path: (np.load(path), {})),
    "npy, Fortran order": Format(
        ".npy",
        lambda path, f: np.save(path, np.asfortranarray(f)),
        lambda path: (np.load(path), {}),
    ),
    "npz": Format(".npz", lambda path, f: np.savez(path, f=f), _read_npz, variable="f"),
    "npz, compressed": Format(
        ".npz", lambda path, f: np.savez_compressed(path, f=f), _read_npz, variable="f"
    ),
    "NetCDF4": Format(".nc", _write_netcdf4(), _read_netcdf, _NETCDF, "f"),
    "NetCDF4, checksums": Format(".nc", _write_netcdf4(**_CHECKED), _read_netcdf, _NETCDF, "f"),
    "NetCDF4, packed": Format(
        ".nc", _write_netcdf4(**_PACKED), _read_netcdf, _NETCDF, "f", exact=False
    ),
    "NetCDF3": Format(".nc", _write_netcdf3, _read_netcdf, (*_NETCDF, "scipy"), "f"),
    "Zarr 3": Format(".zarr", _write_zarr(), _read_zarr, ("xarray", "zarr")),
    "Zarr 3, plain": Format(".zarr", _write_zarr(compressors=None), _read_zarr, ("xarray", "zarr")),
    "Zarr 3, checksums": Format(".zarr", _write_checked_zarr, _read_zarr, ("xarray", "zarr")),
    "Zarr 2": Format(".zarr", _write_zarr(zarr_format=2), _read_zarr, ("xarray", "zarr")),
    "GeoTIFF": Format(".tif", _write_geotiff(), _read_geotiff, ("rasterio",)),
    "GeoTIFF, compressed": Format(
        ".tif",
        _write_geotiff(compress="deflate", tiled=True, blockxsize=16, blockysize=16),
        _read_geotiff,
        ("rasterio",),
    ),
    "PNG": Format(".png", _write_image, _read_image, ("rasterio", "PIL"), options=_PIXELS),
    "JPEG": Format(".jpg", _write_image, _read_image, ("rasterio", "PIL"), options=_PIXELS),
}  # fmt: skip


def _flip(dice: random.Random, data: bytearray) -> None:
    data[dice.randrange(len(data))] ^= dice.randrange(1, 256)


def _flip_in_header(dice: random.Random, data: bytearray) -> None:
    data[dice.randrange(min(len(data), 128))] ^= dice.randrange(1, 256)


def _flip_many(dice: random.Random, data: bytearray) -> None:
    for _ in range(20):
        _flip(dice, data)


def _cut(dice: random.Random, data: bytearray) -> None:
    del data[dice.randrange(len(data)) :]


def _empty(dice: random.Random, data: bytearray) -> None:
    data.clear()


def _zero(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data))
    data[start : start + 512] = bytes(len(data[start : start + 512]))


def _scramble_header(dice: random.Random, data: bytearray) -> None:
    size = min(len(data), 64)
    data[:size] = dice.randbytes(size)


def _lose(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.randrange(1, 300)]


def _insert(dice: random.Random, data: bytearray) -> None:
    start = dice.randrange(len(data))
    data[start:start] = dice.randbytes(dice.randrange(1, 100))


DAMAGES = {
    "a byte": _flip,
    "a byte near the start": _flip_in_header,
    "20 bytes": _flip_many,
    "cut short": _cut,
    "emptied": _empty,
    "512 zeros": _zero,
    "header destroyed": _scramble_header,
    "a piece lost": _lose,
    "bytes between": _insert,
}


def damage(path: Path, dice: random.Random) -> str:
    """Damage a file, or a file of a folder; say how."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    file = dice.choice(files)
    if path.is_dir() and dice.random() < 0.15:
        file.unlink()
        return f"{file.relative_to(path)} removed"
    how = dice.choice([*DAMAGES])
    data = bytearray(file.read_bytes())
    DAMAGES[how](dice, data)
    file.write_bytes(data)
    return how if file is path else f"{how} of {file.relative_to(path)}"


def differentiate(reading: Reading) -> Values:
    """Return what the command should write, computed by NumPy."""
    f, coordinates = reading
    with np.errstate(all="ignore"):
        slopes = np.gradient(f, *[coordinates.get(axis, 1.0) for axis in range(f.ndim)])
    return np.stack(slopes)


def _limit_memory() -> None:
    """Limit what is asked for beyond what libraries have reserved."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def in_child(work: Callable[[], Any], folder: Path) -> tuple[int, Any, str]:
    """Return a forked child's exit status, what its work returned, and what it printed as errors.

    Children share what this process has imported. A file that kills one, kills no other.
    """
    answer, errors = folder / "answer.npy", folder / "errors"
    answer.unlink(missing_ok=True)
    with warnings.catch_warnings(action="ignore"):  # of libraries with threads, JAX for one
        child = os.fork()
    if child == 0:
        status = 70
        try:
            signal.alarm(SECONDS)
            _limit_memory()
            told = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(told, 2)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            warnings.simplefilter("ignore")
            result = work()
            if isinstance(result, int):
                status = result
            else:
                np.save(answer, result)
                status = 0
        except SystemExit as error:
            status = int(error.code or 0)
        except BaseException as error:  # noqa: BLE001 - the parent sees the status
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, state = os.waitpid(child, 0)
    result = np.load(answer) if answer.exists() else None
    return os.waitstatus_to_exitcode(state), result, errors.read_text(errors="replace")


def judge(name: str, form: Format, path: Path, folder: Path, whole: Values) -> tuple[str, str]:
    """Give a damaged file to the command; return the kind of its answer, and what it is."""
    from gpugrad._cli.main import main

    out = folder / "out.npy"
    words = ["grad", str(path), str(out), "--quiet", *form.options]
    if form.variable:
        words += ["--var", form.variable]

    status, _, errors = in_child(lambda: main(words), folder)
    shutil.rmtree(f"{out}.partial", ignore_errors=True)
    told = errors.strip().splitlines()
    if status < 0 or has_traceback(errors) or status not in (0, 1):
        return "crashed", f"status {status}: {errors[-1500:]}"
    if status == 1:
        is_clear = len(told) == 1 and told[0].startswith("gpugrad: error: ")
        return ("refused" if is_clear else "wrong"), errors[-1500:]
    if not all(line.startswith("gpugrad: note: ") for line in told):
        return "wrong", f"besides a result: {errors[-1500:]}"
    result = np.load(out)
    out.unlink()
    if _are_alike(result, whole, form.exact):
        return "harmless", ""
    _, expected, reason = in_child(lambda: differentiate(form.read(path)), folder)
    if expected is not None and _are_alike(result, expected, form.exact):
        return "as the file says", ""
    return "wrong", f"numbers that are not in the file ({reason.strip()[-300:] or 'they differ'})"


def _are_alike(a: Values, b: Values, exact: bool) -> bool:
    if a.shape != b.shape:
        return False
    if exact:
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
    with np.errstate(all="ignore"):
        scale = np.nanmax(np.abs(b), initial=0.0)
    return bool(np.allclose(a, b, rtol=1e-5, atol=1e-5 * scale, equal_nan=True))


def list_formats() -> dict[str, Format]:
    """Return the formats that the command reads, and whose libraries are installed."""
    return {
        name: form
        for name, form in FORMATS.items()
        if all(map(find_spec, form.needs)) and form.suffix in SUFFIXES
    }


def run(count: int, seed: int) -> Outcome:
    """Damage so many files, each format in turn."""
    import importlib

    outcome, formats = Outcome(), list_formats()
    for form in formats.values():
        for library in form.needs:  # once, for all children
            importlib.import_module(library)
    importlib.import_module("gpugrad._cli.main")
    if any("xarray" in form.needs for form in formats.values()):
        importlib.import_module("xarray.backends.plugins").list_engines()
    with tempfile.TemporaryDirectory() as place:
        folder, f = Path(place), make_field()
        wholes = {}
        for number, (name, form) in enumerate(formats.items()):
            path = folder / f"whole{number}{form.suffix}"
            in_child(lambda form=form, path=path: form.write(path, f) or 0, folder)
            _, wholes[name], reason = in_child(
                lambda form=form, path=path: differentiate(form.read(path)), folder
            )
            answer, why = judge(name, form, path, folder, wholes[name])
            if wholes[name] is None or answer != "harmless":
                outcome.fail(f"{name}, a whole file: {answer}: {why}{reason}")
        for number in range(count):
            name = [*formats][number % len(formats)]
            form = formats[name]
            dice = random.Random(f"{seed} {number}")
            path = folder / f"damaged{form.suffix}"
            whole = folder / f"whole{[*formats].index(name)}{form.suffix}"
            if whole.is_dir():
                shutil.rmtree(path, ignore_errors=True)
                shutil.copytree(whole, path)
            else:
                shutil.copyfile(whole, path)
            how = damage(path, dice)
            answer, why = judge(name, form, path, folder, wholes[name])
            outcome.tried += 1
            if answer in ("wrong", "crashed"):
                outcome.fail(f"file {number} of seed {seed}, {name}, {how}: {why}",
                             crashed=answer == "crashed")  # fmt: skip
            else:
                outcome.notes[answer] += 1
    return outcome
