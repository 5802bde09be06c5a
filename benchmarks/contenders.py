"""Each library that differentiates a table, called as its own documentation says.

A contender gets a field and returns a call. Where it needs an array of its own, that is made
beforehand, outside the time measured.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.cases import Case

# The first calls are made before anything is timed: what is imported or compiled is not counted.

PACKAGES = ("llvmlite", "torch", "jax", "jaxlib", "dask", "findiff", "xarray")

HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Variables by which PyTorch and the C library ask for huge pages, set before a process starts."""

Call = Callable[[], Any]


class Unavailable(Exception):
    """A contender cannot take part, and why."""


class Setting(NamedTuple):
    """What is to be differentiated, and where the results may go."""

    case: Case
    f: Any
    spacing: tuple[Any, ...]
    out: Any


class Contender(NamedTuple):
    """A way to compute gradients.

    Parameters
    ----------
    make : callable
        Returns the call for a setting, or raises `Unavailable`.
    memory : (float, float)
        How much a call takes at its peak, results included: so many times the bytes of all
        results, and so many of one.
    traced : bool
        Whether `tracemalloc` sees its memory.
    """

    make: Callable[[Setting], Call]
    memory: tuple[float, float]
    traced: bool = True


def make_gpugrad(setting: Setting, backend: str | None = None) -> Call:
    """Return our call."""
    case, f, spacing, out = setting
    target = out[0] if out and len(out) == 1 else out
    return lambda: gpugrad.gradient(
        f, *spacing, axis=case.axis, edge_order=case.edge_order, out=target, backend=backend
    )


def make_numpy(setting: Setting) -> Call:
    case, f, spacing, _ = setting
    edge_order: Any = case.edge_order
    return lambda: np.gradient(f, *spacing, axis=case.axis, edge_order=edge_order)


def make_torch(setting: Setting, compiled: bool = False) -> Call:
    import torch

    case, f, spacing, _ = setting
    options: dict[str, Any] = {"edge_order": case.edge_order}
    if case.axis is not None:
        options["dim"] = case.axis
    if spacing:
        options["spacing"] = tuple(map(torch.from_numpy, spacing))

    def gradient(tensor: Any) -> Any:
        return torch.gradient(tensor, **options)

    if compiled:
        gradient = torch.compile(gradient)
    tensor = torch.from_numpy(f)
    return lambda: gradient(tensor)


def make_jax(setting: Setting) -> Call:
    import jax
    import jax.numpy as jnp

    case, f, spacing, _ = setting
    if case.edge_order != 1:
        raise Unavailable("jnp.gradient has no edge_order")
    jax.config.update("jax_enable_x64", True)
    gradient = jax.jit(lambda values, *xs: jnp.gradient(values, *xs, axis=case.axis))
    arrays = [jnp.asarray(a) for a in (f, *spacing)]
    return lambda: jax.block_until_ready(gradient(*arrays))


def make_dask(setting: Setting) -> Call:
    import dask
    import dask.array as da

    case, f, spacing, _ = setting
    # Slabs of about 16 MiB, but no less than eight of them: enough for every core, few enough
    # for the scheduler to cost nothing.
    rows = min(f.shape[0] * (1 << 24) // f.nbytes, f.shape[0] // 8)
    field = da.from_array(f, chunks=(max(rows, 4), *f.shape[1:]))

    def compute() -> Any:
        results = da.gradient(field, *spacing, axis=case.axis, edge_order=case.edge_order)
        return dask.compute(*(results if case.axis is None else [results]), scheduler="threads")

    return compute


def make_findiff(setting: Setting) -> Call:
    import findiff

    case, f, spacing, _ = setting
    if case.axis is not None:
        derivative = findiff.Diff(case.axis, 1.0, acc=2)
        return lambda: derivative(f)
    where = {"coords": list(spacing)} if spacing else {"h": [1.0] * f.ndim}
    gradient = findiff.Gradient(**where, acc=2)
    return lambda: gradient(f)


def make_xarray(setting: Setting) -> Call:
    import xarray

    case, f, spacing, _ = setting
    names = [f"x{i}" for i in range(f.ndim)]
    spacing = spacing or tuple(np.arange(n, dtype=case.result_dtype) for n in f.shape)
    field = xarray.DataArray(f, dims=names, coords=dict(zip(names, spacing, strict=True)))
    chosen = names if case.axis is None else [names[case.axis]]
    edge_order: Any = case.edge_order
    return lambda: [field.differentiate(name, edge_order) for name in chosen]


CONTENDERS = {
    "gpugrad": Contender(make_gpugrad, (1, 0)),
    "numpy": Contender(make_numpy, (1, 2)),
    "gpugrad numpy": Contender(lambda s: make_gpugrad(s, "numpy"), (1, 0)),
    "torch": Contender(lambda s: make_torch(s), (2, 2), traced=False),
    "torch.compile": Contender(lambda s: make_torch(s, compiled=True), (2, 0), traced=False),
    "jax.jit": Contender(make_jax, (2, 1), traced=False),
    "dask": Contender(make_dask, (3, 0)),
    "findiff": Contender(make_findiff, (2, 2)),
    "xarray": Contender(make_xarray, (1, 2)),
}

OURS = ("gpugrad", "numpy", "gpugrad numpy")
"""What takes part in every case."""

WITH_HUGE_PAGES = ("torch", "torch.compile", "jax.jit")
"""Those whose results lie in fresh pages of 4 KB unless they are told otherwise."""


def prepare(name: str, setting: Setting) -> Call:
    """Return a contender's call, made once already; raise `Unavailable` if it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other libraries, about each other
            call = CONTENDERS[name].make(setting)
            results = call()
    except ImportError as error:
        raise Unavailable(f"{error.name or 'a library'} is not installed") from None
    except Unavailable:
        raise
    except Exception as error:
        if name in OURS:
            raise
        reason = re.sub(r"\S*[/\\\\]\S*", "...", (str(error).splitlines() or [""])[0])
        raise Unavailable(f"{type(error).__name__}: {reason}") from None
    if name not in OURS:
        check_inside(name, setting, results)
    return call


def check_inside(name: str, setting: Setting, results: Any) -> None:
    """Raise `Unavailable` unless results are NumPy's, but for rounding and the ends."""
    case, f, spacing, _ = setting
    results = [results] if getattr(results, "shape", None) == f.shape else results
    axes = range(f.ndim) if case.axis is None else [case.axis]
    rows = min(f.shape[0], 8)  # a few rows tell as much as all
    for axis, result in zip(axes, results, strict=True):
        few = tuple(slice(rows + 1) if i == 0 else slice(None) for i in range(f.ndim))
        coordinates = [spacing[axis][: rows + 1] if axis == 0 else spacing[axis]] if spacing else ()
        expected = np.gradient(f[few], *coordinates, axis=axis)
        inside = tuple(
            slice(1, rows) if i == 0 else slice(1, -1) if i == axis else slice(None)
            for i in range(f.ndim)
        )
        tolerance = 1e-3 if case.result_dtype == np.float32 else 1e-9
        if not np.allclose(np.asarray(result)[inside], expected[inside], tolerance, tolerance):
            raise Unavailable(f"{name} has not NumPy's results along axis {axis}")


def list_versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
