"""The benchmarks run, and what they measure with measures right; no figure is judged here."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1 << 20

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def measure(monkeypatch):
    return load("measure", monkeypatch)


@pytest.fixture
def machine(monkeypatch):
    return load("machine", monkeypatch)


@pytest.fixture
def table(monkeypatch):
    return load("table", monkeypatch)


def run_script(*words):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *words],
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


def assert_complete(results, name, figures):
    assert results["benchmark"] == name
    assert results["quick"] is True
    assert {"cpu", "cores", "caches", "memory_bytes", "system", "python", "numpy", "commit"} <= set(
        results["machine"]
    )
    assert results["targets"]
    for target in results["targets"]:
        assert set(target) == {"what", "measured", "sense", "limit", "unit", "met"}
    for figure in figures:
        assert list_numbers([case.get(figure, {}) for case in results["cases"]])
    found = list_numbers([[case.get(key, {}) for key in figures] for case in results["cases"]])
    found += list_numbers([target["measured"] for target in results["targets"]])
    assert all(math.isfinite(number) for number in found)
    assert all(s > 0 for s in list_numbers([case["seconds"] for case in results["cases"]]))


NEEDS = {
    "function_errors": "sympy",
    "function_bounds": "scipy",
    "dask_blocks": "dask",
    "large_graphs": "dask",
}
FIGURES = {
    "everyday": ["seconds", "over_peer", "over_allowed"],
    "engines": ["seconds", "over_slices"],
    "large_fields": ["seconds", "speed_up", "extra_megabytes"],
    "operators": ["seconds", "speed_up"],
    "masks": ["seconds", "speed_up"],
    "function_cost": ["seconds", "over_evaluations"],
    "function_errors": ["error", "bounded", "finite", "none"],
    "function_bounds": ["bounded", "finite", "none"],
    "dask_blocks": ["seconds", "tasks", "over_dask", "over_memory"],
    "large_graphs": ["counted", "modelled", "over_model"],
}


LONG = {"everyday", "function_bounds", "dask_blocks", "large_graphs"}
"""What the nightly run has beside the others."""


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory, request):
    """Run all benchmarks in one process; return what they told, and the results by name."""
    folder = tmp_path_factory.mktemp("results")
    names = [name for name in FIGURES if find_spec(NEEDS.get(name, "numpy"))]
    options = "--exhaustive", "--rest", "--nightly"
    if not any(request.config.getoption(option) for option in options):
        names = [name for name in names if name not in LONG]
    done = run_script("benchmarks", *names, "--quick", "--output", str(folder))
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in folder.iterdir()]
    return done.stdout, {found["benchmark"]: found for found in results}


@pytest.mark.nightly
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.nightly if n in LONG else ()) for n in FIGURES]
)
def test_each_benchmark_runs_quickly_and_writes_all_fields(quick_run, name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    told, results = quick_run
    assert f"\n{name}\n====" in f"\n{told}"
    assert told.count("Targets (a quick run") == len(results)
    assert "  met  " in told or "  missed  " in told
    assert_complete(results[name], name, FIGURES[name])


@pytest.mark.nightly
def test_small_graphs_have_the_tasks_and_bytes_of_the_model(quick_run):
    pytest.importorskip("dask")
    cases = quick_run[1]["large_graphs"]["cases"]
    counted = [case for case in cases if "counted" in case]
    assert counted
    for case in counted:
        assert case["counted"] == {name: case["modelled"][name] for name in case["counted"]}
    assert any(case["modelled"]["tasks"] > 1_000_000 for case in cases)


def test_a_missed_target_is_an_error_where_it_is_asked_for(table, monkeypatch, capsys):
    main = load("__main__", monkeypatch)
    case = table.Case(
        "a case", lambda row: [{"gpugrad": lambda: 2.0}], [table.Promise("gpugrad", "seconds", 1.0)]
    )
    monkeypatch.setitem(main.BENCHMARKS, "floor", table.Benchmark(lambda quick: [case], ()))
    for words, status in ((), 0), (("--strict",), 1), (("--strict", "--only", "another"), 0):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "floor", "--quick", *words])
        assert main.main() == status
        assert ("missed  a case: gpugrad: 2 (at most 1 s)" in capsys.readouterr().out) == (
            "another" not in words
        )


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


def test_target_is_met_at_its_limit(table):
    assert table.Target("cost", 1.0, "at most", 1.0).met
    assert not table.Target("cost", 1.01, "at most", 1.0).met
    assert table.Target("speed", 1.8, "at least", 1.8).met
    assert not table.Target("speed", 1.79, "at least", 1.8).met
    assert not table.Target("speed", math.nan, "at least", 1.8).met
    assert str(table.Target("cost", 1.5, "at most", 1.0)).startswith("missed")


def test_a_case_keeps_what_was_timed_first_and_what_it_found_out(table):
    def race(row):
        yield {"numpy": lambda: 6.0, "gpugrad": lambda: 2.0}
        yield {"numpy": lambda: 8.0, "findiff": lambda: 2.0}
        row["tasks"] = {"gpugrad": 7}

    promises = [table.Promise("gpugrad", "speed_up", 3.0), table.Promise("gpugrad", "tasks", 6)]
    promises.append(table.Promise("torch", "speed_up", 1.0))
    case = table.Case("a case", race, promises, {"shape": [3]})
    benchmark = table.Benchmark(lambda quick: [case], ("speed_up", "tasks"), rounds=(3, 3))
    row = table.measure_case(benchmark, case, quick=False)
    assert row["rounds"] == [3, 3]
    assert {n: s.median for n, s in row["seconds"].items()} == {
        "numpy": 6.0, "gpugrad": 2.0, "findiff": 2.0,
    }  # fmt: skip
    assert {n: s.median for n, s in row["speed_up"].items()} == {
        "numpy": 1.0, "gpugrad": 3.0, "findiff": 4.0,
    }  # fmt: skip
    assert row["shape"] == [3]
    # What did not take part breaks no promise.
    assert [t.met for t in table.list_targets(case, row)] == [True, False]


def test_the_fastest_peer_is_whom_a_figure_asks_for(table):
    def race(row):
        yield {"gpugrad": lambda: 1.0, "numpy": lambda: 6.0, "slices": lambda: 2.0}

    case = table.Case("a case", race, [table.Promise("gpugrad", "over_peer", 0.7)])
    row = table.measure_case(
        table.Benchmark(lambda quick: [case], ("over_peer",)), case, quick=True
    )
    assert {n: s.median for n, s in row["over_peer"].items()} == {
        "gpugrad": 0.5, "numpy": 3.0, "slices": 1.0,
    }  # fmt: skip
    assert [t.met for t in table.list_targets(case, row)] == [True]


def test_what_is_measured_together_is_told_to_each_timer_once(monkeypatch):
    measured = iter([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}])
    timers = load("beginnings", monkeypatch).share(lambda: next(measured), ("a", "b"))
    assert [timers[name]() for name in "abba"] == [1.0, 2.0, 4.0, 3.0]


@pytest.mark.parametrize("difference", [0.0, 1e-15])
def test_everyday_compares_results_before_it_times_them(difference, monkeypatch):
    everyday = load("everyday", monkeypatch)
    row = everyday.Comparison("small", (10,), "f", {"peer": f"f + {difference}"}, 1.0)
    monkeypatch.setattr(everyday, "load_compiled_engine", lambda: None)
    if difference:
        with pytest.raises(AssertionError, match=r"small: f, 10, result 0: not NumPy's bits"):
            list(everyday.race(row, True, {}))
    else:
        assert [set(timers) for timers in everyday.race(row, True, {})] == [{"gpugrad", "peer"}]


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


def test_description_of_the_machine_names_no_host_and_no_folder(machine):
    description = machine.describe_machine()
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


def test_slug_keeps_letters_digits_and_hyphens(machine):
    assert machine.slug("Intel(R) Core(TM) i7-1185G7 @ 3.00GHz") == "intel-core-i7-1185g7"
    assert machine.slug("") == "unknown"


def test_table_aligns_its_columns(table):
    assert table.format_table(("a", "bc"), [("long", "1")]) == "a     bc\n----  --\nlong   1"


@pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are Linux's")
def test_out_of_core_runs_quickly_within_its_limit(tmp_path):
    done = run_script("benchmarks", "out_of_core", "--quick", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    (case,) = json.loads(path.read_text())["cases"]
    assert case["speed_up_copy"]["gpugrad grad"]["median"] > 0
    assert 1e6 * case["peak_megabytes"]["gpugrad grad"] < case["limit_bytes"]
