"""Dask arrays: lazily, one task a block for all outputs, in the chunks of the field.

The task hands its block to the engine that suits it, and brings in the rows at its faces, whose
samples lie in part in other blocks, by slices. So no block is copied. From a neighbour it takes
thin faces, which one task for each block cuts off, or the block itself where that is as short.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from operator import getitem
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import Array, namespace_of, result_dtype, working_dtype
from gpugrad._engines import slices
from gpugrad._engines.chunk_rows import ChunkPlan, Patch, cut_plan
from gpugrad._plan import AxisPlan, Term, add_up

Outputs = Sequence[Sequence[Term]]
Evaluate = Callable[[Outputs], Sequence[Array]]

unsupported = slices.unsupported


class Source(NamedTuple):
    """Where a task finds samples: in a field, in the block of another chunk along an axis."""

    field: int
    axis: int
    chunk: int


class Derivative(NamedTuple):
    """A field differentiated along an axis: a single term, as it stands in one or more outputs.

    In a sum it is kept in the precision in which samples are subtracted.
    """

    field: int
    plan: AxisPlan
    in_sum: bool


Sums = tuple[tuple[tuple[int, int], ...], ...]
"""For each output its terms, each a sign and the number of a derivative."""


# Dask looks for keys in tuples, named ones too, but leaves these alone.
@dataclass(frozen=True, repr=False)
class Faces:
    """What other blocks need of a block: an axis and a stretch of rows along it, for each."""

    stretches: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, repr=False)
class Job:
    """What the task of a block has to do; `plans` has the chunk's part of each derivative."""

    evaluate: Evaluate
    derivatives: tuple[Derivative, ...]
    plans: tuple[ChunkPlan, ...]
    sums: Sums
    sources: tuple[Source, ...]


def evaluate(
    outputs: Outputs, out: None = None, evaluate_block: Evaluate = slices.evaluate
) -> tuple[Array, ...]:
    """Evaluate each output lazily; nothing is computed.

    `evaluate_block` is called in the tasks, for outputs on arrays that blocks consist of.
    Spacings that are lazy themselves go through the slicing scheme instead, block for block.
    """
    in_blocks = [terms for terms in outputs if _has_weights(terms)]
    results = iter(_evaluate_in_blocks(in_blocks, evaluate_block) if in_blocks else ())
    return tuple(next(results) if _has_weights(t) else _evaluate_by_slices(t) for t in outputs)


def _has_weights(terms: Sequence[Term]) -> bool:
    return all(term.plan.on_host for term in terms)


def _evaluate_by_slices(terms: Sequence[Term]) -> Array:
    # Shifted slices cut chunks into slivers: put them back together.
    (result,) = slices.evaluate([terms])
    return result.rechunk(terms[0].field.chunks)


def _evaluate_in_blocks(outputs: Outputs, evaluate_block: Evaluate) -> list[Array]:
    import dask.array as da
    from dask.array.utils import meta_from_array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    number = {
        key: i for i, key in enumerate({id(term.field): 0 for terms in outputs for term in terms})
    }
    fields = _unify([*{id(term.field): term.field for terms in outputs for term in terms}.values()])
    derivatives, sums = _list_derivatives(outputs, number)
    token = tokenize(
        [f.name for f in fields],
        [(d.field, *d.plan._replace(memo={}), d.in_sum) for d in derivatives],
        sums,
        evaluate_block,
    )
    name = f"gpugrad-{token}"
    layer = _make_layer(name, fields, derivatives, sums, evaluate_block)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=fields)
    metas = []
    for terms in outputs:
        f = fields[number[id(terms[0].field)]]
        metas.append(meta_from_array(f._meta, f.ndim, dtype=result_dtype(namespace_of(f), f)))
    blocks = da.Array(graph, name, fields[0].chunks, meta=metas[0])
    if len(outputs) == 1:
        return [blocks]
    # Picking an output is something that Dask knows how to join to what is done with it next.
    axes = tuple(range(blocks.ndim))
    return [
        da.blockwise(
            getitem, axes, blocks, axes, i, None,
            name=f"gpugrad-output-{tokenize(name, i)}", dtype=meta.dtype, meta=meta,
            align_arrays=False,
        )
        for i, meta in enumerate(metas)
    ]  # fmt: skip


def _unify(fields: list[Array]) -> list[Array]:
    """Return fields with common chunks, cut finer where they have to be, as in Dask's sums."""
    if all(f.chunks == fields[0].chunks for f in fields):
        return fields
    from dask.array.core import unify_chunks

    axes = tuple(range(fields[0].ndim))
    _, unified = unify_chunks(*(argument for f in fields for argument in (f, axes)))
    return [*unified]


