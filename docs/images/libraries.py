"""libraries.png: of the calls that each library was asked, how many are equal to NumPy's."""

import json
from pathlib import Path

from boxes import BLUE, INK
from matplotlib.figure import Figure

OUTCOMES = Path(__file__).parents[2] / "tests/devices/outcomes.json"
KINDS = {
    "equal": ("equal in every bit", BLUE, ""),
    "bounded": ("within 2 units in the last place", "#9ecae1", "//"),
    "refused": ("refused, with a reason", "#d55e00", "xx"),
}


def draw():
    known = json.loads(OUTCOMES.read_text())
    figure = Figure((7.2, 4.3), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for place, row in enumerate(known.values()):
        others = [*row["others"].values()]
        counts = {kind: others.count(kind) for kind in KINDS}
        counts["equal"] = row["cases"] - len(others)
        start = 0
        for kind, (label, color, hatch) in KINDS.items():
            axes.barh(place, counts[kind], 0.7, start, color=color, hatch=hatch, edgecolor="white",
                      label=label if place == 0 else None)  # fmt: skip
            start += counts[kind]
        axes.text(start + 0.7, place, f"{counts['equal']}", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(range(len(known)), [*known])
    axes.invert_yaxis()
    axes.set_xlim(0, 84)
    axes.set_xlabel("calls (the number at the right: those that are equal)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=8.5, frameon=False)
    return figure
