"""The metric of a curved grid: how many samples one passes per unit of length, in each direction.

Positions are differentiated along the axes of the grid, in steps of samples, by the formulas that
fields are differentiated by. The inverse of the matrix of these derivatives turns slopes per sample
into slopes per unit of length; second derivatives of positions tell how the lines of the grid bend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, host_values, warn_caller
from gpugrad._engines import evaluate
from gpugrad._grids import Options, parse_boundaries, plan_axes
from gpugrad._operators.components import match_library
from gpugrad._stencils import AxisPlan, Sides, Term, ends_agree

Matrix = list[list[Array]]


class GridAxis(NamedTuple):
    """An axis of a curved grid, with what is said of the field beyond its ends.

    `jumps` has by how much each position grows once round the axis.
    """

    axis: int
    length: int
    options: Options
    jumps: tuple[float, ...]

    def plan(self, order: int) -> AxisPlan:
        """Return the plan of a derivative of fields, per sample."""
        stand_in = np.broadcast_to(0.0, (1,) * self.axis + (self.length,))
        options = self.options._replace(order=order)
        try:
            return plan_axes(stand_in, (), self.axis, None, options)[0]
        except ValueError as error:
            of_grid = str(error).replace(" of `f` must", " of the grid must")
            raise ValueError(of_grid.replace("a longer field", "a larger grid")) from error

    def plan_positions(self, order: int) -> AxisPlan:
        """Return the plan of a derivative of positions: nothing is known of them beyond an end."""
        options = self.options._replace(beside_masked=None)
        names = {side.name for side in self.sides}
        if not names <= {"periodic", "one-sided"}:
            options = options._replace(boundary="one-sided", edge_accuracy=options.accuracy)
        return self._replace(options=options).plan(order)

    @property
    def sides(self) -> Sides:
        """The boundaries at both ends."""
        return parse_boundaries(self.options.boundary, (0,), 1)[0]

    @property
    def is_periodic(self) -> bool:
        """Whether the axis goes round."""
        return self.sides[0].name == "periodic"


class Positions(NamedTuple):
    """Where the samples of a curved grid lie, and what their differences are measured by.

    ``project(differences)`` returns components along directions that are perpendicular to each
    other. `named` are coordinates for messages, with their names.
    """

    values: Sequence[Array]
    project: Callable[[Sequence[Array]], Sequence[Array]]
    named: dict[str, Array]


def find_inverse(positions: Positions, axes: Sequence[GridAxis]) -> Matrix:
    """Return how many samples one passes along the j-th axis, per unit in direction i: ``[i][j]``.

    Raises
    ------
    ValueError
        If the lines of the grid are parallel somewhere, or samples coincide.
    """
    tangents = [
        [*positions.project([_find_slope(x, axis, jump) for x, jump in _pair(positions, axis)])]
        for axis in axes
    ]
    return _invert(tangents, positions.named)


def find_laplacian(
    positions: Positions, axes: Sequence[GridAxis]
) -> tuple[dict[tuple[int, int], Array], list[Array]]:
    r"""Return the factors of second and of first derivatives per sample in a Laplacian.

    With the metric :math:`g^{jk}` and the number of samples :math:`\xi_j` along the j-th axis

    .. math::

        \nabla^2 f = \sum_{jk} g^{jk} \frac{\partial^2 f}{\partial\xi_j \partial\xi_k}
            + \sum_j (\nabla^2 \xi_j) \frac{\partial f}{\partial\xi_j}

    The Laplacian of a position is zero, in all directions along the grid. This is what
    :math:`\nabla^2 \xi_j` follows from: so the Laplacian of a position is zero with the formulas
    in place of the derivatives, too.
    """
    inverse = find_inverse(positions, axes)
    second: dict[tuple[int, int], Array] = {}
    curvature: list[Any] = [0] * len(inverse)
    for j, k in combinations_with_replacement(range(len(axes)), 2):
        factor = sum(row[j] * row[k] for row in inverse) * (1 if j == k else 2)
        second[j, k] = factor
        bend = positions.project([_find_bend(x, axes, j, k, i) for i, x in enumerate(positions[0])])
        curvature = [total + factor * b for total, b in zip(curvature, bend, strict=True)]
    first = [
        -sum(row[j] * total for row, total in zip(inverse, curvature, strict=True))
        for j in range(len(axes))
    ]
    return second, first


def _pair(positions: Positions, axis: GridAxis) -> zip[tuple[Array, float]]:
    return zip(positions.values, axis.jumps, strict=True)


def _differentiate(x: Array, plan: AxisPlan) -> Array:
    return evaluate([(Term(1, x, plan),)], backend="auto")[0]


def _find_slope(x: Array, axis: GridAxis, jump: float) -> Array:
    """Return the derivative of a position that grows by `jump` once round the axis."""
    slope = _differentiate(_flatten(x, axis, jump), axis.plan_positions(1))
    return slope + jump / axis.length if jump else slope


def _flatten(x: Array, axis: GridAxis, jump: float) -> Array:
    """Return a position without what grows by the same step each time, which is periodic."""
    if not jump:
        return x
    ramp = np.arange(axis.length).reshape((-1,) + (1,) * (x.ndim - axis.axis - 1))
    return x - match_library(ramp * (jump / axis.length), x)


def _find_bend(x: Array, axes: Sequence[GridAxis], j: int, k: int, i: int) -> Array:
    """Return the second derivative of the i-th position along two axes, or twice along one."""
    for axis in axes:
        x = _flatten(x, axis, axis.jumps[i])
    if j == k:
        return _differentiate(x, axes[j].plan_positions(2))
    return _differentiate(_differentiate(x, axes[k].plan_positions(1)), axes[j].plan_positions(1))


def check_closing(xs: Sequence[Array], axes: Sequence[GridAxis]) -> None:
    """Warn of coordinates of a periodic axis that don't come back, or that repeat the first."""
    for axis in axes:
        if not axis.is_periodic:
            continue
        warn_of_repeats(xs, axis)
        values = [host_values(x) for x in xs]
        for x, jump in zip(values, axis.jumps, strict=True):
            if x is None or jump or not x.size:
                continue
            # Where the coordinate comes back, this is a step about as long as the others.
            closing = np.take(x, 0, axis.axis) - np.take(x, -1, axis.axis)
            if np.abs(closing).max() > 1.5 * np.abs(np.diff(x, axis=axis.axis)).max():
                warn_caller(
                    f"a coordinate of the grid jumps where axis {axis.axis} closes: it does not "
                    "come back to where it started. Say by how much each coordinate grows each "
                    f"time round, as in `period={{{axis.axis}: (360.0, 0.0)}}`."
                )


