"""The CUDA kernel on the host: compiled by g++, run on CuPy arrays that lie in host memory.

A `HostCuda` stands in for `Cuda` of the engine for GPUs. First it only records which
instantiations are asked for, then `compile` makes a library of them, then it runs them, thread
after thread. An `eager` one compiles each as it is asked for.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cupy
import numpy as np

HERE = Path(__file__).parent
SOURCE = HERE.parent / "gpugrad" / "_engines" / "cuda" / "stencil.cu"
OPTIONS = ("-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing")
ADDRESSES = ("-fsanitize=address",)
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")

_PRELUDE = f"""
#include "{HERE / "cuda_shim.h"}"
#include SOURCE
#ifdef TAKES_SMALL_NUMBERS_FOR_ZERO
#include <xmmintrin.h>
struct Flags {{
    unsigned before = _mm_getcsr();
    Flags() {{ _mm_setcsr(before | 0x8040); }}
    ~Flags() {{ _mm_setcsr(before); }}
}};
#else
struct Flags {{
    Flags() {{}}
}};
#endif
template <class Call>
void run(void (*kernel)(const Call&), unsigned blocks, const void* words, std::size_t bytes) {{
    if (sizeof(Call) != bytes) __builtin_trap();
    const Flags flags;
    // From both ends at once: a block that writes what belongs to its neighbour is written over.
    for (unsigned i = 0; i < blocks; ++i) {{
        blockIdx.x = i % 2 ? i / 2 : blocks - 1 - i / 2;
        for (phase = 0; phase < 2; ++phase)
            for (threadIdx.x = 0; threadIdx.x < THREADS; ++threadIdx.x)
                kernel(*static_cast<const Call*>(words));
    }}
}}
"""


def host_array(a):
    """Return a CuPy array over the memory of a NumPy array, with its shape and strides."""
    base = a
    while isinstance(base.base, np.ndarray):
        base = base.base
    low = np.lib.array_utils.byte_bounds(base)[0]
    memory = cupy.cuda.UnownedMemory(low, max(base.nbytes, 1), base, 0)
    pointer = cupy.cuda.MemoryPointer(memory, a.__array_interface__["data"][0] - low)
    return cupy.ndarray(a.shape, a.dtype, memptr=pointer, strides=a.strides)


def home(a):
    """Return a NumPy array with the values of a CuPy array that lies in host memory."""
    if not a.size:
        return np.empty(a.shape, a.dtype)
    ends = [(n - 1) * stride for n, stride in zip(a.shape, a.strides, strict=True)]
    low, high = sum(min(0, end) for end in ends), sum(max(0, end) for end in ends)
    bytes_ = (ctypes.c_char * (high - low + a.itemsize)).from_address(a.data.ptr + low)
    return np.ndarray(a.shape, a.dtype, bytes_, -low, a.strides).copy(order="K")


def allocate(size):
    """Take memory for CuPy from the host, exactly as much as is asked for."""
    buffer = np.empty(max(size, 1), "u1")
    memory = cupy.cuda.UnownedMemory(buffer.ctypes.data, max(size, 1), buffer, 0)
    return cupy.cuda.MemoryPointer(memory, 0)


class HostCuda:
    """Stands in for CUDA: no devices to choose from, kernels run when they are launched."""

    def __init__(self, folder, options=(), jobs=2, eager=False):
        self.folder, self.options, self.jobs, self.eager = Path(folder), options, jobs, eager
        self.functions = {}
        self.wanted = {}
        self.launches = 0
        self.uploads = 0

    def on(self, device):
        return nullcontext()

    def follow(self, stream):
        return nullcontext()

    def find_problem(self, device):
        return ""

    def is_capturing(self):
        return False

    def upload(self, values):
        self.uploads += 1
        return host_array(values.copy())

    def load(self, kernel):
        self.wanted.setdefault(kernel)
        if self.eager:
            self.compile()

        def launch(grid, block, args):
            self.launches += 1
            function = self.functions.get(kernel)
            if function is not None:
                (words,) = args
                function(
                    ctypes.c_uint(grid[0]), words.ctypes.data_as(ctypes.c_void_p), words.nbytes
                )

        return launch

    def compile(self):
        """Compile all instantiations that have been asked for, in a few libraries side by side."""
        new = [kernel for kernel in self.wanted if kernel not in self.functions]
        shares = [new[i :: 2 * self.jobs] for i in range(min(2 * self.jobs, len(new)))]
        with ThreadPoolExecutor(self.jobs) as pool:
            for functions in pool.map(self._compile_share, shares):
                self.functions.update(functions)

    def _compile_share(self, kernels):
        bodies = [
            f'extern "C" void launch_{i}(unsigned blocks, const void* words, std::size_t bytes) '
            f"{{ run({kernel}, blocks, words, bytes); }}"
            for i, kernel in enumerate(kernels)
        ]
        code = "\n".join([_PRELUDE, *bodies])
        options = [*OPTIONS, *self.options, f'-DSOURCE="{SOURCE}"']
        contents = [code, *options, SOURCE.read_text(), (HERE / "cuda_shim.h").read_text()]
        name = hashlib.sha256("".join(contents).encode()).hexdigest()[:16]
        library = self.folder / f"{name}.so"
        if not library.exists():
            source = library.with_suffix(".cpp")
            source.write_text(code)
            # What a sanitized process preloads is not for the compiler.
            environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
            subprocess.run(
                ["g++", *options, str(source), "-o", str(library)], check=True, env=environment
            )
        loaded = ctypes.CDLL(str(library))
        functions = {}
        for i, kernel in enumerate(kernels):
            function = getattr(loaded, f"launch_{i}")
            function.argtypes = [ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t]
            function.restype = None
            functions[kernel] = function
        return functions


@contextmanager
def running_on_host(cuda):
    """Let the GPU engine run on the host inside a ``with`` block."""
    from internals import cuda_engine

    before = cuda_engine.cuda
    forget(cuda_engine)
    cuda_engine.cuda = cuda
    try:
        with cupy.cuda.using_allocator(allocate):
            yield cuda
    finally:
        cuda_engine.cuda = before
        forget(cuda_engine)


def forget(cuda_engine):
    """Forget the programs, kernels and weights that the engine remembers."""
    for remembered in (
        cuda_engine.launches,
        cuda_engine._kernels,
        cuda_engine._problems,
        cuda_engine.captured,
        cuda_engine.uploaded,
    ):
        remembered.clear()
