"""The compiled engine: its bits, its programs, where it is chosen, and how it gets along."""

from __future__ import annotations

import _thread
import multiprocessing
import os
import subprocess
import sys
import time
import tracemalloc
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import in_child
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import random_cases
from test_property import calls

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import AxisPlan, Formula, Norm, Steps, Store, Term, dispatch, first_derivative

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
from internals import (
    compiled_engine,
    compiled_factors,
    compiled_kernels,
    compiled_program,
    compiled_tiles,
    numpy_blocks,
    offers,
    prepared,
    ready,
    slices,
)

DTYPES = ["f4", "f8", "c8", "c16", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@pytest.fixture(params=["streams", "plain"])
def small_pieces(monkeypatch, request):
    """Make programs of small fields as those of large ones: tiles, blocks, streams, threads."""
    monkeypatch.setattr(compiled_tiles, "TILE_BYTES", 256)
    monkeypatch.setattr(compiled_tiles, "BLOCK_BYTES", 512)
    monkeypatch.setattr(compiled_program, "STREAM_BYTES", 0 if request.param == "streams" else 1e9)
    monkeypatch.setattr(compiled_program, "STREAM_ROW_BYTES", 0)
    monkeypatch.setattr(compiled_engine, "THREADED_BYTES", 0)
    offers.programs.clear()
    yield
    offers.programs.clear()


def make_field(rng, shape, dtype):
    f = rng.normal(size=shape) * 100
    if dtype[0] == "u":  # what negative numbers become differs from processor to processor
        f = f.astype("i8")
    return (f + 1j * rng.normal(size=shape) if dtype[0] == "c" else f).astype(dtype)


def assert_like_slices(outputs):
    with np.errstate(all="ignore"):
        expected = slices.evaluate(outputs)
        results = compiled_engine.evaluate(outputs)
    for got, wanted in zip(results, expected, strict=True):
        assert_same_bits(got, wanted)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(300,), (40, 50), (7, 30, 41), (3, 4, 5, 37), (200, 3), (9, 200)]
)
@pytest.mark.parametrize(
    ("spacing", "edge_order"),
    [
        ((), 1),
        ((0.3,), 2),
        ((np.float32(0.3),), 1),
        ((np.float64(0.7),), 2),
        ("f8", 1),
        ("f8", 2),
        ("f4", 2),
    ],
)
def test_every_dtype_and_shape_has_numpys_bits(
    rng, small_pieces, shape, dtype, spacing, edge_order
):
    f = make_field(rng, shape, dtype)
    if isinstance(spacing, str):
        spacing = [np.cumsum(rng.uniform(0.1, 1, n)).astype(spacing) for n in shape]
    expected = as_tuple(np.gradient(f, *spacing, edge_order=edge_order))
    with gpugrad.use_backend("compiled", threads=2):
        results = as_tuple(gpugrad.gradient(f, *spacing, edge_order=edge_order))
    for got, wanted in zip(results, expected, strict=True):
        assert_same_bits(got, wanted)


LIMITS = (
    "TILE_BYTES",
    "BLOCK_BYTES",
    "STREAM_BYTES",
    "STREAM_ROW_BYTES",
    "SHORT_ROW",
    "SHORT_LOOP",
    "THIN",
)


@random_cases(400)
@given(
    call=calls(),
    limits=st.tuples(
        st.sampled_from([1, 64, 200, 1 << 19]),
        st.sampled_from([1, 100, 300, 1 << 20]),
        st.sampled_from([0, 1 << 24]),
        st.sampled_from([0, 24, 256]),
        st.sampled_from([1, 2, 3, 16]),
        st.sampled_from([0, 4, 64]),
        st.sampled_from([1, 3, 16]),
    ),
    threads=st.sampled_from([1, 2]),
)
def test_random_calls_have_numpys_bits_however_they_are_cut(call, limits, threads):
    f, spacing, keywords = call
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name, limit in zip(LIMITS, limits, strict=True):
            module = compiled_program if hasattr(compiled_program, name) else compiled_tiles
            patch.setattr(module, name, limit)
        patch.setattr(compiled_engine, "THREADED_BYTES", 0)
        offers.programs.clear()
        warnings.simplefilter("ignore", RuntimeWarning)  # products may underflow or overflow
        expected = as_tuple(np.gradient(f, *spacing, **keywords))
        with gpugrad.use_backend("compiled", threads=threads):
            actual = as_tuple(gpugrad.gradient(f, *spacing, **keywords))
        offers.programs.clear()
    for got, wanted in zip(actual, expected, strict=True):
        assert_same_bits(got, wanted)


