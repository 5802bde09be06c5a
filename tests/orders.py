"""Orders of accuracy, observed: errors on grids refined again and again.

High orders drown in rounding before they show. So formulas with exact weights, those of even
samples, are applied to numbers of many digits; uneven ones are planned in such numbers, which
pass through the same arithmetic as floats do.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, wraps
from unittest import mock

import numpy as np
import pytest

import gpugrad
from internals import (
    Scheme,
    Steps,
    _boundaries,
    _schemes,
    parse_boundaries,
    parse_staggers,
    plan_derivative,
)

needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="a long double is a double here"
)


def make_plan(n, spacing, period=None, **keywords):
    """Return the plan that `derivative` makes for `n` samples."""
    (shift,) = parse_staggers(keywords.get("stagger"), [0], 1)
    scheme = Scheme(keywords["order"], keywords["accuracy"], keywords.get("edge_accuracy"), shift)
    sides = (
        keywords.get("sides") or parse_boundaries(keywords.get("boundary", "one-sided"), [0], 1)[0]
    )
    h = Steps(np.diff(spacing), is_not_monotonic=False) if np.ndim(spacing) else spacing
    return plan_derivative(0, h, n, scheme, sides, period)


def has_exact_weights(plan, n, order):
    """Tell whether no weight of a plan on even samples was rounded.

    Rounded ones do not differentiate polynomials exactly. Where a slope is given, it must be that
    of x at the lower end.
    """

    def differentiate(formula, row, degree):
        pairs = zip(formula.offsets, formula.weights, strict=True)
        total = sum(Fraction(w) * (row + k) ** degree for k, w in pairs)
        total += Fraction(formula.constant or 0) * (degree == 1)
        return total / Fraction(1 if formula.divisor is None else formula.divisor)

    return all(
        differentiate(formula, start, d) == (math.factorial(order) if d == order else 0)
        for formula, start, _ in plan.regions(n)
        for d in range(order + 1)
    )


def rounding(n, spacing, eps, period=None, **keywords):
    """Bound what rounding does to the derivative of samples up to 1, whatever they are."""
    worst = 0.0
    for formula, _, _ in make_plan(n, spacing, period, **keywords).regions(n):
        total = sum(np.abs(w) for w in formula.weights) + abs(formula.constant or 0.0)
        total = total / abs(1.0 if formula.divisor is None else formula.divisor)
        worst = max(worst, float(np.max(total, initial=0.0)))
    return eps * (len(formula.offsets) + 2) * worst


def observe_order(errors):
    """Fit log(error) to log(n), given pairs of them."""
    assert len(errors) >= 4, f"too few grids: {errors}"
    sizes, errors = np.log(np.array(errors)).T
    return -np.polyfit(sizes, errors, 1)[0]


def in_many_digits(observe):
    """Let a function compute in numbers of 90 digits, gmpy2's."""

    @wraps(observe)
    def with_digits(*arguments, **keywords):
        with pytest.importorskip("gmpy2").context(precision=300):
            return observe(*arguments, **keywords)

    return with_digits


