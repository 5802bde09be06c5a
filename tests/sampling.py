"""Which tests a usual run takes, of tables whose whole product would take too long.

- ``@pytest.mark.sampled`` above a table: as few cases as have every value of every parameter.
  ``sampled(2)``: as few as have every pair of values of any two parameters; and so on. The whole
  table is in the exhaustive run; with ``sampled(exhaustive=2)`` as few cases of it as have every
  pair, and the others are nightly tests.
- ``@pytest.mark.exhaustive``: none of these. ``exhaustive(xp="jax")``: none that have this value.
- ``@random_cases(n)`` above a test of hypothesis: a tenth of `n` cases.
- ``@pytest.mark.nightly``: none, and none of the exhaustive run either. ``nightly(xp="jax")``: none
  that have this value.

``pytest --exhaustive`` takes everything but the nightly tests, ``pytest --rest`` what of it has not
passed in the last run, and random cases again, all of them; ``pytest --nightly`` takes the nightly
tests alone. Random cases are the same in every run. With a factor above 1,
``pytest --random-factor 40``, they are new in every run, and hypothesis' ``--hypothesis-seed``
brings them back.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pytest

PASSED = "gpugrad/passed"
"""Where pytest's cache has the names of the tests that have passed."""

RAN = "random cases"
"""The property of a test's report that says how many random cases have run to their end."""

random_factor = 0.1
_ran = 0


def random_cases(count: int, **options: Any) -> Callable[[Any], Any]:
    """Return hypothesis' settings and a mark, for `count` cases where all of them are asked for."""
    from hypothesis import settings

    chosen = settings(
        max_examples=max(2, round(count * random_factor)),
        deadline=None,
        # Every change is judged by the same cases. A larger factor is there to find new ones.
        derandomize=random_factor <= 1,
        **options,
    )

    def decorate(test: Any) -> Any:
        test.hypothesis.inner_test = _counted(test.hypothesis.inner_test)
        return pytest.mark.random_cases(chosen(test))

    return decorate


def _counted(case: Callable[..., None]) -> Callable[..., None]:
    """Count the cases that run to their end: hypothesis may run fewer than it is asked for."""

    @functools.wraps(case)
    def run(*args: Any, **keywords: Any) -> None:
        global _ran
        case(*args, **keywords)
        _ran += 1

    return run


def add_options(parser: pytest.Parser) -> None:
    """Add the options to the command of pytest."""
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="run whole tables, of which a usual run takes samples, and ten times the random cases",
    )
    parser.addoption(
        "--rest",
        action="store_true",
        help="run what has not passed in the last run, of what `--exhaustive` runs",
    )
    parser.addoption(
        "--nightly",
        action="store_true",
        help="run the nightly tests, which take too long for `--exhaustive`, and no others",
    )
    parser.addoption(
        "--random-factor",
        type=float,
        metavar="FACTOR",
        help="run so many times the random cases: by default a tenth, with `--exhaustive` all",
    )


def configure(config: pytest.Config) -> None:
    """Read the options, before tests are imported."""
    global random_factor
    told = config.getoption("--random-factor")
    takes_all = config.getoption("--exhaustive") or config.getoption("--rest")
    random_factor = told if told is not None else 1.0 if takes_all else 0.1


def choose(config: pytest.Config, items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that the options ask for."""
    longest = {item for item in items if is_left_out(item, "nightly")}
    is_usual = not any(map(config.getoption, ("--nightly", "--exhaustive", "--rest")))
    if is_usual:
        return find_samples([item for item in items if item not in longest])
    longest |= find_others(items, lambda mark: mark.kwargs.get("exhaustive"))
    if config.getoption("--nightly"):
        return [item for item in items if item in longest]
    items = [item for item in items if item not in longest]
    if config.getoption("--exhaustive"):
        return items
    cache = getattr(config, "cache", None)  # none with `-p no:cacheprovider`
    passed = cache.get(PASSED, None) if cache else None
    if passed is None:
        raise pytest.UsageError("--rest: there is no last run. Run `pytest` first.")
    passed = set(passed)
    # The examples of a page share their variables.
    whole = {item.path for item in items if is_example(item) and item.nodeid not in passed}
    return [
        item
        for item in items
        if item.nodeid not in passed
        or item.path in whole
        or item.get_closest_marker("random_cases") is not None
    ]


def is_example(item: pytest.Item) -> bool:
    """Tell whether a test is an example of a page."""
    return item.path.suffix == ".md"


def is_left_out(item: pytest.Item, run: str = "exhaustive") -> bool:
    """Tell whether a mark leaves a case to a longer run, by the values that it names."""
    case = getattr(item, "callspec", None)
    values = {} if case is None else case.params
    return any(
        all(name in values and values[name] == value for name, value in mark.kwargs.items())
        for mark in item.iter_markers(run)
    )


def find_samples(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return what a usual run takes."""
    items = [item for item in items if not is_left_out(item)]
    others = find_others(items, lambda mark: mark.args[0] if mark.args else 1)
    return [item for item in items if item not in others]


def find_others(
    items: Sequence[pytest.Item], strength_of: Callable[[pytest.Mark], int | None]
) -> set[pytest.Item]:
    """Return the cases of tables that are in no sample of this strength; None takes all cases."""
    tables: dict[tuple[Any, ...], list[pytest.Item]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("sampled")
        strength = None if mark is None else strength_of(mark)
        if strength is not None:
            tables[item.parent, item.originalname, strength].append(item)  # type: ignore[attr-defined]
    others: set[pytest.Item] = set()
    for (_, _, strength), cases in tables.items():
        # One value of a parameter is one object in all cases that have it.
        rows = [
            {name: id(value) for name, value in case.callspec.params.items()}  # type: ignore[attr-defined]
            for case in cases
        ]
        taken = cover(rows, strength)
        others |= {case for i, case in enumerate(cases) if i not in taken}
    return others


def cover(rows: Sequence[dict[str, Hashable]], strength: int = 1) -> set[int]:
    """Choose rows of a table so that every combination of so many columns' values occurs."""
    found = []
    for row in rows:
        pairs = sorted(row.items())
        found.append(set(itertools.combinations(pairs, min(strength, len(pairs)))))
    missing = set().union(*found)
    chosen: set[int] = set()
    while missing:
        best = max(range(len(rows)), key=lambda i: (len(found[i] & missing), -i))
        missing -= found[best]
        chosen.add(best)
    return chosen


_passed: set[str] = set()
_cases_passed = 0


def add_cases(report: pytest.TestReport) -> None:
    """Write into a report how many random cases its test has run."""
    global _ran
    if report.when == "call" and _ran:
        report.user_properties.append((RAN, _ran))
        _ran = 0


def note(report: pytest.TestReport) -> None:
    """Take note of a test that has passed."""
    global _cases_passed
    if report.when == "call" and report.passed:
        _passed.add(report.nodeid)
        _cases_passed += sum(value for name, value in report.user_properties if name == RAN)  # type: ignore[misc]


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Say how many random cases have passed, where a number of them was asked for."""
    if reporter.config.getoption("--random-factor") is not None:
        reporter.write_line(f"Random cases that passed: {_cases_passed}")


def remember(config: pytest.Config) -> None:
    """Keep the names of the tests that have passed, those of a rest beside those before."""
    cache = getattr(config, "cache", None)
    if cache is None or hasattr(config, "workerinput") or config.option.collectonly:
        return
    before = cache.get(PASSED, []) if config.getoption("--rest") else []
    cache.set(PASSED, sorted({*before, *_passed}))
    _passed.clear()