LAYOUTS = {
    "Fortran": lambda f: np.asfortranarray(f),
    "transposed": lambda f: np.ascontiguousarray(f.transpose(2, 0, 1)).transpose(1, 2, 0),
    "reversed": lambda f: f[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    "strided": lambda f: np.repeat(np.repeat(f, 2, axis=2), 3, axis=0)[::3, :, ::2],
    "padded rows": lambda f: np.concatenate([f, f], axis=2)[:, :, : f.shape[2]],
    "broadcast": lambda f: np.broadcast_to(f[:1], f.shape),
    "broadcast rows": lambda f: np.broadcast_to(f[..., :1], f.shape),
    "unaligned": lambda f: unaligned(f),
    "read-only": lambda f: read_only(f),
}


def unaligned(f):
    copy = np.frombuffer(b"x" + f.tobytes(), "u1")[1:].view(f.dtype).reshape(f.shape)
    assert not copy.flags.aligned or f.dtype.itemsize == 1
    return copy


def read_only(f):
    f = f.copy()
    f.flags.writeable = False
    return f


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("keywords", [{}, {"edge_order": 2}, {"axis": 0}, {"axis": (2, 1)}])
def test_every_layout_has_numpys_bits(rng, small_pieces, layout, dtype, keywords):
    f = LAYOUTS[layout](make_field(rng, (9, 21, 35), dtype))
    x = np.cumsum(rng.uniform(0.1, 1, 21))
    spacing = () if "axis" in keywords else (0.5, x, 2.0)
    expected = as_tuple(np.gradient(f, *spacing, **keywords))
    results = as_tuple(gpugrad.gradient(f, *spacing, **keywords, backend="compiled"))
    for got, wanted in zip(results, expected, strict=True):
        assert_same_bits(got, wanted)
        long = [n > 1 for n in got.shape]
        assert np.array(got.strides)[long].tolist() == np.array(wanted.strides)[long].tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_out_may_have_any_layout(rng, small_pieces, order):
    f = make_field(rng, (9, 21, 35), "f8")
    memory = [np.zeros((35, 21, 9)).T, np.zeros((18, 21, 70))[::2, :, ::-2], np.zeros(f.shape)]
    out = [np.asarray(memory[0], order=order), memory[1], memory[2][::-1]]
    gpugrad.gradient(f, 0.5, out=tuple(out), backend="compiled")
    for got, wanted in zip(out, np.gradient(f, 0.5), strict=True):
        assert_same_bits(got, wanted)


def test_out_of_another_dtype_is_rounded_once(rng):
    f = make_field(rng, (9, 40), "f8")
    out = tuple(np.zeros(f.shape, "f4") for _ in range(2))
    gpugrad.gradient(f, 0.3, out=out, backend="compiled")
    for got, wanted in zip(out, np.gradient(f, 0.3), strict=True):
        assert_same_bits(got, wanted.astype("f4"))


@pytest.mark.sampled
@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 3])
@pytest.mark.parametrize("axis", [0, 1])
def test_out_that_overlaps_the_field_gets_the_right_answer(rng, small_pieces, shift, axis):
    memory = rng.normal(size=60 * 40 + 6)
    f = memory[3:-3].reshape(60, 40)
    out = memory[3 + shift : 3 + shift + f.size].reshape(60, 40)
    expected = np.gradient(f, axis=axis)
    gpugrad.gradient(f, axis=axis, out=out, backend="compiled")
    assert_same_bits(out, expected)


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i2"])
def test_powers_of_two_have_the_bits_of_a_division(rng, small_pieces, dtype):
    f = make_field(rng, (40, 50), dtype)
    f[::3] = 0
    wide = np.finfo("f4" if dtype in ("f4", "c8") else "f8")
    exponents = [-1, 0, 3, 40, wide.maxexp - 3, wide.minexp + 2, wide.minexp - 3]
    with np.errstate(all="ignore"):
        for h in [s * 2.0**e for e in exponents for s in (1, -1)]:
            for spacing in (h, np.float64(h), np.float32(h)):
                if not 0 < abs(float(spacing)) < np.inf:
                    continue
                expected = np.gradient(f, spacing)
                results = gpugrad.gradient(f, spacing, backend="compiled")
                for got, wanted in zip(results, expected, strict=True):
                    assert_same_bits(got, wanted)


def test_fields_without_samples_give_results_without_any():
    for shape in ((0, 5), (5, 0), (4, 0, 4)):
        axis = int(np.argmax(shape))
        result = gpugrad.gradient(np.zeros(shape), axis=axis, backend="compiled")
        assert result.shape == shape


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e308, -1e308, 1.0]


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
def test_special_values_come_out_as_in_numpy(rng, small_pieces, dtype):
    with np.errstate(all="ignore"):
        f = rng.choice(SPECIAL, size=(40, 50)).astype(dtype)
        if dtype[0] == "c":
            f.imag = rng.choice(SPECIAL, size=f.shape)
        x = np.cumsum(rng.uniform(0.1, 1, 50))
        for spacing in ((), (0.3,), (-0.7,), (np.float64(0.3),), (1.0, x)):
            for edge_order in (1, 2):
                expected = np.gradient(f, *spacing, edge_order=edge_order)
                results = gpugrad.gradient(f, *spacing, edge_order=edge_order, backend="compiled")
                for got, wanted in zip(results, expected, strict=True):
                    assert_same_bits(got, wanted)


# Of sums along three axes there are kernels for 9 parts of a field each, so most are along two.
@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("is_norm", [False, True])
@pytest.mark.parametrize(
    ("dtype", "signs", "axes"),
    [
        *[
            (dtype, signs, (0, 1, 1))
            for dtype in ("f4", "f8", "c16", "i4")
            for signs in ((1, 1, 1), (1, -1, 1), (-1, 1, -1))
        ],
        ("f8", (1, -1, 1), (0, 1, 2)),
    ],
)
def test_sums_over_several_fields_take_one_pass(
    rng, small_pieces, dtype, signs, axes, is_norm, edge_order
):
    v = make_field(rng, (3, *(12, 20, 40)[-len({*axes}) :]), dtype)
    x = np.cumsum(rng.uniform(0.1, 1, 40))
    spacings = (0.3, np.float64(0.7), Steps(np.diff(x), is_not_monotonic=False))
    terms = [
        Term(sign, f, first_derivative(axis, h, edge_order))
        for sign, f, axis, h in zip(signs, v, axes, spacings, strict=True)
    ]
    if is_norm:
        assert_like_slices([Norm(terms), Norm(terms[:1]), terms, Norm(terms[::-1])])
    else:
        assert_like_slices([terms, terms[1:], terms[::-1]])


