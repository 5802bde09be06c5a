"""Draw the pictures of docs/plots.md: run its examples, and save the figure above each picture."""

from collections.abc import Iterator
from doctest import DocTestParser
from io import BytesIO
from pathlib import Path
from re import DOTALL, findall
from typing import Any

from matplotlib import pyplot
from PIL import Image

HERE = Path(__file__).parent
PAGE = HERE.parent / "plots.md"
DPI = 90


def draw_figures() -> Iterator[tuple[str, Any]]:
    """Yield the name of each picture on the page, and the figure that the example above it draws."""
    names: dict[str, Any] = {}
    pieces = findall(r"```python\n(.*?)```|\]\(images/(plot-.*?)\)", PAGE.read_text(), DOTALL)
    for code, picture in pieces:
        for example in DocTestParser().get_examples(code):
            exec(compile(example.source, PAGE.name, "single"), names)
        if picture:
            yield picture, names["figure"]
            pyplot.close("all")


if __name__ == "__main__":
    for name, figure in draw_figures():
        drawn = BytesIO()
        figure.savefig(drawn, dpi=DPI)
        # A palette makes the file a third as large.
        Image.open(drawn).convert("RGB").quantize(256).save(HERE / name, optimize=True)
