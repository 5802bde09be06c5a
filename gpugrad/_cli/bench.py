"""The command `gpugrad bench`: how fast gradients are on this machine, beside numpy and copying."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

import gpugrad
from gpugrad._cli.plot import add_output, check_picture, import_matplotlib, save_picture

SHAPES = ((64, 64, 64), (128, 128, 128), (256, 256, 256), (2048, 2048), (1 << 22,))
ROUNDS = 5


def add_parser(commands: Any) -> None:
    """Add `bench` to the commands of a parser."""
    bench = commands.add_parser(
        "bench",
        help="how fast gradients are on this machine",
        description="Time gpugrad.gradient with every engine that this machine can run, in turn "
        "with numpy.gradient and with copying the same number of bytes, and draw the result. It "
        "takes about a minute and some 600 MB of memory.",
    )
    add_output(bench, "gpugrad-bench.png")
    bench.add_argument("--quick", action="store_true", help="small fields only, in a few seconds")
    bench.set_defaults(run=run)


@dataclass(frozen=True)
class BenchRow:
    """One field: what it is, and the median seconds of each contender."""

    label: str
    seconds: dict[str, float]


def run(arguments: argparse.Namespace) -> None:
    """Run `gpugrad bench`.

    Raises
    ------
    FileError
        If matplotlib is missing, or the picture cannot be written.
    ValueError
        If ``GPUGRAD_BACKEND`` names no backend.
    """
    figures = import_matplotlib("matplotlib.figure")
    output = check_picture(arguments.output)
    print(gpugrad.info())
    rows = []
    for shape in SHAPES[:1] if arguments.quick else SHAPES:
        for dtype in (np.float32, np.float64):
            rows.append(_measure_shape(shape, np.dtype(dtype)))
            print(_describe_row(rows[-1]), flush=True)
    save_picture(_draw_rows(figures, rows), output)
    print(output)


def _measure_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> BenchRow:
    f = np.random.default_rng(0).random(shape).astype(dtype)
    contenders = _contenders(f)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(ROUNDS + 1):
        for name, call in contenders.items():
            started = time.perf_counter()
            call()
            if i:  # the first round warms up
                times[name].append(time.perf_counter() - started)
    label = " x ".join(map(str, shape)) + f" {dtype}"
    return BenchRow(label, {name: median(seconds) for name, seconds in times.items()})


def _contenders(f: np.ndarray[Any, Any]) -> dict[str, Callable[[], Any]]:
    """Return what to time; all engines write to arrays that exist already."""
    out = tuple(np.empty_like(f) for _ in range(f.ndim))
    target = out if f.ndim > 1 else out[0]

    def copy() -> None:  # as many bytes as a gradient must move: the field once, each result once
        for result in out:
            np.copyto(result, f)

    contenders: dict[str, Callable[[], Any]] = {"numpy.gradient": lambda: np.gradient(f)}
    for backend in ("slices", "numpy", "compiled"):
        try:
            gpugrad.gradient(f[(slice(0, 4),) * f.ndim], backend=backend)
        except gpugrad.BackendError:
            continue
        contenders[f"gpugrad, {backend}"] = partial(
            gpugrad.gradient, f, out=target, backend=backend
        )
    xp = gpugrad.namespace()
    if xp.__name__.endswith("cupy"):
        on_device = xp.asarray(f)

        def on_gpu() -> None:
            gpugrad.gradient(on_device)
            xp.cuda.Device().synchronize()

        contenders["gpugrad, GPU"] = on_gpu
    contenders["copying"] = copy
    return contenders


def _describe_row(row: BenchRow) -> str:
    numpy_seconds = row.seconds["numpy.gradient"]
    times = ", ".join(
        f"{name} {seconds * 1e3:.2f} ms ({numpy_seconds / seconds:.1f}x)"
        for name, seconds in row.seconds.items()
    )
    return f"{row.label}: {times}"


def _draw_rows(figures: Any, rows: list[BenchRow]) -> Any:
    names = [*dict.fromkeys(name for row in rows for name in row.seconds)]
    figure = figures.Figure((9, 1.2 + 0.5 * len(rows) + 0.1 * len(names)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(names)
    colors = ["#9a9a9a", "#8fb6d9", "#4f86b9", "#c2512e", "#2f6b46", "#d9c27a"]
    for k, name in enumerate(names):
        places = [i + (k - len(names) / 2 + 0.5) * height for i in range(len(rows))]
        speeds = [row.seconds["numpy.gradient"] / row.seconds.get(name, np.nan) for row in rows]
        axes.barh(places, speeds, height, label=name, color=colors[k % len(colors)])
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.invert_yaxis()
    axes.axvline(1, color="0.4", linewidth=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("times the speed of numpy.gradient")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.set_title("All first derivatives of a field, on this machine")
    return figure