def second_derivative(axis, h):
    lower = Formula((0, 1, 2, 3), (2.0, -5.0, 4.0, -1), h * h)
    upper = Formula((0, -1, -2, -3), (2.0, -5.0, 4.0, -1), h * h)
    return AxisPlan(
        axis, (lower,), Formula((-1, 0, 1), (1, -2.0, 1), h * h), (upper,), None, True, {}
    )


def test_a_laplacian_is_one_sum(rng, small_pieces):
    f = make_field(rng, (12, 20, 40), "f8")
    assert_like_slices([[Term(1, f, second_derivative(axis, 0.3)) for axis in range(3)]])
    mixed = [Term(1, f, second_derivative(2, 0.3)), Term(-1, f, first_derivative(2, 0.3, 2))]
    assert_like_slices([mixed, mixed[::-1]])


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize("operator", ["gradient", "laplacian"])
def test_rows_of_all_lengths_begin_anywhere_in_a_line(
    rng, small_pieces, monkeypatch, operator, dtype
):
    """What lies beside a row keeps its value; rows shorter and longer than lines have ends."""
    monkeypatch.setattr(compiled_tiles, "TILE_BYTES", 1024)  # more than what is a short row
    lanes = 64 // np.dtype(dtype).itemsize
    options = {"accuracy": 4} if operator == "laplacian" else {"axis": 1}
    for n in [*range(6, 2 * lanes + 8), 5 * lanes + 6]:
        f = make_field(rng, (6, n) if operator == "laplacian" else (5, n), dtype)
        memory = np.empty((len(f), n + lanes), dtype)
        expected = getattr(gpugrad, operator)(f, **options, backend="slices")
        for start in range(lanes):
            memory[...] = 7
            out = memory[:, start : start + n]
            getattr(gpugrad, operator)(f, **options, out=out, backend="compiled")
            assert_same_bits(out, expected)
            assert (memory[:, :start] == 7).all()
            assert (memory[:, start + n :] == 7).all()


