"""What the command computes of the fields in a file: outputs, their names and their units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpugrad._arrays import result_dtype
from gpugrad._axes import plan_axes
from gpugrad._components import check_count
from gpugrad._files.errors import FileError
from gpugrad._files.raw import open_npy
from gpugrad._files.sources import Source, Values
from gpugrad._naming import Labels
from gpugrad._options import Options
from gpugrad._plan import AxisPlan, Norm, Term
from gpugrad._terms import curl_terms, divergence_terms, each_derivative, laplacian_terms
from gpugrad._units import unit_of_time

OPERATORS = (
    "gradient", "gradient_norm", "derivative", "laplacian", "divergence", "curl", "jacobian",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What to compute, in the words of the package's functions."""

    operator: str = "gradient"
    axes: tuple[str, ...] = ()
    spacing: tuple[float, ...] = ()
    coords: tuple[str, ...] = ()
    order: int = 1
    accuracy: int = 2
    edge_order: int = 1
    edge_accuracy: int | None = None
    boundary: Any = "one-sided"
    period: Any = None
    stagger: Any = None
    skipna: bool = False
    time_unit: str | None = None
    backend: str | None = None


@dataclass(frozen=True)
class Work:
    """Outputs, whose terms are a sign, the number of a field and a plan; names for the results."""

    outputs: Sequence[Sequence[Any]]
    names: tuple[str, ...]
    attributes: tuple[Mapping[str, Any], ...]

    def find_dtype(self, f: Source) -> np.dtype[Any]:
        """Return the dtype of the results for a field."""
        is_norm = isinstance(self.outputs[0], Norm)
        dtype: np.dtype[Any] = np.dtype(result_dtype(np, np.empty(0, f.dtype), is_norm))
        return dtype

    @property
    def plans(self) -> list[AxisPlan]:
        return [plan for terms in self.outputs for _, _, plan in terms]


def as_components(sources: Sequence[Source], operator: str) -> list[Source]:
    """Return the fields an operator takes: for vector fields one nameless array is cut in pieces.

    Raises
    ------
    FileError
        If they differ in shape or dtype.
    """
    if operator not in ("divergence", "curl", "jacobian"):
        return [*sources]
    if len(sources) == 1 and len(sources[0].shape) > 1:
        return [sources[0].pick(i) for i in range(sources[0].shape[0])]
    first = sources[0]
    for other in sources[1:]:
        if (other.shape, other.dtype, other.dims) != (first.shape, first.dtype, first.dims):
            raise FileError(
                f"the components must have one shape, dtype and axes; got {first.name} with "
                f"{first.shape} {first.dtype} and {other.name} with {other.shape} {other.dtype}."
            )
    return [*sources]


def plan_work(fields: Sequence[Source], request: Request) -> Work:
    """Plan what is asked for, with the errors of the package's functions.

    Raises
    ------
    FileError
        If an axis is unknown, or the components are too many or too few.
    TypeError, ValueError
        As the operators raise them.
    """
    f = fields[0]
    axes = [_find_axis(f, name) for name in request.axes] or [*range(len(f.shape))]
    spacing = _find_spacings(f, axes, request)
    stand_in = np.broadcast_to(np.zeros((), f.dtype), f.shape)
    time_unit = request.time_unit
    if time_unit is None and any(np.asarray(one).dtype.kind in "mM" for one in spacing):
        time_unit = "s"

    def plan(order: int) -> list[AxisPlan]:
        edge: Any = request.edge_accuracy
        if edge is None and order == 1 and request.accuracy == 2:
            edge = request.edge_order
        options = Options(
            order, request.accuracy, edge, request.boundary, request.period, request.stagger
        )
        if request.skipna and may_have_holes(f.dtype):
            best = request.edge_accuracy
            options = options._replace(beside_holes=request.accuracy if best is None else best)
        return plan_axes(stand_in, spacing, tuple(axes), time_unit, options)

    labels = _labels(fields, axes, time_unit, request).of(request.operator)
    return Work(
        _outputs(request, plan, fields),
        tuple(label.name for label in labels),
        tuple(label.attributes for label in labels),
    )


def _labels(
    fields: Sequence[Source], axes: Sequence[int], time_unit: str | None, request: Request
) -> Labels:
    f = fields[0]
    dims = [f.dims[axis] for axis in axes]
    dim_units = []
    for dim in dims:
        dates = dim in f.coordinates and f.coordinates[dim].dtype.kind in "mM"
        units = f.coordinate_attributes.get(dim, {}).get("units")
        dim_units.append(unit_of_time(time_unit or "s") if dates else units)
    if request.spacing or request.coords:  # which may be in other units
        dim_units = [None] * len(dims)
    return Labels(
        [field.name for field in fields],
        [field.attributes.get("units") for field in fields],
        dims,
        dim_units,
        request.order if request.operator == "derivative" else 1,
    )


