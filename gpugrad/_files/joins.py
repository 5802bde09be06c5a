"""Results put together at the end, in formats that can't be written in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.datasets import GDAL_BYTES
from gpugrad._files.errors import EXTRA, need
from gpugrad._files.layout import (
    Layout,
    describe,
    encode,
    find_map,
    missing_value,
    with_coordinates,
    written_dtype,
)
from gpugrad._files.raw import RawArray, Window
from gpugrad._files.source import Values

PIECE_BYTES = 1 << 23
"""How much is copied at a time from one file to another."""


def import_h5netcdf() -> Any:
    """Return the library that writes NetCDF, or raise FileError with how to install it."""
    try:
        import h5netcdf
    except ImportError as error:
        raise need(EXTRA, "h5netcdf", "writing NetCDF") from error
    return h5netcdf


def join_netcdf(joined: Path, layout: Layout, arrays: list[RawArray]) -> None:
    """Put arrays into a NetCDF file, each chunk with a checksum."""
    h5netcdf = import_h5netcdf()
    dtype = written_dtype("netcdf", layout.dtype)
    with h5netcdf.File(joined, "w") as data:
        data.attrs.update(describe(layout))
        lengths: dict[str, int] = {}
        for dims in layout.dims:
            lengths |= zip(dims, layout.shape, strict=True)
        data.dimensions = lengths
        for name, coordinate in layout.coordinates.items():
            values, coordinate_attributes = encode(coordinate)
            is_text = values.dtype.kind == "U"
            kind = import_module("h5py").string_dtype() if is_text else values.dtype
            stored = values.astype(object) if is_text else values
            data.create_variable(name, coordinate.dims, kind, data=stored).attrs.update(
                coordinate_attributes
            )
        results = zip(layout.names, layout.dims, arrays, layout.attributes, strict=True)
        for name, dims, array, attributes in results:
            variable = data.create_variable(
                name, dims, dtype, chunks=layout.chunks, fletcher32=True,
                fillvalue=missing_value(dtype),
            )  # fmt: skip
            variable.attrs.update(with_coordinates(layout, dims, attributes))
            for window, values in pieces(layout, array):
                variable[window] = values


def import_rasterio() -> Any:
    """Return the library that writes GeoTIFF, or raise FileError with how to install it."""
    try:
        import rasterio
    except ImportError as error:
        raise need("geotiff", "rasterio", "writing GeoTIFF") from error
    return rasterio


def join_geotiff(joined: Path, layout: Layout, arrays: list[RawArray]) -> None:
    """Put arrays into the bands of a GeoTIFF."""
    rasterio = import_rasterio()
    height, width = layout.shape
    dtype = written_dtype("geotiff", layout.dtype)
    profile = find_map(layout)
    if profile:
        profile["transform"] = rasterio.Affine(*profile["transform"])
    with rasterio.Env(GDAL_CACHEMAX=GDAL_BYTES), rasterio.open(
        joined, "w", driver="GTiff", height=height, width=width, count=len(layout.names),
        dtype=dtype.name, nodata=np.nan, BIGTIFF="IF_SAFER", **profile,
    ) as image:  # fmt: skip
        if layout.history:
            image.update_tags(TIFFTAG_SOFTWARE=layout.history)
        for band, (name, array) in enumerate(zip(layout.names, arrays, strict=True), start=1):
            image.set_band_description(band, name)
            if layout.attributes and "units" in layout.attributes[band - 1]:
                image.set_band_unit(band, layout.attributes[band - 1]["units"])
            for window, values in pieces(layout, array):
                place = rasterio.windows.Window.from_slices(*window)
                image.write(values.astype(dtype, copy=False), band, window=place)


def pieces(layout: Layout, array: RawArray) -> Iterator[tuple[Window, Values]]:
    """Yield an array in pieces of whole chunks, not much larger than `PIECE_BYTES` if they can."""
    # A chunk that is written in two pieces would be encoded twice, so pieces are whole chunks.
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
