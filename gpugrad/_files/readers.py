"""Opening the arrays of a file, of whatever format: a source for each."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gpugrad._files.errors import FileError
from gpugrad._files.raw import PIECE_BYTES, Window, check_whole, cut_pieces, open_npy, shape_of
from gpugrad._files.source import Source, Values, choose_variables, format_of

_NUMBERS = "iufcmM"
"""Kinds of dtypes that have differences."""


def open_sources(
    path: Path, names: tuple[str, ...], memory: float, files: ExitStack
) -> list[Source]:
    """Open the variables of a file, all one or those that are named.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    names : tuple of str
        The variables; may be empty where the file has only one.
    memory : float
        How many bytes may be taken for what can be read only as a whole. Libraries decode an
        eighth of this at a time, or one chunk.
    files : contextlib.ExitStack
        Closes, in the end, what is opened here.

    Raises
    ------
    FileError
        If the file is missing, damaged or of another format than its name says, or if it has not
        the variables asked for.
    """
    if not path.exists():
        raise FileError(f"{path} does not exist.")
    kind = format_of(path)
    if kind != "zarr" and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or a device, which can be read but once"
        raise FileError(f"{path} must be a file; it is {what}.")
    sources = _open_format(path, kind, names, memory, files)
    for source in sources:
        if not source.shape:
            raise FileError(f"{source.label} must have an axis; it holds a single number.")
        if 0 in source.shape:
            dim = source.dims[source.shape.index(0)]
            raise FileError(f"{source.label} must hold samples; it has none along {dim}.")
        if source.dtype.kind not in _NUMBERS:
            cure = " Convert it first, for example to int8." if source.dtype.kind == "b" else ""
            raise FileError(f"{source.label} must hold numbers; it holds {source.dtype}.{cure}")
    return sources


def _open_format(
    path: Path, kind: str, names: tuple[str, ...], memory: float, files: ExitStack
) -> list[Source]:
    try:
        if kind == "npy":
            if names:
                raise FileError(f"{path} has one array without a name; leave --var out.")
            file = files.enter_context(path.open("rb", buffering=0))
            return [_open_raw(path, "", file, 0, path.stat().st_size)]
        if kind == "npz":
            return _open_npz(path, names, memory, files)
        from gpugrad._files import datasets

        if kind in ("geotiff", "image"):
            return datasets.open_geotiff(path, names, memory, files)
        return datasets.open_dataset(path, kind, names, memory, files)
    except PermissionError as error:
        raise FileError(f"{path} can't be read: {error.strerror}.") from error


def _open_raw(path: Path, name: str, file: BinaryIO, start: int, size: int) -> Source:
    """Open the `.npy` that begins at `start` in a file and ends at `size`."""
    array, reverse = open_npy(path, file, start)
    check_whole(path, array, size)
    native = array.dtype.newbyteorder("=")

    def read(window: Window, into: Values) -> None:
        if reverse:
            window, into = window[::-1], into.T
        if array.dtype == native:
            array.read(window, into)
            return
        ones = (1,) * len(window)
        for piece, place in cut_pieces(window, ones, PIECE_BYTES // native.itemsize):
            foreign = np.empty(shape_of(piece), array.dtype)
            array.read(piece, foreign)
            into[place] = foreign

    order = tuple(range(len(array.shape)))
    if not reverse:
        return Source(path, name, array.shape, native, read)
    return Source(path, name, array.shape[::-1], native, read, slowest_first=order[::-1])


def _open_npz(path: Path, names: tuple[str, ...], memory: float, files: ExitStack) -> list[Source]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise FileError(f"{path} is no .npz file, or is truncated: {error}.") from error
    with archive:
        members = {
            info.filename.removesuffix(".npy"): info
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        return [
            _open_member(path, archive, name, members[name], memory, files)
            for name in choose_variables(path, names, [*members])
        ]


def _open_member(
    path: Path,
    archive: zipfile.ZipFile,
    name: str,
    info: zipfile.ZipInfo,
    memory: float,
    files: ExitStack,
) -> Source:
    if info.compress_type == zipfile.ZIP_STORED:
        with _refuse_damage(path, name), archive.open(info) as member:
            while member.read(1 << 22):  # once, for its sum alone
                pass
        file = files.enter_context(path.open("rb", buffering=0))
        # After the local header, whose two lengths of names stand at its byte 26.
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
        start = info.header_offset + 30 + int(lengths.sum())
        return _open_raw(path, name, file, start, start + info.file_size)
    if info.file_size > memory:
        raise FileError(
            f"{name} in {path} is compressed as a whole and takes {info.file_size} bytes of "
            f"memory; at most {int(memory)} are allowed. Save it as .npy, or raise --memory."
        )
    with _refuse_damage(path, name), archive.open(info) as member:
        values = np.lib.format.read_array(member, allow_pickle=False)

    def read(window: Window, into: Values) -> None:
        into[...] = values[window]

    native = values.dtype.newbyteorder("=")
    return Source(path, name, values.shape, native, read, held_bytes=values.nbytes)


@contextmanager
def _refuse_damage(path: Path, name: str) -> Iterator[None]:
    """Say that a member of an archive is damaged, where reading it fails.

    Each way of compression has errors of its own, and so has a header that asks for a password.
    """
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: decompression has errors without a number
        raise FileError(f"{name} in {path} is damaged: {error}.") from error
