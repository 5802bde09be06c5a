"""Zeros of the gradient of a smooth surface through samples, by Newton's iteration.

Along an axis the surface is, between two samples, a blend of the two parabolas around them: the
first as it is at the first sample, the second at the second, in proportion between. So its first
derivative has no jumps, and is the central difference at each sample. At the edge of a grid,
where there is only one parabola, it is that parabola. In several dimensions it is the product over
the axes.

References
----------
A. W. Overhauser, "Analytic definition of curves and surfaces by parabolic blending", Ford Motor
Company, 1968; on even samples the same as the splines of E. Catmull and R. Rom, 1974.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray

_STEPS = 15
"""Newton steps at most; near a zero, six are the rule."""

_LONGEST = 0.5
"""The longest step, in spacings: beyond it, another piece of the surface begins."""

_TOGETHER = 4096
"""How many pieces are stepped along at once: some ten thousand windows of samples."""

_CLOSE = 1e-9
"""The length of a step, in spacings, after which a zero counts as found."""


class Surfaces(NamedTuple):
    """Pieces of the surface, each around a sample: 5 samples along each axis, with 2 to each side.

    `values` has the shape (pieces, 5, ..., 5), `nodes`, where samples lie as seen from the
    middle, (pieces, n, 5). Samples beyond an edge are NaN in `nodes` and 0 in `values`.
    """

    values: NumpyArray
    nodes: NumpyArray

    def select(self, chosen: NumpyArray) -> Surfaces:
        """Return the chosen pieces."""
        return Surfaces(self.values[chosen], self.nodes[chosen])

    @property
    def spacing(self) -> NumpyArray:
        """The mean of the two steps beside the middle, for each axis."""
        return np.asarray(np.abs(self.nodes[:, :, 3] - self.nodes[:, :, 1]) / 2)

    def count_steps(self, at: NumpyArray) -> NumpyArray:
        """Return how far points are from the middle, as shares of the steps they lie in."""
        before, after = -self.nodes[:, :, 1], self.nodes[:, :, 3]
        return np.asarray(at / np.where(at * after > 0, after, before))

    def expand(self, at: NumpyArray) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
        """Return value, gradient and Hessian of each piece at a point, as seen from its middle."""
        count, n = at.shape
        all_orders, weights = self.values, _blend_parabolas(self.nodes, at)
        for k in range(n):  # the first axis of samples becomes the last one, of orders 0 to 2
            other_axes = all_orders.shape[2:]
            width = math.prod(other_axes)
            by_order = weights[:, k] @ all_orders.reshape(count, 5, width)
            all_orders = np.moveaxis(by_order.reshape(count, 3, *other_axes), 1, -1)
        by_axis = np.moveaxis(all_orders, 0, -1)
        unit = np.eye(n, dtype=int)
        gradient = np.stack([by_axis[tuple(first)] for first in unit], axis=-1)
        hessian = np.array([[by_axis[tuple(first + second)] for first in unit] for second in unit])
        return by_axis[(0,) * n], gradient, np.moveaxis(hessian, -1, 0)


def _blend_parabolas(nodes: NumpyArray, at: NumpyArray) -> NumpyArray:
    """Return the weights of 5 samples along each axis for derivatives of order 0, 1 and 2.

    Shape (pieces, n, 3, 5).
    """
    right = at * nodes[:, :, 3] >= 0
    # Four samples are enough: the two around the point, and the next one on each side.
    p = np.where(right[:, :, None], nodes[:, :, 1:], nodes[:, :, :4]) - at[:, :, None]
    a, b = np.zeros((2, *at.shape, 3, 4))
    a[..., :3], b[..., 1:] = _weigh_parabola(p[..., :3]), _weigh_parabola(p[..., 1:])
    # At an edge one of the two parabolas is missing. The other one replaces it, so that blending
    # the two changes nothing.
    missing = np.isnan(p)[..., None, None]
    a, b = np.where(missing[..., 0, :, :], b, a), np.where(missing[..., 3, :, :], a, b)
    width = p[..., 2] - p[..., 1]
    t, slope = (-p[..., 1] / width)[..., None], (1 / width)[..., None]
    weights = (1 - t)[..., None] * a + t[..., None] * b
    weights[..., 1, :] += (b - a)[..., 0, :] * slope
    weights[..., 2, :] += (b - a)[..., 1, :] * 2 * slope
    result = np.zeros((*at.shape, 3, 5))
    result[right, :, 1:], result[~right, :, :4] = weights[right], weights[~right]
    return result


def _weigh_parabola(p: NumpyArray) -> NumpyArray:
    """Return the weights of three samples, places on the last axis, for orders 0, 1, 2 at 0."""
    following, preceding = p[..., [1, 2, 0]], p[..., [2, 0, 1]]
    scale = 1 / ((p - following) * (p - preceding))
    return np.stack(
        [following * preceding * scale, -(following + preceding) * scale, 2 * scale], axis=-2
    )


def find_zeros(surfaces: Surfaces) -> tuple[NumpyArray, NumpyArray]:
    """Return which pieces have a zero of the gradient within a step of their middle, and where.

    Along directions in which a surface does not bend at all, there is nothing to step along; if
    it slopes there, it has no zero.
    """
    # One start is not enough: from the middle, steps may lead out of a piece although it has a
    # zero, which a start nearer to it reaches.
    n = surfaces.nodes.shape[1]
    starts = np.array([(0,) * n, *product((-0.5, 0.5), repeat=n)])
    zeros = [
        _find_zeros_of(
            surfaces, np.arange(first, min(first + _TOGETHER, len(surfaces.nodes))), starts
        )
        for first in range(0, max(1, len(surfaces.nodes)), _TOGETHER)
    ]
    start, which, at = (np.concatenate(arrays) for arrays in zip(*zeros, strict=True))
    order = np.lexsort((which, start))
    return which[order], at[order]


def _find_zeros_of(
    surfaces: Surfaces, pieces: NumpyArray, starts: NumpyArray
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Return the numbers of starts, of pieces, and the zeros that they led to."""
    count = len(pieces)
    neighbours = np.tile(surfaces.nodes[pieces][:, :, [1, 3]], (len(starts), 1, 1))
    low, high = neighbours.min(axis=-1), neighbours.max(axis=-1)
    side = np.repeat(starts, count, axis=0)
    at = np.abs(side) * np.where(side < 0, low, high)
    which, at = _iterate_newton(surfaces, np.tile(pieces, len(starts)), at, (low, high))
    return which // max(1, count), pieces[which % max(1, count)], at


