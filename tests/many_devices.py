"""Four devices of JAX, simulated in a process of their own: what operators do with sharded fields.

It prints a line of JSON for each case: whether results are spread as the field is, how many ulps of
the largest term they are away from NumPy's results, and which samples travel.
"""

from __future__ import annotations

import json
import math
import re
import sys

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import gpugrad

P = PartitionSpec
SHAPE = (16, 12)
WHERE = np.arange(192).reshape(SHAPE) % 7 != 3
X, Y = np.linspace(1, 3, 16) ** 2, np.linspace(1, 2, 12) ** 3

CASES = {
    "gradient": ("gradient", (0.3,), {}),
    "edge order": ("gradient", (0.3,), {"edge_order": 2}),
    "accuracy": ("gradient", (0.3,), {"accuracy": 8}),
    "periodic": ("gradient", (0.3,), {"accuracy": 6, "boundary": "periodic"}),
    "mirrored": ("gradient", (0.3,), {"boundary": "symmetric"}),
    "value": ("gradient", (0.3,), {"boundary": 5.0}),
    "coordinates": ("gradient", (X, Y), {}),
    "accurate coordinates": ("gradient", (X, Y), {"accuracy": 4}),
    "lines": ("gradient", (X[:, None] * np.linspace(1, 2, 12),), {"axis": 0}),
    "mask": ("gradient", (0.3,), {"where": WHERE}),
    "mask, coordinates": ("gradient", (X, Y), {"where": WHERE, "accuracy": 4}),
    "mask, periodic": ("gradient", (0.3,), {"where": WHERE, "boundary": "periodic"}),
    "stack": ("gradient", (0.3,), {"stack": True}),
    "derivative": ("derivative", (0.3,), {"axis": 0, "order": 4, "accuracy": 4}),
    "staggered": ("derivative", (0.3,), {"axis": 0, "stagger": "left"}),
    "laplacian": ("laplacian", (0.3,), {}),
    "norm": ("gradient_norm", (0.3,), {}),
    "divergence": ("divergence", (0.3,), {}),
    "curl": ("curl", (0.3,), {}),
    "jacobian": ("jacobian", (0.3,), {}),
    "hessian": ("hessian", (0.3,), {}),
}

LAYOUTS = {
    "first axis": ((4,), P("a")),
    "last axis": ((4,), P(None, "a")),
    "both axes": ((2, 2), P("a", "b")),
    "swapped": ((2, 2), P("b", "a")),
    "two axes of the mesh": ((2, 2), P(("a", "b"), None)),
    "copies": ((2, 2), P("b", None)),
    "whole": ((4,), P()),
}
KINDS = ("Auto", "Explicit")


def differentiate(name, f):
    """Return the results of a case, in a list."""
    operator, spacing, options = CASES[name]
    if "where" in options and not isinstance(f, np.ndarray):
        options = {**options, "where": jax.numpy.asarray(options["where"])}
    fields = (f, 2 * f) if operator in ("divergence", "curl", "jacobian") else f
    return jax.tree_util.tree_leaves(getattr(gpugrad, operator)(fields, *spacing, **options))


def find_largest_term(name, f):
    """Return the most that the products of weights and samples add up to, whatever their signs."""
    operator, spacing, options = CASES[name]
    options = {key: value for key, value in options.items() if key != "stack"}
    operator = {"gradient_norm": "gradient"}.get(operator, operator)
    plan = gpugrad.plan(f.shape, *spacing, operator=operator, **options)
    factor = 2 if operator in ("divergence", "curl", "jacobian") else 1
    constant = 5 / 0.3 if options.get("boundary") == 5.0 else 0
    return abs(plan.matrix()).sum(axis=1).max() * abs(f).max() * factor + constant


def count_traffic(call, f):
    """Return for each collective operation in the text of XLA the most samples that it moves."""
    moved = {}
    for line in jax.jit(call).lower(f).compile().as_text().splitlines():
        found = re.search(r"= (.*?) ((?:all|collective|reduce)-[a-z-]+?)(?:-start)?\(", line)
        if found:
            shapes = re.findall(r"\w+\[([\d,]*)\]", found[1])
            count = sum(math.prod(map(int, filter(None, s.split(",")))) for s in shapes)
            moved[found[2]] = max(count, moved.get(found[2], 0))
    return moved


def make_mesh(shape, kind):
    """Return a mesh over the four devices, or None where JAX is too old for its kind."""
    names = ("a", "b")[: len(shape)]
    devices = np.array(jax.devices()).reshape(shape)
    if not hasattr(jax, "typeof"):
        return Mesh(devices, names) if kind == "Auto" else None
    kinds = (getattr(jax.sharding.AxisType, kind),) * len(shape)
    return Mesh(devices, names, axis_types=kinds)


