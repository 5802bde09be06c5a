"""Fields in Zarr, NetCDF and GeoTIFF, through the libraries that know these formats."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.decoding import ValidValues, open_decoded, tell_of_undecoded
from gpugrad._files.errors import EXTRA, FileError, import_library, need
from gpugrad._files.raw import Window, cut_pieces
from gpugrad._files.source import Coordinate, Source, Values, choose_variables, in_one_line
from gpugrad._labels import geographic_kind

CACHE_BYTES = 1 << 26
"""How much netCDF4 may keep of the chunks of a variable, as it does by itself."""

MOST_BYTES = 1 << 26
"""How much is decoded at a time at most, unless a chunk is larger: enough to keep cores busy."""

GDAL_BYTES = 1 << 24
"""How much GDAL may keep of what it has read or is to write; by itself it takes what it likes."""


def open_dataset(
    path: Path, kind: str, names: tuple[str, ...], memory: float, files: ExitStack
) -> list[Source]:
    """Open NetCDF and Zarr through xarray, which knows their conventions."""
    xarray = import_library("xarray", EXTRA, f"reading {path}")
    if kind == "zarr":
        plain = _open_bare_zarr(path, names, memory)
        if plain is not None:
            return [plain]
    group, names = _split_group(path, names)
    options: dict[str, Any] = {"engine": "zarr" if kind == "zarr" else _find_engine(path)}
    cache_bytes = min(CACHE_BYTES, int(memory) // 8) if kind == "netcdf" else 0
    try:
        with (
            _limit_cache(cache_bytes),
            warnings.catch_warnings(action="ignore"),  # of stores without metadata in one place
        ):
            # Without a cache, in which what was read would stay, and in windows, not Dask's chunks.
            data, undecoded = open_decoded(
                partial(xarray.open_dataset, path, group=group, cache=False, chunks=None,
                        decode_coords="all", **options)
            )  # fmt: skip
            files.callback(data.close)
            data = _inherit_coordinates(data, path, group, options, files)
            variables = _list_variables(data, names)
            inside = [] if variables else _list_groups(path, kind)
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
    return [
        _from_xarray(path, kind, data, name, undecoded, memory, cache_bytes)
        for name in choose_variables(path, names, variables)
    ]


def _find_engine(path: Path) -> Any:
    """Return which of xarray's own classes reads a NetCDF file; None if none of them does.

    Left to itself, xarray imports the plugins of all packages to ask each, which with some takes a
    second and 100 MB.
    """
    from xarray import backends

    engines = {  # in the order in which xarray asks them
        "netCDF4": backends.NetCDF4BackendEntrypoint,
        "h5netcdf": backends.H5netcdfBackendEntrypoint,
        "scipy": backends.ScipyBackendEntrypoint,
    }
    for package, engine in engines.items():
        with suppress(Exception):  # whatever is wrong with the file, xarray tells it better
            if find_spec(package) and engine().guess_can_open(path):
                return engine
    return None


@contextmanager
def _limit_cache(size: int) -> Iterator[None]:
    """Let what netCDF4 opens keep no more than `size` bytes of chunks for each variable."""
    try:
        netCDF4 = import_module("netCDF4") if size else None
    except ImportError:  # what xarray takes instead keeps 1 MB
        netCDF4 = None
    if netCDF4 is None:
        yield
        return
    before = netCDF4.get_chunk_cache()
    netCDF4.set_chunk_cache(size, *before[1:])
    try:
        yield
    finally:
        netCDF4.set_chunk_cache(*before)


def _inherit_coordinates(
    data: Any, path: Path, group: str | None, options: dict[str, Any], files: ExitStack
) -> Any:
    """Return a dataset of a group with the coordinates of its axes that lie in groups above it."""
    import xarray

    while group:
        group = group.rpartition("/")[0]
        above, _ = open_decoded(
            partial(xarray.open_dataset, path, group=group or None, cache=False, chunks=None,
                    decode_coords="all", **options)
        )  # fmt: skip
        files.callback(above.close)
        found = {
            dim: above[dim]
            for dim in data.dims
            if dim not in data.variables and dim in above.variables
            and above[dim].dims == (dim,) and above.sizes[dim] == data.sizes[dim]
        }  # fmt: skip
        data = data.assign_coords(found)
    return data


def _list_variables(data: Any, names: tuple[str, ...]) -> list[str]:
    """Return the variables that may be differentiated: if none is named, those that look like it.

    A coordinate may be, too, if it is named.
    """
    variables = [str(name) for name in data.data_vars if data[name].ndim]
    if names:
        return variables + [name for name in names if name in data.coords and data[name].ndim]
    fields = [name for name in variables if _is_field(data[name])]
    return fields if len(fields) == 1 else variables


def _is_field(variable: Any) -> bool:
    """Tell whether a variable holds numbers that are no latitudes or longitudes."""
    is_number = np.dtype(variable.dtype).kind in "iufc"
    return is_number and geographic_kind(variable.name, variable.attrs) is None


def _split_group(path: Path, names: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the group of the variables, named ``group/variable``, and their names in it."""
    groups = {name.strip("/").rpartition("/")[0] for name in names}
    if len(groups) > 1:
        raise FileError(f"variables of {path} must be of one group; got {', '.join(names)}.")
    return "".join(groups) or None, tuple(name.rpartition("/")[2] for name in names)


