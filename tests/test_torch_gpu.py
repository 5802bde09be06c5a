"""PyTorch's tensors on the GPU engine, without a GPU: in host memory, with the kernel on the host.

Also the transposed plans, with which automatic differentiation finds its way back.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from kernel_cases import gaps, random_plan, wrap_around

import gpugrad
from conftest import assert_same_bits
from internals import Gpu, Term, _devices, dispatch, first_derivative, slices, transpose_plan


def as_matrix(plan, n):
    (matrix,) = slices.evaluate([[Term(1, np.eye(n), plan._replace(axis=0))]])
    return matrix


class TestTransposes:
    @pytest.mark.parametrize("n", [2, 3, 4, 5, 9, 30])
    @pytest.mark.parametrize("edge_order", [1, 2])
    def test_rows_become_columns(self, rng, n, edge_order):
        if n <= edge_order:
            pytest.skip("too few samples")
        spacings = [0.3, np.float32(0.25), gaps(rng, n)]
        plans = [first_derivative(0, h, edge_order) for h in spacings]
        for plan in (*plans, wrap_around(0, n)):
            matrix = as_matrix(plan, n)
            np.testing.assert_allclose(as_matrix(transpose_plan(plan, n), n), matrix.T, rtol=1e-14)

    @pytest.mark.parametrize("seed", range(60))
    def test_random_plans_become_their_transpose(self, seed):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(14, 50))
        plan = random_plan(rng, 0, n, "f8")._replace(dtype=np.dtype("f8"))
        constant = [f._replace(constant=None) for f in (*plan.lower, *plan.upper)]
        first = len(plan.lower)
        linear = plan._replace(lower=tuple(constant[:first]), upper=tuple(constant[first:]))
        matrix, back = as_matrix(linear, n), as_matrix(transpose_plan(plan, n), n)
        np.testing.assert_allclose(back, matrix.T, rtol=1e-6, atol=1e-6 * np.abs(matrix).max())

    def test_the_scalar_product_moves_over(self, rng):
        f, g = rng.normal(size=(2, 40, 30))
        for plan in (first_derivative(0, gaps(rng, 40), 2), first_derivative(1, 0.3, 2)):
            n = f.shape[plan.axis]
            (there,) = slices.evaluate([[Term(1, f, plan)]])
            (back,) = slices.evaluate([[Term(1, g, transpose_plan(plan, n))]])
            assert np.vdot(there, g) == pytest.approx(np.vdot(f, back), rel=1e-12)

    def test_most_rows_share_a_formula(self):
        plan = transpose_plan(first_derivative(0, 0.3, 2), 10**9)
        assert len(plan.lower) + len(plan.upper) < 10
        assert plan.interior == ((-1, 1), (1, -1), 0.6, None)


class TestTensors:
    @pytest.fixture(autouse=True)
    def on_host(self, monkeypatch, tmp_path_factory):
        pytest.importorskip("cupy", reason="CuPy is not installed")
        self.torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        if shutil.which("g++") is None:
            pytest.skip("g++ is not installed")
        from kernels_on_host import HostCuda, running_on_host

        from internals import torch_calls, torch_tensors

        # What lies in memory of the host has calls that are ready.
        monkeypatch.setattr(torch_calls, "describe_field", lambda f: None)
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("host",)))
        monkeypatch.setattr(dispatch, "_is_on_gpu", lambda f: True)
        monkeypatch.setattr(torch_tensors, "_is_on_gpu", lambda f: f.device.type == "cpu")
        monkeypatch.setattr(torch_tensors, "_stream_of", lambda f: 0)
        folder = tmp_path_factory.getbasetemp() / "torch-kernels"
        folder.mkdir(exist_ok=True)
        with running_on_host(HostCuda(folder, eager=True)) as self.cuda:
            yield

    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64", "int16"])
    def test_tensors_come_back_with_the_same_bits(self, rng, dtype):
        f = self.torch.asarray(rng.normal(size=(6, 8)) * 99).to(getattr(self.torch, dtype))
        for field in (f, f.T, f[:, ::2], f[1:, 1:], f[:, :1].expand(6, 8)):
            self.cuda.launches = 0
            results = gpugrad.gradient(field, 0.3)
            assert self.cuda.launches == 1
            expected = gpugrad.gradient(field, 0.3, backend="slices")
            for got, wanted in zip(results, expected, strict=True):
                assert type(got) is self.torch.Tensor
                assert got.dtype == wanted.dtype
                assert_same_bits(got.numpy(), wanted.numpy())

    def test_out_and_stack_are_written_in_place(self, rng):
        f = self.torch.asarray(rng.normal(size=(6, 8)))
        out = (self.torch.zeros(6, 8, dtype=f.dtype), self.torch.zeros(8, 6, dtype=f.dtype).T)
        pointers = [target.data_ptr() for target in out]
        results = gpugrad.gradient(f, out=out)
        assert [result.data_ptr() for result in results] == pointers
        for got, wanted in zip(out, np.gradient(f.numpy()), strict=True):
            assert_same_bits(got.numpy(), wanted)
        stacked = gpugrad.gradient(f, stack=True)
        assert_same_bits(stacked.numpy(), np.stack(np.gradient(f.numpy())))
        assert self.cuda.launches == 2

    def test_gradients_flow_back_through_the_transpose(self, rng):
        x = np.cumsum(rng.uniform(0.1, 1, 6))
        for dtype in ("float64", "complex128"):
            f = self.torch.asarray(rng.normal(size=(6, 5)), dtype=getattr(self.torch, dtype))
            f.requires_grad_()
            check = self.torch.autograd.gradcheck
            assert check(lambda g: gpugrad.gradient(g, x, 0.3, edge_order=2), f)
            assert check(lambda g: gpugrad.gradient(g, x, 0.3, stack=True), f)
            again = self.torch.autograd.gradgradcheck
            assert again(lambda g: gpugrad.gradient(g * g, 0.3), f)
        assert self.cuda.launches > 0

    def test_gradients_flow_to_every_field_of_a_sum(self, rng):
        v = self.torch.asarray(rng.normal(size=(2, 6, 5))).requires_grad_()
        plans = [first_derivative(axis, 0.3, 1) for axis in range(2)]

        def divergence_and_curl(v):
            a, b = v
            outputs = [
                [Term(1, a, plans[0]), Term(1, b, plans[1])],
                [Term(1, b, plans[0]), Term(-1, a, plans[1])],
            ]
            return dispatch.evaluate(outputs)

        assert self.torch.autograd.gradcheck(divergence_and_curl, v)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int16"])
    def test_norms_take_one_launch_and_have_the_same_bits(self, rng, dtype):
        f = self.torch.asarray(rng.normal(size=(6, 8)) * 99).to(getattr(self.torch, dtype))
        got = gpugrad.gradient_norm(f, 0.3)
        assert self.cuda.launches == 1
        assert got.dtype == gpugrad.gradient_norm(f, 0.3, backend="slices").dtype
        expected = gpugrad.gradient_norm(f.numpy(), 0.3).astype(got.numpy().dtype)
        assert_same_bits(got.numpy(), expected)
        if f.is_floating_point() or f.is_complex():
            # The root is PyTorch's here, which on a processor is not always rounded correctly.
            tracked = gpugrad.gradient_norm(f.requires_grad_(), 0.3).detach().numpy()
            np.testing.assert_allclose(tracked, expected, rtol=2 * np.finfo(expected.dtype).eps)

    def test_gradients_flow_back_through_norms(self, rng):
        for dtype in ("float64", "complex128"):
            f = self.torch.asarray(rng.normal(size=(6, 5)), dtype=getattr(self.torch, dtype))
            f.requires_grad_()
            assert self.torch.autograd.gradcheck(lambda g: gpugrad.gradient_norm(g, 0.3), f)
            assert self.torch.autograd.gradgradcheck(lambda g: gpugrad.gradient_norm(g, 0.3), f)
        assert self.cuda.launches > 0

    def test_only_what_is_needed_is_computed_on_the_way_back(self, rng):
        f = self.torch.asarray(rng.normal(size=(6, 5))).requires_grad_()
        results = gpugrad.gradient(f)
        assert self.cuda.launches == 1
        sum(result.sum() for result in results).backward()
        assert self.cuda.launches == 2

    @pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
    def test_transformations_go_through_slices(self):
        f = self.torch.arange(12.0).reshape(3, 4) ** 2
        tangents = self.torch.func.jvp(gpugrad.gradient, (f,), (f,))[1]
        assert_same_bits(tangents[1].numpy(), np.gradient(f.numpy())[1])
        assert self.torch.func.vmap(gpugrad.gradient)(f).shape == f.shape
        assert self.cuda.launches == 0

    @pytest.mark.parametrize("way", ["conjugated", "negated"])
    @pytest.mark.parametrize("stack", [False, True])
    def test_out_that_only_says_it_is_conjugated_is_written(self, rng, way, stack):
        f = self.torch.asarray(rng.normal(size=(6, 5)) + 1j * rng.normal(size=(6, 5)))
        shape = (2, 6, 5) if stack else (6, 5)
        count = 1 if stack else 2
        zeros = [self.torch.zeros(shape, dtype=f.dtype) for _ in range(count)]
        see = self.torch.conj if way == "conjugated" else self.torch._neg_view
        out = tuple(map(see, zeros))
        gpugrad.gradient(f, 0.3, out=out[0] if stack else out, stack=stack)
        assert self.cuda.launches == 1
        got = out[0] if stack else self.torch.stack(out)
        wanted = np.stack(np.gradient(f.numpy(), 0.3))
        assert_same_bits(got.resolve_conj().resolve_neg().numpy(), wanted)

    def test_many_ways_back_go_at_once(self, rng):
        torch, x = self.torch, np.cumsum(rng.uniform(0.1, 1, 6))
        f = torch.asarray(rng.normal(size=(6, 5)))
        first, second = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
        for derivative, call in (
            (first, lambda g: gpugrad.gradient(g, x, axis=0)),
            (first, lambda g: gpugrad.gradient_norm(g, 0.3)),
            (second, lambda g: (gpugrad.gradient(g, x, axis=0) ** 2).sum()),
        ):
            one_by_one, at_once = derivative(call, f), derivative(call, f, vectorize=True)
            torch.testing.assert_close(at_once, one_by_one, rtol=1e-12, atol=1e-12)
        f.requires_grad_()
        check = torch.autograd.gradcheck
        assert check(lambda g: gpugrad.gradient(g, x, 0.3), f, check_batched_grad=True)
        result = gpugrad.gradient(f, 0.3, axis=0)
        grads = torch.eye(30, dtype=f.dtype).reshape(30, 6, 5)
        (rows,) = torch.autograd.grad(result, f, grads, is_grads_batched=True)
        matrix = as_matrix(first_derivative(0, 0.3, 1), 6)
        wanted = np.einsum("ij,kl->ikjl", matrix, np.eye(5)).reshape(30, 6, 5)
        np.testing.assert_allclose(rows.numpy(), wanted, atol=1e-14)

    def test_tensors_of_the_host_are_named(self, monkeypatch):
        from internals import torch_tensors

        monkeypatch.setattr(torch_tensors, "_is_on_gpu", lambda f: False)
        message = (
            r"tensors on a GPU, and `f` is on cpu\. Pass `f\.cuda\(\)` or `cupy\.asarray\(f\)`, or "
            r"use backend=\"auto\""
        )
        for f in (self.torch.arange(4.0), self.torch.arange(4.0).requires_grad_()):
            with pytest.raises(gpugrad.BackendError, match=message):
                gpugrad.gradient(f, backend="cupy")
