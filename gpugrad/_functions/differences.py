"""Differences of a function with one step, from samples on both sides of points or on one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, namespace_of, place_of
from gpugrad._arrays import memory as _memory
from gpugrad._functions.points import scales_of
from gpugrad._stencils import central_reach, exact_weights

Evaluate = Callable[[list[Array]], list[Array]]
"""Coordinates of shapes that broadcast together to components of the common shape."""

Line = dict[int, int]
"""Which variables change along a line, and with which sign."""

SidesOfStep = tuple[Array, ...]
"""Values beyond and before points, or on one side of them, which is the only one."""

_BOTH = (1, -1)
SAFETY = 4.0
_SLOWEST = 0.75
"""Differences between formulas that shrink more slowly than this count as if they did so."""
_ENDLESS = 64.0
"""From one side, what slow ones may add up to, in multiples of the first."""

_UNLIKE = 1e-3
"""By what share of their changes samples may differ from polynomials, with no kink suspected."""


class Weights(NamedTuple):
    """What samples are multiplied with, rounded from exact weights; and the sum of their sizes."""

    factors: tuple[float, ...]
    total: float


@lru_cache(maxsize=128)
def weights_for(distances: tuple[Any, ...], order: int, sides: int) -> Weights:
    """Return the weights of samples at distances on one or two sides for a derivative, or value.

    Two sides share their weights but for the sign: even orders have the same sign on both sides,
    odd orders the opposite one. Weights of derivatives multiply values less the value in the
    middle; weights of order 0 tell what the other samples say of the middle.
    """
    before = tuple(-d for d in reversed(distances)) if sides == 2 else ()
    positions = (*before, *((0,) if order else ()), *distances)
    exact = exact_weights(positions, order)[-len(distances) :]
    return Weights(tuple(map(float, exact)), 2 * float(sum(map(abs, exact))))


@lru_cache(maxsize=128)
def weights_of_odd_part(distances: tuple[Any, ...]) -> Weights:
    """Return weights of differences from side to side whose sum is 0 for odd polynomials.

    Formulas of even orders never see these differences: a jump there must not be overlooked. It
    takes two distances or more.
    """
    # An odd polynomial over the distance is a polynomial of the squared distance.
    squares = tuple(d * d - distances[0] ** 2 for d in distances[1:])
    factors = [w / d for w, d in zip(exact_weights(squares, 0), distances[1:], strict=True)]
    factors = [1.0 / distances[0], *(-w for w in factors)]
    return Weights(tuple(map(float, factors)), 2 * float(sum(map(abs, factors))))


def find_steps(coords: Sequence[Array], order: int, accuracy: int) -> list[Array]:
    """Return steps at which rounding and truncation balance, if the function's scale is 1."""
    eps = float(namespace_of(coords[0]).finfo(coords[0].dtype).eps)
    relative = 2.0 ** round(math.log2(eps) / (order + accuracy))
    return [s * relative for s in scales_of(coords)]


@dataclass(eq=False)
class LineSamples:
    """The values of a function at points beside others, on both sides or one, for several lines.

    One call of the function covers all lines, distances and directions. Arrays have the axes
    (line, distance, point).
    """

    evaluate: Evaluate
    coords: list[Array]
    lines: Sequence[Line]
    sides: tuple[int, ...] = _BOTH

    def __post_init__(self) -> None:
        self.xp: ModuleType = namespace_of(self.coords[0])
        self.eps = float(self.xp.finfo(self.coords[0].dtype).eps)

    def at(self, distances: Sequence[float], steps: list[Array]) -> list[SidesOfStep]:
        """Return the values at the distances, in steps, to each side, for each component."""
        shifted = [self._move_points(i, distances, h) for i, h in enumerate(steps)]
        sides = len(self.sides)
        shape = (sides, len(self.lines), len(distances), self.coords[0].shape[0])
        results = [self.xp.reshape(v, shape) for v in self.evaluate(shifted)]
        return [tuple(v[k, ...] for k in range(sides)) for v in results]

    def _move_points(self, i: int, distances: Sequence[float], h: Array) -> Array:
        xp, x = self.xp, self.coords[i]
        if not any(i in line for line in self.lines):
            return x[None, :]
        moves = [
            float(line.get(i, 0) * sign * d)
            for sign in self.sides
            for line in self.lines
            for d in distances
        ]
        factors = xp.asarray(moves, dtype=x.dtype, **place_of(x))[:, None]
        if isinstance(x, np.ndarray):
            memory = _memory.empty((len(moves), x.size), x.dtype)
            away = factors * h if h.size == 1 else np.multiply(factors, h, out=memory)
            return np.add(away, x, out=memory)
        return x[None, :] + factors * h[None, :]

    @property
    def are_along_axes(self) -> bool:
        """Whether each line is of one variable, so that steps may be others than at first."""
        return all(len(line) == 1 for line in self.lines)

    def units(self, steps: list[Array], order: int, shrunk: float = 1.0) -> Array:
        """Return the length of each line's step, to the power of the order; axes (line, point).

        Lines of several variables have none: theirs is a multiple of the steps to begin with.
        """
        xp = self.xp
        rows = [
            steps[next(iter(line))] if len(line) == 1 else xp.full_like(steps[0], shrunk)
            for line in self.lines
        ]
        units = xp.stack(xp.broadcast_arrays(*rows), axis=0) if len(rows) > 1 else rows[0][None, :]
        units = units if len(self.sides) == 2 else self.sides[0] * units
        return units if order == 1 else units**order

    def noise(self, steps: list[Array], height: Array, slope: Array) -> Array:
        """Return how wrong values are by rounding, of the result and of the point.

        From the size of values, and by how much they change over a step.
        """
        xp, coords = self.xp, self.coords
        steps_from_zero = [
            reduce(xp.maximum, [abs(coords[i]) / abs(steps[i]) for i in line])
            for line in self.lines
        ]
        return self.eps * (height + xp.stack(steps_from_zero, axis=0) * slope)


