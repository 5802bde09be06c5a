"""What holds of differences as it does of derivatives, up to rounding: signs, transposes, zeros."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

SHAPE = (21, 22, 23)
ORDERS, ACCURACIES = range(1, 9), range(2, 13, 2)
LINEAR = ["one-sided", "periodic", "reflect", "odd-reflect", "symmetric", "odd-symmetric", "edge"]
OPPOSITE = {None: None, "left": "right", "right": "left"}


def uneven(rng, n):
    return np.cumsum(rng.uniform(0.7, 1.3, n))


def largest(*arrays):
    return max(float(np.max(np.abs(gpugrad.asnumpy(a)))) for a in arrays)


@pytest.mark.sampled
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize("boundary", LINEAR)
@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_curls_of_gradients_and_divergences_of_curls_vanish(rng, accuracy, boundary, is_even):
    f, v = rng.normal(size=SHAPE), rng.normal(size=(3, *SHAPE))
    spacing = [0.3] if is_even else [uneven(rng, n) for n in SHAPE]
    options = {"accuracy": accuracy, "boundary": boundary}
    slope = gpugrad.gradient(f, *spacing, **options)
    scale = largest(gpugrad.jacobian(slope, *spacing, **options, stack=True))
    assert largest(*gpugrad.curl(slope, *spacing, **options)) < 1e-13 * scale
    whirl = gpugrad.curl(v, *spacing, **options)
    scale = largest(gpugrad.jacobian(whirl, *spacing, **options, stack=True))
    assert largest(gpugrad.divergence(whirl, *spacing, **options)) < 1e-13 * scale


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("boundary", ["one-sided", "periodic", "symmetric"])
@pytest.mark.parametrize("accuracy", [2, 4])
def test_on_every_library_both_vanish(xp, rng, accuracy, boundary):
    f = xp.asarray(rng.normal(size=(7, 8, 9)))
    v = [xp.asarray(rng.normal(size=(7, 8, 9))) for _ in range(3)]
    options = {"accuracy": accuracy, "boundary": boundary}
    slope = gpugrad.gradient(f, 0.5, **options)
    assert largest(*gpugrad.curl(slope, 0.5, **options)) < 1e-11
    assert largest(gpugrad.divergence(gpugrad.curl(v, 0.5, **options), 0.5, **options)) < 1e-11


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_staggered_curls_of_gradients_vanish(rng, accuracy):
    f = rng.normal(size=SHAPE)
    options = {"stagger": "left", "boundary": "periodic", "accuracy": accuracy}
    slope = gpugrad.gradient(f, 0.5, **options)
    scale = largest(gpugrad.jacobian(slope, 0.5, **options, stack=True))
    assert largest(*gpugrad.curl(slope, 0.5, **options)) < 1e-14 * scale


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.parametrize("boundary", ["periodic", "symmetric"])
def test_staggered_divergences_of_gradients_are_compact_laplacians(boundary, xp, rng):
    f, h = rng.normal(size=(9, 8, 7)), (0.3, 0.7, 1.1)
    field = xp.asarray(f)
    for there, back in (("left", "right"), ("right", "left")):
        flux = gpugrad.gradient(field, *h, stagger=there, boundary=boundary)
        ends = boundary if boundary == "periodic" else 0.0  # no flux through the walls
        result = gpugrad.asnumpy(gpugrad.divergence(flux, *h, stagger=back, boundary=ends))
        expected = gpugrad.laplacian(f, *h, boundary=boundary)
        assert largest(result - expected) < 1e-13 * largest(expected)


@pytest.mark.sampled
@pytest.mark.parametrize("stagger", OPPOSITE)
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_by_parts_on_a_periodic_axis(order, accuracy, stagger):
    """The transpose is the way back, with a minus for odd orders: exactly, on even samples."""
    pytest.importorskip("scipy")
    options = {"operator": "derivative", "order": order, "boundary": "periodic"}
    there, back = (
        gpugrad.plan(32, 0.25, accuracy=accuracy, stagger=side, **options).matrix()
        for side in (stagger, OPPOSITE[stagger])
    )
    assert largest((there.T - (-1) ** order * back).toarray()) == 0


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_by_parts_in_space(xp, rng, accuracy):
    f, v = rng.normal(size=(8, 9, 10)), rng.normal(size=(3, 8, 9, 10))
    options = {"accuracy": accuracy, "boundary": "periodic"}
    slope = gpugrad.gradient(xp.asarray(f), 0.3, **options)
    left = sum((gpugrad.asnumpy(a) * b).sum() for a, b in zip(slope, v, strict=True))
    sources = gpugrad.divergence([xp.asarray(one) for one in v], 0.3, **options)
    assert left == pytest.approx(-(f * gpugrad.asnumpy(sources)).sum(), rel=1e-10)


BOUNDARIES = [
    *LINEAR,
    ("reflect", "odd-symmetric"),
    (0.75, {"normal": 0.4}),
    ({"normal": -0.1}, "edge"),
]


@pytest.mark.sampled(2, exhaustive=2)
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("number", range(len(BOUNDARIES)))
def test_a_call_a_matrix_and_an_adjoint_are_one(rng, number, order, accuracy, is_even):
    pytest.importorskip("scipy")
    n = 27
    plan = gpugrad.plan(
        (2, n), 0.5 if is_even else uneven(rng, n), operator="derivative",
        order=order, accuracy=accuracy, boundary=BOUNDARIES[number],
        stagger=[None, "left", "right"][number % 3],
    )  # fmt: skip
    f, g = rng.normal(size=(2, 2, n))
    matrix, offset, result = plan.matrix(), plan.offset(), plan(f).ravel()
    scale = largest(abs(matrix).sum(axis=1), offset) * largest(f, g)
    assert largest(matrix @ f.ravel() + offset - result) < 1e-14 * scale
    back = plan.adjoint()(g)
    assert abs((result - offset) @ g.ravel() - (f * back).sum()) < 1e-12 * scale
    assert largest(matrix.T @ g.ravel() - back.ravel()) < 1e-13 * scale


@pytest.mark.sampled(2)
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
@pytest.mark.parametrize("operator", ["gradient", "divergence", "curl", "laplacian", "jacobian"])
def test_so_they_are_for_operators_in_space(rng, operator, boundary, accuracy):
    pytest.importorskip("scipy")
    shape = (11, 12, 13)
    spacing = [0.5, uneven(rng, 12), 0.7]
    plan = gpugrad.plan(shape, *spacing, operator=operator, boundary=boundary, accuracy=accuracy)
    takes_one = operator in ("gradient", "laplacian")
    f = rng.normal(size=shape if takes_one else (3, *shape))
    result = np.array(plan(f))
    g = rng.normal(size=result.shape)
    matrix, offset = plan.matrix(), plan.offset()
    scale = largest(abs(matrix).sum(axis=1), offset) * largest(f, g)
    assert largest(matrix @ f.ravel() + offset - result.ravel()) < 1e-14 * scale
    back = np.array(plan.adjoint()(g))
    assert largest(matrix.T @ g.ravel() - back.ravel()) < 1e-13 * scale
    inner = (result.ravel() - offset) @ g.ravel()
    assert inner == pytest.approx(f.ravel() @ back.ravel(), rel=1e-9, abs=1e-9 * scale)
