"""Libraries of units, and what is asked of each: one row of a table for pint, astropy and unyt.

Units of all three can be divided by each other and raised to powers; the rest is in the table. No
library is imported unless one of its quantities has been given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import library_of_labels
from gpugrad._labels.cf_units import read_units


class Amount(NamedTuple):
    """Plain values, and their unit as an object of its library."""

    values: Any
    unit: Any


class UnitLibrary(NamedTuple):
    """What gpugrad asks of a library of units.

    `like` is the quantity whose class a result has, or None.
    """

    name: str
    take: Callable[[Any], Amount]
    make: Callable[[Any, Any, Any], Any]
    """(values, unit, like) -> a quantity."""
    subtract: Callable[[Any], Any]
    """unit -> the unit of differences: degrees above a zero become mere degrees."""
    fits: Callable[[Any, Any], bool]
    """(unit, other) -> whether one can be converted to the other."""
    convert: Callable[[Any, Any, Any], Any]
    """(values, unit, other) -> values in the other unit."""
    parse: Callable[[str, Any], Any]
    """(text, unit) -> the unit of this name, of the same registry."""
    write: Callable[[Any], str]
    """unit -> its text, as the CF conventions have it."""
    degree: str
    """The name of the unit of angles."""
    is_angle: Callable[[Any], bool]
    without: Callable[[Any], Any]
    """unit -> the unit of bare numbers, of the same registry."""
    holds_any_array: bool
    """Whether quantities hold arrays of any library, or NumPy's alone."""
    registry: Callable[[Any], Any]
    """unit -> what all units of one call must have in common."""


# pint


def _take_pint(x: Any) -> Amount:
    return Amount(x.magnitude, x.units) if hasattr(x, "magnitude") else Amount(1.0, x)


def _make_pint(values: Any, unit: Any, _: Any) -> Any:
    return unit._REGISTRY.Quantity(values, unit)


def _subtract_pint(unit: Any) -> Any:
    value = unit._REGISTRY.Quantity(1.0, unit)
    result = (value - value).units
    # Differences of degrees above a zero have a unit, differences of logarithms have none.
    is_delta = any(name.startswith("delta_") for name in result._units)
    if not (value._is_multiplicative or is_delta):
        raise ValueError(
            f"units must be such that values can be subtracted; got {unit}, which is a "
            "logarithm. Convert it first, as in `f.to_base_units()`."
        )
    return result


def _convert_pint(values: Any, unit: Any, other: Any) -> Any:
    return unit._REGISTRY.Quantity(values, unit).m_as(other)


def _write_pint(unit: Any) -> str:
    return format(unit, "~C").replace("**", "").replace("*", " ") or "1"


def _is_angle_of_pint(unit: Any) -> bool:
    # To pint a radian has no dimension, and a percentage is an angle.
    return bool(unit._REGISTRY.get_root_units(unit)[1] == unit._REGISTRY.Unit("radian"))


# astropy


def _take_astropy(x: Any) -> Amount:
    if hasattr(x, "uncertainty") and not isinstance(
        x, np.ndarray
    ):  # NDData, such as pictures of a camera
        values = np.asarray(x.data)
        return Amount(values if x.mask is None else np.ma.array(values, mask=x.mask), x.unit)
    mask = x.mask if hasattr(x, "unmasked") or isinstance(x, np.ma.MaskedArray) else None
    x = getattr(x, "quantity", x)  # a column of a table
    if not hasattr(x, "unit"):
        return Amount(1.0, x)
    if x.dtype.names:
        raise TypeError(
            f"quantities must have one unit; got one with the fields {', '.join(x.dtype.names)}. "
            f"Pass them one by one, as in `q[{x.dtype.names[0]!r}]`."
        )
    if mask is None:
        return Amount(x.value, x.unit)
    return Amount(np.ma.array(getattr(x, "unmasked", x).value, mask=mask), x.unit)


