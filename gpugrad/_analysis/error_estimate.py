"""How wrong a derivative is at each sample, as a better one tells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    Backend,
    as_field,
    dtype_name,
    is_differentiated,
    namespace_of,
)
from gpugrad._engines import evaluate
from gpugrad._grids import (
    ONE_SIDED,
    Axis,
    Boundary,
    EdgeOrder,
    Options,
    Period,
    Spacing,
    is_masked,
    parse_boundaries,
    parse_one_axis,
    plan_axes,
)
from gpugrad._labels import accepts_labels
from gpugrad._operators.curved.slabs import MainAxis, Slab, evaluate_in_slabs
from gpugrad._operators.descriptions import ONE_AXIS, describe
from gpugrad._operators.one_axis import check_one_spacing
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import AxisPlan, Formula, Term, rows_of

_SAFETY = 1.25
"""The factor on the difference of two accuracies, as the better derivative has an error, too."""

_ROUNDING = 0.25
"""The share of the rounding unit that each sample counts as wrong by: half of the worst case."""

_EPSILONS = dict(zip(HALF_PRECISION, (2.0**-10, 2.0**-7), strict=True))


@accepts_labels
@describe(
    f="""
f : array of shape (n_0, ..., n_k)
    Samples of a field: an array of any library, a DataArray of xarray, a quantity, or a nested
    sequence of numbers.
""",
    axis=ONE_AXIS,
    accuracy="""
accuracy : {2, 4, 6, 8, 10}, optional
    The order of accuracy of the derivative in the interior. By default 2.
""",
    value_errors="; if the axis is too short for the next higher accuracy",
    where="""
where : array of bool, optional
    An array that is true where samples are valid, and false where they are masked. It belongs to
    the library of `f` and broadcasts to its shape. The formulas near masked samples are those of
    `derivative`. The estimate is NaN at masked samples, and where fewer than ``order + accuracy +
    1`` valid samples lie together, which are too few for a more accurate derivative.
