"""What `explain` says of a call, against what the call does."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import gpugrad
from conftest import watch_programs, watch_small_calls
from internals import (
    OPERATORS,
    Gpu,
    _devices,
    _memory,
    compiled_engine,
    compiled_kernels,
    dispatch,
    numpy_blocks,
    numpy_subclasses,
    offers,
    prepared,
    selection,
    slices,
)

NAMES = {
    compiled_engine: "compiled",
    numpy_blocks: "numpy",
    numpy_subclasses: "slices",
    slices: "slices",
}
SMALL, LARGE = (20, 30), (300, 300)


@pytest.fixture
def ran(monkeypatch):
    """Record which engines evaluate: the first of a call is the one that was chosen."""
    engines = []
    for module, name in NAMES.items():

        def evaluate(outputs, out=None, name=name, original=module.evaluate):
            engines.append(name)
            return original(outputs, out)

        monkeypatch.setattr(module, "evaluate", evaluate)
    watch_small_calls(monkeypatch, lambda: engines.append("numpy"))
    monkeypatch.setattr(offers, "PATIENCE", 1e9)
    offers.programs.clear()
    return engines


@pytest.fixture
def started(monkeypatch):
    """Let so much have been computed that the compiler pays."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0)


def samples(shape, dtype="f8"):
    return np.random.default_rng(3).normal(0, 9, size=shape).astype(dtype)


def masked(shape):
    return np.ma.masked_greater(samples(shape), 20.0)


class Plain(np.ndarray):
    """A subclass that adds nothing."""


FIELDS = {
    "small": lambda: samples(SMALL),
    "large": lambda: samples(LARGE),
    "sequence": lambda: samples(SMALL).tolist(),
    "float32": lambda: samples(LARGE, "f4"),
    "int16": lambda: samples(LARGE, "i2"),
    "complex": lambda: samples(LARGE, "c16"),
    "float16": lambda: samples(LARGE, "f2"),
    "longdouble": lambda: samples(LARGE, "g"),
    "long complex": lambda: samples(LARGE, "G"),
    "big-endian": lambda: samples(LARGE, ">f8"),
    "objects": lambda: samples(LARGE, "O"),
    "dates": lambda: samples(LARGE, "i8").astype("M8[s]"),
    "spans": lambda: samples(LARGE, "i8").astype("m8[s]"),
    "masked": lambda: masked(LARGE),
    "small masked": lambda: masked(SMALL),
    "subclass": lambda: samples(LARGE).view(Plain),
}

# What each takes before the compiler pays, and after.
EXPECTED = {
    "small": ("numpy", "numpy"),
    "sequence": ("numpy", "numpy"),
    **dict.fromkeys(["large", "float32", "int16", "complex", "big-endian"], ("numpy", "compiled")),
    **dict.fromkeys(["float16", "longdouble", "long complex"], ("numpy", "numpy")),
    **dict.fromkeys(["objects", "dates", "spans", "subclass"], ("slices", "slices")),
    "masked": ("numpy", "compiled"),
    "small masked": ("numpy", "numpy"),
}


def check(ran, f, *spacing, operator="gradient", **options):
    """Compare an explanation with the call."""
    del ran[:]
    prepared._calls.clear()  # a call that has its program ready chooses nothing
    before = offers._spent_by_all, compiled_kernels.start.cache_info().currsize
    explanation = gpugrad.explain(f, *spacing, operator=operator, **options)
    assert ran == []
    assert (offers._spent_by_all, compiled_kernels.start.cache_info().currsize) == before
    assert selection.name_in_force() != "?"
    result = getattr(gpugrad, operator)(f, *spacing, **options)
    if hasattr(result[0] if isinstance(result, tuple) else result, "dask"):
        import dask

        dask.compute(result, scheduler="sync")
    assert ran[0] == explanation.backend, explanation
    assert all(name in selection.BACKENDS for name in explanation.rejected)
    return explanation


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.filterwarnings("ignore:.*lose their fractions")
def test_fields_before_a_compiler_pays(ran, name):
    assert check(ran, FIELDS[name]()).backend == EXPECTED[name][0]


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.filterwarnings("ignore:.*lose their fractions")
def test_fields_once_a_compiler_pays(ran, started, name):
    explanation = check(ran, FIELDS[name]())
    assert explanation.backend == EXPECTED[name][1]
    if explanation.backend == "compiled":
        assert (explanation.rejected, explanation.cure) == ({}, None)
    else:
        assert "compiled" in explanation.rejected


