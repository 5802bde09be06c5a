"""Run all cases on the libraries that are named, and print the outcomes as JSON.

PYTHONPATH=tests python -m devices NAME...    all that are installed, without a name
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from devices.cases import CASES
from devices.libraries import ROWS, Missing, Row, release_of, run, start


def find_outcomes(row: Row) -> dict[str, Any]:
    """Return the release of a library, the outcome of each case, and what went wrong."""
    try:
        make = start(row)
    except Missing as error:
        return {"missing": str(error)}
    cases, failures = {}, {}
    for name, case in CASES.items():
        try:
            cases[name] = run(row, make, case.call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            failures[name] = f"{type(error).__name__}: {error}"
    return {"release": release_of(row), "cases": cases, "failures": failures}


if __name__ == "__main__":
    # Before JAX starts.
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
    names = sys.argv[1:] or [row.name for row in ROWS]
    print(json.dumps({row.name: find_outcomes(row) for row in ROWS if row.name in names}))
