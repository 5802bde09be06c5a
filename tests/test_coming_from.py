"""The page for those who come from another library: each row is run against that library."""

from __future__ import annotations

import builtins
import re
import warnings
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import gpugrad

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "coming-from.md"
NONE = "–"
AGREEMENT = re.compile(
    r"(?P<bits>The same bits)|Equal to (?P<part>1e-\d+)|Differs by (?P<percent>[\d.]+) %"
)
EXCEPT = re.compile(r" but for (\d) samples? at each end\b")

if not PAGE.is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)


class Row(NamedTuple):
    """A row of a table of the page."""

    library: str
    theirs: str
    ours: str
    differs: str

    @property
    def label(self):
        return f"{self.library}: {self.theirs if self.theirs != NONE else self.ours}"


def read_sections():
    """Return the code and the rows of each section, by the name of the library."""
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {}
    for part in parts:
        library = part.partition("\n")[0].partition(".")[0].lower()
        (code,) = re.findall(r"^```python\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
        cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line[:1] == "|"]
        assert cells[0] == ["you write", "with gpugrad", "what differs"]
        sections[library] = code, [Row(library, *row) for row in cells[2:]]
    return sections


SECTIONS = read_sections()
ROWS = [row for _, rows in SECTIONS.values() for row in rows]


@cache
def names_of(library):
    """Return the names that the code of a section makes."""
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries, while they are imported
        exec(SECTIONS[library][0], names)
    return names


def run(cell, names):
    return eval(cell.strip("`"), names)


def to_parts(value):
    """Return the arrays that a result has, one after the other."""
    if hasattr(value, "data_vars"):
        return [*value.data_vars.values()]
    return [*value] if isinstance(value, (tuple, list)) else [value]


def to_numbers(value, unit=None):
    """Return the numbers of an array of any library, in a unit."""
    value = getattr(value, "data", value) if hasattr(value, "coords") else value
    if hasattr(value, "units"):  # of pint
        value = value.to(unit or value.units).magnitude
    return np.asarray(value.compute() if hasattr(value, "chunks") else gpugrad.asnumpy(value))


def find_unit(value):
    value = getattr(value, "data", value) if hasattr(value, "coords") else value
    return getattr(value, "units", None)


def find_kind(value):
    return np.ndarray if isinstance(value, (np.generic, float)) else type(value)


def assert_labels(ours, theirs, differs):
    """Check that two DataArrays lie at the same places, and the name and units on the page."""
    for dim, other in zip(ours.dims, theirs.dims, strict=True):
        np.testing.assert_array_equal(ours[dim].values, theirs[other].values)
    for name in re.findall(r"named `([^`]+)`", differs):
        assert ours.name == name
    for units in re.findall(r"[Uu]nits(?: are|,) `([^`]+)`", differs):
        assert ours.attrs["units"] == units


def compare(ours, theirs, differs):
    """Check that two arrays are as equal as the page says; return their difference in percent."""
    agreement = AGREEMENT.match(differs)
    exception = EXCEPT.match(differs, agreement.end())
    assert find_kind(ours) is find_kind(theirs)
    assert (find_unit(ours) is None) == (find_unit(theirs) is None)
    if hasattr(ours, "coords"):
        assert_labels(ours, theirs, differs)
    ours, theirs = to_numbers(ours, find_unit(theirs)), to_numbers(theirs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if exception:
        assert not np.allclose(ours, theirs, rtol=1e-9)
        inside = (slice(int(exception[1]), -int(exception[1])),) * ours.ndim
        ours, theirs = ours[inside], theirs[inside]
        assert ours.size > 5
    if agreement["bits"]:
        np.testing.assert_array_equal(ours, theirs)
        return 0.0
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    if agreement["part"]:
        assert difference <= float(agreement["part"])
    return 100 * difference


@pytest.mark.parametrize("row", [
    # JAX compiles each call.
    pytest.param(row, marks=[pytest.mark.exhaustive] if row.library == "jax" else [], id=row.label)
    for row in ROWS
])  # fmt: skip
def test_calls_of_other_libraries_are_matched_as_the_page_says(row, request):
    pytest.importorskip(row.library)
    if row.library == "jax":
        request.getfixturevalue("jax_without_64_bits")
    names = names_of(row.library)
    refused = re.match(r"Theirs raises `(\w+)`", row.differs)
    expected = pytest.raises(getattr(builtins, refused[1])) if refused else nullcontext()
    with warnings.catch_warnings(), expected:
        warnings.simplefilter("ignore")  # of theirs
        theirs = None if row.theirs == NONE else run(row.theirs, names)
    ours = None if row.ours == NONE else run(row.ours, names)
    if refused:
        return
    if row.theirs == NONE or row.ours == NONE:
        assert row.theirs != row.ours
        assert (row.ours == NONE) == row.differs.startswith("Keep ")
        return
    assert AGREEMENT.match(row.differs), "say how equal the results are, as the page's head does"
    ours, theirs = to_parts(ours), to_parts(theirs)
    assert len(ours) == len(theirs)
    pairs = zip(ours, theirs, strict=True)
    percents = [compare(mine, other, row.differs) for mine, other in pairs]
    most = AGREEMENT.match(row.differs)["percent"]
    assert most is None or float(most) / 2 <= max(percents) <= float(most)


def test_each_library_has_its_reasons_and_enough_calls():
    text = PAGE.read_text(encoding="utf-8")
    assert len(SECTIONS) == 8
    for part in text.split("\n## ")[1:]:
        reasons = part.split("\n\n")[1]
        assert reasons.startswith("gpugrad ")
        assert re.search(r"\. Stay with ", reasons.replace("\n", " "))
    assert all(6 <= len(rows) <= 15 for _, rows in SECTIONS.values())
