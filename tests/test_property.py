"""Random calls, drawn by hypothesis, have the bits of `numpy.gradient`."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sampling import random_cases

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import numpy_blocks

FLOATS = st.sampled_from([np.float32, np.float64, np.complex64, np.complex128])
INTEGERS = st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])


@st.composite
def layouts(draw, f):
    """Draw a view of `f`: transposed, reversed, strided, in the other byte order."""
    f = f.transpose(draw(st.permutations(range(f.ndim))))
    f = f[tuple(slice(None, None, draw(st.sampled_from([1, -1]))) for _ in f.shape)]
    if draw(st.booleans()):
        f = np.asfortranarray(f)
    if draw(st.booleans()):
        f = np.repeat(f, 2, axis=0)[::2]
    if draw(st.integers(0, 5)) == 0:
        f = f.astype(f.dtype.newbyteorder())
    return f


@st.composite
def spacings(draw, n):
    if draw(st.booleans()):
        value = draw(st.floats(0.01, 100)) * draw(st.sampled_from([1, -1]))
        kind = draw(st.sampled_from([float, np.float64, np.float32, np.array]))
        return kind(value)
    steps = draw(st.lists(st.integers(1, 1000), min_size=n, max_size=n))
    x = np.cumsum(steps) / draw(st.sampled_from([1, 3, 1000]))
    x = x * draw(st.sampled_from([1, -1]))
    return draw(st.sampled_from([x, x.astype(np.float32), x.tolist()]))


@st.composite
def calls(draw):
    edge_order = draw(st.sampled_from([1, 2]))
    shape = draw(nps.array_shapes(min_dims=1, max_dims=4, min_side=edge_order + 1, max_side=6))
    dtype = draw(FLOATS | INTEGERS)
    kind = np.dtype(dtype).kind
    bounds = (
        {"min_value": np.iinfo(dtype).min, "max_value": np.iinfo(dtype).max}
        if kind in "iu"
        else {"max_magnitude": 1e6}
        if kind == "c"
        else {"min_value": -1e6, "max_value": 1e6}
    )
    elements = nps.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False, **bounds)
    f = draw(layouts(draw(nps.arrays(dtype, shape, elements=elements))))
    axis = draw(
        st.none()
        | st.integers(-f.ndim, f.ndim - 1)
        | st.permutations(range(f.ndim)).flatmap(
            lambda p: st.integers(1, len(p)).map(lambda k: tuple(p[:k]))
        )
    )
    axes = range(f.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    number = draw(st.sampled_from(["none", "one", "each"]))
    spacing = {
        "none": lambda: (),
        "one": lambda: (draw(st.floats(0.01, 100)),),
        "each": lambda: tuple(draw(spacings(f.shape[i])) for i in axes),
    }[number]()
    return f, spacing, {"axis": axis, "edge_order": edge_order}


@pytest.mark.parametrize("engine", ["auto", "slices", "blocks"])
@random_cases(250)
@given(call=calls())
def test_random_calls_have_numpys_bits(engine, call):
    f, spacing, keywords = call
    limits = numpy_blocks.BLOCK_BYTES, numpy_blocks.WHOLE_BYTES, numpy_blocks.FLAT_SIZE
    if engine == "blocks":
        numpy_blocks.BLOCK_BYTES, numpy_blocks.WHOLE_BYTES, numpy_blocks.FLAT_SIZE = 64, 0, 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # products may underflow or overflow
            expected = np.gradient(f, *spacing, **keywords)
            with gpugrad.use_backend("auto" if engine == "blocks" else engine, threads=2):
                actual = gpugrad.gradient(f, *spacing, **keywords)
    finally:
        numpy_blocks.BLOCK_BYTES, numpy_blocks.WHOLE_BYTES, numpy_blocks.FLAT_SIZE = limits
    assert isinstance(actual, tuple) == isinstance(expected, tuple)
    for got, wanted in zip(as_tuple(actual), as_tuple(expected), strict=True):
        assert_same_bits(got, wanted)


@random_cases(100)
@given(call=calls())
def test_random_calls_into_an_overlapping_out(call):
    f, spacing, keywords = call
    f = f.astype(f.dtype if f.dtype.kind in "fc" else "f8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = as_tuple(np.gradient(f, *spacing, **keywords))
        memory = f.copy(order="K")
        out = [memory, *(np.empty_like(f) for _ in expected[1:])]
        gpugrad.gradient(
            memory, *spacing, **keywords, out=out[0] if len(expected) == 1 else tuple(out)
        )
    for got, wanted in zip(out, expected, strict=True):
        assert_same_bits(got.astype(wanted.dtype), wanted)
