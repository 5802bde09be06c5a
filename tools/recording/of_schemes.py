"""Calls with an order, an accuracy, a boundary, a stagger; stencils."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import gpugrad
from recording.calls import BACKENDS, NOTHING, Call, Column, options, product
from recording.fields import coordinates, field, fields, of_lines, uneven

LOADS = ("llvmlite.binding",)
"""The libraries that the calls need, loaded before the first of them."""

N = 24

BOUNDARIES: tuple[Any, ...] = (
    "one-sided", "periodic", "reflect", "odd-reflect", "symmetric", "odd-symmetric",
    "edge", 0.0, 1.5, {"constant": -2.0}, {"normal": 0.0}, {"normal": 0.75},
    ("reflect", "odd-symmetric"), ("one-sided", 0.5), ({"normal": -1.0}, "edge"),
    (2, {"constant": 3}),
)  # fmt: skip

SPACINGS: Column = {"h=0.3": (0.3,), "uneven": (coordinates(N),)}


def call_with_period(*arguments: Any, period: float, **keywords: Any) -> Any:
    """Call `derivative` on an axis that closes, after the given period."""
    return gpugrad.derivative(*arguments, boundary="periodic", period=period, **keywords)


def write_stencil(*arguments: Any, **keywords: Any) -> Any:
    """Return a stencil with its accuracy."""
    formula = gpugrad.stencil(*arguments, **keywords)
    return formula, formula.accuracy


def _of_derivative() -> Iterator[Call]:
    line = fields(("f8",), [(N,)])
    orders = options(order=(1, 2, 3, 4, 5, 8))
    accuracies = options(accuracy=(2, 4, 6, 8, 12))
    boundaries = options(boundary=BOUNDARIES)
    slices = {"": {"backend": "slices"}}
    yield from product(
        "schemes", "derivative", line, SPACINGS, orders, accuracies, boundaries, slices, one_in=6
    )
    orders, accuracies = options(order=(1, 2, 3)), options(accuracy=(2, 4, 8))
    staggers = options(stagger=("left", "right"))
    yield from product(
        "staggered", "derivative", line, SPACINGS, orders, accuracies, boundaries, staggers, slices,
        one_in=6,
    )  # fmt: skip
    edges = options(edge_accuracy=(1, 2, 3, 4))
    yield from product(
        "edges", "derivative", line, SPACINGS, orders, accuracies, edges,
        options(boundary=("one-sided", ("one-sided", {"normal": 1.0}))), slices, one_in=2,
    )  # fmt: skip
    compiled = {name: BACKENDS[name] for name in ("numpy", "compiled", "auto")}
    yield from product(
        "schemes on engines", "derivative", fields(("f8", "f4", "c8", "i2", "g"), [(N, 5)]),
        {"": {"axis": 0}}, {"h=0.3": (0.3,), "uneven": (coordinates(N),)}, orders, accuracies,
        options(boundary=BOUNDARIES[:10]), compiled, one_in=23,
    )  # fmt: skip
    for spacing, period in (("uneven", 40.0), ("uneven", 100.5), ("even", None)):
        x = coordinates(N) if spacing == "uneven" else 0.25
        for accuracy in (2, 4, 6):
            for backend in ("slices", "numpy", "compiled"):
                yield Call(
                    f"period/{spacing} {period}/accuracy={accuracy}/{backend}", call_with_period,
                    (field("f8", (N,)), x),
                    {"period": period, "accuracy": accuracy, "backend": backend},
                )  # fmt: skip


def _of_gradient() -> Iterator[Call]:
    shape = (11, 13)
    spacings = {
        "h=0.3": (0.3,),
        "uneven": (coordinates(11), coordinates(13)),
        "on all lines": (of_lines(shape, 0), of_lines(shape, 1)),
    }
    boundaries: tuple[Any, ...] = (
        "periodic", "reflect", 0.5, {"normal": 1.0}, {1: "periodic"},
        {0: ("reflect", 1.0), 1: "edge"}, {0: {"normal": 2.0}, 1: ("symmetric", "one-sided")},
    )  # fmt: skip
    yield from product(
        "options", "gradient", fields(("f8", "f4", "c16", "i4"), [shape]), spacings,
        options(accuracy=(2, 4)), options(boundary=boundaries), BACKENDS, one_in=5,
    )  # fmt: skip
    staggers: tuple[Any, ...] = ("left", "right", {0: "left"}, {0: "right", 1: "left"})
    yield from product(
        "options staggered", "gradient", fields(("f8", "f4"), [shape]), spacings,
        options(stagger=staggers),
        {"": {}, "accuracy=4": {"accuracy": 4}, "edge_accuracy=2": {"edge_accuracy": 2},
         "symmetric": {"boundary": "symmetric"}},
        BACKENDS, one_in=4,
    )  # fmt: skip
    periods: tuple[Any, ...] = (12.5, {1: 20.0}, {0: 15.0, 1: 20.0})
    yield from product(
        "options periods", "gradient", fields(("f8",), [shape]), {"uneven": spacings["uneven"]},
        {
            f"period={period}": {
                "period": period,
                "boundary": {1: "periodic"} if period == {1: 20.0} else "periodic",
            }
            for period in periods
        },
        BACKENDS,
    )  # fmt: skip
    yield from product(
        "options edges", "gradient", fields(("f8", "f4"), [shape]), spacings,
        options(edge_order=(1, 2)), options(accuracy=(2, 4)), options(edge_accuracy=(None, 1, 2)),
        BACKENDS, one_in=4,
    )  # fmt: skip


def _of_stencils() -> Iterator[Call]:
    kinds = options(kind=("central", "forward", "backward", "staggered"))
    orders, accuracies = options(order=range(1, 9)), options(accuracy=range(1, 9))
    yield from product("stencil", write_stencil, orders, accuracies, kinds, one_in=3)
    for offsets in (
        [-0.5, 0.5], [-1, 0, 2], [0, 1, 2, 3], [Fraction(1, 3), 0, -1], [-2, -1, 1, 2],
        (0.25, 1.75, 3.5), range(-3, 4), [5, 4, 3], [1, 1, 2], [0], [0.1, "a"], [True, 2], [],
        [float("nan"), 1, 2],
    ):  # fmt: skip
        for order in (1, 2):
            yield Call(
                f"stencil/offsets={offsets!r}/order={order}".replace(" ", ""), write_stencil,
                (order,), {"offsets": offsets},
            )  # fmt: skip


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_derivative()
    yield from _of_gradient()
    yield from _of_stencils()
    x = uneven(N)
    yield from product(
        "derivative", "derivative", fields(("f8", "f4", "i4", "f2", "g", "O"), [(N,), (3, N)]),
        {"": (), "x": (x,), "spacing=x": {"spacing": x}, "h": (0.5,)},
        options(axis=(-1, 0)), NOTHING | options(order=(2,)), one_in=3,
    )  # fmt: skip
