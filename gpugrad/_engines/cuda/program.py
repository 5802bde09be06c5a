"""What the kernel in `stencil.cu` has to do for a list of outputs: its types, and its arguments.

Of outputs, what shapes the code goes into the name of an instantiation: dtypes, the number of axes
and the formulas between the ends. All else are words of 64 bits, laid out as the kernel's `Call`:
lengths and strides, weights, and the formulas at the ends. Nothing here needs a GPU or its
library; arrays need no more than a shape, strides and a dtype.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, NumpyArray
from gpugrad._engines.numpy_steps import Precision, find_precision
from gpugrad._stencils import (
    AxisPlan,
    Formula,
    Norm,
    Outputs,
    Term,
    distinct_fields,
    distinct_masks,
)

THREADS = 256
"""Threads of a block, the constant of that name in `stencil.cu`."""

PLANES = 8
"""Steps that a thread takes along the slowest axis, where that leaves enough threads."""

FEW_PLANES = 4
"""The same for several outputs whose formulas reach one sample far: faster on an H100."""

ENOUGH_THREADS = 1 << 18
"""Threads that keep the largest GPUs busy: short of it, each has fewer steps to take."""

VECTOR_BYTES = 16
"""The most that a thread reads or writes at once."""

HEADER = 5
"""Words before the samples of a formula at an end, the constant of that name in `stencil.cu`."""

MOST_WORDS = 3072
"""The most words of formulas in a launch: with CUDA 12.1 or later, arguments may take 32 KB."""

MOST_OUTPUTS = 32
"""The most outputs of a launch: each takes the place of its address and strides, too."""

_NAMES = {
    "f2": "Half", "f4": "float", "f8": "double", "c8": "Complex<float>", "c16": "Complex<double>",
    "i1": "signed char", "i2": "short", "i4": "int", "i8": "long long",
    "u1": "unsigned char", "u2": "unsigned short", "u4": "unsigned int", "u8": "unsigned long long",
}  # fmt: skip
_REACH_32 = 2**31 - 2**16
_END_WORDS = (16, 128, 1024, MOST_WORDS)


class KernelCall(NamedTuple):
    """An instantiation of the kernel, how many blocks of it to run, and its arguments.

    The word at place i of `places` is the address of array i: fields, outputs, then masks. Of
    `factors`, each array belongs on the device, and its address in the word at the place beside.
    """

    kernel: str
    blocks: int
    words: NumpyArray
    places: slice
    factors: list[tuple[int, Any]]


class Geometry(NamedTuple):
    """How the axes of a call are walked, from the slowest to the fastest.

    `lengths` are the lengths of the axes, `strides` each array's strides in samples. `number` tells
    which of these axes an axis of the field has become. A thread has `width` neighbouring results
    of a row. If `is_wide`, indices have 64 bits.
    """

    lengths: list[int]
    strides: list[list[int]]
    number: dict[int, int]
    width: int
    is_wide: bool

    @property
    def vectors(self) -> int:
        """How many vectors a row has."""
        return -(-self.lengths[-1] // self.width)


class _KernelFactor(NamedTuple):
    """A weight or divisor as the kernel takes it: its kind, two words, the array behind them."""

    kind: str
    words: tuple[int, int]
    array: Any = None


_KINDS = {"+": 0, "-": 1, "n": 2, "a": 3}


def make_program(outputs: Outputs, targets: Sequence[Array], residues: Sequence[int]) -> KernelCall:
    """Return the program that evaluates outputs into targets.

    `residues` are the addresses of fields, then of targets, modulo `VECTOR_BYTES`.
    """
    return _CallMaker(outputs, targets, residues).make()


def split(outputs: Outputs) -> Iterator[slice]:
    """Yield the outputs that one launch can take: nearly always all, but of one dtype."""
    start = words = 0
    for i, terms in enumerate(outputs):
        added = count_words(terms)
        is_full = words + added > MOST_WORDS or i - start == MOST_OUTPUTS
        if i > start and (is_full or isinstance(terms, Norm) != isinstance(outputs[start], Norm)):
            yield slice(start, i)
            start, words = i, 0
        words += added
    yield slice(start, len(outputs))


def count_words(terms: Sequence[Term]) -> int:
    """Return the words that an output adds to the arguments of the kernel, or a few more."""
    words = 0
    for term in terms:
        for plan in plans_of(term):
            known = plan.memo.get("words")
            if known is None:
                known = plan.memo["words"] = _count_words(plan, plan is not term.plan)
            words += known
    return words


def _count_words(plan: AxisPlan, is_alternative: bool) -> int:
    ends = (*plan.lower, *plan.upper, *([plan.interior] if is_alternative else []))
    size = HEADER + 2 * max((len(formula.offsets) for formula in ends), default=0)
    return 8 + len(ends) * size + 2 * (1 + len(plan.interior.offsets))


def plans_of(term: Term) -> tuple[AxisPlan, ...]:
    """Return the plans that the kernel is told of: alternatives serve masked fields only."""
    return (term.plan,) if term.where is None else term.plan.ranked


class _CallMaker:
    """Makes a program, and keeps what its terms add to the arguments."""

    def __init__(self, outputs: Outputs, targets: Sequence[Array], residues: Sequence[int]) -> None:
        self.fields = distinct_fields(outputs)
        self.number = {id(field): i for i, field in enumerate(self.fields)}
        self.masks = distinct_masks(outputs)
        self.mask_number = {id(mask): i for i, mask in enumerate(self.masks)}
        self.outputs, self.targets = outputs, targets
        self.shape = self.fields[0].shape
        differentiated = {term.plan.axis for terms in outputs for term in terms}
        self.geometry = arrange((*self.fields, *targets), differentiated, residues, self.masks)
        self.terms: list[int] = []
        self.numbers: list[int] = []
        self.rows: list[int] = []
        self.arrays: list[tuple[list[int], int, Any]] = []

    def make(self) -> KernelCall:
        """Return the whole program."""
        names = [
            f"{'Norm' if isinstance(terms, Norm) else 'Output'}"
            f"<{', '.join(map(self.describe_term, terms))}>"
            for terms in self.outputs
        ]
        geometry = self.geometry
        axes = len(geometry.lengths)
        planes, tile = choose_tile(geometry, self.find_most_planes())
        tiles = -(-geometry.vectors // (1 << tile))
        middle = math.prod(geometry.lengths[1:-1])
        down = -(-geometry.lengths[0] // planes) * middle
        words = [*geometry.lengths, middle, planes, _pair(tile, tiles)]
        places = slice(len(words), len(words) + len(geometry.strides) * (1 + axes), 1 + axes)
        for strides in geometry.strides:
            words += [0, *strides]
        count = len(self.terms) // 2
        words += self.terms
        # Factors between the ends are in one list of words, factors at ends in another. An array of
        # factors gets its address in its list once it lies on the device.
        starts = {id(self.numbers): len(words)}
        words += self.numbers or [0, 0]
        starts[id(self.rows)] = len(words)
        # Few sizes, so that other formulas at the ends seldom need another instantiation.
        room = next((size for size in _END_WORDS if size >= len(self.rows)), len(self.rows))
        words += self.rows + [0] * (room - len(self.rows))
        factors = max(1, len(self.numbers) // 2)
        written = len(self.targets) + len(self.masks)
        sizes = (axes, len(self.fields), written, count, factors, room)
        kernel = (
            f"evaluate<{_name(self.fields[0].dtype)}, {_name(self.targets[0].dtype)}, "
            f"{'Word' if geometry.is_wide else 'int'}, {geometry.width}, "
            f"Call<{', '.join(map(str, sizes))}>, {', '.join(names)}>"
        )
        return KernelCall(
            kernel,
            tiles * -(-down // (THREADS >> tile)),
            np.array(words, np.int64),
            places,
            [(starts[id(where)] + place, array) for where, place, array in self.arrays],
        )

    def find_most_planes(self) -> int:
        """Return the most steps for a thread."""
        offsets = [o for terms in self.outputs for t in terms for o in t.plan.interior.offsets]
        is_short = len(self.outputs) > 1 and max(map(abs, offsets)) <= 1
        return min(PLANES, FEW_PLANES) if is_short else PLANES

    def describe_term(self, term: Term) -> str:
        """Return the type of a term, and add its numbers and its formulas at the ends."""
        sign, f, plan, where, _ = term
        number, factor = len(self.terms) // 2, len(self.numbers) // 2
        precision = _precision_of(term)
        weights = precision.weights
        for ranked in plans_of(term):
            self.add_ends(ranked, precision, ranked is not plan)
        kinds = [self.add(_make_factor(w, weights), self.numbers) for w in plan.interior.weights]
        taps = [
            f"Tap<{offset}, '{kind}'>"
            for offset, kind in zip(plan.interior.offsets, kinds, strict=True)
        ]
        divisor = self.add(_make_divisor(plan.interior.divisor, weights), self.numbers)
        inside = f"Formula<{_name(weights)}, '{divisor}', {', '.join(taps)}>"
        axis = self.geometry.number[plan.axis]
        name = f"Term<{sign}, {self.number[id(f)]}, {axis}, {number}, {factor}, {inside}>"
        if where is None:
            return name
        return f"Masked<{self.mask_number[id(where)]}, {len(plan.alternatives)}, {name}>"

    def add_ends(self, plan: AxisPlan, precision: Precision, is_alternative: bool) -> None:
        """Add the formulas at the ends; of an alternative the one between, too, as the last."""
        n, first = self.shape[plan.axis], len(self.rows)
        ends = [*enumerate(plan.lower), *enumerate(plan.upper, start=n - len(plan.upper))]
        inside = [plan.interior] if is_alternative else []
        formulas = [formula for _, formula in ends] + inside
        size = HEADER + 2 * max((len(formula.offsets) for formula in formulas), default=0)
        for row, formula in ends:
            self.add_end(formula, row, n, precision, size)
        for formula in inside:
            self.add_end(formula, 0, 0, precision, size)
        self.terms += [_pair(len(plan.lower), len(plan.upper)), _pair(first, size)]

    def add(self, factor: _KernelFactor, words: list[int]) -> str:
        """Add the words of a factor, if it has any, and return its kind."""
        if factor.array is not None:
            self.arrays.append((words, len(words), factor.array))
        if factor.kind in "na":
            words += factor.words
        return factor.kind

    def add_end(self, formula: Formula, row: int, n: int, dtype: Precision, size: int) -> None:
        """Add the formula of a row at an end, in `size` words, as the kernel's `Row` reads it.

        With `n` 0 it is that of an alternative between the ends, with positions from the row on.
        """
        rows, start = self.rows, len(self.rows)
        kinds = _KINDS if n else {**_KINDS, "a": 4}
        divisor = _make_divisor(formula.divisor, dtype.weights)
        constant = 0.0 if formula.constant is None else formula.constant
        precision = dtype.of_sum(formula.is_sum)
        with np.errstate(all="ignore"):
            constant = precision.type(constant)
        rows.append(_pair(len(formula.offsets), not formula.is_sum))
        rows.append(_pair(kinds.get(divisor.kind, 0), formula.constant is not None))
        self.add(divisor, rows)
        rows += [0] * (start + HEADER - 1 - len(rows))
        rows.append(_as_word(constant, precision))
        for k, (offset, w) in enumerate(zip(formula.offsets, formula.weights, strict=True)):
            factor = _make_factor(w, dtype.weights)
            position = row + offset
            kind = kinds[factor.kind]
            rows.append(_pair(position if position < n / 2 else position - n, kind))
            self.add(factor, rows)
            end = start + HEADER + 2 * (k + 1)  # one word for the weight, whatever it is
            rows[end - 1 :] = (rows[end - 1 :] or [0])[:1]
        rows += [0] * (start + size - len(rows))


def _pair(low: int, high: int) -> int:
    """Return a word that holds two integers of 32 bits."""
    return low & 0xFFFFFFFF | high << 32


def _make_factor(w: Any, dtype: np.dtype[Any]) -> _KernelFactor:
    """Return a weight, rounded to the dtype of the arithmetic."""
    if type(w) is int:
        return _KernelFactor("+" if w == 1 else "-", (0, 0))
    if isinstance(w, np.ndarray) and w.size == 1:
        w = w.item()
    if _is_array(w):
        # One for each row, or one for all that lies on the device.
        step = w.strides[0] // w.itemsize if w.size > 1 else 0
        return _KernelFactor("a", (0, step), w if w.dtype == dtype else w.astype(dtype))
    return _KernelFactor("n", (_as_word(dtype.type(w), dtype), 0))


def _make_divisor(d: Any, dtype: np.dtype[Any]) -> _KernelFactor:
    """Return a divisor, or what stands for none."""
    return _KernelFactor("1", (0, 0)) if d is None else _make_factor(d, dtype)


def _as_word(value: Any, dtype: np.dtype[Any]) -> int:
    """Return a number as the kernel reads it: in its dtype, in the lowest bytes of a word."""
    word = np.zeros(1, "<i8")
    word.view(dtype.newbyteorder("<"))[0] = value
    return int(word[0])


def _precision_of(term: Term) -> Precision:
    """Return the precision of a term; weights on a device bring their own dtype along."""
    spacing = term.plan.dtype
    if not term.plan.on_host:
        formulas = (*term.plan.lower, term.plan.interior, *term.plan.upper)
        spacing = next(w.dtype for f in formulas for w in (*f.weights, f.divisor) if _is_array(w))
    return find_precision(term.field.dtype, spacing)


def _is_array(w: Any) -> bool:
    return getattr(w, "shape", None) is not None and not isinstance(w, np.generic)


def arrange(
    arrays: Sequence[Array],
    differentiated: set[int],
    residues: Sequence[int],
    masks: Sequence[Array] = (),
) -> Geometry:
    """Order the axes by memory, join those that can be one, and find the width of vectors.

    Masks are read byte by byte, so that the width does not depend on theirs.
    """
    shape = arrays[0].shape
    strides = [[s // a.dtype.itemsize for s in a.strides] for a in (*arrays, *masks)]
    kept = [axis for axis, n in enumerate(shape) if n > 1 or axis in differentiated]
    kept.sort(key=lambda axis: -abs(strides[len(arrays) - 1][axis]))
    levels: list[tuple[int, list[int], int]] = []
    for axis in kept:
        # Fewer axes are fewer divisions for each thread to find its place. An axis along which
        # something is differentiated must stay, as its ends have formulas of their own.
        level = (shape[axis], [s[axis] for s in strides], axis)
        if levels and {axis, levels[-1][2]}.isdisjoint(differentiated):
            outer = levels[-1]
            if all(o == level[0] * i for o, i in zip(outer[1], level[1], strict=True)):
                levels[-1] = (outer[0] * level[0], level[1], axis)
                continue
        levels.append(level)
    while len(levels) < 2:
        levels.insert(0, (1, [0] * len(strides), -1))
    lengths = [n for n, _, _ in levels]
    columns = [list(column) for column in zip(*(s for _, s, _ in levels), strict=True)]
    reach = max(
        sum(abs(s) * (n - 1) for s, n in zip(column, lengths, strict=True)) for column in columns
    )
    return Geometry(
        lengths,
        columns,
        {axis: i for i, (_, _, axis) in enumerate(levels)},
        _find_width(arrays, columns[: len(arrays)], lengths[-1], residues),
        max(reach, math.prod(lengths)) > _REACH_32,
    )


def _find_width(
    arrays: Sequence[Array], columns: Sequence[Sequence[int]], length: int, residues: Sequence[int]
) -> int:
    """Return how many samples, and results, of all arrays may be read or written at once."""
    width: int = VECTOR_BYTES // max(a.dtype.itemsize for a in arrays)
    while width > 1 and not (
        width <= length
        and all(
            column[-1] == 1
            and residue % (width * a.dtype.itemsize) == 0
            and all(stride % width == 0 for stride in column[:-1])
            for a, column, residue in zip(arrays, columns, residues, strict=True)
        )
    ):
        width //= 2
    return width


def choose_tile(geometry: Geometry, most_planes: int) -> tuple[int, int]:
    """Return a thread's steps along the slowest axis, and log2 of the vectors in a block's row.

    A block is as wide as a warp where rows are, so that rows above and below come from the
    cache; narrower where much of it would lie beyond the end of rows, wider where there are few.
    """
    slowest, *middle, _ = geometry.lengths
    per_plane = geometry.vectors * math.prod(middle)
    # More steps for each thread read fewer rows twice, but leave fewer threads to hide latency.
    planes = most_planes
    while planes > 1 and per_plane * -(-slowest // planes) < ENOUGH_THREADS:
        planes //= 2
    rows = math.prod(middle) * -(-slowest // planes)
    widest = 5
    while widest < 8 and rows << widest < THREADS:
        widest += 1

    def covered(tile: int) -> int:
        return -(-geometry.vectors // (1 << tile)) << tile

    # Vectors beyond the end of a row are threads without work: take the widest tile with few.
    least = min(map(covered, range(widest + 1)))
    return planes, max(tile for tile in range(widest + 1) if covered(tile) <= 1.1 * least)


def _name(dtype: np.dtype[Any]) -> str:
    return _NAMES[dtype.str[1:]]
