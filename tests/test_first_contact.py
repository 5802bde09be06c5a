"""The first contact with a GPU, rehearsed without one: its script, and what its steps start."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from test_benchmarks import ROOT

SCRIPT = ROOT / "benchmarks" / "first_contact.sh"
STEPS = ["smoke", "kernels", "bits", "libraries", "memcheck", "speed", "counters"]

PYTHON = """#!/bin/sh
echo "$@"
case "$*" in
    *pytest_timeout*) exit 1 ;;
    *benchmarks*gpu*--output*) echo {} >"$OUT/gpu-a-gpu.json" ;;
    *kernel_cases*) exit 3 ;;
    *gpu_smoke.py) sleep "${SMOKE_SECONDS:-0}" ;;
esac
"""


@pytest.fixture
def first_contact(tmp_path):
    """Return a function that runs the script with stand-ins for Python and the profiler."""
    if shutil.which("bash") is None or shutil.which("timeout") is None:
        pytest.skip("the script needs bash and coreutils")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3", "ncu"):
        (programs / name).write_text(PYTHON)
        (programs / name).chmod(0o755)

    def run(*steps, **variables):
        environment = {
            **os.environ, "OUT": str(tmp_path / "out"), "TMPDIR": str(tmp_path),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **variables,
        }  # fmt: skip
        done = subprocess.run(
            ["bash", str(SCRIPT), *steps], env=environment, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done, sorted(path.name for path in (tmp_path / "out").iterdir())

    return run


def test_every_step_runs_whatever_the_others_find(first_contact, tmp_path):
    done, files = first_contact()
    told = [line.split()[1:4] for line in done.stdout.splitlines() if line.startswith("== ")]
    statuses = {name.rstrip(":"): status for name, _, status in told[:-1]}
    assert statuses == {name: "3" if name == "kernels" else "0" for name in STEPS}
    assert files == sorted([*(f"{name}.log" for name in STEPS), "gpu-a-gpu.json"])
    assert len(files) <= 8
    log = (tmp_path / "out" / "bits.log").read_text()
    assert "--require-gpu" in log
    assert "--timeout" not in log  # without the plugin, which a bare machine lacks
    assert not [*tmp_path.glob("tmp*")]  # what was installed for the run has gone


@pytest.mark.exhaustive
def test_steps_that_take_too_long_are_ended(first_contact):
    done, files = first_contact("smoke", "kernels", SMOKE_SECONDS="30", WHOLE="2", LEAST="1")
    assert "== smoke: status 124 after 2 s" in done.stdout
    assert "== kernels: no time left" in done.stdout
    assert "bits" not in done.stdout
    assert files == ["smoke.log"]


def test_limits_leave_every_step_a_chance():
    limits = [
        int(line.split()[2]) for line in SCRIPT.read_text().splitlines() if line[:5] == "step "
    ]
    assert len(limits) == len(STEPS)
    # Whatever the first five find, the benchmark has begun, whose results are written case by case.
    assert sum(limits[:5]) <= 580
    assert max(limits) < 300


BARE = """
import importlib.machinery as machinery

MISSING = {"sybil", "hypothesis", "xdist", "dask", "distributed", "scipy", "sympy", "matplotlib",
           "xarray", "pandas", "pint", "astropy", "unyt", "cftime", "zarr", "h5netcdf", "h5py",
           "tqdm", "gmpy2", "llvmlite", "array_api_strict", "sparse", "rasterio", "netCDF4"}
find_spec = machinery.PathFinder.find_spec

@classmethod
def find_on_a_bare_machine(cls, name, path=None, target=None):
    is_missing = name.partition(".")[0] in MISSING
    return None if is_missing else find_spec(name, path, target)

machinery.PathFinder.find_spec = find_on_a_bare_machine
"""
"""A machine that has NumPy, CuPy, PyTorch, JAX and pytest, and nothing else that tests take."""


def test_its_tests_start_on_a_bare_machine(tmp_path):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    (tmp_path / "sitecustomize.py").write_text(BARE)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    names = ["test_gpu.py", "test_gradient.py", "test_libraries.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider",
         *(str(ROOT / "tests" / name) for name in names), "-k", "cupy or gpu"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        assert f"tests/{name}::" in done.stdout
    probe = [sys.executable, "-c", "import sybil"]
    done = subprocess.run(probe, env=environment, capture_output=True, text=True, check=False)
    assert "No module named 'sybil'" in done.stderr


def test_the_smoke_test_and_the_profiled_launches_run_on_a_stand_in(monkeypatch, capsys):
    pytest.importorskip("cupy", reason="CuPy is not installed")
    from kernels_on_host import HostCuda, home, host_array, running_on_host

    monkeypatch.syspath_prepend(ROOT)
    smoke = importlib.import_module("benchmarks.gpu_smoke")

    def draw_numbers(seed):
        rng = np.random.default_rng(seed)
        return SimpleNamespace(
            standard_normal=lambda shape, dtype: host_array(rng.standard_normal(shape, dtype))
        )

    stand_in = SimpleNamespace(
        asarray=host_array, asnumpy=home, random=SimpleNamespace(default_rng=draw_numbers)
    )
    monkeypatch.setattr(smoke, "cupy", stand_in)
    monkeypatch.setattr(smoke.shutil, "which", lambda name: None)
    # Nothing computes here: results are what was in the memory, which may be anything.
    with running_on_host(HostCuda("")) as cuda, np.errstate(all="ignore"):
        smoke.main()
        assert cuda.launches == 5
        told = capsys.readouterr().out
        assert told.count("the same: ") == 5
        cuda.launches = 0
        smoke.launch(16)
        assert cuda.launches == 16
    assert capsys.readouterr().out.count("laplacian") == 8
