"""Boxes and arrows, of which the diagrams of the pages are made. Lengths are inches."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, GREY, PALE = "0.13", "0.45", "0.955"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa4499"
PALE_BLUE, PALE_ORANGE, PALE_GREEN, PALE_PURPLE = "#dcebf5", "#fbe6d9", "#d9f1ea", "#f3e3f0"


def make_panel(width, height):
    """Return a figure, and axes on which a unit is an inch."""
    figure = Figure((width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def draw_box(axes, left, bottom, width, height, text, face=PALE, edge=GREY, size=9, **style):
    """Draw a box with words in its middle."""
    pad = 0.05
    axes.add_patch(
        FancyBboxPatch(
            (left + pad, bottom + pad), width - 2 * pad, height - 2 * pad,
            boxstyle=f"round,pad={pad}", facecolor=face, edgecolor=edge, linewidth=1.1, zorder=2,
        )
    )  # fmt: skip
    axes.text(
        left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=size,
        color=INK, zorder=4, linespacing=1.25, **style,
    )  # fmt: skip


def draw_arrow(axes, start, end, color=GREY, bend=0.0, width=1.3, style="-|>"):
    """Draw an arrow from a point to another."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle=style, mutation_scale=11, color=color, linewidth=width,
            shrinkA=0, shrinkB=0, connectionstyle=f"arc3,rad={bend}", zorder=3,
        )
    )  # fmt: skip
