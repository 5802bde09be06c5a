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
    from gpugrad._engines import numpy_cpu

    monkeypatch.setattr(numpy_cpu, "BLOCK_BYTES", 700)
    monkeypatch.setattr(numpy_cpu, "WHOLE_BYTES", 0)
    monkeypatch.setattr(numpy_cpu, "FLAT_SIZE", 0)
    f = LAYOUTS[layout](rng.normal(size=(16, 12, 18)))
    x = np.cumsum(rng.uniform(0.1, 1, f.shape[1]))
    with gpugrad.use_backend("numpy", threads=3):
        for edge_order in (1, 2):
            actual = gpugrad.gradient(f, 0.5, x, 2.0, edge_order=edge_order)
            expected = np.gradient(f, 0.5, x, 2.0, edge_order=edge_order)
            for got, wanted in zip(as_tuple(actual), as_tuple(expected), strict=True):
                assert_same_bits(got, wanted)
                assert got.strides == wanted.strides
