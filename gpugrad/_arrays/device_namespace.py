"""A namespace whose new arrays lie on one device: a thin layer over that of a library."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import update_wrapper
from inspect import signature
from types import ModuleType
from typing import Any

from gpugrad._arrays.libraries import is_library_array

_CREATION = frozenset({
    # the array API's
    "asarray", "zeros", "ones", "empty", "full", "arange", "linspace", "eye",
    # what libraries have besides
    "array", "tensor", "as_tensor", "scalar_tensor", "identity", "tri", "logspace", "geomspace",
    "rand", "randn", "randint", "randperm", "tril_indices", "triu_indices",
    "bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window",
})  # fmt: skip
_OF_FREQUENCIES = frozenset({"fftfreq", "rfftfreq"})
_KEEPS_ARRAYS = ("asarray", "array", "as_tensor", "tensor")
_PLACES = ("sycl_queue", "out_sharding")
"""Keywords of libraries that say where, too: SYCL's and JAX's."""


class DeviceNamespace(ModuleType):
    """The namespace of a library, with a device for what makes arrays.

    It binds the functions that take a device; a ``device=`` in a call goes first. Arrays stay where
    they are: `asarray` and its likes return them there, as the array API has it. Nothing of the
    library itself is changed.
    """

    def __init__(
        self,
        xp: ModuleType,
        device: Any,
        bind: Callable[[Callable[..., Any], Any], Callable[..., Any]],
        recipe: tuple[Callable[..., Any], tuple[Any, ...]],
        creation: frozenset[str] = _CREATION,
    ) -> None:
        super().__init__(xp.__name__, xp.__doc__)
        self.__dict__.update(_xp=xp, _device=device, _recipe=recipe)
        for name in creation:
            create = getattr(xp, name, None)
            if callable(create) and _takes_device(create):
                bound = bind(create, device)
                if name in _KEEPS_ARRAYS:
                    bound = _keep_arrays(create, bound)
                self.__dict__[name] = _imitate(bound, create)
        fft = getattr(xp, "fft", None)
        if isinstance(fft, ModuleType) and creation is _CREATION:
            self.fft = DeviceNamespace(fft, device, bind, (_fft_of, (self,)), _OF_FREQUENCIES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_xp"], name)

    def __dir__(self) -> list[str]:
        return dir(self._xp)

    def __repr__(self) -> str:
        return f"<namespace {self.__name__}, new arrays on {self._device}>"

    def __reduce__(self) -> Any:
        try:
            pickle.dumps(self._recipe)
        except Exception as error:
            raise TypeError(
                f"a namespace on {self._device} cannot be pickled: its device cannot. Spell the "
                'device as text, as in `gpugrad.namespace("jax", device="cpu:0")`.'
            ) from error
        return self._recipe

    def __array_namespace_info__(self) -> _DeviceInfo:
        return _DeviceInfo(self._xp.__array_namespace_info__(), self._device)


class _DeviceInfo:
    """What a library says about its devices and dtypes, with another default device."""

    def __init__(self, info: Any, device: Any) -> None:
        self._info, self._device = info, device

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_info"], name)

    def default_device(self) -> Any:
        return self._device

    def default_dtypes(self, *, device: Any = None) -> Any:
        return self._info.default_dtypes(device=self._device if device is None else device)

    def dtypes(self, *, device: Any = None, kind: Any = None) -> Any:
        return self._info.dtypes(device=self._device if device is None else device, kind=kind)


def pass_device(create: Callable[..., Any], device: Any) -> Callable[..., Any]:
    """Bind a function that takes its device by keyword."""
    default = device

    def run(*args: Any, device: Any = None, **keywords: Any) -> Any:
        if device is None and not any(keywords.get(place) is not None for place in _PLACES):
            device = default
        return create(*args, **(keywords if device is None else {"device": device, **keywords}))

    return run


def _keep_arrays(create: Callable[..., Any], bound: Callable[..., Any]) -> Callable[..., Any]:
    """Leave arrays of a library where they are, unless the call says a device."""

    def run(*args: Any, **keywords: Any) -> Any:
        stays = args and keywords.get("device") is None and is_library_array(args[0])
        return (create if stays else bound)(*args, **keywords)

    return run


def _takes_device(create: Callable[..., Any]) -> bool:
    try:
        return "device" in signature(create).parameters
    except ValueError:  # those of PyTorch that are compiled say nothing, and take it
        return True


def _imitate(run: Callable[..., Any], create: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the name, the description and the signature of another."""
    update_wrapper(run, create)
    return run


def _fft_of(xp: ModuleType) -> Any:
    return xp.fft
