"""engine-choice.png: which engine "auto" takes for which array."""

from boxes import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_ORANGE,
    PALE_PURPLE,
    PURPLE,
    draw_arrow,
    draw_box,
    make_panel,
)

WIDTH, HEIGHT = 7.2, 5.3
ARRAYS = {
    "host": (4.02, "NumPy array, masked array,\nPyTorch tensor in host memory"),
    "cupy": (3.16, "CuPy array"),
    "cuda": (2.46, "PyTorch tensor on CUDA"),
    "jax": (1.76, "JAX array"),
    "other": (1.06, "tensor on another GPU, MLX, dpnp,\ncubed, any array-API library"),
    "dask": (0.2, "Dask array"),
}


def draw():
    figure, axes = make_panel(WIDTH, HEIGHT)
    heads = ((0.1, "your array"), (2.85, "asked for each call"), (4.82, "engine"))
    for left, words in heads:
        axes.text(left, HEIGHT - 0.2, words, fontsize=10, weight="bold", color=INK, va="center")
    for bottom, words in ARRAYS.values():
        draw_box(axes, 0.1, bottom, 2.35, 0.56, words)
    draw_box(axes, 2.85, 3.97, 1.45, 0.66, "llvmlite installed,\nenough to do\nso far?", size=8.5)
    draw_box(axes, 2.85, 2.46, 1.45, 0.56, "CuPy installed,\nGPU usable?", size=8.5)

    engines = (
        (4.3, 0.56, '"compiled"\none compiled loop, all cores', PALE_BLUE, BLUE),
        (3.64, 0.56, '"numpy"\nblocks in the cache, all cores', PALE_GREEN, GREEN),
        (2.83, 0.6, '"cupy"\none kernel on the GPU', PALE_ORANGE, ORANGE),
        (1.76, 0.78, '"slices"\nby operations of the library,\non its device', PALE_PURPLE, PURPLE),
    )
    for bottom, height, words, face, edge in engines:
        draw_box(axes, 4.82, bottom, 2.28, height, words, face, edge)
    draw_box(
        axes, 2.85, 0.2, 4.25, 0.56,
        "lazily: the task of each block takes the engine\nthat suits the block, by the same rules",
    )  # fmt: skip

    def join(start, end, words="", **style):
        draw_arrow(axes, start, end, **style)
        if words:
            across, up = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            on_white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(across, up, words, fontsize=8.5, color=INK, ha="center", va="center",
                      zorder=5, bbox=on_white)  # fmt: skip

    join((2.45, 4.3), (2.85, 4.3))
    join((4.3, 4.42), (4.82, 4.56), "yes")
    join((4.3, 4.14), (4.82, 3.94), "no")
    join((2.45, 3.44), (4.82, 3.2))
    join((2.45, 2.74), (2.85, 2.74))
    join((4.3, 2.84), (4.82, 3.04), "yes")
    join((4.3, 2.62), (4.82, 2.36), "no")
    join((2.45, 2.04), (4.82, 2.15))
    axes.text(3.6, 1.98, "one program of XLA", fontsize=8.5, color=GREY, ha="center", va="center")
    join((2.45, 1.34), (4.82, 1.92))
    join((2.45, 0.48), (2.85, 0.48))
    axes.text(5.96, 1.42, "also what no other engine takes:\ndates, objects, subclasses of arrays",
              fontsize=8.5, color=GREY, ha="center", va="center")  # fmt: skip
    return figure