CALLS = {
    "derivative": lambda: ([samples(LARGE), 0.5], {"order": 3, "accuracy": 4}),
    "divergence": lambda: ([samples((2, *LARGE))], {"boundary": "periodic"}),
    "curl": lambda: ([[samples(LARGE), samples(LARGE)]], {}),
    "laplacian": lambda: ([samples(LARGE), 0.5, 2.0], {"accuracy": 6}),
    "vector_laplacian": lambda: ([samples((3, *LARGE))], {"stack": True}),
    "jacobian": lambda: ([samples((3, *LARGE))], {"axis": 1}),
    "hessian": lambda: ([samples(LARGE)], {"stack": True}),
    "gradient_norm": lambda: ([samples(LARGE)], {"boundary": "periodic"}),
    "gradient": lambda: ([samples(LARGE), np.arange(300.0) ** 2, 0.5], {"edge_order": 2}),
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("backend", [None, "auto", "slices", "numpy", "compiled"])
def test_all_operators_and_backends(ran, started, operator, backend):
    arguments, options = CALLS[operator]()
    explanation = check(ran, *arguments, operator=operator, backend=backend, **options)
    assert explanation.backend == (backend if backend not in (None, "auto") else "compiled")


@pytest.mark.parametrize(
    ("field", "options", "engine"),
    [
        ("large", {"where": samples(LARGE) < 9}, "compiled"),
        ("large", {"skipna": True}, "compiled"),
        ("large", {"skipna": True, "where": samples(LARGE) < 9}, "compiled"),
        ("large", {"skipna": True, "accuracy": 12}, "compiled"),
        ("int16", {"skipna": True}, "compiled"),
        ("masked", {"skipna": True}, "compiled"),
        ("small masked", {"where": samples(SMALL) < 9}, "numpy"),
        ("large", {"accuracy": 12, "boundary": "periodic"}, "compiled"),
        ("large", {"stack": True}, "compiled"),
        ("large", {"out": tuple(np.empty((2, *LARGE)))}, "compiled"),
        ("small", {"out": np.empty((2, *SMALL)), "stack": True}, "numpy"),
    ],
)
def test_options(ran, started, field, options, engine):
    assert check(ran, FIELDS[field](), **options).backend == engine


def test_coordinates_of_each_line(ran, started):
    x = np.cumsum(np.random.default_rng(0).uniform(1, 2, LARGE), axis=1)
    explanation = check(ran, samples(LARGE), x, operator="derivative")
    assert explanation.rejected["compiled"].startswith("it takes spacings that are the same")
    assert explanation.cure is None


@pytest.mark.parametrize("name", FIELDS)
def test_a_cure_cures(ran, started, name):
    f, explanation = FIELDS[name](), gpugrad.explain(FIELDS[name]())
    if not explanation.cure:
        assert EXPECTED[name][1] == "compiled" or name in ("small", "sequence", "small masked")
        return
    words = explanation.cure.split("`")[1]
    if "=" in words and "(" not in words:
        better = gpugrad.explain(f, **eval(f"dict({words})"))
    else:
        better = gpugrad.explain(eval(words, {"numpy": np, "f": f}))
    order = selection.BACKENDS.index
    assert order(better.backend) > order(explanation.backend)


def test_a_cure_that_cures_nothing_is_not_told(started):
    assert gpugrad.explain(samples(SMALL, "O").view(Plain)).cure is None


def test_from_when_on_the_compiler_pays(ran, monkeypatch):
    pytest.importorskip("llvmlite")
    f = samples(LARGE)
    first = check(ran, f)
    assert first.rejected == {"compiled": dispatch.TOO_LITTLE}
    assert "comes once calls like this have taken as long" in first.cure
    monkeypatch.setattr(offers, "PATIENCE", 1e-9)
    with gpugrad.use_backend(threads=1):  # with more, compiling goes on beside other calls
        assert check(ran, f).backend == "compiled"


def test_named_backends_say_who_named_them_and_what_would_be_taken(ran, monkeypatch):
    f = samples(SMALL)
    named = check(ran, f, backend="slices")
    assert named.details.endswith("; named by the keyword `backend`")
    assert named.cure == 'Leave the choice to "auto", which takes "numpy".'
    with gpugrad.use_backend("slices"):
        assert check(ran, f).details.endswith("; named by `use_backend`")
        assert check(ran, f, backend="auto").backend == "numpy"
    monkeypatch.setattr(selection, "_from_environment", "numpy")
    explanation = check(ran, f)
    assert explanation.details.endswith("named by the environment variable `GPUGRAD_BACKEND`")
    assert explanation.cure is None
    monkeypatch.setattr(selection, "_from_environment", "cuda")
    with pytest.raises(ValueError, match="`GPUGRAD_BACKEND` must be one of"):
        gpugrad.explain(f)


@pytest.mark.parametrize("given", [None, "auto", "slices", "numpy", "compiled", "cupy"])
@pytest.mark.parametrize("source", ["keyword", "context", "environment"])
def test_a_source_goes_with_the_name_in_force(monkeypatch, given, source):
    words = {"keyword": "the keyword", "context": "`use_b", "environment": "the environment"}
    if source == "context":
        token = selection._chosen.set(given)
    if source == "environment":
        monkeypatch.setattr(selection, "_from_environment", given)
    backend = given if source == "keyword" else None
    try:
        assert selection.name_in_force(backend) == (given or "auto")
        said = selection.source_of_name(backend)
        assert said.startswith(words[source]) if given else said == ""
    finally:
        if source == "context":
            selection._chosen.reset(token)


def test_a_named_backend_that_cannot_run(monkeypatch):
    gpu = Gpu(problem="there is no NVIDIA driver on this machine", cure="install the driver")
    monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
    f = samples(SMALL, "O")
    for backend, reason, cure in (
        ("cupy", gpu.problem, "To mend it: install the driver."),
        (
            "numpy",
            "it takes integers, real and complex floats, and `f` is object",
            'Use backend="auto".',
        ),
    ):
        explanation = gpugrad.explain(f, backend=backend)
        assert explanation.backend is None
        assert explanation.rejected == {backend: reason}
        assert explanation.cure == cure
        assert explanation.details == (
            "the call raises BackendError; named by the keyword `backend`"
        )
        with pytest.raises(gpugrad.BackendError) as raised:
            gpugrad.gradient(f, backend=backend)
        assert (raised.value.reason, raised.value.cure) == (reason, cure)


def test_without_llvmlite(monkeypatch):
    monkeypatch.setattr(compiled_kernels, "_is_there", lambda: False)
    compiled_kernels.start.cache_clear()
    f = samples(LARGE)
    explanation = gpugrad.explain(f)
    assert explanation.backend == "numpy"
    assert explanation.rejected == {"compiled": "it needs llvmlite, which is not installed"}
    assert explanation.cure == 'Run `pip install "gpugrad[cpu]"`.'
    named = gpugrad.explain(f, backend="compiled")
    assert (named.backend, named.cure) == (None, explanation.cure)
    assert gpugrad.explain(samples(SMALL)).cure == explanation.cure


def test_threads_blocks_and_memory_are_told(monkeypatch, started):
    f = np.zeros((1024, 1024))
    with gpugrad.use_backend("numpy", threads=3):
        assert "in blocks of about 1 MiB, on 3 threads" in gpugrad.explain(f).details
        assert gpugrad.explain(f[:100]).details.startswith("in one block, on one thread")
    with gpugrad.use_backend(threads=3):
        assert gpugrad.explain(f).details.startswith("in one compiled loop, on 3 threads")
        assert "on one thread" in gpugrad.explain(f[:100]).details
    is_recycled = _memory.is_recycled(f.nbytes)
    assert ("into memory of earlier results" in gpugrad.explain(f).details) == is_recycled
    assert gpugrad.explain(f, out=(f, f)).details.endswith(", into `out`")
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", "0")
    assert "memory" not in gpugrad.explain(f).details


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [(LARGE, "f8"), ((1024, 1024), "f8"), ((800, 800), "i2"), ((1500, 1500), "i1")],
)
def test_the_number_of_threads_is_the_one_that_works(monkeypatch, shape, dtype):
    counts = []
    original = numpy_blocks.threads.for_each_share

    def spy(work, items, threads):
        counts.append(min(threads, len(items)))
        return original(work, items, threads)

    monkeypatch.setattr(numpy_blocks.threads, "for_each_share", spy)
    f = samples(shape, dtype)
    with gpugrad.use_backend("numpy", threads=3):
        gpugrad.gradient(f)
        details = gpugrad.explain(f).details
    assert (f"on {counts[0]} threads" if counts else "on one thread") in details


