"""Namespaces by name: of a library, of a library on one of its devices, or of the GPU there is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from gpugrad._arrays import devices, gpus
from gpugrad._arrays.arrays import BackendError
from gpugrad._arrays.device_namespace import DeviceNamespace, pass_device
from gpugrad._arrays.libraries import complete


def namespace(
    name: str = "auto", *, device: Any = None, prefer: Sequence[str] | None = None
) -> ModuleType:
    """Return an array-API namespace: the functions of an array library, on a GPU if there is one.

    Code that uses only functions of the namespace runs on a GPU or a CPU without changes.

    Parameters
    ----------
    name : {"auto", "numpy", "cupy", "torch", "jax", "mlx", "dpnp"}
        The library. "auto", the default, is CuPy if a GPU is usable, otherwise NumPy. For a library
        that is requested by name, the result is that library or an error, never another library.
    device : object, optional
        The device of new arrays: ``asarray``, ``zeros``, ``linspace`` and all other functions that
        create arrays use this device, unless a call has a ``device=`` of its own. Existing arrays
        stay where they are, and the default device of the library is not changed. By default the
        library decides. Each library has its own names for devices:

        - torch: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"xpu"``, ``"meta"``, a
          ``torch.device``, or the number of a GPU
        - cupy: ``"cuda"``, ``"cuda:1"``, the number of a GPU, or a ``cupy.cuda.Device``
        - jax: a platform, ``"cpu"``, ``"gpu"``, ``"tpu"``; with a number, ``"gpu:1"``; or a
          ``jax.Device`` or ``jax.sharding.Sharding``
        - dpnp: a filter of SYCL, ``"cpu"``, ``"gpu"``, ``"level_zero:gpu:0"``; or a device or
          queue of ``dpctl``
        - mlx: ``"cpu"`` or ``"gpu"``, and only the default one, because in MLX operations have a
          device and arrays have none
        - numpy: ``"cpu"``
    prefer : sequence of str, optional
        With "auto", the libraries to consider, in order: the result is the first of "cupy",
        "torch", "jax", "mlx" and "dpnp" in this sequence that can compute on its GPU, or NumPy if
        none can. By default ``("cupy",)``.

    Returns
    -------
    module
        The functions of the array API (``xp.asarray``, ``xp.linspace``, ``xp.sin``, ...).

    Raises
    ------
    BackendError
        If the requested library is not installed, can't be used, or does not have the device; the
        message has the reason and the cure.
    ValueError
        If there is no such name or device; if `prefer` contains other names; if `prefer` or
        `device` is given together with a name for which it has no meaning.

    See Also
    --------
    asnumpy : Returns an array of any library as a NumPy array.
    info : Tells which libraries are installed, and whether a GPU is usable.

    Notes
    -----
    The libraries in `prefer` are imported in order, until one can be used. Libraries that are not
    installed, are built for the CPU only, or have no driver are skipped without an import. As soon
    as JAX computes on a GPU, it takes most of the memory of the GPU. `info` tells why a library is
    not usable.

    Examples
    --------
    This code runs on the GPU if there is one, otherwise on the CPU:

    >>> import gpugrad
    >>> xp = gpugrad.namespace()
    >>> x = xp.linspace(0, 1, 101)
    >>> slope = gpugrad.gradient(xp.sin(x), 0.01)
    """
    if not isinstance(name, str) or name not in ("auto", *NAMESPACES):
        raise ValueError(
            f"`name` must be auto, {', '.join(NAMESPACES)}; got "
            f"{name!r:.60}. The namespace of an array is `x.__array_namespace__()`."
        )
    if name == "auto":
        if device is not None:
            raise ValueError(
                '`device` must go with the name of a library; got "auto", which looks for the '
                'device itself. Call, for example, `namespace("torch", device=...)`.'
            )
        return _find_preferred(("cupy",) if prefer is None else _check_preferences(prefer))
    if prefer is not None:
        raise ValueError(
            f'`prefer` must go with the name "auto", which chooses by it; got {name!r}. Leave one '
            "of the two out."
        )
    return _load(name) if device is None else _place(name, device)


def _check_preferences(prefer: Any) -> tuple[str, ...]:
    """Return the names in `prefer`, checked."""
    possible = [name for name in NAMESPACES if name != "numpy"]
    must = f"`prefer` must be a tuple or a list of names of {', '.join(possible)}"
    if not isinstance(prefer, (tuple, list)):
        raise ValueError(f"{must}, the best first; got {prefer!r:.60}.")
    if not prefer:
        raise ValueError(f'{must}; got none. Without a GPU, take `namespace("numpy")`.')
    for name in prefer:
        if name == "numpy":
            raise ValueError(f"{must}; got 'numpy', which is taken where none of them is usable.")
        if not isinstance(name, str) or name not in possible:
            raise ValueError(f"{must}; got {name!r:.60} among them.")
    return tuple(prefer)


def _find_preferred(names: Sequence[str]) -> ModuleType:
    """Return the namespace of the first library whose GPU is usable, or NumPy's."""
    for name in names:
        gpu = gpus.find_gpu_of(name)
        if gpu.usable:
            return _place(name, gpu.kind) if gpu.kind else _load(name)
    return _load("numpy")


