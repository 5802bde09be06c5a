"""Types as a type checker sees them: right calls pass, wrong ones fail, names are complete."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import gpugrad
from internals import OPERATORS

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))
STUB = Path(gpugrad.__file__).with_suffix(".pyi")


@pytest.mark.exhaustive
@pytest.mark.skipif(not find_spec("mypy"), reason="needs mypy")
def test_mypy_passes_what_is_right_and_finds_what_is_wrong(tmp_path):
    # An ignored error that is none is an error itself: so wrong calls are found, too.
    flags = ["--strict", "--warn-unused-ignores", f"--cache-dir={tmp_path}"]
    command = [sys.executable, "-m", "mypy", *flags, *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.exhaustive
@pytest.mark.skipif(not find_spec("basedpyright"), reason="needs basedpyright, a build of pyright")
def test_pyright_passes_what_is_right_and_finds_what_is_wrong(tmp_path):
    settings = {
        "include": [str(path) for path in FILES],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": True,
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "-p", tmp_path, "--pythonpath", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def keys_of(name, classes):
    """Return the keys of a class of options in the stub, with the inherited ones."""
    base, *_ = [node.id for node in classes[name].bases]
    inherited = keys_of(base, classes) if base in classes else set()
    return inherited | {node.target.id for node in classes[name].body}


@pytest.mark.parametrize("name", [*OPERATORS, "error_estimate", "smooth_derivative"])
def test_the_stub_has_all_parameters_and_defaults(name):
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    overloads = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    parameters = inspect.signature(getattr(gpugrad, name)).parameters
    assert len(overloads) > 1
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
