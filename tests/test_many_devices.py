"""Fields over several devices: only rows at the seams of blocks travel, and results lie alike."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

import gpugrad

CHILD = Path(__file__).with_name("many_devices.py")


def run_cases(cases, with_others=False):
    """Return what a process with four devices of JAX finds, case by case."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(CHILD), *map(json.dumps, (cases, with_others))]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=900, env=environment
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def assert_only_seams_travel(found):
    """Check what was found in each case."""
    for case in found:
        assert case["kept"], case
        assert case["ulps"] <= 1, case
        # Rows at seams pass from neighbour to neighbour; those at the ends, which all devices ask
        # for where XLA cuts a traced field, it sends to all, in one way or another.
        traffic = case["traffic"]
        assert {*traffic} <= {"collective-permute", "all-reduce", "all-gather"}, case
        assert traffic.get("all-gather", 0) <= traffic.get("all-reduce", 0), case


@pytest.mark.exhaustive
def test_results_are_spread_as_the_field_is():
    pytest.importorskip("jax")
    cases = [("gradient", "both axes", "Auto", True), ("mask", "first axis", "Explicit", False)]
    found = run_cases(cases)
    assert_only_seams_travel(found)
    assert found[0]["traffic"]["collective-permute"] < found[0]["block"]


def count_bytes(lazy, index):
    """Return how many bytes the task of a block takes from blocks beside it."""
    import dask

    graph = dict(lazy.__dask_graph__())
    (task,) = (
        graph[key]
        for key in graph
        if isinstance(key, tuple) and key[1:] == index and hasattr(graph[key], "dependencies")
        and getattr(graph[key].func, "__name__", "") == "compute_block"
    )  # fmt: skip
    others = [key for key in task.dependencies if key[1:] != index]
    assert others
    parts = dask.get(graph, others)
    return sum(
        face.nbytes
        for part in parts
        for face in (part.values() if isinstance(part, dict) else [part])
    )


def test_blocks_of_dask_take_rows_of_their_neighbours():
    da = pytest.importorskip("dask.array")
    lazy = da.zeros((300, 300), chunks=(100, 100)) + 1  # not in memory: faces are cut off
    row = 100 * 8
    # Of each of four neighbours it takes the faces that any block needs of that one: a row at each
    # of three of its sides.
    assert count_bytes(gpugrad.gradient(lazy, 0.1)[0], (1, 1)) == 12 * row
    assert count_bytes(gpugrad.laplacian(lazy, 0.1, accuracy=4), (1, 1)) == 24 * row
    # Along one axis there are two neighbours, each with one more.
    assert count_bytes(gpugrad.gradient(lazy, 0.1, axis=0), (1, 1)) == 2 * row


@pytest.mark.nightly
def test_single_calls_on_several_devices():
    pytest.importorskip("jax")
    run_cases([], with_others=True)


@pytest.mark.exhaustive
def test_operators_and_options_keep_the_sharding():
    pytest.importorskip("jax")
    import many_devices

    layouts = [*many_devices.LAYOUTS]
    found = run_cases([
        (name, layouts[i % 4], many_devices.KINDS[i // 2 % 2], i % 5 == 0)
        for i, name in enumerate([*many_devices.CASES][::2])  # the others are nightly tests
    ])  # fmt: skip
    assert_only_seams_travel(found)


@pytest.mark.nightly
def test_processes_share_a_field():
    pytest.importorskip("jax")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(CHILD), number, port],
            stderr=subprocess.PIPE, text=True, env=environment,
        )
        for number in "01"
    ]  # fmt: skip
    try:
        for process in processes:
            _, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_every_layout_keeps_the_sharding(kind):
    pytest.importorskip("jax")
    import many_devices

    cases = product(many_devices.CASES, many_devices.LAYOUTS, [kind], [True])
    assert_only_seams_travel(run_cases([*cases]))
