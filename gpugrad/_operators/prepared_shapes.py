"""Calls on small fields of many shapes, most of which come once, or a few times.

Steps that count from the nearer end of an axis are the same for all its lengths. So a call that is
prepared with them serves fields of any shape, and a new shape costs next to nothing. Only a shape
that has come `OFTEN` gets what is faster, and takes longer to make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import ge
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines.numpy_blocks import FLAT_SIZE
from gpugrad._engines.numpy_calls import BoundCall
from gpugrad._operators.prepared_calls import Bound, PreparedCall
from gpugrad._stencils import AxisPlan, Operator, list_formulas

OFTEN = 32
"""How often a shape comes before something is made for it alone."""

_MODELS = {1: 1000, 2: 60, 3: 15, 4: 8}
"""Lengths of axes for which calls are prepared, by the number of axes."""


class PreparedForShapes(PreparedCall):
    """An operator on NumPy's small fields of one dtype and number of axes, of nearly any shape.

    It takes what a `PreparedCall` does; the shape of the first fields does not matter.

    Raises
    ------
    TypeError, ValueError
        If the call is wrong, or shapes need calls of their own.
    """

    def __init__(
        self,
        row: Operator,
        fields: Sequence[NumpyArray],
        spacing: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        f = fields[0]
        if f.ndim not in _MODELS or any(type(h) is np.ndarray for h in spacing):
            raise ValueError("coordinates have a number for each sample.")
        shape = (_MODELS[f.ndim],) * f.ndim
        super().__init__(row, [np.zeros(shape, f.dtype)] * len(fields), spacing, arguments)
        if self._small is None or not self._is_stretched:
            raise ValueError("these formulas are planned for each shape.")
        small, plans = self._small
        self._least = _find_least_lengths(plans, f.ndim)
        if any(map(ge, self._least, shape)):
            raise ValueError("formulas take more samples than a small field has.")
        self._small, self._ready = (small.count_from_ends(shape), plans), None
        self._bound = self._settle(self._bind(spacing))
        if not spacing and not self._shape and not self._stack:
            self.evaluate_single = self._bound.call.evaluate_single  # type: ignore[attr-defined]

    def takes(self, f: NumpyArray) -> bool:
        """Tell whether a field has a shape that this is for."""
        return f.size < FLAT_SIZE and all(map(ge, f.shape, self._least))

    def _settle(self, bound: Bound) -> Bound:
        assert isinstance(bound.call, BoundCall)
        return Bound(bound.spacing, bound.call.settle(self._template), True)


class ShapeInUse:
    """A shape that has come, a few times so far, and what serves it."""

    nbytes = 1 << 9
    """Bytes that it takes, about."""

    def __init__(self, prepared: PreparedForShapes) -> None:
        self._prepared, self._left = prepared, OFTEN
        self._evaluate = prepared.evaluate_single
        if self._evaluate is None:
            self.evaluate_single = None  # type: ignore[assignment]

    @property
    def comes_often(self) -> bool:
        """Whether the shape is worth a call of its own by now."""
        return self._left <= 0

    def evaluate_single(self, f: NumpyArray) -> NumpyArray:
        """Return the one derivative of one field, where calls have no more."""
        self._count()
        result: NumpyArray = self._evaluate(f)  # type: ignore[misc]
        return result

    def __call__(
        self, fields: Sequence[NumpyArray], spacing: tuple[Any, ...], out: Any = None
    ) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        self._count()
        return self._prepared(fields, spacing, out)

    def _count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.evaluate_single = None  # type: ignore[assignment,method-assign]


def _find_least_lengths(plans: Sequence[AxisPlan], ndim: int) -> tuple[int, ...]:
    """Return how long axes must be so that formulas of their two ends stay in their own half."""
    least = [1] * ndim
    for plan in plans:
        reach = max(abs(k) for formula in list_formulas(plan) for k in formula.offsets)
        length = 2 * (len(plan.lower) + len(plan.upper) + reach + 1)
        least[plan.axis] = max(least[plan.axis], length)
    return tuple(least)