def may_have_holes(dtype: np.dtype[Any]) -> bool:
    """Tell whether numbers may be NaN."""
    return dtype.kind in "fcmM"


def _outputs(
    request: Request, plan: Callable[[int], list[AxisPlan]], fields: Sequence[Source]
) -> Sequence[Sequence[Any]]:
    operator = request.operator
    if request.order != 1 and operator != "derivative":
        raise FileError(f"--order goes with --operator derivative; got it with {operator}.")
    if operator in ("laplacian", "gradient_norm") and request.stagger is not None:
        raise FileError(f"--stagger does not go with --operator {operator}. Leave one out.")
    if operator == "gradient_norm" and fields[0].dtype.kind in "mM":
        raise FileError("gradients of dates have no length. Choose another --operator.")
    if operator == "laplacian":
        return laplacian_terms(plan(2), _term)
    plans = plan(request.order if operator == "derivative" else 1)
    if operator == "curl" and len(plans) not in (2, 3):
        raise FileError(f"a curl needs two or three axes; got {len(plans)}. Name them: --axis.")
    if operator in ("divergence", "curl"):
        check_count([*fields], plans, operator)
        return (divergence_terms if operator == "divergence" else curl_terms)(plans, _term)
    if operator == "gradient_norm":
        return [Norm(map(_term, plans))]
    return each_derivative(plans, _term, len(fields))


def _term(plan: AxisPlan, i: int = 0, sign: int = 1) -> Any:
    return sign, i, plan


def as_terms(
    work: Work,
    fields: Sequence[Values],
    valid: Sequence[Values | None],
    move: Callable[[AxisPlan], AxisPlan],
) -> Any:
    """Return the outputs on arrays that hold a block, with the plans moved there.

    `valid` says of each field where it has samples, None if it has them all.
    """
    return [
        (Norm if isinstance(terms, Norm) else tuple)(
            Term(sign, fields[i], move(plan), valid[i]) for sign, i, plan in terms
        )
        for terms in work.outputs
    ]


def _find_axis(f: Source, name: str) -> int:
    if name in f.dims:
        return f.dims.index(name)
    try:
        axis = int(name)
    except ValueError:
        axis = len(f.shape)
    if not -len(f.shape) <= axis < len(f.shape):
        raise FileError(
            f"--axis must name axes of {f.label}: {', '.join(f.dims)}, or numbers below "
            f"{len(f.shape)}; got {name}."
        )
    return axis % len(f.shape)


def _find_spacings(f: Source, axes: Sequence[int], request: Request) -> tuple[Any, ...]:
    """Return spacings for the axes: as given, else the coordinates in the file, else 1."""
    if request.spacing and request.coords:
        raise FileError("--spacing and --coords can't go together. Leave one out.")
    if request.spacing:
        if len(request.spacing) not in (1, len(axes)):
            raise FileError(
                f"--spacing must have one number, or one for each of {len(axes)} axes; got "
                f"{len(request.spacing)}."
            )
        return request.spacing
    if request.coords:
        if len(request.coords) != len(axes):
            raise FileError(
                f"--coords must name one for each of {len(axes)} axes; got {len(request.coords)}."
            )
        pairs = zip(axes, request.coords, strict=True)
        return tuple(_load_coordinates(f, axis, name) for axis, name in pairs)
    for axis in axes:
        if f.dims[axis] in f.unknown_spacing:
            raise FileError(
                f"the spacing of axis {f.dims[axis]} of {f.label} is unknown, as "
                f"{f.unknown_spacing[f.dims[axis]]}. Pass --spacing, or leave it out with --axis."
            )
    return tuple(f.coordinates.get(f.dims[axis], 1.0) for axis in axes)


def _load_coordinates(f: Source, axis: int, name: str) -> Values:
    """Return coordinates from a `.npy` file, or by their name in the file of the field."""
    if name in f.coordinates:
        values = f.coordinates[name]
    elif name.endswith(".npy"):
        try:
            with open(name, "rb", buffering=0) as file:
                array, _ = open_npy(f.path.__class__(name), file)
                if math.prod(array.shape) > max(f.shape):
                    raise FileError(
                        f"coordinates must be 1-D, of length {f.shape[axis]} for axis "
                        f"{f.dims[axis]}; {name} has shape {array.shape}."
                    )
                values = np.empty(array.shape, array.dtype)
                array.read(tuple(slice(0, n) for n in array.shape), values)
        except OSError as error:
            raise FileError(f"{name} can't be read: {error.strerror}.") from error
    else:
        known = ", ".join(f.coordinates) or "none"
        raise FileError(
            f"--coords must be .npy files, or coordinates in {f.path}: {known}; got {name}."
        )
    if values.shape != (f.shape[axis],):
        raise FileError(
            f"coordinates {name} must have length {f.shape[axis]} to match axis {f.dims[axis]} of "
            f"{f.label}; got shape {values.shape}."
        )
    return values
