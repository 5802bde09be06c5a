"""Weights of derivatives on samples that may lie anywhere.

For the first derivative on three samples in closed form, in the order of operations that
`numpy.gradient` has: the bits of its results follow from the bits of these. For any derivative on
any samples by a recurrence. Written with arithmetic operators alone, so samples may lie at exact
fractions, at numbers, or at arrays of any library with a position for each row.

References
----------
A. Quarteroni, R. Sacco, F. Saleri, *Numerical Mathematics*, Springer 2007, section 10.10.

B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", *Mathematics
of Computation* 51 (1988), 699-706.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from numbers import Integral, Rational
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory, threads

if TYPE_CHECKING:
    from fractions import Fraction

Weights = tuple[Any, Any, Any]

BLOCK = 1 << 14
"""Steps that are worked on at once where there are many: with all temporaries they stay cached."""


def middle_of_three(left: Any, right: Any) -> Weights:
    """Return the weights of f[i-1], f[i], f[i+1] for the derivative at sample i.

    `left` and `right` are the steps ``x[i] - x[i-1]`` and ``x[i+1] - x[i]``; the error is
    O(left * right).
    """
    both = left + right
    return -right / (left * both), (right - left) / (left * right), left / (right * both)


def middle_in_blocks(steps: NumpyArray, axis: int = 0) -> Weights:
    """Return what `middle_of_three` does for many steps, several times as fast, on threads."""

    def weigh(steps: NumpyArray) -> Weights:
        return middle_of_three(
            *(_cut_rows(steps, axis, k, steps.shape[axis] - 1 + k) for k in (0, 1))
        )

    first, second, third = _weigh_in_blocks(weigh, steps, 3, axis)
    return first, second, third


def _cut_rows(x: Any, axis: int, start: int, stop: int) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _weigh_in_blocks(
    weigh: Callable[[NumpyArray], Sequence[Any]], steps: NumpyArray, count: int, axis: int
) -> list[NumpyArray]:
    """Return the `count` weights that are made of as many steps less one, in blocks of rows."""
    shape = [*steps.shape]
    shape[axis] -= count - 2
    weights = [memory.empty(tuple(shape), steps.dtype) for _ in range(count)]
    across = next((i for i, n in enumerate(shape) if n > 1), axis)  # the slowest axis to cut
    overlap = count - 2 if across == axis else 0
    # Cut along the axis itself, a block reads steps that the next block reads again.
    step = max(1, BLOCK * shape[across] // max(1, math.prod(shape)))

    def work(starts: Sequence[int]) -> None:
        for start in starts:
            stop = min(start + step, shape[across])
            block = weigh(_cut_rows(steps, across, start, stop + overlap))
            for target, w in zip(weights, block, strict=True):
                _cut_rows(target, across, start, stop)[...] = w

    threads.for_each_share(work, range(0, shape[across], step), threads.count())
    return weights


def first_of_three(near: Any, far: Any) -> Weights:
    """Return the weights of f[0], f[1], f[2] for the derivative at sample 0."""
    return (
        -(2.0 * near + far) / (near * (near + far)),
        (near + far) / (near * far),
        -near / (far * (near + far)),
    )


def last_of_three(far: Any, near: Any) -> Weights:
    """Return the weights of f[-3], f[-2], f[-1] for the derivative at the last sample."""
    return (
        near / (far * (far + near)),
        -(near + far) / (far * near),
        (2.0 * near + far) / (near * (far + near)),
    )


def middle_of_many(
    steps: Any, before: int, after: int, order: int, axis: int = 0, shift: int = 0
) -> list[Any]:
    """Return the weights of some samples before and after a row, for each row that has them.

    `steps` is an array with at least ``before + after`` steps along `axis`; each weight has one
    entry for each row of each line, in the dtype of the steps. `shift` is as in `move_origin`.
    """
    count = before + after + 1

    def weigh(steps: Any) -> list[Any]:
        rows = steps.shape[axis] - count + 2
        columns = [_cut_rows(steps, axis, k, k + rows) for k in range(count - 1)]
        return any_weights(move_origin(positions_around(columns, before), before, shift), order)

    if isinstance(steps, np.ndarray):
        return _weigh_in_blocks(
            lambda g: weigh(g.astype(np.result_type(g, "f8"))), steps, count, axis
        )
    return weigh(steps)


def positions_around(steps: Sequence[Any], row: int) -> list[Any]:
    """Return where samples lie as seen from one of them, given the steps between neighbours."""
    after = [*accumulate(steps[row:])]
    before = [*accumulate(-step for step in reversed(steps[:row]))]
    return [*reversed(before), 0 * steps[0], *after]


def move_origin(positions: Sequence[Any], row: int, shift: int) -> list[Any]:
    """Return positions as seen from half a cell behind (1) or before (-1) the sample of a row.

    They are given as seen from that sample (0). Beyond the first and the last sample, the cell is
    as wide as its neighbour.
    """
    if not shift:
        return [*positions]
    is_inside = 0 <= row + shift < len(positions)
    step = positions[row + shift] if is_inside else -positions[row - shift]
    half = make_exact([step])[0] / 2
    return [position - half for position in make_exact(positions)]


def any_weights(positions: Sequence[Any], order: int) -> list[Any]:
    """Return the weights of samples for a derivative at position 0, by Fornberg's recurrence.

    Parameters
    ----------
    positions : sequence
        Where the samples lie, in the unit of the coordinates: fractions (for exact weights),
        numbers, or arrays with one entry for each row. More of them than `order`, no two alike.
    order : int
        The order of the derivative; 0 interpolates.

    Returns
    -------
    list
        One weight for each sample. With :math:`n` samples the error is
        :math:`O(h^{n - order})`, and polynomials of degree :math:`n - 1` have none.

    Notes
    -----
    Sample by sample, the weights for all samples so far follow from those for one less. The
    recurrence is stable; positions are scaled by their extent, so that no product of theirs
    overflows. Fractions have no need of that, and take a shorter way to the same weights.

    References
    ----------
    B. Fornberg, *Mathematics of Computation* 51 (1988), 699-706.
    """
    x, scale = _scale_positions(positions)
    if type(x[0]) is int:
        return _weigh_integers(x, scale, order)
    # weights[k][j] belongs to the k-th derivative and to sample j, for the samples so far.
    weights: list[list[Any]] = [[0 * x[0] for _ in x] for _ in range(order + 1)]
    weights[0][0] = weights[0][0] + 1
    before: Any = 1
    for i in range(1, len(x)):
        product: Any = 1
        for j in range(i):
            product = product * (x[i] - x[j])
        for k in range(min(i, order), -1, -1):
            lower = k * weights[k - 1][i - 1] if k else 0
            weights[k][i] = before / product * (lower - x[i - 1] * weights[k][i - 1])
        for j in range(i):
            for k in range(min(i, order), -1, -1):
                lower = k * weights[k - 1][j] if k else 0
                weights[k][j] = (x[i] * weights[k][j] - lower) / (x[i] - x[j])
        before = product
    return [w / scale**order for w in weights[order]]


def _scale_positions(positions: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return positions in another unit, and the unit: fractions become integers."""
    if len(positions) == 1:
        return [*positions], 1
    if isinstance(positions[0], Rational) and not isinstance(positions[0], Integral):
        fraction: Any = type(positions[0])
        below = math.lcm(*(position.denominator for position in positions))
        return [int(position * below) for position in positions], fraction(1, below)
    scale = sum(abs(b - a) for a, b in pairwise(positions))
    return [position / scale for position in positions], scale


