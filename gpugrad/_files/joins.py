"""Results put together at the end, in formats that can't be written in any order."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.datasets import GDAL_BYTES
from gpugrad._files.errors import EXTRA, import_library
from gpugrad._files.layout import (
    Layout,
    describe_file,
    encode_coordinate,
    find_map,
    missing_value,
    with_coordinates,
    written_dtype,
)
from gpugrad._files.raw import PIECE_BYTES, RawArray, Window, reserve_space, shape_of
from gpugrad._files.source import Values
from gpugrad._version import find_version

NOTED = ("earth_radius", "gpugrad_notes")
"""Attributes that bands of a GeoTIFF have too, as tags."""

import_h5netcdf = partial(import_library, "h5netcdf", EXTRA, "writing NetCDF")
import_rasterio = partial(import_library, "rasterio", "geotiff", "writing GeoTIFF")


class DeferredErrors(io.FileIO):
    """A file that keeps the first error of writing, and drops what comes after it.

    HDF5 writes when it closes a file, and where that fails, on a full disk, the process may die. So
    HDF5 is told of nothing, and who has closed the file asks `raise_first`.
    """

    first: OSError | None = None

    def write(self, values: Any, /) -> int:
        """Write all, or keep the error."""
        left = memoryview(values).cast("B")
        size = len(left)
        try:
            while left and self.first is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.first = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Change the size, or keep the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.first = self.first or error
            return size or 0

    def raise_first(self) -> None:
        """Raise what was kept."""
        if self.first is not None:
            raise self.first


def join_netcdf(joined: Path, layout: Layout, arrays: list[RawArray]) -> None:
    """Put arrays into a NetCDF file, each chunk with a checksum."""
    with DeferredErrors(joined, "w+") as file:
        try:
            _join_netcdf(file, layout, arrays)
        finally:
            file.raise_first()


def _join_netcdf(file: DeferredErrors, layout: Layout, arrays: list[RawArray]) -> None:
    h5netcdf = import_h5netcdf()
    dtype = written_dtype("netcdf", layout.dtype)
    with h5netcdf.File(file, "w") as data:
        data.attrs.update(describe_file(layout))
        data.dimensions = {
            dim: n for dims in layout.dims for dim, n in zip(dims, layout.shape, strict=True)
        }
        for name, coordinate in layout.coordinates.items():
            values, attributes = encode_coordinate(coordinate)
            kind = values.dtype
            if kind.kind == "U":
                kind, values = import_module("h5py").string_dtype(), values.astype(object)
            variable = data.create_variable(name, coordinate.dims, kind, data=values)
            variable.attrs.update(attributes)
        results = zip(layout.names, layout.dims, layout.attributes, arrays, strict=True)
        for name, dims, result_attributes, array in results:
            variable = data.create_variable(
                name, dims, dtype, chunks=layout.chunks, fletcher32=True,
                fillvalue=missing_value(dtype),
            )  # fmt: skip
            variable.attrs.update(with_coordinates(layout, dims, result_attributes))
            for window, values in read_pieces(layout, array):
                variable[window] = values
                file.raise_first()


def join_geotiff(joined: Path, layout: Layout, arrays: list[RawArray]) -> None:
    """Put arrays into the bands of a GeoTIFF."""
    rasterio = import_rasterio()
    height, width = layout.shape
    dtype = written_dtype("geotiff", layout.dtype)
    # GDAL does not tell of what it could not write: so it is tried before, and compared afterwards.
    with joined.open("wb") as file:
        reserve_space(file, len(arrays) * height * width * dtype.itemsize)
    if profile := find_map(layout):
        profile["transform"] = rasterio.Affine(*profile["transform"])
    # Results of an image without a place have none either: that is no news.
    unplaced = rasterio.errors.NotGeoreferencedWarning
    with (
        warnings.catch_warnings(action="ignore", category=unplaced),
        rasterio.Env(GDAL_CACHEMAX=GDAL_BYTES),
        rasterio.open(
            joined, "w", driver="GTiff", height=height, width=width, count=len(layout.names),
            dtype=dtype.name, nodata=np.nan, BIGTIFF="IF_SAFER", **profile,
        ) as image,
    ):  # fmt: skip
        if layout.history:
            image.update_tags(TIFFTAG_SOFTWARE=f"gpugrad {find_version()}", history=layout.history)
        for band, (name, array) in enumerate(zip(layout.names, arrays, strict=True), start=1):
            image.set_band_description(band, name)
            if layout.attributes and "units" in layout.attributes[band - 1]:
                image.set_band_unit(band, layout.attributes[band - 1]["units"])
            own = layout.attributes[band - 1] if layout.attributes else {}
            image.update_tags(band, **{k: own[k] for k in NOTED if k in own})
            for window, values in read_pieces(layout, array):
                place = rasterio.windows.Window.from_slices(*window)
                image.write(values.astype(dtype, copy=False), band, window=place)
    _check_written(joined, layout, arrays)


def _check_written(joined: Path, layout: Layout, arrays: list[RawArray]) -> None:
    """Raise OSError where the bands of a GeoTIFF are not the arrays."""
    rasterio = import_rasterio()
    with (
        warnings.catch_warnings(action="ignore"),  # of an image without a place
        rasterio.Env(GDAL_CACHEMAX=GDAL_BYTES),
        rasterio.open(joined) as image,
    ):
        for band, array in enumerate(arrays, start=1):
            for window, values in read_pieces(layout, array):
                place = rasterio.windows.Window.from_slices(*window)
                try:
                    written = image.read(band, window=place)
                except rasterio.errors.RasterioIOError:
                    written = None
                expected = values.astype(image.dtypes[band - 1], copy=False)
                if written is None or not np.array_equal(written, expected, equal_nan=True):
                    raise OSError("the result could not be written as a whole; is the disk full?")


def read_pieces(layout: Layout, array: RawArray) -> Iterator[tuple[Window, Values]]:
    """Yield an array in pieces of whole chunks, not much larger than `PIECE_BYTES` if they can."""
    # A chunk that is written in two pieces would be encoded twice, so pieces are whole chunks.
    steps = [*layout.chunks]
    size = math.prod(steps) * layout.dtype.itemsize
    for axis in reversed(range(len(steps))):
        times = max(1, min(PIECE_BYTES // max(size, 1), -(-layout.shape[axis] // steps[axis])))
        steps[axis] *= times
        size *= times
    cuts = (
        [slice(start, min(start + step, n)) for start in range(0, n, step)]
        for n, step in zip(layout.shape, steps, strict=True)
    )
    for window in product(*cuts):
        values = np.empty(shape_of(window), layout.dtype)
        array.read(window, values)
        yield window, values
