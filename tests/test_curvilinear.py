"""Curved grids: fields whose gradient in space is known, whatever the grid."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import slabs

ROUND = {"boundary": {1: "periodic"}}


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


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("shape", [(8,), (8, 9), (9, 8, 10)])
@pytest.mark.parametrize("keywords", [{}, {"edge_accuracy": 2}, {"accuracy": 4}, {"accuracy": 6}])
def test_linear_fields_have_their_exact_gradient_on_any_grid(xp, rng, shape, keywords):
    jitter = [x + 0.001 * rng.normal(size=x.shape) for x in wavy(*shape)]
    slopes = rng.normal(size=len(shape))
    f = 3.0 + sum(s * x for s, x in zip(slopes, jitter, strict=True))
    grid = gpugrad.CurvilinearGrid(*jitter, **keywords)
    got = grid.gradient(xp.asarray(f), stack=True)
    assert type(got) is type(xp.asarray(f))
    got = gpugrad.asnumpy(got).reshape(len(shape), -1)
    np.testing.assert_allclose(got, np.broadcast_to(slopes[:, None], got.shape), atol=2e-9)
    norm = gpugrad.asnumpy(grid.gradient_norm(xp.asarray(f)))
    np.testing.assert_allclose(norm, np.sqrt((slopes**2).sum()), atol=2e-9)
    laplacian = gpugrad.asnumpy(grid.laplacian(xp.asarray(f)))
    assert np.abs(laplacian).max() < 1e-7 * max(shape) ** 2 / 100


@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_operators_have_the_order_they_say(dimensions, accuracy):
    sizes = {2: (24, 36, 54, 81), 3: (20, 26, 34, 44)}[dimensions]
    errors = []
    for n in sizes:
        x, y, *z = wavy(*[n + i for i in range(dimensions)])
        grid = gpugrad.CurvilinearGrid(x, y, *z, accuracy=accuracy, edge_accuracy=accuracy)
        f = np.sin(x) * np.cos(y)
        exact = [np.cos(x) * np.cos(y), -np.sin(x) * np.sin(y), *(0 * w for w in z)]
        v = (f, x * y, *z)
        divergence = exact[0] + x + (1 if z else 0)
        curl = grid.curl(v)
        across = curl[-1] if z else curl
        pairs = [
            *zip(grid.gradient(f), exact, strict=True),
            (grid.divergence(v), divergence),
            (across, y - exact[1]),
            (grid.laplacian(f), -2 * f),
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
        grid = gpugrad.CurvilinearGrid(x, y, accuracy=accuracy, edge_accuracy=accuracy, **ROUND)
        got = grid.gradient(potential)
        errors.append(max(np.abs(g - e).max() for g, e in zip(got, field, strict=True)))
        inside = np.s_[accuracy:-accuracy]
        sources = grid.divergence(field)[inside]
        turns = grid.curl(field)[inside]
        assert max(np.abs(sources).max(), np.abs(turns).max()) < 40 * n**-accuracy * 3**accuracy
    assert observe_order(sizes, errors) > accuracy - 0.3


def test_straight_grids_are_a_special_case(rng):
    f, x, y = rng.normal(size=(5, 6)), np.linspace(0, 2, 5), np.linspace(3, 1, 6)
    grids = np.meshgrid(x, y, indexing="ij")
    for got, expected in zip(
        gpugrad.CurvilinearGrid(*grids).gradient(f), np.gradient(f, x, y), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    swapped = gpugrad.CurvilinearGrid(*grids[::-1]).gradient(f)
    np.testing.assert_allclose(swapped[0], np.gradient(f, x, y)[1], rtol=1e-10)


def test_coordinates_that_grow_once_round_need_their_period():
    n = 40
    s = np.arange(n) / n
    x = 5 * (s + 0.05 * np.sin(2 * np.pi * s)) + np.zeros((8, 1))
    y = np.linspace(0, 1, 8)[:, None] * (2 + np.cos(2 * np.pi * s))  # under hills
    f, options = 3 * y + np.sin(2 * np.pi * x / 5), {"accuracy": 6, **ROUND}
    grid = gpugrad.CurvilinearGrid(x, y, period={1: (5.0, 0.0)}, **options)
    dx, dy = grid.gradient(f)
    laplacian = -((2 * np.pi / 5) ** 2) * np.sin(2 * np.pi * x / 5)
    np.testing.assert_allclose(grid.laplacian(f), laplacian, atol=1e-3)
    np.testing.assert_allclose(dy, 3, atol=1e-4)
    np.testing.assert_allclose(dx, 2 * np.pi / 5 * np.cos(2 * np.pi * x / 5), atol=1e-4)
    with (
        pytest.warns(UserWarning, match="jumps where axis 1 closes"),
        pytest.warns(UserWarning, match="folds over"),
    ):
        gpugrad.CurvilinearGrid(x, y, **options)


def test_other_boundaries_are_said_of_the_field_alone():
    s = np.linspace(0, 1, 41)
    x = (s + 0.2 * s**2)[:, None] + np.zeros(30)
    y = np.linspace(0, 1, 30) + 0.1 * x
    for boundary in ("reflect", "odd-reflect", "edge", 1.0):
        grid = gpugrad.CurvilinearGrid(x, y, accuracy=4, boundary=boundary)
        got = grid.gradient(x + y)
        inside = [g[3:-3, 3:-3] for g in got]
        np.testing.assert_allclose(inside, np.ones_like(inside), atol=1e-5)
    with pytest.raises(ValueError, match="must not be a given slope on a curved grid"):
        gpugrad.CurvilinearGrid(x, y, boundary={"normal": 0.0})


def test_other_axes_are_batches(rng):
    x, y = wavy(7, 8)
    f = rng.normal(size=(3, 7, 8))
    grid = gpugrad.CurvilinearGrid(x, y)
    expected = np.stack([grid.gradient(one, stack=True) for one in f], 1)
    got = grid.gradient(f, stack=True)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    got = gpugrad.CurvilinearGrid(x, y, axis=(1, 2)).gradient(f, stack=True)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    channels_last = np.moveaxis(f, 0, 2)
    got = gpugrad.CurvilinearGrid(x, y, axis=(0, 1)).gradient(channels_last, stack=True)
    np.testing.assert_allclose(got, np.moveaxis(expected, 1, 3), atol=1e-12)
    whole = [np.broadcast_to(c, f.shape) for c in (x, y)]
    got = gpugrad.CurvilinearGrid(*whole, axis=(1, 2)).gradient(f, stack=True)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "i4", "c8", "f2"])
def test_results_have_the_dtype_of_the_field(xp, rng, dtype):
    xp.skip_unless_it_has(dtype)
    f = (5 * rng.normal(size=(6, 7))).astype(dtype)
    grid = gpugrad.CurvilinearGrid(*wavy(6, 7))
    wide = f.astype("c16" if dtype == "c8" else "f8")
    got = [*grid.gradient(xp.asarray(f)), grid.laplacian(xp.asarray(f))]
    expected = [*grid.gradient(wide), grid.laplacian(wide)]
    wanted = np.dtype("f8") if dtype == "i4" else np.dtype(dtype)
    for one, other in zip(got, expected, strict=True):
        assert gpugrad.asnumpy(one).dtype == wanted
        tolerance = {"f2": 2e-2, "i4": 1e-10}.get(dtype, 1e-4)
        np.testing.assert_allclose(gpugrad.asnumpy(one), other, rtol=tolerance, atol=tolerance)


def test_coordinates_may_be_of_the_fields_library(xp, rng):
    f, grid = rng.normal(size=(5, 6)), wavy(5, 6)
    expected = gpugrad.CurvilinearGrid(*grid).gradient(f, stack=True)
    got = gpugrad.CurvilinearGrid(*map(xp.asarray, grid)).gradient(xp.asarray(f), stack=True)
    np.testing.assert_allclose(gpugrad.asnumpy(got), expected, atol=1e-12)


def test_jacobian_divergence_and_curl_agree(rng):
    grid = gpugrad.CurvilinearGrid(*wavy(6, 7, 8))
    v = rng.normal(size=(3, 6, 7, 8))
    matrix = grid.jacobian(v, stack=True)
    rows = grid.jacobian(v)
    assert_same_bits(np.array(rows), matrix)
    assert_same_bits(grid.divergence(v), matrix[0, 0] + matrix[1, 1] + matrix[2, 2])
    expected = np.stack(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    assert_same_bits(grid.curl(v, stack=True), expected)


def test_results_may_be_written_to_out(rng):
    f, grid = rng.normal(size=(5, 6)), gpugrad.CurvilinearGrid(*wavy(5, 6))
    expected = grid.gradient(f)
    out = f, np.empty_like(f)  # over the field itself
    assert grid.gradient(f, out=out)[0] is f
    assert_same_bits(np.stack(out), np.stack(expected))
    total = np.empty((5, 6))
    assert grid.divergence(expected, out=total) is total


def test_the_sample_without_a_cell_is_named():
    x, y = polar(5, 8, inner=0.0)
    message = r"index \(0, 0\) \(coordinate 0 = 0, coordinate 1 = 0\), and at 8 samples in all"
    with pytest.raises(ValueError, match=message):
        gpugrad.CurvilinearGrid(x, y, **ROUND)
    with pytest.raises(ValueError, match="lie on one line"):
        gpugrad.CurvilinearGrid(x, 2 * x, **ROUND)
    y[3, 2] = np.nan
    with pytest.raises(ValueError, match="a coordinate is no number"):
        gpugrad.CurvilinearGrid(x[1:], y[1:], **ROUND)


def test_a_column_that_is_there_twice_warns():
    x, y = (np.concatenate([w, w[:, :1]], axis=1) for w in polar(6, 12))
    with pytest.warns(
        UserWarning, match="axis 1 of the grid is periodic, but its last samples rep"
    ):
        gpugrad.CurvilinearGrid(x, y, **ROUND)


def test_folds_warn():
    x, y = np.meshgrid([0.0, 1, 2, 1.5, 0.7, 0.1], np.arange(4.0), indexing="ij")
    with pytest.warns(UserWarning, match="folds over"):
        gpugrad.CurvilinearGrid(x, y)


@pytest.mark.parametrize(
    ("coordinates", "keywords", "error", "message"),
    [
        ((), {}, TypeError, "has 1, 2 or 3 coordinates; got 0"),
        (wavy(5, 6) * 2, {}, TypeError, "has 1, 2 or 3 coordinates; got 4"),
        (
            (np.arange(5.0), np.arange(6.0)),
            {},
            ValueError,
            r"shapes \(5,\), \(6,\)\. Pass the coord",
        ),
        ((wavy(5, 6)[0], np.ones((5, 7))), {}, ValueError, r"got \(5, 6\) and \(5, 7\)"),
        ((wavy(5, 6)[0], np.ones(6)), {}, ValueError, r"must have 2 axes.* got shape \(6,\)"),
        (wavy(5, 6, 7)[:2], {}, ValueError, "`axis` must name the 2 axes of the grid"),
        ((1j * wavy(5, 6)[0],) * 2, {}, TypeError, "real numbers; got dtype complex"),
        ((["a", "b"],), {}, TypeError, "coordinate 0 must hold real numbers"),
        (([[1.0], [1.0, 2.0]],), {}, ValueError, "coordinate 0 must be a regular array"),
        (wavy(5, 6), {"period": {1: 1.0}}, ValueError, "must go with periodic axes"),
        (wavy(5, 6), {"period": (1.0, 0.0)}, ValueError, "must go with periodic axes"),
        (wavy(5, 6), {"period": {1: 3.0}, **ROUND}, ValueError, "how much each of the 2"),
        (wavy(5, 6), {"boundary": {2: "periodic"}}, ValueError, "`boundary` must name axes of the"),
        (wavy(5, 6), {"boundary": "nowhere"}, ValueError, "`boundary` must be one of"),
        (wavy(5, 6), {"axis": (0, 1, 2)}, ValueError, "`axis` must name 2 axes"),
        (wavy(5, 6), {"accuracy": 3}, ValueError, "`accuracy` must be an even number"),
    ],
)
def test_grids_that_make_no_sense_are_refused(coordinates, keywords, error, message):
    with pytest.raises(error, match=message):
        gpugrad.CurvilinearGrid(*coordinates, **keywords)


def test_fields_must_have_the_shape_of_the_grid():
    x, y = wavy(5, 6)
    with pytest.raises(
        ValueError, match=r"shape of the grid, \(5, 6\), on its last axes; got shape"
    ):
        gpugrad.CurvilinearGrid(x, y).gradient(np.zeros((6, 5)))
    with pytest.raises(ValueError, match=r"on axes \(0, 1\); got shape \(2, 5, 6\)"):
        gpugrad.CurvilinearGrid(x, y, axis=(0, 1)).laplacian(np.zeros((2, 5, 6)))
    with pytest.raises(ValueError, match="one component for each axis; got 3 components"):
        gpugrad.CurvilinearGrid(x, y).divergence(np.zeros((3, 5, 6)))
    with pytest.raises(ValueError, match="a curl needs two or three axes"):
        gpugrad.CurvilinearGrid(np.arange(5.0) ** 2).curl(np.zeros((1, 5)))
    with pytest.raises(TypeError, match=r"`laplacian` takes no `mask`\. Pass `where`"):
        gpugrad.CurvilinearGrid(x, y).laplacian(np.zeros((5, 6)), mask=True)


def test_masks_and_units_of_coordinates_are_refused():
    x, y = wavy(5, 6)
    masked = np.ma.array(y, mask=False)
    masked[2, 1] = np.ma.masked
    with pytest.raises(ValueError, match="coordinate 1 must have no masked values; got 1 of them"):
        gpugrad.CurvilinearGrid(x, masked)

    class Quantity(np.ndarray):
        unit = "m"

    with pytest.raises(TypeError, match="coordinate 0 must be plain numbers; got Quantity"):
        gpugrad.CurvilinearGrid(x.view(Quantity), y)


# The Laplacian


def spherical(n):
    r = np.linspace(1, 2, n)[:, None, None]
    angle = np.linspace(0.5, 2.5, n)[:, None]
    turn = np.linspace(0, 3, n)
    return (
        r * np.sin(angle) * np.cos(turn),
        r * np.sin(angle) * np.sin(turn),
        r * np.cos(angle) + 0 * turn,
    )


def plane(bend):
    def make(n):
        a, b = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1.3, n + 3), indexing="ij")
        return bend(a, b)

    return make


SHAPES = {
    "polar": lambda n: polar(n, 3 * n),
    "spherical": spherical,
    "sheared": plane(lambda a, b: (a + 0.7 * b, b)),
    "rotated": plane(lambda a, b: (0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b)),
    "stretched": plane(lambda a, b: (np.expm1(a), b + 0.2 * b**3)),
    "twisted": lambda n: wavy(n, n + 1, n + 2),
}


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_laplacian_has_its_order(shape, accuracy):
    is_solid = shape in ("spherical", "twisted")
    sizes, errors = (20, 26, 34, 44) if is_solid else (20, 30, 45, 68), []
    for n in sizes:
        x, y, *z = xs = SHAPES[shape](n)
        options = ROUND if shape == "polar" else {}
        grid = gpugrad.CurvilinearGrid(*xs, accuracy=accuracy, **options)
        f = np.exp(0.6 * x) * np.sin(y)
        laplacian = (0.36 - 1) * f
        if z:
            f, laplacian = f + z[0] ** 3, laplacian + 6 * z[0]
        errors.append(np.abs(grid.laplacian(f) - laplacian).max())
        for linear in (*xs, 2 * x - 5 * y + 1):
            assert np.abs(grid.laplacian(linear)).max() < 1e-8
    assert observe_order(sizes, errors) > accuracy - 0.5


def test_the_laplacian_sees_a_field_that_alternates():
    x, y = wavy(30, 31)
    alternating = (-1.0) ** np.arange(30)[:, None] * np.ones(31)
    assert np.abs(gpugrad.CurvilinearGrid(x, y).laplacian(alternating)[3:-3, 3:-3]).min() > 100


# Masks


METHODS = {
    "gradient": lambda grid, v, **options: grid.gradient(v[0], **options),
    "gradient_norm": lambda grid, v, **options: grid.gradient_norm(v[0], **options),
    "laplacian": lambda grid, v, **options: grid.laplacian(v[0], **options),
    "divergence": lambda grid, v, **options: grid.divergence(v, **options),
    "curl": lambda grid, v, **options: grid.curl(v, **options),
    "jacobian": lambda grid, v, **options: grid.jacobian(v, **options),
}
STACKED = ("gradient", "jacobian")


def arrays_of(results):
    parts = results if isinstance(results, tuple) else (results,)
    return [array for part in parts for array in (part if isinstance(part, tuple) else (part,))]


@pytest.mark.parametrize("name", METHODS)
def test_masks_are_given_in_three_ways(name, rng):
    grid = gpugrad.CurvilinearGrid(*wavy(14, 15))
    v = rng.normal(size=(2, 14, 15))
    where = rng.uniform(size=(14, 15)) > 0.1
    call = METHODS[name]
    nan = np.where(where, v, np.nan)
    expected = arrays_of(call(grid, nan, skipna=True))
    assert np.isfinite(expected).mean() > 0.6
    for got in (call(grid, v, where=where), call(grid, np.where(where, v, 1e9), where=where)):
        for part, wanted in zip(arrays_of(got), expected, strict=True):
            assert_same_bits(part, wanted)
            assert np.isnan(part[~where]).all()
    masked = np.ma.array(v, mask=np.broadcast_to(~where, v.shape))
    for part, wanted in zip(arrays_of(call(grid, masked, skipna=True)), expected, strict=True):
        np.testing.assert_array_equal(np.ma.getmaskarray(part), np.isnan(wanted))
    shape = {"gradient": (2,), "jacobian": (2, 2)}.get(name, ())
    options = {"stack": True} if shape else {}
    out = np.ma.empty((*shape, 14, 15))
    assert call(grid, masked, skipna=True, out=out, **options) is out
    mask = np.ma.getmaskarray(out).reshape(-1, 14, 15)
    np.testing.assert_array_equal(mask, np.isnan(expected))
    for part in arrays_of(call(grid, masked)):  # without being asked, masks spread as in NumPy
        assert part.mask[~where].mean() > 0.5


def test_beside_a_masked_sample_the_error_is_that_of_one_side():
    sizes, errors = (20, 30, 45, 68), []
    for n in sizes:
        x, y = wavy(n, n)
        f, where = np.sin(x) * np.cos(y), np.ones((n, n), bool)
        where[n // 2, n // 3] = where[n // 4 : n // 4 + 2, -5] = False
        grid = gpugrad.CurvilinearGrid(x, y, edge_accuracy=2)
        pairs = [
            *zip(
                grid.gradient(f, where=where), (np.cos(x) * np.cos(y), -np.sin(x) * np.sin(y)),
                strict=True,
            ),
            (grid.laplacian(f, where=where), -2 * f),
        ]  # fmt: skip
        assert all(np.isfinite(got[where]).mean() > 0.95 for got, _ in pairs)
        errors.append([np.nanmax(np.abs(got - wanted)[where]) for got, wanted in pairs])
    for of_one in np.array(errors).T:
        assert observe_order(sizes, of_one) > 0.8


# What calls cost


@pytest.mark.exhaustive(name="curl")
@pytest.mark.exhaustive(name="divergence")
@pytest.mark.exhaustive(name="gradient_norm")
@pytest.mark.parametrize("name", METHODS)
def test_calls_need_memory_for_results_and_two_fields_at_most(name, rng, monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", "0")
    grid = gpugrad.CurvilinearGrid(*wavy(1000, 1100), accuracy=4)
    v = rng.normal(size=(2, 1000, 1100))
    results = {"gradient": 2, "jacobian": 4}.get(name, 1)
    METHODS[name](grid, v)  # the metric is worked out
    tracemalloc.start()
    METHODS[name](grid, v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (results + 2) * v[0].nbytes


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(60, 62), (20, 16, 18), (62, 400)])
@pytest.mark.parametrize("masked", [False, True])
def test_slabs_make_no_difference(name, shape, masked, rng, monkeypatch):
    space = shape if shape != (62, 400) else (400, 62)
    grid = gpugrad.CurvilinearGrid(*wavy(*space), accuracy=4)
    v = rng.normal(size=(len(space), *space))
    options = {"where": rng.uniform(size=space) > 0.02} if masked else {}
    expected = arrays_of(METHODS[name](grid, v, **options))
    for size in (1 << 8, 1 << 11, np.inf):
        monkeypatch.setattr(slabs, "ON_HOST", size)
        for got, wanted in zip(arrays_of(METHODS[name](grid, v, **options)), expected, strict=True):
            assert_same_bits(got, wanted)


@pytest.mark.parametrize("name", METHODS)
def test_slabs_of_a_ring_read_across_its_seam(name, rng, monkeypatch):
    angle = np.arange(64)[:, None] * (2 * np.pi / 64)
    radius = np.linspace(1.0, 2.0, 20)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    grid = gpugrad.CurvilinearGrid(x, y, boundary={0: "periodic"}, accuracy=4)
    v = rng.normal(size=(2, 64, 20))
    expected = arrays_of(METHODS[name](grid, v))
    monkeypatch.setattr(slabs, "ON_HOST", 1 << 7)
    for got, wanted in zip(arrays_of(METHODS[name](grid, v)), expected, strict=True):
        assert_same_bits(got, wanted)


def test_batches_are_slabs_too(rng, monkeypatch):
    grid = gpugrad.CurvilinearGrid(*wavy(30, 31))
    f = rng.normal(size=(40, 2, 30, 31))
    expected = [grid.gradient(f, stack=True), grid.laplacian(f)]
    monkeypatch.setattr(slabs, "ON_HOST", 1 << 12)
    for got, wanted in zip(
        [grid.gradient(f, stack=True), grid.laplacian(f)], expected, strict=True
    ):
        assert_same_bits(got, wanted)
    out = np.empty((2, *f.shape))
    assert grid.gradient(f, out=out, stack=True) is out
    assert_same_bits(out, expected[0])
    assert grid.laplacian(f, out=f) is f
    assert_same_bits(f, expected[1])


def test_coordinates_are_read_once(rng):
    x, y = wavy(8, 9)
    grid = gpugrad.CurvilinearGrid(x, y)
    v = rng.normal(size=(2, 8, 9))
    expected = [np.asarray(call(grid, v)) for call in METHODS.values()]
    grid = gpugrad.CurvilinearGrid(x, y)
    x[:], y[:] = np.nan, np.nan  # nobody looks again
    for call, wanted in zip(METHODS.values(), expected, strict=True):
        assert_same_bits(np.asarray(call(grid, v)), wanted)


def test_a_grid_says_what_it_is_and_can_be_pickled(rng):
    grid = gpugrad.CurvilinearGrid(*polar(6, 9), accuracy=4, **ROUND)
    words = "CurvilinearGrid of 2 coordinates, 6 x 9 samples"
    assert repr(grid) == f"{words} (boundary={{1: 'periodic'}}, accuracy=4)"
    assert repr(gpugrad.CurvilinearGrid("x", "y")) == (
        "CurvilinearGrid of the coordinates x, y, named by the field"
    )
    f = rng.normal(size=(6, 9))
    again = pickle.loads(pickle.dumps(grid))
    assert repr(again) == repr(grid)
    assert_same_bits(again.laplacian(f), grid.laplacian(f))


def test_half_precision_is_computed_in_single():
    x, y = (0.01 * w for w in wavy(20, 21))  # slopes per sample are fine, those per unit too large
    grid = gpugrad.CurvilinearGrid(100 * x, 100 * y)
    f = (3e4 * 100 * x).astype(np.float16)
    d_dx, d_dy = grid.gradient(f)
    assert d_dx.dtype == np.float16
    assert np.abs(d_dx - 3e4).max() < 2e3
    assert np.abs(d_dy).max() < 2e3
    grid = gpugrad.CurvilinearGrid(*(500 * w for w in wavy(20, 21)))
    f = (6e4 * (-1.0) ** np.arange(20)[:, None] * np.ones(21)).astype(np.float16)
    np.testing.assert_allclose(grid.laplacian(f), grid.laplacian(f.astype(float)), rtol=1e-3)


# Libraries


@pytest.mark.nightly
def test_jax_traces_coordinates_and_fields(rng):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    xs, v = wavy(8, 9), rng.normal(size=(2, 8, 9))
    grid = gpugrad.CurvilinearGrid(*xs)
    for call in METHODS.values():
        wanted = np.asarray(call(grid, v))
        traced = jax.jit(lambda v, call=call: call(grid, v))
        moving = jax.jit(lambda x, y, v, call=call: call(gpugrad.CurvilinearGrid(x, y), v))
        for got in (traced(v), traced(v), moving(*xs, v), call(grid, jax.numpy.asarray(v))):
            np.testing.assert_allclose(np.asarray(got), wanted, atol=1e-11 * np.abs(wanted).max())


def test_torch_differentiates_with_respect_to_coordinates(rng):
    torch = pytest.importorskip("torch")
    x, y = (torch.from_numpy(w).requires_grad_() for w in wavy(6, 7))
    f = torch.from_numpy(rng.normal(size=(6, 7)))
    gpugrad.CurvilinearGrid(x, y).gradient(f)[0].sum().backward()
    step = 1e-6 * rng.normal(size=(6, 7))

    def total(change):
        moved = gpugrad.CurvilinearGrid(x.detach().numpy() + change, y.detach().numpy())
        return moved.gradient(f.numpy())[0].sum()

    change = (total(step) - total(-step)) / 2
    np.testing.assert_allclose((x.grad.numpy() * step).sum(), change, rtol=1e-5)


def test_coordinates_of_another_library_are_refused(rng):
    strict = pytest.importorskip("array_api_strict")
    da = pytest.importorskip("dask.array")
    grid = gpugrad.CurvilinearGrid(*(da.from_array(w, chunks=4) for w in wavy(8, 9)))
    with pytest.raises(
        TypeError, match="of the field's library and device; got Dask for a field of"
    ):
        grid.gradient(strict.zeros((8, 9)))
    with pytest.raises(TypeError, match="got Dask for a field of NumPy"):
        grid.gradient(np.zeros((8, 9)))


# Labels


@pytest.fixture
def curved():
    xarray = pytest.importorskip("xarray")
    x, y = wavy(9, 10)
    x, y = ((("j", "i"), w, {"units": "m"}) for w in (x, y))
    f = np.random.default_rng(3).normal(size=(2, 9, 10))
    return xarray.DataArray(f, {"x": x, "y": y}, ("time", "j", "i"), name="T", attrs={"units": "K"})


def test_labels_of_results_are_those_of_the_coordinates(curved):
    import gpugrad.xarray

    grid = gpugrad.CurvilinearGrid("x", "y", accuracy=4)
    plain = gpugrad.CurvilinearGrid(*wavy(9, 10), accuracy=4)
    laplacian = grid.laplacian(curved)
    assert (laplacian.name, laplacian.attrs["units"]) == ("laplacian_T", "K m-2")
    assert_same_bits(laplacian.data, plain.laplacian(curved.data))
    assert grid.gradient_norm(curved).attrs["units"] == "K m-1"
    kept = grid._located[-1]
    stacked = grid.gradient(curved * 2, stack=True)
    assert grid._located[-1] is kept
    assert [*stacked.component.values] == ["x", "y"]
    on_grid = curved.gpugrad.curvilinear("x", "y", accuracy=4)
    assert on_grid.laplacian().identical(laplacian)
    assert on_grid.gradient()[1].identical(grid.gradient(curved)[1])
    assert on_grid.gradient_norm().identical(grid.gradient_norm(curved))
    assert repr(on_grid).startswith("<T on a CurvilinearGrid of the coordinates x, y")
    winds = curved.to_dataset(name="u").assign(v=curved**2)
    vector = winds.gpugrad.curvilinear("x", "y")
    pair = [winds.u, winds.v]
    grid = gpugrad.CurvilinearGrid("x", "y")
    assert vector.divergence("u", "v").identical(grid.divergence(pair))
    assert vector.curl("u", "v").identical(grid.curl(pair))
    assert vector.jacobian("u", "v")[1][0].identical(grid.jacobian(pair)[1][0])


def test_axes_of_labelled_grids_have_names(curved):
    x, y = polar(9, 10)
    ring = curved.assign_coords(x=(("j", "i"), x), y=(("j", "i"), y))
    grid = gpugrad.CurvilinearGrid("x", "y", boundary={"i": "periodic"})
    expected = gpugrad.CurvilinearGrid(x, y, **ROUND).laplacian(ring.data)
    assert_same_bits(grid.laplacian(ring).data, expected)
    turned = ring.transpose("i", "time", "j")
    np.testing.assert_allclose(
        grid.laplacian(turned).transpose(*ring.dims).data, expected, atol=1e-10
    )
    where = ring.isel(time=0, drop=True) > -1
    got = grid.laplacian(ring, where=where.T)
    wanted = gpugrad.CurvilinearGrid(x, y, **ROUND).laplacian(ring.data, where=where.data)
    assert_same_bits(got.data, wanted)
    with pytest.raises(ValueError, match=r"must name axes to differentiate along, j, i; got .time"):
        gpugrad.CurvilinearGrid("x", "y", boundary={"time": "periodic"}).gradient(ring)
    with pytest.raises(TypeError, match="takes a DataArray of xarray, which"):
        grid.gradient(ring.data)
    with pytest.raises(TypeError, match=r"pass its `\.data`"):
        grid.gradient(ring, out=(np.empty(1),) * 2)


def test_units_of_pint_are_those_of_field_and_coordinates():
    pint = pytest.importorskip("pint", reason="units are pint's")
    units = pint.UnitRegistry()
    x, y = wavy(6, 7)
    f = units.Quantity(np.random.default_rng(4).normal(size=(6, 7)), "K")
    grid = gpugrad.CurvilinearGrid(units.Quantity(x, "km"), units.Quantity(1000 * y, "m"))
    plain = gpugrad.CurvilinearGrid(x, y)
    d_dx, d_dy = grid.gradient(f)
    assert d_dx.units == d_dy.units == units.Unit("K/km")
    np.testing.assert_allclose(d_dy.magnitude, plain.gradient(f.magnitude)[1], rtol=1e-9)
    assert grid.laplacian(f).units == units.Unit("K/km**2")
    assert grid.laplacian(f.magnitude).units == units.Unit("1/km**2")
    assert plain.gradient_norm(f).units == units.Unit("K")
    assert grid.jacobian((f, 2 * f))[1][0].units == units.Unit("K/km")
    mixed = gpugrad.CurvilinearGrid(units.Quantity(x, "km"), units.Quantity(y, "s"))
    assert mixed.gradient(f)[1].units == units.Unit("K/s")
    for call in (mixed.laplacian, lambda f: mixed.gradient(f, stack=True)):
        with pytest.raises(
            ValueError, match=r"coordinates must have one unit .* kilometer and second"
        ):
            call(f)
    with pytest.raises(ValueError, match="must all have units, or none; got 1 with"):
        gpugrad.CurvilinearGrid(units.Quantity(x, "km"), y)
    with pytest.raises(TypeError, match="`out` must have units, as results have"):
        grid.laplacian(f, out=np.empty((6, 7)))


def test_an_axis_named_twice_is_refused():
    with pytest.raises(ValueError, match=r"`boundary` must name each axis of the grid once"):
        gpugrad.CurvilinearGrid(*wavy(8, 9), boundary={0: "periodic", -2: "edge"})
