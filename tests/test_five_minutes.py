"""The page for newcomers is followed to the letter, in a copy of the clone and an empty place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "start" / "five-minutes.md"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "_site", "dist", "build"
)


def blocks_of(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def run(words, folder, **keywords):
    # As a new user's shell: no module comes from here, and no window is opened.
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"MPLBACKEND": "agg", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(
        words, cwd=folder, env=environment, text=True, capture_output=True, check=False, **keywords
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Follow the commands of the page, and return the Python that they have made ready."""
    clone = tmp_path_factory.mktemp("user") / "gpugrad"
    shutil.copytree(ROOT, clone, ignore=LEFT_OUT)
    (commands,) = blocks_of("sh")
    # The Python of this run is the user's `python3`.
    commands = commands.replace("python3 ", f"{sys.executable} ", 1)
    done = run(["bash", "-euc", commands], clone)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("ERROR") == 0
    return clone / ".venv" / "bin" / "python"


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="its commands are those of Linux and macOS")
def test_the_page_shows_what_its_commands_and_examples_give(python, tmp_path):
    examples = tmp_path / "page.txt"
    examples.write_text("\n".join(blocks_of("python")))
    code = f"import doctest; print(doctest.testfile({str(examples)!r}, module_relative=False))"
    done = run([python, "-W", "error", "-I", "-c", code], tmp_path)
    count = examples.read_text().count(">>> ")
    assert count > 20
    assert done.stdout.splitlines()[-1] == f"TestResults(failed=0, attempted={count})", done.stdout
    assert done.stderr == ""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="its commands are those of Linux and macOS")
def test_nothing_comes_but_what_the_page_names(python):
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    installed = {
        name.lower().replace("_", "-") for name in run([python, "-c", code], "/").stdout.split()
    }
    assert {"gpugrad", "numpy", "array-api-compat", "matplotlib"} <= installed
    assert not installed & {"scipy", "cupy-cuda13x", "torch", "jax", "dask", "sympy", "llvmlite"}
