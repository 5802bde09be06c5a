"""gpugrad: `numpy.gradient` for every array library, on the CPU and on the GPU.

The same call, the same bits: `gradient` is a drop-in for `numpy.gradient` on NumPy, CuPy,
PyTorch, JAX, Dask and any other array-API library. `use_backend` chooses where the arithmetic
runs, `namespace` gives a namespace to write a workflow against, `info` says what is there.
"""

from typing import TYPE_CHECKING, Any

from gpugrad._arrays.arrays import asnumpy
from gpugrad._arrays.devices import BackendError
from gpugrad._arrays.memory import free_memory
from gpugrad._engines.selection import use_backend
from gpugrad._operators.gradient import derivative, gradient
from gpugrad._version import __version__ as __version__

if TYPE_CHECKING:
    from gpugrad._analysis.critical_points import critical_points
    from gpugrad._analysis.inflection_points import inflection_points
    from gpugrad._analysis.noise import error_estimate, noise_level, recommended_spacing
    from gpugrad._analysis.turning_points import turning_points
    from gpugrad._arrays.devices import namespace
    from gpugrad._engines.info import info
    from gpugrad._functions.derivative_of import derivative_of, gradient_of, hessian_of, jacobian_of
    from gpugrad._functions.formulas.symbolic import (
        symbolic_curl,
        symbolic_divergence,
        symbolic_gradient,
        symbolic_hessian,
        symbolic_jacobian,
        symbolic_laplacian,
    )
    from gpugrad._functions.sample import sample
    from gpugrad._operators.gradient import gradient_norm
    from gpugrad._operators.plan import Plan, plan
    from gpugrad._operators.sphere import spherical_curl, spherical_divergence, spherical_gradient
    from gpugrad._operators.vector_calculus import curl, divergence, hessian, jacobian, laplacian
    from gpugrad._stencils.textbook import stencil

__all__ = [
    "BackendError",
    "Plan",
    "asnumpy",
    "critical_points",
    "curl",
    "derivative",
    "derivative_of",
    "divergence",
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
    "symbolic_divergence",
    "symbolic_gradient",
    "symbolic_hessian",
    "symbolic_jacobian",
    "symbolic_laplacian",
    "turning_points",
    "use_backend",
]


# What few scripts need is loaded when asked for: an import should cost next to nothing.
_LATER = {
    "critical_points": "_analysis.critical_points",
    "Plan": "_operators.plan",
    "curl": "_operators.vector_calculus",
    "derivative_of": "_functions.derivative_of",
    "divergence": "_operators.vector_calculus",
    "gradient_norm": "_operators.gradient",
    "error_estimate": "_analysis.noise",
    "gradient_of": "_functions.derivative_of",
    "hessian": "_operators.vector_calculus",
    "hessian_of": "_functions.derivative_of",
    "inflection_points": "_analysis.inflection_points",
    "info": "_engines.info",
    "jacobian": "_operators.vector_calculus",
    "jacobian_of": "_functions.derivative_of",
    "laplacian": "_operators.vector_calculus",
    "namespace": "_arrays.devices",
    "noise_level": "_analysis.noise",
    "recommended_spacing": "_analysis.noise",
    "sample": "_functions.sample",
    "plan": "_operators.plan",
    "spherical_curl": "_operators.sphere",
    "spherical_divergence": "_operators.sphere",
    "spherical_gradient": "_operators.sphere",
    "stencil": "_stencils.textbook",
    "symbolic_curl": "_functions.formulas.symbolic",
    "symbolic_divergence": "_functions.formulas.symbolic",
    "symbolic_gradient": "_functions.formulas.symbolic",
    "symbolic_hessian": "_functions.formulas.symbolic",
    "symbolic_jacobian": "_functions.formulas.symbolic",
    "symbolic_laplacian": "_functions.formulas.symbolic",
    "turning_points": "_analysis.turning_points",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"gpugrad.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATER])
