"""What each device does: get rows of its neighbours, and evaluate its block of every output.

A field that is not cut is one block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from gpugrad._arrays import Array, dtype_name
from gpugrad._engines import slices
from gpugrad._engines.jax.operands import (
    NumberSlot,
    PlanOutline,
    Reciprocal,
    Slot,
    fill_plan,
    find_halo,
)
from gpugrad._engines.jax.shards import Cut, Cuts, as_names
from gpugrad._stencils import AxisPlan, Formula, Norm, Term, rows_of


class TermOutline(NamedTuple):
    """A term whose field, mask (or None) and plan are numbers in lists."""

    sign: int
    field: int
    where: int | None
    plan: int


class XlaProgram(NamedTuple):
    """What to evaluate on each device, but for arrays and operands."""

    cuts: Cuts
    outlines: tuple[PlanOutline, ...]
    outputs: tuple[tuple[bool, tuple[TermOutline, ...]], ...]  # and whether it is a norm

    def evaluate(
        self, arrays: Sequence[Array], operands: Sequence[tuple[Array, Sequence[Array]]]
    ) -> tuple[Array, ...]:
        """Evaluate blocks of outputs for blocks of arrays.

        Each plan has operands of its own: an array of numbers, and other arrays.
        """
        blocks = _DeviceBlocks(self, arrays, operands)
        outputs = [
            (Norm if is_norm else tuple)([blocks.term(part) for part in parts])
            for is_norm, parts in self.outputs
        ]
        return slices.evaluate_terms(blocks.differentiate, outputs, None)


class _DeviceBlocks:
    """What a device has: its blocks, some of them with rows of neighbours, and its operands."""

    def __init__(
        self,
        program: XlaProgram,
        arrays: Sequence[Array],
        operands: Sequence[tuple[Array, Sequence[Array]]],
    ) -> None:
        self._program, self._arrays, self._operands = program, arrays, operands
        self._parts: dict[int, tuple[Term, TermOutline]] = {}
        self._wide: dict[tuple[int, int], Array] = {}

    def term(self, part: TermOutline) -> Term:
        """Return a term of blocks, to be differentiated later."""
        outline = self._program.outlines[part.plan]
        plan = AxisPlan(outline.axis, (), Formula((), ()), (), outline.dtype, False, {})
        where = None if part.where is None else self._arrays[part.where]
        term = Term(part.sign, self._arrays[part.field], plan, where)
        self._parts[id(term)] = term, part
        return term

    def differentiate(self, xp: ModuleType, term: Term, dtype: Any) -> Array:
        """Return the block of a derivative."""
        _, part = self._parts[id(term)]
        outline = self._program.outlines[part.plan]
        axis, cut = outline.axis, self._program.cuts[outline.axis]
        plan, vanishing = self._fill(xp, part.plan, term.field)
        known = {*map(id, vanishing)}
        before, term = 0, term._replace(plan=plan)
        if cut is not None:
            before, behind, meet = find_halo(self._program.outlines, axis, cut)

            def widen(i: int) -> Array:
                if (i, axis) not in self._wide:
                    wide = _widen(self._arrays[i], axis, cut, before, behind, meet)
                    self._wide[i, axis] = wide
                return self._wide[i, axis]

            where = None if part.where is None else widen(part.where)
            term = term._replace(field=widen(part.field), where=where)

        def join(ranked: AxisPlan, compute: slices.Rows) -> Array:
            if cut is None:
                regions = ranked.regions(term.field.shape[axis])
                return xp.concat([compute(*region) for region in regions], axis=axis)
            return _join(ranked, compute, cut, before)

        return slices.join_rows(xp, term, dtype, join, lambda formula: id(formula) in known)

    def _fill(self, xp: ModuleType, number: int, f: Array) -> tuple[AxisPlan, list[Formula]]:
        """Return a plan with operands of this device, and its formulas that vanish of constants."""
        outline, (numbers, arrays) = self._program.outlines[number], self._operands[number]
        working = slices.as_working(xp, f)
        dtype = slices.arithmetic_dtype(xp, working, outline.dtype)

        name = dtype_name(working.dtype if dtype is None else dtype)
        precision = getattr(xp, slices.REAL_PART.get(name, name))

        def fill(w: Any) -> Any:
            if type(w) is NumberSlot:
                return slices.cast(xp, numbers[w.place], precision)
            if type(w) is Reciprocal:
                return Reciprocal(fill(w.value))
            if type(w) is not Slot:
                return w
            value = arrays[w.number]
            return slices.cast(xp, value, precision) if w.on_host and dtype else value

        return fill_plan(outline, fill)


def _join(plan: AxisPlan, compute: slices.Rows, cut: Cut, before: int) -> Array:
    """Return a block, in which rows at the ends of the axis take the place of others.

    All devices run one program: each computes the rows at the ends, and those keep them that have
    them.
    """
    block = compute(plan.interior, before, before + cut.length)
    n = cut.devices * cut.length
    device = jax.lax.axis_index(cut.names)
    shape = [1] * block.ndim
    shape[plan.axis] = cut.length
    here = jnp.arange(cut.length).reshape(shape)
    for i, formula in (*enumerate(plan.lower), *enumerate(plan.upper, n - len(plan.upper))):
        owner, row = divmod(i, cut.length)
        value = compute(formula, before + row, before + row + 1)
        block = jnp.where((device == owner) & (here == row), value, block)
    return block


def _widen(x: Array, axis: int, cut: Cut, before: int, behind: int, meet: bool) -> Array:
    """Return a block with rows of its neighbours; what lies beyond the ends is zero, or wraps."""
    return jnp.concatenate(
        [
            *reversed([*_receive(x, axis, cut, before, meet, -1)]),
            x,
            *_receive(x, axis, cut, behind, meet, 1),
        ],
        axis=axis,
    )


def _receive(x: Array, axis: int, cut: Cut, rows: int, meet: bool, side: int) -> list[Array]:
    """Return what neighbours on a side send, the nearest one first."""
    parts = []
    for distance in range(1, -(-rows // cut.length) + 1):
        width = min(cut.length, rows - (distance - 1) * cut.length)
        start = 0 if side == 1 else cut.length - width
        sent = x[rows_of(x.ndim, axis, start, start + width)]
        pairs = [
            ((to + side * distance) % cut.devices, to)
            for to in range(cut.devices)
            if meet or 0 <= to + side * distance < cut.devices
        ]
        parts.append(jax.lax.ppermute(sent, cut.names, pairs))
    return parts


def spread(function: Callable[..., Any], sharding: Any, specs: Any) -> Callable[..., Any]:
    """Return a function of whole arrays, spread by `specs`, whose blocks a function computes.

    Its results are spread by `sharding`.
    """
    mesh = sharding.mesh
    keywords = {"mesh": mesh, "in_specs": specs, "out_specs": PartitionSpec(*sharding.spec)}
    whole: Callable[..., Any]
    if not hasattr(jax, "shard_map"):
        from jax.experimental.shard_map import shard_map

        whole = shard_map(function, check_rep=False, **keywords)
        return whole
    if isinstance(mesh, jax.sharding.AbstractMesh):
        # How XLA cuts a traced field along other axes of the mesh is left to it.
        names = {name for entry in sharding.spec if entry for name in as_names(entry)}
        keywords["axis_names"] = names
    whole = jax.shard_map(function, **keywords)
    return whole
