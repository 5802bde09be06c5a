"""Names of a package that are loaded when they are asked for: an import should cost little."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from sys import modules
from typing import Any


def load_late(
    package: str, files: Mapping[str, str], moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    files : mapping of str to str
        For each file, from the package on, the names that it has, with spaces between them. A
        file that has its own name is a public one: the name is the module.
    moved : mapping of str to str, optional
        Names that have left, and what does their work now.
    """
    places = {name: file for file, names in files.items() for name in names.split()}

    def find(name: str) -> Any:
        if name not in places:
            message = f"module {package!r} has no attribute {name!r}"
            if moved and name in moved:
                # Told that it is known, Python does not add a name that is merely spelt alike.
                message += f": it is `{package}.{moved[name]}` now"
                raise AttributeError(message, name=name, obj=None)
            raise AttributeError(message)  # Python adds names that are spelt alike
        module = import_module(f"{package}.{places[name]}")
        thing = module if places[name] == name else getattr(module, name)
        setattr(modules[package], name, thing)  # the next look finds it there
        return thing

    return find
