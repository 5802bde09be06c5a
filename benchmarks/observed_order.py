"""Draw the error of `gpugrad.derivative` over the spacing, and print the slopes: observed orders.

Points are errors in float64, lines the leading error that `gpugrad.stencil` predicts, or where it
predicts none the power of the spacing through the points.

python -m benchmarks.observed_order docs/images/observed-order.png
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

import gpugrad

SIZES = np.unique(np.geomspace(16, 6000, 30).astype(int))
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
MARKERS = "os^DvpX"

CIRCLE, LINE, UNEVEN = "even samples of a period", "even samples with two ends", "uneven samples"


class Curve(NamedTuple):
    """A scheme: its label, its options, the slope it should have, and whether that is known."""

    label: str
    options: dict[str, Any]
    power: int
    is_predicted: bool = False


PANELS = {
    "(a) first derivative, periodic": (CIRCLE, [
        Curve(f"accuracy {p}", {"accuracy": p}, p, is_predicted=True) for p in range(2, 13, 2)
    ]),
    "(b) first derivative, one-sided ends": (LINE, [
        Curve("NumPy's ends", {}, 1),
        *(Curve(f"accuracy {p}", {"accuracy": p, "edge_accuracy": p}, p) for p in (2, 4, 6, 8)),
    ]),
    "(c) second derivative, uneven samples": (UNEVEN, [
        Curve(f"accuracy {p}", {"order": 2, "accuracy": p}, p) for p in (2, 4, 6, 8)
    ]),
    "(d) higher derivatives, accuracy 4, periodic": (CIRCLE, [
        Curve(f"order {m}", {"order": m, "accuracy": 4}, 4, is_predicted=True)
        for m in (1, 2, 3, 4, 6)
    ]),
}  # fmt: skip


def field(x: Any, order: int = 0) -> Any:
    """Return a sum of two waves of period 1, or one of its derivatives."""
    k = 2 * np.pi
    quarter = order * np.pi / 2
    return k**order * np.sin(k * x + 1 + quarter) + (3 * k) ** order / 4 * np.cos(
        3 * k * x + 2 + quarter
    )


def make_grid(kind: str, n: int) -> tuple[Any, Any, dict[str, Any]]:
    """Return where samples are, the spacing, and the boundary."""
    s = np.arange(n) / n
    if kind == LINE:
        return np.linspace(0, 1, n), 1 / (n - 1), {}
    if kind == CIRCLE:
        return s, 1 / n, {"boundary": "periodic"}
    x = s + np.sin(2 * np.pi * s) / (4 * np.pi)  # gaps vary smoothly, by a factor of 3
    return x, x, {"boundary": "periodic", "period": 1.0}


def find_error(kind: str, curve: Curve, n: int) -> float:
    """Return the largest error over the whole axis, as a part of the largest derivative."""
    x, spacing, boundary = make_grid(kind, n)
    order = curve.options.get("order", 1)
    found = gpugrad.derivative(field(x), spacing, **boundary, **curve.options)
    return float(abs(found - field(x, order)).max() / scale(order))


def scale(order: int) -> float:
    """Return the largest value of a derivative of the field."""
    return float(abs(field(np.linspace(0, 1, 2001), order)).max())


def predict(curve: Curve, h: Any) -> Any:
    """Return the leading error of the formula inside."""
    order = curve.options.get("order", 1)
    c, power, derivative = gpugrad.stencil(order, curve.options["accuracy"]).error
    return abs(float(c)) * h**power * scale(derivative) / scale(order)


def draw(axes: Any, title: str, place: str) -> None:
    """Draw a panel, and print the observed orders."""
    h = 1 / SIZES
    kind, curves = PANELS[title]
    for number, curve in enumerate(curves):
        errors = np.array([find_error(kind, curve, n) for n in SIZES])
        # The finest grids on which rounding is far away.
        m = curve.options.get("order", 1)
        rounding = np.finfo(float).eps * 2**m / h**m / scale(m)
        counts = np.flatnonzero(errors > 60 * rounding)
        counts = counts[: np.argmin(np.append(errors, 0) > 60 * np.append(rounding, 0))][-6:]
        order = np.polyfit(np.log(h[counts]), np.log(errors[counts]), 1)[0]
        print(f"{title:44} {curve.label:14} expected {curve.power:2}, observed {order:5.2f}")
        which = number if "order" in curve.label else curve.power // 2 - 1
        color = COLORS[which] if curve.power > 1 else "0.5"
        axes.loglog(
            h, errors, MARKERS[which], ms=3.2, mew=0, color=color, alpha=0.9,
            label=f"{curve.label}: {order:.2f}",
        )  # fmt: skip
        middle = np.exp(np.log(errors[counts] / h[counts] ** curve.power).mean())
        line = predict(curve, h) if curve.is_predicted else middle * h**curve.power
        axes.plot(h[line > rounding / 4], line[line > rounding / 4], color=color, lw=1)
    axes.set_title(title, fontsize=10, loc="left")
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
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for panel, title in zip(panels.flat, PANELS, strict=True):
        draw(panel, title, "lower right" if title.startswith("(d)") else "upper left")
    for panel in panels[1]:
        panel.set_xlabel("spacing $h$ (period or length 1)")
    for panel in panels[:, 0]:
        panel.set_ylabel("largest error / largest derivative")
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "observed-order.png", dpi=160)
    return 0


if __name__ == "__main__":
    sys.exit(main())
