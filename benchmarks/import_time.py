"""What a fresh process pays for `import gpugrad`, against NumPy and array_api_compat alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from statistics import median

from benchmarks import measure
from benchmarks.measure import Spread, Target

LIMIT = 1.15
STATEMENTS = {
    "empty": "pass",
    "needed": "import numpy, array_api_compat",
    "gpugrad": "import gpugrad",
}


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    rounds, traces = (3, 2) if arguments.quick else (151, 15)
    seconds = measure.interleave(
        {name: measure.timed(make_start(code)) for name, code in STATEMENTS.items()},
        rounds,
        warm_up=2,
    )
    beyond = {name: subtract(seconds[name], seconds["empty"]) for name in ("needed", "gpugrad")}
    ratio = measure.ratios(beyond["gpugrad"], beyond["needed"])
    added = trace_added_modules(traces)
    print(
        measure.format_table(
            ("process", "wall ms", "beyond an empty one, ms"),
            [
                (code, scaled(seconds[name]), scaled(beyond[name]) if name in beyond else "")
                for name, code in STATEMENTS.items()
            ],
        )
    )
    print(f"\ngpugrad / needed, beyond an empty process, within rounds: {ratio:.3f}\n")
    print(
        measure.format_table(
            ("module that gpugrad adds", "own us"), [(m, f"{us:.0f}") for m, us in added.items()]
        )
    )
    print(f"{len(added)} modules, {sum(added.values()) / 1e3:.1f} ms (as traced, which slows it)")
    results = {
        "cases": [
            {
                "case": "import gpugrad",
                "seconds": measure.summarize(seconds),
                "beyond_empty": measure.summarize(beyond),
                "cost_ratio": ratio._asdict(),
            }
        ],
        "added_modules_us": added,
    }
    target = Target("import gpugrad", ratio.median, "at most", LIMIT, " of its two dependencies'")
    return measure.finish("import_time", arguments, [target], results)


def make_start(code: str) -> Callable[[], object]:
    """Return a call that starts a process, runs some code and waits for its end."""
    return lambda: measure.run_python(code)


def subtract(a: list[float], b: list[float]) -> list[float]:
    """Return the differences of two series measured in the same rounds."""
    return [x - y for x, y in zip(a, b, strict=True)]


def scaled(seconds: list[float]) -> str:
    """Write the spread of a series, in milliseconds."""
    return f"{Spread.of(1e3 * s for s in seconds):.1f}"


def trace_added_modules(traces: int) -> dict[str, float]:
    """Return what each module costs that gpugrad loads besides its two dependencies, in us."""
    costs: dict[str, list[int]] = {}
    for _ in range(traces):
        needed = trace_imports(STATEMENTS["needed"])
        together = trace_imports(f"{STATEMENTS['needed']}\n{STATEMENTS['gpugrad']}")
        for module, microseconds in together.items():
            if module not in needed:
                costs.setdefault(module, []).append(microseconds)
    medians = {module: float(median(values)) for module, values in costs.items()}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def trace_imports(code: str) -> dict[str, int]:
    """Return the modules that some code loads, and the microseconds each takes for itself."""
    lines = measure.run_python(code, "-X", "importtime").stderr.splitlines()
    found = [re.fullmatch(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)", line) for line in lines]
    return {match[2]: int(match[1]) for match in found if match}


if __name__ == "__main__":
    sys.exit(main())
