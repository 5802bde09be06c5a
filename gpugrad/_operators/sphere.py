"""Fields on a sphere, on grids of latitude and longitude: derivatives per unit of length.

The grid is singular at the poles, the field is not. Where the longitudes go round, meridians are
continued over a pole by the meridian on the other side; and at a pole itself the gradient is one
vector, found from all meridians, whose components are given for each of them. Vector fields are
differentiated as three Cartesian components, each a scalar field that is smooth at the poles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpugrad._arrays import Array, as_field, deliver
from gpugrad._grids import parse_positive
from gpugrad._labels import accepts_labels
from gpugrad._operators.components import as_components, match_library
from gpugrad._operators.sphere_grid import make_sphere_grid

EARTH = 6_371_000.0
"""The mean radius of the Earth, in metres."""


@accepts_labels
def spherical_gradient(
    f: Any,
    latitude: Any = None,
    longitude: Any = None,
    *,
    radius: float = EARTH,
    degrees: bool = True,
    axis: tuple[int, int] = (-2, -1),
    periodic: bool | None = None,
    accuracy: int = 2,
    edge_accuracy: int | None = None,
    out: Any = None,
    stack: bool = False,
    backend: str | None = None,
) -> Array | tuple[Array, ...]:
    r"""Return the gradient of a field on latitudes and longitudes: to the north, to the east.

    Parameters
    ----------
    f : array of shape (..., n_latitudes, n_longitudes)
        Samples of a scalar field, of any kind of numbers that `gradient` takes.
    latitude, longitude : array of shape (n_latitudes,), (n_longitudes,), or both of both
        Where the samples lie, positive to the north and to the east; values on the host. 1-D ones
        in either direction, evenly or not (Gaussian grids), longitudes from any meridian on. 2-D
        ones for curved grids (rotated poles, satellite swaths, ocean models). They may be left
        out for a DataArray of xarray that has them as coordinates.
    radius : number, optional
        That of the sphere, by default the Earth's mean radius in metres.
    degrees : bool, optional
        Whether latitudes and longitudes are in degrees, or else in radians.
    axis : pair of int, optional
        The axes of latitude and of longitude, by default the last two.
    periodic : bool, optional
        Whether the longitudes go round. By default they do if the first follows the last at a
        distance like the others; on 2-D coordinates they don't.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The power of the spacing with which the error vanishes.
    edge_accuracy : int, optional
        The same at the edges of a region, by default `accuracy`.
    out : pair of arrays, optional
        Where to write, or with `stack` one array of shape (2, ...). May overlap with `f`.
    stack : bool, optional
        Return one array, the components on a new leading axis, instead of a pair.
    backend : str, optional
        Where the arithmetic runs, see `use_backend`.

    Returns
    -------
    north, east : arrays of the shape of `f`
        The components of the gradient, in the unit of `f` per unit of `radius`. Library, device
        and dtype are as for `gradient`.

    Raises
    ------
    TypeError
        If latitudes or longitudes are no numbers, or their values are not on the host.
    ValueError
        If their lengths do not match, if latitudes lie beyond a pole or are not monotonic, if
        longitudes go round more than once or repeat the first one, if an axis is too short.

    Notes
    -----
    With latitude :math:`\varphi`, longitude :math:`\lambda` and radius :math:`R`

    .. math::

        \nabla f = \frac{1}{R} \frac{\partial f}{\partial \varphi} e_n
            + \frac{1}{R \cos\varphi} \frac{\partial f}{\partial \lambda} e_e

    Where longitudes go round evenly, an even number of them, formulas near a pole go on beyond
    it on the meridian at the other side: no accuracy is lost there. In a row at a pole the
    components are those of one vector, :math:`g \cdot e_n(\lambda)` and :math:`g \cdot
    e_e(\lambda)`, found from the derivatives along all meridians. Where longitudes do not go
    round, or unevenly, the eastward component at a pole is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> latitude, longitude = np.linspace(-90, 90, 37), np.arange(0, 360, 5.0)
    >>> f = np.sin(np.radians(latitude))[:, None] * np.ones(72)  # rises from pole to pole
    >>> north, east = gpugrad.spherical_gradient(f, latitude, longitude, radius=1.0)
    >>> north[[0, 18, 36], 0].round(2) + 0.0
    array([0., 1., 0.])
    """
    f = as_field(f)
    grid = make_sphere_grid(f, latitude, longitude, degrees, axis, periodic)
    radius = parse_positive(radius, "radius", "a number")
    results = grid.gradient(f, radius, (accuracy, edge_accuracy), backend)
    return deliver(results, f, out, stack)


@accepts_labels
def spherical_divergence(
    v: Any,
    latitude: Any = None,
    longitude: Any = None,
    *,
    radius: float = EARTH,
    degrees: bool = True,
    axis: tuple[int, int] = (-2, -1),
    periodic: bool | None = None,
    accuracy: int = 2,
    edge_accuracy: int | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Return the divergence of a vector field along a sphere.

    Parameters
    ----------
    v : pair of arrays of shape (..., n_latitudes, n_longitudes)
        The components to the north and to the east, in this order, as `spherical_gradient`
        returns them: for winds ``(v, u)``.
    latitude, longitude, radius, degrees, axis, periodic, accuracy, edge_accuracy, backend
        As for `spherical_gradient`.
    out : array, optional
        Where to write, an array of the shape of a component.

    Returns
    -------
    array of shape (..., n_latitudes, n_longitudes)
        The divergence, in the unit of `v` per unit of `radius`.

    Raises
    ------
    TypeError, ValueError
        As for `spherical_gradient`, or if there are not two components alike.

    Notes
    -----
    .. math::

        \operatorname{div} v = \frac{1}{R \cos\varphi} \left(
            \frac{\partial v_e}{\partial \lambda}
            + \frac{\partial (v_n \cos\varphi)}{\partial \varphi} \right)
            = e_n \cdot \partial_n v + e_e \cdot \partial_e v

    taken in the second form, of the vector in Cartesian components: so it is as accurate at the
    poles as elsewhere. The Laplacian of a field is the divergence of its `spherical_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> latitude, longitude = np.linspace(-88, 88, 45), np.arange(0, 360, 4.0)
    >>> f = np.sin(np.radians(latitude))[:, None] * np.ones(90)
    >>> grid = dict(latitude=latitude, longitude=longitude, radius=1.0, accuracy=4)
    >>> laplacian = gpugrad.spherical_divergence(gpugrad.spherical_gradient(f, **grid), **grid)
    >>> bool(np.allclose(laplacian, -2 * f, atol=1e-3))  # of degree 1: -1 * (1 + 1)
    True
    """
    options = (radius, degrees, axis, periodic, (accuracy, edge_accuracy), backend)
    f, rows = _differentiate_vector(v, latitude, longitude, *options)
    x, y, z = (n * d_n + e * d_e for n, e, d_n, d_e in rows)
    return deliver([x + y + z], f, out, False)[0]


