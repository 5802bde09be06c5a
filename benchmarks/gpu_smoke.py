"""Whether the engine runs on this machine's GPU at all: ``python benchmarks/gpu_smoke.py``.

With ``--launches`` it launches the kernels of the benchmark once each, for a profiler to look at.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import cupy
import numpy as np

import gpugrad

SMALL = np.array([0, 1e-40, 3e-40, 7e-40], "f4")
"""Float numbers that a compiler may take for zero."""


def main() -> None:
    """Say what there is, and compare a few results with those on the host."""
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False)
    print(gpugrad.info())
    found = cupy.asnumpy(gpugrad.gradient(cupy.asarray(SMALL)))
    wanted = np.gradient(SMALL)
    print(f"small numbers: {found}, NumPy's: {wanted}, the same: {(found == wanted).all()}")
    field = np.random.default_rng(0).normal(size=(40, 50, 60))
    for dtype in ("f2", "f4", "f8", "c8"):
        f = field.astype(dtype)
        wanted = gpugrad.gradient(f, 0.3, backend="slices")
        pairs = zip(gpugrad.gradient(cupy.asarray(f), 0.3), wanted, strict=True)
        print(dtype, "the same:", all((cupy.asnumpy(a) == b).all() for a, b in pairs))


def launch(n: int = 512) -> None:
    """Launch kernels on fields of `n` samples along each axis, in this order."""
    x = np.random.default_rng(4).uniform(0.5, 1.5, n).cumsum()
    for dtype in ("f4", "f8"):
        f = cupy.random.default_rng(3).standard_normal((n,) * 3, dtype=dtype)
        for operator in (gpugrad.gradient, gpugrad.laplacian):
            for spacing in ([0.3], [x.astype(dtype)] * 3):
                for options in ({}, {"accuracy": 8}):
                    print(operator.__name__, dtype, "uneven" * (len(spacing) > 1), options)
                    operator(f, *spacing, **options)


if __name__ == "__main__":
    launch() if "--launches" in sys.argv else main()
