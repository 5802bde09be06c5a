"""turning-vertex.png: the vertex of a parabola lies nearer to a maximum than the highest sample."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED = "#0072b2", "#d55e00"
PERIOD, HIGH = 12.4, 3.4


def level_at(hour):
    return 2.0 * np.cos(2 * np.pi * (hour - HIGH) / PERIOD)


def draw():
    figure = Figure((9, 3.6), layout="constrained", facecolor="white")
    record, detail = figure.subplots(1, 2, width_ratios=(3, 2))
    hours = np.arange(0.0, 26.0, 2.0)
    points = gpugrad.turning_points(level_at(hours), hours)
    fine = np.linspace(0.0, 24.0, 400)
    record.plot(fine, level_at(fine), color="0.8", linewidth=2)
    record.plot(hours, level_at(hours), "o", color=BLUE, label="samples")
    for kind, marker in (("maximum", "^"), ("minimum", "v")):
        some = points.select(kind=kind)
        record.plot(some.position, some.value, marker, color=RED, markersize=10, label=kind)
    record.set(xlabel="time (h)", ylabel="water level (m)", ylim=(-2.4, 3.6), xticks=hours[::2])
    record.legend(loc="upper right", ncols=3, fontsize=10)

    point = points[0]
    used = hours[point.index - 1 : point.index + 2]
    near = np.linspace(1.6, 6.4, 100)
    parabola = np.polyfit(used, level_at(used), 2)
    detail.plot(near, level_at(near), color="0.8", linewidth=4, label="exact level")
    detail.plot(near, np.polyval(parabola, near), "--", color=RED, label="parabola")
    detail.plot(used, level_at(used), "o", color=BLUE, markersize=9)
    detail.plot(point.position, point.value, "^", color=RED, markersize=11)
    detail.annotate(f"vertex: {point.position:.2f} h", (point.position, point.value), (-9, 10),
                    textcoords="offset points", ha="right", color=RED)  # fmt: skip
    detail.annotate(f"highest sample:\n{used[1]:.0f} h", (used[1], level_at(used[1])), (12, 14),
                    textcoords="offset points", color=BLUE)  # fmt: skip
    detail.axvline(HIGH, color="0.4", linestyle=":", linewidth=1.5, label=f"exact: {HIGH} h")
    detail.set(xlabel="time (h)", ylabel="water level (m)", ylim=(0.2, 2.7))
    detail.legend(loc="lower left", fontsize=10)
    for axes in (record, detail):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
