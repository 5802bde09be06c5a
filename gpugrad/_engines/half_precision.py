"""Tensors in half precision on the host: another engine in single precision, some rows at a time.

Single derivatives are one compiled loop, once that pays (see `compiled.engine.takes_halves`).
The arithmetic is in single precision. To convert a whole field, and to keep whole derivatives
beside it, would take several times the memory of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    NumpyArray,
    dtype_name,
    is_differentiated,
    memory,
    namespace_of,
)
from gpugrad._engines import numpy_blocks
from gpugrad._engines.numpy_steps import BFLOAT16
from gpugrad._engines.slices import evaluate as evaluate_reference
from gpugrad._stencils import (
    AxisPlan,
    Outputs,
    Span,
    Term,
    change_terms,
    convert_fields,
    cut_plan,
    cut_plans,
    distinct_fields,
    rows_of,
)

_TOGETHER = 1 << 19
"""Samples that are computed at a time: enough for several threads, of PyTorch and of ours."""


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    f = outputs[0][0].field
    if not array_api_compat.is_torch_array(f) or dtype_name(f.dtype) not in HALF_PRECISION:
        return "it takes PyTorch's tensors in half precision"
    if f.device.type != "cpu" or any(map(is_differentiated, distinct_fields(outputs))):
        return "it takes tensors on the host outside of automatic differentiation"
    if f.numel() < _TOGETHER or not all(
        term.plan.on_host and not term.plan.varies_across for terms in outputs for term in terms
    ):
        return "it takes large tensors whose coordinates are on the host, alike on all lines"
    return None


_BITS = {"float16": np.dtype(np.float16), "bfloat16": BFLOAT16}
"""How the compiled engine knows half precision."""


def view_bits(xp: Any, f: Array) -> NumpyArray:
    """Return NumPy's view of a tensor in half precision."""
    bits: NumpyArray = f.detach().view(xp.int16).numpy()
    return bits.view(_BITS[dtype_name(f.dtype)])


def view_as_tensor(xp: Any, bits: NumpyArray, dtype: Any) -> Array:
    """Return the tensor whose bits an array has."""
    return xp.from_numpy(bits.view(np.int16)).view(dtype)


def evaluate_if_paid(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output in one compiled loop, once that pays; else as `evaluate` does."""
    from gpugrad._engines.compiled import engine

    f, xp = outputs[0][0].field, namespace_of(outputs[0][0].field)
    evaluate_singly = partial(evaluate, evaluate_singles=engine.evaluate_if_paid)
    if any(type(x) is not xp.Tensor for x in (*distinct_fields(outputs), *(out or ()))):
        return evaluate_singly(outputs, out)
    views = convert_fields(outputs, partial(view_bits, xp))
    if not engine.takes_halves(views):
        return evaluate_singly(outputs, out)
    tensors = [_make_empty(f) for _ in outputs] if out is None else out
    with np.errstate(all="ignore"):  # PyTorch doesn't warn of overflow
        engine.evaluate_if_paid(
            views,
            [view_bits(xp, target) for target in tensors],
            lambda *_: evaluate_singly(outputs, tensors),
        )
    return tuple(tensors)


def evaluate(
    outputs: Outputs,
    out: Sequence[Array] | None = None,
    *,
    evaluate_singles: Callable[..., Sequence[NumpyArray]] = numpy_blocks.evaluate,
) -> tuple[Array, ...]:
    """Evaluate each output, rows of the longest axis at a time.

    `evaluate_singles` is an engine for fields of NumPy.
    """
    f = outputs[0][0].field
    shape = tuple(f.shape)
    axis = max(range(f.ndim), key=lambda i: shape[i])
    count = min(-(-f.numel() // _TOGETHER), shape[axis] // 2)
    bounds = [shape[axis] * i // count for i in range(count + 1)]
    if out is None:
        out = [_make_empty(f) for _ in outputs]
    plans = [*{id(term.plan): term.plan for terms in outputs for term in terms}.values()]
    along = [plan for plan in plans if plan.axis == axis]
    cut = partial(cut_plan, along[0]) if len(along) == 1 else partial(cut_plans, along)
    takes_singles, singles = _takes_singles(outputs), _Singles(evaluate_singles)
    with np.errstate(all="ignore"):
        for i, piece in enumerate(cut(bounds)):
            moved = dict(zip(map(id, along), piece.plans, strict=True))
            taken = _take_rows(outputs, axis, piece.spans, moved)
            results = singles.evaluate(taken) if takes_singles else evaluate_reference(taken)
            rows = rows_of(f.ndim, axis, bounds[i], bounds[i + 1])
            own = rows_of(f.ndim, axis, piece.start, piece.stop)
            for target, result in zip(out, results, strict=True):
                target[rows] = result[own]
    return tuple(out)


def _make_empty(f: Array) -> Array:
    """Return a new tensor like a field, in memory that may have been used."""
    xp = namespace_of(f)
    if type(f) is not xp.Tensor:
        return xp.empty_like(f)  # a subclass keeps its type
    bits = f.detach().view(xp.int16).numpy()
    return xp.from_numpy(memory.empty_like(bits, bits.dtype)).view(f.dtype)


def _takes_singles(outputs: Outputs) -> bool:
    """Tell whether all is computed in single precision, by formulas that no mask changes."""
    # Of what is computed in double precision, the result is rounded but once.
    terms = [term for terms in outputs for term in terms]
    return all(term.where is None and term.plan.dtype in (None, np.float32) for term in terms)


def _take_rows(
    outputs: Outputs, axis: int, spans: Sequence[Span], moved: Mapping[int, AxisPlan]
) -> Outputs:
    """Return outputs for the rows in some spans, joined, and plans along the axis for these."""
    xp, ndim = namespace_of(outputs[0][0].field), outputs[0][0].field.ndim
    joined: dict[int, Array] = {}

    def join(x: Array) -> Array:
        if id(x) not in joined:
            parts = [x[rows_of(ndim, axis, *span)] for span in spans]
            joined[id(x)] = parts[0] if len(parts) == 1 else xp.concat(parts, axis=axis)
        return joined[id(x)]

    def take(term: Term) -> Term:
        where = None if term.where is None else join(term.where)
        plan = moved.get(id(term.plan), term.plan)
        return term._replace(field=join(term.field), plan=plan, where=where)

    return change_terms(outputs, take)


class _Singles:
    """Memory in single precision for rows of fields and of results, used again by the next rows."""

    def __init__(self, evaluate: Callable[..., Sequence[NumpyArray]]) -> None:
        self._evaluate = evaluate
        self._memory: NumpyArray | None = None

    def evaluate(self, outputs: Outputs) -> Sequence[Array]:
        """Return the outputs; they are gone once others are evaluated."""
        fields = distinct_fields(outputs)
        xp, shape = namespace_of(fields[0]), tuple(fields[0].shape)
        count, size = len(outputs) + len(fields), fields[0].numel()
        if self._memory is None or self._memory.size < count * size:
            self._memory = memory.empty((count * size,), np.dtype(np.float32))
        views = self._memory[: count * size].reshape(count, *shape)
        targets, singles = [*views[: len(outputs)]], views[len(outputs) :]
        for single, f in zip(singles, fields, strict=True):
            xp.from_numpy(single).copy_(f.detach())
        own = {id(f): single for f, single in zip(fields, singles, strict=True)}
        self._evaluate(convert_fields(outputs, lambda f: own[id(f)]), targets)
        return [xp.from_numpy(target) for target in targets]
