"""What is no array of numbers: objects that become numbers, and all that is refused with a cure."""

from __future__ import annotations

import datetime
import sys
from numbers import Complex, Real
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays.typing import NumpyArray

_AS_FLOATS = "Convert it first, as in `numpy.asarray(f, dtype=float)`."

_CURES = {
    "b": "Convert it first, for example to float32 or int8.",
    "U": _AS_FLOATS,
    "S": _AS_FLOATS,
    "T": _AS_FLOATS,
}
"""What to do about a field of NumPy, by the kind of its dtype."""

_MISSING = (
    "Make what is missing NaN, as in `numpy.asarray(f, dtype=float)`, and pass `skipna=True`."
)


def find_cure(dtype: Any, name: str) -> tuple[str, str]:
    """Describe a dtype that has no derivatives, with its `name`, and say what to do about it."""
    if getattr(dtype, "names", None):
        names = dtype.names
        return f"records of {', '.join(names)}", f"Pick one of them, as in `f[{names[0]!r}]`."
    kind = getattr(dtype, "kind", "") or name[:1]
    described = "text" if kind in ("U", "S", "T") else f"dtype {name}"
    return described, _CURES.get(kind, "Convert it to one of these first.")


def describe_failure(error: Exception) -> str:
    """Return the text of an error as the end of a sentence."""
    return f"{error}".rstrip(".") + "."


def as_regular(x: Any, what: str) -> NumpyArray:
    """Return a sequence as an array of NumPy.

    Raises
    ------
    ValueError
        If its rows are of unequal lengths, or values are masked.
    """
    if type(x) is not np.ndarray and isinstance(x, np.ndarray) and np.ma.is_masked(x):
        raise ValueError(
            f"{what} must have no masked values; got {np.ma.getmaskarray(x).sum()} of them. Fill "
            "them, as in `x.filled(numpy.nan)`, or leave them out, as in `x.compressed()`."
        )
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ValueError(
            f"{what} must be a regular array or a nested sequence of equal lengths; got "
            f"{describe_failure(error)} Pass its parts one by one."
        ) from error


def convert_objects(x: NumpyArray) -> NumpyArray:
    """Return an array of objects that can be mixed with floats; refuse what is no number.

    Objects become floats in the end. Only those that do not mix with floats, as `decimal.Decimal`,
    and masked ones are converted at once: the others keep NumPy's bits.

    Raises
    ------
    TypeError
        If one of the objects is no real number.
    """
    objects = x.compressed() if isinstance(x, np.ma.MaskedArray) else np.asarray(x).ravel()
    types = {*map(type, objects)}
    strange = [kind for kind in types if not _is_real(kind)]
    if not strange:
        if isinstance(x, np.ma.MaskedArray):  # whose divisions look for what is finite
            mask = np.ma.getmaskarray(x)
            return np.ma.array(np.where(mask, 0, x.data).astype(np.float64), mask=mask)
        return x if all(issubclass(kind, Real) for kind in types) else x.astype(np.float64)
    example = next(entry for entry in objects if type(entry) in strange)
    raise TypeError(
        f"`f` must hold numbers; got objects such as {example!r:.40}, of type "
        f"{type(example).__name__}. {_find_cure_of_object(example)}"
    )


def _is_real(kind: type) -> bool:
    """Tell whether objects of a type are numbers that become floats."""
    return issubclass(kind, (Real, np.bool_)) or kind.__module__ in ("decimal", "_pydecimal")


def _find_cure_of_object(example: Any) -> str:
    if example is None:
        return _MISSING
    if type(example).__name__ in ("NAType", "NaTType"):
        return "Make what is missing NaN, and pass `skipna=True`."
    if isinstance(example, (datetime.date, datetime.timedelta)):
        dtype = "timedelta64" if isinstance(example, datetime.timedelta) else "datetime64"
        return f'Pass times of NumPy, as in `numpy.asarray(f, dtype="{dtype}[us]")`.'
    if isinstance(example, Complex):
        return "Convert them first, as in `numpy.asarray(f, dtype=complex)`."
    return "Convert them first, as in `numpy.asarray(f, dtype=float)`."


def refuse_sparse(x: Any, what: str, is_sliced: bool = True) -> None:
    """Raise TypeError where an array does not hold all its samples, one beside the other.

    Arrays of the library sparse can be sliced and added up, which is enough for derivatives.
    """
    root = type(x).__module__
    if root.startswith("torch.masked"):  # its sums refuse masks that differ
        kind, cure = "MaskedTensor", "Pass `f.get_data()`, and `where=f.get_mask()`."
    elif array_api_compat.is_torch_array(x):
        if x.layout is sys.modules["torch"].strided and not x.is_nested:
            return
        if x.is_nested:
            kind, cure = "nested tensor", "Pass its tensors one by one: those of `f.unbind()`."
        else:
            kind, cure = f"tensor of layout {x.layout}", "Pass `f.to_dense()`."
    elif root.startswith("jax.experimental.sparse"):
        kind, cure = f"{type(x).__name__} of JAX", "Pass `f.todense()`."
    elif root.startswith("scipy.sparse"):
        kind, cure = f"{type(x).__name__} of SciPy", "Pass `f.toarray()`."
    elif root.startswith("sparse.") and not is_sliced:
        kind, cure = f"{type(x).__name__} of sparse", "Pass `f.todense()`."
    else:
        return
    raise TypeError(f"{what} must be dense, with all its samples; got a {kind}. {cure}")


def refuse_datasets(x: Any, what: str) -> None:
    """Raise TypeError where there are several variables of xarray for one array."""
    name = type(x).__name__
    if name in ("Dataset", "DataTree") and type(x).__module__.startswith("xarray"):
        names = ", ".join(map(str, x.data_vars)) or "none"
        pick = '["T"]' if name == "Dataset" else '["group/T"]'
        raise TypeError(
            f"{what} must be one variable of a {name}; got all of them: {names}. Pick one, "
            f"as in `x{pick}`."
        )


def refuse_tables(x: Any, what: str) -> None:
    """Raise TypeError where an index would be lost, or columns be taken for samples of an axis."""
    root, name = type(x).__module__.partition(".")[0], type(x).__name__
    if root == "pandas" and hasattr(x, "iloc"):
        raise TypeError(
            f"{what} must be an array without an index here; got a {name} of pandas. Pass its "
            "`.to_numpy()`."
        )
    if root in ("polars", "pyarrow") and name in ("DataFrame", "LazyFrame", "Table", "RecordBatch"):
        raise TypeError(
            f"{what} must be one column of a table; got a {name} of {root}. Pick one, as in "
            '`f["name"]`; to differentiate across the columns too, pass an array.'
        )
