"""Wrong calls: a type checker must find each of them.

Each has a comment that lets the error pass; where there is no error, the comment is one.
"""

from __future__ import annotations

import numpy as np

import gpugrad

f = np.zeros((4, 5))

gpugrad.gradiant(f)  # type: ignore[attr-defined]
gpugrad.gradient(f, axis=0).shapes  # type: ignore[attr-defined]  # noqa: B018
gpugrad.gradient(f, acuracy=4)  # type: ignore[call-overload]
gpugrad.gradient(f, edge_order=3)  # type: ignore[call-overload]
gpugrad.gradient(f, boundary="nearest")  # type: ignore[arg-type]
gpugrad.gradient(f, boundary={0: "neumann"})  # type: ignore[arg-type]
gpugrad.gradient(f, stagger=["left", None])  # type: ignore[call-overload]
gpugrad.gradient(f, stagger="middle")  # type: ignore[call-overload]
gpugrad.gradient(f, backend="numba")  # type: ignore[call-overload]
gpugrad.gradient(f, axis=1.5)  # type: ignore[call-overload]
gpugrad.gradient(f, dim=0)  # type: ignore[call-overload]
gpugrad.gradient()  # type: ignore[call-overload]
gpugrad.derivative(f, axis=(0, 1))  # type: ignore[call-overload]
gpugrad.derivative(f, order="2")  # type: ignore[call-overload]
gpugrad.derivative(f, smooth="spline")  # type: ignore[call-overload]
gpugrad.laplacian(f, stagger="left")  # type: ignore[call-overload]
gpugrad.laplacian(f, edge_order=2)  # type: ignore[call-overload]
gpugrad.divergence((f, f), stack=True)  # type: ignore[call-overload]
gpugrad.gradient_norm(f, period="long")  # type: ignore[call-overload]

sphere = gpugrad.Sphere([0.0, 1.0], [0.0, 1.0])
sphere.gradient(f, spacing=1.0)  # type: ignore[call-overload]
sphere.gradient(f).west  # type: ignore[attr-defined]  # noqa: B018
sphere.curl(f, f)  # type: ignore[call-arg]
sphere.divergence(u=f)  # type: ignore[call-arg]
gpugrad.Sphere([0.0, 1.0], [0.0, 1.0], 6.0)  # type: ignore[call-arg]
gpugrad.derivative_of(abs, 2)  # type: ignore[call-arg]
gpugrad.patch_numpy(fallback="yes")  # type: ignore[arg-type]
gpugrad.use_backend("numba")  # type: ignore[arg-type]
gpugrad.plan((4, 5), operator=2)  # type: ignore[arg-type]
gpugrad.turning_points(f, kind="maximum")  # type: ignore[call-arg]
gpugrad.plot(f, pannels="field")  # type: ignore[call-arg]
gpugrad.symbolic.gradient("x", "x", backend="numpy")  # type: ignore[call-arg]
gpugrad.spherical_gradient(f)  # type: ignore[attr-defined]
