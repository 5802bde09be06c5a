"""What the GPU's kernel is asked to do in tests: outputs over NumPy arrays, of every kind.

Run as a program, ``python kernel_cases.py [--nightly]``, it evaluates them on the host, with the
kernel compiled under sanitizers, and compares every bit with the reference engine. With
``--compile-for-gpu`` it compiles all instantiations for this machine's GPU, on all cores, into
CuPy's cache on disk: one after the other they take minutes.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import sys
import tempfile
from typing import NamedTuple

import numpy as np

from internals import (
    AxisPlan,
    Formula,
    Norm,
    Scheme,
    Side,
    Steps,
    Term,
    distinct_fields,
    distinct_masks,
    first_derivative,
    plan_beside_masked,
    replace_fields,
)

DTYPES = ["f2", "f4", "f8", "c8", "c16", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
SHAPES = [(300,), (37,), (9, 40), (33, 7), (5, 9, 32), (6, 4, 35), (20, 8, 4), (3, 4, 5, 12)]
WIDE_OFFSETS = [(1, -1), (-1, 0, 1), (-2, -1, 1, 2), (-3, 0, 2), (0, 1), (5, -5), (-4, 1, 4)]


class Case(NamedTuple):
    """Outputs to evaluate, and the numbers of `gpu_program` that shape the launch."""

    name: str
    outputs: list[list[Term]]
    settings: dict[str, int]
    out: list[np.ndarray] | None = None


MARCHING = {"ENOUGH_THREADS": 1}
SETTINGS = [MARCHING, {}, {"ENOUGH_THREADS": 1, "PLANES": 3}, {"ENOUGH_THREADS": 1, "_REACH_32": 0}]


def make_field(rng, shape, dtype):
    f = rng.normal(size=shape) * 100
    return (f + 1j * rng.normal(size=shape) if dtype[0] == "c" else f).astype(dtype)


def gradient(f, spacing, edge_order=1):
    return [[Term(1, f, first_derivative(i, h, edge_order))] for i, h in enumerate(spacing)]


def gaps(rng, n, dtype="f8"):
    return Steps(rng.uniform(0.1, 1, n - 1).astype(dtype), False)


def layouts(rng, shape, dtype):
    """Yield a field in many layouts, by name."""
    whole = make_field(rng, tuple(2 * n + 1 for n in shape), dtype)
    inner = tuple(slice(n) for n in shape)
    f = whole[inner].copy()
    yield "C", f
    yield "Fortran", np.asfortranarray(f)
    yield "transposed", np.ascontiguousarray(f.T).T.swapaxes(0, -1)
    yield "every other", whole[tuple(slice(0, 2 * n, 2) for n in shape)]
    yield "backwards", f[(slice(None, None, -1),) * f.ndim]
    yield "shifted", whole.reshape(-1)[1 : 1 + f.size].reshape(shape)
    yield "padded", whole[(*inner[:-1], slice(0, shape[-1] - 1))]
    yield "broadcast", np.broadcast_to(f[..., :1], shape)


def random_plan(rng, axis, n, dtype):
    """Return a plan of any formulas: wide ones, wrapped ones, weights of all kinds."""
    spacing = [None, np.dtype("f4"), np.dtype("f8")][rng.integers(3)]
    offsets = WIDE_OFFSETS[rng.integers(len(WIDE_OFFSETS))]
    before, after = max(0, -min(offsets)), max(0, *offsets)
    lower, upper = before + rng.integers(3), after + rng.integers(3)
    inside = n - lower - upper

    def number():
        return float(rng.choice([0.5, -2.0, 0.0, 0.3, -1.7, 1e-3, 123.4]))

    def weights(count, rows):
        kind = rng.integers(4)
        if kind == 0:
            return tuple(int(w) for w in rng.choice([1, -1], count))
        mixed = [int(rng.choice([1, -1])) if kind == 1 else number() for _ in range(count)]
        if kind == 3 and rows > 1:
            mixed[0] = rng.normal(size=rows).astype(spacing or dtype)
        return tuple(mixed)

    def divisor(rows):
        kind = rng.integers(4)
        if kind == 3 and rows > 1:
            return rng.uniform(0.5, 2, rows).astype(spacing or dtype)
        return [None, 0.7, -0.25, 3.0][kind]

    def end(row):
        count = rng.integers(1, 6)
        positions = rng.integers(n, size=count)
        return Formula(tuple(int(p) - row for p in positions), weights(int(count), 1), divisor(1))

    return AxisPlan(
        axis,
        tuple(end(row) for row in range(lower)),
        Formula(offsets, weights(len(offsets), inside), divisor(inside)),
        tuple(end(n - upper + row) for row in range(upper)),
        spacing,
        True,
        {},
    )


def wrap_around(axis, n):
    """Return the plan of a periodic axis, whose ends wrap around."""
    inside = Formula((1, -1), (1, -1), 0.6)
    lower, upper = Formula((1, n - 1), (1, -1), 0.6), Formula((1 - n, -1), (1, -1), 0.6)
    return AxisPlan(axis, (lower,), inside, (upper,), None, True, {})


def cases():
    """Yield every case."""
    rng = np.random.default_rng(20240607)
    for i, dtype in enumerate(DTYPES):
        for j, shape in enumerate(SHAPES):
            if dtype not in ("f4", "f8") and (i + j) % 3:
                continue
            f = make_field(rng, shape, dtype)
            settings = SETTINGS[j % 2]
            for h in (0.3, 0.25, np.float32(0.3), np.float64(0.7), np.float16(0.1)):
                for edge_order in (1, 2):
                    outputs = gradient(f, [h] * f.ndim, edge_order)
                    yield Case(f"{dtype} {shape} {h!r} {edge_order}", outputs, settings)
            for weights in ("f4", "f8"):
                outputs = gradient(f, [gaps(rng, n, weights) for n in shape], 2)
                yield Case(f"{dtype} {shape} uneven {weights}", outputs, settings)
    for shape in [(64,), (9, 12), (5, 8, 16), (3, 4, 5, 8)]:
        for dtype in ("f4", "f8", "c8", "i2"):
            for name, f in layouts(rng, shape, dtype):
                for settings in SETTINGS if dtype == "f8" else SETTINGS[:3]:
                    outputs = gradient(f, [0.3] * f.ndim, 2)
                    yield Case(f"{dtype} {shape} {name} {settings}", outputs, settings)
                    outputs = gradient(f, [0.3] * f.ndim)[-1:]
                    yield Case(f"{dtype} {shape} {name}, last axis", outputs, settings)
            f, g = make_field(rng, shape, dtype), make_field(rng, (*shape, 3), "f4")
            result = np.result_type(dtype, "f8" if dtype[0] == "i" else dtype)
            other = np.zeros(shape[::-1], result).T
            yield Case(f"{dtype} {shape} out", gradient(f, [0.3])[:1], MARCHING, [other])
            yield Case(f"{shape} short rows", gradient(g, [0.3] * len(shape)), {})
    yield from _sums(rng)
    yield from _special_values(rng)
    yield from _holes(np.random.default_rng(7))
    for i in range(100):
        shape = SHAPES[rng.integers(len(SHAPES))]
        axes = [axis for axis, n in enumerate(shape) if n >= 20]
        if not axes:
            continue
        axis = int(rng.choice(axes))
        dtype = ["f2", "f4", "f8", "c8", "c16", "i4"][rng.integers(6)]
        f = make_field(rng, shape, dtype)
        weights = {"f2": "f4", "i4": "f8", "c8": "f4", "c16": "f8"}.get(dtype, dtype)
        plans = [random_plan(rng, axis, shape[axis], weights) for _ in range(2)]
        outputs = [[Term(1, f, plans[0])], [Term(-1, f, plans[0]), Term(1, f, plans[1])]]
        if i % 2:
            outputs.append(Norm([Term(1, f, plan) for plan in plans]))
        yield Case(f"random {i}", outputs, SETTINGS[i % len(SETTINGS)])


def _sums(rng):
    """Yield divergences, curls, Laplacians: sums of terms, of one field or of several."""
    for dtype in ("f2", "f4", "f8", "c8", "i4"):
        for shape in [(9, 12), (5, 8, 16), (4, 5, 7)]:
            n = len(shape)
            fields = [make_field(rng, shape, dtype) for _ in range(n)]
            plans = [first_derivative(axis, 0.3, 2) for axis in range(n)]
            uneven = [first_derivative(axis, gaps(rng, shape[axis]), 1) for axis in range(n)]
            periodic = [wrap_around(axis, shape[axis]) for axis in range(n)]
            for name, some in (("even", plans), ("uneven", uneven), ("periodic", periodic)):
                divergence = [Term(1, f, plan) for f, plan in zip(fields, some, strict=True)]
                laplacian = [Term(1, fields[0], plan) for plan in some]
                curl = [Term(1, fields[1], some[0]), Term(-1, fields[0], some[1])]
                negative = [Term(-1, fields[0], some[-1])]
                outputs = [divergence, laplacian, curl, negative]
                for settings in SETTINGS[:3]:
                    yield Case(f"{dtype} {shape} sums {name}", outputs, settings)
                yield Case(f"{dtype} {shape} divergence {name}", [divergence], MARCHING)
                for settings in SETTINGS[:3]:
                    norms = [Norm(laplacian), divergence, Norm(curl), Norm(laplacian[:1])]
                    yield Case(f"{dtype} {shape} norms {name}", norms, settings)
    f = make_field(rng, (12, 8), "f4")
    many = [[Term(1, f, first_derivative(k % 2, 0.1 + k, 2))] for k in range(70)]
    yield Case("70 outputs", many, MARCHING)


def _special_values(rng):
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-45, -3e38, 3e38, 1.0, 65504.0])
    for dtype in ("f2", "f4", "f8", "c8", "c16"):
        f = np.empty((12, 6, 24), dtype)
        with np.errstate(all="ignore"):
            for part in (f.real, f.imag) if dtype[0] == "c" else (f,):
                part[...] = special[rng.integers(special.size, size=f.shape)]
        for h in (0.3, 0.25, 1e30, 2.0**-30, np.float64(1e-30)):
            for edge_order in (1, 2):
                outputs = gradient(f, [h] * 3, edge_order)
                yield Case(f"{dtype} special values {h!r}", outputs, MARCHING)
        outputs = gradient(f, [gaps(rng, n) for n in f.shape], 2)
        yield Case(f"{dtype} special values uneven", outputs, MARCHING)
        yield Case(f"{dtype} norm of special values", [Norm(o[0] for o in outputs)], MARCHING)


def _holes(rng):
    """Yield fields with holes: masks of all layouts, every boundary, sums and norms."""
    sides = [("one-sided",) * 2, ("periodic",) * 2, ("reflect", "odd-reflect")]
    for dtype, shape in [("f4", (9, 40)), ("f8", (5, 9, 12)), ("c8", (7, 10))]:
        f, g = make_field(rng, shape, dtype), make_field(rng, shape, dtype)
        dense, sparse = rng.random(shape) < 0.8, rng.random(shape) < 0.5
        masks = [dense, sparse.T.copy().T, np.broadcast_to(sparse[:1], shape), dense[..., ::-1]]
        masks += [np.ones(shape, bool), np.zeros(shape, bool)]
        for i, names in enumerate(sides):
            boundary = Side(names[0]), Side(names[1])
            for accuracy in (2, 4):
                plans = [
                    plan_beside_masked(
                        axis, spacing, n, Scheme(1, accuracy, accuracy), boundary,
                        0.3 * n if i == 1 else None, accuracy,
                    )
                    for axis, n in enumerate(shape)
                    for spacing in ((0.3, gaps(rng, n)) if i == 0 else (0.3,))
                ]  # fmt: skip
                for j, mask in enumerate(masks[: 6 if i == 0 else 2]):
                    alone = [[Term(1, f, plan, mask)] for plan in plans]
                    parts = [Term(1, f, plans[0], mask), Term(-1, g, plans[-1], masks[j - 1])]
                    outputs = [*alone, parts, [Term(1, f, plans[0]), parts[1]]]
                    name = f"{dtype} {shape} holes {names} {accuracy} {j}"
                    yield Case(name, outputs, SETTINGS[j % len(SETTINGS)])
                    yield Case(f"{name} norm", [Norm(parts)], MARCHING)


def convert(outputs, asarray):
    """Return outputs with other arrays for their fields, each field converted once."""
    arrays = [*distinct_fields(outputs), *distinct_masks(outputs)]
    return replace_fields(outputs, {id(a): asarray(a) for a in arrays})


def run(case, asarray):
    """Evaluate a case on arrays of CuPy, made by `asarray`."""
    from internals import cuda_engine, cuda_program

    before = {name: getattr(cuda_program, name) for name in case.settings}
    try:
        for name, value in case.settings.items():
            setattr(cuda_program, name, value)
        cuda_engine.launches.clear()
        outputs = convert(case.outputs, asarray)
        out = None if case.out is None else [asarray(target) for target in case.out]
        assert cuda_engine.unsupported(outputs) is None
        return cuda_engine.evaluate(outputs, out)
    finally:
        for name, value in before.items():
            setattr(cuda_program, name, value)


def assert_like_slices(case, results, home):
    """Compare the results of a case with those of the reference engine, bit by bit."""
    from conftest import assert_same_bits
    from internals import slices

    with np.errstate(all="ignore"):
        expected = slices.evaluate(case.outputs)
    for got, wanted in zip(results, expected, strict=True):
        try:
            assert_same_bits(home(got), wanted)
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from None


def list_kernels(some):
    """Return the instantiations that cases take, in order of appearance."""
    from kernels_on_host import HostCuda, host_array, running_on_host

    with running_on_host(HostCuda("")) as cuda:
        for case in some:
            run(case, host_array)
    return [*cuda.wanted]


def cover_parts(kernels, together=2):
    """Return some instantiations, short ones, with all parts that any have, so many together.

    Parts are types, kinds of weights, divisors and outputs, the number of samples read at once,
    of axes and of fields.
    """
    seen, kept = set(), []
    for kernel in sorted(kernels, key=len):
        head = re.match(r"evaluate<(.*?), (.*?), (\w+), (\d+), Call<(\d+), (\d+)", kernel)
        parts = {*enumerate(head.groups()), *re.findall(r"[A-Za-z]\w*|'.'", kernel)}
        found = {*itertools.combinations_with_replacement(sorted(parts, key=str), together)}
        if not found <= seen:
            seen |= found
            kept.append(kernel)
    return kept


def run_on_host(folder, takes_all):
    """Run cases on the host under sanitizers, and compare; return what there was of them.

    That of undefined behaviour takes most of the time to compile, so only instantiations which
    have all pairs of parts are compiled with it; that of addresses is in all, if all are taken.
    """
    from kernels_on_host import ADDRESSES, SANITIZE, HostCuda, home, host_array, running_on_host

    taken = [*cases()]
    cuda, kernels = HostCuda(folder), list_kernels(taken)
    compiled = cover_parts(kernels)
    if not takes_all:
        taken = [case for case in taken if {*list_kernels([case])} <= {*compiled}]
        kernels = compiled
    for some, cuda.options in [(compiled, SANITIZE), (kernels, ADDRESSES)]:
        cuda.wanted |= dict.fromkeys(some)
        cuda.compile()  # what is not compiled yet
    with running_on_host(cuda):
        for case in taken:
            assert_like_slices(case, run(case, host_array), home)
    return f"{len(taken)} cases, {cuda.launches} launches, {len(cuda.wanted)} instantiations"


def load_on_gpu(kernel):
    """Compile an instantiation for the GPU, or find it in CuPy's cache; return its name."""
    from internals import cuda_engine

    cuda_engine.cuda.load(kernel)
    return kernel


def compile_for_gpu():
    """Fill CuPy's cache on all cores; return how many instantiations there are."""
    kernels = list_kernels(cases())
    workers = multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0)))
    with workers:
        return len({*workers.imap_unordered(load_on_gpu, kernels, chunksize=4)})


if __name__ == "__main__" and "--compile-for-gpu" in sys.argv:
    print(f"{compile_for_gpu()} instantiations compiled for the GPU")
elif __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(run_on_host(folder, "--nightly" in sys.argv))
