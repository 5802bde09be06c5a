"""blocks.png: a field in a file, its blocks with their neighbours, and what runs at one time."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREEN, GREY = "#56b4e9", "#e69f00", "#009e73", "0.9"
COUNT, ROWS, CHOSEN = 5, 4, 2


def draw_field(axes):
    for row in range(COUNT * ROWS):
        block = row // ROWS
        is_halo = row in (CHOSEN * ROWS - 1, (CHOSEN + 1) * ROWS)
        colour = BLUE if block == CHOSEN else ORANGE if is_halo else GREY
        axes.add_patch(Rectangle((0, row), 10, 1, facecolor=colour, edgecolor="white"))
    for block in range(COUNT):
        edge = Rectangle((0, block * ROWS), 10, ROWS, facecolor="none", edgecolor="0.3", lw=1.2)
        axes.add_patch(edge)
        axes.text(-0.3, (block + 0.5) * ROWS, f"block {block + 1}", ha="right", va="center")
    middle = (CHOSEN + 0.5) * ROWS
    label = {"facecolor": BLUE, "edgecolor": "none", "pad": 3}
    axes.text(5, middle, "results of block 3", ha="center", va="center", bbox=label)
    note = {"ha": "left", "va": "center", "fontsize": 9}
    axes.text(10.4, middle, "rows of the block", color="#0072b2", **note)
    for row in (CHOSEN * ROWS - 0.5, (CHOSEN + 1) * ROWS + 0.5):
        axes.text(10.4, row, "halo: rows of a neighbour", color="#b06a00", **note)
    axes.set(xlim=(-3.2, 15.5), ylim=(COUNT * ROWS + 0.3, -0.3), title="the field in the file")
    axes.axis("off")


def draw_stages(axes):
    stages = (("write", GREEN), ("compute", ORANGE), ("read", BLUE))
    for lane, (_, colour) in enumerate(stages):
        for block in range(COUNT):
            begin = block + 2 - lane
            axes.add_patch(
                Rectangle((begin, lane - 0.36), 0.94, 0.72, facecolor=colour, edgecolor="none")
            )
            axes.text(begin + 0.47, lane, str(block + 1), ha="center", va="center")
    axes.set(xlim=(0, COUNT + 2), ylim=(-0.6, 2.6), xticks=[], xlabel="time")
    axes.set_yticks(range(3), [name for name, _ in stages])
    axes.set_title("blocks 1 to 5: three stages at the same time")
    axes.spines[["top", "right"]].set_visible(False)


def draw():
    figure = Figure((10, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    draw_field(left)
    draw_stages(right)
    return figure
