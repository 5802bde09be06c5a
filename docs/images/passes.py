"""passes.png: how often numpy.gradient and gpugrad go through a field with three axes."""

from boxes import BLUE, INK, ORANGE, PALE_BLUE, PALE_ORANGE, draw_arrow, draw_box, make_panel

AXES = "xyz"


def draw():
    figure, axes = make_panel(7.2, 4.0)

    def write(left, height, words, **style):
        axes.text(left, height, words, va="center", color=INK, **{"fontsize": 9, **style})

    write(0.1, 3.8, "numpy.gradient", fontsize=10.5, weight="bold")
    write(1.62, 3.8, "for each axis, three loops over arrays as large as the field")
    for i, axis in enumerate(AXES):
        bottom = 3.0 - 0.55 * i
        names = ("f", "differences", "quotients", f"∂f/∂{axis}")
        steps = ("subtract", "divide", "copy")
        for k, name in enumerate(names):
            face, edge = (PALE_ORANGE, ORANGE) if k == 3 else (PALE_BLUE, BLUE)
            draw_box(axes, 0.1 + 1.68 * k, bottom, 0.98, 0.4, name, face, edge)
        for k, step in enumerate(steps):
            left = 1.08 + 1.68 * k
            draw_arrow(axes, (left, bottom + 0.2), (left + 0.7, bottom + 0.2))
            axes.text(left + 0.33, bottom + 0.29, step, ha="center", fontsize=8, color=INK)
    write(6.22, 2.6, "9 reads,\n9 writes", fontsize=10.5, weight="bold", linespacing=1.4)

    axes.axhline(1.68, 0.015, 0.985, color="0.8", linewidth=1)
    write(0.1, 1.44, "gpugrad", fontsize=10.5, weight="bold")
    write(1.62, 1.44, "one loop, which reads a sample once and writes all derivatives")
    draw_box(axes, 0.1, 0.6, 0.98, 0.4, "f", PALE_BLUE, BLUE)
    draw_box(axes, 2.0, 0.47, 1.9, 0.66, "subtract, multiply\nor divide: in registers", size=8.5)
    draw_arrow(axes, (1.08, 0.8), (2.0, 0.8))
    for i, axis in enumerate(AXES):
        bottom = 0.94 - 0.43 * i
        draw_box(axes, 5.14, bottom - 0.02, 0.98, 0.38, f"∂f/∂{axis}", PALE_ORANGE, ORANGE)
        draw_arrow(axes, (3.9, 0.8), (5.14, bottom + 0.17))
    write(6.22, 0.7, "1 read,\n3 writes", fontsize=10.5, weight="bold", linespacing=1.4)
    return figure
