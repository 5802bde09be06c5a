"""Dask arrays: the bits of arrays in memory for every chunking, and how the work is laid out."""

from __future__ import annotations

import importlib
import pickle
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from sampling import random_cases
from test_property import calls

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import (
    AxisPlan,
    Formula,
    Norm,
    Term,
    _threads,
    dispatch,
    distinct_fields,
    first_derivative,
    numpy_blocks,
    pieces,
    replace_fields,
    slices,
)

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
from internals import dask_graph, dask_tasks  # noqa: E402

WAYS = ["auto", "slices"]


@st.composite
def cuts(draw, n, empty=False):
    """Draw the chunks of an axis: every length down to 1, or to nothing."""
    chunks = []
    while sum(chunks) < n:
        chunks.append(draw(st.integers(0 if empty else 1, n - sum(chunks))))
    return tuple(chunks)


def check_sum(outputs, cut, evaluate_block=slices.evaluate, evaluate_seams=None):
    """Compare outputs on lazy arrays with the reference on the arrays themselves."""
    lazy = {id(f): da.from_array(f, chunks=cut(f)) for f in distinct_fields(outputs)}
    ways = {"evaluate_block": evaluate_block, "evaluate_seams": evaluate_seams}
    results = dask_graph.evaluate(replace_fields(outputs, lazy), **ways)
    for got, wanted in zip(results, slices.evaluate(outputs), strict=True):
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        assert_same_bits(got, wanted)
    return results