class LineDerivatives(NamedTuple):
    """For each component an array with the axes (line, point).

    `errors` is empty where none are wanted. `poor` tells where a single side may do better,
    `doubtful` where there may be a kink; None where that is not to be looked at.
    """

    values: list[Array]
    errors: list[Array]
    poor: list[Array] | None
    doubtful: list[Array] | None


def central_differences(
    samples: LineSamples, order: int, accuracy: int, steps: list[Array], with_error: bool
) -> LineDerivatives:
    """Return differences of one step and their errors, for each component: axes (line, point).

    Central ones, or where samples have one side, one-sided ones of the same accuracy. With errors
    there is a sample more on each side, for a formula of higher accuracy, to compare.
    """
    sides = len(samples.sides)
    reach = central_reach(order, accuracy) if sides == 2 else order + accuracy - 1
    distances = tuple(range(1, max(2, reach + with_error) + 1))
    samples_of_components = samples.at(distances, steps)
    units = samples.units(steps, order)
    middle = samples.evaluate(samples.coords)
    values, errors, doubtful = [], [], []
    for sides_of_step, f0 in zip(samples_of_components, middle, strict=True):
        formula = weights_for(distances[:reach], order, sides).factors
        combined = combine_sides(sides_of_step, f0, order)
        weighed = _add_up_distances(formula, combined)
        values.append(weighed / units)
        if sides == 2:
            doubtful.append(_find_doubtful(samples, sides_of_step, f0, distances))
        if with_error:
            truncation = _find_truncation(combined, order, sides, weighed)
            bound = _bound_error(samples, sides_of_step, f0, order, distances, steps, truncation)
            errors.append(bound)
    return LineDerivatives(values, errors, None, doubtful or None)


def _find_doubtful(
    samples: LineSamples, sides_of_step: SidesOfStep, f0: Array, distances: tuple[int, ...]
) -> Array:
    """Tell where samples on both sides do not go together with each other and with the middle."""
    xp = samples.xp
    after, before = (values - f0[None, None, :] for values in sides_of_step)
    size = xp.max(xp.maximum(abs(after), abs(before)), axis=1)
    tolerated = _UNLIKE * size + 64 * samples.eps * abs(f0)[None, :]
    even = _add_up_distances(weights_for(distances, 0, 2).factors, after + before)
    odd = _add_up_distances(weights_of_odd_part(distances).factors, after - before)
    return ~(xp.maximum(abs(even), abs(odd)) <= tolerated)


def _find_truncation(differences: Array, order: int, sides: int, value: Array) -> Array:
    """Return the truncation error of a formula, in units, from formulas of nearby accuracies.

    What is missing is the sum of all differences to come. If they shrink by the same factor each
    time, they are a geometric series.
    """
    xp, most = namespace_of(differences), differences.shape[1]

    def formula(count: int) -> Array:
        weights = weights_for(tuple(range(1, count + 1)), order, sides)
        return _add_up_distances(weights.factors, differences)

    change = abs(formula(most) - value)
    if most - 2 < (order + 1) // 2 * (3 - sides):
        return change / (1 - _SLOWEST)
    before = abs(formula(most - 2) - value)
    slowness = xp.where(before > 0, change / xp.where(before > 0, before, 1.0), 0.0)
    series = 2 * change / (1 - xp.clip(slowness, 0.0, _SLOWEST))
    # At a root's end the differences shrink as logarithms do: no few of them say what is to come.
    return series if sides == 2 else xp.where(slowness > 0.5, _ENDLESS * change, series)


