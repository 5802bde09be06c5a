"""Whether CuPy can run a kernel here, and why not: what gpugrad's own kernel for GPUs needs."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

_PROBE = 'extern "C" __global__ void probe(int* x) { *x = 42; }'


@dataclass(frozen=True)
class Gpu:
    """Whether a library can compute on a GPU here; if not, why, and what would mend it.

    `kind` is how the library spells the device, where it has several kinds: "cuda", "mps".
    """

    devices: tuple[str, ...] = ()
    problem: str = ""
    cure: str = ""
    kind: str = ""

    @property
    def usable(self) -> bool:
        """Whether the library has computed something on it: there is no other proof."""
        return not self.problem


@lru_cache(maxsize=1)
def find_gpu() -> Gpu:
    """Compile and run a trivial kernel, once a process: the only proof that a GPU is usable.

    Counting devices is none: a missing driver, an old one and a missing runtime compiler all
    show only when something runs.
    """
    if not is_installed("cupy"):
        line = install_line()
        if driver_version() is None:
            line = (
                f"install your GPU's NVIDIA driver, then {line}; without a GPU, all runs on the CPU"
            )
        return Gpu(problem=f"CuPy is not installed{driver_in_words()}", cure=line)
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        return Gpu(problem=f"CuPy cannot be imported: {first_line(error)}", cure=install_line())
    runtime = cupy.cuda.runtime
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        return Gpu(
            problem="there is no NVIDIA driver on this machine",
            cure="install the NVIDIA driver of your GPU; without one, everything runs on the CPU",
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):
            return Gpu(
                problem="the NVIDIA driver is too old: it supports CUDA "
                f"{version_in_words(driver)}, and CuPy {cupy.__version__} is built for CUDA "
                f"{version_in_words(built_for)}",
                cure=f"update the driver, or {install_line(driver)}",
            )
        if "NoDevice" in str(error):
            return Gpu(
                problem="the NVIDIA driver sees no GPU"
                + ("" if "CUDA_VISIBLE_DEVICES" not in os.environ else " in CUDA_VISIBLE_DEVICES"),
                cure="check `nvidia-smi` and the variable CUDA_VISIBLE_DEVICES",
            )
        return Gpu(problem=f"CUDA fails: {first_line(error)}", cure="check `nvidia-smi`")
    try:
        answer = cupy.empty(1, dtype=cupy.int32)
        cupy.RawKernel(_PROBE, "probe")((1,), (1,), (answer,))
        if int(answer[0]) != 42:
            return Gpu(problem="a trivial kernel gives a wrong answer", cure="check `nvidia-smi`")
    except Exception as error:  # noqa: BLE001 - the compiler, its headers or the launch may fail
        if any(word in str(error).lower() for word in ("nvrtc", "compil", "header")):
            return Gpu(
                problem=f"there is no working runtime compiler (NVRTC): {first_line(error)}",
                cure=f"{install_line(driver)}, which brings the compiler",
            )
        return Gpu(
            problem=f"a trivial kernel does not run: {first_line(error)}",
            cure="check `nvidia-smi`: whether the GPU is free, has memory and is supported",
        )
    names = tuple(runtime.getDeviceProperties(i)["name"].decode() for i in range(count))
    return Gpu(devices=names)


def is_installed(name: str) -> bool:
    """Tell whether a library can be imported; a mere folder of its name is none."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # of "mlx.core", the folder before it
        return False
    return spec is not None and spec.origin is not None


def install_line(driver: int | None = None) -> str:
    """Return the command that installs CuPy for the driver's CUDA version."""
    if sys.platform == "darwin":
        return "use a machine with an NVIDIA GPU; CuPy has no packages for macOS"
    driver = driver or driver_version()
    extra = "cuda12x" if driver and driver < 13000 else "cuda13x"
    return f'pip install "gpugrad[{extra}]"'


def driver_in_words() -> str:
    """Say which CUDA the driver supports, as the end of a sentence."""
    driver = driver_version()
    return (
        f"; the NVIDIA driver here supports CUDA {version_in_words(driver)}"
        if driver
        else ", and there is no NVIDIA driver on this machine"
    )


def driver_version() -> int | None:
    """Return the CUDA version that the driver supports (12040 is 12.4), None without a driver."""
    try:
        library: Any = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)
    return version.value if library.cuDriverGetVersion(ctypes.byref(version)) == 0 else None


def version_in_words(number: int) -> str:
    """Return a version of CUDA as its users write it: 12040 is 12.4."""
    return f"{number // 1000}.{number % 1000 // 10}"


def first_line(error: BaseException) -> str:
    """Return what an error says, as far as it fits into a sentence."""
    line = (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
    return f"{type(error).__name__}: {line if len(line) < 200 else line[:200].rstrip() + ' ...'}"
