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
import math
import os
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Any, NamedTuple

import cupy
import numpy as np

from gpugrad import _memory, _threads
from gpugrad._arrays import Array
from gpugrad._engines import cupy_gpu
from gpugrad._engines.gpu_program import Outputs
from gpugrad._engines.numpy_steps import NumpyArray, find_precision
from gpugrad._engines.slices import rows_of
from gpugrad._engines.windows import Span, find_row, find_samples, is_uniform, move_plan
from gpugrad._plan import AxisPlan, distinct_fields

PLACES = 3
"""Slabs under way at a time: one on its way there, one computed, one on its way back."""

SLAB_BYTES = 1 << 26
"""Bytes of a field in a slab: enough that starting copies and kernels takes next to no time."""

LEAST_SLAB_BYTES = 1 << 22
"""Bytes of a field in a slab if the field is small: more slabs than one overlap."""

COPIED_BYTES = 1 << 21
"""Bytes from which on several threads copy on the host."""

_REMEMBERED = 64


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


class Slab(NamedTuple):
    """Rows `start` to `stop` of the streamed axis; `samples` is all that they read."""

    start: int
    stop: int
    samples: list[Span]

    @property
    def length(self) -> int:
        """How many rows there are, with the neighbours."""
        return sum(stop - start for start, stop in self.samples)

    @property
    def first(self) -> int:
        """Where the rows begin among the samples."""
        return find_row(self.samples, self.start)


class Layout(NamedTuple):
    """How slabs lie in buffers: axes from the slowest, which is streamed, to the fastest."""

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def row(self) -> int:
        """How many samples a row of the streamed axis has."""
        return math.prod(self.shape) // self.shape[self.axes[0]]

    def rows(self, start: int, stop: int) -> tuple[slice, ...]:
        """Return the index of some rows of the streamed axis."""
        return rows_of(len(self.shape), self.axes[0], start, stop)

    def on_host(self, buffer: NumpyArray, rows: int, dtype: np.dtype[Any]) -> NumpyArray:
        """Return rows at the beginning of a buffer as an array with the axes of the field."""
        array = np.ndarray(self._arrange(rows), dtype, buffer)
        return array.transpose(np.argsort(self.axes))

    def on_device(self, memory: Any, rows: int, dtype: np.dtype[Any]) -> Array:
        """Return the same on the device."""
        array = cupy.ndarray(self._arrange(rows), dtype, memory)
        return array.transpose(*np.argsort(self.axes).tolist())

    def is_contiguous(self, array: NumpyArray) -> bool:
        """Tell whether rows of an array lie in memory as they lie in a buffer."""
        return bool(array.transpose(self.axes).flags.c_contiguous)

    def _arrange(self, rows: int) -> tuple[int, ...]:
        return (rows, *(self.shape[axis] for axis in self.axes[1:]))


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
    dtype = find_precision(f.dtype, None).result
    with _turn:
        if not f.size:
            targets = [np.empty_like(f, dtype) for _ in outputs] if out is None else out
        else:
            ring = _Ring(outputs, dtype)
            targets = [_memory.empty_like(f, dtype) for _ in outputs] if out is None else out
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

    def __init__(self, outputs: Outputs, dtype: np.dtype[Any]) -> None:
        self.outputs = outputs
        self.fields: list[NumpyArray] = distinct_fields(outputs)
        self.dtypes = [f.dtype for f in self.fields] + [dtype] * len(outputs)
        self.layout, self.slabs = cut(outputs, sum(d.itemsize for d in self.dtypes), _budget())
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
                layout.on_device(memory, slab.length, dtype)
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
        return [
            [
                term._replace(
                    field=known[id(term.field)],
                    plan=term.plan
                    if term.plan.axis != axis
                    else _move_plan(term.plan, self.layout.shape[axis], slab),
                )
                for term in terms
            ]
            for terms in self.outputs
        ]

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


def cut(outputs: Outputs, itemsize: int, budget: int) -> tuple[Layout, list[Slab]]:
    """Return the slabs of fields, and how they lie in buffers; `budget` is for all of a ring.

    `itemsize` is the bytes that a sample and all its results take. The slowest axis is streamed,
    if some rows of it fit into the budget.
    """
    f = distinct_fields(outputs)[0]
    slowest_first = sorted(
        range(f.ndim), key=lambda axis: (f.shape[axis] == 1, -abs(f.strides[axis]))
    )
    least = None
    for axis in slowest_first:
        layout = Layout(f.shape, (axis, *(other for other in slowest_first if other != axis)))
        plans = [
            *{id(t.plan): t.plan for ts in outputs for t in ts if t.plan.axis == axis}.values()
        ]
        row = layout.row * itemsize * PLACES
        slabs = _cut_axis(plans, f.shape[axis], budget // row, layout.row * f.itemsize)
        if slabs:
            return layout, slabs
        window = max(slab.length for slab in _cut_evenly(plans, f.shape[axis], 1))
        least = min(least or window * row, window * row)
    raise MemoryError(
        f"streaming needs {least:,} bytes on the GPU at least, and has {budget:,}. Free memory "
        "there, or raise the environment variable GPUGRAD_STREAM_BYTES if that sets the limit."
    )


def _cut_axis(plans: Sequence[AxisPlan], n: int, most: int, row: int) -> list[Slab]:
    """Return slabs of at most as many rows, neighbours included; none if that is too few."""
    reach = max((abs(k) for plan in plans for k in plan.interior.offsets), default=0)
    wanted = min(SLAB_BYTES, max(LEAST_SLAB_BYTES, row * n // 8)) // row
    rows = min(n, max(1, wanted, 8 * reach), most)
    while rows > 0:
        slabs = _cut_evenly(plans, n, rows)
        excess = max(slab.length for slab in slabs) - most
        if excess <= 0:
            return slabs
        rows -= excess
    return []


def _cut_evenly(plans: Sequence[AxisPlan], n: int, rows: int) -> list[Slab]:
    starts = range(0, n, rows)
    return [
        Slab(start, min(start + rows, n), find_samples(plans, n, start, min(start + rows, n)))
        for start in starts
    ]


def _move_plan(plan: AxisPlan, n: int, slab: Slab) -> AxisPlan:
    """Return the plan of the streamed axis for a slab: the same for slabs that are alike.

    The engine remembers by plan what is to be launched.
    """
    key: Any = "slab", n, slab.start, slab.stop, slab.first, slab.length
    if len(plan.lower) <= slab.start and slab.stop <= n - len(plan.upper):
        key = "slab", slab.stop - slab.start, slab.first, slab.length
    moved: AxisPlan | None = plan.memo.get(key)
    if moved is None:
        moved = move_plan(plan, n, slab.start, slab.stop, slab.samples)
        if is_uniform(plan) and len(plan.memo) < _REMEMBERED:
            plan.memo[key] = moved
    return moved


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