def warn_of_repeats(xs: Sequence[Array], axis: GridAxis) -> None:
    """Warn of last samples of a periodic axis that lie where the first ones do."""
    values = [host_values(x) for x in xs]
    if axis.length > 3 and all(
        x is not None and ends_agree(np.moveaxis(x, axis.axis, 0), jump)
        for x, jump in zip(values, axis.jumps, strict=True)
    ):
        warn_caller(
            f"axis {axis.axis} of the grid is periodic, but its last samples repeat the first. "
            "Leave them out: the first sample follows the last."
        )


def _invert(tangents: Matrix, named: dict[str, Array]) -> Matrix:
    """Return the inverse of the matrix of tangents at each sample, by cofactors."""
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
    _check_determinant(determinant, tangents, named)
    return [[cofactors[j][i] / determinant for j in range(n)] for i in range(n)]


def _check_determinant(determinant: Array, tangents: Matrix, named: dict[str, Array]) -> None:
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
        place = [
            np.broadcast_to(np.asarray(host_values(x)), values.shape)[at] for x in named.values()
        ]
        where = ", ".join(f"{name} = {x:.6g}" for name, x in zip(named, place, strict=True))
        raise ValueError(
            f"coordinates must make a grid whose cells have a size; got none at index {at} ({where}"
            f"), and at {vanishes.sum()} samples in all: there samples coincide, or neighbours "
            "along two axes lie on one line, or a coordinate is no number. Leave these samples "
            "out (the centre of a polar grid, say)."
        )
    if (values > 0).any() and (values < 0).any():
        warn_caller(
            "the grid folds over: its cells are right-handed here and left-handed there. "
            "Derivatives are wrong along the fold."
        )