@pytest.mark.sampled
@pytest.mark.parametrize("shape", [(60,), (30, 44), (44, 9)])
def test_wide_formulas_and_many_rows_at_the_ends(rng, small_pieces, shape):
    """What higher accuracy and periodic axes will ask for."""
    f = make_field(rng, shape, "f8")
    weights = (0.25, -2.0, 1.5, 3.0, -0.125)
    ends = tuple(Formula(tuple(range(-i, 5 - i)), weights) for i in range(3))
    mirrored = tuple(Formula(tuple(range(i - 4, i + 1)), weights) for i in (2, 1, 0))
    for axis, n in enumerate(shape):
        wide = AxisPlan(axis, ends, Formula((-2, -1, 1, 2), (1, -8.0, 8.0, -1), 12.0), mirrored,
                        np.dtype("f8"), True, {})  # fmt: skip
        wraps = AxisPlan(axis, (Formula((1, n - 1), (1, -1), 0.6),), Formula((1, -1), (1, -1), 0.6),
                         (Formula((1 - n, -1), (1, -1), 0.6),), None, True, {})  # fmt: skip
        one_sided = AxisPlan(axis, (), Formula((1, 0), (1, -1), 0.3), ends[:1], None, True, {})
        assert_like_slices([[Term(1, f, wide)], [Term(1, f, wraps)],
                            [Term(-1, f, wide), Term(1, f, wraps)]])  # fmt: skip
        with pytest.raises(IndexError):
            f[(slice(None),) * axis + (n + 1,)]  # the case below reads up to, not beyond, the end
        upper = (Formula((-4, -3, -2, -1, 0), weights),)
        assert_like_slices([[Term(1, f, one_sided._replace(upper=upper))]])


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i4"])
@pytest.mark.parametrize("spacing", [None, "f4", "f8"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["differences", "products"])
def test_constants_of_boundaries_are_rounded_as_sums_are(
    rng, small_pieces, dtype, spacing, axis, kind
):
    f = make_field(rng, (30, 44), dtype)
    lower, upper = {
        "differences": (
            Formula((1, 0), (1, -1), 0.3, -1 / 3),
            Formula((0, -1), (1, -1), 0.3, 1 / 7),
        ),
        "products": (
            Formula((0, 1), (0.1, -0.3), None, -1 / 3),
            Formula((0, -1), (0.1, 1), 0.7, 0.1),
        ),
    }[kind]
    dtype = None if spacing is None else np.dtype(spacing)
    interior = Formula((1, -1), (1, -1), 0.6, -0.1)
    plan = AxisPlan(axis, (lower,), interior, (upper,), dtype, True, {})
    assert_like_slices([[Term(1, f, plan)], [Term(-1, f, plan), Term(1, f, plan)]])


def test_programs_cover_every_sample_once(rng, small_pieces):
    for shape in ((100,), (17, 40), (5, 30, 44), (200, 2), (2, 2, 2, 50)):
        f = np.zeros(shape)
        for _ in range(2):  # the second time from memory
            out = [np.full(shape, np.nan) for _ in shape]
            compiled_engine.evaluate(
                [[Term(1, f, first_derivative(a, 0.3, 1))] for a in range(f.ndim)], out
            )
            assert all((o == 0).all() for o in out)


@pytest.mark.parametrize("shape", [(n,) * 3 for n in (256, 384, 400, 513, 600)] + [(9, 70, 9999)])
def test_rows_that_fit_into_a_tile_stay_whole(shape):
    tiles, rows = compiled_tiles.cut_field(shape, (0, 1, 2), 8)
    _, middle, fastest = next(iter(tiles))
    bytes_of_a_step = (middle[1] - middle[0]) * shape[2] * 8
    assert fastest == (0, shape[2])
    assert compiled_tiles.TILE_BYTES / 2 < bytes_of_a_step <= compiled_tiles.TILE_BYTES
    assert 8 <= rows < 16


def test_a_program_keeps_to_the_factors_that_it_was_given():
    """Another thread may make others meanwhile, or a plan forget them."""
    f = np.zeros((5, 6))
    plan = first_derivative(1, Steps(np.arange(1.0, 6), False), 2)
    outputs = [[Term(1, f, plan)]]
    factors = compiled_factors.Factors(outputs)
    plan.memo.clear()
    compiled_factors.intern.cache_clear()
    draft = compiled_program.draft_program(outputs, [np.empty_like(f)], factors)
    assert len(draft[0]) > 0


def test_a_formula_that_no_row_has_takes_no_place_among_the_numbers():
    nothing = Formula((0, -1), (np.array([]), 1), 1.5, 0.25)
    end = Formula((0, 0), (1, np.array([0.5])), 0.3, 0.25)
    plan = AxisPlan(1, (end,), nothing, (), np.dtype("f8"), True, {})
    assert_like_slices([[Term(1, np.arange(3.0).reshape(3, 1), plan)]])


def test_a_remembered_program_serves_other_arrays_of_its_kind(rng):
    x = np.cumsum(rng.uniform(0.1, 1, 30))
    for _ in range(5):
        f = rng.normal(size=(30, 30, 30))
        spare = [rng.normal(size=100) for _ in range(int(rng.integers(0, 9)))]  # moves addresses
        for got, wanted in zip(
            gpugrad.gradient(f, x, x, x, backend="compiled"), np.gradient(f, x, x, x), strict=True
        ):
            assert_same_bits(got, wanted)
        del spare


class TestMemory:
    """What is remembered from call to call, and for which calls it serves."""

    @pytest.fixture(autouse=True)
    def programs(self, monkeypatch):
        programs = Store(most=5, most_bytes=1 << 25)
        monkeypatch.setattr(offers, "programs", programs)
        return programs

    def test_it_is_bounded(self, programs):
        for n in range(30, 50):
            gpugrad.gradient(np.zeros(n), 0.5, backend="compiled")
        assert len(programs) == 5

    @pytest.mark.parametrize("accuracy", [2, 6])
    def test_a_program_serves_all_spacings(self, programs, rng, accuracy):
        f = rng.normal(size=(17, 19))
        for h in (0.3, 0.7, np.float64(1e-3), 3.0):
            options = {"accuracy": accuracy, "boundary": ("reflect", "one-sided")}
            results = gpugrad.gradient(f, h, backend="compiled", **options)
            expected = gpugrad.gradient(f, h, backend="slices", **options)
            for got, wanted in zip(results, expected, strict=True):
                assert_same_bits(got, wanted)
        # A NumPy scalar brings its dtype along.
        assert len(programs) <= 2

    def test_a_program_serves_all_coordinates(self, programs, rng):
        f = rng.normal(size=(17, 19))
        for _ in range(4):
            x, y = np.cumsum(rng.uniform(1, 2, 17)), np.cumsum(rng.uniform(1, 2, 19))
            results = gpugrad.gradient(f, x, y, backend="compiled")
            for got, wanted in zip(results, np.gradient(f, x, y), strict=True):
                assert_same_bits(got, wanted)
        assert len(programs) == 1

    @pytest.mark.parametrize(
        "spacings",
        [
            [(0.3, 0.3), (0.3, 0.7), (0.7, 0.3), (0.7, 0.7)],  # which are equal, and which not
            [(0.25, 0.3), (0.3, 0.25), (0.25, 0.125), (0.5, 0.5), (0.3, 0.3)],  # exact reciprocals
            [(1.0, 0.1), (0.1, 1.0), (1.0, 1.0)],
        ],
    )
    def test_equal_and_special_spacings_are_told_apart(self, rng, spacings):
        f = rng.normal(size=(17, 19))
        for pair in spacings * 2:
            for name, options in (("gradient", {}), ("laplacian", {"accuracy": 4})):
                call = getattr(gpugrad, name)
                got = call(f, *pair, backend="compiled", **options)
                assert_same_bits(np.array(got), np.array(call(f, *pair, backend="slices",
                                                              **options)))  # fmt: skip

    def test_values_at_boundaries_are_told_apart(self, programs, rng):
        f = rng.normal(size=40)
        for value in (0.0, -0.0, 1.5, -2.0, 1.5):
            options = {"boundary": (value, "one-sided")}
            got = gpugrad.gradient(f, 0.3, backend="compiled", **options)
            assert_same_bits(got, gpugrad.gradient(f, 0.3, backend="slices", **options))

    @pytest.mark.exhaustive
    def test_masks_and_their_formulas(self, programs, rng):
        f, where = rng.normal(size=(12, 13)), rng.random((12, 13)) > 0.2
        for h in (0.3, 0.7, 0.5, 1.0):
            got = gpugrad.gradient(f, h, where=where, accuracy=4, backend="compiled")
            expected = gpugrad.gradient(f, h, where=where, accuracy=4, backend="slices")
            assert_same_bits(np.array(got), np.array(expected))

    def test_others_weights_die_with_their_plans(self, rng):
        x = np.cumsum(rng.uniform(1, 2, 1 << 16))
        gpugrad.gradient(np.zeros(1 << 16), x, backend="compiled")
        (offer,) = [entry.thing for entry in offers.programs._entries.values()]
        assert offer.program.nbytes < 1 << 14


def test_warnings_and_errors_are_numpys():
    f = np.zeros((50, 60))
    f[20, 30], f[22, 30] = -1e308, 1e308
    with pytest.warns(RuntimeWarning, match="overflow encountered in subtract"):
        gpugrad.gradient(f, axis=0, backend="compiled")
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="overflow"):
        gpugrad.gradient(f, axis=0, backend="compiled")
    with np.errstate(all="ignore"):
        assert_same_bits(gpugrad.gradient(f, axis=0, backend="compiled"), np.gradient(f, axis=0))
    with np.errstate(all="raise"):
        gpugrad.gradient(f, axis=1)  # nothing overflows along the other axis
    f[20, 30] = f[22, 30] = np.inf
    with pytest.warns(RuntimeWarning, match="invalid value"):
        gpugrad.gradient(f, axis=0, backend="compiled")
    f[...] = np.nan  # quiet, in NumPy too
    with np.errstate(all="raise"):
        gpugrad.gradient(f, backend="compiled")


