"""The switch, the namespaces, and the report of what is there and what is missing."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits, watch_programs, watch_small_calls
from internals import (
    Gpu,
    Term,
    _devices,
    _threads,
    dispatch,
    find_gpu,
    first_derivative,
    info,
    numpy_blocks,
    numpy_subclasses,
    selection,
    slices,
)

F = np.arange(5.0) ** 2


@pytest.fixture
def ran(monkeypatch):
    """Record which engine evaluates."""
    engines = []
    for module in (numpy_blocks, numpy_subclasses, slices):

        def evaluate(outputs, out=None, module=module, original=module.evaluate):
            engines.append(module.__name__.rpartition(".")[2])
            return original(outputs, out)

        monkeypatch.setattr(module, "evaluate", evaluate)
    watch_small_calls(monkeypatch, lambda: engines.append("numpy_blocks"))
    return engines


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_auto_takes_the_numpy_engine_for_numpy_arrays(ran):
    gpugrad.gradient(F)
    assert ran == ["numpy_blocks"]


class Plain(np.ndarray):
    """A subclass that adds nothing."""


def test_auto_takes_other_engines_for_what_numpys_cannot(ran):
    gpugrad.gradient(F.view(Plain))
    gpugrad.gradient(np.ma.array(F), backend="slices")
    gpugrad.gradient(np.array(["2024-01-01", "2024-01-02"], "M8[D]"))
    assert ran == ["numpy_subclasses", "numpy_subclasses", "slices"]


def test_the_keyword_goes_before_the_context_which_goes_before_auto(ran):
    with gpugrad.use_backend("slices"):
        gpugrad.gradient(F)
        gpugrad.gradient(F, backend="numpy")
        with gpugrad.use_backend("auto"):
            gpugrad.gradient(F)
        gpugrad.gradient(F)
    gpugrad.gradient(F)
    assert ran == ["slices", "numpy_blocks", "numpy_blocks", "slices", "numpy_blocks"]


def test_the_context_ends_with_an_error_too(ran):
    with pytest.raises(ZeroDivisionError), gpugrad.use_backend("slices"):
        raise ZeroDivisionError
    gpugrad.gradient(F)
    assert ran == ["numpy_blocks"]


def test_threads_alone_leave_the_backend_as_chosen(ran):
    with gpugrad.use_backend("slices"), gpugrad.use_backend(threads=1):
        gpugrad.gradient(F)
    assert ran == ["slices"]


def test_use_backend_decorates_functions(ran):
    @gpugrad.use_backend("slices")
    def slope():
        return gpugrad.gradient(F)

    gpugrad.gradient(F)
    slope()
    slope()
    gpugrad.gradient(F)
    assert ran == ["numpy_blocks", "slices", "slices", "numpy_blocks"]
    assert slope.__name__ == "slope"


def in_force():
    return selection.name_in_force(), _threads.chosen()


def test_a_statement_holds_from_then_on_and_a_block_ends_with_the_choice_before():
    def run():
        assert in_force() == ("auto", None)
        statement = gpugrad.use_backend("slices", threads=3)
        assert in_force() == ("slices", 3)
        with gpugrad.use_backend("numpy") as choice:
            assert in_force() == ("numpy", 3)
            with gpugrad.use_backend(threads=2):
                assert in_force() == ("numpy", 2)
                gpugrad.use_backend("auto", threads=9)  # a statement ends with the block about it
            assert in_force() == ("numpy", 3)
        assert in_force() == ("slices", 3)
        gpugrad.use_backend(threads=4)
        for context in (choice, choice, statement):  # once more
            with context:
                wanted = ("numpy", 4) if context is choice else ("slices", 3)
                assert in_force() == wanted
            assert in_force() == ("slices", 4)

    contextvars.Context().run(run)
    assert in_force() == ("auto", None)


def test_a_choice_that_is_entered_twice_ends_twice():
    def run():
        choice = gpugrad.use_backend("slices")
        with choice:
            gpugrad.use_backend("numpy")
            with choice:
                assert selection.name_in_force() == "slices"
            assert selection.name_in_force() == "numpy"
        assert selection.name_in_force() == "auto"

    contextvars.Context().run(run)


def test_blocks_that_end_in_another_order_leave_nothing_behind():
    def run():
        first = gpugrad.use_backend("slices", threads=5)
        first.__enter__()
        second = gpugrad.use_backend("numpy")
        second.__enter__()
        first.__exit__(None, None, None)
        assert (selection.name_in_force(), _threads.chosen()) == ("numpy", 5)
        second.__exit__(None, None, None)
        assert (selection.name_in_force(), _threads.chosen()) == ("auto", None)
        second.__exit__(None, None, None)  # it has ended: nothing to bring back
        assert selection.name_in_force() == "auto"

    contextvars.Context().run(run)


def test_a_choice_made_elsewhere_is_put_in_force_by_with_and_ends_there():
    choice = contextvars.Context().run(gpugrad.use_backend, "slices")
    assert selection.name_in_force() == "auto"
    with choice:
        assert selection.name_in_force() == "slices"
        copied = contextvars.copy_context()
    assert selection.name_in_force() == "auto"
    choice.__exit__()  # left where it has never been entered: nothing happens
    assert selection.name_in_force() == "auto"
    copied.run(choice.__exit__)
    assert copied.run(selection.name_in_force) == "auto"


def test_a_choice_that_is_refused_changes_nothing():
    for wrong in ({"backend": "fast", "threads": 3}, {"backend": "slices", "threads": 0}):
        with pytest.raises(ValueError, match="must be"):
            gpugrad.use_backend(**wrong)
        assert (selection.name_in_force(), _threads.chosen()) == ("auto", None)


def test_a_backend_that_cannot_run_here_is_refused_at_once(monkeypatch):
    gpu = Gpu(problem="there is no NVIDIA driver on this machine", cure="install the driver")
    monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
    with pytest.raises(gpugrad.BackendError) as raised:
        gpugrad.use_backend("cupy")
    assert str(raised.value) == (
        'backend "cupy" cannot run: there is no NVIDIA driver on this machine. To mend it: '
        "install the driver."
    )
    monkeypatch.setattr(_devices, "is_installed", lambda name: name != "llvmlite")
    with pytest.raises(gpugrad.BackendError) as raised:
        gpugrad.use_backend("compiled")
    assert str(raised.value) == (
        'backend "compiled" cannot run: it needs llvmlite, which is not installed. Run '
        '`pip install "gpugrad[cpu]"`.'
    )
    assert pickle.loads(pickle.dumps(raised.value)).cure == 'Run `pip install "gpugrad[cpu]"`.'
    assert selection.name_in_force() == "auto"


def test_naming_a_backend_starts_no_compiler():
    run = run_python(
        "import sys, gpugrad; gpugrad.use_backend('compiled')\nassert 'llvmlite' not in sys.modules"
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "choose", [gpugrad.use_backend, lambda name: gpugrad.gradient(F, backend=name)]
)
def test_the_old_name_of_a_backend_is_told_the_new_one(choose):
    with pytest.raises(ValueError, match=r"got 'numba' \(it is called \"compiled\" now\)"):
        choose("numba")


def test_a_choice_tells_what_it_is():
    for words in ("'slices'", "'numpy', threads=2", "threads=3", ""):
        choice = contextvars.Context().run(eval, f"gpugrad.use_backend({words})", globals())
        assert repr(choice) == f"use_backend({words})"


def test_a_choice_does_not_leak_into_other_threads_and_tasks():
    seen = {}

    def look(name):
        seen[name] = selection.name_in_force()

    async def task():
        with gpugrad.use_backend("numpy"):
            await asyncio.sleep(0.01)
            look("task")

    async def both():
        await asyncio.gather(task(), asyncio.sleep(0, look("other task")))

    with gpugrad.use_backend("slices"):
        thread = threading.Thread(target=look, args=["thread"])
        thread.start()
        thread.join()
    asyncio.run(both())
    assert seen == {"thread": "auto", "task": "numpy", "other task": "auto"}


def test_a_statement_holds_in_its_thread_or_task_and_in_tasks_started_from_there():
    seen = {}

    def in_thread():
        gpugrad.use_backend("numpy", threads=2)
        seen["thread"] = in_force()

    async def child(name):
        seen[f"before in {name}"] = in_force()
        gpugrad.use_backend(threads=4)
        seen[name] = in_force()

    async def parent():
        gpugrad.use_backend("slices")
        await asyncio.create_task(child("child"))
        seen["parent"] = in_force()

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    asyncio.run(parent())
    assert seen == {
        "thread": ("numpy", 2),
        "before in child": ("slices", None),
        "child": ("slices", 4),
        "parent": ("slices", None),
    }
    assert in_force() == ("auto", None)


def test_one_choice_entered_by_tasks_and_threads_side_by_side():
    choice = contextvars.Context().run(gpugrad.use_backend, "slices")
    seen = []

    async def enter(delay):
        gpugrad.use_backend(threads=int(delay * 1000))
        with choice:
            await asyncio.sleep(delay)
            seen.append(in_force()[0])
        seen.append(in_force() == ("auto", int(delay * 1000)))

    async def both():
        await asyncio.gather(enter(0.01), enter(0.02), enter(0.001))

    asyncio.run(both())
    assert seen == ["slices", True] * 3


def test_the_environment_chooses_where_nothing_else_does():
    code = """
