"""Fields that are spread over devices: the program of a call is compiled once, and run on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from gpugrad._arrays import Array
from gpugrad._engines.jax.operands import Operands, PlanOutline, Spec
from gpugrad._engines.jax.program import ShardProgram, TermOutline, spread
from gpugrad._engines.jax.shards import fill_spec, find_cuts, find_sharding
from gpugrad._stencils import AxisPlan, Norm, Outputs, distinct_arrays, distinct_fields


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    if all(find_sharding(f) is None for f in distinct_fields(outputs)):
        return "it takes JAX arrays that are cut into blocks, one for each of several devices"
    return None


def describe(outputs: Outputs) -> str:
    """Say in a few words how these would be evaluated."""
    sharding = _find_sharding(outputs)
    f = outputs[0][0].field
    blocks = " x ".join(str(cut.devices if cut else 1) for cut in find_cuts(sharding, f.shape))
    return (
        f"by one program of XLA, in which each device computes its block ({blocks} blocks) and "
        "gets only rows of its neighbours"
    )


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output, spread over devices as the field is."""
    sharding = _find_sharding(outputs)
    shape = outputs[0][0].field.shape
    arrays = distinct_arrays(outputs)
    number = {id(array): i for i, array in enumerate(arrays)}
    distinct = {id(term.plan): term.plan for terms in outputs for term in terms}
    places = {key: i for i, key in enumerate(distinct)}
    parts = tuple([
        (
            isinstance(terms, Norm),
            tuple([
                TermOutline(sign, number[id(f)], number.get(id(where)), places[id(plan)])
                for sign, f, plan, where, _ in terms
            ]),
        )
        for terms in outputs
    ])  # fmt: skip
    taken = [_take_operands(plan, shape, sharding) for plan in distinct.values()]
    run = _compile(
        parts,
        tuple([outline for outline, _, _ in taken]),
        shape,
        sharding,
        len(arrays),
        tuple([specs for _, _, specs in taken]),
    )
    return run([_place(x, sharding) for x in arrays], [values for _, values, _ in taken])


def _find_sharding(outputs: Outputs) -> Any:
    """Return the sharding of the first field that has one that cuts it."""
    shardings = map(find_sharding, distinct_fields(outputs))
    return next(sharding for sharding in shardings if sharding is not None)


def _take_operands(
    plan: AxisPlan, shape: tuple[int, ...], sharding: Any
) -> tuple[PlanOutline, list[Any], tuple[Spec, ...]]:
    """Return a plan without its operands, these on their devices, and how they are spread.

    A plan keeps them: numbers in arrays travel to the devices once.
    """
    key = "shards", shape, sharding
    taken = plan.memo.get(key)
    if taken is None:
        spec = fill_spec(sharding, len(shape))
        operands = Operands(shape, spec, find_cuts(sharding, shape))
        outline = operands.outline(plan)
        values = [
            _place(w, NamedSharding(sharding.mesh, PartitionSpec(*own)))
            if own or isinstance(w, jax.Array)
            else w
            for w, own in zip(operands.values, operands.specs, strict=True)
        ]
        taken = outline, values, tuple(operands.specs)
        if plan.on_host and not any(isinstance(value, jax.core.Tracer) for value in values):
            plan.memo[key] = taken
    return taken


def _place(x: Array, sharding: Any) -> Array:
    """Return an array spread over the devices of the field."""
    if isinstance(sharding.mesh, jax.sharding.AbstractMesh):
        return jax.sharding.reshard(x, sharding)
    if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer):
        if x.sharding.is_equivalent_to(sharding, x.ndim):
            return x
        others = x.sharding.device_set - sharding.device_set
        if others and x.committed:
            raise ValueError(
                "fields, masks and coordinates of JAX must lie on the devices of `f`; got one on "
                f"{', '.join(sorted(map(str, others)))}. Move it there with `jax.device_put`; "
                "nothing is moved silently."
            )
    return jax.device_put(x, sharding)


@lru_cache(maxsize=256)
def _compile(
    parts: tuple[tuple[bool, tuple[TermOutline, ...]], ...],
    outlines: tuple[PlanOutline, ...],
    shape: tuple[int, ...],
    sharding: Any,
    count: int,
    specs: tuple[tuple[Spec, ...], ...],
) -> Callable[..., tuple[Array, ...]]:
    """Return the program for outputs, which XLA compiles when it is called."""
    program = ShardProgram(find_cuts(sharding, shape), outlines, parts)
    own = PartitionSpec(*sharding.spec)
    in_specs = [own] * count, [[PartitionSpec(*spec) for spec in each] for each in specs]

    run: Callable[..., tuple[Array, ...]] = jax.jit(spread(program.evaluate, sharding, in_specs))
    return run
