"""Half precision: computed in single precision to the last step, and rounded once."""

from __future__ import annotations

import numpy as np
import pytest
from field_operators import COLUMNS, OPERATORS, ROWS, flatten

import gpugrad
from internals import compiled_engine, dispatch, half_precision, offers, prepared, ready

SCALES = 1.0, 6e4, 6e-8
"""The middle and the ends of the range of float16."""


def draw(rng, scale):
    return np.clip(rng.uniform(-1, 1, (ROWS, COLUMNS)) * scale, -6e4, 6e4).astype("f2")


def assert_rounded_once(got, single, dtype, step):
    """Check results in half precision against those in single; `step` is its relative precision."""
    assert len(got) == len(single)
    for x, y in zip(got, single, strict=True):
        assert str(x.dtype).rpartition(".")[2] == dtype
        x, y = (np.asarray(gpugrad.asnumpy(z), np.float64) for z in (x, y))
        largest = 65504.0 if dtype == "float16" else 3.3e38
        assert (np.isnan(x) == np.isnan(y)).all()
        fits = abs(y) < largest
        half_a_step = np.maximum(abs(y) * step / 2, 2.0**-25 if dtype == "float16" else 1e-40)
        assert (abs(x - y)[fits] <= 1.001 * half_a_step[fits]).all()
        assert np.isinf(x[abs(y) > largest * 1.01]).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_rounded_once(rng, name):
    for scale in SCALES:
        f = draw(rng, scale)
        with np.errstate(all="ignore"):
            got, single = (flatten(OPERATORS[name](g)) for g in (f, f.astype("f4")))
        assert_rounded_once(got, single, "float16", 2.0**-10)


