"""The fields of a call with masks: evaluated, and masked again where they were."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Any

import numpy as np

from gpugrad._arrays import Array, resemble
from gpugrad._engines import evaluate
from gpugrad._grids import Options, as_mask, choose_beside_masked, find_valid, is_masked
from gpugrad._stencils import AxisPlan, Outputs, Term


class MaskedFields:
    """The fields of a call, without masks of their own, and which samples of each are valid."""

    def __init__(self, fields: Sequence[Array], where: Any = None, skipna: Any = False) -> None:
        if not isinstance(skipna, (bool, np.bool_)):
            raise TypeError(f"`skipna` must be True or False; got {skipna!r}.")
        self.fields, self._like = [*fields], fields[0]
        self.masks: list[Array | None] = [None] * len(self.fields)
        self.are_masked_anywhere = where is not None or bool(skipna)
        self.are_masked_arrays = self.are_masked_anywhere and is_masked(fields[0])
        if self.are_masked_anywhere:
            shared = None if where is None else as_mask(where, fields[0])
            pairs = [_find_masked(f, shared, bool(skipna)) for f in fields]
            self.fields, self.masks = [f for f, _ in pairs], [mask for _, mask in pairs]

    @property
    def arrays(self) -> list[Array]:
        """The fields, and the masks that there are."""
        return [x for x in (*self.fields, *self.masks) if x is not None]

    def refine(self, options: Options) -> Options:
        """Return options with the best accuracy that formulas beside masked samples may have."""
        return choose_beside_masked(options) if self.are_masked_anywhere else options

    def term(self, plan: AxisPlan, i: int = 0, sign: int = 1) -> Term:
        """Return the term of the field with number `i`."""
        return Term(sign, self.fields[i], plan, self.masks[i])

    def evaluate(
        self, outputs: Outputs, out: Any = None, stack: bool = False, backend: str | None = None
    ) -> Any:
        """Evaluate outputs; of masked arrays, results are masked where there is no derivative."""
        if not self.are_masked_arrays:
            return evaluate(outputs, out, stack, backend)
        self.check_masked(out if isinstance(out, (tuple, list)) else [] if out is None else [out])
        return self.mask(evaluate(outputs, out, stack, backend), out is None)

    def mask(self, results: Any, are_new: bool) -> Any:
        """Mask results of masked arrays: one in an array, or several in a tuple.

        New ones get the fill value of the field, and a mask as hard.
        """
        if isinstance(results, tuple):
            return tuple([self.mask(result, are_new) for result in results])
        if self.are_masked_arrays:
            results = mask_result(results)
        return resemble(results, self._like) if are_new else results

    def check_masked(self, targets: Sequence[Array]) -> None:
        """Raise TypeError where masked results would be written into arrays without masks."""
        if self.are_masked_arrays and not all(map(is_masked, targets)):
            raise TypeError(
                "`out` must be a masked array to go with a masked `f`. Pass "
                "`numpy.ma.empty(...)`, or fill `f` first."
            )


def _find_masked(f: Array, mask: Array | None, skipna: bool) -> tuple[Array, Array | None]:
    """Return a field without a mask of its own, and where it is valid."""
    masks = [mask]
    if is_masked(f):
        masks.append(~np.ma.getmaskarray(f))
        f = np.asarray(f)
    elif isinstance(f, np.ndarray) and type(f) is not np.ndarray:
        raise TypeError(
            "`where` and `skipna` take plain arrays and masked arrays; got a field of type "
            f"{type(f).__name__}. Pass `numpy.asarray(f)`."
        )
    elif is_masked(getattr(f, "_meta", None)):
        raise TypeError(
            "`where` and `skipna` take Dask arrays of plain blocks; got one of masked blocks. Pass "
            "`dask.array.ma.filled(f, numpy.nan)` and `skipna=True`."
        )
    if skipna:
        masks.append(find_valid(f))
    masks = [mask for mask in masks if mask is not None]
    return f, reduce(and_, masks) if masks else None


def mask_result(result: Array) -> Array:
    """Return a result as a masked array; one that was written to is masked in place."""
    if not is_masked(result):
        return np.ma.array(result, mask=np.isnan(result), copy=False)
    result[np.isnan(np.asarray(result))] = np.ma.masked
    return result
