"""Fields with labels or units, of xarray and pint: seen at the door, and handed on from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

from gpugrad._arrays.arrays import _PLAIN, library_of_labels

P = ParamSpec("P")
R = TypeVar("R")


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