def _make_astropy(values: Any, unit: Any, like: Any) -> Any:
    if isinstance(values, np.ma.MaskedArray):
        mask_quantity = import_module("astropy.utils.masked").Masked
        like = getattr(like, "unmasked", like)
        return mask_quantity(
            _make_astropy(values.data, unit, like), mask=np.ma.getmaskarray(values)
        )
    result = values << unit
    if hasattr(unit, "function_unit"):
        return result  # a magnitude, not a difference of two
    like = getattr(like, "quantity", like)
    if not isinstance(like, np.ndarray) or type(like) is type(result):
        return result
    field: Any = getattr(like, "unmasked", like)
    sample = field[:1]
    # Its own arithmetic says of which class it is: a Longitude minus another one is an Angle.
    sample, factor = sample - sample, unit / _subtract_astropy(field.unit)
    cls: Any = type(sample if factor == 1 else sample * factor)
    is_logarithm = hasattr(field.unit, "function_unit")
    return cls(np.asarray(values), unit, copy=False) if is_logarithm else result.view(cls)


def _subtract_astropy(unit: Any) -> Any:
    return getattr(unit, "function_unit", unit)  # of magnitudes, dex and decibels


def _convert_astropy(values: Any, unit: Any, other: Any) -> Any:
    return unit.to(other, values)


def _parse_astropy(text: str, _: Any) -> Any:
    return read_units(text, import_module("astropy.units").Unit, "deg")


def _drop_astropy(_: Any) -> Any:
    return import_module("astropy.units").dimensionless_unscaled


def _write_astropy(unit: Any) -> str:
    if not hasattr(unit, "bases"):
        return str(unit)
    scale = [] if unit.scale == 1 else [f"{unit.scale:g}"]
    return " ".join([*scale, *_write_powers(zip(unit.bases, unit.powers, strict=True))]) or "1"


# unyt


def _take_unyt(x: Any) -> Amount:
    if not hasattr(x, "to_value"):
        return Amount(1.0, x)
    return Amount(np.asarray(x.view(np.ndarray))[()], x.units)


def _make_unyt(values: Any, unit: Any, like: Any) -> Any:
    unyt = import_module("unyt")
    if not np.ndim(values):
        return unyt.unyt_quantity(values, unit)
    is_array = isinstance(like, unyt.unyt_array) and not isinstance(like, unyt.unyt_quantity)
    return (type(like) if is_array else unyt.unyt_array)(values, unit)


def _subtract_unyt(unit: Any) -> Any:
    value = _make_unyt(1.0, unit, None)
    return (value - value).units


def _fits_unyt(unit: Any, other: Any) -> bool:
    return bool(unit.same_dimensions_as(other))


def _convert_unyt(values: Any, unit: Any, other: Any) -> Any:
    return _take_unyt(_make_unyt(values, unit, None).to(other)).values


def _parse_unyt(text: str, unit: Any) -> Any:
    def parse(name: str) -> Any:
        return type(unit)({"h": "hr"}.get(name, name), registry=unit.registry)

    return read_units(text, parse, "degree")


def _write_unyt(unit: Any) -> str:
    return " ".join(_write_powers(unit.expr.as_powers_dict().items())) or "1"


def _write_powers(powers: Iterable[tuple[Any, Any]]) -> list[str]:
    return [str(base) if n == 1 else f"{base}{n}" for base, n in powers if str(base) != "1"]


TABLE = {
    "pint": UnitLibrary(
        name="pint",
        take=_take_pint,
        make=_make_pint,
        subtract=_subtract_pint,
        fits=lambda unit, other: unit.is_compatible_with(other),
        convert=_convert_pint,
        parse=lambda text, unit: read_units(text, unit._REGISTRY.parse_units, "degree"),
        write=_write_pint,
        degree="degree",
        is_angle=_is_angle_of_pint,
        without=lambda unit: unit._REGISTRY.Unit(""),
        holds_any_array=True,
        registry=lambda unit: unit._REGISTRY,
    ),
    "astropy": UnitLibrary(
        name="astropy",
        take=_take_astropy,
        make=_make_astropy,
        subtract=_subtract_astropy,
        fits=lambda unit, other: unit.is_equivalent(other),
        convert=_convert_astropy,
        parse=_parse_astropy,
        write=_write_astropy,
        degree="deg",
        is_angle=lambda unit: getattr(unit, "physical_type", "") == "angle",
        without=_drop_astropy,
        holds_any_array=False,
        registry=lambda unit: None,
    ),
    "unyt": UnitLibrary(
        name="unyt",
        take=_take_unyt,
        make=_make_unyt,
        subtract=_subtract_unyt,
        fits=_fits_unyt,
        convert=_convert_unyt,
        parse=_parse_unyt,
        write=_write_unyt,
        degree="degree",
        is_angle=lambda unit: _fits_unyt(unit, _parse_unyt("degree", unit)),
        without=lambda unit: unit**0,
        holds_any_array=False,
        registry=lambda unit: None,
    ),
}
"""The libraries of units, by the name that `library_of_labels` has for them."""


