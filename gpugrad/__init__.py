"""gpugrad: `numpy.gradient` for every array library, on the CPU and on the GPU.

The same call, the same bits: `gradient` is a drop-in for `numpy.gradient` on NumPy, CuPy,
PyTorch, JAX, Dask and any other array-API library. `use_backend` chooses where the arithmetic
runs and `explain` says where, `namespace` gives a namespace to write a workflow against, `info`
says what is there.
"""

from gpugrad._arrays.arrays import BackendError, GpugradWarning, asnumpy
from gpugrad._arrays.memory import free_memory
from gpugrad._engines.selection import use_backend
from gpugrad._late import load_late
from gpugrad._operators.gradient import derivative, gradient, gradient_norm

# What few scripts need is loaded when asked for: an import should cost next to nothing. All names
# stand once more in `__init__.pyi`, for type checkers, which then find a name that is misspelt.
_LATE = {
    "_analysis.critical_points": "CriticalPoint CriticalPoints critical_points",
    "_analysis.error_estimate": "error_estimate",
    "_analysis.inflection_points": "InflectionPoint InflectionPoints inflection_points",
    "_analysis.noise": "RecommendedSpacing noise_level recommended_spacing",
    "_analysis.turning_points": "TurningPoint TurningPoints turning_points",
    "_arrays.namespaces": "namespace",
    "_engines.explanation": "Explanation",
    "_engines.info": "Info info",
    "_functions.analytic_array": "NotAnalytic",
    "_functions.derivative_of": (
        "curl_of derivative_of divergence_of gradient_of hessian_of jacobian_of laplacian_of"
    ),
    "_functions.function_derivative": "DerivativeEstimate FunctionDerivative",
    "_functions.tabulate": "Table tabulate",
    "_operators.explain": "explain",
    "_operators.plan": "Plan plan",
    "_operators.curved.curvilinear": "CurvilinearGrid",
    "_operators.smoothing": "smooth_derivative",
    "_operators.curved.sphere": "Sphere SphereGradient",
    "_operators.vector_calculus": "curl divergence hessian jacobian laplacian vector_laplacian",
    "_patch.patch": "patch_numpy",
    "_plots.plot": "plot",
    "_stencils.textbook": "Stencil TruncationError stencil",
    "_version": "__version__",
    "symbolic": "symbolic",
}

# Names that have left before 1.0, and what does their work now.
_MOVED = {
    "sample": "tabulate",
    "symbolic_curl": "symbolic.curl",
    "symbolic_derivative": "symbolic.derivative",
    "symbolic_divergence": "symbolic.divergence",
    "symbolic_gradient": "symbolic.gradient",
    "symbolic_hessian": "symbolic.hessian",
    "symbolic_jacobian": "symbolic.jacobian",
    "symbolic_laplacian": "symbolic.laplacian",
    "spherical_curl": "Sphere(latitude, longitude).curl(u=u, v=v)",
    "spherical_divergence": "Sphere(latitude, longitude).divergence(u=u, v=v)",
    "spherical_gradient": "Sphere(latitude, longitude).gradient(f)",
}

__getattr__ = load_late(__name__, _LATE, _MOVED)
__all__ = sorted({
    "BackendError", "GpugradWarning", "asnumpy", "derivative", "free_memory", "gradient",
    "gradient_norm", "use_backend", *" ".join(_LATE.values()).split(),
} - {"__version__"})  # fmt: skip


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"} - {"load_late"})
