"""Draw how near each library comes to copying memory on a GPU, from the JSON of `gpu`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.picture import DPI, FAINT, GRID, INK, OTHERS, OURS, OURS_TOO

PATH = ROOT / "docs" / "images" / "gpu.png"
COLOURS = {"out": OURS, "gpugrad": OURS_TOO}
LABELS = {
    "out": "gpugrad, out=",
    "cupy": "cupy.gradient",
    "torch": "torch.gradient",
    "torch.compile": "torch.compile",
    "jax.jit": "jax.jit(jnp.gradient)",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON file that gpu wrote")
    parser.add_argument("picture", type=Path, nargs="?", default=PATH, help="the PNG to write")
    arguments = parser.parse_args()
    draw(json.loads(arguments.results.read_text()), arguments.picture)
    print(f"Drawn: {arguments.picture.name}")
    return 0


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw a row of bars for each large case: the part of the bandwidth of copying, in percent."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    cases = [case for case in results["cases"] if case["bytes"] >= 1 << 28] or results["cases"]
    names = [name for name in LABELS if any(name in case["seconds"] for case in cases)]
    with rc_context({"font.family": "DejaVu Sans", "font.size": 7.5, "axes.edgecolor": GRID}):
        figure = Figure(figsize=(8, 1.2 + 0.4 * len(cases)), dpi=DPI, facecolor="white")
        panel = figure.subplots()
        height = 0.8 / len(names)
        for i, name in enumerate(names):
            for k, case in enumerate(cases):
                if name not in case["seconds"]:
                    continue
                moved = case["bytes"] * case["passes"] / results["copy_bytes_per_second"]
                percent = 100 * moved / case["seconds"][name]["median"]
                place = k + (i - (len(names) - 1) / 2) * height
                colour = COLOURS.get(name, OTHERS)
                panel.barh(place, percent, 0.9 * height, color=colour, label=None if k else name)
                panel.text(percent + 0.6, place, f"{LABELS[name]}  {percent:.0f}", va="center",
                           color=INK if name in COLOURS else FAINT, fontsize=5.5, zorder=3,
                           bbox={"color": "white", "pad": 0.4})  # fmt: skip
        panel.set_yticks(range(len(cases)), [case["case"] for case in cases])
        panel.invert_yaxis()
        panel.set_xlim(0, 128)
        panel.set_xticks(range(0, 101, 20))
        panel.axvline(100, color=FAINT, linewidth=0.8)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(left=False)
        quick = ", a quick run that means nothing" if results["quick"] else ""
        panel.set_xlabel("% of the bandwidth of copying: 100 is a kernel that moves no byte twice")
        panel.set_title(f"{results['gpu']}{quick}", loc="left", color=INK)
        figure.tight_layout()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
