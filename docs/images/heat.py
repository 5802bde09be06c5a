"""heat.png: a plate that is heated from its edges, in implicit steps."""

import numpy as np
from matplotlib.figure import Figure
from scipy import sparse
from scipy.sparse import linalg

import gpugrad


def draw():
    n, h, diffusivity, step = 31, 0.3 / 32, 1.1e-4, 5.0
    laplacian = gpugrad.plan((n, n), h, operator="laplacian", boundary=100.0)
    matrix = sparse.eye_array(n * n) - diffusivity * step * laplacian.matrix()
    solve = linalg.factorized(matrix.tocsc())
    heating = diffusivity * step * laplacian.offset()
    temperature, shown = np.full(n * n, 20.0), {}
    for time in np.arange(1, 13) * step:
        temperature = solve(temperature + heating)
        shown[int(time)] = temperature.reshape(n, n)
    figure = Figure((10, 3.1), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    places = 100 * h * np.arange(1, n + 1)
    for axes, time in zip(panels, (5, 20, 60), strict=True):
        drawn = axes.pcolormesh(places, places, shown[time], cmap="cividis", vmin=20, vmax=100)
        drawn.set_rasterized(True)
        lines = axes.contour(
            places, places, shown[time], (30, 50, 70, 90), colors="white", linewidths=0.7
        )
        axes.clabel(lines, fontsize=7, fmt="%d °C")
        axes.set(title=f"after {time} s", xlabel="x in cm", aspect="equal")
    panels[0].set_ylabel("y in cm")
    figure.colorbar(drawn, ax=panels, label="temperature in °C")
    return figure
