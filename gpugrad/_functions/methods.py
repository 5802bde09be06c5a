"""The methods to differentiate a function, each for the four kinds of derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, host_values, keep_freed_memory, library_of, namespace_of
from gpugrad._functions import autodiff
from gpugrad._functions.analytic_array import NotAnalytic
from gpugrad._functions.complex_step import ComplexStep
from gpugrad._functions.differences import (
    Along,
    Evaluate,
    Found,
    Line,
    LineSamples,
    central,
    differentiate_along,
    scales_of,
    step_for,
)
from gpugrad._functions.extrapolation import extrapolated
from gpugrad._functions.points import Blocks, Points
from gpugrad._functions.user_function import UserFunction

_MANY = 1024
_POOR = 1e-8
"""The relative error from which on a derivative that lacks samples is worth another try."""
METHODS = ("auto", "autodiff", "complex", "extrapolation", "central")
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


Derivatives = tuple[list[Array], list[Array] | None]
"""Derivatives, components first and then variables; their errors if asked for."""


@np.errstate(all="ignore")  # values that are not finite make NaNs, of which callers tell
def differentiate(function: UserFunction, points: Points, request: Request, method: str) -> Any:
    """Return derivatives, errors and the name of the method that was taken."""
    if method != "auto":
        return (*_in_blocks(function, points, request, method), method)
    if autodiff.why_not(points.flat[0]) is None:
        try:
            return (*_in_blocks(function, points, request, "autodiff"), "autodiff")
        except Exception:  # noqa: BLE001 - libraries raise errors of many kinds at foreign code
            pass
    elif points.on_host:
        try:
            return (*_in_blocks(function, points, request, "complex"), "complex")
        except NotAnalytic:
            pass
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
        derivatives, bounds = compute(
            function, [c[block] for c in points.flat], request, points.eps
        )
        if request.is_diagonal and len(derivatives) == n * n:  # by methods that compute them all
            derivatives, bounds = derivatives[:: n + 1], bounds and bounds[:: n + 1]
        values.add(block, derivatives)
        errors.add(block, bounds or [])
    return values.arrays(), errors.arrays() if request.with_error else None


def _autodiff_block(
    function: UserFunction, coords: list[Array], request: Request, eps: float
) -> Derivatives:
    reason = autodiff.why_not(coords[0])
    if reason is not None:
        raise TypeError(reason)
    compute: autodiff.Flat = function
    for _ in range(2 if request.kind == "hessian" else request.order):
        compute = autodiff.slopes(compute)
    return _with_rounding(compute, compute(coords), coords, request, eps)


def _complex_block(
    function: UserFunction, coords: list[Array], request: Request, eps: float
) -> Derivatives:
    if library_of(coords[0]) != "NumPy":
        raise TypeError(
            f'the method "complex" needs NumPy points; got {library_of(coords[0])}. Use the '
            'method "autodiff" with PyTorch and JAX, or "extrapolation".'
        )
    slopes = ComplexStep(function)
    derivatives = slopes.first(coords)
    if request.order == 1:
        function.has_slopes = slopes.are_complete and not request.with_error
        return _with_rounding(slopes, derivatives, coords, request, eps)
    lines: list[Line] = [{i: 1} for i in range(len(coords))]
    steps = [s / 2 for s in scales_of(coords)]
    values, errors = differentiate_along(
        _by_extrapolation(request.order - 1), LineSamples(slopes, coords, lines), steps, True
    )
    return _make_symmetric(values, errors or [], len(coords), request)


def _extrapolated_block(
    function: UserFunction, coords: list[Array], request: Request, eps: float
) -> Derivatives:
    steps = [s / 2 for s in scales_of(coords)]
    order = 2 if request.kind == "hessian" else request.order
    return _by_differences(function, coords, steps, _by_extrapolation(order), request)


def _by_extrapolation(order: int) -> Along:
    def along(samples: LineSamples, steps: list[Array], with_error: bool) -> Found:
        values, errors, cut_off = extrapolated(samples, order, steps)
        poor = [
            cut & ~(error <= _POOR * abs(value))
            for value, error, cut in zip(values, errors, cut_off, strict=True)
        ]
        return Found(values, errors, poor)

    return along


def _central_block(
    function: UserFunction, coords: list[Array], request: Request, eps: float
) -> Derivatives:
    order, accuracy = request.order, request.accuracy
    steps = step_for(coords, order, accuracy, eps)
    if request.step is not None:
        numbers = (
            request.step if isinstance(request.step, Sequence) else [request.step] * len(coords)
        )
        if len(numbers) != len(coords):
            raise ValueError(
                f"`step` must be a number or one for each of the {len(coords)} coordinates; "
                f"got {len(numbers)}."
            )
        steps = [h * 0 + float(s) for h, s in zip(steps, numbers, strict=True)]

    def along(samples: LineSamples, steps: list[Array], with_error: bool) -> Found:
        values, errors = central(samples, order, accuracy, steps, with_error)
        readable = all(host_values(value) is not None for value in values)
        poor = [~samples.xp.isfinite(value) for value in values] if readable else None
        return Found(values, errors, poor)

    return _by_differences(function, coords, steps, along, request)


_COMPUTE: dict[str, Callable[[UserFunction, list[Array], Request, float], Derivatives]] = {
    "autodiff": _autodiff_block,
    "complex": _complex_block,
    "extrapolation": _extrapolated_block,
    "central": _central_block,
}


def _by_differences(
    function: UserFunction, coords: list[Array], steps: list[Array], along: Along, request: Request
) -> Derivatives:
    """Differentiate along all axes in one go, or one by one where there are many points.

    What calls cost is shared in the one case; in the other, coordinates that stay are no copies.
    """
    if request.kind == "hessian":
        return _differentiate_twice(function, coords, steps, along, request)
    lines: list[Line] = [{i: 1} for i in range(len(coords))]
    groups = [[line] for line in lines] if coords[0].shape[0] > _MANY else [lines]
    results = [
        differentiate_along(along, LineSamples(function, coords, group), steps, request.with_error)
        for group in groups
    ]
    by_component = [
        _split_rows([*arrays]) for arrays in zip(*(values for values, _ in results), strict=True)
    ]
    errors = [bound for _, bound in results if bound is not None]
    bounds = [_split_rows([*arrays]) for arrays in zip(*errors, strict=True)]
    return (
        [row for rows in by_component for row in rows],
        [row for rows in bounds for row in rows] if errors else None,
    )


def _split_rows(arrays: list[Array]) -> list[Array]:
    return [array[i, ...] for array in arrays for i in range(array.shape[0])]


def _make_symmetric(
    arrays: list[Array], errors: list[Array], n: int, request: Request
) -> Derivatives:
    """Return derivatives of derivatives; of a Hessian, means of what must be equal."""
    values, bounds = _split_rows(arrays), _split_rows(errors)
    if request.kind != "hessian":
        return values, bounds
    xp = namespace_of(values[0])
    pairs = [(i * n + j, j * n + i) for i in range(n) for j in range(n)]
    return (
        [values[a] if a == b else (values[a] + values[b]) / 2 for a, b in pairs],
        [xp.maximum(bounds[a], bounds[b]) for a, b in pairs],
    )


def _differentiate_twice(
    evaluate: Evaluate, coords: list[Array], steps: list[Array], along: Along, request: Request
) -> Derivatives:
    r"""Return second derivatives along the axes and the diagonals between them.

    With :math:`D_\pm` the second derivatives along the directions
    :math:`h_i e_i \pm h_j e_j`, the mixed one is :math:`(D_+ - D_-) / (4 h_i h_j)`.
    """
    n, with_error = len(coords), request.with_error
    axes: list[Line] = [{i: 1} for i in range(n)]
    values, errors = differentiate_along(
        along, LineSamples(evaluate, coords, axes), steps, with_error
    )
    straight = _split_rows(values)
    straight_errors = None if errors is None else _split_rows(errors)
    if request.is_diagonal:
        return straight, straight_errors
    table = {
        (i, i): (straight[i], None if straight_errors is None else straight_errors[i])
        for i in range(n)
    }
    between = [(i, j) for i in range(n) for j in range(i)]
    if between:
        lines: list[Line] = [{i: 1, j: sign} for i, j in between for sign in (1, -1)]
        diagonal = LineSamples(evaluate, coords, lines)
        values, errors = differentiate_along(along, diagonal, steps, with_error)
        across, across_errors = _split_rows(values), None if errors is None else _split_rows(errors)
        for k, (i, j) in enumerate(between):
            area = 4 * steps[i] * steps[j]
            value = (across[2 * k] - across[2 * k + 1]) / area
            error = (
                None
                if across_errors is None
                else (across_errors[2 * k] + across_errors[2 * k + 1]) / area
            )
            table[i, j] = table[j, i] = value, error
    ordered = [table[i, j] for i in range(n) for j in range(n)]
    return [v for v, _ in ordered], None if straight_errors is None else [e for _, e in ordered]


def _with_rounding(
    compute: autodiff.Flat, values: list[Array], coords: list[Array], request: Request, eps: float
) -> Derivatives:
    """Return exact derivatives and how far they are off by rounding.

    Points are moved by a few units in their last place, in three directions: as much as the
    results change, rounding within the function may have changed them. At the end of a domain only
    the directions that lead inside count.
    """
    if not request.with_error:
        return values, None
    xp = namespace_of(coords[0])
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
    smallest = float(xp.finfo(coords[0].dtype).smallest_normal)
    errors = [
        xp.where(xp.isfinite(v) & (c >= 0), 2 * c + 8 * eps * abs(v) + smallest, math.inf)
        for c, v in zip(changes, values, strict=True)
    ]
    return values, errors
