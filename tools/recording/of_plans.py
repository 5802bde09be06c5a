"""Calls of `plan`: applied, as matrices, as adjoints."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, given, made, options, product
from recording.fields import coordinates, field, in_library, laid_out, mask, values_of

LOADS = ("llvmlite.binding", "scipy.sparse", "array_api_strict")
"""The libraries that the calls need, loaded before the first of them."""

SHAPE = (6, 7)
OPERATORS = ("gradient", "derivative", "divergence", "curl", "laplacian", "jacobian", "hessian")


def _takes(operator: str, dtype: str, shape: Any, library: str = "numpy", count: int = 2) -> Any:
    lead = (count,) if operator in ("divergence", "curl", "jacobian") else ()
    return in_library(values_of(dtype, (*lead, *shape), 5), library)


def apply_plan(shape: Any, dtype: str, *spacing: Any, operator: str, **keywords: Any) -> Any:
    """Make a plan; return what it is, and what it gives when it is called, also after a pickle."""
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    f = _takes(operator, dtype, shape if isinstance(shape, tuple) else (shape,))
    copy = pickle.loads(pickle.dumps(plan))
    about = [repr(plan), plan.operator, plan.shape, str(plan.dtype), plan.library]
    return {"about": about, "result": plan(f), "again": plan(f), "copy": copy(f)}


def make_matrix(
    shape: Any, dtype: str, *spacing: Any, operator: str, format: str = "csr", **keywords: Any
) -> Any:
    """Make a plan; return it as a matrix, and its offset."""
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    return {"matrix": plan.matrix(format), "offset": plan.offset()}


def apply_adjoint(shape: Any, dtype: str, *spacing: Any, operator: str, **keywords: Any) -> Any:
    """Make a plan; return what its adjoint is, and what it makes of the plan's own result."""
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    adjoint = plan.adjoint()
    there = plan(_takes(operator, dtype, shape))
    back = adjoint(there)
    return {"about": repr(adjoint), "back": back, "again": adjoint.adjoint()(_first(there, back))}


def write_plan(
    shape: Any, dtype: str, *spacing: Any, operator: str, **keywords: Any
) -> tuple[Any, Any]:
    """Make a plan, and let it write into arrays; return these."""
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    f = _takes(operator, dtype, shape)
    out = _like(plan(f))
    return plan(f, out=out), out


def _like(results: Any) -> Any:
    return tuple(map(_like, results)) if isinstance(results, tuple) else np.zeros_like(results)


def multiply(shape: Any, dtype: str, *spacing: Any, operator: str, **keywords: Any) -> Any:
    """Make a plan; return its linear operator's shape and dtype, and what both ways give."""
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    linear = plan.linear_operator()
    there = linear @ values_of("f8", (linear.shape[1],), 5)
    return linear.shape, str(linear.dtype), there, linear.rmatvec(there)


def _first(there: Any, back: Any) -> Any:
    return back if back is not None else there


def call_plan(
    shape: Any, dtype: str, f: Any, keywords: dict[str, Any], **call_keywords: Any
) -> Any:
    """Make a plan, and call it with a field."""
    return gpugrad.plan(shape, dtype=dtype, **keywords)(f, **made(call_keywords))


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    operators = options(operator=OPERATORS)
    spacings: dict[str, Any] = {
        "h=0.3": (SHAPE, "float64", 0.3),
        "uneven": (SHAPE, "float64", coordinates(6), coordinates(7)),
        "f4": (SHAPE, "float32", 0.3),
        "c16": (SHAPE, "complex128", 0.3),
        "i4": (SHAPE, "int32", 0.3),
    }
    extra: dict[str, Any] = {
        "": {},
        "accuracy=4": {"accuracy": 4},
        "periodic": {"boundary": "periodic"},
        "symmetric": {"boundary": "symmetric"},
        "value and slope": {"boundary": (2.5, {"normal": -1.0}), "accuracy": 4},
        "where": {"where": mask(SHAPE)},
        "where periodic": {"where": mask(SHAPE), "boundary": "periodic", "accuracy": 4},
        "left": {"stagger": "left"},
        "stack": {"stack": True},
        "edge_accuracy=1": {"edge_accuracy": 1},
        "slices": {"backend": "slices"},
        "compiled": {"backend": "compiled"},
    }
    yield from product("plan", apply_plan, spacings, operators, extra, one_in=4)
    yield from product("plan matrix", make_matrix, spacings, operators, extra, one_in=4)
    yield from product("plan adjoint", apply_adjoint, spacings, operators, extra, one_in=4)
    yield from product("plan written", write_plan, spacings, operators, extra, one_in=8)
    yield from product("plan multiplied", multiply, spacings, operators, extra, one_in=8)
    yield from product(
        "plan matrix", make_matrix, {"line": (9, "float64", 0.5)}, {"": {"operator": "derivative"}},
        options(format=("csr", "csc", "coo", "lil", "dia", "bsr", "dense", None)),
    )  # fmt: skip
    yield from product(
        "plan", apply_plan, {"line": (20, "float64", coordinates(20))},
        {"": {"operator": "derivative"}},
        options(order=(1, 2, 3, 8)), options(accuracy=(2, 4, 8)),
        {"": {}, "periodic": {"boundary": "periodic"}},
    )  # fmt: skip
    three = {"3-D": given((4, 5, 6), "float64", 0.5)}
    yield from product("plan", _plan_in_space, three, operators, {"": {}, "axis": {"axis": (1, 2)}})
    for name, components in (
        ("jacobian", 1),
        ("jacobian", 3),
        ("divergence", 2),
        ("divergence", 3),
    ):
        yield Call(
            f"plan/components/{name}/{components}", call_plan,
            (SHAPE, "float64", field("f8", (components, *SHAPE)),
             {"operator": name, "components": components}),
        )  # fmt: skip
    wrong: dict[str, Any] = {
        "another shape": field("f8", (5, 7)),
        "another dtype": field("f4", SHAPE),
        "integers": field("i4", SHAPE),
        "F": field("f8", SHAPE, "F"),
        "strided": field("f8", SHAPE, "strided"),
        "masked": np.ma.masked_less(values_of("f8", SHAPE), -1),
        "a list": values_of("f8", SHAPE).tolist(),
        "None": None,
        "strict": field("f8", SHAPE, library="strict"),
        "two": (values_of("f8", SHAPE),) * 2,
    }
    for label, f in wrong.items():
        for operator in ("gradient", "laplacian", "divergence"):
            yield Call(
                f"plan of another field/{label}/{operator}", call_plan,
                (SHAPE, "float64", f, {"operator": operator}),
            )  # fmt: skip
    for operator in OPERATORS:
        f = _takes(operator, "f8", SHAPE)
        for label, out in {
            "one": np.zeros(SHAPE),
            "two": (np.zeros(SHAPE), np.zeros(SHAPE)),
            "F": (laid_out(np.zeros(SHAPE), "F"),) * 1,
        }.items():
            yield Call(
                f"plan into out/{operator}/{label}", call_plan,
                (SHAPE, "float64", f, {"operator": operator}), {"out": out},
            )  # fmt: skip


def _plan_in_space(shape: Any, dtype: str, *spacing: Any, operator: str, **keywords: Any) -> Any:
    plan = gpugrad.plan(shape, *spacing, dtype=dtype, operator=operator, **keywords)
    count = len(keywords.get("axis", shape))
    return repr(plan), plan(_takes(operator, dtype, shape, count=count))
