"""How array libraries differ: one row each.

A library that follows the array API needs no row: what the rows say by themselves is true of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays.strange import refuse_sparse
from gpugrad._arrays.threads import wait_for_imports
from gpugrad._arrays.typing import Array, NumpyArray


def dtype_name(dtype: Any) -> str:
    """Spell a dtype of any library as the array API does: "float32", "int16", "bool"."""
    return dtype.name if isinstance(dtype, np.dtype) else str(dtype).rpartition(".")[2]


def _read_shared_memory(x: Array) -> NumpyArray | None:
    try:
        return np.from_dlpack(x)
    except (AttributeError, BufferError, RuntimeError, TypeError):
        return None


def _place_on_device(x: Array) -> dict[str, Any]:
    return {"device": array_api_compat.device(x)}


def _no_place(x: Array) -> dict[str, Any]:
    return {}


def _nothing(x: Array) -> None:
    return None


class LibraryRow(NamedTuple):
    """What is to be known of a library beyond the array API."""

    name: str
    """As its users spell it."""
    bring_home: Callable[[Array], Any] = np.asarray
    """Returns the values as an array of NumPy, or as something that has a way home itself."""
    read: Callable[[Array], NumpyArray | None] = _read_shared_memory
    """Returns the values as NumPy's if that takes no transfer and no computation, else None."""
    device: Callable[[Array], Any] = array_api_compat.device
    """Returns the device of an array, None where the library places arrays by itself."""
    place: Callable[[Array], dict[str, Any]] = _place_on_device
    """Returns the keywords with which functions make an array that goes together with one."""
    restore_blocks: Callable[[Array, Array], Array] | None = None
    """Returns a result in blocks as those of its field, where joining pieces does not keep them."""
    is_writable: bool = True
    """Whether samples can be assigned to."""
    is_lazy: bool = False
    """Whether values are computed only when they are asked for, at a cost that nobody expects."""
    additions: Callable[[ModuleType], Mapping[str, Any]] | None = None
    """Returns what the library's namespace lacks, by name."""


class CompletedNamespace(ModuleType):
    """The namespace of a library, and beside it what the array API has and the library lacks."""

    def __init__(self, namespace: ModuleType, additions: Mapping[str, Any]) -> None:
        super().__init__(namespace.__name__, namespace.__doc__)
        self.__dict__.update(additions)
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        """Return what the library has."""
        return getattr(self.__dict__["_namespace"], name)

    def __dir__(self) -> list[str]:
        """List what is there, whoever brings it."""
        return sorted({*super().__dir__(), *dir(self._namespace)})


# PyTorch


def is_differentiated(x: Array) -> bool:
    """Tell whether a tensor takes part in automatic differentiation, or in a trace."""
    return (x.requires_grad and sys.modules["torch"].is_grad_enabled()) or is_transformed(x)


def is_transformed(x: Array) -> bool:
    """Tell whether a tensor has no memory of its own, or a tangent beside it, or is traced."""
    torch = sys.modules["torch"]
    if torch.compiler.is_compiling():
        return True
    try:
        x.data_ptr()
    except RuntimeError:  # a tensor without memory, such as those of `torch.func`
        return True
    return torch.autograd.forward_ad.unpack_dual(x).tangent is not None


def _read_tensor(x: Array) -> NumpyArray | None:
    if x.device.type != "cpu" or is_differentiated(x):
        return None
    try:
        values: NumpyArray = x.detach().numpy()
    except (RuntimeError, TypeError):  # a tensor without memory, or a dtype NumPy lacks
        return None
    return values


def _bring_tensor_home(x: Array) -> NumpyArray:
    if not x.is_nested and x.layout is not sys.modules["torch"].strided:
        x = x.to_dense()
    refuse_sparse(x, "`x`")
    if x.device.type == "meta":
        raise TypeError(
            '`x` must have values; got a tensor on the device "meta", which has shapes alone.'
        )
    # A conjugate or negative tensor only says that it is one: NumPy would read what is beneath.
    x = x.detach().cpu().resolve_conj().resolve_neg()
    return np.asarray((x.float() if dtype_name(x.dtype) == "bfloat16" else x).numpy())


# JAX


def is_tracer(x: Array) -> bool:
    """Tell whether `x` stands for an array of JAX whose values are not yet known."""
    return array_api_compat.is_jax_array(x) and isinstance(x, sys.modules["jax"].core.Tracer)


def _read_jax(x: Array) -> NumpyArray | None:
    if is_tracer(x) or not x.is_fully_addressable:
        return None
    return None if any(device.platform != "cpu" for device in x.devices()) else np.asarray(x)


def _bring_jax_home(x: Array) -> NumpyArray:
    if is_tracer(x):
        raise TypeError(
            "`x` must have values; got a JAX tracer, which stands for values not yet known. "
            "Call `asnumpy` outside the functions given to `jit`, `grad` and `vmap`."
        )
    if not (x.is_fully_addressable or x.is_fully_replicated):
        raise ValueError(
            "`x` must lie on devices of this process; got an array of JAX that other processes "
            "have parts of. Collect it with `jax.experimental.multihost_utils.process_allgather(x, "
            "tiled=True)`, or take the parts that are here from `x.addressable_shards`."
        )
    return np.asarray(x)


