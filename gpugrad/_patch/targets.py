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
from gpugrad._patch.codes import PLACE, WITH_EDGE_ORDER, WITH_KEYWORDS
from gpugrad._patch.stand_ins import stand_in_for_cupy, stand_in_for_dask, stand_in_for_numpy
from gpugrad._patch.stand_ins_jax import stand_in_for_jax

StandIn = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Takes the function that is replaced, and returns what does its work."""


class CodeTarget:
    """The function `gradient` of a module, written in Python: its code is exchanged."""

    def __init__(self, library: str, code: CodeType, stand_in: StandIn) -> None:
        self.library = library
        self._code, self._stand_in = code, stand_in
        self._restore: Callable[[], None] | None = None

    def patch(self) -> None:
        """Exchange the code of the loaded library; a second time nothing changes."""
        gradient: Any = getattr(sys.modules[self.library], "gradient", None)
        if self._restore is not None or gradient is None:
            return
        function = getattr(gradient, "_implementation", gradient)  # beneath NumPy's dispatcher
        if not _takes_code(function, self._code):
            warn_caller(
                f"`{self.library}.gradient` is not patched: it has other parameters than in the "
                "releases that gpugrad knows. Call `gpugrad.gradient` in its place."
            )
            return
        code = function.__code__
        original = FunctionType(code, function.__globals__, function.__name__)
        original.__kwdefaults__ = function.__kwdefaults__
        ours = _fill_in(self._code, self._stand_in(original))

        def restore() -> None:
            if function.__code__ is ours:  # and not what somebody else has put in since
                function.__code__ = code

        function.__code__, self._restore = ours, restore

    def restore(self) -> None:
        """Bring back the code that was there."""
        if self._restore is not None:
            self._restore()
        self._restore = None


def _takes_code(function: Any, code: CodeType) -> bool:
    """Tell whether a function can have another code: it has its parameters, and no closure."""
    if not isinstance(function, FunctionType) or function.__code__.co_freevars:
        return False
    return _list_parameters(function.__code__) == _list_parameters(code)


def _list_parameters(code: CodeType) -> tuple[Any, ...]:
    stars = code.co_flags & 0x0C  # whether there are `*varargs` and `**kwargs`
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars.bit_count()]
    return code.co_argcount, stars, names


def _fill_in(code: CodeType, call: Callable[..., Any]) -> CodeType:
    """Return a code with what it calls in its place."""
    return code.replace(co_consts=tuple(call if c == PLACE else c for c in code.co_consts))


class NameTarget:
    """A function that is compiled: another one is put under its name, in all its modules."""

    def __init__(self, library: str, modules: tuple[str, ...], stand_in: StandIn) -> None:
        self.library = library
        self._modules, self._stand_in = modules, stand_in
        self._original: Any = None

    def patch(self) -> None:
        """Put in what stands in; it depends on who takes the calls that are refused."""
        if self._original is None:
            self._original = getattr(sys.modules.get(self._modules[0]), "gradient", None)
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
    CodeTarget("numpy", WITH_EDGE_ORDER, stand_in_for_numpy),
    CodeTarget("cupy", WITH_EDGE_ORDER, stand_in_for_cupy),
    CodeTarget("dask.array", WITH_KEYWORDS, stand_in_for_dask),
    # Its module of functions has it too, from where JAX's own modules may take it.
    NameTarget("jax", ("jax.numpy", "jax._src.numpy.lax_numpy"), stand_in_for_jax),
)
