"""Calls that are wrong in one thing: the classes and the texts of errors."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np

from recording.calls import Call, Later, call_public, given, options, product
from recording.fields import coordinates, values_of

LOADS = ("scipy.signal", "array_api_strict")
"""The libraries that the calls need, loaded before the first of them."""

SHAPE = (5, 6)
F = values_of("f8", SHAPE)
V = (F, values_of("f8", SHAPE, 1))


class Quantity:
    """A number of a library of units that gpugrad does not know."""

    units = "m"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """Return the number."""
        return np.arange(5.0)

    def __repr__(self) -> str:
        return "Quantity"


class Metres(np.ndarray):
    """An array with a unit."""

    unit = "m"


def _fields() -> dict[str, Any]:
    wrong: dict[str, Any] = {
        "number": 3.0, "NumPy's number": np.float64(3), "0-d": np.array(3.0), "None": None,
        "text": "text", "bytes": b"text", "dict": {"a": 1}, "set": {1}, "function": np.sin,
        "booleans": np.array([True, False]), "a list of booleans": [True, False, True],
        "texts": ["a", "b"], "records": np.zeros(3, [("a", "f8")]), "ragged": [[1, 2], [3]],
        "empty": [], "one": [1.0], "short axis": np.zeros((4, 1, 5)),
        "bytes in an array": np.array([b"a"]),
        "void": np.zeros(3, "V4"), "generator": Later("<generator>", lambda: (x for x in "abc")),
        "lambda": Later("<lambda>", lambda: lambda x: x), "class": float, "module": np,
        "complex": 1j, "range": range(1), "objects": np.array([object(), None], dtype=object),
        "Decimals": [Decimal(1), Decimal(2), Decimal(4)], "NaT": np.array(["NaT", "NaT"], "M8[s]"),
        "Ellipsis": ..., "quantity": Later("<quantity>", Quantity), "strings": np.array(["1", "2"]),
    }  # fmt: skip
    return {label: (f,) for label, f in wrong.items()}


def _spacings() -> dict[str, Any]:
    return {
        "three": (1, 2, 3), "one array": ([0.0, 1, 2, 3, 4],), "gaps": ([0.0, 1, 2, 3], 1),
        "short": (1, [0.0, 1]), "2-D": (np.ones((6, 5)), 1), "2-D alike": (np.ones(SHAPE), 1),
        "zero": (0.0,), "zero of one": (0, 1), "NumPy's zero": (1, np.float64(0)), "nan": (np.nan,),
        "inf": (1, -np.inf), "nan in": ([0.0, 1, np.nan, 3, 4], 1),
        "inf in": ([0.0, 1, np.inf, 3, 4], 1),
        "huge": ([-1e308, 1e308, 2e307, 0, 1], 1), "long": (10**400,),
        "back": ([0.0, 1.0, 0.0, 2, 3], 1), "large integers": (np.arange(5) + 2**62, 1),
        "repeated": ([0.0, 1, 1, 2, 3], 1), "widths": ([2.0] * 5, 1),
        "widths twice": ([2.0, 2, 3, 4, 5], 1),
        "complex": (1j,), "complex in": ([0j, 1, 2, 3, 4], 1), "text": ("1",), "None": (None,),
        "dict": ({"h": 1},), "True": (True,), "booleans": ([True, False, True, False, True], 1),
        "ragged": ([[0], [1, 2], [3]], 1), "objects": (np.array([None, 1, 2, 3, 4]), 1),
        "masked": (np.ma.array(np.arange(5.0), mask=[0, 0, 1, 0, 0]), 1),
        "quantity": (Later("<quantity>", Quantity), 1), "metres": (np.arange(5.0).view(Metres), 1),
        "dates": (np.datetime64("2024-01-01") + np.arange(5), 1),
        "a date": (np.datetime64("2024-01-01"),),
        "a set": ({1, 2}, 1), "3-D": (np.zeros((2, 5, 6)), 1), "empty": ([], 1),
        "strings": (list("abcde"), 1),
        "function": (np.sin,), "tuple of arrays": ((coordinates(5), coordinates(6)),),
    }  # fmt: skip


def _axes() -> dict[str, Any]:
    several = ((0, 5), (0, 0), (1, -1), (0, None), [[0]], np.array([0, 1]), {0})
    return {f"axis={_label(axis)}": {"axis": axis} for axis in (2, -3, 1.5, "x", True, *several)}


def _options() -> dict[str, Any]:
    wrong: dict[str, tuple[Any, ...]] = {
        "edge_order": (0, -1, 1.5, 3, True, "1", None, [1], float("nan"), 1j),
        "accuracy": (0, 1, 3, 14, -2, 2.0, True, "2", None, [2], 12),
        "edge_accuracy": (0, 3, 4, -1, 1.5, True, "1"),
        "order": (0, 9, -1, 1.5, True, "1", None),
        "boundary": (
            "unknown", None, 1j, float("nan"), float("inf"), {}, {"normal": None}, {"slope": 1},
            {"constant": "a"}, ("one-sided",), ("periodic", "one-sided"), ["one-sided"], True,
            ["one-sided"] * 3, ("one-sided",) * 3, b"periodic", [("reflect", 1, 2), 0],
            {"normal": 1, "constant": 2}, np.array(1.0), np.array([1.0, 2.0]),
        ),
        "period": (0, -1, float("nan"), float("inf"), "1", 1.0, [1.0], [1.0, None, 2.0], True),
        "stagger": ("up", 1, ["left"], ["left", "right", "left"], True, ("left", "right"), {}),
        "time_unit": ("h", 1, "fortnight", b"s"),
        "where": (
            True, np.ones(5, bool), np.ones((6, 5), bool), np.ones(SHAPE), "x",
            np.ones((2, *SHAPE), bool),
        ),
        "skipna": (1, "yes", None),
        "out": (1, np.zeros(3), np.zeros(SHAPE, bool), "x", [], (np.zeros(SHAPE),) * 3),
        "stack": (1, "yes", None),
        "backend": ("fortran", 1, "", True, b"numpy", ["numpy"]),
        "curvilinear": ((F, F),),
        "unknown": (1,),
    }  # fmt: skip
    return {
        f"{name}={_label(value)}": {name: value}
        for name, values in wrong.items() for value in values
    }  # fmt: skip


def _label(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>".replace(" ", "")
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}({','.join(map(_label, value))})"
    return repr(value).replace(" ", "")


FUNCTIONS = {
    "gradient": F, "derivative": F, "laplacian": F, "gradient_norm": F, "hessian": F,
    "divergence": V, "curl": V, "jacobian": V, "error_estimate": F,
}  # fmt: skip


def _vectors() -> dict[str, Any]:
    return {
        "one": ((F,),), "three": ((F, F, F),), "none": ((),), "a number": (3.0,), "None": (None,),
        "unlike shapes": ((F, F[:3]),), "unlike dtypes": ((F, F.astype("f4")),), "text": ("uv",),
        "an array of one": (F[None],), "a scalar field": (F,), "a dict": ({"u": F, "v": F},),
        "booleans": ((F > 0, F > 0),), "functions": ((np.sin, np.cos),), "1-D": (np.arange(4.0),),
        "a generator": (Later("<generator>", lambda: (x for x in V)),),
        "nested": ([F.tolist(), F.tolist()],),
        "a line of two": ((np.arange(3.0), np.arange(3.0)),),
    }  # fmt: skip


def _spheres() -> dict[str, Any]:
    lat, lon = np.linspace(-60, 60, 5), np.arange(0, 360, 60.0)
    return {
        "nothing": given(), "one": given(lat), "swapped": given(lon, lat),
        "short": given(lat[1:], lon),
        "beyond a pole": given(lat * 2, lon), "nan": given(lat * np.nan, lon),
        "repeated": given(np.zeros(5), lon), "radius=0": given(lat, lon, radius=0),
        "radius=nan": given(lat, lon, radius=np.nan), "radius=text": given(lat, lon, radius="r"),
        "axis": given(lat, lon, axis=0), "axes alike": given(lat, lon, axis=(0, 0)),
        "axis out of bounds": given(lat, lon, axis=(0, 7)),
        "accuracy=3": given(lat, lon, accuracy=3),
        "degrees=1": given(lat, lon, degrees=1), "periodic=1": given(lat, lon, periodic=1),
        "too many": given(lat, np.arange(0, 720, 120.0)), "complex": given(lat * 1j, lon),
        "texts": given(list("abcde"), lon), "maps": given(np.ones(SHAPE), np.ones(SHAPE)),
        "one map": given(np.ones(SHAPE), lon), "out": given(lat, lon, out=1),
        "boundary": given(lat, lon, boundary="periodic"),
        "backend": given(lat, lon, backend="fortran"),
        "up and down": given(np.array([0.0, 10, 5, 20, 30]), lon),
        "edge_accuracy=5": given(lat, lon, edge_accuracy=5),
        "dates": given(lat.astype("M8[D]"), lon),
    }  # fmt: skip


def _plans() -> dict[str, Any]:
    return {
        "no shape": given(None), "shape of text": given("5"), "negative": given((-1, 4)),
        "short": given((1, 4)), "floats": given((4.5, 4)), "empty": given(()), "a number": given(5),
        "unknown dtype": given(SHAPE, "float17"), "booleans": given(SHAPE, "bool"),
        "dates": given(SHAPE, "M8[s]"),
        "objects": given(SHAPE, object), "half": given(SHAPE, "float16"),
        "big": given(SHAPE, ">f8"),
        "unknown operator": given(SHAPE, operator="slope"),
        "norm": given(SHAPE, operator="gradient_norm"),
        "order of gradient": given(SHAPE, order=2), "edge_order": given(SHAPE, edge_order=3),
        "edge_order of laplacian": given(SHAPE, operator="laplacian", edge_order=2),
        "components": given(SHAPE, components=2),
        "no components": given(SHAPE, operator="jacobian", components=0),
        "curl of one axis": given(5, operator="curl"), "like text": given(SHAPE, like="numpy"),
        "like None": given(SHAPE, like=None), "like NumPy": given(SHAPE, like=np),
        "where": given(SHAPE, where=F),
        "spacing": given(SHAPE, "float64", 0.0), "three": given(SHAPE, "float64", 1, 2, 3),
        "backend": given(SHAPE, backend="fortran"),
        "axis": given(SHAPE, axis=5), "boundary": given(SHAPE, boundary="unknown"),
    }  # fmt: skip


def _points() -> dict[str, Any]:
    y = np.sin(np.arange(12.0))
    rows: dict[str, Any] = {}
    for name in ("turning_points", "inflection_points"):
        rows |= {
            f"{name} {label}": row
            for label, row in {
                "None": given(name, None), "text": given(name, "abc"), "0-d": given(name, 3.0),
                "booleans": given(name, y > 0), "axis": given(name, y, axis=3),
                "x short": given(name, y, np.arange(5.0)), "x text": given(name, y, "x"),
                "x nan": given(name, y, np.full(12, np.nan)),
                "x repeated": given(name, y, np.zeros(12)),
                "prominence=-1": given(name, y, prominence=-1.0),
                "prominence=text": given(name, y, prominence="a"),
                "prominence=nan": given(name, y, prominence=np.nan),
                "function": given(name, np.sin),
            }.items()
        }  # fmt: skip
    f = np.zeros((6, 7))
    for label, row in {
        "None": given(None),
        "1-D": given(y),
        "4-D": given(np.zeros((3, 3, 3, 3))),
        "short": given(f[:2]),
        "one coordinate": given(f, np.arange(6.0)),
        "gaps": given(f, np.arange(5.0), 1.0),
        "boundary": given(f, boundary="edge"),
        "period": given(f, period=3.0),
        "nan": given(f * np.nan),
    }.items():
        rows[f"critical_points {label}"] = given("critical_points", *row.arguments, **row.keywords)
    for label, row in {
        "None": given(None),
        "short": given(y[:5]),
        "axis": given(y, axis=2),
        "complex": given(y + 1j),
        "text": given("abc"),
        "booleans": given(y > 0),
        "objects": given(y.astype(object)),
    }.items():
        rows[f"noise_level {label}"] = given("noise_level", *row.arguments, **row.keywords)
    return rows


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    functions = {
        name: (name,) for name in FUNCTIONS if name not in ("divergence", "curl", "jacobian")
    }
    yield from product("wrong fields", call_public, functions, _fields(), one_in=3)
    yield from product("wrong fields", call_public,
        {"gradient backend": given("gradient", backend="slices")},
                       _fields(), one_in=2)  # fmt: skip
    column = {name: (name, f) for name, f in FUNCTIONS.items()}
    yield from product("wrong spacings", call_public, column, _spacings(), one_in=4)
    yield from product("wrong axes", call_public, column, _axes(), one_in=2)
    yield from product("wrong options", call_public, column, _options(), one_in=4)
    vectors = {name: (name,) for name in ("divergence", "curl", "jacobian")}
    yield from product("wrong vectors", call_public, vectors, _vectors())
    spheres = {"gradient": ("Sphere.gradient", F), "divergence": ("Sphere.divergence", V)}
    yield from product("wrong spheres", call_public, spheres, _spheres())
    grids = (1, (F,), (F, F), (F, F, F), "x", (F, F[:3]), ([1], [2]), None, (F, "y"))
    rows = {_label(grid): given("CurvilinearGrid.gradient", F, grid) for grid in grids}
    yield from product("wrong curved grids", call_public, rows)
    yield from product("wrong plans", "plan", _plans())
    yield from product("wrong points", call_public, _points())
    yield from product(
        "wrong stencils", "stencil",
        options(order=(0, 1.5, True, "1", None, 9)) | options(accuracy=(0, 3, 1.5, True, None))
        | options(kind=("unknown", None, 1)) | options(offsets=(3, "ab", None, [0, 1j])),
    )  # fmt: skip
