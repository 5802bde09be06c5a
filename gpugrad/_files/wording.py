"""Errors of the package's functions in the words of the command: its options, axes by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gpugrad._files.errors import FileError
from gpugrad._stencils import OPERATORS

_OPTIONS = (
    "accuracy", "axis", "backend", "boundary", "edge_accuracy", "edge_order", "order", "period",
    "spacing", "stagger", "time_unit",
)  # fmt: skip
_NAMES = "|".join(sorted(_OPTIONS, key=len, reverse=True))


@contextmanager
def in_words_of_command(label: str, dims: Sequence[str], spacing: str) -> Iterator[None]:
    """Say errors of functions on a field in the words of the command.

    Parameters
    ----------
    label : str
        What the field is called.
    dims : sequence of str
        The names of its axes.
    spacing : str
        Where the spacings come from: an option, or coordinates in a file.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        raise FileError(say(str(error), label, dims, spacing)) from error


def say(message: str, label: str = "IN", dims: Sequence[str] = (), spacing: str = "") -> str:
    """Return a message of a function in the words of the command.

    Examples
    --------
    >>> say('axis 0 of `f` is short with accuracy=4; leave it out with `axis=`.', "T", ("time",))
    'axis time of T is short with --accuracy 4; leave it out with --axis.'
    """
    for axis, dim in enumerate(dims):
        if dim != f"axis{axis}":  # a name of the file, not one for want of any
            message = re.sub(rf"\baxis {axis}\b", f"axis {dim}".replace("\\", r"\\"), message)
    if spacing:
        message = message.replace("`spacing` for all axes", spacing)
        message = message.replace("`spacing`", spacing)
    calls = rf"`({'|'.join(OPERATORS)})\(\.\.\., ([^)]*)\)`"
    message = re.sub(calls, r"--operator \1 \2", message)
    message = re.sub(
        rf'`?\b({_NAMES})=("?)([-\w.]+)\2`?',
        lambda match: f"{_as_option(match[1])} {match[3]}",
        message,
    )
    message = re.sub(rf"`({_NAMES})=?`", lambda match: _as_option(match[1]), message)
    return message.replace("`f`", label).replace("`v`", label)


def _as_option(name: str) -> str:
    return "--" + name.replace("_", "-")
