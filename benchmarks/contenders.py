"""Each library that differentiates a table, called as its own documentation says.

A contender gets a setting and returns a call. Where it needs an array of its own, that is made
beforehand, outside the time measured.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import gpugrad

HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Variables by which PyTorch and the C library ask for huge pages, set before a process starts."""

Call = Callable[[], Any]


class Unavailable(Exception):
    """A contender cannot take part, and why."""


class Setting(NamedTuple):
    """What is to be differentiated, and how."""

    f: Any
    spacing: Sequence[Any] = ()  # nothing, or coordinates for each axis
    axis: int | None = None
    edge_order: Any = 1
    out: Sequence[Any] | None = None


def make_gpugrad(setting: Setting, backend: str | None = None, threads: int | None = None) -> Call:
    """Return our call, by an engine and on so many threads."""
    f, spacing, axis, edge_order, out = setting
    out = out[0] if out and len(out) == 1 else out

    def call() -> Any:
        return gpugrad.gradient(
            f, *spacing, axis=axis, edge_order=edge_order, out=out, backend=backend
        )

    def call_on_threads() -> Any:
        with gpugrad.use_backend(threads=threads):
            return call()

    return call_on_threads if threads else call


def make_numpy(setting: Setting) -> Call:
    f, spacing, axis, edge_order, _ = setting
    return lambda: np.gradient(f, *spacing, axis=axis, edge_order=edge_order)


def make_torch(setting: Setting, compiled: bool = False) -> Call:
    import torch

    options: dict[str, Any] = {"edge_order": setting.edge_order}
    if setting.axis is not None:
        options["dim"] = setting.axis
    if setting.spacing:
        options["spacing"] = tuple(map(torch.from_numpy, setting.spacing))
    gradient = partial(torch.gradient, **options)
    return partial(torch.compile(gradient) if compiled else gradient, torch.from_numpy(setting.f))


def make_jax(setting: Setting) -> Call:
    import jax
    import jax.numpy as jnp

    if setting.edge_order != 1:
        raise Unavailable("jnp.gradient has no edge_order")
    jax.config.update("jax_enable_x64", True)
    gradient = jax.jit(lambda values, *xs: jnp.gradient(values, *xs, axis=setting.axis))
    arrays = [jnp.asarray(a) for a in (setting.f, *setting.spacing)]
    return lambda: jax.block_until_ready(gradient(*arrays))


def make_dask(setting: Setting) -> Call:
    import dask
    import dask.array as da

    f, spacing, axis, edge_order, _ = setting
    # Slabs of about 16 MiB, but no less than eight of them: enough for every core, few enough
    # for the scheduler to cost nothing.
    rows = min(f.shape[0] * (1 << 24) // f.nbytes, f.shape[0] // 8)
    field = da.from_array(f, chunks=(max(rows, 4), *f.shape[1:]))

    def compute() -> Any:
        results = da.gradient(field, *spacing, axis=axis, edge_order=edge_order)
        return dask.compute(*(results if axis is None else [results]), scheduler="threads")

    return compute


def make_findiff(setting: Setting) -> Call:
    import findiff

    f, spacing, axis, _, _ = setting
    if axis is not None:
        return partial(findiff.Diff(axis, 1.0, acc=2), f)
    where = {"coords": list(spacing)} if spacing else {"h": [1.0] * f.ndim}
    return partial(findiff.Gradient(**where, acc=2), f)


def make_xarray(setting: Setting) -> Call:
    import xarray

    f, spacing, axis, edge_order, _ = setting
    names = [f"x{i}" for i in range(f.ndim)]
    spacing = spacing or [np.arange(n, dtype=f.dtype) for n in f.shape]
    field = xarray.DataArray(f, dims=names, coords=dict(zip(names, spacing, strict=True)))
    chosen = names if axis is None else [names[axis]]
    return lambda: [field.differentiate(name, edge_order) for name in chosen]


CONTENDERS: dict[str, tuple[Callable[[Setting], Call], float, float]] = {
    "gpugrad": (make_gpugrad, 0, 0),
    "numpy": (make_numpy, 1, 2),
    "gpugrad numpy": (partial(make_gpugrad, backend="numpy"), 0, 0),
    "gpugrad numpy, 1 thread": (partial(make_gpugrad, backend="numpy", threads=1), 0, 0),
    "gpugrad numpy, 2 threads": (partial(make_gpugrad, backend="numpy", threads=2), 0, 0),
    "torch": (make_torch, 2, 2),
    "torch.compile": (partial(make_torch, compiled=True), 2, 0),
    "jax.jit": (make_jax, 2, 2),
    "dask": (make_dask, 3, 1),
    "findiff": (make_findiff, 2, 2),
    "xarray": (make_xarray, 1, 3),
}
"""What makes a call (it may raise `Unavailable`), and what the call takes at its peak beside the
field and our results: so many times the bytes of all its results, so many times those of one."""

OURS = ("gpugrad", "numpy", "gpugrad numpy")
"""What takes part in every case."""

OTHERS = ("torch", "torch.compile", "jax.jit", "dask", "findiff", "xarray")

NOT_NUMPYS = ("torch", "torch.compile", "jax.jit")
"""Whose results lie in memory that `tracemalloc` does not see: in fresh pages of 4 KB, unless they
are told otherwise."""


def prepare(name: str, setting: Setting) -> Call:
    """Return a contender's call; raise `Unavailable` if another library's fails or errs."""
    make, _, _ = CONTENDERS[name]
    if name not in OTHERS:
        return make(setting)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other libraries, about each other
            call = make(setting)
            results = call()
    except ImportError as error:
        raise Unavailable(f"{error.name or 'a library'} is not installed") from None
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever another library may raise
        reason = re.sub(r"\S*[/\\\\]\S*", "...", (str(error).splitlines() or [""])[0])
        raise Unavailable(f"{type(error).__name__}: {reason}") from None
    check_inside(name, setting, results)
    return call


def check_inside(name: str, setting: Setting, results: Any) -> None:
    """Raise `Unavailable` unless results are NumPy's, but for rounding and the ends."""
    f, spacing = setting.f, setting.spacing
    results = [results] if getattr(results, "shape", None) == f.shape else results
    few = f[:9]  # a few rows tell as much as all
    for axis, result in zip(
        range(f.ndim) if setting.axis is None else [setting.axis], results, strict=True
    ):
        coordinates = [spacing[axis][: few.shape[axis]]] if spacing else ()
        expected = np.gradient(few, *coordinates, axis=axis)
        inside = [slice(None)] * f.ndim
        inside[axis], inside[0] = slice(1, -1), slice(1, len(few) - 1)
        a, b = np.asarray(result)[tuple(inside)], expected[tuple(inside)]
        tolerance = 1e-3 if b.dtype == np.float32 else 1e-9
        if not np.allclose(a, b, tolerance, tolerance):
            raise Unavailable(f"{name} has not NumPy's results along axis {axis}")
