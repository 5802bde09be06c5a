"""The components of a vector field: fields of one kind, as many as there are axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    as_field,
    deliver,
    dtype_name,
    find_apart,
    from_host,
    is_library_array,
    library_of,
    loses_digits,
    namespace_of,
    stack_results,
    subtract_integers,
    widest_float,
)
from gpugrad._keywords import refuse_loose_components
from gpugrad._stencils import AxisPlan, Operator


def as_components(v: Any, spacing: Sequence[Any] = (), names: Sequence[str] = ()) -> list[Array]:
    """Return the components of a vector field as fields of one kind.

    `spacing` is what stands beside it in a call, to tell components that are given one by one.
    Components that are given by keyword have `names`.
    """
    refuse_loose_components(v, spacing)
    if isinstance(v, (list, tuple)):
        fields = [
            _as_component(component, f"`{names[i]}`" if names else f"component {i} of `v`")
            for i, component in enumerate(v)
        ]
    else:
        v = _as_component(v, "`v`")
        if v.ndim < 2:
            raise ValueError(
                "`v` must have its components on its first axis, and samples on others; got an "
                f"array of shape {tuple(v.shape)}. Pass a sequence of components."
            )
        fields = [v[i, ...] for i in range(v.shape[0])]
    if not fields:
        raise ValueError("`v` must have at least one component; got none.")
    together = " and ".join(f"`{name}`" for name in names) or "components of `v`"
    labels = [f"`{name}`" for name in names] or [
        "the first",
        *map("component {}".format, range(1, len(fields))),
    ]
    for label, f in zip(labels[1:], fields[1:], strict=True):
        for must, find, error, cure in _TRAITS:
            first, other = find(fields[0]), find(f)
            if first != other:
                raise error(
                    f"{together} must {must}; got {first} for {labels[0]} and {other} for {label}. "
                    f"{cure}"
                )
        apart = find_apart(fields[0], f)
        if apart:
            raise ValueError(
                f"{together} must be on one device; got {apart[0]} for {labels[0]} and {apart[1]} "
                f"for {label}. Nothing is moved silently."
            )
    return fields


def _as_component(component: Any, name: str) -> Array:
    try:
        return as_field(component)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("`f`", name)) from error


_TRAITS: tuple[tuple[str, Callable[[Array], Any], type[Exception], str], ...] = (
    (
        "be of one library",
        library_of,
        TypeError,
        "Convert one of them; nothing is moved between libraries silently.",
    ),
    (
        "be of one type",
        lambda f: type(f).__name__,
        TypeError,
        "Convert one of them, as `numpy.ma.asarray` does beside a masked array.",
    ),
    ("have one dtype", lambda f: dtype_name(f.dtype), TypeError, "Convert one of them."),
    ("have one shape", lambda f: tuple(f.shape), ValueError, "Give each of them all samples."),
)
"""What components must have in common, how it is found, and what to do where they have not."""


def widen_half(f: Array) -> Array:
    """Return a field in half precision as float32, any other as it is.

    Where an operator takes two steps, what the first one makes may be out of the range of half
    precision though the result is not, and is rounded but once.
    """
    if dtype_name(f.dtype) not in HALF_PRECISION:
        return f
    if isinstance(f, np.ndarray):
        return f.astype(np.float32)
    xp = namespace_of(f)
    return xp.astype(f, xp.float32)


def round_half(results: Sequence[Array], f: Array) -> Sequence[Array]:
    """Return results of a field that `widen_half` may have widened, in its own dtype."""
    if dtype_name(f.dtype) not in HALF_PRECISION:
        return results
    return deliver(results, f, None, False)


def drop_offset(f: Array) -> Array:
    """Return integers that floats don't tell apart as floats since the first of them.

    It is for operators that see no constant.
    """
    xp = namespace_of(f) if is_library_array(f) else None
    if xp is None or not loses_digits(xp, f):
        return f
    return subtract_integers(xp, f, f[(slice(0, 1),) * f.ndim], widest_float(xp, f))


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
