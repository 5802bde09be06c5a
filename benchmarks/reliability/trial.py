"""What a kind of trial is, and how it went."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import ROOT

MOST_PRINTED = 10
"""Failures of a run that are printed in full."""


class Outcome:
    """How the trials of a kind went, counted one by one.

    Attributes
    ----------
    tried : int
        The trials.
    wrong : int
        Those whose result, or whose error, was not what it must be.
    crashed : int
        Those in which a process died, hung, or showed a traceback.
    notes : collections.Counter
        What else is told of them, by its name: how many ended in which way.
    """

    def __init__(self) -> None:
        self.tried = self.wrong = self.crashed = 0
        self.notes: Counter[str] = Counter()

    @property
    def is_right(self) -> bool:
        """Whether anything was tried, and nothing was wrong."""
        return self.tried > 0 and not self.wrong and not self.crashed

    def fail(self, reason: str, crashed: bool = False) -> None:
        """Count a failure, and print what it is."""
        if crashed:
            self.crashed += 1
        else:
            self.wrong += 1
        if self.wrong + self.crashed <= MOST_PRINTED:
            print(f"{'crashed' if crashed else 'wrong'}: {reason}", file=sys.stderr, flush=True)


class Kind(NamedTuple):
    """A kind of trial: a row of the table of `__main__`.

    `run` takes a count and a seed. `count` is the goal, in `unit`. `quick` is a count for tests.
    """

    run: Callable[[int, int], Outcome]
    what: str
    unit: str
    count: int
    quick: int
    script: Path | None = None

    def find_missing(self) -> str | None:
        """Return the name of the script that it runs, where this is not here."""
        return None if self.script is None or self.script.exists() else self.script.name


def run_child(
    module: str, *arguments: object, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a module of this package in a process of its own; a timeout ends as a signal does."""
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        printed = error.stderr.decode() if isinstance(error.stderr, bytes) else ""
        return subprocess.CompletedProcess(command, -9, "", f"{printed}\nno end in {timeout} s")


def last_line(text: str) -> str:
    """Return the last line of what a process has printed."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "nothing printed"


def has_traceback(text: str) -> bool:
    """Tell whether a process has shown a user an error of Python's."""
    return "Traceback (most recent call last)" in text
