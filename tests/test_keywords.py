"""What users say of a call: `spacing=`, options by axis, `edge_order`, words of other libraries."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

import gpugrad
from internals import OPERATORS, accepts_keywords

F = np.arange(12.0).reshape(3, 4) ** 2
X, Y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0, 7.0])


def same(a, b):
    for left, right in zip(a, b, strict=True):
        np.testing.assert_array_equal(left, right)


def test_spacing_may_be_given_by_keyword():
    same(gpugrad.gradient(F, spacing=0.5), np.gradient(F, 0.5))
    same(gpugrad.gradient(F, spacing=None), np.gradient(F))
    for several in ((X, Y), [X, Y], {0: X, 1: Y}, {-1: Y, 0: X}):
        same(gpugrad.gradient(F, spacing=several), np.gradient(F, X, Y))
    same(gpugrad.gradient(f=F, spacing=(0.5, 2.0)), np.gradient(F, 0.5, 2.0))
    same(gpugrad.gradient(F, spacing={1: Y}), np.gradient(F, 1.0, Y))
    same(gpugrad.gradient(F, axis=(1, 0), spacing=(Y, X)), np.gradient(F, Y, X, axis=(1, 0)))
    expected = np.gradient(F, Y, axis=1)
    for spacing in (Y, [*Y], (*Y,), [Y], {1: Y}, {-1: Y}):  # along one axis
        np.testing.assert_array_equal(gpugrad.gradient(F, axis=1, spacing=spacing), expected)
        np.testing.assert_array_equal(gpugrad.derivative(F, spacing=spacing), expected)


def test_spacing_by_keyword_goes_with_components_and_plans():
    expected = gpugrad.divergence((F, F), X, Y)
    for v in ((F, F), np.stack([F, F])):
        for spacing in ((X, Y), {0: X, -1: Y}):
            np.testing.assert_array_equal(gpugrad.divergence(v, spacing=spacing), expected)
            np.testing.assert_array_equal(gpugrad.divergence(v=v, spacing=spacing), expected)


def test_spacing_by_keyword_names_dimensions_of_xarray():
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(F, dims=("x", "y"), coords={"x": X, "y": Y})
    for spacing in ({"y": 2.0}, {1: 2.0}, {"x": "x", "y": 2.0}):
        same(gpugrad.gradient(f, spacing=spacing), np.gradient(F, X, 2.0))
    with pytest.raises(ValueError, match=r"`spacing` must name axes to .*, x, y; got 'z'"):
        gpugrad.gradient(f, spacing={"z": 1.0})


@pytest.mark.parametrize(
    ("spacing", "error", "words"),
    [
        ({2: 1.0}, ValueError, "`spacing` must name axes to differentiate along, 0, 1; got 2"),
        ({"x": 1.0}, TypeError, "must have axes for keys .* got 'x'. Names of axes belong"),
        ({1: 1.0, -1: 1.0}, ValueError, "name each axis once; got 1 twice"),
        ((1.0, 2.0, 3.0), TypeError, "one for each of the 2 axes to differentiate along; got 3"),
        ([], TypeError, "one array of coordinates|spacings must be"),
    ],
)
def test_wrong_spacings_by_keyword_are_refused(spacing, error, words):
    with pytest.raises(error, match=words):
        gpugrad.gradient(F, spacing=spacing)


def test_spacing_is_given_once():
    with pytest.raises(TypeError, match="given once; got 1 by position and one by keyword"):
        gpugrad.gradient(F, 1.0, spacing=1.0)


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("dim", "Pass `axis`, an axis, or several: `axis=0`"),
        ("dx", "Pass `spacing`, the distance .* `gradient.f, dx.`"),
        ("h", "Pass `spacing`"),
        ("mask", "Pass `where`, true where samples are valid: `where=~mask`"),
        ("mode", "Pass `boundary`, what lies beyond the ends"),
        ("varargs", "Pass `spacing`"),
        ("acc", "Pass `accuracy`"),
        ("datetime_unit", "Pass `time_unit`"),
        ("xp", "Pass `backend`, where the arithmetic runs"),
        ("acuracy", "Did you mean `accuracy`"),
        ("order", "Call `gpugrad.derivative`"),
        ("n", "Call `gpugrad.derivative`"),
        ("zzz", "It takes f, spacing, axis, edge_order"),
    ],
)
def test_foreign_keywords_name_ours(word, cure):
    with pytest.raises(TypeError, match=f"`gradient` takes no `{word}`. {cure}"):
        gpugrad.gradient(F, **{word: 1})


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_answers_foreign_keywords(name):
    operator = getattr(gpugrad, name)
    with pytest.raises(TypeError, match=f"`{name}` takes no `dim`. Pass `axis`"):
        operator((F, F), dim=0)


def test_too_many_arguments_name_the_options():
    with pytest.raises(
        TypeError, match=r"`noise_level` takes 1 argument by position; got 2. .* axis"
    ):
        gpugrad.noise_level(F, 0)


def test_formulas_and_the_choice_of_a_backend_answer_foreign_keywords():
    with pytest.raises(TypeError, match=r"`use_backend` takes no `engine`. Pass `backend`"):
        gpugrad.use_backend(engine="slices")
    pytest.importorskip("sympy")
    with pytest.raises(TypeError, match=r"`derivative` takes no `n`. Pass `order`"):
        gpugrad.symbolic.derivative("x**2", "x", n=2)


def test_words_have_a_meaning_where_the_function_has_one():
    with pytest.raises(TypeError, match=r"`gradient_of` takes no `h`. Pass `step`"):
        gpugrad.gradient_of(np.sin, h=0.1)
    with pytest.raises(TypeError, match=r"`turning_points` takes no `y`. Pass `f`, the samples"):
        gpugrad.turning_points(y=F)


def test_spacing_by_keyword_goes_without_a_field_where_none_is_needed():
    expected = gpugrad.recommended_spacing(None, 0.1, noise=1e-3, magnitude=1.0)
    assert gpugrad.recommended_spacing(spacing=0.1, noise=1e-3, magnitude=1.0) == expected
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'f'"):
        gpugrad.gradient(spacing=0.1)


def test_errors_within_a_call_stay_what_they_are():
    @accepts_keywords
    def broken(f, *spacing, axis=None):
        raise TypeError("something else")

    with pytest.raises(TypeError, match="something else"):
        broken(F, spacing=1.0)
    with pytest.raises(TypeError, match="`broken` takes no `dim`"):
        broken(F, dim=1)


def test_every_option_by_axis_is_a_dict():
    f = np.random.default_rng(0).normal(size=(7, 8))
    one = gpugrad.gradient(f, boundary={1: "periodic"}, stagger={0: "left"})
    same(one, (gpugrad.derivative(f, axis=0, stagger="left"),
               gpugrad.derivative(f, axis=1, boundary="wrap")))  # fmt: skip
    v = np.stack([f, f])
    expected = gpugrad.derivative(f, axis=0) + gpugrad.derivative(f, axis=1, boundary="periodic")
    actual = gpugrad.divergence(v, boundary={-1: "periodic"}, period={1: 8.0})
    np.testing.assert_array_equal(actual, expected)
    for pair in (("reflect", 0.0), ["reflect", 0.0]):  # a pair is the two ends, always
        for both, axis in zip(gpugrad.gradient(f, boundary=pair), (0, 1), strict=True):
            expected = gpugrad.derivative(f, axis=axis, boundary=("reflect", 0.0))
            np.testing.assert_array_equal(both, expected)


FIRST = [name for name, row in OPERATORS.items() if 2 not in row.orders]


@pytest.mark.parametrize("name", FIRST)
def test_edge_order_goes_with_every_first_derivative(name):
    f = np.random.default_rng(0).normal(size=(5, 6))
    v = f if OPERATORS[name].takes == "field" else (f, f)
    operator = getattr(gpugrad, name)
    assert same_results(operator(v, edge_order=2), operator(v, edge_accuracy=2))
    assert same_results(operator(v, edge_order=None), operator(v, edge_order=1))
    assert not same_results(operator(v, edge_order=2), operator(v))
    for wrong, error in ((7, ValueError), ("x", TypeError), (0, ValueError)):
        for options in ({}, {"accuracy": 4}, {"edge_accuracy": 1}, {"boundary": "edge"}):
            with pytest.raises(error, match="`edge_order` must be 1"):
                operator(v, edge_order=wrong, **options)
    with pytest.raises(ValueError, match=r"go with `accuracy` 2; got 4. .* pass `edge_accuracy`"):
        operator(v, edge_order=1, accuracy=4)
    with pytest.raises(ValueError, match=r"go with `edge_accuracy` None; got 1. .* leave one"):
        operator(v, edge_order=1, edge_accuracy=1)


def same_results(a, b):
    if isinstance(a, tuple):
        return all(map(same_results, a, b))
    return np.array_equal(a, b)


def test_edge_order_is_of_first_derivatives_alone():
    with pytest.raises(ValueError, match="`edge_order` must go with `order` 1; got 2"):
        gpugrad.derivative(F, order=2, edge_order=1)
    with pytest.raises(TypeError, match="`laplacian` takes no `edge_order`"):
        gpugrad.laplacian(F, edge_order=1)


def test_swapped_arrays_of_meshgrid_are_named():
    xs, ys = np.meshgrid(np.arange(4.0), np.arange(3.0))
    with pytest.raises(
        ValueError, match=r"axis 0; got .* varies along axis 1 alone.* pass Y before"
    ):
        gpugrad.gradient(F, xs, ys)
    same(gpugrad.gradient(F, ys, xs), np.gradient(F))
    with pytest.raises(ValueError, match="no duplicate coordinates"):  # not swapped: all the same
        gpugrad.gradient(F, np.ones((3, 4)), ys)


@pytest.mark.parametrize("name", ["divergence", "curl", "jacobian", "vector_laplacian"])
def test_components_given_one_by_one_are_named(name):
    operator = getattr(gpugrad, name)
    for v in (F, np.ones((2, 9)), np.arange(5.0)):
        with pytest.raises(TypeError, match=r"hold all components; got 2 arrays .* in a tuple"):
            operator(v, v)
    with pytest.raises(TypeError, match=r"hold all components; got 2 arrays .* in a tuple"):
        operator(F.tolist(), F.tolist())
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(F, dims=("x", "y"))
    with pytest.raises(TypeError, match=r"hold all components; got 2 arrays .* in a tuple"):
        operator(f, f.rename("other"))
    with pytest.raises(TypeError, match=r"got 3 arrays of shape .4, 5, 6."):
        operator(*[np.ones((4, 5, 6))] * 3)


def test_a_second_number_is_no_order():
    with pytest.raises(TypeError, match=r"one distance .* got 2 arguments. .* `order=2`"):
        gpugrad.derivative(F, 0.5, 2)


def test_spans_of_time_of_the_standard_library_are_spacings():
    hour, day = datetime.timedelta(hours=1), datetime.datetime(2024, 1, 1)
    f = np.array([0.0, 1.0, 3.0, 7.0])
    expected = np.gradient(f, 3600.0)
    np.testing.assert_allclose(gpugrad.gradient(f, hour, time_unit="s"), expected)
    spans, dates = [i * hour for i in range(4)], [day + i * hour for i in range(4)]
    for coordinates in (spans, dates, np.array(dates), tuple(dates)):
        np.testing.assert_allclose(gpugrad.gradient(f, coordinates, time_unit="s"), expected)
    with pytest.raises(TypeError, match="a `time_unit`"):
        gpugrad.gradient(f, dates)
    with pytest.raises(TypeError, match="all dates of one calendar, or all spans of time"):
        gpugrad.gradient(f, [*dates[:3], hour], time_unit="s")


def test_complex_coordinates_that_are_real_are_taken():
    f = np.array([0.0, 1.0, 3.0, 7.0])
    expected = np.gradient(f, [0.0, 1.0, 2.5, 3.0])
    np.testing.assert_array_equal(gpugrad.gradient(f, np.array([0, 1, 2.5, 3], "c16")), expected)
    with pytest.raises(TypeError, match="real numbers; got dtype complex"):
        gpugrad.gradient(f, np.array([0, 1, 2.5, 3j]))
