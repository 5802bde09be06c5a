"""Fields and spacings with pint's units: each derivative in its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from gpugrad._arrays import library_of_labels
from gpugrad._labels.typing import Call
from gpugrad._labels.units import are_dates, unit_of_time
from gpugrad._stencils import OPERATORS


def call(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator on magnitudes, and give its results their units.

    Raises
    ------
    ValueError
        If units don't fit together: of components, or of spacings whose derivatives are added.
    """
    # The error of a derivative has the derivative's unit.
    row = OPERATORS[operator.__name__.replace("error_estimate", "derivative")]
    is_uniform = row.adds_axes or bool(options.get("stack"))
    is_vector = isinstance(f, (tuple, list))
    components = f if is_vector else [f]
    registry = registry_of([*components, *spacing, *options.values()])
    fields = _fields_of(components, registry)
    steps = [_as_step(distance, registry, options) for distance in spacing]
    if is_uniform:
        steps = [convert(step, steps[0].units, "spacings of all axes") for step in steps]
    if "period" in options:
        options["period"] = _strip_period(options["period"], steps)
    if "boundary" in options:
        options["boundary"] = _strip_boundary(options["boundary"], fields[0], steps)
    _refuse_others(options)
    values = [field.magnitude for field in fields]
    spaces = [
        distance if are_dates(distance) else step.magnitude
        for distance, step in zip(spacing, steps, strict=True)
    ]
    results = operator(values if is_vector else values[0], *spaces, **options)
    unit = difference(fields[0])
    order = options.get("order", row.power)
    by = [difference(step) for step in steps] or [registry.Unit("")]
    if is_uniform or not isinstance(results, tuple):
        return _attach_unit(results, registry, unit / by[0] ** order)
    if row.gives == "pairs":
        rows = zip(results, cycle(by), strict=False)
        return tuple(_attach_units(line, registry, unit / step, by) for line, step in rows)
    if row.takes == "field":
        return _attach_units(results, registry, unit, by)
    return tuple(_attach_units(line, registry, unit, by) for line in results)


def call_on_sphere(operator: Call, f: Any, options: dict[str, Any]) -> Any:
    """Call an operator on a sphere on magnitudes, and give its results their units.

    The radius is in metres by default; a plain number has no unit.
    """
    is_vector = isinstance(f, (tuple, list))
    registry = registry_of([*(f if is_vector else [f]), *options.values()])
    fields = _fields_of(f if is_vector else [f], registry)
    names = [n for n in ("latitude", "longitude") if options.get(n) is not None]
    if any(library_of_labels(options[n]) == "pint" for n in names):
        unit = "degree" if options.get("degrees", True) else "radian"
        for name in names:
            coordinate = options[name]
            if library_of_labels(coordinate) != "pint":
                coordinate = registry.Quantity(coordinate, unit)
            options[name] = convert(coordinate, registry.Unit("degree"), f"`{name}`").magnitude
        options["degrees"] = True
    by = registry.Unit("metre")
    if options.get("radius") is not None:
        radius = registry.Quantity(options["radius"])
        options["radius"], by = float(radius.magnitude), radius.units
    _refuse_others(options)
    values = [field.magnitude for field in fields]
    results = operator(values if is_vector else values[0], **options)
    return _attach_unit(results, registry, difference(fields[0]) / by)


def _fields_of(components: Sequence[Any], registry: Any) -> list[Any]:
    fields = [registry.Quantity(field) for field in components]
    for field in fields:
        if not (field._is_multiplicative or "delta_" in str(difference(field))):
            raise ValueError(
                f"`f` must be in units that can be subtracted; got {field.units}, which is a "
                "logarithm. Convert it first, as in `f.to_base_units()`."
            )
    return [convert(field, fields[0].units, "components of `v`") for field in fields]


def difference(field: Any) -> Any:
    """Return the unit of differences: degrees above a zero become mere degrees."""
    sample = field[:1] if getattr(field, "ndim", 0) else field
    return (sample - sample).units


