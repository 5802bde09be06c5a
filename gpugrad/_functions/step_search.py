"""Derivatives by the best of several steps, with samples that are evenly apart.

Formulas on steps that are halved have weights that grow fast with the order, and so does what they
make of rounding. Even samples over a large step do better, where the function allows such a step.
Where it does not, samples of a wave may look like those of another, slow one. So narrow steps tell
first what the derivative is about.
"""

from __future__ import annotations

import math

from gpugrad._arrays import Array
from gpugrad._functions.differences import LineSamples, central_differences, find_steps
from gpugrad._functions.points import scales_of

_ACCURACY = 8
_PATIENCE = 3
"""How many steps in a row may be worse everywhere before the search ends."""
_FURTHEST = 40
_NARROW, _WIDE = 2.0**-10, 0.37
"""The first step, in multiples of the best one for a function as wide as its point; the last."""
_ALIKE, _UNLIKE = 0.1, 0.25
"""By what share rough derivatives over three steps may differ, and others from the rough one."""


def search_steps(
    samples: LineSamples,
    order: int,
    values: list[Array],
    errors: list[Array],
    is_cautious: bool = False,
) -> tuple[list[Array], list[Array]]:
    """Return derivatives and bounds of their errors, for each component: axes (line, point).

    They are those with the smaller errors: `values` and `errors`, or the best of many steps that
    are halved, and doubled, while that helps. A cautious search takes only what narrow steps tell,
    too, and trusts it as roughly as them: the function may be a rough one.
    """
    xp = samples.xp
    rough, first = _find_rough(samples, order)
    is_rough = [xp.isfinite(r) for r in rough]

    def bound_of(value: Array, error: Array, k: int) -> Array:
        unlike = is_rough[k] & (abs(value - rough[k]) > _UNLIKE * abs(rough[k]))
        return xp.where(unlike, math.inf, error)

    rows = zip(values, errors, strict=True)
    values, errors = [*values], [bound_of(*row, k) for k, row in enumerate(rows)]
    start = central_differences(samples, order, _ACCURACY, first, True)[:2]
    for factor in (0.5, 2.0):
        steps, failures = first, 0
        for count in range(_FURTHEST):
            others, bounds = start
            if count or factor > 1:
                steps = [h * factor for h in steps]
                others, bounds = central_differences(samples, order, _ACCURACY, steps, True)[:2]
            has_gained = False
            for k, (other, bound) in enumerate(zip(others, bounds, strict=True)):
                bound = bound_of(other, bound, k)
                better = bound < errors[k]
                has_gained = has_gained or bool(xp.any(better & (bound < 0.5 * errors[k])))
                values[k] = xp.where(better, other, values[k])
                errors[k] = xp.where(better, bound, errors[k])
            failures = 0 if has_gained else failures + 1
            if failures == _PATIENCE:
                break
    for k, known in enumerate(is_rough):
        if is_cautious:
            errors[k] = xp.maximum(errors[k], xp.where(known, _ALIKE * abs(rough[k]), math.inf))
        # Where no other step agrees with it, the rough derivative is all there is.
        lost = known & ~(errors[k] <= _UNLIKE * abs(rough[k]))
        values[k] = xp.where(lost, rough[k], values[k])
        errors[k] = xp.where(lost, _UNLIKE * abs(rough[k]), errors[k])
    return values, errors


def find_unlike(samples: LineSamples, order: int, values: list[Array]) -> list[Array]:
    """Tell where derivatives are others than narrow steps tell."""
    rough, _ = _find_rough(samples, order)
    return [abs(v - r) > _UNLIKE * abs(r) for v, r in zip(values, rough, strict=True)]


def _find_rough(samples: LineSamples, order: int) -> tuple[list[Array], list[Array]]:
    """Return rough derivatives by the narrowest steps that tell them, NaN where none do, and steps.

    The steps are, for each point, the narrowest of all lines; where there are none, those that suit
    a function as wide as its point.
    """
    xp, coords = samples.xp, samples.coords
    usual, scales = find_steps(coords, order, _ACCURACY), scales_of(coords)
    width = _NARROW * samples.eps ** (1 / (order + 2))
    factor = xp.full_like(coords[0], math.inf)
    rough: list[Array] = []
    before: list[tuple[Array, Array]] = []
    while width < _WIDE:
        steps = [width * s for s in scales]
        values, errors = central_differences(samples, order, 2, steps, True)[:2]
        if not rough:
            rough = [xp.full_like(value, math.nan) for value in values]
            before = [(value, xp.zeros_like(value, dtype=xp.bool)) for value in values]
        for k, (value, error) in enumerate(zip(values, errors, strict=True)):
            last, was_alike = before[k]
            is_alike = (abs(value - last) <= _ALIKE * abs(value)) & (abs(value) > 0)
            is_told = is_alike & was_alike & (error <= abs(value)) & xp.isnan(rough[k])
            rough[k] = xp.where(is_told, value, rough[k])
            factor = xp.where(xp.any(is_told, axis=0), xp.minimum(factor, width), factor)
            before[k] = value, is_alike
        if not any(bool(xp.any(xp.isnan(r))) for r in rough):
            break
        width *= 2
    return rough, [
        xp.where(xp.isfinite(factor), factor * s, h) for h, s in zip(usual, scales, strict=True)
    ]
