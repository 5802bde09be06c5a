"""What is to be written: names, axes, coordinates and attributes, as the formats can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gpugrad._files.errors import FileError
from gpugrad._files.source import Coordinate, Values


@dataclass(frozen=True)
class Layout:
    """What is to be written: results of one shape and dtype, with names for them and their axes.

    `dims` are the names of the axes of each result. `shifts` tell by how many cells each result
    lies beside the samples, and `place` tells where the samples lie on a map, if a GeoTIFF says it.
    `history` is what was done, in words.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dims: tuple[tuple[str, ...], ...]
    chunks: tuple[int, ...]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    attributes: tuple[Mapping[str, Any], ...] = ()
    place: Mapping[str, Any] = field(default_factory=dict)
    shifts: tuple[tuple[float, ...], ...] = ()
    history: str = ""

    @property
    def nbytes(self) -> int:
        return len(self.names) * math.prod(self.shape) * self.dtype.itemsize


_NOT_HELD = {
    "netcdf": {"c": "complex numbers", "m": "differences of dates", "g": "long doubles"},
    "geotiff": {"c": "complex numbers", "m": "differences of dates", "g": "long doubles"},
    "zarr": {"g": "long doubles"},
}
"""What formats can't hold."""


def check_format(kind: str, layout: Layout) -> None:
    """Raise FileError if a format can't hold such results.

    Raises
    ------
    FileError
        If their dtype, the number of their axes or their coordinates are none of the format's.
    """
    dtype = layout.dtype
    for code in {dtype.kind, dtype.char.lower()}:
        if code in _NOT_HELD.get(kind, {}):
            raise FileError(
                f"{_NOT_HELD[kind][code]} ({dtype}) can't be written as {kind}. Write .npy"
                f"{' or Zarr' if code not in _NOT_HELD['zarr'] else ''}."
            )
    if kind == "geotiff":
        if len(layout.shape) != 2:
            raise FileError(
                f"a GeoTIFF holds two axes; the result has {len(layout.shape)}. Write Zarr or "
                "NetCDF."
            )
        if len({*layout.shifts}) > 1:
            raise FileError(
                "a GeoTIFF has one place for all bands; with --stagger each derivative lies on its "
                "own faces. Choose one with --axis, or write Zarr or NetCDF."
            )
        find_map(layout)


def written_dtype(kind: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which a format holds results: float32 where it has no float16."""
    return np.dtype("f4") if dtype.char == "e" and kind in ("netcdf", "geotiff") else dtype


def find_map(layout: Layout) -> dict[str, Any]:
    """Return the ``transform`` and the ``crs`` of a GeoTIFF of results, as far as they are known.

    Raises
    ------
    FileError
        If coordinates are not evenly spaced.
    """
    if layout.place:
        a, b, c, d, e, f = layout.place["transform"]
        down, right = layout.shifts[0] if layout.shifts else (0.0, 0.0)
        moved = (a, b, c + a * right + b * down, d, e, f + d * right + e * down)
        return {**layout.place, "transform": moved}
    dims = layout.dims[0]
    if not all(dim in layout.coordinates for dim in dims):
        return {}
    (dy, y), (dx, x) = (_find_step(dim, layout.coordinates[dim].values) for dim in dims)
    transform = dx, 0.0, x - dx / 2, 0.0, dy, y - dy / 2
    units = [str(layout.coordinates[dim].attrs.get("units")) for dim in dims]
    crs = {"crs": "EPSG:4326"} if units == ["degrees_north", "degrees_east"] else {}
    return {"transform": transform, **crs}


def _find_step(dim: str, x: Values) -> tuple[float, float]:
    """Return the distance between evenly spaced coordinates, and the first of them."""
    if x.dtype.kind in "iuf":
        x = x.astype(np.float64)
        step = float(x[-1] - x[0]) / max(x.size - 1, 1) or 1.0
        if np.abs(np.diff(x) - step).max(initial=0.0) <= 1e-3 * abs(step):  # float32 is as rough
            return step, float(x[0])
    raise FileError(
        f"a GeoTIFF needs evenly spaced coordinates; those along {dim} are not. Write Zarr or "
        "NetCDF."
    )


def describe_file(layout: Layout) -> dict[str, str]:
    """Return what a file of results says of itself."""
    return {"Conventions": "CF-1.8"} | ({"history": layout.history} if layout.history else {})


def with_coordinates(
    layout: Layout, dims: Sequence[str], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return attributes of a result that name its coordinates, but not its axes' own."""
    plain = as_attributes(attributes)
    named = [
        name
        for name, coordinate in layout.coordinates.items()
        if name not in dims and {*coordinate.dims} <= {*dims} and name != plain.get("grid_mapping")
    ]
    return plain | ({"coordinates": " ".join(named)} if named else {})


def missing_value(dtype: np.dtype[Any]) -> Any:
    """Return what stands for a result that is not there."""
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    return np.array("NaT", dtype)[()] if dtype.kind in "mM" else dtype.type(0)


def as_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as any format can hold them."""
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in attributes.items()
        if isinstance(value, (str, int, float, np.generic))
    }


def encode_coordinate(coordinate: Coordinate) -> tuple[Values, dict[str, Any]]:
    """Return a coordinate as numbers or text: dates as seconds, as the CF conventions say it."""
    values, attributes = coordinate.values, as_attributes(coordinate.attrs)
    if values.dtype.kind == "M":
        since = values.astype("datetime64[ns]")
        dates = since[~np.isnat(since)]
        start = dates.flat[0].astype("datetime64[s]") if dates.size else np.datetime64(0, "s")
        seconds = (since - start) / np.timedelta64(1, "s")
        return seconds, attributes | {"units": f"seconds since {start}", "calendar": "standard"}
    if values.dtype.kind == "m":
        if " since " not in str(attributes.get("units")):
            attributes |= {"units": "seconds"}
        return values / np.timedelta64(1, "s"), attributes
    return (values.astype("i1") if values.dtype.kind == "b" else values), attributes
