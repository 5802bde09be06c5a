"""What statements of `everyday` are about: fields, grids, and what people write without gpugrad."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np

import gpugrad
from benchmarks.operators import curl, find_weights

OPERATORS = (
    "gradient",
    "derivative",
    "laplacian",
    "divergence",
    "curl",
    "hessian",
    "gradient_norm",
)

Draw = Callable[[int], Iterable[Any]]
"""Returns so many sets of arguments, none of which has been there before."""

_numbers = count(1)  # nothing that a process draws comes twice


def make_names(shape: tuple[int, ...], library: str, draw: Draw | None) -> dict[str, Any]:
    """Return what the names in statements mean, for fields of a shape."""
    rng = np.random.default_rng(2)
    f = rng.standard_normal(shape)
    names: dict[str, Any] = {"np": np, **{name: getattr(gpugrad, name) for name in OPERATORS}}
    if library == "jax":
        import jax

        a, where = map(jax.numpy.asarray, (f.astype("float32"), rng.random(shape) > 0.1))
        return names | {"jax": jax, "jnp": jax.numpy, "a": a, "where": where, "draw": draw,
                        "laplacian_inside": laplacian_inside}  # fmt: skip
    if library == "torch":
        import torch

        t = torch.from_numpy(f)
        return names | {"torch": torch, "t": t, "g": t.clone().requires_grad_(), "half": t.half(),
                        "bfloat16": t.bfloat16(), "differences_of_rolls": differences_of_rolls,
                        "without_graph": without_graph}  # fmt: skip
    if library == "xarray":
        import xarray

        x = next(iter(draw_coordinates(shape, 1)))[-1]
        return names | {"d": xarray.DataArray(f, {"x": x}, ("y", "x"))}
    if find_spec("scipy"):
        from scipy import ndimage

        names["ndimage"] = ndimage
    infinite = f.copy()
    infinite[rng.random(shape) > 0.999] = np.inf
    land = rng.random(shape[-2:]) > 0.1
    latitude, longitude = np.linspace(-80, 80, shape[0]), np.linspace(10, 300, shape[-1])
    return names | {
        "f": f,
        "v": rng.standard_normal((len(shape), *shape)),
        "i": rng.integers(-9, 9, shape),
        "values": f.tolist(),
        "out": tuple(np.empty_like(f) for _ in shape) if len(shape) > 1 else np.empty_like(f),
        "masked": np.ma.array(f, mask=rng.random(shape) > 0.9),
        "swapped": f.astype(f.dtype.newbyteorder()),
        "infinite": infinite,
        "where": rng.random(shape) > 0.01,
        "land": land,
        "lands": np.ascontiguousarray(np.broadcast_to(land, shape)),
        "xs": next(iter(draw_coordinates(shape, 1))),
        "draw": draw,
        "sphere": gpugrad.Sphere(latitude, longitude, radius=1.0),
        "angles": (np.deg2rad(latitude), np.deg2rad(longitude)),
        "laplacian_inside": laplacian_inside,
        "numpys_curl": numpys_curl,
        "numpys_sphere": numpys_sphere,
        "numpys_laplacian_on_sphere": numpys_laplacian_on_sphere,
        "numpys_divergence_on_sphere": numpys_divergence_on_sphere,
        "numpys_curl_on_sphere": numpys_curl_on_sphere,
    }


def draw_spacings(number: int) -> list[Any]:
    """Return spacings."""
    return [(0.5 + 1e-7 * next(_numbers),) for _ in range(number)]


def draw_coordinates(shape: tuple[int, ...], number: int) -> list[Any]:
    """Return coordinates for each axis, unevenly apart."""
    rng = np.random.default_rng(next(_numbers))
    axes = [rng.uniform(0.5, 1.5, (number, n)).cumsum(axis=1) for n in shape]
    return [*zip(*axes, strict=True)]


def draw_lengths(lengths: int, number: int) -> list[Any]:
    """Return fields of so many different lengths, one after the other; these do come again."""
    f = np.random.default_rng(2).standard_normal(2 * lengths)
    return [(f[: lengths + next(_numbers) % lengths],) for _ in range(number)]


def laplacian_inside(f: Any) -> Any:
    """Return the Laplacian without the samples at the ends, as most people write it."""
    inside = (slice(1, -1),) * f.ndim
    total = -2.0 * f.ndim * f[inside]
    for axis in range(f.ndim):
        for rows in (slice(2, None), slice(-2)):
            total = total + f[(*inside[:axis], rows, *inside[axis + 1 :])]
    return total


def numpys_curl(v: Any) -> Any:
    """Return the curl in the plane or in space."""
    if len(v) == 3:
        return curl(v)
    return np.gradient(v[1], axis=0) - np.gradient(v[0], axis=1)


def numpys_sphere(f: Any, latitude: Any, longitude: Any) -> Any:
    """Return the gradient on a sphere of radius 1."""
    north, east = np.gradient(f, latitude, longitude)
    return north, east / np.cos(latitude)[:, np.newaxis]


def numpys_laplacian_on_sphere(f: Any, latitude: Any, longitude: Any) -> Any:
    """Return the Laplacian on a sphere of radius 1, as most people write it."""
    return numpys_divergence_on_sphere(
        *numpys_sphere(f, latitude, longitude)[::-1], latitude, longitude
    )


def numpys_divergence_on_sphere(u: Any, v: Any, latitude: Any, longitude: Any) -> Any:
    """Return the divergence on a sphere of radius 1, as most people write it."""
    cos = np.cos(latitude)[:, np.newaxis]
    return (np.gradient(u, longitude, axis=1) + np.gradient(v * cos, latitude, axis=0)) / cos


def numpys_curl_on_sphere(u: Any, v: Any, latitude: Any, longitude: Any) -> Any:
    """Return the vorticity on a sphere of radius 1, as most people write it."""
    cos = np.cos(latitude)[:, np.newaxis]
    return (np.gradient(v, longitude, axis=1) - np.gradient(u * cos, latitude, axis=0)) / cos


def differences_of_rolls(t: Any) -> Any:
    """Return the gradient of a periodic tensor."""
    return tuple((t.roll(-1, axis) - t.roll(1, axis)) / 2 for axis in range(t.ndim))


def without_graph(gradient: Callable[[Any], Any], t: Any) -> Any:
    """Return a gradient that is not differentiated any more."""
    import torch

    with torch.no_grad():
        return gradient(t)


def generate(
    dtype: str, operator: str, accuracy: int, shape: tuple[int, ...], *others: Any
) -> dict[str, Any]:
    """Return the names of a large field, of arrays for results, and of the C of pystencils."""
    import pystencils as ps

    f = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    number, order = (len(shape), 1) if operator == "gradient" else (1, 2)
    ours, theirs = ([np.zeros_like(f) for _ in range(number)] for _ in range(2))
    size = ",".join(map(str, shape))
    field = ps.fields(f"f: {dtype}[{size}]")
    outs = [ps.fields(f"out{k}: {dtype}[{size}]") for k in range(number)]
    offsets = np.arange(-(accuracy // 2), accuracy // 2 + 1)
    weights = [*zip(offsets.tolist(), find_weights(offsets, order), strict=True)]
    sums = [
        sum(w * field[tuple(k * (a == axis) for a in range(len(shape)))] for k, w in weights if w)
        for axis in range(len(shape))
    ]
    sums = sums if number > 1 else [sum(sums)]
    config = ps.CreateKernelConfig(
        target=ps.Target.GenericCPU, default_dtype=dtype, ghost_layers=accuracy // 2
    )  # its compiler makes vectors of its loops, as fast as those that it writes itself
    config.cpu.openmp.enable = True
    pairs = [ps.Assignment(out.center(), total) for out, total in zip(outs, sums, strict=True)]
    kernel = ps.create_kernel(pairs, config).compile()
    arrays = {"f": f, **{f"out{k}": array for k, array in enumerate(theirs)}}

    def run() -> Any:
        kernel(**arrays)
        return theirs

    out = tuple(ours) if number > 1 else ours[0]
    return {operator: getattr(gpugrad, operator), "f": f, "out": out, "generated": run}
