"""Calls of grids' methods that come again: what no field changes is worked out once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, result_dtype
from gpugrad._engines import is_auto_in_force
from gpugrad._engines.store import Store
from gpugrad._operators.components import join_results
from gpugrad._operators.curved.requests import GridRequest
from gpugrad._operators.curved.slabs import (
    MainAxis,
    Slab,
    allocate,
    cut_into_slabs,
    fill_slabs,
    lay_as,
)
from gpugrad._operators.samples import MaskedFields

MakeFormula = Callable[[MaskedFields], Callable[[Slab], Sequence[NumpyArray]]]


MOST_SAMPLES = 1 << 22
"""Samples of a field up to which a call feels what is done in it besides."""


class PreparedMethod:
    """A method of a grid, for NumPy's fields that are as those of a first call.

    Parameters
    ----------
    make_formula : callable
        Returns the formula for the fields of a call.
    main, axes
        The axis that would be cut, and the axes of the grid in the fields.
    fields : sequence of arrays
        The fields of the first call, which are not kept.
    shape, stack
        How results lie in tuples, or in one array.
    is_norm : bool
        Whether the result is a length.
    """

    def __init__(
        self,
        make_formula: MakeFormula,
        main: MainAxis,
        axes: Sequence[int],
        fields: Sequence[NumpyArray],
        shape: Sequence[int],
        stack: bool,
        is_norm: bool,
    ) -> None:
        self._make_formula, self._shape, self._stack = make_formula, shape, stack
        slabs = [*cut_into_slabs(fields, main, axes, None)]
        self._slabs = [slab._replace(ready={}, is_whole=len(slabs) == 1) for slab in slabs]
        self._is_norm, self._dtype = is_norm, result_dtype(np, fields[0], is_norm)

    def __call__(self, fields: Sequence[NumpyArray]) -> Any:
        """Return what the method returns."""
        f, formula = fields[0], self._make_formula(MaskedFields(fields))
        if len(self._slabs) == 1:
            results = formula(self._slabs[0])
            results = [lay_as(f, r.astype(self._dtype, copy=False)) for r in results]
            return join_results(results, self._shape, self._stack)
        is_stacked = self._stack and len(self._shape) == 1
        results = allocate(f, math.prod(self._shape), self._is_norm, is_stacked)
        fill_slabs(results, self._slabs, formula)
        return results if is_stacked else join_results(results, self._shape, self._stack)


def find_kind(name: str, axis: Any, fields: Sequence[Any], request: GridRequest) -> Hashable | None:
    """Return what tells calls of one kind, or None for a call that has to be looked at each time.

    So have masks, an `out`, a named backend, all arrays but NumPy's in C order, large fields.
    """
    out, stack, where, skipna, backend = request
    if out is not None or where is not None or skipna is not False or backend is not None:
        return None
    f = fields[0] if fields else None
    if type(f) is not np.ndarray or type(stack) is not bool or not is_auto_in_force():
        return None
    for g in fields:
        if type(g) is not np.ndarray or g.shape != f.shape or g.dtype != f.dtype:
            return None
        if not g.flags.c_contiguous:
            return None
    if f.dtype.kind not in "fciu" or not f.dtype.isnative or not 0 < f.size <= MOST_SAMPLES:
        return None
    return name, axis, len(fields), f.shape, f.dtype, stack


def list_fields(f: Any, takes_one: bool) -> Sequence[Any]:
    """Return the fields of a call, if they lie in a sequence, or on the first axis of an array."""
    if takes_one:
        return (f,)
    is_sequence = type(f) in (tuple, list) or (type(f) is np.ndarray and f.ndim > 1)
    return tuple(f) if is_sequence else ()


def make_store() -> Store[PreparedMethod]:
    """Return where a grid keeps what is prepared."""
    return Store(most=32)
