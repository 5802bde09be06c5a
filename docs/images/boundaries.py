"""boundaries.png: what each boundary puts beyond the ends of an axis."""

import numpy as np
from matplotlib.figure import Figure

BLUE, RED = "#0072b2", "#d55e00"
BEYOND = 3
FIELD = np.array([0.7, 1.5, 1.9, 1.4, 0.9])
ZERO_AT_ENDS = np.array([0.0, 1.2, 1.9, 1.4, 0.0])


def extend(f, boundary):
    """Return the values before the first sample and those behind the last one."""
    if boundary == "odd-reflect":
        return -f[BEYOND:0:-1], -f[-2 : -2 - BEYOND : -1]
    if boundary == "odd-symmetric":
        return -f[BEYOND - 1 :: -1], -f[: -1 - BEYOND : -1]
    if boundary == "constant":
        return np.full(BEYOND, -0.5), np.full(BEYOND, -0.5)
    mode = "wrap" if boundary == "periodic" else boundary
    padded = np.pad(f, BEYOND, mode)
    return padded[:BEYOND], padded[-BEYOND:]


def draw():
    figure = Figure((9, 6.4), layout="constrained", facecolor="white")
    for axes, boundary, title in zip(
        figure.subplots(3, 3, sharex=True, sharey=True).flat,
        ("one-sided", "periodic", "edge", "reflect", "symmetric", "constant", "odd-reflect",
         "odd-symmetric", "normal"),
        ('"one-sided": unknown', '"periodic": starts again', '"edge": the end repeated',
         '"reflect": mirror on the end', '"symmetric": mirror outside the end',
         "−0.5: this value everywhere", '"odd-reflect": opposite sign',
         '"odd-symmetric": opposite sign', '{"normal": 0.5}: outward slope'),
        strict=True,
    ):  # fmt: skip
        f = ZERO_AT_ENDS if boundary == "odd-reflect" else FIELD
        x = np.arange(f.size)
        end = f.size - 1
        lower, upper = np.arange(-BEYOND, 0), np.arange(f.size, f.size + BEYOND)
        axes.axhline(0, color="0.8", linewidth=1)
        axes.axvspan(-BEYOND - 0.5, -0.5, color="0.95")
        axes.axvspan(end + 0.5, end + BEYOND + 0.5, color="0.95")
        if boundary in ("one-sided", "normal"):
            for place in (-2, end + 2):
                axes.text(place, 0.7, "?", fontsize=20, color="0.5", ha="center", va="center")
        else:
            below, above = extend(f, boundary)
            axes.plot([*lower, *x, *upper], [*below, *f, *above], ":", color="0.5")
            for place, values in ((lower, below), (upper, above)):
                axes.plot(place, values, "o", color=RED, markerfacecolor="white", zorder=3,
                          label="beyond the ends" if values is below else None)  # fmt: skip
        if boundary == "normal":
            for place, value, outward in ((0, f[0], -1), (end, f[-1], 1)):
                step = np.array([-0.8, 0.8])
                slope = 0.5 * outward
                axes.plot(place + step, value + slope * step, color=RED, linewidth=2.5)
        mirror = {"reflect": 0.0, "odd-reflect": 0.0, "symmetric": 0.5, "odd-symmetric": 0.5}
        if boundary in mirror:
            for place in (-mirror[boundary], end + mirror[boundary]):
                axes.axvline(place, color=RED, linestyle="--", linewidth=1.2,
                             label="mirror" if place <= 0 else None)  # fmt: skip
        axes.plot(x, f, "-o", color=BLUE, zorder=3, label="samples")
        axes.set_title(title, fontsize=10.5)
        axes.set(xlim=(-BEYOND - 0.5, end + BEYOND + 0.5), ylim=(-2.2, 2.4), xticks=x)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[7].set_xlabel("number of the sample", fontsize=11)
    figure.supylabel("field f", fontsize=11)
    figure.legend(*figure.axes[3].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
