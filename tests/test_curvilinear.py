"""Curved grids: fields whose gradient in space is known, whatever the grid."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits

ROUND = {1: "periodic"}


def wavy(*shape):
    """Return coordinates of a smooth, skewed grid without folds."""
    axes = [np.linspace(0, 1, n) for n in shape]
    p = np.stack(np.meshgrid(*axes, indexing="ij"))
    q = np.roll(p, 1, axis=0)
    return tuple(p + 0.2 * q + 0.05 * np.sin(2 * p + 3 * q) + 0.04 * np.cos(3 * q))


def polar(n_radius, n_angle, inner=1.0, outer=2.0):
    r = np.linspace(inner, outer, n_radius)[:, None]
    angle = np.arange(n_angle) * (2 * np.pi / n_angle)
    return r * np.cos(angle), r * np.sin(angle)


def observe_order(sizes, errors):
    return -np.polyfit(np.log(sizes), np.log(errors), 1)[0]


@pytest.mark.sampled
@pytest.mark.parametrize("shape", [(7,), (8, 9), (9, 8, 10)])
@pytest.mark.parametrize("keywords", [{}, {"edge_order": 2}, {"accuracy": 4}, {"accuracy": 6}])
def test_linear_fields_have_their_exact_gradient_on_any_grid(xp, rng, shape, keywords):
    jitter = [x + 0.001 * rng.normal(size=x.shape) for x in wavy(*shape)]
    slopes = rng.normal(size=len(shape))
    f = 3.0 + sum(s * x for s, x in zip(slopes, jitter, strict=True))
    got = gpugrad.gradient(xp.asarray(f), curvilinear=tuple(jitter), stack=True, **keywords)
    assert type(got) is type(xp.asarray(f))
    got = gpugrad.asnumpy(got).reshape(len(shape), -1)
    np.testing.assert_allclose(got, np.broadcast_to(slopes[:, None], got.shape), atol=2e-9)


@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_operators_have_the_order_they_say(dimensions, accuracy):
    sizes = {2: (24, 36, 54, 81), 3: (20, 26, 34, 44)}[dimensions]
    errors = []
    for n in sizes:
        x, y, *z = wavy(*[n + i for i in range(dimensions)])
        grid = {"curvilinear": (x, y, *z), "accuracy": accuracy, "edge_accuracy": accuracy}
        f = np.sin(x) * np.cos(y)
        exact = [np.cos(x) * np.cos(y), -np.sin(x) * np.sin(y), *(0 * w for w in z)]
        v = (f, x * y, *z)
        divergence = exact[0] + x + (1 if z else 0)
        curl = gpugrad.curl(v, **grid)
        across = curl[-1] if z else curl
        pairs = [
            *zip(gpugrad.gradient(f, **grid), exact, strict=True),
            (gpugrad.divergence(v, **grid), divergence),
            (across, y - exact[1]),
        ]
        errors.append(max(np.abs(a - b).max() for a, b in pairs))
    assert observe_order(sizes, errors) > accuracy - 0.35


@pytest.mark.parametrize("accuracy", [2, 4])
def test_a_dipole_on_a_polar_grid(accuracy):
    sizes, errors = (24, 36, 54, 81), []
    for n in sizes:
        x, y = polar(n, 4 * n)
        r2 = x**2 + y**2
        potential = x / r2
        field = (1 / r2 - 2 * x**2 / r2**2, -2 * x * y / r2**2)
        grid = {"curvilinear": (x, y), "boundary": ROUND, "accuracy": accuracy}
        got = gpugrad.gradient(potential, edge_accuracy=accuracy, **grid)
        errors.append(max(np.abs(g - e).max() for g, e in zip(got, field, strict=True)))
        inside = np.s_[accuracy:-accuracy]
        sources = gpugrad.divergence(field, edge_accuracy=accuracy, **grid)[inside]
        turns = gpugrad.curl(field, edge_accuracy=accuracy, **grid)[inside]
        assert max(np.abs(sources).max(), np.abs(turns).max()) < 40 * n**-accuracy * 3**accuracy
    assert observe_order(sizes, errors) > accuracy - 0.3


def test_straight_grids_are_a_special_case(rng):
    f, x, y = rng.normal(size=(5, 6)), np.linspace(0, 2, 5), np.linspace(3, 1, 6)
    grids = np.meshgrid(x, y, indexing="ij")
    for got, expected in zip(
        gpugrad.gradient(f, curvilinear=tuple(grids)), np.gradient(f, x, y), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    swapped = gpugrad.gradient(f, curvilinear=tuple(grids[::-1]))
    np.testing.assert_allclose(swapped[0], np.gradient(f, x, y)[1], rtol=1e-10)


def test_coordinates_that_grow_once_round_need_their_period():
    n = 40
    s = np.arange(n) / n
    x = 5 * (s + 0.05 * np.sin(2 * np.pi * s)) + np.zeros((8, 1))
    y = np.linspace(0, 1, 8)[:, None] * (2 + np.cos(2 * np.pi * s))  # under hills
    f, options = 3 * y + np.sin(2 * np.pi * x / 5), {"boundary": ROUND, "accuracy": 6}
    dx, dy = gpugrad.gradient(f, curvilinear=(x, y), period={1: (5.0, 0.0)}, **options)
    np.testing.assert_allclose(dy, 3, atol=1e-4)
    np.testing.assert_allclose(dx, 2 * np.pi / 5 * np.cos(2 * np.pi * x / 5), atol=1e-4)
    with (
        pytest.warns(UserWarning, match="jumps where axis 1 closes"),
        pytest.warns(UserWarning, match="folds over"),
    ):
        gpugrad.gradient(f, curvilinear=(x, y), **options)


def test_other_boundaries_are_said_of_the_field_alone():
    s = np.linspace(0, 1, 41)
    x = (s + 0.2 * s**2)[:, None] + np.zeros(30)
    y = np.linspace(0, 1, 30) + 0.1 * x
    for boundary in ("reflect", "odd-reflect", "edge", 1.0):
        got = gpugrad.gradient(x + y, curvilinear=(x, y), accuracy=4, boundary=boundary)
        inside = [g[3:-3, 3:-3] for g in got]
        np.testing.assert_allclose(inside, np.ones_like(inside), atol=1e-5)
    with pytest.raises(ValueError, match="must not be a given slope on a curved grid"):
        gpugrad.gradient(x, curvilinear=(x, y), boundary={"normal": 0.0})


def test_other_axes_are_batches(rng):
    x, y = wavy(7, 8)
    f = rng.normal(size=(3, 7, 8))
    expected = np.stack([gpugrad.gradient(one, curvilinear=(x, y), stack=True) for one in f], 1)
    got = gpugrad.gradient(f, curvilinear=(x, y), axis=(1, 2), stack=True)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    channels_last = np.moveaxis(f, 0, 2)
    got = gpugrad.gradient(channels_last, curvilinear=(x, y), axis=(0, 1), stack=True)
    np.testing.assert_allclose(got, np.moveaxis(expected, 1, 3), atol=1e-12)
    whole = [np.broadcast_to(c, f.shape) for c in (x, y)]
    got = gpugrad.gradient(f, curvilinear=tuple(whole), axis=(1, 2), stack=True)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "i4", "c8", "f2"])
def test_results_have_the_dtype_of_the_field(xp, rng, dtype):
    xp.skip_unless_it_has(dtype)
    f = (5 * rng.normal(size=(6, 7))).astype(dtype)
    got = gpugrad.gradient(xp.asarray(f), curvilinear=wavy(6, 7))
    expected = gpugrad.gradient(f.astype("c16" if dtype == "c8" else "f8"), curvilinear=wavy(6, 7))
    wanted = np.dtype("f8") if dtype == "i4" else np.dtype(dtype)
    for one, other in zip(got, expected, strict=True):
        assert gpugrad.asnumpy(one).dtype == wanted
        tolerance = {"f2": 2e-2, "i4": 1e-10}.get(dtype, 1e-4)
        np.testing.assert_allclose(gpugrad.asnumpy(one), other, rtol=tolerance, atol=tolerance)


def test_coordinates_may_be_of_the_fields_library(xp, rng):
    f, grid = rng.normal(size=(5, 6)), wavy(5, 6)
    expected = gpugrad.gradient(f, curvilinear=grid, stack=True)
    got = gpugrad.gradient(
        xp.asarray(f), curvilinear=tuple(xp.asarray(x) for x in grid), stack=True
    )
    np.testing.assert_allclose(gpugrad.asnumpy(got), expected, atol=1e-12)


def test_jacobian_divergence_and_curl_agree(rng):
    grid = {"curvilinear": wavy(6, 7, 8)}
    v = rng.normal(size=(3, 6, 7, 8))
    matrix = gpugrad.jacobian(v, stack=True, **grid)
    rows = gpugrad.jacobian(v, **grid)
    assert_same_bits(np.array(rows), matrix)
    assert_same_bits(gpugrad.divergence(v, **grid), matrix[0, 0] + matrix[1, 1] + matrix[2, 2])
    expected = np.stack(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    assert_same_bits(gpugrad.curl(v, stack=True, **grid), expected)


def test_results_may_be_written_to_out(rng):
    f, grid = rng.normal(size=(5, 6)), wavy(5, 6)
    expected = gpugrad.gradient(f, curvilinear=grid)
    out = f, np.empty_like(f)  # over the field itself
    assert gpugrad.gradient(f, curvilinear=grid, out=out)[0] is f
    assert_same_bits(np.stack(out), np.stack(expected))
    total = np.empty((5, 6))
    assert gpugrad.divergence(expected, curvilinear=grid, out=total) is total


def test_the_sample_without_a_cell_is_named():
    x, y = polar(5, 8, inner=0.0)
    message = r"index \(0, 0\) \(coordinate 0 = 0, coordinate 1 = 0\), and at 8 samples in all"
    with pytest.raises(ValueError, match=message):
        gpugrad.gradient(x, curvilinear=(x, y), boundary=ROUND)
    with pytest.raises(ValueError, match="lie on one line"):
        gpugrad.gradient(x, curvilinear=(x, 2 * x), boundary=ROUND)
    y[3, 2] = np.nan
    with pytest.raises(ValueError, match="a coordinate is no number"):
        gpugrad.gradient(x[1:], curvilinear=(x[1:], y[1:]), boundary=ROUND)


def test_folds_warn():
    x, y = np.meshgrid([0.0, 1, 2, 1.5, 0.7, 0.1], np.arange(4.0), indexing="ij")
    with pytest.warns(UserWarning, match="folds over"):
        gpugrad.gradient(x, curvilinear=(x, y))


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"curvilinear": wavy(5, 6)[0]}, TypeError, "tuple of 2 arrays.* got ndarray"),
        ({"curvilinear": wavy(5, 6)[:1]}, TypeError, "tuple of 2 arrays.* got 1"),
        ({"curvilinear": (np.arange(5.0), np.arange(6.0))}, ValueError, r"shape \(5,\)"),
        ({"curvilinear": wavy(6, 5)}, ValueError, r"of every sample, as `numpy.meshgrid`"),
        ({"curvilinear": (1j * wavy(5, 6)[0],) * 2}, TypeError, "real numbers; got dtype complex"),
        ({"curvilinear": wavy(5, 6), "time_unit": "s"}, TypeError, "must stand alone"),
        ({"curvilinear": wavy(5, 6), "skipna": True}, TypeError, "must stand without `where`"),
        ({"curvilinear": wavy(5, 6), "period": {0: 1.0}}, ValueError, "how much each of the 2"),
        (
            {"curvilinear": wavy(5, 6), "period": {5: (1.0, 1.0)}, "boundary": "periodic"},
            ValueError,
            "axes to differentiate along, 0, 1; got 5",
        ),
    ],
)
def test_arguments_that_make_no_sense_are_refused(keywords, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(np.zeros((5, 6)), **keywords)


def test_spacings_are_refused_beside_a_curved_grid():
    for operator in (gpugrad.gradient, gpugrad.divergence, gpugrad.curl, gpugrad.jacobian):
        v = np.zeros((5, 6)) if operator is gpugrad.gradient else np.zeros((2, 5, 6))
        with pytest.raises(TypeError, match="must stand alone"):
            operator(v, 1.0, curvilinear=wavy(5, 6))
