"""Dask arrays: lazily, one task a block for all outputs, in the chunks of the field.

The task hands its block to the engine that suits it, and brings in the rows at its faces, whose
samples lie in part in other blocks, by slices. So no block is copied. From a neighbour it takes
thin faces, which one task for each block cuts off, or the block itself where that is as short.
Beside holes, and where lines differ, any row may need any of its neighbours: there a block is
joined with the faces, and evaluated with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product
from operator import getitem, itemgetter
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad import _threads
from gpugrad._arrays import Array, namespace_of, result_dtype, working_dtype
from gpugrad._engines import slices
from gpugrad._engines.chunk_rows import ChunkPlan, cut_plan
from gpugrad._engines.chunk_windows import ChunkWindow, cut_windows, take_lines
from gpugrad._engines.windows import ways_of
from gpugrad._plan import (
    AxisPlan,
    Norm,
    Term,
    distinct_fields,
    distinct_masks,
    is_single,
    rows_of,
)

Outputs = Sequence[Sequence[Term]]
Evaluate = Callable[[Outputs], Sequence[Array]]

unsupported = slices.unsupported


class Source(NamedTuple):
    """Where a task finds samples: in a field, in the block of another chunk along an axis."""

    field: int
    axis: int
    chunk: int


class Derivative(NamedTuple):
    """A field differentiated along an axis, as it stands in one output or several.

    `spacing` is the dtype that the spacing brings. What is for a sum is kept in the precision in
    which samples are subtracted. The number of a mask is one among the fields.
    """

    field: int
    axis: int
    spacing: np.dtype[Any] | None
    for_sum: bool
    mask: int | None = None


Sums = tuple[tuple[tuple[int, ...], tuple[int, ...] | None], ...]
"""For each output the numbers of its derivatives, and their signs: None stands for a norm."""


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
    plans: tuple[ChunkPlan | ChunkWindow, ...]
    sums: Sums
    sources: tuple[Source, ...]


def evaluate(
    outputs: Outputs, out: None = None, evaluate_block: Evaluate = slices.evaluate
) -> tuple[Array, ...]:
    """Evaluate each output lazily; nothing is computed.

    `evaluate_block` is called in the tasks, for outputs on arrays that blocks consist of.
    Spacings that are lazy themselves go through the slicing scheme instead, on whole arrays.
    """
    in_blocks = [terms for terms in outputs if _fits_blocks(terms)]
    results = iter(_evaluate_in_blocks(in_blocks, evaluate_block) if in_blocks else ())
    return tuple(next(results) if _fits_blocks(t) else _evaluate_by_slices(t) for t in outputs)


def _fits_blocks(terms: Sequence[Term]) -> bool:
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

    given = {id(f): f for f in distinct_fields(outputs)}
    like = outputs[0][0].field.chunks
    given |= {id(where): where.rechunk(like) for where in distinct_masks(outputs)}
    number = {key: i for i, key in enumerate(given)}
    fields = _unify([*given.values()])
    derivatives, plans, sums = _list_derivatives(outputs, number)
    weights = [(p.lower, p.interior, p.upper) for plan in plans for p in ways_of(plan)]
    token = tokenize([f.name for f in fields], derivatives, weights, sums, evaluate_block)
    name = f"gpugrad-{token}"
    layer = _make_layer(name, fields, derivatives, plans, sums, evaluate_block)
    graph = HighLevelGraph.from_collections(name, layer, dependencies=fields)
    metas = []
    for terms in outputs:
        f = fields[number[id(terms[0].field)]]
        is_norm = isinstance(terms, Norm)
        like = f._meta.real if is_norm else f._meta
        dtype = result_dtype(namespace_of(f), f, is_norm)
        metas.append(meta_from_array(like, f.ndim, dtype=dtype))
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
) -> tuple[tuple[Derivative, ...], list[AxisPlan], Sums]:
    """Return the derivatives in these outputs, each once, their plans, and how they add up."""
    found: dict[tuple[Derivative, int], int] = {}
    plans: list[AxisPlan] = []
    sums = []
    for terms in outputs:
        for_sum = not is_single(terms)
        numbers = []
        for _, f, plan, where in terms:
            mask = None if where is None else number[id(where)]
            derivative = Derivative(number[id(f)], plan.axis, plan.dtype, for_sum, mask)
            key = derivative, id(plan)
            if key not in found:
                found[key] = len(plans)
                plans.append(plan)
            numbers.append(found[key])
        signs = None if isinstance(terms, Norm) else tuple([term.sign for term in terms])
        sums.append((tuple(numbers), signs))
    return tuple([derivative for derivative, _ in found]), plans, tuple(sums)


def _make_layer(
    name: str,
    fields: list[Array],
    derivatives: tuple[Derivative, ...],
    plans: list[AxisPlan],
    sums: Sums,
    evaluate_block: Evaluate,
) -> dict[Any, Any]:
    """Return the tasks: for each block one that computes it and, if need be, one for its faces."""
    chunks = fields[0].chunks
    places = [[slice(*pair) for pair in pairwise((0, *accumulate(own)))] for own in chunks]
    cut = [_cut(*pair, chunks) for pair in zip(derivatives, plans, strict=True)]
    wanted: defaultdict[Source, set[tuple[int, int]]] = defaultdict(set)
    for derivative, parts in zip(derivatives, cut, strict=True):
        for i, part in enumerate(parts):
            for source, start, stop in _find_samples(derivative, part, i):
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
        place = [own[i] for own, i in zip(places, index, strict=True)]
        here = tuple([
            _take_lines(parts[index[d.axis]], place)
            for d, parts in zip(derivatives, cut, strict=True)
        ])  # fmt: skip
        sources: dict[Source, Any] = {}
        for derivative, part in zip(derivatives, here, strict=True):
            for source, _, _ in _find_samples(derivative, part, index[derivative.axis]):
                i, axis, chunk = source
                key = f"{name}-faces-{i}" if source in faces else fields[i].name
                sources[source] = (key, *index[:axis], chunk, *index[axis + 1 :])
        layer[name, *index] = (
            compute_block,
            Job(evaluate_block, derivatives, here, sums, tuple(sources)),
            [(f.name, *index) for f in fields],
            [*sources.values()],
        )
    return layer


def _cut(
    derivative: Derivative, plan: AxisPlan, chunks: Sequence[Sequence[int]]
) -> Sequence[ChunkPlan | ChunkWindow]:
    cut = cut_plan if derivative.mask is None and not plan.varies_across else cut_windows
    # Engines remember by plan, so plans that come again should be cut into the same parts.
    known = plan.memo.get("chunks")
    if known is None or known[:2] != (cut, chunks[plan.axis]):
        known = plan.memo["chunks"] = cut, chunks[plan.axis], cut(plan, chunks[plan.axis])
    parts: Sequence[ChunkPlan | ChunkWindow] = known[2]
    return parts


def _take_lines(part: ChunkPlan | ChunkWindow, place: Sequence[slice]) -> ChunkPlan | ChunkWindow:
    if isinstance(part, ChunkPlan) or not part.plan.varies_across:
        return part
    return part._replace(plan=take_lines(part.plan, place))


def _find_samples(
    derivative: Derivative, plan: ChunkPlan | ChunkWindow, chunk: int
) -> Iterator[tuple[Source, int, int]]:
    """Yield what a chunk needs of others."""
    fields = [i for i in (derivative.field, derivative.mask) if i is not None]
    for one in [plan] if isinstance(plan, ChunkWindow) else plan.patches:
        for other, start, stop in one.samples:
            if other != chunk:
                for field in fields:
                    yield Source(field, derivative.axis, other), start, stop


def cut_faces(faces: Faces, block: Array) -> dict[tuple[int, int, int], Array]:
    """Return copies of the rows that other blocks need, which keep no block in memory."""
    parts = {
        (axis, start, stop): block[rows_of(block.ndim, axis, start, stop)]
        for axis, start, stop in faces.stretches
    }
    return {key: part.copy() if hasattr(part, "copy") else part for key, part in parts.items()}


def compute_block(job: Job, blocks: list[Array], others: list[Any]) -> Any:
    """Return the outputs of a block as a tuple, or the array itself if there is a single one."""
    sources = dict(zip(job.sources, others, strict=True))
    token = _threads.leave_cores()  # a scheduler runs as many tasks at once as there are cores
    try:
        results = tuple(_add_up_terms(job, blocks, _differentiate(job, blocks, sources)))
    finally:
        _threads.restore(token)
    return results if len(results) > 1 else results[0]


def _differentiate(job: Job, blocks: list[Array], sources: dict[Source, Any]) -> list[Array]:
    """Return all derivatives of a block, those for sums in the working precision."""
    exact = {
        d.field: _convert_half_precision(blocks[d.field]) for d in job.derivatives if d.for_sum
    }
    fields = [exact[d.field] if d.for_sum else blocks[d.field] for d in job.derivatives]
    if not all(blocks[0].shape):
        return [slices.cast(xp, f, result_dtype(xp, f)) for f in fields for xp in [namespace_of(f)]]
    parts = list(zip(job.derivatives, job.plans, fields, strict=True))
    whole = [
        [Term(1, f, plan.core)]
        for _, plan, f in parts
        if isinstance(plan, ChunkPlan) and plan.core is not None
    ]
    cores = iter(job.evaluate(whole) if whole else ())
    results = []
    for derivative, plan, f in parts:
        if isinstance(plan, ChunkWindow):
            results.append(_evaluate_window(job, blocks, derivative, plan, sources))
        else:
            core = None if plan.core is None else next(cores)
            results.append(_patch(core, f, derivative, plan, sources))
    return results


def _evaluate_window(
    job: Job,
    blocks: list[Array],
    derivative: Derivative,
    window: ChunkWindow,
    sources: dict[Source, Any],
) -> Array:
    """Return a derivative of a block: evaluated with the rows of others, which are cut off."""
    field, axis, _, for_sum, mask = derivative

    def join(number: int) -> Array:
        block = blocks[number]
        parts = [
            _fetch(sources, Source(number, axis, chunk), block, start, stop)
            for chunk, start, stop in window.samples
        ]
        return parts[0] if len(parts) == 1 else namespace_of(block).concat(parts, axis=axis)

    f = join(field)
    where = None if mask is None else join(mask)
    if isinstance(where, np.ndarray) and where.all():
        where = None  # the plan itself then gives the same bits, and sooner
    f = _convert_half_precision(f) if for_sum else f
    (result,) = job.evaluate([[Term(1, f, window.plan, where)]])
    return result[rows_of(f.ndim, axis, window.start, window.stop)]


def _fetch(sources: dict[Source, Any], source: Source, block: Array, start: int, stop: int) -> Any:
    """Return rows of another block, or of this one where the source is none of the others."""
    found: Any = sources.get(source, block)
    if isinstance(found, dict):
        return found[source.axis, start, stop]
    return found[rows_of(block.ndim, source.axis, start, stop)]


def _convert_half_precision(block: Array) -> Array:
    xp = namespace_of(block)
    working = working_dtype(xp, block)
    return block if working == result_dtype(xp, block) else slices.cast(xp, block, working)


def _patch(
    core: Array | None,
    f: Array,
    derivative: Derivative,
    plan: ChunkPlan,
    sources: dict[Source, Any],
) -> Array:
    """Return a derivative of a block: what its engine made of it, the other rows put right."""
    axis, spacing = derivative.axis, derivative.spacing
    xp = namespace_of(f)
    dtype = result_dtype(xp, f)

    rows = []
    for start, stop, formula, samples in plan.patches:
        read = [
            _fetch(sources, Source(derivative.field, axis, chunk), f, first, last)
            for chunk, first, last in samples
        ]
        made = slices.differentiate_rows(read, formula, axis, spacing, dtype)
        rows.append((start, stop, made))
    if not rows:
        return core
    if core is None and len(rows) == 1:
        return rows[0][2]
    if isinstance(f, np.ndarray) or array_api_compat.is_cupy_array(f):
        if core is None:
            core = xp.empty_like(f, dtype=dtype)
        for start, stop, made in rows:
            core[rows_of(f.ndim, axis, start, stop)] = made
        return core
    # Arrays of other libraries may be immutable.
    if core is not None:
        made = core[rows_of(f.ndim, axis, plan.start, plan.stop)]
        rows.append((plan.start, plan.stop, made))
    return xp.concat([made for _, _, made in sorted(rows, key=itemgetter(0))], axis=axis)


def _add_up_terms(job: Job, blocks: list[Array], derivatives: list[Array]) -> Iterator[Array]:
    for numbers, signs in job.sums:
        first = job.derivatives[numbers[0]]
        if not first.for_sum:
            yield derivatives[numbers[0]]
            continue
        # Each term is rounded to the working precision, what they make once more to the result's.
        f = blocks[first.field]
        xp = namespace_of(f)
        parts = [slices.cast(xp, derivatives[i], working_dtype(xp, f)) for i in numbers]
        yield slices.combine(f, parts, signs)
