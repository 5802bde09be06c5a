"""staggered.png: where the results of a staggered derivative lie."""

import numpy as np
from matplotlib.figure import Figure

BLUE, RED = "#0072b2", "#d55e00"
SAMPLES = 5


def draw():
    figure = Figure((7, 2.9), layout="constrained", facecolor="white")
    axes = figure.subplots()
    x = np.arange(SAMPLES)
    for face in np.arange(SAMPLES + 1) - 0.5:
        axes.axvline(face, color="0.75", linewidth=1.2)
    axes.plot(x, np.full(SAMPLES, 2.0), "o", color=BLUE, markersize=10)
    for height, shift, outer in ((1.0, -0.5, 0), (0.0, 0.5, SAMPLES - 1)):
        for i in x:
            colour = "white" if i == outer else RED
            axes.plot(i + shift, height, "D", color=RED, markerfacecolor=colour, markersize=9)
            axes.annotate(
                "", (i + shift, height), (i, height), zorder=1,
                arrowprops={"arrowstyle": "->", "color": "0.55", "shrinkB": 6},
            )  # fmt: skip
            axes.text(i, height + 0.14, f"{i}", ha="center", color="0.3")
    for i in x:
        axes.text(i, 2.18, f"{i}", ha="center", color="0.3")
    axes.set_yticks([2, 1, 0], ["samples", 'stagger="left"', 'stagger="right"'], fontsize=11)
    axes.set(xlim=(-0.9, SAMPLES - 0.1), ylim=(-0.4, 2.6), xticks=np.arange(-0.5, SAMPLES, 0.5))
    axes.set_xlabel("x (in spacings)")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure
