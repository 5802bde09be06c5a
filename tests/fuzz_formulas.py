"""Random texts for the formulas: well-formed ones, damaged ones and hostile ones.

``python tests/fuzz_formulas.py --seconds 60 --seed 1`` prints how many texts were read, and how
many of them were executed as code, took longer than two seconds, ended in another error than
ValueError, or were read as something else than they say: all four must be 0.
"""

from __future__ import annotations

import argparse
import builtins
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import gpugrad

LONGEST = 2.0
BAD = ("executed", "too long", "crashed", "misread")
_NAMES = {"x": 0.7, "y": 1.3, "alpha_1": 0.4, "θ": 0.9}
_CANARY = "gpugrad_ran"

HOSTILE = (
    f"{_CANARY}()", f"__import__('{_CANARY}')", f"(lambda: {_CANARY}())()", f"x.{_CANARY}",
    f"[{_CANARY}() for x in (1,)]", f"f'{{{_CANARY}()}}'", f"(y := {_CANARY}())",
    f"x if {_CANARY}() else y", f"getattr(x, '{_CANARY}')", f"eval('{_CANARY}()')",
    f"exec('{_CANARY}()')", f"sin({_CANARY}())", f"where({_CANARY}(), x, y)",
    "().__class__.__bases__[0].__subclasses__()", "x.__class__.__mro__", "x\x00y", "x\ud800",
    "\u202ex+y", "x\u200b+y", "аx", "x#comment", "x;y", "x\\\n+y", "'x'", '"x"', "b'x'", "`x`",
    "x@y",
    "9**9**9", "x**9**9", "factorial(1000000)*x", "((x**999)**999)**999", "1e999*x", "x/0", "0/0*x",
    "gamma(x+100000)", "zoo*x", "nan*x", "oo*x", "I*x", "sqrt(-x*x-1)*sqrt(-2)", "log(0)*x",
    "x*floor(exp(exp(6)))", "besselj(100, x)**9", "min()", "max(x", "sin", "sin x", "x..y",
    "1.2.3*x",
    "", " ", "()", "(", ")", "+", "x+", "**x", ",", "x,y", "x<y", "Piecewise(x)", "where(x)",
    "x==y",
    "½½", "x²³²", "√√x", "²x", "×x", "x××y", "x−−y", "2x", "xπ", "x¹⁰⁰⁰⁰*y", "x⁻", "∛²x",
)  # fmt: skip
_DEEP: tuple[Callable[[int], str], ...] = (
    lambda n: "(" * n + "x" + ")" * n,
    lambda n: "sin(" * n + "x" + ")" * n,
    lambda n: "1/(1+" * n + "x" + ")" * n,
    lambda n: "abs(" * n + "x-1" + ")" * n,
    lambda n: "-" * n + "x",
    lambda n: "x" + "**x" * n,
    lambda n: "√" * n + "x",
    lambda n: "*".join(f"a{i}" for i in range(n)),
    lambda n: "+".join(f"a{i}*x" for i in range(n)),
    lambda n: "where(x<1," * n + "x" + ",y)" * n,
    lambda n: "max(x,y," * n + "x" + ")" * n,
    lambda n: "x²" + "²" * n,
)


