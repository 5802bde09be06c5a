"""Fields in Zarr, NetCDF and GeoTIFF, through the libraries that know these formats."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.errors import EXTRA, FileError, need
from gpugrad._files.raw import Window
from gpugrad._files.sources import Source, Values, choose, in_one_line


def open_dataset(path: Path, kind: str, names: tuple[str, ...], files: ExitStack) -> list[Source]:
    """Open NetCDF and Zarr through xarray, which knows their conventions."""
    try:
        import xarray
    except ImportError as error:
        raise need(EXTRA, "xarray", f"reading {path}") from error
    if kind == "zarr":
        plain = _open_bare_zarr(path, names)
        if plain is not None:
            return [plain]
    try:
        with warnings.catch_warnings():  # of stores without metadata in one place
            warnings.simplefilter("ignore")
            data = xarray.open_dataset(
                path, engine="zarr" if kind == "zarr" else None, cache=False, chunks=None
            )
    except ImportError as error:
        package = "zarr" if kind == "zarr" else "h5netcdf"
        raise need(EXTRA, package, f"reading {path}") from error
    except Exception as error:
        raise FileError(f"{path} can't be read: {in_one_line(error)}.") from error
    files.callback(data.close)
    variables = [str(name) for name in data.data_vars if data[name].ndim]
    return [_from_xarray(path, data[name]) for name in choose(path, names, variables)]


def _from_xarray(path: Path, variable: Any) -> Source:
    name = str(variable.name)
    dtype = np.dtype(variable.dtype)
    if dtype.kind not in "biufcmM":
        raise FileError(f"{name} in {path} must hold numbers; it holds {dtype}.")
    chunks = variable.encoding.get("preferred_chunks") or {}
    given = variable.encoding.get("chunksizes") or [chunks.get(dim, 1) for dim in variable.dims]

    def fetch(window: Window) -> Values:
        return np.asarray(variable.variable[window].values)

    coordinates = {
        str(dim): np.asarray(variable[dim].values)
        for dim in variable.dims
        if dim in variable.coords and variable[dim].dtype.kind in "biufmM"
    }
    return Source(
        path,
        name,
        tuple(variable.shape),
        dtype.newbyteorder("="),
        _careful(path, name, fetch, tuple(given), tuple(variable.shape)),
        tuple(map(str, variable.dims)),
        coordinates,
        dict(variable.attrs),
        {dim: dict(variable[dim].attrs) for dim in coordinates},
        tuple(given),
    )


def _open_bare_zarr(path: Path, names: tuple[str, ...]) -> Source | None:
    """Open a Zarr array that stands alone or in a group without names for its axes."""
    try:
        import zarr
    except ImportError as error:
        raise need(EXTRA, "zarr", f"reading {path}") from error
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise FileError(f"{path} is no Zarr store, or is damaged: {in_one_line(error)}.") from error
    name = ""
    if isinstance(node, zarr.Group):
        arrays = dict(node.arrays())
        bare = {key for key, one in arrays.items() if not _has_dims(one)}
        if not bare or (names and not bare & set(names)):
            return None
        (name, *_) = choose(path, names, [*arrays])
        node = arrays[name]
    elif names:
        raise FileError(f"{path} has one array without a name; leave --var out.")
    shape, chunks = tuple(node.shape), tuple(node.chunks)
    array = node

    def fetch(window: Window) -> Values:
        return np.asarray(array[window])

    return Source(
        path, name, shape, np.dtype(array.dtype).newbyteorder("="),
        _careful(path, name, fetch, chunks, shape),
        tuple(f"axis{i}" for i in range(len(shape))), attributes=dict(array.attrs), chunks=chunks,
    )  # fmt: skip


def _has_dims(array: Any) -> bool:
    named = getattr(array.metadata, "dimension_names", None)
    return bool(named and all(named)) or "_ARRAY_DIMENSIONS" in array.attrs


def open_geotiff(path: Path, names: tuple[str, ...], files: ExitStack) -> list[Source]:
    """Open bands of a GeoTIFF; what is not there is not a number."""
    try:
        import rasterio
        from rasterio.windows import Window as Rectangle
    except ImportError as error:
        raise need("geotiff", "rasterio", f"reading {path}") from error
    try:
        image = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise FileError(f"{path} can't be read: {in_one_line(error)}.") from error
    files.callback(image.close)
    bands = [str(i) for i in image.indexes]
    shape = image.height, image.width
    t = image.transform
    coordinates: dict[str, Values] = {}
    if t.b == t.d == 0 and not t.is_identity:
        coordinates = {
            "y": t.f + t.e * (np.arange(shape[0]) + 0.5),
            "x": t.c + t.a * (np.arange(shape[1]) + 0.5),
        }
    holes = image.nodata is not None

    def open_band(band: str) -> Source:
        dtype = np.dtype(image.dtypes[int(band) - 1])
        if holes:  # what is not there is not a number
            dtype = np.result_type(dtype, np.float32)

        def fetch(window: Window) -> Values:
            rows, columns = window
            rectangle = Rectangle.from_slices(
                (rows.start, rows.stop), (columns.start, columns.stop)
            )
            values = image.read(int(band), window=rectangle, masked=holes)
            return values.astype(dtype).filled(np.nan) if holes else np.asarray(values)

        chunks = tuple(map(int, image.block_shapes[int(band) - 1]))
        return Source(
            path, f"band{band}", shape, dtype, _careful(path, f"band {band}", fetch, chunks, shape),
            ("y", "x"), coordinates, {}, {}, chunks,
        )  # fmt: skip

    return [open_band(band) for band in choose(path, names, bands)]


def _careful(
    path: Path,
    name: str,
    fetch: Callable[[Window], Values],
    chunks: tuple[int, ...],
    shape: tuple[int, ...],
) -> Callable[[Window, Values], None]:
    """Return a `read` that names the chunk that is damaged, where one is."""

    def read(window: Window, into: Values) -> None:
        try:
            into[...] = fetch(window)
        except Exception as error:
            for chunk, part in _chunks_of(window, chunks, shape):
                try:
                    fetch(part)
                except Exception as reason:
                    where = ", ".join(map(str, chunk))
                    raise FileError(
                        f"chunk ({where}) of {name or 'the array'} in {path} is damaged: "
                        f"{in_one_line(reason)}. Make the file again, or copy it once more."
                    ) from reason
            raise FileError(f"{name} in {path} can't be read: {in_one_line(error)}.") from error

    return read


def _chunks_of(
    window: Window, chunks: tuple[int, ...], shape: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Window]]:
    """Yield the number and the place of each chunk that a window touches."""
    numbers = [
        range(part.start // c, -(-part.stop // c)) for part, c in zip(window, chunks, strict=True)
    ]
    for chunk in product(*numbers):
        parts = zip(chunk, chunks, shape, strict=True)
        yield chunk, tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in parts)
