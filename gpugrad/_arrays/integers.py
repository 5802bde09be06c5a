"""Differences of integers where floats have fewer digits, as on JAX without 64 bits."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat

from gpugrad._arrays.arrays import widest_float
from gpugrad._arrays.libraries import dtype_name
from gpugrad._arrays.typing import Array

_DIGITS = {"float32": 24, "float64": 53}
_BITS = {"int32": 32, "uint32": 32, "int64": 64, "uint64": 64}


def loses_digits(xp: ModuleType, x: Array) -> bool:
    """Tell whether integers of JAX are more exact than the widest float that there is.

    NumPy's integers are differentiated as float64, as `numpy.gradient` does it, and so are those of
    libraries that have float64.
    """
    bits = _BITS.get(dtype_name(x.dtype), 0)
    return bool(
        bits
        and array_api_compat.is_jax_array(x)
        and bits > _DIGITS[dtype_name(widest_float(xp, x))]
    )


def subtract_integers(xp: ModuleType, a: Array, b: Array, dtype: Any) -> Array:
    """Return differences of integers, subtracted exactly and rounded once to a float."""
    # Of two's complements the difference of unsigned numbers is exact, whatever the signs.
    unsigned = getattr(xp, "uint" + dtype_name(a.dtype).lstrip("uint"))
    is_up = a >= b
    a, b = xp.astype(a, unsigned), xp.astype(b, unsigned)
    size = xp.astype(xp.where(is_up, a - b, b - a), dtype)
    return xp.where(is_up, size, -size)
