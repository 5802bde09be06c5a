"""Which functions are patched, a row each, and how: their code is exchanged, or their name.

A function whose code is exchanged stays the same object. So what was imported by name follows,
tables that other libraries key by the function find it, NumPy's dispatch to other libraries comes
first as ever, and when the code is back there is no trace.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from gpugrad._arrays import warn_caller
from gpugrad._patch.stand_ins import stand_in_for_cupy, stand_in_for_dask, stand_in_for_numpy
from gpugrad._patch.stand_ins_jax import stand_in_for_jax

StandIn = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes the function that is replaced, and returns what does its work."""

_PLACE = "what stands in"


# Codes to put in. They have the signature of what they replace, and no names in them, as those would
# be looked up in the other library: what they call takes the place of the constant.


def _with_edge_order(f, *varargs, axis=None, edge_order=1):  # type: ignore[no-untyped-def]
    call: Any = "what stands in"
    return call(f, varargs, axis, edge_order)


def _with_keywords(f, *varargs, axis=None, **kwargs):  # type: ignore[no-untyped-def]
    call: Any = "what stands in"
    return call(f, varargs, axis, kwargs)


class CodeTarget:
    """The function `gradient` of a module, written in Python: its code is exchanged."""

    def __init__(self, library: str, template: Callable[..., Any], stand_in: StandIn) -> None:
        self.library = library
        self._template, self._stand_in = template, stand_in
        self._restore: Callable[[], None] | None = None

    def patch(self) -> None:
        """Exchange the code, if the library is loaded; a second time nothing changes."""
        module = sys.modules.get(self.library)
        if self._restore is not None or not hasattr(module, "gradient"):
            return
        gradient: Any = module.gradient  # type: ignore[union-attr]
        function = getattr(gradient, "_implementation", gradient)  # beneath NumPy's dispatcher
        if not _has_parameters_of(self._template, function):
            warn_caller(
                f"`{self.library}.gradient` is not patched: it has other parameters than in the "
                "releases that gpugrad knows. Call `gpugrad.gradient` in its place."
            )
            return
        code = function.__code__
        original = FunctionType(code, function.__globals__, function.__name__)
        original.__kwdefaults__ = function.__kwdefaults__
        ours = _fill_in(self._template.__code__, self._stand_in(original))  # type: ignore[attr-defined]

        def restore() -> None:
            if function.__code__ is ours:  # and not what somebody else has put in since
                function.__code__ = code

        function.__code__, self._restore = ours, restore

    def restore(self) -> None:
        """Bring back the code that was there."""
        if self._restore is not None:
            self._restore()
        self._restore = None


def _has_parameters_of(template: Any, function: Any) -> bool:
    if not isinstance(function, FunctionType) or function.__code__.co_freevars:
        return False  # with a closure, it takes no code of another function
    return _list_parameters(function.__code__) == _list_parameters(template.__code__)


def _list_parameters(code: CodeType) -> tuple[Any, ...]:
    stars = code.co_flags & 0x0C  # whether there are `*varargs` and `**kwargs`
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars.bit_count()]
    return code.co_argcount, stars, names


def _fill_in(code: CodeType, call: Callable[..., Any]) -> CodeType:
    """Return a code with what it calls in the place of the constant, and the name of the other."""
    constants = tuple(call if constant == _PLACE else constant for constant in code.co_consts)
    return code.replace(co_consts=constants, co_name="gradient")


class NameTarget:
    """A function that is compiled: another one is put under its name, in all its modules."""

    def __init__(self, library: str, modules: tuple[str, ...], stand_in: StandIn) -> None:
        self.library = library
        self._modules, self._stand_in = modules, stand_in
        self._original: Any = None

    def patch(self) -> None:
        """Put in what stands in, if the library is loaded; again, where the answer to refusals differs."""
        if self.library not in sys.modules:
            return
        if self._original is None:
            self._original = getattr(sys.modules[self._modules[0]], "gradient", None)
        if self._original is not None:
            self._put(self._stand_in(self._original))

    def restore(self) -> None:
        """Bring back what was under the name."""
        if self._original is not None:
            self._put(self._original)
        self._original = None

    def _put(self, function: Any) -> None:
        for name in self._modules:
            module = sys.modules.get(name)
            if hasattr(module, "gradient"):
                module.gradient = function  # type: ignore[union-attr]


TARGETS: tuple[CodeTarget | NameTarget, ...] = (
    CodeTarget("numpy", _with_edge_order, stand_in_for_numpy),
    CodeTarget("cupy", _with_edge_order, stand_in_for_cupy),
    CodeTarget("dask.array", _with_keywords, stand_in_for_dask),
    # Its module of functions has it too, from where JAX's own modules may take it.
    NameTarget("jax", ("jax.numpy", "jax._src.numpy.lax_numpy"), stand_in_for_jax),
)
