"""The pictures of README and of the pages: drawn by what is on the page, and compared with it.

A picture is the figure that an example above it leaves in the variable `figure`, or that `draw()`
of the script with the picture's name returns. Each run of the examples compares it with the file;
`pytest docs README.md --draw` writes the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from re import finditer
from typing import Any

from sybil import Document, Example, Region

HERE = Path(__file__).parent
DPI = 150
MADE_BY_PROGRAMS = {"demo", "gpu", "observed-order", "speed"}
"""Pictures of the benchmarks and of the demonstration, which take longer."""

writes_files = False


def find_pictures(document: Document) -> Iterator[Region]:
    """Yield the pictures of a page; those of the gallery belong to other pages."""
    if document.path.endswith("gallery.md"):
        return
    for match in finditer(r"!\[[^\]]*\]\([^)]*\bimages/([\w-]+)\.png\)", document.text):
        if match[1] not in MADE_BY_PROGRAMS and find_spec("matplotlib"):
            yield Region(match.start(), match.end(), match[1], compare)


def compare(example: Example) -> str | None:
    """Compare the figure with the file of the picture, or write the file."""
    name = example.parsed
    if (HERE / f"{name}.py").is_file():
        figure = import_module(name).draw()
    else:
        figure = example.namespace.pop("figure", None)
    if figure is None:
        return f"no example above {name}.png draws it: none has left a figure in `figure`"
    path = HERE / f"{name}.png"
    if writes_files:
        save(figure, path)
    from PIL import Image

    with Image.open(path) as picture:
        size, text = picture.size, picture.text.get("Title")
    wanted = [round(inches * DPI) for inches in figure.get_size_inches()]
    if text == describe(figure) and max(abs(a - b) for a, b in zip(size, wanted, strict=True)) < 2:
        return None
    return f"{name}.png is not what its example draws. Run `pytest {example.path} --draw`."


def describe(figure: Any) -> str:
    """Return what is written beside the panels of a figure; it goes into the picture's file."""
    panels = [[a.get_xlabel(), a.get_ylabel(), a.get_title()] for a in figure.axes]
    bars = [bar.get_ylabel() for axes in figure.axes for bar in axes.child_axes]
    legends = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    return str([panels, bars, legends])


def save(figure: Any, path: Path) -> None:
    """Write a figure to a small file."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo
    from small_pictures import make_small

    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI, facecolor="white")
    text = PngInfo()
    text.add_text("Title", describe(figure))
    picture = make_small(Image.open(drawn).convert("RGB"))
    picture.save(path, optimize=True, pnginfo=text, dpi=(DPI, DPI))
