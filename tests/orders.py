"""Orders of accuracy, observed: errors on grids refined again and again.

High orders drown in rounding before they show. So formulas with exact weights, those of even
samples, are applied to numbers of many digits, and uneven ones to extended precision.
"""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from gpugrad._boundaries import Scheme
from gpugrad._options import parse_boundaries, parse_staggers
from gpugrad._plan import Gaps
from gpugrad._schemes import plan_derivative

needs_long_double = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="a long double is a double here"
)


def make_plan(n, spacing, period=None, **keywords):
    """Return the plan that `derivative` makes for `n` samples."""
    (shift,) = parse_staggers(keywords.get("stagger"), 1)
    scheme = Scheme(keywords["order"], keywords["accuracy"], keywords.get("edge_accuracy"), shift)
    (sides,) = parse_boundaries(keywords.get("boundary", "one-sided"), 1)
    h = Gaps(np.diff(spacing), turns_back=False) if np.ndim(spacing) else spacing
    return plan_derivative(0, h, n, scheme, sides, period)


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


def observe_evenly(f, expected, *, shift=0.0, last=1, sizes=(64, 128, 256, 512), **keywords):
    """Observe the order on n + `last` samples at ``(i + shift) / n``, in 90 digits.

    ``f`` and ``expected``, the exact derivative, are functions of numbers of mpmath.
    """
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 90
    errors = []
    for n in sizes:  # powers of two, so that spacing and divisor are exact
        x = [mp.mpf(i + shift) / n for i in range(n + last)]
        samples = [f(mp, at) for at in x]
        plan = make_plan(len(x), 1.0 / n, **keywords)
        worst = 0.0
        for formula, start, stop in plan.regions(len(x)):
            for i in range(start, stop, max(1, (stop - start) // 40)):
                total = mp.mpf(formula.constant or 0)
                for k, w in zip(formula.offsets, formula.weights, strict=True):
                    total += samples[i + k] * w
                slope = total / (1 if formula.divisor is None else mp.mpf(formula.divisor))
                half = mp.mpf(parse_staggers(keywords.get("stagger"), 1)[0]) / 2
                worst = max(worst, abs(slope - expected(mp, x[i] + half / n)))
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