@pytest.mark.parametrize("layout", ["Fortran", "transposed", "reversed", "padded rows"])
def test_each_kind_of_trouble_is_told_once_wherever_it_is(small_pieces, rng, layout):
    line = [int(i) for i in rng.integers(2, 18, 3)]
    heard = []
    for kind, low, high in (("overflow", -1e308, 1e308), ("invalid", np.inf, np.inf)):
        for i in (1, 38, line[0]):
            g = LAYOUTS[layout](np.ones((40, 30, 20)))
            for place in (line, [*line[:2], line[2] + 2]):  # in more blocks than one
                g[i - 1, place[1], place[2]], g[i + 1, place[1], place[2]] = low, high
            out = [np.zeros_like(g) for _ in range(3)]
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                gpugrad.gradient(g, 0.5, out=tuple(out), backend="compiled")
            assert [str(w.message).split()[0] for w in told] == [kind]
            assert told[0].category is RuntimeWarning
            assert told[0].filename == __file__
            with np.errstate(all="call", call=lambda words, _: heard.append(words.split()[0])):
                gpugrad.gradient(g, 0.5, backend="compiled")
            assert set(heard) == {kind}
            heard.clear()
            with np.errstate(all="ignore"):
                expected = np.gradient(g, 0.5)
            results = [np.zeros_like(g) for _ in range(3)]
            with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=f"^{kind}"):
                gpugrad.gradient(g, 0.5, out=tuple(results), backend="compiled")
            for got, other, wanted in zip(out, results, expected, strict=True):
                assert_same_bits(got, wanted)
                assert_same_bits(other, wanted)  # they were all written before


def test_trouble_of_two_kinds_is_told_of_both_and_a_false_alarm_is_not(small_pieces, monkeypatch):
    f = np.ones((40, 50))
    f[5, 5] = f[5, 7] = np.inf
    f[30, 5], f[30, 7] = 1e308, -1e308
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gpugrad.gradient(f, axis=1, backend="compiled")
    assert {str(w.message).split()[0] for w in told} == {"invalid", "overflow"}
    assert len(told) == 2
    run = compiled_engine.run_on_threads

    def run_with_alarms(program, arrays):
        run(program, arrays)
        return np.full(len(program.items), 255, np.int32), program.bounds

    monkeypatch.setattr(compiled_engine, "run_on_threads", run_with_alarms)
    with np.errstate(all="raise"):
        gpugrad.gradient(np.ones((40, 50)), axis=1, backend="compiled")


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize("name", ["gradient", "laplacian", "gradient_norm"])
@pytest.mark.parametrize("h", [0.5, 1e-15, 1e15])
def test_trouble_of_all_kinds_is_found_behind_results(small_pieces, rng, dtype, name, h):
    numbers = np.finfo(dtype)
    for number in (np.inf, numbers.max, numbers.tiny):
        f = rng.standard_normal((60, 40)).astype(dtype)
        f[30:35, 20:25] = number * rng.choice([-1, 1, 0.75], (5, 5))
        heard = {"compiled": set(), "numpy": set()}
        for kinds in ("all", "invalid", "over", "under"):
            for backend, words in heard.items():
                call = {kinds: "call", "call": lambda message, _, words=words: words.add(message)}
                with np.errstate(**{"all": "ignore"} | call):
                    getattr(gpugrad, name)(f, h, backend=backend)
            assert heard["compiled"] == heard["numpy"]


def test_trouble_on_any_thread_is_heard_of(small_pieces):
    for row in (1, 250, 498):
        f = np.zeros((500, 60))
        f[row - 1, 3], f[row + 1, 3] = -1e308, 1e308
        with gpugrad.use_backend("compiled", threads=4), np.errstate(over="raise"):
            with pytest.raises(FloatingPointError):
                gpugrad.gradient(f, axis=0)
            gpugrad.gradient(f.T[::-1], axis=0)


@pytest.mark.exhaustive(dtype="f4")
@pytest.mark.exhaustive(dtype="u8")
@pytest.mark.parametrize("dtype", ["f4", "c16", "u8"])
def test_the_other_byte_order_is_swapped_on_the_way(rng, dtype):
    other, order = np.dtype(dtype).newbyteorder(), np.dtype("f8").newbyteorder()
    native = make_field(rng, (7, 40), dtype)
    f, x = native.astype(other), np.cumsum(rng.uniform(0.1, 1, 40)).astype(order)
    where = rng.random(f.shape) > 0.2
    for call in (
        lambda f, **options: gpugrad.gradient(f, 0.3, x, stack=True, **options),
        lambda f, **options: gpugrad.gradient_norm(f[:, ::2], np.float64(0.3), **options),
        lambda f, **options: gpugrad.derivative(f, 0.3, axis=0, where=where, **options),
    ):
        expected = call(f, backend="slices")
        assert_same_bits(call(f, backend="compiled"), expected)
        assert_same_bits(call(f, backend="numpy"), expected)
        for out in (np.empty_like(expected), expected.astype(expected.dtype.newbyteorder())):
            call(native, out=out, backend="compiled")
            assert_same_bits(out, expected.astype(out.dtype))


