"""Programs of calls on other arrays than NumPy's plain ones, found by the class of the arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from gpugrad._arrays import Array
from gpugrad._stencils import Outputs


class Programs(Protocol):
    """What an engine has that prepares calls on arrays which come again."""

    def describe_field(self, f: Array) -> Hashable:
        """Return what a program depends on, of a field; None for one that no program takes."""

    def prepare(self, outputs: Outputs) -> Callable[..., tuple[Array, ...]] | None:
        """Return a function of the arrays of outputs, in the order of `distinct_arrays`.

        It takes all arrays that are like these, and returns an array for each output. None stands
        for outputs that no program takes.
        """

    def prepare_for_spacings(
        self, outputs: Outputs
    ) -> Callable[[Sequence[float]], Callable[..., tuple[Array, ...]]] | None:
        """Return what makes such functions for any spacings, given as ``h**order`` for each term.

        Outputs have spacings of 1. None stands for outputs whose plans have to be made anew.
        """


_ENGINES = {
    "jaxlib": "gpugrad._engines.jax.engine",
    "torch": "gpugrad._engines.torch.calls",
    "numpy": "gpugrad._engines.masked_calls",
}
"""Engines with programs, by the package in which a library defines its arrays with values.

Of NumPy's, plain arrays have no need of it.
"""


_found: dict[type, Programs] = {}


def find_programs(cls: Any) -> Programs | None:
    """Return the engine with programs for arrays of a class, or None."""
    engine = _found.get(cls)  # no cache of `functools`, of which traces of PyTorch warn
    if engine is not None:
        return engine
    name = _ENGINES.get(cls.__module__.partition(".")[0])
    if name is None:
        return None
    _found[cls] = engine = cast(Programs, import_module(name))
    return engine
