"""polar_grid.png: the potential of a dipole on a polar grid, and its gradient."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad


def draw():
    radius = np.linspace(1, 3, 15)[:, None]
    angle = np.arange(48) * (2 * np.pi / 48)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    potential = x / (x**2 + y**2)
    grid = gpugrad.CurvilinearGrid(x, y, boundary={1: "periodic"}, accuracy=4)
    slopes = grid.gradient(potential, stack=True)
    once_round = np.append(np.arange(48), 0)
    closed = [w[:, once_round] for w in (x, y, potential)]
    figure = Figure((10, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)

    rows = np.arange(15)
    drawn = left.pcolormesh(np.degrees(angle), rows, potential, cmap="RdBu_r", vmin=-1, vmax=1)
    drawn.set_rasterized(True)
    left.set(title="the array: rows and columns", xlabel="axis 1: angle in degrees")
    left.set(ylabel="axis 0: number of the ring", xticks=range(0, 361, 90))

    right.plot(closed[0], closed[1], color="0.8", linewidth=0.5, zorder=1)
    right.plot(closed[0].T, closed[1].T, color="0.8", linewidth=0.5, zorder=1)
    drawn = right.contourf(*closed, np.linspace(-1, 1, 17), cmap="RdBu_r", zorder=0)
    figure.colorbar(drawn, ax=right, label="potential in V", ticks=(-1, -0.5, 0, 0.5, 1))
    some = np.s_[1::3, ::2]
    length = np.hypot(*slopes)
    u, v = (s[some] / length[some] ** 0.6 for s in slopes)
    right.quiver(x[some], y[some], u, v, color="0.1", scale=20, width=0.004, zorder=2)
    right.set(title="the plane: gradient (arrows)", xlabel="x in m", ylabel="y in m")
    right.set_aspect("equal")
    return figure
