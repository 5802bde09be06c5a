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

import contextlib
import contextvars
import ctypes
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

P = ParamSpec("P")
T = TypeVar("T")

_chosen: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "gpugrad_threads", default=None
)
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_lock = threading.Lock()
_whole = threading.RLock()
_here = threading.local()
_gates: list[Gate] = []  # closed ones, for the next calls


def choose(threads: int | None) -> contextvars.Token[int | None]:
    """Set the number of threads for the current context; None leaves it as it is."""
    return _chosen.set(_chosen.get() if threads is None else parse(threads, "threads"))


def restore(token: contextvars.Token[int | None]) -> None:
    """Undo `choose`."""
    _chosen.reset(token)


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
    """Return how many threads may work: as told, else as many as this process has cores."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    told = os.environ.get("GPUGRAD_NUM_THREADS")
    if told:
        return parse(told, "GPUGRAD_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


@lru_cache(maxsize=1)
def _find_locks() -> _Locks:
    """Return the interpreter's own locks."""
    try:
        # The library of `pythonapi`, but called without the interpreter's big lock.
        python = ctypes.CDLL(None, handle=ctypes.pythonapi._handle)
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

    def guard(self, work: Callable[P, T]) -> Callable[P, T]:
        """Return a function that does some work inside, and raises RuntimeError if it is late."""

        def work_inside(*arguments: P.args, **keywords: P.kwargs) -> T:
            if not self.enter(None):
                raise RuntimeError("the call that this work is for has ended")
            try:
                return work(*arguments, **keywords)
            finally:
                self.leave()

        return work_inside

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
        with _lock:
            self.gate = _gates.pop() if _gates else Gate()
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
    if threading.current_thread() is not threading.main_thread():
        with _whole:
            return work()
    results: list[T] = []

    def keep_result(_: None) -> None:
        with _whole:
            results.append(work())

    call = _Call(keep_result, [None])
    thread = threading.Thread(target=call.help, name="gpugrad-whole", daemon=True)
    lock, close = call.gate.lock, call.gate.open()
    try:
        with _without_threads():
            thread.start()
            thread.join()
    finally:
        close(lock, True)
    call.run()  # if no thread could be had
    call.end()
    return results[0]


def _ask_pool(call: _Call[Any], helpers: int) -> None:
    """Ask the pool's threads to help with a call, if there are any."""
    global _pool
    asked = False
    with _without_threads():
        pool = _get_pool(helpers)
        for _ in range(helpers):
            pool.submit(contextvars.copy_context().run, call.help)
        asked = True
    if not asked:
        _pool = None  # its queue keeps what it could not start


@contextlib.contextmanager
def _without_threads() -> Iterator[None]:
    """Go on where no thread can be started: the system has no more, or the interpreter ends."""
    try:
        yield
    except RuntimeError as error:
        # The same class of error may come from a handler of signals, and is not ours to drop.
        origin = error.__traceback__
        while origin is not None and origin.tb_next is not None:
            origin = origin.tb_next
        where = "" if origin is None else origin.tb_frame.f_globals.get("__name__", "")
        if where not in ("threading", "concurrent.futures.thread"):
            raise


def _get_pool(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            from concurrent.futures import ThreadPoolExecutor

            # A smaller pool that others still use ends by itself when they let go of it.
            _pool = ThreadPoolExecutor(size, thread_name_prefix="gpugrad", initializer=_mark_worker)
            _pool_size = size
        return _pool


def _mark_worker() -> None:
    _here.is_worker = True


def _forget_pool() -> None:
    """Drop the parent's pool in a forked child, which has inherited none of its threads."""
    global _pool, _pool_size, _lock
    _pool, _pool_size, _lock = None, 0, threading.Lock()
    _gates.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
    os.register_at_fork(
        before=_whole.acquire, after_in_parent=_whole.release, after_in_child=_whole.release
    )
