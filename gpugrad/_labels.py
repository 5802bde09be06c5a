"""Fields with labels or units, of xarray and pint: seen at the door, and handed on from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

_PLAIN = frozenset({np.ndarray, float, int, np.float64, np.float32, str, bool, type(None)})


def accepts_labels(operator: Callable[P, R]) -> Callable[P, R]:
    """Let an operator take the arrays of xarray and pint, for the field and for spacings.

    What is differentiated in the end is what they hold, by a call of the operator itself.
    """

    @wraps(operator)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        if not options and len(arguments) == 1 and type(arguments[0]) is np.ndarray:
            return operator(*arguments, **options)  # the call that feels a microsecond
        for one in (*arguments, *options.values()) if options else arguments:
            if type(one) not in _PLAIN and library_of_labels(one):
                from gpugrad._labelled import call_labelled

                result: R = call_labelled(call, arguments, options)
                return result
        return operator(*arguments, **options)

    return call


def library_of_labels(one: Any) -> str | None:
    """Return "xarray" or "pint" for what is theirs, a sequence with such a first entry included."""
    if isinstance(one, (tuple, list)) and one:
        one = one[0]
    if type(one) in _PLAIN:
        return None
    name = type(one).__module__.partition(".")[0]
    return name if name in ("xarray", "pint") else None
