"""Derivatives of a function by the best of many steps, point by point."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpugrad._arrays import Array, asnumpy, namespace_of, place_of
from gpugrad._functions.differences import (
    SAFETY,
    LineSamples,
    SidesOfStep,
    add_weighed,
    combine_sides,
    weights_for,
    weights_of_odd_part,
)

_DEEPEST = 160
_FURTHER = 6
"""Further halvings for points so near to an end of the domain that they have no derivative yet."""
_SEEN = (0.01, 0.2)
"""By what share of their changes samples may differ from what others say of the derivative, and of
the value in the middle, to see the function at all."""
_UNSETTLED = 0.01
"""Derivatives from one side that change by such a share with the step may grow without bound."""


def extrapolate(
    samples: LineSamples, order: int, steps: list[Array]
) -> tuple[list[Array], list[Array], list[Array]]:
    r"""Return derivatives by the best of many steps, bounds of their errors, and what was cut off.

    Steps are halved, beginning with `steps`. At each step, the formula on the last steps
    (distances 1, 2, 4, 8, ...) is compared with the formula at the step before, and with how well
    the same polynomial gives the value in the middle. Where the sum of these differences and of
    the rounding is smallest, the value is taken, point by point. The last list tells where the
    function had no values.
    """
    xp, coords = samples.xp, samples.coords
    searches = [_Search(samples, order, f0) for f0 in samples.evaluate(coords)]
    usual = _count_halvings(coords, steps)
    for level in range(usual + _FURTHER):
        enough = level >= searches[0].count + 2
        if enough and all(bool(xp.all(s.is_settled())) for s in searches):
            break
        # Past the usual depth only points beside an end of the domain are worth further calls.
        if level >= usual and not any(bool(xp.any(s.is_waiting())) for s in searches):
            break
        units = samples.units(steps, order, 2.0**-level)
        for search, sides in zip(searches, samples.at((1.0,), steps), strict=True):
            search.add(tuple(values[:, 0, :] for values in sides))
            if len(search.recent) == search.count:
                search.judge(steps, units, level)
        steps = [h / 2 for h in steps]
    return (
        [s.best for s in searches],
        [s.bound() for s in searches],
        [s.is_cut_off for s in searches],
    )


def _count_halvings(coords: list[Array], steps: list[Array]) -> int:
    """Return how many halvings lead to steps that are nothing to the smallest coordinate."""
    xp = namespace_of(coords[0])
    most = 0.0
    for x, h in zip(coords, steps, strict=True):
        size = xp.where((x == 0) | ~xp.isfinite(x), h, abs(x))
        most = max(most, float(asnumpy(xp.max(xp.log2(xp.clip(h / size, 1.0, None))))))
    return 1 + int(min(_DEEPEST, -0.85 * math.log2(xp.finfo(coords[0].dtype).eps) + most))


class _Level(NamedTuple):
    """What samples at one distance say; axes (line, point)."""

    apart: Array
    opposite: Array  # the difference from side to side
    middle: Array  # what they say of the value in the middle, less the value itself
    height: Array
    rise: Array
    varies: Array
    variation: Array


class _Search:
    """The best derivative of one component so far, for each line and point; axes (line, point)."""

    def __init__(self, samples: LineSamples, order: int, f0: Array) -> None:
        self.samples, self.order, self.f0 = samples, order, f0
        sides = len(samples.sides)
        # From one side, the same accuracy takes twice as many samples: nothing cancels by symmetry.
        self.count = 3 + (order + 1) // 2 if sides == 2 else 6 + order
        distances = tuple(2**k for k in range(self.count))
        self.weights = weights_for(distances, order, sides)
        self.weights_of_middle = weights_for(distances, 0, sides)
        self.weights_of_odd_part = weights_of_odd_part(distances)
        self.recent: list[_Level] = []
        self.before: Any = None
        xp, x = samples.xp, samples.coords[0]
        shape = (len(samples.lines), x.shape[0])
        self.best = xp.full(shape, math.nan, dtype=f0.dtype, **place_of(x))
        self.error = xp.full(shape, math.inf, dtype=x.dtype, **place_of(x))
        self.change = self.scatter = self.since = xp.zeros(shape, dtype=x.dtype, **place_of(x))
        self.is_seen = xp.zeros(shape, dtype=xp.bool, **place_of(x))
        self.unit = xp.ones(shape, dtype=x.dtype, **place_of(x))
        self.first_slope = xp.full_like(self.best, math.nan)
        self.varies = self.is_cut_off = xp.zeros(shape, dtype=xp.bool, **place_of(x))

    def is_settled(self) -> Array:
        """Tell for each point whether it can hardly gain by smaller steps."""
        small = self.is_seen & (self.error <= 1e-5 * (abs(self.best) + abs(self.f0)))
        exact = self.is_seen & (self.error <= 32 * self.samples.eps * abs(self.best))
        return (small & (self.since >= 3)) | exact | ~self.samples.xp.isfinite(self.f0)

    def is_waiting(self) -> Array:
        """Tell for each point whether there is no derivative yet for want of values around it."""
        is_finite = self.samples.xp.isfinite
        return self.is_cut_off & is_finite(self.f0) & ~is_finite(self.error)

    def bound(self) -> Array:
        """Return bounds of the errors of the best values; infinite where no samples see them."""
        xp = self.samples.xp
        error = xp.where(self.is_seen, self.error, math.inf)
        return SAFETY * xp.maximum(error, self.scatter / self.unit)

    def add(self, sides: SidesOfStep) -> None:
        """Take in the samples of the next step."""
        xp = self.samples.xp
        middle = combine_sides(sides, self.f0, 0)
        difference = combine_sides(sides, self.f0, 1)
        height, rise = abs(sides[0]), abs(difference)
        if len(sides) == 2:
            height, rise = xp.maximum(height, abs(sides[1])), rise / 2
        varies = (rise > 0) | (abs(middle) > 0)
        apart = difference if self.order % 2 else middle
        self.is_cut_off = self.is_cut_off | ~xp.isfinite(middle)
        level = _Level(
            apart, difference, middle, height, rise, varies, xp.maximum(rise, abs(middle))
        )
        self.recent = [level, *self.recent][: self.count]

    def judge(self, steps: list[Array], units: Array, halvings: int) -> None:
        """Take the value of the last steps where it is better; units are to the order's power."""
        xp = self.samples.xp
        value = add_weighed(self.weights.factors, [level.apart for level in self.recent]) / units
        before, self.before = self.before, value
        if before is None:
            return
        # Two values may agree by chance, three will not.
        last_change, self.change = self.change, abs(value - before)
        change = xp.maximum(self.change, last_change / 16)
        height, slope, varies = self.recent[-1][3:6]
        for level in self.recent[-2::-1]:  # a step farther away, a rise counts half as much
            height, slope = xp.maximum(height, level.height), xp.maximum(level.rise, slope / 2)
            varies = varies | level.varies
        noise = rounding = self.samples.noise(steps, height, slope) * self.weights.total
        if self.order % 2 and len(self.samples.sides) == 2:
            # Odd formulas never see the middle: a peak there must not be overlooked.
            middles = [level.middle for level in self.recent]
            noise = noise + abs(add_weighed(self.weights_of_middle.factors, middles))
        elif len(self.samples.sides) == 2:
            # And even formulas never see what is odd, such as a jump.
            opposites = [level.opposite for level in self.recent]
            noise = noise + abs(add_weighed(self.weights_of_odd_part.factors, opposites))
        error = change + noise / abs(units)
        # Over large steps all differences are small, whatever they differ by from each other.
        variation = self.recent[0].variation
        for level in self.recent[1:]:
            variation = xp.maximum(variation, level.variation)
        is_seen = (change * abs(units) <= _SEEN[0] * variation + 4 * rounding) & (
            noise - rounding <= _SEEN[1] * variation + 4 * rounding
        )
        # A function computed in lower precision has steps of its own: at last, samples lie on one
        # of them and look flat. Where it has varied before, such a derivative of 0 is no result.
        self.varies = self.varies | varies
        good = xp.isfinite(error)
        if len(self.samples.sides) == 1:
            # A root at 0 has no slope, whatever the first steps say: theirs grows without bound.
            slope = abs(self.recent[-1].apart / units) / 2.0 ** (self.order * (self.count - 1))
            known = xp.isfinite(self.first_slope)
            first = self.first_slope = xp.where(known, self.first_slope, slope)
            size = xp.maximum(abs(value), xp.where(xp.isfinite(first), first, 0.0))
            good = good & (change <= _UNSETTLED * size)
        if 2.0**-halvings < self.samples.eps ** (1 / 3):
            good = good & (varies | ~self.varies)
        self._keep_better(value, xp.where(good, error, math.inf), abs(units), is_seen & good)

    def _keep_better(self, value: Array, error: Array, units: Array, is_seen: Array) -> None:
        xp = self.samples.xp
        better = (is_seen & ~self.is_seen) | ((is_seen | ~self.is_seen) & (error < self.error))
        self.is_seen = self.is_seen | is_seen
        self.best = xp.where(better, value, self.best)
        self.error = xp.where(better, error, self.error)
        self.unit = xp.where(better, units, self.unit)
        self.since = xp.where(better, 0.0, self.since + 1)
        # The best value may be wrong by as much as values of smaller steps scatter, in proportion.
        scatter = xp.where(xp.isfinite(self.change), self.change * units, 0.0)
        scatter = xp.where(self.since < 5, xp.maximum(self.scatter, scatter), self.scatter)
        self.scatter = xp.where(better, 0.0, scatter)
