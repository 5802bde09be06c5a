"""`gpugrad grad` on a field larger than the memory it may take, against plain reading and writing.

In turn, a field's bytes are read and as many as the results have are written, by plain calls of
the system; and the command runs in a process whose memory is limited by the system. Both end when
everything is on the disk. `TMPDIR` says where the files lie.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import assert_same_bits
from benchmarks.table import Case, Heats, Promise, Row

LIMIT = 1_500_000_000
"""Bytes of addresses that the process may take, its libraries' among them."""


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield a field of four times the limit."""
    side = 96 if quick else 1152
    promises = (
        Promise("gpugrad grad", "speed_up_copy", 0.7),
        Promise("gpugrad grad", "peak_megabytes", LIMIT / 1e6),
    )
    title = f"{side}^3 float32, {4 * side**3 / 1e9:.3g} GB, gradient"
    yield Case(title, partial(race_files, side), promises, {"limit_bytes": LIMIT})


def race_files(side: int, row: Row) -> Heats:
    """Time both, and compare some planes of each result with those in memory."""
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "field.npy"), Path(folder, "out.npy")
        write_field(source, side)

        def run_command() -> float:
            seconds, peak = run_limited(source, out)
            peaks.append(peak / 1e6)
            check_planes(source, out)
            out.unlink()
            return seconds

        plain = partial(copy_plainly, source, Path(folder, "copy.npy"), 3)
        yield {"plain copy": plain, "gpugrad grad": run_command}
    row["peak_megabytes"] = {"gpugrad grad": max(peaks)}


def write_field(path: Path, side: int) -> None:
    """Write a field of random numbers, plane by plane."""
    rng = np.random.default_rng(0)
    for plane in np.lib.format.open_memmap(path, "w+", np.float32, (side,) * 3):
        plane[...] = rng.random((side, side), np.float32)


def copy_plainly(source: Path, out: Path, times: int) -> float:
    """Read a file once and write its bytes several times over; return the seconds it took."""
    started = time.perf_counter()
    buffer = memoryview(bytearray(1 << 26))
    with open(source, "rb", buffering=0) as reader, open(out, "wb", buffering=0) as writer:
        while count := reader.readinto(buffer):
            for _ in range(times):
                writer.write(buffer[:count])
        os.fsync(writer.fileno())
    seconds = time.perf_counter() - started
    out.unlink()
    return seconds


def run_limited(source: Path, out: Path) -> tuple[float, int]:
    """Run the command with a limit set by the system; return its seconds and its peak of memory."""
    import resource  # which Windows has not

    code = (  # the peak that the system reports to a parent would be that of the parent's fork
        "import sys; from gpugrad._cli.main import main; status = main(sys.argv[1:]);"
        "print(*[s.split()[1] for s in open('/proc/self/status') if 'VmHWM' in s]);"
        "sys.exit(status)"
    )
    # The system counts addresses, of which the libraries take some without filling them.
    command = ["grad", str(source), str(out), "--quiet", "--memory", str(LIMIT // 2)]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds, int(done.stdout) * 1024


def check_planes(source: Path, out: Path) -> None:
    """Compare some planes with what NumPy makes of them and their neighbours."""
    f, results = np.load(source, mmap_mode="r"), np.load(out, mmap_mode="r")
    for i in np.random.default_rng(1).integers(1, len(f) - 1, 5):
        expected = [slope[1] for slope in np.gradient(f[i - 1 : i + 2])]
        assert_same_bits(f"plane {i}", [*results[:, i]], expected)
