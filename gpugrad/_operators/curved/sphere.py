"""Fields on a sphere, on grids of latitude and longitude: derivatives per unit of length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, Generic, Literal, NamedTuple, ParamSpec, TypeVar, overload

import numpy as np

from gpugrad._arrays import Array, Backend, as_field, library_of_labels
from gpugrad._engines.slices import combine
from gpugrad._grids import Axis, Options, parse_axes, parse_positive, parse_scheme
from gpugrad._keywords import accepts_keywords, answer_error
from gpugrad._operators.components import as_components, drop_offset
from gpugrad._operators.curved.coordinates import is_labelled
from gpugrad._operators.curved.curved_fields import CurvedGrid
from gpugrad._operators.curved.descriptions import describe_method
from gpugrad._operators.curved.kept_arrays import KeptArrays
from gpugrad._operators.curved.prepared_slabs import (
    PreparedMethod,
    find_kind,
    list_fields,
    make_store,
)
from gpugrad._operators.curved.requests import GridRequest
from gpugrad._operators.curved.slabs import evaluate_in_slabs
from gpugrad._operators.curved.sphere_fields import (
    CurvedSphereFields,
    SphereFields,
    make_curved_grid,
)
from gpugrad._operators.curved.sphere_grid import SphereGrid, make_sphere_grid, read_angles
from gpugrad._operators.curved.sphere_vectors import FieldsOnSphere
from gpugrad._operators.descriptions import OUT
from gpugrad._operators.samples import MaskedFields

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")

EARTH = 6_371_000.0
"""The mean radius of the Earth, in metres."""


def _accepts_components(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method take `u` and `v` by keyword alone, and answer words that are not ours."""
    name = method.__name__

    @wraps(method)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            if len(arguments) > 1 or options.get("u") is None or options.get("v") is None:
                raise TypeError(
                    f"`{name}` takes the components by keyword, `u` to the east and `v` to the "
                    f"north, as in `sphere.{name}(u=u, v=v)`: in another order they would give a "
                    "wrong result."
                )
            return method(*arguments, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            answer_error(method, arguments[:1], options, error)
            raise

    return call


class SphereGradient(NamedTuple, Generic[A]):
    """The gradient of a field on a sphere: a pair ``(north, east)``.

    It is a named tuple. Note the order of the components: it is the order of latitude and
    longitude, while the components of winds are usually given as eastward, northward.

    Parameters
    ----------
    north : array of the shape of the field
        The northward derivative, in the unit of the field per unit of the radius.
    east : array of the shape of the field
        The eastward derivative, in the same unit.

    See Also
    --------
    Sphere.gradient : Returns a `SphereGradient`.
    Sphere.divergence, Sphere.curl : Take components by name.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> grid = gpugrad.Sphere([10.0, 20.0, 30.0], [0.0, 10.0, 20.0], radius=1.0)
    >>> gradient = grid.gradient(np.ones((3, 3)))
    >>> north, east = gradient
    >>> gradient.east is east
    True
    """

    north: A
    east: A


class Sphere:
    r"""A grid of latitudes and longitudes on a sphere, with or without the poles.

    The methods of a grid differentiate fields on it, such as those of weather, ocean and climate,
    per metre or per another unit of length. They take into account that meridians converge towards
    the poles, so that a degree of longitude is shorter there than at the equator.

    Parameters
    ----------
    latitude, longitude : 1-D arrays, or 2-D arrays of shape (n_latitudes, n_longitudes)
        The coordinates of the samples, positive northward and eastward, in host memory. 1-D
        coordinates may increase or decrease, evenly or not (as in Gaussian grids), and longitudes
        may start at any meridian. Curved grids (rotated poles, satellite swaths, ocean models) have
        2-D coordinates of shape (n_latitudes, n_longitudes). Quantities, DataArrays of xarray and
        names of coordinates of a DataArray are accepted, too. For fields that are DataArrays, both
        may be left out: they are then found among the coordinates of each field.
    radius : number or quantity, optional
        The radius of the sphere. Derivatives are per unit of the radius. By default the mean radius
        of the Earth in metres.
    degrees : bool, optional
        Whether latitudes and longitudes are in degrees (True, the default) or in radians. If a
        coordinate has units, the units are used instead.
    axis : pair of int or str, optional
        The axes of latitude and longitude in the fields, by default the last two axes. For
        DataArrays, by default the dimensions of the coordinates.
    periodic : bool, optional
        Whether the longitudes cover a full circle. By default they do if the distance from the last
        longitude to the first is like the other distances; 2-D coordinates by default do not.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The order of accuracy: the error is proportional to this power of the spacing. By default 2.
    edge_accuracy : int, optional
        The order of accuracy at the edges of a region, by default `accuracy`.

    Attributes
    ----------
    latitude, longitude, radius, degrees, axis, periodic, accuracy, edge_accuracy
        The arguments, as they were given.

    Raises
    ------
    TypeError
        If latitudes or longitudes are not real numbers, or are not in host memory.
    ValueError
        If the unit of a coordinate is not a unit of angle; if latitudes lie beyond a pole or are
        not monotonic; if longitudes cover more than a full circle or repeat the first one; if
        coordinates are masked or not finite.

    See Also
    --------
    CurvilinearGrid : A curved grid in space, given by the coordinates of all its samples.
    gradient : The gradient on straight axes.

    Notes
    -----
    With latitude :math:`\varphi`, longitude :math:`\lambda` and radius :math:`R`, the gradient is

    .. math::

        \nabla f = \frac{1}{R} \frac{\partial f}{\partial \varphi} e_n
            + \frac{1}{R \cos\varphi} \frac{\partial f}{\partial \lambda} e_e

    If an even number of evenly spaced longitudes covers a full circle, the formulas near a pole use
    samples beyond the pole, on the opposite meridian, and no accuracy is lost there. In a row of
    samples at a pole, the components are those of a single vector :math:`g`, namely
    :math:`g \cdot e_n(\lambda)` and :math:`g \cdot e_e(\lambda)`; the vector is found from the
    derivatives along all meridians. If the longitudes are uneven or do not cover a full circle, the
    eastward component at a pole is NaN. In a row of samples at a pole, results that depend on a
    masked sample are NaN, too.

    Quantities that depend on the coordinates alone are computed once and kept for all fields.

    Examples
    --------
    A field that increases from the south pole to the north pole, on a sphere of radius 1. Its
    gradient is zero at the poles and 1 at the equator, and its Laplacian is -2 times the field:

    >>> import numpy as np
    >>> import gpugrad
    >>> latitude, longitude = np.linspace(-90, 90, 37), np.arange(0, 360, 5.0)
    >>> sphere = gpugrad.Sphere(latitude, longitude, radius=1.0, accuracy=4)
    >>> sphere
    Sphere of 37 x 72 samples, latitudes -90 to 90, longitudes 0 to 355 (radius=1.0, accuracy=4)
    >>> f = np.sin(np.radians(latitude))[:, None] * np.ones(72)
    >>> north, east = sphere.gradient(f)
    >>> north[[0, 18, 36], 0].round(2) + 0.0
    array([0., 1., 0.])
    >>> bool(np.allclose(sphere.laplacian(f), -2 * f, atol=1e-4))
    True
    """

    latitude: Any
    longitude: Any
    radius: Any
    degrees: bool
    axis: Sequence[Axis]
    periodic: bool | None
    accuracy: int
    edge_accuracy: int | None

    @accepts_keywords
    def __init__(
        self,
        latitude: Any = None,
        longitude: Any = None,
        *,
        radius: Any = EARTH,
        degrees: bool = True,
        axis: Sequence[Axis] = (-2, -1),
        periodic: bool | None = None,
        accuracy: int = 2,
        edge_accuracy: int | None = None,
    ) -> None:
        self.latitude, self.longitude = latitude, longitude
        self.radius, self.degrees = radius, degrees
        self.axis = tuple(axis) if isinstance(axis, list) else axis
        self.periodic, self.accuracy, self.edge_accuracy = periodic, accuracy, edge_accuracy
        self._length, self._radius = _read_radius(radius)
        parse_scheme(Options(1, accuracy, edge_accuracy))
        self._accuracies = accuracy, accuracy if edge_accuracy is None else edge_accuracy
        if not isinstance(self.axis, tuple) or len(self.axis) != 2:
            raise ValueError(f"`axis` must name two axes, of latitude and longitude; got {axis!r}.")
        self._kept = KeptArrays()
        self._prepared = make_store()
        self._located: Any = None  # the last grid of a DataArray
        self._grid: SphereGrid | None = None
        if not any(x is None or isinstance(x, str) for x in (latitude, longitude)):
            phi = read_angles(latitude, "latitude", degrees)
            self._grid = make_sphere_grid(
                phi, read_angles(longitude, "longitude", degrees), periodic
            )
        self._curved: CurvedGrid | None = None
        if self._grid is not None and self._grid.is_curved:
            self._curved = make_curved_grid(self._grid, self._radius, self._accuracies)

    @overload
    def gradient(
        self,
        f: A,
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> SphereGradient[A]: ...

    @overload
    def gradient(
        self,
        f: A,
        *,
        out: Any = None,
        stack: Literal[True],
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @accepts_keywords
    @describe_method("sphere", out=OUT["each"])
    def gradient(
        self,
        f: Any,
        *,
        out: Any = None,
        stack: bool = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> Any:
        """Return the northward and the eastward derivative of a field.

        On a map of temperature or pressure, for example, they give the direction in which the field
        increases, and by how much per unit of length.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        SphereGradient of two arrays of the shape of `f`, or array
            The components ``(north, east)``, in the unit of `f` per unit of the radius, with the
            library, device and dtype of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient_norm : The length of the gradient.
        laplacian : The divergence of the gradient.
        gpugrad.gradient : The gradient on straight axes.

        Examples
        --------
        The slope of the latitude itself, in radians per metre on the Earth:

        >>> import numpy as np
        >>> import gpugrad
        >>> latitude, longitude = np.linspace(30, 60, 4), np.arange(0, 40, 10.0)
        >>> sphere = gpugrad.Sphere(latitude, longitude)
        >>> slope = sphere.gradient(np.radians(latitude)[:, None] + np.zeros(4)).north
        >>> f"{slope[0, 0]:.4e} per metre"
        '1.5696e-07 per metre'
        """
        results = self._call("gradient", f, GridRequest(out, stack, where, skipna, backend))
        return results if stack else SphereGradient(*results)

    @accepts_keywords
    @describe_method("sphere", type_errors="; if `f` holds dates, which have no squares")
    def gradient_norm(
        self,
        f: A,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        """Return the length of the gradient of a field, such as the slope of a terrain.

        It tells how steep a field is in the direction of steepest ascent: it is large at coasts and
        fronts, for example.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            The length of the gradient, real and not negative, in the unit of `f` per unit of the
            radius, with the library, device and precision of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The northward and the eastward component.
        gpugrad.gradient_norm : The length of the gradient on straight axes.

        Examples
        --------
        The steepness of the sine of the latitude is the cosine of the latitude:

        >>> import numpy as np
        >>> import gpugrad
        >>> latitude, longitude = np.linspace(-90, 90, 37), np.arange(0, 360, 5.0)
        >>> sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
        >>> phi = np.radians(latitude)
        >>> slope = sphere.gradient_norm(np.sin(phi)[:, None] * np.ones(72))
        >>> bool(np.allclose(slope[:, 0], np.cos(phi), atol=2e-3))
        True
        """
        result: A = self._call("gradient_norm", f, GridRequest(out, False, where, skipna, backend))
        return result

    @_accepts_components
    @describe_method("sphere")
    def divergence(
        self,
        *,
        u: A,
        v: A,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        r"""Return the divergence of a vector field along the sphere.

        The divergence is the net outflow per unit of area. The divergence of winds is positive
        where air spreads and negative where it converges.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of a component
            The divergence, in the unit of the components per unit of the radius, with their
            library, device and dtype. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        curl : The rotation of a vector field.
        gradient : The derivatives of a scalar field.
        gpugrad.divergence : The divergence on straight axes.

        Notes
        -----
        .. math::

            \operatorname{div} w = \frac{1}{R \cos\varphi} \left(
                \frac{\partial u}{\partial \lambda}
                + \frac{\partial (v \cos\varphi)}{\partial \varphi} \right)
                = e_n \cdot \partial_n w + e_e \cdot \partial_e w

        The second form is computed, with the vector :math:`w` in Cartesian components. So the
        result is as accurate at the poles as elsewhere.

        Examples
        --------
        The divergence of a flow towards the north pole:

        >>> import numpy as np
        >>> import gpugrad
        >>> latitude, longitude = np.linspace(-88, 88, 45), np.arange(0, 360, 4.0)
        >>> sphere = gpugrad.Sphere(latitude, longitude, radius=1.0)
        >>> v = np.cos(np.radians(latitude))[:, None] * np.ones(90)
        >>> divergence = sphere.divergence(u=0 * v, v=v)
        >>> bool(np.allclose(divergence[:, 0], -2 * np.sin(np.radians(latitude)), atol=5e-3))
        True
        """
        result: A = self._call(
            "divergence", [v, u], GridRequest(out, False, where, skipna, backend)
        )
        return result

    @_accepts_components
    @describe_method("sphere")
    def curl(
        self,
        *,
        u: A,
        v: A,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        r"""Return the vertical component of the curl of a vector field along the sphere.

        The curl of winds is the relative vorticity. It is positive where the rotation is
        counter-clockwise, seen from above.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of a component
            The vertical component, in the unit of the components per unit of the radius, with their
            library, device and dtype. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        divergence : The net outflow of a vector field.
        gpugrad.curl : The curl on straight axes.

        Notes
        -----
        .. math::

            e_r \cdot \operatorname{curl} w = \frac{1}{R \cos\varphi} \left(
                \frac{\partial v}{\partial \lambda}
                - \frac{\partial (u \cos\varphi)}{\partial \varphi} \right)
                = e_n \cdot \partial_e w - e_e \cdot \partial_n w

        The second form is computed, as in `divergence`.

        Examples
        --------
        The winds of a solid-body rotation; the curl at the two poles:

        >>> import numpy as np
        >>> import gpugrad
        >>> latitude, longitude = np.linspace(-90, 90, 46), np.arange(0, 360, 4.0)
        >>> u = np.cos(np.radians(latitude))[:, None] * np.ones(90)
        >>> curl = gpugrad.Sphere(latitude, longitude, radius=1.0).curl(u=u, v=0 * u)
        >>> curl[[0, -1], 0].round(2)
        array([-2.,  2.])
        """
        result: A = self._call("curl", [v, u], GridRequest(out, False, where, skipna, backend))
        return result

    @accepts_keywords
    @describe_method("sphere")
    def laplacian(
        self,
        f: A,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        r"""Return the Laplacian of a field along the sphere, by compact second differences.

        The Laplacian compares a field with its surroundings: it is positive where the field is
        below the mean of its neighbourhood.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            The Laplacian, in the unit of `f` per squared unit of the radius, with the library,
            device and dtype of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The first derivatives.
        gpugrad.laplacian : The Laplacian on straight axes.

        Notes
        -----
        Away from the poles the Laplacian is

        .. math::

            \nabla^2 f = \frac{1}{R^2} \left( \frac{\partial^2 f}{\partial \varphi^2}
                - \tan\varphi \frac{\partial f}{\partial \varphi}
                + \frac{1}{\cos^2\varphi} \frac{\partial^2 f}{\partial \lambda^2} \right)

        At a pole it is twice the mean of the second derivatives along all meridians, or NaN if the
        longitudes are uneven or do not cover a full circle.

        Next to a pole, the errors of the last two terms are divided by the distance from the pole.
        Where formulas use samples beyond the pole, they therefore have an accuracy of `accuracy` +
        2, so that the Laplacian has the accuracy `accuracy` there as well. Where meridians end at a
        pole, one power of the accuracy is lost next to it. On 2-D coordinates the formula is the
        one of `gpugrad.CurvilinearGrid`.

        Examples
        --------
        The Laplacian of a Cartesian coordinate on a sphere of radius 1 is -2 times the coordinate:

        >>> import numpy as np
        >>> import gpugrad
        >>> latitude, longitude = np.linspace(-90, 90, 37), np.arange(0, 360, 5.0)
        >>> x = np.cos(np.radians(latitude))[:, None] * np.cos(np.radians(longitude))
        >>> laplacian = gpugrad.Sphere(latitude, longitude, radius=1.0).laplacian(x)
        >>> bool(np.allclose(laplacian, -2 * x, atol=1e-4))
        True
        """
        result: A = self._call("laplacian", f, GridRequest(out, False, where, skipna, backend))
        return result

    def __repr__(self) -> str:
        options = {
            "radius": (self.radius, EARTH), "axis": (self.axis, (-2, -1)),
            "periodic": (self.periodic, None), "accuracy": (self.accuracy, 2),
            "edge_accuracy": (self.edge_accuracy, None),
        }  # fmt: skip
        words = ", ".join(f"{name}={x!r}" for name, (x, usual) in options.items() if x != usual)
        words = f" ({words})" if words else ""
        grid = self._grid
        if grid is None:
            names = [x for x in (self.latitude, self.longitude) if isinstance(x, str)]
            where = f"coordinates {' and '.join(names)}" if names else "the coordinates"
            return f"Sphere of {where} of each field{words}"
        phi, lam = np.degrees(grid.latitude), np.degrees(grid.longitude)
        ends = [phi[0, 0], phi[-1, 0], lam[0, 0], lam[0, -1]]
        if grid.is_curved:
            ends = [phi.min(), phi.max(), lam.min(), lam.max()]
        south, north, west, east = (f"{x + 0.0:.6g}" for x in ends)
        shape = " x ".join(map(str, grid.shape))
        return (
            f"Sphere of {shape} samples, latitudes {south} to {north}, longitudes {west} to {east}"
            f"{words}"
        )

    def __reduce__(self) -> Any:
        """Pickle what was given; the rest is worked out again."""
        options = {
            name: getattr(self, name)
            for name in ("radius", "degrees", "axis", "periodic", "accuracy", "edge_accuracy")
        }
        return _make, (self.latitude, self.longitude, options)

    def _at(self, latitude: Any, longitude: Any, axis: tuple[int, int]) -> Sphere:
        """Return the grid of other coordinates with the same options, kept until they change."""
        angles = [
            read_angles(x, name, self.degrees)
            for name, x in (("latitude", latitude), ("longitude", longitude))
        ]
        if self._located is not None:
            known, known_axis, sphere = self._located
            if known_axis == axis and all(map(np.array_equal, known, angles)):
                return sphere  # type: ignore[no-any-return]
        sphere = Sphere(
            *angles, radius=self._radius, degrees=False, axis=axis, periodic=self.periodic,
            accuracy=self.accuracy, edge_accuracy=self.edge_accuracy,
        )  # fmt: skip
        self._located = angles, axis, sphere
        return sphere

    def _call(self, name: str, f: Any, request: GridRequest) -> Any:
        if not is_labelled(self._length, f, request.where, request.out):
            return self._evaluate(name, f, request)
        from gpugrad._labels.grid_fields import call_on_sphere

        return call_on_sphere(self, name, f, request)

    def _evaluate(self, name: str, f: Any, request: GridRequest) -> Any:
        """Return the results of an operator on plain fields, vectors as ``(v, u)``."""
        out, stack, where, skipna, backend = request
        is_vector = name in ("divergence", "curl")
        kind = find_kind(name, self.axis, list_fields(f, not is_vector), request)
        prepared = self._prepared.find(kind) if kind else None
        if prepared:
            return prepared(list_fields(f, not is_vector))
        f = f if is_vector else drop_offset(as_field(f))
        samples = MaskedFields(
            as_components(f, names=("v", "u")) if is_vector else [f], where, skipna
        )
        axes = self._find_axes(samples.fields[0])
        fields = self._bind(samples, axes, name)
        make_formula = partial(self._make_formula, name, fields)
        count = 2 if name == "gradient" else 1
        if kind:
            shape = (2,) if name == "gradient" else ()
            method = PreparedMethod(
                make_formula, fields.main, axes, samples.fields, shape, stack,
                name == "gradient_norm",
            )  # fmt: skip
            self._prepared.keep(kind, method)
        results = evaluate_in_slabs(
            make_formula(samples), samples, fields.main, axes, count, out, stack, backend,
            name == "gradient_norm",
        )  # fmt: skip
        return results if count == 2 else results[0]

    def _bind(self, samples: MaskedFields, axes: tuple[int, int], name: str) -> FieldsOnSphere:
        if self._curved is not None:
            return CurvedSphereFields(self._curved, samples, axes, name == "laplacian")
        grid: Any = self._grid
        return SphereFields(grid, self._kept, samples, axes, self._radius, self._accuracies, name)

    def _make_formula(self, name: str, fields: FieldsOnSphere, samples: MaskedFields) -> Any:
        """Return what evaluates an operator on a slab."""
        units: Any = self._grid and self._grid.unit_vectors

        def find_length(components: list[Array]) -> list[Array]:
            return [combine(components[0], components, None)]

        return {
            "gradient": lambda slab: fields.gradient(slab, *slab.join_field(samples)),
            "gradient_norm": lambda slab: find_length(
                fields.gradient(slab, *slab.join_field(samples))
            ),
            "laplacian": lambda slab: [fields.laplacian(slab, *slab.join_field(samples))],
            "divergence": lambda slab: [fields.combine_vector(name, slab, samples, units)],
            "curl": lambda slab: [fields.combine_vector(name, slab, samples, units)],
        }[name]

    def _find_axes(self, f: Array) -> tuple[int, int]:
        """Return the axes of latitude and longitude in a field of the shape of the grid."""
        if self._grid is None:
            read_angles(self.latitude, "latitude", True)
            read_angles(self.longitude, "longitude", True)
        grid: Any = self._grid
        axes = parse_axes(self.axis, f.ndim)
        shape = tuple(f.shape[i] for i in axes)
        if shape != grid.shape:
            names = zip(("latitude", "longitude"), grid.shape, shape, strict=True)
            name, got, n = next(x for x in names if x[1] != x[2])
            are_swapped = shape == grid.shape[::-1]
            cure = (
                "Latitude and longitude look swapped: pass the latitudes first, or name the axes "
                "with `axis`, latitude first."
                if are_swapped
                else "Name the axes with `axis`, latitude first."
            )
            wanted = shape if grid.is_curved else (n,)
            raise ValueError(
                f"`{name}` must have shape {wanted} to match axes {axes} of `f`, of shape "
                f"{tuple(f.shape)}; got {grid.shape if grid.is_curved else (got,)}. {cure}"
            )
        return axes[0], axes[1]


def _make(latitude: Any, longitude: Any, options: dict[str, Any]) -> Sphere:
    return Sphere(latitude, longitude, **options)


def _read_radius(radius: Any) -> tuple[Any, float]:
    """Return the unit of the radius, with its number: "m" for the Earth's, None for a number's."""
    if library_of_labels(radius):
        from gpugrad._labels.grid_coordinates import read_radius

        length, number = read_radius(radius)
        return length, parse_positive(number, "radius", "a number")
    number = parse_positive(radius, "radius", "a number")
    return "m" if number == EARTH else None, number
