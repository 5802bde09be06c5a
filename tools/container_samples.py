"""Samples of a field in every container that users have their numbers in.

`CONTAINERS` says how each is made of a plain array of whole numbers. `kind_of` names what comes
back, and `bring_home` reads its numbers, so that a table of both can be checked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

CURVE = np.array([0, 3, 9, 4, -2, -7, 1, 8, 20, 15, 11, 12], np.float64)
FIELD = CURVE[:, None] + np.array([5, 2, -1, 3, 8, 4, 0, 1, 2], np.float64)
"""Whole numbers, which all dtypes can hold; a curve turns, and a field has saddles and tops."""


class Container(NamedTuple):
    """How samples are put into a container.

    `make` takes an array of float64, for which it needs a `library`. `is_flat` says that there is
    one axis at most. `has_numbers` says that results must be those of a plain array.
    """

    make: Callable[[Any], Any]
    library: str = "numpy"
    is_flat: bool = False
    has_numbers: bool = True


class Plain(np.ndarray[Any, Any]):
    """A subclass of NumPy's array that adds nothing."""


def _masked(f: Any) -> Any:
    mask = np.zeros(f.shape, bool)
    mask[tuple(n // 2 for n in f.shape)] = True
    return np.ma.array(f, mask=mask)


def _memory_map(f: Any) -> Any:
    path = Path(tempfile.mkdtemp(prefix="gpugrad-")) / "f.npy"
    np.save(path, f)
    mapped = np.load(path, mmap_mode="r")
    path.unlink()
    path.parent.rmdir()
    return mapped


def _read_only(f: Any) -> Any:
    f = f.copy()
    f.flags.writeable = False
    return f


def _objects(make: Callable[[float], Any]) -> Callable[[Any], Any]:
    return lambda f: np.array([make(x) for x in f.ravel()] + [None], object)[:-1].reshape(f.shape)


def _with_none(f: Any) -> Any:
    objects = f.astype(object)
    objects[tuple(n // 2 for n in f.shape)] = None
    return objects


def _ragged(f: Any) -> Any:
    rows = [[*row] for row in np.atleast_2d(f)]
    return [*rows, rows[0][:-1]]


def _structured(f: Any) -> Any:
    records = np.zeros(f.shape, [("t", "f8"), ("u", "f8")])
    records["t"] = f
    return records


def _torch(f: Any) -> Any:
    return import_module("torch").tensor(f)


@cache
def _torch_subclass() -> Any:
    torch = import_module("torch")
    return type("Tensor", (torch.Tensor,), {})


def _conjugate(f: Any) -> Any:
    torch = import_module("torch")
    return torch.conj(torch.tensor(f).to(torch.complex128))


def _nested(f: Any) -> Any:
    torch = import_module("torch")
    rows = [torch.tensor(row) for row in np.atleast_2d(f)]
    return torch.nested.nested_tensor(rows, layout=torch.jagged)


def _jax(f: Any) -> Any:
    return import_module("jax").numpy.asarray(f)


def _dask(f: Any) -> Any:
    return import_module("dask.array").from_array(f, chunks=6)


def _data_array(f: Any) -> Any:
    names = ("x", "y")[: np.ndim(f)]
    return import_module("xarray").DataArray(f, dims=names, name="T")


def _data_tree(f: Any) -> Any:
    return import_module("xarray").DataTree(_data_array(f).to_dataset())


@cache
def _registry() -> Any:
    return import_module("pint").UnitRegistry()


def _pint(f: Any) -> Any:
    return _registry().Quantity(f, "K")


def _pandas(name: str, **options: Any) -> Callable[[Any], Any]:
    return lambda f: getattr(import_module("pandas"), name)(f, **options)


def _nullable(f: Any) -> Any:
    return import_module("pandas").Series(f, dtype="Float64")


def _with_na(f: Any) -> Any:
    series = _nullable(f)
    series[len(f) // 2] = None
    return series


CONTAINERS = {
    "plain array": Container(lambda f: f.copy()),
    "list": Container(lambda f: f.tolist()),
    "tuple": Container(lambda f: (*map(tuple, f.tolist()),) if f.ndim > 1 else (*f.tolist(),)),
    "masked array": Container(_masked),
    "subclass of ndarray": Container(lambda f: f.view(Plain)),
    "`numpy.matrix`": Container(lambda f: np.asmatrix(f), is_flat=False),
    "memory map": Container(_memory_map),
    "read-only array": Container(_read_only),
    "Fortran order": Container(np.asfortranarray),
    "big-endian": Container(lambda f: f.astype(">f8")),
    "integers": Container(lambda f: f.astype(np.int16)),
    "float16": Container(lambda f: f.astype(np.float16)),
    "bfloat16 (ml_dtypes)": Container(
        lambda f: f.astype(import_module("ml_dtypes").bfloat16), "ml_dtypes"
    ),
    "float8 (ml_dtypes)": Container(
        lambda f: f.astype(import_module("ml_dtypes").float8_e4m3fn), "ml_dtypes", has_numbers=False
    ),
    "longdouble": Container(lambda f: f.astype(np.longdouble)),
    "complex128": Container(lambda f: f.astype(np.complex128)),
    "booleans": Container(lambda f: f > 0, has_numbers=False),
    "dates (`datetime64`)": Container(lambda f: np.datetime64("2024-01-01") + f.astype("m8[D]")),
    "durations (`timedelta64`)": Container(lambda f: f.astype("m8[h]")),
    "0-d array": Container(lambda f: f.ravel()[0].reshape(()), has_numbers=False),
    "empty array": Container(lambda f: f[:0], has_numbers=False),
    "objects: floats": Container(lambda f: f.astype(object)),
    "objects: `Fraction`": Container(_objects(lambda x: Fraction(int(x)))),
    "objects: `Decimal`": Container(_objects(lambda x: Decimal(int(x)))),
    "objects with None": Container(_with_none, has_numbers=False),
    "list with None": Container(lambda f: _with_none(f).tolist(), has_numbers=False),
    "text": Container(lambda f: f.astype(str), has_numbers=False),
    "list of text": Container(lambda f: f.astype(str).tolist(), has_numbers=False),
    "ragged list": Container(_ragged, has_numbers=False),
    "structured array": Container(_structured, has_numbers=False),
    "PyTorch tensor": Container(_torch, "torch"),
    "PyTorch subclass": Container(lambda f: _torch(f).as_subclass(_torch_subclass()), "torch"),
    "PyTorch conjugate view": Container(_conjugate, "torch"),
    "PyTorch sparse": Container(lambda f: _torch(f).to_sparse(), "torch", has_numbers=False),
    "PyTorch nested": Container(_nested, "torch", has_numbers=False),
    "JAX array": Container(_jax, "jax"),
    "JAX BCOO": Container(
        lambda f: import_module("jax.experimental.sparse").BCOO.fromdense(f),
        "jax",
        has_numbers=False,
    ),
    "Dask array": Container(_dask, "dask"),
    "`sparse.COO`": Container(lambda f: import_module("sparse").COO.from_numpy(f), "sparse"),
    "`scipy.sparse`": Container(
        lambda f: import_module("scipy.sparse").csr_array(np.atleast_2d(f)),
        "scipy",
        has_numbers=False,
    ),
    "astropy Quantity": Container(
        lambda f: import_module("astropy.units").Quantity(f, "K"), "astropy"
    ),
    "unyt array": Container(lambda f: import_module("unyt").unyt_array(f, "K"), "unyt"),
    "pint, own registry": Container(_pint, "pint"),
    "pint, application registry": Container(
        lambda f: import_module("pint").Quantity(f, "K"), "pint"
    ),
    "DataArray": Container(_data_array, "xarray"),
    "DataArray of Dask": Container(lambda f: _data_array(_dask(f)), "xarray"),
    "DataArray of pint": Container(lambda f: _data_array(_pint(f)), "xarray"),
    "xarray Variable": Container(lambda f: _data_array(f).variable, "xarray", has_numbers=False),
    "Dataset": Container(lambda f: _data_array(f).to_dataset(), "xarray", has_numbers=False),
    "DataTree": Container(_data_tree, "xarray", has_numbers=False),
    "pandas Series": Container(_pandas("Series"), "pandas", True),
    "pandas Series of nullable floats": Container(_nullable, "pandas", True),
    "pandas Series with NA": Container(_with_na, "pandas", True),
    "pandas DataFrame": Container(_pandas("DataFrame"), "pandas"),
    "pandas Index": Container(_pandas("Index"), "pandas", True),
    "polars Series": Container(lambda f: import_module("polars").Series(f), "polars", True),
    "polars DataFrame": Container(
        lambda f: import_module("polars").DataFrame(f), "polars"
    ),
    "`array.array`": Container(
        lambda f: import_module("array").array("d", f), is_flat=True
    ),
}  # fmt: skip
"""Every container, and how it is made."""


def kind_of_container(x: Any) -> str:
    """Name a container as `kind_of` names results."""
    if isinstance(x, (list, tuple)):
        return type(x).__name__
    return kind_of(x)


def kind_of(x: Any) -> str:
    """Name the container of a result: its type, and its dtype where it is not float64."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        kinds = [*dict.fromkeys(map(kind_of, x))]
        return " and ".join(kinds)
    if hasattr(x, "value") and hasattr(x, "position"):  # points: their values are of the field
        return kind_of(x.value)
    if hasattr(x, "_fields"):
        return kind_of(x[0])
    name, root = type(x).__name__, type(x).__module__.partition(".")[0]
    if isinstance(x, (float, complex, np.generic)) and not isinstance(x, (np.void, np.str_)):
        return "number"
    if root == "numpy" and name == "ndarray":
        is_fortran = x.flags.f_contiguous and not x.flags.c_contiguous
        return ("Fortran-ordered " if is_fortran else "") + _spell_dtype(x.dtype) + "array"
    if root == "array":
        return "array.array"
    if root in ("astropy", "pint", "unyt"):
        return f"{name} of {root}"
    inner = getattr(x, "_data", None) if root == "xarray" else None
    if inner is not None:
        inner = x.data
        return name if type(inner) is np.ndarray else f"{name} of {kind_of(inner)}"
    if root == "xarray":
        data = getattr(x, "data", None)
        plain = data is None or type(data) is np.ndarray
        return name if plain else f"{name} of {kind_of(data)}"
    names = {"torch": "tensor", "jaxlib": "JAX array", "dask": "Dask array"}
    dtype = getattr(x, "dtype", None)
    if root in names and name in ("Tensor", "ArrayImpl", "Array"):
        return _spell_dtype(dtype) + names[root]
    if isinstance(x, np.ndarray) or root in ("pandas", "sparse", "torch"):
        return f"{_spell_dtype(dtype)}{name}"
    return name


def _spell_dtype(dtype: Any) -> str:
    if dtype is None:
        return ""
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return f"{dtype.name.partition('[')[0]} "
    name = dtype.name if hasattr(dtype, "name") else str(dtype).rpartition(".")[2]
    order = getattr(dtype, "byteorder", "=")
    if order in "<>" and order != "=" and np.dtype(dtype).newbyteorder("=") != dtype:
        return f"big-endian {'' if name == 'float64' else name + ' '}"
    return "" if name == "float64" else f"{name} "


def bring_home(x: Any) -> Any:
    """Return the numbers of a result as an array of float64, NaN where they are masked."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "_fields"):
        return np.stack([bring_home(entry) for entry in x])
    if hasattr(x, "dims"):
        return bring_home(x.data)
    if hasattr(x, "value") and hasattr(x, "position"):
        return bring_home(x.value)
    if hasattr(x, "_fields"):
        return bring_home(x[0])
    for name in ("magnitude", "to_numpy", "todense", "compute"):
        if hasattr(x, name) and not isinstance(x, np.ndarray):
            bring = getattr(x, name)
            return bring_home(bring() if callable(bring) else bring)
    if hasattr(x, "resolve_conj"):
        x = x if "strided" in str(x.layout) else x.to_dense()
        x = x.detach().resolve_conj().cpu()
        x = x.numpy() if "bfloat16" not in str(x.dtype) else x.float().numpy()
    if isinstance(x, np.ma.MaskedArray):
        return np.ma.filled(x.astype(np.float64), np.nan)
    x = np.asarray(x)
    if x.dtype.kind in "mM":
        unit = np.datetime_data(x.dtype)[0]
        return x.astype(np.int64).astype(np.float64) if unit else x
    return (x.real if x.dtype.kind == "c" else x).astype(np.float64)