def _weigh_integers(x: Sequence[int], scale: Fraction, order: int) -> list[Fraction]:
    """Return the exact weights of samples at integers times a scale.

    A weight is the derivative of the polynomial that is 1 at its sample and 0 at all others, a
    product of differences. Integers have no common factors to look for at each step, as
    fractions do, which takes most of their time.
    """
    # The product of all differences, divided by one of them, is the polynomial of that sample. So
    # the product is made once, and each division costs as much as one sample did.
    product = [1]  # of all differences, as a polynomial: its coefficients, from the highest on
    for position in x:
        product = [a - position * b for a, b in zip([*product, 0], [0, *product], strict=True)]
    weights = []
    for i, position in enumerate(x):
        coefficient = 0
        for a in product[: len(x) - order]:  # divided by the difference from this position
            coefficient = a + position * coefficient
        differences = math.prod(position - place for j, place in enumerate(x) if j != i)
        weights.append(math.factorial(order) * coefficient / (scale**order * differences))
    return weights


@lru_cache(maxsize=1024)
def exact_weights(positions: tuple[Any, ...], order: int) -> tuple[Fraction, ...]:
    """Return the weights of samples at integers or fractions, in multiples of the spacing."""
    return tuple(any_weights(make_exact(positions), order))


def make_exact(positions: Sequence[Any]) -> list[Any]:
    """Return integers as fractions, which divide exactly, and anything else as it is."""
    from fractions import Fraction  # too slow to import for those who need no exact weights

    return [Fraction(x) if isinstance(x, (int, Fraction)) else x for x in positions]


