"""Operators on arrays, and their options: what comes back, and which calls are wrong.

Wrong calls have a comment that lets the error pass; where there is no error, the comment is one.
"""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import gpugrad
from gpugrad.typing import Axes, Axis, Backend, Boundary, EdgeOrder, Period, Side, Spacing, Stagger

Field = NDArray[np.float64]


class Tensor:
    """An array of another library, of which nothing is known here."""


f: Field = np.zeros((4, 5))
integers: NDArray[np.int64] = np.zeros((4, 5), np.int64)
tensor = Tensor()

# A derivative is an array of the field's own type.
assert_type(gpugrad.gradient(f, axis=0), Field)
assert_type(gpugrad.gradient(f, axis="x"), Field)
assert_type(gpugrad.gradient(f, stack=True), Field)
assert_type(gpugrad.gradient(f, axis=(0, 1)), tuple[Field, Field])
assert_type(gpugrad.gradient(f, 1.0, 2.0, axis=("x", "y", "z")), tuple[Field, Field, Field])
assert_type(gpugrad.gradient(tensor, axis=0), Tensor)
assert_type(gpugrad.gradient(integers, axis=0), NDArray[Any])
assert_type(gpugrad.gradient([1.0, 4.0, 9.0], axis=0), NDArray[Any])
assert_type(gpugrad.derivative(f), Field)
assert_type(gpugrad.derivative(tensor, 0.5, order=2), Tensor)
assert_type(gpugrad.derivative([1, 4, 9]), NDArray[Any])
assert_type(gpugrad.laplacian(f), Field)
assert_type(gpugrad.gradient_norm(tensor), Tensor)
assert_type(gpugrad.divergence((f, f)), Field)
stacked: Field = np.stack([f, f])
assert_type(gpugrad.divergence(stacked), Field)
assert_type(gpugrad.curl((tensor, tensor)), Tensor)
assert_type(gpugrad.curl((f, f, f)), tuple[Field, Field, Field])
assert_type(gpugrad.curl((f, f, f), stack=True), Field)
assert_type(gpugrad.vector_laplacian((f, f)), tuple[Field, ...])
assert_type(gpugrad.jacobian((f, f), stack=True), Field)
assert_type(gpugrad.jacobian((f, f)), tuple[tuple[Field, ...], ...])
assert_type(gpugrad.hessian(f), tuple[tuple[Field, ...], ...])
assert_type(gpugrad.hessian(f, stack=True), Field)

assert_type(gpugrad.error_estimate(f, 0.5, accuracy=4), Field)
assert_type(gpugrad.error_estimate([1, 4, 9]), NDArray[Any])
assert_type(gpugrad.smooth_derivative(f, window_length=5, polyorder=2), Field)
assert_type(gpugrad.smooth_derivative(tensor, 0.5, lam=1.0), Tensor)
assert_type(gpugrad.noise_level(f, axis=0), Any)

# How many results there are depends on the axes, which no type tells: anything goes.
slope = gpugrad.gradient(f[0])
slope.max()
df_dx, df_dy = gpugrad.gradient(f)
df_dx.max()
h = gpugrad.gradient(f, axis=0)
h.shape  # noqa: B018

# Options in all their forms.
gpugrad.gradient(f, 0.5, boundary="periodic", period=2.5, edge_order=None, where=f > 0)
gpugrad.gradient(f, boundary=("reflect", 0.0), stagger={0: "left"}, backend="compiled")
gpugrad.gradient(f, boundary=["symmetric", {"normal": 1}])
gpugrad.gradient(f, boundary={0: "wrap", 1: ("edge", {"normal": 0.5})}, period={0: 4})
gpugrad.gradient(f, spacing=(0.5, [0.0, 1.0, 2.0]))
gpugrad.gradient(f, spacing={"lon": 0.5})
gpugrad.derivative(f, spacing=0.5, edge_order=2, time_unit="s", skipna=True)


def differentiate(
    values: Field, boundary: Boundary = "edge", stagger: Stagger = None, backend: Backend = "auto"
) -> Field:
    """Hand options on, as a library would."""
    return gpugrad.derivative(values, boundary=boundary, stagger=stagger, backend=backend)


def find_slope(
    values: Field,
    spacing: Spacing,
    axis: Axis = -1,
    edge_order: EdgeOrder = 2,
    end: Side = 0.0,
    period: Period | None = None,
) -> Field:
    """Hand on the options of one axis."""
    sides: Boundary = {axis: ("one-sided", end)}
    return gpugrad.derivative(
        values, spacing, axis=axis, edge_order=edge_order, boundary=sides, period=period
    )


def list_slopes(values: Field, axes: Axes = None) -> Any:
    """Hand on several axes."""
    return gpugrad.gradient(values, axis=axes)


at_walls: Boundary = {"normal": 0.0}
by_axis: Boundary = {"lon": "periodic", "lat": ("edge", {"normal": 0.5})}
find_slope(f, 0.5, end="edge", period={"lon": 360.0})


# Wrong calls.
gpugrad.gradiant(f)  # type: ignore[attr-defined]
gpugrad.spherical_gradient(f)  # type: ignore[attr-defined]
gpugrad.gradient(f, axis=0).shapes  # type: ignore[attr-defined]  # noqa: B018
gpugrad.gradient(f, acuracy=4)  # type: ignore[call-overload]
gpugrad.gradient(f, edge_order=3)  # type: ignore[call-overload]
gpugrad.gradient(f, boundary="nearest")  # type: ignore[arg-type]
gpugrad.gradient(f, boundary={0: "neumann"})  # type: ignore[dict-item]
gpugrad.gradient(f, stagger=["left", None])  # type: ignore[call-overload]
gpugrad.gradient(f, stagger="middle")  # type: ignore[call-overload]
gpugrad.gradient(f, backend="numba")  # type: ignore[call-overload]
gpugrad.gradient(f, axis=1.5)  # type: ignore[call-overload]
gpugrad.gradient(f, dim=0)  # type: ignore[call-overload]
gpugrad.gradient()  # type: ignore[call-overload]
gpugrad.derivative(f, axis=(0, 1))  # type: ignore[call-overload]
gpugrad.derivative(f, order="2")  # type: ignore[call-overload]
gpugrad.derivative(f, smooth="spline")  # type: ignore[call-overload]
gpugrad.laplacian(f, stagger="left")  # type: ignore[call-overload]
gpugrad.laplacian(f, edge_order=2)  # type: ignore[call-overload]
gpugrad.divergence((f, f), stack=True)  # type: ignore[call-overload]
gpugrad.gradient_norm(f, period="long")  # type: ignore[call-overload]
gpugrad.error_estimate(f, stack=True)  # type: ignore[call-overload]
find_slope(f, 0.5, end="middle")  # type: ignore[arg-type]
find_slope(f, 0.5, edge_order=0)  # type: ignore[arg-type]
gpugrad.smooth_derivative(f, smoothness=2.0)  # type: ignore[call-overload]
