"""Ask every library that is installed all cases, and write what came out into the pages.

    python tools/device_table.py [NAME...]    run the cases, then write the pages
    python tools/device_table.py --pages      write the pages from what is known

The cases are those of `tests/devices`. What other environments have found stays: dpnp, say, has
one of its own, for its size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1]))

from devices.cases import CASES, GROUPS
from devices.libraries import OUTCOMES, ROWS, Row, known_outcomes

ROOT = Path(__file__).parents[1]

NUMPYS = "`numpy.gradient`'s"


class Line(NamedTuple):
    """A line of the first table: arrays of one kind."""

    arrays: str
    where: str
    rows: tuple[str, ...]
    autodiff: str = ""
    bits: str = ""
    """What is said of the bits, where no row of the suite tells."""
    tested: str = ""


LINES = (
    Line("NumPy, masked arrays too",
         "CPU, on all cores: by one compiled loop, or in blocks that stay in the cache",
         ("NumPy",)),
    Line("subclasses of arrays, dates, objects", "CPU, by the engine `slices`", (), bits=NUMPYS,
         tested="the processor"),
    Line("PyTorch",
         "the tensor's device, by `slices`; in host memory as NumPy's arrays, gradients too",
         ("PyTorch",), "yes, coordinates too"),
    Line("JAX", "the array's devices, by one program of XLA; under `jit`, `vmap` and `grad` a part "
         "of theirs", ("JAX", "JAX, sharded"), "yes"),
    Line("Dask", "lazily, in the same chunks; each block by the engine that suits it", ("Dask",)),
    Line("CuPy, and PyTorch CUDA tensors beside it", "the array's GPU, by one kernel", (),
         "tensors: yes", bits="[what a GPU has shown](../explanations/gpu.md#are-the-bits-numpys)",
         tested="the processor, for which the kernel is compiled"),
    Line("dpnp", "the queue of the array: GPUs and processors of SYCL, by `slices`", ("dpnp",)),
    Line("MLX", "MLX's default device, lazily, by `slices`", ("MLX",), "yes"),
    Line("cuPyNumeric", "many processors and GPUs, by `slices`", ("cuPyNumeric",)),
    Line("cubed", "lazily, by blocks in bounded memory, in the same chunks", ("cubed",)),
    Line("sparse, ndonnx", "as the library does it, by `slices`", ("sparse", "ndonnx")),
    Line("any other array-API library", "its own device, by `slices`",
         ("array-api-strict", "array-api-strict, elsewhere")),
)  # fmt: skip


def summarize(outcomes: Counter[str], bound: float) -> str:
    """Say in words how many calls had which outcome."""
    computed = outcomes["equal"] + outcomes["bounded"]
    if not outcomes["bounded"]:
        words = f"{NUMPYS} in all {computed} calls"
    else:
        words = f"{NUMPYS} in {outcomes['equal']} of {computed} calls, else within {bound:g} ulp"
    return words


def count(row: Row, known: dict[str, Any], names: Iterator[str] | list[str]) -> Counter[str]:
    """Count the outcomes of some cases."""
    return Counter(known[row.name]["others"].get(name, "equal") for name in names)


def write_short_table(known: dict[str, Any]) -> str:
    """Return the table of what runs where, for all kinds of arrays."""
    rows = {row.name: row for row in ROWS}
    text = "| arrays | where it runs | results | automatic differentiation | tested on |\n"
    text += "| --- | --- | --- | --- | --- |\n"
    for line in LINES:
        told = [rows[name] for name in line.rows if name in known]
        bits = [summarize(count(row, known, [*CASES]), row.bound) for row in told]
        if len(bits) > 1 and len({*bits}) > 1:
            bits = [f"{row.name}: {words}" for row, words in zip(told, bits, strict=True)]
        by_hand = {row.name: ", by hand" * (row.runs == "by hand") for row in told}
        places = "; ".join(dict.fromkeys(row.place + by_hand[row.name] for row in told))
        cells = (line.arrays, line.where, "; ".join(dict.fromkeys(bits)) or line.bits,
                 line.autodiff, places or line.tested)  # fmt: skip
        text += f"| {' | '.join(cells)} |\n"
    return text


PICTURE = (
    "![Bars of the calls for each library. NumPy, PyTorch, Dask, dpnp, cubed, MLX, cuPyNumeric and "
    "ndonnx have nearly all of them equal; JAX has about half equal and half within two units in "
    "the last place; sparse refuses some](../images/libraries.png)"
)

INTRODUCTION = """# Every library, every device

On NumPy, PyTorch in host memory, Dask and cubed, results have the bits of `numpy.gradient`: every
digit of the floating-point result is equal. Other libraries round some results in another way, or
lack what some calls need. The table says where each library's arrays are differentiated, and how
far the results agree with NumPy's:

{table}
These are the results of one list of {count} calls, made with the arrays of each library. What
comes back is compared, in every bit, with what the `slices` engine gives for NumPy's arrays:

{picture}

- **equal**: the dtype, the shape and every bit are NumPy's. Zeros have their sign; NaN and
  infinities have their places.
- **within n ulp**: the library rounds its own quotients, roots or fused sums in another way.
  Results differ by at most n units in the last place (ulp) of the largest number of the result.
  The tests assert this bound.
