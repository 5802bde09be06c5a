"""time-by-size.png: the time of a call against the size of the field, from stored runs."""

import json
from math import prod
from pathlib import Path

from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[2] / "benchmarks/results"
MACHINE = "intel-xeon-processor-family-6-model-167"
SERIES = {
    "numpy": ("numpy.gradient", "0.35", "s", "-"),
    "gpugrad numpy": ('gpugrad, backend="numpy"', "#009e73", "^", "-"),
    "gpugrad": ("gpugrad", "#0072b2", "o", "-"),
    "floor": ("what the memory takes", "#d55e00", "", "--"),
}

GAP = 100_000


def read_times():
    """Return for each number of axes and each contender the sizes with their seconds."""
    small = json.loads((RESULTS / f"everyday-{MACHINE}.json").read_text())["cases"]
    large = json.loads((RESULTS / f"against-others-{MACHINE}.json").read_text())["cases"]
    rows = [
        ([int(n) for n in case["title"].split(", ")[1].split("x")], case["seconds"])
        for case in small
        if case["title"].startswith("small: gradient(f), ")
    ]
    rows += [
        (case["shape"], case["seconds"])
        for case in large
        if case["name"] == "all axes" and case["dtype"] == "float64"
    ]
    times = {(axes, name): [] for axes in (1, 2, 3) for name in SERIES}
    for shape, seconds in rows:
        for name in SERIES.keys() & seconds.keys():
            times[len(shape), name].append((prod(shape), seconds[name]["median"]))
    return times


def draw():
    times = read_times()
    figure = Figure((7.2, 3.7), layout="constrained", facecolor="white")
    panels = figure.subplots(1, 3, sharey=True, sharex=True)
    for axes, (panel, title) in enumerate(
        zip(panels, ("one axis", "two axes", "three axes"), strict=True), 1
    ):
        for name, (label, color, marker, line) in SERIES.items():
            points = sorted(times[axes, name])
            for is_large in (False, True):  # nothing was measured in between
                part = [point for point in points if (point[0] > GAP) == is_large]
                panel.loglog([size for size, _ in part], [1e3 * s for _, s in part], line,
                             color=color, marker=marker, markersize=4.5, linewidth=1.3,
                             label=label if is_large else None)  # fmt: skip
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("samples of the field")
        panel.grid(color="0.9", linewidth=0.7)
        panel.set_xticks([1e1, 1e3, 1e5, 1e7])
        panel.minorticks_off()
    panels[0].set_ylabel("time of a call in milliseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8.5, frameon=False)
    return figure
