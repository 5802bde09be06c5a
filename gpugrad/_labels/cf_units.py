"""Units as text, as the CF conventions write them: ``K m-1``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def per(units: Any, by: Any, power: int = 1) -> str | None:
    """Return the units of a derivative: `units` over `by` to a power, None where one is unknown.

    What can be cancelled is: ``m s-1`` per ``m`` is ``s-1``. Beyond the commonest units this takes
    pint; those that it does not know, or all without it, are written one after the other.

    Examples
    --------
    >>> per("degrees_C", "degrees_east", 2)
    'degrees_C degrees_east-2'
    """
    if units is None or by is None:
        return None
    return _cancel_units(str(units), str(by), power) or _write_units(str(units), str(by), power)


_TIMES = {"Y": "year", "M": "month", "W": "week", "D": "day", "m": "min"}
"""Units of time that NumPy calls otherwise than the CF conventions and pint do."""


def unit_of_time(time_unit: str) -> str:
    """Return the name of a unit of time that NumPy knows: ``min`` for its ``m``."""
    return _TIMES.get(time_unit, time_unit)


def differ(first: tuple[Any, Any], second: tuple[Any, Any]) -> bool:
    """Tell whether two derivatives are known to have different units.

    Each is given as the units of its field, None where they are unknown, and those it is per.

    Examples
    --------
    >>> differ(("K", "m"), ("K", "km")), differ((None, "m"), (None, "metres"))
    (True, False)
    """
    (units, by), (other_units, other_by) = [
        (None if units is None else _drop_directions(str(units)), _name_length(by))
        for units, by in (first, second)
    ]
    if (units, by) == (other_units, other_by):
        return False
    if units == other_units:
        texts = [_cancel_units("1", each, 1) for each in (by, other_by)]
        return None in texts or texts[0] != texts[1]
    if units is None or other_units is None:
        return False
    texts = [_cancel_units(units, by, 1), _cancel_units(other_units, other_by, 1)]
    return None not in texts and texts[0] != texts[1]


_LENGTHS = {"metre": "m", "meter": "m", "kilometre": "km", "kilometer": "km"}


def _name_length(units: Any) -> str:
    """Return one name for all spellings of a metre, and for degrees whatever their direction."""
    text = _drop_directions(str(units).strip())
    return _LENGTHS.get(text.lower().removesuffix("s"), text)


def _drop_directions(units: str) -> str:
    """Call degrees to the north and to the east degrees."""
    return re.sub(r"\bdegrees?(_?(north|east|true|n|e))?(?![a-z_])", "degree", units, flags=re.I)


def _write_units(units: str, by: str, power: int) -> str:
    if any(sign in by for sign in " /*^") or by[-1:].isdigit():
        by = f"({by})"
    below = "" if by in ("1", "") else f"{by}-{power}"
    above = "" if units in ("1", "") and below else units
    return " ".join(factor for factor in (above, below) if factor)


def _spell_units(units: str) -> str:
    """Write ``m s-1`` as ``m * s**-1``, which every registry can read."""
    return re.sub(r"(?<=[A-Za-z])\^?(-?\d+)", r"**\1", units.strip()).replace(" ", " * ")


def read_units(units: str, parse: Callable[[str], Any], degree: str) -> Any:
    """Return units, written as the CF conventions do, as units of a library.

    `parse` reads a text for it, in which it calls a degree `degree`.

    Raises
    ------
    ValueError
        If it does not know them.
    """
    if re.fullmatch(r"degrees?_?(north|east|n|e)", units.strip().lower()):
        units = degree
    try:
        return parse(_spell_units(units))
    except Exception as error:
        raise ValueError(
            f"units of coordinates must be known to the library of the field's; got {units!r}. "
            "Pass a spacing with units of its own, or mend the attribute `units`."
        ) from error


_SYMBOLS = {
    "m": "m", "km": "km", "cm": "cm", "mm": "mm", "s": "s", "ms": "ms", "h": "h", "min": "min",
    "d": "d", "kg": "kg", "g": "g", "K": "K", "Pa": "Pa", "hPa": "hPa", "kPa": "kPa", "J": "J",
    "W": "W", "N": "N", "A": "A", "V": "V", "mol": "mol", "rad": "rad", "Hz": "Hz",
    "degrees_north": "degrees_north", "degrees_east": "degrees_east",
    "metre": "m", "metres": "m", "meter": "m", "meters": "m", "second": "s", "seconds": "s",
    "day": "d", "days": "d", "kelvin": "K",
}  # fmt: skip
"""The commonest units, and how pint would write them: no other than these needs to load it."""


def _cancel_units(units: str, by: str, power: int) -> str | None:
    """Write the units without those that cancel; None where they are unknown."""
    powers: dict[str, int] = {}
    for text, sign in ((units, 1), (by, -power)):
        for factor in text.split():
            match = re.fullmatch(r"([A-Za-z_]+)\^?(-?\d+)?", factor, re.ASCII)
            if factor == "1":
                continue
            if not match or match[1] not in _SYMBOLS:
                return _cancel_with_pint(units, by, power)
            symbol = _SYMBOLS[match[1]]
            powers[symbol] = powers.get(symbol, 0) + sign * int(match[2] or 1)
    return _join_powers({symbol: n for symbol, n in powers.items() if n})


def _cancel_with_pint(units: str, by: str, power: int) -> str | None:
    """Let pint write the units, with those that cf-xarray adds if it is there."""
    registry = _find_registry()
    if registry is None:
        return None
    try:
        result = (
            registry.parse_units(_spell_units(units))
            / registry.parse_units(_spell_units(by)) ** power
        )
        powers = {_shorten(registry, name): n for name, n in {**result._units}.items()}
    except Exception:  # noqa: BLE001 - whatever pint can't read stays as it is
        return None
    if any(n != int(n) for n in powers.values()):
        return None
    return _join_powers(powers)


def _join_powers(powers: Mapping[str, float]) -> str:
    """Write factors one after the other, those below behind those above."""
    ordered = sorted(powers.items(), key=lambda item: item[1] < 0)
    return " ".join(name if n == 1 else f"{name}{int(n)}" for name, n in ordered) or "1"


def _shorten(registry: Any, name: str) -> str:
    """Return the symbol of a unit; degrees, whose symbols differ, are written out."""
    return name if name.startswith("degree") else registry.get_symbol(name) or name


def _find_registry() -> Any:
    """Return the registry of cf-xarray, which reads CF units, or else pint's own, or None."""
    for module, name in (("cf_xarray.units", "units"), ("pint", "application_registry")):
        try:
            return getattr(import_module(module), name)
        except ImportError:
            continue
    return None
