"""What the memory of this machine can do: each line read once, written once to each result.

`compile_floor` makes a loop that does nothing else, independent of the engine's own kernels: what
slows them leaves it alone. Run as a script, this compares ways to write it, to see that the one
chosen is the fastest, or as fast as any.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from benchmarks import measure
from gpugrad import _threads

try:
    from llvmlite import ir

    from gpugrad._engines.llvm_functions import WORD, Function, compile_module
except ImportError:  # an extra of the package: without it there is no floor, and we say so
    ir = None

LINE = 64
"""Bytes of a cache line: what is stored at once."""

RUN = 512
"""Bytes written to one result before the next has its turn; 256 to 8192 are as fast where tried."""

SHARE = 1 << 16
"""Bytes of a result that one thread takes at least."""


def is_available() -> bool:
    """Tell whether there is a compiler for the floor."""
    return ir is not None


def make_floor(
    source: Any, targets: Sequence[Any], run: int = RUN, streams: bool = True
) -> Callable[[], None]:
    """Return a call that copies the memory of a field to each of the targets, on all threads.

    Parameters
    ----------
    source : array of shape (n_0, ..., n_k)
        Where to read: dense memory, in any order of axes. Integers are turned into float64.
    targets : sequence of arrays, as many elements each
        Where to write: dense memory.
    run : int
        Bytes written to one target before the next has its turn.
    streams : bool
        Whether to store past the cache, so that no line is read that is overwritten as a whole.

    Notes
    -----
    Lines of results are aligned, as streaming needs; what lies before the first whole line of a
    target and after its last is copied by NumPy.
    """
    source, *targets = (flatten_memory(array) for array in (source, *targets))
    size, result_size = source.itemsize, targets[0].itemsize
    skips = [-target.ctypes.data % LINE // result_size for target in targets]
    per_line = LINE // result_size
    lines = min(source.size - skip for skip in skips) // per_line
    places = [
        address
        for target, skip in zip(targets, skips, strict=True)
        for address in (source.ctypes.data + skip * size, target.ctypes.data + skip * result_size)
    ]
    copy = compile_floor(source.dtype.str[1:], targets[0].dtype.str[1:], len(targets), run, streams)
    threads = _threads.count()
    shares = min(64 * threads, max(1, lines * LINE // SHARE))
    bounds = [lines * i // shares for i in range(shares + 1)]

    def copy_shares(numbers: Sequence[int]) -> None:
        copy(bounds[numbers[0]], bounds[numbers[-1] + 1], *places)

    def copy_all() -> None:
        _threads.for_each_share(copy_shares, range(shares), threads)
        for target, skip in zip(targets, skips, strict=True):
            target[:skip] = source[:skip]
            rest = skip + lines * per_line
            target[rest:] = source[rest:]

    return copy_all


def flatten_memory(array: Any) -> Any:
    """Return an array's elements in one dimension, in the order of memory, not copied."""
    flat = array.ravel(order="K")
    if not np.shares_memory(flat, array):
        raise ValueError("the floor needs dense memory; pass a contiguous array")
    return flat


@cache
def compile_floor(
    sample: str, result: str, number: int, run: int, streams: bool
) -> Callable[..., None]:
    """Return ``copy(start, stop, source_0, target_0, source_1, ...)``, without the GIL.

    Lines with numbers from `start` to `stop` are copied to `number` targets of dtype `result`. A
    source is given for each target: they read the same samples, each from where its target begins.
    """

    def write(module: Any) -> None:
        _write_floor(Function(module, ir.VoidType(), 2 + 2 * number), sample, result, run, streams)

    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * (2 + 2 * number))
    copy: Callable[..., None] = kind(compile_module(write))
    return copy


def _write_floor(function: Any, sample: str, result: str, run: int, streams: bool) -> None:
    build = function.build
    start, stop, *places = function.function.args
    lanes = LINE // int(result[1:])
    step = run // LINE
    with function.loop(start, stop, step) as first:
        last = build.add(first, WORD(step))
        last = build.select(build.icmp_signed("<", last, stop), last, stop)
        for source, target in zip(places[::2], places[1::2], strict=True):
            with function.loop(first, last) as i:
                at = build.add(source, build.mul(i, WORD(lanes * int(sample[1:]))))
                line = _load_line(function, at, sample, result, lanes)
                to = build.add(target, build.mul(i, WORD(LINE)))
                store = build.store(line, build.inttoptr(to, line.type.as_pointer()))
                store.align = LINE
                if streams:
                    once = function.module.add_metadata([ir.IntType(32)(1)])
                    store.set_metadata("nontemporal", once)
    build.fence("seq_cst")  # what was stored past the cache becomes visible to other threads
    build.ret_void()


def _load_line(function: Any, address: Any, sample: str, result: str, lanes: int) -> Any:
    samples = ir.VectorType(ir.IntType(8 * int(sample[1:])), lanes)
    line = function.load(address, samples)
    if sample == result:
        return line
    convert = function.build.sitofp if sample[0] == "i" else function.build.uitofp
    return convert(line, ir.VectorType(ir.DoubleType(), lanes))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run in a second; means nothing")
    arguments = parser.parse_args()
    size, rounds = (1 << 16, 2) if arguments.quick else (1 << 24, 11)
    field = np.random.default_rng(3).standard_normal(size)
    all_targets = [np.zeros(size) for _ in range(3)]
    variants = [(run, True) for run in (64, 256, 512, 1024, 2048, 4096, 8192, 16384)]
    rows = []
    for number in (1, 2, 3):
        timers = {
            (f"runs of {run}" if streams else "through the cache"): measure.timed(
                make_floor(field, all_targets[:number], run, streams)
            )
            for run, streams in [*variants, (RUN, False)]
        }
        moved = (1 + number) * field.nbytes / 1e9
        for name, seconds in measure.interleave(timers, rounds).items():
            spread = measure.Spread.of(moved / s for s in seconds)
            rows.append((f"{number} written, {name}", f"{spread:.1f}"))
    print(measure.format_table(("bytes per line read", "GB/s"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
