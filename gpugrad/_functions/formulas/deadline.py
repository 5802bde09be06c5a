"""A limit to the time that a text may take: SymPy has no bound of its own.

Limits of length, depth and symbols stop what is known to take long. Whatever gets past them is
stopped by the clock: a thread waits beside the work and, when the time is over, has Python raise an
exception in the thread that works. Where the system tells it, the time is the processor's, so that
a busy machine refuses nothing that an idle one takes.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

SECONDS = 1.5
_AGAIN = 0.1
"""After how many seconds to raise the exception again: SymPy may have swallowed it."""


class _TimeOverError(BaseException):
    """Not caught on the way by what catches any Exception."""


@contextmanager
def time_limit(is_limited: bool) -> Iterator[None]:
    """Raise ValueError if what is done inside takes longer than a text may."""
    if not is_limited or not hasattr(ctypes, "pythonapi"):
        yield
        return
    worker, is_done = threading.get_ident(), threading.Event()
    clock = _find_clock(worker)
    end = clock() + SECONDS

    def watch() -> None:
        wait = SECONDS
        while not is_done.wait(wait):
            wait = max(end - clock(), _AGAIN)
            if clock() >= end:
                _raise_in(worker, _TimeOverError)

    watcher = threading.Thread(target=watch, name="gpugrad-deadline", daemon=True)
    try:
        watcher.start()
    except RuntimeError:  # there are no threads, or none any more
        yield
        return
    try:
        try:
            yield
        finally:
            _stop(watcher, is_done)
    except _TimeOverError:
        raise ValueError(
            f"A text may take {SECONDS} seconds to read and differentiate; this one takes longer. "
            "Build such formulas with SymPy and pass the SymPy expression, or differentiate a "
            "function by `gradient_of`."
        ) from None


def _find_clock(thread: int) -> Callable[[], float]:
    """Return a clock of the processor's time of a thread, or of time itself where there is none."""
    try:
        return partial(time.clock_gettime, time.pthread_getcpuclockid(thread))
    except (AttributeError, OSError):  # macOS and Windows have none
        return time.monotonic


def _stop(watcher: threading.Thread, is_done: threading.Event) -> None:
    """End the watch; what it still raises has no place to go but here."""
    try:
        while watcher.is_alive():
            try:
                is_done.set()
                watcher.join()
            except _TimeOverError:
                continue
        # What is still to be raised comes in a loop at the latest. To take it back instead would
        # leave Python 3.11 looking for it for ever, and hang where it is traced, as by a debugger.
        for _ in range(100):
            pass
    except _TimeOverError:
        pass


def _raise_in(thread: int, error: type[BaseException]) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
