"""A plan moved to a window of its axis gives the rows of that window the bits of the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import random_cases

from internals import Options, Term, cut_plan, find_samples, plan_axes, slices

BOUNDARIES = ["one-sided", "periodic", "reflect", ("edge", 2.5), ({"normal": 1.0}, "symmetric")]


def evaluate_in_windows(f, plan, bounds, where=None):
    """Evaluate rows between consecutive bounds from their samples alone; join them."""
    parts = []
    for (moved,), spans, start, stop in cut_plan(plan, bounds):
        rows = np.concatenate([np.arange(*span) for span in spans])
        window = np.take(f, rows, axis=plan.axis)
        valid = None if where is None else np.take(where, rows, axis=plan.axis)
        (part,) = slices.evaluate([(Term(1, window, moved, valid),)])
        parts.append(np.take(part, range(start, stop), axis=plan.axis))
    return np.concatenate(parts, axis=plan.axis)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("order", "accuracy"), [(1, 2), (2, 4), (3, 2)])
@random_cases(15)
@given(data=st.data())
def test_windows_have_the_bits_of_the_whole(order, accuracy, boundary, uneven, data):
    n = data.draw(st.integers(12, 30), label="n")
    cuts = data.draw(st.sets(st.integers(1, n - 1), max_size=n - 1), label="cuts")
    rng = np.random.default_rng(n)
    f = rng.normal(size=(2, n, 3))
    spacing = np.cumsum(rng.uniform(0.5, 1.5, n)) if uneven else 0.7
    (plan,) = plan_axes(f, (spacing,), 1, None, Options(order, accuracy, None, boundary, None))
    (expected,) = slices.evaluate([(Term(1, f, plan),)])
    result = evaluate_in_windows(f, plan, [0, *sorted(cuts), n])
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("spacing", ["even", "uneven", "lines"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("is_masked", [False, True])
@random_cases(8)
@given(data=st.data())
def test_windows_of_fields_with_holes_and_of_unlike_lines(spacing, boundary, is_masked, data):
    n = data.draw(st.integers(8, 20), label="n")
    cuts = data.draw(st.sets(st.integers(1, n - 1), max_size=n - 1), label="cuts")
    rng = np.random.default_rng(n)
    f, where = rng.normal(size=(2, n, 3)), rng.random((2, n, 3)) > 0.2
    lines = np.cumsum(rng.uniform(0.5, 1.5, (n, 3)), axis=0)
    x = {"even": 0.7, "uneven": lines[:, 0], "lines": lines}[spacing]
    best = 4 if is_masked else None
    options = Options(1, 4, None, boundary, beside_masked=best)
    (plan,) = plan_axes(f, (x,), 1, None, options)
    assert bool(plan.alternatives) == is_masked
    valid = where if is_masked else None
    (expected,) = slices.evaluate([(Term(1, f, plan, valid),)])
    result = evaluate_in_windows(f, plan, [0, *sorted(cuts), n], valid)
    assert result.tobytes() == expected.tobytes()


def test_a_window_reads_no_more_than_it_needs():
    f = np.zeros(100)
    (plan,) = plan_axes(f, (), 0, None, Options(1, 4, None, "periodic", None))
    assert find_samples([plan], 100, 40, 50) == ((38, 52),)
    assert find_samples([plan], 100, 0, 10) == ((0, 12), (98, 100))
    assert find_samples([plan], 100, 95, 100) == ((0, 2), (93, 100))
