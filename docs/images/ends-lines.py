"""ends-lines.png: the lines and the parabola whose slopes are the estimates of a gradient."""

import numpy as np
from matplotlib.figure import Figure

BLUE, RED = "#0072b2", "#d55e00"
TIME = np.arange(5.0)


def distance(time):
    return time**2


def draw():
    figure = Figure((9, 3.9), layout="constrained", facecolor="white")
    interior, line, parabola = figure.subplots(1, 3, sharex=True, sharey=True)
    fine = np.linspace(-0.2, 4.2, 200)
    for axes, at, used, slope, title in (
        (interior, 2, [1, 3], 4.0, "interior: central difference"),
        (line, 0, [0, 1], 1.0, "end: edge_order=1"),
        (parabola, 0, [0, 1, 2], 0.0, "end: edge_order=2"),
    ):
        axes.plot(fine, distance(fine), color="0.8", linewidth=2, label="the function")
        axes.plot(TIME, distance(TIME), "o", color="0.55", label="samples")
        if len(used) == 2:
            middle, height = np.mean(used), distance(TIME[used]).mean()
            longer = np.array([min(used) - 0.4, max(used) + 0.4])
            axes.plot(longer, height + slope * (longer - middle), color=RED, linewidth=2.2,
                      label="line or parabola through the samples used")  # fmt: skip
        else:
            near = np.linspace(-0.2, 2.2, 50)
            axes.plot(near, near**2, color=RED, linewidth=2.2)
        axes.plot(TIME[used], distance(TIME[used]), "o", color=RED, markersize=8)
        axes.plot(at, distance(at), "s", color="none", markeredgecolor="black", markersize=13,
                  label="sample whose slope is wanted")  # fmt: skip
        tangent = at + np.array([-0.75, 0.75])
        axes.plot(tangent, distance(at) + 2 * at * (tangent - at), "--", color=BLUE, linewidth=2,
                  label="tangent: exact slope")  # fmt: skip
        axes.set_title(title, fontsize=12)
        axes.text(0.04, 0.95, f"estimate {slope:.0f} m/s\nexact {2 * at:.0f} m/s",
                  transform=axes.transAxes, va="top", fontsize=11)  # fmt: skip
        axes.set_xlabel("time t (s)", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    interior.set_ylabel("distance f (m)", fontsize=11)
    interior.set(ylim=(-3.2, 17.5), xticks=TIME)
    handles, labels = interior.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure
