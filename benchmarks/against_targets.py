"""What is promised of gpugrad beside other libraries, held against what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.measure import Target

MEGABYTE = 1e6
EXTRA_MEMORY = 2.0
FIRST_CALL = 0.5
OVER_SLICES = 1.1

CORE = {
    "256x256x256": (1.15, 7.0),
    "384x384x384": (1.15, 7.0),
    "600x600x600": (1.15, 7.0),
    "8192x8192": (1.2, 5.0),
    "67108864": (1.2, 5.0),
}
"""Of large fields, all axes: at most so many times the floor, at least so many times NumPy."""

OVER_PLAIN = {"uneven": 1.15, "Fortran": 1.2, "transposed": 1.2, "integers": 1.0}
"""At most so many times the plain case; of integers, int16 and int64 only."""

SPEED_UP = {"uneven": 12.0, "new arrays": 6.5}
"""At least so many times NumPy in the same case."""


def list_targets(results: dict[str, Any]) -> list[Target]:
    """Return what is promised for what was measured."""
    return [*_list_targets(results)]


def _list_targets(results: dict[str, Any]) -> Iterator[Target]:
    cases = [case for case in results["cases"] if case["seconds"]]
    for case in cases:
        yield from _list_of_case(case)
    extras = [
        case["extra_memory_bytes"]["gpugrad"] / case["threads"] / MEGABYTE
        for case in cases
        if case["into_out"]
    ]
    if extras:
        yield Target(
            "most extra memory of a call into `out`", max(extras), "at most", EXTRA_MEMORY,
            " MB per thread",
        )  # fmt: skip
    if results.get("first_call"):
        measured = results["first_call"]["seconds"]["median"]
        yield Target("first call of a process", measured, "at most", FIRST_CALL, " s")
    for size in results.get("crossover", ()):
        measured = size["over_slices"]["auto"]["median"]
        what = f"{size['title'].partition(',')[0]}, auto"
        yield Target(what, measured, "at most", OVER_SLICES, " times slices")


def _list_of_case(case: dict[str, Any]) -> Iterator[Target]:
    name, title = case["name"], case["title"]
    shape = "x".join(map(str, case["shape"]))
    floor, speed_up = CORE.get(shape, (None, None)) if name == "all axes" else (None, None)
    speed_up = SPEED_UP.get(name, speed_up)
    over_plain = OVER_PLAIN.get(name) if case["dtype"] != "uint8" else None
    if floor and case["over_floor"]:
        measured = case["over_floor"]["gpugrad"]["median"]
        yield Target(title, measured, "at most", floor, " times the floor")
    if speed_up:
        measured = case["speed_up"]["gpugrad"]["median"]
        yield Target(title, measured, "at least", speed_up, " times numpy's speed")
    if over_plain and case["over_plain"]:
        measured = case["over_plain"]["gpugrad"]["median"]
        yield Target(title, measured, "at most", over_plain, " times the plain case")
