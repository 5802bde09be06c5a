"""Points that were found, one after the other: a collection with an array for each attribute."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import numpy as np

from gpugrad._analysis.extrema import as_prominence
from gpugrad._arrays import (
    Array,
    NumpyArray,
    asnumpy,
    from_host,
    is_library_array,
    library_of_labels,
    namespace_of,
)

Record = TypeVar("Record")

_SHOWN = 8
"""How many points are printed."""


class PointCollection(Generic[Record]):
    """Arrays with one entry for each point; each class says what its points are.

    Attributes of the dataclasses are the arrays, or None for what was not asked for.
    """

    _title: ClassVar[tuple[str, str]]
    """What one point is called, and several."""
    _record: ClassVar[type[Any]]
    """A NamedTuple with the attributes of one point."""
    _kinds: ClassVar[tuple[str, ...]]

    kind: NumpyArray

    def __len__(self) -> int:
        return len(self.kind)

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, key: int) -> Record: ...

    @overload
    def __getitem__(self, key: Any) -> Self: ...

    def __getitem__(self, key: Any) -> Any:
        """Return a point for an integer; for a slice, a mask or integers a collection of them."""
        if not isinstance(key, (bool, np.bool_)):
            try:
                number = operator.index(key)
            except TypeError:
                return self._take(self._find_places(key))
            return self._make_record(self._check(number))
        raise TypeError(f"points are picked by an integer, a slice or an array; got {key!r}.")

    def select(self, *, kind: Any = None) -> Self:
        """Return the points of one kind, or of several kinds.

        To choose points by a mask or by indices, use brackets: ``points[mask]``.

        Parameters
        ----------
        kind : str or sequence of str, optional
            The kind, or the kinds, to return. By default all kinds.

        Returns
        -------
        PointCollection
            The chosen points, in a collection of the same class.

        Raises
        ------
        ValueError
            If there is no such kind.

        See Also
        --------
        to_dataframe : Converts the points to a table, to choose points with pandas.

        Examples
        --------
        >>> import gpugrad
        >>> f = [[2.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 2.0]]
        >>> points = gpugrad.critical_points(f)
        >>> len(points.select(kind="minimum")), len(points.select(kind=["maximum", "saddle"]))
        (1, 0)
        """
        return self._take(np.flatnonzero(self._are_of_kind(kind)))

    def to_dataframe(self) -> Any:
        """Return the points as a table of pandas, with one row for each point.

        The columns are the attributes. An attribute with one entry for each axis becomes one column
        for each axis. For labelled points, the coordinates are columns under their names, and the
        position along a dimension has the name of the dimension. Units are appended to the names in
        brackets.

        Returns
        -------
        pandas.DataFrame
            The table, in host memory.

        Raises
        ------
        ImportError
            If pandas is not installed.

        See Also
        --------
        select : Returns some of the points.

        Examples
        --------
        >>> import gpugrad
        >>> table = gpugrad.turning_points([0.0, 2.0, 1.0, 5.0, 0.0]).to_dataframe()
        >>> print(table[["kind", "index"]])
              kind  index
        0  maximum      1
        1  minimum      2
        2  maximum      3
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                f"`to_dataframe` needs pandas ({error}). To mend it: pip install pandas"
            ) from error
        return pandas.DataFrame(self._make_columns())

    def __repr__(self) -> str:
        """Write the first points as a table, with their number above."""
        count = len(self)
        head = f"{count} {self._title[count != 1]}"
        if not count:
            return head
        columns = self[:_SHOWN]._make_columns()
        texts = [[name, *map(_write_entry, column)] for name, column in columns.items()]
        widths = [max(map(len, column)) for column in texts]
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
            for row in zip(*texts, strict=True)
        ]
        more = [f"... and {count - _SHOWN} more"] if count > _SHOWN else []
        return "\n".join([f"{head}:", *lines, *more])

    def _arrays(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]

    def _make_record(self, number: int) -> Any:
        entries = [_pick_entry(entries, number) for entries in self._arrays()]
        return self._record(*entries)._replace(kind=str(_as_host(self.kind)[number]))

    def _check(self, number: int) -> int:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} {self._title[1]}; got index {number}.")
        return number % len(self)

    def _find_places(self, key: Any) -> NumpyArray:
        """Return the numbers of the points that a slice, a mask or integers pick."""
        everything = np.arange(len(self))
        if isinstance(key, slice):
            return everything[key]
        picked = _as_host(key)
        if picked.ndim != 1 or picked.dtype.kind not in "biu":
            if picked.shape == (0,):
                return everything[:0]
            raise TypeError(
                "points are picked by an integer, a slice, a mask or an array of integers; got "
                f"{type(key).__name__} of dtype {picked.dtype} and shape {picked.shape}."
            )
        if picked.dtype.kind == "b" and len(picked) != len(self):
            raise IndexError(
                f"a mask must have one entry for each of the {len(self)} {self._title[1]}; got "
                f"{len(picked)}."
            )
        if picked.dtype.kind != "b" and picked.size:
            self._check(int(picked.min()))
            self._check(int(picked.max()))
        return everything[picked]

    def _take(self, places: NumpyArray) -> Self:
        return type(self)(*[_pick_entries(entries, places) for entries in self._arrays()])

    def _are_of_kind(self, kind: Any) -> NumpyArray:
        if kind is None:
            return np.ones(len(self), bool)
        kinds = [kind] if isinstance(kind, str) else [*kind]
        for name in kinds:
            if name not in self._kinds:
                raise ValueError(
                    f"`kind` must be one of {', '.join(self._kinds)}, or several; got {name!r}."
                )
        return np.isin(_as_host(self.kind), kinds)

    def _make_columns(self) -> dict[str, NumpyArray]:
        """Return the columns of a table: attributes, and coordinates that points have."""
        columns: dict[str, NumpyArray] = {}
        for field, entries in zip(fields(self), self._arrays(), strict=True):  # type: ignore[arg-type]
            if entries is not None:
                columns |= _name_columns(field.name, entries)
        return columns


