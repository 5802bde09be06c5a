"""`gradient` against `numpy.gradient`, on every array library."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_gradient_like_numpy, assert_same_bits

DTYPES = ("f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
SCALARS = {
    "float": 0.3,
    "int": 3,
    "negative": -1.7,
    "float64": np.float64(0.3),
    "float32": np.float32(0.3),
    "int64": np.int64(3),
    "int8": np.int8(3),
    "0-d array": np.array(0.3),
}


def sample(rng, shape, dtype="f8"):
    f = rng.normal(scale=40, size=shape)
    if np.dtype(dtype).kind == "c":
        f = f + 1j * rng.normal(scale=40, size=shape)
    if np.dtype(dtype).kind == "u":
        f = np.abs(f)
    return f.astype(dtype)


@pytest.mark.sampled
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(xp, rng, dtype, edge_order):
    f = sample(rng, (4, 5), dtype)
    assert_gradient_like_numpy(xp, f, edge_order=edge_order)
    assert_gradient_like_numpy(xp, f, 0.7, 3, edge_order=edge_order)


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.sampled(2, exhaustive=2)
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize("kind", SCALARS)
def test_every_kind_of_scalar_spacing(xp, rng, kind, dtype, edge_order):
    if (kind, dtype) == ("int8", "c8"):
        pytest.skip("narrow NumPy integers count as float64; numpy has float32 at the ends")
    f = sample(rng, (5, 3), dtype)
    assert_gradient_like_numpy(xp, f, SCALARS[kind], edge_order=edge_order)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i4"])
@pytest.mark.parametrize("x_dtype", ["f4", "f8", "i4", "u1"])
def test_uneven_coordinates(xp, rng, x_dtype, dtype, edge_order):
    f = sample(rng, (6, 4), dtype)
    x = np.array([1, 2, 4, 9, 11, 30]).astype(x_dtype)
    y = np.array([7, 5, 4, 1]).astype(x_dtype)
    assert_gradient_like_numpy(xp, f, x, y, edge_order=edge_order)
    assert_gradient_like_numpy(xp, f, list(x), 2.0, edge_order=edge_order)


@pytest.mark.parametrize("x_dtype", ["f4", "f8", "i8", "u4"])
def test_even_coordinates_give_the_bits_of_a_scalar(xp, rng, x_dtype):
    f = sample(rng, (5,))
    assert_gradient_like_numpy(xp, f, np.arange(3, 13, 2).astype(x_dtype))


def test_almost_even_coordinates_stay_uneven_as_in_numpy(xp, rng):
    f = sample(rng, (11,))
    assert_gradient_like_numpy(xp, f, np.linspace(0, 1, 11))


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.parametrize(
    "axis", [None, 0, 1, -1, -3, (0,), (2, 0), (-1, 1), [1, 2], (), np.int64(1)]
)
def test_every_form_of_axis(xp, rng, axis):
    assert_gradient_like_numpy(xp, sample(rng, (3, 4, 5)), axis=axis)


def test_spacings_follow_the_order_of_axes(xp, rng):
    f = sample(rng, (3, 4, 5))
    assert_gradient_like_numpy(xp, f, 0.5, np.array([0.0, 1.0, 4.0]), axis=(2, 0))


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.parametrize("edge_order", [1, 2])
def test_the_shortest_axes(xp, rng, edge_order):
    n = edge_order + 1
    assert_gradient_like_numpy(xp, sample(rng, (n,)), edge_order=edge_order)
    f = sample(rng, (n, n))
    assert_gradient_like_numpy(xp, f, edge_order=edge_order)
    x = np.array([0.0, 0.5, 2.0])[:n]
    assert_gradient_like_numpy(xp, f, x, x, edge_order=edge_order)


def test_axes_of_length_zero_beside_the_one_differentiated(xp):
    assert_gradient_like_numpy(xp, np.zeros((3, 0)), axis=0)
    assert_gradient_like_numpy(xp, np.zeros((0, 4, 0)), np.array([0.0, 1, 3, 4]), axis=1)


@pytest.mark.exhaustive(xp="jax")
@pytest.mark.parametrize("edge_order", [1, 2])
def test_nan_and_infinity_spread_as_in_numpy(xp, rng, edge_order):
    f = sample(rng, (7, 6))
    f[2, 3], f[0, 0], f[5, 5] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        expected = np.gradient(f, edge_order=edge_order)
        actual = [
            gpugrad.asnumpy(g) for g in gpugrad.gradient(xp.asarray(f), edge_order=edge_order)
        ]
    for got, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_array_equal(np.isinf(got), np.isinf(wanted))


def test_results_have_the_type_of_the_input(xp, rng):
    f = xp.asarray(sample(rng, (4, 5), "f4"))
    for g in gpugrad.gradient(f):
        assert type(g) is type(f)
        assert g.dtype == f.dtype
        assert tuple(g.shape) == (4, 5)


def test_the_field_is_left_as_it_was(xp, rng):
    f = sample(rng, (4, 5), "i2")
    given = xp.asarray(f.copy())
    gpugrad.gradient(given, 2.0, edge_order=2)
    assert_same_bits(given, f)


def test_float16_is_computed_in_float32_and_rounded_once(xp):
    xp.skip_unless_it_has("f2")
    f = np.array([-60000, 0, 60000, 1, 3, 7], "f2")  # 60000 - -60000 overflows in float16
    expected = np.gradient(f.astype("f4"), 2.0).astype("f2")
    assert np.isfinite(expected).all()
    actual = gpugrad.gradient(xp.asarray(f), 2.0)
    assert_same_bits(actual, expected)
    x = 4 * np.array([0.0, 1.0, 3.0, 4.5, 5.0, 8.0])
    expected = np.gradient(f.astype("f4").astype("f8"), x, edge_order=2).astype("f2")
    assert_same_bits(gpugrad.gradient(xp.asarray(f), x, edge_order=2), expected)


def test_coordinates_in_float16_enter_as_float32(rng):
    x = np.array([0, 0.1, 0.5, 0.6, 0.75], "f2")
    f = sample(rng, (5,), "f4")
    assert_same_bits(gpugrad.gradient(f, x), np.gradient(f, x.astype("f4")))


def test_coordinates_in_the_fields_own_library(xp, rng):
    f = sample(rng, (5, 4))
    x, y = np.array([0.0, 0.5, 2.0, 3.0, 7.0]), np.array([1.0, 2.0, 3.0, 4.0])
    actual = gpugrad.gradient(xp.asarray(f), xp.asarray(x), xp.asarray(y))
    for got, wanted in zip(actual, np.gradient(f, x, y), strict=True):
        np.testing.assert_allclose(gpugrad.asnumpy(got), wanted, rtol=1e-12, atol=1e-12)


def test_a_scalar_spacing_in_the_fields_own_library(xp, rng):
    f = sample(rng, (5,))
    h = xp.asarray(np.array(0.3))
    for edge_order in (1, 2):
        actual = gpugrad.gradient(xp.asarray(f), h, edge_order=edge_order)
        expected = np.gradient(f, 0.3, edge_order=edge_order)
        np.testing.assert_allclose(gpugrad.asnumpy(actual), expected, rtol=1e-12)


def test_lists_and_nested_lists_are_fields():
    assert_same_bits(gpugrad.gradient([1, 4, 9, 16]), np.gradient([1, 4, 9, 16]))
    nested = [[1.0, 2.0], [4.0, 8.0]]
    for got, wanted in zip(gpugrad.gradient(nested), np.gradient(nested), strict=True):
        assert_same_bits(got, wanted)


def test_subclasses_of_pythons_numbers_are_pythons_numbers():
    class Step(float):
        pass

    f = np.array([1.0, 2.5, 4.25, 9.0], "f4") / 3
    assert_same_bits(gpugrad.gradient(f, Step(0.3)), np.gradient(f, 0.3))


def test_a_fraction_is_a_number():
    f = np.array([1.0, 2.0, 4.0])
    assert_same_bits(gpugrad.gradient(f, Fraction(1, 4)), np.gradient(f, 0.25))


def test_edge_order_may_be_any_integral_one_or_two(rng):
    f = sample(rng, (5,))
    for edge_order in (np.int64(2), 2.0):
        assert_same_bits(gpugrad.gradient(f, edge_order=edge_order), np.gradient(f, edge_order=2))


def test_the_same_coordinates_again_give_the_same_answer(rng):
    """What is remembered of coordinates must not mix up fields, dtypes or axes."""
    x = np.array([0.0, 0.1, 0.5, 0.6, 0.75])
    for dtype in ("f8", "f4", "c8", "i4", "f8"):
        for f in (sample(rng, (5,), dtype), sample(rng, (5, 5), dtype)):
            for edge_order in (1, 2, 1):
                for coordinates in (x, x.astype("f4"), x.copy()):
                    spacing = (coordinates,) * f.ndim
                    actual = gpugrad.gradient(f, *spacing, edge_order=edge_order)
                    expected = np.gradient(f, *spacing, edge_order=edge_order)
                    for got, wanted in zip(as_tuple(actual), as_tuple(expected), strict=True):
                        assert_same_bits(got, wanted)


def test_numbers_that_compare_equal_are_told_apart(rng):
    f = sample(rng, (5,), "f4")
    for h in (3, 3.0, np.float64(3), np.float32(3), 0.1, np.float64(0.1), np.float32(0.1)):
        assert_same_bits(gpugrad.gradient(f, h), np.gradient(f, h))


def test_coordinates_changed_in_place_are_read_anew(rng):
    f, x = sample(rng, (4,)), np.array([0.0, 1.0, 3.0, 4.0])
    gpugrad.gradient(f, x)
    x[2] = 2.5
    assert_same_bits(gpugrad.gradient(f, x), np.gradient(f, x))


def test_large_coordinates_are_not_remembered_wrongly(rng):
    f = sample(rng, (5000,))
    for _ in range(2):
        x = np.cumsum(rng.uniform(0.1, 1, 5000))
        assert_same_bits(gpugrad.gradient(f, x, edge_order=2), np.gradient(f, x, edge_order=2))


def test_many_uneven_samples_have_numpys_bits(rng):
    x = np.cumsum(rng.uniform(0.5, 1, 200_000))
    f = np.sin(x)
    for coordinates in (x, x.astype("f4"), -x):
        for backend in ("slices", "numpy", "auto"):
            got = gpugrad.gradient(f, coordinates, edge_order=2, backend=backend)
            assert_same_bits(got, np.gradient(f, coordinates, edge_order=2))