def test_large_fields_need_no_large_temporaries(rng):
    f = rng.normal(size=(128, 128, 128))
    out = tuple(np.empty_like(f) for _ in range(3))
    x = np.cumsum(rng.uniform(0.1, 1, 128))
    for field in (f, f.astype("i2"), f[::-1, :, ::-1], f.astype(f.dtype.newbyteorder())):
        for spacing in ((), (x, 0.5, x)):
            gpugrad.gradient(field, *spacing, out=out, backend="compiled")
            tracemalloc.start()
            try:
                gpugrad.gradient(field, *spacing, out=out, backend="compiled")
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < 1 << 18


def test_many_callers_at_once_get_right_answers(rng, small_pieces):
    fields = [rng.normal(size=(20 + i % 5, 80)) for i in range(40)]
    expected = [np.gradient(f, 0.5) for f in fields]
    compiled_kernels.addresses.clear()

    def call(i):
        with gpugrad.use_backend("compiled", threads=2):
            return gpugrad.gradient(fields[i], 0.5)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(40)))
    for result, wanted in zip(results, expected, strict=True):
        for a, b in zip(result, wanted, strict=True):
            assert_same_bits(a, b)


@pytest.mark.exhaustive
@pytest.mark.exhaustive(method="spawn")
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.*:RuntimeWarning")
def test_it_works_in_pools_of_processes(rng, method, monkeypatch):
    f = rng.normal(size=(60, 70))
    monkeypatch.setattr(compiled_engine, "THREADED_BYTES", 0)
    expected = in_child.differentiate(f)  # starts a thread, which a forked child has not
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for result in pool.map(in_child.differentiate, [f] * 4, timeout=300):
            for got, wanted in zip(result, expected, strict=True):
                assert_same_bits(got, wanted)


def test_a_thread_alone_needs_no_pool(monkeypatch):
    def forbidden(*args):
        raise AssertionError("a thread has been started")

    gpugrad.gradient(np.ones((200, 200, 20)), backend="compiled")  # compiling takes another thread
    monkeypatch.setattr(_thread, "start_new_thread", forbidden)
    with gpugrad.use_backend("compiled", threads=1):
        results = gpugrad.gradient(np.ones((200, 200, 20)))
    assert not any(result.any() for result in results)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (np.zeros(9, "f2"), "float16"),
        (np.zeros(9, "g"), np.dtype("g").name if np.dtype("g").itemsize > 8 else "float64"),
        (np.zeros(9, "O"), "object"),
        (np.zeros(9, "m8[s]"), "timedelta64"),
        (np.ma.zeros(9, "f4"), "masked lines in single precision"),
    ],
)
def test_what_it_cannot_take_is_named_or_goes_elsewhere(f, reason, monkeypatch):
    with pytest.raises(gpugrad.BackendError, match=f'"compiled" cannot run this: .*{reason}'):
        gpugrad.gradient(f, backend="compiled")
    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    assert gpugrad.gradient(f).dtype == np.gradient(f).dtype


def test_extended_coordinates_go_elsewhere(monkeypatch):
    if np.dtype("g").itemsize == 8:
        pytest.skip("longdouble is float64 here")
    x = np.arange(9, dtype="g")
    with pytest.raises(gpugrad.BackendError, match="spacings in float32 or float64"):
        gpugrad.gradient(np.zeros(9), x**2, backend="compiled")
    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    assert_same_bits(gpugrad.gradient(np.ones(9), x**2), np.gradient(np.ones(9), x**2))


@pytest.fixture
def chosen(monkeypatch):
    """Return the names of the engines that `auto` has called."""
    prepared._calls.clear()  # a call that has its program ready chooses nothing
    names = []
    engines = {"compiled_engine": compiled_engine, "numpy_blocks": numpy_blocks, "slices": slices}
    for name, module in engines.items():
        evaluate = module.evaluate

        def spy(*args, name=name, evaluate=evaluate):
            names.append(name)
            return evaluate(*args)

        monkeypatch.setattr(module, "evaluate", spy)
    return names


def test_auto_takes_it_for_large_fields_alone(chosen, monkeypatch):
    monkeypatch.setattr(offers, "PATIENCE", 0)
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    gpugrad.gradient(np.zeros(1 << 25))
    gpugrad.gradient(np.zeros(dispatch.COMPILED_SIZE))
    gpugrad.gradient(np.zeros(dispatch.COMPILED_SIZE - 1))
    gpugrad.gradient(np.zeros(dispatch.COMPILED_SIZE, "f2"))
    assert chosen == ["compiled_engine", "compiled_engine", "numpy_blocks", "numpy_blocks"]


