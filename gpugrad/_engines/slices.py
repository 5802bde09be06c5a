"""The reference engine: shifted slices of the field, combined and joined through the array API.

It assigns to nothing, so it runs where arrays are immutable, lazy or traced, and automatic
differentiation flows through it. Every other engine is tested against its bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    assign,
    dtype_name,
    from_host,
    loses_digits,
    namespace_of,
    real_floats,
    result_dtype,
    row_of,
    subtract_integers,
    working_dtype,
)
from gpugrad._stencils import (
    AxisPlan,
    Formula,
    Norm,
    Outputs,
    Region,
    Term,
    add_up,
    find_usable_rows,
    is_single,
    rows_of,
)

REAL_PART = {"complex64": "float32", "complex128": "float64"}


def unsupported(outputs: Outputs) -> str | None:
    """Return None: whatever speaks the array API is supported."""
    return None


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output; `out` is written only after every field has been read."""
    return evaluate_terms(differentiate_term, outputs, out)


def evaluate_terms(
    differentiate: Callable[[ModuleType, Term, Any], Array],
    outputs: Outputs,
    out: Sequence[Array] | None,
) -> tuple[Array, ...]:
    """Evaluate each output by what returns the derivative of a term, in a dtype."""
    try:
        results = tuple(_evaluate_output(differentiate, terms) for terms in outputs)
    except ValueError as error:
        # Arrays of sparse are joined only where what they leave out is the same number.
        f = outputs[0][0].field
        if type(f).__module__.startswith("sparse.") and "fill" in str(error):
            raise TypeError(
                "`f` must be dense where results are not the same number wherever it has no "
                f"samples, as at this boundary or under a mask; got a {type(f).__name__} of "
                "sparse. Pass `f.todense()`."
            ) from error
        raise
    if out is None:
        return results
    assign(out, results)
    return tuple(out)


def _evaluate_output(
    differentiate: Callable[[ModuleType, Term, Any], Array], terms: Sequence[Term]
) -> Array:
    f = terms[0].field
    xp = namespace_of(f)
    if is_single(terms):
        return differentiate(xp, terms[0], result_dtype(xp, f))
    # Each term is rounded to the working precision, what they make once more to the result's.
    working = working_dtype(xp, f)
    derivatives = [differentiate(xp, term, working) for term in terms]
    signs = None if isinstance(terms, Norm) else [term.sign for term in terms]
    return combine(f, derivatives, signs)


def combine(f: Array, derivatives: Sequence[Array], signs: Sequence[int] | None) -> Array:
    """Return what derivatives of `f`, and of fields like it, make: their sum, or their norm.

    `signs` says for each whether it is added (1) or subtracted (-1); None stands for a norm.
    """
    xp = namespace_of(f)
    if signs is not None:
        return cast(xp, add_up(derivatives, signs), result_dtype(xp, f))
    total = add_up([_square(xp, df) for df in derivatives], [1] * len(derivatives))
    if isinstance(total, np.ndarray):
        with np.errstate(invalid="ignore"):  # what lies beneath a mask may be negative
            root = np.sqrt(total.astype(np.float64) if total.dtype.kind == "O" else total)
    elif array_api_compat.is_dask_array(total):
        # `where` would lose masks of its blocks; what lies beneath a mask may be negative.
        root = xp.sqrt(xp.abs(total))
    else:
        # The slope of a root is infinite at zero, and times the zero behind it NaN: automatic
        # differentiation is led around it, to a slope of zero.
        is_zero = total == 0
        root = xp.where(is_zero, total, xp.sqrt(xp.where(is_zero, xp.ones_like(total), total)))
    return cast(xp, root, result_dtype(xp, f, is_norm=True))


