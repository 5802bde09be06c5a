"""What an engine is: two functions of outputs, which a module has, and two that it may have.

An output is a sum of terms, or their norm; a term is a field with a plan. Whoever writes an engine
writes these functions, and one row of the table in `dispatch`. The suite then compares its results
with the results of `slices`, bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gpugrad._arrays import Array
from gpugrad._stencils import Outputs


class Engine(Protocol):
    """What every engine can do."""

    def evaluate(self, outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
        """Return an array for each output, in `out` if it is given.

        The arrays in `out` overlap with no field and not with each other.
        """

    def unsupported(self, outputs: Outputs) -> str | None:
        """Say why it cannot evaluate these, in words that fit after "it cannot run this: ".

        None says that it can: then `evaluate` does, and has the bits of `slices`.
        """


class StackingEngine(Engine, Protocol):
    """An engine that writes all outputs of a call into one array of the field's library."""

    def allocate_stack(self, f: Array, count: int) -> Array:
        """Return memory for as many results of a field, one after the other in one array."""


class SeamsEngine(Engine, Protocol):
    """An engine that takes terms with seams: rows that read samples of other arrays."""

    def evaluate_seams(self, outputs: Outputs) -> tuple[Array, ...] | None:
        """Evaluate outputs whose terms have seams; None sends the caller another way."""
