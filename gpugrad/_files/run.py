"""The run: what to do block by block, what is done already, and the move to the place at the end.

What is written lies in a folder beside the result, with a journal, until it is whole.
"""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpugrad._files.blocks import BLOCK_BYTES, Block, choose_shape, choose_units, cut_blocks
from gpugrad._files.errors import FileError
from gpugrad._files.job import Job, Progress
from gpugrad._files.journal import Journal, check_free
from gpugrad._files.layout import Layout, check_format
from gpugrad._files.raw import PIECE_BYTES, Window, compute_checksum, shape_of
from gpugrad._files.readers import open_sources
from gpugrad._files.request import FileRequest
from gpugrad._files.seams import DoublingTarget
from gpugrad._files.source import Source, format_of, is_zarr
from gpugrad._files.targets import Target, bytes_beside, move_result, open_target
from gpugrad._files.work import Work, as_components, plan_work
from gpugrad._stencils import find_reach
from gpugrad._version import find_version

OWN_BYTES = 180 << 20
"""What Python and the libraries take of memory, before any field."""

LIBRARY_BYTES = {"netcdf": 56 << 20, "zarr": 56 << 20, "geotiff": 40 << 20,
                 "image": 40 << 20}  # fmt: skip
"""What the libraries of a format take besides, to read it or to write it."""

COPIES = 4
"""How often a piece is in memory while a library decodes or encodes it.

As it is in the file, decoded, and put together; and once more in what the system's allocator keeps
for the threads of the library.
"""

SLAB_BYTES = 32 << 20
"""What formulas on a sphere take besides: some arrays of the size of a slab."""


@dataclass(frozen=True)
class Summary:
    """What was done: the results' names, how many blocks, and how many of them before.

    `missing` of `samples` were not there (NaN, or what a file calls missing), and
    `missing_results` of the results are not. `notes` are sentences for who asked.
    """

    out: Path
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    blocks: int
    blocks_before: int
    nbytes: int
    fields: int = 1
    samples: int = 0
    missing: int = 0
    missing_results: int = 0
    notes: tuple[str, ...] = ()


