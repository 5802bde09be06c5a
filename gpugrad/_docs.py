"""Docstrings that are filled in: what several functions have in common is said in one table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from itertools import groupby
from textwrap import fill, indent
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_SPACE = "\0"
"""What stands for a space at which a line must not end."""


def fill_docstring(function: F, texts: Mapping[str, str], words: Mapping[str, str]) -> F:
    """Replace each ``{mark}`` in the docstring of a function by its text.

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
            # Methods stand further to the right than functions.
            for margin in re.findall(rf"^( *)\{{{mark}\}}", function.__doc__, re.MULTILINE):
                lines = indent(_fill_lines(text.strip()), margin).lstrip()
                function.__doc__ = function.__doc__.replace(f"{{{mark}}}", lines, 1)
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
        if is_indented and not block.lstrip().startswith("- "):
            words = " ".join(block.split())
            # A piece of code stays on one line.
            words = re.sub("``.+?``", lambda code: code[0].replace(" ", _SPACE), words)
            block = fill(words, 96, initial_indent=" " * 4,
                         subsequent_indent=" " * 4, break_long_words=False)  # fmt: skip
            block = block.replace(_SPACE, " ")
        blocks.append(block)
    return "\n".join(blocks)
