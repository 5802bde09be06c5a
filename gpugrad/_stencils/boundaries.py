"""What lies beyond the ends of an axis: one row of a table for each boundary.

A boundary turns into formulas for the rows near an end. Nothing is padded: what a stencil would
read beyond the end is said in terms of samples of the field, and of a given number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gpugrad._stencils.weights import (
    any_weights,
    central_reach,
    exact_weights,
    exact_weights_with_slope,
    make_exact,
    move_origin,
    positions_around,
    weights_with_slope,
)

MAX_ORDER, MAX_ACCURACY = 8, 12


class Window(NamedTuple):
    """How many neighbours a formula reads: before and behind, or outwards and inwards at an end."""

    outwards: int
    inwards: int


class Scheme(NamedTuple):
    """Which derivative, and how accurate: the power of the spacing with which the error vanishes.

    `edge_accuracy` is for formulas which read on one side of an end only; None is the same
    as inside, but 1 for the one-sided ends of the first derivative of accuracy 2, as in NumPy.
    Results are at the samples, or half a cell before (`shift` -1) or behind them (1).
    """

    order: int
    accuracy: int
    edge_accuracy: int | None = None
    shift: int = 0

    @property
    def reach(self) -> int:
        """How many samples to both sides the formula inside reads, without one in the middle."""
        return central_reach(self.order, self.accuracy, self.shift)

    @property
    def window(self) -> Window:
        """How many neighbours the formula inside reads; as many rows at an end have others."""
        return Window(self.reach - (self.shift > 0), self.reach - (self.shift < 0))

    def enough(self, row: int) -> int:
        """Return how many samples from an end on are symmetric about the place of a result."""
        return 2 * row + 1 + self.shift

    @property
    def edge(self) -> int:
        """The accuracy at an end."""
        return self.accuracy if self.edge_accuracy is None else self.edge_accuracy

    @property
    def is_numpys(self) -> bool:
        """Whether this is what `numpy.gradient` does inside."""
        return self.order == 1 and self.accuracy == 2 and not self.shift

    def seen_from(self, sign: int) -> Scheme:
        """Return the scheme as it is where samples are counted inwards: -1 at the upper end."""
        return self._replace(shift=sign * self.shift) if self.shift else self

    def at(self, side: Side) -> Scheme:
        """Return the scheme with the accuracy at an end decided."""
        if (
            self.edge_accuracy is None
            and (self.order, self.accuracy) == (1, 2)
            and side.name == "one-sided"
        ):
            return self._replace(edge_accuracy=1)
        return self


class Side(NamedTuple):
    """The boundary at one end: its row of the table, and the number that goes with it."""

    name: str
    value: float | None = None


Sides = tuple[Side, Side]
"""The boundaries at the lower and at the upper end of an axis."""


class End(NamedTuple):
    """An end of an axis. Samples are counted inwards from it: the outermost is number 0.

    `steps` are the distances from sample to sample, inwards, with the sign of the coordinates;
    `around` those outwards, from the outermost sample to the first one at the other end of a
    periodic axis, and so on. On an even axis they are the integers 1 or -1: the unit of
    positions is the spacing, and weights are exact.
    """

    length: int
    steps: Sequence[Any]
    around: Sequence[Any]


class RowFormula(NamedTuple):
    """The formula of a row: weights by number of the sample, and the weight of the given number."""

    weights: dict[int, Any]
    of_value: Any = 0


class Boundary(NamedTuple):
    """How a boundary makes the formulas of rows, and how many samples it needs.

    `weigh` takes an end, a row and a scheme, and if it `reads_beyond` also a window to read other
    samples than the scheme's. What `value` means is None where no number is
    given; one `per_length` is a rate, in the unit of the field per unit of the coordinates.
    """

    weigh: Callable[..., RowFormula]
    needs: Callable[[Scheme], int]
    value: str | None = None
    per_length: bool = False

    @property
    def reads_beyond(self) -> bool:
        """Whether there are stand-ins for samples beyond the end, for any formula."""
        return isinstance(self.weigh, partial)


def _read_one_side(end: End, row: int, scheme: Scheme) -> RowFormula:
    """Read samples next to the end only; further in, as many as are symmetric about the row."""
    # Where more samples lie symmetrically about the row, the formula is a central one.
    count = max(scheme.order + scheme.edge, scheme.enough(row))
    weights = _weigh_samples(end.steps[: count - 1], row, scheme)
    return RowFormula(dict(enumerate(weights)))


def _know_the_slope(end: End, row: int, scheme: Scheme) -> RowFormula:
    """Read samples next to the end, one less than without the outward slope at sample 0."""
    count = scheme.order + scheme.edge - 1
    if scheme.enough(row) > count + 1:
        return _read_one_side(end, row, scheme)
    nearest = positions_around(end.steps[: max(count - 1, row + 1)], row)
    nearest = move_origin(nearest, row, scheme.shift)
    step = end.steps[0]
    weigh = exact_weights_with_slope if type(step) is int else weights_with_slope
    weights, of_slope = weigh(tuple(make_exact(nearest[:count])), scheme.order)
    # Samples are counted inwards, so the outward slope has the opposite sign of the direction of
    # counting, whether coordinates rise or fall.
    inwards = step if type(step) is int else step / abs(step)
    return RowFormula(dict(enumerate(weights)), -of_slope * inwards)


def _read_beyond(
    sample: Callable[[int, int], int] | None,
    find_steps: Callable[[End, int], Sequence[Any]],
    factor: int,
    end: End,
    row: int,
    scheme: Scheme,
    window: Window | None = None,
) -> RowFormula:
    """Use the formula of the inside, or of another window, with stand-ins for samples beyond.

    The j-th one beyond the end of an axis of n samples is ``factor`` times number ``sample(j, n)``,
    or the given number; `find_steps` returns the distances outwards.
    """
    outwards, inwards = window or scheme.window
    beyond = [*find_steps(end, outwards)][: outwards - row]
    steps = [*reversed(beyond), *end.steps[: row + inwards]]
    weights: dict[int, Any] = {}
    of_value: Any = 0
    numbers = range(row - outwards, row + inwards + 1)
    for number, w in zip(numbers, _weigh_samples(steps, outwards, scheme), strict=True):
        if number >= 0:
            weights[number] = weights.get(number, 0) + w
        elif sample is None:
            of_value = of_value + w
        else:
            source = sample(-number, end.length)
            weights[source] = weights.get(source, 0) + factor * w
    return RowFormula(weights, of_value)


def _weigh_samples(steps: Sequence[Any], row: int, scheme: Scheme) -> Sequence[Any]:
    order = scheme.order
    positions = move_origin(positions_around(steps, row), row, scheme.shift)
    if type(steps[0]) is int:
        return exact_weights(tuple(positions), order)
    weights = any_weights(positions, order)
    if isinstance(steps[0], np.generic) and all(
        a == -b for a, b in zip(positions, reversed(positions), strict=True)
    ):
        # Rounding must not spoil what cancels at a mirror.
        parity = (-1) ** order
        pairs = zip(weights, reversed(weights), strict=True)
        weights = [(w + parity * v) / 2 for w, v in pairs]
    return weights


def _mirror_steps(end: End, reach: int) -> Sequence[Any]:
    return end.steps[:reach]


def _mirror_steps_from_half(end: End, reach: int) -> Sequence[Any]:
    return [end.steps[0], *end.steps[: reach - 1]]


def _repeat_step(end: End, reach: int) -> Sequence[Any]:
    return [end.steps[0]] * reach


# A stand-in is a factor times a sample by number: the j-th beyond an axis of n samples.
_mirror = partial(_read_beyond, lambda j, n: j, _mirror_steps)
_mirror_from_half = partial(_read_beyond, lambda j, n: j - 1, _mirror_steps_from_half)
_wrap = partial(_read_beyond, lambda j, n: n - j, lambda end, reach: end.around[:reach], 1)

TABLE: dict[str, Boundary] = {
    "one-sided": Boundary(_read_one_side, lambda s: s.order + s.edge),
    "periodic": Boundary(_wrap, lambda s: 2 * s.reach + 1),
    "reflect": Boundary(partial(_mirror, 1), lambda s: s.reach + 1),
    "odd-reflect": Boundary(partial(_mirror, -1), lambda s: s.reach + 1),
    "symmetric": Boundary(partial(_mirror_from_half, 1), lambda s: s.reach),
    "odd-symmetric": Boundary(partial(_mirror_from_half, -1), lambda s: s.reach),
    "edge": Boundary(partial(_read_beyond, lambda j, n: 0, _repeat_step, 1), lambda s: 1),
    "constant": Boundary(
        partial(_read_beyond, None, _repeat_step, 1), lambda s: 1, "the field beyond the end"
    ),
    "normal": Boundary(
        _know_the_slope,
        lambda s: s.order + s.edge - 1,
        "the outward derivative at the last sample",
        per_length=True,
    ),
}