def _load(name: str) -> ModuleType:
    """Return the namespace of a library, or raise BackendError."""
    row = NAMESPACES[name]
    if name == "cupy":
        gpu = devices.find_gpu()
        if not gpu.usable:
            _refuse("CuPy cannot be used", gpu.problem, gpu.cure)
    if not devices.is_installed(row.needs):
        _refuse(f"{name} is not installed", "", row.install or f"pip install {name}")
    try:
        xp = importlib.import_module(row.module)
    except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
        gpu = gpus.find_gpu_of(name) if name in gpus.GPU_LIBRARIES else devices.Gpu()
        problem = f"it cannot be imported: {devices.first_line(error)}"
        _refuse(f"{row.title} cannot be used", problem, gpu.cure or "install it again", error)
    if name == "dpnp" and not gpus.list_sycl_devices():
        gpu = gpus.without_sycl()
        _refuse("dpnp cannot be used", gpu.problem, gpu.cure)
    return complete(xp)


def _place(name: str, device: Any) -> ModuleType:
    """Return the namespace of a library whose new arrays lie on a device."""
    xp = _load(name)
    found = NAMESPACES[name].find_device(device)
    return xp if found is None else _bind(name, found, device)


@lru_cache(maxsize=64)
def _bind(name: str, found: Any, given: Any) -> DeviceNamespace:
    row = NAMESPACES[name]
    return DeviceNamespace(_load(name), found, row.pass_device, (_reopen, (name, given)))


def _reopen(name: str, device: Any) -> ModuleType:
    """Return a namespace that has been pickled: where it is loaded, the device may be missing."""
    return namespace(name, device=device)


def _refuse(what: str, reason: str, cure: str, error: BaseException | None = None) -> NoReturn:
    because = f": {reason}" if reason else ""
    message = f"{what}{because}. To mend it: {cure}."
    raise BackendError(message, reason or what, f"To mend it: {cure}.") from error


def _refuse_device(name: str, device: Any, reason: str, cure: str) -> NoReturn:
    _refuse(f"{NAMESPACES[name].title} cannot use the device {device!s:.60}", reason, cure)


def _refuse_name(name: str, possible: str, device: Any) -> NoReturn:
    title = NAMESPACES[name].title
    raise ValueError(f"`device` must be {possible} for {title}; got {device!r:.60}.") from None


# How each library finds a device: it returns what its functions take, None for "as it is".


def _find_on_numpy(device: Any) -> None:
    if device != "cpu":
        raise ValueError(
            f'`device` must be "cpu" for NumPy, which has no other; got {device!r:.60}. For a GPU '
            "name another library, such as cupy or torch."
        )


def _find_on_cupy(device: Any) -> Any:
    cupy = importlib.import_module("cupy")
    if isinstance(device, cupy.cuda.Device):
        return device
    if device == "cuda":
        return None
    number = _read_number(device, "cuda")
    if number is None:
        _refuse_name("cupy", '"cuda", "cuda:1" or the number of a GPU', device)
    count = cupy.cuda.runtime.getDeviceCount()
    if number >= count:
        _refuse_device("cupy", device, *_tell_count(count))
    return cupy.cuda.Device(number)


def _read_number(device: Any, kind: str) -> int | None:
    """Return the number of a device, from ``1`` or ``"cuda:1"``."""
    if isinstance(device, str) and device.startswith(f"{kind}:"):
        device = int(device[len(kind) + 1 :]) if device[len(kind) + 1 :].isdecimal() else -1
    is_number = isinstance(device, int) and not isinstance(device, bool) and device >= 0
    return device if is_number else None


def _tell_count(count: int) -> tuple[str, str]:
    return f"there are {count}, counted from 0", "name another, or check CUDA_VISIBLE_DEVICES"


def _find_on_torch(device: Any) -> Any:
    torch = importlib.import_module("torch")
    if isinstance(device, int) and not isinstance(device, bool):
        gpu = gpus.find_gpu_of("torch")
        if not gpu.usable:
            _refuse_device("torch", device, gpu.problem, gpu.cure)
        device = f"{gpu.kind}:{device}"
    try:
        if not isinstance(device, (str, torch.device)):
            raise TypeError
        found = torch.device(device)
    except (RuntimeError, TypeError):
        possible = '"cpu", "cuda", "cuda:1", "mps", "xpu", "meta" or a torch.device'
        _refuse_name("torch", possible, device)
    if found.type in ("cpu", "meta"):
        return found
    if found.type in ("cuda", "xpu", "mps"):
        gpu = gpus.find_gpu_of("torch")
        if not gpu.usable:
            _refuse_device("torch", device, gpu.problem, gpu.cure)
        if gpu.kind != found.type:
            _refuse_device("torch", device, f'its GPU here is "{gpu.kind}"', "name that")
        if (found.index or 0) >= len(gpu.devices):
            _refuse_device("torch", device, *_tell_count(len(gpu.devices)))
    try:
        torch.ones(2, device=found)
    except Exception as error:  # noqa: BLE001 - each kind of device fails in its own way
        _refuse_device("torch", device, devices.first_line(error), "name another")
    return found


