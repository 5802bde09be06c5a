"""The libraries that are asked all cases, a row each: how to make their arrays, what to expect.

`OUTCOMES` has what was found when `python tools/device_table.py` ran last; the tests run it again.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gpugrad

OUTCOMES = Path(__file__).with_name("outcomes.json")
"""What was found: by library its release, where it ran, and the outcome of each case."""

Make = Callable[[np.ndarray], Any]


class Missing(Exception):
    """A library, or a device of it, is not here; the message says why."""


class Row(NamedTuple):
    """A library on a device."""

    name: str
    place: str
    """Where its arithmetic runs, in words for the table."""
    package: str
    """The package to be imported."""
    start: Callable[[], Make]
    """Returns what makes its arrays; raises `Missing` where there is no such device."""
    bound: float = 0.0
    """Units in the last place of the largest number by which results may differ from NumPy's.

    0 stands for equal bits. Above it the library's own arithmetic, as a quotient of complex
    numbers or a root, is not rounded as NumPy's."""
    refused: Mapping[str, tuple[str, str]] = {}
    """By case, words of the error with which it is refused, and the reason."""
    compute: Callable[[Iterable[Any]], list[Any]] = list
    """Returns arrays whose values are known: lazy ones computed together."""
    runs: str = "every run"
    """Which tests run it: "every run", "`.ci/run`", "`.ci/nightly`" or "by hand"."""
    is_alone: bool = False
    """Whether it needs a process of its own."""

    @property
    def reasons(self) -> dict[str, str]:
        """Return why cases are refused, by name."""
        return {name: reason for name, (_, reason) in self.refused.items()}


def _numpy() -> Make:
    return lambda x: x


def _strict() -> Make:
    return import_module("array_api_strict").asarray


def _strict_elsewhere() -> Make:
    strict = import_module("array_api_strict")
    device = strict.Device("device1")
    return lambda x: strict.asarray(x, device=device)


def _torch() -> Make:
    torch = import_module("torch")
    return lambda x: torch.from_numpy(np.array(x))


def _jax() -> Make:
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray


def _jax_shards() -> Make:
    """Lay arrays over four devices that the processor plays, along an axis that four divides."""
    jax = import_module("jax")
    jax.config.update("jax_enable_x64", True)
    if len(jax.devices()) < 4:
        raise Missing("JAX was started with a single device")
    mesh = jax.sharding.Mesh(jax.devices()[:4], ("rows",))

    def make(x: np.ndarray) -> Any:
        names: list[str | None] = [None] * x.ndim
        divided = [i for i, n in enumerate(x.shape) if n and n % 4 == 0]
        if divided and x.size:
            names[divided[0]] = "rows"
        spec = jax.sharding.PartitionSpec(*names)
        return jax.device_put(x, jax.sharding.NamedSharding(mesh, spec))

    return make


def _dask() -> Make:
    da = import_module("dask.array")
    return lambda x: da.from_array(x, chunks=3)


def _compute_dask(results: Iterable[Any]) -> list[Any]:
    return list(import_module("dask").compute(*results, scheduler="synchronous"))


def _cupy() -> Make:
    try:
        return gpugrad.namespace("cupy").asarray
    except gpugrad.BackendError as error:
        raise Missing(f"no usable GPU: {error}") from error


def _dask_of_cupy() -> Make:
    asarray, da = _cupy(), import_module("dask.array")
    return lambda x: da.from_array(x, chunks=3).map_blocks(asarray)


def _dpnp() -> Make:
    if "OCL_ICD_FILENAMES" not in os.environ:  # the wheels' device on processors
        driver = Path(sys.prefix, "lib", "libintelocl.so")
        if driver.exists():
            os.environ["OCL_ICD_FILENAMES"] = str(driver)
    dpnp = import_module("dpnp")
    try:
        dpnp.zeros(1)
    except Exception as error:  # however a missing device shows
        raise Missing(f"no SYCL device: {error}") from error
    return dpnp.asarray


