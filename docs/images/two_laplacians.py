"""two_laplacians.png: what two formulas make of waves of all lengths."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

COUNT = 96


def find_factor(operator, wave):
    """Return the number by which an operator multiplies a periodic wave."""
    return np.vdot(wave, operator(wave)) / np.vdot(wave, wave)


def draw():
    periodic = {"boundary": "periodic", "axis": 0}
    operators = {
        "laplacian(f)": (lambda f: gpugrad.laplacian(f, **periodic), "#0072b2", "-"),
        "divergence(gradient(f))": (
            lambda f: gpugrad.gradient(gpugrad.gradient(f, **periodic), **periodic),
            "#d55e00",
            "--",
        ),
    }
    waves = np.arange(1, COUNT // 2 + 1)
    angle = 2 * np.pi * waves / COUNT
    figure = Figure((7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(angle, angle**2, color="0.6", linewidth=4, label="exact")
    for name, (operator, colour, style) in operators.items():
        factors = [-find_factor(operator, np.cos(a * np.arange(COUNT))) for a in angle]
        axes.plot(angle, factors, style, color=colour, linewidth=2, label=name)
    axes.set(
        xlabel="samples per wave",
        ylabel=r"−$\nabla^2 f \,/\, f$ in 1/spacing²",
        xticks=[2 * np.pi / n for n in (48, 12, 8, 6, 4, 3, 2)],
        xticklabels=["48", "12", "8", "6", "4", "3", "2"],
        xlim=(0, np.pi),
        ylim=(0, 10),
    )
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
