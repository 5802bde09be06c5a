"""Zeros of the gradient of a smooth surface through samples, by Newton's iteration.

Along an axis the surface is, between two samples, a blend of the two parabolas around them: the
first as it is at the first sample, the second at the second, in proportion between. So its first
derivative has no jumps, and is the central difference at each sample. At the edge of a grid,
where there is one parabola, it is that one. In several dimensions it is the product of these.

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

from gpugrad._turns import NumpyArray
from gpugrad._weights import any_weights

_STEPS = 15
"""Newton steps at most; near a zero, six are the rule."""

_LONGEST = 0.5
"""The longest step, in gaps: beyond, the surface is another one."""

_CLOSE = 1e-9
"""The length of a step, in gaps, after which a zero counts as found."""


class Surfaces(NamedTuple):
    """Pieces of the surface, each around a sample: 5 samples along each axis, with 2 to each side.

    `values` has the shape (pieces, 5, ..., 5), `nodes`, where samples lie as seen from that in
    the middle, (pieces, n, 5). Samples beyond an edge are NaN in `nodes` and 0 in `values`.
    """

    values: NumpyArray
    nodes: NumpyArray

    def select(self, chosen: NumpyArray) -> Surfaces:
        """Return those that are chosen."""
        return Surfaces(self.values[chosen], self.nodes[chosen])

    @property
    def gaps(self) -> NumpyArray:
        """The mean of the two gaps beside the middle, for each axis."""
        size: NumpyArray = np.abs(self.nodes[:, :, 3] - self.nodes[:, :, 1]) / 2
        return size

    def count_gaps(self, at: NumpyArray) -> NumpyArray:
        """Return how far points are from the middle, as shares of the gaps they lie in."""
        before, after = -self.nodes[:, :, 1], self.nodes[:, :, 3]
        shares: NumpyArray = at / np.where(at * after > 0, after, before)
        return shares

    def expand(self, at: NumpyArray) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
        """Return value, gradient and Hessian at a point of each, given from its middle."""
        count, n = at.shape
        all_orders = self.values
        for k in range(n):  # the first axis of samples becomes the last one, of orders 0 to 2
            rest = all_orders.shape[2:]
            width = math.prod(rest)
            by_order = _blend(self.nodes[:, k], at[:, k]) @ all_orders.reshape(count, 5, width)
            all_orders = np.moveaxis(by_order.reshape(count, 3, *rest), 1, -1)
        by_axis = np.moveaxis(all_orders, 0, -1)
        unit = np.eye(n, dtype=int)
        gradient = [by_axis[tuple(one)] for one in unit]
        hessian = [[by_axis[tuple(one + other)] for one in unit] for other in unit]
        return (
            by_axis[(0,) * n],
            np.stack(gradient, axis=-1),
            np.moveaxis(np.array(hessian), -1, 0),
        )


def _blend(nodes: NumpyArray, at: NumpyArray) -> NumpyArray:
    """Return the weights of 5 samples for derivatives of order 0, 1 and 2: shape (pieces, 3, 5)."""
    parabolas = []
    for middle in (1, 2, 3):
        positions = [nodes[:, middle + k] - at for k in (-1, 0, 1)]
        orders = []
        for order in range(3):
            w = np.zeros_like(nodes)
            w[:, middle - 1 : middle + 2] = np.stack(any_weights(positions, order), axis=-1)
            orders.append(w)
        parabolas.append(orders)
    right = (at * nodes[:, 3] >= 0)[:, None]
    start, stop = np.where(right, 0.0, nodes[:, 1:2]), np.where(right, nodes[:, 3:4], 0.0)
    gap = stop - start
    t = (at[:, None] - start) / gap
    a: list[NumpyArray] = []
    b: list[NumpyArray] = []
    for one, middle, other in zip(*parabolas, strict=True):
        one, other = (  # at an edge there is one parabola only
            np.where(np.isfinite(w).all(axis=-1, keepdims=True), w, middle) for w in (one, other)
        )
        a.append(np.where(right, middle, one))
        b.append(np.where(right, other, middle))
    weights = [
        (1 - t) * a[0] + t * b[0],
        (1 - t) * a[1] + t * b[1] + (b[0] - a[0]) / gap,
        (1 - t) * a[2] + t * b[2] + 2 * (b[1] - a[1]) / gap,
    ]
    return np.stack(weights, axis=1)


def find_zeros(surfaces: Surfaces) -> tuple[NumpyArray, NumpyArray]:
    """Return which pieces have a zero of the gradient within a gap of their middle, and where.

    Along directions in which a surface does not bend at all, there is nothing to step along; if
    it slopes there, it has no zero.
    """
    neighbours = surfaces.nodes[:, :, [1, 3]]
    low, high = neighbours.min(axis=-1), neighbours.max(axis=-1)
    corners = product((low / 2, high / 2), repeat=low.shape[1])
    starts = [
        np.zeros_like(low),
        *(np.stack([part[:, k] for k, part in enumerate(corner)], axis=-1) for corner in corners),
    ]
    found = [_iterate(surfaces, start, low, high) for start in starts]
    return np.concatenate([which for which, _ in found]), np.concatenate([at for _, at in found])


def _iterate(
    surfaces: Surfaces, at: NumpyArray, low: NumpyArray, high: NumpyArray
) -> tuple[NumpyArray, NumpyArray]:
    busy = np.arange(len(at))
    found = np.zeros(len(at), bool)
    outside = np.zeros(len(at), int)  # how often the way led out: twice is once too often
    for _ in range(_STEPS):
        now = surfaces.select(busy)
        step, rests = _step(now, at[busy])
        wanted = at[busy] + step
        at[busy] = np.clip(wanted, low[busy], high[busy])
        small = (np.abs(step / now.gaps) < _CLOSE).all(axis=-1)
        outside[busy] += (np.abs((wanted - at[busy]) / now.gaps) > _CLOSE).any(axis=-1)
        found[busy[small & rests]] = True
        busy = busy[~small & (outside[busy] < 2)]
    which = np.flatnonzero(found & (outside < 2))
    return which, at[which]


def _step(surfaces: Surfaces, at: NumpyArray) -> tuple[NumpyArray, NumpyArray]:
    """Return a Newton step from each point, and whether it leaves no slope behind."""
    size = surfaces.gaps
    _, gradient, hessian = surfaces.expand(at)
    bend, turned = np.linalg.eigh(hessian * size[:, :, None] * size[:, None, :])
    along = np.einsum("mik,mi->mk", turned, gradient * size)
    axes = tuple(range(1, surfaces.values.ndim))
    noise = 1e-12 * np.abs(surfaces.values).max(axis=axes, initial=0.0)[:, None]
    bends = np.abs(bend) > noise
    step = -np.einsum("mik,mk->mi", turned, np.where(bends, along / np.where(bends, bend, 1), 0.0))
    longest = np.abs(step).max(axis=-1, keepdims=True, initial=0.0)
    step *= _LONGEST / np.maximum(longest, _LONGEST)
    return step * size, (bends | (np.abs(along) <= noise)).all(axis=-1)
