"""Derivatives of functions: what makes them, and what calling them gives."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

import gpugrad


def hill(x: float, y: float) -> float:
    """Return a height."""
    return x**2 * y


def flow(x: float, y: float) -> tuple[float, float]:
    """Return a wind."""
    return x * y, x - y


slope = gpugrad.gradient_of(hill)
assert_type(slope, gpugrad.FunctionDerivative)
assert_type(slope(1.0, 2.0), Any)
assert_type(slope.method, str)
assert_type(gpugrad.derivative_of(np.sin, order=2, return_error=True), gpugrad.FunctionDerivative)
assert_type(gpugrad.jacobian_of(flow, method="complex"), gpugrad.FunctionDerivative)
assert_type(gpugrad.hessian_of(hill, vector=True), gpugrad.FunctionDerivative)
assert_type(gpugrad.divergence_of(flow, points_axis=-1), gpugrad.FunctionDerivative)
assert_type(gpugrad.curl_of(flow, stack=True), gpugrad.FunctionDerivative)
assert_type(gpugrad.laplacian_of(hill, method="central", step=1e-3), gpugrad.FunctionDerivative)
estimate = gpugrad.DerivativeEstimate(12.0, 1e-14)
assert_type(estimate.value, Any)
assert_type(estimate.error, Any)

try:
    gpugrad.derivative_of(abs, method="complex")(2.0)
except gpugrad.NotAnalytic as error:
    assert_type(error, gpugrad.NotAnalytic)

# Wrong calls.
gpugrad.derivative_of(abs, 2)  # type: ignore[call-arg]
gpugrad.gradient_of(3.0)  # type: ignore[arg-type]
gpugrad.gradient_of(hill, method="forward")  # type: ignore[arg-type]
gpugrad.gradient_of(hill, order=2)  # type: ignore[call-arg]
gpugrad.divergence_of(flow, stack=True)  # type: ignore[call-arg]
slope.error  # type: ignore[attr-defined]  # noqa: B018