def has_units(x: Any) -> bool:
    """Tell whether this is a quantity, or a sequence with such a first entry."""
    return library_of_labels(x) in TABLE


def find_library(values: Iterable[Any]) -> UnitLibrary:
    """Return the library of the quantities among values.

    Raises
    ------
    TypeError
        If they are of two libraries.
    ValueError
        If they are of two registries of pint, whose units know nothing of each other.
    """
    quantities = [_first_entry(x) for x in values if has_units(x)]
    names = dict.fromkeys(str(library_of_labels(x)) for x in quantities)
    if len(names) > 1:
        raise TypeError(
            f"quantities must be of one library of units; got some of {' and some of '.join(names)}"
            ". Convert them to one library."
        )
    library = TABLE[next(iter(names))]
    first, *others = (library.registry(library.take(x).unit) for x in quantities)
    if any(registry is not first for registry in others):
        raise ValueError(
            "quantities must be of one registry of units; got some of different ones, whose units "
            "know nothing of each other. Make all of them by the same `pint.UnitRegistry`."
        )
    return library


def _first_entry(x: Any) -> Any:
    while isinstance(x, (tuple, list)):
        x = x[0]
    return x


def take(library: UnitLibrary, x: Any) -> Any:
    """Return a quantity, or a sequence of some, as an Amount; None if it is none."""
    if not has_units(x):
        return None
    if not isinstance(x, (tuple, list)):
        return library.take(x)
    unit = library.take(_first_entry(x)).unit
    amounts = [take(library, entry) or Amount(entry, library.without(unit)) for entry in x]
    values = [convert(library, amount, unit, "entries of a sequence") for amount in amounts]
    return Amount(np.asarray(values), unit)


def split(x: Any) -> tuple[Any, Any]:
    """Return the values of a quantity, or of a sequence of some, and their unit."""
    return take(find_library([x]), x) or (x, None)


def compare(x: Any, least: Any) -> Any:
    """Tell where values are `least` or more, in whatever units both are."""
    library = find_library([x, least])
    amounts = [take(library, value) for value in (x, least)]
    known: Any = amounts[0] or amounts[1]
    ours, theirs = (
        amount or Amount(value, library.without(known.unit))
        for amount, value in zip(amounts, (x, least), strict=True)
    )
    if amounts[1] is None:  # a bare number is in the unit of the values
        theirs = Amount(least, ours.unit)
    return ours.values >= convert(library, theirs, ours.unit, "what is compared")


def take_coordinate(library: UnitLibrary, x: Any) -> Any:
    """Return a coordinate as `take` does: longitudes go on where they pass 360 degrees."""
    amount = take(library, x)
    if amount is None or not hasattr(x, "wrap_angle"):
        return amount
    turn = library.convert(360.0, library.parse(library.degree, amount.unit), amount.unit)
    values = amount.values
    for axis in reversed(range(np.ndim(values))):
        values = np.unwrap(values, axis=axis, period=turn)
    return Amount(values, amount.unit)


def convert(library: UnitLibrary, amount: Amount, unit: Any, what: str) -> Any:
    """Return values in another unit; the error where they have none such starts with `what`."""
    if amount.unit == unit:
        return amount.values
    if not library.fits(amount.unit, unit):
        raise ValueError(
            f"{what} must have units that can be added; got {str(unit) or 'none'} and "
            f"{str(amount.unit) or 'none'}."
        )
    return library.convert(amount.values, amount.unit, unit)


def as_degrees(library: UnitLibrary, amount: Amount, what: str) -> Any:
    """Return the values of angles in degrees.

    Raises
    ------
    ValueError
        If they are no angles, as numbers of the unit 1, which may be degrees or radians.
    """
    if not library.is_angle(amount.unit):
        raise ValueError(
            f"{what} must be in degrees, radians or another unit of angles; got "
            f"{str(amount.unit) or 'none'}."
        )
    return convert(library, amount, library.parse(library.degree, amount.unit), what)
