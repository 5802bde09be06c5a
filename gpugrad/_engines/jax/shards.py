"""How the axes of a field are cut into blocks, one for each device along an axis of a mesh."""

from __future__ import annotations

import math
import sys
from typing import Any, NamedTuple

import array_api_compat

from gpugrad._arrays import Array


class Cut(NamedTuple):
    """An axis that is cut into blocks of `length` samples, one for each of `devices`.

    `names` are the axes of the mesh along which these lie.
    """

    names: tuple[str, ...]
    devices: int
    length: int


Cuts = tuple[Cut | None, ...]
"""For each axis of a field how it is cut; None stands for an axis that lies whole on a device."""


def find_sharding(f: Array) -> Any:
    """Return the sharding of an array of JAX that is cut into blocks, or None.

    An array that is traced tells it where its mesh has explicit axes, or where it is differentiated
    outside of `jit`, and has values. Else XLA decides.
    """
    if not array_api_compat.is_jax_array(f):
        return None
    jax = sys.modules["jax"]
    while isinstance(f, jax.core.Tracer) and hasattr(f, "primal"):
        f = f.primal
    if not isinstance(f, jax.core.Tracer):
        sharding = getattr(f, "sharding", None)  # an array of NumPy that is differentiated has none
    elif hasattr(jax, "typeof"):
        sharding = getattr(jax.typeof(f), "sharding", None)
    else:
        return None
    if not isinstance(sharding, jax.sharding.NamedSharding):
        return None
    return sharding if any(cut is not None for cut in find_cuts(sharding, f.shape)) else None


def is_traced_for_many(f: Array) -> bool:
    """Tell whether an array of JAX is traced, and may be cut into blocks when it has values."""
    jax = sys.modules["jax"]
    return isinstance(f, jax.core.Tracer) and jax.device_count() > 1


def find_cuts(sharding: Any, shape: tuple[int, ...]) -> Cuts:
    """Return how a sharding cuts each axis of a field."""
    cuts: list[Cut | None] = []
    for n, names in zip(shape, fill_spec(sharding, len(shape)), strict=True):
        devices = math.prod([sharding.mesh.shape[name] for name in as_names(names)])
        cuts.append(Cut(as_names(names), devices, n // devices) if devices > 1 else None)
    return tuple(cuts)


def as_names(entry: Any) -> tuple[str, ...]:
    """Return the axes of a mesh that a sharding has for an axis of a field."""
    return () if entry is None else entry if isinstance(entry, tuple) else (entry,)


def fill_spec(sharding: Any, ndim: int) -> tuple[Any, ...]:
    """Return the names of the axes of a mesh for each axis of a field, None for no axis."""
    spec = tuple(sharding.spec)
    return spec + (None,) * (ndim - len(spec))
