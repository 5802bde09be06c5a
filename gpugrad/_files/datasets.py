"""Fields in Zarr, NetCDF and GeoTIFF, through the libraries that know these formats."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.errors import EXTRA, FileError, import_library, need
from gpugrad._files.raw import Window
from gpugrad._files.source import Coordinate, Source, Values, choose_variables, in_one_line

GDAL_BYTES = 1 << 24
"""How much GDAL may keep of what it has read or is to write; by itself it takes what it likes."""


def open_dataset(path: Path, kind: str, names: tuple[str, ...], files: ExitStack) -> list[Source]:
    """Open NetCDF and Zarr through xarray, which knows their conventions."""
    xarray = import_library("xarray", EXTRA, f"reading {path}")
    if kind == "zarr":
        plain = _open_bare_zarr(path, names)
        if plain is not None:
            return [plain]
    group, names = _split_group(path, names)
    options: dict[str, Any] = {"engine": "zarr"} if kind == "zarr" else {}
    try:
        with warnings.catch_warnings(action="ignore"):  # of stores without metadata in one place
            # Without a cache, in which what was read would stay, and in windows, not Dask's chunks.
            data = xarray.open_dataset(
                path, group=group, cache=False, chunks=None, decode_coords="all", **options
            )
            files.callback(data.close)
            variables = [str(name) for name in data.data_vars if data[name].ndim]
            # A coordinate may be differentiated too, if it is named.
            variables += [name for name in names if name in data.coords and data[name].ndim]
            inside = [] if variables else _list_groups(path, options)
    except ImportError as error:
        package = "zarr" if kind == "zarr" else "h5netcdf"
        raise need(EXTRA, package, f"reading {path}") from error
    except Exception as error:
        where = f"the group {group} of {path}" if group else f"{path}"
        reason = in_one_line(error)
        if "did not find a match in any of xarray" in reason:
            reason = "it is no NetCDF file, or one that needs another library, such as netCDF4"
        raise FileError(f"{where} can't be read: {reason}.") from error
    if inside:
        raise FileError(
            f"--var must name a variable of {path} with its group; it has: {', '.join(inside)}."
        )
    return [_from_xarray(path, data[name]) for name in choose_variables(path, names, variables)]


def _split_group(path: Path, names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the group of the variables, named ``group/variable``, and their names in it."""
    groups = {name.strip("/").rpartition("/")[0] for name in names}
    if len(groups) > 1:
        raise FileError(f"variables of {path} must be of one group; got {', '.join(names)}.")
    return "".join(groups) or None, tuple(name.rpartition("/")[2] for name in names)


def _list_groups(path: Path, options: dict[str, Any]) -> list[str]:
    """Return the variables in the groups of a file, with the names of the groups."""
    import xarray

    names = []
    for group, data in xarray.open_groups(path, **options).items():
        names += [f"{group.strip('/')}/{name}" for name in data.data_vars if data[name].ndim]
        data.close()
    return names


def _from_xarray(path: Path, variable: Any) -> Source:
    name = str(variable.name)
    dtype = np.dtype(variable.dtype)
    if dtype.kind not in "biufcmM":
        raise FileError(f"{name} in {path} must hold numbers; it holds {dtype}.")
    preferred = variable.encoding.get("preferred_chunks") or {}
    chunks = tuple(
        variable.encoding.get("chunksizes") or (preferred.get(dim, 1) for dim in variable.dims)
    )

    def fetch(window: Window) -> Values:
        return np.asarray(variable.variable[window].values)

    coordinates, coordinate_attributes, unknown, beside = {}, {}, {}, {}
    for key, coordinate in variable.coords.items():
        spaces_axis = coordinate.dims == (key,)
        if spaces_axis:
            values, attributes = _as_numbers(coordinate)
            if values.dtype.kind in "iufmM":
                coordinates[str(key)], coordinate_attributes[str(key)] = values, attributes
                continue
            unknown[str(key)] = "its coordinates are no numbers"
        if spaces_axis or key != name:
            beside[str(key)] = _as_late_coordinate(coordinate)
    return Source(
        path,
        name,
        tuple(variable.shape),
        dtype.newbyteorder("="),
        _name_damaged_chunks(path, name, fetch, chunks, tuple(variable.shape)),
        tuple(map(str, variable.dims)),
        coordinates,
        beside,
        dict(variable.attrs) | _grid_mapping(variable),
        coordinate_attributes,
        chunks,
        unknown_spacing=unknown,
    )


def _as_late_coordinate(coordinate: Any) -> Coordinate:
    """Return a coordinate that is read when it is written; dates of other calendars at once."""
    dims = tuple(map(str, coordinate.dims))
    if coordinate.dtype == object:
        values, attributes = _as_numbers(coordinate)
        return Coordinate(dims, lambda: values, attributes, values.nbytes)
    return Coordinate(
        dims, lambda: np.asarray(coordinate.values), dict(coordinate.attrs), coordinate.nbytes
    )


def _grid_mapping(variable: Any) -> dict[str, Any]:
    """Return the name of the variable that tells the projection, where it is written too."""
    named = variable.encoding.get("grid_mapping")
    return {"grid_mapping": named} if named in variable.coords else {}


def _as_numbers(coordinate: Any) -> tuple[Values, dict[str, Any]]:
    """Return a coordinate's values and attributes.

    Dates of another calendar than NumPy's become the time since the first, in words too.
    """
    values, attributes = np.asarray(coordinate.values), dict(coordinate.attrs)
    if values.dtype != object or not values.size:
        return values, attributes
    start = values.flat[0]
    if not hasattr(start, "calendar"):
        return values.astype(str), attributes
    past = np.array([date - start for date in values.flat], "m8[us]").reshape(values.shape)
    words = {"units": f"seconds since {start.isoformat()}", "calendar": start.calendar}
    return past, attributes | words


