"""gpugrad: `numpy.gradient` for every array library, on the CPU and on the GPU.

The same call, the same bits: `gradient` is a drop-in for `numpy.gradient` on NumPy, CuPy,
PyTorch, JAX, Dask and any other array-API library. `use_backend` chooses where the arithmetic
runs, `namespace` gives a namespace to write a workflow against, `info` says what is there.
"""

from typing import TYPE_CHECKING

from gpugrad._arrays.arrays import BackendError, asnumpy
from gpugrad._arrays.memory import free_memory
from gpugrad._engines.selection import use_backend
from gpugrad._late import load_late
from gpugrad._operators.gradient import derivative, gradient, gradient_norm
from gpugrad._version import __version__ as __version__

if TYPE_CHECKING:
    from gpugrad._analysis.critical_points import critical_points
    from gpugrad._analysis.inflection_points import inflection_points
    from gpugrad._analysis.noise import error_estimate, noise_level, recommended_spacing
    from gpugrad._analysis.turning_points import turning_points
    from gpugrad._arrays.devices import namespace
    from gpugrad._engines.info import info
    from gpugrad._functions.derivative_of import (
        curl_of,
        derivative_of,
        divergence_of,
        gradient_of,
        hessian_of,
        jacobian_of,
        laplacian_of,
    )
    from gpugrad._functions.formulas.symbolic import (
        symbolic_curl,
        symbolic_derivative,
        symbolic_divergence,
        symbolic_gradient,
        symbolic_hessian,
        symbolic_jacobian,
        symbolic_laplacian,
    )
    from gpugrad._functions.sample import sample
    from gpugrad._operators.plan import Plan, plan
    from gpugrad._operators.sphere import spherical_curl, spherical_divergence, spherical_gradient
    from gpugrad._operators.vector_calculus import (
        curl,
        divergence,
        hessian,
        jacobian,
        laplacian,
        vector_laplacian,
    )
    from gpugrad._stencils.textbook import stencil

__all__ = [
    "BackendError",
    "Plan",
    "asnumpy",
    "critical_points",
    "curl",
    "curl_of",
    "derivative",
    "derivative_of",
    "divergence",
    "divergence_of",
    "error_estimate",
    "free_memory",
    "gradient",
    "gradient_norm",
    "gradient_of",
    "hessian",
    "hessian_of",
    "inflection_points",
    "info",
    "jacobian",
    "jacobian_of",
    "laplacian",
    "laplacian_of",
    "namespace",
    "noise_level",
    "plan",
    "recommended_spacing",
    "sample",
    "spherical_curl",
    "spherical_divergence",
    "spherical_gradient",
    "stencil",
    "symbolic_curl",
    "symbolic_derivative",
    "symbolic_divergence",
    "symbolic_gradient",
    "symbolic_hessian",
    "symbolic_jacobian",
    "symbolic_laplacian",
    "turning_points",
    "use_backend",
    "vector_laplacian",
]


# What few scripts need is loaded when asked for: an import should cost next to nothing.
__getattr__ = load_late(
    __name__,
    {
        "_analysis.critical_points": "critical_points",
        "_analysis.inflection_points": "inflection_points",
        "_analysis.noise": "error_estimate noise_level recommended_spacing",
        "_analysis.turning_points": "turning_points",
        "_arrays.devices": "namespace",
        "_engines.info": "info",
        "_functions.derivative_of": (
            "curl_of derivative_of divergence_of gradient_of hessian_of jacobian_of laplacian_of"
        ),
        "_functions.formulas.symbolic": (
            "symbolic_curl symbolic_derivative symbolic_divergence symbolic_gradient "
            "symbolic_hessian symbolic_jacobian symbolic_laplacian"
        ),
        "_functions.sample": "sample",
        "_operators.plan": "Plan plan",
        "_operators.sphere": "spherical_curl spherical_divergence spherical_gradient",
        "_operators.vector_calculus": "curl divergence hessian jacobian laplacian vector_laplacian",
        "_stencils.textbook": "stencil",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
