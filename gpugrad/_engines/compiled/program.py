"""What kernels have to do for a list of outputs: which boxes, in which order, from which plans.

A field is cut into tiles, and these, along the slowest axis, into blocks that stay in the cache
while all outputs are made of them. Within a tile an output is one *piece*, or several where
formulas change near the ends of an axis: a box that one kernel writes. Pieces differ from block
to block only in where they start and stop along the slowest axis, so that a program for any field
is a short table of numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.compiled.factors import Factors, list_factors
from gpugrad._engines.compiled.kernel_spec import Choice, KernelSpec, Part, Place
from gpugrad._engines.compiled.kernels import compile_kernel
from gpugrad._engines.compiled.tiles import Pass, cut_field, cut_tile, order_axes
from gpugrad._engines.numpy_steps import find_precision
from gpugrad._stencils import (
    AxisPlan,
    Norm,
    Outputs,
    Region,
    Seam,
    Term,
    distinct_arrays,
    distinct_fields,
)

STREAM_BYTES = 1 << 24
"""Bytes of all outputs from which on they are stored past the cache: less may be read from it."""

STREAM_ROW_BYTES = 256
"""Bytes of a row from which on that pays."""

THIN = 16
"""Boxes so many times thinner than the field, across their rows, share few kernels among them.

