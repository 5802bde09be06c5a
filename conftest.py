"""The examples in README.md, docs/ and the package's docstrings are tests: Sybil collects them.

Without Sybil all other tests run all the same.
"""

from __future__ import annotations

import sys
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE
MODULES = ["gpugrad/*.py", "gpugrad/*/*.py", "gpugrad/*/*/*.py"]
"""The files of the package, by depth: `**` stands for one folder, no more and no less."""
SET_UP_ONCE = {"tests/test_benchmarks.py", "tests/test_cli.py", "tests/test_distributed.py"}
"""Modules whose tests share a run of the benchmarks or of the demonstration, or a cluster."""
ALONE = {"tests/test_files_killed.py", "tests/test_interruption.py"}
"""Modules whose tests are processes of their own, and share nothing: both workers take some."""


def _installed(name: str) -> bool:
    return find_spec(name) is not None


def _start_afresh(namespace: dict[str, Any]) -> None:
    # Examples show what a new interpreter shows: JAX in float32, whatever other tests need.
    if _installed("jax"):
        import jax

        namespace["_x64"] = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", False)
    namespace["installed"] = _installed  # for `skip: start if(not installed("torch"), ...)`


def _restore(namespace: dict[str, Any]) -> None:
    if "_x64" in namespace:
        sys.modules["jax"].config.update("jax_enable_x64", namespace["_x64"])
    if "matplotlib.pyplot" in sys.modules:  # which warns of more than 20 figures
        sys.modules["matplotlib.pyplot"].close("all")


if _installed("sybil"):
    sys.path += [str(Path(__file__).parent / folder) for folder in ("docs/images", "tools")]
    import pictures
    from sybil import Sybil
    from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
    from sybil.parsers.rest import DocTestParser

    pytest_collect_file = (
        Sybil(
            parsers=[
                PythonCodeBlockParser(doctest_optionflags=FLAGS),
                SkipParser(),
                pictures.find_pictures,
            ],
            patterns=["docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
            filenames=["README.md"],
            setup=_start_afresh,
            teardown=_restore,
        )
        + Sybil(parsers=[DocTestParser(optionflags=FLAGS)], patterns=MODULES)
    ).pytest()

    def pytest_addoption(parser: pytest.Parser) -> None:
        """Add the option that writes pictures."""
        cure = "write the pictures of the pages that are run, in place of comparing them"
        parser.addoption("--draw", action="store_true", help=cure)

    def pytest_configure(config: pytest.Config) -> None:
        """Tell it to what draws."""
        pictures.writes_files = config.getoption("--draw")

else:  # on a machine with a GPU, say, that has pytest and no network

    def pytest_report_header() -> str:
        """Say what is missing: no run without the examples looks like one with them."""
        return "The examples in README.md, docs/ and docstrings are left out: no sybil here."


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file on one worker of pytest-xdist: it compiles, imports and draws things once.

    In long runs a file would be too much for one worker: there it is the cases of a test. What
    shares a namespace, or takes long to set up, is kept whole in all of them.
    """
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    is_long = any(
        config.getoption(option, False) for option in ("--exhaustive", "--rest", "--nightly")
    )

    class KeepWhole(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path, _, test = nodeid.partition("::")
            is_example = test.lstrip(":").startswith("line:")
            is_usual = not is_long and path not in ALONE
            if is_usual or is_example or path in SET_UP_ONCE:
                return path
            return nodeid if path in ALONE else nodeid.partition("[")[0]

    return KeepWhole(config, log)
