"""masked_formulas.png: which samples each derivative reads where one of them is missing."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

COUNT, MISSING = 9, 4


def find_weights(**options):
    """Return the weights of each derivative, as rows: the derivatives of unit vectors."""
    is_valid = np.arange(COUNT) != MISSING
    units = np.eye(COUNT)
    return gpugrad.gradient(units, axis=1, where=is_valid, **options).T


def draw():
    figure = Figure((7, 4.3), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(MISSING - 0.42, MISSING + 0.42, color="0.88", linewidth=0)
    axes.text(MISSING, -0.95, "missing", ha="center", va="center", color="0.35", fontsize=9)
    for row, weights in enumerate(find_weights()):
        if not np.isfinite(weights).all():
            axes.text(row, row, "NaN", ha="center", va="center", fontweight="bold", color="0.25")
            continue
        read = np.flatnonzero(weights)
        beside = abs(row - MISSING) == 1
        colour = "#d55e00" if beside else "#0072b2"
        axes.plot([read[0], read[-1]], [row, row], color=colour, linewidth=1.5, zorder=1)
        axes.plot(row, row, "s", markersize=25, mfc="none", mec="0.6", zorder=0)
        for sample in read:
            axes.plot(sample, row, "o", color="white", mec=colour, markersize=18, zorder=2)
            text = f"{weights[sample]:g}".replace("-", "−")
            axes.text(sample, row, text, ha="center", va="center", fontsize=6.3, zorder=3)
    axes.set(
        xlabel="sample that is read (circle: its weight, for a spacing of 1)",
        ylabel="derivative at sample (square)",
        xticks=range(COUNT),
        yticks=range(COUNT),
        xlim=(-0.6, COUNT - 0.4),
        ylim=(COUNT - 0.4, -1.4),
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
