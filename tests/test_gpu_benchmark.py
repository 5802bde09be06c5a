"""The benchmark for GPUs without one: on the host, where its figures mean nothing."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from test_benchmarks import ROOT, run_script

pytest.importorskip("cupy", reason="CuPy is not installed")
import cupy
from kernels_on_host import HostCuda, home, host_array, running_on_host


class Stream:
    """A stream, and the graph of what was captured on it."""

    def __init__(self, non_blocking=False):
        self.launched = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def begin_capture(self):
        pass

    def end_capture(self):
        return self

    def launch(self, stream):
        self.launched += 1


@pytest.fixture
def benchmark(monkeypatch):
    """Return the benchmark, with CuPy on the host and no other library."""
    monkeypatch.syspath_prepend(ROOT)
    module = importlib.import_module("benchmarks.gpu")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(module, "BATCH_SECONDS", 1e-4)
    with running_on_host(HostCuda("")):
        yield module


def draw_numbers(seed):
    rng = np.random.default_rng(seed)
    return SimpleNamespace(
        standard_normal=lambda shape, dtype: host_array(rng.standard_normal(shape, dtype))
    )


def take_home(f):
    return home(f) if isinstance(f, cupy.ndarray) else f


host_cupy = SimpleNamespace(
    random=SimpleNamespace(default_rng=draw_numbers),
    copyto=lambda target, source: None,
    cuda=SimpleNamespace(Device=lambda: SimpleNamespace(synchronize=lambda: None), Stream=Stream),
    empty_like=lambda f: host_array(np.empty(f.shape, f.dtype)),
    asarray=host_array,
    gradient=lambda f, *x: np.gradient(home(f), *map(take_home, x)),
    get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None),
)


@pytest.mark.nightly
def test_every_case_is_measured(benchmark):
    from benchmarks.__main__ import BENCHMARKS
    from benchmarks.table import list_targets, make_plain, measure_case

    cases = [
        benchmark.make_case(field, "a GPU", host_cupy) for field in benchmark.list_fields(True)
    ]
    results = [measure_case(BENCHMARKS["gpu"], case, quick=True) for case in cases]
    assert {len(r["shape"]) for r in results} == {1, 2, 3}
    for r in results:
        assert {"copying", "gpugrad", "gpugrad, out=", "gpugrad, in a graph"} <= set(r["seconds"])
        assert r["passes"] == (2 if r["operator"] == "laplacian" else 1 + len(r["shape"]))
        assert r["of_copy"]["gpugrad, out="].median > 0
    json.dumps(make_plain(results))
    targets = [t for pair in zip(cases, results, strict=True) for t in list_targets(*pair)]
    assert sum("in a graph" in target.what for target in targets) == 4


def test_what_fails_is_noted_and_memory_is_freed_between_libraries(benchmark, monkeypatch):
    events = []

    def free():
        events.append("freed")

    def fill_the_memory():
        raise MemoryError("out of memory")

    def list_others(name, problem):
        def list_calls(field, cupy, f, spacing):
            events.append(name)
            yield f"{name} that fails", fill_the_memory
            yield f"{name} that works", lambda: None
            if problem:
                raise problem

        return list_calls

    memory_pool = SimpleNamespace(free_all_blocks=free)
    monkeypatch.setattr(host_cupy, "get_default_memory_pool", lambda: memory_pool)
    monkeypatch.setattr(benchmark, "list_torch", list_others("torch", None))
    monkeypatch.setattr(benchmark, "list_jax", list_others("jax", RuntimeError("no such device")))
    row = {"skipped": {}}
    field = benchmark.Field((64, 64), "float32")
    events.extend(sorted(timers) for timers in benchmark.race_field(field, host_cupy, row))
    ours = ["copying", "cupy", "gpugrad", "gpugrad, in a graph", "gpugrad, out="]
    assert events == [ours, "freed", "torch", ["copying", "torch that works"], "freed",
                      "jax", ["copying", "jax that works"], "freed"]  # fmt: skip
    assert row["skipped"] == {
        "torch that fails": "MemoryError: out of memory",
        "jax that fails": "MemoryError: out of memory",
        "what comes after jax that works": "RuntimeError: no such device",
    }


def test_results_are_written_case_by_case(benchmark, monkeypatch, tmp_path):
    from benchmarks import __main__ as main
    from benchmarks.table import Benchmark

    fields = [*benchmark.list_fields(True)][:3]
    written = []

    def list_cases(quick):
        for field in fields:
            found = [json.loads(path.read_text()) for path in tmp_path.iterdir()]
            written.append(sum(len(results["cases"]) for results in found))
            yield benchmark.make_case(field, "a GPU", host_cupy)
        raise KeyboardInterrupt

    broken_off = Benchmark(list_cases, ("of_copy",), 1.0, (1, 1), lambda: None, lambda: "A GPU")
    options = SimpleNamespace(output=tmp_path, quick=True, only="")
    with pytest.raises(KeyboardInterrupt):
        main.run("gpu", broken_off, options)
    assert written == [0, 1, 2]
    (path,) = tmp_path.iterdir()
    assert path.name == "gpu-a-gpu.json"
    assert len(json.loads(path.read_text())["cases"]) == 3


def test_full_cases_reach_from_one_to_four_axes_and_to_8_gigabytes(benchmark):
    fields = [*benchmark.list_fields(False)]
    assert {len(field.shape) for field in fields} == {1, 2, 3, 4}
    assert min(field.bytes for field in fields) <= 1 << 20
    assert max(field.bytes for field in fields) == 1 << 33
    assert {field.operator for field in fields} == {"gradient", "laplacian"}
    assert any(field.uneven for field in fields)


def test_without_a_gpu_it_says_why():
    from gpugrad._arrays.devices import find_gpu

    if find_gpu().usable:
        pytest.skip("there is a GPU")
    done = run_script("benchmarks", "gpu", "--quick")
    assert done.returncode == 0
    assert "There is no usable GPU" in done.stdout
    assert run_script("benchmarks", "gpu", "--quick", "--strict").returncode == 1


def make_up_results():
    """Return results that nobody has measured, to try the picture with."""
    parts = {"gpugrad": 0.80, "gpugrad, out=": 0.90, "cupy": 0.19, "torch": 0.22,
             "torch.compile": 0.55, "jax.jit": 0.6, "copying": 1.0}  # fmt: skip
    cases = []
    for dtype, size in (("float32", 4), ("float64", 8)):
        copying = 4 * size * 512**3 / 1e12
        cases.append({
            "title": f"gradient 512x512x512 {dtype}", "gpu": "MADE UP, NOT MEASURED",
            "shape": [512] * 3, "dtype": dtype, "uneven": False, "operator": "gradient",
            "of_copy": {way: {"median": part} for way, part in parts.items()},
            "seconds": {way: {"median": copying / part} for way, part in parts.items()},
        })  # fmt: skip
    del cases[1]["of_copy"]["torch.compile"]
    machine, versions = {"cpu": "A", "numpy": "2"}, {"jax": "0"}
    return {"benchmark": "gpu", "quick": True, "machine": machine, "versions": versions,
            "cases": cases}  # fmt: skip


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    results, drawn = tmp_path / "results.json", tmp_path / "gpu.png"
    results.write_text(json.dumps(make_up_results()))
    done = run_script("benchmarks.pictures", str(results), str(drawn))
    assert done.returncode == 0, done.stderr
    assert drawn.read_bytes().startswith(b"\x89PNG")
