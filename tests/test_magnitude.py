"""The magnitude of a gradient: its bits on every engine and library, its slope, its errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_like_numpy, assert_same_bits
from internals import compiled_program, compiled_tiles, numpy_blocks

SHAPE = (5, 8, 20)
DTYPES = ["f4", "f8", "c8", "c16", "i2"]
BACKENDS = ["auto", "slices", "numpy", "compiled"]


def make_field(rng, dtype, shape=SHAPE):
    f = rng.normal(size=shape) * 9
    return (f + 1j * rng.normal(size=shape) if dtype[0] == "c" else f).astype(dtype)


def take_norm(derivatives):
    """Return what the documentation says, array by array."""
    total = None
    for d in as_tuple(derivatives):
        square = d.real * d.real + d.imag * d.imag if d.dtype.kind == "c" else d * d
        total = square if total is None else total + square
    return np.sqrt(total)


@pytest.fixture(params=["whole", "pieces"])
def pieces(request, monkeypatch):
    """Let engines cut small fields as they cut large ones, and store past the cache."""
    if request.param == "pieces":
        monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 512)
        monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
        monkeypatch.setattr(numpy_blocks, "CONVERTED_SIZE", 0)
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
        monkeypatch.setattr(compiled_tiles, "BLOCK_BYTES", 1024)
        monkeypatch.setattr(compiled_program, "STREAM_BYTES", 0)
        monkeypatch.setattr(compiled_program, "STREAM_ROW_BYTES", 0)


@pytest.mark.sampled(2, exhaustive=3)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spacing", [(), (0.3,), "uneven"])
@pytest.mark.parametrize("layout", ["C", "backwards", "Fortran"])
def test_it_has_the_bits_of_its_steps(rng, pieces, dtype, backend, spacing, layout):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    f = make_field(rng, dtype)
    f = {"C": f, "backwards": f[::-1, ::2], "Fortran": np.asfortranarray(f)}[layout]
    if spacing == "uneven":
        spacing = [np.arange(n) ** 1.5 for n in f.shape]
    got = gpugrad.gradient_norm(f, *spacing, backend=backend)
    assert_same_bits(got, take_norm(np.gradient(f, *spacing)))


@pytest.mark.sampled
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_any_scheme_it_has_the_bits_of_its_steps(rng, pieces, dtype, backend):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    f = make_field(rng, dtype)
    options = {"accuracy": 4, "boundary": "periodic", "backend": backend}
    got = gpugrad.gradient_norm(f, 0.3, **options, axis=(2, 1))
    assert_same_bits(got, take_norm(gpugrad.gradient(f, 0.3, **options, axis=(2, 1))))


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("uneven", [False, True])
def test_every_library(xp, rng, dtype, uneven):
    f = make_field(rng, dtype, (6, 7))
    spacing = [np.cumsum(rng.uniform(0.5, 1, n)) for n in f.shape] if uneven else [0.3]
    expected = gpugrad.gradient_norm(f, *spacing, backend="slices")
    got = gpugrad.gradient_norm(xp.asarray(f), *spacing)
    if xp.name == "torch":  # its roots are not always rounded correctly
        xp = replace(xp, exact=False)
    assert_like_numpy(xp, got, expected, 4 * np.max(np.abs(f)) / 0.3)


@pytest.mark.parametrize("backend", ["slices", "numpy"])
def test_half_precision_is_computed_in_float32(rng, backend):
    f = (rng.normal(size=(6, 7)) * 3000).astype("f2")  # squares of these overflow in float16
    got = gpugrad.gradient_norm(f, 0.5, backend=backend)
    assert_same_bits(got, take_norm(np.gradient(f.astype("f4"), 0.5)).astype("f2"))
    assert np.isfinite(got).all()


def test_the_magnitude_of_one_derivative_is_its_absolute_value(rng):
    f = rng.normal(size=30)
    assert_same_bits(gpugrad.gradient_norm(f, 0.3), np.abs(np.gradient(f, 0.3)))


def test_a_plane_rises_as_steeply_everywhere():
    x, y, z = np.meshgrid(*(np.arange(6.0),) * 3, indexing="ij")
    got = gpugrad.gradient_norm(2 * x + 3 * y + 6 * z, edge_accuracy=2)
    np.testing.assert_allclose(got, 7.0, rtol=1e-15)
    wave = np.exp(0.5j * (x + y))
    got = gpugrad.gradient_norm(wave, boundary="periodic", axis=2)
    assert (got == 0).all()


def test_the_other_axes_are_batches(rng):
    frames = rng.normal(size=(4, 6, 7))
    got = gpugrad.gradient_norm(frames, 0.3, axis=(1, 2))
    for frame, one in zip(frames, got, strict=True):
        assert_same_bits(one, gpugrad.gradient_norm(frame, 0.3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_special_values_have_the_bits_of_the_reference(rng, backend):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, 1e-160, 1e160, 1e308, 1.0])
    for dtype in ("f4", "f8", "c16"):
        with np.errstate(all="ignore"):
            f = special[rng.integers(10, size=(12, 30))].astype(dtype)
            expected = take_norm(np.gradient(f, 0.3))
            assert_same_bits(gpugrad.gradient_norm(f, 0.3, backend=backend), expected)


@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_squares_that_overflow_warn(backend):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    f = np.array([0.0, 1e200, 0.0, 1.0])
    with pytest.warns(RuntimeWarning, match="overflow"):
        got = gpugrad.gradient_norm(f, backend=backend)
    assert np.isinf(got[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_out_is_written_in_place(rng, backend):
    if backend == "compiled":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    f = rng.normal(size=(6, 7)) + 1j
    expected = gpugrad.gradient_norm(f)
    for dtype in ("f8", "f4", "c16"):
        out = np.empty(f.shape, dtype)
        assert gpugrad.gradient_norm(f, out=out, backend=backend) is out
        assert_same_bits(out, expected.astype(dtype))
    g = f.real.copy()
    expected = gpugrad.gradient_norm(g)
    gpugrad.gradient_norm(g, out=g, backend=backend)  # over the field itself
    assert_same_bits(g, expected)
    with pytest.raises(TypeError, match="`out`"):
        gpugrad.gradient_norm(f, out=np.empty(f.shape, int), backend=backend)


def test_masks_and_objects(rng):
    f = rng.normal(size=(6, 7))
    masked = np.ma.array(f, mask=np.zeros(f.shape, bool))
    masked.mask[2, 3] = True
    got = gpugrad.gradient_norm(masked)
    assert got.mask.sum() == 4  # its neighbours; its own value is not read
    np.testing.assert_array_equal(got[~got.mask], gpugrad.gradient_norm(f)[~got.mask])
    np.testing.assert_allclose(gpugrad.gradient_norm(f.astype(object)), gpugrad.gradient_norm(f))


class TestDask:
    @pytest.fixture(autouse=True)
    def need_dask(self):
        self.da = pytest.importorskip("dask.array", reason="Dask is not installed")

    @pytest.mark.parametrize("dtype", ["f2", *DTYPES])
    def test_chunks_change_no_bit(self, rng, dtype):
        f = make_field(rng, dtype)
        for chunks in (3, (2, 8, 5), -1):
            lazy = gpugrad.gradient_norm(self.da.from_array(f, chunks=chunks), 0.3)
            expected = gpugrad.gradient_norm(f, 0.3)
            assert lazy.dtype == lazy._meta.dtype == expected.dtype
            assert_same_bits(lazy, expected)

    def test_a_norm_and_a_sum_have_other_names(self):
        from internals import Norm, Term, dask_graph, first_derivative

        f = self.da.ones((6, 7), chunks=3)
        terms = [Term(1, f, first_derivative(axis, 0.3, 1)) for axis in range(2)]
        (total,), (norm,) = dask_graph.evaluate([terms]), dask_graph.evaluate([Norm(terms)])
        assert total.name != norm.name


class TestSlope:
    """What automatic differentiation makes of it."""

    def test_torch_finds_its_way_back(self, rng):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        for dtype in (torch.float64, torch.complex128):
            f = torch.asarray(rng.normal(size=(5, 6)), dtype=dtype).requires_grad_()
            assert torch.autograd.gradcheck(lambda g: gpugrad.gradient_norm(g, 0.3), f)

    def test_flat_places_have_slope_zero_in_torch(self):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        f = torch.zeros(6, 7, dtype=torch.float64)
        f[4:] = torch.arange(7.0)
        f.requires_grad_()
        gpugrad.gradient_norm(f).sum().backward()
        assert torch.isfinite(f.grad).all()
        assert (f.grad[:2] == 0).all()
        assert (f.grad[4:] != 0).any()

    def test_flat_places_have_slope_zero_in_jax(self):
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        jax.config.update("jax_enable_x64", True)
        f = np.zeros((6, 7))
        f[4:] = np.arange(7.0)
        slope = np.asarray(jax.jit(jax.grad(lambda g: gpugrad.gradient_norm(g).sum()))(f))
        assert np.isfinite(slope).all()
        assert (slope[:2] == 0).all()
        assert (slope[4:] != 0).any()


@pytest.mark.parametrize(
    ("f", "error", "match"),
    [
        (np.zeros(5, "M8[s]"), TypeError, "must hold numbers.* got dtype datetime64"),
        (np.zeros(5, "m8[s]"), TypeError, "must hold numbers.*Divide by a unit of time"),
        (np.zeros((1, 5)), ValueError, "axis 0"),
        (None, TypeError, "`f` must be an array"),
    ],
)
def test_wrong_arguments(f, error, match):
    with pytest.raises(error, match=match):
        gpugrad.gradient_norm(f)
    with pytest.raises(ValueError, match="at least one axis"):
        gpugrad.gradient_norm(np.zeros(5), axis=())
