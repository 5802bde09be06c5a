"""What only some libraries have: tracing, laziness, automatic differentiation, devices."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gpugrad
from conftest import LIBRARIES, assert_same_bits

X = np.array([0.0, 0.5, 2.0, 3.0, 7.0])


class TestTorch:
    @pytest.fixture(autouse=True)
    def torch(self):
        self.torch = pytest.importorskip("torch")

    @pytest.mark.parametrize("edge_order", [1, 2])
    @pytest.mark.parametrize("spacing", [(), (0.3,), (X, 2.0)])
    def test_gradients_flow_through_the_field(self, rng, spacing, edge_order):
        f = self.torch.tensor(rng.normal(size=(5, 4)), requires_grad=True)
        assert self.torch.autograd.gradcheck(
            lambda f: gpugrad.gradient(f, *spacing, edge_order=edge_order), f
        )

    @pytest.mark.parametrize("edge_order", [1, 2])
    def test_gradients_flow_through_coordinates(self, rng, edge_order):
        f = self.torch.tensor(rng.normal(size=5), requires_grad=True)
        x = self.torch.tensor(X, requires_grad=True)
        h = self.torch.tensor(0.3, dtype=self.torch.float64, requires_grad=True)
        for spacing in (x, h):
            assert self.torch.autograd.gradcheck(
                lambda f, s: gpugrad.gradient(f, s, edge_order=edge_order), (f, spacing)
            )

    def test_vmap_and_grad_transforms(self, rng):
        f = self.torch.tensor(rng.normal(size=(3, 5)))
        batched = self.torch.func.vmap(lambda row: gpugrad.gradient(row, 0.5))(f)
        assert_same_bits(batched, np.gradient(f.numpy(), 0.5, axis=1))
        jacobian = self.torch.func.jacrev(gpugrad.gradient)(f[0])
        columns = np.stack([np.gradient(e) for e in np.eye(5)], axis=1)
        np.testing.assert_allclose(jacobian.numpy(), columns, atol=1e-15)

    def test_bfloat16_is_computed_in_float32(self):
        f = self.torch.tensor([1.0, 3.0, 258.0, 7.0], dtype=self.torch.bfloat16)
        expected = self.torch.from_numpy(np.gradient(f.float().numpy(), 0.3))
        result = gpugrad.gradient(f, 0.3)
        assert result.dtype == self.torch.bfloat16
        assert self.torch.equal(result, expected.to(self.torch.bfloat16))

    def test_the_numpy_backend_reads_tensors_in_place(self, rng):
        f = rng.normal(size=(5, 4))
        t = self.torch.from_numpy(f)
        result = gpugrad.gradient(t, X, 0.5, backend="numpy")
        for got, wanted in zip(result, np.gradient(f, X, 0.5), strict=True):
            assert isinstance(got, self.torch.Tensor)
            assert_same_bits(got, wanted)

    @pytest.mark.parametrize("backend", ["numpy", "compiled"])
    def test_backends_of_the_host_lead_gradients_back(self, backend):
        pytest.importorskip("llvmlite")
        f = self.torch.arange(4.0, dtype=self.torch.float64, requires_grad=True)
        assert self.torch.autograd.gradcheck(lambda f: gpugrad.gradient(f, backend=backend), f)

    def test_results_stay_on_a_device_that_has_no_values(self):
        f = self.torch.empty((4, 5), device="meta")
        for g in gpugrad.gradient(f, 0.5, X):
            assert g.device.type == "meta"
            assert g.shape == (4, 5)

    def test_coordinates_on_another_device_are_refused(self):
        x = self.torch.empty(4, device="meta")
        with pytest.raises(ValueError, match="the field's device, cpu"):
            gpugrad.gradient(self.torch.zeros(4), x)

    def test_compiled_tensors_keep_their_negative_and_conjugate_bits(self, rng):
        f = rng.normal(size=5) + 1j * rng.normal(size=5)
        t = self.torch.from_numpy(f).conj()
        assert_same_bits(gpugrad.gradient(t), np.gradient(f.conj()))
        assert_same_bits(gpugrad.asnumpy(t), f.conj())


class TestJax:
    @pytest.fixture(autouse=True)
    def jax(self):
        LIBRARIES["jax"]()
        self.jax = pytest.importorskip("jax")

    @pytest.mark.parametrize("edge_order", [1, 2])
    def test_jit_agrees_to_an_ulp_of_the_largest_term(self, rng, edge_order):
        f = rng.normal(size=(5, 4))
        compiled = self.jax.jit(lambda f: gpugrad.gradient(f, X, 0.5, edge_order=edge_order))
        for got, wanted in zip(
            compiled(f), np.gradient(f, X, 0.5, edge_order=edge_order), strict=True
        ):
            ulp = np.spacing(np.abs(f).max() / 0.25)
            np.testing.assert_allclose(np.asarray(got), wanted, rtol=0, atol=ulp)

    def test_traced_spacings_need_no_values(self, rng):
        f = rng.normal(size=5)
        compiled = self.jax.jit(gpugrad.gradient)
        np.testing.assert_allclose(compiled(f, 0.3), np.gradient(f, 0.3), rtol=1e-14)
        np.testing.assert_allclose(compiled(f, X), np.gradient(f, X), rtol=1e-13, atol=1e-14)

    def test_vmap_over_a_batch(self, rng):
        f = rng.normal(size=(3, 5))
        batched = self.jax.vmap(lambda row: gpugrad.gradient(row, X))(f)
        np.testing.assert_allclose(batched, np.gradient(f, X, axis=1), rtol=1e-13, atol=1e-14)

    def test_grad_is_the_transposed_stencil(self, rng):
        f, v = rng.normal(size=5), rng.normal(size=5)
        adjoint = self.jax.grad(lambda f: (gpugrad.gradient(f, X, edge_order=2) * v).sum())(f)
        matrix = np.stack([np.gradient(e, X, edge_order=2) for e in np.eye(5)], axis=1)
        np.testing.assert_allclose(adjoint, matrix.T @ v, rtol=1e-12, atol=1e-13)

    def test_bfloat16_is_computed_in_float32(self):
        jnp = self.jax.numpy
        f = jnp.asarray([1.0, 3.0, 258.0, 7.0], dtype=jnp.bfloat16)
        expected = jnp.asarray(np.gradient(np.asarray(f, "f4"), 0.3)).astype(jnp.bfloat16)
        result = gpugrad.gradient(f, 0.3)
        assert result.dtype == jnp.bfloat16
        assert (result == expected).all()

    def test_the_numpy_backend_refuses_tracers(self):
        with pytest.raises(gpugrad.BackendError, match="traced"):
            self.jax.jit(lambda f: gpugrad.gradient(f, backend="numpy"))(X)

    def test_asnumpy_refuses_tracers(self):
        with pytest.raises(TypeError, match="tracer"):
            self.jax.jit(gpugrad.asnumpy)(X)

    @pytest.mark.exhaustive
    def test_without_float64_everything_is_float32(self):
        code = """
