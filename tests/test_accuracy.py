"""Orders of accuracy, measured: errors of exact functions on grids refined again and again."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad


def observed_order(error_at, sizes=(40, 80, 160, 320)):
    """Fit the slope of log(error) over log(h)."""
    errors = [error_at(n) for n in sizes]
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


def even(n):
    return np.linspace(0.2, 1.7, n + 1)


def uneven(n):
    s = np.linspace(0, 1, n + 1)
    return 0.2 + 1.5 * (s + 0.12 * np.sin(2 * np.pi * s))


@pytest.mark.parametrize(
    ("grid", "edge_order", "rows", "order"),
    [
        (even, 1, slice(1, -1), 2),
        (uneven, 1, slice(1, -1), 2),
        (even, 1, [0, -1], 1),
        (uneven, 1, [0, -1], 1),
        (even, 2, [0, -1], 2),
        (uneven, 2, [0, -1], 2),
    ],
)
def test_the_order_of_accuracy(grid, edge_order, rows, order):
    def error_at(n):
        x = grid(n)
        slope = gpugrad.gradient(np.sin(x), x, edge_order=edge_order)
        return np.abs(slope - np.cos(x))[rows].max()

    assert observed_order(error_at) == pytest.approx(order, abs=0.1)


def test_the_leading_error_inside_is_h_squared_over_six_times_the_third_derivative():
    h = 1e-3
    x = np.arange(100) * h
    error = gpugrad.gradient(np.exp(x), h)[1:-1] - np.exp(x)[1:-1]
    np.testing.assert_allclose(error, h**2 / 6 * np.exp(x)[1:-1], rtol=1e-3)


@pytest.mark.parametrize("grid", [even, uneven])
def test_parabolas_are_exact_with_edge_order_two(grid):
    x = grid(30)
    slope = gpugrad.gradient(3 * x**2 - x + 5, x, edge_order=2)
    np.testing.assert_allclose(slope, 6 * x - 1, rtol=1e-12)


def test_the_classic_potential():
    x, y, z = np.mgrid[-100:101:25.0, -100:101:25.0, -100:101:25.0]
    v = 2 * x**2 + 3 * y**2 - 4 * z
    dx, dy, dz = gpugrad.gradient(v, 25, edge_order=2)
    np.testing.assert_array_equal(dx, 4 * x)
    np.testing.assert_array_equal(dy, 6 * y)
    np.testing.assert_array_equal(dz, np.full_like(z, -4))
    inside = gpugrad.gradient(v, 25)[0][1:-1]
    np.testing.assert_array_equal(inside, 4 * x[1:-1])


def test_mixed_partial_derivatives_commute(rng):
    f = rng.normal(size=(9, 8))
    one = gpugrad.gradient(gpugrad.gradient(f, 0.3, axis=0), 0.7, axis=1)
    other = gpugrad.gradient(gpugrad.gradient(f, 0.7, axis=1), 0.3, axis=0)
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
