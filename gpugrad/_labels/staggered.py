"""Where results between the samples lie: the coordinates of labelled fields on staggered grids.

Components of a vector field may lie on different faces of the same cells. Then each axis is spaced
as the component is that is differentiated along it, and all terms of a sum must meet at one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._grids import parse_boundaries, parse_periods, parse_staggers
from gpugrad._stencils import OPERATORS

_NEAR = 0.3
"""The part of a gap by which the middle between two faces may miss the sample between them."""


class StaggeredResults:
    """The coordinates of the results of an operator with ``stagger=``.

    Attributes
    ----------
    owners : list of DataArray
        For each axis a component that is differentiated along it, whose coordinate spaces it.
    """

    def __init__(
        self, operator: str, fields: Sequence[Any], dims: Sequence[Any], options: dict[str, Any]
    ) -> None:
        self._fields, self._dims = fields, dims
        count = len(dims)
        self._shifts = parse_staggers(options["stagger"], count)
        sides = parse_boundaries(options.get("boundary", "one-sided"), count)
        self._wraps = [lower.name == "periodic" for lower, _ in sides]
        self._periods = parse_periods(options.get("period"), sides)
        self._time_unit = options.get("time_unit") or "s"
        self._outputs = _terms(operator, len(fields), count)
        terms = [term for output in self._outputs for term in output]
        self.owners = []
        for j in range(count):
            mine = [fields[i] for i, along in terms if along == j] or [fields[0]]
            for other in mine[1:]:
                self._check_equal(mine[0], other, dims[j])
            self.owners.append(mine[0])

    @property
    def count(self) -> int:
        """How many results there are."""
        return len(self._outputs)

    def moved(self, number: int) -> list[Any]:
        """Return the axes along which a result of one term lies between the samples."""
        along = [j for _, j in self._outputs[number]]
        return [self._dims[j] for j in along if self._shifts[j]] if len(along) == 1 else []

    def coordinates(self, number: int) -> dict[Any, Any]:
        """Return the coordinates of the result with this number."""
        terms = self._outputs[number]
        if len(terms) == 1:
            ((i, j),) = terms
            return self._moved(self._fields[i], j) if self._shifts[j] else self._fields[i].coords
        found = _of_other_dims(self._fields[0], self._dims)
        for k, dim in enumerate(self._dims):
            moved = [self._fields[i] for i, j in terms if j == k and self._shifts[k]]
            still = [self._fields[i] for i, j in terms if j != k or not self._shifts[k]]
            for other in still[1:]:
                self._check_equal(still[0], other, dim)
            places = [_along(self._moved(one, k), dim) for one in moved]
            if still:
                here = _along(still[0].coords, dim)
                for one in places:
                    _check_near(here, one, dim)
            else:
                here = places[0]
                for one in places[1:]:
                    _check_near(here, one, dim)
            found |= here
        return found

    def common_coordinates(self) -> dict[Any, Any]:
        """Return the coordinates that all results share."""
        if len(self._outputs) == 1:
            return self.coordinates(0)
        moved = {dim for dim, shift in zip(self._dims, self._shifts, strict=True) if shift}
        return _of_other_dims(self._fields[0], moved)

    def _moved(self, f: Any, j: int) -> dict[Any, Any]:
        """Return a field's coordinates, those along an axis half a cell from its samples."""
        dim = self._dims[j]
        found = _of_other_dims(f, [dim])
        for name, coordinate in f.coords.items():
            if coordinate.dims != (dim,):
                continue
            period = self._periods[j] if name == dim else None
            faces = self._between(coordinate.values, self._shifts[j], self._wraps[j], period)
            if faces is not None:
                attrs = {k: v for k, v in coordinate.attrs.items() if k not in _OF_SAMPLES}
                found[name] = ((dim,), faces, attrs)
        return found

    def _between(self, x: Any, shift: int, wraps: bool, period: float | None) -> Any:
        """Return the middles of gaps, each before its sample or behind it; None if there are none.

        Beyond an end the gap is that of the neighbour, or the one which closes the circle.
        """
        is_calendar = x.dtype == object and hasattr(x[0], "calendar")
        if not (x.dtype.kind in "iufmM" or is_calendar) or x.size < 2:
            return None
        if x.dtype.kind in "iu":
            x = x.astype(np.float64)
        gaps = np.diff(x)
        first, last = gaps[:1], gaps[-1:]
        if wraps:
            closing = (first + last) / 2
            if period is not None:
                closing = self._close(x, period)
                if closing is None:
                    return None
            first = last = closing
        if shift < 0:
            return x - np.concatenate([first, gaps]) / 2
        return x + np.concatenate([gaps, last]) / 2

    def _close(self, x: Any, period: float) -> Any:
        extent = x[-1:] - x[:1]
        if x.dtype.kind == "f":
            return np.sign(extent) * period - extent
        if x.dtype.kind not in "mM":
            return None
        around: Any = np.ones((), f"m8[{self._time_unit}]") * period
        return (around if extent[0] > extent[0] * 0 else -around) - extent

    def _check_equal(self, a: Any, b: Any, dim: Any) -> None:
        ours, theirs = a.coords.get(dim), b.coords.get(dim)
        if a.sizes[dim] != b.sizes[dim] or not (
            ours is None or theirs is None or np.array_equal(ours.values, theirs.values)
        ):
            raise ValueError(
                f"components of `v` must have the same coordinates along {dim!r}, but for the "
                f"one that is differentiated along it; {a.name!r} and {b.name!r} differ. "
                "Interpolate them first."
            )


