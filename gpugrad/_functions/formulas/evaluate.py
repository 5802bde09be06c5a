"""Formulas as tapes: recorded from SymPy, run on arrays of any library, written as a CUDA kernel.

A tape has one operation a line, each named, none of them text to execute.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, library_of, namespace_of, place_of

Operand = int | float
"""A slot of the tape, or a number: slots are of type int, numbers of type float."""


class Operation(NamedTuple):
    """One operation: its name, its operands, and where the result goes is the step's own slot."""

    name: str
    operands: tuple[Operand, ...]


@dataclass
class Tape:
    """Slots 0 to inputs - 1 are the points; slot inputs + k is the result of step k."""

    inputs: int
    steps: list[Operation] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        """The operations in use."""
        return {step.name for step in self.steps}


class UnsupportedError(ValueError):
    """An expression holds something that has no value at a point, or that no library computes."""


# What operations are called: by SymPy, by array libraries, in C++.

_ELEMENTARY = (
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "exp", "log", "floor",
)  # fmt: skip
"""Functions that are called so by SymPy, by array libraries and in C++; and by us."""

# What is an ordinary function of others.
_RECIPROCALS = {"sec": "cos", "csc": "sin", "cot": "tan"}
_ONE_OVER = _RECIPROCALS | {f"{name}h": f"{other}h" for name, other in _RECIPROCALS.items()}
_OF_ONE_OVER = {"acot": "atan", "asec": "acos", "acsc": "asin", "acoth": "atanh"}

# Our name, which is that of C++ and, for relations, SymPy's `rel_op`: Python's operator.
_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&&": operator.and_,
    "||": operator.or_,
    "negative": operator.neg,
    "not": operator.invert,
}
_TRUTHS = {"<", "<=", ">", ">=", "==", "!=", "&&", "||", "not"}
_OF_NAMESPACES = {
    *(*_ELEMENTARY, "abs", "sign", "ceil", "sqrt", "maximum", "minimum", "pow", "atan2", "where")
}
_SPECIAL_MODULES = {
    "NumPy": "scipy.special",
    "CuPy": "cupyx.scipy.special",
    "JAX": "jax.scipy.special",
    "PyTorch": "torch.special",
}
# Ours to SciPy's name, which the others follow where they have the function.
_SPECIAL = {
    **{name: name for name in ("erf", "erfc", "erfi", "erfinv", "gamma", "polygamma")},
    **{f"bessel{kind}": f"{kind}v" for kind in "jyik"},
    "loggamma": "gammaln",
    "Ei": "expi",
    "elliptic_k": "ellipk",
    "elliptic_e": "ellipe",
}
# SciPy's functions that return several values, and what we call these.
_SEVERAL = {
    "sici": ("Si", "Ci"),
    "shichi": ("Shi", "Chi"),
    "fresnel": ("fresnels", "fresnelc"),
    "airy": ("airyai", "airyaiprime", "airybi", "airybiprime"),
}
_PLACES = {name: (function, k) for function, row in _SEVERAL.items() for k, name in enumerate(row)}

# SymPy's class: our name of the operation; of one argument, or of two where so written.
_UNARY = {
    **{name: name for name in (*_ELEMENTARY, *_SPECIAL, *_PLACES, "sign", "LambertW")},
    "Abs": "abs",
    "ceiling": "ceil",
}
_BINARY = {"atan2", "besselj", "bessely", "besseli", "besselk", "polygamma"}
_CHAINS = {"Max": "maximum", "Min": "minimum", "And": "&&", "Or": "||"}

# For CUDA, and for any compiler of C++ with <cmath>.
_CUDA = {
    **{name: f"{{0}} {name} {{1}}" for name in _OPERATORS},
    **{name: f"{name}({{0}})" for name in (*_ELEMENTARY, "ceil", "sqrt", "erf", "erfc")},
    "negative": "-{0}",
    "not": "!{0}",
    "abs": "fabs({0})",
    "gamma": "tgamma({0})",
    "loggamma": "lgamma({0})",
    "pow": "pow({0}, {1})",
    "atan2": "atan2({0}, {1})",
    "sign": "({0} != {0} ? {0} : T(({0} > T(0)) - ({0} < T(0))))",
    "maximum": "({0} != {0} || {0} > {1} ? {0} : {1})",
    "minimum": "({0} != {0} || {0} < {1} ? {0} : {1})",
    "heaviside": "({0} != {0} ? {0} : {0} > T(0) ? T(1) : {0} < T(0) ? T(0) : {1})",
    "where": "({0} ? {1} : {2})",
}


