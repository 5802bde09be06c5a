"""NumPy's ufuncs writing into their destination, in blocks that stay in the cache.

No temporary is larger than a block, so a field is read once and each derivative written once;
large fields are spread over threads, which NumPy's inner loops let run side by side. A small
field is a single block with its steps remembered: the cheapest way to differentiate ten numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory, threads
from gpugrad._engines.numpy_steps import (
    Index,
    Precision,
    Step,
    find_precision,
    find_result,
    place_all,
)
from gpugrad._stencils import (
    AxisPlan,
    Norm,
    Term,
    add_up,
    distinct_fields,
    is_single,
    replace_fields,
)

BLOCK_BYTES = 1 << 20
"""Bytes of a field in a block: with its derivatives it stays in the caches of a core."""

WHOLE_BYTES = 1 << 22
"""Bytes of a field up to which it is one block: neither blocks nor threads would pay."""

SMALL_SIZE = 1 << 12
"""Samples up to which nothing is asked that only matters to larger fields."""

FLAT_SIZE = 1 << 13
"""Samples in a block from which on rows are worth joining into one."""

CONVERTED_SIZE = 1 << 21
"""Integers up to this many are converted at once, more of them in the inner loops as they come."""

_AS_THEY_ARE = tuple(np.dtype(name) for name in ("f4", "f8", "c8", "c16"))


def unsupported(outputs: Sequence[Sequence[Term]]) -> str | None:
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


def evaluate(
    outputs: Sequence[Sequence[Term]], out: Sequence[NumpyArray] | None = None
) -> tuple[NumpyArray, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    f = outputs[0][0].field
    is_integer = f.dtype.kind in "iu"
    if out is None:
        make = np.empty_like if f.size < SMALL_SIZE else memory.empty_like
        out = [make(terms[0].field, find_result(terms)) for terms in outputs]
    if is_integer and f.size <= CONVERTED_SIZE:
        outputs = _convert(outputs)
        f, is_integer = outputs[0][0].field, False
    if not is_integer and f.nbytes <= WHOLE_BYTES:
        for terms, target in zip(outputs, out, strict=True):
            _write(target, terms, None, None)
        return tuple(out)

    def write_share(blocks: Sequence[Index]) -> None:
        scratch = _Scratch()
        for block in blocks:
            for terms, target in zip(outputs, out, strict=True):
                _write(target[block], terms, block, scratch)

    threads.for_each_share(write_share, _split(f), threads.count())
    return tuple(out)


def _convert(outputs: Sequence[Sequence[Term]]) -> Sequence[Sequence[Term]]:
    """Return outputs with integer fields converted, each once, to the working precision."""
    floats = {
        id(f): f.astype(find_precision(f.dtype, None).working) for f in distinct_fields(outputs)
    }
    return replace_fields(outputs, floats)


def _split(f: NumpyArray) -> list[Index]:
    """Cut the shape of `f` into blocks of neighbouring memory, slowest axis first."""
    target = max(1, BLOCK_BYTES // find_precision(f.dtype, None).working.itemsize)
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


def _write(
    piece: NumpyArray, terms: Sequence[Term], block: Index | None, scratch: _Scratch | None
) -> None:
    """Write one output, or a block of it, to `piece`."""
    _, f, plan, *_ = terms[0]
    precision = find_precision(f.dtype, plan.dtype)
    if is_single(terms):
        if piece.dtype == precision.result:
            _differentiate_term(terms[0], precision, piece, block, scratch)
        else:
            exact = _buffer(scratch, "result", piece, precision.result)
            _differentiate_term(terms[0], precision, exact, block, scratch)
            np.copyto(piece, exact, casting="same_kind")
        return
    if isinstance(terms, Norm):
        _write_norm(piece, terms, block, scratch)
        return
    # Each term is rounded to the working precision, their sum once more to the result's.
    total = _buffer(scratch, "total", piece, precision.working)
    part = _buffer(scratch, "part", piece, precision.working)
    for i, term in enumerate(terms):
        target, sign = part if i else total, term.sign
        precision = find_precision(term.field.dtype, term.plan.dtype)
        _differentiate_term(term, precision, target, block, scratch)
        if i:
            (np.add if sign == 1 else np.subtract)(total, part, total)
        elif sign == -1:
            np.negative(total, total)
    np.copyto(piece, total.astype(precision.result, copy=False), casting="same_kind")


def _differentiate_term(
    term: Term,
    precision: Precision,
    piece: NumpyArray,
    block: Index | None,
    scratch: _Scratch | None,
) -> None:
    """Write the derivative of a term, or a block of it, to `piece`: with holes, plan by plan."""
    _, f, plan, where, _ = term
    if where is None:
        _differentiate(f, plan, precision, piece, block, scratch)
        return
    left = np.array(where if block is None else where[block])
    piece[...] = complex(np.nan, np.nan) if piece.dtype.kind == "c" else np.nan
    derivative = _buffer(scratch, "around holes", piece, piece.dtype)
    with np.errstate(all="ignore"):  # of what is in holes, and of formulas that aren't used
        for one in plan.ranked:
            usable = np.zeros_like(left)
            for index, samples, _, _ in place_all(f, one, precision, block):
                if samples:
                    usable[index] = left[index]
                    for read in samples:
                        usable[index] &= where[read]
            if usable.any():
                _differentiate(f, one, precision, derivative, block, scratch)
                np.copyto(piece, derivative, where=usable)
                left &= ~usable
                if not left.any():
                    return


def _write_norm(
    piece: NumpyArray, terms: Norm, block: Index | None, scratch: _Scratch | None
) -> None:
    """Write the root of the sum of squared magnitudes, or a block of it, to `piece`."""
    working = find_precision(terms[0].field.dtype, None).working
    part = _buffer(scratch, "part", piece, working)
    total = _buffer(scratch, "total", piece, part.real.dtype)
    square = _buffer(scratch, "square", piece, total.dtype)
    for i, term in enumerate(terms):
        precision = find_precision(term.field.dtype, term.plan.dtype)
        _differentiate_term(term, precision, part, block, scratch)
        target = square if i else total
        np.multiply(part.real, part.real, target)
        if working.kind == "c":
            np.multiply(part.imag, part.imag, part.imag)
            np.add(target, part.imag, target)
        if i:
            np.add(total, square, total)
    np.copyto(piece, np.sqrt(total, total), casting="same_kind")


def _differentiate(
    f: NumpyArray,
    plan: AxisPlan,
    precision: Precision,
    piece: NumpyArray,
    block: Index | None,
    scratch: _Scratch | None,
) -> None:
    """Write the derivative of `f` along one axis, or a block of it, to `piece`.

    The dtype of `piece` is the working precision's or the result's. Weights come in the dtype of
    the arithmetic, so NumPy's promotion rounds where it rounds in `numpy.gradient`.
    """
    working = precision.working
    converts = f.dtype != working
    for index, samples, step, is_row in place_all(f, plan, precision, block):
        if not samples:  # a row without a formula, in an alternative plan
            continue
        divisor = step.divisor
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
            if piece.size >= FLAT_SIZE and _subtract_flat(f, plan.axis, step, piece, block):
                continue
            target = piece[index]
            total = target if target.dtype == working else _buffer(scratch, "sum", target, working)
            if converts:
                np.subtract(f[samples[0]], f[samples[1]], total, dtype=working)
            else:
                np.subtract(f[samples[0]], f[samples[1]], total)
            np.divide(total, divisor, target)
        else:
            _add_up_in_place([f[i] for i in samples], step, precision, piece[index], scratch)


def _subtract_flat(
    f: NumpyArray, axis: int, step: Step, piece: NumpyArray, block: Index | None
) -> bool:
    """Write differences along the rows of contiguous memory as if it were a single row.

    Three times as fast as row by row, which NumPy's inner loops make slow. What is computed
    across the ends of rows is overwritten by the ends' own formulas; it must raise no warning of
    its own, so where anything overflows or is invalid, nothing has been done: return False.
    """
    part = f if block is None else f[block]
    shape = part.shape
    if (
        part.ndim == 1
        or step.divisor.ndim != 0
        or part.dtype != piece.dtype
        or part.dtype not in _AS_THEY_ARE
        or shape[axis] != f.shape[axis]
        or shape[axis] == part.size
    ):
        return False
    if axis == part.ndim - 1 and part.flags.c_contiguous and piece.flags.c_contiguous:
        samples, target = part.reshape(-1), piece.reshape(-1)
    elif axis == 0 and part.flags.f_contiguous and piece.flags.f_contiguous:
        samples, target = part.T.reshape(-1), piece.T.reshape(-1)
    else:
        return False
    start, stop = max(0, -min(step.offsets)), samples.size - max(0, *step.offsets)
    plus, minus = (samples[start + offset : stop + offset] for offset in step.offsets)
    target = target[start:stop]
    raising = {k: v if v == "ignore" else "raise" for k, v in np.geterr().items()}
    try:
        with np.errstate(**raising):  # type: ignore[arg-type]
            np.subtract(plus, minus, target)
            np.divide(target, step.divisor, target)
    except FloatingPointError:
        return False
    return True


def _add_up_row(parts: Sequence[Any], step: Step, precision: Precision) -> Any:
    """Return the weighted sum of single rows; bare samples beside products have their precision."""
    if precision.arithmetic != precision.working and len({*map(type, step.weights)}) > 1:
        parts = [part.astype(precision.arithmetic) for part in parts]
    total = add_up(parts, step.weights)
    return total if step.constant is None else total + step.constant


def _add_up_in_place(
    parts: Sequence[NumpyArray],
    step: Step,
    precision: Precision,
    target: NumpyArray,
    scratch: _Scratch | None,
) -> None:
    """Write the weighted sum of many rows to `target`; the products go through one buffer."""
    is_sum = all(type(w) is int for w in step.weights)
    dtype = precision.working if is_sum else precision.arithmetic
    total = target if target.dtype == dtype else _buffer(scratch, "sum", target, dtype)
    first = step.weights[0]
    if type(first) is int:  # no product with 1 or -1, which for complex numbers is not the same
        sign = np.positive if first == 1 else np.negative
        sign(parts[0], total, dtype=dtype.newbyteorder("="), casting="same_kind")
    else:
        np.multiply(first, parts[0], total, casting="same_kind")
    product = None if scratch is None else scratch.take("product", target, dtype)
    for part, weight in zip(parts[1:], step.weights[1:], strict=True):
        if type(weight) is int:
            (np.add if weight == 1 else np.subtract)(total, part, total)
        else:
            np.add(total, np.multiply(weight, part, product), total)
    if step.constant is not None:
        np.add(total, step.constant, total)
    if step.divisor is not None:
        np.divide(total, step.divisor, target)
    elif total is not target:
        np.copyto(target, total, casting="same_kind")


def _buffer(
    scratch: _Scratch | None, purpose: str, like: NumpyArray, dtype: np.dtype[Any]
) -> NumpyArray:
    return np.empty(like.shape, dtype) if scratch is None else scratch.take(purpose, like, dtype)


class _Scratch:
    """Buffers for one block, one per purpose, made when first needed and then kept."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype[Any]], NumpyArray] = {}

    def take(self, purpose: str, like: NumpyArray, dtype: np.dtype[Any]) -> NumpyArray:
        """Return an uninitialised array with the shape and the memory order of `like`."""
        key = (purpose, dtype)
        buffer = self._buffers.get(key)
        if buffer is None or buffer.size < like.size:
            buffer = self._buffers[key] = np.empty(like.size, dtype)
        buffer = buffer[: like.size]
        order = sorted(range(like.ndim), key=lambda i: abs(like.strides[i]), reverse=True)
        return buffer.reshape([like.shape[i] for i in order]).transpose(np.argsort(order))
