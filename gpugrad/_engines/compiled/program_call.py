"""A program that is run again and again: on small fields one foreign call, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, memory
from gpugrad._arrays import threads as _threads
from gpugrad._engines.compiled.engine import THREADED_BYTES, run_on_threads
from gpugrad._engines.compiled.factors import Factors
from gpugrad._engines.compiled.llvm import can_launch, compile_launcher
from gpugrad._engines.compiled.program import Program
from gpugrad._engines.compiled.trouble import is_wanted, warn_of_trouble
from gpugrad._engines.numpy_steps import find_result
from gpugrad._stencils import Outputs, bind_fields

QUICK_BYTES = 1 << 16
"""Bytes of a field up to which no other thread is let in: it is over sooner."""

MOST_WORDS = 1 << 12
"""Words of a layout up to which it is made anew in each call, on the stack."""


def is_small_program(program: Program) -> bool:
    """Tell whether a program is laid out in machine code, for the arrays of each call."""
    return 0 < len(program.words) <= MOST_WORDS and can_launch()


def can_be_called(program: Program, f: NumpyArray) -> bool:
    """Tell whether a program for fields of a shape can be run by a `ProgramCall`."""
    return f.nbytes >= THREADED_BYTES or is_small_program(program)


class ProgramCall:
    """A program with its factors, for fields in C order.

    Parameters
    ----------
    program : Program
        The program.
    numbered : sequence of terms
        The outputs that it evaluates, with numbers for fields.
    outputs : sequence of terms
        The same, with what stands for the fields.
    """

    __slots__ = ("_dtypes", "_empty", "_factors", "_fields", "_header", "_kept", "_launch",
                 "_shape", "_strides")  # fmt: skip

    def __init__(self, program: Program, numbered: Outputs, outputs: Outputs) -> None:
        f = outputs[0][0].field
        fields = [*dict.fromkeys(term.field for terms in numbered for term in terms)]
        words, places, owners, items = [np.ascontiguousarray(x, np.int64) for x in program[:4]]
        program = Program(words, places, owners, items, program.bounds)
        self._launch: Callable[[int, tuple[Any, ...]], int]
        if f.nbytes >= THREADED_BYTES:
            self._launch = _LaunchOnThreads(program, numbered, fields)
        else:
            self._launch = compile_launcher(f.nbytes > QUICK_BYTES)
        self._fields = None if len(fields) == 1 else tuple(fields)
        self._shape, self._dtypes = f.shape, tuple(map(find_result, outputs))
        self._empty = np.empty if f.nbytes < memory.MAPPED_BYTES else memory.empty
        self._factors = tuple(Factors(outputs).arrays)
        sizes = [math.prod(f.shape[i + 1 :]) for i in range(f.ndim)]
        self._strides = tuple([n * f.itemsize for n in sizes])
        self._kept = program, _lay_header(program, 0, len(program.items))
        self._header = self._kept[1].ctypes.data

    def __call__(
        self,
        fields: Sequence[NumpyArray],
        out: Sequence[NumpyArray] | None,
        factors: tuple[NumpyArray, ...] | None = None,
    ) -> list[NumpyArray] | None:
        """Return the results, or None where the call needs another way, and nothing is lost.

        Other factors take the places of those that the program came with.
        """
        strides, empty = self._strides, self._empty
        for f in fields:
            if f.strides != strides:
                return None
        if out is None:
            shape = self._shape
            results = [empty(shape, dtype) for dtype in self._dtypes]
        else:
            results = [*out]
            if not all(target.flags.c_contiguous for target in results):
                return None
        if self._fields is not None:
            fields = [fields[i] for i in self._fields]
        factors = self._factors if factors is None else factors
        trouble = self._launch(self._header, (*fields, *results, *factors))
        # What is wanted of these, another way tells.
        return None if trouble and is_wanted(trouble) else results

    def evaluate_single(self, f: NumpyArray) -> NumpyArray | None:
        """Return the result of one field, or None, as a call does."""
        if f.strides != self._strides:
            return None
        target = self._empty(self._shape, self._dtypes[0])
        trouble = self._launch(self._header, (f, target, *self._factors))
        return None if trouble and is_wanted(trouble) else target


class _LaunchOnThreads:
    """A program that is launched on as many threads as may work, each with a share of its blocks.

    It tells what goes wrong itself. Then the pass that tells where it was is made, and from then on
    at once: such fields come again.
    """

    def __init__(self, program: Program, numbered: Outputs, order: Sequence[int]) -> None:
        self._program, self._numbered, self._order = program, numbered, order
        self._headers: dict[int, list[NumpyArray]] = {}
        self._launches = is_small_program(program)

    def __call__(self, _: int, arrays: tuple[NumpyArray, ...]) -> int:
        if self._launches:
            trouble = self._launch(arrays)
            if not (trouble and is_wanted(trouble)):
                return 0
            self._launches = False
        troubles = run_on_threads(self._program, arrays)
        if troubles is not None:
            count = len(self._order)
            fields = dict(zip(self._order, arrays, strict=False))
            results = arrays[count : count + len(self._numbered)]
            warn_of_trouble(bind_fields(self._numbered, fields), results, *troubles)
        return 0

    def _launch(self, arrays: tuple[NumpyArray, ...]) -> int:
        threads, found = _threads.count(), []
        headers = self._headers.get(threads)
        if headers is None:
            headers = self._headers[threads] = self._share(threads)
        launch = compile_launcher(True)

        def run(headers: Sequence[NumpyArray]) -> None:
            found.extend([launch(header.ctypes.data, arrays) for header in headers])

        _threads.for_each_share(run, headers, threads)
        return reduce(or_, found)

    def _share(self, threads: int) -> list[NumpyArray]:
        """Return a header for each thread, of consecutive blocks."""
        bounds = self._program.bounds
        blocks = len(bounds) - 1
        count = min(threads, blocks)
        cuts = [bounds[blocks * i // count] for i in range(count + 1)]
        return [_lay_header(self._program, *cut) for cut in pairwise(cuts)]


def _lay_header(program: Program, first: int, last: int) -> NumpyArray:
    """Return what `llvm.compile_launcher` runs: some items of a program, which has to live on."""
    words, places, owners, items = [part.ctypes.data for part in program[:4]]
    start = items + first * program.items.strides[0]
    size, count = len(program.words), len(program.places)
    return np.array([size, words, count, places, owners, start, last - first])
