"""What the package exports, for type checkers: at run time most of it is loaded late.

The operators stand here with the types of their results. A field's own type is kept, so that a
tensor gives tensors; integers and nested sequences become arrays of floats. Where the number of
results depends on the number of axes, which no type tells, the result is `Any`, as of
`numpy.gradient`; name the axes, or pass ``stack=True``, to have a type.
"""

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

from matplotlib.figure import Figure
from numpy.typing import NDArray

from gpugrad import symbolic as symbolic
from gpugrad._analysis.critical_points import CriticalPoint as CriticalPoint
from gpugrad._analysis.critical_points import CriticalPoints as CriticalPoints
from gpugrad._analysis.inflection_points import InflectionPoint as InflectionPoint
from gpugrad._analysis.inflection_points import InflectionPoints as InflectionPoints
from gpugrad._analysis.noise import RecommendedSpacing as RecommendedSpacing
from gpugrad._analysis.noise import noise_level as noise_level
from gpugrad._analysis.turning_points import TurningPoint as TurningPoint
from gpugrad._analysis.turning_points import TurningPoints as TurningPoints
from gpugrad._arrays.arrays import BackendError as BackendError
from gpugrad._arrays.arrays import GpugradWarning as GpugradWarning
from gpugrad._arrays.arrays import asnumpy as asnumpy
from gpugrad._arrays.memory import free_memory as free_memory
from gpugrad._arrays.namespaces import namespace as namespace
from gpugrad._engines.explanation import Explanation as Explanation
from gpugrad._engines.info import Info as Info
from gpugrad._engines.info import info as info
from gpugrad._engines.selection import use_backend as use_backend
from gpugrad._functions.analytic_array import NotAnalytic as NotAnalytic
from gpugrad._functions.derivative_of import curl_of as curl_of
from gpugrad._functions.derivative_of import derivative_of as derivative_of
from gpugrad._functions.derivative_of import divergence_of as divergence_of
from gpugrad._functions.derivative_of import gradient_of as gradient_of
from gpugrad._functions.derivative_of import hessian_of as hessian_of
from gpugrad._functions.derivative_of import jacobian_of as jacobian_of
from gpugrad._functions.derivative_of import laplacian_of as laplacian_of
from gpugrad._functions.function_derivative import DerivativeEstimate as DerivativeEstimate
from gpugrad._functions.function_derivative import FunctionDerivative as FunctionDerivative
from gpugrad._functions.tabulate import Table as Table
from gpugrad._functions.tabulate import tabulate as tabulate
from gpugrad._grids.typing import (
    ArrayT,
    FaceOptions,
    FirstOptions,
    Numbers,
    NumbersOrComplex,
    OperatorOptions,
    ThreeAxes,
    TwoAxes,
)
from gpugrad._operators.curved.curvilinear import CurvilinearGrid as CurvilinearGrid
from gpugrad._operators.curved.sphere import Sphere as Sphere
from gpugrad._operators.curved.sphere import SphereGradient as SphereGradient
from gpugrad._operators.explain import explain as explain
from gpugrad._operators.plan import Plan as Plan
from gpugrad._patch.patch import patch_numpy as patch_numpy
from gpugrad._stencils.textbook import Stencil as Stencil
from gpugrad._stencils.textbook import TruncationError as TruncationError
from gpugrad._stencils.textbook import stencil as stencil
from gpugrad._version import __version__ as __version__
from gpugrad.typing import Axes, Axis, Backend, Boundary, EdgeOrder, Period, Side, Spacing, Stagger

