"""noise-spacing.png: the error of a derivative of noisy samples over their spacing."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED = "#0072b2", "#d55e00"


def measure(position, t, strides):
    """Return the root mean square of the interior errors for each stride, over all its starts."""
    errors = []
    for stride in strides:
        off = [
            (gpugrad.derivative(position[k::stride], stride * t[1]) - np.cos(t[k::stride]))[1:-1]
            for k in range(stride)
        ]
        errors.append(np.sqrt(np.mean(np.concatenate(off) ** 2)))
    return np.array(errors)


def draw():
    t = np.linspace(0, 6, 1000)
    sigma = 0.01
    position = np.sin(t) + sigma * np.random.default_rng(0).normal(size=t.size)
    strides = np.unique(np.geomspace(1, 250, 25).astype(int))
    h = strides * t[1]
    best = gpugrad.recommended_spacing(position, t[1])
    figure = Figure((7, 3.8), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.loglog(h, measure(position, t, strides), "o", color=BLUE, label="measured error")
    axes.loglog(h, sigma / (np.sqrt(2) * h), "--", color="0.4", label="noise: σ / (√2 h)")
    axes.loglog(h, h**2 / 6 * np.sqrt(0.5), ":", color="0.4", linewidth=2,
                label="truncation: h² f''' / 6")  # fmt: skip
    axes.axvline(best.spacing, color=RED, linewidth=1.5, label="recommended_spacing")
    axes.set(xlabel="spacing h (s)", ylabel="error of the velocity (m/s)", ylim=(2e-3, 3))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", fontsize=9.5)
    return figure
