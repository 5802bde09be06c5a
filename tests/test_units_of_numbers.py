"""Results scale with the units of coordinates and of samples: nothing is compared to a fixed size.

Units are powers of two, which leave all digits as they are.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

N = 60
S = np.linspace(0, 9, N)
UNEVEN = S + 0.03 * np.sin(3 * S)
CURVE = np.sin(S) + 0.02 * np.random.default_rng(0).normal(size=N)
HILLS = np.sin(S[:, None]) * np.cos(S[:40] + 0.3)
WINDOW = {"window_length": 9, "polyorder": 3}

# What is computed in units (x, f), and the powers of these units that each result has.
EXACT = {
    "gradient": lambda x, f: [(gpugrad.gradient(f * CURVE, x * S[1]), -1, 1)],
    "uneven": lambda x, f: [(gpugrad.gradient(f * CURVE, x * UNEVEN), -1, 1)],
    "norm": lambda x, f: [(gpugrad.gradient_norm(f * HILLS, x * S, x * S[:40]), -1, 1)],
    "laplacian": lambda x, f: [(gpugrad.laplacian(f * HILLS, x * S[1], accuracy=4), -2, 1)],
    "error": lambda x, f: [(gpugrad.error_estimate(f * CURVE, x * UNEVEN), -1, 1)],
    "error of order 2": lambda x, f: [
        (gpugrad.error_estimate(f * CURVE, x * S[1], order=2, accuracy=4), -2, 1)
    ],
    "noise": lambda x, f: [(gpugrad.noise_level(f * CURVE), 0, 1)],
    "turning points": lambda x, f: list_points(
        gpugrad.turning_points(f * CURVE, x * UNEVEN, prominence=0.1 * f),
        position=(1, 0), value=(0, 1), index=(0, 0), extent=(1, 0), prominence=(0, 1),
    ),
    "inflection points": lambda x, f: list_points(
        gpugrad.inflection_points(f * CURVE, x * UNEVEN, prominence=0.1 * f / x),
        position=(1, 0), value=(0, 1), index=(0, 0), slope=(-1, 1), prominence=(-1, 1),
    ),
    "filter": lambda x, f: [
        (gpugrad.smooth_derivative(f * CURVE, x * S, order=order, **WINDOW), -order, 1)
        for order in (1, 2, 3)
    ],
}  # fmt: skip

WITHIN_ROUNDING = {
    "spacing": lambda x, f: list_points(
        gpugrad.recommended_spacing(f * CURVE, x * S),
        spacing=(1, 0), error=(-1, 1), noise=(0, 1), magnitude=(-3, 1), stride=(0, 0),
    ),
    "critical points": lambda x, f: list_points(
        gpugrad.critical_points(f * HILLS, x * S, x * S[:40]),
        position=(1, 0), value=(0, 1), index=(0, 0), eigenvalues=(-2, 1),
    ),
    "spline": lambda x, f: [
        (gpugrad.smooth_derivative(f * CURVE, x * UNEVEN, order=order), -order, 1)
        for order in (1, 2, 3)
    ],
    "spline of a penalty": lambda x, f: [
        (gpugrad.smooth_derivative(f * CURVE, x * UNEVEN, lam=0.01 * x**3), -1, 1)
    ],
    "sphere": lambda x, f: [
        (gpugrad.Sphere(5.0 * S, np.arange(0.0, 360, 9), radius=x).laplacian(f * HILLS), -2, 1)
    ],
    "curved grid": lambda x, f: [
        (component, -1, 1)
        for component in gpugrad.CurvilinearGrid(
            x * (S[:, None] + 0.1 * S[:40]), x * (0.1 * S[:, None] + S[:40])
        ).gradient(f * HILLS)
    ],
}  # fmt: skip


def list_points(points, **powers):
    return [(getattr(points, name), *units) for name, units in powers.items()]


POWERS = [(-40, 0), (40, 0), (0, -40), (0, 40), (-40, 40), (37, -23)]


@pytest.mark.parametrize("name", [*EXACT, *WITHIN_ROUNDING])
def test_results_scale_with_units(name):
    if "filter" in name or "spline" in name or "points" in name:
        pytest.importorskip("scipy")
    call = (EXACT | WITHIN_ROUNDING)[name]
    expected = [np.asarray(result, "f8") for result, _, _ in call(1.0, 1.0)]
    for powers in POWERS:
        x, f = np.ldexp(1.0, powers)
        for (result, of_x, of_f), wanted in zip(call(x, f), expected, strict=True):
            assert wanted.size
            assert not np.isnan(wanted).all()
            scaled = np.ldexp(np.asarray(result, "f8"), -(of_x * powers[0] + of_f * powers[1]))
            if name in EXACT:
                np.testing.assert_array_equal(scaled, wanted, err_msg=f"{powers}")
                continue
            tolerance = 1e-6 if "spline" in name else 1e-9
            np.testing.assert_allclose(
                scaled, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max(),
                err_msg=f"{powers}",
            )  # fmt: skip
