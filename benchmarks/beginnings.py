"""What a process pays once, what small fields cost, and the memory that a fresh process sees."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Spread

BACKENDS = ("auto", "slices", "numpy", "numba")

SIZES = tuple(round(10 ** (i / 2)) for i in range(4, 15))
"""Samples of the fields on which engines are compared: from a hundred to ten million."""

BATCH = 0.01
"""Seconds that a batch of calls takes at least."""

_FIRST_CALL = """
from time import perf_counter
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal(({side},) * 3)
out = tuple(np.zeros_like(f) for _ in f.shape)
def call():
    start = perf_counter()
    gpugrad.gradient(f, out=out, backend="numba")
    return perf_counter() - start
first = call()
print(first, sorted(call() for _ in range(5))[2])
"""

_RESIDENT = """
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal(({side},) * 3)
out = tuple(np.full_like(f, 0.0) for _ in f.shape)
gpugrad.gradient(f, out=out, backend="numba")
"""


def measure_all(quick: bool) -> dict[str, Any]:
    """Measure all three."""
    results: dict[str, Any] = {"crossover": [], "first_call": None, "resident": None}
    sizes = (100, 10_000, 200_000) if quick else SIZES
    for dimension in (3, 1):
        results["crossover"] += [measure_size(dimension, size, quick) for size in sizes]
    if has_compiled_engine():
        results["first_call"] = measure_first_call(2 if quick else 7)
        side = 48 if quick else 256
        call = "gpugrad.gradient(f, out=out, backend='numba')"
        extra = measure.resident_peak(_RESIDENT.format(side=side), call)
        results["resident"] = {"shape": [side] * 3, "extra_memory_bytes": extra}
    return results


def has_compiled_engine() -> bool:
    """Tell whether the compiled engine can run."""
    try:
        gpugrad.gradient(np.arange(4.0), backend="numba")
    except gpugrad.BackendError:
        return False
    return True


def measure_first_call(processes: int) -> dict[str, Any]:
    """Measure what the first call costs in fresh processes beyond what a later one does.

    The import of the compiler and the compilation are in it; the imports of numpy and gpugrad are
    not. A process runs before the first that counts, to write bytecode.
    """
    beyond = []
    for _ in range(1 + processes):
        first, later = map(float, measure.run_python(_FIRST_CALL.format(side=128)).stdout.split())
        beyond.append(first - later)
    return {"shape": [128] * 3, "seconds": Spread.of(beyond[1:])._asdict()}


def measure_size(dimension: int, size: int, quick: bool) -> dict[str, Any]:
    """Time a call by each engine on a field of so many samples, the compiler being there."""
    f = np.random.default_rng(3).standard_normal((round(size ** (1 / dimension)),) * dimension)
    backends = [b for b in BACKENDS if b != "numba" or has_compiled_engine()]
    load_compiled_engine()
    timers, names = {}, {"gradient": gpugrad.gradient, "f": f}
    for backend in backends:
        statement = f"gradient(f, backend={backend!r})"
        once = min(measure.batched(statement, names, 1)() for _ in range(3))
        number = 1 if quick else max(1, round(BATCH / once))
        timers[backend] = measure.batched(statement, names, number)
    seconds = measure.interleave(timers, 3 if quick else 15)
    return {
        "title": f"{'x'.join(map(str, f.shape))}, by engine",
        "samples": f.size,
        "seconds": measure.summarize(seconds),
        "over_slices": {"auto": measure.ratios(seconds["auto"], seconds["slices"])._asdict()},
    }


def load_compiled_engine() -> None:
    """Work with "auto" until it has seen enough results to take the compiled engine."""
    f = np.zeros(1 << 20)
    out = np.zeros_like(f)
    for _ in range(40):
        gpugrad.gradient(f, out=out, backend="auto")


def print_all(results: dict[str, Any]) -> None:
    """Print the table by size, the first call and the memory."""
    print("\nNew arrays of float64, microseconds by engine, the compiler being there")
    rows = [
        (
            result["title"].partition(",")[0],
            *(
                f"{result['seconds'][b]['median'] * 1e6:.1f}" if b in result["seconds"] else "-"
                for b in BACKENDS
            ),
            format(Spread(**result["over_slices"]["auto"]), ".2f"),
        )
        for result in results["crossover"]
    ]
    print(measure.format_table(("shape", *BACKENDS, "auto / slices"), rows))
    first, resident = results["first_call"], results["resident"]
    if first is not None:
        spread = Spread(*(1e3 * seconds for seconds in first["seconds"].values()))
        print(f"\nFirst call of a process beyond a later one: {spread:.0f} ms")
    if resident is not None and resident["extra_memory_bytes"] is not None:
        megabytes = resident["extra_memory_bytes"] / 1e6
        shape = "x".join(map(str, resident["shape"]))
        print(f"Pages that a call adds in a fresh process, {shape} into `out`: {megabytes:.2f} MB")