def _restore_sharding(result: Array, f: Array) -> Array:
    if is_tracer(f) or is_tracer(result) or len(f.sharding.device_set) == 1:
        return result
    if result.shape != f.shape or result.sharding.is_equivalent_to(f.sharding, f.ndim):
        return result
    return sys.modules["jax"].device_put(result, f.sharding)


# MLX: arrays are in memory that all devices share, and devices belong to operations


def _bring_mlx_home(x: Array) -> NumpyArray:
    is_half = dtype_name(x.dtype) == "bfloat16"
    try:
        return np.asarray(x.astype(namespace_of(x).float32) if is_half else x)
    except ValueError as error:
        raise TypeError(
            "`x` must have values; got an array of MLX in a function that is being compiled or "
            "differentiated. Call `asnumpy` outside the functions given to `compile`, `grad` "
            "and `vmap`."
        ) from error


def _complete_mlx(mx: ModuleType) -> dict[str, Any]:
    def asarray(
        obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
    ) -> Array:
        """Convert to an array; one of NumPy keeps its dtype, of which MLX would make float32."""
        if dtype is None and isinstance(obj, np.ndarray):
            dtype = getattr(mx, obj.dtype.name, None)
        return mx.asarray(obj, dtype=dtype, copy=copy)

    def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
        """Convert to a dtype."""
        return mx.astype(x, dtype)

    def nonzero(x: Array, /) -> tuple[Array, ...]:
        """Return the indices of what is not zero, axis by axis."""
        return tuple(mx.array(i) for i in np.nonzero(np.asarray(x)))

    return {"bool": mx.bool_, "asarray": asarray, "astype": astype, "nonzero": nonzero}


# cuPyNumeric: arrays lie on all devices of a run, whose tasks find what they need


def _complete_cupynumeric(cn: ModuleType) -> dict[str, Any]:
    def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
        """Convert to another dtype."""
        return x if not copy and x.dtype == dtype else x.astype(dtype)

    def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
        """Return the dtype of what is computed of arrays and dtypes."""
        return np.result_type(*[getattr(x, "dtype", x) for x in arrays_and_dtypes])

    def any(x: Array, /, *, axis: Any = None, keepdims: bool = False) -> Array:
        """Tell whether anything along axes is true; the library takes one axis, or all."""
        if not isinstance(axis, tuple) or not axis:
            return cn.any(x, axis=axis, keepdims=keepdims)
        for i in sorted([i % x.ndim for i in axis], reverse=True):
            x = cn.any(x, axis=i, keepdims=keepdims)
        return x

    # What it has as dtypes are NumPy's classes of scalars, which are not equal to arrays' dtypes.
    dtypes = {name: np.dtype(name) for name in cn.__array_namespace_info__().dtypes()}

    class NamespaceInfo(type(cn.__array_namespace_info__())):  # type: ignore[misc]
        """What can be asked of the namespace."""

        def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
            """Return dtypes by name."""
            return {name: dtypes[name] for name in super().dtypes(device=device, kind=kind)}

    return {
        **dtypes,
        "__array_namespace_info__": NamespaceInfo,
        "any": any,
        "astype": astype,
        "result_type": result_type,
        "isdtype": np.isdtype,
    }


# array-api-strict: it plays devices, to find out who forgets them


def _bring_strict_home(x: Array) -> NumpyArray:
    strict = namespace_of(x)
    return np.asarray(x.to_device(strict.Device("CPU_DEVICE")))


# cubed


def _restore_chunks(result: Array, f: Array) -> Array:
    return result if result.chunksize == f.chunksize else result.rechunk(f.chunksize)


# ndonnx


def _bring_ndonnx_home(x: Array) -> Any:
    try:
        return x.unwrap_numpy()
    except ValueError as error:
        raise TypeError(
            "`x` must have values; got an array of ndonnx that stands for values not yet known. "
            "Run its graph, and pass what comes out."
        ) from error


_JAX = LibraryRow(
    "JAX",
    bring_home=_bring_jax_home,
    read=_read_jax,
    device=_nothing,  # a tracer has none; constants follow the array they meet
    place=_no_place,
    restore_blocks=_restore_sharding,
    is_writable=False,
)

