"""Tell what became slower from one run of `against_others` to another, by ratios only.

Milliseconds of two runs are not comparable: what is compared is how gpugrad stood beside NumPy,
beside the floor of the machine and beside its own plain case, each within the rounds of one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import measure
from benchmarks.measure import Spread

FIGURES = {
    "speed_up": ("x numpy", True),
    "over_floor": ("x floor", False),
    "over_plain": ("x plain", False),
    "over_slices": ("x slices", False),
}
"""Ratios in the JSON: how the tables call them, and whether more is better."""

MACHINE = ("cpu", "cores", "memory_bytes", "huge_pages", "system", "python", "numpy")

Key = tuple[str, str, str]
"""A case, a contender and a figure."""


class Change(NamedTuple):
    """A ratio in two runs."""

    key: Key
    old: Spread
    new: Spread

    @property
    def worse(self) -> float:
        """How many times worse the new median is; below 1, better."""
        ratio = self.new.median / self.old.median
        return 1 / ratio if FIGURES[self.key[2]][1] else ratio

    @property
    def surely_worse(self) -> float:
        """How many times worse at least: from the worse quartile before to the better one now.

        Where the quartiles overlap this is at most 1: they explain the change.
        """
        if FIGURES[self.key[2]][1]:
            return self.old.low / self.new.high
        return self.new.low / self.old.high

    def judge(self, tolerance: float) -> str:
        """Say whether the ratio is better, worse or as it was."""
        if self.surely_worse > 1 + tolerance:
            return "worse"
        back = Change(self.key, self.new, self.old)
        return "better" if back.surely_worse > 1 + tolerance else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path, help="the JSON file of the earlier run")
    parser.add_argument("new", type=Path, help="the JSON file of the later run")
    parser.add_argument(
        "--tolerance", type=float, default=0.1, help="how much worse a ratio may be (0.10)"
    )
    arguments = parser.parse_args()
    old, new = read_results(arguments.old), read_results(arguments.new)
    for remark in list_remarks(old, new):
        print(f"Note: {remark}.")
    ratios = [dict(list_ratios(results)) for results in (old, new)]
    changes = [Change(key, ratios[0][key], ratios[1][key]) for key in ratios[0] if key in ratios[1]]
    print_changes(changes, arguments.tolerance)
    for which, (here, there) in {"old": ratios, "new": ratios[::-1]}.items():
        missing = sorted({f"{case}: {name}" for case, name, _ in here.keys() - there.keys()})
        for line in missing:
            print(f"only in the {which} file: {line}")
    worse = [change for change in changes if change.judge(arguments.tolerance) == "worse"]
    print(
        f"\n{len(worse)} of {len(changes)} ratios are worse by more than "
        f"{arguments.tolerance:.0%} beyond their quartiles."
    )
    return int(bool(worse))


def read_results(path: Path) -> dict[str, Any]:
    """Return the content of a file, which must be one of `against_others`."""
    results: dict[str, Any] = json.loads(path.read_text())
    if results.get("benchmark") != "against_others":
        raise SystemExit(f"{path.name} is not a file of against_others")
    return results


def list_remarks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield what makes two runs hard to compare."""
    for key in MACHINE:
        before, after = old["machine"].get(key), new["machine"].get(key)
        if before != after:
            yield f"another machine or system: {key} was {before} and is {after}"
    threads = [{case["threads"] for case in results["cases"]} for results in (old, new)]
    if all(threads) and threads[0] != threads[1]:
        yield f"another number of threads: {sorted(threads[0])} and {sorted(threads[1])}"
    for which, results in (("old", old), ("new", new)):
        if results["quick"]:
            yield f"the {which} file is of a quick run, whose figures mean nothing"


def list_ratios(results: dict[str, Any]) -> Iterator[tuple[Key, Spread]]:
    """Yield the ratios of gpugrad in every case; how others stand is no matter of ours."""
    for case in [*results["cases"], *results.get("crossover", ())]:
        for figure in FIGURES:
            for name, spread in case.get(figure, {}).items():
                if name.startswith("gpugrad") or name == "auto":
                    yield (case["title"], name, figure), Spread(**spread)


def print_changes(changes: list[Change], tolerance: float) -> None:
    """Print a line for each ratio."""
    rows = []
    for change in changes:
        title, name, figure = change.key
        rows.append(
            (
                f"{title}: {name}",
                FIGURES[figure][0],
                f"{change.old:.2f}",
                f"{change.new:.2f}",
                f"{100 * (change.worse - 1):+.0f} %",
                change.judge(tolerance),
            )
        )
    if rows:
        print(measure.format_table(("case", "ratio", "old", "new", "cost", ""), rows))


if __name__ == "__main__":
    sys.exit(main())