import gpugrad
from gpugrad._engines import selection  # which backend is in force shows in no result
print(selection.name_in_force(), selection.name_in_force("numpy"))
with gpugrad.use_backend("auto"):
    print(selection.name_in_force())
"""
    run = run_python(code, GPUGRAD_BACKEND="slices")
    assert run.stdout.split() == ["slices", "numpy", "auto"], run.stderr


def test_an_unknown_name_in_the_environment_is_named():
    run = run_python("import gpugrad; gpugrad.gradient([1, 2])", GPUGRAD_BACKEND="cuda")
    assert (
        "`GPUGRAD_BACKEND` must be one of auto, slices, numpy, compiled, cupy; got 'cuda'"
        in run.stderr
    )


@pytest.mark.parametrize("name", ["cuda", "", 3])
def test_an_unknown_backend_is_an_error(name):
    with pytest.raises(ValueError, match="one of auto, slices, numpy, compiled, cupy"):
        gpugrad.gradient(F, backend=name)
    with (
        pytest.raises(ValueError, match="one of auto, slices, numpy, compiled, cupy"),
        gpugrad.use_backend(name),
    ):
        pass


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "many"])
def test_a_number_of_threads_must_be_one(threads):
    with (
        pytest.raises(ValueError, match="`threads` must be a whole number"),
        gpugrad.use_backend(threads=threads),
    ):
        pass


def test_a_wrong_number_of_threads_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("GPUGRAD_NUM_THREADS", "zero")
    with pytest.raises(ValueError, match="`GPUGRAD_NUM_THREADS` must be a whole number"):
        gpugrad.info()


def test_a_named_backend_that_cannot_run_says_why():
    with pytest.raises(gpugrad.BackendError, match=r"plain NumPy arrays.*backend=\"auto\""):
        gpugrad.gradient(F.view(Plain), backend="numpy")
    with pytest.raises(gpugrad.BackendError, match="and `f` is datetime64"):
        gpugrad.gradient(np.array(["2024", "2025"], "M8[D]"), backend="numpy")


@pytest.mark.parametrize("field", [F, F.astype("i4"), [0.0, 1.0, 4.0]])
def test_a_missing_gpu_is_named_first_and_then_what_goes_there(monkeypatch, field):
    gpu = Gpu(problem="there is no NVIDIA driver on this machine", cure="install the driver")
    monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
    with pytest.raises(gpugrad.BackendError) as raised:
        gpugrad.gradient(field, backend="cupy")
    assert str(raised.value) == (
        'backend "cupy" cannot run: there is no NVIDIA driver on this machine. To mend it: '
        "install the driver. It takes arrays on a GPU: pass `cupy.asarray(f)`."
    )
    with pytest.raises(gpugrad.BackendError, match="install the dri"):
        gpugrad.laplacian(np.ones((5, 4)), backend="cupy")
    assert raised.value.reason == gpu.problem
    assert raised.value.cure.startswith("To mend it: install the driver.")


@pytest.mark.parametrize("field", [np.ma.array(F), np.array(["2024", "2025"], "M8[D]"), F == 0])
def test_what_cannot_go_to_a_gpu_is_not_sent_there_by_an_error(monkeypatch, field):
    gpu = Gpu(problem="no GPU", cure="buy one")
    monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
    outputs = [[Term(1, field, first_derivative(0, 0.5, 1))]]
    with pytest.raises(gpugrad.BackendError, match=r"no GPU\. To mend it: buy one\.$"):
        dispatch._choose(outputs, "cupy")


def test_lazy_arrays_with_blocks_in_host_memory_are_refused_before_anything_is_computed():
    da = pytest.importorskip("dask.array")
    with pytest.raises(gpugrad.BackendError) as raised:
        gpugrad.gradient(da.from_array(F, chunks=2), backend="cupy")
    assert str(raised.value) == (
        'backend "cupy" cannot run this: it takes arrays on a GPU, and the blocks of `f` are '
        'NumPy\'s. Pass `f.map_blocks(cupy.asarray)`, or use backend="auto".'
    )
    masked = da.from_array(np.ma.array(F), chunks=2)
    with pytest.raises(gpugrad.BackendError, match=r"NumPy's\. Use "):
        gpugrad.gradient(masked, backend="cupy")


@pytest.mark.parametrize("gpu", [Gpu(devices=("a GPU",)), Gpu(problem="no GPU", cure="buy one")])
def test_the_backend_of_gpus_says_what_to_do_with_arrays_of_jax(monkeypatch, ran, gpu):
    jax = pytest.importorskip("jax")
    from internals import jax_engine

    watch_programs(monkeypatch, jax_engine, lambda: ran.append("slices"))
    monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
    reason = r"run this: .*JAX array.*XLA.*backend=\"auto\".*`jax\.jit`.*`cupy\.asarray\(f\)`"

    def differentiate(f):
        return gpugrad.gradient(f, backend="cupy")

    for call in (differentiate, jax.jit(differentiate)):
        with pytest.raises(gpugrad.BackendError, match=reason):
            call(jax.numpy.arange(4.0))
    gpugrad.gradient(jax.numpy.arange(4.0))
    assert ran == ["slices"]


def test_namespaces_by_name():
    assert gpugrad.namespace("numpy").linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    pytest.importorskip("jax")
    assert gpugrad.namespace("jax").__name__ == "jax.numpy"
    torch = pytest.importorskip("torch")
    assert isinstance(gpugrad.namespace("torch").linspace(0, 1, 3), torch.Tensor)


def test_an_unknown_namespace_is_an_error():
    with pytest.raises(
        ValueError, match="must be auto, numpy, cupy, torch, jax, mlx, dpnp; got 'dask'"
    ):
        gpugrad.namespace("dask")
    with pytest.raises(ValueError, match="must be auto"):
        gpugrad.namespace(["numpy"])


def test_a_folder_with_the_name_of_a_library_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "nolibrary").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert _devices.find_spec("nolibrary") is not None
    assert not _devices.is_installed("nolibrary")
    assert info._installed_version("nolibrary") is None


def test_a_workflow_written_once_runs_on_the_automatic_namespace():
    xp = gpugrad.namespace()
    x = xp.linspace(0.0, 1.0, 11)
    slope = gpugrad.gradient(x**2, 0.1, edge_order=2)
    np.testing.assert_allclose(gpugrad.asnumpy(slope), 2 * gpugrad.asnumpy(x), atol=1e-13)


def test_a_namespace_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(_devices, "find_spec", lambda name: None)
    with pytest.raises(gpugrad.BackendError, match=r"torch is not installed.*pip install torch"):
        gpugrad.namespace("torch")


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine: with or without CuPy, driver, GPU, compiler."""
    find_gpu.cache_clear()

    def build(cupy=None, driver=None):
        monkeypatch.setattr(_devices, "is_installed", lambda name: cupy is not None)
        monkeypatch.setattr(_devices, "driver_version", lambda: driver)
        monkeypatch.setattr(_devices.importlib, "import_module", lambda name: cupy)
        monkeypatch.setattr(_devices.sys, "platform", "linux")
        return find_gpu()

    yield build
    find_gpu.cache_clear()


