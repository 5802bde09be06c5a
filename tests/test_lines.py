"""Coordinates that differ from line to line: heights over terrain, columns of their own depths."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_like_numpy, assert_same_bits


def rising(rng, shape, axis, dtype=float):
    """Return coordinates that rise along an axis by other gaps on each line."""
    return np.cumsum(rng.uniform(0.5, 1.5, shape), axis=axis).astype(dtype)


def line_by_line(f, x, axis, differentiate=np.gradient, **keywords):
    """Differentiate each line along an axis with its own coordinates."""
    x = np.moveaxis(np.broadcast_to(x, f.shape), axis, -1)
    lines = np.moveaxis(f, axis, -1)
    result = None
    for i in np.ndindex(lines.shape[:-1]):
        line = differentiate(lines[i], x[i], **keywords)
        if result is None:
            result = np.empty(lines.shape, line.dtype)
        result[i] = line
    return np.moveaxis(result, -1, axis)


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("dtypes", ["dd", "fd", "df", "ff", "Dd", "id"])
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_line_is_differentiated_as_numpy_does(xp, rng, axis, edge_order, dtypes):
    f = (10 * rng.normal(size=(3, 4, 5))).astype(dtypes[0])
    xp.skip_unless_it_has(f.dtype)
    x = rising(rng, f.shape, axis, dtypes[1])
    expected = line_by_line(f, x, axis, edge_order=edge_order)
    actual = gpugrad.gradient(xp.asarray(f), x, axis=axis, edge_order=edge_order)
    scale = 4 * np.abs(f).max()
    if expected.dtype != gpugrad.asnumpy(actual).dtype:  # half of the libraries' own promotion
        pytest.fail(f"{gpugrad.asnumpy(actual).dtype} in place of {expected.dtype}")
    assert_like_numpy(xp, actual, expected, scale)


@pytest.mark.sampled
@pytest.mark.parametrize("shape", [(3000, 250), (250, 3000), (3, 60, 70, 80)])
@pytest.mark.parametrize("edge_order", [1, 2])
def test_blocks_of_large_fields_take_their_own_weights(rng, shape, edge_order):
    f = rng.normal(size=shape)
    for axis in range(f.ndim):
        x = rising(rng, shape[-3:] if axis >= f.ndim - 3 else shape, axis - f.ndim)
        keywords = {"axis": axis, "edge_order": edge_order}
        assert_same_bits(
            gpugrad.gradient(f, x, backend="numpy", **keywords),
            gpugrad.gradient(f, x, backend="slices", **keywords),
        )


@pytest.mark.sampled
@pytest.mark.parametrize(
    "boundary", ["one-sided", "periodic", "odd-reflect", "edge", 3.0, {"normal": 2.0}]
)
@pytest.mark.parametrize(
    "keywords", [{"accuracy": 4}, {"order": 2}, {"order": 3, "edge_accuracy": 1}]
)
def test_the_numpy_engine_equals_the_slices_engine_for_any_scheme(rng, boundary, keywords):
    f = rng.normal(size=(2, 12, 150, 170))
    x = rising(rng, f.shape[1:], 0)
    keywords = {**keywords, "axis": 1, "boundary": boundary}
    assert_same_bits(
        gpugrad.derivative(f, x, backend="numpy", **keywords),
        gpugrad.derivative(f, x, backend="slices", **keywords),
    )


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("boundary", ["one-sided", "periodic", "reflect", {"normal": 0.5}, 2.0])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("accuracy", [2, 4])
def test_each_line_is_differentiated_as_alone(xp, rng, order, accuracy, boundary):
    f = rng.normal(size=(3, 10, 2))
    x = rising(rng, f.shape, 1)
    keywords = {"order": order, "accuracy": accuracy, "boundary": boundary}
    expected = line_by_line(f, x, 1, gpugrad.derivative, **keywords)
    actual = gpugrad.asnumpy(gpugrad.derivative(xp.asarray(f), x, axis=1, **keywords))
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-9)


def test_coordinates_may_be_of_the_fields_library(xp, rng):
    f, x = rng.normal(size=(4, 5)), rising(rng, (4, 5), 0)
    expected = np.gradient(f[:, 2], x[:, 2])
    actual = gpugrad.gradient(xp.asarray(f), xp.asarray(x), axis=0)
    np.testing.assert_allclose(gpugrad.asnumpy(actual)[:, 2], expected, rtol=1e-12)


def test_axes_are_matched_with_the_last_ones(rng):
    f = rng.normal(size=(2, 6, 3, 4))  # time, height, latitude, longitude
    heights = rising(rng, (6, 3, 4), 0)
    expected = gpugrad.gradient(f, np.broadcast_to(heights, f.shape), axis=1)
    assert_same_bits(gpugrad.gradient(f, heights, axis=1), expected)
    depths = rising(rng, (2, 6), 1)[:, :, None, None]
    assert_same_bits(gpugrad.gradient(f, depths, axis=1), line_by_line(f, depths, 1))


def test_the_grid_of_meshgrid_is_as_good_as_its_axes(rng):
    x, y = np.array([0.0, 1.0, 3.0, 4.0]), np.linspace(0, 1, 5)
    f = rng.normal(size=(4, 5))
    grids = np.meshgrid(x, y, indexing="ij")
    for actual, expected in zip(gpugrad.gradient(f, *grids), np.gradient(f, x, y), strict=True):
        assert_same_bits(actual, expected)
    even = np.meshgrid(np.arange(4) * 0.3, np.arange(5.0), indexing="ij")
    expected = np.gradient(f, np.arange(4) * 0.3, np.arange(5.0))
    assert_same_bits(gpugrad.gradient(f, *even, backend="compiled")[0], expected[0])


def test_a_line_of_even_gaps_is_right_to_rounding(rng):
    f = rng.normal(size=(3, 8))
    x = np.stack([np.arange(8) * 0.1, np.arange(8) * 3.0, rising(rng, (8,), 0)])
    np.testing.assert_allclose(gpugrad.gradient(f, x, axis=1), line_by_line(f, x, 1), rtol=1e-13)


def test_vector_operators_take_them_too(rng):
    v = rng.normal(size=(2, 5, 6))
    x, y = rising(rng, (5, 6), 0), rising(rng, (5, 6), 1)
    (dx_u, dy_u), (dx_v, dy_v) = (gpugrad.gradient(c, x, y) for c in v)
    assert_same_bits(gpugrad.divergence(v, x, y), dx_u + dy_v)
    assert_same_bits(gpugrad.curl(v, x, y), dx_v - dy_u)
    assert_same_bits(gpugrad.jacobian(v, x, y, stack=True), np.array([[dx_u, dy_u], [dx_v, dy_v]]))


@pytest.mark.parametrize("accuracy", [2, 4])
def test_a_terrain_following_column_has_the_order_it_says(accuracy):
    errors = []
    sizes = (60, 120, 240, 480)
    for n in sizes:
        hills = 0.3 * np.sin(np.linspace(0, 6, 7))[None, :]
        sigma = np.linspace(0, 1, n)[:, None]
        height = hills + (2 - hills) * (sigma + 0.3 * sigma**2)
        slope = gpugrad.derivative(np.sin(3 * height), height, axis=0, accuracy=accuracy,
                                   edge_accuracy=accuracy)  # fmt: skip
        errors.append(np.abs(slope - 3 * np.cos(3 * height)).max())
    order = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert abs(order - accuracy) < 0.3


def test_a_period_holds_for_each_line():
    angle = np.arange(40) * (2 * np.pi / 40)
    x = angle + 0.3 * np.sin(angle[None, :] + np.arange(3)[:, None])
    slope = gpugrad.derivative(np.sin(x), x, accuracy=6, boundary="periodic", period=2 * np.pi)
    assert np.abs(slope - np.cos(x)).max() < 2e-5
    with pytest.raises(ValueError, match="`period` of axis 1 must be greater than the distance"):
        gpugrad.derivative(np.sin(x), x, boundary="periodic", period=6.0)


def test_dates_may_differ_from_line_to_line():
    days = np.array([[0, 1, 3, 4], [0, 2, 3, 7]]) + np.datetime64("2024-01-01", "D")
    f = np.array([[0.0, 2.0, 6.0, 8.0], [0.0, 6.0, 9.0, 21.0]])
    rate = gpugrad.gradient(f, days, axis=1, time_unit="D", edge_order=2)
    np.testing.assert_allclose(rate, [[2.0] * 4, [3.0] * 4])
    per_hour = gpugrad.gradient(f, days, axis=1, time_unit="h", edge_order=2)
    np.testing.assert_allclose(per_hour, rate / 24)


def test_masks_are_kept(rng):
    f, x = rng.normal(size=(6, 4)), rising(rng, (6, 4), 0)
    masked = np.ma.array(f, mask=f > 1.5)
    for edge_order in (1, 2):
        actual = gpugrad.gradient(masked, x, axis=0, edge_order=edge_order)
        plain = gpugrad.gradient(f, x, axis=0, edge_order=edge_order)
        assert actual.mask.any()
        assert_same_bits(actual.filled(0), np.where(actual.mask, 0, plain))
    short = gpugrad.gradient(masked[:3], x[:3], axis=0)  # one row inside
    plain = gpugrad.gradient(f[:3], x[:3], axis=0)
    assert_same_bits(short.filled(0), np.where(short.mask, 0, plain))


@pytest.mark.parametrize("keywords", [{"stagger": "left"}, {"stagger": "right", "accuracy": 4}])
def test_results_between_samples_are_those_of_each_line(rng, keywords):
    f, x = rng.normal(size=(3, 8)), rising(rng, (3, 8), 1)
    expected = line_by_line(f, x, 1, gpugrad.derivative, **keywords)
    got = gpugrad.derivative(f, x, **keywords)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_holes_are_gone_round_on_each_line(rng):
    f, x = rng.normal(size=(6, 7)), rising(rng, (6, 7), 0)
    where = rng.uniform(size=f.shape) > 0.2
    got = gpugrad.gradient(f, x, axis=0, where=where)
    lines = [gpugrad.gradient(f[:, j], x[:, j], where=where[:, j]) for j in range(7)]
    assert_same_bits(got, np.stack(lines, axis=1))


def test_engines_that_take_none_say_so(rng):
    f, x = rng.normal(size=(5, 6)), rising(rng, (5, 6), 0)
    with pytest.raises(gpugrad.BackendError, match="the same on all lines along an axis"):
        gpugrad.gradient(f, x, axis=0, backend="compiled")


def test_large_fields_fall_back_from_the_compiled_engine(rng, monkeypatch):
    from internals import dispatch, offers

    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 1)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    f, x = rng.normal(size=(50, 60)), rising(rng, (50, 60), 0)
    assert_same_bits(
        gpugrad.gradient(f, x, axis=0), gpugrad.gradient(f, x, axis=0, backend="slices")
    )


def test_results_may_be_written_to_out(rng):
    f, x = rng.normal(size=(5, 6)), rising(rng, (5, 6), 1)
    expected = gpugrad.gradient(f, x, axis=1)
    out = np.empty_like(f)
    assert gpugrad.derivative(f, x, axis=1, out=out) is out
    assert_same_bits(out, expected)
    assert_same_bits(gpugrad.gradient(f, x, axis=(1,), stack=True)[0], expected)


def test_fields_without_samples_have_derivatives_without():
    f = np.empty((4, 0))
    assert gpugrad.gradient(f, np.empty((4, 0)), axis=0).shape == (4, 0)


@pytest.mark.parametrize("shape", [(5, 1), (3, 6), (1, 6), (5, 6, 1), (1, 5, 6)])
def test_shapes_that_do_not_fit_are_refused(shape):
    f = np.zeros((5, 6))
    if shape == (5, 1):
        assert gpugrad.gradient(f, np.arange(5.0)[:, None], axis=0).shape == f.shape
        return
    with pytest.raises(ValueError, match=r"broadcasts to the shape of `f`, \(5, 6\), with length"):
        gpugrad.gradient(f, np.zeros(shape), axis=0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"axis 0, on the line \[:, 3\], must be finite"),
        (np.inf, r"axis 0, on the line \[:, 3\], must be finite"),
        (None, r"axis 0, on the line \[:, 3\], must have no duplicate coordinates"),
        ("back", r"axis 0, on the line \[:, 3\], must not come back"),
    ],
)
def test_the_line_that_has_no_derivative_is_named(rng, value, message):
    f, x = rng.normal(size=(5, 6)), rising(rng, (5, 6), 0)
    x[:, 3] = np.arange(5.0)
    x[2, 3] = {None: x[1, 3], "back": x[0, 3]}.get(value, value)
    with pytest.raises(ValueError, match=message):
        gpugrad.gradient(f, x, axis=0)


def test_lines_that_turn_back_warn(rng):
    f, x = rng.normal(size=(5, 6)), rising(rng, (5, 6), 0)
    x[2, 3] = x[4, 3] + 1
    with pytest.warns(UserWarning, match="is not monotonic"):
        gpugrad.gradient(f, x, axis=0)
    x[:, 4] = -x[:, 4]  # falling, where others rise
    x[2, 3] = (x[1, 3] + x[3, 3]) / 2
    assert_same_bits(gpugrad.gradient(f, x, axis=0), line_by_line(f, x, 0))


def test_gradients_flow_back_through_them(rng):
    torch = pytest.importorskip("torch")
    f, x = rng.normal(size=(4, 5)), rising(rng, (4, 5), 1)
    tensor = torch.tensor(f, requires_grad=True)
    slope = gpugrad.gradient(tensor, x, axis=1)
    slope.sum().backward()
    ones = np.ones_like(f)
    matrix = np.stack([gpugrad.gradient(np.eye(5)[k] * ones, x, axis=1).sum(1) for k in range(5)])
    np.testing.assert_allclose(tensor.grad.numpy(), matrix.T, atol=1e-12)
