"""Calls on masked arrays that come again: a ready call makes their values (see `programs`).

What masks do is decided in each call, as for a call that comes once (see `masked_arrays`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines import ready
from gpugrad._engines.dispatch import evaluate
from gpugrad._engines.masked_arrays import SINGLE, evaluate_together, look_beneath
from gpugrad._stencils import Outputs, bind_fields, change_terms, distinct_fields


def describe_field(f: NumpyArray) -> Hashable:
    """Return what a ready call depends on, of a masked array; None for one that has none."""
    if type(f) is not np.ma.MaskedArray or f.baseclass is not np.ndarray:
        return None
    plain = np.asarray(f)
    shape, dtype = plain.shape, plain.dtype
    if dtype.kind not in "fciu" or not dtype.isnative or plain.nbytes > ready.MOST_BYTES:
        return None
    if len(shape) == 1 and dtype.char in SINGLE:  # most have no plain outputs: see `look_beneath`
        return None
    return "masked", shape, dtype


def prepare(outputs: Outputs) -> Callable[..., Sequence[NumpyArray]] | None:
    """Return a function of masked arrays like the fields of outputs, or None: see `programs`."""
    beneath = look_beneath(outputs)
    if isinstance(beneath, str):
        return None
    numbered, plain = _number_fields(outputs), _number_fields(beneath)
    values: ready.ReadyCall | None = None
    is_first = True

    def run(*fields: NumpyArray) -> Sequence[NumpyArray]:
        nonlocal values, is_first
        outputs = bind_fields(numbered, fields)
        if is_first:  # spacings may never come again, and then nothing is worth making
            is_first = False
            return evaluate(outputs)
        samples = [*map(np.asarray, fields)]
        call = values = values or ready.make_ready(plain, samples[0])
        results = evaluate_together(
            outputs, bind_fields(plain, samples), lambda _: call(samples, None)
        )
        return evaluate(outputs) if results is None else results

    return run


def prepare_for_spacings(_: Outputs) -> None:
    """Return None: plans are made anew for other spacings."""


def _number_fields(outputs: Outputs) -> Outputs:
    """Return outputs with numbers for fields, in the order in which they come."""
    numbers = {id(f): i for i, f in enumerate(distinct_fields(outputs))}
    return change_terms(outputs, lambda term: term._replace(field=numbers[id(term.field)]))
