"""coordinates.png: a dipole on a polar grid, and a field over the pole."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad


def draw_dipole(axes):
    radius = np.linspace(1, 3, 17)[:, None]
    angle = np.arange(40) * (2 * np.pi / 40)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    potential = x / (x**2 + y**2)
    grid = gpugrad.CurvilinearGrid(x, y, boundary={1: "periodic"}, accuracy=4)
    slopes = grid.gradient(potential, stack=True)
    once_round = np.append(np.arange(40), 0)
    closed = [w[:, once_round] for w in (x, y, potential)]
    axes.plot(closed[0], closed[1], color="0.85", lw=0.5, zorder=0)
    axes.plot(x.T, y.T, color="0.85", lw=0.5, zorder=0)
    lines = axes.contour(*closed, levels=np.linspace(-0.9, 0.9, 13), cmap="RdBu_r", linewidths=1.2)
    lines.set_zorder(1)
    some = np.s_[1::3, ::2]
    length = np.hypot(*slopes)
    u, v = (s[some] / length[some] ** 0.6 for s in slopes)
    axes.quiver(x[some], y[some], u, v, color="0.15", scale=22, width=0.004, zorder=2)
    axes.set(
        title="gradient of a dipole's potential (length^0.4)",
        xlabel="x",
        ylabel="y",
        aspect="equal",
    )


def draw_pole(axes):
    latitude, longitude = np.linspace(40, 90, 26), np.arange(0, 360, 3.0)
    p, q = np.radians(latitude)[:, None], np.radians(longitude)
    bump = np.exp(-12 * ((np.cos(p) * np.cos(q) - 0.25) ** 2 + (np.cos(p) * np.sin(q) - 0.1) ** 2))
    north, east = gpugrad.Sphere(latitude, longitude, radius=1.0).gradient(bump)
    # The map: distance from the pole, meridian 0 to the right.
    x, y = (90 - latitude)[:, None] * np.cos(q), (90 - latitude)[:, None] * np.sin(q)
    u, v = (-np.cos(q) * north - np.sin(q) * east, -np.sin(q) * north + np.cos(q) * east)
    once_round = np.append(np.arange(120), 0)
    closed = [w[:, once_round] for w in (x, y, bump)]
    axes.contour(*closed, levels=8, cmap="YlOrRd", linewidths=1.2)
    for circle in (10, 20, 30, 40, 50):
        axes.plot(circle * np.cos(q), circle * np.sin(q), color="0.85", lw=0.5, zorder=0)
    axes.plot(x[::25, ::10], y[::25, ::10], color="0.85", lw=0.5, zorder=0)
    for rows, columns in ((slice(0, 24, 3), slice(None, None, 10)), (slice(25, 26), slice(0, 1))):
        some = rows, columns
        axes.quiver(x[some], y[some], u[some], v[some], color="0.15", scale=28, width=0.004)
    axes.plot(0, 0, "o", color="tab:blue", ms=5, label="the pole")
    axes.legend(loc="lower left", frameon=False)
    axes.set(title="gradient on latitude and longitude, over the pole", aspect="equal")
    axes.set(xlabel="degrees from the pole", ylabel="degrees from the pole")


def draw():
    figure = Figure((10, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_dipole(left)
    draw_pole(right)
    return figure
