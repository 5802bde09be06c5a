"""Calls of `gradient` on arrays of NumPy: dtypes, layouts, shapes, spacings, axes, `out`, sizes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

import gpugrad
from recording.calls import BACKENDS, NOTHING, Call, Later, given, options, product
from recording.fields import (
    DTYPES,
    LAYOUTS,
    coordinates,
    field,
    fields,
    in_library,
    laid_out,
    mask,
    of_lines,
    values_of,
    vector,
)

LOADS = ("llvmlite.binding", "array_api_strict")
"""The libraries that the calls need, loaded before the first of them."""

SHAPE = (7, 6)

SHAPES = (
    (0,), (1,), (2,), (3,), (4,), (5,), (9,), (17,), (64,), (65,), (130,), (1000,), (2, 2), (3, 2),
    (1, 6), (6, 1), (0, 4), (4, 0), (40, 3), (3, 40), (3, 4, 5), (2, 2, 2), (5, 1, 4), (2, 3, 4, 5),
    (16, 17, 18), (2, 3, 2, 3, 2),
)  # fmt: skip

LARGE = {
    "rows": (300, 301),
    "cube": (60, 70, 130),
    "long rows": (9, 80_000),
    "short rows": (90_000, 7),
    "line": (700_000,),
    "4-D": (12, 13, 40, 120),
}
"""Fields beyond 65,536 samples, from where on engines cut them, and beyond 4 MiB."""


def scalar_spacings() -> dict[str, Any]:
    """Return a column of distances between samples, as all kinds of numbers."""
    numbers = (
        1, 2, -1, 0.5, 0.3, -0.3, 1e-3, True + 1, np.float32(0.3), np.float64(0.3),
        np.float16(0.3), np.longdouble("0.3"), np.int8(3), np.int16(-3), np.int64(3), np.uint8(3),
        np.uint64(3), Fraction(1, 3), np.array(0.3), np.array(0.3, "f4"), np.array(3),
    )  # fmt: skip
    return {f"h={type(h).__name__}({h})": (h,) for h in numbers}


def array_spacings(n: int, m: int) -> dict[str, Any]:
    """Return a column of coordinates for two axes."""
    x = coordinates(m)

    def both(first: Any, second: Any = x) -> tuple[Any, Any]:
        return first, second

    days = np.array([0, 1, 3, 4, 7, 9, 14, 15, 20])[:n]
    return {
        "uneven f8": both(coordinates(n)),
        "uneven f4": both(coordinates(n, "f4"), coordinates(m, "f4")),
        "uneven f4 and f8": both(coordinates(n, "f4")),
        "uneven f2": both(coordinates(n, "f2")),
        "uneven g": both(coordinates(n, "g")),
        "uneven >f8": both(coordinates(n, ">f8")),
        "integers": both(days),
        "integers i1": both(days.astype("i1")),
        "integers u2": both(days.astype("u2")),
        "a list": both(days.tolist()),
        "a tuple": both(tuple(days.tolist())),
        "decimals": both([Decimal(int(day)) / 4 for day in days]),
        "fractions": both([Fraction(int(day), 3) for day in days]),
        "even": both(np.arange(float(n))),
        "even and a number": both(np.arange(float(n)), 0.25),
        "linspace": both(np.linspace(0, 1, n)),
        "downwards": both(Later("<downwards>", lambda: -coordinates(n).make())),
        "there and back": both(np.array([0.0, 2, 1, 4, 3, 6, 5, 8, 7])[:n]),
        "strided": both(Later("<strided>", lambda: np.repeat(coordinates(n).make(), 2)[::2])),
        "first and a number": both(coordinates(n), 2.0),
        "a number and second": both(np.float32(0.7), x),
        "on all lines": both(of_lines((n, m), 0)),
        "on all lines f4": both(of_lines((n, m), 0, "f4"), of_lines((n, m), 1, "f4")),
        "on both axes": both(of_lines((n, m), 0), of_lines((n, m), 1)),
        "meshgrid": both(
            Later("<meshgrid>", lambda: np.repeat(coordinates(n).make()[:, None], m, axis=1))
        ),
        "a column": both(Later("<column>", lambda: coordinates(n).make()[:, None])),
    }


def dates(n: int) -> dict[str, Any]:
    """Return a column of spacings along one axis that are dates."""
    days = np.array([0, 1, 3, 4, 7, 9, 14, 15, 20])[:n]
    start = np.datetime64("2024-02-27")
    hours, moments = (start + days).astype("M8[h]"), (start + days).astype("M8[ns]")
    months = np.datetime64("2024-01") + np.arange(n)
    missing = np.where(days == 4, np.datetime64("NaT", "D"), start + days)
    return {
        "days per s": given(start + days, time_unit="s"),
        "days per D": given(start + days, time_unit="D"),
        "hours per h": given(hours, time_unit="h"),
        "ns per ms": given(moments, time_unit="ms"),
        "months per D": given(months, time_unit="D"),
        "months per M": given(months, time_unit="M"),
        "big-endian": given(hours.astype(">M8[s]"), time_unit="h"),
        "spans": given(days.astype("m8[D]")),
        "spans per h": given(days.astype("m8[D]"), time_unit="h"),
        "one span": given(np.timedelta64(30, "m"), time_unit="h"),
        "one span in W": given(np.timedelta64(3, "W"), time_unit="D"),
        "no unit": given(start + days),
        "one span without unit": given(np.timedelta64(30, "m")),
        "unit of no dates": given(0.5, time_unit="h"),
        "unknown unit": given(start + days, time_unit="fortnight"),
        "NaT": given(missing, time_unit="s"),
    }


def special(dtype: str, shape: tuple[int, ...]) -> Any:
    """Return a field with NaN, infinities, zeros of both signs, tiny and huge numbers in it."""

    def make() -> Any:
        info = np.finfo(dtype)
        f = values_of(dtype, shape)
        flat = f.reshape(-1)
        given = (np.nan, np.inf, -np.inf, 0.0, -0.0, info.tiny / 4, info.max, -info.max, np.inf)
        for i, value in enumerate(given):
            flat[3 + 5 * i : 5 + 5 * i] = value
        return f

    return Later(f"<special {dtype} {shape}>", make)


def call_into(function: str, *arguments: Any, out: Any, **keywords: Any) -> Any:
    """Call with `out`; tell whether it came back, and what is in it."""
    result = getattr(gpugrad, function)(*arguments, out=out, **keywords)
    if isinstance(result, tuple):
        same = [a is b for a, b in zip(result, out, strict=True)]
    else:
        same = [result is out]
    return {"given back": same, "result": result, "out": out}


def call_over_itself(function: str, f: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call with an `out` that lies where the field does, moved by a sample."""
    whole = np.concatenate([f, f[-1:]])
    result = getattr(gpugrad, function)(whole[:-1], *arguments, out=whole[1:], **keywords)
    return {"result": result, "memory": whole}


