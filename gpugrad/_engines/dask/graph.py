"""Dask arrays: lazily, one task a block for all outputs, in the chunks of the field.

The task (`tasks`) hands its block to the engine that suits it. From a neighbour it takes thin
faces, which one task for each block cuts off, so that no block waits in memory for the last of its
neighbours; or the block itself, where that is as short, or lies in memory anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate, product
from operator import getitem
from typing import Any

from gpugrad._arrays import Array, namespace_of, result_dtype
from gpugrad._engines import slices
from gpugrad._engines.dask.tasks import (
    BlockSource,
    BlockTask,
    BlockWindow,
    Derivative,
    Evaluate,
    EvaluateSeams,
    Faces,
    Sums,
    cut_faces,
    make_task,
)
from gpugrad._stencils import (
    AxisPlan,
    ChunkPlan,
    Norm,
    Outputs,
    Term,
    cut_at_seams,
    cut_plan,
    distinct_fields,
    distinct_masks,
    find_stretches,
    is_single,
)

unsupported = slices.unsupported


def evaluate(
    outputs: Outputs,
    out: None = None,
    evaluate_block: Evaluate = slices.evaluate,
    evaluate_seams: EvaluateSeams | None = None,
) -> tuple[Array, ...]:
    """Evaluate each output lazily; nothing is computed.

    `evaluate_block` is called in the tasks, for outputs on arrays that blocks consist of. So is
    `evaluate_seams` before, for outputs whose terms have seams: it may return None.
    Spacings that are lazy themselves go through the slicing scheme instead, on whole arrays.
    """
    in_blocks = [terms for terms in outputs if _fits_blocks(terms)]
    engine = evaluate_block, evaluate_seams
    results = iter(_evaluate_in_blocks(in_blocks, engine) if in_blocks else ())
    return tuple(next(results) if _fits_blocks(t) else _evaluate_by_slices(t) for t in outputs)


def _fits_blocks(terms: Sequence[Term]) -> bool:
    return all(term.plan.on_host for term in terms)


def _evaluate_by_slices(terms: Sequence[Term]) -> Array:
    # Shifted slices cut chunks into slivers: put them back together.
    (result,) = slices.evaluate([terms])
    return result.rechunk(terms[0].field.chunks)


def _evaluate_in_blocks(
    outputs: Outputs, engine: tuple[Evaluate, EvaluateSeams | None]
) -> list[Array]:
    import dask.array as da
    from dask.array.utils import meta_from_array
    from dask.base import tokenize
    from dask.highlevelgraph import HighLevelGraph

    collections = {id(f): f for f in distinct_fields(outputs)}
    chunks = outputs[0][0].field.chunks
    collections |= {id(where): where.rechunk(chunks) for where in distinct_masks(outputs)}
    number = {key: i for i, key in enumerate(collections)}
    fields = _unify_chunks([*collections.values()])
    derivatives, plans, sums = _list_derivatives(outputs, number)
    # The same call must give the same name, so what engines keep with a plan is left out.
    weights = [(p.lower, p.interior, p.upper) for plan in plans for p in plan.ranked]
    name = f"gpugrad-{tokenize([f.name for f in fields], derivatives, weights, sums, engine)}"
    layer = _make_layer(name, fields, derivatives, plans, sums, engine)
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


def _unify_chunks(fields: list[Array]) -> list[Array]:
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
    known: dict[tuple[Derivative, int], tuple[int, AxisPlan]] = {}
    sums = []
    for terms in outputs:
        for_sum = not is_single(terms)
        numbers = []
        for _, f, plan, where, _ in terms:
            mask = number.get(id(where))
            derivative = Derivative(number[id(f)], plan.axis, plan.dtype, for_sum, mask)
            i, _ = known.setdefault((derivative, id(plan)), (len(known), plan))
            numbers.append(i)
        signs = None if isinstance(terms, Norm) else tuple([term.sign for term in terms])
        sums.append((tuple(numbers), signs))
    plans = [plan for _, plan in known.values()]
    return tuple([derivative for derivative, _ in known]), plans, tuple(sums)


def _make_layer(
    name: str,
    fields: list[Array],
    derivatives: tuple[Derivative, ...],
    plans: list[AxisPlan],
    sums: Sums,
    engine: tuple[Evaluate, EvaluateSeams | None],
) -> dict[Any, Any]:
    """Return the tasks: for each block one that computes it and, if need be, one for its faces."""
    chunks = fields[0].chunks
    bounds = [(0, *accumulate(lengths)) for lengths in chunks]
    cuts = [
        _cut_chunks(derivative, plan, bounds[plan.axis])
        for derivative, plan in zip(derivatives, plans, strict=True)
    ]
    wanted: defaultdict[BlockSource, set[tuple[int, int]]] = defaultdict(set)
    for derivative, cut in zip(derivatives, cuts, strict=True):
        for i, plan in enumerate(cut):
            for source, start, stop in _list_sources(derivative, plan, i):
                wanted[source].add((start, stop))
    in_memory = [_is_in_memory(f) for f in fields]
    faces = {
        source: sorted(rows)
        for source, rows in wanted.items()
        if not in_memory[source.field]
        and 2 * sum(stop - start for start, stop in rows) < chunks[source.axis][source.chunk]
    }
    layer: dict[Any, Any] = {}
    for index in product(*(range(len(lengths)) for lengths in chunks)):
        for i, f in enumerate(fields):
            stretches = tuple([
                (axis, *rows)
                for axis, chunk in enumerate(index)
                for rows in faces.get(BlockSource(i, axis, chunk), ())
            ])  # fmt: skip
            if stretches:
                layer[f"{name}-faces-{i}", *index] = cut_faces, Faces(stretches), (f.name, *index)
        place = [slice(*rows[i : i + 2]) for rows, i in zip(bounds, index, strict=True)]
        block_plans = tuple([
            _cut_lines(cut[index[d.axis]], place) for d, cut in zip(derivatives, cuts, strict=True)
        ])  # fmt: skip
        sources: dict[BlockSource, Any] = {}
        for derivative, plan in zip(derivatives, block_plans, strict=True):
            for source, _, _ in _list_sources(derivative, plan, index[derivative.axis]):
                i, axis, chunk = source
                key = f"{name}-faces-{i}" if source in faces else fields[i].name
                sources[source] = (key, *index[:axis], chunk, *index[axis + 1 :])
        layer[name, *index] = make_task(
            (name, *index),
            BlockTask(*engine, derivatives, block_plans, sums, tuple(sources)),
            [(f.name, *index) for f in fields],
            [*sources.values()],
        )
    return layer


def _is_in_memory(f: Array) -> bool:
    """Tell whether a field's graph has its blocks, as `persist` and `from_array` leave them."""
    from dask.highlevelgraph import MaterializedLayer

    layer = f.dask.layers.get(f.name)
    if not isinstance(layer, MaterializedLayer):
        return False
    # Dask wraps some of what is no task; a future of a cluster lies elsewhere and has no shape.
    return all(hasattr(getattr(block, "value", block), "shape") for block in layer.values())


