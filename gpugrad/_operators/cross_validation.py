"""How much a smoothing spline should bend: generalized cross-validation over all scales.

SciPy looks for the penalty between 0 and the number of samples, to five decimals, which depends on
the unit of the coordinates. Here the same criterion is looked at over its logarithm, up to a
straight line.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray

_LEAST = 1e-6
"""The least penalty that is looked at, for samples at a distance of 1."""

_FREE = 0.1
"""The least share of degrees of freedom for the residuals: with less the criterion is a gamble."""

_STEP = 0.05
"""The step of the logarithm for the derivative of the determinant, a difference of order four."""

_CHANCE = 2.0
"""By what factor the criterion may be low by chance where it is a gamble."""


class CrossValidation:
    r"""The criterion of samples of a curve, a function of the logarithm of the penalty.

    Parameters
    ----------
    x : array of shape (n,)
        Coordinates that go up, about 1 apart.
    y : array of shape (n,)
        The samples.

    Notes
    -----
    With the second divided differences :math:`Q^T y` and the Gram matrix :math:`R` of hat functions
    (Green and Silverman, *Nonparametric Regression and Generalized Linear Models*, 1994, chapter
    2), the spline with the penalty :math:`\lambda` leaves the residuals

    .. math:: r = \lambda\\, Q (R + \lambda\\, Q^T Q)^{-1} Q^T y

    and as many degrees of freedom as the logarithm of the determinant of
    :math:`R + \lambda\\, Q^T Q` grows with :math:`\\ln \lambda`. The criterion is
    :math:`n\\, r^T r` divided by their square.
    """

    def __init__(self, x: NumpyArray, y: NumpyArray) -> None:
        from scipy import linalg

        self._linalg = linalg
        h = np.diff(x)
        first, last = 1 / h[:-1], 1 / h[1:]
        middle = -(first + last)
        self._rows = first, middle, last
        self._differences = first * y[:-2] + middle * y[1:-1] + last * y[2:]
        # Upper bands, the diagonal last, as LAPACK has them.
        self._gram, self._bend = np.zeros((2, 3, h.size - 1))
        self._gram[2] = (h[:-1] + h[1:]) / 3
        self._gram[1, 1:] = h[1:-1] / 6
        self._bend[2] = first**2 + middle**2 + last**2
        self._bend[1, 1:] = middle[:-1] * first[1:] + last[:-1] * middle[1:]
        self._bend[0, 2:] = last[:-2] * first[2:]

    def __call__(self, logarithm: float) -> float:
        """Return the criterion, infinite where it says nothing or cannot be computed."""
        try:
            factor = self._factorize(logarithm)
            freedom = self._count_freedom(logarithm)
        except self._linalg.LinAlgError:
            return math.inf
        if freedom < _FREE * (self._differences.size + 2):
            return math.inf
        bend = self._linalg.cho_solve_banded((factor, False), self._differences)
        residual = np.zeros(bend.size + 2)
        for k, row in enumerate(self._rows):
            residual[k : k + bend.size] += row * bend
        size = math.exp(logarithm) * float(np.linalg.norm(residual))
        return residual.size * (size / freedom) ** 2

    def _count_freedom(self, logarithm: float) -> float:
        """Return the degrees of freedom that the residuals have."""
        far, near = (
            self._measure(logarithm + k * _STEP) - self._measure(logarithm - k * _STEP)
            for k in (2, 1)
        )
        return (8 * near - far) / (12 * _STEP)

    def _factorize(self, logarithm: float) -> Any:
        return self._linalg.cholesky_banded(self._gram + math.exp(logarithm) * self._bend)

    def _measure(self, logarithm: float) -> float:
        """Return the logarithm of the determinant."""
        return 2 * float(np.log(self._factorize(logarithm)[2]).sum())


def find_penalty(x: NumpyArray, y: NumpyArray) -> float:
    """Return the penalty with the least criterion, for coordinates that are about 1 apart."""
    from scipy.optimize import minimize_scalar

    criterion = CrossValidation(x, y)
    # As wide as all samples together, a spline is a straight line.
    logarithms = np.arange(math.log(_LEAST), 4 * math.log(x.size) + 1, 1.0)
    scores = np.array([*map(criterion, logarithms)])
    logarithms, scores = logarithms[np.isfinite(scores)], scores[np.isfinite(scores)]
    best = _choose_minimum(scores)
    bounds = logarithms[max(best - 1, 0)], logarithms[min(best + 1, logarithms.size - 1)]
    found = minimize_scalar(criterion, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


def _choose_minimum(scores: NumpyArray) -> int:
    """Return the least score, but the first one only where no minimum comes near it.

    Splines that leave little to the residuals may have a low criterion by chance.
    """
    after = np.append(scores[2:], math.inf)
    minima = 1 + np.flatnonzero((scores[1:] <= scores[:-1]) & (scores[1:] <= after))
    if not minima.size:
        return 0
    best = int(minima[np.argmin(scores[minima])])
    return best if scores[best] <= _CHANCE * scores[0] else 0
