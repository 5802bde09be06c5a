"""Fields and spacings with pint's units: each derivative in its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpugrad._labels import library_of_labels

_EACH_ITS_OWN = ("gradient", "derivative", "jacobian", "hessian")
"""Operators that add nothing up along different axes."""


def call(
    operator: Callable[..., Any], f: Any, spacing: Sequence[Any], options: dict[str, Any]
) -> Any:
    """Call an operator on magnitudes, and give its results their units.

    Raises
    ------
    ValueError
        If units don't fit together: of components, or of spacings whose derivatives are added.
    """
    name = operator.__name__
    several = isinstance(f, (tuple, list))
    registry = _registry_of([*(f if several else [f]), *spacing])
    fields = [registry.Quantity(one) for one in (f if several else [f])]
    fields = [_convert(one, fields[0].units, "components of `v`") for one in fields]
    steps = [registry.Quantity(one) for one in spacing]
    if name not in _EACH_ITS_OWN or options.get("stack"):
        steps = [_convert(step, steps[0].units, "spacings of all axes") for step in steps]
    values = [one.magnitude for one in fields]
    results = operator(
        values if several else values[0], *(step.magnitude for step in steps), **options
    )
    unit = (fields[0][:1] - fields[0][:1]).units  # degrees above a zero become mere degrees
    order = options.get("order", 2 if name in ("laplacian", "hessian") else 1)
    by = [step.units for step in steps] or [registry.Unit("")]
    if name not in _EACH_ITS_OWN or options.get("stack"):
        return _attach(results, registry, unit / by[0] ** order)
    return _attach_each(name, results, registry, unit, by, order)


def _registry_of(values: Sequence[Any]) -> Any:
    return next(one._REGISTRY for one in values if library_of_labels(one) == "pint")


def _convert(quantity: Any, units: Any, what: str) -> Any:
    if quantity.units == units:
        return quantity
    if not quantity.is_compatible_with(units):
        raise ValueError(
            f"{what} must have units that can be added; got {units or 'none'} and "
            f"{quantity.units or 'none'}."
        )
    return quantity.to(units)


def _attach(results: Any, registry: Any, unit: Any) -> Any:
    if isinstance(results, tuple):
        return tuple(_attach(result, registry, unit) for result in results)
    return registry.Quantity(results, unit)


def _attach_each(
    name: str, results: Any, registry: Any, unit: Any, by: Sequence[Any], order: int
) -> Any:
    def step(j: int) -> Any:
        return by[j] if len(by) > 1 else by[0]

    if not isinstance(results, tuple):
        return registry.Quantity(results, unit / by[0] ** order)
    if name == "gradient":
        return tuple(registry.Quantity(df, unit / step(j)) for j, df in enumerate(results))
    if name == "jacobian":
        return tuple(
            tuple(registry.Quantity(df, unit / step(j)) for j, df in enumerate(row))
            for row in results
        )
    return tuple(
        tuple(registry.Quantity(df, unit / step(i) / step(j)) for j, df in enumerate(row))
        for i, row in enumerate(results)
    )
