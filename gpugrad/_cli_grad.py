"""The command `gpugrad grad`: from a field in a file to its derivatives in another."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpugrad

if TYPE_CHECKING:
    from gpugrad._files.job import Progress

_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30,
          "ti": 2**40}  # fmt: skip
OPERATORS = (
    "gradient", "gradient_norm", "derivative", "laplacian", "divergence", "curl", "jacobian",
)  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add `grad` to the commands of a parser."""
    grad = commands.add_parser(
        "grad",
        help="differentiate a field in a file, in bounded memory",
        description="Differentiate a field in a .npy, .npz, Zarr, NetCDF or GeoTIFF file, which "
        "may be larger than memory. The result is written beside its place, in a folder "
        "OUT.partial, and moved there once it is whole; after an interruption --resume goes on.",
        epilog="Example: gpugrad grad ocean.nc slope.zarr --var temperature --memory 1GB",
    )
    grad.add_argument("input", type=Path, metavar="IN", help="the file with the field")
    grad.add_argument(
        "output", type=Path, metavar="OUT", help="the file to write; its suffix names the format"
    )
    grad.add_argument(
        "--var",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the variable; for a vector field, its components",
    )
    grad.add_argument(
        "--operator",
        choices=OPERATORS,
        default="gradient",
        help="what to compute (default: %(default)s)",
    )
    grad.add_argument(
        "--axis",
        nargs="+",
        default=[],
        metavar="AXIS",
        help="axes to differentiate along, by number or name (default: all)",
    )
    grad.add_argument(
        "--spacing",
        nargs="+",
        type=float,
        default=[],
        metavar="H",
        help="distance between samples, one for all axes or one for each",
    )
    grad.add_argument(
        "--coords",
        nargs="+",
        default=[],
        metavar="NAME",
        help="coordinates for each axis: .npy files, or names in IN (default: those of IN, if any)",
    )
    grad.add_argument(
        "--order",
        type=int,
        default=1,
        metavar="M",
        help="order of the derivative, for --operator derivative",
    )
    grad.add_argument(
        "--accuracy",
        type=int,
        default=2,
        metavar="P",
        help="order of accuracy inside: 2, 4, ... 12",
    )
    grad.add_argument(
        "--edge-order",
        type=int,
        choices=(1, 2),
        default=1,
        help="order of accuracy at the ends (default: %(default)s)",
    )
    grad.add_argument(
        "--boundary",
        nargs="+",
        default=["one-sided"],
        metavar="NAME",
        help="what lies beyond the ends: one-sided, periodic, ..., a number, normal=NUMBER, "
        "LOWER:UPPER; one for all axes or one for each",
    )
    grad.add_argument("--period", type=float, metavar="L", help="period of periodic axes")
    grad.add_argument(
        "--stagger",
        nargs="+",
        choices=("left", "right", "none"),
        default=["none"],
        help="results half a cell before (left) or behind the samples (right); one for all axes "
        "or one for each",
    )
    grad.add_argument(
        "--skipna",
        action="store_true",
        help="take missing values as holes: beside them formulas become one-sided",
    )
    grad.add_argument(
        "--time-unit",
        metavar="UNIT",
        help="unit of time that rates are per, where coordinates are dates: s, h, D, ...",
    )
    grad.add_argument(
        "--backend",
        metavar="NAME",
        help="where the arithmetic runs: auto, slices, numpy, numba, cupy",
    )
    grad.add_argument(
        "--memory",
        type=_parse_size,
        default="2GB",
        metavar="SIZE",
        help="how much memory to take at most (default: %(default)s)",
    )
    grad.add_argument(
        "--overwrite",
        action="store_true",
        help="replace OUT, and what is left of an unfinished run",
    )
    grad.add_argument("--resume", action="store_true", help="go on with an unfinished run")
    grad.add_argument("--quiet", action="store_true", help="print nothing but errors")
    grad.add_argument("--debug", action="store_true", help="show where an error comes from")


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad grad`; return None, or what is wrong."""
    from gpugrad._files.errors import FileError

    try:
        _differentiate(arguments)
    except (FileError, ValueError, TypeError, MemoryError, gpugrad.BackendError) as error:
        if arguments.debug:
            raise
        return " ".join(str(error).split()) or type(error).__name__
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        again = "--overwrite --resume" if arguments.output.exists() else "--resume"
        return f"interrupted. {arguments.output}.partial keeps what is done; {again} goes on."
    return None


def _differentiate(arguments: argparse.Namespace) -> None:
    from gpugrad._files.operators import Request
    from gpugrad._files.run import differentiate

    boundary = [_as_boundary(name) for name in arguments.boundary]
    request = Request(
        operator=arguments.operator,
        axes=tuple(arguments.axis),
        spacing=tuple(arguments.spacing),
        coords=tuple(arguments.coords),
        order=arguments.order,
        accuracy=arguments.accuracy,
        edge_order=arguments.edge_order,
        boundary=boundary[0] if len(boundary) == 1 else boundary,
        period=arguments.period,
        stagger=_as_stagger(arguments.stagger),
        skipna=arguments.skipna,
        time_unit=arguments.time_unit,
        backend=arguments.backend,
    )
    started = time.perf_counter()
    with _show_progress(arguments.quiet) as progress:
        done = differentiate(
            arguments.input, arguments.output, tuple(arguments.var), request, arguments.memory,
            arguments.overwrite, arguments.resume, progress,
        )  # fmt: skip
    if not arguments.quiet:
        seconds = time.perf_counter() - started
        before = f", {done.found} of them before" if done.found else ""
        print(
            f"{done.out}: {', '.join(done.names)}; {len(done.names)} x {done.shape} {done.dtype}, "
            f"{done.nbytes / 1e6:,.1f} MB in {done.blocks} blocks{before}, {seconds:.1f} s"
        )


@contextmanager
def _show_progress(quiet: bool) -> Iterator[Progress | None]:
    """Draw a bar on a terminal, if tqdm is there to draw it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    bar: Any = None
    with ExitStack() as drawn:

        def advance(more: int, total: int) -> None:
            nonlocal bar
            if bar is None:  # what earlier runs have done says nothing of the speed
                bar = drawn.enter_context(
                    tqdm(total=total, initial=more, unit="B", unit_scale=True, desc="written")
                )
            else:
                bar.update(more)

        yield advance


def _as_stagger(names: list[str]) -> Any:
    several = [None if name == "none" else name for name in names]
    return several[0] if len(several) == 1 else several


def _as_boundary(name: str) -> Any:
    """Return a name, a number, a name with a number, or a pair of them that a colon separates."""
    if ":" in name:
        return tuple(_as_boundary(part) for part in name.split(":"))
    kind, sign, number = name.partition("=")
    try:
        return {kind: float(number)} if sign else float(name)
    except ValueError:
        return name


def _parse_size(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*([kmgt]i?)?b?", text.strip().lower())
    try:
        if match:
            return float(match[1]) * _UNITS[match[2] or ""]
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"a size must be a number of bytes with a unit, such as 500MB or 2GB; got {text!r}"
    )
