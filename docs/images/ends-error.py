"""ends-error.png: the error of a gradient over the spacing, at an end and in the interior."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

PARTS = [1 << k for k in range(2, 11)]


def measure(edge_order):
    """Return the errors at the lower end and next to it, for each number of intervals."""
    errors = []
    for n in PARTS:
        x = np.linspace(0.0, 1.0, n + 1)
        off = abs(gpugrad.gradient(np.exp(x), 1 / n, edge_order=edge_order) - np.exp(x))
        errors.append((off[0], off[1]))
    return np.transpose(errors)


def draw():
    figure = Figure((7, 3.7), layout="constrained", facecolor="white")
    axes = figure.subplots()
    h = 1 / np.array(PARTS)
    first, interior = measure(1)
    second, _ = measure(2)
    for errors, style, colour, label in (
        (first, "o-", "#d55e00", "end, edge_order=1: error ∝ h"),
        (second, "s-", "#0072b2", "end, edge_order=2: error ∝ h²"),
        (interior, "^-", "#009e73", "interior, next to the end: error ∝ h²"),
    ):
        axes.loglog(h, errors, style, color=colour, label=label)
    axes.set_xlabel("spacing h (in units of x)")
    axes.set_ylabel("error of the slope of exp(x)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure
