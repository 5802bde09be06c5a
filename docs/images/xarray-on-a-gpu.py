"""xarray-on-a-gpu.png: what of a DataArray lies on the host and what on the GPU, step by step."""

from boxes import BLUE, INK, ORANGE, PALE_BLUE, PALE_ORANGE, draw_arrow, draw_box, make_panel

STEPS = (0.75, 2.4, 4.05, 5.7)
WIDTH = 1.35


def draw():
    figure, axes = make_panel(7.2, 3.75)
    labels, host, device = 2.5, 1.35, 0.2
    heads = ("opened", "moved", "differentiated", "moved back")
    for left, words in zip(STEPS, heads, strict=True):
        axes.text(left + WIDTH / 2, 3.52, words, ha="center", va="center", fontsize=10,
                  weight="bold", color=INK)  # fmt: skip
    for bottom, height, words in ((1.3, 1.95, "host"), (0.15, 0.8, "GPU")):
        axes.text(0.3, bottom + height / 2, words, rotation=90, ha="center", va="center",
                  fontsize=10, weight="bold", color=INK)  # fmt: skip
    axes.axhline(1.12, 0.02, 0.98, color="0.7", linewidth=1, linestyle="--")

    names = ("T in K,\ncoordinates in m",) * 2 + ("dT_dx in K m-1,\ncoordinates in m",) * 2
    for left, words in zip(STEPS, names, strict=True):
        draw_box(axes, left, labels, WIDTH, 0.72, words, size=8.5)
    for left in (STEPS[0], STEPS[3]):
        draw_box(axes, left, host, WIDTH, 0.62, "values\n(NumPy)", PALE_BLUE, BLUE)
    for left in STEPS[1:3]:
        draw_box(axes, left, device, WIDTH, 0.62, "values\n(CuPy)", PALE_ORANGE, ORANGE)

    for left in STEPS[:3]:
        draw_arrow(axes, (left + WIDTH, labels + 0.36), (left + 1.65, labels + 0.36))
    draw_arrow(axes, (STEPS[0] + WIDTH, host + 0.3), (STEPS[1], device + 0.45))
    draw_arrow(axes, (STEPS[1] + WIDTH, device + 0.31), (STEPS[2], device + 0.31))
    draw_arrow(axes, (STEPS[2] + WIDTH, device + 0.45), (STEPS[3], host + 0.3))
    # Coordinates become weights, which go to the kernel once.
    draw_arrow(axes, (STEPS[2] + 0.45, labels), (STEPS[2] + 0.45, device + 0.62))
    axes.text(STEPS[2] + 0.52, 1.65, "weights,\nuploaded\nonce", fontsize=8.5, color=INK,
              va="center", ha="left")  # fmt: skip
    return figure
