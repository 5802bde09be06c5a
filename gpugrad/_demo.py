"""The demonstration: slope and aspect of a real elevation model, checked against numpy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np

import gpugrad
from gpugrad._terrain import (
    ELEVATION_FILE,
    SUN_ALTITUDE,
    Array,
    Elevation,
    NumpyArray,
    check_picture,
    hillshade,
    import_matplotlib,
    load_elevation,
    slope_and_aspect,
)
from gpugrad._terrain import DemoError as DemoError

TILES = (12, 10)
"""How often the elevation model is repeated, down and across, for the field that takes time."""

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW", "N")

TERRAIN = ("#2f6b46", "#6f9a5b", "#b5bd7c", "#dcc793", "#b98d62", "#8a6250", "#d9cfc8")
"""Colours of the relief, from the valleys to the summits."""

COMPASS_COLORS = ("#4a6fd8", "#9a5fc6", "#e0568a", "#f0803c", "#e8c23a", "#8fc04a", "#3fae7a",
                  "#35a3c0", "#4a6fd8")  # fmt: skip
"""Colours of the aspects, from north around the compass to north."""


@dataclass(frozen=True)
class Comparison:
    """One field differentiated by numpy and by gpugrad.

    Attributes
    ----------
    label : str
        What the field is.
    equal : tuple of bool
        For each axis, whether the derivatives agree in shape, dtype and every bit.
    numpy_seconds, seconds : float
        The median time of a call of `numpy.gradient`, and of `gpugrad.gradient`.
    """

    label: str
    equal: tuple[bool, ...]
    numpy_seconds: float
    seconds: float


def same_bits(a: NumpyArray, b: NumpyArray) -> bool:
    """Tell whether two NumPy arrays agree in shape, dtype and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def compare(
    label: str, f: NumpyArray, *spacing: Any, xp: ModuleType, repeats: int, into_out: bool = False
) -> Comparison:
    """Differentiate a field with numpy and with gpugrad; compare the bits, then the time.

    Parameters
    ----------
    label : str
        What the field is.
    f : numpy.ndarray
        The field, in host memory.
    *spacing : number or array
        The spacing for each axis.
    xp : module
        The namespace whose arrays gpugrad is given; the field is brought there beforehand.
    repeats : int
        How many calls of each are timed, in turn.
    into_out : bool, optional
        Let gpugrad write to arrays that exist already. numpy has no such choice.

    Returns
    -------
    Comparison
    """
    field = xp.asarray(f)
    out = gpugrad.gradient(field, *spacing, edge_order=2) if into_out else None

    def by_numpy() -> Any:
        return np.gradient(f, *spacing, edge_order=2)

    def by_gpugrad() -> Any:
        return gpugrad.gradient(field, *spacing, edge_order=2, out=out)

    pairs = zip(by_numpy(), by_gpugrad(), strict=True)
    equal = tuple(same_bits(expected, gpugrad.asnumpy(df)) for expected, df in pairs)
    times = [(_seconds(by_numpy), _seconds(by_gpugrad)) for _ in range(repeats)]
    return Comparison(label, equal, *map(median, zip(*times, strict=True)))


def compare_terrain(elevation: Elevation, xp: ModuleType) -> list[Comparison]:
    """Compare gpugrad with numpy on the elevation model, as it is and tiled to a large field."""
    z = elevation.heights
    large = np.tile(z.astype(np.float32), TILES)
    steps = float(-np.diff(elevation.northing).mean()), float(elevation.east_steps.mean())
    return [
        compare(_describe("elevation model", z), z, elevation.northing, 1.0, xp=xp, repeats=25),
        compare(_describe("the same, tiled", large), large, *steps, xp=xp, repeats=5),
        compare("tiled, into out=", large, *steps, xp=xp, repeats=5, into_out=True),
    ]


def classic_deviations(edge_order: int, xp: ModuleType) -> Iterator[tuple[str, float, float]]:
    """Differentiate V = 2x^2 + 3y^2 - 4z on a coarse grid, and measure against the exact answer.

    Parameters
    ----------
    edge_order : {1, 2}
        The order of accuracy at the ends of each axis.
    xp : module
        The namespace whose arrays are differentiated.

    Yields
    ------
    component : str
        The derivative and its exact value: (4x, 6y, -4).
    inside, at_ends : float
        The largest deviation from the exact value, away from the two ends of the component's
        axis and at them.
    """
    spacing = 25.0
    x, y, z = np.mgrid[-100:101:spacing, -100:101:spacing, -100:101:spacing]
    v = xp.asarray(2 * x**2 + 3 * y**2 - 4 * z)
    derivatives = gpugrad.gradient(v, spacing, edge_order=edge_order)
    exact = {"dV/dx = 4x": 4 * x, "dV/dy = 6y": 6 * y, "dV/dz = -4": -4 + 0 * z}
    for axis, (name, value) in enumerate(exact.items()):
        deviation = np.moveaxis(np.abs(gpugrad.asnumpy(derivatives[axis]) - value), axis, 0)
        yield name, float(deviation[1:-1].max()), float(deviation[[0, -1]].max())


