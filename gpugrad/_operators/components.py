"""The components of a vector field: fields of one kind, as many as there are axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpugrad._arrays import Array, as_field, device_of, dtype_name, is_library_array, library_of
from gpugrad._stencils import AxisPlan, Operator


def as_components(v: Any) -> list[Array]:
    """Return the components of a vector field as fields of one kind."""
    if isinstance(v, (list, tuple)):
        fields = [as_field(component) for component in v]
    else:
        whole = as_field(v)
        if whole.ndim < 2:
            raise ValueError(
                "`v` must have its components on its first axis, and samples on others; got an "
                f"array of shape {tuple(whole.shape)}. Pass a sequence of components."
            )
        fields = [whole[i, ...] for i in range(whole.shape[0])]
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


def check_plans(row: Operator, plans: Sequence[AxisPlan], fields: Sequence[Array]) -> None:
    """Raise ValueError unless an operator can use these plans, and has the components it needs."""
    check_count(row, fields, len(plans))
    check_mixed(row, plans)


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
