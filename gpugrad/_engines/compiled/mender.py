"""Machine code that evaluates one result after the other, by formulas that are data."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache

from llvmlite import ir

from gpugrad._engines.compiled.arithmetic import REAL
from gpugrad._engines.compiled.llvm import WORD, LlvmFunction, compile_module

BIT = ir.IntType(8)


@lru_cache(maxsize=64)
def compile_mender(sample: str, result: str) -> Callable[[int, int, int], None]:
    """Return ``mend(layout, start, stop)``, which evaluates some results, without the GIL.

    The layout has the addresses of the field, of its mask, of where the results' samples lie in
    both, of their rows, of the results, of the offsets whose validity counts, of the formulas and
    of their samples; then the steps along the axis in the field and in its mask, and the numbers
    of offsets and of formulas.
    """
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
    mend: Callable[[int, int, int], None] = kind(
        compile_module(lambda module: _Mender(module, sample, result).write())
    )
    return mend


class _Mender(LlvmFunction):
    """The loop over results."""

    def __init__(self, module: ir.Module, sample: str, result: str) -> None:
        super().__init__(module, ir.VoidType(), 3)
        self.sample, self.real, self.size = sample, REAL[result], int(result[1:])

    def write(self) -> None:
        layout, start, stop = self.function.args
        words = [self.word(layout, k) for k in range(13)]
        (self.field, self.where, points, flags, rows, results, self.reach, self.formulas,
         self.samples, self.step, self.flag_step, self.offsets, self.ranks) = words  # fmt: skip
        with self.loop(start, stop) as i:
            point, flag, row = [self.load_at(a, i, 8, WORD) for a in (points, flags, rows)]
            self.write_result(point, row, self.list_valid(flag), self.at(results, i, self.size))
        self.build.ret_void()

    def at(self, address: ir.Value, i: ir.Value, size: int) -> ir.Value:
        return self.build.add(address, self.build.mul(i, WORD(size)))

    def load_at(self, address: ir.Value, i: ir.Value, size: int, kind: ir.Type) -> ir.Value:
        return self.load(self.at(address, i, size), kind)

    def list_valid(self, flag: ir.Value) -> ir.Value:
        """Return which samples within reach are valid, as bits."""
        build = self.build

        def add_bit(j: ir.Value, bits: ir.Value) -> ir.Value:
            offset = self.load_at(self.reach, j, 8, WORD)
            place = build.add(flag, build.mul(offset, self.flag_step))
            valid = build.zext(self.load(build.add(self.where, place), BIT), WORD)
            return build.or_(bits, build.shl(valid, j))

        return self.fold(self.offsets, WORD(0), add_bit)

    def write_result(
        self, point: ir.Value, row: ir.Value, valid: ir.Value, target: ir.Value
    ) -> None:
        """Write the value of the first formula that is open, if one is."""
        build = self.build
        before = build.block
        names = ("rank", "try", "open", "next", "done")
        head, attempt, is_open, following, done = map(build.append_basic_block, names)
        build.branch(head)
        build.position_at_end(head)
        rank = build.phi(WORD)
        rank.add_incoming(WORD(0), before)
        build.cbranch(build.icmp_signed("<", rank, self.ranks), attempt, done)
        build.position_at_end(attempt)
        formula = self.at(self.formulas, rank, 7 * 8)
        need = self.word(formula, 0)
        build.cbranch(build.icmp_signed("==", build.and_(valid, need), need), is_open, following)
        build.position_at_end(following)
        rank.add_incoming(build.add(rank, WORD(1)), following)
        build.branch(head)
        build.position_at_end(is_open)
        value = self.evaluate(formula, point, row)
        self.build.store(value, build.inttoptr(target, self.real.as_pointer())).align = 1
        build.branch(done)
        build.position_at_end(done)

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
            return self.load_at(self.field, place, size, REAL[self.sample])
        value = self.load_at(self.field, place, size, ir.IntType(8 * size))
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
