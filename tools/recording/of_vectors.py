"""Calls of vector calculus: boxes, curved grids, spheres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recording.calls import BACKENDS, NOTHING, Call, Later, call_public, given, options, product
from recording.fields import coordinates, field, in_library, laid_out, of_lines, values_of, vector

LOADS = ("llvmlite.binding",)
"""The libraries that the calls need, loaded before the first of them."""

PLANE, SPACE = (11, 12), (6, 7, 8)

QUICK = {name: BACKENDS[name] for name in ("slices", "numpy", "auto")}
COMPILED = {"compiled": BACKENDS["compiled"]}
"""Sums of terms near the ends of several axes take many kernels, and each takes time to compile."""

SCALAR = ("laplacian", "gradient_norm", "hessian")
VECTOR = ("divergence", "curl", "jacobian")


def _fields_for(function: str, dtype: str, shape: tuple[int, ...], form: str = "tuple") -> Any:
    if function in SCALAR:
        return field(dtype, shape)
    return vector(dtype, shape, len(shape), form)


def _spacings(shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "": (),
        "h=0.3": (0.3,),
        "h=f8(0.3)": (np.float64(0.3),),
        "uneven": tuple(coordinates(n) for n in shape),
        "on all lines": tuple(of_lines(shape, axis) for axis in range(len(shape))),
        "mixed": (coordinates(shape[0], "f4"), *(0.5 + i for i in range(len(shape) - 1))),
    }


def _of_boxes() -> Iterator[Call]:
    for function in SCALAR + VECTOR:
        for shape in (PLANE, SPACE):
            column = {
                f"{dtype} {len(shape)}-D": (_fields_for(function, dtype, shape),)
                for dtype in ("f8", "f4", "c16", "i4", "f2", "g", ">f8")
            }
            extra = {
                "": {},
                "accuracy=4": {"accuracy": 4},
                "periodic": {"boundary": "periodic"},
                "edge_accuracy=1": {"edge_accuracy": 1},
                "symmetric": {"boundary": "symmetric", "accuracy": 4},
            }
            few = {label: extra[label] for label in ("", "periodic", "edge_accuracy=1")}
            yield from product(
                function, function, column, _spacings(shape), extra, QUICK, one_in=28
            )
            yield from product(
                function, function, column, _spacings(shape), few, COMPILED, one_in=30
            )
            more: dict[str, Any] = {
                "value": {"boundary": 1.5},
                "slope": {"boundary": ({"normal": 1.0}, "one-sided")},
                "each": {
                    "boundary": dict(enumerate(["periodic", "one-sided", "edge"][: len(shape)]))
                },
                "odd-reflect": {"boundary": "odd-reflect"},
            }
            if function in VECTOR:
                more |= {
                    "left": {"stagger": "left"},
                    "right": {"stagger": "right", "boundary": 0.0},
                    "each stagger": {
                        "stagger": dict(enumerate(["left", None, "right"][: len(shape)]))
                    },
                }
            if function in ("hessian", "jacobian", "curl"):
                more["stack"] = {"stack": True}
            column = {f"f8 {len(shape)}-D": (_fields_for(function, "f8", shape),)}
            yield from product(
                function, function, column, {"": (), "uneven": _spacings(shape)["uneven"]},
                more, QUICK, one_in=4,
            )  # fmt: skip
            yield from product(
                function,
                function,
                column,
                {"": ()},
                more,
                COMPILED,
                one_in=4 if shape == SPACE else 2,
            )
    for function in VECTOR:
        for form in ("list", "array"):
            yield from product(
                f"{function} of {form}", function,
                {f"f8 {form}": (vector("f8", SPACE, 3, form),),
                 f"f4 F {form}": (vector("f4", SPACE, 3, form, "F"),),
                 f"f8 inner {form}": (vector("f8", SPACE, 3, form, "inner"),)},
                BACKENDS,
            )  # fmt: skip
    axes: dict[str, Any] = {
        "axis=(1,2)": {"axis": (1, 2)}, "axis=(2,1)": {"axis": (2, 1)},
        "axis=[0,-1]": {"axis": [0, -1]},
    }  # fmt: skip
    for function in SCALAR + VECTOR:
        f = field("f8", SPACE) if function in SCALAR else vector("f8", SPACE, 2)
        spacings = {"": (), "two": (0.5, 2.0)}
        yield from product(f"{function} along axes", function, {"f8": (f,)}, axes, spacings,
                           {name: BACKENDS[name] for name in ("slices", "auto")})  # fmt: skip
    for function in SCALAR:
        yield from product(
            f"{function} along axes", function, {"f8": (field("f8", SPACE),)},
            options(axis=(0, -1, (1,))), NOTHING,
        )  # fmt: skip
    for count, shape in ((1, PLANE), (3, PLANE), (2, SPACE), (4, SPACE)):
        for function in ("jacobian", "vector_laplacian"):
            yield from product(f"{function} of components", function,
                               {f"{count} in {len(shape)}-D": (vector("f8", shape, count),)},
                               {k: BACKENDS[k] for k in ("slices", "compiled")})  # fmt: skip


def _polar(dtype: str = "f8", what: str = "both", library: str = "numpy") -> Any:
    """Return positions on rings around a centre."""

    def make() -> Any:
        radius = np.linspace(1, 3, 11)[:, None] ** 1.2
        angle = np.arange(12) * (2 * np.pi / 12)
        grid = (radius * np.cos(angle), radius * np.sin(angle))
        return tuple(in_library(laid_out(x.astype(dtype), "C"), library) for x in grid)

    return Later(f"<polar grid {dtype} {library}>", make)


def _closed() -> Any:
    """Return positions whose last column lies where the first one does."""
    radius, angle = np.linspace(1, 3, 11)[:, None], np.linspace(0, 2 * np.pi, 12)
    return radius * np.cos(angle), radius * np.sin(angle)


def _twisted() -> Any:
    def make() -> Any:
        x, y, z = np.meshgrid(*(np.linspace(0, 1, n) for n in SPACE), indexing="ij")
        return x + 0.1 * y * z, y + 0.2 * np.sin(x), z + 0.1 * x * y

    return Later("<twisted grid>", make)


def _of_curved_grids() -> Iterator[Call]:
    rings = {1: "periodic"}
    extra: dict[str, Any] = {
        "": {},
        "accuracy=4": {"accuracy": 4},
        "periodic": {"boundary": rings},
        "periodic accuracy=4": {"boundary": rings, "accuracy": 4},
        "edge_accuracy=1": {"edge_accuracy": 1},
        "period": {"boundary": rings, "period": {1: (4.0, 0.0)}},
    }
    for function in ("gradient", "gradient_norm", "laplacian", *VECTOR):
        is_scalar = function not in VECTOR
        of = (lambda t: field(t, PLANE)) if is_scalar else (
            lambda t: vector(t, PLANE, 2)
        )  # fmt: skip
        column = {
            f"{dtype} on {grid}": given(f"CurvilinearGrid.{function}", of(dtype), _polar(grid))
            for dtype, grid in (
                ("f8", "f8"),
                ("f4", "f4"),
                ("f4", "f8"),
                ("i4", "f8"),
                ("c16", "f8"),
            )
        }
        yield from product(f"curved {function}", call_public, column, extra, BACKENDS, one_in=4)
        of_space = field("f8", SPACE) if is_scalar else vector("f8", SPACE, 3)
        row = {"3-D": given(f"CurvilinearGrid.{function}", of_space, _twisted())}
        yield from product(
            f"curved {function}",
            call_public,
            row,
            {"": {}, "accuracy=4": {"accuracy": 4}},
            BACKENDS,
            one_in=2,
        )
    for label, row in {
        "a line": given(field("f8", (9,)), np.arange(9.0) ** 1.5),
        "a centre": given(field("f8", PLANE), np.zeros(PLANE), np.zeros(PLANE)),
        "closed twice": given(field("f8", PLANE), Later("<closed>", _closed), boundary="periodic"),
        "value": given(field("f8", PLANE), _polar(), boundary=1.5),
        "where": given(field("f8", PLANE), _polar(), skipna=True),
        "f2": given(field("f8", PLANE), _polar("f2")),
        "complex": given(field("f8", PLANE), _polar("c16")),
        "period of one": given(field("f8", PLANE), _polar(), boundary="periodic", period=3.0),
        "out": given(
            field("f8", PLANE),
            _polar(),
            out=Later("<out>", lambda: (np.zeros(PLANE), np.zeros(PLANE))),
        ),
        "dates": given(field("M8[s]", PLANE), _polar()),
    }.items():
        arguments = "CurvilinearGrid.gradient", *row.arguments
        yield Call(f"curved gradient/{label}", call_public, arguments, row.keywords)
    batch = given("CurvilinearGrid.gradient", field("f8", (3, *PLANE)), _polar(), axis=(1, 2))
    turned = given("CurvilinearGrid.gradient", field("f8", (12, 3, 11)), _polar(), axis=(2, 0))
    more = {"batch": batch, "turned": turned}
    yield from product(
        "curved gradient", call_public, more, {"": {}, "stack": {"stack": True}}, BACKENDS
    )


def _of_spheres() -> Iterator[Call]:
    grids: dict[str, Any] = {
        "global": (np.linspace(-90, 90, 13), np.arange(0, 360, 30.0)),
        "cells": (np.linspace(-85, 85, 18), np.arange(5, 365, 20.0)),
        "north first": (np.linspace(90, -90, 13), np.arange(-180, 180, 30.0)),
        "region": (np.linspace(30, 60, 9), np.linspace(-10, 40, 11)),
        "uneven": (np.degrees(np.arcsin(np.linspace(-0.98, 0.98, 11))), np.cumsum(
            [0.0, 30, 20, 40, 35, 25, 45, 30, 50, 20])),
        "odd": (np.linspace(-90, 90, 13), np.arange(0, 360, 40.0)),
        "west": (np.linspace(-90, 90, 7), np.arange(360, 0, -30.0)),
        "f4": (np.linspace(-90, 90, 13, dtype="f4"), np.arange(0, 360, 30, dtype="f4")),
        "integers": (np.arange(-90, 91, 15), np.arange(0, 360, 30)),
    }  # fmt: skip
    extra: dict[str, Any] = {
        "": {},
        "accuracy=4": {"accuracy": 4},
        "radius=1": {"radius": 1.0},
        "periodic=False": {"periodic": False},
        "periodic=True": {"periodic": True, "accuracy": 6},
        "edge_accuracy=1": {"edge_accuracy": 1},
        "stack": {"stack": True},
    }
    for name in ("gradient", "gradient_norm", "laplacian", "divergence", "curl"):
        function, is_scalar = f"Sphere.{name}", name not in VECTOR
        for label, (latitude, longitude) in grids.items():
            shape = (latitude.size, longitude.size)
            column = {
                f"{dtype} {label}": (
                    function, field(dtype, shape) if is_scalar else vector(dtype, shape, 2),
                    latitude, longitude,
                )
                for dtype in ("f8", "f4")
            }  # fmt: skip
            rows = extra if name == "gradient" else {k: v for k, v in extra.items() if k != "stack"}
            yield from product(function, call_public, column, rows, BACKENDS, one_in=12)
        latitude, longitude = grids["global"]
        shape = (13, 12)
        swath = {
            "maps": given(
                function, field("f8", shape) if is_scalar else vector("f8", shape, 2),
                Later("<map of latitudes>", lambda: _maps()[0]),
                Later("<map of longitudes>", lambda: _maps()[1]),
            ),
            "radians": given(
                function, field("f8", shape) if is_scalar else vector("f8", shape, 2),
                np.radians(latitude), np.radians(longitude), degrees=False,
            ),
            "batch": given(
                function, field("f4", (2, *shape)) if is_scalar else vector("f4", (2, *shape), 2),
                latitude, longitude,
            ),
            "turned": given(
                function, field("f8", shape[::-1]) if is_scalar else vector("f8", shape[::-1], 2),
                latitude, longitude, axis=(1, 0),
            ),
            "c16": given(
                function, field("c16", shape) if is_scalar else vector("c16", shape, 2),
                latitude, longitude,
            ),
            "i4": given(
                function, field("i4", shape) if is_scalar else vector("i4", shape, 2),
                latitude, longitude,
            ),
        }  # fmt: skip
        yield from product(
            function,
            call_public,
            swath,
            {"": {}, "accuracy=4": {"accuracy": 4}},
            BACKENDS,
            one_in=2,
        )


def _maps() -> Any:
    """Return latitudes and longitudes of a region of a grid whose pole is elsewhere."""
    phi, theta = np.meshgrid(np.linspace(-0.5, 0.5, 13), np.linspace(0, 1, 12), indexing="ij")
    x, y, z = np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)
    x, z = 0.8 * x - 0.6 * z, 0.6 * x + 0.8 * z
    return np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x))


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_boxes()
    yield from _of_curved_grids()
    yield from _of_spheres()
    for dtype in ("f8", "f4", "c8"):
        f = Later(f"<flat {dtype}>", lambda dtype=dtype: 0 * values_of(dtype, PLANE))
        yield from product("gradient_norm of level", "gradient_norm", {dtype: (f,)}, BACKENDS)