def _list_groups(path: Path, kind: str) -> list[str]:
    """Return the variables in the groups of a file, with the names of the groups."""
    import xarray

    names = []
    for group, data in xarray.open_groups(path, engine="zarr" if kind == "zarr" else None).items():
        names += [f"{group.strip('/')}/{name}" for name in data.data_vars if data[name].ndim]
        data.close()
    return names


def _from_xarray(
    path: Path,
    kind: str,
    data: Any,
    name: str,
    undecoded: Mapping[str, str],
    memory: float,
    cache_bytes: int,
) -> Source:
    variable = data[name]
    dims = tuple(map(str, variable.dims))
    if len({*dims}) < len(dims):
        raise FileError(
            f"{name} in {path} has one axis twice: {', '.join(dims)}. Give them different names."
        )
    valid = ValidValues(variable, kind)
    dtype = valid.dtype
    if dtype.kind not in "biufcmM":
        raise FileError(f"{name} in {path} must hold numbers; it holds {dtype}.")
    preferred = variable.encoding.get("preferred_chunks") or {}
    chunks = tuple(
        variable.encoding.get("chunksizes") or (preferred.get(dim, 1) for dim in variable.dims)
    )

    def fetch(window: Window) -> Values:
        return valid.apply(np.asarray(variable.variable[window].values))

    coordinates, coordinate_attributes, unknown, beside = {}, {}, {}, {}
    for key, coordinate in _coordinates_of(variable, data).items():
        spaces_axis = coordinate.dims == (key,)
        if spaces_axis:
            values, attributes = _as_numbers(coordinate)
            if values.dtype.kind in "iufmM":
                coordinates[str(key)], coordinate_attributes[str(key)] = values, attributes
                continue
            unknown[str(key)] = "its coordinates are no numbers"
        if spaces_axis or key != name:
            beside[str(key)] = _as_late_coordinate(coordinate)
    notes = [*valid.describe(name), *tell_of_undecoded(undecoded, dims)]
    for dim in dims:
        if dim not in coordinates and dim not in unknown:
            notes += _take_only_coordinate(
                dim, beside, coordinates, coordinate_attributes, f"{name} in {path}"
            )
    shape = tuple(variable.shape)
    most = _count_in_piece(shape, chunks, dtype, memory)
    return Source(
        path,
        name,
        shape,
        dtype.newbyteorder("="),
        _read_in_pieces(path, name, fetch, chunks, shape, most),
        dims,
        coordinates,
        beside,
        {k: v for k, v in variable.attrs.items() if k != "dtype"} | _grid_mapping(variable),
        coordinate_attributes,
        chunks,
        unknown_spacing=unknown,
        mapping=_attributes_of_mapping(variable, data),
        history=str(data.attrs.get("history", "")),
        notes=tuple(notes),
        held_bytes=cache_bytes,
        piece_bytes=most * dtype.itemsize,
    )


