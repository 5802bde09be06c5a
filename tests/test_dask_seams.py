"""Blocks of Dask arrays that the compiled engine evaluates beside others: the bits of memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from sampling import random_cases
from test_dask import check_call, check_sum, cuts, flatten, plans
from test_property import calls

import gpugrad
from conftest import assert_same_bits
from internals import Norm, Seam, Term, dispatch, first_derivative

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
pytest.importorskip("llvmlite", reason="llvmlite is not installed")
from internals import compiled_engine, compiled_program, compiled_tiles, offers  # noqa: E402

UNSHRUNK = (Phase.explicit, Phase.generate)


class Counted:
    """What evaluates seams, and how often it did and did not."""

    def __init__(self):
        self.results = []

    def __call__(self, outputs):
        self.results.append(compiled_engine.evaluate_seams(outputs))
        return self.results[-1]

    def __reduce__(self):
        return Counted, ()

    @property
    def count(self):
        return sum(result is not None for result in self.results)


@pytest.fixture(autouse=True)
def compile_any_size(monkeypatch):
    monkeypatch.setattr(dispatch, "COMPILED_SIZE", 0)
    monkeypatch.setattr(offers, "PATIENCE", 0)


@pytest.fixture
def counted(monkeypatch):
    """Count what is evaluated by `gpugrad`'s own choice of engines."""
    counted = Counted()

    def choose(outputs, name, original=dispatch._choose):
        engine = original(outputs, name)
        wanted = engine.evaluate_seams is not None
        return engine._replace(evaluate_seams=counted) if wanted else engine

    monkeypatch.setattr(dispatch, "_choose", choose)
    return counted


def compute(lazy):
    return dask.compute(*flatten(lazy), scheduler="sync")


@random_cases(60, phases=UNSHRUNK)
@given(call=calls(), data=st.data())
def test_random_calls_in_random_chunks_have_numpys_bits(call, data):
    check_call(call, data, "auto")


@random_cases(60, phases=UNSHRUNK)
@given(data=st.data())
def test_any_plan_in_any_chunks_has_the_bits_of_the_reference(data):
    n, axis = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 1))
    shape = (n, 3) if axis == 0 else (3, n)
    dtype = data.draw(st.sampled_from(["f4", "f8", "c8", "i2"]))
    f = (np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=shape) * 9).astype(dtype)
    plan = data.draw(plans(n, axis))
    outputs = [[Term(1, f, plan)], [Term(-1, f, plan), Term(1, f, plan)]]
    outputs.append(Norm(outputs[1]))
    chunks = [data.draw(cuts(k)) for k in shape]
    with dask.config.set(scheduler="sync"), np.errstate(all="ignore"):
        check_sum(
            outputs, lambda _: chunks, compiled_engine.evaluate, compiled_engine.evaluate_seams
        )


OPERATORS = {
    "laplacian": lambda f: gpugrad.laplacian(f, 0.3),
    "laplacian, periodic, accuracy 6": lambda f: gpugrad.laplacian(
        f, 0.3, accuracy=6, boundary="periodic"
    ),
    "norm, accuracy 4": lambda f: gpugrad.gradient_norm(f, 0.3, accuracy=4),
    "curl": lambda f: gpugrad.curl([f, f * f, f], 0.5),
    "divergence, reflect": lambda f: gpugrad.divergence([f, f, f], 0.5, boundary="reflect"),
    "hessian": lambda f: gpugrad.hessian(f, 0.7),
    "between the samples": lambda f: gpugrad.gradient(f, 0.7, stagger="left"),
    "uneven": lambda f: gpugrad.gradient(f, *[np.cumsum(np.arange(1.0, n + 1)) for n in f.shape]),
    "second derivative": lambda f: gpugrad.derivative(f, 0.1, axis=2, order=2, accuracy=4),
}


LAYOUTS = ["cut out", "own", "computed", "fortran", "backwards"]


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.exhaustive(name="norm, accuracy 4")
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_operators_equal_the_results_in_memory(counted, rng, name, layout):
    operator = OPERATORS[name]
    f = rng.normal(size=(11, 12, 40)).astype("f4" if layout == "own" else "f8")
    lazy = da.from_array(f, chunks=(4, 5, 18))
    if layout == "own":
        lazy = lazy.map_blocks(np.array).persist(scheduler="sync")
    elif layout == "computed":
        lazy = lazy * 1  # other blocks are read from thin faces
    elif layout == "fortran":
        lazy = lazy.map_blocks(np.asfortranarray).persist(scheduler="sync")
    elif layout == "backwards":
        f = f[::-1, ::-1, ::-1]
        lazy = da.from_array(f, chunks=(4, 5, 18))
    for got, wanted in zip(compute(operator(lazy)), flatten(operator(f)), strict=True):
        assert_same_bits(got, wanted)
    assert counted.count >= 27
    assert len(counted.results) == counted.count


