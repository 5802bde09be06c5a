"""Calls on arrays of JAX with values: the program of a call is compiled once, for all spacings.

Of a field that is cut into blocks, each device computes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate, pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from gpugrad._arrays import Array, working_dtype
from gpugrad._engines import slices
from gpugrad._engines.jax.operands import Operands, PlanOutline, Spec
from gpugrad._engines.jax.program import TermOutline, XlaProgram, spread
from gpugrad._engines.jax.shards import fill_spec, find_cuts, find_sharding
from gpugrad._stencils import AxisPlan, Norm, Outputs, distinct_arrays, distinct_fields

Parts = tuple[tuple[bool, tuple[TermOutline, ...]], ...]
Kinds = tuple[tuple[tuple[int, ...], Any], ...]
"""The shapes and dtypes of arrays."""


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    if _find_sharding(outputs) is None and any(map(_is_traced, _list_arrays(outputs))):
        return "it takes JAX arrays with values, and traced ones if it is known how they are cut"
    return None


def is_cut(outputs: Outputs) -> bool:
    """Tell whether a field is cut into blocks, one for each of several devices."""
    return _find_sharding(outputs) is not None


def describe(outputs: Outputs) -> str:
    """Say in a few words how these would be evaluated."""
    sharding = _find_sharding(outputs)
    if sharding is None:
        return "by one program of XLA, which serves all spacings"
    f = outputs[0][0].field
    blocks = " x ".join(str(cut.devices if cut else 1) for cut in find_cuts(sharding, f.shape))
    return (
        f"by one program of XLA, in which each device computes its block ({blocks} blocks) and "
        "gets only rows of its neighbours"
    )


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output, spread over devices as the field is."""
    return prepare(outputs)(*distinct_arrays(outputs))


def describe_field(f: Array) -> Hashable:
    """Return what the program of a call depends on, of a field with values."""
    return f.shape, f.dtype, f.sharding, jax.config.jax_enable_x64


def prepare(outputs: Outputs) -> Callable[..., tuple[Array, ...]]:
    """Return a call on arrays like those of outputs; XLA compiles it when it is first made."""
    sharding = _find_sharding(outputs)
    f = outputs[0][0].field
    parts, kinds, plans = _outline(outputs)
    real = _find_real(f)
    taken = [_take_operands(plan, f.shape, sharding, real) for plan in plans]
    operands = [value for _, _, values, _ in taken for value in values]
    numbers = [number for _, own, _, _ in taken for number in own]
    if numbers:
        operands = [jnp.asarray(np.array(numbers)), *operands]
    outlines = tuple([outline for outline, _, _, _ in taken])
    if sharding is None:
        run = _compile(parts, outlines, kinds, _find_spread(f))
        return partial(run, *operands)
    run = _compile_spread(parts, outlines, kinds, sharding, tuple([s for *_, s in taken]))
    return lambda *arrays: run(*operands, *[_place(x, sharding) for x in arrays])


def prepare_for_spacings(
    outputs: Outputs,
) -> Callable[[Sequence[float]], Callable[..., tuple[Array, ...]]] | None:
    """Return what makes calls as `prepare` does, of ``h**order`` for each term; see `programs`."""
    f = outputs[0][0].field
    if _find_sharding(outputs) is not None:
        return None
    parts, kinds, plans = _outline(outputs)
    nowhere, real = (None,) * len(f.shape), _find_real(f)
    taken = [Operands(f.shape, nowhere, nowhere, _find_precision(plan, real), True)
             for plan in plans]  # fmt: skip
    outlines = tuple([each.outline(plan) for each, plan in zip(taken, plans, strict=True)])
    if any(outline.operands or not outline.numbers for outline in outlines):
        return None
    run = _compile(parts, outlines, kinds, _find_spread(f))
    of_terms = [part.plan for _, terms in parts for part in terms]
    pairs = [(own.work_out, of_terms.index(i)) for i, own in enumerate(taken)]
    dtype = np.float64 if jax.config.jax_enable_x64 else np.float32

    def bind(powers: Sequence[float]) -> Callable[..., tuple[Array, ...]]:
        with np.errstate(all="ignore"):
            numbers = [number for work_out, i in pairs for number in work_out(powers[i])]
            return partial(run, np.array(numbers, dtype))

    return bind


def _outline(outputs: Outputs) -> tuple[Parts, Kinds, list[AxisPlan]]:
    """Return outputs with numbers in place of arrays and plans; what arrays are like; the plans."""
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
    return parts, tuple([(x.shape, x.dtype) for x in arrays]), [*distinct.values()]


def _find_spread(f: Array) -> Any:
    """Return the sharding of a field with values that lies on several devices, or None."""
    is_spread = not _is_traced(f) and len(f.sharding.device_set) > 1
    return f.sharding if is_spread else None