def _open_bare_zarr(path: Path, names: tuple[str, ...]) -> Source | None:
    """Open a Zarr array that stands alone or in a group without names for its axes."""
    zarr = import_library("zarr", EXTRA, f"reading {path}")
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise FileError(f"{path} is no Zarr store, or is damaged: {in_one_line(error)}.") from error
    name = ""
    if isinstance(node, zarr.Group):
        group, names_in_group = _split_group(path, names)
        inner = node.get(group) if group else node
        if hasattr(inner, "arrays"):  # else there is no such group: errors list what there is
            node, names = inner, names_in_group
        try:
            arrays = dict(node.arrays())
        except Exception as error:
            raise FileError(f"{path} is damaged: {in_one_line(error)}.") from error
        bare = {key for key, array in arrays.items() if array.ndim and not _has_dims(array)}
        if not bare or (names and not bare & set(names) and bare != {*arrays}):
            return None
        (name, *_) = choose_variables(path, names, [*arrays])
        node = arrays[name]
    elif names:
        raise FileError(f"{path} has one array without a name; leave --var out.")
    shape, chunks = tuple(node.shape), tuple(node.chunks)

    def fetch(window: Window) -> Values:
        return np.asarray(node[window])

    return Source(
        path, name, shape, np.dtype(node.dtype).newbyteorder("="),
        _name_damaged_chunks(path, name, fetch, chunks, shape),
        attributes=dict(node.attrs), chunks=chunks,
    )  # fmt: skip


def _has_dims(array: Any) -> bool:
    named = getattr(array.metadata, "dimension_names", None)
    return bool(named and all(named)) or "_ARRAY_DIMENSIONS" in array.attrs


def open_geotiff(path: Path, names: tuple[str, ...], files: ExitStack) -> list[Source]:
    """Open bands of a GeoTIFF; what is not there is not a number."""
    rasterio = import_library("rasterio", "geotiff", f"reading {path}")
    # What is wrong with an image in JPEG is otherwise a mere warning, beside grey pixels.
    files.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_BYTES, GDAL_ERROR_ON_LIBJPEG_WARNING=True))
    try:
        image = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise FileError(f"{path} can't be read: {in_one_line(error)}.") from error
    files.callback(image.close)
    bands = [str(i) for i in image.indexes]
    shape = image.height, image.width
    t = image.transform
    coordinates: dict[str, Values] = {}
    unknown = {}
    if t.b or t.d:
        steps = f"{math.hypot(t.b, t.e):.6g} and {math.hypot(t.a, t.d):.6g} apart"
        reason = f"the image is rotated: its rows and columns, {steps}, are not along y and x"
        unknown = dict.fromkeys("yx", reason)
    elif not t.is_identity:
        coordinates = {
            "y": t.f + t.e * (np.arange(shape[0]) + 0.5),
            "x": t.c + t.a * (np.arange(shape[1]) + 0.5),
        }
    place = {"transform": tuple(t)[:6]} | ({"crs": image.crs.to_wkt()} if image.crs else {})

    def open_band(band: str) -> Source:
        i = int(band) - 1
        dtype = np.dtype(image.dtypes[i])
        is_masked = rasterio.enums.MaskFlags.all_valid not in image.mask_flag_enums[i]
        scale, offset = image.scales[i], image.offsets[i]
        is_packed = (scale, offset) != (1.0, 0.0)
        if is_masked or is_packed:  # what is not there is not a number
            dtype = np.result_type(dtype, np.float32)

        def fetch(window: Window) -> Values:
            rows, columns = window
            rectangle = rasterio.windows.Window.from_slices(rows, columns)
            if image.driver == "PNG":  # of damage GDAL tells where it reads rows one by one
                image.read(int(band), window=rasterio.windows.Window(0, rows.stop - 1, shape[1], 1))
            values = image.read(int(band), window=rectangle, masked=is_masked)
            if is_masked:
                values = values.astype(dtype).filled(np.nan)
            return values.astype(dtype) * scale + offset if is_packed else np.asarray(values)

        chunks = tuple(map(int, image.block_shapes[i]))
        return Source(
            path, f"band{band}", shape, dtype,
            _name_damaged_chunks(path, f"band {band}", fetch, chunks, shape),
            ("y", "x"), coordinates, {}, {"units": image.units[i]} if image.units[i] else {},
            _units_of(image.crs) if coordinates else {}, chunks, unknown_spacing=unknown,
            place=place,
        )  # fmt: skip

    return [open_band(band) for band in choose_variables(path, names, bands)]


def _units_of(crs: Any) -> dict[str, dict[str, str]]:
    """Return the units of the axes of a map, in the words of the CF conventions."""
    if not crs:
        return {}
    if crs.is_geographic:
        return {"y": {"units": "degrees_north"}, "x": {"units": "degrees_east"}}
    units = str(crs.linear_units)
    units = "m" if units in ("metre", "meter") else units
    return {} if units == "unknown" else {axis: {"units": units} for axis in "yx"}


def _name_damaged_chunks(
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
            for chunk, chunk_window in _chunks_of(window, chunks, shape):
                try:
                    fetch(chunk_window)
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
    numbers = (
        range(rows.start // c, -(-rows.stop // c)) for rows, c in zip(window, chunks, strict=True)
    )
    for chunk in product(*numbers):
        places = zip(chunk, chunks, shape, strict=True)
        yield chunk, tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in places)
