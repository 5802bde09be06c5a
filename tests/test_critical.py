"""Critical points of fields."""

from __future__ import annotations

import numpy as np
import pytest
from orders import observe_order

import gpugrad


def himmelblau(x, y):
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def polish(point):
    """Return a critical point of Himmelblau's function to the last digit."""
    x, y = point
    for _ in range(30):
        u, v = x**2 + y - 11, x + y**2 - 7
        slope = [4 * x * u + 2 * v, 2 * u + 4 * y * v]
        mixed = 4 * (x + y)
        bend = [[4 * u + 8 * x**2 + 2, mixed], [mixed, 2 + 4 * v + 8 * y**2]]
        x, y = np.array([x, y]) - np.linalg.solve(bend, slope)
    return np.array([x, y])


KNOWN = {
    "minimum": [(3, 2), (-2.81, 3.13), (-3.78, -3.28), (3.58, -1.85)],
    "maximum": [(-0.27, -0.92)],
    "saddle": [(0.09, 2.88), (3.39, 0.07), (-0.13, -1.95), (-3.07, -0.08)],
}


def sample_himmelblau(n, spaced="evenly"):
    x, y = np.linspace(-5, 5, n), np.linspace(-4.5, 4.5, n + 7)
    if spaced == "unevenly":
        x, y = x + 0.15 * np.sin(2 * x), y - 0.1 * np.cos(3 * y)
    if spaced == "descending":
        y = y[::-1]
    return himmelblau(x[:, None], y[None, :]), x, y


@pytest.mark.parametrize("spaced", ["evenly", "unevenly", "descending"])
def test_himmelblaus_function_has_nine_points_found_to_second_order(spaced):
    errors = {"position": [], "value": [], "eigenvalue": []}
    for n in (60, 120, 240, 480):
        points = gpugrad.critical_points(*sample_himmelblau(n, spaced))
        assert len(points) == 9
        worst = np.zeros(3)
        for kind, places in KNOWN.items():
            there = points.position[points.kind == kind]
            assert len(there) == len(places)
            for place in map(polish, places):
                i = np.abs(points.position - place).max(axis=-1).argmin()
                assert points.kind[i] == kind
                found = points.position[i]
                (x, y), here = found, points.value[i]
                bend = [
                    [12 * x**2 + 4 * y - 42, 4 * (x + y)],
                    [4 * (x + y), 12 * y**2 + 4 * x - 26],
                ]
                worst = np.maximum(
                    worst,
                    [
                        np.abs(found - place).max(),
                        abs(here - himmelblau(*place)),
                        np.abs(points.eigenvalues[i] - np.linalg.eigvalsh(bend)).max(),
                    ],
                )
        for name, error in zip(errors, worst, strict=True):
            errors[name].append((n, error))
    assert observe_order(errors["position"]) > 1.9
    assert observe_order(errors["value"]) > 1.9
    assert observe_order(errors["eigenvalue"]) > 0.9


@pytest.mark.exhaustive(xp="jax")
def test_points_are_found_on_every_library(xp):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused; another test sees to that")
    f, x, y = sample_himmelblau(60)
    expected = gpugrad.critical_points(f, x, y)
    points = gpugrad.critical_points(xp.asarray(f), x, y)
    assert type(points.position) is type(xp.asarray(f))
    np.testing.assert_allclose(gpugrad.asnumpy(points.position), expected.position, rtol=1e-9)
    np.testing.assert_allclose(gpugrad.asnumpy(points.value), expected.value, rtol=1e-6, atol=1e-9)
    assert (points.kind == expected.kind).all()
    assert (gpugrad.asnumpy(points.index) == expected.index).all()


def test_the_index_is_the_nearest_sample():
    f, x, y = sample_himmelblau(60, "unevenly")
    points = gpugrad.critical_points(f, x, y)
    for (i, j), (a, b) in zip(points.index, points.position, strict=True):
        assert i == np.abs(x - a).argmin()
        assert j == np.abs(y - b).argmin()


