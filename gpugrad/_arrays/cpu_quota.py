"""How much processor time a container gives this process: a limit of Linux's control groups.

A container with ``--cpus 2`` on a machine of 64 cores may run on all of them, but is stopped for
the rest of each tenth of a second in which its threads have used the time of two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from math import ceil

_ROOT = "/"


@lru_cache(maxsize=1)
def find_quota(root: str | os.PathLike[str] = _ROOT) -> int | None:
    """Return how many cores' time this process may use, rounded up, or None without a limit.

    Parameters
    ----------
    root : str or path
        Where ``proc`` and ``sys`` are.
    """
    limits = [*_find_limits(root)]
    return max(1, ceil(min(limits))) if limits else None


def _find_limits(root: str | os.PathLike[str]) -> Iterator[float]:
    """Yield the limits of the groups of this process, and of those that they lie in."""
    try:
        lines = _read(os.path.join(root, "proc/self/cgroup")).splitlines()
    except OSError:
        return  # not on Linux
    groups = os.path.join(root, "sys/fs/cgroup")
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            for folder in _list_folders(groups, path):
                yield from _read_limit(folder, "cpu.max")
        elif "cpu" in controllers.split(","):
            for mount in {os.path.join(groups, name) for name in (controllers, "cpu")}:
                for folder in _list_folders(mount, path):
                    yield from _read_limit(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _list_folders(mount: str, path: str) -> Iterator[str]:
    """Yield the folder of a group, and those it lies in; in a container the first may not exist."""
    names = [name for name in path.split("/") if name]
    for count in range(len(names), -1, -1):
        yield os.path.join(mount, *names[:count])


def _read_limit(folder: str, *names: str) -> Iterator[float]:
    """Yield the quota over the period in these files, unless there is none."""
    try:
        quota, period = " ".join(_read(os.path.join(folder, name)) for name in names).split()[:2]
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return  # no such group, or "max"
    if cores > 0:  # -1 is no limit
        yield cores


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
