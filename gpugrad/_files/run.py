"""The run: what to do block by block, what is done already, and the move to the place at the end.

What is written lies in a folder beside the result, with a journal, until it is whole.
"""

from __future__ import annotations

import errno
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpugrad._engines.windows import find_reach
from gpugrad._files.blocks import (
    BLOCK_BYTES,
    Block,
    choose_shape,
    cut_blocks,
)
from gpugrad._files.errors import FileError
from gpugrad._files.job import Job, Progress
from gpugrad._files.journal import Journal, check_free
from gpugrad._files.operators import Request, Work, as_components, plan_work
from gpugrad._files.raw import Window, as_bytes
from gpugrad._files.sources import Source, format_of, open_sources
from gpugrad._files.targets import Layout, Target, bytes_beside, move, open_target

OWN_BYTES = 180 << 20
"""What Python and the libraries take of memory, before any field."""

CHUNK_BYTES = 4 << 20
"""How large chunks are written where what is read has none."""


@dataclass(frozen=True)
class Summary:
    """What was done: the results' names, how many blocks, and how many of them before."""

    out: Path
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    blocks: int
    found: int
    nbytes: int


def differentiate(
    path: Path,
    out: Path,
    names: tuple[str, ...] = (),
    request: Request = Request(),  # noqa: B008 - immutable
    memory: float = 2e9,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Differentiate what is in a file, in bounded memory, into another file.

    Parameters
    ----------
    path, out : pathlib.Path
        What to read, and what to write.
    names : tuple of str
        The variables to read.
    request : Request
        What to compute.
    memory : float
        How many bytes the process may take.
    overwrite : bool
        Whether `out` may exist, and what is unfinished may be thrown away.
    resume : bool
        Whether to go on with what was begun before.
    progress : callable, optional
        Told what earlier runs have done, and then after each block.

    Returns
    -------
    Summary

    Raises
    ------
    FileError
        If something is wrong with the files; what has been written so far is kept.
    TypeError, ValueError, BackendError
        As the operators raise them.
    """
    beside = out.with_name(out.name + ".partial")
    _check_place(out, beside, overwrite, resume)
    with ExitStack() as files, _nothing_lost(beside):
        fields = as_components(open_sources(path, names, memory / 4, files), request.operator)
        run = _prepare(fields, request, out, memory)
        begun = beside.exists() and resume
        if not begun:
            _clear(beside)
            _check_space(out.parent, bytes_beside(run.kind, run.layout))
        beside.mkdir(exist_ok=True)
        journal = files.enter_context(closing(Journal(beside / "journal", run.identity)))
        files.push(partial(_leave_nothing_empty, beside))
        found = set(journal.done)
        if not (journal.is_finished and not any(beside.glob("data.*")) and out.exists()):
            if out.exists() and not overwrite:
                raise FileError(
                    f"{out} exists, and what goes on would replace it. Pass --overwrite --resume."
                )
            found = _finish(run, beside, out, journal, files, progress)
    shutil.rmtree(beside)
    layout = run.layout
    return Summary(
        out, layout.names, layout.shape, layout.dtype.name, len(run.blocks), len(found),
        layout.nbytes,
    )  # fmt: skip


class Run(NamedTuple):
    """What a run consists of, before anything is written."""

    fields: list[Source]
    work: Work
    backend: str | None
    kind: str
    blocks: list[Block]
    layout: Layout
    identity: dict[str, Any]


def _prepare(fields: list[Source], request: Request, out: Path, memory: float) -> Run:
    kind = format_of(out)
    work = plan_work(fields, request)
    shape, blocks, units = _cut(fields, work, kind, memory)
    layout = _lay_out(fields[0], work, units)
    identity = _identify(fields, request, shape, layout)
    return Run(fields, work, request.backend, kind, blocks, layout, identity)


def _finish(
    run: Run, beside: Path, out: Path, journal: Journal, files: ExitStack, progress: Progress | None
) -> set[int]:
    """Do what is not done yet; return the blocks that were."""
    target = open_target(run.kind, beside, run.layout, bool(journal.done), files)
    found = _check_done(target, run.layout, run.blocks, journal)
    left = [block for block in run.blocks if block.number not in found]
    Job(run.fields, run.work, run.backend, target, journal, run.layout).run(left, progress)
    made = target.finish()
    journal.finish()
    move(made, out)
    return found


def _cut(
    fields: Sequence[Source], work: Work, kind: str, memory: float
) -> tuple[tuple[int, ...], list[Block], tuple[int, ...]]:
    """Return the shape of the blocks, the blocks, and the chunks in which to write them."""
    f = fields[0]
    dtype = work.find_dtype(f)
    # Read into one buffer while another is computed; what is decoded or encoded passes a third.
    decoded = any(n > 1 for n in f.chunks)
    sample = len(fields) * f.dtype.itemsize * (3 if decoded else 2)
    sample += len(work.names) * dtype.itemsize * (3 if kind == "zarr" else 2)
    if any(plan.alternatives for plan in work.plans):
        sample += len(fields) + 1  # where samples are valid, and how it is found
    along = [[plan for plan in work.plans if plan.axis == i] for i in range(len(f.shape))]
    reaches = [*map(find_reach, along)]  # what ends need is at most about as much
    budget = min(memory - OWN_BYTES, BLOCK_BYTES * sample / f.dtype.itemsize)
    units = _choose_units(f, kind, min(CHUNK_BYTES // dtype.itemsize, int(budget / sample) // 8))
    try:
        shape = choose_shape(f.shape, units, f.slowest_first, reaches, sample, budget)
    except MemoryError as error:
        needed = error.args[0] + OWN_BYTES
        raise FileError(
            f"--memory must be at least {_in_megabytes(needed)} for one block of {f.label}, in "
            f"chunks of {units}; got {_in_megabytes(memory)}."
        ) from error
    return shape, [*cut_blocks(f.shape, shape, f.slowest_first, work.plans)], units


def _choose_units(f: Source, kind: str, size: int) -> tuple[int, ...]:
    """Return what blocks must be multiples of: the chunks to read, in some formats to write.

    Chunks to write that are not those of what is read have about `size` samples.
    """
    if kind not in ("zarr", "netcdf") or any(n > 1 for n in f.chunks):
        return tuple(min(c, n) for c, n in zip(f.chunks, f.shape, strict=True))
    units = [1] * len(f.shape)
    for axis in reversed(f.slowest_first):  # whole rows as far as they go
        units[axis] = max(1, min(f.shape[axis], size))
        size //= units[axis]
    return tuple(units)


def _lay_out(f: Source, work: Work, units: tuple[int, ...]) -> Layout:
    coordinates = {dim: f.coordinates[dim] for dim in f.dims if dim in f.coordinates}
    dtype = work.find_dtype(f)
    return Layout(
        work.names, f.shape, dtype, f.dims, units, coordinates, work.attributes,
        f.coordinate_attributes, f.place,
    )  # fmt: skip


def _identify(
    fields: Sequence[Source], request: Request, block: tuple[int, ...], layout: Layout
) -> dict[str, Any]:
    """Return what must be the same for a run to go on with what another has begun."""
    path = fields[0].path
    status = path.stat()
    work = {key: value for key, value in asdict(request).items() if key != "backend"}
    return {
        "input": str(path.resolve()),
        "input's size": status.st_size,
        "input's time of change": status.st_mtime_ns,
        "variables": [f.name for f in fields],
        **{f"option {key}": value for key, value in work.items()},
        "shape": layout.shape,
        "dtype": layout.dtype.str,
        "block": block,
    }


def _check_place(out: Path, beside: Path, overwrite: bool, resume: bool) -> None:
    if out.exists() and not overwrite and not (resume and beside.exists()):
        raise _exists(out)
    if beside.exists() and not (overwrite or resume):
        raise FileError(
            f"{beside} holds what an earlier run has left unfinished. Pass --resume to go on, or "
            "--overwrite to begin again."
        )
    if not out.parent.is_dir():
        raise FileError(f"the folder {out.parent} does not exist. Make it, or choose another.")


def _leave_nothing_empty(beside: Path, *error: object) -> None:
    """Remove what an error has left behind before a first block was done."""
    journal = beside / "journal"
    lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
    if error[0] is not None and lines < 2:
        shutil.rmtree(beside)


def _exists(out: Path) -> FileError:
    return FileError(f"{out} exists. Pass --overwrite to replace it, or another name.")


def _clear(beside: Path) -> None:
    if beside.exists():
        check_free(beside / "journal")
        shutil.rmtree(beside)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FileError(
            f"{_in_megabytes(needed)} must be free in {folder.resolve()}; there are "
            f"{_in_megabytes(free)}. Free some, or choose another place."
        )


def _check_done(
    target: Target, layout: Layout, blocks: Sequence[Block], journal: Journal
) -> set[int]:
    """Return the blocks that are done: those whose bytes have the checksums in the journal."""
    lost = set()
    for block in blocks:
        if (
            block.number in journal.done
            and _checksums(target, layout, block.window) != (journal.done[block.number])
        ):
            lost.add(block.number)
    if lost:
        journal.forget(lost)
    return set(journal.done)


def _checksums(target: Target, layout: Layout, window: Window) -> list[int]:
    values = np.empty([part.stop - part.start for part in window], layout.dtype)
    sums = []
    for number in range(len(layout.names)):
        try:
            target.read(number, window, values)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not done
            return []
        sums.append(zlib.crc32(as_bytes(values)))
    return sums


@contextmanager
def _nothing_lost(beside: Path) -> Iterator[None]:
    """Turn errors of the system into errors that say what has become of the work."""
    try:
        yield
    except OSError as error:
        kept = f"What is done is kept in {beside}; --resume goes on from there."
        if error.errno == errno.ENOSPC:
            raise FileError(f"the disk is full. Free some space. {kept}") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise FileError(
                f"{error.filename or beside} can't be written: {error.strerror}."
            ) from error
        raise FileError(f"{error}. {kept}") from error


def _in_megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"