def differentiate(
    path: Path,
    out: Path,
    names: tuple[str, ...] = (),
    request: FileRequest = FileRequest(),  # noqa: B008 - immutable
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
    folder = out.with_name(out.name + ".partial")
    _check_place(path, out, folder, overwrite, resume)
    with ExitStack() as files, _explain_errors(folder):
        fields = as_components(open_sources(path, names, memory / 4, files), request)
        run = _prepare_run(fields, request, out, memory)
        begun = folder.exists() and resume
        _make_folder(folder)
        # Whoever has the journal has the folder: what is in it is removed by nobody else.
        journal = Journal(folder / "journal", run.identity, anew=not begun)
        files.enter_context(closing(journal))
        files.push(partial(_remove_without_blocks, folder))
        if not begun:
            _check_space(out.parent, bytes_beside(run.kind, run.layout))
        done = set(journal.done)
        if not (journal.is_finished and not any(folder.glob("data.*")) and out.exists()):
            if out.exists() and not overwrite:
                raise FileError(
                    f"{out} exists, and what goes on would replace it. Pass --overwrite --resume."
                )
            done = _finish_run(run, folder, out, journal, files, progress)
        if os.name == "nt":  # where open files can't be removed
            journal.close()
        shutil.rmtree(folder)
    layout, missing = run.layout, [*journal.missing.values()]
    return Summary(
        out, layout.names, layout.shape, layout.dtype.name, len(run.blocks), len(done),
        layout.nbytes, len(fields), len(fields) * math.prod(layout.shape),
        sum(samples for samples, _ in missing), sum(results for _, results in missing),
        run.work.notes,
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


def _prepare_run(fields: list[Source], request: FileRequest, out: Path, memory: float) -> Run:
    kind = format_of(out, written=True)
    work = plan_work(fields, request)
    check_format(kind, _lay_out(fields, work, fields[0].chunks, request))
    shape, blocks, units = _cut_field(work, kind, memory)
    layout = _lay_out(fields, work, units, request)
    identity = _identify_run(fields, request, shape, layout)
    return Run(fields, work, request.backend, kind, blocks, layout, identity)


def _finish_run(
    run: Run, folder: Path, out: Path, journal: Journal, files: ExitStack, progress: Progress | None
) -> set[int]:
    """Do what is not done yet; return the blocks that were."""
    target = _open_target(run, folder, journal, files)
    for doubled in run.work.doubled:
        target = DoublingTarget(target, doubled)
    done = _check_done(target, run.layout, run.blocks, journal)
    blocks_left = [block for block in run.blocks if block.number not in done]
    Job(run.work, run.backend, target, journal, run.layout).run(blocks_left, progress)
    made = target.finish()
    path = run.fields[0].path
    if _describe_state(path) != run.identity[_STATE]:
        raise FileError(
            f"{path} was changed while it was read. Pass --overwrite to begin again, once it is "
            "whole."
        )
    if not (folder / "journal").exists():
        raise FileError(f"{folder} was removed by someone while it was written. Run it again.")
    journal.finish()
    move_result(made, out)
    return done


def _open_target(run: Run, folder: Path, journal: Journal, files: ExitStack) -> Target:
    """Open what was begun, or create it: also where it has been moved away since, or removed."""
    if journal.done:
        try:
            return open_target(run.kind, folder, run.layout, True, files)
        except FileNotFoundError:
            journal.forget({*journal.done})
    return open_target(run.kind, folder, run.layout, False, files)


def _cut_field(
    work: Work, kind: str, memory: float
) -> tuple[tuple[int, ...], list[Block], tuple[int, ...]]:
    """Return the shape of the blocks, the blocks, and the chunks in which to write them."""
    fields, sphere = work.fields, work.sphere
    f = fields[0]
    dtype = work.find_dtype(f)
    kinds = {format_of(f.path), kind}
    base_bytes = OWN_BYTES + sum(LIBRARY_BYTES.get(known, 0) for known in kinds)
    base_bytes += SLAB_BYTES + sphere.grid_bytes if sphere else 0
    # What is held whole, and the pieces that libraries decode: of one field at a time.
    base_bytes += sum(field.held_bytes for field in fields)
    base_bytes += COPIES * max(field.piece_bytes for field in fields)
    # Read into one buffer while another is computed, and written from one of two.
    sample = 2 * (len(fields) * f.dtype.itemsize + work.output_count * dtype.itemsize)
    if any(plan.alternatives for plan in work.plans):
        # Where samples are valid, of all that any stage reads, and how it is found.
        sample += len({term.field for term in work.terms}) + 1
    sample += len(fields) if sphere else 0
    reaches = [  # what ends need is at most about as much
        find_reach(plan for plan in work.plans if plan.axis == axis) for axis in range(len(f.shape))
    ]
    if sphere:
        reaches[sphere.rows.axis] = sphere.rows.reach
    # Zarr encodes a piece at a time, or a chunk where that is larger.
    piece_bytes = min(PIECE_BYTES, math.prod(f.shape) * dtype.itemsize) if kind == "zarr" else 0
    base_bytes += COPIES * piece_bytes
    budget = min(memory - base_bytes, BLOCK_BYTES * sample / f.dtype.itemsize)
    units = choose_units(
        f.shape, f.chunks, f.slowest_first, kind in ("zarr", "netcdf"), dtype.itemsize,
        int(budget / sample) // 8,
    )  # fmt: skip
    if kind == "zarr":
        larger_bytes = COPIES * max(math.prod(units) * dtype.itemsize - piece_bytes, 0)
        base_bytes, budget = base_bytes + larger_bytes, budget - larger_bytes
    # Where blocks of whole chunks do not fit, rows of the sphere may, though chunks are read again.
    ways = [sphere.widen(units), sphere.widen([1] * len(units))] if sphere else [units]
    for way in ways:
        try:
            shape = choose_shape(f.shape, way, f.slowest_first, reaches, sample, budget)
            break
        except MemoryError as error:
            if way is not ways[-1]:
                continue
            needed = error.args[0] + base_bytes
            raise FileError(
                f"--memory must be at least {_in_megabytes(needed)} for one block of {f.label}"
                f"{f', in chunks of {way}' if math.prod(way) > 1 else ''}; got "
                f"{_in_megabytes(memory)}."
            ) from error
    cut = {sphere.rows.axis: sphere.rows.cut} if sphere else {}
    return shape, [*cut_blocks(f.shape, shape, f.slowest_first, work.plans, cut)], units


def _lay_out(
    fields: Sequence[Source], work: Work, units: tuple[int, ...], request: FileRequest
) -> Layout:
    f, places = fields[0], work.places
    times = len(work.names) // len(places.dims)  # either each result has its own, or all have one
    return Layout(
        work.names, f.shape, work.find_dtype(f), places.dims * times, units, places.coordinates,
        tuple({**attributes, **_as_attribute(work.notes)} for attributes in work.attributes),
        f.place, places.shifts * times, _describe_history(fields, request),
    )  # fmt: skip


def _as_attribute(notes: Sequence[str]) -> dict[str, str]:
    """Return what was decided as an attribute of a result, without advice on options."""
    sentences = [
        sentence.rstrip(".")
        for note in notes
        for sentence in re.split(r"(?<=\.) (?=-?-?[A-Za-z])", note)
        if "--" not in sentence
    ]
    return {"gpugrad_notes": ". ".join([*sentences, ""]).strip()} if sentences else {}


def _describe_history(fields: Sequence[Source], request: FileRequest) -> str:
    """Return what was done and when, in words for those who find the file; then what was before."""
    options = "".join(
        f", {name}={value!r}"
        for name, value in asdict(request).items()
        if value != getattr(FileRequest(), name) and name not in ("operator", "backend")
    )
    f = fields[0]
    names = " and ".join(field.name for field in fields if field.name)
    label = f"{names} in {f.path}" if names else str(f.path)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = f"{now} gpugrad {find_version()}: {request.operator} of {label}{options}"
    return "\n".join([done, f.history.strip("\n")]) if f.history.strip() else done


_STATE = "the state of the input:"


def _describe_state(path: Path) -> str:
    """Return in words how large a file or folder is, and when it was changed."""
    entries = [path, *path.rglob("*")] if path.is_dir() else [path]
    states = [entry.stat() for entry in entries]
    changed = np.datetime64(max(state.st_mtime_ns for state in states), "ns")
    return f"{sum(state.st_size for state in states):,} bytes, changed {changed}"


def _identify_run(
    fields: Sequence[Source], request: FileRequest, block: tuple[int, ...], layout: Layout
) -> dict[str, Any]:
    """Return what must be the same for a run to go on with what another has begun."""
    path = fields[0].path
    options = {key: value for key, value in asdict(request).items() if key != "backend"}
    options["no_sphere"] = not options.pop("sphere")
    options["coords"] = [
        f"{name}, {_describe_state(Path(name))}" if Path(name).is_file() else name
        for name in request.coords
    ]
    return {
        "IN": str(path.resolve()),
        _STATE: _describe_state(path),
        "--var": [f.name for f in fields],
        **{f"--{key.replace('_', '-')}": value for key, value in options.items()},
        "results of shape": layout.shape,
        "results of dtype": layout.dtype.str,
        "blocks (which --memory decides) of": block,
    }


def _check_place(path: Path, out: Path, folder: Path, overwrite: bool, resume: bool) -> None:
    if out.exists() and path.exists() and out.samefile(path):
        raise FileError(f"OUT must be another file than IN, which is read till the end; got {out}.")
    if path.resolve() in out.resolve().parents:
        raise FileError(f"OUT must not lie in IN, which is read till the end; got {out}.")
    if folder.exists():
        check_free(folder / "journal")
    if out.is_dir() and not is_zarr(out):
        raise FileError(f"{out} is a folder, but no Zarr store; it stays. Choose another name.")
    if format_of(out, written=True) == "zarr" and out.is_file():
        raise FileError(f"{out} is a file, but no Zarr store; it stays. Choose another name.")
    if out.exists() and not overwrite and not (resume and folder.exists()):
        nothing = ", and nothing unfinished is beside it" if resume else ""
        raise FileError(f"{out} exists{nothing}. Pass --overwrite to replace it, or another name.")
    if folder.exists() and not (overwrite or resume):
        raise FileError(
            f"{folder} holds what an earlier run has left unfinished. Pass --resume to go on, or "
            "--overwrite to begin again."
        )
    if not out.parent.is_dir():
        raise FileError(f"the folder {out.parent} does not exist. Make it, or choose another.")
    if not os.access(out.parent, os.W_OK):
        raise FileError(f"the folder {out.parent} can't be written to. Choose another.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder} can't be made: {error.strerror}.") from error


def _remove_without_blocks(folder: Path, *error: object) -> None:
    """Remove what an error has left behind before a first block was done."""
    if error[0] is not None and not _has_blocks(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _has_blocks(folder: Path) -> bool:
    journal = folder / "journal"
    return journal.exists() and journal.read_bytes().count(b"\n") > 1


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
    lost = {
        block.number
        for block in blocks
        if block.number in journal.done
        and _compute_checksums(target, layout, block.window) != journal.done[block.number]
    }
    if lost:
        journal.forget(lost)
    return set(journal.done)


def _compute_checksums(target: Target, layout: Layout, window: Window) -> list[int]:
    values = np.empty(shape_of(window), layout.dtype)
    sums = []
    for number in range(len(layout.names)):
        try:
            target.read(number, window, values)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not done
            return []
        sums.append(compute_checksum(values))
    return sums


@contextmanager
def _explain_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the system into errors that say what has become of the work."""
    try:
        yield
    except OSError as error:
        raise FileError(_say_cause(error, folder)) from error


def _say_cause(error: OSError, folder: Path) -> str:
    if not folder.exists():
        return (
            f"{folder} is gone, and what was done with it: {error}. Has someone removed it? "
            "Run it again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename or folder} can't be written: {error.strerror}."
    advice = ""
    if _has_blocks(folder):
        advice = f" What is done is kept in {folder}; --resume goes on from there."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full. Free some space.{advice}"
    if error.errno == errno.EFBIG:
        return f"a file grew larger than is allowed here (ulimit -f). Raise the limit.{advice}"
    return f"{error}.{advice}"


def _in_megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
