"""Runs on files that are killed, or meet another writer, a full disk, an input that changes.

Each must end in the bits of the call in memory, now or when it is resumed, or in one line that
says what is wrong. What has the name of the result must be whole.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import gpugrad
from benchmarks.measure import ROOT
from benchmarks.reliability.trial import Outcome, has_traceback
from gpugrad._files.run import LIBRARY_BYTES, OWN_BYTES

SHAPE = (120, 64, 64)
SUFFIXES = {".npy": (), ".zarr": ("zarr", "xarray"), ".nc": ("h5netcdf", "xarray")}
"""What can be written, and what that needs."""

SECONDS = 120

Case = Callable[[Path, str, random.Random], str | None]
"""Tries once in a folder of its own; says what is wrong, or returns None."""


def list_suffixes() -> list[str]:
    """Return the formats whose libraries are installed."""
    return [suffix for suffix, needs in SUFFIXES.items() if all(map(find_spec, needs))]


def make_input(folder: Path, seed: int = 0) -> tuple[Path, np.ndarray]:
    """Write a field, and return its path and its gradient."""
    f = np.random.default_rng(seed).normal(size=SHAPE).astype("f4")
    np.save(folder / "f.npy", f)
    return folder / "f.npy", gpugrad.gradient(f, stack=True)


def start(source: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    """Start the command, with memory for small blocks only."""
    memory = (
        OWN_BYTES
        + 700_000
        + LIBRARY_BYTES.get({".nc": "netcdf"}.get(out.suffix, out.suffix[1:]), 0)
    )
    command = [sys.executable, "-m", "gpugrad", "grad", str(source), str(out), "--memory",
               str(memory), *words]  # fmt: skip
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the status and the errors of a command once it has ended."""
    try:
        _, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return -1, f"no end in {SECONDS} s"
    return process.returncode, errors


def read(out: Path) -> np.ndarray:
    """Return what a run has written."""
    if out.suffix == ".npy":
        return np.load(out)
    names = [f"df_daxis{i}" for i in range(len(SHAPE))]
    if out.suffix == ".zarr":
        import zarr

        group = zarr.open_group(out, mode="r")
        return np.stack([group[name][...] for name in names])
    import h5py

    with h5py.File(out) as file:
        return np.stack([file[name][...] for name in names])