@pytest.mark.parametrize("shift", [0.0, 0.1, np.pi / 24])
def test_a_periodic_field_has_points_across_the_seam(shift):
    t = np.arange(24) * (2 * np.pi / 24) + shift
    points = gpugrad.critical_points(np.sin(t)[:, None] * np.sin(t), t, t, boundary="periodic")
    kinds, counts = np.unique(points.kind, return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"maximum": 2, "minimum": 2, "saddle": 4}
    quarters = points.position / (np.pi / 2)
    np.testing.assert_allclose(quarters, np.rint(quarters), atol=0.01)
    assert (points.position >= shift - 1e-9).all()
    assert (points.position < shift + 2 * np.pi).all()
    only = gpugrad.critical_points(np.sin(t)[:, None] * np.sin(t), t, t, boundary={0: "periodic"})
    assert len(only) <= 8


def test_uneven_periodic_axes_take_a_period():
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    t = t + 0.05 * np.sin(3 * t)
    f = np.cos(t)[:, None] + np.cos(t)
    points = gpugrad.critical_points(f, t, t, boundary="periodic", period=2 * np.pi)
    assert sorted(points.kind) == ["maximum", "minimum", "saddle", "saddle"]
    there = np.rint(points.position / np.pi) * np.pi
    np.testing.assert_allclose(points.position, there, atol=0.02)
    with pytest.raises(ValueError, match="`period` of axis 0 must be greater"):
        gpugrad.critical_points(f, t, t, boundary="periodic", period=6.0)


def test_random_fields_on_a_torus_have_as_many_extrema_as_saddles():
    """Poincaré and Hopf: the signs of the Hessian's determinants add up to zero."""
    astray = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        waves = np.zeros((64, 64), complex)
        for k in np.ndindex(7, 7):
            k = np.array(k) - 3
            waves[tuple(k)] = (rng.normal() + 1j * rng.normal()) * (np.linalg.norm(k) <= 3)
        points = gpugrad.critical_points(np.fft.ifftn(waves).real, boundary="periodic")
        assert len(points) > 8
        astray += np.sign(points.eigenvalues).prod(axis=-1).sum() != 0
    assert astray <= 2  # two points nearer than the samples can be one, or none