def draw(elevation: Elevation, slope: Array, aspect: Array, output: Path) -> None:
    """Draw relief, slope and aspect side by side, in kilometres.

    Parameters
    ----------
    elevation : Elevation
        The terrain.
    slope, aspect : array of shape (n_rows, n_columns)
        Degrees, as from `slope_and_aspect`.
    output : pathlib.Path
        The picture to write; its suffix names the format.

    Raises
    ------
    DemoError
        If the picture cannot be written.
    """
    colors = import_matplotlib("matplotlib.colors")
    figure = import_matplotlib("matplotlib.figure").Figure((12, 5.7), layout="constrained")
    figure.suptitle(
        "The Jacksboro fault: slope and aspect from one call of gpugrad.gradient", fontsize=15
    )
    light = gpugrad.asnumpy(hillshade(slope, aspect))
    slope, aspect = gpugrad.asnumpy(slope), gpugrad.asnumpy(aspect)
    tint = colors.LinearSegmentedColormap.from_list("terrain", TERRAIN)
    wheel = colors.LinearSegmentedColormap.from_list("compass", COMPASS_COLORS)
    relief, steepness, facing = figure.subplots(1, 3, sharey=True)
    relief.set_ylabel("km north")

    image = _draw_panel(relief, elevation, elevation.heights, tint, "Relief", "elevation (m)")
    image.set_data(_shade(image.to_rgba(elevation.heights)[..., :3], light))

    image = _draw_panel(steepness, elevation, slope, "magma", "Slope", "slope (degrees)", "max")
    image.set_clim(0, float(np.percentile(slope, 99.8)))

    image = _draw_panel(
        facing, elevation, aspect, wheel, "Aspect", "the slope faces (paler where gentle)"
    )
    image.set_clim(0, 360)
    image.colorbar.set_ticks(np.arange(0, 361, 45).tolist(), labels=COMPASS)
    image.set_data(_fade(image.to_rgba(aspect)[..., :3], slope))
    try:
        figure.savefig(output, dpi=150)
    except (OSError, ValueError) as error:
        raise DemoError(f"the picture cannot be written to {output}: {error}") from error


def _draw_panel(
    axes: Any,
    elevation: Elevation,
    values: NumpyArray,
    colormap: Any,
    title: str,
    unit: str,
    extend: str = "neither",
) -> Any:
    """Draw one map with its colour bar, and return matplotlib's image of it."""
    height, width = elevation.extent
    image = axes.imshow(values, cmap=colormap, extent=(0, width, 0, height), interpolation="none")
    axes.set_title(title, fontsize=13)
    axes.set_xlabel("km east")
    axes.figure.colorbar(
        image,
        ax=axes,
        location="bottom",
        label=unit,
        extend=extend,
        shrink=0.94,
        aspect=28,
        pad=0.02,
    )
    return image


def print_terrain(elevation: Elevation, slope: Array) -> None:
    """Print what was loaded, its steps in metres, and how steep it is."""
    rows, columns = elevation.heights.shape
    height, width = elevation.extent
    north, east = -np.diff(elevation.northing), elevation.east_steps
    slope = gpugrad.asnumpy(slope)
    print(
        f"{ELEVATION_FILE}, the elevation model that ships with matplotlib\n"
        f"  field             {rows} x {columns}, {elevation.heights.dtype}, metres\n"
        f"  size              {height:.1f} km north-south, {width:.1f} km east-west\n"
        f"  north-south step  {north[0]:.3f} m at the north edge, {north[-1]:.3f} m at the south\n"
        f"  east-west step    {east[0]:.3f} m at the north edge, {east[-1]:.3f} m at the south\n"
        f"  slope             min {slope.min():.2f}, mean {slope.mean():.2f}, "
        f"max {slope.max():.2f} degrees\n"
    )


