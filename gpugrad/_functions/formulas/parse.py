"""Formulas written as text, read without executing anything: a grammar of its own, into SymPy.

SymPy's own ``sympify`` hands text to Python's ``eval``. Here a tokenizer knows numbers, names
and operators, a parser of the usual precedences calls SymPy's constructors from one table, and
what would make numbers explode is refused before it is built.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from gpugrad._functions.formulas.words import ALLOWED, Token, refuse_text, split_into_tokens

# Texts may come from strangers: each limit stops something that would take minutes or all memory.
MAX_LENGTH = 2000
MAX_DEPTH = 40
MAX_EXPONENT = 1000
MAX_BITS = 4096
MAX_ORDER = 100
"""Whole-number arguments of the gamma function, Bessel functions and the like."""

_COMPARISONS = {"<": "Lt", "<=": "Le", ">": "Gt", ">=": "Ge", "==": "Eq", "!=": "Ne"}
_WORDS = ("and", "or", "not", "True", "False")
_CHOICES = ("Piecewise", "where")
"""Functions whose arguments hold conditions."""

_OF_ONE_ARGUMENT = (
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec", "acsc",
    "sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh", "exp", "sqrt",
    "cbrt", "sign", "floor", "ceiling", "sinc", "LambertW", "erf", "erfc", "erfi", "erfinv",
    "gamma", "loggamma", "digamma", "factorial", "Ei", "Si", "Ci", "Shi", "Chi", "airyai",
    "airybi", "airyaiprime", "airybiprime", "elliptic_k", "elliptic_e", "fresnels", "fresnelc",
)  # fmt: skip
_OF_TWO_ARGUMENTS = ("atan2", "besselj", "bessely", "besseli", "besselk", "polygamma", "beta")

# name: (SymPy's name, how few and how many arguments)
FUNCTIONS: dict[str, tuple[str, int, int]] = {
    **{name: (name, 1, 1) for name in _OF_ONE_ARGUMENT},
    **{name: (name, 2, 2) for name in _OF_TWO_ARGUMENTS},
    **{f"arc{name}": (f"a{name}", 1, 1) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **dict.fromkeys(("ln", "log10", "log2"), ("log", 1, 1)),
    **{name: (name.capitalize(), 1, 8) for name in ("max", "Max", "min", "Min")},
    "log": ("log", 1, 2),
    "abs": ("Abs", 1, 1),
    "Abs": ("Abs", 1, 1),
    "arctan2": ("atan2", 2, 2),
    "ceil": ("ceiling", 1, 1),
    "Heaviside": ("Heaviside", 1, 2),
}
# SymPy works these out in whole numbers, of any length, if it can.
_EXPLOSIVE = {
    "gamma", "loggamma", "digamma", "polygamma", "factorial", "beta", "besselj", "bessely",
    "besseli", "besselk",
}  # fmt: skip
# These overflow float64 at arguments of some hundred.
_GROWING = {
    "exp", "sinh", "cosh", "tanh", "coth", "sech", "csch", "erfi", "Ei", "Shi", "Chi", "airybi",
}  # fmt: skip


def parse(text: str, symbols: Iterable[Any] = ()) -> Any:
    """Return the SymPy expression a text stands for; nothing in it is executed.

    `symbols` are the SymPy symbols to be found by name; any other name becomes a plain symbol.

    Raises
    ------
    ValueError
        If the text is no formula: the message has the position, what stands there, and what may.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"An expression may have at most {MAX_LENGTH} characters; got {len(text)}. "
            "Build longer ones with SymPy and pass the SymPy expression."
        )
    parser = _Parser(text, {symbol.name: symbol for symbol in symbols})
    expression = parser.sum()
    if parser.next.kind != "end":
        parser.refuse_what_follows()
    return expression


