"""The length of vectors, array by array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpugrad._arrays import Array, dtype_name, namespace_of
from gpugrad._grids import is_masked


def length_of(components: Sequence[Array]) -> Array:
    """Return the root of the sum of the squared magnitudes."""
    xp = namespace_of(components[0])
    parts = []
    for x in components:
        is_complex = dtype_name(x.dtype).startswith("complex")
        parts += [xp.real(x), xp.imag(x)] if is_complex else [x]
    squares = [part * part for part in parts]
    total = sum(squares[1:], start=squares[0])
    return np.ma.sqrt(total) if is_masked(total) else xp.sqrt(total)  # what is masked may be < 0
