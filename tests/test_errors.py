"""Bad input gets an error that says what must hold, what was given and what to do."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import gpugrad

F = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (3.0, ValueError, "at least one axis"),
        (np.float64(3), ValueError, "at least one axis"),
        (np.array(3.0), ValueError, "at least one axis"),
        (None, TypeError, "got NoneType"),
        ("text", TypeError, "got str"),
        (b"text", TypeError, "got bytes"),
        ({"a": 1}, TypeError, "got dict"),
        ({1, 2}, TypeError, "got set"),
        ((x for x in "abc"), TypeError, "got generator"),
        (np.sin, TypeError, r"the function 'sin'.*gradient\(func\(x\), x\)"),
        (lambda x: x, TypeError, "the function '<lambda>'"),
        (np.array([True, False]), TypeError, "got dtype bool"),
        ([True, False, True], TypeError, "got dtype bool"),
        (["a", "b"], TypeError, "integers, real or complex"),
        (np.zeros(3, [("a", "f8")]), TypeError, "integers, real or complex"),
        ([[1, 2], [3]], ValueError, "equal lengths"),
        ([], ValueError, "axis 0 .* at least 2 samples; got length 0"),
        ([1.0], ValueError, "axis 0 .* at least 2 samples; got length 1"),
        (np.zeros((4, 1, 5)), ValueError, "axis 1 .* at least 2 samples"),
    ],
)
def test_fields_that_cannot_be_differentiated(f, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(f)


def test_boolean_fields_of_any_library_are_refused(xp):
    with pytest.raises(TypeError, match="got dtype bool"):
        gpugrad.gradient(xp.asarray(np.array([True, False, True])))


def test_axes_too_short_are_named_with_their_length(xp):
    with pytest.raises(ValueError, match=r"axis 1 .* at least 3 samples .* got length 2"):
        gpugrad.gradient(xp.asarray(np.zeros((3, 2))), edge_order=2)


@pytest.mark.parametrize(
    ("edge_order", "error"),
    [(0, ValueError), (-1, ValueError), (1.5, ValueError), (3, ValueError), (True, TypeError),
     (np.True_, TypeError), ("1", TypeError), ([1], TypeError),
     (float("nan"), ValueError), (1j, TypeError)],
)  # fmt: skip
def test_edge_orders_other_than_one_and_two(edge_order, error):
    with pytest.raises(error, match="`edge_order` must be 1"):
        gpugrad.gradient(F, edge_order=edge_order)
    with pytest.raises(error, match="`edge_order` must be 1"):
        gpugrad.gradient(F, [0.0, 1, 3], 1.0, edge_order=edge_order)


@pytest.mark.parametrize(
    ("spacing", "error", "message"),
    [
        ((1, 2, 3), TypeError, "each of the 2 axes .* got 3"),
        (([0.0, 1, 2],), TypeError, "each of the 2 axes .* got 1 array of coordinates"),
        (([0.0, 1], 1), ValueError, "axis 0 must have length 3 .* got 2. .*not the steps"),
        ((1, [0.0, 1]), ValueError, "axis 1 must have length 4 .* got 2. Pass one coordinate"),
        ((np.ones((4, 3)), 1), ValueError, r"axis 0 must be scalars or 1d .* shape of `f`"),
        ((np.ones((3, 4)), 1), ValueError, "axis 0 must have no duplicate coordinates"),
        ((0.0,), ValueError, "all axes must be finite and not zero; got 0.0"),
        ((0, 1), ValueError, "axis 0 must be finite and not zero"),
        ((1, np.float64(0)), ValueError, "axis 1 must be finite and not zero"),
        ((np.nan,), ValueError, "finite and not zero; got nan"),
        ((1, -np.inf), ValueError, "axis 1 must be finite and not zero; got -inf"),
        (([0.0, 1, np.nan], 1), ValueError, "finite; got 1.0 and nan at positions 1 and 2"),
        (([0.0, 1, np.inf], 1), ValueError, "finite; got 1.0 and inf"),
        (([-np.inf, np.inf, np.inf], 1), ValueError, "must be finite"),
        (([-1e308, 1e308, 2e307], 1), ValueError, "must be finite"),
        ((10**400,), ValueError, "finite and not zero; got inf"),
        (([0.0, 1.0, 0.0], 1), ValueError, "same place at once; got 0.0, 1.0 and 0.0 from pos"),
        ((np.array([0, 1, 2]) + 2.0**62, 1), ValueError, "one float64: subtract an offset"),
        (([0.0, 1, 1], 1), ValueError, "no duplicate coordinates; got 1.0 at positions 1 and 2"),
        (([2.0, 2.0, 2.0], 1), ValueError, "look like steps .* pass coordinates"),
        (([2.0, 2.0, 3.0], 1), ValueError, "Drop one of the two"),
        ((1, [1.0, 2.0, 2.0, 1.5]), ValueError, "look like steps"),
        ((1j,), TypeError, "real numbers; got dtype complex"),
        (([0j, 1, 2j], 1), TypeError, "axis 0 must be real numbers; got dtype complex"),
        (("1",), TypeError, "real numbers; got dtype <U1"),
        ((None,), TypeError, "got None"),
        (({"h": 1},), TypeError, "got {'h': 1}"),
        ((True,), TypeError, "real numbers; got dtype bool"),
        (([True, False, True], 1), TypeError, "got dtype bool"),
        (([[0], [1, 2], [3]], 1), ValueError, "flat sequence"),
        ((np.array([object(), 1, 2]), 1), TypeError, "real numbers or NumPy dates"),
        ((np.ma.array([0.0, 1, 2], mask=[0, 1, 0]), 1), ValueError, "no masked values; got 1"),
    ],
)
def test_spacings_that_make_no_sense(spacing, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(F, *spacing)


def test_coordinates_that_carry_units_are_refused():
    class Quantity:
        units = "m"

        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

    class Subclass(np.ndarray):
        unit = "m"

    for given in (Quantity(), np.arange(3.0).view(Subclass)):
        with pytest.raises(TypeError, match="carries a unit"):
            gpugrad.gradient(F, given, 1)


@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (2, np.exceptions.AxisError, "from -2 to 1 for a field of 2 axes; got 2"),
        (-3, np.exceptions.AxisError, "from -2 to 1 .* got -3"),
        ((0, 5), np.exceptions.AxisError, "from -2 to 1 .* got .0, 5."),
        ((0, 0), ValueError, "name each axis once; got .0, 0."),
        ((1, -1), ValueError, "name each axis once"),
        (1.5, TypeError, "an integer, several of them, or None .* got 1.5"),
        ("x", TypeError, "got 'x'. Names of axes belong to DataArrays"),
    ],
)
def test_axes_that_do_not_exist(axis, error, message):
    with pytest.raises(error, match=message):
        gpugrad.gradient(F, axis=axis)


def test_coordinates_that_go_up_and_down_warn_at_the_callers_line():
    for _ in range(2):  # remembered coordinates warn again
        with pytest.warns(UserWarning, match="axis 0 is not monotonic") as caught:
            gpugrad.gradient(F, [0.0, 2.0, 1.0], 1)
        assert [Path(w.filename).name for w in caught] == ["test_errors.py"]
    with pytest.warns(UserWarning, match="not monotonic"):
        result = gpugrad.gradient(F, [0.0, 2.0, 1.0], axis=0)
    np.testing.assert_array_equal(result, np.gradient(F, [0.0, 2.0, 1.0], axis=0))


def test_decreasing_coordinates_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        down = gpugrad.gradient(F, [3.0, 1.0, 0.0], axis=0)
    np.testing.assert_array_equal(down, np.gradient(F, [3.0, 1.0, 0.0], axis=0))


def test_checks_hold_for_the_host_coordinates_of_every_library(xp):
    if xp.name in ("dask", "cupy"):
        pytest.skip("values that are lazy or on a device are never read")
    for bad in ([0.0, 1.0, 1.0], [0.0, 1.0, np.nan]):
        with pytest.raises(ValueError, match="axis 0 must"):
            gpugrad.gradient(xp.asarray(F), xp.asarray(np.array(bad)), 1.0)


def test_fields_and_coordinates_of_two_libraries_are_refused(xp):
    strict = pytest.importorskip("array_api_strict")
    if xp.name == "array-api-strict":
        pytest.skip("the same library")
    with pytest.raises(TypeError, match=r"got array-api-strict for a field of \w+"):
        gpugrad.gradient(xp.asarray(F), strict.asarray([0.0, 1.0, 3.0]), 1)


def test_lazy_spacings_of_a_wrong_dtype_are_refused():
    da = pytest.importorskip("dask.array")
    for dtype in ("c16", "?"):
        for shape in ((4,), ()):
            with pytest.raises(TypeError, match="must be real numbers"):
                gpugrad.gradient(da.zeros(4), da.zeros(shape, dtype=dtype))


def test_no_axes_leave_nothing_to_stack_or_write():
    assert gpugrad.gradient(F, axis=()) == ()
    for keywords in ({"stack": True}, {"out": ()}):
        with pytest.raises(ValueError, match="at least one axis"):
            gpugrad.gradient(F, axis=(), **keywords)


def test_a_misspelt_keyword_is_an_error():
    with pytest.raises(TypeError, match="edgeorder"):
        gpugrad.gradient(F, edgeorder=2)


def test_where_numpy_answers_without_an_answer_we_do_not():
    """numpy.gradient returns something for each of these; the README lists them."""
    f = np.arange(4.0)
    for call in (
        lambda gradient: gradient(f, edge_order=0),
        lambda gradient: gradient(f, edge_order=-1),
        lambda gradient: gradient(f, edge_order=1.5),
        lambda gradient: gradient(f, edge_order=True),
        lambda gradient: gradient(np.sin),
        lambda gradient: gradient(3.0),
        lambda gradient: gradient(f, True),
        lambda gradient: gradient(f, 0.0),
        lambda gradient: gradient(f, np.nan),
        lambda gradient: gradient(f, [0.0, 1.0, 1.0, 2.0]),
        lambda gradient: gradient(f, np.inf),
        lambda gradient: gradient(f + 0j, 1j),
    ):
        with np.errstate(all="ignore"):
            call(np.gradient)
        with pytest.raises((TypeError, ValueError)):
            call(gpugrad.gradient)
