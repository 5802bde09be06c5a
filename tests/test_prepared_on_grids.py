"""Calls of grids' methods that come again have the bits, and the checks, of first calls."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import slabs

RNG = np.random.default_rng(1)
LATITUDE, LONGITUDE = np.linspace(-50, 60, 6), np.linspace(3, 90, 8) + RNG.uniform(0, 5, 8)
ROUND = np.arange(0, 360, 45.0)
POLES = np.linspace(-90, 90, 6)
X, Y = np.meshgrid(np.arange(6.0), np.arange(8.0), indexing="ij")
X, Y = X + 0.2 * np.sin(Y), Y + 0.1 * X**2
GRIDS = {
    "region": gpugrad.Sphere(LATITUDE, LONGITUDE),
    "poles": gpugrad.Sphere(POLES, ROUND, radius=2.0),
    "between poles": gpugrad.Sphere(POLES[::-1] * 5 / 6, ROUND, accuracy=4),
    "longitude first": gpugrad.Sphere(np.linspace(-80, 80, 8), LONGITUDE[:6], axis=(1, 0)),
    "poles last": gpugrad.Sphere(np.linspace(-90, 90, 8), np.arange(0, 360, 60.0), axis=(-1, -2)),
    "curved sphere": gpugrad.Sphere(10 + X + Y, 20 + Y - X, radius=1.0),
    "curved": gpugrad.CurvilinearGrid(X, Y),
    "periodic": gpugrad.CurvilinearGrid(
        (1 + X / 9) * np.cos(np.radians(ROUND)), (1 + X / 9) * np.sin(np.radians(ROUND)),
        boundary={1: "periodic"}, accuracy=4,
    ),
}  # fmt: skip
METHODS = "gradient", "gradient_norm", "laplacian", "divergence", "curl", "jacobian"
TIMES = 4
"""The first call prepares, the second makes its calls ready."""


def _draw(dtype, shape):
    f = 9 * RNG.standard_normal(shape)
    return (f + 1j * f[::-1]).astype(dtype) if dtype.startswith("c") else f.astype(dtype)


def _call(grid, name, fields, **options):
    if name in ("divergence", "curl") and isinstance(grid, gpugrad.Sphere):
        return getattr(grid, name)(u=fields[0], v=fields[1], **options)
    takes_one = name not in ("divergence", "curl", "jacobian")
    return getattr(grid, name)(fields[0] if takes_one else fields, **options)


def _list(results):
    return [x for part in as_tuple(results) for x in as_tuple(part)]


def _assert_like_slices(grid, name, fields, **options):
    wanted = _list(_call(grid, name, fields, backend="slices", **options))
    for got in [_call(grid, name, fields, **options) for _ in range(TIMES)]:
        for a, b in zip(_list(got), wanted, strict=True):
            assert_same_bits(a, b)
            assert a.strides == b.strides


CALLS = [(where, name) for where in GRIDS for name in METHODS if hasattr(GRIDS[where], name)]


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "c16", "f2", ">f8"])
@pytest.mark.parametrize("shape", [(6, 8), (3, 6, 8)])
@pytest.mark.parametrize(("where", "name"), CALLS)
def test_calls_that_come_again_have_the_bits_of_slices(where, name, dtype, shape):
    grid = pickle.loads(pickle.dumps(GRIDS[where]))
    if len(shape) > 2 and where == "longitude first":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(2):  # other numbers, the same kind
            _assert_like_slices(grid, name, [_draw(dtype, shape) for _ in range(2)])
        if name in ("gradient", "jacobian"):
            _assert_like_slices(grid, name, [_draw(dtype, shape) for _ in range(2)], stack=True)


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f8", "c8"])
@pytest.mark.parametrize("shape", [(6, 8), (5, 6, 8)])
@pytest.mark.parametrize(("where", "name"), CALLS)
def test_larger_fields_are_prepared_slab_by_slab(where, name, dtype, shape, monkeypatch):
    monkeypatch.setattr(slabs, "ON_HOST", 20)
    grid = pickle.loads(pickle.dumps(GRIDS[where]))
    if len(shape) > 2 and where == "longitude first":
        return
    fields = [_draw(dtype, shape) for _ in range(2)]
    _assert_like_slices(grid, name, fields)
    if name in ("gradient", "jacobian"):
        _assert_like_slices(grid, name, fields, stack=True)


@pytest.mark.parametrize("where", ["region", "poles", "curved"])
def test_what_a_kind_leaves_out_is_looked_at_in_each_call(where):
    grid = pickle.loads(pickle.dumps(GRIDS[where]))
    f = _draw("f8", (6, 8))
    _assert_like_slices(grid, "gradient", [f])
    _assert_like_slices(grid, "gradient", [np.asfortranarray(f)])
    _assert_like_slices(grid, "gradient", [f], where=f > -15)
    _assert_like_slices(grid, "gradient", [np.where(f > 15, np.nan, f)], skipna=True)
    out = np.empty_like(f), np.empty_like(f)
    results = grid.gradient(f, out=out)
    assert all(a is b for a, b in zip(results, out, strict=True))
    for a, b in zip(out, grid.gradient(f), strict=True):
        assert_same_bits(a, b)
    masked = grid.gradient(np.ma.array(f, mask=f > 15))
    assert isinstance(masked[0], np.ma.MaskedArray)
    with pytest.raises(ValueError, match="must have"):
        grid.gradient(f[:-1])
    with gpugrad.use_backend("slices"):
        for a, b in zip(grid.gradient(f), grid.gradient(f, backend="slices"), strict=True):
            assert_same_bits(a, b)


def test_results_of_different_calls_share_no_memory():
    f = _draw("f8", (6, 8))
    for grid in GRIDS.values():
        if grid is GRIDS["longitude first"] or grid is GRIDS["poles last"]:
            continue
        kept = f.copy()
        results = [_list(grid.gradient(f)) for _ in range(TIMES)]
        assert_same_bits(f, kept)
        arrays = [f, *(x for each in results for x in each)]
        for i, a in enumerate(arrays):
            assert not any(np.shares_memory(a, b) for b in arrays[:i])


def test_other_axes_of_a_sphere_are_another_kind():
    sphere = gpugrad.Sphere(LATITUDE, LONGITUDE[:6])
    f = _draw("f8", (6, 6))
    first = [sphere.gradient(f) for _ in range(TIMES)][-1]
    sphere.axis = 1, 0
    turned = sphere.gradient(f)
    assert not np.array_equal(first.north, turned.north)
    assert_same_bits(turned.north, sphere.gradient(f, backend="slices").north)
