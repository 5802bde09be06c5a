"""Which libraries can compute on a GPU here, and why the others can't: one row for each.

A library says that it has a GPU, and then fails in the first kernel. So the only proof is a small
computation. Before that come the reasons that files tell: to import a library takes seconds, and to
start it on a GPU takes memory.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import devices
from gpugrad._arrays.devices import Gpu


class GpuLibrary(NamedTuple):
    """How a library is found, installed and tried.

    `read` tells from files alone why it has no GPU, None if they give no reason. `run` computes on
    the GPU with the imported module, or raises; without it the library is never started.
    """

    title: str
    module: str
    install: Callable[[], str]
    read: Callable[[], Gpu | None]
    run: Callable[[Any], Gpu] | None
    broken: str = "install it again, in a fresh environment"


_NOT_TRIED = Gpu(
    problem="not tried: this takes seconds, and memory of the GPU",
    cure="`gpugrad info` in a shell tries it, or `gpugrad.info(probe=True)`",
)


def find_gpu_of(name: str, probe: bool = True) -> Gpu:
    """Tell whether a library computes on a GPU; without `probe` only what files tell."""
    if name == "cupy":
        return devices.find_gpu()
    row = GPU_LIBRARIES[name]
    if not devices.is_installed(row.module):
        return Gpu(problem=f"{row.title} is not installed", cure=row.install())
    known = row.read()
    if known is not None:
        return known
    return _try_out(name) if probe else _NOT_TRIED


@lru_cache(maxsize=16)
def _try_out(name: str) -> Gpu:
    """Have a library compute on its GPU, once a process."""
    row = GPU_LIBRARIES[name]
    try:
        module = importlib.import_module(row.module)
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        problem = f"{row.title} cannot be imported: {devices.first_line(error)}"
        return Gpu(problem=problem, cure=row.broken)
    assert row.run is not None
    try:
        return row.run(module)
    except Exception as error:  # noqa: BLE001 - libraries, drivers and kernels fail in many ways
        return explain_failure(row.title, error)


def explain_failure(title: str, error: BaseException) -> Gpu:
    """Return why a computation on a GPU has failed, by the words of the error."""
    text = str(error).lower()
    for words, problem, cure in _FAILURES:
        if any(word in text for word in words):
            return Gpu(problem=problem.format(title=title), cure=cure.format(title=title))
    return Gpu(
        problem=f"a small computation of {title} fails: {devices.first_line(error)}",
        cure="look at `nvidia-smi`, or what your GPU has in its place",
    )


_FAILURES = (
    (
        ("no nvidia driver",),
        "there is no NVIDIA driver on this machine",
        "install the NVIDIA driver of your GPU",
    ),
    (
        ("too old", "insufficient"),
        "the driver is too old for this build of {title}",
        "update the driver, or install {title} for an older CUDA",
    ),
    (
        ("no cuda gpus", "no hip gpus", "no cuda-capable", "no_device", "unknown backend"),
        "{title} sees no GPU",
        "check `nvidia-smi` or `rocminfo`, and CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES",
    ),
    (
        ("no kernel image",),
        "this build of {title} has no code for this GPU",
        "install a newer build of {title} for a new GPU, an older one for an old GPU",
    ),
    (
        ("out of memory", "resource_exhausted", "out_of_memory"),
        "the GPU has no memory left",
        "see in `nvidia-smi` who has it",
    ),
)
"""Words of an error; what they mean; what to do."""


def _cuda_extra(package: str) -> Callable[[], str]:
    """Return what writes the command for a package whose extras are "cuda12" and "cuda13"."""

    def write() -> str:
        if sys.platform == "darwin":
            return "take PyTorch or MLX for the GPU of a Mac"
        driver = devices.driver_version()
        extra = "cuda12" if driver and driver < 13000 else "cuda13"
        line = f'pip install "{package}[{extra}]"'
        return line if driver else f"install your GPU's NVIDIA driver, then {line}"

    return write


def _refuse_without_driver() -> Gpu | None:
    """Return the reason that a build for CUDA has where there is no driver."""
    if devices.driver_version() is not None:
        return None
    return Gpu(
        problem="there is no NVIDIA driver on this machine",
        cure="install the NVIDIA driver of your GPU; without one, everything runs on the CPU",
    )


def _check(values: Any) -> None:
    if values != [2.0, 2.0]:
        raise RuntimeError(f"1 + 1 gives {values}")


# PyTorch: a build is for CUDA, ROCm, Intel's XPU, or none; Apple's has MPS.


def _read_torch() -> Gpu | None:
    build = _read_torch_build()
    if sys.platform == "darwin" or not build or build.get("hip") or build.get("xpu"):
        return None
    if build.get("cuda"):
        return _refuse_without_driver()
    return Gpu(
        problem=f"PyTorch {build.get('__version__', '')} is built for the CPU alone",
        cure="install the build for your GPU, which pytorch.org/get-started finds",
    )


def _read_torch_build() -> dict[str, Any]:
    """Return what ``torch/version.py`` says, without running it; nothing if it can't be read."""
    spec = find_spec("torch")
    found: dict[str, Any] = {}
    with suppress(OSError, SyntaxError, ValueError, AttributeError, TypeError):
        path = Path(spec.origin).with_name("version.py")  # type: ignore[union-attr, arg-type]
        for line in ast.parse(path.read_text(encoding="utf-8")).body:
            name = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", 0)
            if isinstance(name, ast.Name) and isinstance(
                getattr(line, "value", None), ast.Constant
            ):
                found[name.id] = line.value.value  # type: ignore[attr-defined]
    return found