def _square(xp: ModuleType, df: Array) -> Array:
    """Return the squared magnitudes of real or complex numbers."""
    if dtype_name(df.dtype).startswith("complex"):
        re, im = xp.real(df), xp.imag(df)
        return re * re + im * im
    # The product of `numpy.matrix` is another.
    return np.multiply(df, df) if isinstance(df, np.matrix) else df * df


def differentiate_term(xp: ModuleType, term: Term, dtype: Any) -> Array:
    """Return the derivative of a term: under a mask, each row by the first plan that can."""
    n, axis = term.field.shape[term.plan.axis], term.plan.axis

    def join(plan: AxisPlan, compute: Rows) -> Array:
        return xp.concat([compute(*region) for region in plan.regions(n)], axis=axis)

    return join_rows(xp, term, dtype, join)


Rows = Callable[[Formula, int, int], Array]
"""What gives the rows of a field between two bounds something, by a formula."""


Join = Callable[[AxisPlan, Rows], Array]
"""What computes the rows of a plan, each by its formula, and joins them."""


def join_rows(
    xp: ModuleType,
    term: Term,
    dtype: Any,
    join: Join,
    vanishes: Callable[[Formula], bool] | None = None,
) -> Array:
    """Return the derivative of a term, whose rows are joined by `join`.

    `vanishes` tells whether a formula gives zero for constants, where weights can't be read.
    """
    _, f, plan, where, _ = term
    vanishes = vanishes or vanishes_of_constants
    if where is None:
        return _differentiate(xp, f, plan, dtype, join, vanishes)
    # What is masked must not touch the arithmetic: a NaN would spoil gradients of gradients.
    f = xp.where(where, f, xp.zeros_like(f))
    quietly = np.errstate(all="ignore") if isinstance(f, np.ndarray) else nullcontext()

    def use(formula: Formula, start: int, stop: int) -> Array:
        return find_usable_rows(xp, where, Region(formula, start, stop), plan.axis)

    with quietly:  # formulas that are not used in the end must not warn
        total = None
        for ranked in reversed(plan.ranked):
            df = _differentiate(xp, f, ranked, dtype, join, vanishes)
            other = full_of_nan(xp, df) if total is None else total
            total = xp.where(join(ranked, use), df, other)
    return cast(xp, total, dtype)  # numpy.where, too, turns the other byte order into its own


def full_of_nan(xp: ModuleType, like: Array) -> Array:
    """Return an array of NaN (in both parts of complex ones; of dates, NaT) like another."""
    if isinstance(like, np.ndarray) and like.dtype.kind == "m":
        return np.full_like(like, "NaT")
    name = dtype_name(like.dtype)
    return xp.full_like(like, complex(math.nan, math.nan) if name in REAL_PART else math.nan)


def _differentiate(
    xp: ModuleType,
    f: Array,
    plan: AxisPlan,
    dtype: Any,
    join: Join,
    vanishes: Callable[[Formula], bool],
) -> Array:
    """Return the derivative of a field along one axis: its rows, joined."""
    axis = plan.axis
    integers = f if loses_digits(xp, f) else None
    f = as_working(xp, f)
    arithmetic = arithmetic_dtype(xp, f, plan.dtype)

    def differentiate(formula: Formula, start: int, stop: int) -> Array:
        if not formula.offsets:  # of an alternative: any value will do
            return cast(xp, f[rows_of(f.ndim, axis, start, stop)], dtype)
        rows = [rows_of(f.ndim, axis, start + k, stop + k) for k in formula.offsets]
        if integers is not None and vanishes(formula):
            first = integers[rows[0]]
            samples = [subtract_integers(xp, integers[row], first, f.dtype) for row in rows]
        else:
            samples = [f[row] for row in rows]
        return cast(xp, _combine_samples(xp, samples, axis, formula, arithmetic), dtype)

    # numpy.concatenate turns the other byte order into its own.
    joined = cast(xp, join(plan, differentiate), dtype)
    restore = row_of(f).restore_blocks
    return joined if restore is None else restore(joined, f)


