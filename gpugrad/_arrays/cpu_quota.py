"""How much processor time a container gives this process: a limit of Linux's control groups.

A container with ``--cpus 2`` on a machine of 64 cores may run on all of them, but is stopped for
the rest of each tenth of a second in which its threads have used the time of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import ceil
from pathlib import Path

_ROOT = Path("/")


@lru_cache(maxsize=1)
def find_quota(root: Path = _ROOT) -> int | None:
    """Return how many cores' time this process may use, rounded up, or None without a limit.

    Parameters
    ----------
    root : pathlib.Path
        Where ``proc`` and ``sys`` are.
    """
    limits = [*_find_limits(root)]
    return max(1, ceil(min(limits))) if limits else None


def _find_limits(root: Path) -> Iterator[float]:
    """Yield the limits of the groups of this process, and of those that they lie in."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # not on Linux
    groups = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            for folder in _list_folders(groups, path):
                yield from _read_limit(folder, "cpu.max")
        elif "cpu" in controllers.split(","):
            for mount in {groups / controllers, groups / "cpu"}:
                for folder in _list_folders(mount, path):
                    yield from _read_limit(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us")


def _list_folders(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a group, and those it lies in; in a container the first may not exist."""
    folder = mount / path.strip("/")
    while folder != mount and mount in folder.parents:
        yield folder
        folder = folder.parent
    yield mount


def _read_limit(folder: Path, *names: str) -> Iterator[float]:
    """Yield the quota over the period in these files, unless there is none."""
    try:
        quota, period = " ".join((folder / name).read_text() for name in names).split()[:2]
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return  # no such group, or "max"
    if cores > 0:  # -1 is no limit
        yield cores
