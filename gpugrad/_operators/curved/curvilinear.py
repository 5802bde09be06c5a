"""Curved grids: derivatives in physical space, given where each sample lies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from numbers import Integral
from typing import Any, Literal, TypeVar, overload

import numpy as np

from gpugrad._arrays import Array, Backend, as_field, flatten_rows, require_one_place
from gpugrad._engines.slices import combine
from gpugrad._grids import (
    ONE_SIDED,
    Axes,
    Boundary,
    Options,
    is_masked,
    is_side,
    parse_axes,
    parse_scheme,
)
from gpugrad._keywords import accepts_keywords
from gpugrad._operators.components import as_components, check_count, find_shape, join_results
from gpugrad._operators.curved.coordinates import describe_samples, is_labelled
from gpugrad._operators.curved.curved_fields import CurvedFields, CurvedGrid
from gpugrad._operators.curved.descriptions import describe_grid, describe_method
from gpugrad._operators.curved.grid_arguments import (
    check_period,
    expand_position,
    join_positions,
    list_by_grid_axis,
    make_grid_axis,
    read_position,
)
from gpugrad._operators.curved.metric import Positions, check_closing
from gpugrad._operators.curved.prepared_slabs import (
    PreparedMethod,
    find_kind,
    list_fields,
    make_store,
)
from gpugrad._operators.curved.requests import GridRequest
from gpugrad._operators.curved.slabs import Slab, evaluate_in_slabs
from gpugrad._operators.descriptions import OUT
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import OPERATORS, Norm, add_up

A = TypeVar("A")

_COUNT = (
    "; if components differ in shape or device; if there is not one component for each coordinate"
)
_NO_CURL = "; if the grid has a single coordinate"
_TWO_AXES = "the results on two new leading axes"


@describe_grid
class CurvilinearGrid:
    r"""A curved grid, given by the coordinates of all its samples.

    Such a grid follows the shape of an object, such as a pipe, a wing or a coast. The methods of a
    grid return derivatives with respect to the coordinates, in whatever direction the grid lines
    run.

    Parameters
    ----------
    *coordinates : array
        The coordinates of all samples: one to three arrays, as many as the grid has axes, each of
        the shape of the grid, as `numpy.meshgrid` makes them. They may also have all axes of the
        fields, with length 1 along axes on which they do not depend. They may be in host memory, or
        arrays of the library and on the device of the fields, or quantities. For fields of xarray,
        DataArrays or names of coordinates.
    axis : tuple of int or str, optional
        The axes of the grid in the fields, by default the last ones. The operators are applied for
        each entry of the other axes.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The order of accuracy in the interior: with twice as many samples along each axis, the error
        is smaller by a factor of ``2**accuracy``. By default 2.
    edge_accuracy : int, optional
        The order of accuracy at one-sided ends. By default `accuracy`, but 1 for first derivatives
        of `accuracy` 2, as in `numpy.gradient`. The Laplacian uses `accuracy` by default.
    {boundary: help() shows this}
    period : tuple or dict, optional
        The amount by which each coordinate increases after one turn around a periodic axis: one
        number or quantity for each coordinate, or a dict of these by axis, as in ``{1: (360.0,
        0.0)}``. By default all coordinates return to their first values.

    Attributes
    ----------
    coordinates, axis, accuracy, edge_accuracy, boundary, period
        The arguments, as they were given.

    Raises
    ------
    TypeError
        If there are not one to three coordinates; if they are not real numbers, or are quantities
        of two libraries.
    ValueError
        If the coordinates do not have the same shape, with as many axes as there are coordinates;
        if coordinates are masked; if samples coincide, or grid lines of different axes are
        parallel; if an axis is too short for the accuracy; if the value of an option is unknown or
        out of range; if a boundary is a slope.

    Warns
    -----
    GpugradWarning
        If the grid folds over itself, if a coordinate jumps where a periodic axis closes, or if the
        last samples of a periodic axis repeat the first ones.

    See Also
    --------
    Sphere : A grid of latitudes and longitudes.
    gradient : The gradient on straight axes, evenly spaced or not.

    Notes
    -----
    Fields and coordinates are differentiated by the same formulas, along the axes of the array,
    with respect to the sample numbers :math:`\xi_j`. The chain rule

    .. math:: \frac{\partial f}{\partial \xi_j}
        = \sum_i \frac{\partial x_i}{\partial \xi_j} \frac{\partial f}{\partial x_i}

    is solved for the gradient at each sample. So the gradient of a field that is linear in the
    coordinates is exact, and its Laplacian is zero. Quantities that depend on the coordinates alone
    are computed once and kept for all fields. Next to a masked sample, the formulas for the field
    are one-sided, while those for the coordinates are not.

    Examples
    --------
    A ring, with a field that is linear in x and y, and with the potential :math:`\log r`, whose
    Laplacian is zero:

    >>> import numpy as np
    >>> import gpugrad
    >>> radius, angle = np.linspace(1, 2, 11)[:, None], np.arange(40) * (2 * np.pi / 40)
    >>> x, y = radius * np.cos(angle), radius * np.sin(angle)
    >>> grid = gpugrad.CurvilinearGrid(x, y, boundary={1: "periodic"}, accuracy=4)
    >>> grid
    CurvilinearGrid of 2 coordinates, 11 x 40 samples (boundary={1: 'periodic'}, accuracy=4)
    >>> d_dx, d_dy = grid.gradient(3 * x - 2 * y)
    >>> bool(np.allclose(d_dx, 3) and np.allclose(d_dy, -2))
    True
    >>> bool(np.abs(grid.laplacian(np.log(radius) + 0 * angle)).max() < 1e-2)
    True
    """

    coordinates: tuple[Any, ...]
    axis: Axes
    accuracy: int
    edge_accuracy: int | None
    boundary: Boundary
    period: Any

    @accepts_keywords
    def __init__(
        self,
        *coordinates: Any,
        axis: Axes = None,
        accuracy: int = 2,
        edge_accuracy: int | None = None,
        boundary: Boundary = ONE_SIDED,
        period: Any = None,
    ) -> None:
        if not 1 <= len(coordinates) <= 3:
            raise TypeError(
                f"a curved grid has 1, 2 or 3 coordinates; got {len(coordinates)}. Pass the "
                "coordinates of all samples one by one, as in `CurvilinearGrid(x, y)`."
            )
        self.coordinates, self.axis = coordinates, axis
        self.accuracy, self.edge_accuracy = accuracy, edge_accuracy
        self.boundary, self.period = boundary, period
        self._options = Options(1, accuracy, edge_accuracy)
        self._prepared = make_store()
        parse_scheme(self._options)
        self._located: Any = None  # the last grid of a DataArray
        self._grid: CurvedGrid | None = None
        self._lengths: Any = []  # of one unit each, where coordinates have units
        self._period = period  # without units
        by_axis = [x for x in (boundary, period) if isinstance(x, dict) and not is_side(x)]
        named = (
            *coordinates,
            *(axis if isinstance(axis, (tuple, list)) else [axis]),
            *chain(*by_axis),
        )
        if not any(isinstance(x, str) for x in named):
            values, self._lengths = self._read()
            self._grid = self._make_grid(values)

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
    ) -> Any: ...

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
    @describe_method("curves", out=OUT["each"])
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
        """Return the derivatives of a field with respect to the coordinates.

        The derivatives are those along x and y, for example. They are not those along the grid
        lines, which may run in any direction.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array or tuple of arrays
            One array for each coordinate, in the order of the coordinates and in the unit of `f`
            per unit of the coordinate: a tuple, or a single array if there is one coordinate. The
            arrays have the library, device, shape and dtype of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient_norm : The length of the gradient.
        jacobian : The derivatives of several fields.
        gpugrad.gradient : The gradient on straight axes.

        Examples
        --------
        The derivatives of x on a skewed grid:

        >>> import numpy as np
        >>> import gpugrad
        >>> x, y = np.meshgrid(np.arange(4.0), np.arange(5.0) ** 1.5, indexing="ij")
        >>> d_dx, d_dy = gpugrad.CurvilinearGrid(x, y + 0.1 * x).gradient(x)
        >>> bool(np.allclose(d_dx, 1) and np.allclose(d_dy, 0))
        True
        """
        return self._call("gradient", f, GridRequest(out, stack, where, skipna, backend))

    @accepts_keywords
    @describe_method("curves", type_errors="; if `f` holds dates, which have no squares")
    def gradient_norm(
        self,
        f: A,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        """Return the length of the gradient of a field.

        It tells how steep a field is in the direction of steepest ascent.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            The length of the gradient, real and not negative, in the unit of `f` per unit of the
            coordinates, which must all have the same unit. It has the library, device and precision
            of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The derivatives themselves.
        gpugrad.gradient_norm : The length of the gradient on straight axes.

        Examples
        --------
        The slope of a plane on a skewed grid:

        >>> import numpy as np
        >>> import gpugrad
        >>> x, y = np.meshgrid(np.arange(4.0), np.arange(3.0), indexing="ij")
        >>> grid = gpugrad.CurvilinearGrid(x + 0.5 * y, y)
        >>> grid.gradient_norm(3 * (x + 0.5 * y) + 4 * y)
        array([[5., 5., 5.],
               [5., 5., 5.],
               [5., 5., 5.],
               [5., 5., 5.]])
        """
        result: A = self._call("gradient_norm", f, GridRequest(out, False, where, skipna, backend))
        return result

    @overload
    def divergence(
        self,
        v: Sequence[A],
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @overload
    def divergence(
        self,
        v: A,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @accepts_keywords
    @describe_method("curves", value_errors=_COUNT)
    def divergence(
        self,
        v: Any,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> Any:
        r"""Return the divergence of a vector field.

        The divergence is the net outflow per unit of volume: it is positive at sources and negative
        at sinks.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of a component
            The divergence, in the unit of `v` per unit of the coordinates, which must all have the
            same unit. It has the library, device and dtype of the components. Integers become
            floats.

        {errors: help() shows this}

        See Also
        --------
        curl : The rotation of a vector field.
        jacobian : All derivatives of the components.
        gpugrad.divergence : The divergence on straight axes.

        Notes
        -----
        With coordinates :math:`x_i`, the divergence is

        .. math:: \operatorname{div} v = \sum_i \frac{\partial v_i}{\partial x_i}

        Examples
        --------
        A flow away from the centre, on a polar grid:

        >>> import numpy as np
        >>> import gpugrad
        >>> radius, angle = np.linspace(1, 2, 4)[:, None], np.linspace(0, 1, 5)
        >>> x, y = radius * np.cos(angle), radius * np.sin(angle)
        >>> divergence = gpugrad.CurvilinearGrid(x, y).divergence((x, y))
        >>> bool(np.allclose(divergence, 2))
        True
        """
        return self._call("divergence", v, GridRequest(out, False, where, skipna, backend))

    @overload
    def curl(
        self,
        v: tuple[A, A],
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @overload
    def curl(
        self,
        v: tuple[A, A, A],
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> tuple[A, A, A]: ...

    @overload
    def curl(
        self,
        v: Any,
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> Any: ...

    @overload
    def curl(
        self,
        v: Sequence[A],
        *,
        out: Any = None,
        stack: Literal[True],
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @overload
    def curl(
        self,
        v: A,
        *,
        out: Any = None,
        stack: Literal[True],
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @accepts_keywords
    @describe_method("curves", out=OUT["each"], value_errors=_COUNT + _NO_CURL)
    def curl(
        self,
        v: Any,
        *,
        out: Any = None,
        stack: bool = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> Any:
        r"""Return the curl of a vector field with two or three coordinates.

        The curl measures the rotation of the field: it is twice the angular velocity of a small
        body that is carried along by the flow.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array or tuple of arrays
            One array for two coordinates, a tuple of three arrays for three coordinates. The unit
            is the unit of `v` per unit of the coordinates, which must all have the same unit.
            Library, device and dtype are those of the components. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        divergence : The net outflow of a vector field.
        gpugrad.curl : The curl on straight axes.

        Notes
        -----
        For two coordinates :math:`x` and :math:`y`, the curl is

        .. math:: \operatorname{curl} v
            = \frac{\partial v_y}{\partial x} - \frac{\partial v_x}{\partial y}

        For three coordinates it is the vector of these differences, in the order of the
        coordinates.

        Examples
        --------
        A solid body that rotates with an angular velocity of 1 has a curl of 2:

        >>> import numpy as np
        >>> import gpugrad
        >>> radius, angle = np.linspace(1, 2, 4)[:, None], np.linspace(0, 1, 5)
        >>> x, y = radius * np.cos(angle), radius * np.sin(angle)
        >>> curl = gpugrad.CurvilinearGrid(x, y).curl((-y, x))
        >>> bool(np.allclose(curl, 2))
        True
        """
        return self._call("curl", v, GridRequest(out, stack, where, skipna, backend))

    @overload
    def jacobian(
        self,
        v: Sequence[A],
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> tuple[tuple[A, ...], ...]: ...

    @overload
    def jacobian(
        self,
        v: A,
        *,
        out: Any = None,
        stack: Literal[False] = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> tuple[tuple[A, ...], ...]: ...

    @overload
    def jacobian(
        self,
        v: Sequence[A],
        *,
        out: Any = None,
        stack: Literal[True],
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @overload
    def jacobian(
        self,
        v: A,
        *,
        out: Any = None,
        stack: Literal[True],
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A: ...

    @accepts_keywords
    @describe_method("curves", out=OUT["table"], leading=_TWO_AXES, components="any number of them")
    def jacobian(
        self,
        v: Any,
        *,
        out: Any = None,
        stack: bool = False,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> Any:
        r"""Return the derivatives of all components with respect to all coordinates.

        The Jacobian of a flow is its velocity gradient tensor. The Jacobian of a mapping tells how
        the mapping stretches and rotates the neighbourhood of each sample.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        tuple of tuples of arrays, or array
            ``result[i][j]`` is the derivative of component i with respect to coordinate j, in the
            unit of `v` per unit of the coordinate.

        {errors: help() shows this}

        See Also
        --------
        gradient : The derivatives of one field.
        divergence, curl : Sums of entries of the Jacobian, in one pass.
        gpugrad.jacobian : The Jacobian on straight axes.

        Notes
        -----
        .. math:: J_{ij} = \frac{\partial v_i}{\partial x_j}

        Examples
        --------
        The Jacobian of a linear mapping, at one sample of a skewed grid:

        >>> import numpy as np
        >>> import gpugrad
        >>> x, y = np.meshgrid(np.arange(4.0), np.arange(3.0), indexing="ij")
        >>> grid = gpugrad.CurvilinearGrid(x + 0.5 * y, y)
        >>> grid.jacobian((x + 2.5 * y, 3 * y), stack=True)[..., 1, 1]
        array([[1., 2.],
               [0., 3.]])
        """
        return self._call("jacobian", v, GridRequest(out, stack, where, skipna, backend))

    @accepts_keywords
    @describe_method("curves")
    def laplacian(
        self,
        f: A,
        *,
        out: Any = None,
        where: Any = None,
        skipna: bool = False,
        backend: Backend | None = None,
    ) -> A:
        r"""Return the Laplacian of a field, by compact second differences.

        The Laplacian compares a field with its surroundings: it is positive where the field is
        below the mean of its neighbourhood. It appears in the equation of heat conduction in a
        body, for example.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            The Laplacian, in the unit of `f` per squared unit of the coordinates, which must all
            have the same unit. It has the library, device and dtype of `f`. Integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The first derivatives.
        divergence : The net outflow of a vector field.
        gpugrad.laplacian : The Laplacian on straight axes.

        Notes
        -----
        .. math::

            \nabla^2 f = \sum_{jk} g^{jk} \frac{\partial^2 f}{\partial\xi_j \partial\xi_k}
                + \sum_j (\nabla^2 \xi_j) \frac{\partial f}{\partial\xi_j}

        with the sample numbers :math:`\xi_j`, their Laplacians, and the metric :math:`g^{jk}`. The
        metric and these Laplacians are computed from the coordinates, by the same formulas as for
        the field, and kept.

        Examples
        --------
        The Laplacian of a quadratic field on a skewed grid:

        >>> import numpy as np
        >>> import gpugrad
        >>> x, y = np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij")
        >>> grid = gpugrad.CurvilinearGrid(x + 0.5 * y, y)
        >>> bool(np.allclose(grid.laplacian((x + 0.5 * y) ** 2 - 3 * y**2), -4))
        True
        """
        result: A = self._call("laplacian", f, GridRequest(out, False, where, skipna, backend))
        return result

    def __repr__(self) -> str:
        shape = "named by the field" if self._grid is None else describe_samples(self._shape)
        options = {
            "axis": (self.axis, None), "boundary": (self.boundary, ONE_SIDED),
            "period": (self.period, None), "accuracy": (self.accuracy, 2),
            "edge_accuracy": (self.edge_accuracy, None),
        }  # fmt: skip
        changed = [f"{name}={x!r}" for name, (x, usual) in options.items() if x is not usual]
        changed = [text for text in changed if text != "accuracy=2"]
        words = f" ({', '.join(changed)})" if changed else ""
        count = len(self.coordinates)
        noun = "coordinate" if count == 1 else "coordinates"
        names = [x for x in self.coordinates if isinstance(x, str)]
        which = f"the {noun} {', '.join(names)}" if names else f"{count} {noun}"
        return f"CurvilinearGrid of {which}, {shape}{words}"

    def __reduce__(self) -> Any:
        """Pickle what was given; the metric is worked out again."""
        state = self.axis, self.accuracy, self.edge_accuracy, self.boundary, self.period
        return _make, (self.coordinates, *state)

    # From coordinates to a grid

    def _read(self) -> tuple[list[Array], Any]:
        from gpugrad._labels.grid_coordinates import strip_lengths, strip_period

        values, units = strip_lengths(self.coordinates)
        self._period = strip_period(self.period, units)
        require_one_place(values, "coordinates of a grid")
        read = [read_position(x, f"coordinate {i}") for i, x in enumerate(values)]
        return join_positions(read), units

    def _make_grid(self, xs: Sequence[Array]) -> CurvedGrid:
        """Work out a grid from coordinates, which have all axes of fields, or those of the grid."""
        count = len(xs)
        ndim = max(x.ndim for x in xs)
        if ndim < count:
            raise ValueError(
                f"coordinates must have an axis for each of them, {count}, and the shape of the "
                f"grid; got shapes {', '.join(str(tuple(x.shape)) for x in xs)}. Pass the "
                "coordinate of every sample, as `numpy.meshgrid` makes them of axes."
            )
        axes = self._find_axes(ndim, count)
        xs = [expand_position(x, axes, ndim) for x in xs]
        shapes = {tuple(x.shape[i] for i in axes) for x in xs}
        if len(shapes) > 1:
            raise ValueError(
                "coordinates must have one shape along the axes of the grid; got "
                f"{' and '.join(map(str, sorted(shapes)))}."
            )
        (self._shape,) = shapes
        self._ndim = ndim if ndim > count else None
        boundaries = list_by_grid_axis(self.boundary, self._keys, ONE_SIDED, "boundary")
        periods = list_by_grid_axis(self._period, self._keys, None, "period")
        grid_axes = [
            make_grid_axis(i, n, self._options, boundary, period, count)
            for i, n, boundary, period in zip(axes, self._shape, boundaries, periods, strict=True)
        ]
        check_period(self._period, grid_axes)
        named = {f"coordinate {i}": x for i, x in enumerate(xs)}
        check_closing(xs, grid_axes)
        return CurvedGrid(Positions(xs, lambda differences: differences, named), grid_axes)

    def _find_axes(self, ndim: int, count: int) -> tuple[int, ...]:
        """Return the axes of the grid among those of the coordinates, in the order of fields."""
        if self.axis is None:
            if ndim > count:
                raise ValueError(
                    f"`axis` must name the {count} axes of the grid where coordinates have more; "
                    f"got coordinates with {ndim} axes. Where these are positions of one grid, "
                    f"pass a coordinate for each axis."
                )
            self._keys: list[Any] = [*range(count)]
            return tuple(range(count))
        keys = [*self.axis] if isinstance(self.axis, (tuple, list, range)) else [self.axis]
        if any(isinstance(key, bool) or not isinstance(key, Integral) for key in keys):
            raise TypeError(
                f"`axis` must be integers, one for each coordinate; got {self.axis!r}. Names of "
                "axes belong to DataArrays of xarray."
            )
        if len(keys) != count:
            raise ValueError(
                f"`axis` must name {count} axes, one for each coordinate; got {self.axis!r}."
            )
        if ndim > count:
            order = sorted(zip(parse_axes(tuple(keys), ndim), keys, strict=True))
            self._keys = [key for _, key in order]
            return tuple(i for i, _ in order)
        # Axes from the end on come behind those from the start.
        self._keys = sorted(keys, key=lambda key: (key < 0, key))
        return tuple(range(count))

    # From fields to results

    def _call(self, name: str, f: Any, request: GridRequest) -> Any:
        if not (self._lengths or is_labelled(f, request.where, request.out)):
            return self._evaluate(name, f, request)
        from gpugrad._labels.grid_fields import call_on_curvilinear

        return call_on_curvilinear(self, name, f, request)

    def _at(self, coordinates: Sequence[Array], **options: Any) -> CurvilinearGrid:
        """Return the grid of other coordinates with the same options, kept until they change."""
        if self._located is not None:
            known, known_options, grid = self._located
            if known_options == options and all(map(np.array_equal, known, coordinates)):
                return grid  # type: ignore[no-any-return]
        grid = CurvilinearGrid(
            *coordinates, accuracy=self.accuracy, edge_accuracy=self.edge_accuracy, **options
        )
        self._located = coordinates, options, grid
        return grid

    def _evaluate(self, name: str, v: Any, request: GridRequest) -> Any:
        """Return the results of an operator on plain fields."""
        if self._grid is None:
            raise TypeError(
                "a grid with names of coordinates or dimensions takes a DataArray of xarray, which "
                f"has them; got an array without names for a {self!r}. Pass coordinates as arrays "
                "and axes as numbers."
            )
        row = OPERATORS[name]
        takes_one = row.takes == "field"
        kind = find_kind(name, self.axis, list_fields(v, takes_one), request)
        prepared = self._prepared.find(kind) if kind else None
        if prepared:
            return prepared(list_fields(v, takes_one))
        out, stack, where, skipna, backend = request
        fields = [as_field(v)] if takes_one else as_components(v)
        if row.gives == "curl":
            check_count(row, fields, len(self.coordinates))
        samples = MaskedFields(fields, where, skipna)
        axes = self._find_axes_of(samples.fields[0])
        check_count(row, fields, len(axes))
        shape = find_shape(row, len(fields), len(axes), stack)
        on_grid = CurvedFields(self._grid, samples, axes, is_second=name == "laplacian")
        count = int(np.prod(shape, dtype=int)) if shape else 1
        is_matrix = len(shape) == 2
        targets = out
        if is_matrix and out is not None:
            targets = flatten_rows(out, (*shape, *samples.fields[0].shape), stack)
            targets = None if stack and is_masked(out) else targets
        make_formula = partial(_make_formula, row, on_grid)
        if kind:
            method = PreparedMethod(
                make_formula, on_grid.main, axes, samples.fields, shape, stack,
                name == "gradient_norm",
            )  # fmt: skip
            self._prepared.keep(kind, method)
        results = evaluate_in_slabs(
            make_formula(samples), samples, on_grid.main, axes, count, targets,
            stack and not is_matrix, backend, name == "gradient_norm",
        )  # fmt: skip
        if not is_matrix:
            return results if shape else results[0]
        if targets is None:
            results = join_results(results, shape, stack)
        if targets is None and out is not None:
            out[...] = results  # a slice of a masked array may keep its own mask
        return results if out is None else out

    def _find_axes_of(self, f: Array) -> tuple[int, ...]:
        """Return the axes of the grid in a field."""
        count = len(self._shape)
        keys = range(f.ndim - count, f.ndim) if self.axis is None else self._keys
        fits = f.ndim >= count and self._ndim in (None, f.ndim)
        axes = parse_axes(tuple(keys), f.ndim) if fits else ()
        if tuple(f.shape[i] for i in axes) != self._shape or [*axes] != sorted(axes):
            on = "its last axes" if self.axis is None else f"axes {self.axis}"
            raise ValueError(
                f"`f` must have the shape of the grid, {self._shape}, on {on}; got shape "
                f"{tuple(f.shape)}. Name the axes of the grid with `axis`."
            )
        return axes


def _make(coordinates: Any, *state: Any) -> CurvilinearGrid:
    names = "axis", "accuracy", "edge_accuracy", "boundary", "period"
    return CurvilinearGrid(*coordinates, **dict(zip(names, state, strict=True)))


def _make_formula(row: Any, on_grid: CurvedFields, samples: MaskedFields) -> Any:
    """Return what evaluates an operator of the table on a slab."""
    if row.name == "laplacian":
        return lambda slab: [on_grid.laplacian(slab, *slab.join_field(samples))]
    count = len(samples.fields)
    axes = range(len(on_grid.inverse))
    outputs: Any = row.make_outputs(
        lambda order: axes, lambda j, i=0, sign=1: (sign, (i, j)), count
    )  # fmt: skip
    wanted = {place for terms in outputs for _, place in terms}

    def evaluate(slab: Slab) -> list[Array]:
        entries: dict[tuple[int, int], Array] = {}
        for i in range(count):  # one after the other: slopes are as large as fields
            slopes = on_grid.slopes(slab, *slab.join_field(samples, i))
            entries |= {
                (i, j): on_grid.component(slab, slopes, j) for j in axes if (i, j) in wanted
            }
        return [_join_entries(terms, entries) for terms in outputs]

    return evaluate


def _join_entries(terms: Any, entries: dict[tuple[int, int], Array]) -> Array:
    """Return the sum of signed entries, or their length."""
    arrays = [entries[place] for _, place in terms]
    if isinstance(terms, Norm):
        return combine(arrays[0], arrays, None)
    return add_up(arrays, [sign for sign, _ in terms])
