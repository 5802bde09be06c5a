"""noise-smoothing.png: the velocity of a noisy position, by differences and by smoothing."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED = "#0072b2", "#d55e00"


def draw():
    t = np.linspace(0, 6, 1000)
    noise = 0.01 * np.random.default_rng(0).normal(size=t.size)
    position = np.sin(t) + noise
    figure = Figure((8, 4.6), layout="constrained", facecolor="white")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    above.plot(t, position, color=BLUE, linewidth=1)
    above.set_ylabel("position (m)")
    below.plot(t, gpugrad.derivative(position, t), color="0.75", linewidth=0.6, label="derivative")
    below.plot(t, gpugrad.smooth_derivative(position, t), color=RED, linewidth=3,
               label="smooth_derivative")  # fmt: skip
    below.plot(t, np.cos(t), "--", color="black", linewidth=1.2, label="exact")
    below.set(xlabel="time t (s)", ylabel="velocity (m/s)", ylim=(-4, 5))
    below.legend(loc="upper right", ncols=3)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
