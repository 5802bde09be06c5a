"""What a kernel computes, as data: all that its machine code depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MOST_TAPS = 30
"""Samples of all parts of a choice up to which vectors take any of them: more compile too long."""

MOST_SHORT = 12
"""Samples of a sum up to which short vectors, too, are made for it."""

MOST_SIMPLE = 8
"""Operands of a sum up to which its results are made one by one rather than as half a vector."""


class Part(NamedTuple):
    """A term of a sum: how its samples are weighted, added up and divided.

    `weights` holds for each sample ``"+"`` or ``"-"``, to add or subtract it, ``"row"`` for a
    factor that is the same all along a row, or ``"each"`` for one factor per result; `constant`,
    which is added to their sum, is ``""`` or ``"row"``, and `divisor` ``""``, ``"row"``,
    ``"each"``, or ``"inverse"`` if what is read is its reciprocal, which must be exact. Sums of
    bare samples have the precision of the results, products and quotients have the `arithmetic`
    one, ``"f4"`` or ``"f8"``.
    """

    sign: int
    weights: tuple[str, ...]
    constant: str
    divisor: str
    arithmetic: str

    @property
    def operands(self) -> tuple[str, ...]:
        """What is read for this term, in order: samples, factors, a constant, a divisor."""
        divisor = "row" if self.divisor == "inverse" else self.divisor
        factors = [
            kind for kind in (*self.weights, self.constant, divisor) if kind in ("row", "each")
        ]
        return ("sample",) * len(self.weights) + tuple(factors)

    @property
    def often(self) -> int:
        """How many of the operands are read for every result."""
        return len(self.operands)


class Choice(NamedTuple):
    """A term of a masked field: for each result the first of its ranked parts that is open.

    Beside each part are the numbers of its samples in the list of all samples. A part is open where
    its samples, and the sample with number 0, are valid. Where none is open, the result is NaN.
    """

    ranked: tuple[tuple[tuple[int, ...], Part], ...]

    @property
    def sign(self) -> int:
        return self.ranked[0][1].sign

    @property
    def arithmetic(self) -> str:
        return self.ranked[0][1].arithmetic

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return 1 + max(max(taps) for taps, _ in self.ranked)

    @property
    def often(self) -> int:
        """How many operands nearly all results need: no factor of a later part."""
        taps, part = self.ranked[0]
        return 2 * self.samples + len(part.operands) - len(taps)

    @property
    def operands(self) -> tuple[str, ...]:
        """What is read: all samples, whether they are valid, then the factors of each part."""
        factors = (kind for _, part in self.ranked for kind in part.operands if kind != "sample")
        return ("sample",) * self.samples + ("valid",) * self.samples + tuple(factors)


Sum = tuple[Part | Choice, ...]


class Place(NamedTuple):
    """Where an operand lies: some steps along a row from where a base is at the row's start.

    That is the first result of the interior or, `from_end`, the one that would follow its last.
    """

    base: int
    steps: int = 0
    from_end: bool = False


class KernelSpec(NamedTuple):
    """What a kernel computes, in a nest of `levels` loops: rows, each written from left to right.

    A row is one result for each sum in `lower`, then as many as there is room for by `interior`,
    then one for each in `upper`. Operands of all of them, the result of a sum first, have `places`
    relative to `bases`, so it is known here which operands coincide. A base that is True moves from
    row to row. `sample` and `result` are dtypes of NumPy without byte order. `gathers` says that
    the samples of a row do not lie side by side, `scatters` the same of its results, `spreads` the
    same of its mask. `streams` says that results are stored past the cache, `is_norm` that sums are
    of squared magnitudes, and results their roots. `swaps_samples` and `swaps_results` say that
    they are stored in the byte order that this machine has not. `leads` are operands of the
    interior that come to new memory first. `is_begun` says that
    results are added to what lies there, `is_open` that more will be added to them.
    """

    sample: str
    result: str
    levels: int
    gathers: bool
    scatters: bool
    streams: bool
    interior: Sum
    lower: tuple[Sum, ...]
    upper: tuple[Sum, ...]
    bases: tuple[bool, ...]
    places: tuple[Place, ...]
    spreads: bool = False
    is_norm: bool = False
    swaps_samples: bool = False
    swaps_results: bool = False
    leads: tuple[int, ...] = ()
    is_begun: bool = False
    is_open: bool = False

    @property
    def has_short_vectors(self) -> bool:
        """Tell whether rows that are shorter than a line are worth more code: it compiles longer.

        They are where a result takes long, but not so many samples that its code is long as it is.
        """
        plain = [part for part in self.interior if isinstance(part, Part)]
        samples = sum(len(part.weights) for part in plain)
        is_plain = len(plain) == len(self.interior) and not self.gathers
        return is_plain and len(plain) > 1 and samples <= MOST_SHORT

    @property
    def overlaps(self) -> bool:
        """Tell whether results before the first line of a row and behind its last are vectors, too.

        Such a vector overlaps others. Past the cache no line may be written twice, so a part of
        the vector is stored, which takes longer than a few simple results do.
        """
        is_simple = len(self.interior) == 1 and len(self.interior[0].operands) <= MOST_SIMPLE
        return not (self.streams and is_simple)

    @property
    def is_branching(self) -> bool:
        """Tell whether a choice has more parts than vectors should take."""
        choices = [part for parts in self.sums for part in parts if isinstance(part, Choice)]
        return any(sum(len(taps) for taps, _ in choice.ranked) > MOST_TAPS for choice in choices)

    @property
    def sums(self) -> tuple[Sum, ...]:
        """All sums, in the order of their operands."""
        return (self.interior, *self.lower, *self.upper)

    @property
    def operands(self) -> Iterator[list[tuple[str, int | None]]]:
        """For each sum its operands, and the bytes from one in a row to the next if known here."""
        result = "result", None if self.scatters else int(self.result[1:])
        steps = {
            "sample": None if self.gathers else int(self.sample[1:]),
            "valid": None if self.spreads else 1,
            "row": 0,
        }
        for parts in self.sums:
            kinds = [(kind, int(part.arithmetic[1:])) for part in parts for kind in part.operands]
            yield [result, *((kind, steps.get(kind, size)) for kind, size in kinds)]

    @property
    def words(self) -> int:
        """How many words a layout has."""
        return self.levels + sum(1 + self.levels * moves for moves in self.bases)