def _coordinates_of(variable: Any, data: Any) -> dict[Any, Any]:
    """Return the coordinates of a variable, and latitudes and longitudes that it does not name."""
    unnamed = {
        key: other
        for key, other in data.data_vars.items()
        if other.dims and {*other.dims} <= {*variable.dims} and key != variable.name
        and np.dtype(other.dtype).kind in "iuf"
        and geographic_kind(key, other.attrs) is not None
    }  # fmt: skip
    return dict(variable.coords) | unnamed


def _take_only_coordinate(
    dim: str,
    beside: dict[str, Coordinate],
    coordinates: dict[str, Values],
    attributes: dict[str, Any],
    label: str,
) -> list[str]:
    """Let the only coordinate along an axis that has none of its own space it; return a note."""
    along = [name for name, coordinate in beside.items() if coordinate.dims == (dim,)]
    spaced = [name for name in along if _is_spacing(beside[name].values)]
    if len(spaced) != 1:
        return []
    (name,) = spaced
    coordinates[dim] = np.asarray(beside[name].values)
    attributes[dim] = {**beside[name].attrs}
    attributes[dim].setdefault("standard_name", _kind_by_name(name, attributes[dim]))
    attributes[dim] = {k: v for k, v in attributes[dim].items() if v}
    return [(f"{name}, the only coordinate along {dim} of {label}, says how far its samples are "
            "apart.")]  # fmt: skip


def _kind_by_name(name: str, attributes: Mapping[str, Any]) -> str | None:
    return geographic_kind(name, attributes)


def _is_spacing(values: Values) -> bool:
    """Tell whether numbers or dates rise or fall throughout, so that they may be a spacing."""
    if values.dtype.kind not in "iufM" or values.size < 2:
        return False
    steps = np.diff(values)
    zero = np.zeros((), steps.dtype)
    return bool((steps > zero).all() or (steps < zero).all())


def _attributes_of_mapping(variable: Any, data: Any) -> dict[str, Any]:
    """Return what the file says of the projection."""
    named = variable.encoding.get("grid_mapping") or variable.attrs.get("grid_mapping") or ""
    name = str(named).split(":")[0].strip()
    return dict(data[name].attrs) if name in data.variables else {}


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


def _open_bare_zarr(path: Path, names: tuple[str, ...], memory: float) -> Source | None:
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
    packed = [key for key in ("scale_factor", "add_offset", "_FillValue") if key in node.attrs]
    if packed:  # conventions of arrays whose axes have names, which xarray reads
        raise FileError(
            f"{name or 'the array'} in {path} has {', '.join(packed)}, but no names for its axes, "
            "which the conventions for such numbers need. Name its axes, or unpack it first."
        )
    shape, chunks = tuple(node.shape), tuple(node.chunks)
    dtype = np.dtype(node.dtype).newbyteorder("=")
    most = _count_in_piece(shape, chunks, dtype, memory)

    def fetch(window: Window) -> Values:
        return np.asarray(node[window])

    return Source(
        path, name, shape, dtype, _read_in_pieces(path, name, fetch, chunks, shape, most),
        attributes=dict(node.attrs), chunks=chunks, piece_bytes=most * dtype.itemsize,
    )  # fmt: skip


def _has_dims(array: Any) -> bool:
    named = getattr(array.metadata, "dimension_names", None)
    return bool(named and all(named)) or "_ARRAY_DIMENSIONS" in array.attrs


