"""A usual run takes few cases of large tables, and the rest is not forgotten."""

from __future__ import annotations

import itertools
import sys

import pytest
import sampling
from hypothesis import given
from hypothesis import strategies as st
from sampling import cover

pytest_plugins = ["pytester"]


def test_every_value_is_taken():
    rows = [{"a": a, "b": b} for a, b in itertools.product(range(7), range(5))]
    chosen = [rows[i] for i in cover(rows)]
    assert len(chosen) == 7
    assert {row["a"] for row in chosen} == {*range(7)}
    assert {row["b"] for row in chosen} == {*range(5)}


def test_every_pair_is_taken_in_few_cases():
    rows = [dict(zip("abcd", row, strict=True)) for row in itertools.product(range(4), repeat=4)]
    chosen = [rows[i] for i in cover(rows, 2)]
    assert len(chosen) < 30  # 256 in all
    for one, other in itertools.combinations("abcd", 2):
        assert {(row[one], row[other]) for row in chosen} == {
            *itertools.product(range(4), repeat=2)
        }


@pytest.fixture
def project(pytester, monkeypatch):
    """Make a project with a table, a long test, a random one, and one that needs a library."""
    # The project's run takes notes of its own.
    monkeypatch.delitem(sys.modules, "sampling")
    pytester.makeconftest(
        """
        import pytest, sampling

        pytest_addoption, pytest_configure = sampling.add_options, sampling.configure

        def pytest_collection_modifyitems(config, items):
            items[:] = sampling.choose(config, items)

        def pytest_sessionfinish(session):
            sampling.remember(session.config)

        def pytest_runtest_logreport(report):
            sampling.note(report)

        def pytest_terminal_summary(terminalreporter):
            sampling.summarize(terminalreporter)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            sampling.add_cases(report)
            return report
        """
    )
    pytester.makepyfile(
        """
        import pytest, sampling
        from hypothesis import strategies as st
        from hypothesis import given

        @pytest.mark.sampled
        @pytest.mark.parametrize("a", range(5))
        @pytest.mark.parametrize("b", range(3))
        def test_table(a, b):
            assert a < 5

        @pytest.mark.exhaustive
        def test_long():
            pass

        @pytest.mark.exhaustive(a=2)
        @pytest.mark.exhaustive(a=1, b=1)
        @pytest.mark.parametrize("a", range(3))
        @pytest.mark.parametrize("b", range(2))
        def test_some_values_take_long(a, b):
            pass

        @pytest.mark.sampled(exhaustive=2)
        @pytest.mark.parametrize("a", range(2))
        @pytest.mark.parametrize("b", range(2))
        @pytest.mark.parametrize("c", range(2))
        def test_large_table(a, b, c):
            pass

        @pytest.mark.nightly
        def test_longest():
            pass

        @sampling.random_cases(50, database=None)
        @given(st.integers())
        def test_random(n):
            with open("cases", "a") as file:
                file.write(f"{n} ")

        def test_library():
            pytest.importorskip("library_of_the_rest")
        """
    )
    pytester.makeini(
        "[pytest]\nmarkers =\n    sampled\n    exhaustive\n    nightly\n    random_cases\n"
    )
    return pytester


def take_cases(project):
    """Return the numbers that the random test has been given, and forget them."""
    written = project.path / "cases"
    numbers = written.read_text().split()
    written.unlink()
    return numbers


def test_a_usual_run_takes_samples_and_rest_all_that_has_not_passed(project):
    project.runpytest().assert_outcomes(passed=5 + 2 + 1 + 3, skipped=1)
    assert 2 <= len(take_cases(project)) <= 10
    project.makepyfile(library_of_the_rest="")
    project.runpytest("--collect-only")  # is no run
    project.runpytest("--rest").assert_outcomes(passed=10 + 3 + 1 + 3 + 1 + 1)
    assert len(take_cases(project)) > 30


def test_exhaustive_takes_everything(project):
    project.runpytest("--exhaustive").assert_outcomes(passed=15 + 4 + 1 + 6 + 1, skipped=1)


def test_nightly_takes_nothing_but_the_nightly_tests(project):
    project.runpytest("--nightly").assert_outcomes(passed=4 + 1)


def run_random_test(monkeypatch, factor):
    """Run a test of 50 random cases; return what it was given."""
    monkeypatch.setattr(sampling, "random_factor", factor)
    monkeypatch.setattr(sampling, "_ran", 0)
    numbers = []

    @sampling.random_cases(50, database=None)
    @given(st.integers())
    def take(n):
        numbers.append(n)

    take()
    assert sampling._ran == len(numbers)
    return numbers


@pytest.mark.parametrize(("factor", "most"), [(0.1, 5), (1.0, 50)])
def test_random_cases_are_the_same_in_every_run(monkeypatch, factor, most):
    runs = [run_random_test(monkeypatch, factor) for _ in range(2)]
    assert runs[0] == runs[1]
    assert most / 2 < len(runs[0]) <= most


def test_random_cases_under_a_larger_factor_are_new(monkeypatch):
    runs = [run_random_test(monkeypatch, 2.0) for _ in range(2)]
    assert runs[0] != runs[1]
    assert 60 < len(runs[0]) <= 100


def test_a_run_with_a_factor_counts_the_cases_of_tests_that_pass(project):
    project.makepyfile(
        test_of_two="""
        import sampling
        from hypothesis import given, strategies as st

        @sampling.random_cases(50, database=None)
        @given(st.integers())
        def test_random_too(n):
            with open("cases", "a") as file:
                file.write(f"{n} ")

        @sampling.random_cases(50, database=None)
        @given(st.integers())
        def test_random_and_wrong(n):
            assert n < 10
        """
    )
    result = project.runpytest("--random-factor=2", "-k", "random")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"Random cases that passed: {len(take_cases(project))}"])


@pytest.mark.exhaustive
def test_a_seed_brings_random_cases_back(project):
    runs = []
    for seed in "121":
        project.runpytest("--random-factor=2", f"--hypothesis-seed={seed}", "-k", "random")
        runs.append(take_cases(project))
    assert runs[0] != runs[1]
    assert runs[0] == runs[2]


def test_rest_without_a_last_run_is_an_error(project):
    result = project.runpytest("--rest")
    result.stderr.fnmatch_lines(["*there is no last run. Run `pytest` first.*"])
