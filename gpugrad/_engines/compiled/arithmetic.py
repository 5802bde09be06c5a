"""Vectors of numbers, real or complex, and the arithmetic on them that NumPy does."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from gpugrad._engines.compiled.llvm import INT, LlvmFunction

REAL = {"f4": ir.FloatType(), "f8": ir.DoubleType()}
HALVES = {"f2": ir.HalfType(), "V2": ir.IntType(16)}
"""How half precision is stored: float16, and the bits of bfloat16, which NumPy lacks."""

REAL_PART = {"c8": "f4", "c16": "f8"}
WORKING = {**REAL_PART, **dict.fromkeys(HALVES, "f4")}
"""The precision in which numbers of other dtypes than real ones are added up."""


def type_of(count: int, kind: ir.Type) -> ir.Type:
    """Return the type of `count` numbers of a type: a number, or a vector."""
    return kind if count == 1 else ir.VectorType(kind, count)


class Vectors(LlvmFunction):
    """A function that computes with numbers of a dtype: one at a time, or in vectors.

    Complex numbers lie in two lanes each, the real part first. `real` is the dtype of a part.
    """

    real: str
    is_complex: bool

    def add(self, total: ir.Value | None, value: ir.Value, sign: int) -> ir.Value:
        """Return a total with a value added, or subtracted where `sign` is -1; None is no total."""
        if total is None:
            return value if sign == 1 else self.build.fneg(value)
        return (self.build.fadd if sign == 1 else self.build.fsub)(total, value)

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
        # With r = 0 / d: (a + b r) (1 / d) + (b - a r) (1 / d) j. Where d is zero, as a spacing is
        # that underflows, each part is divided by its magnitude: a / 0 + (b / 0) j.
        kind = value.type
        zeros = ir.Constant(kind, None)
        is_zero = build.fcmp_ordered("==", divisor, zeros)
        ratio = build.fdiv(self.alternate(kind, 0.0, -0.0), divisor)
        total = build.fadd(value, build.fmul(self.swap(value), ratio))
        total = build.select(is_zero, value, total)
        divisor = build.select(is_zero, zeros, divisor)
        return build.fmul(total, build.fdiv(self.alternate(kind, 1.0, 1.0), divisor))

    def alternate(self, kind: ir.VectorType, real: float, imaginary: float) -> ir.Constant:
        """Return a constant with one value in the real lanes, one in the imaginary lanes."""
        return ir.Constant(kind, [kind.element(v) for v in (real, imaginary)] * (kind.count // 2))

    def swap(self, value: ir.Value) -> ir.Value:
        """Return complex values with real and imaginary parts exchanged."""
        return self.shuffle(value, [i ^ 1 for i in range(value.type.count)])

    def swap_bytes(self, value: ir.Value) -> ir.Value:
        """Return numbers, or their real and imaginary parts, with their bytes in reverse order."""
        count = value.type.count if isinstance(value.type, ir.VectorType) else 1
        part = value.type.element if count > 1 else value.type
        size = part.width if isinstance(part, ir.IntType) else 64 if part == REAL["f8"] else 32
        bits = self.build.bitcast(value, type_of(count, ir.IntType(size)))
        lanes = f"v{count}" if count > 1 else ""
        swap = self.declare(f"llvm.bswap.{lanes}i{size}", bits.type, [bits])
        return self.build.bitcast(self.build.call(swap, [bits]), value.type)

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
        return type_of(count * (1 + self.is_complex), REAL[real])

    def convert(self, value: ir.Value, real: str, count: int) -> ir.Value:
        """Return values in a precision."""
        kind = self.vector(real, count)
        if value.type == kind:
            return value
        return (self.build.fpext if real == "f8" else self.build.fptrunc)(value, kind)

    def widen_half(self, stored: ir.Value, dtype: str, count: int) -> ir.Value:
        """Return numbers in half precision as floats."""
        build, kind = self.build, type_of(count, REAL["f4"])
        if dtype == "f2":
            return build.fpext(stored, kind)
        bits = build.zext(stored, type_of(count, INT))
        return build.bitcast(build.shl(bits, self.repeat(16, count)), kind)

    def round_to_half(self, value: ir.Value, dtype: str, count: int) -> ir.Value:
        """Return floats in half precision: the nearest, of two equally near ones the even one."""
        build, stored = self.build, type_of(count, HALVES[dtype])
        if dtype == "f2":
            return build.fptrunc(value, stored)
        # bfloat16 is the upper half of a float's bits. Up to half a step more is added to them.
        bits, half = build.bitcast(value, type_of(count, INT)), self.repeat(16, count)
        is_odd = build.and_(build.lshr(bits, half), self.repeat(1, count))
        added = build.add(build.add(bits, is_odd), self.repeat(0x7FFF, count))
        is_nan = build.fcmp_unordered("uno", value, value)
        rounded = build.select(is_nan, self.repeat(0x7FC00000, count), added)
        return build.trunc(build.lshr(rounded, half), stored)

    def repeat(self, number: int, count: int) -> ir.Constant:
        """Return a constant with an integer in each of some lanes."""
        return (
            INT(number) if count == 1 else ir.Constant(ir.VectorType(INT, count), [number] * count)
        )
