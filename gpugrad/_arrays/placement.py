"""Whether two arrays lie at one place, and what their places are called if not.

Equality of devices is not enough. Arrays of dpnp on one device and two SYCL queues can't be put
together. JAX moves an array as it likes unless its user has said where it lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import array_api_compat

from gpugrad._arrays.libraries import device_of, is_library_array, is_tracer, library_of
from gpugrad._arrays.typing import Array


def find_apart(x: Array, f: Array) -> tuple[str, str] | None:
    """Return the devices of two arrays of one library in words, None if they can be together."""
    return tell_apart(place_of_values(x), place_of_values(f))


def require_one_place(arrays: Iterable[Array], what: str) -> None:
    """Raise ValueError if the values of arrays of one library lie on two devices."""
    places: dict[str, Any] = {}  # arrays of two libraries have an error of their own
    for x in filter(is_library_array, arrays):
        place = place_of_values(x)
        if place is None:
            continue
        apart = tell_apart(places.setdefault(library_of(x), place), place)
        if apart:
            raise ValueError(
                f"{what} must be on one device; got {apart[0]} and {apart[1]}. Move one of them: "
                "nothing is moved silently."
            )


def place_of_values(x: Array) -> Any:
    """Return where the values of an array lie, comparable with ``==``; None for anywhere."""
    if not is_library_array(x):
        return None
    if not array_api_compat.is_jax_array(x):
        return device_of(x)
    if is_tracer(x) or not getattr(x, "committed", True):
        return None
    return frozenset(x.devices())


def tell_apart(first: Any, second: Any) -> tuple[str, str] | None:
    """Return two places in words, None if arrays there can be put together."""
    if first is None or second is None or first == second:
        return None
    names = _describe_place(first), _describe_place(second)
    if names[0] != names[1]:
        return names
    return f"{names[0]} by one SYCL queue", f"{names[1]} by another SYCL queue"


def _describe_place(place: Any) -> str:
    if isinstance(place, frozenset):
        return " and ".join(sorted(map(str, place)))
    return str(place)
