"""faces.png: what a block gets from its neighbours, in Dask and in JAX."""

from boxes import BLUE, GREY, INK, ORANGE, PALE_BLUE, draw_arrow, make_panel
from matplotlib.patches import Rectangle

SIDE, GAP, THIN = 0.8, 0.14, 0.11
LIGHT = "#f5c9a8"
NEIGHBOURS = {(0, 1): "below", (2, 1): "above", (1, 0): "right", (1, 2): "left"}
"""Rows from the top and columns of neighbours; the side on which the block in the middle lies."""


def draw():
    figure, axes = make_panel(7.2, 3.95)
    for left, title in ((0.45, "Dask: blocks in tasks"), (4.1, "JAX: blocks on devices")):
        axes.text(left + 1.34, 3.72, title, ha="center", va="center", fontsize=10,
                  weight="bold", color=INK)  # fmt: skip
    draw_blocks(axes, 0.45, 0.75, all_faces=True)
    draw_blocks(axes, 4.1, 0.75, all_faces=False)
    words = (
        "Each neighbour sends all of its faces;\nthe block in the middle reads the dark ones.",
        "Each neighbour sends one face.\n",
    )
    for left, text in zip((0.45, 4.1), words, strict=True):
        axes.text(left + 1.34, 0.32, text, ha="center", va="center", fontsize=8.5, color=INK,
                  linespacing=1.35)  # fmt: skip
    return figure


def draw_blocks(axes, left, bottom, *, all_faces):
    """Draw three by three blocks, and what travels to the one in the middle."""

    def fill(x, y, width, height, face, edge="none", width_of_edge=1.0):
        axes.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor=edge,
                                 linewidth=width_of_edge, zorder=2))  # fmt: skip

    for row in range(3):
        for column in range(3):
            x, y = left + column * (SIDE + GAP), bottom + (2 - row) * (SIDE + GAP)
            is_middle = (row, column) == (1, 1)
            fill(x, y, SIDE, SIDE, PALE_BLUE if is_middle else "0.96")
            faces = {
                "above": (x, y + SIDE - THIN, SIDE, THIN),
                "below": (x, y, SIDE, THIN),
                "left": (x, y, THIN, SIDE),
                "right": (x + SIDE - THIN, y, THIN, SIDE),
            }
            side = NEIGHBOURS.get((row, column))
            if side:
                if all_faces:
                    for face in faces.values():
                        fill(*face, LIGHT)
                fill(*faces[side], ORANGE)
            fill(x, y, SIDE, SIDE, "none", BLUE if is_middle else GREY, 1.6 if is_middle else 0.9)
            if is_middle:
                axes.text(x + SIDE / 2, y + SIDE / 2, "n × n", ha="center", va="center",
                          fontsize=9, color=INK, zorder=4)  # fmt: skip
    x, y = left + SIDE + GAP, bottom + SIDE + GAP
    middle, inside = SIDE / 2, 0.2
    draw_arrow(axes, (x + middle, y + SIDE + GAP), (x + middle, y + SIDE - inside), INK)
    draw_arrow(axes, (x + middle, y - GAP), (x + middle, y + inside), INK)
    draw_arrow(axes, (x - GAP, y + middle), (x + inside, y + middle), INK)
    draw_arrow(axes, (x + SIDE + GAP, y + middle), (x + SIDE - inside, y + middle), INK)
