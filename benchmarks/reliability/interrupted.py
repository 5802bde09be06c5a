"""Calls that are interrupted, in a process of their own: ``python -m`` this file, ``TASK ROUNDS``.

Each task takes a number of rounds and a seed, and returns how often it was interrupted, or raises
AssertionError. Signals come while a call works, again and again, and their handler raises: at
random moments, as Ctrl-C and timeouts come. It raises in frames of gpugrad, and of what that
calls, and nowhere else.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from queue import SimpleQueue

import numpy as np

import gpugrad

PACKAGE = str(Path(gpugrad.__file__).parent)
SHAPE = (800, 800)  # enough for threads and blocks on both engines


armed = False
"""Whether signals are expected now."""


class Interrupted(BaseException):
    """What the handler raises."""


def is_ours(frame):
    return frame.f_code.co_filename.startswith(PACKAGE)


def list_codes(frame):
    """Yield the code of a frame and of those that called it."""
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def list_files(frame):
    return [code.co_filename for code in list_codes(frame)]


def raise_inside(number, frame):
    if not armed:
        return  # a signal to a thread that got no time until now
    if raise_inside.__code__ in list_codes(frame):
        return  # a signal that came while the last one was handled
    if any(file.startswith(PACKAGE) for file in list_files(frame)):
        raise Interrupted


@contextlib.contextmanager
def interruptions(first, then):
    """Let signals come after some seconds, and then again and again."""
    global armed
    armed = True
    signal.setitimer(signal.ITIMER_REAL, first, then)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def find_workers(folders=("_engines", "_files")):
    """Return the frames of engines, and of jobs on files, on all threads but this one."""
    here = threading.get_ident()
    found = []
    for thread, frame in sys._current_frames().items():
        while frame is not None and thread != here:
            if is_ours(frame) and any(
                f"{os.sep}{one}" in frame.f_code.co_filename for one in folders
            ):
                found.append(frame.f_code.co_name)
            frame = frame.f_back
    return found


@contextlib.contextmanager
def lagging_workers():
    """Keep a core busy, and the pool's threads on it with the least right to it."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    alone = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    busy = subprocess.Popen([sys.executable, "-c", alone])
    try:
        if cores:
            os.sched_setaffinity(busy.pid, cores[-1:])
            for thread in threading.enumerate():
                if thread.name == "gpugrad":
                    os.sched_setaffinity(thread.native_id, cores[-1:])
                    os.setpriority(os.PRIO_PROCESS, thread.native_id, 10)
        yield
    finally:
        busy.kill()
        busy.wait()


def measure(call):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def check_another_thread():
    """Differentiate on another thread, which would wait for a lock that was never released."""
    done = threading.Thread(
        target=lambda: gpugrad.gradient(np.zeros(1 << 19), accuracy=4), daemon=True
    )
    done.start()
    done.join(60)
    assert not done.is_alive(), "another thread waits for ever"


def gradients(backend, rounds, seed=1):
    """Interrupt gradients into ``out=``, and into memory of dead results."""
    rounds, dice = int(rounds), random.Random(int(seed))
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.uniform(0.5, 1, SHAPE[0]))
    f, other = rng.normal(size=(2, *SHAPE))
    out = (np.empty(SHAPE), np.empty(SHAPE))
    with gpugrad.use_backend(backend, threads=2):
        expected = [g.copy() for g in gpugrad.gradient(other, x, x)]
        usual = measure(lambda: gpugrad.gradient(f, x, x, out=out))
        signal.signal(signal.SIGALRM, raise_inside)
        interrupted = 0
        with lagging_workers():
            for i in range(rounds):
                try:
                    with interruptions(dice.uniform(0.05, 2) * usual, dice.choice([1e-4, 1e-3])):
                        gpugrad.gradient(f, x, x, out=out if i % 2 else None)
                except Interrupted:
                    interrupted += 1
                    assert not (workers := find_workers()), workers
                    if i % 8 == 1:
                        out[0][...] = out[1][...] = 7.0
                        time.sleep(0.01)
                        assert (out[0] == 7).all()
                        assert (out[1] == 7).all()
                if i % 8 == 0:
                    slopes = gpugrad.gradient(other, x, x)
                    assert all(map(np.array_equal, slopes, expected))
    check_another_thread()
    return interrupted