def check_call(call, data, way):
    """Compare a gradient in random chunks with NumPy's."""
    f, spacing, keywords = call
    chunks = tuple(data.draw(cuts(n)) for n in f.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # products may underflow or overflow
        expected = as_tuple(np.gradient(f, *spacing, **keywords))
        lazy = da.from_array(f, chunks=chunks)
        actual = as_tuple(gpugrad.gradient(lazy, *spacing, **keywords, backend=way))
        computed = dask.compute(*actual, scheduler="sync")
    for got, values, wanted in zip(actual, computed, expected, strict=True):
        assert got.chunks == lazy.chunks
        assert got.dtype == got._meta.dtype == wanted.dtype
        assert_same_bits(values, wanted)


def never(shape, chunks):
    """Return an array that fails when any of it is computed."""

    def fail(block):
        raise AssertionError("a block has been computed")

    return da.zeros(shape, chunks=chunks).map_blocks(fail, dtype="f8", meta=np.empty((0, 0)))


class TestBits:
    @pytest.mark.parametrize("way", WAYS)
    @random_cases(150)
    @given(call=calls(), data=st.data())
    def test_random_chunks_have_numpys_bits(self, way, call, data):
        check_call(call, data, way)

    @random_cases(200)
    @given(data=st.data())
    def test_any_plan_in_any_chunks_has_the_bits_of_the_reference(self, data):
        n, axis = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 1))
        shape = (n, 3) if axis == 0 else (3, n)
        dtype = data.draw(st.sampled_from(["f2", "f4", "f8", "c8", "i2"]))
        seed = data.draw(st.integers(0, 99))
        f = (np.random.default_rng(seed).normal(size=shape) * 9).astype(dtype)
        plan = data.draw(plans(n, axis))
        outputs = [[Term(1, f, plan)], [Term(-1, f, plan), Term(1, f, plan)]]
        outputs.append(Norm(outputs[1]))
        chunks = [data.draw(cuts(k, empty=data.draw(st.booleans()))) for k in shape]
        evaluate_block = data.draw(st.sampled_from([slices.evaluate, numpy_blocks.evaluate]))
        with dask.config.set(scheduler="sync"), np.errstate(all="ignore"):
            for result in check_sum(outputs, lambda _: chunks, evaluate_block):
                assert result.chunks == tuple(chunks)

    @pytest.mark.parametrize("chunks", [1, 2, 3, 5, 12])
    def test_a_periodic_axis_reads_the_block_at_its_other_end(self, rng, chunks):
        n = 12
        interior = Formula((1, -1), (1, -1), 0.7)
        lower = Formula((1, n - 1), (1, -1), 0.7)
        upper = Formula((1 - n, -1), (1, -1), 0.7)
        plan = AxisPlan(0, (lower,), interior, (upper,), None, True, {})
        f = rng.normal(size=(n, 4))
        (result,) = check_sum([[Term(1, f, plan)]], lambda _: (chunks, 4))
        assert_same_bits(result, (np.roll(f, -1, 0) - np.roll(f, 1, 0)) / 0.7)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c16", "i4"])
    @pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1)])
    def test_sums_over_two_fields_with_other_chunks(self, rng, dtype, signs):
        u, v = (rng.normal(size=(2, 9, 8)) * 9).astype(dtype)
        x = first_derivative(0, np.float64(0.3), 2)
        y = first_derivative(1, 0.7, 1)
        outputs = [
            [Term(signs[0], u, x), Term(signs[1], v, y)],
            [Term(1, v, x)],
            [Term(1, v, x), Term(-1, u, y), Term(1, u, x)],
        ]
        check_sum(outputs, lambda f: (4, 3) if f is u else ((1, 6, 2), 8))

    def test_terms_of_unlike_precision_are_rounded_to_the_first_ones(self, rng):
        u, v = rng.normal(size=(9, 8)).astype("f4"), rng.normal(size=(9, 8))
        x, y = first_derivative(0, 0.3, 1), first_derivative(1, 0.7, 1)
        check_sum([[Term(1, u, x), Term(1, v, y)], [Term(1, v, y)]], lambda _: 4)

    def test_fields_without_samples(self):
        f = da.zeros((0, 5), chunks=2, dtype="i4")
        g = gpugrad.gradient(f, axis=1)
        assert g.dtype == "f8"
        assert g.compute().shape == (0, 5)

    def test_masks_stay(self, rng):
        f = np.ma.masked_greater(rng.normal(size=(9, 8)), 1)
        assert f.mask.any()
        lazy = da.from_array(f, chunks=(1, 3), asarray=False)
        for got, wanted in zip(gpugrad.gradient(lazy, 0.5), gpugrad.gradient(f, 0.5), strict=True):
            assert isinstance(got._meta, np.ma.MaskedArray)
            assert (got.compute().mask == wanted.mask).all()
            assert_same_bits(got.compute().filled(0.0), wanted.filled(0.0))

    def test_masked_blocks_are_to_be_filled_where_holes_matter(self, rng):
        f = np.ma.masked_greater(rng.normal(size=(9, 8)), 1)
        lazy = da.from_array(f, chunks=(1, 3), asarray=False)
        with pytest.raises(TypeError, match=r"filled\(f, numpy.nan\)"):
            gpugrad.gradient(lazy, skipna=True)
        filled = gpugrad.gradient(da.ma.filled(lazy, np.nan), axis=0, skipna=True)
        assert_same_bits(filled, gpugrad.gradient(f.filled(np.nan), axis=0, skipna=True))

    @pytest.mark.parametrize("chunks", [1, 2, 7])
    def test_blocks_that_cannot_be_written_to(self, rng, chunks):
        strict = pytest.importorskip("array_api_strict")
        f = rng.normal(size=(7, 6))
        lazy = da.from_array(f, chunks=chunks)
        blocks = lazy.map_blocks(strict.asarray, dtype="f8", meta=lazy._meta)
        for got, wanted in zip(gpugrad.gradient(blocks, 0.3), np.gradient(f, 0.3), strict=True):
            assert type(got.blocks[0, 0].compute()) is type(strict.asarray(f))
            home = got.map_blocks(np.asarray, dtype="f8", meta=lazy._meta)
            assert_same_bits(home, wanted)

    def test_nothing_overflows_that_does_not_in_memory(self):
        f = np.array([0.0, 0.0, 1.5e308, 0.0, -1.5e308, 0.0, 0.0])
        with np.errstate(all="raise"):
            with pytest.raises(FloatingPointError):
                gpugrad.gradient(f, 0.5)
            f[4] = 1.5e308
            expected = gpugrad.gradient(f, 5.0)
            for chunks in range(1, 8):
                lazy = gpugrad.gradient(da.from_array(f, chunks=chunks), 5.0)
                assert_same_bits(lazy.compute(scheduler="sync"), expected)


