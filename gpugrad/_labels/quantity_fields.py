"""Fields and spacings with units, of any library of units: each derivative in its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from numbers import Integral
from typing import Any, NamedTuple

from gpugrad._arrays import asnumpy, is_library_array, library_of
from gpugrad._grids import are_dates, is_side, parse_axes
from gpugrad._keywords import choose_by_axis
from gpugrad._labels.cf_units import unit_of_time
from gpugrad._labels.names import find_row
from gpugrad._labels.typing import Call
from gpugrad._labels.units import (
    Amount,
    UnitLibrary,
    convert,
    find_library,
    has_units,
    take,
    take_coordinate,
)


class SpacingAmount(NamedTuple):
    """A spacing: its values, their unit (None for dates), and the unit of differences."""

    values: Any
    unit: Any
    by: Any


class Fields(NamedTuple):
    """The fields of a call: their library of units, values as the operator takes them, their unit.

    `unit` is the unit of values, `difference` the unit of their differences. `like` is the first
    field, or None where it has no unit.
    """

    library: UnitLibrary
    values: Any
    ndim: int
    unit: Any
    difference: Any
    like: Any

    def make(self, values: Any, unit: Any) -> Any:
        """Return values as a quantity of the class of the fields."""
        return self.library.make(values, unit, self.like)


def call(operator: Call, f: Any, spacing: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call an operator on magnitudes, and give its results their units.

    Raises
    ------
    TypeError
        If quantities are of two libraries, or an option has a unit that nothing is done with.
    ValueError
        If units don't fit together: of components, or of spacings whose derivatives are added.
    """
    row = find_row(operator.__name__)
    is_uniform = row.adds_axes or bool(options.get("stack"))
    fields = take_fields(f, [*spacing, *options.values()], row.takes == "vector")
    steps = [as_step(distance, fields, options) for distance in spacing]
    if is_uniform:
        steps = [_convert_step(step, steps[0], fields.library) for step in steps]
    axes = parse_axes(options.get("axis", -1 if row.axes == (1, 1) else None), fields.ndim)
    nothing = SpacingAmount(1.0, None, fields.library.without(fields.unit))
    step_of = dict(zip(axes, cycle(steps or [nothing]), strict=False))
    order = options.get("order", row.power)
    order = int(order) if isinstance(order, Integral) else 1  # the operator refuses others
    if "period" in options:
        options["period"] = _strip_period(options["period"], step_of, fields)
    if "boundary" in options:
        options["boundary"] = _strip_boundary(options["boundary"], fields, step_of)
    if has_units(options.get("lam")):
        options["lam"] = _strip_number(options["lam"], step_of[axes[0]].by ** 3, fields, "lam")
    units = [*_list_units(row, fields, [step_of[axis].by for axis in axes], order, is_uniform)]
    out = options.get("out")
    if out is not None:
        options["out"] = _strip_out(out, units, fields.library)
    _refuse_others(options)
    results = operator(fields.values, *[step.values for step in steps], **options)
    if out is None:
        return _attach(results, cycle(units), fields)
    _convert_out(out, units, fields.library)
    return out


def call_per_length(
    evaluate: Call, name: str, f: Any, lengths: Sequence[Any], out: Any, is_stacked: bool
) -> Any:
    """Evaluate an operator on a curved grid or sphere on magnitudes, and give results their units.

    ``evaluate(values, out)`` does it. `lengths` has one for each coordinate, or one for all: a
    quantity, the name of a unit, or None for a plain number.

    Raises
    ------
    TypeError
        If quantities are of two libraries.
    ValueError
        If units don't fit together.
    """
    row = find_row(name)
    fields = take_fields(f, [out, *lengths], row.takes == "vector")
    library, none = fields.library, fields.library.without(fields.unit)
    by = []
    for length in lengths or [None]:
        amount = take(library, length)
        plain = library.parse(length, fields.unit) if length is not None and not amount else none
        by.append(library.subtract(amount.unit) if amount else plain)
    is_uniform = row.adds_axes or is_stacked
    if is_uniform and any(unit != by[0] for unit in by):
        raise ValueError(
            f"coordinates must have one unit for a {row.title} in one array; got "
            f"{' and '.join(str(unit) or 'none' for unit in by)}. Convert them."
        )
    units = [*_list_units(row, fields, by, row.power, is_uniform)]
    if out is None:
        return _attach(evaluate(fields.values, None), cycle(units), fields)
    evaluate(fields.values, _strip_out(out, units, library))
    _convert_out(out, units, library)
    return out


