"""`out=` and `stack=`: where results go."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits


@pytest.fixture
def f(rng):
    return rng.normal(size=(6, 5))


def writable(xp):
    if xp.name in ("jax", "dask"):
        pytest.skip(f"{xp.name} arrays cannot be written to")
    return lambda shape, dtype="f8": (
        xp.asarray(np.zeros(shape, dtype))
        if (xp.name != "numpy-readonly")
        else np.zeros(shape, dtype)
    )


def test_out_for_one_axis_is_written_and_returned(xp, f):
    out = writable(xp)(f.shape)
    result = gpugrad.gradient(xp.asarray(f), 0.5, axis=1, out=out)
    assert result is out
    np.testing.assert_allclose(gpugrad.asnumpy(out), np.gradient(f, 0.5, axis=1), rtol=1e-14)


def test_out_for_several_axes_is_a_tuple(xp, f):
    make = writable(xp)
    out = (make(f.shape), make(f.shape))
    result = gpugrad.gradient(xp.asarray(f), out=out)
    assert result[0] is out[0]
    assert result[1] is out[1]
    for got, wanted in zip(out, np.gradient(f), strict=True):
        np.testing.assert_allclose(gpugrad.asnumpy(got), wanted, rtol=1e-14)


def test_stack_puts_components_on_a_new_leading_axis(xp, f):
    result = gpugrad.gradient(xp.asarray(f), stack=True)
    assert tuple(result.shape) == (2, 6, 5)
    np.testing.assert_allclose(gpugrad.asnumpy(result), np.stack(np.gradient(f)), rtol=1e-14)
    assert tuple(gpugrad.gradient(xp.asarray(f), axis=1, stack=True).shape) == (1, 6, 5)


def test_stack_into_out(xp, f):
    out = writable(xp)((2, *f.shape))
    assert gpugrad.gradient(xp.asarray(f), stack=True, out=out) is out
    np.testing.assert_allclose(gpugrad.asnumpy(out), np.stack(np.gradient(f)), rtol=1e-14)


def test_stack_keeps_the_mask_of_masked_arrays():
    f = np.ma.masked_greater(np.arange(12.0).reshape(3, 4), 10)
    result = gpugrad.gradient(f, stack=True)
    assert isinstance(result, np.ma.MaskedArray)
    expected = np.ma.stack(np.gradient(f))
    np.testing.assert_array_equal(result.mask, expected.mask)
    np.testing.assert_array_equal(result.filled(0), expected.filled(0))


@pytest.mark.parametrize("backend", ["numpy", "slices"])
@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_out_overlapping_with_the_field_gives_the_right_answer(rng, shift, backend):
    memory = rng.normal(size=104)
    f, out = memory[2:102], memory[2 + shift : 102 + shift]
    expected = np.gradient(f, 0.1, edge_order=2)
    gpugrad.gradient(f, 0.1, edge_order=2, out=out, backend=backend)
    assert_same_bits(out, expected)


@pytest.mark.parametrize("backend", ["numpy", "slices"])
def test_the_first_of_several_out_may_be_the_field_itself(f, backend):
    expected = np.gradient(f)
    out = (f, np.empty_like(f))
    gpugrad.gradient(f, out=out, backend=backend)
    for got, wanted in zip(out, expected, strict=True):
        assert_same_bits(got, wanted)


def over(mask):
    """Return a field of float64 whose memory begins where that of a mask begins."""
    return np.frombuffer(mask.base, "f8")[: mask.size].reshape(mask.shape)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("backend", ["auto", "slices", "numpy", "compiled"])
@pytest.mark.parametrize("size", [(30, 40), (256, 256), (1000, 700)])
def test_out_over_the_memory_of_a_mask_gives_the_right_answer(rng, size, backend, library):
    if backend == "compiled":
        pytest.importorskip("llvmlite")
    convert = pytest.importorskip("torch").from_numpy if library == "torch" else np.asarray
    f = rng.normal(size=size)
    memory = bytearray(8 * f.size)
    where = np.frombuffer(memory, "?")[: f.size].reshape(f.shape)
    where[...] = rng.random(f.shape) > 0.1
    kept = where.copy()
    for operator in (gpugrad.gradient_norm, gpugrad.laplacian, gpugrad.gradient):
        where[...] = kept
        options = {"axis": 0} if operator is gpugrad.gradient else {}
        expected = gpugrad.asnumpy(
            operator(convert(f), where=convert(kept), backend=backend, **options)
        )
        out = convert(over(where))
        operator(convert(f), where=convert(where), out=out, backend=backend, **options)
        assert_same_bits(out, expected)


@pytest.mark.parametrize("backend", ["auto", "slices", "numpy", "compiled"])
@pytest.mark.parametrize("shape", [(300, 256), (30, 20)])
def test_out_may_be_the_coordinates(rng, shape, backend):
    if backend == "compiled" and shape[0] > 100:
        pytest.importorskip("llvmlite")
    f = rng.normal(size=shape)
    y, x = (np.cumsum(rng.uniform(0.5, 1, shape), axis=axis) for axis in (0, 1))
    for coordinates, options in (((y[:, 0], x[0]), {}), ((y, x), {"backend": "auto"})):
        expected = gpugrad.gradient(f, *coordinates, backend="slices")
        given = y.copy(), x.copy()
        sames = (given[0][:, 0], given[1][0]) if coordinates[0].ndim == 1 else given
        got = gpugrad.gradient(f, *sames, out=given, **{"backend": backend, **options})
        for result, wanted in zip(got, expected, strict=True):
            assert_same_bits(result, wanted)


def test_out_that_is_the_field_reversed(f):
    expected = np.gradient(f, axis=0)
    gpugrad.gradient(f, axis=0, out=f[::-1])
    assert_same_bits(f[::-1], expected)


def test_torch_out_may_be_the_field(rng):
    torch = pytest.importorskip("torch")
    f = rng.normal(size=(5, 4))
    t = torch.from_numpy(f.copy())
    other = torch.empty_like(t)
    gpugrad.gradient(t, out=(t, other))
    for got, wanted in zip((t, other), np.gradient(f), strict=True):
        assert_same_bits(got, wanted)


def test_out_interleaved_in_one_array(f):
    out = np.zeros((*f.shape, 2))
    gpugrad.gradient(f, out=(out[..., 0], out[..., 1]))
    assert_same_bits(out, np.stack(np.gradient(f), axis=-1))


@pytest.mark.parametrize("backend", ["numpy", "slices"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_out_of_another_dtype_of_the_same_kind(rng, dtype, backend):
    f = rng.normal(size=(6, 5)).astype("f4")
    out = np.zeros(f.shape, dtype)
    gpugrad.gradient(f, np.float64(0.3), axis=0, out=out, backend=backend)
    assert_same_bits(out, np.gradient(f, np.float64(0.3), axis=0).astype(dtype))


def test_out_may_be_strided_reversed_and_big_endian(f):
    expected = np.gradient(f, axis=0)
    for out in (np.zeros((12, 5))[::2], np.zeros(f.shape)[::-1], np.zeros(f.shape, order="F")):
        gpugrad.gradient(f, axis=0, out=out)
        assert_same_bits(out, expected)
    out = np.zeros(f.shape, ">f8")
    gpugrad.gradient(f, axis=0, out=out)
    assert_same_bits(out.astype("f8"), expected)


def test_out_may_be_a_memory_map(f, tmp_path):
    out = np.memmap(tmp_path / "gradient", "f8", "w+", shape=f.shape)
    assert gpugrad.gradient(f, axis=0, out=out) is out
    out.flush()
    written = np.fromfile(tmp_path / "gradient").reshape(f.shape)
    assert_same_bits(written, np.gradient(f, axis=0))


def test_out_may_be_a_masked_array():
    f = np.ma.masked_less(np.arange(8.0), 2)
    out = np.ma.zeros(8)
    gpugrad.gradient(f, out=out)
    expected = np.gradient(f)
    np.testing.assert_array_equal(out.mask, expected.mask)
    np.testing.assert_array_equal(out.filled(0), expected.filled(0))


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (np.zeros((6, 5)), TypeError, "tuple of 2 arrays"),
        ((np.zeros((6, 5)),), ValueError, "hold 2 arrays"),
        ((np.zeros((6, 5)), np.zeros((5, 6))), ValueError, r"shape \(6, 5\); got \(5, 6\)"),
        ((np.zeros((6, 5)), [0.0]), TypeError, "must be an array; got list"),
        ((np.zeros((6, 5)), np.zeros((6, 5), int)), TypeError, "same_kind"),
    ],
)
def test_out_that_does_not_fit_is_refused(f, out, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(f, out=out)


def test_complex_results_do_not_go_into_real_out():
    with pytest.raises(TypeError, match="same_kind"):
        gpugrad.gradient(np.zeros(4, complex), out=np.zeros(4))


def test_read_only_out_is_refused(f):
    out = np.zeros(f.shape)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        gpugrad.gradient(f, axis=0, out=out)


def test_out_arrays_that_share_memory_are_refused(f):
    out = np.zeros(f.shape)
    with pytest.raises(ValueError, match="share memory"):
        gpugrad.gradient(f, out=(out, out))


def test_torch_out_arrays_that_share_memory_are_refused():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16):
        f, memory = torch.ones(4, 5, dtype=dtype), torch.empty(8, 5, dtype=dtype)
        for other in (memory[:4], memory[:4].view(4, 5), memory[2:6]):
            with pytest.raises(ValueError, match="share memory"):
                gpugrad.gradient(f, out=(memory[:4], other))
        gpugrad.gradient(f, out=(memory[:4], memory[4:]))
        interleaved = torch.empty(4, 5, 2, dtype=dtype)
        gpugrad.gradient(f, out=(interleaved[..., 0], interleaved[..., 1]))
        assert (interleaved == 0).all()


@pytest.mark.parametrize("mask", [np.ma.nomask, False, True])
def test_stack_into_a_masked_out_keeps_the_mask(mask):
    f = np.ma.array(np.arange(12.0).reshape(3, 4))
    f[1, 1] = np.ma.masked
    out = np.ma.array(np.zeros((2, 3, 4)), mask=mask)
    gpugrad.gradient(f, stack=True, out=out)
    expected = np.ma.stack(np.gradient(f))
    np.testing.assert_array_equal(np.ma.getmaskarray(out), np.ma.getmaskarray(expected))
    np.testing.assert_array_equal(out.filled(0), expected.filled(0))


def test_a_hard_mask_is_no_place_for_results():
    out = np.ma.array(np.zeros(4), mask=[0, 1, 0, 0], hard_mask=True)
    with pytest.raises(ValueError, match="soften_mask"):
        gpugrad.gradient(np.ma.arange(4.0), out=out)


def test_out_with_several_elements_in_one_place_is_refused():
    out = np.lib.stride_tricks.as_strided(np.zeros(1), (4,), (0,))
    with pytest.raises(ValueError, match="a place for each element"):
        gpugrad.gradient(np.arange(4.0), out=out)


def test_matrices_are_stacked_into_a_plain_array():
    f = np.arange(6.0).reshape(2, 3)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(f)
    assert_same_bits(gpugrad.gradient(matrix, stack=True), np.stack(np.gradient(f)))


def test_a_mask_is_not_dropped_on_the_way_out():
    f = np.ma.masked_less(np.arange(8.0), 2)
    with pytest.raises(TypeError, match="must be a masked array"):
        gpugrad.gradient(f, out=np.zeros(8))


def test_a_list_for_one_axis_is_no_array(f):
    with pytest.raises(TypeError, match="`out` must be an array; got list"):
        gpugrad.gradient([1.0, 2.0, 4.0], out=[1, 2, 3])
    out = np.zeros(f.shape)
    assert gpugrad.gradient(f, axis=0, out=(out,)) is out


def test_out_with_stack_must_be_one_array(f):
    with pytest.raises(TypeError, match="must be an array; got tuple"):
        gpugrad.gradient(f, stack=True, out=(np.zeros(f.shape), np.zeros(f.shape)))


def test_field_and_out_of_two_libraries_are_refused(f):
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="NumPy; got array-api-strict"):
        gpugrad.gradient(f, axis=0, out=strict.zeros((6, 5)))


def test_a_refused_out_is_left_untouched(f):
    first, second = np.full(f.shape, 7.0), np.zeros((5, 6))
    with pytest.raises(ValueError, match="shape"):
        gpugrad.gradient(f, out=(first, second))
    assert (first == 7).all()


@pytest.mark.parametrize("name", ["jax", "dask"])
def test_arrays_that_cannot_be_written_are_refused_as_out(name):
    from conftest import LIBRARIES

    library = LIBRARIES[name]()
    f = library.asarray(np.arange(4.0))
    with pytest.raises(TypeError, match="can be written to"):
        gpugrad.gradient(f, out=f)


def test_out_beside_automatic_differentiation_is_refused():
    torch = pytest.importorskip("torch")
    f = torch.arange(4.0, requires_grad=True)
    with pytest.raises(TypeError, match="automatic differentiation"):
        gpugrad.gradient(f, out=torch.zeros(4))
    with pytest.raises(TypeError, match="automatic differentiation"):
        gpugrad.gradient(f.detach(), f, out=torch.zeros(4))


def test_devices_of_field_and_out_must_agree():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="device of `f`, cpu; got meta"):
        gpugrad.gradient(torch.zeros(4), out=torch.zeros(4, device="meta"))
