"""Subclasses of NumPy's arrays, and tensors in half precision: some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from internals import half_precision, numpy_subclasses, ready


class Subclass(np.ndarray):
    """An array that NumPy's functions may take for a plain one."""


CALLS = {
    "gradient": lambda f, x: gpugrad.gradient(f, 0.1),
    "uneven": lambda f, x: gpugrad.gradient(f, *x),
    "periodic": lambda f, x: gpugrad.gradient(f, 0.1, boundary="periodic", accuracy=4),
    "slope": lambda f, x: gpugrad.derivative(f, 0.1, axis=0, order=2, boundary=3.0),
    "lines": lambda f, x: gpugrad.derivative(f, x[-1] + np.zeros(f.shape)),
    "laplacian": lambda f, x: [gpugrad.laplacian(f, 0.1)],
    "norm": lambda f, x: [gpugrad.gradient_norm(f, 0.1)],
    "hessian": lambda f, x: gpugrad.hessian(f, 0.1, stack=True),
}


def compare_whole_and_in_parts(engine, call, monkeypatch):
    whole = call()
    monkeypatch.setattr(engine, "_TOGETHER", 300)
    monkeypatch.setattr(ready, "MOST_BYTES", 0)
    monkeypatch.setattr(ready, "MOST_BYTES_ON_THREADS", 0)  # what is ready is computed as a whole
    for result, expected in zip(call(), whole, strict=True):
        assert type(result) is type(expected)
        assert result.dtype == expected.dtype
        if isinstance(result, np.ndarray):
            np.testing.assert_array_equal(np.ma.getmaskarray(result), np.ma.getmaskarray(expected))
            # What lies under a mask was never written.
            np.testing.assert_array_equal(np.ma.filled(result, 0), np.ma.filled(expected, 0))
        else:
            np.testing.assert_array_equal(gpugrad.asnumpy(result), gpugrad.asnumpy(expected))


def make_coordinates(rng, shape):
    return [np.cumsum(rng.uniform(1, 2, n)) for n in shape]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("shape", [(3000,), (60, 70), (7, 30, 40)])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["masked", "subclass"])
def test_subclasses_have_the_same_bits_in_parts(kind, name, shape, rng, monkeypatch):
    f = rng.normal(size=shape)
    f = np.ma.array(f, mask=rng.random(shape) > 0.9) if kind == "masked" else f.view(Subclass)
    x = make_coordinates(rng, shape)
    compare_whole_and_in_parts(numpy_subclasses, lambda: CALLS[name](f, x), monkeypatch)


@pytest.mark.parametrize("shape", [(3000,), (60, 70), (7, 30, 40)])
@pytest.mark.parametrize("name", [*CALLS, "where", "divergence"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_has_the_same_bits_in_parts(dtype, name, shape, rng, monkeypatch):
    torch = pytest.importorskip("torch")
    f = torch.tensor(rng.normal(size=shape)).to(getattr(torch, dtype))
    where = torch.tensor(rng.random(shape) > 0.1)
    x = make_coordinates(rng, shape)
    calls = CALLS | {
        "where": lambda f, x: gpugrad.gradient(f, 0.1, where=where),
        "divergence": lambda f, x: [gpugrad.divergence([f] * f.ndim, 0.1)],
    }
    compare_whole_and_in_parts(half_precision, lambda: calls[name](f, x), monkeypatch)


def test_large_tensors_in_half_precision_are_computed_in_parts(monkeypatch):
    torch = pytest.importorskip("torch")
    seen = []
    evaluate = half_precision.evaluate
    monkeypatch.setattr(
        half_precision, "evaluate", lambda *a, **k: seen.append(1) or evaluate(*a, **k)
    )
    monkeypatch.setattr(half_precision, "_TOGETHER", 300)
    monkeypatch.setattr(ready, "MOST_BYTES", 0)  # it stands for a large one
    f = torch.zeros(30, 30, dtype=torch.bfloat16)
    gpugrad.gradient(f)
    assert seen
    del seen[:]
    f.requires_grad_()
    gpugrad.gradient(f)[0].sum().backward()
    gpugrad.gradient(torch.zeros(30, 30))
    assert not seen
