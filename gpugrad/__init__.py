"""gpugrad: `numpy.gradient` for every array library, on the CPU and on the GPU.

The same call, the same bits: `gradient` is a drop-in for `numpy.gradient` on NumPy, CuPy,
PyTorch, JAX, Dask and any other array-API library. `use_backend` chooses where the arithmetic
runs, `namespace` gives a namespace to write a workflow against, `info` says what is there.
"""

from typing import TYPE_CHECKING, Any

from gpugrad._arrays import asnumpy
from gpugrad._backend import BackendError, use_backend
from gpugrad._memory import free_memory
from gpugrad._operators import derivative, gradient

if TYPE_CHECKING:
    from gpugrad._devices import info, namespace
    from gpugrad._stencil import stencil

__version__ = "0.1.0"

__all__ = [
    "BackendError",
    "asnumpy",
    "derivative",
    "free_memory",
    "gradient",
    "info",
    "namespace",
    "stencil",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    # What few scripts need is loaded when asked for: an import should cost next to nothing.
    if name in ("info", "namespace"):
        from gpugrad import _devices

        return getattr(_devices, name)
    if name == "stencil":
        from gpugrad._stencil import stencil

        return stencil
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "info", "namespace", "stencil"])
