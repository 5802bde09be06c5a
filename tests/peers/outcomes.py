"""A plugin of pytest: it writes what became of each test, and how often our gradient was called.

It is loaded in the child processes of `test_patched.py`, patched and not.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

outcomes: dict[str, str] = {}
calls = 0


def pytest_configure() -> None:
    stand_ins: Any = sys.modules.get("gpugrad._patch.stand_ins")
    if stand_ins is not None:
        ours = stand_ins.gradient

        def count(*arguments: Any, **options: Any) -> Any:
            global calls
            calls += 1
            return ours(*arguments, **options)

        stand_ins.gradient = count


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        xfail = "xfail: " if hasattr(report, "wasxfail") else ""
        outcomes[report.nodeid] = f"{xfail}{report.outcome}"


def pytest_unconfigure() -> None:
    Path(os.environ["OUTCOMES"]).write_text(json.dumps({"outcomes": outcomes, "calls": calls}))
