"""Half precision: computed in single precision to the last step, and rounded once."""

from __future__ import annotations

import numpy as np
import pytest
from field_operators import COLUMNS, OPERATORS, ROWS, flatten

import gpugrad

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
