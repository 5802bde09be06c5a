"""How fast the `numpy` engine is on large fields, and how little memory it takes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Spread, Target

ENGINE = "numpy"
THREADS = (1, 2)
SPEED_UP = {1: 1.8, 2: 2.3}
EXTRA_MEMORY = 5.0


class Case(NamedTuple):
    """A field and a way to differentiate it."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    order: str = "C"
    uneven: bool = False
    edge_order: int = 1
    into_out: bool = True
    promised: bool = False


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield all cases; a quick run has small fields, though large enough for threads."""
    cube, plane, line = ((96,) * 3, (1024, 640), (1 << 19,))
    if not quick:
        cube, plane, line = ((256,) * 3, (8192, 4096), (1 << 25,))
    yield Case("float64", cube, promised=True)
    yield Case("float64, new arrays", cube, into_out=False)
    yield Case("float32", cube, "float32")
    yield Case("uneven coordinates", cube, uneven=True)
    yield Case("edge_order=2", cube, edge_order=2)
    yield Case("int16", cube, "int16")
    yield Case("int64", cube, "int64")
    yield Case("Fortran order", cube, order="F")
    yield Case("float64", plane)
    yield Case("float64", line)


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    rounds = 3 if arguments.quick else 15
    results = [measure_case(case, rounds) for case in list_cases(arguments.quick)]
    print(
        measure.format_table(
            (
                "field",
                "shape",
                "numpy ms",
                *(f"{n} thread{'s' * (n > 1)} ms" for n in THREADS),
                "copies ms",
                *(f"x numpy, {n}" for n in THREADS),
                *(f"x copies, {n}" for n in THREADS),
                *(f"memory %, {n}" for n in THREADS),
            ),
            map(format_row, results),
        )
    )
    resident = [measure_resident(results[0]["shape"], n) for n in THREADS]
    print("\nThe same memory as a fresh process sees it, in pages, float64 into `out`, % of input:")
    print(", ".join(format_resident(r) for r in resident))
    results_by_name = {"engine": ENGINE, "cases": results, "resident": resident}
    return measure.finish("large_fields", arguments, [*list_targets(results)], results_by_name)


def measure_case(case: Case, rounds: int) -> dict[str, Any]:
    """Check the bits, then time all ways side by side and trace the memory of ours."""
    f = make_field(case)
    spacing = make_coordinates(case)
    dtype = np.dtype(np.float64) if f.dtype.kind in "iu" else f.dtype
    out = tuple(np.empty_like(f, dtype) for _ in f.shape) if case.into_out else None
    ours = {threads: make_call(case, f, spacing, out, threads) for threads in THREADS}

    edge_order: Any = case.edge_order

    def numpys() -> Any:
        return np.gradient(f, *spacing, edge_order=edge_order)

    assert_same_bits(case, ours, numpys, out)
    seconds = measure.interleave(
        {
            "numpy": measure.timed(numpys),
            **{f"threads={n}": measure.timed(call) for n, call in ours.items()},
            "copy": measure.timed(make_floor(f, dtype, out, 1)),
            "copies": measure.timed(make_floor(f, dtype, out, f.ndim)),
        },
        rounds,
        warm_up=2,
    )
    results_bytes = 0 if case.into_out else f.ndim * f.size * dtype.itemsize
    moved = f.nbytes + f.ndim * f.size * dtype.itemsize
    return {
        "case": case.name,
        "shape": "x".join(map(str, case.shape)),
        "dtype": case.dtype,
        "into_out": case.into_out,
        "promised": case.promised,
        "bytes_read_and_written": moved,
        "same_bits": True,
        "seconds": measure.summarize(seconds),
        "speed_up": by_threads(lambda n: measure.ratios(seconds["numpy"], seconds[n])._asdict()),
        "over_floor": by_threads(lambda n: measure.ratios(seconds[n], seconds["copies"])._asdict()),
        "extra_memory_percent": {
            f"threads={n}": 100 * (measure.traced_peak(call) - results_bytes) / f.nbytes
            for n, call in ours.items()
        },
    }


def make_field(case: Case) -> Any:
    """Return a field of noise, which hides no error and no denormal number."""
    rng = np.random.default_rng(3)
    dtype = np.dtype(case.dtype)
    if dtype.kind in "iu":
        f = rng.integers(-1000, 1000, case.shape, dtype)
    else:
        f = rng.standard_normal(case.shape, dtype)
    return np.asfortranarray(f) if case.order == "F" else f


def make_coordinates(case: Case) -> tuple[Any, ...]:
    """Return uneven coordinates for every axis, or none."""
    rng = np.random.default_rng(4)
    if not case.uneven:
        return ()
    return tuple(rng.uniform(0.5, 1.5, n).cumsum().astype(case.dtype) for n in case.shape)


def make_call(
    case: Case, f: Any, spacing: tuple[Any, ...], out: Any, threads: int
) -> Callable[[], Any]:
    """Return our call, on so many threads."""
    target = out[0] if out and len(out) == 1 else out

    def call() -> Any:
        with gpugrad.use_backend(ENGINE, threads=threads):
            return gpugrad.gradient(f, *spacing, edge_order=case.edge_order, out=target)

    return call


def make_floor(f: Any, dtype: Any, out: Any, number: int) -> Callable[[], Any]:
    """Return what NumPy can do at best with so many outputs: copy the field into each."""
    if out is None:
        return lambda: [f.astype(dtype) for _ in range(number)]

    def copy() -> None:
        for target in out[:number]:
            np.copyto(target, f)

    return copy


def assert_same_bits(
    case: Case, ours: dict[int, Callable[[], Any]], numpys: Callable[[], Any], out: Any
) -> None:
    """Raise unless every output has NumPy's dtype and NumPy's bits, on any number of threads."""
    expected = numpys()
    expected = expected if isinstance(expected, tuple) else (expected,)
    for threads, call in ours.items():
        for target in out or ():
            target.fill(0)  # so that nothing is right by the run before
        results = call()
        results = results if isinstance(results, tuple) else (results,)
        for axis, (a, b) in enumerate(zip(results, expected, strict=True)):
            bits = f"u{b.dtype.itemsize}"
            if a.dtype != b.dtype or not np.array_equal(a.view(bits), b.view(bits)):
                raise AssertionError(
                    f"{case.name} {case.shape}, axis {axis}, {threads} threads: not NumPy's bits"
                )


def by_threads(figure: Callable[[str], dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return a figure for each number of threads."""
    return {f"threads={n}": figure(f"threads={n}") for n in THREADS}


