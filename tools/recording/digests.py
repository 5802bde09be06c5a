"""What a result is, as text: types, dtypes, shapes, orders of memory, and digests of the bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

SEPARATOR = " | "
"""Stands between the parts of the text of an array."""

_SCRUBBED = [
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0x..."),
    (re.compile(r"\b\d+\.\d+ s\b"), "... s"),
    (re.compile(r"(?<![\w.])(?:/[\w.+-]+)+/(?=[\w.+-])"), ".../"),
]
"""Addresses, times and folders differ from run to run, and from machine to machine."""


def scrub(text: str) -> str:
    """Return a text without what depends on the machine and the moment."""
    for pattern, replacement in _SCRUBBED:
        text = pattern.sub(replacement, text)
    return text


def describe(x: Any) -> Any:
    """Return a result as nested lists, dicts and texts, which say all that a user can see of it."""
    if x is None or isinstance(x, (bool, int, np.bool_)):
        return repr(x)
    if isinstance(x, str):
        return scrub(x)
    if isinstance(x, (float, complex, np.generic)):
        return f"{type(x).__name__} {_canonical(x)}"
    if isinstance(x, np.ndarray):
        return _describe_numpy(x)
    root = type(x).__module__.partition(".")[0]
    if root in _OF_LIBRARIES:
        return _OF_LIBRARIES[root](x)
    if isinstance(x, (tuple, list)):
        return _describe_sequence(x)
    if isinstance(x, dict):
        return {str(describe(key)): describe(value) for key, value in x.items()}
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return _describe_record(x)
    if isinstance(x, (Fraction, Path)):
        return scrub(f"{type(x).__name__} {x}")
    if isinstance(x, ModuleType):
        return f"module {x.__name__}"
    return scrub(f"{type(x).__name__} {x!r}")


def digest(data: bytes) -> str:
    """Return a text that stands for some bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def bytes_of(x: np.ndarray[Any, Any]) -> bytes:
    """Return the values of an array in C order; each NaN is the same, and so is each padding."""
    kind = x.dtype.kind
    if kind == "O":
        return "\n".join(f"{type(one).__name__} {one!r}" for one in x.ravel().tolist()).encode()
    if x.dtype.name == "bfloat16":
        x, kind = x.astype(np.float32), "f"
    if kind not in "fc":
        return x.tobytes()
    values = np.array(x, order="C", subok=False).reshape(-1)
    parts = values.view(values.real.dtype)
    parts[np.isnan(parts)] = np.nan
    if np.finfo(parts.dtype).nmant != 63:
        return parts.tobytes()
    # Extended precision has 10 bytes; what fills them up to 16 is left over from other numbers.
    return parts.view(np.uint8).reshape(-1, parts.itemsize)[:, :10].tobytes()


def order_of(x: np.ndarray[Any, Any]) -> str:
    """Name the order of an array in memory: C, F, both, or the axes from the slowest one on."""
    order = ("C" if x.flags.c_contiguous else "") + ("F" if x.flags.f_contiguous else "")
    if not order:
        axes = sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))
        order = "K" + ",".join(f"{'-' if x.strides[axis] < 0 else ''}{axis}" for axis in axes)
    return order + ("" if x.flags.writeable else " read-only")


def _canonical(x: Any) -> str:
    return "nan" if x != x and not isinstance(x, (complex, np.complexfloating)) else str(x)


def _array(name: str, dtype: Any, shape: Any, order: str, data: bytes) -> str:
    size = "x".join(map(str, shape)) or "0-d"
    return SEPARATOR.join((name, str(dtype), size, order, digest(data)))


def _describe_numpy(x: np.ndarray[Any, Any]) -> Any:
    name, dtype = type(x).__name__, x.dtype.str if x.dtype.kind != "V" else x.dtype.name
    if not isinstance(x, np.ma.MaskedArray):
        return _array(name, dtype, x.shape, order_of(x), bytes_of(x))
    # What stands under a mask means nothing.
    mask = np.ma.getmaskarray(x)
    values = np.where(mask, np.zeros((), x.dtype), np.ma.getdata(x)).astype(x.dtype)
    return {
        "values": _array(name, dtype, x.shape, order_of(np.ma.getdata(x)), bytes_of(values)),
        "mask": "no mask" if x.mask is np.ma.nomask else _describe_numpy(np.asarray(mask)),
        "fill_value": describe(x.fill_value),
    }