def _find_precision(plan: AxisPlan, real: np.dtype[Any]) -> np.dtype[Any]:
    """Return the precision of a plan's numbers."""
    # Without 64 bits, arrays of JAX have less digits than the host's.
    has_64_bits = jax.config.jax_enable_x64
    return np.result_type(real, plan.dtype or real) if has_64_bits else real


def _find_real(f: Array) -> np.dtype[Any]:
    """Return the precision in which samples of a field are subtracted."""
    name = np.dtype(working_dtype(jnp, f)).name
    real: np.dtype[Any] = np.dtype(slices.REAL_PART.get(name, name))
    return real


def _list_arrays(outputs: Outputs) -> Iterator[Any]:
    """Yield all that outputs read: fields, masks, and weights that the host does not have."""
    yield from distinct_arrays(outputs)
    for terms in outputs:
        for term in terms:
            for plan in () if term.plan.on_host else term.plan.ranked:
                for formula in (*plan.lower, plan.interior, *plan.upper):
                    yield from formula.operands


def _is_traced(x: Any) -> bool:
    return isinstance(x, jax.core.Tracer)


def _find_sharding(outputs: Outputs) -> Any:
    """Return the sharding of the first field that has one that cuts it, or None."""
    shardings = map(find_sharding, distinct_fields(outputs))
    return next((sharding for sharding in shardings if sharding is not None), None)


def _take_operands(
    plan: AxisPlan, shape: tuple[int, ...], sharding: Any, real: np.dtype[Any]
) -> tuple[PlanOutline, list[float], list[Any], tuple[Spec, ...]]:
    """Return a plan without its operands, its numbers, and arrays on their devices, spread so.

    A plan keeps them: numbers in arrays travel to the devices once.
    """
    key = "jax", shape, sharding, real, jax.config.jax_enable_x64
    taken = plan.memo.get(key)
    if taken is None:
        precision = _find_precision(plan, real)
        if sharding is None:
            nowhere = (None,) * len(shape)
            operands = Operands(shape, nowhere, nowhere, precision)
            outline = operands.outline(plan)
            values = [jnp.asarray(w) for w in operands.values]
        else:
            spec = fill_spec(sharding, len(shape))
            operands = Operands(shape, spec, find_cuts(sharding, shape), precision)
            outline = operands.outline(plan)
            values = [
                _place(w, NamedSharding(sharding.mesh, PartitionSpec(*own)))
                if own or isinstance(w, jax.Array)
                else w
                for w, own in zip(operands.values, operands.specs, strict=True)
            ]
        with np.errstate(all="ignore"):
            taken = outline, operands.work_out(), values, tuple(operands.specs)
        if plan.on_host and not any(map(_is_traced, values)):
            plan.memo[key] = taken
    return taken


def _place(x: Array, sharding: Any) -> Array:
    """Return an array spread over the devices of the field."""
    if sharding is None:
        return x
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
    parts: Parts, outlines: tuple[PlanOutline, ...], kinds: Kinds, sharding: Any
) -> Callable[..., tuple[Array, ...]]:
    """Return the program for fields that are not cut, though they may lie on several devices."""
    program = XlaProgram((None,) * len(kinds[0][0]), outlines, parts)
    return _compile_flat(program.evaluate, outlines, out_shardings=sharding)


@lru_cache(maxsize=256)
def _compile_spread(
    parts: Parts,
    outlines: tuple[PlanOutline, ...],
    kinds: Kinds,
    sharding: Any,
    specs: tuple[tuple[Spec, ...], ...],
) -> Callable[..., tuple[Array, ...]]:
    """Return the program for fields that are cut into blocks."""
    program = XlaProgram(find_cuts(sharding, kinds[0][0]), outlines, parts)
    own = PartitionSpec(*sharding.spec)
    of_operands = [(PartitionSpec(), [PartitionSpec(*spec) for spec in each]) for each in specs]
    in_specs = [own] * len(kinds), of_operands
    return _compile_flat(spread(program.evaluate, sharding, in_specs), outlines)


def _compile_flat(
    evaluate: Callable[..., Any], outlines: Sequence[PlanOutline], **options: Any
) -> Callable[..., tuple[Array, ...]]:
    """Return a program of all numbers, other operands, and arrays: JAX is slow to take lists."""
    ends = [*accumulate([outline.operands for outline in outlines], initial=0)]
    places = [*accumulate([outline.numbers for outline in outlines], initial=0)]

    def run(*others: Array) -> Any:
        numbers = others[0] if places[-1] else jnp.empty(0)
        others = others[1:] if places[-1] else others
        operands = [
            (numbers[slice(*own)], [*others[slice(*rest)]])
            for own, rest in zip(pairwise(places), pairwise(ends), strict=True)
        ]
        return evaluate([*others[ends[-1] :]], operands)

    compiled: Callable[..., tuple[Array, ...]] = jax.jit(run, **options)
    return compiled
