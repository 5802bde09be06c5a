"""Samples of a function on a grid, made block by block on any library's device."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    asnumpy,
    dtype_name,
    is_library_array,
    library_of,
    namespace,
    namespace_of,
    place_of,
    refuse_labels,
    refuse_sparse,
    require_one_place,
    row_of,
    widest_float,
)
from gpugrad._functions.user_function import UserFunction, check_callable
from gpugrad._grids import read_numbers
from gpugrad._keywords import accepts_keywords

_MEMORY = 1 << 28
_CACHED = 1 << 22
_SECONDS_UNWATCHED = 2.0


class Table(NamedTuple):
    """A field and the 1-D coordinates of its axes: a pair ``(field, coordinates)``.

    It is returned by `tabulate`, and is differentiated by ``gradient(field, *coordinates)``.

    Parameters
    ----------
    field : array of shape (n_0, n_1, ...)
        The values of the function; the axes are in the order of the coordinates.
    coordinates : tuple of 1-D arrays
        The coordinates along each axis.

    See Also
    --------
    tabulate : Returns a table.

    Examples
    --------
    >>> import gpugrad
    >>> table = gpugrad.tabulate(lambda x, y: x * y, slice(0, 1, 3j), slice(0, 1, 5j))
    >>> table.field.shape
    (3, 5)
    """

    field: Any
    coordinates: tuple[Any, ...]


@accepts_keywords
def tabulate(
    func: Callable[..., Any],
    *coordinates: Any,
    vector: bool = False,
    like: Any = None,
    dtype: Any = None,
    memory: int = _MEMORY,
    progress: bool | None = None,
) -> Table:
    """Return the values of a function on a grid, with the coordinates of the grid.

    The function is evaluated block by block, on the device of the coordinates. The result can be
    differentiated by ``gradient(field, *coordinates)``.

    Parameters
    ----------
    func : callable
        The function ``func(x, y, ...)``. It takes one array for each axis; the arrays broadcast
        together (they have the shapes (n_0, 1, ...), (1, n_1, ...), ...), like those of
        `numpy.ogrid`. Functions that are constant or depend on some of the coordinates only are
        allowed. Functions of single numbers, such as `math.sin`, are called point by point. With
        `vector`, the function is ``func(p)`` with an array p of shape (n, n_0, n_1, ...).
    *coordinates : slice or 1-D array
        For each axis, the coordinates or a slice: ``slice(start, stop, 101j)`` is 101 points
        including both ends, and ``slice(start, stop, step)`` is points at a distance of `step`
        without the end, as in `numpy.mgrid`.
    vector : bool, optional
        Whether `func` takes all coordinates in one array. By default False.
    like : array, module or str, optional
        The library to use: an array, which also determines the device and, if it is floating, the
        precision; an array-API namespace; or a name for `namespace`. By default the library of the
        coordinates, or NumPy.
    dtype : dtype, optional
        The floating dtype of the coordinates. By default the dtype of given coordinates, else the
        dtype of `like`, else the widest. The field has the dtype that `func` returns; values that
        are not floating are converted to this dtype.
    memory : int, optional
        The maximum size of the values of a block in bytes, by default 256 MiB. `func` may need
        several times as much memory for its temporaries. Blocks of NumPy arrays have at most 4 MiB,
        so that they stay in the cache.
    progress : bool, optional
        Whether to show a progress bar. This needs tqdm. By default it is shown after two seconds,
        on a terminal and if tqdm is installed.

    Returns
    -------
    Table
        ``(field, coordinates)``: the field of shape (n_0, n_1, ...), with its axes in the order of
        the coordinates (as with ``indexing="ij"``), and the tuple of 1-D coordinates.

    Raises
    ------
    TypeError
        If `func` is not callable; if coordinates belong to two libraries, or are complex.
    ValueError
        If coordinates are not 1-D; if a slice has no start or stop; if the values of `func` do not
        fit the grid.
    ImportError
        If a progress bar is requested and tqdm is not installed.

    See Also
    --------
    gradient : Differentiates the table.
    gradient_of : The gradient of the function itself, without a grid.

    Notes
    -----
    No coordinate array has the size of the whole grid, except with `vector`. If the coordinates are
    Dask arrays, the field is lazy, and `func` is called once.

    Examples
    --------
    Tabulate a function of three variables and differentiate the table:

    >>> import gpugrad
    >>> field, coordinates = gpugrad.tabulate(
    ...     lambda x, y, z: 2 * x**2 + 3 * y**2 - 4 * z,
    ...     slice(-1, 1, 5j), slice(-1, 1, 5j), slice(0, 1, 3j),
    ... )
    >>> field.shape
    (5, 5, 3)
    >>> dx, dy, dz = gpugrad.gradient(field, *coordinates, edge_order=2)
    >>> dy[0, :, 0]
    array([-6., -3.,  0.,  3.,  6.])
    """
    check_callable(func)
    if not coordinates:
        raise TypeError("coordinates must be given: a slice or a 1-D array for each axis.")
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < 1:
        raise ValueError(f"`memory` must be a positive number of bytes; got {memory!r}.")
    axes = _make_axes(coordinates, like, dtype)
    function = UserFunction(func, vector, False)
    function.check_count(len(axes))
    if row_of(axes[0]).is_lazy:
        return Table(_evaluate_lazily(function, axes), tuple(axes))
    limit = min(memory, _CACHED) if isinstance(axes[0], np.ndarray) else memory
    boxes = [*_cut_boxes(tuple(x.shape[0] for x in axes), max(1, limit // 8))]
    return Table(_fill_field(function, axes, _show_progress(boxes, progress)), tuple(axes))


def _make_axes(coordinates: Sequence[Any], like: Any, dtype: Any) -> list[Array]:
    """Return the coordinates as 1-D arrays of one library, on one device, of one dtype."""
    arrays = [x for x in coordinates if is_library_array(x)]
    libraries = {*map(library_of, arrays)}
    if len(libraries) > 1:
        raise TypeError(
            f"coordinates must be arrays of one library; got {' and '.join(sorted(libraries))}."
        )
    require_one_place(arrays, "coordinates")
    xp, place, model = _find_place(like, arrays[0] if arrays else None)
    if dtype is None:
        dtypes = [x.dtype for x in (*coordinates, model) if hasattr(x, "dtype")]
        floats = [d for d in dtypes if dtype_name(d).startswith(("float", "bfloat"))]
        dtype = floats[0] if floats else widest_float(xp, xp.empty(0, **place))
    dtype = _dtype_in(xp, dtype)
    return [_make_axis(i, x, xp, place, dtype) for i, x in enumerate(coordinates)]


def _dtype_in(xp: ModuleType, dtype: Any) -> Any:
    """Return a floating dtype, of any library or by name, as a dtype of a namespace."""
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = dtype_name(dtype)
    if not name.startswith(("float", "bfloat")) or not hasattr(xp, name):
        raise TypeError(
            f"`dtype` must be a floating one; got {dtype!r}. Pass another, or other coordinates."
        )
    return getattr(xp, name)


def _find_place(like: Any, array: Any) -> tuple[ModuleType, dict[str, Any], Any]:
    """Return namespace, device as a keyword, and an array whose dtype counts."""
    if isinstance(like, str):
        return namespace(like), {}, None
    if isinstance(like, ModuleType):
        array = like.asarray(0.0)  # it lies where the namespace puts new arrays
        return namespace_of(array), place_of(array), None
    model = array if like is None else like
    if model is None or isinstance(model, np.ndarray):
        return namespace_of(np.empty(0)), {}, model
    if not is_library_array(model):
        raise TypeError(f"`like` must be an array, a namespace or a name; got {like!r}.")
    return namespace_of(model), place_of(model), model


def _make_axis(i: int, points: Any, xp: ModuleType, place: dict[str, Any], dtype: Any) -> Array:
    if isinstance(points, slice):
        start, stop, count = _parse_slice(i, points)
        if isinstance(count, int):
            return xp.linspace(start, stop, count, dtype=dtype, **place)
        return xp.asarray(np.arange(start, stop, count), dtype=dtype, **place)
    refuse_labels(points, f"coordinates of axis {i}")
    refuse_sparse(points, f"coordinates of axis {i}", is_sliced=False)
    if not is_library_array(points):
        points = read_numbers(points, f"coordinates of axis {i}")
    if points.ndim != 1:
        raise ValueError(
            f"coordinates of axis {i} must be a slice or 1-D; got shape {tuple(points.shape)}. "
            "Pass the coordinates along the axis alone, not the arrays of `meshgrid`."
        )
    if dtype_name(points.dtype).startswith(("complex", "bool")):
        raise TypeError(
            f"coordinates of axis {i} must be real numbers; got {points.dtype}. Convert them, "
            "as in `numpy.asarray(x, dtype=float)`."
        )
    if is_library_array(points) and namespace_of(points) is xp:
        return xp.astype(points, dtype)
    return xp.asarray(asnumpy(points), dtype=dtype, **place)


def _parse_slice(i: int, bounds: slice) -> tuple[float, float, int | float]:
    start, stop, step = bounds.start, bounds.stop, bounds.step
    for bound in (start, stop, step):
        refuse_labels(bound, f"the slice for axis {i}")
    if start is None or stop is None or step is None:
        raise ValueError(
            f"a slice for axis {i} must be slice(start, stop, 101j), for 101 points with both "
            f"ends, or slice(start, stop, step); got {bounds}."
        )
    if not all(map(math.isfinite, (start, stop))):
        raise ValueError(f"a slice for axis {i} must have finite ends; got {bounds}.")
    if isinstance(step, complex):
        if step.real or not step.imag.is_integer() or step.imag < 1:
            raise ValueError(f"a slice for axis {i} must have 1j or more points; got {step}.")
        return float(start), float(stop), int(step.imag)
    if not step or not math.isfinite(step) or (stop - start) / step <= 0:
        raise ValueError(f"a slice for axis {i} must lead from start to stop; got {bounds}.")
    return float(start), float(stop), float(step)


def _cut_boxes(shape: tuple[int, ...], limit: int) -> Iterator[tuple[slice, ...]]:
    """Cut a grid into boxes of at most `limit` points, whole in the last axes as far as it goes."""
    inner_sizes = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    lengths = [max(1, limit // max(1, size)) for size in inner_sizes]
    ranges = [range(0, n, step) for n, step in zip(shape, lengths, strict=True)]
    for starts in itertools.product(*ranges):
        yield tuple(slice(a, min(a + k, n)) for a, k, n in zip(starts, lengths, shape, strict=True))


def _fill_field(function: UserFunction, axes: list[Array], boxes: Iterator[Any]) -> Array:
    """Return the field, filled box by box."""
    xp, shape = namespace_of(axes[0]), tuple(x.shape[0] for x in axes)
    field = None
    for box in boxes:
        values = _evaluate_box(function, [x[section] for x, section in zip(axes, box, strict=True)])
        if field is None:
            field = xp.empty(shape, dtype=values.dtype, **place_of(values))
        elif xp.result_type(field.dtype, values.dtype) != field.dtype:  # a later box may be complex
            field = xp.astype(field, xp.result_type(field.dtype, values.dtype))
        if array_api_compat.is_jax_array(field):  # arrays of JAX cannot be written to
            field = field.at[box].set(values)
        else:
            field[box] = values
    return xp.empty(shape, dtype=axes[0].dtype) if field is None else field


def _evaluate_box(function: UserFunction, sections: list[Array]) -> Array:
    xp, shape = namespace_of(sections[0]), tuple(section.shape[0] for section in sections)
    open_sections = _open_axes(sections)
    # Constants, sums over the grid by mistake, single numbers: `UserFunction` tells them apart.
    fits = False
    if not (function.vector or function.is_looped or len(shape) == 1):
        with suppress(TypeError, ValueError):
            result = function.raw(open_sections)
            spread = tuple(np.broadcast_shapes(getattr(result, "shape", ()), shape)) == shape
            has_axes = spread and getattr(result, "ndim", 0) == len(shape)
            fits = has_axes and library_of(result) == library_of(sections[0])
    if not fits:
        flat = [xp.reshape(x, (-1,)) for x in xp.broadcast_arrays(*open_sections)]
        return xp.reshape(function(flat)[0], shape)
    if not dtype_name(result.dtype).startswith(("float", "complex")):
        result = xp.astype(result, sections[0].dtype)
    return xp.broadcast_to(result, shape)


def _open_axes(axes: list[Array]) -> list[Array]:
    """Return coordinates in shapes that broadcast to the grid, as `numpy.ogrid` has them."""
    n = len(axes)
    return [
        namespace_of(x).reshape(x, (1,) * i + (-1,) + (1,) * (n - i - 1))
        for i, x in enumerate(axes)
    ]


def _evaluate_lazily(function: UserFunction, axes: list[Array]) -> Array:
    xp, shape = namespace_of(axes[0]), tuple(x.shape[0] for x in axes)
    open_axes = _open_axes(axes)
    if function.vector:
        open_axes = list(xp.broadcast_arrays(*open_axes))
    return xp.broadcast_to(xp.asarray(function.raw(open_axes)), shape)


def _show_progress(boxes: list[Any], progress: bool | None) -> Iterator[Any]:
    """Yield the boxes; show how far they are if that takes long."""
    if progress is False or (progress is None and len(boxes) < 2):
        return iter(boxes)
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        if progress:
            raise ImportError(
                '`progress=True` needs tqdm: `pip install "gpugrad[progress]"`.'
            ) from error
        return iter(boxes)
    # tqdm's own rule for None: no bar where nobody looks at a terminal.
    hidden = None if progress is None else False
    delay = 0 if progress else _SECONDS_UNWATCHED
    return iter(
        tqdm(boxes, desc="tabulate", unit="block", disable=hidden, delay=delay, leave=False)
    )
