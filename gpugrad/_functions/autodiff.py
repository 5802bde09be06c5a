"""Automatic differentiation by the library of the points: PyTorch's or JAX's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import array_api_compat

from gpugrad._arrays import Array, library_of

Flat = Callable[[list[Array]], list[Array]]


def why_not(x: Array) -> str | None:
    """Say why the library of `x` cannot differentiate, or return None if it can."""
    if array_api_compat.is_torch_array(x) or array_api_compat.is_jax_array(x):
        return None
    return (
        f'the method "autodiff" needs points of PyTorch or JAX (`pip install torch` or '
        f"`pip install jax`); got {library_of(x)}. Convert them, or use another method."
    )


def slopes(evaluate: Flat) -> Flat:
    """Return the function whose components are the derivatives of each by each variable.

    Points don't see each other, so one pull-back of ones differentiates all points at once.
    """

    def differentiated(coords: list[Array]) -> list[Array]:
        vjp: Any = _find_vjp(coords[0])
        values, pull = vjp(
            lambda *c: tuple(_tie_to_coordinates(v, c) for v in evaluate(list(c))), *coords
        )
        results: list[Array] = []
        for i in range(len(values)):
            results += pull(tuple(_make_seed(v, i == j) for j, v in enumerate(values)))
        return results

    return differentiated


def _find_vjp(x: Array) -> Any:
    if array_api_compat.is_torch_array(x):
        return sys.modules["torch"].func.vjp
    import jax

    return jax.vjp


def _tie_to_coordinates(value: Array, coords: Any) -> Array:
    """Make a constant a function of the coordinates, which libraries insist on."""
    return value + 0 * coords[0]


def _make_seed(value: Array, chosen: bool) -> Array:
    xp = array_api_compat.array_namespace(value)
    return xp.ones_like(value) if chosen else xp.zeros_like(value)
