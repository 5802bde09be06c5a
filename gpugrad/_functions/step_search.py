"""Derivatives of high order by the best of several steps, with samples that are evenly apart.

Formulas on steps that are halved have weights that grow fast with the order, and so does what they
make of rounding. Even samples over a large step do better, where the function allows such a step.
"""

from __future__ import annotations

from gpugrad._arrays import Array
from gpugrad._functions.differences import LineSamples, central_differences, find_steps

_ACCURACY = 8
_PATIENCE = 3
"""How many steps in a row may be worse everywhere before the search ends."""
_FURTHEST = 40


def search_steps(samples: LineSamples, order: int) -> tuple[list[Array], list[Array]]:
    """Return derivatives and bounds of their errors, for each component: axes (line, point).

    Steps are halved first, and doubled while that helps.
    """
    xp = samples.xp
    first = find_steps(samples.coords, order, _ACCURACY)
    values, errors = central_differences(samples, order, _ACCURACY, first, True)[:2]
    for factor in (0.5, 2.0):
        steps, failures = first, 0
        for _ in range(_FURTHEST):
            steps = [h * factor for h in steps]
            others, bounds = central_differences(samples, order, _ACCURACY, steps, True)[:2]
            has_gained = False
            for i, (other, bound) in enumerate(zip(others, bounds, strict=True)):
                better = bound < errors[i]
                has_gained = has_gained or bool(xp.any(better & (bound < 0.5 * errors[i])))
                values[i] = xp.where(better, other, values[i])
                errors[i] = xp.where(better, bound, errors[i])
            failures = 0 if has_gained else failures + 1
            if failures == _PATIENCE:
                break
    return values, errors
