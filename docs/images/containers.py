"""containers.png: the table of containers as a picture, read from the page."""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

PAGE = Path(__file__).parents[1] / "reference" / "containers.md"
MEANINGS = {
    "the same container, or yes": "#0072b2",
    "another container, or a number": "#a6cee3",
    "an error that says what to do": "#e69f00",
    "has no such field": "#ffffff",
}


def read_table():
    """Return the columns, the containers, and what each cell says first."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    head, *rows = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)
    return head[1:], [row[0].replace("`", "") for row in rows], [row[1:] for row in rows]


def classify(cell):
    """Return the numbers of the meanings of a cell: of most functions, then of others."""
    words = [part.rpartition(": ")[2] for part in cell.split("; ")]
    return [
        0 if word in ("kept", "yes") else 3 if word == "-" else 2 if word.startswith("no ") else 1
        for word in words
    ]


def draw():
    columns, containers, cells = read_table()
    meanings = [[classify(cell) for cell in row] for row in cells]
    kinds = np.array([[meaning[0] for meaning in row] for row in meanings])
    figure = Figure((8, 12.5), layout="constrained")
    axes = figure.subplots()
    axes.pcolormesh(
        kinds, cmap=ListedColormap([*MEANINGS.values()]), vmin=0, vmax=3, edgecolors="white", lw=1.5
    )
    for (i, j), _ in np.ndenumerate(kinds):
        if len(set(meanings[i][j])) > 1:
            dark = kinds[i, j] == 0
            axes.plot(j + 0.5, i + 0.5, ".", color="white" if dark else "0.2", markersize=5)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=45, ha="left")
    axes.set_yticks(np.arange(len(containers)) + 0.5, containers, fontsize=8)
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    handles = [Patch(facecolor=c, edgecolor="0.6", label=name) for name, c in MEANINGS.items()]
    handles.append(axes.plot([], [], ".", color="0.2", label="some functions differ")[0])
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure
