"""Look at the site that Sphinx has made: links and anchors, the reference, the search.

python tools/check_site.py _site/html
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

import gpugrad

WORDS = ("laplacian", "vortic", "coastlin", "skipna", "edge_ord")
"""What people may look for, as the search shortens words."""


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Keep what leads elsewhere, and what can be led to."""
        found = dict(attributes)
        self.anchors |= {value for key in ("id", "name") if (value := found.get(key))}
        self.links += [value for key in ("href", "src") if (value := found.get(key))]


def list_pages(root: Path) -> list[Path]:
    """Return the pages; what the theme is made of is none."""
    return [path for path in root.rglob("*.html") if "_static" not in path.parts]


def find_broken_links(root: Path) -> list[str]:
    """Return links within the site that lead nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in list_pages(root)}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target, anchor = urldefrag(link.partition("?")[0] if "#" not in link else link)
            there = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            has_anchor = there.suffix != ".html" or not anchor or (
                there in pages and unquote(anchor) in pages[there].anchors
            )  # fmt: skip
            if not there.is_file() or not has_anchor:
                broken.append(f"{path.relative_to(root)}: {link}")
    return broken


def find_servers(root: Path) -> list[str]:
    """Return what pages load from other servers: without a network they would lack it."""
    named = defaultdict(set)
    for path in list_pages(root):
        for tag in ("script", "link", "img"):
            for part in path.read_text(encoding="utf-8").split(f"<{tag} ")[1:]:
                for address in part.partition(">")[0].split('"')[1::2]:
                    if address.startswith(("http:", "https:", "//")):
                        named[urlsplit(address).netloc].add(path.name)
    return [f"{server}: {sorted(names)[:3]}" for server, names in named.items()]


def main() -> None:
    """Print what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the site: where its index.html is")
    root = parser.parse_args().folder.resolve()
    if not (root / "searchindex.js").is_file():
        parser.error(f"{root} holds no site; `.ci/site` makes one")
    faults = [f"broken link: {link}" for link in find_broken_links(root)]
    faults += [f"loaded from another server: {server}" for server in find_servers(root)]
    names = {path.stem for path in (root / "docs" / "reference" / "api").rglob("gpugrad.*.html")}
    faults += [
        f"no page of gpugrad.{name}"
        for name in gpugrad.__all__
        if name != "symbolic" and f"gpugrad.{name}" not in names
    ]
    index = (root / "searchindex.js").read_text(encoding="utf-8")
    faults += [f"the search finds no {word}" for word in WORDS if f'"{word}":' not in index]
    print(f"{len(list_pages(root))} pages", *faults, sep="\n")
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
