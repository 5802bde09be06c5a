"""See that the wheel and the source archive have in them what Git tracks, and nothing else.

Run it in a checkout, with the folder in which they are::

    python tools/check_archives.py dist

It prints how large they are, and ends with 1 if a file is missing or is too much.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDED = {
    "gpugrad/__init__.pyi",
    "gpugrad/py.typed",
    "gpugrad/_engines/cuda/stencil.cu",
    "gpugrad/_cli/__init__.py",
}
"""Files that are no modules, or in a folder of their own: what builds forget."""
OF_THE_WHEEL = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
OF_THE_SOURCE = {"PKG-INFO", "pyproject.toml", ".gitignore"}


def list_tracked(places: list[str]) -> set[str]:
    """Return the files that Git tracks, of those in some folders or so named."""
    paths = [f":(glob){place.removeprefix('/')}" for place in places]
    trusted = f"safe.directory={ROOT.resolve()}"  # whoever the checkout belongs to
    command = ["git", "-c", trusted, "-C", str(ROOT), "ls-files", "-z", "--", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {*done.stdout.split("\0")} - {""}


def list_wheel(wheel: Path) -> set[str]:
    """Return what is in a wheel, the name of its version left out."""
    stem = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        return {name.removeprefix(stem) for name in archive.namelist()}


def list_source(source: Path) -> set[str]:
    """Return the files of a source archive, without the folder that has all of them."""
    with tarfile.open(source) as archive:
        return {m.name.partition("/")[2] for m in archive.getmembers() if not m.isdir()}


def compare(name: str, found: set[str], expected: set[str]) -> bool:
    """Print what differs, and return whether nothing does."""
    for label, files in (("lacks", expected - found), ("has, too,", found - expected)):
        for file in sorted(files):
            print(f"{name} {label} {file}", file=sys.stderr)
    return found == expected


def main() -> int:
    """Compare both archives with Git, and return the exit status."""
    folder = Path(sys.argv[1])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    package = list_tracked(["/gpugrad"])
    assert package >= NEEDED, f"renamed, and named in {__file__}: {NEEDED - package}"
    right = [
        compare("the wheel", list_wheel(wheel), package | OF_THE_WHEEL),
        compare("the source archive", list_source(source), list_tracked(included) | OF_THE_SOURCE),
    ]
    for archive in (wheel, source):
        print(f"{archive.name}: {archive.stat().st_size / 1e6:.2f} MB")
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
