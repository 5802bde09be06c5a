"""Curved grids: derivatives in physical space, given where each sample lies.

Everything is differentiated along the axes of the array, in steps of samples, the coordinates by
the same formulas as the field. The inverse of the matrix of the coordinates' derivatives turns
slopes per sample into slopes per unit of length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import (
    Array,
    deliver,
    device_of,
    dtype_name,
    flatten_rows,
    host_values,
    is_library_array,
    library_of,
    namespace_of,
)
from gpugrad._engines import evaluate
from gpugrad._grids import (
    Options,
    list_by_axis,
    parse_axes,
    parse_boundaries,
    plan_axes,
    warn_caller,
    widen,
)
from gpugrad._operators.components import check_count, find_shape, join_results, match_library
from gpugrad._stencils import AxisPlan, Operator, Sides, Term, add_up

Matrix = list[list[Array]]


class Grid(NamedTuple):
    """A curved grid: how to differentiate along its axes, and per unit of which coordinate.

    ``inverse[i][j]`` is the derivative of the number of samples along the j-th axis with respect
    to the i-th coordinate.
    """

    plans: list[AxisPlan]
    inverse: Matrix
    backend: str | None

    def slopes(self, f: Array) -> Sequence[Array]:
        """Return the derivatives of a field along the axes, per sample."""
        return evaluate([(Term(1, f, plan),) for plan in self.plans], None, False, self.backend)

    def component(self, slopes: Sequence[Array], i: int) -> Array:
        """Return the derivative with respect to the i-th coordinate."""
        products = [w * slope for w, slope in zip(self.inverse[i], slopes, strict=True)]
        return sum(products[1:], start=products[0])


def apply_on_grid(
    row: Operator,
    fields: Sequence[Array],
    coordinates: Any,
    axis: Any,
    options: Options,
    out: Any,
    stack: bool,
    backend: str | None,
) -> Any:
    """Return the results of an operator of the table, with respect to the coordinates."""
    if row.gives == "curl":
        check_count(row, fields, len(fields))
    f = fields[0]
    grid = make_grid(f, coordinates, axis, options, backend)
    axes = len(grid.plans)
    check_count(row, fields, axes)
    shape = find_shape(row, len(fields), axes, stack)
    outputs = row.make_outputs(
        lambda order: range(axes), lambda j, i=0, sign=1: (sign, (i, j)), len(fields)
    )
    wanted = {place for terms in outputs for _, place in terms}
    entries: dict[tuple[int, int], Array] = {}
    for i, field in enumerate(fields):  # one after the other: slopes are as large as fields
        slopes = grid.slopes(field)
        entries |= {(i, j): grid.component(slopes, j) for j in range(axes) if (i, j) in wanted}
    sums = [
        add_up([entries[place] for _, place in terms], [sign for sign, _ in terms])
        for terms in outputs
    ]
    if len(shape) < 2:
        results = deliver(sums, f, out, stack)
        return results if shape else results[0]
    targets = None if out is None else flatten_rows(out, (*shape, *f.shape), stack)
    results = deliver(sums, f, targets, False)
    return join_results(results, shape, stack) if out is None else out


def make_grid(f: Array, coordinates: Any, axis: Any, options: Options, backend: str | None) -> Grid:
    """Check the arguments of an operator on a curved grid, and work out the grid's derivatives."""
    axes = parse_axes(axis, f.ndim)
    sides = parse_boundaries(options.boundary, axes, f.ndim)
    if any(side.name == "normal" for pair in sides for side in pair):
        raise ValueError(
            "`boundary` must not be a given slope on a curved grid, whose normals have other "
            "directions than its axes. Use one-sided ends there."
        )
    xs = _parse_coordinates(coordinates, f, axes)
    jumps = _parse_jumps(options.period, sides, len(xs), axes, f.ndim)
    options = options._replace(period=None)
    plans = plan_axes(f, (), axes, None, options)
    tangents = differentiate_grid(xs, f.shape, axes, options, jumps)
    inverse = invert(tangents, xs, [f"coordinate {i}" for i in range(len(xs))])
    return Grid(plans, [[match_library(w, f) for w in row] for row in inverse], backend)


