"""SciPy's adaptive differentiation, with its error estimates."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from gpugrad._arrays import Array, namespace_of
from gpugrad._function import Function
from gpugrad._steps import scales_of


def import_scipy() -> ModuleType:
    """Return `scipy.differentiate`, or say how to get it."""
    try:
        import scipy.differentiate
    except ImportError as error:
        raise ImportError(
            'the method "adaptive" needs SciPy 1.15 or later: `pip install "gpugrad[science]"`. '
            'The method "extrapolation" needs nothing.'
        ) from error
    module: ModuleType = scipy.differentiate
    return module


def first_derivatives(function: Function, coords: list[Array], eps: float) -> Any:
    """Return values and errors of the derivatives of each component by each variable."""
    scipy = import_scipy()
    components = len(function(coords))
    options = {"tolerances": {"atol": 0.0, "rtol": 4e3 * eps}, "maxiter": 24, "order": 8}
    values, errors = [], []
    for m in range(components):
        for i, (x, h) in enumerate(zip(coords, scales_of(coords), strict=True)):
            others = [c for j, c in enumerate(coords) if j != i]

            def along(xi: Array, *rest: Array, i: int = i, m: int = m) -> Array:
                moved = list(namespace_of(xi).broadcast_arrays(*rest[:i], xi, *rest[i:]))
                return function(moved)[m]

            found = scipy.derivative(along, x, args=tuple(others), initial_step=h / 4, **options)
            values.append(found.df)
            errors.append(_bound(found, function(coords)[m], h, eps))
    return values, errors


def second_derivatives(function: Function, coords: list[Array], eps: float) -> Any:
    """Return values and errors of the Hessian, row by row."""
    scipy = import_scipy()
    xp, n = namespace_of(coords[0]), len(coords)
    height = function(coords)[0]
    scales = [np.max(np.asarray(h)) for h in scales_of(coords)]
    found = scipy.hessian(
        lambda p: function(list(xp.broadcast_arrays(*(p[i, ...] for i in range(n)))))[0],
        xp.stack(coords),
        initial_step=float(max(scales)) / 4,
        tolerances={"atol": 0.0, "rtol": math.sqrt(eps) / 64},
    )
    values = [found.ddf[i, j, ...] for i in range(n) for j in range(n)]
    inner = math.sqrt(eps)
    errors = [
        8 * (found.error[i, j, ...] + inner * abs(found.ddf[i, j, ...])) + inner * abs(height)
        for i in range(n)
        for j in range(n)
    ]
    return values, errors


def _bound(found: Any, height: Array, h: Array, eps: float) -> Array:
    """Return a bound of the error: SciPy's estimate, and what rounding does to its last step."""
    xp = namespace_of(height)
    steps = (h / 4) / xp.asarray(2.0, dtype=h.dtype) ** xp.astype(found.nit, h.dtype)
    # SciPy's nested samples come eight times as near as its step.
    error = 4 * abs(found.error) + 8 * eps * (8 * abs(height) / steps + abs(found.df))
    # Where not even three digits agree, SciPy's estimate says nothing.
    unsettled = abs(found.error) > 1e-3 * (abs(found.df) + math.sqrt(eps) * abs(height) / h)
    return xp.where(unsettled | ~xp.isfinite(found.df), math.inf, error)
