"""Whether the last samples of a periodic axis are the first ones again, one period later.

Equal ends alone don't tell: samples at the centres of cells are mirrored about the seam of an even
field, and a pulse is level at both ends. So it is asked which of the two is smooth, the field with
its last samples or without them, by its third, fifth and seventh differences round the seam.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpugrad._arrays import Array, NumpyArray, host_values

LINES, WINDOWS = 64, 128
"""How many lines of a large field are looked at, and at how many places of each."""

EQUAL = 1e-6
"""The part of the step beside the seam by which samples may differ that are the same one."""

ORDERS, SMOOTHER = (3, 5, 7), 0.5
"""Orders of differences of which one must shrink by this without the last samples."""

_REACH = ORDERS[-1] + 1
_EPS = {"e": 2.0**-10, "f": 2.0**-23, "F": 2.0**-23}


def repeats_its_first(f: Array, axis: int) -> bool:
    """Tell whether the last samples along an axis are the first ones again, if they may be read."""
    values = f if isinstance(f, np.ndarray) else host_values(f)
    if values is None or values.ndim == 0 or values.shape[axis] < 5 or not values.size:
        return False
    if isinstance(values, np.ma.MaskedArray) or values.dtype.kind not in "iufcmM":
        return False
    # In most fields one line is enough to know. Then some lines are looked at, at last all.
    line = (0,) * axis, (0,) * (values.ndim - axis - 1)
    ends = [values[(*line[0], i, *line[1])] for i in (0, 1, -2, -1)]
    if values.dtype.kind not in "mM":
        first, second, last_but_one, last = (end.item() for end in ends)
        dtype, n = values.dtype, values.shape[axis]
        if not _agree(first, second, last_but_one, last, dtype, n, max):
            return False
    rows = np.moveaxis(values.view(np.ndarray), axis, 0)
    rows = rows if rows.ndim > 1 else rows[:, None]
    some = _take_lines(rows, [0, 1, -2, -1])
    with np.errstate(all="ignore"):
        return ends_agree(some, length=len(rows)) and _is_smoother_without_last(rows)


def ends_agree(rows: NumpyArray, jump: float = 0.0, length: int | None = None) -> bool:
    """Tell whether the last row is the first one, plus a jump, but for rounding.

    Rows are along axis 0, all of them or `length` with only those near the ends.
    """
    length = length or rows.shape[0]
    first, second, last_but_one, last = (_as_numbers(rows[i]) for i in (0, 1, -2, -1))
    agree = _agree(first, second, last_but_one, last, rows.dtype, length, np.maximum, jump)
    return bool(np.all(agree))


def _agree(
    first: Any,
    second: Any,
    last_but_one: Any,
    last: Any,
    dtype: np.dtype[Any],
    length: int,
    maximum: Any,
    jump: float = 0.0,
) -> Any:
    eps = _EPS.get(dtype.char, 2.0**-52)
    step = maximum(abs(second - first), abs(last - last_but_one))
    # Coordinates as coarse as the field move its samples by a part of a step.
    part = min(max(EQUAL, 4 * eps * length), 0.05)
    rounding = 4 * eps * maximum(abs(first), abs(last))
    return abs(first + jump - last) <= part * step + rounding


def _take_lines(rows: NumpyArray, places: Any) -> NumpyArray:
    """Return rows of some of the lines along axis 0, from all over the field, as a 2-D array."""
    count = rows[0].size
    chosen = np.linspace(0, count - 1, min(count, LINES)).astype(int)
    lines = np.unravel_index(chosen, rows.shape[1:])
    return np.asarray(rows[(np.asarray(places)[:, None], *lines)])


def _is_smoother_without_last(rows: NumpyArray) -> bool:
    """Tell whether a field is much smoother round the seam without its last row.

    With it, the seam must be rougher than anything inside: in noise any place may be smooth.
    """
    n = rows.shape[0]
    reach = np.arange(min(n, _REACH))
    low, high = (_as_numbers(_take_lines(rows, places)) for places in (reach, reach - reach.size))
    for order in ORDERS[: (n - 3) // 2]:
        kept = _find_roughness(np.concatenate([high[-order:], low[:order]])[None], order)
        shortened = np.concatenate([high[-order - 1 : -1], low[:order]])[None]
        if not 0 < kept >= _find_roughness(shortened, order) / SMOOTHER:
            continue
        if kept > _find_roughness(_take_windows(rows), order):
            return ends_agree(rows)
    return False


def _take_windows(rows: NumpyArray) -> NumpyArray:
    """Return some lines, whole or in windows from all over them: (windows, rows, lines)."""
    n = rows.shape[0]
    if n <= _REACH * WINDOWS:
        return _as_numbers(_take_lines(rows, range(n)))[None]
    starts = np.linspace(0, n - _REACH, WINDOWS).astype(int)
    windows = _take_lines(rows, (starts[:, None] + np.arange(_REACH)).ravel())
    return _as_numbers(windows).reshape(WINDOWS, _REACH, -1)


def _find_roughness(windows: NumpyArray, order: int) -> float:
    """Return the largest difference of an order within windows, of all lines together."""
    roughness = (abs(np.diff(windows, order, axis=1)) ** 2).sum(axis=2)
    return math.sqrt(float(np.nanmax(roughness, initial=0.0)))


def _as_numbers(x: NumpyArray) -> NumpyArray:
    """Return values that can be subtracted: dates by their counts."""
    if x.dtype.kind in "mM":
        x = x.view(np.int64)
    return x.astype(np.result_type(x.dtype, np.float64))
