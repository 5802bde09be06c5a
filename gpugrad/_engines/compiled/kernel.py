"""Machine code for stencils: a specification becomes a nest of loops that writes rows of results.

The samples that a cache line of results needs are loaded as vectors, combined in registers,
rounded where NumPy rounds, and the line is stored past the cache, which spares the memory from
reading what is about to be overwritten. `_Kernel.write_row` is the hot loop, `_Kernel.combine`
the formula. The code is made with llvmlite, the compiler beneath Numba; Numba itself is not
imported: its front end takes a second to start, a kernel here 0.02 seconds and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial, reduce
from itertools import islice
from typing import NamedTuple

from llvmlite import ir

from gpugrad._engines.compiled.arithmetic import HALVES, REAL, REAL_PART, WORKING, Vectors, type_of
from gpugrad._engines.compiled.kernel_spec import Choice, KernelSpec, Part, Sum
from gpugrad._engines.compiled.llvm import INT, WORD, compile_module

LINE = 64
"""Bytes of a cache line."""

SHORT = 16
"""Bytes of a short vector, as every processor has them."""

SHORT_ROW = 4
"""Lines up to which a row is short."""

AHEAD = 3072
"""Bytes ahead of a row's vectors to ask for: on their way for as long as memory takes to answer."""

VOID = ir.VoidType()


# A layout tells a kernel where its operands lie, in words of 64 bits: the lengths of its loops
# from the outermost inwards (the first is not read: a call says where to start and to stop); then
# the address of each base, followed by the bytes from one step to the next of every loop if it
# moves at all.


def write_kernel(spec: KernelSpec) -> int:
    """Compile a kernel; return its address."""
    return compile_module(lambda module: _Kernel(module, spec).write())


class _BaseAddress(NamedTuple):
    """Where a kernel finds a base at some point of its loops, and the strides from there."""

    address: ir.Value
    strides: Sequence[ir.Value]


class Operand(NamedTuple):
    """Where a kernel finds an operand in a row: at an address, and some `steps` further on."""

    kind: str
    address: ir.Value
    step: ir.Value
    factor: ir.Value | None = None
    steps: ir.Value | None = None


