"""What an array is: a field of numbers, in which dtypes it is computed, its way home."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays.libraries import (
    dtype_name,
    is_library_array,
    library_of,
    namespace_of,
    real_floats,
    refuse_strangers,
    row_of,
)
from gpugrad._arrays.strange import (
    as_regular,
    convert_objects,
    describe_failure,
    find_cure,
    refuse_datasets,
    refuse_sparse,
    refuse_tables,
)
from gpugrad._arrays.typing import Array

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_INEXACT = ("float32", "float64", "complex64", "complex128")
_REAL_PARTS = {"complex64": "float32", "complex128": "float64", "complex256": "longdouble"}
HALF_PRECISION = ("float16", "bfloat16")


class BackendError(RuntimeError):
    """A backend that is requested by name can't run. The message has the reason and the cure.

    No other backend is used instead, so a script that names a backend never runs on another one
    unnoticed.

    Parameters
    ----------
    message : str, optional
        The whole message, as it is printed.
    reason : str, optional
        The reason why the backend can't run.
    cure : str, optional
        What to do about it.

    See Also
    --------
    use_backend : Chooses a backend.
    explain : Tells in advance which backend a call uses, and why.

    Examples
    --------
    NumPy's backend can't differentiate dates:

    >>> import numpy as np
    >>> import gpugrad
    >>> f = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
    >>> try:
    ...     gpugrad.gradient(f, backend="numpy")
    ... except gpugrad.BackendError as error:
    ...     print(error.reason)
    ...     print(error.cure)
    it takes integers, real and complex floats, and `f` is datetime64[D]
    Use backend="auto".
    """

    __module__ = "gpugrad"

    reason: str
    cure: str

    def __init__(self, message: str = "", reason: str = "", cure: str = "") -> None:
        super().__init__(message)
        self.reason, self.cure = reason, cure


class GpugradWarning(UserWarning):
    """A call does what it was asked to do, but this may not be what was intended.

    All warnings of gpugrad belong to this class, so that one filter selects them. Warnings that
    NumPy raises, for example about overflow, are RuntimeWarning as usual.

    See Also
    --------
    BackendError : Raised if a requested backend can't run.
    gradient : Warns if coordinates both increase and decrease.

    Examples
    --------
    Differentiate in the given order, although the coordinates are not sorted, without a warning:

    >>> import warnings
    >>> import gpugrad
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", gpugrad.GpugradWarning)
    ...     gpugrad.gradient([0.0, 1.0, 4.0], [0.0, 2.0, 1.0])
    array([ 0.5, -6.5, -3. ])
    """

    __module__ = "gpugrad"


_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")

_is_silent: ContextVar[bool] = ContextVar("gpugrad_is_silent", default=False)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep our own warnings to ourselves, in this thread: filters of Python are for all of them."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


def warn_caller(message: str, category: type[Warning] = GpugradWarning) -> None:
    """Warn the user, at the line of theirs that led here."""
    if category is GpugradWarning and _is_silent.get():
        return
    frame, level = sys._getframe(1), 2
    # By the file, as our code may run in a function of another module: see `patch_numpy`.
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def has_plain_type(x: Array) -> bool:
    """Tell whether an array is no tensor of a subclass, whose results only PyTorch can make."""
    if isinstance(x, np.ndarray) or not array_api_compat.is_torch_array(x):
        return True
    torch = sys.modules["torch"]
    return type(x) in (torch.Tensor, torch.nn.Parameter)


def is_unmasked_subclass(f: Array) -> bool:
    """Tell whether an array is of a subclass of NumPy's that is no masked array."""
    return (
        type(f) is not np.ndarray  # spares plain arrays the import of numpy.ma
        and isinstance(f, np.ndarray)
        and not isinstance(f, np.ma.MaskedArray)
    )