@st.composite
def plans(draw, n, axis):
    """Draw a plan for an axis: any ends, any offsets that stay inside, numbers or arrays."""
    lower = draw(st.integers(0, min(n, 3)))
    upper = draw(st.integers(0, min(n - lower, 3)))
    spacing = draw(st.sampled_from([None, "f4", "f8"]))

    def formula(start, stop, reach):
        reads = st.integers(max(-start, -reach), min(n - stop, reach))
        offsets = draw(st.lists(reads, min_size=1, max_size=4))
        numbers = [st.sampled_from([1, -1]), st.sampled_from([-2.0, 0.3, 1.5])]
        if spacing is not None:
            rows = np.random.default_rng(len(offsets)).uniform(0.5, 2, stop - start)
            numbers.append(st.just(rows.astype(spacing)))
        weights = [draw(st.one_of(numbers)) for _ in offsets]
        divisor = draw(st.none() | st.one_of(numbers[1:]))
        constant = draw(st.none() | st.just(1 / 3))
        return Formula(tuple(offsets), tuple(weights), divisor, constant)

    return AxisPlan(
        axis,
        tuple(formula(i, i + 1, n) for i in range(lower)),
        formula(lower, n - upper, draw(st.sampled_from([1, 2, n]))),
        tuple(formula(i, i + 1, n) for i in range(n - upper, n)),
        None if spacing is None else np.dtype(spacing),
        True,
        {},
    )


CENTRAL = ["one-sided", "periodic", "reflect", "odd-symmetric", "edge", 1.5]
BOUNDARIES = [*CENTRAL, {"normal": 0.5}, ("reflect", "one-sided"), ("edge", {"normal": 1.0})]
OF_ONE = ["gradient", "derivative", "laplacian", "gradient_norm", "hessian"]
OF_SEVERAL = ["divergence", "curl", "jacobian"]


UNSHRUNK = (Phase.explicit, Phase.generate)  # to shrink an array in blocks takes minutes


def few_cuts(n):
    """Draw the chunks of an axis: up to four, of every length."""
    return st.sets(st.integers(1, n - 1), max_size=3).map(
        lambda inner: tuple(np.diff([0, *sorted(inner), n]).tolist())
    )


def forbid(*_, **__):
    raise AssertionError("something is computed where the array is built")


def flatten(result):
    if isinstance(result, (tuple, list)):
        return [array for one in result for array in flatten(one)]
    return [result]


def draw_spacing(data, rng, shape, axis):
    """Draw a spacing along an axis."""
    kind = data.draw(st.sampled_from(["number", "line", "lines"]))
    if kind == "number":
        return 0.7
    if kind == "line":
        return np.cumsum(rng.uniform(0.5, 1.5, shape[axis]))
    return np.cumsum(rng.uniform(0.5, 1.5, shape), axis=axis)


def draw_holes(data, rng, fields):
    """Draw `where` or `skipna` for fields, and for the lazy ones; NaN in the fields for these."""
    shape = fields[0].shape
    kind = data.draw(st.sampled_from(["none", "none", "host", "lazy", "rows", "skipna"]))
    if kind == "none":
        return {}, {}
    if kind == "skipna":
        if fields[0].dtype.kind in "fc":
            for f in fields:
                f[rng.random(shape) < 0.15] = np.nan
        return {"skipna": True}, {"skipna": True}
    where = rng.random(shape[1:] if kind == "rows" else shape) > 0.15
    held = where
    if kind == "lazy":
        held = da.from_array(where, chunks=tuple(data.draw(cuts(n)) for n in shape))
    return {"where": where}, {"where": held}


