"""Derivatives of a function from its values along lines: one step for all, or the best of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, device_of, namespace_of
from gpugrad._weights import central_reach, exact_weights

Evaluate = Callable[[list[Array]], list[Array]]
"""Coordinates of equal shape to components of that shape."""

Line = dict[int, int]
"""Which variables change along a line, and with which sign."""

_SAFETY = 4.0
_DEEPEST = 160
# Which bits to keep for a power of two: a logarithm would cost as much as many a function.
_EXPONENT = {"float64": (np.int64, 0x7FF0 << 48), "float32": (np.int32, 0x7F80 << 16)}


class Weights(NamedTuple):
    """What pairs of samples are multiplied with, rounded from exact weights; and their sum."""

    each: tuple[float, ...]
    total: float


@lru_cache(maxsize=64)
def pair_weights(distances: tuple[int, ...], order: int) -> Weights:
    """Return the weights of f(x + d h) and f(x - d h) for a derivative, or, for order 0, a value.

    Those of derivatives of even order are for values less that in the middle.
    """
    middle = (0,) if order else ()
    positions = (*(-d for d in reversed(distances)), *middle, *distances)
    exact = exact_weights(positions, order)[-len(distances) :]
    return Weights(tuple(map(float, exact)), 2 * float(sum(map(abs, exact))))


def scales_of(coords: Sequence[Array]) -> list[Array]:
    """Return powers of two above each coordinate, 2 where it is less than 1 or not finite.

    Points and steps that are powers of two add up without rounding.
    """
    return [_scale(namespace_of(x), x) for x in coords]


def _scale(xp: ModuleType, x: Array) -> Array:
    if isinstance(x, np.ndarray) and x.dtype.name in _EXPONENT:
        integers, exponent = _EXPONENT[x.dtype.name]
        power = (x.view(integers) & integers(exponent)).view(x.dtype)
        return np.clip(2 * power, 2, math.sqrt(np.finfo(x.dtype).max))
    size = xp.clip(xp.where(xp.isfinite(x), xp.abs(x), 1.0), 1.0, None)
    return xp.asarray(2.0, dtype=x.dtype, **_where(x)) ** (xp.floor(xp.log2(size)) + 1.0)


def step_for(coords: Sequence[Array], order: int, accuracy: int, eps: float) -> list[Array]:
    """Return steps at which rounding and truncation balance, if the function's scale is 1."""
    relative = 2.0 ** round(math.log2(eps) / (order + accuracy))
    return [s * relative for s in scales_of(coords)]


class Samples:
    """The values of a function at pairs of points beside others, for several lines at once.

    One call of the function covers all lines, distances and both directions. Arrays have the
    axes (line, distance, point).
    """

    def __init__(self, evaluate: Evaluate, coords: list[Array], lines: Sequence[Line]) -> None:
        self.evaluate = evaluate
        self.coords = coords
        self.lines = lines
        self.xp: ModuleType = namespace_of(coords[0])

    def at(self, distances: Sequence[float], steps: list[Array]) -> list[tuple[Array, Array]]:
        """Return the values at plus and minus the distances, in steps, for each component."""
        xp, count = self.xp, len(distances)
        shifted = []
        for i, (x, h) in enumerate(zip(self.coords, steps, strict=True)):
            moves = [
                float(line.get(i, 0) * sign * d)
                for sign in (1, -1)
                for line in self.lines
                for d in distances
            ]
            if any(moves):
                factors = xp.asarray(moves, dtype=x.dtype, **_where(x))
                shifted.append(x[None, :] + factors[:, None] * h[None, :])
            else:
                shifted.append(xp.broadcast_to(x[None, :], (len(moves), x.shape[0])))
        shape = (2, len(self.lines), count, self.coords[0].shape[0])
        results = [xp.reshape(v, shape) for v in self.evaluate(shifted)]
        return [(v[0, ...], v[1, ...]) for v in results]

    def units(self, steps: list[Array], order: int, shrunk: float = 1.0) -> Array:
        """Return the length of each line's step, to the power of the order; axes (line, point).

        Lines of several variables have none: theirs is a multiple of the steps to begin with.
        """
        xp = self.xp
        rows = [
            steps[next(iter(line))] if len(line) == 1 else xp.full_like(steps[0], shrunk)
            for line in self.lines
        ]
        units = xp.stack(rows, axis=0)
        return units if order == 1 else units**order