def wrap_like(f: Array, values: Array) -> Array:
    """Return plain values of a library as an array of the class of `f`, where it is a subclass."""
    if is_unmasked_subclass(f):
        if values.ndim > 2 and isinstance(f, np.matrix):  # which has two axes
            return values
        return np.ndarray.__array_wrap__(f, values)
    return values if has_plain_type(f) else values.as_subclass(type(f))


def working_dtype(xp: ModuleType, f: Array) -> Any:
    """Return the dtype in which samples of `f` are subtracted.

    Integers would wrap around, half precision would overflow where the answer fits; a date is
    the time since an epoch.
    """
    name = dtype_name(f.dtype)
    if name in _INTEGERS:
        return widest_float(xp, f)
    if name in HALF_PRECISION:
        return xp.float32
    return time_span(f.dtype)


def result_dtype(xp: ModuleType, f: Array, is_norm: bool = False) -> Any:
    """Return the dtype of a derivative of `f`: its own, but a float for integers and objects.

    That of a norm is real.
    """
    name = dtype_name(f.dtype)
    if name in _INTEGERS:
        return widest_float(xp, f)
    if is_norm and name.startswith("complex"):
        if isinstance(f.dtype, np.dtype):
            return np.empty(0, f.dtype).real.dtype  # in the same order of bytes
        return getattr(xp, _REAL_PARTS[name])
    return np.dtype(np.float64) if name == "object" else time_span(f.dtype)


def time_span(dtype: Any) -> Any:
    """Return timedelta64 of the same unit for a dtype of dates, any other dtype as it is."""
    if isinstance(dtype, np.dtype) and dtype.kind == "M":
        return np.dtype(dtype.str.replace("M8", "m8"))
    return dtype


def widest_float(xp: ModuleType, f: Array) -> Any:
    """Return float64 where the library and the device of `f` have it, else float32."""
    if isinstance(f, np.ndarray):
        return np.dtype(np.float64)
    available = real_floats(xp, f)
    return available.get("float64", available["float32"])


def as_field(f: Any) -> Array:
    """Return `f` as an array of its own library; sequences of numbers become NumPy arrays.

    Raises
    ------
    TypeError
        If `f` is no array of numbers: None, text, a mapping, a function, booleans.
    ValueError
        If `f` has no axis to differentiate along.
    """
    is_plain = type(f) is np.ndarray or type(f).__module__ == "cupy"
    if is_plain and f.dtype.kind in "fiuc" and f.ndim:
        return f  # most calls, and the ones that feel a microsecond
    if not is_library_array(f):
        f = _as_numpy_field(f)
        kind = f.dtype.kind
        if kind == "O":
            f = convert_objects(f)
        differentiable = kind in "iufcmMO" or dtype_name(f.dtype) in HALF_PRECISION
    else:
        refuse_sparse(f, "`f`")
        differentiable = dtype_name(f.dtype) in (*_INTEGERS, *_INEXACT, *HALF_PRECISION)
        if array_api_compat.is_dask_array(f):  # NumPy inside, extended precision with it
            differentiable = differentiable or f.dtype.kind in "fc"
    if not differentiable:
        name, cure = find_cure(f.dtype, dtype_name(f.dtype))
        raise TypeError(
            f"`f` must hold integers, real or complex floats (or dates, on NumPy); "
            f"got {name}. {cure}"
        )
    if f.ndim == 0:
        raise ValueError(
            "`f` must have at least one axis; got a 0-d array or a single number. "
            "Pass the samples of a function, not one value of it."
        )
    return f


_PLAIN_VALUES = {"xarray": ".data", "pint": ".magnitude", "astropy": ".value", "unyt": ".value"}
"""Which attribute has the bare array."""


def refuse_labels(x: Any, what: str) -> None:
    """Raise TypeError where names or units would be lost in silence, or samples are not there."""
    if type(x) in PLAIN:
        return
    refuse_sparse(x, what)
    name = library_of_labels(x)
    if name and name != "pandas":
        raise TypeError(
            f"{what} must be an array without labels or units here; got a {type(x).__name__} of "
            f"{name}, which would lose them. Pass its `{_PLAIN_VALUES[name]}`."
        )


