"""Fields with labels or units: seen at the door, and handed on from there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from gpugrad._arrays import PLAIN, library_of_labels
from gpugrad._keywords import answer_error, spread_spacing
from gpugrad._labels.typing import Call

P = ParamSpec("P")
R = TypeVar("R")


def accepts_labels(operator: Callable[P, R]) -> Callable[P, R]:
    """Let an operator take arrays with labels or units, for the field and for spacings.

    What is differentiated in the end is what they hold, by a call of the operator itself. Keywords
    are what `accepts_keywords` makes of them.
    """

    @wraps(operator)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        if not options and len(arguments) == 1 and type(arguments[0]) is np.ndarray:
            return operator(*arguments, **options)  # the call that feels a microsecond
        if "spacing" in options:
            arguments = spread_spacing(operator, arguments, options)  # type: ignore[assignment]
        try:
            for argument in (*arguments, *options.values()) if options else arguments:
                if type(argument) not in PLAIN and library_of_labels(argument):
                    result: R = call_labelled(call, arguments, options)
                    return result
            return operator(*arguments, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            answer_error(operator, arguments, options, error)
            raise

    return call


ON_POINTS = {
    "turning_points": "call_on_curves",
    "inflection_points": "call_on_curves",
    "critical_points": "call_on_fields",
    "noise_level": "call_on_noise",
    "recommended_spacing": "call_on_spacing",
}


def call_labelled(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call an operator on fields with labels or units, or with such spacings."""
    if operator.__name__ in ON_POINTS:
        from gpugrad._labels import point_results

        call: Call = getattr(point_results, ON_POINTS[operator.__name__])
        return call(operator, arguments, options)
    if not arguments:
        arguments = tuple(options.pop(name) for name in ("v", "f") if name in options)
        if not arguments:
            return operator.__wrapped__(**options)  # type: ignore[attr-defined]
    f, *spacings = arguments
    if library_of_labels(f) == "xarray":
        from gpugrad._labels import xarray_fields

        return xarray_fields.call(operator, f, spacings, options)
    from gpugrad._labels import quantity_fields
    from gpugrad._labels.units import has_units
    from gpugrad._labels.xarray_coordinates import strip_labels

    # The field has no names, so spacings and options that have some lose them.
    spacings = [*map(strip_labels, spacings)]
    options = {name: strip_labels(value) for name, value in options.items()}
    if not any(map(has_units, (f, *spacings, *options.values()))):
        return operator.__wrapped__(f, *spacings, **options)  # type: ignore[attr-defined]
    return quantity_fields.call(operator, f, spacings, options)
