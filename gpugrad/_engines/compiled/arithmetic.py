"""Vectors of numbers, real or complex, and the arithmetic on them that NumPy does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llvmlite import ir

from gpugrad._engines.compiled.kernel_spec import KernelSpec, Part, Sum
from gpugrad._engines.compiled.llvm import INT, WORD, LlvmFunction

REAL = {"f4": ir.FloatType(), "f8": ir.DoubleType()}
REAL_PART = {"c8": "f4", "c16": "f8"}


class Vectors(LlvmFunction):
    """A function that computes with numbers of a dtype: one at a time, or in vectors.

    Complex numbers lie in two lanes each, the real part first. `real` is the dtype of a part.
    """

    real: str
    is_complex: bool

    def square(self, value: ir.Value, count: int) -> ir.Value:
        """Return the squared magnitudes of `count` values."""
        build, products = self.build, self.build.fmul(value, value)
        if not self.is_complex:
            return products
        if count == 1:
            return build.fadd(*(build.extract_element(products, INT(k)) for k in range(2)))
        return build.fadd(*(self.shuffle(products, range(k, 2 * count, 2)) for k in range(2)))

    def take_root(self, value: ir.Value) -> ir.Value:
        """Return square roots, correctly rounded, as every processor takes them."""
        lanes = f"v{value.type.count}" if isinstance(value.type, ir.VectorType) else ""
        name = f"llvm.sqrt.{lanes}f{8 * int(self.real[1:])}"
        return self.build.call(self.declare(name, value.type, [value]), [value])

    def declare(self, name: str, result: ir.Type, arguments: Sequence[ir.Value]) -> ir.Function:
        """Return a function of the compiler's own."""
        known = self.module.globals.get(name)
        if known is not None:
            return known
        kinds = [argument.type for argument in arguments]
        return ir.Function(self.module, ir.FunctionType(result, kinds), name)

    def widen(self, flags: ir.Value, count: int) -> ir.Value:
        """Return flags for both lanes of complex results."""
        if count == 1 or not self.is_complex:
            return flags
        return self.shuffle(flags, [i // 2 for i in range(2 * count)])

    def is_all(self, flags: ir.Value) -> ir.Value:
        """Tell whether all of some flags are set."""
        return self.build.not_(self.is_any(self.build.not_(flags)))

    def is_any(self, flags: ir.Value) -> ir.Value:
        """Tell whether any of some flags is set."""
        if not isinstance(flags.type, ir.VectorType):
            return flags
        bits = self.build.bitcast(flags, ir.IntType(flags.type.count))
        return self.build.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    def multiply(self, factor: ir.Value, value: ir.Value) -> ir.Value:
        """Return a real factor times a value, as NumPy does it: ``w + 0j`` times a complex one."""
        product = self.build.fmul(factor, value)
        if not self.is_complex:
            return product
        # (w a - 0 b) + (w b + 0 a) j: zeros that matter to infinities and to the sign of zero.
        return self.build.fadd(
            product, self.build.fmul(self.alternate(value.type, -0.0, 0.0), self.swap(value))
        )

    def divide(self, divisor: ir.Value, value: ir.Value) -> ir.Value:
        """Return a value over a real divisor, as NumPy does it: Smith's way for a complex one."""
        build = self.build
        if not self.is_complex:
            return build.fdiv(value, divisor)
        # With r = 0 / d: (a + b r) (1 / d) + (b - a r) (1 / d) j.
        kind = value.type
        ratio = build.fdiv(self.alternate(kind, 0.0, -0.0), divisor)
        total = build.fadd(value, build.fmul(self.swap(value), ratio))
        return build.fmul(total, build.fdiv(self.alternate(kind, 1.0, 1.0), divisor))

    def alternate(self, kind: ir.VectorType, real: float, imaginary: float) -> ir.Constant:
        """Return a constant with one value in the real lanes, one in the imaginary lanes."""
        return ir.Constant(kind, [kind.element(v) for v in (real, imaginary)] * (kind.count // 2))

    def swap(self, value: ir.Value) -> ir.Value:
        """Return complex values with real and imaginary parts exchanged."""
        return self.shuffle(value, [i ^ 1 for i in range(value.type.count)])

    def make_real(self, value: ir.Value) -> ir.Value:
        """Return values with zeros in the imaginary lanes."""
        n, zeros = value.type.count, ir.Constant(value.type, None)
        mask = ir.Constant(ir.VectorType(INT, n), [n if i % 2 else i for i in range(n)])
        return self.build.shuffle_vector(value, zeros, mask)

    def shuffle(self, value: ir.Value, lanes: Sequence[int]) -> ir.Value:
        mask = ir.Constant(ir.VectorType(INT, len(lanes)), [*lanes])
        return self.build.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)

    def vector(self, real: str, count: int) -> ir.Type:
        """Return the type that holds `count` results in a precision: a number, or a vector."""
        lanes = count * (1 + self.is_complex)
        return REAL[real] if lanes == 1 else ir.VectorType(REAL[real], lanes)

    def convert(self, value: ir.Value, real: str, count: int) -> ir.Value:
        """Return values in a precision."""
        kind = self.vector(real, count)
        if value.type == kind:
            return value
        return (self.build.fpext if real == "f8" else self.build.fptrunc)(value, kind)


class Operand(NamedTuple):
    """Where a kernel finds an operand in a row: at an address, and some `steps` further on."""

    kind: str
    address: ir.Value
    step: ir.Value
    factor: ir.Value | None = None
    steps: ir.Value | None = None


class Operands(Vectors):
    """A function that reads the operands of a recipe."""

    recipe: KernelSpec

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
