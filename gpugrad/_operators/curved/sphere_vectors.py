"""Divergence and curl on a sphere.

The components of a vector turn with the meridians. So a vector field is differentiated as three
Cartesian components, each a scalar field that is smooth at the poles. On a plain grid most of that
can be said beforehand. A sample at the distance d along a parallel, or along a meridian, meets the
unit vectors of the row with products that depend on d and on the latitude alone:

    along a parallel    e e' = cos d,  e n' = -sin(phi) sin d,  n e' = sin(phi) sin d,
                        n n' = 1 - sin(phi)^2 (1 - cos d)
    along a meridian    e e' = 1,  n n' = cos d,  e n' = n e' = 0

So the same derivatives are found from the components themselves, by formulas whose weights have
been multiplied by cos d, sin d or 1 - cos d: in a third of the time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Protocol

import numpy as np

from gpugrad._arrays import Array, NumpyArray
from gpugrad._operators.curved.slabs import Cut, MainAxis, Slab, as_working, scale
from gpugrad._operators.samples import MaskedFields
from gpugrad._stencils import AxisPlan, Formula, Region

Rows = list[tuple[Array, ...]]
"""For each Cartesian direction: unit vectors to the north and east, derivatives to both."""


FUNCTIONS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "divergence": {"cos": np.cos, "sin": np.sin},
    "curl": {"1 - cos": lambda d: 2 * np.sin(d / 2) ** 2, "sin": np.sin},
}
"""By what weights along a parallel are multiplied, for each operator."""


class FieldsOnSphere(Protocol):
    """What formulas need of the fields of a call, whatever the grid."""

    main: MainAxis

    def kept(self, name: str, make: Callable[[], Sequence[NumpyArray]]) -> list[Array]:
        """Return kept arrays beside the fields."""

    def gradient(self, slab: Slab, joined: Array, where: Array | None) -> list[Array]:
        """Return the derivatives to the north and to the east."""

    def laplacian(self, slab: Slab, joined: Array, where: Array | None) -> Array:
        """Return the Laplacian."""

    def combine_vector(
        self, name: str, slab: Slab, samples: MaskedFields, unit_vectors: Callable[[], Any]
    ) -> Array:
        """Return the divergence or the curl."""


def combine_cartesian(
    name: str,
    slab: Slab,
    fields: FieldsOnSphere,
    samples: MaskedFields,
    unit_vectors: Callable[[], Any],
) -> Array:
    """Return the divergence or the curl from the derivatives of Cartesian components."""
    rows = _differentiate_cartesian(slab, fields, samples, unit_vectors)
    if name == "divergence":
        x, y, z = (scale(d_n, n) + scale(d_e, e) for n, e, d_n, d_e in rows)
    else:
        x, y, z = (scale(d_e, n) - scale(d_n, e) for n, e, d_n, d_e in rows)
    return x + y + z


def _differentiate_cartesian(
    slab: Slab, fields: FieldsOnSphere, samples: MaskedFields, unit_vectors: Callable[[], Any]
) -> Rows:
    """Return what divergence and curl are made of."""
    units = fields.kept("unit vectors", unit_vectors)
    (north, east), masks = samples.fields, [mask for mask in samples.masks if mask is not None]
    where = slab.join(lambda cut: reduce(operator.and_, map(cut, masks))) if masks else None
    rows = []
    for n, e in zip(units[:3], units[3:], strict=True):

        def point(cut: Cut, n: Array = n, e: Array = e) -> Array:
            return cut(n) * as_working(cut(north)) + cut(e) * as_working(cut(east))

        joined = slab.join(point)
        rows.append((slab.cut(n), slab.cut(e), *fields.gradient(slab, joined, where)))
    return rows


def weigh(plan: AxisPlan, x: NumpyArray, function: Callable[[Any], Any]) -> AxisPlan:
    """Return a plan with each weight times a function of the distance of its sample from the row.

    Samples lie at `x`, in radians.
    """
    interior = plan.interior
    is_even = not any(getattr(w, "ndim", 0) for w in interior.weights)
    step = (x[-1] - x[0]) / (len(x) - 1)

    def change(region: Region) -> Formula:
        (offsets, weights, divisor, constant), start, stop = region
        rows = np.arange(start, stop) if stop - start > 1 else start
        changed = {}
        for k, w in zip(offsets, weights, strict=True):
            factor = function(k * step if is_even else x[rows + k] - x[rows])
            if np.any(factor):
                changed[k] = w * (factor if np.ndim(factor) else float(factor))
        return Formula(tuple(changed), tuple(changed.values()), divisor, constant)

    regions = [*plan.regions(len(x))]
    first, last = len(plan.lower), len(regions) - len(plan.upper)
    formulas = [*map(change, regions)]
    return plan._replace(
        lower=tuple(formulas[:first]),
        interior=formulas[first] if last > first else interior,
        upper=tuple(formulas[last:]),
        memo={},
    )
