"""What is paid once: the first call in a fresh process, and of a new program in one at work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.floor import has_compiler
from benchmarks.measure import Timer, run_python
from benchmarks.table import Case, Heats, Promise, Row

BEYOND = "gpugrad, beyond the peer"

_TIMED = """
from time import perf_counter as now
start = now()
{}
print(now() - start)
"""

_SQUARE = "import numpy as np; f = np.ones((10, 10))\n"
_CUBE = "import numpy as np; f = np.ones((128, 128, 128))\n"
_LABELLED = """
import numpy as np, xarray as xr
f = xr.DataArray(np.ones((10, 10)), {"x": np.arange(10.0), "y": np.arange(10.0)}, ("x", "y"))
"""
_UNITS = """
f = f.assign_attrs(units="K")
f = f.assign_coords({name: f[name].assign_attrs(units="m") for name in f.dims})
"""


class Fresh(NamedTuple):
    """What a fresh process does, what another one does in its place, and what is promised."""

    ours: str
    peer: str
    promise: Promise
    needs: str = "numpy"


FRESH = {
    "import": Fresh(
        "import gpugrad", "import numpy, array_api_compat", Promise("gpugrad", "over_peer", 1.15)
    ),
    "gradient": Fresh(
        _SQUARE + "import gpugrad; gpugrad.gradient(f)",
        _SQUARE + "np.gradient(f)",
        Promise(BEYOND, "seconds", 0.03),
    ),
    "xarray": Fresh(
        _LABELLED + "import gpugrad; gpugrad.gradient(f)",
        _LABELLED + "f.differentiate('x'), f.differentiate('y')",
        Promise(BEYOND, "seconds", 0.1),
        "xarray",
    ),
    "xarray, units": Fresh(
        _LABELLED + _UNITS + "import gpugrad; gpugrad.gradient(f)",
        _LABELLED + _UNITS + "f.differentiate('x'), f.differentiate('y')",
        Promise(BEYOND, "seconds", 0.1),
        "xarray",
    ),
    "compiled": Fresh(
        _CUBE + "import gpugrad; gpugrad.gradient(f, backend='compiled')",
        _CUBE + "results = f + 1, f + 2, f + 3",  # new memory for as many results
        Promise(BEYOND, "seconds", 0.12),
        "llvmlite",
    ),
}

_PROGRAM = """
import json
from time import perf_counter as now
import numpy as np
import gpugrad
from benchmarks.engines import load_compiled_engine
def time(backend):
    start = now()
    {call}
    return now() - start
def time_often(backend):  # nine times, but for seconds only
    start, seconds = now(), []
    while not seconds or len(seconds) < 9 and now() - start < 3:
        seconds.append(time(backend))
    return sorted(seconds)[len(seconds) // 2]
load_compiled_engine()
f = np.random.default_rng(1).standard_normal({shape})
where, v = f > -1.5, np.stack([f] * f.ndim)
sphere = gpugrad.Sphere(np.linspace(-80, 80, len(f)), np.linspace(0, 300, f.shape[-1]))
slow = time_often("numpy")
times = {{"numpy engine": slow, "allowed": max(0.3, 2 * slow)}}
for name, find in {{"first call": time, "later calls": time_often}}.items():
    times["gpugrad, " + name] = find("auto")
print(json.dumps(times))
"""

PROGRAMS = {
    "gradient, accuracy 4": ("gpugrad.gradient(f, accuracy=4, backend=backend)", (256, 256)),
    "gradient, accuracy 8": ("gpugrad.gradient(f, accuracy=8, backend=backend)", (17,) * 4),
    "gradient, mask": ("gpugrad.gradient(f, where=where, backend=backend)", (41, 40, 40)),
    "gradient, periodic": ("gpugrad.gradient(f, boundary='periodic', backend=backend)", (7,) * 6),
    "laplacian": ("gpugrad.laplacian(f, backend=backend)", (41, 40, 40)),
    "laplacian, accuracy 8": ("gpugrad.laplacian(f, accuracy=8, backend=backend)", (17,) * 4),
    "laplacian, short axis": ("gpugrad.laplacian(f, accuracy=4, backend=backend)", (8200, 8)),
    "divergence, accuracy 6": ("gpugrad.divergence(v, accuracy=6, backend=backend)", (17,) * 4),
    "curl": ("gpugrad.curl(v, backend=backend)", (41, 40, 40)),
    "hessian": ("gpugrad.hessian(f, backend=backend)", (41, 40, 40)),
}
"""Calls on 65,536 samples or somewhat more, none of which the process has compiled."""


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield what a process pays once, and what it pays once for a program."""
    for name, fresh in FRESH.items():
        yield Case(f"fresh process: {name}", partial(race_processes, fresh), (fresh.promise,))
    limits = (Promise("gpugrad, first call", "over_allowed", 1.0),
              Promise("gpugrad, later calls", "over_peer", 1.0))  # fmt: skip
    for name, (call, shape) in PROGRAMS.items() if has_compiler() else ():
        title = f"new program: {name}, {'x'.join(map(str, shape))}"
        code = _PROGRAM.format(call=call, shape=shape)
        yield Case(title, partial(race_programs, code), limits)


def race_processes(fresh: Fresh, row: Row) -> Heats:
    """Time what fresh processes do, and by how many seconds they differ."""
    if not find_spec(fresh.needs):
        row["skipped"]["gpugrad"] = f"{fresh.needs} is not installed"
        return

    def measure() -> dict[str, float]:
        ours, peer = (float(run_python(_TIMED.format(code))) for code in (fresh.ours, fresh.peer))
        return {"gpugrad": ours, "peer": peer, BEYOND: max(ours - peer, 1e-6)}

    yield share(measure, ("gpugrad", "peer", BEYOND))


def race_programs(code: str, row: Row) -> Heats:
    """Time calls in processes that have been at work, but not on this."""
    names = "gpugrad, first call", "gpugrad, later calls", "numpy engine", "allowed"
    yield share(lambda: json.loads(run_python(code)), names)


def share(measure: Callable[[], dict[str, float]], names: tuple[str, ...]) -> dict[str, Timer]:
    """Return timers for what is measured together: each takes its own part of a measurement."""
    times: dict[str, float] = {}

    def take(name: str) -> float:
        if name not in times:
            times.update(measure())
        return times.pop(name)

    return {name: partial(take, name) for name in names}
