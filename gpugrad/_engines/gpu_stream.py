"""Fields in host memory on a GPU, however large: slab after slab, in a ring of buffers.

A slab is some rows of the slowest axis, with the neighbours that its formulas read. It is copied
into pinned memory, from there to the device, computed, and copied back the same way. Each place of
the ring has memory and a stream of its own, on which its work is done in order. So while one slab
is computed, others are on their way there and back, and the host fills and empties the rest.

Two rules keep the data whole: the host touches the memory of a place only when its stream is
idle, and no memory is let go of before all streams are.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Any

import cupy
import numpy as np

from gpugrad import _memory, _threads
from gpugrad._arrays import Array
from gpugrad._engines import cupy_gpu
from gpugrad._engines.gpu_program import Outputs
from gpugrad._engines.numpy_steps import NumpyArray, find_result
from gpugrad._engines.slabs import Layout, Slab, cut, move_to_slab
from gpugrad._plan import AxisPlan, distinct_fields, rows_of

PLACES = 3
"""Slabs under way at a time: one on its way there, one computed, one on its way back."""

COPIED_BYTES = 1 << 21
"""Bytes from which on several threads copy on the host."""


class Device:
    """What streaming asks of CUDA besides launches. Tests put another in its place."""

    def free_bytes(self) -> int:
        """Return the bytes of the current device that CuPy may hand out."""
        pool = cupy.get_default_memory_pool()
        free: int = cupy.cuda.Device().mem_info[0] + pool.free_bytes()
        return min(free, pool.get_limit() - pool.used_bytes()) if pool.get_limit() else free

    def allocate(self, size: int) -> Any:
        """Return a pointer to memory of the current device."""
        return cupy.cuda.alloc(size)

    def allocate_pinned(self, size: int) -> NumpyArray:
        """Return bytes on the host that a device can copy by itself."""
        try:
            memory = cupy.cuda.alloc_pinned_memory(size)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise MemoryError(str(error)) from error
        return np.frombuffer(memory, np.uint8, size)

    def is_pinned(self, array: NumpyArray) -> bool:
        """Tell whether an array lies in memory that a device can copy by itself."""
        attributes = cupy.cuda.runtime.pointerGetAttributes(array.ctypes.data)
        return bool(attributes.type == 1)  # cudaMemoryTypeHost

    def make_stream(self) -> Any:
        """Return a stream that begins when what is on the current stream has ended."""
        # Memory from the pool may still be in use there.
        stream = cupy.cuda.Stream(non_blocking=True)
        stream.wait_event(cupy.cuda.get_current_stream().record())
        return stream

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """Return a context in which a stream is the current one."""
        context: AbstractContextManager[Any] = stream
        return context

    def send(self, memory: Any, source: NumpyArray) -> None:
        """Copy contiguous memory of the host to the device, on the current stream."""
        memory.copy_from_host_async(source.ctypes.data, source.nbytes)

    def fetch(self, target: NumpyArray, memory: Any) -> None:
        """Copy memory of the device to contiguous memory of the host, on the current stream."""
        memory.copy_to_host_async(target.ctypes.data, target.nbytes)

    def wait(self, stream: Any) -> None:
        """Return when all that is on a stream has been done."""
        stream.synchronize()


device = Device()
_turn = threading.Lock()  # calls on other threads would take their memory too


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    fields = distinct_fields(outputs)
    first = fields[0]
    for f in fields:
        if type(f) is not np.ndarray:
            return f"it takes plain arrays, and `f` is a {type(f).__name__}"
        if f.dtype.str[1:] not in cupy_gpu.SAMPLES or not f.dtype.isnative:
            return (
                "it takes integers, float16, float32, float64, complex64 and complex128 in this "
                f"machine's byte order, and `f` is {f.dtype}"
            )
        if f.dtype != first.dtype or f.shape != first.shape:
            return "it takes fields of one dtype and shape"
    return cupy_gpu.find_problem(outputs)


def evaluate(outputs: Outputs, out: Sequence[NumpyArray] | None = None) -> tuple[NumpyArray, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    f = outputs[0][0].field
    dtypes = [find_result(terms) for terms in outputs]
    with _turn:
        if not f.size:
            targets = [np.empty_like(f, dtype) for dtype in dtypes] if out is None else out
        else:
            ring = _Ring(outputs, dtypes)
            targets = [_memory.empty_like(f, dtype) for dtype in dtypes] if out is None else out
            try:
                ring.run(targets)
            except BaseException as error:
                if out is not None:
                    error.add_note("What has been computed until then has been written to `out`.")
                raise
    return tuple(targets)


class _Place:
    """A place in the ring: memory on both sides, and the stream that moves a slab between."""

    def __init__(self) -> None:
        self.stream: Any = None
        self.memory: list[Any] = []
        self.pinned: list[NumpyArray] = []
        self.slab: Slab | None = None


class _Ring:
    """All there is to a call: what to compute, the slabs, and the places they go through."""

    def __init__(self, outputs: Outputs, dtypes: Sequence[np.dtype[Any]]) -> None:
        self.outputs = outputs
        self.fields: list[NumpyArray] = distinct_fields(outputs)
        self.dtypes = [f.dtype for f in self.fields] + [*dtypes]
        self.layout, self.slabs = cut(
            outputs, sum(d.itemsize for d in self.dtypes), PLACES, _budget()
        )
        rows = max(slab.length for slab in self.slabs)
        self.sizes = [rows * self.layout.row * d.itemsize for d in self.dtypes]
        count = min(PLACES, len(self.slabs))
        try:
            self.places = [self._make_place() for _ in range(count)]
        except MemoryError as error:
            each = sum(self.sizes)
            raise MemoryError(
                f"streaming needs {count * each:,} bytes on the GPU and as many of pinned memory "
                f"on the host, {each:,} for each of {count} slabs, and there is not enough. "
                "Delete arrays, or let slabs be smaller with the environment variable "
                f"GPUGRAD_STREAM_BYTES, which is the bytes for all of them. CUDA says: {error}"
            ) from error

    def _make_place(self) -> _Place:
        place = _Place()
        place.memory = [device.allocate(size) for size in self.sizes]
        place.pinned = [device.allocate_pinned(size) for size in self.sizes]
        place.stream = device.make_stream()
        return place

    def run(self, targets: Sequence[NumpyArray]) -> None:
        """Send all slabs round the ring."""
        arrays = [*self.fields, *targets]
        direct = [
            array.dtype == dtype and self.layout.is_contiguous(array) and device.is_pinned(array)
            for array, dtype in zip(arrays, self.dtypes, strict=True)
        ]
        count = len(self.places)
        try:
            for i, slab in enumerate(self.slabs):
                place = self.places[i % count]
                self._finish(place, targets, direct)
                self._start(place, slab, targets, direct)
            for i in range(len(self.slabs), len(self.slabs) + count):
                self._finish(self.places[i % count], targets, direct)
        finally:
            # An error, too, leaves no copy behind that is still under way. Where a device cannot
            # even be waited for, nothing on it runs any more.
            for place in self.places:
                with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):
                    device.wait(place.stream)

    def _start(
        self, place: _Place, slab: Slab, targets: Sequence[NumpyArray], direct: list[bool]
    ) -> None:
        """Put all that is to be done for a slab on the stream of an idle place."""
        layout, lengths = self.layout, [stop - start for start, stop in slab.samples]
        ends = [*accumulate(lengths)]
        with device.on(place.stream):
            for i, f in enumerate(self.fields):
                row = layout.row * f.itemsize
                here = layout.on_host(place.pinned[i], slab.length, f.dtype)
                for end, length, span in zip(ends, lengths, slab.samples, strict=True):
                    rows = f[layout.rows(*span)]
                    if not direct[i]:
                        source, rows = rows, here[layout.rows(end - length, end)]
                        _copy(rows, source, layout)
                    device.send(place.memory[i] + (end - length) * row, rows)
            arrays = [
                cupy.ndarray(layout.arrange(slab.length), dtype, memory).transpose(*layout.back)
                for memory, dtype in zip(place.memory, self.dtypes, strict=True)
            ]
            count = len(self.fields)
            cupy_gpu.evaluate(self._move(slab, arrays[:count]), arrays[count:])
            for i, target in enumerate(targets, start=count):
                row = layout.row * self.dtypes[i].itemsize
                there = layout.on_host(place.pinned[i], slab.stop - slab.start, self.dtypes[i])
                if direct[i]:
                    there = target[layout.rows(slab.start, slab.stop)]
                device.fetch(there, place.memory[i] + slab.first * row)
        place.slab = slab

    def _move(self, slab: Slab, views: Sequence[Array]) -> Outputs:
        """Return the outputs for a slab, on its arrays on the device."""
        known = {id(f): view for f, view in zip(self.fields, views, strict=True)}
        axis = self.layout.axes[0]

        def move(plan: AxisPlan) -> AxisPlan:
            n = self.layout.shape[axis]
            return move_to_slab(plan, n, slab) if plan.axis == axis else plan

        moved: list[Any] = []
        for terms in self.outputs:
            kind: Any = type(terms)
            here = [t._replace(field=known[id(t.field)], plan=move(t.plan)) for t in terms]
            moved.append(kind(here))
        return moved

    def _finish(self, place: _Place, targets: Sequence[NumpyArray], direct: list[bool]) -> None:
        """Wait for the slab of a place, if there is one, and bring its results to where they go."""
        slab = place.slab
        if slab is None:
            return
        device.wait(place.stream)
        for i, target in enumerate(targets, start=len(self.fields)):
            if not direct[i]:
                rows = slab.stop - slab.start
                here = self.layout.on_host(place.pinned[i], rows, self.dtypes[i])
                _copy(target[self.layout.rows(slab.start, slab.stop)], here, self.layout)
        place.slab = None


def _copy(target: NumpyArray, source: NumpyArray, layout: Layout) -> None:
    """Copy rows on the host, on several threads where there is much."""
    axis = max(layout.axes[:2], key=lambda axis: target.shape[axis])
    threads = _threads.count() if target.nbytes >= COPIED_BYTES else 1
    pieces = min(4 * threads, target.shape[axis]) if threads > 1 else 1

    def copy(numbers: Sequence[int]) -> None:
        for i in numbers:
            some = rows_of(target.ndim, axis, bounds[i], bounds[i + 1])
            np.copyto(target[some], source[some], casting="same_kind")

    bounds = [target.shape[axis] * i // pieces for i in range(pieces + 1)]
    _threads.for_each_share(copy, range(pieces), threads)


def _budget() -> int:
    """Return how many bytes a ring may take, on the device and again in pinned memory."""
    told = os.environ.get("GPUGRAD_STREAM_BYTES")
    if not told:
        return min(device.free_bytes() // 2, _memory.machine_bytes() // 8)
    try:
        budget = int(told)
    except ValueError:
        budget = 0
    if budget < 1:
        raise ValueError(
            "`GPUGRAD_STREAM_BYTES` must be a whole number of bytes, 1 or more, that fields in "
            f"host memory may take on a GPU; got {told!r}."
        )
    return budget