@overload
def gradient(
    f: Numbers,
    *spacings: Spacing,
    axis: Axis,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> NDArray[Any]:
    """Return the gradient of a sampled field, as `numpy.gradient` does, for any array library.

    Options are `axis`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `stagger`, `time_unit`, `where`, `skipna`, `out`, `stack` and `backend`;
    `help(gpugrad.gradient)` tells of each.
    """

@overload
def gradient(
    f: Numbers,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> NDArray[Any]: ...
@overload
def gradient(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axis,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def gradient(
    f: ArrayT,
    *spacings: Spacing,
    axis: TwoAxes,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> tuple[ArrayT, ArrayT]: ...
@overload
def gradient(
    f: ArrayT,
    *spacings: Spacing,
    axis: ThreeAxes,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> tuple[ArrayT, ArrayT, ArrayT]: ...
@overload
def gradient(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def gradient(
    f: Any,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: bool = False,
    **options: Unpack[FaceOptions],
) -> Any: ...
@overload
def derivative(
    f: Numbers,
    *spacings: Spacing,
    axis: Axis = -1,
    order: int = 1,
    out: Any = None,
    **options: Unpack[FaceOptions],
) -> NDArray[Any]:
    """Return a derivative of a sampled field along one axis, of any order and accuracy.

    Options are `axis`, `order`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `stagger`, `time_unit`, `where`, `skipna`, `out` and `backend`; `help(gpugrad.derivative)`
    tells of each.
    """

@overload
def derivative(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axis = -1,
    order: int = 1,
    out: Any = None,
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def divergence(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[FaceOptions],
) -> ArrayT:
    """Return the divergence of a sampled vector field, in one pass over its components.

    Options are `axis`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `stagger`, `time_unit`, `where`, `skipna`, `out` and `backend`; `help(gpugrad.divergence)`
    tells of each.
    """

@overload
def divergence(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def curl(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> ArrayT:
    """Return the curl of a sampled vector field, in one pass over its components.

    Options are `axis`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `stagger`, `time_unit`, `where`, `skipna`, `out`, `stack` and `backend`; `help(gpugrad.curl)`
    tells of each.
    """

@overload
def curl(
    v: tuple[ArrayT, ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def curl(
    v: tuple[ArrayT, ArrayT, ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> tuple[ArrayT, ArrayT, ArrayT]: ...
@overload
def curl(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def curl(
    v: Any,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: bool = False,
    **options: Unpack[FaceOptions],
) -> Any: ...
@overload
def laplacian(
    f: Numbers,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[OperatorOptions],
) -> NDArray[Any]:
    """Return the Laplacian of a sampled field, in one pass over the field.

    Options are `axis`, `accuracy`, `boundary`, `edge_accuracy`, `period`, `time_unit`, `where`,
    `skipna`, `out` and `backend`; `help(gpugrad.laplacian)` tells of each.
    """

@overload
def laplacian(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[OperatorOptions],
) -> ArrayT: ...
@overload
def vector_laplacian(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[OperatorOptions],
) -> tuple[ArrayT, ...]:
    """Return the Laplacian of each component of a sampled vector field, in one pass.

    Options are `axis`, `accuracy`, `boundary`, `edge_accuracy`, `period`, `time_unit`, `where`,
    `skipna`, `out`, `stack` and `backend`; `help(gpugrad.vector_laplacian)` tells of each.
    """

@overload
def vector_laplacian(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[OperatorOptions],
) -> ArrayT: ...
@overload
def vector_laplacian(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[OperatorOptions],
) -> tuple[ArrayT, ...]: ...
@overload
def vector_laplacian(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[OperatorOptions],
) -> ArrayT: ...
@overload
def vector_laplacian(
    v: Any,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: bool = False,
    **options: Unpack[OperatorOptions],
) -> Any: ...
@overload
def jacobian(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> tuple[tuple[ArrayT, ...], ...]:
    """Return the derivatives of all components of a sampled vector field along all axes.

    Options are `axis`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `stagger`, `time_unit`, `where`, `skipna`, `out`, `stack` and `backend`;
    `help(gpugrad.jacobian)` tells of each.
    """

@overload
def jacobian(
    v: Sequence[ArrayT],
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def jacobian(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[FaceOptions],
) -> tuple[tuple[ArrayT, ...], ...]: ...
@overload
def jacobian(
    v: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[FaceOptions],
) -> ArrayT: ...
@overload
def jacobian(
    v: Any,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: bool = False,
    **options: Unpack[FaceOptions],
) -> Any: ...
@overload
def hessian(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[False] = False,
    **options: Unpack[OperatorOptions],
) -> tuple[tuple[ArrayT, ...], ...]:
    """Return all second derivatives of a sampled field.

    Options are `axis`, `accuracy`, `boundary`, `edge_accuracy`, `period`, `time_unit`, `where`,
    `skipna`, `out`, `stack` and `backend`; `help(gpugrad.hessian)` tells of each.
    """

@overload
def hessian(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: Literal[True],
    **options: Unpack[OperatorOptions],
) -> ArrayT: ...
@overload
def hessian(
    f: Any,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    stack: bool = False,
    **options: Unpack[OperatorOptions],
) -> Any: ...
@overload
def gradient_norm(
    f: NumbersOrComplex,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[FirstOptions],
) -> NDArray[Any]:
    """Return the length of the gradient of a sampled field, in one pass over the field.

    Options are `axis`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `time_unit`, `where`, `skipna`, `out` and `backend`; `help(gpugrad.gradient_norm)` tells of
    each.
    """

@overload
def gradient_norm(
    f: ArrayT,
    *spacings: Spacing,
    axis: Axes = None,
    out: Any = None,
    **options: Unpack[FirstOptions],
) -> ArrayT: ...
@overload
def error_estimate(
    f: Numbers, *spacings: Spacing, axis: Axis = -1, order: int = 1, **options: Unpack[FirstOptions]
) -> NDArray[Any]:
    """Estimate the error of a derivative at each sample, by comparing two accuracies.

    Options are `axis`, `order`, `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`,
    `time_unit`, `where`, `skipna` and `backend`; `help(gpugrad.error_estimate)` tells of each.
    """

@overload
def error_estimate(
    f: ArrayT, *spacings: Spacing, axis: Axis = -1, order: int = 1, **options: Unpack[FirstOptions]
) -> ArrayT: ...
@overload
def smooth_derivative(
    f: Numbers,
    *spacings: Spacing,
    spacing: Spacing = None,
    axis: Axis = -1,
    order: int = 1,
    window_length: int | None = None,
    polyorder: int | None = None,
    lam: float | None = None,
    boundary: Side = "one-sided",
    time_unit: str | None = None,
    out: Any = None,
) -> NDArray[Any]:
    """Return a derivative of noisy samples along an axis, by a filter or a smoothing spline.

    Options are `axis`, `order`, `window_length`, `polyorder`, `lam`, `boundary`, `time_unit` and
    `out`; `help(gpugrad.smooth_derivative)` tells of each.
    """

@overload
def smooth_derivative(
    f: ArrayT,
    *spacings: Spacing,
    spacing: Spacing = None,
    axis: Axis = -1,
    order: int = 1,
    window_length: int | None = None,
    polyorder: int | None = None,
    lam: float | None = None,
    boundary: Side = "one-sided",
    time_unit: str | None = None,
    out: Any = None,
) -> ArrayT: ...
def plot(
    f: Any,
    *spacings: Any,
    panels: str | int | Sequence[str | int] | None = None,
    points: str | Sequence[str] | None = None,
    prominence: Any = None,
    ax: Any = None,
    **options: Unpack[FirstOptions],
) -> Figure:
    """Draw a sampled curve or field with its gradient.

    Options are `edge_order`, `accuracy`, `boundary`, `edge_accuracy`, `period`, `time_unit`,
    `where`, `skipna`, `backend`, `panels`, `points`, `prominence` and `ax`; `help(gpugrad.plot)`
    tells of each.
    """

def turning_points(
    f: Any,
    *spacings: Spacing,
    spacing: Spacing = None,
    axis: Axis = -1,
    prominence: float | None = None,
    ends: bool = False,
    plateaus: bool = False,
) -> TurningPoints:
    """Find the maxima and minima of sampled curves, located between the samples.

    Options are `axis`, `prominence`, `ends` and `plateaus`; `help(gpugrad.turning_points)` tells
    of each.
    """

def inflection_points(
    f: Any,
    *spacings: Spacing,
    spacing: Spacing = None,
    axis: Axis = -1,
    prominence: float | None = None,
    time_unit: str | None = None,
) -> InflectionPoints:
    """Find the points where the curvature of sampled curves changes its sign, between the samples.

    Options are `axis`, `prominence` and `time_unit`; `help(gpugrad.inflection_points)` tells of
    each.
    """

def critical_points(
    f: Any,
    *spacings: Spacing,
    spacing: Spacing | Sequence[Spacing] = None,
    boundary: Boundary = "one-sided",
    period: Period | None = None,
) -> CriticalPoints:
    """Find the minima, maxima and saddles of a sampled field, located between the samples.

    Options are `boundary` and `period`; `help(gpugrad.critical_points)` tells of each.
    """

def recommended_spacing(
    f: Any = None,
    *spacings: Spacing,
    spacing: Spacing = None,
    noise: Any = None,
    magnitude: Any = None,
    order: int = 1,
    accuracy: int = 2,
) -> RecommendedSpacing:
    """Recommend a distance between samples that balances noise and truncation errors.

    Options are `noise`, `magnitude`, `order` and `accuracy`; `help(gpugrad.recommended_spacing)`
    tells of each.
    """

def plan(
    shape: int | Sequence[int],
    *spacings: Spacing,
    spacing: Spacing | Sequence[Spacing] = None,
    dtype: Any = "float64",
    operator: str = "gradient",
    axis: Axes = None,
    order: int | None = None,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = "one-sided",
    edge_accuracy: int | None = None,
    period: Period | None = None,
    stagger: Stagger = None,
    time_unit: str | None = None,
    where: Any = None,
    components: int | None = None,
    stack: bool = False,
    like: Any = None,
    backend: Backend | None = None,
) -> Plan:
    """Plan an operator for fields of one shape and dtype, to apply it many times or as a matrix.

    Options are `dtype`, `operator`, `axis`, `order`, `edge_order`, `accuracy`, `boundary`,
    `edge_accuracy`, `period`, `stagger`, `time_unit`, `where`, `components`, `stack`, `like` and
    `backend`; `help(gpugrad.plan)` tells of each.
    """
