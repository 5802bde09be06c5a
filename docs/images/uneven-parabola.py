"""uneven-parabola.png: the parabola through three uneven samples, and the error without it."""

import numpy as np
from matplotlib.figure import Figure

import gpugrad

BLUE, RED = "#0072b2", "#d55e00"
PARTS = [3 << k for k in range(2, 11)]


def measure():
    """Return the largest interior errors of both formulas, where every third sample is missing."""
    errors = []
    for n in PARTS:
        x = np.linspace(0.0, 1.0, n + 1)
        x = x[np.arange(n + 1) % 3 != 2]
        f, exact = np.exp(x), np.exp(x)[1:-1]
        plain = (f[2:] - f[:-2]) / (x[2:] - x[:-2])
        errors.append([abs(slope - exact).max() for slope in (gpugrad.gradient(f, x)[1:-1], plain)])
    return np.transpose(errors)


def draw():
    figure = Figure((9, 3.8), layout="constrained", facecolor="white")
    curve, error = figure.subplots(1, 2)
    x = np.array([0.0, 1.0, 4.0])
    f = np.sqrt(x) * (5 - x)
    slope = gpugrad.gradient(f, x)[1]
    near = np.linspace(-0.15, 4.15, 100)
    coefficients = np.polyfit(x, f, 2)
    curve.plot(near, np.polyval(coefficients, near), color="0.7", linewidth=2,
               label="parabola through three samples")  # fmt: skip
    step = np.array([-1.0, 0.6])
    curve.plot(x[1] + step, f[1] + slope * step, color=BLUE, linewidth=2.5,
               label="its slope at the middle sample")  # fmt: skip
    curve.plot(x[[0, 2]], f[[0, 2]], "--", color=RED, linewidth=2,
               label="line through the outer samples")  # fmt: skip
    curve.plot(x, f, "o", color="black", markersize=8, zorder=3)
    for left, right, name in ((0.0, 1.0, "a"), (1.0, 4.0, "b")):
        curve.annotate("", (left, -1.1), (right, -1.1), arrowprops={"arrowstyle": "<->"})
        curve.text((left + right) / 2, -1.0, name, ha="center", va="bottom", fontsize=12)
    curve.set(xlabel="x (m)", ylabel="f (m)", xticks=x, ylim=(-1.6, 10.4))
    curve.set_title("slope at the middle one of three samples", fontsize=11)
    curve.legend(loc="upper left", fontsize=9.5)
    parabola, naive = measure()
    h = 1 / np.array(PARTS)
    error.loglog(h, naive, "s--", color=RED, label="line through the outer samples: ∝ h")
    error.loglog(h, parabola, "o-", color=BLUE, label="gpugrad.gradient(f, x): ∝ h²")
    error.set(xlabel="spacing h (in units of x)", ylabel="largest error of the slope of exp(x)")
    error.set_title("every third sample is missing", fontsize=11)
    error.grid(alpha=0.3)
    error.legend(loc="lower right", fontsize=9.5)
    return figure
