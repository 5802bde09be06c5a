"""The methods to differentiate a function, each for the four kinds of derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain, product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from gpugrad._arrays import Array, host_values, keep_freed_memory, library_of, namespace_of
from gpugrad._functions import autodiff
from gpugrad._functions.analytic_array import NotAnalytic
from gpugrad._functions.complex_step import ComplexStep
from gpugrad._functions.differences import (
    Evaluate,
    Line,
    LineDerivatives,
    LineMethod,
    LineSamples,
    central_differences,
    differentiate_lines,
    find_steps,
    scales_of,
)
from gpugrad._functions.extrapolation import extrapolate
from gpugrad._functions.points import Blocks, Points
from gpugrad._functions.user_function import UserFunction

_MANY = 1024
_POOR = 1e-8
"""The relative error from which on a derivative that lacks samples is worth another try."""
Method = Literal["auto", "autodiff", "complex", "extrapolation", "central"]
METHODS: tuple[str, ...] = get_args(Method)
_ROWS = {"central": 4, "extrapolation": 8, "complex": 4}
"""About how many values for each point are at work at a time, for blocks that stay in the cache."""


class Request(NamedTuple):
    """What is wanted: "gradient", "jacobian", "hessian" or "derivative", and how.

    Of a Hessian, the diagonal may be all: that is what a Laplacian adds up.
    """

    kind: str
    order: int
    accuracy: int
    step: Any
    with_error: bool
    is_diagonal: bool = False


Derivatives = tuple[list[Array], list[Array]]
"""Derivatives, components first and then variables; their errors, an empty list if not wanted."""


@np.errstate(all="ignore")  # values that are not finite make NaNs, and callers warn of them
def differentiate(function: UserFunction, points: Points, request: Request, method: str) -> Any:
    """Return derivatives, errors and the name of the method that was taken."""
    if method != "auto":
        return (*_in_blocks(function, points, request, method), method)
    if autodiff.why_not(points.flat[0]) is None:
        with suppress(Exception):  # libraries raise errors of many kinds at foreign code
            return (*_in_blocks(function, points, request, "autodiff"), "autodiff")
    elif points.on_host:
        with suppress(NotAnalytic):
            return (*_in_blocks(function, points, request, "complex"), "complex")
    return (*_in_blocks(function, points, request, "extrapolation"), "extrapolation")


def _in_blocks(
    function: UserFunction, points: Points, request: Request, method: str
) -> Derivatives:
    compute = _COMPUTE[method]
    n = len(points.flat)
    rows = _ROWS.get(method, 1)
    if request.kind == "hessian":
        rows *= n if request.is_diagonal else n * n
    elif method == "complex" and request.order == 1 and not request.with_error:
        rows = 0  # it cuts points itself
    if points.on_host and points.size > _MANY:
        keep_freed_memory()
    values, errors = Blocks(points), Blocks(points)
    for block in points.blocks(rows):
        derivatives, bounds = compute(function, [c[block] for c in points.flat], request)
        if request.is_diagonal and len(derivatives) == n * n:  # by methods that compute them all
            derivatives, bounds = derivatives[:: n + 1], bounds[:: n + 1]
        values.add(block, derivatives)
        errors.add(block, bounds if request.with_error else [])
    return values.arrays(), errors.arrays()


def _autodiff_block(function: UserFunction, coords: list[Array], request: Request) -> Derivatives:
    reason = autodiff.why_not(coords[0])
    if reason is not None:
        raise TypeError(reason)
    compute: Evaluate = function
    for _ in range(request.order):
        compute = autodiff.make_derivative(compute)
    return _with_rounding(compute, compute(coords), coords, request)


def _complex_block(function: UserFunction, coords: list[Array], request: Request) -> Derivatives:
    if library_of(coords[0]) != "NumPy":
        raise TypeError(
            f'the method "complex" needs NumPy points; got {library_of(coords[0])}. Use the '
            'method "autodiff" with PyTorch and JAX, or "extrapolation".'
        )
    slopes = ComplexStep(function)
    derivatives = slopes.first(coords)
    if request.order == 1:
        function.has_slopes = slopes.are_complete and not request.with_error
        return _with_rounding(slopes, derivatives, coords, request)
    steps = [s / 2 for s in scales_of(coords)]
    method, lines = _extrapolate_lines(request.order - 1), _make_axes(len(coords))
    values, errors = _differentiate_rows(slopes, coords, steps, method, True, lines)
    if request.kind != "hessian":
        return values, errors
    return _make_symmetric(values, errors, len(coords))


def _extrapolated_block(
    function: UserFunction, coords: list[Array], request: Request
) -> Derivatives:
    steps = [s / 2 for s in scales_of(coords)]
    return _differentiate_axes(function, coords, steps, _extrapolate_lines(request.order), request)


def _extrapolate_lines(order: int) -> LineMethod:
    def method(samples: LineSamples, steps: list[Array], with_error: bool) -> LineDerivatives:
        values, errors, cut_off = extrapolate(samples, order, steps)
        poor = [
            cut & ~(error <= _POOR * abs(value))
            for value, error, cut in zip(values, errors, cut_off, strict=True)
        ]
        return LineDerivatives(values, errors, poor)

    return method


def _central_block(function: UserFunction, coords: list[Array], request: Request) -> Derivatives:
    order, accuracy = request.order, request.accuracy
    steps = find_steps(coords, order, accuracy)
    if request.step is not None:
        is_list = isinstance(request.step, list)
        numbers = request.step if is_list else [request.step] * len(coords)
        if len(numbers) != len(coords):
            raise ValueError(
                f"`step` must be a number or one for each of the {len(coords)} coordinates; "
                f"got {len(numbers)}."
            )
        steps = [h * 0 + float(s) for h, s in zip(steps, numbers, strict=True)]

    def method(samples: LineSamples, steps: list[Array], with_error: bool) -> LineDerivatives:
        values, errors = central_differences(samples, order, accuracy, steps, with_error)
        readable = all(host_values(value) is not None for value in values)
        poor = [~samples.xp.isfinite(value) for value in values] if readable else None
        return LineDerivatives(values, errors, poor)

    return _differentiate_axes(function, coords, steps, method, request)


_COMPUTE: dict[str, Callable[[UserFunction, list[Array], Request], Derivatives]] = {
    "autodiff": _autodiff_block,
    "complex": _complex_block,
    "extrapolation": _extrapolated_block,
    "central": _central_block,
}


def _make_axes(n: int) -> list[Line]:
    return [{i: 1} for i in range(n)]


def _differentiate_axes(
    function: UserFunction,
    coords: list[Array],
    steps: list[Array],
    method: LineMethod,
    request: Request,
) -> Derivatives:
    """Differentiate along all axes in one go, or one by one where there are many points.

    One call of the function for all axes spares the cost of calls, which is most of the time where
    points are few. With many points, calls axis by axis need no copies of coordinates that stay.
    """
    differentiate = partial(
        _differentiate_rows, function, coords, steps, method, request.with_error
    )
    if request.kind == "hessian":
        return _differentiate_twice(differentiate, steps, request.is_diagonal)
    lines = _make_axes(len(coords))
    groups = [[line] for line in lines] if coords[0].shape[0] > _MANY else [lines]
    results = map(differentiate, groups)
    # Each group has its lines for all components; the results have the components first.
    values, errors = ([*chain(*zip(*rows, strict=True))] for rows in zip(*results, strict=True))
    return values, errors


def _differentiate_rows(
    evaluate: Evaluate,
    coords: list[Array],
    steps: list[Array],
    method: LineMethod,
    with_error: bool,
    lines: list[Line],
) -> Derivatives:
    """Return derivatives along lines one by one, and their errors."""
    samples = LineSamples(evaluate, coords, lines)
    values, errors = (
        [array[i, ...] for array in arrays for i in range(len(lines))]
        for arrays in differentiate_lines(method, samples, steps, with_error)
    )
    return values, errors


def _make_symmetric(values: list[Array], errors: list[Array], n: int) -> Derivatives:
    """Return a Hessian from derivatives of derivatives: means of what must be equal."""
    xp = namespace_of(values[0])
    pairs = [(i * n + j, j * n + i) for i in range(n) for j in range(n)]
    return (
        [values[a] if a == b else (values[a] + values[b]) / 2 for a, b in pairs],
        [xp.maximum(errors[a], errors[b]) for a, b in pairs],
    )


def _differentiate_twice(
    differentiate: Callable[[list[Line]], Derivatives], steps: list[Array], is_diagonal: bool
) -> Derivatives:
    r"""Return second derivatives along the axes and the diagonals between them.

    With :math:`D_\pm` the second derivatives along the directions
    :math:`h_i e_i \pm h_j e_j`, the mixed one is :math:`(D_+ - D_-) / (4 h_i h_j)`.
    """
    n = len(steps)
    straight = differentiate(_make_axes(n))
    pairs = [(i, j) for i in range(n) for j in range(i)]
    if is_diagonal or not pairs:
        return straight
    values, errors = differentiate([{i: 1, j: sign} for i, j in pairs for sign in (1, -1)])
    areas = [4 * steps[i] * steps[j] for i, j in pairs]
    values = [(values[2 * k] - values[2 * k + 1]) / area for k, area in enumerate(areas)]
    if errors:
        errors = [(errors[2 * k] + errors[2 * k + 1]) / area for k, area in enumerate(areas)]

    def arrange(diagonal: list[Array], mixed: list[Array]) -> list[Array]:
        """Return a symmetric matrix, row by row."""
        table = dict(zip(pairs, mixed, strict=True))
        places = product(range(n), repeat=2)
        return [diagonal[i] if i == j else table[max(i, j), min(i, j)] for i, j in places]

    return arrange(straight[0], values), arrange(straight[1], errors) if errors else []


def _with_rounding(
    compute: Evaluate, values: list[Array], coords: list[Array], request: Request
) -> Derivatives:
    """Return exact derivatives and how far they are off by rounding.

    Points are moved by a few units in their last place, in three directions: as much as the
    results change, rounding within the function may have changed them. At the end of a domain only
    the directions that lead inside count.
    """
    if not request.with_error:
        return values, []
    xp = namespace_of(coords[0])
    precision = xp.finfo(coords[0].dtype)
    eps, smallest = float(precision.eps), float(precision.smallest_normal)
    # -1 stays where no direction leads to a number: the error is infinite there.
    changes = [xp.full_like(v, -1.0) for v in values]
    for pattern in range(3):
        signs = [1 if (i + pattern) % 2 or pattern == 2 else -1 for i in range(len(coords))]
        moved = [
            x + sign * 4 * eps * xp.where(x == 0, xp.ones_like(x), abs(x))
            for x, sign in zip(coords, signs, strict=True)
        ]
        for k, (moved_value, v) in enumerate(zip(compute(moved), values, strict=True)):
            change = abs(moved_value - v)
            changes[k] = xp.where(change > changes[k], change, changes[k])
    errors = [
        xp.where(xp.isfinite(v) & (c >= 0), 2 * c + 8 * eps * abs(v) + smallest, math.inf)
        for c, v in zip(changes, values, strict=True)
    ]
    return values, errors
