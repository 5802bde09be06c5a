"""step-errors.png: the error of a slope over the step, by differences and by a complex step."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED, GREEN = "#0072b2", "#d55e00", "#009e73"
AT = np.linspace(0.0, 1.0, 501)
STEPS = np.geomspace(1e-11, 0.5, 44)


def rms(error):
    return np.sqrt(np.mean(error**2))


def differ(h, dtype, accuracy):
    """Return the error of the slope of the sine, from samples a step h apart."""
    reach = accuracy // 2
    samples = np.sin([AT + k * h for k in range(-reach, reach + 1)]).astype(dtype)
    slope = gpugrad.derivative(samples, h, axis=0, accuracy=accuracy)[reach]
    return max(rms(slope - np.cos(AT)), 1e-17)


def draw():
    figure = Figure((7.5, 4.4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for dtype, accuracy, style, colour in (
        (np.float32, 2, "s", RED),
        (np.float64, 2, "o", BLUE),
        (np.float64, 8, "^", GREEN),
    ):
        errors = [differ(h, dtype, accuracy) for h in STEPS]
        label = f"{np.dtype(dtype).name}, accuracy={accuracy}"
        axes.loglog(STEPS, errors, style, color=colour, markersize=5, label=label)
    complex_step = [max(rms(np.sin(AT + 1j * h).imag / h - np.cos(AT)), 1e-17) for h in STEPS]
    axes.loglog(STEPS, complex_step, "x", color="0.3", markersize=5, label="float64, complex step")
    axes.loglog(STEPS, STEPS**2 / 6 * rms(np.cos(AT)), ":", color="0.4", linewidth=2,
                label="truncation: h² f''' / 6")  # fmt: skip
    axes.loglog(STEPS, 1e-16 / STEPS / 3, "--", color="0.4", label="rounding: ∝ 1 / h")
    axes.set(xlabel="step h (rad)", ylabel="error of the slope of sin(x)", ylim=(1e-17, 1e3))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", ncols=2, fontsize=9)
    return figure