class TestAllOperators:
    @pytest.mark.parametrize("name", [*OF_ONE, *OF_SEVERAL])
    @random_cases(15, phases=UNSHRUNK)
    @given(data=st.data())
    def test_equal_the_results_in_memory_in_every_bit(self, name, data):
        shape = tuple(data.draw(st.lists(st.integers(7, 9), min_size=2, max_size=2)))
        dtype = data.draw(st.sampled_from(["f8", "f4", "f2", "c8", "i4"]))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        count = 1 if name in OF_ONE else 2
        fields = [(rng.normal(size=shape) * 9).astype(dtype) for _ in range(count)]
        options = {"accuracy": data.draw(st.sampled_from([2, 4]))}
        axes = (data.draw(st.integers(0, 1)),) if name == "derivative" else (0, 1)
        known = CENTRAL[:-1] if name == "hessian" else BOUNDARIES  # it takes no given values
        ends = [data.draw(st.sampled_from(known)) for _ in axes]
        options["boundary"] = dict(zip(axes, ends, strict=True))
        if name in ("gradient", "derivative", "divergence", "curl", "jacobian"):
            staggers = [data.draw(st.sampled_from([None, None, "left", "right"])) for _ in axes]
            options["stagger"] = dict(zip(axes, staggers, strict=True))
        if name == "derivative":
            options |= {"axis": axes[0], "order": data.draw(st.integers(1, 3))}
        spacings = [draw_spacing(data, rng, shape, axis) for axis in axes]
        holes, lazy_holes = draw_holes(data, rng, fields)
        backend = data.draw(st.sampled_from(["auto", "slices", "numpy"]))
        lazy = [
            da.from_array(f, chunks=tuple(data.draw(few_cuts(n)) for n in shape)) for f in fields
        ]
        operator = getattr(gpugrad, name)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = operator(
                fields if count > 1 else fields[0], *spacings, **options, **holes, backend="slices"
            )
            with dask.config.set(scheduler=forbid):
                results = operator(
                    lazy if count > 1 else lazy[0], *spacings, **options, **lazy_holes,
                    backend=backend,
                )  # fmt: skip
            computed = dask.compute(*flatten(results), scheduler="sync")
        results, expected = flatten(results), flatten(expected)
        for result, values, wanted in zip(results, computed, expected, strict=True):
            assert_same_bits(values, wanted)
            assert result.shape == wanted.shape
            assert result.dtype == result._meta.dtype == wanted.dtype
            assert result._meta.shape == (0, 0)
            if count == 1:
                assert result.chunks == lazy[0].chunks

    @pytest.mark.parametrize("name", ["gradient", "laplacian"])
    def test_lazy_coordinates_that_differ_from_line_to_line(self, rng, name):
        f = rng.normal(size=(9, 8))
        x, y = (np.cumsum(rng.uniform(0.5, 1.5, f.shape), axis=axis) for axis in (0, 1))
        operator = getattr(gpugrad, name)
        lazy = (da.from_array(one, chunks=(4, 5)) for one in (f, x, y))
        with dask.config.set(scheduler=forbid):
            results = flatten(operator(*lazy))
        for got, wanted in zip(results, flatten(operator(f, x, y)), strict=True):
            assert got.chunks == ((4, 4, 1), (5, 3))
            assert_same_bits(got.compute(scheduler="sync"), wanted)

    @random_cases(2, phases=UNSHRUNK)
    @given(data=st.data())
    def test_curved_grids_and_the_sphere(self, data):
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        shape = 8, 10
        u, v = rng.normal(size=(2, *shape))
        chunks = [tuple(data.draw(few_cuts(n)) for n in shape) for _ in range(2)]
        du, dv = (da.from_array(f, chunks=c) for f, c in zip((u, v), chunks, strict=True))
        x = np.arange(8.0)[:, None] + rng.uniform(0, 0.3, shape)
        y = np.arange(10.0) + rng.uniform(0, 0.3, shape)
        grid = gpugrad.CurvilinearGrid(x, y)
        sphere = gpugrad.Sphere(np.linspace(-78, 78, 8), np.arange(10) * 36.0)
        calls = [
            lambda a, b: grid.gradient(a),
            lambda a, b: grid.divergence([a, b]),
            lambda a, b: grid.laplacian(a),
            lambda a, b: sphere.gradient(a),
            lambda a, b: sphere.divergence(u=b, v=a),
            lambda a, b: sphere.curl(u=b, v=a),
            lambda a, b: sphere.laplacian(a),
        ]
        for call in calls:
            with dask.config.set(scheduler=forbid):
                lazy = flatten(call(du, dv))
            for got, wanted in zip(lazy, flatten(call(u, v)), strict=True):
                assert got.dtype == wanted.dtype
                assert_same_bits(got.compute(scheduler="sync"), wanted)