def call_with_errstate(function: str, *arguments: Any, **keywords: Any) -> Any:
    """Call where NumPy is to raise what it would warn of."""
    with np.errstate(all="raise"):
        return getattr(gpugrad, function)(*arguments, **keywords)


def call_on_threads(threads: int, function: str, *arguments: Any, **keywords: Any) -> Any:
    """Call with so many threads."""
    with gpugrad.use_backend(threads=threads):
        return getattr(gpugrad, function)(*arguments, **keywords)


def _outs(shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    def empty(layout: str, dtype: str = dtype, shape: tuple[int, ...] = shape) -> Any:
        return Later(
            f"<out {dtype} {shape} {layout}>", lambda: laid_out(np.zeros(shape, dtype), layout)
        )

    both = (2, *shape)
    return {
        "tuple": {"out": (empty("C"), empty("C"))},
        "list": {"out": [empty("C"), empty("C")]},
        "F": {"out": (empty("F"), empty("F"))},
        "strided": {"out": (empty("strided"), empty("turned"))},
        "backwards": {"out": (empty("backwards"), empty("inner"))},
        "stack": {"out": empty("C", shape=both), "stack": True},
        "stack F": {"out": empty("F", shape=both), "stack": True},
        "f4": {"out": (empty("C", "f4"), empty("C", "f4"))},
        "f8": {"out": (empty("C", "f8"), empty("C", "f8"))},
        "c16": {"out": (empty("C", "c16"), empty("C", "c16"))},
        "i4": {"out": (empty("C", "i4"), empty("C", "i4"))},
        "read-only": {"out": (empty("read-only"), empty("C"))},
        "repeated": {"out": (empty("repeated"), empty("C"))},
        "one": {"out": empty("C")},
        "three": {"out": (empty("C"),) * 3},
        "shape": {"out": (empty("C", shape=both), empty("C", shape=both))},
        "masked": {
            "out": (
                Later("<masked out>", lambda: np.ma.zeros(shape, dtype)),
                Later("<masked out>", lambda: np.ma.zeros(shape, dtype)),
            )
        },
        "stack without": {"stack": True, "out": (empty("C"), empty("C"))},
        "no array": {"out": (1, 2)},
        "none in tuple": {"out": (empty("C"), None)},
        "the same twice": {
            "out": Later("<one array twice>", lambda: (np.zeros(shape, dtype),) * 2)
        },
        "overlapping": {"out": Later("<overlapping>", _overlapping)},
        "stack short": {"out": empty("C", shape=(3, *shape)), "stack": True},
        "a list of lists": {"out": [[0.0], [0.0]]},
        "strict": {
            "out": (Later("<strict>", lambda: in_library(np.zeros(shape), "strict")), empty("C"))
        },
        "matrix": {"out": (Later("<memmap>", _subclass), empty("C"))},
    }


def _overlapping() -> Any:
    whole = np.zeros((SHAPE[0] + 1, SHAPE[1]))
    return whole[:-1], whole[1:]


class _Subclass(np.ndarray):
    """An array of a class of its own."""


def _subclass() -> Any:
    return np.zeros(SHAPE).view(_Subclass)


def _of_dtypes() -> Iterator[Call]:
    some = {"h=0.3": (0.3,), "h=f8(0.3)": (np.float64(0.3),), "edge_order=2": {"edge_order": 2}}
    few = ("C", "F", "strided")
    yield from product("dtypes", "gradient", fields(DTYPES, [SHAPE], few), some, BACKENDS, one_in=4)
    yield from product(
        "layouts", "gradient",
        fields(("f8", "f4", "c16", "i2", "f2"), [SHAPE, (6, 5, 8)], LAYOUTS), NOTHING, BACKENDS,
        one_in=3,
    )  # fmt: skip
    yield from product(
        "shapes", "gradient",
        fields(("f8", "f4"), SHAPES), options(edge_order=(1, 2)), BACKENDS, one_in=4,
    )  # fmt: skip


def _of_spacings() -> Iterator[Call]:
    dtypes = ("f8", "f4", "c8", "i4", "f2", "g", "M8[s]")
    edges = options(edge_order=(1, 2))
    column = fields(dtypes, [SHAPE])
    yield from product("numbers", "gradient", column, scalar_spacings(), edges, BACKENDS, one_in=7)
    yield from product(
        "coordinates", "gradient", column, array_spacings(*SHAPE), edges, BACKENDS, one_in=7
    )
    some = {name: BACKENDS[name] for name in ("slices", "auto")}
    yield from product("dates", "gradient", fields(("f8", "f4", "i4"), [(7,)]), dates(7), some)
    for label, spacing in {"h": (0.3,), "uneven": (coordinates(8), coordinates(5))}.items():
        for axis in ((1, 2), (2, 1), [1, -1], (np.int64(2), np.int32(1))):
            yield Call(
                f"axes/{axis}/{label}".replace(" ", ""), "gradient",
                (field("f8", (4, 5, 8)), *spacing[::-1]), {"axis": axis},
            )  # fmt: skip
    for axis in (None, 0, 1, 2, -1, -3, (0,), [2], (), (0, 1, 2), (2, 0, 1), np.int8(1), range(2)):
        yield from product(
            "axes", "gradient", fields(("f8", "i2"), [(4, 5, 8)]),
            {f"axis={axis!r}".replace(" ", ""): {"axis": axis}},
            NOTHING | {"stack": {"stack": True}},
        )  # fmt: skip


def _of_outs() -> Iterator[Call]:
    for dtype in ("f8", "f4", "i4"):
        kind = {"i4": "f8"}.get(dtype, dtype)
        column = {dtype: ("gradient", field(dtype, SHAPE))}
        yield from product("out", call_into, column, _outs(SHAPE, kind), BACKENDS, one_in=3)
    for function in ("gradient", "derivative", "laplacian", "gradient_norm"):
        keywords = {"axis": 0} if function in ("gradient", "derivative") else {}
        for backend in BACKENDS:
            yield Call(
                f"out over itself/{function}/{backend}", call_over_itself,
                (function, field("f8", (20, 9))), {**keywords, "backend": backend},
            )  # fmt: skip
    for backend in BACKENDS:
        out = Later("<out>", lambda: np.zeros((9, 8)))
        for function in ("laplacian", "gradient_norm", "derivative"):
            yield Call(
                f"out/{function}/{backend}", call_into, (function, field("f8", (9, 8))),
                {"out": out, "backend": backend},
            )  # fmt: skip
        for function in ("divergence", "curl"):
            yield Call(
                f"out/{function}/{backend}", call_into, (function, vector("f8", (9, 8), 2)),
                {"out": out, "backend": backend},
            )  # fmt: skip


def _of_special() -> Iterator[Call]:
    rows = {
        f"{function} {dtype}": (function, special(dtype, (12, 11)))
        for function in ("gradient", "laplacian", "gradient_norm", "derivative")
        for dtype in ("f8", "f4", "f2", "g")
    }
    spacings = {"h=0.5": (0.5,), "h=1e-30": (1e-30,)}
    yield from product("special", _call, rows, spacings, BACKENDS, one_in=2)
    yield from product(
        "special raised", call_with_errstate, rows, {"h=0.5": (0.5,)}, BACKENDS, one_in=2
    )
    for backend in BACKENDS:
        yield Call(
            f"special/complex/{backend}", "gradient",
            (Later("<c16 with inf>", _complex_special), 0.3), {"backend": backend},
        )  # fmt: skip


def _complex_special() -> Any:
    f = values_of("c16", (9, 8))
    f[2, 3], f[5, 5], f[7, 1] = complex(np.inf, 1), complex(1, np.nan), complex(-np.inf, np.inf)
    return f


def _call(function: str, *arguments: Any, **keywords: Any) -> Any:
    if function == "derivative" and arguments[0].dtype != "f2":
        keywords["order"] = 2
    return getattr(gpugrad, function)(*arguments, **keywords)


def _of_large() -> Iterator[Call]:
    threads = {"1 thread": (1,), "2 threads": (2,)}
    backends = {name: {"backend": name} for name in ("slices", "numpy", "compiled", "auto")}
    for label, shape in LARGE.items():
        column = {
            f"{dtype} {label}": ("gradient", field(dtype, shape)) for dtype in ("f8", "f4", "i2")
        }
        yield from product("large", call_on_threads, threads, column, backends, one_in=4)
    shape = LARGE["rows"]
    uneven_rows = (coordinates(shape[0]), coordinates(shape[1]))
    small = {
        "F": ("gradient", field("f8", shape, "F")),
        "strided": ("gradient", field("f4", shape, "strided")),
        "backwards": ("gradient", field("f8", shape, "backwards")),
        "c16": ("gradient", field("c16", shape)),
        "uneven": ("gradient", field("f8", shape), *uneven_rows),
        "uneven f4": ("gradient", field("f4", shape), *uneven_rows),
        "on all lines": ("derivative", field("f8", shape), of_lines(shape, 1)),
        "laplacian": ("laplacian", field("f8", shape), 0.3),
        "gradient_norm": ("gradient_norm", field("f4", shape), 0.3),
        "divergence": ("divergence", vector("f8", shape, 2), 0.3),
        "curl": ("curl", vector("f4", shape, 2), 0.3),
        "jacobian": ("jacobian", vector("f4", shape, 2), 0.3),
        "hessian": ("hessian", field("f8", shape), 0.3),
        "special": ("gradient", special("f8", shape)),
    }
    yield from product("large", call_on_threads, threads, small, backends, one_in=2)
    cube = LARGE["cube"]
    rows = {
        "laplacian cube": ("laplacian", field("f8", cube), 0.3),
        "curl cube": ("curl", vector("f4", cube, 3), 0.3),
        "accuracy 4": ("laplacian", field("f4", cube), 0.3),
    }
    keywords = {"": {}, "accuracy=4": {"accuracy": 4}, "periodic": {"boundary": "periodic"}}
    some = {name: backends[name] for name in ("numpy", "compiled")}
    yield from product("large", call_on_threads, threads, rows, keywords, some, one_in=3)
    holes = {"where": {"where": mask(shape)}, "one mask": {"where": mask(shape[1:])}}
    column = {
        "gradient": ("gradient", field("f8", shape)),
        "laplacian": ("laplacian", field("f4", shape)),
    }
    yield from product("large", call_on_threads, threads, column, holes, backends)


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_dtypes()
    yield from _of_spacings()
    yield from _of_outs()
    yield from _of_special()
    yield from _of_large()
