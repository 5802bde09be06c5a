"""Docstrings of all public names are complete: numpydoc finds nothing to add."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from result_classes import list_attributes

import gpugrad

PACKAGE = Path(gpugrad.__file__).parent
LONG = 150
"""Characters that two docstrings may have in common: an entry of a list, or a paragraph."""

INHERITED = {*dir(object), *dir(tuple), *dir(Exception), *dir(type)}


def names():
    """Return the dotted names of public functions, classes and their public methods."""
    for module, listed in (
        ("gpugrad", gpugrad.__all__),
        ("gpugrad.symbolic", [name for name in dir(gpugrad.symbolic) if name[0] != "_"]),
    ):
        for name in listed:
            value = getattr(gpugrad if module == "gpugrad" else gpugrad.symbolic, name)
            if inspect.ismodule(value):
                continue
            yield f"{module}.{name}"
            if inspect.isclass(value):
                own = [method for method in dir(value) if method[0] != "_"]
                for method in own:
                    if method not in INHERITED and callable(getattr(value, method)):
                        yield f"{module}.{name}.{method}"


@pytest.mark.skipif(not find_spec("numpydoc"), reason="needs numpydoc")
@pytest.mark.parametrize("name", [*names()])
def test_docstrings_say_all_that_numpydoc_asks_for(name):
    from numpydoc.validate import validate

    assert [f"{code}: {text}" for code, text in validate(name)["errors"]] == []


def classes():
    """Return the public classes, those of the accessor too where there is xarray."""
    listed = [getattr(gpugrad, name) for name in gpugrad.__all__]
    listed.append(gpugrad.symbolic.SymbolicFunction)
    if find_spec("xarray"):
        accessor = import_module("gpugrad.xarray")
        listed += [getattr(accessor, name) for name in accessor.__all__]
    return [thing for thing in listed if inspect.isclass(thing)]


@pytest.mark.skipif(not find_spec("numpydoc"), reason="needs numpydoc")
@pytest.mark.parametrize("thing", classes(), ids=[thing.__name__ for thing in classes()])
def test_all_attributes_of_public_classes_are_described(thing):
    from numpydoc.docscrape import NumpyDocString

    text = NumpyDocString(inspect.getdoc(thing))
    entries = [entry for part in ("Parameters", "Attributes") for entry in text[part]]
    described = {name.strip() for entry in entries for name in entry.name.split(",")}
    for name in list_attributes(thing) - described:
        # What is no argument is a property or a method, with a docstring of its own.
        own = inspect.getdoc(inspect.getattr_static(thing, name))
        assert own, name
        assert "Examples\n" in own or thing.__module__ == "gpugrad.xarray"
    for entry in entries:  # numbers of a collection are told with their shape
        assert entry.type or "as they were given" in " ".join(entry.desc), entry.name
        is_collection = hasattr(thing, "to_dataframe")
        assert "of shape (points" in entry.type or not is_collection, entry.name
    assert text["Examples"]


def test_the_examples_of_all_files_are_collected():
    conftest = PACKAGE.parent / "conftest.py"
    if not conftest.is_file():
        pytest.skip("not a checkout")
    (listed,) = re.findall(r"^MODULES = (.*)$", conftest.read_text(), re.MULTILINE)
    collected = {path for p in ast.literal_eval(listed) for path in PACKAGE.parent.glob(p)}
    assert {*PACKAGE.rglob("*.py")} == collected


def paragraphs_of(path):
    """Yield name and paragraph for what is written in docstrings, before tables are filled in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            for paragraph in re.split(r"\n\s*\n|\n(?=\S)", ast.get_docstring(node) or ""):
                yield f"{path.stem}.{node.name}", " ".join(paragraph.split())


def test_no_two_docstrings_have_the_same_long_paragraph():
    owners = defaultdict(list)
    for path in PACKAGE.rglob("*.py"):
        for name, paragraph in paragraphs_of(path):
            if len(paragraph) >= LONG:
                owners[paragraph].append(name)
    assert {text: names for text, names in owners.items() if len(names) > 1} == {}


@pytest.mark.parametrize("name", [*names()])
def test_docstrings_are_filled_in(name):
    value = gpugrad
    for attribute in name.split(".")[1:]:
        value = getattr(value, attribute)
    lines = [
        line for line in value.__doc__.splitlines() if "\\" not in line
    ]  # formulas have braces
    assert [line for line in lines if re.search(r"\{[a-z_]{4,}(: help.*)?\}", line)] == []