def _as_numpy_field(f: Any) -> np.ndarray[Any, Any]:
    """Convert a sequence, or anything with ``__array__``, as `numpy.gradient` would."""
    if isinstance(f, np.memmap):
        return f.view(np.ndarray)  # a file behind the memory changes nothing
    refuse_labels(f, "`f`")
    if isinstance(f, np.ndarray):
        return f
    refuse_tables(f, "`f`")
    if callable(f) and not hasattr(f, "__array__"):
        raise TypeError(
            f"`f` must be an array of samples; got the function {getattr(f, '__name__', f)!r}. "
            "Evaluate it first, as in `gradient(func(x), x)`."
        )
    refuse_strangers(f, "`f`")
    try:
        values: np.ndarray[Any, Any] | None = (
            None if isinstance(f, (str, bytes)) else convert_sequence(f)
        )
    except ValueError as error:
        raise ValueError(
            "`f` must be a regular array or a nested sequence of equal lengths; got "
            f"{describe_failure(error)} Pad the shorter ones with NaN, and pass `skipna=True`."
        ) from error
    except (IndexError, RuntimeError, TypeError):
        _refuse_arrays_in(f)
        raise
    if values is not None and values.dtype.kind == "O":
        _refuse_arrays_in(f)
    if values is None or (values.dtype.kind == "O" and values.ndim == 0):
        raise TypeError(
            f"`f` must be an array or a nested sequence of numbers; got {type(f).__name__}. "
            "Pass the samples of the field to differentiate."
        )
    return values


def convert_sequence(f: Any) -> np.ndarray[Any, Any]:
    """Convert anything but an array as NumPy does, but keep the masks of what is in a sequence."""
    # Who has no masked array has not loaded `numpy.ma`.
    masked = "numpy.ma" in sys.modules and isinstance(f, (list, tuple)) and _holds_masked(f)
    return _join_masked(f) if masked else np.asanyarray(f)


def _refuse_arrays_in(f: Any) -> None:
    """Raise TypeError for sequences of arrays that NumPy cannot join."""
    example = _find_library_array(f)
    if example is not None:
        library = library_of(example)
        raise TypeError(
            f"`f` must be one array; got a {type(f).__name__} of arrays of {library}, which do not "
            f"become NumPy's by themselves. Join them with the function `stack` of {library}."
        )


def _find_library_array(x: Any) -> Array | None:
    """Return an array of another library than NumPy in nested sequences, or None."""
    if not isinstance(x, (list, tuple)):
        return x if is_library_array(x) else None
    entries = (_find_library_array(entry) for entry in x)
    return next((entry for entry in entries if entry is not None), None)


def _holds_masked(f: list[Any] | tuple[Any, ...]) -> bool:
    return any(
        isinstance(entry, np.ma.MaskedArray)
        or (isinstance(entry, (list, tuple)) and _holds_masked(entry))
        for entry in f
    )


def _join_masked(f: Any) -> np.ndarray[Any, Any]:
    if isinstance(f, (list, tuple)):
        return np.ma.stack([_join_masked(entry) for entry in f])
    return np.asanyarray(f)


def assign(targets: Iterable[Array], results: Iterable[Array]) -> None:
    """Copy results into arrays of the same library, rounding to their dtypes."""
    for target, result in zip(targets, results, strict=True):
        if isinstance(target, np.ndarray):
            target[...] = result
        else:
            target[...] = namespace_of(target).astype(result, target.dtype)


_WAYS_HOME = ("asnumpy", "todense")
"""Methods that bring an array home: of dpnp and MXNet, and of sparse arrays."""


