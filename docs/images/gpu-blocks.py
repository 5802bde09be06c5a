"""gpu-blocks.png: a field in blocks of rows that go to a GPU one after the other."""

from boxes import BLUE, GREY, INK, ORANGE, PALE_BLUE, PALE_ORANGE, draw_arrow, make_panel
from matplotlib.patches import Rectangle

ROWS, STEP = 4, 0.62
BASE, HALO = 0.45, 0.14


def draw():
    figure, axes = make_panel(7.2, 3.7)

    def fill(left, bottom, width, height, face, edge=None, hatch=None):
        axes.add_patch(Rectangle((left, bottom), width, height, facecolor=face, edgecolor=edge,
                                 hatch=hatch, linewidth=1.1, zorder=2))  # fmt: skip

    def write(left, height, words, **style):
        axes.text(left, height, words, va="center", ha="center", color=INK,
                  **{"fontsize": 9, **style})  # fmt: skip

    top = BASE + ROWS * STEP
    write(0.95, 3.4, "field\nin host memory", weight="bold")
    write(3.55, 3.4, "one block at a time\non the GPU", weight="bold")
    write(6.25, 3.4, "derivatives\nin host memory or a file", weight="bold")
    for left in (0.1, 5.4):
        for row in range(ROWS):
            is_block = row == 1
            face = (PALE_BLUE if left < 1 else PALE_ORANGE) if is_block else "0.96"
            fill(left, top - (row + 1) * STEP, 1.7, STEP, face, "white")
        fill(left, BASE, 1.7, ROWS * STEP, "none", GREY)
    low, high = top - 2 * STEP, top - STEP
    for bottom in (high, low - HALO):
        fill(0.1, bottom, 1.7, HALO, "white", BLUE, "////")
        fill(2.7, bottom, 1.7, HALO, "white", BLUE, "////")
    fill(0.1, low, 1.7, STEP, "none", BLUE)
    fill(2.7, low, 1.7, STEP, PALE_BLUE, BLUE)
    fill(5.4, low, 1.7, STEP, "none", ORANGE)
    middle = low + STEP / 2
    write(0.95, middle, "rows of the block")
    write(3.55, middle, "gradient")
    write(6.25, middle, "rows of the block")
    draw_arrow(axes, (1.85, middle), (2.65, middle))
    draw_arrow(axes, (4.45, middle), (5.35, middle))
    words = "hatched: the halo, rows that\nthe formulas read, too"
    write(3.55, low - HALO - 0.4, words, fontsize=8.5)
    axes.text(0.95, 0.25, "axis 0 downwards", fontsize=8.5, color=GREY, ha="center", va="center")
    return figure