@accepts_labels
def spherical_curl(
    v: Any,
    latitude: Any = None,
    longitude: Any = None,
    *,
    radius: float = EARTH,
    degrees: bool = True,
    axis: tuple[int, int] = (-2, -1),
    periodic: bool | None = None,
    accuracy: int = 2,
    edge_accuracy: int | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Return the vertical component of the curl of a vector field along a sphere.

    For winds it is the relative vorticity, positive for a rotation that is
    counter-clockwise seen from above.

    Parameters
    ----------
    v : pair of arrays of shape (..., n_latitudes, n_longitudes)
        The components to the north and to the east, in this order: for winds ``(v, u)``.
    latitude, longitude, radius, degrees, axis, periodic, accuracy, edge_accuracy, out, backend
        As for `spherical_divergence`.

    Returns
    -------
    array of shape (..., n_latitudes, n_longitudes)
        The vertical component, in the unit of `v` per unit of `radius`.

    Raises
    ------
    TypeError, ValueError
        As for `spherical_divergence`.

    Notes
    -----
    .. math::

        e_r \cdot \operatorname{curl} v = \frac{1}{R \cos\varphi} \left(
            \frac{\partial v_n}{\partial \lambda}
            - \frac{\partial (v_e \cos\varphi)}{\partial \varphi} \right)
            = e_n \cdot \partial_e v - e_e \cdot \partial_n v

    taken in the second form, as in `spherical_divergence`.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> latitude, longitude = np.linspace(-90, 90, 46), np.arange(0, 360, 4.0)
    >>> u = np.cos(np.radians(latitude))[:, None] * np.ones(90)  # a solid body turning
    >>> curl = gpugrad.spherical_curl((0 * u, u), latitude, longitude, radius=1.0)
    >>> curl[[0, -1], 0].round(2)
    array([-2.,  2.])
    """
    options = (radius, degrees, axis, periodic, (accuracy, edge_accuracy), backend)
    f, rows = _differentiate_vector(v, latitude, longitude, *options)
    x, y, z = (n * d_e - e * d_n for n, e, d_n, d_e in rows)
    return deliver([x + y + z], f, out, False)[0]


def _differentiate_vector(
    v: Any,
    latitude: Any,
    longitude: Any,
    radius: Any,
    degrees: bool,
    axis: Any,
    periodic: bool | None,
    accuracies: tuple[Any, Any],
    backend: str | None,
) -> tuple[Array, Iterator[tuple[Array, ...]]]:
    """Return a component and, for each Cartesian direction, what the operators are made of.

    This is the unit vectors' components in the direction, to the north and to the east, and the
    derivatives of the field's component.
    """
    fields = as_components(v)
    if len(fields) != 2:
        raise ValueError(
            "`v` must have two components, to the north and to the east; got "
            f"{len(fields)}. Pass winds as `(v, u)`."
        )
    grid = make_sphere_grid(fields[0], latitude, longitude, degrees, axis, periodic)
    # Integers times floats are not for all libraries.
    north, east = deliver(fields, fields[0], None, False)
    radius = parse_positive(radius, "radius", "a number")

    def differentiate(n: Array, e: Array) -> tuple[Array, ...]:
        n, e = match_library(n, north), match_library(e, north)
        return n, e, *grid.gradient(n * north + e * east, radius, accuracies, backend)

    return fields[0], map(differentiate, *grid.unit_vectors())