def make_formula(rng: random.Random, depth: int) -> tuple[str, float]:
    """Return a well-formed formula and its value at the point of `_NAMES`."""
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.6:
            name = rng.choice([*_NAMES])
            return name, _NAMES[name]
        return rng.choice(
            [("2", 2.0), ("3.5", 3.5), ("½", 0.5), ("π", math.pi), ("pi", math.pi), ("1e-1", 0.1)]
        )
    a, value = make_formula(rng, depth - 1)
    b, other = make_formula(rng, depth - 1)
    kind = rng.randrange(9)
    if kind == 0:
        return f"({a} + {b})", value + other
    if kind == 1:
        return f"({a} {rng.choice('-−')} ({b}))", value - other
    if kind == 2:
        return f"({a}){rng.choice('*×·')}({b})", value * other
    if kind == 3:
        return f"({a}){rng.choice('/÷')}(({b})² + 1)", value / (other**2 + 1)
    if kind == 4:
        return f"({a}){rng.choice(['**2', '^2', '²'])}", value**2
    if kind == 5:
        return f"-({a})²", -(value**2)
    if kind == 6:
        return f"√(({a})² + 1)", math.sqrt(value**2 + 1)
    if kind == 7:
        name, function = rng.choice(
            [("sin", math.sin), ("cos", math.cos), ("atan", math.atan), ("tanh", math.tanh)]
        )
        return f"{name}({a})", function(value)
    return f"where({a} {rng.choice(['<=', '≤'])} {b}, {a}, {b})", min(value, other)


def damage(rng: random.Random, text: str) -> str:
    """Return a text of which some characters are other ones."""
    letters = list(text)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(letters) + 1)
        letters[place : place + rng.randrange(2)] = rng.choice(
            [
                *"()*/+-^,.<>=!_ x2e²½π√×−\x00'\"[]{}:;|\\",
                "**",
                "sin(",
                "\ud800",
                "а",
                "\u0301",
                "ｘ",
            ]
        )
    return "".join(letters)


def draw_text(rng: random.Random) -> tuple[str, float | None]:
    """Return a text, and its value where it is known."""
    kind = rng.random()
    if kind < 0.45:
        return make_formula(rng, rng.randrange(1, 5))
    if kind < 0.75:
        return damage(rng, make_formula(rng, rng.randrange(1, 4))[0]), None
    if kind < 0.9:
        hostile = rng.choice(HOSTILE)
        return rng.choice([hostile, f"x + ({hostile})", f"sin({hostile})", hostile * 2]), None
    return rng.choice(_DEEP)(rng.choice([1, 3, 11, 12, 39, 40, 100, 400, 3000])), None


def read(text: str, value: float | None, rng: random.Random) -> str:
    """Read a text by some operator, and return what came of it."""
    symbolic = gpugrad.symbolic
    try:
        if value is None:
            rng.choice([symbolic.gradient, symbolic.hessian, symbolic.laplacian])(text)
            return "read"
        # The derivative of t times a formula by t is the formula.
        formula = symbolic.derivative(f"t_0*({text})", *_NAMES, "t_0", by="t_0")
        got = float(formula(*_NAMES.values(), 1.0))
    except ValueError:
        return "refused"
    except Exception:  # noqa: BLE001 - that is what is looked for
        return "crashed"
    is_same = math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-9)
    return "read" if is_same else "misread"


def fuzz(seconds: float, seed: int, report: Callable[[str, str], Any] = lambda *_: None) -> Counter:
    """Read random texts for so long, and count what came of them; `report` gets the bad ones."""
    rng, counts, ran = random.Random(seed), Counter(dict.fromkeys(BAD, 0)), []

    def watch(event: str, arguments: Any) -> None:
        if event == "import" and arguments[0] == _CANARY:
            ran.append(event)

    sys.addaudithook(watch)
    setattr(builtins, _CANARY, lambda *arguments: ran.append(arguments))
    try:
        gpugrad.symbolic.gradient("x")  # imports what it needs
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            text, value = draw_text(rng)
            start = time.thread_time()  # of this program: others may be at work
            outcome = read(text, value, rng)
            if time.thread_time() - start > LONGEST:
                outcome = "too long"
            if ran:
                outcome = "executed"
                ran.clear()
            counts[outcome] += 1
            counts["texts"] += 1
            if outcome in BAD:
                report(outcome, text)
    finally:
        delattr(builtins, _CANARY)
    return counts


def main() -> None:
    """Fuzz as told by the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts = fuzz(options.seconds, options.seed, lambda what, text: print(what, ascii(text)))
    print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    sys.exit(any(counts[name] for name in BAD))


if __name__ == "__main__":
    main()