def take_fields(f: Any, others: Iterable[Any], is_vector: bool) -> Fields:
    """Return the fields of a call in one unit. `others` are the other arguments of the call."""
    is_sequence = is_vector and isinstance(f, (tuple, list))
    components = [*f] if is_sequence else [f]
    others = [*_list_arrays(others)]
    library = find_library([*components, *others])
    amounts = [take(library, field) for field in components]
    first = next((amount for amount in amounts if amount), None)
    if first is None:
        quantity = next(amount for x in others if (amount := take(library, x)))
        unit = library.without(quantity.unit)
        values = components
    else:
        unit = amounts[0].unit if amounts[0] else library.without(first.unit)
        values = [
            convert(library, amount or Amount(x, library.without(unit)), unit, "components of `v`")
            for x, amount in zip(components, amounts, strict=True)
        ]
    like = components[0] if amounts[0] and not isinstance(components[0], (tuple, list)) else None
    for x in values:
        if is_library_array(x) and not library.holds_any_array:
            raise TypeError(
                f"fields must be NumPy's beside quantities of {library.name}, which hold no "
                f"others; got an array of {library_of(x)}. Pass magnitudes, or quantities of pint."
            )
    ndim = getattr(values[0], "ndim", None)
    if ndim is None:
        ndim = asnumpy(values[0]).ndim
    is_stack = is_vector and not is_sequence
    return Fields(
        library,
        values if is_sequence else values[0],
        ndim - is_stack,
        unit,
        library.subtract(unit),
        like,
    )


def as_step(distance: Any, fields: Fields, options: Mapping[str, Any]) -> SpacingAmount:
    """Return a spacing with its unit; that of dates is the one that rates are per."""
    library = fields.library
    if are_dates(distance):
        name = unit_of_time(options.get("time_unit") or "s")
        return SpacingAmount(distance, None, library.parse(name, fields.unit))
    amount = take_coordinate(library, distance)
    if amount is None:
        none = library.without(fields.unit)
        return SpacingAmount(distance, none, none)
    by = library.subtract(amount.unit)
    # A number is a distance already, which has no zero.
    return SpacingAmount(
        amount.values, amount.unit if getattr(amount.values, "ndim", 0) else by, by
    )


def _convert_step(step: SpacingAmount, first: SpacingAmount, library: UnitLibrary) -> SpacingAmount:
    """Return a spacing in the unit of the first one, as derivatives along both are added."""
    if step.by == first.by:
        return step
    what = "spacings of all axes"
    if step.unit is None or first.unit is None:  # dates: of a unit that `time_unit` names
        convert(library, Amount(1.0, step.by), first.by, what)
        raise ValueError(
            f"{what} must have one unit where derivatives are added; got {first.by} and {step.by}."
            " Choose it for dates with `time_unit`."
        )
    unit = first.unit if getattr(step.values, "ndim", 0) else first.by
    return SpacingAmount(
        convert(library, Amount(step.values, step.unit), unit, what), unit, first.by
    )


def _list_units(
    row: Any, fields: Fields, by: Sequence[Any], order: int, is_uniform: bool
) -> Iterator[Any]:
    """Yield the units of results, in their order; the last ones may stand for more."""
    unit = fields.difference
    if is_uniform or row.axes == (1, 1):
        yield unit / by[0] ** order if by else unit
    elif row.gives == "pairs":
        yield from (unit / first / second for first in by for second in by)
    else:
        yield from (unit / below for below in by)


def _attach(results: Any, units: Iterator[Any], fields: Fields) -> Any:
    if isinstance(results, tuple):
        attached = [_attach(result, units, fields) for result in results]
        return type(results)(*attached) if hasattr(results, "_fields") else tuple(attached)
    return fields.make(results, next(units))