def _bound_error(
    samples: LineSamples,
    sides_of_step: SidesOfStep,
    f0: Array,
    order: int,
    distances: tuple[Any, ...],
    steps: list[Array],
    truncation: Array,
) -> Array:
    """Bound the error of a difference; infinite where the samples do not see the function.

    They do not see it where two results differ by as much as the function does between samples:
    formulas of two accuracies (`truncation`, in units), or the value in the middle and the
    polynomial through the other samples. What rounding makes of them is always tolerated.
    """
    xp, x, sides = samples.xp, samples.coords[0], len(sides_of_step)
    units = abs(samples.units(steps, order))
    changes = [values - f0[None, None, :] for values in sides_of_step]
    variation = xp.max(reduce(xp.maximum, map(abs, changes)), axis=1)
    reach = xp.asarray([float(d) for d in distances], dtype=x.dtype, **place_of(x))
    rise = abs(combine_sides(sides_of_step, f0, 1)) / (sides * reach)[None, :, None]
    rounding = samples.noise(steps, abs(f0)[None, :] + variation, xp.max(rise, axis=1))
    rounding = rounding * weights_for(distances, order, sides).total
    missed = 0.0
    if sides == 2:
        formula = weights_for(distances, 0, 2).factors
        missed = abs(_add_up_distances(formula, changes[0] + changes[1]))
        odd = weights_of_odd_part(distances).factors
        missed = xp.maximum(missed, abs(_add_up_distances(odd, changes[0] - changes[1])))
    # The last distance serves the comparison alone. From one side, the same accuracy takes twice
    # as many samples.
    half = (len(distances) - 1) // (3 - sides)
    tolerated = 0.4 / 4**half * variation + rounding
    error = (truncation + SAFETY * (rounding + missed)) / units
    is_seen = (truncation / 2 + missed <= tolerated) & xp.isfinite(error)
    return xp.where(is_seen, error, math.inf)


def combine_sides(sides_of_step: SidesOfStep, f0: Array | None, order: int) -> Array:
    """Return what the weights of an order are for: differences from side to side, or the middle."""
    if len(sides_of_step) == 1:
        return sides_of_step[0] - f0
    plus, minus = sides_of_step
    if order % 2:
        return plus - minus  # first of all: nearly equal numbers are subtracted without error
    return (plus - f0) + (minus - f0)


def add_weighed(weights: Sequence[float], arrays: Sequence[Array]) -> Array:
    """Return the sum of arrays times weights, added up in place."""
    total = weights[0] * arrays[0]
    for weight, array in zip(weights[1:], arrays[1:], strict=True):
        total += weight * array
    return total


def _add_up_distances(weights: Sequence[float], differences: Array) -> Array:
    """Return the weighted sum over the first distances, as many as there are weights."""
    return add_weighed(weights, [differences[:, k, :] for k in range(len(weights))])


LineMethod = Callable[[LineSamples, list[Array], bool], LineDerivatives]
"""Samples, steps and whether errors are wanted to derivatives along the lines."""


def differentiate_lines(
    method: LineMethod, samples: LineSamples, steps: list[Array], with_error: bool
) -> LineDerivatives:
    """Return derivatives and errors from samples on both sides, or on one where that is better.

    The side of the smaller error is taken. Where that is infinite the derivative stays as it is.
    """
    both_sided = method(samples, steps, with_error)
    poor = _find_poor(both_sided, samples)
    if poor is None:
        return both_sided
    xp, coords = samples.xp, [x[poor] for x in samples.coords]
    steps_there = [h if h.shape[0] == 1 else h[poor] for h in steps]
    one_sided = [
        method(LineSamples(samples.evaluate, coords, samples.lines, (side,)), steps_there, True)
        for side in _BOTH
    ]
    # Without errors, one side is better wherever both together give no number.
    errors = [*both_sided.errors] or [
        xp.where(xp.isfinite(value), 0.0, math.inf) for value in both_sided.values
    ]
    values, doubtful = [*both_sided.values], [*(both_sided.doubtful or [])]
    for i in range(len(values)):
        for derivatives in one_sided:
            error = spread_chosen(xp, derivatives.errors[i], poor)
            better = poor & (error < errors[i])
            values[i] = xp.where(better, spread_chosen(xp, derivatives.values[i], poor), values[i])
            errors[i] = xp.where(better, error, errors[i])
            if doubtful:  # at the end of a domain there is no other side to differ from
                doubtful[i] = doubtful[i] & ~better
    return LineDerivatives(values, errors if both_sided.errors else [], None, doubtful or None)


def _find_poor(both_sided: LineDerivatives, samples: LineSamples) -> Array | None:
    """Return at which points, with a value of the function, a derivative is poor; None if nowhere.

    A function that is defined nowhere near is not called again.
    """
    if both_sided.poor is None:
        return None
    xp = samples.xp
    poor = xp.any(xp.stack(both_sided.poor, axis=0), axis=(0, 1))
    if not bool(xp.any(poor)):
        return None
    components = samples.evaluate([x[poor] for x in samples.coords])
    has_value = reduce(operator.or_, map(xp.isfinite, components))
    poor = poor & spread_chosen(xp, has_value, poor)
    return poor if bool(xp.any(poor)) else None


def spread_chosen(xp: Any, values: Array, chosen: Array) -> Array:
    """Return an array for all points, with the values of the chosen points in their places."""
    # The library's own whole numbers: JAX warns of int64 unless it was told to have them.
    place = xp.cumulative_sum(xp.astype(chosen, xp.asarray(0).dtype), axis=0) - 1
    return xp.take(values, xp.clip(place, 0, None), axis=-1)
