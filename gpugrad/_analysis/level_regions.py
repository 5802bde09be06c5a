"""Level regions of fields: neighbours of one value, which have one critical point at most.

A region counts as level where three of its samples lie one after the other along an axis: between
two equal samples a field may still turn, as a parabola does.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import NamedTuple

import numpy as np

from gpugrad._arrays import NumpyArray


class LevelRegions(NamedTuple):
    """The level regions of a field.

    `number` has for each sample the number of its region, -1 where it is in none, and `is_crossing`
    is true where lines of a region cross, as at a saddle: something beside a sample is higher,
    something lower, and nothing is level ground. The others have an entry for each region: where
    its middle is, in samples, and the sample of the region that is next to it; its value; whether
    the middle lies in the region; whether something around it is lower, higher, or unknown, as
    beyond an edge.
    """

    number: NumpyArray
    is_crossing: NumpyArray
    middle: NumpyArray
    nearest: NumpyArray
    value: NumpyArray
    is_around_middle: NumpyArray
    has_lower: NumpyArray
    has_higher: NumpyArray
    has_unknown: NumpyArray

    @property
    def kind(self) -> NumpyArray:
        """What a critical point in each region is, empty where there is none."""
        is_top, is_floor = ~self.has_higher, ~self.has_lower
        kinds = np.select([is_top, is_floor], ["maximum", "minimum"], "degenerate")
        return np.where(self.has_unknown | (is_top & is_floor), "", kinds)


def find_level_regions(f: NumpyArray, is_periodic: Sequence[bool]) -> LevelRegions | None:
    """Return the level regions of a field, None where there is none."""
    directions = [d for d in product((-1, 0, 1), repeat=f.ndim) if any(d)]
    places = np.arange(f.size).reshape(f.shape)
    pairs, runs = [], np.zeros(f.shape, bool)
    for direction in directions[len(directions) // 2 :]:
        equal = (f == _move(f, direction)) & _is_inside(f.shape, direction, is_periodic)
        pairs.append((places[equal], _move(places, direction)[equal]))
        if sum(map(abs, direction)) == 1:
            runs |= equal & _move(equal, [-step for step in direction])
    if not runs.any():
        return None
    first, second = map(np.concatenate, zip(*pairs, strict=True))
    root = _join_pairs(f.size, first, second)
    roots = np.unique(root[runs.ravel()])
    number = np.full(f.size, -1)
    number[roots] = np.arange(roots.size)
    number = number[root].reshape(f.shape)
    beside = np.zeros((3, *f.shape), bool)  # lower, higher, unknown
    for direction in directions:
        neighbour, is_inside = _move(f, direction), _is_inside(f.shape, direction, is_periodic)
        beside |= (
            is_inside & (neighbour < f),
            is_inside & (neighbour > f),
            ~is_inside | (neighbour != neighbour),
        )
    is_ground = np.asarray(~beside.any(axis=0))
    near_ground = reduce(operator.or_, (_move(is_ground, d) for d in directions), is_ground)
    is_crossing = beside[0] & beside[1] & ~near_ground
    around = [np.bincount(number[x & (number >= 0)], minlength=roots.size) > 0 for x in beside]
    middle, nearest, is_around_middle = _find_middles(number, roots.size, is_periodic)
    value = f.reshape(-1)[roots]
    return LevelRegions(number, is_crossing, middle, nearest, value, is_around_middle, *around)


def _move(x: NumpyArray, direction: Sequence[int]) -> NumpyArray:
    """Return for each sample its neighbour in a direction, round all axes."""
    return np.roll(x, [-step for step in direction], tuple(range(x.ndim)))


def _is_inside(
    shape: Sequence[int], direction: Sequence[int], is_periodic: Sequence[bool]
) -> NumpyArray:
    """Tell for each sample whether it has a neighbour in a direction."""
    is_inside = np.ones(shape, bool)
    for axis, (step, wraps) in enumerate(zip(direction, is_periodic, strict=True)):
        if step and not wraps:
            edge = [slice(None)] * len(shape)
            edge[axis] = slice(-1, None) if step > 0 else slice(0, 1)
            is_inside[tuple(edge)] = False
    return is_inside


def _join_pairs(size: int, first: NumpyArray, second: NumpyArray) -> NumpyArray:
    """Return for each of some numbers the least one that pairs connect it with."""
    root = np.arange(size)
    while first.size:
        low, high = np.minimum(root[first], root[second]), np.maximum(root[first], root[second])
        differ = low != high
        first, second, low, high = first[differ], second[differ], low[differ], high[differ]
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]
    return root


def _find_middles(
    number: NumpyArray, count: int, is_periodic: Sequence[bool]
) -> tuple[NumpyArray, NumpyArray, NumpyArray]:
    """Return the mean place of each region, its sample nearest to that, and whether it is near."""
    place = np.stack(np.nonzero(number >= 0), axis=-1)
    region = number[number >= 0]
    size = np.bincount(region, minlength=count)
    middle = np.empty((count, number.ndim))
    distance = np.empty(place.shape)
    for axis, (n, wraps) in enumerate(zip(number.shape, is_periodic, strict=True)):
        x = place[:, axis]
        if wraps:  # round a seam, directions have a mean and numbers have none
            angle = 2 * np.pi / n * x
            east, north = (np.bincount(region, g(angle), count) for g in (np.cos, np.sin))
            middle[:, axis] = np.arctan2(north, east) * (n / (2 * np.pi)) % n
        else:
            middle[:, axis] = np.bincount(region, x, count) / size
        distance[:, axis] = x - middle[region, axis]
        if wraps:
            distance[:, axis] -= n * np.rint(distance[:, axis] / n)
    order = np.lexsort((np.square(distance).sum(axis=-1).round(9), region))
    chosen = order[np.searchsorted(region[order], np.arange(count))]
    is_near = np.asarray((abs(distance[chosen]) < 1).all(axis=-1))
    return middle, place[chosen], is_near