class FakeCudaError(Exception):
    pass


def fake_cupy(driver=13000, devices=1, count_error=None, kernel_error=None, answer=42):
    def count():
        if count_error:
            raise FakeCudaError(count_error)
        return devices

    def kernel(code, name):
        if kernel_error:
            raise kernel_error
        return lambda grid, block, args: args[0].__setitem__(0, answer)

    runtime = SimpleNamespace(
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13000,
        getDeviceCount=count,
        getDeviceProperties=lambda i: {"name": b"Pretend GPU"},
        CUDARuntimeError=FakeCudaError,
    )
    return SimpleNamespace(
        __version__="14.2.0",
        cuda=SimpleNamespace(runtime=runtime),
        int32="i4",
        empty=lambda n, dtype: np.zeros(n, dtype),
        RawKernel=kernel,
    )


@pytest.mark.parametrize(
    ("setup", "problem", "cure"),
    [
        ({}, "CuPy is not installed, and there is no NVIDIA driver", "gpugrad[cuda13x]"),
        ({"driver": 12040}, "CuPy is not installed; .* supports CUDA 12.4", "gpugrad[cuda12x]"),
        ({"driver": 13010}, "CuPy is not installed; .* supports CUDA 13.1", "gpugrad[cuda13x]"),
        ({"cupy": fake_cupy(driver=0)}, "there is no NVIDIA driver", "install the NVIDIA driver"),
        (
            {"cupy": fake_cupy(driver=12020, count_error="cudaErrorInsufficientDriver: old")},
            "driver is too old: it supports CUDA 12.2, and CuPy 14.2.0 is built for CUDA 13.0",
            "gpugrad[cuda12x]",
        ),
        (
            {"cupy": fake_cupy(count_error="cudaErrorNoDevice: no CUDA-capable device")},
            "driver sees no GPU",
            "nvidia-smi",
        ),
        ({"cupy": fake_cupy(count_error="cudaErrorUnknown: broken")}, "CUDA fails", "nvidia-smi"),
        (
            {"cupy": fake_cupy(kernel_error=RuntimeError("libnvrtc.so.13: cannot open"))},
            "no working runtime compiler",
            "brings the compiler",
        ),
        (
            {"cupy": fake_cupy(kernel_error=RuntimeError("out of memory"))},
            "a trivial kernel does not run: RuntimeError: out of memory",
            "nvidia-smi",
        ),
        ({"cupy": fake_cupy(answer=41)}, "wrong answer", "nvidia-smi"),
    ],
)
def test_why_the_gpu_is_not_used(machine, setup, problem, cure):
    import re

    gpu = machine(**setup)
    assert not gpu.usable
    assert re.search(problem, gpu.problem), gpu.problem
    assert cure in gpu.cure
    with pytest.raises(gpugrad.BackendError, match="CuPy cannot be used") as error:
        gpugrad.namespace("cupy")
    assert gpu.problem in str(error.value)
    assert gpu.cure in str(error.value)


