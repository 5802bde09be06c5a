"""The components of a vector field: fields of one kind, as many as there are axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpugrad._arrays import (
    Array,
    as_field,
    device_of,
    dtype_name,
    from_host,
    is_library_array,
    library_of,
    stack_results,
)
from gpugrad._keywords import refuse_loose_components
from gpugrad._stencils import AxisPlan, Operator


def as_components(v: Any, spacing: Sequence[Any] = ()) -> list[Array]:
    """Return the components of a vector field as fields of one kind.

    `spacing` is what stands beside it in a call, to tell components that are given one by one.
    """
    refuse_loose_components(v, spacing)
    if isinstance(v, (list, tuple)):
        fields = [as_field(component) for component in v]
    else:
        v = as_field(v)
        if v.ndim < 2:
            raise ValueError(
                "`v` must have its components on its first axis, and samples on others; got an "
                f"array of shape {tuple(v.shape)}. Pass a sequence of components."
            )
        fields = [v[i, ...] for i in range(v.shape[0])]
    if not fields:
        raise ValueError("`v` must have at least one component; got none.")
    first = fields[0]
    for i, f in enumerate(fields[1:], start=1):
        if library_of(f) != library_of(first) or type(f) is not type(first):
            raise TypeError(
                f"components of `v` must be of one library; got {_kind_of(first)} and "
                f"{_kind_of(f)}."
            )
        if f.dtype != first.dtype:
            raise TypeError(
                f"components of `v` must have one dtype; got {dtype_name(first.dtype)} for the "
                f"first and {dtype_name(f.dtype)} for component {i}. Convert one of them."
            )
        if tuple(f.shape) != tuple(first.shape):
            raise ValueError(
                f"components of `v` must have one shape; got {tuple(first.shape)} for the first "
                f"and {tuple(f.shape)} for component {i}."
            )
        if is_library_array(f) and device_of(f) != device_of(first):
            raise ValueError(
                f"components of `v` must be on one device; got {device_of(first)} and "
                f"{device_of(f)}. Nothing is moved silently."
            )
    return fields


def _kind_of(f: Array) -> str:
    return f"{library_of(f)}'s {type(f).__name__}"


def match_library(values: Array, f: Array) -> Array:
    """Return values of the host as an array of the library and on the device of a field."""
    if is_library_array(f) and not is_library_array(values):
        return from_host(values, like=f)
    return values


def find_shape(row: Operator, components: int, axes: int, stack: bool) -> tuple[int, ...]:
    """Return how many results lie in tuples, or on the first axes of one array: () for one."""
    shape = row.shape_of_results(components, axes, stack)
    if stack and not shape:
        raise ValueError("`stack` needs three axes: on two, the curl has one component.")
    return shape


def join_results(results: Sequence[Array], shape: Sequence[int], stack: bool) -> Any:
    """Return results in tuples, or in one array, as many in each as `shape` says."""
    join: Callable[[Sequence[Any]], Any] = stack_results if stack else tuple
    if len(shape) > 1:
        n = shape[1]
        results = [join(results[i : i + n]) for i in range(0, len(results), n)]
    return join(results) if shape else results[0]


def check_plans(row: Operator, plans: Sequence[AxisPlan], fields: Sequence[Array]) -> None:
    """Raise ValueError unless an operator can use these plans, and has the components it needs."""
    check_count(row, fields, len(plans))
    check_mixed(row, plans)


def check_has_length(f: Array) -> None:
    """Raise TypeError where a field's gradient has no length, as squares of times are none."""
    if dtype_name(f.dtype).startswith(("datetime", "timedelta")):
        raise TypeError(
            f"`f` must hold numbers to have a gradient with a length; got dtype {f.dtype}. Divide "
            "by a unit of time first, as in `f / numpy.timedelta64(1, 's')`."
        )


def check_mixed(row: Operator, plans: Sequence[AxisPlan]) -> None:
    """Raise ValueError where a boundary says too little for mixed derivatives."""
    mixes = row.gives == "pairs" and len(plans) > 1
    if mixes and any(end.constant is not None for p in plans for end in (*p.lower, *p.upper)):
        raise ValueError(
            "`boundary` must not be a given value or slope: it says nothing of mixed derivatives. "
            "Take `derivative(..., order=2)` along single axes."
        )


def check_count(row: Operator, fields: Sequence[Array], axes: int) -> None:
    """Raise ValueError unless there are as many axes, and components, as an operator needs."""
    least, most = row.axes
    if most is not None and not least <= axes <= most:
        raise ValueError(
            f"a {row.title} needs two or three axes; got {axes}. Name them with `axis`."
        )
    if row.takes == "vector" and len(fields) != axes:
        raise ValueError(
            f"a {row.title} needs one component for each axis; got {len(fields)} components for "
            f"{axes} axes of samples of shape {tuple(fields[0].shape)}. Name the axes that "
            "are space with `axis`."
        )
    if not axes:
        raise ValueError(f"a {row.title} needs at least one axis; got none of them.")
