"""Fields in files: `.npy`, `.npz`, Zarr, NetCDF and GeoTIFF, read window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpugrad._files.errors import FileError
from gpugrad._files.raw import Window

Values = np.ndarray[Any, Any]

SUFFIXES = {
    ".npy": "npy",
    ".npz": "npz",
    ".zarr": "zarr",
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".cdf": "netcdf",
    ".h5": "netcdf",
    ".tif": "geotiff",
    ".tiff": "geotiff",
    ".png": "image",
    ".jpg": "image",
    ".jpeg": "image",
}
"""What the end of a path says of its format."""

_READ_ONLY = ("npz", "image")
"""Formats that are read, but not written."""


@dataclass(frozen=True)
class Coordinate:
    """A coordinate in a file, which is read when it is written beside results.

    Attributes
    ----------
    dims : tuple of str
        The names of its axes.
    read : callable
        Returns its values.
    attrs : dict
        What the file says of it.
    nbytes : int
        How much memory it takes.
    """

    dims: tuple[str, ...]
    read: Callable[[], Values]
    attrs: Mapping[str, Any]
    nbytes: int

    @property
    def values(self) -> Values:
        return self.read()


@dataclass(frozen=True)
class Source:
    """A field in a file.

    Attributes
    ----------
    path : pathlib.Path
        The file, or the folder of a Zarr store.
    name : str
        The variable's name; empty in a file of one nameless array.
    shape : tuple of int
    dtype : numpy.dtype
        Of what is read, in the machine's byte order.
    read : callable
        ``read(window, into)`` fills an array of the window's shape.
    dims : tuple of str
        The axes' names; ``axis0``, ``axis1``, ... where the file has none.
    coordinates : dict
        The 1-D coordinates of axes, by the name of the axis; some axes may have none.
    beside : dict
        Other coordinates, which are no spacings: of several axes, of none, or texts.
    attributes : dict
        What the file says of the variable, its units among it.
    chunks : tuple of int
        The shape of the chunks in which the file holds it; ones if it has none.
    slowest_first : tuple of int
        The axes in the order in which the file has them.
    unknown_spacing : dict
        For axes whose coordinates in the file are no spacing, why they are none.
    place : dict
        Where a GeoTIFF lies: its ``transform`` and ``crs``.
    steps : dict
        For axes that are known to be even, the distance between samples.
    mapping : dict
        What the file says of the projection, in the words of the CF conventions.
    history : str
        How the file was made.
    notes : tuple of str
        What was decided when the field was opened, in sentences for who asked.
    held_bytes : int
        How much memory is taken as long as the file is open: all of what is read only as a whole.
    piece_bytes : int
        How large the largest piece is that a library decodes at a time.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Window, Values], None]
    dims: tuple[str, ...] = ()
    coordinates: Mapping[str, Values] = field(default_factory=dict)
    beside: Mapping[str, Coordinate] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    coordinate_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    chunks: tuple[int, ...] = ()
    slowest_first: tuple[int, ...] = ()
    unknown_spacing: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    mapping: Mapping[str, Any] = field(default_factory=dict)
    history: str = ""
    notes: tuple[str, ...] = ()
    held_bytes: int = 0
    piece_bytes: int = 0

    def __post_init__(self) -> None:
        axes = tuple(range(len(self.shape)))
        object.__setattr__(self, "dims", self.dims or tuple(f"axis{i}" for i in axes))
        object.__setattr__(self, "chunks", self.chunks or (1,) * len(axes))
        object.__setattr__(self, "slowest_first", self.slowest_first or axes)

    @property
    def label(self) -> str:
        return f"{self.name} in {self.path}" if self.name else str(self.path)

    def pick(self, i: int) -> Source:
        """Return what lies at one place of the first axis, as a field of its own."""

        def read(window: Window, into: Values) -> None:
            self.read((slice(i, i + 1), *window), into[None])

        return replace(
            self,
            name=f"{self.name or 'component'}{i}",
            shape=self.shape[1:],
            dims=self.dims[1:],
            read=read,
            chunks=self.chunks[1:],
            slowest_first=tuple([axis - 1 for axis in self.slowest_first if axis]),
            held_bytes=self.held_bytes // self.shape[0],
            beside={
                name: coordinate
                for name, coordinate in self.beside.items()
                if self.dims[0] not in coordinate.dims
            },
        )


def format_of(path: Path, written: bool = False) -> str:
    """Return the name of the format of a file that is read, or is to be written.

    Raises
    ------
    FileError
        If it is none of those known.
    """
    kind = SUFFIXES.get(path.suffix.lower()) or ("zarr" if is_zarr(path) else None)
    refused = _READ_ONLY if written else ()
    if kind and kind not in refused:
        return kind
    suffixes = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind not in refused)
    cure = (
        f" A {path.suffix} file is read, but not written: write .npy, which has several results on "
        "a new first axis, or .nc, which has them by name."
    )
    what = "the path to write" if written else "the path"
    raise FileError(f"{what} must end in one of {suffixes}; got {path}.{cure if kind else ''}")


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr store."""
    return any((path / name).exists() for name in ("zarr.json", ".zarray", ".zgroup"))


def choose_variables(path: Path, names: tuple[str, ...], variables: list[str]) -> list[str]:
    """Return the variables to open."""
    listed = ", ".join(variables) or "none"
    missing = [name for name in names if name not in variables]
    if missing:
        raise FileError(f"{path} has no variable {missing[0]}; it has: {listed}.")
    if names:
        return [*names]
    if len(variables) != 1:
        raise FileError(f"--var must name a variable of {path}; it has: {listed}.")
    return variables


def in_one_line(error: BaseException) -> str:
    """Return what an error says, without line breaks and the full stop."""
    return (" ".join(str(error).split()) or type(error).__name__).rstrip(".")