def test_a_gpu_that_runs_a_kernel_is_used(machine):
    assert machine(cupy=fake_cupy(devices=2)) == Gpu(devices=("Pretend GPU", "Pretend GPU"))


def test_without_a_gpu_the_automatic_namespace_is_numpys(machine, monkeypatch):
    machine()
    asked = []
    monkeypatch.setattr(_devices.importlib, "import_module", lambda n: asked.append(n) or np)
    monkeypatch.setattr(_devices, "is_installed", lambda name: True)
    gpugrad.namespace("auto")
    assert asked == ["array_api_compat.numpy"]


def test_the_gpu_is_looked_for_only_once(machine):
    first = machine()
    assert find_gpu() is first


def test_info_names_versions_and_reasons():
    report = gpugrad.info()
    table = str(report)
    assert report.versions["numpy"] == np.__version__
    assert f"gpugrad {' ' * 0}" in table
    assert report.versions["gpugrad"] == gpugrad.__version__
    if report.gpu.usable:
        assert report.gpu.devices[0] in table
    else:
        assert report.gpu.problem in table
        assert report.gpu.cure in table
    assert report.threads >= 1
    with gpugrad.use_backend("slices", threads=7):
        inside = gpugrad.info()
    assert (inside.backend, inside.threads) == ("slices", 7)