class TestLaziness:
    def test_nothing_is_computed(self):
        f, g = never((6, 5), (2, 5)), never((6, 5), (3, 2))
        x = np.array([0.0, 1, 2, 4, 5, 7])
        gpugrad.gradient(f, x, 2.0, edge_order=2)
        gpugrad.gradient(f, x, 2.0, stack=True)
        plan = first_derivative(0, 0.5, 1)
        (total,) = dask_graph.evaluate([[Term(1, f, plan), Term(1, g, plan)]])
        with pytest.raises(AssertionError, match="computed"):
            total.compute()

    def test_unknown_chunks_are_an_error_with_the_cure(self):
        f = da.ones((4, 5), chunks=2)
        for unknown in (f[f[:, 0] > 0], f[f > 0]):
            with pytest.raises(ValueError, match="`compute_chunk_sizes\\(\\)` first"):
                gpugrad.gradient(unknown, axis=-1)

    @pytest.mark.parametrize(("given", "result"), [("f4", "f4"), ("i2", "f8"), ("f2", "f2")])
    def test_the_meta_array_tells_type_and_dtype(self, given, result):
        f = da.zeros((6, 5), chunks=2, dtype=given)
        for g in (*gpugrad.gradient(f), gpugrad.gradient(f, axis=0)):
            assert type(g._meta) is np.ndarray
            assert g.dtype == g._meta.dtype == result
            assert g._meta.shape == (0, 0)

    def test_equal_calls_have_equal_names(self, rng):
        f = da.zeros((6, 5), chunks=2)
        x, y = np.cumsum(rng.uniform(0.1, 1, (2, 6)), axis=1)
        long = np.longdouble(1) / 3
        kinds = [(f, 1.0), (f, 0.5), (f, np.float64(0.5)), (f, long), (f, x), (f, y), (f + 1, x)]
        ways = [{}, {"edge_order": 2}, {"backend": "slices"}]

        def name(field, spacing, **keywords):
            with dask.config.set({"tokenize.ensure-deterministic": True}):
                return gpugrad.gradient(field, spacing, axis=0, **keywords).name

        names = [name(*kind, **way) for kind in kinds for way in ways]
        assert len({*names}) == len(names)
        gpugrad.gradient(np.zeros((6, 5)), 0.5, axis=0)  # what engines remember of a plan
        plan = first_derivative(0, 0.5, 1)
        assert plan.memo
        again = [name(f, np.array(h), **way) for f, h in kinds[4:] for way in ways]
        assert again == names[-len(again) :]
        assert [name(*kind, **way) for kind in kinds for way in ways] == names
        with gpugrad.use_backend(threads=2):
            assert name(f, 0.5) not in names
        several = gpugrad.gradient(f, 0.5)
        assert [g.name for g in several] == [g.name for g in gpugrad.gradient(f, 0.5)]
        assert several[0].name != several[1].name


class TestTasks:
    def test_there_is_one_for_a_block_and_one_for_its_faces(self):
        f = da.zeros((512, 512), chunks=64)  # 64 blocks
        dy, dx = gpugrad.gradient(f)
        own = {*dy.__dask_graph__(), *dx.__dask_graph__()} - {*f.__dask_graph__()}
        assert len(own) == 64 + 64 + 2 * 64
        one = gpugrad.gradient(f, axis=0)
        assert len({*one.__dask_graph__()} - {*f.__dask_graph__()}) == 64 + 64
        held = f.persist(scheduler="sync")  # blocks in memory are read where they lie
        own = {key for g in gpugrad.gradient(held) for key in g.__dask_graph__()}
        assert len(own - {*held.__dask_graph__()}) == 64 + 2 * 64
        time_steps = da.zeros((9, 512, 512), chunks=(1, 512, 512))
        one = gpugrad.gradient(time_steps, axis=0)  # blocks one row long are not copied
        assert len({*one.__dask_graph__()} - {*time_steps.__dask_graph__()}) == 9

    def test_each_block_is_computed_once_for_all_outputs(self, monkeypatch):
        count = []
        original = dask_tasks.compute_block
        monkeypatch.setattr(
            dask_tasks, "compute_block", lambda *args: count.append(1) or original(*args)
        )
        f = da.zeros((8, 8), chunks=4)
        dy, dx = gpugrad.gradient(f)
        for together in (
            lambda: dask.compute(dy, dx),
            (dy * dx).compute,
            da.stack([dy, dx]).compute,
            # These optimise each array by itself.
            lambda: dask.compute(*dask.optimize(dy, dx)),
            lambda: dask.compute(*(part for g in (dy, dx) for part in g.to_delayed().flat)),
        ):
            count.clear()
            together()
            assert len(count) == 4

    def test_optimized_graphs_have_no_more_tasks(self):
        gradient = gpugrad.gradient(da.zeros((16, 16, 16), chunks=4))
        tasks = {key for g in gradient for key in g.__dask_graph__()}
        optimized = {key for g in dask.optimize(*gradient) for key in g.__dask_graph__()}
        assert optimized == tasks

    def test_what_follows_is_joined_to_the_task_that_picks_an_output(self):
        (dy, _) = gpugrad.gradient(da.zeros((8, 8), chunks=4))
        before, after = (dask.optimize(g)[0] for g in (dy, 2 * dy + 1))
        assert len(dict(after.__dask_graph__())) == len(dict(before.__dask_graph__()))

    def test_faces_keep_no_block_in_memory(self):
        block = np.zeros((8, 8))
        faces = dask_tasks.cut_faces(dask_tasks.Faces(((0, 0, 1), (1, 7, 8))), block)
        assert {key: face.shape for key, face in faces.items()} == {
            (0, 0, 1): (1, 8),
            (1, 7, 8): (8, 1),
        }
        assert all(face.base is None for face in faces.values())

    def test_a_task_carries_the_weights_of_its_rows_alone(self, rng):
        n = 4096
        x = np.cumsum(rng.uniform(0.1, 1, n))
        g = gpugrad.gradient(da.zeros((n,), chunks=64), x)
        jobs = [task.args[0] for task in dict(g.__dask_graph__()).values() if _is_job(task)]
        assert len(jobs) == 64
        sizes = [len(pickle.dumps(job)) for job in jobs]
        assert max(sizes) < 3 * 64 * 8 + 4000

    def test_inner_blocks_share_a_plan(self):
        plan = first_derivative(0, 0.5, 2)
        chunks = pieces.cut_at_seams(plan, [0, 9, 18, 27, 36, 40, 44, 48])
        assert len({id(chunk.core) for chunk in chunks}) == 4

    def test_what_an_engine_remembers_does_not_travel(self):
        plan = first_derivative(0, 0.12345, 1)
        gpugrad.gradient(np.zeros(7), 0.12345, backend="numpy")
        assert plan.memo
        copy = pickle.loads(pickle.dumps(plan))
        assert type(copy) is AxisPlan
        assert copy == plan._replace(memo={})

    @pytest.mark.exhaustive
    def test_tasks_run_in_other_processes(self, rng):
        f = rng.normal(size=(9, 8))
        x = np.cumsum(rng.uniform(0.1, 1, 9))
        lazy = gpugrad.gradient(da.from_array(f, chunks=4), x, 0.5, edge_order=2)
        computed = dask.compute(*lazy, scheduler="processes", num_workers=1)
        for got, wanted in zip(computed, np.gradient(f, x, 0.5, edge_order=2), strict=True):
            assert_same_bits(got, wanted)


