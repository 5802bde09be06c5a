"""Tensors in half precision on the host: the NumPy engine in single precision, some rows at a time.

The arithmetic is in single precision. To convert a whole field, and to keep whole derivatives
beside it, would take several times the memory of the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    dtype_name,
    is_differentiated,
    namespace_of,
    result_dtype,
    threads,
)
from gpugrad._engines import numpy_blocks
from gpugrad._engines.slices import differentiate_term, evaluate_terms
from gpugrad._stencils import Norm, Outputs, Term, cut_plan, distinct_fields, rows_of

_TOGETHER = 1 << 17
"""Samples that are computed at a time: few enough for a processor's cache."""


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    f = outputs[0][0].field
    if not array_api_compat.is_torch_array(f) or dtype_name(f.dtype) not in HALF_PRECISION:
        return "it takes PyTorch's tensors in half precision"
    if f.device.type != "cpu" or any(map(is_differentiated, distinct_fields(outputs))):
        return "it takes tensors on the host outside of automatic differentiation"
    if f.numel() < 2 * _TOGETHER or not all(
        term.plan.on_host and not term.plan.varies_across for terms in outputs for term in terms
    ):
        return "it takes large tensors whose coordinates are on the host, alike on all lines"
    return None


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output, rows of the longest axis at a time."""
    f = outputs[0][0].field
    xp, shape = namespace_of(f), tuple(f.shape)
    axis = max(range(f.ndim), key=lambda i: shape[i])
    count = min(-(-f.numel() // _TOGETHER), shape[axis] // 2)
    bounds = [shape[axis] * i // count for i in range(count + 1)]
    if out is None:
        out = [
            xp.empty_like(f, dtype=result_dtype(xp, f, isinstance(terms, Norm)))
            for terms in outputs
        ]
    results = [*out]
    # PyTorch's modes are those of a thread, and NumPy's too.
    has_gradients = xp.is_grad_enabled()

    def evaluate_parts(parts: Sequence[int]) -> None:
        with np.errstate(all="ignore"), xp.set_grad_enabled(has_gradients):
            for i in parts:
                rows = rows_of(f.ndim, axis, bounds[i], bounds[i + 1])
                for target, terms in zip(results, outputs, strict=True):
                    target[rows] = _evaluate_rows(terms, axis, bounds, i)

    # A plan keeps how it is cut: once, before threads look for it.
    for terms in outputs:
        for term in terms:
            if term.plan.axis == axis:
                cut_plan(term.plan, bounds)
    threads.for_each_share(evaluate_parts, range(count), threads.count())
    return tuple(out)


def _evaluate_rows(terms: Sequence[Term], axis: int, bounds: list[int], i: int) -> Array:
    """Return an output between two bounds."""
    ndim = terms[0].field.ndim
    here = rows_of(ndim, axis, bounds[i], bounds[i + 1])

    # Terms with an axis of their own have other rows to read, so each joins its samples.
    def differentiate(xp: ModuleType, term: Term, dtype: Any) -> Array:
        if term.plan.axis != axis:
            where = None if term.where is None else term.where[here]
            return _differentiate(xp, term._replace(field=term.field[here], where=where), dtype)
        ((plan,), spans, start, stop) = cut_plan(term.plan, bounds)[i]

        def join(x: Array) -> Array:
            parts = [x[rows_of(ndim, axis, *span)] for span in spans]
            return parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)

        where = None if term.where is None else join(term.where)
        joined = term._replace(field=join(term.field), where=where, plan=plan)
        return _differentiate(xp, joined, dtype)[rows_of(ndim, axis, start, stop)]

    return evaluate_terms(differentiate, [terms], None)[0]


def _differentiate(xp: ModuleType, term: Term, dtype: Any) -> Array:
    """Return the derivative of a term, in single precision by the NumPy engine where that can."""
    # Of what is computed in double precision, the result is rounded but once.
    if term.where is not None or term.plan.dtype not in (None, np.float32):
        return differentiate_term(xp, term, dtype)
    view = term.field.detach().to(xp.float32).numpy()
    (result,) = numpy_blocks.evaluate([(term._replace(sign=1, field=view),)])
    return xp.from_numpy(result)