def _run_torch(torch: Any) -> Gpu:
    version = torch.version
    if version.cuda or version.hip:
        kind = "cuda"
    elif getattr(version, "xpu", None):
        kind = "xpu"
    elif torch.backends.mps.is_available():
        kind = "mps"
    else:
        return Gpu(
            problem="PyTorch has no GPU here: neither CUDA, ROCm, XPU nor MPS",
            cure="MPS needs a Mac with Apple's processor",
        )
    _check((torch.ones(2, device=kind) + 1).tolist())
    if kind == "mps":
        return Gpu(devices=("Apple GPU",), kind=kind)
    gpus = getattr(torch, kind)
    names = [gpus.get_device_name(i) for i in range(gpus.device_count())]
    return Gpu(devices=tuple(names), kind=kind)


# JAX: GPUs come by plugins.


def _read_jax() -> Gpu | None:
    platforms = os.environ.get("JAX_PLATFORMS", "")
    if platforms and {*platforms.lower().split(",")} <= {"cpu"}:
        return Gpu(
            problem=f"the variable JAX_PLATFORMS, {platforms}, leaves out the GPU", cure="unset it"
        )
    plugins = _find_plugins_of_jax()
    if not plugins:
        return Gpu(
            problem="JAX is installed for the CPU alone: it has no plugin for a GPU",
            cure=_cuda_extra("jax")(),
        )
    return _refuse_without_driver() if all("cuda" in name for name in plugins) else None


def _find_plugins_of_jax() -> set[str]:
    """Return the names of JAX's plugins, which it finds in these two ways."""
    names = {entry.name for entry in metadata.entry_points(group="jax_plugins")}
    spec = find_spec("jax_plugins")
    if spec is not None and spec.submodule_search_locations:
        names |= {module.name for module in iter_modules(spec.submodule_search_locations)}
    return names


def _run_jax(jax: Any) -> Gpu:
    found = [device for device in jax.local_devices() if device.platform != "cpu"]
    if not found:
        found = jax.local_devices(backend="gpu")  # which says why there is none
    _check((jax.device_put(np.ones(2, np.float32), found[0]) + 1).tolist())
    return Gpu(devices=tuple(device.device_kind for device in found))


# MLX: Metal on Apple's processors; elsewhere one of two packages brings all of it.