# From SymPy to a tape.


def record(expressions: Sequence[Any], symbols: Sequence[Any]) -> Tape:
    """Turn expressions into a tape that computes common subexpressions once.

    Raises
    ------
    UnsupportedError
        If there is a function without a value, or an unknown one.
    """
    import sympy

    # Common subexpressions are found once, before anything is recorded: SymPy sees more of them
    # than equal nodes alone, such as products with the same factors.
    shared, remaining = sympy.cse(list(expressions))
    recorder = _Recorder(sympy, symbols)
    numbers: dict[Any, Any] = {}
    for name, expression in shared:
        whole = expression.xreplace(numbers)
        if isinstance(whole, sympy.Expr) and not whole.free_symbols:
            numbers[name] = whole  # a number is rounded once, with all that is a number beside it
        else:
            recorder.slots[name] = recorder.operand(whole)
    recorder.tape.outputs = [recorder.operand(e.xreplace(numbers)) for e in remaining]
    return recorder.tape


class _Recorder:
    """Walks expressions, and remembers in which slot each one's value is."""

    def __init__(self, sympy: Any, symbols: Sequence[Any]) -> None:
        self.sp = sympy
        self.slots: dict[Any, Operand] = {symbol: k for k, symbol in enumerate(symbols)}
        self.made: dict[tuple[Any, ...], int] = {}
        self.tape = Tape(len(symbols))

    def step(self, name: str, *operands: Operand) -> int:
        # 1 and 1.0 are equal to a dict, but one is a slot.
        key = (name, *((type(o), o) for o in operands))
        if key not in self.made:
            self.made[key] = self.tape.inputs + len(self.tape.steps)
            self.tape.steps.append(Operation(name, operands))
        return self.made[key]

    def chain(self, name: str, arguments: Sequence[Any]) -> Operand:
        result = self.operand(arguments[0])
        for argument in arguments[1:]:
            result = self.step(name, result, self.operand(argument))
        return result

    def operand(self, e: Any) -> Operand:
        if e not in self.slots:
            self.slots[e] = self._record_expression(e)
        return self.slots[e]

    def _record_expression(self, e: Any) -> Operand:
        sp, name = self.sp, type(e).__name__
        if isinstance(e, sp.Expr) and not e.free_symbols:
            return self.number(e)
        if isinstance(e, sp.Add):
            return self.sum(e)
        if isinstance(e, sp.Mul):
            return self.product(e)
        if isinstance(e, (sp.Pow, sp.exp)):
            return self.power(e)
        if isinstance(e, sp.Piecewise):
            return self.pieces(e)
        if name in _CHAINS:
            return self.chain(_CHAINS[name], e.args)
        if isinstance(e, sp.Rel):
            return self.step(e.rel_op, *map(self.operand, e.args))
        if name == "Not":
            return self.step("not", self.operand(e.args[0]))
        if isinstance(e, sp.logic.boolalg.Boolean) and not isinstance(e, sp.Symbol):
            raise UnsupportedError(f"the condition {e} is no comparison")
        return self.function(e, name)

    def function(self, e: Any, name: str) -> Operand:
        count = len(e.args)
        first: Any = e.args[0] if count else None
        if name == "Heaviside":
            return self.step("heaviside", *map(self.operand, e.args))
        if name in _UNARY and count == 1:
            return self.step(_UNARY[name], self.operand(first))
        if name == "digamma":
            return self.step("polygamma", 0.0, self.operand(first))
        if name in _BINARY and count == 2:
            if name != "atan2" and not (first.is_Integer and (name != "polygamma" or first >= 0)):
                raise UnsupportedError(f"{e} needs a whole number as its order; got {first}")
            return self.step(name, *map(self.operand, e.args))
        if name in _ONE_OVER:
            return self.step("/", 1.0, self.step(_ONE_OVER[name], self.operand(first)))
        if name in _OF_ONE_OVER:
            return self.step(_OF_ONE_OVER[name], self.step("/", 1.0, self.operand(first)))
        if name == "sinc":
            zero = self.step("==", self.operand(first), 0.0)
            return self.step("where", zero, 1.0, self.operand(self.sp.sin(first) / first))
        if name in ("factorial", "beta"):
            return self.operand(e.rewrite(self.sp.gamma))
        raise _refuse_function(e)

    def number(self, e: Any) -> float:
        try:
            value = complex(e.evalf(20))
        except (TypeError, ValueError, OverflowError):
            raise _refuse_function(e) from None
        if value.imag or value.real != value.real or abs(value.real) == float("inf"):
            raise UnsupportedError(f"{e} is not a finite real number")
        return value.real

    def sum(self, e: Any) -> Operand:
        # Terms with a plus first: no step only to change a sign.
        first, *further_terms = sorted(
            e.as_ordered_terms(), key=lambda t: t.could_extract_minus_sign()
        )
        result = self.operand(first)
        for term in further_terms:
            negative = term.could_extract_minus_sign()
            value = self.operand(-term if negative else term)
            result = self.step("-" if negative else "+", result, value)
        return result

    def product(self, e: Any) -> Operand:
        above, below = e.as_numer_denom() if e.is_commutative else (e, self.sp.S.One)
        # What is divided by a number is one factor, rounded once.
        if below.free_symbols and above != e and isinstance(above / below, self.sp.Mul):
            return self.step("/", self.operand(above), self.operand(below))
        coefficient, factors = (e if below != 1 else above).as_coeff_mul()
        product = self.chain("*", factors)
        if coefficient == -1:
            return self.step("negative", product)
        if coefficient == 1:
            return product
        return self.step("*", self.number(coefficient), product)

    def power(self, e: Any) -> Operand:
        sp = self.sp
        if isinstance(e, sp.exp) or e.base == sp.E:
            return self.step("exp", self.operand(e.exp))
        base, exponent = e.base, e.exp
        # The power below the line is then one of the next cases, made of multiplications.
        if exponent.is_Rational and exponent < 0:
            return self.step("/", 1.0, self.operand(base**-exponent))
        if exponent == sp.Rational(1, 2):
            return self.step("sqrt", self.operand(base))
        if exponent.is_Integer and exponent <= 64:
            return self.whole_power(self.operand(base), int(exponent))
        if exponent.is_Rational and exponent.q == 2 and exponent.p <= 64:
            whole = self.whole_power(self.operand(base), int(exponent.p // 2))
            return self.step("*", whole, self.step("sqrt", self.operand(base)))
        return self.step("pow", self.operand(base), self.operand(exponent))

    def whole_power(self, base: Operand, exponent: int) -> Operand:
        """Multiply by squaring: exact to a few rounding errors, and quicker than a power."""
        if exponent == 1:
            return base
        root = self.whole_power(base, exponent // 2)
        square = self.step("*", root, root)
        return self.step("*", square, base) if exponent % 2 else square

    def pieces(self, e: Any) -> Operand:
        result: Operand = float("nan")
        # From the last piece to the first: the first condition that holds must win.
        for value, condition in reversed(e.args):
            if condition == self.sp.true:
                result = self.operand(value)
            else:
                result = self.step("where", self.operand(condition), self.operand(value), result)
        return result


def _refuse_function(e: Any) -> UnsupportedError:
    name = type(e).__name__
    return UnsupportedError(f"{e} holds {name}, which is no function of real numbers known here")


# A tape on arrays.


def evaluate(tape: Tape, points: Sequence[Array]) -> list[Array]:
    """Run a tape on arrays of one library, dtype and shape; a constant comes in that shape too.

    Where pieces are chosen from, those not chosen may be undefined, and warn of nothing.
    """
    first = points[0]
    xp, library = namespace_of(first), library_of(first)
    place = place_of(first)

    def number(value: float) -> Array:
        return xp.asarray(value, dtype=first.dtype, **place)

    def call(name: str, values: list[Any]) -> Any:
        if name in _OPERATORS:
            return _OPERATORS[name](*values)
        arrays = [number(v) if isinstance(v, float) else v for v in values]
        if name in _OF_NAMESPACES:
            return getattr(xp, name)(*arrays)
        if name == "heaviside":
            x, middle = arrays
            step = xp.where(x > 0, number(1.0), xp.where(x < 0, number(0.0), middle))
            # NaN is neither above nor below 0, and must stay NaN.
            return xp.where(x == x, step, x)
        return _find_special(name, values[0], library)(*arrays)

    slots = list(points)
    with np.errstate(all="ignore") if "where" in tape.names else nullcontext():
        for step in tape.steps:
            values = [slots[o] if type(o) is int else o for o in step.operands]
            slots.append(call(step.name, values))
    return [
        slots[o] if type(o) is int else xp.full(first.shape, o, dtype=first.dtype, **place)
        for o in tape.outputs
    ]


def _find_special(name: str, order: Any, library: str) -> Callable[..., Any]:
    """Return a library's own special function; raise, naming both, where it has none.

    `order` is the first operand: the order of functions that have one, a number.
    """
    missing = UnsupportedError(
        f"{library} has no function for {name}. Pass NumPy arrays, which have SciPy's"
    )
    if library not in _SPECIAL_MODULES:
        raise missing
    try:
        special = import_module(_SPECIAL_MODULES[library])
    except ImportError:
        raise ImportError(
            f'The function {name} on {library} arrays needs SciPy: pip install "gpugrad[symbolic]".'
        ) from None
    if name == "polygamma" and order == 0.0:
        digamma = getattr(special, "digamma", None) or special.psi
        return lambda _, x: digamma(x)
    if name == "polygamma" and library == "PyTorch":
        return lambda _, x: special.polygamma(int(order), x)
    if name == "gamma" and library == "PyTorch":
        return _torch_gamma
    if name == "erfi" and library != "NumPy":
        raise missing
    if name.startswith("bessel") and order in (0.0, 1.0):  # some lack any other order
        kind, modified = name[-1], "modified_" if name[-1] in "ik" else ""
        for spelling in (f"{kind}{order:.0f}", f"{modified}bessel_{kind}{order:.0f}"):
            if hasattr(special, spelling):
                of_this_order = getattr(special, spelling)
                return lambda _, x: of_this_order(x)
    if name == "LambertW" and library == "NumPy":
        return lambda x: special.lambertw(x).real
    if name in _PLACES and library == "NumPy":
        scipy_name, position = _PLACES[name]
        return lambda x: getattr(special, scipy_name)(x)[position]
    function = getattr(special, _SPECIAL.get(name, ""), None)
    if function is None:
        raise missing
    return function  # type: ignore[no-any-return]


def _torch_gamma(x: Array) -> Array:
    """Compute the gamma function from its logarithm; PyTorch has nothing else."""
    torch = sys.modules["torch"]
    size = torch.exp(torch.special.gammaln(x))
    odd = torch.remainder(torch.floor(x), 2) == 1
    return torch.where((x < 0) & odd, -size, size)


# A tape as a kernel.


def cuda_body(tape: Tape) -> str | None:
    """Write a tape as C++ for CUDA, with all outputs in one kernel; None where it cannot be.

    Points are ``x0, x1, ...`` and outputs ``g0, g1, ...``, of type ``T``. No name and no text of
    the user's gets into the code.
    """
    lines = []
    for slot, step in enumerate(tape.steps, tape.inputs):
        operands = [_spell_operand(o, tape.inputs) for o in step.operands]
        if step.name in ("besselj", "bessely"):
            order = step.operands[0]
            text = f"T({step.name[-1]}n({int(order)}, double({operands[1]})))"
        elif step.name in _CUDA:
            text = _CUDA[step.name].format(*operands)
        else:
            return None
        lines.append(f"const {'bool' if step.name in _TRUTHS else 'T'} t{slot} = {text};")
    lines += [f"g{k} = {_spell_operand(o, tape.inputs)};" for k, o in enumerate(tape.outputs)]
    return "\n".join(lines)


def _spell_operand(operand: Operand, inputs: int) -> str:
    if type(operand) is int:
        return f"x{operand}" if operand < inputs else f"t{operand}"
    if operand != operand:
        return 'T(nan(""))'
    return f"T({float(operand)!r})"


def make_kernel(tape: Tape) -> Callable[..., Any] | None:
    """Return CuPy's kernel for a tape, compiled at its first call for each dtype, or None."""
    body = cuda_body(tape)
    if body is None:
        return None
    import cupy

    kernel: Callable[..., Any] = cupy.ElementwiseKernel(
        ", ".join(f"T x{k}" for k in range(tape.inputs)),
        ", ".join(f"T g{k}" for k in range(len(tape.outputs))),
        body,
        "gpugrad_formula",
    )
    return kernel
