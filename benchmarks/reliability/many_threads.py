"""Sixteen threads that call everything at once, for some seconds.

Each thread makes random calls: operators, engines, libraries, spacings that come again and new
ones, plans that all threads share, results into ``out=`` and into memory of dead results. Every
result is compared with what the same call gave before there were threads, or with NumPy's, bit for
bit.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import gpugrad
from benchmarks.reliability.random_calls import as_tuple, find_difference
from benchmarks.reliability.trial import Outcome, last_line, run_child

THREADS = 16

Job = Callable[[random.Random], tuple[Any, Any]]
"""Makes a call; returns its results, and what they must be."""


def _again(call: Callable[[], Any]) -> Job:
    """Return a job that makes one and the same call, which is made here once."""
    expected = tuple(np.array(result) for result in as_tuple(call()))
    return lambda dice: (call(), expected)


def _make_fields() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"small": (9, 11), "line": (3000,), "large": (360, 380), "deep": (20, 60, 50)}
    fields = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    fields["single"] = fields["large"].astype("f4")
    fields["counts"] = rng.integers(-100, 100, (100, 150)).astype("i2")
    fields["waves"] = fields["large"] * (1 + 2j)
    return fields


def _list_fresh(fields: dict[str, np.ndarray], backends: list[str]) -> dict[str, Job]:
    """Return jobs with numbers of their own every time, beside NumPy."""

    def even(dice: random.Random) -> tuple[Any, Any]:
        f, h = fields[dice.choice([*fields])], dice.uniform(0.1, 9)
        axis = dice.randrange(f.ndim)
        with gpugrad.use_backend(dice.choice(backends), threads=dice.choice([None, 1, 2, 3])):
            return gpugrad.gradient(f, h, axis=axis), np.gradient(f, h, axis=axis)

    def uneven(dice: random.Random) -> tuple[Any, Any]:
        f = fields[dice.choice([*fields])]
        axis, start = dice.randrange(f.ndim), dice.uniform(-5, 5)
        x = start + np.arange(f.shape[axis]) ** 1.5
        got = gpugrad.gradient(f, x, axis=axis, edge_order=2, backend=dice.choice(backends))
        return got, np.gradient(f, x, axis=axis, edge_order=2)

    def into(dice: random.Random) -> tuple[Any, Any]:
        f = fields[dice.choice(["large", "deep", "single"])]
        out = tuple(np.full_like(f, 7.0) for _ in range(f.ndim))
        gpugrad.gradient(f, out=out, backend=dice.choice(backends))
        return out, np.gradient(f)

    def in_place(dice: random.Random) -> tuple[Any, Any]:
        f = fields["large"].copy()
        return gpugrad.gradient(f, axis=1, out=f), np.gradient(fields["large"], axis=1)

    def twice(dice: random.Random) -> tuple[Any, Any]:
        """Hold a result while another one is made: neither may lie in the memory of the other."""
        first = gpugrad.gradient(fields["large"], axis=0)
        second = gpugrad.gradient(fields["large"], axis=1)
        return (first, second), np.gradient(fields["large"])

    def mistaken(dice: random.Random) -> tuple[Any, Any]:
        try:
            gpugrad.gradient(fields["small"], dice.choice([0.0, np.nan, [1.0], "x"]))
        except (TypeError, ValueError):
            return np.zeros(0), np.zeros(0)
        return np.zeros(0), np.ones(1)

    jobs: dict[str, Job] = {
        "even": even, "uneven": uneven, "into": into, "in place": in_place, "twice": twice,
        "mistaken": mistaken,
    }  # fmt: skip

    def torch_tensors(dice: random.Random) -> tuple[Any, Any]:
        import torch

        f = fields[dice.choice(["small", "large", "single"])]
        h = dice.uniform(0.1, 9)
        return gpugrad.gradient(torch.from_numpy(f), h), np.gradient(f, h)

    def dask_arrays(dice: random.Random) -> tuple[Any, Any]:
        import dask.array as da

        f, h = fields["large"], dice.uniform(0.1, 9)
        lazy = gpugrad.gradient(da.from_array(f, chunks=200), h, axis=0)
        return lazy.compute(scheduler=dice.choice(["threads", "sync"])), np.gradient(f, h, axis=0)

    if find_spec("torch"):
        jobs["torch"] = torch_tensors
    if find_spec("dask"):
        jobs["dask"] = dask_arrays
    return jobs


def _list_repeated(fields: dict[str, np.ndarray], backends: list[str]) -> dict[str, Job]:
    """Return jobs that make one call again and again, and plans that all threads share."""
    f, deep = fields["large"], fields["deep"]
    mask = np.random.default_rng(1).random(f.shape) < 0.9
    operators: dict[str, Callable[..., Any]] = {
        "laplacian": lambda **o: gpugrad.laplacian(deep, accuracy=4, **o),
        "derivative": lambda **o: gpugrad.derivative(f, order=2, accuracy=6, axis=0, **o),
        "periodic": lambda **o: gpugrad.gradient(f, 0.5, accuracy=4, boundary="periodic", **o),
        "divergence": lambda **o: gpugrad.divergence((deep, deep, deep), **o),
        "curl": lambda **o: gpugrad.curl((f, f), 0.3, **o),
        "masked": lambda **o: gpugrad.gradient(f, where=mask, **o),
        "norm": lambda **o: gpugrad.gradient_norm(f, 2.0, **o),
    }
    jobs = {}
    for name, operator in operators.items():
        expected = tuple(np.array(result) for result in as_tuple(operator(backend="slices")))

        def job(dice: random.Random, operator: Any = operator, expected: Any = expected) -> Any:
            return operator(backend=dice.choice(backends)), expected

        jobs[name] = job
    for backend in backends:
        shared = gpugrad.plan(f.shape, 0.7, accuracy=4, backend=backend)
        jobs[f"shared plan, {backend}"] = _again(lambda shared=shared: shared(f))
    sphere = gpugrad.Sphere(np.linspace(-90, 90, 40), np.arange(0, 360, 6.0), radius=1.0)
    field = np.random.default_rng(2).normal(size=(40, 60))
    jobs["sphere"] = _again(lambda: sphere.gradient(field))
    jobs["turning points"] = _again(lambda: gpugrad.turning_points(fields["line"]).position)
    slopes = gpugrad.gradient_of(lambda x, y: x * y + np.sin(x))
    jobs["function"] = _again(lambda: slopes(1.5, np.arange(50.0)))
    if find_spec("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
        single = jax.numpy.asarray(fields["small"])
        jobs["jax"] = _again(lambda: gpugrad.gradient(single, 0.5))

    def free(dice: random.Random) -> tuple[Any, Any]:
        gpugrad.free_memory()
        return np.zeros(0), np.zeros(0)

    return jobs | {"free memory": free}


def list_jobs() -> dict[str, Job]:
    """Return all jobs, each tried once."""
    fields = _make_fields()
    backends = ["auto", "slices", "numpy", *(["compiled"] if find_spec("llvmlite") else [])]
    return _list_fresh(fields, backends) | _list_repeated(fields, backends)


def work(seconds: float, seed: int) -> Outcome:
    """Let threads call for so many seconds; count their calls."""
    outcome, jobs, stop = Outcome(), list_jobs(), time.monotonic() + seconds
    names, counts, starting_line = [*jobs], [0] * THREADS, threading.Barrier(THREADS)

    def call_on(number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        starting_line.wait()
        while time.monotonic() < stop:
            name = dice.choice(names)
            try:
                got, wanted = jobs[name](dice)
                wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
                problem = find_difference(as_tuple(got), wanted, exact=name != "jax")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                problem = f"{type(error).__name__}: {error}"
            if problem:
                outcome.fail(f"{name}, thread {number}: {problem}")
            counts[number] += 1

    threads = [threading.Thread(target=call_on, args=(i,), daemon=True) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for i, thread in enumerate(threads):
        thread.join(seconds + 120)
        if thread.is_alive():
            outcome.fail(f"thread {i} hangs", crashed=True)
    outcome.tried = sum(counts)
    return outcome


def run(count: int, seed: int) -> Outcome:
    """Run 16 threads for `count` seconds in a process of their own; `tried` are their calls."""
    done = run_child(__name__, count, seed, timeout=count + 300)
    outcome = Outcome()
    try:
        outcome.tried, outcome.wrong, outcome.crashed = json.loads(last_line(done.stdout))
    except ValueError:
        outcome.fail(f"status {done.returncode}: {done.stderr[-3000:]}", crashed=True)
        return outcome
    if outcome.wrong or outcome.crashed or done.returncode:
        print(done.stderr[-5000:], file=sys.stderr)
    if done.returncode and not outcome.crashed:
        outcome.fail(f"status {done.returncode} at the end", crashed=True)
    return outcome


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.setswitchinterval(1e-4)
    if find_spec("llvmlite"):
        from gpugrad._engines.compiled import engine

        engine.THREADED_BYTES = 1 << 19
    found = work(float(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps([found.tried, found.wrong, found.crashed]), flush=True)
