"""What the tasks of a Dask array do: differentiate a block that borrows samples of others.

An engine that takes terms with seams reads those samples where they lie, and makes all derivatives
in one pass. For others a block is evaluated as if it were alone, and the rows that read beyond its
faces are put right by slices. Beside masked samples, and where lines differ, any row may need any
of its neighbours: there a block is joined with the faces, and evaluated with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import array_api_compat
import dask
import numpy as np

from gpugrad._arrays import Array, namespace_of, result_dtype, threads, working_dtype
from gpugrad._engines import slices
from gpugrad._stencils import (
    IDENTITY,
    AxisPlan,
    ChunkPlan,
    Norm,
    Outputs,
    Seam,
    Stretch,
    Term,
    rows_of,
)

try:
    from dask._task_spec import List, Task, TaskRef
except ImportError as error:
    raise ImportError(
        f"Dask arrays need Dask 2024.12 or later; {dask.__version__} is installed. "
        'To mend it: pip install --upgrade "dask[array]"'
    ) from error

Evaluate = Callable[[Outputs], Sequence[Array]]
EvaluateSeams = Callable[[Outputs], Sequence[Array] | None]
_Chunk = tuple["Derivative", ChunkPlan, Array]


class BlockSource(NamedTuple):
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


class BlockWindow(NamedTuple):
    """The derivative of one chunk, made of its rows and others, which are joined in order.

    `start` and `stop` are where the chunk's own rows lie in what `samples` are joined to.
    """

    plan: AxisPlan
    start: int
    stop: int
    samples: tuple[Stretch, ...]


Sums = tuple[tuple[tuple[int, ...], tuple[int, ...] | None], ...]
"""For each output the numbers of its derivatives, and their signs: None stands for a norm."""


# Dask looks for keys in tuples, named ones too, but leaves these alone.
@dataclass(frozen=True, repr=False)
class Faces:
    """What other blocks need of a block: an axis and a stretch of rows along it, for each."""

    stretches: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, repr=False)
class BlockTask:
    """What the task of a block has to do; `plans` has the chunk's part of each derivative."""

    evaluate: Evaluate
    evaluate_seams: EvaluateSeams | None
    derivatives: tuple[Derivative, ...]
    plans: tuple[ChunkPlan | BlockWindow, ...]
    sums: Sums
    sources: tuple[BlockSource, ...]


class _SharedTask(Task):  # type: ignore[misc]
    """The task of a block with several outputs: Dask must not join it to what picks one of them.

    `dask.optimize` and `to_delayed` look at one array at a time, where each block has but one
    output. Joined to that, and under other names, it would be computed again for each.
    """

    __slots__ = ()

    @property
    def block_fusion(self) -> bool:
        return True


def make_task(key: Any, job: BlockTask, blocks: Sequence[Any], others: Sequence[Any]) -> Task:
    """Return the task of a block; blocks and what it reads of others are keys."""
    task = Task if len(job.sums) == 1 else _SharedTask
    return task(key, compute_block, job, List(*map(TaskRef, blocks)), List(*map(TaskRef, others)))


def cut_faces(faces: Faces, block: Array) -> dict[tuple[int, int, int], Array]:
    """Return copies of the rows that other blocks need, which keep no block in memory."""
    views = {stretch: block[rows_of(block.ndim, *stretch)] for stretch in faces.stretches}
    return {key: view.copy() if hasattr(view, "copy") else view for key, view in views.items()}


def compute_block(job: BlockTask, blocks: list[Array], others: list[Any]) -> Any:
    """Return the outputs of a block as a tuple, or the array itself if there is a single one."""
    sources = dict(zip(job.sources, others, strict=True))
    token = threads.leave_cores()  # a scheduler runs as many tasks at once as there are cores
    try:
        results = tuple(_add_up_terms(job, blocks, _differentiate(job, blocks, sources)))
    finally:
        threads.restore(token)
    return results if len(results) > 1 else results[0]


def _differentiate(
    job: BlockTask, blocks: list[Array], sources: dict[BlockSource, Any]
) -> list[Array]:
    """Return all derivatives of a block, those for sums in the working precision."""
    exact = {
        d.field: _convert_half_precision(blocks[d.field]) for d in job.derivatives if d.for_sum
    }
    fields = [exact[d.field] if d.for_sum else blocks[d.field] for d in job.derivatives]
    if not all(blocks[0].shape):
        return [slices.cast(xp, f, result_dtype(xp, f)) for f in fields for xp in [namespace_of(f)]]
    triples = zip(job.derivatives, job.plans, fields, strict=True)
    chunks = [(d, plan, f) for d, plan, f in triples if isinstance(plan, ChunkPlan)]
    # All that one engine can make in a pass is made together; windows are joined one by one.
    results = iter(_evaluate_at_seams(job, chunks, sources) or _patch_all(job, chunks, sources))
    return [
        next(results)
        if isinstance(plan, ChunkPlan)
        else _evaluate_window(job, blocks, derivative, plan, sources)
        for derivative, plan in zip(job.derivatives, job.plans, strict=True)
    ]


def _evaluate_at_seams(
    job: BlockTask, chunks: Sequence[_Chunk], sources: dict[BlockSource, Any]
) -> Sequence[Array] | None:
    """Return derivatives by an engine that reads other blocks where they lie, None without one.

    Those of a sum, too, are made one by one: each has a formula of its own at each face, and so
    many sums of different formulas would take longer to compile than all blocks to evaluate.
    """
    if job.evaluate_seams is None or not chunks:
        return None
    outputs = [
        [Term(1, f, plan.core, None, tuple(_find_seams(f, derivative, plan, sources)))]
        for derivative, plan, f in chunks
    ]
    return job.evaluate_seams(outputs)


