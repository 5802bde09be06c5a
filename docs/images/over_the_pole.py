"""over_the_pole.png: a field on latitude and longitude near a pole, and its gradient."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad


def draw():
    latitude, longitude = np.linspace(60, 90, 31), np.arange(0, 360, 5.0)
    p, q = np.radians(latitude)[:, None], np.radians(longitude)
    away = (np.cos(p) * np.cos(q) - 0.1) ** 2 + (np.cos(p) * np.sin(q) - 0.06) ** 2
    temperature = -30 + 20 * np.exp(-18 * away)
    north, east = gpugrad.Sphere(latitude, longitude, accuracy=4).gradient(temperature, stack=True)
    figure = Figure((10, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    scale = {"cmap": "cividis", "vmin": -30, "vmax": -10}
    arrows = {"color": "white", "scale": 1.1e-4, "width": 0.005}

    drawn = left.pcolormesh(longitude, latitude, temperature, **scale)
    drawn.set_rasterized(True)
    some = np.s_[2::4, ::6]
    left.quiver(longitude[::6], latitude[2::4], east[some], north[some], **arrows)
    left.quiver(longitude[::6], np.full(12, 90), east[-1, ::6], north[-1, ::6], color="#d55e00",
                scale=1.1e-4, width=0.005, zorder=3)  # fmt: skip
    left.axhspan(90.5, 94, color="0.85", linewidth=0)
    left.set(title="the array: components to the east and north", xticks=range(0, 361, 60))
    left.set(xlim=(-2, 360), xlabel="longitude in °E", ylabel="latitude in °N", ylim=(59.5, 94))

    x, y = (90 - latitude)[:, None] * np.cos(q), (90 - latitude)[:, None] * np.sin(q)
    u, v = -np.cos(q) * north - np.sin(q) * east, -np.sin(q) * north + np.cos(q) * east
    once_round = np.append(np.arange(longitude.size), 0)
    closed = [w[:, once_round] for w in (x, y, temperature)]
    drawn = right.pcolormesh(*closed, shading="gouraud", **scale)
    drawn.set_rasterized(True)
    figure.colorbar(drawn, ax=right, label="temperature in °C")
    right.quiver(x[some], y[some], u[some], v[some], **arrows)
    right.quiver(0, 0, u[-1, 0], v[-1, 0], color="#d55e00", scale=1.1e-4, width=0.008, zorder=3)
    right.plot(0, 0, "o", color="#d55e00", label="the pole: one vector")
    right.legend(loc="lower left", fontsize=9)
    right.set(title="the same, seen from above the pole", aspect="equal")
    right.set(xlabel="degrees from the pole", ylabel="degrees from the pole")
    return figure
