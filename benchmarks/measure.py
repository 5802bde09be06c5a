"""Measure calls side by side: their time with its spread, and the memory that they take."""

from __future__ import annotations

import os
import subprocess
import sys
import timeit
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

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


def timed(call: Callable[[], object], rest: float = 0.0) -> Timer:
    """Return a timer of one call; letting go of its result counts as part of it.

    Before the call are `rest` seconds of sleep, in which the threads of another library stop
    waiting for work in a busy loop.
    """

    def run() -> float:
        sleep(rest)
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
    timers: Mapping[str, Timer], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run all timers in turn, many rounds, and return the seconds of each, round by round.

    The order is rotated by one each round, so that none is always behind the same neighbour.
    What slows the machine for a while then slows all of them alike, and ratios within a round
    keep their meaning. The first `warm_up` rounds are thrown away.
    """
    names = [*timers]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(-warm_up, rounds):
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            elapsed = timers[name]()
            if i >= 0:
                seconds[name].append(elapsed)
    return seconds


def ratios(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """Return the spread of the ratios of two series measured in the same rounds."""
    return Spread.of(a / b for a, b in zip(numerator, denominator, strict=True))


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
    return int(run_python(_RESIDENT.format(setup=setup, call=call)))


def run_python(code: str, variables: Mapping[str, str] | None = None) -> str:
    """Run code in a fresh interpreter from the root of the project; return what it printed.

    Modules are compiled only once, whatever the environment says.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | dict(variables or {}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def as_tuple(results: Any) -> tuple[Any, ...]:
    """Return results in a tuple, whether there are several or one."""
    return tuple(results) if isinstance(results, (tuple, list)) else (results,)


def assert_same_bits(what: str, results: Any, expected: Any) -> None:
    """Raise unless results have NumPy's dtypes and NumPy's bits."""
    for i, (a, b) in enumerate(zip(as_tuple(results), as_tuple(expected), strict=True)):
        bits = f"u{b.dtype.itemsize}"
        if a.dtype != b.dtype or not np.array_equal(a.view(bits), b.view(bits)):
            raise AssertionError(f"{what}, result {i}: not NumPy's bits")
