"""footprints.png: the samples that operators read, and the weights that these have."""

from fractions import Fraction

import numpy as np
from matplotlib.figure import Figure

import gpugrad

SIDE, REACH = 13, 2
OPERATORS = {
    "derivative": lambda f, **options: gpugrad.derivative(f, axis=1, **options),
    "derivative, order=2": lambda f, **options: gpugrad.derivative(f, axis=1, order=2, **options),
    "laplacian": gpugrad.laplacian,
    "hessian, mixed entry": lambda f, **options: gpugrad.hessian(f, **options)[0][1],
}


def find_weights(operator, accuracy):
    """Return the weights in the middle of a field: mirrored, the derivatives of a unit field."""
    unit = np.zeros((SIDE, SIDE))
    unit[SIDE // 2, SIDE // 2] = 1.0
    weights = operator(unit, accuracy=accuracy)[::-1, ::-1]
    some = slice(SIDE // 2 - REACH, SIDE // 2 + REACH + 1)
    return weights[some, some]


def draw():
    figure = Figure((10, 5.4), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True)
    offsets = np.arange(-REACH, REACH + 1)
    for row, accuracy in zip(panels, (2, 4), strict=True):
        for axes, (name, operator) in zip(row, OPERATORS.items(), strict=True):
            weights = find_weights(operator, accuracy)
            axes.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), xticks=offsets, yticks=offsets)
            axes.grid(color="0.88", zorder=0)
            for (i, j), weight in np.ndenumerate(weights):
                if abs(weight) < 1e-12:
                    continue
                colour = "#0072b2" if weight > 0 else "#d55e00"
                axes.plot(offsets[j], offsets[i], "o", color=colour, markersize=22, zorder=2)
                text = str(Fraction(weight).limit_denominator(144)).replace("-", "−")
                axes.text(offsets[j], offsets[i], text, color="white", fontsize=6.5,
                          ha="center", va="center_baseline", zorder=3)  # fmt: skip
            axes.plot(0, 0, "s", mfc="none", mec="0.2", markersize=28, zorder=1)
            axes.set_aspect("equal")
            if accuracy == 2:
                axes.set_title(name, fontsize=10)
            else:
                axes.set_xlabel("sample along axis 1")
        row[0].set_ylabel(f"accuracy={accuracy}\nsample along axis 0")
    return figure
