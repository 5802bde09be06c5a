"""Fields that physics knows exactly: what vector calculus makes of them, and how well."""

import numpy as np
import pytest

import gpugrad

TURN = 2 * np.pi


def observed_order(error, resolutions):
    """Fit the power of the spacing with which an error vanishes."""
    errors = [error(n) for n in resolutions]
    return -np.polyfit(np.log(resolutions), np.log(errors), 1)[0]


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_a_plane_wave_goes_round_an_uneven_axis(accuracy):
    resolutions = (48, 64, 96, 128)

    def error(n):
        s = np.arange(n) * (TURN / n)
        x = s + 0.3 * np.sin(s + 0.5)
        wave = np.exp(2j * x)[:, None] * np.ones(3)
        slope = gpugrad.derivative(
            wave, x, axis=0, accuracy=accuracy, boundary="periodic", period=TURN
        )
        return float(abs(slope - 2j * wave).max())

    assert observed_order(error, resolutions) > accuracy - 0.2


def test_a_distance_grows_by_one_per_unit_of_length():
    x, y = np.meshgrid(np.linspace(1, 2, 101), np.linspace(1, 2, 101), indexing="ij")
    slope = gpugrad.gradient_norm(np.hypot(x, y), 0.01, accuracy=4)
    np.testing.assert_allclose(slope, 1.0, atol=1e-7)
