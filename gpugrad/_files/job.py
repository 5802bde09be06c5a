"""The pipeline: a block is read while another is computed and a third is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gpugrad._arrays import Gate, Lane
from gpugrad._engines import evaluate
from gpugrad._files.blocks import Block, place_spans
from gpugrad._files.journal import Journal
from gpugrad._files.layout import Layout
from gpugrad._files.raw import compute_checksum
from gpugrad._files.source import Source, Values
from gpugrad._files.sphere_work import SphereProgram
from gpugrad._files.targets import Target
from gpugrad._files.work import Work
from gpugrad._grids import find_valid
from gpugrad._stencils import Term, change_terms

Progress = Callable[[int, int], None]
"""Told how many more bytes of results are done, of how many in all."""


PIECE = 1 << 18
"""How many values are looked at at a time: few enough to be found in the cache."""


class Job:
    """The blocks of one run: buffers for two of them, and threads to read and to write."""

    def __init__(
        self, work: Work, backend: str | None, target: Target, journal: Journal, layout: Layout
    ) -> None:
        self._fields, self._work = work.fields, work
        self._backend = backend
        self._target, self._journal, self._layout = target, journal, layout
        self._skipna = any(plan.alternatives for plan in work.plans)
        self._missing: dict[int, int] = {}

    def run(self, blocks: Sequence[Block], progress: Progress | None) -> None:
        """Compute blocks in turn; at most two are in memory at any time."""
        total = self._layout.nbytes
        if progress is not None:
            progress(total - sum(map(self._count, blocks)), total)
        if not blocks:
            return
        # Two of each: while one block is computed, the next is read and the last one written. They
        # are made once, as fresh memory would cost more than the arithmetic.
        size = max(math.prod(block.shape) for block in blocks)
        sample_buffers = [
            np.empty((len(self._fields), size), self._fields[0].dtype) for _ in range(2)
        ]
        result_buffers = [
            np.empty((self._work.output_count, size), self._layout.dtype) for _ in range(2)
        ]
        gate = Gate()
        reader: Lane[list[Values]] = Lane(gate)
        writer: Lane[None] = Lane(gate)
        lock, close = gate.lock, gate.open()
        try:
            reader.ask(self._read, blocks[0], sample_buffers[0])
            for i, block in enumerate(blocks):
                fields = reader.result()
                if i + 1 < len(blocks):
                    reader.ask(self._read, blocks[i + 1], sample_buffers[(i + 1) % 2])
                results = self._compute(block, fields, result_buffers[i % 2])
                if i > 0:
                    writer.result()
                writer.ask(self._write, block, results)
                if progress is not None:
                    progress(self._count(block), total)
            writer.result()
        finally:
            close(lock, True)  # files are closed after this, and must not be in use

    def _read(self, block: Block, buffers: Values) -> list[Values]:
        size = math.prod(block.shape)
        fields = [_lay_out_buffer(f, buffer[:size], block.shape) for f, buffer in
                  zip(self._fields, buffers, strict=True)]  # fmt: skip
        for source, values in zip(self._fields, fields, strict=True):
            for window, here in place_spans(block):
                source.read(window, values[here])
        self._missing[block.number] = sum(count_missing(f[block.inner]) for f in fields)
        return fields

    def _compute(self, block: Block, fields: list[Values], buffers: Values) -> list[Values]:
        size = math.prod(block.shape)
        source = self._fields[0]
        out = tuple(_lay_out_buffer(source, buffer[:size], block.shape) for buffer in buffers)
        program = self._work.program
        if isinstance(program, SphereProgram):
            return self._compute_on_sphere(program, block, fields, out)
        arrays = [*fields]
        valid: dict[int, Values | None] = {}

        def place(term: Term) -> Term:
            plan = block.moved[id(term.plan)]
            return Term(term.sign, arrays[term.field], plan, valid[term.field])

        for stage in program.stages:
            for number in {term.field for terms in stage for term in terms} - valid.keys():
                valid[number] = _find_unmasked(arrays[number]) if self._skipna else None
            start = len(arrays) - len(fields)
            targets = out[start : start + len(stage)]
            with np.errstate(all="ignore"):  # of all samples, or of none
                into = targets if len(targets) > 1 else targets[0]
                evaluate(change_terms(stage, place), into, False, self._backend)
            arrays += targets
        # A block needs no second pass: a later stage differentiates along other axes than the
        # earlier one, and reads of its results no row that is wrong for lack of neighbours.
        return [arrays[number][block.inner] for number in program.results]

    def _compute_on_sphere(
        self, program: SphereProgram, block: Block, fields: list[Values], out: tuple[Values, ...]
    ) -> list[Values]:
        results = [array[block.inner] for array in out]
        axis = program.rows.axis
        start = block.window[axis].start
        with np.errstate(all="ignore"):
            program.evaluate(fields, start - block.pieces[axis].start, start, results)
        return results

    def _write(self, block: Block, results: list[Values]) -> None:
        for number, values in enumerate(results):
            self._target.write(number, block.window, values)
        missing = [self._missing.pop(block.number), sum(map(count_missing, results))]
        checksums = [compute_checksum(values) for values in results]
        self._journal.add(block.number, checksums, missing)

    def _count(self, block: Block) -> int:
        """Return the bytes of a block's results."""
        samples: int = math.prod(rows.stop - rows.start for rows in block.window)
        return samples * self._layout.dtype.itemsize * len(self._layout.names)


def count_missing(values: Values) -> int:
    """Return how many values are not a number, or not a time, in little memory."""
    if values.dtype.kind not in "fcmM" or not values.size:
        return 0
    if values.size > PIECE and values.ndim:
        longest = np.argsort([abs(stride) for stride in values.strides])
        axis = next(int(i) for i in longest[::-1] if values.shape[i] > 1)
        n = values.shape[axis]
        step = max(1, n * PIECE // values.size)
        if step < n:
            along = np.moveaxis(values, axis, 0)
            return sum(count_missing(along[i : i + step]) for i in range(0, n, step))
    is_missing = np.isnat if values.dtype.kind in "mM" else np.isnan
    return int(np.count_nonzero(is_missing(values)))


def _find_unmasked(f: Values) -> Values | None:
    """Return where a block is not NaN, or None where none of it is."""
    valid: Values | None = find_valid(f)
    return None if valid is None or valid.all() else valid


def _lay_out_buffer(source: Source, buffer: Values, shape: tuple[int, ...]) -> Values:
    """Return a buffer as an array whose axes lie in memory as they do in the file."""
    order = source.slowest_first
    array = buffer.reshape([shape[axis] for axis in order])
    return array.transpose(np.argsort(order))