def press(delays):
    """Press Ctrl-C after each delay."""
    while True:
        time.sleep(delays.get())
        os.kill(os.getpid(), signal.SIGINT)


def control_c(backend, rounds, seed=6):
    """Press Ctrl-C while a gradient is on its way: Python's own handler raises, anywhere."""
    rounds, dice = int(rounds), random.Random(int(seed))
    rng = np.random.default_rng(0)
    f, other = rng.normal(size=(2, *SHAPE))
    out = (np.empty(SHAPE), np.empty(SHAPE))
    interrupted, delays = 0, SimpleQueue()
    threading.Thread(target=press, args=(delays,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with gpugrad.use_backend(backend, threads=2), lagging_workers():
        expected = [g.copy() for g in gpugrad.gradient(other)]
        usual = measure(lambda: gpugrad.gradient(f, out=out))
        for _ in range(rounds):
            out[0][...] = out[1][...] = 5.0
            delay, returned = dice.uniform(0.02, 0.8) * usual, False
            try:
                delays.put(delay)
                gpugrad.gradient(f, out=out)
                returned = True
                while True:
                    time.sleep(0.001)
            except KeyboardInterrupt:
                interrupted += not returned
            out[0][...] = out[1][...] = 7.0
            assert not (workers := find_workers()), workers
            slopes = gpugrad.gradient(other)
            assert all(map(np.array_equal, slopes, expected))
            assert (out[0] == 7).all()
            assert (out[1] == 7).all()
    check_another_thread()
    return interrupted


class Broken(Exception):
    """What breaks in the middle of work."""


def raise_broken(*arguments):
    raise Broken


def exceptions(backend, rounds, seed=7):
    """Let an engine's thread raise: what a handler of NumPy's floating-point errors raises."""
    dice, raised = random.Random(int(seed)), 0
    f = np.random.default_rng(0).normal(size=SHAPE)
    expected = np.gradient(f, axis=0)
    out = np.empty(SHAPE)
    with gpugrad.use_backend(backend, threads=2):
        for i in range(int(rounds)):
            bad = f.copy()
            row, column = dice.randrange(1, SHAPE[0] - 1), dice.randrange(SHAPE[1])
            bad[row - 1, column], bad[row + 1, column] = -1.5e308, 1.5e308
            how = {"over": "call", "call": raise_broken} if i % 2 else {"over": "raise"}
            try:
                with np.errstate(**how):
                    gpugrad.gradient(bad, axis=0, out=out)
            except (Broken, FloatingPointError):
                raised += 1
            assert not (workers := find_workers()), workers
            out[...] = 7.0
            assert np.array_equal(gpugrad.gradient(f, axis=0), expected)
            assert (out == 7).all()
    check_another_thread()
    return raised


def exceptions_in_dask(backend, rounds, seed=8):
    """Let a block of a Dask array fail while others are differentiated."""
    import dask.array as da

    dice, raised = random.Random(int(seed)), 0
    f = np.random.default_rng(0).normal(size=SHAPE)
    expected = np.gradient(f)

    def fail_at(block, place, block_info=None):
        if block_info[0]["chunk-location"] == place:
            raise Broken
        return block

    with gpugrad.use_backend(backend, threads=2):
        for _ in range(int(rounds)):
            lazy = da.from_array(f, chunks=200)
            place = dice.randrange(4), dice.randrange(4)
            bad = lazy.map_blocks(fail_at, place, dtype=f.dtype, meta=f[:0, :0])
            try:
                da.compute(*gpugrad.gradient(bad))
            except Broken:
                raised += 1
            assert all(map(np.array_equal, da.compute(*gpugrad.gradient(lazy)), expected))
    return raised


def exceptions_in_files(rounds, seed=9):
    """Let a run from file to file break, in a thread that reads or writes, or between blocks."""
    from gpugrad._files import FileError, FileRequest, differentiate, raw

    dice, raised = random.Random(int(seed)), 0
    f = np.random.default_rng(0).normal(size=(64, 64, 64))
    expected = gpugrad.gradient(f, axis=0)
    request = FileRequest(axes=(0,))
    methods = {name: getattr(raw.RawArray, name) for name in ("read", "write")}

    def fail_once(method, calls):
        def fail(*arguments):
            calls[0] -= 1
            if calls[0] == 0:
                raise OSError(5, "a stand-in for a disk that fails")
            return method(*arguments)

        return fail

    def stop_at(calls):
        def progress(more, total):
            calls[0] -= 1
            if calls[0] == 0:
                raise Broken

        return progress

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "f.npy"), Path(folder, "g.npy")
        np.save(source, f)
        for i in range(int(rounds)):
            target.unlink(missing_ok=True)
            where, calls = ("read", "write", "progress")[i % 3], [dice.randrange(1, 12)]
            progress = stop_at(calls) if where == "progress" else None
            if where in methods:
                setattr(raw.RawArray, where, fail_once(methods[where], calls))
            resume = Path(folder, "g.npy.partial").exists()
            try:
                differentiate(
                    source, target, request=request, memory=190e6, resume=resume, progress=progress
                )
            except (Broken, FileError):
                raised += 1
                assert not target.exists()
            finally:
                for name, method in methods.items():
                    setattr(raw.RawArray, name, method)
            assert not (workers := find_workers()), workers
            if not target.exists():
                resume = Path(folder, "g.npy.partial").exists()
                differentiate(source, target, request=request, memory=190e6, resume=resume)
            assert np.array_equal(np.load(target), expected)
    return raised


def compilations(rounds, seed=2):
    """Interrupt the compiler."""
    interrupted, dice = 0, random.Random(int(seed))
    dtypes, dimensions, orders = ("f4", "f8", "c8", "c16", "i4"), (1, 2, 3), range(1, 7)
    kernels = [*itertools.product(dtypes, dimensions, orders, (2, 4, 6))]
    dice.shuffle(kernels)

    def compile_another():  # kernels are compiled once
        dtype, ndim, order, accuracy = kernels.pop()
        f = np.zeros((18,) * ndim, dtype)
        gpugrad.derivative(f, order=order, accuracy=accuracy, backend="compiled")

    usual = measure(compile_another)
    signal.signal(signal.SIGALRM, raise_inside)
    for _ in range(int(rounds)):
        try:
            with interruptions(dice.uniform(0, usual), dice.choice([1e-3, 1.0])):
                compile_another()
        except Interrupted:
            interrupted += 1
    gpugrad.use_backend("compiled")
    check_another_thread()
    f = np.random.default_rng(0).normal(size=(30, 40))
    assert np.array_equal(gpugrad.gradient(f, axis=1, backend="compiled"), np.gradient(f, axis=1))
    return interrupted


def dask_arrays(backend, rounds, seed=3):
    """Interrupt what waits for Dask's threads.

    Dask asks them through locks written in Python. An exception may leave one locked, and a thread
    waiting for it: each round has threads of its own, and the process does not end with them.
    """
    from concurrent.futures import ThreadPoolExecutor

    import dask.array as da

    interrupted, dice = 0, random.Random(int(seed))
    f = np.random.default_rng(0).normal(size=SHAPE)
    expected = np.gradient(f)
    lazy = da.from_array(f, chunks=400)
    with gpugrad.use_backend(backend, threads=2):
        usual = measure(lambda: da.compute(*gpugrad.gradient(lazy)))

        def raise_once(number, frame):
            global armed
            was_armed, armed = armed, False
            if was_armed:
                raise Interrupted

        signal.signal(signal.SIGALRM, raise_once)
        for i in range(int(rounds)):
            pool = ThreadPoolExecutor(2)
            try:
                with interruptions(dice.uniform(0.05, 1) * usual, 0):
                    da.compute(*gpugrad.gradient(lazy), pool=pool)
            except (Interrupted, RuntimeError) as error:
                # A lock that Dask takes may be found released, after an exception while it waits.
                if Interrupted not in (type(error), type(error.__context__)):
                    raise
                interrupted += 1
            if i % 10 == 0:
                assert all(map(np.array_equal, gpugrad.gradient(f), expected))
                assert all(map(np.array_equal, da.compute(*gpugrad.gradient(lazy)), expected))
    check_another_thread()
    return interrupted


def files(rounds, seed=4):
    """Interrupt a run from file to file, in a process that lives on, and let it go on."""
    from gpugrad._cli.main import main

    interrupted, dice = 0, random.Random(int(seed))
    f = np.random.default_rng(0).normal(size=(64, 64, 64))
    expected = gpugrad.gradient(f, axis=0)
    signal.signal(signal.SIGALRM, raise_inside)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "f.npy"), Path(folder, "g.npy")
        np.save(source, f)
        arguments = ["grad", str(source), str(target), "--axis", "0", "--quiet"]
        arguments += ["--memory", "190MB"]
        usual = measure(lambda: main([*arguments, "--overwrite"]))
        for _ in range(int(rounds)):
            target.unlink(missing_ok=True)
            again = []
            while not target.exists():
                try:
                    with interruptions(dice.uniform(0.02, 1) * usual, dice.choice([1e-4, 1e-3])):
                        main(arguments + again)
                except Interrupted:
                    interrupted += 1
                    assert not (workers := find_workers()), workers
                again = ["--resume"]
                if interrupted % 3 == 0:
                    main(arguments + again)
            assert np.array_equal(np.load(target), expected)
    return interrupted


