"""Whole suites of other projects under `gpugrad run`: each test ends as it does without.

Each suite runs twice, in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = {
    "numpy": ["numpy.lib.tests.test_function_base"],
    "dask": ["dask.array.tests.test_routines"],
    "xarray": ["xarray.tests.test_dataset", "xarray.tests.test_duck_array_ops"],
    "astropy": [
        "astropy.units.tests.test_quantity_non_ufuncs",
        "astropy.utils.masked.tests.test_function_helpers",
    ],
    "unyt": ["unyt.tests.test_array_functions"],
    "pint": ["pint.testsuite.test_numpy"],
    "metpy": ["tests/calc/test_calc_tools.py", "tests/calc/test_kinematics.py"],
}
NEVER_CALLED = {"metpy", "unyt"}
"""MetPy has a formula of its own; unyt's arrays keep NumPy's arithmetic."""


def run(suite, way, tmp_path):
    """Return the outcomes of a suite by test, and how many calls our gradient had."""
    folder = tmp_path
    if suite == "metpy":  # its tests are in its source archive only: see `.ci/nightly`
        folder = Path(sys.prefix) / "peers" / f"metpy-{metadata.version('metpy')}"
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there")
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    written = tmp_path / "outcomes.json"
    command = [sys.executable, *way, "-m", "pytest", "-p", "outcomes", "-p", "no:cacheprovider"]
    command += ["-q", "-c", os.devnull, "--rootdir", str(folder)]
    command += ["--pyargs"] * (suite != "metpy")
    subprocess.run(
        [*command, *SUITES[suite]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OUTCOMES": str(written)},
        stdout=subprocess.DEVNULL,
        check=False,  # some tests of others fail with and without
    )
    told = json.loads(written.read_text())
    return told["outcomes"], told["calls"]


@pytest.mark.parametrize("suite", SUITES)
def test_suites_end_as_they_do_without(suite, tmp_path):
    if find_spec(suite) is None:
        pytest.skip(f"{suite} is not installed")
    expected, _ = run(suite, [], tmp_path)
    outcomes, calls = run(suite, ["-m", "gpugrad", "run"], tmp_path)
    print(f"{suite}: {len(outcomes)} tests, {calls} calls of our gradient")
    assert len(expected) > 10
    assert outcomes == expected
    assert bool(calls) is (suite not in NEVER_CALLED)
