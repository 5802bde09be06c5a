"""Calls on tensors in host memory that are ready: those of NumPy's views of their memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch

from gpugrad._arrays import Array, NumpyArray, is_transformed
from gpugrad._engines import numpy_blocks, ready
from gpugrad._engines.half_precision import view_as_tensor, view_bits
from gpugrad._engines.torch import autograd
from gpugrad._stencils import Outputs, convert_fields, distinct_fields

_CLASSES = (torch.Tensor, torch.nn.Parameter)
_NAMES = "float32 float64 complex64 complex128 int8 int16 int32 int64 uint8"
_HALVES = frozenset((torch.float16, torch.bfloat16))
_DTYPES = _HALVES | frozenset(getattr(torch, name) for name in _NAMES.split())

_SINGLE_BYTES = 4
"""Bytes of a sample in single precision, in which half precision is computed."""


def describe_field(f: Array) -> Hashable:
    """Return what a ready call depends on, of a tensor; None for one that has none."""
    if type(f) not in _CLASSES or is_transformed(f) or not f.is_cpu:
        return None
    # Larger ones in half precision are computed in parts, until they are compiled.
    most = ready.MOST_BYTES if f.dtype in _HALVES else ready.MOST_BYTES_ON_THREADS
    if f.numel() * max(f.itemsize, _SINGLE_BYTES) > most:
        return None
    if f.layout is not torch.strided or f.is_conj() or f.is_neg() or f.dtype not in _DTYPES:
        return None
    if autograd.is_in_transformation():
        return None
    return f.shape, f.dtype, f.requires_grad and torch.is_grad_enabled()


def prepare(outputs: Outputs) -> Callable[..., tuple[Array, ...]] | None:
    """Return a function of tensors like the fields of outputs, or None: see `programs`."""
    dtype = outputs[0][0].field.dtype
    if dtype in _HALVES:
        return _prepare_half(outputs, dtype)
    if numpy_blocks.unsupported(convert_fields(outputs, _view)) is not None:
        return None
    fields = distinct_fields(outputs)
    if not fields[0].numel():
        return None
    numbered = autograd.number_fields(outputs, fields)
    # It stands for any field, and holds a single number: what is ready keeps no tensor alive.
    template = np.broadcast_to(np.zeros((), _view(fields[0]).dtype), tuple(fields[0].shape))
    if not autograd.needs_gradients(outputs):
        run = _prepare(numbered, template)
        return lambda *tensors: tuple(run(tensors))
    if autograd.unsupported(outputs) is not None or autograd.has_norms(outputs):
        return None
    shape = tuple(fields[0].shape)
    return autograd.DifferentiableCall(
        numbered, shape, lambda numbered: _prepare(numbered, template)
    )


def prepare_for_spacings(outputs: Outputs) -> None:
    """Return nothing: plans are made anew for each spacing."""


def _prepare_half(outputs: Outputs, dtype: torch.dtype) -> Callable[..., tuple[Array, ...]] | None:
    """Return a function of tensors in half precision, which is computed in single precision."""
    terms = [term for terms in outputs for term in terms]
    # Of what is computed in double precision, the result is rounded but once.
    if autograd.needs_gradients(outputs) or any(
        term.plan.dtype not in (None, np.float32) for term in terms
    ):
        return None
    evaluate = prepare(convert_fields(outputs, torch.Tensor.float))
    if evaluate is None:
        return None
    fields = distinct_fields(outputs)
    numbered = autograd.number_fields(outputs, fields)
    like = np.broadcast_to(np.zeros((), view_bits(torch, fields[0]).dtype), tuple(fields[0].shape))

    def evaluate_singly(fields: Sequence[NumpyArray], _: Any) -> list[NumpyArray]:
        results = evaluate(*[view_as_tensor(torch, f, dtype).float() for f in fields])
        return [view_bits(torch, x.to(dtype)) for x in results]

    call = ready.ReadyForHalves(evaluate_singly, None, lambda: numbered, like)

    def run(*tensors: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):  # PyTorch doesn't warn of overflow
            results = call([view_bits(torch, f) for f in tensors])
        return tuple([view_as_tensor(torch, x, dtype) for x in results])

    return run


def _prepare(numbered: Outputs, like: NumpyArray) -> autograd.Run:
    """Return what evaluates outputs of tensors of a shape and dtype."""
    evaluate = ready.make_ready(numbered, like)

    def run(tensors: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):  # PyTorch doesn't warn of overflow
            return [torch.from_numpy(x) for x in evaluate([_view(f) for f in tensors])]

    return run


def _view(f: Array) -> NumpyArray:
    view: NumpyArray = f.detach().numpy()
    return view
