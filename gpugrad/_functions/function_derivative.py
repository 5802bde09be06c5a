"""The function objects that derivatives of functions are: called with points, again and again."""

from __future__ import annotations

import math
from functools import reduce
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, host_values, warn_caller
from gpugrad._functions.methods import METHODS, Request, differentiate
from gpugrad._functions.points import Points, parse_points_axis
from gpugrad._functions.user_function import UserFunction, check_callable
from gpugrad._grids import Options, parse_scheme
from gpugrad._stencils import Operator

_ACCURACY = 8


class DerivativeEstimate(NamedTuple):
    """A derivative and an estimated bound of its error: a pair ``(value, error)``.

    Derivatives of functions return it with ``return_error=True``.

    Parameters
    ----------
    value : number, array, or tuple of them
        The derivative.
    error : number, array, or tuple of them
        The estimated bound of the error of the derivative, in the same form and unit. It is
        infinite where the error can't be estimated.

    See Also
    --------
    gradient_of : Returns functions that return this pair with ``return_error=True``.

    Examples
    --------
    >>> import gpugrad
    >>> value, error = gpugrad.derivative_of(lambda x: x**3, return_error=True)(2.0)
    >>> bool(abs(value - 12) <= error < 1e-12)
    True
    """

    value: Any
    error: Any


class FunctionDerivative:
    """A derivative of a function, which is a function of points.

    It is returned by `gradient_of` and similar functions. It can be called as often as needed, and
    can be used wherever a function is expected: in a solver, in a plot, or in `tabulate`.

    Parameters
    ----------
    func : callable
        The function to differentiate.
    kind : {"gradient", "jacobian", "hessian", "derivative"}
        The kind of derivatives that are computed.
    order : int
        The order of the derivatives.
    options : dict
        The arguments of the function that made it, such as `gradient_of`.
    row : object, optional
        How the derivatives are added up, as for a divergence.

    Attributes
    ----------
    method : str
        The method of differentiation. With "auto", after the first call, the method of the last
        call.

    See Also
    --------
    gradient_of : Returns the gradient of a function.
    derivative_of : Returns a derivative of a function of one variable.

    Examples
    --------
    >>> import gpugrad
    >>> slope = gpugrad.gradient_of(lambda x, y: x**2 * y)
    >>> slope(3.0, 2.0)
    (np.float64(12.0), np.float64(9.0))
    >>> slope.method
    'complex'
    """

    def __init__(
        self, func: Any, kind: str, order: int, options: dict[str, Any], row: Operator | None = None
    ) -> None:
        check_callable(func)
        self._row = row  # what adds the derivatives up, if anything does
        method, accuracy, step = options["method"], options["accuracy"], options["step"]
        if method not in METHODS:
            raise ValueError(f"`method` must be one of {', '.join(METHODS)}; got {method!r}.")
        if (accuracy is not None or step is not None) and method != "central":
            raise ValueError(
                f'`accuracy` and `step` go with method="central"; got method={method!r}, which '
                "chooses its steps itself."
            )
        scheme = parse_scheme(Options(order, _ACCURACY if accuracy is None else accuracy))
        self._request = Request(
            kind,
            scheme.order,
            scheme.accuracy,
            _parse_step(step),
            options["return_error"],
            is_diagonal=kind == "hessian" and row is not None,
        )
        self._func, self._asked_method = func, method
        self._is_analytic = self._is_pointwise = False
        self._vector, self._stack = options.get("vector", False), options.get("stack", False)
        self._axis = parse_points_axis(options.get("points_axis"), self._vector)
        self.method: str = method

    def __repr__(self) -> str:
        """Say of what it is the derivative."""
        name = getattr(self._func, "__name__", type(self._func).__name__)
        kind = self._request.kind if self._row is None else self._row.name
        return f"<{kind} of {name}, method {self.method!r}>"

    def __call__(self, *coordinates: Any) -> Any:
        """Return the derivative at points: at numbers, at arrays, or at one array of vectors.

        Parameters
        ----------
        *coordinates : number or array
            One for each coordinate, which broadcast together; with `vector` or `points_axis` one
            array that holds all of them.

        Returns
        -------
        number, array, tuple of them, or DerivativeEstimate
            The derivatives at the points, in the form in which the points came; with
            `return_error` the bounds of their errors, too.

        See Also
        --------
        gradient_of : Says what may be given, and what is returned.

        Examples
        --------
        >>> import gpugrad
        >>> slope = gpugrad.derivative_of(lambda x: x**2)
        >>> slope([1.0, 2.0])
        array([2., 4.])
        """
        nothing = self._find_no_coordinates(coordinates)
        if nothing is not None:
            return nothing
        points = Points(coordinates, self._axis)
        n, kind, row = len(points.flat), self._request.kind, self._row
        if kind == "derivative" and n != 1:
            raise TypeError(
                f"`derivative_of` needs one coordinate; got {n}. For functions of "
                "several there are `gradient_of` and `hessian_of`."
            )
        if row is not None and row.axes[1] is not None and not row.axes[0] <= n <= row.axes[1]:
            raise ValueError(f"a {row.title} needs two or three coordinates; got {n}.")
        function = UserFunction(self._func, self._vector, kind == "jacobian")
        function.is_analytic, function.is_pointwise = self._is_analytic, self._is_pointwise
        function.check_count(n)
        if points.size:
            values, errors, self.method = differentiate(
                function, points, self._request, self._asked_method
            )
            self._is_analytic = function.is_analytic
            self._is_pointwise = function.is_pointwise
        else:
            values = errors = self._make_empty(function, points)
        with_error = self._request.with_error
        if row is not None:
            if with_error:
                errors = _add_up(row, [*map(points.add_rounding, errors, values)], n, all_plus=True)
            values = _add_up(row, values, n)
        if points.size and not function.has_slopes:
            _warn_of_nans(values, points)
        results = self._pack_results(values, points)
        return (
            DerivativeEstimate(results, self._pack_results(errors, points))
            if with_error
            else results
        )

    def _find_no_coordinates(self, coordinates: tuple[Any, ...]) -> Any:
        """Return an empty result for one array of points that have no coordinates, else None."""
        if self._axis is None or len(coordinates) != 1 or self._row is not None:
            return None
        x = coordinates[0]
        shape = tuple(getattr(x, "shape", None) or np.shape(x))
        if not shape or shape[self._axis] or self._request.kind not in ("gradient", "hessian"):
            return None
        points = Points((x,), None)
        empty = points.restore_shape(points.flat[0])
        if self._request.kind == "hessian":
            # The axes of both coordinates lie where that of one was.
            empty = points.xp.stack([empty], axis=self._axis)
            empty = empty[:0, ...] if self._axis == 0 else empty[..., :0]
        return DerivativeEstimate(empty, empty) if self._request.with_error else empty

    def _make_empty(self, function: UserFunction, points: Points) -> list[Array]:
        """Return the derivatives at no points: as many empty arrays as there are derivatives."""
        n, request = len(points.flat), self._request
        count = n
        if request.kind == "hessian" and not request.is_diagonal:
            count = n * n
        elif request.kind == "jacobian":  # sums have as many components as coordinates
            count = n * (n if self._row is not None else len(function(points.flat)))
        return [points.restore_shape(points.xp.empty_like(points.flat[0])) for _ in range(count)]

    def _pack_results(self, derivatives: list[Array], points: Points) -> Any:
        if self._row is None and self._request.kind in ("jacobian", "hessian"):
            return points.pack(derivatives, self._stack, width=len(points.flat))
        # What adds up to one number for each point is never wrapped, whatever `stack` says.
        is_bare = self._row is not None or (points.axis is None and not self._stack)
        if len(derivatives) == 1 and is_bare:
            return derivatives[0]
        return points.pack(derivatives, self._stack)


