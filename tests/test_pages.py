"""Pages: links lead to files and headings that there are, and README reads as it promises."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "notebooks/*.ipynb")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^( *```).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@cache
def read(path):
    """Return the text of a page, or of a notebook's cells of text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    return text


@cache
def anchors_of(path):
    """Return what links to headings of a page may name, as GitHub makes it from their words."""
    without_blocks = re.sub(r"^( *```).*?^\1", "", read(path), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", without_blocks, re.MULTILINE)
    words = (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in words}


def find_broken(path):
    """Yield the links of a page that lead nowhere."""
    for target in LINK.findall(CODE.sub("", read(path))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists() or (anchor and anchor not in anchors_of(there)):
            yield target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_there_are(path):
    assert not [*find_broken(path)]


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A (b)\n\n[x](#a-b) [y](#b) [z](gone.md)\n```\n[code](none)\n```\n`[c](d)`\n")
    assert [*find_broken(page)] == ["#b", "gone.md"]


def test_the_two_commands_are_one_block_of_two_short_lines():
    (section,) = re.findall(r"^## Two commands$(.*?)^## ", read(ROOT / "README.md"), re.M | re.S)
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    lines = block.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 120


def test_extras_that_pages_name_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].keys()
    named = {
        (path.name, extra)
        for path in PAGES
        for words in re.findall(r"(?:gpugrad|\"\.)\[(\w+(?:,\w+)*)\]", read(path))
        for extra in words.split(",")
    }
    assert {extra for _, extra in named} >= {"cpu", "cuda13x", "test"}
    assert not [(page, extra) for page, extra in named if extra not in extras]


WITHOUT_PICTURE = {
    "api.md", "scheme-tables.md", "cheat-sheet.md", "coming-from.md", "reliability.md",
    "versions.md", "releasing.md", "index.md",
}  # fmt: skip
"""Pages that are tables or lists of links."""


@pytest.mark.parametrize("path", [
    path for path in PAGES if "docs" in path.parts and "design" not in path.parts
], ids=lambda path: path.name)  # fmt: skip
def test_pages_open_with_text_and_have_a_picture(path):
    text = read(path)
    assert re.match(r"# .+\n\n[^#]", text)
    assert path.name in WITHOUT_PICTURE or re.search(r"!\[[^]]+\]\([^)]*\.png\)", text)


def test_pages_speak_plainly():
    words = re.compile(r"\bthat of the\b|petabyte|<!-- measured", re.IGNORECASE)
    found = {
        str(path.relative_to(ROOT)): words.findall(CODE.sub("", read(path)))
        for path in PAGES
        if path.name != "CHANGELOG.md" and "design" not in path.parts
    }
    assert {path: told for path, told in found.items() if told} == {}
