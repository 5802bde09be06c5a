"""A usual run takes few cases of large tables, and the rest is not forgotten."""

from __future__ import annotations

import itertools

import pytest
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
def project(pytester):
    """Make a project with a table, a long test, a random one, and one that needs a library."""
    pytester.makeconftest(
        """
        import sampling

        pytest_addoption, pytest_configure = sampling.add_options, sampling.configure

        def pytest_collection_modifyitems(config, items):
            items[:] = sampling.choose(config, items)

        def pytest_sessionfinish(session):
            sampling.remember(session.config)

        def pytest_runtest_logreport(report):
            sampling.note(report)
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

        @sampling.random_cases(50, database=None)
        @given(st.integers())
        def test_random(n):
            with open("cases", "a") as file:
                file.write(".")

        def test_library():
            pytest.importorskip("library_of_the_rest")
        """
    )
    pytester.makeini("[pytest]\nmarkers =\n    sampled\n    exhaustive\n    random_cases\n")
    return pytester


def test_a_usual_run_takes_samples_and_rest_all_that_has_not_passed(project):
    project.runpytest().assert_outcomes(passed=5 + 1, skipped=1)
    assert 2 <= len((project.path / "cases").read_text()) <= 10
    project.makepyfile(library_of_the_rest="")
    (project.path / "cases").unlink()
    project.runpytest("--rest").assert_outcomes(passed=10 + 1 + 1 + 1)
    assert len((project.path / "cases").read_text()) > 30


def test_exhaustive_takes_everything(project):
    project.runpytest("--exhaustive").assert_outcomes(passed=15 + 1 + 1, skipped=1)


def test_rest_without_a_last_run_is_an_error(project):
    result = project.runpytest("--rest")
    result.stderr.fnmatch_lines(["*there is no last run. Run `pytest` first.*"])
