"""terrain.png: a horizontal derivative along the levels over a mountain, and at one height."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad


def draw():
    x = np.linspace(0, 60e3, 61)
    ground = 1500 * np.exp(-(((x - 30e3) / 10e3) ** 2))
    sigma = np.linspace(0, 1, 11)[:, None]
    height = ground + (5000 - ground) * sigma**1.5
    X = np.broadcast_to(x, height.shape)
    temperature = 15 - 0.0065 * height
    along = gpugrad.gradient(temperature, x, axis=1)
    level, _ = gpugrad.CurvilinearGrid(height, X).gradient(temperature)[::-1]
    figure = Figure((10, 3.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    unit_of_slopes = "derivative along x in °C per km"
    fields = (
        ("temperature", temperature, "temperature in °C", "viridis", -20, 15),
        ("along the levels", along * 1e3, unit_of_slopes, "RdBu_r", -1.05, 1.05),
        ("at one height", level * 1e3, unit_of_slopes, "RdBu_r", -1.05, 1.05),
    )
    for axes, (title, field, unit, colours, low, high) in zip(panels, fields, strict=True):
        drawn = axes.contourf(
            X / 1e3, height / 1e3, field, np.linspace(low, high, 22), cmap=colours, extend="both"
        )
        axes.plot(x / 1e3, height.T / 1e3, color="0.4", linewidth=0.6)
        axes.fill_between(x / 1e3, ground / 1e3, color="0.6", linewidth=0)
        ticks = (-20, -10, 0, 10) if title == "temperature" else (-1, -0.5, 0, 0.5, 1)
        figure.colorbar(drawn, ax=axes, label=unit, location="bottom", ticks=ticks, aspect=30)
        axes.set(title=title, xlabel="x in km")
    panels[0].set_ylabel("height in km")
    return figure
