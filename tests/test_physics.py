"""Fields that physics knows exactly: what vector calculus makes of them, and how well.

Orders are fitted over several resolutions; engines agree in every bit, so no kernel is compiled for
them. On every library results are those of NumPy arrays. Fields
on the sphere are in test_sphere.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_like_numpy

TURN = 2 * np.pi


def observed_order(error, resolutions):
    """Fit the power of the spacing with which an error vanishes."""
    errors = [error(n) for n in resolutions]
    return -np.polyfit(np.log(resolutions), np.log(errors), 1)[0]


def largest(*differences):
    return max(float(np.abs(d).max()) for d in differences)


def assert_alike(xp, results, expected, scale):
    """Compare results of a library with those of NumPy, in every bit if it rounds as NumPy."""
    for got, wanted in zip(as_tuple(results), as_tuple(expected), strict=True):
        assert_like_numpy(xp, got, wanted, scale)


def periodic_box(n, dimensions):
    t = np.arange(n) * (TURN / n)
    return np.meshgrid(*[t] * dimensions, indexing="ij")


def taylor_green(n):
    """Return a lattice of vortices, their vorticity, and their stream function."""
    x, y = periodic_box(n, 2)
    stream = np.cos(x) * np.cos(y)
    return (np.cos(x) * np.sin(y), -np.sin(x) * np.cos(y)), -2 * stream, stream


@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_a_taylor_green_vortex_has_its_vorticity(accuracy):
    options = {"accuracy": accuracy, "boundary": "periodic"}

    def error(n):
        flow, vorticity, stream = taylor_green(n)
        h = TURN / n
        assert largest(gpugrad.divergence(flow, h, **options)) < 1e-13 * n
        dx, dy = gpugrad.gradient(stream, h, **options)
        return largest(
            gpugrad.curl(flow, h, **options) - vorticity,
            gpugrad.laplacian(stream, h, **options) + 2 * stream,
            gpugrad.laplacian(flow[0], h, **options) + 2 * flow[0],  # so it decays as it is
            dx - flow[1],
            dy + flow[0],
        )

    resolutions = (32, 48, 72, 108) if accuracy < 8 else (24, 32, 40, 48)
    assert observed_order(error, resolutions) == pytest.approx(accuracy, abs=0.2)


def abc_flow(n, a=1.0, b=0.7, c=0.43):
    """Return a flow that is its own curl."""
    x, y, z = periodic_box(n, 3)
    return (
        a * np.sin(z) + c * np.cos(y),
        b * np.sin(x) + a * np.cos(z),
        c * np.sin(y) + b * np.cos(x),
    )


@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_the_curl_of_an_abc_flow_is_the_flow(accuracy):
    options = {"accuracy": accuracy, "boundary": "periodic", "backend": "numpy"}

    def error(n):
        flow = abc_flow(n)
        assert largest(gpugrad.divergence(flow, TURN / n, **options)) < 1e-13 * n
        curl = gpugrad.curl(flow, TURN / n, **options)
        return largest(*(a - b for a, b in zip(curl, flow, strict=True)))

    assert observed_order(error, (16, 24, 32, 48)) == pytest.approx(accuracy, abs=0.2)


def dipole(n):
    """Return places, the potential of a dipole along z, and minus its field."""
    t = np.linspace(1.0, 2.0, n)
    x, y, z = np.meshgrid(t, t, t, indexing="ij")
    r2 = x**2 + y**2 + z**2
    slopes = (-3 * x * z / r2**2.5, -3 * y * z / r2**2.5, (r2 - 3 * z**2) / r2**2.5)
    return t, z / r2**1.5, slopes


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_a_dipole_has_its_field_which_has_no_sources_and_no_whirls(accuracy):
    options = {"accuracy": accuracy, "edge_accuracy": accuracy, "backend": "numpy"}

    def errors(n):
        t, potential, slopes = dipole(n)
        spacing = (t, 1 / (n - 1), t)
        got = gpugrad.gradient(potential, *spacing, **options)
        return [
            largest(*(a - b for a, b in zip(got, slopes, strict=True))),
            largest(gpugrad.divergence(slopes, *spacing, **options)),
            largest(*gpugrad.curl(slopes, *spacing, **options)),
            largest(gpugrad.laplacian(potential, *spacing, **options)),
        ]

    resolutions = (32, 44, 60, 80)
    of_all = np.log([errors(n) for n in resolutions])
    for of_one in of_all.T:
        order = -np.polyfit(np.log(resolutions), of_one, 1)[0]
        assert order == pytest.approx(accuracy, abs=0.35)


def plane_wave(n):
    """Return uneven places on a circle, and a wave round it."""
    s = np.arange(n) * (TURN / n)
    x = s + 0.3 * np.sin(s + 0.5)
    return x, np.exp(2j * x)[:, None] * np.ones(3)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_a_plane_wave_goes_round_an_uneven_axis(accuracy, order):
    def error(n):
        x, wave = plane_wave(n)
        slope = gpugrad.derivative(
            wave, x, axis=0, order=order, accuracy=accuracy, boundary="periodic", period=TURN
        )
        return largest(slope - (2j) ** order * wave)

    resolutions = (64, 96, 128, 192) if accuracy < 8 else (64, 80, 96, 112)
    assert observed_order(error, resolutions) == pytest.approx(accuracy, abs=0.2)


def test_a_distance_grows_by_one_per_unit_of_length():
    x, y = np.meshgrid(np.linspace(1, 2, 101), np.linspace(1, 2, 101), indexing="ij")
    slope = gpugrad.gradient_norm(np.hypot(x, y), 0.01, accuracy=4)
    np.testing.assert_allclose(slope, 1.0, atol=1e-7)


@pytest.mark.nightly(xp="jax")
def test_every_library_sees_the_same_flows(xp):
    options = {"accuracy": 4, "boundary": "periodic"}
    for flow in (taylor_green(8)[0], abc_flow(6)):
        given = [xp.asarray(v) for v in flow]
        for operator in (gpugrad.curl, gpugrad.divergence):
            assert_alike(xp, operator(given, 0.7, **options), operator(flow, 0.7, **options), 8.0)
    t, potential, _ = dipole(7)
    for operator in (gpugrad.gradient, gpugrad.laplacian):
        got = operator(xp.asarray(potential), t, 0.25, t, accuracy=4)
        assert_alike(xp, got, operator(potential, t, 0.25, t, accuracy=4), 400.0)
    x, wave = plane_wave(9)
    around = {"axis": 0, "accuracy": 6, "boundary": "periodic", "period": TURN}
    expected = gpugrad.derivative(wave, x, **around)
    assert_alike(xp, gpugrad.derivative(xp.asarray(wave), x, **around), expected, 8.0)
