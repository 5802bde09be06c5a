"""Results in files: written block by block beside where they are to be, moved there when whole."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gpugrad._files.errors import EXTRA, need
from gpugrad._files.joins import import_h5netcdf, import_rasterio, join_geotiff, join_netcdf
from gpugrad._files.layout import (
    Layout,
    check_format,
    describe_file,
    encode_coordinate,
    missing_value,
    with_coordinates,
)
from gpugrad._files.raw import PIECE_BYTES, RawArray, Window, create_npy, cut_pieces, open_npy
from gpugrad._files.source import Values


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

    def __init__(self, folder: Path, layout: Layout, go_on: bool, files: ExitStack) -> None:
        self._path = folder / "data.npy"
        self._is_stacked = len(layout.names) > 1
        shape = (len(layout.names), *layout.shape) if self._is_stacked else layout.shape
        self._array = _open_raw(self._path, shape, layout.dtype, go_on, files)

    def _place(self, number: int, window: Window, values: Values) -> tuple[Window, Values]:
        if not self._is_stacked:
            return window, values
        return (slice(number, number + 1), *window), values[None]

    def write(self, number: int, window: Window, values: Values) -> None:
        self._array.write(*self._place(number, window, values))

    def read(self, number: int, window: Window, into: Values) -> None:
        self._array.read(*self._place(number, window, into))

    def finish(self) -> Path:
        # On the disk before it is moved to its place: whatever fails then, what is there is whole.
        os.fsync(self._array.file.fileno())
        self._array.file.close()
        return self._path


class _Joined:
    """A `.npy` file for each result, to be put together in another format at the end."""

    def __init__(
        self, folder: Path, layout: Layout, go_on: bool, files: ExitStack, join: Callable[..., None]
    ) -> None:
        self._folder, self._layout, self._join = folder, layout, join
        self._arrays = [
            _open_raw(folder / f"{i}.npy", layout.shape, layout.dtype, go_on, files)
            for i in range(len(layout.names))
        ]

    def write(self, number: int, window: Window, values: Values) -> None:
        self._arrays[number].write(window, values)

    def read(self, number: int, window: Window, into: Values) -> None:
        self._arrays[number].read(window, into)

    def finish(self) -> Path:
        joined = self._folder / "joined"
        joined.unlink(missing_ok=True)
        self._join(joined, self._layout, self._arrays)
        for array in self._arrays:
            array.file.close()
        _bring_to_disk(joined)
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
        group.attrs.update(describe_file(layout))
        for name, coordinate in layout.coordinates.items():
            values, attributes = encode_coordinate(coordinate)
            with warnings.catch_warnings(action="ignore"):  # not all readers of Zarr know texts
                created = group.create_array(
                    name, shape=values.shape, dtype=values.dtype, dimension_names=coordinate.dims,
                    attributes=attributes, fill_value="" if values.dtype.kind == "U" else 0,
                )  # fmt: skip
                created[...] = values
        self._arrays = [
            group.create_array(
                name, shape=layout.shape, dtype=layout.dtype, chunks=layout.chunks,
                dimension_names=dims, attributes=with_coordinates(layout, dims, attributes),
                compressors=[Crc32cCodec()], fill_value=missing_value(layout.dtype),
            )
            for name, dims, attributes in zip(
                layout.names, layout.dims, layout.attributes, strict=True
            )
        ]  # fmt: skip

    def write(self, number: int, window: Window, values: Values) -> None:
        array = self._arrays[number]
        for piece, place in cut_pieces(window, array.chunks, PIECE_BYTES // values.itemsize):
            array[piece] = values[place]

    def read(self, number: int, window: Window, into: Values) -> None:
        into[...] = self._arrays[number][window]

    def finish(self) -> Path:
        import zarr

        with warnings.catch_warnings(action="ignore"):  # not all readers of Zarr know this metadata
            zarr.consolidate_metadata(self._path)
        for path in self._path.rglob("*"):
            if path.is_file():
                _bring_to_disk(path)
        return self._path


def open_target(kind: str, folder: Path, layout: Layout, go_on: bool, files: ExitStack) -> Target:
    """Create what is to be written in a folder, or open what is there already.

    Raises
    ------
    FileError
        If the format can't hold such results, or its library is missing.
    """
    check_format(kind, layout)
    if kind == "npy":
        return _Npy(folder, layout, go_on, files)
    if kind == "zarr":
        return _Zarr(folder, layout, go_on)
    need_library, join = {
        "netcdf": (import_h5netcdf, join_netcdf),
        "geotiff": (import_rasterio, join_geotiff),
    }[kind]
    need_library()
    return _Joined(folder, layout, go_on, files, join)


def bytes_beside(kind: str, layout: Layout) -> int:
    """Return how much disk the results take at most until they are whole."""
    return layout.nbytes * (1 if kind in ("npy", "zarr") else 2)


def move_result(result: Path, out: Path) -> None:
    """Put a result in its place; where a file is there, in one step."""
    # No system replaces a folder in one step, so the old one is kept until the new one is there.
    if out.is_dir() and not out.is_symlink():
        old = result.parent / "replaced"
        os.replace(out, old)
        os.replace(result, out)
        shutil.rmtree(old)
    else:
        os.replace(result, out)


def _bring_to_disk(path: Path) -> None:
    with open(path, "r+b") as file:  # Windows refuses what is open for reading alone
        os.fsync(file.fileno())


def _open_raw(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], go_on: bool, files: ExitStack
) -> RawArray:
    file = files.enter_context(path.open("r+b" if go_on else "w+b", buffering=0))
    return open_npy(path, file)[0] if go_on else create_npy(file, shape, dtype)
