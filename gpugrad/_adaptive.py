"""SciPy's adaptive differentiation, with its error estimates."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, asnumpy, from_host
from gpugrad._steps import BOTH, SAFETY, Evaluate, Samples, bound_of, scales_of

_ORDER = 8
_SHORTEST = 1e3
"""Steps are not shorter than so many units in the last place of a point."""
_ON_BOTH_SIDES = (1, 2, 4, 8)
_ON_ONE_SIDE = tuple(2.0 ** (k / 2) for k in range(_ORDER))
_TOLERANCE = 2e-3
"""Where samples leave open so large a share of their differences, they say nothing."""


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


def on_host(function: Evaluate, like: Array) -> Evaluate:
    """Return a function of NumPy points that is evaluated in the library and place of others.

    SciPy's search stays on the host.
    """

    def evaluate(coords: list[Array]) -> list[Array]:
        there = [from_host(np.array(x), like) for x in coords]  # copied, for they may be read-only
        return [asnumpy(value) for value in function(there)]

    return evaluate


def first_derivatives(function: Evaluate, coords: list[Array]) -> Any:
    """Return values and errors of the derivatives of each component by each variable.

    Of points in NumPy arrays, as all here.
    """
    values, errors = [], []
    for m, f0 in enumerate(function(coords)):
        for i, h in enumerate(scales_of(coords)):
            h = np.broadcast_to(h, coords[i].shape)
            found = _Partial(function, m, i)
            value, error = found.at(coords, h / 4, f0, 0)
            poor = ~(np.isfinite(value) & np.isfinite(error)) & np.isfinite(f0)
            if poor.any():
                there = [x[poor] for x in coords]
                inside = found.shorten(there, h[poor] / 4)
                for side, step in ((0, inside), (1, h[poor] / 4), (-1, h[poor] / 4)):
                    other, off = found.at(there, step, f0[poor], side)
                    better = off < error[poor]
                    value[poor] = np.where(better, other, value[poor])
                    error[poor] = np.where(better, off, error[poor])
            values.append(value)
            errors.append(error)
    return values, errors


def second_derivatives(function: Evaluate, coords: list[Array], eps: float) -> Any:
    """Return values and errors of the Hessian, row by row."""
    scipy = import_scipy()
    n = len(coords)
    height = function(coords)[0]
    scales = [np.max(np.asarray(h)) for h in scales_of(coords)]
    found = scipy.hessian(
        lambda p: function(list(np.broadcast_arrays(*(p[i, ...] for i in range(n)))))[0],
        np.stack(coords),
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


class _Partial(NamedTuple):
    """The derivative of a component of a function by a variable."""

    function: Evaluate
    component: int
    variable: int

    def at(self, coords: list[Array], step: Array, f0: Array, side: int) -> tuple[Array, Array]:
        """Return values and bounds of their errors, from both sides (0), or after or before."""
        i = self.variable
        others = tuple(c for j, c in enumerate(coords) if j != i)

        def along(xi: Array, middle: Array, unit: Array, *rest: Array) -> Array:
            # Less the value in the middle, whose rounding SciPy's weights would leave behind.
            moved = list(np.broadcast_arrays(*rest[:i], xi, *rest[i:]))
            return (self.function(moved)[self.component] - middle) / unit

        info = np.finfo(step.dtype)
        unit = np.maximum(self._height(coords, step, f0, side) / step, info.smallest_normal)
        # No shorter step does better than what the first leaves to rounding: without `atol`, where
        # the derivative is 0, they would be so short that rounding is all there is.
        eps = float(info.eps)
        found = import_scipy().derivative(
            along,
            coords[i],
            args=(f0, unit, *others),
            initial_step=step,
            step_direction=side,
            tolerances={"atol": 256 * eps, "rtol": 4e3 * eps},
            maxiter=24,
            order=_ORDER,
        )
        value, off = found.df * unit, found.error * unit
        return value, self._bound(value, off, found.nit, coords, step, f0, side)

    def _height(self, coords: list[Array], step: Array, f0: Array, side: int) -> Array:
        """Return how large values are, as powers of two, by which nothing is rounded."""
        size = np.abs(f0)
        if (size == 0).any():
            moved = [*coords]
            moved[self.variable] = coords[self.variable] + (side or 1) * step
            size = np.where(size == 0, np.abs(self.function(moved)[self.component]), size)
        size = np.where(np.isfinite(size) & (size > 0), size, 1)
        return np.ldexp(step.dtype.type(1), np.frexp(size)[1])

    def shorten(self, coords: list[Array], step: Array) -> Array:
        """Return steps so short that the function has values on both sides, NaN if none are."""
        samples = Samples(self.function, coords, [{self.variable: 1}])
        shortest = np.abs(coords[self.variable]) * _SHORTEST * np.finfo(step.dtype).eps
        shortest = np.maximum(shortest, np.finfo(step.dtype).eps ** 2)
        while True:
            steps = [step if i == self.variable else 0 * step for i in range(len(coords))]
            plus, minus = samples.at((1,), steps)[self.component]
            outside = ~(np.isfinite(plus) & np.isfinite(minus))[0, 0]
            if not (outside & np.isfinite(step)).any():
                return step
            step = np.where(outside, np.where(step > shortest, step / 4, math.nan), step)

    def _bound(
        self,
        value: Array,
        off: Array,
        iterations: Array,
        coords: list[Array],
        step: Array,
        f0: Array,
        side: int,
    ) -> Array:
        """Return SciPy's estimate, and what rounding does to the samples of its last step.

        They are taken once more, to see how large they are, and whether they see the function.
        """
        sides = (side,) if side else BOTH
        # SciPy's nested steps have a factor of 2, or of its root on one side.
        distances = _ON_BOTH_SIDES if len(sides) == 2 else _ON_ONE_SIDE
        nearest = step / distances[-1] / 2.0 ** (iterations - 1)
        steps = [nearest if i == self.variable else 0 * nearest for i in range(len(coords))]
        samples = Samples(self.function, coords, [{self.variable: 1}], sides)
        part = samples.at(distances, steps)[self.component]
        truncation = (2 * SAFETY * np.abs(off) * nearest)[None, :]
        error = bound_of(samples, part, f0, 1, distances, steps, truncation, _TOLERANCE)[0]
        return np.where(np.isfinite(value), error, math.inf)
