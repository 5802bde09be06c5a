"""Memory for the points that a function is called with, call after call."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

_MOST = 8
_LARGE = 1 << 24


def keep_freed_memory() -> None:
    """Let the C library keep the memory of a function's temporaries from call to call.

    glibc gives free memory back to the system, and gets it page by page again, unless it has seen
    larger arrays come and go. So let one: nothing is written, and no page is taken.
    """
    np.empty(_LARGE, np.uint8)


class Scratch:
    """Arrays whose memory is used again, once nobody sees it any more.

    Fresh memory costs more than what is written into it: the system clears each page first. A
    function may keep its arguments, or return them: their memory is theirs as long as they live.
    """

    def __init__(self) -> None:
        self._kept: list[np.ndarray[Any, Any]] = []

    def take(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """Return an array, uninitialised."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        for memory in self._kept:
            # Seen from the list, from here, and from the call itself; every view adds one.
            if memory.size >= size and sys.getrefcount(memory) <= _UNSEEN:
                break
        else:
            memory = np.empty(size, np.uint8)
            self._kept = [memory, *self._kept[: _MOST - 1]]
        array: np.ndarray[Any, Any] = memory[:size].view(dtype).reshape(shape)
        return array


def _count_unseen() -> int:
    """Return how many references the loop above counts of an array that nobody else sees."""
    kept = [np.empty(0, np.uint8)]
    for memory in kept:
        return sys.getrefcount(memory)
    raise AssertionError


_UNSEEN = _count_unseen() if hasattr(sys, "getrefcount") else -1
