"""The command `gpugrad plot`: a slice of a field in a file, with its gradient, as a picture."""

from __future__ import annotations

import argparse
import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
from gpugrad._plots import PlotAxis, PlotField, append_seam, draw_field, read_axis, thin_axes

if TYPE_CHECKING:
    from gpugrad._files import Source, Values


def add_parser(commands: Any) -> None:
    """Add `plot` to the commands of a parser."""
    plot = commands.add_parser(
        "plot",
        help="draw a slice of a field with its gradient",
        description="Draw a field in a file with its gradient: arrows uphill on the field, stream "
        "lines on the gradient's magnitude. Of more than two axes the last two are drawn, at the "
        "middle of the others or where --at says; of one axis the curve and its derivative. "
        "Where it turns or is level is marked, if such points are few.",
    )
    plot.add_argument("input", type=Path, metavar="IN", help="the file with the field")
    add_output(plot, "gpugrad-plot.png")
    plot.add_argument("--var", metavar="NAME", help="the variable")
    plot.add_argument(
        "--at", nargs="+", default=[], metavar="AXIS=INDEX", help="where to cut other axes"
    )
    plot.add_argument(
        "--panels", nargs="+", type=_parse_panel, metavar="PANEL",
        help="what to draw: field, magnitude, and axes, for the derivatives along them; of one "
        "axis curve and slope (default: the first two)",
    )  # fmt: skip
    plot.add_argument(
        "--accuracy", type=int, choices=range(2, 13, 2), default=2, metavar="P",
        help="order of the error inside, in the spacing: 2, 4, ... 12 (default: %(default)s)",
    )  # fmt: skip
    plot.add_argument(
        "--prominence", type=float, metavar="HEIGHT",
        help="how far turning points of a curve must stand out; needs SciPy",
    )  # fmt: skip
    plot.add_argument("--debug", action="store_true", help="show where an error comes from")
    plot.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad plot`; return None, or what is wrong."""
    try:
        print(_plot_file(arguments))
    except (FileError, ValueError, TypeError, ImportError, OSError) as error:
        if arguments.debug:
            raise
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _parse_panel(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text


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
    figures = import_library("matplotlib.figure", "plot", "drawing", "matplotlib")
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
    field = _describe_field(source, values, {"accuracy": arguments.accuracy})
    figure = draw_field(
        field, arguments.panels, None, arguments.prominence, make_figure=figures.Figure
    )
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


def _describe_field(source: Source, values: Values, options: dict[str, Any]) -> PlotField:
    """Return a slice of a field along the last axes of a file, with its slopes."""
    first = len(source.dims) - values.ndim
    axes = [_find_axis(source, k) for k in range(first, len(source.dims))]
    units, name = source.attributes.get("units"), source.name or "f"
    title = str(source.attributes.get("long_name") or name)
    dims = tuple((k, k - values.ndim, axis.name) for k, axis in enumerate(axes))
    on_sphere = _find_slopes_on_sphere(source, values, axes, options)
    if on_sphere is None:
        slopes = gpugrad.gradient(values, *[axis.values for axis in axes], **options)
        slopes = slopes if values.ndim > 1 else (slopes,)
        below = [axis.units for axis in axes]
    else:
        slopes, axes = on_sphere
        below = ["m", "m"]
        if axes[0].name != dims[0][2]:  # latitude is drawn upwards
            values, dims = values.T, dims[::-1]
    thin = thin_axes(values.shape)
    return PlotField(
        values, tuple(axes), tuple(slope[thin] for slope in slopes),
        tuple(per(units, by) for by in below), name, title, units,
        is_map=on_sphere is not None, dims=dims,
    )  # fmt: skip


def _find_axis(source: Source, axis: int) -> PlotAxis:
    dim = source.dims[axis]
    length = source.shape[axis]
    if dim not in source.coordinates:
        return read_axis(None, length, dim)
    values = source.coordinates[dim]
    attributes = source.coordinate_attributes.get(dim, {})
    units, title = attributes.get("units"), str(attributes.get("long_name") or dim)
    if values.dtype.kind == "m":  # the time since a date, in another calendar than NumPy's
        since = str(units or "").removeprefix("seconds")
        days = values / np.timedelta64(1, "D")
        return PlotAxis(days, dim, f"{title} (days{since})", "day")
    return read_axis(values, length, dim, title, units)


def _find_slopes_on_sphere(
    source: Source, values: Values, axes: list[PlotAxis], options: dict[str, Any]
) -> tuple[list[Values], list[PlotAxis]] | None:
    """Return slopes per metre on a map of latitudes and longitudes, with these; else None."""
    place = find_geography(source)
    last_two = [len(source.dims) - 2, len(source.dims) - 1]
    if place is None or place.is_curved or sorted(place.axes) != last_two:
        return None
    latitude, longitude = place.values
    at = place.axes[0] - len(source.dims), place.axes[1] - len(source.dims)
    is_doubled = find_global_seam(source, place) is not None
    if is_doubled:
        longitude = longitude[:-1]
        values = values[:, :-1] if at[1] == -1 else values[:-1]
    try:
        sphere = gpugrad.Sphere(latitude, longitude, radius=place.radius, axis=at, **options)
        slopes = [*sphere.gradient(values)]
    except ValueError as error:
        reason = say(str(error), source.label, source.dims[-2:])
        raise FileError(f"{source.label} can't be drawn on the sphere: {reason}") from error
    if is_doubled:
        slopes = [append_seam(slope, at[1]) for slope in slopes]
    if at[1] != -1:
        slopes = [slope.T for slope in slopes]
    is_rotated = place.directions[0] != "north"
    drawn = []
    kinds: tuple[Literal["latitude", "longitude"], ...] = ("latitude", "longitude")
    for kind, axis in zip(kinds, (axes[at[0]], axes[at[1]]), strict=True):
        degrees = np.asarray(place.values[kind == "longitude"], np.float64)
        if kind == "longitude":
            degrees = np.unwrap(degrees, period=360.0)
        label = f"{axis.name} (degrees)" if is_rotated else axis.name
        drawn.append(
            PlotAxis(degrees, axis.name, label, "degree", "numbers" if is_rotated else kind)
        )
    return slopes, drawn
