"""The distances between samples, and what coordinates must be like to have any.

Coordinates lie along one axis, the same for all lines of the field, or differ from line to line:
then they are an array with as many axes as the field.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._stencils import Steps, rows_of

_LARGEST = float(np.finfo(np.float32).max) / 2
"""Coordinates up to which no step leaves the range of their dtype."""


def find_steps(x: NumpyArray, where: str, time_unit: str | None) -> Any:
    """Return the steps between coordinates; equal steps become one number, as in NumPy."""
    steps = _subtract_neighbours(x, 0, where, time_unit)
    if steps.size == 0:
        return 1.0  # a single sample: too short an axis, which is for the caller to say
    even = steps[0] == steps[-1] and (steps == steps[0]).all()
    is_not_monotonic = _check_steps(steps[:1] if even else steps, x, where)
    return steps[0] if even else Steps(steps, is_not_monotonic)


def find_fine_steps(x: NumpyArray) -> Steps | None:
    """Return the steps between coordinates that all go up, or down, and are not even.

    None is for all others: `find_steps` has what there is to say of them.
    """
    if x.ndim != 1 or x.dtype.char not in "fd" or x.size < 3:
        return None
    # Each step of what only goes up, or down, is as finite as their sum: nothing here can warn.
    after, before = x[1:], x[:-1]
    if not -_LARGEST <= x.item(0) <= _LARGEST >= abs(x.item(-1)):
        return None
    rising = np.count_nonzero(after > before)
    if rising != after.size and (rising or not (after < before).all()):
        return None
    steps = after - before
    is_even = steps.item(0) == steps.item(-1) and (steps == steps[0]).all()
    return None if is_even else Steps(steps, False)


def find_steps_of_lines(x: NumpyArray, axis: int, where: str, time_unit: str | None) -> Steps:
    """Return the steps along an axis of coordinates that differ from line to line.

    Lines are not told apart: one whose steps are equal has the formulas for uneven samples too.
    """
    steps = _subtract_neighbours(x, axis, where, time_unit)
    is_not_monotonic = False
    # The extrema of its steps tell of a line that it is fine, as nearly all are. Only where one
    # fails this test (NaN fails it too) are all steps looked at.
    if steps.size:
        low, high = steps.min(axis=axis), steps.max(axis=axis)
        suspect = ~((low > 0) | (high < 0)) | ~np.isfinite(low) | ~np.isfinite(high)
        if suspect.any():
            is_not_monotonic = _check_lines(steps, x, axis, suspect, where)
    return Steps(steps, is_not_monotonic)


def _check_lines(
    steps: NumpyArray, x: NumpyArray, axis: int, suspect: NumpyArray, where: str
) -> bool:
    """Raise for the first line without a derivative; tell whether one goes both up and down."""
    inner, outer = (steps[rows_of(steps.ndim, axis, *s)] for s in ((1, None), (0, -1)))
    wrong = (~np.isfinite(steps) | (steps == 0)).any(axis=axis) | (inner == -outer).any(axis=axis)
    if wrong.any():
        line = tuple(int(i) for i in np.argwhere(wrong)[0])
        at: tuple[Any, ...] = (*line[:axis], slice(None), *line[axis:])
        place = ", ".join(":" if isinstance(i, slice) else str(i) for i in at)
        _check_steps(steps[at], x[at], f"{where}, on the line [{place}],")
    return bool(suspect.any())


def lines_are_alike(x: NumpyArray, axis: int) -> bool:
    """Tell whether coordinates are the same on all lines, as `numpy.meshgrid` makes them."""
    first = x[tuple(slice(None) if i == axis else slice(0, 1) for i in range(x.ndim))]
    last = x[tuple(slice(None) if i == axis else slice(-1, None) for i in range(x.ndim))]
    return bool(x.size and (first == last).all() and (x == first).all())


def _subtract_neighbours(x: NumpyArray, axis: int, where: str, time_unit: str | None) -> NumpyArray:
    """Return the steps along an axis, of dates in multiples of the unit."""
    after, before = (x[rows_of(x.ndim, axis, *s)] for s in ((1, None), (0, -1)))
    if x.dtype.kind in "iu":  # beyond 2^53: of two's complements unsigned differences are exact
        high, low = after.astype(np.uint64), before.astype(np.uint64)
        size = np.where(after >= before, high - low, low - high).astype(np.float64)
        return np.where(after >= before, size, -size)
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # what they hide is refused just below
            steps: NumpyArray = after - before
    except OverflowError as error:  # of dates, from NumPy 2.5 on
        raise _too_long(x, where) from error
    if steps.dtype.kind == "m":
        forward = steps.view(np.int64) > 0
        if ((after > before) & ~forward | (after < before) & forward).any():
            raise _too_long(x, where)  # NumPy before 2.5 wraps around
        steps = count_units(steps, str(time_unit))
    return steps


def _too_long(x: NumpyArray, where: str) -> ValueError:
    return ValueError(
        f"`spacing` for {where} must have steps that {x.dtype} can hold; got dates from {x.min()} "
        f"to {x.max()}. Use a coarser unit, as `astype('M8[us]')` does."
    )


def count_units(steps: NumpyArray, time_unit: str) -> NumpyArray:
    """Return steps between dates as float64 multiples of the unit; NaT becomes NaN."""
    try:
        unit: Any = np.array(1).view(f"m8[{time_unit}]")
        if np.datetime_data(unit.dtype)[0] == "generic":
            raise TypeError("no unit of time")
        return np.asarray(steps / unit)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"`time_unit` must be NumPy's code of a unit that {steps.dtype} converts to (of years "
            f'and months only "Y" and "M"; of others "W", "D", "h", "m", "s", "ms", "us", "ns"); '
            f"got {time_unit!r} ({error})."
        ) from error


def _check_steps(steps: NumpyArray, x: NumpyArray, where: str) -> bool:
    """Raise for steps that have no derivative; tell whether they go both up and down."""
    low, high = steps.min(), steps.max()
    if not (math.isfinite(low) and math.isfinite(high)):
        i = int(np.flatnonzero(~np.isfinite(steps))[0])
        raise ValueError(
            f"`spacing` for {where} must be finite; got {x[i]} and {x[i + 1]} at positions {i} "
            f"and {i + 1}. Drop these samples, or fill their coordinates in."
        )
    if low > 0 or high < 0:
        return False
    if (steps == 0).any():
        i = int(np.flatnonzero(steps == 0)[0])
        neither_up_nor_down = low == high or low < 0 < high
        gap = np.spacing(abs(x[i])) if x.dtype.kind == "f" else 0
        mean = abs(x[-1] - x[0]) / len(steps)
        if x.dtype.kind == "f" and x.itemsize < 8 and (gap >= 2 or 0 < mean < 4 * gap):
            cure = (
                f"Beside such a number {x.dtype} has others {gap:.3g} apart, which is too coarse: "
                "keep coordinates in float64, or subtract an offset before they become "
                f"{x.dtype}."
            )
        elif x.dtype.kind == "f" and abs(x[i]) >= 2.0**53:
            cure = "So large, neighbouring integers are one float64: subtract an offset first."
        elif x.dtype.kind == "f" and neither_up_nor_down and (x > 0).all():
            cure = "These look like steps between samples; pass coordinates, their `numpy.cumsum`."
        else:
            cure = "Drop one of the two samples, or average them."
        raise ValueError(
            f"`spacing` for {where} must have no duplicate coordinates; got {x[i]} at positions "
            f"{i} and {i + 1}. {cure}"
        )
    if (steps[1:] == -steps[:-1]).any():
        i = int(np.flatnonzero(steps[1:] == -steps[:-1])[0])
        raise ValueError(
            f"`spacing` for {where} must not come back to the same place at once; got {x[i]}, "
            f"{x[i + 1]} and {x[i + 2]} from position {i} on. Sort the samples by coordinate."
        )
    return True
