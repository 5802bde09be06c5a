"""What users choose besides spacings, `accuracy`, `boundary`, `period`, and the errors therein."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np

from gpugrad._arrays import Array, dtype_name
from gpugrad._keywords import choose_by_axis
from gpugrad._stencils import MAX_ACCURACY, MAX_ORDER, TABLE, Scheme, Side, Sides

ONE_SIDED: Final = "one-sided"


class Options(NamedTuple):
    """What users choose of a derivative, as they say it."""

    order: Any = 1
    accuracy: Any = 2
    edge_accuracy: Any = None
    boundary: Any = ONE_SIDED
    period: Any = None
    stagger: Any = None
    edge_order: Any = None
    beside_masked: Any = None
    """The best accuracy of formulas beside masked samples, None where nothing is masked."""

    @property
    def are_numpys(self) -> bool:
        """Whether nothing is asked for that `numpy.gradient` does not have."""
        _, accuracy, edge_accuracy, boundary, period, stagger, _, beside_masked = self
        has_no_more = all(x is None for x in (edge_accuracy, period, stagger, beside_masked))
        return has_no_more and boundary is ONE_SIDED and type(accuracy) is int and accuracy == 2


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
    if options.edge_order is not None:
        return Scheme(order, accuracy, _parse_edge_order_alone(options))
    if options.edge_accuracy is None:
        return Scheme(order, accuracy)
    edge_accuracy = _parse_integer(options.edge_accuracy, "edge_accuracy")
    if not 1 <= edge_accuracy <= accuracy:
        raise ValueError(
            f"`edge_accuracy` must be from 1 to the accuracy inside, {accuracy}; got "
            f"{edge_accuracy}."
        )
    return Scheme(order, accuracy, edge_accuracy)


def parse_edge_order(edge_order: Any) -> int:
    """Return `edge_order` as the integer 1 or 2."""
    # The call that feels a microsecond comes first; True and 1.0 are looked at below.
    if type(edge_order) is int and (edge_order == 1 or edge_order == 2):
        return edge_order
    if isinstance(edge_order, bool) or not isinstance(edge_order, (int, float, Real)):
        raise TypeError(
            f"`edge_order` must be 1 or 2; got {edge_order!r}, a {type(edge_order).__name__}."
        )
    if edge_order not in (1, 2):
        raise ValueError(
            f"`edge_order` must be 1 (two samples at each end, error O(h)) or 2 (three samples, "
            f"error O(h^2)); got {edge_order!r}."
        )
    return 1 if edge_order == 1 else 2


def _parse_edge_order_alone(options: Options) -> int:
    """Return `edge_order`, which is the accuracy at the ends of NumPy's scheme and of no other."""
    edge_order = parse_edge_order(options.edge_order)
    for name, numpys, cure in (
        ("order", 1, "pass `edge_accuracy`, for derivatives of any order"),
        ("accuracy", 2, "pass `edge_accuracy`, for schemes of any accuracy"),
        ("edge_accuracy", None, "leave one of them out: both say how accurate ends are"),
    ):
        value = getattr(options, name)
        if value != numpys:
            raise ValueError(
                f"`edge_order` must go with `{name}` {numpys}; got {value!r}. Instead, {cure}."
            )
    return edge_order


def list_by_axis(
    option: Any, axes: Sequence[int], ndim: int, name: str, default: Any = None
) -> list[Any]:
    """Return what an option says of each axis: one for all, or a dict where axes differ.

    Raises
    ------
    TypeError, ValueError
        If the dict names no axis, or one that is not differentiated along.
    """
    if not isinstance(option, dict):
        return [option] * len(axes)
    entries = choose_by_axis(option, axes, name, range(ndim))
    return [entries.get(axis, default) for axis in axes]


_SHIFTS = {None: 0, "left": -1, "right": 1}


def parse_staggers(stagger: Any, axes: Sequence[int], ndim: int) -> list[int]:
    """Return for each axis how many half cells from its sample a result is."""
    staggers = list_by_axis(stagger, axes, ndim, "stagger")
    for side in staggers:
        if not (side is None or isinstance(side, str)):
            raise TypeError(
                '`stagger` must be "left", "right" or None, or a dict where axes differ, as in '
                f'`{{0: "left"}}`; got {side!r}.'
            )
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


def parse_periods(
    period: Any, sides: Sequence[Sides], axes: Sequence[int], ndim: int
) -> list[float | None]:
    """Return the period of each axis, None where there is none or where it is to be inferred."""
    if isinstance(period, (tuple, list)):
        raise TypeError(
            "`period` must be a number, or a dict where axes differ, as in `{0: 360.0}`; got "
            f"{period!r}."
        )
    periodic = [lower.name == "periodic" for lower, _ in sides]
    periods = (
        list_by_axis(period, axes, ndim, "period")
        if isinstance(period, dict)
        else [period if wraps else None for wraps in periodic]
    )
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
    # A timedelta64 of NumPy counts as an integer there.
    if isinstance(number, (bool, np.timedelta64)) or not isinstance(number, Real):
        raise TypeError(f"`{name}` must be {kind}; got {number!r}.")
    length = float(number)
    if not 0 < length < math.inf:
        raise ValueError(f"`{name}` must be positive and finite; got {length}.")
    return length


