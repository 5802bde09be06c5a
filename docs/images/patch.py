"""patch.png: names refer to the function numpy.gradient; a patch exchanges the code inside it."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

BLUE, RED, GREY = "#0072b2", "#d55e00", "0.35"


def add_box(axes, x, y, width, height, text, color, **options):
    style = {"facecolor": "white", "edgecolor": color, "linewidth": 1.8} | options
    axes.add_patch(FancyBboxPatch((x, y), width, height, "round,pad=0.04", **style))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=11)


def add_arrow(axes, start, end, color, **options):
    arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 1.8, "mutation_scale": 15} | options
    axes.annotate("", end, start, arrowprops=arrow)


def draw():
    figure = Figure((7.5, 3.3), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set(xlim=(0, 10), ylim=(0, 4.4))
    axes.set_axis_off()
    names = ("np.gradient(f)", "from numpy import gradient", "xarray's differentiate")
    for y, name in zip((3.2, 1.9, 0.6), names, strict=True):
        add_box(axes, 0.1, y, 3.1, 0.7, name, GREY)
        add_arrow(axes, (3.3, y + 0.35), (4.2, 2.25), GREY)
    add_box(axes, 4.3, 1.75, 1.9, 1.0, "the function\nnumpy.gradient", "black", linewidth=2.4)
    add_box(axes, 7.4, 3.0, 2.5, 0.8, "code of NumPy", BLUE)
    add_box(axes, 7.4, 0.7, 2.5, 0.8, "code of gpugrad", RED)
    add_arrow(axes, (6.3, 2.4), (7.3, 3.3), BLUE, linestyle="--")
    add_arrow(axes, (6.3, 2.1), (7.3, 1.2), RED)
    axes.text(8.65, 2.6, "without a patch", color=BLUE, ha="center", fontsize=10)
    axes.text(8.65, 1.75, "under a patch", color=RED, ha="center", fontsize=10)
    return figure
