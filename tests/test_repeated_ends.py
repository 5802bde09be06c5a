"""The warning of a periodic axis whose last samples are the first ones again, one period later."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gpugrad

REPEATS = "the last sample repeats the first"


def is_warned_of(f, **options):
    """Tell whether a derivative along axis 0 warns of repeated ends; other warnings are errors."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gpugrad.derivative(f, axis=0, boundary="periodic", **options)
    caught = [warning for warning in caught if "lose their fractions" not in str(warning.message)]
    assert all(REPEATS in str(warning.message) for warning in caught)
    return bool(caught)


def make_angles(n, kind):
    """Return angles: n once round, from zero or from half a step on, or n + 1 with both ends."""
    if kind == "repeated":
        return np.linspace(0, 2 * np.pi, n + 1)
    return (np.arange(n) + (kind == "centres") / 2) * (2 * np.pi / n)


KINDS = ("right", "centres", "repeated")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "c8"])
def test_waves_are_told_apart_whatever_their_phase(kind, dtype):
    for n in (8, 9, 25, 100, 1000):
        x = make_angles(n, kind)
        x = x.astype("f4") if dtype == "f4" else x
        for waves in (1, 2, 5):
            for phase in (0.0, 0.3, np.pi / 2, 2.2, np.pi):
                if n < 8 * waves or (dtype == "f4" and n == 1000 and phase == np.pi / 2):
                    continue  # too coarse to tell
                wave = np.exp(1j * (waves * x + phase))
                f = (wave if dtype[0] == "c" else wave.imag).astype(dtype)
                assert is_warned_of(f) == (kind == "repeated"), (n, waves, phase)
                if dtype == "f8":
                    assert is_warned_of(300 + 1e-3 * f) == (kind == "repeated"), (n, waves, phase)


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_harmonics_are_told_apart(kind, rng):
    for n in (20, 64, 333):
        x = make_angles(n, kind)
        for _ in range(20):
            count = rng.integers(1, n // 8 + 1)
            size, phase = rng.standard_normal(count), rng.uniform(0, 2 * np.pi, count)
            waves = np.arange(1, count + 1)
            f = (size * np.sin(waves * x[:, None] + phase)).sum(1)
            even = (size * np.cos(waves * x[:, None])).sum(1)  # at centres its ends are equal
            assert is_warned_of(f) == is_warned_of(even) == (kind == "repeated"), (n, count)


@pytest.mark.parametrize("kind", KINDS)
def test_several_lines_are_looked_at_together(kind, rng):
    for lines in (1, 2, 7, 200):
        x = make_angles(48, kind)
        size = rng.standard_normal(lines)
        size[lines // 2] = 0 if lines > 2 else 1  # a level line says nothing
        f = 280 + size * np.cos(x[:, None]) + size**2 * np.cos(2 * x[:, None])
        for g in (f, f.astype("f4"), np.rint(1e4 * f).astype("i4"), f.T.copy().T):
            assert is_warned_of(g) == (kind == "repeated"), lines
        f[-1, 0] += 0.5  # one line that does not repeat acquits all
        assert not is_warned_of(f)


def list_others(rng):
    """Yield fields whose ends are equal, but don't repeat."""
    for n in (5, 6, 8, 20, 100, 1000):
        for dtype in ("f8", "f4", "i4", "u1", "c8"):
            for first, last, background in ((n // 3, n // 2 + 1, 0), (n // 2, n // 2 + 1, 200)):
                f = np.full(n, background, dtype)
                yield f.copy()
                f[first:last] = 3
                yield f
            for inside in (slice(1, -1), slice(2, -1), slice(None, None, 2), slice(-2, None)):
                f = np.zeros(n, dtype)
                f[inside] = 1
                yield f
        for width in (0.1, 0.3, 0.5, 1.0):
            for x in (np.linspace(-5, 5, n), (np.arange(n) + 0.5) * (10 / n) - 5):
                yield from (np.exp(-((x / width) ** 2)), np.exp(-((x / width) ** 2)).astype("f4"))
                yield np.exp(-(((x - 1) / width) ** 2))
                yield np.tanh((x + 2) / width) - np.tanh((x - 2) / width)
        yield abs(np.arange(n) - n / 2)
        for _ in range(10):
            for most in (2, 3, 5, 10, 256):
                f = rng.integers(0, most, n)
                f[-1] = f[0]
                yield from (f, f.astype("u1"), f[:, None] * [1, 2, 3])
                yield np.cumsum(rng.integers(-most, most + 1, n))
            f = rng.standard_normal((n, 2))
            yield f
            f[-1] = f[0]
            yield f


def test_equal_ends_are_not_enough(rng):
    others = [*list_others(rng)]
    assert len(others) > 1500
    assert not [f for f in others if is_warned_of(f)]


def test_a_given_period_and_masked_fields_are_believed():
    f = np.sin(np.linspace(0, 2 * np.pi, 33))
    assert is_warned_of(f)
    assert not is_warned_of(f, period=33.0)
    assert not is_warned_of(f, where=np.ones(33, bool))
    assert not is_warned_of(f, skipna=True)
    assert not is_warned_of(np.ma.array(f, mask=False))
    assert is_warned_of((1e6 * f).astype("m8[s]"))
    f[5] = np.nan
    assert is_warned_of(f)
    f[0] = f[-1] = np.nan
    assert not is_warned_of(f)


def test_every_operator_and_fields_of_several_axes_warn(rng):
    x = np.linspace(0, 2 * np.pi, 25)
    f = np.sin(x) * rng.standard_normal((6, 1))
    boundary = {1: "periodic"}
    for call in (
        lambda: gpugrad.gradient(f, boundary=boundary),
        lambda: gpugrad.laplacian(f, boundary=boundary),
        lambda: gpugrad.gradient_norm(f, boundary=boundary),
        lambda: gpugrad.hessian(f, boundary=boundary),
        lambda: gpugrad.divergence((f, f), boundary=boundary),
        lambda: gpugrad.critical_points(f, boundary=boundary),
    ):
        with pytest.warns(gpugrad.GpugradWarning, match=f"axis 1 .*{REPEATS}") as record:
            call()
        assert record[0].filename == __file__


def test_fields_without_values_are_not_read():
    jax = pytest.importorskip("jax")
    f = jax.numpy.sin(jax.numpy.linspace(0, 2 * np.pi, 33))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.jit(lambda f: gpugrad.derivative(f, boundary="periodic"))(f)
    with pytest.warns(gpugrad.GpugradWarning, match=REPEATS):
        gpugrad.derivative(f, boundary="periodic")


def test_large_fields_are_read_at_their_ends_alone():
    f = np.lib.stride_tricks.as_strided(np.zeros(1), (1 << 40,), (0,))  # too long to be read
    from internals import repeats_its_first

    assert not repeats_its_first(f, 0)
    assert not repeats_its_first(f.reshape(1 << 20, 1 << 20), 1)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_curved_grids_warn_of_samples_at_the_same_places(dtype):
    angle, radius = make_angles(60, "repeated").astype(dtype), np.linspace(1, 2, 9).astype(dtype)
    for angles, is_repeated in ((angle, True), (angle[:-1], False)):
        x, y = np.cos(angles) * radius[:, None], np.sin(angles) * radius[:, None]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gpugrad.CurvilinearGrid(x, y, boundary={1: "periodic"})
        assert ["repeat the first" in str(w.message) for w in caught] == [True] * is_repeated


def test_curved_grids_warn_of_coordinates_that_grow_by_a_period():
    lon = np.linspace(0, 360, 37)
    for x, is_repeated in ((lon, True), (lon[:-1], False)):
        grid_lon, grid_lat = np.meshgrid(x, np.linspace(-60, 60, 9))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gpugrad.CurvilinearGrid(
                grid_lon, grid_lat, boundary={1: "periodic"}, period={1: (360.0, 0.0)}
            )
            gpugrad.Sphere(grid_lat + 0.01 * np.cos(np.radians(grid_lon)), grid_lon, periodic=True)
        assert ["repeat the first" in str(w.message) for w in caught] == [True] * 2 * is_repeated


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_spheres_refuse_the_first_meridian_again(dtype):
    longitude = np.linspace(0, 2 * np.pi, 361).astype(dtype)
    latitude = np.linspace(-1, 1, 9).astype(dtype)
    with pytest.raises(ValueError, match="the first meridian again as the last"):
        gpugrad.Sphere(latitude, longitude, degrees=False)
    with pytest.raises(ValueError, match="the first meridian again as the last"):
        gpugrad.Sphere(np.degrees(latitude), np.degrees(longitude).astype(dtype))
    gpugrad.Sphere(latitude, longitude[:-1], degrees=False)