def _as_step(distance: Any, registry: Any, options: dict[str, Any]) -> Any:
    """Return a spacing with its unit; that of dates is the one that rates are per."""
    if are_dates(distance):
        return registry.Quantity(1.0, unit_of_time(options.get("time_unit") or "s"))
    step = registry.Quantity(distance)
    # A number is a distance already, which has no zero.
    return step if step.ndim else registry.Quantity(step.magnitude, difference(step))


def _strip_period(period: Any, steps: Sequence[Any]) -> Any:
    """Return periods as numbers, in the units of their spacings."""
    if isinstance(period, list):
        return [_strip_period(value, near) for value, near in _with_steps(period, steps)]
    if library_of_labels(period) != "pint" or not steps:
        return period
    return float(convert(period, steps[0].units, "`period` and the spacing").magnitude)


def _strip_boundary(boundary: Any, field: Any, steps: Sequence[Any]) -> Any:
    """Return boundaries with numbers in the unit of the field, or of its slope."""
    if isinstance(boundary, list):
        return [_strip_boundary(side, field, near) for side, near in _with_steps(boundary, steps)]
    if isinstance(boundary, tuple):
        return tuple(_strip_boundary(side, field, steps) for side in boundary)
    if isinstance(boundary, dict):
        unit = difference(field) / difference(steps[0]) if steps else difference(field)
        return {name: _strip_number(value, unit) for name, value in boundary.items()}
    return _strip_number(boundary, field.units)


def _with_steps(entries: list[Any], steps: Sequence[Any]) -> list[tuple[Any, Sequence[Any]]]:
    """Return what a list has for each axis, with the spacing there: one at most."""
    own_steps = [[step] for step in steps]
    if len(steps) != len(entries):  # one spacing for all axes, or none
        own_steps = [[*steps[:1]]] * len(entries)
    return [*zip(entries, own_steps, strict=True)]


def _strip_number(value: Any, unit: Any) -> Any:
    if library_of_labels(value) != "pint":
        return value
    return float(convert(value, unit, "`boundary` and the field").magnitude)


def _refuse_others(options: dict[str, Any]) -> None:
    """Raise TypeError where something has units that are not known what to do with."""
    for name, value in options.items():
        if library_of_labels(value) == "pint":
            raise TypeError(f"`{name}` must be without units; got a Quantity. Pass its magnitude.")


def registry_of(values: Sequence[Any]) -> Any:
    """Return the registry of the first quantity among values, or sequences of them."""
    quantities = [value for value in values if library_of_labels(value) == "pint"]
    first, *registries = [
        (value[0] if isinstance(value, (tuple, list)) else value)._REGISTRY for value in quantities
    ]
    if any(registry is not first for registry in registries):
        raise ValueError(
            "quantities must be of one registry of units; got some of different ones, whose units "
            "know nothing of each other. Make all of them by the same `pint.UnitRegistry`."
        )
    return first


def convert(quantity: Any, units: Any, what: str) -> Any:
    """Return a quantity in other units; `what` has to have them says the error if it can't."""
    if quantity.units == units:
        return quantity
    if not quantity.is_compatible_with(units):
        raise ValueError(
            f"{what} must have units that can be added; got {units or 'none'} and "
            f"{quantity.units or 'none'}."
        )
    return quantity.to(units)


def _attach_unit(results: Any, registry: Any, unit: Any) -> Any:
    if isinstance(results, tuple):
        return tuple(_attach_unit(result, registry, unit) for result in results)
    return registry.Quantity(results, unit)


def _attach_units(line: Any, registry: Any, unit: Any, by: Sequence[Any]) -> Any:
    """Give each derivative of a line its unit; one spacing may stand for all axes."""
    steps = zip(line, cycle(by), strict=False)
    return tuple(registry.Quantity(df, unit / step) for df, step in steps)
