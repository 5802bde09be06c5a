"""The command `gpugrad plot`: a slice of a field in a file, with its gradient, as a picture."""

from __future__ import annotations

import argparse
import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gpugrad

if TYPE_CHECKING:
    from gpugrad._files.sources import Source, Values

ARROWS = 24
"""How many arrows stand along the longer side of a picture."""

PIXELS = 1200
"""How many samples are drawn along a side at most; of more, every second, third, ... is taken."""


def add_parser(commands: Any) -> None:
    """Add `plot` to the commands of a parser."""
    plot = commands.add_parser(
        "plot",
        help="draw a slice of a field with its gradient",
        description="Draw a field in a file with its gradient: arrows uphill on the field, stream "
        "lines on the gradient's magnitude. Of more than two axes the last two are drawn, at the "
        "middle of the others or where --at says; of one axis the curve and its derivative.",
    )
    plot.add_argument("input", type=Path, metavar="IN", help="the file with the field")
    plot.add_argument(
        "--output", type=Path, default=Path("gpugrad-plot.png"), metavar="FILE",
        help="the picture to write (default: %(default)s)",
    )  # fmt: skip
    plot.add_argument("--var", metavar="NAME", help="the variable")
    plot.add_argument(
        "--at", nargs="+", default=[], metavar="AXIS=INDEX", help="where to cut other axes"
    )
    plot.add_argument("--debug", action="store_true", help="show where an error comes from")


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad plot`; return None, or what is wrong."""
    from gpugrad._files.errors import FileError
    from gpugrad._terrain import DemoError

    try:
        print(_plot(arguments))
    except (FileError, ValueError, TypeError, OSError, DemoError) as error:
        if arguments.debug:
            raise
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _plot(arguments: argparse.Namespace) -> str:
    from gpugrad._files.errors import FileError
    from gpugrad._files.sources import open_sources
    from gpugrad._terrain import import_matplotlib

    figures = import_matplotlib("matplotlib.figure")
    with ExitStack() as files:
        names = (arguments.var,) if arguments.var else ()
        (source,) = open_sources(arguments.input, names, 2e9, files)
        if not source.shape or source.dtype.kind not in "biuf":
            raise FileError(f"{source.label} must hold real numbers, along an axis at least.")
        cut = _find_cut(source, arguments.at)
        values = _read_slice(source, cut)
    where = ", ".join(f"{source.dims[axis]} {i}" for axis, i in cut.items())
    title = f"{source.name or arguments.input.name}" + (f"  ({where})" if where else "")
    if values.ndim == 1:
        figure = _draw_curve(figures, source, values)
    else:
        figure = _draw_plane(figures, source, values)
    figure.suptitle(title)
    try:
        figure.savefig(arguments.output, dpi=150)
    except (OSError, ValueError) as error:
        raise FileError(f"the picture can't be written to {arguments.output}: {error}") from error
    return f"{arguments.output}: {title}, {' x '.join(map(str, values.shape))} samples"


def _find_cut(source: Source, at: list[str]) -> dict[int, int]:
    """Return the index at which each axis but the last two is cut."""
    from gpugrad._files.errors import FileError

    cut = {axis: n // 2 for axis, n in enumerate(source.shape[:-2])}
    for one in at:
        name, _, number = one.partition("=")
        axes = [i for i in cut if name in (source.dims[i], str(i))]
        if not axes or not number.lstrip("-").isdigit():
            known = ", ".join(source.dims[i] for i in cut) or "none to cut"
            raise FileError(f"--at must be AXIS=INDEX, with an axis of: {known}; got {one}.")
        n = source.shape[axes[0]]
        if not -n <= int(number) < n:
            raise FileError(f"--at {one} must lie within the {n} samples of {name}.")
        cut[axes[0]] = int(number) % n
    return cut


def _read_slice(source: Source, cut: dict[int, int]) -> Values:
    from gpugrad._files.errors import FileError

    window = tuple(
        slice(cut[axis], cut[axis] + 1) if axis in cut else slice(0, n)
        for axis, n in enumerate(source.shape)
    )
    shape = [part.stop - part.start for part in window]
    if math.prod(shape) * source.dtype.itemsize > 2e9:
        raise FileError(f"a slice of {source.label} has {math.prod(shape)} samples: too many.")
    values = np.empty(shape, source.dtype)
    source.read(window, values)
    return values.reshape(shape[len(cut) :]).astype(np.float64)


def _coordinates(source: Source, axis: int) -> Values:
    n = source.shape[axis]
    given = source.coordinates.get(source.dims[axis])
    if given is None or given.dtype.kind not in "iuf":
        return np.arange(float(n))
    return given.astype(np.float64)


def _label(source: Source, axis: int) -> str:
    dim = source.dims[axis]
    units = source.coordinate_attributes.get(dim, {}).get("units")
    known = dim in source.coordinates and source.coordinates[dim].dtype.kind in "iuf"
    if not known:
        return f"{dim} (samples)"
    return f"{dim} ({units})" if units else dim


def _label_field(source: Source) -> str:
    units = source.attributes.get("units")
    return f"{source.name or 'f'} ({units})" if units else source.name or "f"


def _draw_curve(figures: Any, source: Source, values: Values) -> Any:
    x = _coordinates(source, -1)
    figure = figures.Figure((9, 6), layout="constrained")
    curve, slope = figure.subplots(2, 1, sharex=True)
    curve.plot(x, values, color="#2f5d8a")
    curve.set_ylabel(_label_field(source))
    slope.plot(x, gpugrad.gradient(values, x), color="#c2512e")
    slope.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    slope.set_ylabel(f"d{source.name or 'f'}/d{source.dims[-1]}")
    slope.set_xlabel(_label(source, -1))
    return figure


def _draw_plane(figures: Any, source: Source, values: Values) -> Any:
    y, x = _coordinates(source, -2), _coordinates(source, -1)
    dy, dx = gpugrad.gradient(values, y, x)
    magnitude = np.hypot(dx, dy)
    shape = values.shape
    figure = figures.Figure((13, 5.6), layout="constrained")
    field, steepness = figure.subplots(1, 2, sharex=True, sharey=True)
    thin = tuple(slice(None, None, -(-n // PIXELS)) for n in shape)
    for axes, shown, colors, label in (
        (field, values, "viridis", _label_field(source)),
        (steepness, magnitude, "magma", "magnitude of the gradient"),
    ):
        mesh = axes.pcolormesh(x[thin[1]], y[thin[0]], shown[thin], cmap=colors, shading="nearest")
        figure.colorbar(mesh, ax=axes, label=label, shrink=0.9)
        axes.set_xlabel(_label(source, -1))
    field.set_ylabel(_label(source, -2))
    every = tuple(slice(n // ARROWS // 2, None, max(1, max(shape) // ARROWS)) for n in shape)
    longest = float(np.nanmax(magnitude[every], initial=0.0))
    if longest > 0:  # as long as the way from one arrow to the next
        field.quiver(
            x[every[1]], y[every[0]], dx[every], dy[every],
            color="white", width=0.0025, scale=longest * ARROWS / 1.4,
        )  # fmt: skip
    _draw_streams(steepness, x, y, dx, dy)
    return figure


def _draw_streams(axes: Any, x: Values, y: Values, dx: Values, dy: Values) -> None:
    """Draw lines along the gradient; they need even, increasing coordinates."""
    if min(x.size, y.size) < 3:
        return
    even_x, even_y = (np.linspace(c.min(), c.max(), min(c.size, 200)) for c in (x, y))
    rows, columns = np.interp(even_y, *_by_index(y)), np.interp(even_x, *_by_index(x))
    at = np.ix_(np.rint(rows).astype(int), np.rint(columns).astype(int))
    u, v = (np.nan_to_num(df[at]) for df in (dx, dy))
    if np.any(u) or np.any(v):
        axes.streamplot(even_x, even_y, u, v, color="white", linewidth=0.6, arrowsize=0.7)


def _by_index(c: Values) -> tuple[Values, Values]:
    """Return increasing coordinates, and the index of each."""
    order = np.argsort(c)
    return c[order], np.arange(c.size)[order].astype(float)
