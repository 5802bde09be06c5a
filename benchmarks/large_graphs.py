"""A model of gradients on Dask arrays: tasks, bytes moved, memory; checked on small graphs.

What a scheduler has to hold and what workers send each other follows from the chunks alone. The
model is compared with graphs that are built, and with faces that are cut, on small fields. Then it
says what a petabyte would take.
"""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Target

SMALL = ((64, 16, 1), (60, 20, 1), (96, 24, 2), (120, 30, 4))
"""Samples along each of three axes, those of a chunk, and how far the formulas read."""

LARGE = ((2048, 256), (16384, 512), (63488, 1024), (63488, 2048))


class Model(NamedTuple):
    """A gradient along three axes of a float32 field, its chunks cubes."""

    blocks: int
    tasks: int
    tasks_per_result: float
    bytes_moved_per_block: float
    part_of_block_moved: float
    bytes_per_thread: float


def model(side: int, chunk: int, reach: int) -> Model:
    """Return what the chunks imply; bytes moved are those of blocks that have all neighbours.

    A block is a task, its faces are one, and so is each result of it. Of the six neighbours of a
    block each sends a face. A thread holds a block, its three results, the faces it cuts and those
    it gets.
    """
    blocks = (-(-side // chunk)) ** 3
    face = 4 * reach * chunk**2
    return Model(
        blocks,
        5 * blocks,
        5 / 3,
        6 * face,
        6 * face / (4 * chunk**3),
        4 * 4 * chunk**3 + 12 * face,
    )


def measure_small(side: int, chunk: int, reach: int) -> dict[str, Any]:
    """Build a graph, count its tasks, cut its faces, and compare with the model."""
    import dask
    import dask.array as da

    f = da.zeros((side,) * 3, chunks=chunk, dtype="f4").persist(scheduler="sync")
    results = gpugrad.gradient(f, accuracy=2 * reach)
    graph: dict[Any, Any] = {}
    for result in results:
        graph |= dict(result.__dask_graph__())
    names = [key for key in graph if isinstance(key, tuple)]
    faces = [key for key in names if "faces" in str(key[0])]
    cut = dask.get(graph, faces)
    sent = {
        key[1:]: sum(part.nbytes for part in parts.values())
        for key, parts in zip(faces, cut, strict=True)
    }
    per_axis = -(-side // chunk)
    inner = [
        i
        for i in itertools.product(range(per_axis), repeat=3)
        if all(0 < k < per_axis - 1 for k in i)
    ]
    expected = model(side, chunk, reach)
    return {
        "side": side,
        "chunk": chunk,
        "reach": reach,
        "tasks beyond reading": len(names) - f.npartitions,
        "tasks, model": expected.tasks,
        "bytes sent by an inner block": max(sent[i] for i in inner),
        "bytes, model": expected.bytes_moved_per_block,
    }


def main() -> int:
    arguments = measure.make_parser(__doc__).parse_args()
    small = [measure_small(*case) for case in (SMALL[:2] if arguments.quick else SMALL)]
    large = [
        {"side": side, "chunk": chunk, "bytes": 4 * side**3, **model(side, chunk, 1)._asdict()}
        for side, chunk in LARGE
    ]
    keys = ("side", "chunk", "reach", "tasks beyond reading", "tasks, model",
            "bytes sent by an inner block", "bytes, model")  # fmt: skip
    print(measure.format_table(keys, [[str(row[key]) for key in keys] for row in small]))
    print()
    header = ("samples", "field", "chunks", "blocks", "tasks", "moved per block", "a thread holds")
    print(measure.format_table(header, map(format_row, large)))
    targets = [
        Target(
            f"{what} of {row['side']}^3 in chunks of {row['chunk']}, measured over model",
            row[measured] / row[modelled],
            "at most",
            1.0,
        )
        for row in small
        for what, measured, modelled in (
            ("tasks", "tasks beyond reading", "tasks, model"),
            ("bytes", "bytes sent by an inner block", "bytes, model"),
        )
    ]
    return measure.finish("large_graphs", arguments, targets, {"small": small, "large": large})


def format_row(row: dict[str, Any]) -> list[str]:
    moved = f"{_short(row['bytes_moved_per_block'])} ({row['part_of_block_moved']:.1%})"
    return [
        f"{row['side']}^3", _short(row["bytes"]), f"{row['chunk']}^3", f"{row['blocks']:,}",
        f"{row['tasks']:,}", moved, _short(row["bytes_per_thread"]),
    ]  # fmt: skip


def _short(count: float) -> str:
    step = min(int(math.log10(max(count, 1)) // 3), 5)
    return f"{count / 1000**step:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[step]}"


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
