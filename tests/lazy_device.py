"""A device that does its work late and in any order that streams and events allow, on the host.

What is enqueued waits until somebody waits for it. Then random streams go on by random steps, as
far as they may. So whatever is not ordered happens in another order sooner or later, and results
are wrong. Memory that is handed out is still in use on the caller's stream, as memory of a pool
may be, and memory that is let go of must not be.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from contextlib import contextmanager

import cupy
import numpy as np
from kernels_on_host import HostCuda


def is_dense(a):
    """Tell whether an array fills a stretch of memory, in whatever order of axes."""
    slowest_first = sorted(range(a.ndim), key=lambda axis: (a.shape[axis] != 1, a.strides[axis]))
    return a.transpose(slowest_first[::-1]).flags.c_contiguous


class LazyStream:
    """Work to be done in order: functions, and events to wait for."""

    def __init__(self):
        self.work = deque()


class LazyEvent:
    """Whether a stream has come so far."""

    def __init__(self):
        self.has_happened = False

    def happen(self):
        self.has_happened = True


class LazyDevice:
    """Stands in for `gpu_stream.Device`."""

    def __init__(self, rng, pinned=(), capacity=1 << 62):
        self.rng, self.pinned, self.capacity = rng, pinned, capacity
        self.callers = self.current = LazyStream()
        self.streams = [self.callers]
        self.steps = self.sent = self.fetched = 0
        self.used = self.most_used = self.used_pinned = 0
        self.let_go_of_too_early = False

    def free_bytes(self):
        return self.capacity

    def allocate(self, size):
        if self.used + size > self.capacity:
            raise cupy.cuda.memory.OutOfMemoryError(size, self.used, self.capacity)
        buffer = self._take(size)
        # Somebody's work on the caller's stream goes on in this memory.
        alive = weakref.ref(buffer)
        self.callers.work.append(lambda: alive() is not None and alive().fill(0xEE))
        self.used += size
        self.most_used = max(self.most_used, self.used)
        memory = cupy.cuda.UnownedMemory(buffer.ctypes.data, size, buffer, 0)
        weakref.finalize(buffer, self._give_back, size)
        return cupy.cuda.MemoryPointer(memory, 0)

    def allocate_pinned(self, size):
        self.used_pinned += size
        buffer = self._take(size)
        weakref.finalize(buffer, self._give_back, 0)
        return buffer

    def _take(self, size):
        return np.full(size, 0xEE, "u1")

    def _give_back(self, size):
        self.used -= size
        self.let_go_of_too_early |= any(stream.work for stream in self.streams[1:])

    def is_pinned(self, array):
        return any(array is one for one in self.pinned)

    def make_stream(self):
        stream, event = LazyStream(), LazyEvent()
        self.callers.work.append(event.happen)
        stream.work.append(event)
        self.streams.append(stream)
        return stream

    @contextmanager
    def on(self, stream):
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def send(self, memory, source):
        assert is_dense(source)
        self.sent += source.nbytes
        self._enqueue_copy(memory.ptr, source.ctypes.data, source.nbytes, (memory, source))

    def fetch(self, target, memory):
        assert is_dense(target)
        self.fetched += target.nbytes
        self._enqueue_copy(target.ctypes.data, memory.ptr, target.nbytes, (memory, target))

    def _enqueue_copy(self, target, source, size, kept):
        self.current.work.append(lambda kept=kept: ctypes.memmove(target, source, size))

    def wait(self, stream):
        while stream.work:
            ready = [s for s in self.streams if s.work and self._may_go_on(s.work[0])]
            assert ready, "all streams wait for each other"
            some = ready[self.rng.integers(len(ready))]
            for _ in range(self.rng.integers(1, 4)):
                if some.work and self._may_go_on(some.work[0]):
                    self._step(some)

    @staticmethod
    def _may_go_on(work):
        return not isinstance(work, LazyEvent) or work.has_happened

    def _step(self, stream):
        work = stream.work.popleft()
        self.steps += 1
        if not isinstance(work, LazyEvent):
            work()


class LazyCuda(HostCuda):
    """Launches kernels on the stream that is current on a lazy device."""

    device = None

    def load(self, kernel):
        run = super().load(kernel)

        def launch(*arguments):
            self.device.current.work.append(lambda: run(*arguments))

        return launch
