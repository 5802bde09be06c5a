"""Outputs as a function of tensors that PyTorch differentiates: the way back is the transpose.

The arithmetic, both ways, is that of an engine for tensors outside of automatic differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from gpugrad._arrays import Array, is_transformed, working_dtype
from gpugrad._engines import slices
from gpugrad._stencils import (
    Norm,
    Outputs,
    Term,
    change_terms,
    convert_fields,
    distinct_fields,
    transpose_plan,
)

Compute = Callable[[Outputs], tuple[Array, ...]]
"""What evaluates outputs of tensors outside of automatic differentiation."""


def needs_gradients(outputs: Outputs) -> bool:
    """Tell whether PyTorch is to lead gradients back to a field."""
    return torch.is_grad_enabled() and any(f.requires_grad for f in distinct_fields(outputs))


def unsupported(outputs: Outputs) -> str | None:
    """Say why gradients of these outputs have to flow through PyTorch's own operations, or None."""
    if any(map(is_transformed, distinct_fields(outputs))) or _is_in_transformation():
        return "it takes tensors with memory, outside of transformations and traces of PyTorch"
    terms = [term for terms in outputs for term in terms]
    if any(term.where is not None for term in terms):
        return "it takes fields without masks, in automatic differentiation"
    if any(not term.plan.on_host or term.plan.varies_across for term in terms):
        return (
            "it takes spacings whose values are on the host, alike on all lines, in automatic "
            "differentiation"
        )
    return None


def _is_in_transformation() -> bool:
    """Tell whether `torch.func` is at work, though on other tensors."""
    is_active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return is_active is not None and bool(is_active())


def evaluate(
    outputs: Outputs, out: Sequence[Array] | None = None, *, compute: Compute
) -> tuple[Array, ...]:
    """Evaluate each output by `compute`, so that gradients find their way back."""
    if any(isinstance(terms, Norm) for terms in outputs):
        return tuple([_evaluate_one(terms, compute) for terms in outputs])
    fields = distinct_fields(outputs)
    # Terms with numbers of fields: PyTorch would keep tensors in them alive, without its knowledge.
    number = {id(f): i for i, f in enumerate(fields)}
    numbered = change_terms(outputs, lambda term: term._replace(field=number[id(term.field)]))
    results: tuple[Array, ...] = _Differentiate.apply(numbered, compute, *fields)
    return results


def _evaluate_one(terms: Sequence[Term], compute: Compute) -> Array:
    """Evaluate an output that may be a norm, of derivatives that find their way back."""
    if not isinstance(terms, Norm):
        return evaluate([terms], compute=compute)[0]
    f = terms[0].field
    (converted,) = convert_fields([terms], lambda g: g.to(working_dtype(torch, g)))
    derivatives = evaluate([[term] for term in converted], compute=compute)
    return slices.combine(f, derivatives, None)


class _Differentiate(torch.autograd.Function):  # type: ignore[misc]
    """Outputs as a function of their fields, linear but for constants."""

    @staticmethod
    def forward(ctx: Any, outputs: Outputs, compute: Compute, *fields: Array) -> tuple[Array, ...]:
        ctx.outputs, ctx.compute, ctx.shape = outputs, compute, fields[0].shape
        ctx.set_materialize_grads(False)
        return compute(_put_fields(outputs, [f.detach() for f in fields]))

    @staticmethod
    def backward(ctx: Any, *cotangents: Array | None) -> tuple[Array | None, ...]:
        needed = [i for i, is_needed in enumerate(ctx.needs_input_grad[2:]) if is_needed]
        # Of results that nobody has used there is nothing to lead back.
        used = [k for k, cotangent in enumerate(cotangents) if cotangent is not None]
        outputs = [ctx.outputs[k] for k in used]
        given = [x.resolve_conj().resolve_neg() for x in cotangents if x is not None]
        if any(map(is_transformed, given)) or _is_in_transformation():
            gradients = _go_back_by_slices(outputs, ctx.shape, needed, given)
        else:
            gradients = _go_back(outputs, ctx.shape, needed, given, ctx.compute)
        return None, None, *(gradients.get(i) for i in range(len(ctx.needs_input_grad) - 2))


def _go_back(
    outputs: Outputs,
    shape: tuple[int, ...],
    needed: Sequence[int],
    cotangents: Sequence[Array],
    compute: Compute,
) -> dict[int, Array]:
    """Return the gradients that are needed, by number of their fields, by transposed plans."""
    back: dict[int, list[Term]] = {i: [] for i in needed}
    for cotangent, terms in zip(cotangents, outputs, strict=True):
        for sign, i, plan, *_ in terms:
            if i in back:
                transposed = transpose_plan(plan, shape[plan.axis])
                back[i].append(Term(sign, cotangent, transposed))
    reached = [i for i in needed if back[i]]
    if not reached:
        return {}
    # A sum that starts with an added term needs no pass that changes signs.
    sums = [tuple(sorted(back[i], key=lambda term: -term.sign)) for i in reached]
    # Evaluated in the same way, so that gradients of gradients work too.
    return dict(zip(reached, evaluate(sums, compute=compute), strict=True))


def _go_back_by_slices(
    outputs: Outputs, shape: tuple[int, ...], needed: Sequence[int], cotangents: Sequence[Array]
) -> dict[int, Array]:
    """Return the gradients that are needed, by number, of cotangents that stand for batches.

    PyTorch knows what becomes of batches on the way back through its own operations. The outputs
    are linear, so that the values of the fields do not matter.
    """
    like = {"dtype": cotangents[0].dtype, "device": cotangents[0].device}
    numbers = {term.field for terms in outputs for term in terms}
    reached = [i for i in needed if i in numbers]
    with torch.enable_grad():
        fields = {i: torch.zeros(shape, **like, requires_grad=i in reached) for i in numbers}
        results = slices.evaluate(_put_fields(outputs, fields))
    found = torch.autograd.grad(
        results, [fields[i] for i in reached], cotangents, create_graph=torch.is_grad_enabled()
    )
    return dict(zip(reached, found, strict=True))


def _put_fields(outputs: Outputs, fields: Sequence[Array] | dict[int, Array]) -> Outputs:
    """Return outputs with fields where their terms have numbers."""
    return change_terms(outputs, lambda term: term._replace(field=fields[term.field]))
