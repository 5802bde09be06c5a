"""Gradients of Dask arrays: blocks on threads, and graphs of any size.

Results stay in blocks (`dask.persist`), are summed up, or are joined to arrays in memory
(`dask.compute`). Joining takes as long for everybody: the memory is new.

What a scheduler has to hold and what workers send each other follows from the chunks alone. This
model is compared with small graphs; then it says what a petabyte would take.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import gpugrad
from benchmarks.measure import assert_same_bits, timed
from benchmarks.table import Case, Heats, Promise, Row

MOVED = "bytes moved to a block"

FINISHES = ("kept in blocks", "summed up", "joined in memory")

SMALL = ((64, 16, 1), (60, 20, 1), (96, 24, 2), (120, 30, 4))
"""Samples along each of three axes, those of a chunk, and how far the formulas read."""

LARGE = ((2048, 256, 1), (16384, 512, 1), (63488, 1024, 1), (63488, 2048, 1))


def list_blocks(quick: bool) -> Iterator[Case]:
    """Yield fields in 64 blocks, and what is done with the results."""
    fields = ((256, "f8"), (256, "f4"), (512, "f8"))
    for length, dtype in ((8, "f8"),) if quick else fields:
        for finish in FINISHES:
            limits = {"tasks_of_dask": 0.25, "over_dask": 0.5}
            limits |= {"over_memory": 1.3} if finish == "kept in blocks" else {}
            promises = [Promise("gpugrad", figure, limit) for figure, limit in limits.items()]
            race = partial(race_blocks, length, dtype, finish, 2 if quick else 4)
            yield Case(f"{length}^3 {dtype}, {finish}", race, promises)


def race_blocks(length: int, dtype: str, way: str, cuts: int, row: Row) -> Heats:
    """Compare the bits, count tasks, and time what is done with the results."""
    import dask
    import dask.array as da

    values = np.random.default_rng(3).standard_normal((length,) * 3).astype(dtype)
    # Blocks with memory of their own, as what reads or computes a field leaves them.
    f = da.from_array(values, chunks=length // cuts).map_blocks(np.array).persist()
    computed = [result.compute() for result in gpugrad.gradient(f)]
    assert_same_bits("blocks", computed, gpugrad.gradient(values))
    del computed
    functions = {"gpugrad": gpugrad.gradient, "dask": da.gradient}
    tasks = {n: len(join_graphs(function(f))) - f.npartitions for n, function in functions.items()}
    row["tasks"], row["blocks"] = tasks, f.npartitions
    row["tasks_of_dask"] = {name: number / tasks["dask"] for name, number in tasks.items()}

    def finish(results: Any) -> None:
        if way == "kept in blocks":
            dask.persist(*results)
        else:
            dask.compute(*(r.sum() if way == "summed up" else r for r in results))

    timers = {
        name: timed(lambda function=function: finish(function(f)))
        for name, function in functions.items()
    }
    yield timers | {"in memory": timed(lambda: gpugrad.gradient(values))}


def join_graphs(results: Any) -> dict[Any, Any]:
    """Return the tasks of all results, those that read the field included."""
    graph: dict[Any, Any] = {}
    for result in results:
        graph |= dict(result.__dask_graph__())
    return graph


def list_graphs(quick: bool) -> Iterator[Case]:
    """Yield small graphs, which are built, and large ones, which are not."""
    for side, chunk, reach in SMALL[:2] if quick else SMALL:
        promises = [Promise(name, "over_model", 1.0) for name in ("tasks", MOVED)]
        title = f"{side}^3 in chunks of {chunk}^3, reading {reach} to each side"
        yield Case(title, partial(count_graph, side, chunk, reach), promises)
    for side, chunk, reach in LARGE:
        title = f"{side}^3 ({4 * side**3 / 1e12:.3g} TB) in chunks of {chunk}^3"
        yield Case(title, partial(note_model, side, chunk, reach))


def note_model(side: int, chunk: int, reach: int, row: Row) -> Heats:
    """Note what chunks of float32 along three axes imply, for blocks that have all neighbours.

    A block is a task, its faces are one, and so is each result of it. Of the six neighbours of a
    block each sends a face. A thread holds a block, its three results, the faces it cuts and those
    it gets.
    """
    blocks = (-(-side // chunk)) ** 3
    face = 4 * reach * chunk**2
    row["modelled"] = {
        "blocks": blocks,
        "tasks": 5 * blocks,
        MOVED: 6 * face,
        "bytes that a thread holds": 4 * 4 * chunk**3 + 12 * face,
    }
    return ()


def count_graph(side: int, chunk: int, reach: int, row: Row) -> Heats:
    """Build a graph, count its tasks, cut its faces, and compare with the model."""
    import dask
    import dask.array as da

    # Blocks that are still to be read or computed: those in memory already need no faces.
    f = da.zeros((side,) * 3, chunks=chunk, dtype="f4")
    graph = join_graphs(gpugrad.gradient(f, accuracy=2 * reach))
    names = [key for key in graph if isinstance(key, tuple)]
    faces = [key for key in names if "faces" in str(key[0])]
    last = side // chunk - 1
    sent = [
        sum(part.nbytes for part in parts.values())
        for key, parts in zip(faces, dask.get(graph, faces), strict=True)
        if all(0 < k < last for k in key[1:])
    ]
    row["counted"] = {"tasks": len(names) - f.npartitions, MOVED: max(sent)}
    note_model(side, chunk, reach, row)
    row["over_model"] = {n: count / row["modelled"][n] for n, count in row["counted"].items()}
    return ()