def asnumpy(x: Any) -> np.ndarray[Any, Any]:
    """Return an array of any library as a NumPy array in host memory.

    Use it as the last step of a workflow that runs on any library, to plot, to save or to compare
    results.

    Parameters
    ----------
    x : array or sequence
        An array of NumPy, CuPy, PyTorch, JAX, Dask or any other library that follows the array API,
        a DataArray of xarray that holds such an array, or an array of a library whose arrays have a
        method that returns a NumPy array (``asnumpy``, ``todense``). A Dask array is computed, an
        array on a GPU is copied to the host (in both cases the call waits), and a tensor that takes
        part in automatic differentiation is detached.

    Returns
    -------
    numpy.ndarray
        The values, with the same shape and dtype, in memory that is shared with `x` where that is
        possible. NumPy has no bfloat16; bfloat16 becomes float32, which is exact.

    Raises
    ------
    TypeError
        If `x` has no values: a JAX tracer, text, or an object that is not an array.

    See Also
    --------
    namespace : The functions of a library, to create arrays of the library.
    gradient : Returns arrays of the library of the field.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.asnumpy([1.0, 4.0, 9.0])
    array([1., 4., 9.])
    """
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, (str, bytes)):
        raise TypeError(f"`x` must be an array or a sequence; got the text {x!r:.40}.")
    if not isinstance(x, np.generic):
        for name in _WAYS_HOME:
            bring_home = getattr(x, name, None)
            # A class has its methods too, and they bring nothing home.
            if callable(bring_home) and not isinstance(x, type):
                return np.asarray(bring_home())
    if not is_library_array(x):
        refuse_datasets(x, "`x`")
        inside = getattr(x, "data", None)  # of a DataArray, which NumPy asks for what it can't read
        if is_library_array(inside) and not isinstance(inside, np.ndarray):
            return asnumpy(inside)
        try:
            values = as_regular(x, "`x`")
        except (IndexError, RuntimeError, TypeError):
            if _find_library_array(x) is None:
                raise
            return _bring_sequence_home(x)
        if values.dtype.kind == "O" and _find_library_array(x) is not None:
            return _bring_sequence_home(x)
        if values.dtype.kind == "O" and values.ndim == 0:
            raise TypeError(f"`x` must be an array or a sequence; got {type(x).__name__}.")
        return values
    home = row_of(x).bring_home(x)
    values = home if isinstance(home, np.ndarray) else asnumpy(home)
    return values.astype(np.float32) if dtype_name(values.dtype) == "bfloat16" else values


def _bring_sequence_home(x: Any) -> np.ndarray[Any, Any]:
    """Bring arrays in a sequence home one by one, where NumPy cannot read them."""
    return as_regular([asnumpy(entry) for entry in x], "`x`")


PLAIN = frozenset({np.ndarray, float, int, np.float64, np.float32, str, bool, type(None)})


def library_of_labels(x: Any) -> str | None:
    """Return the library of labels or units that `x` is of, or None.

    It is "xarray", "pint", "astropy", "unyt" or "pandas"; of a sequence, the one of its first
    entry. Of pandas, tables and their columns have labels.
    """
    while isinstance(x, (tuple, list)) and x:
        x = x[0]
    cls: Any = type(x)
    if cls in PLAIN:
        return None
    name = _library_of_class(cls)
    if name == "astropy" and getattr(x, "unit", True) is None:
        return None  # a column of a table that has none
    return name


_UNITS_OF_ASTROPY = {"Quantity", "UnitBase", "FunctionUnitBase", "BaseColumn", "NDData"}
"""Classes of astropy that have units; others, as its masked arrays, may have none."""


@lru_cache(maxsize=256)
def _library_of_class(cls: type) -> str | None:
    # By name: whoever has no such array should not have to import their libraries.
    roots = {base.__module__.partition(".")[0] for base in cls.__mro__}
    if "xarray" in roots and "pandas" in roots:
        return None  # an index of dates
    for name in ("xarray", "pint", "unyt"):
        if name in roots:
            return name
    if "pandas" in roots:
        return "pandas" if hasattr(cls, "iloc") else None
    names = {base.__name__ for base in cls.__mro__ if base.__module__.startswith("astropy.")}
    return None if names.isdisjoint(_UNITS_OF_ASTROPY) else "astropy"
