"""The benchmarks run, and what they measure with measures right; no figure is judged here."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1 << 20

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.measure")


def run_benchmark(name, *options):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def list_numbers(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        return [number for part in tree for number in list_numbers(part)]
    return [tree] if isinstance(tree, (int, float)) and not isinstance(tree, bool) else []


def assert_complete(results, name, ratios):
    assert results["benchmark"] == name
    assert results["quick"] is True
    assert {"cpu", "cores", "caches", "memory_bytes", "system", "python", "numpy", "commit"} <= set(
        results["machine"]
    )
    assert results["targets"]
    for target in results["targets"]:
        assert set(target) == {"what", "measured", "sense", "limit", "unit", "met"}
    found = list_numbers([[case[key] for case in results["cases"]] for key in ratios])
    found += list_numbers([target["measured"] for target in results["targets"]])
    assert found
    assert all(math.isfinite(number) for number in found)
    assert all(s > 0 for s in list_numbers([case["seconds"] for case in results["cases"]]))


@pytest.mark.parametrize(
    ("name", "ratios"),
    [
        ("small_calls", ["cost_ratio"]),
        ("function_cost", ["cost_ratio", "block_ratio"]),
        ("large_fields", ["speed_up", "over_floor", "extra_memory_percent"]),
        ("import_time", ["cost_ratio"]),
        ("with_holes", ["speed_up"]),
        ("operators", ["speed_up"]),
        ("dask_blocks", ["over_dask", "over_memory"]),
    ],
)
def test_each_benchmark_runs_quickly_and_writes_all_fields(tmp_path, name, ratios):
    output = tmp_path / "results.json"
    done = run_benchmark(name, "--quick", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "Targets" in done.stdout
    assert "met" in done.stdout or "missed" in done.stdout
    assert_complete(json.loads(output.read_text()), name, ratios)


def test_the_host_part_of_calls_on_a_gpu_is_measured_without_one(tmp_path):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    output = tmp_path / "results.json"
    done = run_benchmark("gpu_calls", "--quick", "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert_complete(json.loads(output.read_text()), "gpu_calls", ["seconds"])


def test_quartiles_are_interpolated(measure):
    assert measure.Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == (2.0, 3.0, 4.0)
    assert measure.Spread.of([1.0, 2.0]) == (1.25, 1.5, 1.75)
    assert measure.Spread.of([7.0]) == (7.0, 7.0, 7.0)


def test_spread_is_written_as_median_between_quartiles(measure):
    assert f"{measure.Spread(1.0, 2.25, 3.0):.1f}" == "2.2 (1.0-3.0)"


def test_interleaving_rotates_the_order_and_drops_the_warm_up(measure):
    ran = []

    def make(name):
        def timer():
            ran.append(name)
            return float(len(ran))

        return timer

    seconds = measure.interleave({name: make(name) for name in "abc"}, rounds=3, warm_up=1)
    assert "".join(ran) == "cab" + "abc" + "bca" + "cab"
    assert seconds == {"a": [4.0, 9.0, 11.0], "b": [5.0, 7.0, 12.0], "c": [6.0, 8.0, 10.0]}


def test_ratios_are_taken_within_rounds(measure):
    assert measure.ratios([2.0, 20.0, 200.0], [1.0, 10.0, 100.0]) == (2.0, 2.0, 2.0)


def test_batches_run_as_often_as_told_and_prepare_once(measure):
    names = {"calls": []}

    def prepare(names):
        names["prepared"] = names.get("prepared", 0) + 1

    timer = measure.batched("calls.append(prepared)", names, 5, prepare)
    assert timer() >= 0.0
    assert timer() >= 0.0
    assert names["calls"] == [1] * 5 + [2] * 5


def test_target_is_met_at_its_limit(measure):
    assert measure.Target("cost", 1.0, "at most", 1.0).met
    assert not measure.Target("cost", 1.01, "at most", 1.0).met
    assert measure.Target("speed", 1.8, "at least", 1.8).met
    assert not measure.Target("speed", 1.79, "at least", 1.8).met
    assert not measure.Target("speed", math.nan, "at least", 1.8).met
    assert str(measure.Target("cost", 1.5, "at most", 1.0)).startswith("missed")


def fill_temporary(size=8 * MEGABYTE):
    np.ones(size // 8).sum()


def test_memory_probe_sees_an_array_that_is_gone_when_the_call_returns(measure):
    assert 8 * MEGABYTE <= measure.traced_peak(fill_temporary) < 8.1 * MEGABYTE


def test_memory_probe_sees_python_objects(measure):
    assert 8 * MEGABYTE <= measure.traced_peak(lambda: len(bytearray(8 * MEGABYTE))) < 9 * MEGABYTE


def test_memory_probe_sees_other_threads(measure):
    def call():
        thread = threading.Thread(target=fill_temporary)
        thread.start()
        thread.join()

    assert 8 * MEGABYTE <= measure.traced_peak(call) < 9 * MEGABYTE


def test_memory_probe_does_not_count_what_was_there_before(measure):
    kept = np.ones(MEGABYTE)
    assert measure.traced_peak(lambda: kept.sum()) < 0.1 * MEGABYTE


def test_memory_probe_of_a_fresh_process_sees_an_array_that_is_gone(measure):
    extra = measure.resident_peak("import numpy as np\nnp.ones(10).sum()", "np.ones(1 << 20).sum()")
    if extra is None:
        pytest.skip("the system does not tell the peak memory of a process")
    assert 7.5 * MEGABYTE < extra < 12 * MEGABYTE


def test_memory_probe_of_a_fresh_process_sees_what_c_takes(measure):
    setup = "import ctypes\nc = ctypes.CDLL(None)\nc.malloc.restype = ctypes.c_void_p"
    extra = measure.resident_peak(setup, "ctypes.memset(c.malloc(1 << 23), 1, 1 << 23)")
    if extra is None:
        pytest.skip("the system does not tell the peak memory of a process")
    assert 7.5 * MEGABYTE < extra < 12 * MEGABYTE


def test_description_of_the_machine_names_no_host_and_no_folder(measure):
    description = measure.describe_machine()
    assert set(description) == {
        "cpu",
        "architecture",
        "cores",
        "caches",
        "memory_bytes",
        "huge_pages",
        "system",
        "load_before",
        "python",
        "numpy",
        "gpugrad",
        "commit",
    }
    written = json.dumps(description)
    assert str(ROOT) not in written
    assert sys.prefix not in written


def test_slug_keeps_letters_digits_and_hyphens(measure):
    assert measure.slug("Intel(R) Core(TM) i7-1185G7 @ 3.00GHz") == "intel-core-i7-1185g7"
    assert measure.slug("") == "unknown"


def test_table_aligns_its_columns(measure):
    assert measure.format_table(("a", "bc"), [("long", "1")]) == "a     bc\n----  --\nlong   1"


@pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are Linux's")
def test_out_of_core_runs_quickly_within_its_limit(tmp_path):
    output = tmp_path / "results.json"
    done = run_benchmark("out_of_core", "--quick", "--output", str(output))
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(output.read_text())["results"]
    assert result["gpugrad over plain"] > 0
    assert result["peak of memory in bytes"] < result["limit of memory in bytes"]