def central_reach(order: int, accuracy: int, shift: int = 0) -> int:
    """Return how many samples on both sides the central formula of an even accuracy reads.

    By symmetry every second term of its error vanishes, so ``order + accuracy - 1`` samples do what
    one-sided formulas need ``order + accuracy`` for. (For odd orders there is one sample more, in
    the middle, without a weight.) Midway between samples, where `shift` is not 0, none is in the
    middle: there even orders need one more.
    """
    return (order + accuracy) // 2 if shift else (order - 1) // 2 + accuracy // 2


def weights_with_slope(positions: Sequence[Any], order: int) -> tuple[list[Any], Any]:
    r"""Return the weights of samples, and of the first derivative at the first of them.

    Parameters
    ----------
    positions : sequence
        As for `any_weights`, `order` of them or more.
    order : int
        The order of the derivative at position 0.

    Returns
    -------
    weights : list
        One for each sample.
    weight : number or array
        That of the slope. With :math:`n` samples, polynomials of degree :math:`n` have no error.

    Notes
    -----
    With :math:`p` the polynomial through the samples, :math:`g` the slope that is given at
    :math:`x_0` and :math:`\omega(x) = \prod_k (x - x_k)`, the polynomial to differentiate is

    .. math::

        p(x) + (g - p'(x_0)) \frac{\omega(x)}{\omega'(x_0)}
    """
    (first, *later), scale = _scale_positions(positions)
    omega = [1 + 0 * first]  # the coefficients of omega, from the constant on
    slope = 1 + 0 * positions[0]  # of omega at the first sample
    for position in (first, *later):
        shifted = [0 * first, *omega]
        omega = [a - position * b for a, b in zip(shifted, [*omega, 0 * first], strict=True)]
    for position in later:
        slope = slope * (first - position)
    factor = math.factorial(order) * omega[order] / slope
    weights = [0 * first for _ in positions]
    if len(positions) > order:
        weights = any_weights(positions, order)
    if later:
        slope_weights = any_weights([position - positions[0] for position in positions], 1)
        factor = factor / scale ** (order - 1)
        weights = [w - factor * v for w, v in zip(weights, slope_weights, strict=True)]
    return weights, factor


@lru_cache(maxsize=1024)
def exact_weights_with_slope(
    positions: tuple[Fraction, ...], order: int
) -> tuple[tuple[Fraction, ...], Fraction]:
    """Do what `weights_with_slope` does, for samples at fractions."""
    weights, of_slope = weights_with_slope(positions, order)
    return tuple(weights), of_slope
