"""Each call of the cheat sheet runs, with the arrays that the page begins with."""

from __future__ import annotations

import importlib
import re
from contextlib import ExitStack
from doctest import DocTestParser
from pathlib import Path

import numpy as np
import pytest

import gpugrad

PAGE = Path(__file__).parents[1] / "docs" / "start" / "cheat-sheet.md"
NEEDS = {"symbolic": "sympy", "smooth_derivative": "scipy", "plot": "matplotlib", "unit": "pint"}
NEEDS |= {"field, axis": "xarray", "lazy": "dask", "prominence": "scipy"}
"""What calls need besides NumPy, by a word in them."""


def list_calls():
    """Return the calls of Python in the middle column of all tables; commands are other tests'."""
    if not PAGE.is_file():
        return []
    rows = re.findall(
        r"^\| (?!I want|---)(.*?) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE
    )
    calls = [call for _, cell, _ in rows for call in re.findall(r"`(.*?)`", cell)]
    return [call for call in calls if not call.startswith(("gpugrad ", "python "))]


@pytest.fixture(scope="module")
def arrays():
    names = {"gpugrad": gpugrad, "np": np}
    for example in DocTestParser().get_examples(PAGE.read_text()):
        exec(example.source, names)
    return names


def make_more(call, arrays):
    """Return what the page has no code for: arrays of libraries that not everybody has."""
    if "unit" in call and "time_unit" not in call:
        return arrays | {"unit": importlib.import_module("pint").UnitRegistry().metre}
    if "field, axis" in call:
        xarray = importlib.import_module("xarray")
        return arrays | {
            "field": xarray.DataArray(arrays["f"], {"lat": arrays["x"]}, ["lat", "lon"])
        }
    if "lazy" in call:
        return arrays | {"lazy": importlib.import_module("dask.array").ones((8, 8), chunks=4)}
    return dict(arrays)


@pytest.mark.parametrize("call", list_calls())
def test_calls_run(call, arrays):
    for word, library in NEEDS.items():
        if word in call:
            pytest.importorskip(library)
    with ExitStack() as at_the_end:
        at_the_end.enter_context(gpugrad.use_backend())  # what a call has chosen ends here
        before = np.gradient(arrays["f"])
        namespace = make_more(call, arrays)
        exec(
            f"result = ({call})" if not call.startswith("xp =") else f"{call}\nresult = xp",
            namespace,
        )
        if "patch_numpy" in call:
            at_the_end.callback(namespace["result"].undo)
        assert namespace["result"] is not None
        for after, slope in zip(np.gradient(arrays["f"]), before, strict=True):
            np.testing.assert_array_equal(after, slope)


def test_each_public_call_has_a_question():
    words = set(re.findall(r"gpugrad\.(\w+)", " ".join(list_calls())))
    functions = {name for name in gpugrad.__all__ if name[0].islower() and name != "symbolic"}
    relatives = {name for name in functions if name.endswith("_of")} | {"vector_laplacian"}
    assert functions - relatives <= words
