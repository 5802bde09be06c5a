"""Draw how fast each library is on a cube, from the JSON of `against_others` or of `gpu`.

Of `against_others`, README.md gets its table from the same file, so both are of one run.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import ROOT
from benchmarks.table import Row

INK, FAINT, GRID = "#1f2328", "#6a737d", "#e6e8eb"
OURS, OURS_TOO, OTHERS, LIMIT = "#0b63ce", "#7fb2ee", "#b9c0c8", "#c2410c"
COLORS = {"gpugrad": OURS, "gpugrad, out=": OURS, "gpugrad numpy": OURS_TOO, "numpy": FAINT,
          "gpugrad, in a graph": OURS_TOO, "gpugrad on torch": OURS_TOO,
          "gpugrad on jax.jit": OURS_TOO}  # fmt: skip

LABELS = {
    "gpugrad numpy": 'gpugrad, backend="numpy"',
    "numpy": "numpy.gradient",
    "cupy": "cupy.gradient",
    "torch": "torch.gradient",
    "torch, huge pages": "torch.gradient, huge pages",
    "jax.jit": "jax.jit(jnp.gradient)",
    "jax.jit, huge pages": "jax.jit(jnp.gradient), huge pages",
    "dask": "dask.array.gradient",
    "findiff": "findiff.Gradient",
    "xarray": "xarray differentiate",
}


class Picture(NamedTuple):
    """What is drawn of a benchmark: a figure of its cubes, for each contender."""

    path: str
    figure: str
    reference: str  # whose time is divided by the others'
    limit: str  # the contender that none can outrun
    title: str
    remark: str
    footnote: str


PICTURES = {
    "against_others": Picture(
        "docs/images/speed.png",
        "speed_up",
        "numpy",
        "floor",
        "All derivatives of a {shape} field: how many times numpy.gradient’s speed",
        "Longer is faster. gpugrad has the results of numpy.gradient in every bit, and writes into "
        "out= here; the others return new arrays.",
        "Memory’s limit: the time to read the field once and write each result once. Sorted by the "
        "mean of both panels.\n“Huge pages”: asked for by environment variables; NumPy’s arrays "
        "have them anyway.",
    ),
    "gpu": Picture(
        "docs/images/gpu.png",
        "of_copy",
        "copying",
        "copying",
        "All derivatives of a {shape} field on a GPU: how many times copying’s speed",
        "Longer is faster.",
        "Memory’s limit: to copy as many bytes as the field and all results have.",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON file of `against_others` or of `gpu`")
    parser.add_argument("picture", type=Path, nargs="?", help="the PNG to write")
    options = parser.parse_args()
    results = json.loads(options.results.read_text())
    path = options.picture or ROOT / PICTURES[results["benchmark"]].path
    draw(results, path)
    print(f"Drawn: {path.name}")
    if options.picture is None and results["benchmark"] == "against_others":
        README.write_text(replace_table(README.read_text(), write_table(results)))
        print(f"Written: {README.name}")
    return 0


README = ROOT / "README.md"
BEGIN, END = "<!-- speed: written by python -m benchmarks.pictures -->", "<!-- speed: end -->"

SHAPES = ([256] * 3, [384] * 3, [600] * 3, [8192] * 2, [1 << 26])
"""The fields that stand in the table."""

COLUMNS = {
    "floor": "what the memory takes",
    "gpugrad": "gpugrad",
    "gpugrad numpy": "without the compiler",
    "numpy": "`numpy.gradient`",
}


def write_table(results: Row) -> str:
    """Return the table of README.md: the milliseconds that each large field takes."""
    machine = results["machine"]
    where = f"{machine['cores']} cores ({machine['cpu']}), NumPy {machine['numpy']}"
    lines = [
        f"Milliseconds on {where}, {results['date']}:",
        "",
        f"| all derivatives of | {' | '.join(COLUMNS.values())} |",
        "| --- " * (len(COLUMNS) + 1) + "|",
    ]
    for case in results["cases"]:
        if case["name"] == "all axes" and case["shape"] in SHAPES:
            shape = " x ".join(f"{n:,}" if len(case["shape"]) == 1 else str(n)
                               for n in case["shape"])  # fmt: skip
            figures = [1e3 * case["seconds"][name]["median"] for name in COLUMNS]
            cells = [f"{ms:.0f}" if ms >= 99.5 else f"{ms:#.3g}".rstrip(".") for ms in figures]
            lines.append(f"| {shape}, {case['dtype']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def replace_table(text: str, table: str) -> str:
    """Return a page with another table between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"README.md must have the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def draw(results: Row, path: Path) -> None:
    """Draw a panel of bars for each dtype, the contender above that is the fastest in the mean."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    picture = PICTURES[results["benchmark"]]
    cases = choose_cases(results["cases"], picture.figure)
    speeds = [find_speeds(case, picture) for case in cases]
    logs: dict[str, list[float]] = {}
    for name, speed in (pair for panel in speeds for pair in panel.items()):
        logs.setdefault(name, []).append(math.log(speed))
    names = sorted(logs.keys() - {picture.limit}, key=lambda n: -sum(logs[n]) / len(logs[n]))
    with rc_context({"font.family": "DejaVu Sans", "font.size": 7.5, "axes.edgecolor": GRID}):
        figure = Figure(figsize=(8.0, 4.0), dpi=150, facecolor="white")
        panels = figure.subplots(1, len(cases), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(left=0.235, right=0.985, top=0.8, bottom=0.165, wspace=0.06)
        longest = max(max(panel.values()) for panel in speeds)
        for panel, case, lengths in zip(panels, cases, speeds, strict=True):
            draw_panel(panel, case, lengths, names, longest, picture.limit)
        panels[0].set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
        for name, label in zip(names, panels[0].get_yticklabels(), strict=True):
            ours = COLORS.get(name) == OURS
            label.set(color=OURS if ours else INK, weight="bold" if ours else "normal", size=7.5)
        write_words(figure, picture, results, cases[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def find_speeds(case: Row, picture: Picture) -> dict[str, float]:
    """Return how many times the reference's speed each contender has, by the medians shown.

    The medians of ratios within rounds would be others than the ratios of these.
    """
    medians = {name: seconds["median"] for name, seconds in case["seconds"].items()}
    return {name: medians[picture.reference] / medians[name] for name in case[picture.figure]}


def choose_cases(cases: list[Row], figure: str) -> list[Row]:
    """Return cubes, differentiated along all axes, of one size: with all dtypes and contenders."""
    plain = {"name": "all axes", "operator": "gradient", "uneven": False, "accuracy": 2}
    cubes = [
        case
        for case in cases
        if case.get(figure) and len(case["shape"]) == 3
        and all(case.get(key, value) == value for key, value in plain.items())
    ]  # fmt: skip
    if not cubes:
        raise SystemExit("there is no cube of which all derivatives were measured in this file")
    times = Counter(tuple(case["shape"]) for case in cubes)  # once for each dtype

    def rank(case: Row) -> tuple[int, int, int]:
        shape = tuple(case["shape"])
        return len(case["seconds"]), times[shape], math.prod(shape)

    best = max(cubes, key=rank)
    return [case for case in cubes if case["shape"] == best["shape"]]


def draw_panel(
    panel: Any, case: Row, lengths: dict[str, float], names: list[str], longest: float, limit: str
) -> None:
    """Draw the bars of one dtype, each labelled with its figures, and the limit."""
    panel.set(xlim=(0, 1.05 * longest), ylim=(len(names) - 0.4, -0.6))
    gap = 0.015 * longest
    for place, name in enumerate(names):
        if name not in lengths:
            panel.text(gap, place, "not run", va="center", color=FAINT, fontsize=6.5)
            continue
        length, milliseconds = lengths[name], 1e3 * case["seconds"][name]["median"]
        panel.barh(place, length, height=0.66, color=COLORS.get(name, OTHERS), zorder=2)
        words = f"{length:.{1 if length >= 0.95 else 2}f}×   "
        words += f"{milliseconds:{'.0f' if milliseconds >= 99.5 else '#.3g'}} ms"
        if length > 0.6 * longest:
            # This bar may end at the line of the limit: the figures have their place within it.
            ours = COLORS.get(name) == OURS
            panel.text(length - gap, place, words, va="center", ha="right", zorder=3,
                       color="white" if ours else INK,
                       weight="bold" if ours else "normal")  # fmt: skip
        else:
            panel.text(length + gap, place, words, va="center", color=INK, zorder=3)
    if limit in lengths:
        panel.axvline(lengths[limit], color=LIMIT, linewidth=1.3, zorder=4)
        words = f"memory’s limit: {lengths[limit]:.1f}×"
        if limit in case.get("gigabytes_per_second", ()):
            words += f", {case['gigabytes_per_second'][limit]['median']:.0f} GB/s"
        panel.annotate(
            words, (lengths[limit], 1.0), xycoords=("data", "axes fraction"), xytext=(3, 4),
            textcoords="offset points", color=LIMIT, ha="right",
        )  # fmt: skip
    panel.set_title(case["dtype"], loc="left", fontsize=9, color=INK, weight="bold", pad=4)
    panel.tick_params(axis="both", length=0, labelcolor=FAINT, labelsize=7)
    panel.xaxis.grid(color=GRID, zorder=0, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.locator_params(axis="x", nbins=6, steps=[1, 2, 5, 10])
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    panel.spines[:].set_visible(False)


def write_words(figure: Any, picture: Picture, results: Row, case: Row) -> None:
    """Write what is shown above the panels, and where it was measured below."""
    title = picture.title.format(shape=" × ".join(map(str, case["shape"])))
    where = case.get("gpu") or f"{results['machine']['cpu']}, {case['threads']} threads"
    versions = {"numpy": results["machine"]["numpy"], **results["versions"]}
    here = " ".join(case[picture.figure])
    shown = [f"{name} {v}" for name, v in versions.items() if name.partition("-")[0] in here]
    quick = "A quick run: these figures mean nothing.  " * results["quick"]
    footnote = f"{quick}{picture.footnote}\nMedians on {where}: {', '.join(shown)}."
    figure.text(0.015, 0.945, title, fontsize=10.5, color=INK, weight="bold", va="center")
    figure.text(0.015, 0.893, picture.remark, fontsize=7.5, color=FAINT, va="center")
    figure.text(0.015, 0.06, footnote, fontsize=6.3, color=FAINT, va="center", linespacing=1.5)


if __name__ == "__main__":
    sys.exit(main())
