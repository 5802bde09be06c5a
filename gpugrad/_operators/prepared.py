"""Calls of operators that come again: planned once, then found by what their arguments are like.

A call on NumPy's arrays is found by its kind: the operator, shape and dtype of the field, the types
of spacings, the options. What a kind stands for is a `PreparedCall`, with all decided but the
samples and the numbers of the spacings. All other calls take the long way, and so do wrong ones:
there they meet the checks, and the errors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, wraps
from itertools import chain
from typing import Any, ParamSpec, TypeVar

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._engines import is_auto_in_force
from gpugrad._engines.numpy_blocks import FLAT_SIZE
from gpugrad._engines.programs import Programs, find_programs
from gpugrad._engines.store import Store
from gpugrad._labels import accepts_labels
from gpugrad._operators.prepared_calls import PreparedCall
from gpugrad._operators.prepared_pairs import PreparedPairs
from gpugrad._operators.prepared_programs import PreparedProgram
from gpugrad._operators.prepared_shapes import PreparedForShapes, ShapeInUse
from gpugrad._operators.spacings_in_turn import UNITS
from gpugrad._stencils import OPERATORS, Operator

P = ParamSpec("P")
R = TypeVar("R")

_SPACINGS = frozenset((*UNITS, np.float32, np.int64, np.int32, np.ndarray))

_SEQUENCES, _FLOATS = frozenset((list, tuple)), frozenset((float,))

_NUMBERS = frozenset((float, int, np.float64))

_PLAIN = frozenset((int, str, type(None), float, bool))
"""Types of options that may be a part of a kind: equal ones of one type mean the same."""

_LONG_WAY = {"where": None, "skipna": False, "time_unit": None, "period": None, "backend": None}
"""Options that need a look in each call, unless they are what they are by default."""

_ONE_SHAPE, _EACH_SHAPE = "one shape has come", "each shape has a call of its own"
"""What stands for a call of fields of many shapes before there is one, or if there is none."""

_calls: Store[Any] = Store(most=1 << 12, most_bytes=1 << 25)
"""What is prepared, by kind."""


def prepares(function: Callable[P, R]) -> Callable[P, R]:
    """Let an operator of the table find calls that come again, and else take the long way.

    That way also takes labels and units (see `accepts_labels`).
    """
    row = OPERATORS[function.__name__]
    take_long_way = accepts_labels(function, lambda: call)
    takes_one, name, find = row.takes == "field", row.name, _calls.find

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        f: Any = arguments[0] if arguments else None
        described: Any = None
        if takes_one and type(f) in _SEQUENCES and is_auto_in_force():
            f = _read_numbers(f)
        is_plain = type(f) is np.ndarray
        if takes_one and len(arguments) == 1 and not options and is_auto_in_force():
            # Most calls end here, and are as short as they can be.
            if is_plain:
                kind: Any = name, 1, f.shape, f.dtype
            else:
                programs = find_programs(type(f))
                described = programs and programs.describe_field(f)
                kind = described and (name, 1, described)
            prepared = find(kind) if kind else None
            if prepared is not None and prepared.evaluate_single is not None:
                result: Any = prepared.evaluate_single(f)
                return result  # type: ignore[no-any-return]
        fields: Any = (f,) if takes_one and is_plain else _list_fields(f, takes_one)
        if fields and is_auto_in_force():
            result = _call_prepared(function, row, fields, described, arguments[1:], options)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]
        return take_long_way(*arguments, **options)

    return call


def _call_prepared(
    function: Callable[..., Any],
    row: Operator,
    fields: Sequence[NumpyArray],
    described: Hashable,
    spacing: tuple[Any, ...],
    options: dict[str, Any],
) -> Any:
    """Return what a call returns, or NotImplemented where it takes the long way.

    `described` is what a program depends on, of the field, if that is known.
    """
    f, out = fields[0], None
    programs = None if type(f) is np.ndarray else find_programs(type(f))
    if programs is None:
        kind: Any = row.name, len(fields), f.shape, f.dtype
    else:
        described = described or programs.describe_field(f)
        if described is None:
            return NotImplemented
        if len(fields) > 1 and any(programs.describe_field(g) != described for g in fields[1:]):
            return NotImplemented
        kind = row.name, len(fields), described
    if spacing:
        # Coordinates of another precision make another arithmetic.
        kind = *kind, *[type(h) if type(h) is not np.ndarray else h.dtype for h in spacing]
    if "out" in options:
        options = {**options}
        out = options.pop("out")
    if options:
        kind = *kind, *options.items(), *map(type, options.values())
    try:
        prepared = _calls.find(kind)
    except TypeError:  # an option has no hash
        return NotImplemented
    if prepared is None and programs is None:
        prepared = _find_for_shapes(function, row, kind, fields, spacing, options)
    if prepared is None or (type(prepared) is ShapeInUse and prepared.comes_often):
        prepared = _prepare(function, row, programs, kind, fields, spacing, options)
        if prepared is None:
            return NotImplemented
    if programs is None:
        return prepared(fields, spacing, out)
    return NotImplemented if out is not None else prepared(fields, spacing)


def _find_for_shapes(
    function: Callable[..., Any],
    row: Operator,
    kind: tuple[Any, ...],
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    options: Mapping[str, Any],
) -> ShapeInUse | None:
    """Return what serves a small field of a new shape, if others of its kind have come before."""
    f = fields[0]
    if f.size >= FLAT_SIZE:
        return None
    name, count, _, *others = kind
    of_shapes = name, count, f.ndim, *others
    known = _calls.find(of_shapes)
    if known is None:
        _calls.keep(of_shapes, _ONE_SHAPE)
        return None
    if known is _ONE_SHAPE:
        known = _prepare(
            function, row, None, of_shapes, fields, spacing, options, PreparedForShapes
        )
        if known is None:
            _calls.keep(of_shapes, _EACH_SHAPE)
            return None
    if known is _EACH_SHAPE or not known.takes(f):
        return None
    in_use = ShapeInUse(known)
    _calls.keep(kind, in_use, in_use.nbytes)
    return in_use


def _list_fields(f: Any, takes_one: bool) -> Sequence[NumpyArray] | None:
    """Return the fields of a call if they are plain arrays, all of one kind, or None."""
    if takes_one:
        return (f,) if find_programs(type(f)) else None
    if type(f) is np.ndarray:
        return tuple(f) if f.ndim > 1 else None
    if type(f) not in _SEQUENCES or not f:
        return None
    first = f[0]
    if any(type(g) is not type(first) for g in f):
        return None
    if type(first) is not np.ndarray:
        return f if find_programs(type(first)) else None
    are_alike = all(g.dtype == first.dtype and g.shape == first.shape for g in f)
    return f if are_alike else None


def _read_numbers(f: Any) -> NumpyArray | None:
    """Return a list of Python's numbers, or of lists of them, as an array."""
    kinds = set(map(type, f))
    if kinds == _FLOATS:
        return np.array(f, np.float64)
    if kinds <= _SEQUENCES:
        kinds = set(map(type, chain.from_iterable(f)))
    if not kinds or not kinds <= _NUMBERS:
        return None
    try:
        values = np.array(f, np.float64 if kinds == _FLOATS else None)
    except ValueError:  # rows of unequal lengths
        return None
    return values if values.dtype.kind in "fi" else None


