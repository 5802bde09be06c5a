"""A program that is run again and again on small fields: one foreign call, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gpugrad._arrays import NumpyArray, memory
from gpugrad._engines.compiled.factors import Factors
from gpugrad._engines.compiled.llvm import can_launch, compile_launcher
from gpugrad._engines.compiled.program import Program
from gpugrad._engines.compiled.trouble import is_wanted
from gpugrad._engines.numpy_steps import find_result
from gpugrad._stencils import Outputs

QUICK_BYTES = 1 << 16
"""Bytes of a field up to which no other thread is let in: it is over sooner."""

MOST_WORDS = 1 << 12
"""Words of a layout up to which it is made anew in each call, on the stack."""


def is_small_program(program: Program) -> bool:
    """Tell whether a program can be run by a `ProgramCall`."""
    return 0 < len(program.words) <= MOST_WORDS and can_launch()


class ProgramCall:
    """A program with its factors, for fields in C order.

    Parameters
    ----------
    program : Program
        The program.
    outputs : sequence of terms
        The outputs that it evaluates, with what stands for the fields.
    fields : sequence of int
        The numbers of these among the fields of a call.
    """

    __slots__ = ("_dtypes", "_empty", "_factors", "_fields", "_header", "_kept", "_launch",
                 "_shape", "_strides")  # fmt: skip

    def __init__(self, program: Program, outputs: Outputs, fields: Sequence[int]) -> None:
        f = outputs[0][0].field
        self._launch = compile_launcher(f.nbytes > QUICK_BYTES)
        self._fields = None if len(fields) == 1 else tuple(fields)
        self._shape, self._dtypes = f.shape, tuple(map(find_result, outputs))
        self._empty = np.empty if f.nbytes < memory.RECYCLED_BYTES else memory.empty
        self._factors = tuple(Factors(outputs).arrays)
        sizes = [math.prod(f.shape[i + 1 :]) for i in range(f.ndim)]
        self._strides = tuple([n * f.itemsize for n in sizes])
        parts = [np.ascontiguousarray(part, np.int64) for part in program[:4]]
        words, places, owners, items = [part.ctypes.data for part in parts]
        size, count, last = len(parts[0]), len(parts[1]), len(parts[3])
        header = [size, words, count, places, owners, items, last]
        self._kept = (np.array(header), parts)
        self._header = self._kept[0].ctypes.data

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
