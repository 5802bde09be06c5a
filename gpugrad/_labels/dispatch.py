"""Fields with labels or units, of xarray, pint, pandas: seen at the door, and handed on."""

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


def accepts_labels(
    operator: Callable[P, R], find_fastest: Callable[[], Call] | None = None
) -> Callable[P, R]:
    """Let an operator take arrays with labels or units, for the field and for spacings.

    What is differentiated in the end is what they hold, by a call of the operator itself, or of
    what `find_fastest` returns. Keywords are what `accepts_keywords` makes of them.
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
                    fastest = call if find_fastest is None else find_fastest()
                    result: R = call_labelled(fastest, arguments, options)
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
    """Call an operator on fields of xarray, pint or pandas, or with spacings of theirs."""
    field = arguments[0] if arguments else options.get("f", options.get("v"))
    if library_of_labels(field) == "pandas":
        from gpugrad._labels import pandas_fields

        if not arguments:
            options.pop("f" if "f" in options else "v")
        return pandas_fields.call(operator, field, arguments[1:], options)
    if "pandas" in map(library_of_labels, (*arguments, *options.values())):
        from gpugrad._labels.pandas_fields import strip_pandas

        arguments = tuple(map(strip_pandas, arguments))
        options = {name: strip_pandas(value) for name, value in options.items()}
        return operator(*arguments, **options)
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