@cache
def _find_defaults(function: Callable[..., Any]) -> Mapping[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _prepare(
    function: Callable[..., Any],
    row: Operator,
    programs: Programs | None,
    kind: Hashable,
    fields: Sequence[NumpyArray],
    spacing: tuple[Any, ...],
    options: Mapping[str, Any],
    prepare: Any = PreparedCall,
) -> Any:
    """Prepare a call, or return None where it takes the long way."""
    defaults = _find_defaults(function)
    if not defaults.keys() >= options.keys():
        return None
    if programs is None and not _SPACINGS.issuperset(map(type, spacing)):
        return None
    if not all(_is_plain(name, value) for name, value in options.items()):
        return None
    arguments, f = {**defaults, **options}, fields[0]
    if any(arguments.get(name, usual) is not usual for name, usual in _LONG_WAY.items()):
        return None
    if arguments["boundary"] in ("periodic", "wrap") or not f.ndim or 0 in f.shape:
        return None
    if programs is None and f.dtype.kind not in "fciu":
        return None
    if not row.orders and arguments["axis"] is None:
        return None
    if len(fields) > 1 and row.gives == "each" and arguments["stack"]:
        return None
    if row.gives == "pairs" and programs is not None:
        return None
    if row.gives == "pairs":
        if prepare is not PreparedCall:
            return None
        prepare = PreparedPairs
    try:
        prepared: Any = (
            prepare(row, fields, spacing, arguments)
            if programs is None
            else PreparedProgram(programs, row, fields, spacing, arguments)
        )
    except (TypeError, ValueError, OverflowError):
        return None
    _calls.keep(kind, prepared, prepared.nbytes)
    return prepared


def _is_plain(name: str, value: Any) -> bool:
    """Tell whether an option may be a part of a kind; of sequences only integers for axes."""
    are_axes = name == "axis" and type(value) is tuple and all(type(i) is int for i in value)
    return type(value) in _PLAIN or are_axes
