"""Calls that analyse samples: turning, inflection and critical points; noise, errors, smoothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import gpugrad
from recording.calls import BACKENDS, NOTHING, Call, Later, given, options, product
from recording.fields import LIBRARIES, coordinates, in_library, seeded, values_of

LOADS = ("scipy.signal", "scipy.interpolate", "dask.array", "jax", "torch", "array_api_strict")
"""The libraries that the calls need, loaded before the first of them."""

N = 60


def curve(dtype: str = "f8", kind: str = "wave", library: str = "numpy") -> Any:
    """Return a curve with turns of some kind in it."""

    def make() -> Any:
        x = np.arange(N) * 0.25
        noise = seeded("curve", kind).normal(size=N)
        steps = np.array([0, 1, 1, 1, 3, 2, 2, 4, 4, 1] * 6)
        y = {
            "wave": np.sin(x) + 0.1 * x,
            "noisy": np.sin(x) + 0.05 * noise,
            "steps": steps * 1.0,
            "level": np.zeros(N),
            "rising": x**2,
            "missing": np.where(steps == 3, np.nan, np.sin(x)),
            "infinite": np.where(steps == 3, np.inf, np.sin(x)),
            "curves": np.stack([np.sin(x), np.cos(2 * x), steps, 0 * x]),
            "columns": np.stack([np.sin(x), steps + 0 * x], axis=1),
        }[kind]
        scale = 1.0 if np.dtype(dtype).kind == "f" else 20.0
        return in_library((y * scale).astype(dtype), library)

    return Later(f"<{kind} {dtype} {library}>", make)


def _masked_curve() -> Any:
    y = curve().make()
    return np.ma.array(y, mask=np.arange(N) % 11 == 5)


def hill(dtype: str = "f8", kind: str = "himmelblau", library: str = "numpy") -> Any:
    """Return a field of two or three variables with points where its gradient is zero."""

    def make() -> Any:
        if kind == "three":
            x, y, z = np.meshgrid(*[np.linspace(-2, 2, 13)] * 3, indexing="ij")
            f = np.sin(1.7 * x) * np.cos(1.3 * y) - 0.5 * z**2
        elif kind == "periodic":
            x, y = np.meshgrid(np.arange(16) * np.pi / 8, np.arange(12) * np.pi / 6, indexing="ij")
            f = np.sin(x + 0.3) * np.cos(y + 0.2)
        else:
            x, y = np.meshgrid(np.linspace(-5, 5, 41), np.linspace(-5, 5, 37), indexing="ij")
            f = (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2
            if kind == "valley":
                f = x**2 + 0 * y
            if kind == "level":
                f = 0 * x
            if kind == "missing":
                f[10:12, 20] = np.nan
        return in_library(f.astype(dtype), library)

    return Later(f"<{kind} {dtype} {library}>", make)


def find_turns(function: str, *arguments: Any, **keywords: Any) -> Any:
    """Return the points of curves, how many there are, and those of one kind."""
    points = getattr(gpugrad, function)(*arguments, **keywords)
    kinds = [points.maxima, points.minima] if function == "turning_points" else []
    return {
        "points": points, "count": len(points), "kinds": kinds, "text": repr(points),
        "some": [points[::2], points[points.kind == points.kind[:1]], *points[:2]],
    }  # fmt: skip


def _of_curves() -> Iterator[Call]:
    functions = {"turning": ("turning_points",), "inflection": ("inflection_points",)}
    kinds = ("wave", "noisy", "steps", "level", "rising", "missing", "infinite", "curves")
    column: dict[str, Any] = {kind: (curve("f8", kind),) for kind in kinds}
    column |= {
        f"wave {dtype}": (curve(dtype),)
        for dtype in ("f4", "f2", "i4", "u1", "i8", "g", ">f8", "O")
    }
    column |= {
        "columns": given(curve("f8", "columns"), axis=0),
        "masked": (Later("<masked curve>", _masked_curve),),
        "list": ([0, 1, 4, 4, 4, 2, 3],),
        "two": ([1.0, 2.0],),
        "c16": (curve("c16"),),
        "none": (np.zeros(0),),
    }
    column |= {
        f"{kind} {library}": (curve("f8", kind, library),)
        for library, is_there in LIBRARIES.items() if is_there
        for kind in (("steps",) if library == "jax" else ("wave", "steps", "curves"))
    }  # fmt: skip
    yield from product(
        "curves", find_turns, functions, column,
        {"": {}, "prominence": {"prominence": 0.3}, "prominence=0": {"prominence": 0.0}}, one_in=2,
    )  # fmt: skip
    spacings: dict[str, Any] = {
        "x": (coordinates(N),),
        "downwards": (Later("<downwards>", lambda: -coordinates(N).make()),),
        "f4": (coordinates(N, "f4"),),
        "integers": (np.arange(N) ** 2,),
        "dates": (np.datetime64("2024-01-01") + np.arange(N),),
        "dates in ns": ((np.datetime64("2024-01-01") + np.arange(N)).astype("M8[ns]"),),
        "a number": (0.5,),
        "short": (np.arange(5.0),),
        "a time": (np.timedelta64(1, "h"),),
        "spacing=": {"spacing": 0.5},
        "two": (0.5, 0.5),
        "there and back": (np.where(np.arange(N) % 2, 0.0, 1.0),),
    }
    rows = {kind: (curve("f8", kind),) for kind in ("wave", "steps", "missing")}
    yield from product("curves", find_turns, functions, rows, spacings, NOTHING)
    yield from product("curves", find_turns, functions, rows, {
        "dates per h": given(np.datetime64("2024-01-01") + np.arange(N),
            time_unit="h")})  # fmt: skip
    yield from product(
        "curves", find_turns, {"turning": ("turning_points",)}, column,
        options(ends=(True,)), options(plateaus=(False, True)), one_in=2,
    )  # fmt: skip


def _of_fields() -> Iterator[Call]:
    x, y = np.linspace(-5, 5, 41), np.linspace(-5, 5, 37)
    column: dict[str, Any] = {
        "himmelblau": (hill(), x, y),
        "himmelblau f4": (hill("f4"), x, y),
        "himmelblau i4": (hill("i4"), x, y),
        "steps of samples": (hill(),),
        "spacing": (hill(), 0.25, 0.5),
        "spacing=": given(hill(), spacing={0: 0.25, 1: 0.5}),
        "valley": (hill("f8", "valley"), x, y),
        "level": (hill("f8", "level"), x, y),
        "missing": (hill("f8", "missing"), x, y),
        "uneven": (hill(), Later("<uneven>", lambda: np.sinh(x / 2)), y),
        "three": (hill("f8", "three"), *[np.linspace(-2, 2, 13)] * 3),
        "periodic": given(hill("f8", "periodic"), np.pi / 8, np.pi / 6, boundary="periodic"),
        "periodic one": given(
            hill("f8", "periodic"), np.pi / 8, np.pi / 6, boundary={0: "periodic"}
        ),
        "period": given(
            hill("f8", "periodic"), np.arange(16) * np.pi / 8, np.arange(12) * np.pi / 6,
            boundary="periodic", period=2 * np.pi,
        ),
        "reflect": given(hill(), x, y, boundary="reflect"),
        "a curve": (curve(),),
        "complex": (hill("c16"),),
    }  # fmt: skip
    column |= {
        f"himmelblau {library}": (hill("f8", "himmelblau", library), x, y)
        for library, is_there in LIBRARIES.items() if is_there
    }  # fmt: skip
    yield from product("critical points", "critical_points", column)


def _of_noise() -> Iterator[Call]:
    column: dict[str, Any] = {
        f"{kind} {dtype}": (curve(dtype, kind),)
        for kind in ("wave", "noisy", "level", "curves")
        for dtype in ("f8", "f4", "i4")
    }
    column |= {
        f"{kind} {library}": (curve("f8", kind, library),)
        for library, is_there in LIBRARIES.items() if is_there
        for kind in (("noisy",) if library == "jax" else ("noisy", "curves"))
    }  # fmt: skip
    yield from product("noise", "noise_level", column, NOTHING | options(axis=(0,)))
    estimates: dict[str, Any] = {
        "": {}, "h": {"spacing": 0.25}, "x": {"spacing": coordinates(N)}, "order=2": {"order": 2},
        "accuracy=4": {"accuracy": 4}, "accuracy=12": {"accuracy": 12},
        "periodic": {"boundary": "periodic"}, "edge_accuracy=1": {"edge_accuracy": 1},
        "order=3": {"order": 3, "accuracy": 6},
    }  # fmt: skip
    backends = {name: BACKENDS[name] for name in ("slices", "numpy", "auto")}
    yield from product("errors of samples", "error_estimate", column, estimates, backends, one_in=6)
    for label, keywords in {
        "given": {"noise": 1e-16, "magnitude": 1.0},
        "order=2": {"noise": 1e-3, "magnitude": 2.0, "order": 2},
        "accuracy=6": {"noise": 1e-3, "magnitude": 2.0, "accuracy": 6},
        "of a curve": {"f": curve("f8", "noisy"), "spacing": 0.25},
        "of a curve f4": {"f": curve("f4", "noisy"), "spacing": 0.25},
        "of a curve order=2": {"f": curve("f8", "noisy"), "spacing": 0.25, "order": 2},
        "of a curve and noise": {"f": curve("f8", "noisy"), "noise": 0.05},
        "of a curve and magnitude": {"f": curve("f8", "noisy"), "magnitude": 2.0},
        "level": {"f": curve("f8", "level")},
        "nothing": {},
        "noise alone": {"noise": 1.0},
        "negative": {"noise": -1.0, "magnitude": 1.0},
        "no number": {"noise": float("nan"), "magnitude": 1.0},
        "curves": {"f": curve("f8", "curves")},
        "coordinates": {"f": curve("f8", "noisy"), "spacing": np.arange(N) * 0.25},
        "uneven": {"f": curve("f8", "noisy"), "spacing": coordinates(N)},
        "missing": {"f": curve("f8", "missing")},
        "dates": {"f": curve("f8", "noisy"), "spacing": np.timedelta64(1, "s")},
    }.items():
        yield Call(f"recommended spacing/{label}", "recommended_spacing", (), keywords)


def _of_smoothing() -> Iterator[Call]:
    smooth: dict[str, Any] = {
        "window": {"window_length": 11, "polyorder": 3},
        "window=5": {"window_length": 5, "polyorder": 2},
        "even": {"window_length": 10, "polyorder": 3},
        "spline": {},
        "lam=0.1": {"lam": 0.1},
        "half": {"window_length": 11},
        "both": {"window_length": 11, "polyorder": 3, "lam": 0.1},
        "too wide": {"window_length": 99, "polyorder": 3},
        "lam=-1": {"lam": -1.0},
    }
    fields: dict[str, Any] = {
        "f8": (curve("f8", "noisy"),),
        "f4": (curve("f4", "noisy"),),
        "i4": (curve("i4", "noisy"),),
        "curves": (curve("f8", "curves"),),
        "c16": (Later("<complex noise>", lambda: values_of("c16", (N,))),),
        "missing": (curve("f8", "missing"),),
        "f2": (curve("f2", "noisy"),),
        "short": (np.arange(4.0),),
    }
    fields |= {
        library: (curve("f8", "noisy", library),)
        for library, is_there in LIBRARIES.items() if is_there
    }  # fmt: skip
    spacings: dict[str, Any] = {"h": {"spacing": 0.25}, "uneven": {"spacing": coordinates(N)}}
    more: dict[str, Any] = {
        "": {}, "order=2": {"order": 2}, "order=4": {"order": 4}, "deriv=2": {"deriv": 2},
        "periodic": {"boundary": "periodic"}, "reflect": {"boundary": "reflect"},
        "edge": {"boundary": "edge"}, "value": {"boundary": 0.0},
    }  # fmt: skip
    for label, keywords in smooth.items():
        yield from product(
            "smooth", "smooth_derivative", fields, {label: keywords}, spacings, more, one_in=12
        )


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_curves()
    yield from _of_fields()
    yield from _of_noise()
    yield from _of_smoothing()
