"""The results in JSON, and the table of the page of reliability, which is written from them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine, list_versions
from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "reliability.json"
PAGE = ROOT / "docs" / "explanations" / "reliability.md"
START, END = "<!-- table: python -m benchmarks.reliability.page -->\n", "<!-- end of table -->\n"


def keep(name: str, result: dict[str, Any]) -> None:
    """Write the result of a kind beside those of others, and the page."""
    results = read()
    machine = describe_machine() | {"versions": list_versions()}
    results[name] = result | {"machine": machine}
    text = json.dumps(results, indent=1, allow_nan=False, ensure_ascii=False)
    RESULTS.write_text(text + "\n")
    write_page()


def read() -> dict[str, Any]:
    """Return the results that there are, by kind."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def describe_notes(notes: dict[str, int]) -> str:
    """Return how many trials were of which kind, or ended in which way."""
    return "; ".join(f"{count:,} {name}" for name, count in notes.items())


def format_table(results: dict[str, Any]) -> str:
    """Return the table of the page."""
    lines = ["| what was tried | name | trials | wrong | crashed | time | date | trials by kind |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, result in results.items():
        tried = f"{result['tried']:,}"
        if result["unit"] == "seconds":
            tried = f"{tried} in {result['count']} s"
        lines.append(
            f"| {result['what']} | `{name}` | {tried} | {result['wrong']} | {result['crashed']} "
            f"| {result['seconds']:,} s | {result['date']} | {describe_notes(result['notes'])} |"
        )
    tried, wrong, crashed = (
        sum(result[key] for result in results.values()) for key in ("tried", "wrong", "crashed")
    )
    total = f"In all: {tried:,} trials, {wrong:,} wrong, {crashed:,} crashed."
    return "\n".join([*lines, "", total]) + "\n"


def write_table(text: str, results: dict[str, Any]) -> str:
    """Return the text of the page with the table of these results."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{format_table(results)}\n{END}{after}"


def write_page(path: Path = PAGE) -> None:
    """Write the table into the page."""
    path.write_text(write_table(path.read_text(), read()))


if __name__ == "__main__":
    write_page()
    sys.exit()
