"""Terrain: a real elevation model, its steps in metres, its slope and aspect."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

import gpugrad

Array = Any
NumpyArray = np.ndarray[Any, Any]

ELEVATION_FILE = "jacksboro_fault_dem.npz"

SUN_AZIMUTH, SUN_ALTITUDE = 315.0, 45.0
"""Where the light of the relief comes from, in degrees: the north-west, as on most maps."""


class DemoError(RuntimeError):
    """The demonstration cannot run: the reason, and the cure."""


@dataclass(frozen=True)
class Elevation:
    """An elevation model on a grid of latitudes and longitudes.

    Attributes
    ----------
    heights : numpy.ndarray of shape (n_rows, n_columns), int16
        Metres above sea level; the first row is the northernmost, the first column the
        westernmost.
    latitude : numpy.ndarray of shape (n_rows,), float64
        Degrees north, decreasing.
    longitude : numpy.ndarray of shape (n_columns,), float64
        Degrees east, increasing.
    """

    heights: NumpyArray
    latitude: NumpyArray
    longitude: NumpyArray

    @property
    def northing(self) -> NumpyArray:
        """Metres north of the last row, decreasing, shape (n_rows,), float64."""
        middles = (self.latitude[1:] + self.latitude[:-1]) / 2
        steps = np.diff(self.latitude) * metres_per_degree(middles)[0]
        from_first = np.concatenate([[0.0], np.cumsum(steps)])
        northing: NumpyArray = from_first - from_first[-1]
        return northing

    @property
    def east_steps(self) -> NumpyArray:
        """Metres between neighbours of a row, shape (n_rows,), float64."""
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

    Returns
    -------
    Elevation
        344 x 403 heights in metres, int16, every 1/1200 degree.

    Raises
    ------
    DemoError
        If matplotlib or its sample data is not installed.

    Notes
    -----
    The file gives the outer edges of the grid, half a step from the first and last samples, and
    calls its northern edge ``ymin``.
    """
    cbook = import_matplotlib("matplotlib.cbook")
    try:
        with cbook.get_sample_data(ELEVATION_FILE) as file:
            heights = np.asarray(file["elevation"])
            edges = [float(file[name]) for name in ("ymin", "ymax", "xmin", "xmax")]
            steps = [float(file[name]) for name in ("dy", "dx")]
    except OSError as error:
        raise DemoError(
            f"matplotlib's sample data {ELEVATION_FILE} cannot be read ({error}); "
            "install matplotlib from PyPI, which brings it: pip install matplotlib"
        ) from error
    rows, columns = (np.arange(n) + 0.5 for n in heights.shape)
    return Elevation(
        heights,
        latitude=max(edges[:2]) - steps[0] * rows,
        longitude=min(edges[2:]) + steps[1] * columns,
    )


def metres_per_degree(latitude: Any) -> tuple[Any, Any]:
    r"""Return the length of a degree of latitude and of a degree of longitude on the Earth.

    Parameters
    ----------
    latitude : float or array
        Geodetic latitude in degrees.

    Returns
    -------
    north, east : float64 or array of the shape of `latitude`
        Metres per degree along the meridian and along the parallel.

    Notes
    -----
    On the WGS84 ellipsoid, with semi-major axis :math:`a`, flattening :math:`1/298.257223563`
    and squared eccentricity :math:`e^2`, the radius of curvature of the meridian and the radius
    of the parallel at latitude :math:`\varphi` are

    .. math::

        M = \frac{a (1 - e^2)}{(1 - e^2 \sin^2\varphi)^{3/2}}, \qquad
        N \cos\varphi = \frac{a \cos\varphi}{(1 - e^2 \sin^2\varphi)^{1/2}};

    a degree is :math:`\pi/180` of a radius.

    References
    ----------
    J. P. Snyder, *Map Projections: A Working Manual*, U.S. Geological Survey Professional Paper
    1395, 1987, equations 4-18 to 4-21.

    Examples
    --------
    >>> from gpugrad._terrain import metres_per_degree
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
    r"""Compute how steep a terrain is, and which way it faces.

    Parameters
    ----------
    heights : array of shape (n_rows, n_columns)
        Metres; rows run from west to east. Any library, any real dtype.
    northing : array of shape (n_rows,)
        The rows' distance in metres from any parallel, increasing to the north, in either order.
    east_steps : array of shape (n_rows,)
        Metres between neighbours of each row.

    Returns
    -------
    slope : array of shape (n_rows, n_columns)
        The angle of the steepest descent below the horizontal, degrees, 0 to 90.
    aspect : array of shape (n_rows, n_columns)
        The compass direction of the steepest descent, degrees clockwise from north,
        0 <= aspect < 360; NaN where the terrain is flat.

    Notes
    -----
    With the derivatives :math:`z_e` and :math:`z_n` of the height to the east and to the north,
    slope is :math:`\arctan\sqrt{z_e^2 + z_n^2}` and aspect :math:`\mathrm{atan2}(-z_e, -z_n)`.
    The second-order error of the derivatives holds up to the edges (``edge_order=2``).
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
    """Compute how bright a matt terrain is in slanting light from the north-west.

    Parameters
    ----------
    slope, aspect : array
        Degrees, as from `slope_and_aspect`.

    Returns
    -------
    array
        The cosine of the angle between the light and the normal of the terrain; 0 in the shade,
        1 where the terrain faces the light.
    """
    xp = array_namespace(slope)
    slope = slope * (math.pi / 180)
    aspect = xp.where(xp.isnan(aspect), xp.zeros_like(aspect), aspect) * (math.pi / 180)
    altitude, azimuth = math.radians(SUN_ALTITUDE), math.radians(SUN_AZIMUTH)
    facing = xp.cos(aspect - azimuth)
    light = math.sin(altitude) * xp.cos(slope) + math.cos(altitude) * xp.sin(slope) * facing
    return xp.where(light > 0, light, xp.zeros_like(light))


def import_matplotlib(module: str) -> Any:
    """Import a module of matplotlib, which gpugrad needs nowhere else.

    Raises
    ------
    DemoError
        If matplotlib is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DemoError(
            f"the demonstration takes its elevation model from matplotlib, and draws with it; "
            f'matplotlib cannot be imported ({error}). To mend it: pip install "gpugrad[demo]"'
        ) from error


def check_picture(output: str | Path) -> Path:
    """Return the path of the picture, or raise before any work is done."""
    path = Path(output)
    formats = import_matplotlib("matplotlib.figure").Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise DemoError(
            f"`--output` must end in one of .{', .'.join(sorted(formats))}; got {output}"
        )
    if path.is_dir():
        raise DemoError(f"`--output` must be a file to write; {output} is a folder")
    if not path.parent.is_dir():
        raise DemoError(f"`--output` must be in a folder that exists; there is no {path.parent}")
    return path
