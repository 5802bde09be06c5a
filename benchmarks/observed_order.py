"""Draw the error of `gpugrad.derivative` over the spacing, and print the slopes: observed orders.

Points are errors in float64, lines the leading error that `gpugrad.stencil` predicts, or where it
predicts none the power of the spacing through the points.

python -m benchmarks.observed_order docs/images/observed-order.png
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import gpugrad

SIZES = np.unique(np.geomspace(16, 6000, 30).astype(int))
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = "os^DvpX"


def field(x: Any, order: int = 0) -> Any:
    """Return a sum of two waves of period 1, or one of its derivatives."""
    k = 2 * np.pi
    quarter = order * np.pi / 2
    return k**order * np.sin(k * x + 1 + quarter) + (3 * k) ** order / 4 * np.cos(
        3 * k * x + 2 + quarter
    )


def even_circle(n: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return even samples of a period: where they are, the spacing, and the boundary."""
    return np.arange(n) / n, 1 / n, {"boundary": "periodic"}


def even_line(n: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return even samples of an axis with two ends."""
    return np.linspace(0, 1, n), 1 / (n - 1), {}


def uneven_circle(n: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return samples of a period whose gaps vary smoothly, by a factor of 3."""
    s = np.arange(n) / n
    x = s + np.sin(2 * np.pi * s) / (4 * np.pi)
    return x, x, {"boundary": "periodic", "period": 1.0}


class Curve(NamedTuple):
    """One scheme: its label, its options, the slope it should have, and whether that is known."""

    label: str
    options: dict[str, Any]
    power: int
    is_predicted: bool = False


class Panel(NamedTuple):
    """A grid and the schemes on it."""

    title: str
    grid: Callable[[int], tuple[Any, Any, dict[str, Any]]]
    curves: list[Curve]


def accuracies(*, order: int = 1, edges: bool = False, is_predicted: bool = False) -> list[Curve]:
    """Return a curve for each accuracy."""
    return [
        Curve(
            f"accuracy {p}",
            {"order": order, "accuracy": p} | ({"edge_accuracy": p} if edges else {}),
            p,
            is_predicted,
        )
        for p in (2, 4, 6, 8, 10, 12)
    ]


PANELS = [
    Panel("(a) first derivative, periodic", even_circle, accuracies(is_predicted=True)),
    Panel(
        "(b) first derivative, one-sided ends",
        even_line,
        [
            Curve("NumPy's ends", {}, 1),
            *accuracies(edges=True)[:4],
        ],
    ),
    Panel("(c) second derivative, uneven samples", uneven_circle, accuracies(order=2)[:4]),
    Panel(
        "(d) higher derivatives, accuracy 4, periodic",
        even_circle,
        [
            Curve(f"order {m}", {"order": m, "accuracy": 4}, 4, is_predicted=True)
            for m in (1, 2, 3, 4, 6)
        ],
    ),
]


def relative_error(panel: Panel, curve: Curve, n: int) -> float:
    """Return the largest error over the whole axis, as a part of the largest derivative."""
    x, spacing, boundary = panel.grid(n)
    exact = field(x, curve.options.get("order", 1))
    got = gpugrad.derivative(field(x), spacing, **boundary, **curve.options)
    return float(abs(got - exact).max() / scale(curve.options.get("order", 1)))


def scale(order: int) -> float:
    """Return the largest value of a derivative of the field."""
    return float(abs(field(np.linspace(0, 1, 2001), order)).max())


def predict(curve: Curve, h: Any) -> Any:
    """Return the leading error of the formula inside."""
    order = curve.options["order"]
    c, power, derivative = gpugrad.stencil(order, curve.options["accuracy"]).error
    return abs(float(c)) * h**power * scale(derivative) / scale(order)


def draw(axes: Any, panel: Panel, place: str) -> None:
    """Draw a panel, and print the observed orders."""
    h = 1 / SIZES
    for number, curve in enumerate(panel.curves):
        errors = np.array([relative_error(panel, curve, n) for n in SIZES])
        # The finest grids on which rounding is far away.
        m = curve.options.get("order", 1)
        rounding = np.finfo(float).eps * 2**m / h**m / scale(m)
        counts = np.flatnonzero(errors > 60 * rounding)
        counts = counts[: np.argmin(np.append(errors, 0) > 60 * np.append(rounding, 0))][-6:]
        order = np.polyfit(np.log(h[counts]), np.log(errors[counts]), 1)[0]
        print(f"{panel.title:44} {curve.label:14} expected {curve.power:2}, observed {order:5.2f}")
        which = number if "order" in curve.label else curve.power // 2 - 1
        color = COLORS[which] if curve.power > 1 else "0.5"
        axes.loglog(
            h, errors, MARKERS[which], ms=3.2, mew=0, color=color, alpha=0.9,
            label=f"{curve.label}: {order:.2f}",
        )  # fmt: skip
        middle = np.exp(np.log(errors[counts] / h[counts] ** curve.power).mean())
        line = predict(curve, h) if curve.is_predicted else middle * h**curve.power
        axes.plot(h[line > rounding / 4], line[line > rounding / 4], color=color, lw=1)
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set(xlim=(h[-1] / 1.4, h[0] * 1.4), ylim=(3e-16, 3e3))
    axes.grid(which="major", color="0.9", lw=0.6)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        title="observed order", title_fontsize=7.5, fontsize=7.5, loc=place, frameon=True,
        framealpha=0.0, edgecolor="none", handletextpad=0.2, borderaxespad=0.2,
    )  # fmt: skip


def main() -> int:
    """Draw all panels."""
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 7.6), sharex=True, sharey=True, constrained_layout=True
    )
    for one, panel in zip(axes.flat, PANELS, strict=True):
        draw(one, panel, "lower right" if panel is PANELS[-1] else "upper left")
    for one in axes[1]:
        one.set_xlabel("spacing $h$ (period or length 1)")
    for one in axes[:, 0]:
        one.set_ylabel("largest error / largest derivative")
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "observed-order.png", dpi=160)
    return 0


if __name__ == "__main__":
    sys.exit(main())
