"""Fields of dates and of spans of time: what they have derivatives of, and what is refused.

NumPy gives such derivatives in the unit of the field, without fractions. That is right for its own
scheme, whose formulas mostly divide once, and wrong where products of weights are cut off one by
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import Array
from gpugrad._stencils import AxisPlan


def holds_times(f: Any) -> bool:
    """Tell whether an array holds dates or spans of time of NumPy."""
    return isinstance(f, np.ndarray) and f.dtype.kind in "mM"


def refuse_times(f: Array, what: str) -> None:
    """Raise TypeError where a field of times has no right result; `what` it must hold numbers for.

    Raises
    ------
    TypeError
        If `f` holds dates or spans of time.
    """
    if holds_times(f):
        times = "f" if f.dtype.kind == "m" else "(f - f.flat[0])"
        raise TypeError(
            f"`f` must hold numbers {what}; got dtype {f.dtype}. Divide by a unit of time first, "
            f"as in `{times} / numpy.timedelta64(1, 's')`."
        )


def check_times(
    f: Array, spacings: Sequence[Any], plans: Sequence[AxisPlan] = (), options: Any = None
) -> None:
    """Raise TypeError where derivatives of a field of times would be wrong.

    Without options, the plans are NumPy's own. Beside missing samples they may have other weights:
    what is lost then is warned of.
    """
    if not holds_times(f):
        return
    if isinstance(f, np.ma.MaskedArray):
        kind = "timedelta64" if f.dtype.kind == "m" else "datetime64"
        raise TypeError(
            f"`f` must hold numbers where it is masked; got dtype {f.dtype}. Make what is masked "
            f"NaT, as in `f.filled(numpy.{kind}('NaT'))`, and pass `skipna=True`."
        )
    if any(getattr(getattr(x, "dtype", None), "kind", "") in ("m", "M") for x in spacings):
        refuse_times(f, "to be differentiated along times, as a ratio of times is a number")
    if options is None or (options.order == 1 and options._replace(beside_masked=None).are_numpys):
        return
    formulas = (
        formula
        for plan in plans
        for ranked in plan.ranked
        for formula in (*ranked.lower, ranked.interior, *ranked.upper)
    )
    if not all(_is_whole(w) for formula in formulas for w in formula.weights):
        refuse_times(f, "for this scheme, whose weights are fractions")


def _is_whole(weight: Any) -> bool:
    """Tell whether a product with a weight is a whole number again."""
    return isinstance(weight, (int, float, np.floating)) and float(weight).is_integer()
