"""wave-points.png: the slope of a wave with 6, 10 and 20 samples for each wavelength."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED = "#0072b2", "#d55e00"


def draw():
    figure = Figure((9, 3.2), layout="constrained", facecolor="white")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    fine = np.linspace(0.0, 1.0, 300)
    for axes, n in zip(panels, (6, 10, 20), strict=True):
        x = np.arange(n) / n
        wave = np.sin(2 * np.pi * x) / (2 * np.pi)
        slope = gpugrad.gradient(wave, 1 / n, boundary="periodic")
        axes.plot(fine, np.cos(2 * np.pi * fine), color="0.7", linewidth=2.5, label="exact slope")
        axes.plot(x, slope, "o", color=RED, label="gradient")
        small = 1 - slope[0]
        axes.set_title(f"{n} samples: {small:.1%} too small", fontsize=11)
        axes.set_xlabel("x (wavelengths)")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("slope / largest slope")
    panels[0].legend(loc="upper center", fontsize=10)
    return figure
