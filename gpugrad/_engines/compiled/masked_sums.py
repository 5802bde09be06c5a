"""Masked fields with more formulas than kernels take: sums are made one by one, some are mended.

Beside masked samples each term of a sum chooses among several formulas for each sample, and has
others to choose from in every row near the ends of its axis. One kernel for each set of choices
would take minutes to compile. So each derivative has kernels of its own, and one more pass adds up
what they make: slab by slab, so that no more than a slab lies in memory twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._stencils import (
    IDENTITY,
    Outputs,
    Piece,
    Term,
    change_terms,
    cut_plan,
    is_single,
    rows_of,
)

SLAB_BYTES = 1 << 23
"""Bytes of a field in a slab: what is made of it is still in a cache when it is added up."""


QUICK_SAMPLES = 80
"""Samples that all formulas of a masked term read, up to which a kernel has them all.

With more, compiling takes many times longer than it saves. Such a term is evaluated as if nothing
were masked, and what reads a hole is mended.
"""


def forget_masks(outputs: Outputs) -> Outputs:
    """Return outputs with those terms unmasked that are to be mended; the same if there are none.

    These are derivatives alone: sums are made of some.
    """
    if not any(map(_is_mended, outputs)):
        return outputs
    return [[_unmask(terms[0])] if _is_mended(terms) else terms for terms in outputs]


def _is_mended(terms: Sequence[Term]) -> bool:
    """Tell whether an output is one masked derivative with more formulas than a kernel takes."""
    if not is_single(terms) or terms[0].where is None:
        return False
    return sum(len(p.interior.offsets) for p in terms[0].plan.ranked) > QUICK_SAMPLES


def _unmask(term: Term) -> Term:
    memo = term.plan.memo
    if "unmasked" not in memo:  # what engines derive from it is found again
        memo["unmasked"] = term.plan._replace(alternatives=(), memo={})
    return term._replace(plan=memo["unmasked"], where=None)


def is_masked_sum(terms: Sequence[Term]) -> bool:
    """Tell whether an output is one that this module is for."""
    return len(terms) > 1 and any(term.where is not None for term in terms)


def evaluate_sums(
    outputs: Outputs,
    out: Sequence[NumpyArray],
    evaluate: Callable[[Outputs, Sequence[NumpyArray] | None], Sequence[NumpyArray]],
) -> None:
    """Evaluate sums, or norms, into `out` by an engine for single derivatives and plain sums."""
    f = outputs[0][0].field
    slowest = max(range(f.ndim), key=lambda axis: abs(f.strides[axis]))
    n = f.shape[slowest]
    rows = max(1, SLAB_BYTES * n // f.nbytes)
    bounds = (*range(0, n, rows), n)
    terms = {_name(term): term._replace(sign=1) for output in outputs for term in output}
    along = {name: term for name, term in terms.items() if term.plan.axis == slowest}
    pieces = {name: cut_plan(term.plan, bounds) for name, term in along.items()}
    for slab, (start, stop) in enumerate(pairwise(bounds)):
        here = rows_of(f.ndim, slowest, start, stop)
        across = {name: _take(term, here) for name, term in terms.items() if name not in along}
        derivatives = evaluate([[term] for term in across.values()], None) if across else ()
        slopes = dict(zip(across, derivatives, strict=True))
        for name, term in along.items():
            piece = pieces[name][slab]
            (joined,) = evaluate([[_join(term, piece)]], None)
            slopes[name] = joined[rows_of(f.ndim, slowest, piece.start, piece.stop)]

        def take_slope(term: Term, slopes: dict[Any, NumpyArray] = slopes) -> Term:
            return Term(term.sign, slopes[_name(term)], IDENTITY)

        with np.errstate(all="ignore"):  # as of all masked fields
            evaluate(change_terms(outputs, take_slope), [target[here] for target in out])


def _name(term: Term) -> tuple[int, int, int]:
    return id(term.field), id(term.plan), id(term.where)


def _take(term: Term, here: tuple[slice, ...]) -> Term:
    where = None if term.where is None else term.where[here]
    return term._replace(field=term.field[here], where=where)


def _join(term: Term, piece: Piece) -> Term:
    """Return a term for the rows that a piece needs, as a view wherever they lie together."""
    axis = term.plan.axis

    def join(array: Any) -> Any:
        views = [array[rows_of(array.ndim, axis, *span)] for span in piece.spans]
        return views[0] if len(views) == 1 else np.concatenate(views, axis=axis)

    where = None if term.where is None else join(term.where)
    return term._replace(field=join(term.field), plan=piece.plans[0], where=where)
