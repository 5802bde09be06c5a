"""gradient.png: samples of a curve, the slopes at them, and these as numbers."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED, GREY = "#0072b2", "#d55e00", "0.45"
SPACING = 1.0


def sample(x):
    return 2.0 + 1.7 * np.sin(0.8 * x - 0.4)


def draw():
    x = np.arange(10) * SPACING
    f = sample(x)
    slopes = gpugrad.gradient(f, SPACING, edge_order=2)
    figure = Figure((9, 5.6), layout="constrained", facecolor="white")
    curve, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    fine = np.linspace(x[0], x[-1], 400)
    curve.plot(fine, sample(fine), color="0.8", linewidth=2)
    half = 0.36
    for place, value, slope in zip(x, f, slopes, strict=True):
        tangent = np.array([-half, half])
        curve.plot(place + tangent, value + slope * tangent, color=RED, linewidth=3.2)
    curve.plot(x, f, "o", color=BLUE, markersize=9, markeredgecolor="white", zorder=3)
    curve.set_ylabel("samples f", fontsize=17, color=BLUE)
    curve.set_title(
        "gpugrad.gradient(f, 1.0, edge_order=2)", fontsize=18, family="monospace", pad=12
    )
    below.axhline(0, color=GREY, linewidth=1)
    below.vlines(x, 0, slopes, color=RED, linewidth=2)
    below.plot(x, slopes, "o", color=RED, markersize=9)
    for place, slope in zip(x, slopes, strict=True):
        below.annotate(
            f"{slope:.1f}".replace("-", "−"), (place, slope), (0, 11 if slope > 0 else -11),
            fontsize=15, textcoords="offset points", ha="center",
            va="bottom" if slope > 0 else "top",
        )  # fmt: skip
    below.set_ylabel("slopes df/dx", fontsize=17, color=RED)
    below.set_xlabel("x", fontsize=17)
    below.set(ylim=(-2.3, 2.3), xticks=x)
    for axes in (curve, below):
        axes.tick_params(labelsize=14)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
