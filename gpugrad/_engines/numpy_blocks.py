"""NumPy's ufuncs writing into their destination, in blocks that stay in the cache.

No temporary is larger than a block, so a field is read once and each derivative written once;
large fields are spread over threads, which NumPy's inner loops let run side by side. A small
field is a single block with its steps remembered: the cheapest way to differentiate ten numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory, threads
from gpugrad._engines.masked_rows import mend
from gpugrad._engines.numpy_steps import (
    Index,
    Precision,
    Step,
    find_precision,
    find_result,
    place_all,
)
from gpugrad._stencils import AxisPlan, Norm, Outputs, Term, add_up, convert_fields, is_single

BLOCK_BYTES = 1 << 20
"""Bytes of a field in a block: with its derivatives it stays in the caches of a core."""

WHOLE_BYTES = 1 << 22
"""Bytes of a field up to which it is one block: neither blocks nor threads would pay."""

MENDED_BLOCKS = 2
"""Blocks that are mended together. With more, lists of what reads a hole take too much memory."""

PIECE_BYTES = 1 << 16
"""Bytes of a field in a piece that is computed for its warnings: the first may be soon found."""

SMALL_SIZE = 1 << 12
"""Samples up to which nothing is asked that only matters to larger fields."""

FLAT_SIZE = 1 << 13
"""Samples in a block from which on rows are worth joining into one."""

CONVERTED_SIZE = 1 << 21
"""Integers, and samples in the other byte order, up to this many are converted at once, more of
them in the inner loops as they come."""

_AS_THEY_ARE = tuple(np.dtype(name) for name in ("f4", "f8", "c8", "c16"))


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    for terms in outputs:
        for _, f, plan, *_ in terms:
            if type(f) is not np.ndarray:
                return f"it takes plain NumPy arrays, and `f` is a {type(f).__name__}"
            if f.dtype.kind not in "fciu":
                return f"it takes integers, real and complex floats, and `f` is {f.dtype}"
            if not plan.on_host:
                return "it takes spacings whose values are on the host"
    return None


def evaluate(outputs: Outputs, out: Sequence[NumpyArray] | None = None) -> tuple[NumpyArray, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    f = outputs[0][0].field
    converts = f.dtype.kind in "iu" or not f.dtype.isnative
    if out is None:
        make = np.empty_like if f.size < SMALL_SIZE else memory.empty_like
        out = [make(terms[0].field, find_result(terms)) for terms in outputs]
    # Small fields of integers are converted once; else each ufunc would convert what it reads.
    if converts and f.size <= CONVERTED_SIZE:
        outputs = convert_fields(outputs, _convert)
        f, converts = outputs[0][0].field, False
    if not converts and f.nbytes <= WHOLE_BYTES:
        for terms, target in zip(outputs, out, strict=True):
            _write(target, terms, None)
        return tuple(out)

    are_mended = [*map(_is_mended_afterwards, outputs, out)]

    def write_share(places: Sequence[Index]) -> None:
        block = _Workspace()
        for place in places:
            block.place = place
            for terms, target, is_mended in zip(outputs, out, are_mended, strict=True):
                if is_mended:
                    _differentiate_all(terms[0], target[place], block)
                else:
                    _write(target[place], terms, block)

    threads.for_each_share(write_share, _cut_field(f), threads.count())
    mended = [i for i, is_mended in enumerate(are_mended) if is_mended]
    if mended:
        mend_all([outputs[i][0] for i in mended], [out[i] for i in mended])
    return tuple(out)


def _convert(f: NumpyArray) -> NumpyArray:
    """Return floats in this machine's byte order."""
    is_integer = f.dtype.kind in "iu"
    dtype = find_precision(f.dtype, None).working if is_integer else f.dtype.newbyteorder("=")
    return f.astype(dtype)


def _is_mended_afterwards(terms: Sequence[Term], target: NumpyArray) -> bool:
    """Tell whether an output is one masked derivative, and its array takes what is computed.

    Then blocks are mended together, once all are written: few results of a block read a hole, and
    to mend them takes many calls of NumPy.
    """
    f, plan = terms[0].field, terms[0].plan
    is_exact = target.dtype == find_precision(f.dtype, plan.dtype).result
    return is_single(terms) and terms[0].where is not None and is_exact


