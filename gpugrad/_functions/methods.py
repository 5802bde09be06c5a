"""The methods to differentiate a function, each for the four kinds of derivatives."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from functools import partial, reduce
from itertools import chain, product
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from gpugrad._arrays import Array, asnumpy, host_values, keep_freed_memory, library_of, namespace_of
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
    spread_chosen,
)
from gpugrad._functions.extrapolation import extrapolate
from gpugrad._functions.kinks import find_kinks, remove_kinks
from gpugrad._functions.points import Blocks, Points, scales_of
from gpugrad._functions.step_search import find_unlike, search_steps
from gpugrad._functions.user_function import UserFunction
from gpugrad._functions.verification import (
    find_aliased,
    find_contradicted,
    find_doubtful,
    has_values,
)

_MANY = 1024
_SAYS_LITTLE = 0.5
"""The relative error from which on first and second derivatives are looked for at other steps."""
_SMALL_BESIDE = 1e-8
_POOR = 1e-8
"""The relative error from which on a derivative that lacks samples is worth another try."""
Method = Literal["auto", "autodiff", "complex", "extrapolation", "central"]
METHODS: tuple[str, ...] = get_args(Method)
_ROWS = {"central": 4, "extrapolation": 8, "complex": 4}
"""About how many values for each point are at work at a time, for blocks that stay in the cache."""


_SMALL = 0.71
"""A small step, in multiples of the cube root of the rounding of a point."""
_VERIFIED = 3
"""Up to which order derivatives by "autodiff" are verified one by one."""
_LOOKED_AT = 4096
"""Up to how many points derivatives by "complex" are verified at each of them, in each call."""
_DOUBTED = {1: 1e-8, 2: 1e-6}
"""From which relative error on there may be a kink, for first and second derivatives."""
_WAYS: dict[str, tuple[str, str, type[TypeError]]] = {
    "autodiff": (
        (
            "that stays within its library (`.item()`, `.data`, `detach`, `stop_gradient`, whole "
            "numbers and other libraries lead out of it)"
        ),
        "automatic differentiation",
        TypeError,
    ),
    "complex": (
        "that does the same with complex numbers as with real ones",
        "a complex step",
        NotAnalytic,
    ),
}


class Request(NamedTuple):
    """What is wanted: "gradient", "jacobian", "hessian" or "derivative", and how.

    Of a Hessian, the diagonal may be all: that is what a Laplacian adds up. With `is_auto` other
    methods may take over where one is contradicted.
    """

    kind: str
    order: int
    accuracy: int
    step: Any
    with_error: bool
    is_diagonal: bool = False
    is_auto: bool = False


Derivatives = tuple[list[Array], list[Array]]
"""Derivatives, components first and then variables; their errors, an empty list if not wanted."""


@np.errstate(all="ignore")  # values that are not finite make NaNs, and callers warn of them
def differentiate(function: UserFunction, points: Points, request: Request, method: str) -> Any:
    """Return derivatives, errors and the name of the method that was taken."""
    function.check_pointwise(points.flat)
    if method != "auto":
        return (*_in_blocks(function, points, request, method), method)
    request = request._replace(is_auto=True)
    if autodiff.why_not(points.flat[0]) is None:
        with suppress(Exception):  # libraries raise errors of many kinds at foreign code
            return _in_blocks_or_others(function, points, request, "autodiff")
    elif points.on_host:
        with suppress(NotAnalytic):
            return _in_blocks_or_others(function, points, request, "complex")
    return (*_in_blocks(function, points, request, "extrapolation"), "extrapolation")


def _in_blocks_or_others(
    function: UserFunction, points: Points, request: Request, method: str
) -> Any:
    """Return what `differentiate` does, by a method for which others may step in at points."""
    function.replaced = 0
    results = _in_blocks(function, points, request, method)
    return (*results, "extrapolation" if function.replaced == points.size else method)


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
        bounds = bounds if request.with_error else []
        errors.add(block, points.widen_bounds(bounds, derivatives) if bounds else [])
    return values.arrays(), errors.arrays()


def _autodiff_block(function: UserFunction, coords: list[Array], request: Request) -> Derivatives:
    reason = autodiff.why_not(coords[0])
    if reason is not None:
        raise TypeError(reason)
    levels: list[Evaluate] = [function]
    for _ in range(request.order):
        levels.append(autodiff.make_derivative(levels[-1]))
    derivatives = levels[-1](coords)
    results = _with_rounding(levels[-1], derivatives, coords, request)
    if not has_values(coords[0]):
        return results
    coords = [autodiff.detach(x) for x in coords]
    for k in range(min(request.order, _VERIFIED)):
        slopes = derivatives if k + 1 == request.order else levels[k + 1](coords)
        slopes = [autodiff.detach(slope) for slope in slopes]
        results = _verify(function, levels[k], slopes, coords, request, results, "autodiff")
    return results


def _complex_block(function: UserFunction, coords: list[Array], request: Request) -> Derivatives:
    if library_of(coords[0]) != "NumPy":
        raise TypeError(
            f'the method "complex" needs NumPy points; got {library_of(coords[0])}. Use the '
            'method "autodiff" with PyTorch and JAX, or "extrapolation".'
        )
    slopes = ComplexStep(function)
    derivatives = slopes.first(coords)
    _try_complex_steps(function, coords, derivatives, request)
    if request.order == 1:
        function.has_slopes = slopes.are_complete and not request.with_error
        results = _with_rounding(slopes, derivatives, coords, request)
        if coords[0].size > _LOOKED_AT:
            return results
        return _verify(function, function, derivatives, coords, request, results, "complex")
    steps = [s / 2 for s in scales_of(coords)]
    method, lines = _extrapolate_lines(request.order - 1), _make_axes(len(coords))
    values, errors = _differentiate_rows(
        slopes, coords, steps, method, request.order - 1, True, lines
    )
    aliased = find_aliased(slopes, coords, None)
    if aliased is not None:
        nowhere = reduce(operator.or_, aliased)
        values, errors = _remove(nowhere, values), _remove(nowhere, errors, math.inf)
    if request.kind == "hessian":
        values, errors = _make_symmetric(values, errors, len(coords))
    elif request.is_auto and request.order > 2:
        others = _extrapolated_block(function, coords, request._replace(with_error=True))
        values, errors = _take_better(function, (values, errors), others)
    if coords[0].size > _LOOKED_AT:
        return values, errors
    return _verify(function, function, derivatives, coords, request, (values, errors), "complex")


def _try_complex_steps(
    function: UserFunction, coords: list[Array], slopes: list[Array], request: Request
) -> None:
    """Raise NotAnalytic where slopes at three points are others than those of real numbers.

    A function is put to it once; few points are verified in each call anyway.
    """
    size = coords[0].size
    if function.is_analytic or (size <= _LOOKED_AT and request.is_auto):
        return
    picked = sorted({0, size // 2, size - 1})
    strict = request._replace(is_auto=False)
    points, there = [x[picked] for x in coords], [slope[picked] for slope in slopes]
    _verify(function, function, there, points, strict, (there, []), "complex")
    function.is_analytic = True


def _verify(
    function: UserFunction,
    evaluate: Evaluate,
    slopes: list[Array],
    coords: list[Array],
    request: Request,
    results: Derivatives,
    method: str,
) -> Derivatives:
    """Return results of which those are replaced that differences contradict.

    `slopes` are the first derivatives of what `evaluate` computes, from which the results come.
    With a method that was asked for, slopes that are others are an error, and those at kinks are
    NaN.
    """
    xp = namespace_of(coords[0])
    doubtful = find_doubtful(evaluate, slopes, coords)
    if doubtful is None or not bool(xp.any(doubtful)):
        return results
    there = [x[doubtful] for x in coords]
    steps = [s / 2 for s in scales_of(there)]
    simple = Request("gradient", 1, request.accuracy, None, True)
    values, errors = _differentiate_axes(evaluate, there, steps, _extrapolate_lines(1), simple)
    slopes = [xp.broadcast_to(slope, coords[0].shape)[doubtful] for slope in slopes]
    wrong = find_contradicted(slopes, values, errors)
    kinks = [xp.isnan(value) for value in values]
    if bool(xp.any(xp.stack(kinks, axis=0))):  # others have no derivative by differences alone
        found = find_kinks(evaluate, there, _make_axes(len(coords)), 1)
        rows = [kink[i, ...] for kink in found for i in range(len(coords))]
        kinks = [kink & row for kink, row in zip(kinks, rows, strict=True)]
    is_wrong, is_kink = reduce(operator.or_, wrong), reduce(operator.or_, kinks)
    if not request.is_auto and bool(xp.any(is_wrong)):
        raise _contradiction(method, there, wrong, values, slopes)
    replaced = is_wrong | is_kink
    if not bool(xp.any(replaced)):
        return results
    function.has_slopes = False
    there = [x[replaced] for x in there]
    replaced = doubtful & spread_chosen(xp, replaced, doubtful)
    if not request.is_auto:
        nothing = [xp.full_like(there[0], math.nan)] * len(results[0])
        others = nothing, [abs(nothing[0]) * 0 + math.inf for _ in results[1]]
    else:
        function.replaced += there[0].shape[0]
        others = _extrapolated_block(function, there, request._replace(is_diagonal=False))
        others = others[0], others[1] if results[1] else []
    values, errors = (
        [
            xp.where(replaced, spread_chosen(xp, theirs, replaced), ours)
            for theirs, ours in zip(theirs_of, ours_of, strict=True)
        ]
        for theirs_of, ours_of in zip(others, results, strict=True)
    )
    return values, errors


def _contradiction(
    method: str, coords: list[Array], wrong: list[Array], values: list[Array], slopes: list[Array]
) -> TypeError:
    """Return the error that names the first slope that differences contradict."""
    k = next(k for k, row in enumerate(wrong) if bool(row.any()))
    place = int(np.argmax(asnumpy(wrong[k])))
    where = ", ".join(f"{float(x[place]):g}" for x in coords)
    why, way, kind = _WAYS[method]
    return kind(
        f'the method "{method}" needs a function {why}; at ({where}) the slope of `func` along '
        f"coordinate {k % len(coords)} is {float(values[k][place]):.6g} by differences, but "
        f'{float(slopes[k][place]):.6g} by {way}. Use the method "extrapolation", or "auto".'
    )


def _take_better(function: UserFunction, results: Derivatives, others: Derivatives) -> Derivatives:
    """Return for each number the derivative with the smaller error."""
    xp = namespace_of(results[0][0])
    better = [b < a for a, b in zip(results[1], others[1], strict=True)]
    function.replaced += int(xp.sum(reduce(operator.or_, better)))
    values, errors = (
        [xp.where(*row) for row in zip(better, theirs, ours, strict=True)]
        for theirs, ours in zip(others, results, strict=True)
    )
    return values, errors


def _extrapolated_block(
    function: UserFunction, coords: list[Array], request: Request
) -> Derivatives:
    steps = [s / 2 for s in scales_of(coords)]
    method = _extrapolate_lines(request.order)
    results = _differentiate_axes(function, coords, steps, method, request)
    return _remove_aliased(function, coords, results, request.order)


def _remove_aliased(
    function: UserFunction, coords: list[Array], results: Derivatives, order: int
) -> Derivatives:
    """Return NaN where differences were taken over steps too wide, and agree by chance."""
    aliased = find_aliased(function, coords, results[0] if order == 1 else None)
    if aliased is None:
        return results
    if order > 1:  # of Hessians, by all pairs of coordinates
        together, n = len(results[0]) * len(coords) // len(aliased), len(coords)
        aliased = [reduce(operator.or_, aliased[k : k + n]) for k in range(0, len(aliased), n)]
        aliased = [mask for mask in aliased for _ in range(together)]
    values, errors = results
    return (
        [_remove(mask, [row])[0] for mask, row in zip(aliased, values, strict=True)],
        [_remove(mask, [row], math.inf)[0] for mask, row in zip(aliased, errors, strict=False)],
    )


def _remove(mask: Array, rows: list[Array], missing: float = math.nan) -> list[Array]:
    xp = namespace_of(mask)
    return [xp.where(mask, missing, row) for row in rows]


def _extrapolate_lines(order: int) -> LineMethod:
    def method(samples: LineSamples, steps: list[Array], with_error: bool) -> LineDerivatives:
        values, errors, cut_off = extrapolate(samples, order, steps)
        if order == 1 and len(samples.sides) == 2:
            values, errors = _check_by_small_step(samples, values, errors)
        poor = [
            cut & ~(error <= _POOR * abs(value))
            for value, error, cut in zip(values, errors, cut_off, strict=True)
        ]
        if order > 2:
            values, errors = search_steps(samples, order, values, errors)
        elif samples.are_along_axes and len(samples.sides) == 2:
            values, errors = _search_where_poor(samples, order, values, errors)
        limit = _DOUBTED.get(order, 1e-4)
        doubtful = [
            ~(error <= limit * abs(value)) for value, error in zip(values, errors, strict=True)
        ]
        return LineDerivatives(values, errors, poor, doubtful)

    return method


def _search_where_poor(
    samples: LineSamples, order: int, values: list[Array], errors: list[Array]
) -> tuple[list[Array], list[Array]]:
    """Return derivatives by the best of many steps where those at hand say little."""
    xp = samples.xp
    poor = [~(e <= _SAYS_LITTLE * abs(v)) & xp.isfinite(v)
            for v, e in zip(values, errors, strict=True)]  # fmt: skip
    if not any(bool(xp.any(p)) for p in poor):
        return values, errors
    # An error that is small beside the function says that the derivative is about zero.
    units = samples.units(scales_of(samples.coords), order)
    heights = map(abs, samples.evaluate(samples.coords))
    poor = [p & ~(e * abs(units) <= _SMALL_BESIDE * height)
            for p, e, height in zip(poor, errors, heights, strict=True)]  # fmt: skip
    somewhere = xp.any(xp.stack(poor, axis=0), axis=(0, 1))
    if not bool(xp.any(somewhere)):
        return values, errors
    there = LineSamples(samples.evaluate, [x[somewhere] for x in samples.coords], samples.lines)
    others, bounds = search_steps(
        there, order, [v[:, somewhere] for v in values], [e[:, somewhere] for e in errors], True
    )
    poor = [p & xp.isfinite(spread_chosen(xp, bound, somewhere))
            for p, bound in zip(poor, bounds, strict=True)]  # fmt: skip
    return (
        [xp.where(p, spread_chosen(xp, new, somewhere), v)
         for p, new, v in zip(poor, others, values, strict=True)],
        [xp.where(p, spread_chosen(xp, new, somewhere), e)
         for p, new, e in zip(poor, bounds, errors, strict=True)],
    )  # fmt: skip


class _SmallStep(NamedTuple):
    """Slopes over a small step: of each component, by line and point."""

    steps: list[Array]
    slopes: list[Array]
    tolerances: list[Array]


def _take_small_step(samples: LineSamples) -> _SmallStep:
    """Return slopes over a step that is no power of two.

    Samples that are too far apart for a function may still agree with each other by chance.
    """
    xp, coords = samples.xp, samples.coords
    relative = _SMALL * samples.eps ** (1 / 3)
    steps = [relative * xp.where(x == 0, xp.ones_like(x), abs(x)) for x in coords]
    units = samples.units(steps, 1, relative)
    slopes, tolerances = [], []
    for after, before in samples.at((1.0,), steps):
        slope = (after[:, 0, :] - before[:, 0, :]) / (2 * units)
        height = abs(after[:, 0, :]) + abs(before[:, 0, :])
        slopes.append(slope)
        tolerances.append(1e-3 * abs(slope) + 64 * samples.eps * height / abs(units))
    return _SmallStep(steps, slopes, tolerances)


def _check_by_small_step(
    samples: LineSamples, values: list[Array], errors: list[Array]
) -> tuple[list[Array], list[Array]]:
    """Return slopes that go together with those over a small step, or with no error known."""
    xp, small = samples.xp, _take_small_step(samples)
    rows = zip(small.slopes, small.tolerances, values, errors, strict=True)
    doubtful = [abs(slope - v) > 4 * error + limit for slope, limit, v, error in rows]
    somewhere = xp.any(xp.stack(doubtful, axis=0), axis=(0, 1))
    if not bool(xp.any(somewhere)):
        return values, errors
    there = LineSamples(samples.evaluate, [x[somewhere] for x in samples.coords], samples.lines)
    others, bounds, _ = extrapolate(there, 1, [16 * h[somewhere] for h in small.steps])
    values, errors = [*values], [*errors]
    for k, pair in enumerate(zip(others, bounds, strict=True)):
        other, bound = (spread_chosen(xp, array, somewhere) for array in pair)
        gap = abs(other - values[k])
        is_unlike = doubtful[k] & ~(xp.isfinite(bound) & (gap <= 4 * (errors[k] + bound)))
        fits = abs(small.slopes[k] - other) <= 4 * bound + small.tolerances[k]
        values[k] = xp.where(is_unlike & fits, other, values[k])
        errors[k] = xp.where(is_unlike, xp.where(fits, bound, math.inf), errors[k])
    return values, errors


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
        derivatives = central_differences(samples, order, accuracy, steps, with_error)
        if any(host_values(value) is None for value in derivatives.values):
            return derivatives._replace(doubtful=None)
        poor = [~samples.xp.isfinite(value) for value in derivatives.values]
        derivatives = derivatives._replace(poor=poor)
        if request.step:
            return derivatives
        if order == 1 and len(samples.sides) == 2:
            derivatives = _doubt_by_small_step(samples, derivatives)
        elif samples.are_along_axes and len(samples.sides) == 2:
            derivatives = _doubt_by_narrow_steps(samples, order, derivatives)
        return _take_other_steps(samples, order, derivatives)

    results = _differentiate_axes(function, coords, steps, method, request)
    return results if request.step else _remove_aliased(function, coords, results, request.order)


def _doubt_by_small_step(samples: LineSamples, derivatives: LineDerivatives) -> LineDerivatives:
    """Return derivatives with doubts where a small step has another slope, by one part in 100."""
    small = _take_small_step(samples)
    rows = zip(
        small.slopes, small.tolerances, derivatives.values, derivatives.doubtful or [], strict=True
    )
    doubtful = [
        doubt | (abs(slope - value) > 10 * limit + 1e-2 * abs(value))
        for slope, limit, value, doubt in rows
    ]
    return derivatives._replace(doubtful=doubtful)


def _doubt_by_narrow_steps(
    samples: LineSamples, order: int, derivatives: LineDerivatives
) -> LineDerivatives:
    """Return derivatives with doubts where narrow steps tell others."""
    unlike = find_unlike(samples, order, derivatives.values)
    doubtful = [d | u for d, u in zip(derivatives.doubtful or [], unlike, strict=True)]
    return derivatives._replace(doubtful=doubtful)


def _take_other_steps(
    samples: LineSamples, order: int, derivatives: LineDerivatives
) -> LineDerivatives:
    """Return derivatives of the best of many steps where samples of one do not go together."""
    xp, doubtful = samples.xp, derivatives.doubtful
    if doubtful is None:
        return derivatives
    somewhere = xp.any(xp.stack(doubtful, axis=0), axis=(0, 1))
    if not bool(xp.any(somewhere)):
        return derivatives
    coords = [x[somewhere] for x in samples.coords]
    there = LineSamples(samples.evaluate, coords, samples.lines, samples.sides)
    others = _extrapolate_lines(order)(there, [s / 2 for s in scales_of(coords)], True)

    def put_in(ours: list[Array], theirs: list[Array]) -> list[Array]:
        return [
            xp.where(doubt, spread_chosen(xp, new, somewhere), old)
            for doubt, old, new in zip(doubtful, ours, theirs, strict=True)
        ]

    return LineDerivatives(
        put_in(derivatives.values, others.values),
        put_in(derivatives.errors, others.errors) if derivatives.errors else [],
        derivatives.poor,
        put_in([xp.zeros_like(d) for d in doubtful], others.doubtful or doubtful),
    )


_COMPUTE: dict[str, Callable[[UserFunction, list[Array], Request], Derivatives]] = {
    "autodiff": _autodiff_block,
    "complex": _complex_block,
    "extrapolation": _extrapolated_block,
    "central": _central_block,
}


def _make_axes(n: int) -> list[Line]:
    return [{i: 1} for i in range(n)]


def _differentiate_axes(
    function: Evaluate,
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
        _differentiate_rows, function, coords, steps, method, request.order, request.with_error
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
    order: int,
    with_error: bool,
    lines: list[Line],
) -> Derivatives:
    """Return derivatives along lines one by one, and their errors; NaN where there are none."""
    samples = LineSamples(evaluate, coords, lines)
    along_lines = differentiate_lines(method, samples, steps, with_error)
    values, errors = along_lines.values, along_lines.errors
    if along_lines.doubtful is not None:
        values, errors = remove_kinks(samples, order, values, errors, along_lines.doubtful)
    return (
        [array[i, ...] for array in values for i in range(len(lines))],
        [array[i, ...] for array in errors for i in range(len(lines))],
    )


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