def _cut_chunks(
    derivative: Derivative, plan: AxisPlan, bounds: Sequence[int]
) -> Sequence[ChunkPlan | BlockWindow]:
    """Return what there is to do for each chunk of an axis, which lie between `bounds`."""
    if derivative.mask is None and not plan.varies_across:
        return cut_at_seams(plan, bounds)
    return [
        BlockWindow(
            piece.plans[0], piece.start, piece.stop, tuple(find_stretches(piece.spans, bounds))
        )
        for piece in cut_plan(plan, bounds)
    ]


def _cut_lines(plan: ChunkPlan | BlockWindow, place: Sequence[slice]) -> ChunkPlan | BlockWindow:
    """Return the same for the lines of a block, where weights differ from line to line."""
    if isinstance(plan, ChunkPlan) or not plan.plan.varies_across:
        return plan
    axis, box = plan.plan.axis, [*place]
    box[axis] = slice(None)  # there the plan is cut already
    return plan._replace(plan=plan.plan.change_formulas(lambda formula: formula.cut(box, axis)))


def _list_sources(
    derivative: Derivative, plan: ChunkPlan | BlockWindow, chunk: int
) -> Iterator[tuple[BlockSource, int, int]]:
    """Yield what a chunk needs of others."""
    fields = [i for i in (derivative.field, derivative.mask) if i is not None]
    for reader in [plan] if isinstance(plan, BlockWindow) else plan.patches:
        for other, start, stop in reader.samples:
            if other != chunk:
                for field in fields:
                    yield BlockSource(field, derivative.axis, other), start, stop
