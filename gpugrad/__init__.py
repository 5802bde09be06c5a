"""gpugrad: `numpy.gradient` for every array library, on the CPU and on the GPU.

The same call, the same bits: `gradient` is a drop-in for `numpy.gradient` on NumPy, CuPy,
PyTorch, JAX, Dask and any other array-API library. `use_backend` chooses where the arithmetic
runs, `namespace` gives a namespace to write a workflow against, `info` says what is there.
"""

from gpugrad._arrays import asnumpy
from gpugrad._backend import BackendError, use_backend
from gpugrad._devices import info, namespace
from gpugrad._operators import gradient

__version__ = "0.1.0"

__all__ = ["BackendError", "asnumpy", "gradient", "info", "namespace", "use_backend"]
