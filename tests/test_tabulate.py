"""Functions on grids: the same numbers as `numpy.mgrid`, block by block, in all libraries."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import gpugrad
from internals import _tabulate


def hill(x, y):
    return x * x * y + 2 * y


X, Y = np.linspace(0.0, 1.0, 11), np.arange(1.0, 2.0, 0.125)


def test_slices_are_those_of_mgrid():
    field, (x, y) = gpugrad.tabulate(hill, slice(0, 1, 11j), slice(1, 2, 0.125))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(field, hill(*np.mgrid[0:1:11j, 1:2:0.125]))


def test_fields_live_where_coordinates_live(xp):
    field, coordinates = gpugrad.tabulate(hill, xp.asarray(X), xp.asarray(Y))
    assert type(field) is type(xp.asarray(X))
    np.testing.assert_allclose(gpugrad.asnumpy(field), hill(X[:, None], Y), rtol=1e-15)
    dx, _ = gpugrad.gradient(field, *coordinates, edge_order=2)
    np.testing.assert_allclose(gpugrad.asnumpy(dx), 2 * X[:, None] * Y, rtol=1e-12, atol=1e-12)


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled
@pytest.mark.parametrize("memory", [1, 100, 1000, 10**6])
def test_blocks_do_not_change_the_field(xp, memory):
    if xp.name == "dask":
        pytest.skip("Dask cuts its own blocks")
    axes = [xp.asarray(X), xp.asarray(Y), xp.asarray(X[:5])]
    field = gpugrad.tabulate(lambda x, y, z: hill(x, y) - z, *axes, memory=memory).field
    expected = hill(X[:, None, None], Y[:, None]) - X[:5]
    np.testing.assert_allclose(gpugrad.asnumpy(field), expected, rtol=1e-14, atol=1e-15)


def test_no_coordinate_array_is_as_large_as_the_grid():
    largest = 0

    def f(x, y, z):
        nonlocal largest
        largest = max(largest, x.size, y.size, z.size)
        return x + y + z

    gpugrad.tabulate(f, *[slice(0, 1, 60j)] * 3)
    assert largest == 60


def test_like_and_dtype_choose_library_and_precision():
    field, (x,) = gpugrad.tabulate(lambda t: t * t, slice(0, 1, 5j), dtype="float32")
    assert field.dtype == x.dtype == np.float32
    field, _ = gpugrad.tabulate(lambda t: t * t, slice(0, 1, 5j), like=np.zeros(1, "f4"))
    assert field.dtype == np.float32
    torch = pytest.importorskip("torch")
    for like in (torch.zeros(1, dtype=torch.float64), torch, "torch"):
        field, (x,) = gpugrad.tabulate(lambda t: t * t, slice(0, 1, 5j), like=like)
        assert isinstance(field, torch.Tensor)
        assert isinstance(x, torch.Tensor)
    field, _ = gpugrad.tabulate(hill, X, Y, like=torch.zeros(1, dtype=torch.float32))
    assert field.dtype == torch.float64  # the coordinates' own


def test_constants_and_functions_of_one_coordinate_are_spread():
    for f, expected in (
        (lambda x, y: 3, np.full((11, 8), 3.0)),
        (lambda x, y: x, np.broadcast_to(X[:, None], (11, 8))),
        (lambda x, y: y**2, np.broadcast_to(Y**2, (11, 8))),
        (lambda x, y: x > 0.5, np.broadcast_to(X[:, None] > 0.5, (11, 8)).astype(float)),
    ):
        np.testing.assert_array_equal(gpugrad.tabulate(f, X, Y).field, expected)


def test_functions_of_single_numbers_and_of_vectors_are_sampled():
    field = gpugrad.tabulate(lambda x, y: math.sin(x) * y, X, Y).field
    np.testing.assert_allclose(field, np.sin(X)[:, None] * Y, rtol=1e-14)
    field = gpugrad.tabulate(lambda p: p[0] ** 2 * p[1], X, Y, vector=True).field
    np.testing.assert_allclose(field, X[:, None] ** 2 * Y, rtol=1e-14)
    field = gpugrad.tabulate(lambda p: p @ p, X, Y, vector=True).field
    np.testing.assert_allclose(field, X[:, None] ** 2 + Y**2, rtol=1e-14)


def test_one_function_may_become_complex_on_the_way():
    field = gpugrad.tabulate(lambda x: np.emath.sqrt(x), slice(1, -1, 5j), memory=8).field
    np.testing.assert_allclose(field, np.emath.sqrt(np.linspace(1, -1, 5)))


def test_bars_are_shown_to_those_who_look(capsys):
    pytest.importorskip("tqdm")
    gpugrad.tabulate(hill, X, Y, memory=64)
    assert capsys.readouterr().err == ""  # no terminal
    gpugrad.tabulate(hill, X, Y, memory=64, progress=True)
    assert "tabulate" in capsys.readouterr().err


def test_bars_need_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert gpugrad.tabulate(hill, X, Y, memory=64).field.shape == (11, 8)
    with pytest.raises(ImportError, match=r'pip install "gpugrad\[progress\]"'):
        gpugrad.tabulate(hill, X, Y, memory=64, progress=True)


def test_boxes_cover_the_grid_once():
    count = np.zeros((5, 7, 3), int)
    for limit in (1, 4, 20, 1000):
        count[...] = 0
        for box in _tabulate._cut_boxes(count.shape, limit):
            count[box] += 1
            assert count[box].size <= limit
        assert (count == 1).all()


def test_errors_say_what_must_hold():
    with pytest.raises(TypeError, match="must be a function"):
        gpugrad.tabulate(X, X)
    with pytest.raises(TypeError, match="coordinates must be given"):
        gpugrad.tabulate(np.sin)
    with pytest.raises(TypeError, match="must take 1 positional"):
        gpugrad.tabulate(hill, X)
    with pytest.raises(ValueError, match="101j"):
        gpugrad.tabulate(np.sin, slice(0, 1))
    with pytest.raises(ValueError, match="lead from start to stop"):
        gpugrad.tabulate(np.sin, slice(0, 1, -0.1))
    for count in (2.5, np.inf, np.nan):
        with pytest.raises(ValueError, match="1j or more"):
            gpugrad.tabulate(np.sin, slice(0, 1, complex(0, count)))
    for ends in ((0, np.inf), (np.nan, 1)):
        with pytest.raises(ValueError, match="finite ends"):
            gpugrad.tabulate(np.sin, slice(*ends, 5j))
    with pytest.raises(ValueError, match="not the arrays of `meshgrid`"):
        gpugrad.tabulate(hill, *np.meshgrid(X, Y))
    with pytest.raises(TypeError, match="real numbers"):
        gpugrad.tabulate(np.sin, X + 1j)
    with pytest.raises(TypeError, match="must be a floating one"):
        gpugrad.tabulate(np.sin, X, dtype="int32")
    with pytest.raises(ValueError, match="`memory` must be"):
        gpugrad.tabulate(np.sin, X, memory=0)
    with pytest.raises(ValueError, match="one value for each point"):
        gpugrad.tabulate(lambda x, y: np.sum(x * y), X, Y)
    with pytest.raises(TypeError, match="`like` must be"):
        gpugrad.tabulate(np.sin, slice(0, 1, 3j), like=3.0)
    torch = pytest.importorskip("torch")
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="one library; got"):
        gpugrad.tabulate(hill, torch.ones(3), strict.ones(3))