class TestWhenToCompile:
    """Once the NumPy engine has taken as long as compiling will take: see `offers`."""

    F = np.zeros((256, 256), "c8")

    @pytest.fixture(autouse=True)
    def new(self, monkeypatch):
        """Let nothing be compiled, and let it take a second, unless a call is to take long."""
        offers.programs.clear()
        compiled_kernels.addresses.clear()
        monkeypatch.setattr(compiled_kernels, "expect_seconds", lambda spec: 1.0)
        monkeypatch.setattr(offers, "expect_seconds", lambda outputs: 0.0)
        monkeypatch.setattr(offers, "LAYOUT_SECONDS", 0.0)

    def spend(self, seconds):
        (offer,) = [entry.thing for entry in offers.programs._entries.values()]
        offer.count(seconds)
        offer.count(0.0)  # the next call is not expected to take so long

    def test_on_one_thread_in_the_call_that_finds_it_due(self, chosen):
        with gpugrad.use_backend(threads=1):
            for seconds in (0.5, 1.0, 1.0):  # there are two kernels
                gpugrad.gradient(self.F)
                self.spend(seconds)
            gpugrad.gradient(self.F)
        assert chosen == ["numpy_blocks"] * 3 + ["compiled_engine"]

    def test_on_more_threads_beside_the_calls(self, chosen):
        with gpugrad.use_backend(threads=2):
            gpugrad.gradient(self.F)
            self.spend(4.0)
            gpugrad.gradient(self.F)  # this asks, and does not wait
            assert chosen == ["numpy_blocks"] * 2
            (offer,) = [entry.thing for entry in offers.programs._entries.values()]
            end = time.monotonic() + 60
            while offer.program is None and time.monotonic() < end:
                time.sleep(0.01)
            gpugrad.gradient(self.F)
        assert chosen[2:] == ["compiled_engine"]

    def test_at_once_where_the_call_would_take_longer_otherwise(self, chosen, monkeypatch):
        monkeypatch.setattr(offers, "expect_seconds", lambda outputs: 4.0)
        gpugrad.gradient(self.F)
        assert chosen == ["compiled_engine"]

    def test_what_kernels_there_are_costs_nothing(self, chosen):
        gpugrad.gradient(self.F, backend="compiled")
        gpugrad.gradient(np.zeros((300, 400), "c8"))
        assert chosen == ["compiled_engine"] * 2

    def test_no_program_is_made_that_would_not_fit(self, chosen, monkeypatch):
        monkeypatch.setattr(offers, "MOST_BYTES", 1 << 9)
        monkeypatch.setattr(offers, "PATIENCE", 0)
        gpugrad.gradient(self.F)
        assert chosen == ["numpy_blocks"]

    def test_a_compiler_that_fails_is_not_asked_again(self, chosen, monkeypatch):
        def fail(spec):
            raise RuntimeError("LLVM ERROR: a stand-in")

        monkeypatch.setattr(compiled_kernels, "compile_kernel", fail)
        with gpugrad.use_backend(threads=2):
            gpugrad.gradient(self.F)
            self.spend(9.0)
            gpugrad.gradient(self.F)
        (offer,) = [entry.thing for entry in offers.programs._entries.values()]
        end = time.monotonic() + 60
        while not offer._is_declined and time.monotonic() < end:
            time.sleep(0.01)
        with gpugrad.use_backend(threads=1):
            gpugrad.gradient(self.F)
        assert chosen == ["numpy_blocks"] * 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_forks_and_the_end_wait_for_the_kernel_that_is_being_compiled(self):
        run = run_python(
            "import os, numpy as np, gpugrad\n"
            "from gpugrad._engines.compiled import offers\n"
            "offers.START_SECONDS = offers.TAP_SECONDS = offers.LAYOUT_SECONDS = 0.0\n"
            "f, options = np.ones((300, 400)), {'accuracy': 8}\n"
            "with gpugrad.use_backend(threads=2):\n"
            "    gpugrad.laplacian(f, **options)\n"
            "    (offer,) = [entry.thing for entry in offers.programs._entries.values()]\n"
            "    offer.count(60.0)\n"
            "    offer.count(0.0)\n"
            "    gpugrad.laplacian(f, **options)\n"  # asks for the program
            "    assert offer._asked_by == os.getpid() and offer.program is None\n"
            "    if not os.fork():\n"
            "        gpugrad.laplacian(f, backend='compiled', **options)\n"
            "        print('the child can compile', flush=True)\n"
            "        os._exit(0)\n"
            "assert os.wait()[1] == 0\n"
            "gpugrad.gradient(f, 0.3, accuracy=6)\n"
            "print('the parent ends')"
        )
        assert run.stdout.split("\n")[:2] == ["the child can compile", "the parent ends"], (
            run.stderr
        )
        assert run.returncode == 0, run.stderr

    def test_sums_are_laid_out_axis_by_axis(self, rng):
        f = rng.normal(size=(9,) * 5)
        outputs = [[Term(1, f, first_derivative(axis, 0.5, 2)) for axis in range(5)]]
        assert offers.bound_size(outputs).nbytes < 1 << 20  # with all combinations, 3^5 boxes


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_small_fields_never_load_the_compiler():
    run = run_python(
        "import sys, numpy as np, gpugrad\n"
        "for n in (10, 1000, 100_000):\n"
        "    for _ in range(20): gpugrad.gradient(np.zeros(n))\n"
        "assert 'llvmlite' not in sys.modules and 'numba' not in sys.modules\n"
        "with gpugrad.use_backend(threads=1):\n"
        "    for _ in range(20): gpugrad.gradient(np.zeros(4_000_000, 'f4'), accuracy=6)\n"
        "assert 'llvmlite' in sys.modules and 'numba' not in sys.modules"
    )
    assert run.returncode == 0, run.stderr


def test_without_the_compiler_the_error_says_what_to_install():
    run = run_python(
        "import sys; sys.modules['llvmlite'] = None\n"
        "import numpy as np, gpugrad\n"
        "gpugrad.gradient(np.zeros(40_000_000, 'f4'))\n"
        "try: gpugrad.gradient(np.zeros(9), backend='compiled')\n"
        "except gpugrad.BackendError as error: print(error)"
    )
    assert 'backend "compiled" cannot run: it needs llvmlite' in run.stdout, run.stderr
    assert 'Run `pip install "gpugrad[cpu]"`.' in run.stdout


