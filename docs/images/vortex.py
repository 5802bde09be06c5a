"""vortex.png: the wind of a cyclone, its vorticity and its divergence."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

KM = 1e-3


def draw():
    x = y = np.linspace(-500e3, 500e3, 101)
    X, Y = np.meshgrid(x, y, indexing="ij")
    rate = 5e-5 * np.exp(-(X**2 + Y**2) / (2 * 150e3**2))
    u, v = -rate * (Y + 0.4 * X), rate * (X - 0.4 * Y)
    vorticity = gpugrad.curl((u, v), x, y, accuracy=4)
    divergence = gpugrad.divergence((u, v), x, y, accuracy=4)
    figure = Figure((10, 3.5), layout="constrained")
    panels = (
        ("wind", np.hypot(u, v), "speed in m/s", "viridis", 0, None),
        ("curl (vorticity)", vorticity * 1e5, "10⁻⁵ per s", "RdBu_r", -10, 10),
        ("divergence", divergence * 1e5, "10⁻⁵ per s", "RdBu_r", -4, 4),
    )
    for axes, (title, field, unit, colours, low, high) in zip(
        figure.subplots(1, 3, sharey=True), panels, strict=True
    ):
        drawn = axes.pcolormesh(x * KM, y * KM, field.T, cmap=colours, vmin=low, vmax=high)
        drawn.set_rasterized(True)
        figure.colorbar(drawn, ax=axes, label=unit, location="bottom", aspect=30, shrink=0.95)
        some = np.s_[5::9, 5::9]
        colour = "white" if title == "wind" else "0.3"
        axes.quiver(X[some] * KM, Y[some] * KM, u[some], v[some], color=colour, scale=55)
        axes.set(title=title, xlabel="x in km", aspect="equal")
    figure.axes[0].set_ylabel("y in km")
    return figure
