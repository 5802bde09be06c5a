"""A small pool of threads for work whose inner loops release the interpreter's lock."""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

_chosen: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "gpugrad_threads", default=None
)
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_lock = threading.Lock()
_here = threading.local()


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


def for_each_share(work: Callable[[Sequence[T]], None], items: Sequence[T], threads: int) -> None:
    """Call `work` on consecutive shares of `items`, the caller's thread taking part.

    Each share runs in a copy of the caller's context: NumPy keeps its error state there, and
    ``np.errstate`` must hold on every thread. The first error is raised once all have stopped.
    """
    threads = min(threads, len(items))
    # Called from a thread of the pool (by a handler of NumPy's errors, say), it must not wait
    # for that same thread.
    if threads <= 1 or getattr(_here, "is_worker", False):
        work(items)
        return
    bounds = [len(items) * i // threads for i in range(threads + 1)]
    shares = [items[a:b] for a, b in itertools.pairwise(bounds)]
    try:
        pool = _get_pool(threads - 1)
        futures = [pool.submit(contextvars.copy_context().run, work, share) for share in shares[1:]]
    except RuntimeError:  # the interpreter is shutting down: no new threads, but still an answer
        work(items)
        return
    try:
        work(shares[0])
    finally:
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
