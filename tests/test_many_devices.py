"""Fields over several devices: only rows at the seams of blocks travel, and results lie alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

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
        # Rows at seams pass from neighbour to neighbour; of those at the ends, which all devices
        # ask for where XLA cuts a traced field, one has to be sent to all.
        assert {*case["traffic"]} <= {"collective-permute", "all-reduce"}, case


def test_results_are_spread_as_the_field_is():
    pytest.importorskip("jax")
    cases = [("gradient", "both axes", "Auto", True), ("mask", "first axis", "Explicit", False)]
    found = run_cases(cases)
    assert_only_seams_travel(found)
    assert found[0]["traffic"]["collective-permute"] < found[0]["block"]


@pytest.mark.exhaustive
def test_single_calls_on_several_devices():
    pytest.importorskip("jax")
    run_cases([], with_others=True)


@pytest.mark.exhaustive
def test_every_operator_and_option_keeps_the_sharding():
    pytest.importorskip("jax")
    import many_devices

    layouts = [*many_devices.LAYOUTS]
    found = run_cases([
        (name, layouts[i % 4], many_devices.KINDS[i // 2 % 2], i % 3 == 0)
        for i, name in enumerate(many_devices.CASES)
    ])  # fmt: skip
    assert_only_seams_travel(found)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_every_layout_keeps_the_sharding(kind):
    pytest.importorskip("jax")
    import many_devices

    cases = product(many_devices.CASES, many_devices.LAYOUTS, [kind], [True])
    assert_only_seams_travel(run_cases([*cases]))
