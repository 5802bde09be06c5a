"""Masked arrays: no mask is lost, and what is beneath one reaches no result that is not masked."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from field_operators import COLUMNS, OPERATORS, ROWS, flatten, list_grids

import gpugrad
from conftest import assert_same_bits
from internals import masked_arrays


def make_masks(rng):
    """Return masks: single samples, one of them beside a pole; a row and corners; many."""
    single, lines = (np.zeros((ROWS, COLUMNS), bool) for _ in range(2))
    single[-2, 0] = single[4, 5] = True
    lines[6] = lines[0, 3] = lines[-1, -1] = True
    return single, lines, rng.random((ROWS, COLUMNS)) < 0.15


@pytest.mark.sampled
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_beneath_a_mask_reaches_no_result(rng, name, which):
    values, mask = 10 * rng.standard_normal((ROWS, COLUMNS)), make_masks(rng)[which]
    results = []
    with np.errstate(all="ignore"):
        for beneath in (-9999.0, np.nan, 1e30, np.inf):
            f = np.ma.array(np.where(mask, beneath, values), mask=mask, fill_value=-77)
            results.append(flatten(OPERATORS[name](f)))
            assert (f.mask == mask).all()
        missing = flatten(OPERATORS[name](np.where(mask, np.nan, values)))
    for first, *others, alone in zip(*results, missing, strict=True):
        assert type(first) is np.ma.MaskedArray
        assert first.fill_value == -77
        known = ~np.ma.getmaskarray(first)
        for other in others:
            assert (np.ma.getmaskarray(other) == ~known).all()
            assert first.data[known].tobytes() == other.data[known].tobytes()
        assert not np.isnan(alone[known]).any()  # no mask is lost
        assert first.data[known].tobytes() == alone[known].tobytes()


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", ["f4", "f2", "c16", "i2"])
@pytest.mark.parametrize(
    "name", ["gradient plain", "hessian skipna", "curl periodic", "sphere  gradient", "plan"]
)
def test_no_dtype_lets_anything_through(rng, name, dtype):
    values = (10 * rng.standard_normal((ROWS, COLUMNS))).astype(dtype)
    mask = make_masks(rng)[0]
    found = []
    with np.errstate(all="ignore"):
        for beneath in (-9999, 77, 0):
            f = np.ma.array(np.where(mask, np.array(beneath, dtype), values), mask=mask)
            found.append([(x.filled(0).tobytes(), x.mask.tobytes())
                          for x in flatten(OPERATORS[name](f))])  # fmt: skip
    assert found[0] == found[1] == found[2]


def make_strange(rng, kind, mask, dtype):
    """Return samples of which some, not all of them masked, are no usual numbers."""
    values = (10 * rng.standard_normal(mask.shape)).astype(dtype)
    if values.dtype.kind in "fc":
        largest = np.finfo(values.dtype).max
        strange = {"NaN": np.nan, "infinite": np.inf, "huge": largest / 3, "largest": -largest}
        is_strange = mask | (rng.random(mask.shape) < 0.1)
        is_strange[0] = True
        values[is_strange & (kind != "usual")] = strange.get(kind, 0)
    return values


PLAIN_CALLS = {
    "gradient": lambda f, **options: gpugrad.gradient(f, **options),
    "second-order ends": lambda f, **options: gpugrad.gradient(f, 0.3, edge_order=2, **options),
    "stacked": lambda f, **options: gpugrad.gradient(f, 0.3, stack=True, **options),
    "uneven": lambda f, **options: gpugrad.gradient(
        f, np.arange(9.0) ** 1.1, np.float32(0.3), **options
    ),
    "laplacian": lambda f, **options: gpugrad.laplacian(f, 0.3, accuracy=4, **options),
    "norm": lambda f, **options: gpugrad.gradient_norm(f, 2.0, boundary="periodic", **options),
    "curl": lambda f, **options: gpugrad.curl((f, f[::-1]), 0.3, **options),
    "values at ends": lambda f, **options: gpugrad.laplacian(f, boundary=1.5, **options),
    "a line": lambda f, **options: gpugrad.gradient(f[:, 2], np.float64(0.3), **options),
    "tiny steps": lambda f, **options: gpugrad.gradient(f, 1e-307, **options),
}


@pytest.mark.sampled(2, exhaustive=2)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i2", ">f8", ">f4", "f2", "g"])
@pytest.mark.parametrize("kind", ["usual", "NaN", "infinite", "huge", "largest"])
@pytest.mark.parametrize("name", PLAIN_CALLS)
@pytest.mark.parametrize("together", [7, 1 << 17])
def test_masked_arrays_have_the_masks_and_bits_of_numpys(rng, monkeypatch, name, kind, dtype,
                                                         together):  # fmt: skip
    monkeypatch.setattr(masked_arrays, "_TOGETHER", together)
    mask = rng.random((9, 8)) < 0.15
    mask[0, 2] = False
    values = make_strange(rng, kind, mask, dtype)
    for f in (
        np.ma.array(values, mask=mask, fill_value=77),
        np.ma.array(np.asfortranarray(values), mask=mask, hard_mask=True),
        np.ma.array(values),
    ):
        with np.errstate(all="ignore"):
            expected = flatten(PLAIN_CALLS[name](f, backend="slices"))
            for _ in range(3):  # calls that come again are ready, for arrays with any mask
                results = flatten(PLAIN_CALLS[name](f))
            if name == "gradient" and dtype != "f2":
                expected = np.gradient(f)
            targets = tuple(np.ma.array(np.empty(x.shape, x.dtype), mask=True) for x in results)
            if name in ("gradient", "uneven"):
                PLAIN_CALLS[name](f, out=targets)
                assert all((np.ma.getmaskarray(x) == np.ma.getmaskarray(y)).all()
                           for x, y in zip(targets, results, strict=True))  # fmt: skip
        for got, wanted in zip(results, expected, strict=True):
            known = ~np.ma.getmaskarray(wanted)
            assert (np.ma.getmaskarray(got) == ~known).all()
            assert (np.ma.getmask(got) is np.ma.nomask) == (np.ma.getmask(wanted) is np.ma.nomask)
            assert (got.fill_value, got.hardmask) == (wanted.fill_value, wanted.hardmask)
            assert_same_bits(np.asarray(got)[known], np.asarray(wanted)[known])
            assert not np.shares_memory(np.ma.getmask(got), np.ma.getmask(f))


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i2"])
@pytest.mark.parametrize("spacing", [(-2.0,), (np.arange(9.0) ** 2, -2.0), (3.0, -2.0)], ids=str)
def test_zeros_have_the_signs_of_numpys(rng, dtype, spacing):
    """It adds nothing at all to its quotients: zero times the dividend, which has a sign."""
    values = rng.choice([-1.0, -0.0, 0.0, 1.0], (2, 9, 200)).astype(dtype)
    if dtype == "c16":
        values = values + 1j * rng.choice([-1.0, -0.0, 0.0, 1.0], (2, 9, 200))
    f, g = np.ma.array(values, mask=rng.random(values.shape) < 0.05)
    if len(spacing) == 1:
        spacing = spacing * 2
    for result, numpys in zip(gpugrad.gradient(f, *spacing), np.gradient(f, *spacing), strict=True):
        assert_same_bits(result.filled(7), numpys.filled(7))
    curl = gpugrad.curl((f, g), *spacing, backend="slices")
    assert_same_bits(gpugrad.curl((f, g), *spacing).filled(7), curl.filled(7))


def test_masked_calls_that_come_again_see_what_has_changed(rng):
    """Masks, fill values and spacings may change in place; what is prepared knows none of them."""
    f, h = np.ma.array(rng.normal(size=40), mask=np.arange(40) == 7), np.float64(0.5)
    for step in range(12):
        if step == 3:
            f[20:22] = np.ma.masked
        elif step == 5:
            f.data[:], f.fill_value = rng.normal(size=40), 5
        elif step == 7:
            h = np.float64(0.25)
        elif step == 8:
            f.harden_mask()
        elif step == 9:
            f.data[30] = np.inf
        elif step == 10:
            f = np.ma.array(f.data[::-1])
        for spacing in ((), (h,), (2,)):
            got, numpys = gpugrad.gradient(f, *spacing), np.gradient(f, *spacing)
            assert_same_bits(got.filled(0), numpys.filled(0))
            assert (np.ma.getmask(got) is np.ma.nomask) == (np.ma.getmask(numpys) is np.ma.nomask)
            assert (np.ma.getmaskarray(got) == np.ma.getmaskarray(numpys)).all()
            assert (got.fill_value, got.hardmask) == (numpys.fill_value, numpys.hardmask)
            got[3] = np.ma.masked  # which reaches no other result, and not the field
    x = np.ma.array(np.arange(40.0) ** 2, mask=np.arange(40) == 5)
    for _ in range(2):
        with pytest.raises((TypeError, ValueError)):
            gpugrad.gradient(f, x)


def test_masked_arrays_without_samples_have_results_without_any():
    f = np.ma.array(np.empty((5, 0)), mask=False)
    assert gpugrad.gradient(f, axis=0).shape == (5, 0)
    assert gpugrad.laplacian(f, axis=0).shape == (5, 0)


def test_compiled_code_computes_what_is_beneath_masks(rng):
    f = np.ma.masked_greater(rng.normal(size=(20, 30)), 1.0)
    for got, wanted in zip(gpugrad.gradient(f, backend="compiled"), np.gradient(f), strict=True):
        assert_same_bits(got.filled(0), wanted.filled(0))
    huge = np.ma.array([[1.0, 2.0, 3.0], [4.0, 9e307, -9e307]])
    strange = np.ma.array([[1.0, 2.0, 3.0], [np.inf, np.inf, 4.0]])
    for backend in ("numpy", "compiled"):
        with pytest.warns(RuntimeWarning, match="overflow"):
            gpugrad.gradient(huge, axis=1, backend=backend)
        with np.errstate(all="raise"):  # numpy.ma is silent about what is invalid
            slope = gpugrad.gradient(strange, axis=1, backend=backend)
        assert slope.mask.tolist() == [[False] * 3, [True] * 3]


@pytest.mark.exhaustive(name="sphere  laplacian")
@pytest.mark.exhaustive(name="sphere  gradient_norm")
@pytest.mark.exhaustive(name="laplacian plain")
@pytest.mark.parametrize("name", ["gradient periodic", "laplacian plain", "sphere  gradient",
                                  "sphere  laplacian", "sphere  curl", "sphere  gradient_norm",
                                  "curved  gradient_norm"])  # fmt: skip
def test_lazy_masked_blocks_stay_masked(rng, name):
    da = pytest.importorskip("dask.array")
    mask = make_masks(rng)[0]
    values = np.where(mask, -9999.0, rng.standard_normal(mask.shape))
    f = np.ma.array(values, mask=mask)
    lazy = da.from_array(f, chunks=(5, 4))
    for x, y in zip(flatten(OPERATORS[name](lazy)), flatten(OPERATORS[name](f)), strict=True):
        got = x.compute(scheduler="sync")
        assert type(got) is np.ma.MaskedArray
        assert (np.ma.getmaskarray(got) == np.ma.getmaskarray(y)).all()
        np.testing.assert_allclose(got.filled(0), y.filled(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"accuracy": 4}, {"boundary": "periodic", "period": 99.0}])
def test_lazy_masked_lines_at_uneven_coordinates(options):
    da = pytest.importorskip("dask.array")
    x = np.arange(20.0) ** 1.5
    f = np.ma.array(np.where(np.arange(20) == 9, -9999.0, np.sin(x)), mask=np.arange(20) == 9)
    expected = gpugrad.gradient(f, x, **options)
    got = gpugrad.gradient(da.from_array(f, chunks=7), x, **options).compute(scheduler="sync")
    assert type(got) is np.ma.MaskedArray
    assert got.mask.tolist() == expected.mask.tolist()
    assert got.filled(0).tolist() == expected.filled(0).tolist()


MASKED = np.ma.masked
HIDDEN = np.ma.array([1.0, -9999.0, 3.0], mask=[False, True, False])


@pytest.mark.parametrize(
    "f",
    [
        [1.0, MASKED, 3.0, 4.0],
        (1, 2, MASKED, 5),
        [[1.0, 2.0, 3.0], [4.0, MASKED, 6.0]],
        [HIDDEN, np.ma.array([1.0, 2.0, 3.0])],
        [HIDDEN, np.array([1.0, 2.0, 3.0])],
        [[1.0, 2.0, 3.0], HIDDEN],
        ([HIDDEN, HIDDEN], [HIDDEN, [1.0, 2.0, 3.0]]),
    ],
)
def test_sequences_keep_the_masks_of_what_is_in_them(f):
    def fill(f):
        if isinstance(f, (list, tuple)):
            return [fill(entry) for entry in f]
        return np.ma.filled(np.ma.asarray(f, float), np.nan)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = flatten(gpugrad.gradient(f))
    for got, alone in zip(results, flatten(np.gradient(np.array(fill(f)))), strict=True):
        assert np.array_equal(got.filled(np.nan), alone, equal_nan=True)


@pytest.mark.parametrize("name", ["gradient skipna", "sphere skipna gradient", "stack", "plan"])
def test_results_are_masked_as_hard_as_the_field(rng, name):
    mask = make_masks(rng)[0]
    for is_hard in (False, True):
        f = np.ma.array(rng.standard_normal(mask.shape), mask=mask, hard_mask=is_hard)
        for result in flatten(OPERATORS[name](f)):
            assert result.hardmask == is_hard
            assert not np.shares_memory(result.mask, f.mask)


@pytest.mark.parametrize("keywords", [{}, {"skipna": True}])
def test_masked_arrays_to_write_to_forget_the_mask_that_they_had(rng, keywords):
    mask = make_masks(rng)[0]
    f = np.ma.array(rng.standard_normal(mask.shape), mask=mask)
    sphere = list_grids()["sphere"]
    for call in (gpugrad.gradient, sphere.gradient):
        expected = call(f, **keywords)
        for before in (False, True):
            out = tuple(np.ma.array(np.zeros(mask.shape), mask=before) for _ in range(2))
            call(f, out=out, **keywords)
            stacked = np.ma.array(np.zeros((2, *mask.shape)), mask=before)
            call(f, out=stacked, stack=True, **keywords)
            for wanted, got, layer in zip(expected, out, stacked, strict=True):
                for x in (got, layer):
                    assert (np.ma.getmaskarray(x) == np.ma.getmaskarray(wanted)).all()
                    assert (x == wanted).all()


def test_components_of_two_kinds_are_named():
    f, sphere = np.zeros((ROWS, COLUMNS)), list_grids()["sphere"]
    for u, v, error, words in (
        (f, np.ma.array(f), TypeError, "one type; got MaskedArray for `v` and ndarray for `u`"),
        (f, f.astype("f4"), TypeError, "one dtype; got float32 for `v` and float64 for `u`"),
        (f[:3], f, ValueError, r"one shape; got \(13, 10\) for `v` and \(3, 10\) for `u`"),
        (f > 0, f, TypeError, "`u` must hold integers"),
        (f, "wind", TypeError, "`v` must be an array"),
    ):
        with pytest.raises(error, match=words):
            sphere.curl(u=u, v=v)
    with pytest.raises(TypeError, match="MaskedArray for the first and ndarray for component 1"):
        gpugrad.divergence((np.ma.array(f), f))
    with pytest.raises(TypeError, match="component 1 of `v` must hold integers"):
        gpugrad.divergence((f, f > 0))


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
@pytest.mark.parametrize("backend", ["auto", "slices"])
def test_short_lines_with_nan_have_the_masks_of_numpys(rng, n, shape, backend):
    for edge_order, spacing in product((1, 2)[: n - 1], ((), (0.5,), (np.arange(n) ** 2.0,))):
        for _ in range(8):  # the first calls prepare those that come after
            values = rng.choice([1.0, 7.0, np.nan, np.inf], size=(n, *shape))
            f = np.ma.array(values, mask=rng.random(values.shape) < 0.1)
            options = {"axis": 0, "edge_order": edge_order}
            with np.errstate(all="ignore"):
                wanted = np.gradient(f, *spacing, **options)
                got = gpugrad.gradient(f, *spacing, backend=backend, **options)
            hidden = np.ma.getmaskarray(wanted)
            assert np.array_equal(np.ma.getmaskarray(got), hidden)
            assert_same_bits(got.data[~hidden], wanted.data[~hidden])