class _Kernel(Vectors):
    """A nest of loops around rows, and the formula for any number of results at once."""

    def __init__(self, module: ir.Module, spec: KernelSpec) -> None:
        super().__init__(module, VOID, 3)
        self.spec = spec
        self.real = WORKING.get(spec.result, spec.result)
        self.is_complex = spec.sample in REAL_PART
        self.size = int(spec.result[1:])
        self.lanes = LINE // self.size
        self.is_whole = False  # are all samples of the first parts known to be valid?
        layout, self.start, self.stop = self.function.args
        # What lies in two vectors must not be written twice past the cache, nor if it is added to.
        self.writes_twice = not (spec.streams or spec.is_begun)
        self.buffer = self.build.alloca(ir.ArrayType(ir.IntType(8), LINE))
        self.buffer.align = LINE
        words = iter([*map(partial(self.word, layout), range(spec.words))])
        self.lengths = [next(words) for _ in range(spec.levels)]
        self.bases = [
            _BaseAddress(next(words), [next(words) for _ in range(spec.levels * moves)])
            for moves in spec.bases
        ]

    def write(self) -> None:
        """Write the whole function."""
        self.write_level(0, self.bases)
        self.build.ret_void()

    def write_level(self, level: int, bases: Sequence[_BaseAddress]) -> None:
        """Write the loops from a level inwards, for bases at their first step."""
        start, stop = (WORD(0), self.lengths[level]) if level else (self.start, self.stop)
        if level == self.spec.levels - 1:
            n = self.build.sub(stop, start)
            self.write_row(self.list_operands(self.advance(bases, level, start), n), n)
            return
        with self.loop(start, stop) as i:
            self.write_level(level + 1, self.advance(bases, level, i))

    def advance(
        self, bases: Sequence[_BaseAddress], level: int, steps: ir.Value
    ) -> list[_BaseAddress]:
        """Return bases as they lie some steps further on in the loop of a level."""
        build = self.build
        return [
            base._replace(address=build.add(base.address, build.mul(steps, base.strides[level])))
            if base.strides
            else base
            for base in bases
        ]

    def list_operands(self, bases: Sequence[_BaseAddress], n: ir.Value) -> list[list[Operand]]:
        """Return the operands of each sum, for bases as they lie where a row of `n` starts."""
        build, places, sums = self.build, iter(self.spec.places), []
        for kinds in self.spec.operands:
            operands = []
            for kind, known in kinds:
                i, ahead, from_end = next(places)
                # A base that never moves, of a field that is one sample all over, has no strides.
                strides = bases[i].strides or [WORD(0)]
                step = strides[-1] if known is None else WORD(known)
                steps = build.add(n, WORD(ahead)) if from_end else WORD(ahead)
                address = build.add(bases[i].address, build.mul(steps, step))
                operands.append(Operand(kind, address, step))
            sums.append(operands)
        return sums

    def write_row(self, sums: Sequence[Sequence[Operand]], n: ir.Value) -> None:
        """Write a row: its lower end, line after line what lies between the ends, its upper end.

        A line is all that one cache line holds, 64 bytes.
        """
        spec = self.spec
        sums = [
            self.load_factors(operands, parts)
            for operands, parts in zip(sums, spec.sums, strict=True)
        ]
        self.fetch_ends(sums[0][0].address, n)
        interior, lower = sums[0], sums[1 : 1 + len(spec.lower)]
        upper = sums[1 + len(spec.lower) :]
        for operands, parts in zip(lower, spec.lower, strict=True):
            self.write_results(operands, parts, 1)

        write = self.write_by_validity if spec.is_branching else self.write_lines
        write(interior, n)

        for operands, parts in zip(upper, spec.upper, strict=True):
            self.write_results(operands, parts, 1)

    def write_lines(self, interior: Sequence[Operand], n: ir.Value) -> None:
        """Write line after line or, of a row that is shorter than a line, all that it has.

        A row may begin and end within a line. There, too, as many results of the row are made at
        once as a line has, unless single ones take less time.
        """
        build, spec, lanes = self.build, self.spec, self.lanes
        if spec.scatters:
            self.write_stretches(interior, [(WORD(0), n, 1)])
            return
        behind_line = build.and_(interior[0].address, WORD(LINE - 1))
        before, odd = (divide(behind_line, WORD(self.size)) for divide in (build.udiv, build.urem))
        # Results at odd addresses never begin a line.
        has_lines = build.icmp_signed("<=", WORD(lanes), n)
        has_lines = build.and_(has_lines, build.icmp_signed("==", odd, WORD(0)))
        if not spec.overlaps:
            head = build.and_(build.neg(before), WORD(lanes - 1))
            head = build.select(has_lines, head, n)
            tail = build.add(head, build.and_(build.sub(n, head), WORD(-lanes)))
            stretches = [(WORD(0), head, 1), (head, tail, lanes), (tail, n, 1)]
            self.write_stretches(interior, stretches)
            return
        if self.writes_twice:  # where lines begin does not matter then to a short row
            is_short = build.icmp_signed("<", n, WORD(SHORT_ROW * lanes))
            before = build.select(is_short, WORD(0), before)
        few = max(1, SHORT // self.size) if spec.has_short_vectors else 1
        short = build.select(has_lines, WORD(0), n)
        first = build.and_(short, WORD(few - 1)) if few > 1 else short
        self.write_stretches(interior, [(WORD(0), first, 1), (first, short, few)][: min(few, 2)])
        last = build.sub(n, WORD(lanes))
        stop = build.select(has_lines, n, WORD(-lanes))
        with self.loop(build.neg(before), stop, lanes) as line:
            i = build.select(build.icmp_signed("<", line, WORD(0)), WORD(0), line)
            i = build.select(build.icmp_signed("<", last, i), last, i)
            operands = [operand._replace(steps=i) for operand in interior]
            self.fetch_ahead(operands)
            self.write_line(operands, build.sub(line, i))

    def write_stretches(
        self, interior: Sequence[Operand], stretches: Sequence[tuple[ir.Value, ir.Value, int]]
    ) -> None:
        """Write stretches of a row, so many results at a time: a line's begin where a line does."""
        for start, stop, count in stretches:
            align = LINE if count == self.lanes else 1
            with self.loop(start, stop, count) as i:
                operands = [operand._replace(steps=i) for operand in interior]
                if align == LINE:
                    self.fetch_ahead(operands)
                self.write_results(operands, self.spec.interior, count, align)

    def write_by_validity(self, interior: Sequence[Operand], n: ir.Value) -> None:
        """Write lines where the first parts are open all along, single results elsewhere.

        So all later parts are there only once, and not for vectors: with many of them, compiling
        takes much longer than computing.
        """
        build, spec, lanes = self.build, self.spec, self.lanes
        # Which samples are valid differs from line to line, so each step is chosen anew: a line,
        # or one result. `loop` has one step for all, hence these blocks by hand.
        before = build.block
        names = ("result", "whole", "line", "single", "next", "behind")
        head, whole, line, single, following, behind = map(build.append_basic_block, names)
        build.cbranch(build.icmp_signed("<", WORD(0), n), head, behind)

        build.position_at_end(head)
        i = build.phi(WORD)
        i.add_incoming(WORD(0), before)
        operands = [operand._replace(steps=i) for operand in interior]
        beyond_line = build.and_(self.locate(operands[0]), WORD(LINE - 1))
        fits = build.icmp_signed("<=", build.add(i, WORD(lanes)), n)
        fits = build.and_(fits, build.icmp_signed("==", beyond_line, WORD(0)))
        may_fit = ir.Constant(ir.IntType(1), 0) if spec.scatters else fits
        build.cbranch(may_fit, whole, single)

        build.position_at_end(whole)
        flags = self.list_first_flags(operands)
        build.cbranch(self.is_all(reduce(build.and_, flags)), line, single)

        build.position_at_end(line)
        self.is_whole = True
        self.write_results(operands, spec.interior, lanes, LINE)
        self.is_whole = False
        after_line = build.block
        build.branch(following)

        build.position_at_end(single)
        self.write_results(operands, spec.interior, 1)
        after_single = build.block
        build.branch(following)

        build.position_at_end(following)
        step = build.phi(WORD)
        step.add_incoming(WORD(lanes), after_line)
        step.add_incoming(WORD(1), after_single)
        further = build.add(i, step)
        i.add_incoming(further, following)
        build.cbranch(build.icmp_signed("<", further, n), head, behind)
        build.position_at_end(behind)

    def list_first_flags(self, operands: Sequence[Operand]) -> list[ir.Value]:
        """Return for each of a line's results whether the samples of the first parts are valid."""
        remaining, flags = iter(operands[1:]), []
        for part in self.spec.interior:
            part_operands = [*islice(remaining, len(part.operands))]
            if isinstance(part, Choice):
                taps, _ = part.ranked[0]
                valid = [part_operands[part.samples + k] for k in sorted({0, *taps})]
                flags += [self.load_valid(operand, self.lanes) for operand in valid]
        return flags

    def fetch_ends(self, address: ir.Value, n: ir.Value) -> None:
        """Ask for the lines that the next row begins and ends in, if others go past the cache.

        Where ends have formulas of their own, these lines are written in parts, so memory has to
        be read first. Until it answers, all later lines wait. The next row lies behind this one.
        """
        build, spec = self.build, self.spec
        if not (spec.streams and (spec.lower or spec.upper)):
            return
        lower, upper = (WORD(self.size * len(ends)) for ends in (spec.lower, spec.upper))
        stop = build.add(build.add(address, build.mul(n, WORD(self.size))), upper)
        length = build.add(build.sub(stop, address), lower)
        self.prefetch(stop, is_written=True)
        self.prefetch(build.sub(build.add(stop, length), WORD(1)), is_written=True)

    def fetch_ahead(self, operands: Sequence[Operand]) -> None:
        """Ask for the lines that will be needed next and are not in the cache yet."""
        for k in self.spec.leads:
            self.prefetch(self.build.add(self.locate(operands[k]), WORD(AHEAD)))

    def prefetch(self, address: ir.Value, is_written: bool = False) -> None:
        """Ask for the line at an address, which need not be anyone's."""
        pointer = self.build.inttoptr(address, ir.IntType(8).as_pointer())
        arguments = [pointer, INT(int(is_written)), INT(3), INT(1)]  # to be used often; data
        self.build.call(self.declare("llvm.prefetch.p0", VOID, arguments), arguments)

    def write_line(self, operands: Sequence[Operand], line: ir.Value) -> None:
        """Write as many results as a line has, where the line begins `line` results further on.

        If that is not where they begin, some of them are in another line, too, and written twice.
        """
        build, address = self.build, self.locate(operands[0])
        total = self.compute(operands, self.spec.interior, self.lanes)
        if self.writes_twice:
            self.store(total, address)
            return
        is_whole = build.icmp_signed("==", line, WORD(0))
        with build.if_else(is_whole, likely=True) as (whole, part):
            with whole:
                self.store(total, address, LINE)
            with part:
                self.store_part(total, address, line)

    def write_results(
        self, operands: Sequence[Operand], parts: Sum, count: int, align: int = 1
    ) -> None:
        """Write `count` results, to an address that is known to be a multiple of `align`."""
        self.store(self.compute(operands, parts, count), self.locate(operands[0]), align)

    def compute(self, operands: Sequence[Operand], parts: Sum, count: int) -> ir.Value:
        """Return `count` results as they are stored."""
        begun = self.load_begun(self.locate(operands[0]), count)
        total = self.combine(operands[1:], parts, count, begun)
        if self.spec.result in HALVES:
            total = self.round_to_half(total, self.spec.result, count)
        return self.swap_bytes(total) if self.spec.swaps_results else total

    def store(self, total: ir.Value, address: ir.Value, align: int = 1) -> None:
        """Store results at an address, whole lines past the cache if that is worth while."""
        store = self.build.store(total, self.build.inttoptr(address, total.type.as_pointer()))
        store.align = align
        # Parts of a line go through the cache: past it, where loads that miss take the buffers
        # before the line is whole, each part goes to memory by itself.
        if self.spec.streams and align == LINE:
            store.set_metadata("nontemporal", self.module.add_metadata([INT(1)]))

    def store_part(self, total: ir.Value, address: ir.Value, line: ir.Value) -> None:
        """Store those results that lie in the line which is `line` results further on.

        They go through a buffer, one by one: a vector that is stored by a mask meets two lines, and
        one that is moved within the buffer first cannot be loaded before it has left the core.
        """
        build, zero, length = self.build, WORD(0), WORD(self.lanes)
        source = build.ptrtoint(self.buffer, WORD)
        build.store(total, build.inttoptr(source, total.type.as_pointer())).align = LINE
        start = build.select(build.icmp_signed("<", zero, line), line, zero)
        stop = build.add(line, length)
        stop = build.select(build.icmp_signed("<", stop, length), stop, length)
        kind = ir.IntType(8 * self.size)
        with self.loop(start, stop) as i:
            step = build.mul(i, WORD(self.size))
            result = self.load(build.add(source, step), kind)
            place = build.inttoptr(build.add(address, step), kind.as_pointer())
            build.store(result, place).align = 1

    def load_begun(self, address: ir.Value, count: int) -> ir.Value | None:
        """Return what the parts are added to, if that is there already."""
        if not self.spec.is_begun:
            return None
        is_real = self.spec.is_norm
        kind = type_of(count, REAL[self.real]) if is_real else self.vector(self.real, count)
        begun = self.load(address, kind)
        return self.swap_bytes(begun) if self.spec.swaps_results else begun

    def combine(
        self, operands: Sequence[Operand], parts: Sum, count: int, total: ir.Value | None
    ) -> ir.Value:
        """Return `count` results: a total and the parts, from left to right, or their norm."""
        remaining, is_norm = iter(operands), self.spec.is_norm
        for part in parts:
            part_operands = [*islice(remaining, len(part.operands))]
            if isinstance(part, Choice):
                value = self.choose(part, part_operands, count)
            else:
                value = self.differentiate(part, part_operands, count)
            if is_norm:
                value = self.square(value, count)
            total = self.add(total, value, 1 if is_norm else part.sign)
        return self.take_root(total) if is_norm and not self.spec.is_open else total

    def differentiate(self, part: Part, operands: Sequence[Operand], count: int) -> ir.Value:
        """Return `count` values of one part, rounded to the precision of the results."""
        build, n, total = self.build, len(part.weights), None
        factors = (self.load_factor(operand, part, count) for operand in operands[n:])
        # Bare samples are added in their own precision, as NumPy does; weights bring theirs along.
        is_sum = not {"row", "each"} & {*part.weights}
        working = self.real if is_sum else part.arithmetic
        for operand, weight in zip(operands[:n], part.weights, strict=True):
            value = self.convert(self.load_samples(operand, count), working, count)
            if weight not in "+-":
                value = self.multiply(next(factors), value)
            total = self.add(total, value, -1 if weight == "-" else 1)
        if part.constant:
            constant = self.convert(next(factors), working, count)
            total = build.fadd(total, self.make_real(constant) if self.is_complex else constant)
        if part.divisor:
            combine = self.multiply if part.divisor == "inverse" else self.divide
            total = combine(next(factors), self.convert(total, part.arithmetic, count))
        return self.convert(total, self.real, count)

    def choose(self, choice: Choice, operands: Sequence[Operand], count: int) -> ir.Value:
        """Return `count` values of a masked term; once all are found, no more is computed."""
        build, n = self.build, choice.samples
        if self.is_whole:
            taps, part = choice.ranked[0]
            first_factors = operands[2 * n :][: len(part.operands) - len(taps)]
            return self.differentiate(part, [*(operands[k] for k in taps), *first_factors], count)
        factors = iter(operands[2 * n :])
        valid = cache(lambda k: self.load_valid(operands[n + k], count))  # when first needed
        kind = self.vector(self.real, count)
        nan = ir.Constant(REAL[self.real], math.nan)
        total = nan if kind == nan.type else ir.Constant(kind, [nan] * kind.count)
        missing, found = valid(0), build.append_basic_block("found")
        totals = []
        for taps, part in choice.ranked:
            is_open = reduce(build.and_, map(valid, taps), missing)
            samples = [operands[k] for k in taps]
            part_factors = islice(factors, len(part.operands) - len(taps))
            value = self.differentiate(part, [*samples, *part_factors], count)
            total = build.select(self.widen(is_open, count), value, total)
            missing = build.and_(missing, build.not_(is_open))
            totals.append((total, build.block))
            # Most vectors are complete after the first part: a jump is cheaper than all the others.
            further = build.append_basic_block("further")
            build.cbranch(self.is_any(missing), further, found)
            build.position_at_end(further)
        totals.append((total, build.block))
        build.branch(found)
        build.position_at_end(found)
        value = build.phi(kind)
        for total, block in totals:
            value.add_incoming(total, block)
        return value

    # ---- Operands: where they lie, and how they become numbers

    def locate(self, operand: Operand) -> ir.Value:
        """Return the address of an operand, worked out where it is needed and not before."""
        if operand.steps is None:
            return operand.address
        return self.build.add(operand.address, self.build.mul(operand.steps, operand.step))

    def load_factors(self, operands: Sequence[Operand], parts: Sum) -> list[Operand]:
        """Return operands with those factors loaded that are the same all along a row."""
        remaining, loaded = iter(operands[1:]), [operands[0]]
        for part in parts:
            loaded += [
                operand._replace(factor=self.load(operand.address, REAL[part.arithmetic]))
                if operand.kind == "row" and k < part.often
                else operand
                for k, operand in enumerate(islice(remaining, len(part.operands)))
            ]
        return loaded

    def load_valid(self, operand: Operand, count: int) -> ir.Value:
        """Return for each of `count` samples whether it is valid."""
        kind = type_of(count, ir.IntType(8))
        stored = self.load_lanes(operand, count, kind, 1, self.spec.spreads)
        return self.build.icmp_unsigned("!=", stored, ir.Constant(stored.type, None))

    def load_samples(self, operand: Operand, count: int) -> ir.Value:
        """Return `count` samples as they are stored, but integers and half precision as floats."""
        kind = self.spec.sample
        size, is_integer = int(kind[1:]), kind[0] in "iu"
        if is_integer:
            stored = type_of(count, ir.IntType(8 * size))
        elif kind in HALVES:
            stored = type_of(count, HALVES[kind])
        else:
            stored = self.vector(REAL_PART.get(kind, kind), count)
        samples = self.load_lanes(operand, count, stored, size, self.spec.gathers)
        if self.spec.swaps_samples:
            samples = self.swap_bytes(samples)
        if kind in HALVES:
            return self.widen_half(samples, kind, count)
        if not is_integer:
            return samples
        to_float = self.build.sitofp if kind[0] == "i" else self.build.uitofp
        return to_float(samples, self.vector("f8", count))

    def load_lanes(
        self, operand: Operand, count: int, kind: ir.Type, size: int, is_apart: bool
    ) -> ir.Value:
        """Return `count` values of `size` bytes, which lie apart or side by side.

        Those that lie apart are loaded one by one, in pieces that fit a register.
        """
        if count == 1 or not is_apart:
            return self.load(self.locate(operand), kind)
        build = self.build
        width = min(size, 8)
        piece = ir.IntType(8 * width)
        pieces = ir.Constant(ir.VectorType(piece, count * size // width), ir.Undefined)
        address = self.locate(operand)
        for i in range(count):
            for k in range(size // width):
                place = build.add(address, WORD(k * width))
                lane = INT(i * (size // width) + k)
                pieces = build.insert_element(pieces, self.load(place, piece), lane)
            address = build.add(address, operand.step)
        return build.bitcast(pieces, kind)

    def load_factor(self, operand: Operand, part: Part, count: int) -> ir.Value:
        """Return a factor for each of `count` results, in both lanes of complex ones."""
        lanes = count * (1 + self.is_complex)
        factor = operand.factor
        if factor is None:
            is_each = operand.kind == "each"
            address = self.locate(operand) if is_each else operand.address
            factor = self.load(address, type_of(count if is_each else 1, REAL[part.arithmetic]))
        if lanes == 1:
            return factor
        if not isinstance(factor.type, ir.VectorType):
            single = ir.Constant(ir.VectorType(factor.type, 1), ir.Undefined)
            factor = self.build.insert_element(single, factor, INT(0))
        if factor.type.count == lanes:
            return factor
        return self.shuffle(factor, [i * factor.type.count // lanes for i in range(lanes)])
