"""Memory layouts: every stride NumPy allows, byte orders, and the order of the result."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits

LAYOUTS = {
    "C": lambda f: f,
    "Fortran": np.asfortranarray,
    "transposed": lambda f: f.transpose(2, 0, 1),
    "strided": lambda f: f[::2, :, ::3],
    "reversed": lambda f: f[::-1, :, ::-1],
    "zero-stride": lambda f: np.broadcast_to(f[:1, :, :1], f.shape),
    "read-only": lambda f: np.frombuffer(f.tobytes(), f.dtype).reshape(f.shape),
    "big-endian": lambda f: f.astype(f.dtype.newbyteorder(">")),
    "unaligned": lambda f: np.frombuffer(b"x" + f.tobytes(), f.dtype, offset=1).reshape(f.shape),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("backend", ["auto", "numpy", "slices"])
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2", "longdouble"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bits(rng, layout, dtype, edge_order, backend):
    f = LAYOUTS[layout](rng.normal(scale=9, size=(6, 5, 9)).astype(dtype))
    x = [np.cumsum(rng.uniform(0.1, 1, n)) for n in f.shape]
    for spacing in ((), (0.3,), x):
        expected = np.gradient(f, *spacing, edge_order=edge_order)
        actual = gpugrad.gradient(f, *spacing, edge_order=edge_order, backend=backend)
        for got, wanted in zip(actual, expected, strict=True):
            assert_same_bits(got, wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_are_laid_out_as_numpys(rng, layout):
    f = LAYOUTS[layout](rng.normal(size=(6, 5, 9)))
    for got, wanted in zip(gpugrad.gradient(f), np.gradient(f), strict=True):
        assert got.strides == wanted.strides
        assert got.dtype == wanted.dtype
        assert got.flags.owndata
        assert got.flags.writeable


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_in_blocks_on_threads(rng, layout, monkeypatch):
    from internals import numpy_blocks

    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 700)
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    monkeypatch.setattr(numpy_blocks, "FLAT_SIZE", 0)
    f = LAYOUTS[layout](rng.normal(size=(16, 12, 18)))
    x = np.cumsum(rng.uniform(0.1, 1, f.shape[1]))
    with gpugrad.use_backend("numpy", threads=3):
        for edge_order in (1, 2):
            actual = gpugrad.gradient(f, 0.5, x, 2.0, edge_order=edge_order)
            expected = np.gradient(f, 0.5, x, 2.0, edge_order=edge_order)
            for got, wanted in zip(as_tuple(actual), as_tuple(expected), strict=True):
                assert_same_bits(got, wanted)
                assert got.strides == wanted.strides


BROADCAST = {
    "one sample all over": lambda f: np.broadcast_to(f[:1, :1, :1], f.shape),
    "one row": lambda f: np.broadcast_to(f[:1, :1], f.shape),
    "one column": lambda f: np.broadcast_to(f[:, :1, :1], f.shape),
    "one sample, turned": lambda f: np.broadcast_to(f[:1, :1, :1], f.shape[::-1]).T,
}
OPERATORS = {
    "gradient": lambda f, **options: gpugrad.gradient(f, stack=True, **options),
    "uneven": lambda f, **options: gpugrad.gradient(
        f, np.geomspace(1, 9, len(f)), axis=0, **options
    ),
    "accuracy 4": lambda f, **options: gpugrad.derivative(f, accuracy=4, axis=1, **options),
    "laplacian": lambda f, **options: gpugrad.laplacian(f, **options),
    "gradient_norm": lambda f, **options: gpugrad.gradient_norm(f, **options),
    "divergence": lambda f, **options: gpugrad.divergence((f, f, f), **options),
    "curl": lambda f, **options: gpugrad.curl((f, 2 * f, f), stack=True, **options),
}


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i4"])
@pytest.mark.parametrize("layout", BROADCAST)
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_fields_that_repeat_samples_give_the_bits_of_slices(rng, backend, layout, dtype, operator):
    if backend == "compiled":
        pytest.importorskip("llvmlite")
    f = BROADCAST[layout](rng.normal(scale=9, size=(7, 11, 18)).astype(dtype))
    expected = OPERATORS[operator](f, backend="slices")
    assert_same_bits(OPERATORS[operator](f, backend=backend), expected)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_masks_of_one_value_give_the_bits_of_slices(rng, backend, operator, valid):
    if backend == "compiled":
        pytest.importorskip("llvmlite")
    f = rng.normal(size=(7, 11, 18))
    where = np.broadcast_to(np.bool_(valid), f.shape)
    expected = OPERATORS[operator](f, where=where, backend="slices")
    assert_same_bits(OPERATORS[operator](f, where=where, backend=backend), expected)
    assert np.isnan(expected).all() != valid


@pytest.mark.parametrize("backend", ["auto", "compiled"])
def test_lazy_and_foreign_fields_of_one_sample(backend):
    pytest.importorskip("llvmlite")
    da = pytest.importorskip("dask.array")
    f = da.full((300, 400), 2.0, chunks=150)
    with gpugrad.use_backend(backend):
        for lazy in (f, da.ones_like(f)):
            assert not np.any(gpugrad.gradient(lazy, axis=0).compute())
            assert not np.any(gpugrad.laplacian(lazy).compute())
        torch = pytest.importorskip("torch")
        tensor = torch.tensor(2.0).expand(300, 400)
        assert not torch.any(gpugrad.gradient(tensor, axis=1))
        assert not torch.any(gpugrad.laplacian(tensor))
