"""What Python takes of a call on small CuPy arrays, before the launch; needs CuPy, but no GPU.

Arrays lie in host memory and launches do nothing. So this is the engine's own share: planning,
checks, memory for results, arguments. The launch itself and CuPy's pool of memory come on top.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Target

LIMIT = 20.0
"""Microseconds: about what a pair of CuPy's ufuncs takes, by estimate, not measured here."""

SHAPES = ((1000,), (64, 64), (32, 32, 32))


class NoCuda:
    """Stands in for CUDA: one device, and kernels that do nothing."""

    def on(self, device: int) -> Any:
        """Return a context that changes nothing."""
        return nullcontext()

    def load(self, kernel: str) -> Callable[..., None]:
        """Return a launch of nothing."""
        return lambda grid, block, arguments: None

    def upload(self, values: Any) -> Any:
        """Return an array of the kind, with no values."""
        return take_array(values.shape, values.dtype)


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    if find_spec("cupy") is None:
        print("CuPy is not installed.")
        return int(arguments.strict)
    rounds, number = (3, 20) if arguments.quick else (201, 200)
    with without_gpu():
        results = [measure_shape(shape, rounds, number) for shape in SHAPES]
    names = list(results[0]["seconds"])
    print(
        measure.format_table(
            ("shape", *(f"{name} us" for name in names)),
            (
                [r["shape"], *(f"{1e6 * r['seconds'][name]['median']:.1f}" for name in names)]
                for r in results
            ),
        )
    )
    targets = [
        Target(f"{name}, {r['shape']}", 1e6 * r["seconds"][name]["median"], "at most", LIMIT, " us")
        for r in results
        for name in ("gradient", "out", "stack")
    ]
    return measure.finish("gpu_calls", arguments, targets, {"cases": results})


def measure_shape(shape: tuple[int, ...], rounds: int, number: int) -> dict[str, Any]:
    """Time ways to call, in turn; `empty` is what CuPy takes for the arrays of results alone."""
    f = take_array(shape, "f4")
    x = np.arange(shape[0]) ** 1.5
    out: Any = tuple(take_array(shape, "f4") for _ in shape)
    names = {"gpugrad": gpugrad, "f": f, "x": x, "out": out if len(shape) > 1 else out[0]}
    names["empty"] = lambda: [take_array(shape, "f4") for _ in shape]
    statements = {
        "gradient": "gpugrad.gradient(f, 0.5)",
        "out": "gpugrad.gradient(f, 0.5, out=out)",
        "stack": "gpugrad.gradient(f, 0.5, stack=True)",
        "laplacian": "gpugrad.laplacian(f, 0.5)",
        "coordinates": "gpugrad.gradient(f, x, axis=0)",
        "empty": "empty()",
    }
    seconds = measure.interleave(
        {name: measure.batched(call, names, number) for name, call in statements.items()},
        rounds,
        warm_up=2,
    )
    return {"shape": "x".join(map(str, shape)), "seconds": measure.summarize(seconds)}


def take_array(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array of CuPy in memory of the current allocator."""
    import cupy

    return cupy.ndarray(shape, dtype)


@contextmanager
def without_gpu() -> Iterator[None]:
    """Let CuPy's arrays lie in host memory, and the engine's launches do nothing."""
    import cupy

    from gpugrad._engines import cupy_gpu

    def allocate(size: int) -> Any:
        buffer = np.empty(size, "u1")
        memory = cupy.cuda.UnownedMemory(buffer.ctypes.data, size, buffer, 0)
        return cupy.cuda.MemoryPointer(memory, 0)

    before, cupy_gpu.cuda = cupy_gpu.cuda, NoCuda()
    try:
        with cupy.cuda.using_allocator(allocate):
            yield
    finally:
        cupy_gpu.cuda = before


if __name__ == "__main__":
    sys.exit(main())