def _find_seams(
    f: Array, derivative: Derivative, plan: ChunkPlan, sources: dict[BlockSource, Any]
) -> Iterator[Seam]:
    """Yield the rows of a block that read others; what they read of itself is not cut out."""
    for start, stop, patch_plan, samples in plan.patches:
        rows: list[Array | None] = []
        for chunk, first, last in samples:
            source = BlockSource(derivative.field, derivative.axis, chunk)
            is_beyond = source in sources
            # None leaves the samples to the block itself, which has them where they lie.
            rows.append(_fetch(sources, source, f, first, last) if is_beyond else None)
        yield Seam(patch_plan, start, stop, tuple(rows))


def _patch_all(
    job: BlockTask, chunks: Sequence[_Chunk], sources: dict[BlockSource, Any]
) -> Iterator[Array]:
    """Yield derivatives by the block's own engine, the rows that read other blocks by slices."""
    whole = [[Term(1, f, plan.core)] for _, plan, f in chunks if plan.start < plan.stop]
    cores = iter(job.evaluate(whole) if whole else ())
    for derivative, plan, f in chunks:
        core = next(cores) if plan.start < plan.stop else None
        yield _patch(core, f, derivative, plan, sources)


def _evaluate_window(
    job: BlockTask,
    blocks: list[Array],
    derivative: Derivative,
    window: BlockWindow,
    sources: dict[BlockSource, Any],
) -> Array:
    """Return a derivative of a block: evaluated with the rows of others, which are cut off."""
    field, axis, _, for_sum, mask = derivative

    def join(number: int) -> Array:
        block = blocks[number]
        stretches = [
            _fetch(sources, BlockSource(number, axis, chunk), block, start, stop)
            for chunk, start, stop in window.samples
        ]
        if len(stretches) == 1:
            return stretches[0]
        whole = namespace_of(block).concat(stretches, axis=axis)
        # NumPy joins big-endian samples to native ones.
        return whole if whole.dtype == block.dtype else whole.astype(block.dtype)

    f = join(field)
    where = None if mask is None else join(mask)
    if isinstance(where, np.ndarray) and where.all():
        where = None  # the plan itself then gives the same bits, and sooner
    f = _convert_half_precision(f) if for_sum else f
    (result,) = job.evaluate([[Term(1, f, window.plan, where)]])
    return result[rows_of(f.ndim, axis, window.start, window.stop)]


def _fetch(
    sources: dict[BlockSource, Any], source: BlockSource, block: Array, start: int, stop: int
) -> Any:
    """Return rows of another block, or of this one where the source is none of the others."""
    samples: Any = sources.get(source, block)
    if isinstance(samples, dict):  # faces
        return samples[source.axis, start, stop]
    return samples[rows_of(block.ndim, source.axis, start, stop)]


def _convert_half_precision(block: Array) -> Array:
    xp = namespace_of(block)
    working = working_dtype(xp, block)
    return block if working == result_dtype(xp, block) else slices.cast(xp, block, working)


def _patch(
    core: Array | None,
    f: Array,
    derivative: Derivative,
    plan: ChunkPlan,
    sources: dict[BlockSource, Any],
) -> Array:
    """Return a derivative of a block: what its engine made of it, the other rows put right."""
    axis, spacing = derivative.axis, derivative.spacing
    xp = namespace_of(f)
    dtype = result_dtype(xp, f)

    patches = []
    for start, stop, patch_plan, samples in plan.patches:
        read = [
            _fetch(sources, BlockSource(derivative.field, axis, chunk), f, first, last)
            for chunk, first, last in samples
        ]
        rows = slices.differentiate_rows(read, patch_plan.interior, axis, spacing, dtype)
        patches.append((start, stop, rows))
    if not patches:
        return core
    if core is None and len(patches) == 1:
        return patches[0][2]
    if isinstance(f, np.ndarray) or array_api_compat.is_cupy_array(f):
        if core is None:
            core = xp.empty_like(f, dtype=dtype)
        for start, stop, rows in patches:
            core[rows_of(f.ndim, axis, start, stop)] = rows
        return core
    # Arrays of other libraries may be immutable.
    if core is not None:
        rows = core[rows_of(f.ndim, axis, plan.start, plan.stop)]
        patches.append((plan.start, plan.stop, rows))
    return xp.concat([rows for _, _, rows in sorted(patches, key=itemgetter(0))], axis=axis)


def _add_up_terms(job: BlockTask, blocks: list[Array], derivatives: list[Array]) -> Iterator[Array]:
    for numbers, signs in job.sums:
        first = job.derivatives[numbers[0]]
        if not first.for_sum:
            yield derivatives[numbers[0]]
            continue
        # Each term is rounded to the working precision, what they make once more to the result's.
        f = blocks[first.field]
        xp = namespace_of(f)
        rounded = [slices.cast(xp, derivatives[i], working_dtype(xp, f)) for i in numbers]
        dtype = result_dtype(xp, f)
        if f.size and all(type(df) is np.ndarray and df.dtype == dtype for df in rounded):
            # An engine adds up in one pass, with no array between.
            terms = [
                Term(sign, df, IDENTITY)
                for sign, df in zip(signs or [1] * len(rounded), rounded, strict=True)
            ]
            yield from job.evaluate([Norm(terms) if signs is None else terms])
        else:
            yield slices.combine(f, rounded, signs)
