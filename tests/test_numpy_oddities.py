"""NumPy's own kinds of fields: masks, subclasses, dates, objects, files; dates as coordinates."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits

DATES = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"], "M8[h]")


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "c16"])
@pytest.mark.parametrize("spacing", [(), (2.0,), ([0.0, 1, 3, 4], 0.5)])
def test_masked_arrays_keep_their_masks(rng, spacing, dtype, edge_order):
    data = (rng.normal(size=(4, 5)) * 9).astype(dtype)
    f = np.ma.array(data, mask=rng.random((4, 5)) < 0.2, fill_value=77)
    before = f.mask.copy()
    for got, wanted in zip(
        gpugrad.gradient(f, *spacing, edge_order=edge_order),
        np.gradient(f, *spacing, edge_order=edge_order),
        strict=True,
    ):
        assert type(got) is np.ma.MaskedArray
        np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(wanted))
        assert_same_bits(got.compressed(), wanted.compressed())
        assert got.fill_value == wanted.fill_value
    np.testing.assert_array_equal(f.mask, before)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "c8", "f8"])
@pytest.mark.parametrize("spacing", [0.3, np.float32(0.3), np.float64(0.3)])
def test_masked_arrays_are_promoted_as_numpy_promotes_them(rng, spacing, dtype, edge_order):
    for shape in ((7,), (3, 4)):
        for _ in range(20):
            f = np.ma.array((rng.normal(size=shape) * 20).astype(dtype))
            x = np.cumsum(rng.uniform(0.1, 1, shape[0])).astype("f4")
            for arguments, axis in (((spacing,), None), ((x,), 0)):
                keywords = {"axis": axis, "edge_order": edge_order}
                actual = gpugrad.gradient(f, *arguments, **keywords)
                expected = np.gradient(f, *arguments, **keywords)
                for got, wanted in zip(as_tuple(actual), as_tuple(expected), strict=True):
                    assert_same_bits(got.data, wanted.data)


def test_timedeltas_without_a_stated_unit_count_in_their_own():
    f = np.array([0.0, 1.0, 4.0, 9.0])
    for x in (np.arange(4).astype("m8[s]"), np.array([0, 1, 3, 7]).astype("m8[ms]")):
        assert_same_bits(gpugrad.gradient(f, x), np.gradient(f, x))


def test_other_subclasses_stay_what_they_are():
    class Tagged(np.ndarray):
        pass

    f = np.arange(12.0).reshape(3, 4) ** 2
    for got, wanted in zip(gpugrad.gradient(f.view(Tagged)), np.gradient(f), strict=True):
        assert type(got) is Tagged
        assert_same_bits(got.view(np.ndarray), wanted)


def test_a_memory_map_is_read_as_the_array_it_holds(tmp_path, rng):
    f = rng.normal(size=(6, 5))
    mapped = np.memmap(tmp_path / "field", "f8", "w+", shape=f.shape)
    mapped[:] = f
    for got, wanted in zip(gpugrad.gradient(mapped), np.gradient(f), strict=True):
        assert type(got) is np.ndarray
        assert_same_bits(got, wanted)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("spacing", [(), (2,), (2.5,), ([0.0, 1, 3, 4],)])
@pytest.mark.parametrize("kind", ["M8[h]", "m8[h]", "M8[ns]"])
@pytest.mark.filterwarnings("ignore:.*lose their fractions")
def test_fields_of_dates_have_numpys_rates(kind, spacing, edge_order):
    f = DATES.astype(kind) if kind[0] == "M" else (DATES - DATES[2]).astype(kind)
    f[1] = "NaT"
    expected = np.gradient(f, *spacing, edge_order=edge_order)
    assert_same_bits(gpugrad.gradient(f, *spacing, edge_order=edge_order), expected)


@pytest.mark.parametrize("kind", [">M8[D]", ">m8[D]"])
def test_dates_of_the_other_byte_order_are_told_their_own_loss(kind):
    assert_same_bits(
        gpugrad.gradient(np.array([0, 1, 4], kind)), np.array([1, 2, 3]).astype(">m8[D]")
    )
    with pytest.warns(gpugrad.GpugradWarning, match=r"up to 0\.5 of a step"):
        gpugrad.gradient(np.array([0, 1, 3], kind))


def test_fields_of_objects_become_floats():
    f = np.array([Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1)], dtype=object)
    for spacing in ((), (0.5,), ([0.0, 1, 3, 4],)):
        assert_same_bits(gpugrad.gradient(f, *spacing), np.gradient(f, *spacing))


def test_longdouble_is_kept(rng):
    f = rng.normal(size=7).astype(np.longdouble)
    x = np.cumsum(rng.uniform(0.1, 1, 7)).astype(np.longdouble)
    for spacing in (np.longdouble(1) / 3, 0.3, x):
        for edge_order in (1, 2):
            expected = np.gradient(f, spacing, edge_order=edge_order)
            assert_same_bits(gpugrad.gradient(f, spacing, edge_order=edge_order), expected)
            in_double = f.astype("f8")
            expected = np.gradient(in_double, spacing, edge_order=edge_order)
            assert_same_bits(gpugrad.gradient(in_double, spacing, edge_order=edge_order), expected)


def test_warnings_are_numpys(rng):
    f = np.array([1e308, -1e308, 1e308])
    with pytest.warns(RuntimeWarning, match="overflow"):
        gpugrad.gradient(f)
    with np.errstate(over="ignore"):
        gpugrad.gradient(f)


@pytest.mark.parametrize(
    ("unit", "per_hour"), [("h", 1), ("s", 3600), ("D", 1 / 24), ("ns", 3600e9)]
)
@pytest.mark.parametrize("dtype", ["M8[h]", "M8[s]", "M8[ns]", "m8[m]"])
def test_dates_as_coordinates_give_rates_per_stated_unit(xp, dtype, unit, per_hour):
    times = DATES.astype(dtype) if dtype[0] == "M" else (DATES - DATES[0]).astype(dtype)
    f = np.array([0.0, 24.0, 36.0, 90.0])
    hours = np.array([0.0, 24.0, 96.0, 120.0])
    result = gpugrad.gradient(xp.asarray(f), times, time_unit=unit, edge_order=2)
    expected = np.gradient(f, hours, edge_order=2) / per_hour
    np.testing.assert_allclose(gpugrad.asnumpy(result), expected, rtol=1e-12)


def test_even_dates_reduce_to_one_number():
    f = np.array([0.0, 1.0, 4.0, 9.0])
    days = np.arange("2024-01", "2024-01-05", dtype="M8[D]")
    assert_same_bits(gpugrad.gradient(f, days, time_unit="h"), np.gradient(f, np.float64(24)))


def test_months_are_counted_by_their_first_days():
    f = np.arange(4.0)
    months = np.arange("2020-01", "2020-05", dtype="M8[M]")
    expected = np.gradient(f, np.array([0.0, 31.0, 60.0, 91.0]))
    assert_same_bits(gpugrad.gradient(f, months, time_unit="D"), expected)
    assert_same_bits(gpugrad.gradient(f, months, time_unit="M"), np.gradient(f))
    with pytest.raises(ValueError, match="converts to"):
        gpugrad.gradient(f, np.arange(4).astype("m8[M]"), time_unit="D")


def test_gaps_too_long_for_their_unit_are_refused():
    days = np.array(["1700", "2000", "2200"], "M8[D]")
    with pytest.raises(ValueError, match=r"steps that datetime64\[ns\] can hold"):
        gpugrad.gradient(np.array([0.0, 300.0, 500.0]), days.astype("M8[ns]"), time_unit="D")
    gpugrad.gradient(np.array([0.0, 300.0, 500.0]), days, time_unit="D")


def test_a_timedelta_is_a_spacing():
    f = np.array([0.0, 1.0, 4.0])
    result = gpugrad.gradient(f, np.timedelta64(2, "h"), time_unit="m")
    assert_same_bits(result, np.gradient(f, np.float64(120)))


def test_dates_on_one_axis_and_numbers_on_another():
    f = np.arange(12.0).reshape(4, 3) ** 2
    along_time, along_x = gpugrad.gradient(f, DATES, 0.5, time_unit="D")
    expected = np.gradient(f, np.array([0.0, 1, 4, 5]), 0.5)
    np.testing.assert_allclose(along_time, expected[0], rtol=1e-14)
    assert_same_bits(along_x, expected[1])


@pytest.mark.parametrize(
    ("coordinates", "unit", "error", "message"),
    [
        (DATES, None, TypeError, 'time_unit="s"'),
        (np.timedelta64(1, "h"), None, TypeError, "time_unit"),
        (DATES[0], "s", TypeError, "not a date"),
        (np.array([0, 1, "NaT", 3], "m8[s]"), None, TypeError, "time_unit"),
        ([0.0, 1, 2, 3], "s", ValueError, "go with dates"),
        (DATES, "Y", ValueError, "converts to"),
        (DATES, "parsec", ValueError, "converts to"),
        (DATES, "generic", ValueError, "converts to"),
        (DATES, ["s"], TypeError, "must be text"),
        (np.array(["2024", "NaT", "2026", "2027"], "M8[D]"), "D", ValueError, "finite; got .*NaT"),
        (DATES[[0, 1, 1, 2]], "D", ValueError, "duplicate coordinates; got 2024-01-02"),
        (Decimal(2), None, TypeError, "Decimal"),
    ],
)
def test_dates_that_make_no_spacing_are_refused(coordinates, unit, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(np.arange(4.0), coordinates, time_unit=unit)


# Rows of docs/explanations/differences-from-numpy.md that no other table of the tests has.


class OffersDlpack:
    def __dlpack__(self, **options):
        return np.arange(4.0).__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


class HasAnotherGradient:
    def __array_function__(self, *arguments):
        return "another gradient"


@pytest.mark.parametrize("f", [{1.0, 2.0}, iter((1.0, 2.0)), b"12", OffersDlpack()])
def test_what_is_no_array_is_no_empty_gradient(f):
    assert np.gradient(f) == ()
    with pytest.raises(TypeError, match="must be an array"):
        gpugrad.gradient(f)


def test_a_sparse_array_is_no_empty_gradient():
    sparse = pytest.importorskip("scipy.sparse")
    f = sparse.csr_array(np.eye(3))
    assert np.gradient(f) == ()
    with pytest.raises(TypeError, match="must be dense"):
        gpugrad.gradient(f)


def test_another_gradient_is_not_asked():
    f = HasAnotherGradient()
    assert np.gradient(f) == "another gradient"
    with pytest.raises(TypeError, match="must be an array"):
        gpugrad.gradient(f)


@pytest.mark.parametrize("edge_order", [np.array(2), np.array([1]), np.nan])
def test_numpy_takes_any_edge_order_for_1_or_2(edge_order):
    f = np.arange(4.0) ** 2
    np.gradient(f, edge_order=edge_order)
    with pytest.raises((TypeError, ValueError), match="`edge_order` must be 1"):
        gpugrad.gradient(f, edge_order=edge_order)


def test_no_edge_order_is_the_default():
    f = np.arange(4.0) ** 2
    with pytest.raises(TypeError):
        np.gradient(f, edge_order=None)
    assert_same_bits(gpugrad.gradient(f, edge_order=None), np.gradient(f))


@pytest.mark.parametrize("spacing", [2 + 0j, np.complex64(2), np.array([0, 1, 3, 4 + 0j])])
def test_complex_spacings_without_imaginary_parts_are_real(spacing):
    f = np.arange(4.0) ** 2
    with pytest.warns(np.exceptions.ComplexWarning):
        expected = np.gradient(f, spacing)
    assert_same_bits(gpugrad.gradient(f, spacing), expected)


def test_coordinates_whose_differences_overflow_are_refused():
    x = np.array([-1e308, 1e308, 1.1e308, 1.2e308])
    with np.errstate(all="ignore"):
        assert np.isnan(np.gradient(np.arange(4.0), x)).any()
    with pytest.raises(ValueError, match="must be finite"):
        gpugrad.gradient(np.arange(4.0), x)


def test_two_classes_of_errors_are_not_numpys():
    f = np.arange(4.0)
    with pytest.raises(OverflowError):
        np.gradient(f, 10**400)
    with pytest.raises(ValueError, match="must be finite"):
        gpugrad.gradient(f, 10**400)
    texts = np.array(["a", "b"]).view(np.char.chararray)
    with pytest.raises(ValueError, match="chararray"):
        np.gradient(texts)
    with pytest.raises(TypeError, match="got text"):
        gpugrad.gradient(texts)
