"""Plans, and the formulas of derivatives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import gpugrad

f = np.zeros((4, 5))

plan = gpugrad.plan((4, 5), 0.5, dtype="float32", operator="laplacian", boundary="symmetric")
assert_type(plan, gpugrad.Plan)
assert_type(plan(f), Any)
assert_type(plan.operator, str)
assert_type(plan.shape, tuple[int, ...])
assert_type(plan.dtype, Any)
assert_type(plan.library, str)
assert_type(plan.matrix(format="csr"), Any)
assert_type(plan.offset(), np.ndarray[Any, Any])
assert_type(plan.adjoint(), gpugrad.Plan)
assert_type(plan.linear_operator(), Any)
gpugrad.plan(5, spacing=[0.0, 1.0, 3.0, 4.0, 6.0], edge_order=2, where=f[0] == 0, like=f)
gpugrad.plan((4, 5), axis=("y", "x"), stagger={0: "left"}, period={0: 4.0}, components=2)

formula = gpugrad.stencil(order=2, accuracy=4)
assert_type(formula, gpugrad.Stencil)
assert_type(formula.offsets, tuple[int | Fraction, ...])
assert_type(formula.weights, tuple[Fraction, ...])
assert_type(formula.order, int)
assert_type(formula.accuracy, int)
assert_type(formula.error, gpugrad.TruncationError)
assert_type(formula.error.coefficient, Fraction)
assert_type(formula.error.power, int)
assert_type(formula.error.derivative, int)
weights: NDArray[np.float64] = np.array([float(weight) for weight in formula.weights])
gpugrad.stencil(1, offsets=[-2, 0, 1])

# Wrong calls.
gpugrad.plan((4, 5), operator=2)  # type: ignore[arg-type]
gpugrad.plan(4.5)  # type: ignore[arg-type]
gpugrad.plan((4, 5), boundary="nearest")  # type: ignore[arg-type]
gpugrad.plan((4, 5), edge_order=3)  # type: ignore[arg-type]
gpugrad.plan((4, 5), stagger="middle")  # type: ignore[arg-type]
gpugrad.plan((4, 5), skipna=True)  # type: ignore[call-arg]
plan(f, axis=0)  # type: ignore[call-arg]
plan.inverse()  # type: ignore[attr-defined]
gpugrad.stencil(1, 2, "central", [0, 1])  # type: ignore[call-arg]
formula.error.order  # type: ignore[attr-defined]  # noqa: B018
