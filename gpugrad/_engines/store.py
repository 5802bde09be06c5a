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


class Store(Generic[Kept]):
    """What has been made, by key; what was not wanted for longest goes first.

    Parameters
    ----------
    most : int
        How many things there may be.
    most_bytes : int, optional
        How many bytes they may have together. What has more by itself is not kept.
    """

    def __init__(self, most: int, most_bytes: int = 1 << 60) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._entries: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable) -> Kept | None:
        """Return what is kept by a key, or None."""
        with _lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def keep(self, key: Hashable, thing: Kept, nbytes: int = 0) -> None:
        """Keep a thing of some bytes, and drop what there is no room for."""
        if nbytes > self.most_bytes:
            return
        with _lock:
            self._entries[key] = thing, nbytes
            # Counted anew: an exception from a handler of signals would leave a counter wrong.
            while (
                len(self._entries) > self.most
                or sum(size for _, size in self._entries.values()) > self.most_bytes
            ):
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Drop all."""
        with _lock:
            self._entries.clear()


def _renew_lock() -> None:
    """Start afresh in a forked child: the parent's lock may be held by a thread it lacks."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
