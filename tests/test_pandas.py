"""Series of pandas: the index says where the samples lie, and results have it too."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits

pandas = pytest.importorskip("pandas")

X = np.array([0.0, 1.0, 3.0, 7.0, 8.0, 9.0, 12.0, 13.0])
Y = X**2 - 3 * X


@pytest.fixture
def column():
    return pandas.Series(Y, index=X, name="T")


def check(got, expected, column):
    assert type(got) is pandas.Series
    assert got.index is column.index or got.index.equals(column.index)
    assert got.name == column.name
    assert_same_bits(got.to_numpy(), expected)


OPERATORS = {
    "gradient": gpugrad.gradient,
    "derivative": lambda f, *x, **options: gpugrad.derivative(f, *x, order=2, **options),
    "gradient_norm": gpugrad.gradient_norm,
    "laplacian": gpugrad.laplacian,
    "error_estimate": gpugrad.error_estimate,
    "smooth_derivative": gpugrad.smooth_derivative,
    "divergence": lambda f, *x, **options: gpugrad.divergence([f], *x, **options),
    "hessian": lambda f, *x, **options: gpugrad.hessian(f, *x, **options)[0][0],
    "jacobian": lambda f, *x, **options: gpugrad.jacobian([f], *x, **options)[0][0],
    "vector_laplacian": lambda f, *x, **options: gpugrad.vector_laplacian([f], *x, **options)[0],
}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_index_is_the_coordinates(column, name):
    operator = OPERATORS[name]
    check(operator(column), operator(Y, X), column)
    # A spacing goes before the index, whatever that holds.
    lettered = column.set_axis([*"abcdefgh"])
    check(operator(lettered, 2.0), operator(Y, 2.0), lettered)
    check(operator(column, spacing=X + 1), operator(Y, X + 1), column)
    # The index that every Series has agrees with NumPy.
    plain = column.reset_index(drop=True)
    check(operator(plain), operator(Y), plain)


def test_numpy_agrees_where_the_index_counts(column):
    plain = column.reset_index(drop=True)
    assert_same_bits(gpugrad.gradient(plain).to_numpy(), np.gradient(plain))
    sliced = pandas.Series(Y)[::2]  # now the index counts in twos
    assert_same_bits(gpugrad.gradient(sliced).to_numpy(), np.gradient(Y[::2], 2.0))


class TestDates:
    """Rates are per second, or per a unit that is named."""

    @pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
    @pytest.mark.parametrize("unit", ["s", "ns"])
    def test_in_the_index(self, zone, unit):
        # One day of these has 23 hours.
        when = pandas.date_range("2024-03-30", periods=8, freq="6h", tz=zone).as_unit(unit)
        column = pandas.Series(Y, index=when)
        check(gpugrad.gradient(column), np.gradient(Y, 6 * 3600.0), column)
        check(gpugrad.gradient(column, time_unit="h"), np.gradient(Y, 6.0), column)

    def test_spans_of_time_in_the_index(self):
        column = pandas.Series(Y, index=pandas.timedelta_range("0h", periods=8, freq="2h"))
        check(gpugrad.gradient(column), np.gradient(Y, 7200.0), column)

    def test_points(self):
        column = pandas.Series([0.0, 2, 1, 3, 0], pandas.date_range("2024-01-01", periods=5))
        points = gpugrad.turning_points(column)
        assert points.position[0] == np.datetime64("2024-01-02T04:00")
        bends = gpugrad.inflection_points(column)
        assert bends.position.dtype.kind == "M"

    def test_as_the_field(self):
        column = pandas.Series(pandas.date_range("2024-01-01", periods=4, tz="UTC"))
        assert (gpugrad.gradient(column) == pandas.Timedelta("1D")).all()
        with pytest.raises(TypeError, match="a ratio of times is a number"):
            gpugrad.gradient(pandas.Series(column.to_numpy(), index=column.to_numpy()))


def test_points_and_numbers(column):
    got, expected = gpugrad.turning_points(column), gpugrad.turning_points(Y, X)
    np.testing.assert_array_equal(got.position, expected.position)
    noisy = pandas.Series(np.random.default_rng(0).normal(size=60), index=np.arange(60) / 10)
    assert gpugrad.noise_level(noisy) == gpugrad.noise_level(noisy.to_numpy())
    best = gpugrad.recommended_spacing(noisy, noise=1.0, magnitude=2.0)
    assert (
        best.stride
        == gpugrad.recommended_spacing(
            noisy.to_numpy(), noisy.index, noise=1.0, magnitude=2.0
        ).stride
    )


@pytest.mark.parametrize(
    ("dtype", "result"), [("Float64", "Float64"), ("Float32", "Float32"), ("Int16", "Float64")]
)
def test_what_may_be_missing_stays_so(dtype, result):
    column = pandas.Series([1, 4, None, 16, 25, 36], dtype=dtype)
    got = gpugrad.gradient(column)
    assert got.dtype == result
    assert got.isna().tolist() == [False, True, False, True, False, False]
    got = gpugrad.gradient(column, skipna=True)
    assert got.isna().tolist() == [False, False, True, False, False, False]
    assert got[0] == 3


def test_other_kinds_of_columns(column):
    sparse = column.astype(pandas.SparseDtype("float"))
    assert_same_bits(gpugrad.gradient(sparse).to_numpy(), np.gradient(Y, X))
    for values, match in (
        (pandas.Series(["1", "2", "3"]), "objects such as '1'|got text"),
        (pandas.Series(["a", "b"], dtype="category"), "objects such as 'a'|got text"),
        (pandas.Series([1.0, None, 2.0], dtype=object), "objects such as None"),
        (pandas.Series([True, None], dtype="boolean"), r"objects such as <NA>.*skipna"),
        (pandas.Series([True, False]), "got dtype bool"),
    ):
        with pytest.raises(TypeError, match=match):
            gpugrad.gradient(values)


class TestIndices:
    """An index that says nothing of where samples lie is an error with a cure."""

    @pytest.mark.parametrize(
        ("index", "error", "match"),
        [
            ([*"abcd"], TypeError, r"must hold numbers or dates.*`spacing`, or `f\.reset_index"),
            ([True, False, True, True], TypeError, "must hold numbers or dates"),
            (pandas.MultiIndex.from_product([[1, 2], [3, 4]]), TypeError, "MultiIndex of"),
            (pandas.period_range("2024", periods=4, freq="M"), TypeError, r"to_timestamp\(\)"),
            (pandas.interval_range(0, 4), TypeError, r"f\.index\.mid"),
            (pandas.CategoricalIndex([1, 2, 3, 4]), TypeError, "CategoricalIndex"),
            ([0.0, 1.0, 1.0, 2.0], ValueError, "no duplicate coordinates"),
            ([0.0, np.nan, 1.0, 2.0], ValueError, "must be finite"),
        ],
    )
    def test_wrong_ones(self, index, error, match):
        column = pandas.Series([1.0, 2.0, 4.0, 8.0], index=index)
        with pytest.raises(error, match=match):
            gpugrad.gradient(column)
        assert (gpugrad.gradient(column, 1.0) == np.gradient(column)).all()

    def test_unsorted_ones_are_warned_of(self):
        column = pandas.Series([1.0, 2.0, 4.0, 8.0], index=[0, 2, 1, 3])
        with pytest.warns(gpugrad.GpugradWarning, match="not monotonic"):
            gpugrad.gradient(column)

    def test_falling_ones_are_right(self, column):
        got = gpugrad.gradient(column[::-1])
        np.testing.assert_allclose(got[::-1], gpugrad.gradient(column), rtol=1e-12)


class TestBesideOthers:
    """Other Series must lie where the field does; arrays are taken as they are."""

    def test_spacings_and_masks(self, column):
        where = column > 0
        got = gpugrad.gradient(column, where=where)
        assert_same_bits(got.to_numpy(), gpugrad.gradient(Y, X, where=where.to_numpy()))
        check(gpugrad.gradient(column, column.index.to_series() * 2), np.gradient(Y, 2 * X), column)
        shifted = column.set_axis(column.index + 1)
        for call in (
            lambda: gpugrad.gradient(column, shifted),
            lambda: gpugrad.gradient(column, where=shifted > 0),
            lambda: gpugrad.divergence([column, shifted]),
        ):
            with pytest.raises(ValueError, match=r"must have the index of `f`.*reindex"):
                call()

    def test_arrays_beside_coordinates_of_pandas(self, column):
        assert_same_bits(gpugrad.gradient(Y, column.index.to_series()), np.gradient(Y, X))
        assert_same_bits(gpugrad.gradient(Y, column.index), np.gradient(Y, X))
        assert_same_bits(gpugrad.gradient(Y, where=column > 0), gpugrad.gradient(Y, where=Y > 0))

    def test_units_would_be_lost(self, column):
        unit = pytest.importorskip("pint").UnitRegistry()
        with pytest.raises(TypeError, match="without labels and units"):
            gpugrad.gradient(column, unit.Quantity(2.0, "m"))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda f: gpugrad.gradient(f, stack=True), "`stack` must be false"),
        (lambda f: gpugrad.gradient(f, out=np.empty(8)), "`out` must be left out"),
        (lambda f: gpugrad.gradient([f, f]), r"one field; got 2 of pandas"),
        (lambda f: gpugrad.divergence([f, np.ones(8)]), "all of one library"),
        (lambda f: gpugrad.plan(8)(f), r"without an index here.*to_numpy\(\)"),
        (lambda f: gpugrad.CurvilinearGrid(X).gradient(f), r"without an index here"),
        (lambda f: gpugrad.gradient(f.to_frame()), r"one column.*f\['T'\].*f\.apply\(gpugrad\.gra"),
        (lambda f: gpugrad.turning_points(f.to_frame()), "one column of a DataFrame"),
    ],
)  # fmt: skip
def test_what_would_lose_an_index_is_refused(column, call, match):
    with pytest.raises(TypeError, match=match):
        call(column)


def test_the_cures_work(column):
    frame = pandas.DataFrame({"a": column, "b": 2 * column})
    by_column = frame.apply(gpugrad.gradient)
    check(by_column["a"].rename("T"), np.gradient(Y, X), column)
    assert isinstance(gpugrad.gradient(frame.to_numpy()), tuple)
    names = gpugrad.gradient(f=column)
    check(names, np.gradient(Y, X), column)
