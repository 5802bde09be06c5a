"""Arrays that are traced where there are several devices: slices, joined as XLA can cut them.

How such an array will be cut is known to XLA alone. Where it joins pieces of unlike lengths along
an axis that is cut, it sends the whole field twice round. It knows better how to pad the rows
between the ends, and to put rows at the ends in: then only rows at the seams of blocks travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from gpugrad._arrays import Array
from gpugrad._engines import slices
from gpugrad._stencils import AxisPlan, Outputs, Term


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output."""
    return slices.evaluate_terms(_differentiate, outputs, out)


def _differentiate(xp: ModuleType, term: Term, dtype: Any) -> Array:
    f, axis = term.field, term.plan.axis
    n = f.shape[axis]
    here = xp.reshape(xp.arange(n), (1,) * axis + (n,) + (1,) * (f.ndim - axis - 1))

    def join(plan: AxisPlan, compute: slices.Rows) -> Array:
        # The longest region is what the others are put into.
        base, *others = sorted(plan.regions(n), key=lambda region: region.start - region.stop)
        pads = [(0, 0)] * f.ndim
        pads[axis] = base.start, n - base.stop
        joined = xp.pad(compute(*base), pads)
        for region in others:
            joined = xp.where(here == region.start, compute(*region), joined)
        return joined

    return slices.join_rows(xp, term, dtype, join)
