"""The files around the package say the same: workflows, classifiers, extras, pages."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gpugrad import _version

ROOT = Path(__file__).parents[1]
if not (ROOT / "pyproject.toml").is_file() or not (ROOT / ".github").is_dir():
    pytest.skip("not a checkout", allow_module_level=True)
yaml = pytest.importorskip("yaml")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def load(path):
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def list_steps(path):
    """Return the steps of all jobs of a workflow."""
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


def list_pythons():
    """Return the versions of Python in the classifiers."""
    lines = "\n".join(PROJECT["project"]["classifiers"])
    return re.findall(r"Python :: (3\.\d+)$", lines, re.M)


@named(WORKFLOWS)
def test_what_workflows_run_is_there(path):
    commands = "\n".join(step.get("run", "") for step in list_steps(path))
    for file in re.findall(r"(?:\.ci|benchmarks|tools|docs|tests)/[\w./-]+", commands):
        assert (ROOT / file).exists(), file
    for group in re.findall(r"--group (\w+)", commands):
        assert group in PROJECT["dependency-groups"]
    for extra in re.findall(r"\.\[(\w+)\]", commands):
        assert extra in PROJECT["project"]["optional-dependencies"]
    for job in load(path)["jobs"].values():
        if "steps" not in job:
            assert (ROOT / job["uses"]).is_file()


@named(WORKFLOWS)
def test_workflows_may_do_no_more_than_they_need(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert "uses" in job or "timeout-minutes" in job
        is_publisher = (path.stem, name) == ("release", "publish")
        assert job.get("permissions") == ({"id-token": "write"} if is_publisher else None)
        assert job.get("environment") == ("pypi" if is_publisher else None)
    for line in path.read_text(encoding="utf-8").splitlines():
        if "uses:" in line and "./" not in line:  # a tag could be moved to other code
            assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    for step in list_steps(path):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_code_from_forks_never_gets_to_our_own_machine():
    for path in WORKFLOWS:
        for job in load(path)["jobs"].values():
            if "self-hosted" in job.get("runs-on", ""):
                assert path.stem == "gpu"
                assert "head.repo.full_name == github.repository" in job["if"]
        assert "pull_request_target" not in path.read_text(encoding="utf-8")


def test_the_same_pythons_are_named_tested_and_promised():
    pythons = list_pythons()
    quick = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["quick"]
    assert quick["strategy"]["matrix"]["python"] == pythons
    oldest = pythons[0]
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    promised = f"Python {', '.join(pythons[:-1])} and {pythons[-1]}"
    assert promised in " ".join(read("docs/library-authors/versions.md").split())
    assert f"Python {oldest} or" in read("README.md")
    assert f"Python {oldest} or" in read("CONTRIBUTING.md")
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    setup = load(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["oldest"]["steps"][1]
    assert setup["with"]["python-version"] == oldest


def test_the_page_of_versions_names_what_is_needed():
    page = " ".join(read("docs/library-authors/versions.md").split())
    for requirement in PROJECT["project"]["dependencies"]:
        name, bound = requirement.split(">=")
        assert f"{name} {bound} or later" in page.replace("NumPy", "numpy")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *map(str, sorted(
    path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")
))])  # fmt: skip
def test_extras_and_groups_that_pages_name_are_there(page):
    text = read(page)
    for extras in re.findall(r"gpugrad\[([\w,]+)\]|\"\.\[([\w,]+)\]\"", text):
        for extra in "".join(extras).split(","):
            assert extra in PROJECT["project"]["optional-dependencies"]
    for group in re.findall(r"--group (\w+)", text):
        assert group in PROJECT["dependency-groups"]


def test_the_conda_recipe_asks_for_what_the_project_asks_for():
    recipe = load(ROOT / "conda" / "recipe.yaml")
    needs = recipe["requirements"]

    def spell(requirements):
        return {re.sub(r" |; .*", "", each) for each in requirements}

    run = spell(needs["run"]) - {"python>=${{python_min}}"}
    assert run == spell(PROJECT["project"]["dependencies"])
    assert spell(PROJECT["build-system"]["requires"]) <= spell(needs["host"])
    extras = {
        each
        for extra in PROJECT["project"]["optional-dependencies"].values()
        for each in spell(extra)
    }
    assert spell(needs["run_constraints"]) <= {each.replace("-cuda12x", "") for each in extras}
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert recipe["context"]["python_min"] == oldest
    (script,) = recipe["build"]["python"]["entry_points"]
    assert dict([script.split(" = ")]) == PROJECT["project"]["scripts"]
    assert f'default="{_version.UNRELEASED}"' in recipe["context"]["version"]


@named([path for path in FORMS if path.name != "config.yml"])
def test_forms_ask_for_what_is_needed_to_answer(path):
    form = load(path)
    assert {"name", "description", "body"} <= form.keys()
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len({*ids})
    if path.stem == "bug":
        assert "gpugrad info" in path.read_text(encoding="utf-8")


def test_the_citation_has_what_its_format_asks_for():
    citation = load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == PROJECT["project"]["authors"]
    assert "version" not in citation  # which nobody would keep


def test_classifiers_are_those_that_the_index_knows():
    known = pytest.importorskip("trove_classifiers").classifiers
    classifiers = PROJECT["project"]["classifiers"]
    assert classifiers == sorted({*classifiers} & {*known})


@pytest.mark.parametrize("script", sorted((ROOT / ".ci").iterdir()), ids=lambda path: path.name)
def test_scripts_can_be_read_by_bash(script):
    if sys.platform == "win32":
        pytest.skip("no bash")
    subprocess.run(["bash", "-n", str(script)], check=True)
