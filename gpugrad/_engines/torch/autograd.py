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
    bind_fields,
    change_terms,
    convert_fields,
    distinct_fields,
    transpose_plan,
)

Compute = Callable[[Outputs], tuple[Array, ...]]
"""What evaluates outputs of tensors outside of automatic differentiation."""

Run = Callable[[Sequence[Array]], Sequence[Array]]
"""What evaluates outputs that are known, of such tensors: the fields, by number."""


def needs_gradients(outputs: Outputs) -> bool:
    """Tell whether PyTorch is to lead gradients back to a field."""
    return torch.is_grad_enabled() and any(f.requires_grad for f in distinct_fields(outputs))


def has_norms(outputs: Outputs) -> bool:
    """Tell whether an output is no linear function of fields."""
    return any(isinstance(terms, Norm) for terms in outputs)


def unsupported(outputs: Outputs) -> str | None:
    """Say why gradients of these outputs have to flow through PyTorch's own operations, or None."""
    if any(map(is_transformed, distinct_fields(outputs))) or is_in_transformation():
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


def is_in_transformation() -> bool:
    """Tell whether `torch.func` is at work, though on other tensors."""
    is_active = getattr(torch._C, "_are_functorch_transforms_active", None)
    return is_active is not None and bool(is_active())


def evaluate(
    outputs: Outputs, out: Sequence[Array] | None = None, *, compute: Compute
) -> tuple[Array, ...]:
    """Evaluate each output by `compute`, so that gradients find their way back."""
    if has_norms(outputs):
        return tuple([_evaluate_one(terms, compute) for terms in outputs])
    fields = distinct_fields(outputs)

    def prepare(numbered: Outputs) -> Run:
        return lambda fields: compute(bind_fields(numbered, fields))

    linear = DifferentiableCall(number_fields(outputs, fields), tuple(fields[0].shape), prepare)
    results: tuple[Array, ...] = _Differentiate.apply(linear, *fields)
    return results


def number_fields(outputs: Outputs, fields: Sequence[Array]) -> Outputs:
    """Return outputs with numbers in place of fields.

    PyTorch would keep tensors in them alive, without its knowledge.
    """
    number = {id(f): i for i, f in enumerate(fields)}
    return change_terms(outputs, lambda term: term._replace(field=number[id(term.field)]))


class DifferentiableCall:
    """Outputs as a function of their fields, linear but for constants, and the way back.

    Parameters
    ----------
    outputs : sequence of terms
        The fields of terms are numbers.
    shape : tuple of int
        The shape of fields.
    prepare : callable
        Returns what evaluates outputs with numbers.
    """

    def __init__(
        self, outputs: Outputs, shape: tuple[int, ...], prepare: Callable[[Outputs], Run]
    ) -> None:
        self.outputs, self.shape = outputs, shape
        self._prepare, self.run = prepare, prepare(outputs)
        self._transposes: dict[Any, Any] = {}

    def __call__(self, *fields: Array) -> tuple[Array, ...]:
        """Return the outputs, so that gradients find their way back."""
        if torch.is_grad_enabled():
            results: tuple[Array, ...] = _Differentiate.apply(self, *fields)
            return results
        return tuple(self.run([f.detach() for f in fields]))

    def transpose(
        self, used: tuple[int, ...], needed: tuple[int, ...]
    ) -> tuple[DifferentiableCall, tuple[int, ...]] | None:
        """Return the map from some of the outputs to some of the fields, and to which of these.

        None stands for no field.
        """
        key = used, needed
        if key not in self._transposes:
            self._transposes[key] = self._make_transpose(used, needed)
        transpose: tuple[DifferentiableCall, tuple[int, ...]] | None = self._transposes[key]
        return transpose

    def _make_transpose(
        self, used: tuple[int, ...], needed: tuple[int, ...]
    ) -> tuple[DifferentiableCall, tuple[int, ...]] | None:
        back: dict[int, list[Term]] = {i: [] for i in needed}
        for number, k in enumerate(used):
            for sign, i, plan, *_ in self.outputs[k]:
                if i in back:
                    transposed = transpose_plan(plan, self.shape[plan.axis])
                    back[i].append(Term(sign, number, transposed))
        reached = tuple([i for i in needed if back[i]])
        if not reached:
            return None
        # A sum that starts with an added term needs no pass that changes signs.
        sums = [tuple(sorted(back[i], key=lambda term: -term.sign)) for i in reached]
        return DifferentiableCall(sums, self.shape, self._prepare), reached


def _evaluate_one(terms: Sequence[Term], compute: Compute) -> Array:
    """Evaluate an output that may be a norm, of derivatives that find their way back."""
    if not isinstance(terms, Norm):
        return evaluate([terms], compute=compute)[0]
    f = terms[0].field
    (converted,) = convert_fields([terms], lambda g: g.to(working_dtype(torch, g)))
    derivatives = evaluate([[term] for term in converted], compute=compute)
    return slices.combine(f, derivatives, None)


class _Differentiate(torch.autograd.Function):  # type: ignore[misc]
    """A linear map of tensors, as PyTorch knows functions."""

    @staticmethod
    def forward(ctx: Any, linear: DifferentiableCall, *fields: Array) -> tuple[Array, ...]:
        ctx.linear = linear
        ctx.set_materialize_grads(False)
        return tuple(linear.run([f.detach() for f in fields]))

    @staticmethod
    def backward(ctx: Any, *cotangents: Array | None) -> tuple[Array | None, ...]:
        linear = ctx.linear
        needed = tuple([i for i, is_needed in enumerate(ctx.needs_input_grad[1:]) if is_needed])
        # Of results that nobody has used there is nothing to lead back.
        used = tuple([k for k, cotangent in enumerate(cotangents) if cotangent is not None])
        given = [x.resolve_conj().resolve_neg() for x in cotangents if x is not None]
        gradients: dict[int, Array] = {}
        if any(map(is_transformed, given)) or is_in_transformation():
            outputs = [linear.outputs[k] for k in used]
            gradients = _go_back_by_slices(outputs, linear.shape, needed, given)
        else:
            transpose = linear.transpose(used, needed)
            if transpose is not None:
                # Evaluated in the same way, so that gradients of gradients work too.
                back, reached = transpose
                gradients = dict(zip(reached, back(*given), strict=True))
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
    reached = [i for i in needed if i in numbers]
    with torch.enable_grad():
        fields = {i: torch.zeros(shape, **like, requires_grad=i in reached) for i in numbers}
        results = slices.evaluate(bind_fields(outputs, fields))
    found = torch.autograd.grad(
        results, [fields[i] for i in reached], cotangents, create_graph=torch.is_grad_enabled()
    )
    return dict(zip(reached, found, strict=True))
