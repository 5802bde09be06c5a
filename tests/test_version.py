"""Where the version comes from: Git in a checkout, metadata elsewhere."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest

import gpugrad
from gpugrad import _version

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "pyproject.toml"


def find_version(root):
    """Return what the package in a folder says of itself."""
    return runpy.run_path(str(root / "gpugrad" / "_version.py"))["find_version"]()


def git(root, *arguments):
    person = ("-c", "user.name=a", "-c", "user.email=a@b.invalid", "-c", "commit.gpgsign=false")
    command = ["git", *person, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the package, of which Git knows nothing."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "a folder"
    (root / "gpugrad").mkdir(parents=True)
    shutil.copy(_version.__file__, root / "gpugrad")
    lines = ['[project]\nname = "gpugrad"\n']
    if PROJECT.is_file():
        lines = [PROJECT.read_text(encoding="utf-8")]
        for name in (".gitattributes", ".git_archival.txt"):
            if (ROOT / name).is_file():  # not in a source archive
                shutil.copy(ROOT / name, root)
    (root / "pyproject.toml").write_text("".join(lines), encoding="utf-8")
    return root


@pytest.fixture
def checkout(folder):
    """Return a checkout of one commit."""
    if shutil.which("git") is None:
        pytest.skip("Git is not installed")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def commit(root):
    git(root, "commit", "-q", "--allow-empty", "-m", "next")


def change(root):
    with (root / "pyproject.toml").open("a") as file:
        file.write("\n")


STEPS = {
    "no tag": [],
    "a tag": [("tag", "v0.3.0")],
    "after a tag": [("tag", "v0.3.0"), commit, commit],
    "changed": [change],
    "changed after a tag": [("tag", "v0.3.0"), change],
    "after a candidate": [("tag", "v1.0.0rc1"), commit],
    "a tag of something else": [("tag", "v0.3.0"), commit, ("tag", "data-2024")],
}
VERSIONS = {
    "no tag": r"0\.1\.0\.dev1\+g\w+",
    "a tag": r"0\.3\.0",
    "after a tag": r"0\.3\.1\.dev2\+g\w+",
    "changed": r"0\.1\.0\.dev1\+g\w+\.d\d{8}",
    "changed after a tag": r"0\.3\.1\.dev0\+g\w+\.d\d{8}",
    "after a candidate": r"1\.0\.0rc2\.dev1\+g\w+",
    "a tag of something else": r"0\.3\.1\.dev1\+g\w+",
}


def take(steps, root):
    for step in steps:
        step(root) if callable(step) else git(root, *step)


@pytest.mark.parametrize("steps", STEPS)
def test_a_checkout_counts_the_commits_since_its_tag(checkout, steps):
    take(STEPS[steps], checkout)
    # Without a tag it is on its way to the release that is next.
    following = re.escape(_version.UNRELEASED.removesuffix(".dev0"))
    pattern = VERSIONS[steps].replace(r"0\.1\.0", following)
    assert re.fullmatch(pattern, find_version(checkout))


@pytest.mark.parametrize("steps", STEPS)
def test_a_checkout_says_what_a_build_of_it_would_say(checkout, steps):
    scm = pytest.importorskip("setuptools_scm")
    if not PROJECT.is_file():
        pytest.skip("not a checkout")
    take(STEPS[steps], checkout)
    table = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["hatch"]["version"]
    options = table["raw-options"] | {"fallback_version": table["fallback-version"]}
    with warnings.catch_warnings(action="ignore"):
        built = scm.get_version(root=str(checkout), **options)
    version = find_version(checkout)
    date = r"\.d\d{8}$"  # midnight may come in between
    assert re.sub(date, ".date", version) == re.sub(date, ".date", built)


def test_versions_before_the_first_release_come_before_it(checkout):
    from packaging.version import Version

    first = Version(_version.UNRELEASED).base_version
    assert Version(_version.UNRELEASED) < Version(find_version(checkout)) < Version(first)


@pytest.mark.parametrize(("steps", "version"), [
    ("no tag", None), ("a tag", r"0\.3\.0"), ("after a tag", r"0\.3\.1\.dev2\+g\w+"),
])  # fmt: skip
def test_an_archive_made_by_git_knows_its_tag(checkout, tmp_path, steps, version):
    if not (checkout / ".git_archival.txt").is_file():
        pytest.skip("not a checkout")
    take(STEPS[steps], checkout)
    git(checkout, "archive", "-o", str(tmp_path / "archive.zip"), "HEAD")
    shutil.unpack_archive(tmp_path / "archive.zip", tmp_path / "unpacked")
    pattern = version or re.escape(_version.UNRELEASED)
    assert re.fullmatch(pattern, find_version(tmp_path / "unpacked"))


def test_without_git_a_checkout_says_what_is_next(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert find_version(checkout) == _version.UNRELEASED


def test_a_copy_in_another_project_does_not_take_its_tags(checkout):
    git(checkout, "tag", "v7.0.0")
    (checkout / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert find_version(checkout) == _version.UNRELEASED


def test_a_broken_repository_is_not_looked_for_further_up(checkout):
    inner = checkout / "inner"
    shutil.copytree(checkout / "gpugrad", inner / "gpugrad")
    shutil.copy(checkout / "pyproject.toml", inner)
    (inner / ".git").mkdir()
    assert find_version(inner) == _version.UNRELEASED


def test_hooks_of_other_repositories_change_nothing(checkout, tmp_path, monkeypatch):
    version = find_version(checkout)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nothing"))
    assert find_version(checkout) == version


@pytest.mark.parametrize("file", ["gpugrad-1.2.3.dist-info/METADATA", "PKG-INFO"])
def test_wheels_and_source_archives_say_what_their_metadata_say(folder, file):
    place = folder / file
    place.parent.mkdir(exist_ok=True)
    place.write_text("Metadata-Version: 2.4\nName: gpugrad\nVersion: 1.2.3\n")
    (folder / "pyproject.toml").unlink()
    assert find_version(folder) == "1.2.3"


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_linked_folder_without_git_says_what_was_installed(
    folder, tmp_path, monkeypatch, is_linked
):
    installed = tmp_path / "site" / "gpugrad-1.2.3.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.4\nName: gpugrad\nVersion: 1.2.3\n")
    linked = folder if is_linked else tmp_path
    text = f'{{"dir_info": {{"editable": true}}, "url": "{linked.as_uri()}"}}'
    (installed / "direct_url.json").write_text(text)
    monkeypatch.syspath_prepend(installed.parent)
    assert find_version(folder) == ("1.2.3" if is_linked else _version.UNRELEASED)


def test_the_version_is_found_when_it_is_asked_for():
    code = (
        "import gpugrad; assert '__version__' not in vars(gpugrad)\n"
        "assert '__version__' in dir(gpugrad); print(gpugrad.__version__)\n"
        "assert '__version__' in vars(gpugrad)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == gpugrad.__version__
    assert _version.__version__ == gpugrad.__version__
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        _version.version  # noqa: B018


def test_the_changelog_and_the_build_know_what_is_next():
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.is_file() or not PROJECT.is_file():
        pytest.skip("not a checkout")
    text = changelog.read_text(encoding="utf-8")
    (newest, date), *_ = re.findall(r"^## \[(.*)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.M)
    assert f'fallback-version = "{_version.UNRELEASED}"' in PROJECT.read_text(encoding="utf-8")
    if "dev" not in gpugrad.__version__:
        assert (newest, bool(date)) == (gpugrad.__version__, True), "a release has its section"
    elif newest == "Unreleased":
        assert not date
        assert f"This will be {_version.UNRELEASED.removesuffix('.dev0')}" in text