- **refused**: the library lacks the dtype, or something that the call needs. The error says so.
  The reasons are [below](#what-is-refused-and-why).

[Backends](../explanations/backends.md) explains which engine computes for which array.

## Calls by kind

The head of a column has the number of calls of that kind. The last column says when the tests
make the calls again: in every run; in `.ci/run`, which every change must pass; in `.ci/nightly`;
or by hand, where the library needs more than the usual machines have.

"""

END = """
## How this page is made

`python tools/device_table.py` makes the calls of `tests/devices/cases.py` with the libraries that
are installed, and writes this page. `--pages` writes the page alone, from what is known.
"""


def write_item(words: str) -> str:
    """Return an item of a list, in lines that fit."""
    return fill(f"- {words}", 120, subsequent_indent="  ", break_on_hyphens=False) + "\n"


def write_page(known: dict[str, Any]) -> str:
    """Return the page: libraries by groups of cases, then what is refused and why."""
    told = [row for row in ROWS if row.name in known]
    text = INTRODUCTION.format(table=write_short_table(known), count=len(CASES), picture=PICTURE)
    heads = [f"{name} ({len(cases)})" for name, cases in GROUPS.items()]
    text += f"| library | device | {' | '.join(heads)} | tested in |\n"
    text += "| --- | --- |" + " --- |" * len(heads) + " --- |\n"
    for row in told:
        cells = []
        for cases in GROUPS.values():
            outcomes = count(row, known, [case.name for case in cases])
            parts = [f"{outcomes['equal']} equal"] if outcomes["equal"] else []
            if outcomes["bounded"]:
                parts.append(f"{outcomes['bounded']} within {row.bound:g} ulp")
            if outcomes["refused"]:
                parts.append(f"{outcomes['refused']} refused")
            cells.append("equal" if parts == [f"{len(cases)} equal"] else ", ".join(parts))
        release = known[row.name]["release"]
        text += f"| {row.name} {release} | {row.place} | {' | '.join(cells)} | {row.runs} |\n"
    missing = [row.name for row in ROWS if row.name not in known]
    if missing:
        text += f"\nNot run yet, because a GPU is needed: {', '.join(missing)}.\n"
    text += "\n## What is refused, and why\n\n"
    for row in told:
        refusals: dict[str, list[str]] = {}
        for name, kind in known[row.name]["others"].items():
            if kind == "refused":
                reason = row.reasons.get(name, "the library has no such dtype")
                refusals.setdefault(reason, []).append(f"*{name}*")
        for reason, names in refusals.items():
            text += write_item(f"**{row.name}**: {', '.join(names)}. Reason: {reason}.")
    text += "\n## What is within a bound\n\n"
    bounded: dict[tuple[str, ...], list[Row]] = {}
    for row in told:
        others = known[row.name]["others"]
        names = (f"{row.bound:g} ulp", *(n for n, kind in others.items() if kind == "bounded"))
        bounded.setdefault(names, []).append(row)
    for (bound, *cases), rows in bounded.items():
        if cases:
            who = " and ".join(f"**{row.name}**" for row in rows)
            text += write_item(f"{who}, {bound}: {', '.join(f'*{name}*' for name in cases)}.")
    return text + END


def run_cases(rows: list[Row]) -> dict[str, Any]:
    """Run all cases on what is installed of some libraries; return what is to be known of it.

    Raises
    ------
    SystemExit
        If a case fails.
    """
    path = os.pathsep.join(sys.path[:2])
    found = {}
    for row in rows:  # each by itself: a library may change what others find
        done = subprocess.run(
            [sys.executable, "-m", "devices", row.name],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{row.name}: {done.stderr}")
        answer = json.loads(done.stdout.splitlines()[-1])[row.name]
        if "missing" in answer:
            print(f"{row.name}: {answer['missing']}")
            continue
        if answer["failures"]:
            raise SystemExit(f"{row.name}: {json.dumps(answer['failures'], indent=1)}")
        kinds = {name: kind for name, (kind, *_) in answer["cases"].items()}
        others = {name: kind for name, kind in kinds.items() if kind != "equal"}
        found[row.name] = {"release": answer["release"], "cases": len(kinds), "others": others}
        print(f"{row.name}: {dict(Counter(kinds.values()))}")
    return found


def main() -> None:
    """Run the cases, and write the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", action="store_true", help="write the pages alone")
    parser.add_argument("names", nargs="*", help="the libraries to run; all of them by default")
    options, known = parser.parse_args(), known_outcomes()
    unknown = {*options.names} - {row.name for row in ROWS}
    if unknown:
        names = ", ".join(row.name for row in ROWS)
        parser.error(f"NAME must be one of {names}; got {', '.join(sorted(unknown))}")
    if not options.pages:
        known |= run_cases([row for row in ROWS if not options.names or row.name in options.names])
        known = {row.name: known[row.name] for row in ROWS if row.name in known}
        OUTCOMES.write_text(json.dumps(known, indent=1) + "\n")
    (ROOT / "docs" / "reference" / "devices.md").write_text(write_page(known))


if __name__ == "__main__":
    main()
