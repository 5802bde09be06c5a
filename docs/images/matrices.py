"""matrices.png: the matrices of three operators, with the rows of their boundaries."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad


def draw():
    plans = {
        "derivative, accuracy=4": gpugrad.plan(12, operator="derivative", accuracy=4),
        'the same, boundary="periodic"': gpugrad.plan(
            12, operator="derivative", accuracy=4, boundary="periodic"
        ),
        "laplacian of 4 x 5, boundary=0.0": gpugrad.plan(
            (4, 5), operator="laplacian", boundary=0.0
        ),
    }
    figure = Figure((10, 3.9), layout="constrained")
    for axes, (title, plan) in zip(figure.subplots(1, 3), plans.items(), strict=True):
        matrix = plan.matrix().toarray()
        shown = np.where(matrix == 0, np.nan, matrix)
        largest, step = (1, 1) if len(matrix) == 12 else (4, 5)
        drawn = axes.imshow(shown, cmap="PuOr", vmin=-largest, vmax=largest)
        extend = "both" if abs(matrix).max() > largest else "neither"
        where = {"location": "bottom", "shrink": 0.8, "extend": extend}
        figure.colorbar(
            drawn,
            ax=axes,
            label="weight, for a spacing of 1",
            ticks=[-largest, 0, largest],
            **where,
        )
        edges = np.arange(0, len(matrix) + 1, step) - 0.5
        axes.vlines(edges, -0.5, len(matrix) - 0.5, color="0.85", linewidth=0.6, zorder=0)
        axes.hlines(edges, -0.5, len(matrix) - 0.5, color="0.85", linewidth=0.6, zorder=0)
        axes.set_title(title, fontsize=10)
        ticks = range(0, len(matrix), 5 if step > 1 else 2)
        axes.set(xlabel="sample of the field", xticks=ticks, yticks=ticks)
    figure.axes[0].set_ylabel("sample of the result")
    return figure
