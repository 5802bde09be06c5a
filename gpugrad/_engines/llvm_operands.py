"""What a kernel reads: where it lies, and how it becomes a number or a vector of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir

from gpugrad._engines.llvm_functions import INT, WORD
from gpugrad._engines.llvm_recipes import Part, Recipe, Sum
from gpugrad._engines.llvm_vectors import REAL, REAL_PART, Vectors


class Operand(NamedTuple):
    """Where a kernel finds an operand in a row: at an address, and some `steps` further on."""

    kind: str
    address: ir.Value
    step: ir.Value
    factor: ir.Value | None = None
    steps: ir.Value | None = None


class Operands(Vectors):
    """A function that reads the operands of a recipe."""

    recipe: Recipe

    def locate(self, operand: Operand) -> ir.Value:
        """Return the address of an operand, worked out where it is needed and not before."""
        if operand.steps is None:
            return operand.address
        return self.build.add(operand.address, self.build.mul(operand.steps, operand.step))

    def load_factors(self, operands: Sequence[Operand], parts: Sum) -> list[Operand]:
        """Return operands with those factors loaded that are the same all along a row."""
        precisions = ["", *(part.arithmetic for part in parts for _ in part.operands)]
        often = [False, *(k < part.often for part in parts for k in range(len(part.operands)))]
        return [
            operand._replace(factor=self.load(operand.address, REAL[precision]))
            if operand.kind == "row" and is_often
            else operand
            for operand, precision, is_often in zip(operands, precisions, often, strict=True)
        ]

    def load_valid(self, operand: Operand, count: int) -> ir.Value:
        """Return for each of `count` samples whether it is valid."""
        byte = ir.IntType(8)
        if count == 1:
            stored = self.load(self.locate(operand), byte)
        elif self.recipe.spreads:
            stored = self.gather(operand, count, ir.VectorType(byte, count), 1)
        else:
            stored = self.load(self.locate(operand), ir.VectorType(byte, count))
        return self.build.icmp_unsigned("!=", stored, ir.Constant(stored.type, None))

    def load_samples(self, operand: Operand, count: int) -> ir.Value:
        """Return `count` samples as they are stored, but integers as floats."""
        kind = self.recipe.sample
        is_integer = kind[0] in "iu"
        if is_integer:
            integer = ir.IntType(8 * int(kind[1:]))
            stored = integer if count == 1 else ir.VectorType(integer, count)
        else:
            stored = self.vector(REAL_PART.get(kind, kind), count)
        if count > 1 and self.recipe.gathers:
            samples = self.gather(operand, count, stored, int(kind[1:]))
        else:
            samples = self.load(self.locate(operand), stored)
        if not is_integer:
            return samples
        to_float = self.build.sitofp if kind[0] == "i" else self.build.uitofp
        return to_float(samples, self.vector("f8", count))

    def gather(self, operand: Operand, count: int, kind: ir.VectorType, size: int) -> ir.Value:
        """Return what lies some way apart, `size` bytes each, loaded in pieces of a register."""
        build = self.build
        width = min(size, 8)
        piece = ir.IntType(8 * width)
        pieces = ir.Constant(ir.VectorType(piece, count * size // width), ir.Undefined)
        address = self.locate(operand)
        for i in range(count):
            for k in range(size // width):
                there = build.add(address, WORD(k * width))
                lane = INT(i * (size // width) + k)
                pieces = build.insert_element(pieces, self.load(there, piece), lane)
            address = build.add(address, operand.step)
        return build.bitcast(pieces, kind)

    def load_factor(self, operand: Operand, part: Part, count: int) -> ir.Value:
        """Return a factor for each of `count` results, in both lanes of complex ones."""
        lanes = count * (1 + self.is_complex)
        factor = operand.factor
        if factor is None:
            kind = REAL[part.arithmetic]
            many = count > 1 and operand.kind == "each"
            address = self.locate(operand) if operand.kind == "each" else operand.address
            factor = self.load(address, ir.VectorType(kind, count) if many else kind)
        if lanes == 1:
            return factor
        if not isinstance(factor.type, ir.VectorType):
            single = ir.Constant(ir.VectorType(factor.type, 1), ir.Undefined)
            factor = self.build.insert_element(single, factor, INT(0))
        if factor.type.count == lanes:
            return factor
        return self.shuffle(factor, [i * factor.type.count // lanes for i in range(lanes)])
