"""Tapes at work: on arrays of any library, and as the body of one CUDA kernel."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from gpugrad._arrays import Array
from gpugrad._symbolic_tape import Tape, UnsupportedError

_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
}
_STANDARD = {
    **{
        name: name
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh"),
            *("acosh", "atanh", "exp", "log", "abs", "sign", "floor", "ceil", "sqrt"),
            *("maximum", "minimum", "pow", "atan2", "where"),
        )
    },
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
    "loggamma": "gammaln",
    "Ei": "expi",
    "besselj": "jv",
    "bessely": "yv",
    "besseli": "iv",
    "besselk": "kv",
    "elliptic_k": "ellipk",
    "elliptic_e": "ellipe",
}
# Functions that return several values, or complex ones: SciPy's name and which value.
_PARTS = {
    "Si": ("sici", 0),
    "Ci": ("sici", 1),
    "Shi": ("shichi", 0),
    "Chi": ("shichi", 1),
    "fresnels": ("fresnel", 0),
    "fresnelc": ("fresnel", 1),
    "airyai": ("airy", 0),
    "airyaiprime": ("airy", 1),
    "airybi": ("airy", 2),
    "airybiprime": ("airy", 3),
}
# Bessel functions of single orders, for libraries that lack those of any order.
_ORDERS = {
    ("besselj", 0.0): ("j0", "bessel_j0"),
    ("besselj", 1.0): ("j1", "bessel_j1"),
    ("bessely", 0.0): ("y0", "bessel_y0"),
    ("bessely", 1.0): ("y1", "bessel_y1"),
    ("besseli", 0.0): ("i0", "modified_bessel_i0"),
    ("besseli", 1.0): ("i1", "modified_bessel_i1"),
    ("besselk", 0.0): ("k0", "modified_bessel_k0"),
    ("besselk", 1.0): ("k1", "modified_bessel_k1"),
}


def evaluate(
    tape: Tape,
    points: Sequence[Array],
    xp: ModuleType,
    library: str,
    number: Callable[[float], Array],
) -> list[Any]:
    """Run a tape on arrays of one dtype; outputs that are constants come as numbers.

    Where pieces are chosen from, those not chosen may be undefined, and warn of nothing.
    """
    if "where" in tape.names:
        with np.errstate(all="ignore"):
            return _evaluate(tape, points, xp, library, number)
    return _evaluate(tape, points, xp, library, number)


def _evaluate(
    tape: Tape,
    points: Sequence[Array],
    xp: ModuleType,
    library: str,
    number: Callable[[float], Array],
) -> list[Any]:
    slots: list[Any] = list(points)
    for step in tape.steps:
        values = [slots[o] if type(o) is int else o for o in step.operands]
        if step.name in _OPERATORS:
            slots.append(_OPERATORS[step.name](*values))
        else:
            slots.append(_call(step.name, values, xp, library, number))
    return [slots[o] if type(o) is int else o for o in tape.outputs]


def _call(
    name: str, values: list[Any], xp: ModuleType, library: str, number: Callable[[float], Array]
) -> Any:
    arrays = [number(v) if isinstance(v, float) else v for v in values]
    if name in _STANDARD:
        return getattr(xp, _STANDARD[name])(*arrays)
    if name == "heaviside":
        x, middle = arrays
        step = xp.where(x > 0, number(1.0), xp.where(x < 0, number(0.0), middle))
        return xp.where(x == x, step, x)
    return _find_special(name, values, library)(*arrays)


def _find_special(name: str, values: list[Any], library: str) -> Callable[..., Any]:
    """Return a library's own special function; raise, naming both, where it has none."""
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
    if name == "polygamma" and values[0] == 0.0:
        digamma = getattr(special, "digamma", None) or special.psi
        return lambda order, x: digamma(x)
    if name == "polygamma" and library == "PyTorch":
        return lambda order, x: special.polygamma(int(values[0]), x)
    if name == "gamma" and library == "PyTorch":
        return _torch_gamma
    if name == "erfi" and library != "NumPy":
        raise missing
    if name.startswith("bessel") and values[0] in (0.0, 1.0):
        for spelling in _ORDERS[name, values[0]]:
            if hasattr(special, spelling):
                of_this_order = getattr(special, spelling)
                return lambda order, x: of_this_order(x)
    if name == "LambertW" and library == "NumPy":
        return lambda x: special.lambertw(x).real
    if name in _PARTS and library == "NumPy":
        several, part = _PARTS[name]
        return lambda x: getattr(special, several)(x)[part]
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


# For CUDA, and for any compiler of C++ with <cmath>.
_CUDA = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "abs": "fabs({0})",
    "sign": "({0} != {0} ? {0} : T(({0} > T(0)) - ({0} < T(0))))",
    "maximum": "({0} != {0} || {0} > {1} ? {0} : {1})",
    "minimum": "({0} != {0} || {0} < {1} ? {0} : {1})",
    "heaviside": "({0} != {0} ? {0} : {0} > T(0) ? T(1) : {0} < T(0) ? T(0) : {1})",
    "where": "({0} ? {1} : {2})",
    "and": "{0} && {1}",
    "or": "{0} || {1}",
    "not": "!{0}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "gamma": "tgamma({0})",
    "loggamma": "lgamma({0})",
    **{
        name: f"{name}({{0}})"
        for name in (
            *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh"),
            *("acosh", "atanh", "exp", "log", "floor", "ceil", "sqrt", "erf", "erfc"),
        )
    },
    "pow": "pow({0}, {1})",
    "atan2": "atan2({0}, {1})",
}
_TRUTHS = {"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"}


def cuda_body(tape: Tape) -> str | None:
    """Write a tape as C++ for CUDA, with all outputs in one kernel; None where it cannot be.

    Points are ``x0, x1, ...`` and outputs ``g0, g1, ...``, of type ``T``. No name and no text of
    the user's gets into the code.
    """
    lines = []
    for slot, step in enumerate(tape.steps, tape.inputs):
        operands = [_spell(o, tape.inputs) for o in step.operands]
        if step.name in ("besselj", "bessely"):
            order = step.operands[0]
            text = f"T({step.name[-1]}n({int(order)}, double({operands[1]})))"
        elif step.name in _CUDA:
            text = _CUDA[step.name].format(*operands)
        else:
            return None
        lines.append(f"const {'bool' if step.name in _TRUTHS else 'T'} t{slot} = {text};")
    lines += [f"g{k} = {_spell(o, tape.inputs)};" for k, o in enumerate(tape.outputs)]
    return "\n".join(lines)


def _spell(operand: int | float, inputs: int) -> str:
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
