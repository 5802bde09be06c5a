"""Engines against the reference, and how the NumPy engine works: blocks, threads, memory."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import (
    AxisPlan,
    Formula,
    Steps,
    Store,
    Term,
    _threads,
    first_derivative,
    numpy_blocks,
    numpy_subclasses,
    slices,
)


def derivative_terms(f, signs, spacing=0.3, edge_order=1):
    return [
        Term(sign, field, first_derivative(axis, spacing, edge_order))
        for axis, (sign, field) in enumerate(zip(signs, f, strict=True))
    ]


class TestStore:
    """What engines remember."""

    def test_the_longest_unused_goes_first(self):
        store = Store(most=3)
        for key in "abc":
            store.keep(key, key.upper())
        assert store.find("a") == "A"
        store.keep("d", "D")
        assert [store.find(key) for key in "abcd"] == ["A", None, "C", "D"]
        store.clear()
        assert len(store) == 0
        assert store.find("a") is None

    def test_bytes_have_a_limit(self):
        store = Store(most=99, most_bytes=10)
        store.keep("a", 1, nbytes=6)
        store.keep("b", 2, nbytes=4)
        store.keep("whole", 3, nbytes=11)  # which would drive out all others, and itself
        assert [store.find(key) for key in ("a", "b", "whole")] == [1, 2, None]
        store.keep("b", 4, nbytes=5)
        assert [store.find(key) for key in "ab"] == [None, 4]

    def test_what_is_kept_again_counts_once(self):
        store = Store(most=9, most_bytes=10)
        for _ in range(5):
            store.keep("a", 1, nbytes=6)
        store.keep("b", 2, nbytes=4)
        assert [store.find(key) for key in "ab"] == [1, 2]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 128)
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    monkeypatch.setattr(numpy_blocks, "FLAT_SIZE", 0)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("spacing", [0.3, np.float64(0.3)])
def test_sums_of_terms_have_the_bits_of_the_reference(rng, small_blocks, dtype, signs, spacing):
    v = (rng.normal(size=(2, 7, 9)) * 9).astype(dtype)
    outputs = [derivative_terms(v, signs, spacing, edge_order) for edge_order in (1, 2)]
    expected = slices.evaluate(outputs)
    for got, wanted in zip(numpy_blocks.evaluate(outputs), expected, strict=True):
        assert_same_bits(got, wanted)
    of_results = gpugrad.gradient(v[0], axis=0).dtype
    whole = [np.empty(v.shape[1:], of_results) for _ in outputs]
    numpy_blocks.evaluate(outputs, whole)
    for got, wanted in zip(whole, expected, strict=True):
        assert_same_bits(got, wanted)


@pytest.mark.parametrize("engine", [slices, numpy_subclasses])
def test_engines_write_to_out_after_everything_has_been_read(rng, engine):
    f = rng.normal(size=(7, 9))
    outputs = [[Term(1, f, first_derivative(axis, 0.3, 2))] for axis in (0, 1)]
    expected = np.gradient(f, 0.3, edge_order=2)
    out = (f, np.empty_like(f))  # the first is the field itself
    assert engine.evaluate(outputs, out) == out
    for got, wanted in zip(out, expected, strict=True):
        assert_same_bits(got, wanted)


def test_a_sum_is_what_numpy_gives_term_by_term(rng):
    u, v = rng.normal(size=(2, 7, 9))
    (divergence,) = numpy_blocks.evaluate([derivative_terms((u, v), (1, 1))])
    assert_same_bits(divergence, np.gradient(u, 0.3, axis=0) + np.gradient(v, 0.3, axis=1))
    (curl,) = numpy_blocks.evaluate([[Term(1, v, first_derivative(0, 0.3, 1)),
                                   Term(-1, u, first_derivative(1, 0.3, 1))]])  # fmt: skip
    assert_same_bits(curl, np.gradient(v, 0.3, axis=0) - np.gradient(u, 0.3, axis=1))


FORMULAS = {
    "second derivative": Formula((-1, 0, 1), (1, -2.0, 1), 0.25),
    "minus a sample": Formula((1,), (-1,)),
    "leading minus": Formula((0, 1), (-1, 1), 0.5),
    "difference without divisor": Formula((1, 0), (1, -1)),
    "sum without divisor": Formula((0, 1, 2), (1, 1, -1)),
    "fourth order": Formula((-2, -1, 1, 2), (1, -8.0, 8.0, -1), 6.0),
    "constant beside a difference": Formula((1, -1), (1, -1), 0.3, 1 / 3),
    "constant beside products": Formula((-1, 0, 1), (0.3, -2.0, 1.7), None, -1 / 3),
    "divisor by row": Formula((0, 1), (1, -1), np.arange(1, 6) / 3),
    "weights by row": Formula((0, 1), (np.arange(1, 6) / 3, np.arange(2, 7) / 7)),
}


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "i2"])
@pytest.mark.parametrize("spacing_dtype", [None, "f4", "f8"])
@pytest.mark.parametrize("name", FORMULAS)
def test_any_formula_that_a_plan_can_hold(rng, small_blocks, name, spacing_dtype, dtype):
    """The plans of today use few of the forms that a plan allows; engines must know them all."""
    if "by row" in name and spacing_dtype is None:
        pytest.skip("arrays of weights come with the dtype of the spacing")
    interior = FORMULAS[name]
    if "by row" in name:
        weights = [np.asarray(w).astype(spacing_dtype) if np.ndim(w) else w for w in interior[1]]
        divisor = (
            interior.divisor if interior.divisor is None else interior.divisor.astype(spacing_dtype)
        )
        interior = Formula(interior.offsets, tuple(weights), divisor)
    ends = (
        Formula((0, 1), (-2.0, 1.5), None, 0.1),
        Formula((0, 1), (1, -1), 0.7, 1 / 7),
        Formula((0, 1, 2), (1, -1, 0.3), 0.7),
    )
    mirrored = tuple(f._replace(offsets=tuple(-k for k in f.offsets)) for f in ends)
    spacing_dtype = spacing_dtype and np.dtype(spacing_dtype)
    f = (rng.normal(size=(11, 4)) * 9).astype(dtype)
    for field, axis in ((f, 0), (f.T.copy(), 1), (f[:, 0].copy(), 0)):
        plan = AxisPlan(axis, ends, interior, mirrored, spacing_dtype, True, {})
        outputs = [[Term(1, field, plan)], [Term(-1, field, plan), Term(1, field, plan)]]
        expected = slices.evaluate(outputs)
        for got, wanted in zip(numpy_blocks.evaluate(outputs), expected, strict=True):
            assert_same_bits(got, wanted)


def test_plans_cut_every_axis_into_regions_without_gaps():
    for plan in (first_derivative(0, 0.5, 1), first_derivative(0, 0.5, 2)):
        for n in range(2, 9):
            rows = [(r.start, r.stop) for r in plan.regions(n)]
            assert rows[0][0] == 0
            assert rows[-1][1] == n
            assert all(a[1] == b[0] for a, b in itertools.pairwise(rows))
            assert all(start < stop for start, stop in rows)


def test_plans_are_made_once_for_numbers_and_for_gaps():
    assert first_derivative(0, 0.5, 1) is first_derivative(0, 0.5, 1)
    assert first_derivative(0, 1.0, 1) is not first_derivative(0, np.float64(1), 1)
    gaps = Steps(np.array([1.0, 2.0]), is_not_monotonic=False)
    assert first_derivative(0, gaps, 1) is first_derivative(0, gaps, 1)
    assert first_derivative(0, gaps, 1) is not first_derivative(0, gaps, 2)


def test_what_an_engine_remembers_is_bounded(rng):
    for n in range(2, 400):
        gpugrad.gradient(np.zeros(n), 0.123)
    assert len(first_derivative(0, 0.123, 1).memo) <= 64


@pytest.mark.parametrize(
    "shape", [(1000,), (3, 1000), (1000, 3), (40, 30, 20), (2, 2, 2, 200), (1, 500)]
)
def test_blocks_cover_every_sample_once(shape, monkeypatch):
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 1024)
    for f in (np.zeros(shape), np.zeros(shape, order="F"), np.zeros(shape).T):
        count = np.zeros(f.shape, int)
        for block in numpy_blocks._cut_field(f):
            count[block] += 1
            assert f[block].nbytes <= 1024
        assert (count == 1).all()


def test_large_fields_need_no_large_temporaries(rng):
    f = rng.normal(size=(128, 128, 128))
    out = tuple(np.empty_like(f) for _ in range(3))
    x = np.cumsum(rng.uniform(0.1, 1, 128))
    for spacing in ((), (x, 0.5, x)):
        gpugrad.gradient(f, *spacing, out=out)
        tracemalloc.start()
        try:
            with gpugrad.use_backend("numpy", threads=1):
                gpugrad.gradient(f, *spacing, out=out, edge_order=2)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4 * numpy_blocks.BLOCK_BYTES


def test_threads_compute_large_fields(rng, monkeypatch):
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    seen = set()
    another_came = threading.Event()
    original = numpy_blocks._write

    def spy(*args):
        seen.add(threading.current_thread().name)
        if "gpugrad" in seen:
            another_came.set()
        another_came.wait(60)  # or the caller might take all shares before
        original(*args)

    monkeypatch.setattr(numpy_blocks, "_write", spy)
    f = rng.normal(size=(64, 64, 64))
    with gpugrad.use_backend("numpy", threads=2):
        threaded = gpugrad.gradient(f)
    assert "gpugrad" in seen
    seen.clear()
    with gpugrad.use_backend("numpy", threads=1):
        alone = gpugrad.gradient(f)
    assert "gpugrad" not in seen
    for got, wanted in zip(threaded, alone, strict=True):
        assert_same_bits(got, wanted)


def test_the_callers_error_state_holds_on_every_thread(monkeypatch):
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    f = np.zeros((64, 64))
    f[-1], f[-2] = 1e308, -1e308  # overflows in the last share alone
    with gpugrad.use_backend(threads=4):
        with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
            gpugrad.gradient(f, axis=0)
        with np.errstate(over="ignore"):
            gpugrad.gradient(f, axis=0)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(300, 40), (2000, 5), (20, 30, 40), (5, 3000)])
@pytest.mark.parametrize("size", [1, 0], ids=["whole", "blocks"])
def test_rows_joined_into_one_have_the_bits_of_rows(rng, monkeypatch, size, shape, order, dtype):
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", size * 10**9)
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 1 << 16)
    joined = []
    original = numpy_blocks._subtract_flat
    monkeypatch.setattr(
        numpy_blocks, "_subtract_flat", lambda *args: joined.append(original(*args)) or joined[-1]
    )
    f = np.asarray(rng.normal(size=shape) * 9, dtype, order=order)
    for edge_order in (1, 2):
        expected = np.gradient(f, 0.3, edge_order=edge_order)
        for got, wanted in zip(
            gpugrad.gradient(f, 0.3, edge_order=edge_order), expected, strict=True
        ):
            assert_same_bits(got, wanted)
    assert any(joined) or size == 0


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "g", "c16", "i4"])
@pytest.mark.parametrize("h", [1.0, 0.25, -0.5, -4.0, 2.0**40, 2.0**-40, 3.0, np.float32(0.5)])
def test_products_in_place_of_quotients_have_their_bits(rng, dtype, h):
    f = (1e3 * rng.normal(size=(90, 101))).astype(dtype)
    if f.dtype.kind == "f":  # tiny numbers, and special ones
        f[::7] *= 10 * np.finfo(f.dtype).tiny
        f[5, :4] = -0.0, np.inf, np.nan, -np.inf
    with np.errstate(all="ignore"):
        for axis in (0, 1):
            expected = gpugrad.gradient(f, h, axis=axis, backend="slices")
            assert_same_bits(gpugrad.gradient(f, h, axis=axis, backend="numpy"), expected)
        expected = gpugrad.divergence((f, f), -h, h, backend="slices")
        assert_same_bits(gpugrad.divergence((f, f), -h, h, backend="numpy"), expected)


def test_what_is_computed_across_the_ends_of_rows_warns_of_nothing():
    f = np.zeros((400, 40))
    f[:, -1], f[:, 1] = -1.5e308, 1.5e308  # overflows only from the end of a row to the next
    with np.errstate(all="raise"):
        expected = np.gradient(f, axis=1)
        assert_same_bits(gpugrad.gradient(f, axis=1), expected)
    with np.errstate(all="warn"):  # and a warning is an error in this suite
        assert_same_bits(gpugrad.gradient(f, axis=1), expected)


@pytest.mark.parametrize("kind", ["over", "invalid"])
def test_what_goes_wrong_inside_rows_warns_as_in_numpy(kind):
    f = np.zeros((400, 40))
    f[7, 20], f[7, 22] = (1e308, -1e308) if kind == "over" else (np.inf, np.inf)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        gpugrad.gradient(f, axis=1)
    with np.errstate(all="ignore"):
        assert_same_bits(gpugrad.gradient(f, axis=1), np.gradient(f, axis=1))
    match = "overflow" if kind == "over" else "invalid"
    with pytest.warns(RuntimeWarning, match=match):
        gpugrad.gradient(f, axis=1)


def test_many_callers_at_once_get_right_answers(rng, small_blocks):
    fields = [rng.normal(size=(9, 8)) for _ in range(40)]
    coordinates = [np.cumsum(rng.uniform(0.1, 1, 9)) for _ in range(40)]

    def call(i):
        return gpugrad.gradient(fields[i], coordinates[i], 0.5)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(40)))
    for i, result in enumerate(results):
        for got, wanted in zip(result, np.gradient(fields[i], coordinates[i], 0.5), strict=True):
            assert_same_bits(got, wanted)


def _gradient_in_child(queue):
    numpy_blocks.BLOCK_BYTES, numpy_blocks.WHOLE_BYTES = 64, 0
    with gpugrad.use_backend(threads=2):
        queue.put(gpugrad.gradient(np.arange(100.0) ** 2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.*:RuntimeWarning")
def test_a_forked_child_has_threads_of_its_own(small_blocks):
    with gpugrad.use_backend(threads=2):
        expected = gpugrad.gradient(np.arange(100.0) ** 2)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_gradient_in_child, args=[queue])
    child.start()
    result = queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    assert_same_bits(result, expected)


def test_the_number_of_threads_follows_the_environment(monkeypatch):
    monkeypatch.setenv("GPUGRAD_NUM_THREADS", "3")
    assert _threads.count() == 3
    with gpugrad.use_backend(threads=5):
        assert _threads.count() == 5
    monkeypatch.delenv("GPUGRAD_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        assert _threads.count() == len(os.sched_getaffinity(0))


def test_an_error_on_any_thread_reaches_the_caller():
    def work(share):
        if 3 in share:
            raise ValueError("three")

    for threads in (1, 2, 4):
        with pytest.raises(ValueError, match="three"):
            _threads.for_each_share(work, [0, 1, 2, 3], threads)


def test_a_worker_that_calls_again_does_not_wait_for_itself():
    done = []

    def work(share):
        _threads.for_each_share(done.append, [1, 2], 2)

    caller = threading.Thread(
        target=_threads.for_each_share, args=(work, [1, 2, 3], 2), daemon=True
    )
    caller.start()
    caller.join(30)
    assert not caller.is_alive()
    assert sorted(itertools.chain(*done)) == [1, 1, 2, 2]


def test_shares_are_consecutive_and_complete():
    shares = []
    _threads.for_each_share(shares.append, list(range(10)), 3)
    assert sorted(itertools.chain(*shares)) == list(range(10))
    assert all(share == list(range(share[0], share[-1] + 1)) for share in shares)


def test_unsupported_says_why_in_words():
    plan = first_derivative(0, 0.5, 1)
    assert numpy_blocks.unsupported([[Term(1, np.zeros(4), plan)]]) is None
    assert "MaskedArray" in numpy_blocks.unsupported([[Term(1, np.ma.zeros(4), plan)]])
    assert "datetime64" in numpy_blocks.unsupported([[Term(1, np.zeros(4, "M8[D]"), plan)]])
    assert slices.unsupported([]) is None
    assert numpy_subclasses.unsupported([[Term(1, np.ma.zeros(4), plan)]]) is None
    assert "is a list" in numpy_subclasses.unsupported([[Term(1, [0.0, 1.0], plan)]])
    torch = pytest.importorskip("torch")
    lazy = first_derivative(0, torch.ones(3), 1)
    assert "on the host" in numpy_blocks.unsupported([[Term(1, np.zeros(4), lazy)]])
