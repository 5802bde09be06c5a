"""A gradient of a Dask array: time and tasks, beside `dask.array.gradient` and ours in memory.

Results stay in blocks (`dask.persist`), are summed up, or are joined to arrays in memory
(`dask.compute`), on Dask's threads. Joining takes as long for everybody: the memory is new. What
Dask itself takes is measured with the same tasks doing nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import getitem
from typing import Any

import numpy as np

import gpugrad
from benchmarks import measure
from benchmarks.measure import Target

FEWER_TASKS = 0.25
"""At most so much of the tasks of Dask's own gradient."""

LESS_TIME = 0.5
"""At most so much of its time."""

BESIDE_MEMORY = 1.3
"""At most so many times our own call on an array in memory."""


def main() -> int:
    arguments = measure.parse_arguments(__doc__)
    lengths = (16, 32) if arguments.quick else (256, 512)
    cases = [(lengths[0], "f8"), (lengths[0], "f4"), (lengths[1], "f8")]
    results = [measure_case(length, dtype, arguments.quick) for length, dtype in cases]
    header = ("field", "results", "ours ms", "x Dask's time", "x in memory", "nothing x in memory")
    print(measure.format_table(header, [row for result in results for row in format_rows(result)]))
    for result in results:
        tasks = result["tasks"]
        print(f"{result['shape']}: {tasks['gpugrad']} tasks, Dask's gradient {tasks['dask']}")
    return measure.finish("dask_blocks", arguments, [*list_targets(results)], {"cases": results})


def measure_case(length: int, dtype: str, quick: bool) -> dict[str, Any]:
    """Compare the bits, count tasks, and time the ways in turn."""
    import dask
    import dask.array as da

    values = np.random.default_rng(3).standard_normal((length,) * 3).astype(dtype)
    # Blocks with memory of their own, as what reads or computes a field leaves them.
    f = da.from_array(values, chunks=length // 4).map_blocks(np.array).persist()
    ours, theirs = gpugrad.gradient(f), da.gradient(f)
    for a, b in zip(ours, gpugrad.gradient(values), strict=True):
        if not np.array_equal(a.compute(), b):
            raise AssertionError("the results in blocks differ from those in memory")
    ways: dict[str, Callable[[Any], Any]] = {
        "kept in blocks": lambda results: dask.persist(*results),
        "summed up": lambda results: dask.compute(*[one.sum() for one in results]),
        "joined in memory": lambda results: dask.compute(*results),
    }
    seconds: dict[str, dict[str, list[float]]] = {}
    for name, finish in ways.items():
        calls = {
            "gpugrad": lambda finish=finish: finish(gpugrad.gradient(f)),
            "dask": lambda finish=finish: finish(da.gradient(f)),
            "in memory": lambda: gpugrad.gradient(values),
            "nothing": lambda finish=finish: finish(do_nothing(f)),
        }
        timers = {key: measure.timed(call) for key, call in calls.items()}
        seconds[name] = measure.interleave(timers, 2 if quick else 9, warm_up=1)
    return {
        "dtype": dtype,
        "shape": f"{length}^3",
        "blocks": f.npartitions,
        "tasks": {
            "gpugrad": count_tasks(ours) - f.npartitions,
            "dask": count_tasks(theirs) - f.npartitions,
        },
        "seconds": {name: measure.summarize(one) for name, one in seconds.items()},
        "over_dask": {
            name: measure.ratios(one["gpugrad"], one["dask"])._asdict()
            for name, one in seconds.items()
        },
        "over_memory": {
            name: measure.ratios(one["gpugrad"], one["in memory"])._asdict()
            for name, one in seconds.items()
        },
        "nothing_over_memory": {
            name: measure.ratios(one["nothing"], one["in memory"])._asdict()
            for name, one in seconds.items()
        },
    }


def do_nothing(f: Any) -> list[Any]:
    """Return three Dask arrays by tasks as a gradient has them: a block's, one for each result.

    What these tasks return is a sample, whatever they promise.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    name = f"nothing-{f.name}"
    nothing = tuple(np.zeros((1,) * f.ndim) for _ in range(f.ndim))
    layer = {}
    for index in np.ndindex(f.numblocks):
        sides = [
            (f.name, *index[:axis], index[axis] + step, *index[axis + 1 :])
            for axis, count in enumerate(f.numblocks)
            for step in (-1, 1)
            if 0 <= index[axis] + step < count
        ]
        layer[name, *index] = return_first, Held(nothing), (f.name, *index), sides
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[f])
    blocks = da.Array(graph, name, f.chunks, meta=f._meta)
    axes = tuple(range(f.ndim))
    return [
        da.blockwise(getitem, axes, blocks, axes, i, None, dtype=f.dtype, meta=f._meta)
        for i in axes
    ]


@dataclass(frozen=True)
class Held:
    """What Dask is not to look into."""

    value: Any


def return_first(held: Held, *_: Any) -> Any:
    return held.value


def count_tasks(results: Any) -> int:
    """Return how many tasks there are, those that read the field included."""
    graph: dict[Any, Any] = {}
    for result in results:
        graph |= dict(result.__dask_graph__())
    return len(graph)


def format_rows(result: dict[str, Any]) -> Iterator[list[str]]:
    for name, seconds in result["seconds"].items():
        yield [
            f"{result['dtype']} {result['shape']}",
            name,
            f"{seconds['gpugrad']['median'] * 1e3:.0f}",
            f"{measure.Spread(**result['over_dask'][name]):.2f}",
            f"{measure.Spread(**result['over_memory'][name]):.1f}",
            f"{measure.Spread(**result['nothing_over_memory'][name]):.1f}",
        ]


def list_targets(results: list[dict[str, Any]]) -> Iterator[Target]:
    for result in results:
        title = f"{result['dtype']}, {result['shape']} in {result['blocks']} blocks"
        tasks = result["tasks"]["gpugrad"] / result["tasks"]["dask"]
        yield Target(f"{title}: tasks", tasks, "at most", FEWER_TASKS, " of Dask's")
        for name, one in result["over_dask"].items():
            yield Target(f"{title}, {name}", one["median"], "at most", LESS_TIME, " of its time")
        kept = result["over_memory"]["kept in blocks"]["median"]
        yield Target(f"{title}, kept in blocks", kept, "at most", BESIDE_MEMORY, " in memory")


if __name__ == "__main__":
    sys.exit(main())