def measure_resident(shape: str, threads: int) -> dict[str, Any]:
    """Measure the peak of a fresh process, which also sees memory that no Python call took."""
    sizes = tuple(map(int, shape.split("x")))
    setup = f"""
import numpy as np
import gpugrad
f = np.random.default_rng(3).standard_normal({sizes})
out = tuple(np.full_like(f, 0.0) for _ in f.shape)
def call(f, out):
    with gpugrad.use_backend({ENGINE!r}, threads={threads}):
        gpugrad.gradient(f, out=out)
call(f[:4, :4, :4], tuple(part[:4, :4, :4] for part in out))
"""
    extra = measure.resident_peak(setup, "call(f, out)")
    percent = None if extra is None else 100 * extra / (8 * math.prod(sizes))
    return {"threads": threads, "extra_memory_percent": percent}


def format_resident(resident: dict[str, Any]) -> str:
    """Say what a fresh process saw."""
    percent = resident["extra_memory_percent"]
    figure = "not known here" if percent is None else f"{percent:.2f}"
    return f"{resident['threads']} thread{'s' * (resident['threads'] > 1)}: {figure}"


def list_targets(results: list[dict[str, Any]]) -> Iterator[Target]:
    """Yield what is promised, for the case it is promised for."""
    for result in results:
        if not result["promised"]:
            continue
        for n in THREADS:
            what = f"{result['shape']} {result['case']} into `out`, {n} thread{'s' * (n > 1)}"
            measured = result["speed_up"][f"threads={n}"]["median"]
            yield Target(f"{what}, speed", measured, "at least", SPEED_UP[n], " times numpy's")
            extra = result["extra_memory_percent"][f"threads={n}"]
            yield Target(f"{what}, extra memory", extra, "at most", EXTRA_MEMORY, " % of the input")


def format_row(result: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""

    def milliseconds(name: str) -> str:
        return f"{result['seconds'][name]['median'] * 1e3:.1f}"

    def each(key: str, spec: str) -> list[str]:
        return [format(Spread(**result[key][f"threads={n}"]), spec) for n in THREADS]

    return (
        result["case"],
        result["shape"],
        milliseconds("numpy"),
        *(milliseconds(f"threads={n}") for n in THREADS),
        milliseconds("copies"),
        *each("speed_up", ".2f"),
        *each("over_floor", ".2f"),
        *(f"{result['extra_memory_percent'][f'threads={n}']:.2f}" for n in THREADS),
    )


if __name__ == "__main__":
    sys.exit(main())
