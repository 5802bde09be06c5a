"""How fast gpugrad is beside other libraries, and beside what the memory of this machine can do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import beginnings, contenders, measure, picture
from benchmarks.against_targets import list_targets
from benchmarks.cases import (
    Case,
    available_memory,
    list_cases,
    make_coordinates,
    make_field,
)
from benchmarks.contenders import CONTENDERS, OURS, Setting, Unavailable
from benchmarks.floor import flatten_memory, is_available, make_floor
from benchmarks.measure import Spread
from gpugrad import _threads

SECONDS = 8.0
"""What the rounds of a case may take, those of other libraries once more."""

SHARE_OF_MEMORY = 0.8
"""What a case may take of the memory that is left."""

REST = 0.01
"""Seconds between two calls where other libraries take part: their threads wait in busy loops."""

SLOW = "other libraries take part in one size per dimension and a few variations of it"

Row = dict[str, Any]


def main() -> int:
    parser = measure.make_parser(__doc__)
    parser.add_argument(
        "--only",
        metavar="WORDS",
        help="run the cases whose title has these words, and nothing else; write no file by itself",
    )
    arguments = parser.parse_args()
    quick, only = arguments.quick, arguments.only
    print(f"Note: {SLOW}.")
    results = []
    for case in list_cases(quick):
        if only and only not in case.title:
            continue
        result = measure_case(case, quick)
        if case.name == "all axes" and case.others and len(case.shape) == 3:
            add_huge_pages(result, case, quick)
        results.append(result)
        print_case(result)
    everything: dict[str, Any] = {"versions": contenders.list_versions(), "cases": results}
    if not only:
        everything |= beginnings.measure_all(quick)
        beginnings.print_all(everything)
    status = measure.finish("against_others", arguments, list_targets(everything), everything)
    if not (quick or only):
        draw(everything)
    return status


def draw(everything: Row) -> None:
    """Draw the picture for the README, where there is something to draw with."""
    try:
        picture.draw(everything | {"machine": measure.describe_machine()}, picture.PATH)
    except ImportError as error:
        print(f"No picture: {error}.")


def measure_case(case: Case, quick: bool, names: Sequence[str] | None = None) -> Row:
    """Check the bits, then time all contenders side by side, with the floor among them.

    `names` are the contenders; without it all that the case asks for. Other libraries are timed
    after ours, in rounds of their own, beside NumPy and the floor once more: their threads, and
    the gigabytes of pages that they take and give back, do not disturb ours.
    """
    names = names or ([*CONTENDERS] if case.others else OURS)
    skipped = {name: SLOW for name in CONTENDERS if name not in names}
    result: Row = {
        **case._asdict(),
        "title": case.title,
        "threads": _threads.count(),
        "bytes_read_and_written": case.field_bytes + case.results_bytes,
        "skipped": skipped,
        "seconds": {},
    }
    names = [*fit_memory([*names, *add_ons(case, skipped)], case, skipped)]
    if not {"gpugrad", "numpy"} <= set(names):
        return result
    setting = make_setting(case)
    assert_same_bits(setting)
    ours = [name for name in names if name in OURS or name not in CONTENDERS]
    calls = {name: prepare(name, setting) for name in ours}
    seconds = time_calls(calls, quick)
    result |= summarize(case, seconds) | {"rounds": len(seconds["numpy"])}
    others = {name: calls[name] for name in ("numpy", "floor") if name in calls}
    for name in names:
        if name not in calls:
            try:
                others[name] = prepare(name, setting)
            except Unavailable as reason:
                skipped[name] = str(reason)
    if not others.keys() <= calls.keys():
        for key, values in summarize(case, time_calls(others, quick, REST)).items():
            result[key] = values | result[key]  # what was timed among ours stays
    result["extra_memory_bytes"] = {
        name: trace_extra(name, case, call)
        for name, call in (calls | others).items()
        if name in CONTENDERS and CONTENDERS[name].traced
    }
    return result


def time_calls(
    calls: dict[str, Callable[[], Any]], quick: bool, rest: float = 0.0
) -> dict[str, list[float]]:
    """Time calls in turn, in as many rounds as there is time for."""
    timers = {name: measure.timed(call) for name, call in calls.items()}
    start = perf_counter()
    measure.interleave(timers, 1, warm_up=0, rest=rest)
    rounds = 2 if quick else round(min(max(SECONDS / (perf_counter() - start), 5), 25))
    return measure.interleave(timers, rounds, warm_up=0, rest=rest)


def add_ons(case: Case, skipped: dict[str, str]) -> Iterator[str]:
    """Yield what is timed beside the contenders: the floor, a copy, our own plain case."""
    if is_available():
        yield "floor"
    else:
        skipped["floor"] = "llvmlite is not installed"
    if case.into_out:
        yield "copy"
    if case.beside_plain:
        yield "gpugrad, plain"


def fit_memory(names: Sequence[str], case: Case, skipped: dict[str, str]) -> Iterator[str]:
    """Yield those names for which there is memory, the first ones first."""
    available = available_memory()
    one = case.results_bytes / case.number
    # Ours are there all the time: as `out`, or kept by the library for the next call.
    held, peak = case.field_bytes + case.results_bytes, 0.0
    for name in names:
        lasting, passing = 0.0, 0.0
        if name in CONTENDERS:
            all_results, single = CONTENDERS[name].memory
            ours = name.startswith("gpugrad")
            passing = 0 if ours else all_results * case.results_bytes + single * one
            lasting = case.field_bytes if name in ("jax.jit", "xarray", "dask") else 0
        elif name == "gpugrad, plain" or (name == "floor" and not case.into_out):
            lasting = case.results_bytes + one
        needed = held + lasting + max(peak, passing)
        if available is not None and needed > SHARE_OF_MEMORY * available:
            skipped[name] = (
                f"needs {needed / 1e9:.1f} GB, more than {SHARE_OF_MEMORY:.0%} of the memory left"
            )
            continue
        held, peak = held + lasting, max(peak, passing)
        yield name


def make_setting(case: Case) -> Setting:
    """Return the field of a case, its coordinates and arrays for its results."""
    f = make_field(case)
    out = None
    if case.into_out:
        out = tuple(np.empty_like(f, case.result_dtype) for _ in range(case.number))
    return Setting(case, f, make_coordinates(case), out)


def prepare(name: str, setting: Setting) -> Callable[[], Any]:
    """Return a call that is timed."""
    case, f, _, out = setting
    if name == "gpugrad, plain":
        return contenders.prepare("gpugrad", make_setting(case.plain))
    if name == "copy":
        return lambda: np.copyto(out[0], f)
    if name != "floor":
        return contenders.prepare(name, setting)
    if out is None:
        out = tuple(np.zeros(f.shape, case.result_dtype) for _ in range(case.number))
    try:
        flatten_memory(f)
    except ValueError:
        f = f.copy()
    return make_floor(f, out)


def assert_same_bits(setting: Setting) -> None:
    """Raise unless each of our results has NumPy's dtype and NumPy's bits, by either engine."""
    case, _, _, out = setting
    expected = contenders.make_numpy(setting)()
    expected = expected if isinstance(expected, tuple) else (expected,)
    for backend in (None, "numpy"):
        for target in out or ():
            target.fill(0)  # so that nothing is right by the run before
        results = contenders.make_gpugrad(setting, backend)()
        results = results if isinstance(results, tuple) else (results,)
        for axis, (a, b) in enumerate(zip(results, expected, strict=True)):
            bits = f"u{b.dtype.itemsize}"
            if a.dtype != b.dtype or not np.array_equal(a.view(bits), b.view(bits)):
                raise AssertionError(f"{case.title}, result {axis}: not NumPy's bits ({backend})")


def summarize(case: Case, seconds: dict[str, list[float]]) -> Row:
    """Return the figures of one set of rounds, each by contender."""
    moved = dict.fromkeys(seconds, case.field_bytes + case.results_bytes)
    if "gpugrad, plain" in moved:
        moved["gpugrad, plain"] = case.plain.field_bytes + case.plain.results_bytes
    if "copy" in moved:
        moved["copy"] = case.field_bytes + case.results_bytes // case.number

    def compare(other: str, names: Sequence[str], cost: bool) -> dict[str, dict[str, float]]:
        if other not in seconds:
            return {}
        return {
            name: measure.ratios(
                *((seconds[name], seconds[other]) if cost else (seconds[other], seconds[name]))
            )._asdict()
            for name in names
        }

    comparable = [name for name in seconds if name not in ("copy", "gpugrad, plain")]
    return {
        "seconds": measure.summarize(seconds),
        "gigabytes_per_second": {
            name: Spread.of(moved[name] / s / 1e9 for s in values)._asdict()
            for name, values in seconds.items()
        },
        "speed_up": compare("numpy", comparable, cost=False),
        "over_floor": compare("floor", [n for n in comparable if n != "floor"], cost=True),
        "over_plain": compare("gpugrad, plain", ["gpugrad"], cost=True),
    }


def trace_extra(name: str, case: Case, call: Callable[[], Any]) -> int:
    """Return the most bytes that a call held at once beyond its results."""
    writes_to_out = name.startswith("gpugrad") and case.into_out
    # Results that lie in memory kept from before are not seen at all: nothing extra, not less.
    return max(0, measure.traced_peak(call) - (0 if writes_to_out else case.results_bytes))


def add_huge_pages(result: Row, case: Case, quick: bool) -> None:
    """Add rows of a fresh process that asks the system for huge pages, where it is told to.

    The ratios are those within that process, where NumPy and the floor run beside the others.
    """
    names = [n for n in contenders.WITH_HUGE_PAGES if n in result["seconds"]]
    if quick:
        names = [name for name in names if name == "torch"]
    if not names or sys.platform != "linux":
        return
    code = f"""
