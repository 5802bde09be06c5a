"""Machine code that finds results beside masked samples, and mends them by formulas as data."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
from llvmlite import ir

from gpugrad._engines.compiled.arithmetic import REAL
from gpugrad._engines.compiled.llvm import WORD, LlvmFunction, compile_module

BYTE = ir.IntType(8)

ALL_FLAGS = 0x0101010101010101
"""Eight flags that are set, one in each byte of a word."""


@lru_cache(maxsize=64)
def compile_mender(sample: str, result: str) -> Callable[[int, int, int], None]:
    """Return ``mend(layout, start, stop)``, which mends some parts of a box, without the GIL.

    The layout has the addresses of the parts and of the lines; the steps along a line in the
    field, in its mask, in the results and in the rows; the steps along the axis in the field and in
    its mask; and whether flags lie side by side. A part has the first and the last of its lines,
    the first and the last of their samples, the address and the number of the offsets whose
    validity counts and of the formulas, and the address of their samples. A line has where it
    begins in the field, in its mask and in the results, and its row.
    """
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
    mend: Callable[[int, int, int], None] = kind(
        compile_module(lambda module: _Mender(module, sample, result).write())
    )
    return mend


class _Mender(LlvmFunction):
    """The loops over parts, their lines, and eight samples of these at a time."""

    def __init__(self, module: ir.Module, sample: str, result: str) -> None:
        super().__init__(module, ir.VoidType(), 3)
        self.sample, self.real = sample, REAL[result]

    def write(self) -> None:
        layout, start, stop = self.function.args
        parts, lines, *steps, self.step, self.flag_step, self.is_packed = [
            self.word(layout, k) for k in range(9)
        ]
        self.steps = steps
        with self.loop(start, stop) as i:
            part = self.at(parts, i, 9 * 8)
            words = [self.word(part, k) for k in range(9)]
            first, last, low, high, self.reach, self.offsets = words[:6]
            self.formulas, self.ranks, self.samples = words[6:]
            with self.loop(first, last) as j:
                line = self.at(lines, j, 4 * 8)
                begin = [self.word(line, k) for k in range(4)]
                with self.loop(low, high, 8) as k:
                    left = self.build.sub(high, k)
                    is_whole = self.build.icmp_signed(">=", left, WORD(8))
                    count = self.build.select(is_whole, WORD(8), left)
                    self.write_some(self.move(begin, k), count)
        self.build.ret_void()

    def move(self, places: Sequence[ir.Value], i: ir.Value) -> list[ir.Value]:
        """Return the places some samples further along a line."""
        pairs = zip(places, self.steps, strict=True)
        return [self.build.add(at, self.build.mul(i, step)) for at, step in pairs]

    def at(self, address: ir.Value, i: ir.Value, size: int) -> ir.Value:
        return self.build.add(address, self.build.mul(i, WORD(size)))

    def write_some(self, places: Sequence[ir.Value], count: ir.Value) -> None:
        """Mend the results of up to eight samples in a line."""
        build, flag = self.build, places[1]
        valid = self.load_flags(flag, count)

        def restrict(k: ir.Value, flags: ir.Value) -> ir.Value:
            offset = self.word(self.at(self.samples, k, 3 * 8), 0)
            place = build.add(flag, build.mul(offset, self.flag_step))
            return build.and_(flags, self.load_flags(place, count))

        is_open = self.fold(self.word(self.formulas, 2), valid, restrict)
        unused = build.shl(build.sub(WORD(8), count), WORD(3))
        holes = build.xor(valid, build.lshr(WORD(ALL_FLAGS), unused))
        with self.each_flag(holes) as i:
            self.store(self.real(np.nan), self.move(places, i)[2])
        with self.each_flag(build.xor(valid, is_open)) as i:
            point, flag, target, row = self.move(places, i)
            self.store(self.choose(point, row, self.list_valid(flag)), target)

    def load_flags(self, flag: ir.Value, count: ir.Value) -> ir.Value:
        """Return the flags of up to eight samples, one in each byte."""
        build = self.build
        is_whole = build.icmp_signed("==", count, WORD(8))
        is_quick = build.and_(is_whole, build.icmp_signed("!=", self.is_packed, WORD(0)))
        with build.if_else(is_quick) as (quickly, one_by_one):
            with quickly:
                word, from_word = self.load(flag, WORD), build.block
            with one_by_one:

                def add_flag(i: ir.Value, flags: ir.Value) -> ir.Value:
                    place = build.add(flag, build.mul(i, self.steps[1]))
                    byte = build.zext(self.load(place, BYTE), WORD)
                    return build.or_(flags, build.shl(byte, build.shl(i, WORD(3))))

                gathered, from_bytes = self.fold(count, WORD(0), add_flag), build.block
        flags = build.phi(WORD)
        flags.add_incoming(word, from_word)
        flags.add_incoming(gathered, from_bytes)
        return flags

    @contextmanager
    def each_flag(self, flags: ir.Value) -> Iterator[ir.Value]:
        """Write a loop over the bytes of a word that are not zero, around the block."""
        build, before = self.build, self.build.block
        head, after = build.append_basic_block("flag"), build.append_basic_block("flags")
        build.cbranch(build.icmp_unsigned("!=", flags, WORD(0)), head, after)
        build.position_at_end(head)
        left = build.phi(WORD)
        left.add_incoming(flags, before)
        yield build.lshr(build.cttz(left, ir.IntType(1)(1)), WORD(3))
        fewer = build.and_(left, build.sub(left, WORD(1)))
        left.add_incoming(fewer, build.block)
        build.cbranch(build.icmp_unsigned("!=", fewer, WORD(0)), head, after)
        build.position_at_end(after)

    def store(self, value: ir.Value, target: ir.Value) -> None:
        self.build.store(value, self.build.inttoptr(target, self.real.as_pointer())).align = 1

    def list_valid(self, flag: ir.Value) -> ir.Value:
        """Return which samples within reach are valid, as bits."""
        build = self.build

        def add_bit(j: ir.Value, bits: ir.Value) -> ir.Value:
            offset = self.load(self.at(self.reach, j, 8), WORD)
            place = build.add(flag, build.mul(offset, self.flag_step))
            return build.or_(bits, build.shl(build.zext(self.load(place, BYTE), WORD), j))

        return self.fold(self.offsets, WORD(0), add_bit)

    def choose(self, point: ir.Value, row: ir.Value, valid: ir.Value) -> ir.Value:
        """Return the value of the first formula that is open, NaN if none is."""
        build = self.build
        before = build.block
        names = ("rank", "try", "open", "next", "done")
        head, attempt, is_open, following, done = map(build.append_basic_block, names)
        build.branch(head)
        build.position_at_end(head)
        rank = build.phi(WORD)
        rank.add_incoming(WORD(1), before)  # the first is not
        build.cbranch(build.icmp_signed("<", rank, self.ranks), attempt, done)
        build.position_at_end(attempt)
        formula = self.at(self.formulas, rank, 7 * 8)
        need = self.word(formula, 0)
        build.cbranch(build.icmp_signed("==", build.and_(valid, need), need), is_open, following)
        build.position_at_end(following)
        rank.add_incoming(build.add(rank, WORD(1)), following)
        build.branch(head)
        build.position_at_end(is_open)
        value, last = self.evaluate(formula, point, row), build.block
        build.branch(done)
        build.position_at_end(done)
        chosen = build.phi(self.real)
        chosen.add_incoming(self.real(np.nan), head)
        chosen.add_incoming(value, last)
        return chosen

    def evaluate(self, formula: ir.Value, point: ir.Value, row: ir.Value) -> ir.Value:
        """Return the value of a formula, rounded step by step."""
        build = self.build
        first, count = self.word(formula, 1), self.word(formula, 2)
        samples = self.at(self.samples, first, 3 * 8)

        def multiply(k: ir.Value) -> ir.Value:
            sample = self.at(samples, k, 3 * 8)
            place = build.add(point, build.mul(self.word(sample, 0), self.step))
            return build.fmul(self.load_number(sample, 1, row), self.load_sample(place))

        total = self.fold(
            count, multiply(WORD(0)), lambda k, total: build.fadd(total, multiply(k)), 1
        )
        total = build.fadd(total, self.load_number(formula, 5, row))
        return build.fdiv(total, self.load_number(formula, 3, row))

    def load_number(self, words: ir.Value, i: int, row: ir.Value) -> ir.Value:
        """Return the number of a row, whose address and step are two words of a table."""
        address = self.build.add(self.word(words, i), self.build.mul(row, self.word(words, i + 1)))
        return self.load(address, self.real)

    def load_sample(self, place: ir.Value) -> ir.Value:
        kind, size = self.sample[0], int(self.sample[1:])
        if kind == "f":
            return self.load(place, REAL[self.sample])
        value = self.load(place, ir.IntType(8 * size))
        return (self.build.sitofp if kind == "i" else self.build.uitofp)(value, self.real)

    def fold(
        self,
        count: ir.Value,
        value: ir.Value,
        change: Callable[[ir.Value, ir.Value], ir.Value],
        start: int = 0,
    ) -> ir.Value:
        """Return a value that was changed for each number from `start` up to `count`."""
        build, before = self.build, self.build.block
        head, after = build.append_basic_block("fold"), build.append_basic_block("folded")
        build.cbranch(build.icmp_signed("<", WORD(start), count), head, after)
        build.position_at_end(head)
        i, so_far = build.phi(WORD), build.phi(value.type)
        i.add_incoming(WORD(start), before)
        so_far.add_incoming(value, before)
        changed = change(i, so_far)
        following = build.add(i, WORD(1))
        i.add_incoming(following, build.block)
        so_far.add_incoming(changed, build.block)
        build.cbranch(build.icmp_signed("<", following, count), head, after)
        end = build.block
        build.position_at_end(after)
        result = build.phi(value.type)
        result.add_incoming(value, before)
        result.add_incoming(changed, end)
        return result
