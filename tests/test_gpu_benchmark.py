"""The benchmark for GPUs without one: on the host, where its figures mean nothing."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from test_benchmarks import ROOT, run_benchmark

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
    pinned = ModuleType("cupyx")
    pinned.empty_pinned = pinned.zeros_pinned = np.zeros
    monkeypatch.setitem(sys.modules, "cupyx", pinned)
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
    cuda=SimpleNamespace(Device=lambda: SimpleNamespace(synchronize=lambda: None), Stream=Stream),
    empty_like=lambda f: host_array(np.empty(f.shape, f.dtype)),
    asarray=host_array,
    gradient=lambda f, *x: np.gradient(home(f), *map(take_home, x)),
    get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None),
)


def test_every_case_is_measured(benchmark):
    results = [
        benchmark.measure_case(case, host_cupy, 1e12, 2) for case in benchmark.list_cases(True)
    ]
    assert {len(r["shape"]) for r in results} == {1, 2, 3}
    for r in results:
        assert {"gpugrad", "out", "graph"} <= set(r["seconds"])
        assert r["passes"] == (2 if r["operator"] == "laplacian" else 1 + len(r["shape"]))
        assert r["of_copy"] > 0
    json.dumps(results)
    targets = [*benchmark.list_targets(results)]
    assert sum("in a graph" in target.what for target in targets) == 4


def test_full_cases_reach_from_one_to_four_axes_and_to_8_gigabytes(benchmark):
    cases = [*benchmark.list_cases(False)]
    assert {len(case.shape) for case in cases} == {1, 2, 3, 4}
    assert min(case.bytes for case in cases) <= 1 << 20
    assert max(case.bytes for case in cases) == 1 << 33
    assert {case.operator for case in cases} == {"gradient", "laplacian"}
    assert any(case.uneven for case in cases)


def test_fields_in_host_memory_are_measured_beside_the_processor(benchmark, monkeypatch):
    asked = []
    for name in ("gradient", "laplacian"):
        monkeypatch.setattr(
            benchmark.gpugrad, name, lambda f, h, out, backend="auto": asked.append((backend, out))
        )
    for case in benchmark.list_host_cases(True):
        result = benchmark.measure_host_case(case)
        assert len(result["seconds"]) == 3
        json.dumps(result)
    assert {backend for backend, _ in asked} == {"auto", "cupy"}
    assert {type(out) for _, out in asked} == {tuple, np.ndarray}


def test_without_a_gpu_it_says_why():
    from gpugrad._devices import find_gpu

    if find_gpu().usable:
        pytest.skip("there is a GPU")
    done = run_benchmark("gpu", "--quick")
    assert done.returncode == 0
    assert "There is no usable GPU" in done.stdout
    assert run_benchmark("gpu", "--quick", "--strict").returncode == 1


def make_up_results():
    """Return results that nobody has measured, to try the picture with."""
    ways = ("gpugrad", "out", "cupy", "torch", "torch.compile", "jax.jit")
    share = itertools.cycle([0.80, 0.90, 0.19, 0.22, 0.55, 0.6])
    cases = []
    for shape, dtype, size in (("512x512x512", "float32", 4), ("512x512x512", "float64", 8)):
        moved = 4 * size * 512**3
        seconds = {way: {"median": moved / 1e12 / next(share)} for way in ways}
        cases.append({"case": f"gradient {shape} {dtype}", "bytes": size * 512**3, "passes": 4,
                      "seconds": seconds})  # fmt: skip
    del cases[1]["seconds"]["torch.compile"]
    return {"gpu": "MADE UP, NOT MEASURED", "quick": True, "copy_bytes_per_second": 1e12,
            "cases": cases}  # fmt: skip


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    results, drawn = tmp_path / "results.json", tmp_path / "gpu.png"
    results.write_text(json.dumps(make_up_results()))
    done = run_benchmark("gpu_picture", str(results), str(drawn))
    assert done.returncode == 0, done.stderr
    assert drawn.read_bytes().startswith(b"\x89PNG")
