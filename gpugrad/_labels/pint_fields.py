"""Fields and spacings with pint's units: each derivative in its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

from gpugrad._arrays import library_of_labels
from gpugrad._grids import is_side, parse_axes
from gpugrad._keywords import choose_by_axis
from gpugrad._labels.names import find_row
from gpugrad._labels.typing import Call
from gpugrad._labels.units import are_dates, unit_of_time


def call(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator on magnitudes, and give its results their units.

    Raises
    ------
    ValueError
        If units don't fit together: of components, or of spacings whose derivatives are added.
    """
    row = find_row(operator.__name__)
    is_uniform = row.adds_axes or bool(options.get("stack"))
    registry, fields, values = _take_fields(f, [*spacing, *options.values()])
    steps = [_as_step(distance, registry, options) for distance in spacing]
    if is_uniform:
        steps = [convert(step, steps[0].units, "spacings of all axes") for step in steps]
    axis = options.get("axis", -1 if row.axes == (1, 1) else None)
    axes, ndim = parse_axes(axis, fields[0].ndim), fields[0].ndim
    step_of = dict(zip(axes, cycle(steps or [None]), strict=False))
    if "period" in options:
        options["period"] = _strip_period(options["period"], step_of, ndim)
    if "boundary" in options:
        options["boundary"] = _strip_boundary(options["boundary"], fields[0], step_of)
    _refuse_others(options)
    spaces = [
        distance if are_dates(distance) else step.magnitude
        for distance, step in zip(spacing, steps, strict=True)
    ]
    results = operator(values, *spaces, **options)
    unit = difference(fields[0])
    order = options.get("order", row.power)
    step_units = [difference(step) for step in steps] or [registry.Unit("")]
    if is_uniform or not isinstance(results, tuple):
        return _attach_unit(results, registry, unit / step_units[0] ** order)
    if row.gives == "pairs":
        rows = zip(results, cycle(step_units), strict=False)
        return tuple(_attach_units(line, registry, unit / by, step_units) for line, by in rows)
    if row.takes == "field":
        return _attach_units(results, registry, unit, step_units)
    return tuple(_attach_units(line, registry, unit, step_units) for line in results)


def call_per_length(
    evaluate: Call, name: str, f: Any, lengths: Sequence[Any], is_stacked: bool
) -> Any:
    """Evaluate an operator on a curved grid or sphere on magnitudes, and give results their units.

    `lengths` has one for each coordinate, or one for all: a quantity, the name of a unit, or None
    for a plain number.

    Raises
    ------
    ValueError
        If units don't fit together.
    """
    row = find_row(name)
    others = [length for length in lengths if library_of_labels(length) == "pint"]
    registry, fields, values = _take_fields(f, others)
    units = [
        length.units if library_of_labels(length) == "pint" else registry.Unit(length or "")
        for length in lengths or [None]
    ]
    if (row.adds_axes or is_stacked) and len(set(units)) > 1:
        raise ValueError(
            f"coordinates must have one unit for a {row.title} in one array; got "
            f"{' and '.join(map(str, units))}. Convert them."
        )
    unit = difference(fields[0])

    def attach(results: Any, by: Any = units[0]) -> Any:
        if not isinstance(results, tuple):
            return registry.Quantity(results, unit / by**row.power)
        if results and isinstance(results[0], tuple):
            return tuple(map(attach, results))
        return tuple(attach(result, by) for result, by in zip(results, cycle(units), strict=False))

    return attach(evaluate(values))


def _take_fields(f: Any, others: Iterable[Any]) -> tuple[Any, list[Any], Any]:
    """Return the registry of a call, its fields in one unit, and their magnitudes as `f` has them.

    `others` are the other arguments of the call.
    """
    is_vector = isinstance(f, (tuple, list))
    components = f if is_vector else [f]
    registry = registry_of([*components, *others])
    fields = [registry.Quantity(field) for field in components]
    for field in fields:
        # Differences of degrees above a zero have a unit, differences of logarithms have none.
        if not (field._is_multiplicative or "delta_" in str(difference(field))):
            raise ValueError(
                f"`f` must be in units that can be subtracted; got {field.units}, which is a "
                "logarithm. Convert it first, as in `f.to_base_units()`."
            )
    fields = [convert(field, fields[0].units, "components of `v`") for field in fields]
    values = [field.magnitude for field in fields]
    return registry, fields, values if is_vector else values[0]


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


def _strip_period(period: Any, step_of: Mapping[int, Any], ndim: int) -> Any:
    """Return periods as numbers, in the units of the spacings of their axes."""
    if isinstance(period, dict):
        by_axis = choose_by_axis(period, [*step_of], "period", range(ndim))
        return {k: _strip_period(entry, {k: step_of[k]}, ndim) for k, entry in by_axis.items()}
    step = next(iter(step_of.values()), None)
    if library_of_labels(period) != "pint" or step is None:
        return period
    return float(convert(period, step.units, "`period` and the spacing").magnitude)


def _strip_boundary(boundary: Any, field: Any, step_of: Mapping[int, Any]) -> Any:
    """Return boundaries with numbers in the unit of the field, or of its slope."""
    if is_side(boundary):
        step, unit = next(iter(step_of.values()), None), difference(field)
        unit = unit if step is None else unit / difference(step)
        return {name: _strip_number(value, unit) for name, value in boundary.items()}
    if isinstance(boundary, dict):
        by_axis = choose_by_axis(boundary, [*step_of], "boundary", range(field.ndim))
        return {k: _strip_boundary(side, field, {k: step_of[k]}) for k, side in by_axis.items()}
    if isinstance(boundary, (tuple, list)):
        return tuple(_strip_boundary(side, field, step_of) for side in boundary)
    return _strip_number(boundary, field.units)


def _strip_number(value: Any, unit: Any) -> Any:
    if library_of_labels(value) != "pint":
        return value
    return float(convert(value, unit, "`boundary` and the field").magnitude)


def _refuse_others(options: dict[str, Any]) -> None:
    """Raise TypeError where an option has units that nothing is done with."""
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
    """Return a quantity in other units; the error where it has none such starts with `what`."""
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


def _attach_units(line: Any, registry: Any, unit: Any, step_units: Sequence[Any]) -> Any:
    """Give each derivative of a line its unit; the unit of one spacing may stand for all axes."""
    pairs = zip(line, cycle(step_units), strict=False)
    return tuple(registry.Quantity(df, unit / by) for df, by in pairs)