def test_nothing_of_the_size_of_the_field_is_made():
    f = np.zeros((1000, 1000))
    masked = np.ma.array(f)
    gpugrad.explain(f)
    for field, options in ((f, {}), (f, {"skipna": True}), (masked, {}), (f, {"accuracy": 4})):
        for operator in ("gradient", "hessian", "laplacian"):
            tracemalloc.start()
            gpugrad.explain(field, operator=operator, **options)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 300_000


def test_it_loads_nothing_heavy():
    code = (
        "import sys, numpy as np, gpugrad\n"
        "for f in (np.zeros((4000, 5000)), np.ma.zeros((9, 9)), np.zeros(9)):\n"
        "    gpugrad.explain(f)\n"
        "    gpugrad.explain(f, backend='slices')\n"
        "gpugrad.explain(np.zeros((4000, 5000)), backend='compiled')\n"
        "assert not {'llvmlite', 'cupy', 'torch', 'jax', 'dask', 'scipy'} & {*sys.modules}\n"
        "assert gpugrad.explain(np.zeros((9000, 8000)), accuracy=8).backend == 'compiled'\n"
    )
    pytest.importorskip("llvmlite")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_errors_are_those_of_the_call():
    f = samples(SMALL)
    for error, arguments, options in (
        (ValueError, [f], {"operator": "grad"}),
        (ValueError, [f], {"operator": 3}),
        (ValueError, [f], {"backend": "fast"}),
        (ValueError, [f, 0.0], {}),
        (TypeError, ["text"], {}),
        (TypeError, [f], {"order": 2}),
        (ValueError, [f[:1]], {}),
    ):
        with pytest.raises(error):
            gpugrad.explain(*arguments, **options)
        assert selection.name_in_force() == "auto"


