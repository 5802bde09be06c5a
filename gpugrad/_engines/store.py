"""A bounded memory of what engines have made for a call and may want again.

Keys hold what identifies a call, and never the `id` of something: an object that a key stands for
lives as long as the key, so no other can be taken for it.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Kept = TypeVar("Kept")

_lock = threading.Lock()


class _Entry(Generic[Kept]):
    """A thing that is kept, its bytes, and whether it was wanted since it was last looked at."""

    __slots__ = ("is_wanted", "nbytes", "thing")

    def __init__(self, thing: Kept, nbytes: int) -> None:
        self.thing, self.nbytes, self.is_wanted = thing, nbytes, False


class Store(Generic[Kept]):
    """What has been made, by key; the oldest that was not wanted lately goes first.

    Parameters
    ----------
    most : int
        How many things there may be.
    most_bytes : int, optional
        How many bytes they may have together. What has more by itself is not kept.
    """

    def __init__(self, most: int, most_bytes: int = 1 << 60) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._entries: OrderedDict[Hashable, _Entry[Kept]] = OrderedDict()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable) -> Kept | None:
        """Return what is kept by a key, or None."""
        entry = self._entries.get(key)  # without the lock: small calls feel it
        if entry is None:
            return None
        entry.is_wanted = True
        return entry.thing

    def keep(self, key: Hashable, thing: Kept, nbytes: int = 0) -> None:
        """Keep a thing of some bytes, and drop what there is no room for."""
        if nbytes > self.most_bytes:
            return
        with _lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(thing, nbytes)
            self._nbytes += nbytes
            if not self._is_full():
                return
            # Counted anew: an exception from a handler of signals may have left it wrong.
            self._nbytes = sum(entry.nbytes for entry in self._entries.values())
            while self._is_full():
                oldest, entry = self._entries.popitem(last=False)
                if entry.is_wanted or oldest == key:  # it goes to the end, and next time
                    entry.is_wanted = False
                    self._entries[oldest] = entry
                else:
                    self._nbytes -= entry.nbytes

    def _is_full(self) -> bool:
        return len(self._entries) > self.most or self._nbytes > self.most_bytes

    def clear(self) -> None:
        """Drop all."""
        with _lock:
            self._entries.clear()
            self._nbytes = 0


def _renew_lock() -> None:
    """Start afresh in a forked child: the parent's lock may be held by a thread it lacks."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