_OF_SAMPLES = ("bounds", "actual_range", "valid_min", "valid_max", "valid_range")
"""Attributes of coordinates that are not true of those between them."""


def adds_components(operator: str) -> bool:
    """Tell whether an operator adds derivatives of several components, which must meet."""
    row = OPERATORS.get(operator)
    return row is not None and row.takes == "vector"


def _terms(operator: str, fields: int, axes: int) -> list[list[tuple[int, int]]]:
    """Return for each result which components it is made of, and along which axis each is taken."""
    row = OPERATORS[operator.replace("error_estimate", "derivative")]
    least, most = row.axes
    if most is not None and not least <= axes <= most:
        return []  # which the operator refuses, in its words

    def term(axis: int, i: int = 0, sign: int = 1) -> tuple[int, int]:
        return i, axis

    outputs = row.make_outputs(lambda order: range(axes), term, fields)
    return [[(i, j) for i, j in terms if i < fields] for terms in outputs]


def _of_other_dims(f: Any, dims: Any) -> dict[Any, Any]:
    return {
        name: coordinate
        for name, coordinate in f.coords.items()
        if not any(dim in coordinate.dims for dim in dims)
    }


def _along(coords: Any, dim: Any) -> dict[Any, Any]:
    """Return the coordinates that lie along one dimension alone."""
    found = {}
    for name, coordinate in coords.items():
        dims = coordinate[0] if isinstance(coordinate, tuple) else coordinate.dims
        if dims == (dim,):
            found[name] = coordinate
    return found


def _check_near(here: dict[Any, Any], there: dict[Any, Any], dim: Any) -> None:
    """Raise ValueError unless terms of a sum meet between the same neighbours."""
    if dim not in here or dim not in there:
        return
    pair = here[dim], there[dim]
    a, b = (np.asarray(one[1] if isinstance(one, tuple) else one.values) for one in pair)
    if a.dtype == object:
        return
    gaps = np.abs(np.diff(a))
    widest = np.maximum(np.append(gaps, gaps[-1:]), np.append(gaps[:1], gaps))
    if (np.abs(a - b) > widest * _NEAR).any():
        raise ValueError(
            f"the terms must meet at one place: along {dim!r} they lie at {a[0]}, ... and at "
            f"{b[0]}, .... With `stagger`, each component must lie on the faces that it passes "
            "through, half a cell from the others; choose the other side, or interpolate it."
        )
