"""Draw the error of `gpugrad.derivative` over the spacing, and print the slopes: observed orders.

python -m benchmarks.observed_order docs/images/observed-order.png
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import gpugrad

SIZES = np.unique(np.geomspace(16, 4000, 40).astype(int))
ACCURACIES = (2, 4, 6, 8)


def error_at(n: int, accuracy: int, boundary: str, edge_accuracy: int | None = None) -> float:
    """Return the largest error of the first derivative on `n` samples of a wave."""
    is_periodic = boundary == "periodic"
    h = 1 / n if is_periodic else 1 / (n - 1)
    x = np.arange(n) * h
    phase = 2 * np.pi * x + 1.0
    slope = gpugrad.derivative(
        np.exp(np.sin(phase)), h,
        accuracy=accuracy, boundary=boundary, edge_accuracy=edge_accuracy,
    )  # fmt: skip
    exact = 2 * np.pi * np.cos(phase) * np.exp(np.sin(phase))
    return float(abs(slope - exact).max())


def main() -> int:
    """Draw one panel for a periodic axis, one for one-sided ends."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, constrained_layout=True)
    for panel, boundary in zip(axes, ("periodic", "one-sided"), strict=True):
        cases = [(a, None) for a in ACCURACIES]
        if boundary == "one-sided":
            cases = [(2, 1), *((a, a) for a in ACCURACIES)]
        for accuracy, edge in cases:
            errors = np.array([error_at(n, accuracy, boundary, edge) for n in SIZES])
            # The finest grids, before rounding takes over.
            stop = np.argmax(np.append(errors, 0) < 2e-10)
            counts = slice(stop - 8, stop)
            order = -np.polyfit(np.log(SIZES[counts]), np.log(errors[counts]), 1)[0]
            ends = ", ends 1 (NumPy)" if edge == 1 else ""
            panel.loglog(
                1 / SIZES, errors, ".-", ms=3, lw=1, color="gray" if edge == 1 else None,
                label=f"accuracy {accuracy}{ends}: observed {order:.2f}",
            )  # fmt: skip
            print(f"{boundary:10} accuracy {accuracy}{ends}: {order:.2f}")
        panel.set(title=boundary, xlabel="spacing h", ylim=(1e-13, 1e5))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="upper left")
    axes[0].set_ylabel("largest error of the first derivative")
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "observed-order.png", dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
