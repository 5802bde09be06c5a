"""PyTorch's tensors on a GPU: the kernel of the GPU engine on their memory and their stream.

Nothing is copied: CuPy gets to see the memory of the tensors, and results are tensors from the
start. Where a field requires gradients, the way back is the same kernel with the transposed plans
(see `autograd`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np
import torch

from gpugrad._arrays import Array, dtype_name, is_transformed, result_dtype
from gpugrad._engines.cuda import engine
from gpugrad._engines.torch import autograd
from gpugrad._stencils import Norm, Outputs, convert_fields, distinct_fields

_NAMES = {np.dtype(name).name for name in engine.SAMPLES}


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    for f in distinct_fields(outputs):
        if type(f) not in (torch.Tensor, torch.nn.Parameter):
            return f"it takes plain tensors, and `f` is a {type(f).__name__}"
        if not _is_on_gpu(f):
            return f"it takes tensors on a GPU, and `f` is on {f.device}"
        if dtype_name(f.dtype) not in _NAMES:
            return (
                "it takes integers, float16, float32, float64, complex64 and complex128, and "
                f"`f` is {f.dtype}"
            )
        if is_transformed(f):
            return "it takes tensors with memory, which tensors of a trace or a transformation lack"
    if any(term.where is not None for terms in outputs for term in terms):
        return "it takes fields without masks"
    if any(not term.plan.on_host for terms in outputs for term in terms):
        return "it takes spacings whose values are on the host"
    return engine.unsupported(convert_fields(outputs, _view))


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    if out is not None or not autograd.needs_gradients(outputs):
        return _compute(outputs, out)
    return autograd.evaluate(outputs, compute=_compute)


def allocate_stack(f: Array, count: int) -> Array:
    """Return memory for as many results of a field, one after the other in a single tensor."""
    return torch.empty((count, *f.shape), dtype=_result_dtype(f), device=f.device)


def _compute(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Run the kernel on the memory of tensors, on PyTorch's current stream."""
    f = outputs[0][0].field
    if out is None:
        out = [
            torch.empty_like(f, dtype=_result_dtype(f, isinstance(terms, Norm)))
            for terms in outputs
        ]
    # Memory of a conjugated or negated view holds other values than the view has.
    written = [
        torch.empty_like(target) if target.is_conj() or target.is_neg() else target
        for target in out
    ]
    device, stream = f.device.index or 0, _stream_of(f)
    with engine.cuda.on(device), engine.cuda.follow(stream):
        engine.evaluate(convert_fields(outputs, _view), [_view(target) for target in written])
    for target, result in zip(out, written, strict=True):
        if result is not target:
            target.copy_(result)
    return tuple(out)


def _result_dtype(f: Array, is_norm: bool = False) -> Any:
    like = np.empty(0, dtype_name(f.dtype))
    return getattr(torch, result_dtype(np, like, is_norm).name)


def _view(tensor: Array) -> Array:
    """Return a CuPy array over the memory of a tensor."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    size, strides = tensor.element_size(), tensor.stride()
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, strides, strict=True))
    memory = cupy.cuda.UnownedMemory(
        tensor.data_ptr(), size * (reach + 1), tensor, tensor.device.index or 0
    )
    return cupy.ndarray(
        tuple(tensor.shape),
        np.dtype(dtype_name(tensor.dtype)),
        cupy.cuda.MemoryPointer(memory, 0),
        tuple(step * size for step in strides),
    )


def _is_on_gpu(f: Array) -> bool:
    return bool(f.device.type == "cuda")


def _stream_of(f: Array) -> int:
    stream: int = torch.cuda.current_stream(f.device).cuda_stream
    return stream
