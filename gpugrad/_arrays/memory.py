"""Memory for large results, used again once nobody sees the results that lay in it.

Into a fresh array a gradient takes three times as long as into one that has been used: the system
hands out memory in pages, and clears each when it is first touched. So the memory of a large
result that has died is kept for the next one. While it lies idle the system may take its pages
back without asking (MADV_FREE), so that keeping it costs nobody anything.
"""

from __future__ import annotations

import contextlib
import errno
import math
import mmap
import os
import threading
from collections import deque
from functools import cache, lru_cache
from typing import Any, NoReturn

import numpy as np

from gpugrad._arrays.typing import NumpyArray

RECYCLED_BYTES = 1 << 22
"""Bytes of an array from which on its memory is kept here; the C library keeps that of others."""

_HUGE_PAGE = 1 << 21
"""Bytes of which memory is a multiple: to let small pages lie idle takes longer than a gradient."""

MAPPED_BYTES = 1 << 17
"""Bytes of an array from which on glibc gets its memory from the system, unless told otherwise."""

_LARGE_TEMPORARY = 1 << 24
_WASTE = 1.125  # memory may be larger than what is asked for by this factor
_CAN_LIE_IDLE = hasattr(mmap, "MADV_FREE") and hasattr(mmap, "MAP_PRIVATE")

_idle: list[_Memory] = []  # the longest idle first
_returned: deque[_Memory] = deque()  # by finalizers, which take no lock: appending is one step
_idle_bytes = _returned_bytes = 0  # about so many: what two threads add at once counts as one
_lock = threading.Lock()
_limit_in_force = 0


