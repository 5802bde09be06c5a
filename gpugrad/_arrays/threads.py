"""A small pool of threads for work whose inner loops release the interpreter's lock.

Where a call may end. Python runs the handlers of signals on the main thread, between any two of
its steps, and their exceptions (Ctrl-C, a timeout) may come again while the first is on its way. A
call that left its work behind would let it write into arrays that the caller uses for something
else by then, or read memory that is free. So all work of a call passes a `Gate`. The call ends by
closing the gate: a thread that comes later stays outside, and for those inside the call waits. It
waits in a lock of the interpreter, by one call of a C function that no signal interrupts, which is
the first step of a ``finally``: between an exception and that step Python looks for no signal. So
nothing of a call runs once the call has returned or raised, whatever comes, and however often.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import contextvars
import ctypes
import functools
import importlib
import itertools
import logging  # noqa: F401 - before our handlers of forks: see `_prepare_fork`
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, cast

from gpugrad._arrays.cpu_quota import find_quota

P = ParamSpec("P")
T = TypeVar("T")

_chosen: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "gpugrad_threads", default=None
)
_tasks: SimpleQueue[Callable[[], object]] = SimpleQueue()
_workers = 0  # threads of the pool that take these tasks, or more of them
_whole = threading.RLock()
_later: SimpleQueue[Callable[[], object]] = SimpleQueue()
_has_thread_for_later = False
_is_ending = False  # does the interpreter end?
_IMPORTED = ("gpugrad", "array_api_compat", "llvmlite")
"""What calls import when they need it first."""
_FORK_WAITS = 10.0
"""How many seconds a fork waits for such imports at most."""

_here = threading.local()
_gates: list[Gate] = []  # closed ones, for the next calls


def choose(threads: int | None) -> contextvars.Token[int | None]:
    """Set the number of threads for the current context; None leaves it as it is."""
    return _chosen.set(_chosen.get() if threads is None else parse(threads, "threads"))


def restore(token: contextvars.Token[int | None]) -> None:
    """Undo `choose`."""
    _chosen.reset(token)


def restore_number(number: int | None) -> None:
    """Set what `chosen` has returned before."""
    _chosen.set(number)


def chosen() -> int | None:
    """Return the number of threads set for the current context, or None without one."""
    return _chosen.get()


def parse(threads: object, name: str) -> int:
    """Return a number of threads, or raise ValueError naming where it came from."""
    try:
        number = int(threads)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(threads, (bool, float)):
        raise ValueError(f"`{name}` must be a whole number of threads, 1 or more; got {threads!r}.")
    return int(number)


def count() -> int:
    """Return how many threads may work: as told, else as many as there are cores for them."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    told = os.environ.get("GPUGRAD_NUM_THREADS")
    if told:
        return parse(told, "GPUGRAD_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(cores, find_quota() or cores)


def in_words(number: int) -> str:
    """Return a number of threads in words."""
    return "one thread" if number == 1 else f"{number} threads"


def leave_cores() -> contextvars.Token[int | None]:
    """Take one thread in the current context, unless told otherwise: others keep cores busy."""
    is_told = chosen() is not None or os.environ.get("GPUGRAD_NUM_THREADS")
    return choose(None if is_told else 1)


class _Locks(NamedTuple):
    """Locks whose functions know nothing of signals."""

    allocate: Callable[[], Any]
    acquire: Callable[[Any, bool], object]
    """Take a lock, waiting for it if told so; tell whether it was taken."""
    release: Callable[[Any], object]
    free: Callable[[Any], object]


@functools.lru_cache(maxsize=1)
def _find_locks() -> _Locks:
    """Return the interpreter's own locks."""
    try:
        # The library of `pythonapi`, but called without the interpreter's big lock. Windows looks
        # at the name, which says nothing beside a handle.
        python = ctypes.CDLL("python", handle=ctypes.pythonapi._handle)
        allocate, acquire = python.PyThread_allocate_lock, python.PyThread_acquire_lock
        release, free = python.PyThread_release_lock, python.PyThread_free_lock
    except AttributeError:  # not CPython: a signal may then break off the waiting
        lock = threading.Lock
        return _Locks(lock, lambda x, wait: x.acquire(wait), lambda x: x.release(), id)
    allocate.restype = ctypes.c_void_p
    acquire.argtypes = [ctypes.c_void_p, ctypes.c_int]
    release.argtypes = free.argtypes = [ctypes.c_void_p]
    release.restype = free.restype = None
    return _Locks(allocate, acquire, release, free)


class Gate:
    """Where work on other threads begins and ends, so that a call can wait for all of it.

    Its lock is held by the call while the gate is closed, and by the threads inside while there
    are any. A gate serves one call after the other, each with a `purpose` of its own: a thread that
    comes too late finds another one there. (With a gate for each call, each would end in a
    finalizer, and Python drops what a handler of signals raises in there.)
    """

    def __init__(self) -> None:
        self._locks = _find_locks()
        self.lock = self._locks.allocate()
        if self.lock is None:
            raise MemoryError("no memory for a lock")
        self._locks.acquire(self.lock, True)
        self.purpose: object = None
        self._inside, self._count = 0, threading.Lock()

    def open(self) -> Callable[[Any, bool], object]:
        """Let threads in; return what closes the gate.

        That is ``finally: close(gate.lock, True)``, with ``gate.lock`` in a variable: no step of
        Python may come before this one (see the top of the module).
        """
        self._locks.release(self.lock)
        return self._locks.acquire

    def enter(self, purpose: object) -> bool:
        """Begin work on a thread that runs no handlers of signals, unless the call is over."""
        with self._count:
            if not self._inside and not self._locks.acquire(self.lock, False):
                return False
            is_open = self.purpose is purpose
            if is_open:
                self._inside += 1
            elif not self._inside:
                self._locks.release(self.lock)
            return is_open

    def leave(self) -> None:
        """End work that `enter` has begun."""
        with self._count:
            self._inside -= 1
            if not self._inside:
                self._locks.release(self.lock)

    def __del__(self) -> None:
        lock = getattr(self, "lock", None)
        if lock is not None:
            self._locks.acquire(lock, False)  # some systems free no lock that is held,
            self._locks.release(lock)  # and none releases one that is not
            self._locks.free(lock)


class _Call(Generic[T]):
    """The shares of one call, which its thread and others take one by one."""

    def __init__(self, work: Callable[[T], object], shares: Sequence[T]) -> None:
        self.work, self.shares = work, shares
        self.numbers = itertools.count()  # steps from one to the next are whole on all threads
        self.errors: list[BaseException] = []
        try:
            self.gate = _gates.pop()
        except IndexError:
            self.gate = Gate()
        self.gate.purpose = self

    def run(self) -> None:
        """Take shares until none is left."""
        while True:
            shares, number = self.shares, next(self.numbers)
            if number >= len(shares):
                return
            self.work(shares[number])

    def help(self) -> None:
        """Take shares on another thread, unless the call is over."""
        if not self.gate.enter(self):
            return
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - the call raises it
            self.shares = ()
            self.errors.append(error)
        finally:
            self.gate.leave()

    def end(self) -> None:
        """Let go of what a thread that comes too late would keep; raise what threads raised."""
        del self.work
        self.gate.purpose = None
        _gates.append(self.gate)
        if self.errors:
            raise self.errors.pop(0)


def for_each_share(work: Callable[[Sequence[T]], None], items: Sequence[T], threads: int) -> None:
    """Call `work` on consecutive shares of `items`, the caller's thread taking part.

    Each share runs in a copy of the caller's context: NumPy keeps its error state there, and
    ``np.errstate`` must hold on every thread. An error is raised once all have stopped. The caller
    takes the shares that no other thread has begun: all of them, where no thread can be had.
    """
    threads = min(threads, len(items))
    # Called from a thread of the pool (by a handler of NumPy's errors, say), it must not wait
    # for that same thread.
    if threads <= 1 or getattr(_here, "is_worker", False):
        work(items)
        return
    bounds = [len(items) * i // threads for i in range(threads + 1)]
    call = _Call(work, [items[a:b] for a, b in itertools.pairwise(bounds)])
    lock, close = call.gate.lock, call.gate.open()
    try:
        _ask_pool(call, threads - 1)
        call.run()
    except BaseException:
        call.shares = ()
        raise
    finally:
        close(lock, True)
    call.end()


def run_whole(work: Callable[[], T]) -> T:
    """Return what `work` returns; no handler of a signal and no fork breaks it off.

    It would leave behind half an import, or a lock of another library that nobody releases: in
    this process or in the child. So it runs on another thread than the main one, which alone runs
    handlers, and forks wait. One such work is done at a time.
    """
    if threading.get_ident() != threading.main_thread().ident:
        with _whole:
            return work()
    results: list[T] = []

    def keep_result(_: None) -> None:
        with _whole:
            results.append(work())

    call = _Call(keep_result, [None])
    at_work = threading.Lock()
    at_work.acquire()

    def help_and_tell() -> None:
        try:
            call.help()
        finally:
            at_work.release()

    lock, close = call.gate.lock, call.gate.open()
    try:
        if _start_thread(help_and_tell):
            at_work.acquire()
    finally:
        close(lock, True)
    call.run()  # if no thread could be had
    call.end()
    return results[0]


def run_later(works: Sequence[Callable[[], object]]) -> bool:
    """Let works be done one after the other, whole, on a thread that no call waits for.

    Tell whether there is such a thread. Forks, and the end of the interpreter, wait for the work
    that is being done, not for the next one; a forked child has none of them. An error ends what
    was asked for together: the works must tell themselves whether all have been done.
    """
    global _has_thread_for_later
    if not _has_thread_for_later:
        _has_thread_for_later = _start_thread(_work_later, _later)
    if _has_thread_for_later:
        _later.put(functools.partial(_do_in_turn, works))
    return _has_thread_for_later


def _do_in_turn(works: Sequence[Callable[[], object]]) -> None:
    for work in works:
        with _whole:
            if _is_ending:
                return
            work()
        time.sleep(1e-3)  # a fork, or a call, may want the lock


def _work_later(tasks: SimpleQueue[Callable[[], object]]) -> None:
    """Do what nobody waits for."""
    threading.current_thread().name = "gpugrad, later"
    while True:
        with contextlib.suppress(Exception):
            tasks.get()()


def _end_later() -> None:
    """Let no work go on while the interpreter ends, and the libraries that the work is done by."""
    global _is_ending
    _is_ending = True
    if _has_thread_for_later and _whole.acquire(timeout=_FORK_WAITS):
        _whole.release()


atexit.register(_end_later)


class Lane(Generic[T]):
    """One thing after the other on a thread of its own, for a call that closes a gate at its end.

    Results come in the order of the work. Where no thread can be had, work is done when it is
    asked for.
    """

    def __init__(self, gate: Gate) -> None:
        self._tasks: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()
        self._has_thread = _start_thread(_serve, self._tasks, self._results, gate)

    def ask(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> None:
        """Let work be done after what was asked for before."""
        task = functools.partial(work, *arguments, **keywords)
        if self._has_thread:
            self._tasks.put(task)
        else:
            self._results.put((task(), None))

    def result(self) -> T:
        """Wait for the first work whose result has not been taken; return that, or raise."""
        result, error = self._results.get()
        if error is not None:
            raise error
        return cast(T, result)

    def __del__(self) -> None:
        self._tasks.put(None)


def _serve(tasks: SimpleQueue[Any], results: SimpleQueue[Any], gate: Gate) -> None:
    """Do the work of a lane, until the call is over or nobody can ask for more."""
    while (task := tasks.get()) is not None and gate.enter(None):
        try:
            results.put((task(), None))
        except BaseException as error:  # noqa: BLE001 - the call raises it
            results.put((None, error))
        finally:
            gate.leave()
            del task


def _ask_pool(call: _Call[Any], helpers: int) -> None:
    """Ask so many threads of the pool to help with a call, or as many as there can be."""
    global _workers
    while _workers < helpers and _start_thread(_work, _tasks):
        _workers += 1
    for _ in range(min(helpers, _workers)):
        _tasks.put(functools.partial(contextvars.copy_context().run, call.help))


def _start_thread(work: Callable[..., object], *arguments: Any) -> bool:
    """Start a thread, unless the system has no more or the interpreter ends; tell whether.

    A `threading.Thread` and an executor of `concurrent.futures` have locks that an exception from
    a handler, come while they start or ask a thread, leaves locked for ever. The function beneath
    them has none, nor has a `SimpleQueue`.
    """
    try:
        _thread.start_new_thread(work, arguments)
    except RuntimeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise  # it comes from a handler
        return False
    return True


def _work(tasks: SimpleQueue[Callable[[], object]]) -> None:
    """Do what is asked for, on a thread of the pool."""
    threading.current_thread().name = "gpugrad"
    _here.is_worker = True
    while True:
        tasks.get()()


def _forget_pool() -> None:
    """Drop the parent's pool in a forked child, which has inherited none of its threads."""
    global _tasks, _workers, _later, _has_thread_for_later
    _tasks, _workers = SimpleQueue(), 0
    _later, _has_thread_for_later = SimpleQueue(), False
    _gates.clear()


def wait_for_imports(packages: Sequence[str]) -> None:
    """Let other threads end the imports of these packages; what is imported is found at once."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in packages:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _prepare_fork() -> None:
    """Let imports end that calls have begun: the child would wait for the locks of half a module.

    It has none of the threads that would release them. What was registered after this has run
    before it: if it has locked what an import needs, the import ends after the fork only, so the
    wait has an end. The lock of `logging`, which imports often need, is taken afterwards, as
    `logging` was loaded first.
    """
    end = time.monotonic() + _FORK_WAITS
    _here.has_whole = _whole.acquire(timeout=_FORK_WAITS)
    while any(map(_is_being_imported, [*sys.modules])) and time.monotonic() < end:
        time.sleep(1e-3)


def _end_fork() -> None:
    if _here.has_whole:
        _whole.release()


def _begin_child() -> None:
    global _whole
    _forget_pool()
    if _here.has_whole:
        _whole.release()
    else:
        _whole = threading.RLock()  # a thread that is not there any more has the other one


def _is_being_imported(name: str) -> bool:
    """Tell whether a thread imports this module, one of those that calls import, at this moment."""
    if name.partition(".")[0] not in _IMPORTED:
        return False
    specification = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(specification, "_initializing", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_prepare_fork, after_in_parent=_end_fork, after_in_child=_begin_child
    )
