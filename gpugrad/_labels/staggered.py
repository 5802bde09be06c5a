"""Where results between the samples lie: the coordinates of labelled fields on staggered grids.

Components of a vector field may lie on different faces of the same cells. Then each axis is spaced
as the component is that is differentiated along it, and all terms of a sum must meet at one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._grids import parse_boundaries, parse_periods, parse_staggers
from gpugrad._labels.xarray_coordinates import coordinates_beside
from gpugrad._stencils import OPERATORS

_NEAR = 0.3
"""The share of a step by which the middle of two faces may miss the sample between them."""


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
        count, all_dims = len(dims), [*fields[0].dims]
        axes, ndim = [*map(all_dims.index, dims)], len(all_dims)
        self._shifts = parse_staggers(options["stagger"], axes, ndim)
        sides = parse_boundaries(options.get("boundary", "one-sided"), axes, ndim)
        self._wraps = [lower.name == "periodic" for lower, _ in sides]
        self._periods = parse_periods(options.get("period"), sides, axes, ndim)
        self._time_unit = options.get("time_unit") or "s"
        self._outputs = list_terms(operator, len(fields), count)
        terms = [term for output in self._outputs for term in output]
        self.owners = []
        # With `stagger` each component has coordinates of its own, so each axis must be spaced as
        # the component is that is differentiated along it: another would be half a cell off.
        for j in range(count):
            components = [fields[i] for i, along in terms if along == j] or [fields[0]]
            _check_equal(components, dims[j])
            self.owners.append(components[0])

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
            f = self._fields[i]
            return self._move_coordinates(f, j) if self._shifts[j] else f.coords
        # A sum lies at one place only if all its terms do: those moved along an axis must meet
        # the others, whose samples lie half a cell away from theirs.
        coordinates = coordinates_beside(self._fields[0], self._dims)
        for k, dim in enumerate(self._dims):
            moved_fields = [self._fields[i] for i, j in terms if j == k and self._shifts[k]]
            still_fields = [self._fields[i] for i, j in terms if j != k or not self._shifts[k]]
            _check_equal(still_fields, dim)
            places = [field.coords for field in still_fields[:1]]
            places += [self._move_coordinates(field, k) for field in moved_fields]
            meeting, *other_places = (_lines_along(place, dim) for place in places)
            for place in other_places:
                _check_near(meeting, place, dim)
            coordinates |= meeting
        return coordinates

    def common_coordinates(self) -> dict[Any, Any]:
        """Return the coordinates that all results share."""
        if len(self._outputs) == 1:
            return self.coordinates(0)
        moved = {dim for dim, shift in zip(self._dims, self._shifts, strict=True) if shift}
        return coordinates_beside(self._fields[0], moved)

    def _move_coordinates(self, f: Any, j: int) -> dict[Any, Any]:
        """Return a field's coordinates, those along an axis half a cell from its samples."""
        dim = self._dims[j]
        coordinates = coordinates_beside(f, [dim])
        for name, coordinate in f.coords.items():
            if coordinate.dims != (dim,):
                continue
            period = self._periods[j] if name == dim else None
            faces = self._find_middles(coordinate.values, self._shifts[j], self._wraps[j], period)
            if faces is not None:
                attrs = {k: v for k, v in coordinate.attrs.items() if k not in _OF_SAMPLES}
                coordinates[name] = ((dim,), faces, attrs)
        return coordinates

    def _find_middles(self, x: Any, shift: int, wraps: bool, period: float | None) -> Any:
        """Return the middles before samples, or behind them; None where there are none.

        Beyond an end the step of the neighbour counts, or the step that closes the circle.
        """
        is_calendar = x.dtype == object and hasattr(x[0], "calendar")
        if not (x.dtype.kind in "iufmM" or is_calendar) or x.size < 2:
            return None
        if x.dtype.kind in "iu":
            x = x.astype(np.float64)
        steps = np.diff(x)
        first, last = steps[:1], steps[-1:]
        # An end has no neighbour: its own step goes on there. A circle has one more step, from
        # the last sample to the first, that only the period can tell.
        if wraps:
            closing = (first + last) / 2
            if period is not None:
                closing = self._close_circle(x, period)
                if closing is None:
                    return None
            first = last = closing
        if shift < 0:
            return x - np.concatenate([first, steps]) / 2
        return x + np.concatenate([steps, last]) / 2

    def _close_circle(self, x: Any, period: float) -> Any:
        extent = x[-1:] - x[:1]
        if x.dtype.kind == "f":
            return np.sign(extent) * period - extent
        if x.dtype.kind not in "mM":
            return None
        around: Any = np.ones((), f"m8[{self._time_unit}]") * period
        return (around if extent[0] > extent[0] * 0 else -around) - extent


_OF_SAMPLES = ("bounds", "actual_range", "valid_min", "valid_max", "valid_range")
"""Attributes of coordinates that are not true of those between them."""


def adds_components(operator: str) -> bool:
    """Tell whether an operator adds derivatives of several components, which must meet."""
    row = OPERATORS.get(operator)
    return row is not None and row.takes == "vector"


def list_terms(operator: str, fields: int, axes: int) -> list[list[tuple[int, int]]]:
    """Return for each result which components it is made of, and along which axis each is taken."""
    row = OPERATORS[operator.replace("error_estimate", "derivative")]
    least, most = row.axes
    if most is not None and not least <= axes <= most:
        return []  # which the operator refuses, in its words
    outputs = row.make_outputs(
        lambda order: range(axes), lambda axis, i=0, sign=1: (i, axis), fields
    )
    return [[(i, j) for i, j in terms if i < fields] for terms in outputs]


def _check_equal(components: Sequence[Any], dim: Any) -> None:
    """Raise ValueError unless components have the coordinates of the first along a dimension."""
    for component in components[1:]:
        first = components[0]
        ours, theirs = first.coords.get(dim), component.coords.get(dim)
        if first.sizes[dim] != component.sizes[dim] or not (
            ours is None or theirs is None or np.array_equal(ours.values, theirs.values)
        ):
            raise ValueError(
                f"components of `v` must have the same coordinates along {dim!r}, but for the "
                f"one that is differentiated along it; {first.name!r} and {component.name!r} "
                "differ. Interpolate them first."
            )


def _lines_along(coords: Any, dim: Any) -> dict[Any, Any]:
    """Return the coordinates that lie along one dimension alone."""
    return {
        name: coordinate
        for name, coordinate in coords.items()
        if (coordinate[0] if isinstance(coordinate, tuple) else coordinate.dims) == (dim,)
    }


def _check_near(first: dict[Any, Any], second: dict[Any, Any], dim: Any) -> None:
    """Raise ValueError unless terms of a sum meet between the same neighbours."""
    if dim not in first or dim not in second:
        return
    a, b = (
        np.asarray(coordinate[1] if isinstance(coordinate, tuple) else coordinate.values)
        for coordinate in (first[dim], second[dim])
    )
    if a.dtype == object:
        return
    # Uneven cells move the middles of faces a little; only a different neighbour is a mistake.
    steps = np.abs(np.diff(a))
    widest = np.maximum(np.append(steps, steps[-1:]), np.append(steps[:1], steps))
    if (np.abs(a - b) > widest * _NEAR).any():
        raise ValueError(
            f"the terms must meet at one place: along {dim!r} they lie at {a[0]}, ... and at "
            f"{b[0]}, .... With `stagger`, each component must lie on the faces that it passes "
            "through, half a cell from the others; choose the other side, or interpolate it."
        )
