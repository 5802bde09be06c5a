"""Running a call: its result or its error, its warnings, and what it did to its arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, made
from recording.digests import bytes_of, describe, digest, scrub

_HERE = Path(__file__).parent
_PACKAGE = Path(gpugrad.__file__).parent


def run(call: Call) -> dict[str, Any]:
    """Make a call, and return what came of it."""
    arguments, keywords = made(tuple(call.arguments)), made(dict(call.keywords))
    before = [digest(bytes_of(x)) for x in _arrays_in((arguments, keywords))]
    answer, caught = observe(lambda: describe(_function(call)(*arguments, **keywords)))
    if caught:
        answer["warns"] = caught
    after = [digest(bytes_of(x)) for x in _arrays_in((arguments, keywords))]
    changed = [i for i, pair in enumerate(zip(before, after, strict=True)) if len({*pair}) > 1]
    if changed:
        answer["changes arguments"] = changed
    return answer


def observe(make: Callable[[], Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the result or the error of a function without arguments, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = {"gives": make()}
        except Exception as error:  # noqa: BLE001 - whatever a user would see is recorded
            answer = {"raises": _describe_error(error)}
    # How often the same warning comes depends on how a field is cut, which is no promise.
    return answer, sorted({_describe_warning(warning) for warning in caught})


def show(call: Call) -> tuple[str, Any, list[str]]:
    """Make a call; return it as text, its result as it is or its error, and its warnings."""
    name = call.function if isinstance(call.function, str) else call.function.__name__
    given = [repr(x) for x in call.arguments]
    given += [f"{key}={value!r}" for key, value in call.keywords.items()]
    arguments, keywords = made(tuple(call.arguments)), made(dict(call.keywords))
    answer, caught = observe(lambda: _function(call)(*arguments, **keywords))
    return f"{name}({', '.join(given)})", next(iter(answer.values())), caught


def _function(call: Call) -> Callable[..., Any]:
    if isinstance(call.function, str):
        function: Callable[..., Any] = getattr(gpugrad, call.function)
        return function
    return call.function


def _arrays_in(x: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(x, np.ndarray):
        yield np.ma.getdata(x)
    elif isinstance(x, (tuple, list)):
        for part in x:
            yield from _arrays_in(part)
    elif isinstance(x, dict):
        yield from _arrays_in([*x.values()])


def _describe_error(error: Exception) -> str:
    """Name the class as users do, without its module, and the built-in one that it is."""
    kind = type(error)
    built_in = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    name = kind.__name__ if kind is built_in else f"{kind.__name__}({built_in.__name__})"
    return scrub(f"{name}: {error}")


def _describe_warning(warning: warnings.WarningMessage) -> str:
    path = Path(warning.filename)
    place = "elsewhere"
    if path.is_relative_to(_HERE):
        place = "at the caller's line"
    elif path.is_relative_to(_PACKAGE):
        place = "in gpugrad"
    return scrub(f"{warning.category.__name__}, {place}: {warning.message}")
