"""Draw the pictures of the page of plots: save the figures that its examples draw."""

from collections.abc import Iterator
from doctest import DocTestParser
from io import BytesIO
from pathlib import Path
from re import DOTALL, findall
from typing import Any

from matplotlib import pyplot
from PIL import Image
from PIL.PngImagePlugin import PngInfo

HERE = Path(__file__).parent
PAGE = HERE.parent / "how-to" / "plots.md"
DPI = 100


def draw_figures() -> Iterator[tuple[str, Any]]:
    """Yield the name of each picture on the page, and the figure of the example above it."""
    names: dict[str, Any] = {}
    pieces = findall(r"```python\n(.*?)```|\]\(\.\./images/(plot-.*?)\)", PAGE.read_text(), DOTALL)
    for code, picture in pieces:
        for example in DocTestParser().get_examples(code):
            exec(compile(example.source, PAGE.name, "single"), names)
        if picture:
            yield picture, names["figure"]
            pyplot.close("all")


def describe(figure: Any) -> str:
    """Return what is written beside the panels of a figure; it goes into the picture's file."""
    panels = [[a.get_xlabel(), a.get_ylabel(), a.get_title()] for a in figure.axes]
    bars = [bar.get_ylabel() for axes in figure.axes for bar in axes.child_axes]
    legends = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    return str([panels, bars, legends])


if __name__ == "__main__":
    for name, figure in draw_figures():
        drawn = BytesIO()
        figure.savefig(drawn, dpi=DPI)
        # A palette makes the file half as large; of 256 colours those that are rare count, too.
        picture = Image.open(drawn).convert("RGB")
        palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE)
        text = PngInfo()
        text.add_text("Title", describe(figure))
        picture.quantize(palette=palette).save(HERE / name, optimize=True, pnginfo=text)
