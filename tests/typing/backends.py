"""Libraries, engines, and what is told of them."""

from __future__ import annotations

from types import ModuleType
from typing import Any, assert_type

import numpy as np

import gpugrad
from gpugrad.typing import Backend

f = np.zeros((4, 5))

with gpugrad.use_backend("slices", threads=1) as chosen:
    assert_type(chosen, gpugrad.use_backend)


@gpugrad.use_backend("numpy")
def differentiate(order: int) -> str:
    """Keep its own type below the decorator."""
    return str(order)


assert_type(differentiate(2), str)

with gpugrad.patch_numpy(fallback=True) as patch:
    assert_type(patch, gpugrad.patch_numpy)
    assert_type(patch.undo(), None)

why = gpugrad.explain(f, 0.5, operator="laplacian", boundary="edge")
assert_type(why, gpugrad.Explanation)
assert_type(why.backend, str | None)
assert_type(why.details, str)
assert_type(why.rejected, dict[str, str])
assert_type(why.cure, str | None)

there = gpugrad.info(probe=False)
assert_type(there, gpugrad.Info)
assert_type(there.versions, dict[str, str | None])
assert_type(there.threads, int)
assert_type(there.backend, str)
assert_type(there.picks, dict[str, str])
assert_type(there.gpu.usable, bool)
assert_type(there.gpus["torch"].problem, str)

xp = gpugrad.namespace("auto", device="cuda", prefer=("cupy", "torch"))
assert_type(xp, ModuleType)
assert_type(gpugrad.asnumpy(xp.zeros(3)), np.ndarray[Any, Any])
assert_type(gpugrad.free_memory(), int)

try:
    gpugrad.gradient(f, backend="cupy")
except gpugrad.BackendError as error:
    assert_type(error.reason, str)
    assert_type(error.cure, str)
warning: type[UserWarning] = gpugrad.GpugradWarning
name: Backend = "compiled"

# Wrong calls.
gpugrad.use_backend("numba")  # type: ignore[arg-type]
gpugrad.use_backend(threads="all")  # type: ignore[arg-type]
gpugrad.explain(f, backend="numba")  # type: ignore[arg-type]
gpugrad.info("gpu")  # type: ignore[arg-type]
gpugrad.namespace(np)  # type: ignore[arg-type]
why.backend.upper()  # type: ignore[union-attr]
there.libraries  # type: ignore[attr-defined]  # noqa: B018
name = "numba"  # type: ignore[assignment]
gpugrad.patch_numpy(fallback="yes")  # type: ignore[arg-type]
