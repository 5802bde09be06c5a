"""Hessians of NumPy's arrays that come again: derivatives, then derivatives of these."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray, empty
from gpugrad._engines import ready
from gpugrad._engines.numpy_steps import find_result
from gpugrad._operators.components import find_shape, join_results
from gpugrad._operators.prepared_calls import BYTES_OF_A_FORMULA
from gpugrad._operators.spacings_in_turn import are_equal, keep_spacings, plan_monotonic
from gpugrad._operators.stages import plan_stages
from gpugrad._stencils import Operator, bind_fields


class _BoundStages(NamedTuple):
    """What there is for some spacings: of each stage a call, what it takes and makes; results.

    Arrays are counted: the field, then what one stage after the other makes. In one array of all
    results, what a stage makes has its place there, or None; other places are copies of these.
    """

    spacing: tuple[Any, ...]
    calls: list[tuple[ready.ReadyCall, list[int], list[int | None]]]
    results: Sequence[int]
    copies: list[tuple[int, int]]


class PreparedPairs:
    """A Hessian of NumPy's fields of one shape and dtype: derivatives, then derivatives of these.

    Parameters and errors are those of a `PreparedCall`; all spacings are looked at by value.
    """

    evaluate_single = None

    def __init__(
        self,
        row: Operator,
        fields: Sequence[NumpyArray],
        spacing: tuple[Any, ...],
        arguments: Mapping[str, Any],
    ) -> None:
        (f,) = fields
        if f.dtype.kind not in "iu" and f.dtype.itemsize not in (4, 8, 16):
            raise TypeError("`f` in half precision, or an extended one, takes the long way.")
        self._row, self._arguments = row, arguments
        self._template = np.broadcast_to(np.zeros((), f.dtype), f.shape)
        self._bound = self._bind(spacing)
        axes = math.isqrt(len(self._bound.results))
        self._shape = find_shape(row, 1, axes, bool(arguments["stack"]))
        self.nbytes = 16 * BYTES_OF_A_FORMULA * axes**2

    def __call__(
        self, fields: Sequence[NumpyArray], spacing: tuple[Any, ...], out: Any = None
    ) -> Any:
        """Return what the operator returns, or NotImplemented where it takes the long way."""
        if out is not None:
            return NotImplemented
        bound = self._bound
        if not are_equal(spacing, bound.spacing):
            try:
                bound = self._bound = self._bind(spacing)
            except (TypeError, ValueError, OverflowError):
                return NotImplemented
        arrays = [*fields]
        if self._arguments["stack"] and arrays[0].flags.c_contiguous:
            return self._stack(arrays, bound)
        for call, taken, _ in bound.calls:
            arrays += call([arrays[i] for i in taken])
        results = [arrays[i] for i in bound.results]
        return join_results(results, self._shape, bool(self._arguments["stack"]))

    def _stack(self, arrays: list[NumpyArray], bound: _BoundStages) -> NumpyArray:
        """Return the results in one array, which stages write to."""
        shape, dtype = arrays[0].shape, self._dtype
        stacked = empty((*self._shape, *shape), dtype)
        results = stacked.reshape(-1, *shape)
        for call, taken, places in bound.calls:
            out = [empty(shape, dtype) if k is None else results[k] for k in places]
            arrays += call([arrays[i] for i in taken], out)
        for k, first in bound.copies:
            results[k] = results[first]
        return stacked

    def _bind(self, spacing: tuple[Any, ...]) -> _BoundStages:
        """Return what there is for some spacings."""
        plans = plan_monotonic(self._row, [self._template], spacing, self._arguments)
        program = plan_stages(self._row, plans, 1)
        like, calls, count = self._template, [], 1
        first = {i: k for k, i in reversed([*enumerate(program.results)])}
        for stage in program.stages:
            taken = [*dict.fromkeys(term.field for terms in stage for term in terms)]
            outputs = bind_fields(stage, {field: i for i, field in enumerate(taken)})
            places = [*map(first.get, range(count, count + len(stage)))]
            calls.append((ready.make_ready(outputs, like), taken, places))
            count += len(stage)
            dtype = find_result(bind_fields(outputs, [like] * len(taken))[0])
            like = np.broadcast_to(np.zeros((), dtype), like.shape)
        self._dtype = like.dtype
        copies = [(k, first[i]) for k, i in enumerate(program.results) if first[i] != k]
        return _BoundStages(keep_spacings(spacing), calls, program.results, copies)