def parse_boundaries(boundary: Any, axes: Sequence[int], ndim: int) -> list[Sides]:
    """Return the boundaries at the lower and the upper end of each axis.

    Raises
    ------
    TypeError
        If a boundary is neither a name, nor a number, nor a name with a number.
    ValueError
        If a name is unknown, a number not finite, an axis none of those to differentiate along, a
        pair no pair, or one end periodic alone.
    """
    if is_side(boundary):
        return [_parse_pair(boundary)] * len(axes)
    return [*map(_parse_pair, list_by_axis(boundary, axes, ndim, "boundary", ONE_SIDED))]


def is_side(boundary: Any) -> bool:
    """Tell a side that is a dict, ``{"normal": 0.0}``, from a dict of boundaries by axis."""
    if not isinstance(boundary, dict) or len(boundary) != 1:
        return False
    (name,) = boundary
    return isinstance(name, str) and (name in TABLE or bool(translate_boundary(name)))


def _parse_pair(boundary: Any) -> Sides:
    if isinstance(boundary, (tuple, list)):
        if len(boundary) != 2:
            raise ValueError(
                "`boundary` must be a pair (lower, upper) where it is a sequence; got "
                f"{len(boundary)} entries. Where axes differ, pass a dict, as in "
                '`{0: "periodic", 1: "reflect"}`.'
            )
        lower, upper = map(_parse_side, boundary)
    else:
        lower = upper = _parse_side(boundary)
    if (lower.name == "periodic") != (upper.name == "periodic"):
        raise ValueError(
            f'`boundary` must be "periodic" at both ends or none; got {boundary!r}, a pair '
            "(lower, upper). Where axes differ, pass a dict, as in "
            '`{0: "periodic", 1: "one-sided"}`.'
        )
    return lower, upper


def _parse_side(boundary: Any) -> Side:
    if isinstance(boundary, str):
        name = "periodic" if boundary == "wrap" else boundary
        if name in TABLE and TABLE[name].value is None:
            return Side(name)
        _refuse_name(boundary)
    if is_side(boundary):
        ((name, value),) = boundary.items()
        if name in TABLE and TABLE[name].value is not None:
            return Side(name, _parse_value(value))
        return _parse_side(name)
    return Side("constant", _parse_value(boundary))


_MIRRORS = '"symmetric" (about the face half a step beyond) or "reflect" (about the edge sample)'
_ODD_MIRRORS = (
    '"odd-symmetric" (about the face half a step beyond) or "odd-reflect" (about the edge sample)'
)

_FOREIGN_NAMES = {
    "half-symmetric half_symmetric": '"symmetric"',
    "half-antisymmetric half_antisymmetric": '"odd-symmetric"',
    "antisymmetric odd antireflect anti": _ODD_MIRRORS,
    "even": _MIRRORS,
    "mirror whole-sample": '"reflect"',
    "grid-mirror half-sample": '"symmetric"',
    "nearest replicate clamp extend pad flat": '"edge"',
    "cyclic circular grid-wrap ring round": '"periodic"',
    "neumann free no-flux noflux zero-flux insulated slope normal zero-gradient": (
        f'{{"normal": 0.0}}, the outward slope, or a mirror: {_MIRRORS}'
    ),
    "dirichlet fixed constant grid-constant fill value zero zeros no-slip": (
        f"a number, the field beyond the end, such as 0.0, or a mirror: {_ODD_MIRRORS}"
    ),
    "interp extrapolate onesided one_sided none open free-end nothing linear": '"one-sided"',
}
"""Names of boundaries in other libraries and textbooks, and what they are called here."""


def translate_boundary(name: str) -> str:
    """Return what a name of other libraries is called here, an empty text for others."""
    word = name.lower().strip()
    return next((ours for words, ours in _FOREIGN_NAMES.items() if word in words.split()), "")


def _refuse_name(boundary: str) -> NoReturn:
    names = ", ".join(f'"{name}"' for name, row in TABLE.items() if row.value is None)
    ours = translate_boundary(boundary)
    cure = f" Here that is {ours}." if ours else ""
    raise ValueError(
        f"`boundary` must be one of {names}, a number (the field beyond the end) or "
        f'{{"normal": number}} (the outward slope at the end); got {boundary!r}.{cure}'
    )


def _parse_value(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            "`boundary` must be a name, a real number (the field beyond the end), "
            '{"normal": number}, a pair of these (lower, upper) or a dict {axis: boundary}; '
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
