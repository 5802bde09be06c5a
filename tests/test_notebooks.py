"""Notebooks as they are stored: run whole and in order, without faults, with pictures for print.

What a notebook does when it is run is for `pytest --nbmake notebooks` to tell.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode
from functools import cache
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
DPI = 150
MACHINE_PATH = re.compile(r"(?<![\w./])/(home|work|tmp|usr|opt|root|Users|mnt|var)/|[A-Z]:\\\\?\w")


@cache
def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def outputs_of(path):
    return [output for cell in read(path)["cells"] for output in cell.get("outputs", [])]


def pictures_of(path):
    """Return the PNG files that a notebook stores."""
    data = (output.get("data", {}) for output in outputs_of(path))
    return [b64decode("".join(kinds["image/png"])) for kinds in data if "image/png" in kinds]


def texts_of(path):
    """Return all that a notebook has printed, each output as one text."""
    for output in outputs_of(path):
        kinds = {"text": output.get("text", ""), **output.get("data", {})}
        yield from ("".join(kinds[kind]) for kind in kinds if not kind.startswith("image"))


def read_resolution(picture):
    """Return the dots per inch that a PNG's chunk pHYs tells, across and down."""
    start = picture.index(b"pHYs") + 4
    across, down, unit = struct.unpack(">IIB", picture[start : start + 9])
    assert unit == 1, "dots per metre"
    return round(across * 0.0254), round(down * 0.0254)


for_each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@for_each_notebook
def test_it_opens_with_a_heading(path):
    first = read(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")


@for_each_notebook
def test_it_has_been_run_whole_and_in_order(path):
    cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all("".join(cell["source"]).strip() for cell in cells)


@for_each_notebook
def test_it_stores_no_error_and_no_warning(path):
    kinds = [output["output_type"] for output in outputs_of(path)]
    assert "error" not in kinds
    assert "stderr" not in [output.get("name") for output in outputs_of(path)]


@for_each_notebook
def test_it_stores_nothing_of_the_machine_or_the_hour(path):
    for text in texts_of(path):
        assert not MACHINE_PATH.search(text), text
        assert " at 0x" not in text
    assert all("execution" not in cell["metadata"] for cell in read(path)["cells"])


@for_each_notebook
def test_its_pictures_are_fit_for_print(path):
    pictures = pictures_of(path)
    assert pictures
    assert {read_resolution(picture) for picture in pictures} == {(DPI, DPI)}


@for_each_notebook
def test_its_file_is_small(path):
    assert path.stat().st_size < 800_000


def test_paths_of_machines_are_seen():
    assert MACHINE_PATH.search("File /home/ada/field.nc")
    assert MACHINE_PATH.search(r"C:\Users\ada")
    assert not MACHINE_PATH.search("metres/second, ../docs/home/page, K/m")