class _Memory:
    """Some bytes of memory in pages of their own."""

    __slots__ = ("address", "pages", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._advise(mmap.MADV_HUGEPAGE)
        self.address = np.frombuffer(self.pages, np.uint8).__array_interface__["data"][0]

    def lie_idle(self) -> None:
        """Let the system have the pages if it needs them; what is in them may be lost."""
        self._advise(mmap.MADV_FREE)

    def _advise(self, advice: int) -> None:
        try:
            self.pages.madvise(advice)
        except OSError as error:
            # A kernel without it: the memory is as good as any. Others come from handlers of
            # signals, such as TimeoutError.
            if error.errno != errno.EINVAL:
                raise


class _Lease:
    """What an array in recycled memory stands on: its `base`, and that of all views of it.

    NumPy keeps it alive as long as anybody sees the memory, through a view, a buffer or another
    library's array. Its death returns the memory, so there is but one for each.
    """

    __slots__ = ("__array_interface__", "_memory")

    def __init__(self, memory: _Memory, interface: dict[str, Any]) -> None:
        self._memory = memory
        self.__array_interface__ = {**interface, "version": 3, "data": (memory.address, False)}

    def __copy__(self) -> _Lease:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Lease:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a result's `base` stands for memory of this process. Pickle the result.")

    def __del__(self) -> None:
        _take_back(self._memory)


def empty_like(f: NumpyArray, dtype: np.dtype[Any]) -> NumpyArray:
    """Return an uninitialised array with the shape and the memory order of `f`, as NumPy does."""
    memory = _take(f.size * dtype.itemsize)
    if memory is None:
        return np.empty_like(f, dtype)
    return _on_lease(memory, f.shape, _pack(f, f.shape, dtype.itemsize), dtype)


def _pack(f: NumpyArray, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the strides of a new array of some shape with the memory order of `f`."""
    strides, stride = [0] * f.ndim, itemsize
    for axis in sorted(range(f.ndim), key=lambda i: -abs(f.strides[i]))[::-1]:
        strides[axis] = stride
        stride *= shape[axis]
    return tuple(strides)


def stand_in(f: NumpyArray, dtype: Any = None, shape: tuple[int, ...] | None = None) -> NumpyArray:
    """Return what `numpy.empty_like` would, but without memory: none of its values may be read."""
    dtype, shape = np.dtype(dtype or f.dtype), shape or f.shape
    if dtype.hasobject:
        return np.broadcast_to(np.empty((), dtype), shape)
    strides = _pack(f, shape, dtype.itemsize)
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NumpyArray:
    """Return an uninitialised array in C order."""
    memory = _take(math.prod(shape) * dtype.itemsize)
    return np.empty(shape, dtype) if memory is None else _on_lease(memory, shape, None, dtype)


def is_recycled(size: int) -> bool:
    """Tell whether a result of so many bytes goes into memory that is used again."""
    return size >= RECYCLED_BYTES and _CAN_LIE_IDLE and _limit() > 0


@cache
def keep_freed_memory() -> None:
    """Let the C library keep the memory of temporaries, and of smaller results, from call to call.

    glibc gives free memory back to the system, and gets it page by page again, unless it has seen
    larger arrays come and go. So let one: nothing is written, and no page is taken.
    """
    with contextlib.suppress(MemoryError):
        np.empty(_LARGE_TEMPORARY, np.uint8)


def _on_lease(
    memory: _Memory, shape: tuple[int, ...], strides: tuple[int, ...] | None, dtype: np.dtype[Any]
) -> NumpyArray:
    interface = {"shape": shape, "strides": strides, "typestr": dtype.str}
    return np.asarray(_Lease(memory, interface))


def free_memory() -> int:
    """Return memory that is kept for new results to the operating system, at once.

    Use it to measure how much memory a process needs, or to leave memory to other processes.

    Returns
    -------
    int
        The number of bytes that were returned.

    See Also
    --------
    info : What is installed, and which devices can be used.

    Notes
    -----
    The memory of large results (4 MiB or more) is used again after the results have been deleted,
    so that the operating system need not clear new memory pages. The environment variable
    ``GPUGRAD_RECYCLE_BYTES`` limits how much memory is kept in this way; by default it is a quarter
    of the memory of the machine, and 0 switches it off. The operating system may take the kept
    pages back at any time. So this function is needed only if the kept memory should not count as
    memory of the process.

    Examples
    --------
    After the result is deleted, its memory is kept until it is freed:

    >>> import numpy as np
    >>> import gpugrad
    >>> df_dx = gpugrad.gradient(np.zeros(1_000_000))
    >>> del df_dx
    >>> freed = gpugrad.free_memory()
    >>> gpugrad.free_memory()  # nothing lies idle any more
    0
    """
    global _idle_bytes
    with _lock:
        _collect()
        freed, _idle_bytes = _count_idle(), 0
        _idle.clear()
    return freed


def _take(size: int) -> _Memory | None:
    """Return memory for so many bytes, or None where NumPy's own will do."""
    if size >= MAPPED_BYTES:
        keep_freed_memory()
    if size < RECYCLED_BYTES or not _CAN_LIE_IDLE:
        return None
    size = -(-size // _HUGE_PAGE) * _HUGE_PAGE
    global _idle_bytes, _limit_in_force
    _limit_in_force = _limit()
    if not _limit_in_force:
        if _idle or _returned:
            free_memory()
        return None
    with _lock:
        _collect()
        # What has died last may still lie in a cache.
        for i in reversed(range(len(_idle))):
            if size <= _idle[i].size <= size * _WASTE:
                memory = _idle.pop(i)
                _idle_bytes -= memory.size
                return memory
        if size <= _limit_in_force:
            _make_room(size)  # it will lie idle one day
    try:
        return _Memory(size)
    except OverflowError:
        return None  # NumPy says how much was wanted
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise  # from a handler of signals
        free_memory()
        return None  # NumPy tries once more


def _take_back(memory: _Memory) -> None:
    """Keep memory for the next result.

    A finalizer runs anywhere, even where the lock is held, and what a handler of signals raises in
    it is lost. So it takes no lock, which might never be released.
    """
    global _returned_bytes
    memory.lie_idle()
    _returned.append(memory)
    _returned_bytes += memory.size
    while _returned and _idle_bytes + _returned_bytes > _limit_in_force:
        with contextlib.suppress(IndexError):  # another thread has taken the last
            _returned_bytes -= _returned.popleft().size


def _collect() -> None:
    """Take in what has been returned, and let go of the longest idle beyond the limit."""
    global _returned_bytes
    while _returned:
        _idle.append(_returned.popleft())
    _returned_bytes = 0
    _make_room(0)


def _make_room(size: int) -> None:
    """Let go of the longest idle, so that so many bytes more are within the limit."""
    global _idle_bytes
    _idle_bytes = _count_idle()
    while _idle and _idle_bytes + size > _limit_in_force:
        _idle_bytes -= _idle.pop(0).size


def _count_idle() -> int:
    return sum([memory.size for memory in _idle])


def _limit() -> int:
    """Return how many bytes may lie idle."""
    told = os.environ.get("GPUGRAD_RECYCLE_BYTES")
    if not told:
        return _quarter_of_memory()
    try:
        return max(0, int(told))
    except ValueError:
        raise ValueError(
            f"`GPUGRAD_RECYCLE_BYTES` must be a whole number of bytes, 0 to switch the reuse of "
            f"memory off; got {told!r}."
        ) from None


@lru_cache(maxsize=1)
def _quarter_of_memory() -> int:
    if "SC_PHYS_PAGES" not in os.sysconf_names:  # the system does not say how much there is
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def _forget() -> None:
    """Start afresh in a forked child: the parent's lock may be held by a thread it lacks."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
