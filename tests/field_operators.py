"""A table of calls on one field of 13 x 10 samples: every operator, and grids of every kind."""

from __future__ import annotations

import numpy as np

import gpugrad

ROWS, COLUMNS = 13, 10
LATITUDE, LONGITUDE = np.linspace(-90, 90, ROWS), np.arange(0, 360, 36.0)
UNEVEN = np.arange(ROWS) ** 1.2, np.arange(COLUMNS) ** 1.1
Y, X = np.meshgrid(np.linspace(-60, 60, ROWS), np.linspace(0, 90, COLUMNS), indexing="ij")
Y = Y + np.sin(X)


def list_grids():
    """Return grids by name, and which of them have unknown components at poles."""
    return {
        "sphere": gpugrad.Sphere(LATITUDE, LONGITUDE),
        "region": gpugrad.Sphere(LATITUDE / 2, LONGITUDE, accuracy=4),
        "cells": gpugrad.Sphere(LATITUDE * (1 - 1 / ROWS), LONGITUDE, accuracy=4),
        "curved sphere": gpugrad.Sphere(Y, X),
        "curved": gpugrad.CurvilinearGrid(Y, X),
    }


def list_operators():
    """Return functions of a field by name."""
    operators = {}
    options = {
        "plain": {},
        "accurate": {"accuracy": 4},
        "periodic": {"boundary": "periodic", "accuracy": 4},
        "mirrored": {"boundary": "symmetric"},
        "skipna": {"skipna": True},
    }
    for title, given in options.items():
        for name in ("gradient", "gradient_norm", "laplacian", "hessian"):
            operators[f"{name} {title}"] = lambda f, name=name, given=given: getattr(gpugrad, name)(
                f, 0.5, **given
            )
        for name in ("divergence", "curl", "jacobian"):
            operators[f"{name} {title}"] = lambda f, name=name, given=given: getattr(gpugrad, name)(
                (f, -f), 0.5, **given
            )
        operators[f"derivative {title}"] = lambda f, given=given: gpugrad.derivative(
            f, 0.5, axis=0, order=3, **given
        )
    for name in ("gradient", "laplacian", "hessian"):
        operators[f"{name} uneven"] = lambda f, name=name: getattr(gpugrad, name)(f, *UNEVEN)
    operators |= {
        "stack": lambda f: gpugrad.gradient(f, 0.5, stack=True),
        "edge order": lambda f: gpugrad.gradient(f, 0.5, edge_order=2),
        "value": lambda f: gpugrad.gradient(f, 0.5, boundary=(2.0, {"normal": 1.0})),
        "staggered": lambda f: gpugrad.derivative(f, 0.5, axis=0, stagger="left"),
        "plan": lambda f: gpugrad.plan(f.shape, 0.5, operator="laplacian", dtype=f.dtype)(f),
    }
    for title, grid in list_grids().items():
        for given in ({}, {"skipna": True}):
            place = f"{title} {' '.join(given)}"
            for name in ("gradient", "gradient_norm", "laplacian"):
                operators[f"{place} {name}"] = lambda f, grid=grid, name=name, given=given: getattr(
                    grid, name
                )(f, **given)
            for name in ("divergence", "curl"):
                operators[f"{place} {name}"] = lambda f, grid=grid, name=name, given=given: (
                    getattr(grid, name)(u=f, v=-f, **given)
                    if isinstance(grid, gpugrad.Sphere)
                    else getattr(grid, name)((f, -f), **given)
                )
    return operators


OPERATORS = list_operators()


def flatten(results):
    if isinstance(results, tuple):
        return [entry for result in results for entry in flatten(result)]
    return [results]
