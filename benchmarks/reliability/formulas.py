"""Texts of formulas, well-formed, damaged and hostile, by the fuzzer of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from benchmarks.measure import ROOT
from benchmarks.reliability.trial import Outcome

FUZZER = ROOT / "tests" / "fuzz_formulas.py"
BAD = {"executed", "too long", "crashed", "misread"}
"""What it counts that must not be."""


def run(count: int, seed: int) -> Outcome:
    """Let the fuzzer write texts for `count` seconds; `tried` are the texts."""
    outcome = Outcome()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(FUZZER), "--seconds", str(count), "--seed", str(seed)],
        capture_output=True, text=True, cwd=ROOT, timeout=count + 300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    *examples, told = done.stdout.splitlines() or [""]
    counts = {name: int(number) for name, number in re.findall(r"([a-z ]+): (\d+)", told)}
    counts = {name.strip(): number for name, number in counts.items()}
    if not counts or done.returncode not in (0, 1):
        outcome.fail(f"status {done.returncode}: {done.stderr[-2000:]}", crashed=True)
        return outcome
    outcome.tried = counts.get("texts", sum(counts.values()))
    outcome.crashed = counts.get("crashed", 0)
    outcome.wrong = sum(counts.get(name, 0) for name in BAD) - outcome.crashed
    outcome.notes.update({name: number for name, number in counts.items() if name != "texts"})
    if done.returncode and not outcome.wrong + outcome.crashed:
        outcome.fail(told)
    if examples:
        print("\n".join(examples[:10]), file=sys.stderr)
    return outcome
