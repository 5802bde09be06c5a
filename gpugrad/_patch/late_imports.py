"""Libraries that are imported while a patch holds: told as soon as they are there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Finder(MetaPathFinder):
    """Leaves the finding to the others, and has the loader tell when it has done its work."""

    def __init__(self) -> None:
        self.libraries: Collection[str] = ()
        self.tell: Callable[[str], None] = _tell_nobody
        self._sought: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find; None for modules that nobody waits for."""
        if fullname not in self.libraries or fullname in self._sought:
            return None  # the second: another finder asks all of them, and so this one again
        self._sought.add(fullname)
        try:
            spec = _ask_others(self, fullname, path, target)
        finally:
            self._sought.discard(fullname)
        if spec is not None and spec.loader is not None:
            self._tell_after(spec.loader, fullname)
        return spec

    def _tell_after(self, loader: Any, name: str) -> None:
        """Let a loader tell of one module. It stays the same object, and is then as it was."""

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            loader.exec_module(module)
            self.tell(name)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            return  # a loader that takes no attributes, as those written in C


def _tell_nobody(_: str) -> None:
    """Tell nobody, as long as nobody asks."""


def _ask_others(asking: MetaPathFinder, *module: Any) -> ModuleSpec | None:
    for finder in [*sys.meta_path]:
        if finder is not asking and hasattr(finder, "find_spec"):
            spec = finder.find_spec(*module)
            if spec is not None:
                return spec
    return None


_finder = _Finder()


def watch_imports(libraries: Collection[str], tell: Callable[[str], None]) -> None:
    """Call `tell` with the name of each of these libraries once it is imported; none ends it."""
    _finder.libraries, _finder.tell = libraries, tell
    if libraries and _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    elif not libraries and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def is_loaded(library: str) -> bool:
    """Tell whether a library has been imported, to the end."""
    module = sys.modules.get(library)
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


def wait_for_import(library: str) -> None:
    """Let another thread end the import of a library, if it has begun one."""
    if sys.modules.get(library) is not None:
        with suppress(ImportError):
            import_module(library)
