"""Each library gives NumPy's results, on the devices that are here: one list of cases for all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from devices.cases import CASES
from devices.libraries import ROWS, Missing, Outcome, is_installed, known_outcomes, run, start

HERE = Path(__file__).parent


def _list_calls():
    """Yield each library with each case; of what is not installed one case, to be skipped."""
    for row in ROWS:
        marks = []
        if "GPU" in row.place:
            marks.append(pytest.mark.gpu)
        if row.package == "jax":  # compiles each operation: other tests look at it
            marks.append(pytest.mark.nightly)
        names = [*CASES] if is_installed(row) else [*CASES][:1]
        for name in names:
            yield pytest.param(row, name, id=f"{row.name}-{name}", marks=marks)


@cache
def run_alone(name):
    """Run all cases of a library in a process of its own, and return their outcomes."""
    done = subprocess.run(
        [sys.executable, "-m", "devices", name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[name]


def find_outcome(row, case):
    """Return the outcome of a case; skip the test where the library or its device is missing."""
    try:
        make = start(row)
    except Missing as error:
        if not row.is_alone:
            pytest.skip(str(error))
    if not row.is_alone:
        return run(row, make, case.call)
    answer = run_alone(row.name)
    if "missing" in answer:
        pytest.skip(answer["missing"])
    assert case.name not in answer["failures"], answer["failures"][case.name]
    return Outcome(*answer["cases"][case.name])


@pytest.mark.parametrize(("row", "name"), [*_list_calls()])
def test_results_are_numpys_or_within_the_bound_or_refused_with_a_reason(row, name):
    outcome = find_outcome(row, CASES[name])
    if outcome.kind == "refused":
        words = row.refused[name][0] if name in row.refused else "no (complex|float|u?int)"
        assert re.search(words, outcome.detail), outcome.detail
    else:
        assert name not in row.refused, "it works now: take the case out of `refused`"
    if not row.bound:
        known = known_outcomes()[row.name]["others"].get(name, "equal")
        assert outcome.kind == known, "run `python tools/device_table.py`"


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.runs != "by hand"])
def test_the_table_tells_of_every_case(name):
    known = known_outcomes()[name]
    assert known["cases"] == len(CASES)
    assert {*known["others"]} < {*CASES}


def test_results_that_differ_are_seen():
    numpy = ROWS[0]

    def call_wrongly(make):
        return make(np.ones(3)) if make is asarray else make(np.ones(3)) * (1 + 2**-52)

    def asarray(x):
        return x

    with pytest.raises(AssertionError, match="units in the last place"):
        run(numpy, asarray, call_wrongly)
    for wrong in (np.ones(4), np.ones(3, "f4"), np.array([1.0, np.nan, 1.0])):
        with pytest.raises(AssertionError):
            run(numpy, asarray, lambda make, wrong=wrong: wrong if make is asarray else np.ones(3))
    signs = run(
        numpy._replace(bound=1), asarray, lambda make: np.zeros(3) * (-1 if make is asarray else 1)
    )
    assert signs.kind == "bounded"


def test_the_page_tells_what_was_found():
    root = HERE.parents[1]
    code = "import json, device_table as t; k = t.known_outcomes(); "
    code += "print(json.dumps(t.write_page(k)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "tools", capture_output=True, text=True, check=True
    )
    page = json.loads(done.stdout)
    assert (root / "docs" / "reference" / "devices.md").read_text() == page, (
        "run tools/device_table.py --pages"
    )
