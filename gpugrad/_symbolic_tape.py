"""A SymPy expression as a tape: one operation a line, each named, none of them text to execute.

The tape is what both the array libraries and CUDA are driven from (`_symbolic_run`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Operand = int | float
"""A slot of the tape, or a number: slots are of type int, numbers of type float."""

# SymPy's class: our name of the operation; of one argument, or of two where so written.
UNARY = {
    **{
        name: name
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh"),
            *("acosh", "atanh", "exp", "log", "sign", "floor", "erf", "erfc", "erfi", "erfinv"),
            *("gamma", "loggamma", "Ei", "Si", "Ci", "Shi", "Chi", "LambertW", "fresnels"),
            *("fresnelc", "airyai", "airybi", "airyaiprime", "airybiprime"),
            *("elliptic_k", "elliptic_e"),
        )
    },
    "Abs": "abs",
    "ceiling": "ceil",
}
BINARY = {"atan2", "besselj", "bessely", "besseli", "besselk", "polygamma"}
_RELATIONS = {
    "StrictLessThan": "lt",
    "LessThan": "le",
    "StrictGreaterThan": "gt",
    "GreaterThan": "ge",
    "Equality": "eq",
    "Unequality": "ne",
}
# What is an ordinary function of others.
_REWRITTEN = {
    **dict.fromkeys(("sec",), "cos"),
    **dict.fromkeys(("csc",), "sin"),
    **dict.fromkeys(("cot",), "tan"),
    **dict.fromkeys(("sech",), "cosh"),
    **dict.fromkeys(("csch",), "sinh"),
    **dict.fromkeys(("coth",), "tanh"),
}
_OF_THE_INVERSE = {"acot": "atan", "asec": "acos", "acsc": "asin", "acoth": "atanh"}


class Step(NamedTuple):
    """One operation: its name, its operands, and where the result goes is the step's own slot."""

    name: str
    operands: tuple[Operand, ...]


