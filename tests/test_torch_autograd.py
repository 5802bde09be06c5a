"""Tensors in host memory: engines of the host compute them, forwards and on the way back."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import dispatch, offers, prepared, ready

torch = pytest.importorskip("torch")
functional = torch.func
X = np.array([0.0, 0.4, 1.0, 1.3, 2.2, 2.5])

OPERATORS = {
    "plain": lambda f: gpugrad.gradient(f),
    "spacings": lambda f: gpugrad.gradient(f, 0.3, np.float64(0.7), edge_order=2),
    "coordinates": lambda f: gpugrad.gradient(f, torch.from_numpy(X), 0.5),
    "accurate": lambda f: gpugrad.gradient(f, 0.3, accuracy=4),
    "mirrored": lambda f: gpugrad.gradient(f, 0.3, boundary="symmetric"),
    "value": lambda f: gpugrad.derivative(f, 0.3, axis=0, boundary=5.0),
    "periodic": lambda f: gpugrad.laplacian(f, 0.3, boundary="periodic"),
    "stack": lambda f: gpugrad.gradient(f, 0.3, stack=True),
    "second": lambda f: gpugrad.derivative(f, 0.3, axis=1, order=2),
    "laplacian": lambda f: gpugrad.laplacian(f, 0.3),
    "norm": lambda f: gpugrad.gradient_norm(f, 0.3),
    "divergence": lambda f: gpugrad.divergence((f, f * f), 0.3),
    "twice the same": lambda f: gpugrad.curl((f, f), 0.3),
    "jacobian": lambda f: gpugrad.jacobian((f * f, f), 0.3),
    "hessian": lambda f: gpugrad.hessian(f, 0.3),
    "masked": lambda f: gpugrad.gradient(f, 0.3, where=MASK),
}
MASK = torch.from_numpy(np.arange(30).reshape(6, 5) % 7 != 3)


def leaves(results):
    """Return results in one list."""
    if isinstance(results, torch.Tensor):
        return [results]
    return [leaf for result in results for leaf in leaves(result)]


def assert_close(a, b):
    """Compare to some units in the last place."""
    np.testing.assert_allclose(a, b, rtol=4 * np.finfo(a.dtype).eps)


def go_back(operator, f, seed):
    """Return results, and the gradient of a sum of them with given weights."""
    f = f.clone().requires_grad_()
    results = leaves(operator(f))
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.rand(r.shape, generator=generator, dtype=r.dtype) for r in results]
    return [r.detach() for r in results], torch.autograd.grad(results, f, weights)[0]


@pytest.fixture(params=["small", "compiled", "large"])
def way(request, monkeypatch):
    """Have calls ready, with a program or without; or find an engine in each of them."""
    prepared._calls.clear()
    if request.param == "large":
        monkeypatch.setattr(ready, "MOST_BYTES", 0)
        monkeypatch.setattr(ready, "MOST_BYTES_ON_THREADS", 0)
    if request.param != "compiled":
        yield
        return
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(ready, "_OFTEN", 1)  # a program is looked for in the first call
    with gpugrad.use_backend(threads=1):
        yield


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize("name", OPERATORS)
def test_results_and_gradients_are_those_of_slices(way, rng, name, dtype):
    operator = OPERATORS[name]
    f = torch.from_numpy(rng.normal(size=(6, 5))).to(getattr(torch, dtype))
    with gpugrad.use_backend("slices"):
        expected, expected_gradient = go_back(operator, f, 1)
    # Roots, and quotients of complex numbers, are each library's own.
    compare = assert_same_bits if name != "norm" and dtype == "float64" else assert_close
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    for _ in range(2):  # the second time, what is ready is found
        got, gradient = go_back(operator, f, 1)
        for a, b in zip(got, expected, strict=True):
            compare(a.numpy(), b.numpy())
        # Backwards, sums run in another order.
        largest = expected_gradient.abs().max()
        assert (gradient - expected_gradient).abs().max() <= tolerance * largest
        for a, b in zip(leaves(operator(f)), expected, strict=True):
            compare(a.numpy(), b.numpy())


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["spacings", "coordinates", "value", "norm", "divergence"])
def test_gradients_of_gradients_and_batches_of_them(way, rng, name):
    f = torch.from_numpy(rng.normal(size=(6, 5)) + 3).requires_grad_()
    operator = OPERATORS[name]
    check = torch.autograd.gradcheck
    assert check(operator, f, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda f: operator(f * f), f)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of jacfwd itself
@pytest.mark.parametrize("name", ["plain", "laplacian"])
def test_transformations_of_torch_func(way, rng, name):
    operator = OPERATORS[name]
    f = torch.from_numpy(rng.normal(size=(6, 5)))
    jacobians = [leaves(d(operator)(f)) for d in (functional.jacrev, functional.jacfwd)]
    for a, b in zip(*jacobians, strict=True):
        torch.testing.assert_close(a, b)
    _, tangents = functional.jvp(operator, (f,), (f,))
    for a, b in zip(leaves(tangents), leaves(operator(f)), strict=True):
        torch.testing.assert_close(a, b)
    batch = torch.stack([f, 2 * f])
    for a, b in zip(leaves(functional.vmap(operator)(batch)), leaves(operator(f)), strict=True):
        torch.testing.assert_close(a, torch.stack([b, 2 * b]))

    # A tensor that a transformation does not know, in its midst.
    outer = f.clone().requires_grad_()

    def scale(a):
        return a * sum(result.sum() for result in leaves(operator(outer)))

    functional.grad(scale)(torch.tensor(2.0, dtype=f.dtype)).backward()
    (expected,) = torch.autograd.grad(sum(r.sum() for r in leaves(operator(outer))), outer)
    torch.testing.assert_close(outer.grad, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_forward_mode_over_reverse_mode(way, rng):
    from torch.autograd import forward_ad

    f, v = torch.from_numpy(rng.normal(size=(2, 6, 5)))
    with forward_ad.dual_level():
        (result,) = leaves(gpugrad.laplacian(forward_ad.make_dual(f, v), 0.3))
        tangent = forward_ad.unpack_dual(result).tangent
    torch.testing.assert_close(tangent, gpugrad.laplacian(v, 0.3))

    def energy(f):
        return (gpugrad.laplacian(f, 0.3) ** 2).sum()

    f.requires_grad_()
    by_both = functional.hessian(energy)(f.detach())
    torch.testing.assert_close(by_both, torch.autograd.functional.hessian(energy, f))


def test_without_gradients_a_tensor_is_as_a_detached_one(way, rng, monkeypatch):
    f = torch.from_numpy(rng.normal(size=(6, 5))).requires_grad_()
    out = tuple(torch.empty(2, 6, 5, dtype=f.dtype))
    with torch.no_grad():
        results = gpugrad.gradient(f, 0.3)
        gpugrad.gradient(f, 0.3, out=out)
    for a, b, c in zip(results, out, gpugrad.gradient(f.detach(), 0.3), strict=True):
        assert not a.requires_grad
        assert_same_bits(a.numpy(), c.numpy())
        assert_same_bits(b.numpy(), c.numpy())
    assert all(result.requires_grad for result in gpugrad.gradient(f, 0.3))
    with pytest.raises(TypeError, match="automatic differentiation"):
        gpugrad.gradient(f, 0.3, out=out)


def test_spacings_that_require_gradients_get_them(way):
    f = torch.arange(6.0, dtype=torch.float64) ** 2
    h = torch.tensor(0.5, dtype=f.dtype, requires_grad=True)
    gpugrad.gradient(f.requires_grad_(), h).sum().backward()
    torch.testing.assert_close(h.grad, -gpugrad.gradient(f.detach(), 0.5).sum() / 0.5)
    assert f.grad is not None


def test_coordinates_may_change_in_place(way):
    f, x = torch.arange(6.0, dtype=torch.float64) ** 2, torch.from_numpy(X.copy())
    for factor in (1.0, 2.0, 0.5):
        x *= factor
        for field in (f, f.clone().requires_grad_()):
            for _ in range(2):
                got = gpugrad.gradient(field, x).detach().numpy()
                assert_same_bits(got, np.gradient(f.numpy(), x.numpy()))


def test_subclasses_keep_their_type(way, monkeypatch):
    class Named(torch.Tensor):
        pass

    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
    monkeypatch.setattr(dispatch, "TENSOR_SIZE", 0)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    for f in (torch.ones(6), torch.ones(6, requires_grad=True)):
        assert type(gpugrad.gradient(f.as_subclass(Named))) is Named


def test_fields_die_with_their_results(way):
    f = torch.ones(9, requires_grad=True)
    middle = f * 2
    gone = weakref.ref(middle)
    result = gpugrad.gradient(middle)
    result.sum().backward()
    del middle, result
    gc.collect()
    assert gone() is None


def test_there_are_programs_both_ways(monkeypatch):
    pytest.importorskip("llvmlite")
    seen = []
    make = ready.make_ready
    monkeypatch.setattr(ready, "make_ready", lambda *a: seen.append(make(*a)) or seen[-1])
    monkeypatch.setattr(offers, "PATIENCE", 0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    prepared._calls.clear()
    f = torch.rand(256, 256, dtype=torch.float64, requires_grad=True)
    with gpugrad.use_backend(threads=1):
        for _ in range(ready._OFTEN):
            gpugrad.gradient(f)[0].backward(torch.ones_like(f))
    forwards, backwards = seen
    assert forwards._program is not None
    assert backwards._program is not None
