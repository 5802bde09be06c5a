"""Our gradient in the place of the one that another project's tests call.

Each module here takes tests of another project from where it is installed, and has a function
``replace(monkeypatch, gradient)``. A test that never calls our gradient is an error. What such a
test expects stays NumPy's, or is written in the test. (`test_patched.py` runs whole suites, under
`gpugrad.patch_numpy`, and needs nothing of this.)
"""

from __future__ import annotations

import importlib
import importlib.util
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpugrad


class Spy:
    """A gradient that counts its calls."""

    def __init__(self) -> None:
        self.gradient: Callable[..., Any] = gpugrad.gradient
        self.calls = 0

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        self.calls += 1
        return self.gradient(*args, **keywords)


@pytest.fixture(autouse=True, name="ours")
def our_gradient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spy]:
    """Replace the gradient for one test, and see that the test calls it."""
    spy = Spy()
    request.module.replace(monkeypatch, spy)
    yield spy
    assert spy.calls, "this test has never called our gradient"


def vanish(*args: Any, **keywords: Any) -> Any:
    """Return a wrong gradient: zeros. A test that passes with it would compare nothing."""
    result = gpugrad.gradient(*args, **keywords)
    return tuple(0 * r for r in result) if isinstance(result, tuple) else 0 * result


def numpy_with(gradient: Callable[..., Any]) -> types.ModuleType:
    """Return NumPy with another gradient, for one module: the others keep NumPy's."""
    module = types.ModuleType("numpy")
    module.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]
    module.gradient = gradient  # type: ignore[attr-defined]
    return module


def unless_plain(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """Return a gradient that leaves plain arrays to NumPy: they are what a test expects."""

    def choose(f: Any, *args: Any, **keywords: Any) -> Any:
        called = np.gradient if type(f) is np.ndarray else gradient
        return called(f, *args, **keywords)

    return choose


def import_peer(name: str) -> Any:
    """Import a module of another project, or skip the tests of the module that asks for it."""
    return _import_or_skip(lambda: importlib.import_module(name))


def load_peer(path: Path) -> Any:
    """Import a file of another project by its place, or skip as `import_peer` does."""
    if not path.is_file():
        pytest.skip(f"{path} is not there", allow_module_level=True)
    spec = importlib.util.spec_from_file_location(f"peers_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _import_or_skip(lambda: spec.loader.exec_module(module))
    return module


def _import_or_skip(load: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the other project's
        try:
            return load()
        except ImportError as error:
            pytest.skip(f"not installed: {error}", allow_module_level=True)