def _iterate_newton(
    surfaces: Surfaces, pieces: NumpyArray, at: NumpyArray, bounds: tuple[NumpyArray, NumpyArray]
) -> tuple[NumpyArray, NumpyArray]:
    """Return which of the starts lead to a zero within the bounds, and where it is."""
    low, high = bounds
    busy = np.arange(len(at))
    has_zero = np.zeros(len(at), bool)
    # A first step may overshoot and come back; a way that leads out twice belongs to the zero of
    # another sample, whose own steps find it.
    outside = np.zeros(len(at), int)
    for _ in range(_STEPS):
        if not len(busy):
            break
        surfaces_there = surfaces.select(pieces[busy])
        step, is_level = _find_newton_step(surfaces_there, at[busy])
        wanted = at[busy] + step
        at[busy] = np.clip(wanted, low[busy], high[busy])
        spacing = surfaces_there.spacing
        is_short = (np.abs(step / spacing) < _CLOSE).all(axis=-1)
        outside[busy] += (np.abs((wanted - at[busy]) / spacing) > _CLOSE).any(axis=-1)
        has_zero[busy[is_short & is_level]] = True
        busy = busy[~is_short & (outside[busy] < 2)]
    which = np.flatnonzero(has_zero & (outside < 2))
    return which, at[which]


def _find_newton_step(surfaces: Surfaces, at: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Return a Newton step from each point, and whether it leaves no slope behind."""
    spacing = surfaces.spacing
    _, gradient, hessian = surfaces.expand(at)
    bend, directions = _diagonalise(hessian * spacing[:, :, None] * spacing[:, None, :])
    slope = np.einsum("mik,mi->mk", directions, gradient * spacing)
    axes = tuple(range(1, surfaces.values.ndim))
    # Smaller bends and slopes are rounding: dividing by them would send points anywhere.
    noise = 1e-12 * np.abs(surfaces.values).max(axis=axes, initial=0.0)[:, None]
    bends = np.abs(bend) > noise
    along = np.where(bends, slope / np.where(bends, bend, 1), 0.0)
    step = -np.einsum("mik,mk->mi", directions, along)
    longest = np.abs(step).max(axis=-1, keepdims=True, initial=0.0)
    step *= _LONGEST / np.maximum(longest, _LONGEST)
    return step * spacing, (bends | (np.abs(slope) <= noise)).all(axis=-1)


def _diagonalise(hessian: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Return eigenvalues and eigenvectors of symmetric matrices."""
    if hessian.shape[-1] > 2:
        return np.linalg.eigh(hessian)
    # Thousands of calls of LAPACK take longer than a formula.
    xx, yy, xy = hessian[:, 0, 0], hessian[:, 1, 1], hessian[:, 0, 1]
    angle = np.arctan2(2 * xy, xx - yy) / 2
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    cosine, sine = np.cos(angle), np.sin(angle)
    directions = np.stack([cosine, -sine, sine, cosine], axis=-1).reshape(-1, 2, 2)
    return np.stack([middle + half, middle - half], axis=-1), directions
