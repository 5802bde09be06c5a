"""Divergence, curl, Laplacian, Jacobian, Hessian: their terms, arguments and bits."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import dispatch, numpy_blocks

SHAPE = (9, 12, 20)


@pytest.fixture
def v(rng):
    return rng.normal(size=(3, *SHAPE))


@pytest.fixture
def x(rng):
    return [np.cumsum(rng.uniform(0.1, 1, n)) for n in SHAPE]


def sum_up(signed):
    total = None
    for sign, part in signed:
        if total is None:
            total = part if sign == 1 else -part
        else:
            total = total + part if sign == 1 else total - part
    return total


def largest(a):
    return float(np.max(np.abs(a)))


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("backend", ["auto", "slices", "numpy", "compiled"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("samples", ["unit", "even", "uneven"])
def test_operators_are_the_sums_they_stand_for(v, x, samples, dtype, backend):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    v = (v * 9).astype(dtype)
    spacing = {"unit": (), "even": (0.3,), "uneven": tuple(x)}[samples]
    options = {"backend": backend}
    d = [[np.gradient(c, *spacing, axis=i) if len(spacing) < 2
          else np.gradient(c, spacing[i], axis=i) for i in range(3)] for c in v]  # fmt: skip
    divergence = gpugrad.divergence(v, *spacing, **options)
    assert_same_bits(divergence, sum_up((1, d[i][i]) for i in range(3)))
    curl = gpugrad.curl(tuple(v), *spacing, **options)
    for k, (i, j) in enumerate([(1, 2), (2, 0), (0, 1)]):
        assert_same_bits(curl[k], sum_up([(1, d[j][i]), (-1, d[i][j])]))
    jacobian = gpugrad.jacobian(v, *spacing, **options)
    for i in range(3):
        for j in range(3):
            assert_same_bits(jacobian[i][j], d[i][j])
    second = [
        gpugrad.derivative(v[0], h, axis=i, order=2, **options)
        for i, h in enumerate(spacing * 3 if len(spacing) == 1 else spacing or (1.0,) * 3)
    ]
    laplacian = gpugrad.laplacian(v[0], *spacing, **options)
    assert_same_bits(laplacian, sum_up((1, s) for s in second))


def test_polynomials_are_differentiated_exactly(x):
    a, b, c = np.meshgrid(*x, indexing="ij")
    f = a**2 * b - 3 * b * c + 2 * c**2
    assert largest(gpugrad.laplacian(f, *x) - (2 * b + 4)) < 1e-9
    h = gpugrad.hessian(f, *x, edge_accuracy=2, stack=True)
    exact = [[2 * b, 2 * a, 0 * a], [2 * a, 0 * a, -3 + 0 * a], [0 * a, -3 + 0 * a, 4 + 0 * a]]
    assert h.shape == (3, 3, *SHAPE)
    assert largest(h - np.array(exact)) < 1e-8
    rows = gpugrad.hessian(f, *x, edge_accuracy=2)
    assert rows[0][1] is rows[1][0]


def test_batch_axes_are_gone_through_one_by_one(rng):
    v = rng.normal(size=(2, 5, 9, 4, 8))  # components, time, space, channel, space
    whole = gpugrad.divergence(v, 0.3, 0.7, axis=(1, 3))
    turns = gpugrad.curl(v, 0.3, 0.7, axis=(1, 3))
    bumps = gpugrad.laplacian(v[0], 0.3, 0.7, axis=(1, 3))
    assert whole.shape == turns.shape == bumps.shape == (5, 9, 4, 8)
    for i in range(5):
        for j in range(4):
            one = v[:, i, :, j]
            assert_same_bits(whole[i, :, j], gpugrad.divergence(one, 0.3, 0.7))
            assert_same_bits(turns[i, :, j], gpugrad.curl(one, 0.3, 0.7))
            assert_same_bits(bumps[i, :, j], gpugrad.laplacian(one[0], 0.3, 0.7))


def test_axes_may_come_in_any_order(v):
    assert_same_bits(gpugrad.divergence(v[::-1], 0.3, 0.5, 0.7, axis=(2, 1, 0)),
                     sum_up((1, np.gradient(v[i], h, axis=i))
                            for i, h in ((2, 0.3), (1, 0.5), (0, 0.7))))  # fmt: skip


def test_results_go_where_they_are_told(v):
    out = np.empty(SHAPE)
    assert gpugrad.divergence(v, out=out) is out
    assert_same_bits(out, gpugrad.divergence(v))
    assert gpugrad.laplacian(v[0], out=out) is out
    assert_same_bits(out, gpugrad.laplacian(v[0]))
    stacked = np.empty((3, *SHAPE))
    assert gpugrad.curl(v, out=stacked, stack=True) is stacked
    for got, wanted in zip(stacked, gpugrad.curl(v), strict=True):
        assert_same_bits(got, wanted)
    expected = gpugrad.divergence(v)
    gpugrad.divergence(v, out=v[1])  # over one of its own components
    assert_same_bits(v[1], expected)
    assert gpugrad.jacobian(v, stack=True).shape == (3, 3, *SHAPE)


def flatten(results):
    if not isinstance(results, tuple):
        return [results]
    return [array for part in results for array in flatten(part)]


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["divergence", "curl", "jacobian", "laplacian", "hessian"])
def test_every_library_has_the_same_operators(xp, rng, name):
    v = rng.normal(size=(3, 6, 7, 8)).astype("f4")
    fields = [xp.asarray(component) for component in v]
    operator = getattr(gpugrad, name)
    first = name in ("laplacian", "hessian")
    got = flatten(operator(fields[0] if first else fields, 0.5))
    expected = flatten(operator(v[0] if first else v, 0.5))
    ulp = np.spacing(np.float32(64 * largest(v)))
    for a, b in zip(got, expected, strict=True):
        assert type(a) is type(fields[0])
        assert largest(gpugrad.asnumpy(a) - b) <= ulp


def test_large_fields_take_one_compiled_pass(monkeypatch, v):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    from internals import compiled_engine, offers

    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    calls = []
    original = compiled_engine.evaluate

    def spy(*args):
        calls.append(len(args[0]))
        return original(*args)

    monkeypatch.setattr(compiled_engine, "evaluate", spy)
    gpugrad.divergence(v)
    gpugrad.laplacian(v[0])
    gpugrad.curl(v)
    gpugrad.jacobian(v)
    assert calls == [1, 1, 3, 9]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: gpugrad.divergence(v[:2]), ValueError, "got 2 components for 3 axes"),
        (lambda v: gpugrad.divergence(v[:2], axis=(0, 1, 2)), ValueError, "one component for each"),
        (lambda v: gpugrad.divergence(np.ones(5)), ValueError, "components on its first axis"),
        (lambda v: gpugrad.divergence([]), ValueError, "at least one component"),
        (lambda v: gpugrad.divergence(v, axis=()), ValueError, "one component for each axis"),
        (lambda v: gpugrad.curl(v[:, :, 0, 0]), ValueError, "two or three axes; got 1"),
        (lambda v: gpugrad.curl(v, axis=(0, 1)), ValueError, "got 3 components for 2 axes"),
        (lambda v: gpugrad.curl(v[:2, 0], stack=True), ValueError, "one component"),
        (lambda v: gpugrad.curl([v[0], v[1], v[2, :, :, :5]]), ValueError, "must have one shape"),
        (lambda v: gpugrad.curl([v[0], v[1], v[2].astype("f4")]), TypeError, "must have one dtype"),
        (lambda v: gpugrad.divergence([v[0], v[1], np.ma.array(v[2])]), TypeError, "one type"),
        (lambda v: gpugrad.divergence([None] * 3), TypeError, "array"),
        (lambda v: gpugrad.laplacian(v[0], axis=()), ValueError, "at least one axis"),
        (lambda v: gpugrad.laplacian(v[0, :2]), ValueError, "at least"),
        (lambda v: gpugrad.hessian(v[0], boundary=1.0), ValueError, "given value or slope"),
        (lambda v: gpugrad.laplacian(v[0], boundary="round"), ValueError, "round"),
        (lambda v: gpugrad.divergence(v, out=np.empty(SHAPE[:2])), ValueError, "shape"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_why(v, call, error, message):
    with pytest.raises(error, match=message):
        call(v)
