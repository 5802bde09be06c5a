"""What this machine has: libraries, devices, and why the GPU is not used."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from gpugrad._arrays.arrays import BackendError

_NAMESPACES = {
    "numpy": "array_api_compat.numpy",
    "cupy": "array_api_compat.cupy",
    "torch": "array_api_compat.torch",
    "jax": "jax.numpy",
}
_PROBE = 'extern "C" __global__ void probe(int* x) { *x = 42; }'


@dataclass(frozen=True)
class Gpu:
    """Whether CuPy can run a kernel here; if not, why, and what would mend it."""

    devices: tuple[str, ...] = ()
    problem: str = ""
    cure: str = ""

    @property
    def usable(self) -> bool:
        """Whether a kernel has been compiled and has run."""
        return not self.problem


@lru_cache(maxsize=1)
def find_gpu() -> Gpu:
    """Compile and run a trivial kernel, once a process: the only proof that a GPU is usable.

    Counting devices is none: a missing driver, an old one and a missing runtime compiler all
    show only when something runs.
    """
    if not is_installed("cupy"):
        line = _install_line()
        if _driver_version() is None:
            line = (
                f"install your GPU's NVIDIA driver, then {line}; without a GPU, all runs on the CPU"
            )
        return Gpu(problem=f"CuPy is not installed{_driver_in_words()}", cure=line)
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        return Gpu(problem=f"CuPy cannot be imported: {_first_line(error)}", cure=_install_line())
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
                problem=f"the NVIDIA driver is too old: it supports CUDA {_version(driver)}, and "
                f"CuPy {cupy.__version__} is built for CUDA {_version(built_for)}",
                cure=f"update the driver, or {_install_line(driver)}",
            )
        if "NoDevice" in str(error):
            return Gpu(
                problem="the NVIDIA driver sees no GPU"
                + ("" if "CUDA_VISIBLE_DEVICES" not in os.environ else " in CUDA_VISIBLE_DEVICES"),
                cure="check `nvidia-smi` and the variable CUDA_VISIBLE_DEVICES",
            )
        return Gpu(problem=f"CUDA fails: {_first_line(error)}", cure="check `nvidia-smi`")
    try:
        answer = cupy.empty(1, dtype=cupy.int32)
        cupy.RawKernel(_PROBE, "probe")((1,), (1,), (answer,))
        if int(answer[0]) != 42:
            return Gpu(problem="a trivial kernel gives a wrong answer", cure="check `nvidia-smi`")
    except Exception as error:  # noqa: BLE001 - the compiler, its headers or the launch may fail
        if any(word in str(error).lower() for word in ("nvrtc", "compil", "header")):
            return Gpu(
                problem=f"there is no working runtime compiler (NVRTC): {_first_line(error)}",
                cure=f"{_install_line(driver)}, which brings the compiler",
            )
        return Gpu(
            problem=f"a trivial kernel does not run: {_first_line(error)}",
            cure="check `nvidia-smi`: whether the GPU is free, has memory and is supported",
        )
    names = tuple(runtime.getDeviceProperties(i)["name"].decode() for i in range(count))
    return Gpu(devices=names)


def namespace(name: str = "auto") -> ModuleType:
    """Return an array-API namespace to write a whole workflow against.

    Code that takes its functions from there runs on the GPU or the CPU without a change.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy", "torch", "jax"}
        "auto" is CuPy where a GPU is usable, else NumPy. A library asked for by name is that
        library or an error, never another one.

    Returns
    -------
    module
        The functions of the array API (``xp.asarray``, ``xp.linspace``, ``xp.sin``, ...).

    Raises
    ------
    BackendError
        If the library asked for is not installed or, for CuPy, cannot run a kernel; the message
        has the reason and the cure.
    ValueError
        If there is no such name.

    See Also
    --------
    asnumpy : Brings arrays home, to NumPy.
    info : Says which libraries are installed, and whether a GPU is usable.

    Examples
    --------
    >>> import gpugrad
    >>> xp = gpugrad.namespace()  # the GPU where there is one
    >>> x = xp.linspace(0, 1, 101)
    >>> slope = gpugrad.gradient(xp.sin(x), 0.01)
    """
    if isinstance(name, str) and name == "auto":
        name = "cupy" if find_gpu().usable else "numpy"
    if not isinstance(name, str) or name not in _NAMESPACES:
        raise ValueError(
            f"`name` must be auto, {', '.join(_NAMESPACES)}; got "
            f"{name!r:.60}. The namespace of an array is `x.__array_namespace__()`."
        )
    if name == "cupy" and not find_gpu().usable:
        gpu = find_gpu()
        raise BackendError(f"CuPy cannot be used: {gpu.problem}. To mend it: {gpu.cure}.")
    if not is_installed(name):
        raise BackendError(f"{name} is not installed. To mend it: pip install {name}.")
    return importlib.import_module(_NAMESPACES[name])


def is_installed(name: str) -> bool:
    """Tell whether a library can be imported; a mere folder of its name is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


def _install_line(driver: int | None = None) -> str:
    """Return the command that installs CuPy for the driver's CUDA version."""
    if sys.platform == "darwin":
        return "use a machine with an NVIDIA GPU; CuPy has no packages for macOS"
    driver = driver or _driver_version()
    extra = "cuda12x" if driver and driver < 13000 else "cuda13x"
    return f'pip install "gpugrad[{extra}]"'


def _driver_in_words() -> str:
    driver = _driver_version()
    return (
        f"; the NVIDIA driver here supports CUDA {_version(driver)}"
        if driver
        else ", and there is no NVIDIA driver on this machine"
    )


def _driver_version() -> int | None:
    """Return the CUDA version that the driver supports (12040 is 12.4), None without a driver."""
    try:
        library: Any = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)
    return version.value if library.cuDriverGetVersion(ctypes.byref(version)) == 0 else None


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
