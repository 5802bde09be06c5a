"""Results in files: written block by block beside where they are to be, moved there when whole."""

from __future__ import annotations

import math
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from gpugrad._files.errors import EXTRA, FileError, need
from gpugrad._files.raw import RawArray, Window, create_npy, open_npy
from gpugrad._files.sources import Values

PIECE_BYTES = 1 << 26
"""How much is copied at a time from one file to another."""


@dataclass(frozen=True)
class Layout:
    """What is to be written: results of one shape and dtype, with names for them and their axes."""

    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[str, ...]
    chunks: tuple[int, ...]
    coordinates: Mapping[str, Values] = field(default_factory=dict)
    attributes: tuple[Mapping[str, Any], ...] = ()
    coordinate_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return len(self.names) * math.prod(self.shape) * self.dtype.itemsize


class Target(Protocol):
    """Where results are written while they are not yet whole."""

    def write(self, number: int, window: Window, values: Values) -> None:
        """Write a window of a result."""

    def read(self, number: int, window: Window, into: Values) -> None:
        """Read a window of a result back."""

    def finish(self) -> Path:
        """Make sure that all is on the disk; return the file or folder to be moved."""


class _Npy:
    """One array, with the results on its first axis if there are several."""

    suffix = ".npy"

    def __init__(self, folder: Path, layout: Layout, go_on: bool, files: ExitStack) -> None:
        self._path = folder / "data.npy"
        stacked = len(layout.names) > 1
        shape = (len(layout.names), *layout.shape) if stacked else layout.shape
        self._array = _open_raw(self._path, shape, layout.dtype, go_on, files)
        self._stacked = stacked

    def _whole(self, number: int, window: Window) -> Window:
        return (slice(number, number + 1), *window) if self._stacked else window

    def write(self, number: int, window: Window, values: Values) -> None:
        self._array.write(self._whole(number, window), values[None] if self._stacked else values)

    def read(self, number: int, window: Window, into: Values) -> None:
        self._array.read(self._whole(number, window), into[None] if self._stacked else into)

    def finish(self) -> Path:
        _close(self._array.file)
        return self._path


class _Several:
    """A `.npy` file for each result, to be put together in another format at the end."""

    def __init__(
        self, folder: Path, layout: Layout, go_on: bool, files: ExitStack, join: Callable[..., None]
    ) -> None:
        self._folder, self._layout, self._join = folder, layout, join
        self._paths = [folder / f"{i}.npy" for i in range(len(layout.names))]
        self._arrays = [
            _open_raw(path, layout.shape, layout.dtype, go_on, files) for path in self._paths
        ]

    def write(self, number: int, window: Window, values: Values) -> None:
        self._arrays[number].write(window, values)

    def read(self, number: int, window: Window, into: Values) -> None:
        self._arrays[number].read(window, into)

    def finish(self) -> Path:
        joined = self._folder / "joined"
        joined.unlink(missing_ok=True)
        self._join(joined, self._layout, self._paths, self._arrays)
        for array in self._arrays:
            array.file.close()
        with open(joined, "rb") as file:
            os.fsync(file.fileno())
        return joined


class _Zarr:
    """A Zarr group that xarray can open, each chunk with a checksum."""

    def __init__(self, folder: Path, layout: Layout, go_on: bool) -> None:
        try:
            import zarr
            from zarr.codecs import Crc32cCodec
        except ImportError as error:
            raise need(EXTRA, "zarr 3", "writing Zarr") from error
        self._path = folder / "data.zarr"
        if go_on:
            group = zarr.open_group(self._path, mode="r+")
            self._arrays: list[Any] = [group[name] for name in layout.names]
            return
        group = zarr.open_group(self._path, mode="w", zarr_format=3)
        for name, values in layout.coordinates.items():
            values, attributes = _encode(values, layout.coordinate_attributes.get(name, {}))
            one = group.create_array(
                name, shape=values.shape, dtype=values.dtype, dimension_names=(name,),
                attributes=attributes, fill_value=0,
            )  # fmt: skip
            one[...] = values
        self._arrays = [
            group.create_array(
                name, shape=layout.shape, dtype=layout.dtype, chunks=layout.chunks,
                dimension_names=layout.dims, attributes=_plain(attributes),
                compressors=[Crc32cCodec()], fill_value=0,
            )
            for name, attributes in zip(layout.names, layout.attributes, strict=True)
        ]  # fmt: skip

    def write(self, number: int, window: Window, values: Values) -> None:
        self._arrays[number][window] = values

    def read(self, number: int, window: Window, into: Values) -> None:
        into[...] = self._arrays[number][window]

    def finish(self) -> Path:
        import zarr

        with warnings.catch_warnings():  # zarr: not all that read this format know such metadata
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(self._path)
        for path in self._path.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        return self._path


def open_target(kind: str, folder: Path, layout: Layout, go_on: bool, files: ExitStack) -> Target:
    """Create what is to be written in a folder, or open what is there already.

    Raises
    ------
    FileError
        If the format can't hold such results, or its library is missing.
    """
    if kind == "npy":
        return _Npy(folder, layout, go_on, files)
    if kind == "zarr":
        return _Zarr(folder, layout, go_on)
    if kind == "geotiff" and len(layout.shape) != 2:
        raise FileError(
            f"a GeoTIFF holds two axes; the result has {len(layout.shape)}. Write Zarr or NetCDF."
        )
    if kind in ("netcdf", "geotiff") and layout.dtype.kind == "c":
        raise FileError(f"complex numbers can't be written as {kind}. Write .npy or Zarr.")
    join = {"npz": _join_npz, "netcdf": _join_netcdf, "geotiff": _join_geotiff}[kind]
    check = {"netcdf": _import_h5netcdf, "geotiff": _import_rasterio}.get(kind)
    if check:
        check()
    return _Several(folder, layout, go_on, files, join)