import json
from benchmarks import against_others, cases
case = cases.Case(*{tuple(case)!r})
names = {[*OURS, *names]!r}
print(json.dumps(against_others.measure_case(case, {quick}, names)))
"""
    try:
        process = measure.run_python(code, variables=contenders.HUGE_PAGES)
    except subprocess.CalledProcessError as error:
        reason = f"their process ended with status {error.returncode}"
        result["skipped"] |= {f"{name}, huge pages": reason for name in names}
        return
    told = json.loads(process.stdout.splitlines()[-1])
    for key in ("seconds", "gigabytes_per_second", "speed_up", "over_floor"):
        for name in names:
            if name in told.get(key, {}):
                result[key][f"{name}, huge pages"] = told[key][name]


def print_case(result: Row) -> None:
    """Print a case: a heading, a line for each contender, and who is missing and why."""
    print(f"\n{result['title']} ({result['threads']} threads, {result.get('rounds', 0)} rounds)")
    if result["seconds"]:
        rows = sorted(format_rows(result), key=lambda row: row[0])
        print(
            measure.format_table(
                ("", "ms", "GB/s", "x numpy", "x floor", "x plain", "extra MB"),
                [cells for _, cells in rows],
            )
        )
    reasons: dict[str, list[str]] = {}
    for name, reason in result["skipped"].items():
        if reason != SLOW:
            reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        print(f"  without {', '.join(names)}: {reason}")


def format_rows(result: Row) -> Iterator[tuple[float, tuple[str, ...]]]:
    """Yield the median time and the cells of each line."""

    def cell(key: str, name: str, spec: str, unit: float = 1.0) -> str:
        spread = result[key].get(name)
        if spread is None:
            return ""
        return format(Spread(*(v * unit for v in spread.values())), spec)

    for name, spread in result["seconds"].items():
        extra = result["extra_memory_bytes"].get(name)
        yield (
            spread["median"],
            (
                name,
                cell("seconds", name, ".2f", 1e3),
                f"{result['gigabytes_per_second'][name]['median']:.1f}",
                cell("speed_up", name, ".2f"),
                cell("over_floor", name, ".2f"),
                cell("over_plain", name, ".2f"),
                "" if extra is None else f"{extra / 1e6:.2f}",
            ),
        )


if __name__ == "__main__":
    sys.exit(main())
