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
    "; if components differ in shape or device, or there are not as many components as coordinates"
)
_TWO_AXES = "the results on two new leading axes"


@describe_grid
class CurvilinearGrid:
    r"""A curved grid, given where each sample lies: derivatives in physical space.

    Such grids bend round what they describe: a pipe, a wing, a coast. The methods differentiate
    fields with respect to the coordinates, whatever way the lines of the grid run.

    Parameters
    ----------
    *coordinates : array
        One to three arrays: the coordinates of all samples, as many as the grid has axes, each
        of the shape of the grid, as `numpy.meshgrid` makes them. They may have all axes of the
        fields, of length 1 where they don't differ. Values on the host, or arrays of the library
        and on the device of the fields; quantities. For fields of xarray DataArrays or
        names of coordinates.
    axis : tuple of int or str, optional
        The axes of the fields that the grid has, by default the last ones. Other axes are batches.
    accuracy : {2, 4, 6, 8, 10, 12}, optional
        The power of the number of samples with which the error inside vanishes.
    edge_accuracy : int, optional
        The power of the number of samples with which the error vanishes at one-sided ends: by
        default `accuracy`, but 1 for first derivatives of `accuracy` 2, as in `numpy.gradient`.
        The Laplacian takes `accuracy`.
    {boundary: help() shows this}
    period : tuple or dict, optional
        By how much each coordinate grows once round a periodic axis, one number or quantity for
        each coordinate, ``{1: (360.0, 0.0)}``. By default coordinates come back.

    Attributes
    ----------
    coordinates, axis, accuracy, edge_accuracy, boundary, period
        The arguments, as they were given.

    Raises
    ------
    TypeError
        If there are not one to three coordinates; if they are not real numbers, or quantities of
        two libraries.
    ValueError
        If coordinates are not of one shape, with as many axes as there are coordinates; if some
        are masked; if samples coincide or the lines of the grid are parallel somewhere; if an axis
        is too short for the accuracy; if options are unknown or out of range, or a boundary is a
        slope.

    Warns
    -----
    GpugradWarning
        If the grid folds over, if a coordinate jumps where a periodic axis closes, or if the last
        samples of a periodic axis repeat the first.

    See Also
    --------
    Sphere : A grid of latitudes and longitudes.
    gradient : On axes that are straight, evenly spaced or not.

    Notes
    -----
    Fields and coordinates are differentiated along the axes of the array, in steps of samples
    :math:`\xi_j`, by the same formulas. The chain rule

    .. math:: \frac{\partial f}{\partial \xi_j}
        = \sum_i \frac{\partial x_i}{\partial \xi_j} \frac{\partial f}{\partial x_i}

    is solved for the gradient at each sample: a field that is linear in the coordinates has its
    exact gradient, and a Laplacian of zero. What follows from the coordinates alone is worked out
    once, kept, and used for all fields. Beside a masked sample the field has formulas of
    one side, and the coordinates still those of both.

    Examples
    --------
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
        """Return the derivatives of a field with respect to the coordinates, in their order.

        They are slopes in space, such as along x and y: not along the lines of the grid, which may
        run in any direction.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array or tuple of arrays
            One array for each coordinate, in the unit of `f` per unit of the coordinate: a tuple,
            or the bare array for one coordinate. Library, device, shape and dtype are those of `f`;
            integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient_norm : The length of the gradient.
        jacobian : The derivatives of several fields.
        gpugrad.gradient : On axes that are straight.

        Examples
        --------
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
        """Return the length of the gradient of a field: real, not negative.

        It says how steep a field is, in whatever direction it rises most.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            In the unit of `f` per unit of the coordinates, which must have one unit, with the
            library, device and precision of `f`; integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The derivatives themselves.
        gpugrad.gradient_norm : On axes that are straight.

        Examples
        --------
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

        It says how much of the field comes out of each place: sources are positive, sinks negative.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of a component
            In the unit of `v` per unit of the coordinates, which must have one unit, with the
            library, device and dtype of the components; integers become floats.

        {errors: help() shows this}

        See Also
        --------
        curl : How the field turns about each place.
        jacobian : All derivatives of the components.
        gpugrad.divergence : On axes that are straight.

        Notes
        -----
        With coordinates :math:`x_i`

        .. math:: \operatorname{div} v = \sum_i \frac{\partial v_i}{\partial x_i}

        Examples
        --------
        >>> import numpy as np
        >>> import gpugrad
        >>> radius, angle = np.linspace(1, 2, 4)[:, None], np.linspace(0, 1, 5)
        >>> x, y = radius * np.cos(angle), radius * np.sin(angle)
        >>> divergence = gpugrad.CurvilinearGrid(x, y).divergence((x, y))  # out of the centre
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
    @describe_method("curves", out=OUT["each"], value_errors=_COUNT + ", two or three")
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
        r"""Return the curl of a vector field: one component for two coordinates, three for three.

        It says how the field turns about each place: it is twice the angular velocity of a small
        body that the field carries along.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array or tuple of arrays
            In the unit of `v` per unit of the coordinates, which must have one unit, with the
            library, device and dtype of the components; integers become floats.

        {errors: help() shows this}

        See Also
        --------
        divergence : How much of the field comes out of each place.
        gpugrad.curl : On axes that are straight.

        Notes
        -----
        For two coordinates :math:`x` and :math:`y`

        .. math:: \operatorname{curl} v
            = \frac{\partial v_y}{\partial x} - \frac{\partial v_x}{\partial y}

        and for three the vector of these differences, in the order of the coordinates.

        Examples
        --------
        >>> import numpy as np
        >>> import gpugrad
        >>> radius, angle = np.linspace(1, 2, 4)[:, None], np.linspace(0, 1, 5)
        >>> x, y = radius * np.cos(angle), radius * np.sin(angle)
        >>> curl = gpugrad.CurvilinearGrid(x, y).curl((-y, x))  # a solid body turning once in 2 pi
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
        r"""Return the derivatives of components with respect to all coordinates.

        Of a flow it is the tensor of velocity gradients; of a map of space, how it stretches and
        turns what lies at each place.

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
        divergence, curl : Sums of entries of a Jacobian, in one pass.
        gpugrad.jacobian : On axes that are straight.

        Notes
        -----
        .. math:: J_{ij} = \frac{\partial v_i}{\partial x_j}

        Examples
        --------
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

        It says how much lower a field is than its surroundings: what diffuses heat in a body of any
        shape.

        Parameters
        ----------
        {parameters: help() shows this}

        Returns
        -------
        array of the shape of `f`
            In the unit of `f` per squared unit of the coordinates, which must have one unit, with
            the library, device and dtype of `f`; integers become floats.

        {errors: help() shows this}

        See Also
        --------
        gradient : The first derivatives.
        divergence : The sources of a vector field.
        gpugrad.laplacian : On axes that are straight.

        Notes
        -----
        .. math::

            \nabla^2 f = \sum_{jk} g^{jk} \frac{\partial^2 f}{\partial\xi_j \partial\xi_k}
                + \sum_j (\nabla^2 \xi_j) \frac{\partial f}{\partial\xi_j}

        with the metric :math:`g^{jk}` and the Laplacian of the number of samples :math:`\xi_j`.
        Both are worked out from the coordinates by the formulas for the field, and kept.

        Examples
        --------
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