@pytest.mark.exhaustive
@pytest.mark.exhaustive(tile=1 << 19)
@pytest.mark.parametrize("tile", [200, 1 << 19])
def test_tiles_and_blocks_of_a_block(monkeypatch, counted, rng, tile):
    monkeypatch.setattr(compiled_tiles, "TILE_BYTES", tile)
    monkeypatch.setattr(compiled_tiles, "BLOCK_BYTES", 400)
    monkeypatch.setattr(compiled_program, "STREAM_BYTES", 0)
    monkeypatch.setattr(compiled_program, "STREAM_ROW_BYTES", 0)
    offers.programs.clear()
    f = rng.normal(size=(9, 10, 70))
    lazy = da.from_array(f, chunks=(4, 5, 33))
    for operator in (gpugrad.gradient, gpugrad.laplacian):
        for got, wanted in zip(compute(operator(lazy)), flatten(operator(f)), strict=True):
            assert_same_bits(got, wanted)
    assert counted.count == 2 * 3 * 2 * 3


def test_equal_blocks_share_a_program_and_unlike_neighbours_do_not(counted, rng):
    offers.programs.clear()
    f = rng.normal(size=(60, 8))
    lazy = da.map_blocks(
        lambda block, block_id: np.array(block, order="F" if block_id[0] == 2 else "C"),
        da.from_array(f, chunks=(10, 8)), meta=np.empty((0, 0)),
    ).persist(scheduler="sync")  # fmt: skip
    (got,) = compute(gpugrad.gradient(lazy, 0.5, axis=0))
    assert_same_bits(got, np.gradient(f, 0.5, axis=0))
    assert counted.count == 6
    # The ends, the one in Fortran's order, those before and after it, and the one left over.
    assert len(offers.programs) == 6
    (got,) = compute(gpugrad.gradient(lazy, 0.5, axis=0))
    assert len(offers.programs) == 6
    even = da.from_array(f, chunks=(6, 8))
    compute(gpugrad.gradient(even, 0.5, axis=0))
    assert len(offers.programs) == 6 + 3  # ten blocks: two ends, and all others alike


@pytest.mark.filterwarnings("error")
def test_whoever_wants_to_hear_of_overflow_does(counted):
    f = np.zeros((12, 20))
    f[5], f[7] = 1.5e308, -1.5e308  # row 6 reads both, in two other blocks
    lazy = gpugrad.gradient(da.from_array(f, chunks=(3, 20)), 0.5, axis=0)
    with np.errstate(over="ignore"):
        expected = gpugrad.gradient(f, 0.5, axis=0)
        assert_same_bits(*compute(lazy), expected)
        assert len(counted.results) == counted.count == 4
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        compute(lazy)
    with np.errstate(over="warn"), pytest.warns(RuntimeWarning, match="overflow"):
        (got,) = compute(lazy)
    assert_same_bits(got, expected)
    assert len(counted.results) > counted.count


def test_a_neighbour_of_another_dtype_goes_by_slices(counted, rng):
    f = rng.normal(size=(12, 8))
    odd = da.map_blocks(
        lambda block, block_id: block.astype("f4") if block_id[0] == 1 else block,
        da.from_array(f, chunks=(4, 8)), dtype="f8", meta=np.empty((0, 0)),
    )  # fmt: skip
    (got,) = compute(gpugrad.gradient(odd, 0.5, axis=0))
    mixed = f.copy()
    mixed[4:8] = mixed[4:8].astype("f4")
    assert got.shape == f.shape
    assert_same_bits(got[:3], np.gradient(mixed, 0.5, axis=0)[:3])
    assert counted.count == 0
    assert len(counted.results) == 3


def test_a_seam_may_cover_rows_in_the_middle(rng):
    f, other = rng.normal(size=(2, 9, 30))
    plan = first_derivative(0, 0.5, 1)
    across = first_derivative(1, 0.3, 2)
    seam = Seam(plan, 3, 6, (None, other))
    terms = [Term(1, f, across), Term(-1, f, plan, None, (seam,))]
    got, total = compiled_engine.evaluate_seams([[terms[1]._replace(sign=1)], terms])
    wanted = np.gradient(f, 0.5, axis=0)
    wanted[3:6] = f[4:7] - other[:3]
    assert_same_bits(got, wanted)
    assert_same_bits(total, np.gradient(f, 0.3, axis=1, edge_order=2) - wanted)
    # Of as many arrays, alike in all but the parts they play.
    for samples, rows in (((None, other), f[4:7] - other[:3]), ((other, None), other[:3] - f[2:5])):
        (got,) = compiled_engine.evaluate_seams(
            [[Term(1, f, plan, None, (seam._replace(samples=samples),))]]
        )
        wanted[3:6] = rows
        assert_same_bits(got, wanted)
