"""Grids that are not boxes: the sphere, and curved grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import gpugrad
from gpugrad.typing import Axes, Axis, Boundary

Field = NDArray[np.float64]


class Tensor:
    """An array of another library, of which nothing is known here."""


f: Field = np.zeros((4, 5))
tensor = Tensor()

sphere = gpugrad.Sphere(np.linspace(-90, 90, 4), np.arange(5.0), radius=1.0, accuracy=4)
north, east = sphere.gradient(f)
assert_type(north, Field)
assert_type(east, Field)
assert_type(sphere.gradient(f), gpugrad.SphereGradient[Field])
assert_type(sphere.gradient(tensor).east, Tensor)
assert_type(sphere.gradient(tensor).north, Tensor)
assert_type(sphere.gradient(f, stack=True), Field)
assert_type(sphere.gradient_norm(tensor), Tensor)
assert_type(sphere.laplacian(tensor), Tensor)
assert_type(sphere.divergence(u=f, v=f, where=f > 0, skipna=True), Field)
assert_type(sphere.curl(u=f, v=f, backend="slices"), Field)
assert_type(sphere.latitude, Any)
assert_type(sphere.longitude, Any)
assert_type(sphere.radius, Any)
assert_type(sphere.degrees, bool)
assert_type(sphere.axis, Sequence[Axis])
assert_type(sphere.periodic, bool | None)
assert_type(sphere.accuracy, int)
assert_type(sphere.edge_accuracy, int | None)
gpugrad.Sphere(latitude="lat_rho", axis=("y", "x"))

grid = gpugrad.CurvilinearGrid(f, f, boundary=("edge", "one-sided"), period={1: (5.0, 0.0)})
assert_type(grid.gradient(f), Any)  # one array or several: the number of coordinates tells
assert_type(grid.gradient(tensor, stack=True), Tensor)
assert_type(grid.gradient_norm(f), Field)
assert_type(grid.laplacian(f), Field)
assert_type(grid.divergence((tensor, tensor)), Tensor)
assert_type(grid.curl((f, f)), Field)
assert_type(grid.curl((f, f, f)), tuple[Field, Field, Field])
assert_type(grid.curl((f, f, f), stack=True), Field)
assert_type(grid.jacobian((f, f)), tuple[tuple[Field, ...], ...])
assert_type(grid.jacobian((f, f), stack=True), Field)
assert_type(grid.coordinates, tuple[Any, ...])
assert_type(grid.axis, Axes)
assert_type(grid.accuracy, int)
assert_type(grid.edge_accuracy, int | None)
assert_type(grid.boundary, Boundary)
assert_type(grid.period, Any)

# Wrong calls.
sphere.gradient(f, spacing=1.0)  # type: ignore[call-overload]
sphere.gradient(f).west  # type: ignore[attr-defined]  # noqa: B018
sphere.curl(f, f)  # type: ignore[call-arg]
sphere.divergence(u=f)  # type: ignore[call-arg]
sphere.kept  # type: ignore[attr-defined]  # noqa: B018
gpugrad.Sphere([0.0, 1.0], [0.0, 1.0], 6.0)  # type: ignore[call-arg]
gpugrad.Sphere(axis=1)  # type: ignore[arg-type]
gpugrad.CurvilinearGrid(f, f, boundary="nearest")  # type: ignore[arg-type]
grid.laplacian(f, edge_order=2)  # type: ignore[call-arg]
