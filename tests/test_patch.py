"""`patch_numpy`: who is reached, what is answered, and that nothing is left of it."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import patch_late_imports, patch_stand_ins, patch_stand_ins_jax

numpys = pytest.importorskip("numpy.lib.tests.test_function_base")
np_gradient = np.gradient  # as code imports it by name, before the patch
F = np.array([0.0, 1.0, 4.0, 9.0, 16.0])


@pytest.fixture
def calls(monkeypatch):
    """Count what reaches our gradient through a patch."""
    seen = []

    def count(f, *spacing, **options):
        seen.append(type(f))
        return gpugrad.gradient(f, *spacing, **options)

    monkeypatch.setattr(patch_stand_ins, "gradient", count)
    patch_stand_ins_jax._compile.cache_clear()  # what JAX has compiled is not counted again
    return seen


# NumPy


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.filterwarnings("ignore:.*lose their fractions:gpugrad.GpugradWarning")
class TestGradient(numpys.TestGradient):
    """NumPy's own tests."""

    @pytest.fixture(autouse=True)
    def patch(self, fallback):
        with gpugrad.patch_numpy(fallback=fallback):
            yield


def test_names_that_were_imported_before_follow(calls):
    with gpugrad.patch_numpy():
        np_gradient(F)
        numpys.gradient(F, edge_order=2)
    assert calls == [np.ndarray] * 2
    np_gradient(F)
    assert len(calls) == 2


@pytest.mark.parametrize("fallback", [False, True])
def test_arguments_become_arrays_as_numpy_makes_them(fallback, calls):
    pd, xr, torch = map(pytest.importorskip, ("pandas", "xarray", "torch"))
    x = np.array([0.0, 1.0, 3.0, 4.0, 7.0])
    kinds = [
        list,
        tuple,
        lambda a: pd.Series(a, index=a**2 + a),
        lambda a: xr.DataArray(a, dims="x", coords={"x": a**2}),
        torch.from_numpy,
        np.ma.array,
    ]
    for kind in kinds:
        for spacing in ((), (kind(x),), (0.5,), (np.array(0.5),), (np.float32(0.3),)):
            expected = np.gradient(kind(F), *spacing, edge_order=2)
            with gpugrad.patch_numpy(fallback=fallback):
                result = np.gradient(kind(F), *spacing, edge_order=2)
            assert type(result) is type(expected)
            assert_same_bits(result, expected)
    assert len(calls) >= 4 * len(kinds)


def test_containers_and_axes_are_numpys():
    f = np.outer(F, F)
    for axis in (None, 0, -1, (0,), (1, 0), [0, 1], ()):
        expected = np.gradient(f, axis=axis)
        with gpugrad.patch_numpy():
            result = np.gradient(f, axis=axis)
        assert type(result) is type(expected)
        np.testing.assert_equal(result, expected)


@pytest.mark.parametrize("library", ["astropy.units", "unyt", "pint"])
def test_units_stay_what_their_libraries_make_of_them(library, calls):
    units = pytest.importorskip(library)
    metre = units.UnitRegistry().metre if library == "pint" else units.m
    for f, spacing in ((F * metre, 2.0), (F * metre, 2.0 * metre), (F, np.arange(5.0) * metre)):
        try:
            expected = np.gradient(f, spacing)
        except Exception as error:  # noqa: BLE001
            with gpugrad.patch_numpy(), pytest.raises(type(error)):
                np.gradient(f, spacing)
            continue
        with gpugrad.patch_numpy():
            result = np.gradient(f, spacing)
        assert type(result) is type(expected)
        assert (result == expected).all()
    # What holds plain arrays inside comes to us; unyt keeps NumPy's arithmetic on its own class.
    assert bool(calls) is (library != "unyt")


class Table(np.ndarray):
    """A subclass that says nothing about functions of NumPy."""


def test_subclasses_stay(calls):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        matrix = np.matrix(np.outer(F, F))
    for f in (F.view(Table), matrix, np.ma.array(F, mask=[0, 0, 1, 0, 0])):
        expected = np.gradient(f)
        with gpugrad.patch_numpy():
            result = np.gradient(f)
        np.testing.assert_equal(result, expected)
        assert type(result) is type(expected)
        if isinstance(result, np.ndarray):
            assert type(result) is type(f)
    assert len(calls) == 3


# What is refused or differs: the rows of docs/explanations/differences-from-numpy.md