def central(
    samples: Samples, order: int, accuracy: int, steps: list[Array], with_error: bool
) -> tuple[list[Array], list[Array] | None]:
    """Return central differences of one step, for each component: axes (line, point).

    With errors two samples more are taken, for the formula of the next accuracy, to compare.
    """
    reach = central_reach(order, accuracy)
    distances = tuple(range(1, reach + 1 + with_error))
    pairs = samples.at(distances, steps)
    units = samples.units(steps, order)
    middle = samples.evaluate(samples.coords) if with_error or order % 2 == 0 else None
    values, errors = [], []
    for i, pair in enumerate(pairs):
        f0 = None if middle is None else middle[i]
        parts = _combine(pair, f0, order)
        weights = pair_weights(distances[:reach], order)
        value = _sum(parts, weights.each) / units
        values.append(value)
        if f0 is not None and with_error:
            errors.append(_central_error(samples, pair, f0, order, (reach, steps, value)))
    return values, errors if with_error else None


def _central_error(
    samples: Samples, pair: tuple[Array, Array], f0: Array, order: int, found: tuple[Any, ...]
) -> Array:
    """Bound the error of a central difference; infinite where the samples do not see the function.

    They do not where formulas of two accuracies, or the value in the middle and that of the
    polynomial through the others, differ by as much as the function does between samples.
    """
    xp = samples.xp
    reach, steps, value = found
    distances = tuple(range(1, reach + 2))
    units = abs(samples.units(steps, order))
    parts = _combine(pair, f0, order)
    truncation = abs(_sum(parts, pair_weights(distances, order).each) / units - value)
    rounding = _noise(samples, pair, steps, distances) * pair_weights(distances, order).total
    missed = abs(_missed(pair, f0, distances))
    variation = xp.max(xp.maximum(abs(pair[0] - f0), abs(pair[1] - f0)), axis=1)
    tolerated = 0.4 / 4**reach * variation + rounding
    blind = (truncation * units + missed > tolerated) | ~xp.isfinite(value)
    error = 2 * truncation + _SAFETY * (rounding + missed) / units
    return xp.where(blind, math.inf, error)


def _missed(pair: tuple[Array, Array], f0: Array, distances: tuple[int, ...]) -> Array:
    """Return by how much the polynomial through pairs of samples misses the value between them."""
    return _sum((pair[0] - f0) + (pair[1] - f0), pair_weights(distances, 0).each)


def _combine(pair: tuple[Array, Array], f0: Array | None, order: int) -> Array:
    plus, minus = pair
    if order % 2:
        return plus - minus  # first of all: nearly equal numbers are subtracted without error
    return (plus - f0) + (minus - f0)


def _sum(parts: Array, weights: Sequence[float]) -> Array:
    total = weights[0] * parts[:, 0, :]
    for k, w in enumerate(weights[1:], start=1):
        total = total + w * parts[:, k, :]
    return total


def _noise(
    samples: Samples, pair: tuple[Array, Array], steps: list[Array], distances: tuple[int, ...]
) -> Array:
    """Return how far off values are by rounding: that of the result, and that of the point."""
    xp = samples.xp
    plus, minus = pair
    eps = float(xp.finfo(samples.coords[0].dtype).eps)
    height = xp.max(xp.maximum(abs(plus), abs(minus)), axis=1)
    reach = xp.asarray([float(d) for d in distances], dtype=samples.coords[0].dtype, **_where(plus))
    slope = xp.max(abs(plus - minus) / (2 * reach)[None, :, None], axis=1)
    ratio = xp.stack([_reached(line, samples.coords, steps) for line in samples.lines], axis=0)
    return eps * (height + ratio * slope)


def _reached(line: Line, coords: list[Array], steps: list[Array]) -> Any:
    """Return how many steps the point is away from zero, at most over the line's variables."""
    xp = namespace_of(coords[0])
    ratios = [abs(coords[i]) / abs(steps[i]) for i in line]
    worst = ratios[0]
    for ratio in ratios[1:]:
        worst = xp.maximum(worst, ratio)
    return worst


def extrapolated(samples: Samples, order: int) -> tuple[list[Array], list[Array]]:
    r"""Return derivatives by the best of many steps, and bounds of their errors.

    Steps are halved from about the size of the point on. At each, the formula on the last steps
    (distances 1, 2, 4, 8, ...) is compared with that of the step before, and with how well the
    same polynomial gives the value in the middle; where sum of that and of the rounding is
    smallest, the value is taken, point by point.
    """
    xp, coords = samples.xp, samples.coords
    steps = [s / 2 for s in scales_of(coords)]
    count = 3 + (order + 1) // 2
    searches = [_Search(samples, order, count, f0) for f0 in samples.evaluate(coords)]
    for level in range(_depth(coords, steps)):
        if level >= count + 2 and all(bool(xp.all(s.is_settled())) for s in searches):
            break
        units = samples.units(steps, order, 2.0**-level)
        for search, (plus, minus) in zip(searches, samples.at((1.0,), steps), strict=True):
            search.recent = [(plus[:, 0, :], minus[:, 0, :]), *search.recent][:count]
            if len(search.recent) == count:
                search.judge(steps, units, level)
        steps = [h / 2 for h in steps]
    return [s.best for s in searches], [s.bound() for s in searches]