def _find_on_jax(device: Any) -> Any:
    jax = importlib.import_module("jax")
    if isinstance(device, (jax.Device, jax.sharding.Sharding)):
        return device
    platform, _, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if not platform or not (number or "0").isdecimal():
        _refuse_name("jax", '"cpu", "gpu", "tpu", "gpu:1", a jax.Device or a Sharding', device)
    try:
        found = jax.local_devices(backend=platform)
    except RuntimeError as error:
        gpu = gpus.find_gpu_of("jax") if platform in ("gpu", "cuda", "rocm") else devices.Gpu()
        reason = gpu.problem or devices.first_line(error)
        _refuse_device("jax", device, reason, gpu.cure or "name another platform")
    if int(number or 0) >= len(found):
        _refuse_device("jax", device, *_tell_count(len(found)))
    return found[int(number or 0)]


def _find_on_dpnp(device: Any) -> Any:
    dpctl, dpnp = (importlib.import_module(name) for name in ("dpctl", "dpnp"))
    try:
        return dpnp.empty(0, dtype="f4", device=device).device
    except dpctl.SyclDeviceCreationError:
        names = ", ".join(found.filter_string for found in gpus.list_sycl_devices())
        gpu = gpus.find_gpu_of("dpnp")
        cure = gpu.cure if gpu.problem and "gpu" in device else "name one of these"
        _refuse_device("dpnp", device, f"SYCL finds no such device; it finds {names}", cure)
    except (TypeError, ValueError):
        _refuse_name("dpnp", 'a filter of SYCL, as in "cpu" or "gpu", a device or a queue', device)


def _find_on_mlx(device: Any) -> None:
    mx = importlib.import_module("mlx.core")
    kinds = {"cpu": mx.cpu, "gpu": mx.gpu}
    wanted = kinds.get(device, device) if isinstance(device, str) else device
    if not isinstance(wanted, (mx.Device, mx.DeviceType)):
        _refuse_name("mlx", '"cpu", "gpu" or a device of mlx.core', device)
    wanted = mx.Device(wanted) if isinstance(wanted, mx.DeviceType) else wanted
    if wanted == mx.default_device():
        return
    if wanted.type == mx.gpu:
        gpu = gpus.find_gpu_of("mlx")
        if not gpu.usable:
            _refuse_device("mlx", device, gpu.problem, gpu.cure)
    _refuse_device(
        "mlx",
        device,
        f"in MLX operations have a device, arrays have none, and the default is "
        f"{mx.default_device()}",
        f"call `mlx.core.set_default_device(mlx.core.{wanted.type.name})`, or compute within "
        f"`with mlx.core.stream(mlx.core.{wanted.type.name}):`",
    )


def _enter_cupy(create: Callable[..., Any], device: Any) -> Callable[..., Any]:
    """Bind a function of CuPy, whose functions take the current device and no other."""
    cupy = importlib.import_module("cupy")

    def run(*args: Any, device: Any = device, **keywords: Any) -> Any:
        place = device if isinstance(device, cupy.cuda.Device) else _find_on_cupy(device)
        with place if place is not None else cupy.cuda.Device():
            return create(*args, **keywords)

    return run


class NamespaceRow(NamedTuple):
    """A library: its namespace, what must be installed, and how it takes a device."""

    title: str
    module: str
    needs: str
    find_device: Callable[[Any], Any]
    pass_device: Callable[[Callable[..., Any], Any], Callable[..., Any]] = pass_device
    install: str = ""


NAMESPACES = {
    "numpy": NamespaceRow("NumPy", "array_api_compat.numpy", "numpy", _find_on_numpy),
    "cupy": NamespaceRow("CuPy", "array_api_compat.cupy", "cupy", _find_on_cupy, _enter_cupy),
    "torch": NamespaceRow("PyTorch", "array_api_compat.torch", "torch", _find_on_torch),
    "jax": NamespaceRow("JAX", "jax.numpy", "jax", _find_on_jax),
    "mlx": NamespaceRow(
        "MLX",
        "mlx.core",
        "mlx.core",
        _find_on_mlx,
        install='pip install mlx on macOS, elsewhere "mlx[cuda13]" or "mlx[cpu]"',
    ),
    "dpnp": NamespaceRow("dpnp", "dpnp", "dpnp", _find_on_dpnp),
}
"""One row for each library, by the names that `namespace` takes."""