@in_many_digits
def observe_evenly(f, expected, *, shift=0.0, last=1, sizes=(64, 128, 256, 512), **keywords):
    """Observe the order on n + `last` samples at ``(i + shift) / n``, in 90 digits.

    ``f`` and ``expected``, the exact derivative, are functions of numbers of gmpy2.
    """
    from gmpy2 import mpfr

    errors = []
    for n in sizes:  # powers of two, so that spacing and divisor are exact
        samples = _Samples(lambda i, n=n: f(mpfr(i + shift) / n))
        plan = make_plan(n + last, 1.0 / n, **keywords)
        half = mpfr(parse_staggers(keywords.get("stagger"), [0], 1)[0]) / 2
        worst = 0.0
        for formula, start, stop in plan.regions(n + last):
            for i in _some_rows(start, stop, n // 16):  # the same places on all grids
                total = mpfr(formula.constant or 0)
                for k, w in zip(formula.offsets, formula.weights, strict=True):
                    total += samples[i + k] * w
                slope = total / (1 if formula.divisor is None else formula.divisor)
                worst = max(worst, abs(slope - expected((i + shift + half) / n)))
        errors.append((n, float(worst)))
    return observe_order(errors)


def observe_unevenly(sample, **keywords):
    """Observe the order over the four finest grids on which the error is not mostly rounding.

    ``sample(n)`` returns coordinates, the field, up to about 1, the exact derivative and, if need
    be, the period, in extended precision.
    """
    eps = float(np.finfo(np.longdouble).eps)
    errors = []
    for n in [round(24 * 1.25**k) for k in range(20)]:
        x, f, expected, *period = sample(n)
        assert f.dtype == np.longdouble
        given = dict(keywords, period=period[0]) if period else keywords
        error = float(np.abs(gpugrad.derivative(f, x, **given) - expected).max())
        if error < 30 * rounding(x.size, x, eps, *period, **keywords):
            break
        errors.append((n, error))
    return observe_order(errors[-4:])


@in_many_digits
def observe_precisely(grid, field, *, order, sizes=(128, 256, 512, 1024), **keywords):
    """Observe the order on uneven samples, planned and differentiated in 90 digits.

    ``grid(n)`` returns coordinates and the period, or None; ``field(x)`` a function of a position
    and an order, and the boundaries that it fits. Errors are those of all rows near the ends, and
    of every n/8-th one between.
    """
    from gmpy2 import mpfr

    errors = []
    for n in sizes:
        x, period = grid(n)
        f, sides = field(x)
        with (
            mock.patch.object(_schemes, "middle_of_many", _weigh_few_rows),
            mock.patch.object(_boundaries, "any_weights", _weigh_once),
        ):
            plan = make_plan(x.size, x, period, order=order, sides=sides, **keywords)
        places = _places(x, period, keywords.get("stagger"))
        samples = _Samples(lambda i, f=f, x=x: f(x[i], 0))
        worst = 0.0
        for formula, start, stop in plan.regions(x.size):
            for i in _some_rows(start, stop, x.size // 8):
                row = formula if stop - start == 1 else _row_of(formula, i - start)
                if row is None:
                    continue
                total = mpfr(row.constant or 0)
                for k, w in zip(row.offsets, row.weights, strict=True):
                    total += samples[i + k] * w
                slope = total / (1 if row.divisor is None else row.divisor)
                worst = max(worst, abs(slope - f(places[i], order)))
        errors.append((n, float(worst)))
    return observe_order(errors)


class _Samples(dict):
    """The samples of a field by number, each found when it is first asked for."""

    def __init__(self, find):
        super().__init__()
        self.find = find

    def __missing__(self, i):
        self[i] = value = self.find(i)
        return value


def _some_rows(start, stop, step):
    """Return the row if there is one only, else each whose number is a multiple of `step`."""
    return range(start, stop) if stop - start == 1 else range(-(-start // step) * step, stop, step)


def _weigh_few_rows(gaps, before, after, order, axis=0, shift=0):
    """Do what `middle_of_many` does for every n/8-th row: in many digits, each takes its time."""
    count = gaps.size - before - after + 1
    rows = [*_some_rows(before, before + count, (gaps.size + 1) // 8)]
    lines = tuple(tuple(gaps[row - before : row + after]) for row in rows)
    weights = np.full((before + after + 1, count), None, object)
    for k, of_lines in enumerate(_weigh_lines(lines, before, after, order, shift)):
        weights[k, np.array(rows) - before] = of_lines[:, 0]
    return [*weights]


ALL_ROWS, ALL_WEIGHTS = _schemes.middle_of_many, _boundaries.any_weights


@cache  # fields with different boundaries are sampled on the same grids
def _weigh_lines(lines, before, after, order, shift):
    return ALL_ROWS(np.array(lines, object), before, after, order, axis=1, shift=shift)


def _weigh_once(positions, order):
    """Do what `any_weights` does; different boundaries stand samples at the same places."""
    return [*_weigh_places(tuple(positions), order)]


@cache
def _weigh_places(positions, order):
    return ALL_WEIGHTS(positions, order)


def _row_of(formula, row):
    """Return the formula of one row between the ends, None where it was not weighed."""
    weights = tuple(w[row] if np.ndim(w) else w for w in formula.weights)
    divisor = formula.divisor[row] if np.ndim(formula.divisor) else formula.divisor
    return None if None in weights else formula._replace(weights=weights, divisor=divisor)


def _places(x, period, stagger):
    """Return where results are: at the samples, or midway between neighbours."""
    if stagger is None:
        return x
    middle = (x[1:] + x[:-1]) / 2
    if stagger == "left":
        beyond = (x[1] - x[0]) if period is None else period - (x[-1] - x[0])
        return np.concatenate([[x[0] - beyond / 2], middle])
    beyond = (x[-1] - x[-2]) if period is None else period - (x[-1] - x[0])
    return np.concatenate([middle, [x[-1] + beyond / 2]])
