"""Types as a type checker sees them: right calls pass, wrong ones fail, names are complete."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from result_classes import list_attributes

import gpugrad
import gpugrad.typing
from internals import OPERATORS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "typing"
OF_LIBRARIES = FOLDER / "libraries.py"
FILES = sorted({*FOLDER.glob("*.py")} - {OF_LIBRARIES})
STUB = Path(gpugrad.__file__).with_suffix(".pyi")
OPTIONS = Path(gpugrad.__file__).parent / "_grids" / "typing.py"
IN_STUB = {
    node.name: node
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body[::-1]
    if isinstance(node, ast.FunctionDef)
}
"""The first declaration in the stub of each function that has one there."""

needs_mypy = pytest.mark.skipif(not find_spec("mypy"), reason="needs mypy")
needs_pyright = pytest.mark.skipif(
    not find_spec("basedpyright"), reason="needs basedpyright, a build of pyright"
)
needs_libraries = pytest.mark.skipif(
    not all(map(find_spec, ("dask", "jax", "torch", "xarray"))),
    reason="needs Dask, JAX, PyTorch and xarray",
)


def run_mypy(files, cache, *flags):
    # An ignored error that is none is an error itself: so wrong calls are found, too.
    flags = ["--strict", "--warn-unused-ignores", f"--cache-dir={cache}", *flags]
    command = [sys.executable, "-m", "mypy", *flags, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    return re.findall(r':(\d+): note: Revealed type is "(.*)"', done.stdout)


def run_pyright(files, folder):
    settings = {
        "include": [str(path) for path in files],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": True,
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    flags = ["-p", folder, "--pythonpath", sys.executable, "--outputjson"]
    command = [sys.executable, "-m", "basedpyright", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    messages = json.loads(done.stdout)["generalDiagnostics"]
    assert done.returncode == 0, [m for m in messages if m["severity"] == "error"]
    told = [(m["range"]["start"]["line"] + 1, m["message"]) for m in messages]
    return [(line, re.search(r'is "(.*)"$', text)[1]) for line, text in told if "Type of" in text]


def read_revealed(path):
    """Return the types that stand in the comments of a file, by line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [(i, line.partition("# revealed: ")[2]) for i, line in enumerate(lines, 1)]
    return {i: comment for i, comment in comments if comment}


def drop_modules(revealed):
    return {int(line): re.sub(r"\b\w+\.(?=\w)", "", text) for line, text in revealed}


@pytest.mark.exhaustive
@needs_mypy
def test_mypy_passes_what_is_right_and_finds_what_is_wrong(tmp_path):
    run_mypy(FILES, tmp_path)


@pytest.mark.exhaustive
@needs_pyright
def test_pyright_passes_what_is_right_and_finds_what_is_wrong(tmp_path):
    run_pyright(FILES, tmp_path)


@pytest.mark.nightly  # it reads all of PyTorch and of JAX: this takes a minute
@needs_mypy
@needs_libraries
def test_arrays_of_libraries_keep_their_types_for_mypy(tmp_path):
    # The settings of the project let mypy skip these libraries.
    revealed = run_mypy([OF_LIBRARIES], tmp_path, "--config-file=")
    assert drop_modules(revealed) == read_revealed(OF_LIBRARIES)


@pytest.mark.exhaustive
@needs_pyright
@needs_libraries
def test_arrays_of_libraries_keep_their_types_for_pyright(tmp_path):
    assert drop_modules(run_pyright([OF_LIBRARIES], tmp_path)) == read_revealed(OF_LIBRARIES)


@pytest.mark.exhaustive
@needs_pyright
def test_every_public_type_is_known_to_pyright():
    flags = ["--verifytypes", "gpugrad", "--ignoreexternal", "--outputjson"]
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, *flags]
    folder = Path(gpugrad.__file__).resolve().parent
    # Pyright looks into no folder that an editable install links to.
    variables = os.environ | {"PYTHONPATH": str(folder.parent)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables)
    report = json.loads(done.stdout)
    assert Path(report["typeCompleteness"]["packageRootDirectory"]).resolve() == folder
    vague = [
        (symbol["name"], [message["message"] for message in symbol["diagnostics"]])
        for symbol in report["typeCompleteness"]["symbols"]
        if not symbol["isTypeKnown"]
    ]
    assert vague == []


@pytest.mark.exhaustive
@needs_mypy
def test_the_stub_is_true_of_what_is_there(tmp_path):
    rows = [
        r"gpugrad\._.*  # these files are their own stubs",
        # It reads neither `Unpack` nor the word `spacing=`; a test below compares parameters.
        rf"gpugrad\.({'|'.join(IN_STUB)})",
        # These methods are made from the table of operators.
        rf"gpugrad\.xarray\.Data(Array|set)Accessor\.({'|'.join(OPERATORS)})",
    ]
    allowed = tmp_path / "allowed.txt"
    allowed.write_text("\n".join(rows))
    flags = ["--allowlist", allowed, "--mypy-config-file", "pyproject.toml", "--concise"]
    command = [sys.executable, "-m", "mypy.stubtest", "gpugrad", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_names_and_attributes_are_used_as_users_would():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (*FILES, OF_LIBRARIES)]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in nodes}
    classes = [getattr(gpugrad, name) for name in gpugrad.__all__]
    classes = [thing for thing in classes if inspect.isclass(thing)]
    classes.append(gpugrad.symbolic.SymbolicFunction)
    if find_spec("xarray"):
        from gpugrad import xarray

        classes += [getattr(xarray, name) for name in xarray.__all__]
    operators = {row.name for row in OPERATORS.values()}
    of_classes = {name for thing in classes for name in list_attributes(thing)} - operators
    assert {*gpugrad.__all__} - used - {"symbolic"} == set()
    assert {*gpugrad.symbolic.__all__} - used == set()
    imported = {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "gpugrad.typing"
        for alias in node.names
    }
    assert imported == {name for name in vars(gpugrad.typing) if name[0] != "_"}
    assert of_classes - used == set()


def keys_of(name, classes):
    """Return the keys of a class of options, with the inherited ones."""
    base, *_ = [node.id for node in classes[name].bases]
    inherited = keys_of(base, classes) if base in classes else set()
    return inherited | {node.target.id for node in classes[name].body[1:]}


@pytest.mark.parametrize("name", IN_STUB)
def test_the_stub_has_all_parameters_and_defaults(name):
    tree = ast.parse(OPTIONS.read_text(encoding="utf-8"))
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    overloads = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    parameters = inspect.signature(getattr(gpugrad, name)).parameters
    for overload in overloads:
        arguments = overload.args
        options = set()
        if arguments.kwarg:
            options = keys_of(arguments.kwarg.annotation.slice.id, classes)
        names = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)}
        assert names | options == {*parameters}
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if default is not None and argument.arg != "spacing":
                assert ast.literal_eval(default) == parameters[argument.arg].default


def test_the_stub_declares_all_operators():
    assert {*OPERATORS} <= {*IN_STUB}


@pytest.mark.parametrize("name", IN_STUB)
def test_the_stub_says_what_a_function_does_and_names_its_options(name):
    # Editors show this text: they don't run the code that fills in docstrings.
    function = getattr(gpugrad, name)
    summary, options = ast.get_docstring(IN_STUB[name]).split("\n\n")
    assert summary == inspect.getdoc(function).split("\n")[0]
    _, *others = inspect.signature(function).parameters
    assert re.findall(r"`(\w+)`", options) == [name for name in others if name != "spacing"]
    assert f"`help(gpugrad.{name})`" in options