def test_gaussian_hills_in_three_dimensions_have_tops_and_a_pass():
    axes = [np.linspace(-3, 3, 41), np.linspace(-2.5, 2.5, 37), np.linspace(-2.6, 2.4, 33)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    hills = [np.exp(-((x - a) ** 2) - y**2 - (z - 0.1) ** 2) for a in (-1.2, 1.2)]
    points = gpugrad.critical_points(sum(hills), *axes)
    assert [*points.kind] == ["maximum", "saddle", "maximum"]
    top = 1.2
    for _ in range(50):  # the other hill draws the top a little to the middle
        top = 1.2 - 2.4 / (1 + np.exp(4 * 1.2 * top))
    expected = np.array([[-top, 0, 0.1], [0, 0, 0.1], [top, 0, 0.1]])
    np.testing.assert_allclose(points.position, expected, atol=0.01)
    assert [*(points.eigenvalues < 0).sum(axis=-1)] == [3, 2, 3]


def test_a_quadratic_is_exact_up_to_the_middle_of_the_outermost_gap(rng):
    x, y = np.sort(rng.uniform(-1, 1, 9)), np.sort(rng.uniform(-1, 1, 8))
    for a, b in [(0.4 * x[0] + 0.6 * x[1], 0.2), (0.0, 0.4 * y[-1] + 0.6 * y[-2]), (x[4], y[3])]:
        f = (x[:, None] - a) ** 2 + 0.5 * (x[:, None] - a) * (y - b) - 3 * (y - b) ** 2 + 7
        points = gpugrad.critical_points(f, x, y)
        assert [*points.kind] == ["saddle"]
        np.testing.assert_allclose(points.position, [[a, b]], atol=1e-9)
        np.testing.assert_allclose(points.value, [7.0], atol=1e-9)


def test_a_level_valley_is_degenerate_and_constant_fields_have_no_points():
    x = np.arange(12.0)
    assert len(gpugrad.critical_points(np.ones((5, 5)))) == 0
    assert len(gpugrad.critical_points(np.outer((x - 5) ** 2, np.ones(12)))) == 0
    valley = gpugrad.critical_points((x[:, None] + x - 11.0) ** 2)
    assert len(valley) > 0
    assert {*valley.kind} == {"degenerate"}


def list_level_fields():
    """Yield fields with level regions, and the points that they have."""
    y, x = np.mgrid[0:9, 0:9] - 4.0
    cone = -np.hypot(y, x)
    one = [("maximum", (4, 4))]
    for top in (np.maximum(abs(y), abs(x)), np.hypot(y, x), abs(y) + abs(x)):
        yield -np.maximum(top, 1.0), one  # on a hill with level sides, or round ones
    for rows, columns in ((3, 3), (1, 3), (3, 1), (3, 5), (5, 5), (1, 1)):
        box = np.zeros((9, 9))
        box[4 - rows // 2 : 5 + rows // 2, 4 - columns // 2 : 5 + columns // 2] = 1
        yield box, one
        yield -box, [("minimum", (4, 4))]
        yield (100 * box).astype("u1"), one
        yield np.where(box > 0, 0.0, cone), one
    yield -(y**2) - np.maximum(abs(x) - 2, 0) ** 2, one  # a ridge that ends
    yield np.rint(10 * np.exp(-(y**2 + x**2) / 6)), one
    corner = np.zeros((9, 9))
    corner[2:5, 2:5] = corner[4:7, 4:7] = 1
    yield corner, one  # two tops that touch are one
    edge = np.zeros((9, 9))
    edge[:3, 3:6] = 1
    yield edge, []  # it goes on beyond the edge, or not
    yield np.clip(x, -1, 1) + 0 * y, []
    yield -(y**2) + 0 * x, []
    two = np.zeros((9, 14))
    two[3:6, 2:5] = two[3:6, 8:11] = 1
    yield two, [("maximum", (4, 3)), ("maximum", (4, 9))]
    ring = np.zeros((9, 9))
    ring[2:7, 2:7], ring[3:6, 3:6] = 1, 0
    kinds = [("maximum", (4, 2)), ("minimum", (4, 4))]
    yield ring, kinds
    solid = np.maximum(abs(np.mgrid[0:7, 0:7, 0:7] - 3.0).max(axis=0), 1)
    yield -solid, [("maximum", (3, 3, 3))]
    yield solid, [("minimum", (3, 3, 3))]


def test_a_level_top_is_one_point_in_its_middle():
    for f, expected in list_level_fields():
        points = gpugrad.critical_points(f)
        found = [(kind, tuple(i)) for kind, i in zip(points.kind, points.index, strict=True)]
        if expected and expected[0] == ("maximum", (4, 2)):  # a ring has no middle of its own
            assert [kind for kind, _ in found] == ["maximum", "minimum"]
            continue
        assert found == expected
        np.testing.assert_allclose(
            points.position, points.index.astype(float).reshape(points.position.shape)
        )
        np.testing.assert_array_equal(points.value, [f[tuple(i)] for i in points.index])


def test_level_tops_have_coordinates_lie_on_seams_and_beside_missing_samples():
    f = np.zeros((12, 9))
    f[4:7, 3:6] = 1
    x, y = np.arange(12) ** 1.5, -2.0 * np.arange(9)
    assert gpugrad.critical_points(f, x, y).position.tolist() == [[x[5], y[4]]]
    for shift in range(-6, 7):
        rolled = np.roll(f, shift, 0)
        points = gpugrad.critical_points(rolled, 0.5, boundary={0: "periodic"})
        assert points.index.tolist() == [[(5 + shift) % 12, 4]]
        np.testing.assert_allclose(points.position, [[0.5 * ((5 + shift) % 12), 2.0]], atol=1e-12)
    f[4, 4] = np.nan
    assert len(gpugrad.critical_points(f)) == 0
    masked = np.ma.masked_invalid(f)
    assert len(gpugrad.critical_points(masked)) == 0


def test_where_level_lines_cross_there_is_a_saddle():
    t = np.arange(-5, 6.0)
    points = gpugrad.critical_points(np.outer(t, t))
    assert points.kind.tolist() == ["saddle"]
    assert points.index.tolist() == [[5, 5]]


def test_near_missing_samples_nothing_is_found():
    f, x, y = sample_himmelblau(60)
    whole = gpugrad.critical_points(f, x, y)
    i, j = whole.index[0]
    f[i, j] = np.nan
    holed = gpugrad.critical_points(f, x, y)
    assert np.isfinite(holed.position).all()
    np.testing.assert_allclose(holed.position, whole.position[1:])
    masked = gpugrad.critical_points(np.ma.masked_invalid(f), x, y)
    np.testing.assert_allclose(masked.position, whole.position[1:])


def test_numbers_are_distances():
    f, x, y = sample_himmelblau(61)
    by_distance = gpugrad.critical_points(f, x[1] - x[0], y[1] - y[0])
    np.testing.assert_allclose(
        by_distance.position + np.array([x[0], y[0]]), gpugrad.critical_points(f, x, y).position
    )
    in_samples = gpugrad.critical_points(f)
    np.testing.assert_allclose(
        in_samples.position * (x[1] - x[0]), gpugrad.critical_points(f, x[1] - x[0]).position
    )


def test_points_are_ordered_by_the_nearest_sample_and_found_once(rng):
    points = gpugrad.critical_points(rng.normal(size=(25, 30)), boundary="periodic")
    assert len(points) > 100
    number = points.index @ [30, 1]
    assert (np.diff(number) >= 0).all()
    apart = points.position[:, None] - points.position[None]
    apart -= np.array([25, 30]) * np.rint(apart / [25, 30])
    near = np.abs(apart).max(axis=-1) < 1e-3
    assert near.sum() == len(points)  # each to itself alone


def test_errors_say_what_must_hold():
    with pytest.raises(ValueError, match="two or three axes"):
        gpugrad.critical_points(np.zeros(5))
    with pytest.raises(ValueError, match="at least 3 samples"):
        gpugrad.critical_points(np.zeros((5, 2)))
    with pytest.raises(ValueError, match='"one-sided" or "periodic"'):
        gpugrad.critical_points(np.zeros((5, 5)), boundary="edge")
    with pytest.raises(TypeError, match="one for each of the 2 axes"):
        gpugrad.critical_points(np.zeros((5, 5)), np.arange(5))
    with pytest.raises(TypeError, match="must be numbers"):
        gpugrad.critical_points(np.zeros((5, 5)), np.arange(5).astype("M8[D]"), 1.0)
    with pytest.raises(TypeError, match="real numbers"):
        gpugrad.critical_points(np.zeros((5, 5), complex))
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"Pass `f.compute\(\)`"):
        gpugrad.critical_points(da.zeros((5, 5)))


def test_spacings_and_boundaries_follow_the_shared_rules():
    x, y = np.linspace(-2, 2, 41), np.linspace(0, 2 * np.pi, 40, endpoint=False)
    f = x[:, None] ** 2 + np.cos(y)
    expected = gpugrad.critical_points(f, x, y, boundary={1: "periodic"})
    assert [*expected.kind] == ["saddle", "minimum"]
    for options in (
        {"spacing": (x, y), "boundary": {1: "wrap"}},
        {"spacing": {0: x, 1: y}, "boundary": {-1: "periodic"}, "period": {1: 2 * np.pi}},
    ):
        points = gpugrad.critical_points(f, **options)
        np.testing.assert_allclose(points.position, expected.position, atol=1e-12)
    even = gpugrad.critical_points(f, spacing=0.1)
    np.testing.assert_array_equal(even.position, gpugrad.critical_points(f, 0.1).position)
    with pytest.raises(TypeError, match="Pass `boundary`"):
        gpugrad.critical_points(f, mode="wrap")