LIBRARIES = {
    "numpy": LibraryRow("NumPy"),
    "cupy": LibraryRow("CuPy", bring_home=lambda x: x.get(), read=_nothing),
    "torch": LibraryRow("PyTorch", bring_home=_bring_tensor_home, read=_read_tensor),
    "jax": _JAX,
    "jaxlib": _JAX,
    "dask": LibraryRow(
        "Dask",
        bring_home=lambda x: x.compute(),
        read=_nothing,
        device=_nothing,
        place=_no_place,
        is_writable=False,
        is_lazy=True,
    ),
    "array_api_strict": LibraryRow("array-api-strict", bring_home=_bring_strict_home),
    "dpnp": LibraryRow(
        "dpnp",
        read=_nothing,
        # Two kinds of memory would make a third of it.
        place=lambda x: {"sycl_queue": x.sycl_queue, "usm_type": x.usm_type},
    ),
    "cubed": LibraryRow(
        "cubed",
        read=_nothing,
        place=lambda x: {"spec": x.spec},  # one computation has one specification
        restore_blocks=_restore_chunks,
        is_writable=False,
        is_lazy=True,
    ),
    "cupynumeric": LibraryRow(
        "cuPyNumeric",
        read=_nothing,  # reading would wait for all devices
        device=_nothing,
        place=_no_place,
        additions=_complete_cupynumeric,
    ),
    "sparse": LibraryRow("sparse", read=_nothing, is_writable=False),
    "mlx": LibraryRow(
        "MLX",
        bring_home=_bring_mlx_home,
        read=_nothing,  # reading would evaluate a lazy array
        device=_nothing,
        place=_no_place,
        additions=_complete_mlx,
    ),
    "ndonnx": LibraryRow("ndonnx", bring_home=_bring_ndonnx_home, read=_nothing),
}
"""By the package in which a library defines its arrays."""


@lru_cache(maxsize=256)
def _row_of(cls: type) -> LibraryRow:
    # The module of a subclass is its user's: a class before it tells. NumPy's are mixins.
    roots = [base.__module__.partition(".")[0] for base in cls.__mro__]
    known = [root for root in roots if root in LIBRARIES and root != "numpy"]
    root = known[0] if known else roots[0]
    return LIBRARIES.get(root, LibraryRow(root))


def row_of(x: Array) -> LibraryRow:
    """Return what is to be known of the library of an array."""
    cls: Any = type(x)
    return _row_of(cls)


def refuse_strangers(x: Any, what: str) -> None:
    """Raise TypeError for what a library has, and yet is none of its arrays.

    Old releases, too, have arrays that do not follow the array API: they must not become NumPy's
    in silence.
    """
    root = type(x).__module__.partition(".")[0]
    if root in LIBRARIES and root != "numpy" and not is_library_array(x):
        name = LIBRARIES[root].name
        raise TypeError(
            f"{what} must be an array that follows the array API; got {type(x).__name__} of "
            f"{name}. Pass an array, of the newest release of {name}, or bring it home first, as "
            "by `numpy.asarray`."
        )


def library_of(x: Array) -> str:
    """Name the library of an array as its users spell it."""
    return "NumPy" if isinstance(x, np.ndarray) else row_of(x).name


def is_library_array(x: object) -> bool:
    """Tell whether `x` is an array of some array-API library other than NumPy."""
    if isinstance(x, (np.ndarray, np.generic)):
        return False
    try:
        is_array: bool = array_api_compat.is_array_api_obj(x)
    except AttributeError:
        # A library that another thread imports at this moment has not yet the class looked for.
        wait_for_imports([*LIBRARIES])
        is_array = array_api_compat.is_array_api_obj(x)
    return is_array


def namespace_of(x: Array) -> ModuleType:
    """Return the array-API namespace of an array."""
    xp: ModuleType = array_api_compat.array_namespace(x)
    return xp if row_of(x).additions is None else complete(xp)


@cache
def complete(xp: ModuleType) -> ModuleType:
    """Return a library's namespace together with what it lacks of the array API."""
    row = LIBRARIES.get(xp.__name__.partition(".")[0])
    if row is None or row.additions is None:
        return xp
    return CompletedNamespace(xp, row.additions(xp))


def device_of(x: Array) -> Any:
    """Return the device of an array, or None where its library places arrays by itself."""
    return row_of(x).device(x)


def place_of(x: Array) -> dict[str, Any]:
    """Return the keywords with which functions make an array that goes together with `x`."""
    return row_of(x).place(x)


def real_floats(xp: ModuleType, x: Array) -> dict[str, Any]:
    """Return the real floating-point types of the library on the device of `x`, by name.

    JAX has float64 only when told so (``jax_enable_x64``), Apple's GPUs never.
    """
    info = xp.__array_namespace_info__()
    available: dict[str, Any] = info.dtypes(device=device_of(x), kind="real floating")
    return available


def host_values(x: Array) -> NumpyArray | None:
    """Return the values of `x` as a NumPy array if that needs no transfer and no computation.

    None stands for "not to be read": the array lives on a device, is lazy, is being traced, or
    takes part in automatic differentiation, which a NumPy view would cut off.
    """
    return row_of(x).read(x) if is_library_array(x) else np.asarray(x)


def from_host(values: NumpyArray, like: Array) -> Array:
    """Return NumPy values as an array of the library and on the device of `like`."""
    return namespace_of(like).asarray(values, **place_of(like))
