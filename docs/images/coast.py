"""coast.png: the gradient of a sea's temperature beside land, without skipna and with it."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

NO_RESULT = "#56b4e9"


def draw():
    x, y = np.arange(0.0, 240.0, 4.0), np.arange(0.0, 160.0, 4.0)
    X, Y = np.meshgrid(x, y)
    coast = 40 + 22 * np.sin(X / 30) + 9 * np.sin(X / 11 + 1)
    island = (X - 170) ** 2 / 1.5 + (Y - 105) ** 2 < 16**2
    is_land = (coast > Y) | island
    front = 12 * np.tanh((Y - 75 - 14 * np.cos(X / 40)) / 30)
    temperature = np.where(is_land, np.nan, 16 - front / 3)
    figure = Figure((10, 3.3), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    fields = [("sea temperature", temperature, "°C", "viridis")]
    for skipna in (False, True):
        steepness = gpugrad.gradient_norm(temperature, y, x, skipna=skipna)
        fields.append((f"skipna={skipna}", np.where(is_land, np.nan, steepness), "°C/km", "magma"))
    for axes, (title, field, unit, colours) in zip(panels, fields, strict=True):
        axes.set_facecolor(NO_RESULT)
        axes.pcolormesh(x, y, np.where(is_land, 0.0, np.nan), cmap="Greys", vmin=-0.7, vmax=1)
        low, high, ticks = (
            (12, 20, (12, 16, 20)) if unit == "°C" else (0, 0.15, (0, 0.05, 0.1, 0.15))
        )
        drawn = axes.pcolormesh(x, y, field, cmap=colours, vmin=low, vmax=high)
        drawn.set_rasterized(True)
        label = f"{'temperature' if unit == '°C' else 'length of the gradient'} in {unit}"
        figure.colorbar(drawn, ax=axes, label=label, location="bottom", aspect=30, ticks=ticks)
        axes.set(title=title, xlabel="x in km", aspect="equal")
    panels[0].set_ylabel("y in km")
    panels[1].plot([], [], "s", color=NO_RESULT, label="no result")
    panels[1].legend(loc="lower left", fontsize=8)
    return figure