def test_nothing_to_evaluate():
    explanation = gpugrad.explain(samples(SMALL), axis=())
    assert (explanation.backend, explanation.rejected) == (None, {})
    assert "nothing to evaluate" in repr(explanation)


def test_it_prints_as_a_table_and_can_be_pickled():
    explanation = gpugrad.explain(samples(SMALL).view(Plain))
    assert str(explanation) == (
        'evaluated by  "slices": operation by operation, by functions of NumPy\n'
        'not by        "compiled": it takes plain NumPy arrays, and `f` is a Plain\n'
        'not by        "numpy": it takes plain NumPy arrays, and `f` is a Plain\n'
        "cure          Pass `numpy.asarray(f)`."
    )
    assert repr(explanation) == str(explanation)
    assert pickle.loads(pickle.dumps(explanation)) == explanation
    assert isinstance(explanation, gpugrad.Explanation)


class TestLibraries:
    def test_tensors(self, ran, started):
        torch = pytest.importorskip("torch")
        small, large = torch.ones(SMALL), torch.ones(LARGE, dtype=torch.float64)
        assert check(ran, small).backend == "numpy"
        assert "samples or more" in check(ran, small).rejected["compiled"]
        explanation = check(ran, large)
        assert explanation.backend == "compiled"
        assert explanation.details.endswith("on the memory of an array of PyTorch")
        large.requires_grad = True
        explanation = check(ran, large)
        assert explanation.backend == "compiled"
        assert explanation.details.endswith("and gradients likewise")
        masked = check(ran, large, where=torch.ones(LARGE) > 0)
        assert masked.backend == "slices"
        assert "automatic differentiation" in masked.rejected["compiled"]
        assert masked.cure.startswith("Pass `f.detach()`")
        with torch.no_grad():
            assert check(ran, large).details.endswith("on the memory of an array of PyTorch")

    def test_tensors_before_a_compiler_pays(self, ran):
        torch = pytest.importorskip("torch")
        for requires_grad in (False, True):
            explanation = check(ran, torch.ones(LARGE, requires_grad=requires_grad))
            assert explanation.rejected["compiled"] == dispatch.TOO_LITTLE
            assert explanation.backend == "numpy"
            assert explanation.cure.startswith("None is needed")

    def test_jax_arrays_and_tracers(self, monkeypatch, ran):
        jax = pytest.importorskip("jax")
        from internals import jax_engine

        watch_programs(monkeypatch, jax_engine, lambda: ran.append("slices"))
        f, seen = jax.numpy.ones(LARGE), []
        explanation = check(ran, f)
        assert explanation.backend == "slices"
        assert "one program of XLA" in explanation.details
        assert explanation.cure is None
        assert "functions of JAX" in check(ran, f, backend="slices").details

        def traced(g):
            seen.append(gpugrad.explain(g))
            return gpugrad.gradient(g)

        jax.jit(traced)(f)
        assert (seen[0].backend, seen[0].cure) == ("slices", None)
        assert "traced" in seen[0].rejected["numpy"]
        assert gpugrad.explain(f, backend="cupy").backend is None
        assert check(ran, f, backend="numpy").backend == "numpy"

    def test_other_libraries(self, ran):
        strict = pytest.importorskip("array_api_strict")
        assert check(ran, strict.ones(LARGE), operator="laplacian").backend == "slices"

    @pytest.mark.parametrize("backend", [None, "slices", "numpy", "compiled"])
    @pytest.mark.parametrize("chunks", [50, 300])
    def test_dask_arrays(self, ran, backend, chunks, monkeypatch):
        da = pytest.importorskip("dask.array")
        if backend == "compiled":
            pytest.importorskip("llvmlite")
        f = da.from_array(samples(LARGE), chunks=chunks)
        explanation = check(ran, f, 0.5, operator="laplacian", backend=backend)
        assert explanation.backend == (backend or "numpy")
        assert f"each block of up to {chunks} x {chunks} samples in a task" in explanation.details

    def test_large_blocks_of_dask_arrays(self, ran, started):
        da = pytest.importorskip("dask.array")
        f = da.from_array(samples((600, 300)), chunks=300)
        explanation = check(ran, f, operator="gradient_norm")
        assert explanation.backend == "compiled"
        assert "on one thread" in explanation.details

    def test_blocks_of_dask_arrays_that_engines_refuse(self, ran):
        da = pytest.importorskip("dask.array")
        f = da.from_array(samples(LARGE, "f8"), chunks=100).map_blocks(
            lambda x: x.view(Plain), meta=np.zeros((0, 0)).view(Plain)
        )
        assert check(ran, f, operator="laplacian").backend == "slices"
        assert gpugrad.explain(f, backend="numpy").backend is None
        assert "blocks of `f` are NumPy's" in gpugrad.explain(f, backend="cupy").rejected["cupy"]
        x = da.arange(300.0, chunks=300)
        lazy = check(ran, da.ones(300), x, operator="derivative")
        assert (lazy.backend, lazy.cure) == ("slices", "Pass the spacing as a NumPy array.")

    def test_fields_with_labels_or_units(self, ran, started):
        xarray = pytest.importorskip("xarray")
        f = xarray.DataArray(samples(LARGE), {"x": np.arange(300.0) ** 2}, ["x", "y"])
        assert check(ran, f, axis="x").backend == "compiled"
        assert check(ran, f[:9, :9], operator="laplacian").backend == "numpy"
        ureg = pytest.importorskip("pint").UnitRegistry()
        assert check(ran, samples(LARGE) * ureg.K, 2 * ureg.m).backend == "compiled"
        assert check(ran, ureg.Quantity(masked(LARGE), "K"), 2 * ureg.m).backend == "compiled"