""",
)
def error_estimate(
    f: Any,
    *spacing: Spacing,
    axis: Axis = -1,
    order: int = 1,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    backend: Backend | None = None,
) -> Array:
    r"""Estimate the error of a derivative at each sample, by comparing two accuracies.

    Pass the options of the call of `derivative` whose error is to be estimated.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The estimated error, not negative, in the unit of the derivative, with the library and the
        device of `f`. It is masked, or NaN, where one of the two derivatives is, and masked where
        `f` is masked.

    {errors: help() shows this}

    See Also
    --------
    derivative : The derivative whose error is estimated.
    recommended_spacing : The distance between samples at which the error is smallest.

    Notes
    -----
    On a well-sampled field, the derivative :math:`D_{p+2}` is so much more accurate than
    :math:`D_p` that the difference of the two is the error of :math:`D_p`,

    .. math:: |D_p f - f^{(m)}| = |D_p f - D_{p+2} f| + O(h^{p+2})

    With the weights :math:`w_k` of :math:`D_p`, and samples that are rounded by at most half a unit
    of their last digit :math:`\epsilon f`, the estimate is the maximum of

    .. math::

        \tfrac54 |D_p f - D_{p+2} f| + \tfrac{\epsilon}{4} \sum_k |w_k f_k|

    over the sample and its two neighbours, because the error is zero at some places between regions
    of opposite sign. The factor is the safety factor of grid convergence studies. The second term
    accounts for rounding in floating point; integers are taken as exact.

    On the well-sampled fields of ``python -m benchmarks error_estimates`` (nine functions, 41 to
    1601 samples, errors up to a hundredth of the greatest derivative, first and second derivatives
    of accuracy 2 to 8, float64 to float16), the estimate is an upper bound for at least 97.6 % of
    the errors in each row of the table, and for 96.6 % of the errors at the ends alone. The median
    of the ratio of estimate to error is 1.3 in float64, 3 in float32 and float16, where rounding
    matters, and 5 to 8 at the ends.

    The estimate does not know what happens between the samples. Of noise, it takes into account
    only the difference that noise makes between the two accuracies. It needs about as much memory
    as the field, in addition to the result.

    References
    ----------
    P. J. Roache, *Verification and Validation in Computational Science and Engineering*, Hermosa
    1998, chapter 5.

    Examples
    --------
    The estimate is an upper bound for the error of the derivative of a sine:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 3, 31)
    >>> estimate = gpugrad.error_estimate(np.sin(x), x)
    >>> error = abs(gpugrad.derivative(np.sin(x), x) - np.cos(x))
    >>> bool((error <= estimate).all())
    True
    >>> float(estimate[2:-2].max().round(4)), float(error[2:-2].max().round(4))
    (0.0021, 0.0016)
    """
    f = as_field(f)
    check_one_spacing(spacing)
    samples = MaskedFields([f], where, skipna)
    low_options = Options(order, accuracy, edge_accuracy, boundary, period, None, edge_order)
    # The better derivative has its own accuracy at the ends, too: else both would be wrong alike.
    high_options = Options(order, accuracy + 2, None, boundary, period)
    axis = parse_one_axis(axis)
    (low,), (high,) = (
        plan_axes(samples.fields[0], spacing, axis, time_unit, samples.refine(options))
        for options in (low_options, high_options)
    )
    high = _keep_better(high, order + accuracy + 1)
    unit = _find_rounding(samples.fields[0])
    plans = {"low": low, "high": high} | ({"size": _weigh_absolutely(low)} if unit else {})

    def estimate(slab: Slab) -> Sequence[Array]:
        joined, valid = slab.join_field(samples)
        return [slab.own(_compare(joined, valid, slab.piece.plans, unit, backend))]

    main = MainAxis(low.axis, f.shape[low.axis], plans)
    # Slabs cut what lies before the axis; where weights differ from line to line, the axis itself.
    grid_axes = range(f.ndim) if low.varies_across else (low.axis,)
    is_complex = dtype_name(f.dtype).startswith("complex")
    (size,) = evaluate_in_slabs(
        estimate, samples, main, grid_axes, 1, backend=backend, is_norm=is_complex
    )
    if is_masked(f):
        size[np.ma.getmaskarray(f)] = np.ma.masked
    ((lower, _),) = parse_boundaries(boundary, (low.axis,), f.ndim)
    goes_round = lower.name == "periodic"
    return _spread(size, low.axis, goes_round, samples.are_masked_anywhere)


def _compare(
    f: Array, where: Array | None, plans: Sequence[AxisPlan], unit: float, backend: str | None
) -> Array:
    """Return the estimate at single samples, from those that are joined for a slab."""
    low, high = evaluate([(Term(1, f, plan, where),) for plan in plans[:2]], backend=backend)
    with np.errstate(all="ignore"):  # infinite derivatives have no difference
        size = _SAFETY * abs(low - high)
        if unit:
            terms = (Term(1, abs(f), plans[2], where),)
            size = size + _ROUNDING * unit * evaluate([terms], backend=backend)[0]
    return size


def _keep_better(plan: AxisPlan, samples: int) -> AxisPlan:
    """Return a plan without alternatives of fewer samples, which would be no better."""

    def is_better(other: AxisPlan) -> bool:
        reach = other.interior.needs
        return max(reach) - min(reach) + 1 >= samples

    if not plan.alternatives:
        return plan
    alternatives = tuple(filter(is_better, plan.alternatives))
    return plan._replace(alternatives=alternatives, memo={})


def _weigh_absolutely(plan: AxisPlan) -> AxisPlan:
    """Return the plan with the absolute values of its weights, which the plan remembers."""

    def change(formula: Formula) -> Formula:
        weights = tuple(map(abs, formula.weights))
        divisor = None if formula.divisor is None else abs(formula.divisor)
        return Formula(formula.offsets, weights, divisor)

    absolute = plan.memo.get("absolute")
    if absolute is None:
        absolute = plan.memo["absolute"] = plan.change_formulas(change)
    return absolute


def _find_rounding(f: Array) -> float:
    """Return the rounding unit of samples, relative to their size; 0 for what is not rounded."""
    name = dtype_name(f.dtype)
    if name in HALF_PRECISION:
        return _EPSILONS[name]
    if not name.startswith(("float", "complex", "longdouble", "clongdouble")):
        return 0.0
    xp = np if isinstance(f, np.ndarray) else namespace_of(f)
    return float(xp.finfo(f.dtype).eps)


def _spread(size: Array, axis: int, goes_round: bool, are_masked: bool) -> Array:
    """Return the greatest of each sample and its two neighbours, passing over masked ones."""
    if is_masked(size):
        known = ~np.ma.getmaskarray(size)
        values = np.ma.getdata(size)
        known_values = np.where(known, values, np.zeros_like(values))
        values[...] = _spread_plain(known_values, axis, goes_round)
        return size
    if not are_masked:
        return _spread_plain(size, axis, goes_round)
    xp = namespace_of(size)
    known = ~xp.isnan(size)
    greatest = _spread_plain(xp.where(known, size, xp.zeros_like(size)), axis, goes_round)
    return xp.where(known, greatest, size)


def _spread_plain(size: Array, axis: int, goes_round: bool) -> Array:
    rows = partial(rows_of, size.ndim, axis)
    first, last, behind, before = rows(0, 1), rows(-1, None), rows(1, None), rows(0, -1)
    xp = namespace_of(size)
    if _may_be_changed(size):
        greatest = size.clone() if array_api_compat.is_torch_array(size) else size.copy()
        pairs = [(behind, before), (before, behind)]
        for here, there in pairs + [(first, last), (last, first)] * goes_round:
            xp.maximum(greatest[here], size[there], out=greatest[here])
        return greatest
    upper = xp.concat([size[behind], size[first if goes_round else last]], axis=axis)
    lower = xp.concat([size[last if goes_round else first], size[before]], axis=axis)
    return xp.maximum(size, xp.maximum(lower, upper))


def _may_be_changed(x: Array) -> bool:
    """Tell whether an array can be written to."""
    if isinstance(x, np.ndarray) or array_api_compat.is_cupy_array(x):
        return True
    return array_api_compat.is_torch_array(x) and not is_differentiated(x)