def threads_that_cannot_start(backend, rounds, seed=0):
    """Call where the system gives no thread, then where it does; no result may change later."""
    f = np.random.default_rng(int(seed)).normal(size=SHAPE)
    expected = [np.gradient(f, axis=axis) for axis in (0, 1)]
    before = threading.stack_size()
    with gpugrad.use_backend(backend, threads=2):
        for i in range(int(rounds)):
            if i % 2 == 0:
                forget_pool()  # a process that has had no pool so far
                threading.stack_size(1 << 46)  # no system has that much
            first = gpugrad.gradient(f, axis=0)
            threading.stack_size(before)
            assert np.array_equal(first, expected[0])
            first[...] = 7.0
            second = gpugrad.gradient(f, axis=1)
            assert np.array_equal(second, expected[1])
            assert (first == 7).all()
    return int(rounds)


def forget_pool():
    from gpugrad._arrays import threads

    threads._forget_pool()


def forks(rounds, seed=5):
    """Fork while another thread compiles; the child must be able to compile, and to compute."""
    f = np.random.default_rng(0).normal(size=(30, 40))
    expected = np.gradient(f, axis=0)
    gpugrad.gradient(np.zeros(9), backend="compiled")
    stop, dice = threading.Event(), random.Random(int(seed))

    def compile_on():
        kinds = iter(range(10**9))
        while not stop.is_set():
            i = next(kinds)
            g = np.zeros((14, 15, 16)[: 1 + i % 3], ["f4", "f8", "c8", "c16", "u1"][i % 5])
            order, accuracy = 1 + i % 4, 2 + 2 * (i % 3)
            gpugrad.derivative(
                g, order=order, accuracy=accuracy, axis=i % g.ndim, backend="compiled"
            )

    compiler = threading.Thread(target=compile_on)
    compiler.start()
    try:
        for _ in range(int(rounds)):
            time.sleep(dice.uniform(0, 0.05))
            child = os.fork()
            if child == 0:
                signal.alarm(60)  # ends a child that hangs
                is_right = np.array_equal(gpugrad.gradient(f, axis=0, backend="compiled"), expected)
                os._exit(0 if is_right else 1)
            _, status = os.waitpid(child, 0)
            assert status == 0, f"a child ended with {status}"
    finally:
        stop.set()
        compiler.join()
    return int(rounds)


if __name__ == "__main__":
    try:
        print(globals()[sys.argv[1]](*sys.argv[2:]), flush=True)
    except BaseException:  # noqa: BLE001 - a thread that hangs is not waited for
        traceback.print_exc()
        os._exit(1)
    if "dask" in sys.argv[1]:
        os._exit(0)  # others end as a process does, which waits for threads