def bytes_beside(kind: str, layout: Layout) -> int:
    """Return how much disk the results take at most until they are whole."""
    return layout.nbytes * (1 if kind in ("npy", "zarr") else 2)


def move(made: Path, out: Path) -> None:
    """Put what was made in its place; where a file is there, in one step."""
    if out.is_dir() and not out.is_symlink():
        old = made.parent / "replaced"
        os.replace(out, old)
        os.replace(made, out)
        shutil.rmtree(old)
    else:
        os.replace(made, out)


def _open_raw(
    path: Path, shape: Sequence[int], dtype: np.dtype[Any], go_on: bool, files: ExitStack
) -> RawArray:
    file = files.enter_context(path.open("r+b" if go_on else "w+b", buffering=0))
    return open_npy(path, file)[0] if go_on else create_npy(file, shape, dtype)


def _close(file: BinaryIO) -> None:
    os.fsync(file.fileno())
    file.close()


def _join_npz(joined: Path, layout: Layout, paths: list[Path], arrays: list[RawArray]) -> None:
    with zipfile.ZipFile(joined, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, path in zip(layout.names, paths, strict=True):
            archive.write(path, f"{name}.npy")
        for name, values in layout.coordinates.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)


def _import_h5netcdf() -> Any:
    try:
        import h5netcdf
    except ImportError as error:
        raise need(EXTRA, "h5netcdf", "writing NetCDF") from error
    return h5netcdf


def _join_netcdf(joined: Path, layout: Layout, paths: list[Path], arrays: list[RawArray]) -> None:
    h5netcdf = _import_h5netcdf()
    with h5netcdf.File(joined, "w") as data:
        data.dimensions = dict(zip(layout.dims, layout.shape, strict=True))
        for name, values in layout.coordinates.items():
            values, own = _encode(values, layout.coordinate_attributes.get(name, {}))
            variable = data.create_variable(name, (name,), values.dtype, data=values)
            variable.attrs.update(own)
        for name, array, attributes in zip(layout.names, arrays, layout.attributes, strict=True):
            variable = data.create_variable(
                name, layout.dims, layout.dtype, chunks=layout.chunks, fletcher32=True
            )
            variable.attrs.update(_plain(attributes))
            for window, values in _pieces(layout, array):
                variable[window] = values


def _import_rasterio() -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise need("geotiff", "rasterio", "writing GeoTIFF") from error
    return rasterio


def _join_geotiff(joined: Path, layout: Layout, paths: list[Path], arrays: list[RawArray]) -> None:
    rasterio = _import_rasterio()
    height, width = layout.shape
    profile: dict[str, Any] = {}
    if layout.place:
        profile = {**layout.place, "transform": rasterio.Affine(*layout.place["transform"])}
    elif {"y", "x"} <= set(layout.coordinates):
        y, x = layout.coordinates["y"], layout.coordinates["x"]
        dx, dy = (float(c[1] - c[0]) if c.size > 1 else 1.0 for c in (x, y))
        origin = float(x[0]) - dx / 2, float(y[0]) - dy / 2
        profile["transform"] = rasterio.Affine(dx, 0, origin[0], 0, dy, origin[1])
    with rasterio.open(
        joined, "w", driver="GTiff", height=height, width=width, count=len(layout.names),
        dtype=layout.dtype.name, nodata=np.nan, BIGTIFF="IF_SAFER", **profile,
    ) as image:  # fmt: skip
        for band, (name, array) in enumerate(zip(layout.names, arrays, strict=True), start=1):
            image.set_band_description(band, name)
            if layout.attributes and "units" in layout.attributes[band - 1]:
                image.set_band_unit(band, layout.attributes[band - 1]["units"])
            for window, values in _pieces(layout, array):
                image.write(values, band, window=rasterio.windows.Window.from_slices(*window))


def _pieces(layout: Layout, array: RawArray) -> Iterator[tuple[Window, Values]]:
    """Yield an array in pieces of whole chunks, not much larger than `PIECE_BYTES` if they can."""
    steps = [*layout.chunks]
    size = math.prod(steps) * layout.dtype.itemsize
    for axis in reversed(range(len(steps))):
        times = max(1, min(PIECE_BYTES // max(size, 1), -(-layout.shape[axis] // steps[axis])))
        steps[axis] *= times
        size *= times
    starts = (range(0, n, step) for n, step in zip(layout.shape, steps, strict=True))
    for corner in product(*starts):
        parts = zip(corner, steps, layout.shape, strict=True)
        window = tuple(slice(a, min(a + step, n)) for a, step, n in parts)
        values = np.empty([part.stop - part.start for part in window], layout.dtype)
        array.read(window, values)
        yield window, values


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as any format can hold them."""
    known = (str, int, float)
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in attributes.items()
        if isinstance(value, (*known, np.generic))
    }


def _encode(values: Values, attributes: Mapping[str, Any]) -> tuple[Values, dict[str, Any]]:
    """Return coordinates as numbers: dates as seconds, in the words of the CF conventions."""
    attributes = _plain(attributes)
    if values.dtype.kind == "M":
        since = values.astype("datetime64[ns]")
        start = since[0].astype("datetime64[s]")
        seconds = (since - start) / np.timedelta64(1, "s")
        return seconds, attributes | {"units": f"seconds since {start}", "calendar": "standard"}
    if values.dtype.kind == "m":
        if " since " not in str(attributes.get("units")):
            attributes |= {"units": "seconds"}
        return values / np.timedelta64(1, "s"), attributes
    return values, attributes