def check(name, layout, kind, is_counted):
    """Return what a case does with a field spread in this way, and what travels if asked for."""
    shape, spec = LAYOUTS[layout]
    mesh = make_mesh(shape, kind)
    if mesh is None:
        return None
    values = np.random.default_rng(5).normal(size=SHAPE)
    f = jax.device_put(values, NamedSharding(mesh, spec))
    results, expected = differentiate(name, f), differentiate(name, values)
    ulp = np.spacing(find_largest_term(name, values))
    kept = True
    errors = [0.0]
    for result, right in zip(results, expected, strict=True):
        wanted = P(*(None,) * (result.ndim - 2), *spec)
        kept &= result.sharding.is_equivalent_to(NamedSharding(mesh, wanted), result.ndim)
        assert (np.isnan(result) == np.isnan(right)).all()
        assert result.dtype == right.dtype
        errors.append(float(np.nanmax(abs(np.asarray(result) - right)) / ulp))
    return {
        "case": f"{name}, {layout}, {kind}",
        "kept": kept,
        "ulps": max(errors),
        "traffic": count_traffic(lambda g: differentiate(name, g), f) if is_counted else {},
        "block": math.prod(f.addressable_shards[0].data.shape),
    }


def check_others():
    """Check what concerns single calls, with assertions."""
    jnp = jax.numpy
    mesh = make_mesh((4,), "Auto")
    values = np.random.default_rng(5).normal(size=SHAPE)
    f = jax.device_put(values, NamedSharding(mesh, P("a", None)))
    alone = jnp.asarray(values)

    # What it does is told, and arrays on one device go the way that they have gone.
    why = gpugrad.explain(f, 0.3)
    assert why.backend == "slices"
    assert "each device computes its block (4 x 1 blocks)" in why.details
    assert why.cure is None
    assert "one program of XLA" in gpugrad.explain(alone, 0.3).details

    # One program serves all spacings, and coordinates on the devices, integers included.
    from internals import jax_engine

    before = jax_engine._compile_spread.cache_info().misses
    for h in (0.1, 0.2, 0.3):
        gpugrad.gradient(f, h)
    assert jax_engine._compile_spread.cache_info().misses == before + 1
    x = jnp.asarray(X)
    by_device, by_host = (gpugrad.gradient(f, x, axis=0) for x in (x, X))
    np.testing.assert_allclose(by_device, by_host, rtol=1e-12)
    assert by_device.sharding.is_equivalent_to(f.sharding, 2)
    counts = jax.device_put(np.arange(192, dtype="int32").reshape(SHAPE), f.sharding)
    np.testing.assert_array_equal(gpugrad.gradient(counts, axis=0), np.full(SHAPE, 12.0))

    # Derivatives of derivatives keep the sharding, too, without `jit`.
    slope = jax.grad(lambda g: (gpugrad.laplacian(g, 0.3, boundary=0.0) ** 2).sum())(f)
    assert slope.sharding.is_equivalent_to(f.sharding, 2)
    right = jax.grad(lambda g: (gpugrad.laplacian(g, 0.3, boundary=0.0) ** 2).sum())(alone)
    np.testing.assert_allclose(slope, right, rtol=1e-9)

    # Rows at poles, and beyond them, are joined in another way.
    sphere = gpugrad.Sphere(np.linspace(-90, 90, 16), np.arange(12) * 30.0)
    for result, right in zip(sphere.gradient(f), sphere.gradient(values), strict=True):
        assert result.sharding.is_equivalent_to(f.sharding, 2)
        np.testing.assert_allclose(result, right, rtol=1e-12, atol=1e-18)

    # Nothing is moved silently from one device to others.
    elsewhere = jax.device_put(WHERE, jax.devices()[1])
    few = Mesh(np.array(jax.devices()[2:]), ("a",))
    f_on_few = jax.device_put(values, NamedSharding(few, P("a", None)))
    message = "device.*got.* cpu:"
    with pytest.raises(ValueError, match=message):
        gpugrad.gradient(f_on_few, where=elsewhere)
    with pytest.raises(ValueError, match=message):
        gpugrad.divergence((f_on_few, f))


def check_process(number, port):
    """Check, as one of two processes with two devices each, what it has of results."""
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_enable_x64", True)
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, number, initialization_timeout=60)
    values = np.random.default_rng(5).normal(size=SHAPE)
    sharding = NamedSharding(make_mesh((2, 2), "Auto"), P("a", "b"))
    f, where = (
        jax.make_array_from_callback(SHAPE, sharding, lambda place, x=x: x[place])
        for x in (values, WHERE)
    )
    for call in (
        lambda f, _: gpugrad.gradient(f, X, Y, accuracy=4, stack=True),
        lambda f, where: gpugrad.gradient(f, 0.3, where=where, stack=True),
        lambda f, _: gpugrad.laplacian(f, 0.3, boundary="periodic"),
        lambda f, _: gpugrad.gradient(f, 0.3, skipna=True, stack=True),
    ):
        result, right = call(f, where), call(values, WHERE)
        for shard in result.addressable_shards:
            here = right[shard.index]
            assert here.size < right.size
            np.testing.assert_allclose(shard.data, here, rtol=1e-11, atol=1e-12)
    assert "each device" in gpugrad.explain(f).details
    with pytest.raises(ValueError, match="process_allgather"):
        gpugrad.asnumpy(f)


def main(cases, with_others):
    """Print what is found, case by case."""
    jax.config.update("jax_num_cpu_devices", 4)
    # Where threads are few, programs that run at the same time may wait for each other for ever.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.config.update("jax_enable_x64", True)
    if with_others:
        check_others()
    for case in cases:
        found = check(*case)
        if found is not None:
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    arguments = [*map(json.loads, sys.argv[1:])]
    (check_process if isinstance(arguments[0], int) else main)(*arguments)
