"""Threads that can't be started, forks at any moment, and processes that end while threads work.

What each process of a trial does is ``python -m benchmarks.reliability.processes TASK ...``.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpugrad
from benchmarks.reliability.trial import Outcome, run_child

SHAPE = (800, 800)
with contextlib.suppress(ImportError):  # not on every system
    import resource

LIVES = 20
"""Rounds of one process."""


def _drop_rights(folder: str) -> None:
    """Become a user who has no other process: the system's limit of threads counts by user."""
    if os.getuid() == 0:
        user = 40000 + os.getpid() % 20000
        for name in (folder, *Path(folder).iterdir()):
            os.chown(name, user, user)
        os.setgid(user)
        os.setuid(user)


def _allow_threads(more: int) -> None:
    """Let this user have so many more threads than there are now, whatever was allowed before."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (len(os.listdir("/proc/self/task")) + more, hard))


def _import_all(source: str, target: str) -> None:
    """Import what calls import, which another user may not be allowed to read; compile nothing."""
    from gpugrad._cli.main import main

    assert main(["grad", source, target, "--quiet", "--backend", "slices"]) == 0
    os.remove(target)
    if _list_compiled():
        import gpugrad._engines.compiled.llvm
        import gpugrad._engines.compiled.program  # noqa: F401


def limited_threads(backend: str, rounds: int, seed: int) -> None:
    """Call where the system's limit of threads (RLIMIT_NPROC) gives none, or fewer than wanted."""
    from gpugrad._arrays import threads
    from gpugrad._cli.main import main

    rng, dice = np.random.default_rng(seed), random.Random(seed)
    f = rng.normal(size=SHAPE)
    expected = [np.gradient(f, axis=axis) for axis in (0, 1)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, target = Path(folder, "f.npy"), Path(folder, "g.npy")
        np.save(source, f)
        _import_all(str(source), str(target))
        _drop_rights(folder)
        for i in range(rounds):
            threads._forget_pool()
            before = len(os.listdir("/proc/self/task"))
            more = i % 3
            _allow_threads(more)
            if i == 0:  # or nothing is shown
                try:
                    threading.Thread(target=print).start()
                except RuntimeError:
                    pass
                else:
                    raise SystemExit("this system does not limit the threads of a user")
            with gpugrad.use_backend(backend, threads=4):
                axis = dice.randrange(2)
                first = gpugrad.gradient(f, axis=axis)
                assert np.array_equal(first, expected[axis])
                if i % 5 == 0:
                    words = ["grad", str(source), str(target), "--axis", str(axis), "--quiet"]
                    assert main([*words, "--overwrite"]) == 0
                    assert np.array_equal(np.load(target), expected[axis])
                started = len(os.listdir("/proc/self/task")) - before
                _allow_threads(50)
                first[...] = 7.0
                second = gpugrad.gradient(f, axis=1 - axis)
            assert started <= more
            assert np.array_equal(second, expected[1 - axis])
            assert (first == 7).all()


def forks_at_work(rounds: int, seed: int) -> None:
    """Fork while threads differentiate: the child, and a child of it, must be able to as well."""
    rng, dice, stop = np.random.default_rng(seed), random.Random(seed), threading.Event()
    f = rng.normal(size=(500, 600))
    expected = np.gradient(f)
    backends = ["numpy", "slices", *_list_compiled()]

    def differentiate_on(number: int) -> None:
        own = random.Random(f"{seed} {number}")
        while not stop.is_set():
            backend = own.choice(backends)
            gpugrad.gradient(f, own.uniform(0.5, 2), accuracy=own.choice([2, 4]), backend=backend)

    def is_right() -> bool:
        with gpugrad.use_backend(dice.choice(backends), threads=2):
            return all(map(np.array_equal, gpugrad.gradient(f), expected))

    def run_in_child(depth: int) -> int:
        child = os.fork()
        if child == 0:
            signal.alarm(30 if depth else 25)  # ends a child that hangs, and says where
            try:
                right = is_right() and (depth == 0 or run_in_child(depth - 1) == 0)
            except BaseException:  # noqa: BLE001 - the parent hears of it
                traceback.print_exc()
                right = False
            os._exit(0 if right else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    faulthandler.register(signal.SIGALRM, chain=True)
    workers = [threading.Thread(target=differentiate_on, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    try:
        for i in range(rounds):
            time.sleep(dice.uniform(0, 0.05))
            status = run_in_child(i % 2)
            assert status == 0, f"a child ended with {status}"
            assert is_right()
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _list_compiled() -> list[str]:
    from importlib.util import find_spec

    return ["compiled"] if find_spec("llvmlite") else []


def _differentiate_for_ever(backend: str) -> None:
    f, i = np.zeros(SHAPE), 0
    with gpugrad.use_backend(backend, threads=3):
        while True:
            i += 1
            gpugrad.derivative(f, 0.5 + i, order=1 + i % 4, axis=i % 2)


def _start(work: Callable[..., Any], *arguments: Any, daemon: bool = True) -> None:
    threading.Thread(target=work, args=arguments, daemon=daemon).start()


def end(way: str, backend: str, seed: int) -> None:
    """End this process while something is at work."""
    dice = random.Random(seed)
    f = np.random.default_rng(0).normal(size=SHAPE)
    gpugrad.gradient(f[:300], backend=backend)
    if way == "daemons":
        for _ in range(3):
            _start(_differentiate_for_ever, backend)
    elif way == "a call to its end":

        def check() -> None:
            with gpugrad.use_backend(backend, threads=3):
                for _ in range(20):
                    assert np.array_equal(gpugrad.gradient(f, axis=0), np.gradient(f, axis=0))

        _start(check, daemon=False)
    elif way == "at exit":
        atexit.register(lambda: gpugrad.gradient(f, backend=backend)[0].sum())
        _start(_differentiate_for_ever, backend)
    elif way == "a finalizer":

        class Last:
            def __del__(self) -> None:
                gpugrad.gradient(f, backend=backend)

        sys.last_of_all = Last()  # type: ignore[attr-defined]
    elif way == "an exit in a call":
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
        signal.setitimer(signal.ITIMER_REAL, dice.uniform(0.001, 0.1))
        with gpugrad.use_backend(backend, threads=3):
            while True:
                gpugrad.gradient(f, dice.uniform(1, 2))
    time.sleep(dice.uniform(0, 0.1))


WAYS = ("daemons", "a call to its end", "at exit", "a finalizer", "an exit in a call")


def run_threads(count: int, seed: int) -> Outcome:
    """Call so often where threads can't be started."""
    backends = ["numpy", *_list_compiled()]
    module = "benchmarks.reliability.interrupted"
    tasks = {
        f"no memory for threads, {b}": (module, "threads_that_cannot_start", b) for b in backends
    }
    if Path("/proc/self/task").is_dir():
        tasks |= {f"a limit of threads, {b}": (__name__, "limited_threads", b) for b in backends}
    return _repeat(tasks, count, seed)


def run_forks(count: int, seed: int) -> Outcome:
    """Fork so often."""
    tasks: dict[str, tuple[str, ...]] = {"while threads work": (__name__, "forks_at_work")}
    if _list_compiled():
        tasks["while a thread compiles"] = ("benchmarks.reliability.interrupted", "forks")
    return _repeat(tasks, count, seed)


def _repeat(tasks: dict[str, tuple[str, ...]], count: int, seed: int) -> Outcome:
    outcome = Outcome()
    for number, (name, (module, *words)) in enumerate(tasks.items()):
        left = count // len(tasks) + (number < count % len(tasks))
        life = 0
        while left:
            rounds = min(left, LIVES)
            done = run_child(module, *words, rounds, 1000 * seed + life)
            life, left = life + 1, left - rounds
            outcome.tried += rounds
            outcome.notes[name] += rounds
            if done.returncode:
                is_assertion = "AssertionError" in done.stderr
                outcome.fail(f"{name}: status {done.returncode}: {done.stderr[-2000:]}",
                             crashed=not is_assertion)  # fmt: skip
    return outcome


def run_ends(count: int, seed: int) -> Outcome:
    """End so many processes while something is at work; none may say anything, or hang."""
    outcome, backends = Outcome(), ["numpy", *_list_compiled()]
    for number in range(count):
        way, backend = WAYS[number % len(WAYS)], backends[number // len(WAYS) % len(backends)]
        done = run_child(__name__, "end", way, backend, seed + number, timeout=120)
        outcome.tried += 1
        outcome.notes[way] += 1
        if done.returncode or done.stderr:
            outcome.fail(f"{way}, {backend}: status {done.returncode}: {done.stderr[-2000:]}",
                         crashed=done.returncode < 0)  # fmt: skip
    return outcome


if __name__ == "__main__":
    task, *words = sys.argv[1:]
    arguments = [int(word) if word.lstrip("-").isdigit() else word for word in words]
    {"limited_threads": limited_threads, "forks_at_work": forks_at_work, "end": end}[task](
        *arguments  # type: ignore[arg-type]
    )
