"""JAX's arrays on the GPU engine, without a GPU: on the host, with the kernel on the host.

What passes between JAX and CuPy is recorded by a stand-in; whether streams keep the order that it
asks for, only a GPU can show (`test_gpu.py`).
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from gpugrad import _backend, _devices
from gpugrad._devices import Gpu
from gpugrad._engines import slices
from gpugrad._plan import Term, first_derivative

pytest.importorskip("cupy", reason="CuPy is not installed")
pytest.importorskip("jax", reason="JAX is not installed")
import jax
from kernels_on_host import HostCuda, home, host_array, running_on_host

from gpugrad._engines import jax_gpu

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


class HostHandover:
    """Passes arrays on the host, and notes what happens in which order."""

    def __init__(self):
        self.events = []
        self.alive = {}

    def device_of(self, f):
        return 0

    @contextmanager
    def on_our_stream(self, device):
        self.events.append("enter")
        yield
        self.events.append("leave")

    def wait_for_jax(self, f):
        self.events.append("wait for JAX")

    def let_jax_wait(self):
        self.events.append("let JAX wait")

    def take(self, f):
        self.events.append("take")
        return host_array(np.asarray(f))

    def give(self, result):
        self.events.append("give")
        return jax.numpy.asarray(home(result))


@pytest.fixture
def cuda(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "jax-kernels"
    folder.mkdir(exist_ok=True)
    with running_on_host(HostCuda(folder, eager=True)) as stand_in:
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("host",)))
        monkeypatch.setattr(_backend, "_view_on_host", lambda outputs: None)
        yield stand_in


@pytest.fixture
def handover(cuda, monkeypatch):
    stand_in = HostHandover()
    monkeypatch.setattr(jax_gpu, "handover", stand_in)
    monkeypatch.setattr(jax_gpu, "is_on_gpu", lambda f: True)
    monkeypatch.setattr(_backend, "_is_on_gpu", lambda f: not isinstance(f, jax.core.Tracer))
    jax.config.update("jax_enable_x64", True)
    return stand_in


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "i4"])
def test_arrays_come_back_with_numpys_bits(cuda, handover, rng, dtype):
    f = (rng.normal(size=(6, 8)) * 99).astype(dtype)
    x = np.cumsum(rng.uniform(0.1, 1, 6))
    for spacing in ((0.3,), (x, 0.3)):
        results = gpugrad.gradient(jax.numpy.asarray(f), *spacing, edge_order=2)
        with np.errstate(over="ignore"):
            expected = gpugrad.gradient(f, *spacing, edge_order=2, backend="slices")
        for got, wanted in zip(results, expected, strict=True):
            assert isinstance(got, jax.Array)
            assert_same_bits(np.asarray(got), wanted)
    assert cuda.launches == 2


def test_both_sides_wait_for_each_other(cuda, handover):
    gpugrad.curl(jax.numpy.ones((2, 4, 5)))
    assert handover.events == [
        "enter", "wait for JAX", "take", "take", "give", "let JAX wait", "leave",
    ]  # fmt: skip


def test_operators_and_stacks_are_the_same(cuda, handover, rng):
    v = rng.normal(size=(2, 6, 8))
    w = jax.numpy.asarray(v)
    for call in (gpugrad.divergence, gpugrad.curl):
        assert_same_bits(np.asarray(call(w, 0.3)), call(v, 0.3, backend="slices"))
    stacked = gpugrad.gradient(w[0], stack=True)
    assert isinstance(stacked, jax.Array)
    assert_same_bits(np.asarray(stacked), np.stack(np.gradient(v[0])))
    assert cuda.launches == 3


def test_traces_go_through_slices(cuda, handover, rng):
    f = jax.numpy.asarray(rng.normal(size=(5, 6)))
    one, other = jax.jit(gpugrad.gradient)(f)
    np.testing.assert_allclose(other, np.gradient(np.asarray(f))[1], rtol=1e-12)
    assert one.shape == jax.vmap(gpugrad.gradient)(f).shape
    steepness = jax.grad(lambda g: (gpugrad.gradient(g, axis=0) ** 2).sum())(f)
    assert steepness.shape == f.shape
    assert cuda.launches == 0


def test_arrays_with_values_inside_of_a_trace_are_taken(cuda, handover, rng):
    f = jax.numpy.asarray(rng.normal(size=(5, 6)))
    result = jax.jit(lambda a: a * gpugrad.gradient(f, axis=0))(2.0)
    np.testing.assert_allclose(result, 2 * np.gradient(np.asarray(f), axis=0), rtol=1e-12)
    assert cuda.launches == 1


def test_out_is_refused_as_ever(cuda, handover):
    f = jax.numpy.ones((4, 5))
    with pytest.raises(TypeError, match="can be written to; JAX arrays can't"):
        gpugrad.gradient(f, axis=0, out=f)


def test_what_it_cannot_take_is_named(cuda, handover, monkeypatch):
    plan = first_derivative(0, 0.5, 1)
    f = jax.numpy.ones((4, 5))

    def reason(f, plan=plan):
        return jax_gpu.unsupported([[Term(1, f, plan)]])

    assert reason(f) is None
    assert "is bfloat16" in reason(f.astype("bfloat16"))
    assert "spacings whose values" in reason(f, plan._replace(on_host=False))
    assert "one dtype and shape" in jax_gpu.unsupported([[Term(1, f, plan), Term(1, f[:3], plan)]])
    with pytest.raises(gpugrad.BackendError, match="not those of a trace"):
        jax.jit(lambda f: gpugrad.gradient(f, backend="cupy"))(f)
    outputs = [[Term(1, f.astype("bfloat16"), plan)]]
    assert _backend._choose(outputs, None).evaluate is slices.evaluate
    monkeypatch.undo()
    assert not jax_gpu.is_on_gpu(f)
    assert not _backend._is_on_gpu(f)
    assert len(as_tuple(gpugrad.gradient(f))) == 2