def _read_mlx() -> Gpu | None:
    if sys.platform == "darwin":
        return None
    brought = {name for name in ("mlx-cpu", "mlx-cuda", "mlx-cuda-12", "mlx-cuda-13") if _has(name)}
    if not brought:
        spec = find_spec("mlx")
        folders = spec.submodule_search_locations if spec else None
        if any(Path(folder, "lib").is_dir() for folder in folders or ()):
            return None  # built by its user
        return Gpu(
            problem="MLX cannot be imported: outside of macOS the package mlx needs another one",
            cure=f'{_cuda_extra("mlx")()}; without a GPU, pip install "mlx[cpu]"',
        )
    if brought == {"mlx-cpu"}:
        return Gpu(problem="MLX is installed for the CPU alone", cure=_cuda_extra("mlx")())
    return _refuse_without_driver()


def _has(distribution: str) -> bool:
    with suppress(metadata.PackageNotFoundError):
        return bool(metadata.version(distribution))
    return False


def _install_mlx() -> str:
    return "pip install mlx" if sys.platform == "darwin" else _cuda_extra("mlx")()


def _run_mlx(mx: Any) -> Gpu:
    total = mx.add(mx.array([1.0, 1.0]), mx.array(1.0), stream=mx.gpu)
    _check(total.tolist())
    if mx.default_device() != mx.Device(mx.gpu):
        return Gpu(
            problem="MLX's default device has been set to the CPU",
            cure="call `mlx.core.set_default_device(mlx.core.gpu)`",
        )
    name = "GPU"
    with suppress(Exception):  # the name is called otherwise in other releases
        name = mx.device_info(mx.gpu)["device_name"]
    return Gpu(devices=(name,), kind="gpu")


# dpnp: what SYCL finds. Its wheels bring a driver for CPUs, which must be named.


def _run_dpnp(dpnp: Any) -> Gpu:
    found = list_sycl_devices()
    if not found:
        return without_sycl()
    gpus = [device for device in found if device.is_gpu]
    if not gpus:
        names = ", ".join(device.filter_string for device in found)
        hidden = os.environ.get("ONEAPI_DEVICE_SELECTOR")
        return Gpu(
            problem=f"SYCL finds no GPU, only {names}"
            + (f", by the variable ONEAPI_DEVICE_SELECTOR, {hidden}" if hidden else ""),
            cure="install the driver of your GPU: Intel's compute runtime, or the oneAPI plugin "
            "for GPUs of NVIDIA or AMD; `sycl-ls` lists what SYCL finds",
        )
    _check([float(x) for x in dpnp.ones(2, dtype="f4", device=gpus[0]) + 1])
    return Gpu(devices=tuple(device.name for device in gpus), kind="gpu")


def list_sycl_devices() -> list[Any]:
    """Return the devices that SYCL finds."""
    found: list[Any] = importlib.import_module("dpctl").get_devices()
    return found


def without_sycl() -> Gpu:
    """Return what to do where SYCL finds no device at all."""
    brought = Path(sys.prefix, "lib", "libintelocl.so")
    path = brought if brought.exists() else "the path of libintelocl.so"
    return Gpu(
        problem="SYCL finds no device at all, not even the CPU",
        cure="for a GPU, install its driver (Intel's compute runtime, or a plugin of oneAPI); for "
        f"the CPU, set the variable OCL_ICD_FILENAMES to {path} before Python starts",
    )


# cuPyNumeric: to import it starts Legate, which takes GPUs and memory, or ends the process.


def _read_cupynumeric() -> Gpu:
    return _refuse_without_driver() or Gpu(
        problem="not tried: to import it starts Legate, which takes GPUs and their memory",
        cure="try `legate --gpus 1 script.py`",
    )


GPU_LIBRARIES = {
    "torch": GpuLibrary("PyTorch", "torch", lambda: "pip install torch", _read_torch, _run_torch),
    "jax": GpuLibrary("JAX", "jax", _cuda_extra("jax"), _read_jax, _run_jax),
    "mlx": GpuLibrary("MLX", "mlx.core", _install_mlx, _read_mlx, _run_mlx),
    "dpnp": GpuLibrary("dpnp", "dpnp", lambda: "pip install dpnp", lambda: None, _run_dpnp),
    "cupynumeric": GpuLibrary(
        "cuPyNumeric",
        "cupynumeric",
        lambda: "pip install nvidia-cupynumeric",
        _read_cupynumeric,
        None,
    ),
}
"""CuPy is beside them: what it needs, `find_gpu` tells."""
