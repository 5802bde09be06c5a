"""JAX's arrays on a GPU, outside of traces: the kernel of the GPU engine on their memory.

Nothing is copied: arrays pass between JAX and CuPy by DLPack. The kernel runs on a stream of ours.
JAX has one of its own for computing and takes memory back in the order of that stream, knowing
nothing of others. So our stream waits for what JAX has begun, and JAX's stream for our kernel, as
if both were one. The host waits for neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import cupy
import jax
import numpy as np

from gpugrad._arrays import Array, dtype_name
from gpugrad._engines import cupy_gpu
from gpugrad._engines.gpu_program import Outputs
from gpugrad._plan import distinct_fields

_NAMES = {np.dtype(name).name for name in cupy_gpu.SAMPLES}


class Handover:
    """How arrays, and the right to go on, pass between JAX and CuPy. Tests put in another."""

    def device_of(self, f: Array) -> int:
        """Return CUDA's number of the device of an array."""
        (device,) = f.devices()
        return int(device.local_hardware_id)

    def on_our_stream(self, device: int) -> AbstractContextManager[Any]:
        """Return a context in which our stream of a device is the current one."""
        context: AbstractContextManager[Any] = _make_stream(device)
        return context

    def wait_for_jax(self, f: Array) -> None:
        """Let the current stream wait for all that JAX has begun on the device of an array."""
        (device,) = f.devices()
        cupy.from_dlpack(_add_one(_make_zero(device)))

    def let_jax_wait(self) -> None:
        """Let what JAX does from now on wait for the current stream."""
        _add_one(jax.dlpack.from_dlpack(cupy.empty(1, np.int32)))

    def take(self, f: Array) -> Array:
        """Return a CuPy array over the memory of one of JAX, when the stream has come so far."""
        return cupy.from_dlpack(f)

    def give(self, result: Array) -> Array:
        """Return an array of JAX over the memory of one of CuPy, ready when the stream is."""
        return jax.dlpack.from_dlpack(result)


handover = Handover()


@jax.jit  # type: ignore[untyped-decorator]
def _add_one(x: Array) -> Array:
    return x + 1


@lru_cache
def _make_zero(device: Any) -> Array:
    return jax.device_put(np.zeros(1, np.int32), device)


@lru_cache
def _make_stream(device: int) -> Any:
    return cupy.cuda.Stream(non_blocking=True)


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    fields = distinct_fields(outputs)
    for f in fields:
        if isinstance(f, jax.core.Tracer):
            return "it takes arrays with values, not those of a trace"
        if not is_on_gpu(f):
            return "it takes arrays on one CUDA GPU, and `f` is elsewhere, or on several devices"
        if dtype_name(f.dtype) not in _NAMES:
            return (
                "it takes integers, float16, float32, float64, complex64 and complex128, and "
                f"`f` is {f.dtype}"
            )
        if f.dtype != fields[0].dtype or f.shape != fields[0].shape:
            return "it takes fields of one dtype and shape"
        if f.devices() != fields[0].devices():
            return f"its fields lie on two devices, {fields[0].devices()} and {f.devices()}"
    if any(not term.plan.on_host for terms in outputs for term in terms):
        return "it takes spacings whose values are on the host"
    return cupy_gpu.find_problem(outputs)


def is_on_gpu(f: Array) -> bool:
    """Tell whether an array with values lies on one GPU that CuPy can reach."""
    devices = list(f.devices())
    return len(devices) == 1 and "cuda" in devices[0].client.platform_version.lower()


def evaluate(outputs: Outputs, out: None = None) -> tuple[Array, ...]:
    """Evaluate each output."""
    fields = distinct_fields(outputs)
    device = handover.device_of(fields[0])
    # A trace may be under way around this, of other arrays than these.
    with (
        jax.ensure_compile_time_eval(),
        cupy_gpu.cuda.on(device),
        handover.on_our_stream(device),
    ):
        handover.wait_for_jax(fields[0])
        views = {id(f): handover.take(f) for f in fields}
        moved = [_move(terms, views) for terms in outputs]
        results: Sequence[Array] = cupy_gpu.evaluate(moved)
        given = tuple([handover.give(result) for result in results])
        handover.let_jax_wait()  # before `views` are let go of: then JAX may use their memory again
    return given


def _move(terms: Any, views: dict[int, Array]) -> Any:
    """Return an output of the same kind, on views of its fields."""
    return type(terms)([term._replace(field=views[id(term.field)]) for term in terms])