def _is_job(task):
    return getattr(task, "func", None) is dask_tasks.compute_block


def test_an_old_dask_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask._task_spec", None)
    monkeypatch.delitem(sys.modules, dask_tasks.__name__)
    with pytest.raises(ImportError, match=rf"2024\.12 or later; {dask.__version__} is installed"):
        importlib.import_module(dask_tasks.__name__)


class TestEngines:
    def test_a_call_that_comes_again_has_the_same_parts_of_plans(self):
        derivative = dask_tasks.Derivative(0, 0, None, False)
        plan = first_derivative(0, 1.0, 1)

        def cut(*bounds):
            return [part.core for part in dask_graph._cut_chunks(derivative, plan, bounds)]

        first, again, others = cut(0, 5, 10, 15, 20), cut(0, 5, 10, 15, 20), cut(0, 9, 20)
        assert all(a is b for a, b in zip(first, again, strict=True))
        assert first[1] is first[2]
        assert first[0] is not first[1]
        assert len(others) == 2

    def test_a_task_leaves_the_other_cores_to_others(self, monkeypatch):
        monkeypatch.delenv("GPUGRAD_NUM_THREADS", raising=False)
        seen = []

        def evaluate_block(outputs):
            seen.append(_threads.count())
            return slices.evaluate(outputs)

        f = da.zeros((8, 8), chunks=4)
        outputs = [[Term(1, f, first_derivative(0, 1.0, 1))]]
        (result,) = dask_graph.evaluate(outputs, evaluate_block=evaluate_block)
        result.compute(scheduler="sync")
        assert seen == [1] * 4
        monkeypatch.setenv("GPUGRAD_NUM_THREADS", "3")
        result.compute(scheduler="sync")
        assert seen[4:] == [3] * 4
        assert _threads.chosen() is None

    @pytest.fixture
    def seen(self, monkeypatch):
        """Return what `_choose` has chosen in tasks: engine, number of threads, thread."""
        seen = []
        original = dispatch._choose

        def spy(outputs, backend):
            engine = original(outputs, backend)
            if type(outputs[0][0].field) is np.ndarray:
                seen.append((engine.evaluate, _threads.count(), threading.get_ident()))
            return engine

        monkeypatch.setattr(dispatch, "_choose", spy)
        return seen

    def test_small_blocks_get_the_numpy_engine_and_one_thread(self, seen):
        dask.compute(gpugrad.gradient(da.zeros((8, 8), chunks=4)))
        assert len(seen) == 2 * 4  # each block asks first for an engine that reads its neighbours
        assert {(engine, threads) for engine, threads, _ in seen} == {(numpy_blocks.evaluate, 1)}

    def test_large_blocks_get_the_compiled_engine(self, seen, monkeypatch):
        pytest.importorskip("llvmlite")
        from internals import compiled_engine, offers

        monkeypatch.setattr(dispatch, "COMPILED_SIZE", 1)
        monkeypatch.setattr(offers, "PATIENCE", 0)
        f = np.random.default_rng(0).normal(size=(64, 50))
        for spacing in ((), (np.arange(64.0) ** 2, 0.5)):
            lazy = gpugrad.gradient(da.from_array(f, chunks=20), *spacing, edge_order=2)
            expected = np.gradient(f, *spacing, edge_order=2)
            for got, wanted in zip(dask.compute(*lazy), expected, strict=True):
                assert_same_bits(got, wanted)
        expected = {(compiled_engine.evaluate_if_paid, 1)}
        assert {(engine, threads) for engine, threads, _ in seen} == expected

    def test_the_backend_in_force_when_the_array_is_built_holds_in_its_tasks(self, seen):
        with gpugrad.use_backend("slices"):
            lazy = gpugrad.gradient(da.zeros(8, chunks=4))
        lazy.compute()
        gpugrad.gradient(da.zeros(8, chunks=4), backend="slices").compute()
        assert {engine for engine, _, _ in seen} == {slices.evaluate}

    def test_threads_are_one_unless_told_where_the_array_is_built(self, seen, monkeypatch):
        monkeypatch.setenv("GPUGRAD_NUM_THREADS", "7")
        f = da.zeros(8, chunks=4)
        with gpugrad.use_backend(threads=3):
            told = gpugrad.gradient(f)
        plain = gpugrad.gradient(f)
        with gpugrad.use_backend(threads=5):
            plain.compute(scheduler="sync")
        assert {threads for _, threads, _ in seen} == {1}
        seen.clear()
        told.compute(scheduler="sync")
        assert {threads for _, threads, _ in seen} == {3}
        assert _threads.chosen() is None

    @pytest.mark.parametrize("name", ["numpy", "compiled"])
    def test_each_block_is_computed_by_the_engine_that_is_named(self, seen, name):
        module = numpy_blocks
        if name == "compiled":
            pytest.importorskip("llvmlite")
            from internals import compiled_engine as module
        f = np.random.default_rng(0).normal(size=(9, 8))
        where = f < 1
        lazy = gpugrad.gradient(da.from_array(f, chunks=4), 0.5, where=where, backend=name)
        for got, wanted in zip(lazy, gpugrad.gradient(f, 0.5, where=where), strict=True):
            assert_same_bits(got, wanted)
        assert {engine for engine, _, _ in seen} == {module.evaluate}

    def test_an_engine_that_cannot_take_the_blocks_says_so_before_they_are_there(self):
        lazy = da.zeros((6, 5), chunks=2, dtype="f2")
        x = da.cumsum(da.ones((6, 5), chunks=2), axis=0)
        with pytest.raises(gpugrad.BackendError, match="spacings whose values are on the host"):
            gpugrad.gradient(lazy, x, axis=0, backend="numpy")
        pytest.importorskip("llvmlite")
        with pytest.raises(gpugrad.BackendError, match="float16"):
            gpugrad.gradient(lazy, backend="compiled")


def test_lazy_dates_are_coordinates(rng):
    f = rng.normal(size=(20, 5))
    days = np.datetime64("2020-01-01") + np.cumsum(rng.integers(1, 4, 20)).astype("m8[D]")
    lazy = da.from_array(f, chunks=6), da.from_array(days, chunks=7)
    found = gpugrad.gradient(*lazy, axis=0, time_unit="h")
    assert isinstance(found, da.Array)
    assert_same_bits(found, gpugrad.gradient(f, days, axis=0, time_unit="h"))
    with pytest.raises(TypeError, match="dates with a `time_unit`"):
        gpugrad.gradient(*lazy, axis=0)
