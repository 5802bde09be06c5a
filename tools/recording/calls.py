"""A call of the public API as data: a name, a function, arguments that are made when it runs."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gpugrad


@dataclass(frozen=True)
class Later:
    """An argument that is made anew for each run, so that no call sees what another has done."""

    text: str
    make: Callable[[], Any]

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Call:
    """A call, and the name under which its result is recorded.

    `function` is the name of a public function, looked up when the call runs, or a function of
    this recorder that makes several calls of the public API.
    """

    name: str
    function: str | Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """Arguments and keywords that go together in a call."""

    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


def given(*arguments: Any, **keywords: Any) -> Given:
    """Return arguments and keywords as one row of a column."""
    return Given(arguments, keywords)


Column = Mapping[str, Any]
"""What a factor of a product adds to a call, by label: a tuple of arguments, a dict, or `Given`."""


def product(
    group: str, function: str | Callable[..., Any], *columns: Column, one_in: int = 1
) -> Iterator[Call]:
    """Make a call of each combination of rows, one from each column.

    Parameters
    ----------
    group : str
        What the names of the calls begin with.
    function : str or callable
        What is called.
    *columns : mapping
        Labels, which become part of the names, and what they stand for: a tuple is appended to the
        arguments, a dict added to the keywords.
    one_in : int
        Of so many calls one is kept, chosen by its name: so the same ones are kept each time, and
        a new row in a table does not choose others.
    """
    for rows in itertools.product(*(column.items() for column in columns)):
        name = "/".join([group, *(label for label, _ in rows if label)])
        if one_in > 1 and zlib.crc32(name.encode()) % one_in:
            continue
        arguments: tuple[Any, ...] = ()
        keywords: dict[str, Any] = {}
        for _, part in rows:
            if isinstance(part, Given):
                arguments += part.arguments
                keywords.update(part.keywords)
            elif isinstance(part, tuple):
                arguments += part
            else:
                keywords.update(part)
        yield Call(name, function, arguments, keywords)


def options(**values: Any) -> dict[str, dict[str, Any]]:
    """Make a column of one keyword with several values: its labels are what a user would type."""
    return {
        f"{name}={value!r}".replace(" ", ""): {name: value}
        for name, several in values.items()
        for value in several
    }


def made(argument: Any) -> Any:
    """Return an argument with everything in it that is to be made."""
    if isinstance(argument, Later):
        return argument.make()
    if type(argument) in (tuple, list):
        return type(argument)(made(part) for part in argument)
    if type(argument) is dict:
        return {key: made(part) for key, part in argument.items()}
    return argument


def call_public(function: str, *arguments: Any, **keywords: Any) -> Any:
    """Call a public function whose name is part of a table, or a method of a grid."""
    if "." in function:
        return call_on_grid(function, *arguments, **keywords)
    return getattr(gpugrad, function)(*arguments, **keywords)


_OF_METHODS = ("out", "stack", "where", "skipna", "backend")


def call_on_grid(name: str, f: Any, *coordinates: Any, **keywords: Any) -> Any:
    """Call a method such as ``Sphere.curl``: a field, or ``(v, u)``, then what the grid takes.

    The coordinates of a curved grid may be in one tuple.
    """
    if len(coordinates) == 1 and isinstance(coordinates[0], tuple):
        (coordinates,) = coordinates
    grid_name, _, method = name.partition(".")
    own = {key: keywords.pop(key) for key in _OF_METHODS if key in keywords}
    grid = getattr(gpugrad, grid_name)(*coordinates, **keywords)
    if grid_name == "Sphere" and method in ("divergence", "curl"):
        return getattr(grid, method)(u=f[1], v=f[0], **own)
    return getattr(grid, method)(f, **own)


NOTHING: Column = {"": ()}
"""A column that adds nothing."""

BACKENDS = {name: {"backend": name} for name in ("slices", "numpy", "compiled", "auto")}