@dataclass
class Tape:
    """Slots 0 to inputs - 1 are the points; slot inputs + k is the result of step k."""

    inputs: int
    steps: list[Step] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The operations in use."""
        return {step.name for step in self.steps}


class UnsupportedError(ValueError):
    """An expression holds something that has no value at a point, or that nobody computes."""


def record(expressions: Sequence[Any], symbols: Sequence[Any]) -> Tape:
    """Turn expressions into a tape, with what they have in common computed once.

    Raises
    ------
    UnsupportedError
        If there is a function without a value: an unevaluated derivative, a delta, an unknown.
    """
    import sympy

    shared, rest = sympy.cse(list(expressions))
    recorder = _Recorder(sympy, symbols)
    for name, expression in shared:
        recorder.known[name] = recorder.operand(expression)
    recorder.tape.outputs = [recorder.operand(expression) for expression in rest]
    return recorder.tape


class _Recorder:
    """Walks expressions, and remembers in which slot each one's value is."""

    def __init__(self, sympy: Any, symbols: Sequence[Any]) -> None:
        self.sp = sympy
        self.known: dict[Any, Operand] = {symbol: k for k, symbol in enumerate(symbols)}
        self.made: dict[tuple[Any, ...], int] = {}
        self.tape = Tape(len(symbols))

    def step(self, name: str, *operands: Operand) -> int:
        step = Step(name, operands)
        # 1 and 1.0 are equal to a dict, but one is a slot.
        key = (name, *((type(o), o) for o in operands))
        if key not in self.made:
            self.tape.steps.append(step)
            self.made[key] = self.tape.inputs + len(self.tape.steps) - 1
        return self.made[key]

    def operand(self, e: Any) -> Operand:
        if e not in self.known:
            self.known[e] = self._record(e)
        return self.known[e]

    def _record(self, e: Any) -> Operand:
        sp = self.sp
        if isinstance(e, sp.Expr) and not e.free_symbols:
            return self.number(e)
        if isinstance(e, sp.logic.boolalg.Boolean) and not isinstance(e, sp.Symbol):
            return self.condition(e)
        if isinstance(e, sp.Add):
            return self.sum(e)
        if isinstance(e, sp.Mul):
            return self.product(e)
        if isinstance(e, (sp.Pow, sp.exp)):
            return self.power(e)
        if isinstance(e, sp.Piecewise):
            return self.pieces(e)
        name = type(e).__name__
        arguments = e.args
        if name in ("Max", "Min"):
            result = self.operand(arguments[0])
            for other in arguments[1:]:
                result = self.step("maximum" if name == "Max" else "minimum", result,
                                   self.operand(other))  # fmt: skip
            return result
        if name == "Heaviside":
            return self.step("heaviside", *map(self.operand, arguments))
        if name in UNARY and len(arguments) == 1:
            return self.step(UNARY[name], self.operand(arguments[0]))
        if name == "digamma":
            return self.step("polygamma", 0.0, self.operand(arguments[0]))
        if name in BINARY and len(arguments) == 2:
            if name != "atan2":
                self.check_order(e)
            return self.step(name, *map(self.operand, arguments))
        if name in _REWRITTEN:
            return self.step("divide", 1.0, self.step(_REWRITTEN[name], self.operand(arguments[0])))
        if name in _OF_THE_INVERSE:
            inverse = self.step("divide", 1.0, self.operand(arguments[0]))
            return self.step(_OF_THE_INVERSE[name], inverse)
        if name == "sinc":
            zero = self.step("eq", self.operand(arguments[0]), 0.0)
            ratio = self.operand(sp.sin(arguments[0]) / arguments[0])
            return self.step("where", zero, 1.0, ratio)
        if name in ("factorial", "beta"):
            return self.operand(e.rewrite(sp.gamma))
        raise UnsupportedError(_why_not(sp, e))

    def check_order(self, e: Any) -> None:
        order = e.args[0]
        if not order.is_Integer or (type(e).__name__ == "polygamma" and order < 0):
            raise UnsupportedError(f"{e} needs a whole number as its order; got {order}")

    def number(self, e: Any) -> float:
        try:
            value = complex(e.evalf(20))
        except (TypeError, ValueError, OverflowError):
            raise UnsupportedError(_why_not(self.sp, e)) from None
        if value.imag or value.real != value.real or abs(value.real) == float("inf"):
            raise UnsupportedError(f"{e} is not a finite real number")
        return value.real

    def sum(self, e: Any) -> Operand:
        result: Operand | None = None
        # Terms with a plus first: no step only to change a sign.
        ordered = sorted(e.as_ordered_terms(), key=lambda t: t.could_extract_minus_sign())
        for term in ordered:
            negative = result is not None and term.could_extract_minus_sign()
            value = self.operand(-term if negative else term)
            if result is None:
                result = value
            else:
                result = self.step("subtract" if negative else "add", result, value)
        assert result is not None
        return result

    def product(self, e: Any) -> Operand:
        above, below = e.as_numer_denom() if e.is_commutative else (e, self.sp.S.One)
        if below != 1 and not below.free_symbols:
            above, below = e, self.sp.S.One  # one factor, rounded once
        if below != 1:
            if isinstance(above / below, self.sp.Mul) and above != e:
                return self.step("divide", self.operand(above), self.operand(below))
            above = e
        coefficient, factors = above.as_coeff_mul()
        if coefficient == -1:
            return self.step("negative", self.multiply(factors))
        if coefficient == 1:
            return self.multiply(factors)
        return self.step("multiply", self.number(coefficient), self.multiply(factors))

    def multiply(self, factors: Sequence[Any]) -> Operand:
        result = self.operand(factors[0])
        for factor in factors[1:]:
            result = self.step("multiply", result, self.operand(factor))
        return result

    def power(self, e: Any) -> Operand:
        sp = self.sp
        if isinstance(e, sp.exp) or e.base == sp.E:
            return self.step("exp", self.operand(e.exp))
        base, exponent = e.base, e.exp
        if exponent.is_Rational and exponent < 0:
            return self.step("divide", 1.0, self.operand(base**-exponent))
        if exponent == sp.Rational(1, 2):
            return self.step("sqrt", self.operand(base))
        if exponent.is_Integer and exponent <= 64:
            return self.repeated(self.operand(base), int(exponent))
        if exponent.is_Rational and exponent.q == 2 and exponent.p <= 64:
            whole = self.repeated(self.operand(base), int(exponent.p // 2))
            return self.step("multiply", whole, self.step("sqrt", self.operand(base)))
        return self.step("pow", self.operand(base), self.operand(exponent))

    def repeated(self, base: Operand, exponent: int) -> Operand:
        """Multiply by squaring: exact to a few rounding errors, and quicker than a power."""
        if exponent == 1:
            return base
        half = self.repeated(base, exponent // 2)
        square = self.step("multiply", half, half)
        return self.step("multiply", square, base) if exponent % 2 else square

    def pieces(self, e: Any) -> Operand:
        result: Operand = float("nan")
        for value, condition in reversed(e.args):
            if condition == self.sp.true:
                result = self.operand(value)
            else:
                result = self.step("where", self.operand(condition), self.operand(value), result)
        return result

    def condition(self, c: Any) -> int:
        sp, name = self.sp, type(c).__name__
        if name in _RELATIONS:
            return self.step(_RELATIONS[name], self.operand(c.lhs), self.operand(c.rhs))
        if isinstance(c, (sp.And, sp.Or)):
            result = self.operand(c.args[0])
            for other in c.args[1:]:
                word = "and" if isinstance(c, sp.And) else "or"
                result = self.step(word, result, self.operand(other))
            return int(result)
        if isinstance(c, sp.Not):
            return self.step("not", self.operand(c.args[0]))
        raise UnsupportedError(f"the condition {c} is no comparison")


def _why_not(sp: Any, e: Any) -> str:
    if e.has(sp.DiracDelta):
        return (
            f"{e} is infinite where the function jumps and zero elsewhere, and has no value there. "
            "Differentiate the pieces by themselves: write them with Piecewise"
        )
    if isinstance(e, (sp.Derivative, sp.Subs)) or e.has(sp.Derivative):
        return f"SymPy knows no formula for {e}"
    return f"{e} holds {type(e).__name__}, which is no function of real numbers known here"
