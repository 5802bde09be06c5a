"""Calls on arrays of other libraries than NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, Later, call_public, given, options, product
from recording.fields import (
    LIBRARIES,
    coordinates,
    field,
    fields,
    in_library,
    mask,
    of_lines,
    values_of,
    vector,
    with_nan,
)

LOADS = ("jax", "torch", "array_api_strict", "dask.array", "scipy.signal", "llvmlite.binding")
"""The libraries that the calls need, loaded before the first of them."""

SHAPE = (8, 9)


def call_and_ask(function: str, *arguments: Any, **keywords: Any) -> Any:
    """Call, and bring what comes home."""
    result = call_public(function, *arguments, **keywords)
    parts = result if isinstance(result, tuple) else (result,)
    return {"result": result, "at home": [_home(part) for part in parts]}


def _home(part: Any) -> Any:
    return [_home(one) for one in part] if isinstance(part, tuple) else gpugrad.asnumpy(part)


def _operators(library: str) -> dict[str, Any]:
    f, v = field("f8", SHAPE, library=library), vector("f8", SHAPE, 2, library=library)
    x, y = coordinates(SHAPE[0]), coordinates(SHAPE[1])
    own = Later("<coordinates of the library>", lambda: in_library(y.make(), library))
    lat, lon = np.linspace(-90, 90, 8), np.arange(0, 360, 40.0)
    rows: dict[str, Any] = {
        "gradient": given("gradient", f),
        "gradient h": given("gradient", f, 0.3, edge_order=2),
        "gradient uneven": given("gradient", f, x, y),
        "gradient own uneven": given("gradient", f, x, own),
        "gradient on lines": given("gradient", f, of_lines(SHAPE, 0), 0.5),
        "gradient accuracy": given("gradient", f, 0.3, accuracy=4),
        "gradient periodic": given("gradient", f, 0.3, boundary="periodic"),
        "gradient value": given("gradient", f, 0.3, boundary=(1.5, {"normal": 0.5})),
        "gradient left": given("gradient", f, 0.3, stagger="left"),
        "gradient stack": given("gradient", f, stack=True),
        "gradient axis": given("gradient", f, axis=1),
        "gradient f4 by f8": given("gradient", field("f4", SHAPE, library=library),
            np.float64(0.3)),
        "gradient skipna": given("gradient", with_nan("f8", SHAPE, library=library), skipna=True),
        "gradient where": given("gradient", f, where=mask(SHAPE, library=library)),
        "gradient numpy": given("gradient", f, backend="numpy"),
        "gradient compiled": given("gradient", f, backend="compiled"),
        "gradient slices": given("gradient", f, backend="slices"),
        "derivative": given("derivative", f, 0.3, order=2, accuracy=4),
        "derivative uneven": given("derivative", f, y, order=3),
        "laplacian": given("laplacian", f, 0.3),
        "gradient_norm": given("gradient_norm", f, 0.3),
        "hessian": given("hessian", f, 0.3),
        "divergence": given("divergence", v, 0.3),
        "curl": given("curl", v, x, y),
        "jacobian": given("jacobian", v, 0.3),
        "jacobian stack": given("jacobian", v, 0.3, stack=True),
        "sphere gradient": given("Sphere.gradient", f, lat, lon),
        "sphere laplacian": given("Sphere.laplacian", f, lat, lon),
        "sphere curl": given("Sphere.curl", v, lat, lon),
        "another library": given("gradient", f, Later("<array_api_strict>", _foreign)),
        "out of NumPy": given("laplacian", f, out=Later("<out>", lambda: np.zeros(SHAPE))),
        "bool": given("gradient", field("?", SHAPE, library=library)),
        "where of NumPy": given("laplacian", f, where=mask(SHAPE)),
        "where of numbers": given("laplacian", f, where=f),
        "curvilinear of NumPy": given("CurvilinearGrid.gradient", f, Later("<grid>", _grid)),
        "curvilinear": given("CurvilinearGrid.gradient", f, Later(
            "<grid of the library>", lambda: tuple(in_library(x, library) for x in _grid()))),
        "curvilinear of another": given("CurvilinearGrid.gradient", f, Later(
            "<grid of another>", lambda: tuple(in_library(x, "strict") for x in _grid()))),
        "smooth": given("smooth_derivative", f, 0.5, window_length=5, polyorder=2),
        "error_estimate": given("error_estimate", f, 0.5),
        "integers as spacing": given("gradient", f, 1.0, Later(
            "<integers>", lambda: in_library(np.arange(9) ** 2, library))),
        "short": given("gradient", field("f8", (1, 4), library=library)),
        "0-d": given("gradient", Later("<0-d>", lambda: in_library(np.array(1.0), library))),
        "booleans as spacing": given("gradient", f, Later(
            "<booleans>", lambda: in_library(np.ones(9, bool), library)), 1.0),
        "complex spacing": given("gradient", f, 1.0, Later(
            "<complex>", lambda: in_library(np.ones(9, "c16"), library))),
    }  # fmt: skip
    if library in ("strict", "torch"):
        out = Later("<out of the library>", lambda: in_library(np.zeros(SHAPE), library))
        rows["out"] = given("laplacian", f, out=out)
        rows["outs"] = given("gradient", f, out=(out, out))
    return rows


def _grid() -> Any:
    x, y = np.meshgrid(np.arange(8.0), np.arange(9.0) ** 1.2, indexing="ij")
    return x + 0.1 * y, y - 0.2 * x


def _foreign() -> Any:
    import array_api_strict

    return array_api_strict.ones(8)


def plan_of_library(library: str, operator: str, **keywords: Any) -> Any:
    """Make a plan for a library; return what it is and what it gives."""
    f = in_library(values_of("f8", SHAPE), library)
    plan = gpugrad.plan(SHAPE, 0.3, operator=operator, like=f, **keywords)
    return repr(plan), plan(f)


def trace(kind: str, **keywords: Any) -> Any:
    """Call inside transformations of JAX."""
    import jax

    f = jax.numpy.asarray(values_of("f8", (6, 7)))

    def steepness(f: Any) -> Any:
        parts = gpugrad.gradient(f, 0.5, **keywords)
        return sum((part**2).sum() for part in parts)

    if kind == "jit":
        return jax.jit(lambda f: gpugrad.gradient(f, 0.5, **keywords))(f)
    if kind == "grad":
        return jax.grad(steepness)(f)
    if kind == "vmap":
        return jax.vmap(lambda row: gpugrad.gradient(row, 0.5, **keywords))(f)
    function = gpugrad.asnumpy if kind == "asnumpy" else gpugrad.turning_points
    return jax.jit(function)(f)


def half_of_jax(name: str) -> Any:
    """Differentiate narrow numbers of JAX."""
    import jax

    f = jax.numpy.asarray(values_of("f4", (5, 6)), dtype=name)
    return gpugrad.gradient(f, 0.5)


def of_chunks(chunks: Any, function: Callable[..., Any] | str, **keywords: Any) -> Any:
    """Differentiate a lazy array that is cut in some way."""
    import dask.array

    shape = (12, 10)
    f = dask.array.from_array(values_of("f8", shape), chunks=chunks)
    if function == "curl":
        return gpugrad.curl((f, 2 * f), 0.5, **keywords)
    return getattr(gpugrad, str(function))(f, 0.5, **keywords)


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    for library, is_there in LIBRARIES.items():
        if not is_there:
            continue
        yield from product(f"on {library}", call_and_ask, _operators(library))
        dtypes = ("f4", "c8", "c16", "i4", "u1") + (() if library == "strict" else ("f2",))
        column = fields(dtypes, [SHAPE], libraries=[library])
        yield from product(
            f"on {library}", "gradient", column, {"h": (0.3,), "f8(0.3)": (np.float64(0.3),)}
        )
        yield from product(
            f"plan on {library}", plan_of_library, {library: (library,)},
            options(operator=("gradient", "laplacian")),
            {"": {}, "periodic": {"boundary": "periodic"}},
        )  # fmt: skip
    if LIBRARIES["dask"]:
        chunks = {
            "whole": ((12, 10),), "2": (2,), "1": (1,), "uneven": (((5, 1, 6), (3, 7)),),
            "columns": ((12, 1),),
        }  # fmt: skip
        more: dict[str, Any] = {
            "": {}, "accuracy=4": {"accuracy": 4}, "periodic": {"boundary": "periodic"},
            "numpy": {"backend": "numpy"}, "compiled": {"backend": "compiled"},
            "slices": {"backend": "slices"}, "skipna": {"skipna": True},
        }  # fmt: skip
        functions = {name: (name,) for name in ("gradient", "laplacian", "curl")}
        yield from product("chunks of dask", of_chunks, chunks, functions, more, one_in=2)
        dates = Later("<dates>", lambda: in_library(values_of("M8[s]", (9,)), "dask"))
        yield from product(
            "on dask", "gradient",
            {"longdouble": (field("g", SHAPE, library="dask"),),
             "masked": (Later("<lazy masked>", _lazy_masked),), "dates": (dates,),
             "lazy coordinates": (
                 field("f8", (9,), library="dask"), field("f8", (9,), library="dask", seed=3)),
             "lazy lines": (
                 field("f8", (9, 8), library="dask"), field("f8", (9, 8), library="dask", seed=3),
                 1.0),
             "unknown shape": (Later("<unknown shape>", _lazy_of_unknown_shape),),
             "mask of NumPy": given(field("f8", SHAPE, library="dask"), where=mask(SHAPE)),
             "a number": (field("f8", (9,), library="dask"), Later("<lazy 0.5>", _lazy_number)),
             "lazy dates": given(field("f8", (9,), library="dask"), Later(
                 "<lazy dates>", lambda: in_library(
                     np.datetime64("2024-01-01") + np.arange(9) ** 2, "dask")), time_unit="h")},
        )  # fmt: skip
    if LIBRARIES["jax"]:
        yield from product(
            "traced by jax", trace, options(kind=("jit", "vmap")),
            {"": {}, "accuracy=4": {"accuracy": 4}, "backend=numpy": {"backend": "numpy"}},
        )  # fmt: skip
        yield Call("traced by jax/kind='grad'", trace, ("grad",))
        yield Call("traced by jax/turning points", trace, ("turning points",))
        yield Call("traced by jax/asnumpy", trace, ("asnumpy",))
        yield from product(
            "narrow numbers of jax", half_of_jax, options(name=("float16", "bfloat16"))
        )


def _lazy_number() -> Any:
    import dask.array

    return dask.array.asarray(0.5)


def _lazy_of_unknown_shape() -> Any:
    f = in_library(values_of("f8", (20,)), "dask")
    return f[f > 0]


def _lazy_masked() -> Any:
    import dask.array

    f = np.ma.masked_less(values_of("f8", SHAPE), -1)
    return dask.array.from_array(f, chunks=4, asarray=False)
