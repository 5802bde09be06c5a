"""design.png: the folders of the package as floors, and the way of one call through them."""

from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

BLUE, RED, GREY = "#0072b2", "#d55e00", "0.45"
FLOORS = (
    ("_arrays", "what an array is"),
    ("_stencils", "weights, boundaries, plans"),
    ("_grids", "axes, spacings, options"),
    ("_labels", "names and units"),
    ("_engines", "the arithmetic"),
    ("_operators", "gradient, curl, plan, ..."),
    ("_functions", "derivatives of functions"),
    ("_analysis", "turning points, noise"),
    ("_patch", "np.gradient replaced"),
    ("_plots", "pictures"),
    ("_files", "fields larger than memory"),
    ("_cli", "the command"),
)
STEPS = (
    (5, "gradient(f, 0.1)", "above"),
    (2, "axes and spacings", "right"),
    (1, "one plan for each axis", "below"),
    (4, "choose an engine", "above"),
    (4, "read the field,\nwrite the results", "below"),
    (5, "a tuple of arrays", "above"),
)
PLACES = (6.5, 6.5, 8.6, 9.7, 11.2, 11.2)
SIDES = {
    "above": {"xytext": (0, 12), "ha": "center", "va": "bottom"},
    "below": {"xytext": (0, -12), "ha": "center", "va": "top"},
    "right": {"xytext": (8, 9), "ha": "left", "va": "bottom"},
}


def draw():
    figure = Figure((9, 5.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set(xlim=(-0.35, 12.4), ylim=(-0.7, 12.5))
    axes.set_axis_off()
    on_the_way = {floor for floor, _, _ in STEPS}
    for floor, (name, purpose) in enumerate(FLOORS):
        is_used = floor in on_the_way
        style = {"facecolor": "#dcebf5" if is_used else "0.96", "edgecolor": "none"}
        length = 12.2 if is_used else 4.9
        axes.add_patch(FancyBboxPatch((0, floor - 0.36), length, 0.72, "round,pad=0.03", **style))
        axes.text(0.15, floor, name, va="center", fontsize=11, family="monospace")
        axes.text(2.0, floor, purpose, va="center", fontsize=10, color="0.25")
    axes.annotate("", (-0.22, -0.4), (-0.22, 11.4), arrowprops={"arrowstyle": "-|>", "color": GREY})
    axes.text(0, 11.75, "each floor imports only floors below it", color=GREY, fontsize=10)
    axes.text(8.85, 6.75, "the way of one call", color=RED, fontsize=11, ha="center")
    points = [(x, floor) for x, (floor, _, _) in zip(PLACES, STEPS, strict=True)]
    arrow = {"arrowstyle": "-|>", "color": RED, "linewidth": 1.8, "shrinkA": 9, "shrinkB": 9}
    for start, end in pairwise(points):
        axes.annotate("", end, start, arrowprops=arrow)
    for number, (point, (_, text, side)) in enumerate(zip(points, STEPS, strict=True), 1):
        axes.plot(*point, "o", color=RED, markersize=16)
        axes.text(*point, number, color="white", ha="center", va="center", fontsize=10)
        options = SIDES[side] | {"textcoords": "offset points", "fontsize": 10}
        axes.annotate(text, point, **options)
    return figure
