"""What users say of a curved grid: its coordinates, and options by axis, checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from gpugrad._arrays import Array, namespace_of, place_of_values
from gpugrad._grids import Options, is_side, parse_boundaries, read_numbers, widen
from gpugrad._operators.curved.kept_arrays import move_beside
from gpugrad._operators.curved.metric import GridAxis


def read_position(x: Any, name: str) -> Array:
    """Return a coordinate as an array of floats, on the host where it is known."""
    x = widen(read_numbers(x, name))
    # What is worked out later must not see what others write meanwhile.
    return x.copy() if isinstance(x, np.ndarray) else x


def join_positions(xs: Sequence[Array]) -> list[Array]:
    """Return coordinates all on the host, or all on the device of one that is not known there."""
    unread = next((x for x in xs if place_of_values(x) is not None), None)
    return [*xs] if unread is None else [move_beside(x, unread) for x in xs]


def expand_position(x: Array, axes: Sequence[int], ndim: int) -> Array:
    """Return a coordinate with all axes of another, with length 1 where it has none."""
    if x.ndim == ndim:
        return x
    if x.ndim != len(axes):
        raise ValueError(
            f"coordinates must have {len(axes)} axes, or all {ndim} axes of the fields; got shape "
            f"{tuple(x.shape)}. Pass the coordinate of every sample, as `numpy.meshgrid` makes "
            "them of axes."
        )
    lengths = dict(zip(axes, x.shape, strict=True))
    return namespace_of(x).reshape(x, tuple(lengths.get(i, 1) for i in range(ndim)))


def list_by_grid_axis(option: Any, keys: Sequence[Any], default: Any, name: str) -> list[Any]:
    """Return what an option says of each axis of the grid, which users call by `keys`."""
    if not isinstance(option, dict) or is_side(option):
        return [option] * len(keys)
    count = len(keys)
    places = {key: i for i, key in enumerate(keys)}
    if [*keys] == [*range(count)]:
        places |= {i - count: i for i in range(count)}
    unknown = [key for key in option if key not in places]
    if unknown:
        raise ValueError(
            f"`{name}` must name axes of the grid, {', '.join(map(str, keys))}; got "
            f"{', '.join(map(str, unknown))}."
        )
    chosen = {places[key]: entry for key, entry in option.items()}
    if len(chosen) < len(option):
        raise ValueError(f"`{name}` must name each axis of the grid once; got {option!r}.")
    return [chosen.get(i, default) for i in range(count)]


def make_grid_axis(
    axis: int, length: int, options: Options, boundary: Any, period: Any, count: int
) -> GridAxis:
    """Return an axis of a grid, and by how much each of `count` coordinates grows once round it."""
    options = options._replace(boundary=boundary)
    if length < 2:
        raise ValueError(
            f"axis {axis} of the grid must have at least 2 samples; got {length}. Leave out axes "
            "along which nothing changes, with their coordinates."
        )
    (sides,) = parse_boundaries(boundary, (0,), 1)
    if any(side.name == "normal" for side in sides):
        raise ValueError(
            "`boundary` must not be a given slope on a curved grid, whose normals have other "
            "directions than its axes. Use one-sided ends there."
        )
    jumps = (0.0,) * count
    if period is not None and sides[0].name == "periodic":
        if not isinstance(period, (tuple, list)) or len(period) != count:
            raise ValueError(
                "`period` must be a tuple that says for a periodic axis by how much each of the "
                f"{count} coordinates grows once round it, as in {{{axis}: (360.0, 0.0)}}; got "
                f"{period!r}."
            )
        jumps = tuple(_parse_jump(step) for step in period)
    return GridAxis(axis, length, options, jumps)


def _parse_jump(step: Any) -> float:
    if isinstance(step, bool) or not isinstance(step, Real) or not math.isfinite(step):
        raise TypeError(
            "`period` must have a finite number for each coordinate, by how much it grows once "
            f"round the axis; got {step!r}."
        )
    return float(step)


def check_period(period: Any, axes: Sequence[GridAxis]) -> None:
    """Raise ValueError where a period is given and no axis goes round, or one that does not."""
    if period is None:
        return
    named = len(period) if isinstance(period, dict) else 1
    if sum(any(axis.jumps) or axis.is_periodic for axis in axes) < named:
        raise ValueError(
            f"`period` must go with periodic axes; got {period!r}. Add `boundary`, as in "
            '`boundary={1: "periodic"}`.'
        )
