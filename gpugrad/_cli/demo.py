"""The demonstration: slope and aspect of a real elevation model, checked against numpy."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from array_api_compat import array_namespace

import gpugrad
from gpugrad._arrays import NumpyArray
from gpugrad._cli.plot import add_output, check_picture, import_matplotlib
from gpugrad._files import FileError

Array = Any

ELEVATION_FILE = "jacksboro_fault_dem.npz"

TILES = (12, 10)
"""How often the elevation model is repeated, down and across, for the field that takes time."""

SUN_AZIMUTH, SUN_ALTITUDE = 315.0, 45.0
"""Where the light of the relief comes from, in degrees: the north-west, as on most maps."""

TERRAIN = ("#2f6b46", "#6f9a5b", "#b5bd7c", "#dcc793", "#b98d62", "#8a6250", "#d9cfc8")
"""Colours of the relief, from the valleys to the summits."""

COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW", "N")
COMPASS_COLORS = ("#4a6fd8", "#9a5fc6", "#e0568a", "#f0803c", "#e8c23a", "#8fc04a", "#3fae7a",
                  "#35a3c0", "#4a6fd8")  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add `demo` to the commands of a parser."""
    demo = commands.add_parser(
        "demo",
        help="slope and aspect of a real elevation model, checked and timed against numpy",
        description="Compute slope and aspect of an elevation model that ships with matplotlib, "
        "draw them with the relief, and compare gpugrad.gradient with numpy.gradient: "
        "bits and time. The exit status is 1 if any bit differs. The arithmetic runs where "
        "GPUGRAD_BACKEND says, by default on the GPU where one is usable, else on the CPU.",
    )
    add_output(demo, "gpugrad-demo.png")
    demo.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad demo`; return None, or that a bit is not equal to numpy's.

    Raises
    ------
    FileError
        If matplotlib is missing, or the picture cannot be written.
    gpugrad.BackendError
        If the backend that ``GPUGRAD_BACKEND`` names cannot run.
    ValueError
        If ``GPUGRAD_BACKEND`` names none.
    """
    backend = gpugrad.info().backend  # a mistake in GPUGRAD_BACKEND shows here
    path = check_picture(arguments.output)
    elevation = load_elevation()
    # The backend "numpy" takes values in host memory alone, also where there is a GPU.
    xp = gpugrad.namespace("numpy" if backend == "numpy" else "auto")
    heights = xp.asarray(elevation.heights)
    slope, aspect = slope_and_aspect(heights, elevation.northing, elevation.east_steps)
    print_terrain(elevation, gpugrad.asnumpy(slope))
    is_equal = compare_terrain(elevation, xp)
    kind = "NumPy" if isinstance(heights, np.ndarray) else "CuPy"
    picked = gpugrad.info().picks[f"{kind} arrays"]
    print(f"  engine: {picked if backend == 'auto' else f'{backend}, as chosen by name'}")
    draw(elevation, slope, aspect, path)
    print(f"\nwrote {path}")
    return None if is_equal else "a derivative differs from that of numpy.gradient"


@dataclass(frozen=True)
class Elevation:
    """Heights in metres on a grid of latitudes and longitudes in degrees.

    The first row is the northernmost, the first column the westernmost.
    """

    heights: NumpyArray
    latitude: NumpyArray
    longitude: NumpyArray

    @property
    def northing(self) -> NumpyArray:
        """Metres north of the last row, for each row."""
        middles = (self.latitude[1:] + self.latitude[:-1]) / 2
        steps = np.diff(self.latitude) * metres_per_degree(middles)[0]
        from_first = np.concatenate([[0.0], np.cumsum(steps)])
        northing: NumpyArray = from_first - from_first[-1]
        return northing

    @property
    def east_steps(self) -> NumpyArray:
        """Metres between neighbours in a row, for each row."""
        degrees = (self.longitude[-1] - self.longitude[0]) / (self.longitude.size - 1)
        steps: NumpyArray = degrees * metres_per_degree(self.latitude)[1]
        return steps

    @property
    def extent(self) -> tuple[float, float]:
        """Kilometres from north to south, and from west to east along the middle row."""
        middle = self.east_steps[self.latitude.size // 2]
        return float(self.northing[0]) / 1e3, float(middle) * (self.longitude.size - 1) / 1e3


def load_elevation() -> Elevation:
    """Load the elevation model of the Jacksboro fault that ships with matplotlib.

    Raises
    ------
    FileError
        If matplotlib or its sample data is not installed.
    """
    cbook = import_matplotlib("matplotlib.cbook")
    try:
        with cbook.get_sample_data(ELEVATION_FILE) as file:
            heights = np.asarray(file["elevation"])
            edges = [float(file[name]) for name in ("ymin", "ymax", "xmin", "xmax")]
            steps = [float(file[name]) for name in ("dy", "dx")]
    except OSError as error:
        raise FileError(
            f"matplotlib's sample data {ELEVATION_FILE} cannot be read ({error}); "
            "install matplotlib from PyPI, which brings it: pip install matplotlib"
        ) from error
    # The edges are half a step outside of the samples, and the northern one is called ymin.
    rows, columns = (np.arange(n) + 0.5 for n in heights.shape)
    return Elevation(heights, max(edges[:2]) - steps[0] * rows, min(edges[2:]) + steps[1] * columns)


def metres_per_degree(latitude: Any) -> tuple[Any, Any]:
    """Return the length of a degree of latitude and of a degree of longitude, in metres.

    On the WGS84 ellipsoid: J. P. Snyder, *Map Projections: A Working Manual*, U.S. Geological
    Survey Professional Paper 1395, 1987, equations 4-18 to 4-21.

    Examples
    --------
    >>> from gpugrad._cli.demo import metres_per_degree
    >>> [round(float(metres)) for metres in metres_per_degree(0.0)]
    [110574, 111319]
    """
    semi_major, flattening = 6378137.0, 1 / 298.257223563
    eccentricity2 = flattening * (2 - flattening)
    phi = np.radians(latitude)
    shrink = 1 - eccentricity2 * np.sin(phi) ** 2
    meridian = semi_major * (1 - eccentricity2) / shrink**1.5
    parallel = semi_major * np.cos(phi) / np.sqrt(shrink)
    return np.radians(meridian), np.radians(parallel)


def slope_and_aspect(heights: Array, northing: Any, east_steps: Any) -> tuple[Array, Array]:
    r"""Compute how steep a terrain is, and which way it faces, in degrees.

    Arguments are as in `Elevation`, of any library. Aspect is the compass direction of the
    steepest descent, 0 <= aspect < 360; NaN where the terrain is flat.

    Notes
    -----
    With the derivatives :math:`z_e` and :math:`z_n` of the height to the east and to the north,
    slope is :math:`\arctan\sqrt{z_e^2 + z_n^2}` and aspect :math:`\mathrm{atan2}(-z_e, -z_n)`.
    """
    xp = array_namespace(heights)
    to_north, per_column = gpugrad.gradient(heights, northing, 1.0, edge_order=2)
    # A step to the east has another length in every row, so its metres divide afterwards.
    to_east = per_column / xp.asarray(east_steps, dtype=per_column.dtype)[:, None]
    steepness = xp.sqrt(to_east**2 + to_north**2)
    bearing = xp.remainder(xp.atan2(-to_east, -to_north) * (180 / math.pi), 360.0)
    # The remainder of a tiny negative angle rounds to 360 itself.
    bearing = xp.where(bearing >= 360, xp.zeros_like(bearing), bearing)
    aspect = xp.where(steepness > 0, bearing, xp.full_like(bearing, float("nan")))
    return xp.atan(steepness) * (180 / math.pi), aspect


def hillshade(slope: Array, aspect: Array) -> Array:
    """Compute how bright a matt terrain is: the cosine between light and normal, 0 in the shade."""
    xp = array_namespace(slope)
    slope = slope * (math.pi / 180)
    aspect = xp.where(xp.isnan(aspect), xp.zeros_like(aspect), aspect) * (math.pi / 180)
    altitude, azimuth = math.radians(SUN_ALTITUDE), math.radians(SUN_AZIMUTH)
    facing = xp.cos(aspect - azimuth)
    light = math.sin(altitude) * xp.cos(slope) + math.cos(altitude) * xp.sin(slope) * facing
    return xp.where(light > 0, light, xp.zeros_like(light))


def print_terrain(elevation: Elevation, slope: NumpyArray) -> None:
    """Print what was loaded, its steps in metres, and how steep it is."""
    rows, columns = elevation.heights.shape
    height, width = elevation.extent
    north, east = -np.diff(elevation.northing), elevation.east_steps
    print(
        f"{ELEVATION_FILE}, the elevation model that ships with matplotlib\n"
        f"  field             {rows} x {columns}, {elevation.heights.dtype}, metres\n"
        f"  size              {height:.1f} km north-south, {width:.1f} km east-west\n"
        f"  north-south step  {north[0]:.3f} m at the north edge, {north[-1]:.3f} m at the south\n"
        f"  east-west step    {east[0]:.3f} m at the north edge, {east[-1]:.3f} m at the south\n"
        f"  slope             min {slope.min():.2f}, mean {slope.mean():.2f}, "
        f"max {slope.max():.2f} degrees\n"
    )


def compare_terrain(elevation: Elevation, xp: ModuleType) -> bool:
    """Compare with numpy on the elevation model and on a large field, and print both."""
    heights = elevation.heights
    tiled = np.tile(heights.astype(np.float32), TILES)
    steps = float(-np.diff(elevation.northing).mean()), float(elevation.east_steps.mean())
    print("Against numpy.gradient: both axes, edge_order=2, medians of calls made in turn")
    print(f"  {'':<40}{'same bits':<11}{'numpy':>10}{'gpugrad':>12}{'numpy/gpugrad':>16}")
    is_equal = [
        compare("elevation model", heights, elevation.northing, 1.0, xp=xp, repeats=25),
        compare("the same, tiled", tiled, *steps, xp=xp, repeats=5),
    ]
    print("  The elevation model is small; speed matters for fields like the tiled one.")
    return all(is_equal)


def compare(label: str, f: NumpyArray, *spacing: Any, xp: ModuleType, repeats: int) -> bool:
    """Differentiate with numpy, and with gpugrad on `xp`: print a row, tell if bits are equal."""
    field = xp.asarray(f)
    by_numpy = partial(np.gradient, f, *spacing, edge_order=2)
    by_gpugrad = partial(gpugrad.gradient, field, *spacing, edge_order=2)
    pairs = zip(by_numpy(), by_gpugrad(), strict=True)
    is_equal = [same_bits(expected, gpugrad.asnumpy(df)) for expected, df in pairs]
    times = [(_seconds(by_numpy), _seconds(by_gpugrad)) for _ in range(repeats)]
    numpy_seconds, gpugrad_seconds = map(median, zip(*times, strict=True))
    field_name = f"{label}, {' x '.join(map(str, f.shape))} {f.dtype}"
    answers = ", ".join("yes" if axis else "NO" for axis in is_equal)
    print(
        f"  {field_name:<40}{answers:<11}{numpy_seconds * 1e3:>7.2f} ms"
        f"{gpugrad_seconds * 1e3:>9.2f} ms{numpy_seconds / gpugrad_seconds:>16.1f}"
    )
    return all(is_equal)


def same_bits(a: NumpyArray, b: NumpyArray) -> bool:
    """Tell whether two NumPy arrays agree in shape, dtype and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    # A device works on after the call; reading one value waits for it.
    for result in call():
        gpugrad.asnumpy(result[-1:, -1:])
    return time.perf_counter() - start


def draw(elevation: Elevation, slope: Array, aspect: Array, output: Path) -> None:
    """Draw relief, slope and aspect side by side, in kilometres."""
    color_maps = import_matplotlib("matplotlib.colors").LinearSegmentedColormap
    figure = import_matplotlib("matplotlib.figure").Figure((12, 5.7), layout="constrained")
    figure.suptitle(
        "The Jacksboro fault: slope and aspect from one call of gpugrad.gradient", fontsize=15
    )
    height, width = elevation.extent

    def draw_map(axes: Any, values: NumpyArray, colors: Any, title: str, label: str) -> Any:
        extent = (0, width, 0, height)
        image = axes.imshow(values, cmap=colors, extent=extent, interpolation="none")
        axes.set_title(title, fontsize=13)
        axes.set_xlabel("km east")
        figure.colorbar(
            image, ax=axes, location="bottom", label=label, shrink=0.94, aspect=28, pad=0.02,
            extend="max" if values is slope else "neither",
        )  # fmt: skip
        return image

    light = gpugrad.asnumpy(hillshade(slope, aspect))
    slope, aspect = gpugrad.asnumpy(slope), gpugrad.asnumpy(aspect)
    relief, steepness, facing = figure.subplots(1, 3, sharey=True)
    relief.set_ylabel("km north")

    tint = color_maps.from_list("terrain", TERRAIN)
    image = draw_map(relief, elevation.heights, tint, "Relief", "elevation (m)")
    strength = (light / np.sin(np.radians(SUN_ALTITUDE)))[..., None]  # 1 where the terrain is flat
    image.set_data(np.clip(image.to_rgba(elevation.heights)[..., :3] * strength**1.3, 0, 1))

    image = draw_map(steepness, slope, "magma", "Slope", "slope (degrees)")
    image.set_clim(0, float(np.percentile(slope, 99.8)))

    wheel = color_maps.from_list("compass", COMPASS_COLORS)
    image = draw_map(facing, aspect, wheel, "Aspect", "the slope faces (paler where gentle)")
    image.set_clim(0, 360)
    image.colorbar.set_ticks(np.arange(0, 361, 45).tolist(), labels=COMPASS)
    weight = np.clip(slope / 12.0, 0, 1)[..., None]  # of gentle slopes the aspect is mostly noise
    image.set_data(weight * image.to_rgba(aspect)[..., :3] + (1 - weight))
    try:
        figure.savefig(output, dpi=150)
    except (OSError, ValueError) as error:
        raise FileError(f"the picture cannot be written to {output}: {error}") from error
