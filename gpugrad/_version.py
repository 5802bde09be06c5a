"""The version of the package, below all else: files and `info` tell it.

No file has it. A wheel's metadata tell it, and a checkout asks Git as a build does: what is
installed from a checkout may be older than its files. This takes time, so that it is done when
somebody asks, and once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import Distribution

UNRELEASED = "0.1.0.dev0"
"""What this is before its release, where nothing tells more; `pyproject.toml` has it, too."""

__version__: str  # found when it is asked for


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return find_version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def find_version() -> str:
    """Return the version of the package as it is now."""
    root = Path(__file__).absolute().parents[1]
    version = _ask_git(root) if _is_ours(root) else None
    return version or next((found.version for found in _find_metadata(root)), UNRELEASED)


def _is_ours(root: Path) -> bool:
    # The package may be a copy in another project, which has tags of its own.
    project = root / "pyproject.toml"
    return project.is_file() and 'name = "gpugrad"' in project.read_text(encoding="utf-8")


def _ask_git(root: Path) -> str | None:
    """Return what hatch-vcs says; None without Git, or where it does not trust the folder."""
    archive = root / ".git_archival.txt"  # Git fills it in when it makes an archive
    if not (root / ".git").exists():
        text = archive.read_text(encoding="utf-8").strip() if archive.is_file() else ""
        return _word(text.removeprefix("describe-name: "))
    if said := _run_git(root, "describe", "--tags", "--long", "--match", "v[0-9]*"):
        return _word(said)
    count = _run_git(root, "rev-list", "--count", "HEAD")  # there is no tag yet
    commit = _run_git(root, "describe", "--always", "--exclude=*")
    return _word(f"{UNRELEASED}-{count}-g{commit}") if count and commit else None


def _run_git(root: Path, command: str, *options: str) -> str | None:
    import os
    import subprocess

    # A hook of Git names another repository there; a broken one is not looked for further up.
    others = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    environment |= {"GIT_CEILING_DIRECTORIES": str(root.parent), "GIT_OPTIONAL_LOCKS": "0"}
    if command == "describe":
        options = ("--dirty", "--abbrev=9", *options)
    try:
        done = subprocess.run(
            ["git", "-C", str(root), command, *options],
            capture_output=True, encoding="utf-8", env=environment, timeout=30, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _word(described: str) -> str | None:
    """Return the version of a commit that `git describe` describes."""
    pattern = r"v?(\d.*?)(?:-(\d+)-(g[0-9a-f]+))?(-dirty)?"
    if not (match := re.fullmatch(pattern, described)):
        return None
    tag, since, commit, dirty = match.groups()
    if not dirty and int(since or 0) == 0:
        return tag
    if tag.endswith(".dev0"):
        following = tag.removesuffix(".dev0")
    else:  # the next after it, as far as anybody can know
        following = re.sub(r"\d+$", lambda last: str(int(last[0]) + 1), tag)
    return f"{following}.dev{since}+{commit}{_today() if dirty else ''}"


def _today() -> str:
    from datetime import UTC, datetime

    return f".d{datetime.now(UTC):%Y%m%d}"


def _find_metadata(root: Path) -> Iterator[Distribution]:
    """Yield what tells a version: a wheel's, a source archive's, those of a link to the folder."""
    from importlib import metadata

    yield from metadata.distributions(name="gpugrad", path=[str(root)])
    if (root / "PKG-INFO").is_file():
        yield metadata.Distribution.at(root)
    for found in metadata.distributions(name="gpugrad"):
        if f'"{root.as_uri()}"' in (found.read_text("direct_url.json") or ""):
            yield found