def open_geotiff(
    path: Path, names: tuple[str, ...], memory: float, files: ExitStack
) -> list[Source]:
    """Open bands of a GeoTIFF or of a plain image; what is not there is not a number."""
    rasterio = import_library("rasterio", "geotiff", f"reading {path}")
    # What is wrong with an image in JPEG is otherwise a mere warning, beside grey pixels.
    files.enter_context(rasterio.Env(GDAL_CACHEMAX=GDAL_BYTES, GDAL_ERROR_ON_LIBJPEG_WARNING=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            image = rasterio.open(path)
    except rasterio.errors.RasterioIOError as error:
        raise FileError(f"{path} can't be read: {in_one_line(error)}.") from error
    files.callback(image.close)
    bands = [str(i) for i in image.indexes]
    shape = image.height, image.width
    t = image.transform
    coordinates: dict[str, Values] = {}
    steps: dict[str, float] = {}
    unknown = {}
    if not t.is_identity and (t.b or t.d):
        apart = f"{math.hypot(t.b, t.e):.6g} and {math.hypot(t.a, t.d):.6g} apart"
        reason = f"the image is rotated: its rows and columns, {apart}, are not along y and x"
        unknown = dict.fromkeys("yx", reason)
    elif t.is_identity:  # what images without a place have
        reason = "the image does not say where it lies, nor how large its pixels are"
        if image.gcps[0]:
            reason = "the image lies at control points, which are no even pixels: warp it first"
        unknown = dict.fromkeys("yx", reason)
    elif image.crs and image.crs.is_geographic and not _is_in_degrees(image.crs):
        reason = f"the image lies on a sphere in units of {image.crs.units_factor[0]}, no degrees"
        unknown = dict.fromkeys("yx", reason)
    else:
        steps = {"y": t.e, "x": t.a}
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
        most = _count_in_piece(shape, chunks, dtype, memory)
        return Source(
            path, f"band{band}", shape, dtype,
            _read_in_pieces(path, f"band {band}", fetch, chunks, shape, most),
            ("y", "x"), coordinates, {}, {"units": image.units[i]} if image.units[i] else {},
            _units_of(image.crs) if coordinates else {}, chunks, unknown_spacing=unknown,
            place={} if t.is_identity else place, steps=steps,
            mapping={"crs_wkt": place.get("crs", "")}, history=image.tags().get("history", ""),
            piece_bytes=most * dtype.itemsize,
        )  # fmt: skip

    return [open_band(band) for band in choose_variables(path, names, bands)]


def _is_in_degrees(crs: Any) -> bool:
    return bool(abs(crs.units_factor[1] / math.radians(1) - 1) < 1e-6)


def _units_of(crs: Any) -> dict[str, dict[str, str]]:
    """Return the units of the axes of a map, in the words of the CF conventions."""
    if not crs:
        return {}
    if crs.is_geographic:
        return {"y": {"units": "degrees_north"}, "x": {"units": "degrees_east"}}
    units = str(crs.linear_units)
    units = "m" if units in ("metre", "meter") else units
    return {} if units == "unknown" else {axis: {"units": units} for axis in "yx"}


def _count_in_piece(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype[Any], memory: float
) -> int:
    """Return how many samples at most are decoded at a time: a chunk, or several if it is small."""
    most = min(MOST_BYTES, int(memory) // 8) // dtype.itemsize
    return max(math.prod(chunks), min(most, math.prod(shape)), 1)


def _read_in_pieces(
    path: Path,
    name: str,
    fetch: Callable[[Window], Values],
    chunks: tuple[int, ...],
    shape: tuple[int, ...],
    most: int,
) -> Callable[[Window, Values], None]:
    """Return a `read` that fetches `most` samples at a time, and names a chunk that is damaged."""

    def read(window: Window, into: Values) -> None:
        try:
            # Libraries hold what they read several times, so they read a piece of a block each.
            for piece, place in cut_pieces(window, chunks, most):
                into[place] = fetch(piece)
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