def differentiate_grid(
    xs: Sequence[Array],
    shape: tuple[int, ...],
    axes: Sequence[int],
    options: Options,
    jumps: Sequence[Sequence[float]],
) -> Matrix:
    """Return the derivatives of coordinates per sample: ``[j][i]`` of x_i along the j-th axis.

    `jumps` has, for each axis, by how much each coordinate grows once round it.
    """
    sides = parse_boundaries(options.boundary, axes, len(shape))
    tangents = []
    for axis, pair, jump in zip(axes, sides, jumps, strict=True):
        axis_options = options._replace(boundary=pair[0].name)
        if not {side.name for side in pair} <= {"periodic", "one-sided"}:
            # What is beyond the end is said of the field, not of the coordinates.
            axis_options = options._replace(boundary="one-sided", edge_accuracy=options.accuracy)
        (plan,) = plan_axes(np.broadcast_to(0.0, shape), (), axis, None, axis_options)
        row = []
        for x, step in zip(xs, jump, strict=True):
            if not step:
                _warn_of_jump(x, axis, pair)
            row.append(_differentiate_coordinate(x, axis, plan, step))
        tangents.append(row)
    return tangents


def _differentiate_coordinate(x: Array, axis: int, plan: AxisPlan, jump: float) -> Array:
    """Return the derivative of a coordinate that grows by `jump` once round the axis."""
    step = jump / x.shape[axis]
    if step:  # without the part that grows by the same step each time, it is periodic
        ramp = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1)) * step
        x = x - match_library(ramp, x)
    slope = evaluate([(Term(1, x, plan),)], backend="auto")[0]
    return slope + step if step else slope


def _warn_of_jump(x: Array, axis: int, pair: Sides) -> None:
    """Warn of a coordinate of a periodic axis that does not come back to where it started."""
    values = host_values(x)
    if pair[0].name != "periodic" or values is None or not values.size:
        return
    # Where the coordinate comes back, this is a step about as long as the others.
    closing = np.take(values, 0, axis) - np.take(values, -1, axis)
    if np.abs(closing).max() > 1.5 * np.abs(np.diff(values, axis=axis)).max():
        warn_caller(
            f"a coordinate in `curvilinear` jumps where axis {axis} closes: it does not come back "
            "to where it started. Say by how much it grows each time round, as in "
            "`period={1: (360.0, 0.0)}`: for each axis a tuple of one number per coordinate."
        )


def invert(tangents: Matrix, xs: Sequence[Array], names: Sequence[str]) -> Matrix:
    """Return the inverse of the matrix of tangents at each sample, by cofactors.

    Raises
    ------
    ValueError
        If tangents are parallel, or vanish, at some sample whose coordinates may be read.
    """
    # Cofactors take nothing but arithmetic: any library inverts all samples' matrices at once.
    n = len(tangents)
    t = tangents
    if n == 1:
        cofactors = [[t[0][0] * 0 + 1]]
    elif n == 2:
        cofactors = [[t[1][1], -t[1][0]], [-t[0][1], t[0][0]]]
    else:
        # Cyclic indices bring the sign of each cofactor along.
        cofactors = [
            [
                t[(j + 1) % 3][(i + 1) % 3] * t[(j + 2) % 3][(i + 2) % 3]
                - t[(j + 1) % 3][(i + 2) % 3] * t[(j + 2) % 3][(i + 1) % 3]
                for i in range(3)
            ]
            for j in range(3)
        ]
    products = [a * b for a, b in zip(t[0], cofactors[0], strict=True)]
    determinant = sum(products[1:], start=products[0])
    _check_determinant(determinant, tangents, xs, names)
    return [[cofactors[j][i] / determinant for j in range(n)] for i in range(n)]


