"""Gradients of a field with masked samples, beside the same written with NumPy and the floor.

The floor reads the field once and writes each result once; the mask adds its bytes to what is
read, and the floor is taken to be longer by their share.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import gpugrad
from benchmarks.floor import race_floor
from benchmarks.measure import timed
from benchmarks.table import Case, Heats, Promise, Row


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield masks, true where samples are valid; for those at random no floor is promised."""
    length = 40 if quick else 256
    shape = (length,) * 3
    x = np.linspace(0, 12, length)
    height = np.sin(x)[:, np.newaxis] * np.cos(1.3 * x) + 0.3 * np.sin(2.2 * x[:, np.newaxis] + x)
    rng = np.random.default_rng(6)
    for name, where in (
        ("none missing", np.ones(shape, bool)),
        ("land and sea", np.ascontiguousarray(np.broadcast_to(height > -0.3, shape))),
        ("1 % at random", rng.random(shape) > 0.01),
        ("10 % at random", rng.random(shape) > 0.1),
    ):
        promises = [Promise("gpugrad", "speed_up", 8.0)]
        if "random" not in name:
            promises.append(Promise("gpugrad", "over_floor", 2.0))
        facts = {"masked": float(1 - where.mean())}
        yield Case(f"{length}^3, {name}", partial(race_mask, where), promises, facts)


def race_mask(where: Any, row: Row) -> Heats:
    """Check the results, then time both, and the floor."""
    f = np.random.default_rng(5).standard_normal(where.shape)
    out = tuple(np.empty_like(f) for _ in range(f.ndim))
    pairs = zip(gpugrad.gradient(f, where=where), with_numpy(f, where), strict=True)
    if not all(np.array_equal(ours, numpys, equal_nan=True) for ours, numpys in pairs):
        raise AssertionError("the results differ from NumPy's")
    timers = {
        "gpugrad": timed(lambda: gpugrad.gradient(f, where=where, out=out)),
        "numpy": timed(lambda: with_numpy(f, where)),
    }
    longer = 1 + where.nbytes / (f.nbytes + sum(result.nbytes for result in out))
    for name, floor in race_floor(row, [[f]] * f.ndim, out).items():
        timers[name] = lambda floor=floor: longer * floor()
    yield timers


def with_numpy(f: Any, where: Any) -> list[Any]:
    """Return what `gpugrad.gradient(f, where=where)` does, as one writes it with NumPy."""
    f = np.where(where, f, np.nan)
    results = []
    for axis in range(f.ndim):
        g = np.moveaxis(np.gradient(f, axis=axis), axis, 0)
        along = np.moveaxis(f, axis, 0)
        step = along[1:] - along[:-1]
        forward = -1.5 * along[:-2] + 2.0 * along[1:-1] - 0.5 * along[2:]
        backward = 0.5 * along[:-2] - 2.0 * along[1:-1] + 1.5 * along[2:]
        for rows, other in (
            (slice(None, -2), forward),
            (slice(2, None), backward),
            (slice(None, -1), step),
            (slice(1, None), step),
        ):
            np.copyto(g[rows], other, where=np.isnan(g[rows]))
        g[~np.moveaxis(where, axis, 0)] = np.nan
        results.append(np.moveaxis(g, 0, axis))
    return results
