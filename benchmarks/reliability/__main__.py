"""Try to make gpugrad wrong, and count: ``python -m benchmarks.reliability NAME --count N``."""

from __future__ import annotations

import argparse
import datetime
import sys
import time

from benchmarks.reliability import (
    cpu_quota,
    damaged_files,
    file_runs,
    formulas,
    interruptions,
    many_threads,
    page,
    processes,
    random_calls,
    repeated_calls,
)
from benchmarks.reliability.trial import Kind

KINDS = {
    "random_calls": Kind(
        random_calls.run, "random calls beside `numpy.gradient`, values and errors", "calls",
        100_000, 300,
    ),
    "repeated_calls": Kind(
        repeated_calls.run, "calls of operators that come again, beside the reference engine",
        "calls", 50_000, 300,
    ),
    "interruptions": Kind(
        interruptions.run, "signals and exceptions in the middle of work", "interruptions", 1000, 12
    ),
    "missing_threads": Kind(
        processes.run_threads, "calls where threads can't be started", "calls", 100, 4
    ),
    "forks": Kind(processes.run_forks, "forks while threads work or compile", "forks", 100, 4),
    "ends": Kind(processes.run_ends, "processes that end while threads work", "processes", 100, 5),
    "kills": Kind(file_runs.run_kills, "`kill -9` of runs on files, resumed", "runs", 100, 3),
    "writers": Kind(file_runs.run_writers, "several writers of one result", "results", 20, 3),
    "full_disks": Kind(file_runs.run_full_disks, "disks that are full", "disks", 20, 3),
    "changes": Kind(file_runs.run_changes, "inputs changed while they are read", "inputs", 20, 3),
    "damaged_files": Kind(damaged_files.run, "damaged files of all formats", "files", 500, 14),
    "many_threads": Kind(many_threads.run, "16 threads on all engines", "seconds", 60, 2),
    "formulas": Kind(
        formulas.run, "random and hostile texts of formulas", "seconds", 60, 2, formulas.FUZZER
    ),
    "cpu_quota": Kind(cpu_quota.run, "a container's share of processor time", "quotas", 10, 2),
}  # fmt: skip
"""A kind of trial a row: what runs it, what it is, how often for the page and for a quick look."""


def main() -> int:
    """Run the kinds that are named; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help=f"what to try: {', '.join(KINDS)}; by default all")  # fmt: skip
    parser.add_argument("--count", type=int, help="how often; by default as the page says")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other trials")
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it works")
    parser.add_argument("--write", action="store_true",
                        help="write the results, and their table")  # fmt: skip
    options = parser.parse_args()
    unknown = {*options.names} - {*KINDS}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(KINDS)}")
    is_right = [run(name, KINDS[name], options) for name in options.names or KINDS]
    return int(not all(is_right))


def run(name: str, kind: Kind, options: argparse.Namespace) -> bool:
    """Try a kind, print how it went in one line, and return whether all was right."""
    missing = kind.find_missing()
    if missing:
        print(f"{name}: not tried, as {missing} is missing")
        return True
    count = options.count or (kind.quick if options.quick else kind.count)
    started = time.perf_counter()
    outcome = kind.run(count, options.seed)
    seconds = time.perf_counter() - started
    print(f"{name}: {outcome.tried:,} tried, {outcome.wrong} wrong, {outcome.crashed} crashed, "
          f"{seconds:.0f} s", flush=True)  # fmt: skip
    if options.write:
        page.keep(name, {
            "what": kind.what, "unit": kind.unit, "goal": kind.count, "count": count,
            "seed": options.seed, "tried": outcome.tried, "wrong": outcome.wrong,
            "crashed": outcome.crashed, "seconds": round(seconds), "notes": dict(outcome.notes),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        })  # fmt: skip
    return outcome.is_right


if __name__ == "__main__":
    sys.exit(main())