def mend_all(
    terms: Sequence[Term], out: Sequence[NumpyArray], mend: Callable[..., None] = mend
) -> None:
    """Mend derivatives of masked fields that were evaluated as if nothing were masked.

    That is done in boxes of some blocks: each takes as many calls of NumPy as one block would.
    """
    f, number = terms[0].field, threads.count()

    def mend_share(places: Sequence[Index]) -> None:
        for place in places:
            for term, target in zip(terms, out, strict=True):
                precision = find_precision(term.field.dtype, term.plan.dtype)
                mend(term, precision, target[place], place)

    box_bytes = max(BLOCK_BYTES, min(MENDED_BLOCKS * BLOCK_BYTES, f.nbytes // number))
    threads.for_each_share(mend_share, _cut_field(f, box_bytes), number)


def describe(outputs: Outputs) -> str:
    """Say in a few words how these would be evaluated."""
    f = outputs[0][0].field
    converts = f.dtype.kind in "iu" or not f.dtype.isnative
    converted = find_precision(f.dtype, None).working
    size = f.size * converted.itemsize
    if size <= WHOLE_BYTES and not (converts and f.size > CONVERTED_SIZE):
        return "in one block, on one thread"
    number = min(threads.count(), len(_cut_field(f)))
    return f"in blocks of about {BLOCK_BYTES >> 20} MiB, on {threads.in_words(number)}"


def compute_pieces(outputs: Outputs, box: Index) -> Iterator[tuple[Index, Callable[[], None]]]:
    """Yield small pieces of a box, and what evaluates outputs there: to warn, and no more."""
    f, block = outputs[0][0].field, _Workspace()

    def compute(place: Index) -> None:
        block.place = place
        for terms in outputs:
            _write(np.empty_like(f[place], find_result(terms)), terms, block)

    for piece in _cut_field(f[box], PIECE_BYTES):
        shifted = zip(box, piece, strict=True)
        place = tuple([slice(a.start + b.start, a.start + b.stop) for a, b in shifted])
        yield place, partial(compute, place)


def _cut_field(f: NumpyArray, most_bytes: int | None = None) -> list[Index]:
    """Cut the shape of `f` into blocks of neighbouring memory, slowest axis first."""
    most_bytes = BLOCK_BYTES if most_bytes is None else most_bytes
    target = max(1, most_bytes // find_precision(f.dtype, None).working.itemsize)
    lengths = list(f.shape)
    for axis in sorted(range(f.ndim), key=lambda i: abs(f.strides[i]), reverse=True):
        pieces = -(-math.prod(lengths) // target)
        if pieces > 1:
            lengths[axis] = max(1, lengths[axis] // pieces)
    cuts = (
        [slice(i, min(i + length, n)) for i in range(0, n, length)]
        for n, length in zip(f.shape, lengths, strict=True)
    )
    return list(itertools.product(*cuts))


def _write(piece: NumpyArray, terms: Sequence[Term], block: _Workspace | None) -> None:
    """Write one output, or a block of it, to `piece`."""
    precision = find_precision(terms[0].field.dtype, terms[0].plan.dtype)
    if is_single(terms):
        is_exact = piece.dtype == precision.result
        exact = piece if is_exact else _buffer(block, "result", piece, precision.result)
        _differentiate_term(terms[0], precision, exact, block)
        if not is_exact:
            np.copyto(piece, exact, casting="same_kind")
        return
    if isinstance(terms, Norm):
        _write_norm(piece, terms, block)
        return
    # Each term is rounded to the working precision, their sum once more to the result's.
    is_exact = piece.dtype == precision.working == precision.result
    total = piece if is_exact else _buffer(block, "total", piece, precision.working)
    derivative = _buffer(block, "derivative", piece, precision.working)
    for i, term in enumerate(terms):
        precision = find_precision(term.field.dtype, term.plan.dtype)
        _differentiate_term(term, precision, derivative if i else total, block)
        if i:
            (np.add if term.sign == 1 else np.subtract)(total, derivative, total)
        elif term.sign == -1:
            np.negative(total, total)
    if not is_exact:
        np.copyto(piece, total.astype(precision.result, copy=False), casting="same_kind")


def _write_norm(piece: NumpyArray, terms: Norm, block: _Workspace | None) -> None:
    """Write the root of the sum of squared magnitudes, or a block of it, to `piece`."""
    working = find_precision(terms[0].field.dtype, None).working
    derivative = _buffer(block, "derivative", piece, working)
    total = _buffer(block, "total", piece, derivative.real.dtype)
    square = _buffer(block, "square", piece, total.dtype)
    for i, term in enumerate(terms):
        precision = find_precision(term.field.dtype, term.plan.dtype)
        _differentiate_term(term, precision, derivative, block)
        target = square if i else total
        np.multiply(derivative.real, derivative.real, target)
        if working.kind == "c":
            np.multiply(derivative.imag, derivative.imag, derivative.imag)
            np.add(target, derivative.imag, target)
        if i:
            np.add(total, square, total)
    np.copyto(piece, np.sqrt(total, total), casting="same_kind")


def _differentiate_term(
    term: Term, precision: Precision, piece: NumpyArray, block: _Workspace | None
) -> None:
    """Write the derivative of a term, or a block of it, to `piece`; then mend it under a mask."""
    _, f, plan, where, _ = term
    if where is None:
        _differentiate(f, plan, precision, piece, block)
        return
    _differentiate_all(term, piece, block)
    mend(term, precision, piece, None if block is None else block.place)


def _differentiate_all(term: Term, piece: NumpyArray, block: _Workspace | None) -> None:
    """Write the derivative of a masked term, or a block of it, as if nothing were masked."""
    precision = find_precision(term.field.dtype, term.plan.dtype)
    with np.errstate(all="ignore"):  # of masked samples
        _differentiate(term.field, term.plan, precision, piece, block)


def _differentiate(
    f: NumpyArray, plan: AxisPlan, precision: Precision, piece: NumpyArray, block: _Workspace | None
) -> None:
    """Write the derivative of `f` along one axis, or a block of it, to `piece`.

    The dtype of `piece` is the working precision's or the result's. Weights come in the dtype of
    the arithmetic, so NumPy's promotion rounds where it rounds in `numpy.gradient`.
    """
    place = None if block is None else block.place
    working = precision.working
    converts = f.dtype != working
    for index, samples, step, is_row in place_all(f, plan, precision, place):
        if not samples:  # a row without a formula, in an alternative plan
            continue
        divisor = step.divisor
        # A row at an end is small, in one dimension a number: there operators are faster than
        # ufuncs that write into buffers.
        if is_row:
            if converts:
                total = _add_up_row([f[i].astype(working) for i in samples], step, precision)
            elif step.is_difference:
                total = f[samples[0]] - f[samples[1]]
            elif step.is_three_products:
                (i, j, k), (a, b, c) = samples, step.weights
                total = a * f[i] + b * f[j] + c * f[k]
            else:
                total = _add_up_row([f[i] for i in samples], step, precision)
            piece[index] = total if divisor is None else total / divisor
        elif step.is_difference:
            if piece.size >= FLAT_SIZE and _subtract_flat(f, plan.axis, step, piece, place):
                continue
            target = piece[index]
            total = target if target.dtype == working else _buffer(block, "sum", target, working)
            if converts:
                np.subtract(f[samples[0]], f[samples[1]], total, dtype=working)
            else:
                np.subtract(f[samples[0]], f[samples[1]], total)
            _divide(total, step, target)
        else:
            is_sum = all(type(w) is int for w in step.weights)
            dtype = precision.working if is_sum else precision.arithmetic
            read = [f[i] for i in samples]
            numbers = step.weights, divisor, step.constant
            add_up_in_place(read, *numbers, dtype, piece[index], block)


def _subtract_flat(
    f: NumpyArray, axis: int, step: Step, piece: NumpyArray, place: Index | None
) -> bool:
    """Write differences along the rows of contiguous memory as if it were a single row.

    Three times as fast as row by row, which NumPy's inner loops make slow. What is computed
    across the ends of rows is overwritten by the ends' own formulas; it must raise no warning of
    its own, so where anything overflows or is invalid, nothing has been done: return False.
    """
    read = f if place is None else f[place]
    if axis == 0:
        read, piece = read.T, piece.T
    if (
        read.ndim == 1
        or axis not in (0, read.ndim - 1)
        or step.divisor.ndim != 0
        or read.dtype != piece.dtype
        or read.dtype not in _AS_THEY_ARE
        or read.shape[-1] != f.shape[axis]
        or read.shape[-1] == read.size
        or not (read.flags.c_contiguous and piece.flags.c_contiguous)
    ):
        return False
    samples, target = read.reshape(-1), piece.reshape(-1)
    start, stop = max(0, -min(step.offsets)), samples.size - max(0, *step.offsets)
    plus, minus = (samples[start + offset : stop + offset] for offset in step.offsets)
    target = target[start:stop]
    raising = {k: v if v == "ignore" else "raise" for k, v in np.geterr().items()}
    try:
        with np.errstate(**raising):  # type: ignore[arg-type]
            np.subtract(plus, minus, target)
            _divide(target, step, target)
    except FloatingPointError:
        return False
    return True


def _divide(total: NumpyArray, step: Step, target: NumpyArray) -> None:
    """Write the quotients of differences, by products where these have the same bits."""
    if step.reciprocal is None:
        np.divide(total, step.divisor, target)
    else:
        np.multiply(total, step.reciprocal, target)


def _add_up_row(rows: Sequence[Any], step: Step, precision: Precision) -> Any:
    """Return the weighted sum of single rows; bare samples beside products have their precision."""
    if precision.arithmetic != precision.working and len({*map(type, step.weights)}) > 1:
        rows = [row.astype(precision.arithmetic) for row in rows]
    total = add_up(rows, step.weights)
    return total if step.constant is None else total + step.constant


def add_up_in_place(
    samples: Sequence[NumpyArray],
    weights: Sequence[Any],
    divisor: Any,
    constant: Any,
    dtype: np.dtype[Any],
    target: NumpyArray,
    block: _Workspace | None = None,
) -> None:
    """Write the weighted sum of many rows to `target`, in the precision of `dtype`.

    The products go through one buffer.
    """
    total = target if target.dtype == dtype else _buffer(block, "sum", target, dtype)
    first = weights[0]
    if type(first) is int:  # no product with 1 or -1, which for complex numbers is not the same
        sign = np.positive if first == 1 else np.negative
        sign(samples[0], total, dtype=dtype.newbyteorder("="), casting="same_kind")
    else:
        np.multiply(first, samples[0], total, casting="same_kind")
    product = None if block is None else block.take("product", target, dtype)
    for sample, weight in zip(samples[1:], weights[1:], strict=True):
        if type(weight) is int:
            (np.add if weight == 1 else np.subtract)(total, sample, total)
        else:
            np.add(total, np.multiply(weight, sample, product), total)
    if constant is not None:
        np.add(total, constant, total)
    if divisor is not None:
        np.divide(total, divisor, target)
    elif total is not target:
        np.copyto(target, total, casting="same_kind")


def _buffer(
    block: _Workspace | None, purpose: str, like: NumpyArray, dtype: np.dtype[Any]
) -> NumpyArray:
    return np.empty(like.shape, dtype) if block is None else block.take(purpose, like, dtype)


class _Workspace:
    """The place in a field of the block that a thread works on, and buffers for all its blocks.

    There is one buffer per purpose, made when it is first needed and then kept.
    """

    def __init__(self) -> None:
        self.place: Index = ()
        self._buffers: dict[tuple[str, np.dtype[Any]], NumpyArray] = {}

    def take(self, purpose: str, like: NumpyArray, dtype: np.dtype[Any]) -> NumpyArray:
        """Return an uninitialised array with the shape and the memory order of `like`."""
        key = (purpose, dtype)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < like.size:
            buffer = self._buffers[key] = np.empty(like.size, dtype)
        buffer = buffer[: like.size]
        # A ufunc is fast where all its operands have their axes in one order in memory.
        order = sorted(range(like.ndim), key=lambda i: abs(like.strides[i]), reverse=True)
        return buffer.reshape([like.shape[i] for i in order]).transpose(np.argsort(order))