def vanishes_of_constants(formula: Formula) -> bool:
    """Tell whether a formula gives zero for constants, so that any may be subtracted beforehand."""
    _, weights, _, constant = formula
    if constant is not None:
        return False
    if not all(isinstance(w, (int, float, np.generic, np.ndarray)) for w in weights):
        return True  # of coordinates that are not read
    size = max(float(np.max(np.abs(w), initial=0.0)) for w in weights)
    return bool((np.abs(sum(weights)) <= 1e-6 * size).all())


def differentiate_rows(
    samples: Sequence[Array], formula: Formula, axis: int, spacing: np.dtype[Any] | None, dtype: Any
) -> Array:
    """Return rows of a derivative whose samples do not lie in one array.

    `samples` has an array for each offset of the formula, `spacing` is the plan's dtype, and
    `dtype` the result's.
    """
    xp = namespace_of(samples[0])
    samples = [as_working(xp, sample) for sample in samples]
    arithmetic = arithmetic_dtype(xp, samples[0], spacing)
    return cast(xp, _combine_samples(xp, samples, axis, formula, arithmetic), dtype)


def _combine_samples(
    xp: ModuleType, samples: Sequence[Array], axis: int, formula: Formula, dtype: Any
) -> Array:
    """Return some rows: a weighted sum of shifted slices, from left to right."""
    f = samples[0]
    if not formula.is_sum:
        samples = [cast(xp, sample, dtype) for sample in samples]
    total = add_up(samples, [_shape_weight(xp, w, f, axis, dtype) for w in formula.weights])
    if formula.constant is not None:
        total = total + _shape_weight(xp, formula.constant, f, axis, dtype)
    if formula.divisor is None:
        return total
    return cast(xp, total, dtype) / _shape_weight(xp, formula.divisor, f, axis, dtype)


def as_working(xp: ModuleType, f: Array) -> Array:
    """Return the field in the dtype in which its samples are subtracted."""
    dtype = working_dtype(xp, f)
    if isinstance(f, np.ndarray) and f.dtype.kind == "M":
        return f.view(dtype)
    return cast(xp, f, dtype)


def arithmetic_dtype(xp: ModuleType, f: Array, spacing: np.dtype[Any] | None) -> Any:
    """Return the dtype of products and quotients; None leaves it to the operators."""
    if spacing is None or (isinstance(f, np.ndarray) and f.dtype.kind in "mO"):
        return None
    if _has_longdouble(f):
        return np.result_type(f.dtype, spacing)
    name = "float32" if spacing == np.float32 else "float64"
    available = real_floats(xp, f)
    return xp.result_type(f.dtype, available[name]) if name in available else f.dtype


def _shape_weight(xp: ModuleType, w: Any, f: Array, axis: int, dtype: Any) -> Any:
    """Return a weight in the form that multiplies slices of `f`; a 1-D one lies along `axis`.

    A weight of several axes has the axes of `f`.
    """
    if isinstance(w, np.longdouble) and not _has_longdouble(f):
        return float(w)
    if isinstance(w, np.ndarray) and not _has_longdouble(f):
        name = dtype_name(dtype)
        w = from_host(w.astype(REAL_PART.get(name, name)), f)
    if getattr(w, "ndim", 0) == 1:
        shape = (1,) * axis + (-1,) + (1,) * (f.ndim - axis - 1)
        return w.reshape(shape) if isinstance(w, np.ndarray) else xp.reshape(w, shape)
    return w


def _has_longdouble(f: Array) -> bool:
    """Tell whether the arithmetic is NumPy's own, with its extended precision."""
    return isinstance(f, np.ndarray) or array_api_compat.is_dask_array(f)


def cast(xp: ModuleType, x: Array, dtype: Any) -> Array:
    """Return an array in a dtype, None for the one it has; itself where nothing changes."""
    return x if dtype is None or x.dtype == dtype else xp.astype(x, dtype)
