"""`gpugrad grad` on a field larger than the memory it may take, against plain reading and writing.

A field of several times the limit is written to a folder. Then, in turn, its bytes are read and as
many as the results have are written, by plain calls of the system; and the command runs in a
process whose memory is limited by the system. Both end when everything is on the disk.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.measure import Target

PIECE = 1 << 26
TARGET = 0.7
"""The part of the plain throughput that is promised."""


def main() -> int:
    parser = measure.make_parser(__doc__)
    parser.add_argument("--side", type=int, default=1152, help="samples along each of three axes")
    parser.add_argument("--limit", type=float, default=1.5e9, help="bytes of addresses and memory")
    parser.add_argument("--operator", default="gradient", choices=("gradient", "laplacian"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary one)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.side, arguments.rounds = 96, 1
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure_in(Path(folder), arguments)
    for key, value in result.items():
        print(f"{key}: {value}")
    targets = [
        Target("throughput", result["gpugrad over plain"], "at least", TARGET, " of plain"),
        Target("peak of memory", result["peak of memory in bytes"], "at most", arguments.limit),
    ]
    return measure.finish("out_of_core", arguments, targets, {"results": [result]})


def measure_in(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure both in turn; return what came out."""
    source, out = folder / "field.npy", folder / "out.npy"
    make_field(source, arguments.side)
    results = 3 if arguments.operator == "gradient" else 1
    nbytes = 4 * arguments.side**3
    plain, ours, peaks = [], [], []
    for _ in range(arguments.rounds):
        plain.append(copy_plainly(source, folder / "copy.npy", results))
        (folder / "copy.npy").unlink()
        seconds, peak = run_limited(source, out, arguments)
        ours.append(seconds)
        peaks.append(peak)
        equal = same_rows(source, out, arguments)
        out.unlink()
        assert equal, "the result differs from that in memory"
    moved = nbytes * (1 + results)
    return {
        "field": f"{arguments.side}^3 float32, {nbytes / 1e9:.2f} GB",
        "operator": arguments.operator,
        "limit of memory in bytes": arguments.limit,
        "field over limit": round(nbytes / arguments.limit, 2),
        "peak of memory in bytes": max(peaks),
        "seconds, reading and writing plainly": [round(t, 2) for t in plain],
        "seconds, gpugrad grad": [round(t, 2) for t in ours],
        "GB/s, reading and writing plainly": round(moved / median(plain) / 1e9, 2),
        "GB/s, gpugrad grad": round(moved / median(ours) / 1e9, 2),
        "gpugrad over plain": median(p / o for p, o in zip(plain, ours, strict=True)),
    }


def make_field(path: Path, side: int) -> None:
    """Write a field of random numbers, plane by plane."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (side, side, side)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(side):
            file.write(rng.random((side, side), dtype=np.float32).tobytes())


def copy_plainly(source: Path, out: Path, times: int) -> float:
    """Read a file once and write its bytes several times over; return the seconds it took."""
    started = time.perf_counter()
    buffer = memoryview(bytearray(PIECE))
    with open(source, "rb", buffering=0) as reader, open(out, "wb", buffering=0) as writer:
        while count := reader.readinto(buffer):
            for _ in range(times):
                writer.write(buffer[:count])
        os.fsync(writer.fileno())
    return time.perf_counter() - started


def run_limited(source: Path, out: Path, arguments: argparse.Namespace) -> tuple[float, int]:
    """Run the command with a limit set by the system; return its seconds and its peak of memory."""
    code = (  # the peak that the system reports to a parent would be that of the parent's fork
        "import sys; from gpugrad._cli import main; status = main(sys.argv[1:]);"
        "print(*[s.split()[1] for s in open('/proc/self/status') if 'VmHWM' in s]);"
        "sys.exit(status)"
    )
    command = ["grad", str(source), str(out), "--operator", arguments.operator, "--quiet"]
    # The system counts addresses, of which the libraries take some without filling them.
    command += ["--memory", f"{arguments.limit / 2:.0f}"]
    limit = int(arguments.limit)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr)
    return seconds, int(done.stdout) * 1024


def same_rows(source: Path, out: Path, arguments: argparse.Namespace) -> bool:
    """Compare some planes with what `numpy.gradient` makes of them and their neighbours."""
    f, result = np.load(source, mmap_mode="r"), np.load(out, mmap_mode="r")
    for i in np.random.default_rng(1).integers(1, arguments.side - 1, 5):
        near = np.asarray(f[i - 1 : i + 2])
        if arguments.operator == "gradient":
            expected = [df[1] for df in np.gradient(near)]
            found = [result[axis, i] for axis in range(3)]
        else:
            inner = near[:, 1:-1, 1:-1].astype(np.float64)
            rows = near[1].astype(np.float64)
            expected = [
                inner[0] + inner[2] + rows[:-2, 1:-1] + rows[2:, 1:-1] + rows[1:-1, :-2]
                + rows[1:-1, 2:] - 6 * inner[1]
            ]  # fmt: skip
            found = [result[i, 1:-1, 1:-1]]
            return all(np.allclose(a, b, atol=1e-5) for a, b in zip(expected, found, strict=True))
        if not all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True)):
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
