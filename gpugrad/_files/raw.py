"""Arrays in `.npy` files, read and written region by region without being mapped.

A mapped file counts as memory of the process, under limits too, and a full disk kills whoever
writes to it. Plain reads and writes have neither trouble.
"""

from __future__ import annotations

import errno
import math
import os
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from operator import mul
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gpugrad._files.errors import FileError

Window = tuple[slice, ...]
"""A stretch of each axis, with start and stop, every sample of it."""

PIECE_BYTES = 1 << 23
"""How much is converted at a time, where all of a block need not be."""


def shape_of(window: Window) -> tuple[int, ...]:
    """Return the shape of a window."""
    return tuple([rows.stop - rows.start for rows in window])


@dataclass(eq=False)
class RawArray:
    """An array in a file, contiguous in C order from some byte on.

    Not for several threads at once.
    """

    file: BinaryIO
    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, window: Window, into: np.ndarray[Any, Any]) -> None:
        """Read a window into an array of its shape and of this dtype."""
        for start, index in self._find_runs(window):
            target = into[index]
            buffer = target if target.flags.c_contiguous else np.empty_like(target, order="C")
            view = as_bytes(buffer)
            self.file.seek(start)
            while view:
                count = self.file.readinto(view)  # type: ignore[attr-defined]
                if not count:
                    raise FileError(f"{self.file.name} is shorter than its header says.")
                view = view[count:]
            if buffer is not target:
                target[...] = buffer

    def write(self, window: Window, values: np.ndarray[Any, Any]) -> None:
        """Write an array of the shape of a window."""
        for start, index in self._find_runs(window):
            view = as_bytes(np.asarray(values[index], self.dtype))
            self.file.seek(start)
            while view:
                view = view[self.file.write(view) :]

    def _find_runs(self, window: Window) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the places in the file of contiguous runs, and their indices in the window."""
        lengths = shape_of(window)
        if not all(lengths):
            return
        inner = len(window)  # the axes from here on are read as a whole
        while inner and lengths[inner - 1] == self.shape[inner - 1]:
            inner -= 1
        # A run goes through these axes, and a stretch of the one before them.
        outer = window[: max(inner - 1, 0)]
        strides = [self.dtype.itemsize * math.prod(self.shape[i + 1 :]) for i in range(len(window))]
        first = self.offset + sum(map(mul, [rows.start for rows in window], strides))
        for index in product(*map(range, shape_of(outer))):
            yield first + sum(map(mul, index, strides)), index


def cut_pieces(window: Window, chunks: Sequence[int], most: int) -> Iterator[tuple[Window, Window]]:
    """Yield pieces of a window, each with its place in the window.

    Pieces end where chunks end. A piece has `most` samples at most, unless a chunk has more.
    """
    steps = [*chunks]
    size = math.prod(steps)
    for axis in reversed(range(len(steps))):
        rows, step = window[axis], steps[axis]
        touched = -(-rows.stop // step) - rows.start // step
        times = max(1, min(most // size, touched))
        steps[axis] *= times
        size *= times
    cuts = []
    for rows, step in zip(window, steps, strict=True):
        ends = range(rows.start // step * step + step, rows.stop, step)
        cuts.append([slice(a, b) for a, b in pairwise([rows.start, *ends, rows.stop])])
    for piece in product(*cuts):
        places = zip(piece, window, strict=True)
        yield piece, tuple(slice(a.start - w.start, a.stop - w.start) for a, w in places)


def compute_checksum(values: np.ndarray[Any, Any], before: int = 0) -> int:
    """Return the CRC-32 of the bytes of an array in C order, without a copy of all of them."""
    if values.flags.c_contiguous or values.nbytes <= PIECE_BYTES:
        return zlib.crc32(as_bytes(values), before)
    step = max(1, len(values) * PIECE_BYTES // values.nbytes)
    for i in range(0, len(values), step):
        before = compute_checksum(values[i] if step == 1 else values[i : i + step], before)
    return before


def as_bytes(values: np.ndarray[Any, Any]) -> memoryview:
    """Return the bytes of an array in C order, without a copy if they lie so."""
    raw: Any = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return memoryview(raw)


def open_npy(path: Path, file: BinaryIO, start: int = 0) -> tuple[RawArray, bool]:
    """Return the array in a `.npy` file, and whether it lies there in Fortran order.

    In Fortran order the axes of what is returned are reversed. `start` is where the `.npy` begins
    in the file.
    """
    file.seek(start)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version} of the format is unknown")
        read_header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read_header = np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
    except (ValueError, tokenize.TokenError) as error:
        raise FileError(f"{path} is not a .npy file that can be read: {error}.") from error
    if dtype.hasobject:
        raise FileError(f"{path} must hold numbers; it holds Python objects.")
    array = RawArray(file, file.tell(), shape[::-1] if fortran else shape, dtype)
    return array, fortran and len(shape) > 1


def check_whole(path: Path, array: RawArray, size: int) -> None:
    """Raise FileError where a file of `size` bytes ends before its array does."""
    needed = array.offset + array.nbytes
    if size < needed:
        raise FileError(
            f"{path} is truncated: {needed} bytes are needed for shape {array.shape} and "
            f"{array.dtype}; it has {size}. Copy or make it again."
        )


def create_npy(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> RawArray:
    """Write the header of a `.npy` file and reserve the space for its array."""
    header = np.lib.format.header_data_from_array_1_0(np.empty(0, dtype))
    np.lib.format.write_array_header_1_0(file, header | {"shape": shape})
    array = RawArray(file, file.tell(), shape, dtype)
    reserve_space(file, array.offset + array.nbytes)
    return array


def reserve_space(file: BinaryIO, size: int) -> None:
    """Make a file `size` bytes long and take the space now, where the system can."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        file.truncate(size)
