"""What the memory of this machine can do: each line read once, written once to each result.

Lines of several fields are added up on the way. `compile_floor` makes a loop that does nothing
else, independent of the engine's own kernels: what slows them leaves it alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial, reduce
from typing import Any

import numpy as np

from benchmarks.measure import Timer, timed
from benchmarks.table import Case, Heats, Row, find_rates
from gpugrad._arrays import threads as _threads

try:
    from llvmlite import ir

    from gpugrad._engines.compiled.llvm import WORD, LlvmFunction, compile_module
except ImportError:  # an extra of the package: without it there is no floor, and we say so
    ir = None

LINE = 64
"""Bytes of a cache line: what is stored at once."""

RUN = 512
"""Bytes written to one result before the next has its turn; 256 to 8192 are as fast where tried."""

SHARE = 1 << 16
"""Bytes of a result that one thread takes at least."""


def has_compiler() -> bool:
    """Tell whether there is a compiler, for the floor and for the compiled engine."""
    return ir is not None


def race_floor(row: Row, sources: Sequence[Any], targets: Sequence[Any]) -> dict[str, Timer]:
    """Return the floor's timer for a race, or none where there is no compiler, and the reason."""
    if has_compiler():
        return {"floor": timed(make_floor(sources, targets))}
    row["skipped"]["floor"] = "llvmlite is not installed"
    return {}


def make_floor(
    sources: Sequence[Sequence[Any]], targets: Sequence[Any], run: int = RUN, streams: bool = True
) -> Callable[[], None]:
    """Return a call that writes to each of the targets a sum of fields, on all threads.

    `sources` has for each target what to read and add up, as many fields for one as for another,
    all of one dtype; integers are turned into float64. All arrays are dense, in any order of axes,
    and have as many elements. A target gets `run` bytes before the next has its turn, stored past
    the cache if it `streams`, so that no line is read that is overwritten as a whole.

    Lines of results are aligned, as streaming needs; what lies before the first whole line of a
    target and after its last is written by NumPy.
    """
    sums = [[flatten_memory(array) for array in arrays] for arrays in sources]
    targets = [flatten_memory(array) for array in targets]
    sample, result = sums[0][0].dtype, targets[0].dtype
    skips = [-target.ctypes.data % LINE // result.itemsize for target in targets]
    per_line = LINE // result.itemsize
    lines = min(targets[0].size - skip for skip in skips) // per_line
    places = [
        array.ctypes.data + skip * array.itemsize
        for arrays, target, skip in zip(sums, targets, skips, strict=True)
        for array in (*arrays, target)
    ]
    numbers = len(targets), len(sums[0])
    write = compile_floor(sample.str[1:], result.str[1:], *numbers, run, streams)
    threads = _threads.count()
    shares = min(64 * threads, max(1, lines * LINE // SHARE))
    bounds = [lines * i // shares for i in range(shares + 1)]

    def write_shares(numbers: Sequence[int]) -> None:
        write(bounds[numbers[0]], bounds[numbers[-1] + 1], *places)

    def write_all() -> None:
        _threads.for_each_share(write_shares, range(shares), threads)
        for arrays, target, skip in zip(sums, targets, skips, strict=True):
            for rest in (slice(skip), slice(skip + lines * per_line, None)):
                target[rest] = sum(array[rest].astype(result) for array in arrays)

    return write_all


def flatten_memory(array: Any) -> Any:
    """Return an array's elements in one dimension, in the order of memory, not copied."""
    flat = array.ravel(order="K")
    if not np.shares_memory(flat, array):
        raise ValueError("the floor needs dense memory; pass a contiguous array")
    return flat


@cache
def compile_floor(
    sample: str, result: str, number: int, added: int, run: int, streams: bool
) -> Callable[..., None]:
    """Return ``write(start, stop, source_0, ..., target_0, source_1, ...)``, without the GIL.

    Lines with numbers from `start` to `stop` are written to `number` targets of dtype `result`.
    Before each target come the `added` fields of which it gets the sum, each from where the target
    begins.
    """
    words = 2 + number * (added + 1)

    def write(module: Any) -> None:
        function = LlvmFunction(module, ir.VoidType(), words)
        _write_floor(function, sample, result, added, run, streams)

    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_size_t] * words)
    compiled: Callable[..., None] = kind(compile_module(write))
    return compiled


def _write_floor(
    function: Any, sample: str, result: str, added: int, run: int, streams: bool
) -> None:
    build = function.build
    start, stop, *places = function.function.args
    lanes = LINE // int(result[1:])
    step = run // LINE
    with function.loop(start, stop, step) as first:
        last = build.add(first, WORD(step))
        last = build.select(build.icmp_signed("<", last, stop), last, stop)
        for k in range(0, len(places), added + 1):
            *sources, target = places[k : k + added + 1]
            with function.loop(first, last) as i:
                offset = build.mul(i, WORD(lanes * int(sample[1:])))
                lines = (
                    _load_line(function, build.add(source, offset), sample, result, lanes)
                    for source in sources
                )
                line = reduce(build.fadd, lines)
                to = build.add(target, build.mul(i, WORD(LINE)))
                store = build.store(line, build.inttoptr(to, line.type.as_pointer()))
                store.align = LINE
                if streams:
                    once = function.module.add_metadata([ir.IntType(32)(1)])
                    store.set_metadata("nontemporal", once)
    build.fence("seq_cst")  # what was stored past the cache becomes visible to other threads
    build.ret_void()


def _load_line(function: Any, address: Any, sample: str, result: str, lanes: int) -> Any:
    floats = {"f4": ir.FloatType(), "f8": ir.DoubleType()}
    kind = floats.get(sample) or ir.IntType(8 * int(sample[1:]))
    line = function.load(address, ir.VectorType(kind, lanes))
    if sample == result:
        return line
    convert = function.build.sitofp if sample[0] == "i" else function.build.uitofp
    return convert(line, ir.VectorType(ir.DoubleType(), lanes))


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield ways to write the floor, to see that the one chosen is as fast as any."""
    size = 1 << 16 if quick else 1 << 24
    for number in (1, 2, 3) if has_compiler() else ():
        yield Case(f"{number} written for one read", partial(race_ways, size, number))


def race_ways(size: int, number: int, row: Row) -> Heats:
    """Time runs of all lengths, and stores that go through the cache."""
    field = np.random.default_rng(3).standard_normal(size)
    targets = [np.zeros(size) for _ in range(number)]
    ways = {f"runs of {64 << k}": (64 << k, True) for k in range(9)}
    ways["through the cache"] = (RUN, False)
    sources = [[field]] * number
    yield {name: timed(make_floor(sources, targets, *way)) for name, way in ways.items()}
    row["gigabytes_per_second"] = find_rates(row, (1 + number) * field.nbytes, ways)