@dataclass(frozen=True, eq=False, repr=False)
class PointsOfCurves(PointCollection[Record]):
    """Points of curves: arrays with one entry for each."""

    position: Array
    value: Array
    kind: NumpyArray
    index: Array
    extent: Array
    curve: Array
    prominence: Array | None

    def select(self, *, kind: Any = None, curve: Any = None, prominence: Any = None) -> Self:
        """Return the points of a given kind, of a given curve, or of at least a given prominence.

        If several conditions are given, all of them must hold. To choose points by a mask or by
        indices, use brackets: ``points[mask]``.

        Parameters
        ----------
        kind : str or sequence of str, optional
            The kind, or the kinds, to return. By default all kinds.
        curve : int or sequence of int, optional
            The number of the curve, or of several curves. By default all curves.
        prominence : number, optional
            The least prominence, in the unit of the attribute ``prominence``. The prominence must
            have been requested when the points were computed.

        Returns
        -------
        PointsOfCurves
            The chosen points, in a collection of the same class.

        Raises
        ------
        TypeError
            If a curve or a prominence is not a number.
        ValueError
            If there is no such kind, or if the prominence was not requested.

        See Also
        --------
        to_dataframe : Converts the points to a table, to choose points with pandas.

        Examples
        --------
        >>> import gpugrad
        >>> points = gpugrad.turning_points([[0.0, 2.0, 1.0, 5.0, 0.0], [3.0, 0.0, 1.0, 2.0, 1.0]])
        >>> points.select(kind="maximum").index
        array([1, 3, 3])
        >>> points.select(kind="maximum", curve=1).index
        array([3])
        """
        chosen = self._are_of_kind(kind)
        if curve is not None:
            numbers = np.asarray(curve)
            if numbers.dtype.kind not in "iu":
                raise TypeError(f"`curve` must be a number of a curve, or several; got {curve!r}.")
            chosen &= np.isin(_as_host(self.curve), numbers)
        if prominence is not None:
            chosen &= self._are_prominent(prominence)
        return self._take(np.flatnonzero(chosen))

    def _are_prominent(self, least: Any) -> NumpyArray:
        if self.prominence is None:
            raise ValueError(
                "`prominence` must have been asked for to be selected by; find the points with "
                "`prominence=0`, or with the least prominence at once."
            )
        if library_of_labels(least):
            from gpugrad._labels import compare

            if getattr(least, "ndim", 0) or isinstance(least, (tuple, list)):
                raise TypeError(f"`prominence` must be a number; got {least!r}.")
            values = self.prominence
            values = values.data if library_of_labels(values) == "xarray" else values
            return np.asarray(compare(values, least))
        return np.asarray(_as_host(self.prominence) >= as_prominence(least))


def _pick_entry(entries: Any, number: int) -> Any:
    """Return the entry of one point, of as many dimensions less."""
    if entries is None or isinstance(entries, np.ndarray) or library_of_labels(entries):
        return None if entries is None else entries[number]
    return entries[number, ...]


def _pick_entries(entries: Any, places: NumpyArray) -> Any:
    if entries is None:
        return None
    if isinstance(entries, np.ndarray) or library_of_labels(entries):
        return entries[places]
    return namespace_of(entries).take(entries, from_host(places, entries), axis=0)


def _as_host(entries: Any) -> NumpyArray:
    """Return values on the host, without their labels and units."""
    if library_of_labels(entries) == "xarray":
        entries = entries.data
    if library_of_labels(entries):
        from gpugrad._labels import split

        entries = split(entries)[0]
    return asnumpy(entries) if is_library_array(entries) else np.asarray(entries)


def _name_columns(name: str, entries: Any) -> dict[str, NumpyArray]:
    """Return the columns of an attribute, with those of the coordinates that it has."""
    columns, axes = {}, None
    if library_of_labels(entries) == "xarray":
        axes = [*entries.coords["axis"].values] if "axis" in entries.coords else None
        point = entries.dims[0]
        columns = {str(key): _as_host(x) for key, x in entries.coords.items() if x.dims == (point,)}
        name = str(entries.name or name)
        entries = entries.data
    unit = ""
    if library_of_labels(entries):
        from gpugrad._labels import split

        unit = f" [{split(entries)[1]}]"
    values = _as_host(entries)
    if values.ndim == 1:
        return {f"{name}{unit}": values} | columns
    labels = axes if name in ("position", "index") and axes else range(values.shape[1])
    matrix = {f"{name}_{label}{unit}": values[:, i] for i, label in enumerate(labels)}
    return columns if name == "position" and axes else matrix | columns


def _write_entry(entry: Any) -> str:
    return f"{entry:.6g}" if isinstance(entry, (float, np.floating)) else str(entry)
