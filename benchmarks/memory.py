"""Memory that calls take beside their results: by the resident pages of a process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from benchmarks.floor import has_compiler
from benchmarks.measure import resident_peak
from benchmarks.table import Case, Heats, Promise, Row

_SETUP = """
import warnings
import numpy as np
import gpugrad
from gpugrad._engines import dispatch
warnings.simplefilter("ignore")
class Subclass(np.ndarray):
    pass
def make_field(n, dtype):
    x = np.linspace(0, 20, n)
    f = np.empty((n, n), dtype)
    for i in range(n):
        f[i] = 100 + 90 * np.sin(x[i] + x)
    return f
def torch_field(n, dtype):
    import torch
    return torch.from_numpy(make_field(n, "f2")).to(getattr(torch, dtype))
n = {n}
gpugrad.gradient(make_field(300, "f8"), backend="compiled")  # a compiler takes pages, too
f = {field}
call = lambda f: {call}
small = call(f[:64])  # a first call imports and compiles
del small
gpugrad.free_memory()
"""


_PAGES = """
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal(({side},) * 3)
out = tuple(np.full_like(f, 0.0) for _ in f.shape)
def call(rows):
    gpugrad.gradient(f[:rows], out=tuple(result[:rows] for result in out), backend={backend!r})
call({rows})
"""


class Call(NamedTuple):
    """A call, the bytes of a sample, of its results for one sample, and the fields promised."""

    field: str
    call: str
    bytes_field: int
    bytes_results: int
    limit: float


_SMOOTH = "gpugrad.smooth_derivative(f, 0.1, window_length=7, polyorder=3)"

CALLS = {
    "error_estimate": Call('make_field(n, "f8")', "gpugrad.error_estimate(f, 0.1)", 8, 8, 2),
    "error_estimate, one curve": Call(
        'make_field(n, "f8").ravel()', "gpugrad.error_estimate(f, 0.1)", 8, 8, 2
    ),
    "error_estimate, float16": Call(
        'make_field(n, "f2")', "gpugrad.error_estimate(f, 0.1)", 2, 2, 2
    ),
    "error_estimate, torch bfloat16": Call(
        'torch_field(n, "bfloat16")', "gpugrad.error_estimate(f, 0.1)", 2, 2, 2
    ),
    "noise_level": Call('make_field(n, "f8")', "gpugrad.noise_level(f)", 8, 0, 1),
    "noise_level, int16": Call('make_field(n, "i2")', "gpugrad.noise_level(f)", 2, 0, 1),
    "turning_points": Call('make_field(n, "f8")', "gpugrad.turning_points(f)", 8, 0, 2),
    "turning_points, uint8": Call('make_field(n, "u1")', "gpugrad.turning_points(f)", 1, 0, 2),
    "turning_points, float16": Call('make_field(n, "f2")', "gpugrad.turning_points(f)", 2, 0, 2),
    "inflection_points": Call('make_field(n, "f8")', "gpugrad.inflection_points(f)", 8, 0, 2),
    "critical_points": Call('make_field(n, "f8")', "gpugrad.critical_points(f)", 8, 0, 2),
    "smooth_derivative, filter": Call('make_field(n, "f8")', _SMOOTH, 8, 8, 1),
    "smooth_derivative, filter, float16": Call('make_field(n, "f2")', _SMOOTH, 2, 2, 1),
    "gradient, torch float16": Call('torch_field(n, "float16")', "gpugrad.gradient(f)", 2, 4, 2),
    "gradient, torch bfloat16": Call('torch_field(n, "bfloat16")', "gpugrad.gradient(f)", 2, 4, 2),
    "laplacian, torch bfloat16": Call(
        'torch_field(n, "bfloat16")', "gpugrad.laplacian(f)", 2, 2, 2
    ),
    "gradient, subclass": Call(
        'make_field(n, "f8").view(Subclass)', "gpugrad.gradient(f)", 8, 16, 1
    ),
    "gradient, masked array": Call(
        '(lambda f: np.ma.array(f, mask=f > 180))(make_field(n, "f8"))',
        "gpugrad.gradient(f)", 8, 18, 1,
    ),
    "hessian, float16": Call('make_field(n, "f2")', "gpugrad.hessian(f)", 2, 8, 2),
    "CurvilinearGrid, a second call": Call(
        'make_field(n, "f8"); grid = gpugrad.CurvilinearGrid(*np.meshgrid(np.linspace(1, 2, n), '
        'np.linspace(1, 3, n), indexing="ij")); grid.gradient(f)[0][0]',
        "grid.gradient(f)", 8, 16, 2,
    ),
    "Sphere, float16": Call(
        'make_field(n, "f2"); grid = gpugrad.Sphere(np.linspace(-80, 80, n), '
        "np.arange(n) * 360 / n, radius=1.0); grid.gradient(f)[0][0]",
        "grid.gradient(f)", 2, 4, 2,
    ),
}  # fmt: skip


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield calls on a square field, and one by each engine on a cube."""
    n = 300 if quick else 4000
    for name, call in CALLS.items():
        promises = [Promise("gpugrad", "fields", call.limit)]
        yield Case(f"{name}, {n}^2", partial(find_memory, call, n), promises)
    side = 48 if quick else 256
    yield Case(f"pages that a call adds, {side}^3 into `out`", partial(find_pages, side))


def find_memory(call: Call, n: int, row: Row) -> Heats:
    """Find the peak in a fresh process, without the results."""
    field, has_grid = call.field, "grid." in call.call
    setup = _SETUP.format(n=n, field=field, call=call.call)
    if has_grid:  # a grid is for one shape
        field, rest = field.split(";", 1)
        setup = setup.replace(call.field, field).replace("f[:64]", "f")
        setup = setup.replace("call = lambda", f"{rest.strip()}\ncall = lambda")
    peak = resident_peak(setup, "results = call(f)")
    if peak is None:
        row["skipped"]["gpugrad"] = "the system has no /proc"
        return ()
    row["fields"] = {"gpugrad": (peak / n**2 - call.bytes_results) / call.bytes_field}
    return ()


def find_pages(side: int, row: Row) -> Heats:
    """Find the memory that a fresh process takes in a call, thread stacks and all."""
    row["extra_megabytes"] = {}
    first = {"compiled": side, "numpy": 4} if has_compiler() else {"numpy": 4}
    for backend, rows in first.items():
        extra = resident_peak(_PAGES.format(side=side, backend=backend, rows=rows), f"call({side})")
        if extra is not None:
            row["extra_megabytes"][f"gpugrad {backend}"] = extra / 1e6
    return ()
