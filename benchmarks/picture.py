"""Draw how fast each library is on a medium field, from the JSON of `against_others`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

PATH = ROOT / "docs" / "images" / "speed.png"

LABELS = {
    "gpugrad numpy": 'gpugrad, backend="numpy"',
    "numpy": "numpy.gradient",
    "torch": "torch.gradient",
    "torch, huge pages": "torch.gradient, huge pages",
    "jax.jit": "jax.jit(jnp.gradient)",
    "jax.jit, huge pages": "jax.jit(jnp.gradient), huge pages",
    "dask": "dask.array.gradient",
    "findiff": "findiff.Gradient",
    "xarray": "xarray differentiate",
}

LIBRARIES = ("numpy", "torch", "jax", "dask", "findiff", "xarray")

INK, FAINT, GRID = "#1f2328", "#6a737d", "#e6e8eb"
OURS, OURS_TOO, OTHERS, NUMPY, FLOOR = "#0b63ce", "#7fb2ee", "#b9c0c8", "#6a737d", "#c2410c"

SIZE, DPI = (8.0, 4.0), 150
"""In inches, and pixels of each: 1200 x 600."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON file that against_others wrote")
    parser.add_argument("picture", type=Path, nargs="?", default=PATH, help="the PNG to write")
    arguments = parser.parse_args()
    draw(json.loads(arguments.results.read_text()), arguments.picture)
    print(f"Drawn: {arguments.picture.name}")
    return 0


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw a panel of bars for each dtype of the 3-D case in which all libraries took part."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    cases = choose_cases(results["cases"])
    names = sort_names(cases)
    longest = max(spread["median"] for case in cases for spread in case["speed_up"].values())
    with rc_context({"font.family": "DejaVu Sans", "font.size": 7.5, "axes.edgecolor": GRID}):
        figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
        panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.235, right=0.985, top=0.8, bottom=0.15, wspace=0.06)
        for panel, case in zip(panels, cases, strict=True):
            draw_panel(panel, case, names, longest)
        label_names(panels[0], names)
        write_words(figure, results, cases[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def choose_cases(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cases that are drawn."""
    chosen = [
        case
        for case in cases
        if case["name"] == "all axes" and case["others"] and len(case["shape"]) == 3
    ]
    chosen = [case for case in chosen if case["seconds"]]
    if not chosen:
        raise SystemExit("there is no 3-D case of all axes with other libraries in this file")
    return chosen


def sort_names(cases: list[dict[str, Any]]) -> list[str]:
    """Return all contenders, the fastest first by the mean of their speeds."""
    speeds: dict[str, list[float]] = {}
    for case in cases:
        for name, spread in case["speed_up"].items():
            if name != "floor":
                speeds.setdefault(name, []).append(math.log(spread["median"]))
    return sorted(speeds, key=lambda name: -sum(speeds[name]) / len(speeds[name]))


def draw_panel(panel: Any, case: dict[str, Any], names: list[str], longest: float) -> None:
    """Draw the bars of one dtype, each labelled with its figures, and the floor."""
    speeds = case["speed_up"]
    floor = speeds.get("floor")
    panel.set_xlim(0, 1.05 * longest)
    panel.set_ylim(len(names) - 0.4, -0.6)
    for row, name in enumerate(names):
        if name not in speeds:
            panel.text(0.01 * longest, row, "not run", va="center", color=FAINT, fontsize=6.5)
            continue
        spread = speeds[name]
        panel.barh(row, spread["median"], height=0.66, color=choose_color(name), zorder=2)
        end = spread["median"] + 0.015 * longest
        if name == "gpugrad" and spread["median"] > 0.5 * longest:
            # Its bar may end at the memory's line: the figures have their place within it.
            panel.text(
                spread["median"] - 0.015 * longest, row, describe(name, case), va="center",
                ha="right", color="white", fontweight="bold",
            )  # fmt: skip
        else:
            panel.text(end, row, describe(name, case), va="center", color=INK, zorder=3)
    if floor is not None:
        draw_floor(panel, case, floor["median"])
    panel.set_title(case["dtype"], loc="left", fontsize=9, color=INK, fontweight="bold", pad=4)
    panel.tick_params(axis="both", length=0, labelcolor=FAINT, labelsize=7)
    panel.xaxis.grid(color=GRID, zorder=0, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.xaxis.set_major_locator(choose_locator())
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    for side in ("top", "right", "bottom", "left"):
        panel.spines[side].set_visible(False)


def draw_floor(panel: Any, case: dict[str, Any], speed: float) -> None:
    """Draw the line that no library crosses on this machine, and say what it is."""
    panel.axvline(speed, color=FLOOR, linewidth=1.3, zorder=4)
    gigabytes = case["gigabytes_per_second"]["floor"]["median"]
    panel.annotate(
        f"memory’s limit: {speed:.1f}×, {gigabytes:.0f} GB/s", (speed, 1.0),
        xycoords=("data", "axes fraction"), xytext=(3, 4), textcoords="offset points",
        color=FLOOR, ha="right",
    )  # fmt: skip


def describe(name: str, case: dict[str, Any]) -> str:
    """Return the speed and the milliseconds of a contender."""
    milliseconds = 1e3 * case["seconds"][name]["median"]
    figure = f"{milliseconds:.0f}" if milliseconds >= 99.5 else f"{milliseconds:#.3g}"
    speed = case["speed_up"][name]["median"]
    return f"{speed:.1f}×   {figure} ms" if speed >= 0.95 else f"{speed:.2f}×   {figure} ms"


def choose_color(name: str) -> str:
    """Return the color of a bar."""
    return {"gpugrad": OURS, "gpugrad numpy": OURS_TOO, "numpy": NUMPY}.get(name, OTHERS)


def choose_locator() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=6, steps=[1, 2, 5, 10])


def label_names(panel: Any, names: list[str]) -> None:
    """Write the contenders' names to the left of their bars, ours in their color."""
    panel.set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    for name, label in zip(names, panel.get_yticklabels(), strict=True):
        label.set_color(OURS if name == "gpugrad" else INK)
        label.set_fontweight("bold" if name == "gpugrad" else "normal")
        label.set_fontsize(7.5)


def write_words(figure: Any, results: dict[str, Any], case: dict[str, Any]) -> None:
    """Write what is shown above the panels, and where it was measured below."""
    shape = " × ".join(map(str, case["shape"]))
    figure.text(
        0.015, 0.945, f"All derivatives of a {shape} field: how many times numpy.gradient’s speed",
        fontsize=10.5, color=INK, fontweight="bold", va="center",
    )  # fmt: skip
    figure.text(
        0.015, 0.893,
        "Longer is faster. gpugrad has the results of numpy.gradient in every bit, and writes into "
        "out= here; the others return new arrays.",
        fontsize=7.5, color=FAINT, va="center",
    )  # fmt: skip
    machine, versions = results["machine"], results.get("versions", {})
    libraries = {"numpy": machine["numpy"], **versions}
    shown = [f"{name} {libraries[name]}" for name in LIBRARIES if name in libraries]
    threads = case["threads"]
    where = f"{machine['cpu']}, {threads} thread{'s' * (threads > 1)}"
    quick = "A quick run: these figures mean nothing.  " if results.get("quick") else ""
    figure.text(
        0.015, 0.06,
        f"{quick}Memory’s limit: the time to read the field once and write each result once. "
        "“Huge pages”: asked for by environment variables; NumPy’s arrays have them anyway.\n"
        f"Medians on {where}: " + ", ".join(shown) + ".",
        fontsize=6.3, color=FAINT, va="center", linespacing=1.5,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
