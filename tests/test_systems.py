"""What Windows and macOS want of the package, as far as another system can tell."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

import gpugrad
from internals import _memory, _threads


def test_the_interpreters_own_library_is_opened_by_a_name(monkeypatch):
    class Library(ctypes.CDLL):
        def __init__(self, name, *arguments, **options):
            assert "/" not in name  # Python asks this on Windows, before it looks at the handle
            super().__init__(name, *arguments, **options)

    monkeypatch.setattr(ctypes, "CDLL", Library)
    _threads._find_locks.cache_clear()
    with gpugrad.use_backend("numpy", threads=2):
        f = np.random.default_rng(0).random((600, 600))
        assert np.array_equal(gpugrad.gradient(f, axis=0), np.gradient(f, axis=0))
    assert callable(_threads._find_locks().allocate)


@pytest.mark.parametrize("suffix", [".npy", ".zarr", ".nc"])
def test_files_are_brought_to_the_disk_by_those_who_may_write_them(tmp_path, monkeypatch, suffix):
    fcntl = pytest.importorskip("fcntl")
    if suffix != ".npy":
        pytest.importorskip({".zarr": "zarr", ".nc": "h5netcdf"}[suffix])
    from internals import run

    synced, fsync = [], os.fsync

    def check(number):
        synced.append(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE)
        fsync(number)

    monkeypatch.setattr(os, "fsync", check)
    np.save(tmp_path / "f.npy", np.random.default_rng(0).random((20, 30)))
    run.differentiate(tmp_path / "f.npy", tmp_path / f"g{suffix}")
    assert synced
    assert os.O_RDONLY not in synced


def test_memory_is_not_kept_where_the_system_does_not_say_how_much_it_has(monkeypatch):
    monkeypatch.setattr(os, "sysconf_names", {})
    _memory._quarter_of_memory.cache_clear()
    try:
        assert _memory._limit() == 0
    finally:
        _memory._quarter_of_memory.cache_clear()


def test_a_console_may_lack_letters_of_a_name(tmp_path):
    np.save(tmp_path / "höhe.npy", np.arange(6.0))
    command = [sys.executable, "-m", "gpugrad", "grad", "höhe.npy", "größe.npy"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, check=False, encoding="ascii",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert r"gr\xf6\xdfe.npy" in done.stdout