def test_a_broken_compiler_is_named_and_auto_does_without(tmp_path):
    package = tmp_path / "llvmlite"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libllvmlite.so: cannot open')")
    run = run_python(
        "import numpy as np, gpugrad\n"
        "gpugrad.gradient(np.zeros(40_000_000, 'f4'))\n"
        "try: gpugrad.gradient(np.zeros(9), backend='compiled')\n"
        "except gpugrad.BackendError as error: print(error)",
        PYTHONPATH=str(tmp_path),
    )
    assert "OSError: libllvmlite.so: cannot open. Run" in run.stdout, run.stderr


def test_fields_it_cannot_take_do_not_start_it():
    run = run_python(
        "import sys, numpy as np, gpugrad\n"
        "f = np.zeros(40_000_000, 'f2')\n"
        "gpugrad.gradient(f)\n"
        "print('llvmlite' in sys.modules)"
    )
    assert run.stdout == "False\n", run.stderr


def test_it_needs_no_home_to_write_to(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o500)
    run = run_python(
        "import numpy as np, gpugrad\n"
        "print(gpugrad.gradient(np.arange(9.0) ** 2, backend='compiled')[4])",
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert run.stdout == "8.0\n", run.stderr
    home.chmod(0o700)
    assert not [*home.rglob("*")]


class TestTorch:
    """Tensors in host memory are read and written where they lie."""

    @pytest.fixture
    def torch(self, monkeypatch):
        monkeypatch.setattr(dispatch, "TENSOR_SIZE", 0)
        monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
        monkeypatch.setattr(ready, "MOST_BYTES", 0)
        monkeypatch.setattr(ready, "MOST_BYTES_ON_THREADS", 0)  # tensors stand for large ones
        monkeypatch.setattr(offers, "PATIENCE", 0)
        return pytest.importorskip("torch")

    @pytest.mark.parametrize(
        "dtype", ["float32", "float64", "complex64", "int16", "uint8", "int64"]
    )
    def test_tensors_come_back(self, torch, chosen, rng, dtype):
        f = torch.asarray(rng.normal(size=(40, 50)) * 99).to(getattr(torch, dtype))
        for field in (f, f.T, f[:, ::2]):
            results = gpugrad.gradient(field, 0.3, np.cumsum(rng.uniform(0.1, 1, field.shape[1])))
            assert all(type(result) is torch.Tensor for result in results)
        assert set(chosen) == {"compiled_engine"}
        for got, wanted in zip(
            gpugrad.gradient(f, 0.3), gpugrad.gradient(f, 0.3, backend="slices"), strict=True
        ):
            assert got.dtype == wanted.dtype
            assert_same_bits(got, wanted.numpy())

    def test_out_is_written_in_place(self, torch, chosen):
        f = torch.arange(2000.0).reshape(40, 50) ** 2
        out = (torch.zeros(40, 50), torch.zeros(50, 40).T)
        pointers = [target.data_ptr() for target in out]
        returned = gpugrad.gradient(f, out=out)
        assert chosen == ["compiled_engine"]
        assert [target.data_ptr() for target in returned] == pointers
        for got, wanted in zip(out, np.gradient(f.numpy()), strict=True):
            assert_same_bits(got.numpy(), wanted)
        stacked = gpugrad.gradient(f, stack=True)
        assert_same_bits(stacked.numpy(), np.stack(np.gradient(f.numpy())))
        f2 = f.clone()
        gpugrad.gradient(f2, axis=0, out=f2)
        assert_same_bits(f2.numpy(), np.gradient(f.numpy(), axis=0))

    def test_overflow_is_silent_as_in_torch(self, torch):
        f = torch.tensor([3e38, 0.0, -3e38, 1.0])
        with warnings.catch_warnings(), np.errstate(all="raise"):
            warnings.simplefilter("error")
            assert gpugrad.gradient(f)[1] == -torch.inf

    @pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
    def test_gradients_flow_through_it_and_transformations_through_slices(self, torch, chosen):
        f = (torch.arange(100.0) ** 2).requires_grad_()
        (slope,) = torch.autograd.grad(gpugrad.gradient(f).sum(), f)
        assert slope.abs().sum() > 0
        assert chosen == ["compiled_engine"] * 2  # there and back
        del chosen[:]
        plain = f.detach()
        jacobian_times = torch.func.jvp(gpugrad.gradient, (plain,), (torch.ones(100),))[1]
        assert jacobian_times.abs().max() == 0
        assert torch.func.grad(lambda g: gpugrad.gradient(g)[0])(plain)[1] == 1
        assert torch.func.vmap(gpugrad.gradient)(plain.reshape(4, 25)).shape == (4, 25)
        from torch.autograd import forward_ad

        with forward_ad.dual_level():
            dual = forward_ad.make_dual(plain, torch.arange(100.0))
            tangent = forward_ad.unpack_dual(gpugrad.gradient(dual)).tangent
            assert tangent is not None
            assert (tangent == 1).all()
        assert set(chosen) == {"slices"}

    def test_tensors_without_memory_go_through_slices(self, torch, chosen):
        assert gpugrad.gradient(torch.empty(9, device="meta")).device.type == "meta"
        conjugate = torch.ones(9, dtype=torch.complex64).conj()
        assert gpugrad.gradient(conjugate).dtype == torch.complex64
        assert gpugrad.gradient(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16
        assert set(chosen) == {"slices"}

    @pytest.mark.nightly  # imports what compiles
    @pytest.mark.filterwarnings("ignore:Dynamo detected a call:UserWarning")
    def test_compiled_functions_are_traced(self, torch, chosen):
        f = torch.arange(100.0) ** 2
        compiled = torch.compile(lambda f: gpugrad.gradient(f), backend="eager")
        assert_same_bits(compiled(f).numpy(), np.gradient(f.numpy()))