def _list_arrays(arrays: Iterable[Any]) -> Iterator[Any]:
    """Yield the entries of sequences and dicts that may hold others."""
    for array in arrays:
        if isinstance(array, (tuple, list)):
            yield from _list_arrays(array)
        elif isinstance(array, dict):
            yield from _list_arrays(array.values())
        else:
            yield array


def _strip_out(out: Any, units: Sequence[Any], library: UnitLibrary) -> Any:
    """Return the magnitudes that results are written to, if they can have units that fit."""

    def strip(array: Any, numbered: Iterator[Any]) -> Any:
        if isinstance(array, (tuple, list)):
            return type(array)(strip(entry, numbered) for entry in array)
        amount, unit = take(library, array), next(numbered)
        if amount is None:
            raise TypeError(
                f"`out` must have units, as results have: {unit}; got a {type(array).__name__}. "
                f"Pass a quantity of {library.name}, or magnitudes for all arguments."
            )
        if hasattr(array, "unmasked"):
            raise TypeError(
                f"`out` must have no mask beside units; got a {type(array).__name__}. Leave it out."
            )
        convert(library, Amount(1.0, amount.unit), unit, "`out` and the results")
        return amount.values

    return strip(out, cycle(units))


def _convert_out(out: Any, units: Sequence[Any], library: UnitLibrary) -> None:
    """Convert what has been written to the units that the arrays have."""
    arrays = _list_arrays(out if isinstance(out, (tuple, list)) else [out])
    for array, unit in zip(arrays, cycle(units), strict=False):
        values, own = library.take(array)
        if own != unit:
            values[...] = convert(library, Amount(values, unit), own, "`out` and the results")


def _strip_period(period: Any, step_of: Mapping[int, SpacingAmount], fields: Fields) -> Any:
    """Return periods as numbers, in the units of the spacings of their axes."""
    if isinstance(period, dict):
        by_axis = choose_by_axis(period, [*step_of], "period", range(fields.ndim))
        return {k: _strip_period(entry, {k: step_of[k]}, fields) for k, entry in by_axis.items()}
    if not has_units(period):
        return period
    units = [step.by for step in step_of.values()]
    if any(unit != units[0] for unit in units):
        raise ValueError(
            "`period` must be a dict where spacings have several units, as in `{0: period}`; got "
            f"one for {' and '.join(str(unit) or 'none' for unit in units)}."
        )
    return _strip_number(period, units[0], fields, "period", "the spacing")


def _strip_boundary(boundary: Any, fields: Fields, step_of: Mapping[int, SpacingAmount]) -> Any:
    """Return boundaries with numbers in the unit of the field, or of its slope."""
    if is_side(boundary):
        ((name, value),) = boundary.items()
        if not has_units(value):
            return boundary
        slopes = [fields.difference / step.by for step in step_of.values()]
        if any(slope != slopes[0] for slope in slopes):
            raise ValueError(
                "`boundary` must be a dict by axis where slopes have several units; got one for "
                f"{' and '.join(map(str, slopes))}."
            )
        return {name: _strip_number(value, slopes[0], fields, "boundary")}
    if isinstance(boundary, dict):
        by_axis = choose_by_axis(boundary, [*step_of], "boundary", range(fields.ndim))
        return {k: _strip_boundary(side, fields, {k: step_of[k]}) for k, side in by_axis.items()}
    if isinstance(boundary, (tuple, list)):
        return tuple(_strip_boundary(side, fields, step_of) for side in boundary)
    return _strip_number(boundary, fields.unit, fields, "boundary")


def _strip_number(
    value: Any, unit: Any, fields: Fields, name: str, beside: str = "the field"
) -> Any:
    amount = take(fields.library, value)
    if amount is None:
        return value
    if getattr(amount.values, "ndim", 0):
        raise TypeError(f"`{name}` must be one number with a unit; got {value!r}.")
    if name == "period":
        amount = amount._replace(unit=fields.library.subtract(amount.unit))
    return float(convert(fields.library, amount, unit, f"`{name}` and {beside}"))


def _refuse_others(options: Mapping[str, Any]) -> None:
    """Raise TypeError where an option has units that nothing is done with."""
    for name, value in options.items():
        if has_units(value):
            raise TypeError(
                f"`{name}` must be without units; got a {type(value).__name__}. Pass its magnitude."
            )
