"""Docstrings that are filled in: what several functions have in common is said in one table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from itertools import groupby
from textwrap import indent
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_REMARK = ": help() shows this"
"""What stands behind each mark, for editors: they show docstrings as they are written."""

_SPACE = "\0"
"""What stands for a space at which a line must not end."""


def fill_docstring(function: F, texts: Mapping[str, str], words: Mapping[str, str]) -> F:
    """Replace each ``{mark: help() shows this}`` in the docstring of a function by its text.

    Parameters
    ----------
    function : callable
        A function or a class, before decorators that copy its docstring.
    texts : mapping of str to str
        For each mark its text; the mark stands alone on a line, with nothing but spaces before it.
    words : mapping of str to str
        What stands for ``{word}`` in the texts.
    """
    if function.__doc__:  # which Python may have been told to drop
        for mark, text in texts.items():
            for word, meaning in words.items():
                text = text.replace(f"{{{word}}}", meaning)
            for line in function.__doc__.splitlines():
                if line.lstrip(" ") == f"{{{mark}{_REMARK}}}":
                    # Methods stand further to the right than functions.
                    margin = line.partition("{")[0]
                    lines = indent(_fill_lines(text.strip()), margin).lstrip()
                    function.__doc__ = function.__doc__.replace(line.lstrip(" "), lines, 1)
    return function


def join_parameters(function: Callable[..., Any], texts: Mapping[str, str]) -> str:
    """Return the descriptions of parameters, in the order of the signature."""
    return "".join(texts[name].lstrip("\n") for name in list_parameters(function))


def list_parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of parameters but `self`, in the order of the signature."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames
    with_arguments = bool(code.co_flags & inspect.CO_VARARGS)
    with_options = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    # `*spacing` and `**options` stand behind all others there.
    arguments = names[count : count + with_arguments]
    options = names[count + with_arguments : count + with_arguments + with_options]
    listed = *names[: code.co_argcount], *arguments, *names[code.co_argcount : count], *options
    return [name for name in listed if name != "self"]


def _fill_lines(text: str) -> str:
    """Return a text whose indented lines end where lines of code do; lists stay as they are."""
    blocks: list[str] = []
    for is_indented, lines in groupby(text.splitlines(), lambda line: line.startswith("    ")):
        block = "\n".join(lines)
        is_list = block.lstrip().startswith("- ")
        blocks.append(_fill(block) if is_indented and not is_list else block)
    return "\n".join(blocks)


@cache
def _fill(block: str) -> str:
    """Return a block with as many words on a line as there is room for.

    `textwrap.fill` does this, too, but takes a tenth of the time of our import.
    """
    pieces = " ".join(block.split()).split("``")
    pieces[1::2] = [code.replace(" ", _SPACE) for code in pieces[1::2]]  # code stays on one line
    filled = line = ""
    for word in "``".join(pieces).split():
        if line and len(line) + len(word) >= 92:
            filled, line = f"{filled}    {line}\n", word
        else:
            line = f"{line} {word}".lstrip()
    return f"{filled}    {line}".replace(_SPACE, " ")
