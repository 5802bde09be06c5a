"""Measure calls side by side: time with spread, peak memory, and the machine they ran on."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import timeit
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np

import gpugrad

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
"""How many processes wanted a core before anything was measured: far above 0, beware."""

Timer = Callable[[], float]
"""Runs something once, or a batch of it, and returns the seconds that one of it took."""


class Spread(NamedTuple):
    """A median between its quartiles: half of all values lie from `low` to `high`."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of some values, quartiles interpolated linearly."""
        return cls(*(float(q) for q in np.quantile([*values], [0.25, 0.5, 0.75])))

    def __format__(self, spec: str) -> str:
        """Write the median with its quartiles, each by the same format: ``1.9 (1.8-2.0)``."""
        low, median, high = (format(value, spec) for value in self)
        return f"{median} ({low}-{high})"


class Target(NamedTuple):
    """A promise in figures, and what was measured."""

    what: str
    measured: float
    sense: str
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the measured figure keeps the promise."""
        if self.sense == "at most":
            return self.measured <= self.limit
        return self.measured >= self.limit

    def __str__(self) -> str:
        """Say in one line what is promised, what was measured and whether that is enough."""
        verdict = "met" if self.met else "missed"
        figures = f"{self.measured:.2f} ({self.sense} {self.limit:.2f}{self.unit})"
        return f"{verdict:<6}  {self.what}: {figures}"


def timed(call: Callable[[], object]) -> Timer:
    """Return a timer of one call; letting go of its result counts as part of it."""

    def run() -> float:
        start = perf_counter()
        call()
        return perf_counter() - start

    return run


def batched(
    statement: str,
    names: dict[str, Any],
    number: int,
    prepare: Callable[[dict[str, Any]], None] | None = None,
) -> Timer:
    """Return a timer of a statement, run `number` times in a bare loop.

    `prepare` is called with `names` before each batch, outside the time measured.
    """
    timer = timeit.Timer(statement, globals=names)

    def run() -> float:
        if prepare is not None:
            prepare(names)
        return timer.timeit(number) / number

    return run


def interleave(
    timers: Mapping[str, Timer], rounds: int, warm_up: int = 1, rest: float = 0.0
) -> dict[str, list[float]]:
    """Run all timers in turn, many rounds, and return the seconds of each, round by round.

    The order is rotated by one each round, so that none is always behind the same neighbour.
    What slows the machine for a while then slows all of them alike, and ratios within a round
    keep their meaning. The first `warm_up` rounds are thrown away. Each timer is preceded by `rest`
    seconds of sleep, in which another library's threads stop waiting for work in a busy loop.
    """
    names = [*timers]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-warm_up, rounds):
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            sleep(rest)
            elapsed = timers[name]()
            if i >= 0:
                seconds[name].append(elapsed)
    return seconds


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """Return the spread of the ratios of two series measured in the same rounds."""
    return Spread.of(a / b for a, b in zip(numerator, denominator, strict=True))


def summarize(seconds: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return the spread of each series of seconds, ready for JSON."""
    return {name: Spread.of(values)._asdict() for name, values in seconds.items()}


def traced_peak(call: Callable[[], object]) -> int:
    """Return the most bytes that a call held at once, its result included.

    `tracemalloc` counts Python's objects and NumPy's arrays alike, on every thread, and to the
    byte. It does not see what a library in C takes by `malloc`: `resident_peak` does.
    """
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return peak - before


_RESIDENT = """
def high_water():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024
{setup}
try:
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")
except OSError:
    pass
before = high_water()
{call}
print(high_water() - before)
"""


def resident_peak(setup: str, call: str) -> int | None:
    """Return the bytes by which a call raises the peak memory of a fresh process, on Linux.

    Counts whatever takes memory, in pages, thread stacks and all; a first call's imports too,
    so `setup` should make one. `setup` must leave no larger peak behind where the system does
    not let a process reset its own. None where there is no ``/proc``.
    """
    if not Path("/proc/self/status").exists():
        return None
    return int(run_python(_RESIDENT.format(setup=setup, call=call)).stdout)


def run_python(
    code: str, *options: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter from the root of the project, modules compiled only once."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment.update(variables or {})
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def describe_machine() -> dict[str, Any]:
    """Describe what figures depend on, and nothing that names a person, a host or a folder."""
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": count_cores(),
        "caches": describe_caches(),
        "memory_bytes": _memory_bytes(),
        "huge_pages": _chosen_word(Path("/sys/kernel/mm/transparent_hugepage/enabled")),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load_before": LOAD_BEFORE,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": np.__version__,
        "gpugrad": gpugrad.__version__,
        "commit": _commit(),
    }


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """Return the name of the processor as it gives it, with family and model where it has them."""
    facts: dict[str, str] = {}
    cpuinfo = _read(Path("/proc/cpuinfo")) or ""
    for line in cpuinfo.partition("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        facts[key.strip()] = value.strip()
    if "model name" in facts:
        numbers = [f"{key[4:]} {facts[key]}" for key in ("cpu family",) if key in facts]
        numbers += [f"model {facts['model']}"] if "model" in facts else []
        return " ".join([facts["model name"], *numbers])
    if sys.platform == "darwin":
        return subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return platform.processor() or platform.machine()


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_caches() -> dict[str, str]:
    """Return the sizes of a core's caches, by level and kind, where the system tells them."""
    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(folder / name) for name in ("level", "type", "size"))
        if level and kind and size:
            caches[f"L{level} {kind.lower()}"] = size
    return caches


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _commit() -> str | None:
    """Return the commit of this checkout, with a plus where the package differs from it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + "+" * bool(
            git("status", "--porcelain", "--", "gpugrad")
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def _chosen_word(path: Path) -> str | None:
    chosen = re.search(r"\[(\w+)\]", _read(path) or "")
    return chosen[1] if chosen else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table in plain text: the first column to the left, the others to the right."""
    lines = [[*header], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Read the options that all benchmarks share."""
    return make_parser(description).parse_args()


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all benchmarks share, for more to be added."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--quick", action="store_true", help="run in seconds; the figures mean nothing"
    )
    parser.add_argument(
        "--output", type=Path, help="the JSON file to write (a quick run writes none by itself)"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    return parser


def finish(
    name: str, arguments: argparse.Namespace, targets: Sequence[Target], results: dict[str, Any]
) -> int:
    """Print whether each target is met, write the JSON, and return the exit status."""
    print("\nTargets" + (" (a quick run, too short to judge by)" if arguments.quick else ""))
    for target in targets:
        print(f"  {target}")
    output = arguments.output
    if output is None and not (arguments.quick or getattr(arguments, "only", None)):
        output = RESULTS / f"{name.replace('_', '-')}-{slug(cpu_model())}.json"
    if output is not None:
        write_json(output, name, arguments.quick, targets, results)
        print(f"\nWritten: {output.name}")
    return int(arguments.strict and not all(target.met for target in targets))


def write_json(
    path: Path, name: str, quick: bool, targets: Sequence[Target], results: dict[str, Any]
) -> None:
    """Write results with all that is needed to read them later."""
    content = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": quick,
        "machine": describe_machine(),
        "targets": [{**target._asdict(), "met": target.met} for target in targets],
        **results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(content), indent=1, allow_nan=False) + "\n")


def slug(text: str) -> str:
    """Spell a name with lower-case letters, digits and hyphens only."""
    text = re.sub(r"\((r|tm)\)|@.*", " ", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "unknown"


def _rounded(value: Any) -> Any:
    """Return a tree of results with floats to five digits, which is more than they are worth."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return value
