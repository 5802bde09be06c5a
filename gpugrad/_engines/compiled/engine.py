"""One compiled pass over large fields: each sample is read once from memory, each result written.

What is to be done becomes a program (`program`), a table of kernels (`kernel`) and of
places to run them, which each thread works through without touching Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory
from gpugrad._arrays import threads as _threads
from gpugrad._engines import numpy_blocks
from gpugrad._engines.compiled import kernels
from gpugrad._engines.compiled.factors import Factors
from gpugrad._engines.compiled.masked_sums import evaluate_sums, forget_masks, is_masked_sum
from gpugrad._engines.compiled.mending import mend
from gpugrad._engines.compiled.offers import expect_seconds, find_offer, stand_ins
from gpugrad._engines.compiled.program import Program
from gpugrad._engines.compiled.trouble import is_wanted, warn_of_trouble
from gpugrad._engines.numpy_steps import find_result
from gpugrad._stencils import Outputs, distinct_arrays, distinct_masks, is_single

THREADED_BYTES = 1 << 21
"""Bytes of a field from which on more threads than one pay."""

_SAMPLES = ("f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    reason = numpy_blocks.unsupported(outputs)
    if reason:
        return reason
    first = outputs[0][0].field
    for terms in outputs:
        for _, f, plan, *_ in terms:
            if f.dtype.str[1:] not in _SAMPLES:
                return (
                    "it takes integers, float32, float64, complex64 and complex128, and `f` is "
                    f"{f.dtype}"
                )
            if f.dtype != first.dtype or f.shape != first.shape:
                return "it takes fields of one dtype and shape"
            if plan.varies_across:
                return "it takes spacings that are the same on all lines along an axis"
            if plan.dtype is not None and plan.dtype.str[1:] not in ("f4", "f8"):
                return f"it takes spacings in float32 or float64, and one is {plan.dtype}"
    return None


def takes_halves(outputs: Outputs) -> bool:
    """Tell whether derivatives of PyTorch's half precision can be evaluated, one in each output.

    Fields are NumPy's views, in float16 or `BFLOAT16`. A sum would be rounded more than once, as
    would what is computed in double precision. What the processor converts is known once the
    compiler is there, which single precision pays for.
    """
    if not kernels.is_started() or kernels.start():
        return False
    from gpugrad._engines.compiled.llvm import converts_half

    terms = [terms[0] for terms in outputs]
    return (
        all(map(is_single, outputs))
        and all(term.where is None and not term.seams for term in terms)
        and all(term.plan.on_host and not term.plan.varies_across for term in terms)
        and all(term.plan.dtype in (None, np.float32) for term in terms)
        and converts_half()
    )


def describe(outputs: Outputs) -> str:
    """Say in a few words how these would be evaluated."""
    threads = _threads.count() if outputs[0][0].field.nbytes >= THREADED_BYTES else 1
    return f"in one compiled loop, on {_threads.in_words(threads)}"


def evaluate(outputs: Outputs, out: Sequence[NumpyArray] | None = None) -> tuple[NumpyArray, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    f = outputs[0][0].field
    dtypes = [find_result(terms) for terms in outputs]
    if out is None:
        out = [memory.empty_like(f, dtype) for dtype in dtypes]
    elif not all(map(_differ_in_byte_order_at_most, out, dtypes)):
        for target, result in zip(out, evaluate(outputs), strict=True):
            np.copyto(target, result, casting="same_kind")
        return tuple(out)
    if not out[0].size:
        return tuple(out)
    pairs = list(zip(outputs, out, strict=True))
    # Each choice of formulas in a masked sum would be a kernel of its own: see `masked_sums`.
    apart = [pair for pair in pairs if is_masked_sum(pair[0])]
    if apart:
        evaluate_sums([terms for terms, _ in apart], [target for _, target in apart], evaluate)
        rest = [pair for pair in pairs if not is_masked_sum(pair[0])]
        if rest:
            evaluate([terms for terms, _ in rest], [target for _, target in rest])
        return tuple(out)
    unmasked = forget_masks(outputs)
    if unmasked is not outputs:
        with np.errstate(all="ignore"):  # of masked samples
            evaluate(unmasked, out)
        mended = [i for i, terms in enumerate(outputs) if terms is not unmasked[i]]
        terms = [outputs[i][0] for i in mended]
        numpy_blocks.mend_all(terms, [out[i] for i in mended], mend)
        return tuple(out)
    troubles = _run_program(outputs, out)
    if troubles is not None and not distinct_masks(outputs):
        warn_of_trouble(outputs, out, *troubles)
    return tuple(out)


def _differ_in_byte_order_at_most(target: NumpyArray, dtype: np.dtype[Any]) -> bool:
    return target.dtype == dtype or np.can_cast(dtype, target.dtype, "equiv")


def evaluate_if_paid(
    outputs: Outputs,
    out: Sequence[NumpyArray] | None = None,
    evaluate_meanwhile: Callable[..., Any] | None = None,
) -> tuple[NumpyArray, ...]:
    """Evaluate each output as `evaluate` does, but by the NumPy engine until compiling pays.

    `evaluate_meanwhile` writes to `out` instead of the NumPy engine.
    """
    dtypes = [find_result(terms) for terms in outputs]
    if out is None:
        out = [memory.empty_like(outputs[0][0].field, dtype) for dtype in dtypes]
    if not out[0].size:
        return tuple(out)
    targets = out
    if not all(
        map(_differ_in_byte_order_at_most, out, dtypes)
    ):  # results are made beside, and converted
        targets = stand_ins(outputs)
    unmasked = forget_masks(outputs)
    offer = find_offer(unmasked, targets)
    if offer.take(unmasked, targets) is not None:
        return evaluate(outputs, out)
    begin = time.perf_counter()
    (evaluate_meanwhile or numpy_blocks.evaluate)(outputs, out)
    offer.count(time.perf_counter() - begin)
    return tuple(out)


def evaluate_seams_if_paid(outputs: Outputs) -> tuple[NumpyArray, ...] | None:
    """Evaluate outputs whose terms have seams, if they can be evaluated, and compiling pays."""
    offer = find_offer(outputs, stand_ins(outputs))
    if offer.take(outputs, stand_ins(outputs)) is None:
        offer.count(expect_seconds(outputs))  # the other way is about as long, and not seen here
        return None
    return evaluate_seams(outputs)


def evaluate_seams(outputs: Outputs) -> tuple[NumpyArray, ...] | None:
    """Evaluate outputs whose terms have seams, into new arrays.

    Return None where that takes another way: the caller may want to hear of what goes wrong in the
    arithmetic, or what lies beyond a seam may be an array of another kind.
    """
    f = outputs[0][0].field
    if any(type(a) is not np.ndarray or a.dtype != f.dtype for a in distinct_arrays(outputs)):
        return None
    out = [memory.empty_like(f, find_result(terms)) for terms in outputs]
    return None if _run_program(outputs, out) else tuple(out)


def _run_program(
    outputs: Outputs, out: Sequence[NumpyArray]
) -> tuple[NumpyArray, Sequence[int]] | None:
    """Evaluate into `out`; return what went wrong that the caller wants to hear of.

    That is what went wrong in each item of the program, and the bounds of its blocks.
    """
    program = find_offer(outputs, out).make(outputs, out)
    arrays = [*distinct_arrays(outputs), *out, *Factors(outputs).arrays]
    return run_on_threads(program, arrays)


def run_on_threads(
    program: Program, arrays: Sequence[NumpyArray]
) -> tuple[NumpyArray, Sequence[int]] | None:
    """Run a program on what is read, outputs and factors; return what `_run_program` does."""
    from gpugrad._engines.compiled.llvm import compile_runner

    troubles = np.zeros(len(program.items), np.int32)
    addresses = np.array([array.__array_interface__["data"][0] for array in arrays])
    # Copies: another thread may run the same program on other arrays at this moment.
    words, items = program.words.copy(), program.items.copy()
    words[program.places] += addresses[program.owners]
    items[:, 1] += words.ctypes.data
    run, start, bounds, found = compile_runner(), items.ctypes.data, program.bounds, []
    first_trouble = troubles.ctypes.data

    def run_blocks(blocks: Sequence[int]) -> None:
        first, last = bounds[blocks[0]], bounds[blocks[-1] + 1]
        item, trouble = start + first * items.strides[0], first_trouble + first * troubles.itemsize
        found.append(run(item, last - first, trouble))

    threads = _threads.count() if arrays[0].nbytes >= THREADED_BYTES else 1
    _threads.for_each_share(run_blocks, range(len(bounds) - 1), threads)
    trouble = reduce(or_, found)
    return (troubles, bounds) if trouble and is_wanted(trouble) else None
