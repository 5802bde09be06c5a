"""Divergence, curl and Laplacian of functions: sums of their derivatives, and bounds of errors."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

X, Y, Z = np.meshgrid([0.5, 1.0], [1.0, 2.0, 3.0], [-1.0, 0.25], indexing="ij")
METHODS = ["auto", "complex", "extrapolation", "central"]


def swirl(x, y, z):
    return y * z + x**2, x * z**2, np.sin(x) * y + z


def bump(x, y, z):
    return np.sin(x) * y**2 + z**3 * x


DIVERGENCE = 2 * X + 1
CURL = (np.sin(X) - 2 * X * Z, Y - np.cos(X) * Y, Z**2 - Z)
LAPLACIAN = -np.sin(X) * Y**2 + 2 * np.sin(X) + 6 * Z * X


@pytest.mark.parametrize("method", METHODS)
def test_values_are_the_exact_ones_within_their_bounds(method):
    cases = [
        (gpugrad.divergence_of, swirl, (DIVERGENCE,)),
        (gpugrad.curl_of, swirl, CURL),
        (gpugrad.laplacian_of, bump, (LAPLACIAN,)),
    ]
    for derive, func, expected in cases:
        value, error = derive(func, method=method, return_error=True)(X, Y, Z)
        values = value if len(expected) > 1 else (value,)
        errors = error if len(expected) > 1 else (error,)
        for got, bound, wanted in zip(values, errors, expected, strict=True):
            assert got.shape == X.shape
            np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-7)
            assert (abs(got - wanted) <= bound + 1e-12).all()


def test_a_curl_in_the_plane_is_one_number():
    turn = gpugrad.curl_of(lambda x, y: (-3 * y, x))
    assert turn(1.0, 2.0) == 4.0
    assert np.shape(turn(1.0, 2.0)) == ()


def test_points_in_one_array():
    points = np.stack([X, Y, Z], axis=-1)
    options = {"vector": False, "points_axis": -1}
    curl = gpugrad.curl_of(swirl, **options)(points)
    assert curl.shape == points.shape
    np.testing.assert_allclose(curl[..., 1], CURL[1], atol=1e-9)
    assert gpugrad.laplacian_of(bump, **options)(points).shape == X.shape
    assert gpugrad.curl_of(swirl, stack=True)(X, Y, Z).shape == (3, *X.shape)


def test_a_laplacian_takes_the_values_along_the_axes_alone():
    def counted(x, y, z):
        calls.append(np.size(x))
        return bump(x, y, z)

    costs = []
    for derive in (gpugrad.laplacian_of, gpugrad.hessian_of):
        calls = []
        derive(counted, method="extrapolation")(1.0, 2.0, 3.0)
        costs.append(sum(calls))
    assert costs[0] < 0.5 * costs[1]


def test_it_says_of_what_it_is():
    assert repr(gpugrad.laplacian_of(bump)) == "<laplacian of bump, method 'auto'>"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gpugrad.divergence_of(lambda x, y: (x, y, x))(1.0, 2.0), "3 components for 2"),
        (lambda: gpugrad.curl_of(lambda x: (x,))(1.0), "two or three coordinates; got 1"),
        (lambda: gpugrad.curl_of(lambda x, y, z: (x, y))(1.0, 2.0, 3.0), "2 components for 3"),
        (lambda: gpugrad.laplacian_of(bump, method="magic"), "`method` must be one of"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_why(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class TestFormulas:
    """One derivative of a formula, of any order."""

    sympy = pytest.importorskip("sympy", reason="SymPy is not installed")

    def test_the_only_variable_need_not_be_named(self):
        slope = gpugrad.symbolic.derivative("x**4", order=3)
        assert str(slope.expressions) == "24*x"
        assert slope(2.0) == 48.0

    def test_one_of_several_variables(self):
        slope = gpugrad.symbolic.derivative("x**2 * sin(y)", "x", "y", by="y", order=2)
        np.testing.assert_allclose(slope(X, Y), -(X**2) * np.sin(Y))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "`by` must name one of the symbols x, y"),
            ({"by": "t"}, "`by` must be one of the symbols x, y; got 't'"),
            ({"by": "x", "order": 0}, "from 1 to 8; got 0"),
            ({"by": "x", "order": True}, "from 1 to 8; got True"),
            ({"by": "x", "order": 1.0}, "from 1 to 8; got 1.0"),
        ],
    )
    def test_what_cannot_be_meant_is_an_error_that_says_why(self, options, message):
        with pytest.raises(ValueError, match=message):
            gpugrad.symbolic.derivative("x*y", **options)
