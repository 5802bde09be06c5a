"""axis-order.png: which variable runs along which axis, for both ways to lay out a grid."""

import numpy as np
from matplotlib.figure import Figure

BLUE, RED = "#0072b2", "#d55e00"
X, Y = np.arange(4), np.arange(3)


def draw():
    figure = Figure((8, 3.9), layout="constrained", facecolor="white")
    for axes, indexing in zip(figure.subplots(1, 2), ("ij", "xy"), strict=True):
        x, y = np.meshgrid(X, Y, indexing=indexing)
        v = 10 * x + y
        rows, columns = v.shape
        for i in range(rows):
            for j in range(columns):
                axes.text(j, i, f"{v[i, j]}", ha="center", va="center", fontsize=13)
        for k in range(rows + 1):
            axes.plot([-0.5, columns - 0.5], [k - 0.5, k - 0.5], color="0.7", linewidth=1)
        for k in range(columns + 1):
            axes.plot([k - 0.5, k - 0.5], [-0.5, rows - 0.5], color="0.7", linewidth=1)
        first, second = ("x", "y") if indexing == "ij" else ("y", "x")
        for start, end, text, colour, where in (
            ((-0.8, -0.4), (-0.8, rows - 0.6), f"axis 0 is {first}", BLUE, (-0.95, rows / 2 - 0.5)),
            ((-0.4, -0.8), (columns - 0.6, -0.8), f"axis 1 is {second}", RED,
             (columns / 2 - 0.5, -0.95)),
        ):  # fmt: skip
            arrow = {"arrowstyle": "->", "color": colour, "linewidth": 2}
            axes.annotate("", end, start, arrowprops=arrow)
            upright = 90 if start[0] == end[0] else 0
            axes.text(*where, text, color=colour, fontsize=12, rotation=upright,
                      ha="right" if upright else "center",
                      va="center" if upright else "bottom")  # fmt: skip
        axes.set_title(f'meshgrid(x, y, indexing="{indexing}")', family="monospace", fontsize=11)
        axes.text(
            columns / 2 - 0.5, rows - 0.2, f"dV_d{first}, dV_d{second} = gradient(V)",
            family="monospace", fontsize=11, ha="center", va="top",
        )  # fmt: skip
        axes.set(xlim=(-1.7, 4), ylim=(4.0, -1.5), aspect="equal")
        axes.axis("off")
    return figure