def print_comparisons(comparisons: list[Comparison], engine: str) -> None:
    """Print a table of `Comparison`, and which engine worked."""
    print("Against numpy.gradient: both axes, edge_order=2, medians of calls made in turn")
    print(f"  {'':<40}{'same bits':<11}{'numpy':>10}{'gpugrad':>12}{'numpy/gpugrad':>16}")
    for row in comparisons:
        answers = ", ".join("yes" if equal else "NO" for equal in row.equal)
        print(
            f"  {row.label:<40}{answers:<11}{row.numpy_seconds * 1e3:>7.2f} ms"
            f"{row.seconds * 1e3:>9.2f} ms{row.numpy_seconds / row.seconds:>16.1f}"
        )
    print(
        "  same bits: one answer for each axis; into out=: gpugrad writes to arrays made before\n"
        f"  engine: {engine}\n"
        "  The elevation model is small; speed matters for fields like the tiled one.\n"
    )


def print_classic(xp: ModuleType) -> None:
    """Print how far the derivatives of a quadratic on a coarse grid are from the exact ones."""
    print("V = 2x^2 + 3y^2 - 4z, every 25 from -100 to 100: largest deviation from the exact")
    print(f"  {'':<14}{'edge_order=1':<26}edge_order=2")
    print(f"  {'':<14}" + f"{'inside':<11}{'at the ends':<15}" + f"{'inside':<11}at the ends")
    for first, second in zip(classic_deviations(1, xp), classic_deviations(2, xp), strict=True):
        (name, *deviations), (_, *others) = first, second
        cells = "".join(f"{inside:<11g}{ends:<15g}" for inside, ends in (deviations, others))
        print(f"  {name:<14}{cells}".rstrip())
    print(
        "  edge_order=1 takes the slope between the last two samples, which belongs half a step\n"
        "  inside: an error of h/2 times the second derivative, O(h). edge_order=2 takes that of\n"
        "  the parabola through the last three, exact for a quadratic.\n"
    )


def run(output: str, backend: str | None = None) -> bool:
    """Run the demonstration, and tell whether every bit is equal to numpy's.

    Parameters
    ----------
    output : str
        The picture to write; its suffix names the format.
    backend : str, optional
        As for `gpugrad.use_backend`.

    Raises
    ------
    DemoError
        If matplotlib is missing, or the picture cannot be written.
    gpugrad.BackendError
        If the backend cannot run.
    """
    path = check_picture(output)
    with gpugrad.use_backend(backend):
        chosen = gpugrad.info().backend
        # The backend "numpy" takes values in host memory alone, also where there is a GPU.
        xp = gpugrad.namespace("numpy" if chosen == "numpy" else "auto")
        elevation = load_elevation()
        heights = xp.asarray(elevation.heights)
        slope, aspect = slope_and_aspect(heights, elevation.northing, elevation.east_steps)
        print_terrain(elevation, slope)
        comparisons = compare_terrain(elevation, xp)
        print_comparisons(comparisons, _name_engine(heights, chosen))
        print_classic(xp)
    draw(elevation, slope, aspect, path)
    print(f"wrote {output}")
    return all(all(row.equal) for row in comparisons)


def _name_engine(field: Array, backend: str) -> str:
    """Say which engine differentiates plain arrays such as `field` under a backend."""
    if backend != "auto":
        return f"{backend}, as chosen by name"
    kind = "NumPy" if isinstance(field, np.ndarray) else "CuPy"
    return gpugrad.info().picks[f"{kind} arrays"]


def _describe(name: str, f: NumpyArray) -> str:
    return f"{name}, {' x '.join(map(str, f.shape))} {f.dtype}"


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    # A device works on after the call; reading one value waits for it.
    for result in call():
        gpugrad.asnumpy(result[-1:, -1:])
    return time.perf_counter() - start


def _shade(tinted: NumpyArray, light: NumpyArray) -> NumpyArray:
    """Darken and brighten colours by a relief's light, flat terrain staying as it is."""
    strength = (light / np.sin(np.radians(SUN_ALTITUDE)))[..., None]
    shaded: NumpyArray = np.clip(tinted * strength**1.3, 0, 1)
    return shaded


def _fade(colored: NumpyArray, slope: NumpyArray) -> NumpyArray:
    """Mix colours with white where the slope is gentle, and its direction mostly noise."""
    weight = np.clip(slope / 12.0, 0, 1)[..., None]
    faded: NumpyArray = weight * colored + (1 - weight)
    return faded
