"""A container's share of processor time: as many threads work as it has cores' time for.

Each trial makes a control group with a limit, and starts a process in it. Where this process may
make none, stand-ins for the files of the system are read.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.reliability.trial import Outcome
from gpugrad._arrays.cpu_quota import find_quota

PERIOD = 100_000
COUNT = "from gpugrad._arrays import threads; print(threads.count())"
ROOTS = {"v2": Path("/sys/fs/cgroup"), "v1": Path("/sys/fs/cgroup/cpu")}


@contextmanager
def _make_group(name: str, quota: int) -> Iterator[Path | None]:
    """Make a group with a limit; None where that can't be done."""
    for version, root in ROOTS.items():
        group = root / name
        limit = {"v2": ("cpu.max", f"{quota} {PERIOD}"), "v1": ("cpu.cfs_quota_us", f"{quota}")}
        file, text = limit[version]
        if not (root / "cgroup.procs").exists():
            continue
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(text)
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    yield None


def _count_in(group: Path) -> int:
    join = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    environment = {k: v for k, v in os.environ.items() if k != "GPUGRAD_NUM_THREADS"}
    return int(subprocess.run(
        ["/bin/sh", "-c", join, "sh", sys.executable, "-c", COUNT], capture_output=True, text=True,
        env=environment | {"PYTHONPATH": str(ROOT)}, check=True,
    ).stdout)  # fmt: skip


def write_stand_ins(root: Path, version: str, quota: str) -> None:
    """Write the files that tell of a group with a limit, as a container finds them."""
    group = root / "sys/fs/cgroup" / ("" if version == "v2" else "cpu,cpuacct")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(
        "0::/\n" if version == "v2" else "4:cpu,cpuacct:/docker/1f3a\n2:memory:/docker/1f3a\n"
    )
    group.mkdir(parents=True)
    if version == "v2":
        (group / "cpu.max").write_text(f"{quota} {PERIOD}\n")
    else:
        (group / "cpu.cfs_quota_us").write_text(f"{-1 if quota == 'max' else quota}\n")
        (group / "cpu.cfs_period_us").write_text(f"{PERIOD}\n")


def run(count: int, seed: int) -> Outcome:
    """Try so many limits, below and above the cores that there are."""
    outcome, dice = Outcome(), random.Random(seed)
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    for number in range(count):
        quota = dice.randrange(PERIOD // 4, 2 * cores * PERIOD)
        outcome.tried += 1
        with _make_group(f"gpugrad-trial-{os.getpid()}-{number}", quota) as group:
            if group is not None:
                expected, got = min(cores, ceil(quota / PERIOD)), _count_in(group)
                outcome.notes["control groups"] += 1
        if group is None:
            expected, got = ceil(quota / PERIOD), _read_stand_ins(number, quota)
            outcome.notes["stand-ins for control groups"] += 1
        if got != expected:
            outcome.fail(f"{got} threads for {quota / PERIOD} of {cores} cores, not {expected}")
    return outcome


def _read_stand_ins(number: int, quota: int) -> int | None:
    with tempfile.TemporaryDirectory() as folder:
        write_stand_ins(Path(folder), ("v1", "v2")[number % 2], str(quota))
        find_quota.cache_clear()
        try:
            return find_quota(Path(folder))
        finally:
            find_quota.cache_clear()
