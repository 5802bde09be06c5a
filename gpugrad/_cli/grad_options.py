"""The options of `gpugrad grad`: their values as text, and as the package's functions take them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpugrad._engines import BACKENDS, check_name
from gpugrad._grids import translate_boundary
from gpugrad._stencils import MAX_ACCURACY, MAX_ORDER, OPERATORS, TABLE

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30,
          "ti": 2**40}  # fmt: skip
_TIME_UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns")
_BACKENDS = [name for name in BACKENDS if name != "cupy"]  # blocks of files lie in host memory
_BOUNDARIES = [name for name, row in TABLE.items() if row.value is None]


def add_field(grad: argparse.ArgumentParser) -> None:
    """Add the options that say what is read, and where its samples lie."""
    grad.add_argument("input", type=Path, metavar="IN", help="the file with the field")
    grad.add_argument(
        "output", type=Path, metavar="OUT",
        help="the file to write; its suffix names the format: .npy, .zarr, .nc, .tif",
    )  # fmt: skip
    field = grad.add_argument_group("the field")
    field.add_argument(
        "--var", nargs="+", default=[], metavar="NAME",
        help="the variable, with its group if it is in one (model/run1/T), or the number of a "
        "band; for a vector field its components (default: the only one there is)",
    )  # fmt: skip
    field.add_argument(
        "--axis", dest="axes", nargs="+", default=[], metavar="AXIS",
        help="axes to differentiate along, by name or by number from 0 (default: all)",
    )  # fmt: skip
    field.add_argument(
        "--spacing", nargs="+", type=_parse_spacing, default=[], metavar="H",
        help="distance between samples, one for all axes or one for each, in the unit in which "
        "derivatives shall be (default: the coordinates in IN, or 1 where it has none)",
    )  # fmt: skip
    field.add_argument(
        "--coords", nargs="+", default=[], metavar="NAME",
        help="where the samples lie, for each axis: a .npy file, or the name of a coordinate in IN",
    )  # fmt: skip
    field.add_argument(
        "--period", type=_parse_period, metavar="L",
        help="period of periodic axes, in the unit of their coordinates (360 for longitudes; "
        "default: one more step than from the first sample to the last)",
    )  # fmt: skip
    field.add_argument(
        "--no-sphere", dest="sphere", action="store_false",
        help="take latitudes and longitudes for coordinates like others, so that derivatives are "
        "per degree (default: gradient, gradient_norm, laplacian, divergence and curl are per "
        "metre on the sphere)",
    )  # fmt: skip
    field.add_argument(
        "--radius", type=_parse_radius, metavar="R",
        help="radius of the sphere in metres (default: that of IN, or the Earth's mean radius, "
        "6371000)",
    )  # fmt: skip
    field.add_argument(
        "--skipna", action="store_true",
        help="take missing values as masked: beside them formulas become one-sided "
        "(default: what reads one is missing too)",
    )  # fmt: skip


def add_scheme(grad: argparse.ArgumentParser) -> None:
    """Add the options that say what is computed, and how."""
    scheme = grad.add_argument_group("what to compute")
    *others, last = [name for name in OPERATORS if OPERATORS[name].takes != "field"]
    vectors = f"{', '.join(others)} and {last}"
    scheme.add_argument(
        "--operator", choices=[*OPERATORS], default="gradient",
        help="what to compute (default: %(default)s): gradient is all first derivatives, "
        "gradient_norm its length; "
        f"{vectors} take several variables",
    )  # fmt: skip
    scheme.add_argument(
        "--order", type=_parse_order, default=1, metavar="M",
        help=f"order of the derivative, 1 to {MAX_ORDER}, for --operator derivative "
        "(default: %(default)s)",
    )  # fmt: skip
    scheme.add_argument(
        "--accuracy", type=_parse_accuracy, default=2, metavar="P",
        help="order of the error inside, in the spacing: 2, 4, ... "
        f"{MAX_ACCURACY} (default: %(default)s)",
    )  # fmt: skip
    scheme.add_argument(
        "--edge-order", type=int, choices=(1, 2),
        help="order of the error at the ends, as numpy.gradient has it (default: 1)",
    )  # fmt: skip
    scheme.add_argument(
        "--edge-accuracy", type=_parse_edge_accuracy, metavar="P",
        help="the same for any other scheme, 1 to --accuracy (default: --accuracy)",
    )  # fmt: skip
    scheme.add_argument(
        "--boundary", nargs="+", type=parse_boundary, default=["one-sided"], metavar="B",
        help=f"what lies beyond the ends: {', '.join(_BOUNDARIES)}, a number (the field there) or "
        "normal=NUMBER (its outward slope); LOWER:UPPER where the two ends differ; one for all "
        "axes or one for each (default: one-sided)",
    )  # fmt: skip
    scheme.add_argument(
        "--stagger", nargs="+", choices=("left", "right", "none"), default=["none"],
        help="results half a cell before the samples (left) or behind them (right), with "
        "coordinates there; one for all axes or one for each (default: none)",
    )  # fmt: skip
    scheme.add_argument(
        "--time-unit", choices=_TIME_UNITS, metavar="UNIT",
        help=f"unit of time that rates are per, where coordinates are dates: "
        f"{', '.join(_TIME_UNITS)} (default: s); M is a month, m a minute",
    )  # fmt: skip


def add_run(grad: argparse.ArgumentParser) -> None:
    """Add the options that say how the work is done."""
    work = grad.add_argument_group("how to do it")
    work.add_argument(
        "--memory", type=_parse_size, default="2GB", metavar="SIZE",
        help="how much memory to take at most, as 500MB or 2GB (default: %(default)s)",
    )  # fmt: skip
    work.add_argument(
        "--backend", type=_parse_backend, metavar="NAME",
        help=f"where the arithmetic runs: {', '.join(_BACKENDS)} (default: as GPUGRAD_BACKEND "
        "says, else auto)",
    )  # fmt: skip
    work.add_argument(
        "--overwrite", action="store_true",
        help="replace OUT, and what is left of an unfinished run",
    )  # fmt: skip
    work.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    work.add_argument("--quiet", action="store_true", help="print nothing but errors")
    work.add_argument("--debug", action="store_true", help="show where an error comes from")


def parse_boundary(text: str) -> Any:
    """Return a name, a number, a name with a number, or a pair of them that a colon separates."""
    if text.count(":") > 1:
        raise argparse.ArgumentTypeError(
            f"must have one colon at most, as in LOWER:UPPER; got {text!r}"
        )
    sides = [_parse_side(side, text) for side in text.split(":")]
    if len({side in ("periodic", "wrap") for side in sides}) > 1:
        raise argparse.ArgumentTypeError(f"must be periodic at both ends or none; got {text!r}")
    return tuple(sides) if len(sides) > 1 else sides[0]


def _parse_side(side: str, text: str) -> Any:
    """Return what lies beyond one end; `text` says it of both."""
    kind, sign, number = side.partition("=")
    if side in (*_BOUNDARIES, "wrap"):
        return side
    try:
        value = float(number if sign else side)
        if math.isfinite(value) and (not sign or (kind in TABLE and TABLE[kind].value)):
            return {kind: value} if sign else value
    except ValueError:
        pass
    numbered = ", ".join(f"{name}=NUMBER ({row.value})" for name, row in TABLE.items() if row.value)
    ours = translate_boundary(side)
    here = f"; here that is {ours}".replace('{"normal": 0.0}', "normal=0.0") if ours else ""
    raise argparse.ArgumentTypeError(
        f"must be {', '.join(_BOUNDARIES)}, a finite number (the field beyond the end), {numbered},"
        f" or two of these as LOWER:UPPER; got {text!r}{here}"
    )


def _parse_backend(name: str) -> str:
    try:
        if check_name(name, "--backend") in _BACKENDS:
            return name
    except ValueError as error:
        text = str(error).removeprefix("`--backend` ").removesuffix(".")
        raise argparse.ArgumentTypeError(text) from error
    raise argparse.ArgumentTypeError(
        f"must be one of {', '.join(_BACKENDS)}, as blocks of files lie in host memory; got "
        f"{name!r}"
    )


def parse_stagger(names: list[str]) -> Any:
    """Return sides as `gpugrad.gradient` takes them."""
    sides = [None if name == "none" else name for name in names]
    if not any(sides):
        return None
    return sides[0] if len(sides) == 1 else sides


def _number_that(
    convert: Callable[[str], Any], is_right: Callable[[Any], bool], words: str
) -> Callable[[str], Any]:
    """Return what makes a number of text, or says which numbers are right."""

    def parse(text: str) -> Any:
        try:
            number = convert(text)
            if is_right(number):
                return number
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"must be {words}; got {text!r}")

    return parse


def _count_bytes(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*((?:[kmgt]i?)?)b?", text.strip().lower())
    return float(match[1]) * _UNITS[match[2]] if match else math.nan


def _is_positive(number: float) -> bool:
    return math.isfinite(number) and number > 0


_parse_size = _number_that(
    _count_bytes, math.isfinite, "a number of bytes with a unit, such as 500MB or 2GB"
)
_parse_order = _number_that(int, range(1, MAX_ORDER + 1).__contains__, f"from 1 to {MAX_ORDER}")
_parse_accuracy = _number_that(
    int, range(2, MAX_ACCURACY + 1, 2).__contains__, f"an even number from 2 to {MAX_ACCURACY}"
)
_parse_edge_accuracy = _number_that(
    int, range(1, MAX_ACCURACY + 1).__contains__, f"from 1 to {MAX_ACCURACY}"
)
_parse_spacing = _number_that(
    float, lambda h: _is_positive(abs(h)), "finite numbers, not zero: distances of samples"
)
_parse_radius = _number_that(float, _is_positive, "a positive, finite number of metres")
_parse_period = _number_that(float, _is_positive, "a positive, finite number")