@pytest.mark.parametrize("has_compiler", [False, True])
def test_info_names_the_compiled_engine_where_there_is_a_compiler(has_compiler, monkeypatch):
    find = info.is_installed
    monkeypatch.setattr(
        info, "is_installed", lambda name: has_compiler if name == "llvmlite" else find(name)
    )
    report = gpugrad.info()
    assert report.picks["NumPy arrays"].startswith("numpy, in blocks")
    for kind in ("NumPy", "PyTorch"):
        assert ("compiled, by LLVM" in report.picks[f"{kind} arrays"]) == has_compiler
    assert "compiled" not in report.picks["JAX arrays"]
    assert (report.versions["llvmlite"] is not None) == has_compiler


@pytest.mark.parametrize("thing", [None, (x for x in "abc"), np.sin, {"a": 1}])
def test_asnumpy_refuses_what_has_no_values(thing):
    with pytest.raises(TypeError, match="`x` must be an array or a sequence; got"):
        gpugrad.asnumpy(thing)


@pytest.mark.parametrize("text", ["abc", b"abc", np.str_("abc")])
def test_asnumpy_refuses_text(text):
    with pytest.raises(TypeError, match="`x` must be an array or a sequence; got the text"):
        gpugrad.asnumpy(text)


class OnDevice:
    """An array of a library such as dpnp, which refuses to be read as if it lay on the host."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def asnumpy(self):
        return F


class Sparse:
    """An array of sparse, or a matrix of SciPy: some of its samples are not stored."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Cannot convert a sparse array to dense automatically.")

    def todense(self):
        return F[:, None]


