"""Automatic differentiation by the library of the points: PyTorch's or JAX's own."""

from __future__ import annotations

import sys

import array_api_compat

from gpugrad._arrays import Array, library_of, namespace_of
from gpugrad._functions.differences import Evaluate


def why_not(x: Array) -> str | None:
    """Say why the library of `x` cannot differentiate, or return None if it can."""
    if array_api_compat.is_torch_array(x) or array_api_compat.is_jax_array(x):
        return None
    return (
        f'the method "autodiff" needs points of PyTorch or JAX (`pip install torch` or '
        f"`pip install jax`); got {library_of(x)}. Convert them, or use another method."
    )


def detach(x: Array) -> Array:
    """Return an array that takes no part in automatic differentiation."""
    return x.detach() if array_api_compat.is_torch_array(x) else x


def make_derivative(evaluate: Evaluate) -> Evaluate:
    """Return the function whose components are the derivatives of each by each variable.

    Points don't see each other, so one pull-back of ones differentiates all points at once.
    """

    def differentiate(coords: list[Array]) -> list[Array]:
        xp, is_torch = namespace_of(coords[0]), array_api_compat.is_torch_array(coords[0])
        library = sys.modules["torch"].func if is_torch else sys.modules["jax"]

        def evaluate_tied(*variables: Array) -> tuple[Array, ...]:
            # Libraries insist that results depend on the coordinates; a constant does not.
            return tuple(value + 0 * variables[0] for value in evaluate(list(variables)))

        values, pull = library.vjp(evaluate_tied, *coords)
        results: list[Array] = []
        for i in range(len(values)):
            seeds = [xp.ones_like(v) if i == j else xp.zeros_like(v) for j, v in enumerate(values)]
            results += pull(tuple(seeds))
        return results

    return differentiate
