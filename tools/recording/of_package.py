"""Calls on the package itself: names, signatures, backends, namespaces, arrays brought home."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, Later, given, options, product
from recording.fields import DTYPES, LIBRARIES, field, in_library, values_of

LOADS = ("jax", "torch", "array_api_strict", "dask.array")
"""The libraries that the calls need, loaded before the first of them."""


def sign(name: str) -> str:
    """Return the signature of a public function, or of the methods of a class."""
    thing = attrgetter(name)(gpugrad)
    if inspect.isclass(thing):
        methods = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
        return "; ".join(f"{key}{inspect.signature(value)}" for key, value in methods.items())
    return str(inspect.signature(thing))


def choose(*chosen: Any, ask: Any = "auto", **keywords: Any) -> Any:
    """Differentiate inside of blocks that choose a backend, or a number of threads."""
    backend = {} if ask == "auto" else {"backend": ask}
    plain = values_of("f4", (5, 6))
    # Which engine is in force shows where some refuse: masked arrays, and half precision.
    fields = (plain, np.ma.masked_less(plain, -1), plain.astype("f2"))

    def answers() -> list[Any]:
        return [_answer(f, **backend) for f in fields]

    with gpugrad.use_backend(*chosen, **keywords):
        inside = answers()
        with gpugrad.use_backend("slices"):
            within = answers()
        again = answers()
    return {"inside": inside, "within": within, "again": again, "after": answers()}


def differentiate_patched(*arguments: Any, **keywords: Any) -> Any:
    """Call NumPy's gradient while ours stands in for it."""
    with gpugrad.patch_numpy(**keywords):
        return np.gradient(*arguments)


def _answer(f: Any, **keywords: Any) -> Any:
    try:
        return gpugrad.gradient(f, 0.3, axis=0, **keywords)
    except (RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def explain(f: Any, *spacing: Any, **keywords: Any) -> Any:
    """Return what `explain` says of a call, without numbers of threads."""
    said = gpugrad.explain(f, *spacing, **keywords)
    return said.backend, said.details.split(" on ")[0], said.rejected, said.cure


def ask_info() -> Any:
    """Return what `info` lists; versions and devices differ from machine to machine."""
    info = gpugrad.info()
    labels = [line[:30].split("  ")[0] for line in str(info).splitlines()]
    return {"labels": labels, "picks": info.picks, "versions": sorted(info.versions),
            "gpu": sorted(vars(info.gpu)), "fields": sorted(vars(info))}  # fmt: skip


def ask_memory() -> Any:
    """Return what kind of answer `free_memory` gives, once after another."""
    first = gpugrad.free_memory()
    return type(first).__name__, gpugrad.free_memory()


def reach(name: str) -> Any:
    """Return an attribute of the package."""
    return type(getattr(gpugrad, name)).__name__


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield Call("package/names", lambda: [*gpugrad.__all__])
    yield Call("package/info", ask_info)
    yield Call("package/memory", ask_memory)
    for name in (*gpugrad.__all__, "grad", "_nothing"):
        yield Call(f"package/has/{name}", reach, (name,))
    for name in (
        "CurvilinearGrid", "Sphere", "asnumpy", "critical_points", "curl", "derivative",
        "derivative_of", "divergence", "error_estimate", "explain", "free_memory", "gradient",
        "gradient_norm", "gradient_of", "hessian", "hessian_of", "inflection_points", "info",
        "jacobian", "jacobian_of", "laplacian", "namespace", "noise_level", "patch_numpy",
        "plan", "recommended_spacing", "smooth_derivative", "stencil", "symbolic.curl",
        "symbolic.divergence", "symbolic.gradient", "symbolic.hessian", "symbolic.jacobian",
        "symbolic.laplacian", "tabulate", "turning_points", "use_backend",
    ):  # fmt: skip
        yield Call(f"package/signature/{name}", sign, (name,))
    for name in ("auto", "numpy", "jax", "torch", "cupy", "fortran", None, 3):
        yield Call(f"package/namespace/{name}", "namespace", (name,))
    chosen: dict[str, Any] = {
        "slices": ("slices",), "numpy": ("numpy",), "compiled": ("compiled",), "auto": ("auto",),
        "None": (None,), "threads": given(threads=2), "both": given("numpy", threads=1),
        "unknown": ("fortran",), "a number": (1,), "threads=0": given(threads=0),
        "threads=-1": given(threads=-1), "threads=1.0": given(threads=1.0),
        "threads=True": given(threads=True), "threads=text": given(threads="2"),
        "threads=None": given(threads=None), "threads=NumPy": given(threads=np.int64(2)),
    }  # fmt: skip
    yield from product("backends", choose, chosen, options(ask=("auto", "slices", "fortran", 1)))
    fields: dict[str, Any] = {dtype: (field(dtype, (30, 40)),) for dtype in DTYPES}
    fields["masked"] = (np.ma.masked_less(values_of("f8", (30, 40)), -1),)
    yield from product(
        "patched", differentiate_patched, fields, options(fallback=(False, True, "yes"))
    )
    yield from product("explain", explain, fields, options(backend=("auto", "slices", "numpy")))
    rows: dict[str, Any] = {dtype: (field(dtype, (3, 4)),) for dtype in DTYPES}
    rows |= {
        "a list": ([1.0, 2.0],), "a number": (1.0,), "None": (None,), "text": ("abc",),
        "a dict": ({"a": 1},), "an object": (Later("<object>", object),),
        "nested": ([[1, 2], [3]],),
        "masked": (np.ma.masked_less([1.0, 2.0, 3.0], 2),), "a tuple": ((1, 2, 3),),
    }  # fmt: skip
    for library, is_there in LIBRARIES.items():
        if is_there:
            rows |= {
                f"{dtype} {library}": (field(dtype, (3, 4), library=library),)
                for dtype in ("f8", "f4", "i2", "?", "c8")
            }
            rows[f"0-d {library}"] = (
                Later("<0-d>", lambda name=library: in_library(np.array(1.5), name)),
            )
    yield from product("asnumpy", "asnumpy", rows)