@pytest.mark.sampled
@pytest.mark.parametrize("library", ["torch", "jax", "masked", "dask"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["hessian plain", "gradient_norm accurate", "sphere  curl", "sphere  laplacian",
             "curved  gradient", "divergence periodic"],
)  # fmt: skip
def test_every_library_does_so(rng, library, dtype, name):
    if library == "torch":
        torch = pytest.importorskip("torch")
        fields = [torch.tensor(draw(rng, s).astype("f4")).to(getattr(torch, dtype)) for s in SCALES]
        wide = [f.float() for f in fields]
    elif library == "jax":
        jnp = pytest.importorskip("jax.numpy")
        fields = [jnp.asarray(draw(rng, s), dtype) for s in SCALES[1:2]]
        wide = [f.astype("float32") for f in fields]
    elif dtype == "bfloat16":
        pytest.skip("NumPy has no bfloat16")
    elif library == "masked":
        fields = [np.ma.array(draw(rng, s), mask=False) for s in SCALES]
        wide = [f.astype("f4") for f in fields]
    else:
        da = pytest.importorskip("dask.array")
        fields = [da.from_array(draw(rng, 6e4), chunks=(7, 10))]
        wide = [f.astype("f4") for f in fields]
    with np.errstate(all="ignore"):
        for f, g in zip(fields, wide, strict=True):
            got, single = (flatten(OPERATORS[name](h)) for h in (f, g))
            step = 2.0**-10 if dtype == "float16" else 2.0**-7
            assert_rounded_once(got, single, dtype, step)


def test_steps_between_two_derivatives_are_out_of_range_and_results_are_not():
    # Slopes of 5e6, or of less than 1e-7, on the way to curvatures that float16 holds.
    x, y = np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij")
    f = (x * y).astype("f2")
    for spacing in ((1e-6, 1e5), (1e8, 1e-7)):
        expected = 1 / (spacing[0] * spacing[1])
        mixed = gpugrad.hessian(f, *spacing)[0][1]
        np.testing.assert_allclose(mixed, expected, rtol=1e-3)
        planned = gpugrad.plan(f.shape, *spacing, operator="hessian", dtype="f2")(f)[0][1]
        assert planned.dtype == np.float16
        assert (planned == mixed).all()
        out = tuple(tuple(np.zeros((6, 6), "f2") for _ in range(2)) for _ in range(2))
        gpugrad.hessian(f, *spacing, out=out)
        assert (out[0][1] == mixed).all()


class TestCompiled:
    """Single derivatives of PyTorch's tensors are one compiled loop, once that pays."""

    @pytest.fixture(autouse=True)
    def _compiled_at_once(self, monkeypatch):
        pytest.importorskip("llvmlite")
        monkeypatch.setattr(offers, "PATIENCE", 0)
        monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
        monkeypatch.setattr(ready, "_OFTEN", 1)
        prepared._calls.clear()
        gpugrad.gradient(np.zeros(9), backend="compiled")  # the compiler is there
        from gpugrad._engines.compiled.llvm import converts_half

        if not converts_half():
            pytest.skip("this processor does not convert half precision")
        with gpugrad.use_backend(threads=1):
            yield

    @pytest.fixture
    def taken(self, monkeypatch):
        """Return whether the compiled loop took each of the outputs that it was asked for."""
        answers, takes = [], compiled_engine.takes_halves

        def ask(outputs):
            answers.append(takes(outputs))
            return answers[-1]

        monkeypatch.setattr(compiled_engine, "takes_halves", ask)
        return answers

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    @pytest.mark.parametrize("is_large", [False, True], ids=["ready", "large"])
    @pytest.mark.parametrize("options", [{}, {"edge_order": 2}, {"accuracy": 4}], ids=str)
    @pytest.mark.parametrize("shape", [(1000,), (37, 41), (7, 5, 70)], ids=str)
    def test_it_has_the_bits_of_the_reference(
        self, rng, taken, monkeypatch, dtype, is_large, options, shape
    ):
        torch = pytest.importorskip("torch")
        if is_large:
            monkeypatch.setattr(ready, "MOST_BYTES", 0)
            monkeypatch.setattr(dispatch, "TENSOR_SIZE", 0)
            monkeypatch.setattr(half_precision, "_TOGETHER", 100)
        scales = 10.0 ** rng.integers(-9, 5, shape)  # subnormal numbers and overflow among them
        f = torch.from_numpy(rng.normal(size=shape) * scales).to(getattr(torch, dtype))
        f.view(-1)[torch.tensor([5, 9, 40])] = torch.tensor([np.inf, np.nan, -0.0], dtype=f.dtype)
        for h in ((), (0.3,), (2.0,)):
            expected = gpugrad.gradient(f, *h, backend="slices", **options)
            for field in (f, f, f, f.mT.contiguous().mT if f.ndim > 1 else f.flip(0).flip(0)):
                results = gpugrad.gradient(field, *h, **options)
                for x, y in zip(flatten(results), flatten(expected), strict=True):
                    assert x.dtype == f.dtype
                    same = x.view(torch.int16) == y.view(torch.int16)
                    assert (same | (x.isnan() & y.isnan())).all()
        assert taken
        assert all(taken)

    def test_it_takes_nothing_that_would_be_rounded_twice(self, rng, taken):
        torch = pytest.importorskip("torch")
        f = torch.from_numpy(rng.normal(size=(90, 100))).half()
        x = np.linspace(0, 1, 100) ** 2
        for call in (
            gpugrad.laplacian,
            gpugrad.gradient_norm,
            lambda f, **named: gpugrad.derivative(f, x, axis=1, **named),
        ):
            expected = call(f, backend="slices")
            for _ in range(3):
                assert torch.equal(call(f), expected)
        assert not any(taken)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_large_results_go_to_out(self, rng, taken, monkeypatch, dtype):
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(half_precision, "_TOGETHER", 100)
        f = torch.from_numpy(rng.normal(size=(40, 50))).to(getattr(torch, dtype))
        out = torch.empty((2, 40, 100), dtype=f.dtype)[..., ::2]
        assert gpugrad.gradient(f, out=tuple(out), backend=None)[0].data_ptr() == out.data_ptr()
        expected = gpugrad.gradient(f, stack=True, backend="slices")
        assert torch.equal(out, expected)
        assert taken == [True]

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_larger_tensors_are_never_widened_as_a_whole(self, monkeypatch, dtype):
        """Also where tensors of other dtypes of so many samples are ready."""
        torch = pytest.importorskip("torch")
        monkeypatch.setattr(offers, "PATIENCE", 1e9)  # no program comes
        widened, evaluate = [], half_precision._Singles.evaluate

        def spy(self, outputs):
            widened.append(outputs[0][0].field.numel())
            return evaluate(self, outputs)

        monkeypatch.setattr(half_precision._Singles, "evaluate", spy)
        f = torch.zeros((1200, 1200), dtype=getattr(torch, dtype))
        assert not any(map(torch.any, gpugrad.gradient(f)))
        assert widened
        assert max(widened) < f.numel() / 2
