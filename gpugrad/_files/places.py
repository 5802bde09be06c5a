"""Where results lie: their axes, and the coordinates that are written beside them.

Results between the samples have coordinates half-way, as results on xarray's fields have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpugrad._files.source import Coordinate, Source
from gpugrad._grids import list_by_axis
from gpugrad._labels import StaggeredResults

_ELSEWHERE = ("bounds", "climatology")
"""Attributes that name variables which are not written."""


@dataclass(frozen=True)
class Places:
    """Where results lie.

    Attributes
    ----------
    owners : tuple of Source
        For each axis to differentiate along the field whose coordinates space it.
    dims : tuple of tuple of str
        For each result the names of its axes.
    coordinates : dict
        What is written beside the results, by name.
    shifts : tuple of tuple of float
        For each result and axis of the field, by how many cells it lies beside the samples.
    """

    owners: tuple[Source, ...]
    dims: tuple[tuple[str, ...], ...]
    coordinates: Mapping[str, Coordinate]
    shifts: tuple[tuple[float, ...], ...]


def find_places(
    fields: Sequence[Source], axes: Sequence[int], operator: str, options: dict[str, Any]
) -> Places:
    """Return where the results of an operator along some axes lie.

    Raises
    ------
    ValueError
        If the terms of a sum do not meet at one place.
    """
    first = fields[0]
    dims = [first.dims[axis] for axis in axes]
    sides = list_by_axis(options["stagger"], axes, len(first.dims), "stagger")
    if not any(sides):
        still = (0.0,) * len(first.dims)
        unmoved = _drop_references(_coordinates_of(first))
        return Places((first,) * len(axes), (first.dims,), unmoved, (still,))
    faces = StaggeredResults(operator, [*map(_as_labelled, fields)], dims, options)
    owners = tuple(owner.source for owner in faces.owners)
    names, shifts, coordinates = [], [], {}
    by_dim = dict(zip(dims, sides, strict=True))
    for number in range(faces.count):
        moved = {dim: by_dim[dim] for dim in faces.moved(number)}
        # An axis along which all lie at one place keeps its name.
        new_names = {dim: f"{dim}_{side}" for dim, side in moved.items() if _is_shared(faces, dim)}
        names.append(tuple(new_names.get(dim, dim) for dim in first.dims))
        shifts.append(tuple({"left": -0.5, "right": 0.5}.get(moved.get(dim, ""), 0.0)
                            for dim in first.dims))  # fmt: skip
        for name, labelled in faces.coordinates(number).items():
            coordinate = _as_coordinate(labelled)
            ends = [moved[dim] for dim in coordinate.dims if dim in new_names]
            along = tuple(new_names.get(dim, dim) for dim in coordinate.dims)
            coordinates[f"{name}_{ends[0]}" if ends else name] = replace(coordinate, dims=along)
    return Places(owners, tuple(names), _drop_references(coordinates), tuple(shifts))


def _is_shared(faces: StaggeredResults, dim: str) -> bool:
    """Tell whether some results lie at the samples along an axis, and some between them."""
    moved = [dim in faces.moved(number) for number in range(faces.count)]
    return any(moved) and not all(moved)


def _coordinates_of(f: Source) -> dict[str, Coordinate]:
    of_axes = {
        dim: _as_coordinate(((dim,), values, f.coordinate_attributes.get(dim, {})))
        for dim, values in f.coordinates.items()
        if dim in f.dims
    }
    return of_axes | {name: f.beside[name] for name in f.beside if name not in of_axes}


def _as_labelled(f: Source) -> SimpleNamespace:
    """Return as much of a DataArray as `StaggeredResults` looks at."""
    sizes = dict(zip(f.dims, f.shape, strict=True))
    return SimpleNamespace(
        source=f, name=f.name, dims=f.dims, sizes=sizes, coords=_coordinates_of(f)
    )


def _as_coordinate(coordinate: Any) -> Coordinate:
    if isinstance(coordinate, Coordinate):
        return coordinate
    dims, values, attributes = coordinate
    return Coordinate(tuple(dims), partial(np.asarray, values), attributes, values.nbytes)


def _drop_references(coordinates: Mapping[str, Coordinate]) -> dict[str, Coordinate]:
    """Return coordinates without attributes that name what is not written."""
    return {
        name: replace(
            coordinate, attrs={k: v for k, v in coordinate.attrs.items() if k not in _ELSEWHERE}
        )
        for name, coordinate in coordinates.items()
    }


def at_samples(f: Source) -> Source:
    """Return a field with the names of axes that they have at the samples: ``x`` for ``x_left``."""
    new_names = {dim: re.sub(r"(?<=.)_(left|right)$", "", dim) for dim in f.dims}

    def renamed(entries: Mapping[str, Any]) -> dict[str, Any]:
        return {new_names.get(name, name): coordinate for name, coordinate in entries.items()}

    beside = {
        name: replace(coordinate, dims=tuple(new_names.get(dim, dim) for dim in coordinate.dims))
        for name, coordinate in f.beside.items()
    }
    return replace(
        f, dims=tuple(new_names[dim] for dim in f.dims), coordinates=renamed(f.coordinates),
        coordinate_attributes=renamed(f.coordinate_attributes), beside=renamed(beside),
    )  # fmt: skip
