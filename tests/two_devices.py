"""Calls in which arrays of two devices meet, on any library: what each must say."""

from __future__ import annotations

import numpy as np

import gpugrad

SHAPE = (6, 7)


def name_calls(here, there):
    """Return calls by name; ``here`` and ``there`` make arrays on two devices of NumPy's."""
    field = np.arange(42.0).reshape(SHAPE) ** 2
    row, column = np.arange(6.0) ** 2, np.arange(7.0) ** 2
    x, y = np.meshgrid(row, column, indexing="ij")
    mask = field != 49
    latitude, longitude = np.linspace(-60, 60, 6), np.linspace(0, 30, 7)
    pair = here(field), there(field)

    def product(u, v):
        return u * v

    def plan(*spacing, **options):
        return gpugrad.plan(SHAPE, *spacing, like=here(field), dtype="float64", **options)

    return {
        "mask": lambda: gpugrad.gradient(here(field), where=there(mask)),
        "mask of a Laplacian": lambda: gpugrad.laplacian(here(field), where=there(mask)),
        "mask of a norm": lambda: gpugrad.gradient_norm(here(field), where=there(mask)),
        "mask of an estimate": lambda: gpugrad.error_estimate(here(field), where=there(mask)),
        "mask of a plan": lambda: plan(where=there(mask)),
        "field of a plan": lambda: plan()(there(field)),
        "divergence": lambda: gpugrad.divergence(pair),
        "curl": lambda: gpugrad.curl(pair),
        "jacobian": lambda: gpugrad.jacobian(pair),
        "vector Laplacian": lambda: gpugrad.vector_laplacian(pair),
        "divergence on a sphere": lambda: gpugrad.Sphere(latitude, longitude).divergence(
            u=pair[0], v=pair[1]
        ),
        "divergence on a grid": lambda: gpugrad.CurvilinearGrid(x, y).divergence(pair),
        "mask on a grid": lambda: gpugrad.CurvilinearGrid(x, y).gradient(
            here(field), where=there(mask)
        ),
        "coordinates of a grid": lambda: gpugrad.CurvilinearGrid(here(x), there(y)).gradient(
            there(field)
        ),
        "points": lambda: gpugrad.gradient_of(product)(here(row), there(row)),
        "coordinates of a table": lambda: gpugrad.tabulate(product, here(row), there(column)),
    }


def name_calls_to_write(here, there):
    """Return calls with arrays to write to, for libraries whose arrays can be written to."""
    field = np.arange(42.0).reshape(SHAPE) ** 2
    return {
        "out": lambda: gpugrad.gradient(here(field), axis=0, out=there(field)),
        "second out": lambda: gpugrad.gradient(here(field), out=(here(field), there(field))),
        "out of a divergence": lambda: gpugrad.divergence(
            (here(field), here(field)), out=there(field)
        ),
        "out of a plan": lambda: gpugrad.plan(SHAPE, like=here(field), dtype="float64", axis=0)(
            here(field), out=there(field)
        ),
        "out of a filter": lambda: gpugrad.smooth_derivative(
            here(field), axis=0, window_length=3, polyorder=2, out=there(field)
        ),
    }


def name_calls_with_coordinates(here, there):
    """Return calls with coordinates there that can't be read from the host."""
    field = np.arange(42.0).reshape(SHAPE) ** 2
    row, column = np.arange(6.0) ** 2, np.arange(7.0) ** 2
    x, y = np.meshgrid(row, column, indexing="ij")
    return {
        "coordinates": lambda: gpugrad.gradient(here(field), there(row), axis=0),
        "distance": lambda: gpugrad.gradient(here(field), there(np.array(0.5))),
        "coordinates of a Laplacian": lambda: gpugrad.laplacian(
            here(field), there(row), here(column)
        ),
        "coordinates of a plan": lambda: gpugrad.plan(
            SHAPE, there(row), like=here(field), axis=0, dtype="float64"
        ),
        "coordinates of an estimate": lambda: gpugrad.error_estimate(
            here(field), there(row), axis=0
        ),
        "a grid elsewhere": lambda: gpugrad.CurvilinearGrid(there(x), there(y)).gradient(
            here(field)
        ),
    }