class Lazy:
    """An array of a library such as mlx, which NumPy reads."""

    def __array__(self, dtype=None, copy=None):
        return F


@pytest.mark.parametrize(("kind", "shape"), [(OnDevice, (5,)), (Sparse, (5, 1)), (Lazy, (5,))])
def test_asnumpy_asks_arrays_that_have_a_way_home(kind, shape):
    values = gpugrad.asnumpy(kind())
    assert type(values) is np.ndarray
    assert_same_bits(values, F.reshape(shape))
    with pytest.raises(TypeError, match="`x` must be an array"):
        gpugrad.asnumpy(kind)


def test_asnumpy_brings_what_a_dataarray_holds_home_from_another_device():
    strict, xarray = pytest.importorskip("array_api_strict"), pytest.importorskip("xarray")
    values = strict.asarray([1.0, 4.0, 9.0], device=strict.Device("device1"))
    labelled = xarray.DataArray(values, dims="x", coords={"x": [0.0, 1.0, 2.0]})
    with pytest.raises(RuntimeError):
        np.asarray(labelled)
    np.testing.assert_array_equal(gpugrad.asnumpy(labelled), [1.0, 4.0, 9.0])


def test_asnumpy_takes_sparse_matrices_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    for make in (sparse.csr_array, sparse.csr_matrix, sparse.coo_array):
        values = gpugrad.asnumpy(make(np.diag(F)))
        assert type(values) is np.ndarray
        assert_same_bits(values, np.diag(F))


def test_asnumpy_takes_single_numbers_and_sequences():
    assert_same_bits(gpugrad.asnumpy(3.0), np.array(3.0))
    assert_same_bits(gpugrad.asnumpy([1, 2]), np.array([1, 2]))
    assert gpugrad.asnumpy(F) is F


@pytest.mark.nightly
@pytest.mark.skipif(find_gpu().usable, reason="there is a GPU")
def test_require_gpu_turns_skips_into_failures():
    tests = os.path.join(os.path.dirname(__file__), "test_libraries.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    command += ["-k", "asnumpy_brings and (cupy or readonly)"]
    lenient = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "1 passed, 1 skipped" in lenient.stdout, lenient.stdout
    assert lenient.returncode == 0
    strict = subprocess.run(
        [*command, "--require-gpu"], capture_output=True, text=True, check=False
    )
    assert strict.returncode == 1
    assert "--require-gpu: " in strict.stdout
    assert "1 passed" in strict.stdout
    assert "skipped" not in strict.stdout.splitlines()[-1]
