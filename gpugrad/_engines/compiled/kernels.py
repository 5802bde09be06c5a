"""The kernels that this process has compiled, and what more of them are expected to cost.

The compiler is loaded with the first of them.
"""

from __future__ import annotations

import time
from functools import lru_cache

from gpugrad._arrays import is_installed
from gpugrad._arrays import threads as _threads
from gpugrad._engines.compiled.kernel_spec import Choice, KernelSpec
from gpugrad._engines.selection import WITHOUT_LLVMLITE

SECONDS = 0.012
"""What a kernel takes to compile at least, on the machine where it was measured."""

SECONDS_EACH = 0.0006
"""What each operand adds to that."""

addresses: dict[KernelSpec, int] = {}
"""Where the code of each kernel begins. None is ever dropped: a thread may be running it."""

_slowness = 1.0  # of this machine, by all kernels so far; later ones count more


@lru_cache(maxsize=1)
def start() -> str | None:
    """Load the compiler and try it; return None, or say why there is none that works."""
    return _threads.run_whole(_load)


def foresee() -> str | None:
    """Say what `start` would return, as far as that is known without starting anything."""
    if start.cache_info().currsize:
        return start()
    return None if _is_there() else WITHOUT_LLVMLITE


@lru_cache(maxsize=1)
def _is_there() -> bool:
    return is_installed("llvmlite")


def is_started() -> bool:
    """Tell whether the compiler is loaded."""
    return start.cache_info().currsize > 0


def _load() -> str | None:
    try:
        import gpugrad._engines.compiled.kernel  # noqa: F401 - calls find it loaded
        from gpugrad._engines.compiled.llvm import compile_runner

        compile_runner()
    except (ImportError, OSError, RuntimeError) as error:  # not there, or broken
        return f"it needs llvmlite, the compiler of Numba, and {type(error).__name__}: {error}"
    return None


def expect_seconds(spec: KernelSpec) -> float:
    """Return how long it will take to compile a kernel, by what others have taken."""
    operands = 0
    for parts in spec.sums:
        for part in parts:
            ranked = [each for _, each in part.ranked] if isinstance(part, Choice) else [part]
            operands += sum(len(each.operands) for each in ranked)
    return (SECONDS + SECONDS_EACH * operands) * _slowness


def compile_kernel(spec: KernelSpec) -> int:
    """Return the address of ``kernel(layout, start, stop)``, which runs part of its outer loop."""
    address = addresses.get(spec)
    return address or _threads.run_whole(lambda: _compile(spec))


def _compile(spec: KernelSpec) -> int:
    global _slowness
    from gpugrad._engines.compiled.kernel import write_kernel

    address = addresses.get(spec)  # another thread may have compiled it meanwhile
    if address is None:
        # Of this thread alone: in the background it waits for others most of the time.
        expected, begin = expect_seconds(spec), time.thread_time()
        address = addresses[spec] = write_kernel(spec)
        _slowness *= ((time.thread_time() - begin) / expected) ** 0.25
        _slowness = min(max(_slowness, 0.1), 100.0)
    return address
