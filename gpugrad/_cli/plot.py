"""The command `gpugrad plot`: a slice of a field in a file, with its gradient, as a picture."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import gpugrad
from gpugrad._files import (
    FileError,
    find_geography,
    find_global_seam,
    import_library,
    open_sources,
    say,
)
from gpugrad._labels import per

if TYPE_CHECKING:
    from gpugrad._files import Source, Values

MISSING = "0.75"
"""The grey of what is not there."""

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
    add_output(plot, "gpugrad-plot.png")
    plot.add_argument("--var", metavar="NAME", help="the variable")
    plot.add_argument(
        "--at", nargs="+", default=[], metavar="AXIS=INDEX", help="where to cut other axes"
    )
    plot.add_argument("--debug", action="store_true", help="show where an error comes from")
    plot.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad plot`; return None, or what is wrong."""
    try:
        print(_plot_file(arguments))
    except (FileError, ValueError, TypeError, OSError) as error:
        if arguments.debug:
            raise
        return " ".join(str(error).split()) or type(error).__name__
    return None


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option that says which picture to write."""
    parser.add_argument(
        "--output", type=Path, default=Path(default), metavar="FILE",
        help="the picture to write (default: %(default)s)",
    )  # fmt: skip


def import_matplotlib(module: str) -> Any:
    """Import a module of matplotlib, or raise FileError with how to install it."""
    return import_library(module, "demo", "drawing", "matplotlib")


def check_picture(path: Path) -> Path:
    """Return the path of a picture, or raise FileError before any work is done."""
    formats = import_matplotlib("matplotlib.figure").Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise FileError(f"--output must end in one of .{', .'.join(sorted(formats))}; got {path}.")
    if path.is_dir():
        raise FileError(f"--output must be a file to write; {path} is a folder.")
    if not path.parent.is_dir():
        raise FileError(f"--output must be in a folder that exists; there is no {path.parent}.")
    return path


def save_picture(figure: Any, output: Path) -> None:
    """Write a figure to a file, or raise FileError."""
    try:
        figure.savefig(output, dpi=150)
    except (OSError, ValueError) as error:
        raise FileError(f"the picture can't be written to {output}: {error}") from error


def _plot_file(arguments: argparse.Namespace) -> str:
    figures = import_matplotlib("matplotlib.figure")
    output = check_picture(arguments.output)
    with ExitStack() as files:
        names = (arguments.var,) if arguments.var else ()
        (source,) = open_sources(arguments.input, names, 2e9, files)
        if not source.shape or source.dtype.kind not in "biuf":
            raise FileError(f"{source.label} must hold real numbers, along an axis at least.")
        cut = _find_cut(source, arguments.at)
        _check_lengths(source, len(cut))
        values = _read_slice(source, cut)
    where = ", ".join(_say_where(source, axis, i) for axis, i in cut.items())
    title = f"{source.name or arguments.input.name}" + (f"  ({where})" if where else "")
    if values.ndim > 1 and np.isnan(values).any():
        title += ", grey where missing"
    draw = _draw_curve if values.ndim == 1 else _draw_plane
    figure = draw(figures, source, values)
    figure.suptitle(title)
    save_picture(figure, output)
    return f"{output}: {title}, {' x '.join(map(str, values.shape))} samples"


def _find_cut(source: Source, at: list[str]) -> dict[int, int]:
    """Return the index at which each axis but the last two is cut."""
    cut = {axis: n // 2 for axis, n in enumerate(source.shape[:-2])}
    for choice in at:
        name, _, number = choice.partition("=")
        axes = [i for i in cut if name in (source.dims[i], str(i))]
        if not axes or not number.lstrip("-").isdigit():
            listed = ", ".join(source.dims[i] for i in cut) or "none to cut"
            raise FileError(f"--at must be AXIS=INDEX, with an axis of: {listed}; got {choice}.")
        n = source.shape[axes[0]]
        if not -n <= int(number) < n:
            raise FileError(f"--at {choice} must lie within the {n} samples of {name}.")
        cut[axes[0]] = int(number) % n
    return cut


def _check_lengths(source: Source, first: int) -> None:
    """Raise FileError where an axis that is drawn has a single sample."""
    for dim, n in [*zip(source.dims, source.shape, strict=True)][first:]:
        if n < 2:
            raise FileError(
                f"{source.label} must have at least 2 samples along {dim}, which is drawn; it has "
                "one. Move the axes to draw to the end."
            )


def _say_where(source: Source, axis: int, i: int) -> str:
    """Return where an axis is cut: its coordinate there, or the number of the sample."""
    dim = source.dims[axis]
    if dim not in source.coordinates:
        return f"{dim} {i}"
    value = source.coordinates[dim][i]
    if value.dtype.kind == "M":
        text = str(value.astype("datetime64[s]")).replace("T", " ")
        return f"{dim} {text.removesuffix(' 00:00:00')}"
    units = str(source.coordinate_attributes.get(dim, {}).get("units", ""))
    if value.dtype.kind == "m":  # the time since a date, in another calendar than NumPy's
        days = value / np.timedelta64(1, "D")
        return f"{dim} {days:.6g} days{units.removeprefix('seconds')}"
    return f"{dim} {value:.6g} {units}".rstrip()


def _read_slice(source: Source, cut: dict[int, int]) -> Values:
    window = tuple(
        slice(cut[axis], cut[axis] + 1) if axis in cut else slice(0, n)
        for axis, n in enumerate(source.shape)
    )
    shape = source.shape[len(cut) :]
    if math.prod(shape) * source.dtype.itemsize > 2e9:
        raise FileError(f"a slice of {source.label} has {math.prod(shape)} samples: too many.")
    values = np.empty((1,) * len(cut) + shape, source.dtype)
    source.read(window, values)
    return values.reshape(shape).astype(np.float64)


@dataclass(frozen=True)
class _PlotAxis:
    """An axis of a field as it is drawn: dates as matplotlib counts them, in days.

    `units` are None where they are unknown.
    """

    values: Values
    label: str
    units: str | None = None
    has_dates: bool = False

    def show_dates(self, drawn: Any) -> None:
        """Label an axis of a picture with dates, where it has some."""
        if self.has_dates:
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator()
            drawn.set_major_locator(locator)
            drawn.set_major_formatter(ConciseDateFormatter(locator))


def _find_axis(source: Source, axis: int) -> _PlotAxis:
    dim = source.dims[axis]
    if dim not in source.coordinates:
        return _PlotAxis(np.arange(float(source.shape[axis])), f"{dim} (samples)")
    values = source.coordinates[dim]
    units = source.coordinate_attributes.get(dim, {}).get("units")
    if values.dtype.kind == "M":
        from matplotlib.dates import date2num

        return _PlotAxis(np.asarray(date2num(values), np.float64), dim, "day", has_dates=True)
    if values.dtype.kind == "m":  # the time since a date, in another calendar than NumPy's
        since = str(units or "").removeprefix("seconds")
        return _PlotAxis(values / np.timedelta64(1, "D"), f"{dim} (days{since})", "day")
    return _PlotAxis(values.astype(np.float64), f"{dim} ({units})" if units else dim, units)


def _label_field(source: Source) -> str:
    return _add_units(source.name or "f", source.attributes.get("units"))


def _add_units(name: str, units: str | None) -> str:
    line_break = "\n" if len(name) > 26 else " "
    return f"{name}{line_break}({units})" if units else name


def _label_slope(source: Source, what: str, lengths: Sequence[str | None]) -> str:
    """Return what a derivative is called, with units if they are the same along all axes."""
    below = {_name_degree(units) for units in lengths}
    units = {per(source.attributes.get("units"), by) for by in below}
    return _add_units(what, units.pop() if len(units) == 1 else None)


def _name_degree(units: str | None) -> str | None:
    """Return one name for degrees to the north and to the east."""
    return "degree" if str(units).startswith("degree") else units


def _find_aspect(x: _PlotAxis, y: _PlotAxis) -> float | str:
    """Return the ratio of lengths on the axes: true where both have one unit, or are degrees."""
    wide, high = np.ptp(x.values), np.ptp(y.values)
    if not (wide and high) or not 0.2 < wide / high < 5:
        return "auto"  # a true picture would be a thin stripe
    if _name_degree(x.units) == _name_degree(y.units) == "degree":
        return float(1 / max(np.cos(np.radians(y.values.mean())), 0.2))
    return "equal" if x.units and x.units == y.units else "auto"


def _draw_curve(figures: Any, source: Source, values: Values) -> Any:
    x = _find_axis(source, -1)
    figure = figures.Figure((9, 6), layout="constrained")
    curve, slope = figure.subplots(2, 1, sharex=True)
    curve.plot(x.values, values, color="#2f5d8a")
    curve.set_ylabel(_label_field(source))
    slope.plot(x.values, gpugrad.gradient(values, x.values), color="#c2512e")
    slope.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    name = f"d{source.name or 'f'}/d{source.dims[-1]}"
    slope.set_ylabel(_label_slope(source, name, [x.units]))
    slope.set_xlabel(x.label)
    x.show_dates(slope.xaxis)
    return figure


def _draw_plane(figures: Any, source: Source, values: Values) -> Any:
    y_axis, x_axis = _find_axis(source, -2), _find_axis(source, -1)
    y, x = y_axis.values, x_axis.values
    dy, dx, lengths = _find_gradient(source, values, [y_axis, x_axis])
    magnitude = np.hypot(dx, dy)
    shape = values.shape
    aspect = _find_aspect(x_axis, y_axis)
    height, ratio = 5.6, 1.0
    if aspect != "auto":  # as high as a true picture is
        ratio = float(np.ptp(y) / np.ptp(x)) * (1.0 if aspect == "equal" else float(aspect))
        height = min(max(1.4 + 5.2 * ratio, 3.0), 8.0)
    figure = figures.Figure((13, height), layout="constrained")
    field, steepness = figure.subplots(1, 2, sharex=True, sharey=True)
    thin = tuple(slice(None, None, -(-n // PIXELS)) for n in shape)
    steep = _label_slope(source, "magnitude of the gradient", lengths)
    for axes, shown, colors, label in (
        (field, values, "viridis", _label_field(source)),
        (steepness, magnitude, "magma", steep),
    ):
        mesh = axes.pcolormesh(x[thin[1]], y[thin[0]], shown[thin], cmap=colors, shading="nearest")
        figure.colorbar(mesh, ax=axes, label=label, shrink=0.9)
        axes.set_xlabel(x_axis.label)
        axes.set_facecolor(MISSING)
        axes.set_aspect(aspect)
        x_axis.show_dates(axes.xaxis)
    field.set_ylabel(y_axis.label)
    y_axis.show_dates(field.yaxis)
    extent = field.get_xlim(), field.get_ylim()
    tall = ratio if aspect != "auto" else 0.9
    every = _thin_arrows(shape, tall)
    longest = float(np.nanmax(magnitude[every], initial=0.0))
    if longest > 0:  # as long as the way from one arrow to the next
        field.quiver(
            x[every[1]], y[every[0]], dx[every], dy[every],
            color="white", width=0.0025, scale=longest * ARROWS / 1.4,
        )  # fmt: skip
    _draw_streams(steepness, x, y, dx, dy)
    field.set(xlim=extent[0], ylim=extent[1])  # which arrows and lines have widened
    return figure


def _find_gradient(
    source: Source, values: Values, axes: list[_PlotAxis]
) -> tuple[Values, Values, list[str | None]]:
    """Return the slopes along the two axes, and the units of length that these are per.

    On a map of latitudes and longitudes both are per metre.
    """
    place = find_geography(source)
    last_two = [len(source.dims) - 2, len(source.dims) - 1]
    if place is None or place.is_curved or sorted(place.axes) != last_two:
        dy, dx = gpugrad.gradient(values, axes[0].values, axes[1].values)
        return dy, dx, [axis.units for axis in axes]
    latitude, longitude = place.values
    round_axis = place.axes[1] - len(source.dims)
    is_doubled = find_global_seam(source, place) is not None
    if is_doubled:
        longitude = longitude[:-1]
        values = values[:, :-1] if round_axis == -1 else values[:-1]
    at = place.axes[0] - len(source.dims), round_axis
    try:
        slopes = [*gpugrad.Sphere(latitude, longitude, radius=place.radius, axis=at)
                  .gradient(values)]  # fmt: skip
    except ValueError as error:
        reason = say(str(error), source.label, source.dims[-2:])
        raise FileError(f"{source.label} can't be drawn on the sphere: {reason}") from error
    if is_doubled:
        slopes = [np.concatenate([s, s.take([0], round_axis)], axis=round_axis) for s in slopes]
    dy, dx = slopes if round_axis == -1 else slopes[::-1]
    return dy, dx, ["m", "m"]


def _thin_arrows(shape: Sequence[int], tall: float) -> tuple[slice, slice]:
    """Return which samples have an arrow: as far apart upwards as across in the picture."""
    across = ARROWS if tall <= 1 else max(1, round(ARROWS / tall))
    upwards = max(1, round(ARROWS * min(tall, 1.0)))
    counts = zip(shape, (upwards, across), strict=True)
    steps = [-(-n // count) for n, count in counts]
    starts = [(n - 1) % step // 2 for n, step in zip(shape, steps, strict=True)]
    return slice(starts[0], None, steps[0]), slice(starts[1], None, steps[1])


def _draw_streams(axes: Any, x: Values, y: Values, dx: Values, dy: Values) -> None:
    """Draw lines along the gradient; they need even, increasing coordinates."""
    if min(x.size, y.size) < 3:
        return
    even_x, even_y = (np.linspace(c.min(), c.max(), min(c.size, 200)) for c in (x, y))
    rows, columns = np.interp(even_y, *_by_index(y)), np.interp(even_x, *_by_index(x))
    at = np.ix_(np.rint(rows).astype(int), np.rint(columns).astype(int))
    u, v = (np.ma.masked_invalid(df[at]) for df in (dx, dy))
    if np.ma.any(u) or np.ma.any(v):
        axes.streamplot(even_x, even_y, u, v, color="white", linewidth=0.6, arrowsize=0.7)


def _by_index(c: Values) -> tuple[Values, Values]:
    """Return increasing coordinates, and the index of each."""
    order = np.argsort(c)
    return c[order], np.arange(c.size)[order].astype(float)
