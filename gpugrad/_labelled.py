"""Calls on fields with labels or units: taken apart, computed, and put together again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpugrad._labels import library_of_labels

Call = Callable[..., Any]


def call_labelled(operator: Call, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call an operator on fields of xarray or pint, or with spacings of theirs."""
    f, *spacing = arguments
    if "spacing" in options:
        spacing = [options.pop("spacing")]
    libraries = {library_of_labels(one) for one in arguments}
    if library_of_labels(f) == "xarray":
        from gpugrad import _xarray_fields

        return _xarray_fields.call(operator, f, spacing, options)
    if "xarray" in libraries:  # coordinates of xarray beside a plain field
        values = [one.data if library_of_labels(one) == "xarray" else one for one in spacing]
        return operator(f, *values, **options)
    from gpugrad import _pint_fields

    return _pint_fields.call(operator, f, spacing, options)
