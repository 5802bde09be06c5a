"""What has been done of a long piece of work, in a file that outlives the process.

The first line says what the work is. Each line after it says that a block is written, and with
which checksum. A line that was cut off when the process died counts as not there.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from gpugrad._files.errors import FileError

_FINISHED = {"finished": True}


class Journal:
    """The blocks that are done, with the checksums of what was written.

    Parameters
    ----------
    path : pathlib.Path
        The file. Where it exists, the work goes on; `work` must be the same.
    work : dict
        What the work is, as JSON knows it.
    anew : bool
        Whether to remove what else is in its folder, and begin again.
    """

    def __init__(self, path: Path, work: dict[str, Any], anew: bool = False) -> None:
        self.done: dict[int, list[int]] = {}
        self.missing: dict[int, list[int]] = {}
        self.is_finished = False
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
        try:
            # The lock belongs to the open file, not to its name: a run that ended after it was
            # opened has removed it, and a file of this name now would not be locked.
            _lock_file(self._file, path)
            if not _is_same(self._file, path):  # it was moved away before it was locked
                raise FileError(f"another process has just ended writing to {path.parent}.")
            if anew:
                self._file.truncate(0)
                _clear_beside(path)
            self._read_records(path, work)
        except BaseException:
            self._file.close()
            raise

    def _read_records(self, path: Path, work: dict[str, Any]) -> None:
        self._file.seek(0)
        # A process that died may have left half a line: what it says can't be trusted, and the
        # next record must not be appended to it.
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._file.truncate(sum(map(len, lines)))
        # Tuples become lists, as they are in what was read: only then are the two comparable.
        work = json.loads(json.dumps(work))
        if not lines:
            self._write(work)
            return
        try:
            before, *records = map(json.loads, lines)
            self.is_finished = records[-1:] == [_FINISHED]
            records = [record for record in records if record != _FINISHED]
            self.done = {int(record["block"]): record["crc32"] for record in records}
            self.missing = {int(record["block"]): record["missing"] for record in records}
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(f"{path} is damaged. Pass --overwrite to begin again.") from error
        for name, value in work.items():
            if before.get(name) != value:
                raise FileError(
                    f"{path.parent} was begun with {name} {_say_value(before.get(name))}; got "
                    f"{_say_value(value)}. Pass --overwrite to begin again, or what it was begun "
                    "with."
                )

    def add(self, block: int, checksums: list[int], missing: list[int]) -> None:
        """Say that a block is written, and how many of its samples and results are missing."""
        self.done[block], self.missing[block] = checksums, missing
        self._write({"block": block, "crc32": checksums, "missing": missing})

    def finish(self) -> None:
        """Say that everything is written, and is about to be moved to its place."""
        self._write(_FINISHED)

    def forget(self, blocks: set[int]) -> None:
        """Take blocks to be not done after all."""
        for block in blocks:
            del self.done[block], self.missing[block]
        self._file.seek(0)
        first = self._file.readline()
        self._file.truncate(len(first))
        self._file.seek(0, os.SEEK_END)
        for block, checksums in self.done.items():
            self._write({"block": block, "crc32": checksums, "missing": self.missing[block]})

    def close(self) -> None:
        """Let others go on."""
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record).encode() + b"\n")


def _lock_file(file: Any, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FileError(
            f"another process is writing to {path.parent}. Wait until it ends."
        ) from error


def _is_same(file: Any, path: Path) -> bool:
    """Tell whether an open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _clear_beside(path: Path) -> None:
    """Remove all but one file from its folder."""
    for other in path.parent.iterdir():
        if other.is_dir() and not other.is_symlink():
            shutil.rmtree(other)
        elif other != path:
            other.unlink()


def _say_value(value: Any) -> str:
    """Return what was chosen in few words."""
    if isinstance(value, list):
        return " ".join(map(_say_value, value)) or "none"
    return "none" if value is None else str(value)


def check_free(path: Path) -> None:
    """Raise FileError if another process writes to a journal."""
    if path.exists():
        with open(path, "rb") as file:
            _lock_file(file, path)