class _Parser:
    """A parser by recursive descent; each method reads one level of precedence."""

    def __init__(self, text: str, symbols: dict[str, Any]) -> None:
        import sympy

        self.sympy = sympy
        self.text, self.symbols = text, symbols
        self.tokens = split_into_tokens(text, symbols)
        self.index = self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def accept(self, *texts: str) -> Token | None:
        token = self.next
        if token.kind in ("operator", "name") and token.text in texts:
            self.index += 1
            return token
        return None

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.refuse_what_follows(f"{text!r} is missing before {self._show_next()}")

    def _show_next(self) -> str:
        return "the end" if self.next.kind == "end" else repr(self.next.text[:30])

    def refuse(self, token: Token, why: str, allowed: str = ALLOWED) -> NoReturn:
        refuse_text(self.text, token.start, why, allowed)

    def refuse_what_follows(self, otherwise: str = "") -> NoReturn:
        before, token = self.tokens[self.index - 1] if self.index else None, self.next
        values = ("number", "name", "fraction")
        ends = before and (before.kind in (*values, "superscript") or before.text == ")")
        starts = token.kind in (*values, "root") or token.text == "("
        if ends and starts and token.text not in _WORDS:
            self.refuse(
                token, f"an operator is missing before {self._show_next()}; write * to multiply"
            )
        self.refuse(token, otherwise or f"{self._show_next()} is not expected here")

    def nested(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """Read something one level deeper; Python's stack is not for strangers to fill."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.refuse(self.next, f"nested deeper than {MAX_DEPTH} levels")
        result = read(*arguments)
        self.depth -= 1
        return result

    def build(self, token: Token, make: Callable[..., Any], *arguments: Any) -> Any:
        """Call a constructor of SymPy; refuse numbers that no float64 holds, and non-numbers."""
        sp = self.sympy
        try:
            result = make(*arguments)
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            self.refuse(token, f"SymPy refuses {token.text!r} here: {error}")
        if isinstance(result, sp.Expr):
            if result.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
                self.refuse(token, f"{token.text!r} gives an undefined or infinite number")
            if result.has(sp.I):
                self.refuse(token, f"{token.text!r} gives a complex number", "real numbers")
            for number in result.atoms(sp.Number):
                if _count_bits(number) > MAX_BITS or (number.is_Float and _size_of(number) > 1e300):
                    self.refuse(token, f"{token.text!r} gives a number that is too large")
        return result

    def chain(self, read: Callable[[], Any], makers: dict[str, Callable[..., Any]]) -> Any:
        """Read operands of one precedence, and combine them from left to right."""
        result = read()
        while token := self.accept(*makers):
            result = self.build(token, makers[token.text], result, read())
        return result

    def sum(self) -> Any:
        return self.gather(self.product, self.sympy.Add, {"+": None, "-": operator.neg})

    def product(self) -> Any:
        return self.gather(self.signed, self.sympy.Mul, {"*": None, "/": self.invert})

    def gather(
        self, read: Callable[[], Any], make: Callable[..., Any], changes: dict[str, Any]
    ) -> Any:
        """Read operands of one precedence and combine all of them at once, which is faster."""
        operands, last = [read()], None
        while token := self.accept(*changes):
            operand, change = read(), changes[token.text]
            if token.text == "/" and operand.is_zero:
                self.refuse(token, "division by zero")
            operands.append(operand if change is None else change(operand))
            last = token
        return operands[0] if last is None else self.build(last, make, *operands)

    def invert(self, operand: Any) -> Any:
        return self.sympy.Pow(operand, -1)

    def signed(self) -> Any:
        token = self.accept("+", "-")
        if token is None:
            return self.power()
        value = self.nested(self.signed)
        return -value if token.text == "-" else value

    def power(self) -> Any:
        base = self.atom()
        raised = self.superscript()
        token = self.accept("**", "^")
        if raised is not None:
            if token is not None:
                self.refuse(token, "a power of a power may be read in two ways; write parentheses")
            exponent = self.sympy.Integer(int(raised.text))
            self.check_power(raised, base, exponent)
            return self.build(raised, self.sympy.Pow, base, exponent)
        if token is None:
            return base
        exponent = self.nested(self.signed)  # from right to left: 2**3**2 is 2**9
        self.check_power(token, base, exponent)
        return self.build(token, self.sympy.Pow, base, exponent)

    def superscript(self) -> Token | None:
        """Return a power that is written as in x², if there is one."""
        if self.next.kind != "superscript":
            return None
        self.index += 1
        return self.tokens[self.index - 1]

    def root(self, token: Token) -> Any:
        """Read what a sign of a root stands before: one number, name, call or parentheses."""
        value = self.nested(self.atom)
        if self.next.kind == "superscript" or self.next.text in ("**", "^"):
            self.refuse(
                self.next, f"what {token.text} and a power belong to may be read in two ways; "
                "write parentheses",
            )  # fmt: skip
        name = "sqrt" if token.text == "√" else "cbrt"
        return self.build(token, getattr(self.sympy, name), value)

    def check_power(self, token: Token, base: Any, exponent: Any) -> None:
        """Refuse what would become an enormous number, before SymPy computes it."""
        sp = self.sympy
        # SymPy works out powers of whole numbers at once: the limit must hold before the call.
        numbers = [exponent] if exponent.is_number else list(exponent.atoms(sp.Number))
        largest = max(map(_size_of, numbers), default=0.0)
        if largest > MAX_EXPONENT:
            self.refuse(token, f"the power is too large (at most {MAX_EXPONENT})")
        # Powers of powers multiply their exponents: each may be small, and the whole is not.
        inner = [_size_of(power.exp) for power in base.atoms(sp.Pow) if power.exp.is_number]
        bits = sum(_count_bits(number) for number in base.atoms(sp.Number))
        if max([1.0, *inner]) * largest > MAX_EXPONENT or bits * largest > MAX_BITS:
            self.refuse(token, f"powers of powers or of numbers grow too large: {MAX_EXPONENT}")

    def atom(self) -> Any:
        token = self.next
        if token.kind == "number":
            self.index += 1
            return self.number(token)
        if token.kind == "fraction":
            self.index += 1
            return self.sympy.Rational(token.text)
        if token.kind == "root":
            self.index += 1
            return self.root(token)
        if token.kind == "name" and token.text not in _WORDS:
            self.index += 1
            return self.call(token) if self.next.text == "(" else self.name(token)
        if self.accept("("):
            value = self.nested(self.sum)
            self.expect(")")
            return value
        return self.refuse_what_follows(
            f"{self._show_next()} stands where a number, a name or ( belongs"
        )

    def number(self, token: Token) -> Any:
        if len(token.text) > 60 or float(token.text) > 1e300:
            self.refuse(token, "a number is too large or has more than 60 characters")
        if token.text.isdigit():
            return self.sympy.Integer(int(token.text))
        return self.sympy.Float(float(token.text))

    def name(self, token: Token) -> Any:
        sp, name = self.sympy, token.text
        if name in self.symbols:
            return self.symbols[name]
        if name in ("pi", "E"):
            return getattr(sp, name)
        if name.startswith("_"):
            self.refuse(token, f"the name {name[:30]!r} begins with an underscore")
        if name in (*FUNCTIONS, *_CHOICES):
            self.refuse(token, f"the function {name!r} needs its argument: {name}(x)")
        if name in ("e", "I", "inf", "nan", "oo", "lambda", "if", "else", "for", "in", "is"):
            cure = {"e": "write E or exp(x) for Euler's number", "I": "formulas are real"}
            self.refuse(
                token, f"{name!r} is ambiguous or reserved ({cure.get(name, 'not a formula')}); "
                f"a symbol of this name must be listed among the symbols",
            )  # fmt: skip
        return sp.Symbol(name)

    def call(self, token: Token) -> Any:
        sp, name = self.sympy, token.text
        if name in self.symbols or name not in (*FUNCTIONS, *_CHOICES):
            if name in self.symbols or len(name) == 1:
                self.refuse(token, f"{name!r} is no function; write {name}*(...) to multiply")
            names = ", ".join(sorted((*FUNCTIONS, *_CHOICES), key=lambda n: (n.lower(), n)))
            self.refuse(token, f"unknown function {name[:30]!r}", f"the functions {names}")
        self.expect("(")
        if name in _CHOICES:
            return self.nested(self.where if name == "where" else self.piecewise, token)
        arguments = [self.nested(self.sum)]
        while self.accept(","):
            arguments.append(self.nested(self.sum))
        self.expect(")")
        target, fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            self.refuse(token, f"{name} takes {wanted} arguments; got {len(arguments)}")
        self.check_arguments(token, target, arguments)
        if name in ("log10", "log2"):
            arguments.append(sp.Integer(10 if name == "log10" else 2))
        return self.build(token, getattr(sp, target), *arguments)

    def check_arguments(self, token: Token, target: str, arguments: list[Any]) -> None:
        sp = self.sympy
        for argument in arguments:
            # Where a symbol-free number goes, and also n in gamma(x + n).
            numbers = [argument] if argument.is_number else argument.atoms(sp.Number)
            most = MAX_ORDER if target in _EXPLOSIVE else 1e300
            if any(_size_of(number) > most for number in numbers):
                self.refuse(token, f"an argument of {token.text} is too large (at most {most:g})")
            if target in _GROWING and argument.is_number and _size_of(argument) > 700:
                self.refuse(token, f"{token.text} of a number above 700 overflows")

    def where(self, token: Token) -> Any:
        condition = self.disjunction()
        self.expect(",")
        yes = self.sum()
        self.expect(",")
        no = self.sum()
        self.expect(")")
        return self.build(token, self.sympy.Piecewise, (yes, condition), (no, True))

    def piecewise(self, token: Token) -> Any:
        pieces = [self.piece()]
        while self.accept(","):
            pieces.append(self.piece())
        self.expect(")")
        return self.build(token, self.sympy.Piecewise, *pieces)

    def piece(self) -> tuple[Any, Any]:
        self.expect("(")
        value = self.sum()
        self.expect(",")
        condition = self.disjunction()
        self.expect(")")
        return value, condition

    def disjunction(self) -> Any:
        return self.chain(self.conjunction, {"or": self.sympy.Or})

    def conjunction(self) -> Any:
        return self.chain(self.comparison, {"and": self.sympy.And})

    def comparison(self) -> Any:
        sp = self.sympy
        if token := self.accept("not"):
            return self.build(token, sp.Not, self.nested(self.comparison))
        if token := self.accept("True", "False"):
            return sp.true if token.text == "True" else sp.false
        left, links = self.sum(), []  # x < y < z is x < y and y < z
        while token := self.accept(*_COMPARISONS):
            right = self.sum()
            links.append(self.build(token, getattr(sp, _COMPARISONS[token.text]), left, right))
            left = right
        if not links:
            self.refuse(self.next, "a condition is missing", "comparisons: < <= > >= == !=")
        return sp.And(*links)


def _count_bits(number: Any) -> int:
    """Count the bits of a rational number; a float has few."""
    return int(number.p).bit_length() + int(number.q).bit_length() - 1 if number.is_Rational else 1


def _size_of(number: Any) -> float:
    """Return how large a symbol-free expression is; infinite where it is beyond float64."""
    try:
        size = abs(complex(number.evalf(15)))
    except (TypeError, ValueError, ArithmeticError):
        return float("inf")
    return float("inf") if size != size else size
