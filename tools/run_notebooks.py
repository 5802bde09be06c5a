"""Run notebooks from top to bottom, and store what they print and draw.

python tools/run_notebooks.py          # all of them
python tools/run_notebooks.py 06 08    # those whose names begin so

Stored pictures get a palette, which makes them half as large, and keep their resolution. What
changes from run to run without a meaning, such as the time of execution, is left out.
"""

from __future__ import annotations

import argparse
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image
from small_pictures import make_small

FOLDER = Path(__file__).parents[1] / "notebooks"
SECONDS = 120
"""How long a cell may take."""


def run_notebook(path: Path) -> Any:
    """Return the notebook in a file with the outputs of a new run."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=where).execute()
    return notebook


def strip_notebook(notebook: Any) -> None:
    """Leave out what differs between two runs of one notebook, and make its pictures small."""
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [*join_streams(cell.outputs)]
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = shrink_picture(data["image/png"])


def join_streams(outputs: Iterable[Any]) -> Iterator[Any]:
    """Yield outputs; what was printed piece by piece is one again, however it was cut."""
    for _, group in groupby(outputs, lambda o: o.get("name") or id(o)):
        first, *more = group
        if more:
            first["text"] += "".join(output["text"] for output in more)
        yield first


def shrink_picture(encoded: str) -> str:
    """Return a picture of a palette of 256 colours, in base64 as it came."""
    image = Image.open(BytesIO(b64decode(encoded)))
    dpi = image.info["dpi"]
    on_white = Image.new("RGB", image.size, "white")
    on_white.paste(image, mask=image.convert("RGBA").getchannel("A"))
    small = BytesIO()
    make_small(on_white).save(small, "PNG", optimize=True, dpi=dpi)
    return b64encode(small.getvalue()).decode()


def main() -> None:
    """Run the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=[""], help="how their names begin")
    for name in parser.parse_args().names:
        paths = sorted(FOLDER.glob(f"{Path(name).name.removesuffix('.ipynb')}*.ipynb"))
        if not paths:
            parser.error(f"no notebook's name begins with {name!r}")
        for path in paths:
            start = perf_counter()
            notebook = run_notebook(path)
            seconds = perf_counter() - start
            strip_notebook(notebook)
            nbformat.write(notebook, path)
            print(f"{path.name}: {seconds:.1f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
