"""The machine that figures come from: what they depend on, and nothing that names its owner."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np

import gpugrad
from benchmarks.measure import ROOT

LIBRARIES = ("llvmlite", "torch", "jax", "jaxlib", "dask", "findiff", "xarray",
             "cupy-cuda12x", "cupy-cuda13x")  # fmt: skip

LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
"""How many processes wanted a core before anything was measured: far above 0, beware."""


def describe_machine() -> dict[str, Any]:
    """Describe what figures depend on, and nothing that names a person, a host or a folder."""
    huge_pages = read_text(Path("/sys/kernel/mm/transparent_hugepage/enabled"))
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": count_cores(),
        "caches": describe_caches(),
        "memory_bytes": find_memory("MemTotal"),
        "huge_pages": huge_pages.partition("[")[2].partition("]")[0] or None,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load_before": LOAD_BEFORE,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": np.__version__,
        "gpugrad": gpugrad.__version__,
        "commit": find_commit(),
    }


def list_versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    versions = {d.name: d.version for d in distributions()}
    return {name: versions[name] for name in LIBRARIES if name in versions}


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """Return the name of the processor as it gives it, with family and model where it has them."""
    first, _, _ = read_text(Path("/proc/cpuinfo")).partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    facts = {key.strip(): value.strip() for key, _, value in pairs}
    if "model name" in facts:
        numbers = {"family": facts.get("cpu family"), "model": facts.get("model")}
        return " ".join([facts["model name"], *(f"{k} {n}" for k, n in numbers.items() if n)])
    if sys.platform == "darwin":
        return subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True
        ).stdout.strip()
    return platform.processor() or platform.machine()


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe_caches() -> dict[str, str]:
    """Return the sizes of a core's caches, by level and kind, where the system tells them."""
    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read_text(folder / name) for name in ("level", "type", "size"))
        if level and kind and size:
            caches[f"L{level} {kind.lower()}"] = size
    return caches


def find_memory(which: str) -> int | None:
    """Return the bytes of this machine's memory, "MemTotal" or "MemAvailable", on Linux."""
    found = re.search(rf"^{which}:\s+(\d+)", read_text(Path("/proc/meminfo")), re.M)
    return int(found[1]) * 1024 if found else None


def find_commit() -> str | None:
    """Return the commit of this checkout, with a plus where the package differs from it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "gpugrad")
        return git("rev-parse", "--short", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None


def read_text(path: Path) -> str:
    """Return the text of a file, or "" where there is no such file."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def slug(text: str) -> str:
    """Spell a name with lower-case letters, digits and hyphens only."""
    text = re.sub(r"\((r|tm)\)|@.*", " ", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-") or "unknown"