def _add_up(row: Operator, derivatives: list[Array], n: int, all_plus: bool = False) -> list[Array]:
    """Return the sums of an operator of the table, from all derivatives that it may add.

    `derivatives` has, for each component, the derivatives by all coordinates. Bounds of errors add
    up, whatever the signs.
    """
    components = len(derivatives) // n
    if row.takes == "vector" and components != n:
        raise ValueError(
            f"a {row.title} needs one component for each coordinate; got {components} components "
            f"for {n} coordinates."
        )

    def term(axis: int, i: int = 0, sign: int = 1) -> Array:
        derivative = derivatives[i * n + axis]
        return derivative if sign > 0 or all_plus else -derivative

    outputs = row.make_outputs(lambda order: range(n), term, components)
    return [sum(terms[1:], start=terms[0]) for terms in outputs]


def _parse_step(step: Any) -> Any:
    if step is None:
        return None
    steps = list(step) if isinstance(step, (tuple, list)) else [step]
    for h in steps:
        if isinstance(h, (bool, np.bool_)) or not isinstance(h, Real):
            raise TypeError(f"`step` must be a number, or one for each coordinate; got {step!r}.")
        if not 0 < float(h) < math.inf:
            raise ValueError(f"`step` must be positive and finite; got {h!r}.")
    return steps if isinstance(step, (tuple, list)) else step


def _warn_of_nans(values: list[Array], points: Points) -> None:
    hosts = [host_values(value) for value in values]
    readable = [host for host in hosts if host is not None]
    if not any(np.isnan(np.min(host)) for host in readable):  # one pass without a temporary
        return
    is_nan = reduce(np.logical_or, map(np.isnan, readable))
    first = int(np.argmax(is_nan))
    where = ", ".join(f"{float(c[first]):g}" for c in points.flat)
    warn_caller(
        f"the derivative is NaN at {int(is_nan.sum())} of {points.size} points, the first at "
        f"({where}): `func` has no finite value there, or its values on neither side tell a slope, "
        "or they tell another one on each side, as at a kink or a jump."
    )