X_TWICE, X_NAN, X_BACK = [0.0, 1, 1, 2, 3], [0.0, 1, np.nan, 3, 4.5], [0.0, 2, 0, 3, 4]
MASKED = np.ma.array([0.0, 1, 99, 4, 8], mask=[0, 0, 1, 0, 0])
HOURS = np.arange(5) * np.timedelta64(1, "h")
REFUSED = {
    "a function": (np.sin,),
    "nothing": (None,),
    "text": ("1, 4, 9",),
    "a mapping": ({1: 2},),
    "a number": (3.0,),
    "an array without axes": (np.array(3.0),),
    "objects that are no numbers": ([1.0, None, 4.0],),
    "texts": (["1", "4", "9"],),
    "times along times": (60 * HOURS, HOURS),
    "edge_order 0": (F, {"edge_order": 0}),
    "edge_order -1": (F, {"edge_order": -1}),
    "edge_order 1.5": (F, {"edge_order": 1.5}),
    "edge_order True": (F, {"edge_order": True}),
    "edge_order 3": (F, {"edge_order": 3}),
    "a spacing of zero": (F, 0.0),
    "a spacing of NaN": (F, np.nan),
    "an infinite spacing": (F, np.inf),
    "a coordinate twice": (F, X_TWICE),
    "a coordinate of NaN": (F, X_NAN),
    "a boolean spacing": (F, True),
    "boolean coordinates": (F, np.array([True, False, True, False, True])),
    "a complex spacing": (F, 1j),
    "complex coordinates": (F, np.array([0, 1, 2, 4, 8j])),
    "masked coordinates": (F, MASKED),
    "dates as coordinates": (F, np.datetime64("2024-01-01") + HOURS),
    "coordinates that come back": (F, X_BACK),
    "a field of booleans": (F > 3,),
    "too few samples": (F[:1],),
    "coordinates of another length": (F, [0.0, 1.0]),
    "too many spacings": (F, 1.0, 2.0),
    "an axis that is not there": (F, {"axis": 1}),
}
OTHER_ANSWERS = {
    "half precision": (np.array([-60000, 0, 60000], "f2"), 400),
    "a spacing in half precision": (np.array([0.0, 1.0, 4.0]), np.float16(60000)),
    "fractions of times": (np.array([0, 1, 3], "m8[D]"),),
    "dates of the other byte order": (np.array([0, 1, 4], ">M8[D]"),),
    "a narrow integer as spacing": (F.astype("c8") * (1 + 0.1j), np.int8(3)),
    "coordinates up and down": (F, np.array([0.0, 2, 1, 3, 4])),
}


def call(function, row):
    *arguments, options = row if isinstance(row[-1], dict) and len(row) > 1 else (*row, {})
    return function(*arguments, **options)


