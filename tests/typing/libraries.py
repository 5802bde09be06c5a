"""Arrays of other libraries, with the types that these libraries declare.

Behind ``revealed`` stands what both type checkers print for the line, without names of modules.
"""

from __future__ import annotations

from typing import reveal_type

import dask.array as da
import jax
import jax.numpy as jnp
import torch
import xarray as xr

import gpugrad
import gpugrad.xarray

tensor = torch.zeros(4, 5)
reveal_type(gpugrad.gradient(tensor, axis=0))  # revealed: Tensor
reveal_type(gpugrad.gradient(tensor, axis=(0, 1)))  # revealed: tuple[Tensor, Tensor]
reveal_type(gpugrad.laplacian(tensor, 0.5))  # revealed: Tensor
reveal_type(gpugrad.curl((tensor, tensor)))  # revealed: Tensor
reveal_type(gpugrad.Sphere([0.0], [0.0]).gradient(tensor).east)  # revealed: Tensor

array = jnp.zeros((4, 5))
reveal_type(gpugrad.derivative(array, order=2))  # revealed: Array
reveal_type(gpugrad.gradient(array, stack=True))  # revealed: Array
reveal_type(gpugrad.hessian(array))  # revealed: tuple[tuple[Array, ...], ...]
slope: jax.Array = gpugrad.gradient_norm(array)


def differentiate(chunks: da.Array) -> da.Array:
    """Dask does not say that its functions return such arrays."""
    reveal_type(gpugrad.gradient(chunks, axis=1))  # revealed: Array
    return gpugrad.divergence((chunks, chunks))


labelled = xr.DataArray([0.0, 1.0, 4.0], dims="x")
reveal_type(gpugrad.gradient(labelled, axis="x"))  # revealed: DataArray
reveal_type(gpugrad.gradient_norm(labelled))  # revealed: DataArray
reveal_type(gpugrad.Sphere().curl(u=labelled, v=labelled))  # revealed: DataArray
reveal_type(gpugrad.gradient(labelled))  # revealed: Any

# The accessor, whose operators follow a table: what they give is not known before.
reveal_type(labelled.gpugrad.gradient("x"))  # revealed: Any
of_array = gpugrad.xarray.DataArrayAccessor(labelled)
reveal_type(of_array.sphere())  # revealed: FieldOnGrid
reveal_type(of_array.sphere().gradient_norm())  # revealed: DataArray
reveal_type(of_array.curvilinear("x").laplacian())  # revealed: DataArray
reveal_type(of_array.curvilinear("x").gradient())  # revealed: Any
reveal_type(of_array.turning_points("x"))  # revealed: Any
of_array.inflection_points("x"), of_array.critical_points(), of_array.noise_level("x")
of_array.smooth_derivative("x"), of_array.recommended_spacing(), of_array.error_estimate("x")
of_dataset = gpugrad.xarray.DatasetAccessor(labelled.to_dataset(name="u"))
reveal_type(of_dataset.sphere())  # revealed: WindsOnSphere
reveal_type(of_dataset.sphere().curl(u="u", v="u"))  # revealed: DataArray
reveal_type(of_dataset.curvilinear("x"))  # revealed: VectorOnGrid
reveal_type(of_dataset.curvilinear("x").divergence("u"))  # revealed: DataArray
reveal_type(of_dataset.curvilinear("x").jacobian("u"))  # revealed: Any

# Wrong calls.
gpugrad.gradient(tensor, edge_order=3)  # type: ignore[call-overload]
gpugrad.laplacian(array).to_dataset()  # type: ignore[attr-defined]
of_array.turning_points()  # type: ignore[call-arg]
of_array.sphere().curl()  # type: ignore[attr-defined]
