"""The trials of reliability, a few of each; and they fail where something is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpugrad
from internals import numpy_blocks, prepared_calls

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="made for Linux")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.reliability.{name}")


def test_random_calls_are_numpys_in_values_and_errors(load, request):
    takes_all = any(request.config.getoption(name) for name in ("--exhaustive", "--rest"))
    random_calls = load("random_calls")
    engines = {k: way for k, way in random_calls.list_ways().items() if way.convert is None}
    ways = random_calls.list_ways() if takes_all else engines
    outcome = random_calls.run(3000 if takes_all else 300, 0, ways=ways)
    assert outcome.is_right
    assert outcome.notes["with a mistake"] > outcome.tried / 10


def test_random_calls_notice_a_wrong_engine(load, monkeypatch):
    evaluate = numpy_blocks.evaluate

    def spoil(outputs, out=None):
        results = evaluate(outputs, out)
        results[0].flat[-1] += 1e-3
        return results

    random_calls = load("random_calls")
    ways = {"numpy": random_calls.list_ways()["numpy"]}
    monkeypatch.setattr(numpy_blocks, "evaluate", spoil)
    assert random_calls.run(20, 0, ways=ways).wrong > 5


@pytest.mark.parametrize(
    ("error", "told"),
    [(KeyError("x"), "not a TypeError"), (None, "a mistake is answered with numbers")],
)
def test_random_calls_notice_a_wrong_error(load, monkeypatch, error, told):
    random_calls = load("random_calls")
    call, way = (
        random_calls.make_mistake(np.random.default_rng(0)),
        random_calls.list_ways()["auto"],
    )
    assert random_calls.judge(call, way) is None

    def answer(f, *spacing, **keywords):
        if error is not None:
            raise error
        return np.zeros(3)

    monkeypatch.setattr(gpugrad, "gradient", answer)
    assert told in random_calls.judge(call, way)


def test_repeated_calls_are_those_of_the_reference_engine(load, request):
    takes_all = any(request.config.getoption(name) for name in ("--exhaustive", "--rest"))
    assert load("repeated_calls").run(4000 if takes_all else 300, 0).is_right


def test_repeated_calls_notice_a_call_that_is_taken_for_another(load, monkeypatch):
    monkeypatch.setattr(prepared_calls, "are_equal", lambda *spacings: True)
    assert load("repeated_calls").run(300, 0).wrong > 0


def run_command(*words):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.reliability", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.nightly
def test_damaged_files_of_all_formats_are_refused_or_read_as_they_are():
    done = run_command("damaged_files", "--count", 30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("damaged_files: 30 tried, 0 wrong, 0 crashed, ")


@pytest.mark.exhaustive
def test_damaged_files_are_refused_or_read_as_they_are(load, monkeypatch):
    damaged_files = load("damaged_files")
    chosen = {k: v for k, v in damaged_files.FORMATS.items() if k.startswith(("npz", "npy"))}
    monkeypatch.setattr(damaged_files, "FORMATS", chosen)
    outcome = damaged_files.run(16, 0)
    assert outcome.is_right
    assert outcome.notes["refused"] > 5


@pytest.mark.exhaustive(way="a hang")
@pytest.mark.parametrize("way", ["numbers", "a crash", "a traceback", "two lines", "a hang"])
def test_damaged_files_notice_a_wrong_answer(load, monkeypatch, capsys, way):
    import signal
    import time
    import traceback

    from internals import cli_main

    damaged_files = load("damaged_files")
    monkeypatch.setattr(damaged_files, "SECONDS", 1)
    only = {"npy": damaged_files.FORMATS["npy"]}
    monkeypatch.setattr(damaged_files, "FORMATS", only)

    def answer(words):
        if way == "numbers":
            np.save(words[2], np.full((3, *damaged_files.SHAPE), 7.0, "f4"))
            return 0
        if way == "a crash":
            os.kill(os.getpid(), signal.SIGKILL)
        elif way == "a traceback":
            try:
                raise ValueError
            except ValueError:
                traceback.print_exc()
        elif way == "two lines":
            print("gpugrad: error: something.\nAnd more.", file=sys.stderr)
        else:
            time.sleep(60)
        return 1

    monkeypatch.setattr(cli_main, "main", answer)
    outcome = damaged_files.run(1, 0)
    assert not outcome.is_right
    assert outcome.crashed > 0 or way in ("numbers", "two lines")


@pytest.mark.nightly
def test_many_threads_are_right(load):
    assert load("many_threads").run(2, 0).is_right


def test_many_threads_notice_a_wrong_result(load, monkeypatch):
    many_threads = load("many_threads")
    monkeypatch.setattr(
        many_threads, "list_jobs", lambda: {"a job": lambda dice: (np.zeros(3), np.ones(3))}
    )
    assert many_threads.work(0.1, 0).wrong > 0


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("module", "run", "count"),
    [
        ("processes", "run_threads", 8),
        ("processes", "run_forks", 4),
        ("processes", "run_ends", 5),
        ("file_runs", "run_writers", 3),
        ("file_runs", "run_full_disks", 3),
        ("file_runs", "run_changes", 3),
        ("cpu_quota", "run", 2),
    ],
)
def test_few_trials_are_right(load, module, run, count):
    assert getattr(load(module), run)(count, 0).is_right


def test_file_runs_notice_other_numbers(load, tmp_path):
    file_runs = load("file_runs")
    _, expected = file_runs.make_input(tmp_path)
    np.save(tmp_path / "g.npy", expected)
    assert file_runs.compare(tmp_path / "g.npy", expected) is None
    assert file_runs.compare(tmp_path / "g.npy", expected + 1) == "other numbers"
    assert file_runs.is_one_line("gpugrad: error: no.\n")
    assert not file_runs.is_one_line("gpugrad: error: no.\nmore\n")
    assert not file_runs.is_one_line("")


def test_a_case_that_fails_is_counted(load):
    file_runs = load("file_runs")
    outcome = file_runs._try(lambda folder, suffix, dice: "other numbers", 2, 0)
    assert (outcome.tried, outcome.wrong, outcome.is_right) == (2, 2, False)


def test_a_library_that_another_thread_imports_is_waited_for(tmp_path):
    """Half of it is there: array-api-compat looks for a class that it has not yet."""
    (tmp_path / "dask").mkdir()
    (tmp_path / "dask/__init__.py").touch()
    (tmp_path / "dask/array.py").write_text("import time\ntime.sleep(1)\nclass Array: pass\n")
    code = (
        "import sys, threading, time, numpy as np, gpugrad\n"
        "def load(): import dask.array\n"
        "thread = threading.Thread(target=load)\n"
        "thread.start()\n"
        "while 'dask.array' not in sys.modules: time.sleep(0.001)\n"
        "print(gpugrad.gradient([0.0, 1.0, 4.0]), thread.join())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("[1. 2. 3.] None\n", "")


@pytest.mark.exhaustive
@pytest.mark.parametrize("needs", ["nothing", "logging", "a lock of others"])
def test_a_child_forked_while_a_thread_imports_can_import(tmp_path, needs):
    (tmp_path / "array_api_compat").mkdir()
    place = Path(importlib.util.find_spec("array_api_compat").origin).parent
    (tmp_path / "array_api_compat/__init__.py").write_text(
        f"__path__ = [{str(place)!r}]\n"
        "exec(compile(open(__path__[0] + '/__init__.py').read(), 'compat', 'exec'))\n"
        "import sys, time, importlib.abc, importlib.machinery\n"
        "class Slow(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'array_api_compat.numpy._aliases':\n"
        "            spec = importlib.machinery.PathFinder.find_spec(name, path, target)\n"
        "            run = spec.loader.exec_module\n"
        "            def run_slowly(module):\n"
        "                sys.reached = True; time.sleep(1); sys.take(); run(module)\n"
        "            spec.loader.exec_module = run_slowly\n"
        "            return spec\n"
        "sys.meta_path.insert(0, Slow())\n"
    )
    # The locks are taken before a fork, too, and by handlers that may run before ours.
    takes = {
        "nothing": "def take(): pass\n",
        "logging": "import logging\ndef take(): logging.getLogger('another')\n",
        "a lock of others": "lock = threading.Lock()\n"
        "os.register_at_fork(before=lock.acquire, after_in_parent=lock.release)\n"
        "def take():\n"
        "    with lock: pass\n"
        "sys.modules['gpugrad._arrays.threads']._FORK_WAITS = 1.5\n",
    }
    code = (
        "import os, signal, sys, threading, time, numpy as np, gpugrad\n"
        f"{takes[needs]}"
        "sys.take = take\n"
        "def call(): return gpugrad.gradient(np.zeros(3), backend='slices')\n"
        "thread = threading.Thread(target=call)\n"
        "thread.start()\n"
        "while not hasattr(sys, 'reached'): time.sleep(0.001)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(10)\n"
        f"    os._exit(0 if {needs == 'a lock of others'} else int(call().any()))\n"
        "print(os.waitpid(child, 0)[1], thread.join())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0 None\n", "")


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(
    ("quota", "cores"), [("max", None), ("150000", 2), ("200000", 2), ("20000", 1)]
)
def test_threads_keep_to_the_quota_of_a_container(load, tmp_path, version, quota, cores):
    cpu_quota = load("cpu_quota")
    cpu_quota.write_stand_ins(tmp_path, version, quota)
    cpu_quota.find_quota.cache_clear()
    try:
        assert cpu_quota.find_quota(tmp_path) == cores
    finally:
        cpu_quota.find_quota.cache_clear()


def test_the_limit_of_an_outer_group_counts(load, tmp_path):
    cpu_quota = load("cpu_quota")
    cpu_quota.write_stand_ins(tmp_path, "v2", "max")
    (tmp_path / "proc/self/cgroup").write_text("0::/outer/inner\n")
    for name, limit in (("outer", "300000 100000"), ("outer/inner", "max 100000")):
        folder = tmp_path / "sys/fs/cgroup" / name
        folder.mkdir()
        (folder / "cpu.max").write_text(limit)
    cpu_quota.find_quota.cache_clear()
    try:
        assert cpu_quota.find_quota(tmp_path) == 3
    finally:
        cpu_quota.find_quota.cache_clear()


def test_the_command_prints_a_line_and_fails_where_something_is_wrong(load):
    done = run_command("cpu_quota", "--count", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cpu_quota: 1 tried, 0 wrong, 0 crashed, ")
    trial = load("trial")
    outcome = trial.Outcome()
    assert not outcome.is_right  # nothing tried
    outcome.tried = 1
    assert outcome.is_right
    outcome.fail("on purpose")
    assert not outcome.is_right


def test_the_page_shows_the_results_that_were_written(load):
    page, kinds = load("page"), load("__main__").KINDS
    text, results = page.PAGE.read_text(), page.read()
    assert text == page.write_table(text, results)
    assert {*results} <= {*kinds}
    for name, result in results.items():
        assert f"**`{name}`**" in text, f"the page says nothing of {name}"
        assert (result["wrong"], result["crashed"]) == (0, 0)
        assert result["tried"] > 0
    assert json.dumps(results, indent=1, ensure_ascii=False) + "\n" == page.RESULTS.read_text()