import warnings; warnings.simplefilter("error")
import jax.numpy as jnp, numpy as np, gpugrad
f = jnp.asarray([3, 1, 4, 1, 5])
x = np.array([0.0, 0.5, 2.0, 3.0, 7.0])
for spacing in (0.3, np.float64(0.3), x, jnp.asarray(x)):
    for field in (f, f.astype("float32"), f.astype("complex64")):
        g = gpugrad.gradient(field, spacing, edge_order=2)
        assert g.dtype == ("complex64" if field.dtype == "complex64" else "float32"), g.dtype
        wanted = np.gradient(np.asarray(field), np.asarray(spacing), edge_order=2)
        assert np.allclose(g, wanted, rtol=1e-5, atol=1e-5)
print("fine")
"""
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert run.stdout == "fine\n", run.stderr


class TestDask:
    @pytest.fixture(autouse=True)
    def dask(self):
        self.da = pytest.importorskip("dask.array")
        self.dask = pytest.importorskip("dask")

    def never(self, shape, chunks):
        """Return an array that fails when any of it is computed."""

        def fail(block):
            raise AssertionError("a block has been computed")

        return self.da.zeros(shape, chunks=chunks).map_blocks(fail, dtype="f8", meta=np.empty(0))

    def test_nothing_is_computed(self):
        f = self.never((6, 5), (2, 5))
        x = self.never((6,), (2,))
        for g in gpugrad.gradient(f, x, 2.0, edge_order=2):
            assert isinstance(g, self.da.Array)
        gpugrad.gradient(f, stack=True)
        with pytest.raises(AssertionError, match="computed"):
            gpugrad.gradient(f)[0].compute()

    @pytest.mark.parametrize("edge_order", [1, 2])
    @pytest.mark.parametrize(
        "chunks", [(7, 5), (1, 1), (2, 3), ((1, 5, 1), (4, 1)), ((3, 1, 1, 2), (1, 1, 3))]
    )
    def test_any_chunking_gives_the_same_bits_and_is_kept(self, rng, chunks, edge_order):
        f = rng.normal(size=(7, 5))
        lazy = self.da.from_array(f, chunks=chunks)
        x = np.cumsum(rng.uniform(0.1, 1, 7))
        result = gpugrad.gradient(lazy, x, 0.5, edge_order=edge_order)
        for got, wanted in zip(result, np.gradient(f, x, 0.5, edge_order=edge_order), strict=True):
            assert got.chunks == lazy.chunks
            assert got.dtype == wanted.dtype
            assert_same_bits(got, wanted)

    def test_extended_precision_is_numpys(self, rng):
        f = rng.normal(size=7).astype(np.longdouble)
        x = np.cumsum(rng.uniform(0.1, 1, 7)).astype(np.longdouble)
        for field in (f, f + 1j * f[::-1], f.astype("f8"), f.astype("c8")):
            lazy = self.da.from_array(field, chunks=3)
            for spacing in (0.3, np.longdouble(1) / 3, x, x.astype("f8")):
                for edge_order in (1, 2):
                    result = gpugrad.gradient(lazy, spacing, edge_order=edge_order)
                    expected = np.gradient(field, spacing, edge_order=edge_order)
                    assert_same_bits(result, expected)

    def test_lazy_coordinates(self, rng):
        f = rng.normal(size=5)
        lazy, x = self.da.from_array(f, chunks=2), self.da.from_array(X, chunks=3)
        result = gpugrad.gradient(lazy, x, edge_order=2)
        np.testing.assert_allclose(result.compute(), np.gradient(f, X, edge_order=2), rtol=1e-13)

    def test_unknown_chunks_are_named(self):
        f = self.da.from_array(np.arange(6.0), chunks=2)
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            gpugrad.gradient(f[f > 2])
        g = self.da.ones((4, 5), chunks=(2, 3))
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            gpugrad.gradient(g[g[:, 0] > 0], axis=1)

    def test_the_numpy_backend_takes_lazy_arrays_block_by_block(self):
        f = np.array([1.0, 4.0, 9.0, 11.0, 12.0])
        lazy = gpugrad.gradient(self.da.from_array(f, chunks=3), backend="numpy")
        assert_same_bits(lazy.compute(), np.gradient(f))

    def test_asnumpy_computes(self):
        assert_same_bits(gpugrad.asnumpy(self.da.arange(4.0, chunks=2)), np.arange(4.0))


@pytest.mark.gpu
def test_cupy_results_stay_on_the_device(rng):
    cupy = pytest.importorskip("cupy")
    LIBRARIES["cupy"]()
    f = rng.normal(size=(6, 5))
    for got, wanted in zip(gpugrad.gradient(cupy.asarray(f)), np.gradient(f), strict=True):
        assert isinstance(got, cupy.ndarray)
        assert_same_bits(got, wanted)


def test_asnumpy_brings_every_library_home(xp, rng):
    f = rng.normal(size=(3, 4)).astype("f4")
    home = gpugrad.asnumpy(xp.asarray(f))
    assert type(home) is np.ndarray
    assert_same_bits(home, f)


def test_the_numpy_backend_takes_every_host_array(xp, rng):
    if xp.name in ("dask", "cupy"):
        pytest.skip("not in host memory")
    f = rng.normal(size=(5, 4))
    given = xp.asarray(f)
    result = gpugrad.gradient(given, X, 0.5, edge_order=2, backend="numpy")
    for got, wanted in zip(result, np.gradient(f, X, 0.5, edge_order=2), strict=True):
        assert type(got) is type(given)
        assert_same_bits(got, wanted)