def _describe_sequence(x: Any) -> Any:
    fields = getattr(x, "_fields", None)
    if fields is not None:
        parts = {name: describe(getattr(x, name)) for name in fields}
        return {type(x).__name__: parts}
    return {type(x).__name__: [describe(part) for part in x]}


def _describe_record(x: Any) -> Any:
    names = [f.name for f in dataclasses.fields(x) if not f.name.startswith("_")]
    described = {name: describe(getattr(x, name)) for name in names}
    if "__str__" in vars(type(x)):
        described["str"] = scrub(str(x))
    return {type(x).__name__: described}


def _describe_jax(x: Any) -> Any:
    if not hasattr(x, "addressable_data"):
        return scrub(f"{type(x).__name__} {x!r}")
    weak = " weak" if x.weak_type else ""
    return _array(f"jax.Array{weak}", x.dtype, x.shape, "-", bytes_of(np.asarray(x)))


def _describe_torch(x: Any) -> Any:
    grad = " requires_grad" if x.requires_grad else ""
    values = x.detach()
    if str(x.dtype) == "torch.bfloat16":
        values = values.float()
    strides = ",".join(map(str, x.stride()))
    dtype = str(x.dtype).removeprefix("torch.")
    return _array(f"torch.Tensor{grad}", dtype, x.shape, strides, bytes_of(values.numpy()))


def _describe_strict(x: Any) -> Any:
    if not hasattr(x, "dtype"):
        return scrub(f"{type(x).__name__} {x!r}")
    return _array("array_api_strict", x.dtype, x.shape, str(x.device), bytes_of(np.asarray(x)))


def _describe_dask(x: Any) -> Any:
    values = x.compute(scheduler="synchronous")
    meta = type(x._meta).__name__
    return {f"dask of {meta}, {x.dtype}, chunks {x.chunks}": describe(values)}


def _describe_xarray(x: Any) -> Any:
    described: dict[str, Any] = {"type": type(x).__name__, "attrs": _attributes(x)}
    if hasattr(x, "data_vars"):
        described["variables"] = {str(name): describe(x[name]) for name in x.data_vars}
        described["coordinates"] = {str(name): _describe_variable(x[name]) for name in x.coords}
        return described
    described.update(name=repr(x.name), dims=repr(x.dims), values=describe(x.data))
    described["coordinates"] = {str(name): _describe_variable(x[name]) for name in x.coords}
    return described


def _describe_variable(x: Any) -> Any:
    return {"dims": repr(x.dims), "attrs": _attributes(x), "values": describe(x.data)}


def _attributes(x: Any) -> Any:
    return {str(name): describe(value) for name, value in x.attrs.items()}


def _describe_pint(x: Any) -> Any:
    if not hasattr(x, "magnitude"):
        return f"{type(x).__name__} {x!s}"
    return {f"Quantity in {x.units!s}": describe(x.magnitude)}


def _describe_scipy(x: Any) -> Any:
    if not hasattr(x, "format"):
        return scrub(f"{type(x).__name__} {x!r}")
    if x.format not in ("csr", "csc", "bsr"):
        x_csr = x.tocsr()
        return {f"{type(x).__name__} {x.shape} of {x.format}": _describe_scipy(x_csr)}
    parts = {name: describe(getattr(x, name)) for name in ("data", "indices", "indptr")}
    return {f"{type(x).__name__} {x.shape}": parts}


def _describe_sympy(x: Any) -> Any:
    return f"sympy {x!s}"


_OF_LIBRARIES = {
    "jax": _describe_jax,
    "jaxlib": _describe_jax,
    "torch": _describe_torch,
    "array_api_strict": _describe_strict,
    "dask": _describe_dask,
    "xarray": _describe_xarray,
    "pint": _describe_pint,
    "scipy": _describe_scipy,
    "sympy": _describe_sympy,
}
