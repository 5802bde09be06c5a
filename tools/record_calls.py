"""Record what thousands of calls of gpugrad's public API give, to compare before and after.

For changes that must leave every bit and every message as it was, such as moving code about:

    python tools/record_calls.py record before.rec     # on the commit before
    python tools/record_calls.py record after.rec      # on the commit after
    python tools/record_calls.py compare before.rec after.rec

The gpugrad that is recorded is the one that Python imports, which ``PYTHONPATH`` chooses. For each
call a record has the types, dtypes, shapes, orders of memory and a digest of the bytes of what it
gives, or the class and the message of what it raises, and its warnings. Compare records of one
machine and one set of libraries: other processors and other versions have other last bits.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recording import records
from recording.calls import Call
from recording.running import run, show

import gpugrad

ENVIRONMENT = {
    # Sums must not depend on how many cores are free, ...
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "GPUGRAD_NUM_THREADS": "1",
    # ... nor results on a GPU, ...
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    # ... nor texts on a terminal, a place, and hashes, by which SymPy orders terms.
    "COLUMNS": "100",
    "NO_COLOR": "1",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
}
"""What a process that records needs before Python, NumPy and JAX start."""

_UNWANTED = ("GPUGRAD_BACKEND", "GPUGRAD_RECYCLE_BYTES")

TABLES = (
    "package", "arrays", "schemes", "vectors", "masks", "plans", "points", "functions", "formulas",
    "libraries", "labels", "files", "errors",
)  # fmt: skip

LIBRARIES = (
    "numpy", "array-api-compat", "array-api-strict", "dask", "jax", "jaxlib", "torch", "llvmlite",
    "scipy", "sympy", "xarray", "pint", "zarr", "h5netcdf",
)  # fmt: skip


def calls(only: str = "") -> Iterator[Call]:
    """Return the calls whose names have a match of a regular expression."""
    for table in TABLES:
        yield from _calls_of(table, only)


def _calls_of(table: str, only: str) -> list[Call]:
    pattern = re.compile(only)
    return [call for call in _module(table).calls() if pattern.search(call.name)]


def _module(table: str) -> Any:
    return import_module(f"recording.of_{table}")


def make_record(only: str = "", quiet: bool = True) -> records.Answers:
    """Make the calls, and return what came of them by name."""
    answers: records.Answers = {}
    seconds: dict[str, list[float]] = {}
    for call in calls(only):
        if call.name in answers:
            raise RuntimeError(f"two calls have the name {call.name!r}")
        started = time.process_time()
        answers[call.name] = run(call)
        group = seconds.setdefault(call.name.partition("/")[0], [])
        group.append(time.process_time() - started)
    for name, each in seconds.items():
        if not quiet:
            print(f"{name:30} {len(each):6,} calls {sum(each):7.1f} s of CPU")
    return answers


def header() -> dict[str, Any]:
    """Return what a record says of itself; nothing of the machine's folders."""
    libraries = {}
    for name in LIBRARIES:
        if find_spec(name.replace("-", "_")):
            libraries[name] = version(name)
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "gpugrad": gpugrad.__version__, "commit": _commit(), "python": python,
        "libraries": libraries,
    }  # fmt: skip


def _commit() -> str:
    folder = Path(gpugrad.__file__).parent
    try:
        state = [
            subprocess.run(
                ["git", "-C", folder, *words], capture_output=True, text=True, check=True
            )
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return state[0].stdout.strip() + (" with changes" if state[1].stdout.strip() else "")


def _load_libraries(only: str) -> None:
    """Load what the calls need: libraries warn while they are loaded, whichever call is first."""
    needed = [name for table in TABLES if _calls_of(table, only) for name in _module(table).LOADS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in needed:
            if find_spec(name.partition(".")[0]):
                import_module(name)
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_enable_x64", True)


def _record(arguments: argparse.Namespace) -> int:
    _load_libraries(arguments.only)
    started, about = time.process_time(), header()
    answers = make_record(arguments.only, arguments.quiet)
    if header() != about:
        raise SystemExit("gpugrad was changed while it was recorded: record it again.")
    records.write(arguments.file, about, answers)
    seconds, folder = time.process_time() - started, Path(gpugrad.__file__).parent
    print(f"gpugrad {about['gpugrad']}, commit {about['commit']}, in {folder}")
    print(f"{len(answers):,} calls in {seconds:.0f} s of CPU")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    (first, a), (second, b) = records.read(arguments.first), records.read(arguments.second)
    pattern = re.compile(arguments.only)
    a, b = ({k: v for k, v in record.items() if pattern.search(k)} for record in (a, b))
    print(f"{first['commit']} and {second['commit']}")
    for key in ("python", "libraries"):
        if first[key] != second[key]:
            print(f"Not the same {key}, which may have other bits: {first[key]}, {second[key]}")
    count, lines = records.compare(a, b, arguments.most)
    print("\n".join(lines))
    return 1 if count else 0


def _show(arguments: argparse.Namespace) -> int:
    import numpy as np

    found = [*calls(f"^{re.escape(arguments.name)}$")] or [*calls(arguments.name)]
    if not found:
        raise SystemExit(f"No call has a name like {arguments.name!r}; `list` prints them all.")
    _load_libraries("|".join(re.escape(call.name) for call in found))
    for call in found:
        text, result, caught = show(call)
        print(f"{call.name}\n  {text}")
        with np.printoptions(threshold=100_000, floatmode="unique", linewidth=120):
            print(repr(result))
        for warning in caught:
            print(f"  warns: {warning}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    for call in calls(arguments.only):
        print(call.name)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    record = commands.add_parser("record", help="make the calls and write what came of them")
    record.add_argument("file", type=Path)
    record.add_argument("--only", default="", help="calls whose names match")
    record.add_argument("--quiet", action="store_true", help="print no line for each group")
    record.set_defaults(run=_record)
    compare = commands.add_parser("compare", help="say what differs; the status is 1 if anything")
    compare.add_argument("first", type=Path)
    compare.add_argument("second", type=Path)
    compare.add_argument("--only", default="", help="calls whose names match")
    compare.add_argument("--most", type=int, default=3, help="calls shown of a group (default: 3)")
    compare.set_defaults(run=_compare)
    shown = commands.add_parser("show", help="make one call again, and print all of its result")
    shown.add_argument("name", help="the name of a call, or a regular expression for several")
    shown.set_defaults(run=_show)
    listed = commands.add_parser("list", help="print the names of the calls")
    listed.add_argument("--only", default="", help="those that match")
    listed.set_defaults(run=_list)
    parsed = parser.parse_args(arguments)
    status: int = parsed.run(parsed)
    return status


def _in_environment() -> int:
    """Run the command in a process of its own, if this one is not as it must be."""
    wanted = {name: x for name, x in os.environ.items() if name not in _UNWANTED} | ENVIRONMENT
    if wanted == dict(os.environ):
        return main()
    return subprocess.call([sys.executable, *sys.argv], env=wanted)


if __name__ == "__main__":
    sys.exit(_in_environment())