def _cubed() -> Make:
    xp = import_module("cubed.array_api")
    spec = import_module("cubed").Spec(allowed_mem="100MB")  # of its own, to be kept

    def make(x: np.ndarray) -> Any:
        # Two blocks along the longest axis: each task is a file.
        longest = int(np.argmax(x.shape)) if x.ndim else 0
        chunks = [(n + 1) // 2 if i == longest else n for i, n in enumerate(x.shape)]
        return xp.asarray(x, chunks=tuple(chunks) if x.ndim else (), spec=spec)

    return make


def _compute_cubed(results: Iterable[Any]) -> list[Any]:
    return list(import_module("cubed").compute(*results))


def _sparse() -> Make:
    return import_module("sparse").COO.from_numpy


def _mlx() -> Make:
    mx = import_module("mlx.core")
    mx.set_default_device(mx.cpu)  # graphics processors have no float64

    def make(x: np.ndarray) -> Any:
        return mx.array(x, dtype=getattr(mx, x.dtype.name, None) if x.dtype != bool else mx.bool_)

    return make


def _cupynumeric() -> Make:
    try:
        return import_module("cupynumeric").array
    except Exception as error:  # however a missing driver shows
        raise Missing(f"Legate does not start: {error}") from error


def _ndonnx() -> Make:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that onnxruntime is not installed
        return import_module("ndonnx").asarray


_NO_WRITING = {
    "out=": ("must be an array that can be written to", "its arrays cannot be written to")
}
_NO_VALUES = {
    **dict.fromkeys(
        ["derivative_of", "derivative_of, order 2"],
        ("points must have values", "how points are differentiated depends on their values"),
    ),
    "turning_points": ("must have values", "how many points there are depends on the values"),
}
_NO_EMPTY_CHUNKS = {
    "an empty axis": ("Chunks and shape", "the library has no slices of arrays without samples")
}
_LAZY = {**_NO_WRITING, **_NO_VALUES}
_DENSE_ONLY = dict.fromkeys(
    [
        "coordinates of its own",
        "derivative_of",
        "derivative_of, order 2",
        "tabulate",
        "turning_points",
    ],
    ("must be dense, with all its samples", "the call reads samples that the field does not store"),
)
_NOT_SPARSE = dict.fromkeys(
    [
        "coordinates of each line", "boundary='odd-reflect'", "boundary='odd-symmetric'",
        "boundary=0.5", "boundary={'normal': 0.1}", "boundary=('edge', 0.0)", "skipna",
        "skipna, uneven", "a Laplacian with holes",
    ],
    (
        "must be dense where results are not the same number wherever it has no samples",
        "where the field stores no sample, the results would not all be the same number",
    ),
)  # fmt: skip

ROWS = (
    Row("NumPy", "the processor", "numpy", _numpy),
    Row("array-api-strict", "the processor", "array_api_strict", _strict),
    Row("array-api-strict, elsewhere", "a second device, which it plays", "array_api_strict",
        _strict_elsewhere),
    Row("PyTorch", "the processor", "torch", _torch, bound=1, runs="`.ci/run`"),
    Row("JAX", "the processor", "jax", _jax, 2, _NO_WRITING, runs="`.ci/nightly`"),
    Row(
        "JAX, sharded", "four devices that the processor plays", "jax", _jax_shards, 2,
        _NO_WRITING, runs="`.ci/nightly`", is_alone=True,
    ),
    Row("Dask", "the processor", "dask", _dask, 0, _LAZY, _compute_dask),
    Row("CuPy", "an NVIDIA GPU", "cupy", _cupy, bound=1, runs="by hand"),
    Row("Dask of CuPy", "an NVIDIA GPU", "cupy", _dask_of_cupy, 1, _LAZY, _compute_dask,
        runs="by hand"),
    Row("dpnp", "SYCL's device on the processor", "dpnp", _dpnp, bound=2, runs="`.ci/run`"),
    Row("cubed", "the processor, by blocks in files", "cubed", _cubed, 0,
        {**_LAZY, **_NO_EMPTY_CHUNKS}, _compute_cubed, runs="`.ci/run`"),
    Row("sparse", "the processor", "sparse", _sparse, 0,
        {**_NO_WRITING, **_NOT_SPARSE, **_DENSE_ONLY}, runs="`.ci/run`"),
    Row("MLX", "the processor", "mlx", _mlx, bound=1, runs="`.ci/run`"),
    Row("cuPyNumeric", "the processor, by tasks of Legate", "cupynumeric", _cupynumeric,
        bound=1, runs="by hand"),
    Row("ndonnx", "ONNX's own evaluator, on the processor", "ndonnx", _ndonnx,
        runs="`.ci/run`"),
)  # fmt: skip


class Outcome(NamedTuple):
    """What a case gave: "equal", "bounded" or "refused"; why, or by how much."""

    kind: str
    detail: str = ""
    ulps: float = 0.0


def is_installed(row: Row) -> bool:
    """Tell whether the package of a library is here."""
    return find_spec(row.package) is not None


def start(row: Row) -> Make:
    """Return what makes arrays of a library: one that it makes of another dtype is an error."""
    if not is_installed(row):
        raise Missing(f"{row.package} is not installed")
    make = row.start()

    def make_in_dtype(x: np.ndarray) -> Any:
        try:
            array = make(x)
            kept = str(array.dtype).rpartition(".")[2] == x.dtype.name
        except (TypeError, ValueError) as error:
            raise NotImplementedError(f"no {x.dtype.name}") from error
        if not kept:
            raise NotImplementedError(f"no {x.dtype.name}")
        return array

    return make_in_dtype


def run(row: Row, make: Make, call: Callable[[Make], Any]) -> Outcome:
    """Run a case on a library, and compare what it gives with what it gives on NumPy.

    Raises
    ------
    AssertionError
        If results are of another library, dtype or shape, or differ by more than the row allows.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of overflow, also in other threads
        warnings.simplefilter("ignore", DeprecationWarning)  # of what a library uses of another
        with gpugrad.use_backend("slices"):  # the reference, of NumPy's bits
            wanted = [np.asarray(x) for x in _flatten(call(lambda x: x))]
        try:
            results = _flatten(call(make))
        except (NotImplementedError, TypeError, ValueError) as error:
            return Outcome("refused", str(error))
        library = type(make(np.zeros(1))).__module__.partition(".")[0]
        for x in results:
            assert type(x).__module__.partition(".")[0] == library, f"a {type(x)} has come back"
        home = [gpugrad.asnumpy(x) for x in row.compute(results)]
    worst = max((_measure(x, y) for x, y in zip(home, wanted, strict=True)), default=0.0)
    assert worst <= row.bound, f"{worst:.3g} units in the last place: {home} is not {wanted}"
    return Outcome(
        "bounded" if worst else "equal", f"within {row.bound:g} ulp" * bool(worst), worst
    )


def _flatten(results: Any) -> list[Any]:
    if isinstance(results, (tuple, list)):
        return [x for result in results for x in _flatten(result)]
    return [results]


def _measure(actual: np.ndarray, wanted: np.ndarray) -> float:
    """Return by how many units in the last place of the largest number two arrays differ.

    Raises
    ------
    AssertionError
        If a dtype, a shape, a NaN or an infinity differs.
    """
    assert actual.dtype == wanted.dtype
    assert actual.shape == wanted.shape
    worst = 0.0
    for x, y in ((actual.real, wanted.real), (actual.imag, wanted.imag)):
        if wanted.dtype.kind not in "fc":
            assert np.array_equal(x, y)
            continue
        finite = np.isfinite(y)
        assert np.array_equal(x[~finite], y[~finite], equal_nan=True)
        x, y = x[finite], y[finite]
        differs = (x != y) | (np.signbit(x) != np.signbit(y))
        if differs.any():
            # Zeros of the other sign differ in their bits, if in nothing else.
            ulp = np.spacing(np.abs(y).max())
            tiny = np.finfo(float).tiny
            worst = max(worst, float((np.abs(x - y) / ulp).max()), tiny)
    return worst


def known_outcomes() -> dict[str, Any]:
    """Return what was found when all ran last."""
    known: dict[str, Any] = json.loads(OUTCOMES.read_text())
    return known


def release_of(row: Row) -> str:
    """Return the release of a library that is installed."""
    for owner in metadata.packages_distributions().get(row.package, [row.package]):
        return metadata.version(owner)
    return ""
