"""What users choose besides spacings, `accuracy`, `boundary`, `period`, and the errors therein."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, NamedTuple

from gpugrad._arrays import Array, dtype_name
from gpugrad._stencils import MAX_ACCURACY, MAX_ORDER, TABLE, Scheme, Side, Sides

ONE_SIDED = "one-sided"


class Options(NamedTuple):
    """What users choose of a derivative, as they say it."""

    order: Any = 1
    accuracy: Any = 2
    edge_accuracy: Any = None
    boundary: Any = ONE_SIDED
    period: Any = None
    stagger: Any = None
    beside_masked: Any = None
    """The best accuracy of formulas beside masked samples, None where nothing is masked."""

    @property
    def are_numpys(self) -> bool:
        """Whether nothing is asked for that `numpy.gradient` does not have."""
        _, accuracy, edge_accuracy, boundary, *others = self
        is_plain = all(option is None for option in (edge_accuracy, *others))
        return is_plain and boundary is ONE_SIDED and accuracy == 2


def parse_scheme(options: Options) -> Scheme:
    """Return the scheme that is asked for."""
    order = _parse_integer(options.order, "order")
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"`order` must be from 1 to {MAX_ORDER}; got {order}.")
    accuracy = _parse_integer(options.accuracy, "accuracy")
    if accuracy not in range(2, MAX_ACCURACY + 1, 2):
        raise ValueError(
            f"`accuracy` must be an even number from 2 to {MAX_ACCURACY}, as the formulas inside "
            f"are symmetric; got {accuracy}."
        )
    if options.edge_accuracy is None:
        return Scheme(order, accuracy)
    edge_accuracy = _parse_integer(options.edge_accuracy, "edge_accuracy")
    if not 1 <= edge_accuracy <= accuracy:
        raise ValueError(
            f"`edge_accuracy` must be from 1 to the accuracy inside, {accuracy}; got "
            f"{edge_accuracy}."
        )
    return Scheme(order, accuracy, edge_accuracy)


def list_by_axis(
    option: Any, count: int, must: str, where: str = "to differentiate along", cure: str = ""
) -> list[Any]:
    """Return what an option says of each of `count` axes: a list of its own, or one for all.

    Raises
    ------
    ValueError
        If a list has another length; `must` is how the error starts.
    """
    entries = option if isinstance(option, list) else [option] * count
    if len(entries) != count:
        raise ValueError(
            f"{must} a list with one entry for each of the {count} axes {where}; got "
            f"{len(entries)}.{cure}"
        )
    return entries


_SHIFTS = {None: 0, "left": -1, "right": 1}


def parse_staggers(stagger: Any, count: int) -> list[int]:
    """Return for each of `count` axes how many half cells from its sample a result is."""
    staggers = list_by_axis(stagger, count, "`stagger` must be one for all axes, or")
    for side in staggers:
        if not (side is None or isinstance(side, str)):
            raise TypeError(f'`stagger` must be "left", "right" or None; got {side!r}.')
        if side not in _SHIFTS:
            raise ValueError(
                f'`stagger` must be "left" (results half a cell before the samples), "right" '
                f"(half a cell behind them) or None; got {side!r}."
            )
    return [_SHIFTS[side] for side in staggers]


def _parse_integer(number: Any, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, Integral):
        raise TypeError(f"`{name}` must be an integer; got {number!r}, a {type(number).__name__}.")
    return int(number)


def parse_periods(period: Any, sides: list[Sides]) -> list[float | None]:
    """Return the period of each axis, None where there is none or where it is to be inferred."""
    periodic = [lower.name == "periodic" for lower, _ in sides]
    periods = period if isinstance(period, list) else [period if p else None for p in periodic]
    list_by_axis(periods, len(sides), "`period` must be a number, or")
    pairs = zip(periods, periodic, strict=True)
    if (period is not None and not any(periodic)) or any(
        entry is not None and not wraps for entry, wraps in pairs
    ):
        raise ValueError(
            f'`period` must go with periodic axes; got {period!r}. Add `boundary="periodic"`.'
        )
    return [None if entry is None else parse_positive(entry, "period") for entry in periods]


def parse_positive(number: Any, name: str, kind: str = "a real number") -> float:
    """Return a length, such as a period, as a positive float; raise if it is none."""
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"`{name}` must be {kind}; got {number!r}.")
    length = float(number)
    if not 0 < length < math.inf:
        raise ValueError(f"`{name}` must be positive and finite; got {length}.")
    return length


def parse_boundaries(boundary: Any, count: int) -> list[Sides]:
    """Return the boundaries at the lower and the upper end of each of `count` axes.

    Raises
    ------
    TypeError
        If a boundary is neither a name, nor a number, nor a name with a number.
    ValueError
        If a name is unknown, a number not finite, the list not one for each axis, a pair no
        pair, or one end periodic alone.
    """
    if not isinstance(boundary, list):
        return [_parse_pair(boundary)] * count
    cure = " A pair (lower, upper) is a tuple."
    return [*map(_parse_pair, list_by_axis(boundary, count, "`boundary` must be", cure=cure))]


def _parse_pair(boundary: Any) -> Sides:
    if isinstance(boundary, tuple):
        if len(boundary) != 2:
            raise ValueError(
                "`boundary` must be a pair (lower, upper) where it is a tuple; got "
                f"{len(boundary)} entries. One boundary for each axis is a list."
            )
        lower, upper = map(_parse_side, boundary)
    else:
        lower = upper = _parse_side(boundary)
    if (lower.name == "periodic") != (upper.name == "periodic"):
        raise ValueError(f'`boundary` must be "periodic" at both ends or none; got {boundary!r}.')
    return lower, upper


def _parse_side(boundary: Any) -> Side:
    if isinstance(boundary, str):
        if boundary in TABLE and TABLE[boundary].value is None:
            return Side(boundary)
        names = ", ".join(f'"{name}"' for name, row in TABLE.items() if row.value is None)
        numbered = ", ".join(
            f'{{"{name}": {row.value}}}' for name, row in TABLE.items() if row.value
        )
        raise ValueError(f"`boundary` must be one of {names}, or {numbered}; got {boundary!r}.")
    if isinstance(boundary, dict) and len(boundary) == 1:
        ((name, value),) = boundary.items()
        if name in TABLE and TABLE[name].value is not None:
            return Side(name, _parse_value(value))
        return _parse_side(str(name))
    return Side("constant", _parse_value(boundary))


def _parse_value(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            "`boundary` must be a name, a real number (the field beyond the end), "
            '{"normal": number}, a pair of these (lower, upper) or a list of one for each axis; '
            f"got {value!r}, a {type(value).__name__}."
        )
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"`boundary` must be finite where it is a number; got {number}.")
    return number


def check_length(axis: int, length: int, scheme: Scheme, sides: Sides) -> None:
    """Raise ValueError where an axis has too few samples for a scheme; say which would fit."""

    def needed(accuracy: int) -> int:
        s = scheme._replace(accuracy=accuracy)
        if s.edge_accuracy is not None:
            s = s._replace(edge_accuracy=min(s.edge_accuracy, accuracy))
        return max(2 * s.reach, *(TABLE[side.name].needs(s.at(side)) for side in sides))

    if length >= needed(scheme.accuracy):
        return
    fits = [accuracy for accuracy in range(2, scheme.accuracy, 2) if length >= needed(accuracy)]
    names = " and ".join(dict.fromkeys(f'"{side.name}"' for side in sides))
    cure = (
        f"accuracy={fits[-1]} would fit."
        if fits
        else f"Even accuracy=2 needs {needed(2)} samples: pass a longer field, or a lower order."
    )
    raise ValueError(
        f"axis {axis} of `f` must have at least {needed(scheme.accuracy)} samples with "
        f"order={scheme.order}, accuracy={scheme.accuracy} and boundary {names}; got length "
        f"{length}. {cure}"
    )


def check_value(f: Array, sides: Sides) -> None:
    """Raise TypeError where a number is given beside dates, which have other units."""
    if any(side.value for side in sides) and dtype_name(f.dtype).startswith(("date", "timedelta")):
        raise TypeError(
            f"`boundary` must be a name for a field of dates; got a number for {f.dtype}. "
            "Differentiate the field as numbers instead."
        )