def _list_derivatives(
    outputs: Outputs, number: dict[int, int]
) -> tuple[tuple[Derivative, ...], Sums]:
    """Return the derivatives in these outputs, each once, and the sums they are added up in."""
    derivatives: dict[tuple[int, int, bool], tuple[int, Derivative]] = {}
    sums = []
    for terms in outputs:
        in_sum = len(terms) > 1 or terms[0].sign == -1
        signed = []
        for sign, f, plan in terms:
            made = Derivative(number[id(f)], plan, in_sum)
            key = (made.field, id(plan), in_sum)
            signed.append((sign, derivatives.setdefault(key, (len(derivatives), made))[0]))
        sums.append(tuple(signed))
    return tuple([made for _, made in derivatives.values()]), tuple(sums)


def _make_layer(
    name: str,
    fields: list[Array],
    derivatives: tuple[Derivative, ...],
    sums: Sums,
    evaluate_block: Evaluate,
) -> dict[Any, Any]:
    """Return the tasks: for each block one that computes it and, if need be, one for its faces."""
    chunks = fields[0].chunks
    plans = [cut_plan(d.plan, chunks[d.plan.axis]) for d in derivatives]
    wanted: defaultdict[Source, set[tuple[int, int]]] = defaultdict(set)
    for derivative, cut in zip(derivatives, plans, strict=True):
        for i, plan in enumerate(cut):
            for source, start, stop in _find_samples(derivative, plan, i):
                wanted[source].add((start, stop))
    faces = {
        source: sorted(rows)
        for source, rows in wanted.items()
        if 2 * sum(stop - start for start, stop in rows) < chunks[source.axis][source.chunk]
    }
    layer: dict[Any, Any] = {}
    for index in product(*(range(len(lengths)) for lengths in chunks)):
        for i, f in enumerate(fields):
            stretches = tuple([
                (axis, *rows)
                for axis, chunk in enumerate(index)
                for rows in faces.get(Source(i, axis, chunk), ())
            ])  # fmt: skip
            if stretches:
                layer[f"{name}-faces-{i}", *index] = cut_faces, Faces(stretches), (f.name, *index)
        here = tuple([cut[index[d.plan.axis]] for d, cut in zip(derivatives, plans, strict=True)])
        sources: dict[Source, Any] = {}
        for derivative, plan in zip(derivatives, here, strict=True):
            axis = derivative.plan.axis
            for source, _, _ in _find_samples(derivative, plan, index[axis]):
                key = f"{name}-faces-{source.field}" if source in faces else fields[source.field].name
                sources[source] = (key, *index[:axis], source.chunk, *index[axis + 1 :])
        layer[name, *index] = (
            compute_block,
            Job(evaluate_block, derivatives, here, sums, tuple(sources)),
            [(f.name, *index) for f in fields],
            [*sources.values()],
        )
    return layer


def _find_samples(
    derivative: Derivative, plan: ChunkPlan, chunk: int
) -> Iterator[tuple[Source, int, int]]:
    """Yield what a chunk needs of others."""
    for patch in plan.patches:
        for other, start, stop in patch.samples:
            if other != chunk:
                yield Source(derivative.field, derivative.plan.axis, other), start, stop


def cut_faces(faces: Faces, block: Array) -> dict[tuple[int, int, int], Array]:
    """Return copies of the rows that other blocks need, which keep no block in memory."""
    parts = {
        (axis, start, stop): block[slices.rows_of(block.ndim, axis, start, stop)]
        for axis, start, stop in faces.stretches
    }
    return {key: part.copy() if hasattr(part, "copy") else part for key, part in parts.items()}


def compute_block(job: Job, blocks: list[Array], others: list[Any]) -> Any:
    """Return the outputs of a block as a tuple, or the array itself if there is a single one."""
    xp = namespace_of(blocks[0])
    sources = dict(zip(job.sources, others, strict=True))
    rounded = [_convert_half_precision(block) if job.has_sums else block for block in blocks]
    fields = [(rounded if d.in_sum else blocks)[d.field] for d in job.derivatives]
    if all(blocks[0].shape):
        whole = [
            (Term(1, f, plan.core),)
            for f, plan in zip(fields, job.plans, strict=True)
            if plan.core is not None
        ]
        cores = iter(job.evaluate(whole) if whole else ())
        derivatives = [
            _patch(derivative, plan, f, None if plan.core is None else next(cores), sources)
            for derivative, plan, f in zip(job.derivatives, job.plans, fields, strict=True)
        ]
    else:
        derivatives = [slices.cast(xp, f, result_dtype(xp, f)) for f in fields]
    results = []
    for terms in job.sums:
        (sign, i), *others = terms
        if not others and sign == 1:
            results.append(derivatives[i])
            continue
        # Each term is rounded to the working precision, their sum once more to the result's.
        f = blocks[job.derivatives[i].field]
        parts = [slices.cast(xp, derivatives[i], working_dtype(xp, f)) for _, i in terms]
        total = add_up(parts, [sign for sign, _ in terms])
        results.append(slices.cast(xp, total, result_dtype(xp, f)))
    return tuple(results) if len(results) > 1 else results[0]


def _convert_half_precision(block: Array) -> Array:
    """Return a block such that its derivatives keep the precision they are computed in."""
    xp = namespace_of(block)
    working = working_dtype(xp, block)
    return block if result_dtype(xp, block) == working else 