Kernels depend on which operands coincide, and on weights of 1 and -1. Near the ends of axes both
differ from row to row, and to compile all that takes longer than most fields.
"""

SHORT_LOOP = 64
"""Samples up to which a loop is joined with the outermost one, if their operands allow it."""


class Program(NamedTuple):
    """What to run: items for `llvm.compile_runner`, for arrays wherever they lie.

    The layouts in `words` hold addresses relative to an array: the one with number `owners[i]`
    for the word with number `places[i]`, counting what is read, then outputs, then factors. The
    second word of an item is relative to `words`. A block is the items from one of `bounds` to the
    next.
    """

    words: NumpyArray
    places: NumpyArray
    owners: NumpyArray
    items: NumpyArray
    bounds: list[int]

    @property
    def nbytes(self) -> int:
        """The bytes of all of this."""
        return sum(a.nbytes for a in self[:4]) + 8 * len(self.bounds)


class ProgramSize(NamedTuple):
    """How large a program will be, at most."""

    operands: int
    nbytes: int


class Draft(NamedTuple):
    """A program whose kernels may have to be compiled yet: its items begin with their numbers."""

    program: Program
    specs: tuple[KernelSpec, ...]

    def finish(self) -> Program:
        """Return the program, with each kernel compiled that has not been."""
        addresses = np.array([compile_kernel(spec) for spec in self.specs])
        items = self.program.items.copy()
        items[:, 0] = addresses[items[:, 0]]
        return self.program._replace(items=items)


class _Row(NamedTuple):
    """Results side by side along an axis, from `start` on (no axis: there is but one).

    A single one may be apart from them: before them or, if `stop` is given, from there on. Their
    box may be thin (see `THIN`).
    """

    axis: int | None
    start: int
    is_thin: bool
    is_single: bool = False
    stop: int | None = None


class _Base(NamedTuple):
    """Where operands start: an offset into the array with a number, and strides, in bytes."""

    owner: int
    offset: int
    strides: tuple[int, ...]


class _OperandPlace(NamedTuple):
    """An operand of a kernel: some steps along a row from its base."""

    base: _Base
    steps: int = 0
    from_end: bool = False


class _PlacedSum(NamedTuple):
    """A sum at some place: its parts, and its operands, the result first."""

    parts: tuple[Part | Choice, ...]
    operands: list[_OperandPlace]


def draft_program(outputs: Outputs, targets: Sequence[NumpyArray], factors: Factors) -> Draft:
    """Return the program that evaluates outputs, which have these factors, into targets."""
    return _Maker(outputs, targets, factors).make()


def bound_size(outputs: Outputs) -> ProgramSize:
    """Return how large the program for outputs will be at most, before any of it is made."""
    f = outputs[0][0].field
    order = order_axes(f)
    tiles, rows = cut_field(f.shape, order, f.itemsize)
    number, whole = sum(1 for _ in tiles), tuple([(0, n) for n in f.shape])
    operands, items = 0, 0
    for terms in outputs:
        for work in cut_tile(terms, whole, f.shape, order[-1]):
            start, stop = work.box.bounds[order[0]]
            items += (stop - start) // rows + 2
            formulas = [ranked.interior for term in work.terms for ranked in term.plan.ranked]
            sums = 1 + len(work.box.lower) + len(work.box.upper)
            operands += sums * sum(1 + len(formula.offsets) for formula in formulas)
    words = max(f.ndim, 3) + 4  # an address and strides, whose address it is, lengths of loops
    return ProgramSize(operands * number, number * (8 * words * operands + 32 * items))


class _Maker:
    """Makes a program, and keeps what its pieces share."""

    def __init__(self, outputs: Outputs, targets: Sequence[NumpyArray], factors: Factors) -> None:
        fields = distinct_fields(outputs)
        arrays = (*distinct_arrays(outputs), *targets)
        self.number = {id(array): i for i, array in enumerate(arrays)}
        self.factor_number = {key: len(arrays) + i for key, i in factors.number.items()}
        self.tables = factors.tables
        self.outputs, self.targets, self.shape = outputs, targets, fields[0].shape
        self.sample = fields[0].dtype.newbyteorder("=")
        self.swaps_samples = not fields[0].dtype.isnative
        self.streams = sum(target.nbytes for target in targets) >= STREAM_BYTES
        self.order = order_axes(fields[0])
        self.words: list[int] = []
        self.places: list[int] = []
        self.owners: list[int] = []
        self.specs: dict[KernelSpec, int] = {}

    def make(self) -> Draft:
        """Return the whole program."""
        tiles, rows = cut_field(self.shape, self.order, self.sample.itemsize)
        starts = np.arange(0, self.shape[self.order[0]], rows)[:, np.newaxis]
        items, counts = [], []
        for tile in tiles:
            pieces = [
                self.lay_out(work, target)
                for terms, target in zip(self.outputs, self.targets, strict=True)
                for work in cut_tile(terms, tile, self.shape, self.order[-1])
            ]
            # All blocks of a tile share the layouts of its pieces: they differ only in the rows
            # that they have of each piece. Where that is none, there is no item.
            kernel, layout, first, last, scale = np.array(pieces).T
            low = (np.maximum(starts, first) - first) * scale
            high = (np.minimum(starts + rows, last) - first) * scale
            table = np.stack(np.broadcast_arrays(kernel, layout, low, high), axis=-1)
            items.append(table[low < high])
            counts.append(np.count_nonzero(low < high, axis=1))
        program = Program(
            np.array(self.words),
            np.array(self.places),
            np.array(self.owners),
            np.concatenate(items),
            [0, *np.cumsum(np.concatenate(counts)).tolist()],
        )
        return Draft(program, tuple(self.specs))

    def lay_out(self, work: Pass, target: NumpyArray) -> list[int]:
        """Write the layout of a piece; return its kernel, where the layout is, and its rows.

        These are the first and the last along the slowest axis, and the steps of the kernel's
        outer loop for each of them.
        """
        slowest, fastest = self.order[0], self.order[-1]
        terms, box = work.terms, work.box
        at = [start for start, _ in box.bounds]
        lengths = [stop - start for start, stop in box.bounds]
        along = next((axis for axis in reversed(self.order) if lengths[axis] > 1), None)
        # Thin across rows, that is: the fastest axis does not count, as its ends are part of rows.
        is_thin = work.is_partial or any(
            THIN * lengths[axis] <= self.shape[axis] for axis in self.order[:-1]
        )
        row = _Row(along, 0 if along is None else at[along], is_thin)
        sums = [self.place(terms, target, at, row)]
        for ends, stop in ((box.lower, None), (box.upper, box.bounds[fastest][1])):
            for i in ends:
                at[fastest] = i
                single = row._replace(is_single=True, stop=stop)
                sums.append(self.place(terms, target, at, single))
        operands = [operand for placed in sums for operand in placed.operands]
        # At each end of each axis other operands coincide. In thin boxes none are said to, so
        # that a few kernels serve all ends: compiling more would cost more than it saves.
        if is_thin:
            operands = [set_apart(operand, along, lengths) for operand in operands]
            bases = [operand.base for operand in operands]
            numbers = [*range(len(bases))]
        else:
            bases = list(dict.fromkeys(operand.base for operand in operands))
            numbers = [bases.index(operand.base) for operand in operands]
        levels, scale = self.join_levels(lengths, bases, len(sums) > 1)
        length, axis = levels[-1]
        masks = [term.where for term in terms if term.where is not None]
        gathers, scatters, spreads = (
            axis is not None and any(a.strides[axis] != a.itemsize for a in arrays)
            for arrays in (self.samples_of(terms, at), [target], masks)
        )
        result = target.dtype
        parts = [placed.parts for placed in sums]
        spec = KernelSpec(
            self.sample.str[1:],
            result.str[1:],
            len(levels),
            gathers,
            scatters,
            # Past the cache only whole lines are written at full speed, and short rows have few.
            self.streams
            and not (scatters or work.is_partial)
            and length * result.itemsize >= STREAM_ROW_BYTES,
            parts[0],
            tuple(parts[1 : 1 + len(box.lower)]),
            tuple(parts[1 + len(box.lower) :]),
            tuple([any(base.strides) for base in bases]),
            tuple([Place(i, o.steps, o.from_end) for i, o in zip(numbers, operands, strict=True)]),
            spreads,
            isinstance(terms, Norm),
            self.swaps_samples,
            not result.isnative,
            () if gathers or is_thin else tuple(self.find_leads(terms, sums[0].operands)),
            work.is_begun,
            work.is_open,
        )
        layout = len(self.words) * 8
        self.words.extend(length for length, _ in levels)
        for owner, offset, strides in bases:
            # Addresses are relative to arrays: a call with others of the kind only adds theirs.
            self.places.append(len(self.words))
            self.owners.append(owner)
            self.words.append(offset)
            if any(strides):
                self.words.extend(0 if axis is None else strides[axis] for _, axis in levels)
        number = self.specs.setdefault(spec, len(self.specs))
        return [number, layout, *box.bounds[slowest], scale]

    def find_leads(self, terms: Sequence[Term], operands: Sequence[_OperandPlace]) -> list[int]:
        """Return for fields that several terms take the operand that comes to new memory first.

        These keep the cores so busy that the processor does not look far enough ahead by itself.
        """
        leads = []
        for owner, count in Counter(self.number[id(term.field)] for term in terms).items():
            bases = {o.base: k for k, o in enumerate(operands) if o.base.owner == owner}
            if count > 1 and bases:
                forwards = next(iter(bases)).strides[self.order[0]] > 0
                leads.append(bases[(max if forwards else min)(bases, key=lambda b: b.offset)])
        return leads

    def join_levels(
        self, lengths: Sequence[int], bases: Sequence[_Base], has_ends: bool
    ) -> tuple[list[tuple[int, int | None]], int]:
        """Return the loops of a box, outermost first, and the steps of the first for each row.

        A loop is a length and the axis whose strides it has. Axes that all bases step through
        as if they were one are joined.
        """
        slowest, *others = self.order

        def are_one(outer: int, inner: int) -> bool:
            return all(b.strides[outer] == lengths[inner] * b.strides[inner] for b in bases)

        levels: list[tuple[int, int | None]] = [(lengths[slowest], slowest)]
        last = slowest
        for axis in others:
            if lengths[axis] == 1:
                continue
            ends_here = has_ends and axis == self.order[-1]
            # The slowest axis stays a loop of its own, because blocks start and stop along it; so
            # does an axis whose rows have ends with formulas of their own.
            if len(levels) > 1 and not ends_here and are_one(last, axis):
                levels[-1] = (levels[-1][0] * lengths[axis], axis)
            else:
                levels.append((lengths[axis], axis))
            last = axis
        # A short inner loop costs more to enter than its samples take. Joined with the slowest
        # axis it is entered once, and a block then starts at so many steps for each of its rows.
        if (
            len(levels) == 2
            and levels[1][0] < SHORT_LOOP
            and not has_ends
            and are_one(slowest, last)
        ):
            return [(levels[0][0] * levels[1][0], last)], levels[1][0]
        if len(levels) == 2:
            levels.insert(1, (1, None))  # one kernel for two and for three levels
        return levels, 1

    def place(
        self, terms: Sequence[Term], target: NumpyArray, at: Sequence[int], row: _Row
    ) -> _PlacedSum:
        """Return a sum that starts at some sample of a row."""
        operands = [self.locate(target, at, row)]
        parts: list[Part | Choice] = []
        for term in terms:
            if term.where is not None:
                choice, added = self.place_choice(term, at, row)
                parts.append(choice)
                operands += added
                continue
            part, factors, offsets = self.place_formula(term, term.plan, at, row)
            parts.append(part)
            operands += self.locate_samples(term, at, row, offsets)
            operands += factors
        return _PlacedSum(tuple(parts), operands)

    def place_choice(
        self, term: Term, at: Sequence[int], row: _Row
    ) -> tuple[Choice, list[_OperandPlace]]:
        """Return a masked term that starts at some sample, and its operands."""
        _, f, plan, where, _ = term
        placed = [self.place_formula(term, alternative, at, row) for alternative in plan.ranked]
        placed = [(part, factors, offsets) for part, factors, offsets in placed if offsets]
        reached = dict.fromkeys([0, *(k for _, _, offsets in placed for k in offsets)])
        places = {k: i for i, k in enumerate(reached)}
        ranked = tuple([(tuple([places[k] for k in offsets]), part) for part, _, offsets in placed])
        operands = [
            self.locate(array, at, row, plan.axis, k) for array in (f, where) for k in places
        ]
        return Choice(ranked), [
            *operands,
            *(operand for _, added, _ in placed for operand in added),
        ]

    def place_formula(
        self, term: Term, plan: AxisPlan, at: Sequence[int], row: _Row
    ) -> tuple[Part, list[_OperandPlace], tuple[int, ...]]:
        """Return a plan's formula for some sample: as a part, its factors, and its offsets."""
        region = self.find_region(term, plan, at)
        precision = find_precision(self.sample, plan.dtype)
        seam = find_seam(term, at)
        table = self.tables[id(term.plan if seam is None else seam.plan)]
        kinds, factors = [], []
        for kind, key, values in list_factors(region.formula, precision):
            if values is None or (kind in "+-" and not row.is_thin):
                kinds.append(kind)
                continue
            (array, start), strides = table.places[key], [0] * len(at)
            if values.size > 1:
                strides[plan.axis] = values.itemsize
                start += (at[plan.axis] - region.start) * values.itemsize
            is_along = plan.axis == row.axis and not row.is_single
            is_each = values.size > 1 and is_along
            kinds.append("inverse" if kind == "inverse" else "each" if is_each else "row")
            factors.append(_OperandPlace(_Base(self.factor_number[array], start, tuple(strides))))
        *kinds, constant, divisor = kinds
        part = Part(term.sign, tuple(kinds), constant, divisor, precision.weights.str[1:])
        return part, factors, region.formula.offsets

    def find_region(self, term: Term, plan: AxisPlan, at: Sequence[int]) -> Region:
        """Return the rows that have the formula of some sample."""
        seam = find_seam(term, at)
        if seam is not None:
            return seam.region
        return next(r for r in plan.regions(self.shape[plan.axis]) if at[plan.axis] < r.stop)

    def samples_of(self, terms: Sequence[Term], at: Sequence[int]) -> list[NumpyArray]:
        """Return the arrays that a sum reads at some sample."""
        arrays = [term.field for term in terms]
        for seam in (find_seam(term, at) for term in terms):
            if seam is not None:
                arrays += [array for array in seam.samples if array is not None]
        return arrays

    def locate_samples(
        self, term: Term, at: Sequence[int], row: _Row, offsets: Sequence[int]
    ) -> Iterator[_OperandPlace]:
        """Yield the operands for what a formula reads."""
        axis, seam = term.plan.axis, find_seam(term, at)
        for k, offset in enumerate(offsets):
            array = None if seam is None else seam.samples[k]
            if seam is None or array is None:
                yield self.locate(term.field, at, row, axis, offset)
                continue
            there = [*at]
            there[axis] -= seam.start
            start = sum(i * stride for i, stride in zip(there, array.strides, strict=True))
            yield _OperandPlace(_Base(self.number[id(array)], start, array.strides))

    def locate(
        self, array: Any, at: Sequence[int], row: _Row, axis: int = 0, offset: int = 0
    ) -> _OperandPlace:
        """Return the operand for an array at some element of a row, shifted along an axis."""
        strides, steps = array.strides, 0
        start = sum(i * stride for i, stride in zip(at, strides, strict=True))
        start += offset * strides[axis]
        if row.axis is not None:
            steps = at[row.axis] - row.start + (offset if axis == row.axis else 0)
            start -= steps * strides[row.axis]
        if row.stop is not None:
            steps -= row.stop - row.start
        base = _Base(self.number[id(array)], start, strides)
        return _OperandPlace(base, steps, row.stop is not None)


def set_apart(operand: _OperandPlace, along: int | None, lengths: Sequence[int]) -> _OperandPlace:
    """Return an operand at a base of its own, whatever others share."""
    base, steps, from_end = operand
    if along is None:
        return operand
    steps += lengths[along] if from_end else 0
    return _OperandPlace(base._replace(offset=base.offset + steps * base.strides[along]))


def find_seam(term: Term, at: Sequence[int]) -> Seam | None:
    """Return the seam that a sample of a term lies at."""
    i = at[term.plan.axis]
    return next((seam for seam in term.seams if seam.start <= i < seam.stop), None)
