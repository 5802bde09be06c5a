"""PyTorch's tensors on a GPU: the kernel of the GPU engine on their memory and their stream.

Nothing is copied: CuPy gets to see the memory of the tensors, and results are tensors from the
start. Where a field requires gradients, the way back is the same kernel with the transposed plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np
import torch

from gpugrad._arrays import Array, dtype_name, result_dtype, working_dtype
from gpugrad._engines import slices
from gpugrad._engines.cuda import engine
from gpugrad._stencils import (
    Norm,
    Outputs,
    Term,
    change_terms,
    convert_fields,
    distinct_fields,
    transpose_plan,
)

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
        if not _has_memory(f):
            return "it takes tensors with memory, which tensors of a trace or a transformation lack"
    if any(term.where is not None for terms in outputs for term in terms):
        return "it takes fields without masks"
    if any(not term.plan.on_host for terms in outputs for term in terms):
        return "it takes spacings whose values are on the host"
    return engine.unsupported(convert_fields(outputs, _view))


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    if out is not None:
        return _compute(outputs, out)
    fields = distinct_fields(outputs)
    if any(isinstance(terms, Norm) for terms in outputs):
        if torch.is_grad_enabled() and any(f.requires_grad for f in fields):
            return tuple(map(_evaluate_differentiably, outputs))
        return _compute(outputs)
    # Terms with numbers of fields: PyTorch would keep tensors in them alive, without its knowledge.
    number = {id(f): i for i, f in enumerate(fields)}
    numbered = change_terms(outputs, lambda term: term._replace(field=number[id(term.field)]))
    results: tuple[Array, ...] = _Differentiate.apply(numbered, *fields)
    return results


def _evaluate_differentiably(terms: Sequence[Term]) -> Array:
    """Evaluate an output that may be a norm, of derivatives that find their way back."""
    if not isinstance(terms, Norm):
        return evaluate([terms])[0]
    f = terms[0].field
    (converted,) = convert_fields([terms], lambda g: g.to(working_dtype(torch, g)))
    return slices.combine(f, evaluate([[term] for term in converted]), None)


def allocate_stack(f: Array, count: int) -> Array:
    """Return memory for as many results of a field, one after the other in a single tensor."""
    return torch.empty((count, *f.shape), dtype=_result_dtype(f), device=f.device)


class _Differentiate(torch.autograd.Function):  # type: ignore[misc]
    """Outputs as a function of their fields, linear: its way back is the transpose."""

    @staticmethod
    def forward(ctx: Any, outputs: Outputs, *fields: Array) -> tuple[Array, ...]:
        ctx.outputs, ctx.shape = outputs, fields[0].shape
        return _compute(_put_fields(outputs, fields))

    @staticmethod
    def backward(ctx: Any, *cotangents: Array) -> tuple[Array | None, ...]:
        needed = [i for i, is_needed in enumerate(ctx.needs_input_grad[1:]) if is_needed]
        if not all(map(_has_memory, cotangents)):
            gradients = _go_back_by_slices(ctx.outputs, ctx.shape, needed, cotangents)
            return None, *(gradients.get(i) for i in range(len(ctx.needs_input_grad) - 1))
        back: dict[int, list[Term]] = {i: [] for i in needed}
        for k, terms in enumerate(ctx.outputs):
            for sign, i, plan, *_ in terms:
                if i in back:
                    transposed = transpose_plan(plan, ctx.shape[plan.axis])
                    back[i].append(Term(sign, k, transposed))
        # Applied, not computed, so that gradients of gradients work too.
        results = _Differentiate.apply([back[i] for i in needed], *cotangents)
        gradients = dict(zip(needed, results, strict=True))
        return None, *(gradients.get(i) for i in range(len(ctx.needs_input_grad) - 1))


def _go_back_by_slices(
    outputs: Outputs, shape: tuple[int, ...], needed: Sequence[int], cotangents: Sequence[Array]
) -> dict[int, Array]:
    """Return the gradients that are needed, by number, of cotangents that stand for batches.

    PyTorch knows what becomes of batches on the way back through its own operations. The outputs
    are linear, so that the values of the fields do not matter.
    """
    like = {"dtype": cotangents[0].dtype, "device": cotangents[0].device}
    numbers = {term.field for terms in outputs for term in terms}
    with torch.enable_grad():
        fields = {i: torch.zeros(shape, **like, requires_grad=i in needed) for i in numbers}
        results = slices.evaluate(_put_fields(outputs, fields))
    found = torch.autograd.grad(
        results, [fields[i] for i in needed], cotangents, create_graph=torch.is_grad_enabled()
    )
    return dict(zip(needed, found, strict=True))


def _put_fields(outputs: Outputs, fields: Sequence[Array] | dict[int, Array]) -> Outputs:
    """Return outputs with fields where their terms have numbers."""
    return change_terms(outputs, lambda term: term._replace(field=fields[term.field]))


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


def _has_memory(f: Array) -> bool:
    """Tell whether a tensor has memory of its own, and no tangent beside it."""
    if torch.compiler.is_compiling():
        return False
    try:
        f.data_ptr()
    except RuntimeError:  # it stands for others, in `torch.func` for example
        return False
    return torch.autograd.forward_ad.unpack_dual(f).tangent is None
