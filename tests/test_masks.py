"""Fields with holes: each run of valid samples is differentiated as if it were alone."""

from __future__ import annotations

import itertools
import math
import warnings
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import random_cases

import gpugrad
from conftest import assert_like_numpy, assert_same_bits, has_compiler
from internals import any_weights, numpy_blocks

HOSTS = ("slices", "numpy", "compiled")


def needs_compiler(backend):
    if backend == "compiled" and not has_compiler():
        pytest.skip("llvmlite is not installed")


def punch(rng, f, share=0.2):
    """Return where a field is valid, and the field with all kinds of things in its holes."""
    where = rng.random(f.shape) > share
    spoiled = f.copy()
    if f.dtype.kind in "fc":
        nothing = np.array([np.nan, np.inf, -np.inf, np.finfo(f.dtype).max], f.dtype)
        spoiled[~where] = rng.choice(nothing, np.count_nonzero(~where))
    else:
        spoiled[~where] = np.iinfo(f.dtype).max
    return where, spoiled


@cache  # on even samples, most rows have the same
def weigh(positions, order):
    return any_weights(positions, order)


def by_hand(f, x, valid, *, order=1, accuracy=2, edge=None, best=None, period=None):
    """Differentiate row by row with exact weights; `edge` is the accuracy of NumPy's own ends."""
    n, best = len(f), accuracy if best is None else best
    reach = (order - 1) // 2 + accuracy // 2
    x = [Fraction(float(position)) for position in x]
    is_even = len({b - a for a, b in itertools.pairwise(x)}) == 1
    windows = [(-reach, reach)]
    for count in range(order + best, order, -1):
        some = [(last - count + 1, last) for last in range(count)]
        windows += sorted(some, key=lambda w: (abs(sum(w)), -w[1]))
    result = []
    for i in range(n):
        own = list(windows)
        if period is None and not reach <= i < n - reach:
            count = max(order + edge, 2 * min(i, n - 1 - i) + 1)
            own.insert(0, (-i, count - 1 - i) if i < reach else (n - i - count, n - 1 - i))
        for first, last in own:
            rows = range(i + first, i + last + 1)
            if period is None and (rows[0] < 0 or rows[-1] >= n):
                continue
            at = [x[k % n] + (k // n) * Fraction(period or 0) - x[i] for k in rows]
            used = rows
            if is_even:
                used = [k for k, w in zip(rows, weigh(tuple(at), order), strict=True) if w]
            needed = range(min(i, *used), max(i, *used) + 1)
            if all(valid[k % n] for k in needed):
                weights = weigh(tuple(at), order)
                parts = [w * Fraction(float(f[k % n])) for k, w in zip(rows, weights, strict=True)
                         if k in needed]  # fmt: skip
                result.append(float(sum(parts)))
                break
        else:
            result.append(math.nan)
    return np.array(result)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize(
    ("order", "accuracy"), [(1, 2), (1, 4), (2, 2), (2, 4), (3, 2), (4, 4), (1, 8), (8, 2)]
)
@pytest.mark.parametrize("boundary", ["one-sided", "periodic"])
@pytest.mark.parametrize("share", [0.08, 0.3])
def test_each_row_takes_the_best_of_what_is_valid(rng, order, accuracy, is_even, boundary, share):
    n = 60
    x = np.arange(n) * 0.25 if is_even else np.cumsum(rng.integers(3, 9, n) / 16)
    where, f = punch(rng, rng.integers(-9, 9, n) * 1.0, share)
    period = None if boundary == "one-sided" else np.ptp(x) + (0.25 if is_even else 0.4375)
    expected = by_hand(
        f, x, where, order=order, accuracy=accuracy, period=period,
        edge=1 if (order, accuracy) == (1, 2) else accuracy,
    )  # fmt: skip
    got = gpugrad.derivative(
        f, 0.25 if is_even else x, where=where, order=order, accuracy=accuracy,
        boundary=boundary, period=period,
    )  # fmt: skip
    assert (np.isnan(got) == np.isnan(expected)).all()
    assert np.isnan(got[~where]).all()
    largest = np.nanmax(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * largest)


def test_beside_holes_no_better_than_asked_for_and_ahead_first(rng):
    where, f = punch(rng, rng.integers(-9, 9, 90) * 1.0, 0.12)
    expected = by_hand(f, np.arange(90.0), where, accuracy=6, edge=3, best=3)
    got = gpugrad.derivative(f, where=where, accuracy=6, edge_accuracy=3)
    assert (np.isnan(got) == np.isnan(expected)).all()
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def runs_of(valid):
    """Yield the stretches of consecutive valid samples."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(int), [0]])))
    return [slice(a, b) for a, b in edges.reshape(-1, 2)]


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize("backend", HOSTS)
def test_runs_have_the_bits_of_numpy(rng, backend, is_even, dtype):
    needs_compiler(backend)
    x = np.cumsum(rng.uniform(0.5, 1.5, 300))
    where, f = punch(rng, (rng.normal(size=300) * 9).astype(dtype), 0.15)
    got = gpugrad.gradient(f, 0.3 if is_even else x, where=where, edge_order=2, backend=backend)
    expected = np.full_like(got, complex(np.nan, np.nan) if dtype == "c16" else np.nan)
    for run in runs_of(where):
        length = run.stop - run.start
        if length > 1:
            spacing = 0.3 if is_even else x[run]
            expected[run] = np.gradient(f[run], spacing, edge_order=min(2, length - 1))
    assert_same_bits(got, expected)


SCHEMES = {
    "numpys": {},
    "second order ends": {"edge_order": 2},
    "accuracy 4": {"accuracy": 4},
    "periodic": {"boundary": "periodic"},
    "reflect": {"boundary": "reflect"},
    "odd-symmetric": {"boundary": "odd-symmetric", "accuracy": 4},
    "edge": {"boundary": "edge"},
    "constant": {"boundary": (0.7, "one-sided")},
    "normal": {"boundary": {"normal": 0.3}},
    "low ends": {"accuracy": 4, "edge_accuracy": 1},
}


# The mask is of the field, of its last axes or of its first one; compiled kernels differ in that,
# and in the kind of the spacing.
@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("backend", HOSTS[1:])
@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize(
    ("mask", "spacing"),
    [((), 0.3), (0, np.float64(0.3)), ((slice(None), slice(1), slice(1)), "uneven")],
)
@pytest.mark.parametrize("dtype", ["f2", "f4", "c16", "i4"])
@pytest.mark.parametrize("name", SCHEMES)
def test_engines_have_the_bits_of_the_reference(
    rng, monkeypatch, name, dtype, mask, spacing, layout, backend
):
    needs_compiler(backend)
    if backend == "compiled" and dtype == "f2":
        pytest.skip("kernels take no float16")
    monkeypatch.setattr(numpy_blocks, "WHOLE_BYTES", 0)
    monkeypatch.setattr(numpy_blocks, "BLOCK_BYTES", 2048)
    shape = (13, 11, 21)
    where, f = punch(rng, (rng.normal(size=shape) * 9).astype(dtype), 0.1)
    gaps = [rng.uniform(0.5, 1.5, n).astype("f4" if dtype == "f4" else "f8") for n in shape]
    spacing = [*map(np.cumsum, gaps)] if isinstance(spacing, str) else [spacing]
    mask = where[mask]
    field = np.where(mask, np.nan_to_num(f, posinf=3, neginf=5), f).astype(dtype)
    keywords = {"where": mask, **SCHEMES[name]}
    expected = gpugrad.gradient(field, *spacing, backend="slices", **keywords)
    field = np.asarray(field, order=layout)
    results = gpugrad.gradient(field, *spacing, backend=backend, **keywords)
    for got, wanted in zip(results, expected, strict=True):
        assert_same_bits(got, wanted)


@pytest.mark.parametrize("backend", HOSTS)
def test_large_fields_are_streamed_with_their_holes(rng, backend):
    needs_compiler(backend)
    f = rng.normal(size=(130, 128, 128))
    where, spoiled = punch(rng, f, 0.02)
    rows = [slice(0, 3), slice(60, 64), slice(-3, None)]
    results = gpugrad.gradient(spoiled, 0.3, where=where, backend=backend)
    for axis, got in enumerate(results):
        for row in rows:
            part = [slice(None)] * 3
            part[(axis + 1) % 3] = row
            expected = gpugrad.derivative(
                spoiled[tuple(part)], 0.3, axis=axis, where=where[tuple(part)], backend="slices"
            )
            assert_same_bits(got[tuple(part)], expected)


def test_polynomials_are_exact_wherever_there_is_a_derivative(rng):
    n = 80
    for accuracy in (2, 4, 6):
        x = np.cumsum(rng.uniform(0.8, 1.2, n)) / n
        where = rng.random(n) > 0.1
        for degree in range(accuracy + 1):
            f = np.where(where, x**degree, np.nan)
            got = gpugrad.derivative(f, x, where=where, accuracy=accuracy, edge_accuracy=accuracy)
            slope = degree * x ** max(degree - 1, 0)
            # Only where the run has as many samples as the accuracy asks for.
            long = np.zeros(n, bool)
            for run in runs_of(where):
                long[run] = run.stop - run.start > accuracy
            assert long.sum() > 8
            np.testing.assert_allclose(got[long], slope[long], atol=1e-8)


@pytest.mark.sampled
@pytest.mark.parametrize("keywords", [{}, {"accuracy": 4}, {"boundary": "periodic"}])
def test_holes_on_any_library(rng, xp, keywords):
    where, f = punch(rng, rng.normal(size=(9, 12)) * 3)
    x = np.cumsum(rng.uniform(0.5, 1.5, 12))
    expected = gpugrad.gradient(f, 0.5, x, where=where, backend="slices", **keywords)
    got = gpugrad.gradient(
        xp.asarray(f), 0.5, x, where=xp.asarray(where), backend="auto", **keywords
    )
    for one, wanted in zip(got, expected, strict=True):
        home = gpugrad.asnumpy(one)
        assert (np.isnan(home) == np.isnan(wanted)).all()
        assert_like_numpy(xp, np.nan_to_num(home), np.nan_to_num(wanted), scale=200.0)


@pytest.mark.exhaustive(xp="jax")
def test_skipna_is_where_the_field_is_not_nan(rng, xp):
    f = rng.normal(size=(9, 12))
    f[rng.random(f.shape) < 0.2] = np.nan
    for got, wanted in zip(
        gpugrad.gradient(xp.asarray(f), skipna=True),
        gpugrad.gradient(f, where=~np.isnan(f)),
        strict=True,
    ):
        assert_like_numpy(
            xp, np.nan_to_num(gpugrad.asnumpy(got)), np.nan_to_num(wanted), scale=20.0
        )


def test_both_keywords_together_leave_out_both(rng):
    f = rng.normal(size=20)
    f[5] = np.nan
    where = np.arange(20) != 11
    assert_same_bits(
        gpugrad.derivative(f, where=where, skipna=True),
        gpugrad.derivative(f, where=where & ~np.isnan(f)),
    )
    whole = rng.integers(0, 9, 20)
    assert_same_bits(gpugrad.derivative(whole, skipna=True), gpugrad.derivative(whole))


def test_without_a_hole_nothing_changes(rng):
    f = rng.normal(size=(30, 40))
    for got, wanted in zip(gpugrad.gradient(f, skipna=True), np.gradient(f), strict=True):
        assert_same_bits(got, wanted)


def test_next_to_a_hole_as_accurate_as_asked_for():
    f = np.arange(9.0) ** 2
    where = np.arange(9) != 4
    nan = np.nan
    got = gpugrad.derivative(f, where=where)
    np.testing.assert_array_equal(got, [1, 2, 4, 6, nan, 10, 12, 14, 15])
    got = gpugrad.derivative(f, where=where, edge_accuracy=1)
    np.testing.assert_array_equal(got, [1, 2, 4, 5, nan, 11, 12, 14, 15])
    lone = np.array([True, False, True, True, False, True, False, True, True])
    got = gpugrad.derivative(f, where=lone)
    np.testing.assert_array_equal(got, [nan, nan, 5, 5, nan, nan, nan, 15, 15])


def test_the_seam_of_a_periodic_axis_has_neighbours_on_both_sides():
    f = np.array([5.0, 7.0, 20.0, 20.0, 1.0, 2.0])
    where = np.array([True, True, False, False, True, True])
    got = gpugrad.derivative(f, where=where, boundary="periodic")
    np.testing.assert_array_equal(got, [2.5, 1.5, np.nan, np.nan, 0.0, 2.0])


@pytest.mark.parametrize("backend", HOSTS)
def test_nothing_in_a_hole_warns_or_leaks(backend):
    needs_compiler(backend)
    f = np.ones((30, 40))
    f[::7, ::5] = np.finfo(float).max
    f[1::7, ::5] = -np.finfo(float).max
    f[3::7] = np.inf
    f[4::7] = -np.inf
    where = np.abs(f) < 2
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for one in gpugrad.gradient(f, where=where, backend=backend):
            assert set(np.unique(one[~np.isnan(one)])) <= {0.0}


def test_masked_arrays_stay_masked(rng):
    values = rng.normal(size=(12, 15))
    mask = rng.random(values.shape) < 0.2
    f = np.ma.array(np.where(mask, 1e20, values), mask=mask)
    expected = gpugrad.gradient(values, where=~mask)
    for got, wanted in zip(gpugrad.gradient(f, skipna=True), expected, strict=True):
        assert isinstance(got, np.ma.MaskedArray)
        assert (np.ma.getmaskarray(got) == np.isnan(wanted)).all()
        assert_same_bits(got.filled(np.nan), wanted)
    out = tuple(np.ma.empty_like(f) for _ in range(2))
    assert gpugrad.gradient(f, skipna=True, out=out)[1] is out[1]
    assert_same_bits(out[1].filled(np.nan), expected[1])
    stacked = gpugrad.gradient(f, skipna=True, stack=True)
    assert_same_bits(stacked.filled(np.nan), np.stack(expected))
    with pytest.raises(TypeError, match="`out` must be a masked array"):
        gpugrad.gradient(f, skipna=True, out=tuple(np.empty(f.shape) for _ in range(2)))
    # Without the keywords, all is as in NumPy.
    plain = gpugrad.gradient(f)[0]
    assert (np.ma.getmaskarray(plain) == np.ma.getmaskarray(np.gradient(f)[0])).all()


def test_operators_take_holes_term_by_term(rng):
    where, u = punch(rng, rng.normal(size=(11, 14)))
    where_v, v = punch(rng, rng.normal(size=(11, 14)))
    each = {(i, axis): gpugrad.derivative((u, v)[i], 0.3, axis=axis, where=where & where_v)
            for i in range(2) for axis in range(2)}  # fmt: skip
    both = {"where": where & where_v}
    assert_same_bits(gpugrad.divergence((u, v), 0.3, **both), each[0, 0] + each[1, 1])
    assert_same_bits(gpugrad.curl((u, v), 0.3, **both), each[1, 0] - each[0, 1])
    jacobian = gpugrad.jacobian((u, v), 0.3, **both)
    for (i, axis), wanted in each.items():
        assert_same_bits(jacobian[i][axis], wanted)
    second = [gpugrad.derivative(u, 0.3, axis=i, order=2, where=where) for i in range(2)]
    assert_same_bits(gpugrad.laplacian(u, 0.3, where=where), second[0] + second[1])
    hessian = gpugrad.hessian(u, 0.3, where=where)
    slope = gpugrad.derivative(u, 0.3, axis=1, where=where)
    assert_same_bits(hessian[0][1], gpugrad.derivative(slope, 0.3, axis=0, skipna=True))
    # With `skipna`, a component has its own holes.
    u[~where], v[~where_v] = np.nan, np.nan
    du = gpugrad.derivative(u, 0.3, axis=0, skipna=True)
    dv = gpugrad.derivative(v, 0.3, axis=1, skipna=True)
    assert_same_bits(gpugrad.divergence((u, v), 0.3, skipna=True), du + dv)


@pytest.mark.filterwarnings("ignore:.*lose their fractions")
def test_dates_have_holes_too():
    f = np.array(["2020-01-01", "2020-01-03", "NaT", "2020-01-09", "2020-01-10"], "M8[D]")
    got = gpugrad.gradient(f, skipna=True)
    assert np.isnat(got[2])
    np.testing.assert_array_equal(got[[0, 1, 3, 4]].astype(int), [2, 2, 1, 1])


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_automatic_differentiation_sees_no_nan(name):
    f = np.array([1.0, 4.0, np.nan, 3.0, 5.0, 9.0])
    where = ~np.isnan(f)
    if name == "jax":
        jax = pytest.importorskip("jax")
        jnp = jax.numpy
        loss = lambda x: jnp.nansum(gpugrad.gradient(x, where=jnp.asarray(where)) ** 2)  # noqa: E731
        back = np.asarray(jax.jit(jax.grad(loss))(jnp.asarray(f)))
    else:
        torch = pytest.importorskip("torch")
        x = torch.tensor(f, requires_grad=True)
        torch.nansum(gpugrad.gradient(x, where=torch.tensor(where)) ** 2).backward()
        back = x.grad.numpy()
    assert np.isfinite(back).all()
    assert back[2] == 0
    assert back[0] == -12  # (f1 - f0)^2, in rows 0 and 1


@pytest.mark.parametrize(
    ("where", "error", "match"),
    [
        (np.ones((3, 4)), TypeError, "must be a boolean array of the shape of `f`.*got dtype"),
        (np.ones(3, bool), ValueError, r"got shape \(3,\)"),
        (np.ones((2, 3, 4), bool), ValueError, r"got shape \(2, 3, 4\)"),
        ("land", TypeError, "must be a boolean array"),
    ],
)
def test_masks_that_do_not_fit_are_refused(where, error, match):
    with pytest.raises(error, match=match):
        gpugrad.gradient(np.ones((3, 4)), where=where)


class Special(np.ndarray):
    pass


def test_other_wrong_arguments_say_what_is_wrong(rng):
    with pytest.raises(TypeError, match="`skipna` must be True or False"):
        gpugrad.gradient(np.ones(4), skipna="yes")
    with pytest.raises(TypeError, match="plain arrays and masked arrays"):
        gpugrad.gradient(np.ones((3, 3)).view(Special), skipna=True)
    with pytest.raises(TypeError, match="objects"):
        gpugrad.gradient(np.ones(3, object), skipna=True)
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="of the same library; got NumPy for a field of PyTorch"):
        gpugrad.gradient(torch.ones(4), where=np.ones(4, bool))


def test_a_mask_for_many_fields_is_not_copied(rng):
    f = rng.normal(size=(5, 20, 30))
    land = rng.random((20, 30)) < 0.2
    got = gpugrad.gradient(f, axis=(1, 2), where=~land)
    expected = gpugrad.gradient(f, axis=(1, 2), where=np.broadcast_to(~land, f.shape).copy())
    for one, wanted in zip(got, expected, strict=True):
        assert_same_bits(one, wanted)


@random_cases(80)
@given(st.data())
def test_any_holes_in_any_field(data):
    n = data.draw(st.integers(5, 30))
    valid = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    values = data.draw(st.lists(st.integers(-1000, 1000), min_size=n, max_size=n))
    steps = data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    f = np.where(valid, np.array(values, float), np.nan)
    x = np.cumsum(steps) * 1.0
    got = gpugrad.derivative(f, x, skipna=True)
    for run in runs_of(valid):
        if run.stop - run.start == 1:
            assert np.isnan(got[run])
            continue
        order = min(2, run.stop - run.start - 1)
        wanted = np.gradient(f[run], x[run], edge_order=order)
        if run.start == 0:
            wanted[0] = (f[1] - f[0]) / (x[1] - x[0])
        if run.stop == n:
            wanted[-1] = (f[-1] - f[-2]) / (x[-1] - x[-2])
        np.testing.assert_allclose(got[run], wanted, rtol=1e-9, atol=1e-9)
    assert np.isnan(got[~valid]).all()
