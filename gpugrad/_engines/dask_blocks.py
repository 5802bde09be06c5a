"""Dask arrays: the slicing scheme on lazy arrays, in the chunks of the field."""

from __future__ import annotations

from collections.abc import Sequence

from gpugrad._arrays import Array
from gpugrad._engines import slices
from gpugrad._plan import Term

unsupported = slices.unsupported


def evaluate(outputs: Sequence[Sequence[Term]], out: None = None) -> tuple[Array, ...]:
    """Evaluate each output lazily; nothing is computed.

    Shifted slices cut chunks into slivers; the results are put back together along the chunks
    that the field has.
    """
    results = slices.evaluate(outputs, out)
    return tuple(
        result.rechunk(terms[0].field.chunks)
        for result, terms in zip(results, outputs, strict=True)
    )
