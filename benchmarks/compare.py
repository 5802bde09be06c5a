"""Tell what became slower from one run of a benchmark to another, by ratios only.

Milliseconds of two runs are not comparable: what is compared is how gpugrad stood beside the
others in each case, within the rounds of one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Spread
from benchmarks.table import FIGURES, Row, format_table

MACHINE = ("cpu", "cores", "memory_bytes", "huge_pages", "system", "python", "numpy")

Key = tuple[str, str, str]
"""A case, a contender and a figure."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path, help="the JSON file of the earlier run")
    parser.add_argument("new", type=Path, help="the JSON file of the later run")
    parser.add_argument("--tolerance", type=float, default=0.1,
                        help="how much worse a ratio may be (0.10)")  # fmt: skip
    options = parser.parse_args()
    old, new = json.loads(options.old.read_text()), json.loads(options.new.read_text())
    if old["benchmark"] != new["benchmark"]:
        raise SystemExit(f"{options.old.name} is of {old['benchmark']}, "
                         f"{options.new.name} of {new['benchmark']}")  # fmt: skip
    for remark in list_remarks(old, new):
        print(f"Note: {remark}.")
    before, after = dict(list_ratios(old)), dict(list_ratios(new))
    both = [key for key in before if key in after]
    verdicts = {key: judge(key, before[key], after[key], options.tolerance) for key in both}
    lines = [
        (f"{key[0]}: {key[1]}", FIGURES[key[2]].heading, f"{before[key]:.2f}", f"{after[key]:.2f}",
         f"{100 * (cost(key, after[key].median / before[key].median) - 1):+.0f} %", verdicts[key])
        for key in both
    ]  # fmt: skip
    print(format_table(("case", "ratio", "old", "new", "cost", ""), lines))
    for which, missing in (("old", before.keys() - after), ("new", after.keys() - before)):
        for line in sorted({f"{case}: {name}" for case, name, _ in missing}):
            print(f"only in the {which} file: {line}")
    worse = [*verdicts.values()].count("worse")
    print(f"\n{worse} of {len(both)} ratios are worse by more than {options.tolerance:.0%} beyond "
          "their quartiles.")  # fmt: skip
    return int(worse > 0)


def list_remarks(old: Row, new: Row) -> Iterator[str]:
    """Yield what makes two runs hard to compare."""
    for key in MACHINE:
        before, after = old["machine"].get(key), new["machine"].get(key)
        if before != after:
            yield f"another machine or system: {key} was {before} and is {after}"
    threads = [{case.get("threads") for case in results["cases"]} for results in (old, new)]
    if threads[0] != threads[1]:
        yield f"another number of threads: {threads[0]} and {threads[1]}"
    for which, results in (("old", old), ("new", new)):
        if results["quick"]:
            yield f"the {which} file is of a quick run, whose figures mean nothing"


def list_ratios(results: Row) -> Iterator[tuple[Key, Spread]]:
    """Yield the ratios of gpugrad in every case; how others stand is no matter of ours."""
    for case in [*results["cases"], *results.get("crossover", ())]:  # as files had it until 2026
        for key, figure in FIGURES.items():
            for name, spread in case.get(key, {}).items() if figure.base else ():
                if name != figure.base and (name.startswith("gpugrad") or name == "auto"):
                    yield (case["title"], name, key), Spread(**spread)


def cost(key: Key, ratio: float) -> float:
    """Return how many times worse a figure is if it is so many times as large."""
    return 1 / ratio if FIGURES[key[2]].more else ratio


def judge(key: Key, old: Spread, new: Spread, tolerance: float) -> str:
    """Say whether a ratio is better, worse or as it was: where quartiles overlap, they explain it.

    Else it is worse at least by the ratio of the better quartile now to the worse one before.
    """
    if FIGURES[key[2]].more:
        old, new = new, old
    if new.low / old.high > 1 + tolerance:
        return "worse"
    return "better" if old.low / new.high > 1 + tolerance else ""


if __name__ == "__main__":
    sys.exit(main())