def count_blocks(out: Path) -> int:
    """Return how many blocks the journal of a run has."""
    try:
        return max(0, _journal(out).read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0


def _journal(out: Path) -> Path:
    return out.with_name(out.name + ".partial") / "journal"


def wait_for_blocks(process: subprocess.Popen[str], out: Path, count: int) -> None:
    """Wait until a run has written so many blocks, or has ended."""
    while process.poll() is None and count_blocks(out) < count:
        time.sleep(0.002)


def is_one_line(errors: str) -> bool:
    """Tell whether an error of the command is one clear line."""
    lines = errors.strip().splitlines()
    return len(lines) == 1 and lines[0].startswith("gpugrad: error: ") and not has_traceback(errors)


def finish(source: Path, out: Path, *words: str) -> str | None:
    """Resume a run to its end; say what is wrong with that, or return None."""
    status, errors = end(start(source, out, "--resume", *words))
    return None if status == 0 else f"resumed: status {status}: {errors[-1500:]}"


def compare(out: Path, *allowed: np.ndarray) -> str | None:
    """Say so unless what is written is one of these."""
    result = read(out)
    return None if any(np.array_equal(result, a) for a in allowed) else "other numbers"


def kill(folder: Path, suffix: str, dice: random.Random) -> str | None:
    """Kill a run at a random moment, once or again while it is resumed, and resume it."""
    (source, expected), out = make_input(folder), folder / f"g{suffix}"
    for _ in range(dice.randrange(1, 3)):
        process = start(source, out, "--resume")
        if dice.random() < 0.7:  # else at any time from the start, imports included
            wait_for_blocks(process, out, count_blocks(out) + 1)
            time.sleep(dice.uniform(0, 0.1))
        else:
            time.sleep(dice.uniform(0, 1.2))
        process.send_signal(signal.SIGKILL)
        status, errors = end(process)
        if errors or status not in (0, -signal.SIGKILL):
            return f"status {status}: {errors[-1500:]}"
        if out.exists():
            return compare(out, expected)
    return finish(source, out) or compare(out, expected) or _find_left(folder)


def _find_left(folder: Path) -> str | None:
    left = [path.name for path in folder.iterdir() if "partial" in path.name]
    return f"left behind: {left}" if left else None


def meet_another(folder: Path, suffix: str, dice: random.Random) -> str | None:
    """Let two or three processes write results that differ to one place, anew or resuming."""
    (source, expected), out = make_input(folder), folder / f"g{suffix}"
    results = {2: expected, 4: gpugrad.gradient(np.load(source), accuracy=4, stack=True)}
    if dice.random() < 0.3:
        process = start(source, out)
        wait_for_blocks(process, out, 2)
        process.kill()
        end(process)
    options = ([], ["--overwrite"], ["--resume"], ["--overwrite", "--resume"])
    running = []
    for _ in range(dice.randrange(2, 4)):
        accuracy = str(dice.choice([*results]))
        running.append(start(source, out, "--accuracy", accuracy, *dice.choice(options)))
        time.sleep(dice.choice([0, 0, 0.02, 0.3]))
    ended = [*map(end, running)]
    for status, errors in ended:
        if status != 0 and not (status == 1 and is_one_line(errors)):
            return f"status {status}: {errors[-1500:]}"
    if not out.exists():  # each was told of what was unfinished, or of another
        status, errors = end(start(source, out, "--overwrite"))
        wrong = None if status == 0 else f"begun again: status {status}: {errors[-1500:]}"
        return wrong or compare(out, expected)
    return compare(out, *results.values())


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of so many bytes, in memory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "gpugrad-trial", str(folder)],
                   check=True, capture_output=True)  # fmt: skip
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount() -> bool:
    """Tell whether this process may mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _small_disk(Path(folder), 1 << 16):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def fill_disk(folder: Path, suffix: str, dice: random.Random) -> str | None:
    """Write to a disk that is too small, or that others fill meanwhile; then make room, resume."""
    source, expected = make_input(folder)
    disk = folder / "disk"
    disk.mkdir()
    out, beside = disk / f"g{suffix}", disk / "of another"
    is_filled = dice.random() < 0.5
    size = expected.nbytes * 4 if is_filled else int(expected.nbytes * dice.uniform(0.1, 0.95))
    with _small_disk(disk, size):
        process = start(source, out)
        if is_filled:
            wait_for_blocks(process, out, dice.randrange(0, 4))
            with contextlib.suppress(OSError), beside.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 16))
        status, errors = end(process)
        if status == 0:
            return compare(out, expected)
        if status != 1 or not is_one_line(errors):
            return f"status {status}: {errors[-1500:]}"
        if out.exists():
            return "an unfinished result has its name"
        beside.unlink(missing_ok=True)
        subprocess.run(
            ["mount", "-o", f"remount,size={expected.nbytes * 4}", str(disk)], check=True
        )
        return finish(source, out) or compare(out, expected)


def limit_files(folder: Path, suffix: str, dice: random.Random) -> str | None:
    """Write where files may not grow (RLIMIT_FSIZE): it stands in for a disk that is full."""
    (source, expected), out = make_input(folder), folder / f"g{suffix}"
    kilobytes = int(expected.nbytes * dice.uniform(0.01, 0.6)) // 1024
    command = [sys.executable, "-m", "gpugrad", "grad", str(source), str(out)]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'ulimit -f {2 * kilobytes}; exec "$@"', "sh", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    status, errors = end(process)
    if status == 0:
        return compare(out, expected)
    if status != 1 or not is_one_line(errors):
        return f"status {status}: {errors[-1500:]}"
    if out.exists():
        return "an unfinished result has its name"
    return None


def _rewrite(source: Path) -> None:
    make_input(source.parent, 1)


def _replace(source: Path) -> None:
    other = source.parent / "other"
    other.mkdir()
    make_input(other, 1)
    os.replace(other / "f.npy", source)


def _change_one(source: Path) -> None:
    with source.open("r+b") as file:
        file.seek(-40_000, os.SEEK_END)
        file.write(b"\x01\x02\x03\x41")


def _shorten(source: Path) -> None:
    os.truncate(source, source.stat().st_size // 2)


def _remove(source: Path) -> None:
    source.unlink()


CHANGES = (_rewrite, _replace, _change_one, _shorten, _remove)


def change_input(folder: Path, suffix: str, dice: random.Random) -> str | None:
    """Change the input while a run reads it, or before the run is resumed."""
    (source, before), out = make_input(folder), folder / f"g{suffix}"
    change = dice.choice(CHANGES)
    process = start(source, out)
    wait_for_blocks(process, out, dice.randrange(1, 6))
    is_resumed = dice.random() < 0.5
    if is_resumed:
        process.kill()
        end(process)
    change(source)
    status, errors = end(start(source, out, "--resume") if is_resumed else process)
    if status == 0:
        try:
            after = gpugrad.gradient(np.load(source), stack=True)
        except (OSError, ValueError):
            after = before  # it had been read before it went
        return compare(out, before, after)
    if status != 1 or not is_one_line(errors):
        return f"{change.__name__}: status {status}: {errors[-1500:]}"
    return "an unfinished result has its name" if out.exists() else None


def _try(case: Case, count: int, seed: int) -> Outcome:
    outcome, suffixes = Outcome(), list_suffixes()
    for number in range(count):
        suffix, dice = suffixes[number % len(suffixes)], random.Random(f"{seed} {number}")
        folder = Path(tempfile.mkdtemp())
        try:
            problem = case(folder, suffix, dice)
        except Exception as error:  # noqa: BLE001 - a result that can't be read
            problem = f"{type(error).__name__}: {error}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        outcome.tried += 1
        outcome.notes[suffix] += 1
        if problem:
            has_died = "Traceback" in problem or "status -" in problem
            outcome.fail(f"{case.__name__} {number} of seed {seed}, {suffix}: {problem}", has_died)
    return outcome


def run_kills(count: int, seed: int) -> Outcome:
    """Kill so many runs."""
    return _try(kill, count, seed)


def run_writers(count: int, seed: int) -> Outcome:
    """Let processes meet so often."""
    return _try(meet_another, count, seed)


def run_full_disks(count: int, seed: int) -> Outcome:
    """Fill so many disks."""
    is_mounted = can_mount()
    outcome = _try(fill_disk if is_mounted else limit_files, count, seed)
    outcome.notes["small disks (tmpfs)" if is_mounted else "limits of files (RLIMIT_FSIZE)"] = count
    return outcome


def run_changes(count: int, seed: int) -> Outcome:
    """Change so many inputs."""
    return _try(change_input, count, seed)