def _depth(coords: list[Array], steps: list[Array]) -> int:
    """Return how many halvings lead to steps that are nothing to the smallest coordinate."""
    xp = namespace_of(coords[0])
    most = 0.0
    for x, h in zip(coords, steps, strict=True):
        size = xp.where((x == 0) | ~xp.isfinite(x), h, abs(x))
        most = max(most, float(xp.max(xp.log2(xp.clip(h / size, 1.0, None)))))
    return 1 + int(min(_DEEPEST, -0.85 * math.log2(xp.finfo(coords[0].dtype).eps) + most))


class _Search:
    """The best derivative of one component so far, for each line and point; axes (line, point)."""

    def __init__(self, samples: Samples, order: int, count: int, f0: Array) -> None:
        self.samples, self.order, self.f0 = samples, order, f0
        self.distances = tuple(2**k for k in range(count))
        self.recent: list[tuple[Array, Array]] = []
        self.before: Any = None
        xp, x = samples.xp, samples.coords[0]
        self.eps = float(xp.finfo(x.dtype).eps)
        shape = (len(samples.lines), x.shape[0])
        self.best = xp.full(shape, math.nan, dtype=f0.dtype, **_where(x))
        self.error = xp.full(shape, math.inf, dtype=x.dtype, **_where(x))
        self.change = self.scatter = self.since = xp.zeros(shape, dtype=x.dtype, **_where(x))
        self.unit = xp.ones(shape, dtype=x.dtype, **_where(x))
        self.varies = xp.zeros(shape, dtype=xp.bool, **_where(x))

    def is_settled(self) -> Array:
        """Tell for each point whether it can hardly gain by smaller steps."""
        small = self.error <= 1e-5 * (abs(self.best) + abs(self.f0))
        exact = self.error <= 32 * self.eps * abs(self.best)
        return (small & (self.since >= 3)) | exact | ~self.samples.xp.isfinite(self.f0)

    def bound(self) -> Array:
        """Return bounds of the errors of the best values."""
        return _SAFETY * self.samples.xp.maximum(self.error, self.scatter / self.unit)

    def judge(self, steps: list[Array], units: Array, level: int) -> None:
        """Take the value of the last steps where it is better; units are to the order's power."""
        xp, f0 = self.samples.xp, self.f0
        pair = (
            xp.stack([plus for plus, _ in self.recent], axis=1),
            xp.stack([minus for _, minus in self.recent], axis=1),
        )
        weights = pair_weights(self.distances, self.order)
        value = _sum(_combine(pair, f0, self.order), weights.each) / units
        before, self.before = self.before, value
        if before is None:
            return
        # Two values may agree by chance, three will not.
        lately, self.change = self.change, abs(value - before)
        error = xp.maximum(self.change, lately / 16)
        # Odd formulas never see the middle: a peak there must not be overlooked.
        missed = abs(_missed(pair, f0, self.distances)) if self.order % 2 else 0.0
        noise = _noise(self.samples, pair, steps, self.distances)
        error = error + (noise * weights.total + missed) / abs(units)
        # A function in steps of its own, as those computed in lower precision, is flat at last.
        varies = xp.max(xp.maximum(abs(pair[0] - f0), abs(pair[1] - f0)), axis=1) > 0
        self.varies = self.varies | varies
        stairs = self.varies & ~varies & (2.0**-level < self.eps ** (1 / 3))
        error = xp.where(xp.isfinite(error) & ~stairs, error, math.inf)
        self._take(value, error, abs(units))

    def _take(self, value: Array, error: Array, units: Array) -> None:
        xp = self.samples.xp
        better = error < self.error
        self.best = xp.where(better, value, self.best)
        self.error = xp.where(better, error, self.error)
        self.unit = xp.where(better, units, self.unit)
        self.since = xp.where(better, 0.0, self.since + 1)
        # By what values of smaller steps scatter, this one may be off too, in proportion.
        scatter = xp.where(xp.isfinite(self.change), self.change * units, 0.0)
        scatter = xp.where(self.since < 5, xp.maximum(self.scatter, scatter), self.scatter)
        self.scatter = xp.where(better, 0.0, scatter)


def _where(x: Array) -> dict[str, Any]:
    device = device_of(x)
    return {} if device is None else {"device": device}