def ask(row):
    """Return what `numpy.gradient` answers to a row: the result, or the error; and warnings."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            result = call(np.gradient, row)
        except Exception as error:  # noqa: BLE001
            result = error
    return result, [(w.category, str(w.message)) for w in caught]


def assert_same_answer(given, expected):
    (result, caught), (theirs, warned) = given, expected
    assert type(result) is type(theirs)
    if isinstance(theirs, Exception):
        assert str(result) == str(theirs)
        assert not hasattr(result, "__notes__")
    elif isinstance(theirs, np.ndarray):
        assert_same_bits(result, theirs)
    else:
        assert result == theirs == ()
    assert caught == warned


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_an_error_with_a_hint_or_numpys_answer(case):
    expected = ask(REFUSED[case])
    with gpugrad.patch_numpy():
        error, _ = ask(REFUSED[case])
    with pytest.raises(type(error)) as raised:
        call(gpugrad.gradient, REFUSED[case])
    assert isinstance(error, (TypeError, ValueError))
    assert str(error) == str(raised.value)
    assert "gpugrad.patch_numpy(fallback=True)" in error.__notes__[-1]
    with gpugrad.patch_numpy(fallback=True):
        assert_same_answer(ask(REFUSED[case]), expected)


@pytest.mark.parametrize("case", OTHER_ANSWERS)
def test_what_is_answered_otherwise_is_gpugrads_or_numpys(case):
    f, *spacing = OTHER_ANSWERS[case]
    expected = ask(OTHER_ANSWERS[case])
    with gpugrad.patch_numpy():
        result, _ = ask(OTHER_ANSWERS[case])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_bits(result, gpugrad.gradient(f, *spacing))
    with gpugrad.patch_numpy(fallback=True):
        assert_same_answer(ask(OTHER_ANSWERS[case]), expected)


def test_fields_in_files_become_arrays_or_stay(tmp_path):
    f = np.memmap(tmp_path / "f", "f8", "w+", shape=5)
    for fallback, kind in ((False, np.ndarray), (True, np.memmap)):
        with gpugrad.patch_numpy(fallback=fallback):
            assert type(np.gradient(f)) is kind


def test_warnings_name_the_line_of_the_caller():
    with gpugrad.patch_numpy(), pytest.warns(gpugrad.GpugradWarning, match="monotonic") as caught:
        np.gradient(F, [0.0, 2, 1, 3, 4])
    assert caught[0].filename == __file__


def test_a_backend_that_is_named_holds():
    with gpugrad.patch_numpy(), gpugrad.use_backend("numpy"):
        with pytest.raises(gpugrad.BackendError, match="cannot run this"):
            np.gradient(F.astype("m8[s]"))
        assert_same_bits(np.gradient(F), gpugrad.gradient(F, backend="slices"))


# Holding and undoing


def is_held():
    return np.gradient._implementation.__code__ is not CODE


CODE = np.gradient._implementation.__code__


def test_it_holds_as_a_statement_until_it_is_undone():
    patch = gpugrad.patch_numpy()
    assert is_held()
    assert repr(patch) == "patch_numpy()"
    patch.undo()
    patch.undo()
    assert not is_held()
    with patch:
        assert is_held()
    assert not is_held()
    patch.__exit__(None, None, None)
    assert not is_held()


def falls_back():
    return is_held() and isinstance(ask((F, 0.0))[0], np.ndarray)


def test_patches_are_nested_in_any_order():
    with gpugrad.patch_numpy(fallback=True) as outer:
        assert falls_back()
        with gpugrad.patch_numpy():
            assert is_held()
            assert not falls_back()
            with outer:
                assert falls_back()
            assert not falls_back()
            statement = gpugrad.patch_numpy(fallback=True)
        assert falls_back()
        statement.undo()
        assert falls_back()
    assert not is_held()
    first, second = gpugrad.patch_numpy(), gpugrad.patch_numpy(fallback=True)
    with second:  # which holds already
        first.undo()
        assert falls_back()
        second.undo()
        assert not is_held()
    assert not is_held()


def test_an_error_in_the_block_undoes_it():
    with pytest.raises(KeyError), gpugrad.patch_numpy(fallback=True):
        raise KeyError
    assert not is_held()


@pytest.mark.parametrize("wrong", [1, None, "yes"])
def test_fallback_is_true_or_false(wrong):
    with pytest.raises(TypeError, match="`fallback` must be True or False; got"):
        gpugrad.patch_numpy(fallback=wrong)
    assert not is_held()
    with pytest.raises(TypeError, match="`patch_numpy` takes 0 arguments by position; got 1"):
        gpugrad.patch_numpy(True)
    with pytest.raises(TypeError, match="Did you mean `fallback`"):
        gpugrad.patch_numpy(fallbak=True)


def describe(function):
    return (
        id(function), inspect.signature(function), function.__doc__, function.__name__,
        function.__module__, function.__qualname__, sorted(dir(function)),
        pickle.dumps(function), function.__wrapped__.__kwdefaults__, hash(function),
    )  # fmt: skip


def test_it_is_undone_without_a_trace():
    da, jnp = pytest.importorskip("dask.array"), pytest.importorskip("jax.numpy")
    modules = [np, np.lib, np.lib._function_base_impl, da, da.routines, jnp, sys]
    before = [{name: id(value) for name, value in vars(module).items()} for module in modules]
    described, finders, jax_function = describe(np.gradient), [*sys.meta_path], jnp.gradient
    variables = vars(np.gradient.__wrapped__).copy(), vars(da.gradient).copy()
    with gpugrad.patch_numpy():
        assert describe(np.gradient) == described
        assert inspect.getsource(np.gradient).startswith("def gradient(f: Any, ")
        assert jnp.gradient is not jax_function
        assert inspect.signature(jnp.gradient) == inspect.signature(jax_function)
    assert describe(np.gradient) == described
    assert np.gradient.__wrapped__.__code__ is CODE
    assert variables == (vars(np.gradient.__wrapped__), vars(da.gradient))
    assert sys.meta_path == finders
    after = [{name: id(value) for name, value in vars(module).items()} for module in modules]
    assert after == before


def test_calls_in_other_threads_end_while_it_comes_and_goes():
    expected, wrong, over = np.gradient(F), [], threading.Event()

    def work():
        while not over.is_set():
            if not (np.gradient(F) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        with gpugrad.patch_numpy():
            np.gradient(F)
    over.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not is_held()


def test_a_call_without_a_caller_in_python_is_taken(calls):
    import _thread
    import time

    with gpugrad.patch_numpy():
        _thread.start_new_thread(np.gradient, (F,))
        end = time.monotonic() + 10
        while not calls and time.monotonic() < end:
            time.sleep(1e-3)
    assert calls


def test_a_function_with_other_parameters_is_left_alone(monkeypatch):
    da = pytest.importorskip("dask.array")

    def gradient(f, spacing):
        return spacing

    monkeypatch.setattr(da, "gradient", gradient)
    with pytest.warns(gpugrad.GpugradWarning, match="`dask.array.gradient` is not patched"):
        patch = gpugrad.patch_numpy()
    assert da.gradient(1, 2) == 2
    patch.undo()


# Libraries that are imported later


def run(code, **options):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_library_is_patched_when_it_is_imported_later(tmp_path):
    (tmp_path / "cupy.py").write_text(
        "import numpy\n"
        "asanyarray, ndarray = numpy.asanyarray, numpy.ndarray\n"
        "def gradient(f, *varargs, axis=None, edge_order=1):\n"
        "    return 'theirs'\n"
    )
    code = (
        "import gpugrad, sys\n"
        "patch = gpugrad.patch_numpy()\n"
        "print('cupy' in sys.modules)\n"
        "import cupy\n"
        "print(type(cupy.gradient([[1.0, 2.0], [3.0, 4.0]])).__name__)\n"
        "print(type(cupy.gradient([1.0, 2.0])).__name__)\n"
        "print(*vars(cupy.__spec__.loader), type(cupy.__spec__.loader).__name__)\n"
        "patch.undo()\n"
        "print(cupy.gradient(1))"
    )
    options = {"cwd": tmp_path}
    expected = "False list ndarray name path SourceFileLoader theirs"
    assert run(code, **options) == expected.split()


@pytest.mark.exhaustive
def test_real_libraries_are_patched_when_they_are_imported_later():
    pytest.importorskip("dask.array")
    pytest.importorskip("jax")
    code = (
        "import gpugrad, sys\n"
        "patch = gpugrad.patch_numpy()\n"
        "print(any(name in sys.modules for name in ('dask', 'jax')))\n"
        "import dask.array as da, jax.numpy as jnp\n"
        "def show():\n"
        "    for function in da.gradient, jnp.gradient.__wrapped__:\n"
        "        print('_patch' in function.__code__.co_filename)\n"
        "show()\n"
        "patch.undo()\n"
        "show()"
    )
    assert run(code) == ["False", "True", "True", "False", "False"]


def test_a_library_that_is_imported_after_the_end_is_not_patched():
    seen = []
    with gpugrad.patch_numpy():
        spec = patch_late_imports._finder.find_spec("dask.array", None)
        if spec is None:
            pytest.skip("Dask is not installed")
    spec.loader.exec_module = seen.append
    assert vars(patch_late_imports._finder)["libraries"] == []
    del spec.loader.exec_module


# Dask


def test_dask_gives_lists_and_numpys_bits(calls):
    da = pytest.importorskip("dask.array")
    f = np.outer(F, F[:4]) ** 2
    g = da.from_array(f, chunks=((2, 3), (2, 2)))
    for axis in (None, 0, -1, (0,), (1, 0)):
        expected = da.gradient(g, 0.3, axis=axis)
        with gpugrad.patch_numpy():
            for gradient in (da.gradient, np.gradient):
                result = gradient(g, 0.3, axis=axis)
                assert type(result) is type(expected)
                pairs = zip(result, expected, strict=True) if axis not in (0, -1) else ()
                for r, e in pairs or [(result, expected)]:
                    assert r.chunks == e.chunks
                    assert_same_bits(r.compute(), e.compute())
    assert len(calls) == 10


def test_what_dask_does_otherwise_stays():
    da = pytest.importorskip("dask.array")
    f = da.from_array(F, chunks=3)
    with gpugrad.patch_numpy():
        assert da.gradient(f.astype("f2"))[0].dtype == np.float64
        assert_same_bits(da.gradient(f > 3)[0], np.gradient((F > 3).astype(float)))
        with pytest.raises(NotImplementedError, match="coordinate"):
            da.gradient(f, f)
        short = da.from_array(F, chunks=1)  # which Dask refuses
        assert_same_bits(da.gradient(short)[0], np.gradient(F))
        with pytest.raises(ValueError, match="not zero") as raised:
            da.gradient(f, 0.0)
        assert "`dask.array.gradient`" in raised.value.__notes__[-1]
    with gpugrad.patch_numpy(fallback=True), np.errstate(all="ignore"):
        assert np.isinf(da.gradient(f, 0.0, axis=0).compute(scheduler="sync")[1])


def test_graphs_of_dask_keep_what_they_were_built_with(calls):
    da = pytest.importorskip("dask.array")
    f = da.from_array(F.astype("f4"), chunks=3)
    before = da.gradient(f, 0.3)[0]
    patch = gpugrad.patch_numpy()
    during = da.gradient(f, 0.3)[0]
    calls.clear()
    for scheduler in ("sync", "threads"):
        before.compute(scheduler=scheduler)
    assert not calls
    patch.undo()
    assert "gpugrad" in str(dict(during.dask))
    for scheduler in ("sync", "threads"):
        assert_same_bits(during.compute(scheduler=scheduler), np.gradient(F.astype("f4"), 0.3))
    assert "gpugrad" not in str(dict(da.gradient(f)[0].dask))


@pytest.mark.exhaustive
def test_graphs_of_dask_are_computed_in_other_processes():
    da = pytest.importorskip("dask.array")
    with gpugrad.patch_numpy():
        result = da.gradient(da.from_array(F, chunks=3), 0.3)[0]
    assert_same_bits(result.compute(scheduler="processes"), np.gradient(F, 0.3))


# JAX


def test_jax_gives_its_dtypes_and_lists(calls, jax_without_64_bits):
    jnp = pytest.importorskip("jax.numpy")
    f = jnp.asarray(np.outer(F, F[:3] + 0.5))
    x = np.array([0.0, 1.0, 3.0, 4.0, 7.5])
    cases = [
        (f, ()), (np.asarray(f), ()), (f, (x, 2)), (f[0].astype("i1"), ()),
        (f[0].astype("bfloat16"), (0.5,)), (f[0].astype("f2"), (np.float32(0.5),)),
        (f[0] + 1j, (jnp.float32(2.0),)),
    ]  # fmt: skip
    expected = [jnp.gradient(g, *spacing) for g, spacing in cases]
    with gpugrad.patch_numpy():
        results = [jnp.gradient(g, *spacing) for g, spacing in cases]
        assert jnp.gradient(f, axis=()) == []
    assert len(calls) == len(cases) - 1  # JAX has compiled one for the same dtypes and shapes
    for result, theirs in zip(results, expected, strict=True):
        assert type(result) is type(theirs)
        pairs = zip(result, theirs, strict=True) if isinstance(result, list) else ()
        for r, e in pairs or [(result, theirs)]:
            assert r.dtype == e.dtype
            assert not r.weak_type
            r, e, eps = np.asarray(r), np.asarray(e), jnp.finfo(e.dtype).eps
            assert abs(r - e).max() <= 2 * eps * abs(e).max()


def test_errors_of_jax_stay_its_own():
    jnp = pytest.importorskip("jax.numpy")
    f = jnp.ones(5)
    calls = [
        lambda: jnp.gradient(f, edge_order=2),
        lambda: jnp.gradient([1.0, 2.0]),
        lambda: jnp.gradient(f[:1]),
        lambda: jnp.gradient(f, axis=3),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError, NotImplementedError)) as theirs:
            call()
        with gpugrad.patch_numpy(), pytest.raises(type(theirs.value)) as raised:
            call()
        assert str(raised.value) == str(theirs.value)
    with gpugrad.patch_numpy(), pytest.raises(TypeError, match="real numbers") as raised:
        jnp.gradient(f, 1j)
    assert "`jax.numpy.gradient`" in "".join(raised.value.__notes__)
    with gpugrad.patch_numpy(fallback=True):
        assert jnp.gradient(f, 1j).dtype.kind == "c"


def test_functions_that_jax_has_compiled_keep_what_they_were_traced_with(calls):
    jax = pytest.importorskip("jax")
    f = jax.numpy.asarray(F.astype("f4"))
    before, during = (jax.jit(lambda f, n=n: jax.numpy.gradient(f) * n) for n in (2, 3))
    before(f)
    with gpugrad.patch_numpy():
        before(f)
        assert not calls
        during(f)
        slope = jax.grad(lambda f: jax.numpy.gradient(f)[0])(f)
    count = len(calls)
    assert count
    with gpugrad.patch_numpy(fallback=True):
        kept = jax.numpy.gradient
    assert kept(f, 1j).dtype.kind == "c"
    count = len(calls)
    assert [float(v) for v in during(f)] == [3, 6, 12, 18, 21]
    assert [float(v) for v in slope] == [-1, 1, 0, 0, 0]
    jax.numpy.gradient(f)
    assert len(calls) == count
