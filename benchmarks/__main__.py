"""Measure gpugrad beside others: ``python -m benchmarks NAME``, a table for each name."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

from benchmarks import (
    dask_arrays,
    engines,
    estimates,
    everyday,
    fields,
    files,
    floor,
    functions,
    gpu,
    masks,
    memory,
    operators,
)
from benchmarks.machine import describe_machine, list_versions, slug
from benchmarks.measure import ROOT
from benchmarks.table import (
    Benchmark,
    Row,
    Target,
    list_targets,
    make_plain,
    measure_case,
    print_case,
)

_FIELDS = ("gigabytes_per_second", "speed_up", "over_floor", "over_plain", "extra_megabytes")
_OPERATORS = ("over_floor", "speed_up", "speed_up_findiff")
_ERRORS = ("error", "bounded", "finite", "none", "estimate_over_error")
_BOUNDS = ("bounded", "finite", "none", "estimate_over_error")
_BLOCKS = ("tasks", "tasks_of_dask", "over_dask", "over_memory")
_FILES = ("speed_up_copy", "peak_megabytes")

BENCHMARKS = {
    "everyday": Benchmark(everyday.list_cases, ("over_peer", "over_allowed"), 1.0, (4, 201)),
    "engines": Benchmark(engines.list_cases, ("over_slices",), 1.0, (5, 15)),
    "large_fields": Benchmark(fields.list_on_threads, _FIELDS),
    "against_others": Benchmark(fields.list_against_others, _FIELDS, 8.0),
    "floor": Benchmark(floor.list_cases, ("gigabytes_per_second",)),
    "operators": Benchmark(operators.list_cases, _OPERATORS, 3.0, (5, 41)),
    "masks": Benchmark(masks.list_cases, ("speed_up", "over_floor")),
    "function_cost": Benchmark(functions.list_costs, ("values_per_point", "over_evaluations")),
    "function_errors": Benchmark(functions.list_errors, _ERRORS),
    "function_bounds": Benchmark(functions.list_bounds, _BOUNDS),
    "error_estimates": Benchmark(estimates.list_cases, ("bounded", "estimate_over_error")),
    "memory": Benchmark(memory.list_cases, ("fields", "extra_megabytes")),
    "dask_blocks": Benchmark(dask_arrays.list_blocks, _BLOCKS),
    "large_graphs": Benchmark(dask_arrays.list_graphs, ("counted", "modelled", "over_model")),
    "out_of_core": Benchmark(files.list_cases, _FILES, 1.0, (3, 3)),
    "gpu": Benchmark(
        gpu.list_cases, ("of_copy", "speed_up_cupy"), 2.0, (9, 9), gpu.find_problem, gpu.name_device
    ),
}


def main() -> int:
    """Run the benchmarks that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="+", choices=BENCHMARKS, metavar="NAME",
                        help=f"what to measure: {', '.join(BENCHMARKS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="in seconds; figures mean nothing")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases with these words only")
    parser.add_argument("--output", type=Path, help="the folder for the JSON of the results; "
                        "quick runs and those with --only write none by themselves")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    kept = [run(name, BENCHMARKS[name], options) for name in options.names]
    return int(options.strict and not all(kept))


def run(name: str, benchmark: Benchmark, options: argparse.Namespace) -> bool:
    """Measure and print the cases, write the results, and return whether all targets are met."""
    problem = benchmark.find_problem()
    if problem:
        print(f"{name}: {problem}")
        return False
    print(f"{name}\n{'=' * len(name)}\n")
    path = None
    if options.output or not (options.quick or options.only):
        folder = options.output or ROOT / "benchmarks" / "results"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name.replace('_', '-')}-{slug(benchmark.name_device())}.json"
    rows: list[Row] = []
    targets: list[Target] = []
    for case in benchmark.list_cases(options.quick):
        if options.only in case.title:
            rows.append(measure_case(benchmark, case, options.quick))
            print_case(rows[-1], benchmark.figures)
            targets += list_targets(case, rows[-1])
            if path:  # after each, so that a run that is broken off has not been in vain
                write(path, name, options.quick, rows, targets)
    print("Targets" + " (a quick run, too short to judge by)" * options.quick)
    for target in targets:
        print(f"  {target}")
    if path:
        print(f"\nWritten: {path.name}")
    print()
    return all(target.met for target in targets)


def write(path: Path, name: str, quick: bool, rows: list[Row], targets: list[Target]) -> None:
    """Write the results that there are."""
    content = {
        "benchmark": name,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": quick,
        "machine": describe_machine(),
        "versions": list_versions(),
        "targets": [{**target._asdict(), "met": target.met} for target in targets],
        "cases": rows,
    }
    path.write_text(json.dumps(make_plain(content), indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