def _check_determinant(
    determinant: Array, tangents: Matrix, xs: Sequence[Array], names: Sequence[str]
) -> None:
    values = host_values(determinant)
    if values is None or not values.size:
        return
    lengths: Any = 1.0
    for row in tangents:
        lengths = lengths * np.sqrt(sum(np.square(np.asarray(host_values(t))) for t in row))
    # Relative to the lengths of the tangents: the test must not depend on units, nor miss NaN.
    vanishes = ~(np.abs(values) > 16 * np.finfo(values.dtype).eps * lengths)
    if vanishes.any():
        at = tuple(int(i) for i in np.argwhere(vanishes)[0])
        place = [np.broadcast_to(np.asarray(host_values(x)), values.shape)[at] for x in xs]
        where = ", ".join(f"{name} = {x:.6g}" for name, x in zip(names, place, strict=True))
        raise ValueError(
            f"`curvilinear` must be a grid whose cells have a size; got none at index {at} ({where}"
            f"), and at {vanishes.sum()} samples in all: there samples coincide, or neighbours "
            "along two axes lie on one line, or a coordinate is no number. Leave these samples "
            "out (the centre of a polar grid, say)."
        )
    if (values > 0).any() and (values < 0).any():
        warn_caller(
            "the grid in `curvilinear` folds over: its cells are right-handed here and left-handed "
            "there. Derivatives are wrong along the fold."
        )


def _parse_coordinates(coordinates: Any, f: Array, axes: Sequence[int]) -> list[Array]:
    """Return coordinates as float arrays with the axes of `f`, on the host where they are known."""
    is_sequence = isinstance(coordinates, (tuple, list))
    if not is_sequence or len(coordinates) != len(axes):
        count = len(coordinates) if is_sequence else type(coordinates).__name__
        raise TypeError(
            f"`curvilinear` must be a tuple of {len(axes)} arrays, the coordinates of the samples, "
            f"as many as axes to differentiate along; got {count}. Name the axes with `axis`."
        )
    if not 1 <= len(axes) <= 3:
        raise ValueError(f"`curvilinear` must have 1, 2 or 3 coordinates; got {len(axes)}.")
    xs = [_parse_coordinate(x, i, f, axes) for i, x in enumerate(coordinates)]
    return [match_library(x, f) for x in xs] if any(map(is_library_array, xs)) else xs


def _parse_coordinate(x: Any, number: int, f: Array, axes: Sequence[int]) -> Array:
    name = f"`curvilinear[{number}]`"
    if is_library_array(x):
        if library_of(x) != library_of(f) or device_of(x) != device_of(f):
            raise TypeError(
                f"{name} must be a NumPy array, or of the field's library and device; got "
                f"{library_of(x)} for a field of {library_of(f)}."
            )
        x = x if host_values(x) is None else host_values(x)
    else:
        x = np.asarray(x)
    x = widen(x)
    if not dtype_name(x.dtype).startswith(("float", "longdouble")):
        raise TypeError(f"{name} must hold real numbers; got dtype {dtype_name(x.dtype)}.")
    space = tuple(f.shape[i] for i in sorted(axes))
    shape = tuple(x.shape)
    if shape == space and len(shape) < f.ndim:
        shape = tuple(n if i in axes else 1 for i, n in enumerate(f.shape))
    if (
        len(shape) != f.ndim
        or tuple(shape[i] for i in sorted(axes)) != space
        or any(n not in (1, m) for n, m in zip(shape, f.shape, strict=True))
    ):
        raise ValueError(
            f"{name} must have the shape of the space to differentiate in, {space}, or all axes of "
            f"`f`, {tuple(f.shape)}; got shape {tuple(x.shape)}. Pass the coordinate of every "
            "sample, as `numpy.meshgrid` makes them of axes."
        )
    return namespace_of(x).reshape(x, shape)


def _parse_jumps(
    period: Any, sides: Sequence[Sides], count: int, axes: Sequence[int], ndim: int
) -> list[tuple[float, ...]]:
    """Return by how much each coordinate grows once round each axis."""
    periods = list_by_axis(period, axes, ndim, "period")
    jumps = []
    for entry, (side, _) in zip(periods, sides, strict=True):
        if entry is None or (side.name != "periodic" and not isinstance(period, dict)):
            jumps.append((0.0,) * count)
            continue
        if not isinstance(entry, tuple) or len(entry) != count or side.name != "periodic":
            raise ValueError(
                "`period` must be, on a curved grid, a tuple that says for a periodic axis by how "
                f"much each of the {count} coordinates grows once round it, or None where they "
                f"come back; got {entry!r}."
            )
        jumps.append(tuple(float(step) for step in entry))
    return jumps
