"""Nothing that a call has begun goes on behind the caller's back, and no lock is lost.

Each task of `benchmarks/reliability` runs in a process of its own: a fault may end it, or make it
hang.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gpugrad
import internals
from gpugrad._arrays import memory
from internals import _threads, cli_main

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no timers that send signals"
)
ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
BACKENDS = ("numpy", "compiled")


def run(task, *arguments):
    """Run a task; return how often it was interrupted."""
    if task in ("compilations", "forks") or "compiled" in arguments:
        pytest.importorskip("llvmlite")
    module = "benchmarks.reliability.interrupted"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, task, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(Path(gpugrad.__file__).parents[1])},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


FEW_AND_MANY = (1, pytest.param(10, marks=pytest.mark.nightly))


@pytest.mark.exhaustive
@pytest.mark.parametrize("times", FEW_AND_MANY)
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_thread_writes_once_an_interrupted_call_has_ended(backend, times):
    assert run("gradients", backend, 30 * times) > 10 * times


@pytest.mark.parametrize("times", FEW_AND_MANY)
@pytest.mark.parametrize("backend", BACKENDS)
def test_work_for_a_thread_that_could_not_start_is_done_once(backend, times):
    assert run("threads_that_cannot_start", backend, 20 * times) == 20 * times


@pytest.mark.parametrize("times", FEW_AND_MANY)
def test_an_interrupted_compiler_works_on_every_thread(times):
    assert run("compilations", 20 * times) > 10 * times


@pytest.mark.parametrize("times", FEW_AND_MANY)
@pytest.mark.parametrize(
    "backend", ["numpy", pytest.param("compiled", marks=pytest.mark.exhaustive)]
)
@pytest.mark.nightly
def test_interrupted_dask_arrays_leave_others_right(backend, times):
    pytest.importorskip("dask")
    assert run("dask_arrays", backend, 20 * times) > 5 * times


@pytest.mark.parametrize("times", FEW_AND_MANY)
def test_no_thread_reads_or_writes_files_once_an_interrupted_run_has_ended(times):
    assert run("files", 5 * times) > 5 * times


@pytest.mark.exhaustive
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("times", FEW_AND_MANY)
def test_a_child_forked_while_a_thread_compiles_can_compile(times):
    assert run("forks", 15 * times) == 15 * times


def test_the_end_of_a_result_takes_no_lock():
    result = gpugrad.gradient(np.zeros(1 << 19), backend="numpy")
    there = result.__array_interface__["data"][0]
    with memory._lock:  # as an interrupted thread would leave it, or one that takes memory
        del result
    again = gpugrad.gradient(np.zeros(1 << 19), backend="numpy")
    assert again.__array_interface__["data"][0] == there


def test_a_handlers_error_is_not_taken_for_a_lack_of_threads(monkeypatch):
    def raise_error(*arguments):
        raise RuntimeError("too late")

    def work(share):
        pytest.fail("the caller has been told to stop")

    _threads.for_each_share(
        lambda share: None, [1, 2], 2
    )  # a thread takes tasks from the real queue
    monkeypatch.setattr(_threads, "_tasks", SimpleNamespace(put=raise_error))
    with pytest.raises(RuntimeError, match="too late"):
        _threads.for_each_share(work, [1, 2], 2)


@pytest.mark.parametrize("task", ["a gradient", "a kernel", "a file"])
def test_no_lock_that_an_exception_leaves_locked_is_taken_on_the_main_thread(
    monkeypatch, tmp_path, task
):
    """A `Condition` is entered in steps of Python, and an exception may come between them."""
    enter = threading.Condition.__enter__

    def enter_elsewhere(condition):
        assert threading.get_ident() != threading.main_thread().ident
        return enter(condition)

    f = np.random.default_rng(0).normal(size=(800, 800))
    source, target = tmp_path / "f.npy", tmp_path / "g.npy"
    np.save(source, f)
    if task == "a kernel":
        pytest.importorskip("llvmlite")
        gpugrad.gradient(f, backend="compiled")
        internals.compiled_kernels.addresses.clear()
    _threads._forget_pool()
    backend = "compiled" if task == "a kernel" else "numpy"
    with monkeypatch.context() as patch, gpugrad.use_backend(backend, threads=2):
        patch.setattr(threading.Condition, "__enter__", enter_elsewhere)
        if task == "a file":
            assert cli_main.main(["grad", str(source), str(target), "--axis", "0", "--quiet"]) == 0
        else:
            gpugrad.gradient(f, axis=0)
    if task == "a file":
        assert np.array_equal(np.load(target), np.gradient(f, axis=0))


def test_a_thread_that_comes_too_late_finds_the_gate_closed():
    call = _threads._Call(pytest.fail, ["a share"])
    lock, close = call.gate.lock, call.gate.open()
    close(lock, True)
    call.help()
    call.end()
    following = _threads._Call(print, ["another"])
    assert following.gate is call.gate
    following.gate.open()
    call.help()  # the gate is open, but to another call
    assert call.errors == []
    assert following.gate.enter(following)
    following.gate.leave()


def test_the_base_of_a_result_is_never_copied():
    import copy
    import pickle

    result = gpugrad.gradient(np.zeros(1 << 19), backend="numpy")
    assert copy.copy(result.base) is result.base
    assert copy.deepcopy(result.base) is result.base
    with pytest.raises(TypeError, match="Pickle the result"):
        pickle.dumps(result.base)
    assert not copy.deepcopy(result).any()
